//! The ledger: one row per call, written once however often it is handed in and added up in the same
//! transaction, read newest first, and removed when it is old.

use std::sync::LazyLock;

use uuid::Uuid;

use crate::store::db::{Number, Tx, execute, fetch_all, fetch_optional, row};
use crate::store::{Store, StoreError, model_usage, usage};
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
    pub tokens_cache_write: Option<i64>,
    /// From the request to the first token of a model's stream.
    pub first_token_us: Option<i64>,
    /// 1: tokens were counted here.
    pub estimated: Option<i64>,
    /// Which arm of a model it went to, where it has several.
    pub arm: Option<String>,
}

impl LedgerRow {
    /// A call of an organization of which nothing is known yet.
    pub fn new(id: Uuid, organization: OrganizationId, kind: &'static str) -> Self {
        Self {
            id,
            organization,
            consumer: None,
            key: None,
            kind,
            server: None,
            version: None,
            tool: None,
            model: None,
            target: None,
            parent: None,
            trace_id: String::new(),
            status: "",
            upstream_status: None,
            request_bytes: 0,
            response_bytes: 0,
            at: 0,
            upstream_us: 0,
            total_us: 0,
            tokens_input: None,
            tokens_cached: None,
            tokens_output: None,
            tokens_reasoning: None,
            cost_nanos: None,
            attempts: 0,
            tokens_cache_write: None,
            first_token_us: None,
            estimated: None,
            arm: None,
        }
    }
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
        pub model: Option<String>,
        pub target: Option<String>,
        pub arm: Option<String>,
        pub status: String,
        pub upstream_status: Option<i64>,
        pub request_bytes: i64,
        pub response_bytes: i64,
        pub upstream_us: i64,
        pub total_us: i64,
        pub attempts: i64,
        pub trace_id: String,
        pub tokens_input: Option<i64>,
        pub tokens_cached: Option<i64>,
        pub tokens_cache_write: Option<i64>,
        pub tokens_output: Option<i64>,
        pub tokens_reasoning: Option<i64>,
        pub cost_nanos: Option<i64>,
        pub first_token_us: Option<i64>,
        pub estimated: Option<i64>,
    }
}

row! {
    /// What calls of one arm of a model came to.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct ArmRow {
        pub calls: i64,
        pub errors: i64,
    }
}

/// Which calls; `None` is any.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    pub server: Option<Uuid>,
    pub consumer: Option<Uuid>,
    pub tool: Option<String>,
    pub model: Option<String>,
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
     tokens_input, tokens_cached, tokens_output, tokens_reasoning, cost_nanos, attempts, \
     tokens_cache_write, first_token_us, estimated, arm) VALUES ";
const ONCE: &str = " ON CONFLICT (id) DO NOTHING";
/// Values of a row.
const COLUMNS: usize = 29;
/// Rows of one statement where there are that many: each statement is a way to the database and back.
const TOGETHER: usize = 16;
/// For one row and for many: with numbered places for Postgres, and with plain ones for SQLite, which looks for a
/// numbered one among all others.
static NUMBERED: LazyLock<[String; 2]> =
    LazyLock::new(|| insert_texts(|place| format!("${place}")));
static PLAIN: LazyLock<[String; 2]> = LazyLock::new(|| insert_texts(|_| "?".to_owned()));
const COUNT: &str = "SELECT COUNT(*) AS value FROM ledger WHERE organization_id = $1";
// Newest first.
const READ: &str = "SELECT l.id, l.at, s.slug AS server, l.server_id, l.version_id, c.name AS consumer, l.consumer_id, l.key_id, \
     l.tool, l.model, l.target, l.arm, l.status, l.upstream_status, l.request_bytes, l.response_bytes, l.upstream_us, l.total_us, \
     l.attempts, l.trace_id, l.tokens_input, l.tokens_cached, l.tokens_cache_write, l.tokens_output, l.tokens_reasoning, \
     l.cost_nanos, l.first_token_us, l.estimated \
     FROM ledger l LEFT JOIN servers s ON s.id = l.server_id LEFT JOIN consumers c ON c.id = l.consumer_id \
     WHERE l.organization_id = $1 AND l.at >= $2 AND l.at < $3 AND l.at <= $4 AND (l.at < $4 OR l.id < $5) \
     AND ($6 IS NULL OR l.server_id = $6) AND ($7 IS NULL OR l.consumer_id = $7) \
     AND ($8 IS NULL OR l.tool = $8) AND ($9 IS NULL OR l.status = $9) AND ($10 IS NULL OR l.model = $10) \
     ORDER BY l.at DESC, l.id DESC LIMIT $11";
const ARM: &str = "SELECT COUNT(*) AS calls, COUNT(CASE WHEN status <> 'ok' THEN 1 END) AS errors FROM ledger \
     WHERE organization_id = $1 AND model = $2 AND arm = $3 AND at >= $4 AND at + total_us >= $5 AND status <> 'cancelled' \
     AND COALESCE(upstream_status, 0) NOT IN (400, 413, 422)";
const PLACE: &str = "SELECT at AS value FROM ledger WHERE organization_id = $1 AND id = $2";
const SWEEP: &str = "DELETE FROM ledger WHERE id IN \
     (SELECT id FROM ledger WHERE organization_id = $1 AND at < $2 ORDER BY at LIMIT $3)";

impl Store {
    /// Adds rows in one transaction; those that are there already stay as they are.
    pub async fn append_ledger(&self, rows: &[LedgerRow]) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let mut added = 0;
        let whole = rows.len() - rows.len() % TOGETHER;
        for some in rows[..whole].chunks(TOGETHER) {
            added += insert(&mut tx, some).await?;
        }
        for row in rows[whole..].chunks(1) {
            added += insert(&mut tx, row).await?;
        }
        if added != rows.len() as u64 {
            drop(tx);
            return self.append_each(rows).await;
        }
        usage::count(&mut tx, rows).await?;
        model_usage::count(&mut tx, rows).await?;
        tx.commit().await
    }

    /// The same where some are there already: one after the other, to know which are to be added up.
    async fn append_each(&self, rows: &[LedgerRow]) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let mut new = Vec::with_capacity(rows.len());
        for row in rows {
            if insert(&mut tx, std::slice::from_ref(row)).await? > 0 {
                new.push(row);
            }
        }
        usage::count(&mut tx, new.iter().copied()).await?;
        model_usage::count(&mut tx, new).await?;
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
            calls.model.as_deref(),
            limit
        )
    }

    /// How many calls of an arm of a model ended since a moment, and how many of them badly: those too whose targets
    /// are left alone. Those whose client left say nothing of it.
    pub async fn calls_of_arm(
        &self,
        organization: OrganizationId,
        (model, arm): (&str, &str),
        (begun, ended): (i64, i64),
    ) -> Result<ArmRow, StoreError> {
        let row = fetch_optional!(
            &self.db,
            ArmRow,
            ARM,
            organization.0,
            model,
            arm,
            begun,
            ended
        )?;
        Ok(row.unwrap_or(ArmRow {
            calls: 0,
            errors: 0,
        }))
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

/// A query with the values of all rows, on either database.
macro_rules! bound {
    ($query:expr, $rows:expr) => {{
        let mut query = $query;
        for row in $rows {
            query = query
                .bind(row.id)
                .bind(row.organization.0)
                .bind(row.consumer)
                .bind(row.key)
                .bind(row.kind)
                .bind(row.server)
                .bind(row.version)
                .bind(row.tool.as_deref())
                .bind(row.model.as_deref())
                .bind(row.target.as_deref())
                .bind(row.parent)
                .bind(&row.trace_id)
                .bind(row.status)
                .bind(row.upstream_status)
                .bind(row.request_bytes)
                .bind(row.response_bytes)
                .bind(row.at)
                .bind(row.upstream_us)
                .bind(row.total_us)
                .bind(row.tokens_input)
                .bind(row.tokens_cached)
                .bind(row.tokens_output)
                .bind(row.tokens_reasoning)
                .bind(row.cost_nanos)
                .bind(row.attempts)
                .bind(row.tokens_cache_write)
                .bind(row.first_token_us)
                .bind(row.estimated)
                .bind(row.arm.as_deref());
        }
        query
    }};
}

/// Adds one row, or [`TOGETHER`]: how many were not there.
async fn insert(tx: &mut Tx, rows: &[LedgerRow]) -> Result<u64, StoreError> {
    let size = usize::from(rows.len() > 1);
    let added = match tx {
        Tx::Postgres(tx) => {
            let text = NUMBERED[size].as_str();
            let query = bound!(sqlx::query::<sqlx::Postgres>(text), rows);
            query.execute(&mut **tx).await?.rows_affected()
        }
        Tx::Lite(tx) => {
            let text = PLAIN[size].as_str();
            let query = bound!(sqlx::query::<sqlx::Sqlite>(text), rows);
            query.execute(&mut **tx).await?.rows_affected()
        }
    };
    Ok(added)
}

/// The statements for one row and for many.
fn insert_texts(place: impl Fn(usize) -> String) -> [String; 2] {
    [1, TOGETHER].map(|rows| {
        let places: Vec<String> = (1..=rows * COLUMNS).map(&place).collect();
        let rows: Vec<String> = places
            .chunks(COLUMNS)
            .map(|row| format!("({})", row.join(", ")))
            .collect();
        format!("{INSERT}{}{ONCE}", rows.join(", "))
    })
}
