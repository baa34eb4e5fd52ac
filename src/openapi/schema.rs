//! Schemas in one dialect: JSON Schema 2020-12, whose only references are `#/$defs/<name>`.
//!
//! A reference is never expanded here: its target gets a name and waits in a queue until it is its
//! turn, so that circles cost nothing. Recursion goes no deeper than the document's own nesting.

use std::collections::{HashMap, HashSet, VecDeque};

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::openapi::SpecVersion;
use crate::openapi::budget::Budget;
use crate::openapi::bundle::shown;
use crate::openapi::finding::{Code, Findings, quoted};
use crate::openapi::keyword::{self, Kind};
use crate::openapi::pointer::{At, Located, is_true, text};
use crate::openapi::reference::{RefFault, References};
use crate::openapi::upconvert_3_0;

/// References to references followed for one schema.
const ALIASES_MAX: usize = 64;

/// Everything the reading of one document shares.
pub struct Reading<'a> {
    pub version: SpecVersion,
    pub references: References<'a>,
    pub schemas: Schemas<'a>,
    pub findings: Findings,
    pub budget: Budget,
}

/// The definitions that were asked for so far.
pub struct Schemas<'a> {
    /// Plain pointer of a schema to its name.
    names: HashMap<String, String>,
    used: HashSet<String>,
    /// How often a name was wanted that was given already.
    wanted: HashMap<String, usize>,
    /// What a reference, as written, became. Only those that mean the same everywhere.
    known: HashMap<String, Value>,
    queue: VecDeque<(String, Located<'a>)>,
    pub definitions: IndexMap<String, Value>,
    /// Where each definition stands.
    pub pointers: IndexMap<String, String>,
    /// Names of the components, in document order.
    components: Vec<String>,
}

impl<'a> Schemas<'a> {
    /// Names every component first, so that a name does not depend on who refers to it.
    pub fn new(root: &'a Value) -> Self {
        let mut schemas = Self {
            names: HashMap::new(),
            used: HashSet::new(),
            wanted: HashMap::new(),
            known: HashMap::new(),
            queue: VecDeque::new(),
            definitions: IndexMap::new(),
            pointers: IndexMap::new(),
            components: Vec::new(),
        };
        let root = Located::root(root);
        let folders = [
            root.get("components").and_then(|c| c.get("schemas")),
            root.get("definitions"),
        ];
        for (_, component) in folders.iter().flatten().flat_map(Located::members) {
            let name = schemas.name(&component.pointer);
            schemas.name_file_as(&name, component.value);
            schemas.components.push(name);
        }
        schemas
    }

    /// A component that is nothing but a reference into another file of a bundle gives the schema
    /// there its name.
    fn name_file_as(&mut self, name: &str, component: &Value) {
        let members = component.as_object();
        let alone = members.filter(|members| members.keys().all(|key| !keyword::counts(key)));
        let reference = alone.and_then(|members| members.get("$ref")?.as_str());
        let pointer = reference.and_then(|reference| reference.strip_prefix('#'));
        let pointer = pointer.filter(|pointer| shown::split(pointer).is_some());
        if let Some(pointer) = pointer {
            let known = self.names.entry(pointer.to_owned());
            known.or_insert_with(|| name.to_owned());
        }
    }

    /// The name of the schema at `pointer`.
    fn name(&mut self, pointer: &str) -> String {
        if let Some(name) = self.names.get(pointer) {
            return name.clone();
        }
        let wanted = keyword::readable_name(pointer);
        let mut name = wanted.clone();
        let count = self.wanted.entry(wanted.clone()).or_insert(1);
        while !self.used.insert(name.clone()) {
            *count += 1;
            name = format!("{wanted}_{count}");
        }
        self.names.insert(pointer.to_owned(), name.clone());
        name
    }

    /// A reference to the definition that the schema at `at` is, or will be.
    fn refer(&mut self, at: Located<'a>) -> Value {
        let name = self.name(&at.pointer);
        let reference = json!({"$ref": format!("#/$defs/{name}")});
        if !self.pointers.contains_key(&name) {
            self.pointers.insert(name.clone(), at.pointer.clone());
            self.queue.push_back((name, at));
        }
        reference
    }

    /// Puts the definitions into document order: components first, as they stand, then the others
    /// as they were met.
    pub fn finish(&mut self) {
        let rank: HashMap<&str, usize> = self
            .components
            .iter()
            .enumerate()
            .map(|(rank, name)| (name.as_str(), rank))
            .collect();
        let rank_of = |name: &String| rank.get(name.as_str()).copied().unwrap_or(usize::MAX);
        self.definitions
            .sort_by(|left, _, right, _| rank_of(left).cmp(&rank_of(right)));
    }
}

impl<'a> Reading<'a> {
    /// Reads a schema at its place.
    pub fn schema(&mut self, at: &Located<'_>) -> Value {
        self.schema_at(at.value, &At::Base(&at.pointer))
    }

    /// Reads a schema that many may share: a large one becomes a definition, so that it costs its
    /// size once however often it is used.
    pub fn shared_schema(&mut self, at: Located<'a>, shared: bool) -> Value {
        const INLINE_MAX: usize = 32;
        if !shared || at.value.get("$ref").is_some() || keyword::weight(at.value) <= INLINE_MAX {
            return self.schema(&at);
        }
        self.schemas.refer(at)
    }

    /// Reads the schemas that were referred to, and those they refer to.
    pub fn drain(&mut self) {
        while let Some((name, at)) = self.schemas.queue.pop_front() {
            let mut schema = self.schema(&at);
            keyword::keep_name(&mut schema, &at.pointer);
            self.schemas.definitions.insert(name, schema);
        }
    }

    /// Reads a schema at a place that is only printed if something is wrong with it.
    pub fn schema_at(&mut self, schema: &Value, at: &At<'_>) -> Value {
        if !self.budget.take_nodes(1) {
            return Value::Bool(true);
        }
        match schema {
            Value::Bool(flag) => Value::Bool(*flag),
            Value::Object(source) => match source.get("$ref").or(source.get("$dynamicRef")) {
                Some(Value::String(reference)) => self.referring(reference, source, at),
                _ => {
                    let schema = self.object(source, at);
                    self.or_null(source, schema, at)
                }
            },
            _ => {
                let message = "a schema is an object, or true or false";
                self.findings
                    .add(Code::SchemaInvalid, at.to_string(), message);
                Value::Bool(true)
            }
        }
    }

    /// A schema with a `$ref`. Siblings count since 3.1; before, only their texts are kept, and
    /// `nullable`, which is often meant.
    fn referring(&mut self, reference: &str, source: &Map<String, Value>, at: &At<'_>) -> Value {
        let Value::Object(target) = self.reference(reference, at) else {
            return Value::Bool(true);
        };
        if !source.keys().any(|key| keyword::counts(key)) {
            return Value::Object(target);
        }
        let mut members = self.object(source, at);
        if !self.is_modern() {
            members.retain(|key, _| matches!(key.as_str(), "description" | "deprecated"));
        }
        if members.keys().all(|key| keyword::is_annotation(key)) {
            let mut merged = target;
            merged.extend(members);
            return self.or_null(source, merged, at);
        }
        let rest_all_of = members.shift_remove("allOf");
        let mut parts = vec![Value::Object(target)];
        if let Some(Value::Array(more)) = rest_all_of {
            parts.extend(more);
        }
        members.insert("allOf".to_owned(), Value::Array(parts));
        self.or_null(source, members, at)
    }

    fn is_modern(&self) -> bool {
        matches!(self.version, SpecVersion::V3_1 | SpecVersion::V3_2)
    }

    /// What a reference becomes: a reference into the definitions, or a schema that accepts all.
    fn reference(&mut self, reference: &str, at: &At<'_>) -> Value {
        if let Some(known) = self.schemas.known.get(reference) {
            return known.clone();
        }
        match self.aim(reference, at) {
            Ok(target) => {
                let known = self.schemas.refer(target);
                let is_shared = |reference: &str| {
                    reference.starts_with("/components/")
                        || reference.starts_with("/definitions/")
                        || shown::split(reference).is_some()
                };
                if reference.strip_prefix('#').is_some_and(is_shared) {
                    self.schemas
                        .known
                        .insert(reference.to_owned(), known.clone());
                }
                known
            }
            Err(fault) => {
                let code = match fault {
                    RefFault::External => Code::RefExternal,
                    RefFault::Missing => Code::RefUnresolved,
                    RefFault::Cycle => Code::RefCycle,
                };
                let message = format!("the reference {} {}", quoted(reference), fault.reason());
                self.findings.add(code, at.to_string(), message);
                json!({})
            }
        }
    }

    /// Follows a reference, and on while its target is nothing but another reference.
    fn aim(&mut self, reference: &str, at: &At<'_>) -> Result<Located<'a>, RefFault> {
        let from = at.to_string();
        let mut target = self.references.target(reference, &from)?;
        for _ in 0..ALIASES_MAX {
            if target.guessed {
                let place = quoted(&target.at.pointer);
                let message = format!("{} is taken as {place}", quoted(reference));
                self.findings.add(Code::RefGuessed, from.clone(), message);
            }
            let only_a_reference = target.at.object().and_then(|members| {
                let alone = members.keys().all(|key| !keyword::counts(key));
                members.get("$ref")?.as_str().filter(|_| alone)
            });
            let Some(next) = only_a_reference else {
                return if target.at.pointer.is_empty() {
                    Err(RefFault::Missing)
                } else {
                    Ok(target.at)
                };
            };
            target = self.references.target(next, &target.at.pointer)?;
        }
        Err(RefFault::Cycle)
    }

    /// A schema's keywords, each by its kind; unknown ones are left out.
    fn object(&mut self, source: &Map<String, Value>, at: &At<'_>) -> Map<String, Value> {
        let mut schema = Map::new();
        for (key, value) in source {
            let at = at.key(key);
            match keyword::kind(key) {
                Kind::Schema => {
                    schema.insert(key.clone(), self.schema_at(value, &at));
                }
                Kind::Items => self.items(value, &at, &mut schema),
                Kind::Schemas => self.list(key, value, &at, &mut schema),
                Kind::SchemaMap => self.map(key, value, &at, &mut schema),
                Kind::Discriminator => self.discriminator(value, &at, &mut schema),
                Kind::Plain(check) => self.plain((key, value), check, &at, &mut schema),
                Kind::Converted | Kind::Dropped => {}
            }
        }
        self.convert(source, &mut schema, at);
        schema
    }

    fn plain(
        &mut self,
        (key, value): (&str, &Value),
        check: keyword::Check,
        at: &At<'_>,
        schema: &mut Map<String, Value>,
    ) {
        self.budget.take_nodes(keyword::weight(value));
        match check(value) {
            Some(value) => {
                schema.insert(key.to_owned(), value);
            }
            None if value.is_null() => {}
            None => self.bad_keyword(key, at),
        }
    }

    fn bad_keyword(&mut self, key: &str, at: &At<'_>) {
        let message = format!("{} does not have the value the keyword needs", quoted(key));
        self.findings
            .add(Code::SchemaKeywordInvalid, at.to_string(), message);
    }

    /// `items` of a list of schemas is the older spelling of `prefixItems`.
    fn items(&mut self, value: &Value, at: &At<'_>, schema: &mut Map<String, Value>) {
        if value.is_array() {
            self.list("prefixItems", value, at, schema);
        } else {
            schema.insert("items".to_owned(), self.schema_at(value, at));
        }
    }

    fn list(&mut self, key: &str, value: &Value, at: &At<'_>, schema: &mut Map<String, Value>) {
        let members: Vec<Value> = match value {
            Value::Array(members) => members
                .iter()
                .enumerate()
                .map(|(index, member)| self.schema_at(member, &at.index(index)))
                .collect(),
            Value::Object(_) => vec![self.schema_at(value, at)],
            _ => return self.bad_keyword(key, at),
        };
        if !members.is_empty() {
            schema.insert(key.to_owned(), Value::Array(members));
        }
    }

    fn map(&mut self, key: &str, value: &Value, at: &At<'_>, schema: &mut Map<String, Value>) {
        let Some(members) = value.as_object() else {
            if !value.is_null() {
                self.bad_keyword(key, at);
            }
            return;
        };
        let read = members
            .iter()
            .map(|(name, member)| (name.clone(), self.schema_at(member, &at.key(name))))
            .collect();
        schema.insert(key.to_owned(), Value::Object(read));
    }

    /// Kept for whoever reads it; its mapping may only name definitions.
    fn discriminator(&mut self, value: &Value, at: &At<'_>, schema: &mut Map<String, Value>) {
        // Swagger 2.0 gives the bare property name.
        let name = text(value).or_else(|| text(value.get("propertyName")?));
        let Some(name) = name else {
            return self.bad_keyword("discriminator", at);
        };
        let mut kept = Map::new();
        kept.insert("propertyName".to_owned(), Value::String(name));
        if let Some(mapping) = value.get("mapping").and_then(Value::as_object) {
            let known: Map<String, Value> = mapping
                .iter()
                .filter_map(|(word, target)| {
                    let target = target.as_str()?;
                    let found = self.references.target(target, &at.to_string()).ok()?;
                    let name = self.schemas.names.get(&found.at.pointer)?;
                    Some((word.clone(), json!(format!("#/$defs/{name}"))))
                })
                .collect();
            kept.insert("mapping".to_owned(), Value::Object(known));
        }
        schema.insert("discriminator".to_owned(), Value::Object(kept));
    }

    /// What older versions and common mistakes say otherwise than 2020-12 does.
    fn convert(
        &mut self,
        source: &Map<String, Value>,
        schema: &mut Map<String, Value>,
        at: &At<'_>,
    ) {
        upconvert_3_0::exclusive_bounds(source, schema);
        upconvert_3_0::examples(source, schema);
        upconvert_3_0::dependencies(schema);
        for unknown in upconvert_3_0::types(source, schema) {
            let message = format!("{} is no type", quoted(&unknown));
            self.findings
                .add(Code::SchemaTypeUnknown, at.to_string(), message);
        }
        upconvert_3_0::formats(schema);
    }

    /// The schema, or null as well if `nullable` says so.
    fn or_null(
        &mut self,
        source: &Map<String, Value>,
        schema: Map<String, Value>,
        at: &At<'_>,
    ) -> Value {
        if !is_true(source.get("nullable")) && !is_true(source.get("x-nullable")) {
            return Value::Object(schema);
        }
        if self.is_modern() && source.contains_key("nullable") {
            let message = "`nullable` is read as in 3.0";
            self.findings
                .add(Code::NullableIn31, at.to_string(), message);
        }
        upconvert_3_0::nullable(schema)
    }
}
