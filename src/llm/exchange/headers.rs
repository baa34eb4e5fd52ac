//! Which of a caller's headers a provider is told.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::llm::dialect::{Dialect, Dropped, TargetModel, bedrock};
use crate::llm::provider::Provider;
use crate::llm::question::Written;

const BETA: HeaderName = HeaderName::from_static("anthropic-beta");
/// Those that say something of the dialect.
const TOLD: [HeaderName; 2] = [
    HeaderName::from_static("anthropic-version"),
    HeaderName::from_static("openai-beta"),
];

/// Headers for a provider, where it is asked in the caller's dialect. What it does not take of them is named; what has a
/// place in the body of another dialect goes there.
pub(super) fn told(
    written: &mut Written,
    (caller, headers): (Dialect, &HeaderMap),
    (provider, model): (&Provider, &TargetModel),
) -> HeaderMap {
    if written.dialect != caller {
        elsewhere(written, headers, (provider, model));
        return HeaderMap::new();
    }
    let mut told = HeaderMap::new();
    for name in TOLD {
        let value = headers.get(&name).cloned();
        told.extend(value.map(|value| (name, value)));
    }
    if headers.contains_key(BETA) {
        let (taken, others) = provider.betas_of(&betas(headers));
        written.dropped.extend(others);
        let taken = taken.and_then(|taken| HeaderValue::try_from(taken).ok());
        told.extend(taken.map(|taken| (BETA, taken)));
    }
    told
}

/// All that are named, in however many headers.
fn betas(headers: &HeaderMap) -> String {
    let said = headers.get_all(BETA).iter();
    let said: Vec<&str> = said.filter_map(|value| value.to_str().ok()).collect();
    said.join(",")
}

/// Betas for Claude on Bedrock, which has them in the body; to others they mean nothing, and are named.
fn elsewhere(
    written: &mut Written,
    headers: &HeaderMap,
    (provider, model): (&Provider, &TargetModel),
) {
    let said = betas(headers);
    if written.dialect == Dialect::Bedrock && bedrock::is_claude(&model.name) {
        let (taken, others) = provider.betas_of(&said);
        written.dropped.extend(others);
        let taken = taken.filter(|taken| !taken.is_empty());
        if let Some(body) = taken.and_then(|taken| bedrock::with_betas(&written.body, &taken)) {
            written.body = body.into();
        }
        return;
    }
    let each = said.split(',').map(str::trim);
    let each = each.filter(|beta| !beta.is_empty());
    let reason = "only Anthropic Messages has betas";
    let named = each.map(|beta| Dropped::new(format!("anthropic-beta.{beta}"), reason));
    written.dropped.extend(named);
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;
    use crate::llm::provider::{Capability, find};

    /// What a model of a kind is told of these betas: its body, the header, and what is named.
    fn asked(kind: &str, model: &str) -> (Value, HeaderMap, Vec<String>) {
        let mut headers = HeaderMap::new();
        for said in ["context-1m-2025-08-07, ,claude-code-20250219", "b"] {
            headers.append(BETA, HeaderValue::from_static(said));
        }
        let provider = find(kind).unwrap();
        let fields = json!({"anthropic_beta": ["a"]});
        let body = json!({"messages": [], "additionalModelRequestFields": fields});
        let mut written = Written {
            dialect: provider.dialect,
            capability: Capability::Chat,
            body: Bytes::from(body.to_string()),
            dropped: Vec::new(),
            hides_usage: false,
        };
        let model = TargetModel {
            name: model.to_owned(),
            max_output_tokens: None,
        };
        let told = told(
            &mut written,
            (Dialect::Anthropic, &headers),
            (provider, &model),
        );
        let dropped = written.dropped.into_iter().map(|dropped| dropped.field);
        let body = serde_json::from_slice(&written.body).unwrap();
        (body, told, dropped.collect())
    }

    #[test]
    fn betas_are_told_where_there_is_a_place_for_them_and_else_named() {
        let all = [
            "anthropic-beta.context-1m-2025-08-07",
            "anthropic-beta.claude-code-20250219",
            "anthropic-beta.b",
        ];
        for (kind, model) in [("openai", "gpt-5"), ("bedrock", "amazon.nova-pro-v1:0")] {
            let (body, told, dropped) = asked(kind, model);
            assert_eq!(dropped, all, "{kind}");
            assert!(told.is_empty(), "{kind}");
            assert_eq!(
                body["additionalModelRequestFields"]["anthropic_beta"],
                json!(["a"])
            );
        }
        let (body, told, dropped) = asked("bedrock", "us.anthropic.claude-sonnet-4-6");
        assert_eq!(dropped, all[1..]);
        assert!(told.is_empty());
        let betas = json!(["a", "context-1m-2025-08-07"]);
        assert_eq!(
            body["additionalModelRequestFields"]["anthropic_beta"],
            betas
        );
        let (_, told, dropped) = asked("anthropic", "claude-sonnet-4-6");
        assert_eq!(told[BETA], "context-1m-2025-08-07, ,claude-code-20250219,b");
        assert_eq!(dropped, Vec::<String>::new());
    }
}
