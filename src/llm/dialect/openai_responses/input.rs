//! Items of a conversation, read into turns: the input of a request, and the output of an answer alike.

use serde_json::Value;

use crate::llm::answer::arguments_text;
use crate::llm::chat::{
    Opaque, Part, Places, Role, Signature, Thought, ToolCall, ToolResult, Turn,
};
use crate::llm::dialect::Dialect;
use crate::llm::dialect::openai_responses::parts::{Beside, content};
use crate::llm::dialect::openai_responses::seal::{self, Content, Of};
use crate::llm::dialect::own_tools::joined;
use crate::llm::fault::Fault;
use crate::llm::fields::{Fields, wrong};

/// Reads one item after the other.
#[derive(Debug, Default)]
pub(crate) struct Items {
    pub turns: Vec<Turn>,
    pub places: Places,
    pub beside: Beside,
    /// Of the call that comes next.
    of_next_call: Option<Signature>,
}

impl Items {
    /// `input` of a request: a text, or items.
    pub(crate) fn input(input: Option<Value>) -> Result<Self, Fault> {
        let mut items = Self::default();
        match input {
            None => {}
            Some(Value::String(text)) => {
                let turn = Turn::new(Role::User, vec![Part::text(text)]);
                items.turns.push(turn);
            }
            Some(Value::Array(list)) => items.all(list, "input")?,
            Some(other) => return Err(wrong("input", "a string or a list", &other)),
        }
        Ok(items)
    }

    /// A list of items.
    pub(crate) fn all(&mut self, list: Vec<Value>, place: &str) -> Result<(), Fault> {
        for (at, item) in list.into_iter().enumerate() {
            self.item(item, &format!("{place}[{at}]"))?;
            self.places.note(&self.turns, at);
        }
        Ok(())
    }

    /// What all turns say, in order.
    pub(crate) fn into_parts(self) -> Vec<Part> {
        let turns = self.turns.into_iter();
        turns.flat_map(|turn| turn.parts).collect()
    }

    fn item(&mut self, value: Value, place: &str) -> Result<(), Fault> {
        let fields = Fields::of(value.clone(), place)?;
        let kind = match fields.peek("type") {
            Some(kind) => kind,
            None if fields.has("role") => "message",
            None => "item_reference",
        };
        match kind {
            "message" => self.message(fields),
            "function_call" => self.call(fields, false),
            "custom_tool_call" => self.call(fields, true),
            "function_call_output" | "custom_tool_call_output" => self.result(fields),
            "reasoning" => self.reasoning(fields),
            _ => {
                let part = opaque(kind, value);
                self.join(Role::Assistant, part);
                Ok(())
            }
        }
    }

    fn message(&mut self, mut fields: Fields) -> Result<(), Fault> {
        let name = fields.text("role")?.unwrap_or_else(|| "user".to_owned());
        let role = match name.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" | "developer" => Role::System,
            _ => {
                let place = fields.at("role");
                let wanted = "`user`, `assistant`, `system` or `developer`";
                let message = format!("`{place}` is `{name}`; it has to be {wanted}");
                return Err(Fault::invalid(place, message));
            }
        };
        let place = fields.at("content");
        let parts = self.contents(fields.take("content"), &place)?;
        self.done(fields);
        match self.turns.last_mut() {
            Some(turn) if role == Role::Assistant && continues(turn) => turn.parts.extend(parts),
            _ => self.turns.push(Turn::new(role, parts)),
        }
        Ok(())
    }

    /// A text, or pieces of content.
    fn contents(&mut self, value: Option<Value>, place: &str) -> Result<Vec<Part>, Fault> {
        match value {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![Part::text(text)]),
            Some(Value::Array(list)) => {
                let list = list.into_iter().enumerate();
                list.map(|(at, value)| content(value, &format!("{place}[{at}]"), &mut self.beside))
                    .collect()
            }
            Some(other) => Err(wrong(place, "a string or a list", &other)),
        }
    }

    fn call(&mut self, mut fields: Fields, custom: bool) -> Result<(), Fault> {
        let id = call_id(&mut fields)?;
        let arguments = fields.take(if custom { "input" } else { "arguments" });
        let arguments = match arguments {
            None => String::new(),
            Some(Value::String(text)) => text,
            Some(other) => other.to_string(),
        };
        let name = fields.need_text("name")?;
        let namespace = fields.text("namespace")?;
        let call = ToolCall {
            id,
            name: namespace.map_or_else(|| name.clone(), |namespace| joined(&namespace, &name)),
            arguments: if custom {
                arguments
            } else {
                arguments_text(&arguments).to_owned()
            },
            signature: self.of_next_call.take(),
            custom,
            cache: None,
        };
        self.done(fields);
        self.join(Role::Assistant, Part::ToolCall(call));
        Ok(())
    }

    fn result(&mut self, mut fields: Fields) -> Result<(), Fault> {
        let id = call_id(&mut fields)?;
        let output = match fields.take("output") {
            Some(value @ (Value::String(_) | Value::Array(_))) => Some(value),
            other => other.map(|value| Value::String(value.to_string())),
        };
        let result = ToolResult {
            id,
            name: fields.text("name")?,
            parts: self.contents(output, &fields.at("output"))?,
            is_error: false,
            cache: None,
        };
        self.done(fields);
        self.join(Role::User, Part::ToolResult(result));
        Ok(())
    }

    fn reasoning(&mut self, mut fields: Fields) -> Result<(), Fault> {
        let encrypted = fields.text("encrypted_content")?.map(seal::open);
        let id = fields.text("id")?;
        let mut thoughts = Vec::new();
        for (name, summary) in [("summary", true), ("content", false)] {
            for piece in fields.list(name)? {
                let place = fields.at(name);
                thoughts.push(Thought {
                    text: Fields::of(piece, place)?.text("text")?.unwrap_or_default(),
                    summary,
                    id: id.clone(),
                    ..Thought::default()
                });
            }
        }
        self.done(fields);
        for thought in self.sealed(thoughts, encrypted, id) {
            self.join(Role::Assistant, Part::Thought(thought));
        }
        Ok(())
    }

    /// The thoughts of an item with what proves them, which belongs to the last.
    fn sealed(
        &mut self,
        mut thoughts: Vec<Thought>,
        encrypted: Option<Content>,
        id: Option<String>,
    ) -> Vec<Thought> {
        let ours = encrypted.as_ref().and_then(Content::ours);
        if let Some(summary) = ours {
            for thought in &mut thoughts {
                (thought.id, thought.summary) = (None, summary);
            }
        }
        let (mut signed, mut sealed) = (None, None);
        match encrypted {
            Some(Content::Wrapped { of, signature, .. }) => match of {
                Of::NextCall => self.of_next_call = Some(signature),
                Of::LastCall => self.sign_last_call(signature),
                Of::Thought => signed = Some(signature),
                Of::Sealed => sealed = Some(signature),
            },
            Some(Content::Own(signature)) => sealed = Some(signature),
            Some(Content::Unsigned { .. }) | None => {}
        }
        let bare = thoughts.is_empty() && signed.is_none() && sealed.is_none();
        if bare && ours.is_some() {
            return thoughts;
        }
        let mut last = thoughts.pop().unwrap_or(Thought {
            summary: ours.unwrap_or(true),
            id: id.filter(|_| ours.is_none()),
            ..Thought::default()
        });
        (last.signature, last.sealed) = (signed, sealed);
        thoughts.push(last);
        thoughts
    }

    fn sign_last_call(&mut self, signature: Signature) {
        let parts = self
            .turns
            .iter_mut()
            .rev()
            .flat_map(|turn| turn.parts.iter_mut().rev());
        let mut calls = parts.filter_map(|part| match part {
            Part::ToolCall(call) => Some(call),
            _ => None,
        });
        if let Some(call) = calls.next() {
            call.signature = Some(signature);
        }
    }

    /// Adds to the turn that is being said, or begins one.
    fn join(&mut self, role: Role, part: Part) {
        let result = matches!(part, Part::ToolResult(_));
        match self.turns.last_mut() {
            Some(turn) if turn.role == role && (!result || ends_in_result(turn)) => {
                turn.parts.push(part);
            }
            _ => self.turns.push(Turn::new(role, vec![part])),
        }
    }

    /// An item is read. Ids and states of items are of no use where all of them are sent.
    fn done(&mut self, mut fields: Fields) {
        for name in ["type", "id", "status"] {
            fields.take(name);
        }
        self.beside.keep(fields);
    }
}

/// An item that only this dialect has.
pub(crate) fn opaque(kind: &str, value: Value) -> Part {
    Part::Opaque(Opaque {
        dialect: Dialect::OpenaiResponses,
        kind: kind.to_owned(),
        value,
    })
}

/// Whether a message of the assistant goes on with this turn: not after another message.
fn continues(turn: &Turn) -> bool {
    let after = turn.parts.last();
    turn.role == Role::Assistant && !matches!(after, Some(Part::Text(_) | Part::Refusal(_)))
}

fn ends_in_result(turn: &Turn) -> bool {
    matches!(turn.parts.last(), Some(Part::ToolResult(_)))
}

/// `call_id`, or where a provider leaves it out, the id of the item.
fn call_id(fields: &mut Fields) -> Result<String, Fault> {
    let call_id = fields.text("call_id")?;
    match call_id {
        Some(id) => Ok(id),
        None => fields.text("id")?.ok_or_else(|| fields.missing("call_id")),
    }
}
