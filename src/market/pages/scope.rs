//! What a key or a token is good for, as people write it (`SLUG`, `SLUG/TOOL`) and as pages show it.

use std::collections::HashMap;

use crate::access::caller::Grant;
use crate::live::Entry;
use crate::market::api::Market;
use crate::market::api::grants::GrantRequest;
use crate::openapi::OperationKey;
use crate::types::ServerId;

/// Servers that are loaded to call tools by their names; of others, the operations are shown.
const LOADED_MAX: usize = 50;
/// Scopes of one key that are shown.
const SHOWN_MAX: usize = 12;

/// What something is good for, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeView {
    /// Every server that is open to all keys.
    pub everywhere: bool,
    /// `SLUG` for a whole server, `SLUG/TOOL` for a tool of it; of servers that still exist.
    pub parts: Vec<String>,
    pub hidden: usize,
}

/// What servers and tools are called now.
pub(super) struct Words {
    slugs: HashMap<ServerId, String>,
    tools: HashMap<ServerId, HashMap<OperationKey, String>>,
}

impl Words {
    /// The words for some grants.
    pub(super) async fn of(market: &Market, grants: &[Grant]) -> Self {
        let catalog = &market.0.parts.publisher.catalog;
        let mut words = Self {
            slugs: HashMap::new(),
            tools: HashMap::new(),
        };
        for grant in grants {
            let Some(entry) = catalog.entry(grant.server) else {
                continue;
            };
            words.slugs.insert(entry.id, entry.slug.to_string());
            let known = words.tools.contains_key(&entry.id) || words.tools.len() >= LOADED_MAX;
            if grant.tools.is_some() && !known {
                let names = names(market, &entry).await;
                words.tools.insert(entry.id, names);
            }
        }
        words
    }

    /// Grants for people; `None` is every server.
    pub(super) fn view(&self, grants: Option<&[Grant]>) -> ScopeView {
        let Some(grants) = grants else {
            return ScopeView {
                everywhere: true,
                ..ScopeView::default()
            };
        };
        let mut parts: Vec<String> = grants.iter().flat_map(|grant| self.parts(grant)).collect();
        let hidden = parts.len().saturating_sub(SHOWN_MAX);
        parts.truncate(SHOWN_MAX);
        ScopeView {
            everywhere: false,
            parts,
            hidden,
        }
    }

    fn parts(&self, grant: &Grant) -> Vec<String> {
        let Some(slug) = self.slugs.get(&grant.server) else {
            return Vec::new();
        };
        let Some(operations) = &grant.tools else {
            return vec![slug.clone()];
        };
        let names = self.tools.get(&grant.server);
        let name = |operation: &OperationKey| {
            let name = names.and_then(|names| names.get(operation));
            format!("{slug}/{}", name.unwrap_or(&operation.0))
        };
        operations.iter().map(name).collect()
    }
}

/// The tools of a server by operation; none where it cannot be loaded.
async fn names(market: &Market, entry: &Entry) -> HashMap<OperationKey, String> {
    let server = market.0.parts.publisher.catalog.server(entry.id).await.ok();
    let tools = server.iter().flat_map(|server| server.tools.values());
    tools
        .map(|tool| (tool.def.operation.clone(), tool.def.name.to_string()))
        .collect()
}

/// Scopes apart by commas or lines, as they are entered.
pub(super) fn written(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split([',', '\n']).map(str::trim);
    parts.filter(|part| !part.is_empty())
}

/// Scopes as the API takes them: what names tools of one server stands together, and a whole server
/// makes its single tools superfluous.
pub(super) fn requests<'a>(scopes: impl Iterator<Item = &'a str>) -> Vec<GrantRequest> {
    let mut requests: Vec<GrantRequest> = Vec::new();
    for scope in scopes {
        // What a tool is called has no slash; an operation (`GET /pets`) has.
        let (slug, tool) = match scope.split_once('/') {
            Some((slug, tool)) => (slug.trim(), Some(tool.trim())),
            None => (scope, None),
        };
        let place = requests.iter().position(|request| request.server == slug);
        match (place, tool) {
            (None, None) => requests.push(GrantRequest::whole(slug)),
            (None, Some(tool)) => {
                let mut request = GrantRequest::whole(slug);
                request.tools = Some(vec![tool.to_owned()]);
                requests.push(request);
            }
            (Some(place), None) => requests[place].tools = None,
            (Some(place), Some(tool)) => {
                if let Some(tools) = &mut requests[place].tools {
                    tools.push(tool.to_owned());
                }
            }
        }
    }
    requests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_put_together_by_server() {
        let text = "shop\nbooks/list, books/GET /books\n\npets/one\npets\npets/two";
        let found: Vec<_> = requests(written(text))
            .into_iter()
            .map(|request| (request.server, request.tools))
            .collect();
        let tools = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
        assert_eq!(
            found,
            [
                ("shop".to_owned(), None),
                ("books".to_owned(), tools(&["list", "GET /books"])),
                ("pets".to_owned(), None),
            ]
        );
    }
}
