//! What a server answers that is there and not served: the same sentence, where each era shows it.

use std::borrow::Cow;

use crate::live::closed::Closed;
use crate::mcp::endpoint::dispatch::Exchange;
use crate::mcp::endpoint::wire::{CLOSED, RpcError};
use crate::mcp::provider::{CallOutcome, Content, ToolOutcome};

impl Exchange {
    /// How a server that is not served answers: a call with a tool error, which models read; what lists
    /// or reads with an error, which people see in their client. `None`: as ever, since a client that cannot
    /// even initialize shows less of the reason than one that can.
    pub(super) fn of_closed(
        &self,
        closed: &Closed,
        method: &str,
    ) -> Option<Result<String, RpcError>> {
        let words = || closed.words(&self.server.title);
        match method {
            "tools/call" => Some(self.outcome(&CallOutcome::Complete(ToolOutcome {
                content: vec![Content::Text(words())],
                is_error: true,
                ..ToolOutcome::default()
            }))),
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

    /// What the server is for; of one that is not served, that it is not.
    pub(super) fn instructions(&self) -> Cow<'_, str> {
        match &self.closed {
            Some(closed) => closed.words(&self.server.title).into(),
            None => Cow::from(&*self.server.instructions),
        }
    }
}
