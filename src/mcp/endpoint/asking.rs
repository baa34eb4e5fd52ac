//! How a client's user can be asked something, or led to a page: by what the client says it can do.

use std::sync::Arc;

use serde_json::Value;

use crate::mcp::endpoint::dispatch::Exchange;
use crate::mcp::endpoint::version::Version;
use crate::mcp::endpoint::wire::Params;
use crate::mcp::provider::{Consent, Leading, Leads};
use crate::mcp::tool::Tool;

impl Exchange {
    /// What the client says it can do.
    fn stated(&self, params: &Params<'_>) -> Option<Value> {
        if !self.version.is_stateless() {
            let session = self.session.as_ref();
            return session.map(|session| session.client_capabilities().clone());
        }
        let meta = params.meta.as_ref();
        let stated = meta.and_then(|meta| meta.client_capabilities);
        stated.and_then(|raw| serde_json::from_str(raw.get()).ok())
    }

    /// How the client's user can be led to a page, which is looked at for servers that do so.
    pub(super) fn leads(&self, params: &Params<'_>) -> Leading {
        if self.server.settings.user_accounts.is_empty() {
            return Leading::default();
        }
        let opens = self.stated(params).is_some_and(|stated| has_urls(&stated));
        let way = match (opens, self.version.is_stateless()) {
            (true, true) => Leads::InAnswer,
            (true, false) if self.version >= Version::V2025_11_25 => Leads::InError,
            _ => Leads::Told,
        };
        Leading {
            way,
            base: self.base.clone(),
        }
    }

    /// How the client's user can be asked, which is looked at for tools that ask.
    pub(super) fn consent(&self, tool: &str, params: &Params<'_>) -> Consent {
        let asks = |tool: &Arc<Tool>| tool.gate.is_some();
        if !self.server.tools.get(tool).is_some_and(asks) {
            return Consent::Token;
        }
        if self.version.is_stateless() {
            let stated = self.stated(params);
            let has_forms = stated.is_some_and(|stated| has_forms(&stated));
            return if has_forms {
                Consent::InAnswer
            } else {
                Consent::Token
            };
        }
        let client = self.client.as_ref();
        let asks = client.is_some_and(|client| has_forms(client.capabilities()));
        if asks && self.version >= Version::V2025_06_18 {
            Consent::OverStream
        } else {
            Consent::Token
        }
    }
}

/// Whether a client puts forms before its user. One that does not say which kind it has means forms
/// (2025-11-25, client/elicitation, "Capabilities").
fn has_forms(capabilities: &Value) -> bool {
    let elicitation = capabilities.get("elicitation").and_then(Value::as_object);
    elicitation.is_some_and(|kinds| kinds.is_empty() || kinds.contains_key("form"))
}

/// Whether a client opens pages for its user.
fn has_urls(capabilities: &Value) -> bool {
    let elicitation = capabilities.get("elicitation").and_then(Value::as_object);
    elicitation.is_some_and(|kinds| kinds.contains_key("url"))
}
