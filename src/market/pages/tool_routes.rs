//! The page of a tool: read by whoever may use it, tried by whoever is signed in.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use crate::extract::{Path, Visitor, Who};
use crate::live::Entry;
use crate::market::api::Market;
use crate::market::api::calls::{CallRequest, attempt};
use crate::market::api::security::is_refused;
use crate::market::pages::arguments::{self, Entered, WHOLE, entered};
use crate::market::pages::page;
use crate::market::pages::routes::{frame, refused, shown_to};
use crate::market::pages::server_routes::manages;
use crate::market::pages::submitted::Submitted;
use crate::market::pages::tool::{Place, ToolPage};
use crate::market::pages::trace::TraceView;
use crate::mcp::server::Access;
use crate::problem::Problem;

/// What a form with arguments may weigh.
pub(super) const FORM_BYTES_MAX: usize = 1 << 20;

pub(super) async fn show(
    State(market): State<Market>,
    headers: Visitor,
    Path(names): Path<(String, String)>,
) -> Response {
    match blank(&market, &headers, &names).await {
        Ok(template) => page(StatusCode::OK, &template),
        Err(problem) => refused(&market, &headers, &problem),
    }
}

async fn blank(
    market: &Market,
    headers: &Visitor,
    names: &(String, String),
) -> Result<ToolPage, Problem> {
    let (slug, tool) = names;
    let frame = frame(market, headers, "servers");
    let entry = shown_to(market, headers, slug)?;
    let server = market.0.parts.publisher.catalog.server(entry.id).await?;
    let tool = server
        .tools
        .get(tool.as_str())
        .ok_or_else(Problem::not_found)?;
    let lacking = manages(headers, &entry) && is_refused(&server, &tool.def);
    let place = place(market, headers, &entry);
    Ok(ToolPage {
        lacking,
        ..ToolPage::new(frame, &place, tool)
    })
}

/// Whether somebody has to agree to a call of the tool.
async fn gated(market: &Market, (slug, tool): &(String, String)) -> bool {
    let catalog = &market.0.parts.publisher.catalog;
    let Some(entry) = catalog.find(slug) else {
        return false;
    };
    let server = catalog.server(entry.id).await.ok();
    let tool = server
        .as_ref()
        .and_then(|server| server.tools.get(tool.as_str()));
    tool.is_some_and(|tool| tool.gate.is_some())
}

fn place<'a>(market: &Market, headers: &Visitor, entry: &'a Entry) -> Place<'a> {
    Place {
        slug: entry.slug.as_str(),
        title: &entry.title,
        url: market.0.parts.address.mcp_url(headers, &entry.slug),
        open: entry.settings.access == Access::Open,
    }
}

/// The same call as `POST /api/v1/servers/{slug}/tools/{tool}/call`, shown as a page.
pub(super) async fn call(
    State(market): State<Market>,
    Path(names): Path<(String, String)>,
    Submitted {
        visitor: headers,
        person,
        form,
    }: Submitted<Entered>,
) -> Response {
    let mut template = match blank(&market, &headers, &names).await {
        Ok(template) => template,
        Err(problem) => return refused(&market, &headers, &problem),
    };
    arguments::fill(&mut template.fields, &form);
    entered(&form, WHOLE)
        .unwrap_or_default()
        .clone_into(&mut template.json);
    let arguments = match arguments::arguments(&mut template.fields, &form, template.frame.language)
    {
        Ok(arguments) => arguments,
        Err(error) => {
            template.error = Some(error);
            return page(StatusCode::UNPROCESSABLE_ENTITY, &template);
        }
    };
    let wanted = entered(&form, "do").unwrap_or_default();
    if wanted == "call" && gated(&market, &names).await {
        template.asks = true;
        return page(StatusCode::OK, &template);
    }
    let request = CallRequest {
        arguments: Some(arguments),
        // Only a form that says so clearly sends anything.
        dry_run: !matches!(wanted, "call" | "confirm"),
        confirmed: wanted == "confirm",
    };
    let named = (names.0.as_str(), names.1.clone());
    match attempt(
        &market,
        &Who(person.caller.clone(), None),
        named,
        (request, &headers),
    )
    .await
    {
        Ok(trace) => {
            // What was entered, in the texts to copy too.
            let sent = trace.arguments.as_deref();
            let sent = sent.and_then(|sent| serde_json::from_str(sent.get()).ok());
            let entry = market.0.parts.publisher.catalog.find(&names.0);
            if let (Some(sent), Some(entry)) = (sent, entry) {
                let place = place(&market, &headers, &entry);
                template.copies = place.copies(&template.tool.name, &sent);
            }
            template.trace = Some(TraceView::new(trace, template.frame.language));
            page(StatusCode::OK, &template)
        }
        Err(problem) => {
            template.error = Some(problem.detail.as_str().into());
            page(problem.kind.status(), &template)
        }
    }
}
