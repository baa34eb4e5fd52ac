//! A question asked of a model by somebody who is signed in: by the same flow as everybody's, with their own access,
//! and heard piece by piece.

use http::HeaderMap;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use crate::access::caller::Caller;
use crate::access::ledger::LedgerEntry;
use crate::events::{Decoder, Framing};
use crate::llm::answer::{ChatEvent, Delta, PartStart, Stop};
use crate::llm::dialect::openai_chat::StreamDecoder;
use crate::llm::dialect::{Dialect, Dropped};
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::proxy::{Asked, Reply, ReplyBody, ask};
use crate::llm::question::Addressed;
use crate::market::api::Market;
use crate::market::pages::chat_copies::Question;
use crate::mcp::endpoint::trace_id;

/// Of the text of an answer, and of its thoughts, so much is shown.
const TEXT_BYTES_MAX: usize = 256 << 10;

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    Thought(String),
}

/// What was heard of an answer.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) text: String,
    pub(super) thought: String,
    /// It went on for longer than is shown.
    pub(super) cut: bool,
    /// It holds something that is no text.
    pub(super) other: bool,
    pub(super) stop: Option<Stop>,
    pub(super) fault: Option<Fault>,
    pub(super) dropped: Vec<Dropped>,
    /// The numbers of its parts that are thoughts.
    pub(super) thoughts: Vec<usize>,
}

/// An answer on its way. Whoever drops it leaves, and is accounted for as one who left.
pub(super) struct Hearing {
    /// `None`: that was all.
    chunks: Option<mpsc::Receiver<bytes::Bytes>>,
    events: Decoder,
    codec: StreamDecoder,
    heard: Heard,
    receipt: oneshot::Receiver<LedgerEntry>,
}

impl Hearing {
    /// Asks, and comes back once an answer begins or there is none.
    pub(super) async fn begin(
        market: &Market,
        (caller, headers): (&Caller, &HeaderMap),
        question: &Question,
    ) -> Self {
        let mut body = question.body();
        body["stream"] = json!(true);
        body["stream_options"] = json!({ "include_usage": true });
        let (sender, receipt) = oneshot::channel();
        let asked = Asked {
            dialect: Dialect::OpenaiChat,
            addressed: Addressed::default(),
            // A browser's headers are none of a provider's business.
            headers: HeaderMap::new(),
            body: body.to_string().into(),
            peer: None,
            trace_id: trace_id(headers),
            receipt: Some(sender),
            parent: None,
        };
        let (chunks, heard) = match ask(&market.0.parts.llm, caller, asked).await {
            Ok(reply) => opened(reply),
            Err(fault) => (None, Heard::failed(fault)),
        };
        Self {
            chunks,
            events: Decoder::new(Framing::ServerSent),
            codec: StreamDecoder::default(),
            heard,
            receipt,
        }
    }

    /// The next pieces; `None`: there are no more.
    pub(super) async fn more(&mut self) -> Option<Vec<Piece>> {
        let chunk = self.chunks.as_mut()?.recv().await;
        let mut said = Vec::new();
        if let Some(bytes) = &chunk {
            for event in self.events.push(bytes) {
                said.extend(self.codec.push(&event));
            }
        } else {
            self.chunks = None;
            said = self.codec.finish();
        }
        Some(
            said.into_iter()
                .filter_map(|it| self.heard.take(it))
                .collect(),
        )
    }

    /// What was heard, and what is handed to the ledger of it.
    pub(super) async fn end(mut self) -> (Heard, Option<LedgerEntry>) {
        while self.more().await.is_some() {}
        (self.heard, self.receipt.await.ok())
    }
}

fn opened(reply: Reply) -> (Option<mpsc::Receiver<bytes::Bytes>>, Heard) {
    match reply.body {
        ReplyBody::Stream { chunks, .. } => {
            let heard = Heard {
                dropped: reply.dropped,
                ..Heard::default()
            };
            (Some(chunks), heard)
        }
        ReplyBody::Whole(_) => {
            let text = "a stream was asked for, and the answer came in one piece";
            (None, Heard::failed(Fault::new(FaultClass::Internal, text)))
        }
    }
}

impl Heard {
    fn failed(fault: Fault) -> Self {
        Self {
            fault: Some(fault),
            ..Self::default()
        }
    }

    /// Takes in what comes next; what of it is new to read.
    fn take(&mut self, event: ChatEvent) -> Option<Piece> {
        match event {
            ChatEvent::PartStart { index, part } => {
                match part {
                    PartStart::Thought { .. } => self.thoughts.push(index),
                    PartStart::Text | PartStart::Refusal => {}
                    PartStart::ToolCall { .. } | PartStart::Whole(_) => self.other = true,
                }
                None
            }
            ChatEvent::Delta {
                index,
                delta: Delta::Text(text),
            } => {
                if self.thoughts.contains(&index) {
                    let more = added(&mut self.thought, &text);
                    self.cut |= more.len() < text.len();
                    Some(Piece::Thought(more))
                } else {
                    let more = added(&mut self.text, &text);
                    self.cut |= more.len() < text.len();
                    Some(Piece::Text(more))
                }
            }
            ChatEvent::Stop(stop) => {
                self.stop = Some(stop);
                None
            }
            ChatEvent::Fault(fault) => {
                self.fault = Some(fault);
                None
            }
            ChatEvent::Start { .. }
            | ChatEvent::Delta { .. }
            | ChatEvent::PartStop { .. }
            | ChatEvent::Usage(_) => None,
        }
    }
}

/// Adds to a text what it has room for, which is returned.
fn added(text: &mut String, more: &str) -> String {
    let room = TEXT_BYTES_MAX - text.len();
    let more = &more[..more.floor_char_boundary(room)];
    text.push_str(more);
    more.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(index: usize, text: &str) -> ChatEvent {
        ChatEvent::Delta {
            index,
            delta: Delta::Text(text.to_owned()),
        }
    }

    #[test]
    fn thoughts_are_told_from_what_is_said() {
        let mut heard = Heard::default();
        let thought = PartStart::Thought {
            summary: false,
            id: None,
        };
        for event in [
            ChatEvent::PartStart {
                index: 0,
                part: thought,
            },
            text(0, "hm"),
            ChatEvent::PartStart {
                index: 1,
                part: PartStart::Text,
            },
            text(1, "Hel"),
        ] {
            heard.take(event);
        }
        assert_eq!(
            heard.take(text(1, "lo")),
            Some(Piece::Text("lo".to_owned()))
        );
        heard.take(ChatEvent::Stop(Stop::Length));
        assert_eq!((&*heard.thought, &*heard.text), ("hm", "Hello"));
        assert_eq!((heard.stop, heard.cut), (Some(Stop::Length), false));
    }

    #[test]
    fn an_answer_without_end_is_cut() {
        let mut heard = Heard::default();
        let long = "é".repeat(TEXT_BYTES_MAX / 4);
        for _ in 0..5 {
            heard.take(text(0, &long));
        }
        heard.take(text(0, "more"));
        assert_eq!(heard.text.len(), TEXT_BYTES_MAX);
        assert!(heard.cut);
    }
}
