//! The page of a server: how to connect, its tools, and what its document lacks.

use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;

use crate::access::role::Action;
use crate::extract::{Path, Visitor};
use crate::live::Entry;
use crate::market::api::Market;
use crate::market::api::servers::findings;
use crate::market::markdown::{Links, render};
use crate::market::pages::report::Report;
use crate::market::pages::routes::{Fields, frame, next_page, notice, refused, shown_to, to};
use crate::market::pages::server::{ServerPage, ToolRow};
use crate::market::pages::settings::lacking_credentials;
use crate::market::pages::tool::badges;
use crate::market::pages::{Frame, connect, page};
use crate::mcp::server::{Access, Server};
use crate::mcp::tool::ToolDef;
use crate::problem::Problem;

/// Tools on one page.
const ROWS_MAX: usize = 100;

pub(super) async fn show(
    State(market): State<Market>,
    headers: Visitor,
    Path(slug): Path<String>,
    Query(query): Query<Fields>,
) -> Response {
    let mut frame = frame(&market, &headers, "servers");
    frame.notice = notice(&query);
    let entry = match shown_to(&market, &headers, &slug) {
        Ok(entry) => entry,
        Err(problem) => return refused(&market, &headers, &problem),
    };
    if entry.slug.as_str() != slug {
        return to(&format!("/servers/{}", entry.slug));
    }
    match template(&market, (frame, &headers), &entry, &query).await {
        Ok(template) => page(StatusCode::OK, &template),
        Err(problem) => refused(&market, &headers, &problem),
    }
}

async fn template(
    market: &Market,
    (frame, headers): (Frame, &Visitor),
    entry: &Entry,
    query: &Fields,
) -> Result<ServerPage, Problem> {
    let server = market.0.parts.publisher.catalog.server(entry.id).await?;
    let asked = |name: &str| query.get(name).cloned().unwrap_or_default();
    let (query, after) = (asked("q"), asked("after"));
    let (tools, last) = rows(&server, &query, &after);
    let path = frame.at(&format!("/servers/{}", entry.slug));
    let public = market.0.parts.address.asked_by(headers);
    let endpoint_url = format!("{public}/mcp/{}", entry.slug);
    let open = entry.settings.access == Access::Open;
    let description: Vec<&str> = server.instructions.lines().skip(1).collect();
    Ok(ServerPage {
        slug: entry.slug.to_string(),
        title: entry.title.clone(),
        description: render(&description.join("\n"), &Links::Foreign),
        snippets: connect::snippets(entry.slug.as_str(), &endpoint_url, open),
        endpoint_url,
        open,
        tools,
        tool_count: server.tools.len(),
        // As the catalog shows it.
        tokens: market
            .0
            .parts
            .publisher
            .catalog
            .shelf()
            .get(entry.id)
            .map_or(0, |listing| listing.tokens()),
        more: last.map(|last| next_page(&path, &query, &last)),
        query,
        lacking: if manages(headers, entry) {
            lacking_credentials(&server)
        } else {
            0
        },
        manages: manages(headers, entry),
        report: report((market, headers), (entry, &server)).await,
        frame,
    })
}

/// The tools that fit the search, after the one named; and the last of them if there are more.
fn rows(server: &Server, query: &str, after: &str) -> (Vec<ToolRow>, Option<String>) {
    let wanted = query.trim().to_lowercase();
    let begin = server
        .tools
        .get_index_of(after)
        .map_or(0, |index| index + 1);
    let fits = |def: &ToolDef| {
        let texts = [
            def.name.as_str(),
            def.title.as_deref().unwrap_or_default(),
            &def.description,
        ];
        texts
            .iter()
            .any(|text| text.to_lowercase().contains(&wanted))
    };
    let all = server.tools.values().skip(begin).map(|tool| &*tool.def);
    let mut rows: Vec<ToolRow> = all
        .filter(|def| fits(def))
        .take(ROWS_MAX + 1)
        .map(|def| ToolRow {
            name: def.name.to_string(),
            title: def.title.clone().unwrap_or_default(),
            badges: badges(&def.annotations),
        })
        .collect();
    let more = rows.len() > ROWS_MAX;
    rows.truncate(ROWS_MAX);
    let last = rows.last().filter(|_| more).map(|row| row.name.clone());
    (rows, last)
}

/// Whether whoever looks may change the server.
pub(super) fn manages(visitor: &Visitor, entry: &Entry) -> bool {
    let person = visitor.person();
    person.is_some_and(|person| person.may(Action::ManageServer, entry.owner))
}

/// The conversion report, for those who can do something about it.
async fn report(
    (market, headers): (&Market, &Visitor),
    (entry, server): (&Entry, &Server),
) -> Option<Report> {
    if !manages(headers, entry) {
        return None;
    }
    let store = &market.0.parts.publisher.store;
    let row = store.server(server.id).await.ok().flatten()?;
    Some(Report::new(server.tools.len(), &findings(&row, entry)))
}
