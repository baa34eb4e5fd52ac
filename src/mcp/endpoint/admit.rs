//! Who may speak at all: everything that is decided before a body is read, and the answers to those
//! who may not.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, COOKIE, HeaderName, WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::time::timeout;

use crate::access::authenticate::{AuthenticationError, Recognised};
use crate::access::caller::Caller;
use crate::access::limit::Exceeded;
use crate::credential::pass::Passed;
use crate::live::Entry;
use crate::mcp::call::passed;
use crate::mcp::endpoint::hosts::HostError;
use crate::mcp::endpoint::stream::OpenStream;
use crate::mcp::endpoint::wire::{INTERNAL_ERROR, INVALID_REQUEST, PARSE_ERROR, RpcError};
use crate::mcp::endpoint::{BODY_BYTES_MAX, Endpoint, is_json, parent, seen, trace_id};
use crate::mcp::server::Server;
use crate::policy::Subject;
use crate::types::Parent;

/// How long the body of a request may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A request that was let in: whose it is, and for which server.
pub(super) struct Admitted {
    pub(super) endpoint: Endpoint,
    pub(super) entry: Arc<Entry>,
    pub(super) server: Arc<Server>,
    pub(super) caller: Caller,
    pub(super) known: Recognised,
    /// Where the client calls from.
    pub(super) peer: Option<IpAddr>,
    /// Whose share of the limits this takes.
    pub(super) holder: String,
    /// What the client sent, without its key.
    pub(super) headers: HeaderMap,
    pub(super) trace_id: String,
    pub(super) parent: Option<Parent>,
    /// What of the headers may be passed on to the API.
    pub(super) passed: Arc<Passed>,
    /// The ceiling of the client's address, where this request is above it.
    pub(super) over: Option<Exceeded>,
    /// What our addresses begin with, where users are led to any.
    pub(super) base: String,
}

impl Admitted {
    /// Counts a stream of this caller until the answer is dropped; `None` when too many are open.
    pub(super) fn stream(&self) -> Option<OpenStream> {
        let streams = &self.endpoint.0.streams;
        streams.open(self.server.id, self.holder.clone())
    }
}

/// What is answered where we are not called by a name of ours, or from a page that may not call us.
fn foreign(endpoint: &Endpoint, head: &Parts) -> Option<Response> {
    // HTTP/2 names the host in the URI.
    let authority = head.uri.authority().map(ToString::to_string);
    let parts = &endpoint.0.parts;
    let error = parts
        .hosts
        .admit(&head.headers, authority.as_deref())
        .err()?;
    if matches!(error, HostError::Origin(_)) && parts.origins.admit(&head.headers) {
        return None;
    }
    let error = RpcError::new(INVALID_REQUEST, error.to_string());
    Some(rpc_error(StatusCode::FORBIDDEN, &error, None))
}

/// Host and Origin, the server, the caller, the filters: everything that is decided before the body
/// is read, which is given back.
pub(super) async fn admit(
    endpoint: Endpoint,
    slug: &str,
    request: Request,
) -> Result<(Admitted, Body), Response> {
    let (mut head, body) = request.into_parts();
    if let Some(refusal) = foreign(&endpoint, &head) {
        return Err(refusal);
    }
    let noted = |response: &Response| seen::refused(&endpoint, (slug, None), response.status());
    let recognised = recognise(&endpoint, &head).await;
    let (known, peer, over) = recognised.inspect_err(noted)?;
    let authenticator = &endpoint.0.parts.authenticator;
    let caller = known.caller.clone();
    for name in [AUTHORIZATION, COOKIE, HeaderName::from_static("x-api-key")] {
        head.headers.remove(name);
    }
    let entry = endpoint.0.parts.catalog.find(slug);
    let entry = entry.ok_or_else(|| no_server(slug))?;
    if !entry.is_known_to(&caller) {
        let refusal = if entry.asks_for_key(&caller) {
            challenge(
                "this server needs an API key: send it as Authorization: Bearer or X-API-Key",
                "Bearer",
            )
        } else {
            no_server(slug)
        };
        seen::refused(&endpoint, (slug, caller.key), refusal.status());
        return Err(refusal);
    }
    let server = load(&endpoint, &entry).await?.for_caller(&caller);
    let trace_id = trace_id(&head.headers);
    let parent = parent(&head.headers);
    let about = Subject {
        caller: &caller,
        server: entry.id,
        tool: None,
        trace_id: &trace_id,
    };
    let policies = &endpoint.0.parts.mcp.policies;
    if let Err(refusal) = policies.request(about, &mut head).await {
        let error = RpcError::new(INVALID_REQUEST, refusal.to_string());
        return Err(rpc_error(StatusCode::FORBIDDEN, &error, None));
    }
    let passed = passed(authenticator, &server, &head.headers).await;
    let base = if server.settings.user_accounts.is_empty() {
        String::new()
    } else {
        (endpoint.0.parts.reached_at)(&head.headers)
    };
    let admitted = Admitted {
        base,
        endpoint,
        entry,
        server,
        holder: caller.holder(peer),
        peer,
        caller,
        known,
        headers: head.headers,
        trace_id,
        parent,
        passed,
        over,
    };
    Ok((admitted, body))
}

/// The compiled server, or that it cannot be served now.
async fn load(endpoint: &Endpoint, entry: &Entry) -> Result<Arc<Server>, Response> {
    let loaded = endpoint.0.parts.catalog.server(entry.id).await;
    loaded.map_err(|error| {
        tracing::error!(server.slug = %entry.slug, error = %error, "a server cannot be loaded");
        let error = RpcError::new(INTERNAL_ERROR, error.to_string());
        rpc_error(StatusCode::SERVICE_UNAVAILABLE, &error, None)
    })
}

/// Who calls from where, and whether that is above the ceiling for those without a key, at which only a
/// message may still be read: it may be a call, which is answered as one.
async fn recognise(
    endpoint: &Endpoint,
    head: &Parts,
) -> Result<(Recognised, Option<IpAddr>, Option<Exceeded>), Response> {
    let peer = head.extensions.get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map(|peer| peer.0.ip());
    let limiter = &endpoint.0.parts.mcp.limiter;
    let known = match endpoint
        .0
        .parts
        .authenticator
        .recognise(&head.headers)
        .await
    {
        Ok(known) => known,
        Err(error) if error.is_ours() => return Err(unauthenticated(&error)),
        // Whoever tries keys is a stranger.
        Err(error) => {
            return Err(match limiter.knock(peer).await {
                Ok(()) => unauthenticated(&error),
                Err(over) => too_many_requests(&over, None),
            });
        }
    };
    let over = if known.caller.is_anonymous() {
        limiter.knock(peer).await.err()
    } else {
        None
    };
    if let Some(over) = over.as_ref().filter(|_| head.method != Method::POST) {
        return Err(too_many_requests(over, None));
    }
    Ok((known, peer, over))
}

fn no_server(slug: &str) -> Response {
    let name: String = slug.chars().take(64).collect();
    let error = RpcError::new(
        INVALID_REQUEST,
        format!("there is no server \"{name}\" here, or not for this key"),
    );
    rpc_error(StatusCode::NOT_FOUND, &error, None)
}

fn unauthenticated(error: &AuthenticationError) -> Response {
    if error.is_ours() {
        let error = RpcError::new(INTERNAL_ERROR, error.to_string());
        return rpc_error(StatusCode::SERVICE_UNAVAILABLE, &error, None);
    }
    challenge(&error.to_string(), &error.challenge())
}

/// Status 429 with what to wait for. A tool call is answered with a tool error instead: clients end
/// their session at a status like this.
pub(super) fn too_many_requests(over: &Exceeded, id: Option<&str>) -> Response {
    let error = RpcError::new(INVALID_REQUEST, over.to_string());
    let mut response = rpc_error(StatusCode::TOO_MANY_REQUESTS, &error, id);
    say_when(response.headers_mut(), over);
    response
}

/// Adds what programs read of a limit that is used up.
pub(super) fn say_when(headers: &mut HeaderMap, over: &Exceeded) {
    let (policy, rest) = over.headers();
    for (name, value) in [
        ("retry-after", over.seconds().to_string()),
        ("ratelimit-policy", policy),
        ("ratelimit", rest),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
}

fn challenge(message: &str, challenge: &str) -> Response {
    let error = RpcError::new(INVALID_REQUEST, message.to_owned());
    let mut response = rpc_error(StatusCode::UNAUTHORIZED, &error, None);
    if let Ok(value) = HeaderValue::from_str(challenge) {
        response.headers_mut().insert(WWW_AUTHENTICATE, value);
    }
    response
}

/// An error for a request, or for a body that is none.
pub(super) fn rpc_error(status: StatusCode, error: &RpcError, id: Option<&str>) -> Response {
    json_response(status, error.to_message(id))
}

pub(super) fn json_response(status: StatusCode, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A body as text, within its limits.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Response> {
    match timeout(BODY_TIMEOUT, read_whole(headers, body)).await {
        Ok(read) => read,
        Err(_) => {
            let error = RpcError::new(INVALID_REQUEST, "the message did not arrive in time");
            Err(rpc_error(StatusCode::REQUEST_TIMEOUT, &error, None))
        }
    }
}

async fn read_whole(headers: &HeaderMap, body: Body) -> Result<Bytes, Response> {
    if let Err(status) = is_json(headers) {
        let error = RpcError::new(INVALID_REQUEST, "send Content-Type: application/json");
        return Err(rpc_error(status, &error, None));
    }
    let read = to_bytes(body, BODY_BYTES_MAX).await;
    let bytes = read.map_err(|_| {
        let error = RpcError::new(
            INVALID_REQUEST,
            format!("a message has at most {BODY_BYTES_MAX} bytes"),
        );
        rpc_error(StatusCode::PAYLOAD_TOO_LARGE, &error, None)
    })?;
    if std::str::from_utf8(&bytes).is_err() {
        return Err(rpc_error(
            StatusCode::BAD_REQUEST,
            &RpcError::new(PARSE_ERROR, "not UTF-8"),
            None,
        ));
    }
    Ok(bytes)
}
