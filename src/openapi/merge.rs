//! `allOf` of objects becomes one object, which is what models and forms can work with.
//!
//! A part is merged where the result means the same; a part that cannot be stays in `allOf`. A
//! definition is merged once, when it is first needed; while that is under way, whoever needs it
//! again keeps the reference, so that circles end.

use std::collections::HashMap;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::openapi::conjunction::{Outcome, conjoin};
use crate::openapi::finding::{Code, Findings};
use crate::openapi::keyword::{self, Kind, is_annotation, weight};

/// Schemas within schemas, across the definitions that are being merged.
const DEPTH_MAX: usize = 192;

/// What a reference starts with.
pub const DEFINITION: &str = "#/$defs/";

/// Merges schemas against the definitions they refer to.
pub struct Merger<'s> {
    source: &'s IndexMap<String, Value>,
    pointers: &'s IndexMap<String, String>,
    done: HashMap<String, Option<Value>>,
    /// Values that may still be copied into other schemas.
    budget: usize,
    depth: usize,
    findings: &'s mut Findings,
}

impl<'s> Merger<'s> {
    /// `budget` bounds the values that merging may copy.
    pub fn new(
        source: &'s IndexMap<String, Value>,
        pointers: &'s IndexMap<String, String>,
        budget: usize,
        findings: &'s mut Findings,
    ) -> Self {
        Self {
            source,
            pointers,
            done: HashMap::new(),
            budget,
            depth: 0,
            findings,
        }
    }

    /// Merges within one schema that stands at `pointer`.
    pub fn schema(&mut self, schema: &mut Value, pointer: &str) {
        let Value::Object(members) = schema else {
            return;
        };
        if self.depth >= DEPTH_MAX {
            return;
        }
        self.depth += 1;
        for (key, value) in members.iter_mut() {
            match (keyword::kind(key), value) {
                (Kind::Schema | Kind::Items, value) => self.schema(value, pointer),
                (Kind::Schemas, Value::Array(parts)) => {
                    for part in parts {
                        self.schema(part, pointer);
                    }
                }
                (Kind::SchemaMap, Value::Object(named)) => {
                    for part in named.values_mut() {
                        self.schema(part, pointer);
                    }
                }
                _ => {}
            }
        }
        self.all_of(members, pointer);
        self.depth -= 1;
    }

    /// All definitions, merged, in their order.
    pub fn finish(mut self) -> IndexMap<String, Value> {
        for name in self.source.keys() {
            self.definition(name);
        }
        let mut done = self.done;
        let merged = self.source.keys().map(|name| {
            let schema = done.remove(name).flatten();
            (name.clone(), schema.unwrap_or(Value::Bool(true)))
        });
        merged.collect()
    }

    /// Merges a definition unless that is done or under way.
    fn definition(&mut self, name: &str) {
        if self.done.contains_key(name) || self.depth >= DEPTH_MAX {
            return;
        }
        let Some(mut schema) = self.source.get(name).cloned() else {
            return;
        };
        self.done.insert(name.to_owned(), None);
        let pointers = self.pointers;
        let pointer = pointers.get(name).map_or("", String::as_str);
        self.schema(&mut schema, pointer);
        self.done.insert(name.to_owned(), Some(schema));
    }

    fn all_of(&mut self, members: &mut Map<String, Value>, pointer: &str) {
        let Some(Value::Array(parts)) = members.shift_remove("allOf") else {
            return;
        };
        let (texts, mut parts): (Vec<Value>, Vec<Value>) = parts.into_iter().partition(|part| {
            part.as_object()
                .is_some_and(|part| part.keys().all(|key| is_annotation(key)))
        });
        for text in texts.iter().filter_map(Value::as_object) {
            conjoin(members, text);
        }
        if members.keys().all(|key| is_annotation(key))
            && let [Value::Object(only)] = parts.as_slice()
            && only.contains_key("$ref")
        {
            let mut only = only.clone();
            only.extend(std::mem::take(members));
            *members = only;
            return;
        }
        let mut kept = Vec::new();
        for part in parts.drain(..) {
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
        let name = part
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|reference| reference.strip_prefix(DEFINITION));
        let Some(name) = name else {
            return conjoin(members, part);
        };
        self.definition(name);
        let Some(Some(Value::Object(definition))) = self.done.get(name) else {
            return Outcome::Apart;
        };
        let copied = definition.values().map(weight).sum::<usize>();
        let siblings = part.keys().any(|key| key != "$ref" && !is_annotation(key));
        if siblings || definition.contains_key("$ref") || copied > self.budget {
            return Outcome::Apart;
        }
        self.budget -= copied;
        conjoin(members, definition)
    }
}
