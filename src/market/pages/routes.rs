//! The pages' URLs. Handlers read a form, call what the API calls, and fill a template.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Query, Request};
use axum::middleware;
use axum::response::{IntoResponse, Redirect, Response};
use http::header::ACCEPT;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, StatusCode, Uri};

use crate::access::caller::Caller;
use crate::access::person::Person;
use crate::access::role::Action;
use crate::extract::{Path, Visitor};
use crate::live::Entry;
use crate::market::api::{Market, guard};
use crate::market::gate;
use crate::market::language::{self, Html, Language};
use crate::market::pages::failure::{ErrorPage, status_title};
use crate::market::pages::settings::sentence;
use crate::market::pages::{
    Frame, account_routes, approvals, assets, audit, connect_routes, consumers, credential_routes,
    danger_routes, docs, exposed, health, health_routes, home_routes, import_routes, issuer_routes,
    key_routes, link_routes, model_usage_routes, models, oidc_routes, own_routes, page, plans,
    playground_routes, providers, publish_routes, review_routes, server_routes, settings_routes,
    sign_in_routes, tool_routes, usage_routes, user_routes, version_routes,
};
use crate::market::table::routes;
use crate::problem::{Problem, ProblemKind};

routes! {
    /// Every page with its methods. Only the forms with a document may be large.
    "/" { GET home_routes::show }
    "/login" at most sign_in_routes::FORM_BYTES_MAX => {
        GET sign_in_routes::show, POST sign_in_routes::sign_in
    }
    "/login/oidc" at most sign_in_routes::FORM_BYTES_MAX => {
        GET oidc_routes::show, POST oidc_routes::begin
    }
    "/login/oidc/callback" { GET oidc_routes::come_back }
    "/logout" { POST sign_in_routes::sign_out }
    "/setup" at most sign_in_routes::FORM_BYTES_MAX => {
        GET link_routes::show_setup, POST link_routes::set_up
    }
    "/invite" at most sign_in_routes::FORM_BYTES_MAX => {
        GET link_routes::show_invite, POST link_routes::invite
    }
    "/reset" at most sign_in_routes::FORM_BYTES_MAX => {
        GET link_routes::show_reset, POST link_routes::reset
    }
    "/account" at most sign_in_routes::FORM_BYTES_MAX => {
        GET account_routes::show, POST account_routes::change
    }
    "/admin/users" at most sign_in_routes::FORM_BYTES_MAX => {
        GET user_routes::show, POST user_routes::change
    }
    "/publish" { GET publish_routes::show, POST publish_routes::publish }
    "/imports/{id}" { GET import_routes::show }
    "/servers/{slug}" { GET server_routes::show }
    "/servers/{slug}/tools" { GET server_routes::tools }
    "/servers/{slug}/review" at most review_routes::FORM_BYTES_MAX => {
        GET review_routes::show, POST review_routes::save
    }
    "/servers/{slug}/connect" { GET connect_routes::show, POST connect_routes::make }
    "/servers/{slug}/connect/status" { GET connect_routes::status }
    "/servers/{slug}/health" { GET health_routes::show }
    "/servers/{slug}/versions" { GET version_routes::show, POST version_routes::act }
    "/servers/{slug}/report" { GET server_routes::report }
    "/servers/{slug}/tools/{tool}" at most tool_routes::FORM_BYTES_MAX => {
        GET tool_routes::show, POST tool_routes::call
    }
    "/servers/{slug}/settings" at most settings_routes::FORM_BYTES_MAX => {
        GET settings_routes::show, POST settings_routes::save
    }
    "/servers/{slug}/settings/credentials" at most settings_routes::FORM_BYTES_MAX => {
        POST credential_routes::credential
    }
    "/servers/{slug}/settings/limits" at most settings_routes::FORM_BYTES_MAX => {
        POST settings_routes::limits
    }
    "/servers/{slug}/settings/name" at most settings_routes::FORM_BYTES_MAX => {
        POST settings_routes::rename
    }
    "/servers/{slug}/settings/delete" at most settings_routes::FORM_BYTES_MAX => {
        POST danger_routes::delete
    }
    "/servers/{slug}/settings/state" at most settings_routes::FORM_BYTES_MAX => {
        POST danger_routes::state
    }
    "/servers/{slug}/settings/transfer" at most settings_routes::FORM_BYTES_MAX => {
        POST danger_routes::transfer
    }
    "/deleted" at most sign_in_routes::FORM_BYTES_MAX => {
        GET danger_routes::list, POST danger_routes::restore
    }
    "/servers/{slug}/settings/document" { POST settings_routes::document }
    "/oauth/callback" { GET credential_routes::connected }
    "/connect/{token}" at most settings_routes::FORM_BYTES_MAX => {
        GET own_routes::show, POST own_routes::connect
    }
    "/account/connections" at most sign_in_routes::FORM_BYTES_MAX => {
        GET own_routes::list, POST own_routes::change
    }
    "/approvals" { GET approvals::list, POST approvals::decide }
    "/keys" { GET key_routes::list, POST key_routes::make }
    "/keys/rotate" { POST key_routes::rotate }
    "/keys/revoke" { POST key_routes::revoke }
    "/docs" { GET docs::index }
    "/docs/{name}" { GET docs::show }
    "/keys/issuers" { POST issuer_routes::put }
    "/keys/issuers/remove" { POST issuer_routes::remove }
    "/language" { GET language::choose }
    "/exposed" at most sign_in_routes::FORM_BYTES_MAX => { POST exposed::dismiss }
    "/playground" at most playground_routes::FORM_BYTES_MAX => {
        GET playground_routes::show, POST playground_routes::ask
    }
    "/playground/answer" at most playground_routes::FORM_BYTES_MAX => {
        POST playground_routes::stream
    }
    "/usage" { GET usage_routes::show }
    "/usage/models" { GET model_usage_routes::show }
    "/admin/plans" at most settings_routes::FORM_BYTES_MAX => {
        GET plans::show, POST plans::change
    }
    "/admin/consumers" { GET consumers::list }
    "/admin/consumers/{name}" at most settings_routes::FORM_BYTES_MAX => {
        GET consumers::show, POST consumers::change
    }
    "/admin/providers" { GET providers::list }
    "/admin/provider-kinds" { GET providers::kinds }
    "/admin/provider-kinds/{name}" at most settings_routes::FORM_BYTES_MAX => {
        GET providers::new, POST providers::make
    }
    "/admin/providers/{name}" at most settings_routes::FORM_BYTES_MAX => {
        GET providers::one::show, POST providers::change::change
    }
    "/admin/models" at most settings_routes::FORM_BYTES_MAX => {
        GET models::list, POST models::make
    }
    "/admin/models/{name}" at most settings_routes::FORM_BYTES_MAX => {
        GET models::one::show, POST models::change::change
    }
    "/admin/audit" { GET audit::show }
    "/admin/health" { GET health::show }
    "/assets/{name}" { GET asset }
}

/// The pages' routes.
pub fn router(market: Market) -> Router {
    let limit = market.0.parts.document_bytes_max + (1 << 20);
    table()
        .layer(DefaultBodyLimit::max(limit))
        .layer(middleware::from_fn_with_state(
            market.clone(),
            gate::of_pages,
        ))
        .layer(middleware::from_fn_with_state(market.clone(), guard::guard))
        .with_state(market)
}

/// What the address says was done just now: the key of one of these messages, never a text of its own.
pub(super) fn notice(query: &Fields) -> Option<&'static str> {
    Some(match query.get("done")?.as_str() {
        "published" => "done-published",
        "saved" => "done-saved",
        "renamed" => "done-renamed",
        "imported" => "done-imported",
        "unchanged" => "done-unchanged",
        "credential-set" => "done-credential-set",
        "credential-removed" => "done-credential-removed",
        "credential-approved" => "done-credential-approved",
        "connected" => "done-connected",
        "disconnected" => "done-disconnected",
        "own-connected" => "done-own-connected",
        "own-disconnected" => "done-own-disconnected",
        "revoked" => "done-revoked",
        "promoted" => "done-promoted",
        "canary-started" => "done-canary-started",
        "rollout-ended" => "done-rollout-ended",
        "issuer-kept" => "done-issuer-kept",
        "issuer-removed" => "done-issuer-removed",
        "deleted" => "done-deleted",
        "restored" => "done-restored",
        "transferred" => "done-transferred",
        "served" => "done-served",
        "disabled" => "done-disabled",
        "unpublished" => "done-unpublished",
        "made" => "done-made",
        "password" => "done-password",
        "codes-off" => "done-codes-off",
        "ended" => "done-ended",
        "changed" => "done-changed",
        "approved" => "done-approved",
        "denied" => "done-denied",
        "linked" => "done-linked",
        "unlinked" => "done-unlinked",
        "plan-kept" => "done-plan-kept",
        "plan-removed" => "done-plan-removed",
        "provider-made" => "done-provider-made",
        "provider-removed" => "done-provider-removed",
        "provider-key-removed" => "done-provider-key-removed",
        "model-made" => "done-model-made",
        "model-removed" => "done-model-removed",
        "canary-accepted" => "done-canary-accepted",
        "canary-stopped" => "done-canary-stopped",
        "canary-resumed" => "done-canary-resumed",
        "canary-removed" => "done-canary-removed",
        "erased" => "done-erased",
        "signed-out" => "done-signed-out",
        _ => return None,
    })
}

pub(crate) type Fields = HashMap<String, String>;

pub(super) fn frame(market: &Market, headers: &Visitor, here: &'static str) -> Frame {
    let person = headers.person();
    let at_all = |action| person.is_some_and(|person| person.may_at_all(action));
    Frame {
        csrf: headers.csrf(market),
        here,
        notice: None,
        exposed: exposed::is_told(market, headers),
        name: person.and_then(|person| person.name.clone()),
        publishes: at_all(Action::Publish),
        administers: at_all(Action::Administer),
        language: Language::of(headers),
        prefix: market.0.parts.address.prefix().to_owned(),
    }
}

/// A redirect to one of our own addresses; on its way out it gets the path of the public URL.
pub(super) fn to(path: &str) -> Response {
    Redirect::to(path).into_response()
}

/// Leads whoever has to sign in first to where one does, and back afterwards where they only looked.
pub(crate) fn to_login(method: &Method, uri: &Uri) -> Response {
    if method != Method::GET {
        return to("/login");
    }
    let here = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let here: String = url::form_urlencoded::byte_serialize(here.as_bytes()).collect();
    // A slash means nothing else in a query, and is easier to read.
    to(&format!("/login?next={}", here.replace("%2F", "/")))
}

/// Who may change things: somebody with a session, and a form that came from one of its pages.
pub(super) fn writer(
    market: &Market,
    headers: &Visitor,
    token: Option<&str>,
) -> Result<Person, Box<Response>> {
    let visit = headers.visit.as_ref();
    let visit = visit.ok_or_else(|| Box::new(to("/login")))?;
    let sessions = market.0.parts.accounts.sessions();
    if token.is_some_and(|token| sessions.is_csrf(&visit.session, token)) {
        return Ok(visit.person.clone());
    }
    Err(Box::new(stranger(market, headers)))
}

/// The answer to a form that was not shown to whoever sends it.
pub(super) fn stranger(market: &Market, headers: &Visitor) -> Response {
    let detail = Language::of(headers).say("failure-other-session");
    failure(market, headers, StatusCode::FORBIDDEN, detail)
}

/// A signed-in reader, or the way to the login.
pub(super) fn reader(headers: &Visitor, here: &str) -> Result<Person, Box<Response>> {
    match headers.person() {
        Some(person) => Ok(person.clone()),
        None => Err(Box::new(to(&format!("/login?next={here}")))),
    }
}

/// Said of a server that is not there, or not for whoever asks.
pub(super) const NO_SERVER: &str =
    "There is no server of that name, or you have to sign in to see it.";

/// Whether a server is for this visitor to see: the one place where that is decided.
pub(super) fn sees(visitor: &Visitor, entry: &Entry) -> bool {
    match visitor.person() {
        Some(person) => entry.is_shown_to(&person.caller),
        None => entry.is_shown_to(&Caller::anonymous()),
    }
}

/// Whether a server is in the catalog as this visitor sees it.
pub(super) fn lists(visitor: &Visitor, entry: &Entry) -> bool {
    match visitor.person() {
        Some(person) => entry.is_listed_for(&person.caller),
        None => entry.is_listed_for(&Caller::anonymous()),
    }
}

/// A server as far as it is for this visitor to see.
pub(super) fn shown_to(
    market: &Market,
    visitor: &Visitor,
    slug: &str,
) -> Result<Arc<Entry>, Problem> {
    let entry = market.0.parts.publisher.catalog.find(slug);
    entry
        .filter(|entry| sees(visitor, entry))
        .ok_or_else(|| Problem::new(ProblemKind::NotFound, NO_SERVER))
}

/// The page that was made, or the one that says why there is none.
pub(super) fn answered(
    (market, headers): (&Market, &Visitor),
    made: Result<(StatusCode, impl Template), Problem>,
) -> Response {
    match made {
        Ok((status, template)) => page(status, &template),
        Err(problem) => refused(market, headers, &problem),
    }
}

pub(super) fn failure(
    market: &Market,
    headers: &Visitor,
    status: StatusCode,
    detail: impl Into<Html>,
) -> Response {
    let frame = frame(market, headers, "");
    let title = status_title(status, frame.language);
    page(
        status,
        &ErrorPage {
            frame,
            status: status.as_u16(),
            title,
            detail: detail.into(),
        },
    )
}

pub(crate) fn refused(market: &Market, headers: &Visitor, problem: &Problem) -> Response {
    let status = problem.kind.status();
    if problem.detail == NO_SERVER {
        let detail = no_server(market, headers);
        return failure(market, headers, status, detail);
    }
    failure(
        market,
        headers,
        status,
        Html::with_code(&sentence(&problem.detail)),
    )
}

/// Why somebody is shown no server: what whoever looks can do about it.
fn no_server(market: &Market, headers: &Visitor) -> Html {
    let language = Language::of(headers);
    let publishes = |person: &Person| person.may_at_all(Action::Publish);
    match headers.person() {
        Some(person) if publishes(person) => {
            let deleted = format!("{}/deleted", market.0.parts.address.prefix());
            let said = language.say("failure-deleted-server");
            said.with("deleted", deleted).into()
        }
        Some(_) => language.say("failure-not-your-server").into(),
        None => language.say("failure-no-server").into(),
    }
}

/// Answers where there is nothing: with a page whoever wanted one, everybody else with a problem document.
pub async fn missing(market: &Market, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let reads = matches!(parts.method, Method::GET | Method::HEAD);
    let of_programs = ["/api/", "/mcp/", "/v1/", "/.well-known/"];
    let path = parts.uri.path();
    let page = reads && !of_programs.iter().any(|start| path.starts_with(start));
    if !(page && wants_page(&parts.headers)) {
        return Problem::not_found().into_response();
    }
    match Visitor::recognise(&parts, market).await {
        Ok(visitor) => {
            let detail = Language::of(&visitor).say("failure-no-page");
            failure(market, &visitor, StatusCode::NOT_FOUND, detail)
        }
        Err(problem) => problem.into_response(),
    }
}

/// Whether somebody prefers to read, as browsers say.
fn wants_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter();
    let mut texts = accepted.filter_map(|value| value.to_str().ok());
    texts.any(|text| text.contains("text/html"))
}

async fn asset(
    Path(name): Path<String>,
    Query(query): Query<Fields>,
    asking: HeaderMap,
) -> Response {
    assets::asset(&name, query.get("v").map(String::as_str), &asking)
}

/// The address of a list's next page.
pub(super) fn next_page(path: &str, query: &str, after: &str) -> String {
    let mut pairs = url::form_urlencoded::Serializer::new(String::new());
    if !query.is_empty() {
        pairs.append_pair("q", query);
    }
    format!("{path}?{}", pairs.append_pair("after", after).finish())
}
