//! Postman collections, v2.1 and v2.0: every request is an operation.

pub mod auth;
pub mod body;
pub mod request;

use std::collections::HashSet;

use serde_json::Value;

use crate::openapi::DocumentError;
use crate::openapi::finding::{Code, quoted};
use crate::openapi::foreign::Context;
use crate::openapi::foreign::address::Variables;
use crate::openapi::foreign::outline::Outline;
use crate::openapi::foreign::postman::auth::Auth;
use crate::openapi::foreign::postman::request::Request;
use crate::openapi::pointer::text;

/// Folders within folders.
const DEPTH_MAX: usize = 24;

/// A collection says which schema it follows, or has items under an id that Postman gave it. An
/// export over Postman's API wraps it once.
pub fn recognise(root: &Value) -> bool {
    let collection = collection(root).0;
    let info = collection.get("info");
    let word = |key: &str| info.and_then(|info| info.get(key)).and_then(Value::as_str);
    let schema = word("schema").is_some_and(|schema| {
        schema.contains("schema.getpostman.com") || schema.contains("schema.postman.com")
    });
    collection.get("item").is_some_and(Value::is_array) && (schema || word("_postman_id").is_some())
}

fn collection(root: &Value) -> (&Value, &'static str) {
    match root.get("collection") {
        Some(inner) if inner.is_object() => (inner, "/collection"),
        _ => (root, ""),
    }
}

/// Converts a collection.
///
/// # Errors
/// It has more requests than a document may have operations.
pub fn convert(root: &Value, context: &mut Context<'_>) -> Result<Outline, DocumentError> {
    let (collection, pointer) = collection(root);
    let info = collection.get("info").unwrap_or(&Value::Null);
    let outline = Outline {
        title: info.get("name").and_then(text).unwrap_or_default(),
        description: description(info),
        revision: info.get("version").and_then(text),
        ..Outline::default()
    };
    let mut walk = Walk {
        outline,
        context,
        variables: Variables::default(),
        unset: HashSet::new(),
    };
    walk.variables(collection, pointer);
    let scope = Scope {
        pointer: pointer.to_owned(),
        tags: Vec::new(),
        auth: Auth::of(collection, &walk.variables),
    };
    walk.scripts(collection, pointer, "the collection");
    walk.items(collection, &scope, 0)?;
    Ok(walk.outline)
}

/// What the requests of a folder inherit.
#[derive(Clone)]
pub struct Scope {
    pub pointer: String,
    pub tags: Vec<String>,
    pub auth: Auth,
}

struct Walk<'a, 'f> {
    outline: Outline,
    context: &'a mut Context<'f>,
    variables: Variables,
    /// Variables without a value that were told of.
    unset: HashSet<String>,
}

impl Walk<'_, '_> {
    fn variables(&mut self, at: &Value, pointer: &str) {
        let listed = at.get("variable").and_then(Value::as_array);
        for (index, variable) in listed.into_iter().flatten().enumerate() {
            let name = variable.get("key").or_else(|| variable.get("id"));
            let Some(name) = name.and_then(text) else {
                continue;
            };
            let disabled = variable.get("disabled") == Some(&Value::Bool(true));
            let value = variable.get("value").and_then(text).unwrap_or_default();
            if disabled || value.is_empty() {
                continue;
            }
            if variable.get("type").and_then(Value::as_str) == Some("secret") {
                self.variables.secret.insert(name.clone());
            } else {
                self.variables.insert(&name, &value);
            }
            if self.variables.secret.contains(&name) {
                let message = format!("the value of the variable {} is left out", quoted(&name));
                let place = format!("{pointer}/variable/{index}");
                self.context
                    .findings
                    .add(Code::ForeignSecret, place, message);
            }
        }
    }

    /// Scripts may set what a request needs; nothing of them is run.
    fn scripts(&mut self, at: &Value, pointer: &str, what: &str) {
        let events = at.get("event").and_then(Value::as_array);
        let runs = |event: &&Value| {
            let lines = event.pointer("/script/exec");
            let blank = |line: &Value| line.as_str().is_none_or(|line| line.trim().is_empty());
            event["listen"] == "prerequest"
                && match lines {
                    Some(Value::Array(lines)) => !lines.iter().all(blank),
                    Some(line) => !blank(line),
                    None => false,
                }
        };
        if events.into_iter().flatten().any(|event| runs(&event)) {
            let message = format!("the script that runs before {what} is not run");
            self.context
                .findings
                .add(Code::ForeignScript, format!("{pointer}/event"), message);
        }
    }

    fn items(&mut self, at: &Value, scope: &Scope, depth: usize) -> Result<(), DocumentError> {
        let items = at.get("item").and_then(Value::as_array);
        for (index, item) in items.into_iter().flatten().enumerate() {
            let pointer = format!("{}/item/{index}", scope.pointer);
            let name = item.get("name").and_then(text).unwrap_or_default();
            if item.get("item").is_some_and(Value::is_array) {
                if depth >= DEPTH_MAX {
                    let message = format!("folder {} is nested too deeply", quoted(&name));
                    self.context
                        .findings
                        .add(Code::ForeignLost, pointer, message);
                    continue;
                }
                let mut inner = scope.clone();
                inner.auth = Auth::inherited(item, &self.variables, &scope.auth);
                inner.tags.push(name.clone());
                self.scripts(item, &pointer, &format!("folder {}", quoted(&name)));
                inner.pointer = pointer;
                self.items(item, &inner, depth + 1)?;
            } else {
                self.context.room(&self.outline)?;
                self.item(item, &name, scope, pointer);
            }
        }
        Ok(())
    }

    fn item(&mut self, item: &Value, name: &str, scope: &Scope, pointer: String) {
        self.scripts(item, &pointer, &quoted(name));
        let request = Request {
            item,
            name,
            scope,
            pointer: pointer.clone(),
            variables: &self.variables,
        };
        let draft = request.draft(&mut self.outline.schemes, self.context);
        match draft {
            Ok((draft, missing)) => {
                if let Some(missing) = missing {
                    self.tell_unset(&missing, &draft.origin);
                }
                self.outline.drafts.push(draft);
            }
            Err(message) => {
                let message = format!("{}: {message}", quoted(name));
                self.context
                    .findings
                    .add(Code::ForeignLost, pointer, message);
            }
        }
    }

    fn tell_unset(&mut self, variable: &str, pointer: &str) {
        if !self.unset.insert(variable.to_owned()) {
            return;
        }
        let message = if variable.is_empty() {
            "the request has no address".to_owned()
        } else {
            format!(
                "the address is in the variable {}, whose value is not here",
                quoted(variable)
            )
        };
        self.context
            .findings
            .add(Code::ForeignAddress, pointer, message);
    }
}

/// A description: text, or an object that holds it.
pub fn description(at: &Value) -> Option<String> {
    let description = at.get("description")?;
    let content = description.get("content").unwrap_or(description);
    text(content).filter(|words| !words.trim().is_empty())
}
