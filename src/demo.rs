//! The demo: two documents, and a small real API behind them, inside the process.
//!
//! Its data lives in memory, is bounded, and is gone with the process. It knows nothing of the
//! product; the product reaches it as it reaches any API, through the documents.

mod bookshop;
pub mod model;
mod petstore;
mod picture;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response as AxumResponse};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response, StatusCode};
use serde_json::json;
use tower::ServiceExt;

use crate::egress::InternalService;

/// Slug and document of each server of the demo.
pub const DOCUMENTS: [(&str, &str); 2] = [
    ("petstore", include_str!("../specs-examples/petstore.yaml")),
    ("bookshop", include_str!("../specs-examples/bookshop.yaml")),
];

/// The host both documents name. It exists inside the process only.
pub const HOST: &str = "demo.internal";

/// Rows a table holds at most; the oldest make room.
const ROWS_MAX: usize = 1_000;
const BODY_BYTES_MAX: usize = 1 << 20;

/// The API of both documents, with fresh data.
pub fn service() -> InternalService {
    let router = Router::new()
        .nest("/petstore", petstore::router())
        .nest("/bookshop", bookshop::router())
        .fallback(async || problem(StatusCode::NOT_FOUND, "there is nothing at this path"));
    InternalService::new(tower::service_fn(move |request: Request<Bytes>| {
        let router = router.clone();
        async move {
            let answered = router.oneshot(request.map(Body::from)).await;
            let (parts, body) = answered.unwrap_or_else(|never| match never {}).into_parts();
            let body = axum::body::to_bytes(body, BODY_BYTES_MAX)
                .await
                .unwrap_or_default();
            Ok(Response::from_parts(parts, body))
        }
    }))
}

/// An error as both documents describe it.
fn problem(status: StatusCode, detail: &str) -> AxumResponse {
    let title = status.canonical_reason().unwrap_or_default();
    let body = json!({ "title": title, "status": status.as_u16(), "detail": detail });
    (
        status,
        [(CONTENT_TYPE, "application/problem+json")],
        body.to_string(),
    )
        .into_response()
}
