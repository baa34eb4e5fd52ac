//! Upstream credentials of a server: written, approved, removed; never read.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::credential::{self, Secret};
use crate::extract::{Admin, Body};
use crate::market::api::Market;
use crate::market::api::servers::{audit, owned};
use crate::mcp::publish::{origins, store_credential};
use crate::mcp::server::{Provider, Server};
use crate::openapi::SecurityScheme;
use crate::problem::{Problem, ProblemKind};
use crate::store::Change;

pub(super) async fn list(
    State(market): State<Market>,
    admin: Admin,
    Path(slug): Path<String>,
) -> Result<Json<Value>, Problem> {
    let rows = credential_rows(&market, &admin, &slug).await?;
    Ok(Json(json!({ "credentials": rows })))
}

/// Schemes, whether each has a credential, and where it may go. Never a secret.
pub(crate) async fn credential_rows(
    market: &Market,
    admin: &Admin,
    slug: &str,
) -> Result<Vec<Value>, Problem> {
    let entry = owned(market, admin, slug)?;
    let publisher = &market.0.parts.publisher;
    let server = publisher.catalog.server(entry.id).await?;
    let stored = publisher.store.shared_credentials(entry.id).await?;
    let Provider::Api(api) = &server.provider else {
        return Ok(Vec::new());
    };
    let destinations = destinations(&server);
    let row_of = |name: &str, kind: Option<&SecurityScheme>| {
        let row = stored.iter().find(|row| row.scheme == name);
        let approved: Vec<String> = row
            .and_then(|row| serde_json::from_str(&row.origins).ok())
            .unwrap_or_default();
        let waiting: Vec<&String> = destinations
            .iter()
            .filter(|origin| row.is_some() && kind.is_some() && !approved.contains(origin))
            .collect();
        json!({
            "scheme": name,
            "type": kind,
            "set": row.is_some(),
            "readable": !api.credentials.is_unreadable(name),
            "origins": approved,
            "notApproved": waiting,
        })
    };
    let named = api
        .schemes
        .iter()
        .map(|(name, kind)| row_of(name, Some(kind)));
    // What an earlier document named is still stored, and can be removed.
    let left = stored
        .iter()
        .filter(|row| !api.schemes.contains_key(&row.scheme));
    Ok(named
        .chain(left.map(|row| row_of(&row.scheme, None)))
        .collect())
}

/// Where the tools of a server go now.
pub(crate) fn destinations(server: &Server) -> std::collections::BTreeSet<String> {
    let Provider::Api(api) = &server.provider else {
        return std::collections::BTreeSet::new();
    };
    let tools: Vec<_> = server
        .tools
        .values()
        .map(|tool| (*tool.def).clone())
        .collect();
    origins(
        &tools,
        server.settings.upstream.as_deref(),
        api.document_url.as_ref(),
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CredentialValue {
    value: String,
}

pub(super) async fn put(
    State(market): State<Market>,
    admin: Admin,
    Path((slug, scheme)): Path<(String, String)>,
    Body(given): Body<CredentialValue>,
) -> Result<StatusCode, Problem> {
    set_credential(&market, &admin, (&slug, &scheme), &given.value).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Vaults a credential, bound to where the server's tools go now.
pub(crate) async fn set_credential(
    market: &Market,
    admin: &Admin,
    (slug, scheme): (&str, &str),
    value: &str,
) -> Result<(), Problem> {
    let entry = owned(market, admin, slug)?;
    let publisher = &market.0.parts.publisher;
    let server = publisher.catalog.server(entry.id).await?;
    let Provider::Api(api) = &server.provider else {
        return Err(Problem::not_found());
    };
    let found = api.schemes.get(scheme).ok_or_else(Problem::not_found)?;
    let secret = Secret::for_scheme(found, value)
        .map_err(|error| Problem::new(ProblemKind::Unprocessable, format!("`value`: {error}")))?;
    credential::check(found, &secret)
        .map_err(|reason| Problem::new(ProblemKind::Unprocessable, format!("`value`: {reason}")))?;
    let owner = (admin.0.organization, entry.id);
    store_credential(publisher, owner, scheme, &secret, &destinations(&server)).await?;
    publisher.catalog.apply(Change::Server(entry.id)).await?;
    audit(
        market,
        admin,
        "credential.set",
        (&entry, None, Some(json!({ "scheme": scheme }).to_string())),
    )
    .await
}

pub(super) async fn approve(
    State(market): State<Market>,
    admin: Admin,
    Path((slug, scheme)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    approve_destinations(&market, &admin, (&slug, &scheme)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets a credential go where the server's tools go now, and nowhere else.
pub(crate) async fn approve_destinations(
    market: &Market,
    admin: &Admin,
    (slug, scheme): (&str, &str),
) -> Result<(), Problem> {
    let entry = owned(market, admin, slug)?;
    let publisher = &market.0.parts.publisher;
    let server = publisher.catalog.server(entry.id).await?;
    let origins = json!(destinations(&server)).to_string();
    let target = (entry.id, scheme);
    if !publisher
        .store
        .approve_origins(
            admin.0.organization,
            target,
            &origins,
            publisher.clock.now(),
        )
        .await?
    {
        return Err(Problem::not_found());
    }
    publisher.catalog.apply(Change::Server(entry.id)).await?;
    audit(
        market,
        admin,
        "credential.approve",
        (&entry, None, Some(origins)),
    )
    .await
}

pub(super) async fn remove(
    State(market): State<Market>,
    admin: Admin,
    Path((slug, scheme)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    forget_credential(&market, &admin, (&slug, &scheme)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a credential.
pub(crate) async fn forget_credential(
    market: &Market,
    admin: &Admin,
    (slug, scheme): (&str, &str),
) -> Result<(), Problem> {
    let entry = owned(market, admin, slug)?;
    let publisher = &market.0.parts.publisher;
    let target = (entry.id, scheme);
    if !publisher
        .store
        .delete_credential(admin.0.organization, target, publisher.clock.now())
        .await?
    {
        return Err(Problem::not_found());
    }
    publisher.catalog.apply(Change::Server(entry.id)).await?;
    audit(
        market,
        admin,
        "credential.delete",
        (&entry, None, Some(json!({ "scheme": scheme }).to_string())),
    )
    .await
}
