//! Bodies of every media type, as data: `tests/data/bodies.json`.

use causeway::mcp::plan::{Aids, Destination, Linked, accept, base_url};
use causeway::mcp::tool::Tool;
use causeway::types::UpstreamRequest;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{one, planned, refusal, tools};

#[test]
fn every_body_is_written_as_its_media_type_says() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bodies.json");
    let table: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut cases = 0;
    let mut wrong = Vec::new();
    for row in table["rows"].as_array().unwrap() {
        let document = json!({
            "openapi": row["version"], "info": {"title": "T", "version": "1"},
            "servers": [{"url": "https://h"}],
            "components": {"schemas": row.get("schemas").unwrap_or(&json!({}))},
            "paths": {"/": {"post": {"operationId": "t", "responses": {"204": {"description": "ok"}},
                "requestBody": {"required": row["required"], "content": row["content"]}}}}});
        let tool = tools(&document).remove(0);
        let root = &tool.def.input_schema;
        for key in ["oneOf", "anyOf", "allOf"] {
            assert!(
                root.get(key).is_none(),
                "{}: {key} at the root",
                row["about"]
            );
        }
        for case in row["cases"].as_array().unwrap() {
            cases += 1;
            if let Some(fault) = fault(&tool, case) {
                wrong.push(format!(
                    "{} {}\n   {}: {fault}",
                    row["version"], row["about"], case["arguments"]
                ));
            }
        }
    }
    assert!(cases > 100, "only {cases} cases were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with what a case becomes.
fn fault(tool: &Tool, case: &Value) -> Option<String> {
    let arguments = case["arguments"].as_str().unwrap();
    match (with_links(tool, arguments), case["refused"].as_str()) {
        (Err(text), Some(part)) if text.contains(part) => None,
        (Err(text), _) => Some(format!("refused: {text}")),
        (Ok(_), Some(_)) => Some("was not refused".to_owned()),
        (Ok(request), None) => {
            let kind = request.headers.get("content-type");
            let kind = kind.map_or("", |kind| kind.to_str().unwrap());
            let body = String::from_utf8_lossy(&request.body).into_owned();
            let (kind, body) = match kind.split_once("boundary=") {
                Some((head, boundary)) => {
                    (format!("{head}boundary=B"), body.replace(boundary, "B"))
                }
                None => (kind.to_owned(), body),
            };
            let expected = case["contentType"].as_str().unwrap_or(&kind);
            let sent = (expected == kind && case["body"] == body).then_some(());
            sent.map_or(
                Some(format!(
                    "sent {kind}\n   {body:?}\n   expected {expected}\n   {:?}",
                    case["body"].as_str().unwrap()
                )),
                |()| None,
            )
        }
    }
}

fn with_links(tool: &Tool, arguments: &str) -> Result<UpstreamRequest, String> {
    let base = base_url(&tool.def, Destination::default()).unwrap();
    let arguments = Some(RawValue::from_string(arguments.to_owned()).unwrap());
    let known = "causeway://answers/1";
    let mut aids = Aids::default();
    let accepted = accept(tool, &arguments).map_err(|error| error.to_string())?;
    // Only what the plan asks for is fetched.
    if accepted.links().iter().any(|link| link == known) {
        let linked = Linked {
            media_type: Some("image/png".to_owned()),
            filename: Some("plot.png".to_owned()),
            bytes: "linked".into(),
        };
        aids.links.insert(known.to_owned(), linked);
    }
    accepted
        .plan(&base, &aids)
        .map(|planned| planned.request)
        .map_err(|error| error.to_string())
}

#[test]
fn a_body_of_several_media_types_has_one_flat_schema_with_a_choice() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let tool = super::one(
        &json!({"/": {"patch": {"operationId": "p", "requestBody": {"content": {
        "application/merge-patch+json": {"schema": schema},
        "application/json-patch+json": {"schema": {"type": "array"}}}},
        "responses": {"204": {"description": "ok"}}}}}),
    );
    let properties = &tool.def.input_schema["properties"];
    assert_eq!(
        properties["content_type"]["enum"],
        json!([
            "application/merge-patch+json",
            "application/json-patch+json"
        ])
    );
    assert_eq!(
        properties["content_type"]["default"],
        "application/merge-patch+json"
    );
    let alternatives = properties["body"]["anyOf"].as_array().unwrap();
    assert_eq!(
        alternatives[0]["properties"]["a"]["type"],
        json!(["string", "null"])
    );
    assert_eq!(alternatives[1]["title"], "application/json-patch+json");
}

#[test]
fn arguments_nested_beyond_any_use_are_refused() {
    let tool = one(
        &json!({"/notes": {"post": {"operationId": "add", "requestBody": {
        "content": {"application/json": {"schema": {"type": "object"}}}}, "responses": {}}}}),
    );
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |depth: usize| {
            let value = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            format!("{{\"body\":{{\"any\":{value}}}}}")
        };
        let within = planned(&tool, &nested(100));
        assert!(within.is_ok(), "{within:?}");
        let refusal = refusal(&tool, &nested(100_000));
        assert!(
            refusal.contains("`body`: it is nested too deeply"),
            "{refusal}"
        );
    }
}
