//! A stream that was collected: the list of its events.

use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::events::{Decoder, Event, Framing};
use crate::mcp::content::json::{member, string};
use crate::mcp::content::{Manner, Rendered, json_text, media_type};
use crate::mcp::tool::Tool;
use crate::types::UpstreamResponse;

/// The events of a stream.
pub(super) struct Collected {
    /// As a JSON array.
    pub(super) list: String,
    /// Where the stream had not ended: how to say so.
    pub(super) remark: Option<String>,
}

pub(super) fn render(tool: &Tool, response: &UpstreamResponse, manner: &Manner<'_>) -> Rendered {
    let collected = collected(tool, response);
    let mut rendered = json_text(tool, &collected.list, manner);
    if let Some(remark) = collected.remark {
        // What arrived is not the whole answer.
        rendered.whole = None;
        rendered.say(remark);
    }
    rendered
}

/// The events as they are listed, `[DONE]` being the end and no event.
pub(super) fn collected(tool: &Tool, response: &UpstreamResponse) -> Collected {
    let framing = Framing::of(&media_type(&response.headers)).unwrap_or(Framing::Lines);
    let mut decoder = Decoder::new(framing);
    let mut events = decoder.push(&response.body);
    // The event that was arriving when the stream was left is no whole one.
    let last = decoder.finish();
    if !response.truncated {
        events.extend(last);
    }
    let ended = events.iter().position(Event::is_end);
    events.truncate(ended.unwrap_or(events.len()));
    let form = Form::of(tool, framing);
    let list: Vec<String> = events.iter().map(|event| form.write(event)).collect();
    let remark = (response.truncated && ended.is_none()).then(|| {
        format!(
            "[The stream had not ended: these are the {} events that arrived within {:.1} s and the limits for bytes and events.]",
            events.len(),
            response.total.as_secs_f64()
        )
    });
    Collected {
        list: format!("[{}]", list.join(",")),
        remark,
    }
}

/// How an event stands in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// What it holds.
    Data,
    /// An object of its fields, as the document describes one; whether `data` is a text.
    Fields { text: bool },
}

impl Form {
    /// As the tool's output schema says: OpenAPI 3.2 describes a server-sent event as an object with
    /// the member `data`.
    fn of(tool: &Tool, framing: Framing) -> Self {
        let schema = tool.def.output_schema.as_ref();
        let item = schema.map(|schema| &schema["properties"]["result"]["items"]);
        let item = item.map(|item| resolve(schema.unwrap_or(item), item));
        let properties = item.and_then(|item| item["properties"].as_object());
        match properties.and_then(|properties| properties.get("data")) {
            Some(data) if framing == Framing::ServerSent => {
                let text = match &data["type"] {
                    Value::String(kind) => kind == "string",
                    Value::Array(kinds) => kinds.iter().any(|kind| kind == "string"),
                    _ => false,
                };
                Self::Fields { text }
            }
            _ => Self::Data,
        }
    }

    fn write(self, event: &Event) -> String {
        let value = value(&event.data);
        match self {
            Self::Fields { text } => {
                let data = if text {
                    json!(event.data).to_string()
                } else {
                    value
                };
                let id = event.id.as_ref();
                let id = id.map_or_else(String::new, |id| format!("\"id\":{},", json!(id)));
                let name = event.name.as_ref();
                let name = name.map_or_else(String::new, |n| format!("\"event\":{},", json!(n)));
                format!("{{{id}{name}\"data\":{data}}}")
            }
            Self::Data => match &event.name {
                Some(name) if name != "message" && !says(&value, name) => {
                    format!("{{\"event\":{},\"data\":{value}}}", json!(name))
                }
                _ => value,
            },
        }
    }
}

fn resolve<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let target = schema["$ref"].as_str().or_else(|| {
        let any = schema["anyOf"].as_array()?;
        any.iter().find_map(|one| one["$ref"].as_str())
    });
    let found = target.and_then(|target| root.pointer(target.strip_prefix('#')?));
    found.unwrap_or(schema)
}

/// JSON as it was written, anything else as a text.
fn value(data: &str) -> String {
    match serde_json::from_str::<&RawValue>(data) {
        Ok(raw) => raw.get().to_owned(),
        Err(_) => json!(data).to_string(),
    }
}

/// The data repeats the event's name.
fn says(value: &str, name: &str) -> bool {
    let kind = member(value, "type").and_then(string);
    kind.is_some_and(|kind| kind == name)
}
