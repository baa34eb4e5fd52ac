//! What holds for every operation and every arguments: shared by the fuzz target and the tests on
//! stable.

use causeway::mcp::plan::{Destination, base_url, plan};
use causeway::mcp::tool::{Tool, define};
use causeway::openapi::{DocumentLimits, Location, read};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// An Operation Object and arguments, both JSON, with a line of three dashes between. Whatever they
/// are, the request stays in its place, or there is none.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Some((operation, arguments)) = text.split_once("\n---\n") else {
        return;
    };
    let Ok(operation) = serde_json::from_str::<Value>(operation) else {
        return;
    };
    let Ok(arguments) = RawValue::from_string(arguments.trim().to_owned()) else {
        return;
    };
    let version = operation
        .get("x-version")
        .unwrap_or(&json!("3.1.0"))
        .clone();
    let word = if version == "2.0" {
        "swagger"
    } else {
        "openapi"
    };
    let document = json!({
        word: version, "info": {"title": "T", "version": "1"},
        "components": operation.get("x-components"),
        "paths": {"/a/{p}/z": {"post": operation}},
    });
    let limits = DocumentLimits {
        nodes_max: 20_000,
        expansions_max: 10_000,
        ..DocumentLimits::default()
    };
    let bytes = serde_json::to_vec(&document).expect("a value is JSON");
    let Ok(api) = read(&bytes, &limits) else {
        return;
    };
    for def in define(&api).tools {
        let (tool, _) = Tool::compile(def);
        one(&tool, &arguments);
    }
}

fn one(tool: &Tool, arguments: &RawValue) {
    let to = Destination {
        upstream: Some("https://h.example/base?k=1"),
        ..Destination::default()
    };
    let base = base_url(&tool.def, to).expect("a valid upstream");
    let Ok(planned) = plan(tool, &base, &Some(arguments.to_owned())) else {
        return;
    };
    let request = planned.request;
    assert_eq!(
        request.url.origin().ascii_serialization(),
        "https://h.example"
    );
    assert!(request.url.fragment().is_none());
    assert!(
        request
            .url
            .query()
            .is_some_and(|query| query.starts_with("k=1"))
    );
    let segments: Vec<&str> = request.url.path_segments().expect("a path").collect();
    assert!(
        matches!(segments.as_slice(), ["base", "a", own, "z"] if !own.is_empty()),
        "{}",
        request.url
    );
    let declared = tool.def.binding.parameters.iter();
    let declared: Vec<String> = declared
        .filter(|parameter| parameter.location == Location::Header)
        .map(|parameter| parameter.name.to_ascii_lowercase())
        .collect();
    for (name, value) in &request.headers {
        let ours = ["accept", "content-type", "cookie"].contains(&name.as_str());
        assert!(
            ours || declared.iter().any(|known| known == name.as_str()),
            "{name}"
        );
        assert!(
            value
                .as_bytes()
                .iter()
                .all(|byte| *byte == b'\t' || (b' '..=b'~').contains(byte))
        );
    }
    let kind = request.headers.get("content-type");
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().unwrap_or_default().ends_with("json") {
        assert!(serde_json::from_slice::<&RawValue>(&request.body).is_ok());
    }
    if let Some((_, boundary)) = kind.split_once("boundary=") {
        let end = format!("--{boundary}--\r\n");
        assert!(request.body.ends_with(end.as_bytes()));
    }
}
