//! The ledger: one row per call, written once however often it is handed in.

use uuid::Uuid;

use crate::store::db::{Number, execute, fetch_optional};
use crate::store::{Store, StoreError};
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

const INSERT: &str = "INSERT INTO ledger (id, organization_id, consumer_id, key_id, kind, server_id, version_id, tool, model, \
     target, parent_id, trace_id, status, upstream_status, request_bytes, response_bytes, at, upstream_us, total_us, \
     tokens_input, tokens_cached, tokens_output, tokens_reasoning, cost_nanos, attempts) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, \
     $24, $25) ON CONFLICT (id) DO NOTHING";
const COUNT: &str = "SELECT COUNT(*) AS value FROM ledger WHERE organization_id = $1";

impl Store {
    /// Adds rows in one transaction; those that are there already stay as they are.
    pub async fn append_ledger(&self, rows: &[LedgerRow]) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        for row in rows {
            execute!(
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
        }
        tx.commit().await
    }

    /// How many calls there were.
    pub async fn ledger_count(&self, organization: OrganizationId) -> Result<i64, StoreError> {
        Ok(fetch_optional!(&self.db, Number, COUNT, organization.0)?.map_or(0, |row| row.value))
    }
}
