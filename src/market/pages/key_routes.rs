//! The page of keys: made and shown once, listed, replaced, revoked.

use std::collections::HashMap;

use axum::extract::{Query, State};
use axum::response::Response;
use chrono::{DateTime, Duration, Utc};
use http::StatusCode;
use serde_json::Value;
use uuid::Uuid;

use crate::access::caller::Grant;
use crate::access::person::Person;
use crate::extract::Visitor;
use crate::live::Entry;
use crate::llm::live::DEMO;
use crate::market::api::{Market, keys as keys_api};
use crate::market::pages::arguments::{Entered, entered};
use crate::market::pages::connect::KEY;
use crate::market::pages::keys::{
    IssuerForm, KeyRow, KeyState, Keys, LIFETIMES, NewKey, SERVERS_LISTED_MAX,
};
use crate::market::pages::providers::snippets::first_question;
use crate::market::pages::routes::{Fields, frame, notice, reader, refused, to};
use crate::market::pages::scope::{Words, requests, written};
use crate::market::pages::settings::labelled;
use crate::market::pages::submitted::Submitted;
use crate::market::pages::{issuer_routes, page};
use crate::problem::Problem;
use crate::store::keys;
use crate::types::KeyId;

/// Keys shown on the page.
const ROWS_MAX: usize = 500;

/// What came of a form on the page, and what was entered where it was refused.
#[derive(Default)]
pub(super) struct Done {
    pub(super) created: Option<NewKey>,
    pub(super) refused: Option<Problem>,
    pub(super) name: String,
    pub(super) scopes: Vec<String>,
    pub(super) models: String,
    pub(super) lifetime: Option<String>,
    /// The form of an issuer, with the status it was refused with.
    pub(super) issuer: Option<(IssuerForm, StatusCode)>,
}

/// The page as somebody sees it who may.
pub(super) async fn keys_page(
    market: &Market,
    (person, headers): (&Person, &Visitor),
    done: Done,
    query: &Fields,
) -> Response {
    match whole(market, (person, headers), done, query).await {
        Ok(response) => response,
        Err(problem) => refused(market, headers, &problem),
    }
}

async fn whole(
    market: &Market,
    (person, headers): (&Person, &Visitor),
    done: Done,
    query: &Fields,
) -> Result<Response, Problem> {
    let rows = keys_api::rows(market, person).await?;
    let catalog = &market.0.parts.publisher.catalog;
    let may = |entry: &Entry| entry.is_shown_to(&person.caller);
    let servers = catalog.count(may);
    let entries = if servers <= SERVERS_LISTED_MAX {
        catalog.entries_where(may)
    } else {
        Vec::new()
    };
    let mut frame = frame(market, headers, "keys");
    frame.notice = notice(query);
    let issuers = if frame.administers {
        issuer_routes::rows(market, person).await?
    } else {
        Vec::new()
    };
    let refused = done.refused.as_ref();
    let (issuer, wrong) = done
        .issuer
        .map_or_else(Default::default, |(form, status)| (form, Some(status)));
    let status = refused.map(|problem| problem.kind.status()).or(wrong);
    let template = Keys {
        error: refused.map(|problem| labelled(problem, frame.language)),
        frame,
        hidden: rows.len().saturating_sub(ROWS_MAX),
        keys: key_rows(market, &rows).await,
        first: first(market, (headers, person), (done.created.as_ref(), &rows)),
        created: done.created,
        servers,
        choices: entries
            .iter()
            .map(|entry| {
                let slug = entry.slug.to_string();
                (done.scopes.contains(&slug), slug)
            })
            .collect(),
        entered_scopes: done
            .scopes
            .iter()
            .filter(|scope| servers > SERVERS_LISTED_MAX || scope.contains('/'))
            .cloned()
            .collect::<Vec<_>>()
            .join("\n"),
        name: done.name,
        entered_models: done.models,
        lifetime: done.lifetime.unwrap_or_else(|| "90".to_owned()),
        issuers,
        issuer,
    };
    Ok(page(status.unwrap_or(StatusCode::OK), &template))
}

/// A first question for the model that needs no provider: with the key just made, where that may ask it.
fn first(
    market: &Market,
    (headers, person): (&Visitor, &Person),
    (created, rows): (Option<&NewKey>, &[keys::KeyRow]),
) -> Option<String> {
    let models = &market.0.parts.llm.models;
    models.provider_of(person.organization(), DEMO)?;
    let url = market.0.parts.address.asked_by(headers);
    let Some(created) = created else {
        return Some(first_question(&url, DEMO, KEY));
    };
    let mut made = rows
        .iter()
        .filter(|row| created.key.starts_with(&row.prefix));
    let may_ask = made.any(|row| row.models.is_none() && row.grants.is_none());
    may_ask.then(|| first_question(&url, DEMO, &created.key))
}

/// What is told of each key.
async fn key_rows(market: &Market, rows: &[keys::KeyRow]) -> Vec<KeyRow> {
    let now = market.0.parts.publisher.clock.now();
    let shown = &rows[..rows.len().min(ROWS_MAX)];
    let grants: Vec<Option<Vec<Grant>>> = shown.iter().map(keys_api::granted).collect();
    let all: Vec<Grant> = grants.iter().flatten().flatten().cloned().collect();
    let words = Words::of(market, &all).await;
    let prefixes: HashMap<Uuid, &str> = rows
        .iter()
        .map(|row| (row.id, row.prefix.as_str()))
        .collect();
    let prefix = |id: &Uuid| prefixes.get(id).map(|&prefix| prefix.to_owned());
    let replaced = keys_api::replacements(rows);
    let shown = shown.iter().zip(&grants).map(|(row, grants)| {
        let newer = replaced.get(&row.id);
        KeyRow {
            id: row.id.to_string(),
            name: row.name.clone(),
            prefix: row.prefix.clone(),
            scope: words.view(grants.as_deref()),
            models: keys_api::models(row),
            created: day(row.created_at),
            last_used: row.last_used_at.map(moment),
            state: state(row, newer.is_some(), now),
            ends: row.expires_at.map(moment),
            replaces: row.replaces.as_ref().and_then(prefix),
            replaced_by: newer.and_then(prefix),
        }
    });
    shown.collect()
}

pub(super) fn state(row: &keys::KeyRow, is_replaced: bool, now: DateTime<Utc>) -> KeyState {
    let over = row
        .expires_at
        .is_some_and(|at| at <= now.timestamp_micros());
    match (row.revoked_at.is_some(), over, is_replaced) {
        (true, ..) => KeyState::Revoked,
        (_, true, _) => KeyState::Expired,
        (_, _, true) => KeyState::Ending,
        _ => KeyState::Good,
    }
}

fn day(micros: i64) -> String {
    formatted(micros, "%Y-%m-%d")
}

pub(super) fn moment(micros: i64) -> String {
    formatted(micros, "%Y-%m-%d %H:%M UTC")
}

fn formatted(micros: i64, format: &str) -> String {
    let at = DateTime::from_timestamp_micros(micros);
    at.map(|at| at.format(format).to_string())
        .unwrap_or_default()
}

pub(super) async fn list(
    State(market): State<Market>,
    headers: Visitor,
    Query(query): Query<Fields>,
) -> Response {
    match reader(&headers, "/keys") {
        Ok(person) => keys_page(&market, (&person, &headers), Done::default(), &query).await,
        Err(response) => *response,
    }
}

/// When a key of a chosen lifetime ends; a choice there is not is none at all.
pub(super) fn ends_at(
    lifetime: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, Problem> {
    let Some(lifetime) = lifetime else {
        return Ok(None);
    };
    let known = LIFETIMES.iter().find(|(value, ..)| *value == lifetime);
    let (_, _, days) = known.ok_or_else(Problem::not_found)?;
    Ok(days.and_then(|days| now.checked_add_signed(Duration::days(days))))
}

/// What is shown of a key that was made, this once.
pub(super) fn shown_once(made: &Value) -> NewKey {
    let text = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
    NewKey {
        name: text("name"),
        key: text("key"),
        old_ends: None,
    }
}

pub(super) async fn make(
    State(market): State<Market>,
    Submitted {
        visitor: headers,
        person,
        form: pairs,
    }: Submitted<Entered>,
) -> Response {
    let chosen = pairs
        .iter()
        .filter(|(key, _)| key == "server")
        .map(|(_, slug)| slug.trim())
        .filter(|slug| !slug.is_empty());
    let scopes = entered(&pairs, "servers").unwrap_or_default();
    let scopes: Vec<String> = chosen.chain(written(scopes)).map(str::to_owned).collect();
    let name = entered(&pairs, "name").unwrap_or_default().to_owned();
    let models = entered(&pairs, "models").unwrap_or_default().to_owned();
    let named: Vec<String> = models.split_whitespace().map(str::to_owned).collect();
    let lifetime = entered(&pairs, "expires").map(str::to_owned);
    let now = market.0.parts.publisher.clock.now();
    let grants = requests(scopes.iter().map(String::as_str));
    let made = match ends_at(lifetime.as_deref(), now) {
        Ok(expires_at) => {
            let new = keys_api::NewKey {
                name: name.clone(),
                servers: Vec::new(),
                grants: (!grants.is_empty()).then_some(grants),
                models: (!named.is_empty()).then_some(named),
                expires_at,
            };
            keys_api::make(&market, &person, new).await
        }
        Err(problem) => Err(problem),
    };
    let done = match made {
        Ok(made) => Done {
            created: Some(shown_once(&made)),
            ..Done::default()
        },
        Err(problem) => Done {
            refused: Some(problem),
            name,
            scopes,
            models,
            lifetime,
            ..Done::default()
        },
    };
    keys_page(&market, (&person, &headers), done, &Fields::new()).await
}

pub(super) async fn rotate(
    State(market): State<Market>,
    Submitted {
        visitor: headers,
        person,
        form,
    }: Submitted<Fields>,
) -> Response {
    let overlap = form.get("overlap").map(String::as_str);
    let overlap = overlap.unwrap_or(keys_api::OVERLAP_USUAL);
    let made = match id(&form) {
        Ok(id) => keys_api::replace(&market, &person, id, overlap).await,
        Err(problem) => Err(problem),
    };
    let done = match made {
        Ok(made) => {
            let ends = made["oldKeyEndsBy"].as_str();
            let ends = ends.and_then(|text| text.parse::<DateTime<Utc>>().ok());
            let created = NewKey {
                old_ends: ends.map(|at| moment(at.timestamp_micros())),
                ..shown_once(&made)
            };
            Done {
                created: Some(created),
                ..Done::default()
            }
        }
        Err(problem) => Done {
            refused: Some(problem),
            ..Done::default()
        },
    };
    keys_page(&market, (&person, &headers), done, &Fields::new()).await
}

pub(super) async fn revoke(
    State(market): State<Market>,
    Submitted {
        visitor: headers,
        person,
        form,
    }: Submitted<Fields>,
) -> Response {
    let ended = match id(&form) {
        Ok(id) => keys_api::end(&market, &person, id).await,
        Err(problem) => Err(problem),
    };
    match ended {
        Ok(()) => to("/keys?done=revoked"),
        Err(problem) => refused(&market, &headers, &problem),
    }
}

fn id(form: &Fields) -> Result<KeyId, Problem> {
    let id = form.get("id").and_then(|id| id.parse::<KeyId>().ok());
    id.ok_or_else(Problem::not_found)
}
