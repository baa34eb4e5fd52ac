//! What a process asks of itself from outside: an answer nobody else can give, and a stream that shows
//! whether something in between holds it back. Both lie where clients speak MCP, so that they take the
//! same way through a proxy; no server can have their name.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use futures::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Uri};
use serde::{Deserialize, Serialize};

use crate::extract::Query;
use crate::market::api::Market;
use crate::problem::{Problem, ProblemKind};

pub const ECHO: &str = "/mcp/-/echo";
pub const STREAM: &str = "/mcp/-/stream";

/// Events of a stream, and the time between two.
const EVENTS: usize = 4;
const APART: Duration = Duration::from_millis(400);
/// How long a stream takes that nothing holds back.
pub(super) const STREAM_TAKES: Duration = Duration::from_millis(1_200);
const NONCE_BYTES_MAX: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    nonce: String,
}

/// What a process says of itself.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Echo {
    pub(super) causeway: String,
    pub(super) answer: String,
    /// Whether the request's host is one of ours.
    pub(super) admitted: bool,
}

/// The routes, outside of every guard: whether a guard lets through is what is asked.
pub fn router(market: Market) -> Router {
    Router::new()
        .route(ECHO, get(echo))
        .route(STREAM, get(streamed))
        .with_state(market)
}

async fn echo(
    State(market): State<Market>,
    uri: Uri,
    headers: HeaderMap,
    Query(Asked { nonce }): Query<Asked>,
) -> Result<Response, Problem> {
    if nonce.len() > NONCE_BYTES_MAX {
        let said = format!("`nonce` has at most {NONCE_BYTES_MAX} bytes");
        return Err(Problem::new(ProblemKind::Invalid, said));
    }
    let authority = uri.authority().map(http::uri::Authority::as_str);
    let parts = &market.0.parts;
    let echo = Echo {
        causeway: env!("CARGO_PKG_VERSION").to_owned(),
        answer: parts.doctor.sign(&nonce),
        admitted: parts.hosts.admit(&headers, authority).is_ok(),
    };
    Ok(([(CACHE_CONTROL, "no-store")], Json(echo)).into_response())
}

async fn streamed(State(market): State<Market>) -> Result<Response, Problem> {
    let streams = market.0.parts.doctor.0.streams.clone();
    let permit = streams.try_acquire_owned().map_err(|_| {
        Problem::new(
            ProblemKind::Unavailable,
            "too many of these streams are open",
        )
    })?;
    let events = stream::unfold((0, permit), async |(sent, permit)| {
        if sent == EVENTS {
            return None;
        }
        if sent > 0 {
            tokio::time::sleep(APART).await;
        }
        let event = Bytes::from(format!("data: {sent}\n\n"));
        Some((Ok::<_, Infallible>(event), (sent + 1, permit)))
    });
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}
