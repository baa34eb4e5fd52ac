//! Who is let in: 401, 403 and 404, and the filters that see a request first.

use std::sync::{Arc, Mutex};

use causeway::mcp::endpoint::HostPolicy;
use causeway::mcp::server::ServerSettings;
use causeway::policy::{Decision, Filter, Policies, Refusal, Subject, Verdict, pass};
use futures::future::FutureExt;
use serde_json::{Value, json};
use url::Url;

use crate::endpoint::{HANDSHAKES, KEY_ALL, KEY_BETA, KEY_ELSEWHERE, MODERN, Plan, Site};

type Headers<'a> = &'a [(&'a str, &'a str)];

async fn guarded() -> Site {
    Site::with(Plan {
        settings: ServerSettings::default(),
        ..Plan::default()
    })
    .await
}

#[tokio::test]
async fn keys_decide_who_is_let_in() {
    let site = guarded().await;
    let bearer = |key: &str| format!("Bearer {key}");
    let (all, beta, elsewhere) = (bearer(KEY_ALL), bearer(KEY_BETA), bearer(KEY_ELSEWHERE));
    let cases: [(Headers<'_>, u16, &str); 12] = [
        (&[], 401, "Bearer"),
        (&[("authorization", "Basic YTpi")], 401, "Bearer"),
        (&[("authorization", "Bearer ")], 401, "Bearer"),
        (&[("cookie", "key=key-all")], 401, "Bearer"),
        (
            &[("authorization", "Bearer wrong")],
            401,
            "Bearer error=\"invalid_token\"",
        ),
        (
            &[("x-api-key", "wrong")],
            401,
            "Bearer error=\"invalid_token\"",
        ),
        (
            &[("authorization", &all), ("x-api-key", KEY_BETA)],
            401,
            "Bearer error=\"invalid_token\"",
        ),
        (&[("authorization", &elsewhere)], 404, ""),
        (&[("authorization", &beta)], 200, ""),
        (&[("authorization", &all)], 200, ""),
        (&[("authorization", &all), ("x-api-key", KEY_ALL)], 200, ""),
        (&[("x-api-key", KEY_ALL)], 200, ""),
    ];
    for (headers, status, challenge) in cases {
        for version in [HANDSHAKES[0], HANDSHAKES[3], MODERN] {
            let reply = site
                .ask_with(headers, version, "tools/list", json!({}))
                .reply()
                .await;
            assert_eq!(reply.status, status, "{headers:?}");
            assert_eq!(reply.header("www-authenticate"), challenge, "{headers:?}");
            assert_eq!(reply.header("cache-control"), "no-store");
            assert_eq!(reply.json()["error"].is_null(), status == 200);
        }
    }
}

#[tokio::test]
async fn every_way_in_asks_for_the_key() {
    let site = guarded().await;
    for (method, path) in [
        ("GET", "/mcp/api"),
        ("DELETE", "/mcp/api"),
        ("PUT", "/mcp/api"),
        ("GET", "/mcp/api/sse"),
        ("POST", "/mcp/api/messages?sessionId=1"),
    ] {
        let response = site.http(method, path).send().await.unwrap();
        assert_eq!(response.status(), 401, "{method} {path}");
        let foreign = site.http(method, path).header("x-api-key", KEY_ELSEWHERE);
        assert_eq!(
            foreign.send().await.unwrap().status(),
            404,
            "{method} {path}"
        );
    }
    // Nothing is read from a stranger: what is in the body does not matter.
    let reply = site.post(&[], "nonsense").reply().await;
    assert_eq!(reply.status, 401);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let site = Site::start().await;
    for (method, path) in [
        ("POST", "/mcp/other"),
        ("GET", "/mcp/other"),
        ("POST", "/mcp/API"),
        ("POST", "/mcp/api%2f.."),
        ("GET", "/mcp/other/sse"),
        ("POST", "/mcp/other/messages"),
        ("POST", "/mcp"),
        ("GET", "/"),
    ] {
        let response = site.http(method, path).send().await.unwrap();
        assert_eq!(response.status(), 404, "{method} {path}");
    }
}

#[tokio::test]
async fn a_public_listener_knows_its_name() {
    let public = Url::parse("https://mcp.example.com/").unwrap();
    let policies = [
        (
            HostPolicy::Public { public },
            [
                ("mcp.example.com", "https://mcp.example.com", 200),
                ("mcp.example.com", "https://evil.example", 403),
                ("evil.example", "https://evil.example", 403),
                // One that is let in calls us by our name all the same.
                ("mcp.example.com", "https://page.example", 200),
                ("evil.example", "https://page.example", 403),
                ("mcp.example.com", "http://page.example", 403),
            ]
            .as_slice(),
        ),
        (
            HostPolicy::SameOrigin,
            [
                ("any.example:8080", "http://any.example:8080", 200),
                ("any.example:8080", "http://evil.example", 403),
                ("any.example", "http://any.example", 200),
            ]
            .as_slice(),
        ),
    ];
    for (hosts, cases) in policies {
        let site = Site::with(Plan {
            hosts,
            ..Plan::default()
        })
        .await;
        for &(host, origin, status) in cases {
            let headers = [("host", host), ("origin", origin)];
            let reply = site
                .ask_with(&headers, MODERN, "tools/list", json!({}))
                .reply()
                .await;
            assert_eq!(reply.status, status, "{host} {origin}");
        }
    }
}

/// Refuses what carries `x-refuse`, and notes what it sees.
struct Gate(Arc<Mutex<Vec<Value>>>);

impl Filter for Gate {
    fn request<'a>(
        &'a self,
        about: Subject<'a>,
        head: &'a mut http::request::Parts,
    ) -> Decision<'a> {
        let secret = ["authorization", "x-api-key", "cookie"];
        self.0.lock().unwrap().push(json!({
            "method": head.method.as_str(),
            "path": head.uri.path(),
            "tool": about.tool,
            "trace": about.trace_id,
            "known": about.caller.key.is_some(),
            "secret": secret.iter().any(|name| head.headers.contains_key(*name)),
        }));
        if head.headers.contains_key("x-refuse") {
            let text = "not on Sundays".to_owned();
            return std::future::ready(Verdict::Refuse(Refusal { text })).boxed();
        }
        pass()
    }
}

#[tokio::test]
async fn filters_see_the_head_of_every_request_and_no_key() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let site = Site::with(Plan {
        settings: ServerSettings::default(),
        policies: Policies::new(vec![Arc::new(Gate(seen.clone()))]),
        ..Plan::default()
    })
    .await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let key = [
        ("x-api-key", KEY_ALL),
        ("traceparent", trace),
        ("cookie", "a=b"),
    ];
    let reply = site
        .ask_with(&key, MODERN, "tools/list", json!({}))
        .reply()
        .await;
    assert_eq!(reply.status, 200);
    let refused = [key[0], ("x-refuse", "1")];
    let reply = site
        .ask_with(&refused, MODERN, "tools/list", json!({}))
        .reply()
        .await;
    assert_eq!(reply.fault(), (403, -32_600));
    assert_eq!(reply.json()["error"]["message"], "not on Sundays");
    let get = site.http("GET", "/mcp/api/sse").header("x-refuse", "1");
    let get = get.header("x-api-key", KEY_ALL).send().await.unwrap();
    assert_eq!(get.status(), 403);
    // Whoever is not let in is no filter's business.
    assert_eq!(site.post(&[], "{}").reply().await.status, 401);
    let seen = seen.lock().unwrap();
    assert_eq!(
        seen[0],
        json!({
            "method": "POST",
            "path": "/mcp/api",
            "tool": null,
            "trace": "0af7651916cd43dd8448eb211c80319c",
            "known": true,
            "secret": false,
        })
    );
    let requests: Vec<_> = seen
        .iter()
        .map(|s| (s["method"].clone(), s["path"].clone()))
        .collect();
    assert_eq!(requests.len(), 3, "{requests:?}");
    assert_eq!(requests[2], (json!("GET"), json!("/mcp/api/sse")));
}
