//! Schemas of structured output: other dialects take more of JSON Schema
//! (<https://platform.claude.com/docs/en/build-with-claude/structured-outputs>).

use serde_json::{Map, Value};

/// Keywords that are refused in a schema of the output.
const REFUSED: [&str; 15] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "patternProperties",
    "contains",
    "minContains",
    "maxContains",
];

/// The schema without what is refused, which its descriptions tell the model instead, and the names of it.
pub(crate) fn strict(schema: &Value) -> (Value, Vec<&'static str>) {
    let mut refused = Vec::new();
    let schema = rewritten(schema, &mut refused);
    refused.sort_unstable();
    refused.dedup();
    (schema, refused)
}

fn rewritten(schema: &Value, refused: &mut Vec<&'static str>) -> Value {
    let Value::Object(schema) = schema else {
        return schema.clone();
    };
    let mut said = Vec::new();
    let mut strict = Map::new();
    for (keyword, value) in schema {
        if let Some(name) = REFUSED.into_iter().find(|name| name == keyword) {
            refused.push(name);
            said.push(format!("{name}: {value}"));
            continue;
        }
        let value = match (keyword.as_str(), value) {
            ("properties" | "$defs" | "definitions", Value::Object(named)) => named
                .iter()
                .map(|(name, schema)| (name.clone(), rewritten(schema, refused)))
                .collect(),
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(list)) => list
                .iter()
                .map(|schema| rewritten(schema, refused))
                .collect(),
            ("items" | "not", schema) => rewritten(schema, refused),
            ("minItems", value) if value.as_u64().is_some_and(|least| least > 1) => {
                refused.push("minItems");
                said.push(format!("minItems: {value}"));
                continue;
            }
            (_, value) => value.clone(),
        };
        let keyword = if keyword == "oneOf" { "anyOf" } else { keyword };
        strict.insert(keyword.to_owned(), value);
    }
    if is_object(&strict) {
        strict.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    if !said.is_empty() {
        describe(&mut strict, &said.join(", "));
    }
    Value::Object(strict)
}

fn is_object(schema: &Map<String, Value>) -> bool {
    let kind = schema.get("type");
    let said = kind.is_some_and(|kind| kind == "object" || has(kind, "object"));
    said || schema.contains_key("properties")
}

fn has(kinds: &Value, kind: &str) -> bool {
    let kinds = kinds.as_array();
    kinds.is_some_and(|kinds| kinds.iter().any(|one| one == kind))
}

fn describe(schema: &mut Map<String, Value>, what: &str) {
    let before = schema.get("description").and_then(Value::as_str);
    let before = before.map(|text| format!("{text}\n\n")).unwrap_or_default();
    schema.insert(
        "description".to_owned(),
        Value::from(format!("{before}{{{what}}}")),
    );
}
