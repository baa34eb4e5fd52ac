//! OpenAI Chat Completions: `POST /v1/chat/completions` (<https://platform.openai.com/docs/api-reference/chat>),
//! as OpenAI speaks it and as the many who imitate it do.
//!
//! Beyond OpenAI's own fields it reads and writes those that carry thoughts and what proves them:
//! `reasoning_content` (DeepSeek, Qwen), `reasoning` (vLLM), `reasoning_details` (OpenRouter) and
//! `extra_content.google.thought_signature` (Gemini's compatible endpoint). What these say is passed back as it
//! came; nothing here depends on which provider it is.

mod answer;
mod call;
mod cite;
mod error;
mod message;
mod parts;
mod pieces;
mod request;
mod stream;
mod thought;
mod usage;
mod write_answer;
mod write_message;
mod write_request;
mod write_stream;

use serde_json::Value;

pub(crate) use crate::llm::dialect::openai_chat::error::{BASE_RESP, of_base_resp};
pub use crate::llm::dialect::openai_chat::stream::StreamDecoder;
pub use crate::llm::dialect::openai_chat::write_stream::StreamEncoder;

use crate::llm::answer::Answer;
use crate::llm::chat::ChatRequest;
use crate::llm::dialect::{Dialect, Encoded, EncodedError, TargetModel, Told};
use crate::llm::fault::Fault;

const OWN: Dialect = Dialect::OpenaiChat;

/// A caller's body.
///
/// # Errors
/// Names the field that cannot be understood.
pub fn decode_request(body: Value) -> Result<ChatRequest, Fault> {
    request::decode(body)
}

/// A provider's body. Its limit is `max_completion_tokens`, and instructions are said by `system`.
///
/// # Errors
/// Names what the dialect has no way to say.
pub fn encode_request(request: &ChatRequest, model: &TargetModel) -> Result<Encoded, Fault> {
    write_request::encode(request, model)
}

/// A provider's answer: the first choice of it.
///
/// # Errors
/// The provider's error, where it came with a good status, or what cannot be understood.
pub fn decode_answer(body: Value) -> Result<Answer, Fault> {
    answer::decode(body)
}

/// A caller's answer: one choice.
pub fn encode_answer(answer: &Answer, told: &Told) -> Encoded {
    write_answer::encode(answer, told)
}

/// A provider's refusal to answer; `body` may be anything.
pub fn decode_error(status: u16, body: &[u8]) -> Fault {
    error::decode(status, body)
}

/// A caller's error (<https://platform.openai.com/docs/guides/error-codes>).
pub fn encode_error(fault: &Fault) -> EncodedError {
    error::encode(fault)
}

/// `usage` of an answer alone, as text.
pub fn decode_usage_text(usage: &str) -> Option<crate::llm::usage::Usage> {
    usage::decode_text(usage)
}

/// `usage` of an answer alone.
pub fn decode_usage(usage: Value) -> Option<crate::llm::usage::Usage> {
    usage::decode(&usage)
}
