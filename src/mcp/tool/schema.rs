//! Schemas as a model may see them: self-contained, portable, and of the right direction.
//!
//! In: a schema of an [`crate::openapi::Api`], whose `$ref`s are `#/$defs/<name>` into the API's
//! definitions. Out: the same meaning with only the definitions it needs, properties of the other
//! direction left out, property names every model provider accepts, and a bounded size.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::mcp::tool::name;
use crate::mcp::tool::text::{self, ARGUMENT_DESCRIPTION_BYTES_MAX, clean, is_clean, shorten};

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
    /// Of every property, the name on the wire to its name in the schema. No two share one.
    names: IndexMap<String, String>,
    taken: HashSet<String>,
}

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
            names: IndexMap::new(),
            taken: HashSet::new(),
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
            let Some(found) = self.definitions.get(name) else {
                return schema;
            };
            schema = found;
        }
        schema
    }

    /// One schema, prepared. What it refers to is kept for [`Schemas::finish`].
    pub fn prepare(&mut self, schema: &Value) -> Value {
        match schema {
            Value::Object(object) => self.object(object),
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
                ("patternProperties" | "dependentSchemas", Value::Object(members)) => {
                    Value::Object(
                        members
                            .iter()
                            .filter(|(k, _)| is_clean(k))
                            .map(|(k, v)| (k.clone(), self.prepare(v)))
                            .collect(),
                    )
                }
                ("allOf" | "anyOf" | "oneOf" | "prefixItems", Value::Array(members)) => {
                    Value::Array(members.iter().map(|member| self.prepare(member)).collect())
                }
                (
                    "items"
                    | "additionalProperties"
                    | "not"
                    | "if"
                    | "then"
                    | "else"
                    | "contains"
                    | "propertyNames"
                    | "unevaluatedItems"
                    | "unevaluatedProperties"
                    | "contentSchema",
                    schema,
                ) => self.prepare(schema),
                (_, value) => cleaned(value),
            };
            out.insert(clean(key), value);
        }
        Value::Object(out)
    }

    fn reference(&mut self, target: &str) -> Reference {
        let Some(name) = target.strip_prefix("#/$defs/") else {
            return Reference::Inlined(Value::Object(Map::new()));
        };
        let name = decode(name);
        if let Some(used) = self.used_names.get(&name) {
            return Reference::Kept(used.clone());
        }
        let Some(definition) = self.definitions.get(&name) else {
            return Reference::Inlined(Value::Object(Map::new()));
        };
        if is_leaf(definition) {
            return Reference::Inlined(self.prepare(definition));
        }
        // The place is taken first, so that a cycle finds it.
        let used = name::unique(&name::argument(&name), |n| !self.used.contains_key(n));
        self.used_names.insert(name, used.clone());
        self.used.insert(used.clone(), Value::Null);
        let prepared = self.prepare(definition);
        self.used.insert(used.clone(), prepared);
        Reference::Kept(used)
    }

    fn properties(&mut self, properties: &Map<String, Value>) -> Value {
        let mut out = Map::new();
        for (wire, schema) in properties {
            if self.is_hidden(schema) || self.direction == Direction::Output && !is_clean(wire) {
                continue;
            }
            let prepared = self.prepare(schema);
            let name = self.property_name(wire, properties);
            out.insert(name, prepared);
        }
        Value::Object(out)
    }

    fn required(&mut self, object: &Map<String, Value>, names: &[Value]) -> Value {
        let empty = Map::new();
        let properties = object
            .get("properties")
            .and_then(Value::as_object)
            .unwrap_or(&empty);
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
fn reference(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")
}

fn decode(name: &str) -> String {
    name.replace("~1", "/").replace("~0", "~")
}

/// Small, and without references: written where it is used.
fn is_leaf(definition: &Value) -> bool {
    let text = definition.to_string();
    text.len() <= INLINE_BYTES_MAX && !text.contains("\"$ref\"")
}

/// The schema within `bytes_max`: without inner descriptions, and if that is not enough, open below
/// a depth. The flag says whether anything but words was lost.
pub fn fit(schema: Value, bytes_max: usize) -> (Value, bool) {
    let size = |schema: &Value| schema.to_string().len();
    if size(&schema) <= bytes_max {
        return (schema, false);
    }
    let mut schema = schema;
    strip_words(&mut schema, 0);
    if size(&schema) <= bytes_max {
        return (schema, false);
    }
    let fitting = deepest(&schema, &[2, 3, 4, 6], |pruned| size(pruned) <= bytes_max);
    (fitting.unwrap_or_else(|| outermost(&schema)), true)
}

/// The schema open below the deepest of `depths` that fits. It grows level by level, so that what a
/// level holds is never written out many times over.
pub fn deepest(schema: &Value, depths: &[usize], fits: impl Fn(&Value) -> bool) -> Option<Value> {
    let mut found = None;
    for depth in depths {
        let pruned = opened(schema, *depth);
        if !fits(&pruned) {
            break;
        }
        found = Some(pruned);
    }
    found
}

/// Properties with their types.
pub fn outermost(schema: &Value) -> Value {
    opened(schema, 2)
}

fn opened(schema: &Value, depth: usize) -> Value {
    let definitions = schema.get("$defs").unwrap_or(&Value::Null);
    let mut pruned = prune(schema, definitions, depth);
    if let Some(object) = pruned.as_object_mut() {
        object.shift_remove("$defs");
    }
    pruned
}

/// The schema without titles and descriptions. A property of such a name is a schema, and stays.
pub fn without_words(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let kept = members.iter().filter(|(key, value)| {
                !(matches!(key.as_str(), "description" | "title") && value.is_string())
            });
            Value::Object(
                kept.map(|(key, value)| (key.clone(), without_words(value)))
                    .collect(),
            )
        }
        Value::Array(members) => Value::Array(members.iter().map(without_words).collect()),
        other => other.clone(),
    }
}

fn strip_words(schema: &mut Value, depth: usize) {
    match schema {
        Value::Object(object) => {
            if depth > 2 {
                object.shift_remove("title");
                if object.get("description").is_some_and(Value::is_string) {
                    object.shift_remove("description");
                }
            }
            object
                .values_mut()
                .for_each(|value| strip_words(value, depth + 1));
        }
        Value::Array(members) => members.iter_mut().for_each(|m| strip_words(m, depth + 1)),
        _ => {}
    }
}

/// Written out without references down to `depth` levels of properties, open below.
fn prune(schema: &Value, definitions: &Value, depth: usize) -> Value {
    let Value::Object(object) = schema else {
        return schema.clone();
    };
    let resolved = reference(schema).and_then(|name| definitions.get(decode(name)));
    if let Some(target) = resolved {
        return if depth == 0 {
            kind_only(target)
        } else {
            prune(target, definitions, depth - 1)
        };
    }
    if depth == 0 {
        return kind_only(schema);
    }
    let mut out = Map::new();
    for (key, value) in object {
        let value = match (key.as_str(), value) {
            ("properties", Value::Object(members)) => Value::Object(
                members
                    .iter()
                    .map(|(k, v)| (k.clone(), prune(v, definitions, depth - 1)))
                    .collect(),
            ),
            ("items" | "additionalProperties", schema) => prune(schema, definitions, depth - 1),
            // Open members of `oneOf` could fit a value twice.
            ("anyOf" | "oneOf", Value::Array(members)) => {
                let members = members.iter().map(|m| prune(m, definitions, depth - 1));
                out.insert("anyOf".into(), distinct(members));
                continue;
            }
            (
                "$defs" | "allOf" | "prefixItems" | "not" | "if" | "then" | "else"
                | "patternProperties" | "dependentSchemas" | "contains" | "propertyNames",
                _,
            ) => continue,
            (_, value) => value.clone(),
        };
        out.insert(key.clone(), value);
    }
    Value::Object(out)
}

fn distinct(members: impl Iterator<Item = Value>) -> Value {
    let mut found: Vec<Value> = Vec::new();
    for member in members {
        if !found.contains(&member) {
            found.push(member);
        }
    }
    Value::Array(found)
}

fn kind_only(schema: &Value) -> Value {
    let mut out = Map::new();
    if let Some(kind) = schema.get("type") {
        out.insert("type".into(), kind.clone());
    }
    Value::Object(out)
}
