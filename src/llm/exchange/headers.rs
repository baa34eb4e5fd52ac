//! Which of a caller's headers a provider is told.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::llm::dialect::Dropped;
use crate::llm::provider::Provider;

const BETA: HeaderName = HeaderName::from_static("anthropic-beta");
/// Those that say something of the dialect.
const TOLD: [HeaderName; 3] = [
    BETA,
    HeaderName::from_static("anthropic-version"),
    HeaderName::from_static("openai-beta"),
];

/// Headers for a provider that is asked in the caller's dialect, and what it does not take of them.
pub(super) fn told(
    is_same: bool,
    headers: &HeaderMap,
    provider: &Provider,
) -> (HeaderMap, Vec<Dropped>) {
    let (mut told, mut dropped) = (HeaderMap::new(), Vec::new());
    for name in TOLD.into_iter().filter(|_| is_same) {
        let Some(value) = headers.get(&name) else {
            continue;
        };
        let value = match value.to_str() {
            Ok(said) if name == BETA => {
                let (taken, others) = provider.betas_of(said);
                dropped.extend(others);
                taken.and_then(|taken| HeaderValue::try_from(taken).ok())
            }
            _ => Some(value.clone()),
        };
        told.extend(value.map(|value| (name, value)));
    }
    (told, dropped)
}
