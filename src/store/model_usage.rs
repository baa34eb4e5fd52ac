//! Calls of models added up, as [`usage`](crate::store::usage) adds up those of tools: by hours in the transaction that
//! writes them, and by days once hours are long past.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::store::db::{
    Number, Tx, execute, fetch_all, fetch_all_in, fetch_in, fetch_optional, row,
};
use crate::store::ledger::LedgerRow;
use crate::store::usage::{DAY, HOUR, ROWS_MAX, has_failed, read_latency};
use crate::store::{Store, StoreError};
use crate::types::{Latency, OrganizationId};

row! {
    /// Calls of one hour or day that are alike. No consumer is the nil UUID, no target the empty text.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ModelUsageRow {
        pub bucket: i64,
        /// As callers name it.
        pub model: String,
        /// `provider/model` of the one that answered, or was asked last.
        pub target: String,
        pub consumer_id: Uuid,
        pub status: String,
        /// Which arm of the model; empty: it has one.
        pub arm: String,
        pub calls: i64,
        pub errors: i64,
        /// Calls whose tokens were counted here.
        pub estimated: i64,
        /// Of calls whose tokens are known.
        pub tokens_input: i64,
        pub tokens_cached: i64,
        pub tokens_cache_write: i64,
        pub tokens_output: i64,
        pub tokens_reasoning: i64,
        /// Of calls that have a price.
        pub cost_nanos: i64,
        /// Calls that used tokens which have none.
        pub unknown_costs: i64,
        /// As [`Latency::to_text`] writes it.
        pub latency: String,
        /// To the first token, of streams.
        pub first_token: String,
    }
}

row! {
    /// What a row came to.
    pub struct TimesRow {
        pub calls: i64,
        pub latency: String,
        pub first_token: String,
    }
}

/// Which calls; `None` is any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelsUsed {
    pub model: Option<String>,
    /// Of the target.
    pub provider: Option<String>,
    pub target: Option<String>,
    pub consumer: Option<Uuid>,
    /// Without one, those that nobody got an answer from (a shadow's) are left out.
    pub arm: Option<String>,
}

/// What a row is about, in the order rows are locked in, which is the same in every process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    organization: Uuid,
    bucket: i64,
    model: String,
    target: String,
    consumer: Uuid,
    status: String,
    arm: String,
}

/// The numbers of a row, in the order of its columns.
type Counts = [i64; 10];

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sums {
    counts: Counts,
    latency: Latency,
    first_token: Latency,
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
            "INSERT INTO ", $table, " AS u (organization_id, bucket, model, target, consumer_id, status, calls, errors, \
             estimated, tokens_input, tokens_cached, tokens_cache_write, tokens_output, tokens_reasoning, cost_nanos, \
             unknown_costs, latency, first_token, arm) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) \
             ON CONFLICT (organization_id, bucket, model, target, consumer_id, status, arm) DO UPDATE SET \
             calls = u.calls + excluded.calls, errors = u.errors + excluded.errors, \
             estimated = u.estimated + excluded.estimated, tokens_input = u.tokens_input + excluded.tokens_input, \
             tokens_cached = u.tokens_cached + excluded.tokens_cached, \
             tokens_cache_write = u.tokens_cache_write + excluded.tokens_cache_write, \
             tokens_output = u.tokens_output + excluded.tokens_output, \
             tokens_reasoning = u.tokens_reasoning + excluded.tokens_reasoning, \
             cost_nanos = u.cost_nanos + excluded.cost_nanos, \
             unknown_costs = u.unknown_costs + excluded.unknown_costs \
             RETURNING calls, latency, first_token"
        )
    };
}

macro_rules! time {
    ($table:literal) => {
        concat!(
            "UPDATE ",
            $table,
            " SET latency = $7, first_token = $8 WHERE organization_id = $1 AND bucket = $2 AND model = $3 \
             AND target = $4 AND consumer_id = $5 AND status = $6 AND arm = $9"
        )
    };
}

const HOURLY: Table = Table {
    add: add!("model_usage_hourly"),
    time: time!("model_usage_hourly"),
};
const DAILY: Table = Table {
    add: add!("model_usage_daily"),
    time: time!("model_usage_daily"),
};

const READ: &str = "SELECT bucket, model, target, consumer_id, status, arm, calls, errors, estimated, tokens_input, tokens_cached, \
     tokens_cache_write, tokens_output, tokens_reasoning, cost_nanos, unknown_costs, latency, first_token \
     FROM model_usage_hourly WHERE organization_id = $1 AND bucket >= $2 AND bucket < $3 \
     AND ($4 IS NULL OR model = $4) AND ($5 IS NULL OR target = $5) AND ($6 IS NULL OR consumer_id = $6) \
     AND ($7 IS NULL OR substr(target, 1, length($7) + 1) = $7 || '/') AND (arm = $8 OR $8 IS NULL AND arm <> 'shadow') \
     UNION ALL SELECT bucket, model, target, consumer_id, status, arm, calls, errors, estimated, tokens_input, tokens_cached, \
     tokens_cache_write, tokens_output, tokens_reasoning, cost_nanos, unknown_costs, latency, first_token \
     FROM model_usage_daily WHERE organization_id = $1 AND bucket >= $2 AND bucket < $3 \
     AND ($4 IS NULL OR model = $4) AND ($5 IS NULL OR target = $5) AND ($6 IS NULL OR consumer_id = $6) \
     AND ($7 IS NULL OR substr(target, 1, length($7) + 1) = $7 || '/') AND (arm = $8 OR $8 IS NULL AND arm <> 'shadow') LIMIT $9";
const OLDEST_HOUR: &str = "SELECT bucket AS value FROM model_usage_hourly WHERE organization_id = $1 AND bucket < $2 ORDER BY bucket LIMIT 1";
// Whoever removes a row has it, and nobody else.
const TAKE: &str = "DELETE FROM model_usage_hourly WHERE organization_id = $1 AND bucket = $2 \
     AND (model, target, consumer_id, status, arm) IN (SELECT model, target, consumer_id, status, arm FROM model_usage_hourly \
     WHERE organization_id = $1 AND bucket = $2 ORDER BY model, target, consumer_id, status, arm LIMIT $3) \
     RETURNING bucket, model, target, consumer_id, status, arm, calls, errors, estimated, tokens_input, tokens_cached, \
     tokens_cache_write, tokens_output, tokens_reasoning, cost_nanos, unknown_costs, latency, first_token";
const OLDEST_DAY: &str = "SELECT bucket AS value FROM model_usage_daily WHERE organization_id = $1 AND bucket < $2 ORDER BY bucket LIMIT 1";
const SWEEP: &str = "DELETE FROM model_usage_daily WHERE organization_id = $1 AND bucket = $2";

impl Store {
    /// Rows of hours and days that begin from `from` and before `to`, at most `limit` of them.
    pub async fn model_usage(
        &self,
        organization: OrganizationId,
        used: &ModelsUsed,
        (from, to): (i64, i64),
        limit: i64,
    ) -> Result<Vec<ModelUsageRow>, StoreError> {
        fetch_all!(
            &self.db,
            ModelUsageRow,
            READ,
            organization.0,
            from,
            to,
            used.model.as_deref(),
            used.target.as_deref(),
            used.consumer,
            used.provider.as_deref(),
            used.arm.as_deref(),
            limit
        )
    }

    /// Adds up to some hundred rows of one hour from before `before` to their day. 0: there is none.
    pub async fn compact_model_usage(
        &self,
        organization: OrganizationId,
        before: i64,
    ) -> Result<u64, StoreError> {
        let hour = fetch_optional!(&self.db, Number, OLDEST_HOUR, organization.0, before)?;
        let Some(Number { value: hour }) = hour else {
            return Ok(0);
        };
        let mut tx = self.db.begin().await?;
        let rows = fetch_all_in!(&mut tx, ModelUsageRow, TAKE, organization.0, hour, ROWS_MAX)?;
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
    pub async fn sweep_model_usage(
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
    for call in calls.into_iter().filter(|call| call.kind == "llm") {
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
    let [
        calls,
        errors,
        estimated,
        input,
        cached,
        cache_write,
        output,
        reasoning,
        cost,
        unknown,
    ] = sums.counts;
    let (latency, first_token) = (sums.latency.to_text(), sums.first_token.to_text());
    let stored = fetch_in!(
        &mut *tx,
        TimesRow,
        table.add,
        key.organization,
        key.bucket,
        key.model.as_str(),
        key.target.as_str(),
        key.consumer,
        key.status.as_str(),
        calls,
        errors,
        estimated,
        input,
        cached,
        cache_write,
        output,
        reasoning,
        cost,
        unknown,
        latency.as_str(),
        first_token.as_str(),
        key.arm.as_str()
    )?;
    let stored = stored.ok_or(StoreError::Stale)?;
    if stored.calls == calls {
        return Ok(());
    }
    let (mut latency, mut first_token) = (
        read_latency(&stored.latency)?,
        read_latency(&stored.first_token)?,
    );
    latency.merge(&sums.latency);
    first_token.merge(&sums.first_token);
    execute!(
        tx,
        table.time,
        key.organization,
        key.bucket,
        key.model.as_str(),
        key.target.as_str(),
        key.consumer,
        key.status.as_str(),
        latency.to_text(),
        first_token.to_text(),
        key.arm.as_str()
    )?;
    Ok(())
}

fn key(call: &LedgerRow) -> Key {
    Key {
        organization: call.organization.0,
        bucket: call.at - call.at.rem_euclid(HOUR),
        model: call.model.clone().unwrap_or_default(),
        target: call.target.clone().unwrap_or_default(),
        consumer: call.consumer.unwrap_or_default(),
        status: call.status.to_owned(),
        arm: call.arm.clone().unwrap_or_default(),
    }
}

fn sums(call: &LedgerRow) -> Sums {
    let used_tokens = call.tokens_input.is_some() || call.tokens_output.is_some();
    let first_token = call.first_token_us;
    Sums {
        counts: [
            1,
            i64::from(has_failed(call.status)),
            i64::from(call.estimated == Some(1)),
            call.tokens_input.unwrap_or_default(),
            call.tokens_cached.unwrap_or_default(),
            call.tokens_cache_write.unwrap_or_default(),
            call.tokens_output.unwrap_or_default(),
            call.tokens_reasoning.unwrap_or_default(),
            call.cost_nanos.unwrap_or_default(),
            i64::from(used_tokens && call.cost_nanos.is_none()),
        ],
        latency: Latency::of(call.total_us.unsigned_abs()),
        first_token: first_token.map_or_else(Latency::default, |us| Latency::of(us.unsigned_abs())),
    }
}

fn taken_apart(
    organization: OrganizationId,
    row: ModelUsageRow,
) -> Result<(Key, Sums), StoreError> {
    let sums = Sums {
        latency: read_latency(&row.latency)?,
        first_token: read_latency(&row.first_token)?,
        counts: [
            row.calls,
            row.errors,
            row.estimated,
            row.tokens_input,
            row.tokens_cached,
            row.tokens_cache_write,
            row.tokens_output,
            row.tokens_reasoning,
            row.cost_nanos,
            row.unknown_costs,
        ],
    };
    let key = Key {
        organization: organization.0,
        bucket: row.bucket,
        model: row.model,
        target: row.target,
        consumer: row.consumer_id,
        status: row.status,
        arm: row.arm,
    };
    Ok((key, sums))
}

impl Sums {
    fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(more);
        }
        self.latency.merge(&other.latency);
        self.first_token.merge(&other.first_token);
    }
}
