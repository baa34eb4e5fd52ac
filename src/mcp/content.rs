//! An API's answer becomes a tool's result: text as the upstream's own bytes, structured content
//! where it is JSON, images and audio as such, anything else as an embedded resource, and errors in
//! words that tell the model what to change.

use std::borrow::Cow;
use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use encoding_rs::{Encoding, UTF_8};
use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use indexmap::IndexMap;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use crate::mcp::provider::{Content, Resource, ResourceBody, ToolOutcome};
use crate::mcp::tool::Tool;
use crate::types::UpstreamResponse;

/// What the model is given at most, in bytes of text or base64.
pub const ANSWER_BYTES_MAX: usize = 1 << 20;
/// How much of an error's body the model is shown.
const ERROR_BYTES_MAX: usize = 4 << 10;

/// The result of a call that was answered.
pub fn render(tool: &Tool, response: &UpstreamResponse) -> ToolOutcome {
    if !response.status.is_success() {
        return failure(response);
    }
    let mut outcome = success(tool, response);
    if outcome.structured.is_none() && !outcome.is_error {
        outcome.structured = stand_in(tool);
    }
    outcome
}

/// A tool with an output schema must answer a success with conforming structured content (MCP
/// 2025-06-18, "Output Schema"), and clients turn one without into a failure. Where the API's
/// answer does not fit, or there is none, the least that conforms stands in; the text has it all.
fn stand_in(tool: &Tool) -> Option<Box<RawValue>> {
    let validator = tool.output.as_ref()?;
    let least = [json!({}), json!({"result": null})];
    let fits = least.iter().find(|value| validator.is_valid(value))?;
    to_raw_value(fits).ok()
}

fn success(tool: &Tool, response: &UpstreamResponse) -> ToolOutcome {
    if response.body.is_empty() {
        let text = format!(
            "Done. The API answered {} without content.",
            status(response.status)
        );
        return ToolOutcome {
            content: vec![Content::Text(text)],
            ..ToolOutcome::default()
        };
    }
    let media_type = media_type(&response.headers);
    match kind(&media_type) {
        Kind::Json => json_answer(tool, response, &media_type),
        Kind::Text if tool.def.output_schema.is_some() => json_answer(tool, response, &media_type),
        Kind::Text => text(tool, response, &media_type),
        Kind::Image | Kind::Audio | Kind::Binary => binary(tool, response, media_type),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Json,
    Text,
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

fn essence(media_type: &str) -> String {
    media_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

fn kind(media_type: &str) -> Kind {
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
            | "x-ndjson"
            | "jsonl"
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

fn json_answer(tool: &Tool, response: &UpstreamResponse, media_type: &str) -> ToolOutcome {
    let body = decode(&response.body, media_type);
    let mut outcome = clipped(&body, response.truncated);
    if response.truncated || body.len() > ANSWER_BYTES_MAX {
        return outcome;
    }
    outcome.structured = structured(tool, &body);
    outcome
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
    if let Some(validator) = &tool.output {
        let value: Value = serde_json::from_str(&text).ok()?;
        if !validator.is_valid(&value) {
            metrics::counter!("causeway_structured_dropped_total").increment(1);
            return fitting(validator, &text, &value);
        }
    }
    RawValue::from_string(text.into_owned()).ok()
}

/// The members that fit the output schema, each as the API wrote it.
fn fitting(validator: &jsonschema::Validator, text: &str, value: &Value) -> Option<Box<RawValue>> {
    let wrong: HashSet<String> = validator
        .iter_errors(value)
        .filter_map(|error| {
            let first = error.instance_path().as_str().split('/').nth(1)?.to_owned();
            Some(first.replace("~1", "/").replace("~0", "~"))
        })
        .collect();
    let members: IndexMap<&str, &RawValue> = serde_json::from_str(text).ok()?;
    let kept = members.iter().filter(|(name, _)| !wrong.contains(**name));
    let kept = to_raw_value(&kept.collect::<IndexMap<_, _>>()).ok()?;
    let value: Value = serde_json::from_str(kept.get()).ok()?;
    validator.is_valid(&value).then_some(kept)
}

fn text(tool: &Tool, response: &UpstreamResponse, media_type: &str) -> ToolOutcome {
    if looks_binary(&response.body, media_type) {
        return binary(tool, response, "application/octet-stream".to_owned());
    }
    clipped(&decode(&response.body, media_type), response.truncated)
}

/// A NUL in the first bytes, and neither a byte order mark nor a declared UTF-16 that explains it.
fn looks_binary(body: &[u8], media_type: &str) -> bool {
    let wide = declared(media_type).is_some_and(|encoding| !encoding.is_ascii_compatible());
    !wide && Encoding::for_bom(body).is_none() && body.iter().take(512).any(|byte| *byte == 0)
}

fn clipped(body: &str, truncated: bool) -> ToolOutcome {
    let mut content = Vec::with_capacity(2);
    if body.len() > ANSWER_BYTES_MAX {
        let head = &body[..body.floor_char_boundary(ANSWER_BYTES_MAX)];
        content.push(Content::Text(head.to_owned()));
        content.push(Content::Text(format!(
            "[The answer was cut: {} of {} bytes are shown. Ask for less, with a filter or a smaller page.]",
            head.len(),
            body.len()
        )));
    } else {
        content.push(Content::Text(body.to_owned()));
        if truncated {
            content.push(Content::Text(
                "[The answer was cut: it is larger than the limit for upstream bodies. Ask for less, with a filter or a smaller page.]".to_owned(),
            ));
        }
    }
    ToolOutcome {
        content,
        ..ToolOutcome::default()
    }
}

fn binary(tool: &Tool, response: &UpstreamResponse, media_type: String) -> ToolOutcome {
    let size = response.body.len();
    if response.truncated || size.div_ceil(3) * 4 > ANSWER_BYTES_MAX {
        let text = format!(
            "The API answered with {media_type} of {}{size} bytes, which is more than fits into a result ({} bytes).",
            if response.truncated { "more than " } else { "" },
            ANSWER_BYTES_MAX / 4 * 3
        );
        return ToolOutcome {
            content: vec![Content::Text(text)],
            is_error: true,
            ..ToolOutcome::default()
        };
    }
    let data = BASE64.encode(&response.body);
    let media_type = essence(&media_type);
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
}

/// Text in whatever charset it came: byte order mark, then the header's word, then UTF-8.
fn decode<'a>(body: &'a [u8], media_type: &str) -> Cow<'a, str> {
    let encoding = declared(media_type).or_else(|| in_prolog(body));
    encoding.unwrap_or(UTF_8).decode(body).0
}

/// The charset parameter of a media type (RFC 9110, section 8.3.2).
fn declared(media_type: &str) -> Option<&'static Encoding> {
    let charset = media_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("charset")
            .then(|| value.trim().trim_matches(['"', '\'']))
    });
    charset.and_then(|label| Encoding::for_label(label.as_bytes()))
}

/// `encoding="…"` of an XML declaration, `charset=…` of an HTML head.
fn in_prolog(body: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(&body[..body.len().min(1_024)]).into_owned();
    if !head.trim_start().starts_with('<') {
        return None;
    }
    let at = head
        .find("encoding=")
        .map(|at| at + 9)
        .or_else(|| head.find("charset=").map(|at| at + 8))?;
    let label: String = head[at..]
        .trim_start_matches(['"', '\''])
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || "-_:".contains(*c))
        .collect();
    Encoding::for_label(label.as_bytes())
}

fn status(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

/// An answer that is not a success: what happened, the API's own words, and what to change.
fn failure(response: &UpstreamResponse) -> ToolOutcome {
    let mut text = format!("The API answered {}.", status(response.status));
    let header = |name| {
        response
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let advice = match response.status.as_u16() {
        300..=399 => match header(LOCATION) {
            Some(location) => {
                text.push_str(" It redirects to ");
                text.push_str(&location.chars().take(300).collect::<String>());
                text.push('.');
                "Redirects are not followed; the owner of this server can set `upstream` to the new address."
            }
            None => "Redirects are not followed.",
        },
        400 | 422 => "Correct the arguments as it says, and call again.",
        401 | 403 => {
            "Other arguments will not help: the credential this server holds for the API is missing, wrong or not allowed to do this. Tell the user that the server's owner has to change it."
        }
        404 | 410 => "What the arguments name does not exist; look it up first.",
        405 | 501 => "The API does not offer this operation at present.",
        409 | 412 => "The state of the resource does not allow it; read it again before you retry.",
        413 => "Send less.",
        429 => "Wait before you call again.",
        500..=599 => "The fault is the API's; the same call may work later.",
        _ => "",
    };
    if let Some(after) = header(RETRY_AFTER) {
        text.push_str(" Retry after: ");
        text.push_str(&after.chars().take(60).collect::<String>());
        text.push('.');
    }
    if !advice.is_empty() {
        text.push(' ');
        text.push_str(advice);
    }
    let media_type = media_type(&response.headers);
    if matches!(kind(&media_type), Kind::Json | Kind::Text)
        && !looks_binary(&response.body, &media_type)
    {
        let body = decode(&response.body, &media_type);
        let shown = &body[..body.floor_char_boundary(ERROR_BYTES_MAX)];
        if !shown.trim().is_empty() {
            text.push_str("\n\n");
            text.push_str(shown.trim());
            if shown.len() < body.len() {
                text.push('…');
            }
        }
    }
    ToolOutcome {
        content: vec![Content::Text(text)],
        is_error: true,
        ..ToolOutcome::default()
    }
}
