//! What a schema accepts after it was read, where that is more telling than how it is written.

use causeway::openapi::Api;
use serde_json::{Value, json};

use crate::openapi::read;

/// The schema `S` of a document in `version`, beside the other `schemas`.
fn with(version: &str, schema: &Value, schemas: &Value) -> Api {
    let mut schemas = schemas.clone();
    schemas["S"] = schema.clone();
    let body =
        json!({"content": {"application/json": {"schema": {"$ref": "#/components/schemas/S"}}}});
    let document = json!({
        "openapi": version,
        "info": {"title": "T", "version": "1"},
        "servers": [{"url": "https://t.example"}],
        "paths": {"/a": {"post": {"requestBody": body, "responses": {}}}},
        "components": {"schemas": schemas},
    });
    read(&document.to_string()).unwrap()
}

fn accepts(api: &Api, value: &Value) -> bool {
    let schema = json!({"$ref": "#/$defs/S", "$defs": api.definitions});
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    validator.is_valid(value)
}

/// A nullable schema, a value it accepts besides null, and one it refuses. `@A` is a reference.
const NULLABLE: &str = r#"[
    [{"type": "string"}, "x", 1],
    [{"type": "string", "enum": ["x"]}, "x", "y"],
    [{"enum": ["x"]}, "x", "y"],
    [{"type": "string", "const": "x"}, "x", "y"],
    [{"const": "x"}, "x", "y"],
    [{"properties": {"a": {}}}, {}, 1],
    [{"type": "string", "not": {"type": "null"}}, "x", 1],
    [{"oneOf": [@A, @B]}, {"a": 1}, {"a": 1, "b": 1}],
    [{"oneOf": [@A, @N]}, {"a": 1}, {"a": 1, "n": 1}],
    [{"oneOf": [@M, @N]}, {"m": 1}, {"m": 1, "n": 1}],
    [{"oneOf": [{"type": "string"}, {"type": "integer"}]}, 1, true],
    [{"oneOf": [{"type": "string", "nullable": true}, {"type": "integer"}]}, 1, true],
    [{"oneOf": [{"enum": ["x", null]}, {"enum": ["y"]}]}, "y", "z"],
    [{"oneOf": [{"maxLength": 1}, {"type": "integer"}]}, "y", 1],
    [{"type": "object", "oneOf": [@A, @B]}, {"a": 1}, {}],
    [{"enum": [1, 2], "oneOf": [{"enum": [1]}, {"enum": [3]}]}, 1, 2],
    [{"anyOf": [@A, @B]}, {"a": 1, "b": 1}, {}],
    [{"anyOf": [@A, @N]}, {"n": 1}, {}],
    [{"type": "object", "anyOf": [@A, @B]}, {"a": 1}, {}],
    [{"anyOf": [@A, @B], "oneOf": [@A, @N]}, {"a": 1}, {"n": 1}],
    [{"allOf": [@A, @B]}, {"a": 1, "b": 1}, {"a": 1}],
    [{"allOf": [@A], "oneOf": [@B]}, {"a": 1, "b": 1}, {"a": 1}],
    [{"type": "object", "allOf": [@A]}, {"a": 1}, {}],
    [@A, {"a": 1}, {}],
    [@N, {"n": 1}, {}]
]"#;

#[test]
fn nullable_accepts_null_beside_every_keyword() {
    let schemas = json!({
        "A": {"type": "object", "required": ["a"]},
        "B": {"type": "object", "required": ["b"]},
        "N": {"type": "object", "nullable": true, "required": ["n"]},
        "M": {"type": "object", "nullable": true, "required": ["m"]},
    });
    let mut cases = NULLABLE.to_owned();
    for name in ["A", "B", "M", "N"] {
        let reference = json!({"$ref": format!("#/components/schemas/{name}")});
        cases = cases.replace(&format!("@{name}"), &reference.to_string());
    }
    let cases: Vec<(Value, Value, Value)> = serde_json::from_str(&cases).unwrap();
    let mut wrong = Vec::new();
    for (schema, good, bad) in &cases {
        for (version, word) in [
            ("3.0.3", "nullable"),
            ("3.1.0", "nullable"),
            ("3.0.3", "x-nullable"),
        ] {
            let mut nullable = schema.clone();
            nullable[word] = json!(true);
            let api = with(version, &nullable, &schemas);
            let found = [&Value::Null, good, bad].map(|value| accepts(&api, value));
            if found != [true, true, false] {
                let read = &api.definitions["S"];
                wrong.push(format!("{version} {nullable}: {found:?} {read}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_said_of_a_nullable_value_stands_outside_of_the_alternatives() {
    let reference = json!({"$ref": "#/components/schemas/A"});
    let schema = json!({"type": "object", "properties": {"p": {
        "allOf": [reference], "nullable": true, "readOnly": true, "description": "D",
    }}});
    let api = with("3.0.3", &schema, &json!({"A": {"type": "object"}}));
    assert_eq!(
        api.definitions["S"]["properties"]["p"],
        json!({
            "readOnly": true,
            "description": "D",
            "anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}],
        })
    );
}

/// Lists of parts; `@T` and `@U` are references.
const PARTS: &str = r#"[
    [{"additionalProperties": {"type": "string"}}, {"properties": {"a": {}}}],
    [{"properties": {"a": {}}}, {"additionalProperties": {"type": "string"}}],
    [{"additionalProperties": @T}, {"properties": {"a": {"minLength": 2}, "b": {}}}],
    [{"properties": {"a": {"minLength": 2}, "b": {}}}, {"additionalProperties": @T}],
    [{"additionalProperties": {"type": "string"}}, {"properties": {"a": {"type": "integer"}}}],
    [{"additionalProperties": @T}, {"properties": {"a": true}}, {"properties": {"b": false}}],
    [{"additionalProperties": @T, "properties": {"a": {}}}, {"additionalProperties": @T, "properties": {"b": {}}}],
    [{"additionalProperties": @T, "properties": {"a": {}}}, {"additionalProperties": @U, "properties": {"b": {}}}, {"properties": {"c": {}}}],
    [{"additionalProperties": {"not": {"type": "integer"}}, "properties": {"a": {}}}, {"additionalProperties": false, "properties": {"a": {}, "b": {}}}],
    [{"additionalProperties": @T}, {"patternProperties": {"^x-": {}}}],
    [{"patternProperties": {"^x-": {}}}, {"additionalProperties": @T}],
    [{"additionalProperties": @T, "patternProperties": {"^a": {"type": "integer"}}}, {"properties": {"a": {}, "b": {}}}],
    [{"additionalProperties": false}, {"patternProperties": {"^x-": {}}}],
    [{"properties": {"p": {"properties": {"q": {}}, "additionalProperties": false}}}, {"properties": {"p": {"properties": {"r": {}}}}}],
    [{"unevaluatedProperties": false, "properties": {"a": {}}}, {"properties": {"b": {}}}],
    [{"if": {"required": ["a"]}}, {"then": {"required": ["b"]}}],
    [{"else": {"required": ["b"]}}, {"if": {"required": ["a"]}}],
    [{"then": false}, {"else": false}, {"if": {"required": ["a"]}}],
    [{"if": {"required": ["a"]}, "then": {"required": ["b"]}}, {"else": {"required": ["c"]}}],
    [{"if": {"required": ["a"]}, "then": {"required": ["b"]}}, {"if": {"required": ["a"]}, "else": {"required": ["c"]}}],
    [{"contains": @T}, {"minContains": 2}],
    [{"contains": @T}, {"contains": @T, "minContains": 0}],
    [{"items": @T}, {"prefixItems": [{}]}],
    [{"prefixItems": [{}]}, {"items": @T}],
    [{"prefixItems": [{}], "unevaluatedItems": false}, {"prefixItems": [{}, {}]}],
    [{"properties": {"a": {"allOf": [{"pattern": "x"}, {"pattern": "y"}]}}}, {"properties": {"a": {"allOf": [{"pattern": "z"}, {"pattern": "q"}]}}}],
    [{"properties": {"a": {"pattern": "x"}}}, {"properties": {"a": {"pattern": "y"}}}, {"properties": {"a": {"pattern": "z"}}}]
]"#;

/// Objects and lists, for the parts that speak of them.
const VALUES: &str = r#"[
    {}, {"a": 1}, {"a": "x"}, {"a": "xyz"}, {"a": "xyzq"}, {"a": "x", "b": 2}, {"a": 1, "b": "x"},
    {"a": "xyz", "b": "xyz"}, {"a": "xyz", "b": "xyz", "c": "xyz"}, {"b": "x", "c": 3},
    {"x-a": 1}, {"x-a": "x"}, {"p": {"q": 1}}, {"p": {"q": 1, "r": 1}},
    [], [1], ["x"], ["x", 1], ["x", "y", 1], [1, 2]
]"#;

/// Merging must not change what is accepted; where it does, a finding says so.
#[test]
fn merged_parts_accept_what_all_of_them_accept() {
    let schemas = json!({"T": {"type": "string"}, "U": {"minLength": 2}});
    let mut parts = PARTS.to_owned();
    for name in ["T", "U"] {
        let reference = json!({"$ref": format!("#/components/schemas/{name}")});
        parts = parts.replace(&format!("@{name}"), &reference.to_string());
    }
    let parts: Vec<Vec<Value>> = serde_json::from_str(&parts).unwrap();
    let values: Vec<Value> = serde_json::from_str(VALUES).unwrap();
    let mut wrong = Vec::new();
    for parts in &parts {
        // The second form has the first part beside the `allOf`.
        let mut beside = parts[0].clone();
        beside["allOf"] = json!(parts[1..]);
        for schema in [json!({"allOf": parts}), beside] {
            let api = with("3.1.0", &schema, &schemas);
            let told = api.findings.iter().any(|f| f.code == "allof-closed");
            let mut literal = schema.clone();
            literal["components"] = json!({"schemas": schemas});
            let literal = jsonschema::draft202012::new(&literal).unwrap();
            let text = schema.to_string();
            let of_lists = text.contains("tems") || text.contains("contains");
            let found = values.iter().find(|value| {
                value.is_array() == of_lists && accepts(&api, value) != literal.is_valid(value)
            });
            if let (Some(value), false) = (found, told) {
                let read = &api.definitions["S"];
                wrong.push(format!("{value}: {schema} is {read}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_closed_part_within_a_property_is_told() {
    let parts = json!([
        {"properties": {"p": {"properties": {"q": {}}, "additionalProperties": false}}},
        {"properties": {"p": {"properties": {"r": {}}}}},
    ]);
    let api = with("3.1.0", &json!({"allOf": parts}), &json!({}));
    let told = api.findings.iter().filter(|f| f.code == "allof-closed");
    assert_eq!(told.count(), 1);
    assert!(accepts(&api, &json!({"p": {"q": 1, "r": 1}})));
}

#[test]
fn one_property_in_many_parts_does_not_nest() {
    let part = |n: usize| json!({"properties": {"p": {"pattern": format!("^{n}")}}});
    let parts: Vec<Value> = (0..300).map(part).collect();
    let api = with("3.1.0", &json!({"allOf": parts}), &json!({}));
    assert!(depth(&api.definitions["S"]) < 10);
    assert!(!accepts(&api, &json!({"p": "1"})));
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
