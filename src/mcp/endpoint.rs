//! The MCP endpoint: streamable HTTP in every protocol version, legacy HTTP+SSE, and stdio.
//!
//! The path of a message: admit (Host, Origin), find the server, authenticate, parse, decide the
//! version, dispatch, answer. All transports share [`dispatch`]; a transport only decides how a
//! message arrives and how its answer leaves.

mod admit;
mod answer;
mod answers;
mod asking;
mod batch;
mod closed;
mod dispatch;
mod finding;
mod headers;
mod hosts;
mod http;
mod legacy;
mod listen;
mod lists;
mod origins;
mod seen;
mod session;
mod standing;
mod stdio;
mod stream;
mod version;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use ::http::header::{CONTENT_TYPE, HeaderName};
use ::http::{Method, StatusCode};
use axum::Router;
use axum::routing::{any, get, post};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::access::authenticate::Authenticator;
use crate::live::Catalog;
use crate::mcp::call::Mcp;
use crate::mcp::endpoint::session::Sessions;
use crate::mcp::endpoint::stream::Streams;
use crate::mcp::endpoint::wire::notification;
use crate::mcp::provider::Progress;
use crate::types::Parent;

pub use crate::mcp::endpoint::hosts::{HostError, HostPolicy};
pub use crate::mcp::endpoint::origins::Origins;
pub use crate::mcp::endpoint::stdio::serve_stdio;

/// The body of one POST, in bytes.
pub const BODY_BYTES_MAX: usize = 4 << 20;
/// How many messages a JSON array may hold.
const BATCH_MAX: usize = 50;
/// How many streams may be open at once, of any kind, and of one holder on one server: a principal,
/// or the strangers of one address.
const STREAMS_MAX: usize = 8_192;
const STREAMS_PER_HOLDER_MAX: usize = 1_024;
/// Legacy HTTP+SSE sessions per server, and per holder on it.
const LEGACY_SESSIONS_MAX: usize = 1_000;
const LEGACY_SESSIONS_PER_HOLDER_MAX: usize = 20;
/// Messages of one running request that wait to be sent.
const MESSAGES_MAX: usize = 64;

/// What an endpoint is made of.
pub struct EndpointParts {
    pub catalog: Catalog,
    pub authenticator: Authenticator,
    pub mcp: Arc<Mcp>,
    pub hosts: HostPolicy,
    /// Whose web pages may call beside our own.
    pub origins: Origins,
    /// Whether legacy HTTP+SSE is served where a server does not say.
    pub legacy_sse: bool,
    /// The path before every path of ours, as clients reach us; often empty.
    pub prefix: String,
    /// What our addresses begin with for whoever sends these headers.
    pub reached_at: ReachedAt,
    /// Ends every stream.
    pub shutdown: CancellationToken,
}

/// What our addresses begin with, as the sender of a request reaches us.
pub type ReachedAt = Arc<dyn Fn(&::http::HeaderMap) -> String + Send + Sync>;

/// The MCP side of a process. Cheap to clone.
#[derive(Clone)]
pub struct Endpoint(Arc<Inner>);

struct Inner {
    parts: EndpointParts,
    sessions: Sessions,
    legacy: Sessions,
    streams: Arc<Streams>,
    /// The server at `/mcp` itself, where there is only one.
    only: Option<String>,
}

/// What clients hold open.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    pub sessions: usize,
    pub legacy_sessions: usize,
    pub streams: usize,
}

impl Endpoint {
    /// Serves every server of the catalog below `/mcp/`.
    pub fn new(parts: EndpointParts) -> Self {
        Self::with(parts, None)
    }

    /// Serves one server at `/mcp` (and below `/mcp/` by its slug).
    pub fn single(parts: EndpointParts, slug: &str) -> Self {
        Self::with(parts, Some(slug.to_owned()))
    }

    fn with(parts: EndpointParts, only: Option<String>) -> Self {
        Self(Arc::new(Inner {
            parts,
            sessions: Sessions::default(),
            legacy: Sessions::default(),
            streams: Arc::new(Streams::new(STREAMS_MAX, STREAMS_PER_HOLDER_MAX)),
            only,
        }))
    }

    /// What clients hold open: sessions, legacy sessions, and streams of any kind.
    pub fn held(&self) -> Held {
        Held {
            sessions: self.0.sessions.count(),
            legacy_sessions: self.0.legacy.count(),
            streams: self.0.streams.count(),
        }
    }

    /// The routes. Any method goes to the endpoint, which answers each as the versions ask.
    pub fn router(self) -> Router {
        let cors = CorsLayer::new()
            .allow_origin(AllowOrigin::mirror_request())
            .allow_methods([Method::GET, Method::POST, Method::DELETE, Method::OPTIONS])
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers([
                HeaderName::from_static("mcp-session-id"),
                HeaderName::from_static("mcp-protocol-version"),
                HeaderName::from_static("x-request-id"),
                ::http::header::WWW_AUTHENTICATE,
                ::http::header::RETRY_AFTER,
            ])
            .max_age(Duration::from_hours(1));
        let mut router = Router::new()
            .route("/mcp/{slug}", any(http::handle))
            // People type it.
            .route("/mcp/{slug}/", any(http::handle))
            .route("/mcp/{slug}/sse", get(legacy::open))
            .route("/mcp/{slug}/messages", post(legacy::receive))
            .route("/mcp/{slug}/answers/{id}", get(answers::download));
        if self.0.only.is_some() {
            router = router
                .route("/mcp", any(http::handle_only))
                .route("/mcp/sse", get(legacy::open_only))
                .route("/mcp/messages", post(legacy::receive_only));
        }
        router.layer(cors).with_state(self)
    }
}

/// Progress for one request: notifications with its token, dropped when nobody reads fast enough.
fn progress(token: &str, messages: mpsc::Sender<String>) -> Progress {
    let token: serde_json::Value = serde_json::from_str(token).unwrap_or_default();
    Progress(Some(Arc::new(move |done, total, message| {
        let mut params = serde_json::json!({ "progressToken": token, "progress": done });
        if let Some(total) = total {
            params["total"] = total.into();
        }
        if let Some(message) = message {
            params["message"] = message.into();
        }
        // A full channel means that newer progress is on its way.
        let _ = messages.try_send(notification("notifications/progress", &params));
    })))
}

/// 32 hexadecimal digits: the trace id of a W3C `traceparent`, or a fresh one.
pub fn trace_id(headers: &::http::HeaderMap) -> String {
    given_trace(headers).unwrap_or_else(|| uuid::Uuid::now_v7().simple().to_string())
}

/// The span of the client's that a request belongs to.
pub fn parent(headers: &::http::HeaderMap) -> Option<Parent> {
    Parent::read(headers.get("traceparent")?.to_str().ok()?)
}

/// The trace id of a W3C `traceparent`.
pub fn given_trace(headers: &::http::HeaderMap) -> Option<String> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let id = text.split('-').nth(1)?;
    let valid = id.len() == 32
        && id
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        && id.bytes().any(|b| b != b'0');
    valid.then(|| id.to_owned())
}

/// A body that is JSON, or says nothing of what it is.
fn is_json(headers: &::http::HeaderMap) -> Result<(), StatusCode> {
    match headers
        .get(CONTENT_TYPE)
        .map(|value| value.to_str().unwrap_or_default())
    {
        None => Ok(()),
        Some(kind)
            if kind
                .trim_start()
                .to_ascii_lowercase()
                .starts_with("application/json") =>
        {
            Ok(())
        }
        Some(_) => Err(StatusCode::UNSUPPORTED_MEDIA_TYPE),
    }
}
