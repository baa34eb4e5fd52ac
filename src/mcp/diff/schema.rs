//! Two schemas of one tool compared: what the new one no longer accepts, or no longer gives.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::mcp::diff::{named, type_words};

/// Levels of properties looked at, and differences told.
const DEPTH_MAX: usize = 12;
const CHANGES_MAX: usize = 50;

/// Keywords whose value is a bound: whether a larger number narrows.
const BOUNDS: [(&str, bool); 10] = [
    ("minimum", true),
    ("exclusiveMinimum", true),
    ("minLength", true),
    ("minItems", true),
    ("minProperties", true),
    ("maximum", false),
    ("exclusiveMaximum", false),
    ("maxLength", false),
    ("maxItems", false),
    ("maxProperties", false),
];

/// Keywords of which any other value narrows, for all that can be told.
const FIXED: [&str; 8] = [
    "const",
    "pattern",
    "format",
    "multipleOf",
    "anyOf",
    "oneOf",
    "allOf",
    "not",
];

/// What the old schema accepts and the new one may refuse, in words.
pub(super) fn narrowed(old: &Value, new: &Value) -> Vec<String> {
    let mut comparison = Comparison {
        roots: (old, new),
        input: true,
        changes: Vec::new(),
    };
    comparison.compare(old, new, "", 0);
    comparison.changes
}

/// What results had and no longer have, in words.
pub(super) fn lost_properties(old: &Value, new: &Value) -> Vec<String> {
    let mut comparison = Comparison {
        roots: (old, new),
        input: false,
        changes: Vec::new(),
    };
    comparison.compare(old, new, "", 0);
    comparison.changes
}

/// Whether a text of the new schema is not in the old one.
pub(super) fn words(old: &Value, new: &Value) -> bool {
    let mut before = BTreeSet::new();
    let mut after = BTreeSet::new();
    collect_words(old, &mut before);
    collect_words(new, &mut after);
    !after.is_subset(&before)
}

fn collect_words<'a>(schema: &'a Value, found: &mut BTreeSet<&'a str>) {
    match schema {
        Value::Object(members) => {
            for (key, value) in members {
                match (key.as_str(), value) {
                    ("description" | "title", Value::String(text)) => {
                        found.insert(text);
                    }
                    _ => collect_words(value, found),
                }
            }
        }
        Value::Array(members) => members
            .iter()
            .for_each(|member| collect_words(member, found)),
        _ => {}
    }
}

/// The schema without titles and descriptions. A property of such a name is a schema, and stays.
pub(super) fn without_words(schema: &Value) -> Value {
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

struct Comparison<'a> {
    roots: (&'a Value, &'a Value),
    /// Arguments; otherwise results.
    input: bool,
    changes: Vec<String>,
}

impl<'a> Comparison<'a> {
    fn compare(&mut self, old: &'a Value, new: &'a Value, path: &str, depth: usize) {
        if depth > DEPTH_MAX || self.changes.len() >= CHANGES_MAX {
            return;
        }
        let (old, new) = (follow(self.roots.0, old), follow(self.roots.1, new));
        self.types(old, new, path);
        if self.input {
            self.values(old, new, path);
        }
        self.properties(old, new, path, depth);
        for key in ["items", "additionalProperties"] {
            if let (Some(old @ Value::Object(_)), Some(new @ Value::Object(_))) =
                (old.get(key), new.get(key))
            {
                self.compare(old, new, &format!("{path}[]"), depth + 1);
            }
        }
    }

    fn say(&mut self, text: String) {
        self.changes.push(text);
    }

    fn types(&mut self, old: &Value, new: &Value, path: &str) {
        let (before, after) = (types(old), types(new));
        // An argument has to go on accepting, a result to go on being what it was.
        let (needed, allowed) = if self.input {
            (&before, &after)
        } else {
            (&after, &before)
        };
        let fits = match (needed, allowed) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(needed), Some(allowed)) => needed.iter().all(|kind| {
                allowed.contains(kind) || (*kind == "integer" && allowed.contains("number"))
            }),
        };
        if !fits {
            let text = format!(
                "{} is {} instead of {}",
                named(path),
                type_words(new),
                type_words(old)
            );
            self.say(text);
        }
    }

    fn values(&mut self, old: &Value, new: &Value, path: &str) {
        if let Some(allowed) = new.get("enum").and_then(Value::as_array) {
            let lost: Vec<String> = match old.get("enum").and_then(Value::as_array) {
                Some(before) => before
                    .iter()
                    .filter(|value| !allowed.contains(value))
                    .map(ToString::to_string)
                    .collect(),
                None => vec!["other values".to_owned()],
            };
            if !lost.is_empty() {
                self.say(format!(
                    "{} no longer accepts {}",
                    named(path),
                    lost.join(", ")
                ));
            }
        }
        for (key, larger_narrows) in BOUNDS {
            let (before, after) = (number(old, key), number(new, key));
            let narrows = match (before, after) {
                (_, None) => false,
                (None, Some(_)) => true,
                (Some(before), Some(after)) if larger_narrows => after > before,
                (Some(before), Some(after)) => after < before,
            };
            if narrows {
                self.say(format!("{}: {key} is {}", named(path), new[key]));
            }
        }
        for key in FIXED {
            let (before, after) = (old.get(key), new.get(key).map(without_words));
            if after.is_some() && before.map(without_words) != after {
                self.say(format!("{}: {key} is another one", named(path)));
            }
        }
    }

    fn properties(&mut self, old: &'a Value, new: &'a Value, path: &str, depth: usize) {
        let (empty, closed) = (
            Map::new(),
            new.get("additionalProperties") == Some(&Value::Bool(false)),
        );
        let before = members(old).unwrap_or(&empty);
        let after = members(new).unwrap_or(&empty);
        for name in before.keys().filter(|name| !after.contains_key(*name)) {
            if !self.input || closed {
                self.say(format!("`{}` is gone", joined(path, name)));
            }
        }
        if self.input {
            let (was, is) = (required(old), required(new));
            for name in is.difference(&was) {
                self.say(format!("`{}` is required", joined(path, name)));
            }
        }
        let Some((before, after)) = members(old).zip(members(new)) else {
            return;
        };
        for (name, schema) in before {
            if let Some(other) = after.get(name) {
                self.compare(schema, other, &joined(path, name), depth + 1);
            }
        }
    }
}

fn follow<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let mut schema = schema;
    for _ in 0..16 {
        let target = schema.get("$ref").and_then(Value::as_str);
        let Some(pointer) = target.and_then(|target| target.strip_prefix('#')) else {
            return schema;
        };
        let Some(found) = root.pointer(pointer) else {
            return schema;
        };
        schema = found;
    }
    schema
}

fn members(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties").and_then(Value::as_object)
}

fn required(schema: &Value) -> BTreeSet<&str> {
    let names = schema.get("required").and_then(Value::as_array);
    names
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

fn types(schema: &Value) -> Option<BTreeSet<&str>> {
    match schema.get("type")? {
        Value::String(kind) => Some(BTreeSet::from([kind.as_str()])),
        Value::Array(kinds) => Some(kinds.iter().filter_map(Value::as_str).collect()),
        _ => None,
    }
}

fn number(schema: &Value, key: &str) -> Option<f64> {
    schema.get(key).and_then(Value::as_f64)
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}
