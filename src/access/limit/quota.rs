//! Days and months: slices of a quota are taken from the database beforehand and spent from memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, Utc};
use moka::sync::Cache;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::access::limit::counter::Counter;
use crate::access::limit::exceeded::HELD_RETRY_AFTER;
use crate::access::limit::{Applied, Exceeded, Limit, LimitRefusal, Unit, Window, signed};
use crate::store::{Store, StoreError};
use crate::types::Clock;

/// Counts remembered. What is forgotten unspent counts as spent.
const COUNTS_MAX: u64 = 200_000;
/// A slice is this part of the quota, and of calls at most this many.
const SLICE_PART: u64 = 100;
const CALLS_MAX: u64 = 1_000;
/// What was reserved and not used goes back to the other processes where more than this many slices are left; up to
/// the second number of them stay for the next reservation like the last.
const SLICES_KEPT: u64 = 2;
const SLICES_KEPT_MAX: u64 = 10;
/// How long a quota that is used up is not asked for again, in microseconds.
const ASK_AGAIN_US: i64 = 5_000_000;
/// How long ended windows are kept, for people who ask what was used.
const KEPT_FOR: Duration = Duration::from_hours(24 * 400);
const SWEEP_EVERY: Duration = Duration::from_hours(6);
/// How long the database may take.
const LEASE_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Quotas {
    store: Store,
    clock: Clock,
    counts: Cache<Counter, Arc<Count>>,
}

/// What this process holds of one count.
#[derive(Default)]
struct Count {
    current: parking_lot::RwLock<Option<Arc<Slice>>>,
    /// One at a time asks the database.
    taking: Mutex<()>,
}

/// Part of a quota's window that is this process's to spend.
struct Slice {
    /// When its window began, in microseconds.
    window: i64,
    ends: i64,
    /// How much the quota was when it was taken.
    of: AtomicU64,
    /// Below nothing: used beyond what was taken, and not told to the database yet.
    left: AtomicI64,
    /// Part of what was spent that calls which run may give back.
    held: AtomicI64,
    /// The database had no more; it is asked again after this time. Another process may have given
    /// something back by then.
    empty_until: AtomicI64,
}

/// What was spent of a slice, as long as it may be given back.
pub(super) struct Spent {
    slice: Arc<Slice>,
    amount: i64,
    /// What is left of the slice beyond this goes back to the database.
    keep: i64,
}

impl Spent {
    pub(super) fn give_back(&self) {
        self.slice.left.fetch_add(self.amount, Ordering::AcqRel);
    }
}

impl Drop for Spent {
    fn drop(&mut self) {
        self.slice.held.fetch_sub(self.amount, Ordering::AcqRel);
    }
}

impl Slice {
    fn spend(self: &Arc<Self>, one: &Applied<'_>) -> Option<Spent> {
        let amount = signed(one.amount);
        let less = |left: i64| (left >= amount).then(|| left - amount);
        let taken = self
            .left
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
        taken.ok().map(|_| {
            self.held.fetch_add(amount, Ordering::AcqRel);
            Spent {
                slice: self.clone(),
                amount,
                keep: keep(part(one.limit), one.amount),
            }
        })
    }

    /// Whether the limit is what it was when this was taken.
    fn is_of(&self, limit: &Limit) -> bool {
        self.of.load(Ordering::Acquire) == limit.counted()
    }

    /// Takes out what is left beyond `keep`.
    fn take_surplus(&self, keep: i64) -> i64 {
        let left = self
            .left
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                (left > keep).then_some(keep)
            });
        left.map_or(0, |left| left - keep)
    }
}

impl Quotas {
    pub(super) fn new(store: Store, clock: Clock) -> Self {
        Self {
            store,
            clock,
            counts: Cache::new(COUNTS_MAX),
        }
    }

    /// Spends what is asked for, from memory as long as the slice lasts.
    pub(super) async fn spend(&self, one: &Applied<'_>) -> Result<Spent, LimitRefusal> {
        let known = self.counts.get(&one.counter);
        let count =
            known.unwrap_or_else(|| self.counts.get_with(one.counter.clone(), Arc::default));
        if let Some(spent) = self.held(&count, one)? {
            return Ok(spent);
        }
        let _turn = count.taking.lock().await;
        // Who waited may find that another has taken enough for both.
        if let Some(spent) = self.held(&count, one)? {
            return Ok(spent);
        }
        // Seldom needed, so that it is to take no room in every request.
        let taking = Box::pin(self.take(&count, one));
        let slice = match timeout(LEASE_TIMEOUT, taking).await {
            Ok(Ok(slice)) => slice,
            Ok(Err(error)) => {
                tracing::warn!(error = %error, "a quota cannot be counted now");
                return Err(LimitRefusal::Uncounted);
            }
            Err(_) => return Err(LimitRefusal::Uncounted),
        };
        let spent = slice.spend(one);
        spent.ok_or_else(|| self.used_up(&slice, one))
    }

    /// Whether it is known that there is less than what is asked for: the database had no more a moment ago.
    pub(super) fn is_short_of(&self, one: &Applied<'_>) -> bool {
        let count = self.counts.get(&one.counter);
        let slice = count.and_then(|count| count.current.read().clone());
        let now = self.clock.now().timestamp_micros();
        slice.is_some_and(|slice| {
            let is_all = now < slice.ends && now < slice.empty_until.load(Ordering::Acquire);
            is_all
                && slice.is_of(one.limit)
                && slice.left.load(Ordering::Acquire) < signed(one.amount)
        })
    }

    /// Counts what was used in place of what was spent: the rest is given back, and more is taken, also beyond the
    /// quota.
    pub(super) async fn correct(&self, counter: &Counter, spent: &Spent, used: u64) {
        let slice = &spent.slice;
        let more = signed(used).saturating_sub(spent.amount);
        let left = slice.left.fetch_sub(more, Ordering::AcqRel) - more;
        if left > spent.keep {
            return Box::pin(self.share(counter, spent)).await;
        }
        if left < 0 {
            Box::pin(self.overdraw(counter, slice)).await;
        }
    }

    /// Tells the database what was used beyond what was taken.
    async fn overdraw(&self, counter: &Counter, slice: &Slice) {
        let count = self.counts.get_with(counter.clone(), Arc::default);
        let _turn = count.taking.lock().await;
        let beyond = -slice.left.load(Ordering::Acquire);
        if beyond <= 0 {
            return;
        }
        let name = counter.to_string();
        let overdrawn = self.store.overdraw_quota(&name, slice.window, beyond);
        match timeout(LEASE_TIMEOUT, overdrawn).await {
            Ok(Ok(())) => {
                slice.left.fetch_add(beyond, Ordering::AcqRel);
            }
            // It is still missing here, so that it comes off what is taken next.
            Ok(Err(error)) => tracing::warn!(error = %error, "a quota cannot be counted now"),
            Err(_) => tracing::warn!("a quota cannot be counted now: the database does not answer"),
        }
    }

    /// Gives the database back what is left of a slice beyond what this process needs soon: a reservation is many
    /// times what most calls come to, and others are not to find a quota empty that lies here.
    async fn share(&self, counter: &Counter, spent: &Spent) {
        let slice = &spent.slice;
        if self.give_back(counter, slice, spent.keep).await {
            slice.empty_until.store(0, Ordering::Release);
        }
    }

    /// Gives the database back what is left of a slice beyond `keep`; whether there is more to take than before.
    async fn give_back(&self, counter: &Counter, slice: &Slice, keep: i64) -> bool {
        let surplus = slice.take_surplus(keep);
        if surplus == 0 {
            return false;
        }
        let left = [(counter.to_string(), slice.window, surplus)];
        match timeout(LEASE_TIMEOUT, self.store.return_quotas(&left)).await {
            Ok(Ok(())) => return true,
            // Whether it went back is not known: it counts as spent.
            Ok(Err(error)) => tracing::warn!(error = %error, "part of a quota counts as spent"),
            Err(_) => {
                tracing::warn!("part of a quota counts as spent: the database does not answer");
            }
        }
        false
    }

    /// One of what is held; nothing where the database has to be asked.
    fn held(&self, count: &Count, one: &Applied<'_>) -> Result<Option<Spent>, LimitRefusal> {
        let Some(slice) = count.current.read().clone() else {
            return Ok(None);
        };
        let now = self.clock.now().timestamp_micros();
        // A clock that was set back does not begin an old window anew. What was taken of another amount is not spent.
        if now >= slice.ends || !slice.is_of(one.limit) {
            return Ok(None);
        }
        match slice.spend(one) {
            Some(spent) => Ok(Some(spent)),
            None if now < slice.empty_until.load(Ordering::Acquire) => {
                Err(self.used_up(&slice, one))
            }
            None => Ok(None),
        }
    }

    /// Takes from the database as much as is missing: it is added to what is left of the same window.
    async fn take(&self, count: &Count, one: &Applied<'_>) -> Result<Arc<Slice>, StoreError> {
        let now = self.clock.now();
        let (began, ends) = window(one.limit, now);
        let bounds = (began.timestamp_micros(), ends.timestamp_micros());
        let name = one.counter.to_string();
        let amount = one.limit.counted();
        loop {
            let current = count.current.read().clone();
            // What is left of a window that has ended is nothing in the next.
            let current = current.filter(|slice| slice.ends > now.timestamp_micros());
            if let Some(slice) = current.as_ref().filter(|slice| !slice.is_of(one.limit)) {
                self.give_back(&one.counter, slice, 0).await;
                slice.empty_until.store(0, Ordering::Release);
                slice.of.store(amount, Ordering::Release);
            }
            let left = current
                .as_ref()
                .map_or(0, |slice| slice.left.load(Ordering::Acquire));
            let missing = signed(one.amount).saturating_sub(left);
            let wanted = part(one.limit).max(u64::try_from(missing).unwrap_or(1));
            let taken = self.store.take_quota(&name, bounds, (wanted, amount));
            let taken = taken.await?;
            let slice = match current.filter(|slice| slice.window == taken.began) {
                Some(slice) => slice,
                None => {
                    let slice = Arc::new(Slice {
                        window: taken.began,
                        ends: taken.ends,
                        of: AtomicU64::new(amount),
                        left: AtomicI64::new(0),
                        held: AtomicI64::new(0),
                        empty_until: AtomicI64::new(0),
                    });
                    *count.current.write() = Some(slice.clone());
                    slice
                }
            };
            let granted = signed(taken.granted);
            let left = slice.left.fetch_add(granted, Ordering::AcqRel) + granted;
            if taken.granted < wanted {
                let until = now.timestamp_micros() + ASK_AGAIN_US;
                slice.empty_until.store(until, Ordering::Release);
                return Ok(slice);
            }
            // Others may have spent meanwhile what was left.
            if left >= signed(one.amount) {
                return Ok(slice);
            }
        }
    }

    fn used_up(&self, slice: &Slice, one: &Applied<'_>) -> LimitRefusal {
        let micros = slice.ends - self.clock.now().timestamp_micros();
        let wait = Duration::from_micros(u64::try_from(micros).unwrap_or_default());
        let left = slice.left.load(Ordering::Acquire);
        let held = slice.held.load(Ordering::Acquire);
        let comes_back = held > 0 && left.saturating_add(held) >= signed(one.amount);
        let wait = if comes_back {
            wait.min(HELD_RETRY_AFTER)
        } else {
            wait
        };
        let span = u64::try_from(slice.ends - slice.window).unwrap_or_default();
        let never = one.amount > one.limit.counted();
        let exceeded = Exceeded {
            span: Some(Duration::from_micros(span)),
            needs: never.then_some(one.amount),
            ..one.exceeded(wait)
        };
        exceeded.into()
    }

    /// Forgets windows long gone, for as long as it runs.
    pub(super) async fn sweep(&self) {
        loop {
            let before = self.clock.now() - KEPT_FOR;
            if let Err(error) = self.store.forget_quotas(before.timestamp_micros()).await {
                tracing::warn!(error = %error, "old quotas cannot be forgotten now");
            }
            tokio::time::sleep(SWEEP_EVERY).await;
        }
    }

    /// Gives back what is left of all slices whose window has not ended.
    pub(super) async fn settle(&self, now: DateTime<Utc>) {
        let mut left = Vec::new();
        for (counter, count) in &self.counts {
            let Some(slice) = count.current.write().take() else {
                continue;
            };
            let rest = slice.left.swap(0, Ordering::AcqRel);
            if rest != 0 && slice.ends > now.timestamp_micros() {
                left.push((counter.to_string(), slice.window, rest));
            }
        }
        if let Err(error) = self.store.return_quotas(&left).await {
            tracing::warn!(error = %error, "quotas that were not spent count as spent");
        }
    }
}

/// How much of a quota is taken at once.
fn part(limit: &Limit) -> u64 {
    let part = (limit.counted() / SLICE_PART).max(1);
    match limit.unit {
        Unit::Requests => part.min(CALLS_MAX),
        _ => part,
    }
}

/// How much of a slice stays with this process after a reservation of `amount` was settled.
fn keep(part: u64, amount: u64) -> i64 {
    let next = amount.min(part.saturating_mul(SLICES_KEPT_MAX));
    signed(next.max(part.saturating_mul(SLICES_KEPT)))
}

/// The window of a quota that `now` lies in: when it began, and when the next begins.
fn window(limit: &Limit, now: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
    let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
    let today = now.date_naive();
    if limit.window != Some(Window::Month) {
        return (midnight(today), midnight(today + Days::new(1)));
    }
    let reset = limit.reset_day.unwrap_or(1);
    let day_of = |day: NaiveDate| day.with_day(reset).unwrap_or(day);
    let began = if today.day() >= reset {
        day_of(today)
    } else {
        day_of(today - Months::new(1))
    };
    (midnight(began), midnight(began + Months::new(1)))
}
