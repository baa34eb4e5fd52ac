//! Who may come through which route. Every route has a row; one without is closed to everybody, and a
//! test says so.
//!
//! Here somebody is recognised once for a request, and asked about with [`may`]; handlers get the
//! [`Person`] that came through.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::Method;
use http::request::Parts;

use crate::access::caller;
use crate::access::person::Person;
use crate::access::role::{Action, Owner, may};
use crate::extract::{Identity, Visitor, identify};
use crate::market::api::{self, Market};
use crate::market::pages::routes as pages;
use crate::problem::{Problem, ProblemKind};

/// What a route asks of whoever comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing at all.
    Nobody,
    /// Whatever a caller is: the handler shows what it may see and call, an API key's owner too.
    Caller,
    /// A person whose role allows this.
    Person(Action),
}

use Action::{
    Administer, AskModels, DecideCall, EndKey, FollowImport, ManageServer, OwnAccount, Publish,
    UseKeys,
};
use Need::{Caller, Nobody, Person as May};

/// The routes of the management API.
pub const API: &[(&str, &str, Need)] = &[
    ("GET", "/api/v1/openapi.json", Nobody),
    ("GET", "/api/v1/servers", Caller),
    ("POST", "/api/v1/servers", May(Publish)),
    ("GET", "/api/v1/servers/{slug}", Caller),
    ("PATCH", "/api/v1/servers/{slug}", May(ManageServer)),
    ("DELETE", "/api/v1/servers/{slug}", May(ManageServer)),
    ("PUT", "/api/v1/servers/{slug}/state", May(ManageServer)),
    ("POST", "/api/v1/servers/{slug}/transfer", May(ManageServer)),
    // Whose they are, the handlers ask: nobody else sees or restores them.
    ("GET", "/api/v1/deleted-servers", May(Publish)),
    (
        "POST",
        "/api/v1/deleted-servers/{name}/restore",
        May(Publish),
    ),
    ("GET", "/api/v1/servers/{slug}/document", May(ManageServer)),
    ("PUT", "/api/v1/servers/{slug}/document", May(ManageServer)),
    ("GET", "/api/v1/servers/{slug}/report", May(ManageServer)),
    ("GET", "/api/v1/servers/{slug}/tools", Caller),
    ("POST", "/api/v1/servers/{slug}/tools/{tool}/call", Caller),
    ("GET", "/api/v1/servers/{slug}/curations", May(ManageServer)),
    ("GET", "/api/v1/servers/{slug}/review", May(ManageServer)),
    (
        "GET",
        "/api/v1/servers/{slug}/tools/{tool}/curation",
        May(ManageServer),
    ),
    (
        "PUT",
        "/api/v1/servers/{slug}/tools/{tool}/curation",
        May(ManageServer),
    ),
    (
        "DELETE",
        "/api/v1/servers/{slug}/tools/{tool}/curation",
        May(ManageServer),
    ),
    (
        "POST",
        "/api/v1/servers/{slug}/tools/{tool}/fixes",
        May(ManageServer),
    ),
    ("GET", "/api/v1/servers/{slug}/versions", May(ManageServer)),
    (
        "GET",
        "/api/v1/servers/{slug}/versions/{number}/diff",
        May(ManageServer),
    ),
    (
        "POST",
        "/api/v1/servers/{slug}/versions/{number}/promote",
        May(ManageServer),
    ),
    ("DELETE", "/api/v1/servers/{slug}/staged", May(ManageServer)),
    ("PUT", "/api/v1/servers/{slug}/canary", May(ManageServer)),
    ("DELETE", "/api/v1/servers/{slug}/canary", May(ManageServer)),
    ("GET", "/api/v1/servers/{slug}/source", May(ManageServer)),
    ("PUT", "/api/v1/servers/{slug}/source", May(ManageServer)),
    ("DELETE", "/api/v1/servers/{slug}/source", May(ManageServer)),
    (
        "POST",
        "/api/v1/servers/{slug}/source/sync",
        May(ManageServer),
    ),
    (
        "GET",
        "/api/v1/servers/{slug}/credentials",
        May(ManageServer),
    ),
    (
        "PUT",
        "/api/v1/servers/{slug}/credentials/{scheme}",
        May(ManageServer),
    ),
    (
        "DELETE",
        "/api/v1/servers/{slug}/credentials/{scheme}",
        May(ManageServer),
    ),
    (
        "POST",
        "/api/v1/servers/{slug}/credentials/{scheme}/approve",
        May(ManageServer),
    ),
    (
        "POST",
        "/api/v1/servers/{slug}/credentials/{scheme}/connect",
        May(ManageServer),
    ),
    (
        "DELETE",
        "/api/v1/servers/{slug}/credentials/{scheme}/connection",
        May(ManageServer),
    ),
    ("GET", "/api/v1/imports", May(FollowImport)),
    ("POST", "/api/v1/imports", May(Publish)),
    ("GET", "/api/v1/imports/{id}", May(FollowImport)),
    ("POST", "/api/v1/imports/{id}/retry", May(FollowImport)),
    ("GET", "/api/v1/consumers", May(Administer)),
    ("GET", "/api/v1/consumers/{name}", May(Administer)),
    ("PATCH", "/api/v1/consumers/{name}", May(Administer)),
    (
        "PUT",
        "/api/v1/consumers/{name}/plans/{slug}",
        May(Administer),
    ),
    (
        "DELETE",
        "/api/v1/consumers/{name}/plans/{slug}",
        May(Administer),
    ),
    ("GET", "/api/v1/consumers/{name}/export", May(Administer)),
    ("POST", "/api/v1/consumers/{name}/erase", May(Administer)),
    ("GET", "/api/v1/account/export", May(OwnAccount)),
    ("GET", "/api/v1/account/connections", May(OwnAccount)),
    (
        "DELETE",
        "/api/v1/account/connections/{id}",
        May(OwnAccount),
    ),
    ("GET", "/api/v1/servers/{slug}/accounts", May(ManageServer)),
    ("GET", "/api/v1/plans", May(Administer)),
    ("GET", "/api/v1/plans/{name}", May(Administer)),
    ("PUT", "/api/v1/plans/{name}", May(Administer)),
    ("DELETE", "/api/v1/plans/{name}", May(Administer)),
    ("GET", "/api/v1/provider-kinds", May(Administer)),
    ("GET", "/api/v1/providers", May(Administer)),
    ("GET", "/api/v1/providers/{name}", May(Administer)),
    ("PUT", "/api/v1/providers/{name}", May(Administer)),
    ("DELETE", "/api/v1/providers/{name}", May(Administer)),
    (
        "PUT",
        "/api/v1/providers/{name}/keys/{key}",
        May(Administer),
    ),
    (
        "DELETE",
        "/api/v1/providers/{name}/keys/{key}",
        May(Administer),
    ),
    ("POST", "/api/v1/providers/{name}/test", May(Administer)),
    ("GET", "/api/v1/models", May(Administer)),
    ("GET", "/api/v1/models/{name}", May(Administer)),
    ("PUT", "/api/v1/models/{name}", May(Administer)),
    ("DELETE", "/api/v1/models/{name}", May(Administer)),
    ("GET", "/api/v1/models/{name}/canary", May(Administer)),
    (
        "POST",
        "/api/v1/models/{name}/canary/promote",
        May(Administer),
    ),
    (
        "POST",
        "/api/v1/models/{name}/canary/rollback",
        May(Administer),
    ),
    ("GET", "/api/v1/keys", May(UseKeys)),
    ("POST", "/api/v1/keys", May(UseKeys)),
    ("DELETE", "/api/v1/keys/{id}", May(EndKey)),
    ("POST", "/api/v1/keys/{id}/rotate", May(EndKey)),
    ("GET", "/api/v1/issuers", May(Administer)),
    ("GET", "/api/v1/issuers/{name}", May(Administer)),
    ("PUT", "/api/v1/issuers/{name}", May(Administer)),
    ("DELETE", "/api/v1/issuers/{name}", May(Administer)),
    ("GET", "/api/v1/users", May(Administer)),
    ("POST", "/api/v1/users", May(Administer)),
    ("PATCH", "/api/v1/users/{name}", May(Administer)),
    ("POST", "/api/v1/users/{name}/reset", May(Administer)),
    ("GET", "/api/v1/users/{name}/export", May(Administer)),
    ("POST", "/api/v1/users/{name}/erase", May(Administer)),
    ("DELETE", "/api/v1/users/{name}/codes", May(Administer)),
    ("GET", "/api/v1/approvals", May(DecideCall)),
    ("POST", "/api/v1/approvals/{id}", May(DecideCall)),
    (
        "GET",
        "/api/v1/servers/{slug}/approval-webhook",
        May(ManageServer),
    ),
    (
        "POST",
        "/api/v1/servers/{slug}/approval-webhook",
        May(ManageServer),
    ),
    ("GET", "/api/v1/audit", May(Administer)),
    ("GET", "/api/v1/doctor", May(Administer)),
    ("GET", "/api/v1/ledger", May(Administer)),
    ("GET", "/api/v1/ledger.csv", May(Administer)),
    ("GET", "/api/v1/ledger.json", May(Administer)),
    ("GET", "/api/v1/model-usage", May(Administer)),
    ("GET", "/api/v1/model-usage.csv", May(Administer)),
    ("GET", "/api/v1/model-usage.json", May(Administer)),
    ("GET", "/api/v1/usage", May(Administer)),
    ("GET", "/api/v1/usage.csv", May(Administer)),
    ("GET", "/api/v1/usage.json", May(Administer)),
];

/// The routes of the pages.
pub const PAGES: &[(&str, &str, Need)] = &[
    ("GET", "/", Caller),
    ("GET", "/login", Nobody),
    ("POST", "/login", Nobody),
    ("GET", "/login/oidc", Nobody),
    ("POST", "/login/oidc", Nobody),
    // Who it is for, what their browser keeps says: the handler asks.
    ("GET", "/login/oidc/callback", Nobody),
    ("POST", "/logout", Nobody),
    ("GET", "/setup", Nobody),
    ("POST", "/setup", Nobody),
    ("GET", "/invite", Nobody),
    ("POST", "/invite", Nobody),
    ("GET", "/reset", Nobody),
    ("POST", "/reset", Nobody),
    ("GET", "/account", May(OwnAccount)),
    ("POST", "/account", May(OwnAccount)),
    ("GET", "/admin/users", May(Administer)),
    ("POST", "/admin/users", May(Administer)),
    ("GET", "/publish", May(Publish)),
    ("POST", "/publish", May(Publish)),
    ("GET", "/imports/{id}", May(FollowImport)),
    ("GET", "/servers/{slug}", Caller),
    ("GET", "/servers/{slug}/tools", Caller),
    ("GET", "/servers/{slug}/review", May(ManageServer)),
    ("POST", "/servers/{slug}/review", May(ManageServer)),
    ("GET", "/servers/{slug}/connect", Caller),
    ("POST", "/servers/{slug}/connect", May(UseKeys)),
    ("GET", "/servers/{slug}/connect/status", May(ManageServer)),
    ("GET", "/servers/{slug}/health", May(ManageServer)),
    ("GET", "/servers/{slug}/versions", May(ManageServer)),
    ("POST", "/servers/{slug}/versions", May(ManageServer)),
    ("GET", "/servers/{slug}/report", May(ManageServer)),
    ("GET", "/servers/{slug}/tools/{tool}", Caller),
    ("POST", "/servers/{slug}/tools/{tool}", Caller),
    ("GET", "/servers/{slug}/settings", May(ManageServer)),
    ("POST", "/servers/{slug}/settings", May(ManageServer)),
    (
        "POST",
        "/servers/{slug}/settings/credentials",
        May(ManageServer),
    ),
    ("POST", "/servers/{slug}/settings/limits", May(ManageServer)),
    ("POST", "/servers/{slug}/settings/name", May(ManageServer)),
    ("POST", "/servers/{slug}/settings/state", May(ManageServer)),
    (
        "POST",
        "/servers/{slug}/settings/transfer",
        May(ManageServer),
    ),
    ("POST", "/servers/{slug}/settings/delete", May(ManageServer)),
    ("GET", "/deleted", May(Publish)),
    ("POST", "/deleted", May(Publish)),
    (
        "POST",
        "/servers/{slug}/settings/document",
        May(ManageServer),
    ),
    // Whose server or account it is for, the answer says: the handler asks.
    ("GET", "/oauth/callback", May(OwnAccount)),
    // Whom a link is for, it says itself: the handler asks.
    ("GET", "/connect/{token}", May(OwnAccount)),
    ("POST", "/connect/{token}", May(OwnAccount)),
    ("GET", "/account/connections", May(OwnAccount)),
    ("POST", "/account/connections", May(OwnAccount)),
    ("GET", "/keys", May(UseKeys)),
    ("POST", "/keys", May(UseKeys)),
    ("POST", "/keys/rotate", May(EndKey)),
    ("POST", "/keys/revoke", May(EndKey)),
    ("POST", "/keys/issuers", May(Administer)),
    ("POST", "/keys/issuers/remove", May(Administer)),
    ("GET", "/docs", Caller),
    ("GET", "/docs/{name}", Caller),
    ("GET", "/language", Nobody),
    ("POST", "/exposed", Nobody),
    ("GET", "/playground", May(AskModels)),
    ("POST", "/playground", May(AskModels)),
    ("POST", "/playground/answer", May(AskModels)),
    ("GET", "/usage", May(Administer)),
    ("GET", "/usage/models", May(Administer)),
    ("GET", "/approvals", May(DecideCall)),
    ("GET", "/admin/plans", May(Administer)),
    ("POST", "/admin/plans", May(Administer)),
    ("GET", "/admin/consumers", May(Administer)),
    ("GET", "/admin/consumers/{name}", May(Administer)),
    ("POST", "/admin/consumers/{name}", May(Administer)),
    ("GET", "/admin/providers", May(Administer)),
    ("GET", "/admin/provider-kinds", May(Administer)),
    ("GET", "/admin/provider-kinds/{name}", May(Administer)),
    ("POST", "/admin/provider-kinds/{name}", May(Administer)),
    ("GET", "/admin/providers/{name}", May(Administer)),
    ("POST", "/admin/providers/{name}", May(Administer)),
    ("GET", "/admin/models", May(Administer)),
    ("POST", "/admin/models", May(Administer)),
    ("GET", "/admin/models/{name}", May(Administer)),
    ("POST", "/admin/models/{name}", May(Administer)),
    ("GET", "/admin/audit", May(Administer)),
    ("GET", "/admin/health", May(Administer)),
    ("POST", "/approvals", May(DecideCall)),
    ("GET", "/assets/{name}", Nobody),
];

/// What a route asks; `None`: there is no row.
fn need(rows: &[(&str, &str, Need)], method: &Method, path: &str) -> Option<Need> {
    // Whoever may get it may ask about it.
    let method = if method == Method::HEAD {
        "GET"
    } else {
        method.as_str()
    };
    rows.iter()
        .find(|(verb, row, _)| *verb == method && *row == path)
        .map(|(_, _, need)| *need)
}

/// The route that calls a tool.
const CALL: &str = "/api/v1/servers/{slug}/tools/{tool}/call";

/// Lets in who may come, for the management API.
pub(crate) async fn of_api(State(market): State<Market>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match enter_api(&market, &mut parts).await {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => problem.into_response(),
    }
}

async fn enter_api(market: &Market, parts: &mut Parts) -> Result<(), Problem> {
    let Some(need) = asked(parts, API, api::ROUTES)? else {
        return Ok(());
    };
    if need == Need::Nobody {
        return Ok(());
    }
    let identity = recognised(market, parts).await?;
    if let Need::Person(action) = need {
        let person = identity.person.as_ref();
        let person = person.ok_or_else(|| nobody(&identity))?;
        allow(market, parts, (person, action)).await?;
    }
    parts.extensions.insert(identity);
    Ok(())
}

/// Whoever asks, if they do not ask too often. Whoever tries keys is a stranger.
async fn recognised(market: &Market, parts: &Parts) -> Result<Identity, Problem> {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map(|peer| peer.0.ip());
    let known = identify(parts, market).await;
    let route = parts.extensions.get::<MatchedPath>();
    if known.is_ok() && route.is_some_and(|route| route.as_str() == CALL) {
        // Calls of tools have limits of their own, and strangers the ceiling of their address.
        return known;
    }
    let holder = match &known {
        Ok(identity) => identity.caller.holder(peer),
        Err(problem) if problem.kind == ProblemKind::Unauthenticated => {
            caller::Caller::anonymous().holder(peer)
        }
        Err(_) => return known,
    };
    market.0.parts.mcp.limiter.ask(&holder).await?;
    known
}

fn nobody(identity: &Identity) -> Problem {
    if identity.caller.is_anonymous() {
        Problem::new(
            ProblemKind::Unauthenticated,
            "this needs the admin key, as Authorization: Bearer or X-API-Key, or somebody who signed in",
        )
    } else {
        Problem::new(
            ProblemKind::Forbidden,
            "this needs the admin key; a consumer's key calls tools only",
        )
    }
}

/// Lets in who may come, for the pages. Whoever has to sign in first is sent to do so.
pub(crate) async fn of_pages(
    State(market): State<Market>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    match enter_pages(&market, &mut parts).await {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(response) => *response,
    }
}

async fn enter_pages(market: &Market, parts: &mut Parts) -> Result<(), Box<Response>> {
    let plain = |problem: Problem| Box::new(problem.into_response());
    let need = asked(parts, PAGES, pages::ROUTES).map_err(plain)?;
    let Some(need) = need else {
        return Ok(());
    };
    let visitor = Visitor::recognise(parts, market).await.map_err(plain)?;
    if let Need::Person(action) = need {
        let Some(visit) = &visitor.visit else {
            return Err(Box::new(pages::to_login(&parts.method, &parts.uri)));
        };
        let person = visit.person.clone();
        if let Err(problem) = allow(market, parts, (&person, action)).await {
            return Err(Box::new(pages::refused(market, &visitor, &problem)));
        }
    }
    parts.extensions.insert(visitor);
    Ok(())
}

/// What the route of a request asks; `None` where there is no such route or method, which is answered
/// as that.
fn asked(
    parts: &Parts,
    rows: &[(&str, &str, Need)],
    routes: &[(&str, &[&str])],
) -> Result<Option<Need>, Problem> {
    let path = parts.extensions.get::<MatchedPath>();
    let path = path.map_or("", MatchedPath::as_str);
    let need = need(rows, &parts.method, path);
    let served = |method: &str| {
        let methods = routes.iter().find(|(route, _)| *route == path);
        methods.is_some_and(|(_, methods)| methods.contains(&method))
    };
    if need.is_none() && served(parts.method.as_str()) {
        tracing::error!(
            route = path,
            "a route has no row in the table of who may come"
        );
        return Err(Problem::new(
            ProblemKind::Forbidden,
            "this is closed to everybody",
        ));
    }
    Ok(need)
}

/// Whether somebody may do that to what the path names.
async fn allow(
    market: &Market,
    parts: &mut Parts,
    (person, action): (&Person, Action),
) -> Result<(), Problem> {
    let owner = match action {
        // For admins, the handler says that there is no such server.
        Action::ManageServer if !may(person.role, action, Owner::Another) => {
            match named(market, parts, person).await? {
                Some(owner) => owner,
                None => Owner::Oneself,
            }
        }
        // The handler knows whose it is; here it is asked whether it can be one's own at all.
        Action::ManageServer | Action::DecideCall | Action::FollowImport | Action::EndKey => {
            Owner::Oneself
        }
        _ => Owner::Nothing,
    };
    if may(person.role, action, owner) {
        Ok(())
    } else {
        Err(forbidden())
    }
}

/// That somebody's role does not allow it.
pub(crate) fn forbidden() -> Problem {
    Problem::new(
        ProblemKind::Forbidden,
        "your role does not allow this, or it belongs to somebody else",
    )
}

/// Whose server the path names; `None` where it names none.
async fn named(
    market: &Market,
    parts: &mut Parts,
    person: &Person,
) -> Result<Option<Owner>, Problem> {
    let params = RawPathParams::from_request_parts(parts, market).await;
    let params = params.map_err(|_| Problem::not_found())?;
    let slug = params.iter().find(|(name, _)| *name == "slug");
    let Some((_, slug)) = slug else {
        return Ok(None);
    };
    let entry = market.0.parts.publisher.catalog.find(slug);
    // What somebody may not even see is not there.
    let entry = entry.filter(|entry| entry.is_shown_to(&person.caller));
    let entry = entry.ok_or_else(Problem::not_found)?;
    Ok(Some(person.owner(entry.owner)))
}
