//! Whose a server is: who sees it, for whom one is published, and who lets it reach what is private.

use std::sync::Arc;

use crate::access::caller::Caller;
use crate::access::person::Person;
use crate::access::role::Action;
use crate::live::Entry;
use crate::market::api::Market;
use crate::market::api::servers::check_rules;
use crate::mcp::publish::OnBehalf;
use crate::problem::{Problem, ProblemKind};

pub(super) fn visible(market: &Market, who: &Caller, slug: &str) -> Result<Arc<Entry>, Problem> {
    let entry = market.0.parts.publisher.catalog.find(slug);
    entry
        .filter(|entry| entry.is_shown_to(who))
        .ok_or_else(Problem::not_found)
}

/// Whose the servers are that somebody publishes, and which they may publish anew.
pub(super) fn on_behalf(person: &Person) -> OnBehalf {
    OnBehalf {
        owner: person.user(),
        own_only: !person.may(Action::ManageServer, None),
    }
}

/// Whether these are rules, and somebody may let a server reach such private destinations; nobody is asked
/// about none.
pub(super) fn may_open(person: &Person, rules: Option<&[String]>) -> Result<(), Problem> {
    let rules = rules.unwrap_or_default();
    if rules.is_empty() || person.may_at_all(Action::OpenNetwork) {
        return check_rules(rules);
    }
    let detail = "`allowUpstream`: only admins let a server reach private destinations";
    Err(Problem::new(ProblemKind::Forbidden, detail))
}
