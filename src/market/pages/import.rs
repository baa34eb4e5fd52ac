//! An import that takes a while, and what came of it.

use askama::Template;

use crate::market::pages::Frame;
use crate::market::pages::report::Report;

/// `GET /imports/{id}`. Reloads itself while the import runs.
#[derive(Debug, Template)]
#[template(path = "import.html")]
pub struct ImportProgress {
    pub frame: Frame,
    /// How long it has been running.
    pub seconds: usize,
    /// How soon the page asks again.
    pub refresh: usize,
    pub outcome: Option<ImportOutcome>,
}

/// How it ended.
#[derive(Clone, Debug)]
pub enum ImportOutcome {
    Published {
        slug: String,
        title: String,
        /// The document was the one that is served already.
        unchanged: bool,
        report: Report,
    },
    Failed {
        reason: String,
    },
    /// Many documents, imported over the API.
    Many {
        total: usize,
        items: Vec<ImportedItem>,
    },
}

/// One of many documents.
#[derive(Clone, Debug)]
pub struct ImportedItem {
    pub name: String,
    pub outcome: String,
    /// Of the server it became.
    pub slug: Option<String>,
    pub error: Option<String>,
}
