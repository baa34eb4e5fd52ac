//! Addresses that are passed on as they are.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};

use crate::access::caller::Caller;
use crate::llm::count;
use crate::llm::dialect::{Dialect, anthropic};
use crate::llm::endpoint::{
    BODY_BYTES_MAX, Endpoint, TARGET, peer, pieces_of, read_up_to, refuse, tell_request,
};
use crate::llm::exact::{TEXT_BYTES_MAX, vocabularies};
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::forward::{Passed, PassedBody, Wanted, forward};
use crate::llm::provider::Capability;
use crate::llm::proxy::Llm;
use crate::mcp::endpoint::{parent, trace_id};
use crate::tokens;

/// The body of a request with sound or pictures in it.
const MEDIA_BYTES_MAX: usize = 64 << 20;

/// Where each is offered.
const PASSED_ON: [(&str, Capability); 10] = [
    ("/v1/embeddings", Capability::Embeddings),
    ("/v1/completions", Capability::Completions),
    ("/v1/rerank", Capability::Rerank),
    ("/v1/moderations", Capability::Moderations),
    ("/v1/images/generations", Capability::Images),
    ("/v1/images/edits", Capability::ImageEdits),
    ("/v1/images/variations", Capability::ImageVariations),
    ("/v1/audio/speech", Capability::Speech),
    ("/v1/audio/transcriptions", Capability::Transcriptions),
    ("/v1/audio/translations", Capability::Translations),
];

pub(super) fn router() -> Router<Endpoint> {
    let mut router = Router::new();
    for (path, capability) in PASSED_ON {
        let handler = async move |State(endpoint): State<Endpoint>, request: Request| match pass(
            &endpoint, capability, request,
        )
        .await
        {
            Ok(passed) => answered(passed),
            Err(fault) => refuse(Dialect::OpenaiChat, &fault),
        };
        router = router.route(path, post(handler));
    }
    router.route("/v1/messages/count_tokens", post(count_tokens))
}

/// `POST /v1/messages/count_tokens`: asked of the model's provider where it counts; else counted here with the vocabulary of
/// OpenAI's models, and estimated for all others.
async fn count_tokens(State(endpoint): State<Endpoint>, request: Request) -> Response {
    match counted(&endpoint, request).await {
        Ok(passed) => answered(passed),
        Err(fault) => refuse(Dialect::Anthropic, &fault),
    }
}

async fn counted(endpoint: &Endpoint, request: Request) -> Result<Passed, Fault> {
    let (parts, body) = request.into_parts();
    let caller = endpoint.caller(&parts).await?;
    let body = read_up_to(&parts.headers, body, BODY_BYTES_MAX).await?;
    let wanted = Wanted {
        capability: Capability::CountTokens,
        dialect: Some(Dialect::Anthropic),
        content_type: HeaderValue::from_static("application/json"),
        body: body.clone(),
        peer: peer(&parts),
        trace_id: trace_id(&parts.headers),
        parent: parent(&parts.headers),
        headers: parts.headers,
    };
    match forward(&endpoint.llm, &caller, wanted).await {
        Err(fault) if fault.class == FaultClass::Unsupported => {
            counted_here(&endpoint.llm, &caller, &body).await
        }
        passed => passed,
    }
}

async fn counted_here(llm: &Llm, caller: &Caller, body: &[u8]) -> Result<Passed, Fault> {
    let read = serde_json::from_slice(body)
        .map_err(|error| Fault::new(FaultClass::Invalid, error.to_string()))?;
    let request = Arc::new(anthropic::decode_count_tokens(read)?);
    let model = llm.models.find(caller, &request.model)?;
    let vocabulary = vocabularies(&model, &request.model)
        .filter(|_| body.len() <= TEXT_BYTES_MAX)
        .and_then(|all| all.first().copied());
    let exact = match vocabulary {
        Some(vocabulary) => {
            let request = request.clone();
            let count = move || count::count(&request, &|text| vocabulary.count(text));
            let counted = llm.counting.done(count).await;
            counted.map(|count| (count, vocabulary.name()))
        }
        None => None,
    };
    let estimate = || (count::count(&request, &tokens::estimate), "estimate");
    let (count, by) = exact.unwrap_or_else(estimate);
    let count = anthropic::encode_token_count(count);
    Ok(Passed {
        target: by.to_owned(),
        status: 200,
        content_type: Some(HeaderValue::from_static("application/json")),
        provider_request: None,
        body: PassedBody::Whole(count.to_string().into()),
    })
}

async fn pass(
    endpoint: &Endpoint,
    capability: Capability,
    request: Request,
) -> Result<Passed, Fault> {
    let (parts, body) = request.into_parts();
    let caller = endpoint.caller(&parts).await?;
    let json = || HeaderValue::from_static("application/json");
    let wanted = Wanted {
        capability,
        dialect: None,
        content_type: parts
            .headers
            .get(CONTENT_TYPE)
            .cloned()
            .unwrap_or_else(json),
        body: read_up_to(&parts.headers, body, MEDIA_BYTES_MAX).await?,
        peer: peer(&parts),
        trace_id: trace_id(&parts.headers),
        parent: parent(&parts.headers),
        headers: parts.headers,
    };
    forward(&endpoint.llm, &caller, wanted).await
}

fn answered(passed: Passed) -> Response {
    let body = match passed.body {
        PassedBody::Whole(body) => Body::from(body),
        PassedBody::Chunks(pieces) => pieces_of(pieces),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(passed.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(content_type) = passed.content_type {
        headers.insert(CONTENT_TYPE, content_type);
    }
    tell_request(headers, passed.provider_request.as_deref());
    if let Ok(target) = HeaderValue::from_str(&passed.target) {
        headers.insert(TARGET, target);
    }
    response
}
