//! In what a provider differs from the dialect it says it speaks, mostly OpenAI's chat completions.
//!
//! A quirk changes the body of one request. Hints that a provider does not know are named in what comes back;
//! what the meaning of the answer depends on is refused, for an answer to another question helps nobody. Which
//! provider has which quirk, and on what page that is said, is in the data.

mod contents;
mod messages;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::llm::dialect::Dropped;
use crate::llm::fault::Fault;

type Body = Map<String, Value>;

/// One difference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quirk {
    /// Fields have other names: `max_completion_tokens` is `max_tokens`, `seed` is `random_seed`. A field that is
    /// there under its new name already stays.
    Renames(BTreeMap<String, String>),
    /// Fields it does not know: taken out and named. Several answers (`n`), log-probabilities, tools, sound and
    /// stop sequences are refused instead, unless they are asked for in the way that asks for nothing.
    Lacks(Vec<String>),
    /// Fields that always have this value.
    Sets(Map<String, Value>),
    /// The model is in the URL, and must not be in the body.
    NoModel,
    /// The role `developer` is not known; it is `system`.
    DeveloperIsSystem,
    /// `stream_options` is not known: streams end with usage always, or never.
    NoStreamOptions,
    /// `parallel_tool_calls` is not known.
    NoParallelToolCalls,
    /// Tools are called when the model wants to: `tool_choice` can be `auto` only. `none` takes the tools away;
    /// a call that has to be made is refused.
    AutoToolsOnly,
    /// `strict` of a tool is not known.
    NoStrict,
    /// Of structured output only `json_object` is known: a schema goes into the instructions, and the answer is
    /// JSON, but nobody checks that it fits.
    JsonObjectOnly,
    /// Of structured output only `json_schema` is known: `json_object` becomes the schema of any object.
    JsonSchemaOnly,
    /// `content` has to be a text: parts of text are joined by line breaks. A message with another part stays
    /// as it is, for the provider to say what it thinks of it.
    TextContent,
    /// `name` of a message is not known.
    NoNames,
    /// The user and the assistant take turns: messages of one role in a row become one.
    TakesTurns,
    /// Ids of tool calls are nine letters and digits: others are replaced by a digest of theirs, in the call and
    /// in its result alike.
    NineLetterToolIds,
    /// `temperature` has narrower limits: a value beyond becomes the limit.
    TemperatureWithin(f64, f64),
    /// Thinking is switched by a field of its own, which `reasoning_effort` says how to set.
    ThinkingSwitch(Switch),
    /// What a model thought does not go back to it in `reasoning_content`.
    Thoughts(Thoughts),
    /// Calls of functions and their results have no `id` (Gemini): they belong together by name and order.
    NoCallIds,
}

/// How thoughts go back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thoughts {
    /// Where models with such names take them, by patterns in which `*` stands for anything; no other does.
    pub models: Vec<String>,
    pub place: ThoughtPlace,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ThoughtPlace {
    /// A field of the message.
    Field(String),
    /// Parts of the content: `{type: thinking, thinking: [{type: text, text}]}`.
    Parts,
}

/// How thinking is switched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    /// `thinking: {type: enabled | disabled}`; the effort stays beside it.
    ThinkingAndEffort,
    /// `enable_thinking: true | false`; there are no degrees.
    EnableThinking,
}

impl Quirk {
    /// Changes a body accordingly and names what was left out; a fault where that would change what was asked
    /// for. What the body does not have is never made up, and of a body that is no request nothing is changed
    /// that this does not know.
    pub fn apply(&self, body: &mut Body) -> Result<Vec<Dropped>, Fault> {
        match self {
            Self::Renames(names) => Ok(rename(body, names)),
            Self::Lacks(fields) => lack(body, fields),
            Self::Sets(fields) => {
                body.extend(fields.clone());
                Ok(Vec::new())
            }
            Self::NoModel => {
                body.shift_remove("model");
                Ok(Vec::new())
            }
            Self::NoStreamOptions => {
                body.shift_remove("stream_options");
                Ok(Vec::new())
            }
            Self::NoParallelToolCalls => Ok(drop(body, "parallel_tool_calls")),
            Self::AutoToolsOnly => auto_tools_only(body),
            Self::NoStrict => Ok(no_strict(body)),
            Self::JsonObjectOnly => Ok(json_object_only(body)),
            Self::JsonSchemaOnly => {
                json_schema_only(body);
                Ok(Vec::new())
            }
            Self::TemperatureWithin(low, high) => Ok(temperature_within(body, *low, *high)),
            Self::ThinkingSwitch(switch) => Ok(switch_thinking(body, *switch)),
            Self::NoCallIds => {
                contents::drop_call_ids(body);
                Ok(Vec::new())
            }
            Self::Thoughts(thoughts) => Ok(messages::put_thoughts(body, thoughts)),
            Self::DeveloperIsSystem
            | Self::TextContent
            | Self::NoNames
            | Self::TakesTurns
            | Self::NineLetterToolIds => Ok(messages::apply(self, body)),
        }
    }
}

fn unknown_here(field: &str) -> Dropped {
    Dropped::new(field, "the provider does not know it")
}

/// Takes a field out; null is as good as absent.
fn drop(body: &mut Body, field: &str) -> Vec<Dropped> {
    let taken = body.shift_remove(field).filter(|value| !value.is_null());
    taken.map(|_| unknown_here(field)).into_iter().collect()
}

/// Renames fields where they stand, so that the order of the others does not change.
fn rename(body: &mut Body, names: &BTreeMap<String, String>) -> Vec<Dropped> {
    let mut dropped = Vec::new();
    for (old, new) in names {
        if body.contains_key(new) {
            dropped.extend(drop(body, old));
            continue;
        }
        let renamed = std::mem::take(body).into_iter().map(|(name, value)| {
            let name = if name == *old { new.clone() } else { name };
            (name, value)
        });
        *body = renamed.collect();
    }
    dropped
}

fn lack(body: &mut Body, fields: &[String]) -> Result<Vec<Dropped>, Fault> {
    let mut dropped = Vec::new();
    for field in fields {
        let Some(value) = body.get(field).filter(|value| !value.is_null()) else {
            body.shift_remove(field);
            continue;
        };
        match meaning(field, value) {
            Meaning::Nothing => {
                body.shift_remove(field);
            }
            Meaning::Hint => dropped.extend(drop(body, field)),
            Meaning::Answer(what) => return Err(refused(field, what)),
        }
    }
    Ok(dropped)
}

/// What a field does to an answer.
enum Meaning {
    /// What it would be without it.
    Nothing,
    Hint,
    /// Decides what is in it.
    Answer(&'static str),
}

fn meaning(field: &str, value: &Value) -> Meaning {
    let empty = match value {
        Value::Bool(flag) => !flag,
        Value::Array(list) => list.is_empty(),
        Value::Number(number) => number.as_f64() == Some(if field == "n" { 1.0 } else { 0.0 }),
        _ => false,
    };
    match field {
        _ if empty => Meaning::Nothing,
        "n" => Meaning::Answer("several answers"),
        "logprobs" | "top_logprobs" => Meaning::Answer("log-probabilities"),
        "tools" | "functions" => Meaning::Answer("tools"),
        "stop" => Meaning::Answer("stop sequences"),
        "audio" => Meaning::Answer("an answer in sound"),
        "modalities" if *value == json!(["text"]) => Meaning::Nothing,
        "modalities" => Meaning::Answer("an answer that is not text alone"),
        _ => Meaning::Hint,
    }
}

fn refused(field: &str, what: &str) -> Fault {
    Fault::invalid(field, format!("the model's provider does not do {what}"))
}

fn auto_tools_only(body: &mut Body) -> Result<Vec<Dropped>, Fault> {
    match body.get("tool_choice") {
        None | Some(Value::Null) => {}
        Some(Value::String(choice)) if choice == "auto" => {}
        Some(Value::String(choice)) if choice == "none" => {
            body.shift_remove("tool_choice");
            body.shift_remove("tools");
        }
        Some(_) => {
            return Err(refused(
                "tool_choice",
                "calls of tools that have to be made",
            ));
        }
    }
    Ok(Vec::new())
}

fn no_strict(body: &mut Body) -> Vec<Dropped> {
    let Some(Value::Array(tools)) = body.get_mut("tools") else {
        return Vec::new();
    };
    let mut dropped = Vec::new();
    for (place, tool) in tools.iter_mut().enumerate() {
        let function = tool.get_mut("function").and_then(Value::as_object_mut);
        let strict = function.and_then(|function| function.shift_remove("strict"));
        if strict == Some(Value::Bool(true)) {
            dropped.push(unknown_here(&format!("tools[{place}].function.strict")));
        }
    }
    dropped
}

fn json_object_only(body: &mut Body) -> Vec<Dropped> {
    let Some(format) = body.get_mut("response_format") else {
        return Vec::new();
    };
    if format["type"] != "json_schema" {
        return Vec::new();
    }
    let schema = format["json_schema"]["schema"].take();
    *format = json!({"type": "json_object"});
    let instruction = if schema.is_null() {
        "Answer with one JSON object and nothing else.".to_owned()
    } else {
        format!(
            "Answer with one JSON object that fits this JSON Schema, and nothing else:\n{schema}"
        )
    };
    messages::instruct(body, &instruction);
    let reason =
        "the provider knows no schemas; the model was told of it, and nothing checks its answer";
    vec![Dropped::new("response_format.json_schema", reason)]
}

fn json_schema_only(body: &mut Body) {
    if let Some(format) = body.get_mut("response_format")
        && format["type"] == "json_object"
    {
        let schema = json!({"name": "object", "schema": {"type": "object"}});
        *format = json!({"type": "json_schema", "json_schema": schema});
    }
}

fn temperature_within(body: &mut Body, low: f64, high: f64) -> Vec<Dropped> {
    let Some(given) = body.get("temperature").and_then(Value::as_f64) else {
        return Vec::new();
    };
    let sent = given.clamp(low, high);
    if (sent - given).abs() < f64::EPSILON {
        return Vec::new();
    }
    body.insert("temperature".to_owned(), json!(sent));
    let reason = format!("the provider's limits are {low} and {high}; {sent} was sent");
    vec![Dropped::new("temperature", reason)]
}

fn switch_thinking(body: &mut Body, switch: Switch) -> Vec<Dropped> {
    let Some(effort) = body.get("reasoning_effort").and_then(Value::as_str) else {
        return Vec::new();
    };
    let on = effort != "none";
    let degree = !matches!(effort, "none" | "medium");
    let (name, value) = match switch {
        Switch::EnableThinking => ("enable_thinking", json!(on)),
        Switch::ThinkingAndEffort => {
            let kind = if on { "enabled" } else { "disabled" };
            ("thinking", json!({"type": kind}))
        }
    };
    body.entry(name).or_insert(value);
    if on && switch == Switch::ThinkingAndEffort {
        return Vec::new();
    }
    body.shift_remove("reasoning_effort");
    let reason = "the provider thinks or does not, without degrees";
    let lost = degree.then(|| Dropped::new("reasoning_effort", reason));
    lost.into_iter().collect()
}
