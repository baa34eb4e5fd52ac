//! The catalog as a file: what servers, plans, consumers, providers and models there are to be. Pure.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::llm::standing::{HealthRule, LoadRule};

/// A whole catalog. What it does not name stays as it is.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Catalog {
    /// By slug.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub servers: IndexMap<String, ServerSpec>,
    /// By name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub plans: IndexMap<String, PlanSpec>,
    /// By name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub consumers: IndexMap<String, ConsumerSpec>,
    /// By name; where it is not given, nothing is said of any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub providers: Option<IndexMap<String, ProviderSpec>>,
    /// By name, as `PUT /api/v1/models/{name}` takes them; where it is not given, nothing is said of any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<IndexMap<String, Value>>,
}

/// A server.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerSpec {
    /// A file, beside the catalog or with its whole path, or a URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// As `PATCH /api/v1/servers/{slug}` takes them; those that are not named stay.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub settings: Map<String, Value>,
    /// What is changed of tools, by operation; where it is given, all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<IndexMap<String, Value>>,
    /// Where credentials are read that are not set yet: by scheme, `env:NAME` or `@FILE`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub credentials: IndexMap<String, String>,
}

/// A plan.
#[derive(Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanSpec {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    pub limits: Vec<Value>,
}

/// A consumer, which came into being with its first key.
#[derive(Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConsumerSpec {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Vec<Value>>,
    /// The plan with each server, by slug; where it is given, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plans: Option<IndexMap<String, String>>,
}

/// A provider of models.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ProviderSpec {
    pub kind: String,
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub parameters: IndexMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_upstream: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_timeout_ms: Option<u64>,
    /// Anything of its own is open to callers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pass_through: bool,
    /// Callers keep files and batches at it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub files: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthRule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<LoadRule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Value>,
    /// Where keys are read that are not entered yet: by name, `env:NAME` or `@FILE`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub keys: IndexMap<String, String>,
}

/// Why a file is no catalog.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CatalogError {
    #[error("{0}")]
    Syntax(String),
    #[error(
        "{0} has to be env:NAME or @FILE; a catalog is kept with others, so it holds no secret"
    )]
    Secret(String),
}

impl Catalog {
    /// Reads YAML or JSON.
    pub(crate) fn parse(text: &str) -> Result<Self, CatalogError> {
        let read: Result<Self, _> = serde_saphyr::from_str(text);
        let catalog = read.map_err(|error| CatalogError::Syntax(error.to_string()))?;
        for (slug, server) in &catalog.servers {
            let place = format!("servers.{slug}.credentials");
            refuse_secrets(&place, &server.credentials)?;
        }
        for (name, provider) in catalog.providers.iter().flatten() {
            refuse_secrets(&format!("providers.{name}.keys"), &provider.keys)?;
        }
        Ok(catalog)
    }
}

/// What is not where a secret is read would be one.
fn refuse_secrets(place: &str, sources: &IndexMap<String, String>) -> Result<(), CatalogError> {
    let plain = |value: &str| !value.starts_with("env:") && !value.starts_with('@');
    match sources.iter().find(|(_, value)| plain(value)) {
        Some((name, _)) => Err(CatalogError::Secret(format!("{place}.{name}"))),
        None => Ok(()),
    }
}

/// The settings that are not what is wanted: name, what it is, what it is to be.
pub(crate) fn differing<'a>(
    wanted: &'a Map<String, Value>,
    current: &'a Value,
) -> Vec<(&'a str, &'a Value, &'a Value)> {
    let members = wanted.iter().filter_map(|(name, wanted)| {
        let current = &current[name.as_str()];
        let same = if is_partly(name) {
            holds(current, wanted)
        } else {
            is_same(current, wanted)
        };
        (!same).then_some((name.as_str(), current, wanted))
    });
    members.collect()
}

/// Whether the members of a setting are settings of their own, with defaults; any other object is a whole.
pub(crate) fn is_partly(name: &str) -> bool {
    matches!(name, "resilience" | "sessions")
}

/// Whether everything that is named is so.
fn holds(current: &Value, wanted: &Value) -> bool {
    match (current, wanted) {
        (Value::Object(current), Value::Object(wanted)) => wanted.iter().all(|(name, wanted)| {
            let current = current.get(name).unwrap_or(&Value::Null);
            holds(current, wanted)
        }),
        (current, wanted) => is_same(current, wanted),
    }
}

/// Whether both say the same; a member that is null might as well not be there.
pub(crate) fn is_same(current: &Value, wanted: &Value) -> bool {
    match (current, wanted) {
        (Value::Object(a), Value::Object(b)) => {
            let covers = |a: &Map<String, Value>, b: &Map<String, Value>| {
                b.iter()
                    .all(|(name, b)| is_same(a.get(name).unwrap_or(&Value::Null), b))
            };
            covers(a, b) && covers(b, a)
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_catalog_is_read_and_holds_no_secret() {
        let text = "
servers:
  shop:
    document: ./shop.yaml
    settings: { access: open, limits: [{ unit: requests, amount: 5, window: minute, scope: key }] }
    tools:
      GET /pets: { name: pets }
    credentials: { Key: env:SHOP_KEY }
plans:
  small: { limits: [] }
consumers:
  agent: { plans: { shop: small } }
providers:
  openai: { kind: openai, keys: { main: env:OPENAI_API_KEY } }
models:
  team/fast: { targets: [{ provider: openai, model: gpt-4o-mini }] }
";
        let catalog = Catalog::parse(text).unwrap();
        let shop = &catalog.servers["shop"];
        assert_eq!(shop.settings["access"], "open");
        assert_eq!(shop.tools.as_ref().unwrap()["GET /pets"]["name"], "pets");
        assert!(catalog.consumers["agent"].limits.is_none());
        let openai = &catalog.providers.as_ref().unwrap()["openai"];
        assert_eq!(openai.keys["main"], "env:OPENAI_API_KEY");
        let model = &catalog.models.as_ref().unwrap()["team/fast"];
        assert_eq!(model["targets"][0]["model"], "gpt-4o-mini");
        for (text, part) in [
            ("servers: { a: { documents: x } }", "documents"),
            ("server: {}", "server"),
            (
                "servers: { a: { credentials: { K: hush } } }",
                "servers.a.credentials.K",
            ),
            ("plans: { a: {} }", "limits"),
            ("providers: { a: {} }", "kind"),
            (
                "providers: { a: { kind: openai, keys: { K: hush } } }",
                "providers.a.keys.K",
            ),
            (": :", ""),
        ] {
            let error = Catalog::parse(text).unwrap_err().to_string();
            assert!(
                error.contains(part) && !error.contains("hush"),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn what_differs_is_named() {
        let current = json!({
            "access": "key", "tags": ["a"], "serverVariables": {"a": "1", "b": "2"},
            "resilience": {"retries": 1, "breaker": {"failures": 10, "pauseMs": 30_000}},
            "limits": [{"unit": "requests", "amount": 5}],
        });
        for (wanted, names) in [
            (json!({"access": "key", "upstream": null}), &[][..]),
            (json!({"access": "open"}), &["access"]),
            (json!({"resilience": {"retries": 1}}), &[]),
            (
                json!({"resilience": {"breaker": {"failures": 9}}}),
                &["resilience"],
            ),
            (json!({"serverVariables": {"a": "1"}}), &["serverVariables"]),
            (
                json!({"limits": [{"unit": "requests", "amount": 5, "burst": null}]}),
                &[],
            ),
            (json!({"limits": []}), &["limits"]),
            (json!({"tags": null}), &["tags"]),
        ] {
            let wanted = wanted.as_object().unwrap();
            let found: Vec<&str> = differing(wanted, &current).iter().map(|it| it.0).collect();
            assert_eq!(found, names, "{wanted:?}");
        }
    }
}
