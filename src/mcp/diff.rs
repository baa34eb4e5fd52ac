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

use crate::mcp::tool::schema::Direction;
use crate::mcp::tool::{Annotations, Binding, BodyArguments, Details, ParameterBinding, ToolDef};
use crate::openapi::{OperationKey, SecurityScheme};

/// The differences between two versions.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diff {
    /// Of what is told of the server itself, and of how its credentials are sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub server: Vec<Difference>,
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
    /// How its arguments are written into the request, and what of the answer becomes its result.
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
        let server = self.server.iter().map(|difference| difference.impact);
        server.chain(self.tools.iter().map(ToolDiff::impact)).max()
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

/// One version as it is served.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    pub title: &'a str,
    pub description: Option<&'a str>,
    pub schemes: &'a IndexMap<String, SecurityScheme>,
    pub tools: &'a [ToolDef],
    pub destination: Destination<'a>,
}

/// Compares two versions.
pub fn diff(old: Side<'_>, new: Side<'_>) -> Diff {
    let before: IndexMap<&OperationKey, &ToolDef> = old
        .tools
        .iter()
        .map(|tool| (&tool.operation, tool))
        .collect();
    let mut tools = Vec::new();
    for tool in new.tools {
        let Some(known) = before.get(&tool.operation) else {
            tools.push(entry(tool, Kind::Added, Vec::new()));
            continue;
        };
        let mut differences = differences(known, tool);
        let (from, to) = ((old.destination)(known), (new.destination)(tool));
        if from != to {
            let message = format!("requests go to {to} instead of {from}");
            differences.push(difference(Aspect::Destination, Impact::Review, message));
        }
        if !differences.is_empty() {
            tools.push(entry(tool, Kind::Changed, differences));
        }
    }
    let after: HashSet<&OperationKey> = new.tools.iter().map(|tool| &tool.operation).collect();
    let gone = old
        .tools
        .iter()
        .filter(|tool| !after.contains(&tool.operation));
    tools.extend(gone.map(|tool| entry(tool, Kind::Removed, Vec::new())));
    let server = server(old, new);
    Diff { server, tools }
}

/// What is told of the server, and how its credentials are sent.
fn server(old: Side<'_>, new: Side<'_>) -> Vec<Difference> {
    let mut found = Vec::new();
    for (what, differs) in [
        ("title", old.title != new.title),
        ("description", old.description != new.description),
    ] {
        if differs {
            let message = format!("the {what} of the server reads differently");
            found.push(difference(Aspect::Description, Impact::Review, message));
        }
    }
    let added = new.schemes.keys();
    let added = added.filter(|name| !old.schemes.contains_key(*name));
    for name in old.schemes.keys().chain(added) {
        let message = match (old.schemes.get(name), new.schemes.get(name)) {
            (before, after) if before == after => continue,
            (None, _) => format!("the security scheme `{name}` is new"),
            (_, None) => format!("the security scheme `{name}` is gone"),
            _ => format!("the credential of `{name}` is sent in another way"),
        };
        found.push(difference(Aspect::Auth, Impact::Review, message));
    }
    found
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

/// What a model may read of the details. Which properties are never shown is for people who approve.
fn documentation(details: &Details) -> Details {
    Details {
        write_only: Vec::new(),
        ..details.clone()
    }
}

fn differences(old: &ToolDef, new: &ToolDef) -> Vec<Difference> {
    // Every member is named, so that a new one is not forgotten here.
    let ToolDef {
        name,
        title,
        description,
        input_schema: _,
        output_schema: _,
        annotations,
        tags,
        operation: _,
        binding,
        details,
    } = new;
    let mut found = Vec::new();
    let mut review = |aspect, differs: bool, message: &str| {
        found.extend(differs.then(|| difference(aspect, Impact::Review, message)));
    };
    let words = old.title != *title || old.description != *description;
    let message = "the title or the description reads differently";
    review(Aspect::Description, words, message);
    let message = "the documentation reads differently";
    let documented = documentation(&old.details) != documentation(details);
    review(Aspect::Description, documented, message);
    let message = "it stands under another heading";
    review(Aspect::Description, old.tags != *tags, message);
    let told = (hints(&old.annotations), hints(annotations));
    let message = format!("the hints are {} instead of {}", told.1, told.0);
    review(Aspect::Annotations, told.0 != told.1, &message);
    let message = "the credential it needs is another one";
    let auth = old.binding.security != binding.security;
    review(Aspect::Auth, auth, message);
    let message = "arguments are written into the request in another way";
    let request = written(&old.binding) != written(&without_additions(&old.binding, binding));
    review(Aspect::Request, request, message);
    if old.name != *name {
        let message = format!("it is called {name} instead of {}", old.name);
        found.push(difference(Aspect::Name, Impact::Breaking, message));
    }
    input(old, new, &mut found);
    output(old, new, &mut found);
    found
}

/// The hints in words: `read-only, idempotent`.
fn hints(hints: &Annotations) -> String {
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
    let (old, new) = (&old.input_schema, &new.input_schema);
    if old == new {
        return;
    }
    let changes = schema::compared(old, new, Direction::Input);
    if changes.is_empty() {
        let message = "arguments accept more than before";
        found.push(difference(Aspect::Input, Impact::Compatible, message));
    }
    found.extend(changes);
}

/// For a result the directions are reversed: what may come back must not grow.
fn output(old: &ToolDef, new: &ToolDef, found: &mut Vec<Difference>) {
    match (&old.output_schema, &new.output_schema) {
        (None, Some(schema)) => {
            let (impact, message) = if schema::speaks(schema) {
                (Impact::Review, "results are described, in words too")
            } else {
                (Impact::Compatible, "results are described")
            };
            found.push(difference(Aspect::Output, impact, message));
        }
        (Some(_), None) => {
            let message = "results are not described any more";
            found.push(difference(Aspect::Output, Impact::Breaking, message));
        }
        (Some(old), Some(new)) if old != new => {
            let changes = schema::compared(old, new, Direction::Output);
            if changes.is_empty() {
                let message = "results hold more than before";
                found.push(difference(Aspect::Output, Impact::Compatible, message));
            }
            found.extend(changes);
        }
        (None, None) | (Some(_), Some(_)) => {}
    }
}

/// The binding without what is compared by itself: where requests go, and with which credential.
fn written(binding: &Binding) -> Binding {
    let mut binding = binding.clone();
    binding.servers.clear();
    binding.security.clear();
    binding
}

/// The new binding without what only adds to the old one: optional arguments, of which the schemas
/// tell, and that fewer of them have to be given.
fn without_additions(old: &Binding, new: &Binding) -> Binding {
    let mut rest = new.clone();
    let before = |new: &ParameterBinding| {
        let mut known = old.parameters.iter();
        known.find(|old| (old.location, &old.name) == (new.location, &new.name))
    };
    rest.parameters
        .retain(|new| new.fixed.is_some() || before(new).is_some());
    for new in &mut rest.parameters {
        new.required |= before(new).is_some_and(|old| old.required);
    }
    let bodies = old.body.as_ref().zip(rest.body.as_mut());
    if let Some((old, new)) = bodies {
        new.required |= old.required;
        if let (BodyArguments::Lifted(old), BodyArguments::Lifted(new)) =
            (&old.arguments, &mut new.arguments)
        {
            let known: HashSet<&str> = old.iter().map(|property| &*property.name).collect();
            new.retain(|new| new.fixed.is_some() || known.contains(&*new.name));
        }
    }
    rest
}
