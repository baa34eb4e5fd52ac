//! Headers and cookies. OpenAPI forbids to percent-encode or quote a header by itself (OAS 3.2.0,
//! "Fixed Fields for use with `schema`"), so that what a header cannot hold is refused by name.

use http::header::{ACCEPT, COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::mcp::plan::escape::{Escape, ascii_json};
use crate::mcp::plan::raw::{Raw, Shape};
use crate::mcp::plan::style::{self, How};
use crate::mcp::plan::{Given, PlanError, at, form, value};
use crate::mcp::tool::{Binding, BodyCodec, ParameterBinding, media};
use crate::openapi::parameter::is_reserved;
use crate::openapi::{Location, ParameterEncoding, Style};

/// The request's headers but for those of the body.
pub(super) fn headers(binding: &Binding, given: &Given) -> Result<HeaderMap, PlanError> {
    let mut headers = HeaderMap::with_capacity(8);
    if let Ok(accept) = HeaderValue::from_str(&binding.accept) {
        headers.insert(ACCEPT, accept);
    }
    for parameter in at(binding, Location::Header) {
        let Some(raw) = value(parameter, given) else {
            continue;
        };
        let refused = |rule| PlanError::value(&parameter.argument, rule);
        let name = HeaderName::from_bytes(parameter.name.as_bytes())
            .ok()
            .filter(|name| !is_reserved(name.as_str()))
            .ok_or_else(|| refused("this header cannot be set by an argument"))?;
        let text = header(parameter, &raw)?;
        let value = HeaderValue::from_str(&text)
            .map_err(|_| refused("it is sent as a header, which holds no line break"))?;
        headers.insert(name, value);
    }
    let cookies = cookies(binding, given)?;
    if let Ok(cookies) = HeaderValue::from_str(&cookies)
        && !cookies.is_empty()
    {
        headers.insert(COOKIE, cookies);
    }
    Ok(headers)
}

/// `simple`, not percent-encoded, so that an item with a comma would become two.
fn header(parameter: &ParameterBinding, raw: &Raw) -> Result<String, PlanError> {
    let refused = |rule| Err(PlanError::value(&parameter.argument, rule));
    let (style, explode, items) = match &parameter.encoding {
        ParameterEncoding::Content {
            media_type,
            encoding,
        } => {
            if media::codec(media_type) == Some(BodyCodec::Json) {
                return Ok(ascii_json(raw.text()));
            }
            let text = form::content(&parameter.argument, raw, media_type, encoding)?;
            return match fault(&text) {
                Some(rule) => refused(rule),
                None => Ok(text),
            };
        }
        ParameterEncoding::Style {
            style,
            explode,
            items,
            ..
        } => (*style, *explode, items),
    };
    let divider = match style {
        Style::SpaceDelimited => ' ',
        Style::PipeDelimited => '|',
        Style::TabDelimited => '\t',
        _ => ',',
    };
    let divides = |text: &str| text.contains(divider);
    let texts: Vec<String> = match raw.shape() {
        Shape::Scalar(text) => vec![if raw.is_null() {
            String::new()
        } else {
            text.into()
        }],
        Shape::Array(members) => members.iter().map(|m| m.plain().into_owned()).collect(),
        Shape::Object(members) => {
            let ends_name = |key: &String| explode && key.contains('=');
            if members.keys().any(ends_name) {
                return refused("it is sent as a header, where no name of a member may hold a `=`");
            }
            let pairs = members.iter();
            pairs
                .flat_map(|(key, m)| [key.clone(), m.plain().into_owned()])
                .collect()
        }
    };
    if let Some(rule) = texts.iter().find_map(|text| fault(text)) {
        return refused(rule);
    }
    let several = !matches!(raw.shape(), Shape::Scalar(_));
    if several && texts.iter().any(|text| divides(text)) {
        return refused(
            "it is sent as a header, where a comma (or what the API declares) separates items: no \
             item may hold one",
        );
    }
    let how = How {
        style,
        items,
        explode,
        escape: Escape::Plain,
        required: true,
    };
    Ok(style::in_one(raw, how))
}

/// Why a text cannot be (part of) a header.
fn fault(text: &str) -> Option<&'static str> {
    if !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Some("it is sent as a header, which holds printable ASCII only and no line break");
    }
    (text.trim() != text)
        .then_some("it is sent as a header, which cannot begin or end with a space")
}

fn cookies(binding: &Binding, given: &Given) -> Result<String, PlanError> {
    let mut written: Vec<String> = Vec::new();
    for parameter in at(binding, Location::Cookie) {
        let Some(raw) = value(parameter, given) else {
            continue;
        };
        written.extend(cookie(parameter, &raw)?);
    }
    Ok(written.join("; "))
}

/// A cookie parameter: `form` writes one cookie as a query is written, `cookie` one for each item.
fn cookie(parameter: &ParameterBinding, raw: &Raw) -> Result<Option<String>, PlanError> {
    let name = &parameter.name;
    let (style, explode, reserved, items) = match &parameter.encoding {
        ParameterEncoding::Content {
            media_type,
            encoding,
        } => {
            let text = form::content(&parameter.argument, raw, media_type, encoding)?;
            let (name, text) = (Escape::Percent.name(name), Escape::Percent.write(&text));
            return Ok(Some(format!("{name}={text}")));
        }
        ParameterEncoding::Style {
            style,
            explode,
            allow_reserved,
            items,
        } => (*style, *explode, *allow_reserved, items),
    };
    let plain = style == Style::Cookie;
    let escape = match reserved {
        _ if plain => Escape::Plain,
        true => Escape::CookieReserved,
        false => Escape::Percent,
    };
    let how = How {
        style,
        items,
        explode,
        escape,
        required: parameter.required,
    };
    let pairs = style::pairs(name, raw, how);
    if plain
        && !pairs
            .iter()
            .all(|(name, value)| is_cookie(name, value, raw, explode))
    {
        return Err(PlanError::value(
            &parameter.argument,
            "it is sent as a cookie as it stands: printable ASCII without `;`, items without `,`, \
             names without `=`, no space at an end; escape what the API expects to be escaped",
        ));
    }
    let written: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    // What separates the pairs of a form is `&` in a cookie too (OAS 3.2.0, "Style Examples").
    let separator = if plain { "; " } else { "&" };
    Ok((!written.is_empty()).then(|| written.join(separator)))
}

/// A pair that is one cookie and stays one.
fn is_cookie(name: &str, value: &str, raw: &Raw, explode: bool) -> bool {
    let safe = |text: &str| {
        text.bytes()
            .all(|b| (b' '..=b'~').contains(&b) && b != b';')
    };
    let items = match raw.shape() {
        Shape::Scalar(_) => true,
        _ if explode => true,
        Shape::Array(members) => members.iter().all(|member| !member.plain().contains(',')),
        Shape::Object(members) => members
            .iter()
            .all(|(key, member)| !key.contains(',') && !member.plain().contains(',')),
    };
    safe(name) && safe(value) && !name.contains('=') && value.trim() == value && items
}
