//! Numbers as people read them.

use chrono::{DateTime, Utc};

use crate::market::pages::grouped;

/// With its thousands apart.
pub(super) fn number(number: i64) -> String {
    grouped(&usize::try_from(number).unwrap_or_default())
}

/// Microseconds as people say them, with two digits that mean something.
pub(super) fn duration(micros: u64) -> String {
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

/// In the largest unit of which there is one.
pub(super) fn bytes(bytes: i64) -> String {
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
pub(super) fn cost(nanos: i64) -> String {
    if (1..100_000).contains(&nanos) {
        return "< $0.0001".to_owned();
    }
    format!(
        "${}.{:04}",
        nanos / 1_000_000_000,
        nanos % 1_000_000_000 / 100_000
    )
}

/// The cost of one call, which is often a small part of a cent.
pub(super) fn small_cost(nanos: u64) -> String {
    match nanos {
        0 => "$0".to_owned(),
        1..1_000 => "< $0.000001".to_owned(),
        _ => format!(
            "${}.{:06}",
            nanos / 1_000_000_000,
            nanos % 1_000_000_000 / 1_000
        ),
    }
}

/// A round cost beside an axis, without digits that say nothing.
pub(super) fn axis_cost(nanos: i64) -> String {
    let text = format!("${}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A time in microseconds, in UTC.
pub(super) fn moment(at: i64, format: &str) -> String {
    let at: Option<DateTime<Utc>> = DateTime::from_timestamp_micros(at);
    at.map(|at| at.format(format).to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_mean_something() {
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
        for (nanos, text) in [
            (0, "$0"),
            (999, "< $0.000001"),
            (12_345, "$0.000012"),
            (1_234_567_890, "$1.234567"),
        ] {
            assert_eq!(small_cost(nanos), text);
        }
        for (nanos, text) in [
            (0, "$0"),
            (20_000, "$0.00002"),
            (10_000_000_000, "$10"),
            (2_500_000_000, "$2.5"),
        ] {
            assert_eq!(axis_cost(nanos), text);
        }
    }
}
