//! The codecs of chat dialects, with data: requests, answers and streams of `tests/data/llm/{dialect}/`, whose
//! first line or `_source` names the public page they follow.

mod anthropic;
mod anthropic_elsewhere;
mod bedrock;
mod cohere;
mod faults;
mod gemini;
mod grammar;
mod lossless;
mod matrix;
mod openai_chat;
mod openai_responses;
mod own_tools;
mod prices;
mod providers;
mod published;
mod quirks;

use std::path::PathBuf;

use causeway::events::{Decoder, Event, Framing};
use serde_json::Value;

/// A file of `tests/data/llm`, without the field that says where it is from.
pub(crate) fn json(path: &str) -> Value {
    let mut value: Value = serde_json::from_str(&text(path)).expect(path);
    if let Some(object) = value.as_object_mut() {
        object.shift_remove("_source");
    }
    value
}

pub(crate) fn text(path: &str) -> String {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/llm")
        .join(path);
    std::fs::read_to_string(&file).expect(path)
}

/// The events of a stream whose bytes arrive in two pieces, parted at `at`.
pub(crate) fn parted(stream: &str, at: usize) -> Vec<Event> {
    let mut decoder = Decoder::new(Framing::ServerSent);
    let (first, second) = stream.as_bytes().split_at(at);
    let mut events = decoder.push(first);
    events.extend(decoder.push(second));
    events.extend(decoder.finish());
    events
}
