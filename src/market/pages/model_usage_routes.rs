//! The page of what calls of models add up to: what the form asks for, read as the API reads it.

use axum::extract::{Query, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use http::StatusCode;

use crate::access::model_usage::{By, Of, Report};
use crate::access::person::Person;
use crate::extract::Visitor;
use crate::market::api::Market;
use crate::market::api::model_usage::{Asked, report};
use crate::market::api::usage::{Names, names};
use crate::market::pages::model_usage::{
    FilterField, ModelUsagePage, ModelUsagePart, ModelUsageTable,
};
use crate::market::pages::page;
use crate::market::pages::routes::{Fields, frame, reader, refused};
use crate::market::pages::usage_routes::{PERIODS, Period, export_query, given};
use crate::problem::{Problem, ProblemKind};

/// Names a field suggests.
const SUGGESTED_MAX: usize = 200;
/// What calls are told apart by, in the order of the tables.
const TABLES: [By; 5] = [By::Model, By::Provider, By::Consumer, By::Target, By::Arm];

pub(super) async fn show(
    State(market): State<Market>,
    headers: Visitor,
    Query(query): Query<Fields>,
) -> Response {
    let person = match reader(&headers, "/usage/models") {
        Ok(person) => person,
        Err(response) => return *response,
    };
    match usage_page(&market, (&person, &headers), &query).await {
        Ok(response) => response,
        Err(problem) => refused(&market, &headers, &problem),
    }
}

/// The calls of a period up to now.
fn asked(query: &Fields, now: DateTime<Utc>) -> Asked {
    let period = Period::of(query);
    Asked {
        from: period.begin(now),
        to: Some(now),
        step: period.step,
        model: given(query, "model"),
        provider: given(query, "provider"),
        consumer: given(query, "consumer"),
        ..Asked::default()
    }
}

async fn usage_page(
    market: &Market,
    (person, headers): (&Person, &Visitor),
    query: &Fields,
) -> Result<Response, Problem> {
    let asked = asked(query, market.0.parts.publisher.clock.now());
    let (read, error): (Option<Report>, _) = match report(market, person, &asked, &TABLES).await {
        Ok(report) => (Some(report), None),
        Err(problem) if problem.kind == ProblemKind::Invalid => {
            (None, Some(problem.detail.clone()))
        }
        Err(problem) => return Err(problem),
    };
    let named = names(market, person, None).await?;
    let chosen = Period::of(query).name;
    let period = (asked.from, asked.to, asked.step);
    let template = ModelUsagePage {
        frame: frame(market, headers, "usage"),
        periods: PERIODS
            .iter()
            .map(|period| (period.name == chosen, period.name, period.message))
            .collect(),
        fields: fields(market, person, (&asked, &named)),
        part: read.as_ref().map(ModelUsagePart::of),
        tables: read
            .iter()
            .flat_map(|report| {
                // Most models have no arms to tell apart.
                let some = TABLES.into_iter().filter(|by| {
                    let is_told = |(of, _): &(&Of, _)| !of.arm.is_empty();
                    *by != By::Arm || report.by(By::Arm).iter().any(is_told)
                });
                some.map(|by| ModelUsageTable::of(report, by, &named))
            })
            .collect(),
        exported: export_query(
            period,
            &[
                ("by", Some("model")),
                ("model", asked.model.as_deref()),
                ("provider", asked.provider.as_deref()),
                ("consumer", asked.consumer.as_deref()),
            ],
        ),
        error,
    };
    let status = if template.error.is_none() {
        StatusCode::OK
    } else {
        StatusCode::BAD_REQUEST
    };
    Ok(page(status, &template))
}

/// The fields of the form, with the names there are now.
fn fields(market: &Market, person: &Person, (asked, named): (&Asked, &Names)) -> Vec<FilterField> {
    let models = &market.0.parts.llm.models;
    let organization = person.organization();
    let providers = models.seeing(organization, |offer| {
        offer.providers.keys().cloned().collect()
    });
    let consumers: Vec<String> = named.consumers.values().cloned().collect();
    let field = |name, label, value: &Option<String>, mut suggested: Vec<String>| {
        suggested.sort_unstable();
        suggested.truncate(SUGGESTED_MAX);
        FilterField {
            name,
            label,
            value: value.clone().unwrap_or_default(),
            suggested,
        }
    };
    vec![
        field(
            "model",
            "model-usage-model",
            &asked.model,
            models.names(organization),
        ),
        field(
            "provider",
            "model-usage-provider",
            &asked.provider,
            providers,
        ),
        field("consumer", "usage-consumer", &asked.consumer, consumers),
    ]
}
