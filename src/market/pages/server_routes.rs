//! The tabs of a server that say what it is: overview, tools, report.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use indexmap::IndexMap;

use crate::access::person::Person;
use crate::access::role::Action;
use crate::demo;
use crate::extract::{Path, Visitor};
use crate::live::Entry;
use crate::market::api::Market;
use crate::market::api::credentials::destinations;
use crate::market::api::servers::findings;
use crate::market::markdown::{Links, render};
use crate::market::pages::key_routes::moment;
use crate::market::pages::report::Report;
use crate::market::pages::routes::{
    Fields, frame, next_page, notice, reader, refused, shown_to, to,
};
use crate::market::pages::server::{
    ReportPage, ServerHead, ServerPage, ToolGroup, ToolRow, ToolsPage, access_badge, closed_badge,
};
use crate::market::pages::settings::lacking_credentials;
use crate::market::pages::tool::badges;
use crate::market::pages::{Frame, page};
use crate::mcp::server::Server;
use crate::mcp::tool::Tool;
use crate::problem::Problem;

/// Tools on one page.
const ROWS_MAX: usize = 100;
const TAGS_MAX: usize = 40;

impl ServerHead {
    /// Whether that tab is open.
    pub fn is(&self, tab: &str) -> bool {
        self.here == tab
    }

    pub(super) fn new(entry: &Entry, here: &'static str) -> Self {
        Self {
            slug: entry.slug.to_string(),
            title: entry.title.clone(),
            access: access_badge(entry.settings.access),
            closed: closed_badge(entry),
            note: entry.closed.as_ref().and_then(|it| it.note.clone()),
            here,
            manages: false,
        }
    }

    /// The same, as whoever looks may use it.
    pub(super) fn of(self, visitor: &Visitor, entry: &Entry) -> Self {
        Self {
            manages: manages(visitor, entry),
            ..self
        }
    }
}

/// Whether whoever looks may change the server.
pub(super) fn manages(visitor: &Visitor, entry: &Entry) -> bool {
    let person = visitor.person();
    person.is_some_and(|person| person.may(Action::ManageServer, entry.owner))
}

/// What a tab of a server is made from: what surrounds it, and the server, as far as it is for whoever
/// asks. A server that was renamed answers with where it is now.
pub(super) fn tab(
    market: &Market,
    headers: &Visitor,
    (slug, path): (&str, &str),
    query: &Fields,
) -> Result<(Frame, Arc<Entry>), Box<Response>> {
    let mut frame = frame(market, headers, "servers");
    frame.notice = notice(query);
    let entry = shown_to(market, headers, slug)
        .map_err(|problem| Box::new(refused(market, headers, &problem)))?;
    if entry.slug.as_str() != slug {
        return Err(Box::new(to(&format!("/servers/{}{path}", entry.slug))));
    }
    Ok((frame, entry))
}

/// A tab for those who manage the server.
pub(super) fn own_tab(
    market: &Market,
    headers: &Visitor,
    (slug, path): (&str, &str),
    query: &Fields,
) -> Result<(Frame, Arc<Entry>, Person), Box<Response>> {
    let person = reader(headers, &format!("/servers/{slug}{path}"))?;
    let (frame, entry) = tab(market, headers, (slug, path), query)?;
    Ok((frame, entry, person))
}

pub(super) async fn show(
    State(market): State<Market>,
    headers: Visitor,
    Path(slug): Path<String>,
    Query(query): Query<Fields>,
) -> Response {
    let (frame, entry) = match tab(&market, &headers, (&slug, ""), &query) {
        Ok(found) => found,
        Err(response) => return *response,
    };
    match overview(&market, (frame, &headers), &entry).await {
        Ok(template) => page(StatusCode::OK, &template),
        Err(problem) => refused(&market, &headers, &problem),
    }
}

/// Whether calls go to the API of the demo and not inside the process, where alone it is.
fn is_cut_off(server: &Server) -> bool {
    let home = format!("http://{}", demo::HOST);
    server.settings.internal.is_none() && destinations(server).contains(&home)
}

async fn overview(
    market: &Market,
    (frame, headers): (Frame, &Visitor),
    entry: &Entry,
) -> Result<ServerPage, Problem> {
    let publisher = &market.0.parts.publisher;
    let server = publisher.catalog.server(entry.id).await?;
    let description: Vec<&str> = server.instructions.lines().skip(1).collect();
    let mut tags: IndexMap<&str, usize> = IndexMap::new();
    for tag in server.tools.values().flat_map(|tool| &tool.def.tags) {
        *tags.entry(tag).or_default() += 1;
    }
    let (mut version, mut lacking) = (None, 0);
    if manages(headers, entry) {
        let row = publisher.store.server(entry.id).await?;
        version = row.map(|row| (row.number, moment(row.version_at)));
        lacking = lacking_credentials(&server);
    }
    Ok(ServerPage {
        is_cut_off: is_cut_off(&server),
        head: ServerHead::new(entry, "overview").of(headers, entry),
        description: render(description.join("\n").trim(), &Links::Foreign),
        endpoint_url: market.0.parts.address.mcp_url(headers, &entry.slug),
        tool_count: server.tools.len(),
        tokens: server.list_tokens,
        hidden_tags: tags.len().saturating_sub(TAGS_MAX),
        tags: tags
            .into_iter()
            .take(TAGS_MAX)
            .map(|(tag, count)| (tag.to_owned(), escaped(tag), count))
            .collect(),
        version,
        report: frame.at(&format!("/servers/{}/report", entry.slug)),
        lacking,
        frame,
    })
}

pub(super) async fn tools(
    State(market): State<Market>,
    headers: Visitor,
    Path(slug): Path<String>,
    Query(query): Query<Fields>,
) -> Response {
    let (frame, entry) = match tab(&market, &headers, (&slug, "/tools"), &query) {
        Ok(found) => found,
        Err(response) => return *response,
    };
    let server = match market.0.parts.publisher.catalog.server(entry.id).await {
        Ok(server) => server,
        Err(error) => return refused(&market, &headers, &error.into()),
    };
    let asked = |name: &str| query.get(name).map_or("", |text| text.trim()).to_owned();
    let (query, tag, after) = (asked("q"), asked("tag"), asked("after"));
    let (rows, more) = rows(&server, (&query, &tag), &after);
    let path = frame.at(&format!("/servers/{}/tools", entry.slug));
    let template = ToolsPage {
        head: ServerHead::new(&entry, "tools").of(&headers, &entry),
        more: rows.last().filter(|_| more).map(|tool| {
            let mut next = next_page(&path, &query, tool.def.name.as_str());
            if !tag.is_empty() {
                next.push_str("&tag=");
                next.push_str(&escaped(&tag));
            }
            next
        }),
        groups: groups(&rows),
        tool_count: server.tools.len(),
        query,
        tag,
        frame,
    };
    page(StatusCode::OK, &template)
}

fn escaped(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The tools that fit the search, those of a tag together, after the one named; and whether there are more.
fn rows<'a>(server: &'a Server, (query, tag): (&str, &str), after: &str) -> (Vec<&'a Tool>, bool) {
    let mut places: IndexMap<&str, usize> = IndexMap::new();
    let all = || server.tools.values().map(|tool| &**tool);
    for first in all().filter_map(|tool| tool.def.tags.first()) {
        let next = places.len();
        places.entry(first).or_insert(next);
    }
    let mut sorted: Vec<&Tool> = all().collect();
    sorted.sort_by_key(|tool| {
        let first = tool.def.tags.first();
        first.map_or(usize::MAX, |tag| places[tag.as_str()])
    });
    let begin = sorted
        .iter()
        .position(|tool| tool.def.name.as_str() == after);
    let wanted = query.to_lowercase();
    let fits = |tool: &&Tool| {
        let def = &tool.def;
        let title = def.title.as_deref().unwrap_or_default();
        let mut texts = [def.name.as_str(), title, &def.description].into_iter();
        let is_tagged = tag.is_empty() || def.tags.iter().any(|own| own == tag);
        is_tagged && texts.any(|text| text.to_lowercase().contains(&wanted))
    };
    let left = sorted.into_iter().skip(begin.map_or(0, |begin| begin + 1));
    let mut rows: Vec<&Tool> = left.filter(fits).take(ROWS_MAX + 1).collect();
    let more = rows.len() > ROWS_MAX;
    rows.truncate(ROWS_MAX);
    (rows, more)
}

fn groups(rows: &[&Tool]) -> Vec<ToolGroup> {
    let groups = rows.chunk_by(|a, b| a.def.tags.first() == b.def.tags.first());
    let row = |tool: &&Tool| ToolRow {
        name: tool.def.name.to_string(),
        title: tool.def.title.clone().unwrap_or_default(),
        badges: badges(&tool.def.annotations),
        tokens: tool.fragments.tokens(),
    };
    groups
        .map(|group| ToolGroup {
            tag: group
                .first()
                .and_then(|tool| tool.def.tags.first().cloned()),
            tools: group.iter().map(row).collect(),
        })
        .collect()
}

/// The conversion report quotes the document, so it is for those who can do something about it.
pub(super) async fn report(
    State(market): State<Market>,
    headers: Visitor,
    Path(slug): Path<String>,
    Query(query): Query<Fields>,
) -> Response {
    let (frame, entry, _) = match own_tab(&market, &headers, (&slug, "/report"), &query) {
        Ok(found) => found,
        Err(response) => return *response,
    };
    match reported(&market, &entry).await {
        Ok(report) => {
            let head = ServerHead::new(&entry, "report").of(&headers, &entry);
            let template = ReportPage {
                frame,
                head,
                report,
            };
            page(StatusCode::OK, &template)
        }
        Err(problem) => refused(&market, &headers, &problem),
    }
}

async fn reported(market: &Market, entry: &Entry) -> Result<Report, Problem> {
    let publisher = &market.0.parts.publisher;
    let server = publisher.catalog.server(entry.id).await?;
    let row = publisher.store.server(entry.id).await?;
    let row = row.ok_or_else(Problem::not_found)?;
    Ok(Report::new(server.tools.len(), &findings(&row, entry)))
}
