//! The pages' URLs. Handlers read a form, call what the API calls, and fill a template.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::middleware;
use axum::response::{IntoResponse, Redirect, Response};
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::access::key::admin;
use crate::extract::{Admin, Form, Path, SECURE_SESSION_COOKIE, SESSION_COOKIE, session};
use crate::live::Entry;
use crate::market::api::{Market, guard};
use crate::market::language::{self, Html, Language};
use crate::market::pages::failure::{ErrorPage, status_title};
use crate::market::pages::login::{Login, next_path};
use crate::market::pages::settings::sentence;
use crate::market::pages::{
    Frame, assets, docs, home_routes, import_routes, key_routes, page, publish_routes,
    server_routes, settings_routes, tool_routes, usage_routes,
};
use crate::market::table::routes;
use crate::mcp::server::Access;
use crate::problem::{Problem, ProblemKind};

routes! {
    /// Every page with its methods. Only the forms with a document may be large.
    "/" { GET home_routes::show }
    "/login" { GET login_form, POST login }
    "/logout" { POST logout }
    "/publish" { GET publish_routes::show, POST publish_routes::publish }
    "/imports/{id}" { GET import_routes::show }
    "/servers/{slug}" { GET server_routes::show }
    "/servers/{slug}/tools/{tool}" at most tool_routes::FORM_BYTES_MAX => {
        GET tool_routes::show, POST tool_routes::call
    }
    "/servers/{slug}/settings" at most settings_routes::FORM_BYTES_MAX => {
        GET settings_routes::show, POST settings_routes::save
    }
    "/servers/{slug}/settings/credentials" at most settings_routes::FORM_BYTES_MAX => {
        POST settings_routes::credential
    }
    "/servers/{slug}/settings/name" at most settings_routes::FORM_BYTES_MAX => {
        POST settings_routes::rename
    }
    "/servers/{slug}/settings/delete" at most settings_routes::FORM_BYTES_MAX => {
        POST settings_routes::delete
    }
    "/servers/{slug}/settings/document" { POST settings_routes::document }
    "/oauth/callback" { GET settings_routes::connected }
    "/keys" { GET key_routes::list, POST key_routes::make }
    "/keys/revoke" { POST key_routes::revoke }
    "/docs" { GET docs::index }
    "/docs/{name}" { GET docs::show }
    "/language" { GET language::choose }
    "/usage" { GET usage_routes::show }
    "/assets/{name}" { GET asset }
}

/// The pages' routes.
pub fn router(market: Market) -> Router {
    let limit = market.0.parts.document_bytes_max + (1 << 20);
    table()
        .layer(DefaultBodyLimit::max(limit))
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
        "revoked" => "done-revoked",
        "deleted" => "done-deleted",
        _ => return None,
    })
}

pub(crate) type Fields = HashMap<String, String>;

pub(super) fn frame(market: &Market, headers: &HeaderMap, here: &'static str) -> Frame {
    let csrf = session(headers, market).map(|session| market.0.parts.sessions.csrf(&session));
    Frame {
        csrf,
        here,
        notice: None,
        language: Language::of(headers),
        prefix: market.0.parts.address.prefix().to_owned(),
    }
}

/// Who may change things: a session, and a form that came from one of its pages.
pub(super) fn writer(
    market: &Market,
    headers: &HeaderMap,
    token: Option<&str>,
) -> Result<Admin, Box<Response>> {
    let session = session(headers, market).ok_or_else(|| Box::new(to("/login")))?;
    if token.is_some_and(|token| market.0.parts.sessions.is_csrf(&session, token)) {
        return Ok(Admin(admin()));
    }
    let detail = Language::of(headers).say("failure-other-session");
    Err(Box::new(failure(
        market,
        headers,
        StatusCode::FORBIDDEN,
        detail,
    )))
}

/// A signed-in reader, or the way to the login.
pub(super) fn reader(
    market: &Market,
    headers: &HeaderMap,
    here: &str,
) -> Result<Admin, Box<Response>> {
    match session(headers, market) {
        Some(_) => Ok(Admin(admin())),
        None => Err(Box::new(to(&format!("/login?next={here}")))),
    }
}

/// A redirect to one of our own addresses; on its way out it gets the path of the public URL.
pub(super) fn to(path: &str) -> Response {
    Redirect::to(path).into_response()
}

/// Said of a server that is not there, or not for whoever asks.
const NO_SERVER: &str = "There is no server of that name, or you have to sign in to see it.";

/// Whether a server is for this visitor to see: the one place where that is decided.
pub(super) fn sees(frame: &Frame, entry: &Entry) -> bool {
    entry.settings.access == Access::Open || frame.signed_in()
}

/// A server as far as it is for this visitor to see.
pub(super) fn shown_to(market: &Market, frame: &Frame, slug: &str) -> Result<Arc<Entry>, Problem> {
    let entry = market.0.parts.publisher.catalog.find(slug);
    entry
        .filter(|entry| sees(frame, entry))
        .ok_or_else(|| Problem::new(ProblemKind::NotFound, NO_SERVER))
}

pub(super) fn failure(
    market: &Market,
    headers: &HeaderMap,
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

pub(super) fn refused(market: &Market, headers: &HeaderMap, problem: &Problem) -> Response {
    let status = problem.kind.status();
    if problem.detail == NO_SERVER {
        let detail = Language::of(headers).say("failure-no-server");
        return failure(market, headers, status, detail);
    }
    failure(market, headers, status, sentence(&problem.detail).as_str())
}

async fn asset(Path(name): Path<String>, Query(query): Query<Fields>) -> Response {
    assets::asset(&name, query.get("v").map(String::as_str))
}

/// The address of a list's next page.
pub(super) fn next_page(path: &str, query: &str, after: &str) -> String {
    let mut pairs = url::form_urlencoded::Serializer::new(String::new());
    if !query.is_empty() {
        pairs.append_pair("q", query);
    }
    format!("{path}?{}", pairs.append_pair("after", after).finish())
}

async fn login_form(
    State(market): State<Market>,
    headers: HeaderMap,
    Query(query): Query<Fields>,
) -> Response {
    let now = market.0.parts.publisher.clock.now();
    let next = next_path(query.get("next").map(String::as_str)).to_owned();
    let frame = frame(&market, &headers, "");
    let mut error = None;
    if let Some(token) = query.get("token") {
        if market.0.parts.sessions.take_link(token, now) {
            return signed_in(&market, &next);
        }
        error = Some(frame.say("login-link-used").into());
    }
    page(StatusCode::OK, &Login { frame, error, next })
}

async fn login(
    State(market): State<Market>,
    headers: HeaderMap,
    Form(form): Form<Fields>,
) -> Response {
    let next = next_path(form.get("next").map(String::as_str)).to_owned();
    if form
        .get("key")
        .is_some_and(|key| market.0.parts.keys.is_admin(key.trim()))
    {
        return signed_in(&market, &next);
    }
    let frame = frame(&market, &headers, "");
    let error = Some(frame.say("login-wrong").into());
    page(StatusCode::UNAUTHORIZED, &Login { frame, error, next })
}

fn signed_in(market: &Market, next: &str) -> Response {
    let (_, cookie) = market
        .0
        .parts
        .sessions
        .start(market.0.parts.publisher.clock.now());
    with_cookie(market, next, &cookie, 12 * 3600)
}

/// A redirect that sets the session's cookie: for this host only where the public URL is https.
fn with_cookie(market: &Market, to: &str, value: &str, seconds: u32) -> Response {
    let secure = market.0.parts.address.is_https();
    let (name, flag) = if secure {
        (SECURE_SESSION_COOKIE, "; Secure")
    } else {
        (SESSION_COOKIE, "")
    };
    let mut response = self::to(to);
    let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{flag}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

async fn logout(
    State(market): State<Market>,
    headers: HeaderMap,
    Form(form): Form<Fields>,
) -> Response {
    match writer(&market, &headers, form.get("csrf").map(String::as_str)) {
        Ok(_) => with_cookie(&market, "/", "", 0),
        Err(response) => *response,
    }
}
