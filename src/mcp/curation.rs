//! What an owner changed of the tools a document gives, and how it is put over them.
//!
//! Curations are stored beside the document, by operation key, so that they survive another
//! document. They are put over the tools of a version whenever that is compiled: versions never
//! change, and what no longer applies is a finding, never a failure.
//!
//! Invariant: a curation can only narrow where a tool goes and with which credential: it chooses
//! among what the document offers.

mod arguments;
mod check;
mod names;

use std::collections::BTreeSet;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::mcp::fragment::{Fragments, WireClass};
use crate::mcp::tool::fit::without_words;
use crate::mcp::tool::profile::Profile;
use crate::mcp::tool::text::{DESCRIPTION_BYTES_MAX, clean, shorten};
use crate::mcp::tool::{Annotations, ToolDef};
use crate::openapi::finding::Code;
use crate::openapi::{Finding, OperationKey, SecurityRequirement};
use crate::types::ToolName;

pub use crate::mcp::curation::arguments::argument_keys;
pub use crate::mcp::curation::check::CurationError;

/// The curations of a server, by operation.
pub type Curations = IndexMap<OperationKey, Curation>;

/// What is changed of one tool. Absent: as the document says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Curation {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<ToolName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Not listed and not callable.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
    /// What the document says of results in words is left out; their types and names stay.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub plain_results: bool,
    /// The heading the tool stands under, instead of the operation's tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Confirm>,
    /// By key: `query:limit`, `path:petId`, `header:X-Trace`, `cookie:a`, `body:name`, or `body`
    /// where the body is one argument. These outlast the names arguments have in the schema.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub arguments: IndexMap<String, ArgumentCuration>,
    #[serde(skip_serializing_if = "AnnotationChoice::is_empty")]
    pub annotations: AnnotationChoice,
    /// The names of the security schemes of the alternative to use; empty: the anonymous one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security: Option<BTreeSet<String>>,
    /// The URL of the one of the operation's servers to use, as the document writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
}

/// What is changed of one argument.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ArgumentCuration {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Sent in every call; the model neither sees nor gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed: Option<Value>,
}

/// Whether somebody is asked before the tool is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confirm {
    Never,
    /// The caller's own user, through its client, before anything is sent.
    Client,
    /// Somebody who manages the server, in the inbox of approvals.
    Human,
}

impl Confirm {
    /// Whether anybody is asked.
    pub fn asks(self) -> bool {
        self != Self::Never
    }
}

/// Hints stated by the owner in place of those that follow from the method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct AnnotationChoice {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only_hint: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destructive_hint: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotent_hint: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_world_hint: Option<bool>,
}

impl AnnotationChoice {
    /// Whether nothing is stated.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Curation {
    /// This curation with what `other` states laid over it.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.name = other.name.or(self.name);
        self.title = other.title.or(self.title);
        self.description = other.description.or(self.description);
        self.hidden |= other.hidden;
        self.plain_results |= other.plain_results;
        self.group = other.group.or(self.group);
        self.confirm = other.confirm.or(self.confirm);
        for (key, argument) in other.arguments {
            let own = self.arguments.entry(key).or_default();
            own.description = argument.description.or(own.description.take());
            own.fixed = argument.fixed.or(own.fixed.take());
        }
        let (own, stated) = (&mut self.annotations, other.annotations);
        own.read_only_hint = stated.read_only_hint.or(own.read_only_hint);
        own.destructive_hint = stated.destructive_hint.or(own.destructive_hint);
        own.idempotent_hint = stated.idempotent_hint.or(own.idempotent_hint);
        own.open_world_hint = stated.open_world_hint.or(own.open_world_hint);
        self.security = other.security.or(self.security);
        self.server = other.server.or(self.server);
        self
    }

    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Tools with the owner's curations, and which of those no longer apply.
#[derive(Clone, Debug, Default)]
pub struct Curated {
    /// In the order they came in; the hidden ones are left out.
    pub tools: Vec<ToolDef>,
    pub findings: Vec<Finding>,
}

/// Puts `curations` over the tools of a version.
pub fn curate(tools: Vec<ToolDef>, curations: &Curations) -> Curated {
    let mut curated = Curated::default();
    for key in curations.keys() {
        if !tools.iter().any(|tool| tool.operation == *key) {
            let message = "the operation this was set for is not in the document";
            curated
                .findings
                .push(finding(Code::CurationGone, key, message));
        }
    }
    let nothing = Curation::default();
    let names = names::names(&tools, curations, &mut curated.findings);
    for (mut tool, name) in tools.into_iter().zip(names) {
        let curation = curations.get(&tool.operation).unwrap_or(&nothing);
        if curation.hidden {
            continue;
        }
        tool.name = name;
        apply(&mut tool, curation, &mut curated.findings);
        curated.tools.push(tool);
    }
    curated
}

fn apply(tool: &mut ToolDef, curation: &Curation, findings: &mut Vec<Finding>) {
    if let Some(title) = &curation.title {
        tool.title = Some(shorten(clean(title).trim(), 100));
        tool.annotations.title.clone_from(&tool.title);
    }
    if let Some(description) = &curation.description {
        tool.description = shorten(clean(description).trim(), DESCRIPTION_BYTES_MAX);
        tool.details.description = None;
    }
    if curation.plain_results {
        tool.output_schema = tool.output_schema.as_ref().map(without_words);
        tool.details.answers.clear();
    }
    if let Some(group) = &curation.group {
        tool.tags = vec![clean(group).trim().to_owned()];
    }
    annotate(&mut tool.annotations, curation);
    arguments::apply(tool, &curation.arguments, findings);
    choose_security(tool, curation, findings);
    choose_server(tool, curation, findings);
}

/// The hints of a tool as its owner states them. `None`: they are the document's.
pub fn hints_of(tool: &ToolDef, curation: &Curation) -> Option<Annotations> {
    let stated = curation.confirm.is_some_and(Confirm::asks) || !curation.annotations.is_empty();
    stated.then(|| {
        let mut hints = tool.annotations.clone();
        annotate(&mut hints, curation);
        hints
    })
}

fn annotate(annotations: &mut Annotations, curation: &Curation) {
    if curation.confirm.is_some_and(Confirm::asks) {
        annotations.read_only_hint = false;
        annotations.destructive_hint = true;
    }
    let stated = curation.annotations;
    for (hint, value) in [
        (&mut annotations.read_only_hint, stated.read_only_hint),
        (&mut annotations.destructive_hint, stated.destructive_hint),
        (&mut annotations.idempotent_hint, stated.idempotent_hint),
        (&mut annotations.open_world_hint, stated.open_world_hint),
    ] {
        *hint = value.unwrap_or(*hint);
    }
}

/// Keeps only the chosen alternative. One the document no longer has stays chosen: the call then
/// fails for want of its credential, instead of using another one nobody chose.
fn choose_security(tool: &mut ToolDef, curation: &Curation, findings: &mut Vec<Finding>) {
    let Some(chosen) = &curation.security else {
        return;
    };
    let alternatives = &tool.binding.security;
    let found = alternatives.iter().find(|alternative| {
        alternative.0.keys().collect::<BTreeSet<_>>() == chosen.iter().collect()
    });
    match found {
        Some(found) => tool.binding.security = vec![found.clone()],
        None if chosen.is_empty() && alternatives.is_empty() => {}
        None if chosen.is_empty() => {
            let message = "the operation can no longer be called without a credential";
            findings.push(finding(Code::CurationChoiceGone, &tool.operation, message));
        }
        None => {
            let names: Vec<&str> = chosen.iter().map(String::as_str).collect();
            let message = format!(
                "the security alternative {} is not in the document; calls that lack its credential are refused",
                names.join(" and ")
            );
            findings.push(finding(Code::CurationChoiceGone, &tool.operation, &message));
            let wanted = chosen.iter().map(|name| (name.clone(), Vec::new()));
            tool.binding.security = vec![SecurityRequirement(wanted.collect())];
        }
    }
}

fn choose_server(tool: &mut ToolDef, curation: &Curation, findings: &mut Vec<Finding>) {
    let Some(url) = &curation.server else {
        return;
    };
    let servers = &mut tool.binding.servers;
    match servers.iter().position(|server| server.url == *url) {
        Some(at) => servers[..=at].rotate_right(1),
        None => {
            let message =
                "the server that was chosen is not in the document; its first one is used";
            findings.push(finding(Code::CurationChoiceGone, &tool.operation, message));
        }
    }
}

/// A digest of what a model is told of a tool: 64 hex digits of SHA-256 over its entries of `tools/list`,
/// the whole one and the usual one, of which all others are made. Two tools of one digest are the same
/// to every client.
pub fn definition_hash(entries: &Fragments) -> String {
    let whole = entries.get(WireClass::Structured, Profile::Full);
    let told = [whole, entries.usual()].map(|entry| entry.json.get());
    let told = told.join("\n");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, told.as_bytes());
    hex::encode(digest.as_ref())
}

fn finding(code: Code, operation: &OperationKey, message: &str) -> Finding {
    Finding {
        pointer: String::new(),
        severity: code.severity(),
        code: code.word().into(),
        message: message.to_owned(),
        fix: Some(code.fix().to_owned()),
        operation: Some(operation.clone()),
    }
}
