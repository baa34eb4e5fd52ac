//! Keys: made and shown once, listed, revoked.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use http::StatusCode;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::caller::Grant;
use crate::access::key::KeyRequest;
use crate::extract::{Admin, Body, Path};
use crate::market::api::Market;
use crate::problem::{Problem, ProblemKind};
use crate::store::keys::KeyRow;
use crate::types::KeyId;

const NAME_LENGTH_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewKey {
    pub(crate) name: String,
    /// Slugs; none: every server.
    #[serde(default)]
    pub(crate) servers: Vec<String>,
    #[serde(default)]
    pub(crate) expires_at: Option<DateTime<Utc>>,
}

pub(super) async fn create(
    State(market): State<Market>,
    admin: Admin,
    Body(new): Body<NewKey>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    Ok((StatusCode::CREATED, Json(make(&market, &admin, new).await?)))
}

/// Makes a key; the answer is the only place that ever shows it.
pub(crate) async fn make(market: &Market, admin: &Admin, new: NewKey) -> Result<Value, Problem> {
    let name = new.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > NAME_LENGTH_MAX {
        return Err(Problem::new(
            ProblemKind::Invalid,
            format!("`name` is 1 to {NAME_LENGTH_MAX} characters"),
        ));
    }
    let grants = new.servers.iter().map(|slug| {
        let entry = market.0.parts.publisher.catalog.find(slug);
        let entry = entry.ok_or_else(|| {
            Problem::new(
                ProblemKind::Unprocessable,
                format!("`servers`: there is no server \"{slug}\""),
            )
        });
        entry.map(|entry| Grant {
            server: entry.id,
            tools: None,
        })
    });
    let grants: Vec<Grant> = grants.collect::<Result<_, _>>()?;
    let request = KeyRequest {
        organization: admin.0.organization,
        actor: admin.0.principal(),
        name: name.clone(),
        grants: (!grants.is_empty()).then_some(grants),
        expires_at: new.expires_at,
    };
    let made = market.0.parts.keys.create(request).await?;
    Ok(json!({
        "id": made.id,
        "name": name,
        "prefix": made.prefix,
        "key": made.secret.expose_secret(),
        "consumer": made.consumer,
        "servers": new.servers,
        "expiresAt": new.expires_at,
    }))
}

pub(super) async fn list(
    State(market): State<Market>,
    admin: Admin,
) -> Result<Json<Value>, Problem> {
    let keys = rows(&market, &admin).await?;
    let keys: Vec<Value> = keys.iter().map(view).collect();
    Ok(Json(json!({ "keys": keys })))
}

pub(crate) async fn rows(market: &Market, admin: &Admin) -> Result<Vec<KeyRow>, Problem> {
    Ok(market
        .0
        .parts
        .publisher
        .store
        .keys(admin.0.organization)
        .await?)
}

fn view(row: &KeyRow) -> Value {
    let time = |micros: Option<i64>| micros.and_then(DateTime::from_timestamp_micros);
    json!({
        "id": row.id,
        "name": row.name,
        "prefix": row.prefix,
        "consumer": row.consumer_id,
        "grants": row.grants.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok()),
        "createdAt": time(Some(row.created_at)),
        "expiresAt": time(row.expires_at),
        "revokedAt": time(row.revoked_at),
        "lastUsedAt": time(row.last_used_at),
    })
}

pub(super) async fn revoke(
    State(market): State<Market>,
    admin: Admin,
    Path(id): Path<uuid::Uuid>,
) -> Result<StatusCode, Problem> {
    end(&market, &admin, KeyId(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends a key at once.
pub(crate) async fn end(market: &Market, admin: &Admin, id: KeyId) -> Result<(), Problem> {
    let (organization, actor) = (admin.0.organization, admin.0.principal());
    let keys = &market.0.parts.keys;
    if keys.revoke(organization, id, actor).await? {
        Ok(())
    } else {
        Err(Problem::not_found())
    }
}

pub(super) async fn consumers(
    State(market): State<Market>,
    admin: Admin,
) -> Result<Json<Value>, Problem> {
    let rows = market
        .0
        .parts
        .publisher
        .store
        .consumers(admin.0.organization)
        .await?;
    let consumers: Vec<Value> = rows
        .iter()
        .map(|row| json!({ "id": row.id, "name": row.name }))
        .collect();
    Ok(Json(json!({ "consumers": consumers })))
}
