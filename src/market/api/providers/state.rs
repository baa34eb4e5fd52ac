//! How a provider is doing, as the process that answers knows it.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use crate::access::person::Person;
use crate::llm::live::LiveProvider;
use crate::market::api::Market;

pub(super) fn view(live: &LiveProvider) -> Value {
    let (standing, checks) = (&live.standing, live.standing.checks());
    let told = live.load.and_then(|_| standing.load());
    let load = told.map(|(at, said)| match said {
        Ok(load) => json!({ "at": at, "running": load.running, "waiting": load.waiting }),
        Err(message) => json!({ "at": at, "message": message }),
    });
    let check = live.health.and(checks.at).map(|at| {
        json!({
            "at": at,
            "ok": checks.failures == 0,
            "inARow": checks.failures.max(checks.successes),
            "message": checks.message,
        })
    });
    json!({
        "down": standing.is_down(),
        "leftAlone": !live.is_well(Instant::now()),
        "running": standing.busy.running(),
        "check": check,
        "load": load,
    })
}

/// The provider as requests find it.
pub(super) fn live_of(market: &Market, person: &Person, name: &str) -> Option<Arc<LiveProvider>> {
    let models = &market.0.parts.llm.models;
    models.provider_of(person.organization(), name)
}
