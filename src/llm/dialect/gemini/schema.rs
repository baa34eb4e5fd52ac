//! Google's `Schema`, a subset of that of OpenAPI 3.0 with types in capitals, as JSON Schema
//! (<https://ai.google.dev/api/caching#Schema>).

use serde_json::{Map, Value, json};

use crate::llm::dialect::gemini::names::camel_keys;

/// How deep schemas are followed; what is deeper stays as it is.
const DEPTH_MAX: usize = 64;

/// A JSON Schema that allows the same values. What is one already stays the same.
pub(crate) fn json_schema(schema: Value) -> Value {
    converted(schema, 0)
}

fn converted(schema: Value, depth: usize) -> Value {
    let Value::Object(map) = schema else {
        return schema;
    };
    if depth > DEPTH_MAX {
        return Value::Object(map);
    }
    let mut map = camel_keys(map);
    let order = map.shift_remove("propertyOrdering");
    let nullable = map.shift_remove("nullable");
    if map.get("format").and_then(Value::as_str) == Some("enum") {
        map.shift_remove("format");
    }
    let mut schema = Map::new();
    for (key, value) in map {
        if let Some((key, value)) = keyword(key, value, depth) {
            schema.insert(key, value);
        }
    }
    if let (Some(Value::Array(order)), Some(Value::Object(properties))) =
        (order, schema.get_mut("properties"))
    {
        reorder(properties, &order);
    }
    if nullable == Some(Value::Bool(true)) {
        allow_null(&mut schema);
    }
    Value::Object(schema)
}

/// One keyword as JSON Schema says it.
fn keyword(key: String, value: Value, depth: usize) -> Option<(String, Value)> {
    let inner = |value: Value| converted(value, depth + 1);
    let value = match (key.as_str(), value) {
        ("type", Value::String(name)) => match name.as_str() {
            "TYPE_UNSPECIFIED" => return None,
            name => Value::String(name.to_ascii_lowercase()),
        },
        ("properties" | "defs" | "$defs", Value::Object(map)) => {
            let map = map.into_iter().map(|(name, value)| (name, inner(value)));
            Value::Object(map.collect())
        }
        ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(list)) => {
            Value::Array(list.into_iter().map(inner).collect())
        }
        ("items" | "additionalProperties" | "not", value) => inner(value),
        (
            "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties",
            Value::String(digits),
        ) => digits
            .parse::<u64>()
            .map_or_else(|_| Value::String(digits), Value::from),
        ("example", value) => return Some(("examples".to_owned(), json!([value]))),
        (_, value) => value,
    };
    let key = match key.as_str() {
        "defs" => "$defs".to_owned(),
        "ref" => "$ref".to_owned(),
        _ => key,
    };
    Some((key, value))
}

/// Models write properties in the order in which a schema names them.
fn reorder(properties: &mut Map<String, Value>, order: &[Value]) {
    let mut ordered = Map::new();
    for name in order.iter().filter_map(Value::as_str) {
        if let Some(value) = properties.shift_remove(name) {
            ordered.insert(name.to_owned(), value);
        }
    }
    ordered.append(properties);
    *properties = ordered;
}

fn allow_null(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(values)) = schema.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.push(json!({"type": "null"}));
    }
    if let Some(kind) = schema.get_mut("type") {
        *kind = json!([kind.take(), "null"]);
    }
}
