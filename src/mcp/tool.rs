//! A tool as it is stored and served: what the model sees, and where each argument goes.
//!
//! Invariant: an argument's place is decided once, here, at publish; a call only looks it up.

use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::mcp::fragment::Fragments;
use crate::openapi::{
    Api, Finding, Location, OperationKey, ParameterEncoding, PartEncoding, PathTemplate,
    SecurityRequirement, ServerTemplate,
};
use crate::types::ToolName;

/// What [`define`] makes of an API.
#[derive(Clone, Debug, Default)]
pub struct Defined {
    /// In document order.
    pub tools: Vec<ToolDef>,
    /// What was lost, guessed or changed on the way from operation to tool. The findings of
    /// [`Api::findings`] are not repeated.
    pub findings: Vec<Finding>,
}

/// Makes a tool of each operation. Total and deterministic: the same API gives the same tools,
/// and an operation that cannot become a tool is a finding of severity `lost`.
pub fn define(api: &Api) -> Defined {
    let _ = api;
    Defined::default()
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
}

impl Tool {
    /// Prepares a tool for serving. Total; what could not be compiled as meant is a [`Finding`].
    pub fn compile(def: ToolDef) -> (Self, Vec<Finding>) {
        let tool = Self {
            fragments: Fragments::of(&def),
            def: Arc::new(def),
            input: None,
            output: None,
        };
        (tool, Vec::new())
    }
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
    /// The operation's documentation in Markdown, served as a resource.
    pub documentation: String,
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
    /// What the request's `Accept` says.
    pub accept: String,
    /// Alternatives in order; each names schemes of the server. Empty: none is needed.
    pub security: Vec<SecurityRequirement>,
    /// The success answer is a JSON array or scalar, and is served as `{"result": …}`.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub wrap_result: bool,
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
    /// Sent when the argument is absent: a value the owner pinned or the document fixes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fixed: Option<Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BodyBinding {
    pub required: bool,
    pub arguments: BodyArguments,
    /// The media types the API accepts, best first. The first is used unless the caller may choose.
    pub media: Vec<BodyMedia>,
    /// Nested properties whose wire name no model provider accepts, by the pointer of the renamed
    /// property in the argument (`*` for any array member), to the name on the wire.
    #[serde(skip_serializing_if = "IndexMap::is_empty", default)]
    pub renames: IndexMap<String, String>,
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
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BodyMedia {
    /// Sent as `Content-Type`.
    pub name: String,
    pub codec: BodyCodec,
    #[serde(skip_serializing_if = "IndexMap::is_empty", default)]
    pub encoding: IndexMap<String, PartEncoding>,
}

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BodyCodec {
    Json,
    Form,
    Multipart,
    /// The argument is base64.
    Binary,
    Text,
    Xml,
}
