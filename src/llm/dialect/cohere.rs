//! Cohere Chat v2: `POST /v2/chat` (<https://docs.cohere.com/reference/chat>), spoken to providers only.
//!
//! What a model thinks is not signed here. So that it finds back through callers of other dialects, which pass
//! signed thoughts only, a thought is signed with the field that it came in: `thinking` or `tool_plan`.

mod answer;
mod cite;
mod error;
mod message;
mod request;
mod stream;

pub use answer::decode_answer;
pub use error::decode_error;
pub use request::encode_request;
pub use stream::StreamDecoder;

use crate::llm::chat::Signature;
use crate::llm::dialect::Dialect;

const OWN: Dialect = Dialect::Cohere;
/// Where a thought came: a part of the content, or the plan before calls of tools.
const THINKING: &str = "thinking";
const TOOL_PLAN: &str = "tool_plan";

fn signed(field: &str) -> Signature {
    Signature {
        dialect: OWN,
        value: field.to_owned(),
    }
}

/// `usage` of an answer alone.
pub fn decode_usage(usage: serde_json::Value) -> Option<crate::llm::usage::Usage> {
    answer::usage(&usage)
}
