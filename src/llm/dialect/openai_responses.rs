//! OpenAI Responses: `POST /v1/responses` (<https://platform.openai.com/docs/api-reference/responses>).
//!
//! A conversation is a list of items: messages, reasoning, calls of tools and their outputs. What a model of another
//! dialect signed travels in `encrypted_content` of reasoning items, see [`seal`].

mod answer;
mod error;
mod frames;
mod input;
mod output;
mod parts;
mod request;
mod said;
mod seal;
mod stream;

pub use answer::{decode_answer, encode_answer};
pub use error::{decode_error, encode_error};
pub use frames::StreamEncoder;
pub(crate) use parts::CONTENT;
pub(crate) use request::{ENCRYPTED, LOGPROBS, SHARED};
pub use request::{decode_request, encode_request, stateless};
pub use stream::StreamDecoder;

/// `usage` of an answer alone.
pub fn decode_usage(usage: serde_json::Value) -> Option<crate::llm::usage::Usage> {
    answer::usage(&serde_json::json!({ "usage": usage }))
}
