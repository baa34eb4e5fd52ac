//! `generateContent` of Gemini and Vertex AI (<https://ai.google.dev/api/generate-content>).
//!
//! Three things have no field of their own in the neutral form, and are kept so:
//!
//! * A signature on a part that is neither a thought nor a call comes before that part, as a thought of no text
//!   ([`signature::marker`]). On a text of no text it stands alone.
//! * What is said of a whole candidate (grounding, safety) is an opaque part of the kind [`ABOUT`] at its end.
//! * Fields nobody knows, deep in a request, are in `rest` under their path (`contents[0].parts[1]`).
//!
//! The model and whether to stream are in the URL (`models/{model}:streamGenerateContent?alt=sse`), not in a body.

mod about;
mod answer;
mod calls;
mod citations;
mod config;
mod decoder;
mod encoder;
mod error;
mod names;
mod part;
mod partial;
mod request;
mod schema;
mod signature;
mod tools;
mod write;

pub use crate::llm::dialect::gemini::answer::{decode_answer, encode_answer};
pub use crate::llm::dialect::gemini::decoder::StreamDecoder;
pub use crate::llm::dialect::gemini::encoder::StreamEncoder;
pub use crate::llm::dialect::gemini::error::{decode_error, encode_error};
pub use crate::llm::dialect::gemini::request::decode_request;
pub use crate::llm::dialect::gemini::write::encode_request;

/// The kind of the opaque part that holds what is said of a whole candidate, or of the prompt.
pub(crate) const ABOUT: &str = "about the answer";

/// `usageMetadata` of an answer alone.
pub fn decode_usage(usage: serde_json::Value) -> Option<crate::llm::usage::Usage> {
    about::read_usage(names::fields(usage, "usageMetadata").ok()?).ok()
}
