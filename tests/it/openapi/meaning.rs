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
