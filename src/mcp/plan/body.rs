//! Bodies: JSON of any root, forms, multipart, text and bytes.

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::{alphabet, engine::DecodePaddingMode};
use bytes::Bytes;
use http::HeaderValue;
use indexmap::IndexMap;

use crate::mcp::plan::raw::{Raw, Shape};
use crate::mcp::plan::{Given, PlanError, style};
use crate::mcp::tool::{BodyArguments, BodyBinding, BodyCodec, BodyMedia};
use crate::openapi::Style;

/// Base64 with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl BodyBinding {
    /// Whether `null` for that argument is a value of its own, or at least not ours to drop.
    pub(super) fn is_nullable(&self, argument: &str) -> bool {
        match &self.arguments {
            BodyArguments::Lifted(properties) => properties
                .iter()
                .find(|property| property.argument == argument)
                .is_none_or(|property| property.nullable),
            BodyArguments::Whole(_) => true,
        }
    }
}

/// The body's content type and bytes; `None` where no argument asks for one.
pub(super) fn write(
    binding: &BodyBinding,
    given: &Given,
) -> Result<Option<(HeaderValue, Bytes)>, PlanError> {
    let Some(media) = binding.media.first() else {
        return Ok(None);
    };
    let Some((argument, raw)) = value(binding, given) else {
        return Ok(None);
    };
    let mut content_type = media.name.clone();
    let bytes = match media.codec {
        BodyCodec::Json => Bytes::from(rename(&raw, binding).text().to_owned()),
        BodyCodec::Form => form(&argument, &rename(&raw, binding), media)?.into(),
        BodyCodec::Multipart => {
            let (boundary, bytes) = multipart(&argument, &rename(&raw, binding), media)?;
            content_type = format!("{}; boundary={boundary}", media.name);
            bytes.into()
        }
        BodyCodec::Binary => decode(&argument, &raw)?.into(),
        BodyCodec::Text | BodyCodec::Xml => Bytes::from(raw.plain().into_owned()),
    };
    let content_type = HeaderValue::from_str(&content_type)
        .map_err(|_| PlanError::value(&argument, "its media type is not valid"))?;
    Ok(Some((content_type, bytes)))
}

/// The body as one JSON value, put together from its properties where it was lifted.
fn value<'a>(binding: &BodyBinding, given: &Given<'a>) -> Option<(String, Raw<'a>)> {
    match &binding.arguments {
        BodyArguments::Whole(argument) => Some((argument.clone(), given.get(argument)?.clone())),
        BodyArguments::Lifted(properties) => {
            let mut text = String::from("{");
            for property in properties {
                let Some(raw) = given.get(&property.argument) else {
                    continue;
                };
                if text.len() > 1 {
                    text.push(',');
                }
                push_member(&mut text, &property.name, raw.text());
            }
            text.push('}');
            (text.len() > 2 || binding.required).then(|| ("body".to_owned(), Raw::owned(text)))
        }
    }
}

fn push_member(text: &mut String, name: &str, value: &str) {
    text.push_str(&serde_json::Value::from(name).to_string());
    text.push(':');
    text.push_str(value);
}

/// The names on the wire, at every depth, for properties that have another name in the schema.
fn rename<'a>(raw: &Raw<'a>, binding: &BodyBinding) -> Raw<'a> {
    if binding.renames.is_empty() {
        raw.clone()
    } else {
        renamed(raw, &binding.renames)
    }
}

fn renamed<'a>(raw: &Raw<'a>, names: &IndexMap<String, String>) -> Raw<'a> {
    let text = match raw.shape() {
        Shape::Scalar(_) => return raw.clone(),
        Shape::Array(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|member| renamed(member, names).text().to_owned())
                .collect();
            format!("[{}]", members.join(","))
        }
        Shape::Object(members) => {
            let mut text = String::from("{");
            for (name, member) in &members {
                if text.len() > 1 {
                    text.push(',');
                }
                let wire = names.get(name).unwrap_or(name);
                push_member(&mut text, wire, renamed(member, names).text());
            }
            text.push('}');
            text
        }
    };
    Raw::owned(text)
}

fn form(argument: &str, raw: &Raw, media: &BodyMedia) -> Result<String, PlanError> {
    let Shape::Object(members) = raw.shape() else {
        return Err(PlanError::value(argument, "a form is written as an object"));
    };
    let pairs = members.iter().flat_map(|(name, member)| {
        let encoding = media.encoding.get(name);
        match encoding.and_then(|e| e.style) {
            Some(Style::DeepObject) => style::form_deep(name, member),
            _ => style::form_pairs(
                name,
                member,
                encoding.and_then(|e| e.explode) != Some(false),
            ),
        }
    });
    Ok(pairs.collect::<Vec<_>>().join("&"))
}

/// RFC 7578. A part is a file where its encoding says so, or where the value is a data URL.
fn multipart(argument: &str, raw: &Raw, media: &BodyMedia) -> Result<(String, Vec<u8>), PlanError> {
    let Shape::Object(members) = raw.shape() else {
        return Err(PlanError::value(
            argument,
            "a multipart body is written as an object",
        ));
    };
    let mut parts: Vec<(String, Vec<u8>)> = Vec::new();
    for (name, member) in &members {
        if member.is_null() {
            continue;
        }
        let declared = media
            .encoding
            .get(name)
            .and_then(|e| e.content_type.as_deref());
        match member.shape() {
            Shape::Array(items) => {
                for item in &items {
                    parts.push(part(name, item, declared)?);
                }
            }
            _ => parts.push(part(name, member, declared)?),
        }
    }
    let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for (_, bytes) in &parts {
        digest.update(bytes);
    }
    let boundary = format!("causeway-{}", &hex::encode(digest.finish())[..32]);
    let mut out = Vec::new();
    for (head, bytes) in parts {
        out.extend_from_slice(format!("--{boundary}\r\n{head}\r\n\r\n").as_bytes());
        out.extend_from_slice(&bytes);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Ok((boundary, out))
}

fn part(name: &str, raw: &Raw, declared: Option<&str>) -> Result<(String, Vec<u8>), PlanError> {
    let quoted = name
        .replace('"', "%22")
        .replace('\r', "%0D")
        .replace('\n', "%0A");
    let declared = declared.map(|types| types.split(',').next().unwrap_or_default().trim());
    let declared = declared.filter(|kind| !kind.is_empty() && !kind.contains(['*', '\r', '\n']));
    let text = raw.plain();
    let is_text =
        |kind: &str| kind.starts_with("text/") || kind.contains("json") || kind.contains("xml");
    let is_file = text.starts_with("data:") || declared.is_some_and(|kind| !is_text(kind));
    if is_file {
        let kind = declared.unwrap_or("application/octet-stream");
        let head = format!(
            "Content-Disposition: form-data; name=\"{quoted}\"; filename=\"{quoted}\"\r\nContent-Type: {kind}"
        );
        return Ok((head, decode(name, raw)?));
    }
    let kind = match (declared, raw.shape()) {
        (Some(kind), _) => format!("\r\nContent-Type: {kind}"),
        (None, Shape::Object(_)) => "\r\nContent-Type: application/json".to_owned(),
        (None, _) => String::new(),
    };
    let head = format!("Content-Disposition: form-data; name=\"{quoted}\"{kind}");
    Ok((head, text.as_bytes().to_vec()))
}

/// Base64, or a base64 `data:` URL.
fn decode(argument: &str, raw: &Raw) -> Result<Vec<u8>, PlanError> {
    let text = raw.plain();
    let text = match text.strip_prefix("data:") {
        Some(rest) => rest.split_once(";base64,").map_or("", |(_, data)| data),
        None => &text,
    };
    BASE64
        .decode(text.trim())
        .map_err(|_| PlanError::value(argument, "it has to be base64"))
}
