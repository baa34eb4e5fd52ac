//! What is there, against what is to be: each difference with the requests that make it.

use std::fmt;
use std::path::Path;

use anyhow::{Context, bail};
use http::Method;
use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::cli::api::{Api, path_of};
use crate::cli::apply::catalog::{Catalog, ConsumerSpec, PlanSpec, ServerSpec, differing, is_same};
use crate::cli::apply::difference::{Line, lines};
use crate::cli::apply::models::released;
use crate::cli::apply::step::{Body, DOCUMENT_BYTES_MAX, File, Secret, Step};
use crate::cli::document::bytes;

/// One thing that is not as it is to be.
pub(super) struct Change {
    /// `create`, `change` or `remove`.
    pub(super) action: &'static str,
    /// `server shop`.
    pub(super) what: String,
    /// What of it.
    pub(super) lines: Vec<Line>,
    pub(super) steps: Vec<Step>,
}

impl Change {
    pub(super) fn new(action: &'static str, what: String) -> Self {
        Self {
            action,
            what,
            lines: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// What it would send and cannot read.
    pub(super) fn lacks(&self) -> Vec<String> {
        self.steps.iter().flat_map(Step::lacks).collect()
    }

    /// For programs.
    pub(super) fn view(&self) -> Value {
        let lines: Vec<&str> = self.lines.iter().map(|line| line.whole.as_str()).collect();
        json!({ "action": self.action, "what": self.what, "changes": lines })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.action {
            "create" => '+',
            "remove" => '-',
            _ => '~',
        };
        write!(f, "{mark} {}", self.what)?;
        self.lines
            .iter()
            .try_for_each(|line| write!(f, "\n    {}", line.short))
    }
}

/// Compares with what a running server has.
pub(super) struct Compare<'a> {
    pub(super) api: &'a Api,
    /// Where the catalog is: its files are beside it.
    folder: &'a Path,
}

impl<'a> Compare<'a> {
    pub(super) fn new(api: &'a Api, folder: &'a Path) -> Self {
        Self { api, folder }
    }

    /// All differences, in the order they are made in: plans before who has them, servers before who
    /// calls them, providers before what leads to them.
    pub(super) async fn all(&self, catalog: &Catalog, prune: bool) -> anyhow::Result<Vec<Change>> {
        let mut changes = Vec::new();
        for (name, plan) in &catalog.plans {
            changes.extend(self.plan(name, plan).await?);
        }
        for (slug, server) in &catalog.servers {
            let found = self.server(slug, server).await;
            changes.extend(found.with_context(|| format!("servers.{slug}"))?);
        }
        for (name, provider) in catalog.providers.iter().flatten() {
            let found = self.provider(name, provider).await;
            changes.extend(found.with_context(|| format!("providers.{name}"))?);
        }
        if let Some(models) = &catalog.models {
            changes.extend(self.models(models).await?);
        }
        for (name, consumer) in &catalog.consumers {
            let found = self.consumer(name, consumer).await;
            changes.extend(found.with_context(|| format!("consumers.{name}"))?);
        }
        if prune {
            changes.extend(self.unnamed(catalog).await?);
        }
        Ok(changes)
    }

    async fn plan(&self, name: &str, wanted: &PlanSpec) -> anyhow::Result<Option<Change>> {
        let path = path_of(&["plans", name]);
        let current = self.api.find(&path).await?;
        let body = json!({ "description": wanted.description, "limits": wanted.limits });
        let what = format!("plan {name}");
        let mut change = match &current {
            None => Change::new("create", what),
            Some(current) => {
                let members = body.as_object().cloned().unwrap_or_default();
                let lines = lines("", &differing(&members, current));
                if lines.is_empty() {
                    return Ok(None);
                }
                let mut change = Change::new("change", what);
                change.lines = lines;
                change
            }
        };
        change
            .steps
            .push(Step::new("limits", Method::PUT, path, body));
        Ok(Some(change))
    }

    async fn server(&self, slug: &str, wanted: &ServerSpec) -> anyhow::Result<Option<Change>> {
        let path = path_of(&["servers", slug]);
        let current = self.api.find(&path).await?;
        let what = format!("server {slug}");
        let mut change = match &current {
            None => Change::new("create", what),
            Some(_) => Change::new("change", what),
        };
        let settings = current
            .as_ref()
            .map_or(&Value::Null, |view| &view["settings"]);
        self.document(slug, wanted, (current.is_some(), &mut change))
            .await?;
        let differing = differing(&wanted.settings, settings);
        if !differing.is_empty() {
            change.lines.extend(lines("settings.", &differing));
            let members = differing
                .iter()
                .map(|(name, _, wanted)| ((*name).to_owned(), (*wanted).clone()));
            let body = Value::Object(members.collect());
            change
                .steps
                .push(Step::new("settings", Method::PATCH, path.clone(), body));
        }
        if let Some(tools) = &wanted.tools {
            self.tools(slug, tools, (current.is_some(), &mut change))
                .await?;
        }
        self.credentials(slug, wanted, (current.is_some(), &mut change))
            .await?;
        Ok((current.is_none() || !change.steps.is_empty()).then_some(change))
    }

    /// The document, where there is no server yet or it has another one.
    async fn document(
        &self,
        slug: &str,
        wanted: &ServerSpec,
        (exists, change): (bool, &mut Change),
    ) -> anyhow::Result<()> {
        let Some(document) = &wanted.document else {
            if exists {
                return Ok(());
            }
            bail!(
                "there is no server of this name, and `document` does not say what it is made of"
            );
        };
        let mut fields = Map::from_iter([("slug".to_owned(), json!(slug))]);
        // What has to be known before a document is fetched or first served.
        for name in ["access", "upstream", "allowUpstream"] {
            if let Some(value) = wanted.settings.get(name).filter(|_| !exists) {
                fields.insert(name.to_owned(), value.clone());
            }
        }
        let is_url = document.starts_with("http://") || document.starts_with("https://");
        let file = (!is_url).then(|| self.folder.join(document));
        let same = match &file {
            _ if !exists => false,
            Some(path) => self.is_served(slug, path).await?,
            None => self.source(slug).await?.as_deref() == Some(document),
        };
        if same {
            return Ok(());
        }
        if is_url {
            fields.insert("url".to_owned(), json!(document));
        }
        let named = wanted.credentials.iter().filter(|_| !exists);
        let credentials =
            named.map(|(scheme, from)| (scheme.clone(), credential(slug, scheme, from)));
        change.lines.push(format!("document: {document}").into());
        change.steps.push(Step {
            of: "document".to_owned(),
            method: Method::POST,
            path: path_of(&["servers"]),
            body: Body::Document {
                fields,
                file: file.map(|path| File {
                    place: format!("servers.{slug}.document"),
                    path,
                }),
                credentials: credentials.collect(),
            },
        });
        Ok(())
    }

    /// Whether the current version is of that file's document.
    async fn is_served(&self, slug: &str, path: &Path) -> anyhow::Result<bool> {
        let wanted = bytes(path, DOCUMENT_BYTES_MAX)?;
        let path = path_of(&["servers", slug, "document"]);
        let served = self.api.exchange(Method::GET, &path, None).await?;
        Ok(is_same_document(&served, &wanted))
    }

    /// The URL the current version was read from.
    async fn source(&self, slug: &str) -> anyhow::Result<Option<String>> {
        let path = path_of(&["servers", slug, "versions"]);
        let answer = self.api.list(&path, &["versions"]).await?;
        let mut rows = answer["versions"].as_array().into_iter().flatten();
        let row = rows.find(|row| row["current"] == true);
        Ok(row.and_then(|row| row["documentUrl"].as_str().map(str::to_owned)))
    }

    async fn tools(
        &self,
        slug: &str,
        wanted: &IndexMap<String, Value>,
        (exists, change): (bool, &mut Change),
    ) -> anyhow::Result<()> {
        let current = if exists {
            let path = path_of(&["servers", slug, "curations"]);
            self.api.list(&path, &["curations"]).await?["curations"].take()
        } else {
            Value::Null
        };
        let path = |operation: &str| path_of(&["servers", slug, "tools", operation, "curation"]);
        for (operation, wanted) in wanted {
            let current = &current[operation.as_str()];
            if !is_same(current, wanted) {
                let found = [(operation.as_str(), current, wanted)];
                change.lines.extend(lines("tools.", &found));
                let of = format!("tools.{operation}");
                let step = Step::new(of, Method::PUT, path(operation), wanted.clone());
                change.steps.push(step);
            }
        }
        let known = current.as_object().cloned().unwrap_or_default();
        for (operation, current) in known {
            if !wanted.contains_key(&operation) {
                let of = format!("tools.{operation}");
                change.lines.push(Line::of(&of, &current, &Value::Null));
                let step = Step::new(of, Method::DELETE, path(&operation), Value::Null);
                change.steps.push(step);
            }
        }
        Ok(())
    }

    /// Credentials that are not set yet. Those that are cannot be compared: nobody reads them back.
    async fn credentials(
        &self,
        slug: &str,
        wanted: &ServerSpec,
        (exists, change): (bool, &mut Change),
    ) -> anyhow::Result<()> {
        let told = |scheme: &str, from: &str| {
            Line::from(format!("credentials.{scheme}: read from {from}"))
        };
        if !exists || wanted.credentials.is_empty() {
            // They go with the document of a new server.
            let lines = wanted.credentials.iter();
            change
                .lines
                .extend(lines.map(|(scheme, from)| told(scheme, from)));
            return Ok(());
        }
        let path = path_of(&["servers", slug, "credentials"]);
        let answer = self.api.list(&path, &["credentials"]).await?;
        for (scheme, from) in &wanted.credentials {
            let mut rows = answer["credentials"].as_array().into_iter().flatten();
            let row = rows.find(|row| row["scheme"] == scheme.as_str());
            if row.is_some_and(|row| row["set"] == true) {
                continue;
            }
            change.lines.push(told(scheme, from));
            change.steps.push(Step {
                of: format!("credentials.{scheme}"),
                method: Method::PUT,
                path: path_of(&["servers", slug, "credentials", scheme]),
                body: Body::Credential {
                    origins: row.map_or_else(|| json!([]), |row| row["destinations"].clone()),
                    secret: credential(slug, scheme, from),
                },
            });
        }
        Ok(())
    }

    async fn consumer(&self, name: &str, wanted: &ConsumerSpec) -> anyhow::Result<Option<Change>> {
        let path = path_of(&["consumers", name]);
        let Some(current) = self.api.find(&path).await? else {
            bail!(
                "there is no consumer of this name; it comes into being with its first key: causeway \
                 keys create {name}"
            );
        };
        let mut change = Change::new("change", format!("consumer {name}"));
        if let Some(limits) = &wanted.limits {
            let body = json!({ "limits": limits });
            let members = body.as_object().cloned().unwrap_or_default();
            let lines = lines("", &differing(&members, &current));
            if !lines.is_empty() {
                change.lines.extend(lines);
                change
                    .steps
                    .push(Step::new("limits", Method::PATCH, path, body));
            }
        }
        if let Some(plans) = &wanted.plans {
            assign(name, (plans, &current["plans"]), &mut change);
        }
        Ok((!change.steps.is_empty()).then_some(change))
    }

    /// What the catalog does not name. Of a kind that it says nothing of at all, all stays.
    async fn unnamed(&self, catalog: &Catalog) -> anyhow::Result<Vec<Change>> {
        let mut changes = Vec::new();
        // A plan goes after the servers it is given for, a provider after the models that lead to it.
        for (kind, member, name) in [
            ("server", "servers", "slug"),
            ("plan", "plans", "name"),
            ("model", "models", "name"),
            ("provider", "providers", "name"),
        ] {
            let named: Vec<&String> = match kind {
                "server" => catalog.servers.keys().collect(),
                "plan" => catalog.plans.keys().collect(),
                "model" => match &catalog.models {
                    Some(models) => models.keys().collect(),
                    None => continue,
                },
                _ => match &catalog.providers {
                    Some(providers) => providers.keys().collect(),
                    None => continue,
                },
            };
            let answer = self.api.list(&path_of(&[member]), &[member]).await?;
            let rows = answer[member].as_array().into_iter().flatten();
            let gone = rows.filter(|row| !named.iter().any(|named| row[name] == named.as_str()));
            let gone: Vec<&Value> = gone.collect();
            let mut before = if kind == "model" {
                released(&gone)
            } else {
                Vec::new()
            };
            for known in gone.iter().filter_map(|row| row[name].as_str()) {
                if !self.is_internal(kind, known).await? {
                    let mut change = Change::new("remove", format!("{kind} {known}"));
                    change.steps.append(&mut before);
                    let path = path_of(&[member, known]);
                    change
                        .steps
                        .push(Step::new("all", Method::DELETE, path, Value::Null));
                    changes.push(change);
                }
            }
        }
        Ok(changes)
    }

    /// Whether a server is answered inside the process: it is nobody's to name in a catalog.
    async fn is_internal(&self, kind: &str, slug: &str) -> anyhow::Result<bool> {
        if kind != "server" {
            return Ok(false);
        }
        let view = self.api.find(&path_of(&["servers", slug])).await?;
        Ok(view.is_some_and(|view| !view["settings"]["internal"].is_null()))
    }
}

fn credential(slug: &str, scheme: &str, from: &str) -> Secret {
    Secret::read(format!("servers.{slug}.credentials.{scheme}"), from)
}

/// The plans a consumer is to have with servers.
fn assign(name: &str, (wanted, current): (&IndexMap<String, String>, &Value), change: &mut Change) {
    let rows = current.as_array().into_iter().flatten();
    let known: IndexMap<&str, &str> = rows
        .filter_map(|row| Some((row["server"].as_str()?, row["plan"].as_str()?)))
        .collect();
    for (slug, plan) in wanted {
        let before = known.get(slug.as_str()).copied();
        if before != Some(plan) {
            let before = before.unwrap_or("nothing");
            change
                .lines
                .push(format!("plans.{slug}: {before} -> {plan}").into());
            let path = path_of(&["consumers", name, "plans", slug]);
            let of = format!("plans.{slug}");
            let step = Step::new(of, Method::PUT, path, json!({ "plan": plan }));
            change.steps.push(step);
        }
    }
    for (slug, plan) in known {
        if !wanted.contains_key(slug) {
            change
                .lines
                .push(format!("plans.{slug}: {plan} -> nothing").into());
            let path = path_of(&["consumers", name, "plans", slug]);
            let of = format!("plans.{slug}");
            let step = Step::new(of, Method::DELETE, path, Value::Null);
            change.steps.push(step);
        }
    }
}

/// Whether two texts are the same document, however they are written.
fn is_same_document(served: &[u8], wanted: &[u8]) -> bool {
    if served == wanted {
        return true;
    }
    let read = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).ok()?;
        serde_saphyr::from_str::<Value>(text).ok()
    };
    read(served).zip(read(wanted)).is_some_and(|(a, b)| a == b)
}
