//! What a server answers that is there and not served: the same sentence, where each era shows it.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::value::RawValue;

use crate::access::ledger::LedgerStatus;
use crate::live::closed::Closed;
use crate::mcp::call;
use crate::mcp::endpoint::dispatch::Exchange;
use crate::mcp::endpoint::wire::{CLOSED, Params, RpcError};
use crate::mcp::provider::{CallOutcome, Content, ToolCall, ToolOutcome};

impl Exchange {
    /// How a server that is not served answers: a call with a tool error, which models read; what lists
    /// or reads with an error, which people see in their client. `None`: as ever, since a client that cannot
    /// even initialize shows less of the reason than one that can.
    pub(super) fn of_closed(
        &self,
        closed: &Closed,
        (method, params): (&str, &Params<'_>),
    ) -> Option<Result<String, RpcError>> {
        let words = || closed.words(&self.server.title);
        match method {
            // Above the ceiling of its address, that is what a stranger is told.
            "tools/call" if self.over.is_some() => None,
            "tools/call" => {
                self.turn_away(params);
                Some(self.outcome(&CallOutcome::Complete(ToolOutcome {
                    content: vec![Content::Text(words())],
                    is_error: true,
                    ..ToolOutcome::default()
                })))
            }
            "tools/list"
            | "resources/list"
            | "resources/templates/list"
            | "resources/read"
            | "resources/subscribe"
            | "prompts/list"
            | "prompts/get"
            | "completion/complete" => Some(Err(RpcError::new(CLOSED, words()))),
            _ => None,
        }
    }

    /// Enters a call in the ledger that nobody carries out: as that of the tool it would have been, as if the
    /// server were served.
    fn turn_away(&self, params: &Params<'_>) {
        let name = params.name.as_deref().unwrap_or_default();
        let given = params.arguments.map_or("{}", RawValue::get);
        let call = match &self.server.finder {
            Some(finder) if name == finder.call => self.called(finder, given).ok(),
            Some(finder) if name == finder.search || name == finder.describe => None,
            _ => Some(ToolCall {
                name: name.to_owned(),
                arguments: params.arguments.map(RawValue::to_owned),
                resumption: None,
            }),
        };
        let Some(call) = call else {
            self.account((name, given), LedgerStatus::Closed, Duration::ZERO);
            return;
        };
        let (mcp, caller) = (&self.mcp, &self.caller);
        call::turn_away(mcp, caller, &self.server, &call, &self.context());
    }

    /// What the server is for; of one that is not served, that it is not.
    pub(super) fn instructions(&self) -> Cow<'_, str> {
        match &self.closed {
            Some(closed) => closed.words(&self.server.title).into(),
            None => Cow::from(&*self.server.instructions),
        }
    }
}
