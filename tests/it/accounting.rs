//! The ledger as it is stored: a row for every call, however the call or the process ended.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use causeway::access::caller::Caller;
use causeway::access::ledger::{
    Called, Kept, Ledger, LedgerEntry, LedgerStatus, ModelCall, sweep, write,
};
use causeway::store::{Location, Store};
use causeway::types::{Clock, OrganizationId, ServerId, VersionId};
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Executor, Row};

use crate::program::{PATIENCE, Serving, client, exchange, exchange_by};

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
        called: Called::Tool {
            server: ServerId::generate(),
            version: VersionId::generate(),
            name: tool.to_owned(),
        },
        trace_id: "0".repeat(32),
        status: LedgerStatus::Ok,
        upstream_status: Some(200),
        request_bytes: 1,
        response_bytes: 2,
        upstream_time: Duration::from_millis(1),
        total_time: Duration::from_millis(2),
        attempts: 1,
        tokens_output: None,
        cost_nanos: None,
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

#[tokio::test]
async fn a_call_that_the_database_does_not_take_keeps_no_other_from_being_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("causeway.db");
    let store = Store::open(&Location::File(file.clone()), 2).await.unwrap();
    store.migrate().await.unwrap();
    let (ledger, entries) = Ledger::channel(64);
    let writer = tokio::spawn(write(store, entries));
    let count = "SELECT COUNT(*) FROM ledger";
    for tokens in [7, u64::MAX, u64::MAX, 9] {
        // Together with the first, which is there, the next are more than a number holds.
        while tokens > 7 && number(&file, count).await == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let call = ModelCall {
            model: "m".to_owned(),
            tokens_input: Some(tokens),
            ..ModelCall::default()
        };
        ledger.record(LedgerEntry {
            called: Called::Model(Box::new(call)),
            ..entry("")
        });
    }
    ledger.record(entry("after"));
    drop(ledger);
    let written = tokio::time::timeout(PATIENCE, writer).await;
    written.expect("an end in time").unwrap();
    let tokens = "SELECT SUM(tokens_input) FROM ledger";
    assert_eq!(number(&file, tokens).await, 16);
    assert_eq!(number(&file, count).await, 3);
    let added = "SELECT SUM(tokens_input) FROM model_usage_hourly";
    assert_eq!(number(&file, added).await, 16);
}

/// A number the database says.
async fn number(file: &std::path::Path, sql: &'static str) -> i64 {
    let options = SqliteConnectOptions::new().filename(file);
    let mut database = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query_scalar(sql)
        .fetch_one(&mut database)
        .await
        .unwrap()
}

const USED: &str = "SELECT COALESCE(SUM(calls), 0) FROM usage_hourly";

/// A burst of calls of a server that is served.
async fn burst(folder: &std::path::Path, count: usize) -> Serving {
    let router = Router::new().route("/fast", get(async || "{}"));
    let origin = format!("http://{}", crate::egress::serve_local(router).await);
    let served = Serving::on(folder, &["--no-demo", "--admin-key", ADMIN]).await;
    let new = json!({
        "slug": "counted", "access": "open", "document": document(&origin),
        "allowUpstream": ["127.0.0.0/8"],
    });
    let (status, answer) = served.api(ADMIN, ("POST", "servers"), &new).await;
    assert_eq!(status, 201, "{answer}");
    let (client, url) = (client(), format!("{}/mcp/counted", served.origin));
    let calls = (0..count).map(|_| {
        let params = json!({ "name": "fast", "arguments": {} });
        exchange_by(&client, &url, "", ("tools/call", params))
    });
    for (status, answer) in futures::future::join_all(calls).await {
        assert_eq!(status, 200, "{answer}");
    }
    served
}

#[tokio::test]
async fn a_burst_before_an_end_in_good_order_is_counted_whole() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("causeway.db");
    let served = burst(folder.path(), 300).await;
    served.terminate();
    assert_eq!(served.ended().await.0, Some(0));
    assert_eq!(rows(&file).await.len(), 300);
    assert_eq!(number(&file, USED).await, 300);
}

#[tokio::test]
async fn a_crash_leaves_the_sums_of_the_calls_that_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("causeway.db");
    let served = burst(folder.path(), 100).await;
    // Dropping it is `kill -9`, perhaps in the middle of a batch.
    drop(served);
    let written = i64::try_from(rows(&file).await.len()).unwrap();
    assert!(written <= 100);
    assert_eq!(number(&file, USED).await, written);
}

#[tokio::test]
async fn the_sweep_removes_what_is_old_and_nothing_where_nothing_ends() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("causeway.db");
    let store = Store::open(&Location::File(file.clone()), 2).await.unwrap();
    store.migrate().await.unwrap();
    let clock = Clock::system();
    let (ledger, entries) = Ledger::channel(64);
    for days in [0, 1, 89, 91, 399, 402] {
        let at = clock.now() - chrono::Duration::days(days);
        ledger.record(LedgerEntry {
            at,
            ..entry(&format!("day{days}"))
        });
    }
    drop(ledger);
    write(store.clone(), entries).await;
    let swept = async |calls_days, usage_days| {
        let stop = tokio_util::sync::CancellationToken::new();
        let kept = Kept {
            calls_days,
            usage_days,
        };
        let task = tokio::spawn(sweep(store.clone(), clock.clone(), kept, stop.clone()));
        // The first round is over at the latest when hours of long ago are days.
        let wait = async {
            while number(&file, "SELECT COUNT(*) FROM usage_hourly WHERE bucket < (SELECT MAX(bucket) FROM usage_hourly) - 3600000000 * 24 * 40").await > 0
                || (usage_days > 0 && number(&file, "SELECT COUNT(*) FROM usage_daily").await > 3)
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .expect("a sweep in time");
        stop.cancel();
        tokio::time::timeout(PATIENCE, task)
            .await
            .expect("an end in time")
            .unwrap();
        let days = number(&file, "SELECT COUNT(*) FROM usage_daily").await;
        let hours = number(&file, "SELECT COUNT(*) FROM usage_hourly").await;
        (rows(&file).await.len(), hours, days)
    };
    assert_eq!(
        swept(0, 0).await,
        (6, 2, 4),
        "nothing ends, and hours become days"
    );
    assert_eq!(
        swept(90, 400).await,
        (3, 2, 3),
        "calls of 91, 399 and 402 days ago, and a day of 402"
    );
}
