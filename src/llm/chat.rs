//! What somebody asks of a model, whichever dialect it was asked in.
//!
//! The form holds what at least two dialects can say. What only one can say is kept in `rest`, or as an
//! opaque part or tool with the dialect it belongs to; written in that dialect it comes out as it went in,
//! and for any other it is named in [`Encoded::dropped`](crate::llm::dialect::Encoded) or refused.

use std::fmt;

use serde_json::{Map, Value};

use crate::llm::dialect::Dialect;

/// One request for one answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatRequest {
    /// As the caller named it.
    pub model: String,
    /// Instructions before the first turn.
    pub system: Vec<Part>,
    pub turns: Vec<Turn>,
    pub tools: Vec<Tool>,
    pub tool_choice: Option<ToolChoice>,
    /// The tools that may be called, where that is not all of them.
    pub allowed: Option<Vec<Allowed>>,
    /// The caller calls its tools functions, as OpenAI's chat did before it had tools, and is to be answered so.
    pub functions: bool,
    /// Whether several tools may be called in one answer; `None`: as the model does by default.
    pub parallel_tool_calls: Option<bool>,
    pub format: Option<Format>,
    pub sampling: Sampling,
    pub reasoning: Option<Reasoning>,
    pub stream: bool,
    /// The caller of a stream wants usage in it (`stream_options.include_usage`); dialects that always
    /// send it set this.
    pub stream_usage: bool,
    /// Whom the request is for, as the caller tells them apart.
    pub user: Option<String>,
    /// Requests with the same key share a prompt cache (`prompt_cache_key`).
    pub cache_key: Option<String>,
    /// Top-level fields of the dialect it came in that no field above holds.
    pub rest: Rest,
}

/// What only the caller's own dialect knows.
#[derive(Clone, Default, PartialEq)]
pub struct Rest {
    pub dialect: Option<Dialect>,
    pub fields: Map<String, Value>,
    pub places: Places,
}

/// Where a caller said what became turns, so that what is wrong is told by its place there: the number of the message or
/// the item, of each turn and then of each of its parts. Requests that say the same are equal wherever they say it.
#[derive(Clone, Debug, Default)]
pub struct Places(Vec<Vec<usize>>);

/// What one side said, without a break.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    pub role: Role,
    pub parts: Vec<Part>,
    /// `name` of a participant (OpenAI).
    pub name: Option<String>,
}

/// Who said it. Results of tools are parts of a user's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    User,
    Assistant,
    /// Instructions in the middle of a conversation (`system` and `developer` of OpenAI).
    System,
}

/// A piece of what was said.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    Text(Text),
    Image(Image),
    Audio(Audio),
    Document(Document),
    /// What a model thought. It goes back as it came, or not at all.
    Thought(Thought),
    ToolCall(ToolCall),
    ToolResult(ToolResult),
    /// Why a model did not answer, in its words.
    Refusal(String),
    /// A part that only one dialect has (tools run by a provider, references to its stored items).
    Opaque(Opaque),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Text {
    pub text: String,
    pub citations: Vec<Citation>,
    /// The prompt up to here is worth caching (`cache_control`).
    pub cache: Option<CacheMark>,
}

/// How long a marked prompt is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheMark {
    FiveMinutes,
    OneHour,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    pub source: Source,
    /// `low`, `high`, `auto` or whatever else the caller said.
    pub detail: Option<String>,
    pub cache: Option<CacheMark>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Audio {
    pub source: Source,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    pub source: Source,
    /// File name or title.
    pub name: Option<String>,
    /// What the document is about, said beside it (Anthropic `context`).
    pub context: Option<String>,
    /// The answer is to cite it.
    pub citations: bool,
    pub cache: Option<CacheMark>,
}

/// Where the bytes of something are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `http`, `https` or a provider's own scheme (`gs:`). Never `data:`; that is [`Source::Inline`].
    Url {
        url: String,
        media_type: Option<String>,
    },
    /// Base64, standard alphabet.
    Inline { media_type: String, data: String },
    /// Plain text, for documents.
    Plain(String),
    /// A file that was uploaded to a provider; means nothing to another.
    File { dialect: Dialect, id: String },
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thought {
    /// Empty where only the signature, or something sealed, was given.
    pub text: String,
    /// The text is the provider's summary, not what was thought.
    pub summary: bool,
    /// Proves to who made it that it is unchanged.
    pub signature: Option<Signature>,
    /// A thought nobody but its maker can read (Anthropic `redacted_thinking`, OpenAI
    /// `encrypted_content`).
    pub sealed: Option<Signature>,
    /// The id of the item it came in (OpenAI Responses).
    pub id: Option<String>,
}

/// Bytes that mean something to their maker only. Passed back exactly, to the same maker only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    pub dialect: Dialect,
    pub value: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    pub id: String,
    pub name: String,
    /// JSON text as the model wrote it; `{}` where there is nothing. May be cut where the model was.
    pub arguments: String,
    /// Of the thought that led to it (Gemini `thoughtSignature`).
    pub signature: Option<Signature>,
    /// Free text instead of JSON (`custom` tools of OpenAI): `arguments` is that text.
    pub custom: bool,
    pub cache: Option<CacheMark>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult {
    /// Of the call.
    pub id: String,
    /// Of the tool, where the dialect says it (Gemini). Others look it up in the turns.
    pub name: Option<String>,
    pub parts: Vec<Part>,
    pub is_error: bool,
    pub cache: Option<CacheMark>,
}

/// What a text is based on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Citation {
    pub url: Option<String>,
    pub title: Option<String>,
    /// What is quoted.
    pub quote: Option<String>,
    /// The part of the text it supports, in characters: from, until.
    pub span: Option<(u64, u64)>,
    /// As its dialect says it.
    pub whole: Option<(Dialect, Value)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Opaque {
    pub dialect: Dialect,
    /// `type` of it, for messages.
    pub kind: String,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Tool {
    Function(Function),
    /// Run by a provider, or of a kind that only one dialect has.
    Opaque(Opaque),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    pub name: String,
    pub description: Option<String>,
    /// JSON Schema of an object; `None` where the caller gave none.
    pub parameters: Option<Value>,
    pub strict: Option<bool>,
    pub cache: Option<CacheMark>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    Auto,
    None,
    /// Some tool has to be called.
    Required,
    Named(String),
}

/// A tool that may be called: by its name, or by its kind where it has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// What the name is one of (OpenAI Responses).
    pub namespace: Option<String>,
    pub name: String,
}

/// What the text of the answer has to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    /// Any JSON object.
    Json,
    Schema {
        name: Option<String>,
        description: Option<String>,
        schema: Value,
        strict: Option<bool>,
    },
}

/// How words are chosen, and how many.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling {
    pub max_output_tokens: Option<u64>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<u64>,
    pub frequency_penalty: Option<f64>,
    pub presence_penalty: Option<f64>,
    pub seed: Option<i64>,
    pub stop: Vec<String>,
    /// Answers to the same question; more than one cannot be said in the neutral form.
    pub candidates: Option<u64>,
    /// Log-probabilities of the tokens of the answer.
    pub logprobs: bool,
    /// Of how many likeliest tokens at each place.
    pub top_logprobs: Option<u64>,
}

/// How much a model is to think before it answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reasoning {
    /// `none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`.
    pub effort: Option<String>,
    pub budget_tokens: Option<u64>,
    /// Whether the answer is to show it, or a summary of it; `None`: as the model does by default.
    pub shown: Option<bool>,
}

#[expect(
    clippy::missing_fields_in_debug,
    reason = "where something was said is no part of it"
)]
impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rest")
            .field("dialect", &self.dialect)
            .field("fields", &self.fields)
            .finish()
    }
}

impl PartialEq for Places {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Places {
    /// What was read since the last time was said at this number.
    pub fn note(&mut self, turns: &[Turn], at: usize) {
        let known = self.0.len().saturating_sub(1);
        self.0.resize_with(turns.len(), Vec::new);
        for (places, turn) in self.0.iter_mut().zip(turns).skip(known) {
            places.resize(turn.parts.len() + 1, at);
        }
    }

    /// The number of the message or item that a turn, or a part of it, was said in.
    pub fn of(&self, turn: usize, part: Option<usize>) -> Option<usize> {
        let place = part.map_or(0, |part| part + 1);
        self.0.get(turn)?.get(place).copied()
    }
}

impl Part {
    /// Plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(Text {
            text: text.into(),
            ..Text::default()
        })
    }
}

impl Signature {
    /// Whether Claude made it: Anthropic signs alike wherever it serves its models, and of those of Bedrock no other signs
    /// (<https://platform.claude.com/docs/en/build-with-claude/extended-thinking>).
    pub fn is_of_claude(&self) -> bool {
        matches!(self.dialect, Dialect::Anthropic | Dialect::Bedrock)
    }
}

impl Turn {
    pub fn new(role: Role, parts: Vec<Part>) -> Self {
        Self {
            role,
            parts,
            name: None,
        }
    }
}

impl Allowed {
    /// A tool that is in no namespace.
    pub fn named(name: String) -> Self {
        let namespace = None;
        Self { namespace, name }
    }
}

impl ChatRequest {
    /// Whether the caller itself wants no more than one call in an answer: one that calls its tools functions gets no more,
    /// and does not say so.
    pub fn asks_for_one_call(&self) -> bool {
        self.parallel_tool_calls == Some(false) && !self.functions
    }

    /// The name of the tool whose call has this id, for dialects that repeat it beside the result.
    pub fn called(&self, id: &str) -> Option<&str> {
        let parts = self.turns.iter().rev().flat_map(|turn| &turn.parts);
        parts.into_iter().find_map(|part| match part {
            Part::ToolCall(call) if call.id == id => Some(call.name.as_str()),
            _ => None,
        })
    }
}
