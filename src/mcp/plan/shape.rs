//! Arguments in the shape a client's provider forced on them, brought back to that of the tool.
//!
//! Lists are written for providers (`crate::mcp::tool::profile`): one wants `null` for what is left
//! out, one knows no hyphen in names, one takes text for an object nobody knows the members of. Only
//! arguments that do not fit the tool's own schema are looked at.

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
    };
    restorer.members(given, &def.input_schema, 0)
}

struct Restorer<'s> {
    definitions: Option<&'s Value>,
}

impl<'s> Restorer<'s> {
    fn members<'a>(
        &self,
        given: &IndexMap<String, Raw<'a>>,
        schema: &'s Value,
        depth: usize,
    ) -> IndexMap<String, Raw<'a>> {
        let empty = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object);
        let properties = properties.unwrap_or(&empty);
        let required = schema.get("required").and_then(Value::as_array);
        let mut out = IndexMap::with_capacity(given.len());
        for (name, raw) in given {
            let known = named(properties, name);
            let member = known.map(|name| &properties[name]);
            let name = known.unwrap_or(name);
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

/// The property of that name, or the only one whose name reads so without special marks.
fn named<'s>(properties: &'s Map<String, Value>, name: &str) -> Option<&'s str> {
    if let Some((name, _)) = properties.get_key_value(name) {
        return Some(name);
    }
    let mut alike = properties
        .keys()
        .filter(|property| plain_name(property) == name);
    let first = alike.next()?;
    alike.next().is_none().then_some(first)
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
