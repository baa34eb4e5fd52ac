//! The pure part of a call: arguments to request, answer to result.

use std::hint::black_box;
use std::time::Duration;

use causeway::mcp::content::render;
use causeway::mcp::plan::{Destination, base_url, plan};
use causeway::mcp::tool::{Tool, define};
use causeway::openapi::{DocumentLimits, read};
use causeway::types::UpstreamResponse;
use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::value::RawValue;

fn plan_and_render(criterion: &mut Criterion) {
    let document = include_bytes!("../specs-examples/bookshop.yaml");
    let api = read(document, &DocumentLimits::default()).expect("the document is valid");
    let tools = define(&api).tools;
    let def = tools
        .into_iter()
        .find(|tool| tool.name.as_str() == "listBooks");
    let (tool, _) = Tool::compile(def.expect("the bookshop lists books"));
    let base = base_url(&tool.def, Destination::default()).expect("the bookshop names a server");
    let text = r#"{"page":1,"page_size":20,"genre":["novel","poetry"],"sort":"title"}"#;
    let arguments = Some(RawValue::from_string(text.to_owned()).expect("the text is JSON"));
    let planned = plan(&tool, &base, &arguments);
    assert!(planned.is_ok(), "{planned:?}");

    let book = r#"{"isbn":"9780000000001","title":"A book","price":1999,"stock":3}"#;
    let body = format!(r#"{{"items":[{}],"total":20}}"#, vec![book; 20].join(","));
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    let response = UpstreamResponse {
        status: StatusCode::OK,
        headers,
        body: body.into(),
        truncated: false,
        first_byte: Duration::ZERO,
        total: Duration::ZERO,
    };
    criterion.bench_function("plan", |b| {
        b.iter(|| plan(&tool, black_box(&base), &arguments));
    });
    criterion.bench_function("render", |b| b.iter(|| render(&tool, black_box(&response))));
}

criterion_group!(benches, plan_and_render);
criterion_main!(benches);
