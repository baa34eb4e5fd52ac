//! A provider's stream (<https://platform.openai.com/docs/api-reference/chat-streaming>), and the parts it builds.
//!
//! The neutral number of a part is its place in the order in which parts begin; OpenAI's `index` of a call only
//! tells the calls apart. A call stays open until its arguments are whole and something else begins.

mod think;

use serde_json::{Map, Value};

use crate::events::Event;
use crate::llm::answer::{ChatEvent, Delta, PartStart, Stop, is_complete};
use crate::llm::chat::{Image, Opaque, Part};
use crate::llm::dialect::openai_chat::pieces::{self, Call};
use crate::llm::dialect::openai_chat::thought;
use crate::llm::dialect::openai_chat::usage::{self, Held};
use crate::llm::dialect::openai_chat::{OWN, call, cite, error, parts};
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::usage::Usage;

/// Events of a provider's stream in, events of an answer out.
#[derive(Debug, Default)]
pub struct StreamDecoder {
    out: Vec<ChatEvent>,
    id: String,
    started: bool,
    ended: bool,
    /// Parts so far.
    parts: usize,
    /// The text, refusal or thought that is being said.
    open: Option<Open>,
    calls: Vec<Call>,
    audio: Option<Map<String, Value>>,
    reason: Option<(String, Option<String>)>,
    refused: bool,
    usage: Option<Usage>,
    /// The answer comes in one piece.
    is_whole: bool,
}

#[derive(Debug)]
struct Open {
    index: usize,
    kind: Kind,
    thinking: Thinking,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Refusal,
    Thought,
}

/// What there is of an open thought.
#[derive(Debug, Default)]
struct Thinking {
    text: String,
    summary: bool,
    id: Option<String>,
    /// Its `index` among the details.
    key: Option<u64>,
    /// It came in details, not as plain text.
    detailed: bool,
    /// It came as plain text, all of which is repeated beside its proof.
    repeated: bool,
    signed: bool,
    sealed: bool,
}

impl StreamDecoder {
    /// What an event of the stream says.
    pub fn push(&mut self, event: &Event) -> Vec<ChatEvent> {
        if self.ended || event.data.trim().is_empty() {
            return Vec::new();
        }
        if event.is_end() {
            self.end();
        } else {
            match serde_json::from_str::<Value>(&event.data) {
                Ok(Value::Object(chunk)) => {
                    let failed = event.name.as_deref() == Some("error");
                    self.chunk(&chunk, failed);
                }
                _ => self.fail(Fault::new(
                    FaultClass::Upstream,
                    "the provider's stream holds something that is no JSON object",
                )),
            }
        }
        std::mem::take(&mut self.out)
    }

    /// What is due when the stream is over; a fault where it broke off.
    pub fn finish(&mut self) -> Vec<ChatEvent> {
        if !self.ended && self.reason.is_some() {
            self.end();
        } else if !self.ended {
            self.fail(broken_off());
        }
        std::mem::take(&mut self.out)
    }

    /// What an answer says that came in one piece.
    pub(crate) fn whole_answer(mut self, body: &Map<String, Value>) -> Vec<ChatEvent> {
        self.is_whole = true;
        self.chunk(body, false);
        if !self.ended {
            self.end();
        }
        self.out
    }

    fn chunk(&mut self, chunk: &Map<String, Value>, failed: bool) {
        let error = chunk.get("error").filter(|error| !error.is_null());
        if error.is_some() || failed {
            self.fail(error::in_answer(chunk));
            return;
        }
        if let Some(fault) = chunk.get(error::BASE_RESP).and_then(error::of_base_resp) {
            self.fail(fault);
            return;
        }
        self.begin(chunk);
        self.count(chunk.get("usage"));
        // Groq, whether it was asked for usage or not, and where it breaks an answer off.
        let groq = chunk.get("x_groq").and_then(Value::as_object);
        let used = groq.and_then(|said| said.get("usage"));
        self.count(used.filter(|used| used.get("prompt_tokens").is_some()));
        if let Some(error) = groq.and_then(|said| said.get("error")?.as_str()) {
            self.fail(Fault::new(FaultClass::Upstream, error::without_keys(error)));
            return;
        }
        let choices = chunk.get("choices").and_then(Value::as_array);
        let choices = choices.into_iter().flatten().filter_map(Value::as_object);
        for choice in choices {
            if !self.ended && choice.get("index").and_then(Value::as_u64).unwrap_or(0) == 0 {
                self.choice(choice);
            }
        }
    }

    /// The beginning, at the first chunk that is about an answer: Azure sends one about the prompt before it.
    fn begin(&mut self, chunk: &Map<String, Value>) {
        let text = |name: &str| chunk.get(name).and_then(Value::as_str).unwrap_or_default();
        let choices = chunk.get("choices").and_then(Value::as_array);
        if self.started || choices.is_none_or(Vec::is_empty) {
            return;
        }
        self.started = true;
        text("id").clone_into(&mut self.id);
        self.out.push(ChatEvent::Start {
            id: self.id.clone(),
            model: text("model").to_owned(),
            created: chunk.get("created").and_then(Value::as_i64),
        });
    }

    fn count(&mut self, said: Option<&Value>) {
        self.usage = said.and_then(usage::decode).or(self.usage);
    }

    fn choice(&mut self, choice: &Map<String, Value>) {
        if let Some(error) = choice.get("error").filter(|error| !error.is_null()) {
            let holder = Map::from_iter([("error".to_owned(), error.clone())]);
            self.fail(error::in_answer(&holder));
            return;
        }
        self.count(choice.get("usage"));
        // Perplexity has both: an empty `delta` in whole answers, all there is so far as `message` in a stream's.
        let mut names = ["delta", "message"];
        if self.is_whole {
            names.reverse();
        }
        let said = names.into_iter();
        let mut said = said.filter_map(|name| choice.get(name).and_then(Value::as_object));
        let nothing = Map::new();
        let said = said.next().unwrap_or(&nothing);
        self.think(said);
        self.speak(choice, said);
        self.show(said);
        for (at, value) in list(said, "tool_calls").enumerate() {
            if let Some(value) = value.as_object() {
                self.call(value, at);
            }
        }
        if let Some(function) = said.get("function_call").and_then(Value::as_object) {
            let value = Map::from_iter([("function".to_owned(), function.clone().into())]);
            self.call(&value, 0);
        }
        let reason = choice.get("finish_reason").and_then(Value::as_str);
        if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
            let sequence = choice.get("stop_reason").and_then(Value::as_str);
            self.reason = Some((reason.to_owned(), sequence.map(str::to_owned)));
            self.close_all();
            if matches!(reason, "error" | "network_error") {
                self.fail(Fault::new(
                    FaultClass::Upstream,
                    "the provider ended its answer with an error",
                ));
            }
        }
    }

    /// Content, a refusal, and what belongs to them.
    fn speak(&mut self, choice: &Map<String, Value>, said: &Map<String, Value>) {
        let tokens = usage::logprobs(choice);
        let refusal = said
            .get("refusal")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !tokens.is_empty() {
            let refused = choice
                .get("logprobs")
                .and_then(|all| all.get("refusal")?.as_array());
            let kind = match refused {
                Some(list) if !list.is_empty() => Kind::Refusal,
                _ => Kind::Text,
            };
            self.say(kind, Delta::Logprobs(tokens));
        }
        match said.get("content") {
            Some(Value::String(text)) => self.content(said, text),
            Some(Value::Array(pieces)) => self.pieces(pieces),
            _ => {}
        }
        for annotation in list(said, "annotations") {
            self.say(
                Kind::Text,
                Delta::Citation(cite::decode(annotation.clone())),
            );
        }
        if !refusal.is_empty() {
            self.refused = true;
            self.say(Kind::Refusal, Delta::Text(refusal.to_owned()));
        }
        if let Some(signature) = thought::google_signature(said) {
            self.open_thought(Thinking::default());
            let index = self.parts.saturating_sub(1);
            let delta = Delta::Signature(signature);
            self.out.push(ChatEvent::Delta { index, delta });
            self.close_open();
        }
    }

    /// Text, or a thought that Gemini's compatible endpoint writes as text and marks.
    fn content(&mut self, said: &Map<String, Value>, text: &str) {
        let marked = thought::google(said).and_then(|google| google.get("thought"));
        if marked.and_then(Value::as_bool) == Some(true) {
            let text = text.strip_prefix("<thought>").unwrap_or(text);
            let text = text.strip_suffix("</thought>").unwrap_or(text);
            if !text.is_empty() {
                self.plain_thought(text);
            }
            return;
        }
        let thinks = self
            .open
            .as_ref()
            .is_some_and(|open| open.kind == Kind::Thought);
        let text = match text.strip_prefix("</thought>") {
            Some(after) if thinks => after,
            _ => text,
        };
        if !text.is_empty() {
            self.say(Kind::Text, Delta::Text(text.to_owned()));
        }
    }

    /// Content as a list, in the manner of Mistral.
    fn pieces(&mut self, pieces: &[Value]) {
        for piece in pieces {
            let mut unknown = Map::new();
            let read = parts::decode(Some(vec![piece.clone()].into()), "content", &mut unknown);
            for part in read.unwrap_or_default() {
                match part {
                    Part::Text(text) if text.text.is_empty() => {}
                    Part::Text(text) => self.say(Kind::Text, Delta::Text(text.text)),
                    Part::Thought(thought) => self.plain_thought(&thought.text),
                    Part::Refusal(text) => self.say(Kind::Refusal, Delta::Text(text)),
                    other => self.whole(other),
                }
            }
        }
    }

    /// Images (OpenRouter) and sound.
    fn show(&mut self, said: &Map<String, Value>) {
        for image in list(said, "images") {
            let url = image.get("image_url").and_then(|image| image.get("url"));
            if let Some(url) = url.and_then(Value::as_str) {
                self.whole(Part::Image(Image {
                    source: parts::source(url.to_owned(), "image/png"),
                    detail: None,
                    cache: None,
                }));
            }
        }
        if let Some(audio) = said.get("audio").and_then(Value::as_object) {
            pieces::add_sound(self.audio.get_or_insert_default(), audio);
        }
    }

    fn whole(&mut self, part: Part) {
        let index = self.fresh(PartStart::Whole(Box::new(part)));
        self.out.push(ChatEvent::PartStop { index });
    }

    fn say(&mut self, kind: Kind, delta: Delta) {
        if self.open.as_ref().is_none_or(|open| open.kind != kind) {
            let start = match kind {
                Kind::Refusal => PartStart::Refusal,
                _ => PartStart::Text,
            };
            self.open(kind, start, Thinking::default());
        }
        let index = self.open.as_ref().map_or(0, |open| open.index);
        self.out.push(ChatEvent::Delta { index, delta });
    }

    fn open(&mut self, kind: Kind, start: PartStart, thinking: Thinking) {
        let index = self.fresh(start);
        self.open = Some(Open {
            index,
            kind,
            thinking,
        });
    }

    /// Begins a part, and closes those in which nothing can follow.
    fn fresh(&mut self, part: PartStart) -> usize {
        self.close_open();
        for call in &mut self.calls {
            if !call.custom && is_complete(&call.arguments) {
                call.close(&mut self.out);
            }
        }
        let index = self.parts;
        self.parts += 1;
        self.out.push(ChatEvent::PartStart { index, part });
        index
    }

    fn close_open(&mut self) {
        if let Some(Open { index, .. }) = self.open.take() {
            self.out.push(ChatEvent::PartStop { index });
        }
    }

    /// A call, or a piece of one.
    fn call(&mut self, value: &Map<String, Value>, at: usize) {
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
        let custom = value.get("custom").and_then(Value::as_object);
        let function = value.get("function").and_then(Value::as_object);
        let inner = custom.or(function);
        let field = |name: &str| inner.and_then(|inner| inner.get(name));
        let name = field("name").and_then(Value::as_str).unwrap_or_default();
        let body = if custom.is_some() {
            "input"
        } else {
            "arguments"
        };
        let more = call::text(field(body).cloned());
        let key = value.get("index").and_then(Value::as_u64);
        let number = match pieces::known(&self.calls, key, text("id"), name, at) {
            Some(number) => number,
            None => {
                self.calls.push(Call {
                    key,
                    custom: custom.is_some() || text("type") == "custom",
                    ..Call::default()
                });
                self.calls.len() - 1
            }
        };
        let Some(call) = self.calls.get_mut(number) else {
            return;
        };
        if call.id.is_empty() {
            text("id").clone_into(&mut call.id);
        }
        if call.name.is_empty() {
            name.clone_into(&mut call.name);
        }
        let signature = call::signature(value.get("extra_content"));
        if call.part.is_none() {
            call.signature = signature.or(call.signature.take());
            call.arguments.push_str(&more);
            if !call.name.is_empty() {
                self.start_call(number);
            }
        } else if !call.closed {
            call.more(more, signature, &mut self.out);
        }
    }

    fn start_call(&mut self, number: usize) {
        let Some(call) = self.calls.get_mut(number) else {
            return;
        };
        if call.id.is_empty() {
            let id = self.id.as_str();
            let between = if id.is_empty() { "" } else { "_" };
            call.id = format!("call_{id}{between}{number}");
        }
        let start = PartStart::ToolCall {
            id: call.id.clone(),
            name: call.name.clone(),
            custom: call.custom,
        };
        let index = self.fresh(start);
        if let Some(call) = self.calls.get_mut(number) {
            call.part = Some(index);
            let (said, signature) = (std::mem::take(&mut call.arguments), call.signature.take());
            call.more(said, signature, &mut self.out);
        }
    }

    fn close_all(&mut self) {
        self.close_open();
        for number in 0..self.calls.len() {
            if self
                .calls
                .get(number)
                .is_some_and(|call| call.part.is_none())
            {
                self.start_call(number);
            }
        }
        for call in &mut self.calls {
            call.close(&mut self.out);
        }
        if let Some(audio) = self.audio.take() {
            self.whole(Part::Opaque(Opaque {
                dialect: OWN,
                kind: "audio".to_owned(),
                value: pieces::finished_sound(audio),
            }));
        }
    }

    /// The proper end: what was used, and why it ended.
    fn end(&mut self) {
        if !self.started {
            self.fail(broken_off());
            return;
        }
        self.close_all();
        self.ended = true;
        self.out.extend(self.usage.map(ChatEvent::Usage));
        let held = Held {
            calls: !self.calls.is_empty(),
            refusal: self.refused,
        };
        let (reason, sequence) = self.reason.take().unwrap_or_default();
        let stop: Stop = usage::stop(&reason, sequence.as_deref(), held);
        self.out.push(ChatEvent::Stop(stop));
    }

    fn fail(&mut self, fault: Fault) {
        self.ended = true;
        self.out.extend(self.usage.map(ChatEvent::Usage));
        self.out.push(ChatEvent::Fault(fault));
    }
}

fn broken_off() -> Fault {
    Fault::new(
        FaultClass::Unreachable,
        "the provider's stream broke off before its end",
    )
}

fn list<'a>(said: &'a Map<String, Value>, name: &str) -> impl Iterator<Item = &'a Value> {
    let list = said.get(name).and_then(Value::as_array);
    list.into_iter().flatten()
}
