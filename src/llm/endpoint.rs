//! The addresses models are asked at, each in the protocol of whoever made it up.
//!
//! Errors are said in the caller's dialect, also those about its key.

mod dropped;
mod kept;
mod models;
mod others;
mod through;

use std::borrow::Cow;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::sync::mpsc;

use crate::access::authenticate::{Authenticator, key_of};
use crate::access::caller::Caller;
use crate::llm::dialect::{Dialect, EncodedError};
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::pieces::{BrokenOff, Piece};
use crate::llm::proxy::{Asked, Llm, Reply, ReplyBody, ask};
use crate::llm::question::{Addressed, Streaming};
use crate::llm::reserve::limit_fault;
use crate::mcp::endpoint::{Origins, parent, trace_id};

/// The body of one request.
pub const BODY_BYTES_MAX: usize = 32 << 20;
/// Who answered, and what could not be passed on.
const TARGET: HeaderName = HeaderName::from_static("x-causeway-target");
const DROPPED: HeaderName = HeaderName::from_static("x-causeway-dropped");
/// What the provider calls the request, beside `x-request-id`, which is ours.
const PROVIDER_REQUEST: HeaderName = HeaderName::from_static("x-causeway-provider-request-id");
/// Which limit is used up (draft-ietf-httpapi-ratelimit-headers).
const RATE_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATE: HeaderName = HeaderName::from_static("ratelimit");
/// Official clients ask again after every status from 500 on, but where this says otherwise.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// Other headers a key of ours comes in: Gemini's clients, and Azure's.
const KEY_HEADERS: [&str; 2] = ["x-goog-api-key", "api-key"];

/// The side of a process that models are asked at. Cheap to clone.
#[derive(Clone)]
pub struct Endpoint {
    pub llm: Arc<Llm>,
    pub authenticator: Authenticator,
    /// Whose web pages may ask from browsers.
    pub origins: Origins,
}

impl Endpoint {
    /// The routes.
    pub fn router(self) -> Router {
        let offered = Router::new()
            .route("/v1/chat/completions", post(chat))
            .route("/v1/responses", post(responses))
            .route("/v1/messages", post(messages))
            .route("/v1/models", get(models::list))
            .route("/v1/models/{*name}", get(models::show).post(gemini))
            .route("/v1beta/models", get(models::list_gemini))
            .route(
                "/v1beta/models/{*name}",
                get(models::show_gemini).post(gemini),
            )
            .merge(others::router())
            .merge(kept::router())
            .route("/v1/{*path}", any(unknown))
            .route("/v1beta/{*path}", any(unknown))
            // Before the layer, which answers only where there is something to answer otherwise: browsers ask first, by OPTIONS.
            .method_not_allowed_fallback(not_allowed);
        let offered = match self.origins.layer() {
            Some(layer) => offered.layer(layer),
            None => offered,
        };
        let through = through::router().method_not_allowed_fallback(not_allowed);
        offered.merge(through).with_state(self)
    }

    /// Who asks. A key may come as each protocol's own clients send it.
    async fn caller(&self, parts: &Parts) -> Result<Caller, Fault> {
        let headers = with_key(parts);
        let caller = self.authenticator.authenticate(&headers).await;
        let text = match caller {
            Ok(caller) if !caller.is_anonymous() => return Ok(caller),
            Ok(_) => "an API key is needed: send it as `Authorization: Bearer`, `x-api-key` or `x-goog-api-key`".to_owned(),
            Err(error) if error.is_ours() => {
                return Err(Fault::new(FaultClass::Overloaded, error.to_string()));
            }
            Err(error) => error.to_string(),
        };
        // Whoever tries keys is a stranger, too.
        let knocked = self.llm.limiter.knock(peer(parts)).await;
        knocked.map_err(|exceeded| limit_fault(&exceeded.into()))?;
        Err(Fault::new(FaultClass::Unauthenticated, text))
    }
}

/// The headers of a request, with the key where ours are looked for.
fn with_key(parts: &Parts) -> Cow<'_, HeaderMap> {
    let headers = &parts.headers;
    if !matches!(key_of(headers), Ok(None)) {
        return Cow::Borrowed(headers);
    }
    let other = KEY_HEADERS
        .iter()
        .find_map(|name| headers.get(*name).cloned());
    let query = || {
        let query = parts.uri.query()?;
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        let (_, key) = pairs.find(|(name, _)| name == "key")?;
        HeaderValue::from_str(&key).ok()
    };
    let Some(key) = other.or_else(query) else {
        return Cow::Borrowed(headers);
    };
    let mut headers = headers.clone();
    headers.insert("x-api-key", key);
    Cow::Owned(headers)
}

async fn chat(state: State<Endpoint>, request: Request) -> Response {
    answer(&state, Dialect::OpenaiChat, Addressed::default(), request).await
}

async fn responses(state: State<Endpoint>, request: Request) -> Response {
    answer(
        &state,
        Dialect::OpenaiResponses,
        Addressed::default(),
        request,
    )
    .await
}

async fn messages(state: State<Endpoint>, request: Request) -> Response {
    answer(&state, Dialect::Anthropic, Addressed::default(), request).await
}

/// `{model}:generateContent` and `{model}:streamGenerateContent`.
async fn gemini(state: State<Endpoint>, Path(name): Path<String>, request: Request) -> Response {
    let (model, what) = name.rsplit_once(':').unwrap_or((&name, ""));
    let query = request.uri().query().unwrap_or_default();
    let stream = match what {
        "generateContent" => None,
        "streamGenerateContent" => Some(Streaming {
            array: !query.split('&').any(|pair| pair == "alt=sse"),
        }),
        _ => {
            let text = format!(
                "`{what}` is not offered here; generateContent and streamGenerateContent are"
            );
            return refuse(Dialect::Gemini, &Fault::new(FaultClass::Unsupported, text));
        }
    };
    let addressed = Addressed {
        model: Some(model.to_owned()),
        stream,
    };
    answer(&state, Dialect::Gemini, addressed, request).await
}

/// Said in the words of whose addresses it is among.
async fn unknown(request: Request) -> Response {
    unsupported(dialect_of(&request), &request)
}

fn unsupported(dialect: Dialect, request: &Request) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    let text = format!("{method} {path} is not offered here");
    refuse(dialect, &Fault::new(FaultClass::Unsupported, text))
}

/// An address that is offered with other methods; which these are is added by the framework.
async fn not_allowed(request: Request) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    let text = format!("{method} is not offered at {path}; the Allow header names what is");
    let fault = Fault::new(FaultClass::Invalid, text);
    let mut encoded = dialect_of(&request).encode_error(&fault);
    encoded.status = StatusCode::METHOD_NOT_ALLOWED.as_u16();
    if let Some(code) = encoded.body.pointer_mut("/error/code")
        && code.is_number()
    {
        *code = encoded.status.into();
    }
    encoded_response(&encoded, &fault)
}

/// Whose words are used where nobody was asked: of whose addresses it is among, and of whose client asks.
fn dialect_of(request: &Request) -> Dialect {
    let path = request.uri().path();
    let messages = path.strip_prefix("/v1/messages");
    let of_messages = messages.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if path.starts_with("/v1beta/") {
        Dialect::Gemini
    } else if of_messages {
        Dialect::Anthropic
    } else {
        models::asked_in(request.headers())
    }
}

async fn answer(
    endpoint: &Endpoint,
    dialect: Dialect,
    addressed: Addressed,
    request: Request,
) -> Response {
    match carry_out(endpoint, dialect, addressed, request).await {
        Ok(reply) => replied(reply),
        Err(fault) => refuse(dialect, &fault),
    }
}

async fn carry_out(
    endpoint: &Endpoint,
    dialect: Dialect,
    addressed: Addressed,
    request: Request,
) -> Result<Reply, Fault> {
    let (parts, body) = request.into_parts();
    let caller = endpoint.caller(&parts).await?;
    let body = read_up_to(&parts.headers, body, BODY_BYTES_MAX).await?;
    let asked = Asked {
        dialect,
        addressed,
        peer: peer(&parts),
        trace_id: trace_id(&parts.headers),
        parent: parent(&parts.headers),
        headers: parts.headers,
        body,
        receipt: None,
    };
    ask(&endpoint.llm, &caller, asked).await
}

async fn read_up_to(headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Bytes, Fault> {
    refuse_compressed(headers)?;
    axum::body::to_bytes(body, bytes_max).await.map_err(|_| {
        let text = format!("the body is longer than {bytes_max} bytes, or broke off");
        Fault::new(FaultClass::TooLarge, text)
    })
}

/// What has to be understood here is read as it comes.
fn refuse_compressed(headers: &HeaderMap) -> Result<(), Fault> {
    let values = headers.get_all(CONTENT_ENCODING).iter();
    let named = values.flat_map(|value| value.to_str().unwrap_or("?").split(','));
    let mut named = named.map(str::trim);
    let is_none = |name: &str| name.is_empty() || name.eq_ignore_ascii_case("identity");
    match named.find(|name| !is_none(name)) {
        None => Ok(()),
        Some(name) => {
            let shown: String = name.chars().take(40).collect();
            let text = format!(
                "the body is compressed (`content-encoding: {shown}`), which is not read here: send it as it is"
            );
            Err(Fault::new(FaultClass::MediaType, text))
        }
    }
}

/// A body that is written as its chunks come.
fn body_of(chunks: mpsc::Receiver<Bytes>) -> Body {
    let chunks = stream::unfold(chunks, async |mut chunks| {
        Some((chunks.recv().await?, chunks))
    });
    Body::from_stream(chunks.map(Ok::<_, Infallible>))
}

/// The same of one that breaks off where there is no end.
fn pieces_of(pieces: mpsc::Receiver<Piece>) -> Body {
    let pieces = stream::unfold(Some(pieces), async |pieces| {
        let mut pieces = pieces?;
        match pieces.recv().await {
            Some(Piece::More(bytes)) => Some((Ok(bytes), Some(pieces))),
            Some(Piece::End) => None,
            None => Some((Err(BrokenOff), None)),
        }
    });
    Body::from_stream(pieces)
}

/// Where a request came from.
fn peer(parts: &Parts) -> Option<IpAddr> {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map(|peer| peer.0.ip())
}

fn replied(reply: Reply) -> Response {
    let (content_type, body) = match reply.body {
        ReplyBody::Whole(body) => ("application/json", Body::from(body)),
        ReplyBody::Stream {
            content_type,
            chunks,
        } => (content_type, body_of(chunks)),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(target) = HeaderValue::from_str(&reply.target) {
        headers.insert(TARGET, target);
    }
    tell_request(headers, reply.provider_request.as_deref());
    if let Some(dropped) = dropped::header(&reply.dropped) {
        headers.insert(DROPPED, dropped);
    }
    response
}

fn tell_request(headers: &mut HeaderMap, id: Option<&str>) {
    if let Some(id) = id.and_then(|id| HeaderValue::from_str(id).ok()) {
        headers.insert(PROVIDER_REQUEST, id);
    }
}

/// A fault in a dialect's words.
pub(crate) fn refuse(dialect: Dialect, fault: &Fault) -> Response {
    encoded_response(&dialect.encode_error(fault), fault)
}

fn encoded_response(encoded: &EncodedError, fault: &Fault) -> Response {
    let status = StatusCode::from_u16(encoded.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = (status, encoded.body.to_string()).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(after) = fault.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
    }
    if fault.class == FaultClass::Unsupported {
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    tell_request(headers, fault.provider_request.as_deref());
    if let Some(rate) = &fault.rate {
        for (name, value) in [(RATE_POLICY, &rate.policy), (RATE, &rate.state)] {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        }
    }
    response
}
