//! A provider's stream (<https://docs.cohere.com/docs/streaming>).
//!
//! Content and calls are numbered apart, from 0 each. A text stays open after its end, because its citations may
//! come later; it closes where the next part begins.

use serde_json::Value;

use crate::events::Event;
use crate::llm::answer::{ChatEvent, Delta, PartStart, Stop};
use crate::llm::dialect::cohere::answer::{logprob, stop_of, usage};
use crate::llm::dialect::cohere::{THINKING, TOOL_PLAN, cite, error, signed};
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::usage::Usage;

/// Events of a provider's stream in, events of an answer out.
#[derive(Debug, Default)]
pub struct StreamDecoder {
    out: Vec<ChatEvent>,
    started: bool,
    ended: bool,
    /// Parts so far.
    parts: usize,
    /// The text, thought or plan that goes on.
    open: Option<Open>,
    /// Calls whose end has not come: the part, Cohere's number, and whether it has arguments.
    calls: Vec<Call>,
    called: bool,
}

#[derive(Debug)]
struct Open {
    part: usize,
    kind: Kind,
    /// Cohere's number of the content.
    content: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    Plan,
}

#[derive(Debug)]
struct Call {
    part: usize,
    index: Option<u64>,
    said: bool,
}

impl StreamDecoder {
    /// What an event of the stream says.
    pub fn push(&mut self, event: &Event) -> Vec<ChatEvent> {
        if self.ended || event.is_end() || event.data.trim().is_empty() {
            return Vec::new();
        }
        match serde_json::from_str::<Value>(&event.data) {
            Ok(Value::Object(said)) => {
                let said = Value::Object(said);
                let kind = said.get("type").and_then(Value::as_str);
                let kind = kind.or(event.name.as_deref()).unwrap_or_default();
                self.event(kind, &said);
            }
            _ => self.fail(Fault::new(
                FaultClass::Upstream,
                "the provider's stream holds something that is no JSON object",
            )),
        }
        std::mem::take(&mut self.out)
    }

    /// What is due when the stream is over; a fault where it broke off.
    pub fn finish(&mut self) -> Vec<ChatEvent> {
        if !self.ended {
            self.fail(Fault::new(
                FaultClass::Unreachable,
                "the provider's stream broke off before its end",
            ));
        }
        std::mem::take(&mut self.out)
    }

    fn event(&mut self, kind: &str, said: &Value) {
        let index = said.get("index").and_then(Value::as_u64);
        match kind {
            "message-start" => self.begin(said),
            "content-start" | "content-delta" => {
                self.begin(said);
                self.content(index, said);
            }
            "content-end" if self.is_thinking() => self.close(),
            "tool-plan-delta" => {
                self.begin(said);
                let plan = said.pointer("/delta/message/tool_plan");
                self.say(Kind::Plan, None, plan);
            }
            "tool-call-start" => {
                self.begin(said);
                self.start_call(index, said);
            }
            "tool-call-delta" => self.more_call(index, said),
            "tool-call-end" => self.end_call(index),
            "citation-start" => self.cite(said),
            "message-end" => {
                self.begin(said);
                self.end(said);
            }
            "error" | "" if said.get("message").is_some_and(Value::is_string) => {
                let message = said.get("message").and_then(Value::as_str);
                self.fail(error::fault(500, message.unwrap_or_default().to_owned()));
            }
            // Ends of citations, what is for debugging, and what is yet to come.
            _ => {}
        }
    }

    fn begin(&mut self, said: &Value) {
        if self.started {
            return;
        }
        self.started = true;
        let id = said.get("id").and_then(Value::as_str);
        self.out.push(ChatEvent::Start {
            id: id.unwrap_or_default().to_owned(),
            model: String::new(),
            created: None,
        });
    }

    /// More text or thought, and what the tokens of it were worth.
    fn content(&mut self, index: Option<u64>, said: &Value) {
        let piece = said.pointer("/delta/message/content");
        let field = |name: &str| piece.and_then(|piece| piece.get(name));
        self.say(Kind::Thinking, index, field("thinking"));
        self.say(Kind::Text, index, field("text"));
        if let Some(token) = said.get("logprobs").and_then(logprob)
            && let Some(open) = &self.open
        {
            let (index, delta) = (open.part, Delta::Logprobs(vec![token]));
            self.out.push(ChatEvent::Delta { index, delta });
        }
    }

    fn say(&mut self, kind: Kind, content: Option<u64>, said: Option<&Value>) {
        let Some(text) = said.and_then(Value::as_str).filter(|text| !text.is_empty()) else {
            return;
        };
        let open = self.open.as_ref();
        let goes_on = open.filter(|open| open.kind == kind && open.content == content);
        let index = match goes_on {
            Some(open) => open.part,
            None => self.open(kind, content),
        };
        let delta = Delta::Text(text.to_owned());
        self.out.push(ChatEvent::Delta { index, delta });
    }

    fn open(&mut self, kind: Kind, content: Option<u64>) -> usize {
        self.close();
        let start = match kind {
            Kind::Text => PartStart::Text,
            Kind::Thinking | Kind::Plan => PartStart::Thought {
                summary: false,
                id: None,
            },
        };
        let part = self.fresh(start);
        self.open = Some(Open {
            part,
            kind,
            content,
        });
        part
    }

    fn fresh(&mut self, part: PartStart) -> usize {
        let index = self.parts;
        self.parts += 1;
        self.out.push(ChatEvent::PartStart { index, part });
        index
    }

    fn is_thinking(&self) -> bool {
        let open = self.open.as_ref();
        open.is_some_and(|open| open.kind == Kind::Thinking)
    }

    fn close(&mut self) {
        let Some(Open { part, kind, .. }) = self.open.take() else {
            return;
        };
        let index = part;
        let field = match kind {
            Kind::Text => None,
            Kind::Thinking => Some(THINKING),
            Kind::Plan => Some(TOOL_PLAN),
        };
        let proof = field.map(|field| Delta::Signature(signed(field)));
        let proof = proof.map(|delta| ChatEvent::Delta { index, delta });
        self.out.extend(proof);
        self.out.push(ChatEvent::PartStop { index });
    }

    fn start_call(&mut self, index: Option<u64>, said: &Value) {
        self.close();
        let call = said.pointer("/delta/message/tool_calls");
        // The documentation shows an object; some send a list of one.
        let call = call.and_then(|call| call.get(0).or(Some(call)));
        let text = |path: &str| call.and_then(|call| call.pointer(path)?.as_str());
        let part = self.fresh(PartStart::ToolCall {
            id: text("/id").unwrap_or_default().to_owned(),
            name: text("/function/name").unwrap_or_default().to_owned(),
            custom: false,
        });
        self.called = true;
        self.calls.push(Call {
            part,
            index,
            said: false,
        });
        self.arguments(index, text("/function/arguments"));
    }

    fn more_call(&mut self, index: Option<u64>, said: &Value) {
        let calls = said.pointer("/delta/message/tool_calls");
        let call = calls.and_then(|call| call.get(0).or(Some(call)));
        let more = call.and_then(|call| call.pointer("/function/arguments")?.as_str());
        self.arguments(index, more);
    }

    fn arguments(&mut self, index: Option<u64>, more: Option<&str>) {
        let Some(text) = more.filter(|text| !text.is_empty()) else {
            return;
        };
        let mut calls = self.calls.iter_mut().rev();
        if let Some(call) = calls.find(|call| call.index == index) {
            call.said = true;
            let (index, delta) = (call.part, Delta::Arguments(text.to_owned()));
            self.out.push(ChatEvent::Delta { index, delta });
        }
    }

    fn end_call(&mut self, index: Option<u64>) {
        let place = self.calls.iter().position(|call| call.index == index);
        let Some(place) = place else {
            return;
        };
        let call = self.calls.remove(place);
        let index = call.part;
        if !call.said {
            let delta = Delta::Arguments("{}".to_owned());
            self.out.push(ChatEvent::Delta { index, delta });
        }
        self.out.push(ChatEvent::PartStop { index });
    }

    /// A citation of the text that is open; others have come too late, or are of a thought.
    fn cite(&mut self, said: &Value) {
        let whole = said.pointer("/delta/message/citations");
        let whole = whole.and_then(|whole| whole.get(0).or(Some(whole)));
        let Some(whole) = whole.filter(|whole| cite::is_of_text(whole)) else {
            return;
        };
        let Some(open) = self.open.as_ref().filter(|open| open.kind == Kind::Text) else {
            return;
        };
        let about = cite::content_index(whole);
        if about.is_some() && open.content.is_some() && about != open.content {
            return;
        }
        let index = open.part;
        let deltas = cite::decode(whole).into_iter().map(Delta::Citation);
        self.out
            .extend(deltas.map(|delta| ChatEvent::Delta { index, delta }));
    }

    fn end(&mut self, said: &Value) {
        self.close();
        while let Some(call) = self.calls.first() {
            self.end_call(call.index);
        }
        let used: Option<Usage> = said.pointer("/delta/usage").and_then(usage);
        let text = |path: &str| said.pointer(path).and_then(Value::as_str);
        let reason = text("/delta/finish_reason").unwrap_or_default();
        let stop = match stop_of(reason, text("/delta/error")) {
            Ok(Stop::End) if self.called && reason.is_empty() => Ok(Stop::ToolCalls),
            stop => stop,
        };
        self.ended = true;
        self.out.extend(used.map(ChatEvent::Usage));
        self.out.push(match stop {
            Ok(stop) => ChatEvent::Stop(stop),
            Err(fault) => ChatEvent::Fault(fault),
        });
    }

    fn fail(&mut self, fault: Fault) {
        self.ended = true;
        self.out.push(ChatEvent::Fault(fault));
    }
}
