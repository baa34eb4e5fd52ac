//! The models there are, as each protocol lists them.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::request::Parts;
use serde_json::{Value, json};

use crate::llm::dialect::Dialect;
use crate::llm::endpoint::{Endpoint, refuse};
use crate::llm::fault::Fault;
use crate::llm::live::refuse_without_models;

/// What stands where nobody knows when a model was made.
const LONG_AGO: &str = "1970-01-01T00:00:00Z";

pub(super) async fn list(State(endpoint): State<Endpoint>, parts: Parts) -> Response {
    let dialect = asked_in(&parts.headers);
    match names(&endpoint, &parts).await {
        Ok(names) => Json(listed(dialect, &names)).into_response(),
        Err(fault) => refuse(dialect, &fault),
    }
}

pub(super) async fn list_gemini(State(endpoint): State<Endpoint>, parts: Parts) -> Response {
    match names(&endpoint, &parts).await {
        Ok(names) => Json(listed(Dialect::Gemini, &names)).into_response(),
        Err(fault) => refuse(Dialect::Gemini, &fault),
    }
}

pub(super) async fn show(
    State(endpoint): State<Endpoint>,
    Path(name): Path<String>,
    parts: Parts,
) -> Response {
    one(&endpoint, asked_in(&parts.headers), &name, &parts).await
}

pub(super) async fn show_gemini(
    State(endpoint): State<Endpoint>,
    Path(name): Path<String>,
    parts: Parts,
) -> Response {
    one(&endpoint, Dialect::Gemini, &name, &parts).await
}

/// Whose client asks at an address that several protocols have: Anthropic's says which version it speaks, Google's what
/// it is.
pub(super) fn asked_in(headers: &HeaderMap) -> Dialect {
    let has = |name: &&str| headers.contains_key(*name);
    if has(&"anthropic-version") {
        Dialect::Anthropic
    } else if ["x-goog-api-client", "x-goog-api-key"].iter().any(has) {
        Dialect::Gemini
    } else {
        Dialect::OpenaiChat
    }
}

async fn one(endpoint: &Endpoint, dialect: Dialect, name: &str, parts: &Parts) -> Response {
    let found = async {
        let caller = endpoint.caller(parts).await?;
        endpoint.llm.models.find(&caller, name)
    };
    match found.await {
        Ok(_) => Json(shown(dialect, name)).into_response(),
        Err(fault) => refuse(dialect, &fault),
    }
}

/// The names a caller can ask for, by name.
async fn names(endpoint: &Endpoint, parts: &Parts) -> Result<Vec<String>, Fault> {
    let caller = endpoint.caller(parts).await?;
    refuse_without_models(&caller)?;
    let mut names = endpoint.llm.models.names(caller.organization);
    names.retain(|name| caller.may_ask(name));
    Ok(names)
}

fn listed(dialect: Dialect, names: &[String]) -> Value {
    let all: Vec<Value> = names.iter().map(|name| shown(dialect, name)).collect();
    match dialect {
        Dialect::Anthropic => json!({
            "data": all,
            "has_more": false,
            "first_id": names.first(),
            "last_id": names.last(),
        }),
        Dialect::Gemini => json!({ "models": all }),
        _ => json!({ "object": "list", "data": all }),
    }
}

fn shown(dialect: Dialect, name: &str) -> Value {
    match dialect {
        Dialect::Anthropic => json!({
            "type": "model",
            "id": name,
            "display_name": name,
            "created_at": LONG_AGO,
        }),
        Dialect::Gemini => json!({
            "name": format!("models/{name}"),
            "displayName": name,
            "supportedGenerationMethods": ["generateContent", "streamGenerateContent"],
        }),
        _ => json!({ "id": name, "object": "model", "created": 0, "owned_by": "causeway" }),
    }
}
