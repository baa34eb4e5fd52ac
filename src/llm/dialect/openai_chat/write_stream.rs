//! A caller's stream (<https://platform.openai.com/docs/api-reference/chat-streaming>).

use serde_json::{Map, Value, json};

use crate::llm::answer::{ChatEvent, Delta, PartStart, Stop, TokenLogprob};
use crate::llm::chat::{Part, Signature, Thought};
use crate::llm::dialect::openai_chat::usage::{self, Held};
use crate::llm::dialect::openai_chat::write_answer::{
    call_id, characters, dropped_call, dropped_citation, dropped_part, dropped_proof, dropped_stop,
    head, image, reason_told, sound,
};
use crate::llm::dialect::openai_chat::{call, cite, error, thought};
use crate::llm::dialect::own_tools::input_of;
use crate::llm::dialect::{Dropped, Told};
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::usage::Usage;

/// Events of an answer in, bytes of a caller's stream out.
#[derive(Debug)]
pub struct StreamEncoder {
    told: Told,
    head: Option<Map<String, Value>>,
    ended: bool,
    /// By the neutral number of a part.
    parts: Vec<Open>,
    calls: usize,
    /// Details of thoughts so far.
    thoughts: usize,
    /// Characters of content so far.
    length: u64,
    refusal: bool,
    /// Of the text that is to come next.
    logprobs: Vec<TokenLogprob>,
    usage: Option<Usage>,
    dropped: Vec<Dropped>,
}

#[derive(Debug)]
enum Open {
    /// Text, and at which character of the content it began.
    Text(u64),
    Refusal,
    Thought(Thought),
    /// A call, and its number among calls.
    Call {
        number: usize,
        custom: bool,
        empty: bool,
    },
    /// A call of a custom tool, whose text comes within the arguments of a function.
    Wrapped {
        number: usize,
        arguments: String,
    },
    /// A call, told as one of a function.
    Function {
        empty: bool,
    },
    Whole,
}

impl StreamEncoder {
    pub fn new(told: Told) -> Self {
        Self {
            told,
            head: None,
            ended: false,
            parts: Vec::new(),
            calls: 0,
            thoughts: 0,
            length: 0,
            refusal: false,
            logprobs: Vec::new(),
            usage: None,
            dropped: Vec::new(),
        }
    }

    /// Writes what an event says.
    pub fn push(&mut self, event: ChatEvent, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        match event {
            ChatEvent::Start { id, model, created } => self.start(&id, &model, created, out),
            ChatEvent::PartStart { index, part } => {
                let part = self.part(part, out);
                if index == self.parts.len() {
                    self.parts.push(part);
                }
            }
            ChatEvent::Delta { index, delta } => self.delta(index, delta, out),
            ChatEvent::PartStop { index } => self.part_stop(index, out),
            ChatEvent::Usage(usage) => self.usage = Some(usage),
            ChatEvent::Stop(stop) => self.stop(&stop, out),
            ChatEvent::Fault(fault) => self.fail(&fault, out),
        }
    }

    /// Writes what is due when there are no more events; an error where they broke off.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if !self.ended {
            let fault = Fault::new(FaultClass::Unreachable, "the answer broke off");
            self.fail(&fault, out);
        }
    }

    /// What could not be said.
    pub fn dropped(&self) -> &[Dropped] {
        &self.dropped
    }

    fn start(&mut self, id: &str, model: &str, created: Option<i64>, out: &mut Vec<u8>) {
        if self.head.is_some() {
            return;
        }
        self.head = Some(head(
            id,
            model,
            created,
            &self.told,
            "chat.completion.chunk",
        ));
        let delta = json!({"role": "assistant", "content": "", "refusal": null});
        self.choice(delta, None, out);
    }

    fn part(&mut self, part: PartStart, out: &mut Vec<u8>) -> Open {
        match part {
            PartStart::Text => Open::Text(self.length),
            PartStart::Refusal => {
                self.refusal = true;
                Open::Refusal
            }
            PartStart::Thought { summary, id } => Open::Thought(Thought {
                summary,
                id,
                ..Thought::default()
            }),
            PartStart::ToolCall { name, .. } if self.told.tools.are_functions() => {
                self.function(&name, out)
            }
            PartStart::ToolCall { id, name, custom } => {
                let number = self.calls;
                self.calls += 1;
                let id = call_id(&id, number, &self.told);
                let wrapped = !custom && self.told.tools.wraps(&name);
                let call = if custom || wrapped {
                    json!({"index": number, "id": id, "type": "custom", "custom": {"name": name, "input": ""}})
                } else {
                    json!({"index": number, "id": id, "type": "function", "function": {"name": name, "arguments": ""}})
                };
                self.choice(json!({"tool_calls": [call]}), None, out);
                if wrapped {
                    let arguments = String::new();
                    return Open::Wrapped { number, arguments };
                }
                Open::Call {
                    number,
                    custom,
                    empty: true,
                }
            }
            PartStart::Whole(part) => {
                self.whole(&part, out);
                Open::Whole
            }
        }
    }

    fn function(&mut self, name: &str, out: &mut Vec<u8>) -> Open {
        self.calls += 1;
        if self.calls > 1 {
            let place = format!("parts[{}]", self.parts.len());
            self.dropped.push(dropped_call(&place));
            return Open::Whole;
        }
        let call = json!({"name": name, "arguments": ""});
        self.choice(json!({"function_call": call}), None, out);
        Open::Function { empty: true }
    }

    /// A part in one piece; thoughts, texts and calls come so only from those who do not stream.
    fn whole(&mut self, part: &Part, out: &mut Vec<u8>) {
        let image = match part {
            Part::Image(part) => image(&part.source),
            _ => None,
        };
        if let Some(image) = image {
            self.choice(json!({"images": [image]}), None, out);
        } else if let Some(audio) = sound(part, &self.told) {
            self.choice(json!({"audio": audio}), None, out);
        } else {
            let place = format!("parts[{}]", self.parts.len());
            self.dropped.push(dropped_part(part, &place));
        }
    }

    fn delta(&mut self, index: usize, delta: Delta, out: &mut Vec<u8>) {
        let Some(part) = self.parts.get_mut(index) else {
            return;
        };
        let said = match (part, delta) {
            (_, Delta::Logprobs(more)) => {
                self.flush_logprobs(out);
                self.logprobs = more;
                return;
            }
            (Open::Text(_), Delta::Text(text)) => {
                self.length += characters(&text);
                json!({"content": text})
            }
            (Open::Text(from), Delta::Citation(citation)) => {
                let from = *from;
                let length = self.length.saturating_sub(from);
                let Some(annotation) = cite::encode(&citation, from, length) else {
                    let place = format!("parts[{index}]");
                    self.dropped.push(dropped_citation(&place));
                    return;
                };
                json!({"annotations": [annotation]})
            }
            (Open::Refusal, Delta::Text(text)) => json!({"refusal": text}),
            (Open::Thought(thought), Delta::Text(text)) => {
                thought.text.push_str(&text);
                json!({"reasoning_content": text})
            }
            (Open::Thought(thought), Delta::Signature(more)) => {
                add(&mut thought.signature, more);
                return;
            }
            (Open::Thought(thought), Delta::Sealed(more)) => {
                add(&mut thought.sealed, more);
                return;
            }
            (
                Open::Call {
                    number,
                    custom,
                    empty,
                },
                Delta::Arguments(text),
            ) => {
                *empty = false;
                let (kind, name) = body_of(*custom);
                json!({"tool_calls": [{"index": *number, kind: {name: text}}]})
            }
            (Open::Wrapped { arguments, .. }, Delta::Arguments(text)) => {
                arguments.push_str(&text);
                return;
            }
            (Open::Wrapped { number, .. }, Delta::Signature(signature)) => {
                proof(*number, true, &signature)
            }
            (Open::Function { empty }, Delta::Arguments(text)) => {
                *empty = false;
                json!({"function_call": {"arguments": text}})
            }
            (Open::Function { .. }, Delta::Signature(_)) => {
                let place = format!("parts[{index}]");
                self.dropped.push(dropped_proof(&place));
                return;
            }
            (Open::Call { number, custom, .. }, Delta::Signature(signature)) => {
                proof(*number, *custom, &signature)
            }
            _ => return,
        };
        self.choice(said, None, out);
    }

    /// What proves a thought comes after it, with all of its text, so that a reader can send it back whole.
    fn part_stop(&mut self, index: usize, out: &mut Vec<u8>) {
        self.flush_logprobs(out);
        match self.parts.get(index) {
            Some(Open::Thought(thought)) => {
                let mut delta = Map::new();
                let count = thought::put_details(&mut delta, &[thought], self.thoughts);
                self.thoughts += count;
                if !delta.is_empty() {
                    self.choice(delta.into(), None, out);
                }
            }
            Some(Open::Wrapped { number, arguments }) => {
                let call = json!({"index": number, "custom": {"input": input_of(arguments)}});
                self.choice(json!({"tool_calls": [call]}), None, out);
            }
            Some(
                Open::Function { empty: true }
                | Open::Call {
                    custom: false,
                    empty: true,
                    ..
                },
            ) => {
                let delta = Delta::Arguments("{}".to_owned());
                self.delta(index, delta, out);
            }
            _ => {}
        }
    }

    fn stop(&mut self, stop: &Stop, out: &mut Vec<u8>) {
        self.flush_logprobs(out);
        let held = Held {
            calls: self.calls > 0,
            refusal: self.refusal,
        };
        let (reason, whole) = usage::finish_reason(Some(stop), held);
        if !whole {
            self.dropped.push(dropped_stop(Some(stop)));
        }
        let reason = reason_told(reason, &self.told);
        self.choice(json!({}), Some(reason), out);
        if let Some(used) = self.usage.filter(|_| self.told.stream_usage) {
            let mut chunk = self.head.clone().unwrap_or_default();
            chunk.insert("choices".to_owned(), json!([]));
            chunk.insert("usage".to_owned(), usage::encode(&used));
            write(&chunk.into(), out);
            if used.searches > 0 {
                self.dropped
                    .push(Dropped::new("usage.searches", "there is no such field"));
            }
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
        self.ended = true;
    }

    /// There is no `[DONE]` after an error: nobody is to take what there was for a whole answer.
    fn fail(&mut self, fault: &Fault, out: &mut Vec<u8>) {
        self.ended = true;
        write(&error::encode(fault).body, out);
    }

    fn flush_logprobs(&mut self, out: &mut Vec<u8>) {
        if !self.logprobs.is_empty() {
            let name = if self.refusal && self.length == 0 {
                "refusal"
            } else {
                "content"
            };
            self.choice(json!({name: ""}), None, out);
        }
    }

    fn choice(&mut self, delta: Value, reason: Option<&str>, out: &mut Vec<u8>) {
        let refusal = delta.get("refusal").is_some_and(Value::is_string);
        let tokens = if refusal || delta.get("content").is_some() {
            std::mem::take(&mut self.logprobs)
        } else {
            Vec::new()
        };
        let mut chunk = self.head.clone().unwrap_or_default();
        let choice = json!({
            "index": 0,
            "delta": delta,
            "logprobs": usage::written_logprobs(&tokens, refusal),
            "finish_reason": reason,
        });
        chunk.insert("choices".to_owned(), vec![choice].into());
        if self.told.stream_usage {
            chunk.insert("usage".to_owned(), Value::Null);
        }
        write(&chunk.into(), out);
    }
}

/// What proves a call. A piece without a function is none to the official SDK.
fn proof(number: usize, custom: bool, signature: &Signature) -> Value {
    let (kind, name) = body_of(custom);
    let extra = call::extra(signature);
    json!({"tool_calls": [{"index": number, kind: {name: ""}, "extra_content": extra}]})
}

/// Where the arguments of a call are.
fn body_of(custom: bool) -> (&'static str, &'static str) {
    if custom {
        ("custom", "input")
    } else {
        ("function", "arguments")
    }
}

fn add(signature: &mut Option<Signature>, more: Signature) {
    match signature {
        Some(signature) => signature.value.push_str(&more.value),
        None => *signature = Some(more),
    }
}

fn write(chunk: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(chunk.to_string().as_bytes());
    out.extend_from_slice(b"\n\n");
}
