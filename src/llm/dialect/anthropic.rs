//! Anthropic Messages: `POST /v1/messages` (<https://docs.anthropic.com/en/api/messages>), spoken to callers and
//! to providers.
//!
//! Three things are peculiar to it. A signed thought has to come back byte for byte, and nothing unsigned or
//! signed by others may be sent; what others signed travels through a caller in a `thinking` block whose signature
//! says so (`seal`). One block of a stream is open at a time (`emit`). What a model accepts beside `thinking`
//! depends on its generation (`generation`).

mod answer;
mod block;
mod count;
mod effort;
mod emit;
mod error;
mod generation;
mod request;
mod sampling;
mod schema;
mod seal;
mod sources;
mod stream;
mod tools;
mod turns;
mod usage;
mod write;

pub use answer::{decode_answer, encode_answer};
pub use count::{decode_count_tokens, decode_token_count, encode_count_tokens, encode_token_count};
pub(crate) use effort::is_alone as says_only_effort;
pub use emit::StreamEncoder;
pub use error::{decode_error, encode_error};
pub(crate) use generation::{OUTPUT_TOKENS, output_tokens};
pub use request::decode_request;
pub(crate) use sources::spelled;
pub use stream::StreamDecoder;
pub use write::encode_request;

/// `usage` of an answer alone.
pub fn decode_usage(usage: serde_json::Value) -> Option<crate::llm::usage::Usage> {
    let mut counters = usage::Counters::default();
    counters.take(&usage);
    usage.is_object().then(|| counters.usage())
}
