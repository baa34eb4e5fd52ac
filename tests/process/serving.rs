//! `causeway serve` as a process of its own, and what has to survive when it is killed. Both test
//! binaries use it: one on SQLite, one on Postgres.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::mpsc;

pub(crate) const ADMIN_KEY: &str = "an-admin-key-for-tests";
const MASTER_KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
/// Longer than anything here takes; only a failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A process that serves; killed when it is dropped.
pub(crate) struct Process {
    pub(crate) client: Client,
    child: Child,
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
        let mut command = Command::new(binary());
        command
            .args(["--json", "serve", "--listen", "127.0.0.1:0", "--no-demo"])
            .args(["--admin-key", ADMIN_KEY, "--data"])
            .arg(data)
            .env("CAUSEWAY__SECRETS__MASTER_KEY", MASTER_KEY)
            .env("CAUSEWAY__SERVER__LOG_LEVEL", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        if let Some(url) = database {
            command.args(["--database-url", url]);
        }
        let mut child = command.spawn().unwrap();
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
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {} });
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
        let answer: Value = serde_json::from_str(&text).unwrap();
        let tools = answer["result"]["tools"].as_array().expect("tools");
        let name = |tool: &Value| tool["name"].as_str().unwrap().to_owned();
        Ok(tools.iter().map(name).collect())
    }
}

/// A document with these operations, each of some size, behind one API key.
pub(crate) fn document(operations: &BTreeSet<String>) -> Value {
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
        "servers": [{ "url": "https://api.example.com" }],
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
}

impl Form {
    fn new(slug: String, version: &str) -> Self {
        let tools = (0..8).map(|n| format!("{version}_{n}")).collect();
        Self { slug, tools }
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

/// Processes that import, re-import and rename are killed in the middle, again and again on the
/// same data. Whatever was acknowledged is there afterwards; whatever was not is there whole or not
/// at all.
pub(crate) async fn acknowledged_work_survives_kills(data: &Path, database: Option<&str>) {
    let book = Book::default();
    let mut process = Process::start(data, database).await;
    for round in 0..ROUNDS {
        let (sender, mut acknowledged) = mpsc::unbounded_channel();
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let worker = Worker {
                    client: process.client.clone(),
                    book: book.clone(),
                    acknowledged: sender.clone(),
                    name: format!("r{round}-w{worker}"),
                };
                tokio::spawn(worker.run())
            })
            .collect();
        drop(sender);
        // Another number each round, so that the kill meets other moments of the work.
        for _ in 0..17 + 5 * round {
            let one = tokio::time::timeout(PATIENCE, acknowledged.recv());
            one.await.expect("an answer in time").expect("a worker");
        }
        process.kill().await;
        for worker in workers {
            worker.await.unwrap();
        }
        process = Process::start(data, database).await;
        compare(&process.client, &book).await;
    }
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
        let first = Form::new(slug.clone(), "first");
        let body = json!({
            "slug": slug,
            "document": document(&first.tools),
            "credentials": { "token": "a secret" },
        });
        if !self.ask(&slug, first, ("POST", "servers", body)).await? {
            return Ok(());
        }
        let second = Form::new(slug.clone(), "second");
        let (path, body) = (format!("servers/{slug}/document"), document(&second.tools));
        if !self
            .ask(&slug, second.clone(), ("PUT", &path, body))
            .await?
        {
            return Ok(());
        }
        let renamed = Form {
            slug: format!("{slug}-b"),
            tools: second.tools,
        };
        let (path, body) = (format!("servers/{slug}"), json!({ "slug": renamed.slug }));
        if self.ask(&slug, renamed, ("PATCH", &path, body)).await? {
            let mut book = self.book.lock().unwrap();
            book.get_mut(&slug).unwrap().alias = Some(slug.clone());
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
    let form = Form {
        slug: slug.clone(),
        tools,
    };
    assert!(
        possible().any(|possible| *possible == form),
        "{form:?} is none of {known:?}"
    );
    let path = format!("servers/{slug}/credentials");
    let (_, credentials) = client.api("GET", &path, &Value::Null).await.unwrap();
    assert_eq!(
        credentials.pointer("/credentials/0/set"),
        Some(&json!(true)),
        "{slug} was imported without its credential: {credentials}"
    );
    if let Some(alias) = &known.alias {
        let by_alias = client.tools(alias, ADMIN_KEY).await;
        assert_eq!(by_alias.as_ref(), Ok(&form.tools), "{alias}");
    }
    Some(form)
}
