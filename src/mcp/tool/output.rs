//! What a tool says of its results: from the first success answer that is JSON, and permissive, so
//! that a strict client never turns a success into a failure.

use serde_json::{Map, Value, json};

use crate::events::Framing;
use crate::mcp::tool::fit::fit;
use crate::mcp::tool::schema::{Direction, Schemas};
use crate::openapi::{Api, Operation};
use crate::types::essence;

pub const OUTPUT_BYTES_MAX: usize = 16 << 10;

/// A tool's output schema, and whether results are wrapped in `{"result": …}` to fit it.
pub struct Output {
    pub schema: Option<Value>,
    pub wrap_result: bool,
}

/// The output schema of `operation`; none where no success answer is described as JSON, or as a
/// stream of it.
pub fn output(api: &Api, operation: &Operation) -> Output {
    let mut schemas = Schemas::new(&api.definitions, Direction::Output);
    let (schema, streamed) = match (success_schema(operation), success_items(operation)) {
        (Some(schema), _) => (schema, false),
        (None, Some(item)) => (item, true),
        (None, None) => {
            return Output {
                schema: None,
                wrap_result: false,
            };
        }
    };
    let resolved = schemas.resolve(schema).clone();
    let wrap_result = streamed || !is_object(&schemas, &resolved);
    let mut root = if wrap_result {
        let mut inner = schemas.prepare(schema);
        if streamed {
            inner = json!({ "type": "array", "items": inner });
        }
        let mut root = Map::new();
        root.insert("type".into(), "object".into());
        root.insert("properties".into(), json!({ "result": inner }));
        root.insert("required".into(), json!(["result"]));
        root
    } else {
        let mut root = match schemas.prepare(&resolved) {
            Value::Object(root) => root,
            _ => Map::new(),
        };
        root.insert("type".into(), "object".into());
        root
    };
    for key in ["oneOf", "anyOf", "allOf", "not", "if", "then", "else"] {
        root.shift_remove(key);
    }
    let mut schema = schemas.finish(root);
    loosen(&mut schema);
    let (schema, _) = fit(schema, OUTPUT_BYTES_MAX);
    Output {
        schema: Some(schema),
        wrap_result,
    }
}

/// The schema of the first 2xx (else `default`) answer in JSON; `true` and `{}` say nothing.
fn success_schema(operation: &Operation) -> Option<&Value> {
    let is_json = |name: &str| {
        let essence = essence(name);
        essence == "application/json" || essence.ends_with("+json") || essence == "*/*"
    };
    let mut successes: Vec<_> = operation
        .responses
        .iter()
        .filter(|r| r.status.starts_with('2'))
        .collect();
    successes.sort_by_key(|r| r.status.to_ascii_uppercase());
    let first = successes
        .into_iter()
        .find(|response| !response.content.is_empty())?;
    let media = first.content.iter().find(|media| is_json(&media.name))?;
    let says_something = media
        .schema
        .as_object()
        .is_some_and(|schema| !schema.is_empty());
    says_something.then_some(&media.schema)
}

/// The schema of each event of the first success answer that is a stream (OpenAPI 3.2,
/// `itemSchema`).
fn success_items(operation: &Operation) -> Option<&Value> {
    let successes = operation.responses.iter();
    let mut media = successes
        .filter(|response| response.status.starts_with('2'))
        .flat_map(|response| &response.content);
    media.find_map(|media| {
        Framing::of(&media.name)?;
        media.item_schema.as_ref()
    })
}

fn is_object(schemas: &Schemas, schema: &Value) -> bool {
    match schema.get("type") {
        Some(Value::String(kind)) => kind == "object",
        Some(_) => false,
        None => {
            schema.get("properties").is_some()
                || schema
                    .get("additionalProperties")
                    .is_some_and(Value::is_object)
                || ["allOf", "oneOf", "anyOf"].iter().any(|key| {
                    let members = schema.get(key).and_then(Value::as_array);
                    members.is_some_and(|members| {
                        !members.is_empty()
                            && members.iter().all(|m| {
                                let m = schemas.resolve(m);
                                m.get("type").is_some_and(|kind| kind == "object")
                                    || m.get("properties").is_some()
                            })
                    })
                })
        }
    }
}

/// What documents most often get wrong about answers.
const DROPPED: [&str; 27] = [
    "enum",
    "const",
    "format",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "unevaluatedProperties",
    "unevaluatedItems",
    "propertyNames",
    "dependentRequired",
    "dependentSchemas",
    "not",
    "if",
    "then",
    "else",
    "default",
    "contains",
];

/// Takes away what documents most often get wrong about answers: closed objects, required and
/// non-null members, closed enumerations, formats and bounds. Types and names stay.
fn loosen(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            for key in DROPPED {
                object.shift_remove(key);
            }
            if object.get("additionalProperties") == Some(&Value::Bool(false)) {
                object.shift_remove("additionalProperties");
            }
            if let Some(one_of) = object.shift_remove("oneOf") {
                object.entry("anyOf").or_insert(one_of);
            }
            let keeps_required = object
                .get("properties")
                .is_some_and(|p| p.get("result").is_some())
                && object.get("required") == Some(&json!(["result"]));
            if !keeps_required {
                object.shift_remove("required");
            }
            for key in ["items", "additionalProperties", "contentSchema"] {
                if let Some(inner) = object.get_mut(key) {
                    loosen(inner);
                    admit_null(inner);
                }
            }
            for key in ["properties", "$defs", "patternProperties"] {
                let members = object.get_mut(key).and_then(Value::as_object_mut);
                members
                    .into_iter()
                    .flat_map(Map::values_mut)
                    .for_each(|inner| {
                        loosen(inner);
                        if key != "$defs" {
                            admit_null(inner);
                        }
                    });
            }
            for key in ["anyOf", "allOf", "prefixItems"] {
                let members = object.get_mut(key).and_then(Value::as_array_mut);
                members.into_iter().flatten().for_each(loosen);
            }
        }
        Value::Array(members) => members.iter_mut().for_each(loosen),
        _ => {}
    }
}

/// `null` beside a plain type; a reference, and what has parts or alternatives that refuse it, gets an
/// alternative.
fn admit_null(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    let nothing = json!({ "type": "null" });
    if object.contains_key("allOf") {
        let whole = std::mem::take(schema);
        *schema = json!({ "anyOf": [whole, nothing] });
        return;
    }
    match object.get_mut("type") {
        Some(Value::String(kind)) if kind != "null" => {
            let kind = kind.clone();
            object.insert("type".into(), json!([kind, "null"]));
        }
        Some(Value::Array(kinds)) if !kinds.iter().any(|kind| kind == "null") => {
            kinds.push("null".into());
        }
        Some(_) => {}
        None => {
            if let Some(target) = object.shift_remove("$ref") {
                object.insert("anyOf".into(), json!([{ "$ref": target }]));
            }
        }
    }
    let alternatives = object.get_mut("anyOf").and_then(Value::as_array_mut);
    if let Some(alternatives) = alternatives.filter(|all| !all.contains(&nothing)) {
        alternatives.push(nothing);
    }
}
