//! The definitions as a whole: references that would never end, and definitions nobody uses.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::openapi::finding::{Code, Findings, quoted};
use crate::openapi::keyword::{self, Kind};
use crate::openapi::merge::DEFINITION;

/// Schemas that may apply to one value, each within or through the next. A validator recurses once
/// for each of them.
const IN_PLACE_MAX: usize = 200;

/// Removes references that lead back to where they stand without stepping into the value, and those
/// that go on for too long: a validator that follows them would not end, or run out of stack
/// (`A: {anyOf: [A, ...]}`).
pub fn break_circles(
    definitions: &mut IndexMap<String, Value>,
    pointers: &IndexMap<String, String>,
    findings: &mut Findings,
) {
    for Cut { from, to, circle } in cuts(definitions) {
        let pointer = pointers.get(&from).map_or("", String::as_str);
        let to_name = quoted(&to);
        if circle {
            let message = format!("the schema is defined by itself, through {to_name}");
            findings.add(Code::RefCycle, pointer, message);
        } else {
            let message = format!("too many schemas apply to one value, from {to_name} on");
            findings.add(Code::RefChainLong, pointer, message);
        }
        if let Some(schema) = definitions.get_mut(&from) {
            let reference = format!("{DEFINITION}{to}");
            in_place(schema, &mut |members| {
                if members.get("$ref").and_then(Value::as_str) == Some(&reference) {
                    members.shift_remove("$ref");
                }
            });
        }
    }
}

/// A reference to take out.
struct Cut {
    from: String,
    to: String,
    circle: bool,
}

/// A definition on the way down, and the next of its references to look at.
struct Step<'d> {
    name: &'d str,
    next: usize,
    height: usize,
}

/// References that close a circle or go too far, found by a depth-first search with its stack on
/// the heap.
fn cuts(definitions: &IndexMap<String, Value>) -> Vec<Cut> {
    let edges: IndexMap<&str, Vec<(&str, usize)>> = definitions
        .iter()
        .map(|(name, schema)| (name.as_str(), references_in_place(schema)))
        .collect();
    let mut found = Vec::new();
    let mut heights: HashMap<&str, usize> = HashMap::new();
    for start in edges.keys() {
        if heights.contains_key(start) {
            continue;
        }
        let mut under_way: HashSet<&str> = HashSet::from([*start]);
        let step = |name| Step {
            name,
            next: 0,
            height: 1,
        };
        let mut stack = vec![step(*start)];
        while let Some(mut at) = stack.pop() {
            let Some((to, depth)) = edges.get(at.name).and_then(|targets| targets.get(at.next))
            else {
                under_way.remove(at.name);
                heights.insert(at.name, at.height);
                continue;
            };
            let circle = under_way.contains(to);
            match heights.get(to) {
                None if !circle => {
                    under_way.insert(to);
                    stack.extend([at, step(to)]);
                    continue;
                }
                Some(height) if height + depth <= IN_PLACE_MAX => {
                    at.height = at.height.max(height + depth);
                }
                _ => found.push(Cut {
                    from: at.name.to_owned(),
                    to: (*to).to_owned(),
                    circle,
                }),
            }
            at.next += 1;
            stack.push(at);
        }
    }
    found
}

/// Names of the definitions that apply to the same value as the schema does, and how deep within
/// it they stand.
fn references_in_place(schema: &Value) -> Vec<(&str, usize)> {
    let mut names = Vec::new();
    let mut left = vec![(schema, 1)];
    while let Some((schema, depth)) = left.pop() {
        let Value::Object(members) = schema else {
            continue;
        };
        for (key, value) in members {
            match (key.as_str(), value) {
                ("$ref", Value::String(reference)) => {
                    names.extend(reference.strip_prefix(DEFINITION).map(|name| (name, depth)));
                }
                ("allOf" | "anyOf" | "oneOf", Value::Array(parts)) => {
                    left.extend(parts.iter().map(|part| (part, depth + 1)));
                }
                ("not" | "if" | "then" | "else", part) => left.push((part, depth + 1)),
                ("dependentSchemas", Value::Object(parts)) => {
                    left.extend(parts.values().map(|part| (part, depth + 1)));
                }
                _ => {}
            }
        }
    }
    names
}

fn in_place(schema: &mut Value, visit: &mut dyn FnMut(&mut Map<String, Value>)) {
    let Value::Object(members) = schema else {
        return;
    };
    visit(members);
    for (key, value) in members.iter_mut() {
        match (key.as_str(), value) {
            ("allOf" | "anyOf" | "oneOf", Value::Array(parts)) => {
                for part in parts {
                    in_place(part, visit);
                }
            }
            ("not" | "if" | "then" | "else", part) => in_place(part, visit),
            ("dependentSchemas", Value::Object(parts)) => {
                for part in parts.values_mut() {
                    in_place(part, visit);
                }
            }
            _ => {}
        }
    }
}

/// Leaves out the definitions that no schema leads to any more.
pub fn prune<'s>(
    definitions: &mut IndexMap<String, Value>,
    roots: impl Iterator<Item = &'s Value>,
) {
    let mut used: HashSet<String> = HashSet::new();
    let mut left: Vec<String> = Vec::new();
    for root in roots {
        references(root, &mut left);
    }
    while let Some(name) = left.pop() {
        if let Some(schema) = definitions.get(&name)
            && used.insert(name)
        {
            references(schema, &mut left);
        }
    }
    definitions.retain(|name, _| used.contains(name));
}

/// Every definition a schema names, wherever in it.
fn references(schema: &Value, names: &mut Vec<String>) {
    let Value::Object(members) = schema else {
        return;
    };
    for (key, value) in members {
        match (keyword::kind(key), value) {
            (_, Value::String(reference)) if key == "$ref" => {
                names.extend(reference.strip_prefix(DEFINITION).map(str::to_owned));
            }
            (Kind::Schema | Kind::Items, value) => references(value, names),
            (Kind::Schemas, Value::Array(parts)) => {
                for part in parts {
                    references(part, names);
                }
            }
            (Kind::SchemaMap, Value::Object(named)) => {
                for part in named.values() {
                    references(part, names);
                }
            }
            _ => {}
        }
    }
}
