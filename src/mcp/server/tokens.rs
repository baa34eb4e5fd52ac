//! What decides the access tokens of a server: the clients it holds, and what its tools say.

use std::collections::BTreeSet;
use std::sync::Arc;

use indexmap::IndexMap;
use url::Url;

use crate::credential::Credentials;
use crate::credential::oauth::{OAuthClient, TokenSource};
use crate::mcp::plan::{self, Destination};
use crate::mcp::server::{Provider, Server};
use crate::mcp::tool::ToolDef;
use crate::openapi::SecurityScheme;

/// What a client gets for a scheme, for the tools that may use it.
pub fn source<'t>(
    (name, scheme): (&str, &SecurityScheme),
    client: &OAuthClient,
    tools: impl IntoIterator<Item = &'t ToolDef>,
    to: Destination<'_>,
) -> TokenSource {
    let mut needed = BTreeSet::new();
    let mut base: Option<Url> = None;
    for tool in tools {
        let alternatives = tool.binding.security.iter();
        let named: Vec<_> = alternatives.filter_map(|all| all.0.get(name)).collect();
        if named.is_empty() {
            continue;
        }
        needed.extend(named.into_iter().flatten().cloned());
        base = base.or_else(|| plan::base_url(tool, to).ok());
    }
    TokenSource::new((name, scheme), client, base.as_ref(), needed)
}

/// The sources of all clients that are held.
pub(crate) fn sources<'t>(
    schemes: &IndexMap<String, SecurityScheme>,
    credentials: &Credentials,
    tools: impl IntoIterator<Item = &'t ToolDef> + Clone,
    to: Destination<'_>,
) -> IndexMap<String, Arc<TokenSource>> {
    let held = schemes.iter().filter_map(|(name, scheme)| {
        let client = credentials.client(name)?;
        let source = source((name, scheme), client, tools.clone(), to);
        Some((name.clone(), Arc::new(source)))
    });
    held.collect()
}

impl Server {
    /// What a client would get for a scheme of this server; nothing where there is no such scheme.
    pub fn token_source(&self, name: &str, client: &OAuthClient) -> Option<TokenSource> {
        let Provider::Api(api) = &self.provider else {
            return None;
        };
        let scheme = api.schemes.get(name)?;
        let to = self.settings.destination(api.document_url.as_ref());
        let tools = self.tools.values().map(|tool| &*tool.def);
        Some(source((name, scheme), client, tools, to))
    }
}
