//! Two schemas that must both hold, as one: the heart of merging `allOf`.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use crate::openapi::keyword::{is_annotation, weight};

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

/// Parts of one `allOf` that are compared with each other.
const SEARCHED_MAX: usize = 32;

/// A schema that is written out once for each property of another part weighs no more than this.
const REPEATED_MAX: usize = 32;

/// Keywords that mean something only together with their neighbours: those of two parts cannot be
/// mixed (JSON Schema 2020-12 core sections 10.2.2 and 10.3.1, validation section 6.4).
const TOGETHER: [&[&str]; 3] = [
    &["if", "then", "else"],
    &["contains", "minContains", "maxContains"],
    &["prefixItems", "items"],
];

/// Makes `base` say what `part` says too, if one schema can; `budget` bounds the work that many
/// parts would cause together.
pub fn conjoin(
    base: &mut Map<String, Value>,
    part: &Map<String, Value>,
    budget: &mut usize,
) -> Outcome {
    conjoin_at(base, part, 0, budget)
}

fn conjoin_at(
    base: &mut Map<String, Value>,
    part: &Map<String, Value>,
    depth: usize,
    budget: &mut usize,
) -> Outcome {
    let cost = cost(base, part);
    if depth > DEPTH_MAX || cost > *budget || !may_join(base, part) {
        return Outcome::Apart;
    }
    *budget -= cost;
    let mut closed = closes(base, part) || closes(part, base);
    let mut part = part.clone();
    closed |= restrict(&mut part, base, depth, budget);
    closed |= restrict(base, &part, depth, budget);
    let mut rest = Vec::new();
    for (key, theirs) in part {
        match (key.as_str(), base.get_mut(&key)) {
            ("allOf", _) => {
                if let Value::Array(parts) = theirs {
                    rest.extend(parts);
                }
            }
            // A part's title names the part, and so does what it is called in XML.
            ("title" | "xml", _) => {}
            ("properties" | "patternProperties", Some(ours)) => {
                closed |= named(ours, theirs, depth, budget);
            }
            (key, Some(_)) if keeps_ours(key) => {}
            (_, Some(ours)) => {
                if let Some(both) = combined(&key, ours, &theirs) {
                    *ours = both;
                }
            }
            (_, None) => {
                base.insert(key, theirs);
            }
        }
    }
    Outcome::Merged { closed, rest }
}

/// The values of `base` that must be looked at again for this part, beyond a few.
fn cost(base: &Map<String, Value>, part: &Map<String, Value>) -> usize {
    const FREE: usize = 256;
    let lists = ["required", "enum"].iter().filter_map(|key| {
        let list = base.get(*key).filter(|_| part.contains_key(*key))?;
        Some(list.as_array()?.len())
    });
    let properties = further(part).and_then(|further| {
        let properties = base.get("properties")?.as_object()?;
        Some(properties.len().saturating_mul(weight(further)))
    });
    lists.chain(properties).filter(|cost| *cost > FREE).sum()
}

/// One schema can say what both say.
fn may_join(base: &Map<String, Value>, part: &Map<String, Value>) -> bool {
    let fits = |(key, theirs): (&String, &Value)| match key.as_str() {
        "properties" | "patternProperties" | "allOf" => true,
        key if keeps_ours(key) => true,
        key => base
            .get(key)
            .is_none_or(|ours| combined(key, ours, theirs).is_some()),
    };
    let looks_around = ["unevaluatedProperties", "unevaluatedItems"]
        .iter()
        .any(|key| part.contains_key(*key));
    !looks_around
        && references_agree(base, part)
        && TOGETHER.iter().all(|keys| agree(keys, base, part))
        && can_restrict(base, part)
        && can_restrict(part, base)
        && part.iter().all(fits)
}

/// What the schema around a part says of the value counts, not what the part says.
fn keeps_ours(key: &str) -> bool {
    key == "discriminator" || is_annotation(key)
}

/// Only one of the two has any of the keywords, or both have the same.
fn agree(keys: &[&str], base: &Map<String, Value>, part: &Map<String, Value>) -> bool {
    let any = |schema: &Map<String, Value>| keys.iter().any(|key| schema.contains_key(*key));
    !any(base) || !any(part) || keys.iter().all(|key| base.get(*key) == part.get(*key))
}

/// What `schema` asks of the properties it does not name, unless it is nothing or refuses them.
fn further(schema: &Map<String, Value>) -> Option<&Value> {
    let further = schema.get("additionalProperties")?;
    (!further.is_boolean() && !is_open(further)).then_some(further)
}

/// Names of the properties of `schema` that `by` does not name.
fn strangers<'s>(
    schema: &'s Map<String, Value>,
    by: &'s Map<String, Value>,
) -> impl Iterator<Item = &'s String> {
    let own = by.get("properties").and_then(Value::as_object);
    let theirs = schema.get("properties").and_then(Value::as_object);
    let names = theirs.into_iter().flat_map(Map::keys);
    names.filter(move |name| own.is_none_or(|own| !own.contains_key(*name)))
}

/// What `by` asks of properties it does not name can be asked of each that `schema` names.
fn can_restrict(schema: &Map<String, Value>, by: &Map<String, Value>) -> bool {
    let Some(further) = further(by) else {
        return true;
    };
    let patterns = |schema: &Map<String, Value>| schema.contains_key("patternProperties");
    let named = strangers(schema, by).next().is_some();
    // Which names a pattern matches is not decided here.
    let by_pattern =
        patterns(schema) && schema.get("patternProperties") != by.get("patternProperties");
    !by_pattern && (!named || (!patterns(by) && weight(further) <= REPEATED_MAX))
}

/// Asks of the properties of `schema` what `by` asks of those it does not name. Gives whether that
/// opened a closed schema.
fn restrict(
    schema: &mut Map<String, Value>,
    by: &Map<String, Value>,
    depth: usize,
    budget: &mut usize,
) -> bool {
    let Some(further) = further(by) else {
        return false;
    };
    let names: Vec<String> = strangers(schema, by).cloned().collect();
    let Some(Value::Object(properties)) = schema.get_mut("properties") else {
        return false;
    };
    let mut closed = false;
    for name in names {
        if let Some(property) = properties.get_mut(&name) {
            closed |= both_of(property, further.clone(), depth, budget);
        }
    }
    closed
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
    let patterns = other.get("patternProperties");
    one.get("additionalProperties") == Some(&Value::Bool(false))
        && (strangers(other, one).next().is_some()
            || (patterns.is_some() && patterns != one.get("patternProperties")))
}

/// Properties of both; one that both describe must fit both. Gives whether a closed one was opened.
fn named(ours: &mut Value, theirs: Value, depth: usize, budget: &mut usize) -> bool {
    let (Value::Object(ours), Value::Object(theirs)) = (ours, theirs) else {
        return false;
    };
    let mut closed = false;
    for (name, theirs) in theirs {
        match ours.get_mut(&name) {
            Some(both) => closed |= both_of(both, theirs, depth, budget),
            None => {
                ours.insert(name, theirs);
            }
        }
    }
    closed
}

/// Makes `ours` say what `theirs` says too. Gives whether that opened a closed schema.
fn both_of(ours: &mut Value, theirs: Value, depth: usize, budget: &mut usize) -> bool {
    if *ours == theirs || is_open(&theirs) || *ours == Value::Bool(false) {
        return false;
    }
    if is_open(ours) || theirs == Value::Bool(false) {
        *ours = theirs;
        return false;
    }
    if let (Value::Object(members), Value::Object(part)) = (&mut *ours, &theirs)
        && let Outcome::Merged { closed, rest } = conjoin_at(members, part, depth + 1, budget)
    {
        if !rest.is_empty() {
            let parts = members.entry("allOf").or_insert_with(|| json!([]));
            parts
                .as_array_mut()
                .into_iter()
                .for_each(|parts| add(parts, &rest));
        }
        return closed;
    }
    // In a row, not one within the other: many parts may describe one property.
    let mut parts = parts_of(ours.take());
    add(&mut parts, &parts_of(theirs));
    let all_of = ("allOf".to_owned(), Value::Array(parts));
    *ours = Value::Object(Map::from_iter([all_of]));
    false
}

/// Nothing is asked.
fn is_open(schema: &Value) -> bool {
    *schema == Value::Bool(true) || schema.as_object().is_some_and(Map::is_empty)
}

/// The schemas that together say what `schema` says.
fn parts_of(schema: Value) -> Vec<Value> {
    match schema {
        Value::Object(mut members)
            if !members.contains_key("unevaluatedProperties")
                && !members.contains_key("unevaluatedItems") =>
        {
            let mut parts = match members.shift_remove("allOf") {
                Some(Value::Array(parts)) => parts,
                _ => Vec::new(),
            };
            if !members.is_empty() {
                parts.push(Value::Object(members));
            }
            parts
        }
        other => vec![other],
    }
}

/// Adds the parts that are not among them.
fn add(parts: &mut Vec<Value>, more: &[Value]) {
    for part in more {
        // A long list is not searched: a repetition is harmless.
        if parts.len() > SEARCHED_MAX || !parts.contains(part) {
            parts.push(part.clone());
        }
    }
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
        "minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties" => {
            bound(ours, theirs, f64::max)
        }
        "maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties" => {
            bound(ours, theirs, f64::min)
        }
        "uniqueItems" => Some(Value::Bool(true)),
        "additionalProperties" => additional(ours, theirs),
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
    let known: HashSet<&Value> = ours.as_array()?.iter().collect();
    let more = theirs.as_array()?.iter();
    both.extend(more.filter(|name| !known.contains(name)).cloned());
    Some(Value::Array(both))
}

fn intersection(ours: &Value, theirs: &Value) -> Option<Value> {
    let theirs: HashSet<&Value> = theirs.as_array()?.iter().collect();
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
    match (ours, theirs) {
        (Value::Bool(false), _) | (_, Value::Bool(false)) => Some(Value::Bool(false)),
        (ours, theirs) if is_open(ours) => Some(theirs.clone()),
        (ours, theirs) if is_open(theirs) => Some(ours.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(base: &Value, part: &Value) -> Option<Value> {
        let mut base = base.as_object().unwrap().clone();
        match conjoin(&mut base, part.as_object().unwrap(), &mut 1_000) {
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
