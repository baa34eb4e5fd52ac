//! Arguments with curations put over them: other words, and values that are always the same.

use std::collections::HashSet;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::mcp::curation::{ArgumentCuration, finding};
use crate::mcp::tool::text::{ARGUMENT_DESCRIPTION_BYTES_MAX, clean, shorten};
use crate::mcp::tool::{Binding, BodyArguments, ParameterBinding, ToolDef};
use crate::openapi::Finding;
use crate::openapi::finding::Code;
use crate::openapi::pointer::unescape;

/// The arguments of a tool: the key a curation knows each by, and its name in the input schema.
pub fn argument_keys(binding: &Binding) -> Vec<(String, String)> {
    let parameters = binding
        .parameters
        .iter()
        .map(|parameter| (parameter_key(parameter), parameter.argument.clone()));
    let body = binding.body.iter().flat_map(|body| match &body.arguments {
        BodyArguments::Lifted(properties) => properties
            .iter()
            .map(|property| (format!("body:{}", property.name), property.argument.clone()))
            .collect(),
        BodyArguments::Whole(argument) => vec![("body".to_owned(), argument.clone())],
    });
    parameters.chain(body).collect()
}

/// Puts the curations of arguments over a tool. What names no argument of it is a finding.
pub(super) fn apply(
    tool: &mut ToolDef,
    curations: &IndexMap<String, ArgumentCuration>,
    findings: &mut Vec<Finding>,
) {
    let keys: IndexMap<String, String> = argument_keys(&tool.binding).into_iter().collect();
    let mut fixed_any = false;
    for (key, curation) in curations {
        let Some(argument) = keys.get(key) else {
            let message = format!("the argument {key} is not in the document");
            findings.push(finding(
                Code::CurationArgumentGone,
                &tool.operation,
                &message,
            ));
            continue;
        };
        if let Some(text) = &curation.description {
            describe(&mut tool.input_schema, argument, text);
            tool.details.arguments.shift_remove(argument);
        }
        if let Some(value) = &curation.fixed
            && fix(&mut tool.binding, key, value)
        {
            hide(&mut tool.input_schema, argument);
            tool.details.arguments.shift_remove(argument);
            fixed_any = true;
        }
    }
    if fixed_any {
        drop_unused_definitions(&mut tool.input_schema);
    }
}

fn describe(schema: &mut Value, argument: &str, text: &str) {
    let text = shorten(clean(text).trim(), ARGUMENT_DESCRIPTION_BYTES_MAX);
    let property = schema
        .get_mut("properties")
        .and_then(|properties| properties.get_mut(argument));
    if let Some(property) = property.and_then(Value::as_object_mut) {
        property.insert("description".to_owned(), Value::String(text));
    }
}

/// Binds a value for good. A whole body stays the model's.
fn fix(binding: &mut Binding, key: &str, value: &Value) -> bool {
    let parameter = binding
        .parameters
        .iter_mut()
        .find(|parameter| parameter_key(parameter) == key);
    if let Some(parameter) = parameter {
        parameter.fixed = Some(value.clone());
        return true;
    }
    let arguments = binding.body.as_mut().map(|body| &mut body.arguments);
    let (Some(BodyArguments::Lifted(properties)), Some(name)) =
        (arguments, key.strip_prefix("body:"))
    else {
        return false;
    };
    let property = properties.iter_mut().find(|property| property.name == name);
    property.is_some_and(|property| {
        property.fixed = Some(value.clone());
        true
    })
}

fn parameter_key(parameter: &ParameterBinding) -> String {
    format!("{}:{}", parameter.location.word(), parameter.name)
}

fn hide(schema: &mut Value, argument: &str) {
    let Some(root) = schema.as_object_mut() else {
        return;
    };
    if let Some(properties) = root.get_mut("properties").and_then(Value::as_object_mut) {
        properties.shift_remove(argument);
    }
    let required = root.get_mut("required").and_then(Value::as_array_mut);
    let none_left = required.is_some_and(|required| {
        required.retain(|name| name != argument);
        required.is_empty()
    });
    if none_left {
        root.shift_remove("required");
    }
}

/// Definitions that nothing refers to any more only cost tokens.
fn drop_unused_definitions(schema: &mut Value) {
    let Some(root) = schema.as_object_mut() else {
        return;
    };
    let Some(Value::Object(definitions)) = root.shift_remove("$defs") else {
        return;
    };
    let mut used: HashSet<String> = HashSet::new();
    let mut waiting = Vec::new();
    references(&Value::Object(root.clone()), &mut waiting);
    while let Some(name) = waiting.pop() {
        if used.insert(name.clone())
            && let Some(definition) = definitions.get(&name)
        {
            references(definition, &mut waiting);
        }
    }
    let kept: Map<String, Value> = definitions
        .into_iter()
        .filter(|(name, _)| used.contains(name))
        .collect();
    if !kept.is_empty() {
        root.insert("$defs".to_owned(), Value::Object(kept));
    }
}

fn references(schema: &Value, found: &mut Vec<String>) {
    match schema {
        Value::Object(members) => {
            let target = members.get("$ref").and_then(Value::as_str);
            if let Some(name) = target.and_then(|target| target.strip_prefix("#/$defs/")) {
                found.push(unescape(name).into_owned());
            }
            members
                .values()
                .for_each(|member| references(member, found));
        }
        Value::Array(members) => members.iter().for_each(|member| references(member, found)),
        _ => {}
    }
}
