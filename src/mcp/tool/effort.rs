//! How much work it is to check a value against a schema, told before it is done.
//!
//! A validator tries the alternatives of a schema one after another, and each of those that refers back
//! to its schema doubles the work with every level of the value: a few dozen brackets would keep it busy
//! for hours. It also recurses, so that a long chain of schemas would exhaust its stack. Here the same
//! way is gone without looking at any rule, and given up after a number of steps.

use serde_json::{Map, Value};

use crate::openapi::pointer::unescape;

/// Steps that any value may take, and those it may take for each byte of its text.
const STEPS_MAX: usize = 100_000;
const STEPS_PER_BYTE: usize = 2;

/// Steps within alternatives up to which their faults are told one by one: each costs far more than
/// finding out that there are any.
const TOLD_MAX: usize = 2_000;

/// Schemas within each other that apply to a value and its parts. A validator recurses for each.
const DEPTH_MAX: usize = 400;

/// What checking a value takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Checking, and telling what is wrong.
    Small,
    /// Checking alone.
    Large,
    /// More than anybody may ask for.
    Excessive,
}

/// The effort of checking `value`, whose text has that many bytes, against `schema`.
pub fn effort(schema: &Value, value: &Value, bytes: usize) -> Effort {
    let mut walk = Walk {
        definitions: schema.get("$defs"),
        left: bytes.saturating_mul(STEPS_PER_BYTE) + STEPS_MAX,
        tried: 0,
    };
    match walk.visit(schema, value, Depth::default()) {
        None => Effort::Excessive,
        Some(()) if walk.tried > TOLD_MAX => Effort::Large,
        Some(()) => Effort::Small,
    }
}

struct Walk<'s> {
    definitions: Option<&'s Value>,
    left: usize,
    /// Steps within alternatives.
    tried: usize,
}

/// Where the walk is.
#[derive(Clone, Copy, Default)]
struct Depth {
    schemas: usize,
    alternatives: bool,
}

impl<'s> Walk<'s> {
    /// Takes the steps of one schema; `None` where there are too many.
    fn visit(&mut self, schema: &'s Value, value: &Value, at: Depth) -> Option<()> {
        self.take(1)?;
        self.tried += usize::from(at.alternatives);
        let Value::Object(members) = schema else {
            return Some(());
        };
        let at = Depth {
            schemas: at.schemas + 1,
            ..at
        };
        if at.schemas > DEPTH_MAX {
            return None;
        }
        if let Some(Value::Array(values)) = members.get("enum") {
            self.take(values.len() / 8)?;
        }
        // What no other schema describes is found by asking all of them again, member by member.
        let again = match value {
            Value::Object(given) if members.contains_key("unevaluatedProperties") => given.len(),
            Value::Array(items) if members.contains_key("unevaluatedItems") => items.len(),
            _ => 0,
        };
        for _ in 0..=again {
            self.in_place(members, value, at)?;
        }
        match value {
            Value::Object(given) => self.members(members, given, at),
            Value::Array(items) => self.items(members, items, at),
            _ => Some(()),
        }
    }

    fn take(&mut self, steps: usize) -> Option<()> {
        self.left = self.left.checked_sub(steps)?;
        Some(())
    }

    /// What else applies to the same value.
    fn in_place(&mut self, schema: &'s Map<String, Value>, value: &Value, at: Depth) -> Option<()> {
        for (key, inner) in schema {
            match (key.as_str(), inner) {
                ("$ref", Value::String(target)) => {
                    if let Some(target) = self.definition(target) {
                        self.visit(target, value, at)?;
                    }
                }
                ("allOf" | "anyOf" | "oneOf", Value::Array(parts)) => {
                    let alternatives = at.alternatives || key != "allOf";
                    for part in parts {
                        self.visit(part, value, Depth { alternatives, ..at })?;
                    }
                }
                ("not" | "if" | "then" | "else", part) => self.visit(part, value, at)?,
                ("dependentSchemas", Value::Object(parts)) => {
                    for part in parts.values() {
                        self.visit(part, value, at)?;
                    }
                }
                _ => {}
            }
        }
        Some(())
    }

    fn members(
        &mut self,
        schema: &'s Map<String, Value>,
        given: &Map<String, Value>,
        at: Depth,
    ) -> Option<()> {
        let properties = schema.get("properties").and_then(Value::as_object);
        let patterns = schema.get("patternProperties").and_then(Value::as_object);
        let patterns = patterns.map_or_else(Vec::new, |patterns| patterns.values().collect());
        let others = schema.get("additionalProperties");
        let unevaluated = schema.get("unevaluatedProperties");
        for (name, member) in given {
            match properties.and_then(|properties| properties.get(name)) {
                Some(property) => self.visit(property, member, at)?,
                None => self.each(others, member, at)?,
            }
            for pattern in &patterns {
                self.visit(pattern, member, at)?;
            }
            self.each(unevaluated, member, at)?;
        }
        Some(())
    }

    fn items(&mut self, schema: &'s Map<String, Value>, items: &[Value], at: Depth) -> Option<()> {
        let first = schema.get("prefixItems").and_then(Value::as_array);
        let first = first.map_or(&[][..], Vec::as_slice);
        for (index, item) in items.iter().enumerate() {
            let own = first.get(index).or_else(|| schema.get("items"));
            for part in [own, schema.get("contains"), schema.get("unevaluatedItems")] {
                self.each(part, item, at)?;
            }
        }
        Some(())
    }

    fn each(&mut self, schema: Option<&'s Value>, value: &Value, at: Depth) -> Option<()> {
        schema.map_or(Some(()), |schema| self.visit(schema, value, at))
    }

    fn definition(&self, reference: &str) -> Option<&'s Value> {
        let name = reference.strip_prefix("#/$defs/")?;
        self.definitions?.get(&*unescape(name))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn nested(depth: usize) -> Value {
        (0..depth).fold(json!(1), |inner, _| json!([inner]))
    }

    #[test]
    fn alternatives_within_alternatives_are_given_up() {
        let list = json!({"type": "array", "items": {"$ref": "#/$defs/S"}});
        let one = json!({"$ref": "#/$defs/S", "$defs": {"S": {"anyOf": [list]}}});
        let two = json!({"$ref": "#/$defs/S", "$defs": {"S": {"anyOf": [list, list]}}});
        for (schema, depth, expected) in [
            (&one, 8, Effort::Small),
            (&one, 100, Effort::Small),
            (&two, 6, Effort::Small),
            (&two, 11, Effort::Large),
            (&two, 20, Effort::Excessive),
            (&two, 100, Effort::Excessive),
        ] {
            assert_eq!(
                effort(schema, &nested(depth), 2 * depth),
                expected,
                "{depth}"
            );
        }
    }

    #[test]
    fn a_chain_that_would_exhaust_a_stack_is_given_up() {
        let chain = (0..90).fold(
            json!({"items": {"$ref": "#/$defs/S"}}),
            |inner, _| json!({"allOf": [inner]}),
        );
        let schema = json!({"$ref": "#/$defs/S", "$defs": {"S": chain}});
        assert_eq!(effort(&schema, &nested(2), 10), Effort::Small);
        assert_eq!(effort(&schema, &nested(10), 30), Effort::Excessive);
    }

    #[test]
    fn much_that_is_plain_is_no_effort() {
        let schema = json!({"type": "array", "items": {"type": "object", "properties": {
            "a": {"type": "string"}}}});
        let value = json!(vec![json!({"a": "x"}); 100_000]);
        assert_eq!(effort(&schema, &value, 900_000), Effort::Small);
    }
}
