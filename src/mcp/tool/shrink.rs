//! What of a tool is listed, within a budget of tokens.
//!
//! A tool keeps its whole schemas: arguments are checked against them and its page shows them. What
//! a model is told costs tokens in every conversation, so the list says less where saying all would
//! cost too much. Each step below loses something a model misses less than what later steps lose;
//! they are taken in order until the tool fits. Nothing listed is wrong: a step only leaves out.

use std::collections::HashMap;

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::mcp::tool::fit::{deepest, outermost};
use crate::mcp::tool::schema::each_inner;
use crate::mcp::tool::words::{adds_to, digest, first_sentence};
use crate::mcp::tool::{ToolDef, name};
use crate::tokens;

/// What a tool's entry in a list may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Arguments are left out, level by level, above this.
    pub tokens_max: usize,
    /// Words are shortened above this.
    pub words_tokens_max: usize,
    /// The output schema is an outline above this, and absent where even that costs more.
    pub output_tokens_max: usize,
}

impl Budget {
    /// The budget for a tool that may cost `tokens_max` in all.
    pub fn of(tokens_max: usize) -> Self {
        Self {
            tokens_max,
            words_tokens_max: tokens_max / 4,
            output_tokens_max: tokens_max / 15,
        }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::of(TOOL_TOKENS_MAX)
    }
}

/// What one tool may cost where the owner does not say.
pub const TOOL_TOKENS_MAX: usize = 1_500;

/// The schemas of a tool as they are listed.
pub struct Listed {
    pub input: Value,
    pub output: Option<Value>,
    /// Arguments were left out, not just words.
    pub shortened: bool,
}

/// What every list says of its tools where some of their arguments had to be left out.
pub const SHORTENED_NOTE: &str =
    "\nThe inner arguments are not all listed; the tool's resource has them.";

/// The schemas of `def`, within the budget.
pub fn shrink(def: &ToolDef, budget: Budget) -> Listed {
    let head = tokens::estimate(&def.description) + tokens::estimate(def.name.as_str()) + 60;
    let output = def.output_schema.as_ref();
    let output = output.and_then(|schema| outline(schema, budget.output_tokens_max));
    let spent = head + output.as_ref().map_or(0, cost);
    let room = budget.tokens_max.saturating_sub(spent).max(ROOM_TOKENS_MIN);
    let words = budget.words_tokens_max.min(room);
    let (input, shortened) = input(&def.input_schema, words, room);
    Listed {
        input,
        output,
        shortened,
    }
}

/// The same with as many words as fit, and whole where it fits.
pub fn shrink_to(def: &ToolDef, tokens_max: usize) -> Listed {
    let budget = Budget {
        tokens_max,
        words_tokens_max: tokens_max,
        output_tokens_max: 0,
    };
    shrink(def, budget)
}

/// However long the description is, arguments have this much.
const ROOM_TOKENS_MIN: usize = 100;

fn cost(schema: &Value) -> usize {
    tokens::estimate(&schema.to_string())
}

fn input(schema: &Value, words_max: usize, tokens_max: usize) -> (Value, bool) {
    let mut schema = schema.clone();
    tidy(&mut schema, None);
    // Inner levels first: the arguments themselves are what a model has to choose from.
    for (depth, bytes_max) in [(2, 100), (1, 160), (2, 60), (2, 0), (1, 100)] {
        if cost(&schema) <= words_max {
            return (schema, false);
        }
        shorten_words(&mut schema, depth, bytes_max);
    }
    schema = share(schema);
    if cost(&schema) <= tokens_max {
        return (schema, false);
    }
    summarize_enumerations(&mut schema);
    if cost(&schema) <= tokens_max {
        return (schema, true);
    }
    let fits = |pruned: &Value| cost(pruned) <= tokens_max;
    if let Some(pruned) = deepest(&schema, &[2, 3, 4, 5, 6], fits) {
        return (share(pruned), true);
    }
    let mut bare = outermost(&schema);
    shorten_words(&mut bare, 1, 0);
    if cost(&bare) > tokens_max {
        names_only(&mut bare);
    }
    (bare, true)
}

/// Takes out what tells a model nothing: titles, keywords that say what is so anyway, descriptions
/// that repeat the name of what they describe.
fn tidy(schema: &mut Value, name: Option<&str>) {
    let Value::Object(object) = schema else {
        return;
    };
    object.shift_remove("title");
    let is_object = object.get("type").is_some_and(|kind| kind == "object");
    object.retain(|key, value| !match key.as_str() {
        "description" => {
            let text = value.as_str().unwrap_or_default();
            name.is_some_and(|name| !adds_to(text, name))
        }
        "deprecated" | "uniqueItems" => value == false,
        "additionalProperties" => value == true || value == &json!({}),
        "minLength" | "minItems" | "minProperties" => value == 0,
        "default" => value.is_null(),
        "maxLength" | "pattern" => is_object,
        "format" => matches!(
            value.as_str(),
            Some("int32" | "int64" | "float" | "double" | "string")
        ),
        _ => false,
    });
    each_inner(object, &mut |inner, name| tidy(inner, name));
}

/// Shortens descriptions from `depth` levels down; 0 bytes takes them out.
fn shorten_words(schema: &mut Value, depth: usize, bytes_max: usize) {
    let Value::Object(object) = schema else {
        return;
    };
    if depth == 0
        && let Some(Value::String(text)) = object.get_mut("description")
        && text.len() > bytes_max
    {
        *text = if bytes_max < FIRST_SENTENCE_BYTES {
            digest(first_sentence(text), &[], bytes_max)
        } else {
            digest(text, &[], bytes_max)
        };
        if text.is_empty() {
            object.shift_remove("description");
        }
    }
    each_inner(object, &mut |inner, _| {
        shorten_words(inner, depth.saturating_sub(1), bytes_max);
    });
}

/// Below this, more than one sentence is not worth looking at.
const FIRST_SENTENCE_BYTES: usize = 80;

/// Values of an enumeration that are listed at most where room is short.
const ENUMERATED_MAX: usize = 12;

fn summarize_enumerations(schema: &mut Value) {
    let Value::Object(object) = schema else {
        return;
    };
    if let Some(Value::Array(values)) = object.get("enum")
        && values.len() > ENUMERATED_MAX
    {
        let shown = values.iter().take(ENUMERATED_MAX).map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        let shown = shown.collect::<Vec<_>>().join(", ");
        let count = values.len();
        let text = object.get("description").and_then(Value::as_str);
        let text = text.map(|text| format!("{text} ")).unwrap_or_default();
        object.insert(
            "description".into(),
            Value::String(format!("{text}One of {count} values: {shown}, …")),
        );
        object.shift_remove("enum");
    }
    each_inner(object, &mut |inner, _| summarize_enumerations(inner));
}

/// Arguments by name and type alone.
fn names_only(schema: &mut Value) {
    let members = schema.get_mut("properties").and_then(Value::as_object_mut);
    for member in members.into_iter().flat_map(Map::values_mut) {
        let kind = member.get("type").cloned();
        *member = kind.map_or(json!({}), |kind| json!({ "type": kind }));
    }
}

/// A schema this long that stands twice is written once, as a definition.
const SHARED_BYTES_MIN: usize = 200;

/// Writes what stands more than once as a definition.
fn share(schema: Value) -> Value {
    let mut counts = HashMap::new();
    count(&schema, &mut counts);
    counts.retain(|text, count| *count > 1 && text.len() >= SHARED_BYTES_MIN);
    if counts.is_empty() {
        return schema;
    }
    let Value::Object(mut root) = schema else {
        return schema;
    };
    let mut taken: IndexMap<String, Value> = match root.shift_remove("$defs") {
        Some(Value::Object(definitions)) => definitions.into_iter().collect(),
        _ => IndexMap::new(),
    };
    let mut sharing = Sharing {
        repeated: counts.into_keys().map(|text| (text, None)).collect(),
        definitions: IndexMap::new(),
        taken: taken.keys().cloned().collect(),
    };
    each_inner(&mut root, &mut |inner, name| sharing.visit(inner, name));
    for definition in taken.values_mut() {
        let Value::Object(object) = definition else {
            continue;
        };
        each_inner(object, &mut |inner, name| sharing.visit(inner, name));
    }
    taken.extend(sharing.definitions);
    root.insert("$defs".into(), Value::Object(taken.into_iter().collect()));
    Value::Object(root)
}

struct Sharing {
    /// The text of each schema that stands more than once, and its name once it has one.
    repeated: HashMap<String, Option<String>>,
    definitions: IndexMap<String, Value>,
    taken: Vec<String>,
}

impl Sharing {
    fn visit(&mut self, schema: &mut Value, property: Option<&str>) {
        let text = schema.to_string();
        let named = self.repeated.get(&text).cloned();
        let Some(named) = named else {
            if let Value::Object(object) = schema {
                each_inner(object, &mut |inner, name| self.visit(inner, name));
            }
            return;
        };
        let used = named.unwrap_or_else(|| {
            let used = name::unique(property.unwrap_or("shared"), |candidate| {
                !self.taken.iter().any(|taken| taken == candidate)
            });
            self.taken.push(used.clone());
            self.repeated.insert(text, Some(used.clone()));
            let mut body = schema.clone();
            if let Value::Object(object) = &mut body {
                each_inner(object, &mut |inner, name| self.visit(inner, name));
            }
            self.definitions.insert(used.clone(), body);
            used
        });
        *schema = json!({ "$ref": format!("#/$defs/{used}") });
    }
}

fn count(schema: &Value, counts: &mut HashMap<String, usize>) {
    let mut schema = schema.clone();
    if let Value::Object(object) = &mut schema {
        each_inner(object, &mut |inner, _| {
            if inner.is_object() {
                let known = counts.entry(inner.to_string()).or_insert(0);
                *known += 1;
                // What stands inside something repeated is repeated with it.
                if *known == 1 {
                    count(inner, counts);
                }
            }
        });
    }
}

/// The members of a result, without words; the first levels only where more costs too much.
fn outline(schema: &Value, tokens_max: usize) -> Option<Value> {
    let mut schema = schema.clone();
    strip_words(&mut schema);
    if cost(&schema) <= tokens_max {
        return Some(schema);
    }
    deepest(&schema, &[2, 3], |pruned| cost(pruned) <= tokens_max)
}

fn strip_words(schema: &mut Value) {
    let Value::Object(object) = schema else {
        return;
    };
    for key in ["title", "description", "deprecated"] {
        object.shift_remove(key);
    }
    each_inner(object, &mut |inner, _| strip_words(inner));
}
