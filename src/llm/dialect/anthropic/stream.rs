//! A provider's stream, read (<https://docs.anthropic.com/en/docs/build-with-claude/streaming>).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::events::Event;
use crate::llm::answer::{ChatEvent, Delta, PartStart, Stop};
use crate::llm::chat::{Signature, Thought};
use crate::llm::dialect::anthropic::usage::Counters;
use crate::llm::dialect::anthropic::{answer, block, error, seal};
use crate::llm::fault::{Fault, FaultClass};

/// Makes events of an answer from those of a stream.
#[derive(Debug, Default)]
pub struct StreamDecoder {
    started: bool,
    over: bool,
    counters: Counters,
    /// Blocks that are not over, by the provider's numbers.
    open: BTreeMap<u64, Open>,
    /// The number of the next part.
    next: usize,
    /// What the last block of text says.
    last_text: String,
    /// The signature of the call to come.
    of_call: Option<Signature>,
    stop: Option<Stop>,
    details: Value,
    events: Vec<ChatEvent>,
}

/// A block that is not over.
#[derive(Debug)]
enum Open {
    Text(usize),
    /// A part from its first words on, or where it ends.
    Thought {
        part: Option<usize>,
        signature: String,
        sealed: Option<String>,
    },
    Call {
        part: usize,
        /// What it began with, where it goes on with nothing.
        input: Value,
        said: bool,
    },
    /// Told as a whole where it ends.
    Opaque {
        fields: Map<String, Value>,
        json: String,
    },
}

impl StreamDecoder {
    /// The events that the next one of the provider makes.
    pub fn push(&mut self, event: &Event) -> Vec<ChatEvent> {
        if self.over || event.is_end() || event.data.trim().is_empty() {
            return Vec::new();
        }
        match serde_json::from_str::<Value>(&event.data) {
            Ok(data) => self.take(event.name.as_deref(), data),
            Err(error) => {
                let message = format!("an event of the provider's stream is not JSON: {error}");
                self.fail(Fault::new(FaultClass::Upstream, message));
            }
        }
        std::mem::take(&mut self.events)
    }

    /// What is due where the stream ends.
    pub fn finish(&mut self) -> Vec<ChatEvent> {
        if !self.over && self.stop.is_some() {
            self.end();
        } else if !self.over {
            let message = "the provider's stream ended before its answer";
            self.fail(Fault::new(FaultClass::Unreachable, message));
        }
        std::mem::take(&mut self.events)
    }

    fn take(&mut self, name: Option<&str>, mut data: Value) {
        let kind = text(&data, "type").to_owned();
        let kind = if kind.is_empty() {
            name.unwrap_or_default()
        } else {
            &kind
        };
        let number = data.get("index").and_then(Value::as_u64).unwrap_or(0);
        match kind {
            "message_start" => self.start(&data["message"]),
            "content_block_start" => self.begin(number, data["content_block"].take()),
            "content_block_delta" => self.add(number, data["delta"].take()),
            "content_block_stop" => self.close(number),
            "message_delta" => self.close_message(&mut data),
            "message_stop" => {
                if self.stop.is_none() {
                    self.stop = Some(Stop::End);
                }
                self.end();
            }
            "error" => self.fail(error::decode_event(&data)),
            _ => {}
        }
    }

    fn start(&mut self, message: &Value) {
        if self.started {
            return;
        }
        self.started = true;
        self.events.push(ChatEvent::Start {
            id: text(message, "id").to_owned(),
            model: text(message, "model").to_owned(),
            created: None,
        });
        self.report(message.get("usage"));
    }

    fn report(&mut self, usage: Option<&Value>) {
        if let Some(usage) = usage.filter(|usage| usage.is_object()) {
            self.counters.take(usage);
            self.events.push(ChatEvent::Usage(self.counters.usage()));
        }
    }

    /// A part begins; its number.
    fn part(&mut self, part: PartStart) -> usize {
        let index = self.next;
        self.next += 1;
        self.events.push(ChatEvent::PartStart { index, part });
        index
    }

    fn delta(&mut self, index: usize, delta: Delta) {
        self.events.push(ChatEvent::Delta { index, delta });
    }

    fn begin(&mut self, number: u64, mut block: Value) {
        self.start(&Value::Null);
        if self.open.contains_key(&number) {
            self.close(number);
        }
        let kind = text(&block, "type").to_owned();
        let open = match kind.as_str() {
            "text" => {
                self.last_text.clear();
                Open::Text(self.part(PartStart::Text))
            }
            "thinking" => Open::Thought {
                part: None,
                signature: text(&block, "signature").to_owned(),
                sealed: None,
            },
            "redacted_thinking" => Open::Thought {
                part: None,
                signature: String::new(),
                sealed: Some(text(&block, "data").to_owned()),
            },
            "tool_use" => self.begin_call(&block),
            _ => match block.take() {
                Value::Object(fields) if !kind.is_empty() => Open::Opaque {
                    fields,
                    json: String::new(),
                },
                _ => return,
            },
        };
        let is_text = matches!(open, Open::Text(_));
        let is_thought = matches!(open, Open::Thought { .. });
        if !is_thought && let Some(signature) = self.of_call.take() {
            self.thought_of(signature);
        }
        self.open.insert(number, open);
        if kind == "thinking" {
            self.add_thought(number, text(&block, "thinking"));
        } else if is_text {
            self.add_text(number, text(&block, "text"));
            let citations = block.get("citations").and_then(Value::as_array);
            for whole in citations.cloned().unwrap_or_default() {
                self.add_citation(number, whole);
            }
        }
    }

    fn begin_call(&mut self, block: &Value) -> Open {
        let part = self.part(PartStart::ToolCall {
            id: text(block, "id").to_owned(),
            name: text(block, "name").to_owned(),
            custom: false,
        });
        if let Some(signature) = self.of_call.take() {
            self.delta(part, Delta::Signature(signature));
        }
        Open::Call {
            part,
            input: block.get("input").cloned().unwrap_or_default(),
            said: false,
        }
    }

    fn add(&mut self, number: u64, mut delta: Value) {
        let kind = text(&delta, "type").to_owned();
        if !self.open.contains_key(&number) {
            // Its beginning was left out.
            let block = match kind.as_str() {
                "text_delta" => "text",
                "thinking_delta" | "signature_delta" => "thinking",
                _ => return,
            };
            self.begin(number, serde_json::json!({ "type": block }));
        }
        if let Some(Open::Opaque { fields, json }) = self.open.get_mut(&number) {
            add_opaque(fields, json, delta);
            return;
        }
        match kind.as_str() {
            "text_delta" => self.add_text(number, text(&delta, "text")),
            "citations_delta" => self.add_citation(number, delta["citation"].take()),
            "thinking_delta" => self.add_thought(number, text(&delta, "thinking")),
            "signature_delta" => {
                if let Some(Open::Thought { signature, .. }) = self.open.get_mut(&number) {
                    signature.push_str(text(&delta, "signature"));
                }
            }
            "input_json_delta" => self.add_input(number, text(&delta, "partial_json")),
            _ => {}
        }
    }

    fn add_text(&mut self, number: u64, more: &str) {
        if let Some(Open::Text(part)) = self.open.get(&number)
            && !more.is_empty()
        {
            self.last_text.push_str(more);
            self.delta(*part, Delta::Text(more.to_owned()));
        }
    }

    fn add_citation(&mut self, number: u64, whole: Value) {
        if let Some(Open::Text(part)) = self.open.get(&number)
            && whole.is_object()
        {
            self.delta(*part, Delta::Citation(block::citation(whole)));
        }
    }

    fn add_thought(&mut self, number: u64, more: &str) {
        let Some(Open::Thought { part, .. }) = self.open.get(&number) else {
            return;
        };
        if more.is_empty() {
            return;
        }
        let index = match *part {
            Some(index) => index,
            None => self.begin_thought(&Thought::default()),
        };
        if let Some(Open::Thought { part, .. }) = self.open.get_mut(&number) {
            *part = Some(index);
        }
        self.delta(index, Delta::Text(more.to_owned()));
    }

    fn begin_thought(&mut self, thought: &Thought) -> usize {
        if let Some(signature) = self.of_call.take() {
            self.thought_of(signature);
        }
        self.part(PartStart::Thought {
            summary: thought.summary,
            id: thought.id.clone(),
        })
    }

    fn add_input(&mut self, number: u64, more: &str) {
        if let Some(Open::Call { part, said, .. }) = self.open.get_mut(&number)
            && !more.is_empty()
        {
            *said = true;
            let part = *part;
            self.delta(part, Delta::Arguments(more.to_owned()));
        }
    }

    fn close(&mut self, number: u64) {
        match self.open.remove(&number) {
            None => {}
            Some(Open::Text(index)) => self.events.push(ChatEvent::PartStop { index }),
            Some(Open::Thought {
                part,
                signature,
                sealed,
            }) => self.close_thought(part, &signature, sealed),
            Some(Open::Call { part, input, said }) => {
                if !said {
                    let whole = match input {
                        Value::Object(_) => input.to_string(),
                        Value::String(text) if !text.trim().is_empty() => text,
                        _ => "{}".to_owned(),
                    };
                    self.delta(part, Delta::Arguments(whole));
                }
                self.events.push(ChatEvent::PartStop { index: part });
            }
            Some(Open::Opaque { mut fields, json }) => {
                if let Ok(input) = serde_json::from_str::<Value>(&json) {
                    fields.insert("input".to_owned(), input);
                }
                let kind = fields.get("type").and_then(Value::as_str);
                let kind = kind.unwrap_or_default().to_owned();
                fields.shift_remove("type");
                let index = self.part(PartStart::from(block::opaque(kind, fields)));
                self.events.push(ChatEvent::PartStop { index });
            }
        }
    }

    fn close_thought(&mut self, part: Option<usize>, signature: &str, sealed: Option<String>) {
        if part.is_none()
            && let Some(signature) = seal::open_call(signature)
        {
            self.of_call = Some(signature);
            return;
        }
        let mut thought = seal::open(String::new(), signature);
        thought.sealed = thought.sealed.or(sealed.map(seal::own));
        let index = part.unwrap_or_else(|| self.begin_thought(&thought));
        if let Some(signature) = thought.signature {
            self.delta(index, Delta::Signature(signature));
        }
        if let Some(sealed) = thought.sealed {
            self.delta(index, Delta::Sealed(sealed));
        }
        self.events.push(ChatEvent::PartStop { index });
    }

    /// What was to be the signature of a call that did not follow.
    fn thought_of(&mut self, signature: Signature) {
        let index = self.part(PartStart::Thought {
            summary: false,
            id: None,
        });
        self.delta(index, Delta::Signature(signature));
        self.events.push(ChatEvent::PartStop { index });
    }

    fn close_message(&mut self, data: &mut Value) {
        self.start(&Value::Null);
        let mut delta = data["delta"].take();
        let sequence = delta.get("stop_sequence").and_then(Value::as_str);
        let stop = answer::stop_of(text(&delta, "stop_reason"), sequence.map(ToOwned::to_owned));
        if stop.is_some() {
            self.stop = stop;
            self.details = delta
                .get_mut("stop_details")
                .map(Value::take)
                .unwrap_or_default();
        }
        self.report(data.get("usage"));
    }

    fn end(&mut self) {
        self.start(&Value::Null);
        let open: Vec<u64> = self.open.keys().copied().collect();
        for number in open {
            self.close(number);
        }
        if let Some(signature) = self.of_call.take() {
            self.thought_of(signature);
        }
        let refusal = answer::explanation(&self.details, self.stop.as_ref(), &self.last_text);
        if let Some(refusal) = refusal {
            let index = self.part(PartStart::Refusal);
            self.delta(index, Delta::Text(refusal));
            self.events.push(ChatEvent::PartStop { index });
        }
        self.events.extend(self.stop.take().map(ChatEvent::Stop));
        self.over = true;
    }

    fn fail(&mut self, fault: Fault) {
        self.events.push(ChatEvent::Fault(fault));
        self.over = true;
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// More of a block that nothing is known of: its input, or texts that go on.
fn add_opaque(fields: &mut Map<String, Value>, json: &mut String, delta: Value) {
    let Value::Object(delta) = delta else {
        return;
    };
    for (name, value) in delta {
        match (name.as_str(), fields.get_mut(&name), value) {
            ("type", ..) => {}
            ("partial_json", _, Value::String(more)) => json.push_str(&more),
            (_, Some(Value::String(there)), Value::String(more)) => there.push_str(&more),
            (_, _, value) => {
                fields.insert(name, value);
            }
        }
    }
}
