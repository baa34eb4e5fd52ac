//! The arguments of a tool: one flat object, and where each member of it goes.

use std::collections::HashMap;

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::mcp::tool::body::may_be_null;
use crate::mcp::tool::fit::fit;
use crate::mcp::tool::schema::{Direction, Schemas};
use crate::mcp::tool::text;
use crate::mcp::tool::{BodyBinding, BodyCodec, ParameterBinding, media, name};
use crate::openapi::{Api, Location, Operation, Parameter, ParameterEncoding, Style};

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
    /// See [`crate::mcp::tool::Details::write_only`].
    pub write_only: Vec<String>,
}

/// Flattens parameters and body of `operation` into one object.
pub fn input(api: &Api, operation: &Operation) -> Input {
    let mut builder = Builder {
        api,
        schemas: Schemas::new(&api.definitions, Direction::Input),
        properties: Map::new(),
        required: Vec::new(),
    };
    let parameters = builder.parameters(&operation.parameters);
    let (body, unsendable) = match &operation.body {
        None => (None, None),
        Some(body) => match builder.body(body) {
            None => {
                let names = body.content.iter().map(|m| m.name.clone()).collect();
                (None, Some(names))
            }
            written => (written, None),
        },
    };
    let renames = builder.schemas.renames();
    let write_only = builder.schemas.write_only();
    let (schema, cut) = builder.finish();
    Input {
        schema,
        parameters,
        body,
        renames,
        cut,
        unsendable,
        write_only,
    }
}

/// Collects the arguments of one tool.
pub struct Builder<'a> {
    pub api: &'a Api,
    pub schemas: Schemas<'a>,
    pub properties: Map<String, Value>,
    pub required: Vec<Value>,
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
                let argument = self.free(&wanted);
                self.parameter(parameter, argument)
            })
            .collect()
    }

    fn parameter(&mut self, parameter: &Parameter, argument: String) -> ParameterBinding {
        if let Some(value) = constant(parameter) {
            return ParameterBinding {
                // No argument can have that name.
                argument: format!("={}", parameter.name),
                name: parameter.name.clone(),
                location: parameter.location,
                required: true,
                nullable: false,
                encoding: parameter.encoding.clone(),
                fixed: Some(value.clone()),
                default: None,
            };
        }
        let resolved = self.schemas.resolve(&parameter.schema);
        // As JSON, null is a value; in every other form it means that there is none.
        let json = matches!(&parameter.encoding, ParameterEncoding::Content { media_type, .. }
            if media::codec(media_type) == Some(BodyCodec::Json));
        let nullable = admits_null(resolved) || (json && may_be_null(resolved));
        let default = only_value(resolved).filter(|_| parameter.required).cloned();
        let may_be_empty = parameter.allow_empty_value && !admits_empty(resolved);
        let mut schema = self.schemas.prepare(&parameter.schema);
        if may_be_empty && has_empty_form(&parameter.encoding) {
            schema = json!({"anyOf": [schema, {"const": ""}]});
        }
        describe(&mut schema, parameter.description.as_deref());
        if parameter.deprecated
            && let Some(schema) = schema.as_object_mut()
        {
            schema.insert("deprecated".into(), Value::Bool(true));
        }
        self.properties.insert(argument.clone(), schema);
        if parameter.required && default.is_none() {
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
            default,
        }
    }

    /// A free name for an argument.
    pub fn free(&self, wanted: &str) -> String {
        name::unique(wanted, |name| !self.properties.contains_key(name))
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

/// The only value a required parameter may have: nothing for a model to fill in.
fn constant(parameter: &Parameter) -> Option<&Value> {
    let value = parameter.schema.get("const")?;
    let scalar = value.is_string() || is_exact_number(value) || value.is_boolean();
    (scalar && parameter.required && parameter.location != Location::Path).then_some(value)
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
pub fn describe(schema: &mut Value, description: Option<&str>) {
    if schema == &Value::Bool(true) {
        *schema = json!({});
    }
    let (Some(schema), Some(text)) = (schema.as_object_mut(), description) else {
        return;
    };
    if let Some(text) = text::argument(text, "") {
        schema.insert("description".into(), Value::String(text));
    }
}

/// Whether `null` itself is a valid value.
pub fn admits_null(schema: &Value) -> bool {
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

/// The one value a schema allows, which a caller need not repeat.
fn only_value(schema: &Value) -> Option<&Value> {
    let listed = schema.get("enum").and_then(Value::as_array);
    let only = listed
        .filter(|values| values.len() == 1)
        .and_then(|v| v.first());
    let value = schema.get("const").or(only)?;
    (!value.is_number() || is_exact_number(value)).then_some(value)
}

/// A number that can be written as the document had it. One beyond 2^53 that is no 64-bit integer has
/// lost digits on the way: only a caller can give it.
fn is_exact_number(value: &Value) -> bool {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let exact = |number: f64| number.abs() <= EXACT_MAX;
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(exact)
}

/// Whether the empty text fits a schema, as far as can be seen from here.
fn admits_empty(schema: &Value) -> bool {
    const BOUNDING: [&str; 7] = [
        "minLength",
        "pattern",
        "format",
        "enum",
        "const",
        "anyOf",
        "oneOf",
    ];
    let text = schema.get("type").is_none_or(|kind| kind == "string");
    text && !BOUNDING.iter().any(|key| schema.get(key).is_some())
}

/// Whether `name=` means something in this style (OAS 3.2.0, "Style Examples").
fn has_empty_form(encoding: &ParameterEncoding) -> bool {
    match encoding {
        ParameterEncoding::Style { style, .. } => *style == Style::Form,
        ParameterEncoding::Content { .. } => true,
    }
}
