//! What is known of how busy targets are, and whether anybody needs it.

use std::sync::atomic::Ordering;

use crate::llm::live::{LiveModel, Models, Offer, Offers};
use crate::llm::prefix::Prefixes;
use crate::llm::standing::Standings;
use crate::llm::strategy::Strategy;

impl Models {
    /// How targets are doing, as far as this process knows.
    pub fn standings(&self) -> &Standings {
        &self.0.standings
    }

    pub(crate) fn prefixes(&self) -> &Prefixes {
        &self.0.prefixes
    }

    /// Whether there is a model whose requests go by how busy its targets are.
    pub fn balances(&self) -> bool {
        self.0.balances.load(Ordering::Relaxed)
    }

    pub(super) fn note_balancing(&self, offers: &Offers) {
        let balances = |offer: &Offer| offer.models.all().any(|model| model.balances());
        let balances = offers.values().any(balances);
        self.0.balances.store(balances, Ordering::Relaxed);
    }
}

impl LiveModel {
    /// Whether how busy its targets are decides where a request goes.
    fn balances(&self) -> bool {
        let choices = self.settings.all_targets().count();
        choices > 1 && self.settings.strategy != Strategy::Weighted
    }
}
