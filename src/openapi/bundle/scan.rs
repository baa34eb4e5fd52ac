//! The references of one file, and the places within it that `$id`, `$self` and `$anchor` name.
//!
//! What stands under `example`, `default`, `enum`, `const` and `value` is data: a `$ref` in it refers
//! to nothing.

use serde_json::{Map, Value};

use crate::openapi::bundle::MEMBER;
use crate::openapi::pointer::At;

/// Members whose own members have names that the author chose.
const NAMES: [&str; 22] = [
    "paths",
    "webhooks",
    "schemas",
    "responses",
    "parameters",
    "examples",
    "requestBodies",
    "headers",
    "securitySchemes",
    "links",
    "callbacks",
    "pathItems",
    "mediaTypes",
    "content",
    "encoding",
    "properties",
    "patternProperties",
    "$defs",
    "definitions",
    "dependentSchemas",
    "additionalOperations",
    "variables",
];

const DATA: [&str; 5] = ["example", "default", "enum", "const", "value"];

/// How a reference is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It has to lead somewhere.
    Reference,
    /// A discriminator's mapping or a link's `operationRef`: it may also be a name.
    Mention,
}

/// What was found in a file.
pub trait Found {
    /// A schema with an `$id` begins, within the resource `outer`. Answers the resource it is.
    fn resource(&mut self, id: &str, outer: usize, at: &At<'_>) -> usize;
    fn anchor(&mut self, name: &str, resource: usize, at: &At<'_>);
    /// A reference stands at `at`, in the object `holder`.
    fn reference(&mut self, text: &str, how: Use, resource: usize, place: (&At<'_>, &At<'_>));
}

/// Goes over one file. `resource` is what the file itself is; `is_root` says that it is an OpenAPI
/// document from its first level on, and no collection of parts.
pub fn scan(value: &Value, resource: usize, is_root: bool, found: &mut impl Found) {
    let kind = if is_root { Kind::Object } else { Kind::Top };
    visit(value, kind, resource, &At::Base(""), found);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The first level of a file of parts: its members may have any name.
    Top,
    Object,
    /// Members have names that the author chose.
    Names,
}

fn visit(value: &Value, kind: Kind, resource: usize, at: &At<'_>, found: &mut impl Found) {
    match value {
        Value::Object(members) => {
            let resource = if kind == Kind::Names {
                resource
            } else {
                own(members, resource, at, found)
            };
            for (key, member) in members {
                if let Some(kind) = inner(kind, key, member) {
                    visit(member, kind, resource, &at.key(key), found);
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                visit(item, Kind::Object, resource, &at.index(index), found);
            }
        }
        _ => {}
    }
}

/// What the members of `key` are; `None`: data.
fn inner(outer: Kind, key: &str, member: &Value) -> Option<Kind> {
    match outer {
        Kind::Names => Some(Kind::Object),
        _ if key == MEMBER => None,
        Kind::Object if DATA.contains(&key) => None,
        _ if key == "examples" && member.is_array() => None,
        _ if NAMES.contains(&key) => Some(Kind::Names),
        _ => Some(Kind::Object),
    }
}

/// What an object says of itself. Answers the resource its members belong to.
fn own(members: &Map<String, Value>, outer: usize, at: &At<'_>, found: &mut impl Found) -> usize {
    let text = |key: &str| members.get(key).and_then(Value::as_str);
    let mut resource = outer;
    match text("$id") {
        Some(id) if id.starts_with('#') => found.anchor(&id[1..], outer, at),
        Some(id) if !id.is_empty() => resource = found.resource(id, outer, at),
        _ => {}
    }
    for key in ["$anchor", "$dynamicAnchor"] {
        if let Some(name) = text(key) {
            found.anchor(name, resource, at);
        }
    }
    for (key, how) in [
        ("$ref", Use::Reference),
        ("$dynamicRef", Use::Reference),
        ("operationRef", Use::Mention),
    ] {
        if let Some(reference) = text(key) {
            found.reference(reference, how, resource, (&at.key(key), at));
        }
    }
    let discriminator = members.get("discriminator");
    if let Some(mapping) = discriminator
        .and_then(|d| d.get("mapping"))
        .and_then(Value::as_object)
    {
        let within = at.key("discriminator");
        let within = within.key("mapping");
        for (word, target) in mapping {
            if let Some(target) = target.as_str() {
                let place = (&within.key(word), at);
                found.reference(target, Use::Mention, resource, place);
            }
        }
    }
    resource
}
