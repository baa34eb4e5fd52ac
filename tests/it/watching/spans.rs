//! Spans that a collector gets, and what happens where none takes them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::egress::serve_local;
use crate::program::{Serving, document};
use crate::watching::{ADMIN, scrape};

pub(crate) const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub(crate) const PARENT: &str = "00f067aa0ba902b7";
const ARGUMENT: &str = "an-argument-nobody-repeats";
const SECRET: &str = "a-secret-nobody-repeats";

type Sender = mpsc::UnboundedSender<(HeaderMap, Value)>;
type Taken = mpsc::UnboundedReceiver<(HeaderMap, Value)>;

/// A collector of spans, and what it takes.
pub(crate) async fn collector() -> (String, Taken) {
    collector_at("/v1/traces").await
}

/// A collector that takes what is sent there, and nothing else.
pub(crate) async fn collector_at(path: &str) -> (String, Taken) {
    let (sender, taken) = mpsc::unbounded_channel();
    let take = async |State(sender): State<Sender>, headers: HeaderMap, body: String| {
        let body = serde_json::from_str(&body).unwrap();
        sender.send((headers, body)).unwrap();
        "{}"
    };
    let router = Router::new().route(path, axum::routing::post(take));
    let address = serve_local(router.with_state(sender)).await;
    (format!("http://{address}"), taken)
}

/// An API that tells which `traceparent` it got.
async fn api() -> (String, Arc<parking_lot::Mutex<Vec<String>>>) {
    let heard = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let hear = heard.clone();
    let item = move |headers: HeaderMap| {
        let parent = headers.get("traceparent");
        let parent = parent.map_or("", |value| value.to_str().unwrap());
        hear.lock().push(parent.to_owned());
        async { ([("content-type", "application/json")], "{}") }
    };
    let router = Router::new().route("/items/{id}", axum::routing::get(item));
    let address = serve_local(router).await;
    (format!("http://{address}"), heard)
}

/// A process that exports to `collector` and serves an API behind a key, as `shop`.
async fn shop(folder: &Path, api: &str, more: &[&str]) -> Serving {
    let paths = json!({
        "paths": { "/items/{id}": { "get": {
            "operationId": "getItem",
            "parameters": [
                { "name": "id", "in": "path", "required": true, "schema": { "type": "string" } },
                { "name": "q", "in": "query", "schema": { "type": "string" } },
            ],
            "responses": { "200": { "description": "It." } },
            "security": [{ "key": [] }],
        } } },
        "components": { "securitySchemes": { "key": { "type": "apiKey", "in": "query", "name": "k" } } },
    });
    let path = document(folder, api, paths);
    let document: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let arguments = [&["--admin-key", ADMIN, "--no-demo"], more].concat();
    let served = Serving::on(&folder.join("data"), &arguments).await;
    let address = api.trim_start_matches("http://");
    let server = json!({
        "slug": "shop", "document": document, "access": "open",
        "allowUpstream": [address], "credentials": { "key": SECRET },
    });
    let (status, said) = served.api(ADMIN, ("POST", "servers"), &server).await;
    assert_eq!(status, 201, "{said}");
    served
}

async fn call(served: &Serving, traceparent: &str) {
    let message = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "getItem", "arguments": { "id": ARGUMENT, "q": ARGUMENT } },
    });
    let client = reqwest::Client::builder().build().unwrap();
    let request = client.post(format!("{}/mcp/shop", served.origin));
    let request = request.header("mcp-protocol-version", "2025-11-25");
    let request = request.header("content-type", "application/json");
    let request = request.header("traceparent", traceparent);
    let answer = request.body(message.to_string()).send().await.unwrap();
    let text = answer.text().await.unwrap();
    assert!(
        text.contains("\"isError\":false") || !text.contains("isError"),
        "{text}"
    );
}

fn sampled() -> String {
    format!("00-{TRACE}-{PARENT}-01")
}

pub(crate) fn spans(body: &Value) -> Vec<Value> {
    let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
    spans.as_array().unwrap().clone()
}

pub(crate) fn attributes(span: &Value) -> HashMap<String, String> {
    let attributes = span["attributes"].as_array().unwrap().iter();
    attributes
        .map(|it| {
            let value = &it["value"];
            let text = value["stringValue"].as_str().or(value["intValue"].as_str());
            let first = value["arrayValue"]["values"][0]["stringValue"].as_str();
            (
                it["key"].as_str().unwrap().to_owned(),
                text.or(first).unwrap().to_owned(),
            )
        })
        .collect()
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn a_call_is_told_as_spans_without_a_word_of_what_it_was_about() {
    let (endpoint, mut taken) = collector().await;
    let (address, heard) = api().await;
    let folder = tempfile::tempdir().unwrap();
    let headers = folder.path().join("headers");
    std::fs::write(
        &headers,
        "# The key of the collector.\nX-Collector-Key: its-key\n",
    )
    .unwrap();
    let config = folder.path().join("causeway.toml");
    let text = format!(
        "[telemetry]\notlp_headers_file = \"{}\"\n",
        headers.display()
    );
    std::fs::write(&config, text).unwrap();
    let config = config.display().to_string();
    let more = ["--otlp-endpoint", &endpoint, "--config", &config];
    let served = shop(folder.path(), &address, &more).await;
    call(&served, &sampled()).await;
    // Its parent is not sampled.
    call(&served, &format!("00-{TRACE}-{PARENT}-00")).await;
    let (sent, body) = taken.recv().await.unwrap();
    assert_eq!(sent["x-collector-key"], "its-key");
    let resource = &body["resourceSpans"][0]["resource"];
    assert_eq!(attributes(resource)["service.name"], "causeway");
    let spans = spans(&body);
    let names: Vec<_> = spans
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    let expected = [
        "limits",
        "plan",
        "authenticate",
        "GET",
        "render",
        "tools/call getItem",
    ];
    assert_eq!(names, expected);
    let root = spans.last().unwrap();
    assert_eq!(root["parentSpanId"], PARENT);
    assert_eq!(root["kind"], 2);
    let told = attributes(root);
    assert_eq!(told["gen_ai.tool.name"], "getItem");
    assert_eq!(told["mcp.method.name"], "tools/call");
    assert_eq!(told["causeway.server"], "shop");
    for span in &spans {
        assert_eq!(span["traceId"], TRACE);
        let time = |name: &str| span[name].as_str().unwrap().parse::<u64>().unwrap();
        assert!(
            time("startTimeUnixNano") <= time("endTimeUnixNano"),
            "{span}"
        );
        if span != root {
            assert_eq!(span["parentSpanId"], root["spanId"], "{span}");
        }
    }
    let told = attributes(&spans[3]);
    for (name, value) in [
        ("http.request.method", "GET"),
        ("url.template", "/items/{id}"),
        ("server.address", "127.0.0.1"),
        ("http.response.status_code", "200"),
    ] {
        assert_eq!(told[name], value, "{told:?}");
    }
    let whole = body.to_string();
    for word in [ARGUMENT, SECRET, "its-key", ADMIN] {
        assert!(!whole.contains(word), "{word} is in {whole}");
    }
    // The API heard of no trace, until the server's owner lets it.
    assert_eq!(heard.lock().as_slice(), ["", ""]);
    let passing = json!({ "passThrough": [
        { "from": "traceparent", "to": "traceparent", "origins": [address] },
    ] });
    let edited = served.api(ADMIN, ("PATCH", "servers/shop"), &passing).await;
    assert_eq!(edited.0, 200, "{edited:?}");
    call(&served, &sampled()).await;
    served.terminate();
    assert_eq!(served.ended().await.0, Some(0));
    // What was not sent yet is sent at the end.
    let (_, body) = taken.recv().await.unwrap();
    let spans = crate::watching::spans::spans(&body);
    let upstream = spans.iter().find(|it| it["name"] == "GET").unwrap();
    let id = upstream["spanId"].as_str().unwrap();
    assert_eq!(heard.lock()[2], format!("00-{TRACE}-{id}-01"));
    assert!(taken.try_recv().is_err());
}

#[tokio::test]
async fn a_collector_that_is_dead_costs_nothing_but_spans() {
    // It takes connections, and never answers.
    let dead = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", dead.local_addr().unwrap());
    let (address, _) = api().await;
    let folder = tempfile::tempdir().unwrap();
    let served = shop(folder.path(), &address, &["--otlp-endpoint", &endpoint]).await;
    let began = Instant::now();
    for _ in 0..50 {
        call(&served, "00-0-0-00").await;
    }
    // A call that waited for the collector would take five seconds.
    assert!(began.elapsed() < Duration::from_secs(25));
    let text = scrape(&served).await;
    let none = "causeway_otlp_spans_total{result=\"exported\"} 0";
    assert!(text.lines().any(|line| line == none), "{text}");
    served.terminate();
    let began = Instant::now();
    assert_eq!(served.ended().await.0, Some(0));
    assert!(began.elapsed() < Duration::from_secs(15));
}
