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

    /// What is said to people beside a result; programs have it in the result.
    pub(super) fn aside(&self, text: &str) {
        if !self.json {
            // Nobody is left to be told when standard error is gone.
            let _ = writeln!(std::io::stderr().lock(), "{}", text.trim_end());
        }
    }

    /// Why a command failed, with everything that led to it.
    pub(super) fn error(&self, error: &anyhow::Error) {
        let reason = reason(error);
        let mut out = std::io::stderr().lock();
        // Nobody is left to be told when standard error is gone.
        let _ = if self.json {
            writeln!(out, "{}", json!({ "error": reason }))
        } else {
            writeln!(out, "error: {reason}")
        };
    }
}

/// An error and its causes in one line. Many errors say their cause themselves; it is not repeated.
fn reason(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |said, cause| {
        let cause = cause.to_string();
        match said.ends_with(&cause) {
            true => said,
            false if said.is_empty() => cause,
            false => format!("{said}: {cause}"),
        }
    })
}

/// Whether a command failed only because nobody reads its output any more, as in `… | head`.
pub(super) fn nobody_reads(error: &anyhow::Error) -> bool {
    let kind = |cause: &std::io::Error| cause.kind() == std::io::ErrorKind::BrokenPipe;
    error.downcast_ref().is_some_and(kind)
}
