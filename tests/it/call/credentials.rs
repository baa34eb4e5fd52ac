//! A credential reaches its API and nobody else.

use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::{any, get};
use causeway::access::caller::Caller;
use causeway::credential::{Credentials, Secret};
use causeway::mcp::call::{dry_run, explain};
use causeway::mcp::tool::define;
use causeway::openapi::{self, DocumentLimits, SecurityScheme};
use indexmap::IndexMap;
use serde_json::{Value, json};

use crate::call::{Bench, Echo, context, credential, document, text, tool_call};
use crate::egress::serve_local;

const SECRET: &str = "s3cr/t+k\"y&<z>";

/// What must not be seen anywhere: the secret as JSON, URLs, base64 and plain text write it.
fn traces_of_secret(basic: bool) -> Vec<&'static str> {
    let mut forms = vec!["s3cr", "czNjci90K2sieSY8ej4"];
    if basic {
        forms.push("YWRhOnMzY3IvdCtrInkmPHo");
    }
    forms
}

fn assert_clean(what: &str, shown: &str, basic: bool) {
    for form in traces_of_secret(basic) {
        assert!(!shown.contains(form), "{what} shows {form}: {shown}");
    }
}

fn schemes() -> Value {
    json!({
        "header": {"type": "apiKey", "name": "X-Key", "in": "header"},
        "query": {"type": "apiKey", "name": "key", "in": "query"},
        "cookie": {"type": "apiKey", "name": "sid", "in": "cookie"},
        "basic": {"type": "http", "scheme": "basic"},
        "bearer": {"type": "http", "scheme": "bearer"},
        "oauth": {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "https://x.example/t", "scopes": {}}}},
        "oidc": {"type": "openIdConnect", "openIdConnectUrl": "https://x.example/o"},
    })
}

fn secret_for(scheme: &str) -> Secret {
    if scheme == "basic" {
        let text = format!("ada:{SECRET}");
        return Secret::for_scheme(&SecurityScheme::Basic, &text).unwrap();
    }
    Secret::for_scheme(&SecurityScheme::Bearer, SECRET).unwrap()
}

fn holding(scheme: &str, origin: &str) -> Credentials {
    let held = credential(secret_for(scheme), origin);
    Credentials::new(IndexMap::from([(scheme.to_owned(), held)]))
}

/// Everything that is logged on this thread, at every level.
#[derive(Clone, Default)]
struct Logs(Arc<Mutex<Vec<u8>>>);

impl Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Logs {
    fn capture() -> (Self, tracing::subscriber::DefaultGuard) {
        let logs = Self::default();
        let writer = logs.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        (logs, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[tokio::test]
async fn an_echoing_api_leaks_no_scheme() {
    let (logs, _guard) = Logs::capture();
    let echo = Echo::start().await;
    for scheme in schemes().as_object().unwrap().keys() {
        let basic = scheme == "basic";
        let mut bench = Bench::local();
        let document = document(&echo.origin, schemes(), json!([{ scheme: [] }]));
        let server = bench.server(&document, holding(scheme, &echo.origin));
        let before = echo.seen().len();

        let outcome = bench
            .call(&server, "echo", json!({"q": "hello"}))
            .await
            .unwrap();
        assert!(!outcome.is_error, "{}", text(&outcome));
        let said = text(&outcome);
        assert!(
            said.contains("hello") && said.contains("[masked]"),
            "{scheme}: {said}"
        );
        assert_clean("the result", &format!("{outcome:?}"), basic);

        let (caller, context) = (Caller::anonymous(), context());
        let call = tool_call("echo", json!({"q": "hello"}));
        let trace = explain(&bench.mcp, &caller, &server, call, &context)
            .await
            .unwrap();
        assert_eq!(trace.status, Some(200));
        let shown = serde_json::to_string(&trace).unwrap();
        assert!(shown.contains("[masked]"), "{shown}");
        assert_clean("the trace", &shown, basic);

        let call = tool_call("echo", json!({"q": "hello"}));
        let trace = dry_run(&bench.mcp, &caller, &server, call, &context)
            .await
            .unwrap();
        assert!(trace.dry_run && trace.request.is_some() && trace.result.is_none());
        assert_clean(
            "the dry run",
            &serde_json::to_string(&trace).unwrap(),
            basic,
        );

        let got = &echo.seen()[before..];
        assert_eq!(got.len(), 2, "a dry run sends nothing");
        for request in got {
            assert!(
                traces_of_secret(basic).iter().any(|f| request.contains(f)),
                "{request}"
            );
        }
        for _ in 0..2 {
            assert_clean(
                "the ledger",
                &format!("{:?}", bench.ledger.try_recv().unwrap()),
                basic,
            );
        }
        assert!(bench.ledger.try_recv().is_err());
    }
    assert_clean("the log", &logs.text(), true);
    assert!(!logs.text().is_empty(), "nothing was captured");
}

#[tokio::test]
async fn errors_of_the_api_leak_nothing() {
    let router = Router::new().fallback(any(async |request: Request| {
        let key = request.headers()["x-key"].to_str().unwrap().to_owned();
        (
            StatusCode::BAD_REQUEST,
            format!("bad key {key} in {}", request.uri()),
        )
    }));
    let origin = format!("http://{}", serve_local(router).await);
    let bench = Bench::local();
    let server = bench.server(
        &document(&origin, schemes(), json!([{"header": []}])),
        holding("header", &origin),
    );
    let outcome = bench.call(&server, "echo", json!({})).await.unwrap();
    assert!(outcome.is_error);
    assert!(
        text(&outcome).contains("bad key [masked] in /echo"),
        "{}",
        text(&outcome)
    );

    // Text in another charset, whether it is shown as text or as bytes.
    let router = Router::new().fallback(any(async |request: Request| {
        let key = request.headers()["x-key"].to_str().unwrap().to_owned();
        let body: Vec<u8> = key.encode_utf16().flat_map(u16::to_le_bytes).collect();
        ([("content-type", "text/plain; charset=utf-16le")], body)
    }));
    let origin = format!("http://{}", serve_local(router).await);
    let server = bench.server(
        &document(&origin, schemes(), json!([{"header": []}])),
        holding("header", &origin),
    );
    let outcome = bench.call(&server, "echo", json!({})).await.unwrap();
    assert!(!text(&outcome).contains("cwAzAGMAcg"), "{}", text(&outcome));
    assert!(!text(&outcome).contains(SECRET), "{}", text(&outcome));
}

/// An API that repeats its key in an XML document of another encoding.
#[tokio::test]
async fn what_a_document_says_of_its_own_encoding_hides_nothing() {
    for (kind, prolog) in [
        (
            "application/xml",
            "<?xml version=\"1.0\" encoding=\"UTF-7\"?>",
        ),
        ("text/xml", "<?xml version='1.0' encoding='iso-8859-1'?>"),
        (
            "text/xml; charset=utf-8",
            "<?xml version='1.0' encoding='utf-16'?>",
        ),
        ("text/plain", ""),
    ] {
        // The secret has letters that each encoding writes in its own way.
        let secret = "s\u{e9}cr\u{e9}t-in-latin";
        let body = move || {
            let text = format!("{prolog}<key>{secret}</key>");
            let (bytes, _, _) = encoding_rs::WINDOWS_1252.encode(&text);
            ([("content-type", kind)], bytes.into_owned())
        };
        let router = Router::new().fallback(any(async move || body()));
        let origin = format!("http://{}", serve_local(router).await);
        let bench = Bench::local();
        let document = document(&origin, schemes(), json!([{"query": []}]));
        let held = credential(Secret::Token(secret.into()), &origin);
        let held = Credentials::new(IndexMap::from([("query".to_owned(), held)]));
        let server = bench.server(&document, held);
        let outcome = bench.call(&server, "echo", json!({})).await.unwrap();
        let said = text(&outcome);
        assert!(!said.contains(secret), "{kind} {prolog}: {said}");
    }
}

#[tokio::test]
async fn a_trace_confirms_no_guess() {
    let echo = Echo::start().await;
    for scheme in ["header", "query", "cookie", "basic", "bearer"] {
        let bench = Bench::local();
        let document = document(&echo.origin, schemes(), json!([{ scheme: [] }]));
        let server = bench.server(&document, holding(scheme, &echo.origin));
        let rehearsed = async |guess: &str| {
            let call = tool_call("echo", json!({ "q": guess }));
            let (caller, context) = (Caller::anonymous(), context());
            let trace = dry_run(&bench.mcp, &caller, &server, call, &context).await;
            serde_json::to_value(trace.unwrap()).unwrap()
        };
        // A right guess and a wrong one of the same form look the same.
        let wrong_guess = SECRET.replace("s3cr", "guess");
        let (right, wrong) = (rehearsed(SECRET).await, rehearsed(&wrong_guess).await);
        let shown = right.to_string();
        assert_eq!(
            shown.replace("s3cr", "guess"),
            wrong.to_string(),
            "{scheme}: the right guess is told apart"
        );
        assert_eq!(right["arguments"]["q"], SECRET);
        assert!(shown.contains("[masked]"), "{scheme}: {shown}");
        // Nor does a refusal tell.
        let call = tool_call("echo", json!({ "q": "x", SECRET: 1 }));
        let (caller, context) = (Caller::anonymous(), context());
        let trace = dry_run(&bench.mcp, &caller, &server, call, &context).await;
        let said = serde_json::to_value(trace.unwrap()).unwrap();
        let said = said["result"]["content"][0]["text"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(!said.contains("[masked]"), "{said}");
    }
    assert!(echo.seen().is_empty());
}

/// A secret that is too short to be hidden wherever it occurs is hidden where it stands.
#[tokio::test]
async fn a_short_secret_is_masked_in_its_place() {
    let echo = Echo::start().await;
    for scheme in ["header", "query", "cookie", "basic", "bearer"] {
        let bench = Bench::local();
        let document = document(&echo.origin, schemes(), json!([{ scheme: [] }]));
        let secret = match scheme {
            "basic" => Secret::for_scheme(&SecurityScheme::Basic, "q:z9!").unwrap(),
            _ => Secret::Token("z9!".into()),
        };
        let held = credential(secret, &echo.origin);
        let held = Credentials::new(IndexMap::from([(scheme.to_owned(), held)]));
        let server = bench.server(&document, held);
        let (caller, context) = (Caller::anonymous(), context());
        let call = tool_call("echo", json!({ "q": "x" }));
        let trace = dry_run(&bench.mcp, &caller, &server, call, &context).await;
        let shown = serde_json::to_string(&trace.unwrap()).unwrap();
        for form in ["z9!", "z9%21", "cTp6OSE"] {
            assert!(!shown.contains(form), "{scheme}: {shown}");
        }
        assert!(shown.contains("[masked]"), "{scheme}: {shown}");
    }
}

#[tokio::test]
async fn without_its_credential_nothing_is_sent() {
    let echo = Echo::start().await;
    let bench = Bench::local();
    let document = document(
        &echo.origin,
        schemes(),
        json!([{"header": []}, {"oauth": []}]),
    );
    let server = bench.server(&document, Credentials::default());
    let outcome = bench.call(&server, "echo", json!({})).await.unwrap();
    let said = text(&outcome);
    assert!(outcome.is_error);
    assert!(
        said.contains("\"header\" (an API key in the header X-Key)"),
        "{said}"
    );
    assert!(
        said.contains("\"oauth\"") && said.contains("--credential"),
        "{said}"
    );
    assert!(echo.seen().is_empty());
}

/// Calls `echo` of a document whose credential was entered for `approved`, expects that it is
/// withheld, and that `other` never hears from us.
async fn expect_withheld(document: Value, approved: &str, other: &Echo) {
    let bench = Bench::local();
    let server = bench.server(&document, holding("header", approved));
    let outcome = bench.call(&server, "echo", json!({})).await.unwrap();
    let said = text(&outcome);
    assert!(outcome.is_error, "{said}");
    assert!(said.contains("approve the new destination"), "{said}");
    assert!(said.contains(&other.origin), "{said}");
    assert_clean("the error", &said, false);
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn a_credential_follows_no_change_of_host() {
    let (home, other) = (Echo::start().await, Echo::start().await);
    let security = json!([{"header": []}]);
    let original = document(&home.origin, schemes(), security.clone());

    // The document is imported again and names another server.
    let moved = document(&other.origin, schemes(), security.clone());
    expect_withheld(moved, &home.origin, &other).await;

    // A server variable has another default.
    let port = other.origin.rsplit(':').next().unwrap();
    let mut variable = original.clone();
    variable["servers"] = json!([{
        "url": "http://{host}:{port}", "variables": {"host": {"default": "127.0.0.1"}, "port": {"default": port}},
    }]);
    expect_withheld(variable, &home.origin, &other).await;

    // One operation, or one path, has a server of its own.
    let mut operation = original.clone();
    operation["paths"]["/echo"]["get"]["servers"] = json!([{"url": other.origin}]);
    expect_withheld(operation, &home.origin, &other).await;
    let mut path = original.clone();
    path["paths"]["/echo"]["servers"] = json!([{"url": other.origin}]);
    expect_withheld(path, &home.origin, &other).await;

    // The API redirects.
    let target = format!("{}/echo", other.origin);
    let router = Router::new().route("/echo", get(async move || Redirect::temporary(&target)));
    let redirecting = format!("http://{}", serve_local(router).await);
    let document = document(&redirecting, schemes(), security);
    expect_withheld(document, &redirecting, &other).await;

    // At home it is used.
    let bench = Bench::local();
    let server = bench.server(&original, holding("header", &home.origin));
    assert!(
        !bench
            .call(&server, "echo", json!({}))
            .await
            .unwrap()
            .is_error
    );
    assert_eq!(home.seen().len(), 1);
}

#[tokio::test]
async fn the_owners_upstream_is_a_change_of_host_too() {
    let (home, other) = (Echo::start().await, Echo::start().await);
    let bench = Bench::local();
    let document = document(&home.origin, schemes(), json!([{"header": []}]));
    let settings = causeway::mcp::server::ServerSettings {
        access: causeway::mcp::server::Access::Open,
        upstream: Some(other.origin.clone()),
        ..Default::default()
    };
    let server = bench.server_with(&document, holding("header", &home.origin), settings);
    let said = text(&bench.call(&server, "echo", json!({})).await.unwrap());
    assert!(said.contains("approve the new destination"), "{said}");
    assert!(other.seen().is_empty() && home.seen().is_empty());
}

#[tokio::test]
async fn a_redirect_within_the_origin_keeps_the_credential() {
    let router = Router::new()
        .route("/echo", get(async || Redirect::permanent("/echo/?next=1")))
        .route(
            "/echo/",
            get(async |request: Request| {
                let keyed = request.headers().contains_key("x-key");
                format!("{keyed} {}", request.uri())
            }),
        );
    let origin = format!("http://{}", serve_local(router).await);
    let bench = Bench::local();
    let document = document(&origin, schemes(), json!([{"header": []}]));
    let server = bench.server(&document, holding("header", &origin));
    let outcome = bench.call(&server, "echo", json!({})).await.unwrap();
    assert_eq!(text(&outcome), "true /echo/?next=1");
}

#[test]
fn what_decides_the_host_is_no_argument() {
    let mut document = document(
        "https://{tenant}.api.example:{port}/{base}",
        json!({}),
        json!([]),
    );
    document["servers"][0]["variables"] = json!({
        "tenant": {"default": "acme", "enum": ["acme", "evil"]},
        "port": {"default": "443"},
        "base": {"default": "v1"},
    });
    let bytes = document.to_string();
    let api = openapi::read(bytes.as_bytes(), &DocumentLimits::default()).unwrap();
    for tool in define(&api).tools {
        let properties = tool.input_schema["properties"].as_object().unwrap();
        assert_eq!(properties.keys().collect::<Vec<_>>(), ["q"]);
    }
}
