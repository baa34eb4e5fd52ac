//! The side that models are asked at, put together.

use std::sync::Arc;

use anyhow::Context;

use crate::app::ground::Ground;
use crate::app::prices;
use crate::config::Config;
use crate::demo;
use crate::llm::bodies::Redactor;
use crate::llm::elsewhere;
use crate::llm::endpoint::Endpoint;
use crate::llm::exact::Counting;
use crate::llm::health;
use crate::llm::live::Models;
use crate::llm::meter::ModelMeters;
use crate::llm::price::PriceBook;
use crate::llm::proxy::Llm;
use crate::llm::rollback;
use crate::market::api::Market;
use crate::mcp::call::Mcp;
use crate::mcp::endpoint::Origins;

/// Providers and models, in step with the database.
pub(super) async fn open(ground: &Ground) -> anyhow::Result<Models> {
    let kept = (ground.store.clone(), ground.vault.clone());
    let demo = demo::model::service(ground.clock.clone());
    let models = Models::open(kept, ground.egress.clone(), Some(demo)).await?;
    let followed = models.clone();
    ground.follow(followed.follow(ground.store.changes(), ground.stop.clone()));
    let looked_after = (models.clone(), ground.egress.clone(), ground.clock.clone());
    ground.follow(health::follow(looked_after, ground.stop.clone()));
    let canaries = (models.clone(), ground.store.clone(), ground.clock.clone());
    ground.follow(rollback::follow(canaries, ground.stop.clone()));
    Ok(models)
}

/// What asks them.
pub(super) fn llm(
    config: &Config,
    ground: &Ground,
    models: Models,
    mcp: &Mcp,
) -> anyhow::Result<Arc<Llm>> {
    if let Some(shared) = mcp.limiter.shared() {
        let told = elsewhere::follow(models.clone(), shared.clone(), ground.stop.clone());
        ground.follow(told);
    }
    let redactor = Redactor::with(&config.telemetry.hidden_patterns);
    let book = PriceBook::default();
    if let Some(path) = &config.server.prices {
        let known = models.clone();
        let followed = prices::follow(
            (book.clone(), path.clone()),
            prices::LOOK_EVERY,
            ground.stop.clone(),
            move |book: &PriceBook| prices::report_idle(book, &known),
        );
        book.replace(Some(prices::read(path)?));
        prices::report_idle(&book, &models);
        ground.follow(followed);
    }
    Ok(Arc::new(Llm {
        models,
        egress: ground.egress.clone(),
        ledger: mcp.ledger.clone(),
        store: ground.store.clone(),
        meters: ModelMeters::default(),
        telemetry: mcp.telemetry.clone(),
        redactor: redactor.context("telemetry.hidden_patterns")?,
        limiter: mcp.limiter.clone(),
        counting: Counting::default(),
        clock: ground.clock.clone(),
        prices: book,
        streams: ground.tasks.clone(),
        stop: ground.stop.clone(),
        over: ground.served.clone(),
    }))
}

/// What answers for them.
pub(super) fn endpoint(config: &Config, market: &Market) -> Endpoint {
    let parts = &market.0.parts;
    Endpoint {
        llm: parts.llm.clone(),
        authenticator: parts.authenticator.clone(),
        origins: Origins::of(&config.server.cors_origins),
    }
}
