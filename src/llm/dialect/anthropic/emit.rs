//! A stream for a caller, written. One block is open at a time: what belongs to a later part waits until it is
//! over (<https://docs.anthropic.com/en/docs/build-with-claude/streaming>).

use std::collections::VecDeque;

use serde_json::{Map, Value, json};

use crate::llm::answer::{ChatEvent, Delta, PartStart, Stop, arguments_text};
use crate::llm::chat::{Part, Signature, Thought};
use crate::llm::dialect::anthropic::seal::{self, Sealed};
use crate::llm::dialect::anthropic::{answer, block, error, usage};
use crate::llm::dialect::{Dropped, Told};
use crate::llm::fault::Fault;
use crate::llm::usage::Usage;

/// Writes events of an answer as a stream of Anthropic's.
#[derive(Debug)]
pub struct StreamEncoder {
    told: Told,
    id: String,
    model: String,
    begun: bool,
    over: bool,
    usage: Usage,
    stop: Option<Stop>,
    called: bool,
    refusal: Option<String>,
    open: Option<Open>,
    waiting: VecDeque<Waiting>,
    /// The number of the next block.
    next: u64,
    /// What the start of the message said was written to a cache for an hour.
    hour: u64,
    dropped: Vec<Dropped>,
}

/// The part whose block is being written.
#[derive(Debug)]
struct Open {
    index: usize,
    /// Whether its block has begun.
    begun: bool,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Text,
    Refusal,
    Thought(Thought),
    Call {
        id: String,
        name: String,
        /// Of free text: what it is so far.
        custom: Option<String>,
        said: bool,
    },
    Done,
}

/// A part that is not written yet.
#[derive(Debug)]
struct Waiting {
    index: usize,
    part: PartStart,
    deltas: Vec<Delta>,
    over: bool,
}

impl StreamEncoder {
    pub fn new(told: Told) -> Self {
        Self {
            told,
            id: String::new(),
            model: String::new(),
            begun: false,
            over: false,
            usage: Usage::default(),
            stop: None,
            called: false,
            refusal: None,
            open: None,
            waiting: VecDeque::new(),
            next: 0,
            hour: 0,
            dropped: Vec::new(),
        }
    }

    /// Writes what can be written now.
    pub fn push(&mut self, event: ChatEvent, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            ChatEvent::Start { id, model, .. } => (self.id, self.model) = (id, model),
            ChatEvent::Usage(usage) => self.usage = usage,
            ChatEvent::Stop(stop) => self.stop = Some(stop),
            ChatEvent::PartStart { index, part } => {
                if self.open.is_none() {
                    self.open(index, part, out);
                } else {
                    self.waiting.push_back(Waiting {
                        index,
                        part,
                        deltas: Vec::new(),
                        over: false,
                    });
                }
            }
            ChatEvent::Delta { index, delta } => self.take(index, delta, out),
            ChatEvent::PartStop { index } => self.part_stop(index, out),
            ChatEvent::Fault(fault) => self.fail(&fault, out),
        }
    }

    /// Writes the end.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        for waiting in &mut self.waiting {
            waiting.over = true;
        }
        self.close(out);
        self.drain(out);
        self.begin(out);
        let mut delta = Map::new();
        let refusal = self.refusal.as_deref();
        answer::write_stop(self.stop.as_ref(), self.called, refusal, &mut delta);
        if self.usage.cache_write_hour != self.hour {
            let reason = "the end of a stream does not tell how long a cache lasts";
            self.dropped
                .push(Dropped::new("usage.cache_write_hour", reason));
        }
        let usage = usage::encode(&self.usage, true);
        let data = json!({ "type": "message_delta", "delta": delta, "usage": usage });
        write("message_delta", &data, out);
        write("message_stop", &json!({ "type": "message_stop" }), out);
        self.over = true;
    }

    /// What could not be said so far.
    pub fn dropped(&self) -> &[Dropped] {
        &self.dropped
    }

    /// `message_start`, as late as possible: the tokens of the prompt may be known by then.
    fn begin(&mut self, out: &mut Vec<u8>) {
        if self.begun {
            return;
        }
        self.begun = true;
        self.hour = self.usage.cache_write_hour;
        let mut message = answer::head(&self.id, &self.model, &self.told);
        message.insert("content".to_owned(), json!([]));
        message.insert("stop_reason".to_owned(), Value::Null);
        message.insert("stop_sequence".to_owned(), Value::Null);
        message.insert("usage".to_owned(), usage::encode(&self.usage, false));
        let data = json!({ "type": "message_start", "message": message });
        write("message_start", &data, out);
    }

    fn fail(&mut self, fault: &Fault, out: &mut Vec<u8>) {
        write("error", &error::encode_error(fault).body, out);
        self.over = true;
    }

    fn drop(&mut self, index: usize, reason: &str) {
        let dropped = Dropped::new(format!("content[{index}]"), reason);
        if !self.dropped.contains(&dropped) {
            self.dropped.push(dropped);
        }
    }

    fn open(&mut self, index: usize, part: PartStart, out: &mut Vec<u8>) {
        self.begin(out);
        let kind = match part {
            PartStart::Text => Kind::Text,
            PartStart::Refusal => Kind::Refusal,
            PartStart::Thought { summary, id } => Kind::Thought(Thought {
                summary,
                id,
                ..Thought::default()
            }),
            PartStart::ToolCall { id, name, custom } => {
                self.called = true;
                Kind::Call {
                    id,
                    name,
                    custom: custom.then(String::new),
                    said: false,
                }
            }
            PartStart::Whole(part) => {
                self.whole(index, &part, out);
                Kind::Done
            }
        };
        self.open = Some(Open {
            index,
            begun: false,
            kind,
        });
    }

    fn take(&mut self, index: usize, delta: Delta, out: &mut Vec<u8>) {
        if let Some(mut open) = self.open.take_if(|open| open.index == index) {
            self.add(&mut open, delta, out);
            self.open = Some(open);
        } else if let Some(waiting) = self.waiting.iter_mut().find(|part| part.index == index) {
            waiting.deltas.push(delta);
        }
    }

    fn add(&mut self, open: &mut Open, delta: Delta, out: &mut Vec<u8>) {
        let index = open.index;
        let lost = match (&mut open.kind, delta) {
            (_, Delta::Text(text) | Delta::Arguments(text)) if text.is_empty() => return,
            (_, Delta::Logprobs(_)) => Some("messages have no log-probabilities"),
            (Kind::Text, Delta::Text(text)) => {
                self.start(open, &json!({ "type": "text", "text": "" }), out);
                self.block_delta(&json!({ "type": "text_delta", "text": text }), out);
                return;
            }
            (Kind::Refusal, Delta::Text(text)) => {
                self.start(open, &json!({ "type": "text", "text": "" }), out);
                self.refusal.get_or_insert_default().push_str(&text);
                self.block_delta(&json!({ "type": "text_delta", "text": text }), out);
                return;
            }
            (Kind::Text, Delta::Citation(citation)) => {
                let Some(citation) = block::write_citation(&citation) else {
                    self.drop(index, "a citation without an address has no form here");
                    return;
                };
                self.start(open, &json!({ "type": "text", "text": "" }), out);
                let delta = json!({ "type": "citations_delta", "citation": citation });
                self.block_delta(&delta, out);
                return;
            }
            (Kind::Thought(_), Delta::Text(text)) => {
                self.start(open, &thinking(), out);
                self.block_delta(&json!({ "type": "thinking_delta", "thinking": text }), out);
                if let Kind::Thought(thought) = &mut open.kind {
                    // That there is some matters, and not what it says.
                    " ".clone_into(&mut thought.text);
                }
                return;
            }
            (Kind::Thought(thought), Delta::Signature(more)) => join(&mut thought.signature, more),
            (Kind::Thought(thought), Delta::Sealed(more)) => join(&mut thought.sealed, more),
            (Kind::Call { .. }, Delta::Signature(signature)) if open.begun => {
                let _ = signature;
                Some("the signature of a call came after its beginning")
            }
            (Kind::Call { .. }, Delta::Signature(signature)) => {
                self.carry(&signature, out);
                None
            }
            (Kind::Call { .. }, Delta::Arguments(text)) => {
                self.arguments(open, &text, out);
                None
            }
            _ => None,
        };
        if let Some(reason) = lost {
            self.drop(index, reason);
        }
    }

    fn arguments(&mut self, open: &mut Open, text: &str, out: &mut Vec<u8>) {
        self.start_call(open, out);
        let Kind::Call { custom, said, .. } = &mut open.kind else {
            return;
        };
        *said = true;
        match custom {
            Some(custom) => custom.push_str(text),
            None => self.block_delta(&partial(text), out),
        }
    }

    fn start_call(&mut self, open: &mut Open, out: &mut Vec<u8>) {
        if let Kind::Call { id, name, .. } = &open.kind {
            let block = json!({ "type": "tool_use", "id": id, "name": name, "input": {} });
            self.start(open, &block, out);
        }
    }

    fn start(&mut self, open: &mut Open, block: &Value, out: &mut Vec<u8>) {
        if !open.begun {
            open.begun = true;
            self.block_start(block, out);
        }
    }

    fn part_stop(&mut self, index: usize, out: &mut Vec<u8>) {
        if self.open.as_ref().is_some_and(|open| open.index == index) {
            self.close(out);
            self.drain(out);
        } else if let Some(waiting) = self.waiting.iter_mut().find(|part| part.index == index) {
            waiting.over = true;
        }
    }

    /// Ends the open block.
    fn close(&mut self, out: &mut Vec<u8>) {
        let Some(mut open) = self.open.take() else {
            return;
        };
        match &open.kind {
            Kind::Thought(thought) if seal::is_nothing(thought) => {}
            Kind::Thought(thought) => match seal::close(thought) {
                Sealed::Redacted(data) if !open.begun => {
                    let block = json!({ "type": "redacted_thinking", "data": data });
                    self.start(&mut open, &block, out);
                }
                Sealed::Redacted(signature) | Sealed::Signed(signature) => {
                    self.start(&mut open, &thinking(), out);
                    let delta = json!({ "type": "signature_delta", "signature": signature });
                    self.block_delta(&delta, out);
                }
            },
            Kind::Call { custom, said, .. } => {
                let whole = match custom {
                    Some(text) => Some(json!({ "input": text }).to_string()),
                    None => (!said).then(|| arguments_text("").to_owned()),
                };
                self.start_call(&mut open, out);
                if let Some(whole) = whole {
                    self.block_delta(&partial(&whole), out);
                }
            }
            Kind::Text | Kind::Refusal | Kind::Done => {}
        }
        if open.begun {
            self.block_stop(out);
        }
    }

    /// Writes what waited, up to the next part that is not over.
    fn drain(&mut self, out: &mut Vec<u8>) {
        while self.open.is_none()
            && let Some(waiting) = self.waiting.pop_front()
        {
            self.open(waiting.index, waiting.part, out);
            for delta in waiting.deltas {
                self.take(waiting.index, delta, out);
            }
            if waiting.over {
                self.close(out);
            }
        }
    }

    /// A part that comes in one piece. Where it has an input, that follows, as in the stream of its maker.
    fn whole(&mut self, index: usize, part: &Part, out: &mut Vec<u8>) {
        self.called |= matches!(part, Part::ToolCall(_));
        let blocks = match answer::blocks(part) {
            Ok((blocks, lost)) => {
                if let Some(reason) = lost {
                    self.drop(index, reason);
                }
                blocks
            }
            Err(reason) => {
                self.drop(index, reason);
                return;
            }
        };
        for mut block in blocks {
            let input = match block.get_mut("input") {
                Some(Value::Object(input)) => Some(std::mem::take(input)),
                _ => None,
            };
            self.block_start(&block, out);
            if let Some(input) = input {
                self.block_delta(&partial(&Value::Object(input).to_string()), out);
            }
            self.block_stop(out);
        }
    }

    /// The signature of a call, in the block before it.
    fn carry(&mut self, signature: &Signature, out: &mut Vec<u8>) {
        self.block_start(&thinking(), out);
        let signature = seal::close_call(signature);
        let delta = json!({ "type": "signature_delta", "signature": signature });
        self.block_delta(&delta, out);
        self.block_stop(out);
    }

    fn block_start(&mut self, block: &Value, out: &mut Vec<u8>) {
        let kind = "content_block_start";
        let data = json!({ "type": kind, "index": self.next, "content_block": block });
        write(kind, &data, out);
    }

    fn block_delta(&mut self, delta: &Value, out: &mut Vec<u8>) {
        let kind = "content_block_delta";
        write(
            kind,
            &json!({ "type": kind, "index": self.next, "delta": delta }),
            out,
        );
    }

    fn block_stop(&mut self, out: &mut Vec<u8>) {
        let kind = "content_block_stop";
        write(kind, &json!({ "type": kind, "index": self.next }), out);
        self.next += 1;
    }
}

fn join(signature: &mut Option<Signature>, more: Signature) -> Option<&'static str> {
    match signature {
        Some(signature) => signature.value.push_str(&more.value),
        None => *signature = Some(more),
    }
    None
}

fn thinking() -> Value {
    json!({ "type": "thinking", "thinking": "", "signature": "" })
}

fn partial(text: &str) -> Value {
    json!({ "type": "input_json_delta", "partial_json": text })
}

fn write(name: &str, data: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    out.extend_from_slice(data.to_string().as_bytes());
    out.extend_from_slice(b"\n\n");
}
