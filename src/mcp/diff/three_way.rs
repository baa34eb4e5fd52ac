//! Two versions and what the owner changed, together: what clients will notice, what the document
//! changed beneath a curation, and which curations no longer apply.

use serde::Serialize;

use crate::mcp::curation::{Curation, Curations, argument_keys, curate, hints_of};
use crate::mcp::diff::{Aspect, Diff, Side, diff, hints};
use crate::mcp::tool::ToolDef;
use crate::openapi::{Finding, OperationKey};
use crate::types::ToolName;

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
    /// The key of the argument it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argument: Option<String>,
    /// What stands in the new document.
    pub document: String,
    /// What is served instead.
    pub curation: String,
}

/// Compares two versions, their tools as the document gives them, beneath the curations of their
/// server.
pub fn three_way(old: Side<'_>, new: Side<'_>, curations: &Curations) -> Comparison {
    let before = curate(old.tools.to_vec(), curations).tools;
    let after = curate(new.tools.to_vec(), curations);
    let served = |side, tools| Side { tools, ..side };
    Comparison {
        diff: diff(served(old, &before), served(new, &after.tools)),
        kept: kept(old.tools, new.tools, curations),
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
        let known = hidden(before, curation);
        let hidden = hidden(tool, curation);
        found.extend(hidden.into_iter().filter(|kept| !known.contains(kept)));
    }
    found
}

/// Every text of a tool that a curation hides, with what the owner says in its place.
fn hidden(tool: &ToolDef, curation: &Curation) -> Vec<Kept> {
    let mut found = Vec::new();
    let mut hide = |aspect, argument: Option<&str>, document: &str, own: Option<&str>| {
        found.extend(own.map(|own| Kept {
            operation: tool.operation.clone(),
            aspect,
            argument: argument.map(str::to_owned),
            document: document.to_owned(),
            curation: own.to_owned(),
        }));
    };
    let name = curation.name.as_ref().map(ToolName::as_str);
    hide(Aspect::Name, None, tool.name.as_str(), name);
    let title = tool.title.as_deref().unwrap_or_default();
    hide(Aspect::Description, None, title, curation.title.as_deref());
    let description = tool.details.description.as_ref();
    let description = description.unwrap_or(&tool.description);
    let own = curation.description.as_deref();
    hide(Aspect::Description, None, description, own);
    let group = curation.group.as_deref();
    hide(Aspect::Description, None, &tool.tags.join(", "), group);
    let stated = hints_of(tool, curation).map(|stated| hints(&stated));
    let hinted = hints(&tool.annotations);
    hide(Aspect::Annotations, None, &hinted, stated.as_deref());
    for (key, argument) in argument_keys(&tool.binding) {
        let own = curation.arguments.get(&key);
        let own = own.and_then(|own| own.description.as_deref());
        let schema = &tool.input_schema["properties"][&argument];
        let text = schema["description"].as_str().unwrap_or_default();
        hide(Aspect::Description, Some(&key), text, own);
    }
    found
}
