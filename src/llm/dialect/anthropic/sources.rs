//! What a caller gives a model to cite, for models that are asked in other dialects: results of a search
//! (<https://platform.claude.com/docs/en/build-with-claude/search-results>), and documents in pieces. Both are text.
//!
//! | of Anthropic | to others |
//! |---|---|
//! | `search_result` | `searchResult` for Claude on Bedrock; else a text of its title, its source and what it says |
//! | `document` of `content` | a document of plain text |

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::llm::chat::{CacheMark, ChatRequest, Document, Opaque, Part, Source, Text};
use crate::llm::dialect::{Dialect, Dropped, TargetModel, bedrock};

const RESULT: &str = "search_result";
const DOCUMENT: &str = "document";

/// A request whose sources are said in words that the target has, and what of them is left out.
pub(crate) fn spelled<'a>(
    request: &'a ChatRequest,
    (target, model): (Dialect, &TargetModel),
    dropped: &mut Vec<Dropped>,
) -> Cow<'a, ChatRequest> {
    let mut parts = request.turns.iter().flat_map(|turn| &turn.parts);
    if target == Dialect::Anthropic || !parts.any(has_source) {
        return Cow::Borrowed(request);
    }
    let mut told = request.clone();
    let mut speller = Speller {
        finds: target == Dialect::Bedrock && bedrock::is_claude(&model.name),
        dropped,
    };
    for (at, turn) in told.turns.iter_mut().enumerate() {
        speller.all(&mut turn.parts, &format!("turns[{at}]"));
    }
    Cow::Owned(told)
}

fn has_source(part: &Part) -> bool {
    match part {
        Part::ToolResult(result) => result.parts.iter().any(has_source),
        Part::Opaque(part) => is_source(part),
        _ => false,
    }
}

fn is_source(part: &Opaque) -> bool {
    part.dialect == Dialect::Anthropic && [RESULT, DOCUMENT].contains(&part.kind.as_str())
}

struct Speller<'a> {
    /// The target has results of a search.
    finds: bool,
    dropped: &'a mut Vec<Dropped>,
}

impl Speller<'_> {
    fn all(&mut self, parts: &mut [Part], place: &str) {
        for (at, part) in parts.iter_mut().enumerate() {
            let place = format!("{place}.parts[{at}]");
            let spelled = match part {
                Part::ToolResult(result) => {
                    self.all(&mut result.parts, &place);
                    None
                }
                Part::Opaque(source) if is_source(source) => self.one(source, &place),
                _ => None,
            };
            if let Some(spelled) = spelled {
                *part = spelled;
            }
        }
    }

    /// A source in other words; `None` where it is more than text.
    fn one(&mut self, source: &Opaque, place: &str) -> Option<Part> {
        let value = &source.value;
        let title = text(value, "title");
        let citations = value.pointer("/citations/enabled") == Some(&Value::Bool(true));
        let cache = value.get("cache_control").and_then(mark);
        if source.kind == DOCUMENT {
            let texts = texts(value.pointer("/source/content")?)?;
            return Some(Part::Document(Document {
                source: Source::Plain(texts.join("\n\n")),
                name: title.map(str::to_owned),
                context: text(value, "context").map(str::to_owned),
                citations,
                cache,
            }));
        }
        let (title, address) = (title?, text(value, "source")?);
        let texts = texts(value.get("content")?)?;
        if self.finds {
            if cache.is_some() {
                self.drop(place, "cache", "results of a search are not marked there");
            }
            return Some(found((title, address), &texts, citations));
        }
        if citations {
            self.drop(place, "citations", "citing is not asked for");
        }
        let lines = [title, address].into_iter().chain(texts);
        let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        Some(Part::Text(Text {
            text: lines.join("\n\n"),
            cache,
            ..Text::default()
        }))
    }

    fn drop(&mut self, place: &str, field: &str, reason: &str) {
        self.dropped
            .push(Dropped::new(format!("{place}.{field}"), reason));
    }
}

/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_SearchResultBlock.html>
fn found((title, address): (&str, &str), texts: &[&str], citations: bool) -> Part {
    let content: Vec<Value> = texts.iter().map(|text| json!({"text": text})).collect();
    let mut block = json!({"source": address, "title": title, "content": content});
    if citations {
        block["citations"] = json!({"enabled": true});
    }
    Part::Opaque(Opaque {
        dialect: Dialect::Bedrock,
        kind: "searchResult".to_owned(),
        value: json!({"searchResult": block}),
    })
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}

/// The texts of blocks that are nothing else.
fn texts(content: &Value) -> Option<Vec<&str>> {
    match content {
        Value::String(text) => Some(vec![text.as_str()]),
        Value::Array(blocks) => blocks.iter().map(|block| text(block, "text")).collect(),
        _ => None,
    }
}

/// How long a marked prompt is kept.
fn mark(control: &Value) -> Option<CacheMark> {
    Some(match control.as_object()?.get("ttl") {
        Some(ttl) if ttl == "1h" => CacheMark::OneHour,
        _ => CacheMark::FiveMinutes,
    })
}
