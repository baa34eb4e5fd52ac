//! The keywords of JSON Schema 2020-12 that mean something to a tool, and what their values must
//! be. Others (`$id`, `$comment`, `x-...`) say nothing about a value and are left out.

use std::collections::HashSet;

use serde_json::{Number, Value};

use crate::openapi::bundle::shown;
use crate::openapi::pointer::{is_true, text, unescape};

/// Gives the value as it is kept, or `None` if it is no value for the keyword.
pub type Check = fn(&Value) -> Option<Value>;

/// What a keyword holds.
pub enum Kind {
    Schema,
    Items,
    Schemas,
    SchemaMap,
    Discriminator,
    Plain(Check),
    /// Read by the up-conversion.
    Converted,
    Dropped,
}

/// The kind of a keyword.
pub fn kind(key: &str) -> Kind {
    match key {
        "additionalProperties"
        | "unevaluatedProperties"
        | "unevaluatedItems"
        | "propertyNames"
        | "contains"
        | "not"
        | "if"
        | "then"
        | "else"
        | "contentSchema"
        | "additionalItems" => Kind::Schema,
        "items" => Kind::Items,
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => Kind::Schemas,
        "properties" | "patternProperties" | "dependentSchemas" => Kind::SchemaMap,
        "discriminator" => Kind::Discriminator,
        "title" | "description" | "format" | "pattern" | "contentEncoding" | "contentMediaType" => {
            Kind::Plain(words)
        }
        "multipleOf" => Kind::Plain(positive),
        "maximum" | "minimum" => Kind::Plain(number),
        "maxLength" | "minLength" | "maxItems" | "minItems" | "maxProperties" | "minProperties"
        | "maxContains" | "minContains" => Kind::Plain(count),
        "uniqueItems" | "readOnly" | "writeOnly" | "deprecated" => Kind::Plain(flag),
        "required" => Kind::Plain(names),
        "enum" => Kind::Plain(alternatives),
        "const" | "default" => Kind::Plain(|value| Some(value.clone())),
        "dependentRequired" => Kind::Plain(names_by_name),
        "dependencies" | "xml" => Kind::Plain(object),
        "type" | "example" | "examples" | "nullable" | "x-nullable" | "exclusiveMaximum"
        | "exclusiveMinimum" => Kind::Converted,
        _ => Kind::Dropped,
    }
}

/// The keyword says something beside a `$ref`.
pub fn counts(key: &str) -> bool {
    !matches!(kind(key), Kind::Dropped)
}

/// The keyword describes a value without constraining it.
pub fn is_annotation(key: &str) -> bool {
    matches!(
        key,
        "title"
            | "description"
            | "default"
            | "examples"
            | "deprecated"
            | "readOnly"
            | "writeOnly"
            | "xml"
    )
}

/// How many values a plain keyword holds.
pub fn weight(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(weight).sum::<usize>(),
        Value::Object(members) => 1 + members.values().map(weight).sum::<usize>(),
        _ => 1,
    }
}

fn words(value: &Value) -> Option<Value> {
    text(value).map(Value::String)
}

fn object(value: &Value) -> Option<Value> {
    value.is_object().then(|| value.clone())
}

fn flag(value: &Value) -> Option<Value> {
    match value {
        Value::Bool(_) => Some(value.clone()),
        Value::String(_) => Some(Value::Bool(is_true(Some(value)))),
        _ => None,
    }
}

/// A number, also if it was written as text.
pub fn number(value: &Value) -> Option<Value> {
    match value {
        Value::Number(_) => Some(value.clone()),
        Value::String(text) => text.trim().parse::<Number>().ok().map(Value::Number),
        _ => None,
    }
}

fn positive(value: &Value) -> Option<Value> {
    number(value).filter(|n| n.as_f64().is_some_and(|n| n > 0.0))
}

fn count(value: &Value) -> Option<Value> {
    let number = number(value)?;
    if let Some(count) = number.as_u64() {
        return Some(Value::from(count));
    }
    let whole = number.as_f64().filter(|n| *n >= 0.0 && n.fract() == 0.0)?;
    format!("{whole:.0}").parse::<u64>().ok().map(Value::from)
}

pub fn names(value: &Value) -> Option<Value> {
    let mut seen = HashSet::new();
    let names = value.as_array()?.iter().filter_map(text);
    let first = names.filter(|name| seen.insert(name.clone()));
    Some(Value::Array(first.map(Value::String).collect()))
}

fn names_by_name(value: &Value) -> Option<Value> {
    let members = value.as_object()?.iter();
    let read = members.map(|(name, member)| Some((name.clone(), names(member)?)));
    read.collect::<Option<_>>().map(Value::Object)
}

fn alternatives(value: &Value) -> Option<Value> {
    let mut seen: Vec<Value> = Vec::new();
    for member in value.as_array()? {
        // A long list is not searched: a repetition is harmless.
        if seen.len() > 1_000 || !seen.contains(member) {
            seen.push(member.clone());
        }
    }
    (!seen.is_empty()).then_some(Value::Array(seen))
}

/// A name for the schema at a pointer: its last words, in letters every model provider accepts.
pub fn readable_name(pointer: &str) -> String {
    const NAME_MAX: usize = 64;
    let structural = |token: &str| {
        matches!(
            token,
            "components"
                | "schemas"
                | "definitions"
                | "$defs"
                | "properties"
                | "paths"
                | "content"
                | "schema"
        )
    };
    let mut name = String::new();
    let file = shown::split(pointer);
    let (file, pointer) = file
        .as_ref()
        .map_or(("", pointer), |(file, rest)| (shown::stem(file), rest));
    let tokens = pointer.split('/').filter(|token| !structural(token));
    for token in std::iter::once(file).chain(tokens) {
        for c in unescape(token).chars() {
            let kept = c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            if kept {
                name.push(c);
            } else if !name.is_empty() && !name.ends_with('_') {
                name.push('_');
            }
        }
        if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
    }
    let name = name.trim_end_matches('_');
    let start = name.len().saturating_sub(NAME_MAX);
    let name = name[start..].trim_start_matches(['_', '-', '.']);
    if name.is_empty() {
        "Schema".to_owned()
    } else {
        name.to_owned()
    }
}

/// A component whose name is not ASCII keeps it as its title, since [`readable_name`] cannot.
pub fn keep_name(schema: &mut Value, pointer: &str) {
    let name = match shown::split(pointer) {
        Some((file, "")) => shown::stem(&file).to_owned().into(),
        _ => unescape(pointer.rsplit('/').next().unwrap_or_default()),
    };
    if let Value::Object(members) = schema
        && !name.is_ascii()
        && !members.contains_key("title")
        && !members.contains_key("$ref")
    {
        members.insert("title".to_owned(), Value::String(name.into_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_where_a_schema_stands() {
        for (pointer, name) in [
            ("/components/schemas/Pet", "Pet"),
            ("/definitions/a b~1c", "a_b_c"),
            (
                "/components/schemas/Pet/properties/tags/items",
                "Pet_tags_items",
            ),
            (
                "/paths/~1pets~1{id}/get/responses/200/content/application~1json/schema",
                "pets_id_get_responses_200_application_json",
            ),
            ("/components/schemas/宠物", "Schema"),
            ("/components/schemas/宠物Pet", "Pet"),
        ] {
            assert_eq!(readable_name(pointer), name, "{pointer}");
        }
    }

    #[test]
    fn counts_are_whole_numbers() {
        assert_eq!(count(&Value::from(3.0)), Some(Value::from(3)));
        assert_eq!(count(&Value::from("7")), Some(Value::from(7)));
        assert_eq!(count(&Value::from(-1)), None);
        assert_eq!(count(&Value::from(1.5)), None);
    }
}
