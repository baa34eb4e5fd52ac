//! Turns, written as the items of a request's input.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::llm::answer::arguments_text;
use crate::llm::chat::{
    CacheMark, ChatRequest, Citation, Document, Image, Part, Role, Source, Text, Thought, ToolCall,
    ToolResult, Turn,
};
use crate::llm::dialect::openai_responses::parts::CONTENT;
use crate::llm::dialect::openai_responses::seal::own_id;
use crate::llm::dialect::{Dialect, Dropped, OwnTools, filename};
use crate::llm::fault::Fault;
use crate::llm::fields::put;

const DIALECT: Dialect = Dialect::OpenaiResponses;
const FOREIGN: &str = "it is not a thought of OpenAI's, who would refuse it";
const UNSEALED: &str = "it is not sealed, and OpenAI keeps no thought by its id";

/// `instructions`: the text of the system prompt.
pub(crate) fn instructions(
    request: &ChatRequest,
    dropped: &mut Vec<Dropped>,
) -> Result<Option<String>, Fault> {
    let mut texts = Vec::new();
    for (at, part) in request.system.iter().enumerate() {
        let place = format!("system[{at}]");
        match part {
            Part::Text(text) => {
                if text.cache.is_some() {
                    let reason = "instructions cannot be marked here";
                    dropped.push(Dropped::new(format!("{place}.cache"), reason));
                }
                texts.push(text.text.as_str());
            }
            _ => return Err(DIALECT.cannot(place, "anything but text as instructions")),
        }
    }
    Ok((!texts.is_empty()).then(|| texts.join("\n\n")))
}

/// `input`: all turns as items.
pub(crate) fn input(
    request: &ChatRequest,
    dropped: &mut Vec<Dropped>,
) -> Result<Vec<Value>, Fault> {
    let mut writer = Writer {
        request,
        own: request.rest.dialect == Some(DIALECT),
        tools: OwnTools::of(request),
        items: Vec::new(),
        content: Vec::new(),
        reasoning: None,
        dropped,
    };
    for (at, turn) in request.turns.iter().enumerate() {
        writer.turn(turn, at)?;
    }
    Ok(writer.items)
}

struct Writer<'a> {
    request: &'a ChatRequest,
    /// The request came in this dialect.
    own: bool,
    /// Those that are named otherwise in calls.
    tools: OwnTools,
    items: Vec<Value>,
    /// Of the message that is being written.
    content: Vec<Value>,
    /// The item that the next thought may belong to.
    reasoning: Option<Item>,
    dropped: &'a mut Vec<Dropped>,
}

/// An item of reasoning.
#[derive(Default)]
struct Item {
    /// Where its thoughts are, for messages.
    places: Vec<String>,
    id: Option<String>,
    summary: Vec<Value>,
    content: Vec<Value>,
    sealed: Option<String>,
}

impl Writer<'_> {
    fn turn(&mut self, turn: &Turn, at: usize) -> Result<(), Fault> {
        if turn.name.is_some() {
            self.drop(format!("turns[{at}].name"), "messages have no name here");
        }
        for (index, part) in turn.parts.iter().enumerate() {
            let place = format!("turns[{at}].parts[{index}]");
            if !matches!(part, Part::Thought(_)) {
                self.end_reasoning();
            }
            match part {
                Part::Thought(thought) => {
                    self.end_message(turn.role);
                    self.thought(thought, &place);
                }
                Part::ToolCall(call) => {
                    self.end_message(turn.role);
                    self.items.push(written_call(call, &self.tools));
                }
                Part::ToolResult(result) => {
                    self.end_message(turn.role);
                    let item = self.result(result, &place)?;
                    self.items.push(item);
                }
                Part::Opaque(part) if part.dialect == DIALECT => {
                    if part.kind.starts_with(CONTENT) {
                        self.content.push(part.value.clone());
                    } else {
                        self.end_message(turn.role);
                        self.items.push(part.value.clone());
                    }
                }
                Part::Opaque(part) => {
                    let reason = format!("only {} knows a `{}`", part.dialect.name(), part.kind);
                    self.drop(place, &reason);
                }
                part => {
                    let piece = self.piece(part, turn.role, &place)?;
                    self.content.push(piece);
                }
            }
        }
        self.end_reasoning();
        self.end_message(turn.role);
        Ok(())
    }

    fn drop(&mut self, field: String, reason: &str) {
        self.dropped.push(Dropped::new(field, reason));
    }

    fn end_message(&mut self, role: Role) {
        if self.content.is_empty() {
            return;
        }
        let role = match role {
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::System => "system",
        };
        let content = std::mem::take(&mut self.content);
        self.items
            .push(json!({"type": "message", "role": role, "content": content}));
    }

    /// A thought goes back to OpenAI only if it came from there, which its id or the seal of its item proves.
    fn thought(&mut self, thought: &Thought, place: &str) {
        let proof = thought.sealed.as_ref().or(thought.signature.as_ref());
        if proof.is_some_and(|proof| proof.dialect != DIALECT) {
            self.end_reasoning();
            self.drop(place.to_owned(), FOREIGN);
            return;
        }
        let id = own_id(thought.id.as_ref());
        let open = self.reasoning.as_ref();
        if open.is_some_and(|item| item.id != id || item.sealed.is_some()) {
            self.end_reasoning();
        }
        let item = self.reasoning.get_or_insert_with(Item::default);
        item.places.push(place.to_owned());
        item.id = id;
        item.sealed = proof.map(|proof| proof.value.clone());
        match (thought.text.is_empty(), thought.summary) {
            (true, _) => {}
            (_, true) => item
                .summary
                .push(json!({"type": "summary_text", "text": thought.text})),
            (_, false) => item
                .content
                .push(json!({"type": "reasoning_text", "text": thought.text})),
        }
    }

    fn end_reasoning(&mut self) {
        let Some(item) = self.reasoning.take() else {
            return;
        };
        // What was asked for in another dialect is kept by nobody.
        let is_kept = self.own && item.id.is_some();
        if item.sealed.is_none() && !is_kept {
            let reason = item.id.map_or(FOREIGN, |_| UNSEALED);
            for place in item.places {
                self.drop(place, reason);
            }
            return;
        }
        let mut written = Map::new();
        written.insert("type".to_owned(), json!("reasoning"));
        put(&mut written, "id", item.id);
        written.insert("summary".to_owned(), Value::Array(item.summary));
        let content = Some(item.content).filter(|content| !content.is_empty());
        put(&mut written, "content", content);
        put(&mut written, "encrypted_content", item.sealed);
        self.items.push(Value::Object(written));
    }

    fn result(&mut self, result: &ToolResult, place: &str) -> Result<Value, Fault> {
        let called = self.request.turns.iter().flat_map(|turn| &turn.parts);
        let custom = called.into_iter().any(
            |part| matches!(part, Part::ToolCall(call) if call.custom && call.id == result.id),
        );
        if result.cache.is_some() {
            self.drop(format!("{place}.cache"), "a result cannot be marked here");
        }
        let output = match result.parts.as_slice() {
            [] => Value::String(failed(result, "")),
            [Part::Text(text)] if text.cache.is_none() => Value::String(failed(result, &text.text)),
            parts => {
                let mut pieces = Vec::new();
                if result.is_error {
                    pieces.push(json!({"type": "input_text", "text": failed(result, "")}));
                }
                for (at, part) in parts.iter().enumerate() {
                    pieces.push(self.piece(part, Role::User, &format!("{place}.parts[{at}]"))?);
                }
                Value::Array(pieces)
            }
        };
        Ok(json!({
            "type": if custom { "custom_tool_call_output" } else { "function_call_output" },
            "call_id": result.id,
            "output": output,
        }))
    }

    /// A piece of content.
    fn piece(&mut self, part: &Part, role: Role, place: &str) -> Result<Value, Fault> {
        let (mut piece, cache) = match part {
            Part::Text(text) if role == Role::Assistant => (self.output_text(text, place), None),
            Part::Text(text) => (json!({"type": "input_text", "text": text.text}), text.cache),
            Part::Refusal(refusal) => (json!({"type": "refusal", "refusal": refusal}), None),
            Part::Image(image) if role != Role::Assistant => {
                (written_image(image, place)?, image.cache)
            }
            Part::Document(document) if role != Role::Assistant => {
                (self.document(document, place)?, document.cache)
            }
            Part::Audio(audio) if role != Role::Assistant => {
                (written_audio(&audio.source, place)?, None)
            }
            Part::Opaque(part) if part.dialect == DIALECT => return Ok(part.value.clone()),
            other => return Err(DIALECT.cannot(place, &format!("{} there", name(other)))),
        };
        if let Some(mark) = cache {
            self.mark(&mut piece, mark, place);
        }
        Ok(piece)
    }

    /// Marks the end of a prompt worth caching; only newer models take it, so only where the caller said so here.
    fn mark(&mut self, piece: &mut Value, mark: CacheMark, place: &str) {
        if !self.own {
            self.drop(
                format!("{place}.cache"),
                "OpenAI caches prompts without being told",
            );
            return;
        }
        piece["prompt_cache_breakpoint"] = match mark {
            CacheMark::FiveMinutes => json!({"mode": "explicit"}),
            CacheMark::OneHour => json!({"mode": "explicit", "ttl": "12h"}),
        };
    }

    fn output_text(&mut self, text: &Text, place: &str) -> Value {
        let length = text.text.chars().count() as u64;
        let annotations = text.citations.iter();
        let annotations = annotations.filter_map(|citation| annotation(citation, length));
        let annotations: Vec<Value> = annotations.collect();
        if annotations.len() < text.citations.len() {
            self.drop(
                format!("{place}.citations"),
                "only those of pages have a form here",
            );
        }
        json!({"type": "output_text", "text": text.text, "annotations": annotations})
    }

    fn document(&mut self, document: &Document, place: &str) -> Result<Value, Fault> {
        for (field, given) in [
            ("context", document.context.is_some()),
            ("citations", document.citations),
        ] {
            if given {
                self.drop(format!("{place}.{field}"), "a file has no such field here");
            }
        }
        let own = document.name.as_ref().filter(|_| self.own);
        let name = |media_type: &str| {
            own.cloned()
                .unwrap_or_else(|| filename(document.name.as_deref(), media_type))
        };
        let mut piece = Map::new();
        piece.insert("type".to_owned(), json!("input_file"));
        match &document.source {
            Source::Url { url, .. } => {
                piece.insert("file_url".to_owned(), json!(reachable(url, place)?));
                put(&mut piece, "filename", document.name.clone());
            }
            Source::Inline { media_type, data } => {
                piece.insert("filename".to_owned(), json!(name(media_type)));
                let data = format!("data:{media_type};base64,{data}");
                piece.insert("file_data".to_owned(), json!(data));
            }
            Source::Plain(text) => {
                piece.insert("filename".to_owned(), json!(name("text/plain")));
                let data = format!("data:text/plain;base64,{}", STANDARD.encode(text));
                piece.insert("file_data".to_owned(), json!(data));
            }
            Source::File { dialect, id } => {
                piece.insert("file_id".to_owned(), json!(uploaded(*dialect, id, place)?));
                put(&mut piece, "filename", document.name.clone());
            }
        }
        Ok(Value::Object(piece))
    }
}

fn written_call(call: &ToolCall, tools: &OwnTools) -> Value {
    let own = tools.find(&call.name);
    let name = own.map_or(call.name.as_str(), |own| own.name.as_str());
    let mut written = if call.custom {
        json!({
            "type": "custom_tool_call", "call_id": call.id, "name": name, "input": call.arguments,
        })
    } else {
        json!({
            "type": "function_call",
            "call_id": call.id,
            "name": name,
            "arguments": arguments_text(&call.arguments),
        })
    };
    if let Some(namespace) = own.and_then(|own| own.namespace.as_deref()) {
        written["namespace"] = json!(namespace);
    }
    written
}

/// The text of a result; that it failed can only be said there.
fn failed(result: &ToolResult, text: &str) -> String {
    match (result.is_error, text) {
        (false, text) => text.to_owned(),
        (true, "") => "The tool failed.".to_owned(),
        (true, text) => format!("The tool failed: {text}"),
    }
}

/// A citation of a text that has so many characters, as an annotation, where there is one for it.
pub(crate) fn annotation(citation: &Citation, length: u64) -> Option<Value> {
    if let Some((DIALECT, whole)) = &citation.whole {
        return Some(whole.clone());
    }
    let (from, until) = citation.span.unwrap_or((0, length));
    Some(json!({
        "type": "url_citation",
        "start_index": from,
        "end_index": until,
        "url": citation.url.as_ref()?,
        "title": citation.title.as_deref().unwrap_or_default(),
    }))
}

fn written_image(image: &Image, place: &str) -> Result<Value, Fault> {
    let mut piece = Map::new();
    piece.insert("type".to_owned(), json!("input_image"));
    match &image.source {
        Source::Url { url, .. } => {
            piece.insert("image_url".to_owned(), json!(reachable(url, place)?));
        }
        Source::Inline { media_type, data } => {
            let url = format!("data:{media_type};base64,{data}");
            piece.insert("image_url".to_owned(), json!(url));
        }
        Source::File { dialect, id } => {
            piece.insert("file_id".to_owned(), json!(uploaded(*dialect, id, place)?));
        }
        Source::Plain(_) => return Err(DIALECT.cannot(place, "an image of plain text")),
    }
    let detail = image.detail.as_deref().unwrap_or("auto");
    piece.insert("detail".to_owned(), json!(detail));
    Ok(Value::Object(piece))
}

fn written_audio(source: &Source, place: &str) -> Result<Value, Fault> {
    let Source::Inline { media_type, data } = source else {
        return Err(DIALECT.cannot(place, "audio that is not in the request itself"));
    };
    let format = match media_type.as_str() {
        "audio/mpeg" | "audio/mp3" => "mp3",
        "audio/wav" | "audio/x-wav" | "audio/wave" => "wav",
        other => return Err(DIALECT.cannot(place, &format!("audio of type `{other}`"))),
    };
    Ok(json!({"type": "input_audio", "input_audio": {"data": data, "format": format}}))
}

/// An address OpenAI can fetch from.
fn reachable<'a>(url: &'a str, place: &str) -> Result<&'a str, Fault> {
    if url.starts_with("https://") || url.starts_with("http://") {
        return Ok(url);
    }
    Err(DIALECT.cannot(place, "an address that is not `https:`"))
}

/// A file that was uploaded to OpenAI.
fn uploaded<'a>(dialect: Dialect, id: &'a str, place: &str) -> Result<&'a str, Fault> {
    match dialect {
        Dialect::OpenaiChat | Dialect::OpenaiResponses => Ok(id),
        _ => Err(DIALECT.cannot(place, "a file that was uploaded to another provider")),
    }
}

fn name(part: &Part) -> &'static str {
    match part {
        Part::Image(_) => "an image",
        Part::Audio(_) => "audio",
        Part::Document(_) => "a document",
        _ => "such a part",
    }
}
