//! What a model answers: whole, or as the events that build it up.
//!
//! ```text
//! Start (PartStart (Delta)* PartStop)* Usage* Stop
//! ```
//!
//! Parts are numbered from 0 in the order in which they start, and several may be open at once: dialects differ in
//! whether deltas of two tool calls may alternate. A decoder closes a part as soon as nothing can follow in it
//! ([`is_complete`]), so that an encoder of one part at a time has to hold back as little as possible.
//! `Usage` counts from the beginning each time; the last one is right. A `Fault` may come in place of the rest.

use serde_json::Value;

use crate::llm::chat::{Citation, Opaque, Part, Signature, Text, Thought, ToolCall};
use crate::llm::fault::Fault;
use crate::llm::usage::Usage;

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The provider's; empty where it gave none.
    pub id: String,
    /// As the provider names it.
    pub model: String,
    /// Seconds since 1970, where the provider said it.
    pub created: Option<i64>,
    /// `Text`, `Thought`, `ToolCall`, `Refusal`, `Audio`, `Image`, `Opaque`.
    pub parts: Vec<Part>,
    pub stop: Option<Stop>,
    pub usage: Option<Usage>,
    /// Of the tokens of the text, where they were asked for.
    pub logprobs: Vec<TokenLogprob>,
}

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The model was done.
    End,
    /// At `max_output_tokens`.
    Length,
    /// At a text of `stop`, which is named where the provider says it.
    Sequence(Option<String>),
    ToolCalls,
    /// A provider's filter cut it.
    ContentFilter,
    /// The model did not want to.
    Refusal,
    /// The provider interrupts a long turn, and wants it sent back to go on (Anthropic `pause_turn`).
    Pause,
    /// The context of the model is full.
    ContextFull,
    /// In the provider's words.
    Other(String),
}

/// How likely a token was.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogprob {
    pub token: String,
    pub logprob: f64,
    pub bytes: Option<Vec<u8>>,
    /// The likeliest at its place, without theirs.
    pub top: Vec<TokenLogprob>,
}

/// The next piece of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum ChatEvent {
    Start {
        id: String,
        model: String,
        created: Option<i64>,
    },
    PartStart {
        index: usize,
        part: PartStart,
    },
    Delta {
        index: usize,
        delta: Delta,
    },
    PartStop {
        index: usize,
    },
    Usage(Usage),
    Stop(Stop),
    /// The answer broke off.
    Fault(Fault),
}

/// What kind of part begins; its content follows as deltas.
#[derive(Clone, Debug, PartialEq)]
pub enum PartStart {
    Text,
    Refusal,
    Thought {
        summary: bool,
        id: Option<String>,
    },
    ToolCall {
        id: String,
        name: String,
        custom: bool,
    },
    /// A part that comes in one piece.
    Whole(Box<Part>),
}

/// More of a part.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// Of `Text`, `Refusal` or `Thought`.
    Text(String),
    Logprobs(Vec<TokenLogprob>),
    Citation(Citation),
    /// Of a `Thought` or a `ToolCall`.
    Signature(Signature),
    /// Of a `Thought`.
    Sealed(Signature),
    /// Of a `ToolCall`: text that goes on.
    Arguments(String),
}

/// Whether nothing can follow these arguments of a call: they are a whole JSON object.
pub fn is_complete(arguments: &str) -> bool {
    let text = arguments.trim();
    text.starts_with('{') && text.ends_with('}') && serde_json::from_str::<Object>(text).is_ok()
}

/// Reads an object and keeps nothing of it.
struct Object;

impl<'de> serde::Deserialize<'de> for Object {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(serde::de::IgnoredAny)?;
        Ok(Self)
    }
}

/// Arguments as JSON text: what a model leaves out is an empty object.
pub fn arguments_text(arguments: &str) -> &str {
    if arguments.trim().is_empty() {
        "{}"
    } else {
        arguments
    }
}

/// Arguments as a value, for dialects that carry them so.
///
/// # Errors
/// Where the model was cut, or wrote no JSON object.
pub fn arguments_value(arguments: &str) -> Result<Value, serde_json::Error> {
    let text = arguments_text(arguments);
    serde_json::from_str::<serde_json::Map<String, Value>>(text).map(Value::Object)
}

impl Answer {
    /// The events that build this answer up.
    pub fn events(&self) -> Vec<ChatEvent> {
        let mut events = vec![ChatEvent::Start {
            id: self.id.clone(),
            model: self.model.clone(),
            created: self.created,
        }];
        let first_text = self
            .parts
            .iter()
            .position(|part| matches!(part, Part::Text(_) | Part::Refusal(_)));
        for (index, part) in self.parts.iter().enumerate() {
            let (start, mut deltas) = taken_apart(part);
            if Some(index) == first_text && !self.logprobs.is_empty() {
                deltas.push(Delta::Logprobs(self.logprobs.clone()));
            }
            events.push(ChatEvent::PartStart { index, part: start });
            let deltas = deltas.into_iter();
            events.extend(deltas.map(|delta| ChatEvent::Delta { index, delta }));
            events.push(ChatEvent::PartStop { index });
        }
        events.extend(self.usage.map(ChatEvent::Usage));
        events.extend(self.stop.clone().map(ChatEvent::Stop));
        events
    }
}

/// A part as its beginning and what follows.
fn taken_apart(part: &Part) -> (PartStart, Vec<Delta>) {
    let mut deltas = Vec::new();
    let text = |text: &String| (!text.is_empty()).then(|| Delta::Text(text.clone()));
    let start = match part {
        Part::Text(part) => {
            deltas.extend(text(&part.text));
            deltas.extend(part.citations.iter().cloned().map(Delta::Citation));
            PartStart::Text
        }
        Part::Refusal(refusal) => {
            deltas.extend(text(refusal));
            PartStart::Refusal
        }
        Part::Thought(thought) => {
            deltas.extend(text(&thought.text));
            deltas.extend(thought.signature.clone().map(Delta::Signature));
            deltas.extend(thought.sealed.clone().map(Delta::Sealed));
            PartStart::Thought {
                summary: thought.summary,
                id: thought.id.clone(),
            }
        }
        Part::ToolCall(call) => {
            deltas.extend(call.signature.clone().map(Delta::Signature));
            deltas.push(Delta::Arguments(call.arguments.clone()));
            PartStart::ToolCall {
                id: call.id.clone(),
                name: call.name.clone(),
                custom: call.custom,
            }
        }
        other => PartStart::Whole(Box::new(other.clone())),
    };
    (start, deltas)
}

/// Puts an answer together from its events.
#[derive(Clone, Debug, Default)]
pub struct Collector {
    answer: Answer,
}

impl Collector {
    /// Takes the next event in.
    ///
    /// # Errors
    /// The fault that came instead of the rest.
    pub fn push(&mut self, event: ChatEvent) -> Result<(), Fault> {
        match event {
            ChatEvent::Start { id, model, created } => {
                (self.answer.id, self.answer.model) = (id, model);
                self.answer.created = created;
            }
            ChatEvent::PartStart { index, part } => {
                if index == self.answer.parts.len() {
                    self.answer.parts.push(begun(part));
                }
            }
            ChatEvent::Delta { index, delta } => self.add(index, delta),
            ChatEvent::PartStop { .. } => {}
            ChatEvent::Usage(usage) => self.answer.usage = Some(usage),
            ChatEvent::Stop(stop) => self.answer.stop = Some(stop),
            ChatEvent::Fault(fault) => return Err(fault),
        }
        Ok(())
    }

    /// What there is so far.
    pub fn finish(self) -> Answer {
        self.answer
    }

    fn add(&mut self, index: usize, delta: Delta) {
        let Some(part) = self.answer.parts.get_mut(index) else {
            return;
        };
        match (part, delta) {
            (_, Delta::Logprobs(more)) => self.answer.logprobs.extend(more),
            (Part::Text(part), Delta::Text(text)) => part.text.push_str(&text),
            (Part::Text(part), Delta::Citation(citation)) => part.citations.push(citation),
            (Part::Refusal(part), Delta::Text(text)) => part.push_str(&text),
            (Part::Thought(part), Delta::Text(text)) => part.text.push_str(&text),
            (Part::Thought(part), Delta::Signature(more)) => add_to(&mut part.signature, more),
            (Part::Thought(part), Delta::Sealed(more)) => add_to(&mut part.sealed, more),
            (Part::ToolCall(part), Delta::Arguments(text)) => part.arguments.push_str(&text),
            (Part::ToolCall(part), Delta::Signature(more)) => add_to(&mut part.signature, more),
            _ => {}
        }
    }
}

/// A signature may come in pieces too.
fn add_to(signature: &mut Option<Signature>, more: Signature) {
    match signature {
        Some(signature) => signature.value.push_str(&more.value),
        None => *signature = Some(more),
    }
}

fn begun(part: PartStart) -> Part {
    match part {
        PartStart::Text => Part::Text(Text::default()),
        PartStart::Refusal => Part::Refusal(String::new()),
        PartStart::Thought { summary, id } => Part::Thought(Thought {
            summary,
            id,
            ..Thought::default()
        }),
        PartStart::ToolCall { id, name, custom } => Part::ToolCall(ToolCall {
            id,
            name,
            arguments: String::new(),
            signature: None,
            custom,
            cache: None,
        }),
        PartStart::Whole(part) => *part,
    }
}

impl From<Opaque> for PartStart {
    fn from(part: Opaque) -> Self {
        Self::Whole(Box::new(Part::Opaque(part)))
    }
}
