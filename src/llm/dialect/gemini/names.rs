//! Names of fields: Google reads `systemInstruction` and `system_instruction` alike, and one object where a list of
//! one is meant (JSON mapping of protocol buffers, <https://protobuf.dev/programming-guides/json/>).

use serde_json::{Map, Value};

use crate::llm::fault::Fault;
use crate::llm::fields::Fields;

/// The fields of an object, by their camelCase names.
pub(crate) fn fields(value: Value, place: impl Into<String>) -> Result<Fields, Fault> {
    let value = match value {
        Value::Object(map) => Value::Object(camel_keys(map)),
        other => other,
    };
    Fields::of(value, place)
}

/// An object within.
pub(crate) fn object(of: &mut Fields, name: &str) -> Result<Option<Fields>, Fault> {
    let place = of.at(name);
    of.take(name).map(|value| fields(value, place)).transpose()
}

/// A list; one object is a list of it.
pub(crate) fn list(of: &mut Fields, name: &str) -> Result<Vec<Value>, Fault> {
    match of.take(name) {
        Some(one @ Value::Object(_)) => Ok(vec![one]),
        Some(Value::Array(list)) => Ok(list),
        Some(other) => Err(crate::llm::fields::wrong(&of.at(name), "a list", &other)),
        None => Ok(Vec::new()),
    }
}

/// The same object with camelCase keys; what is within stays as it is.
pub(crate) fn camel_keys(map: Map<String, Value>) -> Map<String, Value> {
    if !map.keys().any(|key| key.contains('_')) {
        return map;
    }
    map.into_iter()
        .map(|(key, value)| (camel(&key), value))
        .collect()
}

/// `max_output_tokens` as `maxOutputTokens`.
pub(crate) fn camel(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut raise = false;
    for letter in name.chars() {
        if letter == '_' && !camel.is_empty() {
            raise = true;
        } else if std::mem::take(&mut raise) {
            camel.extend(letter.to_uppercase());
        } else {
            camel.push(letter);
        }
    }
    camel
}

/// Puts the fields of one object into another, and those of objects within likewise.
pub(crate) fn merge(into: &mut Map<String, Value>, more: &Map<String, Value>) {
    for (key, value) in more {
        match (into.get_mut(key), value) {
            (Some(Value::Object(inner)), Value::Object(more)) => merge(inner, more),
            _ => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}
