//! Two versions and what the owner changed, together: what clients will notice, what the document
//! changed beneath a curation, and which curations no longer apply.

use serde::Serialize;

use crate::mcp::curation::{Curation, Curations, curate};
use crate::mcp::diff::{Aspect, Destination, Diff, diff};
use crate::mcp::tool::ToolDef;
use crate::openapi::{Finding, OperationKey};
use crate::types::ToolName;

/// One side: the tools as the document gives them, and where they go.
pub type Side<'a> = (&'a [ToolDef], Destination<'a>);

/// What publishing the new version would change.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// What clients notice: both versions as they are served, with the owner's curations.
    #[serde(flatten)]
    pub diff: Diff,
    /// What the document says differently now, and the owner's words hide.
    pub kept: Vec<Kept>,
    /// Curations that apply to the new version no longer, or not wholly.
    pub findings: Vec<Finding>,
}

/// A change of the document that a curation hides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    pub operation: OperationKey,
    pub aspect: Aspect,
    /// What stands in the new document.
    pub document: String,
    /// What is served instead.
    pub curation: String,
}

/// Compares two versions beneath the curations of their server.
pub fn three_way(old: Side<'_>, new: Side<'_>, curations: &Curations) -> Comparison {
    let before = curate(old.0.to_vec(), curations);
    let after = curate(new.0.to_vec(), curations);
    Comparison {
        diff: diff((&before.tools, old.1), (&after.tools, new.1)),
        kept: kept(old.0, new.0, curations),
        findings: after.findings,
    }
}

fn kept(old: &[ToolDef], new: &[ToolDef], curations: &Curations) -> Vec<Kept> {
    let mut found = Vec::new();
    for tool in new {
        let Some(curation) = curations.get(&tool.operation) else {
            continue;
        };
        let Some(before) = old.iter().find(|other| other.operation == tool.operation) else {
            continue;
        };
        for (aspect, [was, is], own) in texts(before, tool, curation) {
            if let (Some(own), true) = (own, was != is) {
                found.push(Kept {
                    operation: tool.operation.clone(),
                    aspect,
                    document: is.to_owned(),
                    curation: own.to_owned(),
                });
            }
        }
    }
    found
}

type Texts<'a> = [(Aspect, [&'a str; 2], Option<&'a str>); 3];

/// The texts of a tool in both documents, each with what the owner says in its place.
fn texts<'a>(old: &'a ToolDef, new: &'a ToolDef, curation: &'a Curation) -> Texts<'a> {
    let title = |tool: &'a ToolDef| tool.title.as_deref().unwrap_or_default();
    [
        (
            Aspect::Name,
            [old.name.as_str(), new.name.as_str()],
            curation.name.as_ref().map(ToolName::as_str),
        ),
        (
            Aspect::Description,
            [title(old), title(new)],
            curation.title.as_deref(),
        ),
        (
            Aspect::Description,
            [&old.description, &new.description],
            curation.description.as_deref(),
        ),
    ]
}
