//! What cards say of servers beside what is listed: how often they are called, whose they are, and whether
//! their APIs are well. Added up from time to time, and read from memory by every page.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use crate::live::Catalog;
use crate::search::shelf::{Calls, Counts};
use crate::store::usage::{DAY, HOUR};
use crate::store::{Store, StoreError};
use crate::types::{Clock, ServerId};

/// How many days of calls count.
const DAYS: i64 = 7;
const EVERY: Duration = Duration::from_mins(1);

/// A summary of all servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Popularity {
    /// Calls of the last seven days.
    pub counts: Counts,
    /// Names of the people whose servers they are; those of the admins are not among them.
    pub owners: HashMap<ServerId, String>,
    /// When each API was asked last whether it is well, in microseconds, and whether it was.
    pub probed: HashMap<ServerId, (i64, bool)>,
}

/// Whether an API is well, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Well,
    Failing,
    Unknown,
}

impl Health {
    /// Of a server that is to be asked every so many minutes, by what was found last. What is older than
    /// two intervals and some minutes says nothing any more.
    pub fn of(last: Option<(i64, bool)>, every_minutes: u32, now: DateTime<Utc>) -> Self {
        let minutes = 2 * i64::from(every_minutes) + 5;
        let oldest = now.timestamp_micros() - minutes * 60 * 1_000_000;
        match last.filter(|(at, _)| *at >= oldest) {
            Some((_, true)) => Self::Well,
            Some((_, false)) => Self::Failing,
            None => Self::Unknown,
        }
    }
}

impl Popularity {
    pub fn calls(&self, id: ServerId) -> Calls {
        self.counts.get(&id).copied().unwrap_or_default()
    }
}

/// The summary as the database has it at `now`. The hour that was under way seven days ago counts as a
/// whole.
pub async fn summary(store: &Store, now: DateTime<Utc>) -> Result<Popularity, StoreError> {
    let from = now.timestamp_micros() - DAYS * DAY;
    let counted = store.calls_of_servers(from - from.rem_euclid(HOUR)).await?;
    let owners = store.names_of_owners().await?;
    let probes = store.probes().await?.into_iter();
    let number = |count: i64| count.unsigned_abs();
    Ok(Popularity {
        counts: counted
            .into_iter()
            .map(|row| {
                let calls = Calls {
                    all: number(row.calls),
                    well: number(row.well),
                };
                (ServerId(row.server_id), calls)
            })
            .collect(),
        owners: owners
            .into_iter()
            .map(|row| (ServerId(row.id), row.name))
            .collect(),
        probed: probes
            .filter_map(|row| {
                let last = (row.last_at?, row.last_ok? == 1);
                Some((ServerId(row.server_id), last))
            })
            .collect(),
    })
}

/// Makes the summary anew now.
pub async fn refresh(
    catalog: &Catalog,
    store: &Store,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let made = summary(store, now).await?;
    catalog.0.popularity.store(Arc::new(made));
    Ok(())
}

/// Makes it anew at once and every minute, until `stop`.
pub async fn follow(catalog: Catalog, store: Store, clock: Clock, stop: CancellationToken) {
    loop {
        if let Err(error) = refresh(&catalog, &store, clock.now()).await {
            tracing::warn!(%error, "the calls of servers could not be added up");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_long_ago_is_not_known_any_more() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let ago = |minutes: i64| now.timestamp_micros() - minutes * 60 * 1_000_000;
        for (last, expected) in [
            (None, Health::Unknown),
            (Some((ago(1), true)), Health::Well),
            (Some((ago(15), true)), Health::Well),
            (Some((ago(16), true)), Health::Unknown),
            (Some((ago(3), false)), Health::Failing),
        ] {
            assert_eq!(Health::of(last, 5, now), expected, "{last:?}");
        }
    }
}
