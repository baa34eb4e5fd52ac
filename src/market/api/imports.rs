//! Imports that take longer than a request should. Their state is in the database, so that any process
//! on it can tell how one goes; the process that runs one holds a lease, so that its end is noticed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, TimeDelta, Utc};
use http::HeaderMap;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::access::person::Person;
use crate::access::role::Action;
use crate::extract::Path;
use crate::market::api::Market;
use crate::market::api::bulk::Bulk;
use crate::market::api::page::{Asked, Listed};
use crate::market::api::servers::server_view;
use crate::mcp::publish::Published;
use crate::problem::{Problem, ProblemKind};
use crate::store::jobs::{JobLine, JobState};
use crate::store::{Change, StoreError};
use crate::types::{JobId, OrganizationId, ServerId, Slug, UserId};

const KIND: &str = "import";
/// Imports at work in one process, those included that wait for their turn.
const RUNNING_MAX: usize = 100;
/// Imports of which the end is remembered.
const ENDED_MAX: i64 = 100;
/// Imports of many documents that run at once, those of which the progress is kept in memory, and those
/// of an organization of which the failed documents are stored.
const BULKS_RUNNING_MAX: usize = 4;
const BULKS_KEPT_MAX: usize = 8;
const FAILED_KEPT_MAX: i64 = 8;
const REMEMBERED_FOR: TimeDelta = TimeDelta::hours(1);
/// How long an import is believed to run of which nothing is heard, and how often it is heard of.
const LEASE: TimeDelta = TimeDelta::seconds(60);
const HEARD_EVERY: Duration = Duration::from_secs(20);
/// How often the progress of many documents is stored.
const TOLD_EVERY: Duration = Duration::from_secs(2);

/// The imports of this process.
pub(crate) struct Imports {
    /// What this process is called as the owner of a lease.
    process: String,
    room: Arc<Semaphore>,
    /// Room for imports of many documents.
    room_for_many: Arc<Semaphore>,
    /// The last of them.
    bulks: Mutex<BTreeMap<Uuid, Arc<Bulk>>>,
}

impl Default for Imports {
    fn default() -> Self {
        Self {
            process: JobId::generate().to_string(),
            room: Arc::new(Semaphore::new(RUNNING_MAX)),
            room_for_many: Arc::new(Semaphore::new(BULKS_RUNNING_MAX)),
            bulks: Mutex::default(),
        }
    }
}

impl Imports {
    /// Room for one more import; to be held until it ends.
    pub(crate) fn admit(&self) -> Result<OwnedSemaphorePermit, Problem> {
        self.room.clone().try_acquire_owned().map_err(|_| {
            let detail = format!("{RUNNING_MAX} imports are running; try again");
            Problem::new(ProblemKind::Unavailable, detail)
        })
    }
}

/// How an import ended, as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state")]
enum Ended {
    Done {
        server: ServerId,
        slug: Slug,
        created: bool,
        unchanged: bool,
        /// The version that waits.
        #[serde(default)]
        staged: Option<i64>,
        report: Value,
    },
    Failed {
        error: String,
    },
    /// Many documents, each with what became of it.
    Many {
        report: Value,
    },
}

impl Ended {
    fn of(result: Result<Published, Problem>) -> Self {
        match result {
            Ok(published) => Self::Done {
                server: published.id,
                slug: published.slug,
                created: published.created,
                unchanged: published.unchanged,
                staged: published.staged,
                report: json!(published.report),
            },
            Err(problem) => Self::Failed {
                error: problem.detail,
            },
        }
    }
}

impl Imports {
    /// Room for one more import of many documents; to be held until it ends.
    pub(super) fn admit_many(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let room = self.room_for_many.clone();
        room.try_acquire_owned().map_err(|_| {
            let detail =
                format!("{BULKS_RUNNING_MAX} imports of many documents are running; try again");
            Problem::new(ProblemKind::Unavailable, detail)
        })
    }

    /// An import of many documents that this process ran not long ago.
    fn bulk(&self, id: Uuid) -> Option<Arc<Bulk>> {
        self.bulks.lock().get(&id).cloned()
    }

    fn keep(&self, id: Uuid, bulk: Arc<Bulk>) {
        let mut bulks = self.bulks.lock();
        bulks.insert(id, bulk);
        // Ids grow with time.
        while bulks.len() > BULKS_KEPT_MAX {
            bulks.pop_first();
        }
    }
}

/// Begins an import of many documents. What failed in those long before it is forgotten.
pub(super) async fn begin_many(market: &Market, bulk: &Bulk) -> Result<JobId, Problem> {
    let publisher = &market.0.parts.publisher;
    let (organization, began) = (bulk.organization, publisher.clock.now());
    let whose = (organization, bulk.on_behalf.owner);
    let job = begin_job(market, whose, (began, &bulk.payload())).await?;
    let store = &publisher.store;
    store
        .forget_failed(organization, KIND, FAILED_KEPT_MAX)
        .await?;
    Ok(job)
}

/// What an import of many documents was begun with, whichever process ran it. `None`: there is none
/// of that id.
pub(super) async fn payload_of_many(
    market: &Market,
    person: &Person,
    id: Uuid,
) -> Result<Option<String>, Problem> {
    let store = &market.0.parts.publisher.store;
    let job = store.job(person.organization(), KIND, JobId(id)).await?;
    Ok(job
        .filter(|job| follows(person, job))
        .map(|job| job.payload)
        .filter(|payload| !payload.is_empty()))
}

/// Lets an import of many documents run, and remembers how it goes and how it ends.
pub(super) fn start_many(market: &Market, job: JobId, bulk: Arc<Bulk>, work: JoinHandle<()>) {
    market.0.imports.keep(job.0, bulk.clone());
    let market = market.clone();
    // Ends with the work, whose items are bounded as single imports are.
    tokio::spawn(async move {
        if let Err(error) = follow_many(&market, job, &bulk, work).await {
            tracing::error!(%error, import.id = %job, "how an import ended cannot be stored");
        }
    });
}

async fn follow_many(
    market: &Market,
    job: JobId,
    bulk: &Bulk,
    mut work: JoinHandle<()>,
) -> Result<(), StoreError> {
    let publisher = &market.0.parts.publisher;
    let (store, owner) = (&publisher.store, market.0.imports.process.as_str());
    while tokio::time::timeout(TOLD_EVERY, &mut work).await.is_err() {
        let until = publisher.clock.now() + LEASE;
        let progress = bulk.view().to_string();
        if let Err(error) = store.renew(job, owner, until, Some(&progress)).await {
            tracing::warn!(%error, import.id = %job, "the lease of an import was not renewed");
        }
    }
    let report = bulk.view();
    let ended = serde_json::to_string(&Ended::Many { report }).unwrap_or_default();
    store
        .complete_job(job, owner, publisher.clock.now(), &ended)
        .await?;
    Ok(())
}

/// What an import's work gives.
pub(crate) type Work = JoinHandle<Result<Published, Problem>>;

/// Lets an import go on that began at `began`, and remembers how it ends.
pub(crate) async fn go_on(
    market: &Market,
    whose: (OrganizationId, Option<UserId>),
    began: DateTime<Utc>,
    work: Work,
) -> Result<JobId, Problem> {
    let job = begin_job(market, whose, (began, "")).await?;
    let market = market.clone();
    // Ends with the work, which is bounded by the timeouts of egress and the publisher's permits.
    tokio::spawn(async move {
        if let Err(error) = follow(&market, job, work).await {
            tracing::error!(%error, import.id = %job, "how an import ended cannot be stored");
        }
    });
    Ok(job)
}

async fn begin_job(
    market: &Market,
    whose: (OrganizationId, Option<UserId>),
    (began, payload): (DateTime<Utc>, &str),
) -> Result<JobId, Problem> {
    let publisher = &market.0.parts.publisher;
    let now = publisher.clock.now();
    let store = &publisher.store;
    store
        .forget_jobs(KIND, now - REMEMBERED_FOR, ENDED_MAX)
        .await?;
    let owner = market.0.imports.process.as_str();
    Ok(store
        .start_job(whose, (KIND, owner, payload), (began, now + LEASE))
        .await?)
}

/// Renews the lease until the work ends, and stores how.
async fn follow(market: &Market, job: JobId, mut work: Work) -> Result<(), StoreError> {
    let publisher = &market.0.parts.publisher;
    let (store, owner) = (&publisher.store, market.0.imports.process.as_str());
    let result = loop {
        match tokio::time::timeout(HEARD_EVERY, &mut work).await {
            Ok(result) => break result,
            Err(_) => {
                let until = publisher.clock.now() + LEASE;
                if let Err(error) = store.renew(job, owner, until, None).await {
                    tracing::warn!(%error, import.id = %job, "the lease of an import was not renewed");
                }
            }
        }
    };
    let result = result.unwrap_or_else(|error| Err(Problem::internal(&error)));
    let ended = serde_json::to_string(&Ended::of(result)).unwrap_or_default();
    let now = publisher.clock.now();
    store.complete_job(job, owner, now, &ended).await?;
    Ok(())
}

pub(super) async fn show(
    State(market): State<Market>,
    person: Person,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let view = view(&market, &person, JobId(id), &headers).await?;
    view.map(Json).ok_or_else(Problem::not_found)
}

/// The imports that took longer than a request should, newest first: an admin's are those of everybody.
pub(super) async fn list(
    State(market): State<Market>,
    person: Person,
    asked: Asked<(i64, Uuid)>,
) -> Result<Listed, Problem> {
    let publisher = &market.0.parts.publisher;
    let owner = person.user();
    let owner = owner.filter(|_| !person.may_at_all(Action::Administer));
    let whose = (person.organization(), owner);
    let page = (asked.after, asked.read_max());
    let rows = publisher.store.jobs(whose, KIND, page).await?;
    let now = publisher.clock.now().timestamp_micros();
    let page = asked.page(rows, |row| (row.run_at, row.id));
    Ok(page.answer("imports", |line| line_view(line, now)))
}

/// An import among others, without what became of its documents.
fn line_view(line: &JobLine, now: i64) -> Value {
    let job = JobState {
        payload: line.payload.clone(),
        owner_id: line.owner_id,
        run_at: line.run_at,
        lease_until: line.lease_until,
        progress: line.progress.clone(),
        finished_at: line.finished_at,
    };
    let (state, slug) = match ended(&job, now) {
        None => ("running", None),
        Some(Ended::Many { .. }) => ("done", None),
        Some(Ended::Failed { .. }) => ("failed", None),
        Some(Ended::Done { slug, .. }) => ("done", Some(slug)),
    };
    let time = |micros: Option<i64>| micros.and_then(DateTime::from_timestamp_micros);
    json!({
        "id": line.id,
        "state": state,
        "many": !line.payload.is_empty(),
        "slug": slug,
        "startedAt": time(Some(line.run_at)),
        "finishedAt": time(line.finished_at),
        "seconds": (line.finished_at.unwrap_or(now) - line.run_at).max(0) / 1_000_000,
    })
}

/// What is known of an import.
pub(crate) async fn view(
    market: &Market,
    person: &Person,
    id: JobId,
    headers: &HeaderMap,
) -> Result<Option<Value>, Problem> {
    let publisher = &market.0.parts.publisher;
    let organization = person.organization();
    let job = publisher.store.job(organization, KIND, id).await?;
    let Some(job) = job.filter(|job| follows(person, job)) else {
        return Ok(None);
    };
    let now = publisher.clock.now().timestamp_micros();
    let (state, result) = match ended(&job, now) {
        None => ("running", progress(market, id, &job)),
        Some(Ended::Many { report }) => ("done", report),
        Some(Ended::Failed { error }) => ("failed", json!({ "error": error })),
        Some(Ended::Done {
            server,
            slug,
            created,
            unchanged,
            staged,
            report,
        }) => {
            // Another process may have made it a moment ago.
            if publisher.catalog.find(slug.as_str()).is_none() {
                publisher.catalog.apply(Change::Server(server)).await?;
            }
            let entry = publisher.catalog.find(slug.as_str());
            let server = entry.map(|entry| server_view(market, &entry, headers));
            let result = json!({
                "server": server, "created": created, "unchanged": unchanged, "staged": staged,
                "report": report,
            });
            ("done", result)
        }
    };
    let until = job.finished_at.unwrap_or(now);
    Ok(Some(json!({
        "id": id,
        "state": state,
        "seconds": (until - job.run_at).max(0) / 1_000_000,
        "result": result,
    })))
}

/// Whether somebody may see how an import goes.
fn follows(person: &Person, job: &JobState) -> bool {
    person.may(Action::FollowImport, job.owner_id.map(UserId))
}

/// How an import of many documents goes: from this process's memory, or as another one last told.
fn progress(market: &Market, id: JobId, job: &JobState) -> Value {
    if let Some(bulk) = market.0.imports.bulk(id.0) {
        return bulk.view();
    }
    let told = job.progress.as_deref();
    told.and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

/// How a job ended, if it did by then.
fn ended(job: &JobState, now: i64) -> Option<Ended> {
    if job.finished_at.is_some() {
        let stored = job.progress.as_deref().unwrap_or_default();
        let unreadable = |_| Ended::Failed {
            error: "how it ended cannot be read".to_owned(),
        };
        return Some(serde_json::from_str(stored).unwrap_or_else(unreadable));
    }
    let given_up = job.lease_until.is_none_or(|until| until < now);
    given_up.then(|| Ended::Failed {
        error: "the process that ran it ended before it was done; import it again".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_imports_than_there_is_room_for_are_told_to_come_again() {
        let imports = Imports::default();
        let mut running: Vec<_> = (0..RUNNING_MAX).map(|_| imports.admit().unwrap()).collect();
        let refused = imports.admit().unwrap_err();
        assert_eq!(refused.kind, ProblemKind::Unavailable);
        running.pop();
        assert!(imports.admit().is_ok());
    }

    #[test]
    fn an_import_whose_process_is_gone_has_failed() {
        let job = JobState {
            payload: String::new(),
            owner_id: None,
            run_at: 0,
            lease_until: Some(100),
            progress: None,
            finished_at: None,
        };
        assert!(ended(&job, 100).is_none());
        assert!(matches!(ended(&job, 101), Some(Ended::Failed { .. })));
        let stored = JobState {
            progress: Some(r#"{"state":"failed","error":"no document"}"#.to_owned()),
            finished_at: Some(50),
            ..job
        };
        let Some(Ended::Failed { error }) = ended(&stored, 101) else {
            unreachable!("it was stored as failed");
        };
        assert_eq!(error, "no document");
    }
}
