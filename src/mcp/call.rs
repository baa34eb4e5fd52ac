//! The flow of one tool call: look up, check, count, ask, plan, attach, send, render, account.

mod account;
mod answer;
mod consent;
mod exchange;
mod failure;
mod filter;
mod held;
pub mod own;
mod passing;
pub mod probe;
pub mod reading;
mod repeat;
mod spans;
pub mod trace;

use std::sync::Arc;

use crate::access::caller::Caller;
use crate::access::confirmation::Confirmations;
use crate::access::ledger::Ledger;
use crate::access::limit::{Exceeded, LimitRefusal, Limiter};
use crate::access::meter::Meters;
use crate::access::upstream_auth::Tokens;
use crate::answers::Answers;
use crate::credential::Mask;
use crate::egress::Egress;
use crate::jq::Jq;
use crate::mcp::call::account::Account;
use crate::mcp::call::exchange::Work;
use crate::mcp::call::failure::Failure;
pub use crate::mcp::call::failure::RETRY_AFTER;
pub use crate::mcp::call::passing::passed;
pub use crate::mcp::call::trace::{Trace, TracedRequest, dry_run, explain};
use crate::mcp::provider::{CallContext, CallError, CallOutcome, ToolCall};
use crate::mcp::server::{Provider, Server};
use crate::mcp::watch::Watch;
use crate::policy::Policies;
use crate::telemetry::Telemetry;
use crate::types::Clock;

/// What every call of a process shares.
pub struct Mcp {
    pub egress: Egress,
    pub ledger: Ledger,
    /// What calls are counted in for whoever watches the process.
    pub meters: Meters,
    /// Where spans of calls go.
    pub telemetry: Telemetry,
    /// What lets calls in as long as their limits admit it.
    pub limiter: Limiter,
    pub clock: Clock,
    pub policies: Policies,
    /// Where answers are kept that are too large for a result.
    pub answers: Answers,
    /// What runs owners' filters over answers.
    pub jq: Jq,
    /// Where access tokens of APIs come from.
    pub tokens: Tokens,
    /// What knows whether somebody agreed to a call.
    pub confirmations: Confirmations,
    /// What clients do, for whoever looks on.
    pub watch: Watch,
}

/// What a call is answered with that a limit outside of all flows keeps back.
pub fn limited(limit: Exceeded) -> Result<CallOutcome, CallError> {
    Failure::Limited(LimitRefusal::Exceeded(limit)).into_outcome(&Mask::default())
}

impl Mcp {
    /// Calls without filters, whose large answers are kept in memory.
    pub fn new(egress: Egress, ledger: Ledger, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            tokens: Tokens::new(egress.clone(), clock.clone()),
            egress,
            ledger,
            meters: Meters::default(),
            telemetry: Telemetry::default(),
            limiter: Limiter::memory(clock.clone()),
            answers: Answers::memory(clock.clone()),
            jq: Jq::of_this_program(),
            confirmations: Confirmations::memory(clock.clone()),
            clock,
            policies: Policies::default(),
            watch: Watch::default(),
        })
    }
}

/// Carries out one tool call. It is accounted for exactly once, also when the future is dropped.
///
/// Everything that ran and failed is a [`CallOutcome::Complete`] with `is_error`, for the model to
/// read.
///
/// # Errors
/// When the call did not run at all. A tool the caller may not use is an unknown tool.
pub async fn call(
    cx: &Mcp,
    caller: &Caller,
    server: &Server,
    call: ToolCall,
    context: &CallContext,
) -> Result<CallOutcome, CallError> {
    let work = Work::admit(cx, caller, server, &call.name, context)?;
    let mut account = Account::open(&work, &call);
    let result = carry_out(&work, call, &mut account).await;
    account.settle(&result);
    result.or_else(|failure| failure.into_outcome(&work.mask()))
}

/// Accounts for a call to a server that is closed, which is not carried out. A tool the caller may not use is an
/// unknown one, and its call is none.
pub fn turn_away(
    cx: &Mcp,
    caller: &Caller,
    server: &Server,
    call: &ToolCall,
    context: &CallContext,
) {
    if let Ok(work) = Work::admit(cx, caller, server, &call.name, context) {
        Account::open(&work, call).turn_away();
    }
}

async fn carry_out(
    work: &Work<'_>,
    call: ToolCall,
    account: &mut Account<'_>,
) -> Result<CallOutcome, Failure> {
    let began = account.mark();
    let admitted = work.cx.limiter.admit(&work.asked()).await;
    account.spent(began, "limits");
    let mut permit = admitted?;
    let result = carry_on(work, call, account).await;
    let cost = account.cost(work, permit.counts_tokens(), result.as_ref().ok());
    work.cx.limiter.settle(&mut permit, cost).await;
    result
}

/// The rest of a call that its limits let in.
async fn carry_on(
    work: &Work<'_>,
    mut call: ToolCall,
    account: &mut Account<'_>,
) -> Result<CallOutcome, Failure> {
    let policies = &work.cx.policies;
    policies
        .tool_call(work.subject(), &mut call.arguments)
        .await?;
    let waited = consent::pass(work, &mut call).await?;
    let work = &work.later(waited);
    let mut outcome = match &work.server.provider {
        Provider::Native(native) => work.in_time(native.call(call, work.context)).await?,
        Provider::Api(api) => {
            CallOutcome::Complete(answer::answer(work, api, &call.arguments, account).await?)
        }
    };
    if let CallOutcome::Complete(outcome) = &mut outcome {
        policies.outcome(work.subject(), outcome).await?;
    }
    Ok(outcome)
}
