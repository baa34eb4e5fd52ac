//! Arguments become an HTTP request. Pure.

use url::Url;

use crate::mcp::provider::Arguments;
use crate::mcp::tool::{Tool, ToolDef};
use crate::types::UpstreamRequest;

/// A request ready for its credential, and what the model should be told or counted.
#[derive(Clone, Debug)]
pub struct Planned {
    pub request: UpstreamRequest,
    /// Arguments that came as a string of JSON where an object or array was asked for, and were
    /// read as what they hold.
    pub healed: Vec<String>,
}

/// Why arguments cannot become a request. Its text is written for the model: it names each
/// argument, the rule, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    #[error("the arguments are not a JSON object")]
    NotAnObject,
    #[error("invalid arguments:\n{}", .0.join("\n"))]
    Invalid(Vec<String>),
}

/// Why a server has no usable base URL. The text is written for the owner.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    #[error("the document names no server; set the upstream URL")]
    Missing,
    #[error(
        "the server URL \"{0}\" is relative and the document came from no URL; set the upstream URL"
    )]
    Relative(String),
    #[error("the server URL \"{0}\" is not an http or https URL")]
    Invalid(String),
}

/// Builds the request of a call.
///
/// In: the tool, its [`base_url`], the arguments as the client wrote them. Out: a request without
/// credential. Errors: the arguments break the input schema, or a value has no safe place.
pub fn plan(tool: &Tool, base: &Url, arguments: &Arguments) -> Result<Planned, PlanError> {
    let _ = (tool, base, arguments);
    Err(PlanError::NotAnObject)
}

/// The URL a tool's path is appended to: the owner's `upstream`, else the operation's first
/// server with its variables at their defaults, resolved against where the document came from.
pub fn base_url(
    def: &ToolDef,
    upstream: Option<&str>,
    document: Option<&Url>,
) -> Result<Url, BaseUrlError> {
    let _ = (def, upstream, document);
    Err(BaseUrlError::Missing)
}
