//! Bodies: JSON of any root, forms, multipart, text and bytes.

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::{alphabet, engine::DecodePaddingMode};
use bytes::Bytes;
use http::HeaderValue;
use percent_encoding::percent_decode_str;

use crate::mcp::plan::raw::{Raw, Shape};
use crate::mcp::plan::{Given, PlanError, style};
use crate::mcp::tool::{BodyArguments, BodyBinding, BodyCodec, BodyMedia, PropertyBinding};
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
        BodyCodec::Json => Bytes::from(raw.text().to_owned()),
        BodyCodec::Form => form(&argument, &raw, media)?.into(),
        BodyCodec::Multipart => {
            let (boundary, bytes) = multipart(&argument, &raw, media)?;
            content_type = format!("{}; boundary={boundary}", media.name);
            bytes.into()
        }
        BodyCodec::Binary => File::read(&argument, &raw)?.bytes.into(),
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
            let members: Vec<_> = properties
                .iter()
                .filter_map(|property| Some((&*property.name, member(property, given)?)))
                .collect();
            (!members.is_empty() || binding.required).then(|| {
                let members = members.iter().map(|(name, raw)| (*name, raw.text()));
                ("body".to_owned(), Raw::object(members))
            })
        }
    }
}

/// A property of the body: what was given, else what is fixed.
fn member<'a>(property: &PropertyBinding, given: &Given<'a>) -> Option<Raw<'a>> {
    match given.get(&property.argument) {
        Some(raw) => Some(raw.clone()),
        None => Some(Raw::owned(property.fixed.as_ref()?.to_string())),
    }
}

fn form(argument: &str, raw: &Raw, media: &BodyMedia) -> Result<String, PlanError> {
    let Shape::Object(members) = raw.shape() else {
        return Err(PlanError::value(argument, "a form is written as an object"));
    };
    let pairs = members.iter().flat_map(|(name, member)| {
        let encoding = media.encoding.get(name);
        match encoding.and_then(|e| e.style) {
            Some(Style::DeepObject) => style::form_deep(name, member),
            style => {
                let explode = encoding.and_then(|e| e.explode) != Some(false);
                let separator = style::separator(style.unwrap_or(Style::Form));
                style::form_pairs(name, member, (!explode).then_some(separator))
            }
        }
    });
    Ok(pairs.collect::<Vec<_>>().join("&"))
}

/// RFC 7578. A part is a file where its encoding says so; text stays text, whatever it holds.
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
    if let Some(declared) = declared.filter(|kind| !is_text(kind)) {
        let file = File::read(name, raw)?;
        let stated = file.media_type.as_deref();
        // A data URL knows better than "some bytes".
        let kind = stated.filter(|_| declared == "application/octet-stream");
        let kind = kind.unwrap_or(declared);
        let head = format!(
            "Content-Disposition: form-data; name=\"{quoted}\"; filename=\"{quoted}\"\r\nContent-Type: {kind}"
        );
        return Ok((head, file.bytes));
    }
    let kind = match (declared, raw.shape()) {
        (Some(kind), _) => format!("\r\nContent-Type: {kind}"),
        (None, Shape::Object(_)) => "\r\nContent-Type: application/json".to_owned(),
        (None, _) => String::new(),
    };
    let head = format!("Content-Disposition: form-data; name=\"{quoted}\"{kind}");
    Ok((head, text.as_bytes().to_vec()))
}

/// Bytes as an argument holds them: base64, or a `data:` URL (RFC 2397).
struct File {
    media_type: Option<String>,
    bytes: Vec<u8>,
}

impl File {
    fn read(argument: &str, raw: &Raw) -> Result<Self, PlanError> {
        let text = raw.plain();
        let base64 = |text: &[u8]| {
            BASE64
                .decode(text.trim_ascii())
                .map_err(|_| PlanError::value(argument, "it has to be base64, or a data URL"))
        };
        let Some(rest) = text.strip_prefix("data:") else {
            return Ok(Self {
                media_type: None,
                bytes: base64(text.as_bytes())?,
            });
        };
        let (head, data) = rest.split_once(',').ok_or_else(|| {
            let rule = "a data URL has a comma before its data (data:image/png;base64,…)";
            PlanError::value(argument, rule)
        })?;
        let data: Vec<u8> = percent_decode_str(data).collect();
        let (media_type, bytes) = match head.strip_suffix(";base64") {
            Some(media_type) => (media_type, base64(&data)?),
            None => (head, data),
        };
        let is_media_type =
            media_type.contains('/') && media_type.bytes().all(|b| (b' '..=b'~').contains(&b));
        Ok(Self {
            media_type: is_media_type.then(|| media_type.to_owned()),
            bytes,
        })
    }
}
