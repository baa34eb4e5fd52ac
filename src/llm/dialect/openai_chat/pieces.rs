//! What arrives in pieces: calls of tools and sound.

use serde_json::{Map, Value};

use crate::llm::answer::{ChatEvent, Delta, is_complete};
use crate::llm::chat::Signature;
use crate::llm::dialect::openai_chat::parts;

/// A call of a tool.
#[derive(Debug, Default)]
pub(crate) struct Call {
    pub(crate) key: Option<u64>,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) custom: bool,
    /// Its part, once it has a name.
    pub(crate) part: Option<usize>,
    pub(crate) arguments: String,
    pub(crate) signature: Option<Signature>,
    pub(crate) closed: bool,
}

impl Call {
    pub(crate) fn more(
        &mut self,
        said: String,
        signature: Option<Signature>,
        out: &mut Vec<ChatEvent>,
    ) {
        let Some(index) = self.part else {
            return;
        };
        let signature = signature.map(Delta::Signature);
        out.extend(signature.map(|delta| ChatEvent::Delta { index, delta }));
        if !said.is_empty() {
            self.arguments.push_str(&said);
            let delta = Delta::Arguments(said);
            out.push(ChatEvent::Delta { index, delta });
        }
    }

    /// No arguments at all are an empty object.
    pub(crate) fn close(&mut self, out: &mut Vec<ChatEvent>) {
        let Some(index) = self.part.filter(|_| !self.closed) else {
            return;
        };
        if !self.custom && self.arguments.trim().is_empty() {
            self.more("{}".to_owned(), None, out);
        }
        self.closed = true;
        out.push(ChatEvent::PartStop { index });
    }
}

/// The call that a piece belongs to. Some providers repeat id and name in every piece, some number all
/// calls alike, some not at all.
pub(crate) fn known(
    all: &[Call],
    key: Option<u64>,
    id: &str,
    name: &str,
    at: usize,
) -> Option<usize> {
    let calls = || all.iter().enumerate().rev();
    let same_id = |call: &Call| id.is_empty() || call.id.is_empty() || call.id == id;
    if key.is_some() {
        let mut found = calls().filter(|(_, call)| call.key == key);
        return found
            .next()
            .filter(|(_, call)| same_id(call))
            .map(|(number, _)| number);
    }
    if !id.is_empty() {
        let mut found = calls().filter(|(_, call)| call.id == id);
        return found.next().map(|(number, _)| number);
    }
    let (number, last) = calls().next()?;
    let begins = !name.is_empty() && (at > 0 || is_complete(&last.arguments));
    (!begins && !last.closed).then_some(number)
}

/// Pieces of sound are encoded one by one; their texts go on.
pub(crate) fn add_sound(sound: &mut Map<String, Value>, piece: &Map<String, Value>) {
    for (name, value) in piece {
        match (sound.get_mut(name), value) {
            (Some(Value::String(text)), Value::String(more)) if name == "transcript" => {
                text.push_str(more);
            }
            (Some(Value::Array(pieces)), Value::String(_)) if name == "data" => {
                pieces.push(value.clone());
            }
            (None, Value::String(_)) if name == "data" => {
                sound.insert(name.clone(), vec![value.clone()].into());
            }
            _ => {
                sound.insert(name.clone(), value.clone());
            }
        }
    }
}

pub(crate) fn finished_sound(mut sound: Map<String, Value>) -> Value {
    if let Some(Value::Array(pieces)) = sound.get_mut("data").map(Value::take) {
        let texts = pieces.iter().filter_map(Value::as_str);
        sound.insert("data".to_owned(), parts::joined(texts).into());
    }
    sound.into()
}
