//! A provider that speaks OpenAI's chat, and does what the model's name says.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::stream::{self, StreamExt};
use serde_json::{Value, json};

pub(super) const GOOD: &str = "sk-good-0123456789-wxyz";
pub(super) const WRONG: &str = "sk-wrong-0123456789-stuv";
/// What it calls every request.
pub(super) const REQUEST: &str = "req-of-the-provider";
/// What `slow` takes to begin.
const SLOW: Duration = Duration::from_secs(1);
/// Of a paced stream.
pub(super) const PIECES: usize = 20;

#[derive(Clone)]
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    state: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    keys: Mutex<Vec<String>>,
    /// Models that were refused once.
    limited: Mutex<BTreeSet<String>>,
    /// The list of models is not answered.
    ill: AtomicBool,
    /// Paced and endless streams under way.
    open: Arc<AtomicUsize>,
}

impl Upstream {
    pub(super) async fn start() -> Self {
        let state = Arc::new(Seen::default());
        let router = Router::new()
            .route("/v1/models", get(models))
            .route("/metrics", get(metrics))
            .route("/v1/chat/completions", post(chat))
            .route("/v1/embeddings", post(embed))
            .fallback(other)
            .with_state(state.clone());
        let address = crate::egress::serve_local(router).await;
        Self { address, state }
    }

    pub(super) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn base(&self) -> String {
        format!("{}/v1", self.origin())
    }

    /// What came as a credential with each request.
    pub(super) fn keys(&self) -> Vec<String> {
        self.state.keys.lock().unwrap().clone()
    }

    pub(super) fn is_ill(&self, ill: bool) {
        self.state.ill.store(ill, Ordering::SeqCst);
    }

    pub(super) fn open(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }
}

/// Counts a stream as long as it is there.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn admitted(seen: &Seen, headers: &HeaderMap) -> Result<(), Box<Response>> {
    let key = headers.get("authorization");
    let key = key.map_or("", |value| value.to_str().unwrap()).to_owned();
    seen.keys.lock().unwrap().push(key.clone());
    if key == format!("Bearer {GOOD}") {
        return Ok(());
    }
    Err(Box::new(refusal(
        StatusCode::UNAUTHORIZED,
        &format!("no such key: {key}"),
    )))
}

fn refusal(status: StatusCode, text: &str) -> Response {
    let error = json!({ "error": { "message": text, "type": "server_error", "code": null, "param": null } });
    (status, [("request-id", REQUEST)], Json(error)).into_response()
}

/// Whatever else is asked for tells where it came, and of which form it was.
async fn other(
    State(seen): State<Arc<Seen>>,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
) -> Response {
    if let Err(refused) = admitted(&seen, &headers) {
        return *refused;
    }
    if String::from_utf8_lossy(&body).contains("refuse this") {
        let text = format!("nothing like that, although you are {GOOD}");
        return refusal(StatusCode::UNPROCESSABLE_ENTITY, &text);
    }
    let form = headers.get("content-type").unwrap().to_str().unwrap();
    Json(json!({
        "path": uri.path(), "form": form, "body": String::from_utf8_lossy(&body),
        "usage": { "prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10 },
    }))
    .into_response()
}

async fn embed(Json(body): Json<Value>) -> Response {
    match body["model"].as_str().unwrap() {
        "slow" => tokio::time::sleep(SLOW).await,
        "cut" => {
            let half = stream::iter([Ok(Bytes::from_static(b"{\"object\":"))]);
            let cut = half.chain(stream::once(async {
                // What was sent before is on its way.
                tokio::time::sleep(Duration::from_millis(50)).await;
                Err(std::io::Error::other("cut"))
            }));
            let head = [(header::CONTENT_TYPE, "application/json")];
            return (head, Body::from_stream(cut)).into_response();
        }
        model if model.starts_with("told-") => return told(model),
        _ => {}
    }
    Json(json!({
        "object": "list", "model": body["model"], "usage": { "prompt_tokens": 7, "total_tokens": 7 },
        "data": [{ "object": "embedding", "index": 0, "embedding": [0.5] }],
    }))
    .into_response()
}

async fn models(State(seen): State<Arc<Seen>>, headers: HeaderMap) -> Response {
    if let Err(refused) = admitted(&seen, &headers) {
        return *refused;
    }
    if seen.ill.load(Ordering::SeqCst) {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "ill");
    }
    let all: Vec<Value> = (0..600)
        .map(|n| json!({ "id": format!("model-{n}") }))
        .collect();
    Json(json!({ "object": "list", "data": all })).into_response()
}

/// As vLLM tells its load.
async fn metrics() -> &'static str {
    "# TYPE vllm:num_requests_running gauge\n\
     vllm:num_requests_running{model_name=\"m\"} 7.0\n\
     vllm:num_requests_waiting{model_name=\"m\"} 2.0\n"
}

async fn chat(State(seen): State<Arc<Seen>>, headers: HeaderMap, body: Bytes) -> Response {
    if let Err(refused) = admitted(&seen, &headers) {
        return *refused;
    }
    let body: Value = serde_json::from_slice(&body).unwrap();
    let model = body["model"].as_str().unwrap();
    match model {
        "broken" => {
            let text = format!("out of order, although you are {GOOD}");
            return refusal(StatusCode::INTERNAL_SERVER_ERROR, &text);
        }
        "forbidden" => {
            let text = format!("no access to this model, although you are {GOOD}");
            return refusal(StatusCode::FORBIDDEN, &text);
        }
        "echo" => {
            let text = format!("you are {GOOD}");
            return Json(json!({
                "id": "1", "object": "chat.completion", "created": 1, "model": model,
                "choices": [{ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }],
            }))
            .into_response();
        }
        "stall" if body["stream"] != true => {
            tokio::time::sleep(Duration::from_secs(20)).await;
        }
        "prudish" | "short" => {
            let code = if model == "short" {
                "context_length_exceeded"
            } else {
                "content_filter"
            };
            let error = json!({ "error": { "message": "no", "type": "invalid_request_error", "code": code } });
            return (StatusCode::BAD_REQUEST, Json(error)).into_response();
        }
        "told-429" | "told-401" | "told-400" | "told-null" => return told(model),
        "slow" => tokio::time::sleep(SLOW).await,
        "limited-60" => return limited("60", "too fast"),
        "limited-1" | "limited-text" | "limited-date"
            if seen.limited.lock().unwrap().insert(model.to_owned()) =>
        {
            let date = chrono::Utc::now() + Duration::from_secs(2);
            let date = date.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
            return match model {
                "limited-date" => limited(&date, "too fast"),
                "limited-text" => limited("1", "too fast, please try again in 20ms."),
                _ => limited("1", "too fast"),
            };
        }
        _ => {}
    }
    if body["stream"] == true {
        return streamed(&seen, model);
    }
    let answer = Json(json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": dated(model),
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": "hello" }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500 },
    }));
    ([("x-request-id", REQUEST)], answer).into_response()
}

/// An error with a good status, as OpenRouter tells them; `null` is none.
fn told(model: &str) -> Response {
    let code = model.trim_start_matches("told-").parse::<u16>().ok();
    let message = match code {
        Some(400) => "the maximum context length is 9 tokens".to_owned(),
        _ => format!("you are {GOOD}"),
    };
    let error = code.map(|code| json!({ "code": code, "message": message }));
    let choices = if code.is_none() {
        json!([{ "index": 0, "message": { "role": "assistant", "content": "an \"error\"" }, "finish_reason": "stop" }])
    } else {
        Value::Null
    };
    Json(json!({ "id": "1", "model": model, "error": error, "choices": choices })).into_response()
}

fn limited(after: &str, text: &str) -> Response {
    let refused = refusal(StatusCode::TOO_MANY_REQUESTS, text);
    ([(header::RETRY_AFTER, after.to_owned())], refused).into_response()
}

/// Some names of models stand for another, which answers.
fn dated(model: &str) -> &str {
    match model {
        "gpt-4o-mini" => "gpt-4o-mini-2024-07-18",
        "ok" => "ok-1",
        model => model,
    }
}

fn piece(model: &str, delta: &Value, reason: Option<&str>) -> String {
    let chunk = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": dated(model),
        "choices": [{ "index": 0, "delta": delta, "finish_reason": reason }],
    });
    format!("data: {chunk}\n\n")
}

fn usage_piece() -> String {
    let usage = json!({ "prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500 });
    let chunk = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "counted", "choices": [],
        "usage": usage,
    });
    format!("data: {chunk}\n\n")
}

/// A stream of pieces, of which the first is nothing that anybody reads.
fn streamed(seen: &Seen, model: &str) -> Response {
    let (pieces, pause) = match model {
        "paced" | "counted" => (PIECES, Duration::from_millis(50)),
        "endless" => (usize::MAX, Duration::from_millis(50)),
        "stall" => (usize::MAX, Duration::from_secs(20)),
        "cut" | "betray" => (1, Duration::from_millis(20)),
        _ => (2, Duration::ZERO),
    };
    let (model, open) = (model.to_owned(), Open::new(&seen.open));
    let chunks = stream::unfold((0, open), move |(n, open)| {
        let model = model.clone();
        async move {
            if n > 0 && n <= pieces {
                tokio::time::sleep(pause).await;
            }
            let text = match n {
                0 => piece(&model, &json!({ "role": "assistant", "content": "" }), None),
                n if n <= pieces => piece(
                    &model,
                    &json!({ "content": format!("piece {} ", n - 1) }),
                    None,
                ),
                // The connection is cut.
                n if model == "cut" && n == pieces + 1 => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    return Some((Err(std::io::Error::other("cut")), (n + 1, open)));
                }
                n if model == "betray" && n == pieces + 1 => {
                    let error = json!({ "error": { "message": format!("key={GOOD} is bad"), "type": "server_error" } });
                    format!("data: {error}\n\n")
                }
                n if model != "cut" && n == pieces + 1 => {
                    let usage = match &*model {
                        "counted" => usage_piece(),
                        _ => String::new(),
                    };
                    let end = piece(&model, &json!({}), Some("stop"));
                    format!("{end}{usage}data: [DONE]\n\n")
                }
                _ => return None,
            };
            Some((Ok(Bytes::from(text)), (n + 1, open)))
        }
    });
    let head = [
        (header::CONTENT_TYPE.as_str(), "text/event-stream"),
        ("x-request-id", REQUEST),
    ];
    (head, Body::from_stream(chunks)).into_response()
}
