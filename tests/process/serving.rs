//! `causeway serve` as a process of its own, and what has to survive when it is killed. Both test
//! binaries use it: one on SQLite, one on Postgres.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::mpsc;

pub(crate) const ADMIN_KEY: &str = "an-admin-key-for-tests";
const MASTER_KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
/// Longer than anything here takes; only a failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A process that does not outlive its test: dropping it kills it and waits until it is gone, so
/// that its data can be served anew, read or removed at once.
pub(crate) struct Kept(Child);

impl Kept {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }
}

impl Deref for Kept {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Kept {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // Of one that has ended already there is nothing to kill.
        let _ = self.start_kill();
        let until = Instant::now() + PATIENCE;
        while matches!(self.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A process that serves; killed when it is dropped.
pub(crate) struct Process {
    pub(crate) client: Client,
    pub(crate) child: Kept,
    /// Kept open: a process whose output nobody reads would fail to write it.
    _stdout: BufReader<ChildStdout>,
}

/// Where a process listens. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) origin: String,
    pub(crate) http: reqwest::Client,
}

impl Process {
    /// Starts a process on its data, and waits until it says where it listens.
    pub(crate) async fn start(data: &Path, database: Option<&str>) -> Self {
        Self::start_with(data, database, &[]).await
    }

    /// As [`Process::start`], with more flags.
    pub(crate) async fn start_with(data: &Path, database: Option<&str>, flags: &[&str]) -> Self {
        let mut command = Command::new(binary());
        command
            .args(["--json", "serve", "--listen", "127.0.0.1:0", "--no-demo"])
            .env("CAUSEWAY__LIMITS__MANAGEMENT_REQUESTS_PER_SECOND", "0")
            .env("CAUSEWAY__SERVER__MANAGEMENT_SERVER", "false")
            .args(["--admin-key", ADMIN_KEY, "--data"])
            .arg(data)
            .args(flags)
            .env("CAUSEWAY__SECRETS__MASTER_KEY", MASTER_KEY)
            .env("CAUSEWAY__SERVER__LOG_LEVEL", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        if let Some(url) = database {
            command.args(["--database-url", url]);
        }
        let mut child = Kept::spawn(&mut command);
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let greeting = tokio::time::timeout(PATIENCE, greeting(&mut stdout));
        let greeting = greeting.await.expect("a greeting in time");
        let address = greeting["listening"].as_str().unwrap();
        let http = reqwest::Client::builder().timeout(PATIENCE);
        Self {
            client: Client {
                origin: format!("http://{address}"),
                http: http.build().unwrap(),
            },
            child,
            _stdout: stdout,
        }
    }

    /// Ends the process with SIGKILL, and waits until it is gone.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

/// Runs a command on the data of a process to its end: whether it went well, and what it said.
pub(crate) async fn command(words: &[&str], data: &Path, database: Option<&str>) -> (bool, String) {
    let mut command = Command::new(binary());
    command.args(words).arg("--data").arg(data);
    if let Some(url) = database {
        command.args(["--database-url", url]);
    }
    command.env("CAUSEWAY__SECRETS__MASTER_KEY", MASTER_KEY);
    let ended = tokio::time::timeout(PATIENCE, command.stdin(Stdio::null()).output());
    let ended = ended.await.expect("an end in time").unwrap();
    let said = [ended.stdout, ended.stderr].concat();
    (ended.status.success(), String::from_utf8(said).unwrap())
}

/// The binary of this build, or another one that is to be measured.
fn binary() -> OsString {
    std::env::var_os("CAUSEWAY_TEST_BINARY")
        .unwrap_or_else(|| env!("CARGO_BIN_EXE_causeway").into())
}

/// What a process prints once it listens: one JSON document.
async fn greeting(stdout: &mut BufReader<ChildStdout>) -> Value {
    let mut text = String::new();
    loop {
        let read = stdout.read_line(&mut text).await.unwrap();
        assert!(read > 0, "the process ended before it listened: {text}");
        if let Ok(value) = serde_json::from_str(&text) {
            return value;
        }
    }
}

impl Client {
    /// A request to the management API: status and answer.
    pub(crate) async fn api(
        &self,
        method: &str,
        path: &str,
        body: &Value,
    ) -> reqwest::Result<(u16, Value)> {
        let url = format!("{}/api/v1/{path}", self.origin);
        let mut request = self.http.request(method.parse().unwrap(), url);
        request = request.bearer_auth(ADMIN_KEY);
        if !body.is_null() {
            request = request.header("content-type", "application/json");
            request = request.body(body.to_string());
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let text = response.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or_default()))
    }

    /// The names of a server's tools, as `tools/list` has them; or the status of the refusal.
    pub(crate) async fn tools(&self, slug: &str, key: &str) -> Result<BTreeSet<String>, u16> {
        let result = self.ask((slug, key), "tools/list", json!({})).await?;
        let tools = result["tools"].as_array().expect("tools");
        let name = |tool: &Value| tool["name"].as_str().unwrap().to_owned();
        Ok(tools.iter().map(name).collect())
    }

    /// What a server answers to a message; or the status of the refusal.
    pub(crate) async fn ask(
        &self,
        (slug, key): (&str, &str),
        method: &str,
        params: Value,
    ) -> Result<Value, u16> {
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let request = self.http.post(format!("{}/mcp/{slug}", self.origin));
        let request = request
            .bearer_auth(key)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2025-11-25");
        let response = request.body(message.to_string()).send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        if status != 200 {
            return Err(status);
        }
        let mut answer: Value = serde_json::from_str(&text).unwrap();
        Ok(answer["result"].take())
    }
}

/// A document with these operations, each of some size, behind one API key.
pub(crate) fn document(operations: &BTreeSet<String>) -> Value {
    document_at("https://api.example.com", operations)
}

fn document_at(server: &str, operations: &BTreeSet<String>) -> Value {
    let property = |n: usize| (format!("field{n}"), json!({ "type": "string" }));
    let properties: serde_json::Map<String, Value> = (0..40).map(property).collect();
    let operation = |name: &String| {
        let body = json!({ "type": "object", "properties": properties });
        let operation = json!({ "post": {
            "operationId": name,
            "requestBody": { "content": { "application/json": { "schema": body } } },
            "responses": { "200": { "description": "done" } },
        } });
        (format!("/{name}"), operation)
    };
    let paths: serde_json::Map<String, Value> = operations.iter().map(operation).collect();
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Survivor", "version": "1" },
        "servers": [{ "url": server }],
        "security": [{ "token": [] }],
        "components": { "securitySchemes": {
            "token": { "type": "apiKey", "in": "header", "name": "x-token" },
        } },
        "paths": paths,
    })
}

const ROUNDS: usize = 5;
const WORKERS: usize = 4;

/// What a server is at one moment.
#[derive(Clone, Debug, PartialEq)]
struct Form {
    slug: String,
    tools: BTreeSet<String>,
    /// Its settings, as far as they are changed here.
    upstream: Option<String>,
    timeout_ms: u64,
    /// Where its credential may go.
    approved: Vec<String>,
}

impl Form {
    fn new(slug: String, version: &str, home: &str) -> Self {
        Self {
            slug,
            tools: tools_of(version),
            upstream: None,
            timeout_ms: 60_000,
            approved: vec![home.to_owned()],
        }
    }
}

fn tools_of(version: &str) -> BTreeSet<String> {
    (0..8).map(|n| format!("{version}_{n}")).collect()
}

/// An API at two addresses of this machine, which answers whoever has the credential.
#[derive(Clone)]
struct Api {
    home: String,
    other: String,
}

const CREDENTIAL: &str = "a secret";

impl Api {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answer = async |request: axum::extract::Request| {
            let key = request.headers().get("x-token");
            let known = key.is_some_and(|key| key == CREDENTIAL);
            let status = if known { 200 } else { 401 };
            (axum::http::StatusCode::from_u16(status).unwrap(), "{}")
        };
        let router = axum::Router::new().fallback(axum::routing::any(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            home: format!("http://127.0.0.1:{port}"),
            other: format!("http://127.0.0.2:{port}"),
        }
    }
}

/// What the client knows of a server.
#[derive(Clone, Debug, Default)]
struct Known {
    acknowledged: Option<Form>,
    /// Asked for and not answered: it may be there or not, but never in part.
    asked: Option<Form>,
    /// A name it had before a rename that was acknowledged.
    alias: Option<String>,
}

/// Everything the client knows, by the first slug of each server.
type Book = Arc<Mutex<BTreeMap<String, Known>>>;

/// Keys that were made, and whether each is good; nothing where its end was asked for and not
/// answered.
type KeyRing = Arc<Mutex<BTreeMap<String, Option<bool>>>>;

/// Processes that import, re-import and rename are killed in the middle, again and again on the
/// same data. Whatever was acknowledged is there afterwards; whatever was not is there whole or not
/// at all.
pub(crate) async fn acknowledged_work_survives_kills(data: &Path, database: Option<&str>) {
    let (book, keys, upstream) = (Book::default(), KeyRing::default(), Api::start().await);
    let mut process = Process::start(data, database).await;
    for round in 0..ROUNDS {
        let (sender, mut acknowledged) = mpsc::unbounded_channel();
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let worker = Worker {
                    client: process.client.clone(),
                    book: book.clone(),
                    keys: keys.clone(),
                    upstream: upstream.clone(),
                    acknowledged: sender.clone(),
                    name: format!("r{round}-w{worker}"),
                };
                tokio::spawn(worker.run())
            })
            .collect();
        drop(sender);
        // Another number each round, so that the kill meets other moments of the work.
        for _ in 0..40 + 11 * round {
            let one = tokio::time::timeout(PATIENCE, acknowledged.recv());
            one.await.expect("an answer in time").expect("a worker");
        }
        process.kill().await;
        for worker in workers {
            worker.await.unwrap();
        }
        process = Process::start(data, database).await;
        compare(&process.client, &book).await;
        compare_keys(&process.client, &keys).await;
    }
    let ended = keys
        .lock()
        .unwrap()
        .values()
        .filter(|good| **good == Some(false))
        .count();
    assert!(ended > 0, "no key was revoked");
    let known = book.lock().unwrap();
    assert!(known.len() > ROUNDS * WORKERS, "too little was imported");
    assert!(
        known.values().any(|known| known.alias.is_some()),
        "nothing was renamed"
    );
}

/// Makes and changes servers until the process is gone.
struct Worker {
    client: Client,
    book: Book,
    keys: KeyRing,
    upstream: Api,
    acknowledged: mpsc::UnboundedSender<()>,
    name: String,
}

impl Worker {
    async fn run(self) {
        let mut number = 0;
        while self.import_and_change(number).await.is_ok() {
            number += 1;
        }
    }

    /// One server: made, replaced and renamed.
    async fn import_and_change(&self, number: usize) -> reqwest::Result<()> {
        let slug = format!("{}-{number}", self.name);
        let home = &*self.upstream.home;
        let first = Form::new(slug.clone(), "first", home);
        let body = json!({
            "slug": slug,
            "document": document_at(home, &first.tools),
            "credentials": { "token": CREDENTIAL },
            "allowUpstream": ["127.0.0.0/8"],
        });
        if !self.ask(&slug, first, ("POST", "servers", body)).await? {
            return Ok(());
        }
        let second = Form::new(slug.clone(), "second", home);
        let (path, body) = (
            format!("servers/{slug}/document"),
            document_at(home, &second.tools),
        );
        if !self
            .ask(&slug, second.clone(), ("PUT", &path, body))
            .await?
        {
            return Ok(());
        }
        let renamed = Form {
            slug: format!("{slug}-b"),
            ..second
        };
        let (path, body) = (format!("servers/{slug}"), json!({ "slug": renamed.slug }));
        let asked = ("PATCH", &*path, body);
        if !self.ask(&slug, renamed.clone(), asked).await? {
            return Ok(());
        }
        let noted = self.book.lock().unwrap().get_mut(&slug).map(|known| {
            known.alias = Some(slug.clone());
        });
        assert!(noted.is_some());
        self.move_and_approve(&slug, renamed).await?;
        self.make_and_revoke(&slug, number).await
    }

    /// Its settings changed, and its credential approved for where it goes then.
    async fn move_and_approve(&self, server: &str, form: Form) -> reqwest::Result<()> {
        let other = self.upstream.other.clone();
        let moved = Form {
            upstream: Some(format!("{other}/")),
            timeout_ms: 12_345,
            ..form
        };
        let path = format!("servers/{}", moved.slug);
        let body = json!({ "upstream": other, "callTimeoutMs": 12_345 });
        let asked = ("PATCH", &*path, body);
        if !self.ask(server, moved.clone(), asked).await? {
            return Ok(());
        }
        let path = format!("servers/{}/credentials/token/approve", moved.slug);
        let approved = Form {
            approved: vec![other.clone()],
            ..moved
        };
        let body = json!({ "origins": [other] });
        self.ask(server, approved, ("POST", &path, body)).await?;
        Ok(())
    }

    /// A key made, and every second one revoked.
    async fn make_and_revoke(&self, slug: &str, number: usize) -> reqwest::Result<()> {
        let body = json!({ "name": slug, "servers": [slug] });
        let (status, made) = self.client.api("POST", "keys", &body).await?;
        assert_eq!(status, 201, "{made}");
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        let (key, id) = (text("key"), text("id"));
        let note = |good| {
            self.keys
                .lock()
                .unwrap()
                .insert(format!("{slug} {key}"), good)
        };
        note(Some(true));
        // The test may have heard enough.
        let _ = self.acknowledged.send(());
        if number.is_multiple_of(2) {
            note(None);
            let path = format!("keys/{id}");
            let (status, answer) = self.client.api("DELETE", &path, &Value::Null).await?;
            assert_eq!(status, 204, "{answer}");
            note(Some(false));
            let _ = self.acknowledged.send(());
        }
        Ok(())
    }

    /// Asks for a server to get another form: whether that was acknowledged.
    async fn ask(
        &self,
        server: &str,
        form: Form,
        (method, path, body): (&str, &str, Value),
    ) -> reqwest::Result<bool> {
        let note = |acknowledged: bool| {
            let mut book = self.book.lock().unwrap();
            let known = book.entry(server.to_owned()).or_default();
            if acknowledged {
                known.acknowledged = Some(form.clone());
                known.asked = None;
            } else {
                known.asked = Some(form.clone());
            }
        };
        note(false);
        let (status, answer) = self.client.api(method, path, &body).await?;
        // An import that takes long is not acknowledged yet.
        if status == 202 {
            return Ok(false);
        }
        assert!(matches!(status, 200 | 201), "{method} {path}: {answer}");
        note(true);
        // The test may have heard enough.
        let _ = self.acknowledged.send(());
        Ok(true)
    }
}

/// Holds what a process serves against what the client knows, and goes on from there.
async fn compare(client: &Client, book: &Book) {
    let (status, answer) = client.api("GET", "servers", &Value::Null).await.unwrap();
    assert_eq!(status, 200, "{answer}");
    let listed = answer["servers"].as_array().unwrap().iter();
    let listed = listed.map(|server| server["slug"].as_str().unwrap().to_owned());
    let mut listed: BTreeSet<String> = listed.collect();
    let mut all = book.lock().unwrap().clone();
    for known in all.values_mut() {
        known.acknowledged = whole(client, known, &mut listed).await;
        known.asked = None;
    }
    assert!(listed.is_empty(), "nobody asked for {listed:?}");
    all.retain(|_, known| known.acknowledged.is_some());
    *book.lock().unwrap() = all;
}

/// The form a server is found in, which is one that was acknowledged or asked for, with all that
/// belongs to it.
async fn whole(client: &Client, known: &Known, listed: &mut BTreeSet<String>) -> Option<Form> {
    let possible = || known.acknowledged.iter().chain(&known.asked);
    let slugs: BTreeSet<_> = possible().map(|form| form.slug.clone()).collect();
    let found: Vec<_> = slugs.into_iter().filter(|s| listed.remove(s)).collect();
    let Some(slug) = found.first() else {
        assert_eq!(known.acknowledged, None, "an acknowledged server is gone");
        return None;
    };
    assert_eq!(found.len(), 1, "one server is listed twice: {known:?}");
    let tools = client.tools(slug, ADMIN_KEY).await;
    let tools = tools.unwrap_or_else(|status| unreachable!("{slug} is not served: {status}"));
    let path = format!("servers/{slug}");
    let (_, shown) = client.api("GET", &path, &Value::Null).await.unwrap();
    let settings = &shown["settings"];
    let path = format!("servers/{slug}/credentials");
    let (_, credentials) = client.api("GET", &path, &Value::Null).await.unwrap();
    let credential = &credentials["credentials"][0];
    let form = Form {
        slug: slug.clone(),
        tools,
        upstream: settings["upstream"].as_str().map(str::to_owned),
        timeout_ms: settings["callTimeoutMs"].as_u64().unwrap(),
        approved: serde_json::from_value(credential["origins"].clone()).unwrap(),
    };
    assert!(
        possible().any(|possible| *possible == form),
        "{form:?} is none of {known:?}"
    );
    for member in ["set", "readable"] {
        assert_eq!(
            credential[member], true,
            "{slug} has not its credential: {credentials}"
        );
    }
    answers(client, &form).await;
    if let Some(alias) = &known.alias {
        let by_alias = client.tools(alias, ADMIN_KEY).await;
        assert_eq!(by_alias.as_ref(), Ok(&form.tools), "{alias}");
    }
    Some(form)
}

/// A call reaches the API with its credential, or is withheld where that was not approved yet.
async fn answers(client: &Client, form: &Form) {
    let tool = form.tools.first().unwrap();
    let path = format!("servers/{}/tools/{tool}/call", form.slug);
    let (status, trace) = client.api("POST", &path, &json!({})).await.unwrap();
    assert_eq!(status, 200, "{trace}");
    let goes_to = form
        .upstream
        .as_deref()
        .map(|url| url.trim_end_matches('/'));
    let approved = goes_to.is_none_or(|url| form.approved == [url]);
    if approved {
        assert_eq!(trace["status"], 200, "{form:?}: {trace}");
        assert_eq!(trace["result"]["isError"], false, "{form:?}: {trace}");
    } else {
        assert_eq!(trace["result"]["isError"], true, "{form:?}: {trace}");
        assert!(trace["result"].to_string().contains("approve"), "{trace}");
    }
}

/// Each key does what was last acknowledged of it. What was not stays unknown.
async fn compare_keys(client: &Client, keys: &KeyRing) {
    let known = keys.lock().unwrap().clone();
    for (entry, good) in known {
        let (slug, key) = entry.split_once(' ').unwrap();
        let answer = client.tools(slug, key).await;
        match good {
            Some(true) => assert!(answer.is_ok(), "a key of {slug} is gone: {answer:?}"),
            Some(false) => assert_eq!(answer, Err(401), "a revoked key of {slug} works"),
            None => assert!(matches!(answer, Ok(_) | Err(401)), "{answer:?}"),
        }
    }
}
