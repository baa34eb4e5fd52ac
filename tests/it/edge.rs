//! What stands in front of the process: proxies, a path, TLS, and strangers who ask too much.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::serving::{PATIENCE, Process, document};

/// Publishes a server that anybody may call.
async fn publish(process: &Process) {
    let operations = BTreeSet::from(["one".to_owned()]);
    let body = json!({
        "slug": "shared",
        "document": document(&operations),
        "access": "open",
        "credentials": { "token": "a secret" },
    });
    let (status, answer) = process.client.api("POST", "servers", &body).await.unwrap();
    assert_eq!(status, 201, "{answer}");
}

/// A message of somebody without a key, as a proxy passes it on.
async fn ask(process: &Process, from: &str, method: &str) -> Response {
    let params = json!({ "name": "one", "arguments": {} });
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let url = format!("{}/mcp/shared", process.client.origin);
    let request = process.client.http.post(url).body(message.to_string());
    let request = request
        .header("content-type", "application/json")
        .header("mcp-protocol-version", "2025-11-25")
        .header("x-forwarded-for", from);
    request.send().await.unwrap()
}

#[tokio::test]
async fn strangers_have_a_ceiling_for_each_address() {
    let data = tempfile::tempdir().unwrap();
    let config = data.path().join("causeway.toml");
    let text = "[limits]\naddress_requests_per_minute = 5\n";
    std::fs::write(&config, text).unwrap();
    let flags = [
        "--trusted-proxy",
        "127.0.0.0/8",
        "--config",
        config.to_str().unwrap(),
    ];
    let process = Process::start_with(&data.path().join("data"), None, &flags).await;
    publish(&process).await;
    let mut statuses = Vec::new();
    for _ in 0..7 {
        let response = ask(&process, "198.51.100.1, 203.0.113.7", "ping").await;
        statuses.push(response.status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429, 429]);
    let refused = ask(&process, "203.0.113.7", "tools/list").await;
    let header = |name: &str| refused.headers()[name].to_str().unwrap().to_owned();
    let wait: u64 = header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(header("ratelimit-policy"), "\"address\";q=5;w=60");
    assert_eq!(header("ratelimit"), format!("\"address\";r=0;t={wait}"));
    let error: Value = serde_json::from_str(&refused.text().await.unwrap()).unwrap();
    assert_eq!(error["id"], 1, "{error}");
    // A call is answered, so that no client ends its session over it.
    let call = ask(&process, "203.0.113.7", "tools/call").await;
    assert_eq!(call.status(), StatusCode::OK);
    let call: Value = serde_json::from_str(&call.text().await.unwrap()).unwrap();
    assert_eq!(call["result"]["isError"], true, "{call}");
    let retry = call["result"]["_meta"]["causeway/retryAfter"].as_u64();
    assert!(retry.is_some_and(|seconds| seconds > 0), "{call}");
    // Others are not affected: another address, somebody with a key, this machine itself.
    for other in ["203.0.113.8", "2001:db8::1", "127.0.0.1"] {
        let response = ask(&process, other, "ping").await;
        assert_eq!(response.status(), StatusCode::OK, "{other}");
    }
    let known = process
        .client
        .tools("shared", crate::serving::ADMIN_KEY)
        .await;
    assert!(known.is_ok(), "{known:?}");
    // Whoever guesses keys is a stranger as well.
    let url = format!("{}/mcp/shared", process.client.origin);
    let mut guessed = Vec::new();
    for n in 0..7 {
        let request = process
            .client
            .http
            .post(&url)
            .bearer_auth(format!("cwy_guess{n}"));
        let response = request
            .header("x-forwarded-for", "203.0.113.9")
            .send()
            .await
            .unwrap();
        guessed.push(response.status().as_u16());
    }
    assert_eq!(guessed, [401, 401, 401, 401, 401, 429, 429]);
}

#[tokio::test]
async fn all_addresses_have_the_path_of_the_public_url() {
    let data = tempfile::tempdir().unwrap();
    let flags = ["--public-url", "http://127.0.0.1:1/tools"];
    let process = Process::start_with(data.path(), None, &flags).await;
    publish(&process).await;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let client = client.timeout(PATIENCE).build().unwrap();
    // A proxy passes the path on as it is, or takes the prefix off: both lead here.
    for prefix in ["/tools", ""] {
        let get = async |path: &str| {
            let url = format!("{}{prefix}{path}", process.client.origin);
            client.get(url).send().await.unwrap()
        };
        let home = get("/").await;
        assert_eq!(home.status(), StatusCode::OK);
        let html = home.text().await.unwrap();
        for outside in ["href=\"/assets", "href=\"/login"] {
            assert!(!html.contains(outside), "{outside} in {html}");
        }
        assert!(html.contains("href=\"/tools/login\""), "{html}");
        let moved = get("/keys").await;
        assert_eq!(moved.headers()["location"], "/tools/login?next=/keys");
        let server = get("/servers/shared").await.text().await.unwrap();
        assert!(
            server.contains("http://127.0.0.1:1/tools/mcp/shared"),
            "{server}"
        );
        let mut stream = get("/mcp/shared/sse").await;
        let first = stream.chunk().await.unwrap().unwrap();
        let first = String::from_utf8_lossy(&first).into_owned();
        assert!(
            first.contains("data: /tools/mcp/shared/messages?sessionId="),
            "{first}"
        );
    }
    let elsewhere = format!("{}/toolshed/", process.client.origin);
    assert_eq!(client.get(elsewhere).send().await.unwrap().status(), 404);
}

/// A certificate for this machine, written as PEM.
fn certify(folder: &Path) -> String {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    std::fs::write(folder.join("key.pem"), KeyPair::serialize_pem(&signing_key)).unwrap();
    std::fs::write(folder.join("cert.pem"), cert.pem()).unwrap();
    cert.pem()
}

/// A client that trusts one certificate only.
fn trusting(pem: &str) -> reqwest::Client {
    let root = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
    let builder = reqwest::Client::builder()
        .tls_certs_only([root])
        .timeout(PATIENCE);
    builder.pool_max_idle_per_host(0).build().unwrap()
}

#[tokio::test]
async fn the_listener_speaks_tls_with_the_certificate_that_is_there_now() {
    let data = tempfile::tempdir().unwrap();
    let files = tempfile::tempdir().unwrap();
    let first = certify(files.path());
    let at = |name: &str| files.path().join(name).to_str().unwrap().to_owned();
    let (certificate, key) = (at("cert.pem"), at("key.pem"));
    let flags = ["--tls-cert", &*certificate, "--tls-key", &*key];
    let process = Process::start_with(data.path(), None, &flags).await;
    let url = process.client.origin.replace("http://", "https://");
    let ask = async |client: &reqwest::Client| client.get(format!("{url}/healthz")).send().await;
    let old = trusting(&first);
    let answer = ask(&old).await.unwrap();
    assert_eq!(answer.version(), reqwest::Version::HTTP_2);
    let login = old.get(format!("{url}/keys")).send().await.unwrap();
    assert!(
        login.url().as_str().starts_with("https://"),
        "{}",
        login.url()
    );
    let cleartext = process
        .client
        .http
        .get(format!("{}/healthz", process.client.origin));
    assert!(cleartext.send().await.is_err(), "it answers without TLS");
    // What cannot be used changes nothing.
    std::fs::write(files.path().join("cert.pem"), "no certificate").unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(ask(&old).await.is_ok());
    let second = certify(files.path());
    let (new, began) = (trusting(&second), Instant::now());
    while ask(&new).await.is_err() {
        assert!(
            began.elapsed() < PATIENCE,
            "the new certificate is not shown"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // A client that was never here resumes no session.
    let stranger = ask(&trusting(&first)).await;
    assert!(stranger.is_err(), "the old certificate is still shown");
}
