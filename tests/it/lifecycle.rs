//! The life of a server over the real wire: what agents are told of one that is disabled, unpublished or
//! deleted, in every protocol version, and what becomes of calls in flight.

#![expect(
    clippy::disallowed_methods,
    reason = "a test is a client of the process, and no client goes through egress"
)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use causeway::types::Slug;
use serde_json::{Value, json};
use sqlx::{Connection, Executor, SqliteConnection};
use tokio::sync::Semaphore;

use crate::egress::serve_local;
use crate::endpoint::{HANDSHAKES, MODERN, request};
use crate::program::{PATIENCE, Serving};

const ADMIN: &str = "an-admin-key-for-tests";

/// A process with a server `pets`, whose API answers when it is let.
struct Site {
    served: Serving,
    key: String,
    upstream: String,
    go: Arc<Semaphore>,
    reached: Arc<Semaphore>,
    data: tempfile::TempDir,
}

impl Site {
    async fn start() -> Self {
        let (go, reached) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (wait, tell) = (go.clone(), reached.clone());
        let router = Router::new()
            .route("/look", any(async || r#"{"found":1}"#))
            .route(
                "/slow",
                any(async move || {
                    tell.add_permits(1);
                    wait.acquire().await.unwrap().forget();
                    r#"{"found":2}"#
                }),
            );
        let upstream = format!("http://{}", serve_local(router).await);
        let data = tempfile::tempdir().unwrap();
        let flags = ["--admin-key", ADMIN, "--allow-upstream", "127.0.0.1"];
        let served = Serving::on(&data.path().join("data"), &flags).await;
        let mut site = Self {
            served,
            key: String::new(),
            upstream,
            go,
            reached,
            data,
        };
        let new = json!({ "document": site.document(), "slug": "pets",
            "credentials": { "token": "s3cret" } });
        site.done(("POST", "servers"), new).await;
        let made = site
            .done(
                ("POST", "keys"),
                json!({ "name": "agent", "servers": ["pets"] }),
            )
            .await;
        made["key"].as_str().unwrap().clone_into(&mut site.key);
        site
    }

    fn document(&self) -> Value {
        json!({
            "openapi": "3.1.0", "info": { "title": "Pets", "version": "1" },
            "servers": [{ "url": self.upstream }],
            "paths": {
                "/look": { "get": { "operationId": "look" } },
                "/slow": { "get": { "operationId": "slow" } },
            },
            "components": { "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } } },
            "security": [{ "token": [] }],
        })
    }

    async fn api(&self, asked: (&str, &str), body: Value) -> (u16, Value) {
        self.served.api(ADMIN, asked, &body).await
    }

    async fn done(&self, asked: (&str, &str), body: Value) -> Value {
        let (status, answer) = self.api(asked, body).await;
        assert!((200..300).contains(&status), "{asked:?}: {status} {answer}");
        answer
    }

    /// One message in a protocol version: the status, and the answer.
    async fn ask(&self, version: &str, method: &str, params: Value) -> (u16, Value) {
        let (headers, message) = request(version, method, params);
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .build()
            .unwrap();
        let url = format!("{}/mcp/pets", self.served.origin);
        let mut sent = client.post(url).bearer_auth(&self.key);
        sent = sent.header("accept", "application/json, text/event-stream");
        for (name, value) in headers {
            sent = sent.header(name, value);
        }
        let response = sent.json(&message).send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or_default())
    }

    async fn call(&self, version: &str, tool: &str) -> Value {
        let params = json!({ "name": tool, "arguments": {} });
        let (status, answer) = self.ask(version, "tools/call", params).await;
        assert_eq!(status, 200, "{answer}");
        answer["result"].clone()
    }

    /// What every call and every list is answered with.
    async fn is_closed(&self, words: &[&str]) {
        for version in HANDSHAKES.iter().copied().chain([MODERN]) {
            let result = self.call(version, "look").await;
            assert_eq!(result["isError"], true, "{version}: {result}");
            let mut said = vec![result["content"][0]["text"].as_str().unwrap().to_owned()];
            for method in ["tools/list", "resources/list", "prompts/list"] {
                let (status, answer) = self.ask(version, method, json!({})).await;
                assert_eq!(
                    (status, &answer["error"]["code"]),
                    (200, &json!(-32010)),
                    "{answer}"
                );
                said.push(answer["error"]["message"].as_str().unwrap().to_owned());
            }
            let first = if version == MODERN {
                "server/discover"
            } else {
                "initialize"
            };
            let params = json!({ "protocolVersion": version, "capabilities": {},
                "clientInfo": { "name": "test", "version": "1" } });
            let params = if version == MODERN { json!({}) } else { params };
            let (status, answer) = self.ask(version, first, params).await;
            assert_eq!(status, 200, "{version}: {answer}");
            said.push(
                answer["result"]["instructions"]
                    .as_str()
                    .unwrap()
                    .to_owned(),
            );
            for text in said {
                for word in words {
                    assert!(text.contains(word), "{version}: {text}");
                }
            }
        }
    }

    async fn is_served(&self) {
        for version in HANDSHAKES.iter().copied().chain([MODERN]) {
            let result = self.call(version, "look").await;
            assert!(result["isError"] != true, "{version}: {result}");
            let (_, answer) = self.ask(version, "tools/list", json!({})).await;
            assert_eq!(
                answer["result"]["tools"].as_array().unwrap().len(),
                2,
                "{answer}"
            );
        }
    }

    /// The slugs a caller finds in the catalog.
    async fn listed(&self, key: &str) -> Vec<String> {
        let (_, answer) = self.served.api(key, ("GET", "servers"), &Value::Null).await;
        let servers = answer["servers"].as_array().unwrap().iter();
        servers
            .map(|it| it["slug"].as_str().unwrap().to_owned())
            .collect()
    }
}

#[tokio::test]
async fn a_closed_server_says_so_in_every_version() {
    let site = Site::start().await;
    site.is_served().await;
    let state = |state: &str, note: Option<&str>| json!({ "state": state, "note": note });
    let path = ("PUT", "servers/pets/state");
    let disabled = site
        .done(path, state("disabled", Some("back on Monday")))
        .await;
    assert_eq!(
        (&disabled["state"], &disabled["note"]),
        (&json!("disabled"), &json!("back on Monday"))
    );
    site.is_closed(&["disabled by its owner since", "back on Monday"])
        .await;
    assert!(!site.listed(&site.key).await.contains(&"pets".to_owned()));
    assert!(site.listed(ADMIN).await.contains(&"pets".to_owned()));
    let shown = site
        .served
        .api(&site.key, ("GET", "servers/pets"), &Value::Null)
        .await;
    assert_eq!(
        shown.0, 200,
        "whoever may call it is told why it does not answer"
    );
    let call = ("POST", "servers/pets/tools/look/call");
    let refused = site.served.api(&site.key, call, &json!({})).await;
    assert_eq!(refused.0, 409, "{}", refused.1);

    site.done(path, state("unpublished", None)).await;
    let asked = [
        "was unpublished by its owner on",
        "Ask its owner or an administrator",
    ];
    site.is_closed(&asked).await;
    let shown = site
        .served
        .api(&site.key, ("GET", "servers/pets"), &Value::Null)
        .await;
    assert_eq!(shown.0, 404, "{}", shown.1);
    // A stranger is told nothing, not even that it takes a key.
    let (status, answer) = crate::program::exchange(
        &format!("{}/mcp/pets", site.served.origin),
        "",
        ("tools/call", json!({ "name": "look" })),
    )
    .await;
    assert_eq!(status, 404, "{answer}");
    assert!(!answer.to_string().contains("unpublished"), "{answer}");

    let again = site.done(path, state("served", None)).await;
    assert_eq!(
        (&again["state"], &again["closedAt"]),
        (&json!("served"), &Value::Null)
    );
    site.is_served().await;
    for (body, status) in [
        (json!({ "state": "gone" }), 400),
        (json!({ "state": "disabled", "note": "x".repeat(301) }), 400),
        (json!({ "state": "disabled", "note": "a\nb" }), 400),
    ] {
        let refused = site.api(path, body).await;
        assert_eq!(refused.0, status, "{}", refused.1);
    }
}

#[tokio::test]
async fn calls_to_a_closed_server_are_in_the_ledger() {
    let site = Site::start().await;
    let path = ("PUT", "servers/pets/state");
    site.done(path, json!({ "state": "disabled" })).await;
    for version in ["2025-11-25", MODERN] {
        assert_eq!(site.call(version, "look").await["isError"], true);
    }
    let over_rest = ("POST", "servers/pets/tools/slow/call");
    for (body, tool) in [
        (json!({}), over_rest),
        // Neither is a call: nothing would be sent, and there is no such tool.
        (json!({ "dryRun": true }), over_rest),
        (json!({}), ("POST", "servers/pets/tools/nothing/call")),
    ] {
        let refused = site.served.api(&site.key, tool, &body).await;
        assert_eq!(refused.0, 409, "{}", refused.1);
    }
    site.call(MODERN, "nothing").await;
    // Where tools are searched, a call is its tool's, and none of one there is none of.
    site.done(("PATCH", "servers/pets"), json!({ "tools": "search" }))
        .await;
    for (name, arguments) in [
        ("call_tool", json!({ "name": "look", "arguments": {} })),
        ("call_tool", json!({ "name": "nothing" })),
        ("search_tools", json!({ "query": "look" })),
    ] {
        let params = json!({ "name": name, "arguments": arguments });
        let (_, answer) = site.ask(MODERN, "tools/call", params).await;
        assert_eq!(answer["result"]["isError"], true, "{answer}");
    }
    site.done(("PATCH", "servers/pets"), json!({ "tools": "all" }))
        .await;
    // One that is answered after all of them is written after all of them.
    site.done(path, json!({ "state": "served" })).await;
    site.call(MODERN, "look").await;
    let begun = std::time::Instant::now();
    let rows = loop {
        let ledger = site.done(("GET", "ledger"), Value::Null).await;
        let rows = ledger["calls"].as_array().unwrap().clone();
        if rows.iter().any(|row| row["status"] == "ok") {
            break rows;
        }
        assert!(begun.elapsed() < PATIENCE, "{ledger}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let closed: Vec<_> = rows
        .iter()
        .filter(|row| row["status"] == "closed")
        .collect();
    let mut tools: Vec<_> = closed
        .iter()
        .map(|row| row["tool"].as_str().unwrap())
        .collect();
    tools.sort_unstable();
    let expected = ["call_tool", "look", "look", "look", "search_tools", "slow"];
    assert_eq!(tools, expected, "{rows:?}");
    for row in closed {
        assert_eq!(row["attempts"], 0, "{row}");
        assert_eq!(row["upstreamStatus"], Value::Null, "{row}");
    }
    let asked = ("GET", "ledger?status=closed");
    let found = site.done(asked, Value::Null).await;
    assert_eq!(found["calls"].as_array().unwrap().len(), 6, "{found}");
}

#[tokio::test]
async fn a_closed_server_that_cannot_be_loaded_says_that_it_is_closed() {
    let mut site = Site::start().await;
    site.served.terminate();
    site.served.ended().await;
    let data = site.data.path().join("data");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(data.join("causeway.db"));
    let mut database = SqliteConnection::connect_with(&options).await.unwrap();
    // What it needs cannot be read any more.
    let change = "UPDATE credentials SET origins = '{'";
    database.execute(change).await.unwrap();
    database.close().await.unwrap();
    site.served = Serving::on(&data, &["--admin-key", ADMIN]).await;
    let call = ("POST", "servers/pets/tools/look/call");
    for (state, status) in [("disabled", 409), ("served", 503)] {
        site.done(("PUT", "servers/pets/state"), json!({ "state": state }))
            .await;
        for dry_run in [true, false] {
            let body = json!({ "dryRun": dry_run });
            let refused = site.served.api(&site.key, call, &body).await;
            assert_eq!(refused.0, status, "{state}: {}", refused.1);
        }
    }
}

#[tokio::test]
async fn calls_in_flight_are_settled_when_their_server_is_deleted() {
    let site = Arc::new(Site::start().await);
    let calls: Vec<_> = (0..3)
        .map(|_| {
            let site = site.clone();
            tokio::spawn(async move { site.call(MODERN, "slow").await })
        })
        .collect();
    for _ in 0..3 {
        let reached = tokio::time::timeout(PATIENCE, site.reached.acquire()).await;
        reached.unwrap().unwrap().forget();
    }
    let wrong = site
        .api(("DELETE", "servers/pets?confirm=cats"), Value::Null)
        .await;
    assert_eq!(wrong.0, 422, "{}", wrong.1);
    let deleted = site
        .api(("DELETE", "servers/pets?confirm=pets"), Value::Null)
        .await;
    assert_eq!(deleted.0, 204);
    let params = json!({ "name": "look", "arguments": {} });
    assert_eq!(site.ask(MODERN, "tools/call", params).await.0, 404);
    for _ in 0..3 {
        site.go.add_permits(1);
    }
    for call in calls {
        let result = call.await.unwrap();
        let text = &result["content"][0]["text"];
        assert_eq!(text, "{\"found\":2}", "{result}");
    }
    // Each is in the ledger once, under the server's id.
    let begun = std::time::Instant::now();
    loop {
        let ledger = site.done(("GET", "ledger"), Value::Null).await;
        let rows = ledger["entries"]
            .as_array()
            .or(ledger["calls"].as_array())
            .unwrap();
        let slow = rows.iter().filter(|row| row["tool"] == "slow").count();
        if slow == 3 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{ledger}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let new = json!({ "document": site.document(), "slug": "pets" });
    let held = site.api(("POST", "servers"), new).await;
    assert_eq!(held.0, 409, "{}", held.1);

    let list = site.done(("GET", "deleted-servers"), Value::Null).await;
    assert_eq!(list["servers"][0]["slug"], "pets", "{list}");
    let back = ("POST", "deleted-servers/pets/restore");
    assert_eq!(site.done(back, Value::Null).await["slug"], "pets");
    assert_eq!(
        site.api(back, Value::Null).await.0,
        404,
        "it is back already"
    );
    let result = site.call(MODERN, "look").await;
    assert_eq!(result["isError"], true, "its credential is gone: {result}");
    let acts = site.done(("GET", "audit"), Value::Null).await.to_string();
    for word in [
        "\\\"credentialsDestroyed\\\":1",
        "\"restore\"",
        "\"delete\"",
    ] {
        assert!(acts.contains(word), "{word}: {acts}");
    }
}

#[tokio::test]
async fn a_name_that_is_taken_is_one_answer_whoevers_it_is() {
    let site = Site::start().await;
    for (name, role) in [
        ("pat", "publisher"),
        ("pia", "publisher"),
        ("mia", "member"),
    ] {
        let new = json!({ "name": name, "role": role, "password": "a long password" });
        site.done(("POST", "users"), new).await;
    }
    let own = json!({ "document": site.document(), "slug": "pats" });
    site.done(("POST", "servers"), own).await;
    site.done(("PATCH", "servers/pats"), json!({ "access": "private" }))
        .await;
    for (to, status) in [("mia", 422), ("nobody", 422), ("pat", 200)] {
        let given = site
            .api(("POST", "servers/pats/transfer"), json!({ "to": to }))
            .await;
        assert_eq!(given.0, status, "{to}: {}", given.1);
    }
    site.done(("PATCH", "servers/pets"), json!({ "slug": "animals" }))
        .await;
    let gone = json!({ "document": site.document(), "slug": "gone" });
    site.done(("POST", "servers"), gone).await;
    site.api(("DELETE", "servers/gone"), Value::Null).await;
    let pia = Person::sign_in(&site, "pia").await;
    let mut answers = BTreeSet::new();
    // A private server, one that everybody sees, an earlier name, one that was deleted; with a document
    // that is none and with one that is.
    for slug in ["pats", "animals", "pets", "gone"] {
        for document in [json!({ "foo": 1 }), site.document()] {
            let new = json!({ "document": document, "slug": slug });
            let (status, answer) = pia.send("POST", "/api/v1/servers", &new).await;
            answers.insert((status, answer.to_string()));
        }
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers.first().unwrap().0, 409);
    // The new owner manages what was private to the admins.
    let pat = Person::sign_in(&site, "pat").await;
    let seen = pat
        .send("GET", "/api/v1/servers/pats/report", &Value::Null)
        .await;
    assert_eq!(seen.0, 200, "{}", seen.1);
    assert_eq!(
        pia.send("GET", "/api/v1/servers/pats/report", &Value::Null)
            .await
            .0,
        404
    );
    // What was deleted is its owner's to restore, and nobody else's to see.
    assert_eq!(
        pat.send("DELETE", "/api/v1/servers/pats", &Value::Null)
            .await
            .0,
        204
    );
    let path = "/api/v1/deleted-servers/pats/restore";
    let listed = pia
        .send("GET", "/api/v1/deleted-servers", &Value::Null)
        .await;
    assert_eq!(listed.1["servers"], json!([]));
    assert_eq!(pia.send("POST", path, &json!({})).await.0, 404);
    assert_eq!(pat.send("POST", path, &json!({})).await.0, 200);
}

/// Somebody who signed in.
struct Person {
    http: reqwest::Client,
    origin: String,
    cookie: String,
    csrf: String,
}

impl Person {
    async fn sign_in(site: &Site, name: &str) -> Self {
        let http = reqwest::Client::builder().timeout(PATIENCE);
        let http = http
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let origin = site.served.origin.clone();
        let page = http.get(format!("{origin}/login")).send().await.unwrap();
        let visit = cookie(&page);
        let form = [
            ("name", name),
            ("password", "a long password"),
            ("csrf", &token(&page.text().await.unwrap())),
        ]
        .map(|(name, value)| (name, value.to_owned()));
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let answer = http
            .post(format!("{origin}/login"))
            .header("cookie", visit)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), 303, "{name} cannot sign in");
        let cookie = cookie(&answer);
        let page = http
            .get(format!("{origin}/account"))
            .header("cookie", &cookie);
        let csrf = token(&page.send().await.unwrap().text().await.unwrap());
        Self {
            http,
            origin,
            cookie,
            csrf,
        }
    }

    async fn send(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}{path}", self.origin);
        let mut request = self.http.request(method.parse().unwrap(), url);
        request = request
            .header("cookie", &self.cookie)
            .header("x-csrf-token", &self.csrf);
        request = request.header("sec-fetch-site", "same-origin");
        if !body.is_null() {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or_default())
    }
}

fn cookie(answer: &reqwest::Response) -> String {
    let set = answer.headers().get_all("set-cookie").iter();
    let pairs = set.map(|it| it.to_str().unwrap().split(';').next().unwrap().to_owned());
    let kept: Vec<String> = pairs.filter(|pair| !pair.ends_with('=')).collect();
    kept.join("; ")
}

fn token(page: &str) -> String {
    let at = page.split("name=\"csrf\" value=\"").nth(1).expect(page);
    at.split('"').next().unwrap().to_owned()
}

/// Every word that stands in an address of ours where a slug could, or beside one.
#[test]
fn no_route_can_be_taken_for_a_server() {
    let tables = [
        causeway::market::api::ROUTES,
        causeway::market::pages::routes::ROUTES,
    ];
    let listed = tables
        .iter()
        .flat_map(|table| table.iter())
        .map(|(path, _)| *path);
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let others: Vec<String> = ["src/mcp/endpoint.rs", "src/app/operate.rs"]
        .iter()
        .flat_map(|file| {
            let text = std::fs::read_to_string(root.join(file)).unwrap();
            let routes = text.split(".route(\"").skip(1);
            let paths = routes.map(|rest| rest.split('"').next().unwrap().to_owned());
            paths.collect::<Vec<_>>()
        })
        .collect();
    assert!(others.len() > 10, "{others:?}");
    let reserved = |word: &str| {
        let slug = word.parse::<Slug>();
        slug.map_or(true, |slug| slug.check_free().is_err())
    };
    let mut words = BTreeSet::new();
    for path in listed.chain(others.iter().map(String::as_str)) {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        // The first segment, what follows /mcp, and what follows /api/v1.
        words.insert(segments[0]);
        let below = segments
            .first()
            .is_some_and(|first| ["mcp", "admin", "oauth"].contains(first));
        words.extend(segments.get(1).filter(|_| below).copied());
        words.extend(
            segments
                .get(2)
                .filter(|_| path.starts_with("/mcp/"))
                .copied(),
        );
    }
    words.retain(|word| !word.is_empty() && !word.starts_with('{'));
    let free: Vec<_> = words.iter().filter(|word| !reserved(word)).collect();
    assert!(free.is_empty(), "these are not reserved: {free:?}");
    assert!(words.len() > 20, "{words:?}");
}

#[tokio::test]
async fn a_reserved_name_is_refused_and_kept_where_it_is() {
    let site = Site::start().await;
    for name in ["admin", "sse", "v1", "mcp"] {
        let new = json!({ "document": site.document(), "slug": name });
        let (status, answer) = site.api(("POST", "servers"), new).await;
        assert_eq!(status, 422, "{answer}");
        let said = answer["detail"].as_str().unwrap();
        assert!(
            said.contains("is reserved") && said.contains(&format!("{name}-api")),
            "{said}"
        );
        let renamed = site
            .api(("PATCH", "servers/pets"), json!({ "slug": name }))
            .await;
        assert_eq!(renamed.0, 422, "{}", renamed.1);
    }
    // One from before the word was reserved.
    let document = site.document();
    site.served.terminate();
    site.served.ended().await;
    let file = site.data.path().join("data/causeway.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut database = SqliteConnection::connect_with(&options).await.unwrap();
    let change = "UPDATE servers SET slug = 'docs', revision = revision + 1 WHERE slug = 'pets'";
    database.execute(change).await.unwrap();
    database.close().await.unwrap();
    let flags = ["--admin-key", ADMIN];
    let served = Serving::on(&site.data.path().join("data"), &flags).await;
    let again = json!({ "document": document, "slug": "docs" });
    let (status, answer) = served.api(ADMIN, ("POST", "servers"), &again).await;
    assert_eq!(status, 200, "it can still be published anew: {answer}");
}

#[tokio::test]
async fn the_command_line_leads_through_a_servers_life() {
    let site = Site::start().await;
    let run = async |words: &[&str]| site.served.command(ADMIN, words).await;
    let disabled = run(&["servers", "disable", "pets", "--note", "soon"]).await;
    assert!(disabled.stdout.contains("pets is disabled"), "{disabled:?}");
    site.is_closed(&["soon"]).await;
    let enabled = run(&["servers", "publish", "pets"]).await;
    assert_eq!(enabled.code, Some(0), "{enabled:?}");
    run(&["servers", "delete", "pets"])
        .await
        .refused(&["add --yes"]);
    site.is_served().await;
    let deleted = run(&["servers", "delete", "pets", "--yes"]).await;
    assert!(deleted.stdout.contains("restore pets"), "{deleted:?}");
    let listed = run(&["servers", "deleted"]).await;
    assert!(listed.stdout.starts_with("pets  until "), "{listed:?}");
    let restored = run(&["servers", "restore", "pets"]).await;
    assert_eq!(restored.code, Some(0), "{restored:?}");
    run(&["servers", "restore", "pets"])
        .await
        .refused(&["no deleted server \"pets\""]);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn somebody_takes_their_data_along_and_is_forgotten() {
    let site = Site::start().await;
    for (name, role) in [("pat", "publisher"), ("pia", "member")] {
        let new = json!({ "name": name, "role": role, "password": "a long password" });
        site.done(("POST", "users"), new).await;
    }
    let (pat, pia) = (
        Person::sign_in(&site, "pat").await,
        Person::sign_in(&site, "pia").await,
    );
    let new = json!({ "document": site.document(), "slug": "pats" });
    assert_eq!(pat.send("POST", "/api/v1/servers", &new).await.0, 201);
    let made = pat
        .send("POST", "/api/v1/keys", &json!({ "name": "pats laptop" }))
        .await;
    assert_eq!(made.0, 201, "{}", made.1);
    let key = made.1["key"].as_str().unwrap().to_owned();
    let call = json!({ "name": "look", "arguments": {} });
    let url = format!("{}/mcp/pats", site.served.origin);
    let called = crate::program::exchange(&url, &key, ("tools/call", call.clone())).await;
    assert_eq!(called.0, 200, "{}", called.1);
    let begun = std::time::Instant::now();
    let own = loop {
        let own = pat
            .send("GET", "/api/v1/account/export", &Value::Null)
            .await;
        assert_eq!(own.0, 200, "{}", own.1);
        if own.1["calls"]
            .as_array()
            .is_some_and(|calls| calls.len() == 1)
        {
            break own.1;
        }
        assert!(begun.elapsed() < PATIENCE, "{}", own.1);
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(own["profile"]["name"], "pat");
    for (list, least) in [
        ("sessions", 1),
        ("consumers", 1),
        ("keys", 1),
        ("servers", 1),
        ("audit", 4),
    ] {
        let rows = own[list].as_array().unwrap();
        assert!(rows.len() >= least, "{list}: {own}");
    }
    let text = own.to_string();
    assert!(!text.contains(&key) && !text.contains("argon2"), "{text}");
    assert!(!text.contains("pia"), "of nobody else: {text}");
    // Of others only an admin sees anything, and nobody is erased by mistake.
    assert_eq!(
        pia.send("GET", "/api/v1/users/pat/export", &Value::Null)
            .await
            .0,
        403
    );
    let wrong = site
        .api(("POST", "users/pat/erase"), json!({ "confirm": "pia" }))
        .await;
    assert_eq!(wrong.0, 422, "{}", wrong.1);
    let run = async |words: &[&str]| site.served.command(ADMIN, words).await;
    let told = run(&["users", "export", "pat"]).await;
    assert_eq!(told.json()["profile"]["role"], "publisher", "{told:?}");
    run(&["users", "erase", "pat"])
        .await
        .refused(&["add --yes"]);
    let erased = run(&["users", "erase", "pat", "--yes"]).await;
    assert!(erased.stdout.contains("erased-"), "{erased:?}");

    assert_eq!(
        pat.send("GET", "/api/v1/account/export", &Value::Null)
            .await
            .0,
        401
    );
    let called = crate::program::exchange(&url, &key, ("tools/call", call)).await;
    assert_eq!(called.0, 401, "{}", called.1);
    for path in ["users", "audit?limit=1000", "ledger", "consumers", "keys"] {
        let told = site.done(("GET", path), Value::Null).await.to_string();
        assert!(
            !told.contains("\"pat\"") && !told.contains("user:pat\""),
            "{path}: {told}"
        );
        assert!(!told.contains("pats laptop"), "{path}: {told}");
    }
    let data = site.data.path().join("data").display().to_string();
    let verified = crate::program::run(&["audit", "verify", "--data", &data]).await;
    assert_eq!(verified.code, Some(0), "{verified:?}");
    assert!(
        verified.stdout.contains("replaced by a pseudonym"),
        "{verified:?}"
    );
    // An agent's data, the same way.
    let told = site
        .done(("GET", "consumers/agent/export"), Value::Null)
        .await;
    assert_eq!(told["keys"].as_array().unwrap().len(), 1, "{told}");
    let erase = ("POST", "consumers/agent/erase");
    let gone = site.done(erase, json!({ "confirm": "agent" })).await;
    assert!(gone["pseudonym"].as_str().unwrap().starts_with("erased-"));
    let url = format!("{}/mcp/pets", site.served.origin);
    let refused = crate::program::exchange(&url, &site.key, ("tools/list", json!({}))).await;
    assert_eq!(refused.0, 401, "{}", refused.1);
}
