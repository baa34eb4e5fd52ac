//! `causeway run` and `causeway stdio`: one document, no database.

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::cli::{SECRET, Upstream};
use crate::program::{PATIENCE, Serving, causeway, example, run};

#[tokio::test]
async fn run_serves_a_document_at_mcp() {
    let upstream = Upstream::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = upstream.document(folder.path());
    let secret = folder.path().join("key.txt");
    std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
    let credential = format!("Key=@{}", secret.display());
    let allowed = ["--allow-upstream", &upstream.address];
    let flags = [&allowed[..], &["--credential", &credential]].concat();
    let served = Serving::document(&file, &flags).await;
    assert_eq!(served.ready["url"], format!("{}/mcp", served.origin));
    assert_eq!(served.ready["tools"], 1);
    let tools = served.tools("/mcp").await;
    assert_eq!(tools[0]["name"], "getThing");
    let result = served.call("/mcp", "getThing", json!({ "id": 7 })).await;
    assert_eq!(result["structuredContent"]["path"], "/things/7", "{result}");
    assert_eq!(upstream.seen(), [Some(SECRET.to_owned())]);
    let health = format!("{}/healthz", served.origin);
    assert_eq!(reqwest::get(health).await.unwrap().status(), 200);
}

#[tokio::test]
async fn run_sends_nothing_without_the_credential_or_the_permission() {
    let upstream = Upstream::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = upstream.document(folder.path());
    let call = async |flags: &[&str]| {
        let served = Serving::document(&file, flags).await;
        let result = served.call("/mcp", "getThing", json!({ "id": 7 })).await;
        assert_eq!(result["isError"], true, "{result}");
        result["content"][0]["text"].as_str().unwrap().to_owned()
    };
    let said = call(&["--allow-upstream", &upstream.address]).await;
    assert!(said.contains("Key"), "{said}");
    let credential = format!("Key={SECRET}");
    let said = call(&["--credential", &credential]).await;
    assert!(said.contains("127.0.0.1"), "{said}");
    assert_eq!(upstream.seen(), []);
}

#[tokio::test]
async fn run_takes_another_upstream_than_the_document_says() {
    let upstream = Upstream::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = crate::program::document(
        folder.path(),
        "https://api.example.com",
        crate::cli::things(),
    );
    let url = format!("http://{}", upstream.address);
    let credential = format!("Key={SECRET}");
    let flags = ["--upstream", &url, "--allow-upstream", &upstream.address];
    let flags = [&flags[..], &["--credential", &credential]].concat();
    let served = Serving::document(&file.display().to_string(), &flags).await;
    let result = served.call("/mcp", "getThing", json!({ "id": 7 })).await;
    assert_eq!(result["structuredContent"]["path"], "/things/7", "{result}");
}

#[tokio::test]
async fn run_needs_a_key_where_others_can_reach_it() {
    let file = example("petstore.yaml");
    let arguments = ["run", &file, "--listen", "0.0.0.0:0"];
    let ended = run(&arguments).await;
    ended.refused(&["0.0.0.0:0 is not loopback", "--key"]);

    let with_key = [&arguments[..], &["--json", "--key", "a-key-of-my-own"]].concat();
    let served = Serving::start(causeway(&with_key)).await;
    let list = || ("tools/list", json!({}));
    assert_eq!(served.ask("/mcp", "", list()).await.0, 401);
    assert_eq!(served.ask("/mcp", "another-key", list()).await.0, 401);
    assert_eq!(served.ask("/mcp", "a-key-of-my-own", list()).await.0, 200);
}

#[tokio::test]
async fn stdio_speaks_over_its_pipes_and_ends_with_them() {
    let upstream = Upstream::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = upstream.document(folder.path());
    let allowed = ["--allow-upstream", &upstream.address];
    let credential = ["--credential", "Key=env:THE_KEY"];
    let arguments = [&["stdio", &file], &allowed[..], &credential].concat();
    let mut command = causeway(&arguments);
    command.env("THE_KEY", SECRET);
    command.stdin(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();

    let mut ask = async |id: u32, method: &str, params: Value| {
        let line = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let line = format!("{line}\n");
        input.write_all(line.as_bytes()).await.unwrap();
        let answer = tokio::time::timeout(PATIENCE, lines.next_line()).await;
        let answer = answer.expect("an answer in time").unwrap().unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["id"], id, "{answer}");
        answer["result"].clone()
    };
    let hello = json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" },
    });
    let hello = ask(1, "initialize", hello).await;
    assert_eq!(hello["protocolVersion"], "2025-11-25");
    assert_eq!(hello["serverInfo"]["title"], "Local", "{hello}");
    let list = ask(2, "tools/list", json!({})).await;
    assert_eq!(list["tools"][0]["name"], "getThing");
    let call = json!({ "name": "getThing", "arguments": { "id": 7 } });
    let result = ask(3, "tools/call", call).await;
    assert_eq!(result["structuredContent"]["path"], "/things/7", "{result}");
    assert_eq!(upstream.seen(), [Some(SECRET.to_owned())]);

    drop(input);
    let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
    assert_eq!(ended.expect("an end in time").unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_client_s_log_says_what_it_will_miss() {
    // Standard input is empty: it ends at once.
    let ended = run(&["stdio", &example("malformed.yaml")]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stdout, "");
    for words in [
        "WARN",
        "PUT /tickets is no tool: the operation is not an object",
    ] {
        assert!(ended.stderr.contains(words), "{words} is not in {ended:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = crate::program::document(folder.path(), "/v1", crate::cli::things());
    let file = file.display().to_string();
    let ended = run(&["stdio", &file]).await;
    for words in ["WARN", "\"/v1\" is relative"] {
        assert!(ended.stderr.contains(words), "{words} is not in {ended:?}");
    }
    let ended = run(&["stdio", &file, "--upstream", "https://api.example.com"]).await;
    assert!(!ended.stderr.contains("WARN"), "{ended:?}");
}

#[tokio::test]
async fn run_answers_for_what_is_not_there_with_a_problem() {
    let served = Serving::document(&example("petstore.yaml"), &[]).await;
    let answer = reqwest::get(format!("{}/nothing", served.origin))
        .await
        .unwrap();
    assert_eq!(answer.status(), 404);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
}

#[tokio::test]
async fn run_fills_the_variables_of_the_documents_server() {
    let upstream = Upstream::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut more = crate::cli::things();
    more["servers"] =
        json!([{ "url": "http://{host}", "variables": { "host": { "default": "h" } } }]);
    let file = crate::program::document(folder.path(), "http://h", more);
    let file = file.display().to_string();
    let host = format!("host={}", upstream.address);
    let credential = format!("Key={SECRET}");
    let flags = ["--server-variable", &host, "--credential", &credential];
    let flags = [&flags[..], &["--allow-upstream", &upstream.address]].concat();
    let served = Serving::document(&file, &flags).await;
    let result = served.call("/mcp", "getThing", json!({ "id": 7 })).await;
    assert_eq!(result["structuredContent"]["path"], "/things/7", "{result}");
    let ended = run(&["run", &file, "--server-variable", "port=1"]).await;
    ended.refused(&["`port`", "host"]);
    let ended = run(&["run", &file, "--server-variable", "port"]).await;
    ended.refused(&["NAME=VALUE"]);
}
