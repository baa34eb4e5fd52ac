//! Streams: HTTP+SSE of old, `subscriptions/listen`, progress, and what happens when a client leaves.

use std::time::Duration;

use causeway::mcp::server::{Access, ServerSettings};
use serde_json::{Value, json};

use crate::endpoint::{
    Events, HANDSHAKES, KEY_ALL, KEY_BETA, MODERN, PATIENCE, Plan, Site, Talker, heard, is_pretty,
    pretty,
};
use crate::program::{Serving, example};

/// The stream of an old client, and the path it is told to POST to.
async fn legacy(site: &Site) -> (Events, String) {
    let get = site.http("GET", "/mcp/api/sse");
    let mut events = Events::of(get.send().await.unwrap());
    let (kind, path) = events.next().await.unwrap();
    assert_eq!(kind, "endpoint");
    assert!(path.starts_with("/mcp/api/messages?sessionId="), "{path}");
    (events, path)
}

async fn post(site: &Site, path: &str, message: &Value) -> u16 {
    let request = site.http("POST", path);
    let request = request.header("content-type", "application/json");
    let response = request.body(message.to_string()).send().await.unwrap();
    response.status().as_u16()
}

fn message(id: u32, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

#[tokio::test]
async fn an_old_client_is_served_over_its_stream() {
    let site = Site::start().await;
    let (mut events, path) = legacy(&site).await;
    let params = json!({ "protocolVersion": "2024-11-05", "capabilities": {} });
    assert_eq!(
        post(&site, &path, &message(1, "initialize", params)).await,
        202
    );
    let result = events.message().await["result"].clone();
    assert_eq!(result["protocolVersion"], "2024-11-05");
    assert_eq!(result["capabilities"]["tools"]["listChanged"], true);
    let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    assert_eq!(post(&site, &path, &initialized).await, 202);
    let list = message(2, "tools/list", json!({}));
    assert_eq!(post(&site, &path, &list).await, 202);
    let list = events.message().await;
    assert_eq!(list["id"], 2);
    assert_eq!(list["result"]["tools"][2]["name"], "gamma");
    assert!(
        list["result"]["tools"][0].get("outputSchema").is_none(),
        "2024-11-05"
    );
    let call = message(3, "tools/call", json!({ "name": "alpha", "arguments": {} }));
    assert_eq!(post(&site, &path, &call).await, 202);
    assert_eq!(events.message().await["result"]["isError"], false);

    site.edit(&["alpha", "delta"]);
    for list in ["tools", "resources", "prompts"] {
        let expected = format!("notifications/{list}/list_changed");
        assert_eq!(events.message().await["method"], expected);
    }
    let list = message(4, "tools/list", json!({}));
    assert_eq!(post(&site, &path, &list).await, 202);
    assert_eq!(
        events.message().await["result"]["tools"][1]["name"],
        "delta"
    );

    site.shutdown.cancel();
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn an_old_client_may_send_an_array_where_its_version_has_batches() {
    let site = Site::start().await;
    let note = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let ping = |id| message(id, "ping", json!({}));
    let initialize = |version| {
        let params = json!({ "protocolVersion": version, "capabilities": {} });
        message(1, "initialize", params)
    };
    let (mut events, path) = legacy(&site).await;
    assert_eq!(post(&site, &path, &initialize("2025-03-26")).await, 202);
    assert_eq!(events.message().await["id"], 1);
    let batch = json!([note, ping(2), initialize("2025-03-26"), 7, ping(3)]);
    assert_eq!(post(&site, &path, &batch).await, 202);
    let mut replies = Vec::new();
    for _ in 0..4 {
        let reply = events.message().await;
        replies.push((reply["id"].as_u64(), reply["error"]["code"].as_i64()));
    }
    replies.sort_unstable();
    let expected = [
        (None, Some(-32_600)),
        (Some(1), Some(-32_600)),
        (Some(2), None),
        (Some(3), None),
    ];
    assert_eq!(replies, expected);

    let (mut events, path) = legacy(&site).await;
    assert_eq!(post(&site, &path, &initialize("2024-11-05")).await, 202);
    assert_eq!(events.message().await["id"], 1);
    assert_eq!(post(&site, &path, &json!([ping(2)])).await, 400);
}

#[tokio::test]
async fn a_stream_is_asked_only_by_its_session() {
    let site = Site::start().await;
    let (_events, path) = legacy(&site).await;
    let list = message(1, "tools/list", json!({}));
    for unknown in [
        "/mcp/api/messages",
        "/mcp/api/messages?sessionId=1",
        "/mcp/api/messages?sessionId=",
    ] {
        assert_eq!(post(&site, unknown, &list).await, 404, "{unknown}");
    }
    assert_eq!(post(&site, &path, &json!({ "jsonrpc": "2.0" })).await, 400);
    let response = site.http("GET", &path).send().await.unwrap();
    assert_eq!(response.status(), 405);
}

#[tokio::test]
async fn every_message_to_a_stream_brings_its_key() {
    let site = Site::with(Plan {
        settings: ServerSettings::default(),
        ..Plan::default()
    })
    .await;
    let get = site.http("GET", "/mcp/api/sse");
    let get = get.header("x-api-key", KEY_ALL).send().await.unwrap();
    let mut events = Events::of(get);
    let (_, path) = events.next().await.unwrap();
    let call = message(1, "tools/call", json!({ "name": "alpha", "arguments": {} }));
    for (key, status) in [
        (None, 401),
        (Some("wrong"), 401),
        (Some(KEY_BETA), 404),
        (Some(KEY_ALL), 202),
    ] {
        let mut request = site.http("POST", &path).body(call.to_string());
        request = request.header("content-type", "application/json");
        if let Some(key) = key {
            request = request.header("x-api-key", key);
        }
        assert_eq!(request.send().await.unwrap().status(), status, "{key:?}");
    }
    assert_eq!(events.message().await["result"]["isError"], false);
}

#[tokio::test]
async fn old_clients_can_be_switched_off() {
    let site = Site::with(Plan {
        settings: ServerSettings {
            access: Access::Open,
            legacy_sse: Some(false),
            ..ServerSettings::default()
        },
        ..Plan::default()
    })
    .await;
    let response = site.http("GET", "/mcp/api/sse").send().await.unwrap();
    assert_eq!(response.status(), 404);
}

#[tokio::test]
async fn one_principal_has_at_most_twenty_streams_of_the_old_kind() {
    let site = Site::with(Plan {
        settings: ServerSettings::default(),
        ..Plan::default()
    })
    .await;
    let open = async |key: &str| {
        let get = site.http("GET", "/mcp/api/sse").header("x-api-key", key);
        get.send().await.unwrap()
    };
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut events = Events::of(open(KEY_ALL).await);
        assert_eq!(events.next().await.unwrap().0, "endpoint");
        streams.push(events);
    }
    assert_eq!(open(KEY_ALL).await.status(), 503);
    assert_eq!(
        open(KEY_BETA).await.status(),
        200,
        "others are not in the way"
    );
    streams.pop();
    // The end of a connection is noticed soon, not at once.
    let again = async {
        while open(KEY_ALL).await.status() != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.unwrap();
}

#[tokio::test]
async fn whoever_listens_hears_what_was_asked_for() {
    let site = Site::start().await;
    let wanted = json!({
        "toolsListChanged": true,
        "promptsListChanged": false,
        "resourceSubscriptions": ["causeway://api/overview"],
        "unknown": true,
    });
    let params = json!({ "notifications": wanted });
    let mut events = site
        .ask(MODERN, "subscriptions/listen", params)
        .events()
        .await;
    assert_eq!(events.response.headers()["x-accel-buffering"], "no");
    let acknowledged = events.message().await;
    assert_eq!(
        acknowledged["method"],
        "notifications/subscriptions/acknowledged"
    );
    assert_eq!(
        acknowledged["params"]["notifications"],
        json!({ "toolsListChanged": true, "resourceSubscriptions": ["causeway://api/overview"] })
    );
    site.edit(&["alpha"]);
    let subscription = "/params/_meta/io.modelcontextprotocol~1subscriptionId";
    for method in [
        "notifications/tools/list_changed",
        "notifications/resources/updated",
    ] {
        let notice = events.message().await;
        assert_eq!(notice["method"], method);
        assert_eq!(notice.pointer(subscription), Some(&json!(7)));
    }
    site.edit(&["beta"]);
    assert_eq!(
        events.message().await["method"],
        "notifications/tools/list_changed"
    );
    assert_eq!(
        events.message().await["method"],
        "notifications/resources/updated"
    );
    site.shutdown.cancel();
    let last = events.message().await;
    assert_eq!(
        (&last["id"], &last["result"]["resultType"]),
        (&json!(7), &json!("complete"))
    );
    assert_eq!(events.next().await, None);

    let reply = site
        .ask(MODERN, "subscriptions/listen", json!({}))
        .reply()
        .await;
    assert_eq!(reply.fault(), (200, -32_602));
}

#[tokio::test]
async fn progress_is_streamed_to_whoever_asks_for_it() {
    let (plan, _signs) = Talker::plan();
    let site = Site::with(plan).await;
    for version in HANDSHAKES.into_iter().chain([MODERN]) {
        let call = json!({
            "name": "progress",
            "arguments": {},
            "_meta": { "progressToken": "t" },
        });
        let mut events = site.ask(version, "tools/call", call.clone()).events().await;
        let first = events.message().await;
        assert_eq!(first["method"], "notifications/progress");
        assert_eq!(
            first["params"],
            json!({ "progressToken": "t", "progress": 1.0, "total": 2.0, "message": "half" })
        );
        assert_eq!(events.message().await["params"]["progress"], 2.0);
        let last = events.message().await;
        assert_eq!(last["result"]["content"][0]["text"], "reported");
        assert_eq!(events.next().await, None);

        let mut quiet = call.clone();
        quiet["_meta"] = json!({});
        let reply = site.ask(version, "tools/call", quiet).reply().await;
        assert_eq!(reply.header("content-type"), "application/json");
        let accept = [("accept", "application/json")];
        let reply = site
            .ask_with(&accept, version, "tools/call", call)
            .reply()
            .await;
        assert_eq!(reply.json()["result"]["content"][0]["text"], "reported");
    }
}

#[tokio::test]
async fn a_call_ends_when_its_client_leaves() {
    let (plan, mut signs) = Talker::plan();
    let site = Site::with(plan).await;
    for version in HANDSHAKES.into_iter().chain([MODERN]) {
        let call = json!({ "name": "wait", "arguments": {} });
        let call = tokio::spawn(site.ask(version, "tools/call", call).reply());
        assert_eq!(heard(&mut signs).await, "waiting");
        call.abort();
        assert_eq!(heard(&mut signs).await, "over", "{version}");
    }
    // In the middle of a stream.
    let call = json!({ "name": "wait", "arguments": {}, "_meta": { "progressToken": 1 } });
    let mut events = site.ask(MODERN, "tools/call", call).events().await;
    assert_eq!(events.message().await["params"]["progress"], 0.0);
    assert_eq!(heard(&mut signs).await, "waiting");
    drop(events);
    assert_eq!(heard(&mut signs).await, "over");

    let (events, path) = legacy(&site).await;
    let call = message(1, "tools/call", json!({ "name": "wait", "arguments": {} }));
    assert_eq!(post(&site, &path, &call).await, 202);
    assert_eq!(heard(&mut signs).await, "waiting");
    drop(events);
    assert_eq!(heard(&mut signs).await, "over");
}

#[tokio::test]
async fn an_open_stream_outlives_quiet_times() {
    let site = Site::start().await;
    let (mut events, _path) = legacy(&site).await;
    // Nothing is said, and the stream does not end.
    let quiet = tokio::time::timeout(Duration::from_millis(50), events.next()).await;
    assert!(quiet.is_err());
}

#[tokio::test]
async fn what_an_api_writes_over_several_lines_is_one_event() {
    let site = Site::with(pretty().await).await;
    let call = || json!({ "name": "alpha", "arguments": {} });
    let accept = [("accept", "text/event-stream")];
    for version in [HANDSHAKES[2], HANDSHAKES[3], MODERN] {
        let sent = site.ask_with(&accept, version, "tools/call", call());
        is_pretty(&sent.events().await.message().await["result"]);
        let sent = site.ask(version, "tools/call", call());
        is_pretty(&sent.result().await);
    }
    let (mut events, path) = legacy(&site).await;
    let params = json!({ "protocolVersion": "2025-06-18", "capabilities": {} });
    let initialize = message(1, "initialize", params);
    assert_eq!(post(&site, &path, &initialize).await, 202);
    assert_eq!(events.message().await["id"], 1);
    let call = message(2, "tools/call", call());
    assert_eq!(post(&site, &path, &call).await, 202);
    is_pretty(&events.message().await["result"]);
}

#[tokio::test]
async fn strangers_are_told_apart_by_their_address() {
    let file = example("petstore.yaml");
    let served = Serving::document(&file, &[]).await;
    let from = |address: [u8; 4]| {
        let http = reqwest::Client::builder().local_address(Some(address.into()));
        http.build()
            .unwrap()
            .get(format!("{}/mcp/sse", served.origin))
    };
    let here = from([127, 0, 0, 1]);
    let mut streams = Vec::new();
    for _ in 0..20 {
        let stream = here.try_clone().unwrap().send().await.unwrap();
        assert_eq!(stream.status(), 200);
        streams.push(stream);
    }
    assert_eq!(here.send().await.unwrap().status(), 503);
    assert_eq!(from([127, 0, 0, 2]).send().await.unwrap().status(), 200);
}
