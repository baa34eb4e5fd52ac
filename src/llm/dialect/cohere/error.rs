//! Errors (<https://docs.cohere.com/reference/errors>): a status and `{"message": "..."}`.

use serde_json::Value;

use crate::llm::fault::{Fault, FaultClass};

/// How much of a body that is no JSON is shown.
const SHOWN_CHARS_MAX: usize = 300;

/// A refusal to answer; `body` may be anything.
pub fn decode_error(status: u16, body: &[u8]) -> Fault {
    let said = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let message = ["message", "error", "data"]
        .into_iter()
        .find_map(|name| said.get(name)?.as_str().map(str::to_owned));
    let message = message.unwrap_or_else(|| {
        let text = String::from_utf8_lossy(body);
        let text = text.trim();
        if text.is_empty() || text.starts_with(['<', '{', '[']) {
            return String::new();
        }
        text.chars().take(SHOWN_CHARS_MAX).collect()
    });
    Fault {
        code: said
            .get("error_type")
            .and_then(Value::as_str)
            .map(str::to_owned),
        ..fault(status, message)
    }
}

/// The message of an answer that failed.
pub(crate) fn fault(status: u16, message: String) -> Fault {
    let class = by_message(&message).unwrap_or(by_status(status));
    if message.is_empty() {
        let text = format!("the provider answered with status {status}");
        return Fault::new(class, text);
    }
    Fault::new(class, message)
}

fn by_status(status: u16) -> FaultClass {
    match status {
        // A text with a token that is not allowed, and a request that its client closed.
        498 => FaultClass::ContentPolicy,
        499 => FaultClass::Unreachable,
        501 => FaultClass::Unsupported,
        status => FaultClass::of_status(status),
    }
}

fn by_message(message: &str) -> Option<FaultClass> {
    let message = message.to_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| message.contains(phrase));
    if says(&["max tokens must be less than"]) {
        return Some(FaultClass::Invalid);
    }
    if says(&[
        "too many tokens",
        "exceeds the maximum context length",
        "context length",
    ]) {
        return Some(FaultClass::ContextLength);
    }
    if says(&[
        "calls / month",
        "calls per month",
        "monthly",
        "please add a payment",
        "billing",
    ]) {
        return Some(FaultClass::Exhausted);
    }
    if says(&["blocked output", "blocked input", "content moderation"]) {
        return Some(FaultClass::ContentPolicy);
    }
    if says(&["invalid api token", "no api key supplied"]) {
        return Some(FaultClass::Unauthenticated);
    }
    None
}
