//! The phases of a call and what a filter may say in each.
//!
//! Filters run in the order they are listed, each seeing what the ones before it left. They run
//! before credentials are attached and after they are masked out of the answer: no filter ever sees
//! a secret.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::{BoxFuture, ready};

use crate::access::caller::Caller;
use crate::mcp::provider::{Arguments, ToolOutcome};
use crate::types::{ServerId, UpstreamRequest, UpstreamResponse};

/// What a filter is told about the call it looks at.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub caller: &'a Caller,
    pub server: ServerId,
    /// Absent before the request's body is read.
    pub tool: Option<&'a str>,
    pub trace_id: &'a str,
}

/// What a filter decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    /// The call ends here; the text reaches the caller.
    Refuse(Refusal),
}

/// Why a filter ended a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    pub text: String,
}

/// One policy. Each phase has a default that passes everything on unchanged.
pub trait Filter: Send + Sync {
    /// The head of the client's own HTTP request, before anything is read from its body.
    fn request<'a>(&'a self, _: Subject<'a>, _: &'a mut http::request::Parts) -> Decision<'a> {
        pass()
    }

    /// The arguments of a tool call as the client wrote them. The tool is settled: a filter cannot
    /// turn a call into one that the caller may not make.
    fn tool_call<'a>(&'a self, _: Subject<'a>, _: &'a mut Arguments) -> Decision<'a> {
        pass()
    }

    /// The request to the API, without its credential.
    fn upstream_request<'a>(&'a self, _: Subject<'a>, _: &'a mut UpstreamRequest) -> Decision<'a> {
        pass()
    }

    /// The API's answer, known credentials masked.
    fn upstream_response<'a>(
        &'a self,
        _: Subject<'a>,
        _: &'a mut UpstreamResponse,
    ) -> Decision<'a> {
        pass()
    }

    /// The result as the client will get it.
    fn outcome<'a>(&'a self, _: Subject<'a>, _: &'a mut ToolOutcome) -> Decision<'a> {
        pass()
    }

    /// One piece of an answer that is passed on while it arrives.
    fn chunk<'a>(&'a self, _: Subject<'a>, _: &'a mut Bytes) -> Decision<'a> {
        pass()
    }
}

/// A verdict, perhaps after asking someone.
pub type Decision<'a> = BoxFuture<'a, Verdict>;

/// Passes on unchanged.
pub fn pass<'a>() -> Decision<'a> {
    Box::pin(ready(Verdict::Pass))
}

/// The filters of a process, in order. None costs nothing.
#[derive(Clone, Default)]
pub struct Policies(Arc<[Arc<dyn Filter>]>);

impl Policies {
    /// These filters, in this order.
    pub fn new(filters: Vec<Arc<dyn Filter>>) -> Self {
        Self(filters.into())
    }

    /// Whether there is nothing to ask.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One method per phase: every filter in turn, until one refuses.
macro_rules! phases {
    ($($(#[$doc:meta])* $phase:ident($subject:ty);)*) => {
        impl Policies {$(
            $(#[$doc])*
            pub async fn $phase(
                &self,
                about: Subject<'_>,
                subject: &mut $subject,
            ) -> Result<(), Refusal> {
                for filter in self.0.iter() {
                    if let Verdict::Refuse(refusal) = filter.$phase(about, subject).await {
                        return Err(refusal);
                    }
                }
                Ok(())
            }
        )*}
    };
}

phases! {
    /// Run by the endpoint, on the head of the client's request without the client's key.
    request(http::request::Parts);
    /// Run by the call flow, before the arguments are checked.
    tool_call(Arguments);
    /// Run by the call flow, before the credential is attached.
    upstream_request(UpstreamRequest);
    /// Run by the call flow, after credentials are masked.
    upstream_response(UpstreamResponse);
    /// Run by the call flow, on what the client will get.
    outcome(ToolOutcome);
    /// Run by flows that pass an answer on while it arrives.
    chunk(Bytes);
}
