//! Chooses among the codecs of [`dialect`](crate::llm::dialect) by name.

use std::borrow::Cow;

use serde_json::Value;

use crate::events::Event;
use crate::llm::answer::{Answer, ChatEvent, Stop};
use crate::llm::chat::{ChatRequest, Part, Role};
use crate::llm::dialect::openai_chat::{BASE_RESP, of_base_resp};
use crate::llm::dialect::own_tools::SEARCH;
use crate::llm::dialect::{
    Dialect, Dropped, Encoded, EncodedError, TargetModel, Told, anthropic, bedrock, bounds, cohere,
    gemini, openai_chat, openai_responses, own_tools, spelling, usual,
};
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::splice::Top;
use crate::llm::usage::Usage;

/// Dialects that callers speak. The others are spoken to providers only.
const HEARD: [Dialect; 4] = [
    Dialect::OpenaiChat,
    Dialect::OpenaiResponses,
    Dialect::Anthropic,
    Dialect::Gemini,
];

/// How much a model can be asked to think (<https://platform.openai.com/docs/guides/reasoning>).
const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// The same function of every dialect.
macro_rules! every {
    ($dialect:expr, $function:ident($($argument:expr),*)) => {
        match $dialect {
            Dialect::OpenaiChat => openai_chat::$function($($argument),*),
            Dialect::OpenaiResponses => openai_responses::$function($($argument),*),
            Dialect::Anthropic => anthropic::$function($($argument),*),
            Dialect::Gemini => gemini::$function($($argument),*),
            Dialect::Bedrock => bedrock::$function($($argument),*),
            Dialect::Cohere => cohere::$function($($argument),*),
        }
    };
}

impl Dialect {
    /// Dialects that callers speak.
    pub fn heard() -> [Self; 4] {
        HEARD
    }

    /// # Errors
    /// Where the body is not what the dialect says.
    pub fn decode_request(self, body: Value) -> Result<ChatRequest, Fault> {
        match self {
            Self::OpenaiChat => openai_chat::decode_request(body),
            Self::OpenaiResponses => openai_responses::decode_request(body),
            Self::Anthropic => anthropic::decode_request(body),
            Self::Gemini => gemini::decode_request(body),
            Self::Bedrock | Self::Cohere => Err(unheard(self)),
        }
    }

    /// # Errors
    /// Where the dialect cannot say what the answer depends on: by the field that the caller sent.
    pub fn encode_request(
        self,
        request: &ChatRequest,
        model: &TargetModel,
    ) -> Result<Encoded, Fault> {
        let encoded = self.encoded(request, model);
        encoded.map_err(|fault| spelling::told(request, fault))
    }

    fn encoded(self, request: &ChatRequest, model: &TargetModel) -> Result<Encoded, Fault> {
        if self != Self::OpenaiResponses {
            openai_responses::stateless(request)?;
        }
        if self != Self::Gemini {
            gemini::self_contained(request)?;
        }
        gemini::answerable(request, self)?;
        let mut lost = Vec::new();
        let request = anthropic::spelled(request, (self, model), &mut lost);
        foreign(&request, self)?;
        beside_text(&request, self)?;
        known_effort(&request, self)?;
        let mut adapted = own_tools::adapted(&request, self);
        own_tools::served(&adapted.request, self)?;
        bounds::within(&mut adapted.request, model, self, &mut adapted.dropped);
        let mut encoded = every!(self, encode_request(&adapted.request, model))?;
        let dropped = &mut encoded.dropped;
        dropped.extend(adapted.dropped);
        dropped.append(&mut lost);
        dropped.retain(|one| !usual::is_no_loss(&request, one));
        spelling::left_out(&request, dropped);
        Ok(encoded)
    }

    /// # Errors
    /// Where the body is no answer.
    pub fn decode_answer(self, body: Value) -> Result<Answer, Fault> {
        every!(self, decode_answer(body))
    }

    /// What a provider says in a whole answer with a good status that is none (OpenRouter does so).
    pub fn fault_in_answer(self, body: &[u8]) -> Option<Fault> {
        let has = |word: &str| memchr::memmem::find(body, word.as_bytes()).is_some();
        let is_coded = self == Self::OpenaiChat && has(BASE_RESP);
        if !has("\"error\"") && !has("\"failed\"") && !is_coded {
            return None;
        }
        let top = Top::read(body).ok()?;
        if is_coded && let Some(fault) = top.get(BASE_RESP).as_ref().and_then(of_base_resp) {
            return Some(fault);
        }
        let failed = self == Self::OpenaiResponses && top.get("status") == Some("failed");
        if !failed && matches!(top.raw("error"), None | Some("null")) {
            return None;
        }
        self.decode_answer(serde_json::from_slice(body).ok()?).err()
    }

    /// # Errors
    /// Where nobody is answered in that dialect, or the answer is none.
    pub fn encode_answer(self, answer: &Answer, told: &Told) -> Result<Encoded, Fault> {
        let stop = answer.stop.as_ref();
        if let Some(fault) = stop.and_then(|stop| unreadable(stop, self)) {
            return Err(fault);
        }
        let mut answer = Cow::Borrowed(answer);
        name_calls(&mut answer, told);
        Ok(match self {
            Self::OpenaiChat => openai_chat::encode_answer(&answer, told),
            Self::OpenaiResponses => openai_responses::encode_answer(&answer, told),
            Self::Anthropic => anthropic::encode_answer(&answer, told),
            Self::Gemini => gemini::encode_answer(&answer, told),
            Self::Bedrock | Self::Cohere => return Err(unheard(self)),
        })
    }

    /// The field of an answer that names the model.
    pub fn model_field(self) -> &'static str {
        match self {
            Self::Gemini => "modelVersion",
            _ => "model",
        }
    }

    /// The field of a whole answer that says what it used.
    pub fn usage_field(self) -> &'static str {
        match self {
            Self::Gemini => "usageMetadata",
            _ => "usage",
        }
    }

    /// What that field says.
    pub fn decode_usage(self, usage: Value) -> Option<Usage> {
        every!(self, decode_usage(usage))
    }

    /// The same of the field's text.
    pub fn decode_usage_text(self, usage: &str) -> Option<Usage> {
        match self {
            Self::OpenaiChat => openai_chat::decode_usage_text(usage),
            other => other.decode_usage(serde_json::from_str(usage).ok()?),
        }
    }

    /// What a whole answer says it used. The rest of it is read only where it may tell of searches, which some count nowhere.
    pub fn usage_in(self, body: &[u8], top: &Top<'_>) -> Option<Usage> {
        let usage = self.decode_usage_text(top.raw(self.usage_field())?)?;
        let word = match self {
            Self::OpenaiResponses => "\"web_search",
            Self::Gemini => "\"webSearchQueries\"",
            _ => return Some(usage),
        };
        if memchr::memmem::find(body, word.as_bytes()).is_none() {
            return Some(usage);
        }
        let whole = serde_json::from_slice(body).ok();
        let whole = whole.and_then(|body| self.decode_answer(body).ok());
        let searches = whole
            .and_then(|answer| answer.usage)
            .map_or(usage.searches, |usage| usage.searches);
        Some(Usage { searches, ..usage })
    }

    /// What `usage` says in answers that are no chats: OpenAI tells that of pictures and sound in the words of Responses.
    pub(crate) fn usage_of_others(usage: &str) -> Option<Usage> {
        let top = Top::read(usage.as_bytes()).ok()?;
        let dialect = match top.raw("input_tokens") {
            Some(_) => Self::OpenaiResponses,
            None => Self::OpenaiChat,
        };
        dialect.decode_usage_text(usage)
    }

    /// Why a whole answer ended, where it can be read.
    pub fn stop_of(self, body: &[u8]) -> Option<Stop> {
        let body = serde_json::from_slice(body).ok()?;
        self.decode_answer(body).ok()?.stop
    }

    pub fn decode_error(self, status: u16, body: &[u8]) -> Fault {
        every!(self, decode_error(status, body))
    }

    /// In the dialect's words, or OpenAI's where nobody is answered in it.
    pub fn encode_error(self, fault: &Fault) -> EncodedError {
        match self {
            Self::OpenaiChat | Self::Bedrock | Self::Cohere => openai_chat::encode_error(fault),
            Self::OpenaiResponses => openai_responses::encode_error(fault),
            Self::Anthropic => anthropic::encode_error(fault),
            Self::Gemini => gemini::encode_error(fault),
        }
    }
}

/// Names the calls of tools that their provider did not.
fn name_calls(answer: &mut Cow<'_, Answer>, told: &Told) {
    for at in 0..answer.parts.len() {
        let Part::ToolCall(call) = &answer.parts[at] else {
            continue;
        };
        let mut id = call.id.clone();
        told.name_call(&mut id);
        if id != call.id
            && let Part::ToolCall(call) = &mut answer.to_mut().parts[at]
        {
            call.id = id;
        }
    }
}

/// What somebody sent that only another dialect has cannot be left out: the answer would be to another question.
fn foreign(request: &ChatRequest, target: Dialect) -> Result<(), Fault> {
    let turns = request.turns.iter().enumerate();
    for (turn, said) in turns.filter(|(_, said)| said.role == Role::User) {
        for (place, part) in said.parts.iter().enumerate() {
            if let Part::Opaque(part) = part
                && part.dialect != target
            {
                let what = format!("a part of the kind `{}`", part.kind);
                return Err(target.cannot(format!("turns[{turn}].parts[{place}]"), &what));
            }
        }
    }
    Ok(())
}

/// A model that wrote what its own provider cannot read gave no answer, which only the provider's dialect tells from one
/// that is over.
fn unreadable(stop: &Stop, caller: Dialect) -> Option<Fault> {
    let Stop::Other(word) = stop else {
        return None;
    };
    let provider = match word.as_str() {
        "MALFORMED_FUNCTION_CALL" | "MALFORMED_RESPONSE" | "UNEXPECTED_TOOL_CALL" => {
            Dialect::Gemini
        }
        "malformed_tool_use" | "malformed_model_output" => Dialect::Bedrock,
        _ => return None,
    };
    let text = format!("the provider could not read what the model wrote (`{word}`)");
    (provider != caller).then(|| Fault {
        code: Some(word.clone()),
        ..Fault::new(FaultClass::Upstream, text)
    })
}

/// What a chat of OpenAI's is to have beside the model's text, and is another answer without: sound, and a search of the web,
/// unless the caller brings tools that the model may call in its place.
fn beside_text(request: &ChatRequest, target: Dialect) -> Result<(), Fault> {
    if target == Dialect::OpenaiChat || request.rest.dialect != Some(Dialect::OpenaiChat) {
        return Ok(());
    }
    let fields = &request.rest.fields;
    let modalities = fields.get("modalities").and_then(Value::as_array);
    if modalities.is_some_and(|list| list.iter().any(|kind| kind == "audio")) {
        return Err(target.cannot("modalities", "an answer in sound"));
    }
    let search = fields.get(SEARCH).filter(|options| !options.is_null());
    if search.is_some() && target != Dialect::OpenaiResponses && request.tools.is_empty() {
        return Err(target.cannot(SEARCH, "a search of the web"));
    }
    Ok(())
}

/// An effort that nobody knows cannot be said in other words.
fn known_effort(request: &ChatRequest, target: Dialect) -> Result<(), Fault> {
    let field = match request.rest.dialect {
        Some(Dialect::OpenaiChat) => "reasoning_effort",
        Some(Dialect::OpenaiResponses) => "reasoning.effort",
        _ => return Ok(()),
    };
    let asked = request.reasoning.as_ref();
    let effort = asked.and_then(|asked| asked.effort.as_deref());
    let has_same = matches!(target, Dialect::OpenaiChat | Dialect::OpenaiResponses);
    match effort.filter(|effort| !has_same && !EFFORTS.contains(effort)) {
        Some(effort) => {
            let wanted = EFFORTS.join("`, `");
            let message = format!("`{field}` is `{effort}`; it has to be one of `{wanted}`");
            Err(Fault::invalid(field, message))
        }
        None => Ok(()),
    }
}

fn unheard(dialect: Dialect) -> Fault {
    let text = format!("nobody asks in {} here", dialect.name());
    Fault::new(FaultClass::Unsupported, text)
}

/// Reads a provider's stream.
pub enum StreamDecoder {
    OpenaiChat(openai_chat::StreamDecoder),
    OpenaiResponses(openai_responses::StreamDecoder),
    Anthropic(anthropic::StreamDecoder),
    Gemini(gemini::StreamDecoder),
    Bedrock(bedrock::StreamDecoder),
    Cohere(cohere::StreamDecoder),
}

macro_rules! decoding {
    ($decoder:expr, $inner:ident => $body:expr) => {
        match $decoder {
            StreamDecoder::OpenaiChat($inner) => $body,
            StreamDecoder::OpenaiResponses($inner) => $body,
            StreamDecoder::Anthropic($inner) => $body,
            StreamDecoder::Gemini($inner) => $body,
            StreamDecoder::Bedrock($inner) => $body,
            StreamDecoder::Cohere($inner) => $body,
        }
    };
}

impl StreamDecoder {
    pub fn new(dialect: Dialect) -> Self {
        match dialect {
            Dialect::OpenaiChat => Self::OpenaiChat(openai_chat::StreamDecoder::default()),
            Dialect::OpenaiResponses => {
                Self::OpenaiResponses(openai_responses::StreamDecoder::default())
            }
            Dialect::Anthropic => Self::Anthropic(anthropic::StreamDecoder::default()),
            Dialect::Gemini => Self::Gemini(gemini::StreamDecoder::default()),
            Dialect::Bedrock => Self::Bedrock(bedrock::StreamDecoder::default()),
            Dialect::Cohere => Self::Cohere(cohere::StreamDecoder::default()),
        }
    }

    /// What an event of the stream says.
    pub fn push(&mut self, event: &Event) -> Vec<ChatEvent> {
        decoding!(self, inner => inner.push(event))
    }

    /// What is still to be said when the stream ends; a fault where it ended too early.
    pub fn finish(&mut self) -> Vec<ChatEvent> {
        decoding!(self, inner => inner.finish())
    }
}

/// Writes a caller's stream.
pub enum StreamEncoder {
    OpenaiChat(openai_chat::StreamEncoder),
    OpenaiResponses(openai_responses::StreamEncoder),
    Anthropic(anthropic::StreamEncoder),
    Gemini(gemini::StreamEncoder),
}

macro_rules! encoding {
    ($encoder:expr, $inner:ident => $body:expr) => {
        match $encoder {
            StreamEncoder::OpenaiChat($inner) => $body,
            StreamEncoder::OpenaiResponses($inner) => $body,
            StreamEncoder::Anthropic($inner) => $body,
            StreamEncoder::Gemini($inner) => $body,
        }
    };
}

impl StreamEncoder {
    /// `array`: a JSON array in place of events, which is how Gemini streams unless it is asked otherwise.
    ///
    /// # Errors
    /// Where nobody is answered in that dialect.
    pub fn new(dialect: Dialect, told: Told, array: bool) -> Result<Self, Fault> {
        Ok(match dialect {
            Dialect::OpenaiChat => Self::OpenaiChat(openai_chat::StreamEncoder::new(told)),
            Dialect::OpenaiResponses => {
                Self::OpenaiResponses(openai_responses::StreamEncoder::new(told))
            }
            Dialect::Anthropic => Self::Anthropic(anthropic::StreamEncoder::new(told)),
            Dialect::Gemini if array => Self::Gemini(gemini::StreamEncoder::array(told)),
            Dialect::Gemini => Self::Gemini(gemini::StreamEncoder::new(told)),
            Dialect::Bedrock | Dialect::Cohere => return Err(unheard(dialect)),
        })
    }

    /// What is written.
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::OpenaiChat(_) => Dialect::OpenaiChat,
            Self::OpenaiResponses(_) => Dialect::OpenaiResponses,
            Self::Anthropic(_) => Dialect::Anthropic,
            Self::Gemini(_) => Dialect::Gemini,
        }
    }

    /// An event as the caller is told it: the end of an answer that is none breaks it off.
    pub fn heard(&self, event: ChatEvent) -> ChatEvent {
        let fault = match &event {
            ChatEvent::Stop(stop) => unreadable(stop, self.dialect()),
            _ => None,
        };
        fault.map_or(event, ChatEvent::Fault)
    }

    pub fn push(&mut self, event: ChatEvent, out: &mut Vec<u8>) {
        let event = self.heard(event);
        encoding!(self, inner => inner.push(event, out));
    }

    pub fn finish(&mut self, out: &mut Vec<u8>) {
        encoding!(self, inner => inner.finish(out));
    }

    /// What of the answer the dialect could not say.
    pub fn dropped(&self) -> &[Dropped] {
        encoding!(self, inner => inner.dropped())
    }
}
