//! What holds for every answer, whatever the API sends: the fuzz target and the tests share it.

use std::time::Duration;

use causeway::mcp::content::fields::Fields;
use causeway::mcp::content::{Manner, json, render_as};
use causeway::mcp::provider::Content;
use causeway::mcp::tool::{Tool, define};
use causeway::openapi::{self, DocumentLimits};
use causeway::types::UpstreamResponse;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;

const KINDS: [&str; 8] = [
    "application/json",
    "application/problem+json; charset=utf-16",
    "text/plain",
    "text/html; charset=shift_jis",
    "text/event-stream",
    "application/x-ndjson",
    "image/png",
    "application/octet-stream",
];

/// A schema, a NUL, one byte that chooses status and media type, one for the budget, and the body.
pub(crate) fn check(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let (Some(schema), Some([choice, budget, body @ ..])) = (parts.next(), parts.next()) else {
        return;
    };
    let Ok(schema) = serde_json::from_slice::<Value>(schema) else {
        return;
    };
    let Some(tool) = tool(&schema) else { return };
    let kind = KINDS[usize::from(*choice) % KINDS.len()];
    let status = [200, 200, 201, 422, 502][usize::from(*choice) / KINDS.len() % 5];
    let bytes_max = 64 + usize::from(*budget) * 4;
    let response = UpstreamResponse {
        status: StatusCode::from_u16(status).expect("a status"),
        headers: HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]),
        body: body.to_vec().into(),
        truncated: budget % 7 == 0,
        first_byte: Duration::ZERO,
        total: Duration::ZERO,
    };
    for fields in [&[][..], &["a", "*.id", "b.*"]] {
        let manner = Manner {
            bytes_max,
            fields: [Fields::default(), Fields::parse(fields).expect("fields")],
            ..Manner::default()
        };
        let outcome = render_as(&tool, &response, &manner).outcome;
        assert!(!outcome.content.is_empty());
        let unread = response.truncated && outcome.is_error;
        assert_eq!(outcome.is_error, status >= 300 || unread);
        let Some(Content::Text(text)) = outcome.content.first() else {
            continue;
        };
        let is_json = std::str::from_utf8(body).is_ok_and(|body| json::checked(body).is_some());
        if status < 300 && kind == KINDS[0] && is_json {
            assert!(text.len() <= bytes_max, "{} of {bytes_max}", text.len());
            assert!(json::checked(text).is_some(), "no JSON: {text}");
        }
        if let (Some(output), false) = (&tool.output, outcome.is_error) {
            let structured = outcome.structured.expect("structured content");
            let value: Value = serde_json::from_str(structured.get()).expect("JSON");
            assert!(output.is_valid(&value), "{value}");
        }
    }
}

fn tool(schema: &Value) -> Option<Tool> {
    let document = serde_json::json!({
        "openapi": "3.1.0",
        "info": {"title": "t", "version": "1"},
        "servers": [{"url": "https://api.example.com"}],
        "paths": {"/a": {"get": {"operationId": "a", "parameters": [
            {"name": "page", "in": "query", "schema": {"type": "integer"}}],
            "responses": {"200": {"description": "ok", "content": {"application/json": {"schema": schema}}}}}}},
    });
    let limits = DocumentLimits {
        nodes_max: 20_000,
        depth_max: 64,
        expansions_max: 10_000,
        ..DocumentLimits::default()
    };
    let api = openapi::read(document.to_string().as_bytes(), &limits).ok()?;
    let def = define(&api).tools.into_iter().next()?;
    Some(Tool::compile_shaped(def, false).0)
}
