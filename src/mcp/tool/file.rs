//! Files as arguments: base64 or a link, alone or with a name and a type.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::mcp::tool::media::{has_type, holds_bytes, is_text};
use crate::mcp::tool::schema::Schemas;
use crate::mcp::tool::text::{ARGUMENT_DESCRIPTION_BYTES_MAX, clean, shorten};
use crate::mcp::tool::{PositionedPart, Positions};
use crate::openapi::{PartEncoding, PartHeader, PartPositions};

/// What is known of the parts of a multipart body.
#[derive(Default)]
pub struct Parts {
    /// Each part's encoding: what the document says, and what follows from its schema.
    pub encoding: IndexMap<String, PartEncoding>,
    /// The parts that are files.
    pub files: Vec<String>,
    /// The parts of a body that is an array; they have no names.
    pub positions: Option<Positions>,
}

impl Parts {
    /// Whether any part is a file.
    pub fn has_files(&self) -> bool {
        let named = !self.files.is_empty();
        named || self.positions.as_ref().is_some_and(Positions::has_files)
    }
}

/// Stands for all parts, where the document describes a multipart body as bytes.
pub const ANY_PART: &str = "*";

/// Reads the parts off the schema of a multipart body. `typeless_is_file`: since 3.1 a part whose
/// schema has no type is `application/octet-stream` (OAS 3.1.1 section 4.8.15.1.1).
pub fn parts(
    schemas: &Schemas<'_>,
    schema: &Value,
    declared: &IndexMap<String, PartEncoding>,
    typeless_is_file: bool,
) -> Parts {
    let mut parts = Parts {
        encoding: declared.clone(),
        ..Parts::default()
    };
    if holds_bytes(schemas.resolve(schema)) {
        parts.files.push(ANY_PART.to_owned());
    }
    let properties = schemas.resolve(schema).get("properties");
    let properties = properties.and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        let item = item(schemas, property);
        let (part, is_file) = part(item, declared.get(name), typeless_is_file);
        if is_file {
            parts.files.push(name.clone());
        }
        if part != PartEncoding::default() {
            parts.encoding.insert(name.clone(), part);
        }
    }
    parts
}

/// The same of a multipart body that is an array. What no schema and no encoding describes is sent as
/// what it is, never as a file.
pub fn positions(
    schemas: &Schemas<'_>,
    schema: &Value,
    declared: Option<&PartPositions>,
    typeless_is_file: bool,
) -> Positions {
    let schema = schemas.resolve(schema);
    let prefix = schema.get("prefixItems").and_then(Value::as_array);
    let prefix = prefix.map_or(&[][..], Vec::as_slice);
    let first = declared.map_or(&[][..], |declared| &declared.first);
    let rest = declared.map(|declared| &declared.rest);
    let positioned = |index: usize| {
        let encoding = first.get(index).or(rest);
        let item = prefix.get(index).or_else(|| schema.get("items"));
        let described = item.is_some() || encoding.is_some_and(|e| e.content_type.is_some());
        let item = item.map_or(&Value::Bool(true), |item| schemas.resolve(item));
        let (encoding, is_file) = part(item, encoding, typeless_is_file && described);
        PositionedPart { encoding, is_file }
    };
    let count = prefix.len().max(first.len());
    Positions {
        first: (0..count).map(positioned).collect(),
        rest: positioned(count),
    }
}

/// How one value is sent as a part, and whether it is a file.
fn part(
    item: &Value,
    declared: Option<&PartEncoding>,
    typeless_is_file: bool,
) -> (PartEncoding, bool) {
    let mut part = declared.cloned().unwrap_or_default();
    let content = |key: &str| item.get(key).and_then(Value::as_str);
    let typeless = typeless_is_file && says_nothing(item);
    let is_file = match part.content_type.as_deref() {
        _ if holds_bytes(item) => true,
        Some(declared) => {
            (typeless || has_type(item, "string"))
                && content("contentEncoding").is_none()
                && !is_text(declared)
        }
        None => typeless,
    };
    if is_file {
        let kind = content("contentMediaType").unwrap_or("application/octet-stream");
        part.content_type.get_or_insert_with(|| kind.to_owned());
    } else if let Some(encoding) = content("contentEncoding") {
        // "Equivalent to specifying [..] `Content-Transfer-Encoding`" (4.8.15.4.2).
        let kind = content("contentMediaType").unwrap_or("application/octet-stream");
        part.content_type.get_or_insert_with(|| kind.to_owned());
        let header = PartHeader {
            required: true,
            value: Some(encoding.to_owned()),
        };
        part.headers
            .entry("Content-Transfer-Encoding".to_owned())
            .or_insert(header);
    } else if let Some(kind) = content("contentMediaType") {
        part.content_type.get_or_insert_with(|| kind.to_owned());
    }
    (part, is_file)
}

/// The schema of one part: each item of an array is a part of its own.
fn item<'s>(schemas: &Schemas<'s>, property: &'s Value) -> &'s Value {
    let property = schemas.resolve(property);
    let items = property
        .get("items")
        .filter(|_| has_type(property, "array"));
    items.map_or(property, |items| schemas.resolve(items))
}

fn says_nothing(schema: &Value) -> bool {
    const SAYING: [&str; 12] = [
        "type",
        "enum",
        "const",
        "properties",
        "items",
        "allOf",
        "anyOf",
        "oneOf",
        "$ref",
        "contentEncoding",
        "contentMediaType",
        "format",
    ];
    schema != false && !SAYING.iter().any(|key| schema.get(key).is_some())
}

/// The schema with which a file part is shown, within that of its property.
pub fn property(schemas: &Schemas<'_>, property: &Value, part: Option<&PartEncoding>) -> Value {
    let resolved = schemas.resolve(property);
    let words = [property, resolved]
        .iter()
        .find_map(|schema| schema.get("description")?.as_str());
    if !has_type(resolved, "array") {
        return schema(words, part, true);
    }
    let mut list = Map::new();
    list.insert("type".into(), "array".into());
    list.insert("items".into(), schema(None, part, true));
    for key in ["minItems", "maxItems"] {
        if let Some(bound) = resolved.get(key) {
            list.insert(key.into(), bound.clone());
        }
    }
    if let Some(words) = words {
        let words = shorten(clean(words).trim(), ARGUMENT_DESCRIPTION_BYTES_MAX);
        list.insert("description".into(), Value::String(words));
    }
    Value::Object(list)
}

/// What a file may be given as.
pub const FORMS: &str = "Base64, a data: URL, or a causeway:// link from an earlier answer";

/// What a file argument is: bytes in base64, a data URL or a link to an earlier answer, or an object
/// that names the file too.
pub fn schema(words: Option<&str>, part: Option<&PartEncoding>, named: bool) -> Value {
    let text = match words.map(|words| clean(words).trim().to_owned()) {
        Some(words) if !words.is_empty() => {
            let room = ARGUMENT_DESCRIPTION_BYTES_MAX - FORMS.len() - 3;
            format!("{} ({FORMS})", shorten(&words, room))
        }
        _ => format!("The file. {FORMS}."),
    };
    let mut object = json!({
        "data": {"type": "string", "contentEncoding": "base64"},
        "filename": {"type": "string"},
        "contentType": {"type": "string"},
    });
    if !named {
        object
            .as_object_mut()
            .map(|members| members.shift_remove("filename"));
    }
    let asked: Vec<(&String, &PartHeader)> = part
        .into_iter()
        .flat_map(|part| &part.headers)
        .filter(|(_, header)| header.value.is_none())
        .collect();
    if !asked.is_empty() {
        let names = asked
            .iter()
            .map(|(name, _)| ((*name).clone(), json!({"type": "string"})));
        let names: Map<String, Value> = names.collect();
        object["headers"] =
            json!({"type": "object", "properties": names, "additionalProperties": false});
    }
    json!({
        "description": text,
        "anyOf": [
            {"type": "string", "contentEncoding": "base64"},
            {"type": "object", "properties": object, "required": ["data"],
             "additionalProperties": false},
        ],
    })
}
