//! An object of another gateway's configuration, taken apart member by member: what nobody takes is reported, so
//! that nothing of it is lost in silence.

use serde_json::{Map, Value};

use crate::cli::adopt::report::Report;
use crate::cli::adopt::without;

/// The members of an object that were not taken yet.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    /// Where it is: empty for the whole file.
    pub(crate) path: String,
    members: Map<String, Value>,
}

impl Section {
    /// What is no object has no members.
    pub(crate) fn of(path: impl Into<String>, value: &Value) -> Self {
        let mut members = value.as_object().cloned().unwrap_or_default();
        members.retain(|_, value| !value.is_null());
        Self {
            path: path.into(),
            members,
        }
    }

    /// A member with its path; it counts as read from now on.
    pub(crate) fn take(&mut self, name: &str) -> Option<(String, Value)> {
        let value = self.members.shift_remove(name)?;
        Some((self.at(name), value))
    }

    /// What a text stands for; one that stands for nothing does not count as read.
    pub(crate) fn take_as<T>(&mut self, name: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let found = read(&text(self.members.get(name)?)?)?;
        self.members.shift_remove(name);
        Some(found)
    }

    pub(crate) fn section(&mut self, name: &str) -> Self {
        let path = self.at(name);
        Self::of(path, &self.take(name).unwrap_or_default().1)
    }

    /// A list, each with its path.
    pub(crate) fn list(&mut self, name: &str) -> Vec<(String, Value)> {
        let Some((path, Value::Array(values))) = self.take(name) else {
            return Vec::new();
        };
        let values = values.into_iter().enumerate();
        values
            .map(|(place, value)| (format!("{path}[{place}]"), value))
            .collect()
    }

    /// Adds members that it does not have itself.
    pub(crate) fn fill(&mut self, others: &Section) {
        for (name, value) in &others.members {
            let known = self.members.entry(name.clone());
            known.or_insert_with(|| value.clone());
        }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.members.keys().map(String::as_str)
    }

    pub(crate) fn at(&self, name: &str) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        match (self.path.as_str(), name.chars().all(plain)) {
            ("", _) => name.to_owned(),
            (path, true) => format!("{path}.{name}"),
            (path, false) => format!("{path}['{name}']"),
        }
    }

    /// Reports what was not taken, with what the table says of it.
    pub(crate) fn rest(self, table: &str, report: &mut Report) {
        for (name, value) in &self.members {
            if let Some((why, todo)) = without::said(table, name, value) {
                report.left((&self.at(name), value), why, todo);
            }
        }
    }
}

/// A text, also where YAML made a number of it.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A number, also one that is written as Python's YAML takes it (`80_000`).
pub(crate) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.replace('_', "").trim().parse().ok(),
        _ => None,
    }
}

/// A whole number that is not negative.
pub(crate) fn whole(value: &Value) -> Option<u64> {
    rounded(number(value)?)
}

/// The whole number next to one that is not negative.
pub(crate) fn rounded(number: f64) -> Option<u64> {
    if !(0.0..1e15).contains(&number) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and a million billions"
    )]
    Some(number.round() as u64)
}

/// Yes or no, also as older YAML has it.
pub(crate) fn yes(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(yes) => Some(*yes),
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => None,
        },
        _ => None,
    }
}
