//! Calls as a file, written while they are read.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures::stream;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};

use crate::market::api::csv;
use crate::market::api::ledger::view;
use crate::store::ledger::{After, Calls};
use crate::store::{Store, StoreError};
use crate::types::OrganizationId;

/// Calls read at once.
const PAGE: i64 = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    /// One array.
    Json,
}

/// A file that is written.
pub(super) struct Export {
    pub(super) store: Store,
    pub(super) organization: OrganizationId,
    pub(super) calls: Calls,
    pub(super) after: Option<After>,
    /// Calls it may still have.
    pub(super) left: i64,
    pub(super) format: Format,
}

/// How far it is.
enum Step {
    Head,
    Rows { first: bool },
    Done,
}

impl Export {
    /// The answer, of which little is held at a time. What the database refuses on the way cuts it off.
    pub(super) fn answer(self) -> Response {
        let (kind, name) = match self.format {
            Format::Csv => (
                "text/csv; charset=utf-8",
                "attachment; filename=\"ledger.csv\"",
            ),
            Format::Json => ("application/json", "attachment; filename=\"ledger.json\""),
        };
        let pieces = stream::try_unfold((self, Step::Head), async |(mut export, step)| {
            let (piece, step) = match step {
                Step::Head => (export.head(), Step::Rows { first: true }),
                Step::Rows { first } => export.rows(first).await.inspect_err(|error| {
                    tracing::warn!(error = %error, "an export of the ledger was cut off");
                })?,
                Step::Done => return Ok(None),
            };
            Ok::<_, StoreError>(Some((piece, (export, step))))
        });
        let headers = [(CONTENT_TYPE, kind), (CONTENT_DISPOSITION, name)];
        (headers, Body::from_stream(pieces)).into_response()
    }

    fn head(&self) -> String {
        match self.format {
            Format::Csv => csv::head(COLUMNS),
            Format::Json => "[".to_owned(),
        }
    }

    /// The next calls, or the end.
    async fn rows(&mut self, first: bool) -> Result<(String, Step), StoreError> {
        let limit = self.left.min(PAGE);
        let reading = self
            .store
            .calls(self.organization, &self.calls, self.after, limit);
        let rows = if limit == 0 {
            Vec::new()
        } else {
            reading.await?
        };
        let Some(last) = rows.last() else {
            let end = match self.format {
                Format::Csv => "",
                Format::Json => "\n]\n",
            };
            return Ok((end.to_owned(), Step::Done));
        };
        self.after = Some((last.at, last.id));
        self.left -= i64::try_from(rows.len()).unwrap_or(limit);
        let mut text = String::new();
        for (index, row) in rows.iter().enumerate() {
            match self.format {
                Format::Csv => text.push_str(&csv::row(COLUMNS, &view(row))),
                Format::Json => {
                    text.push_str(if first && index == 0 { "\n" } else { ",\n" });
                    text.push_str(&view(row).to_string());
                }
            }
        }
        Ok((text, Step::Rows { first: false }))
    }
}

/// The columns of a table, and where in a call what they hold is.
const COLUMNS: &[(&str, &str)] = &[
    ("at", "/at"),
    ("id", "/id"),
    ("server", "/server"),
    ("server_id", "/serverId"),
    ("version_id", "/versionId"),
    ("consumer", "/consumer"),
    ("consumer_id", "/consumerId"),
    ("key_id", "/keyId"),
    ("tool", "/tool"),
    ("status", "/status"),
    ("upstream_status", "/upstreamStatus"),
    ("request_bytes", "/requestBytes"),
    ("response_bytes", "/responseBytes"),
    ("upstream_us", "/upstreamMicros"),
    ("total_us", "/totalMicros"),
    ("attempts", "/attempts"),
    ("trace_id", "/traceId"),
    ("model", "/model"),
    ("target", "/target"),
    ("arm", "/arm"),
    ("tokens_input", "/tokensInput"),
    ("tokens_cached", "/tokensCached"),
    ("tokens_cache_write", "/tokensCacheWrite"),
    ("tokens_output", "/tokensOutput"),
    ("tokens_reasoning", "/tokensReasoning"),
    ("cost_nanos", "/costNanos"),
    ("first_token_us", "/firstTokenMicros"),
    ("estimated", "/estimated"),
];
