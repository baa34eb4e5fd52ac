//! `multipart/form-data` (RFC 7578): a part for each property, and for each item of an array.

use std::fmt::Write;

use bytes::Bytes;

use crate::mcp::plan::PlanError;
use crate::mcp::plan::escape::Escape;
use crate::mcp::plan::file::{File, Links};
use crate::mcp::plan::form::styled;
use crate::mcp::plan::raw::{Raw, Shape};
use crate::mcp::plan::style;
use crate::mcp::tool::file::ANY_PART;
use crate::mcp::tool::media::codec;
use crate::mcp::tool::{BodyCodec, BodyMedia};
use crate::openapi::PartEncoding;

/// A part: its headers, and what it holds.
type Part = (String, Bytes);

/// The body and its boundary.
pub(super) fn multipart(
    argument: &str,
    raw: &Raw,
    media: &BodyMedia,
    links: &Links,
) -> Result<(String, Vec<u8>), PlanError> {
    let mut parts: Vec<Part> = Vec::new();
    match raw.shape() {
        Shape::Object(members) => {
            for (name, member) in &members {
                field(&mut parts, (name, member), media, links)?;
            }
        }
        // Parts without names, as in `multipart/mixed` (OAS 3.2.0, "Encoding By Position").
        Shape::Array(items) if !media.name.starts_with("multipart/form-data") => {
            parts.extend(items.iter().map(|item| by_type(None, item, None)));
        }
        _ => {
            return Err(PlanError::value(
                argument,
                "a multipart body is written as an object",
            ));
        }
    }
    let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for (_, bytes) in &parts {
        digest.update(bytes);
    }
    let boundary = format!("causeway-{}", &hex::encode(digest.finish())[..32]);
    let mut out = Vec::new();
    for (head, bytes) in parts {
        out.extend_from_slice(format!("--{boundary}\r\n{head}\r\n").as_bytes());
        out.extend_from_slice(&bytes);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Ok((boundary, out))
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
        let written = pairs.into_iter().map(|(name, value)| {
            let head = format!("{}\r\n", disposition(&name, None));
            (head, Bytes::from(value))
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
            of_file(name, item, encoding, links)?
        } else {
            by_type(Some(name), item, encoding)
        });
    }
    Ok(())
}

fn of_file(
    name: &str,
    raw: &Raw,
    encoding: Option<&PartEncoding>,
    links: &Links,
) -> Result<Part, PlanError> {
    let file = File::read(name, raw, links)?;
    let declared = encoding.and_then(|encoding| encoding.content_type.as_deref());
    let filename = file.filename.as_deref().unwrap_or(name);
    let mut head = disposition(name, Some(filename));
    let kind = file.media_type(declared);
    let _ = write!(head, "\r\nContent-Type: {kind}\r\n");
    head.push_str(&headers(encoding, &file.headers));
    Ok((head, file.bytes))
}

/// A part that is no file: text for scalars, JSON for objects, unless the document says otherwise.
fn by_type(name: Option<&str>, raw: &Raw, encoding: Option<&PartEncoding>) -> Part {
    let declared = encoding.and_then(|encoding| encoding.content_type.as_deref());
    let mut declared = declared
        .into_iter()
        .flat_map(|list| list.split(','))
        .map(str::trim);
    let declared = declared.find(|kind| !kind.is_empty() && !kind.contains(['*', '\r', '\n']));
    let scalar = matches!(raw.shape(), Shape::Scalar(_));
    let kind = declared.or((!scalar).then_some("application/json"));
    let json = kind.and_then(codec) == Some(BodyCodec::Json);
    let text = if json { raw.text().into() } else { raw.plain() };
    let mut head = name.map_or_else(String::new, |name| {
        format!("{}\r\n", disposition(name, None))
    });
    if let Some(kind) = kind.or(name.is_none().then_some("text/plain; charset=utf-8")) {
        let _ = write!(head, "Content-Type: {kind}\r\n");
    }
    head.push_str(&headers(encoding, &[]));
    (head, Bytes::from(text.into_owned()))
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
        "Content-Disposition: form-data; name=\"{}\"{}",
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
