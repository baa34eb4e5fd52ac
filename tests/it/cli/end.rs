//! SIGTERM: what runs is finished first.

#![expect(
    clippy::disallowed_methods,
    reason = "a test is a client of the process, and no client goes through egress"
)]

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::cli::ADMIN_KEY;
use crate::egress::serve_local;
use crate::endpoint::Events;
use crate::program::{PATIENCE, Serving, causeway, document};

pub(crate) async fn no_longer_listens(served: &Serving) {
    let address = served.origin.trim_start_matches("http://");
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

/// An API with one operation, which says when it is asked and answers when it may.
struct Slow {
    asked: Arc<Notify>,
    go: Arc<Notify>,
    address: String,
    file: String,
    folder: tempfile::TempDir,
}

impl Slow {
    async fn start() -> Self {
        let (asked, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (heard, wait) = (asked.clone(), go.clone());
        let slow = async move || {
            heard.notify_one();
            wait.notified().await;
            axum::Json(json!({ "late": true }))
        };
        let address = serve_local(Router::new().route("/slow", get(slow))).await;
        let folder = tempfile::tempdir().unwrap();
        let responses = json!({ "200": { "description": "At last." } });
        let slow = json!({ "get": { "operationId": "slow", "responses": responses } });
        let paths = json!({ "paths": { "/slow": slow } });
        let file = document(folder.path(), &format!("http://{address}"), paths);
        Self {
            asked,
            go,
            address: address.to_string(),
            file: file.display().to_string(),
            folder,
        }
    }

    /// Ends the process while a call runs, which may go on once nobody is listened to any more.
    async fn stop(&self, served: &Serving) {
        self.asked.notified().await;
        served.terminate();
        let deaf = tokio::time::timeout(PATIENCE, no_longer_listens(served));
        deaf.await.expect("the listener closes in time");
        self.go.notify_one();
    }
}

#[tokio::test]
async fn a_slow_call_is_answered_before_the_process_ends() {
    let slow = Slow::start().await;
    let (file, allowed) = (slow.file.as_str(), ["--allow-upstream", &slow.address]);
    for of_catalog in [true, false] {
        let (served, path) = if of_catalog {
            let flags = [&allowed[..], &["--no-demo", "--admin-key", ADMIN_KEY]].concat();
            let served = Serving::on(&slow.folder.path().join("data"), &flags).await;
            let import = ["import", file, "--slug", "slow", "--access", "open"];
            let ended = served.command(ADMIN_KEY, &import).await;
            assert_eq!(ended.code, Some(0), "{ended:?}");
            (served, "/mcp/slow")
        } else {
            (Serving::document(file, &allowed).await, "/mcp")
        };
        let call = served.call(path, "slow", json!({}));
        let (result, ()) = tokio::join!(call, slow.stop(&served));
        assert_eq!(result["structuredContent"]["late"], true, "{result}");
        let (code, said) = served.ended().await;
        assert_eq!(code, Some(0), "{said}");
        assert!(!said.contains("did not end in time"), "{said}");
    }
}

#[tokio::test]
async fn a_slow_call_of_an_old_client_is_answered_before_its_stream_ends() {
    let slow = Slow::start().await;
    let served = Serving::document(&slow.file, &["--allow-upstream", &slow.address]).await;
    let http = reqwest::Client::new();
    let stream = http.get(format!("{}/mcp/sse", served.origin)).send();
    let mut events = Events::of(stream.await.unwrap());
    let (_, path) = events.next().await.unwrap();
    let post = async |message: Value| {
        let sent = http.post(format!("{}{path}", served.origin));
        let sent = sent.header("content-type", "application/json");
        let sent = sent.body(message.to_string()).send().await.unwrap();
        assert_eq!(sent.status(), 202);
    };
    let message = |id: u32, method: &str, params: Value| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
    let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {} });
    post(message(1, "initialize", hello)).await;
    assert_eq!(events.message().await["id"], 1);
    post(message(
        2,
        "tools/call",
        json!({ "name": "slow", "arguments": {} }),
    ))
    .await;
    slow.stop(&served).await;
    let reply = events.message().await;
    assert_eq!(
        reply["result"]["structuredContent"]["late"], true,
        "{reply}"
    );
    assert_eq!(events.next().await, None, "nothing runs any more");
    let (code, said) = served.ended().await;
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("did not end in time"), "{said}");
}

#[tokio::test]
async fn a_process_with_all_its_connections_in_use_ends_when_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().display().to_string();
    let arguments = [
        "serve",
        "--json",
        "--listen",
        "127.0.0.1:0",
        "--demo",
        "--data",
        &data,
    ];
    let mut command = causeway(&arguments);
    command.env("CAUSEWAY__SERVER__CONNECTIONS_MAX", "1");
    let served = Serving::start(command).await;
    let stream = reqwest::Client::new().get(format!("{}/mcp/petstore/sse", served.origin));
    let mut events = Events::of(stream.send().await.unwrap());
    assert_eq!(events.next().await.unwrap().0, "endpoint");
    served.terminate();
    let end = tokio::time::timeout(PATIENCE, events.next()).await;
    assert_eq!(end.expect("an end in time"), None);
    let (code, said) = served.ended().await;
    assert_eq!(code, Some(0), "{said}");
}
