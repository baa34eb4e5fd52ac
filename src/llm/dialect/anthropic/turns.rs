//! Turns as messages for a provider: sides alternate, results of tools come first, and no thought is sent that
//! Anthropic did not sign.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::llm::answer::arguments_value;
use crate::llm::chat::{
    CacheMark, ChatRequest, Citation, Document, Image, Part, Role, Source, Text, Thought, ToolCall,
    ToolResult, Turn,
};
use crate::llm::dialect::anthropic::{block, seal};
use crate::llm::dialect::{Dialect, Dropped};
use crate::llm::fault::Fault;
use crate::llm::fields::put;

/// Media types of images that a model sees.
const IMAGES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// Writes a request, and notes what it leaves out.
pub(crate) struct Writer<'a> {
    pub(crate) request: &'a ChatRequest,
    pub(crate) dropped: Vec<Dropped>,
}

/// A message in the making.
struct Message {
    role: &'static str,
    /// Results of tools, which a user's message begins with.
    results: Vec<Value>,
    blocks: Vec<Value>,
    rest: Map<String, Value>,
}

impl Writer<'_> {
    /// Whether the request came in this dialect.
    pub(crate) fn own(&self) -> bool {
        self.request.rest.dialect == Some(Dialect::Anthropic)
    }

    pub(crate) fn drop(&mut self, field: impl Into<String>, reason: impl Into<String>) {
        self.dropped.push(Dropped::new(field, reason));
    }

    /// Puts back what was read at a place and has no field in the neutral form.
    pub(crate) fn restore(&self, place: &str, map: &mut Map<String, Value>) {
        if !self.own() {
            return;
        }
        for (name, value) in &self.request.rest.fields {
            let name = name.strip_prefix(place);
            let name = name.and_then(|name| name.strip_prefix('.'));
            if let Some(name) = name.filter(|name| !name.contains(['.', '['])) {
                map.insert(name.to_owned(), value.clone());
            }
        }
    }

    /// The blocks of `system`.
    pub(crate) fn system(&mut self) -> Result<Vec<Value>, Fault> {
        let request = self.request;
        let mut blocks = Vec::new();
        for (index, part) in request.system.iter().enumerate() {
            let place = format!("system[{index}]");
            if !matches!(part, Part::Text(_)) && !self.own() {
                return Err(Dialect::Anthropic.cannot(place, "Instructions other than text"));
            }
            self.part(part, &place, &mut blocks)?;
        }
        Ok(blocks)
    }

    /// `messages`. Instructions before all of them are added to `system`.
    pub(crate) fn messages(&mut self, system: &mut Vec<Value>) -> Result<Vec<Value>, Fault> {
        let request = self.request;
        let mut messages: Vec<Message> = Vec::new();
        for (index, turn) in request.turns.iter().enumerate() {
            let place = format!("messages[{index}]");
            let mut message = self.message(turn, &place)?;
            if message.results.is_empty() && message.blocks.is_empty() {
                continue;
            }
            let native = message.role == "system" && self.own();
            if message.role == "system" && !native {
                if messages.is_empty() {
                    system.append(&mut message.blocks);
                    continue;
                }
                self.drop(
                    &place,
                    "instructions within a conversation are said as the user's text",
                );
                message.blocks.iter_mut().for_each(tag);
                message.role = "user";
            }
            match messages.last_mut() {
                Some(last) if last.role == message.role && !native => last.join(message),
                _ => messages.push(message),
            }
        }
        let messages = messages.into_iter().filter_map(Message::written);
        Ok(messages.collect())
    }

    fn message(&mut self, turn: &Turn, place: &str) -> Result<Message, Fault> {
        let mut message = Message {
            role: match turn.role {
                Role::User => "user",
                Role::Assistant => "assistant",
                Role::System => "system",
            },
            results: Vec::new(),
            blocks: Vec::new(),
            rest: Map::new(),
        };
        if turn.name.is_some() {
            self.drop(format!("{place}.name"), "messages have no names here");
        }
        for (index, part) in turn.parts.iter().enumerate() {
            let place = format!("{place}.content[{index}]");
            let is_result = matches!(part, Part::ToolResult(_));
            if matches!(part, Part::Image(_)) && turn.role == Role::Assistant && !self.own() {
                return Err(Dialect::Anthropic.cannot(place, "An image that a model made"));
            }
            let blocks = if is_result {
                &mut message.results
            } else {
                &mut message.blocks
            };
            self.part(part, &place, blocks)?;
        }
        self.restore(place, &mut message.rest);
        Ok(message)
    }

    /// Adds the blocks of a part.
    fn part(&mut self, part: &Part, place: &str, blocks: &mut Vec<Value>) -> Result<(), Fault> {
        let map = match part {
            Part::Text(text) if text.text.trim().is_empty() => return Ok(()),
            Part::Text(text) => self.text(text, place),
            Part::Refusal(text) => self.text(
                &Text {
                    text: text.clone(),
                    ..Text::default()
                },
                place,
            ),
            Part::Image(image) => self.image(image, place)?,
            Part::Document(document) => self.document(document, place)?,
            Part::Audio(_) => return Err(Dialect::Anthropic.cannot(place, "Sound")),
            Part::Thought(thought) => match self.thought(thought, place) {
                Some(map) => map,
                None => return Ok(()),
            },
            Part::ToolCall(call) => self.call(call, place),
            Part::ToolResult(result) => self.result(result, place)?,
            Part::Opaque(part) if part.dialect == Dialect::Anthropic => {
                blocks.push(part.value.clone());
                return Ok(());
            }
            Part::Opaque(part) if part.kind.contains("reference") => {
                let what = format!("A part of the kind `{}`", part.kind);
                return Err(Dialect::Anthropic.cannot(place, &what));
            }
            Part::Opaque(part) => {
                let reason = format!(
                    "only {} has parts of the kind `{}`",
                    part.dialect.name(),
                    part.kind
                );
                self.drop(place, reason);
                return Ok(());
            }
        };
        let mut map = map;
        self.restore(place, &mut map);
        blocks.push(Value::Object(map));
        Ok(())
    }

    fn text(&mut self, text: &Text, place: &str) -> Map<String, Value> {
        let mut map = begun("text");
        map.insert("text".to_owned(), Value::from(text.text.as_str()));
        let citations = self.citations(&text.citations, place);
        put(&mut map, "citations", citations);
        put(&mut map, "cache_control", text.cache.map(cache_control));
        map
    }

    fn citations(&mut self, citations: &[Citation], place: &str) -> Option<Vec<Value>> {
        let whole = |citation: &Citation| match &citation.whole {
            Some((Dialect::Anthropic, whole)) => Some(whole.clone()),
            _ => None,
        };
        let own: Vec<_> = citations.iter().filter_map(whole).collect();
        if own.len() < citations.len() {
            let reason = "Anthropic takes its own citations only";
            self.drop(format!("{place}.citations"), reason);
        }
        (!own.is_empty()).then_some(own)
    }

    fn image(&mut self, image: &Image, place: &str) -> Result<Map<String, Value>, Fault> {
        if image
            .detail
            .as_deref()
            .is_some_and(|detail| detail != "auto")
        {
            self.drop(format!("{place}.detail"), "images have no detail here");
        }
        let source = match &image.source {
            Source::Inline { media_type, data }
                if IMAGES.contains(&media_type.as_str()) || self.own() =>
            {
                json!({ "type": "base64", "media_type": media_type, "data": data })
            }
            Source::Inline { media_type, .. } => {
                return Err(Dialect::Anthropic
                    .cannot(place, &format!("An image of the type `{media_type}`")));
            }
            Source::Plain(_) => return Err(Dialect::Anthropic.cannot(place, "An image of text")),
            other => linked(other, place)?,
        };
        let mut map = begun("image");
        map.insert("source".to_owned(), self.restored(source, place));
        put(&mut map, "cache_control", image.cache.map(cache_control));
        Ok(map)
    }

    fn document(&mut self, document: &Document, place: &str) -> Result<Map<String, Value>, Fault> {
        let source = match &document.source {
            Source::Inline { media_type, data }
                if media_type == "application/pdf" || self.own() =>
            {
                json!({ "type": "base64", "media_type": media_type, "data": data })
            }
            Source::Inline { media_type, data } => {
                let text = media_type
                    .starts_with("text/")
                    .then(|| STANDARD.decode(data).ok());
                let text = text
                    .flatten()
                    .and_then(|bytes| String::from_utf8(bytes).ok());
                let Some(text) = text else {
                    let what = format!("A document of the type `{media_type}`");
                    return Err(Dialect::Anthropic.cannot(place, &what));
                };
                json!({ "type": "text", "media_type": "text/plain", "data": text })
            }
            Source::Plain(text) => {
                json!({ "type": "text", "media_type": "text/plain", "data": text })
            }
            other => linked(other, place)?,
        };
        let mut map = begun("document");
        map.insert("source".to_owned(), self.restored(source, place));
        put(&mut map, "title", document.name.as_deref());
        put(&mut map, "context", document.context.as_deref());
        let citations = document.citations.then(|| json!({ "enabled": true }));
        put(&mut map, "citations", citations);
        put(&mut map, "cache_control", document.cache.map(cache_control));
        Ok(map)
    }

    fn restored(&self, mut source: Value, place: &str) -> Value {
        if let Some(map) = source.as_object_mut() {
            self.restore(&format!("{place}.source"), map);
        }
        source
    }

    /// Only what Anthropic signed or sealed goes back to it, and that byte for byte.
    fn thought(&mut self, thought: &Thought, place: &str) -> Option<Map<String, Value>> {
        let own = |signature: &Option<crate::llm::chat::Signature>| {
            let own = signature
                .as_ref()
                .filter(|signature| seal::is_own(signature));
            own.map(|signature| signature.value.clone())
        };
        if let Some(signature) = own(&thought.signature) {
            let mut map = begun("thinking");
            map.insert("thinking".to_owned(), Value::from(thought.text.as_str()));
            map.insert("signature".to_owned(), Value::from(signature));
            return Some(map);
        }
        if let Some(data) = own(&thought.sealed) {
            let mut map = begun("redacted_thinking");
            map.insert("data".to_owned(), Value::from(data));
            return Some(map);
        }
        self.drop(place, "Anthropic takes only thoughts that it signed");
        None
    }

    fn call(&mut self, call: &ToolCall, place: &str) -> Map<String, Value> {
        let input = if call.custom {
            json!({ "input": call.arguments })
        } else {
            arguments_value(&call.arguments).unwrap_or_else(|_| {
                let reason = "they are not a JSON object; they go as its text";
                self.drop(format!("{place}.arguments"), reason);
                json!({ "arguments": call.arguments })
            })
        };
        if call.signature.is_some() {
            let reason = "the signature of a call means something to its maker only";
            self.drop(format!("{place}.signature"), reason);
        }
        let mut map = begun("tool_use");
        map.insert("id".to_owned(), Value::from(id(&call.id)));
        map.insert("name".to_owned(), Value::from(call.name.as_str()));
        map.insert("input".to_owned(), input);
        put(&mut map, "cache_control", call.cache.map(cache_control));
        map
    }

    fn result(&mut self, result: &ToolResult, place: &str) -> Result<Map<String, Value>, Fault> {
        let mut content = Vec::new();
        for (index, part) in result.parts.iter().enumerate() {
            self.part(part, &format!("{place}.content[{index}]"), &mut content)?;
        }
        let mut map = begun("tool_result");
        map.insert("tool_use_id".to_owned(), Value::from(id(&result.id)));
        put(&mut map, "content", said(content));
        put(&mut map, "is_error", result.is_error.then_some(true));
        put(&mut map, "cache_control", result.cache.map(cache_control));
        Ok(map)
    }
}

impl Message {
    fn join(&mut self, more: Self) {
        self.results.extend(more.results);
        self.blocks.extend(more.blocks);
        self.rest.extend(more.rest);
    }

    /// `None` where nothing was said.
    fn written(mut self) -> Option<Value> {
        self.results.append(&mut self.blocks);
        let mut map = Map::new();
        map.insert("role".to_owned(), Value::from(self.role));
        map.insert("content".to_owned(), said(self.results)?);
        map.extend(self.rest);
        Some(Value::Object(map))
    }
}

/// `content`: a text alone is written as a string, as in the official examples.
pub(crate) fn said(mut blocks: Vec<Value>) -> Option<Value> {
    let [block] = blocks.as_mut_slice() else {
        return (!blocks.is_empty()).then_some(Value::Array(blocks));
    };
    let bare = block["type"] == "text" && block.as_object().is_some_and(|map| map.len() == 2);
    Some(if bare {
        block["text"].take()
    } else {
        Value::Array(blocks)
    })
}

/// `cache_control` of a mark.
pub(crate) fn cache_control(mark: CacheMark) -> Value {
    match mark {
        CacheMark::FiveMinutes => json!({ "type": "ephemeral" }),
        CacheMark::OneHour => json!({ "type": "ephemeral", "ttl": "1h" }),
    }
}

/// Citations of an answer in the form of this dialect, and how many have none.
pub(crate) fn citations(citations: &[Citation]) -> (Vec<Value>, usize) {
    let said: Vec<_> = citations.iter().filter_map(block::write_citation).collect();
    let lost = citations.len() - said.len();
    (said, lost)
}

fn begun(kind: &str) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("type".to_owned(), Value::from(kind));
    map
}

/// Instructions among what the user says.
fn tag(block: &mut Value) {
    if let Some(text) = block["text"].as_str() {
        block["text"] = Value::from(format!("<system>\n{text}\n</system>"));
    }
}

/// Ids of calls are letters, digits, `_` and `-`; each other byte of another provider's is written in hexadecimal.
fn id(id: &str) -> String {
    let mut written = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') {
            written.push(char::from(byte));
        } else {
            written.push('_');
            written.push_str(&hex::encode([byte]));
        }
    }
    written
}

/// A source that is elsewhere.
fn linked(source: &Source, place: &str) -> Result<Value, Fault> {
    match source {
        Source::Url { url, .. } if url.starts_with("http://") || url.starts_with("https://") => {
            Ok(json!({ "type": "url", "url": url }))
        }
        Source::File {
            dialect: Dialect::Anthropic,
            id,
        } => Ok(json!({ "type": "file", "file_id": id })),
        Source::File { .. } => Err(Dialect::Anthropic.cannot(place, "A file of another provider")),
        _ => Err(Dialect::Anthropic.cannot(place, "This kind of address")),
    }
}
