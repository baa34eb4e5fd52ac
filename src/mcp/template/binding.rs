//! The templates of a tool: what an operation declares under `x-causeway-template`, and how it is
//! kept in the tool's binding.
//!
//! A document may say of an operation, beside what OpenAPI can say:
//! `arguments` (schemas by name, for arguments only templates use), `required`, `defaults` (sent where
//! an argument is absent), `config` (values templates read), `parameters` (`in`, `name`, `template`:
//! the value of that declared parameter is what the template writes), `body` (`mediaType`,
//! `template`), `answer` (`template`, or `prepend` and `append`) and `error` (a template).

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::mcp::template::Template;
use crate::mcp::tool::input::Input;
use crate::mcp::tool::{BodyArguments, name};
use crate::openapi::Location;

/// Arguments of one tool that only templates use.
const ARGUMENTS_MAX: usize = 200;

/// What the operation declares.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Declared {
    arguments: IndexMap<String, Value>,
    required: Vec<String>,
    defaults: IndexMap<String, Value>,
    config: Map<String, Value>,
    parameters: Vec<DeclaredParameter>,
    body: Option<TemplateBody>,
    answer: Option<Answer>,
    error: Option<Template>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeclaredParameter {
    #[serde(rename = "in")]
    location: Location,
    name: String,
    template: Template,
}

/// The templates of a tool, beside its binding.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Templates {
    /// The name a template knows an argument by, and the argument.
    #[serde(skip_serializing_if = "IndexMap::is_empty", default)]
    pub names: IndexMap<String, String>,
    /// By argument, what stands for one that is absent.
    #[serde(skip_serializing_if = "IndexMap::is_empty", default)]
    pub defaults: IndexMap<String, Value>,
    #[serde(skip_serializing_if = "Map::is_empty", default)]
    pub config: Map<String, Value>,
    /// By the argument of a parameter no caller can give, what writes its value.
    #[serde(skip_serializing_if = "IndexMap::is_empty", default)]
    pub parameters: IndexMap<String, Template>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub body: Option<TemplateBody>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub answer: Option<Answer>,
    /// The text for an answer that is no success.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<Template>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateBody {
    pub media_type: String,
    pub template: Template,
}

/// How the text of a success is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", untagged)]
pub enum Answer {
    Template {
        template: Template,
    },
    Around {
        #[serde(default)]
        prepend: String,
        #[serde(default)]
        append: String,
    },
}

/// Reads what an operation declares and puts it into its tool's input.
///
/// # Errors
/// What in it is not understood, for the owner.
pub fn bind(declared: &Value, input: &mut Input) -> Result<Templates, String> {
    let declared: Declared =
        serde_json::from_value(declared.clone()).map_err(|error| error.to_string())?;
    if declared.arguments.len() > ARGUMENTS_MAX {
        return Err(format!("more than {ARGUMENTS_MAX} arguments"));
    }
    let mut templates = Templates {
        names: names(input),
        config: declared.config,
        body: declared.body,
        answer: declared.answer,
        error: declared.error,
        ..Templates::default()
    };
    for parameter in declared.parameters {
        let argument = hide(input, parameter.location, &parameter.name)
            .ok_or_else(|| format!("the parameter `{}` is not declared", parameter.name))?;
        templates.names.retain(|_, known| *known != argument.0);
        templates.parameters.insert(argument.1, parameter.template);
    }
    for (wire, schema) in &declared.arguments {
        let required = declared.required.contains(wire);
        let argument = show(input, wire, schema, required);
        templates.names.insert(wire.clone(), argument);
    }
    for (wire, value) in declared.defaults {
        if let Some(argument) = templates.names.get(&wire) {
            templates.defaults.insert(argument.clone(), value);
        }
    }
    if templates.body.is_some() {
        input.body = None;
    }
    Ok(templates)
}

/// Arguments by their names on the wire.
fn names(input: &Input) -> IndexMap<String, String> {
    let mut names = IndexMap::new();
    for parameter in input.parameters.iter().filter(|p| p.fixed.is_none()) {
        names
            .entry(parameter.name.clone())
            .or_insert_with(|| parameter.argument.clone());
    }
    if let Some(BodyArguments::Lifted(properties)) = input.body.as_ref().map(|b| &b.arguments) {
        for property in properties {
            names
                .entry(property.name.clone())
                .or_insert_with(|| property.argument.clone());
        }
    }
    names
}

/// Takes a parameter from the caller: the argument it had, and the one nobody can give.
fn hide(input: &mut Input, location: Location, name: &str) -> Option<(String, String)> {
    let parameter = input.parameters.iter_mut().find(|parameter| {
        parameter.location == location
            && (parameter.name == name
                || location == Location::Header && parameter.name.eq_ignore_ascii_case(name))
    })?;
    let hidden = format!("={}", parameter.name);
    let shown = std::mem::replace(&mut parameter.argument, hidden.clone());
    parameter.required = false;
    parameter.fixed = None;
    parameter.default = None;
    if let Some(properties) = input
        .schema
        .get_mut("properties")
        .and_then(Value::as_object_mut)
    {
        properties.shift_remove(&shown);
    }
    let required = input
        .schema
        .get_mut("required")
        .and_then(Value::as_array_mut);
    if let Some(required) = required {
        required.retain(|name| name.as_str() != Some(&shown));
        if required.is_empty()
            && let Some(schema) = input.schema.as_object_mut()
        {
            schema.shift_remove("required");
        }
    }
    Some((shown, hidden))
}

/// Gives the caller an argument that only templates use.
fn show(input: &mut Input, wire: &str, schema: &Value, required: bool) -> String {
    let Some(properties) = input
        .schema
        .get_mut("properties")
        .and_then(Value::as_object_mut)
    else {
        return wire.to_owned();
    };
    let argument = name::unique(&name::argument(wire), |name| !properties.contains_key(name));
    let schema = if schema.is_object() {
        schema.clone()
    } else {
        Value::Object(Map::new())
    };
    properties.insert(argument.clone(), schema);
    if required && let Some(schema) = input.schema.as_object_mut() {
        let names = schema
            .entry("required")
            .or_insert_with(|| Value::Array(Vec::new()));
        if let Some(names) = names.as_array_mut() {
            names.push(argument.clone().into());
        }
    }
    argument
}
