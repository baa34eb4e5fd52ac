//! SIGTERM while models answer: what runs is finished first, and what does not end in time is told so.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};

use crate::cli::end::no_longer_listens;
use crate::egress::serve_local;
use crate::managing::Site;
use crate::models::upstream::GOOD;
use crate::program::PATIENCE;

/// A provider that says when it is asked, and whose answers end when they may. Of what comes in pieces the first comes at
/// once, of the model `still` no more than a beginning that says nothing.
#[derive(Clone)]
struct Slow {
    asked: Arc<Semaphore>,
    go: Arc<Notify>,
}

const ASKED: [(&str, &str, bool); 6] = [
    ("chat/completions", "m", false),
    ("chat/completions", "m", true),
    ("chat/completions", "still", false),
    ("chat/completions", "still", true),
    ("embeddings", "still", false),
    ("audio/speech", "m", false),
];

impl Slow {
    fn router(&self) -> Router {
        let slow = self.clone();
        let chat = async move |body: Bytes| {
            let asked: Value = serde_json::from_slice(&body).unwrap();
            let slow = slow.clone();
            let is_still = asked["model"] == "still";
            if asked["stream"] == true {
                let first = event("one", None);
                let pieces = if is_still {
                    [": thinking\n\n".to_owned(), first + &ending()]
                } else {
                    [first, ending()]
                };
                slow.pieces("text/event-stream", pieces)
            } else {
                let answer = json!({
                    "id": "c", "object": "chat.completion", "created": 1, "model": "m",
                    "choices": [{ "index": 0, "message": { "role": "assistant", "content": "all" }, "finish_reason": "stop" }],
                    "usage": { "prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4 },
                });
                slow.whole(answer, is_still).await
            }
        };
        let slow = self.clone();
        let embeddings = async move || {
            let answer = json!({
                "object": "list", "model": "m", "usage": { "prompt_tokens": 3, "total_tokens": 3 },
                "data": [{ "object": "embedding", "index": 0, "embedding": [0.5] }],
            });
            slow.whole(answer, true).await
        };
        let slow = self.clone();
        // With a key, cut in two.
        let (half, rest) = GOOD.split_at(7);
        let said = [format!("one {half}"), format!("{rest} two")];
        let speech = async move || slow.pieces("audio/mpeg", said.clone());
        Router::new()
            .route("/v1/chat/completions", post(chat))
            .route("/v1/embeddings", post(embeddings))
            .route("/v1/audio/speech", post(speech))
    }

    /// As one piece, or with its headers and a brace before.
    async fn whole(&self, answer: Value, begins: bool) -> Response {
        if begins {
            let text = answer.to_string();
            let (first, rest) = text.split_at(1);
            return self.pieces("application/json", [first.to_owned(), rest.to_owned()]);
        }
        self.asked.add_permits(1);
        self.go.notified().await;
        axum::Json(answer).into_response()
    }

    fn pieces(&self, media: &'static str, [first, last]: [String; 2]) -> Response {
        self.asked.add_permits(1);
        let go = self.go.clone();
        let last = stream::once(async move {
            go.notified().await;
            last
        });
        let pieces = stream::iter([first]).chain(last);
        let body = Body::from_stream(pieces.map(Ok::<_, std::convert::Infallible>));
        ([("content-type", media)], body).into_response()
    }

    /// Until as many are asked as are sent.
    async fn all_asked(&self) {
        let count = u32::try_from(ASKED.len()).unwrap();
        let all = self.asked.acquire_many(count);
        let all = tokio::time::timeout(PATIENCE, all).await;
        all.expect("all are asked in time").unwrap().forget();
    }
}

fn event(text: &str, finish: Option<&str>) -> String {
    let delta = json!({ "role": "assistant", "content": text });
    let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
    let chunk = json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice] });
    format!("data: {chunk}\n\n")
}

fn ending() -> String {
    format!("{}data: [DONE]\n\n", event(" two", Some("stop")))
}

async fn set_up(settings: &[(&str, &str)]) -> (Site, Slow, String) {
    let slow = Slow {
        asked: Arc::new(Semaphore::new(0)),
        go: Arc::default(),
    };
    let (site, address) = (
        Site::start(settings).await,
        serve_local(slow.router()).await,
    );
    let provider = json!({
        "kind": "openai",
        "parameters": { "base_url": format!("http://{address}/v1") },
        "allowUpstream": [address.to_string()],
    });
    site.done("PUT", "providers/slow", provider).await;
    let key = json!({ "value": GOOD });
    site.done("PUT", "providers/slow/keys/main", key).await;
    let made = site.done("POST", "keys", json!({ "name": "app" })).await;
    (site, slow, made["key"].as_str().unwrap().to_owned())
}

/// What becomes of one of each, whole and in pieces: the status, and what was said, if it came to its end.
async fn answers(site: &Site, key: &str) -> Vec<(u16, Result<String, reqwest::Error>)> {
    let ask = async |(path, model, stream): (&str, &str, bool)| {
        let body = json!({
            "model": format!("slow/{model}"), "stream": stream, "input": "hi", "voice": "alloy",
            "messages": [{ "role": "user", "content": "hi" }],
        });
        let url = format!("{}/v1/{path}", site.served.origin);
        let request = site.client.post(url).bearer_auth(key);
        let request = request.header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await)
    };
    futures::future::join_all(ASKED.map(ask)).await
}

#[tokio::test]
async fn answers_of_models_come_to_their_end_before_the_process_does() {
    let (site, slow, key) = set_up(&[]).await;
    let stop = async {
        slow.all_asked().await;
        site.served.terminate();
        let deaf = tokio::time::timeout(PATIENCE, no_longer_listens(&site.served));
        deaf.await.expect("the listener closes in time");
        slow.go.notify_waiters();
    };
    let (answers, ()) = tokio::join!(answers(&site, &key), stop);
    let ends = [
        "\"all\"",
        "[DONE]",
        "\"all\"",
        "[DONE]",
        "0.5",
        "one [masked] two",
    ];
    for ((status, said), (asked, end)) in answers.iter().zip(ASKED.iter().zip(ends)) {
        let said = said.as_ref().unwrap();
        assert_eq!(*status, 200, "{asked:?}: {said}");
        assert!(said.contains(end), "{asked:?}: {said}");
        assert!(!said.contains("shutting down"), "{asked:?}: {said}");
    }
    let (code, log) = site.served.ended().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("did not end in time"), "{log}");
}

#[tokio::test]
async fn answers_of_models_that_take_too_long_are_told_that_the_process_ends() {
    let grace = [("CAUSEWAY__SERVER__SHUTDOWN_GRACE_MS", "300")];
    let (site, slow, key) = set_up(&grace).await;
    let stop = async {
        slow.all_asked().await;
        site.served.terminate();
    };
    let (answers, ()) = tokio::join!(answers(&site, &key), stop);
    let [chat, stream, still, unbegun, embeddings, speech] = answers.try_into().unwrap();
    for (status, said) in [chat, still, unbegun, embeddings] {
        let said = said.unwrap();
        assert_eq!(status, 503, "{said}");
        assert!(said.contains("shutting down"), "{said}");
    }
    let (status, said) = (stream.0, stream.1.unwrap());
    assert_eq!(status, 200, "{said}");
    assert!(said.contains("\"one\""), "{said}");
    assert!(said.contains("shutting down"), "{said}");
    // Nobody is to take a part of it for all of it.
    assert_eq!(speech.0, 200);
    assert!(speech.1.is_err(), "{speech:?}");
    let (code, log) = site.served.ended().await;
    assert_eq!(code, Some(0), "{log}");
    // All are accounted for.
    assert!(!log.contains("lost"), "{log}");
    assert!(!log.contains("background work"), "{log}");
}
