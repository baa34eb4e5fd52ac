//! Answers: how much of them is given, which members, which page comes next, what an error says.

mod anything;
mod check;
mod errors;
mod flow;
mod jq;
mod kept;
mod paging;
mod sent_on;
mod streams;

use std::time::Duration;

use causeway::mcp::content::{Manner, Rendered, render_as};
use causeway::mcp::provider::{Content, ToolOutcome};
use causeway::mcp::tool::{Tool, define};
use causeway::openapi::{self, DocumentLimits};
use causeway::types::UpstreamResponse;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

/// The tool of the only operation of these paths.
pub(crate) fn tool(paths: &Value) -> Tool {
    let document = json!({
        "openapi": "3.1.0",
        "info": {"title": "t", "version": "1"},
        "servers": [{"url": "https://api.example.com/v1"}],
        "paths": paths,
    });
    let bytes = document.to_string();
    let api = openapi::read(bytes.as_bytes(), &DocumentLimits::default()).unwrap();
    let tools = define(&api).tools;
    assert_eq!(tools.len(), 1);
    Tool::compile_shaped(tools.into_iter().next().unwrap(), false).0
}

pub(crate) fn response(status: u16, headers: &[(&str, &str)], body: &[u8]) -> UpstreamResponse {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        map.append(name, HeaderValue::from_str(value).unwrap());
    }
    UpstreamResponse {
        status: StatusCode::from_u16(status).unwrap(),
        headers: map,
        body: body.to_vec().into(),
        truncated: false,
        first_byte: Duration::ZERO,
        total: Duration::ZERO,
    }
}

pub(crate) fn rendered(tool: &Tool, response: &UpstreamResponse, bytes_max: usize) -> Rendered {
    let manner = Manner {
        bytes_max,
        ..Manner::default()
    };
    render_as(tool, response, &manner)
}

/// The texts of a result.
pub(crate) fn texts(outcome: &ToolOutcome) -> Vec<&str> {
    let texts = outcome.content.iter().filter_map(|content| match content {
        Content::Text(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}
