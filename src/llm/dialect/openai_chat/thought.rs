//! What a model thought, in the fields that carry it, and what proves it.
//!
//! A signature of this dialect goes out as it came in. `reasoning_details` of OpenRouter
//! (<https://openrouter.ai/docs/use-cases/reasoning-tokens>) say beside it which `format` it has, which is part of
//! the signature here: `FORMAT|VALUE`. A signature of another dialect is written for callers only, as
//! `causeway:DIALECT:VALUE`, and read back as what it was.

use serde_json::{Map, Value, json};

use crate::llm::chat::{Signature, Thought};
use crate::llm::dialect::Dialect;
use crate::llm::dialect::openai_chat::OWN;

/// The `format` of a signature that Gemini's compatible endpoint gives beside a message
/// (<https://ai.google.dev/gemini-api/docs/thought-signatures>).
const GOOGLE: &str = "extra_content.google";

const WRAPPED: &str = "causeway:";

/// A signature as a text for callers.
pub(crate) fn wrap(signature: &Signature) -> String {
    let Signature { dialect, value } = signature;
    if *dialect == OWN {
        return value.clone();
    }
    format!("{WRAPPED}{}:{value}", slug(*dialect))
}

/// The signature that a text is.
pub(crate) fn unwrap(text: &str) -> Signature {
    let wrapped = text
        .strip_prefix(WRAPPED)
        .and_then(|text| text.split_once(':'));
    let found = wrapped.and_then(|(name, value)| {
        let mut dialects = Dialect::ALL.into_iter();
        let dialect = dialects.find(|dialect| slug(*dialect) == name)?;
        Some((dialect, value))
    });
    let (dialect, value) = found.unwrap_or((OWN, text));
    Signature {
        dialect,
        value: value.to_owned(),
    }
}

fn slug(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenaiChat => "openai-chat",
        Dialect::OpenaiResponses => "openai-responses",
        Dialect::Anthropic => "anthropic",
        Dialect::Gemini => "gemini",
        Dialect::Bedrock => "bedrock",
        Dialect::Cohere => "cohere",
    }
}

/// The signature of a thought, with its format.
fn packed(format: Option<&str>, text: &str) -> Signature {
    let mut signature = unwrap(text);
    if signature.dialect == OWN && (format.is_some() || text.contains('|')) {
        signature.value = format!("{}|{text}", format.unwrap_or_default());
    }
    signature
}

/// Format and text of a thought's signature.
fn unpacked(signature: &Signature) -> (Option<&str>, String) {
    match signature.value.split_once('|') {
        Some((format, value)) if signature.dialect == OWN => {
            ((!format.is_empty()).then_some(format), value.to_owned())
        }
        _ => (None, wrap(signature)),
    }
}

/// One of `reasoning_details`, or a piece of one.
#[derive(Debug, Default)]
pub(crate) struct Detail {
    pub(crate) index: Option<u64>,
    pub(crate) id: Option<String>,
    pub(crate) summary: bool,
    pub(crate) text: String,
    pub(crate) signature: Option<Signature>,
    pub(crate) sealed: Option<Signature>,
}

/// The `reasoning_details` of a message or a delta.
pub(crate) fn details(message: &Map<String, Value>) -> Vec<Detail> {
    let list = message.get("reasoning_details").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(detail).collect()
}

fn detail(value: &Value) -> Option<Detail> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let signed = |name: &str| {
        let said = text(name).filter(|said| !said.is_empty());
        said.map(|said| packed(text("format"), said))
    };
    let mut detail = Detail {
        index: value.get("index").and_then(Value::as_u64),
        id: text("id").map(str::to_owned),
        ..Detail::default()
    };
    match text("type")? {
        "reasoning.text" => {
            text("text")
                .unwrap_or_default()
                .clone_into(&mut detail.text);
            detail.signature = signed("signature");
        }
        "reasoning.summary" => {
            detail.summary = true;
            text("summary")
                .unwrap_or_default()
                .clone_into(&mut detail.text);
            detail.signature = signed("signature");
        }
        "reasoning.encrypted" => detail.sealed = Some(signed("data")?),
        _ => return None,
    }
    Some(detail)
}

/// The text of a thought beside, or instead of, details: `reasoning_content`, or `reasoning`.
pub(crate) fn text(message: &Map<String, Value>) -> Option<&str> {
    let names = ["reasoning_content", "reasoning"].into_iter();
    let mut texts = names.filter_map(|name| message.get(name).and_then(Value::as_str));
    texts.find(|text| !text.is_empty())
}

/// `extra_content.google` of a message, a delta or a call.
pub(crate) fn google(holder: &Map<String, Value>) -> Option<&Map<String, Value>> {
    let extra = holder.get("extra_content")?.get("google")?;
    extra.as_object()
}

/// The signature that `extra_content.google` gives to a message.
pub(crate) fn google_signature(message: &Map<String, Value>) -> Option<Signature> {
    let value = google(message)?.get("thought_signature")?.as_str()?;
    Some(packed(Some(GOOGLE), value))
}

/// Whether more than the text has to be said of a thought.
fn is_detailed(thought: &Thought) -> bool {
    let proof = thought.signature.is_some() || thought.sealed.is_some();
    proof || thought.summary || thought.id.is_some()
}

/// Puts the proofs of thoughts into a message or a delta, and their text with them; says how many details that are.
/// `from` is how many there were before: readers put pieces of the same number together.
pub(crate) fn put_details(
    message: &mut Map<String, Value>,
    thoughts: &[&Thought],
    from: usize,
) -> usize {
    if !thoughts.iter().any(|thought| is_detailed(thought)) {
        return 0;
    }
    let mut list = Vec::new();
    for thought in thoughts {
        let signature = thought.signature.as_ref().map(unpacked);
        if let Some((Some(GOOGLE), value)) = &signature {
            let extra = json!({"google": {"thought_signature": value}});
            message.insert("extra_content".to_owned(), extra);
            continue;
        }
        written(thought, signature, from, &mut list);
    }
    let count = list.len();
    if count > 0 {
        message.insert("reasoning_details".to_owned(), list.into());
    }
    count
}

fn written(
    thought: &Thought,
    signature: Option<(Option<&str>, String)>,
    from: usize,
    list: &mut Vec<Value>,
) {
    let finish = |mut detail: Map<String, Value>, format: Option<&str>, index: usize| {
        if let Some(id) = &thought.id {
            detail.insert("id".to_owned(), id.as_str().into());
        }
        if let Some(format) = format {
            detail.insert("format".to_owned(), format.into());
        }
        detail.insert("index".to_owned(), (from + index).into());
        Value::Object(detail)
    };
    if !thought.text.is_empty() || signature.is_some() || thought.sealed.is_none() {
        let (kind, name) = if thought.summary {
            ("reasoning.summary", "summary")
        } else {
            ("reasoning.text", "text")
        };
        let mut detail = Map::new();
        detail.insert("type".to_owned(), kind.into());
        detail.insert(name.to_owned(), thought.text.as_str().into());
        let (format, value) = signature.unzip();
        if let Some(value) = value {
            detail.insert("signature".to_owned(), value.into());
        }
        list.push(finish(detail, format.flatten(), list.len()));
    }
    if let Some(sealed) = &thought.sealed {
        let (format, value) = unpacked(sealed);
        let mut detail = Map::new();
        detail.insert("type".to_owned(), "reasoning.encrypted".into());
        detail.insert("data".to_owned(), value.into());
        list.push(finish(detail, format, list.len()));
    }
}

/// The thoughts of a whole message.
pub(crate) fn read(message: &Map<String, Value>) -> Vec<Thought> {
    let mut thoughts: Vec<Thought> = Vec::new();
    let details = details(message);
    let told = details.iter().any(|detail| !detail.text.is_empty());
    if let Some(text) = text(message).filter(|_| !told) {
        thoughts.push(Thought {
            text: text.to_owned(),
            ..Thought::default()
        });
    }
    for detail in details {
        match thoughts.last_mut() {
            Some(last) if goes_with(&detail, last.id.as_deref(), last.sealed.is_some()) => {
                last.sealed = detail.sealed;
            }
            _ => thoughts.push(Thought {
                text: detail.text,
                summary: detail.summary,
                signature: detail.signature,
                sealed: detail.sealed,
                id: detail.id,
            }),
        }
    }
    thoughts.extend(google_signature(message).map(|signature| Thought {
        signature: Some(signature),
        ..Thought::default()
    }));
    thoughts
}

/// Whether a sealed detail belongs to the thought before it: both are one item of the maker's.
pub(crate) fn goes_with(detail: &Detail, id: Option<&str>, sealed: bool) -> bool {
    detail.sealed.is_some() && !sealed && id.is_some() && detail.id.as_deref() == id
}
