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
pub(crate) mod calls;
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

pub(crate) use crate::llm::dialect::gemini::config::answerable;

use crate::llm::chat::ChatRequest;
use crate::llm::dialect::Dialect;
use crate::llm::fault::Fault;

/// The kind of the opaque part that holds what is said of a whole candidate, or of the prompt.
pub(crate) const ABOUT: &str = "about the answer";

/// `usageMetadata` of an answer alone.
pub fn decode_usage(usage: serde_json::Value) -> Option<crate::llm::usage::Usage> {
    about::read_usage(names::fields(usage, "usageMetadata").ok()?).ok()
}

/// Whether a request says everything itself.
///
/// # Errors
/// Where a part of the prompt is kept by Google.
pub fn self_contained(request: &ChatRequest) -> Result<(), Fault> {
    const FIELD: &str = "cachedContent";
    let rest = &request.rest;
    if rest.dialect != Some(Dialect::Gemini) || !rest.fields.contains_key(FIELD) {
        return Ok(());
    }
    let message = format!(
        "`{FIELD}` is a part of the prompt that only Google has; the model asked for is another provider's. \
         Send all of it in `contents`"
    );
    Err(Fault::invalid(FIELD, message))
}
