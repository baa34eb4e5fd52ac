//! What requests that are passed through come to, over real sockets: whoever leaves, hides what is asked for or asks for
//! it later gets nothing for nothing.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::models::through::answered;
use crate::models::upstream::GOOD;
use crate::models::{Row, Set};

/// What there was of a request once its answer was under way.
#[derive(Default)]
struct Seen {
    asked: AtomicUsize,
    /// Answers that nobody waits for any more.
    given_up: AtomicUsize,
}

/// A provider that takes its time, and one that says what it used in many ways.
#[derive(Clone, Default)]
struct Maker(Arc<Seen>);

/// Notes that its answer was given up, unless it was given.
struct Working(Arc<Seen>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.given_up.fetch_add(1, Ordering::SeqCst);
    }
}

impl Maker {
    async fn start(&self) -> SocketAddr {
        let router = Router::new()
            .route("/v1/chat/completions", post(chat))
            .route("/v1/slow", get(slow).post(slow))
            .route("/v1/slow/embeddings", post(slow))
            .route("/v1/responses", post(responses))
            .route("/v1/threads/t/runs", post(queued))
            .route("/v1/images/generations", post(picture))
            .route("/v1/images/edits", post(mute))
            .route("/v1/audio/transcriptions", post(mute))
            .with_state(self.clone());
        crate::egress::serve_local(router).await
    }

    fn asked(&self) -> usize {
        self.0.asked.load(Ordering::SeqCst)
    }

    fn given_up(&self) -> usize {
        self.0.given_up.load(Ordering::SeqCst)
    }
}

/// Answers when nobody waits any more.
async fn slow(State(maker): State<Maker>, _body: Bytes) -> Json<Value> {
    let _working = Working(maker.0.clone());
    maker.0.asked.fetch_add(1, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_mins(2)).await;
    Json(json!({}))
}

fn events(events: &[Value]) -> Response {
    let events: Vec<String> = events
        .iter()
        .map(|event| format!("data: {event}\n\n"))
        .collect();
    let head = [("content-type", "text/event-stream")];
    (head, events.concat()).into_response()
}

async fn chat(State(maker): State<Maker>, headers: HeaderMap, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap();
    if body["model"] == "slow" || body["user"] == "slow" {
        return slow(State(maker), Bytes::new()).await.into_response();
    }
    assert!(!headers.contains_key("content-encoding"));
    // What the answer is charged at may be another tier than the request asks for.
    let tier = match &body["metadata"]["granted"] {
        Value::Null => json!({}),
        tier => json!({ "service_tier": tier }),
    };
    let mut piece =
        json!({ "model": "gpt-5-mini", "choices": [{ "index": 0, "delta": { "content": "Hi" } }] });
    let usage = json!({ "prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500 });
    let mut last = json!({ "model": "gpt-5-mini", "choices": [], "usage": usage });
    for event in [&mut piece, &mut last] {
        let tier = tier.as_object().unwrap().clone();
        event.as_object_mut().unwrap().extend(tier);
    }
    if body["stream"] != true {
        return Json(last).into_response();
    }
    let all = events(&[piece, last]);
    let (head, body) = all.into_parts();
    let text = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let text = [&text, b"data: [DONE]\n\n".as_slice()].concat();
    Response::from_parts(head, Body::from(text))
}

async fn responses(Json(body): Json<Value>) -> Response {
    let queued = json!({
        "id": "resp-1", "object": "response", "model": "gpt-5-mini", "status": "queued", "usage": null,
        "background": true, "output": [], "service_tier": "auto",
    });
    if body["stream"] != true {
        return Json(queued).into_response();
    }
    if body["background"] == true {
        // The rest is told to whoever asks for it later.
        return events(&[json!({ "type": "response.queued", "response": queued })]);
    }
    let usage = json!({ "input_tokens": 1000, "output_tokens": 500, "total_tokens": 1500 });
    let mut whole = queued.clone();
    whole["status"] = json!("completed");
    whole["usage"] = usage;
    whole["service_tier"] = json!("priority");
    events(&[
        json!({ "type": "response.created", "response": queued }),
        json!({ "type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hi" }),
        json!({ "type": "response.completed", "response": whole }),
    ])
}

async fn queued() -> Json<Value> {
    Json(
        json!({ "id": "run-1", "object": "thread.run", "model": "gpt-5-mini", "status": "queued", "usage": null }),
    )
}

/// Long, and used for little.
async fn picture(Json(body): Json<Value>) -> Response {
    let usage = json!({
        "input_tokens": 50, "output_tokens": 4_160, "total_tokens": 4_210,
        "input_tokens_details": { "text_tokens": 10, "image_tokens": 40 },
    });
    let picture = "A".repeat(1 << 20);
    if body["stream"] == true {
        return events(&[
            json!({ "type": "image_generation.partial_image", "b64_json": picture }),
            json!({ "type": "image_generation.completed", "b64_json": picture, "usage": usage }),
        ]);
    }
    Json(json!({ "created": 1, "data": [{ "b64_json": picture }], "usage": usage })).into_response()
}

/// An answer that says neither what it used nor of which model.
async fn mute(_body: Bytes) -> Json<Value> {
    Json(json!({ "text": "word ".repeat(20) }))
}

/// A process with a provider `p` there.
struct Scene {
    set: Set,
    maker: Maker,
}

impl Scene {
    async fn start() -> Self {
        let (set, maker) = (Set::start().await, Maker::default());
        let address = maker.start().await;
        let provider = json!({
            "kind": "openai",
            "parameters": { "base_url": format!("http://{address}/v1") },
            "allowUpstream": [address.to_string()],
            "passThrough": true,
        });
        let site = &set.site;
        site.done("PUT", "providers/p", provider).await;
        let key = json!({ "value": GOOD });
        site.done("PUT", "providers/p/keys/main", key).await;
        Self { set, maker }
    }

    fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
        let url = format!("{}/p/p/{path}", self.set.site.served.origin);
        let request = self.set.site.client.post(url).bearer_auth(&self.set.caller);
        request.body(body)
    }

    fn ask(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        let request = self.post(path, body.to_string());
        request.header("content-type", "application/json")
    }

    /// The last row of the ledger, once it has so many.
    async fn row(&self, count: usize) -> Row {
        let mut rows = self.set.rows(count).await;
        assert_eq!(rows.len(), count, "{rows:?}");
        rows.pop().unwrap()
    }

    /// The row of an answer that came well.
    async fn came(&self, request: reqwest::RequestBuilder, count: usize) -> Row {
        let (status, said) = answered(request).await;
        assert_eq!(status, 200, "{said}");
        let row = self.row(count).await;
        assert_eq!(row.status, "ok", "{row:?}");
        row
    }

    async fn estimated(&self) -> Vec<i64> {
        let mut database = self.set.database().await;
        let sql = "SELECT estimated FROM ledger WHERE kind = 'llm' ORDER BY at, id";
        let rows = sqlx::query_scalar(sql).fetch_all(&mut database);
        rows.await.unwrap()
    }

    /// Asks, and leaves once the provider is at work.
    async fn leave(&self, request: reqwest::RequestBuilder) {
        let before = self.maker.asked();
        let asked = tokio::spawn(request.send());
        let began = Instant::now();
        while self.maker.asked() == before {
            assert!(began.elapsed() < Duration::from_secs(10), "nobody is asked");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        asked.abort();
        assert!(asked.await.unwrap_err().is_cancelled());
    }
}

fn tokens(row: &Row) -> (&str, &str, Option<i64>, Option<i64>) {
    let (model, status) = (row.model.as_str(), row.status.as_str());
    (model, status, row.tokens_input, row.tokens_output)
}

// bitrouter/bitrouter#537: whoever left early paid nothing for the prompt.
#[tokio::test]
async fn whoever_leaves_before_an_answer_begins_is_billed_for_what_was_asked() {
    let scene = Scene::start().await;
    let limits = json!({ "limits": [
        { "unit": "tokens", "amount": 9_000, "window": "day", "scope": "consumer" },
    ] });
    let site = &scene.set.site;
    site.done("PATCH", "consumers/app", limits).await;
    let asked = |more: Value| {
        let mut body =
            json!({ "model": "gpt-5-mini", "user": "slow", "prompt": "x".repeat(4_000) });
        let more = more.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(more);
        scene.ask("chat/completions", &body)
    };
    // What an answer may have that nobody bounds.
    scene.leave(asked(json!({}))).await;
    let row = scene.row(1).await;
    let input = row.tokens_input.unwrap();
    assert!((1_000..1_100).contains(&input), "{row:?}");
    assert_eq!(
        tokens(&row),
        ("p/gpt-5-mini", "cancelled", Some(input), Some(4_096))
    );
    assert_eq!(row.cost_nanos, Some(input * 250 + 4_096 * 2_000));
    // What the request bounds, and how often.
    scene
        .leave(asked(json!({ "max_completion_tokens": 700, "n": 2 })))
        .await;
    assert_eq!(scene.row(2).await.tokens_output, Some(1_400));
    // What is asked is no answer.
    scene
        .leave(scene.post("slow/embeddings", r#"{"model":"e"}"#))
        .await;
    assert_eq!(scene.row(3).await.tokens_output, Some(0));
    assert_eq!(scene.estimated().await, [1, 1, 1]);
    let began = Instant::now();
    while scene.maker.given_up() < 3 {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "the provider goes on"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // It counts: the third has used up what there is.
    scene.leave(asked(json!({ "max_tokens": 4_000 }))).await;
    scene.row(4).await;
    let (status, said) = answered(asked(json!({}))).await;
    assert_eq!(status, 429, "{said}");
    // Whoever asks no model for anything owes nothing.
    let url = format!("{}/p/p/slow", scene.set.site.served.origin);
    let plain = scene
        .set
        .site
        .client
        .get(url)
        .bearer_auth(crate::managing::ADMIN);
    scene.leave(plain).await;
    assert_eq!(
        tokens(&scene.row(6).await),
        ("p/*", "cancelled", None, None)
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_ends_its_request_and_costs_nothing() {
    use tokio::io::AsyncWriteExt;
    let scene = Scene::start().await;
    let origin = scene.set.site.served.origin.clone();
    let address = origin.trim_start_matches("http://");
    for length in ["content-length: 999", "transfer-encoding: chunked"] {
        let head = format!(
            "POST /p/p/chat/completions HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\n{length}\r\n\r\n",
            scene.set.caller
        );
        let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(b"5\r\n{\"a\":\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        drop(socket);
    }
    let rows = scene.set.rows(2).await;
    for row in &rows {
        assert_ne!(row.status, "ok", "{row:?}");
        let spent = [row.tokens_input, row.tokens_output, row.cost_nanos];
        assert_eq!(spent.map(Option::unwrap_or_default), [0; 3], "{row:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_made_later_is_billed_as_the_longest_there_may_be() {
    let scene = Scene::start().await;
    let ask = |body: Value| scene.ask("responses", &body);
    let body = json!({ "model": "gpt-5-mini", "input": "hi", "background": true, "max_output_tokens": 3_000 });
    let row = scene.came(ask(body.clone()), 1).await;
    assert_eq!(
        (row.model.as_str(), row.tokens_output),
        ("p/gpt-5-mini", Some(3_000))
    );
    let mut endless = body.clone();
    endless.as_object_mut().unwrap().remove("max_output_tokens");
    let row = scene.came(ask(endless), 2).await;
    assert_eq!(row.tokens_output, Some(131_072), "{row:?}");
    assert!(row.cost_nanos.unwrap() >= 131_072 * 2_000, "{row:?}");
    let mut streamed = body;
    streamed["stream"] = json!(true);
    let row = scene.came(ask(streamed), 3).await;
    assert_eq!(row.tokens_output, Some(3_000), "{row:?}");
    let run = json!({ "assistant_id": "a", "max_completion_tokens": 2_000 });
    let row = scene.came(scene.ask("threads/t/runs", &run), 4).await;
    assert_eq!(row.tokens_output, Some(2_000), "{row:?}");
    assert_eq!(scene.estimated().await, [1; 4]);
}

#[tokio::test]
async fn what_pictures_say_they_used_counts() {
    let scene = Scene::start().await;
    for (stream, count) in [(false, 1), (true, 2)] {
        let body = json!({ "model": "gpt-5-mini", "prompt": "a cat", "stream": stream });
        let request = scene.ask("images/generations", &body);
        let row = scene.came(request, count).await;
        assert_eq!(
            (row.tokens_input, row.tokens_output),
            (Some(50), Some(4_160))
        );
        assert_eq!(row.cost_nanos, Some(50 * 250 + 4_160 * 2_000), "{row:?}");
    }
    assert_eq!(scene.estimated().await, [0, 0]);
}

#[tokio::test]
async fn a_model_is_found_however_a_request_writes_it() {
    let scene = Scene::start().await;
    let prompt = "x".repeat(4_000);
    let body = format!(r#"{{"mod\u0065l":"gpt-5-mini","prompt":"{prompt}"}}"#);
    let row = scene
        .came(scene.post("images/edits", body.clone()), 1)
        .await;
    assert_eq!(row.model, "p/gpt-5-mini", "escaped");
    assert!(row.cost_nanos.unwrap() > 1_000 * 250, "{row:?}");

    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(body.as_bytes()).unwrap();
    let gzipped = gzip.finish().unwrap();
    let request = scene.post("images/edits", gzipped);
    let row = scene
        .came(request.header("content-encoding", "gzip"), 2)
        .await;
    assert_eq!(row.model, "p/gpt-5-mini", "compressed");
    assert!(row.tokens_input.unwrap() > 1_000, "{row:?}");

    let part = |name: &str, value: &str| {
        format!("--b\r\ncontent-disposition: form-data; name={name}\r\n\r\n{value}\r\n")
    };
    let file = part("file; filename=model", &"x".repeat(64_000));
    let form = [
        part("prompt", "say it"),
        file,
        part("\"model\"", "gpt-5-mini"),
    ];
    let request = scene.post("audio/transcriptions", form.concat() + "--b--\r\n");
    let request = request.header("content-type", "multipart/form-data; boundary=b");
    let row = scene.came(request, 3).await;
    assert_eq!(row.model, "p/gpt-5-mini", "in a form");
    assert!(
        (2_000..2_100).contains(&row.tokens_input.unwrap()),
        "{row:?}"
    );

    // What nobody can read is refused, where it asks a model for something.
    let request = scene
        .post("images/edits", "xyz")
        .header("content-encoding", "br");
    let (status, said) = answered(request).await;
    assert_eq!(status, 415, "{said}");
    assert!(said.to_string().contains("content-encoding"), "{said}");
    let request = scene
        .post("images/edits", body)
        .header("content-encoding", "gzip");
    let (status, said) = answered(request).await;
    assert_eq!(status, 400, "{said}");
}

// higress-group/higress#1080: what a stream used was counted twice.
#[tokio::test]
async fn a_stream_is_priced_at_the_tier_it_tells_or_was_asked_for() {
    let scene = Scene::start().await;
    let cost = |(input, output): (i64, i64)| Some(1_000 * input + 500 * output);
    let (standard, flex, priority) = (cost((250, 2_000)), cost((125, 1_000)), cost((450, 3_600)));
    let mut count = 0;
    for (asked, granted, expected) in [
        (None, Some("priority"), priority),
        (Some("flex"), None, flex),
        (Some("priority"), Some("default"), standard),
        (Some("auto"), Some("flex"), flex),
        (None, None, standard),
    ] {
        for stream in [true, false] {
            let body = json!({
                "model": "gpt-5-mini", "stream": stream, "service_tier": asked, "metadata": { "granted": granted },
            });
            count += 1;
            let request = scene.ask("chat/completions", &body);
            let row = scene.came(request, count).await;
            assert_eq!(row.cost_nanos, expected, "{asked:?} {granted:?} {stream}");
        }
    }
    let body = json!({ "model": "gpt-5-mini", "input": "hi", "stream": true });
    let request = scene.ask("responses", &body);
    let row = scene.came(request, count + 1).await;
    assert_eq!(row.cost_nanos, priority, "{row:?}");
}
