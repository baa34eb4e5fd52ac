//! Sessions of the handshake era, where a server has them switched on.

use std::sync::Arc;

use causeway::mcp::server::{Access, ServerSettings, SessionSettings};
use causeway::types::ServerId;
use serde_json::{Value, json};

use crate::endpoint::{
    Events, HANDSHAKES, KEY_ALL, KEY_BETA, MODERN, Plan, Site, Talker, heard, open,
};

fn sessions(settings: ServerSettings, idle_ms: u64, sessions_max: usize) -> ServerSettings {
    ServerSettings {
        sessions: Some(SessionSettings {
            idle_ms,
            sessions_max,
        }),
        ..settings
    }
}

async fn site(settings: ServerSettings) -> Site {
    Site::with(Plan {
        settings,
        ..Plan::default()
    })
    .await
}

async fn initialize(site: &Site, headers: &[(&str, &str)]) -> String {
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": { "elicitation": {} } });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
    let reply = site.post(headers, body.to_string()).reply().await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let capabilities = &reply.json()["result"]["capabilities"];
    assert_eq!(capabilities["tools"], json!({ "listChanged": true }));
    assert_eq!(capabilities["resources"]["subscribe"], true);
    assert_eq!(capabilities["logging"], json!({}));
    let id = reply.header("mcp-session-id").to_owned();
    assert!(
        id.len() >= 32 && id.bytes().all(|b| b.is_ascii_graphic()),
        "{id}"
    );
    id
}

/// A session of the version that has batches.
async fn batching(site: &Site) -> String {
    let params = json!({ "protocolVersion": "2025-03-26", "capabilities": {} });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
    let reply = site.post(&[], body.to_string()).reply().await;
    reply.header("mcp-session-id").to_owned()
}

fn wait(id: usize) -> Value {
    let params = json!({ "name": "wait", "arguments": {} });
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })
}

/// The status of a ping within a session.
async fn ping(site: &Site, session: &str, headers: &[(&str, &str)]) -> u16 {
    let mut all = vec![("mcp-session-id", session)];
    all.extend(headers);
    let sending = site.ask_with(&all, "2025-11-25", "ping", json!({}));
    sending.reply().await.status.as_u16()
}

async fn stream(site: &Site, session: &str) -> Events {
    let get = site
        .http("GET", "/mcp/api")
        .header("mcp-session-id", session);
    Events::of(get.send().await.unwrap())
}

#[tokio::test]
async fn a_session_lives_from_initialize_to_delete() {
    let site = site(sessions(open(), 60_000, 10)).await;
    let session = initialize(&site, &[]).await;
    assert_eq!(ping(&site, &session, &[]).await, 200);
    assert_eq!(ping(&site, "unknown", &[]).await, 404);
    let delete = || {
        site.http("DELETE", "/mcp/api")
            .header("mcp-session-id", &session)
    };
    assert_eq!(delete().send().await.unwrap().status(), 204);
    assert_eq!(ping(&site, &session, &[]).await, 404);
    assert_eq!(delete().send().await.unwrap().status(), 404);
    let get = site
        .http("GET", "/mcp/api")
        .header("mcp-session-id", &session);
    assert_eq!(get.send().await.unwrap().status(), 404);
    // Without a session everything works, and the stateless era knows none.
    let list = site
        .ask(HANDSHAKES[3], "tools/list", json!({}))
        .reply()
        .await;
    assert_eq!(list.status, 200);
    let header = [("mcp-session-id", session.as_str())];
    let list = site
        .ask_with(&header, MODERN, "tools/list", json!({}))
        .result()
        .await;
    assert_eq!(list["resultType"], "complete");
}

#[tokio::test]
async fn a_session_speaks_the_version_it_began_with() {
    let site = site(sessions(open(), 60_000, 10)).await;
    let session = initialize(&site, &[]).await;
    let header = [("mcp-session-id", session.as_str())];
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let tool = site.post(&header, list).reply().await.json()["result"]["tools"][0].clone();
    assert!(
        tool.get("outputSchema").is_some(),
        "2025-11-25 has output schemas: {tool}"
    );
    let headers = [header[0], ("mcp-protocol-version", "2099-01-01")];
    assert_eq!(
        site.post(&headers, list).reply().await.fault(),
        (400, -32_022)
    );
}

#[tokio::test]
async fn an_idle_session_is_forgotten() {
    let site = site(sessions(open(), 0, 10)).await;
    let session = initialize(&site, &[]).await;
    assert_eq!(ping(&site, &session, &[]).await, 404);
}

#[tokio::test]
async fn the_session_idle_longest_makes_room() {
    let site = site(sessions(open(), 60_000, 2)).await;
    let first = initialize(&site, &[]).await;
    let second = initialize(&site, &[]).await;
    assert_eq!(ping(&site, &first, &[]).await, 200);
    let third = initialize(&site, &[]).await;
    let mut alive = Vec::new();
    for session in [&first, &second, &third] {
        alive.push(ping(&site, session, &[]).await);
    }
    assert_eq!(alive, [200, 404, 200]);
}

#[tokio::test]
async fn a_session_is_good_only_for_whoever_began_it() {
    let settings = ServerSettings {
        access: Access::Key,
        ..ServerSettings::default()
    };
    let site = site(sessions(settings, 60_000, 10)).await;
    let session = initialize(&site, &[("x-api-key", KEY_ALL)]).await;
    assert_eq!(ping(&site, &session, &[("x-api-key", KEY_ALL)]).await, 200);
    assert_eq!(ping(&site, &session, &[("x-api-key", KEY_BETA)]).await, 404);
    assert_eq!(ping(&site, &session, &[]).await, 401);
    let delete = site
        .http("DELETE", "/mcp/api")
        .header("mcp-session-id", &session);
    let foreign = delete.header("x-api-key", KEY_BETA).send().await.unwrap();
    assert_eq!(foreign.status(), 404);
    assert_eq!(ping(&site, &session, &[("x-api-key", KEY_ALL)]).await, 200);
}

#[tokio::test]
async fn a_session_hears_of_changes_on_its_stream() {
    let site = site(sessions(open(), 60_000, 10)).await;
    let session = initialize(&site, &[]).await;
    let header = [("mcp-session-id", session.as_str())];
    let uri = json!({ "uri": "causeway://api/overview" });
    for (method, params) in [
        ("resources/subscribe", uri.clone()),
        (
            "resources/subscribe",
            json!({ "uri": "causeway://api/tools/alpha" }),
        ),
        (
            "resources/unsubscribe",
            json!({ "uri": "causeway://api/tools/alpha" }),
        ),
    ] {
        let sending = site.ask_with(&header, "2025-11-25", method, params);
        assert_eq!(sending.result().await, json!({}));
    }
    let mut first = stream(&site, &session).await;
    let mut second = stream(&site, &session).await;
    assert_eq!(first.next().await, None, "one stream at a time");
    site.edit(&["alpha"]);
    for list in ["tools", "resources", "prompts"] {
        let expected = format!("notifications/{list}/list_changed");
        assert_eq!(second.message().await["method"], expected);
    }
    let updated = second.message().await;
    assert_eq!(updated["method"], "notifications/resources/updated");
    assert_eq!(updated["params"], uri);
    let delete = site
        .http("DELETE", "/mcp/api")
        .header("mcp-session-id", &session);
    assert_eq!(delete.send().await.unwrap().status(), 204);
    assert_eq!(
        second.next().await,
        None,
        "the stream ends with the session"
    );
}

#[tokio::test]
async fn a_call_can_ask_its_client_within_a_session() {
    let (mut plan, _signs) = Talker::plan();
    plan.settings = sessions(open(), 60_000, 10);
    let site = Site::with(plan).await;
    let session = initialize(&site, &[]).await;
    let header = [("mcp-session-id", session.as_str())];
    let call = json!({ "name": "ask", "arguments": {} });
    let mut events = site
        .ask_with(&header, "2025-11-25", "tools/call", call)
        .events()
        .await;
    let question = events.message().await;
    assert_eq!(question["method"], "elicitation/create");
    let answer =
        json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": "accept" } });
    assert_eq!(
        site.post(&header, answer.to_string()).reply().await.status,
        202
    );
    let result = events.message().await;
    assert_eq!(
        result["result"]["content"][0]["text"],
        r#"{"action":"accept"}"#
    );
    assert_eq!(events.next().await, None);
    // Without a session there is nobody to ask.
    let call = json!({ "name": "ask", "arguments": {} });
    let reply = site.ask("2025-11-25", "tools/call", call).reply().await;
    assert_eq!(reply.fault(), (200, -32_602));
}

#[tokio::test]
async fn a_call_is_cancelled_by_a_notification() {
    let (mut plan, mut signs) = Talker::plan();
    plan.settings = sessions(open(), 60_000, 10);
    let site = Arc::new(Site::with(plan).await);
    let session = initialize(&site, &[]).await;
    let header = [("mcp-session-id", session.as_str())];
    let call = json!({ "name": "wait", "arguments": {} });
    let call = site.ask_with(&header, "2025-11-25", "tools/call", call);
    let call = tokio::spawn(call.reply());
    assert_eq!(heard(&mut signs).await, "waiting");
    let cancel = json!({
        "jsonrpc": "2.0",
        "method": "notifications/cancelled",
        "params": { "requestId": 7 },
    });
    assert_eq!(
        site.post(&header, cancel.to_string()).reply().await.status,
        202
    );
    assert_eq!(heard(&mut signs).await, "over");
    let reply: Value = call.await.unwrap().json();
    assert_eq!(reply["error"]["message"], "cancelled");
}

#[tokio::test]
async fn each_server_has_its_own_patience_with_sessions() {
    let site = site(sessions(open(), 60_000, 10)).await;
    let mut other = site.server(&["alpha"], sessions(open(), 0, 10), None, 1);
    other.id = ServerId::generate();
    other.slug = "other".parse().unwrap();
    site.catalog.replace(Arc::new(other));
    let session = initialize(&site, &[]).await;
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {} });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
    for _ in 0..3 {
        let sent = site.http("POST", "/mcp/other").body(body.to_string());
        let sent = sent.header("content-type", "application/json").send().await;
        assert!(sent.unwrap().headers().contains_key("mcp-session-id"));
    }
    assert_eq!(ping(&site, &session, &[]).await, 200);
}

#[tokio::test]
async fn what_comes_in_an_array_is_cancelled_by_a_notification() {
    let (mut plan, mut signs) = Talker::plan();
    plan.settings = sessions(open(), 60_000, 10);
    let site = Site::with(plan).await;
    let session = batching(&site).await;
    let header = [("mcp-session-id", session.as_str())];
    let batch = json!([wait(7), wait(8)]).to_string();
    let batch = tokio::spawn(site.post(&header, batch).reply());
    for _ in 0..2 {
        assert_eq!(heard(&mut signs).await, "waiting");
    }
    for id in [8, 7] {
        let params = json!({ "requestId": id });
        let method = "notifications/cancelled";
        let cancel = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        let sent = site.post(&header, cancel.to_string()).reply().await;
        assert_eq!(sent.status, 202);
        assert_eq!(heard(&mut signs).await, "over");
    }
    let replies = batch.await.unwrap().json();
    let ids: Vec<_> = replies
        .as_array()
        .unwrap()
        .iter()
        .map(|r| &r["id"])
        .collect();
    assert_eq!(ids, [7, 8], "{replies}");
    assert_eq!(replies[0]["error"]["message"], "cancelled");
}

#[tokio::test]
async fn what_comes_in_an_array_counts_as_running() {
    let (mut plan, mut signs) = Talker::plan();
    plan.settings = sessions(open(), 60_000, 10);
    let site = Site::with(plan).await;
    let session = batching(&site).await;
    let header = [("mcp-session-id", session.as_str())];
    let mut sent = Vec::new();
    for ids in [0..40, 40..64] {
        let batch = ids.clone().map(wait).collect::<Value>().to_string();
        sent.push(tokio::spawn(site.post(&header, batch).reply()));
        for _ in ids {
            assert_eq!(heard(&mut signs).await, "waiting");
        }
    }
    let ping = json!([{ "jsonrpc": "2.0", "id": 99, "method": "ping" }]).to_string();
    let replies = site.post(&header, ping.clone()).reply().await.json();
    let message = &replies[0]["error"]["message"];
    assert_eq!(message, "too many requests at once", "{replies}");
    sent.iter().for_each(tokio::task::JoinHandle::abort);
    for _ in 0..64 {
        assert_eq!(heard(&mut signs).await, "over");
    }
    let accept = [header[0], ("accept", "text/event-stream")];
    let replies = site.post(&accept, ping).events().await.message().await;
    assert_eq!(
        replies,
        json!([{ "jsonrpc": "2.0", "id": 99, "result": {} }])
    );
}
