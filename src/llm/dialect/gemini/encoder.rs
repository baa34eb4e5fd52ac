//! Writes answers as they are streamed (<https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent>):
//! server-sent events where the caller asked for `alt=sse`, else one JSON list that grows.
//!
//! Parts have no number here, so they are written in their order: one that begins while another is open waits for it.
//! Calls are written whole, signed parts too.

use std::collections::VecDeque;

use serde_json::{Map, Value, json};

use crate::llm::answer::{ChatEvent, Delta, PartStart, Stop, TokenLogprob, arguments_value};
use crate::llm::chat::{Citation, Part, Signature, Thought};
use crate::llm::dialect::gemini::calls::given;
use crate::llm::dialect::gemini::citations::{Grounding, Said};
use crate::llm::dialect::gemini::names::merge;
use crate::llm::dialect::gemini::part::write_media;
use crate::llm::dialect::gemini::signature::{Held, own};
use crate::llm::dialect::gemini::{ABOUT, about, error};
use crate::llm::dialect::{Dialect, Dropped, Told};
use crate::llm::usage::Usage;

/// Writes a stream.
#[derive(Debug)]
pub struct StreamEncoder {
    composer: Composer,
    /// The list instead of events.
    array: bool,
    begun: bool,
    over: bool,
}

impl StreamEncoder {
    /// Server-sent events.
    pub fn new(told: Told) -> Self {
        Self {
            composer: Composer::new(told, false),
            array: false,
            begun: false,
            over: false,
        }
    }

    /// A JSON list, for callers who did not ask for `alt=sse`.
    pub fn array(told: Told) -> Self {
        Self {
            array: true,
            ..Self::new(told)
        }
    }

    /// Writes what an event says.
    pub fn push(&mut self, event: ChatEvent, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        if let ChatEvent::Fault(fault) = &event {
            self.over = true;
            self.write(&error::encode_error(fault).body, out);
            return;
        }
        let last = matches!(event, ChatEvent::Stop(_));
        self.composer.push(event);
        if last {
            self.over = true;
            let value = self.composer.last();
            self.write(&value, out);
        } else if let Some(value) = self.composer.chunk() {
            self.write(&value, out);
        }
    }

    /// Ends the stream.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.over = true;
        if self.array {
            out.extend(if self.begun { "\n]\n" } else { "[]\n" }.as_bytes());
        }
    }

    /// What could not be said.
    pub fn dropped(&self) -> &[Dropped] {
        &self.composer.dropped
    }

    fn write(&mut self, value: &Value, out: &mut Vec<u8>) {
        let first = !std::mem::replace(&mut self.begun, true);
        let (before, after) = match (self.array, first) {
            (false, _) => ("data: ", "\r\n\r\n"),
            (true, true) => ("[", ""),
            (true, false) => ("\n,\r\n", ""),
        };
        out.extend(before.as_bytes());
        out.extend(value.to_string().as_bytes());
        out.extend(after.as_bytes());
    }
}

/// Makes parts of a content out of events.
#[derive(Debug)]
pub(crate) struct Composer {
    id: String,
    model: String,
    created: Option<i64>,
    /// Nothing is written before it is whole.
    whole: bool,
    slots: VecDeque<Slot>,
    parts: Vec<Value>,
    /// Of the part that comes next.
    marker: Option<String>,
    /// Thoughts of other dialects since the last call.
    thoughts: Vec<Thought>,
    logprobs: Vec<TokenLogprob>,
    usage: Option<Usage>,
    stop: Option<Stop>,
    about: Map<String, Value>,
    grounding: Grounding,
    wire: usize,
    /// A call was not written, for its arguments were cut.
    cut: bool,
    pub(crate) dropped: Vec<Dropped>,
}

/// A part on its way.
#[derive(Debug)]
struct Slot {
    index: usize,
    start: PartStart,
    text: String,
    /// How much of it has been written.
    written: usize,
    signature: Option<Signature>,
    sealed: Option<Signature>,
    citations: Vec<Citation>,
    stopped: bool,
}

impl Slot {
    fn new(index: usize, start: PartStart) -> Self {
        Self {
            index,
            start,
            text: String::new(),
            written: 0,
            signature: None,
            sealed: None,
            citations: Vec::new(),
            stopped: false,
        }
    }

    fn rest(&self) -> &str {
        self.text.get(self.written..).unwrap_or_default()
    }
}

impl Composer {
    pub(crate) fn new(told: Told, whole: bool) -> Self {
        Self {
            id: told.request_id,
            model: told.model,
            created: None,
            whole,
            slots: VecDeque::new(),
            parts: Vec::new(),
            marker: None,
            thoughts: Vec::new(),
            logprobs: Vec::new(),
            usage: None,
            stop: None,
            about: Map::new(),
            grounding: Grounding::default(),
            wire: 0,
            cut: false,
            dropped: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, event: ChatEvent) {
        match event {
            ChatEvent::Start { id, model, created } => self.start(id, model, created),
            ChatEvent::PartStart { index, part } => self.slots.push_back(Slot::new(index, part)),
            ChatEvent::Delta {
                delta: Delta::Logprobs(more),
                ..
            } => self.logprobs.extend(more),
            ChatEvent::Delta { index, delta } => {
                if let Some(slot) = self.slots.iter_mut().find(|slot| slot.index == index) {
                    add(slot, delta);
                }
            }
            ChatEvent::PartStop { index } => {
                if let Some(slot) = self.slots.iter_mut().find(|slot| slot.index == index) {
                    slot.stopped = true;
                }
            }
            ChatEvent::Usage(usage) => self.usage = Some(usage),
            ChatEvent::Stop(stop) => {
                self.stop = Some(stop);
                self.slots.iter_mut().for_each(|slot| slot.stopped = true);
            }
            ChatEvent::Fault(_) => {}
        }
        self.advance();
    }

    fn start(&mut self, id: String, model: String, created: Option<i64>) {
        for (given, kept) in [(id, &mut self.id), (model, &mut self.model)] {
            if !given.is_empty() {
                *kept = given;
            }
        }
        self.created = created;
    }

    /// Writes what can be written of the first part, and all that is whole.
    fn advance(&mut self) {
        while let Some(slot) = self.slots.front_mut() {
            if !slot.stopped {
                if self.whole || self.marker.is_some() {
                    return;
                }
                if let Some(part) = piece(slot) {
                    self.parts.push(part);
                }
                return;
            }
            if let Some(slot) = self.slots.pop_front() {
                self.complete(slot);
            }
        }
    }

    fn complete(&mut self, slot: Slot) {
        match slot.start {
            PartStart::Text | PartStart::Refusal => self.complete_text(slot),
            PartStart::Thought { .. } => self.complete_thought(slot),
            PartStart::ToolCall { .. } => self.complete_call(slot),
            PartStart::Whole(part) => self.complete_whole(*part),
        }
        self.wire += 1;
    }

    fn complete_text(&mut self, slot: Slot) {
        if let Some(signature) = self.marker.take() {
            self.parts
                .push(json!({"text": slot.text, "thoughtSignature": signature}));
        } else if !slot.rest().is_empty() {
            self.parts.push(json!({"text": slot.rest()}));
        }
        let said = Said {
            index: slot.index,
            wire: self.wire,
            text: slot.text,
        };
        self.grounding.add(&said, &slot.citations);
    }

    fn complete_thought(&mut self, slot: Slot) {
        self.flush();
        let PartStart::Thought { summary, ref id } = slot.start else {
            return;
        };
        let bare = slot.text.is_empty() && !summary && slot.sealed.is_none();
        if let Some(value) = own(slot.signature.as_ref()).filter(|_| bare) {
            self.marker = Some(value.to_owned());
            return;
        }
        let rest = slot.rest().to_owned();
        if own(slot.signature.as_ref()).is_none() {
            self.thoughts.push(Thought {
                text: slot.text,
                summary,
                signature: slot.signature.clone(),
                sealed: slot.sealed.clone(),
                id: id.clone(),
            });
        }
        let held = Held {
            signature: slot.signature,
            sealed: slot.sealed,
            id: id.clone(),
            summary,
            before: Vec::new(),
        };
        match held.write() {
            Some(signature) => self
                .parts
                .push(json!({"text": rest, "thought": true, "thoughtSignature": signature})),
            None if !rest.is_empty() => self.parts.push(json!({"text": rest, "thought": true})),
            None => {}
        }
    }

    fn complete_call(&mut self, slot: Slot) {
        self.flush();
        let PartStart::ToolCall { id, name, custom } = slot.start else {
            return;
        };
        let args = if custom {
            json!({"input": slot.text})
        } else if let Ok(args) = arguments_value(&slot.text) {
            args
        } else {
            self.cut = true;
            let reason = "its arguments are no JSON object, and Gemini has no other";
            self.dropped
                .push(Dropped::new(format!("parts[{}]", slot.index), reason));
            return;
        };
        let mut call = Map::new();
        crate::llm::fields::put(&mut call, "id", given(&id));
        call.insert("name".to_owned(), name.into());
        call.insert("args".to_owned(), args);
        let mut part = json!({"functionCall": call});
        // Callers may send back no thoughts, but what calls are signed with.
        let held = Held {
            signature: slot.signature,
            before: std::mem::take(&mut self.thoughts),
            ..Held::default()
        };
        if let Some(signature) = held.write() {
            part["thoughtSignature"] = signature.into();
        }
        self.parts.push(part);
    }

    fn complete_whole(&mut self, part: Part) {
        let field = format!("parts[{}]", self.wire);
        let value = match part {
            Part::Opaque(opaque) if opaque.dialect == Dialect::Gemini => {
                if opaque.kind == ABOUT {
                    if let Value::Object(about) = &opaque.value {
                        merge(&mut self.about, about);
                    }
                    return;
                }
                Ok(opaque.value)
            }
            Part::Opaque(opaque) => Err(format!("`{}` of {}", opaque.kind, opaque.dialect.name())),
            Part::Image(image) => write_media(&image.source, "image/png").map_err(str::to_owned),
            Part::Audio(audio) => write_media(&audio.source, "audio/wav").map_err(str::to_owned),
            Part::Document(document) => {
                write_media(&document.source, "application/pdf").map_err(str::to_owned)
            }
            _ => Err("a part of this kind".to_owned()),
        };
        match value {
            Ok(mut value) => {
                if let (Some(signature), Value::Object(map)) = (self.marker.take(), &mut value) {
                    map.insert("thoughtSignature".to_owned(), signature.into());
                }
                self.parts.push(value);
            }
            Err(what) => {
                let reason = format!("{what} cannot be said in {}", Dialect::Gemini.name());
                self.dropped.push(Dropped::new(field, reason));
            }
        }
    }

    /// A signature whose part did not come stands alone.
    fn flush(&mut self) {
        if let Some(signature) = self.marker.take() {
            self.parts
                .push(json!({"text": "", "thoughtSignature": signature}));
        }
    }

    /// What is ready of a stream.
    fn chunk(&mut self) -> Option<Value> {
        if self.parts.is_empty() && self.logprobs.is_empty() {
            return None;
        }
        let candidate = self.candidate(Map::new());
        Some(self.answer(vec![candidate]))
    }

    /// The end of a stream, or a whole answer.
    pub(crate) fn last(&mut self) -> Value {
        self.flush();
        let feedback = self.about.shift_remove("promptFeedback");
        let about = match self.about.shift_remove("candidate") {
            Some(Value::Object(about)) => about,
            _ => Map::new(),
        };
        let blocked = feedback
            .as_ref()
            .is_some_and(|feedback| feedback["blockReason"].is_string());
        let nothing = self.parts.is_empty() && about.is_empty();
        let mut candidates = Vec::new();
        if !(blocked && nothing) {
            candidates.push(self.ended(about));
        }
        let mut answer = self.answer(candidates);
        if let (Some(feedback), Value::Object(map)) = (feedback, &mut answer) {
            map.insert("promptFeedback".to_owned(), feedback);
        }
        answer
    }

    fn ended(&mut self, about: Map<String, Value>) -> Value {
        let mut end = Map::new();
        if let Some(stop) = &self.stop {
            let cut = self.cut && !matches!(stop, Stop::Length | Stop::ContextFull);
            let reason = if cut {
                "MALFORMED_FUNCTION_CALL"
            } else {
                about::reason_of(stop)
            };
            end.insert("finishReason".to_owned(), reason.into());
        }
        // What Gemini said of its answer holds all its citations.
        let grounding = std::mem::take(&mut self.grounding).write();
        let told = ["groundingMetadata", "citationMetadata"]
            .iter()
            .any(|name| about.contains_key(*name));
        if let (Some(grounding), false) = (grounding, told) {
            end.insert("groundingMetadata".to_owned(), grounding);
        }
        merge(&mut end, &about);
        self.candidate(end)
    }

    fn candidate(&mut self, end: Map<String, Value>) -> Value {
        let mut parts = std::mem::take(&mut self.parts);
        if parts.is_empty() && !self.whole {
            // As Gemini does it: SDKs want a part.
            parts.push(json!({"text": ""}));
        }
        let mut candidate = Map::new();
        candidate.insert(
            "content".to_owned(),
            json!({"parts": parts, "role": "model"}),
        );
        candidate.extend(end);
        candidate.insert("index".to_owned(), 0.into());
        let logprobs = std::mem::take(&mut self.logprobs);
        if !logprobs.is_empty() {
            let result = about::write_logprobs(&logprobs);
            candidate.insert("logprobsResult".to_owned(), result);
        }
        Value::Object(candidate)
    }

    fn answer(&self, candidates: Vec<Value>) -> Value {
        let mut answer = Map::new();
        if !candidates.is_empty() {
            answer.insert("candidates".to_owned(), Value::Array(candidates));
        }
        if let Some(usage) = &self.usage {
            answer.insert("usageMetadata".to_owned(), about::write_usage(usage));
        }
        answer.insert("modelVersion".to_owned(), self.model.clone().into());
        let created = self
            .created
            .and_then(|time| chrono::DateTime::from_timestamp(time, 0));
        let created = created.map(|time| time.format("%Y-%m-%dT%H:%M:%SZ").to_string());
        crate::llm::fields::put(&mut answer, "createTime", created);
        answer.insert("responseId".to_owned(), self.id.clone().into());
        Value::Object(answer)
    }
}

fn add(slot: &mut Slot, delta: Delta) {
    let join = |held: &mut Option<Signature>, more: Signature| match held {
        Some(held) => held.value.push_str(&more.value),
        None => *held = Some(more),
    };
    match delta {
        Delta::Text(text) | Delta::Arguments(text) => slot.text.push_str(&text),
        Delta::Citation(citation) => slot.citations.push(citation),
        Delta::Signature(more) => join(&mut slot.signature, more),
        Delta::Sealed(more) => join(&mut slot.sealed, more),
        Delta::Logprobs(_) => {}
    }
}

/// What is new of a text that may go on.
fn piece(slot: &mut Slot) -> Option<Value> {
    let rest = slot.rest();
    let part = match slot.start {
        _ if rest.is_empty() => return None,
        PartStart::Text | PartStart::Refusal => json!({"text": rest}),
        PartStart::Thought { .. } => json!({"text": rest, "thought": true}),
        _ => return None,
    };
    slot.written = slot.text.len();
    Some(part)
}
