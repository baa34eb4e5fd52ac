//! Who runs models, as data: where they are asked, how a caller proves who it is, and in what they differ from
//! the dialect they speak.
//!
//! The built-in providers are the files of `provider/`; an operator's own have the same shape, in TOML or JSON.
//! Nothing here asks anybody: a [`Provider`] says which URL, headers and body a request has to have.

mod quirk;
mod url;
mod way;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use quirk::{Quirk, Switch, ThoughtPlace, Thoughts};
pub use url::{UrlError, leads_out};
pub use way::Models;

use crate::llm::dialect::{Dialect, Dropped};
use crate::llm::fault::Fault;

static BUILT_IN: LazyLock<Vec<Provider>> = LazyLock::new(|| {
    let files = [
        include_str!("provider/makers.toml"),
        include_str!("provider/clouds.toml"),
        include_str!("provider/china.toml"),
        include_str!("provider/hosts.toml"),
        include_str!("provider/local.toml"),
    ];
    let providers = files.into_iter().map(Provider::from_toml);
    let lists: Result<Vec<_>, _> = providers.collect();
    lists.expect("a test reads the built-in providers").concat()
});

/// One provider: an API at a place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// How models and prices refer to it: lower case letters, digits and hyphens.
    pub id: String,
    /// For people.
    pub name: String,
    /// What [`Capability::Chat`] speaks.
    pub dialect: Dialect,
    /// What every path is appended to; without a slash at its end. `{name}` stands for a parameter.
    pub base_url: String,
    /// Another base where a parameter has a certain value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub base_urls: Vec<OtherBase>,
    /// What a base URL, path or query leaves open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    /// What it can do at the dialect's own paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<Capability>,
    /// What it can do elsewhere.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub paths: BTreeMap<Capability, Path>,
    /// What not all of its models can do.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<Capability, Models>,
    /// The other dialect it speaks in which a request that has to be translated is asked, unless only its own can say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub translate_to: Option<Dialect>,
    /// Names of models begin with this: put before one without a slash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_prefix: Option<String>,
    /// Added to every URL; an entry whose optional parameter is not given is left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// How requests are authenticated where an operator does not say otherwise.
    pub auth: Auth,
    /// How they are where that is another way.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub auth_of: BTreeMap<Capability, Auth>,
    /// What else is accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_auth: Vec<Auth>,
    /// Sent with every request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The values of a caller's `anthropic-beta` that it takes; all, where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub betas: Option<Vec<String>>,
    /// Applied to a body in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quirks: Vec<Quirk>,
    /// The public page that this entry follows.
    pub docs: String,
    /// What is called, without cost or nearly, to see whether a credential works: `models` is a `GET`, `chat`
    /// one answer of one token from a model that the operator names.
    #[serde(default)]
    pub probe: Probe,
    /// Environment variables in which people keep the credential, the usual one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Whose prices its models have; its own where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<String>,
    /// Whether tests hold a request, an answer, a stream and an error of its public pages against it
    /// (`tests/data/llm/published`). It does not say that anybody called it, nor anything of its other paths. Screens label
    /// those that were not compared.
    #[serde(default)]
    pub verified: bool,
    /// What an operator should know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A base URL for one value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtherBase {
    pub parameter: String,
    pub value: String,
    pub base_url: String,
}

/// Something an operator has to say about an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    pub name: String,
    /// What it is and where it is found.
    pub help: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Only in `query`: may be left open.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// What a provider can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// An answer, in the provider's own dialect.
    Chat,
    /// An answer in OpenAI's Responses, beside another dialect.
    Responses,
    /// An answer in Anthropic's Messages, beside another dialect.
    Messages,
    /// OpenAI's older completion of a text.
    Completions,
    CountTokens,
    Embeddings,
    Rerank,
    Images,
    ImageEdits,
    ImageVariations,
    Speech,
    Transcriptions,
    Translations,
    Videos,
    /// The list of models, by `GET`; what comes before is asked with `POST`.
    Models,
    Moderations,
    Batches,
    Files,
    FineTuning,
}

impl Capability {
    /// As definitions of providers write it.
    pub fn name(self) -> String {
        let written = serde_json::to_value(self).ok();
        let name = written.as_ref().and_then(Value::as_str);
        name.unwrap_or_default().to_owned()
    }
}

/// Where a capability is. A path begins with a slash and follows the base URL; one that begins with `https://` is
/// at another host. `{model}` stands for the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Path {
    Same(String),
    /// Another where an answer streams.
    Streamed {
        whole: String,
        stream: String,
    },
}

/// How a request proves on whose behalf it is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    /// `Authorization: Bearer SECRET`.
    Bearer,
    /// The secret in a header of this name.
    Header(String),
    /// The secret in the query under this name.
    Query(String),
    /// AWS Signature Version 4, for a service of this name in the region of the parameter `region`.
    Sigv4(String),
    /// A Google service account, whose token has this scope.
    GoogleOauth(String),
    None,
}

/// A call that shows whether a credential works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Probe {
    #[default]
    Models,
    Chat,
}

/// Why a list of providers is not one.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    #[error("the providers cannot be read: {0}")]
    Toml(#[from] toml::de::Error),
    #[error("the provider cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    #[error("provider `{id}`: {what}")]
    Wrong { id: String, what: String },
}

/// A file of providers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    provider: Vec<Provider>,
}

/// The providers that are compiled in.
pub fn built_in() -> &'static [Provider] {
    &BUILT_IN
}

/// One of them.
pub fn find(id: &str) -> Option<&'static Provider> {
    BUILT_IN.iter().find(|provider| provider.id == id)
}

impl Provider {
    /// Reads `[[provider]]` tables.
    pub fn from_toml(text: &str) -> Result<Vec<Self>, ProviderError> {
        let list: List = toml::from_str(text)?;
        for provider in &list.provider {
            provider.check()?;
        }
        Ok(list.provider)
    }

    /// Reads one provider.
    pub fn from_json(text: &str) -> Result<Self, ProviderError> {
        let provider: Self = serde_json::from_str(text)?;
        provider.check()?;
        Ok(provider)
    }

    pub fn can(&self, capability: Capability) -> bool {
        self.path(capability).is_some()
    }

    /// How a request is authenticated.
    pub fn auth_for(&self, capability: Capability) -> &Auth {
        self.auth_of.get(&capability).unwrap_or(&self.auth)
    }

    /// What it calls a model.
    pub fn model_name<'a>(&self, name: &'a str) -> Cow<'a, str> {
        match &self.model_prefix {
            Some(prefix) if !name.contains('/') => Cow::Owned(format!("{prefix}{name}")),
            _ => Cow::Borrowed(name),
        }
    }

    /// A caller's `anthropic-beta` without what it does not take, if anything is left of it, and what is left out.
    pub fn betas_of(&self, said: &str) -> (Option<String>, Vec<Dropped>) {
        let Some(known) = &self.betas else {
            return (Some(said.to_owned()), Vec::new());
        };
        let betas = said
            .split(',')
            .map(str::trim)
            .filter(|beta| !beta.is_empty());
        let (taken, others): (Vec<_>, Vec<_>) =
            betas.partition(|beta| known.iter().any(|known| known == beta));
        let dropped = others
            .into_iter()
            .map(|beta| Dropped::new(format!("anthropic-beta.{beta}"), "the provider refuses it"));
        let taken = (!taken.is_empty()).then(|| taken.join(","));
        (taken, dropped.collect())
    }

    /// Makes a body in the provider's own dialect acceptable to it, and names what was left out. What cannot be
    /// left out without changing what was asked for is a fault.
    pub fn prepare(&self, body: &mut Map<String, Value>) -> Result<Vec<Dropped>, Fault> {
        let mut dropped = Vec::new();
        for quirk in &self.quirks {
            dropped.extend(quirk.apply(body)?);
        }
        Ok(dropped)
    }

    /// Whose prices its models have.
    pub fn price_list(&self) -> &str {
        self.prices.as_deref().unwrap_or(&self.id)
    }

    /// Whether it is one.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn check(&self) -> Result<(), ProviderError> {
        let wrong = |what: String| ProviderError::Wrong {
            id: self.id.clone(),
            what,
        };
        let slug = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if self.id.is_empty() || !self.id.bytes().all(slug) {
            return Err(wrong(
                "an id has lower case letters, digits and hyphens".to_owned(),
            ));
        }
        if !self.docs.starts_with("https://") || !self.docs.is_ascii() {
            return Err(wrong("`docs` is not the URL of a page".to_owned()));
        }
        if !self.can(Capability::Chat) && self.capabilities.is_empty() && self.paths.is_empty() {
            return Err(wrong("it can do nothing".to_owned()));
        }
        let unspoken = self
            .translate_to
            .filter(|it| self.speaks_at_all(*it).is_none());
        if let Some(dialect) = unspoken {
            return Err(wrong(format!("it does not speak {}", dialect.name())));
        }
        let undeclared = self
            .undeclared()
            .map(|name| wrong(format!("`{{{name}}}` is no parameter of it")));
        undeclared.map_or(Ok(()), Err)
    }
}
