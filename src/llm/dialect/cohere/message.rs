//! Turns as messages (<https://docs.cohere.com/reference/chat#request.body.messages>), and the documents among them,
//! which Cohere takes beside the messages.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::llm::answer::{arguments_text, arguments_value};
use crate::llm::chat::{
    ChatRequest, Document, Image, Part, Role, Source, Text, Thought, ToolCall, ToolResult, Turn,
};
use crate::llm::dialect::Dropped;
use crate::llm::dialect::cohere::{OWN, THINKING, TOOL_PLAN, cite};
use crate::llm::fault::Fault;
use crate::llm::fields::put;

/// `messages` and `documents`, and what they could not say.
pub(crate) struct Messages {
    pub(crate) messages: Vec<Value>,
    pub(crate) documents: Vec<Value>,
    pub(crate) dropped: Vec<Dropped>,
}

/// `thinks`: the model's thoughts are part of its content; of others, only a plan before calls of tools.
pub(crate) fn encode(request: &ChatRequest, thinks: bool) -> Result<Messages, Fault> {
    let mut writer = Writer {
        thinks,
        messages: Vec::new(),
        documents: Vec::new(),
        dropped: Vec::new(),
    };
    writer.system(request)?;
    for (at, turn) in request.turns.iter().enumerate() {
        let place = format!("turns[{at}]");
        if turn.name.is_some() {
            writer.drop(&format!("{place}.name"), "a message has no name");
        }
        match turn.role {
            // Said before.
            Role::System => {}
            Role::User => writer.user(turn, &place)?,
            Role::Assistant => writer.assistant(turn, &place)?,
        }
    }
    Ok(Messages {
        messages: writer.messages,
        documents: writer.documents,
        dropped: writer.dropped,
    })
}

struct Writer {
    thinks: bool,
    messages: Vec<Value>,
    documents: Vec<Value>,
    dropped: Vec<Dropped>,
}

impl Writer {
    fn drop(&mut self, field: &str, reason: &str) {
        self.dropped.push(Dropped::new(field, reason));
    }

    /// All instructions in the first message: there may be none later.
    fn system(&mut self, request: &ChatRequest) -> Result<(), Fault> {
        let mut content = Vec::new();
        for (at, part) in request.system.iter().enumerate() {
            self.instruction(part, &format!("system[{at}]"), &mut content)?;
        }
        let mut spoken = false;
        for (at, turn) in request.turns.iter().enumerate() {
            if turn.role != Role::System {
                spoken = true;
                continue;
            }
            for (number, part) in turn.parts.iter().enumerate() {
                let place = format!("turns[{at}].parts[{number}]");
                self.instruction(part, &place, &mut content)?;
            }
            if spoken {
                let reason = "instructions are said before the first turn";
                self.drop(&format!("turns[{at}]"), reason);
            }
        }
        if !content.is_empty() {
            let content = short(content);
            self.messages
                .push(json!({"role": "system", "content": content}));
        }
        Ok(())
    }

    fn instruction(
        &mut self,
        part: &Part,
        place: &str,
        content: &mut Vec<Value>,
    ) -> Result<(), Fault> {
        match part {
            Part::Text(text) => content.extend(self.text(text, place)),
            Part::Opaque(part) if part.dialect == OWN => content.push(part.value.clone()),
            _ => return Err(OWN.cannot(place, "an instruction that is no text")),
        }
        Ok(())
    }

    fn text(&mut self, text: &Text, place: &str) -> Option<Value> {
        if text.cache.is_some() {
            self.drop(
                &format!("{place}.cache"),
                "prompts are cached without marks",
            );
        }
        (!text.text.is_empty()).then(|| json!({"type": "text", "text": text.text}))
    }

    /// Results of tools, each a message, and then what the user said.
    fn user(&mut self, turn: &Turn, place: &str) -> Result<(), Fault> {
        let mut content = Vec::new();
        for (at, part) in turn.parts.iter().enumerate() {
            if let Part::ToolResult(result) = part {
                self.result(result, &format!("{place}.parts[{at}]"), &mut content)?;
            }
        }
        let results = turn
            .parts
            .iter()
            .any(|part| matches!(part, Part::ToolResult(_)));
        for (at, part) in turn.parts.iter().enumerate() {
            let place = format!("{place}.parts[{at}]");
            match part {
                Part::ToolResult(_) => {}
                Part::Text(text) => content.extend(self.text(text, &place)),
                Part::Image(image) => content.push(self.image(image, &place)?),
                Part::Document(document) => {
                    let document = self.document(document, &place)?;
                    self.documents.push(document);
                }
                Part::Opaque(part) if part.dialect == OWN => content.push(part.value.clone()),
                part => return Err(cannot(part, place)),
            }
        }
        if !content.is_empty() || !results {
            let content = short(content);
            self.messages
                .push(json!({"role": "user", "content": content}));
        }
        Ok(())
    }

    fn image(&mut self, image: &Image, place: &str) -> Result<Value, Fault> {
        if image.cache.is_some() {
            self.drop(
                &format!("{place}.cache"),
                "prompts are cached without marks",
            );
        }
        let url = match &image.source {
            Source::Url { url, .. } if url.starts_with("http") => url.clone(),
            Source::Inline { media_type, data } => format!("data:{media_type};base64,{data}"),
            _ => return Err(OWN.cannot(place, "an image that is stored elsewhere")),
        };
        let mut written = Map::new();
        written.insert("url".to_owned(), url.into());
        put(&mut written, "detail", image.detail.clone());
        Ok(json!({"type": "image_url", "image_url": written}))
    }

    /// A document of text, which Cohere may cite.
    fn document(&mut self, document: &Document, place: &str) -> Result<Value, Fault> {
        if document.cache.is_some() {
            self.drop(
                &format!("{place}.cache"),
                "prompts are cached without marks",
            );
        }
        let text = match &document.source {
            Source::Plain(text) => Some(text.clone()),
            Source::Inline { media_type, data } if is_text(media_type) => {
                let bytes = STANDARD.decode(data).ok();
                bytes.and_then(|bytes| String::from_utf8(bytes).ok())
            }
            _ => None,
        };
        let Some(text) = text else {
            return Err(OWN.cannot(place, "a document that is no text"));
        };
        let mut data = Map::new();
        put(&mut data, "title", document.name.clone());
        put(&mut data, "context", document.context.clone());
        data.insert("text".to_owned(), text.into());
        Ok(json!({"data": data}))
    }

    /// A message of a tool holds text and documents; images are shown by the user after it.
    fn result(
        &mut self,
        result: &ToolResult,
        place: &str,
        shown: &mut Vec<Value>,
    ) -> Result<(), Fault> {
        if result.cache.is_some() {
            self.drop(
                &format!("{place}.cache"),
                "prompts are cached without marks",
            );
        }
        let mut content = Vec::new();
        if result.is_error {
            content.push(json!({"type": "text", "text": "The tool failed:"}));
        }
        for (at, part) in result.parts.iter().enumerate() {
            let place = format!("{place}.parts[{at}]");
            match part {
                Part::Text(text) => content.extend(self.output(text, &place)),
                Part::Document(document) => {
                    let document = self.document(document, &place)?;
                    content.push(json!({"type": "document", "document": document}));
                }
                Part::Image(image) => {
                    let note = format!("What the call {} of a tool gave:", result.id);
                    shown.push(json!({"type": "text", "text": note}));
                    shown.push(self.image(image, &place)?);
                }
                Part::Opaque(part) if part.dialect == OWN => content.push(part.value.clone()),
                part => return Err(cannot(part, place)),
            }
        }
        if content.is_empty() {
            let note = if shown.is_empty() {
                "(nothing)"
            } else {
                "(shown in the next message)"
            };
            content.push(json!({"type": "text", "text": note}));
        }
        let content = short(content);
        let message = json!({"role": "tool", "tool_call_id": result.id, "content": content});
        self.messages.push(message);
        Ok(())
    }

    /// A JSON object is a document, so that the answer may cite it.
    fn output(&mut self, text: &Text, place: &str) -> Option<Value> {
        let object = serde_json::from_str::<Map<String, Value>>(&text.text);
        match object.ok().filter(|object| !object.is_empty()) {
            Some(data) => Some(json!({"type": "document", "document": {"data": data}})),
            None => self.text(text, place),
        }
    }

    fn assistant(&mut self, turn: &Turn, place: &str) -> Result<(), Fault> {
        let mut said = Assistant::default();
        for (at, part) in turn.parts.iter().enumerate() {
            let place = format!("{place}.parts[{at}]");
            match part {
                Part::Text(text) => {
                    let citations = cite::encode(&text.citations);
                    if citations.is_empty() && !text.citations.is_empty() {
                        let place = format!("{place}.citations");
                        self.drop(&place, "only Cohere's own are passed back");
                    }
                    said.citations.extend(citations);
                    said.content.extend(self.text(text, &place));
                }
                Part::Refusal(text) => said.content.push(json!({"type": "text", "text": text})),
                Part::Thought(thought) => self.thought(thought, &place, &mut said),
                Part::ToolCall(part) => said.calls.push(self.call(part, &place)),
                Part::Opaque(part) if part.dialect == OWN => said.content.push(part.value.clone()),
                Part::Opaque(part) => {
                    let reason = format!("only {} knows a `{}`", part.dialect.name(), part.kind);
                    self.drop(&place, &reason);
                }
                part => return Err(cannot(part, place)),
            }
        }
        self.messages.extend(said.message());
        Ok(())
    }

    fn call(&mut self, call: &ToolCall, place: &str) -> Value {
        let arguments = if call.custom {
            json!({"input": call.arguments}).to_string()
        } else if arguments_value(&call.arguments).is_ok() {
            arguments_text(&call.arguments).to_owned()
        } else {
            let reason = "they are no JSON object, and are passed as the text of one";
            self.drop(&format!("{place}.arguments"), reason);
            json!({"arguments": call.arguments}).to_string()
        };
        let function = json!({"name": call.name, "arguments": arguments});
        json!({"id": call.id, "type": "function", "function": function})
    }

    /// Back to the field that it came in, where the model has such a field.
    fn thought(&mut self, thought: &Thought, place: &str, said: &mut Assistant) {
        let field = match &thought.signature {
            Some(signature) if signature.dialect == OWN => signature.value.as_str(),
            _ => "",
        };
        match field {
            THINKING if self.thinks => {
                said.content
                    .push(json!({"type": "thinking", "thinking": thought.text}));
            }
            TOOL_PLAN if !self.thinks => said.plan.push_str(&thought.text),
            THINKING | TOOL_PLAN => self.drop(place, "the model does not take such a thought back"),
            _ => self.drop(place, "a thought goes back only to who made it"),
        }
    }
}

/// A message of a model, in the making.
#[derive(Default)]
struct Assistant {
    plan: String,
    content: Vec<Value>,
    calls: Vec<Value>,
    citations: Vec<Value>,
}

impl Assistant {
    fn message(self) -> Option<Value> {
        if self.content.is_empty() && self.calls.is_empty() {
            return None;
        }
        let filled = |list: Vec<Value>| (!list.is_empty()).then_some(list);
        let mut message = Map::new();
        message.insert("role".to_owned(), "assistant".into());
        let plan = Some(self.plan).filter(|plan| !plan.is_empty() && !self.calls.is_empty());
        put(&mut message, "tool_plan", plan);
        put(&mut message, "tool_calls", filled(self.calls));
        put(&mut message, "content", filled(self.content).map(short));
        put(&mut message, "citations", filled(self.citations));
        Some(message.into())
    }
}

fn cannot(part: &Part, place: String) -> Fault {
    let what = match part {
        Part::Audio(_) => "sound".to_owned(),
        Part::Image(_) => "an image that a model made".to_owned(),
        Part::Document(_) => "a document that a model made".to_owned(),
        Part::Opaque(part) => format!("a part of kind `{}`", part.kind),
        _ => "this kind of part".to_owned(),
    };
    OWN.cannot(place, &what)
}

fn is_text(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.starts_with("text/") || matches!(essence, "application/json" | "application/xml")
}

/// A single text is written as such.
fn short(mut content: Vec<Value>) -> Value {
    let text = match content.as_slice() {
        [] => return "".into(),
        [only] if only.get("type").and_then(Value::as_str) == Some("text") => {
            only.get("text").cloned()
        }
        _ => None,
    };
    text.unwrap_or_else(|| std::mem::take(&mut content).into())
}
