//! A call explained: what was asked, what was sent, what came back and how long it took. Of a request
//! the place of a secret is masked, and of an answer its value; what the caller wrote is shown as
//! written, so that nobody learns from a mask whether a guess was right.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use indexmap::IndexMap;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use crate::access::caller::Caller;
use crate::credential::mask::MASKED;
use crate::mcp::call::account::Account;
use crate::mcp::call::exchange::Work;
use crate::mcp::call::failure::Failure;
use crate::mcp::call::held::Held;
use crate::mcp::call::{Mcp, answer, carry_out, consent};
use crate::mcp::provider::{
    CallContext, CallError, CallOutcome, Content, ResourceBody, ToolCall, ToolOutcome,
};
use crate::mcp::server::{Provider, Server};
use crate::types::UpstreamRequest;

/// How much of a request's body a trace shows.
const BODY_BYTES_MAX: usize = 64 << 10;

/// One call, explained.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    pub trace_id: String,
    /// As the caller wrote them.
    pub arguments: Option<Box<RawValue>>,
    /// Arguments that were JSON in a string and were read as what they hold.
    pub healed: Vec<String>,
    /// Nothing was sent.
    pub dry_run: bool,
    /// The request as it left, a mark in the place of each secret; absent when no request could be made.
    pub request: Option<TracedRequest>,
    /// The status the API answered with.
    pub status: Option<u16>,
    pub timings: Timings,
    /// As the caller of the tool gets it (MCP `CallToolResult`); absent in a dry run that would
    /// have sent its request.
    pub result: Option<Box<RawValue>>,
}

/// A request, a mark in the place of each secret.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TracedRequest {
    pub method: String,
    pub url: String,
    pub headers: IndexMap<String, Vec<String>>,
    /// Absent where it is empty or no text.
    pub body: Option<String>,
    pub body_bytes: usize,
}

/// In milliseconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Timings {
    /// From sending to the end of the answer's headers.
    pub first_byte_ms: f64,
    /// From sending to the end of the answer.
    pub upstream_ms: f64,
}

/// What is noted while a call runs.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) healed: Vec<String>,
    pub(crate) request: Option<UpstreamRequest>,
    pub(crate) status: Option<u16>,
    pub(crate) first_byte: Duration,
    pub(crate) upstream: Duration,
}

/// Carries out a call like [`crate::mcp::call::call`], and tells what happened.
///
/// # Errors
/// As `call`.
pub async fn explain(
    cx: &Mcp,
    caller: &Caller,
    server: &Server,
    call: ToolCall,
    context: &CallContext,
) -> Result<Trace, CallError> {
    let work = Work::admit(cx, caller, server, &call.name, context)?;
    let arguments = call.arguments.clone();
    let mut account = Account::open(&work, &call);
    account.seen = Some(Seen::default());
    let result = carry_out(&work, call, &mut account).await;
    account.settle(&result);
    let outcome = result.or_else(|failure| failure.into_outcome(&work.mask()))?;
    let seen = account.seen.take().unwrap_or_default();
    Ok(seen.into_trace(&work, arguments, Some(&outcome)))
}

/// Does everything but send: the request as it would leave, or the error that would stop it.
///
/// # Errors
/// As `call`; and for native tools, which send nothing that could be shown.
pub async fn dry_run(
    cx: &Mcp,
    caller: &Caller,
    server: &Server,
    mut call: ToolCall,
    context: &CallContext,
) -> Result<Trace, CallError> {
    let work = Work::admit(cx, caller, server, &call.name, context)?;
    let arguments = call.arguments.clone();
    let mut account = Account::rehearsal();
    let stopped = rehearse(&work, &mut call, &mut account).await.err();
    let outcome = stopped
        .map(|failure| failure.into_outcome(&work.mask()))
        .transpose()?;
    let seen = account.seen.take().unwrap_or_default();
    let mut trace = seen.into_trace(&work, arguments, outcome.as_ref());
    trace.dry_run = true;
    Ok(trace)
}

async fn rehearse(
    work: &Work<'_>,
    call: &mut ToolCall,
    account: &mut Account<'_>,
) -> Result<(), Failure> {
    let Provider::Api(api) = &work.server.provider else {
        let text = "this tool is built in and sends no request: a dry run has nothing to show";
        return Err(Failure::NotRun(CallError::InvalidParams(text.to_owned())));
    };
    let policies = &work.cx.policies;
    policies
        .tool_call(work.subject(), &mut call.arguments)
        .await?;
    if let Some(gate) = &work.tool.gate {
        consent::strip(gate, &mut call.arguments);
    }
    answer::asked(work, &call.arguments)?;
    let mut request = work.plan(api, &call.arguments, account).await?;
    policies
        .upstream_request(work.subject(), &mut request)
        .await?;
    // What would stop the call stops the rehearsal.
    let held = Held::rehearsed(work, api, &request)?;
    drop(held.attach(work, request.clone())?);
    account.sending(|| work.shown(api, &request));
    Ok(())
}

impl Seen {
    fn into_trace(
        self,
        work: &Work<'_>,
        arguments: Option<Box<RawValue>>,
        outcome: Option<&CallOutcome>,
    ) -> Trace {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        Trace {
            trace_id: work.context.trace_id.clone(),
            arguments,
            healed: self.healed,
            dry_run: false,
            request: self.request.map(|request| show(&request)),
            status: self.status,
            timings: Timings {
                first_byte_ms: milliseconds(self.first_byte),
                upstream_ms: milliseconds(self.upstream),
            },
            result: outcome.and_then(|outcome| match outcome {
                CallOutcome::Complete(outcome) => to_raw_value(&ShownResult::from(outcome)).ok(),
                CallOutcome::InputRequired(wanted) => to_raw_value(&json!({
                    "resultType": "inputRequired", "inputRequests": wanted.requests,
                }))
                .ok(),
            }),
        }
    }
}

fn show(request: &UpstreamRequest) -> TracedRequest {
    let shown = &request.body[..request.body.len().min(BODY_BYTES_MAX)];
    let body = String::from_utf8(shown.to_vec());
    TracedRequest {
        method: request.method.to_string(),
        url: request.url.to_string(),
        headers: show_headers(&request.headers),
        body: body.ok().filter(|text| !text.is_empty()),
        body_bytes: request.body.len(),
    }
}

fn show_headers(headers: &HeaderMap) -> IndexMap<String, Vec<String>> {
    let value = |value: &HeaderValue| {
        let text = String::from_utf8_lossy(value.as_bytes());
        match text.split_once(' ') {
            // The name of the authentication scheme is no secret.
            Some(("Basic" | "Bearer", _)) if value.is_sensitive() => {
                format!("{} {MASKED}", text.split(' ').next().unwrap_or_default())
            }
            _ if value.is_sensitive() => MASKED.to_owned(),
            _ => text.into_owned(),
        }
    };
    headers
        .keys()
        .map(|name| {
            let values = headers.get_all(name).iter().map(value).collect();
            (name.as_str().to_owned(), values)
        })
        .collect()
}

/// A result as MCP writes it (2025-11-25, `CallToolResult`). What is structured stays as it was
/// written: a number that is read and written again may not be the same number.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownResult<'a> {
    content: Vec<Value>,
    is_error: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    structured_content: Option<&'a RawValue>,
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    meta: Option<&'a Value>,
}

impl<'a> From<&'a ToolOutcome> for ShownResult<'a> {
    fn from(outcome: &'a ToolOutcome) -> Self {
        Self {
            content: outcome.content.iter().map(content).collect(),
            is_error: outcome.is_error,
            structured_content: outcome.structured.as_deref(),
            meta: outcome.meta.as_ref(),
        }
    }
}

fn content(content: &Content) -> Value {
    match content {
        Content::Text(text) => json!({"type": "text", "text": text}),
        Content::Image { data, media_type } => {
            json!({"type": "image", "data": data, "mimeType": media_type})
        }
        Content::Audio { data, media_type } => {
            json!({"type": "audio", "data": data, "mimeType": media_type})
        }
        Content::Resource(resource) => {
            let mut shown = json!({"uri": resource.uri});
            if let Some(media_type) = &resource.media_type {
                shown["mimeType"] = json!(media_type);
            }
            match &resource.body {
                ResourceBody::Text(text) => shown["text"] = json!(text),
                ResourceBody::Blob(data) => shown["blob"] = json!(data),
            }
            json!({"type": "resource", "resource": shown})
        }
        Content::Link { uri, name, .. } => {
            json!({"type": "resource_link", "uri": uri, "name": name})
        }
    }
}
