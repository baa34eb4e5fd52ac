//! Parts of an answer, as the places of a stream's items they are at.

use serde_json::Value;

use crate::llm::answer::{ChatEvent, Delta, PartStart};
use crate::llm::dialect::openai_responses::parts::{citation, logprobs};
use crate::llm::dialect::openai_responses::stream::{Piece, Slot, StreamDecoder};

impl StreamDecoder {
    /// The part at a place, which begins where it has not.
    pub(crate) fn open(&mut self, place: u64, slot: Slot) -> Option<&mut Piece> {
        let item = self.items.entry(place).or_default();
        if !item.slots.contains_key(&slot) {
            let start = match slot {
                Slot::Text(_) => PartStart::Text,
                Slot::Refusal(_) => PartStart::Refusal,
                Slot::Summary(_) | Slot::Thought(_) => PartStart::Thought {
                    summary: item.meant.unwrap_or(matches!(slot, Slot::Summary(_))),
                    id: item.id.clone(),
                },
                Slot::Call => item.call.take()?,
            };
            self.close_item_parts(place);
            self.begin(place, slot, start);
        }
        self.items.get_mut(&place)?.slots.get_mut(&slot)
    }

    fn begin(&mut self, place: u64, slot: Slot, part: PartStart) {
        let index = self.next;
        self.next += 1;
        self.refused |= matches!(part, PartStart::Refusal);
        let is_call = matches!(part, PartStart::ToolCall { .. });
        self.events.push(ChatEvent::PartStart { index, part });
        if is_call {
            self.last_call = Some(index);
            let signature = self.of_next_call.take().map(Delta::Signature);
            let event = |delta| ChatEvent::Delta { index, delta };
            self.events.extend(signature.map(event));
        }
        let piece = Piece::new(index, false);
        self.items
            .entry(place)
            .or_default()
            .slots
            .insert(slot, piece);
    }

    /// More text of a part.
    pub(crate) fn grow(&mut self, place: u64, slot: Slot, more: &str) {
        let Some(piece) = self.open(place, slot).filter(|_| !more.is_empty()) else {
            return;
        };
        piece.text.push_str(more);
        let index = piece.index;
        let delta = match slot {
            Slot::Call => Delta::Arguments(more.to_owned()),
            _ => Delta::Text(more.to_owned()),
        };
        self.events.push(ChatEvent::Delta { index, delta });
    }

    /// The whole text of a part: what is not yet said of it is said.
    pub(crate) fn settle(&mut self, place: u64, slot: Slot, whole: Option<&str>) {
        let said = self.open(place, slot).map(|piece| piece.text.clone());
        let more = said.zip(whole).and_then(|(said, whole)| {
            let more = whole.strip_prefix(said.as_str())?;
            Some(more.to_owned())
        });
        if let Some(more) = more {
            self.grow(place, slot, &more);
        }
    }

    pub(crate) fn more_logprobs(&mut self, place: u64, at: u64, list: &Value, seen: usize) {
        let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
        let more = logprobs(list.get(seen..).unwrap_or_default());
        if more.is_empty() {
            return;
        }
        if let Some(piece) = self.open(place, Slot::Text(at)) {
            piece.logprobs += more.len();
            let (index, delta) = (piece.index, Delta::Logprobs(more));
            self.events.push(ChatEvent::Delta { index, delta });
        }
    }

    pub(crate) fn cite(&mut self, place: u64, at: u64, annotation: &Value) {
        if let Some(piece) = self.open(place, Slot::Text(at)) {
            piece.citations += 1;
            let (index, delta) = (piece.index, Delta::Citation(citation(annotation.clone())));
            self.events.push(ChatEvent::Delta { index, delta });
        }
    }

    pub(crate) fn close(&mut self, place: u64, slot: Slot) {
        let item = self.items.get_mut(&place);
        let Some(piece) = item.and_then(|item| item.slots.get_mut(&slot)) else {
            return;
        };
        if !std::mem::replace(&mut piece.closed, true) {
            let index = piece.index;
            self.events.push(ChatEvent::PartStop { index });
        }
    }

    pub(crate) fn close_item_parts(&mut self, place: u64) {
        let slots = self
            .items
            .get(&place)
            .map(|item| item.slots.keys().copied());
        let slots: Vec<Slot> = slots.into_iter().flatten().collect();
        for slot in slots {
            self.close(place, slot);
        }
    }
}

impl Piece {
    pub(crate) fn new(index: usize, closed: bool) -> Self {
        Self {
            index,
            text: String::new(),
            citations: 0,
            logprobs: 0,
            closed,
        }
    }
}
