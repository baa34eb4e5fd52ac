//! The page of what calls add up to, and the part of it that a page of one server shows.

use askama::Template;

use crate::access::usage::{By, Report, Tally};
use crate::market::api::usage::Names;
use crate::market::pages::Frame;
use crate::market::pages::chart::{Chart, Line, Stack, bars, lines, step_name};
use crate::market::pages::figures::{bytes, cost, duration, moment, number};
use crate::types::Latency;

/// Rows of a table.
const ROWS_MAX: usize = 50;

/// `GET /usage`.
#[derive(Debug, Template)]
#[template(path = "usage.html")]
pub struct UsagePage {
    pub frame: Frame,
    pub error: Option<String>,
    /// Chosen or not, what the form sends, and the message that names it.
    pub periods: Vec<(bool, &'static str, &'static str)>,
    pub server: String,
    pub consumer: String,
    pub servers: Vec<String>,
    pub consumers: Vec<String>,
    /// `None`: it was not understood.
    pub part: Option<UsagePart>,
    pub tables: Vec<UsageTable>,
    /// What follows the addresses of the exports.
    pub exported: String,
}

/// Sums and charts of some calls.
#[derive(Clone, Debug)]
pub struct UsagePart {
    pub calls: String,
    pub errors: String,
    /// Of calls that ended; `None`: none did.
    pub success: Option<String>,
    pub p50: Option<String>,
    pub p95: Option<String>,
    pub p99: Option<String>,
    pub bytes: String,
    pub cost: Option<String>,
    pub from: String,
    pub to: String,
    pub any: bool,
    pub bars: Chart,
    pub lines: Chart,
    pub steps: UsageTable,
}

/// What there is of a kind, or of each step.
#[derive(Clone, Debug)]
pub struct UsageTable {
    /// The message that is its title, and the one of its first column.
    pub title: &'static str,
    pub column: &'static str,
    pub rows: Vec<UsageRow>,
    pub hidden: usize,
    /// It has a line for each row, however narrow the page is.
    pub is_dense: bool,
}

/// Calls in numbers.
#[derive(Clone, Debug)]
pub struct UsageRow {
    /// `None`: nobody, or what is gone.
    pub name: Option<String>,
    /// The server a tool is of.
    pub server: Option<String>,
    /// It is a step that is not over.
    pub is_partial: bool,
    pub calls: String,
    pub errors: String,
    pub success: Option<String>,
    pub p50: Option<String>,
    pub p95: Option<String>,
    pub bytes: String,
    /// `None`: of no call is it known.
    pub cost: Option<String>,
}

impl UsagePart {
    pub fn of(report: &Report) -> Self {
        let (window, totals) = (&report.window, &report.all.totals);
        let none = Tally::default();
        let steps: Vec<(i64, &Tally)> = window
            .steps()
            .map(|at| (at, report.all.steps.get(&at).unwrap_or(&none)))
            .collect();
        let stacks: Vec<Stack> = steps
            .iter()
            .map(|(_, tally)| Stack(tally.calls - tally.errors, tally.errors))
            .collect();
        let percentiles = [("p95", 95), ("p50", 50)].map(|(class, percent)| Line {
            class,
            values: steps
                .iter()
                .map(|(_, tally)| at(&tally.latency, percent))
                .collect(),
        });
        Self {
            calls: number(totals.calls),
            errors: number(totals.errors),
            success: success(totals),
            p50: time(totals, 50),
            p95: time(totals, 95),
            p99: time(totals, 99),
            bytes: bytes(totals.request_bytes.saturating_add(totals.response_bytes)),
            cost: totals.cost_nanos.map(cost),
            from: moment(window.from, "%Y-%m-%d %H:%M"),
            to: moment(window.to, "%Y-%m-%d %H:%M"),
            any: totals.calls > 0,
            bars: bars(window, &stacks, ["fine", "failed"], number),
            lines: lines(window, &percentiles, |micros| {
                duration(micros.unsigned_abs())
            }),
            steps: UsageTable {
                title: "usage-as-table",
                column: "usage-when",
                rows: steps
                    .iter()
                    .map(|(at, tally)| UsageRow {
                        is_partial: window.is_partial(*at),
                        ..UsageRow::of(Some(step_name(window, *at)), tally)
                    })
                    .collect(),
                hidden: 0,
                is_dense: true,
            },
        }
    }
}

impl UsageTable {
    pub(crate) fn of(report: &Report, by: By, names: &Names) -> Self {
        let (title, column) = match by {
            By::Server => ("usage-by-server", "usage-server"),
            By::Tool => ("usage-by-tool", "usage-tool"),
            By::Consumer => ("usage-by-consumer", "usage-consumer"),
        };
        let groups = report.by(by);
        let rows = groups.iter().take(ROWS_MAX).map(|(of, told)| {
            let server = names.servers.get(&of.server).cloned();
            let tool = (!of.tool.is_empty()).then(|| of.tool.clone());
            let name = match by {
                By::Server => server.clone(),
                By::Tool => tool,
                By::Consumer => names.consumers.get(&of.consumer).cloned(),
            };
            UsageRow {
                server: server.filter(|_| by == By::Tool),
                ..UsageRow::of(name, &told.totals)
            }
        });
        Self {
            title,
            column,
            rows: rows.collect(),
            hidden: groups.len().saturating_sub(ROWS_MAX),
            is_dense: false,
        }
    }

    /// Whether anything of it has a price.
    pub fn has_cost(&self) -> bool {
        self.rows.iter().any(|row| row.cost.is_some())
    }
}

impl UsageRow {
    fn of(name: Option<String>, tally: &Tally) -> Self {
        Self {
            name,
            server: None,
            is_partial: false,
            calls: number(tally.calls),
            errors: number(tally.errors),
            success: success(tally),
            p50: time(tally, 50),
            p95: time(tally, 95),
            bytes: bytes(tally.request_bytes.saturating_add(tally.response_bytes)),
            cost: tally.cost_nanos.map(cost),
        }
    }
}

fn success(tally: &Tally) -> Option<String> {
    let rate = tally.success_per_mille()?;
    Some(match rate % 10 {
        0 => format!("{} %", rate / 10),
        tenth => format!("{}.{tenth} %", rate / 10),
    })
}

/// How long so many of a hundred took at most, as high as a line is.
pub(super) fn at(latency: &Latency, percent: u8) -> Option<i64> {
    latency
        .percentile(percent)
        .and_then(|micros| i64::try_from(micros).ok())
}

fn time(tally: &Tally, percent: u8) -> Option<String> {
    tally.latency.percentile(percent).map(duration)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::usage::{Step, Window};
    use crate::store::usage::{DAY, HOUR, UsageRow};

    fn row(hour: i64, calls: i64, errors: i64) -> UsageRow {
        UsageRow {
            bucket: hour * HOUR,
            server_id: uuid::Uuid::nil(),
            tool: "list".into(),
            consumer_id: uuid::Uuid::nil(),
            status: "ok".into(),
            calls,
            errors,
            request_bytes: 1,
            response_bytes: 1,
            upstream_us: 1,
            tokens: None,
            cost_nanos: None,
            latency: Latency::of(20_000).to_text(),
        }
    }

    fn part(rows: &[UsageRow]) -> UsagePart {
        let window = Window {
            from: 0,
            to: DAY,
            step: Step::Hour,
            now: 23 * HOUR + 1,
        };
        UsagePart::of(&Report::of(window, &[], rows).unwrap())
    }

    #[test]
    fn a_gap_is_a_gap_and_the_last_step_is_marked() {
        let part = part(&[row(2, 10, 0), row(3, 1_000, 1), row(7, 5, 5), row(23, 1, 0)]);
        assert_eq!(
            part.bars.bars.len(),
            4,
            "nothing is drawn where nothing was called"
        );
        let partial: Vec<bool> = part.bars.bars.iter().map(|bar| bar.partial).collect();
        assert_eq!(partial, [false, false, false, true]);
        assert!(
            part.bars.bars[1].parts[1].1 >= 1,
            "one of a thousand is seen"
        );
        let (class, path) = &part.lines.paths[1];
        assert_eq!(
            (*class, path.matches('M').count(), path.matches('L').count()),
            ("p50", 3, 1)
        );
        assert_eq!(
            part.lines
                .points
                .iter()
                .filter(|(class, ..)| *class == "p50")
                .count(),
            2
        );
        let steps = &part.steps.rows;
        assert_eq!(steps.len(), 24);
        assert_eq!(
            (steps[0].calls.as_str(), steps[0].p50.as_deref()),
            ("0", None)
        );
        assert!(steps[23].is_partial && !steps[22].is_partial);
        assert!(!part.steps.has_cost(), "nothing had a price");
        assert_eq!(part.success.as_deref(), Some("99.4 %"));
    }

    #[test]
    fn what_has_a_price_has_a_column() {
        let priced = UsageRow {
            cost_nanos: Some(2_500_000),
            ..row(2, 5, 0)
        };
        let part = part(&[priced, row(3, 1, 0)]);
        assert!(part.steps.has_cost());
        assert_eq!(part.steps.rows[2].cost.as_deref(), Some("$0.0025"));
        assert_eq!(part.steps.rows[3].cost, None);
    }

    #[test]
    fn nothing_called_is_no_rate_and_no_time() {
        let part = part(&[]);
        assert!(!part.any && part.bars.bars.is_empty());
        assert_eq!((part.success, part.p50, part.p95), (None, None, None));
    }
}
