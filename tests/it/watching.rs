//! What those who watch a process see of it: measures, spans, checks, and who did what.

#![expect(
    clippy::disallowed_methods,
    reason = "a test is a client of the process, and no client goes through egress"
)]

pub(crate) mod spans;

use std::collections::{BTreeSet, HashSet};
use std::os::unix::fs::PermissionsExt;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::egress::serve_local;
use crate::program::{Serving, run};

const ADMIN: &str = "an-admin-key-of-tests";

async fn serving(folder: &std::path::Path, more: &[&str]) -> Serving {
    let arguments = [&["--admin-key", ADMIN], more].concat();
    Serving::on(&folder.join("data"), &arguments).await
}

/// What a scrape of the process gives.
pub(crate) async fn scrape(served: &Serving) -> String {
    let answer = reqwest::get(format!("{}/metrics", served.origin)).await;
    answer.unwrap().text().await.unwrap()
}

/// Makes calls of all kinds: two of `desk` that are let in, one that is not, one of a stranger.
async fn use_it(served: &Serving) {
    let limits = json!({ "limits": [
        { "unit": "requests", "amount": 2, "window": "hour", "scope": "consumer" },
    ] });
    let edited = served.api(ADMIN, ("PATCH", "servers/petstore"), &limits);
    assert_eq!(edited.await.0, 200);
    let desk = json!({ "name": "desk" });
    let (_, made) = served.api(ADMIN, ("POST", "keys"), &desk).await;
    let key = made["key"].as_str().unwrap().to_owned();
    for _ in 0..3 {
        let params = json!({ "name": "getPet", "arguments": { "petId": 1 } });
        let asked = ("tools/call", params);
        let (status, _) = served.ask("/mcp/petstore", &key, asked).await;
        assert_eq!(status, 200);
    }
    served
        .call("/mcp/bookshop", "searchBooks", json!({ "query": "sea" }))
        .await;
}

#[tokio::test]
async fn calls_are_measured_by_server_tool_and_consumer() {
    let folder = tempfile::tempdir().unwrap();
    let served = serving(folder.path(), &[]).await;
    use_it(&served).await;
    let text = scrape(&served).await;
    for line in [
        r#"causeway_calls_total{server="petstore",tool="getPet",status="ok"} 2"#,
        r#"causeway_calls_total{server="petstore",tool="getPet",status="refused"} 1"#,
        r#"causeway_consumer_calls_total{consumer="desk",status="ok"} 2"#,
        r#"causeway_consumer_calls_total{consumer="desk",status="refused"} 1"#,
        r#"causeway_upstream_requests_total{server="petstore",class="2xx"} 2"#,
        r#"causeway_upstream_requests_total{server="petstore",class="none"} 0"#,
        r#"causeway_call_duration_seconds_count{server="petstore"} 3"#,
        r#"causeway_call_duration_seconds_bucket{server="petstore",le="+Inf"} 3"#,
        r#"causeway_upstream_request_duration_seconds_count{server="petstore"} 2"#,
        r#"causeway_call_request_bytes_total{server="petstore"} 33"#,
        r#"causeway_calls_in_flight{server="petstore"} 0"#,
        r#"causeway_limit_refusals_total{scope="consumer",window="hour"} 1"#,
        "causeway_ledger_entries_lost_total 0",
        r#"causeway_live_loads_total{result="failed"} 0"#,
        r#"causeway_database_connections{pool="write",state="max"} 1"#,
        "causeway_streams 0",
        "causeway_servers 2",
    ] {
        assert!(text.lines().any(|it| it == line), "{line} is not in {text}");
    }
    well_formed(&text);
    let (status, _) = served
        .api(ADMIN, ("DELETE", "servers/bookshop"), &json!(null))
        .await;
    assert_eq!(status, 204);
    let text = scrape(&served).await;
    assert!(!text.contains("bookshop"), "{text}");
}

/// Every sample belongs to a family that is explained, and stands there once.
fn well_formed(text: &str) {
    let (mut helped, mut typed, mut seen) = (BTreeSet::new(), BTreeSet::new(), HashSet::new());
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            helped.insert(rest.split(' ').next().unwrap());
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert!(typed.insert(rest.split(' ').next().unwrap()), "{line}");
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(seen.insert(series), "{line} is there twice");
            let name = series.split('{').next().unwrap();
            let base = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix).filter(|it| typed.contains(it)));
            let family = base.unwrap_or(name);
            assert!(helped.contains(family) && typed.contains(family), "{line}");
        }
    }
    assert_eq!(helped, typed);
}

/// Where a proxy passes requests on to.
type Behind = std::sync::Arc<std::sync::OnceLock<String>>;

/// A proxy that answers only when it has all of an answer.
async fn pass_on(State(behind): State<Behind>, request: Request) -> Response {
    let url = format!("http://{}{}", behind.get().unwrap(), request.uri());
    let answer = reqwest::get(url).await.unwrap();
    let (status, kind) = (answer.status(), answer.headers()["content-type"].clone());
    let body = answer.bytes().await.unwrap();
    (status, [("content-type", kind)], body).into_response()
}

fn found<'v>(report: &'v Value, id: &str) -> &'v Value {
    let checks = report["checks"].as_array().unwrap().iter();
    let mut found = checks.filter(|check| check["id"] == id);
    found
        .next()
        .unwrap_or_else(|| unreachable!("no {id} in {report}"))
}

async fn doctor(served: &Serving, key: &str) -> Value {
    let ended = served.command(key, &["doctor", "--json"]).await;
    ended.json()
}

#[tokio::test]
async fn a_process_that_is_well_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let served = Serving::on(&data, &[]).await;
    let key = std::fs::read_to_string(data.join("admin.key")).unwrap();
    let mut report = doctor(&served, key.trim()).await;
    // A machine that is busy may be late with what a stream begins with.
    for _ in 0..2 {
        if found(&report, "streaming")["state"] != "ok" {
            report = doctor(&served, key.trim()).await;
        }
    }
    // How long a write takes is the disk's affair, which others keep busy here.
    found(&report, "writing");
    for id in [
        "public-url",
        "hosts",
        "streaming",
        "clock",
        "keys",
        "schema",
        "changes",
        "ledger",
    ] {
        assert_ne!(found(&report, id)["state"], "fail", "{report}");
    }
    for id in [
        "public-url",
        "hosts",
        "streaming",
        "clock",
        "keys",
        "schema",
    ] {
        assert_eq!(found(&report, id)["state"], "ok", "{report}");
    }
    // A key that others may read, and one that is gone.
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(data.join("master.key"), open).unwrap();
    std::fs::remove_file(data.join("admin.key")).unwrap();
    let ended = served.command(key.trim(), &["doctor"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for part in ["chmod 600", "admin.key cannot be read any more"] {
        assert!(ended.stdout.contains(part), "{part} is not in {ended:?}");
    }
    let (status, _) = served.api("", ("GET", "doctor"), &json!(null)).await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn prices_that_are_nobodys_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prices.yaml");
    let table = |kind: &str| {
        format!(
            "date: 2026-11-26\nunit: dollars-per-million\nproviders:\n  openai:\n    m: {{ standard: [{{ input: 1 }}] }}\n  {kind}:\n    m: {{ standard: [{{ input: 1 }}] }}\n"
        )
    };
    for (kind, state) in [("nokind", "warn"), ("ollama", "ok")] {
        std::fs::write(&file, table(kind)).unwrap();
        let data = folder.path().join(kind);
        let flags = ["--prices", file.to_str().unwrap()];
        let served = Serving::on(&data, &flags).await;
        let key = std::fs::read_to_string(data.join("admin.key")).unwrap();
        let report = doctor(&served, key.trim()).await;
        let check = found(&report, "prices");
        assert_eq!(check["state"], state, "{report}");
        assert_eq!(check.to_string().contains("nokind"), kind == "nokind");
    }
}

#[tokio::test]
async fn a_proxy_that_holds_streams_back_is_found_out() {
    let behind = Behind::default();
    let proxy = Router::new().fallback(pass_on).with_state(behind.clone());
    let address = serve_local(proxy).await;
    let folder = tempfile::tempdir().unwrap();
    let public = format!("http://{address}");
    let served = serving(folder.path(), &["--public-url", &public]).await;
    let listening = served.ready["listening"].as_str().unwrap();
    behind.set(listening.to_owned()).unwrap();
    let (origin, asked) = (format!("http://{listening}"), ("GET", "doctor"));
    let (_, report) = crate::program::manage(&origin, ADMIN, asked, &json!(null)).await;
    assert_eq!(found(&report, "public-url")["state"], "ok", "{report}");
    let streaming = found(&report, "streaming");
    assert_eq!(streaming["state"], "fail", "{report}");
    let advice = streaming["advice"].as_str().unwrap();
    assert!(advice.contains("buffering"), "{advice}");
    assert_eq!(report["state"], "fail");
}

#[tokio::test]
async fn a_public_url_that_leads_elsewhere_is_found_out() {
    let stranger = Router::new().fallback(async || "welcome");
    let address = serve_local(stranger).await;
    let folder = tempfile::tempdir().unwrap();
    let public = format!("http://{address}");
    let served = serving(folder.path(), &["--public-url", &public]).await;
    let listening = served.ready["listening"].as_str().unwrap();
    let origin = format!("http://{listening}");
    let asked = ("GET", "doctor");
    let (_, report) = crate::program::manage(&origin, ADMIN, asked, &json!(null)).await;
    let check = found(&report, "public-url");
    assert_eq!(check["state"], "fail", "{report}");
    assert!(check["found"].as_str().unwrap().contains("not as Causeway"));
    // It is another process of Causeway, which cannot say what this one says.
    let other = folder.path().join("other");
    let other = Serving::on(&other, &[]).await;
    let third = folder.path().join("third");
    let arguments = ["--admin-key", ADMIN, "--public-url", &other.origin];
    let served = Serving::on(&third, &arguments).await;
    let listening = served.ready["listening"].as_str().unwrap();
    let origin = format!("http://{listening}");
    let (_, report) = crate::program::manage(&origin, ADMIN, asked, &json!(null)).await;
    let check = found(&report, "public-url");
    assert_eq!(check["state"], "warn", "{report}");
}

#[tokio::test]
async fn who_did_what_is_listed_by_who_and_what() {
    let folder = tempfile::tempdir().unwrap();
    let served = serving(folder.path(), &[]).await;
    let settings = json!({ "callTimeoutMs": 5_000 });
    let edited = served.api(ADMIN, ("PATCH", "servers/petstore"), &settings);
    assert_eq!(edited.await.0, 200);
    let data = folder.path().join("data").display().to_string();
    let list = async |more: &[&str]| {
        let fixed = ["audit", "list", "--json", "--data", &data];
        let ended = run(&[&fixed[..], more].concat()).await;
        let rows = ended.json()["rows"].as_array().unwrap().clone();
        let told = |row: &Value| format!("{} {}", row["actor"], row["action"]).replace('"', "");
        rows.iter().map(told).collect::<Vec<_>>()
    };
    let all = list(&[]).await;
    assert_eq!(all.len(), 3, "{all:?}");
    assert!(all[0].starts_with("admin "), "{all:?}");
    assert_eq!(list(&["--actor", "demo"]).await, all[1..]);
    assert_eq!(
        list(&["--entity", "petstore", "--limit", "1"]).await,
        all[..1]
    );
    assert!(list(&["--entity", "nothing"]).await.is_empty());
    assert_eq!(list(&["--since", "1h"]).await, all);
    assert!(list(&["--since", "2200-01-01T00:00:00Z"]).await.is_empty());
    // The API tells the same, and goes on from a row.
    let asked = ("GET", "audit?order=newest&limit=2");
    let (_, first) = served.api(ADMIN, asked, &json!(null)).await;
    let next = format!(
        "audit?order=newest&after={}",
        first["next"].as_str().unwrap()
    );
    let (_, rest) = served.api(ADMIN, ("GET", &*next), &json!(null)).await;
    let rest = rest["rows"].as_array().unwrap();
    assert_eq!(rest.len(), 1, "{rest:?}");
    let asked = ("GET", "audit?actor=admin");
    assert_eq!(served.api(ADMIN, asked, &json!(null)).await.0, 400);
}

#[tokio::test]
async fn the_dashboard_asks_for_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let served = serving(folder.path(), &[]).await;
    use_it(&served).await;
    let question = json!({ "model": "demo", "stream": true, "messages": [{ "role": "user", "content": "hi" }] });
    let asked = reqwest::Client::builder().build().unwrap();
    let asked = asked.post(format!("{}/v1/chat/completions", served.origin));
    let (_, made) = served
        .api(ADMIN, ("POST", "keys"), &json!({ "name": "writer" }))
        .await;
    let asked = asked.bearer_auth(made["key"].as_str().unwrap());
    let asked = asked.body(question.to_string());
    let answer = asked.send().await.unwrap().text().await.unwrap();
    assert!(answer.contains("[DONE]"), "{answer}");
    // It is counted once it is over, a moment after its last byte.
    let text = loop {
        let text = scrape(&served).await;
        if text.contains("causeway_consumer_model_requests_total{") {
            break text;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    well_formed(&text);
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let known: BTreeSet<&str> = samples
        .filter_map(|it| it.split(['{', ' ']).next())
        .collect();
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let board = std::fs::read_to_string(path.join("docs/grafana/causeway.json")).unwrap();
    let board: Value = serde_json::from_str(&board).unwrap();
    let panels = board["panels"].as_array().unwrap();
    let rows = panels.iter().filter(|panel| panel["type"] == "row");
    let rows: Vec<_> = rows.map(|row| row["title"].as_str().unwrap()).collect();
    let expected = [
        "Calls", "Errors", "Latency", "Limits", "Upstream", "Models", "Process",
    ];
    assert_eq!(rows, expected);
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array());
    let expressions = targets
        .flatten()
        .map(|target| target["expr"].as_str().unwrap());
    let variables = board["templating"]["list"].as_array().unwrap().iter();
    let queries = variables.filter_map(|variable| variable["query"].as_str());
    let name =
        regex::Regex::new(r"\b(?:causeway_[a-z_]+|gen_ai_(?:client|server)_[a-z_]+)").unwrap();
    let mut asked = 0;
    for expression in expressions.chain(queries) {
        for found in name.find_iter(expression) {
            assert!(known.contains(found.as_str()), "{expression}");
            asked += 1;
        }
        if expression != "prometheus" {
            assert!(name.is_match(expression), "{expression}");
        }
    }
    assert!(asked > 50, "{asked}");
}
