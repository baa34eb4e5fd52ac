//! The real binary as a process of its own: run to its end, or kept while it serves.

#![expect(
    clippy::disallowed_methods,
    reason = "a test is a client of the process, and no client goes through egress"
)]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{ChildStdout, Command};
use tokio::task::JoinHandle;

use crate::serving::Kept;

/// Longer than anything here takes; only a failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A document among the examples.
pub(crate) fn example(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("specs-examples").join(name).display().to_string()
}

/// The binary with these arguments. Nothing of the environment reaches it but where programs are.
pub(crate) fn causeway(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_causeway"));
    command
        .args(arguments)
        .env_clear()
        .env("PATH", env!("PATH"))
        // A test asks as fast as it can; that this is limited has tests of its own.
        .env("CAUSEWAY__LIMITS__MANAGEMENT_REQUESTS_PER_SECOND", "0")
        .env("CAUSEWAY__SERVER__MANAGEMENT_SERVER", "false")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Its output as JSON.
    pub(crate) fn json(&self) -> Value {
        assert!(!self.stdout.is_empty(), "{self:?}");
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// A refusal: it failed, printed no result, and says each of `words`.
    #[track_caller]
    pub(crate) fn refused(&self, words: &[&str]) {
        assert_eq!(self.code, Some(1), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "{word} is not in {self:?}");
        }
    }
}

/// Runs a command to its end.
pub(crate) async fn ended(mut command: Command) -> Ended {
    let output = tokio::time::timeout(PATIENCE, command.output());
    let output = output.await.expect("an end in time").unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs the binary with these arguments to its end.
pub(crate) async fn run(arguments: &[&str]) -> Ended {
    ended(causeway(arguments)).await
}

/// A process that serves; killed when it is dropped.
pub(crate) struct Serving {
    /// What it printed when it was ready.
    pub(crate) ready: Value,
    pub(crate) origin: String,
    child: Kept,
    /// What it logs, read all along: a process waits once a pipe is full that nobody reads.
    log: JoinHandle<String>,
    /// Kept open: a process whose output nobody reads would fail to write it.
    _stdout: BufReader<ChildStdout>,
}

impl Serving {
    /// Starts `serve` on a data directory.
    pub(crate) async fn on(data: &Path, arguments: &[&str]) -> Self {
        let data = data.display().to_string();
        let fixed = ["serve", "--json", "--listen", "127.0.0.1:0", "--data"];
        let arguments = [&fixed[..], &[&data], arguments].concat();
        Self::start(causeway(&arguments)).await
    }

    /// Starts `run` on a document.
    pub(crate) async fn document(file: &str, arguments: &[&str]) -> Self {
        let fixed = ["run", file, "--json", "--listen", "127.0.0.1:0"];
        Self::start(causeway(&[&fixed[..], arguments].concat())).await
    }

    /// Starts a command that prints one line of JSON once it listens.
    pub(crate) async fn start(mut command: Command) -> Self {
        let mut child = Kept::spawn(&mut command);
        let mut stderr = child.stderr.take().unwrap();
        let log = tokio::spawn(async move {
            let mut said = String::new();
            stderr.read_to_string(&mut said).await.unwrap();
            said
        });
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let read = tokio::time::timeout(PATIENCE, stdout.read_line(&mut line));
        if read.await.expect("a greeting in time").unwrap() == 0 {
            let said = log.await.unwrap();
            unreachable!("it ended before it listened: {said}");
        }
        let ready: Value = serde_json::from_str(&line).unwrap();
        let url = url::Url::parse(ready["url"].as_str().unwrap()).unwrap();
        Self {
            ready,
            origin: url.origin().ascii_serialization(),
            child,
            log,
            _stdout: stdout,
        }
    }

    /// An MCP request to a path, with a key; the status, and the answer.
    pub(crate) async fn ask(&self, path: &str, key: &str, asked: (&str, Value)) -> (u16, Value) {
        exchange(&format!("{}{path}", self.origin), key, asked).await
    }

    /// The tools of an open server.
    pub(crate) async fn tools(&self, path: &str) -> Vec<Value> {
        let (status, answer) = self.ask(path, "", ("tools/list", json!({}))).await;
        assert_eq!(status, 200, "{answer}");
        answer["result"]["tools"].as_array().unwrap().clone()
    }

    /// The result of a tool of an open server.
    pub(crate) async fn call(&self, path: &str, tool: &str, arguments: Value) -> Value {
        let params = json!({ "name": tool, "arguments": arguments });
        let (status, answer) = self.ask(path, "", ("tools/call", params)).await;
        assert_eq!(status, 200, "{answer}");
        answer["result"].clone()
    }

    /// Asks the process to end, as an operator's tools do.
    pub(crate) fn terminate(&self) {
        let id = self.child.id().unwrap().to_string();
        let mut kill = std::process::Command::new("kill");
        assert!(kill.args(["-TERM", &id]).status().unwrap().success());
    }

    /// Kills it, as by the system, and waits until it is gone.
    pub(crate) async fn killed(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Waits for its end: the exit code, and what it logged.
    pub(crate) async fn ended(mut self) -> (Option<i32>, String) {
        let ended = async {
            let said = self.log.await.unwrap();
            (self.child.wait().await.unwrap().code(), said)
        };
        let ended = tokio::time::timeout(PATIENCE, ended).await;
        ended.expect("an end in time")
    }

    /// A request to the management API with a key: the status, and the answer.
    pub(crate) async fn api(&self, key: &str, asked: (&str, &str), body: &Value) -> (u16, Value) {
        manage(&self.origin, key, asked, body).await
    }

    /// The client commands of the binary, sent to this process.
    pub(crate) async fn command(&self, key: &str, arguments: &[&str]) -> Ended {
        let target = ["--server", &self.origin, "--key", key];
        run(&[arguments, &target].concat()).await
    }
}

/// A request to the management API of an origin: the status, and the answer.
pub(crate) async fn manage(
    origin: &str,
    key: &str,
    (method, path): (&str, &str),
    body: &Value,
) -> (u16, Value) {
    let client = reqwest::Client::builder().timeout(PATIENCE).build();
    let url = format!("{origin}/api/v1/{path}");
    let mut request = client.unwrap().request(method.parse().unwrap(), url);
    request = request.bearer_auth(key);
    if !body.is_null() {
        request = request.header("content-type", "application/json");
        request = request.body(body.to_string());
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or_default())
}

/// A client for many requests: each that is made reads the certificates of the system.
pub(crate) fn client() -> reqwest::Client {
    let client = reqwest::Client::builder().timeout(PATIENCE);
    client.build().unwrap()
}

/// One MCP request to a URL, with a key unless it is empty; the status, and the answer.
pub(crate) async fn exchange(url: &str, key: &str, asked: (&str, Value)) -> (u16, Value) {
    exchange_by(&client(), url, key, asked).await
}

/// As [`exchange`], by a client that others share.
pub(crate) async fn exchange_by(
    client: &reqwest::Client,
    url: &str,
    key: &str,
    (method, params): (&str, Value),
) -> (u16, Value) {
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let mut request = client
        .post(url)
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2025-11-25");
    if !key.is_empty() {
        request = request.bearer_auth(key);
    }
    let response = request.body(message.to_string()).send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or_default())
}

/// Writes a document with these paths and schemes, whose API is at `server`.
pub(crate) fn document(folder: &Path, server: &str, more: Value) -> PathBuf {
    let mut document = json!({
        "openapi": "3.1.0",
        "info": { "title": "Local", "version": "1" },
        "servers": [{ "url": server }],
    });
    for (name, value) in more.as_object().unwrap() {
        document[name] = value.clone();
    }
    let path = folder.join("openapi.json");
    std::fs::write(&path, document.to_string()).unwrap();
    path
}
