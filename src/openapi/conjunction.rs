//! Two schemas that must both hold, as one: the heart of merging `allOf`.

use serde_json::{Map, Value, json};

use crate::openapi::keyword::is_annotation;

/// What became of a part.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// The schema says what both said, apart from `rest`, which stays in `allOf`.
    Merged { closed: bool, rest: Vec<Value> },
    /// Nothing was changed.
    Apart,
}

impl Outcome {
    pub const MERGED: Self = Self::Merged {
        closed: false,
        rest: Vec::new(),
    };
}

/// Nothing of a part's keywords that is a subschema is merged deeper than this.
const DEPTH_MAX: usize = 32;

/// Makes `base` say what `part` says too, if one schema can.
pub fn conjoin(base: &mut Map<String, Value>, part: &Map<String, Value>) -> Outcome {
    conjoin_at(base, part, 0)
}

fn conjoin_at(base: &mut Map<String, Value>, part: &Map<String, Value>, depth: usize) -> Outcome {
    if depth > DEPTH_MAX || !references_agree(base, part) {
        return Outcome::Apart;
    }
    let fits = |(key, theirs): (&String, &Value)| {
        base.get(key)
            .is_none_or(|ours| combined(key, ours, theirs).is_some())
    };
    if part.contains_key("unevaluatedProperties") && *base != Map::new() {
        return Outcome::Apart;
    }
    if !part.iter().all(fits) {
        return Outcome::Apart;
    }
    let closed = closes(base, part) || closes(part, base);
    let mut rest = Vec::new();
    for (key, theirs) in part {
        match (key.as_str(), base.get_mut(key)) {
            ("allOf", _) => rest.extend(theirs.as_array().into_iter().flatten().cloned()),
            // A part's title names the part.
            ("title", _) => {}
            ("properties" | "patternProperties", Some(ours)) => named(ours, theirs, depth),
            (_, Some(ours)) => {
                if let Some(both) = combined(key, ours, theirs) {
                    *ours = both;
                }
            }
            (_, None) => {
                base.insert(key.clone(), theirs.clone());
            }
        }
    }
    Outcome::Merged { closed, rest }
}

/// A `$ref` can only be joined with texts.
fn references_agree(base: &Map<String, Value>, part: &Map<String, Value>) -> bool {
    let texts = |schema: &Map<String, Value>| schema.keys().all(|key| is_annotation(key));
    match (base.get("$ref"), part.get("$ref")) {
        (None, None) => true,
        (Some(ours), Some(theirs)) if ours == theirs => true,
        (Some(_), None) => texts(part),
        (None, Some(_)) => texts(base),
        (Some(_), Some(_)) => false,
    }
}

/// `one` allows no properties but its own, and `other` has more.
fn closes(one: &Map<String, Value>, other: &Map<String, Value>) -> bool {
    one.get("additionalProperties") == Some(&Value::Bool(false)) && {
        let own = one.get("properties").and_then(Value::as_object);
        let more = other.get("properties").and_then(Value::as_object);
        more.into_iter()
            .flatten()
            .any(|(name, _)| own.is_none_or(|own| !own.contains_key(name)))
    }
}

/// Properties of both; one that both describe must fit both.
fn named(ours: &mut Value, theirs: &Value, depth: usize) {
    let (Value::Object(ours), Value::Object(theirs)) = (ours, theirs) else {
        return;
    };
    for (name, theirs) in theirs {
        match ours.get_mut(name) {
            Some(both) if both == theirs => {}
            Some(both) => *both = both_of(both, theirs, depth),
            None => {
                ours.insert(name.clone(), theirs.clone());
            }
        }
    }
}

fn both_of(ours: &Value, theirs: &Value, depth: usize) -> Value {
    match (ours, theirs) {
        (Value::Bool(true), other) | (other, Value::Bool(true)) => return other.clone(),
        (Value::Object(ours), Value::Object(theirs)) => {
            let mut both = ours.clone();
            if let Outcome::Merged { rest, .. } = conjoin_at(&mut both, theirs, depth + 1) {
                if !rest.is_empty() {
                    both.insert("allOf".to_owned(), Value::Array(rest));
                }
                return Value::Object(both);
            }
        }
        _ => {}
    }
    json!({"allOf": [ours, theirs]})
}

/// The value of a keyword that says what both say, or `None` if there is no such value.
fn combined(key: &str, ours: &Value, theirs: &Value) -> Option<Value> {
    if ours == theirs {
        return Some(ours.clone());
    }
    match key {
        "type" => types(ours, theirs),
        "required" => union(ours, theirs),
        "enum" => intersection(ours, theirs),
        "properties" | "patternProperties" | "allOf" | "discriminator" => Some(ours.clone()),
        "minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties" => {
            bound(ours, theirs, f64::max)
        }
        "maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties" => {
            bound(ours, theirs, f64::min)
        }
        "uniqueItems" => Some(Value::Bool(true)),
        "additionalProperties" => additional(ours, theirs),
        _ if is_annotation(key) => Some(ours.clone()),
        _ => None,
    }
}

fn types(ours: &Value, theirs: &Value) -> Option<Value> {
    let list = |types: &Value| -> Vec<String> {
        let many = types.as_array().into_iter().flatten();
        many.chain(types.is_string().then_some(types))
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect()
    };
    let (ours, theirs) = (list(ours), list(theirs));
    let allows = |types: &[String], name: &str| {
        types
            .iter()
            .any(|t| t == name || (t == "number" && name == "integer"))
    };
    let mut both: Vec<Value> = Vec::new();
    for name in ours.iter().chain(&theirs) {
        let name_value = Value::String(name.clone());
        if allows(&ours, name) && allows(&theirs, name) && !both.contains(&name_value) {
            both.push(name_value);
        }
    }
    match both.len() {
        0 => None,
        1 => both.pop(),
        _ => Some(Value::Array(both)),
    }
}

fn union(ours: &Value, theirs: &Value) -> Option<Value> {
    let mut both = ours.as_array()?.clone();
    for name in theirs.as_array()? {
        if !both.contains(name) {
            both.push(name.clone());
        }
    }
    Some(Value::Array(both))
}

fn intersection(ours: &Value, theirs: &Value) -> Option<Value> {
    let theirs = theirs.as_array()?;
    let both: Vec<Value> = ours
        .as_array()?
        .iter()
        .filter(|value| theirs.contains(value))
        .cloned()
        .collect();
    (!both.is_empty()).then_some(Value::Array(both))
}

fn bound(ours: &Value, theirs: &Value, pick: fn(f64, f64) -> f64) -> Option<Value> {
    let (left, right) = (ours.as_f64()?, theirs.as_f64()?);
    let tighter = pick(left, right);
    Some(
        if tighter.to_bits() == left.to_bits() {
            ours
        } else {
            theirs
        }
        .clone(),
    )
}

fn additional(ours: &Value, theirs: &Value) -> Option<Value> {
    let open = |value: &Value| *value == Value::Bool(true) || *value == json!({});
    match (ours, theirs) {
        (Value::Bool(false), _) | (_, Value::Bool(false)) => Some(Value::Bool(false)),
        (ours, theirs) if open(ours) => Some(theirs.clone()),
        (ours, theirs) if open(theirs) => Some(ours.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(base: &Value, part: &Value) -> Option<Value> {
        let mut base = base.as_object().unwrap().clone();
        match conjoin(&mut base, part.as_object().unwrap()) {
            Outcome::Merged { .. } => Some(Value::Object(base)),
            Outcome::Apart => None,
        }
    }

    #[test]
    fn objects_become_one() {
        let base =
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]});
        let part = json!({"type": "object", "properties": {"b": {"type": "integer"}}, "required": ["a", "b"], "description": "B"});
        let both = json!({
            "type": "object",
            "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
            "description": "B",
        });
        assert_eq!(joined(&base, &part), Some(both));
    }

    #[test]
    fn both_bounds_hold() {
        let both = joined(
            &json!({"type": ["integer", "null"], "minimum": 1, "enum": [1, 2, 3]}),
            &json!({"type": "number", "minimum": 2, "enum": [2, 3, 4]}),
        );
        assert_eq!(
            both,
            Some(json!({"type": "integer", "minimum": 2, "enum": [2, 3]}))
        );
    }

    #[test]
    fn what_cannot_be_said_in_one_stays_apart() {
        for (base, part) in [
            (json!({"type": "string"}), json!({"type": "object"})),
            (json!({"pattern": "a"}), json!({"pattern": "b"})),
            (
                json!({"oneOf": [{"type": "string"}]}),
                json!({"oneOf": [{"type": "number"}]}),
            ),
            (json!({"enum": [1]}), json!({"enum": [2]})),
            (json!({"type": "object"}), json!({"$ref": "#/$defs/A"})),
            (
                json!({"type": "object"}),
                json!({"unevaluatedProperties": false}),
            ),
        ] {
            assert_eq!(joined(&base, &part), None, "{base} {part}");
        }
    }

    #[test]
    fn one_property_in_both_must_fit_both() {
        let both = joined(
            &json!({"properties": {"a": {"type": "string"}, "b": {"$ref": "#/$defs/B"}}}),
            &json!({"properties": {"a": {"maxLength": 3}, "b": {"minLength": 1}}}),
        );
        assert_eq!(
            both,
            Some(json!({"properties": {
                "a": {"type": "string", "maxLength": 3},
                "b": {"allOf": [{"$ref": "#/$defs/B"}, {"minLength": 1}]},
            }}))
        );
    }
}
