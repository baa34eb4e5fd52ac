//! Styles: the tables of OpenAPI 3.2.0, "Style Examples" (3.0.4 and 3.1.1 say the same where they
//! say anything), and of Swagger 2.0 `collectionFormat`.
//!
//! Null, an empty array and an empty object are "undefined" (RFC 6570 section 2.3). An optional
//! parameter is left out then; a required one is written as the table's column of that name says.

use std::borrow::Cow;

use crate::mcp::plan::escape::Escape;
use crate::mcp::plan::raw::{Raw, Shape};
use crate::openapi::Style;

/// Name and value as they are sent, without what stands between them.
pub(super) type Pair = (String, String);

/// How one value is written.
#[derive(Clone, Copy)]
pub(super) struct How<'s> {
    pub(super) style: Style,
    /// How lists within a list are written, from the outside in; JSON where nothing is said.
    pub(super) items: &'s [Style],
    pub(super) explode: bool,
    pub(super) escape: Escape,
    /// An undefined value is written too.
    pub(super) required: bool,
}

impl How<'_> {
    /// The items of an array or the names and values of an object, as one text.
    fn joined(self, raw: &Raw, separator: &str, equals: &str) -> String {
        let write = |text: &str| {
            let text = self.escape.write(text);
            // Reserved expansion lets the separators pass: an item must not become two.
            match self.escape {
                Escape::Plain | Escape::Percent => text,
                _ => text.replace(',', "%2C"),
            }
        };
        let write = |text: &str| {
            let text = write(text);
            // `.` is unreserved, but separates the items of an exploded label.
            if self.style == Style::Label && self.explode {
                text.replace('.', "%2E")
            } else {
                text
            }
        };
        let members: Vec<String> = match raw.shape() {
            Shape::Scalar(text) => return self.escape.write(&text),
            Shape::Array(members) => defined(&members)
                .map(|m| write(&item(m, self.items)))
                .collect(),
            Shape::Object(members) => members
                .iter()
                .filter(|(_, member)| !member.is_null())
                .map(|(name, member)| format!("{}{equals}{}", write(name), write(&member.plain())))
                .collect(),
        };
        members.join(separator)
    }
}

/// The members of an array that are not undefined.
fn defined<'m, 'r>(members: &'m [Raw<'r>]) -> impl Iterator<Item = &'m Raw<'r>> {
    members.iter().filter(|member| !member.is_null())
}

/// An item as text; a list as its style says.
fn item<'r>(raw: &'r Raw, styles: &[Style]) -> Cow<'r, str> {
    match (raw.shape(), styles) {
        (Shape::Array(members), [style, inner @ ..]) => {
            let members = defined(&members).map(|member| item(member, inner).into_owned());
            members.collect::<Vec<_>>().join(separator(*style)).into()
        }
        _ => raw.plain(),
    }
}

/// Whether a value is undefined.
fn is_undefined(raw: &Raw) -> bool {
    match raw.shape() {
        Shape::Scalar(_) => raw.is_null(),
        Shape::Array(members) => members.iter().all(Raw::is_null),
        Shape::Object(members) => members.values().all(Raw::is_null),
    }
}

/// Between the items of an array that is one value.
fn separator(style: Style) -> &'static str {
    match style {
        Style::SpaceDelimited => " ",
        Style::PipeDelimited => "|",
        Style::TabDelimited => "\t",
        _ => ",",
    }
}

/// A path parameter: `simple`, `label`, `matrix`, or a separator of Swagger 2.0.
pub(super) fn path(name: &str, raw: &Raw, how: How) -> String {
    let undefined = is_undefined(raw);
    match how.style {
        Style::Matrix => matrix(name, raw, how, undefined),
        Style::Label if undefined => ".".to_owned(),
        Style::Label => {
            let (separator, equals) = if how.explode { (".", "=") } else { (",", ",") };
            format!(".{}", how.joined(raw, separator, equals))
        }
        _ if undefined => String::new(),
        _ => in_one(raw, how),
    }
}

/// A header: `simple`, or a separator of Swagger 2.0; the same as in a path but for the encoding.
pub(super) fn in_one(raw: &Raw, how: How) -> String {
    if is_undefined(raw) {
        return String::new();
    }
    let separator = how.escape.delimiter(separator(how.style));
    let equals = if how.explode { "=" } else { &separator };
    how.joined(raw, &separator, equals)
}

fn matrix(name: &str, raw: &Raw, how: How, undefined: bool) -> String {
    let pair = |name: &str, value: &str| {
        let name = how.escape.name(name);
        if value.is_empty() {
            format!(";{name}")
        } else {
            format!(";{name}={}", how.escape.write(value))
        }
    };
    match raw.shape() {
        _ if undefined => pair(name, ""),
        Shape::Scalar(text) => pair(name, &text),
        Shape::Array(members) if how.explode => defined(&members)
            .map(|m| pair(name, &item(m, how.items)))
            .collect(),
        Shape::Object(members) if how.explode => members
            .iter()
            .filter(|(_, member)| !member.is_null())
            .map(|(key, member)| pair(key, &member.plain()))
            .collect(),
        _ => {
            let name = how.escape.name(name);
            format!(";{name}={}", how.joined(raw, ",", ","))
        }
    }
}

/// A query or cookie parameter, or a field of a form: none, one or several names with their values.
pub(super) fn pairs(name: &str, raw: &Raw, how: How) -> Vec<Pair> {
    let escape = how.escape;
    let pair = |name: &str, value: &str| (escape.name(name), escape.write(value));
    if is_undefined(raw) {
        let has_form = matches!(how.style, Style::Form | Style::Cookie);
        let written = how.required && has_form;
        return written.then(|| pair(name, "")).into_iter().collect();
    }
    match raw.shape() {
        Shape::Scalar(text) => vec![pair(name, &text)],
        _ if how.style == Style::DeepObject => {
            let mut out = Vec::new();
            // The items of a list named `ids[]` are not `ids[][]`.
            let list = matches!(raw.shape(), Shape::Array(_));
            let stem = name.strip_suffix("[]").filter(|_| list);
            deep(&mut out, stem.unwrap_or(name), raw, escape);
            out
        }
        Shape::Array(members) if how.explode => defined(&members)
            .map(|m| pair(name, &item(m, how.items)))
            .collect(),
        Shape::Object(members) if how.explode => members
            .iter()
            .filter(|(_, member)| !member.is_null())
            .map(|(key, member)| pair(key, &member.plain()))
            .collect(),
        _ => {
            let separator = escape.delimiter(separator(how.style));
            vec![(escape.name(name), how.joined(raw, &separator, &separator))]
        }
    }
}

/// `name[key][key]=value`, as deep as it goes. OpenAPI does not say what becomes of arrays; what
/// reads brackets (Rack, PHP, qs, Stripe) reads scalars as `name[]`, and objects by their index.
fn deep(out: &mut Vec<Pair>, name: &str, raw: &Raw, escape: Escape) {
    match raw.shape() {
        Shape::Object(members) => {
            for (key, member) in &members {
                deep(out, &format!("{name}[{key}]"), member, escape);
            }
        }
        Shape::Array(members) => {
            let flat = members
                .iter()
                .all(|m| matches!(m.shape(), Shape::Scalar(_)));
            for (index, member) in members.iter().enumerate() {
                let inner = if flat {
                    format!("{name}[]")
                } else {
                    format!("{name}[{index}]")
                };
                deep(out, &inner, member, escape);
            }
        }
        Shape::Scalar(_) if raw.is_null() => {}
        Shape::Scalar(text) => out.push((escape.name(name), escape.write(&text))),
    }
}
