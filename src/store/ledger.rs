//! The ledger: one row per call, written once however often it is handed in and added up in the same
//! transaction, read newest first, and removed when it is old.

use uuid::Uuid;

use crate::store::db::{Number, execute, fetch_all, fetch_optional, row};
use crate::store::{Store, StoreError, usage};
use crate::types::OrganizationId;

/// A row as it is stored. Times in microseconds, money in nano-dollars.
#[derive(Clone, Debug)]
pub struct LedgerRow {
    pub id: Uuid,
    pub organization: OrganizationId,
    pub consumer: Option<Uuid>,
    pub key: Option<Uuid>,
    pub kind: &'static str,
    pub server: Option<Uuid>,
    pub version: Option<Uuid>,
    pub tool: Option<String>,
    pub model: Option<String>,
    pub target: Option<String>,
    pub parent: Option<Uuid>,
    pub trace_id: String,
    pub status: &'static str,
    pub upstream_status: Option<i64>,
    pub request_bytes: i64,
    pub response_bytes: i64,
    pub at: i64,
    pub upstream_us: i64,
    pub total_us: i64,
    pub tokens_input: Option<i64>,
    pub tokens_cached: Option<i64>,
    pub tokens_output: Option<i64>,
    pub tokens_reasoning: Option<i64>,
    pub cost_nanos: Option<i64>,
    pub attempts: i64,
}

row! {
    /// A call as it is read, with the names its server and consumer have now.
    #[derive(Clone, Debug)]
    pub struct CallRow {
        pub id: Uuid,
        pub at: i64,
        pub server: Option<String>,
        pub server_id: Option<Uuid>,
        pub version_id: Option<Uuid>,
        pub consumer: Option<String>,
        pub consumer_id: Option<Uuid>,
        pub key_id: Option<Uuid>,
        pub tool: Option<String>,
        pub status: String,
        pub upstream_status: Option<i64>,
        pub request_bytes: i64,
        pub response_bytes: i64,
        pub upstream_us: i64,
        pub total_us: i64,
        pub attempts: i64,
        pub trace_id: String,
    }
}

/// Which calls; `None` is any.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    pub server: Option<Uuid>,
    pub consumer: Option<Uuid>,
    pub tool: Option<String>,
    pub status: Option<String>,
    /// The first moment, in microseconds.
    pub from: Option<i64>,
    /// The first moment that is too late.
    pub to: Option<i64>,
}

/// Where a page of calls begins: after the call of that time and id.
pub type After = (i64, Uuid);

const INSERT: &str = "INSERT INTO ledger (id, organization_id, consumer_id, key_id, kind, server_id, version_id, tool, model, \
     target, parent_id, trace_id, status, upstream_status, request_bytes, response_bytes, at, upstream_us, total_us, \
     tokens_input, tokens_cached, tokens_output, tokens_reasoning, cost_nanos, attempts) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, \
     $24, $25) ON CONFLICT (id) DO NOTHING";
const COUNT: &str = "SELECT COUNT(*) AS value FROM ledger WHERE organization_id = $1";
// Newest first.
const READ: &str = "SELECT l.id, l.at, s.slug AS server, l.server_id, l.version_id, c.name AS consumer, l.consumer_id, l.key_id, \
     l.tool, l.status, l.upstream_status, l.request_bytes, l.response_bytes, l.upstream_us, l.total_us, l.attempts, l.trace_id \
     FROM ledger l LEFT JOIN servers s ON s.id = l.server_id LEFT JOIN consumers c ON c.id = l.consumer_id \
     WHERE l.organization_id = $1 AND l.at >= $2 AND l.at < $3 AND l.at <= $4 AND (l.at < $4 OR l.id < $5) \
     AND ($6 IS NULL OR l.server_id = $6) AND ($7 IS NULL OR l.consumer_id = $7) \
     AND ($8 IS NULL OR l.tool = $8) AND ($9 IS NULL OR l.status = $9) \
     ORDER BY l.at DESC, l.id DESC LIMIT $10";
const PLACE: &str = "SELECT at AS value FROM ledger WHERE organization_id = $1 AND id = $2";
const SWEEP: &str = "DELETE FROM ledger WHERE id IN \
     (SELECT id FROM ledger WHERE organization_id = $1 AND at < $2 ORDER BY at LIMIT $3)";

impl Store {
    /// Adds rows in one transaction; those that are there already stay as they are.
    pub async fn append_ledger(&self, rows: &[LedgerRow]) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let mut new = Vec::with_capacity(rows.len());
        for row in rows {
            let added = execute!(
                &mut tx,
                INSERT,
                row.id,
                row.organization.0,
                row.consumer,
                row.key,
                row.kind,
                row.server,
                row.version,
                row.tool.as_deref(),
                row.model.as_deref(),
                row.target.as_deref(),
                row.parent,
                &row.trace_id,
                row.status,
                row.upstream_status,
                row.request_bytes,
                row.response_bytes,
                row.at,
                row.upstream_us,
                row.total_us,
                row.tokens_input,
                row.tokens_cached,
                row.tokens_output,
                row.tokens_reasoning,
                row.cost_nanos,
                row.attempts
            )?;
            if added > 0 {
                new.push(row);
            }
        }
        usage::count(&mut tx, &new).await?;
        tx.commit().await
    }

    /// How many calls there were.
    pub async fn ledger_count(&self, organization: OrganizationId) -> Result<i64, StoreError> {
        Ok(fetch_optional!(&self.db, Number, COUNT, organization.0)?.map_or(0, |row| row.value))
    }

    /// Calls, newest first, from the one that follows `after`.
    pub async fn calls(
        &self,
        organization: OrganizationId,
        calls: &Calls,
        after: Option<After>,
        limit: i64,
    ) -> Result<Vec<CallRow>, StoreError> {
        let (at, id) = after.unwrap_or((i64::MAX, Uuid::max()));
        fetch_all!(
            &self.db,
            CallRow,
            READ,
            organization.0,
            calls.from.unwrap_or(i64::MIN),
            calls.to.unwrap_or(i64::MAX),
            at,
            id,
            calls.server,
            calls.consumer,
            calls.tool.as_deref(),
            calls.status.as_deref(),
            limit
        )
    }

    /// When a call was, for the page that begins after it.
    pub async fn place_of_call(
        &self,
        organization: OrganizationId,
        id: Uuid,
    ) -> Result<Option<After>, StoreError> {
        let at = fetch_optional!(&self.db, Number, PLACE, organization.0, id)?;
        Ok(at.map(|row| (row.value, id)))
    }

    /// Removes up to `limit` calls from before `at`, in microseconds, the oldest first.
    pub async fn sweep_ledger(
        &self,
        organization: OrganizationId,
        at: i64,
        limit: i64,
    ) -> Result<u64, StoreError> {
        let mut tx = self.db.begin().await?;
        let gone = execute!(&mut tx, SWEEP, organization.0, at, limit)?;
        tx.commit().await?;
        Ok(gone)
    }
}
