//! What nobody is to see of the errors in a stream: the key that its provider was sent, in all its forms. Only frames
//! that tell an error are searched for it, and nothing is made ready before the first of them.

use std::sync::OnceLock;

use bytes::Bytes;

use crate::credential::mask::Mask;
use crate::llm::answer::ChatEvent;
use crate::llm::fault::Fault;

#[derive(Default)]
pub(super) struct Hidden {
    values: Vec<String>,
    mask: OnceLock<Mask>,
}

impl Hidden {
    pub(super) fn of(values: Vec<String>) -> Self {
        Self {
            values,
            mask: OnceLock::new(),
        }
    }

    pub(super) fn bytes(&self, bytes: Bytes) -> Bytes {
        self.mask().bytes(bytes)
    }

    pub(super) fn event(&self, event: &mut ChatEvent) {
        if let ChatEvent::Fault(fault) = event {
            self.fault(fault);
        }
    }

    fn fault(&self, fault: &mut Fault) {
        let mask = self.mask();
        fault.message = mask.text(&fault.message).into_owned();
        for said in [&mut fault.code, &mut fault.field].into_iter().flatten() {
            *said = mask.text(said).into_owned();
        }
    }

    fn mask(&self) -> &Mask {
        self.mask
            .get_or_init(|| Mask::of_values(self.values.clone()))
    }
}
