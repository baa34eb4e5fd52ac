//! What clients get wrong or differently, and what the endpoint makes of it.

use serde_json::{Value, json};

use crate::endpoint::{Events, HANDSHAKES, MODERN, Site, request};

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

#[tokio::test]
async fn any_accept_is_answered_in_a_form_it_admits() {
    let site = Site::start().await;
    for accept in [
        "*/*",
        "application/json",
        "text/html",
        "",
        "text/event-stream;q=0.5, application/*",
    ] {
        let reply = site.post(&[("accept", accept)], LIST).reply().await;
        assert_eq!(reply.status, 200, "{accept}");
        assert_eq!(reply.header("content-type"), "application/json", "{accept}");
        assert_eq!(reply.json()["result"]["tools"][0]["name"], "alpha");
    }
    let events = site.post(&[("accept", "text/event-stream")], LIST).events();
    let mut events = events.await;
    assert_eq!(
        events.message().await["result"]["tools"][0]["name"],
        "alpha"
    );
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn what_is_no_message_gets_a_json_rpc_error() {
    let site = Site::start().await;
    let cases = [
        ("", 400, -32_700, Value::Null),
        ("{", 400, -32_700, Value::Null),
        ("nonsense", 400, -32_700, Value::Null),
        ("null", 400, -32_600, Value::Null),
        ("\"text\"", 400, -32_600, Value::Null),
        ("{}", 400, -32_600, Value::Null),
        (
            r#"{"jsonrpc":"1.0","id":3,"method":"ping"}"#,
            400,
            -32_600,
            json!(3),
        ),
        (
            r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
            400,
            -32_600,
            Value::Null,
        ),
        (
            r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
            400,
            -32_600,
            Value::Null,
        ),
        (r#"{"jsonrpc":"2.0","id":4}"#, 400, -32_600, json!(4)),
        (
            r#"{"jsonrpc":"2.0","id":"five","method":"ping","params":[1]}"#,
            400,
            -32_602,
            json!("five"),
        ),
        (
            r#"{"jsonrpc":"2.0","id":6,"method":"no/such"}"#,
            200,
            -32_601,
            json!(6),
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{}}"#,
            200,
            -32_602,
            json!(7),
        ),
    ];
    for (body, status, code, id) in cases {
        let reply = site.post(&[], body).reply().await;
        assert_eq!(reply.fault(), (status, code), "{body}");
        assert_eq!(reply.json()["id"], id, "{body}");
        assert_eq!(reply.header("content-type"), "application/json", "{body}");
        assert_eq!(reply.header("cache-control"), "no-store", "{body}");
    }
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let deep = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"a":{deep}}}}}"#);
    let reply = site.post(&[], deep).reply().await;
    assert!(matches!(reply.fault().0, 200 | 400), "{:?}", reply.fault());
}

#[tokio::test]
async fn the_body_has_to_be_json_of_bounded_size() {
    let site = Site::start().await;
    let reply = site
        .post(&[("content-type", "text/plain")], LIST)
        .reply()
        .await;
    assert_eq!(reply.fault(), (415, -32_600));
    let reply = site.post(&[("content-type", "Application/JSON; charset=utf-8")], LIST);
    assert_eq!(reply.reply().await.status, 200);
    let padding = " ".repeat(4 << 20);
    let reply = site.post(&[], format!("{LIST}{padding}")).reply().await;
    assert_eq!(reply.fault(), (413, -32_600));
    let bytes = site
        .http("POST", "/mcp/api")
        .header("content-type", "application/json");
    let response = bytes.body(b"{\"\xff\":1}".to_vec()).send().await.unwrap();
    assert_eq!(response.status(), 400);
}

#[tokio::test]
async fn an_array_is_served_where_the_version_has_batches() {
    let site = Site::start().await;
    let note = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let ping = r#"{"jsonrpc":"2.0","id":"a","method":"ping"}"#;
    let initialize = r#"{"jsonrpc":"2.0","id":2,"method":"initialize","params":{}}"#;
    let body = format!("[{ping},{note},{LIST},{initialize},7]");
    for headers in [&[][..], &[("mcp-protocol-version", "2025-03-26")]] {
        let replies = site.post(headers, body.as_str()).reply().await.json();
        assert_eq!(replies.as_array().unwrap().len(), 4, "{replies}");
        assert_eq!(
            replies[0],
            json!({ "jsonrpc": "2.0", "id": "a", "result": {} })
        );
        assert_eq!(replies[1]["result"]["tools"][2]["name"], "gamma");
        assert_eq!(replies[2]["error"]["code"], -32_600);
        assert_eq!(replies[3]["error"]["code"], -32_600);
    }
    let only_notes = site.post(&[], format!("[{note},{note}]")).reply().await;
    assert_eq!(
        (only_notes.status.as_u16(), only_notes.text.as_str()),
        (202, "")
    );
    let many = |count| format!("[{}]", vec![ping; count].join(","));
    let replies = site.post(&[], many(50)).reply().await.json();
    assert_eq!(replies.as_array().unwrap().len(), 50);
    for body in [many(51), "[]".to_owned()] {
        assert_eq!(site.post(&[], body).reply().await.fault(), (400, -32_600));
    }
    assert_eq!(site.post(&[], "[1,").reply().await.fault(), (400, -32_700));
    for version in [
        HANDSHAKES[0],
        HANDSHAKES[2],
        HANDSHAKES[3],
        MODERN,
        "unknown",
    ] {
        let reply = site.post(&[("mcp-protocol-version", version)], body.as_str());
        assert_eq!(reply.reply().await.fault(), (400, -32_600), "{version}");
    }
}

#[tokio::test]
async fn notifications_and_answers_are_accepted_without_a_body() {
    let site = Site::start().await;
    for body in [
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#,
        r#"{"jsonrpc":"2.0","id":"causeway-1","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":9,"error":{"code":1,"message":"no"}}"#,
    ] {
        let reply = site.post(&[], body).reply().await;
        assert_eq!(
            (reply.status.as_u16(), reply.text.as_str()),
            (202, ""),
            "{body}"
        );
    }
}

#[tokio::test]
async fn other_methods_say_what_is_allowed() {
    let site = Site::start().await;
    for method in ["GET", "DELETE", "PUT", "PATCH"] {
        let response = site.http(method, "/mcp/api").send().await.unwrap();
        assert_eq!(response.status(), 405, "{method}");
        assert_eq!(response.headers()["allow"], "POST", "{method}");
    }
    let response = site.http("OPTIONS", "/mcp/api").send().await.unwrap();
    assert!(response.status().is_success(), "{}", response.status());
}

#[tokio::test]
async fn browsers_may_send_what_the_protocol_needs() {
    let site = Site::start().await;
    let preflight = site
        .http("OPTIONS", "/mcp/api")
        .header("origin", &site.origin)
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "mcp-param-region,authorization",
        );
    let response = preflight.send().await.unwrap();
    assert!(response.status().is_success());
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("access-control-allow-origin"), site.origin);
    assert_eq!(
        header("access-control-allow-headers"),
        "mcp-param-region,authorization"
    );
    assert!(header("access-control-allow-methods").contains("POST"));
    let origin = [("origin", site.origin.as_str())];
    let reply = site.post(&origin, LIST).reply().await;
    assert_eq!(reply.status, 200);
    for name in ["mcp-session-id", "www-authenticate", "mcp-protocol-version"] {
        assert!(
            reply.header("access-control-expose-headers").contains(name),
            "{name}"
        );
    }
    assert_eq!(reply.header("access-control-allow-credentials"), "");
}

#[tokio::test]
async fn foreign_origins_and_hosts_are_turned_away() {
    let site = Site::start().await;
    for (name, value, status) in [
        ("origin", "https://evil.example", 403),
        ("origin", "null", 403),
        ("host", "evil.example", 403),
        ("origin", "http://localhost:3000", 200),
        ("host", "localhost", 200),
    ] {
        let reply = site.post(&[(name, value)], LIST).reply().await;
        assert_eq!(reply.status, status, "{name}: {value}");
        assert_eq!(reply.json()["error"].is_null(), status == 200);
    }
}

#[tokio::test]
async fn numbers_and_ids_come_back_as_they_were_written() {
    let site = Site::start().await;
    for id in [
        "0",
        "-1",
        "12345678901234567890",
        "1.5",
        r#""ü\n""#,
        r#""""#,
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        let reply = site.post(&[], body).reply().await;
        assert_eq!(
            reply.text,
            format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#)
        );
    }
}

#[tokio::test]
async fn text_is_passed_on_whole() {
    let site = Site::start().await;
    for version in [HANDSHAKES[3], MODERN] {
        let arguments = json!({ "task": "Send {\"a\":[1,]} or {,}" });
        let params = json!({ "name": "start", "arguments": arguments });
        let result = site.ask(version, "prompts/get", params).result().await;
        let text = result["messages"][0]["content"]["text"].as_str().unwrap();
        assert!(
            text.contains("Write {\"a\":[1,]} or {,} and get it back."),
            "{text}"
        );
        assert!(text.ends_with("Send {\"a\":[1,]} or {,}"), "{text}");
    }
}

#[tokio::test]
async fn headers_of_the_stateless_era_have_to_agree_with_the_body() {
    let site = Site::start().await;
    let params = json!({ "name": "beta", "arguments": {} });
    let (headers, body) = request(MODERN, "tools/call", params);
    let without = |name: &str, value: Option<&'static str>| {
        let kept = headers.iter().filter(|(known, _)| *known != name);
        let kept = kept.map(|(name, value)| (*name, value.clone()));
        let put = value.map(|value| (name.to_owned(), value.to_owned()));
        let mut all: Vec<(String, String)> = kept.map(|(a, b)| (a.to_owned(), b)).collect();
        all.extend(put);
        all
    };
    let cases = [
        (without("nothing", None), 200, 0),
        (without("mcp-name", Some("=?base64?YmV0YQ==?=")), 200, 0),
        (without("mcp-name", Some("=?base64?!?=")), 400, -32_020),
        (without("mcp-name", Some("alpha")), 400, -32_020),
        (without("mcp-name", None), 400, -32_020),
        (without("mcp-method", Some("tools/list")), 400, -32_020),
        (without("mcp-method", None), 400, -32_020),
        (
            without("mcp-protocol-version", Some("2025-11-25")),
            400,
            -32_020,
        ),
        (
            without("mcp-protocol-version", Some("2099-01-01")),
            400,
            -32_020,
        ),
        (without("mcp-protocol-version", None), 400, -32_020),
    ];
    for (headers, status, code) in cases {
        let given: Vec<_> = headers
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        let reply = site.post(&given, body.to_string()).reply().await;
        assert_eq!(reply.fault(), (status, code), "{headers:?}");
        assert_eq!(reply.json()["id"], 7);
    }
}

#[tokio::test]
async fn one_server_can_stand_at_the_root() {
    let site = Site::start().await;
    let slash = format!("{}/", site.url);
    for url in [format!("{}/mcp", site.single().await), slash] {
        let client = reqwest::Client::new();
        let request = client.post(url).header("content-type", "application/json");
        let text = request
            .body(LIST)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        let list: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(list["result"]["tools"][0]["name"], "alpha");
    }
    let response = reqwest::get(format!("{}/mcp/sse", site.single().await)).await;
    let mut events = Events::of(response.unwrap());
    let (kind, path) = events.next().await.unwrap();
    assert_eq!(kind, "endpoint");
    assert!(path.starts_with("/mcp/messages?sessionId="), "{path}");
}
