//! The provider in the process itself, and the model that leads to it: there before anybody adds one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use crate::egress::Upstream;
use crate::llm::arm::target_of;
use crate::llm::live::urls::Urls;
use crate::llm::live::{DEMO, LiveModel, LiveProvider, Models, Offer};
use crate::llm::names::Pattern;
use crate::llm::provider::{self, Capability, Provider};

/// Where it is; no connection leads there.
const DEMO_BASE: &str = "http://demo.internal/v1";

impl Models {
    /// The model that works without a provider, unless its name is taken.
    pub(super) fn add_demo(&self, offer: &mut Offer) {
        let Some(service) = &self.0.demo else { return };
        if offer.providers.contains_key(DEMO)
            || offer.models.find(DEMO).is_some_and(|it| it.name == DEMO)
        {
            return;
        }
        let Some(provider) = provider::find("openai-compatible") else {
            return;
        };
        let base = DEMO_BASE.to_owned();
        let live = LiveProvider {
            name: DEMO.to_owned(),
            provider: Provider {
                auth: provider::Auth::None,
                capabilities: vec![Capability::Chat],
                ..provider.clone()
            },
            parameters: BTreeMap::from([("base_url".to_owned(), base)]),
            upstream: Upstream::Internal(service.clone()),
            keys: Vec::new(),
            pass_through: false,
            files: false,
            breaker: Arc::default(),
            turn: AtomicUsize::new(0),
            standing: Arc::default(),
            health: None,
            load: None,
            urls: Urls::default(),
        };
        offer.providers.insert(DEMO.to_owned(), Arc::new(live));
        let model = Arc::new(LiveModel::to(DEMO, target_of(DEMO, None)));
        offer
            .models
            .insert(Pattern::Exact(DEMO.to_owned()), 0, model);
    }
}
