//! A provider's stream, read
//! (<https://platform.openai.com/docs/api-reference/responses-streaming>).
//!
//! Every piece of an item is told three times: as deltas, as a whole, and within its item. Providers leave out one or
//! the other, so whatever a whole has beyond what the deltas said is taken from it.

mod pieces;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::events::Event;
use crate::llm::answer::{ChatEvent, Delta, PartStart, arguments_text};
use crate::llm::chat::Signature;
use crate::llm::dialect::openai_responses::answer::{
    counted, failed, is_search, named, stop, usage,
};
use crate::llm::dialect::openai_responses::error::reported;
use crate::llm::dialect::openai_responses::input::opaque;
use crate::llm::dialect::openai_responses::parts::CONTENT;
use crate::llm::dialect::openai_responses::seal::{self, Content, Of};
use crate::llm::fault::{Fault, FaultClass};

/// Reads a provider's stream.
#[derive(Debug, Default)]
pub struct StreamDecoder {
    started: bool,
    ended: bool,
    /// Index of the next part.
    next: usize,
    items: BTreeMap<u64, Item>,
    /// The item that events without an index are about.
    latest: u64,
    of_next_call: Option<Signature>,
    last_call: Option<usize>,
    refused: bool,
    searches: u64,
    events: Vec<ChatEvent>,
}

/// An item, as far as it is known.
#[derive(Debug, Default)]
struct Item {
    id: Option<String>,
    /// Whether its thoughts are summaries, where another dialect's are written as such.
    meant: Option<bool>,
    call: Option<PartStart>,
    slots: BTreeMap<Slot, Piece>,
    done: bool,
}

/// A place in an item where a part can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Slot {
    Summary(u64),
    Thought(u64),
    Text(u64),
    Refusal(u64),
    Call,
}

/// A part, and what was said of it.
#[derive(Debug)]
pub(crate) struct Piece {
    index: usize,
    text: String,
    citations: usize,
    logprobs: usize,
    closed: bool,
}

impl StreamDecoder {
    /// The events that the next piece of the stream gives.
    pub fn push(&mut self, event: &Event) -> Vec<ChatEvent> {
        if !self.ended && !event.is_end() {
            self.read(event);
        }
        std::mem::take(&mut self.events)
    }

    /// The stream is over. Where it did not say so itself, it broke off.
    pub fn finish(&mut self) -> Vec<ChatEvent> {
        if !std::mem::replace(&mut self.ended, true) {
            let message = "the provider's stream ended before the answer did";
            let fault = Fault::new(FaultClass::Unreachable, message);
            self.events.push(ChatEvent::Fault(fault));
        }
        std::mem::take(&mut self.events)
    }

    fn read(&mut self, event: &Event) {
        let Ok(data) = serde_json::from_str::<Value>(&event.data) else {
            let fault = Fault::new(FaultClass::Upstream, "the provider's stream is not JSON");
            return self.fail(fault);
        };
        let kind = text(&data, "type")
            .or(event.name.as_deref())
            .unwrap_or_default();
        let kind = kind.to_owned();
        let response = data.get("response").unwrap_or(&Value::Null);
        match kind.strip_prefix("response.").unwrap_or(&kind) {
            "created" | "queued" | "in_progress" => self.start(response),
            "completed" | "incomplete" | "done" => self.end(response),
            "failed" | "cancelled" => {
                let unknown = || Fault::new(FaultClass::Upstream, "the provider could not answer");
                self.fail_at_end(response, failed(response).unwrap_or_else(unknown));
            }
            "error" => {
                let error = data.get("error").filter(|error| !error.is_null());
                self.fail(reported(error.unwrap_or(&data), FaultClass::Upstream));
            }
            _ if data.get("error").is_some_and(Value::is_object) => {
                self.fail(reported(&data["error"], FaultClass::Upstream));
            }
            rest => {
                self.start(&Value::Null);
                self.piece(rest, &data);
            }
        }
    }

    fn start(&mut self, response: &Value) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let (id, model, created) = named(response);
        self.events.push(ChatEvent::Start { id, model, created });
    }

    fn fail(&mut self, fault: Fault) {
        self.ended = true;
        self.events.push(ChatEvent::Fault(fault));
    }

    /// A response that failed may have been paid for.
    fn fail_at_end(&mut self, response: &Value, fault: Fault) {
        self.used(response);
        self.fail(fault);
    }

    /// What all of it used, which is told at its end, whatever that is.
    fn used(&mut self, response: &Value) {
        let usage = usage(response).map(|usage| counted(usage, self.searches));
        self.events.extend(usage.map(ChatEvent::Usage));
    }

    fn end(&mut self, response: &Value) {
        self.start(response);
        if let Some(fault) = failed(response) {
            return self.fail_at_end(response, fault);
        }
        if self.items.is_empty() {
            let output = response.get("output").and_then(Value::as_array);
            for (item, place) in output.into_iter().flatten().zip(0..) {
                self.whole_item(place, item);
            }
        }
        let places: Vec<u64> = self.items.keys().copied().collect();
        for place in places {
            self.close_item(place);
        }
        self.used(response);
        let called = self.last_call.is_some();
        let stop = stop(response, called, self.refused);
        self.events.push(ChatEvent::Stop(stop));
        self.ended = true;
    }

    /// An event within an item.
    fn piece(&mut self, kind: &str, data: &Value) {
        let number = |name: &str| data.get(name).and_then(Value::as_u64);
        let place = number("output_index").unwrap_or(self.latest);
        let content = number("content_index").unwrap_or_default();
        let summary = number("summary_index").unwrap_or_default();
        let delta = text(data, "delta").unwrap_or_default();
        match kind {
            "output_item.added" => self.item_added(place, &data["item"]),
            "output_item.done" => self.whole_item(place, &data["item"]),
            "content_part.added" => self.part_added(place, content, &data["part"]),
            "content_part.done" => self.part_done(place, content, &data["part"]),
            "output_text.delta" => {
                self.grow(place, Slot::Text(content), delta);
                self.more_logprobs(place, content, &data["logprobs"], 0);
            }
            "output_text.annotation.added" => {
                self.cite(place, content, &data["annotation"]);
            }
            "output_text.done" => self.settle(place, Slot::Text(content), text(data, "text")),
            "refusal.delta" => self.grow(place, Slot::Refusal(content), delta),
            "refusal.done" => self.settle(place, Slot::Refusal(content), text(data, "refusal")),
            "reasoning_summary_part.added" => {
                self.open(place, Slot::Summary(summary));
            }
            "reasoning_summary_text.delta" | "reasoning_summary.delta" => {
                self.grow(place, Slot::Summary(summary), delta);
            }
            "reasoning_summary_text.done" => {
                self.settle(place, Slot::Summary(summary), text(data, "text"));
            }
            "reasoning_text.delta" => self.grow(place, Slot::Thought(content), delta),
            "reasoning_text.done" => {
                self.settle(place, Slot::Thought(content), text(data, "text"));
            }
            "function_call_arguments.delta" | "custom_tool_call_input.delta" => {
                self.grow(place, Slot::Call, delta);
            }
            "function_call_arguments.done" => self.called(place, &data["arguments"]),
            "custom_tool_call_input.done" => {
                self.settle(place, Slot::Call, text(data, "input"));
                self.close(place, Slot::Call);
            }
            _ => {}
        }
    }

    fn item_added(&mut self, place: u64, item: &Value) {
        self.latest = place;
        if self.items.get(&place).is_some_and(|item| item.done) {
            self.items.remove(&place);
        }
        self.known(place, item);
        if matches!(
            text(item, "type"),
            Some("function_call" | "custom_tool_call")
        ) && text(item, "name").is_some()
        {
            self.open(place, Slot::Call);
        }
    }

    /// Takes in what is known of an item from its beginning.
    fn known(&mut self, place: u64, item: &Value) {
        let kind = text(item, "type").unwrap_or_default();
        let state = self.items.entry(place).or_default();
        match kind {
            "reasoning" => {
                let encrypted = text(item, "encrypted_content").map(str::to_owned);
                state.meant = encrypted.and_then(|text| seal::open(text).ours());
                let id = text(item, "id").filter(|_| state.meant.is_none());
                state.id = id.map(str::to_owned);
            }
            "function_call" | "custom_tool_call" => {
                let id = text(item, "call_id").or(text(item, "id"));
                state.call = Some(PartStart::ToolCall {
                    id: id.unwrap_or_default().to_owned(),
                    name: text(item, "name").unwrap_or_default().to_owned(),
                    custom: kind == "custom_tool_call",
                });
            }
            _ => {}
        }
    }

    fn part_added(&mut self, place: u64, at: u64, part: &Value) {
        match text(part, "type") {
            Some("output_text") => self.open(place, Slot::Text(at)),
            Some("refusal") => self.open(place, Slot::Refusal(at)),
            Some("reasoning_text") => self.open(place, Slot::Thought(at)),
            _ => return,
        };
    }

    /// A whole piece of a message's content.
    fn part_done(&mut self, place: u64, at: u64, part: &Value) {
        let slot = match text(part, "type") {
            Some("output_text" | "text") => Slot::Text(at),
            Some("refusal") => Slot::Refusal(at),
            Some("reasoning_text") => {
                return self.settle(place, Slot::Thought(at), text(part, "text"));
            }
            Some(kind) => return self.unknown_part(place, at, kind, part),
            None => return,
        };
        if let Slot::Refusal(_) = slot {
            self.settle(place, slot, text(part, "refusal"));
            return self.close(place, slot);
        }
        self.settle(place, slot, text(part, "text"));
        let seen = self.open(place, slot).map_or(0, |piece| piece.logprobs);
        self.more_logprobs(place, at, &part["logprobs"], seen);
        let seen = self.open(place, slot).map_or(0, |piece| piece.citations);
        let annotations = part.get("annotations").and_then(Value::as_array);
        for annotation in annotations.into_iter().flatten().skip(seen) {
            self.cite(place, at, annotation);
        }
        self.close(place, slot);
    }

    fn unknown_part(&mut self, place: u64, at: u64, kind: &str, part: &Value) {
        let state = self.items.entry(place).or_default();
        if state.slots.contains_key(&Slot::Text(at)) {
            return;
        }
        let piece = Piece::new(self.next, true);
        state.slots.insert(Slot::Text(at), piece);
        self.whole(PartStart::Whole(Box::new(opaque(
            &format!("{CONTENT}{kind}"),
            part.clone(),
        ))));
    }

    /// Arguments of a call, which some providers send as an object.
    fn called(&mut self, place: u64, arguments: &Value) {
        let whole = match arguments {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        let said = self
            .open(place, Slot::Call)
            .is_some_and(|piece| !piece.text.is_empty());
        let whole = if said {
            whole.as_str()
        } else {
            arguments_text(&whole)
        };
        self.settle(place, Slot::Call, Some(whole));
        self.close(place, Slot::Call);
    }

    /// An item that is over.
    fn whole_item(&mut self, place: u64, item: &Value) {
        self.latest = place;
        if self.items.get(&place).is_some_and(|item| item.done) {
            self.items.remove(&place);
        }
        self.known(place, item);
        let list = |name: &str| {
            item.get(name)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
        };
        match text(item, "type").unwrap_or_default() {
            "message" => {
                for (part, at) in list("content").zip(0..) {
                    self.part_done(place, at, part);
                }
            }
            "reasoning" => {
                for (part, at) in list("summary").zip(0..) {
                    self.settle(place, Slot::Summary(at), text(part, "text"));
                }
                for (part, at) in list("content").zip(0..) {
                    self.settle(place, Slot::Thought(at), text(part, "text"));
                }
                self.seal(place, text(item, "encrypted_content"));
            }
            "function_call" => self.called(place, &item["arguments"]),
            "custom_tool_call" => {
                self.settle(place, Slot::Call, text(item, "input"));
                self.close(place, Slot::Call);
            }
            "" => {}
            kind => {
                self.searches += u64::from(is_search(item));
                self.whole(PartStart::Whole(Box::new(opaque(kind, item.clone()))));
            }
        }
        self.close_item(place);
    }

    fn whole(&mut self, part: PartStart) {
        let index = self.next;
        self.next += 1;
        self.events.push(ChatEvent::PartStart { index, part });
        self.events.push(ChatEvent::PartStop { index });
    }

    /// What proves the thoughts of an item belongs to the last of them.
    fn seal(&mut self, place: u64, encrypted: Option<&str>) {
        let last = |item: &Item| item.slots.keys().next_back().copied();
        let slot = self.items.get(&place).and_then(last);
        let delta = match encrypted.map(|text| seal::open(text.to_owned())) {
            Some(Content::Own(value)) => Some(Delta::Sealed(value)),
            Some(Content::Wrapped { of, signature, .. }) => match of {
                Of::Thought => Some(Delta::Signature(signature)),
                Of::Sealed => Some(Delta::Sealed(signature)),
                Of::NextCall => {
                    self.of_next_call = Some(signature);
                    return;
                }
                Of::LastCall => {
                    let delta = Delta::Signature(signature);
                    let event = |index| ChatEvent::Delta { index, delta };
                    self.events.extend(self.last_call.map(event));
                    return;
                }
            },
            Some(Content::Unsigned { .. }) if slot.is_none() => return,
            Some(Content::Unsigned { .. }) | None => None,
        };
        let slot = slot.unwrap_or(Slot::Summary(0));
        let index = self.open(place, slot).map(|piece| piece.index);
        if let (Some(index), Some(delta)) = (index, delta) {
            self.events.push(ChatEvent::Delta { index, delta });
        }
    }

    fn close_item(&mut self, place: u64) {
        self.close_item_parts(place);
        self.items.entry(place).or_default().done = true;
    }
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}
