//! A stored model as it is written: all members side by side, so that an error names the one that is wrong.

use serde::Deserialize;

use crate::access::limit::Limit;
use crate::llm::canary::Canary;
use crate::llm::live::{OnExhaust, StoredModel};
use crate::llm::route::{
    FallbackOn, ModelSettings, OnDisconnect, OnLoss, Shadow, Target, Times, one, usual_ttl,
};
use crate::llm::strategy::Strategy;

/// [`StoredModel`], without the settings within it: what is read through them has lost its place.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Written {
    targets: Vec<Target>,
    #[serde(default = "one")]
    retries: u32,
    #[serde(default)]
    fallback_on: Option<Vec<FallbackOn>>,
    #[serde(default)]
    times: Times,
    #[serde(default)]
    strategy: Strategy,
    #[serde(default = "usual_ttl")]
    affinity_ttl_seconds: u64,
    #[serde(default)]
    rank: u32,
    #[serde(default)]
    canary: Option<Canary>,
    #[serde(default)]
    shadow: Option<Shadow>,
    #[serde(default)]
    on_loss: OnLoss,
    #[serde(default)]
    on_disconnect: OnDisconnect,
    #[serde(default)]
    limits: Vec<Limit>,
    #[serde(default)]
    on_exhaust: Option<OnExhaust>,
    #[serde(default)]
    log_bodies: bool,
}

impl From<Written> for StoredModel {
    fn from(written: Written) -> Self {
        Self {
            settings: ModelSettings {
                targets: written.targets,
                retries: written.retries,
                fallback_on: written.fallback_on,
                times: written.times,
                strategy: written.strategy,
                affinity_ttl_seconds: written.affinity_ttl_seconds,
                rank: written.rank,
                canary: written.canary,
                shadow: written.shadow,
                on_loss: written.on_loss,
                on_disconnect: written.on_disconnect,
            },
            limits: written.limits,
            on_exhaust: written.on_exhaust,
            log_bodies: written.log_bodies,
        }
    }
}
