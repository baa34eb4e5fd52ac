//! Trying a tool: the same call as over MCP, with a trace, or rehearsed without sending.

use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use crate::access::caller::Caller;
use crate::extract::{Body, Path, Who};
use crate::market::api::Market;
use crate::mcp::call::{Trace, dry_run, explain, passed, turn_away};
use crate::mcp::curation::Confirm;
use crate::mcp::endpoint::{parent, trace_id};
use crate::mcp::provider::{CallContext, Consent, Leading, Leads, OwnMask, Progress, ToolCall};
use crate::mcp::server::Server;
use crate::problem::{Problem, ProblemKind};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CallRequest {
    #[serde(default)]
    pub(crate) arguments: Option<Box<RawValue>>,
    /// Nothing is sent; the request is shown.
    #[serde(default)]
    pub(crate) dry_run: bool,
    /// The user has agreed to this call, where the tool asks for that.
    #[serde(default)]
    pub(crate) confirmed: bool,
}

pub(super) async fn call(
    State(market): State<Market>,
    who: Who,
    Path((slug, tool)): Path<(String, String)>,
    headers: HeaderMap,
    Body(request): Body<CallRequest>,
) -> Result<Json<Trace>, Problem> {
    let asked = (request, &headers);
    attempt(&market, &who, (&slug, tool), asked).await.map(Json)
}

/// Calls a tool with the caller's own access.
pub(crate) async fn attempt(
    market: &Market,
    who: &Who,
    (slug, tool): (&str, String),
    (request, headers): (CallRequest, &HeaderMap),
) -> Result<Trace, Problem> {
    if who.0.is_anonymous() {
        // One ceiling, whichever way a stranger calls.
        market.0.parts.mcp.limiter.knock(who.1).await?;
    }
    let catalog = &market.0.parts.publisher.catalog;
    let entry = catalog.find(slug).ok_or_else(Problem::not_found)?;
    if !entry.is_known_to(&who.0) {
        return Err(if entry.asks_for_key(&who.0) {
            Problem::new(
                ProblemKind::Unauthenticated,
                "send a key as Authorization: Bearer or X-API-Key",
            )
        } else {
            Problem::not_found()
        });
    }
    let mcp = &market.0.parts.mcp;
    if let Some(closed) = &entry.closed {
        let refusal = Problem::new(ProblemKind::Conflict, closed.words(&entry.title));
        if request.dry_run {
            return Err(refusal);
        }
        // Whatever becomes of it in the ledger, it is the same to its caller.
        if let Ok(server) = catalog.server(entry.id).await {
            let server = server.for_caller(&who.0);
            let asked = (&*tool, request.confirmed, headers);
            let context = context(market, who, &server, asked).await;
            turn_away(mcp, &who.0, &server, &called(tool, request), &context);
        }
        return Err(refusal);
    }
    let server = catalog.server(entry.id).await?.for_caller(&who.0);
    let context = context(market, who, &server, (&tool, request.confirmed, headers)).await;
    let _cancelled_when_the_client_leaves = context.cancel.clone().drop_guard();
    let is_rehearsed = request.dry_run;
    let call = called(tool, request);
    let trace = if is_rehearsed {
        dry_run(mcp, &who.0, &server, call, &context).await?
    } else {
        explain(mcp, &who.0, &server, call, &context).await?
    };
    Ok(trace)
}

fn called(name: String, request: CallRequest) -> ToolCall {
    ToolCall {
        name,
        arguments: request.arguments,
        resumption: None,
    }
}

/// What is known of a call beside what it asks for.
async fn context(
    market: &Market,
    who: &Who,
    server: &Server,
    (tool, confirmed, headers): (&str, bool, &HeaderMap),
) -> CallContext {
    CallContext {
        cancel: CancellationToken::new(),
        deadline: Instant::now() + Duration::from_millis(server.settings.call_timeout_ms),
        progress: Progress::default(),
        client: None,
        holder: who.0.holder(who.1),
        trace_id: trace_id(headers),
        parent: parent(headers),
        passed: passed(&market.0.parts.authenticator, server, headers).await,
        peer: who.1,
        consent: consent(server, (tool, confirmed), &who.0),
        leads: Leading {
            way: Leads::Told,
            base: market.0.parts.address.asked_by(headers),
        },
        answered: None,
        own: OwnMask::default(),
    }
}

/// Whether the call was agreed to: by whoever calls where its own user is asked, and by whoever manages
/// the server where that is.
fn consent(server: &Server, (tool, confirmed): (&str, bool), caller: &Caller) -> Consent {
    let gate = server.tools.get(tool).and_then(|tool| tool.gate.as_ref());
    let may = gate.is_some_and(|gate| gate.who == Confirm::Client || caller.is_admin());
    if confirmed && may {
        Consent::Given
    } else {
        Consent::Token
    }
}
