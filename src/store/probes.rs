//! Whether APIs are well: who asks next, and what the answers were.

use uuid::Uuid;

use crate::store::db::{execute, fetch_all, row};
use crate::store::{Store, StoreError};
use crate::types::ServerId;

/// Results of one server that are kept.
pub const RESULTS_MAX: i64 = 500;
/// Older ones that are removed with each new one.
const SWEPT_MAX: i64 = 100;

row! {
    /// When a server is due, and what it came to last.
    #[derive(Clone, Debug)]
    pub struct ProbeRow {
        pub server_id: Uuid,
        pub next_at: i64,
        pub last_at: Option<i64>,
        pub last_ok: Option<i64>,
    }
}

row! {
    /// What one question came to.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ProbeResult {
        pub at: i64,
        /// 1: the API was well.
        pub ok: i64,
        pub status: Option<i64>,
        pub took_ms: i64,
        pub reason: Option<String>,
    }
}

const PROBES: &str = "SELECT server_id, next_at, last_at, last_ok FROM probes ORDER BY server_id";
// What is due later than its owner wants it was set under a longer interval.
const CLAIM: &str = "INSERT INTO probes AS p (server_id, next_at) \
     SELECT id, $3 FROM servers WHERE id = $1 AND deleted_at IS NULL AND closed IS NULL \
     ON CONFLICT (server_id) DO UPDATE SET next_at = excluded.next_at WHERE p.next_at <= $2 OR p.next_at > $4";
const ADD: &str = "INSERT INTO probe_results (server_id, at, ok, status, took_ms, reason) \
     SELECT id, $2, $3, $4, $5, $6 FROM servers WHERE id = $1 ON CONFLICT (server_id, at) DO NOTHING";
const LAST: &str = "UPDATE probes SET last_at = $2, last_ok = $3 WHERE server_id = $1";
const SWEEP: &str = "DELETE FROM probe_results WHERE server_id = $1 AND at IN \
     (SELECT at FROM probe_results WHERE server_id = $1 ORDER BY at DESC LIMIT $2 OFFSET $3)";
const RESULTS: &str = "SELECT at, ok, status, took_ms, reason FROM probe_results WHERE server_id = $1 \
     ORDER BY at DESC LIMIT $2";

impl Store {
    /// Every server that was ever asked.
    pub async fn probes(&self) -> Result<Vec<ProbeRow>, StoreError> {
        fetch_all!(&self.db, ProbeRow, PROBES)
    }

    /// Takes a server that is due at `now` and is served; it is due again at `next`. Of many processes that
    /// try, one gets it. What is due later than `latest` is due now.
    pub async fn claim_probe(
        &self,
        server: ServerId,
        (now, next, latest): (i64, i64, i64),
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let taken = execute!(&mut tx, CLAIM, server.0, now, next, latest)?;
        tx.commit().await?;
        Ok(taken == 1)
    }

    /// Keeps a result, and lets older ones go.
    pub async fn probed(&self, server: ServerId, result: &ProbeResult) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        execute!(
            &mut tx,
            ADD,
            server.0,
            result.at,
            result.ok,
            result.status,
            result.took_ms,
            result.reason.as_deref()
        )?;
        execute!(&mut tx, LAST, server.0, result.at, result.ok)?;
        execute!(&mut tx, SWEEP, server.0, SWEPT_MAX, RESULTS_MAX)?;
        tx.commit().await
    }

    /// The last results of a server, the newest first.
    pub async fn probe_results(&self, server: ServerId) -> Result<Vec<ProbeResult>, StoreError> {
        fetch_all!(&self.db, ProbeResult, RESULTS, server.0, RESULTS_MAX)
    }
}
