//! Upstream credentials of a server: written, approved, removed; never read.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::person::Person;
use crate::credential::Secret;
use crate::extract::{Body, Path};
use crate::market::api::Market;
use crate::market::api::clients::{self, redirect_uri};
use crate::market::api::page::{Asked, Listed, Spot};
use crate::market::api::servers::{act, owned};
use crate::mcp::plan;
use crate::mcp::publish::binding::{Bound, origins, store_credential};
use crate::mcp::server::{Provider, Server};
use crate::openapi::SecurityScheme;
use crate::problem::{Problem, ProblemKind};
use crate::store::Change;
use crate::store::credentials::{Approved, CredentialRow};

pub(super) async fn list(
    State(market): State<Market>,
    person: Person,
    headers: HeaderMap,
    Path(slug): Path<String>,
    asked: Asked<Spot>,
) -> Result<Listed, Problem> {
    let rows = credential_rows(&market, &person, &slug).await?;
    let redirect = redirect_uri(&market, &headers);
    let page = asked.of_listed(rows, |row| row["scheme"].as_str().unwrap_or_default());
    let answer = page.answer("credentials", Value::clone);
    Ok(answer.with(json!({ "redirectUri": redirect })))
}

/// Schemes, whether each has a credential, and where it may go. Never a secret.
pub(crate) async fn credential_rows(
    market: &Market,
    person: &Person,
    slug: &str,
) -> Result<Vec<Value>, Problem> {
    let entry = owned(market, person, slug)?;
    let publisher = &market.0.parts.publisher;
    let server = publisher.catalog.server(entry.id).await?;
    let stored = publisher.store.shared_credentials(entry.id).await?;
    let Provider::Api(api) = &server.provider else {
        return Ok(Vec::new());
    };
    let row_of = |name: &str, kind: Option<&SecurityScheme>| {
        let row = stored.iter().find(|row| row.scheme == name);
        let bound = bound(name, row, &server);
        let waiting = Some(&bound.not_approved).filter(|_| row.is_some() && kind.is_some());
        json!({
            "scheme": name,
            "type": kind,
            "set": row.is_some(),
            "eachUser": api.credentials.is_each_users(name),
            "readable": !api.credentials.is_unreadable(name),
            "origins": row.map(approved).unwrap_or_default(),
            "notApproved": waiting.cloned().unwrap_or_default(),
            "destinations": kind.map(|_| wanted(name, &server)).unwrap_or_default(),
            "oauth": kind.and_then(|kind| clients::view(market, &server, (name, kind), row)),
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
pub(crate) fn destinations(server: &Server) -> BTreeSet<String> {
    let Provider::Api(api) = &server.provider else {
        return BTreeSet::new();
    };
    let to = server.settings.destination(api.document_url.as_ref());
    let tools = server.tools.values();
    tools
        .filter_map(|tool| plan::base_url(&tool.def, to).ok())
        .map(|url| url.origin().ascii_serialization())
        .collect()
}

/// Where the tools that may use the credential of a scheme go now.
pub(super) fn wanted(scheme: &str, server: &Server) -> BTreeSet<String> {
    let Provider::Api(api) = &server.provider else {
        return BTreeSet::new();
    };
    let tools = server.tools.values().map(|tool| &*tool.def);
    let to = server.settings.destination(api.document_url.as_ref());
    origins(scheme, tools, to)
}

fn approved(row: &CredentialRow) -> BTreeSet<String> {
    serde_json::from_str(&row.origins).unwrap_or_default()
}

/// Of where a credential is wanted: where it may go, and where not.
fn bound(scheme: &str, row: Option<&CredentialRow>, server: &Server) -> Bound {
    let approved = row.map(approved).unwrap_or_default();
    let wanted = wanted(scheme, server).into_iter();
    let (origins, not_approved) = wanted.partition(|origin| approved.contains(origin));
    Bound {
        scheme: scheme.to_owned(),
        origins,
        not_approved,
    }
}

/// The answer to a change of where a credential may go.
fn view(bound: &Bound) -> Value {
    json!({ "origins": bound.origins, "notApproved": bound.not_approved })
}

/// What somebody approves has to be what there is to approve: a document or an address may have
/// changed since they looked.
pub(crate) fn seen(
    (field, given): (&str, &BTreeSet<String>),
    now: &BTreeSet<String>,
) -> Result<(), Problem> {
    if given == now {
        return Ok(());
    }
    let now: Vec<&str> = now.iter().map(String::as_str).collect();
    let now = if now.is_empty() {
        "none".to_owned()
    } else {
        now.join(", ")
    };
    let detail = format!(
        "`{field}` is not the list of destinations to approve, which is now: {now}; look at them, \
         and send exactly these if the credential belongs there"
    );
    Err(Problem::new(ProblemKind::Conflict, detail))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CredentialValue {
    #[serde(default)]
    value: Option<String>,
    /// An OAuth client, in place of a value.
    #[serde(default)]
    client: Option<Value>,
    #[serde(default)]
    origins: Option<BTreeSet<String>>,
    #[serde(default)]
    token_origins: Option<BTreeSet<String>>,
}

/// What whoever enters or approves a credential saw.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Seen {
    /// Where it may go: all destinations of the tools that use it. Absent: where it was approved for.
    #[serde(default)]
    pub(crate) origins: Option<BTreeSet<String>>,
    /// The same, of the authorization server that an OAuth client's secret may go to.
    #[serde(default)]
    pub(crate) token_origins: Option<BTreeSet<String>>,
}

pub(super) async fn put(
    State(market): State<Market>,
    person: Person,
    Path((slug, scheme)): Path<(String, String)>,
    Body(given): Body<CredentialValue>,
) -> Result<Json<Value>, Problem> {
    let value = match (given.value, given.client) {
        (Some(value), None) => value,
        (None, Some(client)) => client.to_string(),
        _ => {
            let detail = "a credential is a `value`, or a `client` of OAuth 2, and not both";
            return Err(Problem::new(ProblemKind::Invalid, detail));
        }
    };
    let seen = Seen {
        origins: given.origins,
        token_origins: given.token_origins,
    };
    let target = (&*slug, &*scheme);
    let bound = set_credential(&market, &person, target, (&value, &seen)).await?;
    Ok(Json(view(&bound)))
}

/// Vaults a credential, bound to the destinations that whoever enters it saw; without any, to those it
/// was approved for before.
pub(crate) async fn set_credential(
    market: &Market,
    person: &Person,
    (slug, scheme): (&str, &str),
    (value, given): (&str, &Seen),
) -> Result<Bound, Problem> {
    let entry = owned(market, person, slug)?;
    let publisher = &market.0.parts.publisher;
    let server = publisher.catalog.server(entry.id).await?;
    let Provider::Api(api) = &server.provider else {
        return Err(Problem::not_found());
    };
    let found = api.schemes.get(scheme).ok_or_else(Problem::not_found)?;
    let mut secret = Secret::usable_for(found, value, publisher.clock.now())
        .map_err(|error| Problem::new(ProblemKind::Unprocessable, format!("`value`: {error}")))?;
    let stored = publisher.store.shared_credentials(entry.id).await?;
    let before = stored.iter().find(|row| row.scheme == scheme);
    let mut bound = bound(scheme, before, &server);
    if let Some(given) = &given.origins {
        seen(("origins", given), &wanted(scheme, &server))?;
        bound.origins.append(&mut bound.not_approved);
    }
    if entry.settings.user_accounts.contains(scheme) && !matches!(secret, Secret::Client(_)) {
        let detail = "each user connects an account of their own for this scheme; take it out of `userAccounts` \
                      first, or enter the OAuth client by which they do";
        return Err(Problem::new(ProblemKind::Conflict, detail));
    }
    if let Secret::Client(client) = &mut secret {
        clients::bind(market, &server, (scheme, client), (before, given)).await?;
    }
    clients::let_go(market, &server, scheme).await;
    let mut act = act(person, "credential.set", &entry);
    act.before = before.map(|row| noted(scheme, &approved(row)));
    act.after = Some(noted(scheme, &bound.origins));
    let sealed = (&secret, &bound.origins);
    store_credential(publisher, (entry.id, scheme), sealed, &act).await?;
    publisher.catalog.apply(Change::Server(entry.id)).await?;
    Ok(bound)
}

fn noted(scheme: &str, origins: &BTreeSet<String>) -> String {
    json!({ "scheme": scheme, "origins": origins }).to_string()
}

pub(super) async fn approve(
    State(market): State<Market>,
    person: Person,
    Path((slug, scheme)): Path<(String, String)>,
    Body(given): Body<Seen>,
) -> Result<Json<Value>, Problem> {
    let target = (&*slug, &*scheme);
    let bound = approve_destinations(&market, &person, target, &given).await?;
    Ok(Json(view(&bound)))
}

/// Lets a credential go where the server's tools go now, and nowhere else, if the destinations that
/// wait for it are the ones that were seen.
pub(crate) async fn approve_destinations(
    market: &Market,
    person: &Person,
    (slug, scheme): (&str, &str),
    given: &Seen,
) -> Result<Bound, Problem> {
    let entry = owned(market, person, slug)?;
    let publisher = &market.0.parts.publisher;
    let server = publisher.catalog.server(entry.id).await?;
    let stored = publisher.store.shared_credentials(entry.id).await?;
    let row = stored.iter().find(|row| row.scheme == scheme);
    let row = row.ok_or_else(Problem::not_found)?;
    let mut bound = bound(scheme, Some(row), &server);
    if given.origins.is_none() && given.token_origins.is_none() {
        let detail = "`origins` or `tokenOrigins` says what is approved";
        return Err(Problem::new(ProblemKind::Invalid, detail));
    }
    if let Some(given) = &given.origins {
        seen(("origins", given), &bound.not_approved)?;
        bound.origins.append(&mut bound.not_approved);
    }
    let token_origins = clients::approve(market, &server, scheme, given).await?;
    let token_origins = token_origins.map(|origins| json!(origins).to_string());
    let token_origins = token_origins.as_deref().or(row.token_origins.as_deref());
    let mut act = act(person, "credential.approve", &entry);
    act.before = Some(noted(scheme, &approved(row)));
    act.after = Some(noted(scheme, &bound.origins));
    let origins = json!(bound.origins).to_string();
    let origins = Approved {
        origins: &origins,
        token_origins,
    };
    let (target, now) = ((entry.id, scheme), publisher.clock.now());
    let approving = publisher.store.approve_origins(target, origins, &act, now);
    if !approving.await? {
        return Err(Problem::not_found());
    }
    publisher.catalog.apply(Change::Server(entry.id)).await?;
    Ok(bound)
}

pub(super) async fn remove(
    State(market): State<Market>,
    person: Person,
    Path((slug, scheme)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    forget_credential(&market, &person, (&slug, &scheme)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a credential.
pub(crate) async fn forget_credential(
    market: &Market,
    person: &Person,
    (slug, scheme): (&str, &str),
) -> Result<(), Problem> {
    let entry = owned(market, person, slug)?;
    let publisher = &market.0.parts.publisher;
    let mut act = act(person, "credential.delete", &entry);
    act.before = Some(json!({ "scheme": scheme }).to_string());
    if let Ok(server) = publisher.catalog.server(entry.id).await {
        clients::let_go(market, &server, scheme).await;
    }
    let (target, now) = ((entry.id, scheme), publisher.clock.now());
    if !publisher.store.delete_credential(target, &act, now).await? {
        return Err(Problem::not_found());
    }
    Ok(publisher.catalog.apply(Change::Server(entry.id)).await?)
}
