//! Access tokens over real sockets: one request for many calls, and every way it can go wrong.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use causeway::access::caller::Caller;
use causeway::access::upstream_auth::Tokens;
use causeway::credential::oauth::Registration;
use causeway::credential::{Credential, Credentials, Secret};
use causeway::mcp::call::{dry_run, explain};
use causeway::mcp::server::Server;
use causeway::openapi::SecurityScheme;
use causeway::types::Clock;
use chrono::DateTime;
use indexmap::IndexMap;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::call::issuer::{CLIENT_SECRET, Issuer, Manner};
use crate::call::{Bench, Echo, context, document, text, tool_call};

fn flows(issuer: &str) -> Value {
    json!({"clientCredentials": {"tokenUrl": format!("{issuer}/token"), "scopes": {}}})
}

fn client(text: &str, to: (&str, &str)) -> Credentials {
    let scheme = SecurityScheme::OAuth2 { flows: flows(to.1) };
    let mut secret = Secret::for_scheme(&scheme, text).unwrap();
    if let Secret::Client(client) = &mut secret {
        client.origins = BTreeSet::from([to.1.to_owned()]);
    }
    let origins = BTreeSet::from([to.0.to_owned()]);
    Credentials::new(IndexMap::from([(
        "oauth".to_owned(),
        Credential { secret, origins },
    )]))
}

fn entered() -> String {
    format!("client:the client:{CLIENT_SECRET}")
}

/// A server whose API takes what the issuer issues.
fn server(bench: &Bench, issuer: &Issuer, text: &str) -> Server {
    let schemes = json!({"oauth": {"type": "oauth2", "flows": flows(&issuer.origin)}});
    let document = document(
        &issuer.origin,
        schemes,
        json!([{"oauth": ["read", "write"]}]),
    );
    bench.server(&document, client(text, (&issuer.origin, &issuer.origin)))
}

/// Seconds, and the clock that shows them.
fn manual() -> (Arc<Mutex<i64>>, Clock) {
    let seconds = Arc::new(Mutex::new(1_800_000_000));
    let shown = seconds.clone();
    (
        seconds,
        Clock::from_fn(move || DateTime::from_timestamp(*shown.lock(), 0).unwrap()),
    )
}

async fn call(bench: &Bench, server: &Server) -> (bool, String) {
    let outcome = bench.call(server, "echo", json!({})).await.unwrap();
    (!outcome.is_error, text(&outcome))
}

fn assert_silent(said: &str) {
    for secret in ["acc3ss", "cl1ent", "r3fresh", "YWNjM3Nz"] {
        assert!(!said.contains(secret), "{secret}: {said}");
    }
}

#[tokio::test]
async fn fifty_calls_at_once_ask_for_one_token() {
    let issuer = Issuer::start().await;
    let bench = Bench::local();
    let server = server(&bench, &issuer, &entered());
    let calls = (0..50).map(|_| call(&bench, &server));
    for (good, said) in futures::future::join_all(calls).await {
        assert!(good && said.contains("Bearer [masked]"), "{said}");
        assert_silent(&said);
    }
    let asked = issuer.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].form["grant_type"], "client_credentials");
    assert_eq!(asked[0].form["scope"], "read write");
    // RFC 6749 section 2.3.1: the client's id and secret are encoded first.
    let basic = asked[0]
        .authorization
        .as_deref()
        .unwrap()
        .strip_prefix("Basic ")
        .unwrap();
    let pair = STANDARD.decode(basic).unwrap();
    assert_eq!(pair, b"the+client:cl1ent%2Bs3cret%2Fvalue");
}

#[tokio::test]
async fn what_was_entered_is_what_is_sent() {
    let issuer = Issuer::start().await;
    let bench = Bench::local();
    let text = json!({
        "id": "a", "secret": CLIENT_SECRET, "authentication": "post", "scopes": ["only"],
        "audience": "https://aud.example",
    });
    let server = server(&bench, &issuer, &text.to_string());
    assert!(call(&bench, &server).await.0);
    let asked = &issuer.asked()[0];
    assert_eq!(asked.authorization, None);
    for (name, value) in [
        ("client_id", "a"),
        ("client_secret", CLIENT_SECRET),
        ("scope", "only"),
        ("audience", "https://aud.example"),
    ] {
        assert_eq!(asked.form[name], value);
    }
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_and_kept_while_that_fails() {
    let issuer = Issuer::start().await;
    let (seconds, clock) = manual();
    let mut bench = Bench::local();
    bench.mcp.tokens = Tokens::new(bench.mcp.egress.clone(), clock);
    issuer.behave(Manner::Issues(json!("100")));
    let server = server(&bench, &issuer, &entered());
    for (after, tokens) in [(0, 1), (89, 1), (2, 2)] {
        *seconds.lock() += after;
        assert!(call(&bench, &server).await.0);
        assert_eq!(issuer.asked().len(), tokens, "{after}");
    }
    // The server is down just when it is asked; the token still lasts ten seconds.
    issuer.behave(Manner::Answers(
        StatusCode::BAD_GATEWAY,
        "text/html",
        "<h1>down</h1>".to_owned(),
    ));
    *seconds.lock() += 91;
    assert!(call(&bench, &server).await.0);
    assert!(call(&bench, &server).await.0);
    assert_eq!(issuer.asked().len(), 3, "a failure stands for a moment");
    *seconds.lock() += 20;
    let (good, said) = call(&bench, &server).await;
    assert!(!good && said.contains("no token (status 502)"), "{said}");
    assert!(!said.contains("down"), "{said}");
    assert_eq!(issuer.asked().len(), 4);
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_once() {
    let issuer = Issuer::start().await;
    let (seconds, clock) = manual();
    let mut bench = Bench::local();
    bench.mcp.tokens = Tokens::new(bench.mcp.egress.clone(), clock);
    let server = server(&bench, &issuer, &entered());
    assert!(call(&bench, &server).await.0);
    *seconds.lock() += 60;
    issuer.forget();
    // All of them find out together.
    let calls = (0..50).map(|_| call(&bench, &server));
    for (good, said) in futures::future::join_all(calls).await {
        assert!(good, "{said}");
        assert_silent(&said);
    }
    assert_eq!(issuer.asked().len(), 2);
    // A new token that is refused too is no reason to ask again and again.
    issuer.forget();
    for _ in 0..5 {
        let (good, said) = call(&bench, &server).await;
        assert!(!good && said.contains("401"), "{said}");
        assert_silent(&said);
    }
    assert_eq!(issuer.asked().len(), 2);
}

#[tokio::test]
async fn a_request_that_must_not_be_repeated_is_not() {
    let issuer = Issuer::start().await;
    let (seconds, clock) = manual();
    let mut bench = Bench::local();
    bench.mcp.tokens = Tokens::new(bench.mcp.egress.clone(), clock);
    let schemes = json!({"oauth": {"type": "oauth2", "flows": flows(&issuer.origin)}});
    let mut document = document(&issuer.origin, schemes, json!([{"oauth": []}]));
    let operation = document["paths"]["/echo"]["get"].take();
    document["paths"]["/echo"] = json!({ "post": operation });
    let server = bench.server(
        &document,
        client(&entered(), (&issuer.origin, &issuer.origin)),
    );
    assert!(call(&bench, &server).await.0);
    *seconds.lock() += 60;
    issuer.forget();
    let (good, said) = call(&bench, &server).await;
    assert!(!good && said.contains("401"), "{said}");
    assert_eq!(issuer.asked().len(), 1);
    assert!(
        call(&bench, &server).await.0,
        "the next call gets another token"
    );
    assert_eq!(issuer.asked().len(), 2);
}

/// What an authorization server does, and what is said of it.
fn troubles(elsewhere: &str) -> Vec<(Manner, &'static str)> {
    let echoes =
        format!("{{\"error\": \"{CLIENT_SECRET}\", \"error_description\": \"{CLIENT_SECRET}\"}}");
    let json = "application/json";
    vec![
        (
            Manner::Answers(
                StatusCode::UNAUTHORIZED,
                json,
                json!({"error": "invalid_client", "error_description": CLIENT_SECRET}).to_string(),
            ),
            "(invalid_client)",
        ),
        (
            Manner::Answers(StatusCode::BAD_REQUEST, json, echoes),
            "(an unknown error)",
        ),
        (
            Manner::Answers(
                StatusCode::OK,
                json,
                json!({"error": "invalid_scope"}).to_string(),
            ),
            "(invalid_scope)",
        ),
        (
            Manner::Answers(
                StatusCode::OK,
                json,
                format!("{{\"access_token\": 1, \"x\": \"{CLIENT_SECRET}\"}}"),
            ),
            "is no token",
        ),
        (
            Manner::Answers(
                StatusCode::OK,
                json,
                json!({"access_token": "a\nb"}).to_string(),
            ),
            "is no token",
        ),
        (
            Manner::Answers(
                StatusCode::OK,
                json,
                json!({"access_token": "x", "token_type": "mac"}).to_string(),
            ),
            "another type",
        ),
        (
            Manner::Answers(StatusCode::OK, "text/html", format!("<p>{CLIENT_SECRET}")),
            "is no token",
        ),
        (
            Manner::Answers(StatusCode::INTERNAL_SERVER_ERROR, json, String::new()),
            "(status 500)",
        ),
        (Manner::Redirects(format!("{elsewhere}/token")), "redirects"),
        (Manner::Endless, "is no token"),
    ]
}

#[tokio::test]
async fn an_authorization_server_in_trouble_gets_no_secret_told() {
    let elsewhere = Echo::start().await;
    for (manner, says) in troubles(&elsewhere.origin) {
        let issuer = Issuer::start().await;
        let bench = Bench::local();
        let server = server(&bench, &issuer, &entered());
        issuer.behave(manner.clone());
        for _ in 0..3 {
            let (good, said) = call(&bench, &server).await;
            assert!(
                !good && said.starts_with("Not sent: ") && said.contains(says),
                "{manner:?}: {said}"
            );
            assert!(said.contains("\"oauth\""), "{said}");
            assert_silent(&said);
        }
        assert_eq!(issuer.asked().len(), 1, "{manner:?}");
    }
    assert!(elsewhere.seen().is_empty(), "a secret followed a redirect");
}

#[tokio::test]
async fn a_call_waits_no_longer_than_it_may_for_a_server_that_stalls() {
    let issuer = Issuer::start().await;
    let bench = Bench::local();
    let server = server(&bench, &issuer, &entered());
    issuer.behave(Manner::Stalls);
    let (caller, mut context) = (Caller::anonymous(), context());
    context.deadline = std::time::Instant::now() + Duration::from_millis(200);
    let call = tool_call("echo", json!({}));
    let ended = causeway::mcp::call::call(&bench.mcp, &caller, &server, call, &context).await;
    assert!(
        format!("{ended:?}").contains("did not finish in time"),
        "{ended:?}"
    );
}

#[tokio::test]
async fn the_secret_goes_to_approved_origins_only() {
    let (issuer, thief) = (Issuer::start().await, Issuer::start().await);
    let bench = Bench::local();
    // The document is imported again and names another token URL.
    let schemes = json!({"oauth": {"type": "oauth2", "flows": flows(&thief.origin)}});
    let document = document(&issuer.origin, schemes, json!([{"oauth": []}]));
    let held = client(&entered(), (&issuer.origin, &issuer.origin));
    let server = bench.server(&document, held);
    let (good, said) = call(&bench, &server).await;
    assert!(
        !good && said.contains(&format!("approve {}", thief.origin)),
        "{said}"
    );
    assert!(thief.asked().is_empty());
    // The egress policy holds for it as for any other destination.
    let strict = Bench::new(&[], causeway::policy::Policies::default());
    let server = self::server(&strict, &issuer, &entered());
    let (good, said) = call(&strict, &server).await;
    assert!(
        !good && said.contains("not reached") && said.contains("loopback"),
        "{said}"
    );
    assert!(issuer.asked().is_empty());
}

#[tokio::test]
async fn nothing_that_explains_a_call_shows_a_token() {
    let issuer = Issuer::start().await;
    let bench = Bench::local();
    let server = server(&bench, &issuer, &entered());
    let (caller, context) = (Caller::anonymous(), context());
    let rehearsed = dry_run(
        &bench.mcp,
        &caller,
        &server,
        tool_call("echo", json!({})),
        &context,
    )
    .await;
    let shown = serde_json::to_string(&rehearsed.unwrap()).unwrap();
    assert!(shown.contains("Bearer [masked]"), "{shown}");
    assert!(issuer.asked().is_empty(), "a dry run sends nothing");
    let trace = explain(
        &bench.mcp,
        &caller,
        &server,
        tool_call("echo", json!({})),
        &context,
    )
    .await;
    let shown = serde_json::to_string(&trace.unwrap()).unwrap();
    assert!(shown.contains("Bearer [masked]"), "{shown}");
    assert_silent(&shown);
    assert_silent(&format!(
        "{:?}",
        Registration::read(&SecurityScheme::OAuth2 { flows: json!({}) }, &entered())
    ));
}
