//! The definitions as a whole: references that would never end, and definitions nobody uses.

use std::collections::HashSet;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::openapi::finding::{Code, Findings, quoted};
use crate::openapi::keyword::{self, Kind};
use crate::openapi::merge::DEFINITION;

/// Removes references that lead back to where they stand without stepping into the value: a
/// validator that follows them would never end (`A: {anyOf: [A, ...]}`).
pub fn break_circles(
    definitions: &mut IndexMap<String, Value>,
    pointers: &IndexMap<String, String>,
    findings: &mut Findings,
) {
    for (from, to) in back_edges(definitions) {
        let pointer = pointers.get(&from).map_or("", String::as_str);
        let message = format!("the schema is defined by itself, through {}", quoted(&to));
        findings.add(Code::RefCycle, pointer, message);
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

/// Edges that close a circle, found by a depth-first search with its stack on the heap.
fn back_edges(definitions: &IndexMap<String, Value>) -> Vec<(String, String)> {
    let edges: IndexMap<&str, Vec<&str>> = definitions
        .iter()
        .map(|(name, schema)| (name.as_str(), references_in_place(schema)))
        .collect();
    let mut found = Vec::new();
    let mut finished: HashSet<&str> = HashSet::new();
    for start in edges.keys() {
        let mut under_way: HashSet<&str> = HashSet::from([*start]);
        let mut stack = vec![(*start, 0)];
        if finished.contains(start) {
            continue;
        }
        while let Some((name, next)) = stack.pop() {
            let Some(to) = edges.get(name).and_then(|targets| targets.get(next)) else {
                under_way.remove(name);
                finished.insert(name);
                continue;
            };
            stack.push((name, next + 1));
            if under_way.contains(to) {
                found.push((name.to_owned(), (*to).to_owned()));
            } else if !finished.contains(to) {
                under_way.insert(to);
                stack.push((to, 0));
            }
        }
    }
    found
}

/// Names of the definitions that apply to the same value as the schema does.
fn references_in_place(schema: &Value) -> Vec<&str> {
    let mut names = Vec::new();
    let mut left = vec![schema];
    while let Some(schema) = left.pop() {
        let Value::Object(members) = schema else {
            continue;
        };
        for (key, value) in members {
            match (key.as_str(), value) {
                ("$ref", Value::String(reference)) => {
                    names.extend(reference.strip_prefix(DEFINITION));
                }
                ("allOf" | "anyOf" | "oneOf", Value::Array(parts)) => left.extend(parts),
                ("not" | "if" | "then" | "else", part) => left.push(part),
                ("dependentSchemas", Value::Object(parts)) => left.extend(parts.values()),
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
