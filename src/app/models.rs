//! The side that models are asked at, put together.

use std::sync::Arc;

use crate::app::ground::Ground;
use crate::demo;
use crate::llm::endpoint::Endpoint;
use crate::llm::live::Models;
use crate::llm::price::PriceBook;
use crate::llm::proxy::Llm;
use crate::market::api::Market;

/// Providers and models, in step with the database.
pub(super) async fn open(ground: &Ground) -> anyhow::Result<Models> {
    let kept = (ground.store.clone(), ground.vault.clone());
    let models = Models::open(kept, ground.egress.clone(), Some(demo::model::service())).await?;
    let followed = models.clone();
    ground.follow(followed.follow(ground.store.changes(), ground.stop.clone()));
    Ok(models)
}

/// What answers for them.
pub(super) fn endpoint(market: &Market, ground: &Ground) -> Endpoint {
    let parts = &market.0.parts;
    let llm = Llm {
        models: parts.models.clone(),
        egress: ground.egress.clone(),
        ledger: parts.mcp.ledger.clone(),
        limiter: parts.mcp.limiter.clone(),
        clock: ground.clock.clone(),
        prices: PriceBook::default(),
        streams: ground.tasks.clone(),
        shutdown: ground.stop.clone(),
    };
    Endpoint {
        llm: Arc::new(llm),
        authenticator: parts.authenticator.clone(),
    }
}
