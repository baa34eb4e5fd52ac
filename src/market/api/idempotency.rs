//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a request that is sent again with the
//! same key is done once, and answered the same for a day.
//!
//! The claim is stored before the request is done and its answer after that. A process that ends in
//! between leaves a claim without an answer: nobody knows whether the request had its effect, so it is
//! never done again under that key, and the answer says so.

mod fingerprint;

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use http::header::{CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

use crate::access::authenticate::digest;
use crate::access::person::Person;
use crate::access::vault::{RowIdentity, Sealed};
use crate::extract::Identity;
use crate::market::api::Market;
use crate::market::api::idempotency::fingerprint::fingerprint;
use crate::problem::{Problem, ProblemKind};
use crate::store::idempotency::{Claim, NewRequest, RequestRow};
use crate::store::{Store, StoreError};
use crate::types::{Clock, OrganizationId};

const HEADER: &str = "idempotency-key";
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const KEY_BYTES_MAX: usize = 255;
/// How long an answer is kept, and how long a request is believed to run.
const KEPT: TimeDelta = TimeDelta::hours(24);
const LEASE: TimeDelta = TimeDelta::minutes(2);
/// Requests of one person that are remembered.
const REQUESTS_MAX: i64 = 10_000;
/// The body of an answer that is kept; of a longer one only status and headers are.
const ANSWER_BYTES_MAX: usize = 1 << 20;
const RESPONSE_BYTES_MAX: usize = 64 << 20;
/// Headers of an answer that are kept.
const HEADERS: [HeaderName; 3] = [CONTENT_TYPE, ETAG, LOCATION];
/// How often is looked for requests whose time is over, and how many go at once.
const SWEEP: Duration = Duration::from_mins(10);
const SWEEP_ROWS: i64 = 500;
/// A call is the API's affair: Causeway does not know what sending it again does.
const NOT_OURS: &str = "/api/v1/servers/{slug}/tools/{tool}/call";

/// A request that came with a key, by somebody who may send it.
struct Ticket {
    organization: OrganizationId,
    principal: String,
    given: [u8; 32],
}

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    headers: Vec<(String, String)>,
    /// In base64; `None`: it was too long.
    body: Option<String>,
}

/// Does a request with a key once.
pub(super) async fn once(State(market): State<Market>, request: Request, next: Next) -> Response {
    let ticket = match ticket(&request) {
        Ok(Some(ticket)) => ticket,
        Ok(None) => return next.run(request).await,
        Err(problem) => return problem.into_response(),
    };
    let done = carry_out(market, ticket, request, next).await;
    done.unwrap_or_else(Problem::into_response)
}

/// The ticket of a request; `None` where it has no key, or none is honoured.
fn ticket(request: &Request) -> Result<Option<Ticket>, Problem> {
    let path = request.extensions().get::<MatchedPath>();
    let ours = path.is_some_and(|path| path.as_str() != NOT_OURS);
    let given = request.headers().get(HEADER);
    let identity = request.extensions().get::<Identity>();
    let person = identity.and_then(|identity| identity.person.as_ref());
    let (Some(given), Some(person)) = (given, person) else {
        return Ok(None);
    };
    if request.method() != Method::POST || !ours {
        return Ok(None);
    }
    Ok(Some(Ticket {
        organization: person.organization(),
        principal: principal(person),
        given: digest(key(given)?),
    }))
}

fn principal(person: &Person) -> String {
    match person.user() {
        Some(user) => format!("user:{user}"),
        None => "admin".to_owned(),
    }
}

/// The key of a header: a string of structured fields (RFC 9651), or the same without quotes.
fn key(value: &HeaderValue) -> Result<&str, Problem> {
    let text = value.to_str().unwrap_or_default().trim();
    let quoted = text.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    let key = quoted.unwrap_or(text);
    let plain = key.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'"');
    if key.is_empty() || key.len() > KEY_BYTES_MAX || !plain {
        let detail = format!(
            "`Idempotency-Key` is 1 to {KEY_BYTES_MAX} characters of ASCII, in quotes or without"
        );
        return Err(Problem::new(ProblemKind::Invalid, detail));
    }
    Ok(key)
}

async fn carry_out(
    market: Market,
    ticket: Ticket,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let bytes_max = market.0.parts.document_bytes_max + (1 << 20);
    let body = to_bytes(body, bytes_max).await.map_err(|_| {
        let detail = format!("a request has at most {bytes_max} bytes");
        Problem::new(ProblemKind::TooLarge, detail)
    })?;
    let fingerprint = fingerprint(&parts, &body);
    let id = Uuid::now_v7();
    let publisher = &market.0.parts.publisher;
    let now = publisher.clock.now();
    let new = NewRequest {
        id,
        organization: ticket.organization,
        principal: &ticket.principal,
        given: ticket.given,
        fingerprint,
        lease_until: now + LEASE,
        expires_at: now + KEPT,
    };
    match publisher.store.claim_request(&new, REQUESTS_MAX, now).await {
        Ok(Claim::Ours) => {}
        Ok(Claim::Before(row)) if row.fingerprint != fingerprint => return Err(reused()),
        Ok(Claim::Before(row)) => return again(&market, ticket.organization, &row),
        Ok(Claim::Full) => return Err(full()),
        Err(StoreError::Stale) => return Err(running()),
        Err(error) => return Err(error.into()),
    }
    let row = RowIdentity {
        organization: ticket.organization,
        row: id,
        subject: None,
    };
    let request = Request::from_parts(parts, Body::from(body));
    // It goes on if the client leaves: whoever asks again is told how it ended. It ends as every
    // request does.
    let work = async move { keep(&market, row, next.run(request).await).await };
    let done = tokio::spawn(work.instrument(tracing::Span::current())).await;
    done.map_err(|error| Problem::internal(&error))
}

/// Stores what a request was answered with, or lets go of it where it had no effect.
async fn keep(market: &Market, row: RowIdentity, response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, RESPONSE_BYTES_MAX).await else {
        let detail = "the answer is too long to be given";
        return Problem::new(ProblemKind::Unprocessable, detail).into_response();
    };
    let publisher = &market.0.parts.publisher;
    let stored = if has_no_effect(parts.status) {
        publisher.store.release_request(row.row).await
    } else {
        let kept = Kept {
            headers: kept_headers(&parts.headers),
            body: (body.len() <= ANSWER_BYTES_MAX).then(|| STANDARD.encode(&body)),
        };
        let text = zeroize::Zeroizing::new(serde_json::to_vec(&kept).unwrap_or_default());
        match publisher.vault.seal(&text, &row) {
            Ok(Sealed { key_id, bytes }) => {
                let status = parts.status.as_u16();
                let kept = publisher
                    .store
                    .keep_outcome(row.row, status, (&key_id, &bytes));
                kept.await.map(drop)
            }
            Err(error) => {
                tracing::error!(%error, "the answer of a request with an Idempotency-Key cannot be sealed");
                Ok(())
            }
        }
    };
    if let Err(error) = stored {
        tracing::error!(%error, "what came of a request with an Idempotency-Key cannot be stored");
    }
    Response::from_parts(parts, Body::from(body))
}

/// Whether nothing was done: the request was refused, or could not be begun.
fn has_no_effect(status: StatusCode) -> bool {
    status.is_client_error() || status == StatusCode::SERVICE_UNAVAILABLE
}

fn kept_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let kept = HEADERS.iter().filter_map(|name| {
        let value = headers.get(name)?.to_str().ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    });
    kept.collect()
}

/// The answer of a request that was done before.
fn again(
    market: &Market,
    organization: OrganizationId,
    row: &RequestRow,
) -> Result<Response, Problem> {
    let publisher = &market.0.parts.publisher;
    if row.status == 0 {
        let runs = row.lease_until > publisher.clock.now().timestamp_micros();
        return Err(if runs { running() } else { unknown() });
    }
    let sealed = Sealed {
        key_id: row.key_id.clone(),
        bytes: row.sealed.clone(),
    };
    let identity = RowIdentity {
        organization,
        row: row.id,
        subject: None,
    };
    let opened = publisher.vault.open(&sealed, &identity);
    let opened = opened.map_err(|error| Problem::internal(&error))?;
    let kept: Kept = serde_json::from_slice(&opened).map_err(|error| Problem::internal(&error))?;
    let status = u16::try_from(row.status).ok();
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status.unwrap_or(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    for (name, value) in &kept.headers {
        let name = HEADERS.iter().find(|known| known.as_str() == name);
        if let (Some(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
    *response.body_mut() = match kept.body.map(|text| STANDARD.decode(text)) {
        Some(Ok(body)) => Body::from(body),
        _ => Body::from("{\"detail\":\"it was done before; its answer is too long to be kept\"}"),
    };
    Ok(response)
}

fn running() -> Problem {
    let detail =
        "the first request with this Idempotency-Key is still being done; ask again in a while";
    Problem::new(ProblemKind::Conflict, detail)
}

fn unknown() -> Problem {
    let detail = "the first request with this Idempotency-Key was cut off before its answer was stored: it may \
                  have been done or not. Look at what is there, then send it with another key if it was not";
    Problem::new(ProblemKind::Conflict, detail)
}

fn reused() -> Problem {
    let detail =
        "this Idempotency-Key was sent with another request; each request needs a key of its own";
    Problem::new(ProblemKind::Unprocessable, detail)
}

fn full() -> Problem {
    let detail = format!("at most {REQUESTS_MAX} requests with an Idempotency-Key a day");
    Problem::new(ProblemKind::TooManyRequests, detail)
}

/// Forgets requests whose time is over, some at a time, until `stop`.
pub async fn sweep(store: Store, clock: Clock, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(SWEEP) => {}
        }
        loop {
            match store.expire_requests(clock.now(), SWEEP_ROWS).await {
                Ok(gone) if gone == SWEEP_ROWS.unsigned_abs() => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "old Idempotency-Keys could not be forgotten");
                    break;
                }
            }
            if stop.is_cancelled() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_some_ascii_in_quotes_or_without() {
        let read = |text: &[u8]| {
            let value = HeaderValue::from_bytes(text).unwrap();
            key(&value).ok().map(str::to_owned)
        };
        assert_eq!(read(b"abc"), Some("abc".to_owned()));
        assert_eq!(read(b"\"abc\""), Some("abc".to_owned()));
        for wrong in [&b""[..], b"\"\"", b"a\"b", "é".as_bytes(), &[b'a'; 256]] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn what_was_refused_may_be_sent_again() {
        for (status, free) in [
            (201, false),
            (202, false),
            (400, true),
            (409, true),
            (500, false),
            (503, true),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(has_no_effect(status), free, "{status}");
        }
    }
}
