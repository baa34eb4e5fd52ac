//! A caller's whole answer (<https://platform.openai.com/docs/api-reference/chat/object>).

use serde_json::{Map, Value, json};

use crate::llm::answer::{Answer, Stop, arguments_text};
use crate::llm::chat::{Part, Source, Text, ToolCall};
use crate::llm::dialect::openai_chat::usage::{self, Held};
use crate::llm::dialect::openai_chat::{OWN, call, cite, parts, write_message};
use crate::llm::dialect::{Dropped, Encoded, Told};

pub(crate) fn encode(answer: &Answer, told: &Told) -> Encoded {
    let mut written = Written::default();
    for (at, part) in answer.parts.iter().enumerate() {
        written.part(part, at, told);
    }
    let held = Held {
        calls: !written.calls.is_empty() || written.function.is_some(),
        refusal: written.refusal.is_some(),
    };
    let (reason, whole) = usage::finish_reason(answer.stop.as_ref(), held);
    if !whole {
        written.dropped.push(dropped_stop(answer.stop.as_ref()));
    }
    let only_refusal = held.refusal && written.content.is_none();
    let logprobs = usage::written_logprobs(&answer.logprobs, only_refusal);
    let mut dropped = std::mem::take(&mut written.dropped);
    let mut body = head(
        &answer.id,
        &answer.model,
        answer.created,
        told,
        "chat.completion",
    );
    let choice = json!({
        "index": 0,
        "message": written.message(),
        "logprobs": logprobs,
        "finish_reason": reason_told(reason, told),
    });
    body.insert("choices".to_owned(), vec![choice].into());
    if let Some(used) = &answer.usage {
        body.insert("usage".to_owned(), usage::encode(used));
        if used.searches > 0 {
            dropped.push(Dropped::new("usage.searches", "there is no such field"));
        }
    }
    Encoded {
        body: body.into(),
        dropped,
    }
}

/// Why an answer ended, as callers know it that call tools functions.
pub(crate) fn reason_told<'a>(reason: &'a str, told: &Told) -> &'a str {
    match reason {
        "tool_calls" if told.tools.are_functions() => "function_call",
        reason => reason,
    }
}

/// One call more than an answer to `functions` can hold.
pub(crate) fn dropped_call(place: &str) -> Dropped {
    Dropped::new(
        place,
        "an answer to `functions` holds one call; send `tools`",
    )
}

/// What proves a call, where it is one of a function.
pub(crate) fn dropped_proof(place: &str) -> Dropped {
    let reason = "a call of one of `functions` has no place for it; send `tools`";
    Dropped::new(format!("{place}.signature"), reason)
}

pub(crate) fn dropped_stop(stop: Option<&Stop>) -> Dropped {
    let said = stop.map(|stop| format!("{stop:?}")).unwrap_or_default();
    Dropped::new("stop", format!("there is no reason like {said}"))
}

/// What every answer and chunk begins with.
pub(crate) fn head(
    id: &str,
    model: &str,
    created: Option<i64>,
    told: &Told,
    object: &str,
) -> Map<String, Value> {
    let id = if id.is_empty() {
        format!("chatcmpl-{}", told.request_id)
    } else {
        id.to_owned()
    };
    let model = if model.is_empty() { &told.model } else { model };
    let mut head = Map::new();
    head.insert("id".to_owned(), id.into());
    head.insert("object".to_owned(), object.into());
    head.insert("created".to_owned(), created.unwrap_or(told.now).into());
    head.insert("model".to_owned(), model.into());
    head
}

/// The id of a call, where the provider gave none.
pub(crate) fn call_id(id: &str, number: usize, told: &Told) -> String {
    if id.is_empty() {
        return format!("call_{}_{number}", told.request_id);
    }
    id.to_owned()
}

/// An image that a model made, in the manner of OpenRouter
/// (<https://openrouter.ai/docs/features/multimodal/image-generation>).
pub(crate) fn image(source: &Source) -> Option<Value> {
    let url = parts::image_url(source, "").ok()?;
    Some(json!({"type": "image_url", "image_url": {"url": url}}))
}

/// Sound that a model made.
pub(crate) fn sound(part: &Part, told: &Told) -> Option<Value> {
    match part {
        Part::Opaque(part) if part.dialect == OWN && part.kind == "audio" => {
            Some(part.value.clone())
        }
        Part::Audio(audio) => match &audio.source {
            Source::Inline { data, .. } => Some(json!({
                "id": format!("audio_{}", told.request_id),
                "data": data,
                "expires_at": told.now,
                "transcript": "",
            })),
            _ => None,
        },
        _ => None,
    }
}

/// A part that no answer of this dialect can hold.
pub(crate) fn dropped_part(part: &Part, place: &str) -> Dropped {
    let kind = match part {
        Part::Opaque(part) => part.kind.as_str(),
        Part::Image(_) => "image",
        Part::Audio(_) => "audio",
        Part::Document(_) => "document",
        Part::ToolResult(_) => "tool result",
        _ => "part",
    };
    let reason = format!("an answer in {} cannot hold such a {kind}", OWN.name());
    Dropped::new(place, reason)
}

#[derive(Default)]
struct Written<'a> {
    thoughts: Vec<&'a crate::llm::chat::Thought>,
    content: Option<String>,
    /// Characters of the content.
    length: u64,
    refusal: Option<String>,
    annotations: Vec<Value>,
    images: Vec<Value>,
    audio: Option<Value>,
    calls: Vec<Value>,
    /// In place of calls.
    function: Option<Value>,
    dropped: Vec<Dropped>,
}

impl<'a> Written<'a> {
    fn part(&mut self, part: &'a Part, at: usize, told: &Told) {
        let place = format!("parts[{at}]");
        match part {
            Part::Text(text) => self.text(text, &place),
            Part::Refusal(text) => self.refusal.get_or_insert_default().push_str(text),
            Part::Thought(thought) => self.thoughts.push(thought),
            Part::ToolCall(part) if told.tools.are_functions() => self.function(part, &place),
            Part::ToolCall(part) => {
                let id = call_id(&part.id, self.calls.len(), told);
                let part = told.tools.unwrapped(part);
                let call = call::encode(&part, &id, part.signature.as_ref());
                self.calls.push(call.into());
            }
            other => {
                let image = match other {
                    Part::Image(part) => image(&part.source),
                    _ => None,
                };
                if let Some(image) = image {
                    self.images.push(image);
                } else if let Some(audio) = sound(other, told) {
                    self.audio = Some(audio);
                } else {
                    self.dropped.push(dropped_part(other, &place));
                }
            }
        }
    }

    fn function(&mut self, call: &ToolCall, place: &str) {
        if self.function.is_some() {
            self.dropped.push(dropped_call(place));
            return;
        }
        if call.signature.is_some() {
            self.dropped.push(dropped_proof(place));
        }
        let arguments = arguments_text(&call.arguments);
        self.function = Some(json!({"name": call.name, "arguments": arguments}));
    }

    fn text(&mut self, text: &Text, place: &str) {
        let length = characters(&text.text);
        self.content.get_or_insert_default().push_str(&text.text);
        for citation in &text.citations {
            match cite::encode(citation, self.length, length) {
                Some(annotation) => self.annotations.push(annotation),
                None => self.dropped.push(dropped_citation(place)),
            }
        }
        self.length += length;
    }

    fn message(self) -> Map<String, Value> {
        let mut message = Map::new();
        message.insert("role".to_owned(), "assistant".into());
        message.insert("content".to_owned(), self.content.into());
        message.insert("refusal".to_owned(), self.refusal.into());
        write_message::reasoning(&mut message, &self.thoughts);
        message.insert("annotations".to_owned(), self.annotations.into());
        if let Some(audio) = self.audio {
            message.insert("audio".to_owned(), audio);
        }
        if !self.images.is_empty() {
            message.insert("images".to_owned(), self.images.into());
        }
        if !self.calls.is_empty() {
            message.insert("tool_calls".to_owned(), self.calls.into());
        }
        if let Some(function) = self.function {
            message.insert("function_call".to_owned(), function);
        }
        message
    }
}

pub(crate) fn dropped_citation(place: &str) -> Dropped {
    Dropped::new(format!("{place}.citations"), "a citation has to have a URL")
}

pub(crate) fn characters(text: &str) -> u64 {
    text.chars().count() as u64
}
