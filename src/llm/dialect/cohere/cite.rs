//! What a text is based on (<https://docs.cohere.com/docs/rag-citations>).

use serde_json::Value;

use crate::llm::chat::Citation;
use crate::llm::dialect::cohere::OWN;

/// A citation, one for each of its sources; each holds all of it.
pub(crate) fn decode(whole: &Value) -> Vec<Citation> {
    let sources = whole.get("sources").and_then(Value::as_array);
    let sources: Vec<&Value> = sources.into_iter().flatten().collect();
    if sources.is_empty() {
        return vec![cited(whole, &Value::Null)];
    }
    sources
        .into_iter()
        .map(|source| cited(whole, source))
        .collect()
}

/// Whether it is about the text, not about a thought or a plan.
pub(crate) fn is_of_text(whole: &Value) -> bool {
    let kind = whole.get("type").and_then(Value::as_str);
    kind.is_none_or(|kind| kind == "TEXT_CONTENT")
}

/// The part of the content that it is about.
pub(crate) fn content_index(whole: &Value) -> Option<u64> {
    whole.get("content_index").and_then(Value::as_u64)
}

fn cited(whole: &Value, source: &Value) -> Citation {
    let held = ["document", "tool_output"];
    let held = held.into_iter().find_map(|name| source.get(name));
    let field = |names: &[&str]| {
        let found = names.iter().find_map(|name| held?.get(name)?.as_str());
        found.map(str::to_owned)
    };
    let at = |name: &str| whole.get(name).and_then(Value::as_u64);
    Citation {
        url: field(&["url", "link"]).filter(|url| url.contains("://")),
        title: field(&["title", "name"]),
        quote: field(&["snippet", "text", "content"]),
        span: at("start").zip(at("end")),
        whole: Some((OWN, whole.clone())),
    }
}

/// Cohere's citations as they came, each once.
pub(crate) fn encode(citations: &[Citation]) -> Vec<Value> {
    let mut written: Vec<Value> = Vec::new();
    for citation in citations {
        if let Some((OWN, whole)) = &citation.whole
            && written.last() != Some(whole)
        {
            written.push(whole.clone());
        }
    }
    written
}
