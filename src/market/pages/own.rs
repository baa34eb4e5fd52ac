//! Connecting an account of one's own, and the list of those that are connected.

use askama::Template;

use crate::market::language::Html;
use crate::market::pages::Frame;

/// `GET /connect/{token}`.
#[derive(Template)]
#[template(path = "connect_account.html")]
pub struct ConnectAccount {
    pub frame: Frame,
    pub error: Option<Html>,
    /// What stands in the link.
    pub token: String,
    pub slug: String,
    pub title: String,
    pub scheme: String,
    /// What is asked for, in words.
    pub kind: String,
    pub wanted: Wanted,
    pub tools: Vec<String>,
    /// How many tools are not named.
    pub more: usize,
    /// Where it will go, and the same as the form sends it back.
    pub origins: Vec<String>,
    pub seen: String,
}

/// What somebody does on the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// They go to an authorization server, which is asked for these scopes.
    SignIn { host: String, scopes: Vec<String> },
    /// They enter a name and a password.
    Password,
    /// They enter a key or token.
    Value,
}

/// `GET /account/connections`.
#[derive(Template)]
#[template(path = "connections.html")]
pub struct Connections {
    pub frame: Frame,
    pub error: Option<Html>,
    pub rows: Vec<ConnectionView>,
    pub open: Vec<OpenView>,
}

/// An account that is connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionView {
    pub id: String,
    pub slug: String,
    pub title: String,
    pub scheme: String,
    /// Its connection has ended.
    pub ended: bool,
    pub origins: Vec<String>,
    pub since: String,
    /// Empty: never.
    pub used: String,
}

/// An account that could be connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenView {
    pub slug: String,
    pub title: String,
    pub scheme: String,
}
