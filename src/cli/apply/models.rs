//! The providers and models of a catalog, against those there are.

use anyhow::Context;
use http::Method;
use serde_json::{Map, Value, json};

use crate::cli::api::path_of;
use crate::cli::apply::catalog::{ProviderSpec, differing, is_same};
use crate::cli::apply::compare::{Change, Compare};
use crate::cli::apply::difference::lines;
use crate::cli::apply::step::{Body, Secret, Step};
use crate::llm::live::StoredModel;
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

    pub(super) async fn model(&self, name: &str, wanted: &Value) -> anyhow::Result<Option<Change>> {
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
