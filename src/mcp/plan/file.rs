//! Files as arguments hold them: base64, a `data:` URL (RFC 2397) or a link to an earlier answer;
//! alone, or in an object beside a name and a type.

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::{alphabet, engine::DecodePaddingMode};
use bytes::Bytes;
use indexmap::IndexMap;
use percent_encoding::percent_decode_str;

use crate::mcp::plan::PlanError;
use crate::mcp::plan::raw::{Raw, Shape};
use crate::types::essence;

/// Base64 with or without padding, in its plain alphabet and in that of URLs.
const BASE64: GeneralPurpose = engine(&alphabet::STANDARD);
const BASE64_URL: GeneralPurpose = engine(&alphabet::URL_SAFE);

const fn engine(alphabet: &alphabet::Alphabet) -> GeneralPurpose {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(alphabet, config)
}

/// How a link to an answer begins.
pub const LINK_SCHEME: &str = "causeway://";

/// What a link leads to. Planning reads nothing: whoever plans fetches the links that
/// [`crate::mcp::plan::Accepted::links`] names, and gives them with the arguments.
#[derive(Clone, Debug, Default)]
pub struct Linked {
    pub media_type: Option<String>,
    pub filename: Option<String>,
    pub bytes: Bytes,
}

/// What was fetched, by link.
pub type Links = IndexMap<String, Linked>;

/// A file argument, read.
#[derive(Debug, Default)]
pub(super) struct File {
    /// What the argument, its data URL or its link says.
    pub(super) media_type: Option<String>,
    /// The caller said it beside the data, and means it.
    pub(super) typed: bool,
    pub(super) filename: Option<String>,
    /// Headers of the part, by name.
    pub(super) headers: Vec<(String, String)>,
    pub(super) bytes: Bytes,
}

impl File {
    pub(super) fn read(argument: &str, raw: &Raw, links: &Links) -> Result<Self, PlanError> {
        let Shape::Object(members) = raw.shape() else {
            return Self::of_text(argument, &raw.plain(), links);
        };
        let text = |key: &str| {
            let member = members.get(key).filter(|member| !member.is_null());
            member.map(|member| member.plain().into_owned())
        };
        let data = text("data").ok_or_else(|| {
            PlanError::value(argument, "a file is base64, or an object with its `data`")
        })?;
        let mut file = Self::of_text(argument, &data, links)?;
        if let Some(media_type) = text("contentType") {
            if !is_media_type(&media_type) {
                return Err(PlanError::value(
                    argument,
                    "its `contentType` is no media type",
                ));
            }
            file.media_type = Some(media_type);
            file.typed = true;
        }
        if let Some(filename) = text("filename").filter(|name| !name.is_empty()) {
            file.filename = Some(filename);
        }
        if let Some(Shape::Object(headers)) = members.get("headers").map(Raw::shape) {
            for (name, value) in &headers {
                let value = value.plain().into_owned();
                if !value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
                    let rule = "a header of a part holds printable ASCII only";
                    return Err(PlanError::value(argument, rule));
                }
                file.headers.push((name.clone(), value));
            }
        }
        Ok(file)
    }

    fn of_text(argument: &str, text: &str, links: &Links) -> Result<Self, PlanError> {
        if text.starts_with(LINK_SCHEME) {
            let linked = links.get(text).ok_or_else(|| {
                let rule =
                    "what it links to is not there (any more); answers are kept for a while only";
                PlanError::value(argument, rule)
            })?;
            return Ok(Self {
                media_type: linked.media_type.clone(),
                filename: linked.filename.clone(),
                bytes: linked.bytes.clone(),
                ..Self::default()
            });
        }
        let Some(rest) = text.strip_prefix("data:") else {
            return Ok(Self {
                bytes: base64(argument, text.as_bytes())?,
                ..Self::default()
            });
        };
        let (head, data) = rest.split_once(',').ok_or_else(|| {
            let rule = "a data URL has a comma before its data (data:image/png;base64,…)";
            PlanError::value(argument, rule)
        })?;
        let data: Vec<u8> = percent_decode_str(data).collect();
        let (media_type, bytes) = match head.strip_suffix(";base64") {
            Some(media_type) => (media_type, base64(argument, &data)?),
            None => (head, data.into()),
        };
        Ok(Self {
            media_type: is_media_type(media_type).then(|| media_type.to_owned()),
            bytes,
            ..Self::default()
        })
    }

    /// The media type to send, where `declared` are the types the document names.
    pub(super) fn media_type(&self, declared: Option<&str>) -> String {
        let declared: Vec<&str> = declared
            .into_iter()
            .flat_map(|list| list.split(','))
            .map(str::trim)
            .filter(|kind| !kind.is_empty())
            .collect();
        let covers = |range: &&str, kind: &str| match range.strip_suffix('*') {
            Some("*/") => true,
            Some(family) => kind.starts_with(family),
            None => essence(range) == essence(kind) || *range == "application/octet-stream",
        };
        if let Some(stated) = &self.media_type
            && (self.typed || declared.is_empty() || declared.iter().any(|r| covers(r, stated)))
        {
            return stated.clone();
        }
        let concrete = declared.iter().find(|kind| !kind.contains('*'));
        let sendable = concrete.filter(|kind| is_media_type(kind));
        sendable
            .map_or("application/octet-stream", |kind| kind)
            .to_owned()
    }
}

/// The link that an argument is, if it is one.
pub(super) fn link(raw: &Raw) -> Option<String> {
    let text = match raw.shape() {
        Shape::Object(members) => members.get("data")?.plain().into_owned(),
        _ => raw.plain().into_owned(),
    };
    text.starts_with(LINK_SCHEME).then_some(text)
}

fn base64(argument: &str, text: &[u8]) -> Result<Bytes, PlanError> {
    // Encoders break lines (RFC 2045 section 6.8).
    let text: Vec<u8> = text
        .iter()
        .copied()
        .filter(|b| !b.is_ascii_whitespace())
        .collect();
    let read = BASE64.decode(&text).or_else(|_| BASE64_URL.decode(&text));
    read.map(Bytes::from)
        .map_err(|_| PlanError::value(argument, "it has to be base64, or a data URL"))
}

fn is_media_type(text: &str) -> bool {
    text.contains('/') && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}
