//! Owners' filters: what they make of answers, and what the hostile ones do not do.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use causeway::credential::Credentials;
use causeway::jq::{Jq, JqError};
use causeway::mcp::server::{Access, AnswerShape, OnFailure, Server, ServerSettings};
use causeway::types::ServerId;
use indexmap::IndexMap;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::answers::texts;
use crate::call::Bench;
use crate::egress::serve_local;
use crate::serving::{Client, Process};

const BODY: &str =
    r#"{"z":12345678901234567890123,"items":[{"id":1,"x":1.10},{"id":2}],"next_page":2}"#;
const HOSTILE: [&str; 8] = [
    "def f: f; f",
    "def f: 1 + f; f",
    "[range(1e12)]",
    "\"x\" * 1e9",
    "last(range(1e12))",
    "reduce range(1e7) as $i (0; [.])",
    "[range(300000)] | combinations(9)",
    "\"\" | until(false; . + \"xxxxxxxxxxxxxxxx\")",
];

fn jq() -> Jq {
    Jq::new(env!("CARGO_BIN_EXE_causeway").into())
}

/// What a filter gives that takes no time: asked again where the machine gave its worker too little of it.
async fn quick(jq: &Jq, server: ServerId, filter: &str) -> Result<String, JqError> {
    for _ in 0..4 {
        match jq.run(server, filter, BODY.into()).await {
            Err(JqError::Late) => {}
            result => return result,
        }
    }
    jq.run(server, filter, BODY.into()).await
}

async fn server(bench: &Bench, filter: Option<&str>) -> Server {
    let shape = filter.map(|filter| AnswerShape {
        jq: Some(filter.to_owned()),
        ..AnswerShape::default()
    });
    server_of(bench, shape, ("application/json", BODY.to_owned())).await
}

async fn server_of(
    bench: &Bench,
    shape: Option<AnswerShape>,
    (kind, body): (&'static str, String),
) -> Server {
    let router = Router::new().route(
        "/items",
        get(async move || ([("content-type", kind)], body.clone())),
    );
    let origin = format!("http://{}", serve_local(router).await);
    let settings = ServerSettings {
        access: Access::Open,
        answer_shapes: shape
            .map(|shape| ("GET /items".to_owned(), shape))
            .into_iter()
            .collect::<IndexMap<_, _>>(),
        ..ServerSettings::default()
    };
    let document = json!({"openapi": "3.1.0", "info": {"title": "S", "version": "1"}, "servers": [{"url": origin}],
        "paths": {"/items": {"get": {"operationId": "list",
            "parameters": [{"name": "page", "in": "query", "schema": {"type": "integer"}}],
            "responses": {"200": {"description": "ok", "content": {"application/json": {"schema": {
                "type": "object", "properties": {"z": {"type": "integer"}, "items": {"type": "array"}}}}}}}}}}});
    bench.server_with(&document, Credentials::default(), settings)
}

#[tokio::test]
async fn a_filter_makes_the_answer_and_keeps_its_digits() {
    let bench = Bench::local();
    for (filter, expected) in [
        (
            "{z, ids: [.items[].id]}",
            r#"{"z":12345678901234567890123,"ids":[1,2]}"#,
        ),
        (".items[] | .x // 5", "[1.10,5]"),
        (".items | map({id})", r#"[{"id":1},{"id":2}]"#),
    ] {
        let server = server(&bench, Some(filter)).await;
        assert!(server.tools["list"].def.output_schema.is_none());
        let outcome = bench.call(&server, "list", json!({})).await.unwrap();
        assert_eq!(texts(&outcome)[0], expected, "{filter}");
        assert_eq!(
            texts(&outcome)[1],
            r#"More results: call again with {"page": 2}"#
        );
    }
    bench.mcp.jq.close().await;
}

#[tokio::test]
async fn everything_shown_as_json_is_filtered_and_nothing_else_is_shown() {
    let bench = Bench::local();
    let lines = "{\"id\":1,\"secret\":\"s3cret\"}\n{\"id\":2,\"secret\":\"s3cret\"}\n";
    let list = r#"[{"id":1,"secret":"s3cret"},{"id":2,"secret":"s3cret"}]"#;
    // Longer than any answer that is read to its end.
    let long = format!(
        "[{}1]",
        format!("{},", &list[1..list.len() - 1]).repeat(350_000)
    );
    let filtered = r#"[{"id":1},{"id":2}]"#;
    let jq = "map(select(type == \"object\") | del(.secret))";
    let rows = [
        ("application/json", list, Some(filtered)),
        ("text/plain", list, Some(filtered)),
        ("application/x-ndjson", lines, Some(filtered)),
        ("text/plain", "s3cret is no JSON", None),
        ("image/png", "s3cret", None),
        ("application/json", "{\"s3cret\"", None),
        ("application/json", &long, None),
    ];
    for (kind, body, expected) in rows {
        for on_failure in [OnFailure::Refuse, OnFailure::Pass] {
            let shape = AnswerShape {
                jq: Some(jq.to_owned()),
                on_failure,
                ..AnswerShape::default()
            };
            let server = server_of(&bench, Some(shape), (kind, body.to_owned())).await;
            let outcome = bench.call(&server, "list", json!({})).await.unwrap();
            let said = texts(&outcome).join("\n");
            let what = format!("{kind} {on_failure:?}: {}", &said[..said.len().min(300)]);
            match (expected, on_failure) {
                (Some(expected), _) => assert_eq!(texts(&outcome)[0], expected, "{what}"),
                (None, OnFailure::Refuse) => {
                    assert!(outcome.is_error && outcome.content.len() == 1, "{what}");
                    assert!(said.contains("filter could not be applied"), "{what}");
                    assert!(!said.contains("s3cret"), "{what}");
                }
                (None, OnFailure::Pass) => {
                    assert!(
                        said.contains("owner set for the answer gave nothing"),
                        "{what}"
                    );
                }
            }
        }
    }
    let shape = AnswerShape {
        fields: vec!["id".to_owned()],
        ..AnswerShape::default()
    };
    for (kind, body, expected) in [
        ("text/plain", list, filtered),
        ("text/plain", "s3cret", "The answer is not shown"),
    ] {
        let server = server_of(&bench, Some(shape.clone()), (kind, body.to_owned())).await;
        let outcome = bench.call(&server, "list", json!({})).await.unwrap();
        assert!(texts(&outcome)[0].starts_with(expected), "{outcome:?}");
    }
    bench.mcp.jq.close().await;
}

#[tokio::test]
async fn a_slow_filter_delays_its_own_server_alone() {
    let jq = jq();
    let (slow, other) = (ServerId::generate(), ServerId::generate());
    let slow_ones: Vec<_> = (0..8)
        .map(|_| {
            let jq = jq.clone();
            tokio::spawn(async move { jq.run(slow, "def f: f; f", BODY.into()).await })
        })
        .collect();
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(
            quick(&jq, other, ".z").await.unwrap(),
            "12345678901234567890123"
        );
    }
    for one in slow_ones {
        let error = one.await.unwrap().unwrap_err();
        assert!(
            matches!(error, JqError::Late | JqError::Busy | JqError::Died),
            "{error}"
        );
    }
    jq.close().await;
}

#[tokio::test]
async fn a_filter_is_checked_when_it_is_set() {
    let jq = jq();
    jq.check(ServerId::generate(), ".items | map(.id)")
        .await
        .unwrap();
    for filter in [
        "halt",
        "env",
        "$ENV.HOME",
        "input",
        "debug",
        "import \"a\" as a; .",
        "(",
        "nope(1)",
    ] {
        let error = jq.check(ServerId::generate(), filter).await.unwrap_err();
        assert!(
            matches!(&error, JqError::Invalid(text) if !text.is_empty()),
            "{filter}: {error}"
        );
    }
    let long = format!(".{}", " ".repeat(5_000));
    assert!(matches!(
        jq.check(ServerId::generate(), &long).await,
        Err(JqError::Invalid(_))
    ));
    jq.close().await;
    assert!(matches!(
        jq.check(ServerId::generate(), ".").await,
        Err(JqError::Unavailable(_))
    ));
}

async fn median(bench: &Bench, server: &Server, calls: usize) -> Duration {
    let mut times = Vec::new();
    for _ in 0..calls {
        let started = Instant::now();
        assert!(
            !bench
                .call(server, "list", json!({}))
                .await
                .unwrap()
                .is_error
        );
        times.push(started.elapsed());
    }
    times.sort();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_filters_harm_nobody_else() {
    let bench = Bench::local();
    let plain = server(&bench, None).await;
    let _warm = median(&bench, &plain, 20).await;
    let alone = median(&bench, &plain, 200).await;
    let jq = jq();
    for filter in HOSTILE {
        let hostile = async {
            let started = Instant::now();
            let result = jq.run(ServerId::generate(), filter, BODY.into()).await;
            (result, started.elapsed())
        };
        let ((result, took), beside) = tokio::join!(hostile, median(&bench, &plain, 200));
        assert!(result.is_err(), "{filter}: {result:?}");
        assert!(took < Duration::from_secs(5), "{filter} took {took:?}");
        let bound = (alone * 10 + Duration::from_millis(20)).max(Duration::from_secs(1));
        assert!(
            beside < bound,
            "{filter}: {beside:?} beside it, {alone:?} alone"
        );
        // The next one gets another worker.
        let good = quick(&jq, ServerId::generate(), ".items[0].id").await;
        assert_eq!(good.unwrap(), "1", "after {filter}");
    }
    jq.close().await;
    bench.mcp.jq.close().await;
}

/// The workers of a process, and the states they are in.
fn workers(parent: u32) -> Vec<(u32, char)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        let Some((head, rest)) = stat.rsplit_once(") ") else {
            continue;
        };
        let fields: Vec<&str> = rest.split(' ').collect();
        if fields[1] == parent.to_string() {
            let id = head.split(' ').next().unwrap().parse().unwrap();
            found.push((id, fields[0].chars().next().unwrap()));
        }
    }
    found
}

/// A server `shop` with one tool, `list`.
async fn publish(client: &Client) {
    let router = Router::new().route(
        "/items",
        get(async || ([("content-type", "application/json")], BODY)),
    );
    let address = serve_local(router).await;
    let document = json!({"openapi": "3.1.0", "info": {"title": "S", "version": "1"}, "servers": [{"url": format!("http://{address}")}],
        "paths": {"/items": {"get": {"operationId": "list", "responses": {"200": {"description": "ok"}}}}}});
    let new = json!({"slug": "shop", "document": document, "allowUpstream": [address.to_string()]});
    let (status, body) = client.api("POST", "servers", &new).await.unwrap();
    assert!(status < 300, "{status} {body}");
}

#[tokio::test]
async fn workers_end_with_the_process_that_started_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start(folder.path(), None).await;
    let client = process.client.clone();
    publish(&client).await;
    let set = async |jq: &str| {
        let shapes = json!({"answerShapes": {"GET /items": {"jq": jq}}});
        client.api("PATCH", "servers/shop", &shapes).await.unwrap()
    };
    for (filter, part) in [
        ("halt", "halt"),
        ("env", "env"),
        ("(", "expected"),
        ("import \"x\" as x; .", "modules"),
    ] {
        let (status, problem) = set(filter).await;
        assert_eq!(status, 422, "{filter}: {problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains(part) && detail.contains("GET /items"),
            "{detail}"
        );
    }
    let unknown = json!({"answerShapes": {"GET /nothing": {"fields": ["a"]}}});
    assert_eq!(
        client
            .api("PATCH", "servers/shop", &unknown)
            .await
            .unwrap()
            .0,
        422
    );
    let call = async || {
        let (status, trace) = client
            .api("POST", "servers/shop/tools/list/call", &json!({}))
            .await
            .unwrap();
        assert_eq!(status, 200, "{trace}");
        trace["result"]["content"].clone()
    };
    assert_eq!(set("def f: f; f").await.0, 200);
    let content = call().await;
    assert!(
        content.to_string().contains("longer than 1.0 s") && content.as_array().unwrap().len() == 1,
        "{content}"
    );
    assert_eq!(set(".items | length").await.0, 200);
    assert_eq!(call().await[0]["text"], "2");
    let running = workers(process.child.id().unwrap());
    assert!(
        !running.is_empty() && running.iter().all(|(_, state)| *state != 'Z'),
        "{running:?}"
    );
    let id = process.child.id().unwrap().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .await
            .unwrap()
            .success()
    );
    assert!(process.child.wait().await.unwrap().success());
    for (id, _) in running {
        assert!(
            !Path::new(&format!("/proc/{id}")).exists(),
            "worker {id} is left"
        );
    }
}

#[tokio::test]
async fn a_worker_without_a_question_does_nothing() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_causeway"));
    let command = command
        .arg("jq-worker")
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let output = command.output().await.unwrap();
    assert!(output.status.success() && output.stdout.is_empty());
    let help = Command::new(env!("CARGO_BIN_EXE_causeway"))
        .arg("--help")
        .output()
        .await
        .unwrap();
    let help: Value = String::from_utf8(help.stdout).unwrap().into();
    assert!(!help.as_str().unwrap().contains("jq-worker"));
}
