//! An import that takes a while, and what came of it.

use askama::Template;

use crate::market::pages::Frame;
use crate::market::pages::report::Report;

/// `GET /imports/{id}`. Reloads itself while the import runs.
#[derive(Debug, Template)]
#[template(path = "import.html")]
pub struct ImportProgress {
    pub frame: Frame,
    /// What is being done, like `Reading the document`.
    pub phase: String,
    pub done: usize,
    /// 0: not known yet.
    pub total: usize,
    pub outcome: Option<ImportOutcome>,
}

/// How it ended.
#[derive(Clone, Debug)]
pub enum ImportOutcome {
    Published {
        slug: String,
        title: String,
        report: Report,
    },
    Failed {
        reason: String,
    },
}
