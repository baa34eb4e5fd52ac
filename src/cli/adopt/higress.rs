//! The configuration of Higress's ai-proxy plugin
//! (<https://github.com/alibaba/higress/tree/main/plugins/wasm-go/extensions/ai-proxy>), as a catalog: plain, or in the
//! `WasmPlugin` resources it is kept in. Pure.

mod kind;

use indexmap::{IndexMap, IndexSet};
use serde_json::{Map, Value, json};

use crate::cli::adopt::Adopted;
use crate::cli::adopt::draft::{Draft, target};
use crate::cli::adopt::higress::kind::Placed;
use crate::cli::adopt::names;
use crate::cli::adopt::report::Report;
use crate::cli::adopt::section::{Section, text, whole, yes};
use crate::llm::names::REGEX;
use crate::llm::route::REST;

const PLUGIN: &str = "ai-proxy";
const RETRIES_MAX: u64 = 5;
/// Names that a mapping may have.
const NAMES_MAX: usize = 1_000;
/// Of the expression that all others come before.
const RANK_LAST: u64 = 1_000;

/// Other plugins that Causeway has something like: why none is read, and what there is in its place.
const OTHERS: &[(&str, &str, &str)] = &[
    (
        "jwt-auth",
        "who calls is not taken along",
        "tokens of your own issuer are taken: see docs/keys.md",
    ),
    ("key-auth", KEYS.0, KEYS.1),
    ("basic-auth", KEYS.0, KEYS.1),
    ("hmac-auth", KEYS.0, KEYS.1),
];
const KEYS: (&str, &str) = (
    "keys of callers are not taken along",
    "make a key for each of its consumers (`causeway keys create NAME`), and limit it (`causeway consumers limit NAME`)",
);

/// Why files are no configuration of ai-proxy.
#[derive(Debug, thiserror::Error)]
#[error(
    "there is no configuration of Higress's ai-proxy in it: neither `provider` nor `providers`, nor a WasmPlugin \
     with one of them"
)]
pub(crate) struct NoProviders;

/// What of the plugin is used somewhere.
struct Used {
    /// The provider's id, or the path of one without.
    provider: String,
    path: String,
}

/// All that is read, before it is made into models.
#[derive(Default)]
struct Read {
    /// By id: what the catalog calls it (`None`: it has no place in one), and what names lead there.
    providers: IndexMap<String, Option<Known>>,
    used: Vec<Used>,
    draft: Draft,
}

struct Known {
    name: String,
    /// What callers ask for, with where that stood, and what the provider calls it.
    names: Vec<(String, String, String)>,
    /// What it is asked for, whatever a caller asks for.
    deployment: Option<String>,
    /// Settings of each model that leads there.
    settings: Map<String, Value>,
}

/// Reads documents, each with what it is called: nothing where there is one file.
///
/// # Errors
/// Where none of them is such a configuration.
pub(crate) fn adopt(documents: &[(String, Value)]) -> Result<Adopted, NoProviders> {
    let mut read = Read::default();
    for (path, document) in documents {
        read.document(path, document);
    }
    if read.providers.is_empty() {
        return Err(NoProviders);
    }
    read.models();
    read.patterns();
    let (catalog, report) = read.draft.finish();
    Ok(Adopted {
        catalog,
        report,
        prices: None,
        assumed: Vec::new(),
    })
}

impl Read {
    fn document(&mut self, path: &str, document: &Value) {
        let mut top = Section::of(path, document);
        let kind = document["kind"].as_str().unwrap_or_default();
        if kind == "List" {
            for (path, item) in top.list("items") {
                self.document(&path, &item);
            }
        } else if kind == "WasmPlugin" {
            let mut spec = top.section("spec");
            if is_plugin(document, PLUGIN) {
                self.resource(&mut spec);
                spec.rest("resource", &mut self.draft.report);
            } else {
                let mut others = OTHERS.iter();
                let other = others.find(|(name, ..)| is_plugin(document, name));
                let (why, todo) = other.map_or(
                    (
                        "it is another plugin",
                        "see whether Causeway has something like it",
                    ),
                    |(_, why, todo)| (*why, *todo),
                );
                self.draft.report.left((path, document), why, todo);
            }
        } else if kind.is_empty() {
            self.plugin(top);
        } else {
            let why = format!("a resource of the kind {kind} is no configuration of {PLUGIN}");
            let todo = "names of hosts and routes belong in front of Causeway";
            self.draft.report.left((path, document), &why, todo);
        }
    }

    /// The configuration for all routes, and those for some.
    fn resource(&mut self, spec: &mut Section) {
        let off = spec.take("defaultConfigDisable");
        let is_off = off.as_ref().and_then(|(_, it)| yes(it)) == Some(true);
        let default = spec.section("defaultConfig");
        let before = self.used.len();
        self.plugin(default);
        if is_off {
            self.used.truncate(before);
        }
        for (path, rule) in spec.list("matchRules") {
            let mut rule = Section::of(path, &rule);
            let off = rule.take("configDisable");
            let config = rule.section("config");
            if off.and_then(|(_, it)| yes(&it)) != Some(true) {
                self.plugin(config);
            }
            rule.rest("plugin", &mut self.draft.report);
        }
    }

    /// `provider` alone, or `providers` and which of them is active.
    fn plugin(&mut self, mut config: Section) {
        for (path, provider) in config.list("providers") {
            let id = text(&provider["id"]).unwrap_or_else(|| path.clone());
            self.provider(&id, &path, &provider);
        }
        if let Some((path, provider)) = config.take("provider") {
            let id = text(&provider["id"]).unwrap_or_else(|| path.clone());
            self.provider(&id, &path, &provider);
            self.used.push(Used { provider: id, path });
        } else if let Some((path, id)) = config.take("activeProviderId")
            && let Some(provider) = text(&id)
        {
            self.used.push(Used { provider, path });
        }
        config.rest("plugin", &mut self.draft.report);
    }

    fn provider(&mut self, id: &str, path: &str, provider: &Value) {
        let mut section = Section::of(path, provider);
        let name = section.take("id").and_then(|(_, id)| text(&id));
        let known = match kind::place(&mut section, name.as_deref(), &mut self.draft) {
            Ok(Placed { name, deployment }) => {
                let report = &mut self.draft.report;
                Some(Known {
                    name,
                    settings: settings(&mut section, report),
                    names: names(&mut section, deployment.as_deref(), report),
                    deployment,
                })
            }
            Err((why, todo)) => {
                self.draft.report.left((path, provider), &why, &todo);
                None
            }
        };
        if known.is_some() {
            section.rest("provider", &mut self.draft.report);
        }
        self.providers.insert(id.to_owned(), known);
    }

    /// The names that lead to the providers in use: the same name leads to one place only.
    fn models(&mut self) {
        let ids: IndexSet<&str> = self.used.iter().map(|it| it.provider.as_str()).collect();
        let is_only = ids.is_empty() && self.providers.len() == 1;
        let is_alone = ids.len() == 1 || is_only;
        let draft = &mut self.draft;
        for used in &self.used {
            if !self.providers.contains_key(&used.provider) {
                let why = "there is no provider with this id";
                let place = (used.path.as_str(), &Value::from(used.provider.as_str()));
                draft.report.left(place, why, "mend it, and read it again");
            }
        }
        for (id, known) in &self.providers {
            let Some(known) = known else { continue };
            if !is_only && !ids.contains(id.as_str()) {
                for (path, name, _) in &known.names {
                    let why = "no route uses this provider";
                    let todo = format!("ask for `{}/MODEL`, or add the model", known.name);
                    draft
                        .report
                        .left((path, &Value::from(name.as_str())), why, &todo);
                }
                continue;
            }
            for (path, name, to) in &known.names {
                let to = Some(to.as_str()).filter(|to| !to.is_empty());
                add((name, to), path, (known, is_alone), draft);
            }
            if !known.names.iter().any(|(_, name, _)| name == "*") && is_alone {
                // What no mapping names is asked for as it is.
                let to = known.deployment.as_deref();
                add(("*", to), id, (known, is_alone), draft);
            }
        }
    }

    /// A pattern comes before `PROVIDER/MODEL`, so that providers to which it does not lead have one of their own; and `*` comes
    /// after regular expressions only as one itself.
    fn patterns(&mut self) {
        let models = &mut self.draft.models;
        for known in self.providers.values().flatten() {
            let name = format!("{}/*", known.name);
            let provider = Value::from(known.name.as_str());
            let leads_away = |(pattern, model): (&String, &Map<String, Value>)| {
                let to = model.get("targets").map(|it| &it[0]["provider"]);
                covers(pattern, &name) && to != Some(&provider)
            };
            if models.iter().any(leads_away) {
                let targets = json!([target(&known.name, Some(REST), 1, 0)]);
                let mut model = Map::from_iter([("targets".to_owned(), targets)]);
                model.extend(known.settings.clone());
                models.entry(name).or_insert(model);
            }
        }
        if models.keys().any(|name| name.starts_with(REGEX))
            && let Some(mut all) = models.shift_remove("*")
        {
            all.insert("rank".to_owned(), RANK_LAST.into());
            models.insert(names::expression("*"), all);
        }
    }
}

/// Whether a resource is of a plugin.
fn is_plugin(document: &Value, plugin: &str) -> bool {
    let (metadata, spec) = (&document["metadata"], &document["spec"]);
    let said = [&metadata["name"], &spec["url"], &spec["pluginName"]];
    let mut said = said.into_iter().filter_map(text);
    said.any(|it| it.contains(plugin))
}

/// Whether some names that begin like a provider's may lead to a pattern.
fn covers(pattern: &str, provider: &str) -> bool {
    let Some(expression) = pattern.strip_prefix(REGEX) else {
        return names::is_covered(provider, std::iter::once(pattern));
    };
    let is_other = |first: char| first.is_alphanumeric() && !provider.starts_with(first);
    expression.contains('|') || !expression.starts_with(is_other)
}

/// Adds a model, unless its name leads elsewhere already.
fn add(
    (name, to): (&str, Option<&str>),
    path: &str,
    (known, is_alone): (&Known, bool),
    draft: &mut Draft,
) {
    let value = Value::from(name);
    let instead = format!(
        "let callers ask for `{}/MODEL`, or for a name of its own",
        known.name
    );
    if name == "*" && !is_alone {
        let why = "several providers are in use, and routes do not decide between them here";
        draft.report.left((path, &value), why, &instead);
        return;
    }
    if draft.models.contains_key(name) {
        let why =
            format!("`{name}` leads to another provider already, and routes do not decide here");
        draft.report.left((path, &value), &why, &instead);
        return;
    }
    let mut model =
        Map::from_iter([("targets".to_owned(), json!([target(&known.name, to, 1, 0)]))]);
    model.extend(known.settings.clone());
    draft.models.insert(name.to_owned(), model);
}

/// What holds for every model of a provider.
fn settings(section: &mut Section, report: &mut Report) -> Map<String, Value> {
    let mut settings = Map::new();
    let mut failover = section.section("failover");
    let fails_over = failover.take("enabled").and_then(|(_, it)| yes(&it)) == Some(true);
    if fails_over {
        failover.rest("failover", report);
    }
    let mut retry = section.section("retryOnFailure");
    if retry.take("enabled").and_then(|(_, it)| yes(&it)) == Some(true) {
        let most = retry.take("maxRetries");
        let count = most
            .as_ref()
            .and_then(|(_, it)| whole(it))
            .filter(|it| *it > 0);
        let count = count.unwrap_or(1);
        if let Some((path, value)) = most.filter(|_| count > RETRIES_MAX) {
            let why = format!("a target is asked again {RETRIES_MAX} times at most");
            report.changed((&path, &value), &why, "nothing, unless you relied on it");
        }
        settings.insert("retries".to_owned(), count.min(RETRIES_MAX).into());
        retry.rest("retryOnFailure", report);
    }
    let first = section
        .take("firstByteTimeout")
        .and_then(|(_, it)| whole(&it));
    if let Some(ms) = first.filter(|ms| *ms > 0) {
        let times = json!({ "firstByteMs": ms.clamp(100, 3_600_000) });
        settings.insert("times".to_owned(), times);
    }
    settings
}

/// `modelMapping`: exact names, beginnings and regular expressions, each with where it stood and what it leads to.
fn names(
    section: &mut Section,
    deployment: Option<&str>,
    report: &mut Report,
) -> Vec<(String, String, String)> {
    let mut mapping = section.section("modelMapping");
    let all: Vec<String> = mapping.names().map(str::to_owned).collect();
    let mut names = Vec::new();
    for name in all {
        let Some((path, value)) = mapping.take(&name) else {
            continue;
        };
        let place = (path.as_str(), &value);
        let to = text(&value).unwrap_or_default();
        let name = match called(&name, &to) {
            Ok(name) if names.len() < NAMES_MAX => name,
            Ok(_) => {
                let why = format!("only the first {NAMES_MAX} names are read");
                report.left(place, &why, "add the model by itself");
                continue;
            }
            Err((why, todo)) => {
                report.left(place, why, todo);
                continue;
            }
        };
        if name.starts_with(REGEX) {
            let why = "an expression has to match all of a name, and what it matches is not replaced within one";
            report.changed(place, why, "nothing, unless it matches a part of names");
        }
        let to = match deployment {
            Some(deployment) if deployment != to => {
                let why = format!(
                    "Higress asks the deployment `{deployment}` of azureServiceUrl whatever a name is mapped to, \
                     and so does the catalog"
                );
                let todo = "see that it is meant; lead to another one with `causeway models put`";
                report.changed(place, &why, todo);
                deployment.to_owned()
            }
            _ => to,
        };
        names.push((path, name, to));
    }
    names
}

/// What a name of a mapping is here.
///
/// # Errors
/// Why it is nothing; what to do about it.
fn called(name: &str, to: &str) -> Result<String, (&'static str, &'static str)> {
    let Some(expression) = name.strip_prefix('~') else {
        if names::is_inner(name) || !names::is_name(name) {
            let why = "names of models have no spaces, and a `*` at the end only";
            return Err((why, "add the model under another name"));
        }
        return Ok(name.to_owned());
    };
    let todo = "name the models that callers ask for, one by one";
    if to.contains('$') {
        let why =
            "what a part of a name is (`$1`) is not put into the name a provider is asked for";
        return Err((why, todo));
    }
    let name = format!("{REGEX}{expression}");
    if names::is_name(&name) {
        return Ok(name);
    }
    let why = "it is no regular expression that can be used: up to 200 characters, without spaces";
    Err((why, todo))
}
