//! Parameters: merged from the path item and the operation, and matched with the path.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::openapi::finding::{Code, quoted};
use crate::openapi::pointer::{At, Located, is_true};
use crate::openapi::reference::RefFault;
use crate::openapi::schema::Reading;
use crate::openapi::{
    Location, Parameter, ParameterEncoding, PathPiece, PathTemplate, SpecVersion, Style,
    upconvert_2_0,
};

/// A parameter with its references followed, not yet read.
#[derive(Clone, Debug)]
pub struct Declared<'a> {
    pub at: Located<'a>,
    pub name: String,
    /// `in`, as written, in lower case.
    pub place: String,
    pub description: Option<String>,
    /// Other operations may have it too.
    pub shared: bool,
}

impl Declared<'_> {
    /// Both are one parameter: name and place agree, whatever the case of a header's name.
    fn is(&self, other: &Self) -> bool {
        let named = self.name == other.name
            || self.place == "header" && self.name.eq_ignore_ascii_case(&other.name);
        named && self.place == other.place
    }
}

impl<'a> Reading<'a> {
    /// The parameters of an operation: those of its path item, replaced by its own where name and
    /// place agree.
    pub fn declared(&mut self, layers: &[Option<Located<'a>>]) -> Vec<Declared<'a>> {
        let mut merged: Vec<Declared<'a>> = Vec::new();
        for (depth, layer) in layers.iter().enumerate() {
            let Some(layer) = layer else {
                continue;
            };
            if !layer.value.is_array() && !layer.value.is_null() {
                let message = "`parameters` is not a list; it is left out";
                self.findings
                    .add(Code::ParametersNotAList, layer.pointer.clone(), message);
            }
            let mut own: Vec<Declared<'a>> = Vec::new();
            for item in layer.items() {
                let Some(next) = self.declaration(item, depth == 0) else {
                    continue;
                };
                let same = |other: &&mut Declared<'_>| other.is(&next);
                if let Some(other) = own.iter_mut().find(same) {
                    let message = format!("{} is declared twice", quoted(&next.name));
                    self.findings
                        .add(Code::ParameterDuplicate, next.at.pointer.clone(), message);
                    *other = next;
                } else {
                    own.push(next);
                }
            }
            for next in own {
                let same = |other: &&mut Declared<'_>| other.is(&next);
                match merged.iter_mut().find(same) {
                    Some(other) => *other = next,
                    None => merged.push(next),
                }
            }
        }
        merged
    }

    fn declaration(&mut self, at: Located<'a>, of_path: bool) -> Option<Declared<'a>> {
        let pointer = at.pointer.clone();
        let followed = match self.references.follow(at) {
            Ok(followed) => followed,
            Err(fault) => {
                let code = match fault {
                    RefFault::External => Code::RefExternal,
                    RefFault::Missing | RefFault::Cycle => Code::ParameterRefUnresolved,
                };
                let message = format!(
                    "the parameter's reference {}; it is left out",
                    fault.reason()
                );
                self.findings.add(code, pointer, message);
                return None;
            }
        };
        if followed.shared || of_path {
            self.budget.take_expansions(1);
        }
        let name = followed.at.text("name").filter(|name| !name.is_empty());
        let place = followed.at.text("in").map(|p| p.to_ascii_lowercase());
        let (Some(name), Some(place)) = (name, place) else {
            let message = "the parameter has no `name` or no `in`; it is left out";
            self.findings.add(Code::ParameterInvalid, pointer, message);
            return None;
        };
        Some(Declared {
            at: followed.at,
            name,
            place,
            description: followed.description,
            shared: followed.shared || of_path,
        })
    }

    /// Reads the parameters that are not a body, and makes the path's variables agree with them.
    pub fn parameters(
        &mut self,
        declared: &[Declared<'a>],
        path: &PathTemplate,
        pointer: &str,
    ) -> Vec<Parameter> {
        let mut parameters: Vec<Parameter> = Vec::new();
        for declared in declared {
            if let Some(parameter) = self.parameter(declared) {
                parameters.push(parameter);
            }
        }
        let variables: Vec<&str> = variables(path).collect();
        self.match_case(&mut parameters, &variables);
        parameters.retain(|parameter| {
            let used = parameter.location != Location::Path
                || variables.contains(&parameter.name.as_str());
            if !used {
                let message = format!("{} is not in the path", quoted(&parameter.name));
                self.findings.add(
                    Code::PathParameterUnused,
                    parameter.pointer.clone(),
                    message,
                );
            }
            used
        });
        let missing: Vec<&str> = variables
            .into_iter()
            .filter(|variable| !is_declared(&parameters, variable))
            .collect();
        if !missing.is_empty() {
            let names: Vec<String> = missing.iter().map(|name| quoted(name)).collect();
            let message = format!("in the path but not declared: {}", names.join(", "));
            self.findings
                .add(Code::PathParameterMissing, pointer, message);
        }
        parameters.extend(missing.iter().map(|name| synthesised(name, pointer)));
        parameters
    }

    /// `{petId}` and `petid`: nothing else can be meant.
    fn match_case(&mut self, parameters: &mut [Parameter], variables: &[&str]) {
        for variable in variables {
            if is_declared(parameters, variable) {
                continue;
            }
            let near = parameters.iter_mut().find(|p| {
                p.location == Location::Path
                    && p.name.eq_ignore_ascii_case(variable)
                    && !variables.contains(&p.name.as_str())
            });
            if let Some(parameter) = near {
                let message = format!(
                    "{} is taken as the path's {}",
                    quoted(&parameter.name),
                    quoted(variable)
                );
                self.findings
                    .add(Code::PathParameterCase, parameter.pointer.clone(), message);
                (*variable).clone_into(&mut parameter.name);
            }
        }
    }

    fn parameter(&mut self, declared: &Declared<'a>) -> Option<Parameter> {
        let Declared { at, name, .. } = declared;
        let pointer = at.pointer.clone();
        let Some(location) = location(&declared.place) else {
            if !matches!(declared.place.as_str(), "body" | "formdata") || !self.is_2_0() {
                let message = format!("{} is no place for a parameter", quoted(&declared.place));
                self.findings.add(Code::ParameterInvalid, pointer, message);
            }
            return None;
        };
        if location == Location::Header && http::HeaderName::try_from(name.as_str()).is_err() {
            let message = format!(
                "{} is no header name; the parameter is left out",
                quoted(name)
            );
            self.findings.add(Code::ParameterInvalid, pointer, message);
            return None;
        }
        if location == Location::Header && is_reserved(name) {
            let message = format!("{} is not for a caller to set", quoted(name));
            self.findings
                .add(Code::HeaderParameterIgnored, pointer, message);
            return None;
        }
        let converted;
        let (schema, at) = if self.is_2_0() {
            converted = upconvert_2_0::parameter(at.object()?);
            let schema = converted.get("schema").unwrap_or(&Value::Null);
            let schema = self.schema_at(schema, &At::Base(&pointer));
            let at = Located {
                value: &converted,
                pointer: pointer.clone(),
            };
            (schema, at)
        } else {
            (self.parameter_schema(declared, location), at.clone())
        };
        let encoding = self.parameter_encoding(&at, location);
        Some(Parameter {
            name: name.clone(),
            location,
            required: location == Location::Path || at.flag("required"),
            deprecated: at.flag("deprecated"),
            description: declared.description.clone().or(at.text("description")),
            schema,
            encoding,
            // "Valid only for `query` parameters" (OAS 3.1.1, 4.8.12.2.1).
            allow_empty_value: location == Location::Query && at.flag("allowEmptyValue"),
            example: example(&at),
            pointer,
        })
    }

    fn parameter_schema(&mut self, declared: &Declared<'a>, location: Location) -> Value {
        let at = &declared.at;
        let schema = at.get("schema").or_else(|| {
            let (_, media) = at.get("content")?.members().next()?;
            media.get("schema")
        });
        match schema {
            Some(schema) => self.shared_schema(schema, declared.shared),
            None if at.value.get("type").is_some() => {
                let message = "the parameter has its `type` where Swagger 2.0 had it";
                self.findings
                    .add(Code::ParameterWithoutSchema, at.pointer.clone(), message);
                let members = at.object().map(upconvert_2_0::schema);
                self.schema_at(&members.unwrap_or_default(), &At::Base(&at.pointer))
            }
            // A parameter with neither is a text (the only thing a client could send).
            None if location == Location::Path => json!({"type": "string"}),
            None => json!({}),
        }
    }

    fn parameter_encoding(&mut self, at: &Located<'_>, location: Location) -> ParameterEncoding {
        let content = at.get("content").filter(|_| at.get("schema").is_none());
        let mut names = content.iter().flat_map(Located::members);
        if let Some((media_type, media)) = names.next() {
            if names.next().is_some() {
                let message = "the parameter has several media types; the first is used";
                self.findings
                    .add(Code::ParameterContent, at.pointer.clone(), message);
            }
            return ParameterEncoding::Content {
                media_type: media_type.to_owned(),
                encoding: self.part_encodings(&media),
            };
        }
        if location == Location::Querystring {
            let message = "a query string has its schema under a media type; it is sent as a form";
            self.findings
                .add(Code::ParameterContent, at.pointer.clone(), message);
            return ParameterEncoding::Content {
                media_type: "application/x-www-form-urlencoded".to_owned(),
                encoding: IndexMap::new(),
            };
        }
        let style = self.style(at, location);
        let explode = match at.value.get("explode") {
            Some(flag) => is_true(Some(flag)),
            None => matches!(style, Style::Form | Style::Cookie),
        };
        ParameterEncoding::Style {
            style,
            explode,
            allow_reserved: self.may_reserve(location, style) && at.flag("allowReserved"),
            items: upconvert_2_0::item_styles(at),
        }
    }

    /// The style, if it may occur at this location; else the default (OAS 3.1.1, "Style Values").
    fn style(&mut self, at: &Located<'_>, location: Location) -> Style {
        let default = match location {
            Location::Path | Location::Header => Style::Simple,
            Location::Query | Location::Cookie | Location::Querystring => Style::Form,
        };
        let Some(named) = at.text("style") else {
            return default;
        };
        let style = style(&named);
        let fits = |style: &Style| match location {
            Location::Path => {
                matches!(style, Style::Simple | Style::Label | Style::Matrix)
                    || (self.version == SpecVersion::V2_0 && *style != Style::Form)
            }
            Location::Header => {
                *style == Style::Simple
                    || (self.version == SpecVersion::V2_0 && *style != Style::Form)
            }
            Location::Cookie => matches!(style, Style::Form | Style::Cookie),
            Location::Query | Location::Querystring => !matches!(
                style,
                Style::Simple | Style::Label | Style::Matrix | Style::Cookie
            ),
        };
        style.filter(fits).unwrap_or_else(|| {
            let message = format!("{} cannot be used here", quoted(&named));
            self.findings
                .add(Code::StyleUnsupported, at.pointer.clone(), message);
            default
        })
    }

    /// "Applies only to parameters with an `in` value of `query`" (OAS 3.1.1, 4.8.12.2.2); since 3.2
    /// to everything that is percent-encoded.
    fn may_reserve(&self, location: Location, style: Style) -> bool {
        match location {
            Location::Query => true,
            Location::Path | Location::Cookie => {
                self.version == SpecVersion::V3_2 && style != Style::Cookie
            }
            Location::Header | Location::Querystring => false,
        }
    }

    pub fn is_2_0(&self) -> bool {
        self.version == SpecVersion::V2_0
    }
}

/// The variables of a path, in order, each once.
fn variables(path: &PathTemplate) -> impl Iterator<Item = &str> {
    let mut seen: Vec<&str> = Vec::new();
    let pieces = path.pieces.iter().chain(&path.query);
    pieces.filter_map(move |piece| match piece {
        PathPiece::Variable(name) if !seen.contains(&name.as_str()) => {
            seen.push(name);
            Some(name.as_str())
        }
        _ => None,
    })
}

fn is_declared(parameters: &[Parameter], variable: &str) -> bool {
    parameters
        .iter()
        .any(|p| p.location == Location::Path && p.name == variable)
}

fn synthesised(variable: &str, pointer: &str) -> Parameter {
    Parameter {
        name: variable.to_owned(),
        location: Location::Path,
        required: true,
        deprecated: false,
        description: None,
        schema: json!({"type": "string"}),
        encoding: ParameterEncoding::Style {
            style: Style::Simple,
            explode: false,
            allow_reserved: false,
            items: Vec::new(),
        },
        allow_empty_value: false,
        example: None,
        pointer: pointer.to_owned(),
    }
}

/// Headers that no parameter may set: OpenAPI ignores `Accept`, `Content-Type` and `Authorization`
/// (OAS 3.1.1, 4.8.12.2.1), which follow from media types and security schemes; the others belong to
/// the connection, to the framing of the body, or to a credential (RFC 9110 sections 7 and 8).
pub fn is_reserved(name: &str) -> bool {
    const RESERVED: [&str; 20] = [
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "max-forwards",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    RESERVED
        .iter()
        .any(|reserved| reserved.eq_ignore_ascii_case(name))
}

impl Location {
    /// The word `in` has for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
            Self::Cookie => "cookie",
            Self::Querystring => "querystring",
        }
    }
}

fn location(place: &str) -> Option<Location> {
    match place {
        "path" => Some(Location::Path),
        "query" => Some(Location::Query),
        "header" => Some(Location::Header),
        "cookie" => Some(Location::Cookie),
        "querystring" => Some(Location::Querystring),
        _ => None,
    }
}

/// The style of that name.
pub fn style(name: &str) -> Option<Style> {
    match name {
        "simple" => Some(Style::Simple),
        "label" => Some(Style::Label),
        "matrix" => Some(Style::Matrix),
        "form" => Some(Style::Form),
        "spaceDelimited" => Some(Style::SpaceDelimited),
        "pipeDelimited" => Some(Style::PipeDelimited),
        "deepObject" => Some(Style::DeepObject),
        "tabDelimited" => Some(Style::TabDelimited),
        "cookie" => Some(Style::Cookie),
        _ => None,
    }
}

/// `example`, or the first of `examples` that holds a value.
pub fn example(at: &Located<'_>) -> Option<Value> {
    let named = at.value.get("examples").and_then(Value::as_object);
    let first = |named: &Map<String, Value>| {
        named.values().find_map(|example| {
            let value = example.get("value").or(example.get("dataValue"));
            value.cloned()
        })
    };
    at.value.get("example").cloned().or_else(|| first(named?))
}
