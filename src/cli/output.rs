//! What a command prints: text for people, or one JSON document.

use std::io::Write;

use serde::Serialize;
use serde_json::json;

/// The two streams of a command.
pub(super) struct Output {
    json: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        Self { json }
    }

    /// A result: `text` for people, `value` for programs.
    pub(super) fn result(&self, text: &str, value: &impl Serialize) -> anyhow::Result<()> {
        let line = if self.json {
            serde_json::to_string(value)?
        } else {
            text.trim_end().to_owned()
        };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}")?;
        Ok(out.flush()?)
    }

    /// Why a command failed, with everything that led to it.
    pub(super) fn error(&self, error: &anyhow::Error) {
        let mut out = std::io::stderr().lock();
        // Nobody is left to be told when standard error is gone.
        let _ = if self.json {
            writeln!(out, "{}", json!({ "error": format!("{error:#}") }))
        } else {
            writeln!(out, "error: {error:#}")
        };
    }
}
