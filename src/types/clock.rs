//! Where the time comes from. Production reads the system clock; tests hold the hand themselves.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};

/// A source of the current time, cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>);

impl Clock {
    /// The operating system's clock.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that may read the system clock"
    )]
    pub fn system() -> Self {
        Self(Arc::new(Utc::now))
    }

    /// A clock that a test moves.
    pub fn from_fn(now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The current time, in UTC.
    pub fn now(&self) -> DateTime<Utc> {
        (self.0)()
    }

    /// The current time, and the instant it belongs to.
    pub fn moment(&self) -> Moment {
        Moment {
            at: Instant::now(),
            time: self.now(),
        }
    }
}

/// One instant on the clock that only goes forward and on that of the calendar: by it, any other instant has a time.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub at: Instant,
    pub time: DateTime<Utc>,
}

impl Moment {
    /// The time of an instant before or after this one, in nanoseconds since 1970 (UTC).
    pub fn nanos_of(self, at: Instant) -> i64 {
        let time = self.time.timestamp_nanos_opt().unwrap_or_default();
        let nanos = |later: Instant, earlier: Instant| {
            let between = later.saturating_duration_since(earlier).as_nanos();
            i64::try_from(between).unwrap_or(i64::MAX)
        };
        time.saturating_add(nanos(at, self.at))
            .saturating_sub(nanos(self.at, at))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_was_before_and_what_is_after_a_moment_have_their_time() {
        let moment = Moment {
            at: Instant::now() + Duration::from_mins(1),
            time: DateTime::from_timestamp(1_000, 5).unwrap(),
        };
        let second = Duration::from_secs(1);
        assert_eq!(moment.nanos_of(moment.at), 1_000_000_000_005);
        assert_eq!(moment.nanos_of(moment.at + second), 1_001_000_000_005);
        let before = moment.at.checked_sub(second).unwrap();
        assert_eq!(moment.nanos_of(before), 999_000_000_005);
    }
}
