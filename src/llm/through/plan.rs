//! What a provider is asked for that is passed a request: below its own base, without the caller's keys.

use bytes::Bytes;
use http::Method;
use http::header::CONTENT_LENGTH;

use crate::llm::fault::{Fault, FaultClass};
use crate::llm::live::LiveProvider;
use crate::llm::provider::{Auth, leads_out};
use crate::llm::through::Through;
use crate::llm::through::headers::outgoing;
use crate::types::UpstreamRequest;

const PATH_BYTES_MAX: usize = 2_048;
const QUERY_BYTES_MAX: usize = 8_192;
/// Segments of paths at which callers keep what is theirs: where a provider's files are open at `/v1/files`, which knows
/// whose they are, they are nowhere else.
const KEPT: [&str; 3] = ["files", "batches", "uploads"];

/// What the provider is sent, without its credential.
pub(super) fn planned(provider: &LiveProvider, asked: &Through) -> Result<UpstreamRequest, Fault> {
    if matches!(asked.method, Method::CONNECT | Method::TRACE) {
        let text = "requests of this method are not passed through";
        return Err(Fault::new(FaultClass::Unsupported, text));
    }
    let query = asked.query.as_deref().unwrap_or_default();
    if asked.path.len() > PATH_BYTES_MAX || query.len() > QUERY_BYTES_MAX {
        let text =
            format!("a path has at most {PATH_BYTES_MAX} bytes, and a query {QUERY_BYTES_MAX}");
        return Err(Fault::new(FaultClass::TooLarge, text));
    }
    if leads_out(&asked.path) {
        let text = "the path has an empty part, a step out, or something that is no text";
        return Err(Fault::invalid("path", text));
    }
    let is_kept = |part: &str| {
        let part = part.trim().to_ascii_lowercase();
        KEPT.iter().any(|kept| part.starts_with(kept))
    };
    if provider.files && plain(&asked.path).split('/').any(is_kept) {
        let text = "files and batches of this provider are at /v1/files and /v1/batches, where each caller finds its own";
        return Err(Fault::new(FaultClass::Forbidden, text));
    }
    let (definition, parameters) = (&provider.provider, &provider.parameters);
    let url = definition.url_at(parameters, &asked.path, &passed_query(provider, query));
    let url = url.map_err(|error| Fault::new(FaultClass::Invalid, error.to_string()))?;
    let mut headers = outgoing(&asked.headers, definition);
    if let Some(length) = asked
        .headers
        .get(CONTENT_LENGTH)
        .filter(|_| asked.body.is_some())
    {
        headers.insert(CONTENT_LENGTH, length.clone());
    }
    Ok(UpstreamRequest {
        method: asked.method.clone(),
        url,
        headers,
        body: Bytes::new(),
    })
}

/// A path of which nothing is escaped any more: what its provider may take it for. [`leads_out`] bounds how often that
/// can be.
pub(super) fn plain(path: &str) -> String {
    let mut text = path.to_owned();
    loop {
        let decoded = percent_encoding::percent_decode_str(&text).decode_utf8_lossy();
        if decoded == text {
            return text;
        }
        text = decoded.into_owned();
    }
}

/// The caller's query, without a key of ours, and without what a provider's own key goes by.
fn passed_query(provider: &LiveProvider, query: &str) -> String {
    let own = match &provider.provider.auth {
        Auth::Query(name) => name.as_str(),
        _ => "key",
    };
    let is_passed = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
        name != "key" && name != own
    };
    let pairs: Vec<&str> = query.split('&').filter(is_passed).collect();
    pairs.join("&")
}
