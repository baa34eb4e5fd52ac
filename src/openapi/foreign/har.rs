//! HAR 1.2 recordings: the API traffic of one origin, many requests merged into few operations.
//!
//! A recording is full of credentials and of other people's data. Nothing of it is taken over but
//! names and types: no value of a header, a cookie, a parameter or a body.

pub mod entry;

use std::collections::BTreeMap;

use indexmap::{IndexMap, IndexSet};
use serde_json::{Map, Value, json};

use crate::openapi::DocumentError;
use crate::openapi::finding::{Code, quoted};
use crate::openapi::foreign::Context;
use crate::openapi::foreign::address::{self, Server};
use crate::openapi::foreign::har::entry::{Entry, Skipped};
use crate::openapi::foreign::outline::{Draft, Outline, Schemes, is_ours, scalar};
use crate::openapi::foreign::sample::{Patience, Shape};
use crate::openapi::foreign::secret::{is_secret_name, is_secret_value};

/// Entries looked at.
const ENTRIES_MAX: usize = 50_000;
/// Other origins that are told of one by one.
const ORIGINS_TOLD_MAX: usize = 20;
/// Names of headers and query parameters of one operation.
const NAMES_MAX: usize = 100;

/// Whether a document is a recording.
pub fn recognise(root: &Value) -> bool {
    root.pointer("/log/entries").is_some_and(Value::is_array)
}

/// Converts a recording.
///
/// # Errors
/// It has more operations than a document may have.
pub fn convert(root: &Value, context: &mut Context<'_>) -> Result<Outline, DocumentError> {
    let entries = root.pointer("/log/entries").and_then(Value::as_array);
    let entries = entries.map_or(&[][..], Vec::as_slice);
    let mut skipped: BTreeMap<Skipped, (usize, usize)> = BTreeMap::new();
    let mut kept = Vec::new();
    for (index, entry) in entries.iter().take(ENTRIES_MAX).enumerate() {
        match Entry::read(index, entry) {
            Ok(entry) => kept.push(entry),
            Err(why) => skipped.entry(why).or_insert((0, index)).0 += 1,
        }
    }
    if entries.len() > ENTRIES_MAX {
        skipped.insert(Skipped::TooMany, (entries.len() - ENTRIES_MAX, ENTRIES_MAX));
    }
    for (why, (count, first)) in skipped {
        let message = format!("left out: {count} {}, the first of them here", why.name());
        let place = format!("/log/entries/{first}");
        context.findings.add(Code::ForeignSkipped, place, message);
    }
    let mut outline = Outline::default();
    let Some(main) = main_origin(&kept, context) else {
        return Ok(outline);
    };
    kept.retain(|entry| entry.origin == main);
    let host = main.split("://").nth(1);
    host.unwrap_or(&main).clone_into(&mut outline.title);
    let mut merged: IndexMap<(String, String), Merged<'_>> = IndexMap::new();
    for entry in &kept {
        let shape = address::path(entry.path);
        let key = (entry.method.clone(), shape.template);
        merged
            .entry(key)
            .or_default()
            .add(entry, &mut context.patience);
    }
    for ((method, path), merged) in merged {
        context.room(&outline)?;
        let server = Server {
            url: main.clone(),
            variable: None,
            guessed: false,
        };
        let draft = merged.draft((method, path, server), &mut outline.schemes, context);
        outline.drafts.extend(draft);
    }
    tell_headers(&kept, context);
    Ok(outline)
}

/// The origin with most of the traffic; the others are told of.
fn main_origin(kept: &[Entry<'_>], context: &mut Context<'_>) -> Option<String> {
    let mut counts: IndexMap<&str, (usize, usize)> = IndexMap::new();
    for entry in kept {
        counts.entry(&entry.origin).or_insert((0, entry.index)).0 += 1;
    }
    let most = counts.values().map(|(count, _)| *count).max()?;
    let main = counts.iter().find(|(_, (count, _))| *count == most)?;
    let main = (*main.0).to_owned();
    let others = counts.iter().filter(|(origin, _)| **origin != main);
    for (origin, (count, first)) in others.take(ORIGINS_TOLD_MAX) {
        let message = format!("requests to {} are left out: {count}", quoted(origin));
        let place = format!("/log/entries/{first}");
        context.findings.add(Code::ForeignGuessed, place, message);
    }
    Some(main)
}

/// Headers of the API's own, which a caller may have to send: named, since their values stay behind.
fn tell_headers(kept: &[Entry<'_>], context: &mut Context<'_>) {
    let mut names: Vec<String> = Vec::new();
    let mut cookies = false;
    for entry in kept {
        for name in entry.header_names() {
            cookies |= name == "cookie";
            let known = is_ours(&name) || name == "authorization" || names.contains(&name);
            if !known && !is_secret_name(&name) && names.len() < NAMES_MAX {
                names.push(name);
            }
        }
    }
    if !names.is_empty() {
        let listed: Vec<String> = names.iter().map(|name| quoted(name)).collect();
        let message = format!("headers that are left out: {}", listed.join(", "));
        context
            .findings
            .add(Code::ForeignSkipped, "/log/entries", message);
    }
    if cookies {
        let message = "the requests carried cookies, none of which is taken over";
        context
            .findings
            .add(Code::ForeignSecret, "/log/entries", message);
    }
}

/// Requests of one method to one path template.
#[derive(Default)]
struct Merged<'a> {
    samples: Vec<&'a Entry<'a>>,
    query: IndexMap<String, Value>,
    bodies: IndexMap<String, Option<Shape>>,
    answers: IndexMap<(u64, String), Option<Shape>>,
    statuses: IndexSet<u64>,
}

impl<'a> Merged<'a> {
    fn add(&mut self, entry: &'a Entry<'a>, patience: &mut Patience) {
        for (name, value) in entry.query() {
            let is_more = self.query.len() >= NAMES_MAX && !self.query.contains_key(&name);
            if is_more || is_secret_value(&name) {
                continue;
            }
            let schema = if is_secret_name(&name) || is_secret_value(&value) {
                Value::Null
            } else {
                scalar(&name, &value)
            };
            match self.query.get_mut(&name) {
                None => {
                    self.query.insert(name, schema);
                }
                Some(known) if *known != schema && !known.is_null() => {
                    *known = json!({"type": "string"});
                }
                Some(_) => {}
            }
        }
        if let Some((media, sample)) = entry.body() {
            let shape = self.bodies.entry(media).or_default();
            if let Some(sample) = sample {
                shape.get_or_insert_default().add(&sample, patience);
            }
        }
        self.statuses.insert(entry.status);
        if let Some((media, sample)) = entry.answer() {
            let shape = self.answers.entry((entry.status, media)).or_default();
            if let Some(sample) = sample {
                shape.get_or_insert_default().add(&sample, patience);
            }
        }
        self.samples.push(entry);
    }

    /// The operation, unless no request of it succeeded.
    fn draft(
        self,
        (method, path, server): (String, String, Server),
        schemes: &mut Schemes,
        context: &mut Context<'_>,
    ) -> Option<Draft> {
        let first = self.samples.first()?;
        let origin = format!("/log/entries/{}", first.index);
        if self
            .statuses
            .iter()
            .all(|status| *status >= 400 || *status == 0)
        {
            let message = format!("{method} {}: no request of it succeeded", quoted(&path));
            context.findings.add(Code::ForeignSkipped, origin, message);
            return None;
        }
        let mut draft = Draft {
            method,
            path,
            server: Some(server),
            origin: origin.clone(),
            ..Draft::default()
        };
        for parameter in &address::path(first.path).parameters {
            draft.path_parameter(&parameter.name, "", None);
            if parameter.guessed {
                let message = format!(
                    "values in the path are taken as the parameter {}",
                    quoted(&parameter.name)
                );
                context
                    .findings
                    .add(Code::ForeignGuessed, origin.clone(), message);
            }
        }
        self.credentials(&mut draft, schemes);
        for (name, schema) in self.query {
            if schema.is_null() {
                draft.need(schemes.api_key("query", &name));
            } else {
                let parameter = json!({"name": name, "in": "query", "schema": schema});
                draft.parameters.push(parameter);
            }
        }
        draft.body = body(self.bodies);
        draft.responses = responses(&self.statuses, self.answers);
        Some(draft)
    }

    /// The schemes of the credentials that were sent; the credentials themselves are not looked at.
    fn credentials(&self, draft: &mut Draft, schemes: &mut Schemes) {
        let mut kinds = self.samples.iter().map(|entry| entry.authorization());
        let kind = kinds.find_map(|kind| kind).unwrap_or_default();
        let names = self.samples.iter().flat_map(|entry| entry.header_names());
        let names: IndexSet<String> = names.collect();
        for name in names {
            if name == "authorization" {
                draft.need(schemes.authorization(&kind));
            } else if is_secret_name(&name)
                && !is_ours(&name)
                && !name.contains("csrf")
                && !name.contains("xsrf")
            {
                draft.need(schemes.api_key("header", &name));
            }
        }
    }
}

fn body(bodies: IndexMap<String, Option<Shape>>) -> Option<Value> {
    let mut content = Map::new();
    for (media, shape) in bodies {
        let schema = match shape {
            Some(shape) => shape.schema(true),
            None => json!({"type": "string"}),
        };
        content.insert(media, json!({"schema": schema}));
    }
    (!content.is_empty()).then(|| json!({"required": true, "content": content}))
}

fn responses(
    statuses: &IndexSet<u64>,
    answers: IndexMap<(u64, String), Option<Shape>>,
) -> Map<String, Value> {
    let mut found = Map::new();
    for status in statuses
        .iter()
        .filter(|status| (100..=599).contains(*status))
    {
        found.insert(status.to_string(), json!({"description": "As recorded."}));
    }
    for ((status, media), shape) in answers {
        let Some(answer) = found.get_mut(&status.to_string()) else {
            continue;
        };
        answer["content"][media] = match shape {
            Some(shape) => json!({"schema": shape.schema(false)}),
            None => json!({}),
        };
    }
    found
}
