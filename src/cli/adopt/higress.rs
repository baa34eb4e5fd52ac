//! The configuration of Higress's ai-proxy plugin
//! (<https://github.com/alibaba/higress/tree/main/plugins/wasm-go/extensions/ai-proxy>), as a catalog: plain, or in the
//! `WasmPlugin` resources it is kept in. Pure.

mod kind;

use indexmap::{IndexMap, IndexSet};
use serde_json::{Map, Value, json};

use crate::cli::adopt::Adopted;
use crate::cli::adopt::draft::{Draft, target};
use crate::cli::adopt::report::Report;
use crate::cli::adopt::section::{Section, text, whole, yes};
use crate::cli::adopt::without;

const PLUGIN: &str = "ai-proxy";
const RETRIES_MAX: u64 = 5;
/// Names that a mapping may have.
const NAMES_MAX: usize = 1_000;

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
            let named = |value: &Value| text(value).is_some_and(|it| it.contains(PLUGIN));
            let is_it = named(&document["metadata"]["name"])
                || named(&document["spec"]["url"])
                || named(&document["spec"]["pluginName"]);
            if is_it {
                self.resource(&mut spec);
                spec.rest("resource", &mut self.draft.report);
            } else {
                let why = "it is another plugin";
                let todo = "see whether Causeway has something like it";
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
            Ok(name) => Some(Known {
                name,
                settings: settings(&mut section, &mut self.draft.report),
                names: names(&mut section, &mut self.draft.report),
            }),
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
                add(("*", None), id, (known, is_alone), draft);
            }
        }
    }
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

/// `modelMapping`: exact names and beginnings; what is a regular expression is reported.
fn names(section: &mut Section, report: &mut Report) -> Vec<(String, String, String)> {
    let mut mapping = section.section("modelMapping");
    let all: Vec<String> = mapping.names().map(str::to_owned).collect();
    let mut names = Vec::new();
    for name in all {
        let Some((path, value)) = mapping.take(&name) else {
            continue;
        };
        let unfit = |name: &str| {
            let star = name.find('*').is_some_and(|at| at + 1 != name.len());
            star || name.is_empty() || name.contains(char::is_whitespace)
        };
        if name.starts_with('~') {
            if let Some((why, todo)) = without::said("modelMapping", &name, &value) {
                report.left((&path, &value), why, todo);
            }
        } else if unfit(&name) || names.len() >= NAMES_MAX {
            let why = "names of models have no spaces, and a `*` at the end only";
            report.left((&path, &value), why, "add the model under another name");
        } else {
            names.push((path, name, text(&value).unwrap_or_default()));
        }
    }
    names
}
