//! Converse of Amazon Bedrock (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>),
//! spoken to providers only.
//!
//! One form for models of many makers: what a model has beyond it goes into `additionalModelRequestFields`, in its
//! maker's words, see [`family`]. Of what models think, only Claude signs it, and as it does
//! everywhere else: it goes on wherever Claude is asked.

mod answer;
mod error;
mod family;
mod frames;
mod media;
mod message;
mod reasoning;
mod request;
mod stream;

pub use answer::decode_answer;
pub use error::decode_error;
pub use frames::Frames;
pub use request::encode_request;
pub(crate) use request::{runs_at_callers, with_betas};
pub use stream::StreamDecoder;

use crate::llm::dialect::Dialect;

const OWN: Dialect = Dialect::Bedrock;

/// Whether a model is Claude, which takes results of a search, and betas.
pub(crate) fn is_claude(model: &str) -> bool {
    family::Family::of(model).is_claude()
}

/// `usage` of an answer alone.
pub fn decode_usage(usage: serde_json::Value) -> Option<crate::llm::usage::Usage> {
    answer::usage(&usage)
}
