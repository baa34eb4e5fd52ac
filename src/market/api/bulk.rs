//! Many documents at once: each is an item of its own, and one that fails is one line of the report.
//! An item is known by its name within its collection, so that the next import of it is a new
//! version of the server it became.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use http::header::LOCATION;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::extract::{Admin, Path, Upload};
use crate::market::api::servers::{check_rules, find, text_of, url_of};
use crate::market::api::{Market, imports};
use crate::mcp::publish::{GivenSettings, Publication, Published, Release, SpecSource, publish};
use crate::mcp::server::{Access, ToolsMode};
use crate::openapi::bundle::{SpecFiles, choose};
use crate::openapi::{deep, upload};
use crate::problem::{Problem, ProblemKind};
use crate::store::imports::ImportItem;
use crate::types::OrganizationId;

const ITEMS_MAX: usize = 10_000;
const NAME_BYTES_MAX: usize = 1_024;

/// What is imported: a list, or as multipart/form-data an archive or files.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewImport {
    /// What the items belong to: names are unique within it.
    collection: Option<String>,
    access: Option<Access>,
    tools: Option<ToolsMode>,
    allow_upstream: Option<Vec<String>>,
    #[serde(default)]
    items: Vec<NewItem>,
    /// Only the items of these names.
    only: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewItem {
    /// The URL where none is given.
    name: Option<String>,
    url: Option<String>,
    document: Option<Value>,
}

/// One bulk import, running or ended.
pub(crate) struct Bulk {
    pub(super) organization: OrganizationId,
    actor: String,
    collection: String,
    settings: GivenSettings,
    items: Mutex<Vec<Item>>,
}

struct Item {
    /// Kept until it went well.
    source: Option<Source>,
    report: ItemReport,
}

#[derive(Clone)]
enum Source {
    Files(SpecFiles),
    Url(url::Url),
}

/// What became of an item.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemReport {
    name: String,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    slug: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<usize>,
    /// Operations that did not become tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Outcome {
    Waiting,
    Created,
    Updated,
    Unchanged,
    Failed,
}

impl Bulk {
    /// The report as it stands.
    pub(crate) fn view(&self) -> Value {
        let items = self.items.lock();
        let reports: Vec<&ItemReport> = items.iter().map(|item| &item.report).collect();
        let count = |outcome| reports.iter().filter(|r| r.outcome == outcome).count();
        json!({
            "collection": self.collection,
            "total": reports.len(),
            "done": reports.len() - count(Outcome::Waiting),
            "created": count(Outcome::Created),
            "updated": count(Outcome::Updated),
            "unchanged": count(Outcome::Unchanged),
            "failed": count(Outcome::Failed),
            "items": reports,
        })
    }

    /// The next item at or after an index that waits.
    fn next(&self, from: usize) -> Option<(usize, String, Source)> {
        let items = self.items.lock();
        let waits = |item: &&Item| item.report.outcome == Outcome::Waiting;
        let index = from + items[from..].iter().position(|item| waits(&item))?;
        let item = &items[index];
        Some((index, item.report.name.clone(), item.source.clone()?))
    }

    fn settle(&self, index: usize, report: ItemReport) {
        let item = &mut self.items.lock()[index];
        if report.outcome != Outcome::Failed {
            item.source = None;
        }
        item.report = report;
    }

    /// The failed items, to be tried again.
    fn failed(&self) -> Vec<Item> {
        let items = self.items.lock();
        let failed = items
            .iter()
            .filter(|item| item.report.outcome == Outcome::Failed);
        let again = failed.map(|item| Item {
            source: item.source.clone(),
            report: ItemReport::waiting(item.report.name.clone()),
        });
        again.collect()
    }
}

impl ItemReport {
    fn waiting(name: String) -> Self {
        Self {
            name,
            outcome: Outcome::Waiting,
            slug: None,
            tools: None,
            lost: None,
            error: None,
        }
    }

    fn of(name: String, result: Result<Published, Problem>) -> Self {
        let report = Self::waiting(name);
        match result {
            Ok(published) => Self {
                outcome: match (published.created, published.unchanged) {
                    (true, _) => Outcome::Created,
                    (_, true) => Outcome::Unchanged,
                    _ => Outcome::Updated,
                },
                slug: Some(published.slug.to_string()),
                tools: Some(published.report.tools),
                lost: Some(published.report.lost),
                ..report
            },
            Err(problem) => Self {
                outcome: Outcome::Failed,
                error: Some(problem.detail),
                ..report
            },
        }
    }
}

pub(super) async fn create(
    State(market): State<Market>,
    admin: Admin,
    upload: Upload<NewImport>,
) -> Result<Response, Problem> {
    let Upload { fields, files } = upload;
    check_rules(fields.allow_upstream.as_deref().unwrap_or_default())?;
    let sources = if files.is_empty() {
        listed(fields.items)?
    } else if fields.items.is_empty() {
        sent(&market, files).await?
    } else {
        return Err(invalid("send either `items` or `file`"));
    };
    let collection = fields.collection.unwrap_or_default();
    let items = items(sources, fields.only.as_deref(), &collection)?;
    let bulk = Bulk {
        organization: admin.0.organization,
        actor: admin.0.principal(),
        collection,
        settings: GivenSettings {
            access: fields.access,
            tools: fields.tools,
            allow_upstream: fields.allow_upstream,
            ..GivenSettings::default()
        },
        items: Mutex::new(items),
    };
    start(&market, bulk).await
}

/// A new import of what failed in another one.
pub(super) async fn retry(
    State(market): State<Market>,
    admin: Admin,
    Path(id): Path<Uuid>,
) -> Result<Response, Problem> {
    let before = market.0.imports.bulk(id);
    let before = before.filter(|bulk| bulk.organization == admin.0.organization);
    let before = before.ok_or_else(Problem::not_found)?;
    let failed = before.failed();
    if failed.is_empty() {
        let detail = "nothing failed that could be tried again";
        return Err(Problem::new(ProblemKind::Conflict, detail));
    }
    let bulk = Bulk {
        organization: before.organization,
        actor: admin.0.principal(),
        collection: before.collection.clone(),
        settings: before.settings.clone(),
        items: Mutex::new(failed),
    };
    start(&market, bulk).await
}

async fn start(market: &Market, bulk: Bulk) -> Result<Response, Problem> {
    let room = market.0.imports.admit_many()?;
    let bulk = Arc::new(bulk);
    let (background, work) = (market.clone(), bulk.clone());
    // Bounded by the items, and by the time each may take; it ends by itself.
    let work = tokio::spawn(async move {
        let _room = room;
        run(&background, &work).await;
    });
    let view = bulk.view();
    let id = imports::start_many(market, bulk, work).await?;
    let location = format!("/api/v1/imports/{id}");
    let view = json!({ "id": id, "state": "running", "seconds": 0, "result": view });
    Ok((StatusCode::ACCEPTED, [(LOCATION, location)], Json(view)).into_response())
}

/// One item after the other, in order: who gets a name first does not depend on chance.
async fn run(market: &Market, bulk: &Bulk) {
    let mut from = 0;
    while let Some((index, name, source)) = bulk.next(from) {
        let result = import(market, bulk, &name, source).await;
        bulk.settle(index, ItemReport::of(name, result));
        from = index + 1;
    }
}

async fn import(
    market: &Market,
    bulk: &Bulk,
    name: &str,
    source: Source,
) -> Result<Published, Problem> {
    let publisher = &market.0.parts.publisher;
    let item = ImportItem {
        organization: bulk.organization,
        collection: &bulk.collection,
        name,
    };
    let remembered = publisher.store.slug_of_item(item).await?;
    let files = match source {
        Source::Files(files) => files,
        Source::Url(url) => {
            let entry = remembered
                .as_ref()
                .and_then(|slug| publisher.catalog.find(slug));
            find(market, &url, &bulk.settings.may_reach(entry.as_deref())).await?
        }
    };
    let publication = Publication {
        organization: bulk.organization,
        actor: bulk.actor.clone(),
        slug: remembered.and_then(|slug| slug.parse().ok()),
        item: Some(format!("{}/{name}", bulk.collection)),
        settings: bulk.settings.clone(),
        credentials: Vec::new(),
        release: Release::Now,
    };
    let source = SpecSource {
        files,
        overlays: None,
    };
    let published = publish(publisher, source, publication).await?;
    let now = publisher.clock.now();
    publisher
        .store
        .remember_item(item, published.id, now)
        .await?;
    Ok(published)
}

fn listed(items: Vec<NewItem>) -> Result<Vec<(String, Source)>, Problem> {
    let read = items.into_iter().map(|item| {
        let NewItem {
            name,
            url,
            document,
        } = item;
        match (name, url, document) {
            (name, Some(url), None) => {
                let source = Source::Url(url_of("url", &url)?);
                Ok((name.unwrap_or(url), source))
            }
            (Some(name), None, Some(document)) => {
                let bytes = Bytes::from(text_of(document));
                Ok((name, Source::Files(SpecFiles::single(bytes, None))))
            }
            _ => Err(invalid(
                "each item has either a `url`, or a `name` and a `document`",
            )),
        }
    });
    read.collect()
}

/// The documents among files that were sent.
async fn sent(
    market: &Market,
    files: Vec<(String, Bytes)>,
) -> Result<Vec<(String, Source)>, Problem> {
    let publisher = &market.0.parts.publisher;
    // Which are documents is told by reading them, as a conversion does.
    let room = publisher.converting.clone().acquire_owned().await;
    let limits = publisher.limits.clone();
    let read = move || deep(move || Ok(choose::all(upload::files(files)?, &limits)));
    let documents = tokio::task::spawn_blocking(move || {
        let _room = room;
        read()
    });
    let documents = documents
        .await
        .map_err(|error| Problem::internal(&error))?
        .map_err(|error: upload::UploadError| {
            Problem::new(ProblemKind::Unprocessable, error.to_string())
        })?;
    let named = documents.into_iter();
    Ok(named
        .map(|files| (files.root.clone(), Source::Files(files)))
        .collect())
}

fn items(
    sources: Vec<(String, Source)>,
    only: Option<&[String]>,
    collection: &str,
) -> Result<Vec<Item>, Problem> {
    if sources.len() > ITEMS_MAX {
        return Err(invalid(&format!("at most {ITEMS_MAX} items at once")));
    }
    let mut names = HashSet::new();
    let mut items = Vec::new();
    for (name, source) in sources {
        if name.is_empty() || name.len() + collection.len() > NAME_BYTES_MAX {
            return Err(invalid(&format!(
                "the names of the collection and of an item have 1 to {NAME_BYTES_MAX} bytes"
            )));
        }
        if !names.insert(name.clone()) {
            return Err(invalid(&format!("two items are named {name}")));
        }
        if only.is_none_or(|only| only.contains(&name)) {
            let report = ItemReport::waiting(name);
            let source = Some(source);
            items.push(Item { source, report });
        }
    }
    if items.is_empty() {
        return Err(Problem::new(
            ProblemKind::Unprocessable,
            "there is no document to import: none has `openapi` or `swagger` at its root",
        ));
    }
    Ok(items)
}

fn invalid(detail: &str) -> Problem {
    Problem::new(ProblemKind::Invalid, detail)
}
