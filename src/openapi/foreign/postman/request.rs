//! One request of a collection, with its saved answers.

use serde_json::{Map, Value, json};

use crate::openapi::finding::{Code, quoted};
use crate::openapi::foreign::Context;
use crate::openapi::foreign::address::{self, PathShape, Variables};
use crate::openapi::foreign::outline::{Draft, Schemes, Shown};
use crate::openapi::foreign::postman::auth::Auth;
use crate::openapi::foreign::postman::{Scope, body, description};
use crate::openapi::foreign::sample::Shape;
use crate::openapi::pointer::text;
use crate::types::essence;

/// Saved answers looked at.
const ANSWERS_MAX: usize = 50;

/// A request where it stands.
pub struct Request<'a> {
    pub item: &'a Value,
    pub name: &'a str,
    pub scope: &'a Scope,
    pub pointer: String,
    pub variables: &'a Variables,
}

/// A URL put together again: as text without its query, and the query with what is said of it.
struct Address {
    raw: String,
    query: Vec<Entry>,
    /// Path variables that are described.
    path: Vec<Entry>,
}

/// A named value with its description.
struct Entry {
    name: String,
    value: String,
    description: Option<String>,
}

impl Request<'_> {
    /// The operation, and the variable that its address needs and that has no value.
    ///
    /// # Errors
    /// Why it cannot be one.
    pub fn draft(
        &self,
        schemes: &mut Schemes,
        context: &mut Context<'_>,
    ) -> Result<(Draft, Option<String>), String> {
        let request = self.item.get("request").ok_or("the item has no request")?;
        let method = request
            .get("method")
            .and_then(Value::as_str)
            .unwrap_or("GET");
        // A request may be no more than its URL.
        let url = if request.is_string() {
            Some(request)
        } else {
            request.get("url")
        };
        let address = url.and_then(address).ok_or("the request has no URL")?;
        let parts = address::split(&address.raw);
        let shape = address::path(parts.path);
        let mut draft = Draft {
            method: method.trim().to_ascii_uppercase(),
            path: shape.template.clone(),
            name: Some(self.name.to_owned()).filter(|name| !name.trim().is_empty()),
            description: description(request).or_else(|| description(self.item)),
            tags: self.scope.tags.clone(),
            origin: self.pointer.clone(),
            ..Draft::default()
        };
        let server = address::server(parts.base, self.variables);
        let missing = server.as_ref().err().cloned();
        if let Ok(server) = server {
            if server.guessed {
                let message = format!(
                    "the URL has no scheme; {} is taken",
                    quoted(server.stated())
                );
                context
                    .findings
                    .add(Code::ForeignGuessed, self.pointer.clone(), message);
            }
            draft.server = Some(server);
        }
        if parts.base.contains('@') {
            draft.need(schemes.basic());
        }
        self.authenticate(request, &mut draft, schemes);
        self.path_parameters(&shape, &address.path, &mut draft, context);
        for entry in &address.query {
            draft.query(entry.shown(), schemes);
        }
        self.headers(request, &mut draft, schemes);
        self.bodies(request, &mut draft, context);
        Ok((draft, missing))
    }

    fn authenticate(&self, request: &Value, draft: &mut Draft, schemes: &mut Schemes) {
        let auth = Auth::inherited(request, self.variables, &self.scope.auth);
        if let Some(scheme) = auth.scheme(schemes) {
            draft.need(scheme);
        }
    }

    fn path_parameters(
        &self,
        shape: &PathShape,
        described: &[Entry],
        draft: &mut Draft,
        context: &mut Context<'_>,
    ) {
        for parameter in &shape.parameters {
            let source = parameter.source.as_deref().unwrap_or_default();
            let known = described.iter().find(|entry| entry.name == source);
            let value = match known {
                Some(entry) if !entry.value.is_empty() => entry.value.clone(),
                _ => self.variables.value(source).unwrap_or_default(),
            };
            let words = known.and_then(|entry| entry.description.as_deref());
            draft.path_parameter(&parameter.name, &value, words);
            if parameter.guessed {
                let message = format!(
                    "a value in the path is taken as the parameter {}",
                    quoted(&parameter.name)
                );
                context
                    .findings
                    .add(Code::ForeignGuessed, self.pointer.clone(), message);
            }
        }
    }

    fn headers(&self, request: &Value, draft: &mut Draft, schemes: &mut Schemes) {
        for entry in headers(request) {
            // A value that is known by its name is the value.
            let value = self.variables.expand(&entry.value).unwrap_or(entry.value);
            let shown = Shown {
                name: &entry.name,
                value: &value,
                description: entry.description.as_deref(),
            };
            draft.header(shown, schemes);
        }
    }

    fn bodies(&self, request: &Value, draft: &mut Draft, context: &mut Context<'_>) {
        let answers = self.item.get("response").and_then(Value::as_array);
        let answers: Vec<&Value> = answers.into_iter().flatten().take(ANSWERS_MAX).collect();
        let content_type = content_type(request);
        if let Some(written) = request.get("body").filter(|body| body.is_object()) {
            let others: Vec<&Value> = answers
                .iter()
                .filter_map(|answer| answer.pointer("/originalRequest/body"))
                .filter(|other| other.get("mode") == written.get("mode"))
                .filter(|other| other.get("raw") != written.get("raw"))
                .collect();
            if let Some(template) = body::graphql(written, &mut context.patience) {
                draft.template = template;
            }
            let declared = content_type.as_deref();
            draft.body = body::request_body(written, declared, &others, &mut context.patience);
        }
        draft.responses = responses(&answers, context);
    }
}

impl Entry {
    fn of(at: &Value) -> Option<Self> {
        let name = at.get("key").or_else(|| at.get("id")).and_then(text)?;
        Some(Self {
            name,
            value: at.get("value").and_then(text).unwrap_or_default(),
            description: description(at),
        })
    }

    fn shown(&self) -> Shown<'_> {
        Shown {
            name: &self.name,
            value: &self.value,
            description: self.description.as_deref(),
        }
    }
}

/// The headers that are not switched off; a list, or the lines of a text.
fn headers(at: &Value) -> Vec<Entry> {
    match at.get("header") {
        Some(Value::Array(list)) => list
            .iter()
            .filter(|header| header.get("disabled") != Some(&Value::Bool(true)))
            .filter_map(Entry::of)
            .collect(),
        Some(Value::String(lines)) => lines
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| Entry {
                name: name.trim().to_owned(),
                value: value.trim().to_owned(),
                description: None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn content_type(at: &Value) -> Option<String> {
    let found = headers(at)
        .into_iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-type"))?;
    let essence = essence(&found.value);
    let valid = essence.contains('/') && !essence.contains("{{") && essence.is_ascii();
    valid.then_some(essence)
}

/// A URL is a text, or an object with the text and its parts.
fn address(url: &Value) -> Option<Address> {
    if let Some(raw) = url.as_str() {
        return Some(Address {
            raw: raw.to_owned(),
            query: pairs(raw),
            path: Vec::new(),
        });
    }
    let raw = match url.get("raw").and_then(Value::as_str) {
        Some(raw) if !raw.trim().is_empty() => raw.to_owned(),
        _ => assembled(url)?,
    };
    let listed = |key: &str| -> Vec<Entry> {
        let list = url.get(key).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Entry::of).collect()
    };
    let mut query = listed("query");
    if query.is_empty() {
        query = pairs(&raw);
    }
    Some(Address {
        raw,
        query,
        path: listed("variable"),
    })
}

fn pairs(raw: &str) -> Vec<Entry> {
    address::pairs(address::split(raw).query)
        .into_iter()
        .map(|(name, value)| Entry {
            name,
            value: value.unwrap_or_default(),
            description: None,
        })
        .collect()
}

/// The text of a URL that has only parts.
fn assembled(url: &Value) -> Option<String> {
    let joined = |key: &str, with: &str| match url.get(key) {
        Some(Value::Array(parts)) => {
            let parts = parts.iter().map(|part| {
                let value = part.get("value").unwrap_or(part);
                text(value).unwrap_or_default()
            });
            Some(parts.collect::<Vec<_>>().join(with))
        }
        Some(other) => text(other),
        None => None,
    };
    let host = joined("host", ".")?;
    let protocol = url.get("protocol").and_then(Value::as_str);
    let mut raw = protocol.map_or_else(String::new, |protocol| format!("{protocol}://"));
    raw.push_str(&host);
    if let Some(port) = url
        .get("port")
        .and_then(text)
        .filter(|port| !port.is_empty())
    {
        raw.push(':');
        raw.push_str(&port);
    }
    if let Some(path) = joined("path", "/") {
        raw.push('/');
        raw.push_str(path.trim_start_matches('/'));
    }
    Some(raw)
}

/// The saved answers by status and media type, each with a schema of all its samples.
fn responses(answers: &[&Value], context: &mut Context<'_>) -> Map<String, Value> {
    let mut shapes: indexmap::IndexMap<(String, String), Shape> = indexmap::IndexMap::new();
    let mut found = Map::new();
    for answer in answers {
        let code = answer.get("code").and_then(Value::as_u64).unwrap_or(200);
        if !(100..=599).contains(&code) {
            continue;
        }
        let status = code.to_string();
        let words = answer.get("name").and_then(text).unwrap_or_default();
        found
            .entry(status.clone())
            .or_insert_with(|| json!({"description": words}));
        let written = answer
            .get("body")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let media = content_type(answer);
        let sample = serde_json::from_str::<Value>(written).ok();
        let is_json = media.as_ref().map_or_else(
            || {
                sample
                    .as_ref()
                    .is_some_and(|s| s.is_object() || s.is_array())
            },
            |media| media.contains("json"),
        );
        if let (true, Some(sample)) = (is_json, sample) {
            let media = media.unwrap_or_else(|| "application/json".to_owned());
            let shape = shapes.entry((status, media)).or_default();
            shape.add(&sample, &mut context.patience);
        } else if let Some(media) = media.filter(|_| !written.is_empty()) {
            found[&status]["content"][media] = json!({});
        }
    }
    for ((status, media), shape) in shapes {
        found[&status]["content"][media] = json!({"schema": shape.schema(false)});
    }
    found
}
