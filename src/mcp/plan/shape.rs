//! Arguments in the shape a client's provider forced on them, brought back to that of the tool.
//!
//! Lists are written for providers (`crate::mcp::tool::profile`): one wants `null` for what is left
//! out, one knows no hyphen in names, one takes text for an object nobody knows the members of. Only
//! arguments that do not fit the tool's own schema are looked at.

use std::cell::RefCell;
use std::collections::HashMap;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::mcp::plan::Given;
use crate::mcp::plan::raw::{Raw, Shape};
use crate::mcp::tool::ToolDef;
use crate::mcp::tool::profile::plain_name;

/// How deep values are looked into.
const DEPTH_MAX: usize = 32;

/// `given` with the names the schema has, without `null` for what may be absent and cannot be null,
/// and with text unpacked where only an object or array can be meant.
pub(super) fn restored<'a>(def: &ToolDef, given: &Given<'a>) -> Given<'a> {
    let restorer = Restorer {
        definitions: def.input_schema.get("$defs"),
        plain: RefCell::default(),
    };
    restorer.members(given, &def.input_schema, 0)
}

struct Restorer<'s> {
    definitions: Option<&'s Value>,
    /// Of properties that were asked for one they do not have: all of them by their plain names.
    plain: RefCell<HashMap<*const Map<String, Value>, PlainNames<'s>>>,
}

/// The property with a plain name; `None` where it is the name of several.
type PlainNames<'s> = HashMap<String, Option<&'s str>>;

impl<'s> Restorer<'s> {
    fn members<'a>(
        &self,
        given: &IndexMap<String, Raw<'a>>,
        schema: &'s Value,
        depth: usize,
    ) -> IndexMap<String, Raw<'a>> {
        let properties = schema.get("properties").and_then(Value::as_object);
        let required = schema.get("required").and_then(Value::as_array);
        let mut out = IndexMap::with_capacity(given.len());
        for (name, raw) in given {
            let known = properties.and_then(|properties| self.named(properties, name));
            let name = known.map_or(name.as_str(), |(name, _)| name);
            let member = known.map(|(_, member)| member);
            let needed = required.is_some_and(|names| names.iter().any(|n| n == name));
            let member = member.map(|member| self.resolved(member));
            if raw.is_null() && !needed && member.is_some_and(|member| !admits(member, "null")) {
                continue;
            }
            let restored = member.map_or_else(|| raw.clone(), |m| self.value(raw, m, depth + 1));
            out.insert(name.to_owned(), restored);
        }
        out
    }

    fn value<'a>(&self, raw: &Raw<'a>, schema: &'s Value, depth: usize) -> Raw<'a> {
        let schema = self.resolved(schema);
        if depth > DEPTH_MAX {
            return raw.clone();
        }
        let mut raw = raw.clone();
        let structured = admits(schema, "object") || admits(schema, "array");
        if schema.get("type").is_some() && structured && !admits(schema, "string") {
            raw.unpack();
        }
        let restored = match raw.shape() {
            Shape::Object(members) if schema.get("properties").is_some() => {
                let members = self.members(&members, schema, depth);
                Some(
                    Raw::object(members.iter().map(|(n, m)| (&**n, m.text())))
                        .text()
                        .to_owned(),
                )
            }
            Shape::Array(members) if schema.get("items").is_some() => {
                let items = &schema["items"];
                let members = members.iter().map(|m| self.value(m, items, depth + 1));
                let texts: Vec<String> = members.map(|m| m.text().to_owned()).collect();
                Some(format!("[{}]", texts.join(",")))
            }
            _ => None,
        };
        restored.map_or(raw, Raw::owned)
    }

    /// The property of that name, or the only one whose name reads so without special marks.
    fn named(
        &self,
        properties: &'s Map<String, Value>,
        name: &str,
    ) -> Option<(&'s str, &'s Value)> {
        if let Some((name, member)) = properties.get_key_value(name) {
            return Some((name, member));
        }
        let mut plain = self.plain.borrow_mut();
        let plain = plain.entry(std::ptr::from_ref(properties));
        let plain = plain.or_insert_with(|| plain_names(properties));
        let name = plain.get(name).copied().flatten()?;
        Some((name, properties.get(name)?))
    }

    fn resolved(&self, schema: &'s Value) -> &'s Value {
        let mut schema = schema;
        for _ in 0..DEPTH_MAX {
            let target = schema.get("$ref").and_then(Value::as_str);
            let found = target
                .and_then(|target| self.definitions?.pointer(target.strip_prefix("#/$defs")?));
            match found {
                Some(found) => schema = found,
                None => return schema,
            }
        }
        schema
    }
}

fn plain_names(properties: &Map<String, Value>) -> PlainNames<'_> {
    let mut names = PlainNames::new();
    for property in properties.keys() {
        let known = names.entry(plain_name(property));
        known
            .and_modify(|one| *one = None)
            .or_insert(Some(property));
    }
    names
}

/// Whether a schema admits a value of a type, as far as its own words say.
fn admits(schema: &Value, kind: &str) -> bool {
    let is = |found: &Value| found == kind;
    match schema.get("type") {
        Some(Value::String(_)) => schema.get("type").is_some_and(is),
        Some(Value::Array(kinds)) => kinds.iter().any(is),
        _ => true,
    }
}
