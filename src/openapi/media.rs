//! Request bodies and responses: media types and their schemas.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::events::Framing;
use crate::openapi::finding::{Code, quoted};
use crate::openapi::keyword::weight;
use crate::openapi::parameter::{Declared, example, style};
use crate::openapi::pointer::{Located, escape};
use crate::openapi::reference::RefFault;
use crate::openapi::schema::Reading;
use crate::openapi::{MediaType, PartEncoding, RequestBody, Response, upconvert_2_0};
use crate::types::essence;

const FORM: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data";

impl<'a> Reading<'a> {
    /// The `requestBody` of a 3.x operation.
    pub fn request_body(&mut self, operation: &Located<'a>) -> Option<RequestBody> {
        let at = operation.get("requestBody")?;
        let pointer = at.pointer.clone();
        let followed = match self.references.follow(at) {
            Ok(followed) => followed,
            Err(fault) => {
                let code = match fault {
                    RefFault::External => Code::RefExternal,
                    RefFault::Missing | RefFault::Cycle => Code::BodyRefUnresolved,
                };
                let message = format!("the body's reference {}", fault.reason());
                self.findings.add(code, pointer.clone(), message);
                return Some(any_json(pointer));
            }
        };
        if followed.shared {
            self.budget.take_expansions(1);
        }
        let at = followed.at;
        let Some(content) = at
            .get("content")
            .filter(|content| content.value.is_object())
        else {
            let message = "the request body has no `content`; it is left out";
            self.findings.add(Code::BodyInvalid, pointer, message);
            return None;
        };
        let mut content = self.content(&content, followed.shared);
        for media in &mut content {
            let place = format!("{}/content/{}", at.pointer, escape(&media.name));
            self.sequence(media, &place);
        }
        if content.is_empty() {
            let message = "the request body has no media type; it is left out";
            self.findings.add(Code::BodyInvalid, pointer, message);
            return None;
        }
        Some(RequestBody {
            required: at.flag("required"),
            description: followed.description.or(at.text("description")),
            content,
            pointer: at.pointer,
        })
    }

    /// The responses of an operation.
    pub fn responses(&mut self, operation: &Located<'a>, root: &'a Value) -> Vec<Response> {
        let Some(responses) = operation.get("responses") else {
            return Vec::new();
        };
        if !responses.value.is_object() && !responses.value.is_null() {
            let message = "`responses` is not an object; it is left out";
            self.findings.add(
                Code::ResponsesNotAnObject,
                responses.pointer.clone(),
                message,
            );
        }
        let mut read = Vec::new();
        for (status, at) in responses.members() {
            if status.starts_with("x-") {
                continue;
            }
            let pointer = at.pointer.clone();
            let Some(status) = status_name(status) else {
                let message = format!("{} is no status", quoted(status));
                self.findings.add(Code::ResponseInvalid, pointer, message);
                continue;
            };
            let followed = match self.references.follow(at) {
                Ok(followed) => followed,
                Err(fault) => {
                    let code = match fault {
                        RefFault::External => Code::RefExternal,
                        RefFault::Missing | RefFault::Cycle => Code::ResponseRefUnresolved,
                    };
                    let message = format!("the response's reference {}", fault.reason());
                    self.findings.add(code, pointer, message);
                    continue;
                }
            };
            if followed.shared {
                self.budget.take_expansions(1);
            }
            let at = followed.at;
            let content = if self.is_2_0() {
                self.response_content_2_0(&at, (operation.value, root), followed.shared)
            } else {
                at.get("content")
                    .map(|content| self.content(&content, followed.shared))
                    .unwrap_or_default()
            };
            read.push(Response {
                status,
                description: followed
                    .description
                    .or(at.text("description"))
                    .or(at.text("summary")),
                content,
            });
        }
        read
    }

    fn content(&mut self, content: &Located<'a>, shared: bool) -> Vec<MediaType> {
        let mut read = Vec::new();
        // Some bundlers leave a reference in place of the whole map.
        let (content, shared) = match self.references.follow(content.clone()) {
            Ok(followed) => (followed.at, shared || followed.shared),
            Err(_) => (content.clone(), shared),
        };
        for (name, at) in content.members() {
            if name.starts_with("x-") {
                continue;
            }
            let pointer = at.pointer.clone();
            let followed = self.references.follow(at);
            match followed {
                Ok(followed) if followed.at.value.is_object() || followed.at.value.is_null() => {
                    let shared = shared || followed.shared;
                    read.push(self.media_type(name, &followed.at, shared));
                }
                _ => {
                    let message = format!("{} is no media type object", quoted(name));
                    self.findings.add(Code::MediaTypeInvalid, pointer, message);
                    read.push(media(name, json!(true)));
                }
            }
        }
        read
    }

    fn media_type(&mut self, name: &str, at: &Located<'a>, shared: bool) -> MediaType {
        let schema = at
            .get("schema")
            .map_or(json!(true), |schema| self.shared_schema(schema, shared));
        let item_schema = at
            .get("itemSchema")
            .map(|schema| self.shared_schema(schema, shared));
        MediaType {
            encoding: self.part_encodings(at),
            positions: self.part_positions(at),
            item_schema,
            example: example(at),
            ..media(name, schema)
        }
    }

    /// Makes what is said of the items of a sequence part of what is said of the whole: both apply
    /// (OAS 3.2.0, "Sequential Media Types"). What cannot apply is a finding.
    fn sequence(&mut self, media: &mut MediaType, pointer: &str) {
        let multipart = essence(&media.name).starts_with("multipart/");
        let mut ignored = |code, message: &str| self.findings.add(code, pointer, message);
        if !multipart && media.positions.take().is_some() {
            let message =
                "only a multipart body has parts with a position; their encoding is left out";
            ignored(Code::EncodingIgnored, message);
        }
        if media.positions.is_some() && !media.encoding.is_empty() {
            let message = "`encoding` stands beside an encoding by position; an array is sent by \
                           position, an object by name";
            ignored(Code::EncodingIgnored, message);
        }
        let mut items = media.item_schema.take();
        if !multipart && Framing::of(&media.name).is_none() && items.take().is_some() {
            let message = format!("{} is no sequence of items", quoted(&media.name));
            ignored(Code::ItemSchemaIgnored, &message);
        }
        let whole = media.schema.take();
        media.schema = match items {
            Some(items) if whole == json!(true) => json!({"type": "array", "items": items}),
            Some(items) => json!({"type": "array", "items": items, "allOf": [whole]}),
            None if media.positions.is_some() && whole == json!(true) => json!({"type": "array"}),
            None => whole,
        };
    }

    /// The body of a 2.0 operation: its one body parameter, or its form fields.
    pub fn body_2_0(
        &mut self,
        declared: &[Declared<'a>],
        operation: &Located<'a>,
        root: &'a Value,
    ) -> Option<RequestBody> {
        let consumes = upconvert_2_0::media_types("consumes", operation.value, root);
        let bodies: Vec<_> = declared.iter().filter(|d| d.place == "body").collect();
        let fields: Vec<_> = declared.iter().filter(|d| d.place == "formdata").collect();
        if bodies.len() > 1 || (!bodies.is_empty() && !fields.is_empty()) {
            let message = "the operation has more than one body; the first body parameter is used";
            self.findings
                .add(Code::BodyDuplicate, operation.pointer.clone(), message);
        }
        let Some(body) = bodies.first() else {
            return (!fields.is_empty()).then(|| self.form_2_0(&fields, &consumes, operation));
        };
        let schema = body.at.get("schema").map_or(json!(true), |schema| {
            self.shared_schema(schema, body.shared)
        });
        let content = self.repeated(&consumes, &schema);
        Some(RequestBody {
            required: body.at.flag("required"),
            description: body.description.clone().or(body.at.text("description")),
            content,
            pointer: body.at.pointer.clone(),
        })
    }

    fn form_2_0(
        &mut self,
        fields: &[&Declared<'a>],
        consumes: &[String],
        operation: &Located<'a>,
    ) -> RequestBody {
        let mut properties = Map::new();
        let mut required = Vec::new();
        let mut encoding = IndexMap::new();
        let mut has_file = false;
        for field in fields {
            let Some(source) = field.at.object() else {
                continue;
            };
            has_file |= source.get("type").and_then(Value::as_str) == Some("file");
            let value = upconvert_2_0::schema(source);
            let at = Located {
                value: &value,
                pointer: field.at.pointer.clone(),
            };
            let mut schema = self.schema(&at);
            if let (Some(members), Some(words)) = (schema.as_object_mut(), at_description(field)) {
                members.insert("description".to_owned(), Value::String(words));
            }
            if source.get("type").and_then(Value::as_str) == Some("array") {
                let format = source.get("collectionFormat").and_then(Value::as_str);
                let (name, explode) = upconvert_2_0::style(format, true);
                let part = PartEncoding {
                    style: style(name),
                    explode: Some(explode),
                    ..PartEncoding::default()
                };
                encoding.insert(field.name.clone(), part);
            }
            if field.at.flag("required") {
                required.push(Value::String(field.name.clone()));
            }
            properties.insert(field.name.clone(), schema);
        }
        let any_required = !required.is_empty();
        let mut schema = json!({"type": "object", "properties": properties});
        if let (Some(members), true) = (schema.as_object_mut(), any_required) {
            members.insert("required".to_owned(), Value::Array(required));
        }
        let mut content = self.repeated(&form_types(consumes, has_file), &schema);
        for media in &mut content {
            media.encoding.clone_from(&encoding);
        }
        RequestBody {
            required: any_required,
            description: None,
            content,
            pointer: fields.first().map_or_else(
                || operation.pointer.clone(),
                |field| field.at.pointer.clone(),
            ),
        }
    }

    fn response_content_2_0(
        &mut self,
        at: &Located<'a>,
        (operation, root): (&Value, &Value),
        shared: bool,
    ) -> Vec<MediaType> {
        let Some(schema) = at.get("schema") else {
            return Vec::new();
        };
        let schema = self.shared_schema(schema, shared);
        let produces = upconvert_2_0::media_types("produces", operation, root);
        let mut content = self.repeated(&produces, &schema);
        let examples = at.value.get("examples");
        for media in &mut content {
            media.example = examples.and_then(|named| named.get(&media.name)).cloned();
        }
        content
    }

    /// One schema for several media types.
    fn repeated(&mut self, names: &[String], schema: &Value) -> Vec<MediaType> {
        let affordable = self.budget.take_nodes(names.len() * weight(schema));
        let count = if affordable { names.len() } else { 1 };
        let names = names.iter().take(count);
        names.map(|name| media(name, schema.clone())).collect()
    }
}

fn at_description(field: &Declared<'_>) -> Option<String> {
    field.description.clone().or(field.at.text("description"))
}

fn form_types(consumes: &[String], has_file: bool) -> Vec<String> {
    let named: Vec<String> = consumes
        .iter()
        .filter(|name| name.starts_with(MULTIPART) || (name.starts_with(FORM) && !has_file))
        .cloned()
        .collect();
    if !named.is_empty() {
        return named;
    }
    vec![if has_file { MULTIPART } else { FORM }.to_owned()]
}

fn media(name: &str, schema: Value) -> MediaType {
    MediaType {
        name: name.to_owned(),
        schema,
        item_schema: None,
        encoding: IndexMap::new(),
        positions: None,
        example: None,
    }
}

/// What is left of a body whose description cannot be reached.
fn any_json(pointer: String) -> RequestBody {
    RequestBody {
        required: false,
        description: None,
        content: vec![media("application/json", json!(true))],
        pointer,
    }
}

/// `200`, `2XX` or `default`.
fn status_name(key: &str) -> Option<String> {
    let key = key.trim();
    if key.eq_ignore_ascii_case("default") {
        return Some("default".to_owned());
    }
    let bytes = key.as_bytes();
    let first = bytes.first().is_some_and(|b| (b'1'..=b'5').contains(b));
    let rest = bytes.get(1..).unwrap_or_default();
    let digits = rest.iter().all(u8::is_ascii_digit);
    let any = rest.eq_ignore_ascii_case(b"xx");
    (first && bytes.len() == 3 && (digits || any)).then(|| key.to_ascii_uppercase())
}
