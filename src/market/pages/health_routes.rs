//! How a server does: its calls of a period, as `/usage` shows those of all servers.

use std::time::Instant;

use axum::extract::{Query, State};
use axum::response::Response;
use chrono::{DateTime, Duration, Utc};
use http::StatusCode;

use crate::extract::{Path, Visitor};
use crate::live::Entry;
use crate::live::popularity::Health;
use crate::market::api::Market;
use crate::market::api::usage::{Asked, StepAsked, report};
use crate::market::pages::key_routes::moment;
use crate::market::pages::page;
use crate::market::pages::routes::{Fields, refused};
use crate::market::pages::server::{HealthPage, ProbeRow, ProbeView, ServerHead, health_badge};
use crate::market::pages::server_routes::own_tab;
use crate::market::pages::usage::UsagePart;
use crate::mcp::server::Provider;
use crate::problem::Problem;
use crate::store::probes::ProbeResult;
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

/// Results that are shown one by one.
const STRIP_MAX: usize = 60;

/// What asking the API whether it is well came to, where it is asked.
async fn probe(market: &Market, entry: &Entry) -> Result<Option<ProbeView>, Problem> {
    let Some(probe) = &entry.settings.probe else {
        return Ok(None);
    };
    let publisher = &market.0.parts.publisher;
    let server = publisher.catalog.server(entry.id).await?;
    let mut tools = server.tools.values();
    let tool = tools.find(|tool| tool.def.operation == probe.operation);
    let operation = tool.map_or_else(|| probe.operation.0.clone(), |tool| tool.def.route());
    let results = publisher.store.probe_results(entry.id).await?;
    let now = publisher.clock.now();
    Ok(Some(view((operation, probe.every_minutes), &results, now)))
}

/// Results, the newest first, as the page shows them.
fn view(
    (operation, minutes): (String, u32),
    results: &[ProbeResult],
    now: DateTime<Utc>,
) -> ProbeView {
    let last = results.first().map(|last| (last.at, last.ok == 1));
    let since = (now - Duration::hours(24)).timestamp_micros();
    let of_day = results.iter().filter(|result| result.at >= since);
    let (all, well) = of_day.fold((0, 0), |(all, well), result| {
        (all + 1, well + usize::from(result.ok == 1))
    });
    let row = |result: &ProbeResult| ProbeRow {
        at: moment(result.at),
        ok: result.ok == 1,
        status: result.status,
        took: format!("{} ms", result.took_ms),
        reason: result.reason.clone().unwrap_or_default(),
    };
    let shown = &results[..results.len().min(STRIP_MAX)];
    let strip: Vec<ProbeRow> = shown.iter().rev().map(row).collect();
    ProbeView {
        operation,
        minutes,
        state: health_badge(Health::of(last, minutes, now)),
        rate: (all > 0).then(|| (format!("{} %", well * 100 / all), well, all)),
        well: strip.iter().filter(|row| row.ok).count(),
        strip,
    }
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
    let probe = match probe(&market, &entry).await {
        Ok(probe) => probe,
        Err(problem) => return refused(&market, &headers, &problem),
    };
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
                probe,
                part: UsagePart::of(&report),
            };
            page(StatusCode::OK, &template)
        }
        Err(problem) => refused(&market, &headers, &problem),
    }
}
