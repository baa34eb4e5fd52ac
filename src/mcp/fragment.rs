//! A tool's entry of `tools/list`, written once per wire class and profile.

use std::sync::{Arc, OnceLock};

use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::mcp::tool::profile::Profile;
use crate::mcp::tool::schema::cleaned;
use crate::mcp::tool::shrink::{Budget, Listed, SHORTENED_NOTE, shrink};
use crate::mcp::tool::text::clean;
use crate::mcp::tool::{Annotations, ToolDef};
use crate::tokens;
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

/// A tool's entries, each written when it is first asked for.
#[derive(Debug)]
pub struct Fragments {
    def: Arc<ToolDef>,
    budget: Budget,
    /// By [`Profile`], first of [`WireClass::Early`], then of the two others, which are the same.
    entries: [[OnceLock<Fragment>; 5]; 2],
}

/// One entry.
#[derive(Debug)]
pub struct Fragment {
    pub json: Box<RawValue>,
    /// Some arguments are not listed.
    pub shortened: bool,
}

/// The first page of `tools/list` for callers who see every tool, per profile and wire class, written
/// on first use: the page most clients ask for, and the only one of most servers.
#[derive(Debug, Default)]
pub struct FirstPages([[OnceLock<String>; 5]; 3]);

impl FirstPages {
    /// The page, written by `write` if it is the first time.
    pub fn get(
        &self,
        (class, profile): (WireClass, Profile),
        write: impl FnOnce() -> String,
    ) -> &str {
        self.0[class as usize][profile as usize].get_or_init(write)
    }
}

impl Fragments {
    /// The entries of `def`, none of which is written yet.
    pub fn new(def: Arc<ToolDef>, budget: Budget) -> Self {
        Self {
            def,
            budget,
            entries: Default::default(),
        }
    }

    /// The entry for one class of protocol versions and one profile.
    pub fn get(&self, class: WireClass, profile: Profile) -> &Fragment {
        let early = class == WireClass::Early;
        let entry = &self.entries[usize::from(!early)][profile as usize];
        entry.get_or_init(|| write(&self.def, early, profile, self.budget))
    }

    /// The entry most clients get.
    pub fn usual(&self) -> &Fragment {
        self.get(WireClass::Structured, Profile::Portable)
    }

    /// What the entry costs a model, in tokens.
    pub fn tokens(&self) -> usize {
        tokens::estimate(self.usual().json.get())
    }
}

/// MCP `Tool`, in the order the specification lists its fields.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    name: &'a ToolName,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    description: String,
    input_schema: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_schema: Option<&'a Value>,
    annotations: Annotations,
}

/// How often a tool that a profile made longer is shrunk again, to half each time.
const TRIES: usize = 4;

/// The schemas as a profile has them, within the budget.
fn listed(def: &ToolDef, profile: Profile, budget: Budget) -> Listed {
    if profile == Profile::Full {
        return Listed {
            input: def.input_schema.clone(),
            output: def.output_schema.clone(),
            shortened: false,
        };
    }
    let mut listed = shrink(def, budget);
    for attempt in 1..TRIES {
        listed.input = profile.adapt(&listed.input);
        if tokens::estimate(&listed.input.to_string()) <= budget.tokens_max {
            break;
        }
        listed = shrink(def, Budget::of(budget.tokens_max >> attempt));
        if attempt + 1 == TRIES {
            listed.input = profile.adapt(&listed.input);
        }
    }
    listed
}

/// Whatever a stored tool says, only text that shows is written.
fn write(def: &ToolDef, early: bool, profile: Profile, budget: Budget) -> Fragment {
    let listed = listed(def, profile, budget);
    let note = if listed.shortened { SHORTENED_NOTE } else { "" };
    let title = def.title.as_deref().map(clean);
    let output = listed.output.as_ref().filter(|_| !early).map(cleaned);
    let entry = Entry {
        name: &def.name,
        title: title.clone().filter(|_| !early),
        description: format!("{}{note}", clean(&def.description)),
        input_schema: &cleaned(&listed.input),
        output_schema: output.as_ref(),
        annotations: Annotations {
            // Since 2025-06-18 a tool has a title of its own.
            title: title.filter(|_| early),
            ..def.annotations.clone()
        },
    };
    Fragment {
        json: to_raw_value(&entry).expect("strings, booleans and JSON values always serialize"),
        shortened: listed.shortened,
    }
}
