//! The names tools have with curations put over them: what an owner chose wins, and what it takes
//! from a generated name gets another one that stays the same.

use std::collections::{HashMap, HashSet};

use crate::mcp::curation::{Curations, finding};
use crate::mcp::tool::ToolDef;
use crate::mcp::tool::name;
use crate::openapi::Finding;
use crate::openapi::finding::Code;
use crate::types::ToolName;

/// One name a tool, in their order; no two are alike but for case. Hidden tools have none to take.
pub(super) fn names(
    tools: &[ToolDef],
    curations: &Curations,
    findings: &mut Vec<Finding>,
) -> Vec<ToolName> {
    let hidden = |tool: &ToolDef| {
        let curation = curations.get(&tool.operation);
        curation.is_some_and(|curation| curation.hidden)
    };
    let mut chosen: HashMap<usize, ToolName> = HashMap::new();
    let mut taken: HashSet<String> = HashSet::new();
    for (at, tool) in tools.iter().enumerate().filter(|(_, tool)| !hidden(tool)) {
        let wanted = curations.get(&tool.operation).and_then(|c| c.name.as_ref());
        let Some(wanted) = wanted else {
            continue;
        };
        if taken.insert(wanted.as_str().to_ascii_lowercase()) {
            chosen.insert(at, wanted.clone());
        } else {
            let message = format!("two tools are to be called {wanted}; the first is");
            findings.push(finding(Code::CurationNameTaken, &tool.operation, &message));
        }
    }
    let mut names = Vec::with_capacity(tools.len());
    for (at, tool) in tools.iter().enumerate() {
        let name = match chosen.remove(&at) {
            Some(name) => name,
            None if hidden(tool) => tool.name.clone(),
            None => {
                let is_free = |name: &str| !taken.contains(&name.to_ascii_lowercase());
                let name = if is_free(tool.name.as_str()) {
                    tool.name.clone()
                } else {
                    name::suffixed(tool.name.as_str(), &tool.operation, is_free)
                };
                taken.insert(name.as_str().to_ascii_lowercase());
                name
            }
        };
        names.push(name);
    }
    names
}
