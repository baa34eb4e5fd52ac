//! Rates in this process: the generic cell rate algorithm, one cell per count.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use moka::sync::Cache;

use crate::access::limit::counter::Counter;
use crate::access::limit::{Applied, Exceeded};

/// Counts remembered; beyond that the least used are forgotten, which only ever lets more through.
const COUNTS_MAX: u64 = 200_000;
/// Longer than the longest window of a rate, after which a cell is as good as new.
const IDLE: Duration = Duration::from_mins(61);

/// A count under one quota: another amount begins anew.
type Cell = (Counter, u64, u64);

pub(super) struct Rates {
    cells: Cache<Cell, Arc<DefaultDirectRateLimiter>>,
    clock: DefaultClock,
}

impl Default for Rates {
    fn default() -> Self {
        let cells = Cache::builder().max_capacity(COUNTS_MAX).time_to_idle(IDLE);
        Self {
            cells: cells.build(),
            clock: DefaultClock::default(),
        }
    }
}

impl Rates {
    /// Takes one from the count, if there is one.
    pub(super) fn pass(&self, one: &Applied<'_>) -> Result<(), Exceeded> {
        let (Some(window), Some((interval, burst))) = (one.rate(), cell(one)) else {
            return Ok(());
        };
        let key = (one.counter.clone(), interval, burst);
        let cell = self.cells.get_with(key, || {
            Arc::new(RateLimiter::direct(quota(window, one.limit.amount, burst)))
        });
        cell.check().map_err(|early| {
            let wait = early.wait_time_from(self.clock.now());
            one.exceeded(wait)
        })
    }
}

/// How far apart calls are in the long run, in microseconds, and how many may come at once.
pub(super) fn cell(one: &Applied<'_>) -> Option<(u64, u64)> {
    let window = one.rate()?;
    let micros = u64::try_from(window.as_micros()).unwrap_or(u64::MAX);
    let burst = one.limit.burst.unwrap_or(one.limit.amount);
    Some(((micros / one.limit.amount.max(1)).max(1), burst.max(1)))
}

fn quota(window: Duration, amount: u64, burst: u64) -> Quota {
    let whole =
        |n: u64| NonZeroU32::new(u32::try_from(n).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN);
    let period = (window / whole(amount).get()).max(Duration::from_nanos(1));
    let quota = Quota::with_period(period).expect("a period that is not nothing");
    quota.allow_burst(whole(burst))
}
