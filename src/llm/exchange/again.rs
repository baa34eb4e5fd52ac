//! When a target is asked again, and after which pause.

use std::time::{Duration, Instant};

use crate::llm::fault::{Fault, FaultClass};
use crate::llm::live::{LiveKey, LiveProvider};

/// The pause before a target is asked again, which doubles; for longer than this nobody waits.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The keys of a target that is asked with one after the other, and again where that helps.
pub(crate) struct Turns<'a> {
    keys: Vec<&'a LiveKey>,
    asked: u32,
    retries: u32,
    deadline: Instant,
}

impl<'a> Turns<'a> {
    pub(crate) fn of(provider: &'a LiveProvider, retries: u32, deadline: Instant) -> Self {
        Self {
            keys: provider.keys_in_turn(),
            asked: 0,
            retries,
            deadline,
        }
    }

    /// The one whose turn it is, where there are any.
    pub(crate) fn key(&self) -> Option<&'a LiveKey> {
        let place = self.asked as usize % self.keys.len().max(1);
        self.keys.get(place).copied()
    }

    /// Waits until the target is asked again, with the next one.
    ///
    /// # Errors
    /// What came of asking it, where it is not.
    pub(crate) async fn after(&mut self, fault: Fault) -> Result<(), Fault> {
        self.asked += 1;
        // Another key costs nothing but the question.
        let has_other = (self.asked as usize) < self.keys.len() && is_of_key(fault.class);
        if !has_other && (self.asked > self.retries || !may_repeat(fault.class)) {
            return Err(fault);
        }
        let pause = if has_other {
            Duration::ZERO
        } else {
            pause(self.asked, &fault)
        };
        if pause > PAUSE_MAX || Instant::now() + pause >= self.deadline {
            return Err(fault);
        }
        tokio::time::sleep(pause).await;
        Ok(())
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

/// How long to wait before the same target is asked again.
fn pause(attempt: u32, fault: &Fault) -> Duration {
    let usual = PAUSE_FIRST * 2_u32.pow(attempt.min(6) - 1);
    fault.retry_after.map_or(usual, |asked| asked.max(usual))
}

pub(super) fn late(provider: &str, after: Duration) -> Fault {
    let text = format!(
        "{provider} did not begin to answer within {:.1} s",
        after.as_secs_f64()
    );
    Fault::new(FaultClass::Timeout, text)
}

/// What was not in time had begun.
pub(super) fn stalled(fault: Fault) -> Fault {
    match fault.class {
        FaultClass::Timeout => Fault {
            class: FaultClass::Stalled,
            ..fault
        },
        _ => fault,
    }
}
