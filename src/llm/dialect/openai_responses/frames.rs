//! Events of an answer, written as a caller's stream
//! (<https://platform.openai.com/docs/api-reference/responses-streaming>).
//!
//! One item is open at a time: what comes for a later part is held back until the parts before it are over.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::llm::answer::{ChatEvent, Delta, PartStart, Stop};
use crate::llm::dialect::openai_responses::answer::{Envelope, State, uncounted};
use crate::llm::dialect::openai_responses::error::failure;
use crate::llm::dialect::openai_responses::output::Output;
use crate::llm::dialect::{Dropped, Told};
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::usage::Usage;

/// Writes a stream for a caller.
#[derive(Debug)]
pub struct StreamEncoder {
    told: Told,
    /// From `Start` on.
    envelope: Option<Envelope>,
    output: Output,
    /// The part that is written now.
    current: Option<usize>,
    /// Parts that have to wait.
    held: BTreeMap<usize, Held>,
    usage: Option<Usage>,
    /// The whole response, once it is over; empty where it was written to a stream.
    ended: Option<Value>,
}

/// A part that waits until the ones before it are over.
#[derive(Debug)]
struct Held {
    start: PartStart,
    deltas: Vec<Delta>,
    stopped: bool,
}

impl StreamEncoder {
    pub fn new(told: Told) -> Self {
        Self {
            output: Output::new(&told, false),
            told,
            envelope: None,
            current: None,
            held: BTreeMap::new(),
            usage: None,
            ended: None,
        }
    }

    /// Writes no events, and keeps the response.
    pub(crate) fn quiet(told: Told) -> Self {
        Self {
            output: Output::new(&told, true),
            ..Self::new(told)
        }
    }

    /// Writes the next event.
    pub fn push(&mut self, event: ChatEvent, out: &mut Vec<u8>) {
        if self.ended.is_none() {
            self.take(event);
        }
        self.output.flush(out);
    }

    /// The stream is over; where the answer is not, the caller is told.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.ended.is_none() {
            let message = "the answer broke off";
            self.fail(&Fault::new(FaultClass::Unreachable, message));
        }
        self.output.flush(out);
    }

    /// What could not be said.
    pub fn dropped(&self) -> &[Dropped] {
        &self.output.dropped
    }

    /// The response, and what it could not say.
    pub(crate) fn into_response(self) -> (Value, Vec<Dropped>) {
        (self.ended.unwrap_or_default(), self.output.dropped)
    }

    fn take(&mut self, event: ChatEvent) {
        match event {
            ChatEvent::Start { id, model, created } => {
                self.begin(Envelope::new(&self.told, &id, &model, created));
            }
            ChatEvent::PartStart { index, part } => {
                self.envelope();
                if self.current.is_none() {
                    self.current = Some(index);
                    self.output.start(part);
                } else {
                    let held = Held {
                        start: part,
                        deltas: Vec::new(),
                        stopped: false,
                    };
                    self.held.insert(index, held);
                }
            }
            ChatEvent::Delta { index, delta } if self.current == Some(index) => {
                self.output.delta(delta);
            }
            ChatEvent::Delta { index, delta } => {
                if let Some(held) = self.held.get_mut(&index) {
                    held.deltas.push(delta);
                }
            }
            ChatEvent::PartStop { index } if self.current == Some(index) => self.next(false),
            ChatEvent::PartStop { index } => {
                if let Some(held) = self.held.get_mut(&index) {
                    held.stopped = true;
                }
            }
            ChatEvent::Usage(usage) => self.usage = Some(usage),
            ChatEvent::Stop(stop) => self.stop(&stop),
            ChatEvent::Fault(fault) => self.fail(&fault),
        }
    }

    /// The current part is over: writes those that waited, until one that goes on, or all of them.
    fn next(&mut self, all: bool) {
        if self.current.take().is_some() {
            self.output.stop();
        }
        while let Some((index, held)) = self.held.pop_first() {
            self.output.start(held.start);
            for delta in held.deltas {
                self.output.delta(delta);
            }
            if !held.stopped && !all {
                self.current = Some(index);
                return;
            }
            self.output.stop();
        }
    }

    fn begin(&mut self, envelope: Envelope) -> &Envelope {
        if self.envelope.is_none() {
            for kind in ["response.created", "response.in_progress"] {
                let state = State {
                    status: "in_progress",
                    ..State::default()
                };
                let response = || json!({"response": envelope.response(state)});
                self.output.emit(kind, response);
            }
        }
        self.envelope.get_or_insert(envelope)
    }

    fn envelope(&mut self) -> Envelope {
        match &self.envelope {
            Some(envelope) => envelope.clone(),
            None => self.begin(Envelope::new(&self.told, "", "", None)).clone(),
        }
    }

    fn stop(&mut self, stop: &Stop) {
        self.envelope();
        self.next(true);
        let reason = match stop {
            Stop::Length | Stop::ContextFull => Some("max_output_tokens"),
            Stop::ContentFilter => Some("content_filter"),
            Stop::Refusal if !self.output.refused => Some("content_filter"),
            // Typed clients refuse any other word.
            _ => None,
        };
        let unsaid = match stop {
            Stop::Other(_) => Some("a response has no word for it"),
            Stop::Pause => Some("a response does not pause"),
            _ => None,
        };
        let unsaid = unsaid.map(|reason| Dropped::new("stop", reason));
        self.output.dropped.extend(unsaid);
        let status = if reason.is_some() {
            "incomplete"
        } else {
            "completed"
        };
        self.output.close(status);
        if let Some(usage) = &self.usage {
            self.output.dropped.extend(uncounted(usage));
        }
        self.end(State {
            status,
            reason,
            usage: self.usage,
            ..State::default()
        });
    }

    /// What was said stays; of what is not over no event says that it is.
    fn fail(&mut self, fault: &Fault) {
        self.envelope();
        let quiet = std::mem::replace(&mut self.output.quiet, true);
        self.next(true);
        self.output.close("incomplete");
        self.output.quiet = quiet;
        self.end(State {
            status: "failed",
            error: Some(failure(fault)),
            usage: self.usage,
            ..State::default()
        });
    }

    fn end(&mut self, state: State) {
        let kind = match state.status {
            "completed" => "response.completed",
            "incomplete" => "response.incomplete",
            _ => "response.failed",
        };
        let output = self.output.take_items();
        let mut response = self.envelope().response(State { output, ..state });
        let keep = self.output.quiet;
        self.output
            .emit(kind, || json!({"response": response.take()}));
        self.ended = Some(if keep { response } else { Value::Null });
    }
}
