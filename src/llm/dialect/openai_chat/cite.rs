//! What a text is based on: `annotations`
//! (<https://platform.openai.com/docs/guides/tools-web-search?api-mode=chat>).

use serde_json::{Map, Value, json};

use crate::llm::chat::Citation;
use crate::llm::dialect::openai_chat::OWN;

/// One annotation. Those that are no `url_citation` are kept as they are.
pub(crate) fn decode(annotation: Value) -> Citation {
    let inner = annotation.get("url_citation");
    let text = |name: &str| {
        let value = inner.and_then(|inner| inner.get(name))?;
        value.as_str().map(str::to_owned)
    };
    let count = |name: &str| inner.and_then(|inner| inner.get(name)?.as_u64());
    Citation {
        url: text("url"),
        title: text("title"),
        quote: text("content"),
        span: count("start_index").zip(count("end_index")),
        whole: Some((OWN, annotation)),
    }
}

/// An annotation of a text that starts at `from` characters and has `length` of them; nothing where there is no
/// URL to name.
pub(crate) fn encode(citation: &Citation, from: u64, length: u64) -> Option<Value> {
    if let Some((OWN, whole)) = &citation.whole {
        return Some(whole.clone());
    }
    let url = citation.url.as_deref()?;
    let (start, end) = citation.span.unwrap_or((0, length));
    let mut inner = Map::new();
    inner.insert("start_index".to_owned(), (from + start).into());
    inner.insert("end_index".to_owned(), (from + end).into());
    inner.insert(
        "title".to_owned(),
        citation.title.as_deref().unwrap_or(url).into(),
    );
    inner.insert("url".to_owned(), url.into());
    Some(json!({"type": "url_citation", "url_citation": inner}))
}
