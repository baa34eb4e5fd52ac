//! What differs between two JSON texts, as lines for people.

use serde_json::Value;

/// Lines of one difference, and characters of one value.
const LINES_MAX: usize = 50;
const CHARS_MAX: usize = 200;

/// One member that is not what it was; `None`: it was not there, or is not there any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it is (`settings.callTimeoutMs`); empty for the whole.
    pub path: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

/// The members that differ, objects member by member, everything else as a whole; and how many more there
/// are. What is no JSON is compared as a text.
pub fn difference(before: Option<&str>, after: Option<&str>) -> (Vec<Line>, usize) {
    let read =
        |text: &str| serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
    let (before, after) = (before.map(read), after.map(read));
    let mut lines = Vec::new();
    compare("", (before.as_ref(), after.as_ref()), &mut lines);
    let hidden = lines.len().saturating_sub(LINES_MAX);
    lines.truncate(LINES_MAX);
    (lines, hidden)
}

fn compare(path: &str, sides: (Option<&Value>, Option<&Value>), lines: &mut Vec<Line>) {
    if sides.0 == sides.1 {
        return;
    }
    let members = |side: Option<&Value>| match side {
        Some(Value::Object(members)) => Some(members.clone()),
        None => Some(serde_json::Map::new()),
        Some(_) => None,
    };
    let objects = members(sides.0).zip(members(sides.1));
    let Some((before, after)) = objects.filter(|(a, b)| !a.is_empty() || !b.is_empty()) else {
        lines.push(Line {
            path: path.to_owned(),
            before: sides.0.map(shown),
            after: sides.1.map(shown),
        });
        return;
    };
    let added = after.keys().filter(|name| !before.contains_key(*name));
    for name in before.keys().chain(added) {
        let inner = match path {
            "" => name.clone(),
            path => format!("{path}.{name}"),
        };
        compare(&inner, (before.get(name), after.get(name)), lines);
    }
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(before: &str, after: &str) -> Vec<String> {
        let side = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let (before, after) = (side(before), side(after));
        let (lines, _) = difference(before.as_deref(), after.as_deref());
        let text = |side: Option<String>| side.unwrap_or_else(|| "-".to_owned());
        let lines = lines.into_iter();
        lines
            .map(|line| {
                format!(
                    "{}: {} > {}",
                    line.path,
                    text(line.before),
                    text(line.after)
                )
            })
            .collect()
    }

    #[test]
    fn members_that_differ_are_told_with_their_place() {
        for (before, after, expected) in [
            ("", "", &[][..]),
            (r#"{"a":1}"#, r#"{"a":1}"#, &[]),
            (r#"{"a":1,"b":2}"#, r#"{"a":1,"b":3}"#, &["b: 2 > 3"]),
            (
                r#"{"a":{"b":[1]}}"#,
                r#"{"a":{"b":[2]},"c":"x"}"#,
                &["a.b: [1] > [2]", "c: - > x"],
            ),
            ("", r#"{"a":{"b":null}}"#, &["a.b: - > null"]),
            (r#"{"a":{"b":1}}"#, "", &["a.b: 1 > -"]),
            (r#"{"a":{}}"#, "{}", &["a: {} > -"]),
            (r#"{"a":{"b":1}}"#, r#"{"a":7}"#, &[r#"a: {"b":1} > 7"#]),
            ("not json", "\"not\"", &[": not json > not"]),
        ] {
            assert_eq!(told(before, after), expected, "{before} and {after}");
        }
    }

    #[test]
    fn much_is_cut() {
        let many: serde_json::Map<_, _> = (0..60)
            .map(|n| (n.to_string(), Value::from("ä".repeat(300))))
            .collect();
        let text = Value::Object(many).to_string();
        let (lines, hidden) = difference(None, Some(&text));
        assert_eq!((lines.len(), hidden), (50, 10));
        let shown = lines[0].after.as_ref().unwrap();
        assert_eq!(shown.chars().count(), 201);
    }
}
