//! Schemas within a budget: words go first, then long enumerations, then what lies deepest.

use serde_json::{Map, Value};

use crate::mcp::tool::schema::{each_inner, reference};

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
    strip_enumerations(&mut schema, bytes_max / ENUMERATION_SHARE);
    if size(&schema) <= bytes_max {
        return (schema, true);
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

/// Takes out the words below the arguments themselves.
fn strip_words(schema: &mut Value, depth: usize) {
    let Value::Object(object) = schema else {
        return;
    };
    if depth > 1 {
        object.shift_remove("title");
        object.shift_remove("description");
    }
    each_inner(object, &mut |inner, _| strip_words(inner, depth + 1));
}

/// A list of values that takes more than this part of the budget leaves too little to the arguments.
const ENUMERATION_SHARE: usize = 4;

/// Takes out the enumerations that are longer than `bytes_max`.
fn strip_enumerations(schema: &mut Value, bytes_max: usize) {
    let Value::Object(object) = schema else {
        return;
    };
    let long = |values: &Value| values.to_string().len() > bytes_max;
    if object.get("enum").is_some_and(long) {
        object.shift_remove("enum");
    }
    each_inner(object, &mut |inner, _| strip_enumerations(inner, bytes_max));
}

/// Written out without references down to `depth` levels of properties, open below.
fn prune(schema: &Value, definitions: &Value, depth: usize) -> Value {
    let Value::Object(object) = schema else {
        return schema.clone();
    };
    let resolved = reference(schema).and_then(|name| definitions.get(&*name));
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
            // What they say is of those that the others, left out here, do not describe.
            ("items", _) if object.contains_key("prefixItems") => continue,
            ("additionalProperties", _) if object.contains_key("patternProperties") => continue,
            ("items" | "additionalProperties", schema) => prune(schema, definitions, depth - 1),
            // Open members of `oneOf` could fit a value twice.
            ("anyOf" | "oneOf", Value::Array(members)) => {
                let members = members.iter().map(|m| prune(m, definitions, depth - 1));
                out.insert("anyOf".into(), distinct(members));
                continue;
            }
            (
                "$defs"
                | "allOf"
                | "prefixItems"
                | "not"
                | "if"
                | "then"
                | "else"
                | "patternProperties"
                | "dependentSchemas"
                | "contains"
                | "propertyNames"
                | "unevaluatedProperties"
                | "unevaluatedItems",
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
