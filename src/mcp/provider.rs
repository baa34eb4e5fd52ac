//! What a call is given and what it gives back, in words of our own.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use crate::credential::Mask;
use crate::credential::pass::Passed;
use crate::types::Parent;

/// The arguments of a call, exactly as the client wrote them: numbers keep every digit.
/// `None` and `{}` mean the same.
pub type Arguments = Option<Box<RawValue>>;

/// `tools/call`, reduced to what every transport and version agrees on.
#[derive(Debug)]
pub struct ToolCall {
    pub name: String,
    pub arguments: Arguments,
    /// Answers to an earlier [`CallOutcome::InputRequired`].
    pub resumption: Option<Resumption>,
}

/// The client's retry of a call that asked for input (MCP 2026-07-28, multi round-trip requests).
#[derive(Debug)]
pub struct Resumption {
    pub responses: Value,
    pub state: Option<String>,
}

/// What surrounds one call: how long it may take, whether it is still wanted, and the way back to
/// the client while it runs.
#[derive(Clone)]
pub struct CallContext {
    /// Cancelled when the client leaves or says so.
    pub cancel: CancellationToken,
    pub deadline: Instant,
    pub progress: Progress,
    pub client: Option<Arc<dyn Client>>,
    /// Whose share of what is kept the call takes (see [`crate::access::caller::Caller::holder`]).
    pub holder: String,
    /// W3C trace id, 32 hex digits.
    pub trace_id: String,
    /// The client's own span, where it names one.
    pub parent: Option<Parent>,
    /// Headers of the client's request that may be passed on. Nothing where there are none.
    pub passed: Arc<Passed>,
    /// Where the client calls from, if over a network.
    pub peer: Option<IpAddr>,
    /// How its user agrees to a call that asks for it.
    pub consent: Consent,
    /// How its user is led to a page.
    pub leads: Leading,
    /// Its user's answers to what an earlier answer asked.
    pub answered: Option<Value>,
    /// What of its user's own it attached.
    pub own: OwnMask,
}

/// How the caller's user is led to a page of ours.
#[derive(Clone, Debug, Default)]
pub struct Leading {
    pub way: Leads,
    /// What our addresses begin with, as the client reaches us.
    pub base: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leads {
    /// The model shows a link.
    #[default]
    Told,
    /// The client opens it, see [`CallOutcome::InputRequired`].
    InAnswer,
    /// The client opens it, see [`CallError::UserHasToVisit`].
    InError,
}

/// Hides the secrets of its user's own that a call attached. Each call has one; none is shared.
#[derive(Clone, Default)]
pub struct OwnMask(Arc<Mutex<Option<Mask>>>);

impl OwnMask {
    pub(crate) fn hide(&self, more: &Mask) {
        let mut mask = self.0.lock();
        *mask = Some(mask.take().unwrap_or_default().with(more));
    }

    pub(crate) fn mask(&self) -> Option<Mask> {
        self.0.lock().clone()
    }
}

/// How the caller's user is asked to agree to a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consent {
    /// The client has no forms: the model asks, and shows a token.
    #[default]
    Token,
    /// A form in the answer, see [`CallOutcome::InputRequired`].
    InAnswer,
    /// A form through [`Client::request`], while the call waits.
    OverStream,
    /// It was given on a page of ours.
    Given,
}

/// Reports progress to a client that asked for it; otherwise says nothing.
#[derive(Clone, Default)]
pub struct Progress(pub Option<Arc<ReportProgress>>);

/// Done, total, message.
pub type ReportProgress = dyn Fn(f64, Option<f64>, Option<String>) + Send + Sync;

impl Progress {
    /// `done` of `total`, with a short message.
    pub fn report(&self, done: f64, total: Option<f64>, message: Option<String>) {
        if let Some(send) = &self.0 {
            send(done, total, message);
        }
    }
}

/// The way back to the client during a call. A transport without one gives no client; the call
/// then answers [`CallOutcome::InputRequired`].
pub trait Client: Send + Sync {
    /// Asks the client: `method` is `elicitation/create`, `sampling/createMessage` or `roots/list`.
    fn request(&self, method: &'static str, params: Value) -> BoxFuture<'_, Result<Value, String>>;
    /// Tells the client, for example `notifications/message`.
    fn notify(&self, method: &'static str, params: Value) -> BoxFuture<'_, ()>;
    /// The capabilities the client declared.
    fn capabilities(&self) -> &Value;
}

/// How a call ended.
#[derive(Debug)]
pub enum CallOutcome {
    Complete(ToolOutcome),
    InputRequired(InputRequired),
}

/// The result of a tool, ready for any transport.
#[derive(Debug, Default)]
pub struct ToolOutcome {
    pub content: Vec<Content>,
    /// Any JSON value as the upstream wrote it; an object wherever an output schema is declared.
    pub structured: Option<Box<RawValue>>,
    pub is_error: bool,
    pub meta: Option<Value>,
}

/// A content block (MCP `ContentBlock`).
#[derive(Debug)]
pub enum Content {
    Text(String),
    /// `data` is base64.
    Image {
        data: String,
        media_type: String,
    },
    Audio {
        data: String,
        media_type: String,
    },
    Resource(Resource),
    Link {
        uri: String,
        name: String,
        media_type: Option<String>,
        size: Option<u64>,
    },
}

/// The contents of a resource.
#[derive(Clone, Debug)]
pub struct Resource {
    pub uri: String,
    pub media_type: Option<String>,
    pub body: ResourceBody,
}

#[derive(Clone, Debug)]
pub enum ResourceBody {
    Text(String),
    /// base64.
    Blob(String),
}

/// Questions the client must answer before the call can go on.
#[derive(Debug)]
pub struct InputRequired {
    /// `inputRequests` as the protocol writes it.
    pub requests: Value,
    pub state: Option<String>,
}

/// A call that did not run at all. Everything that ran and failed is a [`ToolOutcome`] with
/// `is_error`, which the model can read and correct.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("unknown tool: {0}")]
    UnknownTool(String),
    #[error("{0}")]
    InvalidParams(String),
    /// The client lacks a capability the tool needs; the value is what it would have to declare.
    #[error("the client lacks a capability this tool needs")]
    MissingCapability(Value),
    /// The user has to open a page first; the value says which (2025-11-25, client/elicitation, "URL
    /// Elicitation Required Error").
    #[error("the user has to open a page before this can be done")]
    UserHasToVisit(Value),
    #[error("cancelled")]
    Cancelled,
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Tools that come from code instead of a document: the protocol's test fixtures now, the hub and
/// the management tools later. The same [`crate::mcp::server::Server`] and transports serve them.
pub trait Native: Send + Sync {
    fn call<'a>(
        &'a self,
        call: ToolCall,
        cx: &'a CallContext,
    ) -> BoxFuture<'a, Result<CallOutcome, CallError>>;

    /// The resource of that URI, where it is none of the server's own.
    fn read<'a>(&'a self, _uri: &'a str, _cx: &'a CallContext) -> BoxFuture<'a, Option<Resource>> {
        Box::pin(std::future::ready(None))
    }

    /// `prompts/get`; `None` where the prompt is one of the server's own, or none.
    fn prompt<'a>(
        &'a self,
        _name: &'a str,
        _arguments: &'a Value,
        _resumption: Option<Resumption>,
        _cx: &'a CallContext,
    ) -> BoxFuture<'a, Result<Option<Provision>, CallError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Values for an argument of the prompt or resource template that `reference` names.
    fn complete<'a>(
        &'a self,
        _reference: &'a Value,
        _argument: &'a Value,
    ) -> BoxFuture<'a, Vec<String>> {
        Box::pin(std::future::ready(Vec::new()))
    }
}

/// What something other than a tool gives: its result as the protocol writes it, or questions.
#[derive(Debug)]
pub enum Provision {
    Result(Value),
    InputRequired(InputRequired),
}
