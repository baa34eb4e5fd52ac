//! Every URL there is.

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;

use crate::app::operate::Operations;
use crate::market::api::{self, Market};
use crate::market::pages;
use crate::mcp::endpoint::Endpoint;
use crate::problem::{Problem, ProblemKind};

/// The whole table:
///
/// - agents: `/mcp/{slug}`, `/mcp/{slug}/sse`, `/mcp/{slug}/messages`
/// - people: `/`, `/login`, `/publish`, `/imports/{id}`, `/servers/{slug}` and below, `/keys`
/// - programs: `/api/v1/…`
/// - operators: `/healthz`, `/readyz`, `/metrics`
///
/// Everything else is a problem document with status 404.
pub fn router(endpoint: Endpoint, market: Market, operations: Operations) -> Router {
    Router::new()
        .merge(endpoint.router())
        .merge(api::router(market.clone()))
        .merge(pages::routes::router(market))
        .merge(operations.router())
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || {
            Problem::new(
                ProblemKind::MethodNotAllowed,
                "the Allow header names the methods there are",
            )
        })
        .layer(CatchPanicLayer::custom(|_| {
            Problem::new(ProblemKind::Internal, "it was logged").into_response()
        }))
        .layer(middleware::from_fn(observe))
}

/// A request id on every answer, a span around every request, and a count by route and status.
async fn observe(request: Request, next: Next) -> Response {
    let id = uuid::Uuid::now_v7().simple().to_string();
    let path = request.extensions().get::<MatchedPath>();
    let route = path.map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let span = tracing::info_span!("request", request.id = %id, http.request.method = %request.method(), http.route = %route);
    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    metrics::counter!("causeway_http_requests_total", "route" => route, "status" => status.as_u16().to_string())
        .increment(1);
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        span.in_scope(|| tracing::error!("answered 500"));
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", value);
    }
    response
}
