//! Arguments become an HTTP request: pure, without a credential, and exact.
//!
//! Invariant: a value stays in its place. It can add no path segment, no query parameter, no header
//! and no part of a body that the binding does not give it; numbers travel as the client wrote them.

mod base;
mod body;
mod check;
mod escape;
mod file;
mod form;
mod header;
mod multipart;
mod raw;
mod rename;
mod sequence;
mod shape;
mod style;
mod template;
pub mod unreachable;
mod xml;

use bytes::Bytes;
use http::Method;
use http::header::CONTENT_TYPE;
use indexmap::IndexMap;
use serde_json::value::RawValue;
use url::Url;

use crate::mcp::content::json;
use crate::mcp::plan::escape::Escape;
use crate::mcp::plan::raw::Raw;
use crate::mcp::plan::style::How;
use crate::mcp::provider::Arguments;
use crate::mcp::template::{Moment, RenderError};
use crate::mcp::tool::{Binding, ParameterBinding, Tool};
use crate::mcp::tool::{BodyCodec, media};
use crate::openapi::{Location, ParameterEncoding, PathPiece};
use crate::types::UpstreamRequest;

pub use crate::mcp::plan::base::{
    BaseUrlError, Destination, base_url, check_destination, server_url,
};
pub use crate::mcp::plan::file::{LINK_SCHEME, Linked, Links};

/// A request, and what was done to the arguments to make it.
#[derive(Debug)]
pub struct Planned {
    pub request: UpstreamRequest,
    /// Arguments that came as a string of JSON where an object or array was asked for, and were read
    /// as what they hold.
    pub healed: Vec<String>,
}

/// Why no request can be made. The text is for the model: it names the argument and the rule.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error("The arguments do not fit the tool's input schema:\n{0}")]
    Schema(String),
    #[error("The arguments are not a JSON object.")]
    NotAnObject,
    #[error("Argument `{argument}`: {rule}.")]
    Value {
        argument: String,
        rule: &'static str,
    },
    #[error("No request can be written: {0}.")]
    Template(RenderError),
    #[error("The request's URL would be longer than {0} bytes.")]
    TooLarge(usize),
    #[error("The request's URL is not valid: {0}.")]
    Url(url::ParseError),
}

impl PlanError {
    fn value(argument: &str, rule: &'static str) -> Self {
        Self::Value {
            argument: argument.to_owned(),
            rule,
        }
    }
}

const URL_BYTES_MAX: usize = 64 << 10;
/// How deep an argument may be nested. It is checked as a `Value`, which has a limit of 128 as a whole.
const DEPTH_MAX: usize = 120;

fn is_deep(text: &str) -> bool {
    json::depth(text) > DEPTH_MAX
}

/// The arguments by name, each as the client wrote it.
type Given<'a> = IndexMap<String, Raw<'a>>;

/// Validates `arguments` against the tool's schema and writes them into a request to `base`, the
/// tool's [`base_url`]. The request carries no credential yet.
pub fn plan(tool: &Tool, base: &Url, arguments: &Arguments) -> Result<Planned, PlanError> {
    accept(tool, arguments)?.plan(base, &Aids::default())
}

/// What a plan may need beside the arguments.
#[derive(Clone, Debug, Default)]
pub struct Aids {
    /// What the arguments' links lead to, see [`Accepted::links`].
    pub links: Links,
    /// The time and the chance that templates ask for.
    pub moment: Moment,
}

/// Arguments that fit their tool's input schema, with the names the API knows.
#[derive(Debug)]
pub struct Accepted<'a> {
    binding: &'a Binding,
    given: Given<'a>,
    healed: Vec<String>,
}

/// Validates `arguments`. The work is bounded by their size, and no more than that: see
/// [`crate::mcp::tool::effort`].
///
/// # Errors
/// They do not fit.
pub fn accept<'a>(tool: &'a Tool, arguments: &'a Arguments) -> Result<Accepted<'a>, PlanError> {
    let binding = &tool.def.binding;
    let mut given = parse(arguments.as_deref())?;
    drop_nulls(binding, &mut given);
    let healed = check::validate(tool, &mut given)?;
    rename::rename(&tool.def, &mut given);
    Ok(Accepted {
        binding,
        given,
        healed,
    })
}

impl Accepted<'_> {
    /// The links to earlier answers among the file arguments: what has to be fetched for
    /// [`Accepted::plan`].
    pub fn links(&self) -> Vec<String> {
        let body = self.binding.body.as_ref();
        body.map_or_else(Vec::new, |body| body::links(body, &self.given))
    }

    /// Writes the request.
    ///
    /// # Errors
    /// A value cannot stand in its place.
    pub fn plan(mut self, base: &Url, aids: &Aids) -> Result<Planned, PlanError> {
        let binding = self.binding;
        let mut body = match &binding.templates {
            Some(templates) => template::fill(templates, &mut self.given, &aids.moment)?,
            None => None,
        };
        let given = &self.given;
        let url = url(base, binding, given)?;
        let mut headers = header::headers(binding, given)?;
        if let Some(binding) = &binding.body {
            body = body::write(binding, given, &aids.links)?;
        }
        let body = body.map_or_else(Bytes::new, |(content_type, bytes)| {
            headers.insert(CONTENT_TYPE, content_type);
            bytes
        });
        let method = Method::from_bytes(binding.method.as_bytes()).unwrap_or(Method::POST);
        Ok(Planned {
            request: UpstreamRequest {
                method,
                url,
                headers,
                body,
            },
            healed: self.healed,
        })
    }
}

fn parse(arguments: Option<&RawValue>) -> Result<Given<'_>, PlanError> {
    let Some(arguments) = arguments else {
        return Ok(Given::new());
    };
    let members: IndexMap<String, &RawValue> = match arguments.get().trim_start().as_bytes().first()
    {
        Some(b'{') => serde_json::from_str(arguments.get()).map_err(|_| PlanError::NotAnObject)?,
        Some(b'n') => IndexMap::new(),
        _ => return Err(PlanError::NotAnObject),
    };
    // The parser checks text of any depth; whatever writes values calls itself for what lies within.
    if let Some((argument, _)) = members.iter().find(|(_, raw)| is_deep(raw.get())) {
        return Err(PlanError::value(argument, "it is nested too deeply"));
    }
    Ok(members
        .into_iter()
        .map(|(name, raw)| (name, Raw::borrowed(raw.get())))
        .collect())
}

/// `null` for an optional argument that cannot be null means that it is absent.
fn drop_nulls(binding: &Binding, given: &mut Given) {
    let nullable = |name: &str| {
        let parameter = binding.parameters.iter().find(|p| p.argument == name);
        parameter.map_or_else(
            || {
                binding
                    .body
                    .as_ref()
                    .is_none_or(|body| body.is_nullable(name))
            },
            |p| p.required || p.nullable,
        )
    };
    given.retain(|name, raw| !raw.is_null() || nullable(name));
}

fn url(base: &Url, binding: &Binding, given: &Given) -> Result<Url, PlanError> {
    let mut text = String::with_capacity(128);
    text.push_str(base.as_str().split(['?', '#']).next().unwrap_or_default());
    while text.ends_with('/') {
        text.pop();
    }
    let origin_end = text.len() - base.path().trim_end_matches('/').len();
    write_path(&mut text, binding, given)?;
    if text.len() == origin_end {
        text.push('/');
    }
    let mut pairs: Vec<String> = base
        .query()
        .filter(|q| !q.is_empty())
        .map(str::to_owned)
        .into_iter()
        .collect();
    pairs.push(literal_query(binding, given)?);
    for parameter in at(binding, Location::Query) {
        if let Some(raw) = value(parameter, given) {
            pairs.extend(query(parameter, &raw)?);
        }
    }
    for parameter in at(binding, Location::Querystring) {
        if let Some(raw) = value(parameter, given)
            && let ParameterEncoding::Content {
                media_type,
                encoding,
            } = &parameter.encoding
        {
            let argument = &parameter.argument;
            pairs.push(form::query_string(argument, &raw, media_type, encoding)?);
        }
    }
    pairs.retain(|pair| !pair.is_empty());
    if !pairs.is_empty() {
        text.push('?');
        text.push_str(&pairs.join("&"));
    }
    if text.len() > URL_BYTES_MAX {
        return Err(PlanError::TooLarge(URL_BYTES_MAX));
    }
    Url::parse(&text).map_err(PlanError::Url)
}

/// A query parameter: none, one or several `name=value`.
fn query(parameter: &ParameterBinding, raw: &Raw) -> Result<Vec<String>, PlanError> {
    let name = &parameter.name;
    let written = match &parameter.encoding {
        ParameterEncoding::Content {
            media_type,
            encoding,
        } => {
            let text = form::content(&parameter.argument, raw, media_type, encoding)?;
            vec![(Escape::Percent.name(name), Escape::Percent.write(&text))]
        }
        ParameterEncoding::Style {
            style,
            explode,
            allow_reserved,
            items,
        } => {
            let reserved = if *allow_reserved {
                Escape::QueryReserved
            } else {
                Escape::Percent
            };
            let how = How {
                style: *style,
                items,
                explode: *explode,
                escape: reserved,
                required: parameter.required,
            };
            style::pairs(name, raw, how)
        }
    };
    let written = written
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    Ok(written.collect())
}

/// A path parameter, as one piece of a path.
fn in_path(parameter: &ParameterBinding, raw: &Raw) -> Result<String, PlanError> {
    match &parameter.encoding {
        ParameterEncoding::Content {
            media_type,
            encoding,
        } => {
            let text = form::content(&parameter.argument, raw, media_type, encoding)?;
            Ok(Escape::Percent.write(&text))
        }
        ParameterEncoding::Style {
            style,
            explode,
            allow_reserved,
            items,
        } => {
            let escape = if *allow_reserved {
                Escape::PathReserved
            } else {
                Escape::Percent
            };
            let how = How {
                style: *style,
                items,
                explode: *explode,
                escape,
                required: true,
            };
            Ok(style::path(&parameter.name, raw, how))
        }
    }
}

fn write_path(text: &mut String, binding: &Binding, given: &Given) -> Result<(), PlanError> {
    let start = text.len();
    let mut last = None;
    for piece in &binding.path.pieces {
        match piece {
            PathPiece::Literal(literal) => escape::literal(text, literal),
            PathPiece::Variable(name) => {
                let (argument, written) = variable(name, binding, given)?;
                text.push_str(&written);
                last = Some(argument);
            }
        }
    }
    // The URL parser resolves dot segments, also percent-encoded ones.
    let climbs = text[start..].split('/').any(|segment| {
        let segment = segment.replace("%2e", ".").replace("%2E", ".");
        segment == "." || segment == ".."
    });
    match last {
        Some(argument) if climbs => {
            Err(PlanError::value(argument, "it may not be \".\" or \"..\""))
        }
        _ => Ok(()),
    }
}

/// The query that the path itself has, as it stands there.
fn literal_query(binding: &Binding, given: &Given) -> Result<String, PlanError> {
    let mut text = String::new();
    for piece in &binding.path.query {
        match piece {
            PathPiece::Literal(literal) => escape::literal_query(&mut text, literal),
            PathPiece::Variable(name) => text.push_str(&variable(name, binding, given)?.1),
        }
    }
    Ok(text)
}

/// What stands for a variable of the path: its argument, and the value as it is written.
fn variable<'b>(
    name: &'b str,
    binding: &'b Binding,
    given: &Given,
) -> Result<(&'b str, String), PlanError> {
    let parameter = at(binding, Location::Path).find(|p| p.name == name);
    let argument = parameter.map_or(name, |p| p.argument.as_str());
    let raw = parameter.and_then(|p| value(p, given));
    let (Some(parameter), Some(raw)) = (parameter, raw) else {
        let rule = "it is part of the path and required";
        return Err(PlanError::value(argument, rule));
    };
    let written = in_path(parameter, &raw)?;
    if written.is_empty() {
        let rule = "it is part of the path and may not be empty";
        return Err(PlanError::value(argument, rule));
    }
    Ok((argument, written))
}

fn at(binding: &Binding, location: Location) -> impl Iterator<Item = &ParameterBinding> {
    binding
        .parameters
        .iter()
        .filter(move |parameter| parameter.location == location)
}

/// The value of a parameter: what is fixed, else what was given, else its default. The `null` of an
/// optional parameter sends nothing, unless it is sent as JSON, which has one.
fn value<'a>(parameter: &ParameterBinding, given: &Given<'a>) -> Option<Raw<'a>> {
    let raw = match (&parameter.fixed, given.get(&parameter.argument)) {
        (Some(fixed), _) => Raw::owned(fixed.to_string()),
        (None, Some(raw)) => raw.clone(),
        (None, None) => Raw::owned(parameter.default.as_ref()?.to_string()),
    };
    let json = matches!(&parameter.encoding, ParameterEncoding::Content { media_type, .. }
        if media::codec(media_type) == Some(BodyCodec::Json));
    (!raw.is_null() || parameter.required || json).then_some(raw)
}
