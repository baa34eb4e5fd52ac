//! Upstreams that answer piece by piece: collected, told about, ended.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use causeway::access::caller::Caller;
use causeway::credential::Credentials;
use causeway::mcp::provider::{CallError, CallOutcome, Progress, ToolOutcome};
use causeway::mcp::server::{Access, Server, ServerSettings};
use futures::{StreamExt, stream};
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::answers::texts;
use crate::call::{Bench, context, tool_call};
use crate::egress::serve_local;

const EVENTS: &str = ": hi\n\nevent: message\ndata: {\"delta\":1.50}\n\ndata: plain\n\nevent: error\ndata: {\"type\":\"error\",\"n\":1}\n\n";

/// Whether the connection to the endless stream was left.
#[derive(Clone, Default)]
struct Left(Arc<Mutex<bool>>);

struct Guard(Left);

impl Drop for Guard {
    fn drop(&mut self) {
        *self.0.0.lock().unwrap() = true;
    }
}

fn streamed(kind: &'static str, pieces: Vec<&'static str>, guard: Option<Guard>) -> Response {
    let pieces = stream::iter(
        pieces
            .into_iter()
            .map(|p| Ok::<_, Infallible>(Bytes::from(p))),
    );
    let body = match guard {
        None => Body::from_stream(pieces),
        Some(guard) => Body::from_stream(pieces.chain(stream::pending()).map(move |piece| {
            let _held = &guard;
            piece
        })),
    };
    Response::builder()
        .header(CONTENT_TYPE, kind)
        .body(body)
        .unwrap()
}

fn router(left: Left) -> Router {
    Router::new()
        .route(
            "/events",
            get(async || streamed("text/event-stream", vec![EVENTS], None)),
        )
        .route(
            "/lines",
            get(async || {
                streamed(
                    "application/x-ndjson",
                    vec!["{\"a\":1}\n{\"a\":", "2}\n"],
                    None,
                )
            }),
        )
        .route(
            "/seq",
            get(async || {
                streamed(
                    "application/json-seq",
                    vec!["\u{1e}{\"a\":1}\n\u{1e}{\"a\":2}\n"],
                    None,
                )
            }),
        )
        .route(
            "/done",
            get(async |State(left): State<Left>| {
                streamed(
                    "text/event-stream",
                    vec!["data: {\"a\":1}\n\ndata: [DONE]\n\n"],
                    Some(Guard(left)),
                )
            }),
        )
        .route(
            "/endless",
            get(async |State(left): State<Left>| {
                streamed(
                    "application/jsonl",
                    vec!["{\"a\":1}\n{\"a\":2}\n{\"a\""],
                    Some(Guard(left)),
                )
            }),
        )
        .with_state(left)
}

async fn bench(call_timeout_ms: u64) -> (Bench, Server, Left) {
    let left = Left::default();
    let origin = format!("http://{}", serve_local(router(left.clone())).await);
    let item = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
    let event = json!({"type": "object", "properties": {"event": {"type": "string"}, "data": {"type": "string"}}});
    let get = |name: &str, media: &str, item: &Value| json!({"get": {"operationId": name, "responses": {"200": {"description": "ok", "content": {media: {"itemSchema": item}}}}}});
    let document = json!({"openapi": "3.2.0", "info": {"title": "S", "version": "1"}, "servers": [{"url": origin}], "paths": {
        "/events": get("events", "text/event-stream", &event),
        "/lines": get("lines", "application/x-ndjson", &item),
        "/seq": get("seq", "application/json-seq", &item),
        "/done": {"get": {"operationId": "done", "responses": {"200": {"description": "ok"}}}},
        "/endless": get("endless", "application/jsonl", &item),
    }});
    let bench = Bench::local();
    let settings = ServerSettings {
        access: Access::Open,
        call_timeout_ms,
        ..ServerSettings::default()
    };
    let server = bench.server_with(&document, Credentials::default(), settings);
    (bench, server, left)
}

fn structured(server: &Server, tool: &str, outcome: &ToolOutcome) -> Value {
    let value: Value = serde_json::from_str(outcome.structured.as_ref().unwrap().get()).unwrap();
    assert!(
        server.tools[tool].output.as_ref().unwrap().is_valid(&value),
        "{tool}: {value}"
    );
    value
}

#[tokio::test]
async fn a_stream_becomes_the_list_of_its_events() {
    let (bench, server, left) = bench(5_000).await;
    let two = json!({"result": [{"a": 1}, {"a": 2}]});
    for name in ["lines", "seq"] {
        let outcome = bench.call(&server, name, json!({})).await.unwrap();
        assert_eq!(texts(&outcome), [r#"[{"a":1},{"a":2}]"#]);
        assert_eq!(structured(&server, name, &outcome), two);
        let schema = server.tools[name].def.output_schema.as_ref().unwrap();
        assert_eq!(
            schema["properties"]["result"]["items"]["properties"]["a"]["type"],
            json!(["integer", "null"])
        );
    }
    let outcome = bench.call(&server, "events", json!({})).await.unwrap();
    assert_eq!(
        structured(&server, "events", &outcome)["result"],
        json!([
        {"event": "message", "data": "{\"delta\":1.50}"}, {"data": "plain"},
        {"event": "error", "data": "{\"type\":\"error\",\"n\":1}"}])
    );
    let started = Instant::now();
    let outcome = bench.call(&server, "done", json!({})).await.unwrap();
    assert_eq!(texts(&outcome), [r#"[{"a":1}]"#]);
    assert!(
        started.elapsed() < Duration::from_secs(4),
        "[DONE] is the end"
    );
    wait_until_left(&left).await;
}

#[tokio::test]
async fn an_endless_stream_ends_with_what_arrived_and_tells_meanwhile() {
    let (bench, server, left) = bench(1_500).await;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let mut cx = context();
    let log = heard.clone();
    cx.progress = Progress(Some(Arc::new(move |done, _, message| {
        log.lock().unwrap().push((done, message));
    })));
    let caller = Caller::anonymous();
    let call = causeway::mcp::call::call(
        &bench.mcp,
        &caller,
        &server,
        tool_call("endless", json!({})),
        &cx,
    );
    let CallOutcome::Complete(outcome) = call.await.unwrap() else {
        panic!("no question")
    };
    assert!(!outcome.is_error);
    assert_eq!(texts(&outcome)[0], r#"[{"a":1},{"a":2}]"#);
    assert!(
        texts(&outcome)[1].contains("had not ended: these are the 2 events"),
        "{:?}",
        texts(&outcome)
    );
    structured(&server, "endless", &outcome);
    assert!((heard.lock().unwrap()[0].0 - 2.0).abs() < f64::EPSILON);
    wait_until_left(&left).await;
}

#[tokio::test]
async fn a_stream_is_left_with_its_client() {
    let (bench, server, left) = bench(60_000).await;
    let mut cx = context();
    let begun = Arc::new(Notify::new());
    let tell = begun.clone();
    cx.progress = Progress(Some(Arc::new(move |_, _, _| tell.notify_one())));
    let cancel = cx.cancel.clone();
    let caller = Caller::anonymous();
    let call = causeway::mcp::call::call(
        &bench.mcp,
        &caller,
        &server,
        tool_call("endless", json!({})),
        &cx,
    );
    let stop = async {
        // Some of it was read.
        let begun = tokio::time::timeout(Duration::from_secs(20), begun.notified());
        begun.await.expect("events in time");
        cancel.cancel();
    };
    let (result, ()) = tokio::join!(call, stop);
    assert!(matches!(result, Err(CallError::Cancelled)));
    wait_until_left(&left).await;
}

async fn wait_until_left(left: &Left) {
    let started = Instant::now();
    while !*left.0.lock().unwrap() {
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "the connection is still open"
        );
        tokio::task::yield_now().await;
    }
}
