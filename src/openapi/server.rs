//! Server Objects: URLs with variables, relative ones kept as they are.

use indexmap::IndexMap;

use crate::openapi::finding::{Code, quoted};
use crate::openapi::pointer::{Located, text};
use crate::openapi::schema::Reading;
use crate::openapi::{ServerTemplate, ServerVariable, upconvert_2_0};

impl<'a> Reading<'a> {
    /// The servers of the whole document; `/` where there are none (OAS 3.1.1 section 4.8.1.1).
    pub fn document_servers(&mut self, root: &Located<'a>) -> Vec<ServerTemplate> {
        if self.is_2_0() {
            return upconvert_2_0::servers(root, &mut self.findings);
        }
        if let Some(servers) = self.servers(root) {
            return servers;
        }
        let message = "there are no `servers`; the address of the document is used";
        self.findings.add(Code::ServersMissing, "", message);
        vec![ServerTemplate {
            url: "/".to_owned(),
            description: None,
            variables: IndexMap::new(),
        }]
    }

    /// The `servers` standing at `at`, if there is one usable.
    pub fn servers(&mut self, at: &Located<'a>) -> Option<Vec<ServerTemplate>> {
        let list = at.get("servers")?;
        if !list.value.is_array() && !list.value.is_null() {
            let message = "`servers` is not a list; it is left out";
            self.findings
                .add(Code::ServersNotAList, list.pointer.clone(), message);
        }
        let servers: Vec<ServerTemplate> =
            list.items().filter_map(|item| self.server(&item)).collect();
        (!servers.is_empty()).then_some(servers)
    }

    fn server(&mut self, at: &Located<'a>) -> Option<ServerTemplate> {
        let Some(url) = at.text("url") else {
            let message = "the server has no `url`";
            self.findings
                .add(Code::ServerInvalid, at.pointer.clone(), message);
            return None;
        };
        let url = url.trim().to_owned();
        let mut variables = IndexMap::new();
        for name in variable_names(&url) {
            let declared = at.get("variables").and_then(|v| v.get(name));
            if let Some(variable) = declared.and_then(|at| variable(&at)) {
                variables.insert(name.to_owned(), variable);
            } else {
                let message = format!("{} has no default", quoted(name));
                self.findings
                    .add(Code::ServerVariableUndeclared, at.pointer.clone(), message);
            }
        }
        Some(ServerTemplate {
            url,
            description: at.text("description"),
            variables,
        })
    }
}

fn variable_names(url: &str) -> impl Iterator<Item = &str> {
    url.split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}

fn variable(at: &Located<'_>) -> Option<ServerVariable> {
    let allowed: Vec<String> = at
        .get("enum")
        .iter()
        .flat_map(Located::items)
        .filter_map(|value| text(value.value))
        .collect();
    let default = at.text("default");
    Some(ServerVariable {
        default: default.or_else(|| allowed.first().cloned())?,
        allowed,
        description: at.text("description"),
    })
}
