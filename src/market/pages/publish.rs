//! The page that makes a server of a document.

use askama::Template;

use crate::market::language::Html;
use crate::market::pages::Frame;

/// `GET /publish`, and again with what was entered when it was refused. A file and secrets cannot
/// be filled in again.
#[derive(Debug, Template)]
#[template(path = "publish.html")]
pub struct Publish {
    pub frame: Frame,
    pub error: Option<Html>,
    pub values: PublishValues,
    /// For people, like `64 MB`.
    pub size_max: String,
}

/// What was entered.
#[derive(Clone, Debug, Default)]
pub struct PublishValues {
    pub url: String,
    pub document: String,
    pub slug: String,
    pub upstream: String,
    /// Destinations allowed beyond the default policy, one a line.
    pub allow: String,
}
