//! An API that fails: what is sent again, what is not, and when it is left alone.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use causeway::access::caller::Caller;
use causeway::access::ledger::LedgerStatus;
use causeway::credential::Credentials;
use causeway::egress::Resilience;
use causeway::egress::resilience::BreakerRule;
use causeway::mcp::call::call;
use causeway::mcp::provider::{CallOutcome, ToolOutcome};
use causeway::mcp::server::{Access, Server, ServerSettings};
use http::StatusCode;
use serde_json::{Value, json};

use crate::call::{Bench, context, text, tool_call};
use crate::egress::serve_local;

/// What the API does with one request.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Status(u16),
    /// With `Retry-After`.
    Later(u16, &'static str),
    /// Not within any patience.
    Never,
}

/// An API that goes through its answers, and is well after that.
struct Flaky {
    origin: String,
    seen: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

impl Flaky {
    async fn start() -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let answers = Arc::new(Mutex::new(VecDeque::new()));
        let (log, script) = (seen.clone(), answers.clone());
        let router = Router::new().fallback(any(async move |request: Request| {
            log.lock().unwrap().push(request.method().to_string());
            let next: Option<Answer> = script.lock().unwrap().pop_front();
            answer(next.unwrap_or(Answer::Status(200))).await
        }));
        Self {
            origin: format!("http://{}", serve_local(router).await),
            seen,
            answers,
        }
    }

    fn will(&self, answers: &[Answer]) {
        self.seen.lock().unwrap().clear();
        *self.answers.lock().unwrap() = answers.iter().copied().collect();
    }

    fn times(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

async fn answer(answer: Answer) -> Response {
    let status = |status| StatusCode::from_u16(status).unwrap();
    match answer {
        Answer::Status(code) => (status(code), "said").into_response(),
        Answer::Later(code, when) => (status(code), [("retry-after", when)]).into_response(),
        Answer::Never => {
            tokio::time::sleep(Duration::from_secs(30)).await;
            StatusCode::OK.into_response()
        }
    }
}

/// A tool for each method, and one of another origin.
fn document(origin: &str) -> Value {
    let operation =
        |id: &str| json!({"operationId": id, "responses": {"200": {"description": "it"}}});
    let methods = ["get", "put", "post", "delete"];
    let operations = methods.map(|method| (method.to_owned(), operation(method)));
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Flaky", "version": "1"},
        "servers": [{"url": origin}],
        "paths": {"/it": operations.into_iter().collect::<serde_json::Map<_, _>>()},
    })
}

fn settings(resilience: Resilience) -> ServerSettings {
    ServerSettings {
        access: Access::Open,
        resilience,
        ..ServerSettings::default()
    }
}

async fn called(
    bench: &mut Bench,
    server: &Server,
    tool: &str,
) -> (ToolOutcome, LedgerStatus, u32) {
    let caller = Caller::anonymous();
    let outcome = call(
        &bench.mcp,
        &caller,
        server,
        tool_call(tool, json!({})),
        &context(),
    )
    .await;
    let CallOutcome::Complete(outcome) = outcome.unwrap() else {
        unreachable!("no tool here asks");
    };
    let entry = bench.ledger.try_recv().unwrap();
    (outcome, entry.status, entry.attempts)
}

#[tokio::test]
async fn what_may_be_repeated_is_and_the_ledger_counts_it() {
    use Answer::{Later, Never, Status};
    let api = Flaky::start().await;
    let mut bench = Bench::local();
    let server = bench.server_with(
        &document(&api.origin),
        Credentials::default(),
        settings(Resilience {
            first_byte_timeout_ms: Some(1_500),
            ..Resilience::default()
        }),
    );
    for (tool, answers, sent, good) in [
        ("get", &[Status(503)][..], 2, true),
        ("get", &[Status(502), Status(504)], 3, true),
        ("get", &[Status(503), Status(503), Status(503)], 3, false),
        ("put", &[Status(503)], 2, true),
        ("delete", &[Status(503)], 2, true),
        ("post", &[Status(503)], 1, false),
        ("post", &[Never], 1, false),
        ("get", &[Never], 2, true),
        ("get", &[Status(500)], 1, false),
        ("get", &[Status(404)], 1, false),
        ("get", &[Status(429)], 1, false),
        ("get", &[Later(429, "0")], 2, true),
        ("get", &[Later(503, "3600")], 1, false),
    ] {
        api.will(answers);
        let (outcome, _, attempts) = called(&mut bench, &server, tool).await;
        let told = (api.times(), attempts as usize, !outcome.is_error);
        assert_eq!(
            told,
            (sent, sent, good),
            "{tool} {answers:?}: {}",
            text(&outcome)
        );
    }
}

#[tokio::test]
async fn nothing_is_repeated_where_the_owner_says_so() {
    let api = Flaky::start().await;
    let mut bench = Bench::local();
    let never = settings(Resilience {
        retries: 0,
        ..Resilience::default()
    });
    let server = bench.server_with(&document(&api.origin), Credentials::default(), never);
    api.will(&[Answer::Status(503)]);
    assert!(called(&mut bench, &server, "get").await.0.is_error);
    assert_eq!(api.times(), 1);
}

#[tokio::test]
async fn an_api_that_keeps_failing_is_left_alone_and_tried_again() {
    let api = Flaky::start().await;
    let mut bench = Bench::local();
    let rule = settings(Resilience {
        retries: 0,
        breaker: BreakerRule {
            failures: 3,
            pause_ms: 1_000,
        },
        ..Resilience::default()
    });
    let server = bench.server_with(&document(&api.origin), Credentials::default(), rule);
    api.will(&[Answer::Status(503); 3]);
    for tool in ["get", "post", "put"] {
        assert!(called(&mut bench, &server, tool).await.0.is_error);
    }
    let opened = Instant::now();
    let (outcome, status, attempts) = called(&mut bench, &server, "delete").await;
    assert_eq!(
        (status, attempts, api.times()),
        (LedgerStatus::Refused, 0, 3)
    );
    let said = text(&outcome);
    assert!(
        said.contains(&api.origin) && said.contains("left alone"),
        "{said}"
    );
    assert_eq!(outcome.meta.unwrap()["causeway/retryAfter"], 1);
    // Many come when the pause is over: one of them finds out, and then all are let through.
    tokio::time::sleep(Duration::from_millis(1_010).saturating_sub(opened.elapsed())).await;
    let (outcome, ..) = called(&mut bench, &server, "get").await;
    assert!(!outcome.is_error, "{}", text(&outcome));
    for _ in 0..5 {
        assert!(!called(&mut bench, &server, "post").await.0.is_error);
    }
    assert_eq!(api.times(), 9);
}

#[tokio::test]
async fn a_call_that_is_cancelled_while_it_waits_ends_at_once() {
    let api = Flaky::start().await;
    let bench = Bench::local();
    let document = document(&api.origin);
    let server = bench.server_with(
        &document,
        Credentials::default(),
        settings(Resilience::default()),
    );
    api.will(&[Answer::Later(503, "9")]);
    let context = context();
    let cancel = context.cancel.clone();
    let caller = Caller::anonymous();
    let running = call(
        &bench.mcp,
        &caller,
        &server,
        tool_call("get", json!({})),
        &context,
    );
    let began = Instant::now();
    let leave = async {
        while api.times() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        cancel.cancel();
    };
    let (ended, ()) = tokio::join!(running, leave);
    assert!(ended.is_err());
    assert!(began.elapsed() < Duration::from_secs(5));
}
