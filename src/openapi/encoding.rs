//! Encoding Objects: how the parts of a form or a multipart body are written, by name or by position.

use indexmap::IndexMap;

use crate::openapi::finding::{Code, quoted};
use crate::openapi::parameter::style;
use crate::openapi::pointer::{Located, is_true, text};
use crate::openapi::schema::Reading;
use crate::openapi::{PartEncoding, PartHeader, PartPositions};

/// What tells one part of a body from the others.
#[derive(Clone, Copy, PartialEq)]
enum PartsBy {
    Name,
    Position,
}

impl<'a> Reading<'a> {
    /// The `encoding` of a media type, by property.
    pub fn part_encodings(&mut self, media: &Located<'_>) -> IndexMap<String, PartEncoding> {
        let mut encodings = IndexMap::new();
        for (property, part) in media.get("encoding").iter().flat_map(Located::members) {
            let encoding = self.part(&part, PartsBy::Name);
            encodings.extend(encoding.map(|encoding| (property.to_owned(), encoding)));
        }
        encodings
    }

    /// `prefixEncoding` and `itemEncoding` of a media type; `None` where it has neither.
    pub fn part_positions(&mut self, media: &Located<'_>) -> Option<PartPositions> {
        let (first, rest) = (media.get("prefixEncoding"), media.get("itemEncoding"));
        if first.is_none() && rest.is_none() {
            return None;
        }
        let first = first.iter().flat_map(Located::items);
        // A part that cannot be read has its place all the same.
        let first = first.map(|at| self.part(&at, PartsBy::Position).unwrap_or_default());
        Some(PartPositions {
            first: first.collect(),
            rest: rest
                .and_then(|at| self.part(&at, PartsBy::Position))
                .unwrap_or_default(),
        })
    }

    /// What the reference at `at` leads to; a finding if that is nothing.
    fn referred(&mut self, at: &Located<'_>, what: &str) -> Option<Located<'a>> {
        let reference = at.text("$ref")?;
        match self.references.target(&reference, &at.pointer) {
            Ok(target) => Some(target.at),
            Err(fault) => {
                let message = format!("the {what}'s reference {}", fault.reason());
                self.findings
                    .add(Code::MediaTypeInvalid, at.pointer.clone(), message);
                None
            }
        }
    }

    /// One Encoding Object, or what a reference in place of it leads to.
    fn part(&mut self, at: &Located<'_>, by: PartsBy) -> Option<PartEncoding> {
        if at.value.get("$ref").is_some() {
            return self.referred(at, "encoding").map(|at| self.own(&at, by));
        }
        Some(self.own(at, by))
    }

    fn own(&mut self, at: &Located<'_>, by: PartsBy) -> PartEncoding {
        let named = at.text("style");
        let style = named.as_deref().and_then(style);
        if let (Some(named), None) = (&named, style) {
            let message = format!("{} is no style", quoted(named));
            self.findings
                .add(Code::StyleUnsupported, at.pointer.clone(), message);
        }
        let nested = ["encoding", "prefixEncoding", "itemEncoding"];
        if let Some(nested) = nested.iter().find(|key| at.value.get(**key).is_some()) {
            let message = format!("parts within a part are sent as JSON, whatever `{nested}` says");
            self.findings
                .add(Code::EncodingIgnored, at.pointer.clone(), message);
        }
        PartEncoding {
            content_type: at.text("contentType"),
            style,
            explode: at.value.get("explode").map(|flag| is_true(Some(flag))),
            allow_reserved: at
                .value
                .get("allowReserved")
                .map(|flag| is_true(Some(flag))),
            headers: self.part_headers(at, by),
        }
    }

    /// The headers of a part. "`Content-Type` is described separately and SHALL be ignored"
    /// (OAS 3.1.1 section 4.8.15.1.1), and `Content-Disposition` is written from the part's name if
    /// it has one. A header whose schema is `false` is one that a part must not have.
    fn part_headers(&mut self, at: &Located<'_>, by: PartsBy) -> IndexMap<String, PartHeader> {
        let mut headers = IndexMap::new();
        for (name, header) in at.get("headers").iter().flat_map(Located::members) {
            let is_ours = name.eq_ignore_ascii_case("content-type")
                || (by == PartsBy::Name && name.eq_ignore_ascii_case("content-disposition"));
            if is_ours || http::HeaderName::try_from(name).is_err() {
                continue;
            }
            let read = if header.value.get("$ref").is_some() {
                self.referred(&header, "header").map(|at| part_header(&at))
            } else {
                Some(part_header(&header))
            };
            headers.extend(read.flatten().map(|read| (name.to_owned(), read)));
        }
        headers
    }
}

fn part_header(at: &Located<'_>) -> Option<PartHeader> {
    let content = at.get("content");
    let content = content
        .as_ref()
        .and_then(|content| content.members().next());
    let schema = at
        .get("schema")
        .or_else(|| content.and_then(|(_, media)| media.get("schema")));
    if schema.as_ref().is_some_and(|schema| schema.value == false) {
        return None;
    }
    let one = schema.as_ref().and_then(|schema| {
        let listed = schema.get("enum").filter(|list| list.items().count() == 1);
        let only = listed.and_then(|list| list.items().next());
        let fixed = schema
            .get("const")
            .or(only)
            .or_else(|| schema.get("default"));
        text(fixed?.value)
    });
    Some(PartHeader {
        required: at.flag("required"),
        value: one,
    })
}
