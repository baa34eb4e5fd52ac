//! Whole answers: read as a stream of one event, and written as one.

use serde_json::Value;

use crate::llm::answer::{Answer, Collector};
use crate::llm::dialect::gemini::decoder::StreamDecoder;
use crate::llm::dialect::gemini::encoder::Composer;
use crate::llm::dialect::{Encoded, Told};
use crate::llm::fault::Fault;

/// Reads an answer of `generateContent` (<https://ai.google.dev/api/generate-content#generatecontentresponse>). Of
/// several candidates the first is taken.
///
/// # Errors
/// A field of the wrong type, by its name.
pub fn decode_answer(body: Value) -> Result<Answer, Fault> {
    let mut decoder = StreamDecoder::whole();
    decoder.chunk(body)?;
    let mut collector = Collector::default();
    for event in decoder.finish() {
        collector.push(event)?;
    }
    Ok(collector.finish())
}

/// Writes an answer for a caller.
pub fn encode_answer(answer: &Answer, told: &Told) -> Encoded {
    let mut composer = Composer::new(told.clone(), true);
    for event in answer.events() {
        composer.push(event);
    }
    Encoded {
        body: composer.last(),
        dropped: composer.dropped,
    }
}
