//! What does not come along when another gateway's configuration becomes a catalog, setting by setting.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// How a setting fared that did not come along as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Fate {
    /// A secret, which the catalog only says where to read.
    Secret,
    /// It is in the catalog, and means not quite the same.
    Changed,
    /// It is not in the catalog.
    Left,
}

/// One setting, and what to do about it. Never its value, which may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) fate: Fate,
    /// `model_list[0].litellm_params.api_key`.
    pub(crate) path: String,
    /// Of what type its value is.
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) why: String,
    pub(crate) todo: String,
}

/// All findings, in the order of the configuration.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) findings: Vec<Finding>,
}

impl Report {
    pub(crate) fn left(&mut self, (path, value): (&str, &Value), why: &str, todo: &str) {
        self.add(Fate::Left, (path, value), (why, todo));
    }

    pub(crate) fn changed(&mut self, (path, value): (&str, &Value), why: &str, todo: &str) {
        self.add(Fate::Changed, (path, value), (why, todo));
    }

    /// The same thing is said of a setting once.
    pub(crate) fn add(
        &mut self,
        fate: Fate,
        (path, value): (&str, &Value),
        (why, todo): (&str, &str),
    ) {
        let finding = Finding {
            fate,
            path: path.to_owned(),
            kind: kind_of(value),
            why: why.to_owned(),
            todo: todo.to_owned(),
        };
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// For people: the keys first, then what means something else, then what was left out.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (fate, heading) in [
            (Fate::Secret, "Keys, which no catalog holds"),
            (Fate::Changed, "Not quite as it was"),
            (Fate::Left, "Left out"),
        ] {
            let of_it: Vec<&Finding> = self.of(fate).collect();
            if !of_it.is_empty() {
                lines.push(format!("{heading} ({}):", of_it.len()));
                lines.extend(of_it.iter().map(ToString::to_string));
            }
        }
        lines
    }

    pub(crate) fn of(&self, fate: Fate) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(move |finding| finding.fate == fate)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            kind,
            why,
            todo,
            ..
        } = self;
        write!(f, "  {path} ({kind}): {why}\n      {todo}")
    }
}

pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "yes or no",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}
