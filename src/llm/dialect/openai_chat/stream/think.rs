//! Thoughts of a stream: plain text, or details that say what they are.

use serde_json::{Map, Value};

use crate::llm::answer::{ChatEvent, Delta, PartStart};
use crate::llm::dialect::openai_chat::stream::{Kind, Open, StreamDecoder, Thinking};
use crate::llm::dialect::openai_chat::thought::{self, Detail};

impl StreamDecoder {
    /// Thoughts: in details, or as plain text.
    pub(super) fn think(&mut self, said: &Map<String, Value>) {
        let details = thought::details(said);
        let told = details.iter().any(|detail| !detail.text.is_empty());
        if let Some(text) = thought::text(said).filter(|_| !told) {
            self.plain_thought(text);
        }
        for (at, detail) in details.into_iter().enumerate() {
            self.detail(detail, at == 0);
        }
    }

    pub(super) fn plain_thought(&mut self, text: &str) {
        let open = self.open.as_ref();
        let goes_on = open.is_some_and(|open| {
            let thinking = &open.thinking;
            open.kind == Kind::Thought && !thinking.signed && !thinking.sealed && !thinking.repeated
        });
        if !goes_on {
            self.open_thought(Thinking::default());
        }
        self.more_thought(text);
    }

    fn detail(&mut self, detail: Detail, first: bool) {
        if !self.goes_on(&detail, first) {
            self.open_thought(Thinking {
                summary: detail.summary,
                id: detail.id.clone(),
                ..Thinking::default()
            });
        }
        let Some(Open {
            index, thinking, ..
        }) = &mut self.open
        else {
            return;
        };
        let index = *index;
        // What was said as plain text is repeated beside its proof.
        let repeated = !thinking.detailed && thinking.text == detail.text;
        thinking.detailed = true;
        thinking.repeated |= repeated && !detail.text.is_empty();
        thinking.key = detail.index.or(thinking.key);
        thinking.id = thinking.id.take().or(detail.id);
        thinking.signed |= detail.signature.is_some();
        thinking.sealed |= detail.sealed.is_some();
        if !repeated && !detail.text.is_empty() {
            self.more_thought(&detail.text);
        }
        let signature = detail.signature.map(Delta::Signature);
        let sealed = detail.sealed.map(Delta::Sealed);
        let deltas = signature.into_iter().chain(sealed);
        self.out
            .extend(deltas.map(|delta| ChatEvent::Delta { index, delta }));
    }

    /// Whether a detail is more of the open thought.
    fn goes_on(&self, detail: &Detail, first: bool) -> bool {
        let Some(open) = self.open.as_ref().filter(|open| open.kind == Kind::Thought) else {
            return false;
        };
        let thinking = &open.thinking;
        if detail.sealed.is_some() {
            return thought::goes_with(detail, thinking.id.as_deref(), thinking.sealed);
        }
        let same = match (detail.index, thinking.key) {
            (Some(this), Some(that)) => this == that,
            _ => first,
        };
        let alike = detail.summary == thinking.summary || detail.text.is_empty();
        same && !thinking.sealed && (alike || !thinking.detailed)
    }

    pub(super) fn open_thought(&mut self, thinking: Thinking) {
        let start = PartStart::Thought {
            summary: thinking.summary,
            id: thinking.id.clone(),
        };
        self.open(Kind::Thought, start, thinking);
    }

    fn more_thought(&mut self, text: &str) {
        if let Some(open) = &mut self.open {
            open.thinking.text.push_str(text);
            let (index, delta) = (open.index, Delta::Text(text.to_owned()));
            self.out.push(ChatEvent::Delta { index, delta });
        }
    }
}
