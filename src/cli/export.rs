//! `causeway export`: what a running server has, as the files `causeway apply` takes.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use http::Method;
use indexmap::IndexMap;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::cli::api::{Api, Target, path_of};
use crate::cli::apply::catalog::{
    Catalog, ConsumerSpec, PlanSpec, ProviderSpec, ServerSpec, is_same,
};
use crate::cli::apply::models;
use crate::cli::output::Output;
use crate::mcp::server::ServerSettings;

pub(super) const EXAMPLES: &str = "\
Examples:
  causeway export ./catalog                      catalog.yaml, and documents/ with the documents
  causeway export ./catalog && git -C ./catalog diff
  causeway apply -f ./catalog/catalog.yaml --server https://other.example.com --dry-run

Never a secret: where a credential is set, the catalog names an environment variable to read it
from.";

#[derive(Args)]
pub(super) struct ExportArgs {
    /// Where the files are written; what is there of an earlier export is written anew
    directory: PathBuf,
    #[command(flatten)]
    target: Target,
}

pub(super) async fn export(output: &Output, args: ExportArgs) -> anyhow::Result<ExitCode> {
    let api = Api::of(args.target)?;
    let documents = args.directory.join("documents");
    std::fs::create_dir_all(&documents)
        .with_context(|| format!("cannot make {}", documents.display()))?;
    let mut catalog = Catalog::default();
    let mut left_out = Vec::new();
    for slug in names(&api, "servers", "slug").await? {
        match server(&api, &slug, &documents).await? {
            Some(spec) => {
                catalog.servers.insert(slug, spec);
            }
            None => left_out.push(slug),
        }
    }
    for name in names(&api, "plans", "name").await? {
        let row = found(&api, &["plans", &name]).await?;
        let spec = PlanSpec {
            description: text(&row["description"]),
            limits: row["limits"].as_array().cloned().unwrap_or_default(),
        };
        catalog.plans.insert(name, spec);
    }
    for name in names(&api, "consumers", "name").await? {
        let row = found(&api, &["consumers", &name]).await?;
        let spec = consumer(&row);
        // One of which there is nothing to say is there again with its first key.
        if spec != ConsumerSpec::default() {
            catalog.consumers.insert(name, spec);
        }
    }
    catalog.providers = Some(providers(&api).await?);
    let mut known = IndexMap::new();
    for name in names(&api, "models", "name").await? {
        let row = found(&api, &["models", &name]).await?;
        known.insert(name, models::settings(&row));
    }
    catalog.models = Some(known);
    let path = args.directory.join("catalog.yaml");
    let written = serde_saphyr::to_string(&catalog)?;
    std::fs::write(&path, written).with_context(|| format!("cannot write {}", path.display()))?;
    let mut said = format!(
        "{}: {} servers, {} plans, {} consumers, {} providers, {} models",
        path.display(),
        catalog.servers.len(),
        catalog.plans.len(),
        catalog.consumers.len(),
        catalog.providers.as_ref().map_or(0, IndexMap::len),
        catalog.models.as_ref().map_or(0, IndexMap::len)
    );
    if !left_out.is_empty() {
        said.push_str("\nLeft out, because they are answered inside the process: ");
        said.push_str(&left_out.join(", "));
    }
    let view = json!({ "file": path, "catalog": catalog, "leftOut": left_out });
    output.result(&said, &view)?;
    Ok(ExitCode::SUCCESS)
}

/// The providers; of their keys, where each may be read.
async fn providers(api: &Api) -> anyhow::Result<IndexMap<String, ProviderSpec>> {
    let mut providers = IndexMap::new();
    for name in names(api, "providers", "name").await? {
        let row = found(api, &["providers", &name]).await?;
        let keys = row["keys"].as_array().into_iter().flatten();
        let keys = keys.filter_map(|key| key["name"].as_str());
        let keys = keys
            .map(|key| (key.to_owned(), format!("env:{}", variable(&name, key))))
            .collect();
        let spec = ProviderSpec {
            kind: text(&row["kind"]),
            parameters: serde_json::from_value(row["parameters"].clone())?,
            allow_upstream: serde_json::from_value(row["allowUpstream"].clone())?,
            connect_timeout_ms: row["connectTimeoutMs"].as_u64(),
            pass_through: row["passThrough"] == true,
            files: row["files"] == true,
            health: rule(&row["health"])?,
            load: rule(&row["load"])?,
            definition: row.get("definition").cloned(),
            keys,
        };
        providers.insert(name, spec);
    }
    Ok(providers)
}

/// A rule, where there is one.
fn rule<T: DeserializeOwned>(value: &Value) -> anyhow::Result<Option<T>> {
    Ok(serde_json::from_value(value.clone())?)
}

/// The names of all there are of a kind.
async fn names(api: &Api, kind: &str, name: &str) -> anyhow::Result<Vec<String>> {
    let answer = api.list(&path_of(&[kind]), &[kind]).await?;
    let rows = answer[kind].as_array().context("no list was answered")?;
    let names = rows.iter().filter_map(|row| row[name].as_str());
    Ok(names.map(str::to_owned).collect())
}

async fn found(api: &Api, path: &[&str]) -> anyhow::Result<Value> {
    api.send(Method::GET, &path_of(path), None).await
}

/// A server, with its document in a file where it did not come from a URL. `None`: it is answered inside
/// the process.
async fn server(api: &Api, slug: &str, documents: &Path) -> anyhow::Result<Option<ServerSpec>> {
    let view = found(api, &["servers", slug]).await?;
    let settings = &view["settings"];
    if settings.is_null() {
        bail!("the settings of {slug} are not yours to see; export with the admin key");
    }
    if !settings["internal"].is_null() {
        return Ok(None);
    }
    let versions = api
        .list(&path_of(&["servers", slug, "versions"]), &["versions"])
        .await?;
    let mut rows = versions["versions"].as_array().into_iter().flatten();
    let current = rows.find(|row| row["current"] == true);
    let url = current.and_then(|row| row["documentUrl"].as_str());
    let document = match url {
        Some(url) => url.to_owned(),
        None => kept(api, slug, documents).await?,
    };
    let curations = api
        .list(&path_of(&["servers", slug, "curations"]), &["curations"])
        .await?;
    let tools = curations["curations"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    let tools: IndexMap<String, Value> = tools.into_iter().collect();
    let rows = api
        .list(
            &path_of(&["servers", slug, "credentials"]),
            &["credentials"],
        )
        .await?;
    let rows = rows["credentials"].as_array().cloned().unwrap_or_default();
    let set = rows.iter().filter(|row| row["set"] == true);
    let schemes = set.filter_map(|row| row["scheme"].as_str());
    Ok(Some(ServerSpec {
        document: Some(document),
        settings: changed(settings),
        tools: (!tools.is_empty()).then_some(tools),
        credentials: schemes
            .map(|scheme| (scheme.to_owned(), format!("env:{}", variable(slug, scheme))))
            .collect(),
    }))
}

/// Writes a document as it was uploaded; its path beside the catalog.
async fn kept(api: &Api, slug: &str, documents: &Path) -> anyhow::Result<String> {
    let path = path_of(&["servers", slug, "document"]);
    let text = api.exchange(Method::GET, &path, None).await?;
    let is_json = text.trim_ascii_start().starts_with(b"{");
    let name = format!("{slug}.{}", if is_json { "json" } else { "yaml" });
    let path = documents.join(&name);
    std::fs::write(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(format!("documents/{name}"))
}

/// The settings that are not as they are where nobody says anything.
fn changed(settings: &Value) -> Map<String, Value> {
    let defaults = serde_json::to_value(ServerSettings::default()).unwrap_or_default();
    let members = settings.as_object().cloned().unwrap_or_default();
    let differs = |name: &str, value: &Value| !is_same(&defaults[name], value);
    members
        .into_iter()
        .filter(|(name, value)| differs(name, value))
        .collect()
}

fn consumer(row: &Value) -> ConsumerSpec {
    let limits = row["limits"].as_array().cloned();
    let rows = row["plans"].as_array().into_iter().flatten();
    let plans: IndexMap<String, String> = rows
        .filter_map(|row| {
            let (server, plan) = (row["server"].as_str()?, row["plan"].as_str()?);
            Some((server.to_owned(), plan.to_owned()))
        })
        .collect();
    ConsumerSpec {
        limits: limits.filter(|limits| !limits.is_empty()),
        plans: (!plans.is_empty()).then_some(plans),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The environment variable that a credential is read from.
fn variable(slug: &str, scheme: &str) -> String {
    let plain = |c: char| match c {
        c if c.is_ascii_alphanumeric() => c.to_ascii_uppercase(),
        _ => '_',
    };
    let name = format!("{slug}_{scheme}");
    name.chars().map(plain).collect()
}
