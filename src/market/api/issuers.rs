//! Issuers of tokens: who may vouch for callers, and what their tokens are good for.

use axum::Json;
use axum::extract::State;
use chrono::DateTime;
use http::StatusCode;
use indexmap::IndexMap;
use serde_json::{Value, json};

use crate::access::caller::Grant;
use crate::access::issuer::settings::{GrantsFrom, IssuerSettings};
use crate::access::person::Person;
use crate::extract::{Body, Path};
use crate::market::api::Market;
use crate::market::api::grants::{self, GrantRequest};
use crate::market::api::page::{Asked, Listed};
use crate::problem::{Problem, ProblemKind};
use crate::store::StoreError;
use crate::store::audit::NewAudit;
use crate::store::issuers::{ISSUERS_MAX, IssuerRow, NewIssuer};

const NAME_LENGTH_MAX: usize = 64;

pub(super) async fn list(
    State(market): State<Market>,
    person: Person,
    asked: Asked<String>,
) -> Result<Listed, Problem> {
    let store = &market.0.parts.publisher.store;
    let after = asked.after.as_deref().unwrap_or_default();
    let page = (after, asked.read_max());
    let rows = store.issuers_after(person.organization(), page).await?;
    let page = asked.page(rows, |row| row.name.clone());
    Ok(page.answer("issuers", |row| view(&market, row)))
}

pub(crate) async fn rows(market: &Market, person: &Person) -> Result<Vec<IssuerRow>, Problem> {
    let store = &market.0.parts.publisher.store;
    Ok(store.issuers(person.organization()).await?)
}

pub(super) async fn show(
    State(market): State<Market>,
    person: Person,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let store = &market.0.parts.publisher.store;
    let row = store.issuer(person.organization(), &name).await?;
    let row = row.ok_or_else(Problem::not_found)?;
    Ok(Json(view(&market, &row)))
}

pub(super) async fn put(
    State(market): State<Market>,
    person: Person,
    Path(name): Path<String>,
    Body(new): Body<IssuerSettings<GrantRequest>>,
) -> Result<Json<Value>, Problem> {
    keep(&market, &person, (&name, new)).await?;
    show(State(market), person, Path(name)).await
}

/// Stores what an admin says of an issuer; its tokens are judged by it at once.
pub(crate) async fn keep(
    market: &Market,
    person: &Person,
    (name, new): (&str, IssuerSettings<GrantRequest>),
) -> Result<(), Problem> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > NAME_LENGTH_MAX || !name.chars().all(plain) {
        return Err(wrong(format!(
            "an issuer's name is 1 to {NAME_LENGTH_MAX} letters, digits, hyphens and underscores"
        )));
    }
    new.check().map_err(|error| wrong(error.to_string()))?;
    let settings = kept(market, person, new).await?;
    let text = serde_json::to_string(&settings).map_err(|error| Problem::internal(&error))?;
    let new = NewIssuer {
        name,
        issuer: &settings.issuer,
        settings: &text,
    };
    let publisher = &market.0.parts.publisher;
    let mut act = act(person, "put", name);
    act.after = Some(text.clone());
    let stored = publisher.store.put_issuer(new, &act, publisher.clock.now());
    match stored.await {
        Ok(true) => {}
        Ok(false) => return Err(wrong(format!("at most {ISSUERS_MAX} issuers"))),
        Err(StoreError::Conflict(_)) => {
            let detail = "another issuer has this `issuer` already; change that one";
            return Err(Problem::new(ProblemKind::Conflict, detail));
        }
        Err(error) => return Err(error.into()),
    }
    market.0.parts.keys.forget();
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

/// Forgets an issuer; its tokens are refused at once.
pub(crate) async fn end(market: &Market, person: &Person, name: &str) -> Result<(), Problem> {
    let publisher = &market.0.parts.publisher;
    let act = act(person, "delete", name);
    let ended = publisher
        .store
        .delete_issuer(name, &act, publisher.clock.now());
    let ended = ended.await?;
    market.0.parts.keys.forget();
    ended.then_some(()).ok_or_else(Problem::not_found)
}

fn wrong(detail: String) -> Problem {
    Problem::new(ProblemKind::Unprocessable, detail)
}

fn act(person: &Person, action: &'static str, name: &str) -> NewAudit {
    let who = (person.organization(), person.actor());
    NewAudit::of(who, action, ("issuer", name.to_owned()))
}

/// Settings with the grants as they are kept.
async fn kept(
    market: &Market,
    person: &Person,
    new: IssuerSettings<GrantRequest>,
) -> Result<IssuerSettings, Problem> {
    let grants_from = match new.grants_from {
        None => None,
        Some(from) => {
            let mut values: IndexMap<String, Vec<Grant>> = IndexMap::new();
            for (value, requests) in &from.values {
                let granted = grants::resolve(market, person, requests).await?;
                values.insert(value.clone(), granted);
            }
            Some(GrantsFrom {
                claim: from.claim,
                values,
            })
        }
    };
    Ok(IssuerSettings {
        grants: grants::resolve(market, person, &new.grants).await?,
        grants_from,
        issuer: new.issuer,
        audience: new.audience,
        jwks_url: new.jwks_url,
        algorithms: new.algorithms,
        consumer_claim: new.consumer_claim,
        every_server: new.every_server,
        clock_skew_seconds: new.clock_skew_seconds,
    })
}

fn view(market: &Market, row: &IssuerRow) -> Value {
    let mut shown = json!({
        "name": row.name,
        "updatedAt": DateTime::from_timestamp_micros(row.updated_at),
    });
    let Ok(settings) = serde_json::from_str::<IssuerSettings>(&row.settings) else {
        return shown;
    };
    let mut said = json!(settings);
    said["grants"] = grants::view(market, &settings.grants);
    for (value, granted) in settings.grants_from.iter().flat_map(|from| &from.values) {
        said["grantsFrom"]["values"][value] = grants::view(market, granted);
    }
    if let (Some(shown), Value::Object(said)) = (shown.as_object_mut(), said) {
        shown.extend(said);
    }
    shown
}
