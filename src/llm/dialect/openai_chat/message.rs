//! A caller's messages as turns.
//!
//! Instructions before the first turn are the request's; results of tools become parts of one user's turn where
//! they follow each other.

use serde_json::{Map, Value};

use crate::llm::answer::arguments_text;
use crate::llm::chat::{Audio, ChatRequest, Part, Role, Source, Text, ToolCall, ToolResult, Turn};
use crate::llm::dialect::openai_chat::request::keep;
use crate::llm::dialect::openai_chat::{OWN, call, cite, parts, thought};
use crate::llm::fault::Fault;
use crate::llm::fields::{Fields, wrong};

pub(crate) fn decode(
    messages: Vec<Value>,
    request: &mut ChatRequest,
    rest: &mut Map<String, Value>,
) -> Result<(), Fault> {
    let leading = messages
        .iter()
        .take_while(|one| is_instruction(one))
        .count();
    let mut reader = Reader {
        request,
        rest,
        merged: leading.saturating_sub(1),
        in_results: false,
        function: None,
    };
    for (at, message) in messages.into_iter().enumerate() {
        let fields = Fields::of(message, format!("messages[{at}]"))?;
        reader.message(at, fields, at < leading)?;
        let request = &mut *reader.request;
        request.rest.places.note(&request.turns, at);
    }
    Ok(())
}

fn is_instruction(message: &Value) -> bool {
    let role = message.get("role").and_then(Value::as_str);
    role.is_some_and(|role| ["system", "developer"].contains(&role))
}

struct Reader<'a> {
    request: &'a mut ChatRequest,
    rest: &'a mut Map<String, Value>,
    /// By how many messages the form has fewer, since instructions are put together.
    merged: usize,
    /// The last message was a tool's.
    in_results: bool,
    /// Id and name of the last call in the old way, which had no ids.
    function: Option<(String, String)>,
}

impl Reader<'_> {
    fn message(&mut self, at: usize, mut fields: Fields, leads: bool) -> Result<(), Fault> {
        let role = fields.need_text("role")?;
        let place = fields.at("content");
        let in_results = std::mem::take(&mut self.in_results);
        let mut left = Map::new();
        match role.as_str() {
            "system" | "developer" => {
                let said = parts::decode(fields.take("content"), &place, &mut left)?;
                if leads {
                    self.request.system.extend(said);
                } else {
                    self.turn(Role::System, said, &mut fields)?;
                }
            }
            "user" => {
                let said = parts::decode(fields.take("content"), &place, &mut left)?;
                self.turn(Role::User, said, &mut fields)?;
            }
            "assistant" => self.assistant(at, &mut fields, &mut left)?,
            "tool" | "function" => {
                let result = self.result(&role, &mut fields, &mut left)?;
                match self.request.turns.last_mut() {
                    Some(turn) if in_results => turn.parts.push(result),
                    _ => self.turn(Role::User, vec![result], &mut fields)?,
                }
                self.in_results = true;
            }
            other => {
                return Err(Fault::invalid(
                    fields.at("role"),
                    format!(
                        "`{}` is `{other}`; it has to be `system`, `developer`, `user`, `assistant` or `tool`",
                        fields.at("role")
                    ),
                ));
            }
        }
        keep(fields, &mut left);
        self.keep(at, left, leads);
        Ok(())
    }

    /// Keeps the fields that are left under the number that the message will have.
    fn keep(&mut self, at: usize, left: Map<String, Value>, leads: bool) {
        let said = format!("messages[{at}]");
        let written = match (leads, self.merged) {
            (_, 0) => said.clone(),
            (true, _) => format!("instructions[{at}]"),
            (false, merged) => format!("messages[{}]", at - merged),
        };
        let left = left.into_iter().map(|(path, value)| {
            let path = path.strip_prefix(&said).unwrap_or(&path);
            (format!("{written}{path}"), value)
        });
        self.rest.extend(left);
    }

    fn turn(&mut self, role: Role, parts: Vec<Part>, fields: &mut Fields) -> Result<(), Fault> {
        let name = fields.text("name")?;
        self.request.turns.push(Turn { role, parts, name });
        Ok(())
    }

    fn result(
        &mut self,
        role: &str,
        fields: &mut Fields,
        left: &mut Map<String, Value>,
    ) -> Result<Part, Fault> {
        let content = parts::decode(fields.take("content"), &fields.at("content"), left)?;
        let name = fields.text("name")?;
        let id = match fields.text("tool_call_id")? {
            Some(id) => id,
            None if role == "function" => {
                let last = self.function.take();
                let last =
                    last.filter(|(_, called)| name.as_ref().is_none_or(|name| name == called));
                last.map(|(id, _)| id).unwrap_or_default()
            }
            None => return Err(fields.missing("tool_call_id")),
        };
        Ok(Part::ToolResult(ToolResult {
            id,
            name,
            parts: content,
            is_error: false,
            cache: parts::cache_mark(fields, left)?,
        }))
    }

    /// What the model said: thoughts, text, a refusal, calls.
    fn assistant(
        &mut self,
        at: usize,
        fields: &mut Fields,
        left: &mut Map<String, Value>,
    ) -> Result<(), Fault> {
        let mut said = thoughts(fields)?;
        let content = parts::decode(fields.take("content"), &fields.at("content"), left)?;
        said.extend(content);
        annotate(&mut said, fields.list("annotations")?);
        let refusal = fields.text("refusal")?.filter(|text| !text.is_empty());
        said.extend(refusal.map(Part::Refusal));
        if let Some(mut audio) = fields.object("audio")? {
            let id = audio.need_text("id")?;
            keep(audio, left);
            let source = Source::File { dialect: OWN, id };
            said.push(Part::Audio(Audio { source }));
        }
        for (number, value) in fields.list("tool_calls")?.into_iter().enumerate() {
            let place = format!("messages[{at}].tool_calls[{number}]");
            said.push(tool_call(Fields::of(value, place)?, left)?);
        }
        if let Some(mut function) = fields.object("function_call")? {
            let name = function.need_text("name")?;
            let arguments = function.text("arguments")?.unwrap_or_default();
            let id = format!("call_{at}");
            self.function = Some((id.clone(), name.clone()));
            said.push(Part::ToolCall(ToolCall {
                id,
                name,
                arguments: arguments_text(&arguments).to_owned(),
                signature: None,
                custom: false,
                cache: None,
            }));
        }
        self.turn(Role::Assistant, said, fields)
    }
}

/// The thoughts of a message that comes back. Where details say them, the text beside is the same.
fn thoughts(fields: &mut Fields) -> Result<Vec<Part>, Fault> {
    let mut message = Map::new();
    for name in ["reasoning_content", "reasoning"] {
        let text = fields.text(name)?.map(Value::String);
        message.extend(text.map(|text| (name.to_owned(), text)));
    }
    let details = fields.list("reasoning_details")?;
    message.insert("reasoning_details".to_owned(), details.into());
    if let Some(extra) = fields.take("extra_content") {
        if !extra.is_object() {
            return Err(wrong(&fields.at("extra_content"), "an object", &extra));
        }
        message.insert("extra_content".to_owned(), extra);
    }
    Ok(thought::read(&message)
        .into_iter()
        .map(Part::Thought)
        .collect())
}

fn tool_call(mut fields: Fields, left: &mut Map<String, Value>) -> Result<Part, Fault> {
    let custom = fields.text("type")?.as_deref() == Some("custom");
    let (kind, body) = if custom {
        ("custom", "input")
    } else {
        ("function", "arguments")
    };
    let Some(mut inner) = fields.object(kind)? else {
        return Err(fields.missing(kind));
    };
    let name = inner.need_text("name")?;
    let said = call::text(inner.take(body));
    let arguments = if custom {
        said
    } else {
        arguments_text(&said).to_owned()
    };
    let id = fields.text("id")?.unwrap_or_default();
    let signature = call::signature(fields.take("extra_content").as_ref());
    let cache = parts::cache_mark(&mut fields, left)?;
    fields.take("index");
    keep(inner, left);
    keep(fields, left);
    Ok(Part::ToolCall(ToolCall {
        id,
        name,
        arguments,
        signature,
        custom,
        cache,
    }))
}

/// Gives the first text of a message what it is based on.
fn annotate(said: &mut [Part], annotations: Vec<Value>) {
    let texts = said.iter_mut().filter_map(|part| match part {
        Part::Text(text) => Some(text),
        _ => None,
    });
    let Some(Text { citations, .. }) = texts.into_iter().next() else {
        return;
    };
    citations.extend(annotations.into_iter().map(cite::decode));
}
