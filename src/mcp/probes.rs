//! Servers whose APIs are asked from time to time whether they are well, as their owners want it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use tokio_util::sync::CancellationToken;

use crate::live::{Catalog, Entry};
use crate::mcp::call::Mcp;
use crate::mcp::call::probe::{Probed, probe};
use crate::mcp::publish::Publisher;
use crate::mcp::server::ProbeSettings;
use crate::store::probes::{ProbeResult, ProbeRow};
use crate::store::{Store, StoreError};
use crate::types::ServerId;

/// How often a process looks which servers are due.
const ASK_EVERY: Duration = Duration::from_secs(15);
/// APIs that are asked at once.
const PROBES_MAX: usize = 4;
const MINUTE: i64 = 60 * 1_000_000;
/// A tenth of an interval at most is added to it, so that servers that began together drift apart.
const JITTER: i64 = 10;

/// What asking needs. Cheap to clone.
#[derive(Clone)]
pub struct Prober {
    pub mcp: Arc<Mcp>,
    pub catalog: Catalog,
    pub store: Store,
}

impl Prober {
    pub fn of(mcp: &Arc<Mcp>, publisher: &Publisher) -> Self {
        Self {
            mcp: mcp.clone(),
            catalog: publisher.catalog.clone(),
            store: publisher.store.clone(),
        }
    }
}

/// Asks whatever is due, until `stop`. Of many processes one asks each server.
pub async fn follow(cx: Prober, stop: CancellationToken) {
    loop {
        let round = async {
            if let Err(error) = round(&cx).await {
                tracing::warn!(%error, "cannot ask which APIs are due to be probed");
            }
            tokio::time::sleep(ASK_EVERY).await;
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = round => {}
        }
    }
}

/// Asks the APIs that are due now, some at once; gives how many this process asked.
pub async fn round(cx: &Prober) -> Result<usize, StoreError> {
    let entries = cx.catalog.entries().into_iter();
    let wanted: Vec<_> = entries
        .filter(|entry| entry.closed.is_none() && entry.settings.probe.is_some())
        .collect();
    if wanted.is_empty() {
        return Ok(0);
    }
    let known: HashMap<ServerId, ProbeRow> = cx
        .store
        .probes()
        .await?
        .into_iter()
        .map(|row| (ServerId(row.server_id), row))
        .collect();
    let now = cx.mcp.clock.now().timestamp_micros();
    let due = wanted.into_iter().filter_map(|entry| {
        let probe = entry.settings.probe.clone()?;
        let row = known.get(&entry.id);
        let due = row.is_none_or(|row| is_due(row.next_at, now, &probe));
        due.then_some((entry, probe))
    });
    let due: Vec<_> = due.collect();
    let asked = stream::iter(due)
        .map(|(entry, probe)| async move { ask(cx, &entry, &probe).await })
        .buffer_unordered(PROBES_MAX)
        .filter(|asked| std::future::ready(*asked))
        .count();
    Ok(asked.await)
}

fn every(probe: &ProbeSettings) -> i64 {
    i64::from(probe.every_minutes) * MINUTE
}

fn is_due(next_at: i64, now: i64, probe: &ProbeSettings) -> bool {
    next_at <= now || next_at > now + 2 * every(probe)
}

/// When a server that is asked at `now` is due again.
fn next(server: ServerId, now: i64, probe: &ProbeSettings) -> i64 {
    let every = every(probe);
    let (high, low) = server.0.as_u64_pair();
    let mixed = (high ^ low ^ now.unsigned_abs()).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let share = (every / JITTER).max(1).unsigned_abs();
    now + every + i64::try_from(mixed % share).unwrap_or_default()
}

/// Asks one API, if no other process does. `true`: this one did.
async fn ask(cx: &Prober, entry: &Entry, settings: &ProbeSettings) -> bool {
    let now = cx.mcp.clock.now().timestamp_micros();
    let times = (
        now,
        next(entry.id, now, settings),
        now + 2 * every(settings),
    );
    match cx.store.claim_probe(entry.id, times).await {
        Ok(true) => {}
        Ok(false) => return false,
        Err(error) => {
            tracing::warn!(server.id = %entry.id, %error, "a probe could not be claimed");
            return false;
        }
    }
    let probed = match cx.catalog.server(entry.id).await {
        Ok(server) => probe(&cx.mcp, &server, settings).await,
        Err(error) => Probed {
            ok: false,
            status: None,
            took: Duration::ZERO,
            reason: Some(error.to_string()),
        },
    };
    let result = ProbeResult {
        at: now,
        ok: i64::from(probed.ok),
        status: probed.status.map(i64::from),
        took_ms: i64::try_from(probed.took.as_millis()).unwrap_or(i64::MAX),
        reason: probed.reason,
    };
    if let Err(error) = cx.store.probed(entry.id, &result).await {
        tracing::warn!(server.id = %entry.id, %error, "what a probe came to could not be kept");
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openapi::OperationKey;

    #[test]
    fn the_next_time_is_after_the_interval_and_never_much_later() {
        let probe = ProbeSettings {
            operation: OperationKey("GET /it".to_owned()),
            arguments: serde_json::Map::new(),
            every_minutes: 5,
        };
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..100 {
            let next = next(ServerId::generate(), 0, &probe);
            assert!(
                (5 * MINUTE..5 * MINUTE + MINUTE / 2).contains(&next),
                "{next}"
            );
            seen.insert(next);
        }
        assert!(seen.len() > 90, "all at once");
        for (next_at, due) in [
            (0, true),
            (MINUTE, false),
            (6 * MINUTE, false),
            // Its owner wanted it daily, and wants it every five minutes now.
            (1_440 * MINUTE, true),
        ] {
            assert_eq!(is_due(next_at, 0, &probe), due, "{next_at}");
        }
    }
}
