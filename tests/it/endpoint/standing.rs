//! A stream lasts as long as its caller may use its server, and no longer.

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::listening::{Listening, json_message, session, with};
use crate::serving::{PATIENCE, Process, document};

/// How soon a stream ends that has lost its reason: before one that says nothing is looked at anyway.
const SOON: Duration = Duration::from_secs(10);

/// A process with one server, `shared`, that has sessions.
struct Place {
    process: Process,
    _data: TempDir,
}

impl Place {
    async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let place = Self {
            process: Process::start(data.path(), None).await,
            _data: data,
        };
        let document = document(&["first".to_owned()].into());
        let body = json!({ "slug": "shared", "document": document });
        place.api("POST", "servers", body, 201).await;
        let body = json!({ "sessions": {} });
        place.api("PATCH", "servers/shared", body, 200).await;
        place
    }

    async fn api(&self, method: &str, path: &str, body: Value, status: u16) -> Value {
        let answer = self.process.client.api(method, path, &body).await.unwrap();
        assert_eq!(answer.0, status, "{method} {path}: {}", answer.1);
        answer.1
    }

    /// Id and text of a new key.
    async fn key(&self, name: &str) -> (String, String) {
        let made = self.api("POST", "keys", json!({ "name": name }), 201).await;
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        (text("id"), text("key"))
    }

    async fn open_all(&self, key: &str) -> Vec<Listening> {
        Listening::open_all(&self.process.client, "shared", key).await
    }
}

/// Every stream ends soon, without a word about what its caller may not see.
async fn all_end(streams: Vec<Listening>) {
    for mut stream in streams {
        let end = async {
            while let Some(message) = stream.next().await {
                let method = message["method"].as_str().unwrap_or_default();
                assert!(!method.ends_with("_changed"), "{message}");
            }
        };
        let ended = timeout(SOON, end).await;
        assert!(ended.is_ok(), "{} goes on", stream.kind);
    }
}

#[tokio::test]
async fn streams_end_with_their_server() {
    let place = Place::start().await;
    let (_, key) = place.key("agent").await;
    let streams = place.open_all(&key).await;
    place
        .api("DELETE", "servers/shared", Value::Null, 204)
        .await;
    all_end(streams).await;
}

#[tokio::test]
async fn streams_end_with_their_key() {
    let place = Place::start().await;
    let ((id, key), (_, other)) = (place.key("agent").await, place.key("other").await);
    let streams = place.open_all(&key).await;
    let others = place.open_all(&other).await;
    let client = &place.process.client;
    let session = session(client, "shared", &key).await;
    place
        .api("DELETE", &format!("keys/{id}"), Value::Null, 204)
        .await;
    all_end(streams).await;
    let body = json!({ "callTimeoutMs": 50_000 });
    place.api("PATCH", "servers/shared", body, 200).await;
    for mut stream in others {
        stream.hears_of_tools(PATIENCE).await;
    }
    // Nor is the session good for anything any more, for this key or another consumer's.
    let url = format!("{}/mcp/shared", client.origin);
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    for (key, status) in [(key.as_str(), 401), (&other, 404), ("", 401)] {
        let post = json_message(client.http.post(&url), &ping);
        for sent in [post, client.http.get(&url), client.http.delete(&url)] {
            let sent = with(sent, key).header("mcp-session-id", &session);
            assert_eq!(sent.send().await.unwrap().status(), status, "{key}");
        }
    }
}

#[tokio::test]
async fn streams_of_strangers_end_when_a_server_is_closed() {
    let place = Place::start().await;
    let access = async |access| {
        let body = json!({ "access": access });
        place.api("PATCH", "servers/shared", body, 200).await;
    };
    access("open").await;
    let (_, key) = place.key("agent").await;
    let (strangers, known) = (place.open_all("").await, place.open_all(&key).await);
    access("key").await;
    all_end(strangers).await;
    for mut stream in known {
        stream.hears_of_tools(PATIENCE).await;
    }
}
