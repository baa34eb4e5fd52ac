//! Media types of bodies: how each is written, and which of them a caller may choose from.

use serde_json::Value;

use crate::events::Framing;
use crate::mcp::tool::BodyCodec;
use crate::mcp::tool::schema::Schemas;
use crate::openapi::{MediaType, RequestBody};
use crate::types::essence;

/// How a body of that media type is written; `None` where it cannot be.
pub fn codec(media_type: &str) -> Option<BodyCodec> {
    let essence = essence(media_type);
    let (kind, subtype) = essence.split_once('/')?;
    Some(match (kind, subtype) {
        ("*" | "application", "*") | (_, "json") => BodyCodec::Json,
        ("application", "x-www-form-urlencoded") => BodyCodec::Form,
        ("multipart", _) => BodyCodec::Multipart,
        (_, "xml") => BodyCodec::Xml,
        (_, other) if other.ends_with("+json") => BodyCodec::Json,
        (_, other) if other.ends_with("+xml") => BodyCodec::Xml,
        ("text", _) | ("application", "graphql" | "x-ndjson" | "yaml" | "x-yaml" | "jsonl") => {
            BodyCodec::Text
        }
        _ => BodyCodec::Binary,
    })
}

/// What is sent for a media type: itself, or for a range one that is in it. `None` where only the
/// bytes can tell, as for `image/*`.
pub fn content_type(media_type: &str, codec: BodyCodec) -> Option<String> {
    let media_type = media_type.trim();
    if !media_type.contains('*') {
        return Some(media_type.to_owned());
    }
    let concrete = match codec {
        BodyCodec::Json => "application/json",
        BodyCodec::Multipart => "multipart/form-data",
        BodyCodec::Text => "text/plain",
        BodyCodec::Xml => "application/xml",
        BodyCodec::Form => "application/x-www-form-urlencoded",
        BodyCodec::Binary | BodyCodec::Sequence => return None,
    };
    Some(concrete.to_owned())
}

/// A JSON merge patch (RFC 7396), in which a null is an instruction.
pub fn is_merge_patch(media_type: &str) -> bool {
    essence(media_type) == "application/merge-patch+json"
}

/// A media type of a body, and how it is written.
#[derive(Clone, Copy)]
pub struct Sendable<'a> {
    pub media: &'a MediaType,
    pub codec: BodyCodec,
}

/// The media types of a body that can be written and mean something different each, the most
/// structured first: that is the default, the others are the caller's choice. `has_files` tells of a
/// multipart body whether parts of it are files.
pub fn sendable<'a>(
    body: &'a RequestBody,
    schemas: &Schemas<'_>,
    has_files: impl Fn(&MediaType) -> bool,
) -> Vec<Sendable<'a>> {
    let mut all: Vec<Sendable<'a>> = body
        .content
        .iter()
        .filter_map(|media| {
            let codec = codec(&media.name)?;
            let open = matches!(essence(&media.name).as_str(), "*/*" | "application/*");
            let schema = schemas.resolve(&media.schema);
            let codec = match codec {
                BodyCodec::Multipart if !is_list(schema) && !may_name_parts(&media.name) => {
                    return None;
                }
                _ if is_list(schema) && Framing::of(&media.name).is_some() => BodyCodec::Sequence,
                _ if open && holds_bytes(schema) => BodyCodec::Binary,
                // A text of a type we do not know is a text.
                BodyCodec::Binary if is_plain_text(schema) && may_be_text(&media.name) => {
                    BodyCodec::Text
                }
                codec => codec,
            };
            Some(Sendable { media, codec })
        })
        .collect();
    all.sort_by_key(|one| (rank(one.codec), one.media.name.contains('*')));
    let mut different: Vec<Sendable<'a>> = Vec::new();
    for next in all {
        // A file is a part in one, and text in the other.
        let files = next.codec == BodyCodec::Multipart && has_files(next.media);
        let known = different.iter().any(|kept| {
            let text = has_type(schemas.resolve(&next.media.schema), "string");
            (!files || kept.codec == BodyCodec::Multipart) && mean_the_same(kept, &next, text)
        });
        if !known && different.len() < CHOICES_MAX {
            different.push(next);
        }
    }
    different
}

/// A caller is shown no more media types than this.
const CHOICES_MAX: usize = 8;

fn rank(codec: BodyCodec) -> usize {
    match codec {
        BodyCodec::Json => 0,
        BodyCodec::Sequence => 1,
        BodyCodec::Form => 2,
        BodyCodec::Multipart => 3,
        BodyCodec::Text => 4,
        BodyCodec::Xml => 5,
        BodyCodec::Binary => 6,
    }
}

/// One schema written in two ways is one thing: whoever can send it as JSON has nothing to gain from
/// XML. Texts and bytes are told apart by their media type, and so are patches.
fn mean_the_same(kept: &Sendable<'_>, next: &Sendable<'_>, text: bool) -> bool {
    let written = |one: &Sendable<'_>| match one.codec {
        BodyCodec::Text | BodyCodec::Binary => essence(&one.media.name),
        BodyCodec::Json if essence(&one.media.name).contains("patch") => essence(&one.media.name),
        _ => String::new(),
    };
    let of_text = matches!(next.codec, BodyCodec::Text | BodyCodec::Binary);
    let says_nothing = next.media.schema == Value::Bool(true);
    kept.media.schema == next.media.schema
        && (written(kept) == written(next) || (of_text && !text && !says_nothing))
}

/// The types of JSON that a body of that media type may be written from; empty: all.
pub fn types(codec: BodyCodec, schema: &Value, modelled: bool) -> Vec<String> {
    let of_schema = || match schema.get("type") {
        Some(Value::String(kind)) => vec![kind.clone()],
        Some(Value::Array(kinds)) => {
            let kinds = kinds.iter().filter_map(Value::as_str);
            kinds.map(str::to_owned).collect()
        }
        _ => Vec::new(),
    };
    let these = |kinds: &[&str]| kinds.iter().map(|kind| (*kind).to_owned()).collect();
    match codec {
        BodyCodec::Json => of_schema(),
        BodyCodec::Sequence => these(&["array"]),
        BodyCodec::Multipart if is_list(schema) => these(&["array"]),
        BodyCodec::Form | BodyCodec::Multipart => these(&["object"]),
        BodyCodec::Binary => these(&["string", "object"]),
        BodyCodec::Xml if modelled => match of_schema() {
            kinds if kinds.is_empty() => kinds,
            mut kinds => {
                kinds.push("string".to_owned());
                kinds
            }
        },
        BodyCodec::Text | BodyCodec::Xml => these(&["string"]),
    }
}

/// Whether the parts of such a multipart body may have names, which is what forms are made of.
pub fn may_name_parts(media_type: &str) -> bool {
    let named = ["multipart/form-data", "multipart/mixed", "multipart/*"];
    named.contains(&essence(media_type).as_str())
}

/// Whether a schema is that of an array.
pub fn is_list(schema: &Value) -> bool {
    let items = ["items", "prefixItems"];
    has_type(schema, "array")
        || (schema.get("type").is_none() && items.iter().any(|key| schema.get(key).is_some()))
}

/// Whether a schema is that of bytes, which an argument holds as base64.
pub fn holds_bytes(schema: &Value) -> bool {
    let text = |key: &str| schema.get(key).and_then(Value::as_str);
    text("contentEncoding").is_none()
        && (text("format") == Some("binary")
            || text("contentMediaType").is_some_and(|kind| !is_text(kind)))
}

/// Whether a schema is that of a text, and of nothing encoded in one.
fn is_plain_text(schema: &Value) -> bool {
    let encoded = ["contentEncoding", "contentMediaType"];
    schema.get("type").is_some_and(|kind| kind == "string")
        && schema.get("format").is_none_or(|format| format != "binary")
        && !encoded.iter().any(|key| schema.get(key).is_some())
}

/// Media types that are bytes whatever a schema says of them are left out.
fn may_be_text(media_type: &str) -> bool {
    const BYTES: [&str; 7] = [
        "octet-stream",
        "zip",
        "pdf",
        "tar",
        "compressed",
        "7z",
        "msword",
    ];
    essence(media_type)
        .strip_prefix("application/")
        .is_some_and(|subtype| !BYTES.iter().any(|word| subtype.contains(word)) && subtype != "*")
}

/// Whether content of that type is text that a model can write.
pub fn is_text(media_type: &str) -> bool {
    let words = ["text/", "json", "xml", "yaml", "javascript"];
    words.iter().any(|word| media_type.contains(word))
}

/// Whether the schema's `type` is, or includes, the given one.
pub fn has_type(schema: &Value, wanted: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(kind)) => kind == wanted,
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == wanted),
        _ => false,
    }
}
