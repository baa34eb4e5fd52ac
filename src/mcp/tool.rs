//! A tool as it is stored and served: what the model sees, and where each argument goes.
//!
//! Invariant: an argument's place is decided once, here, at publish; a call only looks it up.

mod body;
pub mod compile;
pub mod effort;
pub mod file;
pub mod fit;
pub mod input;
pub mod markup;
pub mod media;
pub mod name;
pub mod output;
pub mod profile;
pub mod schema;
pub mod shrink;
pub mod text;
pub mod words;
pub mod xml;

use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::mcp::confirm::Gate;
use crate::mcp::fragment::Fragments;
use crate::mcp::paging::Pager;
use crate::mcp::template::binding::{self, Templates};
use crate::mcp::tool::xml::XmlModel;
use crate::openapi::finding::Code;
use crate::openapi::{
    Api, Finding, Location, Operation, OperationKey, ParameterEncoding, PartEncoding, PathTemplate,
    SecurityRequirement, ServerTemplate,
};
use crate::types::{ToolName, essence};

pub use crate::mcp::tool::compile::validator_of;

/// The tools of an API, and what making them lost or changed.
#[derive(Clone, Debug, Default)]
pub struct Defined {
    /// In document order.
    pub tools: Vec<ToolDef>,
    pub findings: Vec<Finding>,
}

/// Makes a tool of every operation. What cannot be one is a finding of severity `Lost`.
pub fn define(api: &Api) -> Defined {
    let mut names = name::ToolNames::default();
    let mut defined = Defined::default();
    for operation in &api.operations {
        match tool(api, operation, &mut names, &mut defined.findings) {
            Ok(tool) => defined.tools.push(tool),
            Err(finding) => defined.findings.push(*finding),
        }
    }
    defined
}

fn tool(
    api: &Api,
    operation: &Operation,
    names: &mut name::ToolNames,
    findings: &mut Vec<Finding>,
) -> Result<ToolDef, Box<Finding>> {
    let mut input = input::input(api, operation);
    if let (Some(media), Some(body)) = (&input.unsendable, &operation.body) {
        let message = format!("no body of {} can be written", media.join(", "));
        if body.required {
            return Err(Box::new(finding(operation, Code::BodyMediaType, message)));
        }
        // A body without any media type was told of when it was read.
        if !media.is_empty() {
            let message = format!("{message}; the tool sends none");
            findings.push(finding(operation, Code::BodyLeftOut, message));
        }
    }
    if input.cut {
        let message = format!(
            "the input schema is larger than {} KiB; its inner levels are left open",
            input::INPUT_BYTES_MAX >> 10
        );
        findings.push(finding(operation, Code::InputSchemaCut, message));
    }
    let templates = match &operation.template {
        None => None,
        Some(declared) => Some(binding::bind(declared, &mut input).map_err(|fault| {
            let message = format!("its templates cannot be used: {fault}");
            Box::new(finding(operation, Code::TemplateInvalid, message))
        })?),
    };
    let output = output::output(api, operation);
    let description = text::description(operation);
    let listed = (&*description, &input.schema);
    let mut details = text::details(operation, &input.parameters, listed);
    details.write_only = input.write_only;
    Ok(ToolDef {
        name: names.name(operation),
        title: title(operation),
        description,
        input_schema: input.schema,
        output_schema: output.schema,
        annotations: annotations(operation),
        tags: operation.tags.iter().map(|tag| text::clean(tag)).collect(),
        operation: operation.key.clone(),
        binding: Binding {
            method: operation.method.clone(),
            servers: operation.servers.clone(),
            path: operation.path.clone(),
            parameters: input.parameters,
            body: input.body,
            renames: input.renames,
            accept: accept(operation),
            security: operation.security.clone(),
            wrap_result: output.wrap_result,
            templates: templates.map(Box::new),
        },
        details,
    })
}

fn finding(operation: &Operation, code: Code, message: String) -> Finding {
    Finding {
        operation: Some(operation.key.clone()),
        ..Finding::new(code, operation.pointer.clone(), message)
    }
}

fn title(operation: &Operation) -> Option<String> {
    let summary = text::clean(operation.summary.as_deref()?);
    let summary = summary.trim().trim_end_matches('.');
    (!summary.is_empty()).then(|| text::shorten(summary, 100))
}

/// Hints by method (RFC 9110 section 9.2). POST may do anything that is not removal.
fn annotations(operation: &Operation) -> Annotations {
    let method = operation.method.as_str();
    let read_only = matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE" | "QUERY");
    Annotations {
        title: title(operation),
        read_only_hint: read_only,
        destructive_hint: matches!(method, "PUT" | "PATCH" | "DELETE"),
        idempotent_hint: read_only || matches!(method, "PUT" | "DELETE"),
        open_world_hint: true,
    }
}

/// The media types of the success answers, JSON first, and whatever else there is.
fn accept(operation: &Operation) -> String {
    let mut types: Vec<String> = Vec::new();
    let answers = operation
        .responses
        .iter()
        .filter(|r| r.status.starts_with('2'));
    for media in answers.flat_map(|response| &response.content) {
        let essence = essence(&media.name);
        let valid = essence.bytes().all(|b| b.is_ascii_graphic() && b != b',');
        if valid && essence != "*/*" && !essence.is_empty() && !types.contains(&essence) {
            types.push(essence);
        }
    }
    types.sort_by_key(|essence| !essence.ends_with("json"));
    types.truncate(4);
    if types.is_empty() {
        "application/json, */*;q=0.5".to_owned()
    } else {
        format!("{}, */*;q=0.5", types.join(", "))
    }
}

/// A tool with what is prepared for it at compile time.
#[derive(Debug)]
pub struct Tool {
    pub def: Arc<ToolDef>,
    /// `None` where the schema could not be compiled, which is a finding; required arguments are
    /// checked all the same.
    pub input: Option<jsonschema::Validator>,
    pub output: Option<jsonschema::Validator>,
    /// The tool's entry of `tools/list`, per wire class.
    pub fragments: Fragments,
    /// Arguments a client repeats in `Mcp-Param-*` headers, by header suffix: where their schema
    /// has `x-mcp-header`, which only tools from code do. The value points into the arguments.
    pub header_arguments: Vec<(String, String)>,
    /// The reserved argument that names the wanted members of the answer, where it is JSON.
    pub fields_argument: Option<String>,
    /// The arguments that lead through pages.
    pub pager: Pager,
    /// Who has to agree to a call first. `None`, as for almost every tool: nobody.
    pub gate: Option<Gate>,
}

/// One tool, complete: stored with a server version and never changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolDef {
    pub name: ToolName,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub title: Option<String>,
    pub description: String,
    /// JSON Schema 2020-12, root `type: object`, local `$defs` only.
    pub input_schema: Value,
    /// The same rules. Absent where the API describes no JSON answer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub output_schema: Option<Value>,
    pub annotations: Annotations,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub tags: Vec<String>,
    pub operation: OperationKey,
    pub binding: Binding,
    #[serde(skip_serializing_if = "Details::is_empty", default)]
    pub details: Details,
}

impl ToolDef {
    /// The operation as its document writes it: `GET /pets/{petId}`.
    pub fn route(&self) -> String {
        format!("{} {}", self.binding.method, self.binding.path.raw)
    }
}

/// What a document says of an operation beyond what is listed: for its page (see [`text::page`]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Details {
    /// The whole description, where less is listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The whole descriptions of arguments of which less is listed.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub arguments: IndexMap<String, String>,
    /// Status and meaning.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<(String, String)>,
    /// Names of properties that the API takes and never shows again: what people are shown of a call
    /// has none of their values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub write_only: Vec<String>,
}

impl Details {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Behaviour hints (MCP 2025-03-26 and later, `ToolAnnotations`). All are stated, never left to
/// the client's defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Annotations {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub title: Option<String>,
    pub read_only_hint: bool,
    pub destructive_hint: bool,
    pub idempotent_hint: bool,
    pub open_world_hint: bool,
}

/// How arguments become an HTTP request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Binding {
    pub method: String,
    /// The operation's effective servers, the first being used unless the owner chose another.
    pub servers: Vec<ServerTemplate>,
    pub path: PathTemplate,
    pub parameters: Vec<ParameterBinding>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub body: Option<BodyBinding>,
    /// Properties inside arguments whose wire name no model provider accepts: the name in the input
    /// schema, which no other property of the tool has, to the name on the wire.
    #[serde(skip_serializing_if = "IndexMap::is_empty", default)]
    pub renames: IndexMap<String, String>,
    /// What the request's `Accept` says.
    pub accept: String,
    /// Alternatives in order; each names schemes of the server. Empty: none is needed.
    pub security: Vec<SecurityRequirement>,
    /// The success answer is a JSON array or scalar, and is served as `{"result": …}`.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub wrap_result: bool,
    /// Values, bodies and answers that templates write.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub templates: Option<Box<Templates>>,
}

impl Binding {
    /// The properties of the body that are arguments of their own.
    pub fn lifted(&self) -> &[PropertyBinding] {
        match self.body.as_ref().map(|body| &body.arguments) {
            Some(BodyArguments::Lifted(properties)) => properties,
            Some(BodyArguments::Whole(_)) | None => &[],
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParameterBinding {
    /// The argument's name in the input schema.
    pub argument: String,
    /// The parameter's name on the wire.
    pub name: String,
    pub location: Location,
    pub required: bool,
    /// The schema admits `null`; otherwise an optional `null` means absent.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub nullable: bool,
    pub encoding: ParameterEncoding,
    /// What is sent whatever the arguments are: a value the owner pinned or the document fixes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fixed: Option<Value>,
    /// Sent when the argument is absent: the one value its schema allows.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub default: Option<Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BodyBinding {
    pub required: bool,
    pub arguments: BodyArguments,
    /// What the caller may choose from, best first. The first is used unless another is chosen.
    pub media: Vec<BodyMedia>,
    /// The argument that names one of the media types, where they differ in meaning.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub choice: Option<String>,
    /// The whole body may be `null`; otherwise an optional `null` means that there is none.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub nullable: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BodyArguments {
    /// The body is an object whose properties are arguments of their own.
    Lifted(Vec<PropertyBinding>),
    /// The body is one argument.
    Whole(String),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PropertyBinding {
    pub argument: String,
    pub name: String,
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub nullable: bool,
    /// What is sent whatever the arguments are: a value the owner pinned.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fixed: Option<Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BodyMedia {
    /// Sent as `Content-Type`, unless it is a range such as `image/*`.
    pub name: String,
    pub codec: BodyCodec,
    #[serde(skip_serializing_if = "IndexMap::is_empty", default)]
    pub encoding: IndexMap<String, PartEncoding>,
    /// The parts of a multipart body that are files.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub files: Vec<String>,
    /// The parts of a multipart body that is an array.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub positions: Option<Positions>,
    /// How JSON is written as XML.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub xml: Option<XmlModel>,
    /// Where there are several media types, the types of JSON that a body of this one may be written
    /// from; empty: all.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub types: Vec<String>,
}

/// The parts of a multipart body that have no names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Positions {
    /// The first parts, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub first: Vec<PositionedPart>,
    /// Every part after them.
    pub rest: PositionedPart,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PositionedPart {
    #[serde(flatten)]
    pub encoding: PartEncoding,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_file: bool,
}

impl Positions {
    /// The part at a position.
    pub fn at(&self, index: usize) -> &PositionedPart {
        self.first.get(index).unwrap_or(&self.rest)
    }

    /// Whether any of the parts is a file.
    pub fn has_files(&self) -> bool {
        self.rest.is_file || self.first.iter().any(|part| part.is_file)
    }
}

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BodyCodec {
    Json,
    /// The argument is an array, each item of which is written on its own (see
    /// [`crate::events::Framing`]).
    Sequence,
    Form,
    Multipart,
    /// The argument is a file: base64, or a link.
    Binary,
    Text,
    /// The argument is JSON, or an XML document as text.
    Xml,
}
