//! One entry per call, settled exactly once, also when the client leaves. Entries pass through a
//! bounded channel to one writer; the caller never waits for the database.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::access::afterlife;
use crate::access::caller::Caller;
use crate::store::ledger::LedgerRow;
use crate::store::usage::DAY;
use crate::store::{Store, StoreError};
use crate::types::{Clock, KeyId, OrganizationId, ServerId, VersionId};

/// How often old calls are removed, and how many at once.
const SWEEP_EVERY: Duration = Duration::from_hours(1);
const SWEPT_MAX: i64 = 5_000;
/// For how long usage can be told by the hour; what is older is kept by the day.
pub const HOURS_DAYS: u32 = 35;

/// What one call was and what it cost.
#[derive(Clone, Debug)]
pub struct LedgerEntry {
    pub organization: OrganizationId,
    pub caller: Caller,
    pub at: DateTime<Utc>,
    pub called: Called,
    pub trace_id: String,
    /// `ok`, `tool_error`, `refused`, `cancelled`, `timeout` or `closed`.
    pub status: LedgerStatus,
    pub upstream_status: Option<u16>,
    pub request_bytes: u64,
    pub response_bytes: u64,
    pub upstream_time: Duration,
    pub total_time: Duration,
    pub attempts: u32,
    /// Of the answer of a tool, where a limit counts them; of a model, where they are known.
    pub tokens_output: Option<u64>,
    /// Billionths of a dollar, where a call has a price.
    pub cost_nanos: Option<u64>,
}

/// What was called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Called {
    Tool {
        server: ServerId,
        version: VersionId,
        name: String,
    },
    Model(Box<ModelCall>),
}

/// A call of a model. Tokens of a kind are `None` where nobody told them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelCall {
    /// As the caller named it.
    pub model: String,
    /// `provider/model` of the one that answered, or was asked last; empty: none was.
    pub target: String,
    /// Which arm of the model it went to, where it has several; `shadow`: nobody got the answer.
    pub arm: Option<String>,
    /// From the request to the first token of a stream.
    pub first_token: Option<Duration>,
    pub tokens_input: Option<u64>,
    pub tokens_cached: Option<u64>,
    pub tokens_cache_write: Option<u64>,
    pub tokens_reasoning: Option<u64>,
    /// Tokens were counted here, not told by the provider.
    pub estimated: bool,
}

impl Called {
    /// The name of the tool, or of the model.
    pub fn name(&self) -> &str {
        match self {
            Self::Tool { name, .. } => name,
            Self::Model(call) => &call.model,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerStatus {
    Ok,
    ToolError,
    Refused,
    Cancelled,
    Timeout,
    /// The server is there, and its owner serves it no more.
    Closed,
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

    /// Entries that wait to be written.
    pub fn waiting(&self) -> usize {
        let sender = self.0.as_ref();
        sender.map_or(0, |sender| sender.max_capacity() - sender.capacity())
    }

    /// How many may wait.
    pub fn room(&self) -> usize {
        self.0.as_ref().map_or(0, mpsc::Sender::max_capacity)
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

/// Entries written at once, and for how long they gather first.
const BATCH_MAX: usize = 500;
const GATHER: Duration = Duration::from_millis(100);

/// How soon a batch that could not be written is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(250);
/// How often, once nobody waits for the database any more.
const LAST_TRIES: u32 = 20;

/// The one writer: batches until every [`Ledger`] is gone, then writes what is left and returns.
/// While the database does not answer, a batch is tried again and again; the channel bounds what
/// waits. After shutdown has begun it is tried for a while only.
pub async fn write(store: Store, mut entries: mpsc::Receiver<LedgerEntry>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while entries.recv_many(&mut batch, BATCH_MAX).await > 0 {
        if batch.len() < BATCH_MAX && !entries.is_closed() {
            // Nobody who hands one in wakes a writer that sleeps: that would cost each call more than its row does.
            tokio::time::sleep(GATHER).await;
            while batch.len() < BATCH_MAX
                && let Ok(entry) = entries.try_recv()
            {
                batch.push(entry);
            }
        }
        let rows: Vec<LedgerRow> = batch.drain(..).map(row).collect();
        let used = last_uses(&rows);
        append(&store, &rows, &entries).await;
        if !used.is_empty()
            && let Err(error) = store.note_key_use(&used).await
        {
            tracing::warn!(error = %error, "the use of keys cannot be noted now");
        }
    }
}

/// When each key was used last.
fn last_uses(rows: &[LedgerRow]) -> Vec<(KeyId, i64)> {
    let mut last: BTreeMap<Uuid, i64> = BTreeMap::new();
    for row in rows {
        if let Some(key) = row.key {
            let at = last.entry(key).or_insert(row.at);
            *at = row.at.max(*at);
        }
    }
    last.into_iter().map(|(key, at)| (KeyId(key), at)).collect()
}

/// Writes a batch. A row that the database does not take keeps no other from being written.
async fn append(store: &Store, rows: &[LedgerRow], entries: &mpsc::Receiver<LedgerEntry>) {
    if append_all(store, rows, entries).await.is_ok() {
        return;
    }
    for row in rows.chunks(1) {
        if let Err(error) = append_all(store, row, entries).await {
            metrics::counter!("causeway_ledger_entries_lost_total").increment(1);
            tracing::error!(error = %error, "a ledger entry is lost: the database does not take it");
        }
    }
}

/// Writes rows together, however long that takes while the process serves.
///
/// # Errors
/// Where the database does not take them, whenever they come.
async fn append_all(
    store: &Store,
    rows: &[LedgerRow],
    entries: &mpsc::Receiver<LedgerEntry>,
) -> Result<(), StoreError> {
    let (mut tries, mut last_tries) = (0_u32, LAST_TRIES);
    while let Err(error) = store.append_ledger(rows).await {
        if error.is_refusal() {
            return Err(error);
        }
        // Once, and then every ten seconds: an outage is not to fill the log.
        if tries % 40 == 0 {
            tracing::warn!(error = %error, entries = rows.len(), "ledger entries cannot be written now");
        }
        tries = tries.wrapping_add(1);
        if entries.is_closed() {
            last_tries -= 1;
        }
        if last_tries == 0 {
            tracing::error!(error = %error, entries = rows.len(), "ledger entries are lost");
            metrics::counter!("causeway_ledger_entries_lost_total").increment(rows.len() as u64);
            break;
        }
        tokio::time::sleep(RETRY_AFTER).await;
    }
    Ok(())
}

/// How long calls are kept, and how long what they add up to, in days; 0 is for good.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    pub calls_days: u32,
    pub usage_days: u32,
}

/// Removes what is older than it is kept, from time to time, and makes days of hours that are long past,
/// until it is told to stop.
pub async fn sweep(store: Store, clock: Clock, kept: Kept, stop: CancellationToken) {
    loop {
        let now = clock.now().timestamp_micros();
        tokio::select! {
            () = stop.cancelled() => return,
            () = sweep_all(&store, now, kept) => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(SWEEP_EVERY) => {}
        }
    }
}

async fn sweep_all(store: &Store, now: i64, kept: Kept) {
    let before = |days: u32| now.saturating_sub(i64::from(days) * DAY);
    if kept.calls_days > 0 {
        match sweep_calls(store, before(kept.calls_days)).await {
            Ok(gone) if gone > 0 => tracing::info!(gone, "old calls were removed from the ledger"),
            Ok(_) => {}
            Err(error) => tracing::warn!(error = %error, "the ledger cannot be swept now"),
        }
    }
    let gone_before = (kept.usage_days > 0).then(|| before(kept.usage_days));
    afterlife::tidy(store, now).await;
    if let Err(error) = sweep_usage(store, before(HOURS_DAYS), gone_before).await {
        tracing::warn!(error = %error, "what calls add up to cannot be swept now");
    }
}

/// Removes calls from before `at`, in microseconds, some at a time, so that others can write in between.
async fn sweep_calls(store: &Store, at: i64) -> Result<u64, StoreError> {
    let mut gone = 0;
    for row in store.organizations().await? {
        loop {
            let swept = store.sweep_ledger(OrganizationId(row.id), at, SWEPT_MAX);
            let swept = swept.await?;
            gone += swept;
            if swept == 0 {
                break;
            }
        }
    }
    Ok(gone)
}

/// Makes days of the hours of whole days before `hours_until`, and removes days from before `gone_before`.
async fn sweep_usage(
    store: &Store,
    hours_until: i64,
    gone_before: Option<i64>,
) -> Result<(), StoreError> {
    let until = hours_until.max(gone_before.unwrap_or(i64::MIN));
    let until = until - until.rem_euclid(DAY);
    for row in store.organizations().await? {
        let organization = OrganizationId(row.id);
        while store.compact_usage(organization, until).await? > 0 {}
        while store.compact_model_usage(organization, until).await? > 0 {}
        let Some(before) = gone_before else { continue };
        let before = before - before.rem_euclid(DAY);
        while store.sweep_usage(organization, before).await? > 0 {}
        while store.sweep_model_usage(organization, before).await? > 0 {}
    }
    Ok(())
}

fn row(entry: LedgerEntry) -> LedgerRow {
    let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let kind = match &entry.called {
        Called::Tool { .. } => "tool",
        Called::Model(_) => "llm",
    };
    let row = LedgerRow {
        consumer: entry.caller.consumer.map(|id| id.0),
        key: entry.caller.key.map(|id| id.0),
        trace_id: entry.trace_id,
        status: match entry.status {
            LedgerStatus::Ok => "ok",
            LedgerStatus::ToolError => "tool_error",
            LedgerStatus::Refused => "refused",
            LedgerStatus::Cancelled => "cancelled",
            LedgerStatus::Timeout => "timeout",
            LedgerStatus::Closed => "closed",
        },
        upstream_status: entry.upstream_status.map(i64::from),
        request_bytes: count(entry.request_bytes),
        response_bytes: count(entry.response_bytes),
        at: entry.at.timestamp_micros(),
        upstream_us: micros(entry.upstream_time),
        total_us: micros(entry.total_time),
        tokens_output: entry.tokens_output.map(count),
        cost_nanos: entry.cost_nanos.map(count),
        attempts: i64::from(entry.attempts),
        ..LedgerRow::new(Uuid::now_v7(), entry.organization, kind)
    };
    match entry.called {
        Called::Tool {
            server,
            version,
            name,
        } => LedgerRow {
            server: Some(server.0),
            version: Some(version.0),
            tool: Some(name),
            ..row
        },
        Called::Model(call) => LedgerRow {
            model: Some(call.model),
            target: Some(call.target).filter(|target| !target.is_empty()),
            arm: call.arm,
            tokens_input: call.tokens_input.map(count),
            tokens_cached: call.tokens_cached.map(count),
            tokens_cache_write: call.tokens_cache_write.map(count),
            tokens_reasoning: call.tokens_reasoning.map(count),
            first_token_us: call.first_token.map(micros),
            estimated: call.estimated.then_some(1),
            ..row
        },
    }
}
