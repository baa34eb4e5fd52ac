//! OAuth clients of a server, and the connections that administrators make with them.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::access::account::Visit;
use crate::access::person::Person;
use crate::access::upstream_auth::{Begun, Pending, Returned};
use crate::credential::oauth::{Endpoints, Grant, OAuthClient, Registration, TokenSource};
use crate::extract::{Path, session};
use crate::market::api::credentials::{Seen, seen};
use crate::market::api::servers::{act, owned};
use crate::market::api::{Market, accounts};
use crate::mcp::server::{ApiProvider, Provider, Server};
use crate::openapi::SecurityScheme;
use crate::problem::{Problem, ProblemKind};
use crate::store::Change;
use crate::store::credentials::CredentialRow;

/// Where browsers come back to, below the public address.
pub(crate) const CALLBACK: &str = "/oauth/callback";

/// The redirect URI to register with an authorization server.
pub(crate) fn redirect_uri(market: &Market, headers: &HeaderMap) -> String {
    format!("{}{CALLBACK}", market.0.parts.address.asked_by(headers))
}

/// What there is to say of an OAuth scheme: what the document offers, and what is held. Never a secret.
pub(super) fn view(
    market: &Market,
    server: &Server,
    (name, scheme): (&str, &SecurityScheme),
    row: Option<&CredentialRow>,
) -> Option<Value> {
    if !matches!(
        scheme,
        SecurityScheme::OAuth2 { .. } | SecurityScheme::OpenIdConnect { .. }
    ) {
        return None;
    }
    let offers: Vec<Value> = Grant::offered(scheme)
        .into_iter()
        .map(|grant| {
            let client = OAuthClient::new(Registration::blank(grant));
            let source = server.token_source(name, &client);
            let found = source.map(|source| known_origins(market, &source));
            json!({
                "grant": grant,
                "tokenOrigins": found.as_ref().and_then(|found| found.as_ref().ok()),
                "problem": found.as_ref().and_then(|found| found.as_ref().err()),
            })
        })
        .collect();
    let held = api(server)
        .and_then(|api| api.sources.get(name))
        .map(|source| {
            let registration = &source.client.registration;
            let shared = !server.settings.user_accounts.contains(name);
            let connects = shared && source.grant == Grant::AuthorizationCode;
            let state = row.and_then(|row| row.connection_state.as_deref());
            let wanted = known_origins(market, source).unwrap_or_default();
            let waiting: BTreeSet<_> = wanted.difference(&source.client.origins).cloned().collect();
            json!({
                "id": registration.id,
                "grant": source.grant,
                "authentication": registration.authentication,
                "scopes": source.scopes,
                "audience": registration.audience,
                "tokenUrl": registration.token_url,
                "authorizationUrl": registration.authorization_url,
                "revocationUrl": registration.revocation_url,
                "tokenOrigins": source.client.origins,
                "notApproved": waiting,
                "connected": connects && state == Some("connected"),
                "needsConnection": connects && state != Some("connected"),
            })
        });
    Some(json!({ "offers": offers, "client": held }))
}

/// Where the secret of a client goes, as far as that is known without asking anybody.
fn known_origins(market: &Market, source: &TokenSource) -> Result<BTreeSet<String>, &'static str> {
    match source.endpoints.as_ref().map_err(|reason| *reason)? {
        Endpoints::Stated(addresses) => Ok(addresses.origins()),
        Endpoints::Discovered(url) => {
            let known = market.0.parts.mcp.tokens.known(source);
            Ok(known.unwrap_or_else(|| BTreeSet::from([crate::credential::oauth::origin(url)])))
        }
    }
}

fn api(server: &Server) -> Option<&ApiProvider> {
    match &server.provider {
        Provider::Api(api) => Some(api),
        Provider::Native(_) => None,
    }
}

/// The origins that a client's secret goes to, asking the issuer where the document names only that.
async fn asked_origins(
    market: &Market,
    server: &Server,
    source: &TokenSource,
) -> Result<BTreeSet<String>, Problem> {
    let api = api(server).ok_or_else(Problem::not_found)?;
    let tokens = &market.0.parts.mcp.tokens;
    Ok(tokens.addresses(source, &api.upstream).await?.origins())
}

/// Binds a client that was entered to the authorization server that whoever entered it saw, or wrote.
pub(super) async fn bind(
    market: &Market,
    server: &Server,
    (scheme, client): (&str, &mut OAuthClient),
    (before, given): (Option<&CredentialRow>, &Seen),
) -> Result<(), Problem> {
    let source = server.token_source(scheme, client);
    let source = source.ok_or_else(Problem::not_found)?;
    let goes = asked_origins(market, server, &source).await?;
    let stated = client.registration.stated_origins();
    let unseen: BTreeSet<String> = goes.difference(&stated).cloned().collect();
    let mut allowed = stated;
    match &given.token_origins {
        Some(given) => {
            // More was seen than is needed where an address was entered in place of the document's.
            if !unseen.is_subset(given) {
                seen(("tokenOrigins", given), &unseen)?;
            }
            allowed.extend(unseen);
        }
        None => {
            let approved = before.and_then(|row| row.token_origins.as_deref());
            let approved: BTreeSet<String> = approved
                .and_then(|text| serde_json::from_str(text).ok())
                .unwrap_or_default();
            allowed.extend(
                unseen
                    .into_iter()
                    .filter(|origin| approved.contains(origin)),
            );
        }
    }
    client.origins = allowed;
    Ok(())
}

/// What a client's secret may go to once what waits was approved, if that is what was seen.
pub(super) async fn approve(
    market: &Market,
    server: &Server,
    scheme: &str,
    given: &Seen,
) -> Result<Option<BTreeSet<String>>, Problem> {
    let Some(given) = &given.token_origins else {
        return Ok(None);
    };
    let source = source(server, scheme)?;
    let goes = asked_origins(market, server, &source).await?;
    let waiting = goes.difference(&source.client.origins).cloned().collect();
    seen(("tokenOrigins", given), &waiting)?;
    Ok(Some(goes))
}

fn source(server: &Server, scheme: &str) -> Result<Arc<TokenSource>, Problem> {
    let found = api(server).and_then(|api| api.sources.get(scheme));
    found.cloned().ok_or_else(|| {
        let detail = "there is no OAuth client for this scheme; enter one first, as `client`";
        Problem::new(ProblemKind::Conflict, detail)
    })
}

/// Revokes what a scheme's connection holds, before it is forgotten. As well as that can be done: a
/// server that does not answer keeps nobody from taking a credential away.
pub(super) async fn let_go(market: &Market, server: &Server, scheme: &str) {
    let Some(api) = api(server) else {
        return;
    };
    if let Some(source) = api.sources.get(scheme)
        && source.client.connection.is_some()
    {
        market
            .0
            .parts
            .mcp
            .tokens
            .revoke(source, &api.upstream)
            .await;
    }
}

/// The same for all connections of a server.
pub(super) async fn let_all_go(market: &Market, server: &Server) {
    let Some(api) = api(server) else {
        return;
    };
    for scheme in api.sources.keys() {
        let_go(market, server, scheme).await;
    }
}

pub(super) async fn connect(
    State(market): State<Market>,
    person: Person,
    headers: HeaderMap,
    Path((slug, scheme)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let begun = begin(&market, &person, &headers, (&slug, &scheme)).await?;
    Ok(Json(json!({
        "authorizationUrl": begun.url.as_str(),
        "redirectUri": redirect_uri(&market, &headers),
        "expiresAt": begun.until,
    })))
}

/// Begins a connection for whoever asks.
pub(crate) async fn begin(
    market: &Market,
    person: &Person,
    headers: &HeaderMap,
    (slug, scheme): (&str, &str),
) -> Result<Begun, Problem> {
    let entry = owned(market, person, slug)?;
    let server = market.0.parts.publisher.catalog.server(entry.id).await?;
    let source = source(&server, scheme)?;
    if entry.settings.user_accounts.contains(scheme) {
        let detail = "each user connects an account of their own for this scheme";
        return Err(Problem::new(ProblemKind::Conflict, detail));
    }
    if source.grant != Grant::AuthorizationCode {
        let detail = "this client gets its tokens by itself; there is nothing to connect";
        return Err(Problem::new(ProblemKind::Conflict, detail));
    }
    let api = api(&server).ok_or_else(Problem::not_found)?;
    let (who, redirect) = (who(market, headers), redirect_uri(market, headers));
    let with = (entry.organization, who.as_str(), redirect.as_str());
    let tokens = &market.0.parts.mcp.tokens;
    Ok(tokens.begin(&source, &api.upstream, with).await?)
}

/// The key, for whoever asks without a session. Any session began with it.
const BY_KEY: &str = "key";

fn who(market: &Market, headers: &HeaderMap) -> String {
    let session = session(headers, market);
    session.map_or_else(
        || BY_KEY.to_owned(),
        |session| market.0.parts.accounts.sessions().csrf(&session),
    )
}

/// What was connected.
pub(crate) enum Connected {
    /// The account that all calls of a server share.
    Server(String),
    /// Somebody's own.
    Own,
}

/// Ends a connection that was begun, by the one who began it.
pub(crate) async fn complete(
    market: &Market,
    visit: &Visit,
    headers: &HeaderMap,
    (state, returned): (&str, Returned<'_>),
) -> Result<Connected, Problem> {
    let person = &visit.person;
    let tokens = &market.0.parts.mcp.tokens;
    let pending = tokens.take(state).await?;
    if let Some(pending) = pending.as_ref().filter(|pending| pending.user.is_some()) {
        accounts::complete(market, visit, (pending, returned)).await?;
        return Ok(Connected::Own);
    }
    let pending = pending.filter(|pending| began(market, headers, pending));
    let pending = pending.ok_or_else(|| {
        let detail = "this connection was not begun here, was made already, or was begun more than ten \
                      minutes ago; press Connect again in the server's settings";
        Problem::new(ProblemKind::Forbidden, detail)
    })?;
    let publisher = &market.0.parts.publisher;
    let server = publisher.catalog.server(pending.server).await?;
    let entry = owned(market, person, server.slug.as_str())?;
    let source = source(&server, &pending.scheme)?;
    if source.client.credential != pending.credential {
        let detail = "the client was entered again meanwhile; press Connect again";
        return Err(Problem::new(ProblemKind::Conflict, detail));
    }
    let api = api(&server).ok_or_else(Problem::not_found)?;
    let made = tokens.complete(&source, &api.upstream, (&pending, returned));
    // The connection before is not revoked: some servers would revoke this one with it.
    let made = made.await?;
    let mut act = act(person, "credential.connect", &entry);
    act.after = Some(json!({ "scheme": pending.scheme }).to_string());
    let now = publisher.clock.now();
    publisher.store.connect(entry.id, &made, &act, now).await?;
    publisher.catalog.apply(Change::Server(entry.id)).await?;
    Ok(Connected::Server(entry.slug.to_string()))
}

fn began(market: &Market, headers: &HeaderMap, pending: &Pending) -> bool {
    pending.who == BY_KEY || pending.who == who(market, headers)
}

pub(super) async fn disconnect(
    State(market): State<Market>,
    person: Person,
    Path((slug, scheme)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    end(&market, &person, (&slug, &scheme)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Revokes a connection where its server can do that, and forgets it.
pub(crate) async fn end(
    market: &Market,
    person: &Person,
    (slug, scheme): (&str, &str),
) -> Result<(), Problem> {
    let entry = owned(market, person, slug)?;
    let publisher = &market.0.parts.publisher;
    let server = publisher.catalog.server(entry.id).await?;
    let source = source(&server, scheme).map_err(|_| Problem::not_found())?;
    let_go(market, &server, scheme).await;
    let mut act = act(person, "credential.disconnect", &entry);
    act.before = Some(json!({ "scheme": scheme }).to_string());
    let target = (entry.id, source.client.credential);
    let now = publisher.clock.now();
    if !publisher.store.disconnect(target, &act, now).await? {
        return Err(Problem::not_found());
    }
    Ok(publisher.catalog.apply(Change::Server(entry.id)).await?)
}
