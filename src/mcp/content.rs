//! An API's answer becomes a tool's result: text as the upstream's own bytes, structured content
//! where it is JSON, images and audio as such, anything else as an embedded resource, and errors in
//! words that tell the model what to change. What is larger than the budget is cut, says so, and can
//! be kept as a whole.

pub mod charset;
pub mod cut;
mod failure;
pub mod fields;
pub mod filtered;
mod html;
pub mod json;
mod streamed;

use std::borrow::Cow;
use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use indexmap::IndexMap;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use url::Url;

use crate::events::Framing;
use crate::mcp::content::charset::{decode, looks_binary};
use crate::mcp::content::fields::Fields;
use crate::mcp::paging::{Exchanged, Shown};
use crate::mcp::provider::{Arguments, Content, Resource, ResourceBody, ToolOutcome};
use crate::mcp::tool::Tool;
use crate::mcp::tool::effort::{Effort, effort};
use crate::openapi::pointer::unescape;
use crate::types::{UpstreamResponse, essence};

/// What the model is given at most, in bytes of text or base64, whatever an owner sets.
pub const ANSWER_BYTES_MAX: usize = 1 << 20;
/// What the model is given where an owner sets nothing: 64 KiB are about 16,000 to 22,000 tokens of
/// JSON, and widespread clients refuse or cut results of more than 25,000.
pub const ANSWER_BYTES_DEFAULT: usize = 64 << 10;
/// `_meta` of a result that is one page of many: the arguments of the call for the next one.
pub const NEXT_KEY: &str = "causeway/next";

/// What is said of an answer whose end was not read.
const BEGINNING: &str = "[The API's answer is larger than the limit for upstream bodies; only its beginning was read. Ask for less, with a filter or a smaller page.]";

/// How an answer is given.
pub struct Manner<'a> {
    /// Text above it is cut.
    pub bytes_max: usize,
    /// What the owner keeps of the answer, and what of that the call asks for.
    pub fields: [Fields; 2],
    /// What was sent; without it, no next page is looked for.
    pub sent: Option<(&'a Arguments, &'a Url)>,
    /// The answer before the owner's filter, where there was one: it tells of the next page.
    pub original: Option<String>,
    /// Where only the beginning of an answer was filtered: how to say so.
    pub remark: Option<String>,
}

impl Default for Manner<'_> {
    fn default() -> Self {
        Self {
            bytes_max: ANSWER_BYTES_MAX,
            fields: [Fields::default(), Fields::default()],
            sent: None,
            original: None,
            remark: None,
        }
    }
}

/// A result, and what did not fit into it.
#[derive(Debug, Default)]
pub struct Rendered {
    pub outcome: ToolOutcome,
    pub whole: Option<Whole>,
    /// Of the largest list of the answer, where it was cut: how many elements are shown, of how many.
    pub list: Option<(usize, usize)>,
}

/// An answer as a whole, to be kept for whoever asked.
#[derive(Clone, Debug)]
pub struct Whole {
    pub media_type: String,
    pub bytes: Bytes,
    /// The result shows nothing of it: a link takes the place of what it says.
    pub alone: bool,
}

/// The result of a call that was answered, as large as any may be.
pub fn render(tool: &Tool, response: &UpstreamResponse) -> ToolOutcome {
    render_as(tool, response, &Manner::default()).outcome
}

/// The result of a call that was answered.
pub fn render_as(tool: &Tool, response: &UpstreamResponse, manner: &Manner<'_>) -> Rendered {
    if !response.status.is_success() {
        return failure::failure(tool, response).into();
    }
    let mut rendered = success(tool, response, manner);
    settle(tool, &mut rendered.outcome);
    rendered
}

/// Puts a link to the whole answer into a result that shows it in part or not at all.
pub fn link(tool: &Tool, rendered: &mut Rendered, uri: &str, minutes: u64) {
    let Some(whole) = rendered.whole.take() else {
        return;
    };
    let size = whole.bytes.len();
    let outcome = &mut rendered.outcome;
    if whole.alone {
        outcome.content.clear();
        outcome.is_error = false;
        settle(tool, outcome);
    }
    outcome.content.push(Content::Link {
        uri: uri.to_owned(),
        name: format!("{}-answer", tool.def.name),
        media_type: Some(essence(&whole.media_type)),
        size: Some(size as u64),
    });
    outcome.content.push(Content::Text(format!(
        "[The whole answer, {size} bytes of {}, can be read for {minutes} minutes as the resource {uri}.]",
        essence(&whole.media_type)
    )));
}

/// A tool with an output schema must answer a success with conforming structured content (MCP
/// 2025-06-18, "Output Schema"), and clients turn one without into a failure. Where the API's
/// answer does not fit, or there is none, the least that conforms stands in; the text has it all.
fn settle(tool: &Tool, outcome: &mut ToolOutcome) {
    if outcome.structured.is_some() || outcome.is_error {
        return;
    }
    outcome.structured = tool.output.as_ref().and_then(|validator| {
        let least = [json!({}), json!({"result": null}), json!({"result": []})];
        let fits = least.iter().find(|value| validator.is_valid(value))?;
        to_raw_value(fits).ok()
    });
}

impl From<ToolOutcome> for Rendered {
    fn from(outcome: ToolOutcome) -> Self {
        Self {
            outcome,
            ..Self::default()
        }
    }
}

impl Rendered {
    /// Adds a text.
    pub fn say(&mut self, text: impl Into<String>) {
        self.outcome.content.push(Content::Text(text.into()));
    }
}

fn success(tool: &Tool, response: &UpstreamResponse, manner: &Manner<'_>) -> Rendered {
    let media_type = media_type(&response.headers);
    if response.body.is_empty() && kind(&media_type) != Kind::Events {
        let mut rendered = Rendered::default();
        rendered.say(format!(
            "Done. The API answered {} without content.",
            status(response.status)
        ));
        return rendered;
    }
    match kind(&media_type) {
        Kind::Json => json_answer(tool, response, manner),
        Kind::Text if tool.def.output_schema.is_some() => json_answer(tool, response, manner),
        Kind::Text => text(tool, response, manner),
        Kind::Events => streamed::render(tool, response, manner),
        Kind::Image | Kind::Audio | Kind::Binary => binary(tool, response, &media_type),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Json,
    Text,
    Events,
    Image,
    Audio,
    Binary,
}

fn media_type(headers: &HeaderMap) -> String {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    value.unwrap_or("text/plain").trim().to_owned()
}

fn kind(media_type: &str) -> Kind {
    if Framing::of(media_type).is_some() {
        return Kind::Events;
    }
    let essence = essence(media_type);
    let (kind, subtype) = essence.split_once('/').unwrap_or((&essence, ""));
    match (kind, subtype) {
        (_, "json") => Kind::Json,
        (_, subtype) if subtype.ends_with("+json") => Kind::Json,
        ("image", subtype) if subtype != "svg+xml" => Kind::Image,
        ("audio", _) => Kind::Audio,
        ("image" | "text", _)
        | (
            "application",
            "xml"
            | "yaml"
            | "x-yaml"
            | "javascript"
            | "graphql"
            | "csv"
            | "x-www-form-urlencoded"
            | "toml"
            | "sql",
        ) => Kind::Text,
        (_, subtype) if subtype.ends_with("+xml") || subtype.ends_with("+yaml") => Kind::Text,
        _ => Kind::Binary,
    }
}

/// Whether what a media type names is read as text.
pub fn is_text(media_type: &str) -> bool {
    matches!(kind(media_type), Kind::Json | Kind::Text | Kind::Events)
}

fn json_answer(tool: &Tool, response: &UpstreamResponse, manner: &Manner<'_>) -> Rendered {
    let media_type = media_type(&response.headers);
    let body = decode(&response.body, &media_type);
    let mended = response.truncated.then(|| json::mended(&body)).flatten();
    let body = mended.map_or(body, Cow::Owned);
    if json::checked(&body).is_none() {
        return text(tool, response, manner);
    }
    let mut rendered = json_text(tool, &body, manner);
    let beginning = response.truncated.then_some(BEGINNING);
    if let Some(remark) = manner.remark.as_deref().or(beginning) {
        rendered.whole = None;
        rendered.say(remark);
    }
    let page = manner.original.as_deref().unwrap_or(&body);
    let shown = match rendered.list {
        // Of a beginning, the last element may be half of one.
        _ if response.truncated || manner.remark.is_some() => Shown::Part,
        None => Shown::All,
        // What a filter made may be another list.
        Some(_) if manner.original.is_some() => Shown::Part,
        Some((shown, of)) => Shown::First(shown, of),
    };
    next_page(tool, (response, Some(page), shown), manner, &mut rendered);
    rendered
}

/// JSON as a result: only the fields that are wanted, within the budget.
fn json_text(tool: &Tool, body: &str, manner: &Manner<'_>) -> Rendered {
    let mut rendered = Rendered::default();
    let mut shown = Cow::Borrowed(body);
    for (fields, by_call) in manner.fields.iter().zip([false, true]) {
        if !fields.is_empty() {
            let whole = json::checked(&shown).unwrap_or_default();
            let projected = fields.project(whole);
            let note = projected.note(whole).filter(|_| by_call);
            shown = Cow::Owned(projected.text);
            if let Some(note) = note {
                rendered.say(note);
            }
        }
    }
    if shown.len() <= manner.bytes_max {
        rendered.outcome.structured = structured(tool, &shown);
        let text = Content::Text(shown.into_owned());
        rendered.outcome.content.insert(0, text);
        return rendered;
    }
    let cut = cut::cut(json::checked(&shown).unwrap_or_default(), manner.bytes_max);
    rendered.outcome.structured = structured(tool, &cut.text);
    rendered.say(format!(
        "[The answer was cut to fit {} of {} bytes: {}. {}]",
        cut.text.len(),
        shown.len(),
        cut.describe(),
        rest(tool, cut.list().map(|(shown, _)| shown))
    ));
    rendered.list = cut.list();
    rendered.outcome.content.insert(0, Content::Text(cut.text));
    rendered.whole = Some(Whole {
        media_type: "application/json".to_owned(),
        bytes: Bytes::from(shown.into_owned()),
        alone: false,
    });
    rendered
}

/// How to get what was cut, in terms of the tool's own arguments.
fn rest(tool: &Tool, shown: Option<usize>) -> String {
    let mut ways = Vec::new();
    if let Some(argument) = &tool.fields_argument {
        ways.push(format!(
            "name only the members you need in `{argument}`, like [\"items.*.id\"]"
        ));
    }
    match (tool.pager.size(), tool.pager.which(), shown) {
        (Some(size), Some(which), Some(shown)) if shown > 0 => {
            ways.push(format!(
                "ask for pages of at most {shown} with `{size}`, and go on with `{which}`"
            ));
        }
        (None, Some(which), _) => ways.push(format!("go on with `{which}`")),
        _ => {}
    }
    ways.push("ask for less with a filter, if the tool has one".to_owned());
    format!("To get the rest: {}.", ways.join("; or "))
}

/// Offers the call for the next page.
fn next_page(
    tool: &Tool,
    (response, body, shown): (&UpstreamResponse, Option<&str>, Shown),
    manner: &Manner<'_>,
    rendered: &mut Rendered,
) {
    let Some((arguments, url)) = manner.sent.filter(|_| !tool.pager.is_empty()) else {
        return;
    };
    let seen = Exchanged {
        arguments,
        url,
        headers: &response.headers,
        body: body.and_then(json::checked),
        shown,
    };
    let Some(next) = tool.pager.next(&tool.def, seen) else {
        return;
    };
    if let Ok(arguments) = serde_json::from_str::<Value>(&next.arguments) {
        let meta = rendered.outcome.meta.get_or_insert_with(|| json!({}));
        meta[NEXT_KEY] = arguments;
    }
    rendered.say(next.describe());
}

/// The body as structured content: an object as it is, anything else as `{"result": …}` where the
/// tool says so; nothing where it does not fit the tool's output schema.
fn structured(tool: &Tool, body: &str) -> Option<Box<RawValue>> {
    let body = body.trim();
    let raw: &RawValue = serde_json::from_str(body).ok()?;
    let text = if tool.def.binding.wrap_result {
        Cow::Owned(format!("{{\"result\":{}}}", raw.get()))
    } else if body.starts_with('{') {
        Cow::Borrowed(raw.get())
    } else {
        return None;
    };
    if let (Some(validator), Some(schema)) = (&tool.output, &tool.def.output_schema) {
        let value: Value = serde_json::from_str(&text).ok()?;
        let effort = effort(schema, &value, text.len());
        if effort == Effort::Excessive || !validator.is_valid(&value) {
            metrics::counter!("causeway_structured_dropped_total").increment(1);
            return (effort == Effort::Small)
                .then(|| fitting(validator, &text, &value))
                .flatten();
        }
    }
    RawValue::from_string(text.into_owned()).ok()
}

/// The members that fit the output schema, each as the API wrote it.
fn fitting(validator: &jsonschema::Validator, text: &str, value: &Value) -> Option<Box<RawValue>> {
    let wrong: HashSet<String> = validator
        .iter_errors(value)
        .filter_map(|error| {
            let first = error.instance_path().as_str().split('/').nth(1)?;
            Some(unescape(first).into_owned())
        })
        .collect();
    let members: IndexMap<&str, &RawValue> = serde_json::from_str(text).ok()?;
    let kept = members.iter().filter(|(name, _)| !wrong.contains(**name));
    let kept = to_raw_value(&kept.collect::<IndexMap<_, _>>()).ok()?;
    let value: Value = serde_json::from_str(kept.get()).ok()?;
    validator.is_valid(&value).then_some(kept)
}

fn text(tool: &Tool, response: &UpstreamResponse, manner: &Manner<'_>) -> Rendered {
    let media_type = media_type(&response.headers);
    if looks_binary(&response.body, &media_type) {
        return binary(tool, response, "application/octet-stream");
    }
    let body = decode(&response.body, &media_type);
    let mut rendered = Rendered::default();
    if body.len() <= manner.bytes_max {
        rendered.say(body.clone());
    } else {
        let head = &body[..body.floor_char_boundary(manner.bytes_max)];
        // At the end of a line, where that is not far.
        let line = head.rfind('\n').filter(|at| *at > head.len() / 2);
        let head = line.map_or(head, |at| &head[..=at]);
        rendered.say(head);
        rendered.say(format!(
            "[The answer was cut: {} of {} bytes are shown. {}]",
            head.len(),
            body.len(),
            rest(tool, None)
        ));
    }
    if response.truncated {
        rendered.say(BEGINNING);
    } else if body.len() > manner.bytes_max {
        rendered.whole = Some(Whole {
            media_type: essence(&media_type),
            bytes: Bytes::from(body.into_owned()),
            alone: false,
        });
    }
    if rendered.whole.is_none() && !response.truncated {
        next_page(tool, (response, None, Shown::All), manner, &mut rendered);
    }
    rendered
}

fn binary(tool: &Tool, response: &UpstreamResponse, media_type: &str) -> Rendered {
    let size = response.body.len();
    let media_type = essence(media_type);
    if response.truncated || size.div_ceil(3) * 4 > ANSWER_BYTES_MAX {
        let text = format!(
            "The API answered with {media_type} of {}{size} bytes, which is more than fits into a result ({} bytes).",
            if response.truncated { "more than " } else { "" },
            ANSWER_BYTES_MAX / 4 * 3
        );
        return Rendered {
            outcome: ToolOutcome {
                content: vec![Content::Text(text)],
                is_error: true,
                ..ToolOutcome::default()
            },
            whole: (!response.truncated).then(|| Whole {
                media_type,
                bytes: response.body.clone(),
                alone: true,
            }),
            list: None,
        };
    }
    let data = BASE64.encode(&response.body);
    let content = match kind(&media_type) {
        Kind::Image => Content::Image { data, media_type },
        Kind::Audio => Content::Audio { data, media_type },
        _ => Content::Resource(Resource {
            uri: format!("causeway:answer/{}", tool.def.name),
            media_type: Some(media_type),
            body: ResourceBody::Blob(data),
        }),
    };
    ToolOutcome {
        content: vec![content],
        ..ToolOutcome::default()
    }
    .into()
}

fn status(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}
