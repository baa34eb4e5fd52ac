//! Signatures of thoughts on their way through an Anthropic caller and back.
//!
//! The caller keeps `thinking` blocks and sends them back as they are, whoever made them. So what another dialect
//! has of a thought goes into the signature, and reading the block takes it out again:
//!
//! | signature | means |
//! |---|---|
//! | `causeway:gemini:VALUE` | a thought that Gemini signed with VALUE |
//! | `causeway+BASE64` | one with more: what is sealed, an id, that it is a summary |
//! | `causeway:unsigned` | one that nobody signed |
//! | `causeway-call:gemini:VALUE` | the signature of the tool call in the next block |

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::llm::chat::{Signature, Thought};
use crate::llm::dialect::Dialect;

const PLAIN: &str = "causeway:";
const RICH: &str = "causeway+";
const CALL: &str = "causeway-call:";
const UNSIGNED: &str = "causeway:unsigned";

/// How a block says a thought.
pub(crate) enum Sealed {
    /// `redacted_thinking` with this `data`.
    Redacted(String),
    /// `thinking` with this `signature`.
    Signed(String),
}

/// For a caller: what the thought is signed with.
pub(crate) fn close(thought: &Thought) -> Sealed {
    match (&thought.signature, &thought.sealed) {
        (Some(signature), None) if is_own(signature) => Sealed::Signed(signature.value.clone()),
        (None, Some(sealed)) if is_own(sealed) && thought.text.is_empty() => {
            Sealed::Redacted(sealed.value.clone())
        }
        (signature, None) if !thought.summary && thought.id.is_none() => {
            Sealed::Signed(signature.as_ref().map_or_else(
                || UNSIGNED.to_owned(),
                |signature| format!("{PLAIN}{}", tagged(signature)),
            ))
        }
        _ => Sealed::Signed(rich(thought)),
    }
}

/// Whether there is nothing to show and nothing to pass back.
pub(crate) fn is_nothing(thought: &Thought) -> bool {
    *thought
        == Thought {
            summary: thought.summary,
            ..Thought::default()
        }
}

/// Of a caller or a provider: the thought in a `thinking` block.
pub(crate) fn open(text: String, signature: &str) -> Thought {
    let mut thought = Thought {
        text,
        ..Thought::default()
    };
    if let Some(rich) = signature.strip_prefix(RICH) {
        open_rich(&mut thought, rich);
    } else if let Some(plain) = signature.strip_prefix(PLAIN) {
        thought.signature = untagged(plain);
    } else if !signature.is_empty() {
        thought.signature = Some(own(signature));
    }
    thought
}

/// The signature of a call as that of the `thinking` block before it.
pub(crate) fn close_call(signature: &Signature) -> String {
    format!("{CALL}{}", tagged(signature))
}

/// The signature of the call in the next block, where that is all a `thinking` block is for.
pub(crate) fn open_call(signature: &str) -> Option<Signature> {
    untagged(signature.strip_prefix(CALL)?)
}

pub(crate) fn own(value: impl Into<String>) -> Signature {
    Signature {
        dialect: Dialect::Anthropic,
        value: value.into(),
    }
}

pub(crate) fn is_own(signature: &Signature) -> bool {
    signature.is_of_claude()
}

/// Whether a thought may go back to Anthropic.
pub(crate) fn is_of_anthropic(thought: &Thought) -> bool {
    let mut proofs = thought.signature.iter().chain(&thought.sealed);
    proofs.any(is_own)
}

/// `gemini:VALUE`.
fn tagged(signature: &Signature) -> String {
    let dialect = json!(signature.dialect);
    format!(
        "{}:{}",
        dialect.as_str().unwrap_or_default(),
        signature.value
    )
}

fn untagged(text: &str) -> Option<Signature> {
    let (dialect, value) = text.split_once(':')?;
    Some(Signature {
        dialect: serde_json::from_value(Value::from(dialect)).ok()?,
        value: value.to_owned(),
    })
}

fn rich(thought: &Thought) -> String {
    let all = json!({
        "signature": thought.signature.as_ref().map(tagged),
        "sealed": thought.sealed.as_ref().map(tagged),
        "id": thought.id,
        "summary": thought.summary,
    });
    format!("{RICH}{}", URL_SAFE_NO_PAD.encode(all.to_string()))
}

/// What cannot be read makes an unsigned thought, which goes no further.
fn open_rich(thought: &mut Thought, rich: &str) {
    let bytes = URL_SAFE_NO_PAD.decode(rich).unwrap_or_default();
    let all: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let text = |name: &str| all.get(name).and_then(Value::as_str);
    thought.signature = text("signature").and_then(untagged);
    thought.sealed = text("sealed").and_then(untagged);
    thought.id = text("id").map(ToOwned::to_owned);
    thought.summary = all.get("summary").and_then(Value::as_bool) == Some(true);
}
