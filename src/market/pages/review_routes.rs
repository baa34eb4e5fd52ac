//! The page between a document and its server: looked at, changed in one form, and then served.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use url::Url;

use crate::access::person::Person;
use crate::extract::{Path, Visitor};
use crate::live::Entry;
use crate::live::closed;
use crate::market::api::Market;
use crate::market::api::credentials::{self, Seen};
use crate::market::api::curations::{Workbench, set_many};
use crate::market::api::lifecycle::{self, NewState};
use crate::market::api::servers::{findings, owned};
use crate::market::api::settings::{self, ServerEdit};
use crate::market::pages::arguments::{Entered, entered};
use crate::market::pages::failure::Refusal;
use crate::market::pages::page;
use crate::market::pages::report::Report;
use crate::market::pages::review::{Choices, ReviewPage, ReviewRow, TOOLS_MAX};
use crate::market::pages::routes::{Fields, frame, notice, refused, to};
use crate::market::pages::server::ServerHead;
use crate::market::pages::settings::credential::CredentialRow;
use crate::market::pages::settings_routes::{Sent, managed};
use crate::problem::{Problem, ProblemKind};

/// What a form with so many tools may weigh: their descriptions are sent back, each sign of one as nine
/// bytes at most.
pub(super) const FORM_BYTES_MAX: usize = 8 << 20;
/// Credentials that are entered at once.
const CREDENTIALS_MAX: usize = 50;
/// Findings shown of each severity; the report has them all.
const FINDINGS_MAX: usize = 5;

pub(super) async fn show(
    State(market): State<Market>,
    headers: Visitor,
    Path(slug): Path<String>,
    Query(query): Query<Fields>,
) -> Response {
    let (person, entry) = match managed(&market, &headers, (&slug, "review")) {
        Ok(found) => found,
        Err(response) => return *response,
    };
    let asked = query.get("q").map_or("", |text| text.trim());
    match template(&market, (&headers, &person), &entry, asked).await {
        Ok(mut template) => {
            template.frame.notice = notice(&query);
            page(StatusCode::OK, &template)
        }
        Err(problem) => refused(&market, &headers, &problem),
    }
}

async fn template(
    market: &Market,
    (headers, person): (&Visitor, &Person),
    entry: &Entry,
    query: &str,
) -> Result<ReviewPage, Problem> {
    let publisher = &market.0.parts.publisher;
    let bench = Workbench::open(market, person, entry.slug.as_str()).await?;
    let server = publisher.catalog.server(entry.id).await?;
    let row = publisher.store.server(entry.id).await?;
    let row = row.ok_or_else(Problem::not_found)?;
    let wanted = query.to_lowercase();
    let mut tools: Vec<ReviewRow> = bench
        .original
        .iter()
        .map(|tool| ReviewRow::of(&bench, tool))
        .filter(|row| row.fits(&wanted))
        .collect();
    let hidden = tools.len().saturating_sub(TOOLS_MAX);
    tools.truncate(TOOLS_MAX);
    let rows = credentials::credential_rows(market, person, entry.slug.as_str()).await?;
    let settings = &entry.settings;
    Ok(ReviewPage {
        frame: frame(market, headers, "publish"),
        head: ServerHead::new(entry, "review").of(headers, entry),
        error: None,
        report: Report::brief(server.tools.len(), &findings(&row, entry), FINDINGS_MAX),
        tool_count: bench.original.len(),
        tools,
        hidden,
        query: query.to_owned(),
        credentials: rows
            .iter()
            .filter_map(|row| CredentialRow::read(row, &server))
            .filter(|row| !row.gone)
            .take(CREDENTIALS_MAX)
            .collect(),
        choices: Choices::of(
            settings.access,
            settings.upstream.as_deref(),
            &settings.limits,
        ),
        destinations: credentials::destinations(&server).into_iter().collect(),
        internal: settings.internal.is_some(),
    })
}

/// Keeps what was entered, and serves the server where that is asked for: last, so that nobody calls it
/// before it is as it was meant.
pub(super) async fn save(State(market): State<Market>, sent: Sent) -> Response {
    let headers = &sent.visitor;
    let form = &sent.form;
    let (asked, wanted) = (entered(form, "do"), entered(form, "q").unwrap_or_default());
    match kept(&market, &sent, form).await {
        Ok(entry) if asked == Some("publish") => {
            to(&format!("/servers/{}/connect?done=published", entry.slug))
        }
        Ok(entry) => {
            let mut pairs = url::form_urlencoded::Serializer::new(String::new());
            pairs.append_pair("q", wanted.trim());
            if asked != Some("search") {
                pairs.append_pair("done", "saved");
            }
            to(&format!(
                "/servers/{}/review?{}",
                entry.slug,
                pairs.finish()
            ))
        }
        Err(refusal) => again(&market, (&sent, headers), form, &refusal).await,
    }
}

async fn kept(market: &Market, sent: &Sent, form: &Entered) -> Result<Arc<Entry>, Refusal> {
    let person = &sent.person;
    let entry = owned(market, person, sent.slug())?;
    let slug = entry.slug.as_str();
    let moved = keep_choices(market, person, &entry, form).await?;
    keep_tools(market, person, slug, form).await?;
    keep_credentials(market, (person, sent), (slug, moved.as_ref()), form).await?;
    if entered(form, "do") == Some("publish") && entry.state() != closed::State::Served {
        let wanted = NewState {
            state: closed::State::Served,
            note: None,
        };
        return Ok(lifecycle::set_state(market, person, slug, wanted).await?);
    }
    Ok(owned(market, person, slug)?)
}

/// Who may call it, how often, and the API's address; gives that where it is another one now.
async fn keep_choices(
    market: &Market,
    person: &Person,
    entry: &Entry,
    form: &Entered,
) -> Result<Option<Url>, Refusal> {
    let settings = &entry.settings;
    let now = Choices::of(
        settings.access,
        settings.upstream.as_deref(),
        &settings.limits,
    );
    let chosen = Choices::entered(form, &now);
    let moves = chosen.upstream != now.upstream && settings.internal.is_none();
    let upstream = Some(chosen.upstream.clone()).filter(|text| !text.is_empty());
    let change = ServerEdit {
        access: Some(chosen.access),
        limits: chosen.chosen_limits(),
        upstream: moves.then(|| upstream.clone()),
        ..ServerEdit::default()
    };
    settings::apply(market, person, entry.slug.as_str(), (change, None)).await?;
    let address = upstream.filter(|_| moves);
    Ok(address.and_then(|text| Url::parse(&text).ok()))
}

async fn keep_tools(
    market: &Market,
    person: &Person,
    slug: &str,
    form: &Entered,
) -> Result<(), Refusal> {
    let bench = Workbench::open(market, person, slug).await?;
    let mut changes = Vec::new();
    for row in ReviewRow::entered(form) {
        let key = row.key();
        let tool = bench.original.iter().find(|tool| tool.operation == key);
        // Another version was published meanwhile.
        let Some(tool) = tool else {
            continue;
        };
        let current = bench.curations.get(&key).cloned().unwrap_or_default();
        let change = row.change(&ReviewRow::of(&bench, tool), current);
        let change = change.map_err(|error| {
            let detail = format!("`{key}`: {error}");
            Problem::new(ProblemKind::Unprocessable, detail)
        })?;
        changes.extend(change.map(|curation| (key, curation)));
    }
    Ok(set_many(market, person, &bench, changes).await?)
}

/// Keeps the credentials that were entered. They go where the page said, or to the address that was
/// entered beside them.
async fn keep_credentials(
    market: &Market,
    (person, sent): (&Person, &Sent),
    (slug, moved): (&str, Option<&Url>),
    form: &Entered,
) -> Result<(), Refusal> {
    for at in 0..CREDENTIALS_MAX {
        let text = |name: &str| entered(form, &format!("{name}-{at}")).unwrap_or_default();
        let scheme = text("scheme");
        let value = match (text("user"), text("password"), text("value")) {
            ("", "", value) => value.to_owned(),
            (user, password, _) if !user.is_empty() && !user.contains(':') => {
                format!("{user}:{password}")
            }
            _ => return Err(Refusal::entry(sent.language().say("credential-want-user"))),
        };
        if scheme.is_empty() || value.is_empty() {
            continue;
        }
        let field = format!("origins-{at}");
        let shown: BTreeSet<String> = match moved {
            Some(url) => BTreeSet::from([url.origin().ascii_serialization()]),
            None => {
                let named = form.iter().filter(|(name, _)| *name == field);
                named.map(|(_, origin)| origin.clone()).collect()
            }
        };
        let seen = Seen {
            origins: Some(shown),
            token_origins: None,
        };
        let set = credentials::set_credential(market, person, (slug, scheme), (&value, &seen));
        set.await.map_err(|problem| {
            let detail = format!("“{scheme}”: {}", problem.detail);
            Problem::new(problem.kind, detail)
        })?;
    }
    Ok(())
}

/// The page again with what was wrong, and what was entered but for secrets.
async fn again(
    market: &Market,
    (sent, headers): (&Sent, &Visitor),
    form: &Entered,
    refusal: &Refusal,
) -> Response {
    let entry = match owned(market, &sent.person, sent.slug()) {
        Ok(entry) => entry,
        Err(problem) => return refused(market, headers, &problem),
    };
    let query = entered(form, "shown").unwrap_or_default();
    match template(market, (headers, &sent.person), &entry, query).await {
        Ok(mut template) => {
            template.error = Some(refusal.said(template.frame.language));
            template.choices = Choices::entered(form, &template.choices);
            let mut rows = ReviewRow::entered(form);
            for tool in &mut template.tools {
                let at = rows.iter().position(|row| row.operation == tool.operation);
                if let Some(row) = at.map(|at| rows.swap_remove(at)) {
                    let title = std::mem::take(&mut tool.title);
                    let route = std::mem::take(&mut tool.route);
                    *tool = ReviewRow {
                        route,
                        title,
                        ..row
                    };
                }
            }
            page(refusal.status(), &template)
        }
        Err(problem) => refused(market, headers, &problem),
    }
}
