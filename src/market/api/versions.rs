//! Versions of a server: listed, compared, served, tried on some consumers, and read again from where
//! the document is.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::DateTime;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::person::Person;
use crate::extract::{Body, Path, Query};
use crate::live::Entry;
use crate::market::api::Market;
use crate::market::api::page::{Asked, Listed};
use crate::market::api::servers::{NewServer, act, etag, owned, server_view, url_of};
use crate::mcp::publish::Release;
use crate::mcp::sync::{self, Outcome};
use crate::mcp::versions::{self, Actor, VersionError};
use crate::problem::{Problem, ProblemKind};
use crate::store::sources::SourceRow;
use crate::store::versions::{Rollout, VersionRow};

/// How often a document may be read again, in seconds.
const EVERY_S: std::ops::RangeInclusive<i64> = 60..=31 * 86_400;

impl From<VersionError> for Problem {
    fn from(error: VersionError) -> Self {
        let kind = match &error {
            VersionError::Unknown(_) => ProblemKind::NotFound,
            VersionError::Current(_) => ProblemKind::Conflict,
            VersionError::Percent => ProblemKind::Invalid,
            VersionError::Unreadable { .. } => return Self::internal(&error),
            VersionError::Store(_) | VersionError::Live(_) => {
                return match error {
                    VersionError::Store(error) => error.into(),
                    VersionError::Live(error) => error.into(),
                    _ => Self::not_found(),
                };
            }
        };
        Self::new(kind, error.to_string())
    }
}

/// When what was sent is served. A staged document changes nothing else: what is sent beside it would be
/// lost, or served too soon.
pub(super) fn release_of(fields: &NewServer) -> Result<Release, Problem> {
    // Every field is named, so that a new one is not lost.
    let NewServer {
        slug,
        document: _,
        url: _,
        root: _,
        overlay: _,
        upstream,
        server,
        server_variables,
        access,
        allow_upstream,
        tools,
        category,
        tags,
        credentials,
        stage,
        // A server that is there stays as it is.
        draft: _,
    } = fields;
    if !stage {
        return Ok(Release::Now);
    }
    let refused = |detail: String| Err(Problem::new(ProblemKind::Invalid, detail));
    if slug.is_none() {
        return refused("`slug`: with `stage`, say which server the document is for".to_owned());
    }
    let beside = [
        ("upstream", upstream.is_some()),
        ("server", server.is_some()),
        ("serverVariables", server_variables.is_some()),
        ("access", access.is_some()),
        ("allowUpstream", allow_upstream.is_some()),
        ("tools", tools.is_some()),
        ("category", category.is_some()),
        ("tags", tags.is_some()),
        ("credentials", !credentials.is_empty()),
    ];
    match beside.iter().find(|(_, is_sent)| *is_sent) {
        Some((field, _)) => refused(format!(
            "`{field}`: with `stage`, only the document waits; change the server's settings by themselves"
        )),
        None => Ok(Release::Staged),
    }
}

fn actor(person: &Person) -> Actor {
    Actor {
        organization: person.organization(),
        name: person.actor(),
    }
}

fn time(micros: i64) -> Option<String> {
    DateTime::from_timestamp_micros(micros).map(|at| at.to_rfc3339())
}

pub(super) async fn list(
    State(market): State<Market>,
    person: Person,
    Path(slug): Path<String>,
    asked: Asked<i64>,
) -> Result<Listed, Problem> {
    let entry = owned(&market, &person, &slug)?;
    let before = asked.after.unwrap_or(i64::MAX);
    let store = &market.0.parts.publisher.store;
    let rows = store.versions_before(entry.id, (before, asked.read_max()));
    let page = asked.page(rows.await?, |row| row.number);
    let beside = beside(&market, &entry).await?;
    let current = beside["current"].clone();
    let answer = page.answer("versions", |row| version_view(row, &current));
    Ok(answer.with(beside))
}

/// The newest versions of a server, newest first, and what stands beside the current one.
async fn history(market: &Market, entry: &Entry) -> Result<Value, Problem> {
    let mut history = beside(market, entry).await?;
    let rows = market.0.parts.publisher.store.versions(entry.id).await?;
    let current = history["current"].clone();
    let versions = rows.iter().map(|row| version_view(row, &current));
    history["versions"] = versions.collect();
    Ok(history)
}

fn version_view(row: &VersionRow, current: &Value) -> Value {
    json!({
        "version": row.number,
        "current": *current == row.number,
        "title": row.title,
        "documentHash": hex::encode(&row.document_hash),
        "documentUrl": row.document_url,
        "converter": row.converter,
        "createdAt": time(row.created_at),
    })
}

/// The current version of a server, what stands beside it, and where the document is read again.
async fn beside(market: &Market, entry: &Entry) -> Result<Value, Problem> {
    let store = &market.0.parts.publisher.store;
    let current = store
        .server(entry.id)
        .await?
        .ok_or_else(Problem::not_found)?;
    let rollouts = store.rollouts(entry.id).await?;
    let source = store.source(entry.id).await?;
    let rollout = |kind: &str| rollouts.iter().find(|rollout| rollout.kind == kind);
    Ok(json!({
        "current": current.number,
        "staged": rollout("staged").map(|row| json!({ "version": row.number, "since": time(row.created_at) })),
        "canary": rollout("canary").map(|row| json!({ "version": row.number, "percent": row.percent, "since": time(row.created_at) })),
        "source": source.as_ref().map(source_view),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Against {
    against: Option<i64>,
}

pub(super) async fn diff(
    State(market): State<Market>,
    person: Person,
    Path((slug, number)): Path<(String, i64)>,
    Query(Against { against }): Query<Against>,
) -> Result<Json<Value>, Problem> {
    let entry = owned(&market, &person, &slug)?;
    let publisher = &market.0.parts.publisher;
    let compared = versions::compare(publisher, &entry, (against, number)).await?;
    Ok(Json(json!(compared)))
}

pub(super) async fn promote(
    State(market): State<Market>,
    person: Person,
    Path((slug, number)): Path<(String, i64)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let entry = owned(&market, &person, &slug)?;
    let publisher = &market.0.parts.publisher;
    versions::promote(publisher, &entry, (number, None), &actor(&person)).await?;
    let entry = owned(&market, &person, &slug)?;
    let mut view = server_view(&market, &entry, &headers);
    view["version"] = json!(number);
    Ok((etag(entry.revision), Json(view)).into_response())
}

pub(super) async fn discard(
    State(market): State<Market>,
    person: Person,
    Path(slug): Path<String>,
) -> Result<StatusCode, Problem> {
    end(&market, &person, &slug, Rollout::Staged).await
}

/// Which version is tried, on how many of a hundred consumers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Canary {
    version: i64,
    percent: u8,
}

pub(super) async fn start_canary(
    State(market): State<Market>,
    person: Person,
    Path(slug): Path<String>,
    Body(canary): Body<Canary>,
) -> Result<Json<Value>, Problem> {
    let entry = owned(&market, &person, &slug)?;
    let publisher = &market.0.parts.publisher;
    let canary = (canary.version, canary.percent);
    versions::start_canary(publisher, &entry, canary, &actor(&person)).await?;
    Ok(Json(history(&market, &entry).await?))
}

pub(super) async fn end_canary(
    State(market): State<Market>,
    person: Person,
    Path(slug): Path<String>,
) -> Result<StatusCode, Problem> {
    end(&market, &person, &slug, Rollout::Canary(0)).await
}

async fn end(
    market: &Market,
    person: &Person,
    slug: &str,
    rollout: Rollout,
) -> Result<StatusCode, Problem> {
    let entry = owned(market, person, slug)?;
    let publisher = &market.0.parts.publisher;
    if !versions::end(publisher, &entry, rollout, &actor(person)).await? {
        return Err(Problem::not_found());
    }
    Ok(StatusCode::NO_CONTENT)
}

fn source_view(row: &SourceRow) -> Value {
    json!({
        "url": row.url,
        "everySeconds": row.every_s,
        "nextAt": time(row.next_at),
        "checkedAt": row.checked_at.and_then(time),
        "outcome": row.outcome,
        "detail": row.detail,
    })
}

pub(super) async fn source(
    State(market): State<Market>,
    person: Person,
    Path(slug): Path<String>,
) -> Result<Json<Value>, Problem> {
    let entry = owned(&market, &person, &slug)?;
    let source = market.0.parts.publisher.store.source(entry.id).await?;
    Ok(Json(source_view(&source.ok_or_else(Problem::not_found)?)))
}

/// Where the document is read again, and how often.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewSource {
    /// Absent: where the document came from.
    url: Option<String>,
    every_seconds: i64,
}

pub(super) async fn put_source(
    State(market): State<Market>,
    person: Person,
    Path(slug): Path<String>,
    Body(given): Body<NewSource>,
) -> Result<Json<Value>, Problem> {
    let entry = owned(&market, &person, &slug)?;
    let publisher = &market.0.parts.publisher;
    if !EVERY_S.contains(&given.every_seconds) {
        let detail = format!("`everySeconds` is {} to {}", EVERY_S.start(), EVERY_S.end());
        return Err(Problem::new(ProblemKind::Invalid, detail));
    }
    let row = publisher.store.server(entry.id).await?;
    let known = row.ok_or_else(Problem::not_found)?.document_url;
    let url = given.url.or(known).ok_or_else(|| {
        let detail =
            "`url` is missing: the document was uploaded, and where it is read again is not known";
        Problem::new(ProblemKind::Invalid, detail)
    })?;
    let url = url_of("url", &url)?.to_string();
    let mut act = act(&person, "sync.set", &entry);
    let noted = json!({ "url": url, "everySeconds": given.every_seconds });
    act.after = Some(noted.to_string());
    let every = (url.as_str(), given.every_seconds);
    let now = publisher.clock.now();
    publisher
        .store
        .put_source(entry.id, every, &act, now)
        .await?;
    let source = publisher.store.source(entry.id).await?;
    Ok(Json(source_view(&source.ok_or_else(Problem::not_found)?)))
}

pub(super) async fn remove_source(
    State(market): State<Market>,
    person: Person,
    Path(slug): Path<String>,
) -> Result<StatusCode, Problem> {
    let entry = owned(&market, &person, &slug)?;
    let publisher = &market.0.parts.publisher;
    let act = act(&person, "sync.remove", &entry);
    let now = publisher.clock.now();
    if !publisher.store.delete_source(entry.id, &act, now).await? {
        return Err(Problem::not_found());
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Reads the document again now.
pub(super) async fn sync_now(
    State(market): State<Market>,
    person: Person,
    Path(slug): Path<String>,
) -> Result<Json<Value>, Problem> {
    let entry = owned(&market, &person, &slug)?;
    let parts = &market.0.parts;
    let source = parts.publisher.store.source(entry.id).await?;
    let source = source.ok_or_else(|| {
        let detail = "the document of this server is read again from nowhere; set `source` first";
        Problem::new(ProblemKind::Conflict, detail)
    })?;
    let outcome = sync::sync(&parts.publisher, &source).await;
    let (word, detail) = outcome.words();
    let version = match &outcome {
        Outcome::Published(number) | Outcome::Staged(number) => Some(*number),
        _ => None,
    };
    Ok(Json(
        json!({ "outcome": word, "detail": detail, "version": version }),
    ))
}
