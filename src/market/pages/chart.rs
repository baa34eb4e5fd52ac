//! Charts over the steps of a window, drawn as numbers: a template only writes them down.

use crate::access::usage::{Step, Window};
use crate::market::pages::figures::moment;

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

/// A stack of two: what is above stands on what is below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    pub x: i64,
    pub width: i64,
    /// How far down each begins, how high it is, and its class.
    pub parts: [(i64, i64, &'static str); 2],
    pub partial: bool,
    pub label: String,
}

/// What a step of bars has: how much below, how much above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stack(pub i64, pub i64);

/// A line over the steps: its class, and how high it is at each; `None`: there is a gap.
pub struct Line {
    pub class: &'static str,
    pub values: Vec<Option<i64>>,
}

pub const WIDTH: i64 = 720;
pub const HEIGHT: i64 = 270;
/// The rectangle that calls are drawn in; what stands left of it stays where the rest is scrolled.
pub const LEFT: i64 = 84;
pub const RIGHT: i64 = 712;
const TOP: i64 = 12;
pub const BOTTOM: i64 = 232;

/// What a step of a window is called.
pub(super) fn step_name(window: &Window, at: i64) -> String {
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

fn times(window: &Window, steps: &[i64]) -> Vec<(i64, String)> {
    let hour = |at: i64| moment(at, "%H").parse::<usize>().unwrap_or(0);
    let by_hours = window.step == Step::Hour && steps.len() <= 48;
    let marked = |index: usize, at: i64| match window.step {
        Step::Hour if by_hours => hour(at).is_multiple_of(4),
        Step::Hour => hour(at) == 0,
        Step::Day => index.is_multiple_of(steps.len().div_ceil(7).max(1)),
    };
    let format = if by_hours { "%H:00" } else { "%m-%d" };
    let all = steps.iter().enumerate();
    all.filter(|(index, at)| marked(*index, **at))
        .map(|(index, at)| (x(index, steps.len()), moment(*at, format)))
        // A label at an edge would be cut off.
        .filter(|(x, _)| (LEFT + 24..RIGHT - 24).contains(x))
        .collect()
}

/// Levels up to at least `highest`, the times of the steps, and how much the top stands for.
fn axes(window: &Window, highest: i64, written: impl Fn(i64) -> String) -> (Chart, i64) {
    let steps: Vec<i64> = window.steps().collect();
    let (distance, count) = scale(highest);
    let top = distance * count;
    let chart = Chart {
        levels: (0..=count)
            .map(|n| (y(n * distance, top), written(n * distance)))
            .collect(),
        times: times(window, &steps),
        ..Chart::default()
    };
    (chart, top)
}

/// Bars, one for each step that has anything.
pub(super) fn bars(
    window: &Window,
    stacks: &[Stack],
    classes: [&'static str; 2],
    written: impl Fn(i64) -> String,
) -> Chart {
    let highest = stacks.iter().map(|Stack(below, above)| below + above).max();
    let (mut chart, top) = axes(window, highest.unwrap_or(0), &written);
    let bar = |(index, (at, Stack(below, above))): (usize, (i64, &Stack))| {
        let (left, right) = (x(index, stacks.len()), x(index + 1, stacks.len()));
        let gap = i64::from(right - left > 3);
        let low = y(*below, top);
        let high = y(below + above, top);
        // One failure of many is still seen.
        let high = if *above > 0 { high.min(low - 1) } else { high };
        Bar {
            x: left,
            width: (right - left - gap).max(1),
            parts: [
                (low, BOTTOM - low, classes[0]),
                (high, low - high, classes[1]),
            ],
            partial: window.is_partial(at),
            label: format!(
                "{} · {} / {}",
                step_name(window, at),
                written(below + above),
                written(*above)
            ),
        }
    };
    let steps = window.steps().zip(stacks).enumerate();
    let filled = steps.filter(|(_, (_, Stack(below, above)))| below + above > 0);
    chart.bars = filled.map(bar).collect();
    chart
}

/// Lines over the steps.
pub(super) fn lines(window: &Window, lines: &[Line], written: impl Fn(i64) -> String) -> Chart {
    let values = lines.iter().flat_map(|line| &line.values);
    let (mut chart, top) = axes(
        window,
        values.flatten().copied().max().unwrap_or(0),
        written,
    );
    for Line { class, values } in lines {
        let mut path = String::new();
        let mut joined = false;
        for (index, value) in values.iter().enumerate() {
            let Some(value) = value else {
                joined = false;
                continue;
            };
            let middle = i64::midpoint(x(index, values.len()), x(index + 1, values.len()));
            let height = y(*value, top);
            path.push_str(if joined { "L" } else { "M" });
            path.push_str(&middle.to_string());
            path.push(' ');
            path.push_str(&height.to_string());
            // A line of one point cannot be seen.
            let alone = !joined && values.get(index + 1).is_none_or(Option::is_none);
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
    }
}
