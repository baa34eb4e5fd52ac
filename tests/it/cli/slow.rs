//! Imports that take longer than a request waits: told by the API, awaited by the command line.

#![expect(
    clippy::disallowed_methods,
    reason = "a test is a client of the process, and no client goes through egress"
)]

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};

use crate::cli::ADMIN_KEY;
use crate::egress::serve_local;
use crate::program::{PATIENCE, Serving};

const DOCUMENT: &str = r#"{"openapi": "3.1.0", "info": {"title": "Late", "version": "1"},
    "servers": [{"url": "https://late.example.com"}],
    "paths": {"/late": {"get": {"operationId": "late"}}}}"#;

/// A site that sends its document once it is let: the URL, the door, and when it is asked for the good one.
async fn slow() -> (String, Arc<Semaphore>, Arc<Notify>) {
    let (door, asked) = (Arc::new(Semaphore::new(0)), Arc::new(Notify::new()));
    let (good, bad, knock) = (door.clone(), door.clone(), asked.clone());
    let answer = async |door: Arc<Semaphore>, text: &'static str| {
        door.acquire().await.unwrap().forget();
        ([("content-type", "application/json")], text)
    };
    let router = Router::new()
        .route(
            "/good.json",
            get(move || {
                knock.notify_one();
                answer(good, DOCUMENT)
            }),
        )
        .route("/bad.json", get(move || answer(bad, r#"{"openapi": "9"}"#)));
    let site = format!("http://{}", serve_local(router).await);
    (site, door, asked)
}

async fn start(data: &std::path::Path) -> Serving {
    let fixed = ["--no-demo", "--admin-key", ADMIN_KEY];
    let allowed = ["--allow-upstream", "127.0.0.1"];
    Serving::on(data, &[&fixed[..], &allowed].concat()).await
}

/// What a process tells of an import.
async fn told(process: &Serving, place: &str) -> Value {
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        .build()
        .unwrap();
    let request = client.get(format!("{}{place}", process.origin));
    let answer = request.bearer_auth(ADMIN_KEY).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

/// What it tells once the import does not run any more.
async fn told_in_the_end(process: &Serving, place: &str) -> Value {
    let ended = async {
        let mut last = told(process, place).await;
        while last["state"] == "running" {
            tokio::task::yield_now().await;
            last = told(process, place).await;
        }
        last
    };
    tokio::time::timeout(PATIENCE, ended)
        .await
        .expect("an end in time")
}

/// Begins an import that is slow: where it is told of.
async fn begin(process: &Serving, document: &str) -> String {
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        .build()
        .unwrap();
    let body = json!({ "url": document, "slug": "late" }).to_string();
    let request = client.post(format!("{}/api/v1/servers", process.origin));
    let request = request
        .header("content-type", "application/json")
        .body(body);
    let answer = request.bearer_auth(ADMIN_KEY).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let place = answer.headers()["location"].to_str().unwrap().to_owned();
    let begun: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(begun["state"], "running", "{begun}");
    let id = begun["id"].as_str().unwrap();
    assert_eq!(place, format!("/api/v1/imports/{id}"));
    place
}

#[tokio::test]
async fn a_slow_import_is_told_of_until_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let served = start(&data).await;
    let (site, door, _) = slow().await;
    for (document, state) in [("good", "done"), ("bad", "failed")] {
        let place = begin(&served, &format!("{site}/{document}.json")).await;
        let running = told(&served, &place).await;
        assert_eq!(
            (&running["state"], &running["result"]),
            (&json!("running"), &Value::Null)
        );
        assert!(running["seconds"].as_u64() >= Some(5), "{running}");
        // A document that cannot be read is looked for elsewhere on its site; the door stays open.
        door.add_permits(100);
        let ended = told_in_the_end(&served, &place).await;
        door.forget_permits(100);
        assert_eq!(ended["state"], state, "{ended}");
        let result = &ended["result"];
        if state == "done" {
            assert_eq!(
                (&result["created"], &result["report"]["tools"]),
                (&json!(true), &json!(1))
            );
            let mcp = format!("{}/mcp/late", served.origin);
            assert_eq!(result["server"]["mcpUrl"], mcp);
        } else {
            assert!(!result["error"].as_str().unwrap().is_empty(), "{ended}");
        }
    }
}

#[tokio::test]
async fn import_waits_for_a_slow_document() {
    let folder = tempfile::tempdir().unwrap();
    let served = start(&folder.path().join("data")).await;
    let (site, door, asked) = slow().await;
    let late = async {
        asked.notified().await;
        // Longer than a request is waited for.
        tokio::time::sleep(Duration::from_secs(6)).await;
        door.add_permits(1);
    };
    let document = format!("{site}/good.json");
    let import = ["import", &document, "--json"];
    let (ended, ()) = tokio::join!(served.command(ADMIN_KEY, &import), late);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let said = ended.json();
    assert_eq!(
        (&said["created"], &said["report"]["tools"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(said["server"]["slug"], "late");
    served.terminate();
    let (_, log) = served.ended().await;
    assert!(log.contains("/api/v1/imports/{id} 200"), "it asked: {log}");
}

#[tokio::test]
async fn what_is_no_causeway_is_not_believed() {
    let page = ([("content-type", "text/html")], "<html>Welcome</html>");
    let site = serve_local(Router::new().fallback(async move || page)).await;
    let server = format!("http://{site}");
    let file = crate::program::example("petstore.yaml");
    for command in [
        &["import", &file][..],
        &["call", "petstore", "listPets"],
        &["keys", "list"],
        &["keys", "create", "agent"],
        &["keys", "revoke", "01900000-0000-7000-8000-000000000001"],
        &["healthcheck"],
    ] {
        let target = ["--server", &server];
        let ended = crate::program::run(&[command, &target].concat()).await;
        ended.refused(&[&server, "is it the address of a Causeway?"]);
    }
}

#[tokio::test]
async fn a_document_is_sent_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let served = start(&folder.path().join("data")).await;
    // UTF-16, which no JSON text could carry.
    let mut bytes = vec![0xff, 0xfe];
    bytes.extend(DOCUMENT.encode_utf16().flat_map(u16::to_le_bytes));
    let file = folder.path().join("late.json");
    std::fs::write(&file, &bytes).unwrap();
    let import = [
        "import",
        &file.display().to_string(),
        "--slug",
        "wide",
        "--access",
        "open",
    ];
    let allowed = [
        "--allow-upstream",
        "10.0.0.0/8:443",
        "--allow-upstream",
        "192.168.1.5",
    ];
    let ended = served
        .command(ADMIN_KEY, &[&import[..], &allowed].concat())
        .await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let client = reqwest::Client::builder().build().unwrap();
    let read = async |path: &str| {
        let request = client.get(format!("{}/api/v1/servers/wide{path}", served.origin));
        request.bearer_auth(ADMIN_KEY).send().await.unwrap()
    };
    let stored = read("/document").await.bytes().await.unwrap();
    assert_eq!(stored, bytes);
    let shown: Value = serde_json::from_str(&read("").await.text().await.unwrap()).unwrap();
    assert_eq!(shown["access"], "open");
    assert_eq!(
        shown["settings"]["allowUpstream"],
        json!(["10.0.0.0/8:443", "192.168.1.5"])
    );
}
