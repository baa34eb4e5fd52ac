//! When a target is asked again, with which of its keys, and after which pause.

use std::time::{Duration, Instant};

use crate::egress::EgressError;
use crate::llm::exchange::of_egress;
use crate::llm::fault::{Fault, FaultClass};

/// The pause before a target is asked again, which doubles; for longer than this nobody waits.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// What is asked for beyond that is all the same.
const READY_MAX: Duration = Duration::from_hours(1);

/// The keys that a target is asked with, by their places, in one request.
pub(super) struct Turns {
    turns: Vec<Turn>,
    retries: u32,
    attempts: u32,
    /// What it failed with last.
    pub(super) failed: Option<Fault>,
}

#[derive(Clone)]
struct Turn {
    was_asked: bool,
    /// When its provider wants to be asked with it again.
    ready: Instant,
}

impl Turns {
    pub(super) fn of(keys: usize, retries: u32, now: Instant) -> Self {
        let turn = Turn {
            was_asked: false,
            ready: now,
        };
        Self {
            turns: vec![turn; keys],
            retries,
            attempts: 0,
            failed: None,
        }
    }

    /// The key that is asked next, of those that are `usable`, and after which pause: one that was not asked yet, or the
    /// one that is ready first. `None`: that is not worth it.
    pub(super) fn next(
        &self,
        now: Instant,
        usable: impl Fn(usize) -> bool,
    ) -> Option<(usize, Duration)> {
        let turns = self.turns.iter().enumerate();
        let usable = turns.filter(|(place, _)| usable(*place));
        let (place, turn) = usable.min_by_key(|(_, turn)| (turn.was_asked, turn.ready))?;
        let Some(fault) = &self.failed else {
            return Some((place, Duration::ZERO));
        };
        // Another key costs nothing but the question.
        if !turn.was_asked && is_of_key(fault.class) {
            return Some((place, Duration::ZERO));
        }
        if self.attempts > self.retries || !may_repeat(fault.class) {
            return None;
        }
        let usual = PAUSE_FIRST * 2_u32.pow(self.attempts.clamp(1, 6) - 1);
        let pause = usual.max(turn.ready.saturating_duration_since(now));
        (pause <= PAUSE_MAX).then_some((place, pause))
    }

    /// It failed with that key.
    pub(super) fn failed(&mut self, place: usize, fault: Fault, now: Instant) {
        self.attempts += 1;
        let ready = now + fault.retry_after.unwrap_or_default().min(READY_MAX);
        for (other, turn) in self.turns.iter_mut().enumerate() {
            turn.was_asked |= other == place;
            // What is not about a key is about all of them.
            if other == place || !is_of_key(fault.class) {
                turn.ready = turn.ready.max(ready);
            }
        }
        self.failed = Some(fault);
    }
}

/// Faults that are about the key, so that another one may have more luck.
fn is_of_key(class: FaultClass) -> bool {
    matches!(
        class,
        FaultClass::RateLimited
            | FaultClass::Exhausted
            | FaultClass::Unauthenticated
            | FaultClass::Forbidden
            | FaultClass::Overloaded
    )
}

/// Faults after which the same question may be asked again.
fn may_repeat(class: FaultClass) -> bool {
    matches!(
        class,
        FaultClass::RateLimited
            | FaultClass::Upstream
            | FaultClass::Overloaded
            | FaultClass::Unreachable
    )
}

pub(super) fn late(provider: &str, after: Duration) -> Fault {
    let text = format!(
        "{provider} did not begin to answer within {:.1} s",
        after.as_secs_f64()
    );
    Fault::new(FaultClass::Timeout, text)
}

/// Why an answer that began did not come to its end. One that is too large would be so again.
pub(crate) fn cut_short(error: &EgressError) -> Fault {
    let fault = of_egress(error);
    let class = match error {
        EgressError::TimedOut { .. } => FaultClass::Stalled,
        EgressError::TooLarge { .. } => FaultClass::Unsupported,
        _ => fault.class,
    };
    Fault { class, ..fault }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_asked_again_when_its_provider_wants_it() {
        use FaultClass::{Exhausted, RateLimited, Upstream};
        let began = Instant::now();
        let fault = |class, after: u64| Fault {
            retry_after: Some(Duration::from_millis(after)),
            ..Fault::new(class, "")
        };
        // How many keys and retries there are, what each attempt fails with, and what follows: which key, and when.
        for (keys, retries, faults, expected) in [
            (1, 1, vec![], Some((0, 0))),
            (1, 1, vec![(0, RateLimited, 0)], Some((0, 100))),
            (1, 1, vec![(0, RateLimited, 3_000)], Some((0, 3_000))),
            (1, 1, vec![(0, RateLimited, 5_001)], None),
            (1, 1, vec![(0, RateLimited, u64::MAX)], None),
            (1, 0, vec![(0, RateLimited, 0)], None),
            (1, 5, vec![(0, Exhausted, 0)], None),
            (2, 0, vec![(0, RateLimited, 3_000)], Some((1, 0))),
            // What is not about a key is no better with another.
            (2, 0, vec![(0, Upstream, 0)], None),
            (2, 1, vec![(0, Upstream, 2_000)], Some((1, 2_000))),
            // Each has its own time; the first that is ready is asked.
            (
                2,
                2,
                vec![(0, RateLimited, 3_000), (1, RateLimited, 4_000)],
                Some((0, 3_000)),
            ),
            (
                2,
                2,
                vec![(0, RateLimited, 3_000), (1, RateLimited, 500)],
                Some((1, 500)),
            ),
            (
                2,
                1,
                vec![(0, RateLimited, 3_000), (1, RateLimited, 500)],
                None,
            ),
        ] {
            let mut turns = Turns::of(keys, retries, began);
            for (place, class, after) in &faults {
                turns.failed(*place, fault(*class, *after), began);
            }
            let next = turns.next(began, |_| true);
            let expected = expected.map(|(place, ms)| (place, Duration::from_millis(ms)));
            assert_eq!(next, expected, "{keys} {retries} {faults:?}");
        }
    }

    #[test]
    fn a_key_that_is_left_alone_is_not_waited_for() {
        let began = Instant::now();
        let mut turns = Turns::of(2, 2, began);
        assert_eq!(
            turns.next(began, |place| place != 0),
            Some((1, Duration::ZERO))
        );
        assert_eq!(turns.next(began, |_| false), None);
        turns.failed(0, Fault::new(FaultClass::RateLimited, ""), began);
        let again = Some((0, PAUSE_FIRST));
        assert_eq!(turns.next(began, |place| place != 1), again);
        assert_eq!(turns.next(began, |_| false), None);
    }
}
