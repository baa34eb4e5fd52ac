//! One entry per call, settled exactly once, also when the client leaves. Entries pass through a
//! bounded channel to one writer; the caller never waits for the database.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;

use crate::access::caller::Caller;
use crate::types::{OrganizationId, ServerId, VersionId};

/// What one call was and what it cost.
#[derive(Clone, Debug)]
pub struct LedgerEntry {
    pub organization: OrganizationId,
    pub caller: Caller,
    pub at: DateTime<Utc>,
    pub server: ServerId,
    pub version: VersionId,
    pub tool: String,
    pub trace_id: String,
    /// `ok`, `tool_error`, `refused`, `cancelled` or `timeout`.
    pub status: LedgerStatus,
    pub upstream_status: Option<u16>,
    pub request_bytes: u64,
    pub response_bytes: u64,
    pub upstream_time: Duration,
    pub total_time: Duration,
    pub attempts: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerStatus {
    Ok,
    ToolError,
    Refused,
    Cancelled,
    Timeout,
}

/// The sending side of the ledger. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Option<mpsc::Sender<LedgerEntry>>);

impl Ledger {
    /// Keeps nothing: `run` and `stdio`, which have no database.
    pub fn disabled() -> Self {
        Self(None)
    }

    /// A ledger and the end its one writer reads from. At most `entries_max` wait.
    pub fn channel(entries_max: usize) -> (Self, mpsc::Receiver<LedgerEntry>) {
        let (sender, receiver) = mpsc::channel(entries_max);
        (Self(Some(sender)), receiver)
    }

    /// Hands an entry to the writer. Never blocks: when the writer cannot keep up, the entry is
    /// lost, counted and logged.
    pub fn record(&self, entry: LedgerEntry) {
        let Some(sender) = &self.0 else { return };
        if sender.try_send(entry).is_err() {
            metrics::counter!("causeway_ledger_entries_lost_total").increment(1);
            tracing::warn!("a ledger entry was lost: the writer is behind or gone");
        }
    }
}
