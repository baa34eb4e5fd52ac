//! The README's own commands, taken from its text and run by a shell against the real binary.
//!
//! Only what a test machine cannot have is replaced: the build in front of the first command, and
//! port 8080, which may be taken. A command of a kind that is not known here fails the test.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::program::{Ended, PATIENCE, ended, exchange};

const README: &str = include_str!("../../README.md");
const ADDRESS: &str = "127.0.0.1:8080";

/// The lines of every fenced shell block, continued lines as one.
fn commands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut blocks = text.split("```sh\n");
    blocks.next();
    for block in blocks {
        let block = block.split("```").next().unwrap().replace("\\\n", " ");
        let lines = block.lines().map(str::trim);
        found.extend(
            lines
                .filter(|l| !l.is_empty() && !l.starts_with('#'))
                .map(str::to_owned),
        );
    }
    found
}

/// A machine on which Causeway was just built, and one user's directory.
struct Machine {
    folder: tempfile::TempDir,
    /// Where the server listens instead of [`ADDRESS`].
    address: String,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let link = |from: &Path, to| std::os::unix::fs::symlink(from, to).unwrap();
        std::fs::create_dir(path("bin")).unwrap();
        link(
            env!("CARGO_BIN_EXE_causeway").as_ref(),
            path("bin/causeway"),
        );
        link(&root.join("specs-examples"), path("specs-examples"));
        // The user's own API.
        let document = "openapi: 3.1.0\ninfo: {title: Mine, version: '1'}\n\
            servers: [{url: 'https://old.example.com'}]\nsecurity: [{ApiKey: []}]\n\
            components: {securitySchemes: {ApiKey: {type: apiKey, in: header, name: X-Key}}}\n\
            paths: {/a: {get: {operationId: a, responses: {'200': {description: ok}}}}}\n";
        std::fs::write(path("openapi.yaml"), document).unwrap();
        std::fs::write(path("key.txt"), "a-key\n").unwrap();
        Self {
            folder,
            address: "127.0.0.1:0".to_owned(),
        }
    }

    /// A line as a shell reads it.
    fn shell(&self, line: &str) -> Command {
        let line = line.replace(ADDRESS, &self.address);
        let mut command = Command::new("sh");
        let path = format!("{}/bin:{}", self.folder.path().display(), env!("PATH"));
        command
            .args(["-c", &line])
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", path)
            .env("CAUSEWAY__SERVER__LISTEN", &self.address)
            .env("CAUSEWAY_SERVER", format!("http://{}", self.address))
            .env("OPENAI_API_KEY", "sk-a-key-of-the-user")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// A line that goes on running. The shell becomes the program, so that ending it ends both.
    fn start(&self, line: &str) -> Running {
        let mut command = self.shell(&format!("exec {line}"));
        command.stdin(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Running { child, lines }
    }

    async fn run(&self, line: &str) -> Ended {
        ended(self.shell(line)).await
    }
}

struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    async fn line(&mut self) -> String {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await;
        line.expect("a line in time").unwrap().expect("it ended")
    }

    /// The first URL it prints.
    async fn url(&mut self) -> String {
        loop {
            let line = self.line().await;
            if let Some(url) = line
                .split_whitespace()
                .find(|word| word.starts_with("http://"))
            {
                return url.to_owned();
            }
        }
    }
}

/// The names of the tools at a URL.
async fn tools(url: &str, key: &str) -> Vec<String> {
    let (status, answer) = exchange(url, key, ("tools/list", json!({}))).await;
    assert_eq!(status, 200, "{url}: {answer}");
    let tools = answer["result"]["tools"].as_array().unwrap();
    tools
        .iter()
        .map(|tool| tool["name"].as_str().unwrap().to_owned())
        .collect()
}

/// Runs one line while the server runs, and holds it against what the README promises of it.
async fn follow(machine: &Machine, line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["causeway", "run", ..] => {
            let mut running = machine.start(&format!("{line} --listen 127.0.0.1:0"));
            let url = running.url().await;
            assert_eq!(tools(&url, "").await, ["a"], "{line}");
        }
        ["causeway", "stdio", ..] => {
            let mut running = machine.start(line);
            let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
            let mut input = running.child.stdin.take().unwrap();
            input
                .write_all(format!("{list}\n").as_bytes())
                .await
                .unwrap();
            let answer: Value = serde_json::from_str(&running.line().await).unwrap();
            assert_eq!(answer["result"]["tools"][0]["name"], "a", "{answer}");
        }
        ["claude", "mcp", "add", "--transport", "http", name, url, ..] => {
            let url = url.replace(ADDRESS, &machine.address);
            assert!(
                !tools(&url, "").await.is_empty(),
                "{name} at {url} has no tools"
            );
        }
        ["causeway", "keys", "create", _, rest @ ..] => {
            let made = machine.run(line).await;
            assert_eq!(made.code, Some(0), "{line}: {made:?}");
            let key = made.stdout.lines().next().unwrap();
            let slug = rest.iter().skip_while(|word| **word != "--server").nth(1);
            let slug = slug.expect("a server the key is for");
            let url = format!("http://{}/mcp/{slug}", machine.address);
            assert!(!tools(&url, key).await.is_empty(), "{line}");
            let (status, _) = exchange(&url, "", ("tools/list", json!({}))).await;
            assert_eq!(status, 401, "{slug} needs no key");
        }
        // What is lost is an exit code too; 2 would be a document that is not there.
        ["causeway", "check", ..] => {
            let checked = machine.run(line).await;
            assert!(matches!(checked.code, Some(0 | 1)), "{line}: {checked:?}");
            assert!(checked.stdout.contains(" tools, "), "{line}: {checked:?}");
        }
        ["causeway" | "curl", ..] => {
            let done = machine.run(line).await;
            assert_eq!(done.code, Some(0), "{line}: {done:?}");
            assert!(!done.stdout.is_empty(), "{line} printed nothing");
        }
        [script, ..] if script.starts_with("tests/") => {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
            assert!(script.is_file(), "{line} is not there");
        }
        _ => unreachable!("the README has a command this test cannot try: {line}"),
    }
}

#[tokio::test]
async fn its_commands_work_in_their_order() {
    let commands = commands(README);
    let (first, rest) = commands.split_first().expect("no command in the README");
    let first = first.strip_prefix("cargo run --release -- ");
    let first = first.expect("the first command builds and starts the server");
    let mut machine = Machine::new();
    let mut server = machine.start(&format!("causeway {first}"));
    let origin = server.url().await;
    machine.address = origin.trim_start_matches("http://").to_owned();
    assert!(machine.folder.path().join("data/causeway.db").is_file());
    assert!(rest.iter().any(|line| line.starts_with("causeway call ")));
    assert!(rest.iter().any(|line| line.starts_with("claude mcp add ")));
    for line in rest {
        follow(&machine, line).await;
    }
}

/// Elsewhere than the defaults of the client commands lead.
#[tokio::test]
async fn what_serve_prints_works_as_it_is_printed() {
    let machine = Machine::new();
    let mut server = machine.start("causeway serve --data elsewhere");
    let mut printed = Vec::new();
    while !printed
        .last()
        .is_some_and(|line: &String| line.contains("import"))
    {
        printed.push(server.line().await);
    }
    let commands = printed.iter().filter_map(|line| line.strip_prefix("  "));
    let (links, commands): (Vec<_>, Vec<_>) = commands.partition(|line| line.starts_with("http"));
    assert_eq!((links.len(), commands.len()), (1, 3), "{printed:?}");
    for line in commands {
        follow(&machine, line).await;
    }
}

#[tokio::test]
async fn its_address_is_the_default_one() {
    let machine = Machine::new();
    assert!(README.contains(&format!("http://{ADDRESS}")));
    for (command, default) in [
        ("causeway serve", ADDRESS.to_owned()),
        ("causeway run", ADDRESS.to_owned()),
        ("causeway call", format!("http://{ADDRESS}")),
    ] {
        let mut command = machine.shell(&format!("{command} --help"));
        command.env_remove("CAUSEWAY_SERVER").env("COLUMNS", "300");
        let help = ended(command).await.stdout;
        assert!(help.contains(&format!("[default: {default}]")), "{help}");
    }
}

#[test]
fn commands_are_found_in_their_blocks() {
    let text = "```sh\none  # comment\n\n# two\n```\nthree\n```text\nfour\n```\n```sh\nfive \\\n  six\n```\n";
    assert_eq!(commands(text), ["one  # comment", "five    six"]);
}
