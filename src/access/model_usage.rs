//! What was asked of models over a time, told in steps of an hour or a day and by model, target or consumer: read from
//! the roll-ups, as [`usage`](crate::access::usage) reads those of tools.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::access::usage::{UsageError, Window};
use crate::store::model_usage::{ModelUsageRow, ModelsUsed};
use crate::store::usage::DAY;
use crate::store::{Store, StoreError};
use crate::types::{Latency, OrganizationId};

/// Rows that are read for one report.
const ROWS_MAX: usize = 300_000;

/// What calls are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// As callers name it.
    Model,
    /// `provider/model` of the one that answered.
    Target,
    Consumer,
}

/// What calls are of. Nobody, and nothing, is the nil UUID and the empty text.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Of {
    pub model: String,
    pub target: String,
    pub consumer: Uuid,
}

/// What calls come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub calls: i64,
    pub errors: i64,
    /// Those whose client left. They neither failed nor succeeded.
    pub cancelled: i64,
    /// Those whose tokens were counted here.
    pub estimated: i64,
    pub tokens_input: i64,
    pub tokens_cached: i64,
    pub tokens_cache_write: i64,
    pub tokens_output: i64,
    pub tokens_reasoning: i64,
    pub cost_nanos: i64,
    /// Calls whose tokens have no price: what they cost is not in the sum.
    pub unknown_costs: i64,
    /// Of the calls that were answered.
    pub latency: Latency,
    pub first_token: Latency,
}

/// What the calls of one kind come to, in all and step by step; a step without calls is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub totals: Tally,
    pub steps: BTreeMap<i64, Tally>,
}

/// A window, told.
#[derive(Clone, Debug)]
pub struct Report {
    pub window: Window,
    pub all: Told,
    groups: BTreeMap<Of, Told>,
}

impl Tally {
    fn add(&mut self, row: &ModelUsageRow, (latency, first_token): (&Latency, &Latency)) {
        if row.status == "cancelled" {
            self.cancelled = self.cancelled.saturating_add(row.calls);
        }
        for (sum, more) in [
            (&mut self.calls, row.calls),
            (&mut self.errors, row.errors),
            (&mut self.estimated, row.estimated),
            (&mut self.tokens_input, row.tokens_input),
            (&mut self.tokens_cached, row.tokens_cached),
            (&mut self.tokens_cache_write, row.tokens_cache_write),
            (&mut self.tokens_output, row.tokens_output),
            (&mut self.tokens_reasoning, row.tokens_reasoning),
            (&mut self.cost_nanos, row.cost_nanos),
            (&mut self.unknown_costs, row.unknown_costs),
        ] {
            *sum = sum.saturating_add(more);
        }
        if !matches!(row.status.as_str(), "cancelled" | "refused") {
            self.latency.merge(latency);
        }
        self.first_token.merge(first_token);
    }
}

impl Report {
    fn add(&mut self, by: Option<By>, row: &ModelUsageRow) -> Result<(), StoreError> {
        let corrupt = || StoreError::Corrupt("the times of calls in a roll-up".to_owned());
        let times = |text: &str| Latency::from_text(text).ok_or_else(corrupt);
        let (latency, first_token) = (times(&row.latency)?, times(&row.first_token)?);
        let step = row.bucket - row.bucket.rem_euclid(self.window.step.length());
        let group = by.map(|by| self.groups.entry(of(by, row)).or_default());
        for told in [Some(&mut self.all), group].into_iter().flatten() {
            let times = (&latency, &first_token);
            told.totals.add(row, times);
            told.steps.entry(step).or_default().add(row, times);
        }
        Ok(())
    }

    /// What calls are told apart by: the dearest first, and of those that cost the same the most called.
    pub fn groups(&self) -> Vec<(&Of, &Told)> {
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by_key(|(of, told)| {
            let totals = &told.totals;
            (std::cmp::Reverse((totals.cost_nanos, totals.calls)), *of)
        });
        groups
    }
}

fn of(by: By, row: &ModelUsageRow) -> Of {
    let nothing = Of::default();
    match by {
        By::Model => Of {
            model: row.model.clone(),
            ..nothing
        },
        By::Target => Of {
            target: row.target.clone(),
            ..nothing
        },
        By::Consumer => Of {
            consumer: row.consumer_id,
            ..nothing
        },
    }
}

/// Reads a window, a day at a time, so that hours that become days meanwhile are seen once.
///
/// # Errors
/// More rows than are read for one, or the database.
pub async fn read(
    store: &Store,
    (organization, used): (OrganizationId, &ModelsUsed),
    window: Window,
    by: Option<By>,
) -> Result<Report, UsageError> {
    let mut report = Report {
        window,
        all: Told::default(),
        groups: BTreeMap::new(),
    };
    let (mut from, mut left) = (window.from, ROWS_MAX);
    while from < window.to {
        let to = (from - from.rem_euclid(DAY) + DAY).min(window.to);
        let limit = i64::try_from(left + 1).unwrap_or(i64::MAX);
        let rows = store.model_usage(organization, used, (from, to), limit);
        let rows = rows.await?;
        left = left.checked_sub(rows.len()).ok_or(UsageError::TooMuch)?;
        for row in &rows {
            report.add(by, row)?;
        }
        from = to;
    }
    Ok(report)
}
