//! Headers of a client's own request that an owner lets through to the API.

use std::collections::BTreeSet;
use std::sync::Arc;

use causeway::credential::pass::{PassRule, PassThrough, Passed, check};
use causeway::credential::{Credentials, Secret};
use causeway::mcp::call::dry_run;
use causeway::mcp::server::{Access, Server, ServerSettings};
use http::{HeaderMap, HeaderName, HeaderValue};
use indexmap::IndexMap;
use serde_json::{Value, json};

use crate::call::{Bench, Echo, context, credential, document, text, tool_call};
use crate::program::Serving;

const TOKEN: &str = "a-token-of-the-caller-1";

fn mapping(from: &str, to: &str) -> PassThrough {
    PassThrough {
        from: from.to_owned(),
        to: to.to_owned(),
        origins: BTreeSet::from(["https://api.example".to_owned()]),
        required: false,
    }
}

#[test]
fn what_may_be_passed_on() {
    for (from, to) in [
        ("X-Caller-Token", "Authorization"),
        ("x-caller-token", "X-API-Key"),
        ("X-Tenant", "X-Tenant"),
        ("Accept-Language", "Accept-Language"),
        ("X-Token", "PRIVATE-TOKEN"),
        ("traceparent", "traceparent"),
    ] {
        assert_eq!(check(&[mapping(from, to)]), Ok(()), "{from} to {to}");
    }
    // Causeway's own, in any case.
    for from in ["Authorization", "authorization", "X-API-Key", "x-api-key"] {
        let error = check(&[mapping(from, "X-Token")]).unwrap_err();
        assert!(matches!(error, PassRule::Own(_)), "{from}");
        assert!(error.to_string().contains("MCP specification forbids"));
    }
    for name in [
        "Connection",
        "Keep-Alive",
        "Transfer-Encoding",
        "TE",
        "Trailer",
        "Upgrade",
        "Host",
        "Content-Type",
        "Content-Length",
        "Cookie",
        "Set-Cookie",
        "Mcp-Session-Id",
        "MCP-Protocol-Version",
        "Proxy-Authorization",
        "Expect",
        "Sec-Fetch-Site",
        "Content_Length",
        "Accept-Encoding",
        "If-None-Match",
        "Range",
        "Last-Event-ID",
    ] {
        for (from, to) in [(name, "X-Token"), ("X-Token", name)] {
            let error = check(&[mapping(from, to)]).unwrap_err();
            assert!(matches!(error, PassRule::Message(_)), "{from} to {to}");
        }
    }
    for to in [
        "X-Forwarded-For",
        "Forwarded",
        "X-Real-IP",
        "X-HTTP-Method-Override",
        "X-Original-URL",
        "X-Rewrite-URL",
        "Via",
        "X_Forwarded_Host",
    ] {
        let error = check(&[mapping("X-Token", to)]).unwrap_err();
        assert!(matches!(error, PassRule::Routing(_)), "{to}");
    }
}

#[test]
fn what_may_be_said_of_them() {
    let twice = [
        mapping("X-A", "Authorization"),
        mapping("X-B", "authorization"),
    ];
    assert!(matches!(check(&twice), Err(PassRule::Twice(_))));
    assert!(matches!(
        check(&[mapping("a b", "X-A")]),
        Err(PassRule::NoHeader(_))
    ));
    assert!(matches!(
        check(&[mapping("X-A", "")]),
        Err(PassRule::NoHeader(_))
    ));
    let many: Vec<PassThrough> = (0..17).map(|n| mapping("X-A", &format!("X-{n}"))).collect();
    assert_eq!(check(&many), Err(PassRule::TooMany));
    assert_eq!(check(&many[..16]), Ok(()));
    for origin in [
        "",
        "api.example",
        "https://api.example/",
        "https://api.example/v1",
        "ftp://a",
        "https://API.example",
        "*",
    ] {
        let mut one = mapping("X-A", "X-B");
        one.origins = BTreeSet::from([origin.to_owned()]);
        assert!(
            matches!(check(&[one]), Err(PassRule::NoOrigin(_))),
            "{origin}"
        );
    }
    let mut nowhere = mapping("X-A", "X-B");
    nowhere.origins.clear();
    assert!(matches!(check(&[nowhere]), Err(PassRule::Origins(_))));
}

struct Scene {
    echo: Echo,
    bench: Bench,
}

impl Scene {
    async fn start() -> Self {
        Self {
            echo: Echo::start().await,
            bench: Bench::local(),
        }
    }

    fn mapping(&self, to: &str, required: bool) -> PassThrough {
        PassThrough {
            origins: BTreeSet::from([self.echo.origin.clone()]),
            required,
            ..mapping("X-Caller-Token", to)
        }
    }

    fn server(&self, security: Value, mapping: PassThrough, held: Option<&str>) -> Server {
        let schemes = json!({
            "bearer": { "type": "http", "scheme": "bearer" },
            "key": { "type": "apiKey", "in": "header", "name": "X-Key" },
        });
        let held = held.map(|secret| {
            let secret = Secret::Token(secret.into());
            ("bearer".to_owned(), credential(secret, &self.echo.origin))
        });
        let document = document(&self.echo.origin, schemes, security);
        let settings = ServerSettings {
            access: Access::Open,
            pass_through: vec![mapping],
            ..ServerSettings::default()
        };
        let credentials = Credentials::new(held.into_iter().collect::<IndexMap<_, _>>());
        self.bench.server_with(&document, credentials, settings)
    }

    /// Calls with these values of the header; what the API got, or what was said instead.
    async fn call(&self, server: &Server, values: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            let name = HeaderName::from_static("x-caller-token");
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers.insert("x-other", HeaderValue::from_static("not-to-be-passed-on"));
        let before = self.echo.seen().len();
        let said = self.said(server, &headers).await;
        self.echo.seen().get(before).cloned().unwrap_or(said)
    }

    async fn said(&self, server: &Server, headers: &HeaderMap) -> String {
        let mut context = context();
        let passed = Passed::read(&server.settings.pass_through, headers);
        context.passed = Arc::new(passed.guarded(&BTreeSet::new()));
        let caller = causeway::access::caller::Caller::anonymous();
        let call = tool_call("echo", json!({}));
        let outcome =
            causeway::mcp::call::call(&self.bench.mcp, &caller, server, call, &context).await;
        match outcome.unwrap() {
            causeway::mcp::provider::CallOutcome::Complete(outcome) => text(&outcome),
            causeway::mcp::provider::CallOutcome::InputRequired(_) => unreachable!(),
        }
    }
}

#[tokio::test]
async fn a_header_is_passed_on_for_this_call_and_to_approved_origins() {
    let scene = Scene::start().await;
    let bearer = format!("Bearer {TOKEN}");
    let open = scene.server(json!([]), scene.mapping("Authorization", false), None);
    let got = scene.call(&open, &[&bearer]).await;
    assert!(got.contains(&format!("authorization: {bearer}")), "{got}");
    assert!(
        !got.contains("not-to-be-passed-on") && !got.contains("x-caller-token"),
        "{got}"
    );
    // The next caller has none, and gets nobody else's.
    let got = scene.call(&open, &[]).await;
    assert!(
        !got.contains("authorization") && got.contains("GET"),
        "{got}"
    );
    // Elsewhere it does not go.
    let mut elsewhere = scene.mapping("Authorization", false);
    elsewhere.origins = BTreeSet::from(["https://api.example".to_owned()]);
    let got = scene
        .call(
            &scene.server(json!([]), elsewhere.clone(), None),
            &[&bearer],
        )
        .await;
    assert!(!got.contains(TOKEN) && got.contains("GET"), "{got}");
    elsewhere.required = true;
    let said = scene
        .call(&scene.server(json!([]), elsewhere, None), &[&bearer])
        .await;
    assert!(said.contains("may not be sent to"), "{said}");
}

#[tokio::test]
async fn what_cannot_be_passed_on_ends_the_call() {
    let scene = Scene::start().await;
    let needed = scene.server(json!([]), scene.mapping("Authorization", true), None);
    let long = "x".repeat(9_000);
    for (values, words) in [
        (vec![], "needs the header X-Caller-Token"),
        (vec!["Bearer a", "Bearer b"], "more than once"),
        (vec![&*long], "longer than"),
        (vec!["Negotiate YII="], "whole connection"),
        (vec!["NTLM TlRMTVNTUAAB"], "whole connection"),
    ] {
        let said = scene.call(&needed, &values).await;
        assert!(said.contains(words), "{said}");
    }
    assert!(scene.echo.seen().is_empty());
}

#[tokio::test]
async fn a_header_answers_for_the_scheme_whose_place_it_takes() {
    let scene = Scene::start().await;
    let wanted = json!([{ "bearer": [] }]);
    let to_bearer = || scene.mapping("Authorization", false);
    let own = format!("Bearer {TOKEN}");
    // Without it the owner's credential, or none at all.
    let shared = scene.server(wanted.clone(), to_bearer(), Some("the-owners-secret-token"));
    assert!(scene.call(&shared, &[&own]).await.contains(&own));
    let got = scene.call(&shared, &[]).await;
    assert!(got.contains("Bearer the-owners-secret-token"), "{got}");
    let bare = scene.server(wanted, to_bearer(), None);
    assert!(scene.call(&bare, &[&own]).await.contains(&own));
    let said = scene.call(&bare, &[]).await;
    assert!(said.contains("needs a credential"), "{said}");
    // Another header answers for nothing, and half of a pair is nothing.
    for (security, to) in [
        (json!([{ "bearer": [] }]), "X-Token"),
        (json!([{ "bearer": [], "key": [] }]), "Authorization"),
        (json!([{ "unknown": [] }]), "Authorization"),
    ] {
        let before = scene.echo.seen().len();
        let server = scene.server(security.clone(), scene.mapping(to, false), None);
        let said = scene.call(&server, &[&own]).await;
        assert!(said.contains("needs a credential"), "{security}: {said}");
        assert_eq!(scene.echo.seen().len(), before);
    }
}

#[tokio::test]
async fn a_value_is_masked_in_answers_and_traces() {
    let scene = Scene::start().await;
    let server = scene.server(json!([]), scene.mapping("Authorization", false), None);
    let mut headers = HeaderMap::new();
    headers.insert("x-caller-token", format!("Bearer {TOKEN}").parse().unwrap());
    let said = scene.said(&server, &headers).await;
    assert!(said.contains("[masked]") && !said.contains(TOKEN), "{said}");

    let mut context = context();
    let passed = Passed::read(&server.settings.pass_through, &headers);
    assert!(!format!("{passed:?}").contains(TOKEN));
    context.passed = Arc::new(passed);
    let caller = causeway::access::caller::Caller::anonymous();
    let call = tool_call("echo", json!({}));
    let trace = dry_run(&scene.bench.mcp, &caller, &server, call, &context).await;
    let shown = serde_json::to_value(trace.unwrap()).unwrap();
    assert_eq!(
        shown["request"]["headers"]["authorization"][0],
        "Bearer [masked]"
    );
    assert!(!shown.to_string().contains(TOKEN), "{shown}");
}

const ADMIN: &str = "an-admin-key-for-tests";

/// A tool call over HTTP with a key and one more header.
async fn ask(served: &Serving, key: &str, header: Option<&str>) -> String {
    let message = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "echo", "arguments": {} },
    });
    let client = reqwest::Client::new();
    let mut request = client
        .post(format!("{}/mcp/shop", served.origin))
        .bearer_auth(key)
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2025-11-25");
    if let Some(value) = header {
        request = request.header("x-caller-token", value);
    }
    let response = request.body(message.to_string()).send().await.unwrap();
    response.text().await.unwrap()
}

#[tokio::test]
async fn clients_send_their_own_token_beside_their_key() {
    let echo = Echo::start().await;
    let folder = tempfile::tempdir().unwrap();
    let flags = [
        "--admin-key",
        ADMIN,
        "--no-demo",
        "--allow-upstream",
        "127.0.0.0/8",
    ];
    let served = Serving::on(folder.path(), &flags).await;
    let api = async |method: &str, path: &str, body: Value| {
        served.api(ADMIN, (method, path), &body).await
    };
    let schemes = json!({ "bearer": { "type": "http", "scheme": "bearer" } });
    let document = document(&echo.origin, schemes, json!([{ "bearer": [] }]));
    let (status, said) = api(
        "POST",
        "servers",
        json!({ "slug": "shop", "document": document }),
    )
    .await;
    assert_eq!(status, 201, "{said}");
    let change = |from: &str| {
        json!({ "passThrough": [{
            "from": from, "to": "Authorization", "origins": [echo.origin], "required": true,
        }] })
    };
    for from in ["Authorization", "X-API-Key", "Cookie"] {
        let (status, said) = api("PATCH", "servers/shop", change(from)).await;
        assert_eq!(status, 400, "{said}");
        let detail = said["detail"].as_str().unwrap();
        assert!(detail.starts_with("`passThrough`: "), "{detail}");
    }
    let (status, said) = api("PATCH", "servers/shop", change("X-Caller-Token")).await;
    assert_eq!(status, 200, "{said}");
    let (_, tools) = api("GET", "servers/shop/tools", Value::Null).await;
    let security = &tools["tools"][0]["security"];
    assert_eq!(security["used"], 0, "{security}");
    let scheme = &security["alternatives"][0]["schemes"][0];
    assert_eq!(scheme["state"], "passedThrough", "{security}");

    let (status, key) = api("POST", "keys", json!({ "name": "agent" })).await;
    assert_eq!(status, 201, "{key}");
    let key = key["key"].as_str().unwrap();
    for n in 0..2 {
        let token = format!("Bearer a-token-of-caller-{n}");
        ask(&served, key, Some(&token)).await;
        let seen = echo.seen();
        assert!(seen[n].contains(&token), "{seen:?}");
        assert!(!seen[n].contains(key), "{seen:?}");
    }
    let said = ask(&served, key, None).await;
    assert!(said.contains("needs the header X-Caller-Token"), "{said}");
    // A key for Causeway is passed on under no name.
    for own in [ADMIN, key] {
        for value in [own.to_owned(), format!("Bearer {own}")] {
            let said = ask(&served, key, Some(&value)).await;
            assert!(said.contains("a key for Causeway itself"), "{said}");
            assert!(!said.contains(own), "{said}");
        }
    }
    assert_eq!(echo.seen().len(), 2);
}
