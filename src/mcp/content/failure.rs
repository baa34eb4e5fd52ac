//! An answer that is not a success: what happened, what the API says of it with the arguments it
//! speaks of, and what to change.

use std::fmt::Write;

use http::header::{LOCATION, RETRY_AFTER};
use http::{HeaderName, StatusCode};
use serde_json::Value;

use crate::mcp::content::charset::{decode, looks_binary};
use crate::mcp::content::json::{checked, members, unquoted};
use crate::mcp::content::{Kind, html, kind, media_type, status};
use crate::mcp::provider::{Content, ToolOutcome};
use crate::mcp::tool::{BodyArguments, Tool, ToolDef};
use crate::openapi::pointer::unescape;
use crate::types::{UpstreamResponse, essence};

/// How much of an error's body the model is shown.
const ERROR_BYTES_MAX: usize = 4 << 10;
/// What is read of one. JSON that is longer ends early, and is shown as it is.
const READ_BYTES_MAX: usize = 256 << 10;
const ISSUES_MAX: usize = 20;
const LINE_BYTES_MAX: usize = 400;
/// Of members that are not understood.
const REST_BYTES_MAX: usize = 1 << 10;

/// The result of a call that the API refused.
pub(super) fn failure(tool: &Tool, response: &UpstreamResponse) -> ToolOutcome {
    let mut text = format!("The API answered {}.", status(response.status));
    let header = |name: HeaderName| {
        let value = response.headers.get(name)?.to_str().ok()?;
        Some(value.chars().take(300).collect::<String>())
    };
    let location = header(LOCATION).filter(|_| response.status.is_redirection());
    if let Some(location) = &location {
        let _ = write!(text, " It redirects to {location}.");
    }
    if let Some(after) = header(RETRY_AFTER) {
        let seconds = after.bytes().all(|b| b.is_ascii_digit());
        let unit = if seconds { " seconds" } else { "" };
        let _ = write!(text, " Retry after: {after}{unit}.");
    }
    let advice = advice(response.status, location.is_some());
    if !advice.is_empty() {
        text.push(' ');
        text.push_str(advice);
    }
    if let Some(said) = said(&tool.def, response) {
        text.push_str("\n\n");
        text.push_str(&said);
    }
    ToolOutcome {
        content: vec![Content::Text(text)],
        is_error: true,
        ..ToolOutcome::default()
    }
}

fn advice(status: StatusCode, redirected: bool) -> &'static str {
    match status.as_u16() {
        300..=399 if redirected => {
            "Redirects are not followed; the owner of this server can set `upstream` to the new address."
        }
        300..=399 => "Redirects are not followed.",
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
    }
}

/// What the API says of it.
fn said(def: &ToolDef, response: &UpstreamResponse) -> Option<String> {
    let media_type = media_type(&response.headers);
    if !matches!(kind(&media_type), Kind::Json | Kind::Text | Kind::Events)
        || looks_binary(&response.body, &media_type)
    {
        return None;
    }
    let head = &response.body[..response.body.len().min(READ_BYTES_MAX)];
    let body = decode(head, &media_type);
    let body = body.trim();
    let understood = if html::is_page(&essence(&media_type), body) {
        Some(html::text(body, ERROR_BYTES_MAX))
    } else {
        checked(body).and_then(|body| lines(def, body))
    };
    let text = understood.as_deref().unwrap_or(body).trim();
    let shown = &text[..text.floor_char_boundary(ERROR_BYTES_MAX)];
    let more = if shown.len() < text.len() { "…" } else { "" };
    (!shown.is_empty()).then(|| format!("{shown}{more}"))
}

/// One thing that is wrong.
#[derive(Debug, Default)]
struct Issue {
    /// As the API names it.
    place: Option<String>,
    message: String,
    code: Option<String>,
}

/// Members whose text says what happened, the most general first.
const MESSAGES: [&str; 9] = [
    "title",
    "error",
    "message",
    "msg",
    "detail",
    "description",
    "error_description",
    "reason",
    "error_message",
];
const LISTS: [&str; 14] = [
    "errors",
    "invalid-params",
    "invalid_params",
    "invalidParams",
    "issues",
    "violations",
    "fieldErrors",
    "field_errors",
    "fieldViolations",
    "validationErrors",
    "validation_errors",
    "details",
    "detail",
    "causes",
];
const PLACES: [&str; 13] = [
    "field",
    "param",
    "parameter",
    "pointer",
    "path",
    "property",
    "propertyPath",
    "instancePath",
    "attribute",
    "location",
    "loc",
    "source",
    "name",
];
const CODES: [&str; 4] = ["code", "type", "rule", "keyword"];
/// Members that say nothing the rest does not.
const SILENT: [&str; 6] = [
    "status",
    "statusCode",
    "success",
    "ok",
    "instance",
    "timestamp",
];

/// An error in JSON as short lines; `None` where nothing of it is understood.
fn lines(def: &ToolDef, body: &str) -> Option<String> {
    let value: Value = serde_json::from_str(body).ok()?;
    let (mut heads, mut issues) = (Vec::new(), Vec::new());
    let understood = match &value {
        Value::Array(entries) => {
            collect(entries, &mut issues);
            Vec::new()
        }
        Value::Object(_) => read(&value, &mut heads, &mut issues),
        _ => return None,
    };
    if heads.is_empty() && issues.is_empty() {
        return None;
    }
    heads.dedup();
    let mut text = heads.join(": ");
    for issue in issues.iter().take(ISSUES_MAX) {
        let line = line(def, issue);
        let line = &line[..line.floor_char_boundary(LINE_BYTES_MAX)];
        let _ = write!(text, "\n- {line}");
    }
    if issues.len() > ISSUES_MAX {
        let _ = write!(text, "\n- and {} more", issues.len() - ISSUES_MAX);
    }
    let rest: Vec<String> = members(body)
        .filter(|(key, value)| {
            let key = unquoted(key);
            *value != "null"
                && !SILENT.contains(&&*key)
                && !understood.iter().any(|known| *known == key)
        })
        .map(|(key, value)| format!("{key}:{value}"))
        .collect();
    let rest = rest.join(",");
    if !rest.is_empty() {
        let end = rest.floor_char_boundary(REST_BYTES_MAX);
        let more = if end < rest.len() { "…" } else { "" };
        let _ = write!(text, "\n{{{}{more}}}", &rest[..end]);
    }
    Some(text)
}

/// Reads an object of an error; gives the names of the members that were understood.
fn read(object: &Value, heads: &mut Vec<String>, issues: &mut Vec<Issue>) -> Vec<String> {
    let mut understood = Vec::new();
    let mut said = |name: &str, heads: &mut Vec<String>, text: &str| {
        heads.push(text.trim().trim_end_matches(':').to_owned());
        understood.push(name.to_owned());
    };
    for name in MESSAGES {
        match &object[name] {
            Value::String(text) if !text.trim().is_empty() => said(name, heads, text),
            Value::Object(_) if name == "error" => {
                let inner = &object[name];
                if inner_issue(inner, heads, issues) {
                    said(name, &mut Vec::new(), "");
                }
            }
            _ => {}
        }
    }
    for name in LISTS {
        let before = issues.len();
        match &object[name] {
            Value::Array(entries) => collect(entries, issues),
            // By the name of the field.
            Value::Object(fields) if name != "detail" && name != "details" => {
                for (field, messages) in fields {
                    by_field(field, messages, issues);
                }
            }
            _ => {}
        }
        if issues.len() > before {
            understood.push(name.to_owned());
        }
    }
    if !understood.is_empty() {
        understood.extend(
            CODES
                .iter()
                .filter(|code| **code == "type")
                .map(ToString::to_string),
        );
    }
    understood
}

/// `{"error": {"message", "param", "code"}}`, and what is nested in it.
fn inner_issue(error: &Value, heads: &mut Vec<String>, issues: &mut Vec<Issue>) -> bool {
    let before = (heads.len(), issues.len());
    let own = issue(error);
    if let Some(own) = own.filter(|own| own.place.is_some()) {
        issues.push(own);
        let _ = read(error, &mut Vec::new(), issues);
    } else {
        let _ = read(error, heads, issues);
        let code = CODES.iter().find_map(|name| word(&error[*name]));
        if let (Some(code), Some(head)) = (code, heads.last_mut())
            && !head.contains(&code)
        {
            let _ = write!(head, " ({code})");
        }
    }
    (heads.len(), issues.len()) != before
}

fn by_field(field: &str, messages: &Value, issues: &mut Vec<Issue>) {
    let messages = match messages {
        Value::Array(messages) => messages.as_slice(),
        one => std::slice::from_ref(one),
    };
    for message in messages {
        let found = match message {
            Value::String(text) => Some(Issue {
                message: text.clone(),
                ..Issue::default()
            }),
            object => issue(object),
        };
        if let Some(mut found) = found {
            found.place.get_or_insert_with(|| field.to_owned());
            issues.push(found);
        }
    }
}

fn collect(entries: &[Value], issues: &mut Vec<Issue>) {
    for entry in entries {
        if let Some(inner) = entry["fieldViolations"].as_array() {
            collect(inner, issues);
        } else if let Some(text) = entry.as_str() {
            issues.push(Issue {
                message: text.to_owned(),
                ..Issue::default()
            });
        } else {
            issues.extend(issue(entry));
        }
    }
}

fn issue(entry: &Value) -> Option<Issue> {
    let place = PLACES.iter().find_map(|name| place(&entry[*name]));
    let mut messages = MESSAGES
        .iter()
        .rev()
        .filter_map(|name| match &entry[*name] {
            Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
            _ => None,
        });
    let code = CODES.iter().find_map(|name| word(&entry[*name]));
    // The most particular of them.
    let message = messages.next().or_else(|| code.clone())?;
    let code = code.filter(|code| !message.contains(code.as_str()));
    Some(Issue {
        place,
        message,
        code,
    })
}

/// A short word or number; a URL is none.
fn word(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty() && text.len() <= 60 && !text.contains("://")).then_some(text)
}

fn place(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() && text.len() <= 200 => Some(text.clone()),
        Value::Array(steps) if !steps.is_empty() => {
            let steps = steps.iter().map(|step| match step {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            Some(steps.collect::<Vec<_>>().join("/"))
        }
        Value::Object(source) => ["pointer", "parameter", "header"]
            .iter()
            .find_map(|name| place(source.get(*name)?)),
        _ => None,
    }
}

fn line(def: &ToolDef, issue: &Issue) -> String {
    let place = issue.place.as_deref().map(|place| argument(def, place));
    let place = place.map_or_else(String::new, |place| format!("`{place}`: "));
    let code = issue.code.as_ref();
    let code = code.map_or_else(String::new, |code| format!(" ({code})"));
    format!("{place}{}{code}", issue.message)
}

/// Where in a request a place may say it is.
const PARTS: [&str; 12] = [
    "body",
    "query",
    "path",
    "header",
    "headers",
    "cookie",
    "params",
    "data",
    "attributes",
    "request",
    "requestBody",
    "querystring",
];

/// The argument a place is about: `/body/user/mail` and `user.mail` as the model wrote them.
fn argument(def: &ToolDef, place: &str) -> String {
    let trimmed = place.trim_start_matches(['#', '/', '$', '.']);
    let steps: Vec<String> = trimmed
        .split(['/', '.', '[', ']'])
        .map(|step| unescape(step.trim_matches(['"', '\''])).into_owned())
        .filter(|step| !step.is_empty())
        .collect();
    // A name with such characters in it.
    if let Some(argument) = known(def, place) {
        return argument;
    }
    let mut rest = steps.as_slice();
    loop {
        let Some((first, below)) = rest.split_first() else {
            return place.to_owned();
        };
        if let Some(argument) = known(def, first) {
            return joined(&argument, below);
        }
        if below.is_empty() || !PARTS.contains(&first.as_str()) {
            break;
        }
        rest = below;
    }
    match def.binding.body.as_ref().map(|body| &body.arguments) {
        Some(BodyArguments::Whole(body)) => joined(body, rest),
        _ => joined(&rest[0], &rest[1..]),
    }
}

fn joined(first: &str, below: &[String]) -> String {
    std::iter::once(first)
        .chain(below.iter().map(String::as_str))
        .collect::<Vec<_>>()
        .join(".")
}

/// The argument sent under a name, whatever its case.
fn known(def: &ToolDef, wire: &str) -> Option<String> {
    let parameters = def.binding.parameters.iter();
    let parameters = parameters.map(|p| (&p.name, &p.argument));
    let body = def.binding.lifted().iter();
    let all = || {
        parameters
            .clone()
            .chain(body.clone().map(|p| (&p.name, &p.argument)))
    };
    let exact = all().find(|(name, _)| *name == wire);
    exact
        .or_else(|| all().find(|(name, _)| name.eq_ignore_ascii_case(wire)))
        .map(|(_, argument)| argument.clone())
}
