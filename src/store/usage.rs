//! The ledger added up: by hours, in the transaction that writes the calls, and by days once hours are
//! long past. What is read is the sum of both, so that it is the same whenever days are made.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::store::db::{
    Number, Tx, execute, fetch_all, fetch_all_in, fetch_in, fetch_optional, row,
};
use crate::store::ledger::LedgerRow;
use crate::store::{Store, StoreError};
use crate::types::{Latency, OrganizationId};

/// In microseconds.
pub const HOUR: i64 = 60 * 60 * 1_000_000;
pub const DAY: i64 = 24 * HOUR;
/// Rows made days of at once, and removed at once.
pub(super) const ROWS_MAX: i64 = 500;

row! {
    /// Calls of one hour or day that are alike. No server and no consumer is the nil UUID, no tool the
    /// empty text.
    #[derive(Clone, Debug)]
    pub struct UsageRow {
        pub bucket: i64,
        pub server_id: Uuid,
        pub tool: String,
        pub consumer_id: Uuid,
        pub status: String,
        pub calls: i64,
        pub errors: i64,
        pub request_bytes: i64,
        pub response_bytes: i64,
        pub upstream_us: i64,
        /// `None`: of no call is it known.
        pub tokens: Option<i64>,
        pub cost_nanos: Option<i64>,
        /// As [`Latency::to_text`] writes it.
        pub latency: String,
    }
}

row! {
    /// What a row came to.
    pub struct SumRow {
        pub calls: i64,
        pub latency: String,
    }
}

row! {
    /// An id and the name it has.
    #[derive(Clone, Debug)]
    pub struct NameRow {
        pub id: Uuid,
        pub name: String,
    }
}

row! {
    /// Calls of one server.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct CalledRow {
        pub server_id: Uuid,
        pub calls: i64,
        pub well: i64,
    }
}

/// Which calls; `None` is any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Used {
    pub server: Option<Uuid>,
    pub consumer: Option<Uuid>,
    pub tool: Option<String>,
}

/// What a row is about, in the order rows are locked in, which is the same in every process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    organization: Uuid,
    bucket: i64,
    server: Uuid,
    tool: String,
    consumer: Uuid,
    status: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sums {
    calls: i64,
    errors: i64,
    request_bytes: i64,
    response_bytes: i64,
    upstream_us: i64,
    tokens: Option<i64>,
    cost_nanos: Option<i64>,
    latency: Latency,
}

/// A table and the statements that go to it.
struct Table {
    add: &'static str,
    time: &'static str,
}

/// The same statement for a table of that name.
macro_rules! add {
    ($table:literal) => {
        concat!(
            "INSERT INTO ", $table, " AS u (organization_id, bucket, server_id, tool, consumer_id, status, calls, errors, \
             request_bytes, response_bytes, upstream_us, tokens, cost_nanos, latency) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
             ON CONFLICT (organization_id, bucket, server_id, tool, consumer_id, status) DO UPDATE SET \
             calls = u.calls + excluded.calls, errors = u.errors + excluded.errors, \
             request_bytes = u.request_bytes + excluded.request_bytes, \
             response_bytes = u.response_bytes + excluded.response_bytes, \
             upstream_us = u.upstream_us + excluded.upstream_us, \
             tokens = COALESCE(u.tokens + excluded.tokens, u.tokens, excluded.tokens), \
             cost_nanos = COALESCE(u.cost_nanos + excluded.cost_nanos, u.cost_nanos, excluded.cost_nanos) \
             RETURNING calls, latency"
        )
    };
}

macro_rules! time {
    ($table:literal) => {
        concat!(
            "UPDATE ",
            $table,
            " SET latency = $7 WHERE organization_id = $1 AND bucket = $2 AND server_id = $3 \
             AND tool = $4 AND consumer_id = $5 AND status = $6"
        )
    };
}

const HOURLY: Table = Table {
    add: add!("usage_hourly"),
    time: time!("usage_hourly"),
};
const DAILY: Table = Table {
    add: add!("usage_daily"),
    time: time!("usage_daily"),
};

const READ: &str = "SELECT bucket, server_id, tool, consumer_id, status, calls, errors, request_bytes, response_bytes, \
     upstream_us, tokens, cost_nanos, latency FROM usage_hourly WHERE organization_id = $1 AND bucket >= $2 AND bucket < $3 \
     AND ($4 IS NULL OR server_id = $4) AND ($5 IS NULL OR consumer_id = $5) AND ($6 IS NULL OR tool = $6) \
     UNION ALL SELECT bucket, server_id, tool, consumer_id, status, calls, errors, request_bytes, response_bytes, \
     upstream_us, tokens, cost_nanos, latency FROM usage_daily WHERE organization_id = $1 AND bucket >= $2 AND bucket < $3 \
     AND ($4 IS NULL OR server_id = $4) AND ($5 IS NULL OR consumer_id = $5) AND ($6 IS NULL OR tool = $6) LIMIT $7";
const OLDEST_HOUR: &str = "SELECT bucket AS value FROM usage_hourly WHERE organization_id = $1 AND bucket < $2 ORDER BY bucket LIMIT 1";
// Whoever removes a row has it, and nobody else.
const TAKE: &str = "DELETE FROM usage_hourly WHERE organization_id = $1 AND bucket = $2 \
     AND (server_id, tool, consumer_id, status) IN (SELECT server_id, tool, consumer_id, status FROM usage_hourly \
     WHERE organization_id = $1 AND bucket = $2 ORDER BY server_id, tool, consumer_id, status LIMIT $3) \
     RETURNING bucket, server_id, tool, consumer_id, status, calls, errors, request_bytes, response_bytes, upstream_us, \
     tokens, cost_nanos, latency";
const OLDEST_DAY: &str = "SELECT bucket AS value FROM usage_daily WHERE organization_id = $1 AND bucket < $2 ORDER BY bucket LIMIT 1";
const SWEEP: &str = "DELETE FROM usage_daily WHERE organization_id = $1 AND bucket = $2";
// Every organization is named, so that the keys of both tables lead to the hours. A call to a server that is not served
// says nothing of how well it does.
const CALLED: &str = "SELECT server_id, CAST(SUM(calls) AS BIGINT) AS calls, \
     CAST(SUM(CASE WHEN status = 'ok' THEN calls ELSE 0 END) AS BIGINT) AS well FROM \
     (SELECT server_id, status, calls FROM usage_hourly WHERE organization_id IN (SELECT id FROM organizations) AND bucket >= $1 \
     AND status <> 'closed' UNION ALL SELECT server_id, status, calls FROM usage_daily WHERE organization_id IN (SELECT id FROM organizations) AND bucket >= $1 \
     AND status <> 'closed') AS used GROUP BY server_id ORDER BY server_id";
const OWNERS: &str = "SELECT s.id, u.name FROM servers s JOIN users u ON u.id = s.owner_id \
     WHERE s.deleted_at IS NULL ORDER BY s.id";
const SERVERS: &str =
    "SELECT id, slug AS name FROM servers WHERE organization_id = $1 ORDER BY slug LIMIT $2";
const CONSUMERS: &str =
    "SELECT id, name FROM consumers WHERE organization_id = $1 ORDER BY name LIMIT $2";

impl Store {
    /// Rows of hours and days that begin from `from` and before `to`, at most `limit` of them.
    pub async fn usage(
        &self,
        organization: OrganizationId,
        used: &Used,
        (from, to): (i64, i64),
        limit: i64,
    ) -> Result<Vec<UsageRow>, StoreError> {
        fetch_all!(
            &self.db,
            UsageRow,
            READ,
            organization.0,
            from,
            to,
            used.server,
            used.consumer,
            used.tool.as_deref(),
            limit
        )
    }

    /// The calls of each server that carried out any, in hours and days that begin from `from` on.
    pub async fn calls_of_servers(&self, from: i64) -> Result<Vec<CalledRow>, StoreError> {
        fetch_all!(&self.db, CalledRow, CALLED, from)
    }

    /// For each server that is somebody's, who that is.
    pub async fn names_of_owners(&self) -> Result<Vec<NameRow>, StoreError> {
        fetch_all!(&self.db, NameRow, OWNERS)
    }

    /// Names of servers as they are now, also of those that were deleted: `limit` at most.
    pub async fn usage_servers(
        &self,
        organization: OrganizationId,
        limit: i64,
    ) -> Result<Vec<NameRow>, StoreError> {
        fetch_all!(&self.db, NameRow, SERVERS, organization.0, limit)
    }

    /// The same of consumers.
    pub async fn usage_consumers(
        &self,
        organization: OrganizationId,
        limit: i64,
    ) -> Result<Vec<NameRow>, StoreError> {
        fetch_all!(&self.db, NameRow, CONSUMERS, organization.0, limit)
    }

    /// Adds up to some hundred rows of one hour from before `before` to their day. 0: there is none.
    pub async fn compact_usage(
        &self,
        organization: OrganizationId,
        before: i64,
    ) -> Result<u64, StoreError> {
        let hour = fetch_optional!(&self.db, Number, OLDEST_HOUR, organization.0, before)?;
        let Some(Number { value: hour }) = hour else {
            return Ok(0);
        };
        let mut tx = self.db.begin().await?;
        let rows = fetch_all_in!(&mut tx, UsageRow, TAKE, organization.0, hour, ROWS_MAX)?;
        let taken = rows.len() as u64;
        let mut days: BTreeMap<Key, Sums> = BTreeMap::new();
        for row in rows {
            let (mut key, sums) = taken_apart(organization, row)?;
            key.bucket -= key.bucket.rem_euclid(DAY);
            days.entry(key).or_default().add(&sums);
        }
        for (key, sums) in days {
            add(&mut tx, &DAILY, &key, sums).await?;
        }
        tx.commit().await?;
        // Another process had them.
        Ok(taken.max(1))
    }

    /// Removes the oldest day that began before `before`. 0: there is none.
    pub async fn sweep_usage(
        &self,
        organization: OrganizationId,
        before: i64,
    ) -> Result<u64, StoreError> {
        let day = fetch_optional!(&self.db, Number, OLDEST_DAY, organization.0, before)?;
        let Some(Number { value: day }) = day else {
            return Ok(0);
        };
        let mut tx = self.db.begin().await?;
        let gone = execute!(&mut tx, SWEEP, organization.0, day)?;
        tx.commit().await?;
        Ok(gone.max(1))
    }
}

/// Adds calls to their hours, in the transaction that writes them.
pub(super) async fn count<'a>(
    tx: &mut Tx,
    calls: impl IntoIterator<Item = &'a LedgerRow>,
) -> Result<(), StoreError> {
    let mut hours: BTreeMap<Key, Sums> = BTreeMap::new();
    for call in calls.into_iter().filter(|call| call.kind == "tool") {
        hours.entry(key(call)).or_default().add(&sums(call));
    }
    for (key, sums) in hours {
        add(tx, &HOURLY, &key, sums).await?;
    }
    Ok(())
}

/// Others who add to the same row wait from here until the transaction ends, so that what is returned
/// of its times is still true when they are written.
async fn add(tx: &mut Tx, table: &Table, key: &Key, sums: Sums) -> Result<(), StoreError> {
    let latency = sums.latency.to_text();
    let stored = fetch_in!(
        &mut *tx,
        SumRow,
        table.add,
        key.organization,
        key.bucket,
        key.server,
        key.tool.as_str(),
        key.consumer,
        key.status.as_str(),
        sums.calls,
        sums.errors,
        sums.request_bytes,
        sums.response_bytes,
        sums.upstream_us,
        sums.tokens,
        sums.cost_nanos,
        latency.as_str()
    )?;
    let stored = stored.ok_or(StoreError::Stale)?;
    if stored.calls == sums.calls {
        return Ok(());
    }
    let mut latency = read_latency(&stored.latency)?;
    latency.merge(&sums.latency);
    execute!(
        tx,
        table.time,
        key.organization,
        key.bucket,
        key.server,
        key.tool.as_str(),
        key.consumer,
        key.status.as_str(),
        latency.to_text()
    )?;
    Ok(())
}

pub(super) fn read_latency(text: &str) -> Result<Latency, StoreError> {
    Latency::from_text(text)
        .ok_or_else(|| StoreError::Corrupt("the times of calls in a roll-up".to_owned()))
}

fn key(call: &LedgerRow) -> Key {
    Key {
        organization: call.organization.0,
        bucket: call.at - call.at.rem_euclid(HOUR),
        server: call.server.unwrap_or_default(),
        tool: call.tool.clone().unwrap_or_default(),
        consumer: call.consumer.unwrap_or_default(),
        status: call.status.to_owned(),
    }
}

pub(super) fn has_failed(status: &str) -> bool {
    matches!(status, "tool_error" | "refused" | "timeout" | "closed")
}

fn sums(call: &LedgerRow) -> Sums {
    // What is cached is part of what went in, and what was thought part of what came out.
    let tokens = [call.tokens_input, call.tokens_output];
    Sums {
        calls: 1,
        errors: i64::from(has_failed(call.status)),
        request_bytes: call.request_bytes,
        response_bytes: call.response_bytes,
        upstream_us: call.upstream_us,
        tokens: tokens.into_iter().flatten().reduce(i64::saturating_add),
        cost_nanos: call.cost_nanos,
        latency: Latency::of(call.total_us.unsigned_abs()),
    }
}

fn taken_apart(organization: OrganizationId, row: UsageRow) -> Result<(Key, Sums), StoreError> {
    let latency = read_latency(&row.latency)?;
    let key = Key {
        organization: organization.0,
        bucket: row.bucket,
        server: row.server_id,
        tool: row.tool,
        consumer: row.consumer_id,
        status: row.status,
    };
    let sums = Sums {
        calls: row.calls,
        errors: row.errors,
        request_bytes: row.request_bytes,
        response_bytes: row.response_bytes,
        upstream_us: row.upstream_us,
        tokens: row.tokens,
        cost_nanos: row.cost_nanos,
        latency,
    };
    Ok((key, sums))
}

impl Sums {
    fn add(&mut self, other: &Self) {
        let known = |a: Option<i64>, b: Option<i64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (a, b) => a.or(b),
        };
        self.calls = self.calls.saturating_add(other.calls);
        self.errors = self.errors.saturating_add(other.errors);
        self.request_bytes = self.request_bytes.saturating_add(other.request_bytes);
        self.response_bytes = self.response_bytes.saturating_add(other.response_bytes);
        self.upstream_us = self.upstream_us.saturating_add(other.upstream_us);
        self.tokens = known(self.tokens, other.tokens);
        self.cost_nanos = known(self.cost_nanos, other.cost_nanos);
        self.latency.merge(&other.latency);
    }
}
