//! Reads answers, whole or as they are streamed with `alt=sse`
//! (<https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent>): every event is an answer of its
//! own that goes on where the last one ended. The first part of an event continues the part before it where both are
//! text; all others begin anew.

use serde_json::{Map, Value, json};

use crate::events::Event;
use crate::llm::answer::{ChatEvent, Delta, PartStart, Stop};
use crate::llm::chat::{Opaque, Part, Signature};
use crate::llm::dialect::Dialect;
use crate::llm::dialect::gemini::citations::{self, Said};
use crate::llm::dialect::gemini::names::{fields, merge, object};
use crate::llm::dialect::gemini::part::{self, Call, Kind};
use crate::llm::dialect::gemini::signature::{Held, marker};
use crate::llm::dialect::gemini::{ABOUT, about, calls, error, partial};
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::fields::Fields;
use crate::llm::usage::Usage;

/// Reads a stream.
#[derive(Debug, Default)]
pub struct StreamDecoder {
    events: Vec<ChatEvent>,
    started: bool,
    /// Nothing follows: the answer is over, or broke off.
    over: bool,
    /// It is one whole answer: what is cited may be any of its texts.
    whole: bool,
    id: String,
    next: usize,
    wire: usize,
    open: Option<Open>,
    /// The last thing was a signature on a text of no text.
    bare: bool,
    calls: usize,
    streamed: Option<Streamed>,
    said: Vec<Said>,
    reason: Option<String>,
    blocked: bool,
    about: Map<String, Value>,
    feedback: Option<Value>,
    usage: Option<Usage>,
}

/// A part that may go on.
#[derive(Debug, PartialEq)]
struct Open {
    index: usize,
    kind: OpenKind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum OpenKind {
    Text,
    /// It had its signature: what follows is another part, but it may still be cited.
    SignedText,
    Thought,
}

/// A call whose arguments come in pieces.
#[derive(Debug)]
struct Streamed {
    index: usize,
    arguments: Value,
}

impl StreamDecoder {
    /// For one whole answer.
    pub(crate) fn whole() -> Self {
        Self {
            whole: true,
            ..Self::default()
        }
    }

    /// The events of the neutral form that an event of the stream holds.
    pub fn push(&mut self, event: &Event) -> Vec<ChatEvent> {
        let data = event.data.trim();
        if self.over || data.is_empty() || event.is_end() {
            return Vec::new();
        }
        let read = match serde_json::from_str::<Value>(data) {
            Ok(Value::Array(list)) => list.into_iter().try_for_each(|value| self.chunk(value)),
            Ok(value) if event.name.as_deref() == Some("error") && value.get("error").is_none() => {
                Err(error::of_error(500, &value))
            }
            Ok(value) => self.chunk(value),
            Err(_) => {
                let message = "the provider's stream holds something that is no JSON";
                Err(Fault::new(FaultClass::Upstream, message))
            }
        };
        if let Err(fault) = read {
            self.over = true;
            self.events.push(ChatEvent::Fault(fault));
        }
        std::mem::take(&mut self.events)
    }

    /// What is due when the stream has ended.
    pub fn finish(&mut self) -> Vec<ChatEvent> {
        if !self.over {
            self.over = true;
            self.end();
        }
        std::mem::take(&mut self.events)
    }

    /// Takes an event, or a whole answer, in.
    pub(crate) fn chunk(&mut self, value: Value) -> Result<(), Fault> {
        if let Some(error) = value.get("error").filter(|error| !error.is_null()) {
            return Err(error::of_error(500, error));
        }
        self.answer(value).map_err(|fault| Fault {
            class: FaultClass::Upstream,
            message: format!(
                "the provider's answer is not as it should be: {}",
                fault.message
            ),
            ..fault
        })
    }

    fn answer(&mut self, value: Value) -> Result<(), Fault> {
        let mut answer = fields(value, "")?;
        // Some gateways of Google's put the answer one level deeper.
        if let Some(inner) = object(&mut answer, "response")? {
            answer = inner;
        }
        self.start(&mut answer)?;
        if let Some(feedback) = answer.take("promptFeedback") {
            let reason = feedback["blockReason"]
                .as_str()
                .or_else(|| feedback["block_reason"].as_str());
            self.blocked |= reason.is_some_and(|reason| !reason.is_empty());
            self.feedback = Some(feedback);
        }
        if let Some(candidate) = about::first_candidate(&mut answer)? {
            self.candidate(candidate)?;
        }
        if let Some(usage) = object(&mut answer, "usageMetadata")? {
            let usage = about::read_usage(usage)?;
            if self.usage != Some(usage) {
                self.usage = Some(usage);
                self.events.push(ChatEvent::Usage(usage));
            }
        }
        Ok(())
    }

    fn start(&mut self, answer: &mut Fields) -> Result<(), Fault> {
        let id = answer.text("responseId")?.unwrap_or_default();
        let model = answer.text("modelVersion")?.unwrap_or_default();
        let created = answer.text("createTime")?;
        let created = created.and_then(|time| chrono::DateTime::parse_from_rfc3339(&time).ok());
        if !std::mem::replace(&mut self.started, true) {
            self.id.clone_from(&id);
            self.events.push(ChatEvent::Start {
                id,
                model,
                created: created.map(|time| time.timestamp()),
            });
        }
        Ok(())
    }

    fn candidate(&mut self, mut candidate: Fields) -> Result<(), Fault> {
        for (index, value) in about::parts(&mut candidate)?.into_iter().enumerate() {
            let read = part::read(value, &format!("candidates[0].content.parts[{index}]"))?;
            self.part(read.kind, read.held, index == 0);
            self.wire += 1;
        }
        let reason = candidate
            .text("finishReason")?
            .filter(|reason| !reason.is_empty());
        self.reason = reason.or(self.reason.take());
        if let Some(result) = object(&mut candidate, "logprobsResult")? {
            let tokens = about::read_logprobs(result)?;
            let index = self.said.last().map(|said| said.index);
            if let (Some(index), false) = (index, tokens.is_empty()) {
                self.delta(index, Delta::Logprobs(tokens));
            }
        }
        // Numbers that follow from others.
        candidate.take("avgLogprobs");
        candidate.take("tokenCount");
        self.keep(candidate.rest());
        Ok(())
    }

    /// What is said of the candidate beside its parts: the newest word counts, but sources add up.
    fn keep(&mut self, mut rest: Map<String, Value>) {
        let earlier = self
            .about
            .get_mut("citationMetadata")
            .and_then(|old| old.get_mut("citations"));
        let later = rest
            .get_mut("citationMetadata")
            .and_then(|new| new.get_mut("citations"));
        if let (Some(Value::Array(earlier)), Some(Value::Array(later))) = (earlier, later) {
            let new: Vec<Value> = later
                .drain(..)
                .filter(|one| !earlier.contains(one))
                .collect();
            later.append(earlier);
            later.extend(new);
        }
        merge(&mut self.about, &rest);
    }

    fn part(&mut self, kind: Kind, held: Option<Held>, first: bool) {
        match kind {
            Kind::Text(text) => self.text(text, held, first),
            Kind::Thought(text) => self.thought(text, held, first),
            Kind::Call(call) => self.call(call, held),
            // Results are the caller's to give.
            Kind::Response(_) => {}
            Kind::Whole(part) => {
                self.close();
                self.mark(held);
                let index = self.begin(PartStart::Whole(Box::new(part)));
                self.events.push(ChatEvent::PartStop { index });
            }
        }
    }

    fn text(&mut self, text: String, held: Option<Held>, first: bool) {
        let signature = held.and_then(|held| held.signature);
        if text.is_empty() {
            // The text before stays open: it may yet be cited.
            if let Some(signature) = signature {
                self.marker(signature);
                self.bare = true;
            }
            return;
        }
        let goes_on = match &self.open {
            Some(Open {
                index,
                kind: OpenKind::Text,
            }) => Some(*index),
            _ => None,
        };
        let index = match goes_on.filter(|_| first && !self.bare && signature.is_none()) {
            Some(index) => index,
            None => {
                self.close();
                let signed = signature.is_some();
                self.mark(signature.map(|signature| Held {
                    signature: Some(signature),
                    ..Held::default()
                }));
                let index = self.begin(PartStart::Text);
                let kind = if signed {
                    OpenKind::SignedText
                } else {
                    OpenKind::Text
                };
                self.open = Some(Open { index, kind });
                self.said.push(Said {
                    index,
                    wire: self.wire,
                    text: String::new(),
                });
                index
            }
        };
        if let Some(said) = self.said.last_mut() {
            said.text.push_str(&text);
        }
        self.delta(index, Delta::Text(text));
    }

    fn thought(&mut self, text: String, held: Option<Held>, first: bool) {
        self.bare = false;
        let goes_on = match &self.open {
            Some(Open {
                index,
                kind: OpenKind::Thought,
            }) => Some(*index),
            _ => None,
        };
        // A signature alone is that of the thought before it; one with a text is its own.
        let goes_on = goes_on.filter(|_| first && (held.is_none() || text.is_empty()));
        if goes_on.is_none() && text.is_empty() && held.is_none() {
            return;
        }
        let index = goes_on.unwrap_or_else(|| {
            self.close();
            let own = held.as_ref().is_none_or(|held| !held.is_foreign());
            let index = self.begin(PartStart::Thought {
                summary: own,
                id: held.as_ref().and_then(|held| held.id.clone()),
            });
            let kind = OpenKind::Thought;
            self.open = Some(Open { index, kind });
            index
        });
        if !text.is_empty() {
            self.delta(index, Delta::Text(text));
        }
        if let Some(held) = held {
            if let Some(signature) = held.signature {
                self.delta(index, Delta::Signature(signature));
            }
            if let Some(sealed) = held.sealed {
                self.delta(index, Delta::Sealed(sealed));
            }
            self.close();
        }
    }

    /// Calls come whole, but for arguments that were asked for in pieces: these are held back until they are whole.
    fn call(&mut self, call: Call, held: Option<Held>) {
        self.bare = false;
        if !call.name.is_empty() {
            self.end_call();
        }
        if self.streamed.is_none() {
            if call.name.is_empty() {
                return;
            }
            self.begin_call(&call, held);
        }
        if let Some(streamed) = &mut self.streamed {
            for piece in &call.partial {
                partial::apply(&mut streamed.arguments, piece);
            }
        }
        if call.will_continue {
            return;
        }
        match self.streamed.take() {
            Some(streamed) if streamed.arguments != json!({}) => {
                self.give(streamed.index, streamed.arguments.to_string());
            }
            Some(streamed) => self.give(streamed.index, call.arguments),
            None => {}
        }
    }

    fn begin_call(&mut self, call: &Call, held: Option<Held>) {
        self.close();
        self.calls += 1;
        let made = || calls::made_id(&self.id, self.calls);
        let id = call.id.clone().unwrap_or_else(made);
        let index = self.begin(PartStart::ToolCall {
            id,
            name: call.name.clone(),
            custom: false,
        });
        if let Some(signature) = held.and_then(|held| held.signature) {
            self.delta(index, Delta::Signature(signature));
        }
        self.streamed = Some(Streamed {
            index,
            arguments: json!({}),
        });
    }

    fn end_call(&mut self) {
        if let Some(streamed) = self.streamed.take() {
            self.give(streamed.index, streamed.arguments.to_string());
        }
    }

    fn give(&mut self, index: usize, arguments: String) {
        self.delta(index, Delta::Arguments(arguments));
        self.events.push(ChatEvent::PartStop { index });
    }

    /// The signature of a part that has no place for one, before it.
    fn mark(&mut self, held: Option<Held>) {
        match held.and_then(|held| held.signature) {
            Some(signature) => self.marker(signature),
            // What stands before is not of this part, but of a text of no text.
            None if self.bare => {
                let index = self.begin(PartStart::Text);
                self.events.push(ChatEvent::PartStop { index });
            }
            None => {}
        }
        self.bare = false;
    }

    fn marker(&mut self, signature: Signature) {
        if let Part::Thought(thought) = marker(signature) {
            let start = PartStart::Thought {
                summary: thought.summary,
                id: None,
            };
            let index = self.begin(start);
            if let Some(signature) = thought.signature {
                self.delta(index, Delta::Signature(signature));
            }
            self.events.push(ChatEvent::PartStop { index });
        }
    }

    fn begin(&mut self, part: PartStart) -> usize {
        let index = self.next;
        self.next += 1;
        self.events.push(ChatEvent::PartStart { index, part });
        index
    }

    fn delta(&mut self, index: usize, delta: Delta) {
        self.events.push(ChatEvent::Delta { index, delta });
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            let index = open.index;
            self.events.push(ChatEvent::PartStop { index });
        }
    }

    fn end(&mut self) {
        if self.reason.is_none() && !self.blocked && !self.whole {
            let message = "the provider's stream broke off before its end";
            let fault = Fault::new(FaultClass::Unreachable, message);
            self.events.push(ChatEvent::Fault(fault));
            return;
        }
        self.end_call();
        let open = self.open.as_ref().map(|open| open.index);
        for (index, citation) in citations::read(&self.about, &self.said) {
            if self.whole || open == Some(index) {
                self.delta(index, Delta::Citation(citation));
            }
        }
        self.close();
        self.end_searches();
        let stop = match &self.reason {
            _ if self.blocked => Some(Stop::ContentFilter),
            Some(reason) => about::stop_of(reason, self.calls > 0),
            None => None,
        };
        self.end_about(stop.as_ref());
        self.events.extend(stop.map(ChatEvent::Stop));
    }

    fn end_searches(&mut self) {
        let grounding = self.about.get("groundingMetadata");
        let searches = grounding.and_then(|grounding| grounding["webSearchQueries"].as_array());
        if let (Some(usage), Some(searches)) = (&mut self.usage, searches)
            && !searches.is_empty()
        {
            usage.searches = searches.len() as u64;
            self.events.push(ChatEvent::Usage(*usage));
        }
    }

    /// What only callers of this dialect understand.
    fn end_about(&mut self, stop: Option<&Stop>) {
        let mut value = Map::new();
        if let Some(feedback) = self.feedback.take() {
            value.insert("promptFeedback".to_owned(), feedback);
        }
        let mut candidate = std::mem::take(&mut self.about);
        if let (Some(reason), Some(stop)) = (&self.reason, stop)
            && about::reason_of(stop) != reason
        {
            candidate.insert("finishReason".to_owned(), reason.clone().into());
        }
        if !candidate.is_empty() {
            value.insert("candidate".to_owned(), Value::Object(candidate));
        }
        if !value.is_empty() {
            let index = self.begin(PartStart::from(Opaque {
                dialect: Dialect::Gemini,
                kind: ABOUT.to_owned(),
                value: Value::Object(value),
            }));
            self.events.push(ChatEvent::PartStop { index });
        }
    }
}
