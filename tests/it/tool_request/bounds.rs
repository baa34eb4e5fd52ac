//! Documents and arguments made to keep a server busy, or to break it: refused, or done in no time.

use std::time::{Duration, Instant};

use causeway::mcp::tool::{Tool, define};
use causeway::openapi::{self, DocumentLimits};
use serde_json::{Map, Value, json};

use super::{document, one, refusal};

/// Generous for a loaded machine and an unoptimized build; what is guarded against takes hours.
const SOON: Duration = Duration::from_secs(20);

fn post(body: &Value) -> Value {
    json!({"/a": {"post": {"operationId": "a",
        "requestBody": {"required": true, "content": {"application/json": {"schema": body}}},
        "responses": {"204": {"description": "ok"}}}}})
}

fn with_schemas(body: &Value, schemas: Map<String, Value>) -> Value {
    let mut document = document(&post(body));
    document["components"] = json!({ "schemas": schemas });
    document
}

fn soon<T>(work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let done = work();
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    done
}

#[test]
fn a_long_chain_of_definitions_takes_no_stack() {
    let link = |n: usize| {
        let next = json!({"$ref": format!("#/components/schemas/A{}", n + 1)});
        (format!("A{n}"), json!({"properties": {"x": next}}))
    };
    for length in [370, 8_000] {
        let mut schemas: Map<String, Value> = (0..length).map(link).collect();
        schemas.insert(format!("A{length}"), json!({"type": "string"}));
        let document = with_schemas(&json!({"$ref": "#/components/schemas/A0"}), schemas);
        let tool = openapi::deep(|| super::tools(&document).remove(0));
        let text = refusal(&tool, r#"{"x":{"x":{"x":1}},"y":1}"#);
        assert!(text.contains("`y`"), "{text}");
    }
}

#[test]
fn alternatives_within_alternatives_keep_nobody_busy() {
    let list = json!({"type": "array", "items": {"$ref": "#/components/schemas/S"}});
    let mut short = list.clone();
    short["maxItems"] = json!(9);
    let schemas = json!({"S": {"anyOf": [list, short]}});
    let schemas = schemas.as_object().unwrap().clone();
    let document = with_schemas(&json!({"$ref": "#/components/schemas/S"}), schemas);
    let tool = super::tools(&document).remove(0);
    for depth in [14, 20, 40, 120] {
        let arguments = format!("{{\"body\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
        let text = soon(|| refusal(&tool, &arguments));
        assert!(text.contains("alternatives"), "{text}");
    }
    let text = refusal(&tool, r#"{"body":[[1]]}"#);
    assert!(text.contains("`body`"), "{text}");
}

#[test]
fn many_alternatives_with_a_renamed_property_are_gone_through_once() {
    let one_of_them = |n: usize| {
        json!({"type": "object", "properties": {
        "$x": {"type": "string"}, format!("p{n}"): {"type": "integer"}}})
    };
    let any: Vec<Value> = (0..100).map(one_of_them).collect();
    let body = json!({"type": "object", "properties": {
        "list": {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"anyOf": any}]}}}});
    let tool = one(&post(&body));
    let numbers = vec!["1"; 50_000].join(",");
    let arguments = format!("{{\"list\":[{numbers}]}}");
    let request = soon(|| super::planned(&tool, &arguments));
    // More steps than so many bytes may ask for would be refused, not done.
    assert!(request.is_ok() || request.unwrap_err().to_string().contains("alternatives"));
}

#[test]
fn a_huge_enumeration_is_looked_at_no_more_than_it_is_used() {
    let values: Vec<String> = (0..20_000).map(|n| format!("value-{n:05}")).collect();
    let kind = json!({"$ref": "#/components/schemas/Kind"});
    let paths: Map<String, Value> = (0..40)
        .map(|n| {
            let operation = json!({"parameters": [{"name": "kind", "in": "query", "schema": kind}],
                "responses": {"204": {"description": "ok"}}});
            (format!("/p{n}"), json!({ "get": operation }))
        })
        .collect();
    let mut document = document(&Value::Object(paths));
    document["components"] = json!({"schemas": {"Kind": {"type": "string", "enum": values}}});
    let bytes = serde_json::to_vec(&document).unwrap();
    let api = openapi::read(&bytes, &DocumentLimits::default()).unwrap();
    let defined = soon(|| define(&api));
    assert_eq!(defined.tools.len(), 40);
    for tool in defined.tools {
        let size = tool.input_schema.to_string().len();
        assert!(size <= 24 << 10, "{size}");
        let (tool, findings) = Tool::compile(tool);
        assert!(findings.is_empty(), "{findings:?}");
        assert!(refusal(&tool, r#"{"kind":1}"#).contains("`kind`"));
    }
}
