//! What operators ask of a process: is it alive, is it ready, what does it count.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::json;

use crate::app::exposition::Exposition;
use crate::app::measures::{self, Sources};
use crate::app::model_measures;
use crate::app::upkeep;
use crate::live::Catalog;
use crate::store::Store;
use crate::store::changes::Feed;
use crate::types::Clock;

/// A feed that heard nothing for this long, in seconds, is stale: three comparisons were missed.
const STALE_AFTER_S: i64 = 15;

/// What the answers are made of.
#[derive(Clone)]
pub struct Operations(Arc<Parts>);

struct Parts {
    store: Store,
    feed: Feed,
    catalog: Catalog,
    clock: Clock,
    metrics: PrometheusHandle,
    /// When the process began, in seconds since 1970.
    started_at: f64,
    sources: Option<Sources>,
}

impl Operations {
    pub fn new(store: Store, feed: Feed, catalog: Catalog, clock: Clock) -> Self {
        Self(Arc::new(Parts {
            started_at: clock.now().timestamp_millis() as f64 / 1e3,
            store,
            feed,
            catalog,
            clock,
            metrics: recorder(),
            sources: None,
        }))
    }

    /// The same, which tells what calls come to as well.
    #[must_use]
    pub fn watching(self, sources: Sources) -> Self {
        let Parts {
            store,
            feed,
            catalog,
            clock,
            metrics,
            started_at,
            ..
        } = &*self.0;
        Self(Arc::new(Parts {
            store: store.clone(),
            feed: feed.clone(),
            catalog: catalog.clone(),
            clock: clock.clone(),
            metrics: metrics.clone(),
            started_at: *started_at,
            sources: Some(sources),
        }))
    }

    pub fn router(self) -> Router {
        Router::new()
            .route("/healthz", get(async || "ok\n"))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics_text))
            .with_state(self)
    }
}

/// The process's one recorder of metrics.
fn recorder() -> PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER
        .get_or_init(|| {
            let recorder = PrometheusBuilder::new().build_recorder();
            let handle = recorder.handle();
            // A recorder that is installed already goes on; ours then renders nothing.
            let _ = metrics::set_global_recorder(recorder);
            describe();
            handle
        })
        .clone()
}

/// Says what the counters are that are counted where something happens; those that should stay at nothing
/// are there from the start.
fn describe() {
    let counters = [
        (
            "causeway_ledger_entries_lost_total",
            "Calls that could not be written to the ledger.",
        ),
        (
            "causeway_structured_dropped_total",
            "Answers that did not fit their tool's output schema, and were given as text.",
        ),
        (
            "causeway_jq_failed_total",
            "Answers that their owner's filter could not be applied to.",
        ),
    ];
    for (name, help) in counters {
        metrics::describe_counter!(name, help);
        metrics::counter!(name).increment(0);
    }
    let help = "Requests by route and status.";
    metrics::describe_counter!("causeway_http_requests_total", help);
}

async fn ready(State(operations): State<Operations>) -> Response {
    let parts = &operations.0;
    let behind = parts.clock.now().timestamp() - parts.feed.seen_at() / 1_000_000;
    let database = parts.store.ping().await;
    let problem = match (&database, behind > STALE_AFTER_S) {
        (Err(_), _) => Some("the database does not answer"),
        (Ok(()), true) => Some("changes made elsewhere are not heard"),
        (Ok(()), false) => None,
    };
    let (status, body) = match problem {
        None => (StatusCode::OK, json!({ "status": "ready" })),
        Some(why) => (
            StatusCode::SERVICE_UNAVAILABLE,
            json!({ "status": "not ready", "why": why }),
        ),
    };
    (
        status,
        [(CONTENT_TYPE, "application/json")],
        body.to_string(),
    )
        .into_response()
}

async fn metrics_text(State(operations): State<Operations>) -> impl IntoResponse {
    let parts = &operations.0;
    let mut out = Exposition::default();
    out.append(&parts.metrics.render());
    let behind = parts.clock.now().timestamp_micros() - parts.feed.seen_at();
    let stored = (&parts.store, &parts.catalog);
    measures::stored(&mut out, stored, behind.max(0) as f64 / 1e6);
    if let Some(sources) = &parts.sources {
        measures::calls(&mut out, &sources.mcp.meters, stored).await;
        measures::held(&mut out, sources);
        model_measures::write(&mut out, &sources.llm, &parts.store).await;
        upkeep::providers(&mut out, &sources.llm.models);
    }
    measures::process(&mut out, parts.started_at);
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4")],
        out.into_text(),
    )
}
