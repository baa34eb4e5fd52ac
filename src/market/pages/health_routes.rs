//! How a server does: its calls of a period, as `/usage` shows those of all servers.

use std::time::Instant;

use axum::extract::{Query, State};
use axum::response::Response;
use chrono::Duration;
use http::StatusCode;

use crate::extract::{Path, Visitor};
use crate::market::api::Market;
use crate::market::api::usage::{Asked, StepAsked, report};
use crate::market::pages::page;
use crate::market::pages::routes::{Fields, refused};
use crate::market::pages::server::{HealthPage, ServerHead};
use crate::market::pages::server_routes::own_tab;
use crate::market::pages::usage::UsagePart;
use crate::mcp::server::Provider;
use crate::types::ServerId;

/// What the address says, the message that names it, how many hours it is, and in which steps.
const PERIODS: [(&str, &str, i64, StepAsked); 3] = [
    ("24h", "usage-24h", 24, StepAsked::Hour),
    ("7d", "usage-7d", 7 * 24, StepAsked::Hour),
    ("30d", "usage-30d", 30 * 24, StepAsked::Day),
];

/// The origins of the API that this process leaves alone now, and for how many seconds.
async fn paused(market: &Market, id: ServerId) -> Vec<(String, u64)> {
    let server = market.0.parts.publisher.catalog.server(id).await;
    let Some(Provider::Api(api)) = server.as_ref().ok().map(|server| &server.provider) else {
        return Vec::new();
    };
    let paused = api.breakers.paused(Instant::now()).into_iter();
    paused
        .map(|(origin, after)| (origin, after.as_secs() + 1))
        .collect()
}

pub(super) async fn show(
    State(market): State<Market>,
    headers: Visitor,
    Path(slug): Path<String>,
    Query(query): Query<Fields>,
) -> Response {
    let (frame, entry, person) = match own_tab(&market, &headers, (&slug, "/health"), &query) {
        Ok(found) => found,
        Err(response) => return *response,
    };
    let period = query.get("period").map(String::as_str);
    let known = PERIODS.iter().find(|(name, ..)| Some(*name) == period);
    let (chosen, _, hours, step) = *known.unwrap_or(&PERIODS[0]);
    let now = market.0.parts.publisher.clock.now();
    let asked = Asked {
        from: now.checked_sub_signed(Duration::hours(hours)),
        to: Some(now),
        step,
        server: Some(entry.id.to_string()),
        ..Asked::default()
    };
    let paused = paused(&market, entry.id).await;
    match report(&market, &person, &asked, &[]).await {
        Ok(report) => {
            let template = HealthPage {
                frame,
                head: ServerHead::new(&entry, "health").of(&headers, &entry),
                periods: PERIODS
                    .iter()
                    .map(|(value, message, ..)| (*value == chosen, *value, *message))
                    .collect(),
                paused,
                part: UsagePart::of(&report),
            };
            page(StatusCode::OK, &template)
        }
        Err(problem) => refused(&market, &headers, &problem),
    }
}
