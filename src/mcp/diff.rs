//! What differs between two versions of a server's tools, and what that means for those who use
//! them.
//!
//! Tools are matched by operation key, never by name. Both sides are compared as they are served,
//! with curations put over them: what an owner changed on both sides is no difference.

mod schema;
pub mod three_way;

use std::collections::HashSet;

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;

use crate::mcp::tool::ToolDef;
use crate::openapi::OperationKey;

/// The differences between two versions.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diff {
    /// In the order of the new version; what is gone stands last.
    pub tools: Vec<ToolDiff>,
}

/// What became of one tool.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolDiff {
    pub operation: OperationKey,
    /// As the new version calls it; the old one where it is gone.
    pub name: String,
    pub kind: Kind,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Added,
    Removed,
    Changed,
}

/// One thing that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    pub aspect: Aspect,
    pub impact: Impact,
    /// In words, with the argument or property it is about.
    pub message: String,
}

/// What of a tool differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Aspect {
    Name,
    Description,
    Annotations,
    /// Where its requests go.
    Destination,
    /// Which credential it needs.
    Auth,
    Input,
    Output,
    /// How its arguments are written into the request.
    Request,
}

/// What a difference means for agents that use the tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Impact {
    /// What worked before works still.
    Compatible,
    /// A person has to look at it: words a model acts on, a destination, a credential.
    Review,
    /// A call that was right before may fail.
    Breaking,
}

impl Diff {
    /// The worst that any difference means. `None`: there is none.
    pub fn impact(&self) -> Option<Impact> {
        self.tools.iter().map(ToolDiff::impact).max()
    }

    /// Whether it may be served without anyone having looked at it.
    pub fn needs_review(&self) -> bool {
        self.impact()
            .is_some_and(|impact| impact > Impact::Compatible)
    }
}

impl ToolDiff {
    /// The worst that its differences mean. A new tool brings new words; a missing one is missed.
    pub fn impact(&self) -> Impact {
        let worst = self.differences.iter().map(|difference| difference.impact);
        match self.kind {
            Kind::Added => Impact::Review,
            Kind::Removed => Impact::Breaking,
            Kind::Changed => worst.max().unwrap_or(Impact::Compatible),
        }
    }
}

/// Where a tool's requests go: its base URL, or in words why it has none.
pub type Destination<'a> = &'a dyn Fn(&ToolDef) -> String;

/// Compares two versions, each with where its tools go.
pub fn diff(old: (&[ToolDef], Destination<'_>), new: (&[ToolDef], Destination<'_>)) -> Diff {
    let before: IndexMap<&OperationKey, &ToolDef> =
        old.0.iter().map(|tool| (&tool.operation, tool)).collect();
    let mut tools = Vec::new();
    for tool in new.0 {
        let Some(known) = before.get(&tool.operation) else {
            tools.push(entry(tool, Kind::Added, Vec::new()));
            continue;
        };
        let mut differences = differences(known, tool);
        let (from, to) = (old.1(known), new.1(tool));
        if from != to {
            let message = format!("requests go to {to} instead of {from}");
            differences.push(difference(Aspect::Destination, Impact::Review, message));
        }
        if !differences.is_empty() {
            tools.push(entry(tool, Kind::Changed, differences));
        }
    }
    let after: HashSet<&OperationKey> = new.0.iter().map(|tool| &tool.operation).collect();
    let gone = old.0.iter().filter(|tool| !after.contains(&tool.operation));
    tools.extend(gone.map(|tool| entry(tool, Kind::Removed, Vec::new())));
    Diff { tools }
}

fn entry(tool: &ToolDef, kind: Kind, differences: Vec<Difference>) -> ToolDiff {
    ToolDiff {
        operation: tool.operation.clone(),
        name: tool.name.to_string(),
        kind,
        differences,
    }
}

fn difference(aspect: Aspect, impact: Impact, message: impl Into<String>) -> Difference {
    Difference {
        aspect,
        impact,
        message: message.into(),
    }
}

fn differences(old: &ToolDef, new: &ToolDef) -> Vec<Difference> {
    let mut found = Vec::new();
    if old.name != new.name {
        let message = format!("it is called {} instead of {}", new.name, old.name);
        found.push(difference(Aspect::Name, Impact::Breaking, message));
    }
    if old.title != new.title || old.description != new.description {
        let message = "the title or the description reads differently";
        found.push(difference(Aspect::Description, Impact::Review, message));
    }
    if old.annotations != new.annotations
        && (old.annotations.title == new.annotations.title || hints(old) != hints(new))
    {
        let message = format!("the hints are {} instead of {}", hints(new), hints(old));
        found.push(difference(Aspect::Annotations, Impact::Review, message));
    }
    if old.binding.security != new.binding.security {
        let message = "the credential it needs is another one";
        found.push(difference(Aspect::Auth, Impact::Review, message));
    }
    input(old, new, &mut found);
    output(old, new, &mut found);
    request(old, new, &mut found);
    found
}

/// The hints in words: `read-only, idempotent`.
fn hints(tool: &ToolDef) -> String {
    let hints = &tool.annotations;
    let stated: Vec<&str> = [
        (hints.read_only_hint, "read-only"),
        (hints.destructive_hint, "destructive"),
        (hints.idempotent_hint, "idempotent"),
        (hints.open_world_hint, "open-world"),
    ]
    .into_iter()
    .filter_map(|(is_set, word)| is_set.then_some(word))
    .collect();
    if stated.is_empty() {
        "none".to_owned()
    } else {
        stated.join(", ")
    }
}

fn input(old: &ToolDef, new: &ToolDef, found: &mut Vec<Difference>) {
    if old.input_schema == new.input_schema {
        return;
    }
    let before = found.len();
    for change in schema::narrowed(&old.input_schema, &new.input_schema) {
        found.push(difference(Aspect::Input, Impact::Breaking, change));
    }
    if schema::without_words(&old.input_schema) == schema::without_words(&new.input_schema) {
        let message = "the description of an argument reads differently";
        found.push(difference(Aspect::Description, Impact::Review, message));
        return;
    }
    if schema::words(&old.input_schema, &new.input_schema) {
        let message = "the description of an argument reads differently, or is new";
        found.push(difference(Aspect::Description, Impact::Review, message));
    }
    if found.len() == before {
        let message = "arguments accept more than before";
        found.push(difference(Aspect::Input, Impact::Compatible, message));
    }
}

/// For a result the directions are reversed: what may come back must not grow.
fn output(old: &ToolDef, new: &ToolDef, found: &mut Vec<Difference>) {
    match (&old.output_schema, &new.output_schema) {
        (None, Some(_)) => {
            let message = "results are described";
            found.push(difference(Aspect::Output, Impact::Compatible, message));
        }
        (Some(_), None) => {
            let message = "results are not described any more";
            found.push(difference(Aspect::Output, Impact::Breaking, message));
        }
        (Some(old), Some(new)) if old != new => {
            let lost = schema::lost_properties(old, new);
            if lost.is_empty() {
                let message = "results hold more than before, or read differently";
                found.push(difference(Aspect::Output, Impact::Compatible, message));
            }
            for change in lost {
                found.push(difference(Aspect::Output, Impact::Breaking, change));
            }
        }
        (None, None) | (Some(_), Some(_)) => {}
    }
}

fn request(old: &ToolDef, new: &ToolDef, found: &mut Vec<Difference>) {
    let told = |tool: &ToolDef| {
        let mut binding = tool.binding.clone();
        binding.servers.clear();
        binding.security.clear();
        binding
    };
    if told(old) != told(new) {
        let message = "arguments are written into the request in another way";
        found.push(difference(Aspect::Request, Impact::Compatible, message));
    }
}

/// A pointer's last part, for messages.
fn named(path: &str) -> String {
    if path.is_empty() {
        "the arguments".to_owned()
    } else {
        format!("`{path}`")
    }
}

/// The type of a schema in words.
fn type_words(schema: &Value) -> String {
    schema
        .get("type")
        .map_or_else(|| "anything".to_owned(), ToString::to_string)
}
