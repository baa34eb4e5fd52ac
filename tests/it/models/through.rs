//! Requests that are passed through to a provider, and files and batches that callers keep there, over real sockets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::managing::{ADMIN, Site};
use crate::models::Row;
use crate::models::upstream::GOOD;

/// A provider with more to it than chat. It tells what it was sent, and keeps what it is given.
#[derive(Clone, Default)]
pub(super) struct Shelf(pub(super) Arc<Mutex<Kept>>);

#[derive(Default)]
pub(super) struct Kept {
    pub(super) files: BTreeMap<String, Vec<u8>>,
    pub(super) batches: BTreeMap<String, String>,
    /// Batches are still under way.
    pub(super) under_way: bool,
    /// How long it thinks after something is made, before it says so.
    pub(super) thinks: Duration,
    /// What a slow answer waits for before it ends.
    end: Arc<Notify>,
    /// The most bytes that came of a body before its end did.
    largest_piece: usize,
    asked: Vec<String>,
    /// What came as a credential with each request for what is kept or failed.
    keys: Vec<String>,
}

impl Shelf {
    pub(super) async fn start(&self) -> SocketAddr {
        let router = Router::new()
            .route("/v1/echo/{*rest}", any(echo))
            .route("/v1/chat/completions", post(chat))
            .route("/v1/slow", get(slow))
            .route("/v1/broken", any(broken))
            .route("/v1/images/generations", post(mute))
            .route("/v1/models/{asked}", post(array))
            .route("/v1/status/{status}", post(status))
            .route("/v1/files", get(all).post(put))
            .route("/v1/files/{id}", get(show).delete(remove))
            .route("/v1/files/{id}/content", get(content))
            .route("/v1/batches", post(batch))
            .route("/v1/batches/{id}", get(show_batch))
            .route("/v1/batches/{id}/cancel", post(show_batch))
            .with_state(self.clone());
        crate::egress::serve_local(router).await
    }

    pub(super) fn keys(&self) -> Vec<String> {
        self.0.lock().unwrap().keys.clone()
    }

    fn note(&self, headers: &HeaderMap) {
        let key = headers.get("authorization");
        let key = key.map_or("", |value| value.to_str().unwrap()).to_owned();
        self.0.lock().unwrap().keys.push(key);
    }

    pub(super) fn asked(&self) -> Vec<String> {
        self.0.lock().unwrap().asked.clone()
    }
}

async fn echo(State(shelf): State<Shelf>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let text = |value: &axum::http::HeaderValue| value.to_str().unwrap().to_owned();
    let headers = parts.headers.iter();
    let headers: BTreeMap<String, String> = headers
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect();
    let uri = parts.uri.to_string();
    shelf.0.lock().unwrap().asked.push(uri.clone());
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let told = json!({
        "method": parts.method.as_str(), "uri": uri, "headers": headers, "bytes": body.len(),
        "body": String::from_utf8_lossy(&body),
    });
    let said = [
        ("x-request-id", "req-1"),
        ("set-cookie", "a=b"),
        ("x-key", GOOD),
        ("x-limit", "7"),
    ];
    (StatusCode::CREATED, said, Json(told)).into_response()
}

async fn chat(body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap();
    let usage = json!({ "prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500 });
    if body["stream"] != true {
        let answer = json!({ "model": "gpt-4o-mini", "choices": [], "usage": usage });
        return Json(answer).into_response();
    }
    let events = [
        json!({ "model": "gpt-4o-mini", "choices": [{ "index": 0, "delta": { "content": "Hi" } }] }),
        json!({ "model": "gpt-4o-mini", "choices": [], "usage": usage }),
    ];
    let events = events.map(|event| format!("data: {event}\n\n"));
    let text = format!("{}data: [DONE]\n\n", events.concat());
    ([("content-type", "text/event-stream")], text).into_response()
}

/// An answer that does not say what it used.
async fn mute() -> Json<Value> {
    Json(json!({ "data": [{ "url": "https://p.example/picture" }] }))
}

/// A stream of Gemini's as one list, longer than anybody keeps.
async fn array() -> Json<Value> {
    let said = "word ".repeat(1 << 20);
    let chunk = |tokens: u64| {
        json!({
            "candidates": [{ "content": { "parts": [{ "text": said }] } }],
            "usageMetadata": { "promptTokenCount": 1_000, "candidatesTokenCount": tokens },
            "modelVersion": "gemini-2.5-flash",
        })
    };
    Json(json!([chunk(1), chunk(500)]))
}

async fn status(Path(status): Path<u16>) -> StatusCode {
    StatusCode::from_u16(status).unwrap()
}

/// Pieces with pauses between, with a key cut in two among them, and an end that comes when it is let.
async fn slow(State(shelf): State<Shelf>) -> Response {
    let end = shelf.0.lock().unwrap().end.clone();
    let (first, second) = GOOD.split_at(9);
    let pieces = [
        "data: one\n\n".to_owned(),
        format!("data: {first}"),
        format!("{second}\n\n"),
    ];
    let pieces = stream::iter(pieces).then(async |piece| {
        tokio::time::sleep(Duration::from_millis(150)).await;
        Ok::<_, std::io::Error>(Bytes::from(piece))
    });
    let last = stream::once(async move {
        end.notified().await;
        Ok::<_, std::io::Error>(Bytes::from_static(b"data: end\n\n"))
    });
    let head = [("content-type", "text/event-stream")];
    (head, Body::from_stream(pieces.chain(last))).into_response()
}

async fn broken(State(shelf): State<Shelf>, headers: HeaderMap) -> Response {
    shelf.note(&headers);
    let key = headers.get("authorization");
    let key = key.map_or("", |value| value.to_str().unwrap());
    let said = json!({ "error": { "message": format!("no: {key}") } });
    (StatusCode::IM_A_TEAPOT, Json(said)).into_response()
}

async fn put(State(shelf): State<Shelf>, headers: HeaderMap, body: Body) -> Response {
    shelf.note(&headers);
    let (mut whole, mut largest) = (Vec::new(), 0);
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let Ok(piece) = piece else {
            return StatusCode::BAD_REQUEST.into_response();
        };
        largest = largest.max(piece.len());
        whole.extend_from_slice(&piece);
    }
    let (id, thinks) = {
        let mut kept = shelf.0.lock().unwrap();
        kept.largest_piece = largest;
        let id = format!("file-{}", kept.files.len());
        kept.files.insert(id.clone(), whole);
        (id, kept.thinks)
    };
    tokio::time::sleep(thinks).await;
    Json(json!({ "id": id, "object": "file", "purpose": "batch" })).into_response()
}

async fn all(State(shelf): State<Shelf>) -> Json<Value> {
    let ids: Vec<Value> = shelf
        .0
        .lock()
        .unwrap()
        .files
        .keys()
        .map(|id| json!({ "id": id }))
        .collect();
    Json(json!({ "data": ids }))
}

async fn show(State(shelf): State<Shelf>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    shelf.note(&headers);
    if shelf.0.lock().unwrap().files.contains_key(&id) {
        return Json(json!({ "id": id, "object": "file", "purpose": "batch" })).into_response();
    }
    StatusCode::NOT_FOUND.into_response()
}

async fn remove(State(shelf): State<Shelf>, Path(id): Path<String>) -> Response {
    if shelf.0.lock().unwrap().files.remove(&id).is_none() {
        return StatusCode::NOT_FOUND.into_response();
    }
    Json(json!({ "id": id, "object": "file", "deleted": true })).into_response()
}

async fn content(State(shelf): State<Shelf>, Path(id): Path<String>) -> Response {
    let body = shelf.0.lock().unwrap().files[&id].clone();
    ([("content-type", "text/html")], body).into_response()
}

async fn batch(State(shelf): State<Shelf>, Json(body): Json<Value>) -> Json<Value> {
    let (id, thinks) = {
        let mut kept = shelf.0.lock().unwrap();
        let id = format!("batch-{}", kept.batches.len());
        let input = body["input_file_id"].as_str().unwrap().to_owned();
        kept.batches.insert(id.clone(), input);
        (id, kept.thinks)
    };
    tokio::time::sleep(thinks).await;
    Json(json!({ "id": id, "object": "batch", "status": "validating" }))
}

async fn show_batch(State(shelf): State<Shelf>, Path(id): Path<String>) -> Response {
    let mut kept = shelf.0.lock().unwrap();
    if !kept.batches.contains_key(&id) {
        return StatusCode::NOT_FOUND.into_response();
    }
    if kept.under_way {
        let said = json!({ "id": id, "object": "batch", "status": "in_progress" });
        return Json(said).into_response();
    }
    let output = format!("file-of-{id}");
    kept.files.insert(output.clone(), b"results".to_vec());
    let said =
        json!({ "id": id, "object": "batch", "status": "completed", "output_file_id": output });
    Json(said).into_response()
}

/// A process with a provider `p` at the shelf, and two applications.
pub(super) struct Scene {
    pub(super) set: crate::models::Set,
    pub(super) shelf: Shelf,
    pub(super) address: SocketAddr,
    pub(super) other: String,
}

impl Scene {
    pub(super) async fn start(open: Value) -> Self {
        let shelf = Shelf::default();
        let address = shelf.start().await;
        let set = crate::models::Set::start().await;
        let scene = Self {
            other: key(&set.site, "other").await,
            set,
            shelf,
            address,
        };
        scene.open(open).await;
        let key = json!({ "value": GOOD });
        scene
            .set
            .site
            .done("PUT", "providers/p/keys/main", key)
            .await;
        scene
    }

    /// Says what of the provider is open.
    pub(super) async fn open(&self, more: Value) {
        let mut provider = json!({
            "kind": "openai",
            "parameters": { "base_url": format!("http://{}/v1", self.address) },
            "allowUpstream": [self.address.to_string()],
        });
        let members = more.as_object().unwrap().clone();
        provider.as_object_mut().unwrap().extend(members);
        self.set.site.done("PUT", "providers/p", provider).await;
    }

    pub(super) fn ask(&self, method: &str, path: &str, key: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.set.site.served.origin);
        let request = self.set.site.client.request(method.parse().unwrap(), url);
        request.bearer_auth(key)
    }

    pub(super) async fn own(&self, method: &str, path: &str) -> (u16, Value) {
        answered(self.ask(method, path, &self.set.caller)).await
    }

    pub(super) async fn others(&self, method: &str, path: &str) -> (u16, Value) {
        answered(self.ask(method, path, &self.other)).await
    }

    pub(super) async fn upload(&self, text: &str) -> String {
        let request = self.ask("POST", "/v1/files", &self.set.caller);
        let (status, made) = answered(request.body(text.to_owned())).await;
        assert_eq!(status, 200, "{made}");
        made["id"].as_str().unwrap().to_owned()
    }
}

async fn key(site: &Site, name: &str) -> String {
    let made = site.done("POST", "keys", json!({ "name": name })).await;
    made["key"].as_str().unwrap().to_owned()
}

pub(super) async fn answered(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (
        status,
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}

#[tokio::test]
async fn a_request_passes_as_it_is_with_our_key_and_no_other() {
    let scene = Scene::start(json!({})).await;
    let (status, said) = scene.own("GET", "/p/p/echo/a").await;
    assert_eq!(status, 404, "it is closed: {said}");
    scene.open(json!({ "passThrough": true })).await;
    let shown = scene.set.site.get("providers/p").await;
    assert_eq!(
        (&shown["passThrough"], &shown["files"]),
        (&json!(true), &json!(false))
    );
    let (status, _) = answered(scene.ask("GET", "/p/p/echo/a", "cw_wrong")).await;
    assert_eq!(status, 401);
    let caller = &scene.set.caller;
    let path = format!("/p/p/v1/echo/a%2Fb/c:d?x=1&key={caller}&y=%20");
    let request = scene.ask("PATCH", &path, caller);
    let request = request
        .header("cookie", "s=1")
        .header("x-custom", "kept")
        .header("x-forwarded-for", "10.0.0.1")
        .header("openai-organization", "org-other")
        .header("connection", "x-private")
        .header("x-private", "1")
        .body("{\"a\":1}");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 201);
    let headers = response.headers().clone();
    assert_eq!(headers["x-causeway-provider-request-id"], "req-1");
    assert_eq!(
        (&headers["x-limit"], &headers["x-key"]),
        (&"7".parse().unwrap(), &"[masked]".parse().unwrap())
    );
    assert!(!headers.contains_key("set-cookie"), "{headers:?}");
    let text = response.text().await.unwrap();
    assert!(!text.contains(GOOD), "the key it repeats: {text}");
    assert!(!text.contains(caller.as_str()), "{text}");
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["method"], "PATCH");
    assert_eq!(told["uri"], "/v1/echo/a%2Fb/c:d?x=1&y=%20");
    assert_eq!(told["body"], "{\"a\":1}");
    assert_eq!(told["headers"]["authorization"], "Bearer [masked]");
    assert_eq!(told["headers"]["x-custom"], "kept");
    assert_eq!(told["headers"]["content-length"], "7");
    for name in [
        "cookie",
        "x-forwarded-for",
        "openai-organization",
        "x-private",
        "traceparent",
    ] {
        assert_eq!(told["headers"][name], Value::Null, "{name}");
    }
    let (status, said) = scene.own("GET", "/p/p/echo/plain").await;
    assert_eq!(
        (status, &said["headers"]["transfer-encoding"]),
        (201, &Value::Null)
    );
    // An error is the provider's own, without the key.
    let (status, said) = scene.own("POST", "/p/p/broken").await;
    assert_eq!(
        (status, &said["error"]["message"]),
        (418, &json!("no: Bearer [masked]"))
    );
    let rows = scene.set.rows(3).await;
    let of = |row: &Row| (row.model.clone(), row.status.clone(), row.tokens_output);
    assert_eq!(of(&rows[0]), ("p/*".to_owned(), "ok".to_owned(), None));
    assert_eq!(
        of(&rows[2]),
        ("p/*".to_owned(), "tool_error".to_owned(), None)
    );
}

#[tokio::test]
async fn no_path_leads_elsewhere() {
    let scene = Scene::start(json!({ "passThrough": true, "files": true })).await;
    let listening = scene.set.site.served.origin.clone();
    let address = listening.trim_start_matches("http://");
    for path in [
        "echo/../../secret",
        "echo/%2e%2e/%2e%2e/secret",
        "echo/%252e%252e/secret",
        "..%2f..%2fsecret",
        "echo//evil.example",
        "echo/..%5c..%5csecret",
        "http://evil.example/v1",
        "files",
        "v1/files/file-0/content",
        "echo/%66iles/x",
        "echo/Batches",
    ] {
        // As it is, which no client library would send.
        let request = format!(
            "GET /p/p/{path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\nconnection: close\r\n\r\n",
            scene.set.caller
        );
        let said = raw(address, &request).await;
        let status: u16 = said.split(' ').nth(1).unwrap().parse().unwrap();
        assert!((400..500).contains(&status), "{path}: {said}");
    }
    assert!(scene.shelf.asked().is_empty(), "{:?}", scene.shelf.asked());
    let long = "a".repeat(3_000);
    assert_eq!(scene.own("GET", &format!("/p/p/echo/{long}")).await.0, 413);
    assert_eq!(scene.own("GET", "/p/demo/models").await.0, 404);
}

async fn raw(address: &str, request: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut said = String::new();
    socket.read_to_string(&mut said).await.unwrap();
    said
}

#[tokio::test]
async fn what_is_passed_through_is_counted_where_it_says_what_it_used() {
    let scene = Scene::start(json!({ "passThrough": true })).await;
    for stream in [false, true] {
        let body = json!({ "model": "gpt-4o-mini", "stream": stream });
        let request = scene.ask("POST", "/p/p/chat/completions", &scene.set.caller);
        let response = request.body(body.to_string()).send().await.unwrap();
        let text = response.text().await.unwrap();
        assert!(text.contains("gpt-4o-mini"), "{text}");
    }
    for row in scene.set.rows(2).await {
        assert_eq!(
            (row.model.as_str(), row.status.as_str()),
            ("p/gpt-4o-mini", "ok")
        );
        assert_eq!(
            (row.tokens_input, row.tokens_output),
            (Some(1_000), Some(500))
        );
        assert_eq!(row.cost_nanos, Some(450_000), "{row:?}");
    }
    // What it came to counts, and the next request finds it.
    let limits = json!({ "limits": [
        { "unit": "tokens", "amount": 2_000, "window": "day", "scope": "consumer" },
    ] });
    scene
        .set
        .site
        .done("PATCH", "consumers/other", limits)
        .await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let request = scene.ask("POST", "/p/p/chat/completions", &scene.other);
        statuses.push(answered(request.body("{}")).await.0);
    }
    assert_eq!(
        statuses,
        [200, 200, 429],
        "the third finds 3,000 tokens of 2,000 used"
    );
}

#[tokio::test]
async fn what_does_not_say_what_it_used_is_estimated_and_counts() {
    let scene = Scene::start(json!({ "passThrough": true })).await;
    let limits = json!({ "limits": [
        { "unit": "tokens", "amount": 150, "window": "day", "scope": "consumer" },
    ] });
    let site = &scene.set.site;
    site.done("PATCH", "consumers/other", limits).await;
    let body = json!({ "model": "gpt-4o-mini", "prompt": "x".repeat(400) }).to_string();
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let request = scene.ask("POST", "/p/p/images/generations", &scene.other);
        statuses.push(answered(request.body(body.clone())).await.0);
    }
    assert_eq!(statuses, [200, 200, 429], "each has about 120 tokens");
    let rows = scene.set.rows(3).await;
    assert_eq!(rows[0].model, "p/gpt-4o-mini");
    let (input, output) = (rows[0].tokens_input, rows[0].tokens_output);
    assert!(
        (100..120).contains(&input.unwrap()) && (10..20).contains(&output.unwrap()),
        "{rows:?}"
    );
    assert!(rows[0].cost_nanos.unwrap() > 10_000, "{rows:?}");
    let mut database = scene.set.database().await;
    let sql = "SELECT estimated FROM ledger WHERE kind = 'llm' AND status = 'ok'";
    let estimated: Vec<i64> = sqlx::query_scalar(sql)
        .fetch_all(&mut database)
        .await
        .unwrap();
    assert_eq!(estimated, [1, 1]);
}

#[tokio::test]
async fn a_long_list_of_geminis_is_counted_by_its_end() {
    let scene = Scene::start(json!({})).await;
    let provider = json!({
        "kind": "gemini",
        "parameters": { "base_url": format!("http://{}/v1", scene.address) },
        "allowUpstream": [scene.address.to_string()],
        "passThrough": true,
    });
    let site = &scene.set.site;
    site.done("PUT", "providers/g", provider).await;
    site.done("PUT", "providers/g/keys/main", json!({ "value": GOOD }))
        .await;
    let path = "/p/g/models/gemini-2.5-flash:streamGenerateContent";
    let request = scene.ask("POST", path, &scene.set.caller);
    let (status, said) = answered(request.body("{\"contents\":[]}")).await;
    assert_eq!((status, said.as_array().unwrap().len()), (200, 2));
    let rows = scene.set.rows(1).await;
    let row = &rows[0];
    assert_eq!(
        (row.model.as_str(), row.tokens_input, row.tokens_output),
        ("g/gemini-2.5-flash", Some(1_000), Some(500)),
        "{row:?}"
    );
    assert!(row.cost_nanos.unwrap() > 0, "{row:?}");
}

#[tokio::test]
async fn what_is_passed_through_keeps_a_provider_busy() {
    let scene = Scene::start(json!({ "passThrough": true })).await;
    let targets = json!([
        { "provider": "fake", "model": "ok" },
        { "provider": "p", "model": "gpt-4o-mini" },
    ]);
    let settings = json!({ "targets": targets, "strategy": "least-busy" });
    scene.set.model("m", settings).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let request = scene.ask("GET", "/p/p/slow", &scene.set.caller);
        open.push(request.send().await.unwrap());
    }
    let state = scene.set.site.get("providers/p").await;
    assert_eq!(state["state"]["running"], 3, "{state}");
    for _ in 0..6 {
        assert_eq!(scene.set.answer("m", false).await.1, "fake/ok");
    }
    drop(open);
    let is_idle = |said: &Value| said["state"]["running"] == 0;
    scene.set.once("providers/p", is_idle).await;
    let mut targets = std::collections::BTreeSet::new();
    for _ in 0..40 {
        targets.insert(scene.set.answer("m", false).await.1);
    }
    assert_eq!(targets.len(), 2, "even ones take turns: {targets:?}");
}

#[tokio::test]
async fn a_provider_that_fails_what_is_passed_through_is_left_alone() {
    let scene = Scene::start(json!({ "passThrough": true })).await;
    let ask = async |path: &str| {
        let request = scene.ask("POST", path, &scene.set.caller);
        let response = request.send().await.unwrap();
        (
            response.status().as_u16(),
            response.headers().contains_key("retry-after"),
        )
    };
    // What callers choose to ask for is refused to them, and takes the key from nobody.
    for status in [401, 403, 408, 429, 500] {
        for _ in 0..6 {
            assert_eq!(ask(&format!("/p/p/status/{status}")).await.0, status);
        }
    }
    for _ in 0..4 {
        assert_eq!(ask("/p/p/status/503").await, (503, false));
    }
    assert_eq!(ask("/p/p/echo/a").await.0, 201, "one that answers is well");
    for _ in 0..5 {
        assert_eq!(ask("/p/p/status/503").await, (503, false));
    }
    assert_eq!(ask("/p/p/echo/a").await, (503, true), "five in a row");
    // Nor does a chat use the key now.
    let (status, _, said) = scene.set.answer("p/gpt-4o-mini", false).await;
    assert_eq!(status, 503, "{said}");
    assert!(said.contains("left alone"), "{said}");
}

#[tokio::test]
async fn a_stream_comes_as_it_is_made_and_shows_no_key_that_is_cut_in_two() {
    let scene = Scene::start(json!({ "passThrough": true })).await;
    let response = scene
        .ask("GET", "/p/p/slow", &scene.set.caller)
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut pieces = response.bytes_stream();
    let first = pieces.next().await.unwrap().unwrap();
    assert!(first.starts_with(b"data: one"), "{first:?}");
    // The provider has not ended it yet.
    scene.shelf.0.lock().unwrap().end.notify_one();
    let mut text = String::from_utf8(first.to_vec()).unwrap();
    while let Some(piece) = pieces.next().await {
        text.push_str(std::str::from_utf8(&piece.unwrap()).unwrap());
    }
    assert_eq!(text, "data: one\n\ndata: [masked]\n\ndata: end\n\n");
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn files_and_batches_are_found_by_whoever_made_them_only() {
    let scene = Scene::start(json!({})).await;
    let (status, said) = scene.own("GET", "/v1/files").await;
    assert_eq!(status, 501, "{said}");
    scene.open(json!({ "files": true })).await;
    let first = scene.upload("one").await;
    let second = scene.upload("two").await;
    let theirs = scene.ask("POST", "/v1/files", &scene.other);
    let (_, theirs) = answered(theirs.body("three")).await;
    let theirs = theirs["id"].as_str().unwrap();
    let ids = |page: &Value| -> Vec<String> {
        let data = page["data"].as_array().unwrap().iter();
        data.map(|one| one["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let (_, page) = scene.own("GET", "/v1/files").await;
    assert_eq!(ids(&page), [second.clone(), first.clone()], "{page}");
    assert_eq!(page["has_more"], false);
    let (_, page) = scene.own("GET", "/v1/files?limit=1&provider=p").await;
    assert_eq!(
        (ids(&page), &page["has_more"]),
        (vec![second.clone()], &json!(true))
    );
    let next = format!(
        "/v1/files?limit=1&after={}",
        page["last_id"].as_str().unwrap()
    );
    let (_, page) = scene.own("GET", &next).await;
    assert_eq!(
        (ids(&page), &page["has_more"]),
        (vec![first.clone()], &json!(false))
    );
    let (_, page) = scene.others("GET", "/v1/files").await;
    assert_eq!(ids(&page), [theirs]);

    for (method, rest) in [("GET", ""), ("GET", "/content"), ("DELETE", "")] {
        let (status, said) = scene
            .own(method, &format!("/v1/files/{theirs}{rest}"))
            .await;
        assert_eq!(status, 404, "{method} {rest}: {said}");
        let (status, _) = scene.own(method, &format!("/v1/files/nothing{rest}")).await;
        assert_eq!(status, 404, "{method} {rest}");
    }
    let response = scene.ask(
        "GET",
        &format!("/v1/files/{first}/content"),
        &scene.set.caller,
    );
    let response = response.send().await.unwrap();
    assert_eq!(
        response.headers()["content-security-policy"],
        "default-src 'none'; sandbox"
    );
    assert_eq!(response.text().await.unwrap(), "one");

    // A batch reads no file of somebody else's, and what it writes is its maker's.
    let batch = |file: &str, key: &str| {
        let body = json!({ "input_file_id": file, "endpoint": "/v1/chat/completions" });
        let request = scene.ask("POST", "/v1/batches", key);
        let request = request.header("content-type", "application/json");
        answered(request.body(body.to_string()))
    };
    let (status, said) = batch(theirs, &scene.set.caller).await;
    assert_eq!(status, 404, "{said}");
    let (status, made) = batch(&first, &scene.set.caller).await;
    assert_eq!(status, 200, "{made}");
    let id = made["id"].as_str().unwrap();
    assert_eq!(
        scene.others("GET", &format!("/v1/batches/{id}")).await.0,
        404
    );
    assert_eq!(
        scene
            .others("POST", &format!("/v1/batches/{id}/cancel"))
            .await
            .0,
        404
    );
    let (_, page) = scene.others("GET", "/v1/batches").await;
    assert_eq!(ids(&page), Vec::<String>::new());
    let (status, shown) = scene.own("GET", &format!("/v1/batches/{id}")).await;
    assert_eq!(status, 200, "{shown}");
    let output = shown["output_file_id"].as_str().unwrap();
    let path = format!("/v1/files/{output}/content");
    let (_, results) = scene.own("GET", &path).await;
    assert_eq!(results, "results");
    assert_eq!(scene.others("GET", &path).await.0, 404);
    let (_, page) = scene.own("GET", "/v1/batches").await;
    assert_eq!(ids(&page), [id]);

    let (status, gone) = scene.own("DELETE", &format!("/v1/files/{second}")).await;
    assert_eq!((status, &gone["deleted"]), (200, &json!(true)));
    assert_eq!(
        scene.own("GET", &format!("/v1/files/{second}")).await.0,
        404
    );
    // The admin's key is somebody of its own.
    let (_, page) = answered(scene.ask("GET", "/v1/files", ADMIN)).await;
    assert_eq!(ids(&page), Vec::<String>::new());
    let rows = scene.set.rows(10).await;
    assert!(
        rows.iter()
            .all(|row| row.model == "p/*" && row.tokens_output.is_none()),
        "{rows:?}"
    );
    // Two providers that keep files: one has to be named.
    let another = json!({
        "kind": "openai", "parameters": { "base_url": format!("http://{}/v1", scene.address) },
        "allowUpstream": [scene.address.to_string()], "files": true,
    });
    scene.set.site.done("PUT", "providers/q", another).await;
    assert_eq!(scene.own("GET", "/v1/files").await.0, 400);
    let named = scene.ask("GET", "/v1/files", &scene.set.caller);
    let (status, page) = answered(named.header("x-causeway-provider", "p")).await;
    assert_eq!((status, ids(&page).contains(&first)), (200, true), "{page}");
}

#[tokio::test]
async fn an_upload_is_passed_on_while_it_comes() {
    let scene = Scene::start(json!({ "files": true })).await;
    let piece = Bytes::from(vec![b'x'; 256 << 10]);
    let pieces = stream::iter((0..256).map(move |_| Ok::<_, std::io::Error>(piece.clone())));
    let request = scene.ask("POST", "/v1/files", &scene.set.caller);
    let request = request.header("content-type", "multipart/form-data; boundary=b");
    let (status, made) = answered(request.body(reqwest::Body::wrap_stream(pieces))).await;
    assert_eq!(status, 200, "{made}");
    {
        let kept = scene.shelf.0.lock().unwrap();
        assert_eq!(kept.files[made["id"].as_str().unwrap()].len(), 64 << 20);
        assert!(kept.largest_piece < 8 << 20, "{}", kept.largest_piece);
    }
    let request = scene.ask("POST", "/v1/files", &scene.set.caller);
    let request = request.header("content-length", (600_u64 << 20).to_string());
    let refused = request.body(reqwest::Body::wrap_stream(stream::pending::<
        Result<Bytes, std::io::Error>,
    >()));
    assert_eq!(answered(refused).await.0, 413);
}
