//! `causeway import`: one document, or many at once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Args;
use http::Method;
use serde_json::{Map, Value, json};
use url::Url;
use zip::write::SimpleFileOptions;

use crate::cli::ServerChoice;
use crate::cli::api::{Api, Target};
use crate::cli::document::{bytes, scheme_and_value, value_of};
use crate::cli::output::Output;
use crate::cli::sent::Sent;
use crate::cli::source;
use crate::egress::AllowRule;
use crate::openapi::bundle::choose;
use crate::openapi::{DocumentLimits, archive, deep};
use crate::types::Slug;

const LIST_BYTES_MAX: usize = 1 << 20;
const REPORT_BYTES_MAX: usize = 64 << 20;

pub(super) const EXAMPLES: &str = "\
Examples:
  causeway import openapi.yaml --slug shop --credential ApiKey=env:SHOP_KEY
  causeway import https://api.example.com/openapi.json --access open
  causeway import new-openapi.yaml --slug shop      a new version, live at once
  causeway import shop.postman_collection.json      or HAR, curl commands, mcp-server.yaml
  causeway import ./api                             a directory with one document in many files
  causeway import ./specs --json > report.json      a directory of documents: each one a server
  causeway import ./specs --retry report.json       only those that failed
  causeway import --list urls.txt

Each document of a directory or archive that no other one refers to is imported. If there are
several, each becomes a server of its own, and a second import updates the same servers. Exit code
1: at least one failed.";

#[derive(Args)]
pub(super) struct ImportArgs {
    /// The document: a file, a directory or zip archive with its files or with many documents, or a URL
    /// of it, of its API or of a page that shows it
    #[arg(required_unless_present = "list")]
    document: Option<String>,
    /// A file of URLs to import, one a line
    #[arg(long, value_name = "FILE", conflicts_with = "document")]
    list: Option<PathBuf>,
    /// Which file of a directory or archive is the document, where that is not plain
    #[arg(long, value_name = "NAME")]
    root: Option<String>,
    /// An OpenAPI Overlay, applied before the document is read and kept for its next versions; may be
    /// repeated
    #[arg(long, value_name = "FILE")]
    overlay: Vec<PathBuf>,
    /// For many documents: what they belong to, so that a later import finds the same servers [default:
    /// the name of the directory, archive or list]
    #[arg(long, value_name = "NAME")]
    collection: Option<String>,
    /// For many documents: only those that failed, by the report an earlier import printed with --json
    #[arg(long, value_name = "REPORT")]
    retry: Option<PathBuf>,
    /// The server's name in URLs, made of the title where none is given; that of a server there is
    /// already makes a new version of it
    #[arg(long, value_name = "S")]
    slug: Option<Slug>,
    /// Make a new version of the server there is, and let it wait until `causeway versions` promotes it
    #[arg(long, requires = "slug")]
    stage: bool,
    /// Who may connect: anyone, or whoever has a key, which is the default
    #[arg(long, value_name = "WHO", value_parser = ["open", "key"])]
    access: Option<String>,
    /// How tools are shown: all in a list, or found by a search above 128 tools or 25,000 tokens
    #[arg(long, value_name = "HOW", value_parser = ["auto", "all", "search"])]
    tools: Option<String>,
    /// What the catalog files it under
    #[arg(long, value_name = "NAME")]
    category: Option<String>,
    /// What the catalog says it is about, instead of the tags of the document; may be repeated
    #[arg(long, value_name = "WORD")]
    tag: Vec<String>,
    /// The API's base URL, instead of the document's servers
    #[arg(long, value_name = "URL")]
    upstream: Option<Url>,
    #[command(flatten)]
    server: ServerChoice,
    /// A destination this server may reach although it is private: CIDR-or-host[:port]
    #[arg(long, value_name = "DESTINATION")]
    allow_upstream: Vec<AllowRule>,
    /// A credential for a security scheme of the document, kept encrypted; VALUE may be @FILE or
    /// env:NAME, and is USER:PASSWORD for basic, and a token or client:ID:SECRET for OAuth 2
    #[arg(long, value_name = "SCHEME=VALUE")]
    credential: Vec<String>,
    #[command(flatten)]
    target: Target,
}

/// Where the document is.
enum Place {
    Url(String),
    /// Name and content of one file, or of an archive of them.
    File(String, Bytes),
}

pub(super) async fn import(output: &Output, args: ImportArgs) -> anyhow::Result<ExitCode> {
    if let Some(list) = &args.list {
        let items = listed(list)?;
        return many(output, args, Batch::Urls(items)).await;
    }
    let document = args.document.clone().unwrap_or_default();
    if document.starts_with("http://") || document.starts_with("https://") {
        return one(output, args, Place::Url(document)).await;
    }
    let path = Path::new(&document);
    if is_many(path)? && args.root.is_none() {
        let files = source::many(path)?;
        let limits = DocumentLimits::default();
        let count = deep(|| choose::all(files.clone(), &limits)).len();
        if count > 1 || args.retry.is_some() {
            return many(output, args, Batch::Files(files)).await;
        }
    }
    let source = source::load(path, args.root.as_deref())?;
    let place = match source.files.len() {
        1 => {
            let (name, content) = source.files.into_iter().next().unwrap_or_default();
            if content.is_empty() {
                bail!("{document} is empty");
            }
            Place::File(name, content)
        }
        _ => Place::File("document.zip".to_owned(), zipped(&source.files)?),
    };
    let args = ImportArgs {
        root: Some(source.root).filter(|root| !root.is_empty()),
        ..args
    };
    one(output, args, place).await
}

/// A directory or an archive: what may hold many documents.
fn is_many(path: &Path) -> anyhow::Result<bool> {
    const MARK_BYTES: usize = 4;
    if path.is_dir() {
        return Ok(true);
    }
    Ok(path.is_file() && archive::is_archive(&bytes(path, MARK_BYTES)?))
}

/// URLs, one a line; `#` begins a comment.
fn listed(path: &Path) -> anyhow::Result<Vec<String>> {
    let text = String::from_utf8(bytes(path, LIST_BYTES_MAX)?);
    let text = text.with_context(|| format!("{} is not UTF-8", path.display()))?;
    let lines = text.lines().map(str::trim);
    let urls = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let urls: Vec<String> = urls.map(str::to_owned).collect();
    if urls.is_empty() {
        bail!("{} lists no URL", path.display());
    }
    Ok(urls)
}

/// An archive of files. Nothing in it depends on when or where it is made.
fn zipped(files: &BTreeMap<String, Bytes>) -> anyhow::Result<Bytes> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in files {
        archive.start_file(name.as_str(), SimpleFileOptions::default())?;
        archive.write_all(content)?;
    }
    Ok(archive.finish()?.into_inner().into())
}

async fn one(output: &Output, args: ImportArgs, place: Place) -> anyhow::Result<ExitCode> {
    if args.collection.is_some() || args.retry.is_some() {
        bail!("--collection and --retry are for a directory, archive or list of many documents");
    }
    let mut fields = fields(&args)?;
    let overlays = source::overlays(&args.overlay)?;
    let sent = match place {
        Place::Url(url) => {
            fields.insert("url".to_owned(), json!(url));
            if !overlays.is_empty() {
                fields.insert("overlay".to_owned(), json!(overlays));
            }
            Sent::json(Value::Object(fields).to_string())
        }
        Place::File(name, content) => {
            if let Some(root) = &args.root {
                fields.insert("root".to_owned(), json!(root));
            }
            let mut parts = parts(&fields);
            let texts = overlays.into_iter();
            parts.extend(texts.map(|text| ("overlay".to_owned(), text)));
            Sent::form(&parts, (&name, &content))
        }
    };
    let api = Api::of(args.target)?;
    let answer = finished(&api, "/api/v1/servers", sent).await?;
    if let Some(error) = answer.get("error").and_then(Value::as_str) {
        bail!("{error}");
    }
    let report = &answer["report"];
    if report.is_null() {
        return Err(api.stranger());
    }
    let staged = answer["staged"].as_i64().map(|number| {
        let slug = answer["server"]["slug"].as_str().unwrap_or_default();
        format!("Version {number} waits for a look: causeway versions {slug} diff {number}")
    });
    let served = || {
        format!(
            "{} is served at {}",
            answer["server"]["title"].as_str().unwrap_or_default(),
            answer["server"]["mcpUrl"].as_str().unwrap_or_default(),
        )
    };
    let mut text = format!(
        "{}\n{} tools; {} lost, {} warnings, {} notes",
        staged.unwrap_or_else(served),
        report["tools"],
        report["lost"],
        report["warnings"],
        report["notes"],
    );
    for bound in answer["credentials"].as_array().into_iter().flatten() {
        text.push_str(&withheld(bound, &answer["server"]));
    }
    output.result(&text, &answer)?;
    Ok(ExitCode::SUCCESS)
}

/// What is said of a credential that does not go wherever it is wanted.
fn withheld(bound: &Value, server: &Value) -> String {
    let origins = bound["notApproved"].as_array().into_iter().flatten();
    let origins: Vec<&str> = origins.filter_map(Value::as_str).collect();
    if origins.is_empty() {
        return String::new();
    }
    format!(
        "\nThe credential for {} is not sent to {}, which some operations go to. Approve it at \
         {}/settings if it belongs there",
        bound["scheme"].as_str().unwrap_or_default(),
        origins.join(", "),
        server["pageUrl"].as_str().unwrap_or_default(),
    )
}

/// What was said beside the document.
fn fields(args: &ImportArgs) -> anyhow::Result<Map<String, Value>> {
    let mut fields = Map::new();
    for (name, value) in [
        ("slug", args.slug.as_ref().map(ToString::to_string)),
        ("access", args.access.clone()),
        ("tools", args.tools.clone()),
        ("category", args.category.clone()),
        ("upstream", args.upstream.as_ref().map(ToString::to_string)),
        ("server", args.server.document_server.clone()),
    ] {
        if let Some(value) = value {
            fields.insert(name.to_owned(), json!(value));
        }
    }
    if let Some(variables) = args.server.variables()? {
        fields.insert("serverVariables".to_owned(), json!(variables));
    }
    if args.stage {
        fields.insert("stage".to_owned(), json!(true));
    }
    add_rules(&mut fields, args);
    let mut credentials = Map::new();
    for text in &args.credential {
        let (scheme, value) = scheme_and_value(text)?;
        let value = value_of(value).with_context(|| format!("--credential {scheme}"))?;
        credentials.insert(scheme.to_owned(), Value::String(value));
    }
    fields.insert("credentials".to_owned(), Value::Object(credentials));
    Ok(fields)
}

/// Only where there are any: what is not sent stays as it is.
fn add_rules(fields: &mut Map<String, Value>, args: &ImportArgs) {
    if !args.allow_upstream.is_empty() {
        let rules = args.allow_upstream.iter().map(ToString::to_string);
        fields.insert("allowUpstream".to_owned(), rules.collect());
    }
    if !args.tag.is_empty() {
        fields.insert("tags".to_owned(), json!(args.tag));
    }
}

/// The same as fields of a form.
pub(super) fn parts(fields: &Map<String, Value>) -> Vec<(String, String)> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items = items.iter().filter_map(Value::as_str);
            items.collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    };
    let parts = fields
        .iter()
        .map(|(name, value)| (name.clone(), text(value)));
    parts.filter(|(_, text)| !text.is_empty()).collect()
}

/// Sends it, and waits until it is done.
pub(super) async fn finished(api: &Api, path: &str, sent: Sent) -> anyhow::Result<Value> {
    let mut answer = api.send(Method::POST, path, Some(sent)).await?;
    while let Some(id) = answer
        .get("state")
        .filter(|state| *state == "running")
        .and(answer.get("id"))
        .and_then(Value::as_str)
    {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let path = format!("/api/v1/imports/{id}");
        answer = api.send(Method::GET, &path, None).await?;
    }
    Ok(match answer.get("result") {
        Some(result) => result.clone(),
        None => answer,
    })
}

/// Many documents at once.
enum Batch {
    Urls(Vec<String>),
    Files(BTreeMap<String, Bytes>),
}

async fn many(output: &Output, args: ImportArgs, batch: Batch) -> anyhow::Result<ExitCode> {
    // `--stage` needs a slug.
    if args.slug.is_some() || args.upstream.is_some() || !args.credential.is_empty() {
        bail!(
            "there are many documents: --slug, --upstream and --credential are for one of them; \
             --root says which file"
        );
    }
    if !args.overlay.is_empty() {
        bail!("there are many documents: --overlay is for one of them; --root says which file");
    }
    let only = args.retry.as_deref().map(failed).transpose()?;
    if only.as_ref().is_some_and(Vec::is_empty) {
        output.result("Nothing failed.", &json!({ "total": 0, "items": [] }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut fields = Map::new();
    fields.insert("collection".to_owned(), json!(collection(&args)));
    fields.insert("access".to_owned(), json!(args.access));
    fields.insert("tools".to_owned(), json!(args.tools));
    fields.insert("category".to_owned(), json!(args.category));
    add_rules(&mut fields, &args);
    fields.retain(|_, value| !value.is_null());
    let sent = match batch {
        Batch::Urls(urls) => {
            fields.insert("only".to_owned(), json!(only));
            let items: Vec<Value> = urls.iter().map(|url| json!({ "url": url })).collect();
            fields.insert("items".to_owned(), Value::Array(items));
            Sent::json(Value::Object(fields).to_string())
        }
        Batch::Files(files) => {
            let mut parts = parts(&fields);
            parts.extend(only.map(|names| ("only".to_owned(), json!(names).to_string())));
            Sent::form(&parts, ("documents.zip", &zipped(&files)?))
        }
    };
    let api = Api::of(args.target)?;
    let report = finished(&api, "/api/v1/imports", sent).await?;
    if let Some(error) = report.get("error").and_then(Value::as_str) {
        bail!("{error}");
    }
    if report["items"].is_null() {
        return Err(api.stranger());
    }
    output.result(&told(&report), &report)?;
    Ok(if report["failed"] == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The names of the items that failed.
fn failed(path: &Path) -> anyhow::Result<Vec<String>> {
    let what = || format!("{} is no report of an import with --json", path.display());
    let report: Value =
        serde_json::from_slice(&bytes(path, REPORT_BYTES_MAX)?).with_context(what)?;
    let items = report["items"].as_array().with_context(what)?.iter();
    let failed = items.filter(|item| item["outcome"] == "failed");
    let names = failed.filter_map(|item| item["name"].as_str());
    Ok(names.map(str::to_owned).collect())
}

fn collection(args: &ImportArgs) -> String {
    if let Some(given) = &args.collection {
        return given.clone();
    }
    let document = args.document.as_ref().map(PathBuf::from);
    let path = args.list.clone().or(document).unwrap_or_default();
    let path = path.canonicalize().unwrap_or(path);
    let name = path.file_stem().map(|name| name.to_string_lossy());
    name.unwrap_or_default().into_owned()
}

/// A report for people.
fn told(report: &Value) -> String {
    let mut text = format!(
        "{} documents: {} created, {} updated, {} unchanged, {} failed",
        report["total"],
        report["created"],
        report["updated"],
        report["unchanged"],
        report["failed"],
    );
    for item in report["items"].as_array().into_iter().flatten() {
        let said = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
        let _ = write!(text, "\n  {:9} {}", said("outcome"), said("name"));
        if item["outcome"] == "failed" {
            let _ = write!(text, ": {}", said("error"));
        } else {
            let _ = write!(text, " -> {}, {} tools", said("slug"), item["tools"]);
            if item["lost"] != 0 {
                let _ = write!(text, ", {} lost", item["lost"]);
            }
        }
    }
    text
}
