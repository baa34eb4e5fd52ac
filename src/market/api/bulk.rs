//! Many documents at once: each is an item of its own, and one that fails is one line of the report.
//! An item is known by its name within its collection, so that the next import of it is a new
//! version of the server it became. What failed is stored for a while, so that any process can try it
//! again.

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

use crate::access::person::Person;
use crate::extract::{Path, Upload};
use crate::market::api::ownership::{may_open, on_behalf};
use crate::market::api::servers::{find, text_of, url_of};
use crate::market::api::{Market, imports, listing};
use crate::mcp::publish::{
    GivenSettings, OnBehalf, Publication, Published, Release, SpecSource, publish,
};
use crate::mcp::server::{Access, ToolsMode};
use crate::openapi::bundle::{SpecFiles, choose};
use crate::openapi::{DocumentLimits, deep, upload};
use crate::problem::{Problem, ProblemKind};
use crate::store::imports::{FailedItem, FailedRow, FailedSource, ImportItem};
use crate::types::{JobId, OrganizationId};

const ITEMS_MAX: usize = 10_000;
const NAME_BYTES_MAX: usize = 1_024;
/// How much of the documents that failed is stored of one import.
const FAILED_BYTES_MAX: usize = 64 << 20;

/// What is imported: a list, or as multipart/form-data an archive or files.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewImport {
    /// What the items belong to: names are unique within it.
    collection: Option<String>,
    access: Option<Access>,
    tools: Option<ToolsMode>,
    category: Option<String>,
    tags: Option<Vec<String>>,
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
    pub(super) on_behalf: OnBehalf,
    actor: String,
    collection: String,
    settings: GivenSettings,
    items: Mutex<Vec<Item>>,
}

/// What an import was begun with, beside its items: as it is stored, for those who try again.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Begun {
    collection: String,
    #[serde(flatten)]
    settings: GivenSettings,
}

struct Item {
    /// Until its turn comes.
    source: Option<Source>,
    report: ItemReport,
}

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
    /// Of one that failed: whether it is kept, to be tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<bool>,
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

    /// What it was begun with, as it is stored.
    pub(super) fn payload(&self) -> String {
        let begun = Begun {
            collection: self.collection.clone(),
            settings: self.settings.clone(),
        };
        json!(begun).to_string()
    }

    /// The next item at or after an index that waits.
    fn next(&self, from: usize) -> Option<(usize, String, Source)> {
        let mut items = self.items.lock();
        let waits = |item: &Item| item.report.outcome == Outcome::Waiting;
        let index = from + items[from..].iter().position(waits)?;
        let item = &mut items[index];
        Some((index, item.report.name.clone(), item.source.take()?))
    }

    fn settle(&self, index: usize, report: ItemReport) {
        self.items.lock()[index].report = report;
    }
}

impl Source {
    /// As it is stored.
    fn kept<'a>(&'a self, position: usize, name: &'a str) -> FailedItem<'a> {
        let source = match self {
            Self::Url(url) => FailedSource::Url(url.as_str()),
            Self::Files(files) => {
                let root = files.files.get_key_value(&files.root);
                let others = files.files.iter().filter(|(name, _)| **name != files.root);
                let files = root.into_iter().chain(others);
                FailedSource::Files(
                    files
                        .map(|(name, bytes)| (name.as_str(), &bytes[..]))
                        .collect(),
                )
            }
        };
        FailedItem {
            position,
            name,
            source,
        }
    }

    /// Whether it may lie in the database as it is: recordings and collections hold secrets.
    async fn is_storable(&self, limits: &DocumentLimits) -> bool {
        match self {
            Self::Url(_) => true,
            Self::Files(files) => {
                let (files, limits) = (files.clone(), limits.clone());
                let read = tokio::task::spawn_blocking(move || {
                    deep(|| choose::is_openapi(&files, &limits))
                });
                read.await.unwrap_or_default()
            }
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Url(url) => url.as_str().len(),
            Self::Files(files) => files.files.values().map(Bytes::len).sum(),
        }
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
            kept: None,
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
    person: Person,
    upload: Upload<NewImport>,
) -> Result<Response, Problem> {
    let Upload { fields, files } = upload;
    may_open(&person, fields.allow_upstream.as_deref())?;
    let sources = if files.is_empty() {
        listed(fields.items)?
    } else if fields.items.is_empty() {
        sent(&market, files).await?
    } else {
        return Err(invalid("send either `items` or `file`"));
    };
    let category = fields.category.as_deref().map(listing::category);
    let begun = Begun {
        collection: fields.collection.unwrap_or_default(),
        settings: GivenSettings {
            access: fields.access,
            tools: fields.tools,
            category: category.transpose()?.flatten(),
            tags: fields.tags.as_deref().map(listing::tags).transpose()?,
            allow_upstream: fields.allow_upstream,
            ..GivenSettings::default()
        },
    };
    let items = items(sources, fields.only.as_deref(), &begun.collection)?;
    start(&market, &person, begun, items).await
}

/// A new import of what failed in another one, whichever process ran that.
pub(super) async fn retry(
    State(market): State<Market>,
    person: Person,
    Path(id): Path<Uuid>,
) -> Result<Response, Problem> {
    let payload = imports::payload_of_many(&market, &person, id).await?;
    let payload = payload.ok_or_else(Problem::not_found)?;
    let begun: Begun = serde_json::from_str(&payload).map_err(|error| Problem::internal(&error))?;
    let store = &market.0.parts.publisher.store;
    let failed = store.failed_items(person.organization(), JobId(id)).await?;
    let items = again(failed)?;
    if items.is_empty() {
        let detail = "nothing that failed is kept to be tried again; send it again, with `only`";
        return Err(Problem::new(ProblemKind::Conflict, detail));
    }
    start(&market, &person, begun, items).await
}

/// Items as they were before they failed.
fn again(rows: Vec<FailedRow>) -> Result<Vec<Item>, Problem> {
    let mut items: Vec<(i64, Item)> = Vec::new();
    for row in rows {
        let url = row
            .url
            .as_deref()
            .map(|url| url_of("url", url))
            .transpose()?;
        let bytes = Bytes::from(row.bytes.unwrap_or_default());
        let name = row.file.unwrap_or_default();
        match items.last_mut() {
            // Another file of the same item.
            Some((position, item)) if *position == row.position => {
                if let Some(Source::Files(files)) = &mut item.source {
                    files.files.insert(name, bytes);
                }
            }
            _ => {
                let files = || SpecFiles {
                    root: name.clone(),
                    files: [(name.clone(), bytes)].into(),
                    url: None,
                };
                let item = Item {
                    source: Some(url.map_or_else(|| Source::Files(files()), Source::Url)),
                    report: ItemReport::waiting(row.item),
                };
                items.push((row.position, item));
            }
        }
    }
    Ok(items.into_iter().map(|(_, item)| item).collect())
}

async fn start(
    market: &Market,
    person: &Person,
    begun: Begun,
    items: Vec<Item>,
) -> Result<Response, Problem> {
    let room = market.0.imports.admit_many()?;
    let bulk = Arc::new(Bulk {
        organization: person.organization(),
        on_behalf: on_behalf(person),
        actor: person.actor(),
        settings: begun.settings,
        collection: begun.collection,
        items: Mutex::new(items),
    });
    let id = imports::begin_many(market, &bulk).await?;
    let view = bulk.view();
    let (background, work) = (market.clone(), bulk.clone());
    // Bounded by the items, and by the time each may take; it ends by itself.
    let work = tokio::spawn(async move {
        let _room = room;
        run(&background, id, &work).await;
    });
    imports::start_many(market, id, bulk, work);
    let location = format!("/api/v1/imports/{id}");
    let view = json!({ "id": id, "state": "running", "seconds": 0, "result": view });
    Ok((StatusCode::ACCEPTED, [(LOCATION, location)], Json(view)).into_response())
}

/// One item after the other, in order: who gets a name first does not depend on chance.
async fn run(market: &Market, job: JobId, bulk: &Bulk) {
    let mut from = 0;
    let mut left = FAILED_BYTES_MAX;
    while let Some((index, name, source)) = bulk.next(from) {
        let result = import(market, bulk, &name, &source).await;
        let mut report = ItemReport::of(name, result);
        if report.outcome == Outcome::Failed {
            let item = source.kept(index, &report.name);
            let limits = &market.0.parts.publisher.limits;
            let fits = source.size() <= left && source.is_storable(limits).await;
            let kept = fits && keep(market, (bulk.organization, job), &item).await;
            left -= if kept { source.size() } else { 0 };
            report.kept = Some(kept);
        }
        bulk.settle(index, report);
        from = index + 1;
    }
}

/// Stores an item that failed.
async fn keep(market: &Market, job: (OrganizationId, JobId), item: &FailedItem<'_>) -> bool {
    let store = &market.0.parts.publisher.store;
    let kept = store.keep_failed(job, item).await;
    if let Err(error) = &kept {
        tracing::warn!(%error, import.id = %job.1, "an item that failed cannot be kept");
    }
    kept.is_ok()
}

async fn import(
    market: &Market,
    bulk: &Bulk,
    name: &str,
    source: &Source,
) -> Result<Published, Problem> {
    let publisher = &market.0.parts.publisher;
    let item = ImportItem {
        organization: bulk.organization,
        collection: &bulk.collection,
        name,
    };
    let remembered = publisher.store.slug_of_item(item).await?;
    let files = match source {
        Source::Files(files) => files.clone(),
        Source::Url(url) => {
            let entry = remembered
                .as_ref()
                .and_then(|slug| publisher.catalog.find(slug));
            bulk.on_behalf.check(entry.as_deref())?;
            find(market, url, &bulk.settings.may_reach(entry.as_deref())).await?
        }
    };
    let publication = Publication {
        organization: bulk.organization,
        actor: bulk.actor.clone(),
        slug: remembered.and_then(|slug| slug.parse().ok()),
        item: Some(format!("{}/{name}", bulk.collection)),
        on_behalf: bulk.on_behalf,
        settings: bulk.settings.clone(),
        credentials: Vec::new(),
        release: Release::Now,
        draft: false,
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
            "there is no document to import: none has `openapi` or `swagger` at its root, or is of a format that is converted",
        ));
    }
    Ok(items)
}

fn invalid(detail: &str) -> Problem {
    Problem::new(ProblemKind::Invalid, detail)
}
