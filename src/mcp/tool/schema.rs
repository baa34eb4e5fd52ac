//! Schemas as a model may see them: self-contained, portable, and of the right direction.
//!
//! In: a schema of an [`crate::openapi::Api`], whose `$ref`s are `#/$defs/<name>` into the API's
//! definitions. Out: the same meaning with only the definitions it needs, properties of the other
//! direction left out, property names every model provider accepts, and a bounded size.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::LazyLock;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::mcp::tool::name;
use crate::mcp::tool::text::{self, ARGUMENT_DESCRIPTION_BYTES_MAX, clean, is_clean, shorten};
use crate::openapi::keyword::{self, Kind};
use crate::openapi::merge::DEFINITION;
use crate::openapi::pointer::unescape;

/// Which way data of a schema travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Arguments: `readOnly` properties are left out.
    Input,
    /// Results: `writeOnly` properties are left out.
    Output,
}

/// Prepares the schemas of one tool.
pub struct Schemas<'a> {
    definitions: &'a IndexMap<String, Value>,
    direction: Direction,
    /// Definitions in use, prepared, in order of first use, by the name they have in the schema.
    used: IndexMap<String, Value>,
    /// Of the definitions in use, the name in the document to the name in the schema.
    used_names: HashMap<String, String>,
    /// Definitions in use whose turn comes later, and their names in the schema.
    waiting: VecDeque<(&'a Value, String)>,
    /// Definitions that are being prepared, each within the one before.
    depth: usize,
    /// Schemas that may still be prepared.
    left: usize,
    /// Of every property, the name on the wire to its name in the schema. No two share one.
    names: IndexMap<String, String>,
    taken: HashSet<String>,
    /// Names of properties that are `writeOnly`.
    write_only: BTreeSet<String>,
}

/// Definitions that are prepared within each other. What goes deeper waits for its turn, so that a chain
/// of references costs no stack.
const DEPTH_MAX: usize = 16;

/// Schemas that are prepared for one tool, far beyond what [`crate::mcp::tool::fit::fit`] leaves of them. What would be more is
/// left open.
const SCHEMAS_MAX: usize = 200_000;

/// Names that are noted for one tool.
const WRITE_ONLY_MAX: usize = 1_000;

/// A definition at most this long, without references of its own, is written where it is used.
const INLINE_BYTES_MAX: usize = 400;

const DROPPED: [&str; 16] = [
    "example",
    "examples",
    "xml",
    "externalDocs",
    "discriminator",
    "readOnly",
    "writeOnly",
    "$schema",
    "$id",
    "$anchor",
    "$dynamicAnchor",
    "$vocabulary",
    "$comment",
    "definitions",
    "id",
    "nullable",
];

impl<'a> Schemas<'a> {
    pub fn new(definitions: &'a IndexMap<String, Value>, direction: Direction) -> Self {
        Self {
            definitions,
            direction,
            used: IndexMap::new(),
            used_names: HashMap::new(),
            waiting: VecDeque::new(),
            depth: 0,
            left: SCHEMAS_MAX,
            names: IndexMap::new(),
            taken: HashSet::new(),
            write_only: BTreeSet::new(),
        }
    }

    /// The schema behind a chain of plain references.
    pub fn resolve<'s>(&self, schema: &'s Value) -> &'s Value
    where
        'a: 's,
    {
        let mut schema = schema;
        for _ in 0..16 {
            let Some(name) = reference(schema) else {
                return schema;
            };
            let Some(found) = self.definitions.get(&*name) else {
                return schema;
            };
            schema = found;
        }
        schema
    }

    /// One schema, prepared. What it refers to is kept for [`Schemas::finish`].
    pub fn prepare(&mut self, schema: &Value) -> Value {
        let prepared = self.schema(schema);
        while let Some((definition, used)) = self.waiting.pop_front() {
            let definition = self.schema(definition);
            self.used.insert(used, definition);
        }
        prepared
    }

    fn schema(&mut self, schema: &Value) -> Value {
        match schema {
            Value::Object(_) if self.left == 0 => Value::Object(Map::new()),
            Value::Object(object) => {
                self.left -= 1;
                self.object(object)
            }
            other => other.clone(),
        }
    }

    fn object(&mut self, object: &Map<String, Value>) -> Value {
        let mut out = Map::new();
        for (key, value) in object {
            if DROPPED.contains(&key.as_str()) || key.starts_with("x-") {
                continue;
            }
            let value = match (key.as_str(), value) {
                ("$ref", Value::String(target)) => match self.reference(target) {
                    Reference::Kept(name) => Value::String(format!("#/$defs/{name}")),
                    Reference::Inlined(Value::Object(inlined)) => {
                        for (k, v) in inlined {
                            out.entry(k).or_insert(v);
                        }
                        continue;
                    }
                    Reference::Inlined(_) => continue,
                },
                ("description", Value::String(text)) => match text::argument(text, "") {
                    Some(text) => Value::String(text),
                    None => continue,
                },
                ("title", Value::String(text)) => {
                    Value::String(shorten(clean(text).trim(), ARGUMENT_DESCRIPTION_BYTES_MAX))
                }
                ("enum", Value::Array(values)) => match visible(values) {
                    values if values.is_empty() => continue,
                    values => Value::Array(values),
                },
                ("const" | "default" | "pattern", value) if !is_visible(value) => continue,
                ("properties", Value::Object(properties)) => self.properties(properties),
                ("required", Value::Array(names)) => match self.required(object, names) {
                    Value::Array(names) if names.is_empty() => continue,
                    names => names,
                },
                ("$defs", _) => continue,
                ("patternProperties", Value::Object(members)) => {
                    let members = members.iter().filter(|(pattern, _)| is_clean(pattern));
                    let members = members.map(|(k, v)| (k.clone(), self.schema(v)));
                    Value::Object(members.collect())
                }
                ("dependentSchemas", Value::Object(members)) => {
                    self.dependents(object, members, Self::schema)
                }
                ("dependentRequired", Value::Object(members)) => {
                    self.dependents(object, members, |schemas, names| {
                        let names = names.as_array().map_or(&[][..], Vec::as_slice);
                        schemas.required(object, names)
                    })
                }
                (key, value) => match (keyword::kind(key), value) {
                    (Kind::Schemas, Value::Array(members)) => {
                        Value::Array(members.iter().map(|member| self.schema(member)).collect())
                    }
                    (Kind::Schema | Kind::Items, schema) => self.schema(schema),
                    (_, value) => cleaned(value),
                },
            };
            out.insert(clean(key), value);
        }
        Value::Object(out)
    }

    fn reference(&mut self, target: &str) -> Reference {
        let Some(name) = target.strip_prefix(DEFINITION) else {
            return Reference::Inlined(Value::Object(Map::new()));
        };
        let name = unescape(name);
        if let Some(used) = self.used_names.get(&*name) {
            return Reference::Kept(used.clone());
        }
        let Some(definition) = self.definitions.get(&*name) else {
            return Reference::Inlined(Value::Object(Map::new()));
        };
        if is_leaf(definition) {
            return Reference::Inlined(self.schema(definition));
        }
        if self.left == 0 {
            return Reference::Inlined(Value::Object(Map::new()));
        }
        // The place is taken first, so that a cycle finds it.
        let used = name::unique(&name::argument(&name), |n| !self.used.contains_key(n));
        self.used_names.insert(name.into_owned(), used.clone());
        self.used.insert(used.clone(), Value::Null);
        if self.depth == DEPTH_MAX {
            self.waiting.push_back((definition, used.clone()));
        } else {
            self.depth += 1;
            let prepared = self.schema(definition);
            self.depth -= 1;
            self.used.insert(used.clone(), prepared);
        }
        Reference::Kept(used)
    }

    fn properties(&mut self, properties: &Map<String, Value>) -> Value {
        let mut out = Map::new();
        for (wire, schema) in properties {
            if self.is_hidden(schema) || self.direction == Direction::Output && !is_clean(wire) {
                continue;
            }
            let prepared = self.schema(schema);
            let name = self.property_name(wire, properties);
            self.note_write_only(&name, schema);
            out.insert(name, prepared);
        }
        Value::Object(out)
    }

    /// What depends on properties, by the names they have in the schema.
    fn dependents(
        &mut self,
        object: &Map<String, Value>,
        members: &Map<String, Value>,
        mut prepare: impl FnMut(&mut Self, &Value) -> Value,
    ) -> Value {
        let properties = properties_of(object);
        let mut out = Map::new();
        for (wire, member) in members {
            let hidden = properties
                .get(wire)
                .is_some_and(|schema| self.is_hidden(schema));
            if hidden || self.direction == Direction::Output && !is_clean(wire) {
                continue;
            }
            let name = self.property_name(wire, properties);
            out.insert(name, prepare(self, member));
        }
        Value::Object(out)
    }

    fn required(&mut self, object: &Map<String, Value>, names: &[Value]) -> Value {
        let properties = properties_of(object);
        let names = names.iter().filter_map(Value::as_str).filter_map(|wire| {
            let hidden = properties
                .get(wire)
                .is_some_and(|schema| self.is_hidden(schema));
            (!hidden).then(|| Value::String(self.property_name(wire, properties)))
        });
        Value::Array(names.collect())
    }

    /// A name every model provider accepts: the wire name wherever that is one. One wire name has one
    /// name in the whole tool, and no other has the same, so that the way back is certain.
    fn property_name(&mut self, wire: &str, siblings: &Map<String, Value>) -> String {
        if self.direction == Direction::Output {
            return wire.to_owned();
        }
        if let Some(name) = self.names.get(wire) {
            return name.clone();
        }
        let name = name::unique(&name::argument(wire), |candidate| {
            !self.taken.contains(candidate)
                && (candidate == wire || !siblings.contains_key(candidate))
        });
        self.taken.insert(name.clone());
        self.names.insert(wire.to_owned(), name.clone());
        name
    }

    /// The name in the schema of a property that was prepared.
    pub fn name_of(&self, wire: &str) -> Option<&str> {
        self.names.get(wire).map(String::as_str)
    }

    /// Name in the schema to name on the wire, for the properties that had to be renamed.
    pub fn renames(&self) -> IndexMap<String, String> {
        let changed = self.names.iter().filter(|(wire, name)| wire != name);
        changed
            .map(|(wire, name)| (name.clone(), wire.clone()))
            .collect()
    }

    /// Whether a property travels only the other way.
    pub fn is_hidden(&self, schema: &Value) -> bool {
        let flag = match self.direction {
            Direction::Input => "readOnly",
            Direction::Output => "writeOnly",
        };
        let says = |schema: &Value| schema.get(flag).and_then(Value::as_bool) == Some(true);
        says(schema) || says(self.resolve(schema))
    }

    /// Notes the name of an argument or property that the API never shows again.
    pub fn note_write_only(&mut self, name: &str, schema: &Value) {
        let says = |schema: &Value| schema.get("writeOnly").and_then(Value::as_bool) == Some(true);
        let noted = says(schema) || says(self.resolve(schema));
        if noted && self.direction == Direction::Input && self.write_only.len() < WRITE_ONLY_MAX {
            self.write_only.insert(name.to_owned());
        }
    }

    /// The names that were noted.
    pub fn write_only(&self) -> Vec<String> {
        self.write_only.iter().cloned().collect()
    }

    /// The definitions in use, prepared.
    pub fn used_mut(&mut self) -> impl Iterator<Item = &mut Value> {
        self.used.values_mut()
    }

    /// Puts the definitions in use beside `root`.
    pub fn finish(self, mut root: Map<String, Value>) -> Value {
        if !self.used.is_empty() {
            root.insert(
                "$defs".into(),
                Value::Object(self.used.into_iter().collect()),
            );
        }
        Value::Object(root)
    }
}

/// The values of an enumeration a model can tell apart and repeat.
fn visible(values: &[Value]) -> Vec<Value> {
    values.iter().filter(|v| is_visible(v)).cloned().collect()
}

/// Whether all text in a value shows as it is.
fn is_visible(value: &Value) -> bool {
    match value {
        Value::String(text) => is_clean(text),
        Value::Array(members) => members.iter().all(is_visible),
        Value::Object(members) => members.iter().all(|(k, v)| is_clean(k) && is_visible(v)),
        _ => true,
    }
}

/// A value of a keyword that is not looked into, its text cleaned.
pub fn cleaned(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(clean(text)),
        Value::Array(members) => Value::Array(members.iter().map(cleaned).collect()),
        Value::Object(members) => {
            let members = members.iter().map(|(k, v)| (clean(k), cleaned(v)));
            Value::Object(members.collect())
        }
        other => other.clone(),
    }
}

enum Reference {
    /// By that name among the definitions in use.
    Kept(String),
    Inlined(Value),
}

/// The definition a plain `$ref` names.
pub fn reference(schema: &Value) -> Option<Cow<'_, str>> {
    let target = schema.get("$ref")?.as_str()?;
    target.strip_prefix(DEFINITION).map(unescape)
}

/// The properties a schema names.
fn properties_of(object: &Map<String, Value>) -> &Map<String, Value> {
    static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
    let properties = object.get("properties").and_then(Value::as_object);
    properties.unwrap_or(&NONE)
}

/// Small, and without references: written where it is used. No more of it is looked at than may be there.
fn is_leaf(definition: &Value) -> bool {
    let mut text = [0; INLINE_BYTES_MAX];
    let mut room = &mut text[..];
    if serde_json::to_writer(&mut room, definition).is_err() {
        return false;
    }
    let written = INLINE_BYTES_MAX - room.len();
    let reference = b"\"$ref\"";
    !text[..written]
        .windows(reference.len())
        .any(|found| found == reference)
}

/// Calls `visit` with every schema directly inside, and the name of the property it is.
pub fn each_inner(
    object: &mut Map<String, Value>,
    visit: &mut dyn FnMut(&mut Value, Option<&str>),
) {
    for (key, value) in object.iter_mut() {
        match (keyword::kind(key), value) {
            (kind, Value::Object(members)) if key == "$defs" || matches!(kind, Kind::SchemaMap) => {
                for (name, member) in members.iter_mut() {
                    visit(member, Some(name.as_str()).filter(|_| key == "properties"));
                }
            }
            (Kind::Schemas, Value::Array(members)) => {
                for member in members {
                    visit(member, None);
                }
            }
            (Kind::Schema | Kind::Items, schema) => visit(schema, None),
            _ => {}
        }
    }
}
