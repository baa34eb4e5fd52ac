//! The page of what calls add up to, and the part of it that a page of one server shows. Charts are drawn
//! here as numbers: a template only writes them down.

use askama::Template;
use chrono::{DateTime, Utc};

use crate::access::usage::{By, Report, Step, Tally, Window};
use crate::market::api::usage::Names;
use crate::market::pages::{Frame, grouped};

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

/// A drawing on [`WIDTH`] by [`HEIGHT`].
#[derive(Clone, Debug, Default)]
pub struct Chart {
    /// How high a line is, and what it stands for.
    pub levels: Vec<(i64, String)>,
    /// How far to the right a time is, and what it is called.
    pub times: Vec<(i64, String)>,
    pub bars: Vec<Bar>,
    /// The class of each line and its path, which has a gap where there was no call.
    pub paths: Vec<(&'static str, String)>,
    /// Class and place of points.
    pub points: Vec<(&'static str, i64, i64)>,
}

/// A stack: what succeeded, and above it what failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    pub x: i64,
    pub width: i64,
    pub fine: (i64, i64),
    pub failed: (i64, i64),
    pub partial: bool,
    pub label: String,
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

pub const WIDTH: i64 = 720;
pub const HEIGHT: i64 = 270;
/// The rectangle that calls are drawn in; what stands left of it stays where the rest is scrolled.
pub const LEFT: i64 = 84;
pub const RIGHT: i64 = 712;
const TOP: i64 = 12;
pub const BOTTOM: i64 = 232;

impl UsagePart {
    pub fn of(report: &Report) -> Self {
        let (window, totals) = (&report.window, &report.all.totals);
        let none = Tally::default();
        let steps: Vec<(i64, &Tally)> = window
            .steps()
            .map(|at| (at, report.all.steps.get(&at).unwrap_or(&none)))
            .collect();
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
            bars: bars(window, &steps),
            lines: lines(window, &steps),
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

fn number(number: i64) -> String {
    grouped(&usize::try_from(number).unwrap_or_default())
}

fn success(tally: &Tally) -> Option<String> {
    let rate = tally.success_per_mille()?;
    Some(match rate % 10 {
        0 => format!("{} %", rate / 10),
        tenth => format!("{}.{tenth} %", rate / 10),
    })
}

fn time(tally: &Tally, percent: u8) -> Option<String> {
    tally.latency.percentile(percent).map(duration)
}

/// Microseconds as people say them, with two digits that mean something.
fn duration(micros: u64) -> String {
    let tenths = |n: u64, unit: &str| match n % 10 {
        0 => format!("{} {unit}", n / 10),
        tenth => format!("{}.{tenth} {unit}", n / 10),
    };
    match micros {
        0..9_950 => tenths((micros + 50) / 100, "ms"),
        9_950..999_500 => format!("{} ms", (micros + 500) / 1_000),
        999_500..9_950_000 => tenths((micros + 50_000) / 100_000, "s"),
        _ => format!("{} s", (micros + 500_000) / 1_000_000),
    }
}

fn bytes(bytes: i64) -> String {
    let (mut whole, mut tenths, mut unit) = (bytes, 0, "B");
    for larger in ["kB", "MB", "GB", "TB"] {
        if whole < 1_000 {
            break;
        }
        (whole, tenths, unit) = (whole / 1_000, whole % 1_000 / 100, larger);
    }
    if whole < 10 && tenths > 0 {
        return format!("{whole}.{tenths} {unit}");
    }
    format!("{whole} {unit}")
}

/// Billionths of a dollar, as dollars. What is too little to be written is not nothing.
fn cost(nanos: i64) -> String {
    if (1..100_000).contains(&nanos) {
        return "< $0.0001".to_owned();
    }
    format!(
        "${}.{:04}",
        nanos / 1_000_000_000,
        nanos % 1_000_000_000 / 100_000
    )
}

fn moment(at: i64, format: &str) -> String {
    let at: Option<DateTime<Utc>> = DateTime::from_timestamp_micros(at);
    at.map(|at| at.format(format).to_string())
        .unwrap_or_default()
}

fn step_name(window: &Window, at: i64) -> String {
    moment(
        at,
        match window.step {
            Step::Hour => "%Y-%m-%d %H:00",
            Step::Day => "%Y-%m-%d",
        },
    )
}

/// Round numbers from 0 to at least `highest`: their distance, and how many above 0.
fn scale(highest: i64) -> (i64, i64) {
    let mut distance = 1;
    let mut factors = [2, 5, 10].into_iter().cycle();
    let mut decade = 1_i64;
    while distance * 4 < highest.max(1) {
        let factor = factors.next().unwrap_or(10);
        distance = decade.saturating_mul(factor);
        if factor == 10 {
            decade = distance;
        }
    }
    (distance, (highest.max(1) + distance - 1) / distance)
}

/// How far down something of a height is.
fn y(value: i64, highest: i64) -> i64 {
    let share = i128::from(BOTTOM - TOP) * i128::from(value) / i128::from(highest.max(1));
    BOTTOM - i64::try_from(share).unwrap_or(BOTTOM - TOP)
}

/// Where a step begins, of that many.
fn x(index: usize, count: usize) -> i64 {
    let (index, count) = (
        i64::try_from(index).unwrap_or(0),
        i64::try_from(count).unwrap_or(1),
    );
    LEFT + (RIGHT - LEFT) * index / count.max(1)
}

fn times(window: &Window, steps: &[(i64, &Tally)]) -> Vec<(i64, String)> {
    let hour = |at: i64| moment(at, "%H").parse::<usize>().unwrap_or(0);
    let by_hours = window.step == Step::Hour && steps.len() <= 48;
    let marked = |index: usize, at: i64| match window.step {
        Step::Hour if by_hours => hour(at).is_multiple_of(4),
        Step::Hour => hour(at) == 0,
        Step::Day => index.is_multiple_of(steps.len().div_ceil(7).max(1)),
    };
    let format = if by_hours { "%H:00" } else { "%m-%d" };
    let all = steps.iter().enumerate();
    all.filter(|(index, (at, _))| marked(*index, *at))
        .map(|(index, (at, _))| (x(index, steps.len()), moment(*at, format)))
        // A label at an edge would be cut off.
        .filter(|(x, _)| (LEFT + 24..RIGHT - 24).contains(x))
        .collect()
}

fn bars(window: &Window, steps: &[(i64, &Tally)]) -> Chart {
    let highest = steps
        .iter()
        .map(|(_, tally)| tally.calls)
        .max()
        .unwrap_or(0);
    let (distance, count) = scale(highest);
    let top = distance * count;
    let bar = |(index, (at, tally)): (usize, &(i64, &Tally))| {
        let (left, right) = (x(index, steps.len()), x(index + 1, steps.len()));
        let gap = i64::from(right - left > 3);
        let fine = y(tally.calls - tally.errors, top);
        let all = y(tally.calls, top);
        // One failure of many is still seen.
        let all = if tally.errors > 0 {
            all.min(fine - 1)
        } else {
            all
        };
        Bar {
            x: left,
            width: (right - left - gap).max(1),
            fine: (fine, BOTTOM - fine),
            failed: (all, fine - all),
            partial: window.is_partial(*at),
            label: format!(
                "{} · {} / {}",
                step_name(window, *at),
                number(tally.calls),
                number(tally.errors)
            ),
        }
    };
    let called = steps
        .iter()
        .enumerate()
        .filter(|(_, (_, tally))| tally.calls > 0);
    Chart {
        levels: (0..=count)
            .map(|n| (y(n * distance, top), number(n * distance)))
            .collect(),
        times: times(window, steps),
        bars: called.map(bar).collect(),
        ..Chart::default()
    }
}

fn lines(window: &Window, steps: &[(i64, &Tally)]) -> Chart {
    let at = |tally: &Tally, percent| {
        tally
            .latency
            .percentile(percent)
            .and_then(|n| i64::try_from(n).ok())
    };
    let highest = steps
        .iter()
        .filter_map(|(_, tally)| at(tally, 95))
        .max()
        .unwrap_or(0);
    let (distance, count) = scale(highest);
    let top = distance * count;
    let mut chart = Chart {
        levels: (0..=count)
            .map(|n| {
                (
                    y(n * distance, top),
                    duration(u64::try_from(n * distance).unwrap_or(0)),
                )
            })
            .collect(),
        times: times(window, steps),
        ..Chart::default()
    };
    for (class, percent) in [("p95", 95), ("p50", 50)] {
        let mut path = String::new();
        let mut joined = false;
        for (index, (_, tally)) in steps.iter().enumerate() {
            let Some(value) = at(tally, percent) else {
                joined = false;
                continue;
            };
            let middle = i64::midpoint(x(index, steps.len()), x(index + 1, steps.len()));
            let height = y(value, top);
            path.push_str(if joined { "L" } else { "M" });
            path.push_str(&middle.to_string());
            path.push(' ');
            path.push_str(&height.to_string());
            // A line of one point cannot be seen.
            let alone = !joined
                && steps
                    .get(index + 1)
                    .is_none_or(|(_, next)| at(next, percent).is_none());
            if alone {
                chart.points.push((class, middle, height));
            }
            joined = true;
        }
        chart.paths.push((class, path));
    }
    chart
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::usage::{DAY, HOUR, UsageRow};
    use crate::types::Latency;

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
        assert!(part.bars.bars[1].failed.1 >= 1, "one of a thousand is seen");
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

    #[test]
    fn axes_have_round_numbers() {
        for (highest, distance, count) in [
            (0, 1, 1),
            (3, 1, 3),
            (4, 1, 4),
            (5, 2, 3),
            (9, 5, 2),
            (37, 10, 4),
            (1_000, 500, 2),
            (1_999, 500, 4),
        ] {
            assert_eq!(scale(highest), (distance, count), "{highest}");
        }
        for (micros, text) in [
            (100, "0.1 ms"),
            (9_949, "9.9 ms"),
            (12_345, "12 ms"),
            (999_499, "999 ms"),
            (1_234_000, "1.2 s"),
            (61_000_000, "61 s"),
        ] {
            assert_eq!(duration(micros), text);
        }
        for (count, text) in [
            (999, "999 B"),
            (1_200, "1.2 kB"),
            (15_900, "15 kB"),
            (2_000_000, "2 MB"),
        ] {
            assert_eq!(bytes(count), text);
        }
        for (nanos, text) in [
            (0, "$0.0000"),
            (99_999, "< $0.0001"),
            (1_234_500_000, "$1.2345"),
        ] {
            assert_eq!(cost(nanos), text);
        }
    }
}
