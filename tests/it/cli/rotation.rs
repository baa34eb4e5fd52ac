//! A new master key takes the place of the old one: while calls go on, after a crash in the middle, and
//! without a copy from before becoming worthless.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use causeway::access::vault::ring::Keyring;
use causeway::access::vault::{RowIdentity, Vault};
use causeway::types::OrganizationId;
use serde_json::json;
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tokio::io::{AsyncBufReadExt, BufReader};
use uuid::Uuid;

use crate::cli::ADMIN_KEY;
use crate::program::{Ended, Serving, causeway, run};

const SECRET: &str = "upstream-secret-31415";
/// Of many more transactions of a rotation than end before it is killed.
const ROWS: u128 = 10_000;

async fn upstream() -> String {
    let open = async |headers: HeaderMap| {
        let right = headers.get("x-key").is_some_and(|key| key == SECRET);
        if right {
            StatusCode::OK
        } else {
            StatusCode::UNAUTHORIZED
        }
    };
    let router = Router::new().route("/open", get(open));
    format!("http://{}", crate::egress::serve_local(router).await)
}

async fn publish(served: &Serving, origin: &str) {
    let document = json!({
        "openapi": "3.1.0", "info": { "title": "Guarded", "version": "1" }, "servers": [{ "url": origin }],
        "components": { "securitySchemes": { "key": { "type": "apiKey", "in": "header", "name": "x-key" } } },
        "security": [{ "key": [] }],
        "paths": { "/open": { "get": { "operationId": "open", "responses": { "200": { "description": "done" } } } } },
    });
    let new = json!({ "slug": "guarded", "document": document, "allowUpstream": ["127.0.0.0/8"] });
    let (status, answer) = served.api(ADMIN_KEY, ("POST", "servers"), &new).await;
    assert_eq!(status, 201, "{answer}");
    let put = ("PUT", "servers/guarded/credentials/key");
    let (status, answer) = served
        .api(ADMIN_KEY, put, &json!({ "value": SECRET }))
        .await;
    assert!(status < 300, "{status} {answer}");
    approve(served, origin).await;
}

/// A provider of models with a key, at the same place, and whether it takes it.
async fn add_provider(served: &Serving, origin: &str) {
    let address = origin.trim_start_matches("http://");
    let provider = json!({
        "kind": "mine", "allowUpstream": [address],
        "definition": {
            "id": "mine", "name": "Mine", "dialect": "openai-chat", "base_url": origin, "capabilities": ["chat"],
            "paths": { "models": "/open" }, "auth": { "header": "x-key" }, "docs": "https://mine.example.com",
        },
    });
    let put = ("PUT", "providers/mine");
    let (status, answer) = served.api(ADMIN_KEY, put, &provider).await;
    assert_eq!(status, 200, "{answer}");
    let put = ("PUT", "providers/mine/keys/main");
    let (status, answer) = served
        .api(ADMIN_KEY, put, &json!({ "value": SECRET }))
        .await;
    assert_eq!(status, 200, "{answer}");
}

async fn provider_takes_its_key(served: &Serving) -> bool {
    let test = ("POST", "providers/mine/test");
    let (status, answer) = served.api(ADMIN_KEY, test, &json!({})).await;
    assert_eq!(status, 200, "{answer}");
    // What is answered is no list of models; a key that is wrong is answered with 401.
    answer["status"] == 200
}

/// Lets the credential go where it is wanted.
async fn approve(served: &Serving, origin: &str) {
    let approve = ("POST", "servers/guarded/credentials/key/approve");
    let origins = json!({ "origins": [origin] });
    let (status, answer) = served.api(ADMIN_KEY, approve, &origins).await;
    assert!(status < 300, "{status} {answer}");
}

async fn key(served: &Serving) -> String {
    let (status, made) = served
        .api(ADMIN_KEY, ("POST", "keys"), &json!({ "name": "agent" }))
        .await;
    assert_eq!(status, 201, "{made}");
    made["key"].as_str().unwrap().to_owned()
}

/// Whether the API was reached with its credential.
async fn calls(served: &Serving, key: &str) -> bool {
    let params = json!({ "name": "open", "arguments": {} });
    let (status, answer) = served
        .ask("/mcp/guarded", key, ("tools/call", params))
        .await;
    status == 200 && answer["result"]["isError"] != json!(true) && answer.get("error").is_none()
}

/// Ends a process and waits until its directory is free.
async fn stopped(served: Serving) {
    served.terminate();
    let (code, said) = served.ended().await;
    assert_eq!(code, Some(0), "{said}");
}

async fn secrets(data: &Path, arguments: &[&str]) -> Ended {
    let data = data.display().to_string();
    run(&[&["secrets"], arguments, &["--data", &data, "--json"]].concat()).await
}

/// Many sealed rows, which are no real answers.
async fn fill(data: &Path) {
    let ring = Keyring::read_or_generate(&data.join("master.key")).unwrap();
    let vault = Vault::new(ring.current());
    let options = SqliteConnectOptions::new().filename(data.join("causeway.db"));
    let mut database = SqliteConnection::connect_with(&options).await.unwrap();
    let mut tx = database.begin().await.unwrap();
    for number in 1..=ROWS {
        let row = RowIdentity {
            organization: OrganizationId::DEFAULT,
            row: Uuid::from_u128(number),
            subject: None,
        };
        let sealed = vault.seal(b"an answer", &row).unwrap();
        sqlx::query("INSERT INTO answers (id, organization_id, server_id, principal, media_type, size, key_id, sealed, expires_at) SELECT $1, organization_id, id, 'p', 'text/plain', 9, $2, $3, $4 FROM servers LIMIT 1")
            .bind(row.row).bind(sealed.key_id).bind(sealed.bytes).bind(i64::MAX)
            .execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
}

/// The ids of keys that seal something, as the database says.
async fn in_use(data: &Path) -> Vec<String> {
    let options = SqliteConnectOptions::new().filename(data.join("causeway.db"));
    let mut database = SqliteConnection::connect_with(&options).await.unwrap();
    let sql = "SELECT key_id FROM answers UNION SELECT key_id FROM credentials UNION SELECT key_id FROM kept_keys \
               UNION SELECT key_id FROM provider_keys";
    sqlx::query_scalar(sql)
        .fetch_all(&mut database)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn a_rotation_lets_calls_go_on_survives_a_crash_and_leaves_copies_usable() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let flags = ["--no-demo", "--admin-key", ADMIN_KEY];
    let served = Arc::new(Serving::on(&data, &flags).await);
    let origin = upstream().await;
    publish(&served, &origin).await;
    add_provider(&served, &origin).await;
    let agent = key(&served).await;
    assert!(calls(&served, &agent).await);
    assert!(provider_takes_its_key(&served).await);
    fill(&data).await;
    let old = std::fs::read_to_string(data.join("master.key")).unwrap();
    let copy = folder.path().join("copy.db").display().to_string();
    let shown = data.display().to_string();
    let made = run(&["backup", &copy, "--data", &shown]).await;
    assert_eq!(made.code, Some(0), "{made:?}");

    // Calls all along, each of which opens the credential where the server is loaded anew.
    let stop = Arc::new(AtomicBool::new(false));
    let calling = tokio::spawn({
        let (served, agent, stop) = (served.clone(), agent.clone(), stop.clone());
        async move {
            let mut count = 0;
            while !stop.load(Ordering::SeqCst) {
                let change = json!({ "callTimeoutMs": 20_000 + count });
                let (status, answer) = served
                    .api(ADMIN_KEY, ("PATCH", "servers/guarded"), &change)
                    .await;
                assert_eq!(status, 200, "{answer}");
                assert!(calls(&served, &agent).await, "call {count}");
                count += 1;
            }
            count
        }
    });

    // Killed after its first transaction.
    let mut child = causeway(&["secrets", "rotate", "--data", &shown])
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    while let Some(line) = said.next_line().await.unwrap() {
        if line.ends_with("sealed anew") {
            break;
        }
    }
    child.kill().await.unwrap();
    let both = in_use(&data).await;
    assert_eq!(both.len(), 2, "it stopped in the middle: {both:?}");
    let status = secrets(&data, &["status"]).await.json();
    let [current, retired] = [&status["keys"][0], &status["keys"][1]];
    assert_eq!(
        (&current["current"], &retired["safeToRemove"]),
        (&json!(true), &json!(false))
    );
    let first = retired["id"].as_str().unwrap().to_owned();
    secrets(&data, &["forget", &first])
        .await
        .refused(&["still seals", "rotate"]);

    // Once more goes on, with the key that was made.
    let done = secrets(&data, &["rotate"]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stderr.contains("Going on"), "{done:?}");
    let report = done.json();
    assert_eq!(report["keys"].as_array().unwrap().len(), 2);
    assert_eq!(report["keys"][0]["id"], current["id"]);
    assert_eq!(
        (&report["keys"][1]["rows"], &report["unreadable"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(report["keys"][1]["safeToRemove"], true);
    assert_eq!(report["keys"][0]["tables"]["provider_keys"], 1);
    stop.store(true, Ordering::SeqCst);
    assert!(calling.await.unwrap() > 0);
    // What is sealed from now on is sealed with it, by the process that has run all along.
    let put = ("PUT", "servers/guarded/credentials/key");
    let (status, _) = served
        .api(ADMIN_KEY, put, &json!({ "value": SECRET }))
        .await;
    assert!(status < 300);
    assert_eq!(in_use(&data).await, [current["id"].as_str().unwrap()]);

    let forgotten = secrets(&data, &["forget", &first]).await;
    assert_eq!(forgotten.code, Some(0), "{forgotten:?}");
    secrets(&data, &["forget", current["id"].as_str().unwrap()])
        .await
        .refused(&["current"]);
    let new = std::fs::read_to_string(data.join("master.key")).unwrap();
    assert!(!new.contains(old.trim()), "the old key is gone");
    assert!(calls(&served, &agent).await);
    stopped(Arc::into_inner(served).expect("nobody calls any more")).await;

    // A process that knows only the new key: credentials open, and keys that were made before are known.
    let served = Serving::on(&data, &flags).await;
    assert!(calls(&served, &agent).await);
    assert!(provider_takes_its_key(&served).await);
    stopped(served).await;

    // The copy from before, with the key from before.
    let elsewhere = folder.path().join("elsewhere");
    let shown = elsewhere.display().to_string();
    let restored = run(&["restore", &copy, "--data", &shown]).await;
    assert_eq!(restored.code, Some(0), "{restored:?}");
    crate::cli::secrets::private(&elsewhere.join("master.key"), &old);
    let served = Serving::on(&elsewhere, &flags).await;
    assert!(calls(&served, &agent).await);
    assert!(provider_takes_its_key(&served).await);
}

#[tokio::test]
async fn a_key_of_ones_own_is_put_first_by_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("given"));
    let (one, two) = ("11".repeat(32), "22".repeat(32));
    let config = folder.path().join("causeway.toml");
    std::fs::write(
        &config,
        format!(
            "[secrets]\nmaster_key_file = {:?}\n",
            file.display().to_string()
        ),
    )
    .unwrap();
    let config = config.display().to_string();
    std::fs::write(&file, &one).unwrap();
    let flags = ["--no-demo", "--admin-key", ADMIN_KEY, "--config", &config];
    let served = Serving::on(&data, &flags).await;
    publish(&served, &upstream().await).await;
    let agent = key(&served).await;
    let with = ["--config", config.as_str()];
    let rotate = secrets(&data, &[&["rotate"][..], &with].concat()).await;
    rotate.refused(&["first line", "run this again"]);
    std::fs::write(&file, format!("{two}\n{one}\n")).unwrap();
    let done = secrets(&data, &[&["rotate"][..], &with].concat()).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(done.json()["keys"][1]["safeToRemove"], true);
    assert!(calls(&served, &agent).await);
    stopped(served).await;
    std::fs::write(&file, &two).unwrap();
    let served = Serving::on(&data, &flags).await;
    assert!(calls(&served, &agent).await);
    // Without the key, what it sealed is named.
    stopped(served).await;
    std::fs::write(&file, &one).unwrap();
    let status = secrets(&data, &[&["status"][..], &with].concat())
        .await
        .json();
    assert_eq!(status["missing"].as_array().unwrap().len(), 1, "{status}");
}
