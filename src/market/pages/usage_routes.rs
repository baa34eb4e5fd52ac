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

/// A time up to now that can be chosen.
pub(super) struct Period {
    /// What the form sends.
    pub(super) name: &'static str,
    /// The message that names it.
    pub(super) message: &'static str,
    hours: i64,
    pub(super) step: StepAsked,
}

pub(super) const PERIODS: [Period; 4] = [
    Period::new("24h", "usage-24h", 24, StepAsked::Hour),
    Period::new("7d", "usage-7d", 7 * 24, StepAsked::Hour),
    Period::new("30d", "usage-30d", 30 * 24, StepAsked::Day),
    Period::new("90d", "usage-90d", 90 * 24, StepAsked::Day),
];
/// Names a field suggests.
const SUGGESTED_MAX: usize = 200;

impl Period {
    const fn new(name: &'static str, message: &'static str, hours: i64, step: StepAsked) -> Self {
        Self {
            name,
            message,
            hours,
            step,
        }
    }

    /// The one a form names, or the first.
    pub(super) fn of(query: &Fields) -> &'static Self {
        let named = query.get("period").map(String::as_str);
        let known = PERIODS.iter().find(|period| Some(period.name) == named);
        known.unwrap_or(&PERIODS[0])
    }

    pub(super) fn begin(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        now.checked_sub_signed(Duration::hours(self.hours))
    }
}

/// A field that is filled in.
pub(super) fn given(query: &Fields, name: &str) -> Option<String> {
    let text = query.get(name).map(|text| text.trim().to_owned());
    text.filter(|text| !text.is_empty())
}

/// The calls of a period up to now.
fn asked(query: &Fields, now: DateTime<Utc>) -> Asked {
    let period = Period::of(query);
    Asked {
        from: period.begin(now),
        to: Some(now),
        step: period.step,
        server: given(query, "server"),
        consumer: given(query, "consumer"),
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
    let chosen = Period::of(query).name;
    let tables = read.iter().flat_map(|report| {
        let tables = [By::Tool, By::Consumer, By::Server];
        tables.map(|by| UsageTable::of(report, by, &named))
    });
    let template = UsagePage {
        frame: frame(market, headers, "usage"),
        periods: PERIODS
            .iter()
            .map(|period| (period.name == chosen, period.name, period.message))
            .collect(),
        server: asked.server.clone().unwrap_or_default(),
        consumer: asked.consumer.clone().unwrap_or_default(),
        servers: catalog.slugs(|entry| entry.organization == organization, SUGGESTED_MAX),
        consumers,
        part: read.as_ref().map(UsagePart::of),
        tables: tables.collect(),
        exported: export_query(
            (asked.from, asked.to, asked.step),
            &[
                ("by", Some("tool")),
                ("server", asked.server.as_deref()),
                ("consumer", asked.consumer.as_deref()),
            ],
        ),
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
pub(super) fn export_query(
    (from, to, step): (Option<DateTime<Utc>>, Option<DateTime<Utc>>, StepAsked),
    named: &[(&str, Option<&str>)],
) -> String {
    let mut text = Serializer::new(String::new());
    let step = match step {
        StepAsked::Hour => "hour",
        StepAsked::Day => "day",
    };
    text.append_pair("step", step);
    for (name, at) in [("from", from), ("to", to)] {
        if let Some(at) = at {
            text.append_pair(name, &at.to_rfc3339_opts(SecondsFormat::Secs, true));
        }
    }
    for (name, value) in named {
        if let Some(value) = value {
            text.append_pair(name, value);
        }
    }
    text.finish()
}
