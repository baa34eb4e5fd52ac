//! One server: how to connect, what it can do, what its document lacks, and its owner's settings.

use askama::Template;

use crate::market::language::Html;
use crate::market::pages::Frame;
use crate::market::pages::connect::Snippet;
use crate::market::pages::report::Report;
use crate::market::pages::tool::Badge;

/// `GET /servers/{slug}?q=&after=`.
#[derive(Debug, Template)]
#[template(path = "server.html")]
pub struct ServerPage {
    pub frame: Frame,
    pub slug: String,
    pub title: String,
    pub description: Html,
    pub endpoint_url: String,
    /// Callable without a key.
    pub open: bool,
    pub snippets: Vec<Snippet>,
    pub tools: Vec<ToolRow>,
    /// All of them, shown or not.
    pub tool_count: usize,
    /// Estimated tokens of the whole tools/list.
    pub tokens: usize,
    /// What the tools were searched for.
    pub query: String,
    /// The next page of tools.
    pub more: Option<String>,
    /// For the owner alone: tools that lack a credential.
    pub lacking: usize,
    /// Whether whoever looks may change the server.
    pub manages: bool,
    /// For the owner alone: it quotes the document.
    pub report: Option<Report>,
}

/// A tool in the list.
#[derive(Clone, Debug)]
pub struct ToolRow {
    pub name: String,
    pub title: String,
    pub badges: Vec<Badge>,
}
