//! A tool for people: its arguments as a table, what it may do, what it costs to list.

use serde::Serialize;
use serde_json::Value;

use crate::mcp::tool::{Annotations, ToolDef};

/// Bytes of JSON per token. Tokenizers differ; JSON with English text lies close to this.
const BYTES_PER_TOKEN: usize = 4;
const CHOICES_MAX: usize = 6;

/// A tool in the list.
#[derive(Clone, Debug)]
pub struct ToolView {
    pub name: String,
    pub title: String,
    pub description: String,
    /// `GET /pets/{petId}`.
    pub operation: String,
    pub badges: Vec<Badge>,
    pub parameters: Vec<ParameterRow>,
    /// Estimated tokens of its entry in tools/list.
    pub tokens: usize,
}

/// A word about what a tool may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Badge {
    pub label: &'static str,
    /// A class of the stylesheet.
    pub tone: &'static str,
}

/// An argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterRow {
    pub name: String,
    pub kind: String,
    pub required: bool,
    pub description: String,
}

impl From<&ToolDef> for ToolView {
    fn from(def: &ToolDef) -> Self {
        Self {
            name: def.name.to_string(),
            title: def.title.clone().unwrap_or_default(),
            description: def.description.clone(),
            operation: def.operation.0.clone(),
            badges: badges(&def.annotations),
            parameters: parameters(&def.input_schema),
            tokens: tokens(def),
        }
    }
}

/// What a tool's entry in tools/list costs its reader, estimated by its length.
pub fn tokens(def: &ToolDef) -> usize {
    let bytes = length(&def.name)
        + length(&def.title)
        + length(&def.description)
        + length(&def.input_schema)
        + length(&def.output_schema)
        + length(&def.annotations);
    bytes.div_ceil(BYTES_PER_TOKEN)
}

fn length(part: &impl Serialize) -> usize {
    serde_json::to_vec(part).map_or(0, |json| json.len())
}

fn badges(hints: &Annotations) -> Vec<Badge> {
    let badge = |label, tone| Badge { label, tone };
    let mut badges = vec![match (hints.read_only_hint, hints.destructive_hint) {
        (true, _) => badge("read-only", "good"),
        (false, true) => badge("may destroy", "bad"),
        (false, false) => badge("writes", "fair"),
    }];
    if hints.idempotent_hint && !hints.read_only_hint {
        badges.push(badge("repeatable", "plain"));
    }
    badges
}

fn parameters(schema: &Value) -> Vec<ParameterRow> {
    let required = required(schema);
    properties(schema)
        .map(|(name, property)| ParameterRow {
            name: name.clone(),
            kind: kind(property),
            required: required.contains(&name.as_str()),
            description: text(property, "description").to_owned(),
        })
        .collect()
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten()
}

fn required(schema: &Value) -> Vec<&str> {
    let names = schema.get("required").and_then(Value::as_array);
    names
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

fn text<'a>(schema: &'a Value, key: &str) -> &'a str {
    schema.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A schema in a few words: `integer`, `one of a, b`, `list of string`.
fn kind(schema: &Value) -> String {
    if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
        let words: Vec<String> = choices
            .iter()
            .take(CHOICES_MAX)
            .map(|choice| {
                choice
                    .as_str()
                    .map_or_else(|| choice.to_string(), str::to_owned)
            })
            .collect();
        let rest = if choices.len() > CHOICES_MAX {
            ", …"
        } else {
            ""
        };
        return format!("one of {}{rest}", words.join(", "));
    }
    let name = match schema.get("type") {
        Some(Value::String(name)) => name.clone(),
        Some(Value::Array(names)) => {
            let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
            names.join(" or ")
        }
        _ if schema.get("properties").is_some() || schema.get("$ref").is_some() => "object".into(),
        _ => "any".into(),
    };
    match (name.as_str(), schema.get("items"), text(schema, "format")) {
        ("array", Some(items), _) if items.get("items").is_none() => {
            format!("list of {}", kind(items))
        }
        ("array", _, _) => "list".into(),
        (_, _, "") => name,
        (_, _, format) => format!("{name} ({format})"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schemas_are_said_in_a_few_words() {
        for (schema, words) in [
            (json!({"type": "integer"}), "integer"),
            (json!({"type": "string", "format": "date"}), "string (date)"),
            (json!({"type": ["string", "null"]}), "string or null"),
            (json!({"enum": ["a", "b", 3]}), "one of a, b, 3"),
            (
                json!({"enum": [1, 2, 3, 4, 5, 6, 7]}),
                "one of 1, 2, 3, 4, 5, 6, …",
            ),
            (
                json!({"type": "array", "items": {"type": "string"}}),
                "list of string",
            ),
            (json!({"type": "array"}), "list"),
            (json!({"$ref": "#/$defs/Pet"}), "object"),
            (json!({}), "any"),
            (json!(true), "any"),
        ] {
            assert_eq!(kind(&schema), words, "{schema}");
        }
    }
}
