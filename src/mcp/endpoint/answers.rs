//! Answers that were too large for their results, over HTTP: for whoever got the link, and never as
//! something a browser would run.

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Method, StatusCode};
use serde_json::json;

use crate::access::limit::LimitRefusal;
use crate::answers::Kept;
use crate::mcp::call::RETRY_AFTER;
use crate::mcp::call::reading::{self, Reader};
use crate::mcp::endpoint::Endpoint;
use crate::mcp::endpoint::admit::{admit, rpc_error, say_when};
use crate::mcp::endpoint::wire::{INTERNAL_ERROR, INVALID_REQUEST, RpcError};

pub(super) async fn download(
    State(endpoint): State<Endpoint>,
    Path((slug, id)): Path<(String, String)>,
    request: Request,
) -> Response {
    let is_head = request.method() == Method::HEAD;
    let admitted = match admit(endpoint, &slug, request).await {
        Ok((admitted, _)) => admitted,
        Err(response) => return response,
    };
    if let Some(closed) = &admitted.entry.closed {
        let error = RpcError::new(INVALID_REQUEST, closed.words(&admitted.server.title));
        return rpc_error(StatusCode::NOT_FOUND, &error, None);
    }
    let answers = &admitted.endpoint.0.parts.mcp.answers;
    let kept = match id.parse() {
        Ok(id) => answers.read(&admitted.caller, id).await,
        Err(_) => None,
    };
    let Some(kept) = kept.filter(|kept| kept.server == admitted.server.id) else {
        let error = RpcError::new(
            INVALID_REQUEST,
            "there is no such answer, or no more, or not for this key",
        );
        return rpc_error(StatusCode::NOT_FOUND, &error, None);
    };
    // Whoever asks only what it is reads nothing of it.
    if is_head {
        return file(kept);
    }
    let reader = Reader {
        caller: &admitted.caller,
        peer: admitted.peer,
    };
    let mcp = &admitted.endpoint.0.parts.mcp;
    match reading::count(mcp, &reader, &admitted.server, &kept).await {
        Ok(()) => file(kept),
        Err(refusal) => refused(&refusal),
    }
}

/// An answer that limits keep back from its reader, who is told how long to wait where that is known.
pub(super) fn kept_back(refusal: &LimitRefusal) -> RpcError {
    let code = match refusal {
        LimitRefusal::Exceeded(_) => INVALID_REQUEST,
        LimitRefusal::Uncounted => INTERNAL_ERROR,
    };
    let mut error = RpcError::new(code, refusal.to_string());
    if let LimitRefusal::Exceeded(over) = refusal {
        error.data = Some(json!({ RETRY_AFTER: over.seconds() }));
    }
    error
}

/// The same over HTTP.
fn refused(refusal: &LimitRefusal) -> Response {
    let error = kept_back(refusal);
    match refusal {
        LimitRefusal::Exceeded(over) => {
            let mut response = rpc_error(StatusCode::TOO_MANY_REQUESTS, &error, None);
            say_when(response.headers_mut(), over);
            response
        }
        LimitRefusal::Uncounted => rpc_error(StatusCode::SERVICE_UNAVAILABLE, &error, None),
    }
}

fn file(kept: Kept) -> Response {
    let mut response = Response::new(Body::from(kept.bytes));
    let headers = response.headers_mut();
    let kind = HeaderValue::from_str(&kept.media_type);
    let unknown = HeaderValue::from_static("application/octet-stream");
    headers.insert(CONTENT_TYPE, kind.unwrap_or(unknown));
    for (name, value) in [
        (CONTENT_DISPOSITION, "attachment; filename=\"answer\""),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
