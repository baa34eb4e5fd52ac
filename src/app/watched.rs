//! What a collector of OpenTelemetry is sent, where one is named.

use std::time::Duration;

use anyhow::Context;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::ground::Ground;
use crate::app::model_measures::for_collector;
use crate::config::Config;
use crate::llm::proxy::Llm;
use crate::telemetry::Telemetry;
use crate::telemetry::export::{Collector, Signal, export, export_measures};
use crate::types::Clock;

/// Where spans go.
pub(super) fn spans(
    config: &Config,
    (tasks, stop): (&TaskTracker, &CancellationToken),
    clock: &Clock,
) -> anyhow::Result<Telemetry> {
    let Some(collector) = collector(config, Signal::Traces)? else {
        return Ok(Telemetry::default());
    };
    let ratio = config.telemetry.sample_ratio;
    let (telemetry, spans, counts) = Telemetry::channel(ratio, clock.clone());
    tasks.spawn(export(collector, spans, counts, stop.clone()));
    Ok(telemetry)
}

/// Sends measures of models from time to time, and once more when no more of them comes.
pub(super) fn measures(config: &Config, ground: &Ground, llm: &Llm) -> anyhow::Result<()> {
    let every = Duration::from_secs(config.telemetry.otlp_metrics_every_s);
    let collector = collector(config, Signal::Metrics)?;
    let Some(collector) = collector.filter(|_| !every.is_zero()) else {
        return Ok(());
    };
    let (models, meters) = (llm.models.clone(), llm.meters.clone());
    let read = move || for_collector(&models, &meters);
    let clock = ground.clock.clone();
    ground.follow(export_measures(
        collector,
        (every, read),
        clock,
        ground.served.clone(),
    ));
    Ok(())
}

fn collector(config: &Config, signal: Signal) -> anyhow::Result<Option<Collector>> {
    let settings = &config.telemetry;
    let Some(endpoint) = &settings.otlp_endpoint else {
        return Ok(None);
    };
    let collector = Collector::open(endpoint, signal, settings.otlp_headers_file.as_deref());
    collector.context("telemetry.otlp_endpoint").map(Some)
}
