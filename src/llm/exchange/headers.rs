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

/// Headers for a provider, where it is asked in the caller's dialect, and what it does not take of them.
pub(super) fn told(
    is_same: bool,
    headers: &HeaderMap,
    provider: &Provider,
) -> (HeaderMap, Vec<Dropped>) {
    if !is_same {
        return (HeaderMap::new(), untold(headers));
    }
    let (mut told, mut dropped) = (HeaderMap::new(), Vec::new());
    for name in TOLD {
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

/// What a provider that is asked in another dialect cannot be told: each beta by its name.
fn untold(headers: &HeaderMap) -> Vec<Dropped> {
    let said = headers.get_all(BETA).iter();
    let said = said.filter_map(|value| value.to_str().ok());
    let betas = said.flat_map(|said| said.split(',')).map(str::trim);
    let betas = betas.filter(|beta| !beta.is_empty());
    let reason = "only Anthropic Messages has betas";
    betas
        .map(|beta| Dropped::new(format!("anthropic-beta.{beta}"), reason))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn betas_are_named_where_another_dialect_is_spoken() {
        let mut headers = HeaderMap::new();
        assert_eq!(untold(&headers), []);
        for said in ["context-1m-2025-08-07, ,a", "b"] {
            headers.append(BETA, HeaderValue::from_static(said));
        }
        let fields = untold(&headers).into_iter().map(|dropped| dropped.field);
        let fields: Vec<String> = fields.collect();
        let named = [
            "anthropic-beta.context-1m-2025-08-07",
            "anthropic-beta.a",
            "anthropic-beta.b",
        ];
        assert_eq!(fields, named);
    }
}
