//! What a document becomes: one shape, whatever its version was.

use std::borrow::Cow;
use std::fmt;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version family a document declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SpecVersion {
    #[serde(rename = "2.0")]
    V2_0,
    #[serde(rename = "3.0")]
    V3_0,
    #[serde(rename = "3.1")]
    V3_1,
    #[serde(rename = "3.2")]
    V3_2,
}

impl fmt::Display for SpecVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V2_0 => "2.0",
            Self::V3_0 => "3.0",
            Self::V3_1 => "3.1",
            Self::V3_2 => "3.2",
        })
    }
}

/// What one document describes, in one shape whatever its version was.
#[derive(Clone, Debug)]
pub struct Api {
    pub version: SpecVersion,
    pub title: String,
    /// `info.version`.
    pub revision: String,
    pub description: Option<String>,
    pub servers: Vec<ServerTemplate>,
    pub security_schemes: IndexMap<String, SecurityScheme>,
    /// The tags that are declared, by name.
    pub tags: IndexMap<String, Tag>,
    /// In document order.
    pub operations: Vec<Operation>,
    /// Shared schemas, keyed by the name `$ref: "#/$defs/<name>"` uses.
    pub definitions: IndexMap<String, Value>,
    pub findings: Vec<Finding>,
}

/// Something lost, guessed or changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// RFC 6901 pointer into the document as it was uploaded. Where it was several files, the file's
    /// name and `#` stand before it: `paths/pets.yaml#/get`.
    pub pointer: String,
    pub severity: Severity,
    /// A stable kebab-case word per kind of finding, listed in `docs/openapi.md`.
    pub code: Cow<'static, str>,
    pub message: String,
    /// What the owner can do about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fix: Option<String>,
    /// The operation that is affected, if it is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub operation: Option<OperationKey>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Note,
    /// Guessed or changed; the tool works but may differ from what was meant.
    Warning,
    /// An operation did not become a tool.
    Lost,
}

/// An operation's identity over all versions of a document: `METHOD /path/{}`, parameters by
/// position. Never the operationId, which owners rename.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperationKey(pub String);

impl fmt::Display for OperationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A Tag Object. 3.2 gives tags an order of their own, with `parent` and `kind`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    pub summary: Option<String>,
    pub description: Option<String>,
    pub parent: Option<String>,
    pub kind: Option<String>,
}

/// One method on one path.
#[derive(Clone, Debug)]
pub struct Operation {
    pub key: OperationKey,
    /// Upper case; 3.2 allows any token.
    pub method: String,
    pub path: PathTemplate,
    pub operation_id: Option<String>,
    pub summary: Option<String>,
    pub description: Option<String>,
    /// Its own, and those above them.
    pub tags: Vec<String>,
    pub deprecated: bool,
    /// Path-item parameters merged in, overridden by name and location.
    pub parameters: Vec<Parameter>,
    pub body: Option<RequestBody>,
    pub responses: Vec<Response>,
    /// Alternatives in order. Empty: no credential is needed.
    pub security: Vec<SecurityRequirement>,
    /// The effective servers: of the operation, else its path, else the document.
    pub servers: Vec<ServerTemplate>,
    /// `x-causeway-template`: what OpenAPI cannot say, read by `mcp::template`.
    pub template: Option<Value>,
    /// Where the operation stands in the uploaded document.
    pub pointer: String,
}

/// A path template, parsed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathTemplate {
    /// Without its query.
    pub raw: String,
    pub pieces: Vec<PathPiece>,
    /// What follows the `?`, as far as no parameter stands for it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub query: Vec<PathPiece>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PathPiece {
    Literal(String),
    /// The name between the braces.
    Variable(String),
}

/// Where a parameter travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Location {
    Path,
    Query,
    Header,
    Cookie,
    /// 3.2 `in: querystring`: the whole query string is one value.
    Querystring,
}

/// How arrays and objects are written into a parameter (OAS 3.1.1, "Style Values").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Style {
    Simple,
    Label,
    Matrix,
    Form,
    SpaceDelimited,
    PipeDelimited,
    DeepObject,
    /// Swagger 2.0 `collectionFormat: tsv`.
    TabDelimited,
    /// 3.2 `cookie`.
    Cookie,
}

#[derive(Clone, Debug)]
pub struct Parameter {
    /// The name on the wire.
    pub name: String,
    pub location: Location,
    pub required: bool,
    pub deprecated: bool,
    pub description: Option<String>,
    pub schema: Value,
    pub encoding: ParameterEncoding,
    /// The empty text stands for the parameter being given without a value.
    pub allow_empty_value: bool,
    pub example: Option<Value>,
    pub pointer: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ParameterEncoding {
    #[serde(rename_all = "camelCase")]
    Style {
        style: Style,
        explode: bool,
        allow_reserved: bool,
        /// How lists within a list are written, from the outside in (Swagger 2.0, Items Object).
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        items: Vec<Style>,
    },
    /// The parameter has `content`: the value is serialized as this media type.
    #[serde(rename_all = "camelCase")]
    Content {
        media_type: String,
        /// Of a form, by property name.
        #[serde(skip_serializing_if = "IndexMap::is_empty", default)]
        encoding: IndexMap<String, PartEncoding>,
    },
}

#[derive(Clone, Debug)]
pub struct RequestBody {
    pub required: bool,
    pub description: Option<String>,
    /// In document order.
    pub content: Vec<MediaType>,
    pub pointer: String,
}

#[derive(Clone, Debug)]
pub struct MediaType {
    /// As written, for example `application/json; charset=utf-8`.
    pub name: String,
    /// `true` where the document gives none.
    pub schema: Value,
    /// 3.2 `itemSchema` of an answer that is a sequence. That of a body is part of its `schema`.
    pub item_schema: Option<Value>,
    /// `encoding` by property name.
    pub encoding: IndexMap<String, PartEncoding>,
    /// 3.2 `prefixEncoding` and `itemEncoding`.
    pub positions: Option<PartPositions>,
    pub example: Option<Value>,
}

/// How the parts of a multipart body are written that have no names (OAS 3.2.0, "Encoding By
/// Position").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartPositions {
    /// `prefixEncoding`: of the first parts, in their order.
    pub first: Vec<PartEncoding>,
    /// `itemEncoding`: of every part after them.
    pub rest: PartEncoding,
}

/// An Encoding Object (OAS 3.1.1 section 4.8.15). `None` means the default for the media type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartEncoding {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub style: Option<Style>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub explode: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub allow_reserved: Option<bool>,
    /// Headers of a part, by name, for multipart bodies.
    #[serde(skip_serializing_if = "IndexMap::is_empty", default)]
    pub headers: IndexMap<String, PartHeader>,
}

impl PartEncoding {
    /// The part is written as a query parameter is: "the presence of at least one of `style`,
    /// `explode`, or `allowReserved` with an explicit value" (OAS 3.1.1 section 4.8.15.1.2).
    pub fn is_styled(&self) -> bool {
        self.style.is_some() || self.explode.is_some() || self.allow_reserved.is_some()
    }
}

/// A header of a part (OAS 3.1.1 section 4.8.15.1.1, `headers`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartHeader {
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub required: bool,
    /// The one value the document allows, or its default.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub value: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Response {
    /// `200`, `2XX` or `default`.
    pub status: String,
    pub description: Option<String>,
    pub content: Vec<MediaType>,
}

/// One alternative: every scheme in it is needed at once. Empty: anonymous is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecurityRequirement(pub IndexMap<String, Vec<String>>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum SecurityScheme {
    #[serde(rename_all = "camelCase")]
    ApiKey {
        name: String,
        location: Location,
    },
    Basic,
    Bearer,
    /// Another registered HTTP scheme, such as `digest`.
    #[serde(rename_all = "camelCase")]
    Http {
        scheme: String,
    },
    /// The `flows` object, as 3.1 writes it.
    #[serde(rename_all = "camelCase")]
    OAuth2 {
        flows: Value,
    },
    #[serde(rename_all = "camelCase")]
    OpenIdConnect {
        url: String,
    },
    MutualTls,
}

/// A Server Object: a URL with `{variables}`. May be relative to where the document came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerTemplate {
    pub url: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "IndexMap::is_empty", default)]
    pub variables: IndexMap<String, ServerVariable>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerVariable {
    pub default: String,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub allowed: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
}
