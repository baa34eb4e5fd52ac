//! Rates in this process: the generic cell rate algorithm, one cell per count.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
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
type Name = (Counter, u64, u64);

struct Cell {
    limiter: DefaultDirectRateLimiter,
    /// What was used beyond what was taken, or, below nothing, taken and not used.
    owed: AtomicI64,
    burst: u32,
    /// How far apart single ones are.
    apart: Duration,
}

impl Cell {
    /// Takes so many at once; of more than ever come at once, as many as do, and the rest is owed.
    fn take(&self, amount: u64) -> Result<(), Duration> {
        let amount = u32::try_from(amount).unwrap_or(u32::MAX);
        let now = amount.min(self.burst);
        let Some(wanted) = NonZeroU32::new(now) else {
            return Ok(());
        };
        match self.limiter.check_n(wanted) {
            Ok(Ok(())) => {
                let rest = i64::from(amount - now);
                self.owed.fetch_add(rest, Ordering::AcqRel);
                Ok(())
            }
            Ok(Err(early)) => Err(early.wait_time_from(DefaultClock::default().now())),
            // Never: it is at most the burst.
            Err(_) => Err(IDLE),
        }
    }

    /// Pays what is owed, as far as there is anything to pay with.
    fn pay(&self) -> Result<(), Duration> {
        loop {
            let owed = self.owed.load(Ordering::Acquire);
            let part = owed.min(i64::from(self.burst));
            let Ok(wanted) = u64::try_from(part) else {
                return Ok(());
            };
            if wanted == 0 {
                return Ok(());
            }
            let after = u32::try_from(owed - part).unwrap_or(u32::MAX);
            self.take(wanted)
                .map_err(|wait| wait.saturating_add(self.apart.saturating_mul(after)))?;
            self.owed.fetch_sub(part, Ordering::AcqRel);
        }
    }

    /// What is left of `amount` after what was taken before and not used.
    fn less_credit(&self, amount: u64) -> u64 {
        let mut left = amount;
        let _ = self
            .owed
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |owed| {
                let credit = u64::try_from(-owed).unwrap_or_default().min(amount);
                left = amount - credit;
                (credit > 0).then(|| owed + i64::try_from(credit).unwrap_or_default())
            });
        left
    }
}

pub(super) struct Rates {
    cells: Cache<Name, Arc<Cell>>,
}

impl Default for Rates {
    fn default() -> Self {
        let cells = Cache::builder().max_capacity(COUNTS_MAX).time_to_idle(IDLE);
        Self {
            cells: cells.build(),
        }
    }
}

impl Rates {
    /// Takes from the count what is asked for, if it is there and nothing is owed.
    pub(super) fn pass(&self, one: &Applied<'_>) -> Result<(), Exceeded> {
        let Some(cell) = self.cell(one) else {
            return Ok(());
        };
        let taken = cell.pay().and_then(|()| {
            let left = cell.less_credit(one.amount);
            cell.take(left)
        });
        taken.map_err(|wait| one.exceeded(wait))
    }

    /// Counts so many more than were taken, or fewer.
    pub(super) fn owe(&self, one: &Applied<'_>, more: i64) {
        if let Some(cell) = self.cell(one) {
            cell.owed.fetch_add(more, Ordering::AcqRel);
        }
    }

    fn cell(&self, one: &Applied<'_>) -> Option<Arc<Cell>> {
        let (window, (interval, burst)) = (one.rate()?, cell(one)?);
        let name = (one.counter.clone(), interval, burst);
        if let Some(cell) = self.cells.get(&name) {
            return Some(cell);
        }
        let new = || {
            Arc::new(Cell {
                limiter: RateLimiter::direct(quota(window, one.limit.amount, burst)),
                owed: AtomicI64::new(0),
                burst: u32::try_from(burst).unwrap_or(u32::MAX),
                apart: Duration::from_micros(interval),
            })
        };
        Some(self.cells.get_with(name, new))
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
