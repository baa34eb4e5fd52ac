//! How each tool's calls are authenticated at the API: what the document offers, what is used, why.

use std::collections::{BTreeSet, HashMap};

use crate::access::person::Person;
use crate::access::role::Action;
use crate::credential::choice::{Choice, Holdings, choose, with_scheme};
use crate::live::Entry;
use crate::market::api::Market;
use crate::market::api::curations::Workbench;
use crate::mcp::curation::Curations;
use crate::mcp::server::{Provider, Server};
use crate::mcp::tool::ToolDef;
use crate::openapi::{OperationKey, SecurityRequirement};
use crate::problem::Problem;

/// What the calls of each tool of a server use; nothing for anybody but who manages it.
pub(super) async fn shown_to(
    market: &Market,
    person: Option<&Person>,
    (entry, server): (&Entry, &Server),
) -> Result<HashMap<OperationKey, Choice>, Problem> {
    let Some(person) = person.filter(|it| it.may(Action::ManageServer, entry.owner)) else {
        return Ok(HashMap::new());
    };
    let bench = Workbench::open(market, person, entry.slug.as_str()).await?;
    let of = |tool: &ToolDef| {
        let choice = choice(server, tool, &bench.curations)?;
        Some((tool.operation.clone(), choice))
    };
    Ok(bench.original.iter().filter_map(of).collect())
}

/// What the calls of a tool use, of what its document offers. `tool` is as the document gives it.
pub(super) fn choice(server: &Server, tool: &ToolDef, curations: &Curations) -> Option<Choice> {
    let curation = curations.get(&tool.operation);
    let chosen = curation.and_then(|curation| curation.security.clone());
    chosen_of(server, &tool.binding.security, chosen)
}

/// Whether calls of a tool as it is served are refused, because no alternative is complete.
pub(crate) fn is_refused(server: &Server, tool: &ToolDef) -> bool {
    // What was chosen is the only alternative of a tool that is served.
    chosen_of(server, &tool.binding.security, None).is_some_and(|choice| choice.is_refused())
}

fn chosen_of(
    server: &Server,
    security: &[SecurityRequirement],
    mut chosen: Option<BTreeSet<String>>,
) -> Option<Choice> {
    let Provider::Api(api) = &server.provider else {
        return None;
    };
    let mut security = security.to_vec();
    if let Some(certificate) = &server.settings.client_certificate {
        security = with_scheme(security, certificate);
        if let Some(chosen) = &mut chosen {
            chosen.insert(certificate.clone());
        }
    }
    let holdings = Holdings {
        schemes: &api.schemes,
        credentials: &api.credentials,
        pass_through: &server.settings.pass_through,
    };
    Some(choose(&security, chosen.as_ref(), holdings))
}
