//! The wire protocols of chat, each a pure codec: a request, an answer, a stream and an error, read and written.
//!
//! Every dialect's module has the same functions, which this one chooses among:
//!
//! | function | from | to |
//! |---|---|---|
//! | `decode_request` | a caller's body | [`ChatRequest`] |
//! | `encode_request` | [`ChatRequest`] | a provider's body, and what it could not say |
//! | `decode_answer` | a provider's body | [`Answer`] |
//! | `encode_answer` | [`Answer`] | a caller's body, and what it could not say |
//! | `StreamDecoder` | events of a provider's stream | [`ChatEvent`]s |
//! | `StreamEncoder` | [`ChatEvent`]s | bytes of a caller's stream |
//! | `decode_error` | a provider's status and body | [`Fault`] |
//! | `encode_error` | [`Fault`] | a status and body for a caller |

pub mod anthropic;
pub mod bedrock;
pub(crate) mod bounds;
pub mod cohere;
pub mod gemini;
pub mod openai_chat;
pub mod openai_responses;
pub(crate) mod own_tools;
pub(crate) mod spelling;
pub(crate) mod usual;

pub use own_tools::OwnTools;

use serde::{Deserialize, Serialize};
use serde_json::Value;

#[expect(unused_imports, reason = "named by the table above")]
use crate::llm::answer::{Answer, ChatEvent};
use crate::llm::chat::ChatRequest;
use crate::llm::fault::Fault;
use crate::types;

/// A wire protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// `POST /v1/chat/completions` of OpenAI, and of most others.
    OpenaiChat,
    /// `POST /v1/responses` of OpenAI.
    OpenaiResponses,
    /// `POST /v1/messages` of Anthropic.
    Anthropic,
    /// `:generateContent` of Gemini and Vertex AI.
    Gemini,
    /// `Converse` of Amazon Bedrock.
    Bedrock,
    /// `POST /v2/chat` of Cohere.
    Cohere,
}

/// What an encoder has to know of the model it writes for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetModel {
    /// As the provider names it.
    pub name: String,
    /// What it can write at most; for dialects that want a number where the caller gave none.
    pub max_output_tokens: Option<u64>,
}

/// A request in a provider's dialect, or an answer in a caller's.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoded {
    pub body: Value,
    /// What the dialect cannot say, and the answer can do without.
    pub dropped: Vec<Dropped>,
}

/// Something that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The field as the neutral form names it (`sampling.seed`), or as the caller did (`rest` fields, and all that
    /// OpenAI's callers sent).
    pub field: String,
    pub reason: String,
}

/// What an answer is written with that the provider does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The model as the caller named it.
    pub model: String,
    /// Where the provider gave no id: what it is made of (a request id of ours, hexadecimal).
    pub request_id: String,
    /// Seconds since 1970, where the provider did not say it.
    pub now: i64,
    /// Whether a stream ends with what it used, in dialects where that is a choice.
    pub stream_usage: bool,
    /// Tools of the caller's that were told as others.
    pub tools: OwnTools,
}

/// An error in a dialect's words.
#[derive(Clone, Debug, PartialEq)]
pub struct EncodedError {
    pub status: u16,
    pub body: Value,
}

impl Told {
    /// Names a call of a tool that its provider gave no name of its own (Gemini): as no other in the conversation is,
    /// and the same where the same is answered again.
    pub(crate) fn name_call(&self, id: &mut String) {
        let answer = || format!("{} {}", self.request_id, self.tools.said());
        if let Some(named) = gemini::calls::named(id, &answer()) {
            *id = named;
        }
    }
}

impl Dropped {
    pub fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            reason: reason.into(),
        }
    }
}

impl Dialect {
    pub const ALL: [Self; 6] = [
        Self::OpenaiChat,
        Self::OpenaiResponses,
        Self::Anthropic,
        Self::Gemini,
        Self::Bedrock,
        Self::Cohere,
    ];

    /// For messages and documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenaiChat => "OpenAI Chat Completions",
            Self::OpenaiResponses => "OpenAI Responses",
            Self::Anthropic => "Anthropic Messages",
            Self::Gemini => "Gemini generateContent",
            Self::Bedrock => "Bedrock Converse",
            Self::Cohere => "Cohere Chat v2",
        }
    }

    /// A request that this dialect cannot say.
    pub(crate) fn cannot(self, field: impl Into<String>, what: &str) -> Fault {
        Fault::invalid(
            field,
            format!(
                "{what} cannot be said in {}, which the model's provider speaks",
                self.name()
            ),
        )
    }
}

/// The most that OpenAI takes as `user`.
const USER_LENGTH_MAX: usize = 64;

/// Whom a request is for, as OpenAI's dialects take it: what another dialect says may be too long.
pub(crate) fn user(
    request: &ChatRequest,
    target: Dialect,
    dropped: &mut Vec<Dropped>,
) -> Option<String> {
    let user = request.user.clone()?;
    if request.rest.dialect == Some(target) || user.chars().count() <= USER_LENGTH_MAX {
        return Some(user);
    }
    let reason = format!("{} takes {USER_LENGTH_MAX} characters", target.name());
    dropped.push(Dropped::new("user", reason));
    None
}

/// What a file is called where OpenAI is told of it, which takes a name without an ending for none of its types.
pub(crate) fn filename(said: Option<&str>, media_type: &str) -> String {
    let name = said.unwrap_or("document");
    let Some(ending) = ending(&types::essence(media_type)) else {
        return name.to_owned();
    };
    let (_, found) = name.rsplit_once('.').unwrap_or_default();
    let is_ending = |found: &str| {
        let letters = found.chars().any(|sign| sign.is_ascii_alphabetic());
        (2..=5).contains(&found.len())
            && letters
            && found.chars().all(|sign| sign.is_ascii_alphanumeric())
    };
    let is_known = match ending {
        "pdf" => found.eq_ignore_ascii_case(ending),
        _ => is_ending(found),
    };
    if is_known {
        return name.to_owned();
    }
    format!("{name}.{ending}")
}

/// How names of files of a type end.
fn ending(media_type: &str) -> Option<&'static str> {
    Some(match media_type {
        "application/pdf" => "pdf",
        "application/json" => "json",
        "application/msword" => "doc",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => "docx",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation" => "pptx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => "xlsx",
        "text/csv" => "csv",
        "text/html" => "html",
        "text/markdown" => "md",
        "text/plain" => "txt",
        _ => return None,
    })
}

/// Names the fields of another dialect that a request brought along, but for those that say nothing; an effort that
/// stands alone is told as one of reasoning.
pub(crate) fn dropped_rest(request: &ChatRequest, target: Dialect) -> Vec<Dropped> {
    let own = request.rest.dialect;
    if own == Some(target) {
        return Vec::new();
    }
    let fields = request.rest.fields.iter();
    let is_effort = anthropic::says_only_effort(request);
    let says = |name: &str, value: &Value| {
        let is_told = is_effort && name == "output_config";
        !is_told && !usual::says_nothing(own, name, value)
    };
    let reason = format!("{} has no such field", target.name());
    fields
        .filter(|(name, value)| says(name, value))
        .flat_map(|(name, value)| named(name, value))
        .map(|name| Dropped::new(name, reason.clone()))
        .collect()
}

/// What of a field is lost: of Gemini's `generationConfig` what no other field of it says already, one by one. That an
/// answer is to be plain text goes without saying.
fn named(name: &str, value: &Value) -> Vec<String> {
    let Some(config) = value.as_object().filter(|_| name == "generationConfig") else {
        return vec![name.to_owned()];
    };
    let says = |(field, value): &(&String, &Value)| {
        !value.is_null()
            && (field.as_str(), value.as_str()) != ("responseMimeType", Some("text/plain"))
    };
    let fields = config.iter().filter(says);
    fields.map(|(field, _)| format!("{name}.{field}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_names_that_tell_their_type() {
        for (said, media_type, name) in [
            (None, "application/pdf", "document.pdf"),
            (Some("My doc"), "application/pdf", "My doc.pdf"),
            (Some("a.PDF"), "application/pdf", "a.PDF"),
            (Some("Report.final"), "application/pdf", "Report.final.pdf"),
            (None, "text/plain; charset=utf-8", "document.txt"),
            (Some("notes.md"), "text/plain", "notes.md"),
            (Some("Version 1.2"), "text/plain", "Version 1.2.txt"),
            (Some("data"), "application/x-unknown", "data"),
        ] {
            assert_eq!(filename(said, media_type), name);
        }
    }
}
