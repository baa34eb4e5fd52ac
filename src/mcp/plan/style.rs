//! Styles of parameters: the tables of OpenAPI 3.1.1 section 4.8.12.3 ("Style Values") and of
//! Swagger 2.0 `collectionFormat`.

use std::borrow::Cow;
use std::fmt::Write;

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::mcp::plan::raw::{Raw, Shape};
use crate::mcp::plan::{PlanError, style_of};
use crate::mcp::tool::ParameterBinding;
use crate::openapi::{ParameterEncoding, Style};

/// Everything but RFC 3986 `unreserved`.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// `allowReserved`: reserved characters stay, except those that would end the value.
const RESERVED: &AsciiSet = &VALUE
    .remove(b':')
    .remove(b'/')
    .remove(b'?')
    .remove(b'@')
    .remove(b'!')
    .remove(b'$')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b',')
    .remove(b';')
    .remove(b'=');

/// Literal text of a path template: what RFC 3986 `pchar` and `/` do not cover.
const LITERAL: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'^')
    .add(b'|')
    .add(b'\\');

fn encode(text: &str, allow_reserved: bool) -> Cow<'_, str> {
    utf8_percent_encode(text, if allow_reserved { RESERVED } else { VALUE }).into()
}

pub(super) fn literal(out: &mut String, text: &str) {
    out.extend(utf8_percent_encode(text, LITERAL));
}

/// How the members of an array or object are joined.
struct Joined {
    before: &'static str,
    separator: &'static str,
    /// Between a property's name and its value.
    equals: &'static str,
}

fn join(raw: &Raw, how: &Joined, write: impl Fn(&str) -> String) -> String {
    let members: Vec<String> = match raw.shape() {
        Shape::Scalar(text) => vec![write(&text)],
        Shape::Array(members) => members
            .iter()
            .map(|member| write(&member.plain()))
            .collect(),
        Shape::Object(members) => members
            .iter()
            .filter(|(_, member)| !member.is_null())
            .map(|(name, member)| {
                format!("{}{}{}", write(name), how.equals, write(&member.plain()))
            })
            .collect(),
    };
    if members.is_empty() {
        String::new()
    } else {
        format!("{}{}", how.before, members.join(how.separator))
    }
}

/// A path parameter: `simple`, `label` or `matrix`.
pub(super) fn path(parameter: &ParameterBinding, raw: &Raw) -> String {
    let write = |text: &str| encode(text, false).into_owned();
    match style_of(parameter) {
        None => encode(raw.text(), false).into_owned(),
        Some((Style::Label, explode, _)) => {
            let (separator, equals) = if explode { (".", "=") } else { (",", ",") };
            let several = explode && !matches!(raw.shape(), Shape::Scalar(_));
            // `.` is unreserved, but separates the items of an exploded label.
            let write = |text: &str| {
                let text = write(text);
                if several {
                    text.replace('.', "%2E")
                } else {
                    text
                }
            };
            join(
                raw,
                &Joined {
                    before: ".",
                    separator,
                    equals,
                },
                write,
            )
        }
        Some((Style::Matrix, explode, _)) => matrix(parameter, raw, explode),
        Some((_, explode, _)) => join(
            raw,
            &Joined {
                before: "",
                separator: ",",
                equals: equals(explode),
            },
            write,
        ),
    }
}

fn equals(explode: bool) -> &'static str {
    if explode { "=" } else { "," }
}

fn matrix(parameter: &ParameterBinding, raw: &Raw, explode: bool) -> String {
    let name = encode(&parameter.name, false);
    let pair = |name: &str, value: &str| {
        if value.is_empty() {
            format!(";{name}")
        } else {
            format!(";{name}={}", encode(value, false))
        }
    };
    match raw.shape() {
        Shape::Scalar(text) => pair(&name, &text),
        Shape::Array(members) if explode => {
            members.iter().map(|m| pair(&name, &m.plain())).collect()
        }
        Shape::Object(members) if explode => members
            .iter()
            .map(|(key, m)| pair(&encode(key, false), &m.plain()))
            .collect(),
        _ => {
            let how = Joined {
                before: "",
                separator: ",",
                equals: ",",
            };
            format!(
                ";{name}={}",
                join(raw, &how, |text| encode(text, false).into_owned())
            )
        }
    }
}

/// A header: `simple`, not percent-encoded, so that an item with a comma would become two.
pub(super) fn header(parameter: &ParameterBinding, raw: &Raw) -> Result<String, PlanError> {
    let Some((_, explode, _)) = style_of(parameter) else {
        return Ok(ascii_json(raw.text()));
    };
    let divides = match raw.shape() {
        Shape::Scalar(_) => false,
        Shape::Array(members) => members.iter().any(|member| member.plain().contains(',')),
        Shape::Object(members) => members
            .iter()
            .any(|(key, member)| key.contains([',', '=']) || member.plain().contains(',')),
    };
    if divides {
        return Err(PlanError::value(
            &parameter.argument,
            "it is sent as a header, where a comma separates items: no item may hold one",
        ));
    }
    let how = Joined {
        before: "",
        separator: ",",
        equals: equals(explode),
    };
    Ok(join(raw, &how, str::to_owned))
}

/// JSON that a header can carry: everything beyond ASCII escaped (RFC 8259 section 7), and the
/// line breaks, which JSON has only between tokens, made spaces.
fn ascii_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            ' '..='~' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out
}

/// A query parameter: none, one or several `name=value`, percent-encoded.
pub(super) fn query(parameter: &ParameterBinding, raw: &Raw) -> Vec<String> {
    pairs(parameter, raw, true)
}

/// A cookie parameter: `name=value` each. `allowReserved` is for queries only: `;` ends a cookie.
pub(super) fn cookie(parameter: &ParameterBinding, raw: &Raw) -> Vec<String> {
    pairs(parameter, raw, false)
}

fn pairs(parameter: &ParameterBinding, raw: &Raw, may_reserve: bool) -> Vec<String> {
    let Some((style, explode, reserved)) = style_of(parameter) else {
        return vec![format!(
            "{}={}",
            encode(&parameter.name, false),
            encode(raw.text(), false)
        )];
    };
    let reserved = reserved && may_reserve;
    let name = encode(&parameter.name, false);
    let pair = |name: &str, value: &str| format!("{name}={}", encode(value, reserved));
    match (style, raw.shape()) {
        (_, Shape::Scalar(text)) => vec![pair(&name, &text)],
        (Style::DeepObject, Shape::Object(members)) => {
            let mut out = Vec::new();
            for (key, member) in &members {
                deep(
                    &mut out,
                    &format!("{name}%5B{}%5D", encode(key, false)),
                    member,
                    reserved,
                );
            }
            out
        }
        (_, Shape::Array(members)) if explode || style == Style::DeepObject => members
            .iter()
            .map(|member| pair(&name, &member.plain()))
            .collect(),
        (Style::Form | Style::Cookie, Shape::Object(members)) if explode => members
            .iter()
            .filter(|(_, member)| !member.is_null())
            .map(|(key, member)| pair(&encode(key, false), &member.plain()))
            .collect(),
        (_, shape) => {
            let empty = match &shape {
                Shape::Array(members) => members.is_empty(),
                Shape::Object(members) => members.is_empty(),
                Shape::Scalar(_) => false,
            };
            if empty {
                return Vec::new();
            }
            let separator = separator(style);
            let how = Joined {
                before: "",
                separator,
                equals: separator,
            };
            vec![format!(
                "{name}={}",
                // `allowReserved` does not reach the separator: an item must not become two.
                join(raw, &how, |text| encode(text, false).into_owned())
            )]
        }
    }
}

/// Between the items of an array that is one value.
pub(super) fn separator(style: Style) -> &'static str {
    match style {
        Style::SpaceDelimited => "%20",
        Style::PipeDelimited => "%7C",
        Style::TabDelimited => "%09",
        _ => ",",
    }
}

/// `name[key][key]=value`, as deep as it goes; arrays repeat the name.
fn deep(out: &mut Vec<String>, name: &str, raw: &Raw, reserved: bool) {
    match raw.shape() {
        Shape::Object(members) => {
            for (key, member) in &members {
                deep(
                    out,
                    &format!("{name}%5B{}%5D", encode(key, false)),
                    member,
                    reserved,
                );
            }
        }
        Shape::Array(members) => members
            .iter()
            .for_each(|member| deep(out, name, member, reserved)),
        Shape::Scalar(_) if raw.is_null() => {}
        Shape::Scalar(text) => out.push(format!("{name}={}", encode(&text, reserved))),
    }
}

/// OpenAPI 3.2 `in: querystring`: the value is the whole query string.
pub(super) fn query_string(parameter: &ParameterBinding, raw: &Raw) -> Result<String, PlanError> {
    let form = matches!(&parameter.encoding, ParameterEncoding::Content { media_type }
        if media_type.starts_with("application/x-www-form-urlencoded"));
    match raw.shape() {
        Shape::Object(members) if form => {
            let pairs = members
                .iter()
                .flat_map(|(key, member)| form_pairs(key, member, None));
            Ok(pairs.collect::<Vec<_>>().join("&"))
        }
        _ if form => Err(PlanError::value(
            &parameter.argument,
            "it is the query string, written as an object",
        )),
        _ => Ok(encode(raw.text(), false).into_owned()),
    }
}

/// `application/x-www-form-urlencoded` (URL Standard section 5): a space is `+`.
pub(super) fn form_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'*' | b'-' | b'.' | b'_' => out.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            byte => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// One property of a form: arrays repeat the name, or are joined with a separator; objects are JSON.
pub(super) fn form_pairs(name: &str, raw: &Raw, joined: Option<&str>) -> Vec<String> {
    let pair = |value: &str| format!("{}={}", form_encode(name), form_encode(value));
    match raw.shape() {
        Shape::Scalar(_) if raw.is_null() => Vec::new(),
        Shape::Scalar(text) => vec![pair(&text)],
        Shape::Array(members) => match joined {
            None => members.iter().map(|member| pair(&member.plain())).collect(),
            Some(separator) => {
                let values = members.iter().map(|m| form_encode(&m.plain()));
                let value = values.collect::<Vec<_>>().join(separator);
                vec![format!("{}={value}", form_encode(name))]
            }
        },
        Shape::Object(_) => vec![pair(raw.text())],
    }
}

/// The same as `deepObject` does it: `name[key]=value`.
pub(super) fn form_deep(name: &str, raw: &Raw) -> Vec<String> {
    let mut out = Vec::new();
    deep(&mut out, &form_encode(name), raw, false);
    out
}
