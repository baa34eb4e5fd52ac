//! Arguments of a tool, and what an action in a template is about.

use serde_json::{Value, json};

use crate::openapi::foreign::address::{Piece, pieces};
use crate::openapi::foreign::higress::config::Config;
use crate::openapi::foreign::outline::cut;
use crate::openapi::pointer::text;

/// One argument.
#[derive(Debug)]
pub struct Argument {
    pub name: String,
    /// Lower case; empty where it is not said.
    pub position: String,
    pub required: bool,
    pub default: Option<Value>,
    pub schema: Value,
}

impl Argument {
    pub fn read(at: &Value) -> Option<Self> {
        let name = at
            .get("name")
            .and_then(text)
            .filter(|name| !name.is_empty())?;
        let kind = at.get("type").and_then(Value::as_str).unwrap_or("string");
        let kind = match kind {
            "int" | "long" => "integer",
            "float" | "double" => "number",
            "bool" => "boolean",
            known @ ("string" | "integer" | "number" | "boolean" | "array" | "object") => known,
            _ => "string",
        };
        let mut schema = json!({"type": kind});
        if let Some(words) = at.get("description").and_then(text) {
            schema["description"] = cut(&words).into();
        }
        let listed = at
            .get("enum")
            .filter(|v| v.as_array().is_some_and(|list| !list.is_empty()));
        if let Some(values) = listed {
            schema["enum"] = values.clone();
        }
        let default = at.get("default").filter(|value| !value.is_null()).cloned();
        if let Some(value) = &default {
            schema["default"] = value.clone();
        }
        if let (Some(items), "array") = (at.get("items"), kind) {
            schema["items"] = items.clone();
        }
        if let (Some(properties), "object") = (at.get("properties"), kind) {
            schema["properties"] = properties.clone();
        }
        let position = at
            .get("position")
            .and_then(Value::as_str)
            .unwrap_or_default();
        Some(Self {
            name,
            position: position.to_ascii_lowercase(),
            required: at.get("required") == Some(&Value::Bool(true)),
            default,
            schema,
        })
    }

    /// Lists and objects travel as JSON text wherever they are no part of a JSON body.
    pub fn is_scalar(&self) -> bool {
        !matches!(self.schema["type"].as_str(), Some("array" | "object"))
    }

    /// The argument as a parameter.
    pub fn parameter(&self, place: &str) -> Value {
        let mut parameter = json!({
            "name": self.name, "in": place, "required": self.required || place == "path",
        });
        if let Some(words) = self.schema.get("description") {
            parameter["description"] = words.clone();
        }
        if self.is_scalar() {
            parameter["schema"] = self.schema.clone();
        } else {
            parameter["content"] = json!({"application/json": {"schema": self.schema}});
        }
        parameter
    }
}

/// What stands between `{{` and `}}`.
#[derive(Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// `.args.x`, as it is.
    Argument(&'a str),
    /// `.config.x`, as it is.
    Config(&'a str),
    Other,
}

pub fn action(words: &str) -> Action<'_> {
    let words = words.trim().trim_matches('-').trim();
    let (path, rest) = words
        .split_once('|')
        .map_or((words, ""), |(a, b)| (a.trim(), b.trim()));
    // What is encoded for its place needs no other encoding.
    let plain = matches!(rest, "" | "urlquery" | "toString" | "urlqueryescape");
    let path = path.strip_prefix('$').unwrap_or(path);
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
    };
    match path.strip_prefix(".args.").filter(|name| is_name(name)) {
        Some(name) if plain => return Action::Argument(name),
        _ => {}
    }
    match path.strip_prefix(".config.").filter(|name| is_name(name)) {
        Some(name) if plain => Action::Config(name),
        _ => Action::Other,
    }
}

/// The text with the values of the configuration that are known in place of their actions.
pub fn resolved(template: &str, config: &Config) -> String {
    let mut out = String::new();
    for piece in pieces(template) {
        match piece {
            Piece::Literal(literal) => out.push_str(literal),
            Piece::Variable(words) => match action(words) {
                Action::Config(name) if config.known.contains_key(name) => {
                    let value = config.known.get(name).and_then(text).unwrap_or_default();
                    // A value is no template.
                    out.push_str(&value.replace("{{", "").replace("}}", ""));
                }
                _ => {
                    out.push_str("{{");
                    out.push_str(words);
                    out.push_str("}}");
                }
            },
        }
    }
    out
}

/// The value of the configuration that a template reads, however it does, and that is secret or not
/// there: Higress's consoles keep secrets apart from the file.
pub fn secret_in<'t>(template: &'t str, config: &Config) -> Option<&'t str> {
    let actions = pieces(template)
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Variable(words) => Some(words),
            Piece::Literal(_) => None,
        });
    let mut found = None;
    for words in actions {
        for (at, _) in words.match_indices(".config.") {
            let name = &words[at + ".config.".len()..];
            let end = name.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '-');
            let name = &name[..end.unwrap_or(name.len())];
            found = found.or_else(|| (!config.known.contains_key(name)).then_some(name));
        }
    }
    found
}

/// Whether nothing in it depends on a call.
pub fn is_static(template: &str) -> bool {
    !template.contains("{{")
}
