//! Content blocks, read: those of a caller's messages and those of a provider's answer.

use serde_json::{Map, Value};

use crate::llm::answer::arguments_text;
use crate::llm::chat::{
    CacheMark, Citation, Document, Image, Opaque, Part, Source, Text, Thought, ToolCall, ToolResult,
};
use crate::llm::dialect::Dialect;
use crate::llm::dialect::anthropic::seal;
use crate::llm::fault::Fault;
use crate::llm::fields::{Fields, wrong};

/// Reads blocks, and keeps the fields of theirs that the neutral form has no place for by where they were:
/// `messages[0].content[1].transformations`.
pub(crate) struct Reader {
    pub(crate) kept: Map<String, Value>,
    /// Whether a field that has to be there is insisted on: from callers, not from providers.
    pub(crate) strict: bool,
}

/// A block while it is read.
struct Block {
    fields: Fields,
    /// Where its part is.
    place: String,
    /// Whether its bytes are said in a way that other dialects have too.
    plain: bool,
}

impl Reader {
    pub(crate) fn new(strict: bool) -> Self {
        Self {
            kept: Map::new(),
            strict,
        }
    }

    /// `content`: a text, or a list of blocks.
    pub(crate) fn parts(&mut self, content: Value, place: &str) -> Result<Vec<Part>, Fault> {
        let blocks = match content {
            Value::Null => return Ok(Vec::new()),
            Value::String(text) => return Ok(vec![Part::text(text)]),
            Value::Array(blocks) => blocks,
            other => return Err(wrong(place, "a string or a list of blocks", &other)),
        };
        let mut parts = Vec::with_capacity(blocks.len());
        let mut of_call = None;
        for (index, block) in blocks.into_iter().enumerate() {
            let signature = block.get("signature").and_then(Value::as_str);
            if let Some(signature) = signature.and_then(seal::open_call) {
                of_call = Some(signature);
                continue;
            }
            let is_call = block.get("type").and_then(Value::as_str) == Some("tool_use");
            if let Some(signature) = of_call.take_if(|_| !is_call) {
                parts.push(thought_of(signature));
            }
            let plain = has_plain_source(&block);
            let fields = Fields::of(block, format!("{place}[{index}]"))?;
            let place = format!("{place}[{}]", parts.len());
            let mut part = self.part(Block {
                fields,
                place,
                plain,
            })?;
            if let Part::ToolCall(call) = &mut part {
                call.signature = of_call.take();
            }
            parts.push(part);
        }
        parts.extend(of_call.map(thought_of));
        Ok(parts)
    }

    /// Keeps what nobody asked for.
    pub(crate) fn keep(&mut self, place: &str, rest: Map<String, Value>) {
        let rest = rest.into_iter();
        self.kept
            .extend(rest.map(|(name, value)| (format!("{place}.{name}"), value)));
    }

    /// `cache_control`. What is more than how long is kept whole.
    pub(crate) fn cache(
        &mut self,
        fields: &mut Fields,
        place: &str,
    ) -> Result<Option<CacheMark>, Fault> {
        let Some(whole) = fields.take("cache_control") else {
            return Ok(None);
        };
        let mut mark = Fields::of(whole.clone(), fields.at("cache_control"))?;
        mark.text("type")?;
        let ttl = mark.text("ttl")?;
        let known = matches!(ttl.as_deref(), None | Some("5m" | "1h"));
        if !known || !mark.rest().is_empty() {
            self.kept.insert(format!("{place}.cache_control"), whole);
        }
        Ok(Some(if ttl.as_deref() == Some("1h") {
            CacheMark::OneHour
        } else {
            CacheMark::FiveMinutes
        }))
    }

    fn part(&mut self, mut block: Block) -> Result<Part, Fault> {
        let kind = block.fields.need_text("type")?;
        let part = match kind.as_str() {
            "text" => Part::Text(self.text(&mut block)?),
            "image" if block.plain => Part::Image(Image {
                source: self.source(&mut block)?,
                detail: None,
                cache: self.cache(&mut block.fields, &block.place)?,
            }),
            "document" if block.plain => Part::Document(self.document(&mut block)?),
            "thinking" => {
                let text = block.fields.text("thinking")?.unwrap_or_default();
                let signature = block.fields.text("signature")?.unwrap_or_default();
                Part::Thought(seal::open(text, &signature))
            }
            "redacted_thinking" => Part::Thought(Thought {
                sealed: Some(seal::own(self.need(&mut block.fields, "data")?)),
                ..Thought::default()
            }),
            "tool_use" => Part::ToolCall(self.call(&mut block)?),
            "tool_result" => Part::ToolResult(self.result(&mut block)?),
            _ => return Ok(Part::Opaque(opaque(kind, block.fields.rest()))),
        };
        self.keep(&block.place, block.fields.rest());
        Ok(part)
    }

    fn text(&mut self, block: &mut Block) -> Result<Text, Fault> {
        let citations = block.fields.list("citations")?;
        Ok(Text {
            text: self.need(&mut block.fields, "text")?,
            citations: citations.into_iter().map(citation).collect(),
            cache: self.cache(&mut block.fields, &block.place)?,
        })
    }

    fn document(&mut self, block: &mut Block) -> Result<Document, Fault> {
        let source = self.source(block)?;
        let fields = &mut block.fields;
        let citations = match fields.object("citations")? {
            Some(mut citations) => citations.flag("enabled")?.unwrap_or(false),
            None => false,
        };
        Ok(Document {
            source,
            name: fields.text("title")?,
            context: fields.text("context")?,
            citations,
            cache: self.cache(fields, &block.place)?,
        })
    }

    fn source(&mut self, block: &mut Block) -> Result<Source, Fault> {
        let missing = block.fields.missing("source");
        let mut fields = block.fields.object("source")?.ok_or(missing)?;
        let source = match fields.need_text("type")?.as_str() {
            "url" => Source::Url {
                url: fields.need_text("url")?,
                media_type: None,
            },
            "file" => Source::File {
                dialect: Dialect::Anthropic,
                id: fields.need_text("file_id")?,
            },
            "text" => {
                fields.text("media_type")?;
                Source::Plain(fields.need_text("data")?)
            }
            _ => Source::Inline {
                media_type: fields.need_text("media_type")?,
                data: fields.need_text("data")?,
            },
        };
        self.keep(&format!("{}.source", block.place), fields.rest());
        Ok(source)
    }

    fn call(&mut self, block: &mut Block) -> Result<ToolCall, Fault> {
        let fields = &mut block.fields;
        let arguments = match fields.take("input") {
            None => "{}".to_owned(),
            Some(input @ Value::Object(_)) => input.to_string(),
            Some(Value::String(text)) if !self.strict => arguments_text(&text).to_owned(),
            Some(other) => return Err(wrong(&fields.at("input"), "an object", &other)),
        };
        Ok(ToolCall {
            id: self.need(fields, "id")?,
            name: self.need(fields, "name")?,
            arguments,
            signature: None,
            custom: false,
            cache: self.cache(fields, &block.place)?,
        })
    }

    fn result(&mut self, block: &mut Block) -> Result<ToolResult, Fault> {
        let fields = &mut block.fields;
        let content = fields.take("content").unwrap_or_default();
        Ok(ToolResult {
            id: self.need(fields, "tool_use_id")?,
            name: None,
            parts: self.parts(content, &format!("{}.content", block.place))?,
            is_error: fields.flag("is_error")?.unwrap_or(false),
            cache: self.cache(fields, &block.place)?,
        })
    }

    /// A text that a caller has to give; of a provider, empty where it left it out.
    fn need(&self, fields: &mut Fields, name: &str) -> Result<String, Fault> {
        match fields.text(name)? {
            Some(text) => Ok(text),
            None if self.strict => Err(fields.missing(name)),
            None => Ok(String::new()),
        }
    }
}

/// What a text is based on (<https://docs.anthropic.com/en/docs/build-with-claude/citations>).
pub(crate) fn citation(whole: Value) -> Citation {
    let text = |name: &str| whole.get(name).and_then(Value::as_str);
    let index = text("encrypted_index").unwrap_or_default();
    let ours = index.strip_prefix("causeway:");
    let span = ours
        .and_then(|span| span.split_once('-'))
        .and_then(|(from, until)| Some((from.parse().ok()?, until.parse().ok()?)));
    let source = text("source").filter(|source| source.starts_with("http"));
    Citation {
        url: text("url").or(source).map(ToOwned::to_owned),
        title: text("title")
            .or_else(|| text("document_title"))
            .filter(|title| !title.is_empty())
            .map(ToOwned::to_owned),
        quote: text("cited_text")
            .filter(|quote| !quote.is_empty())
            .map(ToOwned::to_owned),
        span,
        whole: ours.is_none().then(|| (Dialect::Anthropic, whole.clone())),
    }
}

/// A citation in a block; `None` where this dialect has no way to say it.
pub(crate) fn write_citation(citation: &Citation) -> Option<Value> {
    if let Some((Dialect::Anthropic, whole)) = &citation.whole {
        return Some(whole.clone());
    }
    let url = citation.url.as_deref()?;
    let span = citation
        .span
        .map(|(from, until)| format!("{from}-{until}"))
        .unwrap_or_default();
    Some(serde_json::json!({
        "type": "web_search_result_location",
        "cited_text": citation.quote.as_deref().unwrap_or_default(),
        "encrypted_index": format!("causeway:{span}"),
        "title": citation.title,
        "url": url,
    }))
}

/// The rest of a block whose `type` was taken out, whole again.
pub(crate) fn opaque(kind: String, rest: Map<String, Value>) -> Opaque {
    let mut value = Map::new();
    value.insert("type".to_owned(), Value::from(kind.as_str()));
    value.extend(rest);
    Opaque {
        dialect: Dialect::Anthropic,
        kind,
        value: Value::Object(value),
    }
}

/// What was to be the signature of a call that did not follow.
fn thought_of(signature: crate::llm::chat::Signature) -> Part {
    Part::Thought(Thought {
        signature: Some(signature),
        ..Thought::default()
    })
}

/// Whether a source is one of those that other dialects have too (`content` is not: blocks within).
fn has_plain_source(block: &Value) -> bool {
    let kind = block.pointer("/source/type").and_then(Value::as_str);
    kind.is_none_or(|kind| matches!(kind, "url" | "file" | "text" | "base64"))
}
