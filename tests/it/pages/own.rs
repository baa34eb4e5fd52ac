//! Accounts of people's own, through the real binary: whose call gets whose account, and that a link is good for
//! nobody but whom it was made for.

use serde_json::{Value, json};
use sqlx::Connection;

use crate::call::issuer::{CLIENT_SECRET, Issuer};
use crate::pages::{Served, cookie, csrf, echo, form, serve_with};

const KEY: &str = "an-admin-key-for-tests";
const PASSWORD: &str = "correct horse battery";
const OLD: &str = "2025-06-18";

/// Somebody with a browser and an API key.
struct Somebody {
    cookie: String,
    csrf: String,
    key: String,
}

struct Bench {
    served: Served,
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap()
}

fn location(answer: &str) -> &str {
    let mut lines = answer.lines();
    lines
        .find_map(|line| line.strip_prefix("location: "))
        .unwrap_or_default()
}

/// The path of the link in a text.
fn link(text: &str) -> String {
    let at = text.find("/connect/").expect(text);
    text[at..]
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '/')
        .collect()
}

impl Bench {
    fn start() -> Self {
        let flags = ["--admin-key", KEY, "--allow-upstream", "127.0.0.1"];
        Self {
            served: serve_with(&flags),
        }
    }

    fn api(&self, (method, path): (&str, &str), body: &Value) -> Value {
        let head = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nX-API-Key: {KEY}\r\nContent-Type: application/json"
        );
        let answer = self.served.ask(&head, &body.to_string());
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(status(head).starts_with('2'), "{method} {path}: {answer}");
        serde_json::from_str(body).unwrap_or(Value::Null)
    }

    fn somebody(&self, name: &str) -> Somebody {
        let new = json!({ "name": name, "role": "member", "password": PASSWORD });
        self.api(("POST", "/users"), &new);
        let (cookie, csrf) = self.session(name);
        let head = format!(
            "POST /api/v1/keys HTTP/1.1\r\nCookie: {cookie}\r\nX-CSRF-Token: {csrf}\r\nContent-Type: application/json"
        );
        let made = self.served.ask(&head, &json!({ "name": name }).to_string());
        let body = made.split_once("\r\n\r\n").unwrap().1;
        let made: Value = serde_json::from_str(body).expect(&made);
        Somebody {
            cookie,
            csrf,
            key: made["key"].as_str().unwrap().to_owned(),
        }
    }

    fn session(&self, name: &str) -> (String, String) {
        let fields = [("name", name), ("password", PASSWORD)];
        let answer = self.served.submit("/login", &fields);
        let cookie = cookie(&answer, "causeway_session").expect(&answer);
        let csrf = csrf(&self.served.get("/keys", &cookie));
        (cookie, csrf)
    }

    fn get(&self, path: &str, who: &Somebody) -> String {
        self.served.get(path, &who.cookie)
    }

    fn post(&self, path: &str, who: &Somebody, fields: &[(&str, &str)]) -> String {
        let fields = [fields, &[("csrf", who.csrf.as_str())]].concat();
        let cookie = format!("Cookie: {}\r\n", who.cookie);
        self.served.post(path, &cookie, &form(&fields))
    }

    fn mcp(&self, slug: &str, (key, headers): (&str, &str), message: &Value) -> String {
        let key = if key.is_empty() {
            String::new()
        } else {
            format!("X-API-Key: {key}\r\n")
        };
        let head = format!(
            "POST /mcp/{slug} HTTP/1.1\r\n{key}{headers}Content-Type: application/json\r\nAccept: application/json, text/event-stream"
        );
        self.served.ask(&head, &message.to_string())
    }

    /// Calls the tool `look`, as clients do that open no pages: whether it failed, and its text.
    fn call(&self, slug: &str, key: &str) -> (bool, String) {
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "look" } });
        let answer = self.mcp(
            slug,
            (key, &format!("MCP-Protocol-Version: {OLD}\r\n")),
            &message,
        );
        let body: Value =
            serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).expect(&answer);
        let result = &body["result"];
        let text = result["content"][0]["text"].as_str();
        let text = text.expect(&answer).to_owned();
        (result["isError"] == true, text)
    }

    /// Who has an account at a server, as its owner sees it.
    fn connected(&self, slug: &str) -> Vec<String> {
        let listed = self.api(("GET", &format!("/servers/{slug}/accounts")), &json!({}));
        assert!(!listed.to_string().contains("s3cret"), "{listed}");
        let accounts = listed["accounts"].as_array().unwrap().iter();
        accounts
            .map(|account| account["user"].as_str().unwrap().to_owned())
            .collect()
    }

    /// A server whose tool wants a key that each user has.
    fn keyed(&self) -> String {
        let origin = format!("http://{}", echo());
        let document = json!({
            "openapi": "3.1.0", "info": { "title": "Keyed Things", "version": "1" }, "servers": [{ "url": origin }],
            "paths": { "/look": { "get": { "operationId": "look", "security": [{ "key": [] }] } } },
            "components": { "securitySchemes": {
                "key": { "type": "apiKey", "in": "header", "name": "X-Secret" },
                "badge": { "type": "mutualTLS" },
            } },
        });
        self.api(
            ("POST", "/servers"),
            &json!({ "document": document, "slug": "keyed" }),
        );
        // What all share is used for nobody once each user has their own.
        let shared = json!({ "value": "the-shared-s3cret", "origins": [origin] });
        self.api(("PUT", "/servers/keyed/credentials/key"), &shared);
        self.api(
            ("PATCH", "/servers/keyed"),
            &json!({ "userAccounts": ["key"] }),
        );
        origin
    }

    fn database(&self) -> std::path::PathBuf {
        self.served.data.path().join("data/causeway.db")
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
fn each_call_gets_the_account_of_its_own_user_and_a_link_is_its_users() {
    let bench = Bench::start();
    let origin = bench.keyed();
    let (ann, ben) = (bench.somebody("ann"), bench.somebody("ben"));
    let shared = bench.api(("POST", "/keys"), &json!({ "name": "agent" }));
    for (key, why) in [
        (shared["key"].as_str().unwrap(), "belongs to no person"),
        (KEY, "the admin key is nobody's"),
    ] {
        let (failed, text) = bench.call("keyed", key);
        assert!(
            failed && text.contains(why) && !text.contains("/connect/"),
            "{text}"
        );
    }
    let (failed, text) = bench.call("keyed", &ann.key);
    assert!(
        failed && text.contains("Keyed Things") && text.contains("10 minutes"),
        "{text}"
    );
    let anns = link(&text);
    // Whoever is nobody signs in first; somebody else is refused, whatever they send.
    let led = bench.served.get(&anns, "");
    assert_eq!(location(&led), format!("/login?next={anns}"), "{led}");
    let seen = [("value", "the-attackers-s3cret"), ("seen", origin.as_str())];
    for refused in [bench.get(&anns, &ben), bench.post(&anns, &ben, &seen)] {
        assert_eq!(status(&refused), "403", "{refused}");
        assert!(
            refused.contains("somebody else") && !refused.contains("Keyed"),
            "{refused}"
        );
    }
    assert!(bench.connected("keyed").is_empty());
    let page = bench.get(&anns, &ann);
    for word in ["Keyed Things", "look", origin.as_str(), "X-Secret", ">ann<"] {
        assert!(page.contains(word), "{word}: {page}");
    }
    let value = "anns-own-s3cret";
    let stranger = Somebody {
        csrf: ben.csrf.clone(),
        cookie: ann.cookie.clone(),
        key: String::new(),
    };
    let entered = [("value", value), ("seen", origin.as_str())];
    assert_eq!(status(&bench.post(&anns, &stranger, &entered)), "403");
    let moved = [("value", value), ("seen", "http://elsewhere.example")];
    assert_eq!(status(&bench.post(&anns, &ann, &moved)), "409");
    let empty = [("value", " "), ("seen", origin.as_str())];
    assert_eq!(status(&bench.post(&anns, &ann, &empty)), "422");
    assert!(bench.connected("keyed").is_empty());
    // Another link of hers, for later.
    let other = link(&bench.call("keyed", &ann.key).1);
    let done = bench.post(&anns, &ann, &entered);
    assert_eq!(
        location(&done),
        "/account/connections?done=own-connected",
        "{done}"
    );
    for replayed in [bench.post(&anns, &ann, &entered), bench.get(&anns, &ann)] {
        assert_eq!(status(&replayed), "404", "{replayed}");
    }
    assert_eq!(bench.connected("keyed"), ["ann"]);
    // Hers is sent, and hidden; what is not hers would show.
    let used = |key: &str| {
        let (failed, text) = bench.call("keyed", key);
        assert!(
            !failed && text.contains("[masked]") && !text.contains("s3cret"),
            "{text}"
        );
    };
    used(&ann.key);
    let (failed, text) = bench.call("keyed", &ben.key);
    assert!(failed && text.contains("/connect/"), "{text}");
    let bens = [("value", "bens-own-s3cret"), ("seen", origin.as_str())];
    bench.post(&link(&text), &ben, &bens);
    used(&ben.key);
    used(&ann.key);
    assert_eq!(bench.connected("keyed"), ["ann", "ben"]);
    let list = bench.get("/account/connections", &ann);
    assert!(
        list.contains("Keyed Things") && !list.contains("s3cret"),
        "{list}"
    );
    let theirs = bench.get("/account/connections", &ben);
    let id = |list: &str| {
        let at = list.find("name=\"id\" value=\"").unwrap() + 17;
        list[at..at + 36].to_owned()
    };
    let stolen = bench.post(
        "/account/connections",
        &ben,
        &[("do", "disconnect"), ("id", id(&list).as_str())],
    );
    assert_eq!(status(&stolen), "404", "{stolen}");
    assert_ne!(id(&list), id(&theirs));
    let ended = bench.post(
        "/account/connections",
        &ann,
        &[("do", "disconnect"), ("id", id(&list).as_str())],
    );
    assert_eq!(
        location(&ended),
        "/account/connections?done=own-disconnected",
        "{ended}"
    );
    let late = bench.post(&other, &ann, &entered);
    assert_eq!(status(&late), "404", "a link outlived the account: {late}");
    let (failed, text) = bench.call("keyed", &ann.key);
    assert!(failed && text.contains("/connect/"), "{text}");
    used(&ben.key);
    // Whoever is disabled has none, and takes nothing out of the database again.
    bench.api(("PATCH", "/users/ben"), &json!({ "disabled": true }));
    assert!(bench.connected("keyed").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_given_to_somebody_else_is_their_key() {
    let bench = Bench::start();
    let origin = bench.keyed();
    let (ann, ben) = (bench.somebody("ann"), bench.somebody("ben"));
    let own = link(&bench.call("keyed", &ann.key).1);
    let entered = [("value", "anns-own-s3cret"), ("seen", origin.as_str())];
    bench.post(&own, &ann, &entered);
    assert!(!bench.call("keyed", &ann.key).0);
    let url = format!("sqlite://{}", bench.database().display());
    let mut database = sqlx::SqliteConnection::connect(&url).await.unwrap();
    let given = "UPDATE api_keys SET owner_id = (SELECT id FROM users WHERE name = 'ben') WHERE name = 'ann'";
    let given = sqlx::query(given).execute(&mut database).await.unwrap();
    assert_eq!(given.rows_affected(), 1);
    // A change of keys makes the process look them up again.
    bench.api(("POST", "/keys"), &json!({ "name": "another" }));
    let (failed, text) = bench.call("keyed", &ann.key);
    assert!(failed && text.contains("/connect/"), "{text}");
    assert_eq!(status(&bench.get(&link(&text), &ann)), "403", "it is Ben's");
    assert_eq!(status(&bench.get(&link(&text), &ben)), "200");
    // What an owner takes back is destroyed, and what cannot be one's own is refused.
    bench.api(
        ("PATCH", "/servers/keyed"),
        &json!({ "userAccounts": null }),
    );
    assert!(bench.connected("keyed").is_empty());
    let (failed, text) = bench.call("keyed", &ann.key);
    assert!(
        !failed && text.contains("[masked]"),
        "the shared one: {text}"
    );
    for scheme in ["badge", "nothing"] {
        let head = format!(
            "PATCH /api/v1/servers/keyed HTTP/1.1\r\nX-API-Key: {KEY}\r\nContent-Type: application/json"
        );
        let refused = bench
            .served
            .ask(&head, &json!({ "userAccounts": [scheme] }).to_string());
        assert_eq!(status(&refused), "422", "{refused}");
    }
}

/// A server whose API takes tokens that each user gets.
fn signed(bench: &Bench, issuer: &Issuer) {
    let origin = &issuer.origin;
    let document = json!({
        "openapi": "3.1.0", "info": { "title": "Signed", "version": "1" }, "servers": [{ "url": origin }],
        "paths": { "/look": { "get": { "operationId": "look", "security": [{ "oauth": ["read:things"] }],
            "responses": { "200": { "description": "ok" } } } } },
        "components": { "securitySchemes": { "oauth": { "type": "oauth2", "flows": { "authorizationCode": {
            "authorizationUrl": format!("{origin}/authorize"), "tokenUrl": format!("{origin}/token"),
            "scopes": { "read:things": "read" } } } } } },
    });
    bench.api(
        ("POST", "/servers"),
        &json!({ "document": document, "slug": "signed" }),
    );
    bench.api(
        ("PATCH", "/servers/signed"),
        &json!({ "userAccounts": ["oauth"], "sessions": {} }),
    );
    let client = json!({
        "client": { "id": "us", "secret": CLIENT_SECRET, "revocationUrl": format!("{origin}/revoke") },
        "origins": [origin], "tokenOrigins": [origin],
    });
    bench.api(("PUT", "/servers/signed/credentials/oauth"), &client);
}

/// Where the page behind a link leads, with what it saw: the state that goes to the authorization server.
fn going(bench: &Bench, path: &str, who: &Somebody, origin: &str) -> String {
    let gone = bench.post(path, who, &[("seen", origin)]);
    assert_eq!(status(&gone), "200", "{gone}");
    assert!(gone.contains("code_challenge_method=S256"), "{gone}");
    let at = gone.find("state=").expect(&gone) + 6;
    gone[at..]
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_connects_their_account_for_somebody_else() {
    let bench = Bench::start();
    let issuer = Issuer::start().await;
    issuer.state.lock().refresh = Some("r3fresh-token-number-0".to_owned());
    signed(&bench, &issuer);
    let (ann, ben) = (bench.somebody("ann"), bench.somebody("ben"));
    let fresh = || link(&bench.call("signed", &ann.key).1);
    let page = bench.get(&fresh(), &ann);
    assert!(
        page.contains("read:things") && page.contains(&issuer.origin),
        "{page}"
    );
    let back = |state: &str, cookie: &str| {
        let path = format!("/oauth/callback?code=x&state={state}");
        bench.served.get(&path, cookie)
    };
    // Ann begins and lets Ben come back: his account would be hers.
    let path = fresh();
    let state = going(&bench, &path, &ann, &issuer.origin);
    assert_eq!(
        status(&bench.get(&path, &ann)),
        "404",
        "the link is used up"
    );
    let refused = back(&state, &ben.cookie);
    assert_eq!(status(&refused), "403", "{refused}");
    assert_eq!(
        status(&back(&state, &ann.cookie)),
        "403",
        "it is taken once"
    );
    // Nor does another session of hers.
    let state = going(&bench, &fresh(), &ann, &issuer.origin);
    let (elsewhere, _) = bench.session("ann");
    assert_eq!(status(&back(&state, &elsewhere)), "403");
    assert!(bench.connected("signed").is_empty());
    assert!(issuer.asked().is_empty(), "no code was sent on");
    let state = going(&bench, &fresh(), &ann, &issuer.origin);
    let done = back(&state, &ann.cookie);
    assert_eq!(
        location(&done),
        "/account/connections?done=own-connected",
        "{done}"
    );
    assert!(issuer.asked()[0].form.contains_key("code_verifier"));
    let (failed, text) = bench.call("signed", &ann.key);
    assert!(
        !failed && text.contains("[masked]") && !text.contains("acc3ss"),
        "{text}"
    );
    let (failed, text) = bench.call("signed", &ben.key);
    assert!(failed && text.contains("/connect/"), "{text}");
    // An administrator does not connect in their place, and sees only that she did.
    assert_eq!(bench.connected("signed"), ["ann"]);
    let head = format!(
        "POST /api/v1/servers/signed/credentials/oauth/connect HTTP/1.1\r\nX-API-Key: {KEY}"
    );
    assert_eq!(status(&bench.served.ask(&head, "")), "409");
    let list = bench.get("/account/connections", &ann);
    let at = list.find("name=\"id\" value=\"").unwrap() + 17;
    let fields = [("do", "disconnect"), ("id", &list[at..at + 36])];
    bench.post("/account/connections", &ann, &fields);
    let revoked = issuer.state.lock().revoked.clone();
    assert_eq!(revoked[0]["token_type_hint"], "refresh_token");
    assert!(bench.call("signed", &ann.key).0);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_open_pages_are_asked_to() {
    let bench = Bench::start();
    let issuer = Issuer::start().await;
    signed(&bench, &issuer);
    let ann = bench.somebody("ann");
    let body = |answer: &str| {
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        serde_json::from_str::<Value>(body).expect(answer)
    };
    let modern = |capabilities: Value, more: Value| {
        let mut params = json!({ "name": "look", "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": capabilities,
        } });
        params
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let message =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let headers =
            "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: look\r\n";
        body(&bench.mcp("signed", (&ann.key, headers), &message))["result"].clone()
    };
    let opens = json!({ "elicitation": { "form": {}, "url": {} } });
    let asked = modern(opens.clone(), json!({}));
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let question = &asked["inputRequests"]["connect"];
    assert_eq!(question["method"], "elicitation/create", "{asked}");
    assert_eq!(question["params"]["mode"], "url");
    let path = link(question["params"]["url"].as_str().unwrap());
    assert_eq!(status(&bench.get(&path, &ann)), "200");
    for (action, said) in [("decline", "did not connect"), ("accept", "/connect/")] {
        let more = json!({ "inputResponses": { "connect": { "action": action } } });
        let told = modern(opens.clone(), more);
        let text = told["content"][0]["text"]
            .as_str()
            .unwrap_or_else(|| panic!("{told}"));
        assert!(told["isError"] == true && text.contains(said), "{told}");
    }
    let told = modern(json!({ "elicitation": {} }), json!({}));
    assert_eq!(told["isError"], true, "{told}");
    // 2025-11-25: an error that says which page.
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": opens,
        "clientInfo": { "name": "test", "version": "1" } });
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
    let begun = bench.mcp("signed", (&ann.key, ""), &message);
    let session = begun
        .lines()
        .find(|line| line.starts_with("mcp-session-id"))
        .expect(&begun);
    let headers = format!("{session}\r\nMCP-Protocol-Version: 2025-11-25\r\n");
    let message =
        json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": { "name": "look" } });
    let answer = bench.mcp("signed", (&ann.key, &headers), &message);
    let at = answer.find("{\"jsonrpc\"").expect(&answer);
    let error: Value = serde_json::from_str(answer[at..].lines().next().unwrap()).expect(&answer);
    assert_eq!(error["error"]["code"], -32042, "{error}");
    let elicited = &error["error"]["data"]["elicitations"][0];
    assert_eq!(elicited["mode"], "url");
    assert!(elicited["elicitationId"].is_string() && elicited["message"].is_string());
    assert_eq!(
        status(&bench.get(&link(elicited["url"].as_str().unwrap()), &ann)),
        "200"
    );
}
