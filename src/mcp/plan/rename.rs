//! The names on the wire, for properties that have another name in the input schema.

use std::collections::HashSet;

use indexmap::IndexMap;
use serde_json::Value;

use crate::mcp::plan::Given;
use crate::mcp::plan::raw::{Raw, Shape};
use crate::mcp::tool::ToolDef;

/// How many schemas may describe one value; no more are looked at.
const SCHEMAS_MAX: usize = 1_000;

/// Gives the members of every argument the names the API knows. Only an object whose schema declares
/// a renamed property has one: what a free-form object holds stays as it was written.
pub(super) fn rename(def: &ToolDef, given: &mut Given) {
    let names = &def.binding.renames;
    let Some(properties) = def.input_schema.get("properties") else {
        return;
    };
    if names.is_empty() {
        return;
    }
    let renamer = Renamer {
        definitions: def.input_schema.get("$defs"),
        names,
    };
    for (argument, raw) in given {
        if let Some(schema) = properties.get(argument.as_str()) {
            *raw = renamer.renamed(raw, vec![schema]);
        }
    }
}

struct Renamer<'s> {
    definitions: Option<&'s Value>,
    /// Name in the schema to name on the wire.
    names: &'s IndexMap<String, String>,
}

impl<'s> Renamer<'s> {
    /// What holds no object holds no name, so that nobody asks what describes it.
    fn renamed<'r>(&self, raw: &Raw<'r>, schemas: Vec<&'s Value>) -> Raw<'r> {
        if !raw.text().contains('{') {
            return raw.clone();
        }
        let text = match raw.shape() {
            Shape::Scalar(_) => return raw.clone(),
            Shape::Array(members) => {
                let schemas = self.all_of(schemas);
                let members = members.iter().enumerate().map(|(at, member)| {
                    let items = schemas.iter().filter_map(|schema| {
                        let prefix = schema.get("prefixItems").and_then(|p| p.get(at));
                        prefix.or_else(|| schema.get("items"))
                    });
                    self.renamed(member, items.collect()).text().to_owned()
                });
                format!("[{}]", members.collect::<Vec<_>>().join(","))
            }
            Shape::Object(members) => {
                let schemas = self.all_of(schemas);
                let mut out = IndexMap::with_capacity(members.len());
                for (name, member) in &members {
                    let declared: Vec<&Value> = schemas
                        .iter()
                        .filter_map(|schema| schema.get("properties")?.get(name))
                        .collect();
                    let wire = Some(name).filter(|_| !declared.is_empty());
                    let wire = wire.and_then(|name| self.names.get(name)).unwrap_or(name);
                    let inner = if declared.is_empty() {
                        other_members(&schemas)
                    } else {
                        declared
                    };
                    out.insert(wire.clone(), self.renamed(member, inner));
                }
                return Raw::object(out.iter().map(|(name, member)| (&**name, member.text())));
            }
        };
        Raw::owned(text)
    }

    /// The schemas and everything they are put together from, each once.
    fn all_of(&self, mut schemas: Vec<&'s Value>) -> Vec<&'s Value> {
        let mut known: HashSet<*const Value> = HashSet::new();
        schemas.retain(|schema| known.insert(std::ptr::from_ref(*schema)));
        let mut at = 0;
        while at < schemas.len() && schemas.len() < SCHEMAS_MAX {
            let schema = schemas[at];
            at += 1;
            let target = schema.get("$ref").and_then(Value::as_str);
            let referred = target.and_then(|target| {
                let pointer = target.strip_prefix("#/$defs")?;
                self.definitions?.pointer(pointer)
            });
            let lists = ["allOf", "anyOf", "oneOf"].map(|key| schema.get(key));
            let lists = lists.into_iter().flatten().filter_map(Value::as_array);
            let single = ["then", "else"].map(|key| schema.get(key));
            let found = referred
                .into_iter()
                .chain(lists.flatten())
                .chain(single.into_iter().flatten());
            let new = found.filter(|schema| known.insert(std::ptr::from_ref(*schema)));
            schemas.extend(new);
        }
        schemas
    }
}

/// What describes a member that no schema names.
fn other_members<'s>(schemas: &[&'s Value]) -> Vec<&'s Value> {
    let additional = schemas.iter().filter_map(|s| s.get("additionalProperties"));
    let patterns = schemas
        .iter()
        .filter_map(|schema| schema.get("patternProperties")?.as_object())
        .flat_map(serde_json::Map::values);
    additional.chain(patterns).collect()
}
