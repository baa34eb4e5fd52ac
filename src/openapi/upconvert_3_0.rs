//! Schemas of Swagger 2.0 and OpenAPI 3.0 in the words of JSON Schema 2020-12.
//!
//! Also what documents of every version get wrong alike (`type: int`, `exclusiveMinimum: true`
//! in 3.1): the conversion does not ask for the version, because the old words mean nothing else
//! in the new one.

use serde_json::{Map, Value, json};

use crate::openapi::keyword::number;
use crate::openapi::pointer::text;

/// `exclusiveMinimum: true` beside `minimum` becomes a number.
pub fn exclusive_bounds(source: &Map<String, Value>, schema: &mut Map<String, Value>) {
    for (exclusive, bound) in [
        ("exclusiveMinimum", "minimum"),
        ("exclusiveMaximum", "maximum"),
    ] {
        match source.get(exclusive) {
            Some(Value::Bool(true)) => {
                if let Some(limit) = schema.shift_remove(bound) {
                    schema.insert(exclusive.to_owned(), limit);
                }
            }
            Some(other) => {
                if let Some(limit) = number(other) {
                    schema.insert(exclusive.to_owned(), limit);
                }
            }
            None => {}
        }
    }
}

/// `example` becomes `examples`, and `examples` a list.
pub fn examples(source: &Map<String, Value>, schema: &mut Map<String, Value>) {
    let examples = match source.get("examples") {
        Some(Value::Array(examples)) => examples.clone(),
        Some(Value::Object(named)) => named
            .values()
            .map(|example| example.get("value").unwrap_or(example).clone())
            .collect(),
        _ => source.get("example").cloned().into_iter().collect(),
    };
    if !examples.is_empty() {
        schema.insert("examples".to_owned(), Value::Array(examples));
    }
}

/// `dependencies` of older drafts, of which only the lists of names occur, and `additionalItems`.
pub fn dependencies(schema: &mut Map<String, Value>) {
    if let Some(Value::Object(dependencies)) = schema.shift_remove("dependencies") {
        let lists: Map<String, Value> = dependencies
            .into_iter()
            .filter(|(_, value)| value.is_array())
            .collect();
        if !lists.is_empty() {
            schema.insert("dependentRequired".to_owned(), Value::Object(lists));
        }
    }
    if let Some(rest) = schema.shift_remove("additionalItems")
        && schema.contains_key("prefixItems")
    {
        schema.insert("items".to_owned(), rest);
    }
}

/// The type as 2020-12 names it, guessed from the other keywords where it is missing.
/// Gives the types nobody knows.
pub fn types(source: &Map<String, Value>, schema: &mut Map<String, Value>) -> Vec<String> {
    let named: Vec<String> = match source.get("type") {
        Some(Value::Array(types)) => types
            .iter()
            .map(|t| text(t).unwrap_or_else(|| "null".to_owned()))
            .collect(),
        Some(one) => text(one).into_iter().collect(),
        None => Vec::new(),
    };
    let mut unknown = Vec::new();
    let mut types: Vec<Value> = Vec::new();
    let mut any = false;
    for name in &named {
        match known_type(name, schema) {
            Some("any") => any = true,
            Some(known) if !types.contains(&json!(known)) => types.push(json!(known)),
            Some(_) => {}
            None => unknown.push(name.clone()),
        }
    }
    if any {
        return unknown;
    }
    let value = match types.len() {
        0 if named.is_empty() => guessed_type(schema),
        0 => None,
        1 => types.pop(),
        _ => Some(Value::Array(types)),
    };
    if let Some(value) = value {
        schema.shift_insert(0, "type".to_owned(), value);
    }
    unknown
}

/// The type that is meant; words that are formats become one.
fn known_type(name: &str, schema: &mut Map<String, Value>) -> Option<&'static str> {
    let mut with_format = |format: &str| {
        schema
            .entry("format")
            .or_insert_with(|| Value::String(format.to_owned()));
        Some("string")
    };
    match name.trim().to_ascii_lowercase().as_str() {
        "string" | "str" | "text" => Some("string"),
        "number" | "float" | "double" | "decimal" => Some("number"),
        "integer" | "int" | "int32" | "int64" | "long" => Some("integer"),
        "boolean" | "bool" => Some("boolean"),
        "array" | "list" => Some("array"),
        "object" => Some("object"),
        "null" => Some("null"),
        "any" => Some("any"),
        "file" => with_format("binary"),
        "date" => with_format("date"),
        "datetime" | "date-time" => with_format("date-time"),
        "uuid" => with_format("uuid"),
        _ => None,
    }
}

/// Authors leave out `type: object` above `properties`, and `type: array` above `items`.
fn guessed_type(schema: &Map<String, Value>) -> Option<Value> {
    const OTHERWISE_SAID: [&str; 7] = ["allOf", "anyOf", "oneOf", "enum", "const", "if", "not"];
    if OTHERWISE_SAID.iter().any(|key| schema.contains_key(*key)) {
        return None;
    }
    if schema.contains_key("properties") {
        return Some(json!("object"));
    }
    schema.contains_key("items").then(|| json!("array"))
}

/// `format: binary` and `byte` became content keywords in 3.1 (OAS 3.1.1 section 4.8.14.1).
pub fn formats(schema: &mut Map<String, Value>) {
    match schema.get("format").and_then(Value::as_str) {
        Some("binary") => {
            schema.shift_remove("format");
            schema
                .entry("contentMediaType")
                .or_insert_with(|| json!("application/octet-stream"));
        }
        Some("byte" | "base64") => {
            schema.shift_remove("format");
            schema
                .entry("contentEncoding")
                .or_insert_with(|| json!("base64"));
        }
        _ => {}
    }
}

/// `nullable: true`: null is one of the values.
pub fn nullable(mut schema: Map<String, Value>) -> Value {
    for alternatives in ["oneOf", "anyOf"] {
        let no_type = !schema.contains_key("type");
        if let Some(Value::Array(members)) = schema.get_mut(alternatives)
            && no_type
        {
            members.push(json!({"type": "null"}));
            return Value::Object(schema);
        }
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
    match schema.get_mut("type") {
        Some(Value::Array(types)) if !types.contains(&json!("null")) => types.push(json!("null")),
        Some(Value::Array(_)) | None => {}
        Some(one) => *one = json!([one.take(), "null"]),
    }
    if !schema.contains_key("allOf") {
        return Value::Object(schema);
    }
    // Every part of the `allOf` would have to allow null; what is meant is "this, or null".
    let texts = ["title", "description", "default", "examples", "deprecated"];
    let mut whole = Map::new();
    for key in texts {
        if let Some(value) = schema.shift_remove(key) {
            whole.insert(key.to_owned(), value);
        }
    }
    let alternatives = json!([Value::Object(schema), {"type": "null"}]);
    whole.insert("anyOf".to_owned(), alternatives);
    Value::Object(whole)
}
