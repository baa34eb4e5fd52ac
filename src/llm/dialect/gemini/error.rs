//! Errors in Google's words (<https://ai.google.dev/gemini-api/docs/troubleshooting>,
//! <https://cloud.google.com/apis/design/errors>).

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::llm::dialect::EncodedError;
use crate::llm::fault::{Fault, FaultClass};

/// Reads an error. A stream that was asked for as a list has it in one.
pub fn decode_error(status: u16, body: &[u8]) -> Fault {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let value = match &value {
        Value::Array(list) => list.first().unwrap_or(&Value::Null),
        other => other,
    };
    let error = match value.get("error") {
        Some(error) => error,
        None => value,
    };
    of_error(status, error)
}

/// An `error` object, of a body or in the middle of a stream.
pub(crate) fn of_error(status: u16, error: &Value) -> Fault {
    let message = match error {
        Value::String(text) => Some(text.as_str()),
        error => error["message"].as_str(),
    };
    let code = error["code"]
        .as_u64()
        .and_then(|code| u16::try_from(code).ok());
    let status = code.filter(|code| *code >= 400).unwrap_or(status);
    let named = error["status"].as_str().filter(|name| !name.is_empty());
    let details = error["details"]
        .as_array()
        .map_or(&[] as &[Value], Vec::as_slice);
    let text = message.unwrap_or_default();
    Fault {
        class: class_of(status, named.unwrap_or_default(), text, details),
        message: match message {
            Some(text) if !text.is_empty() => text.to_owned(),
            _ => format!("the provider answered with status {status}"),
        },
        field: detail(details, "BadRequest").and_then(|detail| {
            let field = detail["fieldViolations"][0]["field"].as_str();
            field.filter(|field| !field.is_empty()).map(str::to_owned)
        }),
        code: named.map(str::to_owned),
        retry_after: detail(details, "RetryInfo")
            .and_then(|detail| seconds(detail["retryDelay"].as_str()?)),
        rate: None,
        cause: None,
        provider_request: None,
    }
}

fn detail<'a>(details: &'a [Value], kind: &str) -> Option<&'a Value> {
    details.iter().find(|detail| {
        let named = detail["@type"].as_str().unwrap_or_default();
        named.rsplit('.').next() == Some(kind)
    })
}

/// `34.07s`.
fn seconds(text: &str) -> Option<Duration> {
    let number: f64 = text.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(number).ok()
}

/// What Google says in the status, or else in the text: it has one status for several faults.
fn class_of(status: u16, named: &str, message: &str, details: &[Value]) -> FaultClass {
    let message = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let reason = detail(details, "ErrorInfo").and_then(|detail| detail["reason"].as_str());
    match named {
        "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" => {
            if reason == Some("API_KEY_INVALID") || says(&["api key not valid", "api key expired"])
            {
                FaultClass::Unauthenticated
            } else if says(&["exceeds the maximum number of tokens", "input token count"]) {
                FaultClass::ContextLength
            } else if status == 413 || says(&["payload size exceeds"]) {
                FaultClass::TooLarge
            } else if says(&["user location is not supported"]) {
                FaultClass::Forbidden
            } else if says(&["enable billing"]) {
                FaultClass::Exhausted
            } else {
                FaultClass::Invalid
            }
        }
        "UNAUTHENTICATED" => FaultClass::Unauthenticated,
        "PERMISSION_DENIED" => FaultClass::Forbidden,
        "NOT_FOUND" => FaultClass::NotFound,
        "RESOURCE_EXHAUSTED" if status == 402 => FaultClass::Exhausted,
        "RESOURCE_EXHAUSTED" if says(&["credits are depleted", "spending cap", "spend cap"]) => {
            FaultClass::Exhausted
        }
        "RESOURCE_EXHAUSTED" => FaultClass::RateLimited,
        "UNAVAILABLE" => FaultClass::Overloaded,
        "DEADLINE_EXCEEDED" => FaultClass::Timeout,
        "UNIMPLEMENTED" => FaultClass::Unsupported,
        "INTERNAL" | "UNKNOWN" | "DATA_LOSS" | "ABORTED" | "CANCELLED" => FaultClass::Upstream,
        _ => FaultClass::of_status(status),
    }
}

/// Writes an error, with what the SDKs look for: `RetryInfo`, and the field it is about.
pub fn encode_error(fault: &Fault) -> EncodedError {
    let (status, named) = match fault.class {
        FaultClass::Invalid | FaultClass::ContextLength | FaultClass::ContentPolicy => {
            (400, "INVALID_ARGUMENT")
        }
        FaultClass::TooLarge => (413, "INVALID_ARGUMENT"),
        FaultClass::MediaType => (415, "INVALID_ARGUMENT"),
        FaultClass::Unauthenticated => (401, "UNAUTHENTICATED"),
        FaultClass::Forbidden => (403, "PERMISSION_DENIED"),
        FaultClass::NotFound => (404, "NOT_FOUND"),
        FaultClass::RateLimited | FaultClass::Exhausted => (429, "RESOURCE_EXHAUSTED"),
        FaultClass::Unsupported => (501, "UNIMPLEMENTED"),
        FaultClass::Upstream | FaultClass::Internal => (500, "INTERNAL"),
        FaultClass::Overloaded | FaultClass::Unreachable => (503, "UNAVAILABLE"),
        FaultClass::Timeout | FaultClass::Stalled => (504, "DEADLINE_EXCEEDED"),
    };
    let mut error = Map::new();
    error.insert("code".to_owned(), status.into());
    error.insert("message".to_owned(), fault.message.clone().into());
    error.insert("status".to_owned(), named.into());
    let details = details(fault, named);
    if !details.is_empty() {
        error.insert("details".to_owned(), Value::Array(details));
    }
    EncodedError {
        status,
        body: json!({"error": error}),
    }
}

fn details(fault: &Fault, named: &str) -> Vec<Value> {
    let mut details = Vec::new();
    if let Some(code) = fault.code.as_deref().filter(|code| *code != named) {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": code,
        }));
    }
    if let Some(field) = &fault.field {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": field, "description": fault.message}],
        }));
    }
    if let Some(delay) = fault.retry_after {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{}s", delay.as_secs_f64()),
        }));
    }
    details
}
