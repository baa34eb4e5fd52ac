//! A provider's whole answer, and what a stream shares with it.

use serde_json::Value;

use crate::llm::answer::{Answer, Stop, TokenLogprob};
use crate::llm::chat::{Part, Text, Thought, ToolCall};
use crate::llm::dialect::cohere::{THINKING, TOOL_PLAN, cite, error, signed};
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::fields::Fields;
use crate::llm::usage::Usage;

/// A provider's body.
///
/// # Errors
/// Names what cannot be understood, or says that the model failed.
pub fn decode_answer(body: Value) -> Result<Answer, Fault> {
    let stop = body.get("finish_reason").and_then(Value::as_str);
    let stop = stop.map(|reason| stop_of(reason, None)).transpose()?;
    let mut answer = read(body).map_err(|fault| {
        let text = format!(
            "the provider's answer cannot be understood: {}",
            fault.message
        );
        Fault::new(FaultClass::Upstream, text)
    })?;
    answer.stop = stop.or_else(|| Some(unsaid(&answer)));
    Ok(answer)
}

/// Why an answer ended that does not say it.
fn unsaid(answer: &Answer) -> Stop {
    let calls = |part: &Part| matches!(part, Part::ToolCall(_));
    if answer.parts.iter().any(calls) {
        return Stop::ToolCalls;
    }
    Stop::End
}

fn read(body: Value) -> Result<Answer, Fault> {
    let mut body = Fields::of(body, "")?;
    let Some(mut message) = body.object("message")? else {
        return Err(body.missing("message"));
    };
    let mut parts = Vec::new();
    parts.extend(
        message
            .text("tool_plan")?
            .map(|plan| thought(plan, TOOL_PLAN)),
    );
    let first = parts.len();
    match message.take("content") {
        None => {}
        Some(Value::String(text)) => parts.push(Part::text(text)),
        Some(Value::Array(content)) => {
            for (at, piece) in content.into_iter().enumerate() {
                parts.push(content_part(piece, &format!("message.content[{at}]"))?);
            }
        }
        Some(other) => {
            return Err(crate::llm::fields::wrong(
                "message.content",
                "a list",
                &other,
            ));
        }
    }
    for citation in message.list("citations")? {
        attach(&citation, parts.get_mut(first..).unwrap_or_default());
    }
    for (at, call) in message.list("tool_calls")?.into_iter().enumerate() {
        parts.push(call_of(call, &format!("message.tool_calls[{at}]"))?);
    }
    parts.retain(|part| !matches!(part, Part::Text(text) if text.text.is_empty()));
    Ok(Answer {
        id: body.text("id")?.unwrap_or_default(),
        model: body.text("model")?.unwrap_or_default(),
        created: None,
        parts,
        stop: None,
        usage: body.take("usage").as_ref().and_then(usage),
        logprobs: body.list("logprobs")?.iter().filter_map(logprob).collect(),
    })
}

fn thought(text: String, field: &str) -> Part {
    Part::Thought(Thought {
        text,
        signature: Some(signed(field)),
        ..Thought::default()
    })
}

fn content_part(piece: Value, place: &str) -> Result<Part, Fault> {
    let mut piece = Fields::of(piece, place)?;
    if let Some(text) = piece.text("thinking")? {
        return Ok(thought(text, THINKING));
    }
    Ok(Part::text(piece.need_text("text")?))
}

/// Puts a citation to the text it is about: the first where it does not say which.
fn attach(citation: &Value, content: &mut [Part]) {
    if !cite::is_of_text(citation) {
        return;
    }
    let index = cite::content_index(citation);
    let part = content
        .iter_mut()
        .enumerate()
        .find_map(|(at, part)| match part {
            Part::Text(text) if index.is_none_or(|index| u64::try_from(at) == Ok(index)) => {
                Some(text)
            }
            _ => None,
        });
    let text: Option<&mut Text> = part;
    if let Some(text) = text {
        text.citations.extend(cite::decode(citation));
    }
}

fn call_of(call: Value, place: &str) -> Result<Part, Fault> {
    let mut call = Fields::of(call, place)?;
    let Some(mut function) = call.object("function")? else {
        return Err(call.missing("function"));
    };
    let arguments = match function.take("arguments") {
        Some(Value::String(text)) if !text.trim().is_empty() => text,
        None | Some(Value::String(_)) => "{}".to_owned(),
        Some(value) => value.to_string(),
    };
    Ok(Part::ToolCall(ToolCall {
        id: call.text("id")?.unwrap_or_default(),
        name: function.need_text("name")?,
        arguments,
        signature: None,
        custom: false,
        cache: None,
    }))
}

/// What is billed, which is far less than what the model saw: Cohere's own instructions are not
/// (<https://docs.cohere.com/docs/how-does-cohere-pricing-work>). How many of all came from a cache says nothing of
/// those, and counts only where nothing is billed.
pub(crate) fn usage(said: &Value) -> Option<Usage> {
    let count = |path: &str| {
        let number = said.pointer(path)?;
        number.as_u64().or_else(|| whole(number.as_f64()?))
    };
    let billed = count("/billed_units/input_tokens").is_some();
    let of = |name: &str| {
        let billed = count(&format!("/billed_units/{name}"));
        billed.or_else(|| count(&format!("/tokens/{name}")))
    };
    let (input, output) = (of("input_tokens"), of("output_tokens"));
    let searches = count("/billed_units/search_units").unwrap_or(0);
    if input.is_none() && output.is_none() && searches == 0 {
        return None;
    }
    let (input, output) = (input.unwrap_or(0), output.unwrap_or(0));
    let cached = count("/cached_tokens").filter(|_| !billed);
    let reasoning = count("/tokens/reasoning_tokens").unwrap_or(0);
    Some(Usage {
        input,
        cached: cached.unwrap_or(0).min(input),
        output,
        reasoning: reasoning.min(output),
        searches,
        ..Usage::default()
    })
}

/// Cohere counts in numbers that may have a fraction.
fn whole(number: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is within 2^53 and not negative"
    )]
    (0.0..9e15)
        .contains(&number)
        .then_some(number.ceil() as u64)
}

/// A piece of text and the probabilities of its tokens, which are one for most pieces.
pub(crate) fn logprob(said: &Value) -> Option<TokenLogprob> {
    let numbers = said.get("logprobs")?.as_array()?;
    let numbers: Vec<f64> = numbers.iter().filter_map(Value::as_f64).collect();
    let token = said.get("text").and_then(Value::as_str).unwrap_or_default();
    (!numbers.is_empty()).then(|| TokenLogprob {
        token: token.to_owned(),
        logprob: numbers.iter().sum(),
        bytes: Some(token.as_bytes().to_vec()),
        top: Vec::new(),
    })
}

/// <https://docs.cohere.com/reference/chat#response.body.finish_reason>; `message` is the provider's where it failed.
pub(crate) fn stop_of(reason: &str, message: Option<&str>) -> Result<Stop, Fault> {
    let failed =
        |status, otherwise: &str| error::fault(status, message.unwrap_or(otherwise).to_owned());
    Ok(match reason {
        "COMPLETE" | "" => Stop::End,
        "STOP_SEQUENCE" => Stop::Sequence(None),
        "MAX_TOKENS" => Stop::Length,
        "TOOL_CALL" => Stop::ToolCalls,
        "ERROR_TOXIC" => Stop::ContentFilter,
        "ERROR_LIMIT" => Stop::ContextFull,
        "ERROR" => return Err(failed(500, "the model failed in the middle of its answer")),
        "TIMEOUT" => return Err(failed(504, "the model did not finish its answer in time")),
        other => Stop::Other(other.to_owned()),
    })
}
