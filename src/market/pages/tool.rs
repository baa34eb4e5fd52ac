//! A tool for people: its arguments, what it may do, what it costs to list, and a form to try it.

use askama::Template;
use serde_json::Value;

use crate::market::language::{Html, Language};
use crate::market::markdown::{Links, render};
use crate::market::pages::Frame;
use crate::market::pages::arguments::{Control, Field};
use crate::market::pages::copies::{Copies, example};
use crate::market::pages::trace::{Part, TraceView, shown};
use crate::mcp::tool::{Annotations, Tool, ToolDef};

const CHOICES_MAX: usize = 6;

/// `GET /servers/{slug}/tools/{tool}`, and the same with what came of trying it.
#[derive(Debug, Template)]
#[template(path = "tool.html")]
pub struct ToolPage {
    pub frame: Frame,
    pub slug: String,
    pub server: String,
    pub tool: ToolView,
    /// For the owner alone: the tool needs a credential that is not set.
    pub lacking: bool,
    pub fields: Vec<Field>,
    /// What was entered as all arguments in one.
    pub json: String,
    pub error: Option<Html>,
    /// Somebody has to agree to a call, and has not yet.
    pub asks: bool,
    pub trace: Option<TraceView>,
    pub input_schema: String,
    pub output_schema: Option<String>,
    pub copies: Copies,
}

impl ToolPage {
    /// The page of a tool nobody has tried yet.
    pub fn new(frame: Frame, place: &Place<'_>, tool: &Tool) -> Self {
        let def = &*tool.def;
        let arguments = example(&def.input_schema);
        Self {
            copies: place.copies(def.name.as_str(), &arguments),
            slug: place.slug.to_owned(),
            server: place.title.to_owned(),
            tool: ToolView::of(tool),
            lacking: false,
            fields: crate::market::pages::arguments::fields(def, frame.language),
            json: String::new(),
            error: None,
            asks: false,
            trace: None,
            input_schema: shown(&def.input_schema.to_string(), frame.language),
            output_schema: def
                .output_schema
                .as_ref()
                .map(|schema| shown(&schema.to_string(), frame.language)),
            frame,
        }
    }
}

/// Where a tool is.
pub struct Place<'a> {
    pub slug: &'a str,
    pub title: &'a str,
    /// The address of its server.
    pub url: String,
    pub open: bool,
}

impl Place<'_> {
    pub(super) fn copies(&self, tool: &str, arguments: &Value) -> Copies {
        Copies::new(&self.url, self.open, (tool, arguments))
    }
}

/// A tool in the list.
#[derive(Clone, Debug)]
pub struct ToolView {
    pub name: String,
    pub title: String,
    pub description: Html,
    /// `GET /pets/{petId}`.
    pub operation: String,
    pub badges: Vec<Badge>,
    /// Calling it may change something.
    pub writes: bool,
    /// Estimated tokens of its entry in tools/list.
    pub tokens: usize,
}

/// A word about what a tool may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Badge {
    /// A message's key.
    pub label: &'static str,
    /// A class of the stylesheet.
    pub tone: &'static str,
}

impl ToolView {
    fn of(tool: &Tool) -> Self {
        let def = &*tool.def;
        Self {
            name: def.name.to_string(),
            title: def.title.clone().unwrap_or_default(),
            description: render(body(def), &Links::Foreign),
            operation: def.route(),
            badges: badges(&def.annotations),
            writes: !def.annotations.read_only_hint,
            tokens: tool.fragments.tokens(),
        }
    }
}

/// The description without its first line where that is the title again.
fn body(def: &ToolDef) -> &str {
    let text = def.description.trim();
    let Some(title) = &def.title else { return text };
    match text.strip_prefix(title.as_str()) {
        Some(rest) if rest.is_empty() || rest.starts_with(['.', '\n']) => {
            rest.trim_start_matches('.').trim()
        }
        _ => text,
    }
}

pub(crate) fn badges(hints: &Annotations) -> Vec<Badge> {
    let badge = |label, tone| Badge { label, tone };
    let mut badges = vec![match (hints.read_only_hint, hints.destructive_hint) {
        (true, _) => badge("badge-read-only", "good"),
        (false, true) => badge("badge-destroys", "bad"),
        (false, false) => badge("badge-writes", "fair"),
    }];
    if hints.idempotent_hint && !hints.read_only_hint {
        badges.push(badge("badge-repeatable", "plain"));
    }
    badges
}

/// The top-level properties of an input schema.
pub(crate) fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten()
}

/// The names an input schema requires.
pub(crate) fn required(schema: &Value) -> Vec<&str> {
    let names = schema.get("required").and_then(Value::as_array);
    names
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

pub(crate) fn text<'a>(schema: &'a Value, key: &str) -> &'a str {
    schema.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A schema in a few words: `integer`, `one of a, b`, `list of string`.
pub(crate) fn kind(schema: &Value, language: Language) -> Html {
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
        let choices = format!("{}{rest}", words.join(", "));
        return language.say("kind-one-of").with("choices", choices).into();
    }
    let name = match schema.get("type") {
        Some(Value::String(name)) => name.clone(),
        Some(Value::Array(names)) => {
            let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
            names.join(&format!(" {} ", language.say("kind-or")))
        }
        _ if schema.get("properties").is_some() || schema.get("$ref").is_some() => "object".into(),
        _ => language.say("kind-any").to_string(),
    };
    match (name.as_str(), schema.get("items"), text(schema, "format")) {
        ("array", Some(items), _) if items.get("items").is_none() => {
            let items = kind(items, language);
            language.say("kind-list-of").with("items", items).into()
        }
        ("array", _, _) => language.say("kind-list").into(),
        (_, _, "") => name.as_str().into(),
        (_, _, format) => format!("{name} ({format})").as_str().into(),
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
            assert_eq!(kind(&schema, Language::English).as_str(), words, "{schema}");
        }
    }
}
