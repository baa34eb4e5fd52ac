//! `/p/{provider}/…`: requests that are passed through to a provider as they are.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use futures::{StreamExt, TryStreamExt};
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, StatusCode};
use http_body::Body as _;

use crate::egress::Upload;
use crate::llm::dialect::Dialect;
use crate::llm::endpoint::{Endpoint, TARGET, peer, pieces_of, refuse, tell_request};
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::forward::PassedBody;
use crate::llm::through::{Came, Through, UPLOAD_BYTES_MAX, pass_through};
use crate::mcp::endpoint::{parent, trace_id};

pub(super) fn router() -> Router<Endpoint> {
    Router::new().route("/p/{provider}/{*path}", any(through))
}

async fn through(State(endpoint): State<Endpoint>, request: Request) -> Response {
    match carried(&endpoint, request).await {
        Ok(came) => answered(came),
        Err(fault) => refuse(Dialect::OpenaiChat, &fault),
    }
}

async fn carried(endpoint: &Endpoint, request: Request) -> Result<Came, Fault> {
    let (parts, body) = request.into_parts();
    let caller = endpoint.caller(&parts).await?;
    check_length(parts.headers.get(CONTENT_LENGTH))?;
    // As it was sent: what a provider's path means with its escapes is the provider's to say.
    let mut pieces = parts.uri.path().splitn(4, '/').skip(2);
    let provider = pieces.next().unwrap_or_default().to_owned();
    let path = pieces.next().unwrap_or_default().to_owned();
    let asked = Through {
        provider,
        path,
        method: parts.method.clone(),
        query: parts.uri.query().map(str::to_owned),
        body: upload(body),
        peer: peer(&parts),
        trace_id: trace_id(&parts.headers),
        parent: parent(&parts.headers),
        headers: parts.headers,
    };
    pass_through(&endpoint.llm, &caller, asked).await
}

/// A body that is longer than one may be is not begun.
pub(super) fn check_length(length: Option<&HeaderValue>) -> Result<(), Fault> {
    let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > UPLOAD_BYTES_MAX) {
        let text = format!("the body is longer than {UPLOAD_BYTES_MAX} bytes");
        return Err(Fault::new(FaultClass::TooLarge, text));
    }
    Ok(())
}

/// A body as it comes; `None`: there is none.
pub(super) fn upload(body: Body) -> Option<Upload> {
    if body.is_end_stream() {
        return None;
    }
    let pieces = body.into_data_stream().map_err(std::io::Error::other);
    Some(pieces.boxed())
}

/// What a provider said, with its status and its headers.
pub(super) fn answered(came: Came) -> Response {
    let body = match came.body {
        PassedBody::Whole(body) => Body::from(body),
        PassedBody::Chunks(pieces) => pieces_of(pieces),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(came.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let headers = response.headers_mut();
    *headers = came.headers;
    // What a provider, or whoever stored a file there, says is nothing to be run in our name.
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; sandbox"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    tell_request(headers, came.provider_request.as_deref());
    if let Ok(target) = HeaderValue::from_str(&came.target) {
        headers.insert(TARGET, target);
    }
    response
}
