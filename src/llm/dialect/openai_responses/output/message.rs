//! Messages of an answer: texts and refusals, several in one item.

use serde_json::{Value, json};

use crate::llm::answer::{Delta, TokenLogprob};
use crate::llm::chat::Citation;
use crate::llm::dialect::Dialect;
use crate::llm::dialect::openai_responses::output::{Item, Output, with};
use crate::llm::dialect::openai_responses::said::annotation;

/// A message, and the piece of it that is open.
#[derive(Debug)]
pub(crate) struct Message {
    pub id: String,
    pub content: Vec<Value>,
    /// The piece that is open: its text, and whether it is a refusal.
    pub text: String,
    pub refusal: bool,
    pub annotations: Vec<Value>,
    /// Citations of the whole piece, which is not over.
    pub cited: Vec<Citation>,
    pub logprobs: Vec<Value>,
}

impl Output {
    pub(crate) fn start_text(&mut self, refusal: bool) {
        self.refused |= refusal;
        let mut message = self.message();
        message.refusal = refusal;
        let place = self.place();
        self.emit("response.content_part.added", || {
            json!({
                "item_id": message.id,
                "output_index": place,
                "content_index": message.content.len(),
                "part": message.piece(),
            })
        });
        self.open = Some(Item::Message(message));
    }

    /// The message that is open, or a new one.
    pub(crate) fn message(&mut self) -> Message {
        match self.open.take() {
            Some(Item::Message(message)) => return message,
            other => self.open = other,
        }
        self.close("completed");
        let id = self.id("msg");
        self.begin_item(json!({
            "id": id, "type": "message", "status": "in_progress", "content": [], "role": "assistant",
        }));
        Message {
            id,
            content: Vec::new(),
            text: String::new(),
            refusal: false,
            annotations: Vec::new(),
            cited: Vec::new(),
            logprobs: Vec::new(),
        }
    }

    pub(crate) fn more_text(&mut self, mut message: Message, delta: Delta) -> Message {
        let at = json!({
            "item_id": message.id,
            "output_index": self.place(),
            "content_index": message.content.len(),
        });
        match delta {
            Delta::Text(text) if message.refusal => {
                message.text.push_str(&text);
                self.emit("response.refusal.delta", || with(at, "delta", json!(text)));
            }
            Delta::Text(text) => {
                message.text.push_str(&text);
                let fields = || with(with(at, "delta", json!(text)), "logprobs", json!([]));
                self.emit("response.output_text.delta", fields);
            }
            Delta::Logprobs(more) => {
                let more: Vec<Value> = more.iter().map(written_logprob).collect();
                let fields = || with(with(at, "delta", json!("")), "logprobs", json!(more));
                self.emit("response.output_text.delta", fields);
                message.logprobs.extend(more);
            }
            Delta::Citation(citation) if is_of_all(&citation) => message.cited.push(citation),
            Delta::Citation(citation) => self.cite(&mut message, &citation),
            Delta::Signature(_) | Delta::Sealed(_) | Delta::Arguments(_) => {}
        }
        message
    }

    fn cite(&mut self, message: &mut Message, citation: &Citation) {
        let length = message.text.chars().count() as u64;
        let Some(annotation) = annotation(citation, length) else {
            return self.drop("citations", "only those of pages have a form here");
        };
        let at = json!({
            "item_id": message.id,
            "output_index": self.place(),
            "content_index": message.content.len(),
            "annotation_index": message.annotations.len(),
        });
        let fields = || with(at, "annotation", annotation.clone());
        self.emit("response.output_text.annotation.added", fields);
        message.annotations.push(annotation);
    }

    pub(crate) fn end_text(&mut self, mut message: Message) -> Message {
        for citation in std::mem::take(&mut message.cited) {
            self.cite(&mut message, &citation);
        }
        let at = json!({
            "item_id": message.id,
            "output_index": self.place(),
            "content_index": message.content.len(),
        });
        let place = at.clone();
        if message.refusal {
            let fields = || with(place, "refusal", json!(message.text));
            self.emit("response.refusal.done", fields);
        } else {
            let fields = || {
                let fields = with(place, "text", json!(message.text));
                with(fields, "logprobs", json!(message.logprobs))
            };
            self.emit("response.output_text.done", fields);
        }
        let piece = message.piece();
        let fields = || with(at, "part", piece.clone());
        self.emit("response.content_part.done", fields);
        message.content.push(piece);
        message.text.clear();
        message.annotations.clear();
        message.logprobs.clear();
        message
    }
}

impl Message {
    fn piece(&self) -> Value {
        if self.refusal {
            return json!({"type": "refusal", "refusal": self.text});
        }
        json!({
            "type": "output_text",
            "annotations": self.annotations,
            "logprobs": self.logprobs,
            "text": self.text,
        })
    }
}

/// Whether a citation is of all the text, whose length its end tells.
fn is_of_all(citation: &Citation) -> bool {
    let is_own = matches!(citation.whole, Some((Dialect::OpenaiResponses, _)));
    citation.span.is_none() && !is_own
}

fn written_logprob(token: &TokenLogprob) -> Value {
    let bytes = |token: &TokenLogprob| match &token.bytes {
        Some(bytes) => bytes.clone(),
        None => token.token.as_bytes().to_vec(),
    };
    let top = token.top.iter().map(
        |token| json!({"token": token.token, "bytes": bytes(token), "logprob": token.logprob}),
    );
    json!({
        "token": token.token,
        "bytes": bytes(token),
        "logprob": token.logprob,
        "top_logprobs": top.collect::<Vec<Value>>(),
    })
}
