//! The page of keys: made and shown once, listed, revoked.

use std::collections::HashMap;

use axum::extract::{Query, State};
use axum::response::Response;
use chrono::DateTime;
use http::StatusCode;
use serde_json::Value;

use crate::access::person::Person;
use crate::extract::{Form, Visitor};
use crate::market::api::{Market, keys as keys_api};
use crate::market::pages::arguments::{Entered, entered};
use crate::market::pages::keys::{KeyRow, Keys, NewKey, SERVERS_LISTED_MAX};
use crate::market::pages::page;
use crate::market::pages::routes::{Fields, frame, notice, reader, refused, to, writer};
use crate::market::pages::settings::labelled;
use crate::problem::Problem;
use crate::store::keys;
use crate::types::KeyId;

/// Keys shown on the page.
const ROWS_MAX: usize = 500;

/// What came of making a key.
#[derive(Default)]
struct Made {
    created: Option<NewKey>,
    /// Why there is none, and what was entered.
    refused: Option<Problem>,
    name: String,
    servers: Vec<String>,
}

async fn keys_page(
    (market, headers): (&Market, &Visitor),
    person: &Person,
    made: Made,
    query: &Fields,
) -> Response {
    let rows = match keys_api::rows(market, person).await {
        Ok(rows) => rows,
        Err(problem) => return refused(market, headers, &problem),
    };
    let entries = market.0.parts.publisher.catalog.entries();
    let slugs: HashMap<String, String> = entries
        .iter()
        .map(|entry| (entry.id.to_string(), entry.slug.to_string()))
        .collect();
    let mut frame = frame(market, headers, "keys");
    frame.notice = notice(query);
    let status = made
        .refused
        .as_ref()
        .map_or(StatusCode::OK, |problem| problem.kind.status());
    let template = Keys {
        error: made.refused.as_ref().map(|it| labelled(it, frame.language)),
        frame,
        hidden: rows.len().saturating_sub(ROWS_MAX),
        keys: rows
            .into_iter()
            .take(ROWS_MAX)
            .map(|row| key_row(row, &slugs))
            .collect(),
        created: made.created,
        servers: slugs.len(),
        choices: entries
            .iter()
            .filter(|_| entries.len() <= SERVERS_LISTED_MAX)
            .map(|entry| {
                let slug = entry.slug.to_string();
                (made.servers.contains(&slug), slug)
            })
            .collect(),
        entered_servers: made.servers.join("\n"),
        name: made.name,
    };
    page(status, &template)
}

fn key_row(row: keys::KeyRow, slugs: &HashMap<String, String>) -> KeyRow {
    let day = |micros: i64| {
        let at = DateTime::from_timestamp_micros(micros);
        at.map(|at| at.format("%Y-%m-%d").to_string())
            .unwrap_or_default()
    };
    let grants = row.grants.as_deref();
    let granted: Vec<Value> = grants
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    KeyRow {
        id: row.id.to_string(),
        name: row.name,
        prefix: row.prefix,
        everywhere: grants.is_none(),
        servers: granted
            .iter()
            .filter_map(|grant| slugs.get(grant["server"].as_str()?).cloned())
            .collect(),
        created: day(row.created_at),
        last_used: row.last_used_at.map(day),
        revoked: row.revoked_at.is_some(),
    }
}

pub(super) async fn list(
    State(market): State<Market>,
    headers: Visitor,
    Query(query): Query<Fields>,
) -> Response {
    match reader(&headers, "/keys") {
        Ok(person) => keys_page((&market, &headers), &person, Made::default(), &query).await,
        Err(response) => *response,
    }
}

pub(super) async fn make(
    State(market): State<Market>,
    headers: Visitor,
    Form(pairs): Form<Entered>,
) -> Response {
    let person = match writer(&market, &headers, entered(&pairs, "csrf")) {
        Ok(person) => person,
        Err(response) => return *response,
    };
    let chosen = pairs
        .iter()
        .filter(|(key, _)| key == "server")
        .map(|(_, slug)| slug.as_str());
    let written = entered(&pairs, "servers")
        .unwrap_or_default()
        .split([',', '\n']);
    let servers = chosen
        .chain(written)
        .map(str::trim)
        .filter(|slug| !slug.is_empty());
    let name = entered(&pairs, "name").unwrap_or_default().to_owned();
    let servers: Vec<String> = servers.map(str::to_owned).collect();
    let new = keys_api::NewKey {
        name: name.clone(),
        servers: servers.clone(),
        grants: None,
        expires_at: None,
    };
    let made = match keys_api::make(&market, &person, new).await {
        Ok(made) => {
            let text = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
            let created = NewKey {
                name: text("name"),
                key: text("key"),
            };
            Made {
                created: Some(created),
                ..Made::default()
            }
        }
        Err(problem) => Made {
            refused: Some(problem),
            name,
            servers,
            ..Made::default()
        },
    };
    keys_page((&market, &headers), &person, made, &Fields::new()).await
}

pub(super) async fn revoke(
    State(market): State<Market>,
    headers: Visitor,
    Form(form): Form<Fields>,
) -> Response {
    let person = match writer(&market, &headers, form.get("csrf").map(String::as_str)) {
        Ok(person) => person,
        Err(response) => return *response,
    };
    let id = form.get("id").and_then(|id| id.parse::<KeyId>().ok());
    let ended = match id {
        Some(id) => keys_api::end(&market, &person, id).await,
        None => Err(Problem::not_found()),
    };
    match ended {
        Ok(()) => to("/keys?done=revoked"),
        Err(problem) => refused(&market, &headers, &problem),
    }
}
