//! Content of messages, part by part, in both directions
//! (<https://platform.openai.com/docs/api-reference/chat/create#chat-create-messages>).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::llm::chat::{Audio, CacheMark, Document, Image, Opaque, Part, Source, Text, Thought};
use crate::llm::dialect::filename;
use crate::llm::dialect::openai_chat::OWN;
use crate::llm::dialect::openai_chat::request::keep;
use crate::llm::fault::Fault;
use crate::llm::fields::{Fields, wrong};

/// `content`: a text, a list of parts, or nothing.
pub(crate) fn decode(
    content: Option<Value>,
    place: &str,
    rest: &mut Map<String, Value>,
) -> Result<Vec<Part>, Fault> {
    match content {
        None => Ok(Vec::new()),
        Some(Value::String(text)) if text.is_empty() => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![Part::text(text)]),
        Some(Value::Array(parts)) => {
            let parts = parts.into_iter().enumerate();
            let parts = parts.map(|(at, value)| part(value, &format!("{place}[{at}]"), rest));
            parts.collect()
        }
        Some(other) => Err(wrong(place, "a string or a list of parts", &other)),
    }
}

fn part(value: Value, place: &str, rest: &mut Map<String, Value>) -> Result<Part, Fault> {
    if let Value::String(text) = value {
        return Ok(Part::text(text));
    }
    let mut fields = Fields::of(value.clone(), place)?;
    let kind = fields.need_text("type")?;
    let part = match kind.as_str() {
        "text" => Part::Text(Text {
            text: fields.need_text("text")?,
            cache: cache_mark(&mut fields, rest)?,
            ..Text::default()
        }),
        "image_url" => image(&mut fields, rest)?,
        "input_audio" => audio(&mut fields, rest)?,
        "file" => file(&mut fields, rest)?,
        "refusal" => Part::Refusal(fields.need_text("refusal")?),
        "thinking" => thinking(&mut fields),
        _ => {
            return Ok(Part::Opaque(Opaque {
                dialect: OWN,
                kind,
                value,
            }));
        }
    };
    keep(fields, rest);
    Ok(part)
}

/// `cache_control`, which OpenRouter and others took over from Anthropic.
pub(crate) fn cache_mark(
    fields: &mut Fields,
    rest: &mut Map<String, Value>,
) -> Result<Option<CacheMark>, Fault> {
    let Some(mut control) = fields.object("cache_control")? else {
        return Ok(None);
    };
    control.text("type")?;
    let mark = match control.peek("ttl") {
        Some("1h") => CacheMark::OneHour,
        _ => CacheMark::FiveMinutes,
    };
    if control
        .peek("ttl")
        .is_some_and(|ttl| ["1h", "5m"].contains(&ttl))
    {
        control.take("ttl");
    }
    keep(control, rest);
    Ok(Some(mark))
}

fn image(fields: &mut Fields, rest: &mut Map<String, Value>) -> Result<Part, Fault> {
    let mut place = fields.at("image_url");
    let (url, detail) = match fields.take("image_url") {
        Some(Value::String(url)) => (url, None),
        Some(value) => {
            let mut inner = Fields::of(value, &place)?;
            place = inner.at("url");
            let said = (inner.need_text("url")?, inner.text("detail")?);
            keep(inner, rest);
            said
        }
        None => return Err(fields.missing("image_url")),
    };
    let source = source(url, "image/png");
    if matches!(&source, Source::Inline { data, .. } if !is_base64(data)) {
        let message = format!("`{place}` is neither an address nor base64");
        return Err(Fault::invalid(place, message));
    }
    Ok(Part::Image(Image {
        source,
        detail,
        cache: cache_mark(fields, rest)?,
    }))
}

fn audio(fields: &mut Fields, rest: &mut Map<String, Value>) -> Result<Part, Fault> {
    let Some(mut inner) = fields.object("input_audio")? else {
        return Err(fields.missing("input_audio"));
    };
    let data = inner.need_text("data")?;
    let media_type = match inner.text("format")?.as_deref() {
        Some("mp3") => "audio/mpeg".to_owned(),
        Some(format) => format!("audio/{format}"),
        None => "audio/wav".to_owned(),
    };
    keep(inner, rest);
    Ok(Part::Audio(Audio {
        source: source(data, &media_type),
    }))
}

fn file(fields: &mut Fields, rest: &mut Map<String, Value>) -> Result<Part, Fault> {
    let Some(mut inner) = fields.object("file")? else {
        return Err(fields.missing("file"));
    };
    let (data, id) = (inner.text("file_data")?, inner.text("file_id")?);
    let source = match (data, id) {
        (Some(data), _) => source(data, "application/pdf"),
        (None, Some(id)) => Source::File { dialect: OWN, id },
        (None, None) => return Err(inner.missing("file_data")),
    };
    let name = inner.text("filename")?;
    keep(inner, rest);
    Ok(Part::Document(Document {
        source,
        name,
        context: None,
        citations: false,
        cache: cache_mark(fields, rest)?,
    }))
}

/// A thought in the manner of Mistral: `{"type": "thinking", "thinking": [{"type": "text", "text": ...}]}`
/// (<https://docs.mistral.ai/capabilities/reasoning/>).
fn thinking(fields: &mut Fields) -> Part {
    let text = match fields.take("thinking") {
        Some(Value::String(text)) => text,
        Some(Value::Array(pieces)) => {
            let texts = pieces.iter().filter_map(|piece| piece.get("text"));
            texts.filter_map(Value::as_str).collect()
        }
        _ => String::new(),
    };
    fields.take("closed");
    Part::Thought(Thought {
        text,
        ..Thought::default()
    })
}

/// A `data:` URL, another URL, or bare base64 of a presumed type.
pub(crate) fn source(said: String, presumed: &str) -> Source {
    let is = |scheme: &str| {
        let start = said.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    if is("data:")
        && let Some((head, data)) = said.get(5..).and_then(|rest| rest.split_once(','))
    {
        return inline(head, data, presumed);
    }
    if said.split_once("://").is_some() {
        return Source::Url {
            url: said,
            media_type: None,
        };
    }
    Source::Inline {
        media_type: presumed.to_owned(),
        data: said,
    }
}

/// What a `data:` URL holds, whose media type stays without parameters.
fn inline(head: &str, data: &str, presumed: &str) -> Source {
    let mut words = head.split(';').map(str::trim);
    let media_type = words.next().filter(|name| !name.is_empty());
    let data = if words.any(|word| word.eq_ignore_ascii_case("base64")) {
        data.to_owned()
    } else {
        let bytes: Vec<u8> = percent_encoding::percent_decode_str(data).collect();
        STANDARD.encode(bytes)
    };
    Source::Inline {
        media_type: media_type.unwrap_or(presumed).to_owned(),
        data,
    }
}

/// Whether a text can be base64, padded or not, for a URL or not; names of files have a dot.
fn is_base64(text: &str) -> bool {
    let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_=\r\n ".contains(&byte);
    !text.is_empty() && text.bytes().all(is_sign)
}

/// A part as content of a message that a user or a tool wrote.
///
/// # Errors
/// Where the dialect has no such content.
pub(crate) fn encode(part: &Part, place: &str) -> Result<Value, Fault> {
    match part {
        Part::Text(text) => Ok(json!({"type": "text", "text": text.text})),
        Part::Image(image) => {
            let mut inner = Map::new();
            inner.insert("url".to_owned(), image_url(&image.source, place)?.into());
            if let Some(detail) = &image.detail {
                inner.insert("detail".to_owned(), detail.as_str().into());
            }
            Ok(json!({"type": "image_url", "image_url": inner}))
        }
        Part::Audio(audio) => {
            let (format, data) = sound(&audio.source, place)?;
            Ok(json!({"type": "input_audio", "input_audio": {"data": data, "format": format}}))
        }
        Part::Document(document) => written_document(document, place),
        Part::Opaque(part) if part.dialect == OWN => Ok(part.value.clone()),
        Part::Opaque(part) => Err(OWN.cannot(place, &format!("a part of kind `{}`", part.kind))),
        Part::Refusal(_) => Err(OWN.cannot(place, "a refusal by anyone but the model")),
        Part::Thought(_) => Err(OWN.cannot(place, "a thought by anyone but the model")),
        Part::ToolCall(_) => Err(OWN.cannot(place, "a call of a tool by anyone but the model")),
        Part::ToolResult(_) => Err(OWN.cannot(place, "a result of a tool within another part")),
    }
}

/// An image as a URL, which may hold it.
///
/// # Errors
/// For files that were uploaded.
pub(crate) fn image_url(source: &Source, place: &str) -> Result<String, Fault> {
    match source {
        Source::Url { url, .. } => Ok(url.clone()),
        Source::Inline { media_type, data } => Ok(format!("data:{media_type};base64,{data}")),
        Source::Plain(_) => Err(OWN.cannot(place, "an image of plain text")),
        Source::File { .. } => Err(OWN.cannot(place, "an image as an uploaded file")),
    }
}

/// `format` and `data` of `input_audio`. OpenAI takes `wav` and `mp3`; others take more, and say what they do not.
fn sound<'a>(source: &'a Source, place: &str) -> Result<(String, &'a str), Fault> {
    let Source::Inline { media_type, data } = source else {
        return Err(OWN.cannot(place, "sound that is not sent along as base64"));
    };
    let essence = crate::types::essence(media_type);
    let format = match essence.as_str() {
        "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => "wav",
        "audio/mpeg" | "audio/mp3" | "audio/mpeg3" => "mp3",
        other => other.strip_prefix("audio/").unwrap_or(other),
    };
    Ok((format.to_owned(), data))
}

fn written_document(document: &Document, place: &str) -> Result<Value, Fault> {
    let name = document.name.as_deref();
    let mut file = Map::new();
    match &document.source {
        Source::Plain(text) => {
            let mut lines: Vec<&str> = name
                .into_iter()
                .chain(document.context.as_deref())
                .collect();
            lines.push(text);
            return Ok(json!({"type": "text", "text": lines.join("\n\n")}));
        }
        Source::File { dialect, id } if *dialect == OWN => {
            file.insert("file_id".to_owned(), id.as_str().into());
        }
        Source::File { dialect, .. } => {
            let what = format!("a file that was uploaded through {}", dialect.name());
            return Err(OWN.cannot(place, &what));
        }
        Source::Url { url, .. } => {
            file.insert("file_data".to_owned(), url.as_str().into());
        }
        Source::Inline { media_type, data } => {
            let data = format!("data:{media_type};base64,{data}");
            let name = filename(name, media_type);
            file.insert("filename".to_owned(), name.into());
            file.insert("file_data".to_owned(), data.into());
            return Ok(json!({"type": "file", "file": file}));
        }
    }
    if let Some(name) = name {
        file.insert("filename".to_owned(), name.into());
    }
    Ok(json!({"type": "file", "file": file}))
}

/// Pieces of base64 as one; one piece stays as it is.
pub(crate) fn joined<'a>(mut pieces: impl Iterator<Item = &'a str>) -> String {
    let first = pieces.next().unwrap_or_default();
    let Some(second) = pieces.next() else {
        return first.to_owned();
    };
    let mut bytes = Vec::new();
    for piece in [first, second].into_iter().chain(pieces) {
        bytes.extend(STANDARD.decode(piece).unwrap_or_default());
    }
    STANDARD.encode(bytes)
}
