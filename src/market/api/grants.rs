//! Grants as people write them (slugs, names of tools) and as they are kept (ids, operations).
//!
//! A tool is kept by its operation from the moment it is granted: what its owner calls it later changes
//! nothing, and an operation that takes over its name is not granted with it.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::caller::Grant;
use crate::access::person::Person;
use crate::live::Entry;
use crate::market::api::Market;
use crate::mcp::server::Server;
use crate::openapi::OperationKey;
use crate::problem::{Problem, ProblemKind};

const GRANTS_MAX: usize = 1_000;
const TOOLS_MAX: usize = 5_000;

/// A server something is good for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct GrantRequest {
    /// Its slug, or its id.
    pub(crate) server: String,
    /// The tools by name or by operation; absent: all.
    #[serde(default)]
    pub(crate) tools: Option<Vec<String>>,
    /// What a list of grants shows beside the id, so that it can be sent back.
    #[serde(default, rename = "slug")]
    pub(crate) _slug: Option<String>,
}

impl GrantRequest {
    pub(crate) fn whole(slug: &str) -> Self {
        Self {
            server: slug.to_owned(),
            tools: None,
            _slug: None,
        }
    }
}

/// Grants to be kept, for servers of the admin's organization.
///
/// # Errors
/// A problem that names the server or tool there is not.
pub(super) async fn resolve(
    market: &Market,
    person: &Person,
    requests: &[GrantRequest],
) -> Result<Vec<Grant>, Problem> {
    if requests.len() > GRANTS_MAX {
        return Err(wrong(format!("at most {GRANTS_MAX} grants")));
    }
    let mut grants = Vec::with_capacity(requests.len());
    for request in requests {
        let name = &request.server;
        let entry = find(market, person, name);
        let entry = entry.ok_or_else(|| wrong(format!("there is no server \"{name}\"")))?;
        let tools = match &request.tools {
            None => None,
            Some(names) => Some(operations(market, &entry, names).await?),
        };
        grants.push(Grant {
            server: entry.id,
            tools,
        });
    }
    Ok(grants)
}

fn wrong(detail: String) -> Problem {
    Problem::new(ProblemKind::Unprocessable, detail)
}

fn find(market: &Market, person: &Person, name: &str) -> Option<Arc<Entry>> {
    let catalog = &market.0.parts.publisher.catalog;
    let by_id = || catalog.entry(name.parse().ok()?);
    let entry = catalog.find(name).or_else(by_id);
    entry.filter(|entry| entry.is_shown_to(&person.caller))
}

async fn operations(
    market: &Market,
    entry: &Entry,
    names: &[String],
) -> Result<BTreeSet<OperationKey>, Problem> {
    let slug = &entry.slug;
    if names.is_empty() || names.len() > TOOLS_MAX {
        return Err(wrong(format!(
            "`tools` of {slug} names 1 to {TOOLS_MAX} tools; leave it out for all"
        )));
    }
    let server = market.0.parts.publisher.catalog.server(entry.id).await?;
    let found = names.iter().map(|name| {
        let operation = operation(&server, name);
        operation.ok_or_else(|| wrong(format!("the server {slug} has no tool \"{name}\"")))
    });
    found.collect()
}

/// The operation of that tool, also of one in the version that is tried on some consumers.
fn operation(server: &Server, name: &str) -> Option<OperationKey> {
    let named = |server: &Server| Some(server.tools.get(name)?.def.operation.clone());
    let keyed = |server: &Server| {
        let mut operations = server.tools.values().map(|tool| &tool.def.operation);
        operations.find(|operation| operation.0 == name).cloned()
    };
    let canary = server.canary.as_ref().map(|canary| &*canary.server);
    let tried = |find: &dyn Fn(&Server) -> Option<OperationKey>| canary.and_then(find);
    named(server)
        .or_else(|| keyed(server))
        .or_else(|| tried(&named))
        .or_else(|| tried(&keyed))
}

/// Grants as they are shown: with the slug each server has now.
pub(super) fn view(market: &Market, grants: &[Grant]) -> Value {
    let catalog = &market.0.parts.publisher.catalog;
    let shown = grants.iter().map(|grant| {
        let entry = catalog.entry(grant.server);
        let mut shown = json!({
            "server": grant.server,
            "slug": entry.map(|entry| entry.slug.clone()),
        });
        if let Some(tools) = &grant.tools {
            shown["tools"] = json!(tools);
        }
        shown
    });
    Value::Array(shown.collect())
}
