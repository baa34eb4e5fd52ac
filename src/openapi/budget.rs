//! What one document may cost after its references are followed. A small document can ask for a
//! large answer; the budget is what says no.

use crate::openapi::{DocumentError, DocumentLimits};

/// Counts down; once it is spent, whoever asks stops.
#[derive(Debug)]
pub struct Budget {
    expansions: usize,
    nodes: usize,
    limits: DocumentLimits,
}

impl Budget {
    pub fn new(limits: &DocumentLimits) -> Self {
        Self {
            expansions: limits.expansions_max,
            nodes: limits.nodes_max,
            limits: limits.clone(),
        }
    }

    /// Takes `count` values of the answer; `false` once there are none left.
    pub fn take_nodes(&mut self, count: usize) -> bool {
        self.nodes = self.nodes.saturating_sub(count);
        self.nodes > 0
    }

    /// Takes what a copy of `bytes` of text costs.
    pub fn take_text(&mut self, bytes: usize) {
        const BYTES_PER_NODE: usize = 64;
        self.take_nodes(bytes / BYTES_PER_NODE);
    }

    /// Takes `count` expansions; `false` (and nothing taken) if that is more than is left.
    pub fn take_expansions(&mut self, count: usize) -> bool {
        match self.expansions.checked_sub(count) {
            Some(left) => {
                self.expansions = left;
                true
            }
            None => {
                self.expansions = 0;
                false
            }
        }
    }

    /// # Errors
    /// The limit that was reached, by name.
    pub fn check(&self) -> Result<(), DocumentError> {
        if self.nodes == 0 {
            return Err(DocumentError::Budget {
                what: "values after references are followed",
                limit: self.limits.nodes_max,
            });
        }
        if self.expansions == 0 {
            return Err(DocumentError::Budget {
                what: "reference expansions",
                limit: self.limits.expansions_max,
            });
        }
        Ok(())
    }
}
