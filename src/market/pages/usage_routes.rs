//! The page of what calls add up to: what the form asks for, read as the API reads it.

use axum::extract::{Query, State};
use axum::response::Response;
use chrono::{DateTime, Duration, SecondsFormat, Utc};
use http::StatusCode;
use url::form_urlencoded::Serializer;

use crate::access::person::Person;
use crate::access::usage::{By, Report};
use crate::extract::Visitor;
use crate::market::api::Market;
use crate::market::api::usage::{Asked, StepAsked, names, report};
use crate::market::pages::page;
use crate::market::pages::routes::{Fields, frame, reader, refused};
use crate::market::pages::usage::{UsagePage, UsagePart, UsageTable};
use crate::problem::{Problem, ProblemKind};

/// What the form sends, the message that names it, how many hours it is, and in which steps.
const PERIODS: [(&str, &str, i64, StepAsked); 4] = [
    ("24h", "usage-24h", 24, StepAsked::Hour),
    ("7d", "usage-7d", 7 * 24, StepAsked::Hour),
    ("30d", "usage-30d", 30 * 24, StepAsked::Day),
    ("90d", "usage-90d", 90 * 24, StepAsked::Day),
];
/// Names a field suggests.
const SUGGESTED_MAX: usize = 200;

/// The calls of a period up to now.
fn asked(query: &Fields, now: DateTime<Utc>) -> Asked {
    let period = query.get("period").map(String::as_str);
    let known = PERIODS.iter().find(|(name, ..)| Some(*name) == period);
    let (_, _, hours, step) = *known.unwrap_or(&PERIODS[0]);
    let given = |name: &str| {
        let text = query.get(name).map(|text| text.trim().to_owned());
        text.filter(|text| !text.is_empty())
    };
    Asked {
        from: now.checked_sub_signed(Duration::hours(hours)),
        to: Some(now),
        step,
        server: given("server"),
        consumer: given("consumer"),
        ..Asked::default()
    }
}

pub(super) async fn show(
    State(market): State<Market>,
    headers: Visitor,
    Query(query): Query<Fields>,
) -> Response {
    let person = match reader(&headers, "/usage") {
        Ok(person) => person,
        Err(response) => return *response,
    };
    match usage_page(&market, (&person, &headers), &query).await {
        Ok(response) => response,
        Err(problem) => refused(&market, &headers, &problem),
    }
}

async fn usage_page(
    market: &Market,
    (person, headers): (&Person, &Visitor),
    query: &Fields,
) -> Result<Response, Problem> {
    let asked = asked(query, market.0.parts.publisher.clock.now());
    let all = [By::Server, By::Tool, By::Consumer];
    let (read, error): (Option<Report>, _) = match report(market, person, &asked, &all).await {
        Ok(report) => (Some(report), None),
        Err(problem) if problem.kind == ProblemKind::Invalid => {
            (None, Some(problem.detail.clone()))
        }
        Err(problem) => return Err(problem),
    };
    let named = names(market, person, read.as_ref()).await?;
    let catalog = &market.0.parts.publisher.catalog;
    let organization = person.organization();
    let mut consumers: Vec<String> = named.consumers.values().cloned().collect();
    consumers.sort_unstable();
    consumers.truncate(SUGGESTED_MAX);
    let chosen = query.get("period").map_or("24h", String::as_str);
    let tables = read.iter().flat_map(|report| {
        let tables = [By::Tool, By::Consumer, By::Server];
        tables.map(|by| UsageTable::of(report, by, &named))
    });
    let template = UsagePage {
        frame: frame(market, headers, "usage"),
        periods: PERIODS
            .iter()
            .map(|(value, message, ..)| (*value == chosen, *value, *message))
            .collect(),
        server: asked.server.clone().unwrap_or_default(),
        consumer: asked.consumer.clone().unwrap_or_default(),
        servers: catalog.slugs(|entry| entry.organization == organization, SUGGESTED_MAX),
        consumers,
        part: read.as_ref().map(UsagePart::of),
        tables: tables.collect(),
        exported: exported(&asked),
        error,
    };
    let fine = template.error.is_none();
    let status = if fine {
        StatusCode::OK
    } else {
        StatusCode::BAD_REQUEST
    };
    Ok(page(status, &template))
}

/// The same question to the API.
fn exported(asked: &Asked) -> String {
    let mut text = Serializer::new(String::new());
    let step = match asked.step {
        StepAsked::Hour => "hour",
        StepAsked::Day => "day",
    };
    text.append_pair("step", step).append_pair("by", "tool");
    for (name, at) in [("from", asked.from), ("to", asked.to)] {
        if let Some(at) = at {
            text.append_pair(name, &at.to_rfc3339_opts(SecondsFormat::Secs, true));
        }
    }
    for (name, value) in [("server", &asked.server), ("consumer", &asked.consumer)] {
        if let Some(value) = value {
            text.append_pair(name, value);
        }
    }
    text.finish()
}
