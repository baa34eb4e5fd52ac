//! How providers of models are doing, as measures: of those of one name in several organizations, the worst.

use std::collections::BTreeMap;

use crate::app::exposition::{Exposition, Kind};
use crate::llm::live::{LiveProvider, Models};

/// Writes down how each provider is doing that is there now.
pub(super) fn providers(out: &mut Exposition, models: &Models) {
    let providers = models.all_providers();
    let by_name = |value: &dyn Fn(&LiveProvider) -> Option<f64>| {
        let mut values: BTreeMap<String, f64> = BTreeMap::new();
        for provider in &providers {
            if let Some(value) = value(provider) {
                let worst = values.entry(provider.name.clone()).or_insert(value);
                *worst = worst.max(value);
            }
        }
        values
    };
    let mut write = |name, help, values: BTreeMap<String, f64>| {
        let mut family = out.family(name, Kind::Gauge, help);
        for (provider, value) in values {
            family.sample(&[("provider", &provider)], value);
        }
    };
    write(
        "causeway_provider_down",
        "1: checks in the background found the provider down. Those that are checked only.",
        by_name(&|it| {
            it.health
                .map(|_| f64::from(u8::from(it.standing.is_down())))
        }),
    );
    write(
        "causeway_provider_requests",
        "Requests that the provider has of this process.",
        by_name(&|it| Some(it.standing.busy.running() as f64)),
    );
    let reported = |it: &LiveProvider| {
        let (_, told) = it.load.and_then(|_| it.standing.load())?;
        told.ok()
    };
    write(
        "causeway_provider_reported_running",
        "Requests that a vLLM or SGLang server says it works on, whoever sent them.",
        by_name(&|it| reported(it).map(|load| load.running as f64)),
    );
    write(
        "causeway_provider_reported_waiting",
        "Requests that a vLLM or SGLang server says wait there.",
        by_name(&|it| reported(it).map(|load| load.waiting as f64)),
    );
}
