//! Bodies: JSON of any root, sequences, forms, multipart, text, XML and bytes.

use bytes::Bytes;
use http::HeaderValue;

use crate::events::Framing;
use crate::mcp::plan::file::{self, File, Links};
use crate::mcp::plan::multipart::multipart;
use crate::mcp::plan::raw::{Raw, Shape};
use crate::mcp::plan::{Given, PlanError, form, sequence, xml};
use crate::mcp::tool::file::ANY_PART;
use crate::mcp::tool::{BodyArguments, BodyBinding, BodyCodec, BodyMedia, PropertyBinding};

impl BodyBinding {
    /// Whether `null` for that argument is a value of its own, or at least not ours to drop.
    pub(super) fn is_nullable(&self, argument: &str) -> bool {
        if self.choice.as_deref() == Some(argument) {
            return false;
        }
        match &self.arguments {
            BodyArguments::Lifted(properties) => properties
                .iter()
                .find(|property| property.argument == argument)
                .is_none_or(|property| property.nullable),
            BodyArguments::Whole(whole) => self.nullable || self.required || whole != argument,
        }
    }

    /// The media type the caller chose, else the best one that such a body may be written as.
    fn chosen(&self, given: &Given, body: &Raw) -> Option<&BodyMedia> {
        let name = self.choice.as_ref().and_then(|choice| given.get(choice));
        let name = name.map(Raw::plain);
        let chosen = name.and_then(|name| self.media.iter().find(|media| media.name == name));
        let fitting = || self.media.iter().find(|media| media.takes(body));
        chosen.or_else(fitting).or(self.media.first())
    }
}

impl BodyMedia {
    /// Whether the body may be written from a value of that type, as far as the document says so.
    fn takes(&self, body: &Raw) -> bool {
        let kind = body.kind();
        let is_kind = |known: &str| known == kind || (known == "integer" && kind == "number");
        self.types.is_empty() || self.types.iter().any(|known| is_kind(known))
    }
}

/// The body's content type and bytes; `None` where no argument asks for one.
pub(super) fn write(
    binding: &BodyBinding,
    given: &Given,
    links: &Links,
) -> Result<Option<(HeaderValue, Bytes)>, PlanError> {
    let Some((argument, raw)) = value(binding, given) else {
        return Ok(None);
    };
    let Some(media) = binding.chosen(given, &raw) else {
        return Ok(None);
    };
    if binding.media.len() > 1 && !media.takes(&raw) {
        let rule = "a body of the media type that was chosen is no such value";
        return Err(PlanError::value(&argument, rule));
    }
    let mut content_type = media.name.clone();
    let bytes = match media.codec {
        BodyCodec::Json => Bytes::from(raw.text().to_owned()),
        BodyCodec::Sequence => {
            let framing = Framing::of(&media.name).unwrap_or(Framing::Lines);
            sequence::sequence(&argument, &raw, framing)?.into()
        }
        BodyCodec::Form => form::form(&argument, &raw, &media.encoding)?.into(),
        BodyCodec::Multipart => {
            let written = multipart(&argument, &raw, media, links)?;
            content_type = written.content_type;
            written.bytes.into()
        }
        BodyCodec::Binary => {
            let file = File::read(&argument, &raw, links)?;
            if media.name.contains('*') {
                content_type = file.media_type(Some(&media.name));
            }
            file.bytes
        }
        BodyCodec::Text => Bytes::from(raw.plain().into_owned()),
        BodyCodec::Xml => xml::document(&argument, &raw, media.xml.as_ref())?.into(),
    };
    let content_type = HeaderValue::from_str(&content_type)
        .map_err(|_| PlanError::value(&argument, "its media type is not valid"))?;
    Ok(Some((content_type, bytes)))
}

/// The links to earlier answers among the files of a body.
pub(super) fn links(binding: &BodyBinding, given: &Given) -> Vec<String> {
    let Some((_, raw)) = value(binding, given) else {
        return Vec::new();
    };
    let Some(media) = binding.chosen(given, &raw) else {
        return Vec::new();
    };
    match (media.codec, raw.shape()) {
        (BodyCodec::Binary, _) => file::link(&raw).into_iter().collect(),
        (BodyCodec::Multipart, Shape::Array(items)) => {
            let positions = media.positions.as_ref();
            let is_file = |index| positions.is_some_and(|parts| parts.at(index).is_file);
            let files = items
                .iter()
                .enumerate()
                .filter(|(index, _)| is_file(*index));
            files.filter_map(|(_, item)| file::link(item)).collect()
        }
        (BodyCodec::Multipart, Shape::Object(members)) => {
            let is_file = |name: &String| {
                let mut files = media.files.iter();
                files.any(|file| file == name || file == ANY_PART)
            };
            let files = members.iter().filter(|(name, _)| is_file(name));
            files
                .map(|(_, member)| member)
                .flat_map(|member| match member.shape() {
                    Shape::Array(items) => items.iter().filter_map(file::link).collect(),
                    _ => file::link(member).into_iter().collect::<Vec<_>>(),
                })
                .collect()
        }
        _ => Vec::new(),
    }
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

/// A property of the body: what is fixed, whatever was given, else that.
fn member<'a>(property: &PropertyBinding, given: &Given<'a>) -> Option<Raw<'a>> {
    match &property.fixed {
        Some(fixed) => Some(Raw::owned(fixed.to_string())),
        None => given.get(&property.argument).cloned(),
    }
}
