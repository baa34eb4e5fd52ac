//! A whole answer, read from a provider and written for a caller
//! (<https://docs.anthropic.com/en/api/messages#response-id>).

use serde_json::{Map, Value, json};

use crate::llm::answer::{Answer, Stop, arguments_value};
use crate::llm::chat::{Part, ToolCall};
use crate::llm::dialect::anthropic::block::Reader;
use crate::llm::dialect::anthropic::seal::{self, Sealed};
use crate::llm::dialect::anthropic::usage::{self, Counters};
use crate::llm::dialect::anthropic::{error, turns};
use crate::llm::dialect::{Dialect, Dropped, Encoded, Told};
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::fields::Fields;

/// Reads a provider's message.
///
/// # Errors
/// Where it is none, or says that something went wrong.
pub fn decode_answer(body: Value) -> Result<Answer, Fault> {
    let is_error = body.get("type").and_then(Value::as_str) == Some("error");
    if is_error || body.get("error").is_some_and(|error| !error.is_null()) {
        return Err(error::decode_event(&body));
    }
    decode(body).map_err(unreadable)
}

fn decode(body: Value) -> Result<Answer, Fault> {
    let mut fields = Fields::of(body, "")?;
    let mut reader = Reader::new(false);
    let content = fields.take("content").unwrap_or_default();
    let mut parts = reader.parts(content, "content")?;
    let sequence = fields.text("stop_sequence")?;
    let stop = fields.text("stop_reason")?;
    let stop = stop.and_then(|reason| stop_of(&reason, sequence));
    let details = fields.take("stop_details").unwrap_or_default();
    let last = parts.iter().rev().find_map(|part| match part {
        Part::Text(text) => Some(text.text.as_str()),
        _ => None,
    });
    let refusal = explanation(&details, stop.as_ref(), last.unwrap_or_default());
    parts.extend(refusal.map(Part::Refusal));
    let usage = fields.take("usage").map(|usage| {
        let mut counters = Counters::default();
        counters.take(&usage);
        counters.usage()
    });
    Ok(Answer {
        id: fields.text("id")?.unwrap_or_default(),
        model: fields.text("model")?.unwrap_or_default(),
        created: None,
        parts,
        stop,
        usage,
        logprobs: Vec::new(),
    })
}

/// Writes a message for a caller.
pub fn encode_answer(answer: &Answer, told: &Told) -> Encoded {
    let mut dropped = Vec::new();
    let mut content = Vec::new();
    for (index, part) in answer.parts.iter().enumerate() {
        match blocks(part) {
            Ok((blocks, lost)) => {
                content.extend(blocks);
                let place = format!("content[{index}]");
                dropped.extend(lost.map(|reason| Dropped::new(place, reason)));
            }
            Err(reason) => dropped.push(Dropped::new(format!("content[{index}]"), reason)),
        }
    }
    if !answer.logprobs.is_empty() {
        dropped.push(Dropped::new("logprobs", "messages have none"));
    }
    let called = answer
        .parts
        .iter()
        .any(|part| matches!(part, Part::ToolCall(_)));
    let refusal = answer.parts.iter().find_map(|part| match part {
        Part::Refusal(text) => Some(text.as_str()),
        _ => None,
    });
    let mut body = head(&answer.id, &answer.model, told);
    body.insert("content".to_owned(), Value::from(content));
    write_stop(answer.stop.as_ref(), called, refusal, &mut body);
    let usage = usage::encode(&answer.usage.unwrap_or_default(), false);
    body.insert("usage".to_owned(), usage);
    Encoded {
        body: Value::Object(body),
        dropped,
    }
}

/// The fields that a message begins with.
pub(crate) fn head(id: &str, model: &str, told: &Told) -> Map<String, Value> {
    let made = format!("msg_{}", told.request_id);
    let mut map = Map::new();
    // Clients put messages of one id together, and other providers' ids come again: some are random numbers below 1000.
    let id = if id.starts_with("msg_") { id } else { &made };
    let model = if model.is_empty() { &told.model } else { model };
    for (name, value) in [
        ("id", id),
        ("type", "message"),
        ("role", "assistant"),
        ("model", model),
    ] {
        map.insert(name.to_owned(), Value::from(value));
    }
    map
}

/// Why an answer ended, in the neutral form; nothing where the provider said nothing.
pub(crate) fn stop_of(reason: &str, sequence: Option<String>) -> Option<Stop> {
    Some(match reason {
        "" => return None,
        "end_turn" => Stop::End,
        "max_tokens" => Stop::Length,
        "stop_sequence" => Stop::Sequence(sequence),
        "tool_use" => Stop::ToolCalls,
        "pause_turn" => Stop::Pause,
        "refusal" => Stop::Refusal,
        "model_context_window_exceeded" => Stop::ContextFull,
        other => Stop::Other(other.to_owned()),
    })
}

/// Writes `stop_reason`, `stop_sequence` and, of a refusal, `stop_details`.
pub(crate) fn write_stop(
    stop: Option<&Stop>,
    called: bool,
    refusal: Option<&str>,
    map: &mut Map<String, Value>,
) {
    let mut sequence = None;
    let reason = match stop {
        Some(Stop::Length) => "max_tokens",
        Some(Stop::Sequence(text)) => {
            sequence = text.as_deref();
            "stop_sequence"
        }
        Some(Stop::Pause) => "pause_turn",
        Some(Stop::Refusal | Stop::ContentFilter) => "refusal",
        Some(Stop::ContextFull) => "model_context_window_exceeded",
        Some(Stop::Other(reason)) if reason == "compaction" => "compaction",
        _ if called => "tool_use",
        _ if refusal.is_some() => "refusal",
        // An answer without calls whose provider says otherwise: a caller would wait for calls.
        _ => "end_turn",
    };
    map.insert("stop_reason".to_owned(), Value::from(reason));
    map.insert("stop_sequence".to_owned(), json!(sequence));
    if let Some(text) = refusal.filter(|_| reason == "refusal") {
        let details = json!({ "type": "refusal", "category": null, "explanation": text });
        map.insert("stop_details".to_owned(), details);
    }
}

/// Why a model refused, where it is not said in the text already.
pub(crate) fn explanation(details: &Value, stop: Option<&Stop>, last: &str) -> Option<String> {
    let text = details.get("explanation").and_then(Value::as_str)?;
    let is_new = stop == Some(&Stop::Refusal) && !text.is_empty() && text != last;
    is_new.then(|| text.to_owned())
}

/// The blocks of a part, and what of it they do not say; or why there are none.
pub(crate) fn blocks(part: &Part) -> Result<(Vec<Value>, Option<&'static str>), &'static str> {
    Ok(match part {
        Part::Text(text) => {
            let (citations, lost) = turns::citations(&text.citations);
            let mut block = json!({ "type": "text", "text": text.text });
            if !citations.is_empty() {
                block["citations"] = Value::from(citations);
            }
            let lost = (lost > 0).then_some("a citation without an address has no form here");
            (vec![block], lost)
        }
        Part::Refusal(text) => (vec![json!({ "type": "text", "text": text })], None),
        Part::Thought(thought) if seal::is_nothing(thought) => (Vec::new(), None),
        Part::Thought(thought) => match seal::close(thought) {
            Sealed::Redacted(data) => (
                vec![json!({ "type": "redacted_thinking", "data": data })],
                None,
            ),
            Sealed::Signed(signature) => {
                let text = &thought.text;
                let block = json!({ "type": "thinking", "thinking": text, "signature": signature });
                (vec![block], None)
            }
        },
        Part::ToolCall(call) => call_blocks(call),
        Part::Opaque(part) if part.dialect == Dialect::Anthropic => {
            (vec![part.value.clone()], None)
        }
        Part::Opaque(_) => return Err("only its maker's dialect has such a part"),
        Part::Image(_) | Part::Audio(_) | Part::Document(_) | Part::ToolResult(_) => {
            return Err("a message of the assistant has no such part");
        }
    })
}

fn call_blocks(call: &ToolCall) -> (Vec<Value>, Option<&'static str>) {
    let mut lost = None;
    let input = if call.custom {
        json!({ "input": call.arguments })
    } else {
        arguments_value(&call.arguments).unwrap_or_else(|_| {
            lost = Some("the arguments are not a JSON object; they are given as its text");
            json!({ "arguments": call.arguments })
        })
    };
    let block = json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": input });
    let carrier = call.signature.as_ref().map(carrier);
    (carrier.into_iter().chain([block]).collect(), lost)
}

/// The block before a call that carries its signature.
pub(crate) fn carrier(signature: &crate::llm::chat::Signature) -> Value {
    let signature = seal::close_call(signature);
    json!({ "type": "thinking", "thinking": "", "signature": signature })
}

/// What a provider said makes no sense.
pub(crate) fn unreadable(fault: Fault) -> Fault {
    let message = format!("the provider's answer cannot be read: {}", fault.message);
    Fault::new(FaultClass::Upstream, message)
}
