//! Errors (<https://platform.openai.com/docs/guides/error-codes>), also of those who write them differently.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::llm::dialect::EncodedError;
use crate::llm::fault::{Fault, FaultClass};

/// How much of a body that is no JSON is shown.
const SHOWN_CHARS_MAX: usize = 300;
/// Where MiniMax says, with a good status, that there is no answer.
pub(crate) const BASE_RESP: &str = "base_resp";

pub(crate) fn decode(status: u16, body: &[u8]) -> Fault {
    let read = match serde_json::from_slice::<Value>(body) {
        // Gemini's compatible endpoint sends a list of one.
        Ok(Value::Array(list)) => list.into_iter().next(),
        Ok(value) => Some(value),
        Err(_) => None,
    };
    match read {
        Some(Value::Object(holder)) => {
            let coded = holder.get(BASE_RESP).and_then(of_base_resp);
            coded.unwrap_or_else(|| fault(status, &holder))
        }
        Some(Value::String(message)) => told(status, &message),
        _ => told(status, &String::from_utf8_lossy(body)),
    }
}

/// An error in an answer whose status was good.
pub(crate) fn in_answer(holder: &Map<String, Value>) -> Fault {
    let code = inner(holder).and_then(|error| error.get("code")?.as_u64());
    let status = code.and_then(|code| u16::try_from(code).ok());
    fault(status.filter(|code| *code >= 400).unwrap_or(500), holder)
}

/// The fault that [`BASE_RESP`] tells, if it does
/// (<https://platform.minimax.io/docs/api-reference/errorcode>).
pub(crate) fn of_base_resp(said: &Value) -> Option<Fault> {
    let code = said.get("status_code")?.as_u64().filter(|code| *code > 0)?;
    let class = match code {
        1001 => FaultClass::Timeout,
        1002 | 1039 | 1041 | 2045 => FaultClass::RateLimited,
        1004 | 2049 => FaultClass::Unauthenticated,
        1008 | 2056 => FaultClass::Exhausted,
        1026 | 1027 => FaultClass::ContentPolicy,
        1042 | 2013 | 20132 => FaultClass::Invalid,
        _ => FaultClass::Upstream,
    };
    let message = said.get("status_msg").and_then(Value::as_str);
    Some(Fault {
        code: Some(code.to_string()),
        ..Fault::new(
            class,
            without_keys(message.unwrap_or("the provider failed")),
        )
    })
}

fn inner(holder: &Map<String, Value>) -> Option<&Map<String, Value>> {
    if let Some(error) = holder.get("error") {
        return error.as_object();
    }
    // Cloudflare has a list of them, and no message beside it.
    let errors = holder.get("errors").and_then(Value::as_array);
    let first = errors.and_then(|errors| errors.first()?.as_object());
    let first =
        first.filter(|first| first.contains_key("message") && !holder.contains_key("message"));
    Some(first.unwrap_or(holder))
}

fn told(status: u16, text: &str) -> Fault {
    let text = text.trim();
    let class = by_message(status, &text.to_lowercase()).unwrap_or(FaultClass::of_status(status));
    if text.is_empty() || text.starts_with('<') {
        return Fault::new(class, format!("the provider answered with status {status}"));
    }
    let shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    Fault::new(class, without_keys(&shown))
}

/// `{"error": {"message", "type", "param", "code"}}`, or whatever of it there is.
fn fault(status: u16, holder: &Map<String, Value>) -> Fault {
    let Some(error) = inner(holder) else {
        let text = holder.get("error").and_then(Value::as_str);
        return told(status, text.unwrap_or_default());
    };
    let text = |name: &str| error.get(name).and_then(Value::as_str);
    // A list of FastAPI's repeats what was sent, which says nothing of the error.
    let told = text("message").or_else(|| text("detail"));
    let message = match (told, error.get("detail")) {
        (Some(message), _) => message.to_owned(),
        (None, Some(detail)) => detail.to_string(),
        (None, None) => format!("the provider answered with status {status}"),
    };
    let code = match error.get("code") {
        Some(Value::String(code)) => Some(code.clone()),
        Some(Value::Number(code)) if code.as_u64() != Some(u64::from(status)) => {
            Some(code.to_string())
        }
        _ => None,
    };
    let said = [text("code"), text("type"), text("status")];
    let class = said.into_iter().flatten().find_map(by_code);
    // OpenRouter tells so why a prompt was not let through.
    let metadata = error.get("metadata");
    let is_moderated = metadata.is_some_and(|it| it.get("flagged_input").is_some());
    let class = class.or(is_moderated.then_some(FaultClass::ContentPolicy));
    let class = class.or_else(|| by_message(status, &told?.to_lowercase()));
    Fault {
        class: class.unwrap_or(FaultClass::of_status(status)),
        retry_after: wait(&message),
        field: text("param").map(str::to_owned),
        code,
        message: without_keys(&message),
        rate: None,
        cause: None,
        provider_request: None,
    }
}

/// What codes and types say more exactly than a status. Four digits are Zhipu's.
fn by_code(code: &str) -> Option<FaultClass> {
    Some(match code {
        "context_length_exceeded"
        | "string_above_max_length"
        | "exceed_context_size_error"
        | "tokens_limit_reached"
        | "tokens_too_long"
        | "1261" => FaultClass::ContextLength,
        "content_filter"
        | "content_policy_violation"
        | "invalid_prompt"
        | "moderation_blocked"
        | "data_inspection_failed"
        | "1301" => FaultClass::ContentPolicy,
        code if code.contains("SensitiveContentDetected") || code.ends_with("RiskDetection") => {
            FaultClass::ContentPolicy
        }
        "insufficient_quota"
        | "billing_hard_limit_reached"
        | "billing_not_active"
        | "insufficient_balance"
        | "exceeded_current_quota_error"
        | "Arrearage"
        | "AccountOverdueError"
        | "1113" => FaultClass::Exhausted,
        "rate_limit_exceeded"
        | "rate_limit_error"
        | "RESOURCE_EXHAUSTED"
        | "tokens"
        | "requests" => FaultClass::RateLimited,
        "invalid_api_key" | "authentication_error" | "UNAUTHENTICATED" => {
            FaultClass::Unauthenticated
        }
        "model_not_found" | "NOT_FOUND" | "not_found_error" => FaultClass::NotFound,
        "permission_error" | "PERMISSION_DENIED" => FaultClass::Forbidden,
        "overloaded"
        | "overloaded_error"
        | "server_overloaded"
        | "ServerOverloaded"
        | "engine_overloaded"
        | "engine_overloaded_error"
        | "UNAVAILABLE" => FaultClass::Overloaded,
        "request_too_large" => FaultClass::TooLarge,
        "timeout" | "DEADLINE_EXCEEDED" => FaultClass::Timeout,
        "unsupported" => FaultClass::Unsupported,
        "upstream_unreachable" => FaultClass::Unreachable,
        "internal_error" => FaultClass::Internal,
        _ => return None,
    })
}

/// What providers without codes say in words.
fn by_message(status: u16, message: &str) -> Option<FaultClass> {
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| message.contains(phrase));
    if says(&[
        "maximum context length",
        "context window",
        "context length",
        "context size",
        "prompt is too long",
        "input is too long",
    ]) {
        return Some(FaultClass::ContextLength);
    }
    if says(&[
        "insufficient balance",
        "exceeded your current quota",
        "insufficient credits",
    ]) {
        return Some(FaultClass::Exhausted);
    }
    // Cloudflare, Fireworks.
    if matches!(status, 402 | 403 | 412 | 429) && says(&["daily free allocation", "spending limit"])
    {
        return Some(FaultClass::Exhausted);
    }
    // xAI refuses a wrong key with 400.
    if message.starts_with("incorrect api key") {
        return Some(FaultClass::Unauthenticated);
    }
    None
}

/// "Please try again in 1.242s." and the like.
fn wait(message: &str) -> Option<Duration> {
    let (_, after) = message.split_once("try again in ")?;
    let digits = after.find(|sign: char| !sign.is_ascii_digit() && sign != '.');
    let (number, unit) = after.split_at(digits.unwrap_or(after.len()));
    let number: f64 = number.trim_end_matches('.').parse().ok()?;
    let seconds = match unit.trim_start() {
        unit if unit.starts_with("ms") => number / 1000.0,
        unit if unit.starts_with('m') => number * 60.0,
        unit if unit.starts_with('h') => number * 3600.0,
        _ => number,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

/// Providers repeat parts of a wrong key; that is nothing for a caller who has another.
pub(crate) fn without_keys(message: &str) -> String {
    let words = message.split(' ').map(|word| {
        let bare = word.trim_start_matches(|sign: char| !sign.is_ascii_alphanumeric());
        let secret = ["sk-", "gsk_", "xai-", "AIza", "r8_"]
            .iter()
            .any(|start| bare.starts_with(start));
        if secret { "(key)" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}

pub(crate) fn encode(fault: &Fault) -> EncodedError {
    let (status, kind, code) = words(fault.class);
    let given = fault.code.as_deref();
    let code = if is_telling(fault.class) {
        code.or(given)
    } else {
        given.or(code)
    };
    EncodedError {
        status,
        body: json!({
            "error": {
                "message": fault.message,
                "type": kind,
                "param": fault.field,
                "code": code,
            },
        }),
    }
}

/// Callers look for the code of these.
fn is_telling(class: FaultClass) -> bool {
    matches!(
        class,
        FaultClass::Unauthenticated
            | FaultClass::NotFound
            | FaultClass::ContextLength
            | FaultClass::RateLimited
            | FaultClass::Exhausted
    )
}

/// Status, `type` and `code` of a class.
fn words(class: FaultClass) -> (u16, &'static str, Option<&'static str>) {
    const INVALID: &str = "invalid_request_error";
    match class {
        FaultClass::Invalid => (400, INVALID, None),
        FaultClass::Unauthenticated => (401, INVALID, Some("invalid_api_key")),
        FaultClass::Forbidden => (403, "permission_error", Some("permission_denied")),
        FaultClass::NotFound => (404, INVALID, Some("model_not_found")),
        FaultClass::TooLarge => (413, INVALID, Some("request_too_large")),
        FaultClass::MediaType => (415, INVALID, Some("unsupported_media_type")),
        FaultClass::ContextLength => (400, INVALID, Some("context_length_exceeded")),
        FaultClass::ContentPolicy => (400, INVALID, Some("content_policy_violation")),
        FaultClass::RateLimited => (429, "rate_limit_error", Some("rate_limit_exceeded")),
        FaultClass::Exhausted => (429, "insufficient_quota", Some("insufficient_quota")),
        FaultClass::Unsupported => (501, INVALID, Some("unsupported")),
        FaultClass::Upstream => (502, "server_error", Some("upstream_error")),
        FaultClass::Overloaded => (503, "server_error", Some("server_overloaded")),
        FaultClass::Unreachable => (502, "server_error", Some("upstream_unreachable")),
        FaultClass::Timeout | FaultClass::Stalled => (504, "server_error", Some("timeout")),
        FaultClass::Internal => (500, "server_error", Some("internal_error")),
    }
}
