//! Signatures of thoughts (<https://ai.google.dev/gemini-api/docs/thought-signatures>): Gemini's own as they are, and
//! what other dialects seal in a form that callers of this one carry through.

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};

use crate::llm::chat::{Part, Signature, Thought};
use crate::llm::dialect::Dialect;

/// What Google documents for calls that another model made.
pub(crate) const NONE_NEEDED: &str = "skip_thought_signature_validator";

/// Before a value of another dialect. It is base64 as a whole, for the official SDKs read and write bytes.
const MARK: &str = "causeway:";

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const PLAIN: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
const URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

/// What `thoughtSignature` holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Held {
    pub(crate) signature: Option<Signature>,
    pub(crate) sealed: Option<Signature>,
    pub(crate) id: Option<String>,
    /// Its text is its maker's summary. Gemini's own always is.
    pub(crate) summary: bool,
    /// Of a call: what was thought before it.
    pub(crate) before: Vec<Thought>,
}

/// The same, on its way through a caller.
#[derive(Serialize, Deserialize)]
struct Wrapped {
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<(Dialect, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed: Option<(Dialect, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    summary: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    text: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    before: Vec<Wrapped>,
}

impl Held {
    /// Reads a `thoughtSignature`.
    pub(crate) fn read(value: String) -> Self {
        let Some(wrapped) = unwrapped(&value) else {
            return Self {
                signature: Some(Signature {
                    dialect: Dialect::Gemini,
                    value,
                }),
                ..Self::default()
            };
        };
        Self {
            before: wrapped.before.into_iter().map(Wrapped::thought).collect(),
            signature: wrapped.signature.map(signature),
            sealed: wrapped.sealed.map(signature),
            id: wrapped.id,
            summary: wrapped.summary,
        }
    }

    /// Whether it is something that passes through Gemini's callers only.
    pub(crate) fn is_foreign(&self) -> bool {
        !matches!(
            &self.signature,
            Some(Signature {
                dialect: Dialect::Gemini,
                ..
            })
        )
    }

    /// Writes a `thoughtSignature` for a caller; `None` where there is nothing to carry.
    pub(crate) fn write(self) -> Option<String> {
        if self.sealed.is_none() && self.id.is_none() && self.before.is_empty() {
            match self.signature {
                None => return None,
                Some(signature) if signature.dialect == Dialect::Gemini => {
                    return Some(signature.value);
                }
                Some(_) => {}
            }
        }
        let wrapped = Wrapped {
            signature: self.signature.map(pair),
            sealed: self.sealed.map(pair),
            id: self.id,
            summary: self.summary,
            text: String::new(),
            before: self.before.into_iter().map(Wrapped::of).collect(),
        };
        let text = serde_json::to_string(&wrapped).ok()?;
        Some(PLAIN.encode(format!("{MARK}{text}")))
    }
}

impl Wrapped {
    fn of(thought: Thought) -> Self {
        Self {
            signature: thought.signature.map(pair),
            sealed: thought.sealed.map(pair),
            id: thought.id,
            summary: thought.summary,
            text: thought.text,
            before: Vec::new(),
        }
    }

    fn thought(self) -> Thought {
        Thought {
            text: self.text,
            summary: self.summary,
            signature: self.signature.map(signature),
            sealed: self.sealed.map(signature),
            id: self.id,
        }
    }
}

fn pair(signature: Signature) -> (Dialect, String) {
    (signature.dialect, signature.value)
}

fn signature((dialect, value): (Dialect, String)) -> Signature {
    Signature { dialect, value }
}

fn unwrapped(value: &str) -> Option<Wrapped> {
    let bytes = PLAIN.decode(value).or_else(|_| URL.decode(value)).ok()?;
    let text = std::str::from_utf8(&bytes).ok()?;
    serde_json::from_str(text.strip_prefix(MARK)?).ok()
}

/// A signature that belongs to the part after it.
pub(crate) fn marker(signature: Signature) -> Part {
    Part::Thought(Thought {
        signature: Some(signature),
        ..Thought::default()
    })
}

/// The signature, where the thought is a [`marker`].
pub(crate) fn of_marker(thought: &Thought) -> Option<&str> {
    of_empty(thought).filter(|_| !thought.summary)
}

/// The same, where it went through another dialect, which may call all thoughts summaries.
pub(crate) fn of_empty(thought: &Thought) -> Option<&str> {
    let bare = thought.text.is_empty() && thought.sealed.is_none();
    own(thought.signature.as_ref()).filter(|_| bare)
}

/// A signature of Gemini's.
pub(crate) fn own(signature: Option<&Signature>) -> Option<&str> {
    signature
        .filter(|signature| signature.dialect == Dialect::Gemini)
        .map(|signature| signature.value.as_str())
}

/// Whether a marker before this part belongs to it: thoughts and calls have signatures of their own.
pub(crate) fn takes_marker(part: &Part) -> bool {
    !matches!(part, Part::Thought(_) | Part::ToolCall(_))
}
