//! What differs between two values, member by member, as lines that are shown. Pure.

use serde_json::Value;

use crate::cli::apply::catalog::{is_partly, is_same};

/// Of a value, in what people are shown.
const SHOWN_CHARS_MAX: usize = 100;
/// Of what two values begin with alike, in front of the rest.
const ALIKE_CHARS_SHOWN: usize = 20;

/// One thing that is said of a change.
pub(super) struct Line {
    /// For programs: all of it.
    pub(super) whole: String,
    /// For people.
    pub(super) short: String,
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        Self {
            whole: text.clone(),
            short: text,
        }
    }
}

impl Line {
    /// That something is one value and becomes another.
    pub(super) fn of(path: &str, current: &Value, wanted: &Value) -> Self {
        let (current, wanted) = (written(current), written(wanted));
        let (before, after) = cut(&current, &wanted);
        Self {
            whole: format!("{path}: {current} -> {wanted}"),
            short: format!("{path}: {before} -> {after}"),
        }
    }
}

/// What differs within members of which each is something else than it is to be.
pub(super) fn lines(prefix: &str, differing: &[(&str, &Value, &Value)]) -> Vec<Line> {
    let mut lines = Vec::new();
    for (name, current, wanted) in differing {
        let path = format!("{prefix}{name}");
        members(&path, (current, wanted), is_partly(name), &mut lines);
    }
    lines
}

/// Where only what is named counts, nothing is said of what else there is.
fn members(path: &str, (current, wanted): (&Value, &Value), partly: bool, lines: &mut Vec<Line>) {
    if is_same(current, wanted) {
        return;
    }
    match (current, wanted) {
        (Value::Object(current), Value::Object(wanted)) => {
            let gone = current.keys().filter(|name| !wanted.contains_key(*name));
            for name in wanted.keys().chain(gone.filter(|_| !partly)) {
                let current = current.get(name).unwrap_or(&Value::Null);
                let wanted = wanted.get(name).unwrap_or(&Value::Null);
                members(&format!("{path}.{name}"), (current, wanted), partly, lines);
            }
        }
        (Value::Array(current), Value::Array(wanted)) => elements(path, (current, wanted), lines),
        (current, wanted) => lines.push(Line::of(path, current, wanted)),
    }
}

/// What both begin and end with is left out, so that one that comes or goes is not every one after it.
fn elements(path: &str, (current, wanted): (&[Value], &[Value]), lines: &mut Vec<Line>) {
    let pairs = current.iter().zip(wanted);
    let first = pairs.take_while(|(a, b)| is_same(a, b)).count();
    let (current, wanted) = (&current[first..], &wanted[first..]);
    let pairs = current.iter().rev().zip(wanted.iter().rev());
    let last = pairs.take_while(|(a, b)| is_same(a, b)).count();
    let current = &current[..current.len() - last];
    let wanted = &wanted[..wanted.len() - last];
    for place in 0..current.len().max(wanted.len()) {
        let path = format!("{path}[{}]", first + place);
        match (current.get(place), wanted.get(place)) {
            (Some(current), Some(wanted)) => members(&path, (current, wanted), false, lines),
            (current, wanted) => {
                let [current, wanted] = [current, wanted].map(|it| it.unwrap_or(&Value::Null));
                lines.push(Line::of(&path, current, wanted));
            }
        }
    }
}

fn written(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        other => other.to_string(),
    }
}

/// Both as far as they are shown: what differs is within it.
fn cut(current: &str, wanted: &str) -> (String, String) {
    let is_long = |text: &str| text.chars().count() > SHOWN_CHARS_MAX;
    let pairs = current.chars().zip(wanted.chars());
    let alike = pairs.take_while(|(a, b)| a == b).count();
    let from =
        if (is_long(current) || is_long(wanted)) && alike > SHOWN_CHARS_MAX - ALIKE_CHARS_SHOWN {
            alike - ALIKE_CHARS_SHOWN
        } else {
            0
        };
    (part(current, from), part(wanted, from))
}

fn part(text: &str, from: usize) -> String {
    let before = if from == 0 { "" } else { "…" };
    let shown: String = text.chars().skip(from).take(SHOWN_CHARS_MAX).collect();
    let has_more = text.chars().count() > from + SHOWN_CHARS_MAX;
    let after = if has_more { "…" } else { "" };
    format!("{before}{shown}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(name: &str, current: &Value, wanted: &Value) -> Vec<String> {
        let lines = lines("", &[(name, current, wanted)]);
        lines.into_iter().map(|line| line.short).collect()
    }

    #[test]
    fn a_difference_is_shown_where_it_is() {
        let target = |provider: &str| json!({ "provider": provider, "model": "m", "weight": null });
        let targets = |providers: &[&str]| {
            Value::Array(providers.iter().map(|provider| target(provider)).collect())
        };
        let three = targets(&["a", "b", "spare"]);
        for (wanted, line) in [
            (
                targets(&["a", "b", "spare2"]),
                r#"targets[2].provider: "spare" -> "spare2""#,
            ),
            (
                targets(&["b", "spare"]),
                r#"targets[0]: {"provider":"a","model":"m","weight":null} -> nothing"#,
            ),
            (
                targets(&["a", "b", "c", "spare"]),
                r#"targets[2]: nothing -> {"provider":"c","model":"m","weight":null}"#,
            ),
        ] {
            assert_eq!(said("targets", &three, &wanted), [line]);
        }
        assert!(said("targets", &three, &three).is_empty());
        let current = json!({ "retries": 1, "breaker": { "failures": 10, "pauseMs": 30_000 } });
        let wanted = json!({ "breaker": { "failures": 9 } });
        assert_eq!(
            said("resilience", &current, &wanted),
            ["resilience.breaker.failures: 10 -> 9"]
        );
        assert_eq!(
            said("other", &current, &wanted),
            [
                "other.breaker.failures: 10 -> 9",
                "other.breaker.pauseMs: 30000 -> nothing",
                "other.retries: 1 -> nothing",
            ]
        );
    }

    #[test]
    fn what_is_long_is_cut_around_what_differs_and_for_programs_not_at_all() {
        let long = "ä".repeat(300);
        let (current, wanted) = (json!(format!("{long}1")), json!(format!("{long}2")));
        let line = Line::of("description", &current, &wanted);
        let alike = "ä".repeat(ALIKE_CHARS_SHOWN);
        assert_eq!(
            line.short,
            format!("description: …{alike}1\" -> …{alike}2\"")
        );
        assert_eq!(line.whole, format!("description: {current} -> {wanted}"));
        let line = Line::of("description", &Value::Null, &wanted);
        let shown = "ä".repeat(SHOWN_CHARS_MAX - 1);
        assert_eq!(line.short, format!("description: nothing -> \"{shown}…"));
        let line = Line::of("name", &json!("ab"), &json!("ac"));
        assert_eq!(line.short, line.whole);
    }
}
