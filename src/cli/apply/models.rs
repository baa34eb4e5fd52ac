//! The providers and models of a catalog, against those there are.

use anyhow::Context;
use http::Method;
use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::cli::api::path_of;
use crate::cli::apply::catalog::{ProviderSpec, differing, is_same};
use crate::cli::apply::compare::{Change, Compare};
use crate::cli::apply::difference::{Line, lines};
use crate::cli::apply::step::{Body, Secret, Step};
use crate::llm::live::StoredModel;
use crate::llm::names::Pattern;
use crate::llm::provider::Provider;

impl Compare<'_> {
    /// A provider; of its keys, those that are not entered yet.
    pub(super) async fn provider(
        &self,
        name: &str,
        wanted: &ProviderSpec,
    ) -> anyhow::Result<Option<Change>> {
        let path = path_of(&["providers", name]);
        let current = self.api.find(&path).await?;
        let body = body(wanted)?;
        let what = format!("provider {name}");
        let mut change = match &current {
            None => Change::new("create", what),
            Some(_) => Change::new("change", what),
        };
        let current = current.unwrap_or_default();
        let members = body.as_object().cloned().unwrap_or_default();
        let found = differing(&members, &current);
        if current.is_null() || !found.is_empty() {
            if !current.is_null() {
                change.lines = lines("", &found);
            }
            change
                .steps
                .push(Step::new("settings", Method::PUT, path, body.clone()));
        }
        for (key, from) in &wanted.keys {
            let mut known = current["keys"].as_array().into_iter().flatten();
            if known.any(|known| known["name"] == key.as_str()) {
                continue;
            }
            change
                .lines
                .push(format!("keys.{key}: read from {from}").into());
            let place = format!("providers.{name}.keys.{key}");
            change.steps.push(Step {
                of: format!("keys.{key}"),
                method: Method::PUT,
                path: path_of(&["providers", name, "keys", key]),
                body: Body::Key(Secret::read(place, from)),
            });
        }
        Ok((!change.steps.is_empty()).then_some(change))
    }

    /// Models, each after what it goes on with once it is used up: one for which that is not there yet says so at the end.
    pub(super) async fn models(
        &self,
        wanted: &IndexMap<String, Value>,
    ) -> anyhow::Result<Vec<Change>> {
        let (mut changes, mut last) = (Vec::new(), Vec::new());
        for (place, (name, model)) in wanted.iter().enumerate() {
            let of = || format!("models.{name}");
            let Some(change) = self.model(name, model).await.with_context(of)? else {
                continue;
            };
            let mut later = wanted.keys().skip(place + 1);
            let waits = match model["onExhaust"]["downgrade"].as_str() {
                Some(other) => {
                    later.any(|name| leads(name, other)) && !self.has_model(other).await?
                }
                None => false,
            };
            if !waits {
                changes.push(change);
            } else if change.action == "create" {
                let (first, then) = in_two(change);
                changes.push(first);
                last.push(then);
            } else {
                last.push(change);
            }
        }
        changes.extend(last);
        Ok(changes)
    }

    async fn has_model(&self, name: &str) -> anyhow::Result<bool> {
        let found = self.api.find(&path_of(&["models", name])).await?;
        Ok(found.is_some())
    }

    async fn model(&self, name: &str, wanted: &Value) -> anyhow::Result<Option<Change>> {
        let path = path_of(&["models", name]);
        let wanted: StoredModel = serde_json::from_value(wanted.clone())?;
        wanted.check(name)?;
        let body = serde_json::to_value(&wanted)?;
        let what = format!("model {name}");
        let mut change = match self.api.find(&path).await? {
            None => Change::new("create", what),
            Some(current) => {
                let current = settings(&current);
                if is_same(&current, &body) {
                    return Ok(None);
                }
                let mut change = Change::new("change", what);
                change.lines = lines("", &differing(&whole(&current, &body), &current));
                change
            }
        };
        change
            .steps
            .push(Step::new("settings", Method::PUT, path, body));
        Ok(Some(change))
    }
}

/// Whether what is stored under one name may be meant by another.
fn leads(stored: &str, name: &str) -> bool {
    Pattern::read(stored).is_ok_and(|pattern| pattern.matches(name))
}

/// A new model, first without what it goes on with, and then with it.
fn in_two(mut change: Change) -> (Change, Change) {
    let mut then = Change::new("change", change.what.clone());
    for step in &mut change.steps {
        let Body::Json(Value::Object(members)) = &mut step.body else {
            continue;
        };
        let whole = Value::Object(members.clone());
        let exhaust = members.remove("onExhaust").unwrap_or_default();
        let line = Line::of("onExhaust", &Value::Null, &exhaust);
        then.lines.push(line);
        let step = Step::new("settings", Method::PUT, step.path.clone(), whole);
        then.steps.push(step);
    }
    (change, then)
}

/// What has to be undone before models can be removed: that one goes on with another, which is kept as long as it does.
pub(super) fn released(removed: &[&Value]) -> Vec<Step> {
    let names: Vec<&str> = removed
        .iter()
        .filter_map(|row| row["name"].as_str())
        .collect();
    let steps = removed.iter().filter_map(|row| {
        let name = row["name"].as_str()?;
        let other = row["onExhaust"]["downgrade"].as_str()?;
        if !names.iter().any(|stored| leads(stored, other)) {
            return None;
        }
        let mut body = settings(row);
        body.as_object_mut()?.remove("onExhaust");
        let of = format!("onExhaust of model {name}");
        let path = path_of(&["models", name]);
        Some(Step::new(of, Method::PUT, path, body))
    });
    steps.collect()
}

/// A provider as it is sent, its definition written as the server writes it.
fn body(wanted: &ProviderSpec) -> anyhow::Result<Value> {
    let definition = match &wanted.definition {
        None => None,
        Some(given) => Some(Provider::from_json(&given.to_string()).context("definition")?),
    };
    Ok(json!({
        "kind": wanted.kind,
        "parameters": wanted.parameters,
        "allowUpstream": wanted.allow_upstream,
        "connectTimeoutMs": wanted.connect_timeout_ms,
        "passThrough": wanted.pass_through,
        "files": wanted.files,
        "health": wanted.health,
        "load": wanted.load,
        "definition": definition,
    }))
}

/// The settings of a model that was answered.
pub(crate) fn settings(answer: &Value) -> Value {
    let mut members = answer.as_object().cloned().unwrap_or_default();
    members.remove("name");
    members.remove("updatedAt");
    Value::Object(members)
}

/// What is wanted, and nothing where something is there that is not.
fn whole(current: &Value, wanted: &Value) -> Map<String, Value> {
    let mut members = wanted.as_object().cloned().unwrap_or_default();
    for name in current.as_object().into_iter().flat_map(Map::keys) {
        members.entry(name.clone()).or_insert(Value::Null);
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(step: &Step) -> Value {
        let sent = step.sent().unwrap().unwrap();
        serde_json::from_slice(&sent.bytes).unwrap()
    }

    #[test]
    fn a_new_model_goes_on_with_another_once_that_is_there() {
        let body = json!({ "targets": [], "onExhaust": { "downgrade": "b" } });
        let mut change = Change::new("create", "model a".to_owned());
        let path = "/api/v1/models/a".to_owned();
        change
            .steps
            .push(Step::new("settings", Method::PUT, path, body.clone()));
        let (first, then) = in_two(change);
        assert_eq!((first.action, then.action), ("create", "change"));
        assert_eq!(sent(&first.steps[0]), json!({ "targets": [] }));
        assert_eq!(sent(&then.steps[0]), body);
        assert_eq!(
            then.view()["changes"],
            json!([r#"onExhaust: nothing -> {"downgrade":"b"}"#])
        );
    }

    #[test]
    fn models_that_go_are_released_from_each_other() {
        let row = |name: &str, other: &str| json!({ "name": name, "updatedAt": 1, "targets": [], "onExhaust": { "downgrade": other } });
        let rows = [row("a", "b-1"), row("b-*", "a"), row("c", "kept")];
        let steps = released(&rows.iter().collect::<Vec<_>>());
        let of: Vec<&str> = steps.iter().map(|step| step.of.as_str()).collect();
        assert_eq!(of, ["onExhaust of model a", "onExhaust of model b-*"]);
        assert_eq!(sent(&steps[0]), json!({ "targets": [] }));
    }
}
