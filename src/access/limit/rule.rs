//! What a limit says, and whether it means something.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One limit: at most `amount` of `unit` in each `window`, for each of what `scope` tells apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limit {
    pub unit: Unit,
    pub amount: u64,
    /// Absent for `concurrency`, which is about the same moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    pub scope: Scope,
    /// How many may come at once where a window is shorter than a day; `amount` where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u64>,
    /// The day of the month, 1 to 28, on which a month begins; the first where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_day: Option<u32>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Tool calls.
    Requests,
    /// Tokens of answers, as a model reads them.
    Tokens,
    /// What calls cost, in millionths of a dollar.
    Money,
    /// Tool calls that run at the same moment, in each process.
    Concurrency,
}

/// How long a count lasts. Days and months are those of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    Second,
    Minute,
    Hour,
    Day,
    Month,
}

/// What has a count of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    Key,
    Consumer,
    /// The person whose keys they are, all of them together; a key that is nobody's counts as its consumer.
    User,
    /// All callers of the server together.
    Server,
    /// All callers of each tool together.
    Tool,
    /// Each client address (each /64 of IPv6).
    Address,
}

/// Why a limit means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    #[error("`amount` is 1 to {AMOUNT_MAX}, of money (millionths of a dollar) 1 to {MICROS_MAX}")]
    Amount,
    #[error("`window` is missing: second, minute, hour, day or month")]
    NoWindow,
    #[error("a limit of concurrency has no `window`, `burst` or `resetDay`")]
    Concurrency,
    #[error("a limit of money has the window day or month")]
    Money,
    #[error("`burst` is 1 to {AMOUNT_MAX}, for a window of a second, a minute or an hour")]
    Burst,
    #[error("`resetDay` is 1 to 28, for a window of a month")]
    ResetDay,
    #[error("there is another limit of the same unit, window and scope")]
    Twice,
    #[error("at most {LIMITS_MAX} limits")]
    TooMany,
}

const AMOUNT_MAX: u64 = 1_000_000_000;
/// A billion dollars.
const MICROS_MAX: u64 = 1_000_000_000_000_000;
/// What is counted of money.
pub(super) const NANOS_PER_MICRO: u64 = 1_000;
/// Limiter of one server, plan or consumer.
const LIMITS_MAX: usize = 16;

impl Window {
    /// Its length, where that is always the same and short.
    pub(super) fn short(self) -> Option<Duration> {
        match self {
            Self::Second => Some(Duration::from_secs(1)),
            Self::Minute => Some(Duration::from_mins(1)),
            Self::Hour => Some(Duration::from_hours(1)),
            Self::Day | Self::Month => None,
        }
    }

    pub(super) const ALL: [Self; 5] = [
        Self::Second,
        Self::Minute,
        Self::Hour,
        Self::Day,
        Self::Month,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

impl Unit {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Money => "money",
            Self::Concurrency => "concurrency",
        }
    }
}

impl Scope {
    pub(super) const ALL: [Self; 6] = [
        Self::Key,
        Self::Consumer,
        Self::User,
        Self::Server,
        Self::Tool,
        Self::Address,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Consumer => "consumer",
            Self::User => "user",
            Self::Server => "server",
            Self::Tool => "tool",
            Self::Address => "address",
        }
    }
}

impl Limit {
    /// How much of what is counted: of money, billionths of a dollar.
    pub fn counted(&self) -> u64 {
        match self.unit {
            Unit::Money => self.amount.saturating_mul(NANOS_PER_MICRO),
            _ => self.amount,
        }
    }

    /// Whether it says something that can be kept.
    pub fn check(&self) -> Result<(), LimitError> {
        let most = if self.unit == Unit::Money {
            MICROS_MAX
        } else {
            AMOUNT_MAX
        };
        if !(1..=most).contains(&self.amount) {
            return Err(LimitError::Amount);
        }
        if self.unit == Unit::Concurrency {
            let alone = self.window.is_none() && self.burst.is_none() && self.reset_day.is_none();
            return if alone {
                Ok(())
            } else {
                Err(LimitError::Concurrency)
            };
        }
        let window = self.window.ok_or(LimitError::NoWindow)?;
        if self.unit == Unit::Money && window.short().is_some() {
            return Err(LimitError::Money);
        }
        let burst = |burst| window.short().is_some() && (1..=AMOUNT_MAX).contains(&burst);
        if !self.burst.is_none_or(burst) {
            return Err(LimitError::Burst);
        }
        let day = |day: u32| window == Window::Month && (1..=28).contains(&day);
        if !self.reset_day.is_none_or(day) {
            return Err(LimitError::ResetDay);
        }
        Ok(())
    }
}

/// Whether all of a list can be kept. The error names the place of the one that cannot.
pub fn check(limits: &[Limit]) -> Result<(), (usize, LimitError)> {
    if limits.len() > LIMITS_MAX {
        return Err((LIMITS_MAX, LimitError::TooMany));
    }
    let same = |a: &Limit, b: &Limit| (a.unit, a.window, a.scope) == (b.unit, b.window, b.scope);
    for (place, limit) in limits.iter().enumerate() {
        limit.check().map_err(|error| (place, error))?;
        if limits[..place].iter().any(|before| same(before, limit)) {
            return Err((place, LimitError::Twice));
        }
    }
    Ok(())
}
