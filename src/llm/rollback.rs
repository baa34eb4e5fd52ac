//! Canaries that fail are ended: nobody is sent there any more, and the audit says why.

use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::llm::canary::{Canary, Rollback};
use crate::llm::live::{LiveModel, Models, StoredModel};
use crate::store::audit::NewAudit;
use crate::store::models::{InsteadOf, NewModel};
use crate::store::{Store, StoreError};
use crate::types::{Clock, OrganizationId};

/// How often calls are counted. Others may be sent there meanwhile.
const EVERY: Duration = Duration::from_secs(2);
/// Who does it, as the audit names it.
const ACTOR: &str = "system";

/// Looks after all canaries that have a rule for it, until it is told to stop. Every process does; the first that sees
/// it ends one.
pub async fn follow((models, store, clock): (Models, Store, Clock), stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        for (organization, model) in models.all_models() {
            let Some((canary, rule)) = ruled(&model) else {
                continue;
            };
            let looked = look(&store, &clock, (organization, &model), (canary, rule));
            match looked.await {
                Ok(false) => {}
                // The others are told by the database.
                Ok(true) => drop(models.reload().await),
                Err(error) => {
                    tracing::warn!(model = model.name, error = %error, "the calls of a canary cannot be counted now");
                }
            }
        }
    }
}

fn ruled(model: &LiveModel) -> Option<(&Canary, Rollback)> {
    let canary = model.settings.canary.as_ref()?;
    Some((canary, canary.rollback?)).filter(|_| !canary.paused)
}

/// Ends a canary that fails too often. Whether it did.
async fn look(
    store: &Store,
    clock: &Clock,
    (organization, model): (OrganizationId, &LiveModel),
    (canary, rule): (&Canary, Rollback),
) -> Result<bool, StoreError> {
    let now = clock.now();
    let back = i64::from(rule.seconds) * 1_000_000;
    let ended = now.timestamp_micros() - back;
    // One that was slow began before that.
    let longest = i64::try_from(model.settings.times.total().as_micros()).unwrap_or(i64::MAX);
    let begun = model.updated_at.max(ended.saturating_sub(longest));
    let arm = (model.name.as_str(), canary.name.as_str());
    let counted = store
        .calls_of_arm(organization, arm, (begun, ended))
        .await?;
    let (calls, errors) = (counted.calls.unsigned_abs(), counted.errors.unsigned_abs());
    if !rule.is_due(calls, errors) {
        return Ok(false);
    }
    let Some(row) = store.model(organization, &model.name).await? else {
        return Ok(false);
    };
    if row.updated_at != model.updated_at {
        return Ok(false);
    }
    let Some(text) = paused(&row.settings) else {
        return Ok(false);
    };
    let who = (organization, ACTOR.to_owned());
    let mut act = NewAudit::of(who, "model.canary.rollback", ("model", model.name.clone()));
    act.before =
        Some(json!({ "calls": calls, "errors": errors, "settings": row.settings }).to_string());
    act.after = Some(text.clone());
    let new = NewModel {
        name: &model.name,
        settings: &text,
        instead_of: InsteadOf::StoredAt(row.updated_at),
    };
    match store.put_model(new, &act, now).await {
        // Whoever changed it meanwhile began anew.
        Err(StoreError::Stale) => return Ok(false),
        put => put?,
    };
    tracing::warn!(
        model = model.name,
        canary = canary.name,
        calls,
        errors,
        "a canary failed too often; nobody is sent there any more"
    );
    Ok(true)
}

/// The settings of a model with its canary paused.
fn paused(settings: &str) -> Option<String> {
    let mut stored: StoredModel = serde_json::from_str(settings).ok()?;
    stored.settings.canary.as_mut()?.paused = true;
    serde_json::to_string(&stored).ok()
}
