//! The page of keys: made and shown once, listed, revoked.

use axum::extract::{Form, RawForm, State};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::DateTime;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::access::key::admin;
use crate::extract::Admin;
use crate::market::api::{Market, keys as keys_api};
use crate::market::pages::keys::{KeyRow, Keys, NewKey};
use crate::market::pages::page;
use crate::market::pages::routes::{Fields, frame, reader, refused, writer};
use crate::problem::Problem;
use crate::types::KeyId;

async fn keys_page(
    market: &Market,
    headers: &HeaderMap,
    created: Option<NewKey>,
    error: Option<String>,
) -> Response {
    let rows = match keys_api::rows(market, &Admin(admin())).await {
        Ok(rows) => rows,
        Err(problem) => return refused(market, headers, &problem),
    };
    let day = |micros: i64| {
        DateTime::from_timestamp_micros(micros)
            .map(|at| at.format("%Y-%m-%d").to_string())
            .unwrap_or_default()
    };
    let entries = market.0.parts.publisher.catalog.entries();
    let slug_of = |grant: &Value| {
        let id = grant["server"].as_str()?;
        entries
            .iter()
            .find(|entry| entry.id.to_string() == id)
            .map(|entry| entry.slug.to_string())
    };
    let keys = rows.into_iter().map(|row| {
        let grants: Vec<Value> = row
            .grants
            .as_deref()
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default();
        KeyRow {
            id: row.id.to_string(),
            name: row.name,
            prefix: row.prefix,
            servers: grants.iter().filter_map(slug_of).collect(),
            created: day(row.created_at),
            last_used: row.last_used_at.map(day),
            revoked: row.revoked_at.is_some(),
        }
    });
    let keys = keys.collect();
    let servers = entries.iter().map(|entry| entry.slug.to_string()).collect();
    let frame = frame(market, headers, "keys");
    page(
        StatusCode::OK,
        &Keys {
            frame,
            error,
            keys,
            created,
            servers,
            name: String::new(),
        },
    )
}

pub(super) async fn list(State(market): State<Market>, headers: HeaderMap) -> Response {
    match reader(&market, &headers, "/keys") {
        Ok(_) => keys_page(&market, &headers, None, None).await,
        Err(response) => *response,
    }
}

pub(super) async fn make(
    State(market): State<Market>,
    headers: HeaderMap,
    RawForm(form): RawForm,
) -> Response {
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(&form).into_owned().collect();
    let value = |name: &str| {
        pairs
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    };
    let admin = match writer(&market, &headers, value("csrf")) {
        Ok(admin) => admin,
        Err(response) => return *response,
    };
    let new = keys_api::NewKey {
        name: value("name").unwrap_or_default().to_owned(),
        servers: pairs
            .iter()
            .filter(|(key, _)| key == "server")
            .map(|(_, slug)| slug.clone())
            .collect(),
        expires_at: None,
    };
    match keys_api::make(&market, &admin, new).await {
        Ok(made) => {
            let text = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
            let created = NewKey {
                name: text("name"),
                key: text("key"),
            };
            keys_page(&market, &headers, Some(created), None).await
        }
        Err(problem) => keys_page(&market, &headers, None, Some(problem.detail)).await,
    }
}

pub(super) async fn revoke(
    State(market): State<Market>,
    headers: HeaderMap,
    Form(form): Form<Fields>,
) -> Response {
    let admin = match writer(&market, &headers, form.get("csrf").map(String::as_str)) {
        Ok(admin) => admin,
        Err(response) => return *response,
    };
    let id = form.get("id").and_then(|id| id.parse::<KeyId>().ok());
    let ended = match id {
        Some(id) => keys_api::end(&market, &admin, id).await,
        None => Err(Problem::not_found()),
    };
    match ended {
        Ok(()) => Redirect::to("/keys").into_response(),
        Err(problem) => refused(&market, &headers, &problem),
    }
}
