//! Turns as messages
//! (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html>): sides alternate, results of
//! tools come first, and no text is blank.

use std::collections::HashSet;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::llm::answer::arguments_value;
use crate::llm::chat::{
    CacheMark, ChatRequest, Part, Role, Text, Thought, ToolCall, ToolResult, Turn,
};
use crate::llm::dialect::Dropped;
use crate::llm::dialect::bedrock::family::Family;
use crate::llm::dialect::bedrock::{OWN, media};
use crate::llm::fault::Fault;

const TOOL_ID_CHARS_MAX: usize = 64;

/// `system` and `messages`, and what they could not say.
pub(crate) struct Messages {
    pub(crate) system: Vec<Value>,
    pub(crate) messages: Vec<Value>,
    pub(crate) dropped: Vec<Dropped>,
}

pub(crate) fn encode(request: &ChatRequest, family: Family) -> Result<Messages, Fault> {
    let mut writer = Writer {
        family,
        dropped: Vec::new(),
        documents: HashSet::new(),
    };
    let mut system = writer.instructions(&request.system, "system")?;
    let mut sides: Vec<(Role, Vec<Said>)> = Vec::new();
    for (at, turn) in request.turns.iter().enumerate() {
        let place = format!("turns[{at}]");
        if turn.role == Role::System {
            system.append(&mut writer.instructions(&turn.parts, &format!("{place}.parts"))?);
            if !sides.is_empty() {
                writer.drop(&place, "instructions are said before the first turn");
            }
            continue;
        }
        let mut said = writer.turn(turn, &place)?;
        match sides.last_mut().filter(|(role, _)| *role == turn.role) {
            Some((_, before)) => before.append(&mut said),
            None if said.is_empty() => {}
            None => sides.push((turn.role, said)),
        }
    }
    Ok(Messages {
        system,
        messages: sides.into_iter().map(message).collect(),
        dropped: writer.dropped,
    })
}

/// Blocks that stay together: a part and the mark after it.
struct Said {
    blocks: Vec<Value>,
    /// The result of a tool, which comes before everything else.
    result: bool,
}

fn message((role, mut said): (Role, Vec<Said>)) -> Value {
    said.sort_by_key(|said| !said.result);
    let mut content: Vec<Value> = said.into_iter().flat_map(|said| said.blocks).collect();
    let has = |name: &str| content.iter().any(|block| block.get(name).is_some());
    if has("document") && !has("text") {
        content.push(json!({"text": "The document is attached."}));
    }
    let role = if role == Role::Assistant {
        "assistant"
    } else {
        "user"
    };
    json!({"role": role, "content": content})
}

struct Writer {
    family: Family,
    dropped: Vec<Dropped>,
    /// Names of documents so far.
    documents: HashSet<String>,
}

impl Writer {
    fn drop(&mut self, field: &str, reason: &str) {
        self.dropped.push(Dropped::new(field, reason));
    }

    fn instructions(&mut self, said: &[Part], place: &str) -> Result<Vec<Value>, Fault> {
        let mut blocks = Vec::new();
        for (at, part) in said.iter().enumerate() {
            let place = format!("{place}[{at}]");
            match part {
                Part::Text(text) if is_blank(&text.text) => {}
                Part::Text(text) => {
                    blocks.push(json!({"text": text.text}));
                    self.mark(text.cache, &place, &mut blocks);
                }
                Part::Opaque(part) if part.dialect == OWN => blocks.push(part.value.clone()),
                _ => return Err(OWN.cannot(place, "an instruction that is no text")),
            }
        }
        Ok(blocks)
    }

    /// A mark for the prompt cache is a block of its own.
    fn mark(&mut self, mark: Option<CacheMark>, place: &str, blocks: &mut Vec<Value>) {
        if let Some(mark) = mark {
            match cache_point(mark, self.family) {
                Some(point) => blocks.push(point),
                None => self.drop(
                    &format!("{place}.cache"),
                    "the model's prompts are not cached",
                ),
            }
        }
    }

    fn turn(&mut self, turn: &Turn, place: &str) -> Result<Vec<Said>, Fault> {
        if turn.name.is_some() {
            self.drop(&format!("{place}.name"), "a turn has no name");
        }
        let mut said = Vec::new();
        for (at, part) in turn.parts.iter().enumerate() {
            let place = format!("{place}.parts[{at}]");
            let mut blocks = Vec::new();
            let (block, cache) = self.part(part, turn.role, &place)?;
            let Some(block) = block else {
                continue;
            };
            blocks.push(block);
            self.mark(cache, &place, &mut blocks);
            let result = matches!(part, Part::ToolResult(_));
            said.push(Said { blocks, result });
        }
        Ok(said)
    }

    /// A part as a block, where there is something to say, and its mark.
    fn part(
        &mut self,
        part: &Part,
        role: Role,
        place: &str,
    ) -> Result<(Option<Value>, Option<CacheMark>), Fault> {
        let answers = role == Role::Assistant;
        Ok(match part {
            Part::Text(text) if is_blank(&text.text) => (None, None),
            Part::Text(text) => (Some(self.text(text, place)), text.cache),
            Part::Refusal(text) if is_blank(text) => (None, None),
            Part::Refusal(text) => (Some(json!({"text": text})), None),
            Part::Thought(thought) => (self.thought(thought, place), None),
            Part::ToolCall(call) => (Some(self.call(call, place)), call.cache),
            Part::Opaque(part) if part.dialect == OWN => (Some(part.value.clone()), None),
            Part::Opaque(part) if answers => {
                let reason = format!("only {} knows a `{}`", part.dialect.name(), part.kind);
                self.drop(place, &reason);
                (None, None)
            }
            Part::Image(_) | Part::Audio(_) | Part::Document(_) if answers => {
                return Err(OWN.cannot(place, "something other than text that a model gave"));
            }
            Part::ToolResult(result) => (Some(self.result(result, place)?), result.cache),
            other => return self.media(other, place),
        })
    }

    fn media(
        &mut self,
        part: &Part,
        place: &str,
    ) -> Result<(Option<Value>, Option<CacheMark>), Fault> {
        Ok(match part {
            Part::Image(image) => {
                let detail = image.detail.as_deref();
                if detail.is_some_and(|detail| detail != "auto") {
                    self.drop(&format!("{place}.detail"), "images have no detail");
                }
                (Some(media::image(image, place)?), image.cache)
            }
            Part::Audio(audio) => (Some(media::audio(audio, place)?), None),
            Part::Document(document) => {
                let block = media::document(document, &mut self.documents, place)?;
                (Some(block), document.cache)
            }
            Part::Opaque(part) => {
                let what = format!("a part of kind `{}`", part.kind);
                return Err(OWN.cannot(place, &what));
            }
            _ => return Err(OWN.cannot(place, "this kind of part")),
        })
    }

    /// Text, with its citations where Bedrock made them.
    fn text(&mut self, text: &Text, place: &str) -> Value {
        let whole = |citation: &crate::llm::chat::Citation| match &citation.whole {
            Some((OWN, value)) => Some(value.clone()),
            _ => None,
        };
        let citations: Vec<Value> = text.citations.iter().filter_map(whole).collect();
        if citations.len() < text.citations.len() {
            self.drop(
                &format!("{place}.citations"),
                "only Bedrock's own are passed back",
            );
        }
        if citations.is_empty() {
            return json!({"text": text.text});
        }
        json!({"citationsContent": {"content": [{"text": text.text}], "citations": citations}})
    }

    /// A thought that Bedrock can check. One of another maker, or without proof, is not for this model.
    fn thought(&mut self, thought: &Thought, place: &str) -> Option<Value> {
        let own = |signature: &Option<crate::llm::chat::Signature>| {
            let signature = signature.as_ref()?;
            (signature.dialect == OWN).then(|| signature.value.clone())
        };
        if let Some(sealed) = own(&thought.sealed) {
            return Some(json!({"reasoningContent": {"redactedContent": sealed}}));
        }
        if let Some(signature) = own(&thought.signature) {
            let text = json!({"text": thought.text, "signature": signature});
            return Some(json!({"reasoningContent": {"reasoningText": text}}));
        }
        self.drop(place, "a thought goes back only to who made and signed it");
        None
    }

    fn call(&mut self, call: &ToolCall, place: &str) -> Value {
        let input = if call.custom {
            json!({"input": call.arguments})
        } else {
            arguments_value(&call.arguments).unwrap_or_else(|_| {
                let reason = "they are no JSON object, and are passed as the text of one";
                self.drop(&format!("{place}.arguments"), reason);
                json!({"arguments": call.arguments})
            })
        };
        json!({"toolUse": {"toolUseId": tool_id(&call.id), "name": call.name, "input": input}})
    }

    fn result(&mut self, result: &ToolResult, place: &str) -> Result<Value, Fault> {
        let mut content = Vec::new();
        if result.is_error && !self.family.knows_status() {
            content.push(json!({"text": "The tool failed:"}));
        }
        for (at, part) in result.parts.iter().enumerate() {
            let place = format!("{place}.parts[{at}]");
            match part {
                Part::Text(text) if is_blank(&text.text) => {}
                Part::Text(text) => content.push(json!({"text": text.text})),
                Part::Opaque(part) if part.dialect == OWN => content.push(part.value.clone()),
                Part::Audio(_) => return Err(OWN.cannot(place, "sound that a tool gave")),
                part => content.extend(self.media(part, &place)?.0),
            }
        }
        if content.is_empty() {
            content.push(json!({"text": "(nothing)"}));
        }
        let mut block = json!({"toolUseId": tool_id(&result.id), "content": content});
        if let Some(block) = block.as_object_mut()
            && result.is_error
            && self.family.knows_status()
        {
            block.insert("status".to_owned(), "error".into());
        }
        Ok(json!({"toolResult": block}))
    }
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

/// <https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html>; only Claude keeps for an hour.
pub(crate) fn cache_point(mark: CacheMark, family: Family) -> Option<Value> {
    if !family.caches() {
        return None;
    }
    Some(match mark {
        CacheMark::OneHour if !matches!(family, Family::Nova(_)) => {
            json!({"cachePoint": {"type": "default", "ttl": "1h"}})
        }
        _ => json!({"cachePoint": {"type": "default"}}),
    })
}

/// An id that Bedrock takes, the same for a call and its result. One that is too long, or has other characters, is
/// told apart by its hash.
fn tool_id(id: &str) -> String {
    let allowed = |sign: char| sign.is_ascii_alphanumeric() || "_.:-".contains(sign);
    if !id.is_empty() && id.len() <= TOOL_ID_CHARS_MAX && id.chars().all(allowed) {
        return id.to_owned();
    }
    let hash = hex::encode(digest(&SHA256, id.as_bytes()));
    format!("call_{}", hash.get(..32).unwrap_or(&hash))
}
