//! From a document to a server that is called: what waits in between, for whom, and what one form changes.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::pages::{Served, csrf, echo, form, serve_with};

const REVIEW: &str = "/servers/things/review";
const SECRET: &str = "s3cret-value-of-the-key";

struct Draft {
    served: Served,
    cookie: String,
    token: String,
    upstream: SocketAddr,
}

/// A document that was sent from the first page and waits on the second.
fn draft(tools: usize, address: Option<&str>) -> Draft {
    let upstream = echo();
    let served = serve_with(&["--allow-upstream", "127.0.0.1"]);
    let cookie = served.sign_in();
    let token = csrf(&served.get("/publish", &cookie));
    let paths: serde_json::Map<String, Value> = (0..tools)
        .map(|at| {
            let operation = json!({
                "operationId": format!("look_{at:03}"), "summary": format!("Look {at}"),
                "description": "It looks.", "security": [{"key": []}],
            });
            (format!("/look/{at:03}"), json!({ "get": operation }))
        })
        .collect();
    let own = format!("http://{upstream}");
    let document = json!({
        "openapi": "3.1.0", "info": {"title": "Things", "version": "1"},
        "servers": [{"url": address.unwrap_or(&own)}], "paths": paths,
        "components": {"securitySchemes": {
            "key": {"type": "apiKey", "in": "header", "name": "X-Secret"},
        }},
    });
    let parts = [
        ("csrf", token.clone()),
        ("document", document.to_string()),
        ("slug", "things".to_owned()),
    ];
    let parts = parts.map(|(name, text)| {
        format!("--e\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
    });
    let head = format!(
        "POST /publish HTTP/1.1\r\nCookie: {cookie}\r\nContent-Type: multipart/form-data; boundary=e"
    );
    let sent = served.ask(&head, &format!("{}--e--\r\n", parts.concat()));
    assert!(sent.contains(&format!("location: {REVIEW}")), "{sent}");
    Draft {
        served,
        cookie,
        token,
        upstream,
    }
}

impl Draft {
    fn get(&self, path: &str) -> String {
        self.served.get(path, &self.cookie)
    }

    /// The description of a tool as it stands in the form.
    fn words(&self, at: usize) -> String {
        let page = self.get(REVIEW);
        let field = page.split(&format!("name=\"words-{at}\"")).nth(1).unwrap();
        let text = field.split_once(">\n").unwrap().1;
        text.split("</textarea>").next().unwrap().to_owned()
    }

    fn post(&self, pairs: &[(&str, &str)]) -> String {
        let pairs = [pairs, &[("csrf", self.token.as_str())]].concat();
        let own = format!("Cookie: {}\r\n", self.cookie);
        self.served.post(REVIEW, &own, &form(&pairs))
    }

    fn api(&self, path: &str) -> Value {
        let answer = self.get(&format!("/api/v1/servers/things{path}"));
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or(json!(answer))
    }

    /// What a stranger is answered by the server: the status, and the body.
    fn mcp(&self, method: &str, params: &Value) -> (String, Value) {
        self.mcp_with("", method, params)
    }

    /// The same, of whoever has a key.
    fn mcp_with(&self, key: &str, method: &str, params: &Value) -> (String, Value) {
        let head = format!(
            "POST /mcp/things HTTP/1.1\r\nContent-Type: application/json\r\nX-API-Key: {key}\r\n\
             Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2025-06-18"
        );
        let head = head.replace("X-API-Key: \r\n", "");
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let answer = self.served.ask(&head, &message.to_string());
        let status = answer.split(' ').nth(1).unwrap().to_owned();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        (status, serde_json::from_str(body).unwrap_or_default())
    }
}

#[test]
fn until_it_is_published_nobody_else_finds_it() {
    let draft = draft(2, None);
    let head = format!(
        "POST /api/v1/keys HTTP/1.1\r\nContent-Type: application/json\r\nCookie: {}\r\nX-CSRF-Token: {}",
        draft.cookie, draft.token
    );
    let made = draft.served.ask(&head, r#"{"name": "agent"}"#);
    let key = made.split("\"key\":\"").nth(1).unwrap();
    let key = key.split('"').next().unwrap().to_owned();
    // It is like a name that nobody has, with a key for every server too.
    assert_eq!(draft.mcp("tools/list", &json!({})).0, "404");
    let (status, listed) = draft.mcp_with(&key, "tools/list", &json!({}));
    assert_eq!(status, "404", "{listed}");
    for path in ["/servers/things", REVIEW] {
        let answer = draft.served.get(path, "");
        assert!(!answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    }
    assert!(!draft.served.get("/", "").contains("things"));
    // Whoever left finds it again, with the way on.
    let home = draft.get("/");
    assert!(home.contains(&format!("href=\"{REVIEW}\"")), "{home}");
    let overview = draft.get("/servers/things");
    assert!(
        overview.contains(&format!("href=\"{REVIEW}\"")),
        "{overview}"
    );
    assert_eq!(draft.api("")["state"], "unpublished");
    // One press goes on, and everything is as it was shown.
    let answer = draft.post(&[("do", "publish")]);
    assert!(
        answer.contains("location: /servers/things/connect?done=published"),
        "{answer}"
    );
    assert_eq!(draft.api("")["state"], "served");
    let listed = draft.mcp_with(&key, "tools/list", &json!({})).1;
    assert_eq!(listed["result"]["tools"].as_array().map(Vec::len), Some(2));
    let curations = draft.api("/curations");
    assert_eq!(curations["curations"], json!({}), "{curations}");
    assert_eq!(draft.api("")["settings"]["access"], "key");
}

#[test]
fn one_form_changes_everything_and_serves_it_last() {
    let draft = draft(3, Some("/relative"));
    let page = draft.get(REVIEW);
    for shown in [
        "look_000",
        "It looks.",
        "name=\"upstream\"",
        "value=\"60-minute\"",
    ] {
        assert!(page.contains(shown), "{shown} is not in {page}");
    }
    let address = format!("http://{}", draft.upstream);
    let (second, third) = (draft.words(1), draft.words(2));
    assert!(second.contains("It looks."), "{second}");
    let sent = [
        ("do", "publish"),
        ("access", "open"),
        ("limits", "60-minute"),
        ("upstream", address.as_str()),
        ("scheme-0", "key"),
        ("value-0", SECRET),
        ("operation-0", "GET /look/000"),
        ("serve-0", "on"),
        ("name-0", "find"),
        ("confirm-0", "never"),
        ("words-0", "Finds."),
        ("operation-1", "GET /look/001"),
        ("name-1", "look_001"),
        ("confirm-1", "never"),
        ("words-1", second.as_str()),
        ("operation-2", "GET /look/002"),
        ("serve-2", "on"),
        ("name-2", "look_002"),
        ("confirm-2", "human"),
        ("words-2", third.as_str()),
    ];
    let answer = draft.post(&sent);
    assert!(
        answer.contains("location: /servers/things/connect?done=published"),
        "{answer}"
    );
    let shown = draft.api("");
    assert_eq!(shown["state"], "served");
    assert_eq!(shown["settings"]["access"], "open");
    let limit =
        json!([{"unit": "requests", "amount": 60, "window": "minute", "scope": "consumer"}]);
    assert_eq!(shown["settings"]["limits"], limit);
    let curations = &draft.api("/curations")["curations"];
    let expected = json!({
        "GET /look/000": {"name": "find", "description": "Finds."},
        "GET /look/001": {"hidden": true},
        "GET /look/002": {"confirm": "human"},
    });
    assert_eq!(curations, &expected);
    let (status, listed) = draft.mcp("tools/list", &json!({}));
    assert_eq!(status, "200", "{listed}");
    let tools = listed["result"]["tools"].as_array().unwrap();
    let mut names: Vec<_> = tools
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["find", "look_002"]);
    // The credential goes to the address that was entered beside it.
    let (_, called) = draft.mcp("tools/call", &json!({"name": "find", "arguments": {}}));
    assert!(called.to_string().contains("x-secret"), "{called}");
    assert!(!draft.get(REVIEW).contains(SECRET));
}

#[test]
fn what_is_refused_keeps_what_was_entered_and_serves_nothing() {
    let draft = draft(2, None);
    let row = |name| {
        [
            ("do", "publish"),
            ("limits", "600-minute"),
            ("operation-0", "GET /look/000"),
            ("serve-0", "on"),
            ("name-0", name),
            ("confirm-0", "client"),
            ("words-0", "Other words."),
            ("scheme-0", "key"),
            ("value-0", SECRET),
            ("origins-0", "https://elsewhere.example"),
        ]
    };
    for (name, status, said) in [
        ("look_001", "409", "would both be called look_001"),
        ("no name", "422", "GET /look/000"),
        ("fine", "409", "key"),
    ] {
        let answer = draft.post(&row(name));
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(said),
            "{name}: {answer}"
        );
        for kept in [name, "Other words.", "value=\"600-minute\" checked"] {
            assert!(answer.contains(kept), "{kept} is gone: {answer}");
        }
        assert!(!answer.contains(SECRET), "{answer}");
        assert_eq!(draft.api("")["state"], "unpublished");
    }
    let own = format!("Cookie: {}\r\n", draft.cookie);
    let forged = draft.served.post(REVIEW, &own, &form(&[("do", "publish")]));
    assert!(forged.starts_with("HTTP/1.1 403"), "{forged}");
    assert_eq!(draft.api("")["state"], "unpublished");
}

#[test]
fn of_many_tools_the_first_are_shown_and_the_others_found() {
    let draft = draft(230, None);
    let page = draft.get(REVIEW);
    assert_eq!(page.matches("name=\"operation-").count(), 200);
    assert!(page.contains("30 more tools are not shown"), "{page}");
    let words = draft.words(0);
    let answer = draft.post(&[
        ("do", "search"),
        ("q", "look_229"),
        ("operation-0", "GET /look/000"),
        ("name-0", "look_000"),
        ("confirm-0", "never"),
        ("words-0", words.as_str()),
    ]);
    assert!(
        answer.contains("location: /servers/things/review?q=look_229"),
        "{answer}"
    );
    let found = draft.get("/servers/things/review?q=look_229");
    assert_eq!(found.matches("name=\"operation-").count(), 1);
    // What was changed before the search was kept; the server still waits.
    let expected = json!({"GET /look/000": {"hidden": true}});
    assert_eq!(draft.api("/curations")["curations"], expected);
    assert_eq!(draft.api("")["state"], "unpublished");
}
