//! Servers: published, shown, edited, removed; their documents, tools and credentials.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::access::person::Person;
use crate::access::role::Action;
use crate::extract::{Bytes, Identity, Path, Upload};
use crate::live::Entry;
use crate::market::api::ownership::{may_open, on_behalf, visible};
use crate::market::api::page::{Asked, Listed, Spot};
use crate::market::api::versions::release_of;
use crate::market::api::{Market, imports, listing, security};
use crate::market::discover::discover;
use crate::market::gate::forbidden;
use crate::mcp::publish::{GivenSettings, Publication, Published, Release, SpecSource, publish};
use crate::mcp::server::{Access, ToolsMode};
use crate::openapi::Finding;
use crate::openapi::bundle::SpecFiles;
use crate::openapi::finding::Code;
use crate::openapi::{deep, upload};
use crate::problem::{Problem, ProblemKind};
use crate::store::audit::NewAudit;
use crate::store::servers::ServerRow;
use crate::types::{JobId, Slug};

/// An import that takes longer is answered with where to ask for its progress.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is published, however it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewServer {
    pub(crate) slug: Option<Slug>,
    /// The document itself: text, or as a JSON object.
    pub(crate) document: Option<Value>,
    /// Where it is: the document, a base URL, or a page that shows it.
    pub(crate) url: Option<String>,
    /// Which of several files the document is.
    pub(crate) root: Option<String>,
    /// Overlays: one or a list, each as text or as a JSON object. Left out: those of the current
    /// version.
    pub(crate) overlay: Option<Value>,
    pub(crate) upstream: Option<String>,
    pub(crate) server: Option<String>,
    pub(crate) server_variables: Option<std::collections::BTreeMap<String, String>>,
    pub(crate) access: Option<Access>,
    pub(crate) allow_upstream: Option<Vec<String>>,
    /// How its tools are shown; `auto` where nothing is said of a new server.
    pub(crate) tools: Option<ToolsMode>,
    pub(crate) category: Option<String>,
    pub(crate) tags: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) credentials: std::collections::BTreeMap<String, String>,
    /// Of a server there is: the new version waits until somebody promotes it.
    #[serde(default)]
    pub(crate) stage: bool,
    /// A new server is not served until its state says so; one that is there stays as it is.
    #[serde(default)]
    pub(crate) draft: bool,
}

pub(super) async fn create(
    State(market): State<Market>,
    person: Person,
    headers: HeaderMap,
    upload: Upload<NewServer>,
) -> Result<Response, Problem> {
    let begun = begin(&market, &person, upload).await?;
    Ok(answer(&market, &headers, begun))
}

/// How an import went, as far as a request waits for it.
pub(crate) enum Begun {
    Done(Box<Published>),
    Running(JobId),
}

/// Starts an import, and waits for it a while. It goes on if the client leaves.
pub(crate) async fn begin(
    market: &Market,
    person: &Person,
    upload: Upload<NewServer>,
) -> Result<Begun, Problem> {
    let Upload { fields, files } = upload;
    let release = release_of(&fields)?;
    may_open(person, fields.allow_upstream.as_deref())?;
    let upstream = fields
        .upstream
        .as_deref()
        .map(|text| url_of("upstream", text))
        .transpose()?;
    let category = fields.category.as_deref().map(listing::category);
    let category = category.transpose()?.flatten();
    let tags = fields.tags.as_deref().map(listing::tags).transpose()?;
    let overlays = fields.overlay.map(overlays);
    let what = What::new(fields.document, fields.url.as_deref(), files, fields.root)?;
    let sent = Sent { what, overlays };
    let publication = Publication {
        organization: person.organization(),
        actor: person.actor(),
        slug: fields.slug,
        item: None,
        on_behalf: on_behalf(person),
        settings: GivenSettings {
            access: fields.access,
            upstream: upstream.map(|url| url.to_string()),
            server: fields.server,
            server_variables: fields.server_variables,
            allow_upstream: fields.allow_upstream,
            tools: fields.tools,
            category,
            tags,
            internal: None,
        },
        credentials: fields.credentials.into_iter().collect(),
        release,
        draft: fields.draft,
    };
    run(market, sent, publication).await
}

async fn run(market: &Market, sent: Sent, publication: Publication) -> Result<Begun, Problem> {
    let room = market.0.imports.admit()?;
    let began = market.0.parts.publisher.clock.now();
    let (organization, owner) = (publication.organization, publication.on_behalf.owner);
    let background = market.clone();
    // Bounded by the timeouts of egress and the publisher's permits; it ends by itself.
    let mut work = tokio::spawn(async move {
        let _room = room;
        carry_out(&background, sent, publication).await
    });
    match tokio::time::timeout(PATIENCE, &mut work).await {
        Ok(Ok(result)) => result.map(|published| Begun::Done(Box::new(published))),
        Ok(Err(error)) => Err(Problem::internal(&error)),
        Err(_) => {
            let job = imports::go_on(market, (organization, owner), began, work).await?;
            Ok(Begun::Running(job))
        }
    }
}

/// The whole of an import: the document is found, read and published.
async fn carry_out(
    market: &Market,
    sent: Sent,
    publication: Publication,
) -> Result<Published, Problem> {
    let files = match sent.what {
        What::Files(files, root) => chosen(market, files, root).await?,
        What::Url(url) => find(market, &url, &may_reach(market, &publication)?).await?,
    };
    let source = SpecSource {
        files,
        overlays: sent.overlays,
    };
    Ok(publish(&market.0.parts.publisher, source, publication).await?)
}

/// What may be reached for a document: as the server will, or as the one there is.
fn may_reach(market: &Market, publication: &Publication) -> Result<Vec<String>, Problem> {
    let catalog = &market.0.parts.publisher.catalog;
    let slug = publication.slug.as_ref();
    let entry = slug.and_then(|slug| catalog.find(slug.as_str()));
    let entry = entry.filter(|entry| entry.organization == publication.organization);
    publication.on_behalf.check(entry.as_deref())?;
    Ok(publication.settings.may_reach(entry.as_deref()))
}

/// The document among the files that were sent.
async fn chosen(
    market: &Market,
    files: Vec<(String, bytes::Bytes)>,
    root: Option<String>,
) -> Result<SpecFiles, Problem> {
    let limits = market.0.parts.publisher.limits.clone();
    let choose = move || deep(move || upload::document(files, root.as_deref(), &limits));
    tokio::task::spawn_blocking(choose)
        .await
        .map_err(|error| Problem::internal(&error))?
        .map_err(|error| Problem::new(ProblemKind::Unprocessable, error.to_string()))
}

pub(super) async fn find(
    market: &Market,
    url: &Url,
    allow: &[String],
) -> Result<SpecFiles, Problem> {
    let rules: Vec<_> = allow.iter().filter_map(|text| text.parse().ok()).collect();
    let parts = &market.0.parts;
    let found = discover(&parts.egress, url, &rules, parts.document_bytes_max)
        .await
        .map_err(|error| Problem::new(ProblemKind::Unprocessable, error.to_string()))?;
    Ok(SpecFiles::single(found.body, Some(found.url)))
}

fn answer(market: &Market, headers: &HeaderMap, begun: Begun) -> Response {
    match begun {
        Begun::Done(published) => {
            let status = if published.created {
                StatusCode::CREATED
            } else {
                StatusCode::OK
            };
            let location = format!("/api/v1/servers/{}", published.slug);
            let view = published_view(market, headers, &published);
            (status, [(LOCATION, location)], Json(view)).into_response()
        }
        Begun::Running(id) => {
            let location = format!("/api/v1/imports/{id}");
            let view = json!({ "id": id, "state": "running", "seconds": PATIENCE.as_secs(), "result": null });
            (StatusCode::ACCEPTED, [(LOCATION, location)], Json(view)).into_response()
        }
    }
}

fn published_view(market: &Market, headers: &HeaderMap, published: &Published) -> Value {
    let catalog = &market.0.parts.publisher.catalog;
    let entry = catalog.find(published.slug.as_str());
    json!({
        "server": entry.map(|entry| server_view(market, &entry, headers)),
        "created": published.created,
        "unchanged": published.unchanged,
        "version": published.version,
        "staged": published.staged,
        "report": published.report,
        "credentials": published.credentials,
    })
}

/// What an import begins with.
struct Sent {
    what: What,
    /// `None`: those of the current version.
    overlays: Option<Vec<String>>,
}

enum What {
    /// Names and contents, and which of them the document is.
    Files(Vec<(String, bytes::Bytes)>, Option<String>),
    /// Where to look for the document.
    Url(Url),
}

/// An overlay or a document, as text or as a JSON object.
pub(super) fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn overlays(field: Value) -> Vec<String> {
    match field {
        Value::Array(list) => list.into_iter().map(text_of).collect(),
        one => vec![text_of(one)],
    }
}

impl What {
    fn one(document: impl Into<bytes::Bytes>) -> Self {
        Self::Files(vec![(String::new(), document.into())], None)
    }

    fn new(
        document: Option<Value>,
        url: Option<&str>,
        files: Vec<(String, bytes::Bytes)>,
        root: Option<String>,
    ) -> Result<Self, Problem> {
        match (document, url, files.is_empty()) {
            (Some(document), None, true) => Ok(Self::one(text_of(document))),
            (None, Some(text), true) => Ok(Self::Url(url_of("url", text)?)),
            (None, None, false) => Ok(Self::Files(files, root)),
            _ => Err(Problem::new(
                ProblemKind::Invalid,
                "send one of `document`, `url` or `file`",
            )),
        }
    }
}

/// An http or https URL without a user, or a problem that names the field.
pub(super) fn url_of(field: &str, text: &str) -> Result<Url, Problem> {
    let url = Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or_else(|| {
        Problem::new(
            ProblemKind::Invalid,
            format!("`{field}` has to be an http or https URL"),
        )
    })?;
    // It would be shown to whoever may read the server's settings, and kept in the audit.
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Problem::new(
            ProblemKind::Invalid,
            format!(
                "`{field}` may hold no user name or password; give them as the credential of a \
                 security scheme"
            ),
        ));
    }
    Ok(url)
}

pub(super) fn check_rules(rules: &[String]) -> Result<(), Problem> {
    for rule in rules {
        if let Err(error) = rule.parse::<crate::egress::AllowRule>() {
            return Err(Problem::new(
                ProblemKind::Invalid,
                format!("`allowUpstream`: {error}"),
            ));
        }
    }
    Ok(())
}

/// What everyone who may use a server may know of it; its URLs as this request can use them.
pub(super) fn server_view(market: &Market, entry: &Entry, headers: &HeaderMap) -> Value {
    let public = market.0.parts.address.asked_by(headers);
    json!({
        "id": entry.id,
        "slug": entry.slug,
        "title": entry.title,
        "access": entry.settings.access,
        "revision": entry.revision,
        "mcpUrl": market.0.parts.address.mcp_url(headers, &entry.slug),
        "pageUrl": format!("{public}/servers/{}", entry.slug),
        "state": entry.state(),
        "closedAt": entry.closed.as_ref().map(|closed| closed.since),
        "note": entry.closed.as_ref().and_then(|closed| closed.note.as_deref()),
    })
}

/// A server of somebody's organization that is theirs to manage.
pub(crate) fn owned(
    market: &Market,
    person: &Person,
    slug: &str,
) -> Result<std::sync::Arc<Entry>, Problem> {
    let entry = market.0.parts.publisher.catalog.find(slug);
    let entry = entry.filter(|entry| {
        entry.organization == person.organization() && entry.is_shown_to(&person.caller)
    });
    let entry = entry.ok_or_else(Problem::not_found)?;
    if person.may(Action::ManageServer, entry.owner) {
        Ok(entry)
    } else {
        Err(forbidden())
    }
}

pub(super) async fn show(
    State(market): State<Market>,
    identity: Identity,
    Path(slug): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let entry = visible(&market, &identity.caller, &slug)?;
    let mut view = server_view(&market, &entry, &headers);
    let person = identity.person.as_ref();
    if person.is_some_and(|person| person.may(Action::ManageServer, entry.owner)) {
        view["settings"] = json!(entry.settings);
    }
    Ok((etag(entry.revision), Json(view)).into_response())
}

pub(super) fn etag(revision: i64) -> [(http::HeaderName, String); 1] {
    [(ETAG, format!("\"{revision}\""))]
}

/// What somebody does to a server, for the audit.
pub(super) fn act(person: &Person, action: &'static str, entry: &Entry) -> NewAudit {
    let who = (person.organization(), person.actor());
    NewAudit::of_server(who, action, &entry.slug)
}

pub(super) async fn reimport(
    State(market): State<Market>,
    person: Person,
    Path(slug): Path<String>,
    headers: HeaderMap,
    Bytes(body): Bytes,
) -> Result<Response, Problem> {
    let entry = owned(&market, &person, &slug)?;
    let publication = Publication {
        organization: person.organization(),
        actor: person.actor(),
        slug: Some(entry.slug.clone()),
        item: None,
        on_behalf: on_behalf(&person),
        settings: GivenSettings::default(),
        credentials: Vec::new(),
        release: Release::Now,
        draft: false,
    };
    let sent = Sent {
        what: What::one(body),
        overlays: None,
    };
    let begun = run(&market, sent, publication).await?;
    Ok(answer(&market, &headers, begun))
}

pub(super) async fn document(
    State(market): State<Market>,
    person: Person,
    Path(slug): Path<String>,
) -> Result<Response, Problem> {
    let entry = owned(&market, &person, &slug)?;
    let store = &market.0.parts.publisher.store;
    let row = store
        .server(entry.id)
        .await?
        .ok_or_else(Problem::not_found)?;
    let bytes = store
        .document(entry.organization, &row.document_hash)
        .await?
        .ok_or_else(Problem::not_found)?;
    let kind = if bytes.trim_ascii_start().starts_with(b"{") {
        "application/json"
    } else {
        "application/yaml"
    };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (
            http::header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
    ];
    Ok((headers, bytes).into_response())
}

pub(super) async fn report(
    State(market): State<Market>,
    person: Person,
    Path(slug): Path<String>,
    asked: Asked<Spot>,
) -> Result<Listed, Problem> {
    let entry = owned(&market, &person, &slug)?;
    let store = &market.0.parts.publisher.store;
    let row = store
        .server(entry.id)
        .await?
        .ok_or_else(Problem::not_found)?;
    // One kind is found once at one place.
    let named = findings(&row, &entry)
        .into_iter()
        .map(|finding| (format!("{} {}", finding.code, finding.pointer), finding));
    let page = asked.of_listed(named.collect(), |(name, _)| name);
    let answer = page.answer("findings", |(_, finding)| json!(finding));
    Ok(answer.with(json!({ "version": row.number })))
}

/// What was found in a server's document, but for what its settings have answered since.
pub(crate) fn findings(row: &ServerRow, entry: &Entry) -> Vec<Finding> {
    let mut findings: Vec<Finding> = serde_json::from_str(&row.findings).unwrap_or_default();
    let answered = entry.settings.upstream.is_some();
    findings.retain(|finding| !answered || finding.code != Code::ServerUnresolvable.word());
    findings
}

pub(super) async fn tools(
    State(market): State<Market>,
    identity: Identity,
    Path(slug): Path<String>,
    asked: Asked<Spot>,
) -> Result<Listed, Problem> {
    let who = &identity.caller;
    let entry = visible(&market, who, &slug)?;
    let server = market.0.parts.publisher.catalog.server(entry.id).await?;
    let allowed = server
        .tools
        .values()
        .filter(|tool| who.may(entry.target(), Some(&tool.def.operation)));
    let allowed: Vec<_> = allowed.collect();
    let tokens: usize = allowed.iter().map(|tool| tool.fragments.tokens()).sum();
    // How calls are authenticated is for whoever sets it.
    let choices = security::shown_to(&market, identity.person.as_ref(), (&entry, &server)).await?;
    let page = asked.of_listed(allowed, |tool| &tool.def.operation.0);
    let answer = page.answer("tools", |tool| {
        json!({
            "name": tool.def.name,
            "title": tool.def.title,
            "description": tool.def.description,
            "operation": tool.def.operation,
            "inputSchema": tool.def.input_schema,
            "outputSchema": tool.def.output_schema,
            "annotations": tool.def.annotations,
            "tokens": tool.fragments.tokens(),
            "security": choices.get(&tool.def.operation),
        })
    });
    Ok(answer.with(json!({ "tokens": tokens })))
}
