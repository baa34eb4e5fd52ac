//! Multipart bodies: forms (RFC 7578), which have a part for each property and for each item of an
//! array, and bodies whose parts have no names but a place (RFC 2046 section 5.1).

use std::fmt::Write;

use bytes::Bytes;

use crate::mcp::plan::PlanError;
use crate::mcp::plan::escape::Escape;
use crate::mcp::plan::file::{File, Links};
use crate::mcp::plan::form::styled;
use crate::mcp::plan::raw::{Raw, Shape};
use crate::mcp::plan::style;
use crate::mcp::tool::file::ANY_PART;
use crate::mcp::tool::media::{codec, may_name_parts};
use crate::mcp::tool::{BodyCodec, BodyMedia, PositionedPart};
use crate::openapi::PartEncoding;
use crate::types::essence;

/// One part.
struct Part {
    /// The whole `Content-Disposition`, where it has one.
    disposition: Option<String>,
    /// Its media type, where it is said.
    kind: Option<String>,
    /// The lines of its other headers.
    headers: String,
    bytes: Bytes,
}

/// A body and its `Content-Type`.
pub(super) struct Written {
    pub(super) content_type: String,
    pub(super) bytes: Vec<u8>,
}

/// Writes a body.
pub(super) fn multipart(
    argument: &str,
    raw: &Raw,
    media: &BodyMedia,
    links: &Links,
) -> Result<Written, PlanError> {
    let mut parts: Vec<Part> = Vec::new();
    match (raw.shape(), &media.positions) {
        (Shape::Array(items), Some(positions)) => {
            for (index, item) in items.iter().enumerate() {
                let name = format!("{argument}.{index}");
                parts.push(positioned(&name, item, positions.at(index), links)?);
            }
        }
        (Shape::Array(items), None) if essence(&media.name) != "multipart/form-data" => {
            parts.extend(items.iter().map(|item| by_type(None, item, None)));
        }
        (Shape::Object(members), _) if may_name_parts(&media.name) => {
            for (name, member) in &members {
                field(&mut parts, (name, member), media, links)?;
            }
        }
        (_, positions) => {
            let rule = if positions.is_some() {
                "a body of parts without names is written as an array"
            } else {
                "a multipart body is written as an object"
            };
            return Err(PlanError::value(argument, rule));
        }
    }
    Ok(framed(&media.name, &parts))
}

/// The parts between boundaries that none of them contains.
fn framed(media_type: &str, parts: &[Part]) -> Written {
    let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for part in parts {
        digest.update(&part.bytes);
    }
    let boundary = format!("causeway-{}", &hex::encode(digest.finish())[..32]);
    let mut bytes = Vec::new();
    for part in parts {
        let mut head = format!("--{boundary}\r\n");
        if let Some(disposition) = &part.disposition {
            let _ = write!(head, "Content-Disposition: {disposition}\r\n");
        }
        if let Some(kind) = &part.kind {
            let _ = write!(head, "Content-Type: {kind}\r\n");
        }
        bytes.extend_from_slice(head.as_bytes());
        bytes.extend_from_slice(part.headers.as_bytes());
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&part.bytes);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    let root = parts.first().and_then(|part| part.kind.as_deref());
    let root = root.filter(|_| wants_type(media_type));
    let root = root.map_or_else(String::new, |kind| format!("; type=\"{}\"", essence(kind)));
    Written {
        content_type: format!("{media_type}{root}; boundary={boundary}"),
        bytes,
    }
}

/// Whether a media type has to say that of its first part, and does not (RFC 2387 section 3.1).
fn wants_type(media_type: &str) -> bool {
    let mut parameters = media_type.split(';').skip(1);
    let is_type = |parameter: &str| {
        let (name, _) = parameter.split_once('=').unwrap_or((parameter, ""));
        name.trim().eq_ignore_ascii_case("type")
    };
    essence(media_type) == "multipart/related" && !parameters.any(is_type)
}

/// A part without a name.
fn positioned(
    argument: &str,
    item: &Raw,
    part: &PositionedPart,
    links: &Links,
) -> Result<Part, PlanError> {
    if part.is_file {
        of_file((argument, None), item, Some(&part.encoding), links)
    } else {
        Ok(by_type(None, item, Some(&part.encoding)))
    }
}

/// The parts of one property. Null is no part.
fn field(
    parts: &mut Vec<Part>,
    (name, member): (&str, &Raw),
    media: &BodyMedia,
    links: &Links,
) -> Result<(), PlanError> {
    if member.is_null() {
        return Ok(());
    }
    let encoding = media.encoding.get(name);
    let file = media
        .files
        .iter()
        .any(|file| file == name || file == ANY_PART);
    if let Some(encoding) = encoding.filter(|encoding| encoding.is_styled() && !file) {
        let pairs = style::pairs(name, member, styled(encoding, Escape::Plain));
        let written = pairs.into_iter().map(|(name, value)| Part {
            disposition: Some(disposition(&name, None)),
            kind: None,
            headers: String::new(),
            bytes: Bytes::from(value),
        });
        parts.extend(written);
        return Ok(());
    }
    let shape = member.shape();
    let items = match &shape {
        Shape::Array(items) => items.as_slice(),
        _ => std::slice::from_ref(member),
    };
    for item in items.iter().filter(|item| !item.is_null()) {
        parts.push(if file {
            of_file((name, Some(name)), item, encoding, links)?
        } else {
            by_type(Some(name), item, encoding)
        });
    }
    Ok(())
}

fn of_file(
    (argument, name): (&str, Option<&str>),
    raw: &Raw,
    encoding: Option<&PartEncoding>,
    links: &Links,
) -> Result<Part, PlanError> {
    let file = File::read(argument, raw, links)?;
    let declared = encoding.and_then(|encoding| encoding.content_type.as_deref());
    let disposition = name.map(|name| {
        let filename = file.filename.as_deref().unwrap_or(name);
        disposition(name, Some(filename))
    });
    Ok(Part {
        disposition,
        kind: Some(file.media_type(declared)),
        headers: headers(encoding, &file.headers),
        bytes: file.bytes,
    })
}

/// A part that is no file: text for scalars, JSON for objects, unless the document says otherwise.
fn by_type(name: Option<&str>, raw: &Raw, encoding: Option<&PartEncoding>) -> Part {
    let declared = encoding.and_then(|encoding| encoding.content_type.as_deref());
    let mut declared = declared
        .into_iter()
        .flat_map(|list| list.split(','))
        .map(str::trim);
    let scalar = matches!(raw.shape(), Shape::Scalar(_));
    // Parts within a part are not written: they are JSON, and say so.
    let written = |kind: &str| scalar || codec(kind) != Some(BodyCodec::Multipart);
    let valid = |kind: &str| !kind.is_empty() && !kind.contains(['*', '\r', '\n']);
    let declared = declared.find(|kind| valid(kind) && written(kind));
    let kind = declared.or((!scalar).then_some("application/json"));
    let json = kind.and_then(codec) == Some(BodyCodec::Json);
    let text = if json { raw.text().into() } else { raw.plain() };
    let kind = kind.or(name.is_none().then_some("text/plain; charset=utf-8"));
    Part {
        disposition: name.map(|name| disposition(name, None)),
        kind: kind.map(str::to_owned),
        headers: headers(encoding, &[]),
        bytes: Bytes::from(text.into_owned()),
    }
}

fn disposition(name: &str, filename: Option<&str>) -> String {
    // As browsers do it (HTML, "multipart/form-data encoding algorithm").
    let quoted = |text: &str| {
        text.replace('"', "%22")
            .replace('\r', "%0D")
            .replace('\n', "%0A")
    };
    let filename = filename.map(|filename| format!("; filename=\"{}\"", quoted(filename)));
    format!(
        "form-data; name=\"{}\"{}",
        quoted(name),
        filename.unwrap_or_default()
    )
}

/// The declared headers of a part: what the caller gives, else what the document fixes.
fn headers(encoding: Option<&PartEncoding>, given: &[(String, String)]) -> String {
    let mut out = String::new();
    for (name, header) in encoding.into_iter().flat_map(|encoding| &encoding.headers) {
        let given = given.iter().find(|(known, _)| known == name);
        let value = given.map(|(_, value)| value).or(header.value.as_ref());
        let value = value.filter(|value| !value.contains(['\r', '\n']));
        if let Some(value) = value {
            let _ = write!(out, "{name}: {value}\r\n");
        }
    }
    out
}
