//! Calls that run at the same moment, in this process.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::access::limit::counter::Counter;
use crate::access::limit::{Applied, Exceeded, Unit};

/// When to try again where only the end of another call makes room.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Only counts of calls that run are in it, so that it is as large as what runs.
type Counts = Arc<Mutex<HashMap<Counter, u64>>>;

#[derive(Default)]
pub(super) struct Running(Counts);

/// A call that runs, until it is dropped.
#[derive(Default)]
pub(super) struct Runs {
    counts: Option<Counts>,
    counters: Vec<Counter>,
}

impl Running {
    /// Counts a call in all of its limits, or in none.
    pub(super) fn enter(&self, applied: &[Applied<'_>]) -> Result<Runs, Exceeded> {
        let mut runs = Runs::default();
        for one in applied
            .iter()
            .filter(|one| one.limit.unit == Unit::Concurrency)
        {
            let mut counts = self.0.lock();
            let count = counts.entry(one.counter.clone()).or_default();
            if *count >= one.limit.amount {
                // What was counted so far is taken back when `runs` is dropped.
                drop(counts);
                return Err(one.exceeded(RETRY_AFTER));
            }
            *count += 1;
            runs.counts.get_or_insert_with(|| self.0.clone());
            runs.counters.push(one.counter.clone());
        }
        Ok(runs)
    }
}

impl Drop for Runs {
    fn drop(&mut self) {
        let Some(counts) = &self.counts else { return };
        let mut counts = counts.lock();
        for counter in &self.counters {
            if let Some(count) = counts.get_mut(counter) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(counter);
                }
            }
        }
    }
}
