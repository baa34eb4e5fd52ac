//! The arguments of a tool: one flat object, and where each member of it goes.

use std::collections::HashMap;

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::mcp::tool::schema::{Direction, Schemas, fit};
use crate::mcp::tool::text::{ARGUMENT_DESCRIPTION_BYTES_MAX, clean, shorten};
use crate::mcp::tool::{
    BodyArguments, BodyBinding, BodyCodec, BodyMedia, ParameterBinding, PropertyBinding, name,
};
use crate::openapi::{Api, Location, MediaType, Operation, Parameter, RequestBody};

pub const INPUT_BYTES_MAX: usize = 24 << 10;

/// A tool's input schema, and the binding that goes with it.
pub struct Input {
    pub schema: Value,
    pub parameters: Vec<ParameterBinding>,
    pub body: Option<BodyBinding>,
    /// See [`crate::mcp::tool::Binding::renames`].
    pub renames: IndexMap<String, String>,
    /// The schema was cut to its budget.
    pub cut: bool,
    /// Media types of the body, where there is one and none of them can be written.
    pub unsendable: Option<Vec<String>>,
}

/// Flattens parameters and body of `operation` into one object.
pub fn input(api: &Api, operation: &Operation) -> Input {
    let mut builder = Builder {
        schemas: Schemas::new(&api.definitions, Direction::Input),
        properties: Map::new(),
        required: Vec::new(),
    };
    let parameters = builder.parameters(&operation.parameters);
    let (body, unsendable) = match &operation.body {
        None => (None, None),
        Some(body) => match best_media(body) {
            Some((media, codec)) => (Some(builder.body(body, media, codec)), None),
            None => {
                let names = body.content.iter().map(|m| m.name.clone()).collect();
                (None, Some(names))
            }
        },
    };
    let renames = builder.schemas.renames();
    let (schema, cut) = builder.finish();
    Input {
        schema,
        parameters,
        body,
        renames,
        cut,
        unsendable,
    }
}

/// The media type to send: the most structured one that can be written.
fn best_media(body: &RequestBody) -> Option<(&MediaType, BodyCodec)> {
    body.content
        .iter()
        .filter_map(|media| codec(&media.name).map(|codec| (media, codec)))
        .min_by_key(|(_, codec)| match codec {
            BodyCodec::Json => 0,
            BodyCodec::Form => 1,
            BodyCodec::Multipart => 2,
            BodyCodec::Text => 3,
            BodyCodec::Xml => 4,
            BodyCodec::Binary => 5,
        })
}

/// How a body of that media type is written.
pub fn codec(media_type: &str) -> Option<BodyCodec> {
    let essence = media_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let (kind, subtype) = essence.split_once('/')?;
    Some(match (kind, subtype) {
        ("*", "*") | ("application", "*" | "json") => BodyCodec::Json,
        ("application", "x-www-form-urlencoded") => BodyCodec::Form,
        ("multipart", "form-data" | "mixed" | "*") => BodyCodec::Multipart,
        ("multipart", _) => return None,
        (_, "xml") => BodyCodec::Xml,
        (_, other) if other.ends_with("+json") => BodyCodec::Json,
        (_, other) if other.ends_with("+xml") => BodyCodec::Xml,
        ("text", _) | ("application", "graphql" | "x-ndjson" | "yaml" | "x-yaml" | "jsonl") => {
            BodyCodec::Text
        }
        _ => BodyCodec::Binary,
    })
}

/// What is sent for a media range: a concrete type.
fn content_type(media_type: &str) -> &str {
    match media_type.trim() {
        "*/*" | "application/*" => "application/json",
        "multipart/*" => "multipart/form-data",
        "text/*" => "text/plain",
        other => other,
    }
}

struct Builder<'a> {
    schemas: Schemas<'a>,
    properties: Map<String, Value>,
    required: Vec<Value>,
}

impl Builder<'_> {
    fn parameters(&mut self, parameters: &[Parameter]) -> Vec<ParameterBinding> {
        let mut count = HashMap::new();
        for parameter in parameters {
            *count.entry(name::argument(&parameter.name)).or_insert(0) += 1;
        }
        parameters
            .iter()
            .map(|parameter| {
                let plain = name::argument(&parameter.name);
                let wanted = if count[&plain] > 1 {
                    suffixed(&plain, parameter.location)
                } else {
                    plain
                };
                let argument = name::unique(&wanted, |n| !self.properties.contains_key(n));
                self.parameter(parameter, argument)
            })
            .collect()
    }

    fn parameter(&mut self, parameter: &Parameter, argument: String) -> ParameterBinding {
        let nullable = admits_null(self.schemas.resolve(&parameter.schema));
        let mut schema = self.schemas.prepare(&parameter.schema);
        describe(&mut schema, parameter.description.as_deref());
        if parameter.deprecated
            && let Some(schema) = schema.as_object_mut()
        {
            schema.insert("deprecated".into(), Value::Bool(true));
        }
        self.properties.insert(argument.clone(), schema);
        if parameter.required {
            self.required.push(Value::String(argument.clone()));
        }
        ParameterBinding {
            argument,
            name: parameter.name.clone(),
            location: parameter.location,
            required: parameter.required,
            nullable,
            encoding: parameter.encoding.clone(),
            fixed: None,
        }
    }

    fn body(&mut self, body: &RequestBody, media: &MediaType, codec: BodyCodec) -> BodyBinding {
        let mut media_type = BodyMedia {
            name: content_type(&media.name).to_owned(),
            codec,
            encoding: media.encoding.clone(),
        };
        if codec == BodyCodec::Multipart {
            self.declare_files(&media.schema, &mut media_type);
        }
        let arguments = if self.can_lift(body, media, codec) {
            BodyArguments::Lifted(self.lift(media, codec))
        } else {
            BodyArguments::Whole(self.whole(body, media, codec))
        };
        BodyBinding {
            required: body.required,
            arguments,
            media: vec![media_type],
        }
    }

    /// Whether the body is a closed, plain object none of whose properties is named as a parameter.
    fn can_lift(&self, body: &RequestBody, media: &MediaType, codec: BodyCodec) -> bool {
        if !matches!(
            codec,
            BodyCodec::Json | BodyCodec::Form | BodyCodec::Multipart
        ) {
            return false;
        }
        let Some(schema) = self.schemas.resolve(&media.schema).as_object() else {
            return false;
        };
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return false;
        };
        let plain = schema.iter().all(|(key, value)| match key.as_str() {
            "type" => value == "object",
            "additionalProperties" => value == false,
            "properties" | "required" | "title" | "description" | "example" | "examples"
            | "xml" | "externalDocs" | "deprecated" | "default" => true,
            key => key.starts_with("x-"),
        });
        let required = schema.get("required").and_then(Value::as_array);
        let needed = required.is_some_and(|names| !names.is_empty());
        plain
            && !properties.is_empty()
            && (body.required || !needed)
            && properties
                .keys()
                .all(|wire| !self.properties.contains_key(&name::argument(wire)))
    }

    fn lift(&mut self, media: &MediaType, codec: BodyCodec) -> Vec<PropertyBinding> {
        let resolved = self.schemas.resolve(&media.schema).clone();
        let empty = Map::new();
        let properties = resolved
            .get("properties")
            .and_then(Value::as_object)
            .unwrap_or(&empty);
        let required: Vec<&str> = resolved
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let mut bindings = Vec::new();
        for (wire, schema) in properties {
            if self.schemas.is_hidden(schema) {
                continue;
            }
            let argument = name::unique(&name::argument(wire), |n| {
                !self.properties.contains_key(n) && (n == wire || !properties.contains_key(n))
            });
            let nullable = admits_null(self.schemas.resolve(schema));
            let prepared = if codec == BodyCodec::Multipart && self.is_file(schema) {
                file_schema(schema)
            } else {
                self.schemas.prepare(schema)
            };
            self.properties.insert(argument.clone(), prepared);
            if required.contains(&wire.as_str()) {
                self.required.push(Value::String(argument.clone()));
            }
            bindings.push(PropertyBinding {
                argument,
                name: wire.clone(),
                nullable,
                fixed: None,
            });
        }
        bindings
    }

    /// Notes the content type of each part that is a file, so that its base64 is decoded.
    fn declare_files(&self, schema: &Value, media: &mut BodyMedia) {
        let schema = self.schemas.resolve(schema);
        let properties = schema.get("properties").and_then(Value::as_object);
        for (wire, property) in properties.into_iter().flatten() {
            let property = self.schemas.resolve(property);
            let item = property.get("items").unwrap_or(property);
            if let Some(kind) = self.file_type(item) {
                let part = media.encoding.entry(wire.clone()).or_default();
                part.content_type.get_or_insert(kind);
            }
        }
    }

    fn is_file(&self, schema: &Value) -> bool {
        self.file_type(schema).is_some()
    }

    /// The content type of a part that is a file: bytes, which an argument holds as base64.
    fn file_type(&self, schema: &Value) -> Option<String> {
        let schema = self.schemas.resolve(schema);
        let text = |key: &str| schema.get(key).and_then(Value::as_str);
        if text("contentEncoding").is_some() {
            return None;
        }
        if text("format") == Some("binary") {
            return Some("application/octet-stream".to_owned());
        }
        let kind = text("contentMediaType")?;
        let readable = ["text/", "json", "xml"]
            .iter()
            .any(|word| kind.contains(word));
        (!readable).then(|| kind.to_owned())
    }

    fn whole(&mut self, body: &RequestBody, media: &MediaType, codec: BodyCodec) -> String {
        let argument = name::unique("body", |n| !self.properties.contains_key(n));
        let mut schema = match codec {
            BodyCodec::Json | BodyCodec::Form | BodyCodec::Multipart => {
                self.schemas.prepare(&media.schema)
            }
            BodyCodec::Binary => json!({
                "type": "string",
                "contentEncoding": "base64",
                "contentMediaType": content_type(&media.name),
            }),
            BodyCodec::Text | BodyCodec::Xml => {
                json!({ "type": "string", "contentMediaType": content_type(&media.name) })
            }
        };
        if schema == Value::Bool(true) {
            schema = json!({});
        }
        describe(&mut schema, body.description.as_deref());
        if schema.get("description").is_none() {
            let text = match codec {
                BodyCodec::Binary => "The request body, base64.",
                BodyCodec::Xml => "The request body, an XML document.",
                _ => "The request body.",
            };
            describe(&mut schema, Some(text));
        }
        self.properties.insert(argument.clone(), schema);
        if body.required {
            self.required.push(Value::String(argument.clone()));
        }
        argument
    }

    fn finish(self) -> (Value, bool) {
        let mut root = Map::new();
        root.insert("type".into(), "object".into());
        root.insert("properties".into(), Value::Object(self.properties));
        if !self.required.is_empty() {
            root.insert("required".into(), Value::Array(self.required));
        }
        root.insert("additionalProperties".into(), Value::Bool(false));
        fit(self.schemas.finish(root), INPUT_BYTES_MAX)
    }
}

fn file_schema(schema: &Value) -> Value {
    let mut out = json!({ "type": "string", "contentEncoding": "base64" });
    describe(&mut out, Some("The file, base64."));
    if let Some(text) = schema.get("description").and_then(Value::as_str) {
        describe(&mut out, Some(&format!("{text} (base64)")));
    }
    out
}

fn suffixed(argument: &str, location: Location) -> String {
    let suffix = match location {
        Location::Path => "path",
        Location::Query | Location::Querystring => "query",
        Location::Header => "header",
        Location::Cookie => "cookie",
    };
    let stem = &argument[..argument.len().min(name::ARGUMENT_LENGTH_MAX - 7)];
    format!("{stem}_{suffix}")
}

/// Says what an argument means, where the schema itself does not.
fn describe(schema: &mut Value, description: Option<&str>) {
    if schema == &Value::Bool(true) {
        *schema = json!({});
    }
    let (Some(schema), Some(text)) = (schema.as_object_mut(), description) else {
        return;
    };
    let text = shorten(clean(text).trim(), ARGUMENT_DESCRIPTION_BYTES_MAX);
    if !text.is_empty() {
        schema.insert("description".into(), Value::String(text));
    }
}

/// Whether `null` itself is a valid value.
fn admits_null(schema: &Value) -> bool {
    let null_type = |kind: &Value| match kind {
        Value::String(kind) => kind == "null",
        Value::Array(kinds) => kinds.iter().any(|kind| kind == "null"),
        _ => false,
    };
    schema.get("type").is_some_and(null_type)
        || schema
            .get("enum")
            .and_then(Value::as_array)
            .is_some_and(|v| v.contains(&Value::Null))
        || ["anyOf", "oneOf"].iter().any(|key| {
            let members = schema.get(key).and_then(Value::as_array);
            members.is_some_and(|m| m.iter().any(|s| s.get("type").is_some_and(null_type)))
        })
}
