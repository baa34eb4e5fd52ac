//! Arguments of a call that are streamed in pieces (`streamFunctionCallArguments` of Vertex AI): each names its place
//! by a path of RFC 9535, `$.cities[0].name` (<https://docs.cloud.google.com/vertex-ai/generative-ai/docs/multimodal/function-calling>).

use serde_json::{Map, Value};

/// Where a list ends at the latest; a path further on is ignored.
const LENGTH_MAX: usize = 10_000;
const DEPTH_MAX: usize = 64;

/// Puts a piece where it belongs. Pieces of one text follow each other.
pub(crate) fn apply(arguments: &mut Value, piece: &Value) {
    let Some(piece) = piece.as_object() else {
        return;
    };
    let field = |camel: &str, snake: &str| piece.get(camel).or_else(|| piece.get(snake));
    let path = field("jsonPath", "json_path").and_then(Value::as_str);
    let Some(steps) = path.and_then(steps) else {
        return;
    };
    let text = field("stringValue", "string_value").and_then(Value::as_str);
    let value = field("numberValue", "number_value").or_else(|| field("boolValue", "bool_value"));
    let Some(place) = find(arguments, &steps) else {
        return;
    };
    match (place, text) {
        (Value::String(begun), Some(text)) => begun.push_str(text),
        (place, Some(text)) => *place = Value::from(text),
        (place, None) => *place = value.cloned().unwrap_or_default(),
    }
}

enum Step {
    Name(String),
    Index(usize),
}

/// A path, step by step; `None` where it is none.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() && steps.len() < DEPTH_MAX {
        if let Some(name) = rest.strip_prefix('.') {
            let end = name.find(['.', '[']).unwrap_or(name.len());
            steps.push(Step::Name(name[..end].to_owned()));
            rest = &name[end..];
            continue;
        }
        let inner = rest.strip_prefix('[')?;
        if let Some(quote @ ('\'' | '"')) = inner.chars().next() {
            let (name, after) = inner[1..].split_once(quote)?;
            steps.push(Step::Name(name.to_owned()));
            rest = after.strip_prefix(']')?;
        } else {
            let (index, after) = inner.split_once(']')?;
            let index = index.parse().ok().filter(|index| *index < LENGTH_MAX)?;
            steps.push(Step::Index(index));
            rest = after;
        }
    }
    Some(steps)
}

/// The place, made where it is not there.
fn find<'a>(mut value: &'a mut Value, steps: &[Step]) -> Option<&'a mut Value> {
    for step in steps {
        value = match step {
            Step::Name(name) => {
                if !value.is_object() {
                    *value = Value::Object(Map::new());
                }
                value.as_object_mut()?.entry(name).or_insert(Value::Null)
            }
            Step::Index(index) => {
                if !value.is_array() {
                    *value = Value::Array(Vec::new());
                }
                let list = value.as_array_mut()?;
                if list.len() <= *index {
                    list.resize(index + 1, Value::Null);
                }
                list.get_mut(*index)?
            }
        };
    }
    Some(value)
}
