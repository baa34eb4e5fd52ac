//! `application/x-www-form-urlencoded`, in a body or as a query string, and parameters that are
//! written as a media type.

use indexmap::IndexMap;

use crate::mcp::plan::PlanError;
use crate::mcp::plan::escape::{self, Escape};
use crate::mcp::plan::raw::{Raw, Shape};
use crate::mcp::plan::style::{self, How};
use crate::mcp::tool::BodyCodec;
use crate::mcp::tool::media::codec;
use crate::openapi::{PartEncoding, Style};
use crate::types::essence;

/// A form: every field by its encoding (OAS 3.1.1 section 4.8.15.3).
pub(super) fn form(
    argument: &str,
    raw: &Raw,
    encoding: &IndexMap<String, PartEncoding>,
) -> Result<String, PlanError> {
    let Shape::Object(members) = raw.shape() else {
        return Err(PlanError::value(argument, "a form is written as an object"));
    };
    let fields = members.iter().flat_map(|(name, member)| {
        let encoding = encoding.get(name);
        match encoding.filter(|encoding| encoding.is_styled()) {
            Some(encoding) => style::pairs(name, member, styled(encoding, Escape::Percent)),
            None => by_content(name, member, encoding),
        }
    });
    let fields: Vec<String> = fields
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    Ok(fields.join("&"))
}

/// A field with a style is written "the same [..] as `query` parameters".
pub(super) fn styled(encoding: &PartEncoding, escape: Escape) -> How<'_> {
    let style = encoding.style.unwrap_or(Style::Form);
    let reserved = escape == Escape::Percent && encoding.allow_reserved == Some(true);
    How {
        style,
        items: &[],
        explode: encoding.explode.unwrap_or(style == Style::Form),
        escape: if reserved {
            Escape::QueryReserved
        } else {
            escape
        },
        required: false,
    }
}

/// A field without a style is written as its content type: text for scalars, JSON for objects, and
/// each item of an array as a field of its own.
fn by_content(name: &str, raw: &Raw, encoding: Option<&PartEncoding>) -> Vec<style::Pair> {
    let declared = encoding.and_then(|encoding| encoding.content_type.as_deref());
    let json = declared.and_then(codec) == Some(BodyCodec::Json);
    let field = |raw: &Raw| {
        let value = if json { raw.text().into() } else { raw.plain() };
        (escape::form(name), escape::form(&value))
    };
    match raw.shape() {
        Shape::Scalar(_) if raw.is_null() => Vec::new(),
        Shape::Array(members) => members
            .iter()
            .filter(|member| !member.is_null())
            .map(field)
            .collect(),
        _ => vec![field(raw)],
    }
}

/// A parameter's value as its media type says, not yet percent-encoded.
pub(super) fn content(
    argument: &str,
    raw: &Raw,
    media_type: &str,
    encoding: &IndexMap<String, PartEncoding>,
) -> Result<String, PlanError> {
    match codec(media_type) {
        Some(BodyCodec::Form) => form(argument, raw, encoding),
        Some(BodyCodec::Json) => Ok(raw.text().to_owned()),
        _ => Ok(raw.plain().into_owned()),
    }
}

/// OpenAPI 3.2 `in: querystring`: the value is the whole query string. A form is one by definition;
/// anything else is percent-encoded.
pub(super) fn query_string(
    argument: &str,
    raw: &Raw,
    media_type: &str,
    encoding: &IndexMap<String, PartEncoding>,
) -> Result<String, PlanError> {
    let text = content(argument, raw, media_type, encoding)?;
    if essence(media_type) == "application/x-www-form-urlencoded" {
        Ok(text)
    } else {
        Ok(Escape::Percent.write(&text))
    }
}
