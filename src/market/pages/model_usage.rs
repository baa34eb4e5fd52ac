//! The page of what calls of models add up to: tokens by kind, money, and times.

use askama::Template;

use crate::access::model_usage::{By, Of, Report, Tally};
use crate::access::usage::Window;
use crate::market::api::usage::Names;
use crate::market::pages::Frame;
use crate::market::pages::chart::{Chart, Line, Stack, bars, lines, step_name};
use crate::market::pages::figures::{axis_cost, cost, duration, moment, number};
use crate::market::pages::usage::at;
use crate::types::Latency;

/// Rows of a table.
const ROWS_MAX: usize = 50;

/// `GET /usage/models`.
#[derive(Debug, Template)]
#[template(path = "model_usage.html")]
pub struct ModelUsagePage {
    pub frame: Frame,
    pub error: Option<String>,
    /// Chosen or not, what the form sends, and the message that names it.
    pub periods: Vec<(bool, &'static str, &'static str)>,
    pub fields: Vec<FilterField>,
    /// `None`: it was not understood.
    pub part: Option<ModelUsagePart>,
    pub tables: Vec<ModelUsageTable>,
    /// What follows the addresses of the exports.
    pub exported: String,
}

/// A field that says which calls.
#[derive(Clone, Debug)]
pub struct FilterField {
    pub name: &'static str,
    /// The message that names it.
    pub label: &'static str,
    pub value: String,
    pub suggested: Vec<String>,
}

/// Sums and charts of some calls.
#[derive(Clone, Debug)]
pub struct ModelUsagePart {
    pub totals: ModelUsageLine,
    pub from: String,
    pub to: String,
    pub charts: Vec<Drawn>,
    pub steps: ModelUsageTable,
}

/// A chart with its words.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// What its ids begin with.
    pub name: &'static str,
    /// The message that is its title, and the one that describes it.
    pub title: &'static str,
    pub desc: &'static str,
    /// The class of each colour, and the message or the word for it.
    pub keys: Vec<(&'static str, &'static str)>,
    pub chart: Chart,
}

/// What there is of a kind, or of each step.
#[derive(Clone, Debug)]
pub struct ModelUsageTable {
    /// The message that is its title, and the one of its first column.
    pub title: &'static str,
    pub column: &'static str,
    pub rows: Vec<ModelUsageLine>,
    pub hidden: usize,
    /// It has a line for each row, however narrow the page is.
    pub is_dense: bool,
}

/// Calls in numbers.
#[derive(Clone, Debug, Default)]
pub struct ModelUsageLine {
    /// `None`: nobody, or what is gone.
    pub name: Option<String>,
    /// It is a step that is not over.
    pub is_partial: bool,
    pub any: bool,
    pub calls: String,
    pub errors: String,
    pub tokens_in: String,
    pub tokens_out: String,
    /// Of the tokens that went in and came out: messages, and how many.
    pub parts_in: Vec<(&'static str, i64)>,
    pub parts_out: Vec<(&'static str, i64)>,
    /// `None`: what was used has no price.
    pub cost: Option<String>,
    /// Calls whose tokens have none.
    pub unknown: i64,
    pub p50: Option<String>,
    pub p95: Option<String>,
    pub first_p50: Option<String>,
    pub first_p95: Option<String>,
}

impl ModelUsagePart {
    pub(super) fn of(report: &Report) -> Self {
        let (window, totals) = (&report.window, &report.all.totals);
        let none = Tally::default();
        let steps: Vec<(i64, &Tally)> = window
            .steps()
            .map(|at| (at, report.all.steps.get(&at).unwrap_or(&none)))
            .collect();
        let tallies: Vec<&Tally> = steps.iter().map(|(_, tally)| *tally).collect();
        let rows = steps.iter().map(|(at, tally)| ModelUsageLine {
            is_partial: window.is_partial(*at),
            ..ModelUsageLine::of(Some(step_name(window, *at)), tally)
        });
        Self {
            totals: ModelUsageLine::of(None, totals),
            from: moment(window.from, "%Y-%m-%d %H:%M"),
            to: moment(window.to, "%Y-%m-%d %H:%M"),
            charts: charts(window, &tallies, totals),
            steps: ModelUsageTable {
                title: "usage-as-table",
                column: "usage-when",
                rows: rows.collect(),
                hidden: 0,
                is_dense: true,
            },
        }
    }
}

/// What is drawn; costs only where any is known.
fn charts(window: &Window, steps: &[&Tally], totals: &Tally) -> Vec<Drawn> {
    let stacked = |below: fn(&Tally) -> i64, above: fn(&Tally) -> i64| -> Vec<Stack> {
        let stacks = steps.iter().map(|tally| Stack(below(tally), above(tally)));
        stacks.collect()
    };
    let percentiles = |latency: fn(&Tally) -> &Latency| {
        [("p95", 95), ("p50", 50)].map(|(class, percent)| Line {
            class,
            values: steps
                .iter()
                .map(|tally| at(latency(tally), percent))
                .collect(),
        })
    };
    let micros = |micros: i64| duration(micros.unsigned_abs());
    let calls = stacked(|it| it.calls - it.errors, |it| it.errors);
    let tokens = stacked(|it| it.tokens_input, |it| it.tokens_output);
    let costs = stacked(|it| it.cost_nanos, |_| 0);
    let has_cost = totals.cost_nanos > 0;
    let of_cost = has_cost.then(|| Drawn {
        name: "cost",
        title: "usage-cost",
        desc: "model-usage-cost-desc",
        keys: Vec::new(),
        chart: bars(window, &costs, ["fine", "failed"], axis_cost),
    });
    let drawn = [
        Some(Drawn {
            name: "calls",
            title: "usage-calls-chart",
            desc: "model-usage-calls-desc",
            keys: vec![("fine", "usage-fine"), ("failed", "usage-failed")],
            chart: bars(window, &calls, ["fine", "failed"], number),
        }),
        Some(Drawn {
            name: "tokens",
            title: "model-usage-tokens",
            desc: "model-usage-tokens-desc",
            keys: vec![
                ("fine", "playground-tokens-in"),
                ("more", "playground-tokens-out"),
            ],
            chart: bars(window, &tokens, ["fine", "more"], number),
        }),
        of_cost,
        Some(Drawn {
            name: "time",
            title: "usage-time-chart",
            desc: "usage-time-desc",
            keys: vec![("p50", "model-usage-p50"), ("p95", "model-usage-p95")],
            chart: lines(window, &percentiles(|it| &it.latency), micros),
        }),
        Some(Drawn {
            name: "first",
            title: "model-usage-first-token",
            desc: "model-usage-first-token-desc",
            keys: vec![("p50", "model-usage-p50"), ("p95", "model-usage-p95")],
            chart: lines(window, &percentiles(|it| &it.first_token), micros),
        }),
    ];
    drawn.into_iter().flatten().collect()
}

impl ModelUsageTable {
    pub(super) fn of(report: &Report, by: By, names: &Names) -> Self {
        let (title, column) = match by {
            By::Model => ("model-usage-models", "model-usage-model"),
            By::Provider => ("model-usage-providers", "model-usage-provider"),
            By::Target => ("model-usage-targets", "playground-target"),
            By::Consumer => ("usage-by-consumer", "usage-consumer"),
            By::Arm => ("model-usage-arms", "model-usage-arm"),
        };
        let named = |of: &Of| {
            let name = match by {
                By::Model => Some(of.model.clone()),
                By::Provider => Some(of.provider.clone()),
                By::Target => Some(of.target.clone()),
                By::Consumer => names.consumers.get(&of.consumer).cloned(),
                By::Arm => Some(of.arm.clone()),
            };
            name.filter(|name| !name.is_empty())
        };
        let groups = report.by(by);
        let rows = groups.iter().take(ROWS_MAX);
        Self {
            title,
            column,
            rows: rows
                .map(|(of, told)| ModelUsageLine::of(named(of), &told.totals))
                .collect(),
            hidden: groups.len().saturating_sub(ROWS_MAX),
            is_dense: false,
        }
    }
}

impl ModelUsageLine {
    fn of(name: Option<String>, tally: &Tally) -> Self {
        let time = |latency: &Latency, percent| latency.percentile(percent).map(duration);
        let some = |parts: &[(&'static str, i64)]| {
            let parts = parts.iter().filter(|(_, count)| *count > 0);
            parts.copied().collect()
        };
        Self {
            name,
            is_partial: false,
            any: tally.calls > 0,
            calls: number(tally.calls),
            errors: number(tally.errors),
            tokens_in: number(tally.tokens_input),
            tokens_out: number(tally.tokens_output),
            parts_in: some(&[
                ("playground-cached", tally.tokens_cached),
                ("model-usage-written", tally.tokens_cache_write),
            ]),
            parts_out: some(&[("playground-reasoning", tally.tokens_reasoning)]),
            cost: tally.known_cost().map(cost),
            unknown: tally.unknown_costs,
            p50: time(&tally.latency, 50),
            p95: time(&tally.latency, 95),
            first_p50: time(&tally.first_token, 50),
            first_p95: time(&tally.first_token, 95),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_price_is_not_free() {
        let tally = |cost_nanos, unknown_costs| Tally {
            calls: 3,
            cost_nanos,
            unknown_costs,
            ..Tally::default()
        };
        for (cost_nanos, unknown, shown) in [
            (0, 3, None),
            (0, 0, Some("$0.0000")),
            (2_500_000, 1, Some("$0.0025")),
        ] {
            let line = ModelUsageLine::of(None, &tally(cost_nanos, unknown));
            assert_eq!((line.cost.as_deref(), line.unknown), (shown, unknown));
        }
    }
}
