//! SIGTERM: what runs is finished first.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::cli::ADMIN_KEY;
use crate::egress::serve_local;
use crate::program::{PATIENCE, Serving, document};

async fn no_longer_listens(served: &Serving) {
    let address = served.origin.trim_start_matches("http://");
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_slow_call_is_answered_before_the_process_ends() {
    let (asked, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (heard, wait) = (asked.clone(), go.clone());
    let slow = async move || {
        heard.notify_one();
        wait.notified().await;
        axum::Json(json!({ "late": true }))
    };
    let upstream = serve_local(Router::new().route("/slow", get(slow))).await;
    let upstream = upstream.to_string();
    let folder = tempfile::tempdir().unwrap();
    let responses = json!({ "200": { "description": "At last." } });
    let slow = json!({ "get": { "operationId": "slow", "responses": responses } });
    let paths = json!({ "paths": { "/slow": slow } });
    let file = document(folder.path(), &format!("http://{upstream}"), paths);
    let file = file.display().to_string();
    let allowed = ["--allow-upstream", &upstream];

    for of_catalog in [true, false] {
        let (served, path) = if of_catalog {
            let flags = [&allowed[..], &["--no-demo", "--admin-key", ADMIN_KEY]].concat();
            let served = Serving::on(&folder.path().join("data"), &flags).await;
            let import = ["import", &file, "--slug", "slow", "--access", "open"];
            let ended = served.command(ADMIN_KEY, &import).await;
            assert_eq!(ended.code, Some(0), "{ended:?}");
            (served, "/mcp/slow")
        } else {
            (Serving::document(&file, &allowed).await, "/mcp")
        };
        let stopping = async {
            asked.notified().await;
            served.terminate();
            // It heard the signal; only now may the call go on.
            let deaf = tokio::time::timeout(PATIENCE, no_longer_listens(&served));
            deaf.await.expect("the listener closes in time");
            go.notify_one();
        };
        let (result, ()) = tokio::join!(served.call(path, "slow", json!({})), stopping);
        assert_eq!(result["structuredContent"]["late"], true, "{result}");
        let (code, said) = served.ended().await;
        assert_eq!(code, Some(0), "{said}");
        assert!(!said.contains("did not end in time"), "{said}");
    }
}
