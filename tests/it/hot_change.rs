//! Servers change while they are used: nobody who calls or listens is disturbed, and everybody who
//! listens is told. `CAUSEWAY_TEST_EDITS=1000` makes it long; what was measured goes to stdout.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::Uri;
use axum::routing::any;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::egress::serve_local;
use crate::endpoint::{HANDSHAKES, MODERN, request};
use crate::serving::{PATIENCE, Process};

const SERVERS: usize = 4;
/// Per server; the rest of its streams are `subscriptions/listen`.
const LEGACY_STREAMS: usize = 17;
const SESSION_STREAMS: usize = 17;
const STREAMS: usize = 50;
const CALLERS: usize = 4;
/// Between two calls of one caller.
const PACE: Duration = Duration::from_millis(10);
const EDITS: usize = 60;

/// What a stream says after a change, in this order.
const NOTICES: [&str; 3] = [
    "notifications/tools/list_changed",
    "notifications/resources/list_changed",
    "notifications/prompts/list_changed",
];

fn edits() -> usize {
    let told = std::env::var("CAUSEWAY_TEST_EDITS").ok();
    told.map_or(EDITS, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_disturb_nobody_and_reach_everybody() {
    let mut site = Site::start().await;
    let stop = CancellationToken::new();
    let callers: Vec<_> = (0..CALLERS)
        .map(|n| tokio::spawn(site.caller().run(n, stop.clone())))
        .collect();
    let mut measured = Measured::default();
    for n in 0..edits() {
        site.edit(n, &mut measured).await;
    }
    stop.cancel();
    let mut calls = 0;
    for caller in callers {
        calls += caller.await.unwrap();
    }
    assert!(calls > CALLERS * 10, "there was no load: {calls} calls");
    let early = site.notices.try_recv();
    assert!(early.is_err(), "a stream ended or says too much: {early:?}");
    measured.print(calls);
}

/// A process with servers, streams open on all of them, and what the streams say.
struct Site {
    process: Process,
    _data: tempfile::TempDir,
    /// Without a time limit, for streams.
    http: reqwest::Client,
    upstream: String,
    servers: Vec<Served>,
    /// Slugs as they are now.
    slugs: Arc<Mutex<Vec<String>>>,
    /// A key that is never revoked.
    key: String,
    notices: mpsc::UnboundedReceiver<Notice>,
}

#[derive(Default)]
struct Served {
    open: bool,
    /// A key that was made by an edit: id and text.
    key: (String, String),
}

/// A stream said everything that follows a change; or what is wrong with it.
type Notice = (usize, Result<Instant, String>);

/// Milliseconds.
#[derive(Default)]
struct Measured {
    answered: Vec<f64>,
    effective: Vec<f64>,
    notified: Vec<f64>,
}

impl Measured {
    #[expect(clippy::print_stdout, reason = "numbers are read by people")]
    fn print(mut self, calls: usize) {
        println!("hot change: {} edits, {calls} calls, none failed", edits());
        for (name, values) in [
            ("edit to answer", &mut self.answered),
            ("answer to effective", &mut self.effective),
            ("edit to all streams notified", &mut self.notified),
        ] {
            values.sort_by(f64::total_cmp);
            let at = |percent: usize| values[(values.len() - 1) * percent / 100];
            println!("{name}: p50 {:.1} ms, p99 {:.1} ms", at(50), at(99));
        }
    }
}

fn milliseconds(since: Instant, until: Instant) -> f64 {
    until.saturating_duration_since(since).as_secs_f64() * 1_000.0
}

/// A document with one tool that is always there, and one that is not.
fn document(upstream: &str, other: &str) -> Value {
    let operation = |name: &str| {
        json!({ "get": {
            "operationId": name,
            "parameters": [{ "name": "q", "in": "query", "schema": { "type": "string" } }],
            "responses": { "200": { "description": "the query" } },
        } })
    };
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Changing", "version": "1" },
        "servers": [{ "url": upstream }],
        "paths": { "/steady": operation("steady"), format!("/{other}"): operation(other) },
    })
}

impl Site {
    async fn start() -> Self {
        let echo = any(async |uri: Uri| uri.query().unwrap_or_default().to_owned());
        let address = serve_local(Router::new().fallback(echo)).await;
        let folder = tempfile::tempdir().unwrap();
        let process = Process::start(folder.path(), None).await;
        let (sender, notices) = mpsc::unbounded_channel();
        let mut site = Self {
            process,
            _data: folder,
            http: reqwest::Client::new(),
            upstream: format!("http://{address}"),
            servers: (0..SERVERS).map(|_| Served::default()).collect(),
            slugs: Arc::new(Mutex::new((0..SERVERS).map(first_slug).collect())),
            key: String::new(),
            notices,
        };
        for n in 0..SERVERS {
            let body = json!({
                "slug": first_slug(n),
                "document": document(&site.upstream, "other"),
                "allowUpstream": [address.to_string()],
            });
            site.api("POST", "servers", body, 201).await;
            let body = json!({ "sessions": {} });
            let path = format!("servers/{}", first_slug(n));
            site.api("PATCH", &path, body, 200).await;
        }
        let made = site.api("POST", "keys", json!({ "name": "steady" }), 201);
        made.await["key"]
            .as_str()
            .unwrap()
            .clone_into(&mut site.key);
        for stream in 0..SERVERS * STREAMS {
            let response = site.open(stream).await;
            let (ready, opened) = tokio::sync::oneshot::channel();
            tokio::spawn(listen(stream, response, ready, sender.clone()));
            let opened = tokio::time::timeout(PATIENCE, opened).await;
            opened.expect("a stream in time").unwrap();
        }
        site
    }

    async fn api(&self, method: &str, path: &str, body: Value, status: u16) -> Value {
        let answer = self.process.client.api(method, path, &body).await.unwrap();
        assert_eq!(answer.0, status, "{method} {path}: {}", answer.1);
        answer.1
    }

    fn slug(&self, server: usize) -> String {
        self.slugs.lock().unwrap()[server].clone()
    }

    fn url(&self, server: usize) -> String {
        format!("{}/mcp/{}", self.process.client.origin, first_slug(server))
    }

    fn caller(&self) -> Caller {
        Caller {
            client: self.process.client.http.clone(),
            origin: self.process.client.origin.clone(),
            key: self.key.clone(),
            slugs: self.slugs.clone(),
        }
    }

    /// Opens a stream; which server's and of which kind is in its number.
    async fn open(&self, stream: usize) -> reqwest::Response {
        let (server, kind) = (stream / STREAMS, stream % STREAMS);
        let url = self.url(server);
        let sent = if kind < LEGACY_STREAMS {
            self.http.get(format!("{url}/sse"))
        } else if kind < LEGACY_STREAMS + SESSION_STREAMS {
            let session = self.session(&url).await;
            let get = self.http.get(&url).header("mcp-session-id", session);
            get.header("accept", "text/event-stream")
        } else {
            let wanted = json!({
                "toolsListChanged": true,
                "resourcesListChanged": true,
                "promptsListChanged": true,
            });
            let params = json!({ "notifications": wanted });
            let (headers, body) = request(MODERN, "subscriptions/listen", params);
            post(&self.http, &url, &headers).body(body.to_string())
        };
        let response = sent.bearer_auth(&self.key).send().await.unwrap();
        assert_eq!(response.status(), 200, "stream {stream}");
        response
    }

    async fn session(&self, url: &str) -> String {
        let params = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" },
        });
        let (headers, body) = request(HANDSHAKES[3], "initialize", params);
        let sent = post(&self.http, url, &headers).bearer_auth(&self.key);
        let response = sent.body(body.to_string()).send().await.unwrap();
        let id = response.headers().get("mcp-session-id").expect("a session");
        id.to_str().unwrap().to_owned()
    }

    /// The `n`th edit: made, seen to be in effect when it is answered, and heard by every stream of
    /// its server, once.
    async fn edit(&mut self, n: usize, measured: &mut Measured) {
        let server = n / 5 % SERVERS;
        let begun = Instant::now();
        match n % 5 {
            0 => {
                let other = format!("other{n}");
                let path = format!("servers/{}/document", self.slug(server));
                let body = document(&self.upstream, &other);
                self.api("PUT", &path, body, 200).await;
                let answered = Instant::now();
                let tools = self.tools(&self.slug(server), &self.key).await.unwrap();
                let expected = BTreeSet::from(["steady".to_owned(), other]);
                assert_eq!(tools, expected, "edit {n}");
                measured.effective(begun, answered);
            }
            1 => {
                let slug = format!("renamed-{server}-{n}");
                let path = format!("servers/{}", self.slug(server));
                self.api("PATCH", &path, json!({ "slug": slug }), 200).await;
                let answered = Instant::now();
                assert!(self.tools(&slug, &self.key).await.is_ok(), "edit {n}");
                measured.effective(begun, answered);
                self.slugs.lock().unwrap()[server] = slug;
            }
            2 => {
                let open = !self.servers[server].open;
                let path = format!("servers/{}", self.slug(server));
                let body = json!({ "access": if open { "open" } else { "key" } });
                self.api("PATCH", &path, body, 200).await;
                let answered = Instant::now();
                let anyone = self.tools(&self.slug(server), "").await;
                assert_eq!(anyone.err(), (!open).then_some(401), "edit {n}");
                measured.effective(begun, answered);
                self.servers[server].open = open;
            }
            3 => {
                let body = json!({ "name": format!("key {n}"), "servers": [self.slug(server)] });
                let made = self.api("POST", "keys", body, 201).await;
                let answered = Instant::now();
                let text = |name: &str| made[name].as_str().unwrap().to_owned();
                let key = (text("id"), text("key"));
                let tools = self.tools(&self.slug(server), &key.1).await;
                assert!(tools.is_ok(), "edit {n}: {tools:?}");
                measured.effective(begun, answered);
                self.servers[server].key = key;
            }
            _ => {
                let (id, key) = std::mem::take(&mut self.servers[server].key);
                let path = format!("keys/{id}");
                self.api("DELETE", &path, Value::Null, 204).await;
                let answered = Instant::now();
                let tools = self.tools(&self.slug(server), &key).await;
                assert_eq!(tools, Err(401), "edit {n}");
                measured.effective(begun, answered);
            }
        }
        if n % 5 < 3 {
            let last = self.heard_by_all(server).await;
            measured.notified.push(milliseconds(begun, last));
        }
    }

    async fn tools(&self, slug: &str, key: &str) -> Result<BTreeSet<String>, u16> {
        self.process.client.tools(slug, key).await
    }

    /// Waits until every stream of a server said once what follows a change: when the last did.
    async fn heard_by_all(&mut self, server: usize) -> Instant {
        let mut waiting: BTreeSet<usize> = (0..STREAMS).map(|n| server * STREAMS + n).collect();
        let mut last = Instant::now();
        while !waiting.is_empty() {
            let notice = tokio::time::timeout(PATIENCE, self.notices.recv()).await;
            let (stream, said) = notice
                .unwrap_or_else(|_| unreachable!("{waiting:?} were not told"))
                .unwrap();
            last = said.unwrap_or_else(|error| unreachable!("stream {stream}: {error}"));
            assert!(waiting.remove(&stream), "stream {stream} was told twice");
        }
        last
    }
}

impl Measured {
    fn effective(&mut self, begun: Instant, answered: Instant) {
        self.answered.push(milliseconds(begun, answered));
        self.effective.push(milliseconds(answered, Instant::now()));
    }
}

fn first_slug(server: usize) -> String {
    format!("changing-{server}")
}

fn post(
    http: &reqwest::Client,
    url: &str,
    headers: &[(&'static str, String)],
) -> reqwest::RequestBuilder {
    let request = http
        .post(url)
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream");
    headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, value)
    })
}

/// Reads a stream for as long as it is open, and hands on what is noticed.
async fn listen(
    stream: usize,
    mut response: reqwest::Response,
    ready: tokio::sync::oneshot::Sender<()>,
    notices: mpsc::UnboundedSender<Notice>,
) {
    let (mut read, mut said, mut ready) = (String::new(), 0, Some(ready));
    let error = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => read.push_str(std::str::from_utf8(&chunk).unwrap()),
            Ok(None) => break "it ended".to_owned(),
            Err(error) => break error.to_string(),
        }
        while let Some(end) = read.find("\n\n") {
            let event: String = read.drain(..end + 2).collect();
            // What is said first, whatever it is.
            if let Some(ready) = ready.take() {
                ready.send(()).unwrap();
                continue;
            }
            let Some(data) = event.lines().find_map(|line| line.strip_prefix("data: ")) else {
                continue;
            };
            let message: Value = serde_json::from_str(data).unwrap();
            if message["method"] != NOTICES[said % NOTICES.len()] {
                // The test may be over.
                let _ = notices.send((stream, Err(format!("it says {message}"))));
                return;
            }
            said += 1;
            if said % NOTICES.len() == 0 {
                let _ = notices.send((stream, Ok(Instant::now())));
            }
        }
    };
    let _ = notices.send((stream, Err(error)));
}

/// Calls one tool on every server in turn, by the first of its names and by the last.
struct Caller {
    client: reqwest::Client,
    origin: String,
    key: String,
    slugs: Arc<Mutex<Vec<String>>>,
}

impl Caller {
    /// How many calls were made; each has to succeed.
    async fn run(self, caller: usize, stop: CancellationToken) -> usize {
        let mut pace = tokio::time::interval(PACE);
        let mut calls = 0;
        while !stop.is_cancelled() {
            pace.tick().await;
            let server = (caller + calls) % SERVERS;
            let version = [HANDSHAKES[0], HANDSHAKES[3], MODERN][calls % 3];
            let slug = if calls % 2 == 0 {
                first_slug(server)
            } else {
                self.slugs.lock().unwrap()[server].clone()
            };
            let said = format!("caller-{caller}-{calls}");
            let params = json!({ "name": "steady", "arguments": { "q": said } });
            let (headers, body) = request(version, "tools/call", params);
            let sent = post(
                &self.client,
                &format!("{}/mcp/{slug}", self.origin),
                &headers,
            );
            let sent = sent.bearer_auth(&self.key).body(body.to_string());
            let response = sent.send().await.unwrap();
            let status = response.status();
            let text = response.text().await.unwrap();
            let answer: Value = serde_json::from_str(&text).unwrap_or_default();
            let result = &answer["result"];
            let right = result["content"][0]["text"] == format!("q={said}");
            assert!(
                right && result["isError"] != true,
                "{slug}, {version}: {status} {text}"
            );
            calls += 1;
        }
        calls
    }
}
