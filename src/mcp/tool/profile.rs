//! Schemas as the interfaces behind clients accept them: one table per provider, as data in
//! `profiles.toml`, and what is done to a schema to obey it.
//!
//! Arguments come back in the shape that was asked for; `crate::mcp::plan` reads them all.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::mcp::tool::name;

/// For whom a list is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// What most clients and providers accept.
    #[default]
    Portable,
    Anthropic,
    OpenaiStrict,
    Gemini,
    /// Whole schemas of JSON Schema 2020-12, whatever they cost.
    Full,
}

/// Which profile a server's lists have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProfileChoice {
    /// By the name the client gives itself.
    #[default]
    Auto,
    #[serde(untagged)]
    Fixed(Profile),
}

impl ProfileChoice {
    /// The profile for a client that calls itself `client`.
    pub fn of(self, client: Option<&str>) -> Profile {
        match self {
            Self::Fixed(profile) => profile,
            Self::Auto => client.map_or(Profile::Portable, Profile::for_client),
        }
    }
}

/// What a provider accepts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    clients: Vec<String>,
    property_marks: String,
    property_length_max: usize,
    #[serde(default)]
    starts_with_letter: bool,
    keywords: Vec<String>,
    #[serde(default)]
    formats: Option<Vec<String>>,
    depth_max: usize,
    /// `type` may be a list; otherwise `nullable` says that `null` is one of two.
    #[serde(default)]
    type_lists: bool,
    /// Closed objects, every property required.
    #[serde(default)]
    strict: bool,
    #[serde(default)]
    enum_strings_only: bool,
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "date")]
    _date: String,
    /// Names of tools are made to fit all tables when they are made.
    #[serde(rename = "tool_marks")]
    _tool_marks: String,
    #[serde(rename = "tool_length_max")]
    _tool_length_max: usize,
}

static TABLES: LazyLock<HashMap<String, Table>> = LazyLock::new(|| {
    toml::from_str(include_str!("profiles.toml")).expect("the tables are part of the program")
});

impl Profile {
    pub const ALL: [Self; 5] = [
        Self::Portable,
        Self::Anthropic,
        Self::OpenaiStrict,
        Self::Gemini,
        Self::Full,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Anthropic => "anthropic",
            Self::OpenaiStrict => "openai-strict",
            Self::Gemini => "gemini",
            Self::Full => "full",
        }
    }

    fn table(self) -> Option<&'static Table> {
        TABLES.get(self.as_str())
    }

    fn for_client(client: &str) -> Self {
        let client = client.to_lowercase();
        let claims = |profile: &Self| {
            let table = profile.table();
            table.is_some_and(|table| table.clients.iter().any(|part| client.contains(part)))
        };
        Self::ALL.into_iter().find(claims).unwrap_or_default()
    }

    /// The input schema of a tool as this profile has it.
    pub fn adapt(self, schema: &Value) -> Value {
        let Some(table) = self.table() else {
            return schema.clone();
        };
        let adapter = Adapter {
            table,
            left: Cell::new(SCHEMAS_MAX),
            definitions: schema.get("$defs").and_then(Value::as_object),
        };
        let mut adapted = adapter.schema(schema, &mut Vec::new(), 0);
        if let (Some(definitions), true) = (adapter.definitions, table.knows("$ref")) {
            let definitions = definitions.iter().map(|(name, definition)| {
                (name.clone(), adapter.schema(definition, &mut Vec::new(), 1))
            });
            adapted["$defs"] = Value::Object(definitions.collect());
        }
        adapted
    }
}

/// The name a property has where only these marks may stand in names. Every profile gives one
/// property one name, so that it is found again.
pub fn plain_name(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    if plain.starts_with(|c: char| c.is_ascii_digit()) {
        format!("_{plain}")
    } else {
        plain
    }
}

impl Table {
    fn knows(&self, keyword: &str) -> bool {
        self.keywords.iter().any(|known| known == keyword)
    }

    fn property(&self, name: &str, siblings: &Map<String, Value>) -> String {
        let fits = name.len() <= self.property_length_max
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || self.property_marks.contains(c))
            && !(self.starts_with_letter && name.starts_with(|c: char| c.is_ascii_digit()));
        if fits {
            return name.to_owned();
        }
        name::unique(&plain_name(name), |wanted| !siblings.contains_key(wanted))
    }
}

/// How many schemas one tool is written out to; below that, everything is open.
const SCHEMAS_MAX: usize = 4_000;

struct Adapter<'a> {
    table: &'a Table,
    /// How many more schemas may be written.
    left: Cell<usize>,
    definitions: Option<&'a Map<String, Value>>,
}

impl<'a> Adapter<'a> {
    /// One schema; `inside` are the definitions it is written out in.
    fn schema(&self, schema: &'a Value, inside: &mut Vec<&'a str>, depth: usize) -> Value {
        let Value::Object(object) = schema else {
            return self.anything(None);
        };
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        if depth > self.table.depth_max || left == 0 {
            return self.opened(object);
        }
        if let Some(Value::String(target)) = object.get("$ref") {
            return self.reference(object, target, inside, depth);
        }
        let mut out = Map::new();
        for (key, value) in object {
            self.keyword((key, value), &mut out, inside, depth);
        }
        self.shape(object, out)
    }

    /// A reference that is not known is written out; within itself it is left open.
    fn reference(
        &self,
        object: &'a Map<String, Value>,
        target: &'a str,
        inside: &mut Vec<&'a str>,
        depth: usize,
    ) -> Value {
        if self.table.knows("$ref") {
            return json!({ "$ref": target });
        }
        let name = target.strip_prefix("#/$defs/").unwrap_or_default();
        let definition = self
            .definitions
            .and_then(|definitions| definitions.get(name));
        let Some(definition) = definition.filter(|_| !inside.contains(&name)) else {
            let kind = definition.and_then(|definition| definition.get("type"));
            return kind.map_or_else(|| self.anything(None), |kind| self.open(kind));
        };
        inside.push(name);
        let mut written = self.schema(definition, inside, depth);
        inside.pop();
        if let (Some(text), Some(written)) = (object.get("description"), written.as_object_mut()) {
            written.insert("description".into(), text.clone());
        }
        written
    }

    fn keyword(
        &self,
        (key, value): (&'a str, &'a Value),
        out: &mut Map<String, Value>,
        inside: &mut Vec<&'a str>,
        depth: usize,
    ) {
        match (key, value) {
            ("$defs", _) => {}
            ("properties", Value::Object(members)) => {
                let named = members.iter().map(|(name, member)| {
                    let name = self.table.property(name, members);
                    (name, self.schema(member, inside, depth + 1))
                });
                let named = named.collect();
                out.insert(key.into(), Value::Object(named));
            }
            ("anyOf" | "oneOf", Value::Array(members)) => {
                let key = if self.table.knows(key) { key } else { "anyOf" };
                let members = members.iter().map(|m| self.schema(m, inside, depth));
                let members = members.collect();
                out.insert(key.into(), Value::Array(members));
            }
            ("allOf", Value::Array(members)) if self.table.knows(key) => {
                let members = members.iter().map(|m| self.schema(m, inside, depth));
                let members = members.collect();
                out.insert(key.into(), Value::Array(members));
            }
            ("items", Value::Object(_)) => {
                out.insert(key.into(), self.schema(value, inside, depth + 1));
            }
            ("additionalProperties", Value::Object(_))
                if self.table.knows(key) && !self.table.strict =>
            {
                out.insert(key.into(), self.schema(value, inside, depth + 1));
            }
            ("const", value) if !self.table.knows(key) => {
                out.insert("enum".into(), json!([value]));
            }
            ("format", Value::String(format)) => {
                let formats = self.table.formats.as_ref();
                if formats.is_none_or(|formats| formats.contains(format)) {
                    out.insert(key.into(), value.clone());
                }
            }
            _ if self.table.knows(key) => {
                out.insert(key.into(), value.clone());
            }
            _ => {}
        }
    }

    /// Types, enumerations and objects as the table has them.
    fn shape(&self, object: &Map<String, Value>, mut out: Map<String, Value>) -> Value {
        let description = object.get("description");
        if self.needs_types() && out.contains_key("properties") {
            // Alternatives beside members would have to repeat them.
            out.shift_remove("anyOf");
        }
        if self.needs_types() && out.contains_key("anyOf") {
            // What every alternative says of itself.
            out.shift_remove("type");
            out.shift_remove("required");
        }
        if !out.contains_key("type") && !out.contains_key("anyOf") && !out.contains_key("oneOf") {
            match inferred(&out) {
                Some(kind) => out.insert("type".into(), json!(kind)),
                None if self.table.strict || !self.table.type_lists => {
                    return self.anything(description);
                }
                None => None,
            };
        }
        if let Some(Value::Array(kinds)) = out.get("type").cloned()
            && !self.table.type_lists
        {
            one_type(&mut out, &kinds);
        }
        if self.table.enum_strings_only {
            only_strings(&mut out);
        }
        let is = |kind: &str, out: &Map<String, Value>| match out.get("type") {
            Some(Value::String(found)) => found == kind,
            Some(Value::Array(kinds)) => kinds.iter().any(|found| found == kind),
            _ => false,
        };
        if is("array", &out) && !out.contains_key("items") && self.needs_types() {
            out.insert("items".into(), self.anything(None));
        }
        if is("object", &out) && self.table.strict {
            return closed(object, out);
        }
        let members = object.get("properties").and_then(Value::as_object);
        if let (Some(Value::Array(names)), Some(members)) = (out.get_mut("required"), members) {
            let told = |name: &Value| name.as_str().is_some_and(|name| members.contains_key(name));
            names.retain(|name| told(name) || !self.needs_types());
            for name in names.iter_mut() {
                *name = Value::String(
                    self.table
                        .property(name.as_str().unwrap_or_default(), members),
                );
            }
        }
        Value::Object(out)
    }

    fn needs_types(&self) -> bool {
        self.table.strict || !self.table.type_lists
    }

    /// Below the deepest level.
    fn opened(&self, object: &Map<String, Value>) -> Value {
        object
            .get("type")
            .map_or_else(|| self.anything(None), |kind| self.open(kind))
    }

    /// A value of a type, whatever is in it.
    fn open(&self, kind: &Value) -> Value {
        let mut object = Map::new();
        object.insert("type".into(), kind.clone());
        self.shape(&object.clone(), object)
    }

    /// A value of any type.
    fn anything(&self, description: Option<&Value>) -> Value {
        let mut any = if self.table.strict {
            json!({ "anyOf": [{ "type": "string" }, { "type": "number" }, { "type": "boolean" }] })
        } else if self.table.type_lists {
            json!({})
        } else {
            json!({ "type": "string" })
        };
        if let Some(text) = description {
            any["description"] = text.clone();
        }
        any
    }
}

/// An object of strict decoding. One whose members are not known is written as text.
fn closed(object: &Map<String, Value>, mut out: Map<String, Value>) -> Value {
    let has_members = object
        .get("properties")
        .and_then(Value::as_object)
        .is_some_and(|members| !members.is_empty());
    let is_open = object.get("additionalProperties") != Some(&Value::Bool(false));
    let nullable = out.get("type").is_some_and(Value::is_array);
    if !has_members && is_open {
        return json_text(object.get("description"), nullable);
    }
    let required: Vec<String> = strings(object.get("required"));
    let mut names = Vec::new();
    let members = object.get("properties").and_then(Value::as_object);
    let wires = members.into_iter().flat_map(Map::keys);
    let adapted = out.entry("properties").or_insert_with(|| json!({}));
    for (wire, (name, member)) in wires.zip(adapted.as_object_mut().into_iter().flatten()) {
        if !required.contains(wire) {
            admit_null(member);
        }
        names.push(json!(name));
    }
    out.insert("required".into(), Value::Array(names));
    out.insert("additionalProperties".into(), json!(false));
    Value::Object(out)
}

fn strings(list: Option<&Value>) -> Vec<String> {
    let members = list.and_then(Value::as_array).into_iter().flatten();
    members
        .filter_map(|member| Some(member.as_str()?.to_owned()))
        .collect()
}

/// What has to be the type of a schema that does not say.
fn inferred(schema: &Map<String, Value>) -> Option<&'static str> {
    if schema.contains_key("properties") {
        return Some("object");
    }
    if schema.contains_key("items") {
        return Some("array");
    }
    let values = schema.get("enum").and_then(Value::as_array)?;
    let all = |is: fn(&Value) -> bool| values.iter().all(is);
    if all(Value::is_string) {
        Some("string")
    } else if all(Value::is_i64) {
        Some("integer")
    } else if all(Value::is_number) {
        Some("number")
    } else {
        None
    }
}

/// A list of types as one type, or as alternatives of one each.
fn one_type(out: &mut Map<String, Value>, kinds: &[Value]) {
    let plain: Vec<&Value> = kinds.iter().filter(|kind| *kind != "null").collect();
    if plain.len() < kinds.len() {
        out.insert("nullable".into(), json!(true));
    }
    match plain.as_slice() {
        [] => out.insert("type".into(), json!("string")),
        [kind] => out.insert("type".into(), (*kind).clone()),
        [first, ..] if out.contains_key("anyOf") => out.insert("type".into(), (*first).clone()),
        several => {
            out.shift_remove("type");
            let items = out.shift_remove("items");
            let members = several.iter().map(|kind| match (&items, kind.as_str()) {
                (Some(items), Some("array")) => json!({ "type": kind, "items": items }),
                (None, Some("array")) => json!({ "type": kind, "items": { "type": "string" } }),
                _ => json!({ "type": kind }),
            });
            let members = members.collect();
            for key in ["properties", "required", "enum"] {
                out.shift_remove(key);
            }
            out.insert("anyOf".into(), Value::Array(members))
        }
    };
}

/// Enumerations of other values than strings become words.
fn only_strings(out: &mut Map<String, Value>) {
    let Some(Value::Array(values)) = out.get("enum").cloned() else {
        return;
    };
    let shown: Vec<&Value> = values.iter().filter(|value| !value.is_null()).collect();
    if shown.len() < values.len() {
        out.insert("nullable".into(), json!(true));
    }
    let of_strings = shown
        .iter()
        .all(|value| value.as_str().is_some_and(|text| !text.is_empty()));
    if of_strings && !shown.is_empty() && out.get("type").is_none_or(|kind| kind == "string") {
        out.insert("enum".into(), json!(shown));
        return;
    }
    out.shift_remove("enum");
    let words: Vec<String> = shown.iter().map(ToString::to_string).collect();
    let text = out
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let text = format!("{text} One of {}.", words.join(", "));
    out.insert("description".into(), Value::String(text.trim().to_owned()));
}

/// An object nobody knows the members of, for an interface that closes every object.
fn json_text(description: Option<&Value>, nullable: bool) -> Value {
    let text = description.and_then(Value::as_str).unwrap_or_default();
    let text = format!("{text} A JSON object, written as text.");
    let kind = if nullable {
        json!(["string", "null"])
    } else {
        json!("string")
    };
    json!({ "type": kind, "description": text.trim() })
}

/// `null` beside what a schema admits.
fn admit_null(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    let kind = object.get("type").cloned();
    match kind {
        Some(Value::String(kind)) if kind != "null" => {
            object.insert("type".into(), json!([kind, "null"]));
        }
        Some(Value::Array(mut kinds)) if !kinds.iter().any(|kind| kind == "null") => {
            kinds.push(json!("null"));
            object.insert("type".into(), Value::Array(kinds));
        }
        Some(_) => {}
        None => {
            let any = object.get_mut("anyOf").and_then(Value::as_array_mut);
            match any {
                Some(members) if !members.iter().any(|m| m["type"] == "null") => {
                    members.push(json!({ "type": "null" }));
                }
                Some(_) => {}
                None => *schema = json!({ "anyOf": [schema.clone(), { "type": "null" }] }),
            }
            return;
        }
    }
    if let Some(Value::Array(values)) = object.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
    // `const` beside `null` would admit nothing else.
    if let Some(value) = object.shift_remove("const") {
        object.insert("enum".into(), json!([value, null]));
    }
}
