//! What operators see: readiness, metrics, and the log.

#![expect(
    clippy::disallowed_methods,
    reason = "a test is a client of the process, and no client goes through egress"
)]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use causeway::access::vault::Vault;
use causeway::access::vault::master::MasterKey;
use causeway::app::operate::Operations;
use causeway::live::Catalog;
use causeway::live::loader::Loader;
use causeway::store::changes::Feed;
use causeway::store::{Location, Store};
use causeway::types::Clock;
use chrono::DateTime;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::egress::{egress, serve_local};
use crate::program::{Serving, causeway};

#[tokio::test]
async fn a_process_is_ready_while_its_database_and_its_feed_answer() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::File(folder.path().join("causeway.db"));
    let store = Store::open(&location, 2).await.unwrap();
    store.migrate().await.unwrap();
    let vault = Arc::new(Vault::new(&MasterKey::from_bytes([7; 32])));
    let loader = Loader::new(store.clone(), vault, egress(&[]), HashMap::new());
    let catalog = Catalog::open(loader, 1 << 20).await.unwrap();
    let seconds = Arc::new(AtomicI64::new(1_000));
    let hand = seconds.clone();
    let now = move || DateTime::from_timestamp(hand.load(Ordering::Relaxed), 0).unwrap();
    let clock = Clock::from_fn(now);
    // Nobody runs what it would listen with: it hears nothing after its start.
    let (feed, _listening) = Feed::start(&store, clock.clone(), CancellationToken::new());
    let operations = Operations::new(store.clone(), feed, catalog, clock);
    let address = serve_local(operations.router()).await;
    let ready = async || {
        let answer = reqwest::get(format!("http://{address}/readyz"))
            .await
            .unwrap();
        let status = answer.status().as_u16();
        let said: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        (status, said)
    };
    assert_eq!(ready().await, (200, json!({ "status": "ready" })));
    seconds.fetch_add(15, Ordering::Relaxed);
    assert_eq!(ready().await.0, 200);
    seconds.fetch_add(1, Ordering::Relaxed);
    let why = "changes made elsewhere are not heard";
    let stale = json!({ "status": "not ready", "why": why });
    assert_eq!(ready().await, (503, stale));
    seconds.store(1_000, Ordering::Relaxed);
    assert_eq!(ready().await.0, 200);
    store.close().await;
    let (status, said) = ready().await;
    assert_eq!(
        (status, &said["why"]),
        (503, &json!("the database does not answer"))
    );
    // It is alive all the same.
    let alive = reqwest::get(format!("http://{address}/healthz"))
        .await
        .unwrap();
    assert_eq!(alive.status(), 200);
}

#[tokio::test]
async fn metrics_count_requests_by_route_and_what_is_held() {
    let folder = tempfile::tempdir().unwrap();
    let served = Serving::on(&folder.path().join("data"), &[]).await;
    for path in [
        "/servers/petstore",
        "/servers/bookshop?q=secret",
        "/servers/none",
        "/none",
    ] {
        reqwest::get(format!("{}{path}", served.origin))
            .await
            .unwrap();
    }
    let ready = reqwest::get(format!("{}/readyz", served.origin))
        .await
        .unwrap();
    assert_eq!(ready.status(), 200);
    let answer = reqwest::get(format!("{}/metrics", served.origin))
        .await
        .unwrap();
    let kind = answer.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    let text = answer.text().await.unwrap();
    for line in [
        r#"causeway_http_requests_total{route="/servers/{slug}",status="200"} 2"#,
        r#"causeway_http_requests_total{route="/servers/{slug}",status="404"} 1"#,
        r#"causeway_http_requests_total{route="unmatched",status="404"} 1"#,
        "causeway_live_servers 2",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in {text}"
        );
    }
    assert!(!text.contains("secret"), "{text}");
}

const SECRET: &str = "s3cret-in-a-query";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Asks for a path, or calls a tool below `/mcp` within a trace; the id of the request.
async fn asked(served: &Serving, path: &str) -> String {
    let client = reqwest::Client::builder().build().unwrap();
    let url = format!("{}{path}", served.origin);
    let request = if path.starts_with("/mcp/") {
        let message = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": "getPet", "arguments": { "petId": 1 } },
        });
        let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let request = client.post(url).header("traceparent", parent);
        let request = request.header("mcp-protocol-version", "2025-11-25");
        let request = request.header("content-type", "application/json");
        request.body(message.to_string())
    } else {
        client.get(url).bearer_auth(SECRET)
    };
    let answer = request.send().await.unwrap();
    let id = answer.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(id.len(), 32, "{id}");
    answer.text().await.unwrap();
    id
}

#[tokio::test]
async fn each_request_has_one_line_in_the_log_and_its_id_in_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    let listen = [
        "serve",
        "--json",
        "--listen",
        "127.0.0.1:0",
        "--data",
        &data,
    ];
    let mut command = causeway(&listen);
    command.env("CAUSEWAY__SERVER__LOG_FORMAT", "json");
    let served = Serving::start(command).await;
    let first = asked(&served, &format!("/servers/petstore?q={SECRET}")).await;
    asked(&served, &format!("/nothing/{SECRET}?token={SECRET}")).await;
    asked(&served, "/healthz").await;
    let last = asked(&served, "/mcp/petstore").await;
    served.terminate();
    let (code, said) = served.ended().await;
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains(SECRET), "{said}");
    let lines: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .filter(|line: &Value| !line["duration_ms"].is_null())
        .collect();
    let seen: Vec<Value> = lines
        .iter()
        .map(|line| {
            json!([
                line["level"],
                line["method"],
                line["route"],
                line["status"],
                line["server.slug"]
            ])
        })
        .collect();
    // The health check is for debugging.
    assert_eq!(
        json!(seen),
        json!([
            ["INFO", "GET", "/servers/{slug}", 200, null],
            ["INFO", "GET", "unmatched", 404, null],
            ["INFO", "POST", "/mcp/{slug}", 200, "petstore"],
        ])
    );
    assert!(lines[0]["bytes"].as_u64() > Some(1_000), "{said}");
    assert!(lines[0]["duration_ms"].as_f64() > Some(0.0), "{said}");
    let ids = |line: &Value| json!([line["span"]["request.id"], line["span"]["trace.id"]]);
    assert_eq!(
        ids(&lines[0]),
        json!([first, first]),
        "its own trace, where none came"
    );
    assert_eq!(ids(&lines[2]), json!([last, TRACE]));
}
