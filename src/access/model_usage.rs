//! What was asked of models over a time, told as [`usage`](crate::access::usage) tells calls of tools: by model,
//! provider, target or consumer.

use uuid::Uuid;

use crate::access::usage::{self, Counted};
use crate::store::model_usage::{ModelUsageRow, ModelsUsed};
use crate::store::{Store, StoreError};
use crate::types::{Latency, OrganizationId};

/// A window of calls of models, told.
pub type Report = usage::Report<ModelUsageRow>;

/// What calls are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// As callers name it.
    Model,
    /// Of the target.
    Provider,
    /// `provider/model` of the one that answered.
    Target,
    Consumer,
    /// Which of several sets of targets of its model it went to.
    Arm,
}

/// What calls are of. Nobody, and nothing, is the nil UUID and the empty text.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Of {
    pub model: String,
    pub provider: String,
    pub target: String,
    pub consumer: Uuid,
    pub arm: String,
}

/// What calls come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub calls: i64,
    pub errors: i64,
    /// Those whose client left. They neither failed nor succeeded.
    pub cancelled: i64,
    /// Those whose tokens were counted here.
    pub estimated: i64,
    pub tokens_input: i64,
    pub tokens_cached: i64,
    pub tokens_cache_write: i64,
    pub tokens_output: i64,
    pub tokens_reasoning: i64,
    pub cost_nanos: i64,
    /// Calls whose tokens have no price: what they cost is not in the sum.
    pub unknown_costs: i64,
    /// Of the calls that were answered.
    pub latency: Latency,
    pub first_token: Latency,
}

impl Tally {
    /// What the calls cost, as far as it is known; `None`: they used tokens, and none of those has a price.
    pub fn known_cost(&self) -> Option<i64> {
        (self.cost_nanos > 0 || self.unknown_costs == 0).then_some(self.cost_nanos)
    }
}

impl Counted for ModelUsageRow {
    type Used = ModelsUsed;
    type By = By;
    type Of = Of;
    type Tally = Tally;
    /// Of whole answers, and to the first token.
    type Times = (Latency, Latency);
    type Rank = (i64, i64);

    async fn fetch(
        store: &Store,
        (organization, used): (OrganizationId, &ModelsUsed),
        span: (i64, i64),
        limit: i64,
    ) -> Result<Vec<Self>, StoreError> {
        store.model_usage(organization, used, span, limit).await
    }

    fn bucket(&self) -> i64 {
        self.bucket
    }

    fn times(&self) -> Option<(Latency, Latency)> {
        let latency = Latency::from_text(&self.latency)?;
        Some((latency, Latency::from_text(&self.first_token)?))
    }

    fn of(&self, by: By) -> Of {
        let nothing = Of::default();
        match by {
            By::Model => Of {
                model: self.model.clone(),
                ..nothing
            },
            By::Provider => Of {
                provider: provider(&self.target).to_owned(),
                ..nothing
            },
            By::Target => Of {
                target: self.target.clone(),
                ..nothing
            },
            By::Consumer => Of {
                consumer: self.consumer_id,
                ..nothing
            },
            By::Arm => Of {
                arm: self.arm.clone(),
                ..nothing
            },
        }
    }

    fn add_to(&self, tally: &mut Tally, (latency, first_token): &(Latency, Latency)) {
        if self.status == "cancelled" {
            tally.cancelled = tally.cancelled.saturating_add(self.calls);
        }
        for (sum, more) in [
            (&mut tally.calls, self.calls),
            (&mut tally.errors, self.errors),
            (&mut tally.estimated, self.estimated),
            (&mut tally.tokens_input, self.tokens_input),
            (&mut tally.tokens_cached, self.tokens_cached),
            (&mut tally.tokens_cache_write, self.tokens_cache_write),
            (&mut tally.tokens_output, self.tokens_output),
            (&mut tally.tokens_reasoning, self.tokens_reasoning),
            (&mut tally.cost_nanos, self.cost_nanos),
            (&mut tally.unknown_costs, self.unknown_costs),
        ] {
            *sum = sum.saturating_add(more);
        }
        if !matches!(self.status.as_str(), "cancelled" | "refused") {
            tally.latency.merge(latency);
        }
        tally.first_token.merge(first_token);
    }

    /// The dearest first, and of those that cost the same the most called.
    fn rank(tally: &Tally) -> (i64, i64) {
        (tally.cost_nanos, tally.calls)
    }
}

/// The provider of a target: what stands before the slash.
fn provider(target: &str) -> &str {
    target.split('/').next().unwrap_or_default()
}
