//! Tools whose calls have nowhere to go: said when a document is read, not when a model calls.

use indexmap::IndexMap;

use crate::mcp::plan::{Destination, base_url};
use crate::mcp::tool::ToolDef;
use crate::openapi::finding::Code;
use crate::openapi::{Api, Finding};

/// One finding for each reason why tools have no [`base_url`], at the first operation it concerns.
pub fn unreachable(api: &Api, tools: &[ToolDef], to: Destination<'_>) -> Vec<Finding> {
    let mut reasons: IndexMap<String, Vec<&ToolDef>> = IndexMap::new();
    for tool in tools {
        if let Err(error) = base_url(tool, to) {
            reasons.entry(error.to_string()).or_default().push(tool);
        }
    }
    let of_reason = |(reason, tools): (String, Vec<&ToolDef>)| {
        let first = &tools.first()?.operation;
        let operation = api.operations.iter().find(|found| found.key == *first)?;
        let calls = match tools.len() {
            1 => "calls of this tool fail".to_owned(),
            number => format!("calls of {number} tools fail, this one being the first"),
        };
        Some(Finding {
            operation: Some(first.clone()),
            ..Finding::new(
                Code::ServerUnresolvable,
                operation.pointer.clone(),
                format!("{reason}; until then {calls}"),
            )
        })
    };
    reasons.into_iter().filter_map(of_reason).collect()
}
