//! What an organization says of a provider it uses, beside its name and its keys.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::egress::{AllowRule, AllowRuleError, CONNECT_TIMEOUTS_MS};
use crate::llm::provider::{self, Capability, Probe, Provider, ProviderError, UrlError};
use crate::llm::sign::google;
use crate::llm::standing::{HealthRule, LoadRule, StandingError};

/// Rules of one provider, the length of a parameter, and of a definition as JSON.
const RULES_MAX: usize = 32;
const PARAMETER_BYTES_MAX: usize = 2_000;
const DEFINITION_BYTES_MAX: usize = 64 << 10;
/// The parameter that any provider has: another base URL.
pub const BASE: &str = "base_url";
/// The parameter of Google's providers that says where assertions of service accounts go.
const TOKEN_URL: &str = "token_url";
/// What stands for a model where an address has to be known before one is asked for.
const ANY_MODEL: &str = "model";
/// Headers that would be a credential, which nobody would know to keep.
const SECRET_HEADERS: [&str; 6] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
];

/// What is stored of a provider beside its name and kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ProviderSettings {
    /// What its URLs leave open: a region, a resource; `base_url` takes the place of its base.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// Private addresses it may be at, as `--allow-upstream` takes them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_upstream: Vec<String>,
    /// How long name resolution and connecting may take; absent: as long as the process's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_timeout_ms: Option<u64>,
    /// Callers may ask it for anything of its own, at `/p/{name}/…`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pass_through: bool,
    /// Callers keep files and batches at it, each its own, at `/v1/files` and `/v1/batches`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub files: bool,
    /// How it is checked while nobody asks it; absent: it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthRule>,
    /// How often its load is read; absent: it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<LoadRule>,
    /// A provider that is not compiled in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub definition: Option<Box<Provider>>,
}

/// Why settings mean nothing. The text names the field.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error(
        "`kind`: there is no provider of the kind \"{0}\"; /api/v1/provider-kinds lists those there are, and \
         `definition` describes another one"
    )]
    Kind(String),
    #[error("`definition`: {0}")]
    Definition(#[from] ProviderError),
    #[error("`definition.id` has to be the `kind`, \"{0}\"")]
    DefinitionKind(String),
    #[error("`definition` has at most {DEFINITION_BYTES_MAX} bytes")]
    DefinitionLength,
    #[error(
        "`definition.headers.{0}` would be a credential: enter it as a key, with `auth` for where it belongs"
    )]
    DefinitionHeader(String),
    #[error("`parameters.{name}`: {provider} has no such parameter; it has {known}")]
    Parameter {
        name: String,
        provider: String,
        known: String,
    },
    #[error("`parameters.{0}` has at most {PARAMETER_BYTES_MAX} characters, and no spaces")]
    ParameterText(String),
    #[error(
        "`parameters.base_url` is a URL of http or https, without a user, a query or a fragment; keys are entered apart"
    )]
    Base,
    #[error("`parameters.{name}`: {source}")]
    Url { name: String, source: UrlError },
    #[error("`allowUpstream{0}")]
    Rules(RulesError),
    #[error("`connectTimeoutMs` is 100 to 60000")]
    ConnectTimeout,
    #[error("`{0}")]
    Standing(#[from] StandingError),
    #[error("`health`: {0} has no list of models that could be asked for")]
    Unlisted(String),
}

/// Why rules are none. The text goes on after the name of their field.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    #[error("` has at most {RULES_MAX} rules")]
    Many,
    #[error("[{0}]`: {1}")]
    Rule(usize, AllowRuleError),
}

impl ProviderSettings {
    /// What it is, by its kind.
    pub fn provider(&self, kind: &str) -> Option<Provider> {
        match &self.definition {
            Some(definition) => Some(Provider::clone(definition)),
            None => provider::find(kind).cloned(),
        }
    }

    /// The rules that can be read; what is stored was checked before.
    pub fn rules(&self) -> Vec<AllowRule> {
        let rules = self.allow_upstream.iter();
        rules.filter_map(|rule| rule.parse().ok()).collect()
    }

    /// Whether they mean something, for a provider of that kind: what it is, and where its keys go.
    ///
    /// # Errors
    /// The first thing that does not.
    pub fn check(&self, kind: &str) -> Result<(Provider, String), SettingsError> {
        self.check_definition(kind)?;
        let provider = self.provider(kind);
        let provider = provider.ok_or_else(|| SettingsError::Kind(shown(kind)))?;
        self.check_parameters(&provider)?;
        self.check_rules().map_err(SettingsError::Rules)?;
        let mut connect = self.connect_timeout_ms.iter();
        if !connect.all(|ms| CONNECT_TIMEOUTS_MS.contains(ms)) {
            return Err(SettingsError::ConnectTimeout);
        }
        self.check_standing(&provider)?;
        let origin = origin(&provider, &self.parameters).map_err(of_url)?;
        Ok((provider, origin))
    }

    fn check_standing(&self, provider: &Provider) -> Result<(), SettingsError> {
        if let Some(rule) = &self.health {
            rule.check()?;
            if provider.probe == Probe::Chat || !provider.can(Capability::Models) {
                return Err(SettingsError::Unlisted(provider.name.clone()));
            }
        }
        if let Some(rule) = &self.load {
            rule.check()?;
        }
        Ok(())
    }

    fn check_definition(&self, kind: &str) -> Result<(), SettingsError> {
        let Some(definition) = &self.definition else {
            return Ok(());
        };
        if definition.id != kind {
            return Err(SettingsError::DefinitionKind(shown(kind)));
        }
        let bytes = serde_json::to_string(definition).map_or(usize::MAX, |text| text.len());
        if bytes > DEFINITION_BYTES_MAX {
            return Err(SettingsError::DefinitionLength);
        }
        let is_secret = |name: &&String| {
            let mut known = SECRET_HEADERS.iter();
            known.any(|known| name.eq_ignore_ascii_case(known))
        };
        if let Some(name) = definition.headers.keys().find(is_secret) {
            return Err(SettingsError::DefinitionHeader(name.clone()));
        }
        Ok(definition.check()?)
    }

    fn check_parameters(&self, provider: &Provider) -> Result<(), SettingsError> {
        for (name, value) in &self.parameters {
            let mut declared = provider.parameters.iter();
            if name != BASE && !declared.any(|known| known.name == *name) {
                let declared = provider.parameters.iter().map(|known| known.name.as_str());
                let mut known: Vec<&str> = declared.filter(|known| *known != BASE).collect();
                known.push(BASE);
                return Err(SettingsError::Parameter {
                    name: shown(name),
                    provider: provider.name.clone(),
                    known: known.join(", "),
                });
            }
            let spaced = value.chars().any(|c| c.is_whitespace() || c.is_control());
            if value.len() > PARAMETER_BYTES_MAX || spaced {
                return Err(SettingsError::ParameterText(name.clone()));
            }
        }
        match self.parameters.get(BASE).filter(|base| !base.is_empty()) {
            Some(base) if !is_base(base) => Err(SettingsError::Base),
            _ => Ok(()),
        }
    }

    fn check_rules(&self) -> Result<(), RulesError> {
        if self.allow_upstream.len() > RULES_MAX {
            return Err(RulesError::Many);
        }
        for (place, rule) in self.allow_upstream.iter().enumerate() {
            rule.parse::<AllowRule>()
                .map_err(|error| RulesError::Rule(place, error))?;
        }
        Ok(())
    }
}

/// Where a provider's keys go: the origin at which it is asked for answers, or for the first thing it can do.
pub fn origin(
    provider: &Provider,
    parameters: &BTreeMap<String, String>,
) -> Result<String, UrlError> {
    let capability = if provider.can(Capability::Chat) {
        Capability::Chat
    } else {
        let listed = provider.capabilities.first();
        let first = listed.or_else(|| provider.paths.keys().next());
        first.copied().unwrap_or(Capability::Chat)
    };
    let url = provider.url(parameters, capability, ANY_MODEL, false)?;
    Ok(url.origin().ascii_serialization())
}

/// Where assertions of service accounts go: Google's own address, or the one an admin allows.
pub fn token_url(parameters: &BTreeMap<String, String>) -> &str {
    let own = parameters.get(TOKEN_URL).filter(|url| !url.is_empty());
    own.map_or(google::TOKEN_URL, String::as_str)
}

fn is_base(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    })
}

fn of_url(source: UrlError) -> SettingsError {
    let name = match &source {
        UrlError::Missing { parameter, .. } | UrlError::Unfit { parameter, .. } => {
            parameter.clone()
        }
        UrlError::NoUrl { .. } | UrlError::Unsupported { .. } => BASE.to_owned(),
    };
    SettingsError::Url { name, source }
}

/// A name as an error repeats it.
fn shown(name: &str) -> String {
    name.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(kind: &str, settings: serde_json::Value) -> Result<String, String> {
        let settings: ProviderSettings = serde_json::from_value(settings).unwrap();
        let checked = settings.check(kind).map_err(|error| error.to_string());
        checked.map(|(_, origin)| origin)
    }

    #[test]
    fn keys_go_where_the_parameters_lead() {
        use serde_json::json;
        for (kind, settings, origin) in [
            ("openai", json!({}), "https://api.openai.com"),
            (
                "openai",
                json!({ "parameters": { "base_url": "http://127.0.0.1:9/v1/" } }),
                "http://127.0.0.1:9",
            ),
            (
                "azure",
                json!({ "parameters": { "resource": "ours" } }),
                "https://ours.openai.azure.com",
            ),
            (
                "bedrock",
                json!({ "parameters": { "region": "eu-west-1" } }),
                "https://bedrock-runtime.eu-west-1.amazonaws.com",
            ),
        ] {
            assert_eq!(checked(kind, settings), Ok(origin.to_owned()), "{kind}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        use serde_json::json;
        let base = |url: &str| json!({ "parameters": { "base_url": url } });
        let own = |more: serde_json::Value| {
            let mut definition = json!({
                "id": "mine", "name": "Mine", "dialect": "openai-chat", "base_url": "https://llm.example.com/v1",
                "capabilities": ["chat"], "auth": "bearer", "docs": "https://llm.example.com/docs",
            });
            definition
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            json!({ "definition": definition })
        };
        assert_eq!(
            checked("mine", own(json!({}))),
            Ok("https://llm.example.com".to_owned())
        );
        for (kind, settings, said) in [
            ("opnai", json!({}), "`kind`: there is no provider"),
            ("azure", json!({}), "`parameters.resource`: "),
            ("openai-compatible", json!({}), "`parameters.base_url`: "),
            ("openai", base("ftp://x/v1"), "`parameters.base_url` is"),
            (
                "openai",
                base("https://u:p@x/v1"),
                "`parameters.base_url` is",
            ),
            (
                "openai",
                base("https://x/v1?key=1"),
                "`parameters.base_url` is",
            ),
            ("openai", base("https://x/v 1"), "`parameters.base_url` has"),
            (
                "azure",
                json!({ "parameters": { "resource": "evil.example/" } }),
                "`parameters.resource`: ",
            ),
            (
                "openai",
                json!({ "parameters": { "region": "x" } }),
                "`parameters.region`: OpenAI has no such parameter; it has base_url",
            ),
            (
                "openai",
                json!({ "allowUpstream": ["10.0.0.0/8", "nonsense !"] }),
                "`allowUpstream[1]`: ",
            ),
            ("other", own(json!({})), "`definition.id` has to be"),
            (
                "mine",
                own(json!({ "headers": { "Authorization": "Bearer x" } })),
                "`definition.headers.Authorization` would be",
            ),
            (
                "mine",
                own(json!({ "base_url": "https://{place}.example.com" })),
                "`definition`: provider `mine`: `{place}` is no parameter",
            ),
        ] {
            let error = checked(kind, settings).unwrap_err();
            assert!(error.starts_with(said), "{error}");
        }
    }
}
