//! A tool made ready for serving: its validators, and its entries of `tools/list`.

use std::collections::HashMap;
use std::sync::Arc;

use jsonschema::PatternOptions;
use serde_json::{Value, json};

use crate::mcp::fragment::Fragments;
use crate::mcp::paging::Pager;
use crate::mcp::tool::name::unique;
use crate::mcp::tool::schema::each_inner;
use crate::mcp::tool::shrink::Budget;
use crate::mcp::tool::text::shorten;
use crate::mcp::tool::{Tool, ToolDef};
use crate::openapi::finding::Code;
use crate::openapi::pointer::escape;
use crate::openapi::{Api, Finding, OperationKey};

/// The reserved argument, but for a collision.
const FIELDS_ARGUMENT: &str = "_fields";
/// How large a compiled pattern may be.
const PATTERN_BYTES_MAX: usize = 1 << 20;

impl Tool {
    /// [`Tool::compile_within`] the budget of a tool whose owner set none.
    pub fn compile(def: ToolDef) -> (Self, Vec<Finding>) {
        Self::compile_within(def, Budget::default())
    }

    /// Builds validators and the entries of `tools/list`. Total; what could not be compiled as meant
    /// is a [`Finding`].
    pub fn compile_within(def: ToolDef, budget: Budget) -> (Self, Vec<Finding>) {
        let mut findings = Vec::new();
        let pager = Pager::of(&def);
        let [input, output] = validators(&def, "", &mut findings);
        let def = Arc::new(def);
        let tool = Self {
            input,
            output,
            fragments: Fragments::new(def.clone(), budget),
            header_arguments: header_arguments(&def.input_schema, ""),
            fields_argument: None,
            pager,
            gate: None,
            def,
        };
        (tool, findings)
    }

    /// [`Tool::compile_shaped_within`] the budget of a tool whose owner set none.
    pub fn compile_shaped(def: ToolDef, any_answer: bool) -> (Self, Vec<Finding>) {
        Self::compile_shaped_within(def, any_answer, Budget::default())
    }

    /// [`Tool::compile_within`] for a tool whose answer the call flow shapes: where the API describes one in
    /// JSON, an argument names its wanted members. `any_answer`: the owner made the answer into
    /// something the document does not describe.
    pub fn compile_shaped_within(
        def: ToolDef,
        any_answer: bool,
        budget: Budget,
    ) -> (Self, Vec<Finding>) {
        let (def, fields_argument) = shaped(def, any_answer);
        let (mut tool, findings) = Self::compile_within(def, budget);
        tool.fields_argument = fields_argument;
        (tool, findings)
    }
}

/// A tool as a list tells it: whoever says what one costs a model counts this.
pub fn in_a_list(def: &ToolDef, any_answer: bool, budget: Budget) -> Fragments {
    let (listed, _) = shaped(def.clone(), any_answer);
    Fragments::new(Arc::new(listed), budget)
}

/// A tool as it is listed where the call flow shapes its answer, and the argument that names members.
pub fn shaped(mut def: ToolDef, any_answer: bool) -> (ToolDef, Option<String>) {
    let fields_argument = offer_fields(&mut def);
    if any_answer {
        def.output_schema = None;
        def.binding.wrap_result = false;
    }
    (def, fields_argument)
}

/// Adds the argument that names the wanted members of a JSON answer. It is no argument of the API:
/// no binding sends it.
fn offer_fields(def: &mut ToolDef) -> Option<String> {
    def.output_schema.as_ref()?;
    let properties = def.input_schema.get_mut("properties")?.as_object_mut()?;
    let argument = unique(FIELDS_ARGUMENT, |name| !properties.contains_key(name));
    properties.insert(
        argument.clone(),
        json!({
            "type": "array",
            "items": { "type": "string" },
            "description": "Only these members of the answer, e.g. [\"id\",\"items.*.name\"].",
        }),
    );
    Some(argument)
}

/// What the tools of a document will not check when they are served, said before they are.
pub fn unchecked(api: &Api, tools: &[ToolDef]) -> Vec<Finding> {
    let pointers: HashMap<&OperationKey, &str> = api
        .operations
        .iter()
        .map(|operation| (&operation.key, operation.pointer.as_str()))
        .collect();
    let mut findings = Vec::new();
    for def in tools {
        let pointer = pointers.get(&def.operation).copied().unwrap_or_default();
        validators(def, pointer, &mut findings);
    }
    findings
}

/// The validators of input and output.
fn validators(
    def: &ToolDef,
    pointer: &str,
    findings: &mut Vec<Finding>,
) -> [Option<jsonschema::Validator>; 2] {
    let mut built = |schema: &Value, which: &str| {
        let (validator, fault) = validator(schema, which);
        findings.extend(fault.map(|message| Finding {
            operation: Some(def.operation.clone()),
            ..Finding::new(Code::SchemaNotChecked, pointer, message)
        }));
        validator
    };
    let input = built(&def.input_schema, "input");
    let output = def.output_schema.as_ref();
    [input, output.and_then(|schema| built(schema, "output"))]
}

/// `x-mcp-header` along chains of `properties` (MCP 2026-07-28, transports).
fn header_arguments(schema: &Value, at: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (name, property) in schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let pointer = format!("{at}/{}", escape(name));
        if let Some(header) = property.get("x-mcp-header").and_then(Value::as_str) {
            found.push((header.to_owned(), pointer.clone()));
        }
        found.extend(header_arguments(property, &pointer));
    }
    found
}

/// A validator of JSON Schema 2020-12 that fetches nothing and matches patterns in linear time.
///
/// # Errors
/// The schema is not valid, or has a pattern that needs more than linear time.
pub fn validator_of(
    schema: &Value,
) -> Result<jsonschema::Validator, jsonschema::ValidationError<'static>> {
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .offline()
        .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES_MAX))
        .build(schema)
}

/// The validator of a tool. A pattern it does not know is left out; the rest of the schema counts. What
/// is not checked is said.
fn validator(schema: &Value, which: &str) -> (Option<jsonschema::Validator>, Option<String>) {
    if let Ok(validator) = validator_of(schema) {
        return (Some(validator), None);
    }
    let mut relaxed = schema.clone();
    let mut dropped = Vec::new();
    drop_patterns(&mut relaxed, &mut dropped, &|pattern| {
        validator_of(&json!({ "pattern": pattern })).is_ok()
    });
    if !dropped.is_empty() {
        loosen(&mut relaxed);
    }
    let built = validator_of(&relaxed).or_else(|_| validator_of(&outline(schema)));
    let message = match (&built, dropped.as_slice()) {
        (Ok(_), [first, ..]) => format!(
            "{} pattern(s) of the {which} schema cannot be matched in linear time and are not checked, the first being {}",
            dropped.len(),
            shorten(first, 100)
        ),
        (Ok(_), []) => {
            format!("the {which} schema is not valid; only types and required members are checked")
        }
        (Err(error), _) => format!(
            "the {which} schema cannot be compiled: {}",
            shorten(&error.to_string(), 200)
        ),
    };
    (built.ok(), Some(message))
}

/// Without what could turn a pattern that is not checked into a refusal: more alternatives fit than
/// the document meant, so that "exactly one", "not" and "if" say something else.
fn loosen(schema: &mut Value) {
    let Value::Object(object) = schema else {
        return;
    };
    if object.get("oneOf").is_some_and(Value::is_array)
        && let Some(alternatives) = object.shift_remove("oneOf")
    {
        let any = json!({ "anyOf": alternatives });
        match object.get_mut("allOf").and_then(Value::as_array_mut) {
            Some(parts) => parts.push(any),
            None => {
                object.insert("allOf".to_owned(), json!([any]));
            }
        }
    }
    for key in ["not", "if", "then", "else"] {
        object.shift_remove(key);
    }
    each_inner(object, &mut |inner, _| loosen(inner));
}

fn drop_patterns(schema: &mut Value, dropped: &mut Vec<String>, works: &dyn Fn(&str) -> bool) {
    let Value::Object(object) = schema else {
        return;
    };
    let pattern = object.get("pattern").and_then(Value::as_str);
    if let Some(pattern) = pattern.filter(|pattern| !works(pattern)).map(str::to_owned) {
        dropped.push(pattern);
        object.shift_remove("pattern");
    }
    let patterns = object.get_mut("patternProperties");
    if let Some(members) = patterns.and_then(Value::as_object_mut) {
        let before = dropped.len();
        members.retain(|pattern, _| {
            let keep = works(pattern);
            if !keep {
                dropped.push(pattern.clone());
            }
            keep
        });
        // What a pattern would have described is not what all others are.
        if dropped.len() > before {
            object.shift_remove("additionalProperties");
            object.shift_remove("unevaluatedProperties");
        }
    }
    each_inner(object, &mut |inner, _| drop_patterns(inner, dropped, works));
}

/// Only what is required, whether there may be more, and the plain types of the first level.
fn outline(schema: &Value) -> Value {
    let mut properties = serde_json::Map::new();
    for (name, property) in schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let kind = property.get("type").filter(|kind| kind.is_string());
        properties.insert(
            name.clone(),
            kind.map_or(json!({}), |kind| json!({ "type": kind })),
        );
    }
    let required = schema.get("required").cloned().unwrap_or(json!([]));
    let mut outline = json!({
        "type": "object",
        "properties": properties,
        "required": required,
    });
    if let Some(Value::Bool(open)) = schema.get("additionalProperties") {
        outline["additionalProperties"] = Value::Bool(*open);
    }
    outline
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outline_lets_no_more_names_pass() {
        let schema = json!({"type": "object", "additionalProperties": false, "required": ["a"],
            "properties": {"a": {"type": "string", "minLength": 3}}});
        assert_eq!(
            outline(&schema),
            json!({"type": "object", "properties": {"a": {"type": "string"}},
                "required": ["a"], "additionalProperties": false})
        );
    }
}
