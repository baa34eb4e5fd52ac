//! Schemas of Swagger 2.0 and OpenAPI 3.0 in the words of JSON Schema 2020-12.
//!
//! Also what documents of every version get wrong alike (`type: int`, `exclusiveMinimum: true`
//! in 3.1): the conversion does not ask for the version, because the old words mean nothing else
//! in the new one.

use serde_json::{Map, Value, json};

use crate::openapi::keyword::{is_annotation, names, number};
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
            .filter_map(|(name, value)| Some((name, names(&value)?)))
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

/// Keywords through which other schemas have their say about null.
const COMPOSING: [&str; 6] = ["$ref", "allOf", "anyOf", "oneOf", "not", "if"];

/// Keywords that say by themselves whether null is meant.
const LISTING: [&str; 3] = ["type", "enum", "const"];

/// `nullable: true`: null is one of the values, accepted once.
///
/// OAS 3.0.3 (section 4.7.24.1, and its clarification) adds null to the `type` beside it and leaves
/// it to every other keyword to refuse it. Those who write it beside an `enum`, a `$ref` or a
/// composition mean "this, or null", and that is how it is read.
pub fn nullable(mut schema: Map<String, Value>) -> Value {
    let composing: Vec<&str> = COMPOSING
        .into_iter()
        .filter(|key| schema.contains_key(*key))
        .collect();
    let listing = LISTING.iter().any(|key| schema.contains_key(*key));
    let alternatives = match composing.as_slice() {
        [] => {
            list_null(&mut schema);
            return Value::Object(schema);
        }
        [only @ ("anyOf" | "oneOf")] if !listing => schema.get_mut(*only),
        _ => None,
    };
    if let Some(Value::Array(members)) = alternatives {
        let admitting = members.iter().filter(|m| admits_null(m) == Some(true));
        let refusing = members.iter().filter(|m| admits_null(m) == Some(false));
        let (admitting, refusing) = (admitting.count(), refusing.count());
        let one_of = composing == ["oneOf"];
        if admitting == 1 && (!one_of || refusing + 1 == members.len()) {
            return Value::Object(schema);
        }
        if admitting == 0 && (!one_of || refusing == members.len()) {
            members.push(json!({"type": "null"}));
            return Value::Object(schema);
        }
    }
    this_or_null(schema)
}

/// Adds null to what the schema lists.
fn list_null(schema: &mut Map<String, Value>) {
    if let Some(only) = schema.get("const").filter(|only| !only.is_null()) {
        let values = json!([only, null]);
        schema.shift_remove("const");
        // A list beside it can only have said the same.
        schema.insert("enum".to_owned(), values);
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
    match schema.get_mut("type") {
        Some(Value::Array(types)) if !types.contains(&json!("null")) => types.push(json!("null")),
        Some(Value::String(one)) if one != "null" => {
            let types = json!([one, "null"]);
            schema.insert("type".to_owned(), types);
        }
        _ => {}
    }
}

/// Whether a schema accepts null, if that can be seen from here.
fn admits_null(schema: &Value) -> Option<bool> {
    let Value::Object(members) = schema else {
        return schema.as_bool();
    };
    let refused = LISTING.iter().any(|key| match (*key, members.get(*key)) {
        (_, None) => false,
        ("type", Some(Value::String(one))) => one != "null",
        ("type", Some(Value::Array(types))) => !types.contains(&json!("null")),
        ("enum", Some(Value::Array(values))) => !values.contains(&Value::Null),
        (_, Some(value)) => !value.is_null(),
    });
    if refused {
        return Some(false);
    }
    let composed = COMPOSING.iter().any(|key| members.contains_key(*key));
    (!composed).then_some(true)
}

/// The schema as one alternative and null as the other; what only describes the value stays outside.
fn this_or_null(schema: Map<String, Value>) -> Value {
    let (mut whole, this): (Map<_, _>, Map<_, _>) =
        schema.into_iter().partition(|(key, _)| is_annotation(key));
    let alternatives = json!([Value::Object(this), {"type": "null"}]);
    whole.insert("anyOf".to_owned(), alternatives);
    Value::Object(whole)
}
