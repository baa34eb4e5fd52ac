//! A budget in dollars that two processes spend together, one of which is killed in the middle of its requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::serving::{Client, Process};
use crate::{ALONE, fresh};

/// What the provider says that each request used, at the prices of gpt-4o-mini: 0.15 and 0.60 dollars a million.
const PROMPT: u64 = 100;
const WRITTEN: u64 = 500;
const NANOS_EACH: u64 = PROMPT * 150 + WRITTEN * 600;
/// Of fifty requests, in millionths of a dollar and in billionths.
const BUDGET: u64 = 50 * NANOS_EACH / 1_000;
const BUDGET_NANOS: u64 = BUDGET * 1_000;
/// The most that is reserved for a request: its bytes as tokens, and what it may be answered with.
const RESERVED_MAX: u64 = BODY_BYTES_MAX * 150 + WRITTEN * 600;
const BODY_BYTES_MAX: u64 = 600;
const TAKES: Duration = Duration::from_millis(150);

/// A provider that is paid once it is asked, whether anybody waits for the answer or not.
async fn chat(State(paid): State<Arc<AtomicU64>>, Json(asked): Json<Value>) -> Json<Value> {
    paid.fetch_add(NANOS_EACH, Ordering::SeqCst);
    tokio::time::sleep(TAKES).await;
    let usage = json!({
        "prompt_tokens": PROMPT, "completion_tokens": WRITTEN, "total_tokens": PROMPT + WRITTEN,
    });
    let message = json!({ "role": "assistant", "content": "a" });
    let choice = json!({ "index": 0, "message": message, "finish_reason": "stop" });
    Json(json!({
        "id": "x", "object": "chat.completion", "created": 1, "model": asked["model"], "choices": [choice],
        "usage": usage,
    }))
}

/// The status of a request, `None` where its process is gone.
async fn ask(client: &Client, key: &str) -> Option<u16> {
    let content = "word ".repeat(80);
    let body = json!({
        "model": "m", "max_tokens": WRITTEN, "messages": [{ "role": "user", "content": content }],
    });
    let body = body.to_string();
    assert!(body.len() as u64 <= BODY_BYTES_MAX);
    let url = format!("{}/v1/chat/completions", client.origin);
    let sent = client.http.post(url).bearer_auth(key).body(body).send();
    sent.await.ok().map(|answer| answer.status().as_u16())
}

async fn done(client: &Client, method: &str, path: &str, body: Value) -> Value {
    let (status, said) = client.api(method, path, &body).await.unwrap();
    assert!(status < 300, "{path}: {status} {said}");
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_and_a_kill_spend_no_more_than_a_budget() {
    let _alone = ALONE.write().await;
    let place = fresh().await;
    let url = Some(place.url.as_str());
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let stays = Process::start(folders[0].path(), url).await;
    let killed = Process::start(folders[1].path(), url).await;
    let paid = Arc::<AtomicU64>::default();
    let router = Router::new().route("/v1/chat/completions", post(chat));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = router.with_state(paid.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });

    let one = &stays.client;
    let provider = json!({
        "kind": "openai", "parameters": { "base_url": format!("http://{address}/v1") },
        "allowUpstream": [address.to_string()],
    });
    done(one, "PUT", "providers/p", provider).await;
    done(
        one,
        "PUT",
        "providers/p/keys/main",
        json!({ "value": "sk-0123456789" }),
    )
    .await;
    let model = json!({
        "targets": [{ "provider": "p", "model": "gpt-4o-mini" }],
        "limits": [{ "unit": "money", "amount": BUDGET, "window": "month", "scope": "server" }],
    });
    done(one, "PUT", "models/m", model).await;
    let made = done(one, "POST", "keys", json!({ "name": "app" })).await;
    let key = made["key"].as_str().unwrap();
    // The other one has heard of it, too.
    while ask(&killed.client, key).await != Some(200) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let clients = [stays.client.clone(), killed.client.clone()];
    let all = (0..200).map(|n| ask(&clients[n % 2], key));
    let end = async {
        while paid.load(Ordering::SeqCst) < 10 * NANOS_EACH {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        killed.kill().await;
    };
    let (statuses, ()) = tokio::join!(join_all(all), end);
    let again = Process::start(folders[1].path(), url).await;
    let clients = [&stays.client, &again.client];
    let more = join_all((0..100).map(|n| ask(clients[n % 2], key))).await;

    let paid = paid.load(Ordering::SeqCst);
    println!("{paid} of {BUDGET_NANOS} billionths of a dollar were spent");
    // Two processes at a time: what each may have on its way beyond is one request.
    assert!(
        paid <= BUDGET_NANOS + 2 * RESERVED_MAX,
        "{paid} of {BUDGET_NANOS}"
    );
    assert!(paid >= 20 * NANOS_EACH, "nearly nothing was let in: {paid}");
    assert!(
        statuses.contains(&None),
        "nothing was under way when it was killed"
    );
    assert!(statuses.contains(&Some(200)));
    // It is used up, for both.
    assert!(more.contains(&Some(429)), "{more:?}");
    for client in clients {
        assert_eq!(ask(client, key).await, Some(429));
    }
}
