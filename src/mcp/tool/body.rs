//! The arguments that make up a body: its properties, or one `body`, and the choice of a media type.

use serde_json::{Map, Value, json};

use crate::mcp::tool::file;
use crate::mcp::tool::input::{Builder, admits_null, describe};
use crate::mcp::tool::media::{self, Sendable, content_type, is_list, is_merge_patch, sendable};
use crate::mcp::tool::{
    BodyArguments, BodyBinding, BodyCodec, BodyMedia, PositionedPart, Positions, PropertyBinding,
    name, xml,
};
use crate::openapi::upconvert_3_0::nullable;
use crate::openapi::{MediaType, RequestBody, SpecVersion};
use crate::types::essence;

impl Builder<'_> {
    /// Adds the arguments of a body; `None` where none of its media types can be written.
    pub fn body(&mut self, body: &RequestBody) -> Option<BodyBinding> {
        let has_files = |media: &MediaType| self.parts(media).has_files();
        let mut choices = sendable(body, &self.schemas, has_files);
        let mut media: Vec<BodyMedia> = Vec::new();
        choices.retain(|one| {
            let written = self.media(*one);
            let new = media.iter().all(|known| known.name != written.name);
            media.extend(new.then_some(written));
            new
        });
        let first = *choices.first()?;
        if let [only] = media.as_mut_slice() {
            // There is nothing to choose by them.
            only.types.clear();
        }
        let one_schema = choices
            .iter()
            .all(|one| one.media.schema == first.media.schema)
            && media.iter().all(|one| one.files == media[0].files);
        let structured = choices.iter().all(|one| {
            matches!(
                one.codec,
                BodyCodec::Json | BodyCodec::Form | BodyCodec::Multipart
            )
        });
        let patch = choices.iter().any(|one| is_merge_patch(&one.media.name));
        let mut nullable = false;
        let arguments = if one_schema && structured && self.can_lift(body, first) {
            BodyArguments::Lifted(self.lift(first, &media[0], patch))
        } else {
            nullable = choices.iter().any(|one| {
                one.codec == BodyCodec::Json && may_be_null(self.schemas.resolve(&one.media.schema))
            });
            BodyArguments::Whole(self.whole(body, &choices, &media))
        };
        if patch {
            self.schemas.used_mut().for_each(accept_nulls);
        }
        let choice = (media.len() > 1).then(|| self.choice(&media));
        Some(BodyBinding {
            required: body.required,
            arguments,
            media,
            choice,
            nullable,
        })
    }

    fn media(&self, one: Sendable<'_>) -> BodyMedia {
        let Sendable { media, codec } = one;
        let parts = match codec {
            BodyCodec::Multipart => self.parts(media),
            _ => file::Parts {
                encoding: media.encoding.clone(),
                ..file::Parts::default()
            },
        };
        let model = (codec == BodyCodec::Xml).then(|| xml::model(self.api, &media.schema));
        let model = model.flatten();
        let schema = self.schemas.resolve(&media.schema);
        BodyMedia {
            name: content_type(&media.name, codec).unwrap_or_else(|| media.name.clone()),
            codec,
            encoding: parts.encoding,
            files: parts.files,
            positions: parts.positions,
            types: media::types(codec, schema, model.is_some()),
            xml: model,
        }
    }

    /// What is known of the parts of a multipart body.
    fn parts(&self, media: &MediaType) -> file::Parts {
        let typeless = matches!(self.api.version, SpecVersion::V3_1 | SpecVersion::V3_2);
        let mut parts = file::parts(&self.schemas, &media.schema, &media.encoding, typeless);
        // A form has names for its parts, unless it says where each stands.
        let by_position =
            media.positions.is_some() || !essence(&media.name).starts_with("multipart/form-data");
        if by_position && is_list(self.schemas.resolve(&media.schema)) {
            let declared = media.positions.as_ref();
            parts.positions = Some(file::positions(
                &self.schemas,
                &media.schema,
                declared,
                typeless,
            ));
        }
        parts
    }

    /// The argument that chooses the media type.
    fn choice(&mut self, media: &[BodyMedia]) -> String {
        let argument = self.free("content_type");
        let names: Vec<&str> = media.iter().map(|media| media.name.as_str()).collect();
        let schema = json!({
            "type": "string",
            "description": "The media type of the request body.",
            "enum": names,
            "default": names[0],
        });
        self.properties.insert(argument.clone(), schema);
        argument
    }

    /// Whether the body is a closed, plain object none of whose properties is named as a parameter.
    fn can_lift(&self, body: &RequestBody, one: Sendable<'_>) -> bool {
        let Some(schema) = self.schemas.resolve(&one.media.schema).as_object() else {
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

    fn lift(
        &mut self,
        one: Sendable<'_>,
        written: &BodyMedia,
        patch: bool,
    ) -> Vec<PropertyBinding> {
        let resolved = self.schemas.resolve(&one.media.schema).clone();
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
            let nullable = patch || may_be_null(self.schemas.resolve(schema));
            let mut prepared = self.part(wire, schema, written);
            if patch {
                accept_nulls(&mut prepared);
                prepared = or_null(prepared);
            }
            self.schemas.note_write_only(&argument, schema);
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

    /// The schema of one property of a body, which may be a file.
    fn part(&mut self, wire: &str, schema: &Value, written: &BodyMedia) -> Value {
        if written.files.iter().any(|file| file == wire) {
            file::property(&self.schemas, schema, written.encoding.get(wire))
        } else {
            self.schemas.prepare(schema)
        }
    }

    /// The body as one argument: what any of its media types accepts.
    fn whole(
        &mut self,
        body: &RequestBody,
        choices: &[Sendable<'_>],
        media: &[BodyMedia],
    ) -> String {
        let argument = self.free("body");
        let mut alternatives: Vec<Value> = Vec::new();
        for (one, written) in choices.iter().zip(media) {
            let mut schema = self.alternative(*one, written);
            if choices.len() > 1
                && let Some(members) = schema.as_object_mut()
            {
                members
                    .entry("title")
                    .or_insert_with(|| Value::String(written.name.clone()));
            }
            if !alternatives.contains(&schema) {
                alternatives.push(schema);
            }
        }
        let mut schema = match alternatives.len() {
            1 => alternatives.remove(0),
            _ => json!({ "anyOf": alternatives }),
        };
        describe(&mut schema, body.description.as_deref());
        if schema.get("description").is_none() {
            let text = match choices {
                [one] if one.codec == BodyCodec::Xml => "The request body, an XML document.".into(),
                [one] if one.codec == BodyCodec::Binary => {
                    format!("The request body. {}.", file::FORMS)
                }
                _ => "The request body.".to_owned(),
            };
            describe(&mut schema, Some(&text));
        }
        self.properties.insert(argument.clone(), schema);
        if body.required {
            self.required.push(Value::String(argument.clone()));
        }
        argument
    }

    /// What one media type accepts.
    fn alternative(&mut self, one: Sendable<'_>, written: &BodyMedia) -> Value {
        let text = json!({ "type": "string", "contentMediaType": written.name });
        let schema = match one.codec {
            BodyCodec::Json | BodyCodec::Sequence | BodyCodec::Form => {
                let mut schema = self.schemas.prepare(&one.media.schema);
                if is_merge_patch(&one.media.name) {
                    accept_nulls(&mut schema);
                }
                schema
            }
            BodyCodec::Multipart => self.multipart(&one.media.schema, written),
            BodyCodec::Binary if written.name.contains('*') => file::schema(None, None, false),
            BodyCodec::Binary => json!({
                "type": "string",
                "contentEncoding": "base64",
                "contentMediaType": written.name,
            }),
            BodyCodec::Xml if written.xml.is_some() => {
                json!({"anyOf": [self.schemas.prepare(&one.media.schema), text]})
            }
            BodyCodec::Text | BodyCodec::Xml => text,
        };
        if schema == Value::Bool(true) {
            json!({})
        } else {
            schema
        }
    }

    fn multipart(&mut self, schema: &Value, written: &BodyMedia) -> Value {
        let resolved = self.schemas.resolve(schema);
        if written.files == [file::ANY_PART] {
            return json!({
                "type": "object",
                "additionalProperties": file::schema(None, None, true),
            });
        }
        if let Some(positions) = written.positions.as_ref().filter(|parts| parts.has_files()) {
            return positioned(self.schemas.prepare(resolved), positions);
        }
        if written.files.is_empty() {
            return self.schemas.prepare(schema);
        }
        let Some(mut root) = resolved.as_object().cloned() else {
            return self.schemas.prepare(schema);
        };
        let properties = root.get("properties").and_then(Value::as_object).cloned();
        // Prepared as a whole, so that names are found back; then the files are put in.
        root.shift_remove("$ref");
        let mut prepared = self.schemas.prepare(&Value::Object(root));
        for wire in &written.files {
            let name = self.schemas.name_of(wire).unwrap_or(wire).to_owned();
            let property = properties.as_ref().and_then(|members| members.get(wire));
            let shown = prepared
                .get_mut("properties")
                .and_then(|members| members.get_mut(&name));
            if let (Some(shown), Some(property)) = (shown, property) {
                *shown = file::property(&self.schemas, property, written.encoding.get(wire));
            }
        }
        prepared
    }
}

/// The schema of an array, with those of its items that are files in their places.
fn positioned(mut schema: Value, positions: &Positions) -> Value {
    let Some(members) = schema.as_object_mut() else {
        return schema;
    };
    let items = members.get("items").cloned().unwrap_or_else(|| json!({}));
    let shown = |part: &PositionedPart, schema: Value| {
        if part.is_file {
            file::schema(words(&schema), Some(&part.encoding), false)
        } else {
            schema
        }
    };
    let prefix = members.shift_remove("prefixItems");
    let mut prefix = prefix
        .and_then(|prefix| prefix.as_array().cloned())
        .unwrap_or_default();
    prefix.resize(positions.first.len(), items.clone());
    let first = positions.first.iter().zip(prefix);
    let first: Vec<Value> = first.map(|(part, schema)| shown(part, schema)).collect();
    if !first.is_empty() {
        members.insert("prefixItems".into(), Value::Array(first));
    }
    members.insert("items".into(), shown(&positions.rest, items));
    schema
}

/// What a schema says of itself.
fn words(schema: &Value) -> Option<&str> {
    schema.get("description")?.as_str()
}

/// Whether `null` is a value of its own in a body: the schema names it, or says nothing.
pub(crate) fn may_be_null(schema: &Value) -> bool {
    const SAYING: [&str; 8] = [
        "type", "enum", "const", "$ref", "allOf", "anyOf", "oneOf", "not",
    ];
    admits_null(schema) || !SAYING.iter().any(|key| schema.get(key).is_some())
}

/// Null removes a member (RFC 7396): every property of a merge patch accepts it, at any depth but
/// inside arrays, which are replaced as a whole.
fn accept_nulls(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else {
        return;
    };
    if let Some(properties) = members.get_mut("properties").and_then(Value::as_object_mut) {
        for property in properties.values_mut() {
            accept_nulls(property);
            *property = or_null(property.take());
        }
    }
    for key in ["allOf", "anyOf", "oneOf"] {
        let parts = members.get_mut(key).and_then(Value::as_array_mut);
        parts.into_iter().flatten().for_each(accept_nulls);
    }
    if let Some(rest) = members.get_mut("additionalProperties")
        && rest.is_object()
    {
        accept_nulls(rest);
        *rest = or_null(rest.take());
    }
}

fn or_null(schema: Value) -> Value {
    match schema {
        Value::Object(members) if !admits_null(&Value::Object(members.clone())) => {
            nullable(members)
        }
        other => other,
    }
}
