//! Turns as messages for a provider.

use serde_json::{Map, Value, json};

use crate::llm::chat::{
    CacheMark, ChatRequest, Part, Role, Signature, Source, Text, Thought, ToolResult, Turn,
};
use crate::llm::dialect::openai_chat::{OWN, call, cite, parts, thought};
use crate::llm::dialect::{Dialect, Dropped};
use crate::llm::fault::Fault;
use crate::llm::fields::put;

/// The messages, and what they could not say.
pub(crate) fn encode(request: &ChatRequest) -> Result<(Vec<Value>, Vec<Dropped>), Fault> {
    let mut writer = Writer {
        own: request.rest.dialect == Some(OWN),
        messages: Vec::new(),
        dropped: Vec::new(),
    };
    if !request.system.is_empty() {
        let content = writer.instructions(&request.system, "system")?;
        writer
            .messages
            .push(json!({"role": "system", "content": content}));
    }
    for (at, turn) in request.turns.iter().enumerate() {
        let place = format!("turns[{at}]");
        match turn.role {
            Role::System => {
                let content = writer.instructions(&turn.parts, &format!("{place}.parts"))?;
                writer.message("system", content, turn);
            }
            Role::User => writer.user(turn, &place)?,
            Role::Assistant => writer.assistant(turn, &place)?,
        }
    }
    Ok((writer.messages, writer.dropped))
}

struct Writer {
    /// The caller speaks the same dialect: what only some of its providers understand may stay.
    own: bool,
    messages: Vec<Value>,
    dropped: Vec<Dropped>,
}

impl Writer {
    fn message(&mut self, role: &str, content: Value, turn: &Turn) {
        let mut message = started(role, turn);
        message.insert("content".to_owned(), content);
        self.messages.push(message.into());
    }

    fn instructions(&mut self, said: &[Part], place: &str) -> Result<Value, Fault> {
        let mut content = Vec::new();
        for (at, part) in said.iter().enumerate() {
            let place = format!("{place}[{at}]");
            match part {
                Part::Text(text) => content.push(self.text(text, &place)),
                Part::Opaque(part) if part.dialect == OWN => content.push(part.value.clone()),
                _ => return Err(OWN.cannot(place, "an instruction that is no text")),
            }
        }
        Ok(short(content))
    }

    /// What a user said, after the results of the tools that the turn before called: they have to follow it.
    fn user(&mut self, turn: &Turn, place: &str) -> Result<(), Fault> {
        let mut content = Vec::new();
        let mut results = false;
        for (at, part) in turn.parts.iter().enumerate() {
            let place = format!("{place}.parts[{at}]");
            if let Part::ToolResult(result) = part {
                results = true;
                self.result(result, &place, &mut content)?;
            }
        }
        for (at, part) in turn.parts.iter().enumerate() {
            if !matches!(part, Part::ToolResult(_)) {
                content.push(self.part(part, &format!("{place}.parts[{at}]"))?);
            }
        }
        if !content.is_empty() || !results {
            self.message("user", short(content), turn);
        }
        Ok(())
    }

    /// A message of a tool holds text; what else it gave is shown by the user after it.
    fn result(
        &mut self,
        result: &ToolResult,
        place: &str,
        shown: &mut Vec<Value>,
    ) -> Result<(), Fault> {
        let mut content = Vec::new();
        let mut beside = Vec::new();
        for (at, part) in result.parts.iter().enumerate() {
            let value = self.part(part, &format!("{place}.parts[{at}]"))?;
            if self.own || value.get("type").and_then(Value::as_str) == Some("text") {
                content.push(value);
            } else {
                beside.push(value);
            }
        }
        if !beside.is_empty() {
            let id = &result.id;
            let note = format!("What the call {id} of a tool gave beside its text:");
            shown.push(json!({"type": "text", "text": note}));
            shown.append(&mut beside);
            if content.is_empty() {
                let note = "(shown in the next message)";
                content.push(json!({"type": "text", "text": note}));
            }
        }
        let mut content = short(content);
        if result.is_error {
            failed(&mut content);
        }
        let mut message = json!({"role": "tool", "tool_call_id": result.id, "content": content});
        if let Some(fields) = message.as_object_mut() {
            put(fields, "name", result.name.clone().filter(|_| self.own));
            self.cache(result.cache, fields, place);
        }
        self.messages.push(message);
        Ok(())
    }

    fn part(&mut self, part: &Part, place: &str) -> Result<Value, Fault> {
        let cache = match part {
            Part::Text(text) => return Ok(self.text(text, place)),
            Part::Image(image) => {
                if !self.own && is_kept_elsewhere(&image.source) {
                    return Err(OWN.cannot(place, "an image by this kind of address"));
                }
                image.cache
            }
            Part::Document(document) => {
                if matches!(document.source, Source::Url { .. }) && !self.own {
                    return Err(OWN.cannot(place, "a document by its address"));
                }
                if document.citations {
                    self.drop(&format!("{place}.citations"), "citing is not asked for");
                }
                if document.context.is_some() && !matches!(document.source, Source::Plain(_)) {
                    self.drop(&format!("{place}.context"), "a file has no such field");
                }
                document.cache
            }
            _ => None,
        };
        let mut value = parts::encode(part, place)?;
        if let Some(fields) = value.as_object_mut() {
            self.cache(cache, fields, place);
        }
        Ok(value)
    }

    fn text(&mut self, text: &Text, place: &str) -> Value {
        let mut value = Map::new();
        value.insert("type".to_owned(), "text".into());
        value.insert("text".to_owned(), text.text.as_str().into());
        self.cache(text.cache, &mut value, place);
        value.into()
    }

    /// A mark for a prompt cache stays where a caller of the dialect set it; OpenAI knows none.
    pub(crate) fn cache(
        &mut self,
        mark: Option<CacheMark>,
        fields: &mut Map<String, Value>,
        place: &str,
    ) {
        let Some(mark) = mark else {
            return;
        };
        if self.own {
            fields.insert("cache_control".to_owned(), cache_control(mark));
        } else {
            self.drop(
                &format!("{place}.cache"),
                "prompts are cached without marks",
            );
        }
    }

    fn drop(&mut self, field: &str, reason: &str) {
        self.dropped.push(Dropped::new(field, reason));
    }

    fn assistant(&mut self, turn: &Turn, place: &str) -> Result<(), Fault> {
        let mut message = started("assistant", turn);
        let (mut content, mut calls, mut annotations) = (Vec::new(), Vec::new(), Vec::new());
        let (mut thoughts, mut refusals) = (Vec::new(), Vec::new());
        for (at, part) in turn.parts.iter().enumerate() {
            let place = format!("{place}.parts[{at}]");
            match part {
                Part::Text(text) => {
                    content.push(self.text(text, &place));
                    annotations.append(&mut self.annotations(text, &place));
                }
                Part::Thought(thought) => thoughts.extend(self.thought(thought, &place)),
                Part::Refusal(text) => refusals.push(text.as_str()),
                Part::ToolCall(part) => {
                    let signature = self.own_signature(part.signature.as_ref(), &place);
                    let mut written = call::encode(part, &part.id, signature);
                    self.cache(part.cache, &mut written, &place);
                    calls.push(Value::Object(written));
                }
                Part::Audio(audio) => {
                    let Source::File { dialect: OWN, id } = &audio.source else {
                        return Err(OWN.cannot(place, "sound that a model gave elsewhere"));
                    };
                    message.insert("audio".to_owned(), json!({"id": id}));
                }
                Part::Opaque(part) if part.dialect == OWN => content.push(part.value.clone()),
                Part::Opaque(part) => {
                    let reason = format!("only {} knows a `{}`", part.dialect.name(), part.kind);
                    self.drop(&place, &reason);
                }
                Part::Image(_) | Part::Document(_) | Part::ToolResult(_) => {
                    return Err(OWN.cannot(place, "anything but text and calls by the model"));
                }
            }
        }
        let is_silent = content.is_empty() && calls.is_empty() && refusals.is_empty();
        let is_lost = is_silent && thoughts.is_empty() && !message.contains_key("audio");
        if is_lost && !self.own && !turn.parts.is_empty() {
            return Ok(());
        }
        let content = if content.is_empty() && !is_silent {
            Value::Null
        } else if self.own {
            short(content)
        } else {
            short(told(content))
        };
        message.insert("content".to_owned(), content);
        reasoning(&mut message, &thoughts);
        if !refusals.is_empty() {
            message.insert("refusal".to_owned(), refusals.concat().into());
        }
        if !annotations.is_empty() {
            message.insert("annotations".to_owned(), annotations.into());
        }
        if !calls.is_empty() {
            message.insert("tool_calls".to_owned(), calls.into());
        }
        self.messages.push(message.into());
        Ok(())
    }

    /// Citations that the dialect made; it takes no others back.
    fn annotations(&mut self, text: &Text, place: &str) -> Vec<Value> {
        let of_own = |whole: &Option<(Dialect, Value)>| matches!(whole, Some((OWN, _)));
        let (own, others): (Vec<_>, Vec<_>) = text
            .citations
            .iter()
            .partition(|citation| of_own(&citation.whole));
        if !others.is_empty() {
            let reason = "what a model cited is not sent back to it";
            self.drop(&format!("{place}.citations"), reason);
        }
        own.into_iter()
            .filter_map(|citation| cite::encode(citation, 0, 0))
            .collect()
    }

    /// A thought that this dialect's provider made, or that nobody signed.
    fn thought<'a>(&mut self, thought: &'a Thought, place: &str) -> Option<&'a Thought> {
        let signatures = [&thought.signature, &thought.sealed];
        let mut signatures = signatures.into_iter().flatten();
        match signatures.find(|signature| signature.dialect != OWN) {
            Some(Signature { dialect, .. }) => {
                let reason = format!("only {} can read the thought it signed", dialect.name());
                self.drop(place, &reason);
                None
            }
            None => Some(thought),
        }
    }

    fn own_signature<'a>(
        &mut self,
        signature: Option<&'a Signature>,
        place: &str,
    ) -> Option<&'a Signature> {
        let signature = signature?;
        if signature.dialect == OWN {
            return Some(signature);
        }
        let reason = format!("only {} can read what it signed", signature.dialect.name());
        self.drop(&format!("{place}.signature"), &reason);
        None
    }
}

/// Whether an address is one that only its own provider reads (`gs:`).
fn is_kept_elsewhere(source: &Source) -> bool {
    let open = |url: &str| url.starts_with("https://") || url.starts_with("http://");
    matches!(source, Source::Url { url, .. } if !open(url))
}

fn started(role: &str, turn: &Turn) -> Map<String, Value> {
    let mut message = Map::new();
    message.insert("role".to_owned(), role.into());
    if let Some(name) = &turn.name {
        message.insert("name".to_owned(), name.as_str().into());
    }
    message
}

/// `reasoning_content`, and details where there is more to say than text.
pub(crate) fn reasoning(message: &mut Map<String, Value>, thoughts: &[&Thought]) {
    let text: String = thoughts
        .iter()
        .map(|thought| thought.text.as_str())
        .collect();
    if !text.is_empty() {
        message.insert("reasoning_content".to_owned(), text.into());
    }
    thought::put_details(message, thoughts, 0);
}

pub(crate) fn cache_control(mark: CacheMark) -> Value {
    match mark {
        CacheMark::FiveMinutes => json!({"type": "ephemeral"}),
        CacheMark::OneHour => json!({"type": "ephemeral", "ttl": "1h"}),
    }
}

/// One plain text is a string, which more providers understand than a list.
fn short(mut content: Vec<Value>) -> Value {
    match content.as_mut_slice() {
        [] => "".into(),
        [Value::Object(part)] if part.len() == 2 => match part.get_mut("text").map(Value::take) {
            Some(text) => text,
            None => content.into(),
        },
        _ => content.into(),
    }
}

/// What a model said in pieces, between which other dialects have calls and citations, as one text again.
fn told(content: Vec<Value>) -> Vec<Value> {
    let texts = content.iter().map(|part| part.get("text")?.as_str());
    match texts.collect::<Option<String>>() {
        Some(text) if !text.is_empty() => vec![json!({"type": "text", "text": text})],
        _ => content,
    }
}

/// Says in the text that a tool failed: a message has no field for it.
fn failed(content: &mut Value) {
    const SAID: &str = "Error: ";
    match content {
        Value::String(text) if text.is_empty() => "Error".clone_into(text),
        Value::String(text) => text.insert_str(0, SAID),
        Value::Array(parts) => parts.insert(0, json!({"type": "text", "text": SAID.trim_end()})),
        _ => {}
    }
}
