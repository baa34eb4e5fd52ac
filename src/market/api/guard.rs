//! What every request to the management side passes first: the host it names, and for writes where it
//! comes from. A web page of another site can send forms, but not these headers.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::HOST;
use http::{HeaderValue, Method};

use crate::market::api::Market;
use crate::problem::{Problem, ProblemKind};

pub(crate) async fn guard(State(market): State<Market>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let authority = request.uri().authority().map(http::uri::Authority::as_str);
    if let Err(error) = market.0.parts.hosts.admit(headers, authority) {
        return Problem::new(ProblemKind::Forbidden, error.to_string()).into_response();
    }
    let reads = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    let site = headers
        .get("sec-fetch-site")
        .and_then(|value| value.to_str().ok());
    if !reads && matches!(site, Some("cross-site" | "same-site")) {
        let detail = "a page of another site may not change anything here";
        return Problem::new(ProblemKind::Forbidden, detail).into_response();
    }
    let mut request = request;
    // HTTP/2 names the host in the request line only; what reads it later looks in one place.
    if !request.headers().contains_key(HOST)
        && let Some(host) = request.uri().authority().map(ToString::to_string)
        && let Ok(host) = HeaderValue::from_str(&host)
    {
        request.headers_mut().insert(HOST, host);
    }
    next.run(request).await
}
