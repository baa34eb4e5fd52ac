//! A tool's entry of `tools/list`, serialized once per wire class.

use std::sync::OnceLock;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::mcp::tool::{Annotations, ToolDef};
use crate::types::ToolName;

/// The classes of protocol versions that see the same JSON for a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireClass {
    /// 2024-11-05 to 2025-03-26.
    Early,
    /// 2025-06-18 and 2025-11-25: titles and output schemas.
    Structured,
    /// 2026-07-28.
    Stateless,
}

/// Prebuilt JSON per [`WireClass`].
#[derive(Clone, Debug)]
pub struct Fragments {
    pub early: Box<RawValue>,
    pub structured: Box<RawValue>,
    pub stateless: Box<RawValue>,
}

/// The first page of `tools/list` for callers who see every tool, per wire class, written on first
/// use: the page most clients ask for, and the only one of most servers.
#[derive(Debug, Default)]
pub struct FirstPages([OnceLock<String>; 3]);

impl FirstPages {
    /// The page, written by `write` if it is the first time.
    pub fn get(&self, class: WireClass, write: impl FnOnce() -> String) -> &str {
        self.0[class as usize].get_or_init(write)
    }
}

impl Fragments {
    /// Serializes a tool once for each class.
    pub fn of(def: &ToolDef) -> Self {
        let early = Entry {
            name: &def.name,
            title: None,
            description: &def.description,
            input_schema: &def.input_schema,
            output_schema: None,
            annotations: &def.annotations,
        };
        let full = Entry {
            title: def.title.as_deref(),
            output_schema: def.output_schema.as_ref(),
            ..early
        };
        let structured = raw(&full);
        Self {
            early: raw(&early),
            stateless: structured.clone(),
            structured,
        }
    }

    /// The JSON for one class.
    pub fn get(&self, class: WireClass) -> &RawValue {
        match class {
            WireClass::Early => &self.early,
            WireClass::Structured => &self.structured,
            WireClass::Stateless => &self.stateless,
        }
    }
}

/// MCP `Tool`, in the order the specification lists its fields.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    name: &'a ToolName,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    description: &'a str,
    input_schema: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_schema: Option<&'a Value>,
    annotations: &'a Annotations,
}

fn raw(entry: &Entry<'_>) -> Box<RawValue> {
    to_raw_value(entry).expect("strings, booleans and JSON values always serialize")
}
