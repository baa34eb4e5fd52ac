//! Who may call, what filters see, what the ledger hears.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::Router;
use axum::response::Redirect;
use axum::routing::get;
use causeway::access::caller::{Caller, Grant, Grants};
use causeway::access::ledger::LedgerStatus;
use causeway::credential::{Credentials, Secret};
use causeway::egress::Protected;
use causeway::mcp::call::call;
use causeway::mcp::provider::{Arguments, CallError, ToolOutcome};
use causeway::mcp::server::{Access, ServerSettings};
use causeway::policy::{Decision, Filter, Policies, Refusal, Subject, Verdict, pass};
use causeway::types::{UpstreamRequest, UpstreamResponse};
use futures::future::ready;
use indexmap::IndexMap;
use serde_json::json;
use tokio::net::TcpListener;

use crate::call::{Bench, Echo, context, credential, document, text, tool_call};
use crate::egress::serve_local;

fn open_document(origin: &str) -> serde_json::Value {
    document(origin, json!({}), json!([]))
}

#[tokio::test]
async fn what_a_caller_may_not_use_does_not_exist() {
    let echo = Echo::start().await;
    let mut bench = Bench::local();
    let document = open_document(&echo.origin);
    let server = bench.server_with(&document, Credentials::default(), ServerSettings::default());
    let caller = |grants| Caller {
        grants,
        ..Caller::anonymous()
    };
    let scoped = |tool: &str| {
        Grants::Scoped(vec![Grant {
            server: server.id,
            tools: Some([causeway::openapi::OperationKey(format!("GET /{tool}"))].into()),
        }])
    };
    for (name, grants, allowed) in [
        ("echo", Grants::Anonymous, false),
        ("echo", scoped("other"), false),
        ("nothing", Grants::Admin, false),
        ("echo", scoped("echo"), true),
        ("echo", Grants::Admin, true),
    ] {
        let caller = caller(grants);
        let result = call(
            &bench.mcp,
            &caller,
            &server,
            tool_call(name, json!({})),
            &context(),
        )
        .await;
        match result {
            Err(CallError::UnknownTool(unknown)) => assert!(!allowed && unknown == name),
            other => assert!(allowed && other.is_ok()),
        }
    }
    assert_eq!(echo.seen().len(), 2);
    assert!(bench.ledger.try_recv().is_ok() && bench.ledger.try_recv().is_ok());
    assert!(bench.ledger.try_recv().is_err());
}

/// Remembers what it sees, and may refuse in a phase.
#[derive(Default)]
struct Recorder {
    seen: Mutex<Vec<(&'static str, String)>>,
    refuse: Option<&'static str>,
}

impl Recorder {
    fn note(&self, phase: &'static str, what: String) -> Decision<'_> {
        self.seen.lock().unwrap().push((phase, what));
        if self.refuse == Some(phase) {
            let text = format!("refused in {phase}");
            return Box::pin(ready(Verdict::Refuse(Refusal { text })));
        }
        pass()
    }

    fn phases(&self) -> Vec<&'static str> {
        self.seen
            .lock()
            .unwrap()
            .iter()
            .map(|(phase, _)| *phase)
            .collect()
    }
}

impl Filter for Recorder {
    fn tool_call<'a>(&'a self, about: Subject<'a>, arguments: &'a mut Arguments) -> Decision<'a> {
        assert_eq!(about.tool, Some("echo"));
        self.note("tool_call", format!("{arguments:?}"))
    }

    fn upstream_request<'a>(
        &'a self,
        _: Subject<'a>,
        request: &'a mut UpstreamRequest,
    ) -> Decision<'a> {
        request
            .headers
            .insert("x-filter", "was here".parse().unwrap());
        self.note("upstream_request", format!("{request:?}"))
    }

    fn upstream_response<'a>(
        &'a self,
        _: Subject<'a>,
        response: &'a mut UpstreamResponse,
    ) -> Decision<'a> {
        self.note("upstream_response", format!("{response:?}"))
    }

    fn outcome<'a>(&'a self, _: Subject<'a>, outcome: &'a mut ToolOutcome) -> Decision<'a> {
        self.note("outcome", format!("{outcome:?}"))
    }
}

const PHASES: [&str; 4] = [
    "tool_call",
    "upstream_request",
    "upstream_response",
    "outcome",
];

#[tokio::test]
async fn filters_see_every_phase_and_no_secret() {
    let echo = Echo::start().await;
    for refuse in [
        None,
        Some(PHASES[0]),
        Some(PHASES[1]),
        Some(PHASES[2]),
        Some(PHASES[3]),
    ] {
        let recorder = Arc::new(Recorder {
            refuse,
            ..Recorder::default()
        });
        let policies = Policies::new(vec![recorder.clone(), Arc::new(Recorder::default())]);
        let mut bench = Bench::new(&["127.0.0.0/8"], policies);
        let schemes = json!({"k": {"type": "apiKey", "name": "X-Key", "in": "header"}});
        let held = credential(Secret::Token("the-secret".into()), &echo.origin);
        let server = bench.server(
            &document(&echo.origin, schemes, json!([{"k": []}])),
            Credentials::new(IndexMap::from([("k".to_owned(), held)])),
        );
        let before = echo.seen().len();
        let outcome = bench
            .call(&server, "echo", json!({"q": "x"}))
            .await
            .unwrap();
        let reached = refuse.map_or(PHASES.len(), |at| {
            PHASES.iter().position(|p| *p == at).unwrap() + 1
        });
        assert_eq!(recorder.phases(), PHASES[..reached]);
        for (phase, what) in recorder.seen.lock().unwrap().iter() {
            assert!(!what.contains("the-secret"), "{phase}: {what}");
        }
        let sent = &echo.seen()[before..];
        assert_eq!(
            sent.len(),
            usize::from(reached > 2),
            "refused before it was sent"
        );
        assert!(
            sent.iter()
                .all(|s| s.contains("the-secret") && s.contains("x-filter: was here"))
        );
        assert_eq!(outcome.is_error, refuse.is_some());
        let status = bench.ledger.try_recv().unwrap().status;
        match refuse {
            Some(phase) => {
                assert_eq!(text(&outcome), format!("refused in {phase}"));
                assert_eq!(status, LedgerStatus::Refused);
            }
            None => assert_eq!(status, LedgerStatus::Ok),
        }
    }
}

/// Refuses one path.
struct NotMoved;
impl Filter for NotMoved {
    fn upstream_request<'a>(
        &'a self,
        _: Subject<'a>,
        request: &'a mut UpstreamRequest,
    ) -> Decision<'a> {
        if request.url.path() == "/moved" {
            let text = "refused after the redirect".to_owned();
            return Box::pin(ready(Verdict::Refuse(Refusal { text })));
        }
        pass()
    }
}

#[tokio::test]
async fn filters_see_a_request_again_after_a_redirect() {
    let router = Router::new()
        .route("/echo", get(async || Redirect::permanent("/moved?next=1")))
        .route("/moved", get(async || "arrived"));
    let origin = format!("http://{}", serve_local(router).await);
    let recorder = Arc::new(Recorder::default());
    let policies = Policies::new(vec![recorder.clone()]);
    let bench = Bench::new(&["127.0.0.0/8"], policies);
    let server = bench.server(&open_document(&origin), Credentials::default());
    let outcome = bench.call(&server, "echo", json!({})).await.unwrap();
    assert_eq!(text(&outcome), "arrived");
    let seen = std::mem::take(&mut *recorder.seen.lock().unwrap());
    let asked = seen
        .iter()
        .filter(|(phase, _)| *phase == "upstream_request");
    let asked: Vec<_> = asked.map(|(_, what)| what).collect();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked[1].contains("/moved"), "{asked:?}");

    // What a filter refuses is refused there too.
    let bench = Bench::new(&["127.0.0.0/8"], Policies::new(vec![Arc::new(NotMoved)]));
    let server = bench.server(&open_document(&origin), Credentials::default());
    let outcome = bench.call(&server, "echo", json!({})).await.unwrap();
    assert_eq!(text(&outcome), "refused after the redirect");
}

#[tokio::test]
async fn every_way_to_end_is_accounted_for_once() {
    let echo = Echo::start().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    let mut bench = Bench::local();
    let hasty = ServerSettings {
        access: Access::Open,
        call_timeout_ms: 100,
        ..ServerSettings::default()
    };

    let server = bench.server(&open_document(&echo.origin), Credentials::default());
    bench
        .call(&server, "echo", json!({"q": "x"}))
        .await
        .unwrap();
    let entry = bench.ledger.try_recv().unwrap();
    assert_eq!(
        (entry.status, entry.upstream_status),
        (LedgerStatus::Ok, Some(200))
    );
    assert_eq!((entry.attempts, entry.request_bytes), (1, 9));
    assert!(entry.response_bytes > 0 && entry.total_time >= entry.upstream_time);

    let outcome = bench.call(&server, "echo", json!({"q": 5})).await.unwrap();
    assert!(outcome.is_error);
    let entry = bench.ledger.try_recv().unwrap();
    assert_eq!((entry.status, entry.attempts), (LedgerStatus::ToolError, 0));

    let slow = bench.server_with(&open_document(&silent), Credentials::default(), hasty);
    let outcome = bench.call(&slow, "echo", json!({})).await.unwrap();
    assert!(
        text(&outcome).contains("did not answer within 0.1 s"),
        "{}",
        text(&outcome)
    );
    assert_eq!(
        bench.ledger.try_recv().unwrap().status,
        LedgerStatus::Timeout
    );

    let patient = bench.server(&open_document(&silent), Credentials::default());
    let (caller, cancelled) = (Caller::anonymous(), context());
    cancelled.cancel.cancel();
    let call_now = || {
        call(
            &bench.mcp,
            &caller,
            &patient,
            tool_call("echo", json!({})),
            &cancelled,
        )
    };
    assert!(matches!(call_now().await, Err(CallError::Cancelled)));
    assert_eq!(
        bench.ledger.try_recv().unwrap().status,
        LedgerStatus::Cancelled
    );

    let waiting = context();
    let mut dropped = Box::pin(call(
        &bench.mcp,
        &caller,
        &patient,
        tool_call("echo", json!({})),
        &waiting,
    ));
    let polled = dropped
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Pending));
    drop(dropped);
    let entry = bench.ledger.try_recv().unwrap();
    assert_eq!((entry.status, entry.attempts), (LedgerStatus::Cancelled, 1));
    assert!(entry.total_time < Duration::from_secs(20));
    assert!(bench.ledger.try_recv().is_err());
}

#[tokio::test]
async fn a_refused_destination_tells_the_owner_what_would_allow_it() {
    let mut bench = Bench::new(&[], Policies::default());
    let server = bench.server(
        &open_document("http://10.0.0.5:8080"),
        Credentials::default(),
    );
    let said = text(&bench.call(&server, "echo", json!({})).await.unwrap());
    assert!(
        said.contains("10.0.0.5:8080") && said.contains("a private address"),
        "{said}"
    );
    assert!(said.contains("--allow-upstream 10.0.0.5:8080"), "{said}");
    assert!(said.contains("allowUpstream"), "{said}");
    assert_eq!(
        bench.ledger.try_recv().unwrap().status,
        LedgerStatus::Refused
    );

    // Its own listener is closed to a document even where everything else is open.
    let echo = Echo::start().await;
    let bench = Bench::local();
    let address = echo.origin.trim_start_matches("http://").parse().unwrap();
    bench.mcp.egress.protect(Protected::Listener(address));
    let server = bench.server(&open_document(&echo.origin), Credentials::default());
    let said = text(&bench.call(&server, "echo", json!({})).await.unwrap());
    assert!(said.contains("Causeway's own listeners"), "{said}");
    assert!(echo.seen().is_empty());
}
