//! `encrypted_content` of reasoning items: OpenAI's own, or what another dialect signed and the caller is to bring back.
//!
//! ```text
//! gAAAAAB...                        OpenAI's own
//! causeway:anthropic:signature:...  of the thought in the item
//! causeway:anthropic:sealed:...     a thought that only its maker can read
//! causeway:gemini:call:...          of the function call after the item
//! causeway:gemini:called:...        of the function call before the item
//! causeway:unsigned                 the thought has no proof; its item is unknown to OpenAI
//! ```
//!
//! Thoughts of others are written as summaries, which clients show and send back, while many leave out `content`.
//! Where the thought was a summary to begin with, the third word ends in `-summary`.

use serde_json::Value;

use crate::llm::chat::Signature;
use crate::llm::dialect::Dialect;

const MARK: &str = "causeway:";
const SUMMARY: &str = "-summary";

/// What a signature is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// The text of the thought.
    Thought,
    /// A thought that is nowhere else.
    Sealed,
    /// The call that comes next.
    NextCall,
    /// The call that came before.
    LastCall,
}

/// What an `encrypted_content` holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// OpenAI's own.
    Own(Signature),
    Wrapped {
        of: Of,
        summary: bool,
        signature: Signature,
    },
    /// Ours, with nothing in it.
    Unsigned { summary: bool },
}

impl Of {
    const ALL: [Self; 4] = [Self::Thought, Self::Sealed, Self::NextCall, Self::LastCall];

    fn name(self) -> &'static str {
        match self {
            Self::Thought => "signature",
            Self::Sealed => "sealed",
            Self::NextCall => "call",
            Self::LastCall => "called",
        }
    }
}

impl Content {
    /// Whether it is not OpenAI's, and if so, whether the thought was a summary.
    pub(crate) fn ours(&self) -> Option<bool> {
        match self {
            Self::Own(_) => None,
            Self::Wrapped { summary, .. } | Self::Unsigned { summary } => Some(*summary),
        }
    }
}

/// The id of an item of OpenAI's; other dialects have ids of their own.
pub(crate) fn own_id(id: Option<&String>) -> Option<String> {
    id.filter(|id| id.starts_with("rs_")).cloned()
}

/// For a thought without any proof, so that it is known again as ours.
pub(crate) fn unsigned(summary: bool) -> String {
    format!("{MARK}unsigned{}", suffix(summary))
}

fn suffix(summary: bool) -> &'static str {
    if summary { SUMMARY } else { "" }
}

/// A signature as `encrypted_content`; OpenAI's own as it is.
pub(crate) fn wrap(of: Of, summary: bool, signature: &Signature) -> String {
    let own = signature.dialect == Dialect::OpenaiResponses;
    if own && matches!(of, Of::Thought | Of::Sealed) {
        return signature.value.clone();
    }
    let name = serde_json::to_value(signature.dialect).unwrap_or_default();
    let dialect = name.as_str().unwrap_or_default();
    let (of, summary) = (of.name(), suffix(summary));
    format!("{MARK}{dialect}:{of}{summary}:{}", signature.value)
}

/// What was wrapped. Whatever bears our mark is never taken for OpenAI's.
pub(crate) fn open(encrypted: String) -> Content {
    let Some(rest) = encrypted.strip_prefix(MARK) else {
        return Content::Own(Signature {
            dialect: Dialect::OpenaiResponses,
            value: encrypted,
        });
    };
    parsed(rest).unwrap_or(Content::Unsigned {
        summary: rest.ends_with(SUMMARY),
    })
}

fn parsed(rest: &str) -> Option<Content> {
    let mut pieces = rest.splitn(3, ':');
    let dialect = Value::String(pieces.next()?.to_owned());
    let kind = pieces.next()?;
    let name = kind.strip_suffix(SUMMARY).unwrap_or(kind);
    let of = Of::ALL.into_iter().find(|of| of.name() == name)?;
    let signature = Signature {
        dialect: serde_json::from_value(dialect).ok()?,
        value: pieces.next()?.to_owned(),
    };
    Some(Content::Wrapped {
        of,
        summary: name != kind,
        signature,
    })
}
