//! Rates in this process: the generic cell rate algorithm, one cell per count.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::sync::Cache;
use parking_lot::Mutex;

use crate::access::limit::counter::Counter;
use crate::access::limit::{Applied, Exceeded, signed};

/// Counts remembered; beyond that the least used are forgotten, which only ever lets more through.
const COUNTS_MAX: u64 = 200_000;
/// Longer than the longest window of a rate, after which a cell is as good as new.
const IDLE: Duration = Duration::from_mins(61);

/// A count under one quota: another amount begins anew.
type Name = (Counter, u64, u64);

/// All in nanoseconds; moments are from when the process began to count.
struct Cell {
    /// When all that was taken is there again. What is given back brings it nearer, and never before now: a cell
    /// holds its burst and not more.
    due: Mutex<i64>,
    /// How far apart single ones are.
    apart: i64,
    burst: i64,
}

impl Cell {
    /// Takes so many at once; of more than ever come at once, as many as do have to be there.
    fn take(&self, amount: u64, now: i64) -> Result<(), Duration> {
        let mut due = self.due.lock();
        *due = self.taken(*due, signed(amount), now)?;
        Ok(())
    }

    /// Whether so many could be taken.
    fn has_room(&self, amount: u64, now: i64) -> bool {
        self.taken(*self.due.lock(), signed(amount), now).is_ok()
    }

    /// When all is there again, if so many are taken.
    fn taken(&self, due: i64, amount: i64, now: i64) -> Result<i64, Duration> {
        let next = self.after(due, amount, now);
        let room = self.apart.saturating_mul(self.burst.max(amount));
        let wait = next.saturating_sub(room).saturating_sub(now);
        if wait > 0 {
            return Err(Duration::from_nanos(wait.unsigned_abs()));
        }
        Ok(next)
    }

    /// Counts so many more than were taken, or fewer.
    fn owe(&self, more: i64, now: i64) {
        let mut due = self.due.lock();
        *due = self.after(*due, more, now).max(now);
    }

    fn after(&self, due: i64, amount: i64, now: i64) -> i64 {
        due.max(now)
            .saturating_add(self.apart.saturating_mul(amount))
    }
}

pub(super) struct Rates {
    began: Instant,
    cells: Cache<Name, Arc<Cell>>,
}

impl Default for Rates {
    fn default() -> Self {
        let cells = Cache::builder().max_capacity(COUNTS_MAX).time_to_idle(IDLE);
        Self {
            began: Instant::now(),
            cells: cells.build(),
        }
    }
}

impl Rates {
    /// Takes from the count what is asked for, if it is there.
    pub(super) fn pass(&self, one: &Applied<'_>) -> Result<(), Exceeded> {
        let Some(cell) = self.cell(one) else {
            return Ok(());
        };
        let taken = cell.take(one.amount, self.now());
        taken.map_err(|wait| one.exceeded(wait))
    }

    /// Whether what is asked for is there; nothing is taken.
    pub(super) fn has_room(&self, one: &Applied<'_>) -> bool {
        let cell = self.cell(one);
        cell.is_none_or(|cell| cell.has_room(one.amount, self.now()))
    }

    /// Counts so many more than were taken, or fewer.
    pub(super) fn owe(&self, one: &Applied<'_>, more: i64) {
        if let Some(cell) = self.cell(one) {
            cell.owe(more, self.now());
        }
    }

    fn now(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_nanos()).unwrap_or(i64::MAX)
    }

    fn cell(&self, one: &Applied<'_>) -> Option<Arc<Cell>> {
        let (window, (interval, burst)) = (one.rate()?, cell(one)?);
        let name = (one.counter.clone(), interval, burst);
        if let Some(cell) = self.cells.get(&name) {
            return Some(cell);
        }
        let nanos = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        let new = || {
            Arc::new(Cell {
                due: Mutex::new(0),
                apart: signed((nanos / one.limit.amount.max(1)).max(1)),
                burst: signed(burst),
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

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn what_is_given_back_is_there_again_and_never_more_than_the_burst() {
        let cell = Cell {
            due: Mutex::new(0),
            apart: SECOND,
            burst: 60,
        };
        assert_eq!(cell.take(60, 0), Ok(()));
        assert_eq!(cell.take(1, 0), Err(Duration::from_secs(1)));
        cell.owe(-59, 0);
        assert_eq!(cell.take(59, 0), Ok(()));
        // Given back late, when it has come again by itself: it is not there twice.
        cell.owe(-60, 100 * SECOND);
        assert_eq!(cell.take(60, 100 * SECOND), Ok(()));
        assert_eq!(cell.take(1, 100 * SECOND), Err(Duration::from_secs(1)));
        // What goes beyond is waited for.
        cell.owe(120, 100 * SECOND);
        assert_eq!(cell.take(1, 100 * SECOND), Err(Duration::from_secs(121)));
        // More than ever come at once pass where nothing is taken, and are paid for after.
        assert_eq!(cell.take(90, 400 * SECOND), Ok(()));
        assert_eq!(cell.take(1, 400 * SECOND), Err(Duration::from_secs(31)));
    }
}
