//! Streams of every kind, as a client of a process opens them.

use std::time::Duration;

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::serving::{Client, PATIENCE};

/// The kinds of streams there are: of HTTP+SSE, of a session, and `subscriptions/listen`.
pub(crate) const KINDS: [&str; 3] = ["HTTP+SSE", "session", "listen"];
pub(crate) const TOOLS_CHANGED: &str = "notifications/tools/list_changed";

/// An open stream.
pub(crate) struct Listening {
    pub(crate) kind: &'static str,
    response: reqwest::Response,
    read: String,
}

impl Listening {
    /// A stream of that kind on a server that has sessions, after its first words.
    pub(crate) async fn open(client: &Client, slug: &str, key: &str, kind: &'static str) -> Self {
        // Without a time limit, which would end the stream.
        let http = reqwest::Client::new();
        let url = format!("{}/mcp/{slug}", client.origin);
        let sent = match kind {
            "HTTP+SSE" => http.get(format!("{url}/sse")),
            "session" => {
                let session = session(client, slug, key).await;
                http.get(url).header("mcp-session-id", session)
            }
            _ => listen(http.post(url)),
        };
        let response = with(sent, key).send().await.unwrap();
        assert_eq!(response.status(), 200, "{kind}");
        let mut stream = Self {
            kind,
            response,
            read: String::new(),
        };
        // A comment, the URL to post to, or what is listened for.
        stream.event().await.unwrap();
        stream
    }

    /// One of each kind.
    pub(crate) async fn open_all(client: &Client, slug: &str, key: &str) -> Vec<Self> {
        let mut streams = Vec::new();
        for kind in KINDS {
            streams.push(Self::open(client, slug, key, kind).await);
        }
        streams
    }

    /// The next message; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            let event = self.event().await?;
            let data = event.lines().find_map(|line| line.strip_prefix("data: "));
            if let Some(data) = data {
                return Some(serde_json::from_str(data).unwrap());
            }
        }
    }

    /// Waits until the stream tells of a change of tools.
    pub(crate) async fn hears_of_tools(&mut self, patience: Duration) {
        let heard = async {
            loop {
                let message = self.next().await.expect("the stream goes on");
                if message["method"] == TOOLS_CHANGED {
                    return;
                }
            }
        };
        let heard = tokio::time::timeout(patience, heard).await;
        assert!(heard.is_ok(), "{} was not told in {patience:?}", self.kind);
    }

    async fn event(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.read.find("\n\n") {
                return Some(self.read.drain(..end + 2).collect());
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk());
            let chunk = chunk.await.expect("an event in time").unwrap()?;
            self.read.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

/// A new session on a server that has them.
pub(crate) async fn session(client: &Client, slug: &str, key: &str) -> String {
    let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {} });
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello });
    let sent = client.http.post(format!("{}/mcp/{slug}", client.origin));
    let sent = json_message(with(sent, key), &message)
        .send()
        .await
        .unwrap();
    let id = sent.headers().get("mcp-session-id").expect("a session");
    id.to_str().unwrap().to_owned()
}

fn listen(sent: RequestBuilder) -> RequestBuilder {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let wanted = json!({ "toolsListChanged": true });
    let message = json!({
        "jsonrpc": "2.0",
        "id": 1,
        "method": "subscriptions/listen",
        "params": { "notifications": wanted, "_meta": meta },
    });
    let sent = sent.header("mcp-protocol-version", "2026-07-28");
    json_message(sent.header("mcp-method", "subscriptions/listen"), &message)
}

/// A POST of a message.
pub(crate) fn json_message(sent: RequestBuilder, message: &Value) -> RequestBuilder {
    sent.header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .body(message.to_string())
}

/// With a key, unless it is empty.
pub(crate) fn with(sent: RequestBuilder, key: &str) -> RequestBuilder {
    if key.is_empty() {
        sent
    } else {
        sent.bearer_auth(key)
    }
}
