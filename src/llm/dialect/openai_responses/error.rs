//! Errors: `{"error": {"message", "type", "param", "code"}}`
//! (<https://platform.openai.com/docs/guides/error-codes>).

use std::time::Duration;

use serde_json::{Value, json};

use crate::llm::dialect::EncodedError;
use crate::llm::fault::{Fault, FaultClass};

/// Reads a provider's error.
pub fn decode_error(status: u16, body: &[u8]) -> Fault {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = value.get("error").unwrap_or(&value);
    let mut fault = reported(error, FaultClass::of_status(status));
    if fault.message.is_empty() {
        fault.message = format!("the provider answered with status {status}");
    }
    fault
}

/// An error as an object (or a text), wherever it stands; `class` where its code says nothing.
pub(crate) fn reported(error: &Value, class: FaultClass) -> Fault {
    let text = |name: &str| error.get(name).and_then(Value::as_str).map(str::to_owned);
    let message = text("message").or_else(|| error.as_str().map(str::to_owned));
    let message = message.unwrap_or_default();
    let code = match error.get("code") {
        Some(Value::Number(code)) => Some(code.to_string()),
        _ => text("code"),
    };
    let kind = text("type").filter(|kind| kind != "error");
    let named = code.as_deref().and_then(class_of);
    let named = named.or_else(|| kind.as_deref().and_then(class_of));
    // `server_error` is what every failure is called; a status may say more.
    let is_vague = named == Some(FaultClass::Upstream);
    let says_more = matches!(
        class,
        FaultClass::Overloaded | FaultClass::Timeout | FaultClass::Stalled
    );
    let class = named.filter(|_| !(is_vague && says_more)).unwrap_or(class);
    Fault {
        class,
        retry_after: retry_after(&message),
        message,
        field: text("param"),
        code: code.or(kind),
        rate: None,
        cause: None,
        provider_request: None,
    }
}

fn class_of(code: &str) -> Option<FaultClass> {
    Some(match code {
        "context_length_exceeded" => FaultClass::ContextLength,
        "insufficient_quota" | "billing_hard_limit_reached" | "usage_limit_reached" => {
            FaultClass::Exhausted
        }
        "rate_limit_exceeded" | "rate_limit_error" | "tokens" | "requests" => {
            FaultClass::RateLimited
        }
        "content_policy_violation"
        | "content_filter"
        | "invalid_prompt"
        | "bio_policy"
        | "cyber_policy"
        | "misalignment_policy_violation"
        | "image_content_policy_violation" => FaultClass::ContentPolicy,
        "invalid_api_key" | "authentication_error" => FaultClass::Unauthenticated,
        "permission_error" => FaultClass::Forbidden,
        "model_not_found" | "not_found_error" => FaultClass::NotFound,
        "server_is_overloaded" | "slow_down" | "overloaded_error" => FaultClass::Overloaded,
        "server_error" | "vector_store_timeout" => FaultClass::Upstream,
        "timeout" => FaultClass::Timeout,
        "unsupported" => FaultClass::Unsupported,
        _ => return None,
    })
}

/// `Please try again in 1.5s.`
fn retry_after(message: &str) -> Option<Duration> {
    let (_, rest) = message.split_once("try again in ")?;
    let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
    let (number, unit) = rest.split_at(end);
    let number: f64 = number.parse().ok()?;
    let seconds = if unit.starts_with("ms") {
        number / 1000.0
    } else if unit.starts_with('s') || unit.starts_with(" s") {
        number
    } else {
        return None;
    };
    Duration::try_from_secs_f64(seconds).ok()
}

/// Writes an error for a caller.
pub fn encode_error(fault: &Fault) -> EncodedError {
    let (status, kind, code) = match fault.class {
        FaultClass::Invalid => (400, "invalid_request_error", None),
        FaultClass::Unauthenticated => (401, "invalid_request_error", Some("invalid_api_key")),
        FaultClass::Forbidden => (403, "permission_error", None),
        FaultClass::NotFound => (404, "invalid_request_error", None),
        FaultClass::TooLarge => (413, "invalid_request_error", None),
        FaultClass::MediaType => (415, "invalid_request_error", None),
        FaultClass::ContextLength => (
            400,
            "invalid_request_error",
            Some("context_length_exceeded"),
        ),
        FaultClass::ContentPolicy => (400, "invalid_request_error", Some("invalid_prompt")),
        FaultClass::RateLimited => (429, "rate_limit_error", Some("rate_limit_exceeded")),
        FaultClass::Exhausted => (429, "insufficient_quota", Some("insufficient_quota")),
        FaultClass::Unsupported => (501, "invalid_request_error", Some("unsupported")),
        FaultClass::Upstream | FaultClass::Unreachable => (502, "server_error", None),
        FaultClass::Overloaded => (503, "server_error", Some("server_is_overloaded")),
        FaultClass::Timeout | FaultClass::Stalled => (504, "server_error", Some("timeout")),
        FaultClass::Internal => (500, "server_error", None),
    };
    let body = json!({"error": {
        "message": fault.message,
        "type": kind,
        "param": fault.field,
        "code": code.or(fault.code.as_deref()),
    }});
    EncodedError { status, body }
}

/// `error` of a response that failed. Clients act on its code, and read how long to wait from its message.
pub(crate) fn failure(fault: &Fault) -> Value {
    let code = match fault.class {
        FaultClass::ContextLength => "context_length_exceeded",
        FaultClass::RateLimited => "rate_limit_exceeded",
        FaultClass::Exhausted => "insufficient_quota",
        FaultClass::Overloaded => "server_is_overloaded",
        FaultClass::Invalid | FaultClass::ContentPolicy => "invalid_prompt",
        _ => "server_error",
    };
    let wait = fault
        .retry_after
        .filter(|_| retry_after(&fault.message).is_none());
    let message = match wait {
        Some(wait) => format!(
            "{} Please try again in {}s.",
            fault.message,
            wait.as_secs_f64()
        ),
        None => fault.message.clone(),
    };
    json!({"code": code, "message": message})
}
