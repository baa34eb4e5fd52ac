//! Limits of models from the outside: a provider over a real socket, a process that reserves and settles, and what
//! its database says afterwards.

#![expect(
    clippy::disallowed_methods,
    reason = "a test is a client of the process, and no client goes through egress"
)]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use causeway::store::audit::NewAudit;
use causeway::store::models::{InsteadOf, NewModel, NewProvider};
use causeway::store::{Location, Store};
use causeway::types::OrganizationId;
use futures::StreamExt;
use http::StatusCode;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Row};
use tokio::sync::Semaphore;

use crate::egress::serve_local;
use crate::serving::{PATIENCE, Process};

/// What an answer of the provider used.
const PROMPT: u64 = 10;
const WRITTEN: u64 = 100;
/// `gpt-4o-mini` in nano-dollars: 150 a token of the prompt, 600 one of the answer.
const COST: i64 = 150 * 10 + 600 * 100;

/// A provider, and how it behaves.
#[derive(Clone)]
struct Fake {
    address: SocketAddr,
    served: Arc<AtomicUsize>,
    /// Streams wait for a permit after their first chunk.
    gate: Arc<Semaphore>,
}

impl Fake {
    async fn start() -> Self {
        let (served, gate) = (Arc::default(), Arc::new(Semaphore::new(0)));
        let state = (Arc::clone(&served), Arc::clone(&gate));
        let router = Router::new()
            .route("/v1/chat/completions", post(complete))
            .route("/v1/embeddings", post(embed))
            .with_state(state);
        Self {
            address: serve_local(router).await,
            served,
            gate,
        }
    }
}

async fn embed(
    State((served, _)): State<(Arc<AtomicUsize>, Arc<Semaphore>)>,
    Json(asked): Json<Value>,
) -> Json<Value> {
    served.fetch_add(1, Ordering::SeqCst);
    let data = json!([{ "object": "embedding", "index": 0, "embedding": [0.5] }]);
    Json(json!({
        "object": "list", "data": data, "model": asked["model"],
        "usage": { "prompt_tokens": PROMPT, "total_tokens": PROMPT },
    }))
}

/// An answer that begins, and goes no further.
fn stalling() -> Response {
    let begins = futures::stream::iter([Ok::<_, Infallible>(Bytes::from("{"))]);
    let body = Body::from_stream(begins.chain(futures::stream::pending()));
    ([("content-type", "application/json")], body).into_response()
}

async fn complete(
    State((served, gate)): State<(Arc<AtomicUsize>, Arc<Semaphore>)>,
    Json(asked): Json<Value>,
) -> Response {
    served.fetch_add(1, Ordering::SeqCst);
    let model = asked["model"].as_str().unwrap().to_owned();
    if model == "broken" {
        let error = json!({ "error": { "message": "out of order", "type": "server_error" } });
        return (StatusCode::INTERNAL_SERVER_ERROR, Json(error)).into_response();
    }
    if model == "stalling" {
        return stalling();
    }
    let usage = json!({
        "prompt_tokens": PROMPT, "completion_tokens": WRITTEN, "total_tokens": PROMPT + WRITTEN,
    });
    // Some say nothing of it.
    let usage = if model == "silent" {
        Value::Null
    } else {
        usage
    };
    let id = json!({ "id": "c1", "created": 1, "model": model });
    let with = |object: &str, more: Value| {
        let mut whole = id.clone();
        whole["object"] = object.into();
        let members = whole.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        whole
    };
    if asked["stream"] != true {
        let message = json!({ "role": "assistant", "content": "hello" });
        let choices = json!([{ "index": 0, "message": message, "finish_reason": "stop" }]);
        return Json(with(
            "chat.completion",
            json!({
                "choices": choices, "usage": usage, "service_tier": asked["metadata"]["tier"],
            }),
        ))
        .into_response();
    }
    let chunk = |choices: Value, usage: Value| {
        let more = json!({ "choices": choices, "usage": usage });
        format!("data: {}\n\n", with("chat.completion.chunk", more))
    };
    let says = json!([{ "index": 0, "delta": { "role": "assistant", "content": "hel" } }]);
    let ends = json!([{ "index": 0, "delta": { "content": "lo" }, "finish_reason": "stop" }]);
    let first = chunk(says, Value::Null);
    // One that is cut ends without its end.
    let rest = if asked["metadata"]["cut"].is_null() {
        format!(
            "{}{}data: [DONE]\n\n",
            chunk(ends, Value::Null),
            chunk(json!([]), usage)
        )
    } else {
        ": no more\n\n".to_owned()
    };
    let body = futures::stream::unfold(Some((first, rest, gate)), async |state| {
        let (next, rest, gate) = state?;
        if rest.is_empty() {
            gate.acquire().await.unwrap().forget();
            return Some((Ok::<_, Infallible>(Bytes::from(next)), None));
        }
        let chunk = Bytes::from(next);
        Some((Ok(chunk), Some((rest, String::new(), gate))))
    });
    (
        [("content-type", "text/event-stream")],
        Body::from_stream(body),
    )
        .into_response()
}

struct Bench {
    process: Process,
    keys: BTreeMap<&'static str, String>,
    data: PathBuf,
    fake: Fake,
    _folder: tempfile::TempDir,
}

/// What an answer to a request was.
struct Answered {
    status: u16,
    headers: http::HeaderMap,
    body: Value,
}

impl Bench {
    /// A process that has models of a provider, by their settings.
    async fn with(models: &[(&str, Value)]) -> Self {
        let (folder, fake) = (tempfile::tempdir().unwrap(), Fake::start().await);
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let store = Store::open(&Location::File(data.join("causeway.db")), 2)
            .await
            .unwrap();
        store.migrate().await.unwrap();
        let act = NewAudit {
            organization: OrganizationId::DEFAULT,
            actor: "test".into(),
            action: "test",
            entity: "model",
            entity_id: "test".into(),
            before: None,
            after: None,
        };
        let now = chrono::Utc::now();
        let settings = json!({
            "allowUpstream": [fake.address.to_string()],
            "definition": {
                "id": "fake", "name": "Fake", "dialect": "openai-chat", "docs": "here",
                "base_url": format!("http://{}/v1", fake.address), "auth": "none",
                "capabilities": ["chat", "embeddings"], "prices": "openai",
            },
        });
        let settings = settings.to_string();
        let provider = NewProvider {
            name: "fake",
            kind: "openai-compatible",
            settings: &settings,
            instead_of: InsteadOf::Anything,
        };
        store.put_provider(provider, &act, now).await.unwrap();
        for (name, settings) in models {
            let settings = settings.to_string();
            let model = NewModel {
                name,
                settings: &settings,
                instead_of: InsteadOf::Anything,
            };
            let put = store.put_model(model, &act, now);
            put.await.unwrap();
        }
        store.close().await;
        let process = Process::start(&data, None).await;
        let mut bench = Self {
            process,
            keys: BTreeMap::new(),
            data,
            fake,
            _folder: folder,
        };
        for name in ["a", "b"] {
            let made = bench.api("POST", "keys", json!({ "name": name })).await;
            let key = made["key"].as_str().unwrap().to_owned();
            bench.keys.insert(name, key);
        }
        bench
    }

    async fn api(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, said) = self.process.client.api(method, path, &body).await.unwrap();
        assert!((200..300).contains(&status), "{status} {said}");
        said
    }

    async fn limit(&self, consumer: &str, limits: Value) {
        let path = format!("consumers/{consumer}");
        self.api("PATCH", &path, json!({ "limits": limits })).await;
    }

    fn send(&self, who: &str, path: &str, body: &Value) -> reqwest::RequestBuilder {
        let client = &self.process.client;
        let url = format!("{}{path}", client.origin);
        let request = client.http.post(url).bearer_auth(&self.keys[who]);
        request
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    async fn ask_at(&self, who: &str, path: &str, body: &Value) -> Answered {
        let response = self.send(who, path, body).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        Answered {
            status,
            headers,
            body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
        }
    }

    /// An answer of at most so many tokens.
    async fn ask(&self, who: &str, model: &str, tokens: u64) -> Answered {
        self.ask_at(who, CHAT, &question(model, tokens)).await
    }

    /// 200 at once: how many were answered.
    async fn many(&self, who: &str, model: &str) -> usize {
        let asked = (0..200).map(|_| self.ask(who, model, WRITTEN));
        let ended = futures::future::join_all(asked).await;
        for one in &ended {
            assert!(
                matches!(one.status, 200 | 429),
                "{} {}",
                one.status,
                one.body
            );
        }
        ended.iter().filter(|one| one.status == 200).count()
    }

    /// The first column of a query on the process's own database.
    async fn read(&self, sql: &str) -> Vec<Option<String>> {
        let options = SqliteConnectOptions::new().filename(self.data.join("causeway.db"));
        let mut database = options.connect().await.unwrap();
        let rows = sqlx::query(AssertSqlSafe(sql.to_owned()));
        let rows = rows.fetch_all(&mut database).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    async fn number(&self, sql: &str) -> i64 {
        let read = self.read(&format!("SELECT CAST(({sql}) AS TEXT)")).await;
        read[0].as_deref().unwrap_or("0").parse().unwrap()
    }

    /// Waits until the ledger has so many calls.
    async fn written(&self, calls: i64) {
        let written = async {
            while self.number("SELECT COUNT(*) FROM ledger").await < calls {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, written).await.unwrap();
    }
}

const CHAT: &str = "/v1/chat/completions";

fn question(model: &str, tokens: u64) -> Value {
    json!({
        "model": model, "max_tokens": tokens,
        "messages": [{ "role": "user", "content": "Say hello." }],
    })
}

fn to(model: &str) -> Value {
    json!({ "targets": [{ "provider": "fake", "model": model }] })
}

fn limited(model: &str, limits: Value) -> Value {
    let mut settings = to(model);
    settings["limits"] = limits;
    settings
}

fn a_day(unit: &str, amount: u64) -> Value {
    json!([{ "unit": unit, "amount": amount, "window": "day", "scope": "consumer" }])
}

// BerriAI/litellm#34732: requests at the same time were all let in before any of them was counted.
// BerriAI/litellm#23714: a key whose budget was used up was answered all the same.
// wso2/api-platform#2932: each request was charged as one, whatever it cost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_holds_among_many_and_is_used_to_its_end() {
    let bench = Bench::with(&[("m", to("gpt-4o-mini"))]).await;
    // Room for 162 calls by what they come to, and for 145 or so by what is reserved.
    let budget = 10_000_i64;
    bench
        .limit("a", a_day("money", budget.unsigned_abs()))
        .await;
    let through = bench.many("a", "m").await;
    assert!(through > 100, "{through}");
    let mut calls = 200;
    let mut rest = 0;
    let refused = loop {
        let one = bench.ask("a", "m", WRITTEN).await;
        calls += 1;
        if one.status != 200 {
            break one;
        }
        rest += 1;
    };
    assert_eq!(
        refused.body["error"]["type"], "insufficient_quota",
        "{}",
        refused.body
    );
    let text = refused.body["error"]["message"].as_str().unwrap();
    assert!(
        text.contains("The limit of $0.01 a day for this consumer is used up"),
        "{text}"
    );
    let wait: u64 = refused.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(wait > 1, "{wait}");
    assert_eq!(
        refused.headers["ratelimit-policy"],
        "\"consumer\";q=10000;w=86400"
    );
    bench.written(calls).await;
    let spent = bench.number("SELECT SUM(cost_nanos) FROM ledger").await;
    let reserved = COST * 2;
    assert_eq!(spent, COST * i64::try_from(through + rest).unwrap());
    assert!(spent <= budget * 1_000, "{spent}");
    assert!(
        spent + reserved >= budget * 1_000,
        "{spent} of {budget} micros"
    );
    assert_eq!(bench.fake.served.load(Ordering::SeqCst), through + rest);
    // Another consumer has its own.
    assert_eq!(bench.ask("b", "m", WRITTEN).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_counted_exactly_and_refused_in_the_words_of_each_dialect() {
    let limits = json!([{ "unit": "requests", "amount": 30, "window": "hour", "scope": "server" }]);
    let bench = Bench::with(&[("m", limited("gpt-4o-mini", limits))]).await;
    assert_eq!(bench.many("a", "m").await, 30);
    assert_eq!(bench.fake.served.load(Ordering::SeqCst), 30);
    let said = "The limit of 30 requests an hour for this model is used up. Ask again in ";
    let anthropic =
        json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": "user", "content": "hi" }] });
    let responses = json!({ "model": "m", "input": "hi" });
    let gemini = json!({ "contents": [{ "parts": [{ "text": "hi" }] }] });
    for (path, body, place, kind) in [
        (CHAT, question("m", 9), "/error/type", "rate_limit"),
        ("/v1/responses", responses, "/error/type", "rate_limit"),
        ("/v1/messages", anthropic, "/error/type", "rate_limit_error"),
        (
            "/v1beta/models/m:generateContent",
            gemini,
            "/error/status",
            "RESOURCE_EXHAUSTED",
        ),
    ] {
        let refused = bench.ask_at("b", path, &body).await;
        assert_eq!(refused.status, 429, "{path} {}", refused.body);
        let kinds = refused.body.pointer(place).and_then(Value::as_str).unwrap();
        assert!(kinds.contains(kind), "{path} {kinds}");
        let text = refused.body["error"]["message"].as_str().unwrap();
        assert!(text.starts_with(said), "{path} {text}");
        let header = |name: &str| refused.headers[name].to_str().unwrap().to_owned();
        let wait: u64 = header("retry-after").parse().unwrap();
        assert!((1..=120).contains(&wait), "{path} {wait}");
        assert_eq!(
            header("ratelimit-policy"),
            "\"server\";q=30;w=3600",
            "{path}"
        );
        assert!(
            header("ratelimit").starts_with("\"server\";r=0;t="),
            "{path}"
        );
    }
    // Without an entry there are no limits.
    assert_eq!(bench.ask("a", "fake/gpt-4o-mini", 9).await.status, 200);
    bench.written(205).await;
    let refused =
        bench.number("SELECT COUNT(*) FROM ledger WHERE status = 'refused' AND attempts = 0");
    assert_eq!(refused.await, 174);
}

// BerriAI/litellm#40095: first requests of somebody unknown, sent at once, all passed the limit for everybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_comes_for_the_first_time_has_the_limit_for_everybody() {
    let limits =
        json!([{ "unit": "requests", "amount": 30, "window": "hour", "scope": "consumer" }]);
    let bench = Bench::with(&[("m", limited("gpt-4o-mini", limits))]).await;
    assert_eq!(bench.many("a", "m").await, 30);
    assert_eq!(bench.many("b", "m").await, 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_that_is_used_up_has_each_dialects_words() {
    let limits = json!([{ "unit": "tokens", "amount": 20, "window": "month", "scope": "server" }]);
    let bench = Bench::with(&[("m", limited("gpt-4o-mini", limits))]).await;
    let anthropic =
        json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": "user", "content": "hi" }] });
    for (path, body, status, kind) in [
        (CHAT, question("m", 9), 429, "insufficient_quota"),
        ("/v1/messages", anthropic, 402, "billing_error"),
    ] {
        let refused = bench.ask_at("a", path, &body).await;
        assert_eq!(
            (refused.status, &refused.body["error"]["type"]),
            (status, &json!(kind))
        );
        let text = refused.body["error"]["message"].as_str().unwrap();
        assert!(
            text.starts_with("The limit of 20 tokens a month for this model"),
            "{text}"
        );
        // It may need more than there ever is, so that nobody is told when to ask again.
        assert!(text.contains("may need, up to "), "{text}");
        assert!(refused.headers.get("retry-after").is_none(), "{path}");
    }
    assert_eq!(bench.fake.served.load(Ordering::SeqCst), 0);
}

// higress-group/higress#1826: a limit of tokens was set, and never refused anybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_passed_on_counts_like_a_chat() {
    let limits = json!([{ "unit": "tokens", "amount": 100, "window": "day", "scope": "consumer" }]);
    let model = limited("text-embedding-3-small", limits);
    let bench = Bench::with(&[("vectors", model)]).await;
    let asked = json!({ "model": "vectors", "input": "hello" });
    let mut through = 0;
    let refused = loop {
        let one = bench.ask_at("a", "/v1/embeddings", &asked).await;
        if one.status != 200 {
            break one;
        }
        through += 1;
        assert!(through <= 10, "nothing is counted");
    };
    // 10 tokens each. The most that the request may have are more, so that the last one is counted exactly.
    assert_eq!(through, 10, "{}", refused.body);
    assert_eq!(refused.body["error"]["type"], "insufficient_quota");
    assert_eq!(bench.fake.served.load(Ordering::SeqCst), 10);
    let seen = bench.api("GET", "consumers/a", Value::Null).await;
    let quota = &seen["quotas"][0];
    assert!(
        quota["counter"].as_str().unwrap().starts_with("model:"),
        "{seen}"
    );
    assert_eq!(quota["model"], "vectors", "{seen}");
    assert!(
        (90..=100).contains(&quota["taken"].as_u64().unwrap()),
        "{seen}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_is_reserved_as_one_and_not_by_its_bytes() {
    let bench = Bench::with(&[("m", to("gpt-4o"))]).await;
    bench.limit("a", a_day("tokens", 40_000)).await;
    let picture = format!("data:image/png;base64,{}", "QUJD".repeat(200_000));
    let with = |count: usize| {
        let part = json!({ "type": "image_url", "image_url": { "url": picture } });
        let mut asked = question("m", WRITTEN);
        asked["messages"][0]["content"] = vec![part; count].into();
        asked
    };
    let ended = bench.ask_at("a", CHAT, &with(2)).await;
    assert_eq!(ended.status, 200, "{}", ended.body);
    // Three have more tokens than there may be, and a text of as many bytes has too.
    let ended = bench.ask_at("a", CHAT, &with(3)).await;
    assert_eq!(ended.status, 429, "{}", ended.body);
    let mut text = question("m", WRITTEN);
    text["messages"][0]["content"] = picture.clone().into();
    let ended = bench.ask_at("a", CHAT, &text).await;
    assert_eq!(ended.status, 429, "{}", ended.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn near_a_limit_the_tokens_of_openais_models_are_counted() {
    let limits = json!([{ "unit": "tokens", "amount": 600, "window": "day", "scope": "server" }]);
    let mut both = limited("gpt-4o-mini", limits.clone());
    let other = json!({ "provider": "fake", "model": "llama-3", "tier": 1 });
    both["targets"].as_array_mut().unwrap().push(other);
    let bench = Bench::with(&[
        ("known", limited("gpt-4o-mini", limits.clone())),
        ("unknown", limited("llama-3", limits)),
        ("both", both),
    ])
    .await;
    // 1,800 bytes, which are 900 tokens at most, and 401.
    let long = "The quick brown fox jumps over the lazy dog. ".repeat(40);
    let picture = json!([
        { "type": "text", "text": long },
        { "type": "image_url", "image_url": { "url": "https://example.com/a.png" } },
    ]);
    let asked = |model: &str, said: &Value| json!({ "model": model, "max_tokens": 9, "messages": [{ "role": "user", "content": said }] });
    let text = json!(long);
    for (model, said, status) in [
        ("unknown", &text, 429),
        ("both", &text, 429),
        ("known", &picture, 429),
        ("known", &text, 200),
        // 110 are used of 600, and some 430 fit.
        ("known", &text, 200),
        ("known", &text, 429),
    ] {
        let one = bench.ask_at("a", CHAT, &asked(model, said)).await;
        assert_eq!(one.status, status, "{model} {}", one.body);
    }
    assert_eq!(bench.fake.served.load(Ordering::SeqCst), 2);
    // What was let in after a count was not refused before.
    let metrics = bench
        .process
        .client
        .http
        .get(format!("{}/metrics", bench.process.client.origin));
    let metrics = metrics.send().await.unwrap().text().await.unwrap();
    let line = "causeway_limit_refusals_total{scope=\"server\",window=\"day\"} 4";
    assert!(metrics.contains(line), "{metrics}");
    // Whoever asks how many there are is told the same.
    let count = "/v1/messages/count_tokens";
    let told = async |model: &str| {
        let one = bench.ask_at("a", count, &asked(model, &text)).await;
        let by = one.headers["x-causeway-target"]
            .to_str()
            .unwrap()
            .to_owned();
        (one.status, by, one.body["input_tokens"].as_u64().unwrap())
    };
    assert_eq!(told("known").await, (200, "o200k_base".to_owned(), 405));
    let (status, by, tokens) = told("unknown").await;
    assert_eq!((status, by.as_str()), (200, "estimate"));
    assert!((350..450).contains(&tokens), "{tokens}");
}

// vercel/ai#8325: whoever left a stream after 400 tokens was billed for 13,000.
// pollinations/pollinations#5594: whoever left a stream before its end paid nothing.
// Wei-Shaw/sub2api#4408: whoever left before the first token was billed for a whole answer, made all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_a_stream_pays_for_what_it_got() {
    let bench = Bench::with(&[("m", to("gpt-4o-mini"))]).await;
    bench.limit("a", a_day("tokens", 10_000)).await;
    let mut streamed = question("m", 6_000);
    streamed["stream"] = true.into();
    let mut left = bench.send("a", CHAT, &streamed).send().await.unwrap();
    assert_eq!(left.status(), 200);
    assert!(left.chunk().await.unwrap().is_some());
    // As long as it runs, what is left is not enough, and comes back soon.
    let refused = bench.ask("a", "m", 6_000).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.headers["retry-after"], "1");
    assert_ne!(refused.body["error"]["type"], "insufficient_quota");
    drop(left);
    let settled = async {
        while bench.ask("a", "m", 6_000).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, settled).await.unwrap();
    bench.fake.gate.add_permits(1);
    let of_left = "FROM ledger WHERE status = 'cancelled'";
    let there = async {
        while bench.number(&format!("SELECT COUNT(*) {of_left}")).await < 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, there).await.unwrap();
    let used = format!(
        "SELECT CAST(estimated AS TEXT) || ' ' || (tokens_output BETWEEN 1 AND 9) || ' ' || (cost_nanos > 0) {of_left}"
    );
    assert_eq!(bench.read(&used).await, [Some("1 1 1".to_owned())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_lost_stays_reserved_where_another_takes_its_place() {
    let targets = json!([
        { "provider": "fake", "model": "stalling" },
        { "provider": "fake", "model": "gpt-4o-mini", "tier": 1 },
    ]);
    let settings = json!({ "targets": targets, "retries": 0, "times": { "idleMs": 200 } });
    let bench = Bench::with(&[("m", settings), ("n", to("gpt-4o-mini"))]).await;
    bench.limit("a", a_day("tokens", 10_000)).await;
    let answered = bench.ask("a", "m", 4_000).await;
    assert_eq!(answered.status, 200, "{}", answered.body);
    assert_eq!(answered.headers["x-causeway-target"], "fake/gpt-4o-mini");
    // What is left is what neither of both may have used.
    assert_eq!(bench.ask("a", "n", 6_000).await.status, 429);
    assert_eq!(bench.ask("a", "n", 5_500).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_counts_as_running_to_its_end() {
    let limits = json!([{ "unit": "concurrency", "amount": 1, "scope": "server" }]);
    let bench = Bench::with(&[("m", limited("gpt-4o-mini", limits))]).await;
    let mut streamed = question("m", 50);
    streamed["stream"] = true.into();
    let mut open = bench.send("a", CHAT, &streamed).send().await.unwrap();
    assert!(open.chunk().await.unwrap().is_some());
    let refused = bench.ask("b", "m", 50).await;
    assert_eq!(refused.status, 429, "{}", refused.body);
    let text = refused.body["error"]["message"].as_str().unwrap();
    assert!(
        text.starts_with("1 request runs at the same time for this model"),
        "{text}"
    );
    bench.fake.gate.add_permits(1);
    let mut rest = Vec::new();
    while let Some(chunk) = open.chunk().await.unwrap() {
        rest.extend_from_slice(&chunk);
    }
    assert!(
        String::from_utf8(rest)
            .unwrap()
            .ends_with("data: [DONE]\n\n")
    );
    let room = async {
        while bench.ask("b", "m", 50).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, room).await.unwrap();
}

// maximhq/bifrost#3357: what had been made of a stream that broke off was paid for by nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_cut_is_billed_for_what_came() {
    let bench = Bench::with(&[("m", to("gpt-4o-mini"))]).await;
    bench.fake.gate.add_permits(1);
    let mut streamed = question("m", 6_000);
    streamed["stream"] = true.into();
    streamed["metadata"] = json!({ "cut": "yes" });
    let cut = bench.ask_at("a", CHAT, &streamed).await;
    let said = cut.body.as_str().unwrap();
    assert!(said.contains("hel") && said.contains("\"error\""), "{said}");
    bench.written(1).await;
    let used = "SELECT status || ' ' || estimated || ' ' || (tokens_input > 0) || ' ' \
                || (tokens_output BETWEEN 1 AND 9) || ' ' || (cost_nanos > 0) FROM ledger";
    assert_eq!(
        bench.read(used).await,
        [Some("tool_error 1 1 1 1".to_owned())]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_counts_once_however_often_it_is_sent() {
    let limits = json!([{ "unit": "requests", "amount": 2, "window": "hour", "scope": "server" }]);
    let mut settings = limited("broken", limits);
    let good = json!({ "provider": "fake", "model": "gpt-4o-mini", "tier": 1 });
    settings["targets"].as_array_mut().unwrap().push(good);
    let bench = Bench::with(&[("m", settings), ("broken", to("broken"))]).await;
    // Enough for three reservations, one after the other, and for none that was paid three times.
    bench.limit("a", a_day("tokens", 700)).await;
    for _ in 0..2 {
        let one = bench.ask("a", "m", WRITTEN).await;
        assert_eq!(one.status, 200, "{}", one.body);
        assert_eq!(one.headers["x-causeway-target"], "fake/gpt-4o-mini");
    }
    assert_eq!(bench.ask("a", "m", WRITTEN).await.status, 429);
    assert!(bench.fake.served.load(Ordering::SeqCst) >= 6);
    // What is not answered costs no tokens: 220 are used, and 480 are there.
    for _ in 0..2 {
        let one = bench.ask("a", "broken", 300).await;
        assert_eq!(one.status, 502, "{}", one.body);
    }
    assert_eq!(bench.ask("a", "fake/gpt-4o-mini", 300).await.status, 200);
    bench.written(6).await;
    let tokens = "SELECT SUM(tokens_input + tokens_output) FROM ledger";
    assert_eq!(bench.number(tokens).await, 330);
}

// higress-group/higress#2187: streams whose usage is null counted for nothing, and no limit was ever reached.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_whose_usage_is_null_counts_all_the_same() {
    let limits = json!([{ "unit": "tokens", "amount": 600, "window": "day", "scope": "server" }]);
    let silent = limited("silent", limits);
    let bench = Bench::with(&[("whole", silent.clone()), ("streamed", silent)]).await;
    bench.fake.gate.add_permits(100);
    for (model, stream) in [("whole", false), ("streamed", true)] {
        let mut asked = question(model, 20);
        asked["stream"] = stream.into();
        let mut count = 0;
        while bench.ask_at("a", CHAT, &asked).await.body["error"]["type"] != "insufficient_quota" {
            count += 1;
            assert!(count < 100, "{model}: nothing is counted");
        }
        assert!(count > 1, "{model}: nothing is let in");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_no_price_is_let_in_and_said_to_have_none() {
    let bench = Bench::with(&[("m", to("nobody-knows-it")), ("priced", to("gpt-4o"))]).await;
    bench.limit("a", a_day("money", 1)).await;
    for _ in 0..3 {
        assert_eq!(bench.ask("a", "m", 1_000).await.status, 200);
    }
    assert_eq!(bench.ask("a", "priced", 1_000).await.status, 429);
    // A tier costs what it costs, by the word of the answer.
    let mut prior = question("priced", WRITTEN);
    prior["metadata"] = json!({ "tier": "priority" });
    assert_eq!(bench.ask_at("b", CHAT, &prior).await.status, 200);
    bench.written(5).await;
    let costs = "SELECT model || ' ' || COALESCE(cost_nanos, 'unknown') FROM ledger WHERE status = 'ok' ORDER BY at";
    let unknown = Some("m unknown".to_owned());
    let dear = Some(format!("priced {}", 4_250 * PROMPT + 17_000 * WRITTEN));
    assert_eq!(
        bench.read(costs).await,
        [unknown.clone(), unknown.clone(), unknown, dear]
    );
    let added = "SELECT model || ' ' || target || ' ' || calls || ' ' || unknown_costs || ' ' || tokens_output \
                 FROM model_usage_hourly WHERE status = 'ok' ORDER BY model";
    let added = bench.read(added).await;
    let lines: Vec<&str> = added.iter().flatten().map(String::as_str).collect();
    assert_eq!(
        lines,
        [
            "m fake/nobody-knows-it 3 3 300",
            "priced fake/gpt-4o 1 0 100"
        ]
    );
    let read = bench.api("GET", "model-usage?by=model", Value::Null).await;
    let totals = &read["totals"];
    let ledger = async |what: &str| {
        bench
            .number(&format!("SELECT SUM({what}) FROM ledger"))
            .await
    };
    assert_eq!(totals["costNanos"], ledger("cost_nanos").await);
    assert_eq!(totals["tokensInput"], ledger("tokens_input").await);
    assert_eq!(
        (&totals["calls"], &totals["errors"], &totals["unknownCosts"]),
        (&json!(5), &json!(1), &json!(3))
    );
    let groups = read["groups"].as_array().unwrap();
    let names: Vec<&Value> = groups.iter().map(|group| &group["of"]["model"]).collect();
    assert_eq!(names, ["priced", "m"]);
    let read = bench
        .api("GET", "model-usage?by=consumer&model=m", Value::Null)
        .await;
    assert_eq!(read["groups"][0]["of"]["consumer"], "a");
    assert_eq!(read["groups"][0]["totals"]["calls"], 3);
    let client = &bench.process.client;
    let url = format!(
        "{}/api/v1/model-usage.csv?by=target&step=day",
        client.origin
    );
    let file = client
        .http
        .get(url)
        .bearer_auth(crate::serving::ADMIN_KEY)
        .send()
        .await;
    let text = file.unwrap().text().await.unwrap();
    assert!(
        text.starts_with("at,partial,model,provider,target,consumer,"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 4, "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_used_up_may_go_to_another_model_once() {
    let limits = |amount: u64| {
        json!([
            { "unit": "money", "amount": amount, "window": "month", "scope": "server" },
            { "unit": "requests", "amount": 100, "window": "hour", "scope": "server" },
        ])
    };
    let mut dear = limited("gpt-4o", limits(2_000));
    dear["onExhaust"] = json!({ "downgrade": "cheap" });
    // Its own substitute is not asked.
    let mut cheap = limited("gpt-4o-mini", limits(100));
    cheap["onExhaust"] = json!({ "downgrade": "free" });
    let free = json!({ "targets": [{ "provider": "fake" }] });
    let bench = Bench::with(&[("free", free), ("cheap", cheap), ("dear", dear)]).await;
    let mut asked = Vec::new();
    loop {
        let one = bench.ask("a", "dear", WRITTEN).await;
        if one.status != 200 {
            assert_eq!(
                one.body["error"]["type"], "insufficient_quota",
                "{}",
                one.body
            );
            break;
        }
        assert_eq!(one.body["model"], "dear");
        asked.push(
            one.headers["x-causeway-target"]
                .to_str()
                .unwrap()
                .to_owned(),
        );
        assert!(asked.len() < 10, "{asked:?}");
    }
    assert_eq!(asked, ["fake/gpt-4o", "fake/gpt-4o-mini"]);
    bench.written(3).await;
    let lines = bench
        .read(
            "SELECT model || ' ' || COALESCE(target, '-') || ' ' || status FROM ledger ORDER BY at",
        )
        .await;
    let lines: Vec<&str> = lines.iter().flatten().map(String::as_str).collect();
    assert_eq!(
        lines,
        [
            "dear fake/gpt-4o ok",
            "dear fake/gpt-4o-mini ok",
            "dear - refused"
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_gives_no_budget_back() {
    let limits =
        json!([{ "unit": "tokens", "amount": 1_000, "window": "month", "scope": "server" }]);
    let mut bench = Bench::with(&[("m", limited("gpt-4o-mini", limits))]).await;
    let mut streamed = question("m", 800);
    streamed["stream"] = true.into();
    let mut open = bench.send("a", CHAT, &streamed).send().await.unwrap();
    assert!(open.chunk().await.unwrap().is_some());
    // Nobody settles this one.
    bench.process.child.kill().await.unwrap();
    bench.process = Process::start(&bench.data, None).await;
    let refused = bench.ask("a", "m", 200).await;
    assert_eq!(refused.status, 429, "{}", refused.body);
    assert_eq!(refused.body["error"]["type"], "insufficient_quota");
    assert_eq!(bench.ask("a", "m", 10).await.status, 200);
}
