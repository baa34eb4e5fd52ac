//! The ledger as the API tells it, in pages and as files.

#![expect(
    clippy::disallowed_methods,
    reason = "a test is a client of the process, and no client goes through egress"
)]

use serde_json::{Value, json};
use sqlx::Connection;

use crate::cli::ADMIN_KEY;
use crate::program::{PATIENCE, Serving};

/// A file of the API: its headers that matter, and its text.
async fn file(served: &Serving, path: &str) -> (String, String) {
    let client = reqwest::Client::builder().timeout(PATIENCE).build();
    let url = format!("{}/api/v1/{path}", served.origin);
    let asked = client.unwrap().get(url).bearer_auth(ADMIN_KEY);
    let answer = asked.send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    let headers = format!(
        "{} {}",
        header("content-type"),
        header("content-disposition")
    );
    (headers, answer.text().await.unwrap())
}

#[tokio::test]
async fn calls_are_read_and_exported() {
    let folder = tempfile::tempdir().unwrap();
    let served = Serving::on(&folder.path().join("data"), &["--admin-key", ADMIN_KEY]).await;
    for limit in 1..=3 {
        served
            .call("/mcp/petstore", "listPets", json!({ "limit": limit }))
            .await;
    }
    let read = async |query: &str| {
        let path = format!("ledger{query}");
        served.api(ADMIN_KEY, ("GET", &path), &Value::Null).await
    };
    // The ledger is written a moment later.
    let wait = async {
        loop {
            let (status, page) = read("").await;
            assert_eq!(status, 200, "{page}");
            if page["calls"].as_array().unwrap().len() == 3 {
                return page;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let all = tokio::time::timeout(PATIENCE, wait).await.unwrap();
    assert_eq!(all["next"], Value::Null);
    let call = &all["calls"][0];
    assert_eq!(
        (&call["tool"], &call["server"]),
        (&json!("listPets"), &json!("petstore"))
    );
    assert_eq!(call["status"], "ok");

    let (_, first) = read("?limit=2&server=petstore&tool=listPets&status=ok").await;
    assert_eq!(
        first["calls"].as_array().unwrap(),
        &all["calls"].as_array().unwrap()[..2]
    );
    let next = first["next"].as_str().unwrap();
    let (_, second) = read(&format!("?limit=2&after={next}")).await;
    assert_eq!(
        second["calls"].as_array().unwrap(),
        &all["calls"].as_array().unwrap()[2..]
    );
    assert_eq!(second["next"], Value::Null);
    for query in [
        "?status=refused",
        "?to=2020-01-01T00:00:00Z",
        "?server=bookshop",
        "?tool=x",
    ] {
        let (status, page) = read(query).await;
        assert_eq!(
            (status, &page["calls"]),
            (200, &json!([])),
            "{query}: {page}"
        );
    }
    for query in [
        "?status=x",
        "?limit=0",
        "?limit=1001",
        "?server=nobody",
        "?consumer=nobody",
        "?from=x",
        "?more=1",
    ] {
        let (status, problem) = read(query).await;
        assert_eq!(status, 400, "{query}: {problem}");
    }
    exports(&served, &all["calls"]).await;
}

/// The same calls as files.
async fn exports(served: &Serving, calls: &Value) {
    let call = &calls[0];
    let (headers, text) = file(served, "ledger.csv?limit=2").await;
    assert_eq!(
        headers,
        "text/csv; charset=utf-8 attachment; filename=\"ledger.csv\""
    );
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert_eq!(
        lines.len(),
        4,
        "a head, two calls, and the end of the last line: {text}"
    );
    assert!(lines[0].starts_with("at,id,server,"), "{text}");
    let cells: Vec<&str> = lines[1].split(',').collect();
    assert_eq!(cells.len(), lines[0].split(',').count());
    assert_eq!(
        (cells[1], cells[2]),
        (call["id"].as_str().unwrap(), "petstore")
    );
    let (headers, text) = file(served, "ledger.json").await;
    assert!(headers.starts_with("application/json "), "{headers}");
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), *calls);
    let (_, text) = file(served, "ledger.json?status=refused").await;
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json!([]));
}

/// As many calls as three pages of an export have, each a microsecond after the one before, and none so old that it is
/// swept away.
async fn fill(file: &std::path::Path, count: i64) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut database = sqlx::sqlite::SqliteConnection::connect_with(&options)
        .await
        .unwrap();
    let sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
               INSERT INTO ledger SELECT randomblob(16), (SELECT id FROM organizations LIMIT 1), NULL, NULL, 'tool', NULL, NULL, \
               '=cmd', NULL, NULL, NULL, i, 'ok', 200, i, 2, $2 + i, 3, 4, NULL, NULL, NULL, NULL, NULL, 1, NULL, NULL, NULL, NULL FROM n";
    sqlx::query(sql)
        .bind(count)
        .bind(causeway::types::Clock::system().now().timestamp_micros() - count)
        .execute(&mut database)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_export_goes_on_from_page_to_page_and_a_fault_cuts_it_off() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let served = Serving::on(&data, &["--no-demo", "--admin-key", ADMIN_KEY]).await;
    let database = data.join("causeway.db");
    fill(&database, 2_500).await;
    let (_, text) = file(&served, "ledger.csv").await;
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert_eq!(lines.len(), 2_502);
    let bytes = |line: &str| line.split(',').nth(11).unwrap().parse::<i64>().unwrap();
    let numbers: Vec<i64> = lines[1..2_501].iter().map(|line| bytes(line)).collect();
    assert_eq!(
        numbers,
        (1..=2_500).rev().collect::<Vec<_>>(),
        "each once, newest first"
    );
    assert!(lines[1].contains(",'=cmd,"), "{}", lines[1]);
    let (_, text) = file(&served, "ledger.json?limit=1001").await;
    let calls: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(calls.as_array().unwrap().len(), 1_001);

    // A row of the second page that cannot be read: what came before it comes, and no end.
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&database);
    let mut broken = sqlx::sqlite::SqliteConnection::connect_with(&options)
        .await
        .unwrap();
    let sql = "UPDATE ledger SET id = X'00' WHERE request_bytes = 1000";
    sqlx::query(sql).execute(&mut broken).await.unwrap();
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        .build()
        .unwrap();
    let url = format!("{}/api/v1/ledger.json", served.origin);
    let mut answer = client.get(url).bearer_auth(ADMIN_KEY).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut text = Vec::new();
    let cut = loop {
        match answer.chunk().await {
            Ok(Some(chunk)) => text.extend_from_slice(&chunk),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(cut, "a client sees that it is not whole");
    let text = String::from_utf8(text).unwrap();
    assert!(serde_json::from_str::<Value>(&text).is_err());
    assert!(
        text.len() > 1_000,
        "the first page is there: {}",
        text.len()
    );
}
