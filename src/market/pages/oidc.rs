//! The pages on the way to an identity provider and back.

use askama::Template;

use crate::market::language::Html;
use crate::market::pages::Frame;

/// `GET /login/oidc`: one button.
#[derive(Debug, Template)]
#[template(path = "oidc.html")]
pub struct SignInThrough {
    pub frame: Frame,
    /// What the provider is called.
    pub label: String,
    /// For the form of somebody without a session.
    pub token: String,
    /// The path to go to afterwards.
    pub next: String,
    /// Where they sign out of the provider, for somebody who signed out here just now.
    pub out: Option<String>,
}

/// On the way: a page and not a redirect, because a form of ours leads to our own addresses only, also by
/// way of others (`form-action`).
#[derive(Debug, Template)]
#[template(path = "oidc_going.html")]
pub struct GoingOn {
    pub frame: Frame,
    pub label: String,
    pub host: String,
    pub url: String,
}

/// Nobody was signed in, or nothing was linked.
#[derive(Debug, Template)]
#[template(path = "oidc_failed.html")]
pub struct NotSignedIn {
    pub frame: Frame,
    pub label: String,
    /// What happened, and what is to be done about it, by whom.
    pub what: Html,
    pub advice: Html,
    /// Where to start again.
    pub again: &'static str,
}
