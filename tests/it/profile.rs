//! Every tool under every profile obeys that profile's table, and the arguments it asks for make the
//! request that the tool's own arguments make. The rules are checked here a second time, from the
//! same table, by code that shares nothing with the code that obeys it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use causeway::mcp::fragment::WireClass;
use causeway::mcp::plan::plan;
use causeway::mcp::tool::profile::Profile;
use causeway::mcp::tool::{Tool, define};
use causeway::openapi::{DocumentLimits, read};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use url::Url;

#[derive(Deserialize)]
struct Rules {
    tool_marks: String,
    tool_length_max: usize,
    property_marks: String,
    property_length_max: usize,
    #[serde(default)]
    starts_with_letter: bool,
    keywords: Vec<String>,
    formats: Option<Vec<String>>,
    depth_max: usize,
    #[serde(default)]
    type_lists: bool,
    #[serde(default)]
    strict: bool,
    #[serde(default)]
    enum_strings_only: bool,
    source: String,
    date: String,
}

fn rules() -> HashMap<String, Rules> {
    toml::from_str(include_str!("../../src/mcp/tool/profiles.toml")).unwrap()
}

/// The tools of our examples, and of the real documents where they lie beside the checkout.
fn tools() -> Vec<(String, Tool)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["specs-examples", "../shared/specs"] {
        let Ok(entries) = std::fs::read_dir(root.join(folder)) else {
            continue;
        };
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths.iter().filter(|path| path.is_file()) {
            let bytes = std::fs::read(path).unwrap();
            let Ok(api) = read(&bytes, &DocumentLimits::default()) else {
                continue;
            };
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            for def in define(&api).tools {
                let (tool, _) = Tool::compile(def);
                found.push((format!("{file}: {}", tool.def.name), tool));
            }
        }
    }
    found
}

fn made_of(name: &str, marks: &str, length_max: usize) -> bool {
    !name.is_empty()
        && name.len() <= length_max
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || marks.contains(c))
}

struct Check<'a> {
    rules: &'a Rules,
    faults: Vec<String>,
}

impl Check<'_> {
    fn fault(&mut self, at: &str, text: &str) {
        self.faults.push(format!("{at}: {text}"));
    }

    fn schema(&mut self, schema: &Value, at: &str, depth: usize) {
        let Some(object) = schema.as_object() else {
            if schema != &Value::Bool(false) || !at.ends_with("additionalProperties") {
                self.fault(at, "not an object");
            }
            return;
        };
        if depth > self.rules.depth_max + 1 {
            self.fault(at, "too deep");
        }
        for (key, value) in object {
            if !self.rules.keywords.contains(key) {
                self.fault(at, &format!("keyword {key}"));
            }
            self.keyword(key, value, at, depth);
        }
        self.types(object, at);
        if self.rules.strict {
            self.strict(object, at);
        }
    }

    fn keyword(&mut self, key: &str, value: &Value, at: &str, depth: usize) {
        match (key, value) {
            ("properties", Value::Object(members)) => {
                for (name, member) in members {
                    let fits = made_of(
                        name,
                        &self.rules.property_marks,
                        self.rules.property_length_max,
                    );
                    let starts = name.starts_with(|c: char| c.is_ascii_digit());
                    if !fits || self.rules.starts_with_letter && starts {
                        self.fault(at, &format!("property {name}"));
                    }
                    self.schema(member, &format!("{at}/{name}"), depth + 1);
                }
            }
            ("$defs", Value::Object(members)) => {
                for (name, member) in members {
                    self.schema(member, &format!("{at}/$defs/{name}"), 1);
                }
            }
            ("anyOf" | "oneOf" | "allOf", Value::Array(members)) => {
                for member in members {
                    self.schema(member, &format!("{at}/{key}"), depth);
                }
                if depth == 0 || members.is_empty() {
                    self.fault(at, &format!("{key} at the root, or empty"));
                }
            }
            ("additionalProperties", Value::Bool(_)) => {}
            ("items" | "additionalProperties", inner) => {
                self.schema(inner, &format!("{at}/{key}"), depth + 1);
            }
            ("format", Value::String(format)) => {
                let formats = self.rules.formats.as_ref();
                if formats.is_some_and(|formats| !formats.contains(format)) {
                    self.fault(at, &format!("format {format}"));
                }
            }
            _ => {}
        }
    }

    fn types(&mut self, object: &Map<String, Value>, at: &str) {
        let kind = object.get("type");
        let combined = ["anyOf", "oneOf", "$ref"]
            .iter()
            .any(|key| object.contains_key(*key));
        if !self.rules.type_lists && kind.is_some_and(Value::is_array) {
            self.fault(at, "a list of types");
        }
        if (self.rules.strict || !self.rules.type_lists) && kind.is_none() && !combined {
            self.fault(at, "no type");
        }
        let is_array = kind == Some(&json!("array"));
        if (self.rules.strict || !self.rules.type_lists)
            && is_array
            && !object.contains_key("items")
        {
            self.fault(at, "an array without items");
        }
        if let Some(Value::Array(values)) = object.get("enum")
            && self.rules.enum_strings_only
            && (kind != Some(&json!("string")) || !values.iter().all(Value::is_string))
        {
            self.fault(at, "an enumeration of something else than strings");
        }
        let names: Vec<&Value> = object
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .collect();
        for name in names {
            let known = object
                .get("properties")
                .and_then(|members| members.get(name.as_str()?));
            if known.is_none() && (self.rules.strict || !self.rules.type_lists) {
                self.fault(at, &format!("{name} is required and not described"));
            }
        }
    }

    fn strict(&mut self, object: &Map<String, Value>, at: &str) {
        let kind = object.get("type");
        let is_object = kind == Some(&json!("object"))
            || kind
                .and_then(Value::as_array)
                .is_some_and(|kinds| kinds.contains(&json!("object")));
        if !is_object {
            return;
        }
        if object.get("additionalProperties") != Some(&json!(false)) {
            self.fault(at, "an open object");
        }
        let members = object.get("properties").and_then(Value::as_object);
        let names: Vec<Value> = members
            .into_iter()
            .flat_map(Map::keys)
            .map(|name| json!(name))
            .collect();
        if object.get("required") != Some(&Value::Array(names)) {
            self.fault(at, "not every property is required");
        }
    }
}

#[test]
fn every_tool_obeys_every_table() {
    let rules = rules();
    for (name, rules) in &rules {
        assert!(
            rules.source.starts_with("https://") && rules.date.len() == 10,
            "{name}"
        );
    }
    let mut faults = Vec::new();
    for (what, tool) in tools() {
        for profile in Profile::ALL {
            let entry = tool.fragments.get(WireClass::Structured, profile);
            let entry: Value = serde_json::from_str(entry.json.get()).unwrap();
            let Some(rules) = rules.get(profile.as_str()) else {
                assert_eq!(profile, Profile::Full);
                continue;
            };
            let mut check = Check {
                rules,
                faults: Vec::new(),
            };
            let tool_name = entry["name"].as_str().unwrap();
            if !made_of(tool_name, &rules.tool_marks, rules.tool_length_max) {
                check.fault("", "the tool's name");
            }
            if entry["inputSchema"]["type"] != "object" {
                check.fault("", "the root is no object");
            }
            check.schema(&entry["inputSchema"], "", 0);
            let found = check.faults.iter().take(3);
            faults.extend(found.map(|fault| format!("{} {what}: {fault}", profile.as_str())));
        }
    }
    faults.truncate(40);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A value of a schema: `null` wherever that is possible.
fn sample(schema: &Value, root: &Value, depth: usize) -> Value {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        return sample(root.pointer(&target[1..]).unwrap(), root, depth + 1);
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let null = values.iter().find(|value| value.is_null());
        return null.unwrap_or(&values[0]).clone();
    }
    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds.clone(),
        kind => vec![kind.clone()],
    };
    let any = schema.get("anyOf").and_then(Value::as_array);
    if let Some(members) = any {
        let null = members.iter().find(|member| member["type"] == "null");
        return sample(null.unwrap_or(&members[0]), root, depth + 1);
    }
    if kinds.contains(&json!("null")) || schema["nullable"] == true || depth > 20 {
        return Value::Null;
    }
    match kinds[0].as_str().unwrap_or("string") {
        "object" => {
            let members = schema.get("properties").and_then(Value::as_object);
            let members = members.into_iter().flatten();
            members
                .map(|(name, member)| (name.clone(), sample(member, root, depth + 1)))
                .collect()
        }
        "array" => json!([]),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(1)),
        "boolean" => json!(true),
        _ if schema["description"]
            .as_str()
            .is_some_and(|text| text.ends_with("written as text.")) =>
        {
            json!("{\"k\":1}")
        }
        _ => json!("x"),
    }
}

/// Without `null` where that is a value of its own, and so means something else than absence.
fn unambiguous(value: &Value, schema: &Value, root: &Value) -> Value {
    let target = schema.get("$ref").and_then(Value::as_str);
    let schema = target.map_or(schema, |target| root.pointer(&target[1..]).unwrap());
    let Some(members) = value.as_object() else {
        return value.clone();
    };
    let resolved = |schema: &Value| {
        let target = schema.get("$ref").and_then(Value::as_str);
        target.map_or_else(
            || schema.clone(),
            |target| root.pointer(&target[1..]).unwrap().clone(),
        )
    };
    let members = members.iter().filter_map(|(name, member)| {
        let inner = schema
            .get("properties")
            .and_then(|members| members.get(name));
        let inner = inner.map(resolved).unwrap_or_default();
        let plain = inner["type"].as_str().is_some_and(|kind| kind != "null");
        let keep = !member.is_null() || plain;
        keep.then(|| (name.clone(), unambiguous(member, &inner, root)))
    });
    Value::Object(members.collect())
}

/// Without what is `null`, and objects that were written as text.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .filter(|(_, member)| !member.is_null())
            .map(|(name, member)| (name.clone(), plain(member)))
            .collect(),
        Value::String(text) if text == "{\"k\":1}" => json!({ "k": 1 }),
        other => other.clone(),
    }
}

#[test]
fn arguments_in_the_strict_shape_make_the_same_request() {
    let base = Url::parse("https://api.example").unwrap();
    let mut same = 0;
    for (what, tool) in tools() {
        let entry = tool
            .fragments
            .get(WireClass::Structured, Profile::OpenaiStrict);
        let entry: Value = serde_json::from_str(entry.json.get()).unwrap();
        let schema = &entry["inputSchema"];
        let whole = &tool.def.input_schema;
        let strict = unambiguous(&sample(schema, schema, 0), whole, whole);
        let request = |arguments: &Value| {
            let raw = RawValue::from_string(arguments.to_string()).unwrap();
            let planned = plan(&tool, &base, &Some(raw)).ok()?.request;
            Some((planned.method, planned.url, planned.body))
        };
        if let Some(expected) = request(&plain(&strict)) {
            assert_eq!(request(&strict), Some(expected), "{what}: {strict}");
            same += 1;
        }
    }
    assert!(same > 40, "{same}");
}

#[test]
fn names_of_a_profile_find_the_arguments() {
    let document = json!({
        "openapi": "3.1.0", "info": { "title": "T", "version": "1" },
        "servers": [{ "url": "https://api.example" }],
        "paths": { "/x": { "post": { "operationId": "x",
            "parameters": [{ "name": "Idempotency-Key", "in": "header", "required": true,
                "schema": { "type": "string" } }],
            "requestBody": { "required": true, "content": { "application/json": { "schema": {
                "type": "object", "additionalProperties": false, "required": ["first.name"],
                "properties": { "first.name": { "type": "string" }, "deep": { "type": "object",
                    "properties": { "a-b": { "type": "integer" }, "none": { "type": "string" } },
                    "additionalProperties": false } } } } } },
            "responses": { "200": { "description": "ok" } } } } },
    });
    let api = read(document.to_string().as_bytes(), &DocumentLimits::default()).unwrap();
    let (tool, _) = Tool::compile(define(&api).tools.remove(0));
    let entry = tool.fragments.get(WireClass::Structured, Profile::Gemini);
    let entry: Value = serde_json::from_str(entry.json.get()).unwrap();
    let names: Vec<&String> = entry["inputSchema"]["properties"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(names, ["Idempotency_Key", "first_name", "deep"]);
    assert_eq!(
        entry["inputSchema"]["required"],
        json!(["Idempotency_Key", "first_name"])
    );
    let arguments = r#"{"Idempotency_Key":"k","first_name":"A","deep":{"a_b":12345678901234567890,"none":null}}"#;
    let raw = RawValue::from_string(arguments.to_owned()).unwrap();
    let base = Url::parse("https://api.example").unwrap();
    let request = plan(&tool, &base, &Some(raw)).unwrap().request;
    assert_eq!(request.headers["idempotency-key"], "k");
    assert_eq!(
        &request.body[..],
        br#"{"first.name":"A","deep":{"a-b":12345678901234567890}}"#
    );
}
