//! Shaped answers through the whole flow: what the owner keeps, what a call asks for, what is cut.

use axum::Router;
use axum::extract::RawQuery;
use axum::routing::get;
use causeway::credential::Credentials;
use causeway::mcp::provider::ToolOutcome;
use causeway::mcp::server::{Access, AnswerShape, Server, ServerSettings};
use http::StatusCode;
use indexmap::IndexMap;
use serde_json::{Value, json};

use crate::answers::texts;
use crate::call::Bench;
use crate::egress::serve_local;

pub(crate) fn document(origin: &str) -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Shop", "version": "1"},
        "servers": [{"url": origin}],
        "paths": {"/items": {"get": {
            "operationId": "list",
            "parameters": [
                {"name": "page", "in": "query", "schema": {"type": "integer"}},
                {"name": "per_page", "in": "query", "schema": {"type": "integer"}},
                {"name": "_fields", "in": "query", "schema": {"type": "string"}},
            ],
            "responses": {"200": {"description": "ok", "content": {"application/json": {"schema":
                {"type": "array", "items": {"type": "object", "properties": {"id": {"type": "integer"}, "body": {"type": "string"}}}}}}}},
        }}},
    })
}

fn items(count: u64) -> String {
    let items: Vec<Value> = (0..count)
        .map(|n| json!({"id": n, "body": "x".repeat(200), "more": {"a": 1}}))
        .collect();
    json!(items).to_string()
}

fn conforms(server: &Server, outcome: &ToolOutcome) -> Value {
    let structured: Value =
        serde_json::from_str(outcome.structured.as_ref().unwrap().get()).unwrap();
    let validator = server.tools["list"].output.as_ref().unwrap();
    assert!(validator.is_valid(&structured), "{structured}");
    structured
}

async fn bench(count: u64, settings: ServerSettings) -> (Bench, Server) {
    let router = Router::new().route(
        "/items",
        get(async move || ([("content-type", "application/json")], items(count))),
    );
    let origin = format!("http://{}", serve_local(router).await);
    let bench = Bench::local();
    let settings = ServerSettings {
        access: Access::Open,
        ..settings
    };
    let server = bench.server_with(&document(&origin), Credentials::default(), settings);
    (bench, server)
}

#[tokio::test]
async fn a_long_answer_is_cut_and_says_how_to_get_the_rest() {
    let (bench, server) = bench(1_000, ServerSettings::default()).await;
    let outcome = bench
        .call(&server, "list", json!({"per_page": 1_000}))
        .await
        .unwrap();
    let texts = texts(&outcome);
    assert!(texts[0].len() <= 64 << 10 && texts[0].len() > 60 << 10);
    let shown: Vec<Value> = serde_json::from_str(texts[0]).unwrap();
    assert_eq!(shown[0]["id"], 0);
    let structured = conforms(&server, &outcome);
    assert_eq!(structured["result"].as_array().unwrap(), &shown);
    let note = texts[1];
    let said = format!("the answer itself shows {} of 1000 elements", shown.len());
    for part in [&*said, "`_fields_2`", "`per_page`", "`page`"] {
        assert!(note.contains(part), "{part} in {note}");
    }
    // The next page would pass over what was cut of this one.
    assert!(outcome.meta.is_none() && !texts.concat().contains("More results"));
    let whole = json!({"per_page": 1_000, "_fields_2": ["id"]});
    let outcome = bench.call(&server, "list", whole.clone()).await.unwrap();
    let mut next = whole;
    next["page"] = json!(2);
    assert_eq!(outcome.meta.unwrap()["causeway/next"], next);
}

#[tokio::test]
async fn a_call_names_the_members_it_wants_and_the_owner_those_there_are() {
    let shape = AnswerShape {
        fields: vec!["id".to_owned(), "body".to_owned()],
        ..AnswerShape::default()
    };
    let settings = ServerSettings {
        answer_shapes: IndexMap::from([("GET /items".to_owned(), shape)]),
        ..ServerSettings::default()
    };
    let (bench, server) = bench(2, settings).await;
    let schema = &server.tools["list"].def.input_schema["properties"];
    assert_eq!(
        schema["_fields"]["type"], "string",
        "the API's own argument"
    );
    assert_eq!(schema["_fields_2"]["type"], "array");
    let outcome = bench
        .call(&server, "list", json!({"_fields_2": ["id"]}))
        .await
        .unwrap();
    assert_eq!(texts(&outcome)[0], r#"[{"id":0},{"id":1}]"#);
    conforms(&server, &outcome);
    let outcome = bench
        .call(&server, "list", json!({"_fields_2": "[\"*.id\"]"}))
        .await
        .unwrap();
    assert_eq!(texts(&outcome)[0], r#"[{"id":0},{"id":1}]"#);
    let outcome = bench
        .call(&server, "list", json!({"_fields_2": ["more"]}))
        .await
        .unwrap();
    assert!(
        texts(&outcome)[1].contains("no `more`. Its members are: id, body"),
        "{:?}",
        texts(&outcome)
    );
    conforms(&server, &outcome);
    let outcome = bench
        .call(&server, "list", json!({"_fields_2": ["a..b"]}))
        .await
        .unwrap();
    assert!(
        outcome.is_error && texts(&outcome)[0].contains("Argument `_fields_2`"),
        "{:?}",
        texts(&outcome)
    );
    let outcome = bench.call(&server, "list", json!({})).await.unwrap();
    assert!(!texts(&outcome)[0].contains("more") && texts(&outcome)[0].contains("body"));
}

#[tokio::test]
async fn hostile_answers_end_nothing_and_hold_up_nobody() {
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(50_000), "]".repeat(50_000));
    let page = format!("{}<p>down</p>", "<svg></svg>".repeat(200_000));
    let router = Router::new().route(
        "/items",
        get(
            async move |RawQuery(query): RawQuery| match query.as_deref() {
                Some("page=2") => (StatusCode::INTERNAL_SERVER_ERROR, page),
                _ => (StatusCode::OK, deep),
            },
        ),
    );
    let router = router.layer(axum::middleware::map_response(
        async |mut response: axum::response::Response| {
            if response.status().is_success() {
                let json = http::HeaderValue::from_static("application/json");
                response.headers_mut().insert("content-type", json);
            }
            response
        },
    ));
    let origin = format!("http://{}", serve_local(router).await);
    let bench = Bench::local();
    let settings = ServerSettings {
        access: Access::Open,
        ..ServerSettings::default()
    };
    let server = bench.server_with(&document(&origin), Credentials::default(), settings);
    let fields = json!({"_fields_2": ["a.b", "/a/0/0/0"]});
    let outcome = bench.call(&server, "list", fields).await.unwrap();
    assert!(texts(&outcome)[0].starts_with("{\"a\":[["), "{outcome:?}");
    let started = std::time::Instant::now();
    let outcome = bench
        .call(&server, "list", json!({"page": 2}))
        .await
        .unwrap();
    assert!(
        outcome.is_error && texts(&outcome)[0].contains("500"),
        "{outcome:?}"
    );
    let took = started.elapsed();
    assert!(took < std::time::Duration::from_secs(20), "{took:?}");
}
