//! A provider's stream
//! (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html>).
//!
//! Blocks are told apart by `contentBlockIndex`; only calls and images announce themselves. Usage comes after the
//! reason to stop, which is held back for it.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::events::Event;
use crate::llm::answer::{ChatEvent, Delta, PartStart, Stop};
use crate::llm::chat::{Citation, Opaque, Part};
use crate::llm::dialect::bedrock::answer::{
    citation, image, is_of_server, routed, signature, stop, usage,
};
use crate::llm::dialect::bedrock::{OWN, error};
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::usage::Usage;

/// Events of a provider's stream in, events of an answer out.
#[derive(Debug, Default)]
pub struct StreamDecoder {
    out: Vec<ChatEvent>,
    started: bool,
    ended: bool,
    /// Parts so far.
    parts: usize,
    /// By `contentBlockIndex`.
    open: BTreeMap<u64, Block>,
    /// A text whose block is over: citations of it may come in the next.
    lingering: Option<usize>,
    usage: Option<Usage>,
    stop: Option<Stop>,
}

/// A block that goes on.
#[derive(Debug)]
enum Block {
    Text(usize),
    /// Citations of a text that comes after them (Claude), or came before (Nova).
    Citing(Vec<Citation>),
    /// And what is sealed of it, whole only at its end.
    Thought(usize, Vec<String>),
    /// And whether it has arguments.
    Call(usize, bool),
    /// An image: its format and bytes.
    Image(String, Vec<String>),
    /// A tool that Bedrock runs, or what it gave: kept as it is in a whole answer.
    Held(&'static str, Map<String, Value>),
}

impl StreamDecoder {
    /// What an event of the stream says.
    pub fn push(&mut self, event: &Event) -> Vec<ChatEvent> {
        let name = event.name.as_deref().unwrap_or_default();
        if self.ended {
            return Vec::new();
        }
        if let Some(exception) = name.strip_prefix("exception:") {
            self.fail(error::in_stream(exception, &event.data));
            return std::mem::take(&mut self.out);
        }
        match serde_json::from_str::<Value>(&event.data) {
            Ok(said) => self.event(name, &said),
            Err(_) => self.fail(Fault::new(
                FaultClass::Upstream,
                "the provider's stream holds something that is no JSON",
            )),
        }
        std::mem::take(&mut self.out)
    }

    /// What is due when the stream is over; a fault where it broke off.
    pub fn finish(&mut self) -> Vec<ChatEvent> {
        if !self.ended {
            if self.stop.is_some() {
                self.end();
            } else {
                self.fail(Fault::new(
                    FaultClass::Unreachable,
                    "the provider's stream broke off before its end",
                ));
            }
        }
        std::mem::take(&mut self.out)
    }

    fn event(&mut self, name: &str, said: &Value) {
        let index = said.get("contentBlockIndex").and_then(Value::as_u64);
        let index = index.unwrap_or(0);
        match name {
            "messageStart" => self.begin(),
            "contentBlockStart" => {
                self.begin();
                if let Some(start) = said.get("start") {
                    self.start(index, start);
                }
            }
            "contentBlockDelta" => {
                self.begin();
                if let Some(delta) = said.get("delta").and_then(Value::as_object) {
                    self.delta(index, delta);
                }
            }
            "contentBlockStop" => self.close(index),
            "messageStop" => {
                self.begin();
                self.close_all();
                let reason = said.get("stopReason").and_then(Value::as_str);
                let more = said.get("additionalModelResponseFields");
                self.stop = Some(stop(reason.unwrap_or_default(), more));
            }
            "metadata" => {
                self.usage = said.get("usage").and_then(usage).or(self.usage);
                let model = said.get("trace").map(routed).unwrap_or_default();
                if !self.started {
                    self.begin_as(model);
                }
                if self.stop.is_some() {
                    self.end();
                }
            }
            _ => {}
        }
    }

    fn begin(&mut self) {
        if !self.started {
            self.begin_as(String::new());
        }
    }

    fn begin_as(&mut self, model: String) {
        self.started = true;
        self.out.push(ChatEvent::Start {
            id: String::new(),
            model,
            created: None,
        });
    }

    fn start(&mut self, index: u64, start: &Value) {
        let text = |path: &str| start.pointer(path).and_then(Value::as_str);
        if let Some(call) = start.get("toolUse").and_then(Value::as_object) {
            self.close(index);
            if is_of_server(text("/toolUse/type")) {
                self.open
                    .insert(index, Block::Held("toolUse", call.clone()));
                return;
            }
            let part = self.fresh(PartStart::ToolCall {
                id: text("/toolUse/toolUseId").unwrap_or_default().to_owned(),
                name: text("/toolUse/name").unwrap_or_default().to_owned(),
                custom: false,
            });
            self.open.insert(index, Block::Call(part, false));
        } else if let Some(result) = start.get("toolResult").and_then(Value::as_object) {
            self.close(index);
            self.open
                .insert(index, Block::Held("toolResult", result.clone()));
        } else if let Some(format) = text("/image/format") {
            self.close(index);
            let image = Block::Image(format.to_owned(), Vec::new());
            self.open.insert(index, image);
        }
    }

    fn delta(&mut self, index: u64, delta: &Map<String, Value>) {
        if let Some(text) = delta.get("text").and_then(Value::as_str) {
            if !text.is_empty() {
                let part = self.text(index);
                self.say(part, Delta::Text(text.to_owned()));
            }
        } else if let Some(thought) = delta.get("reasoningContent") {
            self.think(index, thought);
        } else if let Some(cited) = delta.get("citation") {
            self.cite(index, citation(cited.clone()));
        } else if let Some(input) = delta.get("toolUse").and_then(|call| call.get("input")) {
            let text = input
                .as_str()
                .map_or_else(|| input.to_string(), str::to_owned);
            self.input(index, text);
        } else if let Some(pieces) = delta.get("toolResult").and_then(Value::as_array) {
            if let Some(Block::Held(_, held)) = self.open.get_mut(&index) {
                let content = held.entry("content").or_insert_with(|| json!([]));
                if let Some(content) = content.as_array_mut() {
                    content.extend(pieces.iter().cloned());
                }
            }
        } else if let Some(bytes) = delta.get("image") {
            let bytes = bytes.pointer("/source/bytes").and_then(Value::as_str);
            if let Some(Block::Image(_, held)) = self.open.get_mut(&index) {
                held.extend(bytes.map(str::to_owned));
            }
        }
    }

    /// More arguments of a call.
    fn input(&mut self, index: u64, text: String) {
        match self.open.get_mut(&index) {
            Some(Block::Call(..)) if text.is_empty() => {}
            Some(Block::Call(part, said)) => {
                *said = true;
                let part = *part;
                self.say(part, Delta::Arguments(text));
            }
            Some(Block::Held(_, held)) => {
                let input = held.entry("input").or_insert_with(|| "".into());
                let said = input.as_str().unwrap_or_default();
                *input = format!("{said}{text}").into();
            }
            _ => {}
        }
    }

    fn think(&mut self, index: u64, thought: &Value) {
        if !matches!(self.open.get(&index), Some(Block::Thought(..))) {
            self.close(index);
            let part = self.fresh(PartStart::Thought {
                summary: false,
                id: None,
            });
            self.open.insert(index, Block::Thought(part, Vec::new()));
        }
        let Some(Block::Thought(part, sealed)) = self.open.get_mut(&index) else {
            return;
        };
        let part = *part;
        let text = |name: &str| thought.get(name).and_then(Value::as_str);
        sealed.extend(text("redactedContent").map(str::to_owned));
        if let Some(text) = text("text").filter(|text| !text.is_empty()) {
            self.say(part, Delta::Text(text.to_owned()));
        }
        if let Some(proof) = text("signature").filter(|proof| !proof.is_empty()) {
            self.say(part, Delta::Signature(signature(proof)));
        }
    }

    /// The part of the text at an index.
    fn text(&mut self, index: u64) -> usize {
        if let Some(Block::Text(part)) = self.open.get(&index) {
            return *part;
        }
        let held = match self.open.remove(&index) {
            Some(Block::Citing(held)) => held,
            Some(other) => {
                self.open.insert(index, other);
                self.close(index);
                Vec::new()
            }
            None => Vec::new(),
        };
        let part = self.fresh(PartStart::Text);
        self.open.insert(index, Block::Text(part));
        for citation in held {
            self.say(part, Delta::Citation(citation));
        }
        part
    }

    fn cite(&mut self, index: u64, citation: Citation) {
        match self.open.get_mut(&index) {
            Some(Block::Text(part)) => {
                let part = *part;
                self.say(part, Delta::Citation(citation));
            }
            Some(Block::Citing(held)) => held.push(citation),
            _ => {
                self.close(index);
                self.open.insert(index, Block::Citing(vec![citation]));
            }
        }
    }

    fn say(&mut self, index: usize, delta: Delta) {
        self.out.push(ChatEvent::Delta { index, delta });
    }

    fn fresh(&mut self, part: PartStart) -> usize {
        self.let_go();
        let index = self.parts;
        self.parts += 1;
        self.out.push(ChatEvent::PartStart { index, part });
        index
    }

    fn close(&mut self, index: u64) {
        let Some(block) = self.open.remove(&index) else {
            return;
        };
        let index = match block {
            Block::Text(index) => return self.linger(index),
            Block::Citing(held) => {
                let index = self
                    .lingering
                    .take()
                    .unwrap_or_else(|| self.fresh(PartStart::Text));
                for citation in held {
                    self.say(index, Delta::Citation(citation));
                }
                return self.linger(index);
            }
            Block::Call(index, true) => index,
            Block::Call(index, false) => {
                self.say(index, Delta::Arguments("{}".to_owned()));
                index
            }
            Block::Thought(index, sealed) => {
                if !sealed.is_empty() {
                    self.say(index, Delta::Sealed(signature(joined(sealed))));
                }
                index
            }
            Block::Image(format, bytes) => {
                let part = image(&format, joined(bytes));
                self.fresh(PartStart::Whole(Box::new(part)))
            }
            Block::Held(kind, value) => {
                let part = Part::Opaque(held(kind, value));
                self.fresh(PartStart::Whole(Box::new(part)))
            }
        };
        self.out.push(ChatEvent::PartStop { index });
    }

    fn linger(&mut self, index: usize) {
        self.let_go();
        self.lingering = Some(index);
    }

    fn let_go(&mut self) {
        if let Some(index) = self.lingering.take() {
            self.out.push(ChatEvent::PartStop { index });
        }
    }

    fn close_all(&mut self) {
        while let Some(index) = self.open.keys().next().copied() {
            self.close(index);
        }
        self.let_go();
    }

    fn end(&mut self) {
        self.ended = true;
        self.out.extend(self.usage.map(ChatEvent::Usage));
        self.out.extend(self.stop.take().map(ChatEvent::Stop));
    }

    fn fail(&mut self, fault: Fault) {
        self.ended = true;
        self.out.extend(self.usage.map(ChatEvent::Usage));
        self.out.push(ChatEvent::Fault(fault));
    }
}

/// Base64 of bytes that came in several pieces, each encoded alone.
fn joined(mut pieces: Vec<String>) -> String {
    if pieces.len() == 1 {
        return pieces.pop().unwrap_or_default();
    }
    let bytes: Result<Vec<Vec<u8>>, _> =
        pieces.iter().map(|piece| STANDARD.decode(piece)).collect();
    bytes.map_or_else(|_| pieces.concat(), |bytes| STANDARD.encode(bytes.concat()))
}

/// A block as it is in a whole answer: its input is a value there.
fn held(kind: &str, mut value: Map<String, Value>) -> Opaque {
    if kind == "toolUse" {
        let input = value.get("input").and_then(Value::as_str);
        let input = input.and_then(|text| serde_json::from_str(text).ok());
        value.insert("input".to_owned(), input.unwrap_or_else(|| json!({})));
    }
    Opaque {
        dialect: OWN,
        kind: kind.to_owned(),
        value: json!({ kind: value }),
    }
}
