//! Where and how providers that differ are asked, seen from a caller and from the provider: which of their addresses, what
//! they call a model, and what they are told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::managing::Site;

/// A request as it came.
struct Seen {
    path: String,
    headers: HeaderMap,
    body: Value,
}

type Requests = Arc<Mutex<Vec<Seen>>>;

/// A provider of every dialect, at any address, and a process that may ask it.
struct Scene {
    site: Site,
    caller: String,
    address: SocketAddr,
    requests: Requests,
}

async fn answer(
    State(requests): State<Requests>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap();
    let path = uri.path().to_owned();
    let said = said(&path, &body);
    requests.lock().unwrap().push(Seen {
        path,
        headers,
        body,
    });
    match said {
        Ok(said) => Json(said).into_response(),
        Err(refused) => (StatusCode::BAD_REQUEST, Json(refused)).into_response(),
    }
}

fn said(path: &str, body: &Value) -> Result<Value, Value> {
    let usage = json!({ "prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2 });
    let model = &body["model"];
    Ok(match path.rsplit(['/', ':']).next().unwrap() {
        "responses" => {
            let call = json!({
                "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "look", "arguments": "{}",
            });
            let thought = json!({
                "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA",
            });
            json!({
                "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": model,
                "output": [thought, call], "usage": { "input_tokens": 1, "output_tokens": 1, "total_tokens": 2 },
            })
        }
        "completions" => {
            let message = json!({ "role": "assistant", "content": "hello" });
            json!({
                "id": "1", "object": "chat.completion", "created": 1, "model": model, "usage": usage,
                "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }],
            })
        }
        "messages" | "rawPredict" => json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
            "content": [{ "type": "text", "text": "hello" }], "usage": { "input_tokens": 1, "output_tokens": 1 },
        }),
        "generateContent" => {
            let id = body["contents"].as_array().unwrap().iter();
            let mut parts = id.flat_map(|content| content["parts"].as_array().unwrap());
            let named = |part: &Value| {
                !part["functionCall"]["id"].is_null() || !part["functionResponse"]["id"].is_null()
            };
            if parts.any(named) {
                let message =
                    "Invalid JSON payload received. Unknown name \"id\": Cannot find field.";
                return Err(
                    json!({ "error": { "code": 400, "message": message, "status": "INVALID_ARGUMENT" } }),
                );
            }
            json!({
                "candidates": [{ "content": { "role": "model", "parts": [{ "text": "hello" }] }, "finishReason": "STOP" }],
            })
        }
        "embeddings" => json!({
            "object": "list", "model": model, "usage": usage,
            "data": [{ "object": "embedding", "index": 0, "embedding": [0.5] }],
        }),
        _ => return Err(json!({ "error": { "message": format!("nothing is at {path}") } })),
    })
}

impl Scene {
    async fn start() -> Self {
        let requests = Requests::default();
        let router = Router::new().fallback(answer).with_state(requests.clone());
        let address = crate::egress::serve_local(router).await;
        let site = Site::start(&[]).await;
        let made = site.done("POST", "keys", json!({ "name": "app" })).await;
        let caller = made["key"].as_str().unwrap().to_owned();
        Self {
            site,
            caller,
            address,
            requests,
        }
    }

    /// A provider of a kind, which is called like it.
    async fn provider(&self, kind: &str) {
        let base = format!("http://{}/v1", self.address);
        let mut parameters = json!({ "base_url": base });
        for (name, value) in [("project", "p"), ("region", "r"), ("account", "a")] {
            let wants = match name {
                "project" => kind.starts_with("vertex"),
                "region" => kind == "bedrock",
                _ => kind == "cloudflare",
            };
            if wants {
                parameters[name] = value.into();
            }
        }
        let allowed = [self.address.to_string()];
        let provider = json!({ "kind": kind, "parameters": parameters, "allowUpstream": allowed });
        let path = format!("providers/{kind}");
        self.site.done("PUT", &path, provider).await;
        let key = json!({ "value": "a-key-of-the-provider" });
        let path = format!("providers/{kind}/keys/main");
        self.site.done("PUT", &path, key).await;
    }

    /// The status, what was left out, and what was said.
    async fn ask(
        &self,
        (path, body): (&str, Value),
        header: Option<(&str, &str)>,
    ) -> (u16, String, Value) {
        let url = format!("{}{path}", self.site.served.origin);
        let mut request = self.site.client.post(url).bearer_auth(&self.caller);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let request = request.header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await.unwrap();
        let dropped = answer.headers().get("x-causeway-dropped");
        let dropped = dropped.map_or("", |it| it.to_str().unwrap()).to_owned();
        let status = answer.status().as_u16();
        (status, dropped, answer.json().await.unwrap())
    }

    fn seen(&self) -> Seen {
        self.requests.lock().unwrap().pop().unwrap()
    }
}

fn messages(model: &str, more: &Value) -> (&'static str, Value) {
    let mut body = json!({
        "model": model, "max_tokens": 64, "messages": [{ "role": "user", "content": "hi" }],
    });
    let more = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(more);
    ("/v1/messages", body)
}

#[tokio::test]
async fn tools_of_other_protocols_reach_openais_models_where_they_take_them() {
    let scene = Scene::start().await;
    scene.provider("openai").await;
    let tools = json!([{ "name": "look", "input_schema": { "type": "object" } }]);
    let with_tools = messages("openai/gpt-5.6", &json!({ "tools": tools }));
    let (status, _, said) = scene.ask(with_tools, None).await;
    assert_eq!(status, 200, "{said}");
    let seen = scene.seen();
    assert_eq!(seen.path, "/v1/responses");
    assert_eq!(seen.body["tools"][0]["name"], "look");
    assert_eq!(seen.body["store"], false);
    assert_eq!(seen.body["include"], json!(["reasoning.encrypted_content"]));
    // The next turn brings back what the model thought, sealed.
    let answered = said["content"].clone();
    let call = answered.as_array().unwrap().last().unwrap();
    assert_eq!(
        (&call["type"], &call["name"]),
        (&json!("tool_use"), &json!("look"))
    );
    let turns = json!([
        { "role": "user", "content": "hi" },
        { "role": "assistant", "content": answered },
        { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": call["id"], "content": "seen" }] },
    ]);
    let next = messages(
        "openai/gpt-5.6",
        &json!({ "tools": tools, "messages": turns }),
    );
    assert_eq!(scene.ask(next, None).await.0, 200);
    let input = scene.seen().body["input"].take();
    assert_eq!(input[1]["encrypted_content"], "gAAAA", "{input}");
    assert_eq!(input[3]["call_id"], "call_1", "{input}");
    // Gemini's callers are asked for the same.
    let body = json!({
        "contents": [{ "role": "user", "parts": [{ "text": "hi" }] }],
        "tools": [{ "functionDeclarations": [{ "name": "look" }] }],
    });
    let path = "/v1beta/models/openai/gpt-5.6:generateContent";
    let (status, _, said) = scene.ask((path, body), None).await;
    assert_eq!(status, 200, "{said}");
    assert_eq!(scene.seen().path, "/v1/responses");
    // What only chat can say is asked there.
    let stop = messages("openai/gpt-4o", &json!({ "stop_sequences": ["END"] }));
    assert_eq!(scene.ask(stop, None).await.0, 200);
    let seen = scene.seen();
    assert_eq!(seen.path, "/v1/chat/completions");
    assert_eq!(seen.body["stop"], json!(["END"]));
}

#[tokio::test]
async fn a_server_that_only_chats_is_not_asked_for_responses() {
    let scene = Scene::start().await;
    for kind in ["openai-compatible", "cloudflare"] {
        scene.provider(kind).await;
        let body = json!({ "model": format!("{kind}/llama"), "input": "hi" });
        let (status, _, said) = scene.ask(("/v1/responses", body), None).await;
        assert_eq!(status, 200, "{said}");
        assert_eq!(scene.seen().path, "/v1/chat/completions");
    }
}

#[tokio::test]
async fn claude_on_vertex_is_told_of_the_betas_it_has() {
    let scene = Scene::start().await;
    scene.provider("vertex-anthropic").await;
    let model = "vertex-anthropic/claude-sonnet-4-6";
    let betas = "claude-code-20250219,interleaved-thinking-2025-05-14,effort-2025-11-24";
    let header = Some(("anthropic-beta", betas));
    let asked = messages(model, &json!({}));
    let (status, dropped, said) = scene.ask(asked, header).await;
    assert_eq!(status, 200, "{said}");
    let seen = scene.seen();
    assert!(seen.path.ends_with(":rawPredict"), "{}", seen.path);
    assert_eq!(
        seen.headers["anthropic-beta"],
        "interleaved-thinking-2025-05-14"
    );
    for beta in ["claude-code-20250219", "effort-2025-11-24"] {
        assert!(dropped.contains(beta), "{dropped}");
    }
    let header = Some(("anthropic-beta", "effort-2025-11-24"));
    assert_eq!(scene.ask(messages(model, &json!({})), header).await.0, 200);
    assert!(!scene.seen().headers.contains_key("anthropic-beta"));
}

#[tokio::test]
async fn betas_that_another_protocol_has_no_word_for_are_named() {
    let scene = Scene::start().await;
    scene.provider("openai-compatible").await;
    let header = Some(("anthropic-beta", "context-1m-2025-08-07"));
    let asked = messages("openai-compatible/m", &json!({}));
    let (status, dropped, said) = scene.ask(asked, header).await;
    assert_eq!(status, 200, "{said}");
    assert_eq!(dropped, "anthropic-beta.context-1m-2025-08-07");
    assert!(!scene.seen().headers.contains_key("anthropic-beta"));
}

#[tokio::test]
async fn a_loop_of_tools_on_vertex_names_no_calls() {
    let scene = Scene::start().await;
    scene.provider("vertex").await;
    let turns = json!([
        { "role": "user", "content": "hi" },
        { "role": "assistant", "content": [{ "type": "tool_use", "id": "toolu_1", "name": "look", "input": {} }] },
        { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "toolu_1", "content": "seen" }] },
    ]);
    let tools = json!([{ "name": "look", "input_schema": { "type": "object" } }]);
    let more = json!({ "messages": turns, "tools": tools });
    let (status, _, said) = scene
        .ask(messages("vertex/gemini-2.5-flash", &more), None)
        .await;
    assert_eq!(status, 200, "{said}");
}

#[tokio::test]
async fn a_model_has_its_providers_name_whatever_it_is_asked_for() {
    let scene = Scene::start().await;
    scene.provider("fireworks").await;
    let (model, full) = ("fireworks/kimi-k3", "accounts/fireworks/models/kimi-k3");
    let chat = json!({ "model": model, "messages": [{ "role": "user", "content": "hi" }] });
    for (asked, path) in [
        (("/v1/chat/completions", chat), "/v1/chat/completions"),
        (messages(model, &json!({})), "/v1/messages"),
        (
            ("/v1/responses", json!({ "model": model, "input": "hi" })),
            "/v1/responses",
        ),
        (
            ("/v1/embeddings", json!({ "model": model, "input": "hi" })),
            "/v1/embeddings",
        ),
    ] {
        let (status, _, said) = scene.ask(asked, None).await;
        assert_eq!(status, 200, "{path}: {said}");
        let seen = scene.seen();
        assert_eq!(
            (seen.path.as_str(), &seen.body["model"]),
            (path, &json!(full))
        );
    }
}

#[tokio::test]
async fn embeddings_are_asked_in_openais_form_or_not_at_all() {
    let scene = Scene::start().await;
    for (kind, path) in [
        ("gemini", Some("/v1/openai/embeddings")),
        ("cohere", Some("/v1/compatibility/v1/embeddings")),
        ("vertex", None),
        ("bedrock", None),
    ] {
        scene.provider(kind).await;
        let body = json!({ "model": format!("{kind}/embed"), "input": "hi" });
        let (status, _, said) = scene.ask(("/v1/embeddings", body), None).await;
        let Some(path) = path else {
            assert_eq!(status, 501, "{kind}: {said}");
            continue;
        };
        assert_eq!(status, 200, "{kind}: {said}");
        let seen = scene.seen();
        assert_eq!(seen.path, path);
        assert_eq!(seen.body, json!({ "model": "embed", "input": "hi" }));
        assert_eq!(
            seen.headers["authorization"],
            "Bearer a-key-of-the-provider"
        );
        assert!(!seen.headers.contains_key("x-goog-api-key"));
    }
}
