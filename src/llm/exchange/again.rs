//! When a target is asked again, and after which pause.

use std::time::Duration;

use crate::llm::fault::{Fault, FaultClass};

/// The pause before a target is asked again, which doubles; for longer than this nobody waits.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Faults that are about the key, so that another one may have more luck.
pub(super) fn is_of_key(class: FaultClass) -> bool {
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
pub(super) fn may_repeat(class: FaultClass) -> bool {
    matches!(
        class,
        FaultClass::RateLimited
            | FaultClass::Upstream
            | FaultClass::Overloaded
            | FaultClass::Unreachable
    )
}

/// How long to wait before the same target is asked again.
pub(super) fn pause(attempt: u32, fault: &Fault) -> Duration {
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
