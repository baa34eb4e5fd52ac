//! A server that somebody may not see answers them like one that never was, byte for byte, on every route that takes
//! its name.

use std::collections::BTreeMap;

use causeway::market::gate::{API, PAGES};
use serde_json::{Value, json};

use crate::endpoint::{MODERN, request};
use crate::pages::accounts::{KEY, add, api, by_key, session, with_session};
use crate::pages::{Served, form, serve_with};

/// One that never was. Every slug here is as long as it is, so that lengths tell nothing either.
const MISSING: &str = "shop-none";
const HIDDEN: [&str; 4] = ["shop-priv", "shop-gone", "shop-shut", "shop-new1"];

/// A process with a server of each kind that is hidden, all of one publisher.
fn hidden() -> Served {
    let served = serve_with(&["--admin-key", KEY, "--no-demo"]);
    for (name, role) in [
        ("mia", "member"),
        ("pat", "publisher"),
        ("pia", "publisher"),
    ] {
        add(&served, name, role);
    }
    let owner = with_session(&served, &session(&served, "pat"));
    let document = json!({
        "openapi": "3.1.0", "info": { "title": "Told to nobody", "version": "1" },
        "servers": [{ "url": "https://api.example.com" }],
        "paths": { "/a": { "get": { "operationId": "a" } } },
    });
    for (slug, access, closed) in [
        (HIDDEN[0], "private", None),
        (HIDDEN[1], "open", Some("unpublished")),
        (HIDDEN[2], "key", Some("unpublished")),
        (HIDDEN[3], "open", None),
    ] {
        let draft = slug == HIDDEN[3];
        let new = json!({ "document": document, "slug": slug, "access": access, "draft": draft });
        let made = api(&served, ("POST", "/api/v1/servers"), &owner, &new);
        assert_eq!(made.0, 201, "{slug}: {}", made.1);
        if let Some(state) = closed {
            let path = format!("/api/v1/servers/{slug}/state");
            let set = api(
                &served,
                ("PUT", &path),
                &owner,
                &json!({ "state": state, "note": "told to nobody" }),
            );
            assert_eq!(set.0, 200, "{slug}: {}", set.1);
        }
    }
    served
}

/// Somebody's headers, and the token of their forms.
fn person_of(served: &Served, name: &str) -> (String, String) {
    let headers = with_session(served, &session(served, name));
    let token = headers.split("X-CSRF-Token: ").nth(1).unwrap().to_owned();
    (headers, token)
}

/// Who asks: the headers that say so, and the token of their forms.
fn callers(served: &Served) -> BTreeMap<&'static str, (String, String)> {
    let person = |name: &str| person_of(served, name);
    let new = json!({ "name": "agent" });
    let (_, made) = api(served, ("POST", "/api/v1/keys"), &by_key(), &new);
    let key = format!("X-API-Key: {}", made["key"].as_str().unwrap());
    BTreeMap::from([
        ("anonymous", ("Accept: */*".to_owned(), String::new())),
        ("consumer", (key, String::new())),
        ("member", person("mia")),
        ("other publisher", person("pia")),
    ])
}

/// One request, with `{slug}` where the name stands.
struct Asked {
    head: String,
    body: String,
}

fn asked(method: &str, path: &str, (kind, body): (&str, String)) -> Asked {
    Asked {
        head: format!("{method} {path} HTTP/1.1\r\nContent-Type: {kind}"),
        body,
    }
}

/// Every request that names a server.
fn all(token: &str) -> Vec<Asked> {
    let mut all = Vec::new();
    let filled = |path: &str| {
        path.replace("{tool}", "a")
            .replace("{scheme}", "key")
            .replace("{number}", "1")
            .replace("{id}", "01900000-0000-7000-8000-000000000001")
            .replace("{name}", "agent")
    };
    let json = |body: Value| ("application/json", body.to_string());
    for (method, path, _) in API.iter().filter(|row| row.1.contains("{slug}")) {
        all.push(asked(method, &filled(path), json(json!({}))));
    }
    let page = |pairs: &[(&str, &str)]| {
        let pairs = [pairs, &[("csrf", token)]].concat();
        ("application/x-www-form-urlencoded", form(&pairs))
    };
    for (method, path, _) in PAGES.iter().filter(|row| row.1.contains("{slug}")) {
        all.push(asked(method, &filled(path), page(&[("do", "call")])));
    }
    // Names that stand in what is sent.
    let plain = |path: &str, body: Value| asked("POST", path, json(body));
    all.extend([
        plain(
            "/api/v1/keys",
            json!({ "name": "x", "servers": ["{slug}"] }),
        ),
        plain(
            "/api/v1/keys",
            json!({ "name": "x", "grants": [{ "server": "{slug}", "tools": ["a"] }] }),
        ),
        asked(
            "POST",
            "/keys",
            page(&[("name", "x"), ("servers", "{slug}")]),
        ),
        asked(
            "POST",
            "/account/connections",
            page(&[("server", "{slug}"), ("scheme", "key")]),
        ),
        asked(
            "POST",
            "/api/v1/deleted-servers/{slug}/restore",
            json(json!({})),
        ),
        asked("GET", "/api/v1/usage?server={slug}", json(json!({}))),
    ]);
    all.extend(of_agents());
    all
}

/// What agents send.
fn of_agents() -> Vec<Asked> {
    let mut all = Vec::new();
    let begin = json!({ "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" } });
    let call = json!({ "name": "a", "arguments": {} });
    for (version, method, params) in [
        ("2025-11-25", "initialize", begin),
        ("2025-11-25", "tools/list", json!({})),
        ("2025-11-25", "tools/call", call.clone()),
        (MODERN, "server/discover", json!({})),
        (MODERN, "tools/call", call),
    ] {
        let (headers, message) = request(version, method, params);
        let mut one = asked(
            "POST",
            "/mcp/{slug}",
            ("application/json", message.to_string()),
        );
        one.head
            .push_str("\r\nAccept: application/json, text/event-stream");
        for (name, value) in headers {
            one.head = format!("{}\r\n{name}: {value}", one.head);
        }
        all.push(one);
    }
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    for (method, path) in [
        ("GET", "/mcp/{slug}"),
        ("DELETE", "/mcp/{slug}"),
        ("OPTIONS", "/mcp/{slug}"),
        ("POST", "/mcp/{slug}/"),
        ("GET", "/mcp/{slug}/sse"),
        ("POST", "/mcp/{slug}/messages?sessionId=1"),
        (
            "GET",
            "/mcp/{slug}/answers/01900000-0000-4000-8000-000000000001",
        ),
    ] {
        all.push(asked(method, path, ("application/json", ping.to_string())));
    }
    all
}

/// An answer without what differs between any two.
fn compared(answer: &str, slug: &str) -> String {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let volatile = ["x-request-id: ", "date: ", "set-cookie: "];
    let head: Vec<_> = head
        .lines()
        .filter(|line| !volatile.iter().any(|name| line.starts_with(name)))
        .collect();
    let mut body = body.to_owned();
    // Whoever has no session gets a token of a form with each page.
    while let Some(at) = body.find("name=\"csrf\" value=\"") {
        let end = body[at + 19..].find('"').unwrap();
        body.replace_range(at..at + 19 + end, "");
    }
    format!("{}\n\n{body}", head.join("\n")).replace(slug, "{slug}")
}

#[test]
fn what_somebody_may_not_see_is_like_what_never_was() {
    let served = hidden();
    for (who, (headers, token)) in callers(&served) {
        for one in all(&token) {
            let ask = |slug: &str| {
                let head = format!("{}\r\n{headers}", one.head.replace("{slug}", slug));
                let body = one.body.replace("{slug}", slug).replace("%7Bslug%7D", slug);
                compared(&served.ask(&head, &body), slug)
            };
            let missing = ask(MISSING);
            for slug in HIDDEN {
                let answer = ask(slug);
                let what = one.head.lines().next().unwrap_or_default();
                assert_eq!(answer, missing, "{who}: {slug}: {what} {}", one.body);
            }
            assert!(!missing.contains("Told to nobody"));
        }
    }
}

/// A new server by the page.
fn by_page(served: &Served, (headers, token): &(String, String), slug: &str) -> String {
    let fields = [
        ("slug", slug),
        ("document", "{\"foo\": 1}"),
        ("csrf", token),
    ];
    let fields = fields.map(|(name, value)| {
        format!("--e\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    });
    let body = format!("{}--e--\r\n", fields.concat());
    let head = format!(
        "POST /publish HTTP/1.1\r\n{headers}\r\nContent-Type: multipart/form-data; boundary=e"
    );
    served.ask(&head, &body)
}

#[test]
fn whoever_publishes_learns_that_a_name_is_taken_and_nothing_else() {
    let served = hidden();
    let callers = callers(&served);
    let other = &callers["other publisher"];
    // One that everybody sees, and one that was deleted, are answered alike.
    let owner = with_session(&served, &session(&served, "pat"));
    let document = json!({
        "openapi": "3.1.0", "info": { "title": "Told to nobody", "version": "1" },
        "servers": [{ "url": "https://api.example.com" }],
        "paths": { "/a": { "get": { "operationId": "a" } } },
    });
    for slug in ["shop-seen", "shop-left"] {
        let new = json!({ "document": document, "slug": slug, "access": "open" });
        let made = api(&served, ("POST", "/api/v1/servers"), &owner, &new);
        assert_eq!(made.0, 201, "{}", made.1);
    }
    let left = ("DELETE", "/api/v1/servers/shop-left");
    assert_eq!(api(&served, left, &owner, &json!({})).0, 204);
    let expected = json!({
        "status": 409, "title": "It conflicts with what is there", "type": "about:blank",
        "detail": "this slug is taken; choose another `slug`",
    });
    let mut pages = std::collections::BTreeSet::new();
    for slug in HIDDEN.into_iter().chain(["shop-seen", "shop-left"]) {
        let new = json!({ "document": { "foo": 1 }, "slug": slug });
        let (status, mut said) = api(&served, ("POST", "/api/v1/servers"), &other.0, &new);
        assert_eq!(status, 409, "{slug}: {said}");
        said.as_object_mut().unwrap().remove("requestId");
        assert_eq!(said, expected, "{slug}");
        let page = by_page(&served, other, slug);
        assert!(page.starts_with("HTTP/1.1 409"), "{slug}: {page}");
        assert!(
            page.contains(&format!("the name {slug} is taken")),
            "{page}"
        );
        assert!(!page.contains("in its settings"), "{slug}: {page}");
        pages.insert(compared(&page, slug));
    }
    assert_eq!(pages.len(), 1, "{pages:?}");
    // Whose it is may import into it.
    let own = by_page(&served, &person_of(&served, "pat"), HIDDEN[0]);
    assert!(own.contains("in its settings"), "{own}");
}

#[test]
fn whoever_has_a_key_for_an_unpublished_server_is_told_why_it_does_not_answer() {
    let served = hidden();
    // By the admin, before and after: a key names it and is told; one for all servers is not.
    let told = |grants: Value| {
        let new = json!({ "name": "agent", "grants": grants });
        let (status, made) = api(&served, ("POST", "/api/v1/keys"), &by_key(), &new);
        assert_eq!(status, 201, "{made}");
        let key = format!("X-API-Key: {}", made["key"].as_str().unwrap());
        let call = format!("/api/v1/servers/{}/tools/a/call", HIDDEN[2]);
        api(&served, ("POST", &call), &key, &json!({}))
    };
    let (status, said) = told(json!([{ "server": HIDDEN[2] }]));
    let detail = said["detail"].as_str().unwrap();
    assert_eq!(status, 409, "{said}");
    assert!(
        detail.contains("was unpublished") && detail.contains("told to nobody"),
        "{detail}"
    );
    assert_eq!(told(Value::Null).0, 404);
}
