//! The settings of a server: forms that do what the management API does.

use std::sync::Arc;

use axum::extract::multipart::MultipartRejection;
use axum::extract::{FromRequest, FromRequestParts, Multipart, Query, Request, State};
use axum::response::{IntoResponse, Response};
use chrono::DateTime;
use http::StatusCode;

use crate::access::person::Person;
use crate::extract::{Path, Upload, Visitor};
use crate::live::Entry;
use crate::market::api::settings::ServerEdit;
use crate::market::api::{Market, clients, credentials, servers, settings};
use crate::market::language::Language;
use crate::market::pages::arguments::{Entered, entered};
use crate::market::pages::failure::Refusal;
use crate::market::pages::limits::{LimitRow, limits_of};
use crate::market::pages::publish::PublishValues;
use crate::market::pages::publish_routes::{size_max, submitted, text, values};
use crate::market::pages::routes::{
    Fields, NO_SERVER, answered, frame, notice, reader, refused, to,
};
use crate::market::pages::server::ServerHead;
use crate::market::pages::settings::credential::CredentialRow;
use crate::market::pages::settings::probe::ProbeChoice;
use crate::market::pages::settings::section::{Section, Told};
use crate::market::pages::settings::{SettingsForm, SettingsPage};
use crate::market::pages::submitted::{Refused, Submitted};
use crate::problem::{Problem, ProblemKind};
use crate::types::Slug;

/// What a form without a document may weigh.
pub(super) const FORM_BYTES_MAX: usize = 256 << 10;

pub(super) async fn show(
    State(market): State<Market>,
    headers: Visitor,
    Path(slug): Path<String>,
    Query(query): Query<Fields>,
) -> Response {
    let (person, entry) = match managed(&market, &headers, (&slug, "settings")) {
        Ok(found) => found,
        Err(response) => return *response,
    };
    let made = template(&market, &headers, &person, &entry).await;
    let told = made.map(|mut template| {
        match Told::done(&query, template.frame.language) {
            Some(told) => template.tell(told),
            None => template.frame.notice = notice(&query),
        }
        (StatusCode::OK, template)
    });
    answered((&market, &headers), told)
}

/// Who looks at a page of a server they manage, and the server; or where they are sent instead.
pub(super) fn managed(
    market: &Market,
    headers: &Visitor,
    (slug, page): (&str, &str),
) -> Result<(Person, Arc<Entry>), Box<Response>> {
    let person = reader(headers, &format!("/servers/{slug}/{page}"))?;
    let entry = servers::owned(market, &person, slug).map_err(|problem| {
        let problem = match problem.kind {
            ProblemKind::NotFound => Problem::new(problem.kind, NO_SERVER),
            _ => problem,
        };
        Box::new(refused(market, headers, &problem))
    })?;
    if entry.slug.as_str() == slug {
        Ok((person, entry))
    } else {
        Err(Box::new(to(&format!("/servers/{}/{page}", entry.slug))))
    }
}

async fn template(
    market: &Market,
    headers: &Visitor,
    person: &Person,
    entry: &Entry,
) -> Result<SettingsPage, Problem> {
    let publisher = &market.0.parts.publisher;
    let server = publisher.catalog.server(entry.id).await?;
    let row = publisher
        .store
        .server(entry.id)
        .await?
        .ok_or_else(Problem::not_found)?;
    let rows = credentials::credential_rows(market, person, entry.slug.as_str()).await?;
    let probe = entry.settings.probe.as_ref();
    let probe = probe.map_or("", |probe| &probe.operation.0);
    let published = DateTime::from_timestamp_micros(row.version_at);
    Ok(SettingsPage {
        frame: frame(market, headers, "servers"),
        head: ServerHead::new(entry, "settings").of(headers, entry),
        slug: entry.slug.to_string(),
        title: entry.title.clone(),
        told: None,
        form: SettingsForm::of(&entry.settings, entry.revision),
        health: format!("/servers/{}/health", entry.slug),
        probes: ProbeChoice::all(&server, probe),
        limits: LimitRow::all(&entry.settings.limits),
        internal: entry.settings.internal.is_some(),
        redirect_uri: clients::redirect_uri(market, headers),
        destinations: credentials::destinations(&server).into_iter().collect(),
        credentials: rows
            .iter()
            .filter_map(|row| CredentialRow::read(row, &server))
            .collect(),
        version: row.number,
        published: published
            .map(|at| at.format("%Y-%m-%d %H:%M UTC").to_string())
            .unwrap_or_default(),
        document_url: row.document_url,
        values: PublishValues::default(),
        size_max: size_max(market),
        rename: entry.slug.to_string(),
        state: entry.state().word(),
        note: note_of(entry),
        to: String::new(),
    })
}

fn note_of(entry: &Entry) -> String {
    let closed = entry.closed.as_ref();
    let note = closed.and_then(|closed| closed.note.clone());
    note.unwrap_or_default()
}

/// One form that was sent: by whom, and about which server of theirs.
pub(super) struct Sent {
    pub(super) market: Market,
    pub(super) visitor: Visitor,
    pub(super) person: Person,
    pub(super) entry: Arc<Entry>,
    pub(super) form: Entered,
}

impl FromRequest<Market> for Sent {
    type Rejection = Refused;

    async fn from_request(request: Request, market: &Market) -> Result<Self, Refused> {
        let (mut parts, body) = request.into_parts();
        let slug = Path::<String>::from_request_parts(&mut parts, market).await;
        let request = Request::from_parts(parts, body);
        let submitted = Submitted::from_request(request, market).await?;
        match slug {
            Ok(Path(slug)) => Self::about(market, submitted, &slug),
            Err(problem) => Err(refused(market, &submitted.visitor, &problem).into()),
        }
    }
}

impl Sent {
    fn about(
        market: &Market,
        Submitted {
            visitor,
            person,
            form,
        }: Submitted<Entered>,
        slug: &str,
    ) -> Result<Self, Refused> {
        match servers::owned(market, &person, slug) {
            Ok(entry) => Ok(Self {
                market: market.clone(),
                visitor,
                person,
                entry,
                form,
            }),
            Err(problem) => Err(refused(market, &visitor, &problem).into()),
        }
    }

    pub(super) fn language(&self) -> Language {
        Language::of(&self.visitor)
    }

    pub(super) fn slug(&self) -> &str {
        self.entry.slug.as_str()
    }

    /// The page again with what was wrong, and what was entered.
    pub(super) async fn again(
        &self,
        section: Section,
        refusal: impl Into<Refusal> + Send,
        fill: impl FnOnce(&mut SettingsPage) + Send,
    ) -> Response {
        let refusal = refusal.into();
        let made = template(&self.market, &self.visitor, &self.person, &self.entry).await;
        let again = made.map(|mut template| {
            let text = refusal.said(template.frame.language);
            template.tell(Told::refused(section, text));
            fill(&mut template);
            (refusal.status(), template)
        });
        answered((&self.market, &self.visitor), again)
    }
}

/// The page after a change, which says so.
pub(super) fn back(slug: &str, done: &str, section: Section) -> Response {
    let section = section.word();
    to(&format!(
        "/servers/{slug}/settings?done={done}&in={section}#told"
    ))
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Unprocessable, detail)
}

pub(super) async fn save(State(market): State<Market>, sent: Sent) -> Response {
    let form = &sent.form;
    let part = entered(form, "part").and_then(Section::of_word);
    let section = part.unwrap_or(Section::Calls);
    let entry = &sent.entry;
    let mut filled = SettingsForm::of(&entry.settings, entry.revision);
    filled.enter(section, form);
    let internal = entry.settings.internal.is_some();
    let saved = match edit(&filled, section, (internal, sent.language())) {
        Ok(edit) => {
            let applied = settings::apply(&market, &sent.person, sent.slug(), edit).await;
            applied.map_err(Refusal::from)
        }
        Err(refusal) => Err(refusal),
    };
    match saved {
        Ok(entry) => back(entry.slug.as_str(), "saved", section),
        Err(refusal) => {
            let refusal = refusal.or_stale("settings-stale", sent.language());
            sent.again(section, refusal, |page| page.form = filled)
                .await
        }
    }
}

fn edit(
    form: &SettingsForm,
    section: Section,
    reading: (bool, Language),
) -> Result<(ServerEdit, Option<i64>), Refusal> {
    let change = form.change(section, reading).map_err(Refusal::entry)?;
    let change = serde_json::from_value(change).map_err(|error| invalid(error.to_string()))?;
    Ok((change, form.revision.parse().ok()))
}

pub(super) async fn rename(State(market): State<Market>, sent: Sent) -> Response {
    let form = &sent.form;
    let wanted = entered(form, "slug").unwrap_or_default().trim().to_owned();
    let renamed = match wanted.parse::<Slug>() {
        Ok(new) => {
            let change = ServerEdit {
                slug: Some(new),
                ..ServerEdit::default()
            };
            settings::apply(&market, &sent.person, sent.slug(), (change, None)).await
        }
        Err(error) => Err(invalid(format!("`slug`: {error}"))),
    };
    match renamed {
        Ok(entry) => back(entry.slug.as_str(), "renamed", Section::Name),
        Err(problem) => {
            sent.again(Section::Name, problem, |page| page.rename = wanted)
                .await
        }
    }
}

/// Sets how much of the server may be used: all of its limits.
pub(super) async fn limits(State(market): State<Market>, sent: Sent) -> Response {
    let form = &sent.form;
    let rows = LimitRow::entered(form);
    let saved = match limits_of(&rows, sent.language()) {
        Ok(limits) => {
            let change = ServerEdit {
                limits: Some(limits),
                ..ServerEdit::default()
            };
            let applied = settings::apply(&market, &sent.person, sent.slug(), (change, None));
            applied.await.map_err(Refusal::from)
        }
        Err(error) => Err(Refusal::entry(error)),
    };
    match saved {
        Ok(entry) => back(entry.slug.as_str(), "saved", Section::Limits),
        Err(refusal) => {
            sent.again(Section::Limits, refusal, |page| page.limits = rows)
                .await
        }
    }
}

/// Publishes another document in place of the one there is.
pub(super) async fn document(
    State(market): State<Market>,
    headers: Visitor,
    Path(slug): Path<String>,
    form: Result<Multipart, MultipartRejection>,
) -> Response {
    let (person, form, files) = match submitted(&market, &headers, form).await {
        Ok(read) => read,
        Err(response) => return *response,
    };
    let submitted = Submitted {
        visitor: headers,
        person,
        form: Entered::new(),
    };
    let sent = match Sent::about(&market, submitted, &slug) {
        Ok(sent) => sent,
        Err(refused) => return refused.into_response(),
    };
    let new = servers::NewServer {
        slug: Some(sent.entry.slug.clone()),
        document: text(&form, "document").map(Into::into),
        url: text(&form, "url").map(ToOwned::to_owned),
        ..servers::NewServer::default()
    };
    match servers::begin(&market, &sent.person, Upload { fields: new, files }).await {
        Ok(servers::Begun::Done(published)) => {
            let done = if published.unchanged {
                "unchanged"
            } else {
                "imported"
            };
            back(published.slug.as_str(), done, Section::Document)
        }
        Ok(servers::Begun::Running(id)) => to(&format!("/imports/{id}")),
        Err(problem) => {
            sent.again(Section::Document, problem, |page| {
                page.values = values(&form);
            })
            .await
        }
    }
}
