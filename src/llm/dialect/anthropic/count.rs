//! `POST /v1/messages/count_tokens`: a request without `max_tokens`, answered with a number
//! (<https://docs.anthropic.com/en/api/messages-count-tokens>).

use serde_json::{Value, json};

use crate::llm::chat::ChatRequest;
use crate::llm::dialect::anthropic::answer::unreadable;
use crate::llm::dialect::anthropic::{request, write};
use crate::llm::dialect::{Encoded, TargetModel};
use crate::llm::fault::Fault;
use crate::llm::fields::Fields;

/// What is not counted, and refused there.
const NOT_COUNTED: [&str; 10] = [
    "max_tokens",
    "stream",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "metadata",
    "service_tier",
    "container",
    "inference_geo",
];

/// Reads a caller's body.
///
/// # Errors
/// What is wrong or missing, and where.
pub fn decode_count_tokens(body: Value) -> Result<ChatRequest, Fault> {
    request::decode(body)
}

/// Writes a provider's body.
///
/// # Errors
/// What this dialect cannot say.
pub fn encode_count_tokens(request: &ChatRequest, model: &TargetModel) -> Result<Encoded, Fault> {
    let mut encoded = write::encode_request(request, model)?;
    if let Some(body) = encoded.body.as_object_mut() {
        body.retain(|name, _| !NOT_COUNTED.contains(&name.as_str()));
    }
    Ok(encoded)
}

/// The number in a provider's answer.
///
/// # Errors
/// Where there is none.
pub fn decode_token_count(body: Value) -> Result<u64, Fault> {
    let mut fields = Fields::of(body, "").map_err(unreadable)?;
    let count = fields.count("input_tokens").map_err(unreadable)?;
    count.ok_or_else(|| unreadable(fields.missing("input_tokens")))
}

/// The answer to a caller.
pub fn encode_token_count(tokens: u64) -> Value {
    json!({ "input_tokens": tokens })
}
