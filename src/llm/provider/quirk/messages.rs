//! Quirks of the messages of a request.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::llm::dialect::Dropped;
use crate::llm::provider::way::is_one_of;
use crate::llm::provider::{Quirk, ThoughtPlace, Thoughts};

type Body = Map<String, Value>;

pub(super) fn apply(quirk: &Quirk, body: &mut Body) -> Vec<Dropped> {
    let Some(Value::Array(messages)) = body.get_mut("messages") else {
        return Vec::new();
    };
    let mut dropped = Vec::new();
    match quirk {
        Quirk::TakesTurns => take_turns(messages),
        Quirk::NoNames => dropped = no_names(messages),
        Quirk::DeveloperIsSystem => each(messages, developer_is_system),
        Quirk::TextContent => each(messages, text_content),
        Quirk::NineLetterToolIds => each(messages, nine_letter_ids),
        _ => {}
    }
    dropped
}

/// Puts what a model thought where its provider looks for it, or leaves it out.
pub(super) fn put_thoughts(body: &mut Body, thoughts: &Thoughts) -> Vec<Dropped> {
    let model = body.get("model").and_then(Value::as_str);
    let takes = is_one_of(model.unwrap_or_default(), &thoughts.models);
    let mut dropped = Vec::new();
    let messages = body.get_mut("messages").and_then(Value::as_array_mut);
    for (at, message) in messages.into_iter().flatten().enumerate() {
        let message = message.as_object_mut();
        let Some((message, (field, thought))) =
            message.and_then(|it| thought_of(it).map(|thought| (it, thought)))
        else {
            continue;
        };
        match &thoughts.place {
            _ if !takes || thought.is_empty() => {
                let reason = "the model does not take it back";
                dropped.push(Dropped::new(format!("messages[{at}].{field}"), reason));
            }
            ThoughtPlace::Field(name) => {
                message.insert(name.clone(), thought.into());
            }
            ThoughtPlace::Parts => {
                let thought = json!({"type": "text", "text": thought});
                let mut content = vec![json!({"type": "thinking", "thinking": [thought]})];
                let said = message.get("content");
                let said = said.filter(|said| !said.is_null() && **said != "");
                content.extend(said.map(parts).unwrap_or_default());
                message.insert("content".to_owned(), content.into());
            }
        }
    }
    dropped
}

/// Takes what a model thought out of its message, with all that proves it: the field it was in, and its text.
fn thought_of(message: &mut Body) -> Option<(&'static str, String)> {
    const FIELDS: [&str; 3] = ["reasoning_content", "reasoning", "reasoning_details"];
    let taken = FIELDS.map(|field| {
        let text = match message.shift_remove(field)? {
            Value::Null => return None,
            Value::String(text) if text.is_empty() => return None,
            Value::Array(details) => details.iter().filter_map(told).collect(),
            text => text.as_str()?.to_owned(),
        };
        Some((field, text))
    });
    let mut taken = taken.into_iter().flatten();
    taken.next()
}

/// What one of `reasoning_details` says.
fn told(detail: &Value) -> Option<&str> {
    detail["text"].as_str().or(detail["summary"].as_str())
}

/// Adds to the instructions, or gives some.
pub(super) fn instruct(body: &mut Body, instruction: &str) {
    let Some(Value::Array(messages)) = body.get_mut("messages") else {
        return;
    };
    let first = messages
        .first_mut()
        .filter(|first| matches!(first["role"].as_str(), Some("system" | "developer")));
    match first.map(|first| &mut first["content"]) {
        Some(Value::String(text)) => {
            let _ = write!(text, "\n\n{instruction}");
        }
        Some(Value::Array(parts)) => parts.push(json!({"type": "text", "text": instruction})),
        _ => messages.insert(0, json!({"role": "system", "content": instruction})),
    }
}

fn each(messages: &mut [Value], change: impl Fn(&mut Body)) {
    let objects = messages.iter_mut().filter_map(Value::as_object_mut);
    objects.for_each(change);
}

fn developer_is_system(message: &mut Body) {
    if message.get("role").is_some_and(|role| role == "developer") {
        message.insert("role".to_owned(), json!("system"));
    }
}

fn no_names(messages: &mut [Value]) -> Vec<Dropped> {
    let mut dropped = Vec::new();
    for (place, message) in messages.iter_mut().enumerate() {
        let Some(message) = message.as_object_mut() else {
            continue;
        };
        if message
            .shift_remove("name")
            .is_some_and(|name| !name.is_null())
        {
            let field = format!("messages[{place}].name");
            dropped.push(Dropped::new(field, "the provider does not know it"));
        }
    }
    dropped
}

fn text_content(message: &mut Body) {
    let Some(Value::Array(parts)) = message.get("content") else {
        return;
    };
    let texts: Option<Vec<&str>> = parts
        .iter()
        .map(|part| part["text"].as_str().filter(|_| part["type"] == "text"))
        .collect();
    if let Some(texts) = texts {
        let text = texts.join("\n");
        message.insert("content".to_owned(), Value::String(text));
    }
}

fn take_turns(messages: &mut Vec<Value>) {
    let mut turns: Vec<Value> = Vec::new();
    for message in std::mem::take(messages) {
        match turns.last_mut() {
            Some(last) if goes_on(last, &message) => {
                join(&mut last["content"], &message["content"]);
            }
            _ => turns.push(message),
        }
    }
    *messages = turns;
}

/// Whether a message is of the same role and has nothing but content that the one before could not have.
fn goes_on(last: &Value, next: &Value) -> bool {
    let plain = |message: &Value| {
        let spoken = matches!(message["role"].as_str(), Some("user" | "assistant"));
        let content = message["content"].is_string() || message["content"].is_array();
        spoken && content && message.get("tool_calls").is_none()
    };
    plain(last) && plain(next) && last["role"] == next["role"]
}

fn join(content: &mut Value, more: &Value) {
    if let (Value::String(text), Value::String(more)) = (&mut *content, more) {
        let _ = write!(text, "\n\n{more}");
        return;
    }
    let mut parts = parts(content);
    parts.extend(self::parts(more));
    *content = Value::Array(parts);
}

fn parts(content: &Value) -> Vec<Value> {
    match content {
        Value::Array(parts) => parts.clone(),
        text => vec![json!({"type": "text", "text": text})],
    }
}

fn nine_letter_ids(message: &mut Body) {
    if let Some(id) = message.get_mut("tool_call_id") {
        nine_letters(id);
    }
    let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut);
    for call in calls.into_iter().flatten() {
        if let Some(id) = call.get_mut("id") {
            nine_letters(id);
        }
    }
}

/// Replaces an id that is no nine letters and digits by nine that follow from it: FNV-1a of 64 bits, which are
/// more than nine digits of base 62 hold.
fn nine_letters(id: &mut Value) {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let Some(text) = id.as_str() else { return };
    if text.len() == 9 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return;
    }
    let mut hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut letters = String::with_capacity(9);
    for _ in 0..9 {
        letters.extend(
            DIGITS
                .get(usize::try_from(hash % 62).unwrap_or(0))
                .map(|digit| char::from(*digit)),
        );
        hash /= 62;
    }
    *id = Value::String(letters);
}
