//! Models: the names callers use, and where they lead.

mod known;

use axum::Json;
use axum::extract::State;
use chrono::DateTime;
use http::StatusCode;
use serde_json::{Value, json};

use crate::access::person::Person;
use crate::extract::{Body, Path};
use crate::llm::live::{ModelError, OnExhaust, StoredModel};
use crate::market::api::Market;
use crate::market::api::models::known::Known;
use crate::market::api::page::{Asked, Listed};
use crate::market::api::providers::{act, apply, wrong};
use crate::problem::{Problem, ProblemKind};
use crate::store::StoreError;
use crate::store::models::{InsteadOf, MODELS_MAX, ModelRow, NewModel, Put};

pub(super) async fn list(
    State(market): State<Market>,
    person: Person,
    asked: Asked<String>,
) -> Result<Listed, Problem> {
    let store = &market.0.parts.publisher.store;
    let after = asked.after.as_deref().unwrap_or_default();
    let page = (after, asked.read_max());
    let rows = store.models_after(person.organization(), page).await?;
    let page = asked.page(rows, |row| row.name.clone());
    Ok(page.answer("models", view))
}

fn view(row: &ModelRow) -> Value {
    let mut shown = json!({
        "name": row.name,
        "updatedAt": DateTime::from_timestamp_micros(row.updated_at),
    });
    let settings = serde_json::from_str(&row.settings);
    if let (Some(shown), Ok(Value::Object(settings))) = (shown.as_object_mut(), settings) {
        shown.extend(settings);
    }
    shown
}

pub(super) async fn show(
    State(market): State<Market>,
    person: Person,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(view(&found(&market, &person, &name).await?)))
}

pub(super) async fn found(
    market: &Market,
    person: &Person,
    name: &str,
) -> Result<ModelRow, Problem> {
    let store = &market.0.parts.publisher.store;
    let row = store.model(person.organization(), name).await?;
    row.ok_or_else(Problem::not_found)
}

pub(super) async fn put(
    State(market): State<Market>,
    person: Person,
    Path(name): Path<String>,
    Body(given): Body<StoredModel>,
) -> Result<Json<Value>, Problem> {
    keep(&market, &person, (&name, InsteadOf::Anything), &given).await?;
    show(State(market), person, Path(name)).await
}

/// Why a model is not stored.
#[derive(Debug)]
pub(crate) enum Unkept {
    /// It means nothing.
    Model(ModelError),
    /// A target of it, by its place, is of a provider that is not there.
    Provider(String, String),
    /// Nor is a consumer that its canary names.
    Consumer(String),
    /// Nor is the model that takes its place once its budgets are used up.
    Downgrade(String),
    /// A new one would take the place of another.
    Taken(String),
    Other(Problem),
}

impl From<Problem> for Unkept {
    fn from(problem: Problem) -> Self {
        Self::Other(problem)
    }
}

impl From<StoreError> for Unkept {
    fn from(error: StoreError) -> Self {
        Self::Other(error.into())
    }
}

impl From<Unkept> for Problem {
    fn from(unkept: Unkept) -> Self {
        let shown = |name: &str| -> String { name.chars().take(100).collect() };
        match unkept {
            Unkept::Model(error) => wrong(error.to_string()),
            Unkept::Provider(place, name) => wrong(format!(
                "`{place}.provider`: there is no provider \"{}\"; add it first",
                shown(&name)
            )),
            Unkept::Consumer(name) => wrong(format!(
                "`canary.consumers`: there is no consumer \"{}\"",
                shown(&name)
            )),
            Unkept::Downgrade(name) => wrong(format!(
                "`onExhaust.downgrade`: there is no model \"{}\"; add it first",
                shown(&name)
            )),
            Unkept::Taken(name) => {
                let detail = format!("`name`: there is a model {name} already");
                Problem::new(ProblemKind::Conflict, detail)
            }
            Unkept::Other(problem) => problem,
        }
    }
}

/// Stores where a name leads; the next request goes there.
pub(crate) async fn keep(
    market: &Market,
    person: &Person,
    (name, instead_of): (&str, InsteadOf),
    given: &StoredModel,
) -> Result<(), Unkept> {
    check(market, person, name, given).await?;
    let text = serde_json::to_string(given).map_err(|error| Problem::internal(&error))?;
    let publisher = &market.0.parts.publisher;
    let before = publisher.store.model(person.organization(), name).await?;
    let mut act = act(person, "model.put", ("model", name));
    act.before = before.map(|row| row.settings);
    act.after = Some(text.clone());
    let new = NewModel {
        name,
        settings: &text,
        instead_of,
    };
    let put = publisher.store.put_model(new, &act, publisher.clock.now());
    if put.await? == Put::Full {
        return Err(wrong(format!("at most {MODELS_MAX} models")).into());
    }
    Ok(apply(market).await?)
}

/// Stores a model that leads to one of a provider's. It does not take the place of one that there is.
pub(crate) async fn make(
    market: &Market,
    person: &Person,
    name: &str,
    (provider, model): (&str, Option<&str>),
) -> Result<(), Unkept> {
    let store = &market.0.parts.publisher.store;
    if store.model(person.organization(), name).await?.is_some() {
        return Err(Unkept::Taken(name.to_owned()));
    }
    let target = json!({ "provider": provider, "model": model });
    let given = serde_json::from_value(json!({ "targets": [target] }));
    let given = given.map_err(|error| Problem::internal(&error))?;
    keep(market, person, (name, InsteadOf::Nothing), &given).await
}

/// Whether what is to be stored means something, and all it names is there.
async fn check(
    market: &Market,
    person: &Person,
    name: &str,
    given: &StoredModel,
) -> Result<(), Unkept> {
    given.check(name).map_err(Unkept::Model)?;
    let known = Known::of(market, person).await?;
    for (place, target) in given.settings.named_targets() {
        if !known.has_provider(&target.provider) {
            return Err(Unkept::Provider(place, target.provider.clone()));
        }
    }
    // One that was kept before there was this rule keeps nobody from changing something else.
    if let Some(OnExhaust { downgrade }) = &given.on_exhaust
        && known.downgrade_of(name).as_ref() != Some(downgrade)
        && !known.leads(downgrade, &[name])
    {
        return Err(Unkept::Downgrade(downgrade.clone()));
    }
    let store = &market.0.parts.publisher.store;
    for consumer in given.settings.canary.iter().flat_map(|it| &it.consumers) {
        let found = store.consumer(person.organization(), consumer).await?;
        if found.is_none() {
            return Err(Unkept::Consumer(consumer.clone()));
        }
    }
    Ok(())
}

pub(super) async fn remove(
    State(market): State<Market>,
    person: Person,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    end(&market, &person, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Forgets a name that no other model needs; requests under way go on.
pub(crate) async fn end(market: &Market, person: &Person, name: &str) -> Result<(), Problem> {
    let row = found(market, person, name).await?;
    let models = Known::of(market, person).await?.downgrading_to(name);
    if !models.is_empty() {
        let detail = format!(
            "models go on with this one once they are used up: {}; change or remove them first",
            models.join(", ")
        );
        let mut problem = Problem::new(ProblemKind::Conflict, detail);
        problem.extensions = Some(json!({ "models": models }));
        return Err(problem);
    }
    let publisher = &market.0.parts.publisher;
    let mut act = act(person, "model.delete", ("model", name));
    act.before = Some(row.settings);
    let deleted = publisher
        .store
        .delete_model(name, &act, publisher.clock.now());
    if !deleted.await? {
        return Err(Problem::not_found());
    }
    apply(market).await
}

/// The names of models that lead to a provider.
pub(super) async fn leading_to(
    market: &Market,
    person: &Person,
    provider: &str,
) -> Result<Vec<String>, Problem> {
    let store = &market.0.parts.publisher.store;
    let rows = store
        .models_after(person.organization(), ("", MODELS_MAX))
        .await?;
    let leads = |row: &ModelRow| {
        let settings = serde_json::from_str::<StoredModel>(&row.settings);
        settings.is_ok_and(|it| {
            let mut targets = it.settings.named_targets();
            targets.any(|(_, target)| target.provider == provider)
        })
    };
    Ok(rows.into_iter().filter(leads).map(|row| row.name).collect())
}
