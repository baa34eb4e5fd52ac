//! The catalog: every server the visitor may see.

use askama::Template;

use crate::market::pages::Frame;

/// `GET /?q=`.
#[derive(Debug, Template)]
#[template(path = "home.html")]
pub struct Home {
    pub frame: Frame,
    /// What was searched for; empty shows everything.
    pub query: String,
    pub servers: Vec<ServerCard>,
    /// The next page of the list.
    pub more: Option<String>,
}

/// A server in the list.
#[derive(Clone, Debug)]
pub struct ServerCard {
    pub slug: String,
    pub title: String,
    pub description: String,
    /// Callable without a key.
    pub open: bool,
    pub tools: usize,
    /// Estimated tokens of its whole tools/list.
    pub tokens: usize,
}
