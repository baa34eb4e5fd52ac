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
use crate::market::language::{self, Language};
use crate::market::pages::failure::ErrorPage;
use crate::market::pages::home::{Home, ServerCard};
use crate::market::pages::login::{Login, next_path};
use crate::market::pages::settings::sentence;
use crate::market::pages::tool::tokens;
use crate::market::pages::{
    Frame, assets, import_routes, key_routes, page, publish_routes, server_routes, settings_routes,
    tool_routes,
};
use crate::market::table::routes;
use crate::mcp::server::Access;
use crate::problem::{Problem, ProblemKind};

routes! {
    /// Every page with its methods. Only the forms with a document may be large.
    "/" { GET home }
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
    "/language" { GET language::choose }
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

/// What the address says was done just now: one of these sentences, never a text of its own.
pub(super) fn notice(query: &Fields) -> Option<String> {
    let text = match query.get("done")?.as_str() {
        "published" => "Published. The tools can be called now.",
        "saved" => "Saved. The settings are live.",
        "renamed" => "Renamed. The old address goes on working.",
        "imported" => "Imported. The new version is live.",
        "unchanged" => "This is the document that is served already; nothing was changed.",
        "credential-set" => "The credential is stored and used from now on.",
        "credential-removed" => "The credential is removed.",
        "credential-approved" => "The destination is approved; the credential is sent there now.",
        "connected" => "Connected. Calls use this connection from now on.",
        "disconnected" => "The connection is ended.",
        "revoked" => "Revoked. The key opens nothing any more.",
        "deleted" => "The server is deleted.",
        _ => return None,
    };
    Some(text.to_owned())
}

/// Servers on one page; each is loaded to be shown.
const CARDS_MAX: usize = 24;
/// More than a card shows.
const SUMMARY_CHARS_MAX: usize = 400;

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
    let session =
        session(headers, market).ok_or_else(|| Box::new(Redirect::to("/login").into_response()))?;
    if token.is_some_and(|token| market.0.parts.sessions.is_csrf(&session, token)) {
        return Ok(Admin(admin()));
    }
    let detail = "the form is from another session; go back, reload the page and try again";
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
        None => Err(Box::new(
            Redirect::to(&format!("/login?next={here}")).into_response(),
        )),
    }
}

/// A server as far as it is for this visitor to see.
pub(super) fn shown_to(market: &Market, frame: &Frame, slug: &str) -> Result<Arc<Entry>, Problem> {
    let entry = market.0.parts.publisher.catalog.find(slug);
    entry
        .filter(|entry| entry.settings.access == Access::Open || frame.signed_in())
        .ok_or_else(|| {
            let detail = "There is no server of that name, or you have to sign in to see it.";
            Problem::new(ProblemKind::NotFound, detail)
        })
}

pub(super) fn failure(
    market: &Market,
    headers: &HeaderMap,
    status: StatusCode,
    detail: &str,
) -> Response {
    let title = status.canonical_reason().unwrap_or("Error").to_owned();
    let frame = frame(market, headers, "");
    page(
        status,
        &ErrorPage {
            frame,
            status: status.as_u16(),
            title,
            detail: sentence(detail),
        },
    )
}

pub(super) fn refused(market: &Market, headers: &HeaderMap, problem: &Problem) -> Response {
    failure(market, headers, problem.kind.status(), &problem.detail)
}

async fn asset(Path(name): Path<String>, Query(query): Query<Fields>) -> Response {
    assets::asset(&name, query.get("v").map(String::as_str))
}

async fn home(
    State(market): State<Market>,
    headers: HeaderMap,
    Query(query): Query<Fields>,
) -> Response {
    let mut frame = frame(&market, &headers, "servers");
    frame.notice = notice(&query);
    let asked = |name: &str| query.get(name).cloned().unwrap_or_default();
    let (query, after) = (asked("q"), asked("after"));
    let wanted = query.trim().to_lowercase();
    let catalog = &market.0.parts.publisher.catalog;
    let mut entries = catalog.entries();
    entries.retain(|entry| {
        (entry.settings.access == Access::Open || frame.signed_in())
            && entry.slug.as_str() > after.as_str()
            && (entry.title.to_lowercase().contains(&wanted)
                || entry.slug.as_str().contains(&wanted))
    });
    let more = entries
        .get(CARDS_MAX - 1)
        .filter(|_| entries.len() > CARDS_MAX);
    let more = more.map(|last| next_page("/", &query, last.slug.as_str()));
    let mut cards = Vec::new();
    for entry in entries.iter().take(CARDS_MAX) {
        cards.push(card(&market, entry).await);
    }
    page(
        StatusCode::OK,
        &Home {
            frame,
            query,
            servers: cards,
            more,
        },
    )
}

/// The address of a list's next page.
pub(super) fn next_page(path: &str, query: &str, after: &str) -> String {
    let mut pairs = url::form_urlencoded::Serializer::new(String::new());
    if !query.is_empty() {
        pairs.append_pair("q", query);
    }
    format!("{path}?{}", pairs.append_pair("after", after).finish())
}

/// The first paragraph of a server's description, which follows its name.
fn summary(instructions: &str) -> String {
    let lines = instructions.lines().skip(1).map(str::trim);
    let lines: Vec<&str> = lines
        .skip_while(|line| line.is_empty())
        .take_while(|line| !line.is_empty())
        .collect();
    let text = plain_text(&lines.join(" "));
    text.chars().take(SUMMARY_CHARS_MAX).collect()
}

/// A description without the marks of Markdown that stand around names, which a page would show.
pub(super) fn plain_text(markdown: &str) -> String {
    markdown.replace('`', "")
}

/// A server that cannot be loaded is listed all the same.
async fn card(market: &Market, entry: &Entry) -> ServerCard {
    let server = market.0.parts.publisher.catalog.server(entry.id).await.ok();
    let server = server.as_ref();
    let tools = server.map(|server| server.tools.values());
    ServerCard {
        slug: entry.slug.to_string(),
        title: entry.title.clone(),
        description: server
            .map(|server| summary(&server.instructions))
            .unwrap_or_default(),
        open: entry.settings.access == Access::Open,
        tools: server.map_or(0, |server| server.tools.len()),
        tokens: tools.map_or(0, |tools| tools.map(|tool| tokens(&tool.def)).sum()),
    }
}

async fn login_form(
    State(market): State<Market>,
    headers: HeaderMap,
    Query(query): Query<Fields>,
) -> Response {
    let now = market.0.parts.publisher.clock.now();
    let next = next_path(query.get("next").map(String::as_str)).to_owned();
    let mut error = None;
    if let Some(token) = query.get("token") {
        if market.0.parts.sessions.take_link(token, now) {
            return signed_in(&market, &next);
        }
        error = Some(
            "This link was used already, is older than 30 minutes, or was printed before the server \
             was started again. Sign in with the admin key."
                .to_owned(),
        );
    }
    page(
        StatusCode::OK,
        &Login {
            frame: frame(&market, &headers, ""),
            error,
            next,
        },
    )
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
    let error = Some("That is not the admin key.".to_owned());
    page(
        StatusCode::UNAUTHORIZED,
        &Login {
            frame: frame(&market, &headers, ""),
            error,
            next,
        },
    )
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
    let mut response = Redirect::to(to).into_response();
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
