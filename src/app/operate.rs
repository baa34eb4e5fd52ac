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
}

impl Operations {
    pub fn new(store: Store, feed: Feed, catalog: Catalog, clock: Clock) -> Self {
        Self(Arc::new(Parts {
            store,
            feed,
            catalog,
            clock,
            metrics: recorder(),
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
            handle
        })
        .clone()
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
    let (servers, bytes) = operations.0.catalog.held();
    metrics::gauge!("causeway_live_servers").set(servers as f64);
    metrics::gauge!("causeway_live_bytes").set(bytes as f64);
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4")],
        operations.0.metrics.render(),
    )
}
