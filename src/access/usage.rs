//! What was called over a time, told in steps of an hour or a day and by what it was called of: read from
//! the roll-ups, so that a year costs no more than its days. Steps begin and end in UTC. What is told is the same for
//! every roll-up there is ([`Counted`]); here are the calls of tools.

use std::collections::BTreeMap;
use std::fmt::Debug;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::access::ledger::HOURS_DAYS;
use crate::store::usage::{DAY, HOUR, UsageRow, Used};
use crate::store::{Store, StoreError};
use crate::types::{Latency, OrganizationId};

/// Steps of one window.
pub const STEPS_MAX: i64 = 1_000;
/// Rows that are read for one.
const ROWS_MAX: usize = 300_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Hour,
    Day,
}

/// Whole steps from a moment to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first moment, in microseconds, at which a step begins.
    pub from: i64,
    /// The first moment that is too late, at which one ends.
    pub to: i64,
    pub step: Step,
    /// A step that ends later than this is not over.
    pub now: i64,
}

/// What calls are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    Server,
    /// A tool of a server.
    Tool,
    Consumer,
}

/// What calls are of. Nobody, and nothing, is the nil UUID and the empty text.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Of {
    pub server: Uuid,
    pub tool: String,
    pub consumer: Uuid,
}

/// What calls come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub calls: i64,
    /// Those that failed: `tool_error`, `refused`, `timeout` and `closed`.
    pub errors: i64,
    /// Those whose client left. They neither failed nor succeeded.
    pub cancelled: i64,
    pub request_bytes: i64,
    pub response_bytes: i64,
    pub upstream_us: i64,
    /// `None`: of no call is it known.
    pub tokens: Option<i64>,
    pub cost_nanos: Option<i64>,
    /// Of the calls that were answered: not of those that were refused or whose client left.
    pub latency: Latency,
}

/// A row of a roll-up: what its calls are of, and what they add to a sum.
pub trait Counted: Sized {
    /// Which calls are asked about.
    type Used: Sync;
    /// What calls are told apart by.
    type By: Copy + Ord + Debug;
    type Of: Ord + Clone + Debug;
    type Tally: Default + Clone + Debug;
    /// The times of its calls, read.
    type Times;
    /// What is highest comes first.
    type Rank: Ord;

    /// Rows of hours and days that begin in a span, at most `limit` of them.
    fn fetch(
        store: &Store,
        of: (OrganizationId, &Self::Used),
        span: (i64, i64),
        limit: i64,
    ) -> impl Future<Output = Result<Vec<Self>, StoreError>> + Send;
    fn bucket(&self) -> i64;
    /// `None`: they cannot be read.
    fn times(&self) -> Option<Self::Times>;
    fn of(&self, by: Self::By) -> Self::Of;
    fn add_to(&self, tally: &mut Self::Tally, times: &Self::Times);
    fn rank(tally: &Self::Tally) -> Self::Rank;
}

/// What the calls of one kind come to, in all and step by step; a step without calls is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told<T = Tally> {
    pub totals: T,
    pub steps: BTreeMap<i64, T>,
}

/// A window, told.
#[derive(Clone, Debug)]
pub struct Report<R: Counted = UsageRow> {
    pub window: Window,
    pub all: Told<R::Tally>,
    groups: Groups<R>,
}

/// What is told apart: by what, and of what.
type Groups<R> = BTreeMap<(<R as Counted>::By, <R as Counted>::Of), Told<<R as Counted>::Tally>>;

#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    #[error("`from` is before `to`")]
    Backwards,
    #[error("that are more than {STEPS_MAX} steps; ask for less, or by the day")]
    Steps,
    #[error("hours are kept for {HOURS_DAYS} days; ask for what is older by the day")]
    HoursGone,
    #[error("that is too much to add up; ask for less, or for one server, tool, model or consumer")]
    TooMuch,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Step {
    /// In microseconds.
    pub fn length(self) -> i64 {
        match self {
            Self::Hour => HOUR,
            Self::Day => DAY,
        }
    }
}

impl Window {
    /// The whole steps that hold `from` and everything up to `to`.
    ///
    /// # Errors
    /// It is no time, too many steps, or hours that are gone.
    pub fn new(
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        step: Step,
        now: DateTime<Utc>,
    ) -> Result<Self, UsageError> {
        let (from, to) = (from.timestamp_micros(), to.timestamp_micros());
        let (length, now) = (step.length(), now.timestamp_micros());
        if from >= to {
            return Err(UsageError::Backwards);
        }
        let from = from - from.rem_euclid(length);
        let to = to.saturating_add((-to).rem_euclid(length));
        if (to - from) / length > STEPS_MAX {
            return Err(UsageError::Steps);
        }
        let kept = now - i64::from(HOURS_DAYS) * DAY;
        if step == Step::Hour && from < kept - kept.rem_euclid(DAY) {
            return Err(UsageError::HoursGone);
        }
        Ok(Self {
            from,
            to,
            step,
            now,
        })
    }

    /// When each step begins.
    pub fn steps(&self) -> impl Iterator<Item = i64> + use<> {
        let (from, length) = (self.from, self.step.length());
        (0..(self.to - from) / length).map(move |n| from + n * length)
    }

    /// Whether a step is not over.
    pub fn is_partial(&self, step: i64) -> bool {
        step + self.step.length() > self.now
    }
}

impl Tally {
    /// How many of 1,000 calls did not fail, of those that ended; `None`: none did.
    pub fn success_per_mille(&self) -> Option<i64> {
        let ended = self.calls - self.cancelled;
        // Only all of them are all of them: one failure of a million is not 100 %.
        (ended > 0).then(|| (ended - self.errors).saturating_mul(1_000) / ended)
    }
}

impl Counted for UsageRow {
    type Used = Used;
    type By = By;
    type Of = Of;
    type Tally = Tally;
    type Times = Latency;
    type Rank = i64;

    async fn fetch(
        store: &Store,
        (organization, used): (OrganizationId, &Used),
        span: (i64, i64),
        limit: i64,
    ) -> Result<Vec<Self>, StoreError> {
        store.usage(organization, used, span, limit).await
    }

    fn bucket(&self) -> i64 {
        self.bucket
    }

    fn times(&self) -> Option<Latency> {
        Latency::from_text(&self.latency)
    }

    fn of(&self, by: By) -> Of {
        let nobody = Of::default();
        match by {
            By::Server => Of {
                server: self.server_id,
                ..nobody
            },
            By::Tool => Of {
                server: self.server_id,
                tool: self.tool.clone(),
                ..nobody
            },
            By::Consumer => Of {
                consumer: self.consumer_id,
                ..nobody
            },
        }
    }

    fn add_to(&self, tally: &mut Tally, latency: &Latency) {
        let known = |sum: Option<i64>, more: Option<i64>| match (sum, more) {
            (Some(sum), Some(more)) => Some(sum.saturating_add(more)),
            (sum, more) => sum.or(more),
        };
        tally.calls = tally.calls.saturating_add(self.calls);
        tally.errors = tally.errors.saturating_add(self.errors);
        if self.status == "cancelled" {
            tally.cancelled = tally.cancelled.saturating_add(self.calls);
        }
        tally.request_bytes = tally.request_bytes.saturating_add(self.request_bytes);
        tally.response_bytes = tally.response_bytes.saturating_add(self.response_bytes);
        tally.upstream_us = tally.upstream_us.saturating_add(self.upstream_us);
        tally.tokens = known(tally.tokens, self.tokens);
        tally.cost_nanos = known(tally.cost_nanos, self.cost_nanos);
        if !matches!(self.status.as_str(), "cancelled" | "refused" | "closed") {
            tally.latency.merge(latency);
        }
    }

    /// The most called first.
    fn rank(tally: &Tally) -> i64 {
        tally.calls
    }
}

impl<R: Counted> Report<R> {
    /// Adds rows up.
    ///
    /// # Errors
    /// A row cannot be read.
    pub fn of(window: Window, by: &[R::By], rows: &[R]) -> Result<Self, StoreError> {
        let mut report = Self {
            window,
            all: Told {
                totals: R::Tally::default(),
                steps: BTreeMap::new(),
            },
            groups: BTreeMap::new(),
        };
        for row in rows {
            report.add(by, row)?;
        }
        Ok(report)
    }

    fn add(&mut self, by: &[R::By], row: &R) -> Result<(), StoreError> {
        let corrupt = || StoreError::Corrupt("the times of calls in a roll-up".to_owned());
        let times = row.times().ok_or_else(corrupt)?;
        let step = row.bucket() - row.bucket().rem_euclid(self.window.step.length());
        let add = |told: &mut Told<R::Tally>| {
            row.add_to(&mut told.totals, &times);
            row.add_to(told.steps.entry(step).or_default(), &times);
        };
        add(&mut self.all);
        for by in by {
            let group = self.groups.entry((*by, row.of(*by)));
            add(group.or_insert_with(|| Told {
                totals: R::Tally::default(),
                steps: BTreeMap::new(),
            }));
        }
        Ok(())
    }

    /// What there is of a kind, what matters most first.
    pub fn by(&self, by: R::By) -> Vec<(&R::Of, &Told<R::Tally>)> {
        let groups = self.groups.iter().filter(|((kind, _), _)| *kind == by);
        let mut groups: Vec<_> = groups.map(|((_, of), told)| (of, told)).collect();
        groups.sort_by_cached_key(|(of, told)| {
            (std::cmp::Reverse(R::rank(&told.totals)), (*of).clone())
        });
        groups
    }
}

impl Report {
    /// The servers it tells of; nil where it tells of none.
    pub fn servers(&self) -> impl Iterator<Item = Uuid> {
        self.groups.keys().map(|(_, of)| of.server)
    }
}

/// Reads a window, a day at a time, so that hours that become days meanwhile are seen once.
///
/// # Errors
/// More rows than are read for one, or the database.
pub async fn read<R: Counted>(
    store: &Store,
    of: (OrganizationId, &R::Used),
    window: Window,
    by: &[R::By],
) -> Result<Report<R>, UsageError> {
    let mut report = Report::of(window, by, &[])?;
    let (mut from, mut left) = (window.from, ROWS_MAX);
    while from < window.to {
        let to = (from - from.rem_euclid(DAY) + DAY).min(window.to);
        let limit = i64::try_from(left + 1).unwrap_or(i64::MAX);
        let rows = R::fetch(store, of, (from, to), limit).await?;
        left = left.checked_sub(rows.len()).ok_or(UsageError::TooMuch)?;
        for row in &rows {
            report.add(by, row)?;
        }
        from = to;
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn window(from: &str, to: &str, step: Step) -> Result<Window, UsageError> {
        let now = time("2026-07-01T12:30:00Z");
        Window::new((time(from), time(to)), step, now)
    }

    fn row(hour: i64, status: &str, calls: i64, micros: u64) -> UsageRow {
        let mut latency = Latency::default();
        for _ in 0..calls {
            latency.merge(&Latency::of(micros));
        }
        UsageRow {
            bucket: hour * HOUR,
            server_id: Uuid::from_u128(1),
            tool: "list".into(),
            consumer_id: Uuid::nil(),
            status: status.into(),
            calls,
            errors: if status == "ok" || status == "cancelled" {
                0
            } else {
                calls
            },
            request_bytes: calls,
            response_bytes: 2 * calls,
            upstream_us: 3,
            tokens: None,
            cost_nanos: None,
            latency: latency.to_text(),
        }
    }

    #[test]
    fn a_window_is_whole_steps_of_utc() {
        let hours = window(
            "2026-07-01T09:59:59+02:00",
            "2026-07-01T10:00:01Z",
            Step::Hour,
        )
        .unwrap();
        let steps: Vec<_> = hours
            .steps()
            .map(|at| DateTime::from_timestamp_micros(at).unwrap())
            .collect();
        assert_eq!(
            steps,
            ["07", "08", "09", "10"].map(|hour| time(&format!("2026-07-01T{hour}:00:00Z")))
        );
        // Midnight somewhere else is in the middle of a day here.
        let days = window(
            "2026-06-30T00:00:00+05:30",
            "2026-07-01T00:00:00Z",
            Step::Day,
        )
        .unwrap();
        assert_eq!(days.steps().count(), 2);
        assert_eq!(days.to, time("2026-07-01T00:00:00Z").timestamp_micros());
        let now = window("2026-07-01T00:00:00Z", "2026-07-01T12:30:00Z", Step::Hour).unwrap();
        let partial: Vec<_> = now.steps().filter(|step| now.is_partial(*step)).collect();
        assert_eq!(partial, [time("2026-07-01T12:00:00Z").timestamp_micros()]);
        for (from, to, step) in [
            ("2026-07-01T00:00:00Z", "2026-07-01T00:00:00Z", Step::Day),
            ("2026-05-01T00:00:00Z", "2026-05-02T00:00:00Z", Step::Hour),
            ("2020-07-01T00:00:00Z", "2026-05-02T00:00:00Z", Step::Day),
        ] {
            assert!(window(from, to, step).is_err(), "{from} {to}");
        }
        assert!(window("2026-05-27T00:00:00Z", "2026-05-28T00:00:00Z", Step::Hour).is_ok());
    }

    #[test]
    fn what_nobody_called_has_no_rate_and_no_time() {
        let none = Tally::default();
        assert_eq!(
            (none.success_per_mille(), none.latency.percentile(50)),
            (None, None)
        );
    }

    #[test]
    fn rows_add_up_by_steps_and_groups() {
        let rows = [
            row(0, "ok", 3, 1_000),
            row(1, "tool_error", 1, 100_000),
            row(1, "refused", 5, 1),
            row(25, "cancelled", 2, 9_000_000),
            UsageRow {
                tool: "get".into(),
                ..row(25, "ok", 999, 2_000)
            },
        ];
        let window = Window {
            from: 0,
            to: 2 * DAY,
            step: Step::Day,
            now: 2 * DAY,
        };
        let report = Report::of(window, &[By::Tool, By::Consumer], &rows).unwrap();
        let totals = &report.all.totals;
        assert_eq!(
            (totals.calls, totals.errors, totals.cancelled),
            (1_010, 6, 2)
        );
        assert_eq!(totals.success_per_mille(), Some(994));
        assert_eq!(totals.latency.calls(), 1_003, "neither refused nor left");
        let days: Vec<_> = report
            .all
            .steps
            .iter()
            .map(|(at, tally)| (*at, tally.calls))
            .collect();
        assert_eq!(days, [(0, 9), (DAY, 1_001)]);
        let tools: Vec<_> = report
            .by(By::Tool)
            .iter()
            .map(|(of, told)| (of.tool.clone(), told.totals.calls))
            .collect();
        assert_eq!(tools, [("get".into(), 999), ("list".into(), 11)]);
        assert_eq!(report.by(By::Consumer).len(), 1);
        assert!(report.by(By::Server).is_empty(), "nobody asked");
    }
}
