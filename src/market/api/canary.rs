//! Canaries of models: how the arms compare, and what becomes of them.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::model_usage::{By, Tally};
use crate::access::person::Person;
use crate::access::usage::read;
use crate::extract::{Path, Query};
use crate::llm::canary::STABLE;
use crate::llm::live::StoredModel;
use crate::market::api::Market;
use crate::market::api::models::{found, show as show_model};
use crate::market::api::providers::{act, apply};
use crate::market::api::usage::{Shown, StepAsked, window};
use crate::problem::{Problem, ProblemKind};
use crate::store::model_usage::{ModelUsageRow, ModelsUsed};
use crate::store::models::{InsteadOf, ModelRow, NewModel};

/// Arms of an answer: those before this one are there, too, as far back as is asked for.
const ARMS_MAX: usize = 20;

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
}

pub(super) async fn show(
    State(market): State<Market>,
    person: Person,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>, Problem> {
    let (_, stored) = stored(&market, &person, &name).await?;
    let parts = &market.0.parts.publisher;
    let window = window((asked.from, asked.to), StepAsked::Hour, parts.clock.now())?;
    let used = ModelsUsed {
        model: Some(name.clone()),
        ..ModelsUsed::default()
    };
    let of = (person.organization(), &used);
    let report = read::<ModelUsageRow>(&parts.store, of, window, &[By::Arm]).await?;
    let none = Tally::default();
    let groups = report.by(By::Arm);
    let tally = |arm: &str| {
        let mut groups = groups.iter();
        let found = groups.find(|(of, _)| of.arm == arm);
        found.map_or(&none, |(_, told)| &told.totals)
    };
    let mut arms = vec![STABLE.to_owned()];
    arms.extend(stored.settings.canary.iter().map(|it| it.name.clone()));
    for (of, _) in &groups {
        if !of.arm.is_empty() && !arms.contains(&of.arm) && arms.len() < ARMS_MAX {
            arms.push(of.arm.clone());
        }
    }
    let arms = arms
        .iter()
        .map(|arm| json!({ "arm": arm, "totals": ModelUsageRow::view(tally(arm)) }));
    Ok(Json(json!({
        "model": name,
        "canary": stored.settings.canary,
        "from": DateTime::from_timestamp_micros(window.from),
        "to": DateTime::from_timestamp_micros(window.to),
        "arms": arms.collect::<Vec<Value>>(),
    })))
}

async fn stored(
    market: &Market,
    person: &Person,
    name: &str,
) -> Result<(ModelRow, StoredModel), Problem> {
    let row = found(market, person, name).await?;
    let stored = serde_json::from_str(&row.settings).map_err(|error| Problem::internal(&error))?;
    Ok((row, stored))
}

pub(super) async fn promote(
    State(market): State<Market>,
    person: Person,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    accept(&market, &person, (&name, None)).await?;
    show_model(State(market), person, Path(name)).await
}

/// The canary's targets are the model's from now on: of the model that was stored at a time, where one is given.
pub(crate) async fn accept(
    market: &Market,
    person: &Person,
    of: (&str, Option<i64>),
) -> Result<(), Problem> {
    change(market, person, (of, "model.canary.promote"), |stored| {
        let canary = stored.settings.canary.take();
        stored.settings.targets = canary.map(|canary| canary.targets).unwrap_or_default();
    })
    .await
}

pub(super) async fn roll_back(
    State(market): State<Market>,
    person: Person,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    stop(&market, &person, (&name, None)).await?;
    show_model(State(market), person, Path(name)).await
}

/// Nobody is sent to the canary any more; what it was stays to be seen.
pub(crate) async fn stop(
    market: &Market,
    person: &Person,
    of: (&str, Option<i64>),
) -> Result<(), Problem> {
    change(market, person, (of, "model.canary.rollback"), |stored| {
        if let Some(canary) = &mut stored.settings.canary {
            canary.paused = true;
        }
    })
    .await
}

async fn change(
    market: &Market,
    person: &Person,
    ((name, seen), action): ((&str, Option<i64>), &'static str),
    change: impl FnOnce(&mut StoredModel),
) -> Result<(), Problem> {
    let (row, mut model) = stored(market, person, name).await?;
    if model.settings.canary.is_none() {
        let detail = "the model has no canary";
        return Err(Problem::new(ProblemKind::Conflict, detail));
    }
    change(&mut model);
    let text = serde_json::to_string(&model).map_err(|error| Problem::internal(&error))?;
    let publisher = &market.0.parts.publisher;
    let mut act = act(person, action, ("model", name));
    (act.before, act.after) = (Some(row.settings.clone()), Some(text.clone()));
    let new = NewModel {
        name,
        settings: &text,
        instead_of: InsteadOf::StoredAt(seen.unwrap_or(row.updated_at)),
    };
    let put = publisher.store.put_model(new, &act, publisher.clock.now());
    put.await?;
    apply(market).await
}
