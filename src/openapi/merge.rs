//! `allOf` of objects becomes one object, which is what models and forms can work with.
//!
//! A part is merged where the result means the same; a part that cannot be stays in `allOf`. Three
//! steps keep this linear on documents that nest and extend everything:
//!
//! 1. each `allOf` within a definition becomes a definition of its own ([`Merger::new`]), so that
//!    whoever takes in the schema around it copies a reference;
//! 2. definitions are merged, each once, when first needed; while that is under way, whoever needs
//!    one again keeps the reference, so that circles end;
//! 3. the small ones of step 1 go back to where they came from ([`Merger::finish`]).

use std::collections::HashSet;

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::openapi::conjunction::{Outcome, conjoin};
use crate::openapi::finding::{Code, Findings};
use crate::openapi::keyword::{self, Kind, is_annotation, weight};
use crate::openapi::pointer::escape;

/// Definitions that extend one another, and schemas within schemas.
const DEPTH_MAX: usize = 192;

/// Schemas of at most this weight are written out where they are used.
const INLINE_MAX: usize = 32;

/// What a reference starts with.
pub const DEFINITION: &str = "#/$defs/";

/// Merges schemas against the definitions they refer to.
pub struct Merger<'f> {
    definitions: IndexMap<String, Definition>,
    /// Values that may still be copied into other schemas, or looked at again.
    budget: usize,
    depth: usize,
    findings: &'f mut Findings,
}

struct Definition {
    schema: Value,
    state: State,
    /// Where it stands in the document.
    pointer: String,
    /// It was made in step 1.
    made: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Waiting,
    UnderWay,
    Done,
}

impl<'f> Merger<'f> {
    /// Takes the definitions and where they stand; `budget` bounds the values that merging may copy.
    pub fn new(
        source: IndexMap<String, Value>,
        pointers: &IndexMap<String, String>,
        budget: usize,
        findings: &'f mut Findings,
    ) -> Self {
        let mut names: HashSet<String> = source.keys().cloned().collect();
        let mut definitions = IndexMap::new();
        let mut made = IndexMap::new();
        for (name, mut schema) in source {
            let pointer = pointers.get(&name).cloned().unwrap_or_default();
            let mut hoist = Hoist {
                within: &name,
                pointer: &pointer,
                names: &mut names,
                made: &mut made,
            };
            hoist.children(&mut schema);
            definitions.insert(name, Definition::new(schema, &pointer, false));
        }
        definitions.extend(made);
        Self {
            definitions,
            budget,
            depth: 0,
            findings,
        }
    }

    /// Merges within one schema of an operation that stands at `pointer`.
    pub fn schema(&mut self, schema: &mut Value, pointer: &str) {
        let Value::Object(members) = schema else {
            return;
        };
        if self.depth >= DEPTH_MAX {
            return;
        }
        self.depth += 1;
        each_child(members, &mut |_, child| self.schema(child, pointer));
        self.all_of(members, pointer);
        self.depth -= 1;
    }

    /// All definitions, merged, in their order; `schemas` are those of the operations.
    pub fn finish<'s>(
        mut self,
        schemas: impl Iterator<Item = &'s mut Value>,
    ) -> IndexMap<String, Value> {
        for index in 0..self.definitions.len() {
            self.definition(index);
        }
        let small: IndexMap<String, Value> = self
            .definitions
            .iter()
            .filter(|(_, d)| d.made && weight(&d.schema) <= INLINE_MAX)
            .map(|(name, d)| (name.clone(), d.schema.clone()))
            .collect();
        let definitions = self.definitions.into_iter();
        let mut merged: IndexMap<String, Value> =
            definitions.map(|(name, d)| (name, d.schema)).collect();
        if !small.is_empty() {
            merged
                .values_mut()
                .for_each(|schema| put_back(schema, &small));
            schemas.for_each(|schema| put_back(schema, &small));
        }
        merged
    }

    /// Merges a definition unless that is done or under way.
    fn definition(&mut self, index: usize) {
        let Some((_, definition)) = self.definitions.get_index_mut(index) else {
            return;
        };
        if definition.state != State::Waiting || self.depth >= DEPTH_MAX {
            return;
        }
        definition.state = State::UnderWay;
        let mut schema = definition.schema.take();
        let pointer = std::mem::take(&mut definition.pointer);
        self.depth += 1;
        self.root(&mut schema, &pointer);
        self.depth -= 1;
        if let Some((_, definition)) = self.definitions.get_index_mut(index) {
            definition.schema = schema;
            definition.pointer = pointer;
            definition.state = State::Done;
        }
    }

    /// Merges the `allOf` of a definition, and those directly within its parts.
    fn root(&mut self, schema: &mut Value, pointer: &str) {
        let Value::Object(members) = schema else {
            return;
        };
        if let Some(Value::Array(parts)) = members.get_mut("allOf") {
            for part in parts {
                self.root(part, pointer);
            }
        }
        self.all_of(members, pointer);
    }

    fn all_of(&mut self, members: &mut Map<String, Value>, pointer: &str) {
        let Some(Value::Array(parts)) = members.shift_remove("allOf") else {
            return;
        };
        let (texts, parts): (Vec<Value>, Vec<Value>) = parts.into_iter().partition(|part| {
            part.as_object()
                .is_some_and(|part| part.keys().all(|key| is_annotation(key)))
        });
        for text in texts.iter().filter_map(Value::as_object) {
            conjoin(members, text, &mut self.budget);
        }
        if let Some(only) = only_reference(members, &parts) {
            *members = only;
            return;
        }
        let mut kept = Vec::new();
        for part in parts {
            match self.part(members, &part) {
                Outcome::Merged { closed, rest } => {
                    kept.extend(rest);
                    if closed {
                        let message = "a part of `allOf` allows no further properties, but another part adds some; those of both are accepted";
                        self.findings.add(Code::AllOfClosed, pointer, message);
                    }
                }
                Outcome::Apart => kept.push(part),
            }
        }
        if !kept.is_empty() {
            let message = "parts of `allOf` cannot be merged without changing what they mean";
            self.findings.add(Code::AllOfKept, pointer, message);
            members.insert("allOf".to_owned(), Value::Array(kept));
        }
    }

    /// Takes one part of an `allOf` into the schema around it.
    fn part(&mut self, members: &mut Map<String, Value>, part: &Value) -> Outcome {
        let part = match part {
            Value::Bool(true) => return Outcome::MERGED,
            Value::Object(part) => part,
            _ => return Outcome::Apart,
        };
        let Some(name) = referred(part) else {
            return conjoin(members, part, &mut self.budget);
        };
        let Some(index) = self.definitions.get_index_of(name) else {
            return Outcome::Apart;
        };
        self.definition(index);
        let definition = &self.definitions[index];
        let Value::Object(schema) = &definition.schema else {
            return Outcome::Apart;
        };
        let copied = schema.values().map(weight).sum::<usize>();
        let siblings = part.keys().any(|key| key != "$ref" && !is_annotation(key));
        let done = definition.state == State::Done;
        if !done || siblings || schema.contains_key("$ref") || copied > self.budget {
            return Outcome::Apart;
        }
        self.budget -= copied;
        conjoin(members, schema, &mut self.budget)
    }
}

impl Definition {
    fn new(schema: Value, pointer: &str, made: bool) -> Self {
        Self {
            schema,
            state: State::Waiting,
            pointer: pointer.to_owned(),
            made,
        }
    }
}

/// Step 1: finds every `allOf` within a definition, innermost first.
struct Hoist<'h> {
    within: &'h str,
    pointer: &'h str,
    names: &'h mut HashSet<String>,
    made: &'h mut IndexMap<String, Definition>,
}

impl Hoist<'_> {
    fn children(&mut self, schema: &mut Value) {
        let Value::Object(members) = schema else {
            return;
        };
        each_child(members, &mut |key, child| {
            self.children(child);
            // The parts of an `allOf` are merged with it.
            if key != "allOf" && child.get("allOf").is_some() {
                let name = self.name(key);
                let reference = json!({"$ref": format!("{DEFINITION}{name}")});
                let schema = std::mem::replace(child, reference);
                let definition = Definition::new(schema, self.pointer, true);
                self.made.insert(name, definition);
            }
        });
    }

    fn name(&mut self, key: &str) -> String {
        let place = format!("/{}/{}", self.within, escape(key));
        let wanted = keyword::readable_name(&place);
        let mut name = wanted.clone();
        let mut count = 1;
        while !self.names.insert(name.clone()) {
            count += 1;
            name = format!("{wanted}_{count}");
        }
        name
    }
}

/// An `allOf` of one reference, with nothing but texts beside it, is that reference.
fn only_reference(members: &mut Map<String, Value>, parts: &[Value]) -> Option<Map<String, Value>> {
    let [Value::Object(only)] = parts else {
        return None;
    };
    if !only.contains_key("$ref") || !members.keys().all(|key| is_annotation(key)) {
        return None;
    }
    let mut only = only.clone();
    only.extend(std::mem::take(members));
    Some(only)
}

/// The definition that a schema refers to.
fn referred(schema: &Map<String, Value>) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix(DEFINITION)
}

/// Step 3: small schemas instead of references to them.
fn put_back(schema: &mut Value, small: &IndexMap<String, Value>) {
    let Value::Object(members) = schema else {
        return;
    };
    each_child(members, &mut |_, child| put_back(child, small));
    let found = referred(members).and_then(|name| small.get(name));
    if let Some(found) = found
        && members.len() == 1
    {
        *schema = found.clone();
    }
}

/// Visits each schema within a schema, with the property or keyword it stands under.
fn each_child(members: &mut Map<String, Value>, visit: &mut dyn FnMut(&str, &mut Value)) {
    for (key, value) in members.iter_mut() {
        match (keyword::kind(key), value) {
            (Kind::Schema | Kind::Items, value) => visit(key, value),
            (Kind::Schemas, Value::Array(parts)) => {
                for part in parts {
                    visit(key, part);
                }
            }
            (Kind::SchemaMap, Value::Object(named)) => {
                for (name, part) in named.iter_mut() {
                    visit(name, part);
                }
            }
            _ => {}
        }
    }
}
