//! Every URL there is.

use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::handler::Handler;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode};
use http_body::Body as _;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::{Instrument, Level};

use crate::app::operate::Operations;
use crate::llm::endpoint as llm;
use crate::market::api::{self, Market};
use crate::market::doctor::probe;
use crate::market::pages;
use crate::mcp::endpoint::{Endpoint, given_trace};
use crate::problem::{Problem, ProblemKind};
use crate::types::Slug;

/// The whole table:
///
/// - agents: `/mcp/{slug}`, `/mcp/{slug}/sse`, `/mcp/{slug}/messages`, `/mcp/{slug}/answers/{id}`
/// - programs that ask models: `/v1/…`, `/v1beta/models/…`, and providers' own paths: `/p/{provider}/…`
/// - people: `/`, `/login`, `/publish`, `/imports/{id}`, `/servers/{slug}` and below, `/keys`
/// - programs: `/api/v1/…`
/// - operators: `/healthz`, `/readyz`, `/metrics`, `/admin/health`, `/admin/audit`
/// - the process itself: `/mcp/-/echo`, `/mcp/-/stream`
///
/// Everything else is a problem document with status 404, and a page for browsers.
pub fn router(
    (endpoint, llm): (Endpoint, llm::Endpoint),
    market: Market,
    operations: Operations,
) -> Router {
    let lost = market.clone();
    let all = Router::new()
        .merge(endpoint.router())
        .merge(llm.router())
        .merge(api::router(market.clone()))
        .merge(probe::router(market.clone()))
        .merge(pages::routes::router(market))
        .merge(operations.router());
    let missing = async move |request: Request| pages::routes::missing(&lost, request).await;
    answering(all, missing).layer(middleware::from_fn(observe))
}

/// Answers with a problem document where there is no such method, or where a handler panicked; `missing`
/// answers where there is no such path.
pub fn answering<H, T>(router: Router, missing: H) -> Router
where
    H: Handler<T, ()>,
    T: 'static,
{
    router
        .fallback(missing)
        .method_not_allowed_fallback(async || {
            Problem::new(
                ProblemKind::MethodNotAllowed,
                "the Allow header names the methods there are",
            )
        })
        .layer(CatchPanicLayer::custom(|_| {
            Problem::new(ProblemKind::Internal, "it was logged").into_response()
        }))
}

/// A request id on every answer, a span around every request, a count by route and status, and one
/// event when the answer begins. Nothing of a query or a body is in any of them.
async fn observe(mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = uuid::Uuid::now_v7().simple().to_string();
    let trace = given_trace(request.headers()).unwrap_or_else(|| {
        // The request's own id, for whatever is noted further in.
        if let Ok(parent) = HeaderValue::from_str(&format!("00-{id}-{}-00", &id[16..])) {
            request.headers_mut().insert("traceparent", parent);
        }
        id.clone()
    });
    let path = request.extensions().get::<MatchedPath>();
    let route = path.map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let span = tracing::info_span!("request", request.id = %id, trace.id = %trace);
    let asked = tracing::enabled!(Level::INFO).then(|| Asked::of(&request, &route));
    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    if let Some(asked) = asked {
        span.in_scope(|| asked.answered(&route, &response, began));
    }
    metrics::counter!("causeway_http_requests_total", "route" => route, "status" => status.as_u16().to_string())
        .increment(1);
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", value);
    }
    response
}

/// What the log says of a request.
struct Asked {
    method: Method,
    slug: Option<Slug>,
}

impl Asked {
    fn of(request: &Request, route: &str) -> Self {
        let slug = route.starts_with("/mcp/{").then(|| {
            let path = request.uri().path();
            path.split('/').nth(2).and_then(|slug| slug.parse().ok())
        });
        Self {
            method: request.method().clone(),
            slug: slug.flatten(),
        }
    }

    /// At error what failed inside, at debug what operators' tools ask all the time, at info the rest.
    fn answered(&self, route: &str, response: &Response, began: Instant) {
        let duration_ms = (began.elapsed().as_secs_f64() * 1e6).round() / 1e3;
        let status = response.status().as_u16();
        let bytes = response.body().size_hint().exact();
        let slug = self.slug.as_ref().map(tracing::field::display);
        macro_rules! event {
            ($level:expr) => {
                tracing::event!(
                    $level,
                    method = %self.method, route, status, duration_ms, bytes, server.slug = slug,
                    "{} {route} {status}", self.method
                )
            };
        }
        match (response.status(), route) {
            (StatusCode::INTERNAL_SERVER_ERROR, _) => event!(Level::ERROR),
            (_, "/healthz" | "/readyz" | "/metrics") => event!(Level::DEBUG),
            _ => event!(Level::INFO),
        }
    }
}
