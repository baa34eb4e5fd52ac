//! The pages: templates over plain view structs.
//!
//! Pages hold no rules. A template sees text, numbers and yes or no, escaped by askama; scripts and
//! styles are files of ours, so that the content security policy can refuse every other.

pub mod account;
mod account_routes;
pub mod approvals;
pub mod arguments;
pub mod assets;
pub mod audit;
pub mod chart;
pub mod chat_copies;
pub mod connect;
mod connect_routes;
pub mod consumers;
pub mod copies;
mod credential_routes;
pub mod danger_routes;
pub mod docs;
pub mod exposed;
pub mod failure;
mod figures;
pub mod health;
mod health_routes;
mod hearing;
pub mod home;
mod home_routes;
pub mod import;
mod import_routes;
mod issuer_routes;
mod key_routes;
pub mod keys;
pub mod limits;
mod link_routes;
pub mod login;
pub mod model_limits;
pub mod model_usage;
mod model_usage_routes;
pub mod models;
pub mod oidc;
mod oidc_routes;
pub mod own;
mod own_routes;
pub mod plans;
pub mod playground;
mod playground_routes;
pub mod providers;
pub mod publish;
mod publish_routes;
pub mod report;
pub mod review;
mod review_routes;
pub mod routes;
pub mod scope;
pub mod server;
mod server_routes;
pub mod settings;
mod settings_routes;
mod sign_in_routes;
mod submitted;
pub mod told;
pub mod tool;
mod tool_routes;
pub mod trace;
pub mod usage;
mod usage_routes;
mod user_routes;
pub mod users;
mod version_routes;
pub mod wrong;

use askama::Template;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use http::header::{X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::market::language::{Html, Language, Said};

/// What surrounds every page.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// The session's CSRF token; absent for visitors, who get no form that writes.
    pub csrf: Option<String>,
    /// Where in the menu the page is: `servers`, `publish`, `keys`, `usage`, `health`, `docs`, or nothing.
    pub here: &'static str,
    /// What just happened, after a redirect.
    /// A message's key.
    pub notice: Option<&'static str>,
    /// Whether whoever is signed in is to be told that what they enter can be read on the network.
    pub exposed: bool,
    /// Who is signed in; `None` for visitors, and for the admin key, which is nobody in particular.
    pub name: Option<String>,
    /// Whether they may make servers, and whether they look after people.
    pub publishes: bool,
    pub administers: bool,
    /// The language it is written in.
    pub language: Language,
    /// The path of the public URL, before every path of ours; empty, or `/` and no slash at the end.
    pub prefix: String,
}

/// One item of the menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MenuItem {
    pub path: &'static str,
    /// Its message's key.
    pub key: &'static str,
    /// The page is part of it.
    pub here: bool,
}

/// Where in the menu, its address, its message, and who has it.
const MENU: [(&str, &str, &str, Sees); 14] = [
    ("servers", "/", "frame-servers", Sees::Everybody),
    ("publish", "/publish", "frame-publish", Sees::Publishers),
    ("keys", "/keys", "frame-keys", Sees::SignedIn),
    (
        "playground",
        "/playground",
        "frame-playground",
        Sees::SignedIn,
    ),
    ("usage", "/usage", "frame-usage", Sees::Admins),
    (
        "approvals",
        "/approvals",
        "frame-approvals",
        Sees::Publishers,
    ),
    (
        "providers",
        "/admin/providers",
        "frame-providers",
        Sees::Admins,
    ),
    ("models", "/admin/models", "frame-models", Sees::Admins),
    ("users", "/admin/users", "frame-users", Sees::Admins),
    ("plans", "/admin/plans", "frame-plans", Sees::Admins),
    (
        "consumers",
        "/admin/consumers",
        "frame-consumers",
        Sees::Admins,
    ),
    ("audit", "/admin/audit", "frame-audit", Sees::Admins),
    ("health", "/admin/health", "frame-health", Sees::Admins),
    ("docs", "/docs", "frame-docs", Sees::Everybody),
];

/// How the addresses begin that are for admins, who have them below one item of the menu.
const ADMINISTRATION: &str = "/admin/";

/// Who has an item of the menu.
#[derive(Clone, Copy)]
enum Sees {
    Everybody,
    SignedIn,
    Publishers,
    Admins,
}

impl Frame {
    /// The menu of whoever looks at the page, without what is below another item of it.
    pub fn menu(&self) -> Vec<MenuItem> {
        self.items(|path| !path.starts_with(ADMINISTRATION))
    }

    /// What admins have of the menu below one item.
    pub fn administration(&self) -> Vec<MenuItem> {
        self.items(|path| path.starts_with(ADMINISTRATION))
    }

    /// Whether the page is below that item.
    pub fn is_in_administration(&self) -> bool {
        self.administration().iter().any(|item| item.here)
    }

    fn items(&self, is_in: impl Fn(&str) -> bool) -> Vec<MenuItem> {
        let items = MENU.iter().filter(|(.., sees)| match sees {
            Sees::Everybody => true,
            Sees::SignedIn => self.signed_in(),
            Sees::Publishers => self.publishes,
            Sees::Admins => self.administers,
        });
        items
            .filter(|(_, path, ..)| is_in(path))
            .map(|(name, path, key, _)| MenuItem {
                path,
                key,
                here: self.here == *name,
            })
            .collect()
    }

    /// Whether somebody is signed in.
    pub fn signed_in(&self) -> bool {
        self.csrf.is_some()
    }

    /// A message of the page's language, by its key.
    pub fn say<'a>(&self, key: &'a str) -> Said<'a> {
        self.language.say(key)
    }

    /// Texts as code, one after the other.
    pub fn codes(&self, texts: &[String]) -> Html {
        self.language.codes(texts)
    }

    /// One of our own addresses (`/keys`), as a browser reaches it from outside.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// The token for a form; empty for visitors, which no handler accepts.
    pub fn token(&self) -> &str {
        self.csrf.as_deref().unwrap_or_default()
    }
}

/// A page as an answer: never cached, because it may hold a CSRF token or a new key.
pub fn page(status: StatusCode, template: &impl Template) -> Response {
    let html = match template.render() {
        Ok(html) => html,
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let mut response = (status, axum::response::Html(html)).into_response();
    let headers = response.headers_mut();
    headers.extend(security_headers());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// What every answer to a browser says about itself.
///
/// The referrer policy is `same-origin` and not `no-referrer`, under which browsers send
/// `Origin: null` with a form (Fetch, "append a request `Origin` header") and every write would
/// look cross-site.
pub fn security_headers() -> HeaderMap {
    const POLICY: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self' data:; \
                          form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    let fixed: [(HeaderName, &'static str); 5] = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "same-origin"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ];
    fixed
        .into_iter()
        .map(|(name, value)| (name, HeaderValue::from_static(value)))
        .collect()
}

/// An answer with a body that is not a page, under the same headers.
pub(crate) fn plain(content_type: &'static str, body: &'static [u8]) -> Response {
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.extend(security_headers());
    headers.insert(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static(content_type),
    );
    response
}

/// A number with its thousands apart.
pub fn grouped(number: &usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        for (number, text) in [
            (0, "0"),
            (1, "1"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(&number), text);
        }
    }
}
