//! How a target is doing: the requests it has, how soon it lately began to answer, and what it says of itself. Written
//! by every request without a lock; times are told by whoever asks, in microseconds since the process began.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How fast an estimate follows what is seen now, and is forgotten where nothing is: by half in so long.
const HALF_US: f64 = 10_000_000.0;
/// What is thought of a target that failed, so that it is not taken for a fast one.
const FAILED_US: u64 = 10_000_000;
/// A time is kept in units of 16 milliseconds, which last for two years.
const TICK_US: u64 = 16_000;

/// Requests that a target, or a provider, has.
#[derive(Debug, Default)]
pub struct Busy {
    running: AtomicU64,
    /// What it says that it has in all, in the upper half, and how many ours were at that moment.
    reported: AtomicU64,
    /// When; 0: never.
    reported_at: AtomicU64,
    /// How many other processes have in all, in the upper half, and how many ours were when they said so.
    elsewhere: AtomicU64,
}

impl Busy {
    /// Counts a request until what comes back is dropped.
    pub fn begin(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Ordering::Relaxed);
        Running(self.clone())
    }

    /// The same, unless there are so many already.
    pub fn begin_below(self: &Arc<Self>, most: u64) -> Option<Running> {
        let before = self.running.fetch_add(1, Ordering::Relaxed);
        let running = Running(self.clone());
        (before < most).then_some(running)
    }

    /// Ours.
    pub fn running(&self) -> u64 {
        self.running.load(Ordering::Relaxed)
    }

    /// Other processes say how many of theirs it has, who heard of so many of ours.
    pub fn hear(&self, theirs: u64, ours: u64) {
        self.elsewhere
            .store(halves(theirs, ours), Ordering::Relaxed);
    }

    /// Ours, and those of so many other processes. Until they say more, each of them is taken to do what we do: whoever
    /// sees that a target has little to do sends it its part, and not all that is missing, as all of them see the same.
    pub fn in_all(&self, others: u64) -> u64 {
        let running = self.running();
        if others == 0 {
            return running;
        }
        let (theirs, ours) = apart(self.elsewhere.load(Ordering::Relaxed));
        let came = running.saturating_sub(ours).saturating_mul(others);
        let went = ours.saturating_sub(running).saturating_mul(others);
        running.saturating_add((theirs.saturating_add(came)).saturating_sub(went))
    }

    /// It says how many requests it has, whoever sent them.
    pub fn report(&self, all: u64, now_us: u64) {
        self.reported
            .store(halves(all, self.running()), Ordering::Relaxed);
        self.reported_at.store(now_us.max(1), Ordering::Release);
    }

    /// How many it has: what it said, not longer ago than `fresh_us`, and what of ours came and went since. `None`:
    /// it has not said so lately.
    pub fn reported(&self, now_us: u64, fresh_us: u64) -> Option<u64> {
        let at = self.reported_at.load(Ordering::Acquire);
        if at == 0 || now_us.saturating_sub(at) > fresh_us {
            return None;
        }
        let running = self.running();
        let (all, then) = apart(self.reported.load(Ordering::Relaxed));
        Some((all + running).saturating_sub(then).max(running))
    }

    /// What it said last, and when.
    pub fn last_report(&self) -> Option<(u64, u64)> {
        let at = self.reported_at.load(Ordering::Acquire);
        (at > 0).then(|| (apart(self.reported.load(Ordering::Relaxed)).0, at))
    }
}

/// Two numbers of requests in one that is written at once.
fn halves(upper: u64, lower: u64) -> u64 {
    let most = u64::from(u32::MAX);
    upper.min(most) << 32 | lower.min(most)
}

fn apart(both: u64) -> (u64, u64) {
    (both >> 32, both & u64::from(u32::MAX))
}

/// A request that is counted until it is gone.
#[derive(Debug)]
pub struct Running(Arc<Busy>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long a target takes until an answer begins: a mean of what was seen lately, which rises to a slower time at
/// once, falls by and by, and is forgotten where nothing is seen any more.
#[derive(Debug, Default)]
pub struct FirstToken(AtomicU64);

impl FirstToken {
    pub fn saw(&self, took_us: u64, now_us: u64) {
        let seen = took_us.max(1) as f64;
        let update = |packed: u64| {
            let (estimate, at) = unpacked(packed);
            let kept = kept(at, now_us);
            let mixed = if seen > estimate {
                seen
            } else {
                estimate * kept + seen * (1.0 - kept)
            };
            Some(packed_of(mixed, now_us))
        };
        // It is never refused.
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, update);
    }

    /// It did not answer.
    pub fn failed(&self, now_us: u64) {
        self.saw(FAILED_US, now_us);
    }

    /// In microseconds; 0: not known, or not any more.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a time above nothing, in microseconds"
    )]
    pub fn estimate(&self, now_us: u64) -> u64 {
        let (estimate, at) = unpacked(self.0.load(Ordering::Relaxed));
        (estimate * kept(at, now_us)) as u64
    }
}

/// How much of an estimate is left after a while.
fn kept(at_us: u64, now_us: u64) -> f64 {
    0.5_f64.powf(now_us.saturating_sub(at_us) as f64 / HALF_US)
}

fn unpacked(packed: u64) -> (f64, u64) {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "each half is its own number"
    )]
    let (estimate, ticks) = (f32::from_bits((packed >> 32) as u32), packed as u32);
    (f64::from(estimate), u64::from(ticks) * TICK_US)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "seven digits of a time are enough"
)]
fn packed_of(estimate: f64, at_us: u64) -> u64 {
    let ticks = (at_us / TICK_US) as u32;
    u64::from((estimate as f32).to_bits()) << 32 | u64::from(ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn requests_are_counted_while_they_run() {
        let busy = Arc::new(Busy::default());
        let (one, two) = (busy.begin(), busy.begin());
        assert_eq!(busy.running(), 2);
        drop(one);
        assert_eq!(busy.running(), 1);
        drop(two);
        assert_eq!(busy.running(), 0);
        let two = [busy.begin_below(2), busy.begin_below(2)];
        assert!(busy.begin_below(2).is_none());
        assert_eq!(busy.running(), 2);
        drop(two);
        assert!(busy.begin_below(1).is_some());
    }

    #[test]
    fn what_a_server_says_counts_with_ours_since_and_for_a_while_only() {
        let busy = Arc::new(Busy::default());
        let now = 7 * SECOND;
        assert_eq!(busy.reported(now, SECOND), None, "it said nothing");
        let own = busy.begin();
        // Ours and 4 of others.
        busy.report(5, now);
        assert_eq!(busy.reported(now, SECOND), Some(5));
        let more = [busy.begin(), busy.begin()];
        assert_eq!(busy.reported(now + SECOND, SECOND), Some(7));
        drop(own);
        assert_eq!(busy.reported(now + SECOND, SECOND), Some(6));
        assert_eq!(busy.reported(now + SECOND + 1, SECOND), None, "stale");
        // It never has fewer than ours.
        busy.report(0, now);
        assert_eq!(busy.reported(now, SECOND), Some(2));
        drop(more);
        assert_eq!(busy.reported(now, SECOND), Some(0));
        assert_eq!(busy.last_report(), Some((0, now)));
    }

    #[test]
    fn what_others_have_counts_and_each_of_them_does_what_we_do_meanwhile() {
        let busy = Arc::new(Busy::default());
        assert_eq!(busy.in_all(3), 0, "nobody said anything");
        let two = [busy.begin(), busy.begin()];
        busy.hear(10, 2);
        assert_eq!(busy.in_all(1), 12);
        assert_eq!(busy.in_all(0), 2, "alone");
        let more = busy.begin();
        assert_eq!((busy.in_all(1), busy.in_all(4)), (3 + 11, 3 + 14));
        drop((two, more));
        assert_eq!((busy.in_all(1), busy.in_all(4)), (8, 2));
        // Of theirs no more than all can go.
        assert_eq!(busy.in_all(100), 0);
        busy.hear(u64::MAX, 0);
        assert_eq!(busy.in_all(1), u64::from(u32::MAX));
    }

    #[test]
    fn an_estimate_rises_at_once_and_falls_by_and_by() {
        let (first, mut now) = (FirstToken::default(), SECOND);
        assert_eq!(first.estimate(now), 0);
        first.saw(100_000, now);
        assert!((99_000..101_000).contains(&first.estimate(now)));
        first.saw(900_000, now);
        assert!((890_000..910_000).contains(&first.estimate(now)));
        // Ten seconds of the former, seen each second.
        for _ in 0..10 {
            now += SECOND;
            first.saw(100_000, now);
        }
        let fallen = first.estimate(now);
        assert!((450_000..550_000).contains(&fallen), "{fallen}");
        // A minute without any.
        let faded = first.estimate(now + 60 * SECOND);
        assert!(faded * 50 < fallen, "{faded}");
        first.failed(now);
        assert!(first.estimate(now) > 9 * SECOND);
    }

    #[test]
    fn many_threads_lose_nothing() {
        let (busy, first) = (Arc::new(Busy::default()), FirstToken::default());
        let ask = || {
            for n in 0..10_000 {
                let _running = busy.begin();
                first.saw(1_000 + n % 7, SECOND);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(ask);
            }
        });
        assert_eq!(busy.running(), 0);
        let seen = first.estimate(SECOND);
        assert!((990..1_010).contains(&seen), "{seen}");
    }
}
