//! Two processes on one database serve one catalog: what one of them does, the other does too, in
//! less than a second.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::any;
use serde_json::{Value, json};
use sqlx::Connection;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::listening::Listening;
use crate::serving::{ADMIN_KEY, Client, PATIENCE, Process, document};
use crate::{Place, empty};

/// A second on a machine that does nothing else; whatever is not heard is found by comparing, within five.
const IN_TIME: Duration = Duration::from_secs(3);

struct Pair {
    place: Place,
    /// With their data directories, which share nothing.
    processes: [(Process, TempDir); 2],
}

impl Pair {
    async fn start() -> Self {
        let place = empty().await;
        let url = place.url.as_str();
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let processes = [
            (Process::start(one.path(), Some(url)).await, one),
            (Process::start(other.path(), Some(url)).await, other),
        ];
        Self { place, processes }
    }

    fn clients(&self) -> (&Client, &Client) {
        let [(one, _), (other, _)] = &self.processes;
        (&one.client, &other.client)
    }

    /// Streams of every kind to a server, on a process that knows it already.
    async fn streams(&self, client: &Client, slug: &str, key: &str) -> Vec<Listening> {
        let known = async || client.tools(slug, key).await.is_ok();
        soon(true, known).await;
        Listening::open_all(client, slug, key).await
    }

    /// Ends the connections on which the processes hear of changes, once both are there.
    async fn cut(&self) {
        let url = self.place.url.as_str();
        let mut admin = sqlx::PgConnection::connect(url).await.unwrap();
        let deadline = Instant::now() + PATIENCE;
        let mut cut = BTreeSet::new();
        while cut.len() < 2 {
            assert!(Instant::now() < deadline, "nobody listens: {cut:?}");
            let ended: Vec<i32> = sqlx::query_scalar(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
                 AND query LIKE 'LISTEN%' AND pg_terminate_backend(pid)",
            )
            .fetch_all(&mut admin)
            .await
            .unwrap();
            cut.extend(ended);
        }
    }
}

async fn done(client: &Client, (method, path, body): (&str, &str, Value), status: u16) -> Value {
    let (answered, answer) = client.api(method, path, &body).await.unwrap();
    assert_eq!(answered, status, "{method} {path}: {answer}");
    answer
}

/// Asks until the answer is the one that is wanted, which has to be soon.
async fn soon<T: PartialEq + std::fmt::Debug>(wanted: T, ask: impl AsyncFn() -> T) {
    let begun = Instant::now();
    let mut answer = ask().await;
    while answer != wanted {
        assert!(begun.elapsed() < PATIENCE, "{answer:?} is not {wanted:?}");
        answer = ask().await;
    }
    let took = begun.elapsed();
    assert!(took < IN_TIME, "{wanted:?} took {took:?}");
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn an_edit_on_one_process_is_served_by_the_other() {
    let pair = Pair::start().await;
    let (one, other) = pair.clients();
    let body = json!({ "slug": "shared", "document": document(&names(&["first"])) });
    done(one, ("POST", "servers", body), 201).await;
    let tools = async |client: &Client, slug: &str| client.tools(slug, ADMIN_KEY).await;
    soon(Ok(names(&["first"])), async || tools(other, "shared").await).await;

    // Back again, to a process that has the server compiled.
    let body = document(&names(&["second", "third"]));
    done(other, ("PUT", "servers/shared/document", body), 200).await;
    let wanted = names(&["second", "third"]);
    soon(Ok(wanted.clone()), async || tools(one, "shared").await).await;

    let rename = ("PATCH", "servers/shared", json!({ "slug": "renamed" }));
    done(one, rename, 200).await;
    soon(Ok(wanted), async || tools(other, "renamed").await).await;

    let open = ("PATCH", "servers/renamed", json!({ "access": "open" }));
    done(other, open, 200).await;
    let anyone = async || one.tools("renamed", "").await.is_ok();
    soon(true, anyone).await;

    // What is changed while nobody listens is found by comparing.
    pair.cut().await;
    let body = document(&names(&["fourth"]));
    done(one, ("PUT", "servers/renamed/document", body), 200).await;
    let wanted = Ok(names(&["fourth"]));
    soon(wanted, async || tools(other, "renamed").await).await;

    // And notices are heard again.
    let body = document(&names(&["fifth"]));
    done(other, ("PUT", "servers/renamed/document", body), 200).await;
    let wanted = Ok(names(&["fifth"]));
    soon(wanted, async || tools(one, "renamed").await).await;

    // A server that is closed on one is closed on the other.
    let state = |state: &str| ("PUT", "servers/renamed/state", json!({ "state": state }));
    let call = async |client: &Client| {
        let params = json!({ "name": "fifth", "arguments": {} });
        let answer = client
            .ask(("renamed", ADMIN_KEY), "tools/call", params)
            .await;
        let text = answer.unwrap()["content"][0]["text"].to_string();
        text.contains("is disabled by its owner since")
    };
    done(one, state("disabled"), 200).await;
    soon(true, async || call(other).await).await;
    done(other, state("served"), 200).await;
    soon(false, async || call(one).await).await;

    done(one, ("DELETE", "servers/renamed", Value::Null), 204).await;
    soon(Err(404), async || tools(other, "renamed").await).await;
    let restore = ("POST", "deleted-servers/renamed/restore", Value::Null);
    done(other, restore, 200).await;
    let wanted = Ok(names(&["fifth"]));
    soon(wanted, async || tools(one, "renamed").await).await;
}

#[tokio::test]
async fn a_key_revoked_on_one_process_is_refused_by_the_other() {
    let pair = Pair::start().await;
    let (one, other) = pair.clients();
    let tools = names(&["first"]);
    let body = json!({ "slug": "guarded", "document": document(&tools) });
    done(one, ("POST", "servers", body), 201).await;
    for cut in [false, true] {
        let made = done(one, ("POST", "keys", json!({ "name": "agent" })), 201).await;
        let key = made["key"].as_str().unwrap();
        soon(Ok(tools.clone()), async || {
            other.tools("guarded", key).await
        })
        .await;
        if cut {
            pair.cut().await;
        }
        let path = format!("keys/{}", made["id"].as_str().unwrap());
        done(one, ("DELETE", &path, Value::Null), 204).await;
        soon(Err(401), async || other.tools("guarded", key).await).await;
    }
}

#[tokio::test]
async fn a_credential_given_to_one_process_is_used_by_the_other() {
    let seen: Arc<Mutex<String>> = Arc::default();
    let log = seen.clone();
    let note = any(async move |headers: HeaderMap| {
        let token = headers.get("x-token").map(|it| it.to_str().unwrap());
        token
            .unwrap_or_default()
            .clone_into(&mut log.lock().unwrap());
        "noted"
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(note)).await });

    let pair = Pair::start().await;
    let (one, other) = pair.clients();
    let body = json!({
        "slug": "vaulted",
        "document": document(&names(&["act"])),
        "upstream": format!("http://{address}"),
        "allowUpstream": [address.to_string()],
        "credentials": { "token": "the first secret" },
    });
    done(one, ("POST", "servers", body), 201).await;
    let sent = async |client: &Client| {
        let arguments = json!({ "arguments": {} });
        let path = "servers/vaulted/tools/act/call";
        seen.lock().unwrap().clear();
        // A process that does not know the server yet says 404.
        let _ = client.api("POST", path, &arguments).await.unwrap();
        seen.lock().unwrap().clone()
    };
    soon("the first secret".to_owned(), async || sent(other).await).await;
    let body = json!({ "value": "the second secret" });
    let path = "servers/vaulted/credentials/token";
    done(other, ("PUT", path, body), 200).await;
    soon("the second secret".to_owned(), async || sent(one).await).await;
    done(one, ("DELETE", path, Value::Null), 204).await;
    soon(String::new(), async || sent(other).await).await;
}

#[tokio::test]
async fn streams_on_one_process_are_told_of_edits_on_the_other() {
    let pair = Pair::start().await;
    let (one, other) = pair.clients();
    let body = json!({ "slug": "heard", "document": document(&names(&["first"])) });
    done(one, ("POST", "servers", body), 201).await;
    let sessions = ("PATCH", "servers/heard", json!({ "sessions": {} }));
    done(one, sessions, 200).await;
    let made = done(one, ("POST", "keys", json!({ "name": "agent" })), 201).await;
    let key = made["key"].as_str().unwrap();
    let mut streams = pair.streams(other, "heard", key).await;
    for (cut, tool) in [(false, "second"), (true, "third")] {
        if cut {
            pair.cut().await;
        }
        let body = document(&names(&[tool]));
        done(one, ("PUT", "servers/heard/document", body), 200).await;
        for stream in &mut streams {
            stream.hears_of_tools(IN_TIME).await;
        }
        assert_eq!(other.tools("heard", key).await, Ok(names(&[tool])));
    }
    // And they end with the key.
    let path = format!("keys/{}", made["id"].as_str().unwrap());
    done(one, ("DELETE", &path, Value::Null), 204).await;
    for mut stream in streams {
        let end = async { while stream.next().await.is_some() {} };
        let ended = tokio::time::timeout(IN_TIME, end).await;
        assert!(ended.is_ok(), "{} goes on", stream.kind);
    }
}

#[tokio::test]
async fn its_own_database_is_no_api() {
    let place = empty().await;
    let folder = TempDir::new().unwrap();
    let process = Process::start(folder.path(), Some(place.url.as_str())).await;
    let port = place.url.port().unwrap();
    for (slug, host) in [
        ("a", "127.0.0.1"),
        ("b", "127.0.0.2"),
        ("c", "0.0.0.0"),
        ("d", "localhost"),
    ] {
        let body = json!({
            "slug": slug,
            "document": document(&names(&["act"])),
            "upstream": format!("http://{host}:{port}"),
            "credentials": { "token": "x" },
            "allowUpstream": ["0.0.0.0/0", "::/0", "localhost"],
        });
        done(&process.client, ("POST", "servers", body), 201).await;
        let path = format!("servers/{slug}/tools/act/call");
        let (_, trace) = process.client.api("POST", &path, &json!({})).await.unwrap();
        let said = trace["result"].to_string();
        assert!(
            said.contains("databases, which no setting allows"),
            "{host}: {said}"
        );
    }
}

/// An import that takes longer than a request waits for is told of by the process that does it and by
/// the other one.
#[tokio::test]
async fn a_slow_import_is_told_by_every_process_on_the_database() {
    let pair = Pair::start().await;
    let (one, other) = pair.clients();
    let door = Arc::new(tokio::sync::Semaphore::new(0));
    let opened = door.clone();
    let text = document(&BTreeSet::from(["late".to_owned()])).to_string();
    let answer = async move || {
        opened.acquire().await.unwrap().forget();
        ([("content-type", "application/json")], text.clone())
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let site = format!("http://{}/late.json", listener.local_addr().unwrap());
    let router = Router::new().fallback(any(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let body = json!({ "url": site, "slug": "late", "allowUpstream": ["127.0.0.1"] });
    let (status, begun) = one.api("POST", "servers", &body).await.unwrap();
    assert_eq!(status, 202, "{begun}");
    let place = format!("imports/{}", begun["id"].as_str().unwrap());
    let told = async || other.api("GET", &place, &Value::Null).await.unwrap().1;
    assert_eq!(told().await["state"], "running");
    door.add_permits(100);
    let ended = async || told().await["state"] == "done";
    let deadline = Instant::now() + PATIENCE;
    while !ended().await {
        assert!(Instant::now() < deadline, "{}", told().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let server = &told().await["result"]["server"];
    let mcp = format!("{}/mcp/late", other.origin);
    assert_eq!(server["mcpUrl"], mcp, "as the other process is asked");
}
