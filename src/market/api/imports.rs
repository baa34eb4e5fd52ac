//! Imports that take longer than a request should: their progress can be asked for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Path, State};
use parking_lot::Mutex;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::extract::Admin;
use crate::market::api::Market;
use crate::problem::Problem;

const KEPT_MAX: usize = 1_000;
const KEPT_FOR: Duration = Duration::from_hours(1);

/// Imports of this process, running and just ended.
#[derive(Default)]
pub(crate) struct Imports {
    by_id: Mutex<HashMap<Uuid, Import>>,
}

struct Import {
    started: Instant,
    state: &'static str,
    result: Option<Arc<Value>>,
}

impl Imports {
    /// An import that runs now.
    pub(crate) fn start(&self) -> Uuid {
        let id = Uuid::now_v7();
        let mut by_id = self.by_id.lock();
        by_id.retain(|_, import| import.started.elapsed() < KEPT_FOR);
        if by_id.len() < KEPT_MAX {
            by_id.insert(
                id,
                Import {
                    started: Instant::now(),
                    state: "running",
                    result: None,
                },
            );
        }
        id
    }

    /// It ended, well (`done`) or not (`failed`).
    pub(crate) fn finish(&self, id: Uuid, state: &'static str, result: Value) {
        if let Some(import) = self.by_id.lock().get_mut(&id) {
            import.state = state;
            import.result = Some(Arc::new(result));
        }
    }

    /// What is known of an import.
    pub(crate) fn view(&self, id: Uuid) -> Option<Value> {
        let by_id = self.by_id.lock();
        let import = by_id.get(&id)?;
        Some(json!({
            "id": id,
            "state": import.state,
            "seconds": import.started.elapsed().as_secs(),
            "result": import.result.as_deref(),
        }))
    }
}

pub(super) async fn show(
    State(market): State<Market>,
    _: Admin,
    Path(id): Path<Uuid>,
) -> Result<Json<Value>, Problem> {
    market
        .0
        .imports
        .view(id)
        .map(Json)
        .ok_or_else(Problem::not_found)
}

/// What is known of an import, for the page that shows it.
pub(crate) fn view(market: &Market, id: Uuid) -> Option<Value> {
    market.0.imports.view(id)
}
