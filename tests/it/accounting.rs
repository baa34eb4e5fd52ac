//! The ledger as it is stored: a row for every call, however the call or the process ended.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use causeway::access::caller::Caller;
use causeway::access::ledger::{Ledger, LedgerEntry, LedgerStatus, write};
use causeway::store::{Location, Store};
use causeway::types::{Clock, OrganizationId, ServerId, VersionId};
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Executor, Row};

use crate::program::{PATIENCE, Serving, exchange};

const ADMIN: &str = "an-admin-key-for-tests";

/// Tool and status of each row, in the order they were written.
async fn rows(file: &std::path::Path) -> Vec<(String, String)> {
    let options = SqliteConnectOptions::new().filename(file);
    let mut database = SqliteConnection::connect_with(&options).await.unwrap();
    let rows = sqlx::query("SELECT tool, status FROM ledger ORDER BY at, id")
        .fetch_all(&mut database)
        .await
        .unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Waits until there are this many rows.
async fn until(file: &std::path::Path, count: usize) -> Vec<(String, String)> {
    let wait = async {
        loop {
            let rows = rows(file).await;
            if rows.len() >= count {
                return rows;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let rows = tokio::time::timeout(PATIENCE, wait).await;
    rows.expect("the rows in time")
}

fn document(origin: &str) -> Value {
    let operation = |name: &str| json!({ "get": { "operationId": name, "responses": { "200": { "description": "done" } } } });
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Counted", "version": "1" },
        "servers": [{ "url": origin }],
        "paths": { "/fast": operation("fast"), "/slow": operation("slow"), "/bad": operation("bad") },
    })
}

#[tokio::test]
async fn every_call_is_in_the_ledger_however_it_ended() {
    let (asked, mut slow) = tokio::sync::mpsc::unbounded_channel();
    let never = move || {
        let asked = asked.clone();
        async move {
            asked.send(()).unwrap();
            std::future::pending::<()>().await;
        }
    };
    let router = Router::new()
        .route("/fast", get(async || "{}"))
        .route("/bad", get(async || axum::http::StatusCode::BAD_REQUEST))
        .route("/slow", get(never));
    let origin = format!("http://{}", crate::egress::serve_local(router).await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("causeway.db");
    let flags = ["--no-demo", "--admin-key", ADMIN];
    let served = Serving::on(folder.path(), &flags).await;
    let new = json!({
        "slug": "counted", "access": "open", "document": document(&origin),
        "allowUpstream": ["127.0.0.0/8"],
    });
    let (status, answer) = served.api(ADMIN, ("POST", "servers"), &new).await;
    assert_eq!(status, 201, "{answer}");

    // In batches, while it serves.
    for _ in 0..3 {
        served.call("/mcp/counted", "fast", json!({})).await;
    }
    served.call("/mcp/counted", "bad", json!({})).await;
    let expected = |list: &[(&str, &str)]| -> Vec<(String, String)> {
        let owned = |(tool, status): &(&str, &str)| ((*tool).to_owned(), (*status).to_owned());
        list.iter().map(owned).collect()
    };
    let mut so_far = vec![
        ("fast", "ok"),
        ("fast", "ok"),
        ("fast", "ok"),
        ("bad", "tool_error"),
    ];
    assert_eq!(until(&file, 4).await, expected(&so_far));

    // A client that leaves.
    let url = format!("{}/mcp/counted", served.origin);
    let params = json!({ "name": "slow", "arguments": {} });
    let leaving = exchange(&url, "", ("tools/call", params));
    tokio::select! {
        answer = leaving => unreachable!("it was answered: {answer:?}"),
        asked = slow.recv() => assert!(asked.is_some()),
    }
    so_far.push(("slow", "cancelled"));
    assert_eq!(until(&file, 5).await, expected(&so_far));

    // An end in good order, right after a call.
    served.call("/mcp/counted", "fast", json!({})).await;
    served.terminate();
    assert_eq!(served.ended().await.0, Some(0));
    so_far.push(("fast", "ok"));
    assert_eq!(rows(&file).await, expected(&so_far));
}

fn entry(tool: &str) -> LedgerEntry {
    LedgerEntry {
        organization: OrganizationId::DEFAULT,
        caller: Caller::anonymous(),
        at: Clock::system().now(),
        server: ServerId::generate(),
        version: VersionId::generate(),
        tool: tool.to_owned(),
        trace_id: "0".repeat(32),
        status: LedgerStatus::Ok,
        upstream_status: Some(200),
        request_bytes: 1,
        response_bytes: 2,
        upstream_time: Duration::from_millis(1),
        total_time: Duration::from_millis(2),
        attempts: 1,
    }
}

#[tokio::test]
async fn an_outage_of_the_database_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("causeway.db");
    let store = Store::open(&Location::File(file.clone()), 2).await.unwrap();
    store.migrate().await.unwrap();
    let options = SqliteConnectOptions::new().filename(&file);
    let mut database = SqliteConnection::connect_with(&options).await.unwrap();
    let away = "ALTER TABLE ledger RENAME TO away";
    database.execute(away).await.unwrap();
    let (ledger, entries) = Ledger::channel(64);
    let writer = tokio::spawn(write(store.clone(), entries));
    for n in 0..10 {
        ledger.record(entry(&format!("tool{n}")));
    }
    // Longer than anything that gives up after a few tries.
    tokio::time::sleep(Duration::from_millis(5_500)).await;
    database
        .execute("ALTER TABLE away RENAME TO ledger")
        .await
        .unwrap();
    ledger.record(entry("after"));
    let written = until(&file, 11).await;
    assert_eq!(written.len(), 11, "{written:?}");

    // One that lasts keeps nobody from ending.
    database.execute(away).await.unwrap();
    ledger.record(entry("lost"));
    drop(ledger);
    let ended = tokio::time::timeout(PATIENCE, writer).await;
    ended.expect("an end in time").unwrap();
}
