//! Errors (<https://docs.anthropic.com/en/api/errors>).

use serde_json::{Value, json};

use crate::llm::dialect::EncodedError;
use crate::llm::fault::{Fault, FaultClass};

/// What is kept of a body that is no error of the dialect.
const TEXT_CHARS_MAX: usize = 300;

/// Reads a provider's error. Bodies in the manner of other providers are understood too.
pub fn decode_error(status: u16, body: &[u8]) -> Fault {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return Fault::new(FaultClass::of_status(status), plain(status, body));
    };
    let error = body.get("error").unwrap_or(&body);
    let text = |name: &str| error.get(name).and_then(Value::as_str);
    let message = text("message")
        .or_else(|| error.as_str())
        .or_else(|| text("detail"))
        .filter(|message| !message.is_empty());
    let message = message.map_or_else(|| unsaid(status), ToOwned::to_owned);
    let kind = text("type")
        .filter(|kind| *kind != "error")
        .or_else(|| text("code"));
    let class = class_of(kind.unwrap_or_default(), status, &message);
    Fault {
        code: kind.map(ToOwned::to_owned),
        ..Fault::new(class, message)
    }
}

/// The fault of an `error` whose status was 200: of a stream, or in place of an answer.
pub(crate) fn decode_event(data: &Value) -> Fault {
    let mut fault = decode_error(500, data.to_string().as_bytes());
    if data.get("error").is_none() && data.get("message").is_none() {
        "the provider broke the answer off".clone_into(&mut fault.message);
    }
    fault
}

/// Writes an error for a caller.
pub fn encode_error(fault: &Fault) -> EncodedError {
    let (status, kind) = match fault.class {
        FaultClass::Invalid | FaultClass::ContextLength | FaultClass::ContentPolicy => {
            (400, "invalid_request_error")
        }
        FaultClass::Unsupported => (501, "invalid_request_error"),
        FaultClass::Unauthenticated => (401, "authentication_error"),
        FaultClass::Exhausted => (402, "billing_error"),
        FaultClass::Forbidden => (403, "permission_error"),
        FaultClass::NotFound => (404, "not_found_error"),
        FaultClass::TooLarge => (413, "request_too_large"),
        FaultClass::MediaType => (415, "invalid_request_error"),
        FaultClass::RateLimited => (429, "rate_limit_error"),
        FaultClass::Internal => (500, "api_error"),
        FaultClass::Upstream | FaultClass::Unreachable => (502, "api_error"),
        FaultClass::Timeout | FaultClass::Stalled => (504, "timeout_error"),
        FaultClass::Overloaded => (529, "overloaded_error"),
    };
    EncodedError {
        status,
        body: json!({ "type": "error", "error": { "type": kind, "message": message(fault) } }),
    }
}

/// Clients of this dialect know by these words that a conversation is to be shortened.
fn message(fault: &Fault) -> String {
    let known = fault
        .message
        .to_ascii_lowercase()
        .contains("prompt is too long");
    if fault.class == FaultClass::ContextLength && !known {
        return format!("prompt is too long: {}", fault.message);
    }
    fault.message.clone()
}

fn class_of(kind: &str, status: u16, message: &str) -> FaultClass {
    let message = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|words| message.contains(words));
    match kind {
        "authentication_error" => FaultClass::Unauthenticated,
        "billing_error" => FaultClass::Exhausted,
        "permission_error" => FaultClass::Forbidden,
        "not_found_error" => FaultClass::NotFound,
        "request_too_large" => FaultClass::TooLarge,
        "rate_limit_error" => FaultClass::RateLimited,
        "timeout_error" => FaultClass::Timeout,
        "overloaded_error" => FaultClass::Overloaded,
        "api_error" => FaultClass::Upstream,
        _ if says(&[
            "prompt is too long",
            "context window",
            "context limit",
            "context length",
        ]) =>
        {
            FaultClass::ContextLength
        }
        _ if says(&["credit balance"]) => FaultClass::Exhausted,
        _ if says(&["content filtering policy", "usage policy"]) => FaultClass::ContentPolicy,
        "invalid_request_error" => FaultClass::Invalid,
        _ => FaultClass::of_status(status),
    }
}

/// The text of a body that is not JSON: pages of proxies say nothing to a caller.
fn plain(status: u16, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if text.is_empty() || text.starts_with('<') {
        return unsaid(status);
    }
    text.chars().take(TEXT_CHARS_MAX).collect()
}

fn unsaid(status: u16) -> String {
    format!("the provider answered with status {status} and no reason")
}
