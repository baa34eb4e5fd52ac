//! The catalog as it grows: providers are told apart by what makes them one, and named so that a person knows
//! them again. Keys never come in: only where each is read.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde_json::{Map, Value, json};
use url::{Host, Url};

use crate::cli::adopt::report::{Fate, Report};
use crate::cli::apply::catalog::{Catalog, ProviderSpec};
use crate::llm::provider::{self, Auth, Capability};

/// Of a name of a provider, before the number that tells it from another.
const NAME_CHARS_MAX: usize = 40;

/// Where a key comes from in the configuration that is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// An environment variable holds it as a provider wants it.
    Environment(String),
    /// A file does.
    File(String),
    /// The configuration itself, or several variables. It stays there; the text tells keys apart and goes
    /// nowhere.
    Elsewhere(String),
}

/// A key and where it stood.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) key: Key,
    pub(crate) path: String,
    /// What has to be put where the catalog says, if not simply the value at `path`.
    pub(crate) what: Option<&'static str>,
}

/// A provider that the catalog is to have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) kind: &'static str,
    pub(crate) parameters: IndexMap<String, String>,
    pub(crate) keys: Vec<Given>,
    /// What it is called where that is free; `fixed`: in any case.
    pub(crate) name: String,
    pub(crate) fixed: bool,
}

/// What makes a provider one: kind, parameters, keys.
type Identity = (&'static str, IndexMap<String, String>, Vec<Key>);

#[derive(Debug, Default)]
pub(crate) struct Draft {
    providers: IndexMap<String, (Identity, ProviderSpec)>,
    pub(crate) models: IndexMap<String, Map<String, Value>>,
    pub(crate) report: Report,
}

impl Draft {
    /// The name of a provider like that, which may be there already. `path` is where it is wanted.
    ///
    /// # Errors
    /// What it lacks. The text is for people.
    pub(crate) fn provider(&mut self, wanted: Wanted, path: &str) -> Result<String, String> {
        let kind = provider::find(wanted.kind).ok_or("there is no such kind")?;
        let parameters: BTreeMap<String, String> = wanted.parameters.clone().into_iter().collect();
        kind.url(&parameters, Capability::Chat, "model", false)
            .map_err(|error| error.to_string())?;
        if parameters.get("base_url").is_some_and(|it| has_more(it)) {
            let why = "its address has a user, a password, a query or a fragment, which may be a secret, and no \
                       catalog holds one";
            return Err(why.to_owned());
        }
        let keys: Vec<Key> = wanted.keys.iter().map(|given| given.key.clone()).collect();
        let identity = (wanted.kind, wanted.parameters.clone(), keys);
        let mut known = self.providers.iter();
        let is_same = |(name, (known, _)): &(&String, &(Identity, ProviderSpec))| {
            let (kind, parameters, keys) = known;
            let has_keys = identity.2.iter().all(|key| keys.contains(key));
            let same_keys = keys.is_empty() == identity.2.is_empty() && has_keys;
            let same_place = *kind == identity.0 && *parameters == identity.1;
            same_place && same_keys && (!wanted.fixed || **name == slug(&wanted.name))
        };
        if let Some((name, _)) = known.find(is_same) {
            return Ok(name.clone());
        }
        let name = slug(&wanted.name);
        if wanted.fixed && self.more_keys(&name, &wanted) {
            return Ok(name);
        }
        let name = self.free(&name);
        let allow_upstream = self.private(&wanted, path);
        let mut spec = ProviderSpec {
            kind: wanted.kind.to_owned(),
            parameters: wanted.parameters.clone(),
            allow_upstream,
            ..ProviderSpec::default()
        };
        if kind.auth != Auth::None {
            self.keys((&name, &mut spec), &wanted.keys);
        }
        self.providers.insert(name.clone(), (identity, spec));
        Ok(name)
    }

    /// A provider that is there by that name takes the keys too, if it is otherwise the same.
    fn more_keys(&mut self, name: &str, wanted: &Wanted) -> bool {
        let Some(((kind, parameters, known), mut spec)) = self.providers.get(name).cloned() else {
            return false;
        };
        if kind != wanted.kind || parameters != wanted.parameters {
            return false;
        }
        let fresh = wanted.keys.iter().filter(|it| !known.contains(&it.key));
        let fresh: Vec<Given> = fresh.cloned().collect();
        self.keys((name, &mut spec), &fresh);
        let all = known.into_iter().chain(fresh.into_iter().map(|it| it.key));
        let identity = (kind, parameters, all.collect());
        self.providers.insert(name.to_owned(), (identity, spec));
        true
    }

    /// Says where each key is read, and reports those that somebody has to put there.
    fn keys(&mut self, (provider, spec): (&str, &mut ProviderSpec), keys: &[Given]) {
        for given in keys {
            let count = spec.keys.len();
            let name = if count == 0 {
                "main".to_owned()
            } else {
                format!("key-{}", count + 1)
            };
            let from = match &given.key {
                Key::Environment(variable) => format!("env:{variable}"),
                Key::File(path) => format!("@{path}"),
                Key::Elsewhere(_) => {
                    let variable = variable(provider, &name);
                    let what = given.what.unwrap_or("the value that stands here");
                    let todo = format!(
                        "put {what} into the environment as {variable} before `causeway apply`, or \
                         write @FILE in place of env:{variable}"
                    );
                    let why = "a catalog holds no secret, only where one is read";
                    let place = (given.path.as_str(), &Value::String(String::new()));
                    self.report.add(Fate::Secret, place, (why, &todo));
                    format!("env:{variable}")
                }
            };
            spec.keys.insert(name, from);
        }
    }

    /// Rules for a base URL that is in a private network, which has to be allowed.
    fn private(&mut self, wanted: &Wanted, path: &str) -> Vec<String> {
        let base = wanted.parameters.get("base_url");
        let rule = base.and_then(|base| private(base));
        if let (Some(rule), Some(base)) = (&rule, base) {
            let why = format!(
                "{rule} is not a public address, and Causeway asks such only where it is allowed"
            );
            let todo =
                "the catalog allows it for this provider (`allowUpstream`); see that it is meant";
            let value = Value::String(base.clone());
            self.report.changed((path, &value), &why, todo);
        }
        rule.into_iter().collect()
    }

    fn free(&self, name: &str) -> String {
        let taken = |name: &str| self.providers.contains_key(name);
        if !taken(name) {
            return name.to_owned();
        }
        let mut numbered = (2..).map(|number| format!("{name}-{number}"));
        numbered.find(|name| !taken(name)).unwrap_or_default()
    }

    pub(crate) fn has_provider(&self, name: &str) -> bool {
        self.providers.contains_key(name)
    }

    /// The provider's list of prices.
    pub(crate) fn price_list(&self, name: &str) -> Option<&'static str> {
        let (_, spec) = self.providers.get(name)?;
        provider::find(&spec.kind).map(provider::Provider::price_list)
    }

    /// Done: the catalog and what is to be said of it.
    pub(crate) fn finish(self) -> (Catalog, Report) {
        let providers = self.providers.into_iter();
        let models = self.models.into_iter();
        let catalog = Catalog {
            providers: Some(providers.map(|(name, (_, spec))| (name, spec)).collect()),
            models: Some(models.map(|(name, it)| (name, it.into())).collect()),
            ..Catalog::default()
        };
        (catalog, self.report)
    }
}

/// A target as a catalog has it; what is as it is anyway is left out.
pub(crate) fn target(provider: &str, model: Option<&str>, weight: u64, tier: u64) -> Value {
    let mut target = json!({ "provider": provider });
    if let Some(model) = model {
        target["model"] = model.into();
    }
    if weight != 1 {
        target["weight"] = weight.into();
    }
    if tier != 0 {
        target["tier"] = tier.into();
    }
    target
}

/// The environment variable a key is read from, as `causeway export` names it too.
fn variable(provider: &str, key: &str) -> String {
    let name = format!("{provider}_{key}").to_ascii_uppercase();
    name.replace('-', "_")
}

/// Lower case letters, digits and single hyphens between them.
pub(crate) fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9') => slug.push(c),
            _ if slug.ends_with('-') || slug.is_empty() => {}
            _ => slug.push('-'),
        }
    }
    slug.truncate(NAME_CHARS_MAX);
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "provider" } else { slug }.to_owned()
}

/// Whether there is more in a URL than where something is.
fn has_more(base: &str) -> bool {
    Url::parse(base).is_ok_and(|url| {
        let has_user = !url.username().is_empty() || url.password().is_some();
        has_user || url.query().is_some() || url.fragment().is_some()
    })
}

/// `HOST:PORT` of a URL that by its name alone is within a private network.
fn private(base: &str) -> Option<String> {
    let url = Url::parse(base).ok()?;
    let port = url.port_or_known_default()?;
    let is_private = match url.host()? {
        Host::Ipv4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        Host::Ipv6(ip) => ip.is_loopback() || ip.is_unique_local(),
        Host::Domain(name) => {
            let inside = [".local", ".internal", ".svc", ".localhost", ".lan"];
            !name.contains('.') || inside.iter().any(|end| name.ends_with(end))
        }
    };
    is_private.then(|| format!("{}:{port}", url.host_str().unwrap_or_default()))
}
