//! Parts of a content (<https://ai.google.dev/api/caching#Part>): what is in one, and media both ways.

use serde_json::{Map, Value, json};

use crate::llm::chat::{Audio, Document, Image, Opaque, Part, Source};
use crate::llm::dialect::Dialect;
use crate::llm::dialect::gemini::names::{fields, list, object};
use crate::llm::dialect::gemini::signature::Held;
use crate::llm::fault::Fault;
use crate::llm::fields::Fields;

/// A part as it is read.
#[derive(Debug)]
pub(crate) struct WirePart {
    pub(crate) kind: Kind,
    pub(crate) held: Option<Held>,
    /// Fields beside those of the kind.
    pub(crate) extra: Map<String, Value>,
}

/// What is in a part.
#[derive(Debug)]
pub(crate) enum Kind {
    Text(String),
    Thought(String),
    Call(Call),
    Response(Response),
    Whole(Part),
}

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) id: Option<String>,
    pub(crate) name: String,
    /// JSON text.
    pub(crate) arguments: String,
    /// Pieces of arguments, where they are streamed.
    pub(crate) partial: Vec<Value>,
    pub(crate) will_continue: bool,
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) id: Option<String>,
    pub(crate) name: String,
    pub(crate) response: Map<String, Value>,
    pub(crate) parts: Vec<Part>,
}

/// Reads a part.
pub(crate) fn read(value: Value, place: &str) -> Result<WirePart, Fault> {
    let mut part = fields(value, place)?;
    let held = part.text("thoughtSignature")?.map(Held::read);
    let thought = part.flag("thought")? == Some(true);
    let mut extra = Map::new();
    let kind = if let Some(call) = object(&mut part, "functionCall")? {
        Kind::Call(read_call(call, &mut extra)?)
    } else if let Some(response) = object(&mut part, "functionResponse")? {
        Kind::Response(read_response(response, &mut extra)?)
    } else if let Some(text) = part.text("text")? {
        if thought {
            Kind::Thought(text)
        } else {
            Kind::Text(text)
        }
    } else {
        let kind = Kind::Whole(read_whole(part, thought)?);
        return Ok(WirePart { kind, held, extra });
    };
    extra.extend(part.rest());
    Ok(WirePart { kind, held, extra })
}

fn read_call(mut call: Fields, extra: &mut Map<String, Value>) -> Result<Call, Fault> {
    let arguments = match call.take("args") {
        None => "{}".to_owned(),
        Some(Value::String(text)) => text,
        Some(value @ Value::Object(_)) => value.to_string(),
        Some(other) => {
            return Err(crate::llm::fields::wrong(
                &call.at("args"),
                "an object",
                &other,
            ));
        }
    };
    let read = Call {
        id: call.text("id")?.filter(|id| !id.is_empty()),
        name: call.text("name")?.unwrap_or_default(),
        arguments,
        partial: list(&mut call, "partialArgs")?,
        will_continue: call.flag("willContinue")? == Some(true),
    };
    keep(extra, "functionCall", call.rest());
    Ok(read)
}

fn read_response(mut response: Fields, extra: &mut Map<String, Value>) -> Result<Response, Fault> {
    let place = response.at("parts");
    let mut parts = Vec::new();
    for (index, value) in list(&mut response, "parts")?.into_iter().enumerate() {
        let part = read(value, &format!("{place}[{index}]"))?;
        if let Kind::Whole(part) = part.kind {
            parts.push(part);
        }
    }
    let place = response.at("response");
    let value = match response.take("response") {
        None => Map::new(),
        Some(Value::Object(map)) => map,
        Some(other) => return Err(crate::llm::fields::wrong(&place, "an object", &other)),
    };
    let read = Response {
        id: response.text("id")?.filter(|id| !id.is_empty()),
        name: response.need_text("name")?,
        response: value,
        parts,
    };
    keep(extra, "functionResponse", response.rest());
    Ok(read)
}

fn keep(extra: &mut Map<String, Value>, name: &str, rest: Map<String, Value>) {
    if !rest.is_empty() {
        extra.insert(name.to_owned(), Value::Object(rest));
    }
}

/// Media, or a part that only Gemini has.
fn read_whole(mut part: Fields, thought: bool) -> Result<Part, Fault> {
    for (name, reader) in [
        ("inlineData", inline as fn(&mut Fields) -> Result<_, Fault>),
        ("fileData", file),
    ] {
        let Some(value) = part.take(name) else {
            continue;
        };
        let place = part.at(name);
        let detail = take_detail(&mut part);
        let mut rest = part.rest();
        let mut data = fields(value.clone(), &place)?;
        let (source, media_type) = reader(&mut data)?;
        let name_given = data.text("displayName")?;
        let plain = !thought && rest.is_empty() && data.rest().is_empty();
        if plain && let Some(read) = media(source, &media_type, detail.clone(), name_given) {
            return Ok(read);
        }
        if let Some(detail) = detail {
            rest.insert("mediaResolution".to_owned(), resolution(&detail));
        }
        rest.shift_insert(0, name.to_owned(), value);
        return Ok(opaque(name, rest, thought));
    }
    let rest = part.rest();
    let kind = rest.keys().next().cloned().unwrap_or_default();
    Ok(opaque(&kind, rest, thought))
}

fn opaque(kind: &str, mut value: Map<String, Value>, thought: bool) -> Part {
    if thought {
        value.insert("thought".to_owned(), Value::Bool(true));
    }
    Part::Opaque(Opaque {
        dialect: Dialect::Gemini,
        kind: kind.to_owned(),
        value: Value::Object(value),
    })
}

fn inline(data: &mut Fields) -> Result<(Source, String), Fault> {
    let media_type = data.need_text("mimeType")?;
    let source = Source::Inline {
        media_type: media_type.clone(),
        data: standard(data.text("data")?.unwrap_or_default()),
    };
    Ok((source, media_type))
}

/// Google's own clients write base64 in the alphabet of URLs, which only Google reads.
fn standard(data: String) -> String {
    if !data.contains(['-', '_']) {
        return data;
    }
    let mut data = data.replace('-', "+").replace('_', "/");
    while !data.len().is_multiple_of(4) {
        data.push('=');
    }
    data
}

/// Files that Google stores belong to it; other addresses are anybody's.
fn file(data: &mut Fields) -> Result<(Source, String), Fault> {
    let url = data.need_text("fileUri")?;
    let media_type = data.text("mimeType")?;
    let kind = media_type
        .clone()
        .or_else(|| guessed(&url).map(str::to_owned))
        .unwrap_or_default();
    if !url.starts_with("https://generativelanguage.googleapis.com/") {
        return Ok((Source::Url { url, media_type }, kind));
    }
    let id = match media_type {
        Some(media_type) => format!("{url}#{media_type}"),
        None => url,
    };
    let dialect = Dialect::Gemini;
    Ok((Source::File { dialect, id }, kind))
}

/// What kind of part these bytes are; `None` for videos, and where no media type tells.
fn media(
    source: Source,
    media_type: &str,
    detail: Option<String>,
    name: Option<String>,
) -> Option<Part> {
    let (family, _) = media_type.split_once('/')?;
    match family {
        "image" if name.is_none() => Some(Part::Image(Image {
            source,
            detail,
            cache: None,
        })),
        "audio" if name.is_none() && detail.is_none() => Some(Part::Audio(Audio { source })),
        "application" | "text" if detail.is_none() => Some(Part::Document(Document {
            source,
            name,
            context: None,
            citations: false,
            cache: None,
        })),
        _ => None,
    }
}

/// `{"level": "MEDIA_RESOLUTION_HIGH"}` as `high`; anything else stays where it is.
fn take_detail(part: &mut Fields) -> Option<String> {
    let value = part.take("mediaResolution")?;
    let level = value.as_object().filter(|map| map.len() == 1);
    let level = level.and_then(|map| {
        map.get("level")?
            .as_str()?
            .strip_prefix("MEDIA_RESOLUTION_")
    });
    level.map(str::to_ascii_lowercase)
}

pub(crate) fn resolution(detail: &str) -> Value {
    json!({"level": format!("MEDIA_RESOLUTION_{}", detail.to_ascii_uppercase())})
}

/// A part of media, as Gemini writes it. `Err` says what cannot be said.
pub(crate) fn write_media(source: &Source, fallback: &str) -> Result<Value, &'static str> {
    Ok(match source {
        Source::Inline { media_type, data } => {
            json!({"inlineData": {"mimeType": media_type, "data": data}})
        }
        Source::Plain(text) => {
            use base64::Engine;
            let data = base64::engine::general_purpose::STANDARD.encode(text);
            json!({"inlineData": {"mimeType": "text/plain", "data": data}})
        }
        // A media type has to be said; what the address does not tell is guessed from the kind of part.
        Source::Url { url, media_type } => {
            let media_type = media_type.as_deref().or_else(|| guessed(url));
            json!({"fileData": {"mimeType": media_type.unwrap_or(fallback), "fileUri": url}})
        }
        Source::File {
            dialect: Dialect::Gemini,
            id,
        } => match id.rsplit_once('#') {
            Some((url, media_type)) => {
                json!({"fileData": {"mimeType": media_type, "fileUri": url}})
            }
            None => json!({"fileData": {"fileUri": id}}),
        },
        Source::File { .. } => return Err("a file of another provider"),
    })
}

/// The media type of what an address ends in.
fn guessed(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next()?;
    let (_, ending) = path.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "heic" => "image/heic",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "md" => "text/markdown",
        "html" => "text/html",
        "csv" => "text/csv",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "ogg" => "audio/ogg",
        "flac" => "audio/flac",
        "mp4" => "video/mp4",
        _ => return None,
    })
}
