//! Items of an answer, written part by part, and the events that tell a caller so.

mod call;
mod message;
mod thought;

use serde_json::{Map, Value, json};

use crate::llm::answer::{Delta, PartStart};
use crate::llm::chat::{Image, Opaque, Part, Source};
use crate::llm::dialect::openai_responses::output::call::Call;
use crate::llm::dialect::openai_responses::output::message::Message;
use crate::llm::dialect::openai_responses::output::thought::Reasoning;
use crate::llm::dialect::openai_responses::parts::CONTENT;
use crate::llm::dialect::{Dialect, Dropped, OwnTools, Told};

const DIALECT: Dialect = Dialect::OpenaiResponses;

/// What is written.
#[derive(Debug)]
pub(crate) struct Output {
    /// Ids of items are made of it.
    request_id: String,
    tools: OwnTools,
    /// Items that are over.
    items: Vec<Value>,
    open: Option<Item>,
    pub dropped: Vec<Dropped>,
    /// The model said why it does not answer.
    pub refused: bool,
    /// No events are wanted.
    pub quiet: bool,
    /// A part is open, not only its item.
    writing: bool,
    bytes: Vec<u8>,
    sequence: u64,
}

/// The item that is open.
#[derive(Debug)]
enum Item {
    Message(Message),
    Reasoning(Reasoning),
    Call(Call),
}

impl Output {
    pub(crate) fn new(told: &Told, quiet: bool) -> Self {
        Self {
            request_id: told.request_id.clone(),
            tools: told.tools.clone(),
            items: Vec::new(),
            open: None,
            dropped: Vec::new(),
            refused: false,
            quiet,
            writing: false,
            bytes: Vec::new(),
            sequence: 0,
        }
    }

    /// Moves what was written to the caller.
    pub(crate) fn flush(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.bytes);
    }

    pub(crate) fn take_items(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.items)
    }

    /// Writes an event, unless none are wanted.
    pub(crate) fn emit(&mut self, kind: &str, fields: impl FnOnce() -> Value) {
        if self.quiet {
            return;
        }
        let mut event = Map::new();
        event.insert("type".to_owned(), json!(kind));
        event.insert("sequence_number".to_owned(), json!(self.sequence));
        self.sequence += 1;
        if let Value::Object(fields) = fields() {
            event.extend(fields);
        }
        let data = Value::Object(event);
        let frame = format!("event: {kind}\ndata: {data}\n\n");
        self.bytes.extend_from_slice(frame.as_bytes());
    }

    /// A part begins.
    pub(crate) fn start(&mut self, part: PartStart) {
        self.writing = !matches!(part, PartStart::Whole(_));
        match part {
            PartStart::Text => self.start_text(false),
            PartStart::Refusal => self.start_text(true),
            PartStart::Thought { summary, id } => self.start_thought(summary, id),
            PartStart::ToolCall { id, name, custom } => {
                self.close("completed");
                let id = if id.is_empty() { self.id("call") } else { id };
                let own = self.tools.find(&name).cloned();
                self.open = Some(Item::Call(Call {
                    id,
                    name: own.as_ref().map_or(name, |own| own.name.clone()),
                    wrapped: !custom && own.as_ref().is_some_and(|own| own.custom),
                    custom: custom || own.as_ref().is_some_and(|own| own.custom),
                    namespace: own.and_then(|own| own.namespace),
                    arguments: String::new(),
                    item: None,
                    signature: None,
                }));
            }
            PartStart::Whole(part) => self.whole(*part),
        }
    }

    /// More of the part.
    pub(crate) fn delta(&mut self, delta: Delta) {
        if !self.writing {
            return;
        }
        match self.open.take() {
            Some(Item::Message(message)) => {
                let message = self.more_text(message, delta);
                self.open = Some(Item::Message(message));
            }
            Some(Item::Reasoning(reasoning)) => {
                let reasoning = self.more_thought(reasoning, delta);
                self.open = Some(Item::Reasoning(reasoning));
            }
            Some(Item::Call(call)) => {
                let call = self.more_call(call, delta);
                self.open = Some(Item::Call(call));
            }
            None => {}
        }
    }

    /// The part is over; its item may go on.
    pub(crate) fn stop(&mut self) {
        if !std::mem::take(&mut self.writing) {
            return;
        }
        match self.open.take() {
            Some(Item::Message(message)) => {
                let message = self.end_text(message);
                self.open = Some(Item::Message(message));
            }
            Some(Item::Reasoning(reasoning)) => self.end_thought(reasoning),
            Some(Item::Call(call)) => self.end_call(call),
            None => {}
        }
    }

    /// The open item is over.
    pub(crate) fn close(&mut self, status: &str) {
        match self.open.take() {
            Some(Item::Message(message)) => {
                let item = json!({
                    "id": message.id,
                    "type": "message",
                    "status": status,
                    "content": message.content,
                    "role": "assistant",
                });
                self.end_item(item);
            }
            Some(Item::Reasoning(reasoning)) => self.close_thought(reasoning),
            Some(Item::Call(call)) => self.end_call(call),
            None => {}
        }
    }

    /// The place of the open item.
    fn place(&self) -> usize {
        self.items.len()
    }

    fn id(&self, prefix: &str) -> String {
        format!("{prefix}_{}_{}", self.request_id, self.place())
    }

    fn begin_item(&mut self, item: Value) {
        let place = self.place();
        let fields = || json!({"output_index": place, "item": item});
        self.emit("response.output_item.added", fields);
    }

    fn end_item(&mut self, item: Value) {
        let place = self.place();
        let fields = || json!({"output_index": place, "item": &item});
        self.emit("response.output_item.done", fields);
        self.items.push(item);
    }

    fn drop(&mut self, field: &str, reason: &str) {
        self.dropped.push(Dropped::new(field, reason));
    }

    /// A part that comes in one piece.
    fn whole(&mut self, part: Part) {
        match part {
            Part::Opaque(part) if part.dialect == DIALECT => self.opaque(part),
            Part::Image(Image {
                source: Source::Inline { media_type, data },
                ..
            }) => {
                self.close("completed");
                let format = media_type.strip_prefix("image/").unwrap_or("png");
                let mut item = json!({
                    "id": self.id("ig"),
                    "type": "image_generation_call",
                    "status": "in_progress",
                    "result": null,
                });
                self.begin_item(item.clone());
                item["status"] = json!("completed");
                item["output_format"] = json!(format);
                item["result"] = json!(data);
                self.end_item(item);
            }
            Part::Opaque(part) => {
                let reason = format!("only {} knows a `{}`", part.dialect.name(), part.kind);
                self.drop("parts", &reason);
            }
            _ => self.drop("parts", "a response has no such part"),
        }
    }

    fn opaque(&mut self, part: Opaque) {
        if !part.kind.starts_with(CONTENT) {
            self.close("completed");
            self.begin_item(part.value.clone());
            return self.end_item(part.value);
        }
        let mut message = self.message();
        let at = json!({
            "item_id": message.id,
            "output_index": self.place(),
            "content_index": message.content.len(),
            "part": part.value,
        });
        self.emit("response.content_part.added", || at.clone());
        self.emit("response.content_part.done", || at);
        message.content.push(part.value);
        self.open = Some(Item::Message(message));
    }
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}
