//! What is no chat and passed on as it is: what it comes to, and how often it is asked, over real sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use serde_json::{Value, json};

use crate::models::{Row, Set};

/// How often it was asked.
#[derive(Clone, Default)]
struct Maker(Arc<AtomicUsize>);

impl Maker {
    async fn start(&self) -> SocketAddr {
        let router = Router::new()
            .route("/v1/messages/count_tokens", post(count))
            .route("/v1/embeddings", post(embed))
            .route("/v1/completions", post(complete))
            .route("/v1/images/generations", post(picture))
            .route("/v1/audio/speech", post(speak))
            .route("/v1/audio/transcriptions", post(transcribe))
            .route("/v2/rerank", post(rank))
            .with_state(self.clone());
        crate::egress::serve_local(router).await
    }
}

async fn count() -> Json<Value> {
    Json(json!({ "input_tokens": 12 }))
}

fn refused(status: StatusCode) -> Response {
    let error = json!({ "error": { "message": "not now", "type": "server_error" } });
    (status, [("retry-after", "60")], Json(error)).into_response()
}

/// What the model's name says.
async fn embed(State(maker): State<Maker>, Json(body): Json<Value>) -> Response {
    let asked = maker.0.fetch_add(1, Ordering::SeqCst);
    let tokens = match body["model"].as_str().unwrap() {
        "busy" if asked == 0 => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        "limited" => return refused(StatusCode::TOO_MANY_REQUESTS),
        "absurd" => u64::MAX,
        _ => 7,
    };
    let data = json!([{ "object": "embedding", "index": 0, "embedding": [0.5] }]);
    Json(json!({
        "object": "list", "model": body["model"], "data": data,
        "usage": { "prompt_tokens": tokens, "total_tokens": tokens },
    }))
    .into_response()
}

fn events(all: &[Value]) -> Response {
    let all = all.iter().map(|event| format!("data: {event}\n\n"));
    let head = [("content-type", "text/event-stream")];
    (head, all.collect::<String>() + "data: [DONE]\n\n").into_response()
}

async fn complete() -> Response {
    let piece = json!({ "object": "text_completion", "choices": [{ "index": 0, "text": "Hi" }] });
    let usage = json!({ "prompt_tokens": 1_000, "completion_tokens": 500, "total_tokens": 1_500 });
    let last = json!({ "object": "text_completion", "choices": [], "usage": usage });
    events(&[piece, last])
}

/// Long, and used for little.
async fn picture() -> Response {
    let usage = json!({ "input_tokens": 50, "output_tokens": 4_160, "total_tokens": 4_210 });
    let picture = "A".repeat(1 << 20);
    events(&[
        json!({ "type": "image_generation.partial_image", "b64_json": picture }),
        json!({ "type": "image_generation.completed", "b64_json": picture, "usage": usage }),
    ])
}

async fn speak() -> Response {
    let head = [("content-type", "audio/mpeg")];
    (head, Bytes::from(vec![7; 32_000])).into_response()
}

async fn transcribe() -> Json<Value> {
    Json(json!({ "text": "so said" }))
}

async fn rank(Json(body): Json<Value>) -> Json<Value> {
    let mut answer = json!({ "id": "r", "results": [{ "index": 0, "relevance_score": 0.5 }] });
    if let Some(units) = body["units"].as_u64() {
        answer["meta"] = json!({ "billed_units": { "search_units": units } });
    }
    Json(answer)
}

/// A process with providers there, each of a dialect and with its prices.
struct Scene {
    set: Set,
    maker: Maker,
}

impl Scene {
    async fn start() -> Self {
        let (set, maker) = (Set::start().await, Maker::default());
        let address = maker.start().await;
        let all = [
            ("o", "openai-chat", "openai", "/v1"),
            ("a", "anthropic", "anthropic", "/v1"),
            ("c", "cohere", "cohere", ""),
        ];
        for (name, dialect, prices, base) in all {
            let capabilities = match name {
                "o" => json!([
                    "embeddings",
                    "completions",
                    "images",
                    "speech",
                    "transcriptions"
                ]),
                "a" => json!(["count-tokens"]),
                _ => json!(["rerank"]),
            };
            let provider = json!({
                "kind": name,
                "allowUpstream": [address.to_string()],
                "definition": {
                    "id": name, "name": name, "dialect": dialect, "docs": "https://example.com/docs", "auth": "none",
                    "base_url": format!("http://{address}{base}"), "capabilities": capabilities, "prices": prices,
                },
            });
            let path = format!("providers/{name}");
            set.site.done("PUT", &path, provider).await;
        }
        Self { set, maker }
    }

    fn ask(&self, path: &str, media: &str, body: String) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.set.site.served.origin);
        let request = self.set.site.client.post(url).bearer_auth(&self.set.caller);
        request.header("content-type", media).body(body)
    }

    /// The row of an answer that came well.
    async fn came(&self, path: &str, body: &Value, count: usize) -> Row {
        let request = self.ask(path, "application/json", body.to_string());
        self.row(request, count).await
    }

    async fn row(&self, request: reqwest::RequestBuilder, count: usize) -> Row {
        let response = request.send().await.unwrap();
        let status = response.status();
        let said = response.bytes().await.unwrap();
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&said));
        let mut rows = self.set.rows(count).await;
        assert_eq!(rows.len(), count, "{rows:?}");
        let row = rows.pop().unwrap();
        assert_eq!(row.status, "ok", "{row:?}");
        row
    }

    async fn limit(&self, unit: &str, amount: u64) {
        let limits = json!({ "limits": [
            { "unit": unit, "amount": amount, "window": "day", "scope": "consumer" },
        ] });
        let site = &self.set.site;
        site.done("PATCH", "consumers/app", limits).await;
    }
}

#[tokio::test]
async fn counting_tokens_uses_none() {
    let scene = Scene::start().await;
    scene.limit("tokens", 10).await;
    let said = "a word ".repeat(200);
    let body =
        json!({ "model": "a/claude-haiku-4-5", "messages": [{ "role": "user", "content": said }] });
    for count in 1..=3 {
        let row = scene.came("/v1/messages/count_tokens", &body, count).await;
        let used = (row.tokens_input, row.tokens_output, row.cost_nanos);
        assert_eq!(used, (None, None, None), "{row:?}");
    }
}

#[tokio::test]
async fn what_is_used_is_read_of_events_and_estimated_of_sound() {
    let scene = Scene::start().await;
    let used = |row: &Row| (row.tokens_input.unwrap(), row.tokens_output.unwrap());
    let body = json!({ "model": "o/gpt-5-mini", "prompt": "a cat", "stream": true });
    let row = scene.came("/v1/images/generations", &body, 1).await;
    assert_eq!(used(&row), (50, 4_160));
    let row = scene.came("/v1/completions", &body, 2).await;
    assert_eq!(used(&row), (1_000, 500));
    assert_eq!(row.cost_nanos, Some(1_000 * 250 + 500 * 2_000));
    // A token for so many bytes of sound, whichever way it goes.
    let body = json!({ "model": "o/gpt-4o-mini-tts", "input": "say it", "voice": "alloy" });
    let row = scene.came("/v1/audio/speech", &body, 3).await;
    assert_eq!(used(&row).1, 1_000, "{row:?}");
    let part = |name: &str, value: &str| {
        format!("--b\r\ncontent-disposition: form-data; name={name}\r\n\r\n{value}\r\n")
    };
    let sound = "x".repeat(64_000);
    let form = [
        part("\"model\"", "o/whisper-1"),
        part("file; filename=a", &sound),
    ];
    let media = "multipart/form-data; boundary=b";
    let request = scene.ask(
        "/v1/audio/transcriptions",
        media,
        form.concat() + "--b--\r\n",
    );
    let (input, output) = used(&scene.row(request, 4).await);
    assert!((2_000..2_100).contains(&input) && output > 0, "{input}");
}

#[tokio::test]
async fn rankings_are_paid_for_by_searches() {
    let scene = Scene::start().await;
    let ask = |units: Value| json!({ "model": "c/rerank-v3.5", "query": "q", "documents": ["a", "b"], "units": units });
    // Two thousandths of a dollar each, and at least one where nobody says how many.
    for (count, (units, cost)) in [(json!(3), 6), (Value::Null, 2)].into_iter().enumerate() {
        let row = scene.came("/v1/rerank", &ask(units), count + 1).await;
        assert_eq!(row.cost_nanos, Some(cost * 1_000_000), "{row:?}");
        assert!(row.tokens_input > Some(0), "{row:?}");
        assert_eq!(row.tokens_output, Some(0));
    }
    // One has to be left.
    scene.limit("money", 1_000).await;
    let request = scene.ask(
        "/v1/rerank",
        "application/json",
        ask(Value::Null).to_string(),
    );
    assert_eq!(request.send().await.unwrap().status(), 429);
    // What has no price has none, though others of the request do.
    scene.limit("money", 1_000_000).await;
    let mut other = ask(json!(3));
    other["model"] = "c/rerank-v5.0-pro".into();
    let row = scene.came("/v1/rerank", &other, 4).await;
    assert_eq!(row.cost_nanos, None, "{row:?}");
}

#[tokio::test]
async fn a_number_that_nobody_uses_stops_no_ledger() {
    let scene = Scene::start().await;
    for (count, model) in ["absurd", "absurd", "text-embedding-3-small"]
        .into_iter()
        .enumerate()
    {
        let body = json!({ "model": format!("o/{model}"), "input": "some text" });
        let row = scene.came("/v1/embeddings", &body, count + 1).await;
        let expected = if model == "absurd" { 1 << 32 } else { 7 };
        assert_eq!(row.tokens_input, Some(expected), "{row:?}");
    }
}

#[tokio::test]
async fn what_is_no_chat_is_asked_again_where_that_helps() {
    let scene = Scene::start().await;
    let body = json!({ "model": "o/busy", "input": "some text" });
    let row = scene.came("/v1/embeddings", &body, 1).await;
    assert_eq!((row.attempts, row.tokens_input), (2, Some(7)));
    // Nobody waits for a minute, and the caller is told how long it is.
    let body = json!({ "model": "o/limited", "input": "some text" });
    let after = async || {
        let request = scene.ask("/v1/embeddings", "application/json", body.to_string());
        let response = request.send().await.unwrap();
        let after = response.headers().get("retry-after").cloned();
        let after: u64 = after.unwrap().to_str().unwrap().parse().unwrap();
        (response.status().as_u16(), after)
    };
    let began = Instant::now();
    for _ in 0..5 {
        assert_eq!(after().await, (429, 60));
    }
    assert!(began.elapsed() < Duration::from_secs(30));
    assert_eq!(scene.maker.0.load(Ordering::SeqCst), 7);
    // It is left alone now, for ten seconds.
    let (status, after) = after().await;
    assert!(status >= 500 && (1..=10).contains(&after), "{status}");
    assert_eq!(scene.maker.0.load(Ordering::SeqCst), 7);
}
