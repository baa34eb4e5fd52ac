//! A provider's whole answer
//! (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_ResponseSyntax>),
//! and what a stream shares with it. It has no id and names no model; both are known from elsewhere.

use serde_json::Value;

use crate::llm::answer::{Answer, Stop};
use crate::llm::chat::{Citation, Image, Opaque, Part, Signature, Source, Text, Thought, ToolCall};
use crate::llm::dialect::bedrock::OWN;
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::fields::Fields;
use crate::llm::usage::Usage;

/// A provider's body.
///
/// # Errors
/// Names what cannot be understood.
pub fn decode_answer(body: Value) -> Result<Answer, Fault> {
    read(body).map_err(|fault| {
        let text = format!(
            "the provider's answer cannot be understood: {}",
            fault.message
        );
        Fault::new(FaultClass::Upstream, text)
    })
}

fn read(body: Value) -> Result<Answer, Fault> {
    let mut body = Fields::of(body, "")?;
    let mut answer = Answer {
        model: body.take("trace").as_ref().map(routed).unwrap_or_default(),
        ..Answer::default()
    };
    let Some(mut output) = body.object("output")? else {
        return Err(body.missing("output"));
    };
    let Some(mut message) = output.object("message")? else {
        return Err(output.missing("message"));
    };
    let place = message.at("content");
    for (at, block) in message.list("content")?.into_iter().enumerate() {
        if let Some(part) = part(block, &format!("{place}[{at}]"))? {
            add(&mut answer.parts, part);
        }
    }
    let reason = body.text("stopReason")?.unwrap_or_default();
    let more = body.take("additionalModelResponseFields");
    answer.stop = Some(stop(&reason, more.as_ref()));
    answer.usage = body.take("usage").as_ref().and_then(usage);
    Ok(answer)
}

/// Citations without a text are of the text before them (Nova).
fn add(parts: &mut Vec<Part>, part: Part) {
    match (parts.last_mut(), part) {
        (Some(Part::Text(before)), Part::Text(mut text)) if text.text.is_empty() => {
            before.citations.append(&mut text.citations);
        }
        (_, part) => parts.push(part),
    }
}

/// The model that a router chose.
pub(crate) fn routed(trace: &Value) -> String {
    let model = trace.pointer("/promptRouter/invokedModelId");
    model.and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn part(block: Value, place: &str) -> Result<Option<Part>, Fault> {
    let mut fields = Fields::of(block.clone(), place)?;
    if let Some(text) = fields.text("text")? {
        return Ok((!text.is_empty()).then(|| Part::text(text)));
    }
    if let Some(mut call) = fields.object("toolUse")? {
        if is_of_server(call.peek("type")) {
            return Ok(Some(opaque("toolUse", block)));
        }
        let input = call.take("input").unwrap_or_else(|| serde_json::json!({}));
        return Ok(Some(Part::ToolCall(ToolCall {
            id: call.need_text("toolUseId")?,
            name: call.need_text("name")?,
            // Some models are said to give text.
            arguments: input
                .as_str()
                .map_or_else(|| input.to_string(), str::to_owned),
            signature: None,
            custom: false,
            cache: None,
        })));
    }
    if let Some(thought) = fields.object("reasoningContent")? {
        return thought_of(thought).map(Some);
    }
    if let Some(cited) = fields.object("citationsContent")? {
        return cited_text(cited).map(Some);
    }
    if let Some(image) = fields.object("image")? {
        return Ok(Some(
            image_of(image)?.unwrap_or_else(|| opaque("image", block)),
        ));
    }
    let kind = block
        .as_object()
        .and_then(|block| block.keys().next().cloned());
    Ok(kind.map(|kind| opaque(&kind, block)))
}

/// Claude's calls have a `type` too.
pub(crate) fn is_of_server(kind: Option<&str>) -> bool {
    kind.is_some_and(|kind| kind != "tool_use")
}

fn opaque(kind: &str, value: Value) -> Part {
    Part::Opaque(Opaque {
        dialect: OWN,
        kind: kind.to_owned(),
        value,
    })
}

pub(crate) fn signature(value: impl Into<String>) -> Signature {
    Signature {
        dialect: OWN,
        value: value.into(),
    }
}

fn thought_of(mut fields: Fields) -> Result<Part, Fault> {
    let mut thought = Thought {
        sealed: fields.text("redactedContent")?.map(signature),
        ..Thought::default()
    };
    if let Some(mut said) = fields.object("reasoningText")? {
        thought.text = said.text("text")?.unwrap_or_default();
        thought.signature = said.text("signature")?.map(signature);
    }
    Ok(Part::Thought(thought))
}

fn cited_text(mut fields: Fields) -> Result<Part, Fault> {
    let pieces = fields.list("content")?;
    let pieces = pieces
        .iter()
        .filter_map(|piece| piece.get("text")?.as_str());
    Ok(Part::Text(Text {
        text: pieces.collect(),
        citations: fields
            .list("citations")?
            .into_iter()
            .map(citation)
            .collect(),
        cache: None,
    }))
}

/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Citation.html>: places are those in the
/// source, not in the answer.
pub(crate) fn citation(whole: Value) -> Citation {
    let text = |path: &str| whole.pointer(path).and_then(Value::as_str);
    let quoted = whole.get("sourceContent").and_then(Value::as_array);
    let quoted: String = quoted
        .into_iter()
        .flatten()
        .filter_map(|piece| piece.get("text")?.as_str())
        .collect();
    let source = text("/source").filter(|source| source.contains("://"));
    Citation {
        url: text("/location/web/url").or(source).map(str::to_owned),
        title: text("/title").map(str::to_owned),
        quote: (!quoted.is_empty()).then_some(quoted),
        span: None,
        whole: Some((OWN, whole)),
    }
}

fn image_of(mut fields: Fields) -> Result<Option<Part>, Fault> {
    let format = fields.text("format")?.unwrap_or_default();
    let Some(mut source) = fields.object("source")? else {
        return Ok(None);
    };
    let data = source.text("bytes")?;
    Ok(data.map(|data| image(&format, data)))
}

/// An image that a model made.
pub(crate) fn image(format: &str, data: String) -> Part {
    Part::Image(Image {
        source: Source::Inline {
            media_type: format!("image/{format}"),
            data,
        },
        detail: None,
        cache: None,
    })
}

/// `inputTokens` are those that no cache was involved with
/// (<https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html>).
pub(crate) fn usage(said: &Value) -> Option<Usage> {
    let count = |name: &str| said.get(name).and_then(Value::as_u64);
    // The names with `Count` are of an early version.
    let cached = count("cacheReadInputTokens").or_else(|| count("cacheReadInputTokenCount"));
    let written = count("cacheWriteInputTokens").or_else(|| count("cacheWriteInputTokenCount"));
    let (cached, written) = (cached.unwrap_or(0), written.unwrap_or(0));
    let details = said.get("cacheDetails").and_then(Value::as_array);
    let hour: u64 = details
        .into_iter()
        .flatten()
        .filter(|detail| detail.get("ttl").and_then(Value::as_str) == Some("1h"))
        .filter_map(|detail| detail.get("inputTokens")?.as_u64())
        .fold(0, u64::saturating_add)
        .min(written);
    let (input, output) = (count("inputTokens"), count("outputTokens"));
    if input.is_none() && output.is_none() {
        return None;
    }
    let input = input.unwrap_or(0).saturating_add(cached);
    Some(Usage {
        input: input.saturating_add(written),
        cached,
        cache_write: written - hour,
        cache_write_hour: hour,
        output: output.unwrap_or(0),
        ..Usage::default()
    })
}

/// A reason, and the fields of the model's own answer that were asked for.
pub(crate) fn stop(reason: &str, more: Option<&Value>) -> Stop {
    match reason {
        "end_turn" | "" => Stop::End,
        "tool_use" => Stop::ToolCalls,
        "max_tokens" => Stop::Length,
        "stop_sequence" => {
            let sequence = more.and_then(|more| more.get("stop_sequence")?.as_str());
            Stop::Sequence(sequence.map(str::to_owned))
        }
        "guardrail_intervened" | "content_filtered" => Stop::ContentFilter,
        "model_context_window_exceeded" => Stop::ContextFull,
        "refusal" => Stop::Refusal,
        "pause_turn" => Stop::Pause,
        other => Stop::Other(other.to_owned()),
    }
}
