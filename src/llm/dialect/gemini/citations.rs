//! What a text is based on: `groundingMetadata` of searches, `citationMetadata` of what was learned
//! (<https://ai.google.dev/gemini-api/docs/google-search>). Google counts in bytes, the neutral form in characters.

use serde_json::{Map, Value, json};

use crate::llm::chat::Citation;
use crate::llm::dialect::Dialect;

/// A text of an answer, for finding what is said of it.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    /// The neutral part.
    pub(crate) index: usize,
    /// The part of the content.
    pub(crate) wire: usize,
    pub(crate) text: String,
}

/// The citations of a candidate, each with the neutral part that it belongs to.
pub(crate) fn read(about: &Map<String, Value>, said: &[Said]) -> Vec<(usize, Citation)> {
    let mut found = Vec::new();
    if let Some(grounding) = about.get("groundingMetadata") {
        let none = Vec::new();
        let list = |name: &str| grounding.get(name).and_then(Value::as_array);
        let chunks = list("groundingChunks").unwrap_or(&none);
        for support in list("groundingSupports").unwrap_or(&none) {
            supported(support, chunks, said, &mut found);
        }
    }
    let learned = about.get("citationMetadata");
    let learned = learned.and_then(|learned| {
        let list = learned
            .get("citations")
            .or_else(|| learned.get("citationSources"));
        list.and_then(Value::as_array)
    });
    for citation in learned.into_iter().flatten() {
        found.extend(recited(citation, said));
    }
    found
}

/// One support names a piece of the text, and the sources it stands on.
fn supported(support: &Value, chunks: &[Value], said: &[Said], found: &mut Vec<(usize, Citation)>) {
    let segment = &support["segment"];
    let from = number(&segment["startIndex"]);
    let until = number(&segment["endIndex"]);
    let quoted = segment["text"].as_str().unwrap_or_default();
    let wire = number(&segment["partIndex"]);
    let exact = |said: &&Said| !quoted.is_empty() && said.text.get(from..until) == Some(quoted);
    let text = said
        .iter()
        .find(exact)
        .or_else(|| said.iter().find(|said| said.wire == wire))
        .or_else(|| said.last());
    let Some(text) = text else { return };
    let indices = support["groundingChunkIndices"].as_array();
    for chunk in indices.into_iter().flatten() {
        let Some(chunk) = chunks.get(number(chunk)) else {
            continue;
        };
        let source = ["web", "retrievedContext", "maps", "image"]
            .into_iter()
            .find_map(|kind| chunk.get(kind));
        let field = |name: &str| Some(source?.get(name)?.as_str()?.to_owned());
        let citation = Citation {
            url: field("uri").or_else(|| field("sourceUri")),
            title: field("title"),
            quote: field("text"),
            span: characters(&text.text, from, until),
            whole: Some((
                Dialect::Gemini,
                json!({"groundingChunk": chunk, "groundingSupport": support}),
            )),
        };
        found.push((text.index, citation));
    }
}

/// A source that the text repeats: its place counts through all texts.
fn recited(citation: &Value, said: &[Said]) -> Option<(usize, Citation)> {
    let (mut from, mut until) = (
        number(&citation["startIndex"]),
        number(&citation["endIndex"]),
    );
    let mut texts = said.iter();
    let text = loop {
        let text = texts.next()?;
        if from < text.text.len() || texts.len() == 0 {
            break text;
        }
        from -= text.text.len();
        until = until.saturating_sub(text.text.len());
    };
    let field = |name: &str| citation[name].as_str().map(str::to_owned);
    let read = Citation {
        url: field("uri"),
        title: field("title"),
        quote: None,
        span: characters(&text.text, from, until),
        whole: Some((Dialect::Gemini, json!({"citation": citation}))),
    };
    Some((text.index, read))
}

fn number(value: &Value) -> usize {
    value
        .as_u64()
        .and_then(|number| usize::try_from(number).ok())
        .unwrap_or(0)
}

/// Bytes as characters; `None` where they part one.
fn characters(text: &str, from: usize, until: usize) -> Option<(u64, u64)> {
    if from >= until {
        return None;
    }
    let count = |until: usize| Some(text.get(..until)?.chars().count() as u64);
    Some((count(from)?, count(until.min(text.len()))?))
}

/// The byte at which a character begins.
fn byte_of(text: &str, character: u64) -> usize {
    let nth = usize::try_from(character).unwrap_or(usize::MAX);
    text.char_indices()
        .nth(nth)
        .map_or(text.len(), |(at, _)| at)
}

/// Writes `groundingMetadata` from citations of another dialect.
#[derive(Debug, Default)]
pub(crate) struct Grounding {
    chunks: Vec<Value>,
    supports: Vec<Value>,
}

impl Grounding {
    /// Takes in what a text cites.
    pub(crate) fn add(&mut self, said: &Said, citations: &[Citation]) {
        for citation in citations {
            let chunk = chunk(citation);
            let place = self.chunks.iter().position(|known| *known == chunk);
            let place = place.unwrap_or_else(|| {
                self.chunks.push(chunk);
                self.chunks.len() - 1
            });
            let Some((from, until)) = citation.span else {
                continue;
            };
            let (from, until) = (byte_of(&said.text, from), byte_of(&said.text, until));
            let text = said.text.get(from..until).unwrap_or_default();
            self.supports.push(json!({
                "segment": {"partIndex": said.wire, "startIndex": from, "endIndex": until, "text": text},
                "groundingChunkIndices": [place],
            }));
        }
    }

    /// `None` where nothing was cited.
    pub(crate) fn write(self) -> Option<Value> {
        (!self.chunks.is_empty())
            .then(|| json!({"groundingChunks": self.chunks, "groundingSupports": self.supports}))
    }
}

fn chunk(citation: &Citation) -> Value {
    if let Some((Dialect::Gemini, whole)) = &citation.whole
        && let Some(chunk) = whole.get("groundingChunk")
    {
        return chunk.clone();
    }
    let mut source = Map::new();
    let mut put = |name: &str, value: &Option<String>| {
        crate::llm::fields::put(&mut source, name, value.clone());
    };
    put("uri", &citation.url);
    put("title", &citation.title);
    if citation.url.is_some() {
        return json!({"web": source});
    }
    put("text", &citation.quote);
    json!({"retrievedContext": source})
}
