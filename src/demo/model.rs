//! A model without a model: it says what it was told, and calls the tools it is given by name. It speaks OpenAI's chat,
//! in whole answers and in streams, so that everything around it can be tried offline.

use std::fmt::Write;

use axum::response::{IntoResponse, Response as AxumResponse};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::egress::InternalService;
use crate::tokens;
use crate::types::Clock;

/// How it is called in answers.
const NAME: &str = "demo";
/// Of what somebody said, so much is repeated.
const REPEATED_CHARS_MAX: usize = 400;

/// What it says next.
enum Said {
    Text(String),
    Calls(Vec<Call>),
}

struct Call {
    id: String,
    name: String,
    arguments: String,
}

/// When it answers, in microseconds since 1970: what tells its answers and calls apart.
#[derive(Clone, Copy)]
struct Moment(i64);

impl Moment {
    fn seconds(self) -> i64 {
        self.0 / 1_000_000
    }

    fn id(self) -> String {
        format!("chatcmpl-demo-{:x}", self.0)
    }

    fn call_id(self, number: usize) -> String {
        format!("call_demo_{:x}_{number}", self.0)
    }
}

/// The service. It remembers nothing.
pub fn service(clock: Clock) -> InternalService {
    InternalService::new(tower::service_fn(move |request: Request<Bytes>| {
        let now = Moment(clock.now().timestamp_micros());
        async move {
            let (parts, body) = answer(&request, now).into_parts();
            let body = axum::body::to_bytes(body, usize::MAX)
                .await
                .unwrap_or_default();
            Ok(Response::from_parts(parts, body))
        }
    }))
}

fn answer(request: &Request<Bytes>, now: Moment) -> AxumResponse {
    let Ok(body) = serde_json::from_slice::<Value>(request.body()) else {
        return refusal("the body has to be JSON");
    };
    let Some(messages) = body["messages"].as_array().filter(|all| !all.is_empty()) else {
        return refusal("`messages` is missing: say something to the demo model");
    };
    let said = says(&body, messages, now);
    let usage = usage(request.body(), &said);
    if body["stream"] == true {
        let with_usage = body["stream_options"]["include_usage"] == true;
        let text = stream(&said, now, with_usage.then_some(&usage));
        return ([(CONTENT_TYPE, "text/event-stream")], text).into_response();
    }
    let (message, reason) = message(&said);
    let whole = json!({
        "id": now.id(),
        "object": "chat.completion",
        "created": now.seconds(),
        "model": NAME,
        "choices": [{ "index": 0, "message": message, "logprobs": null, "finish_reason": reason }],
        "usage": usage,
    });
    ([(CONTENT_TYPE, "application/json")], whole.to_string()).into_response()
}

fn refusal(text: &str) -> AxumResponse {
    let error = json!({ "error": { "message": text, "type": "invalid_request_error", "param": "messages", "code": null } });
    let head = [(CONTENT_TYPE, "application/json")];
    (StatusCode::BAD_REQUEST, head, error.to_string()).into_response()
}

fn says(body: &Value, messages: &[Value], now: Moment) -> Said {
    let results: Vec<&Value> = messages
        .iter()
        .rev()
        .take_while(|message| message["role"] == "tool")
        .collect();
    if !results.is_empty() {
        let texts: Vec<String> = results.iter().rev().map(|it| short(&text(it))).collect();
        return Said::Text(format!("The tools answered: {}", texts.join(" | ")));
    }
    let asked = messages.last().map(text).unwrap_or_default();
    let wanted = wanted(body, &asked);
    if wanted.is_empty() {
        let heard = short(&asked);
        let text = format!(
            "I am the demo model: I run inside Causeway, without a provider, and repeat what I hear. You said: {heard}"
        );
        return Said::Text(text);
    }
    let calls = wanted.into_iter().zip(0..).map(|(tool, number)| Call {
        id: now.call_id(number),
        name: tool["name"].as_str().unwrap_or_default().to_owned(),
        arguments: arguments(&tool["parameters"]).to_string(),
    });
    Said::Calls(calls.collect())
}

/// The tools that are asked for: those that are named in what was said, or the one that has to be called.
fn wanted<'a>(body: &'a Value, asked: &str) -> Vec<&'a Value> {
    let tools = body["tools"].as_array().map_or(&[][..], Vec::as_slice);
    let tools: Vec<&Value> = tools.iter().map(|tool| &tool["function"]).collect();
    let named = |tool: &&&Value| {
        tool["name"]
            .as_str()
            .is_some_and(|name| asked.contains(name))
    };
    let choice = &body["tool_choice"];
    if choice == "none" {
        return Vec::new();
    }
    let must = &choice["function"]["name"];
    if must.is_string() {
        return tools
            .into_iter()
            .filter(|tool| tool["name"] == *must)
            .collect();
    }
    let mentioned: Vec<&Value> = tools.iter().filter(named).copied().collect();
    if mentioned.is_empty() && choice == "required" {
        return tools.into_iter().take(1).collect();
    }
    mentioned
}

/// Arguments that fit a simple schema: an example of each required one.
fn arguments(schema: &Value) -> Value {
    let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
    let pairs = required.iter().filter_map(Value::as_str).map(|name| {
        let property = &schema["properties"][name];
        let value = match property["type"].as_str() {
            _ if property["enum"][0] != Value::Null => property["enum"][0].clone(),
            Some("integer" | "number") => json!(1),
            Some("boolean") => json!(true),
            Some("array") => json!([]),
            Some("object") => json!({}),
            _ => json!("example"),
        };
        (name.to_owned(), value)
    });
    Value::Object(pairs.collect())
}

/// The text of a message, whichever form it has.
fn text(message: &Value) -> String {
    match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|part| part["text"].as_str());
            texts.collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    }
}

fn short(text: &str) -> String {
    text.chars().take(REPEATED_CHARS_MAX).collect()
}

fn message(said: &Said) -> (Value, &'static str) {
    match said {
        Said::Text(text) => (
            json!({ "role": "assistant", "content": text, "refusal": null }),
            "stop",
        ),
        Said::Calls(calls) => {
            let calls: Vec<Value> = calls.iter().map(call).collect();
            let message = json!({ "role": "assistant", "content": null, "refusal": null, "tool_calls": calls });
            (message, "tool_calls")
        }
    }
}

fn call(call: &Call) -> Value {
    let function = json!({ "name": call.name, "arguments": call.arguments });
    json!({ "id": call.id, "type": "function", "function": function })
}

fn usage(asked: &Bytes, said: &Said) -> Value {
    let count = |text: &str| tokens::estimate(text).max(1);
    let input = count(&String::from_utf8_lossy(asked));
    let output = match said {
        Said::Text(text) => count(text),
        Said::Calls(calls) => calls.iter().map(|call| count(&call.arguments) + 8).sum(),
    };
    json!({ "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output })
}

/// The same word by word.
fn stream(said: &Said, now: Moment, usage: Option<&Value>) -> String {
    let mut text = String::new();
    let mut chunk = |choices: Value, usage: Option<&Value>| {
        let mut chunk = json!({
            "id": now.id(),
            "object": "chat.completion.chunk",
            "created": now.seconds(),
            "model": NAME,
            "choices": choices,
        });
        if let Some(usage) = usage {
            chunk["usage"] = usage.clone();
        }
        let _ = write!(text, "data: {chunk}\n\n");
    };
    let choice = |delta: Value, reason: Option<&str>| json!([{ "index": 0, "delta": delta, "finish_reason": reason }]);
    chunk(
        choice(json!({ "role": "assistant", "content": "" }), None),
        None,
    );
    let reason = match said {
        Said::Text(text) => {
            for word in text.split_inclusive(' ') {
                chunk(choice(json!({ "content": word }), None), None);
            }
            "stop"
        }
        Said::Calls(calls) => {
            for (number, one) in calls.iter().enumerate() {
                let mut begun = call(one);
                begun["index"] = json!(number);
                chunk(choice(json!({ "tool_calls": [begun] }), None), None);
            }
            "tool_calls"
        }
    };
    chunk(choice(json!({}), Some(reason)), None);
    if usage.is_some() {
        chunk(json!([]), usage);
    }
    text.push_str("data: [DONE]\n\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answered(micros: i64) -> Value {
        let clock =
            Clock::from_fn(move || chrono::DateTime::from_timestamp_micros(micros).unwrap());
        let tool = json!({ "type": "function", "function": { "name": "look", "parameters": {} } });
        let body = json!({ "messages": [{ "role": "user", "content": "look" }], "tools": [tool] });
        let request = Request::new(Bytes::from(body.to_string()));
        let answer = tower::ServiceExt::oneshot(service(clock), request).await;
        serde_json::from_slice(answer.unwrap().body()).unwrap()
    }

    #[tokio::test]
    async fn an_answer_and_its_calls_are_not_taken_for_those_of_another() {
        let (one, other) = (
            answered(1_700_000_000_000_000).await,
            answered(1_700_000_001_000_000).await,
        );
        assert_eq!(
            (&one["created"], &other["created"]),
            (&json!(1_700_000_000), &json!(1_700_000_001))
        );
        assert_ne!(one["id"], other["id"]);
        let call = "/choices/0/message/tool_calls/0/id";
        assert!(one.pointer(call).is_some_and(Value::is_string));
        assert_ne!(one.pointer(call), other.pointer(call));
    }
}
