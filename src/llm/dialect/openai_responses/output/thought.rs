//! Reasoning of an answer: summaries and thoughts, and what proves them.

use serde_json::{Value, json};

use crate::llm::answer::Delta;
use crate::llm::chat::Signature;
use crate::llm::dialect::openai_responses::output::{Item, Output, with};
use crate::llm::dialect::openai_responses::seal::{Of, own_id, unsigned, wrap};

/// An item of reasoning, and the piece of it that is open.
#[derive(Debug)]
pub(crate) struct Reasoning {
    pub id: String,
    /// Of whoever thought it; `None` where the id is ours.
    pub own: Option<String>,
    pub pieces: [Vec<Value>; 2],
    /// Whether the open piece is a summary.
    pub summary: bool,
    /// Whether the thought is one: those of others are written as summaries all the same.
    pub meant: bool,
    pub text: String,
    pub signature: Option<Signature>,
    pub sealed: Option<Signature>,
}

impl Output {
    /// Thoughts of the same item go on with it, until it is sealed.
    pub(crate) fn start_thought(&mut self, summary: bool, id: Option<String>) {
        let id = own_id(id.as_ref());
        if let Some(Item::Reasoning(open)) = &mut self.open
            && open.own.is_some()
            && open.own == id
        {
            (open.summary, open.meant) = (summary, summary);
            return;
        }
        self.close("completed");
        let meant = summary;
        let summary = summary || id.is_none();
        let own = id.clone();
        let id = id.unwrap_or_else(|| self.id("rs"));
        let mut item = json!({"id": id, "type": "reasoning", "summary": []});
        if own.is_none() {
            item["encrypted_content"] = json!(unsigned(meant));
        }
        self.begin_item(item);
        self.open = Some(Item::Reasoning(Reasoning {
            id,
            own,
            pieces: [Vec::new(), Vec::new()],
            summary,
            meant,
            text: String::new(),
            signature: None,
            sealed: None,
        }));
    }

    pub(crate) fn more_thought(&mut self, mut thought: Reasoning, delta: Delta) -> Reasoning {
        let add = |to: &mut Option<Signature>, more: Signature| match to {
            Some(signature) => signature.value.push_str(&more.value),
            None => *to = Some(more),
        };
        match delta {
            Delta::Signature(more) => add(&mut thought.signature, more),
            Delta::Sealed(more) => add(&mut thought.sealed, more),
            Delta::Text(text) if !text.is_empty() => {
                if thought.text.is_empty() {
                    let (added, _) = thought.part_events();
                    let piece = thought.piece();
                    let at = thought.at(self.place());
                    self.emit(added, || with(at, "part", piece));
                }
                thought.text.push_str(&text);
                let kind = if thought.summary {
                    "response.reasoning_summary_text.delta"
                } else {
                    "response.reasoning_text.delta"
                };
                let at = thought.at(self.place());
                self.emit(kind, || with(at, "delta", json!(text)));
            }
            _ => {}
        }
        thought
    }

    pub(crate) fn end_thought(&mut self, mut thought: Reasoning) {
        if !thought.text.is_empty() {
            let kind = if thought.summary {
                "response.reasoning_summary_text.done"
            } else {
                "response.reasoning_text.done"
            };
            let at = thought.at(self.place());
            self.emit(kind, || with(at, "text", json!(thought.text)));
            let (piece, at) = (thought.piece(), thought.at(self.place()));
            let (_, done) = thought.part_events();
            self.emit(done, || with(at, "part", piece.clone()));
            thought.pieces[usize::from(!thought.summary)].push(piece);
            thought.text.clear();
        }
        let over = thought.own.is_none() || thought.signature.is_some() || thought.sealed.is_some();
        if over {
            self.close_thought(thought);
        } else {
            self.open = Some(Item::Reasoning(thought));
        }
    }

    pub(crate) fn close_thought(&mut self, thought: Reasoning) {
        let signature = thought
            .signature
            .map(|value| wrap(Of::Thought, thought.meant, &value));
        let sealed = thought
            .sealed
            .map(|value| wrap(Of::Sealed, thought.meant, &value));
        let (first, second) = match (signature, sealed) {
            (Some(signature), sealed) => (Some(signature), sealed),
            (None, sealed) => (sealed, None),
        };
        let none = || thought.own.is_none().then(|| unsigned(thought.meant));
        let encrypted = first.or_else(none);
        let [summary, content] = thought.pieces;
        let mut item = json!({"id": thought.id, "type": "reasoning", "summary": summary});
        if !content.is_empty() {
            item["content"] = json!(content);
        }
        if let Some(encrypted) = encrypted {
            item["encrypted_content"] = json!(encrypted);
        }
        self.end_item(item);
        if let Some(second) = second {
            self.sealed_item(second);
        }
    }

    /// An item of reasoning with nothing but what is for its maker.
    pub(crate) fn sealed_item(&mut self, encrypted: String) {
        let item = json!({
            "id": self.id("rs"), "type": "reasoning", "summary": [], "encrypted_content": encrypted,
        });
        self.begin_item(item.clone());
        self.end_item(item);
    }
}

impl Reasoning {
    fn piece(&self) -> Value {
        let kind = if self.summary {
            "summary_text"
        } else {
            "reasoning_text"
        };
        json!({"type": kind, "text": self.text})
    }

    /// Where the open piece is.
    fn at(&self, place: usize) -> Value {
        let pieces = &self.pieces[usize::from(!self.summary)];
        let index = if self.summary {
            "summary_index"
        } else {
            "content_index"
        };
        json!({"item_id": self.id, "output_index": place, index: pieces.len()})
    }

    fn part_events(&self) -> (&'static str, &'static str) {
        if self.summary {
            (
                "response.reasoning_summary_part.added",
                "response.reasoning_summary_part.done",
            )
        } else {
            ("response.content_part.added", "response.content_part.done")
        }
    }
}
