//! What calls of models add up to, as JSON, and as a file.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::access::model_usage::{By, Of, Report, Tally, read};
use crate::access::person::Person;
use crate::access::usage::{Step, Window};
use crate::extract::Query;
use crate::market::api::Market;
use crate::market::api::csv::line;
use crate::market::api::ledger::consumer_id;
use crate::market::api::usage::{StepAsked, file, window};
use crate::problem::Problem;
use crate::store::model_usage::ModelsUsed;

/// Groups of an answer, each with its steps, and of a file; the dearest ones.
const GROUPS_MAX: usize = 50;
const FILE_GROUPS_MAX: usize = 1_000;
/// Names that are looked up.
const NAMES_MAX: i64 = 10_000;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
    #[serde(default)]
    step: StepAsked,
    #[serde(default)]
    by: ByAsked,
    /// As callers name it.
    model: Option<String>,
    /// `provider/model`.
    target: Option<String>,
    /// A name or an id.
    consumer: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum ByAsked {
    Model,
    Target,
    Consumer,
    #[default]
    None,
}

impl ByAsked {
    fn by(self) -> Option<By> {
        match self {
            Self::Model => Some(By::Model),
            Self::Target => Some(By::Target),
            Self::Consumer => Some(By::Consumer),
            Self::None => None,
        }
    }
}

type Names = HashMap<Uuid, String>;

async fn report(
    market: &Market,
    person: &Person,
    asked: &Asked,
) -> Result<(Report, Names), Problem> {
    let parts = &market.0.parts.publisher;
    let window = window((asked.from, asked.to), asked.step, parts.clock.now())?;
    let used = ModelsUsed {
        model: asked.model.clone(),
        target: asked.target.clone(),
        consumer: match &asked.consumer {
            None => None,
            Some(consumer) => Some(consumer_id(market, person, consumer).await?),
        },
    };
    let organization = person.organization();
    let of = (organization, &used);
    let report = read(&parts.store, of, window, asked.by.by()).await?;
    let rows = parts.store.usage_consumers(organization, NAMES_MAX).await?;
    let names = rows.into_iter().map(|row| (row.id, row.name)).collect();
    Ok((report, names))
}

pub(super) async fn show(
    State(market): State<Market>,
    person: Person,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>, Problem> {
    let (report, names) = report(&market, &person, &asked).await?;
    let groups = report.groups();
    let shown: Vec<Value> = groups
        .iter()
        .take(GROUPS_MAX)
        .map(|(of, told)| {
            let steps = told.steps.iter();
            let steps = steps.map(|(at, tally)| step_view(&report.window, *at, tally));
            let series: Vec<Value> = steps.collect();
            json!({ "of": of_view(of, &names), "totals": view(&told.totals), "series": series })
        })
        .collect();
    Ok(Json(json!({
        "from": DateTime::from_timestamp_micros(report.window.from),
        "to": DateTime::from_timestamp_micros(report.window.to),
        "step": match report.window.step { Step::Hour => "hour", Step::Day => "day" },
        "totals": view(&report.all.totals),
        "series": series(&report),
        "groups": shown,
        "groupsLeftOut": groups.len().saturating_sub(GROUPS_MAX),
    })))
}

pub(super) async fn csv(
    State(market): State<Market>,
    person: Person,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let mut text = line(COLUMNS.map(|(column, _)| column.to_owned()));
    for row in rows(&market, &person, &asked).await? {
        text.push_str(&line(COLUMNS.map(|(_, place)| cell(row.pointer(place)))));
    }
    Ok(file("text/csv; charset=utf-8", "model-usage.csv", text))
}

pub(super) async fn json_file(
    State(market): State<Market>,
    person: Person,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let rows = rows(&market, &person, &asked).await?;
    let text = format!("{}\n", Value::Array(rows));
    Ok(file("application/json", "model-usage.json", text))
}

/// Each step of each group, or of all where nothing is told apart.
async fn rows(market: &Market, person: &Person, asked: &Asked) -> Result<Vec<Value>, Problem> {
    let (report, names) = report(market, person, asked).await?;
    if asked.by == ByAsked::None {
        return Ok(series(&report));
    }
    let mut rows = Vec::new();
    for (of, told) in report.groups().into_iter().take(FILE_GROUPS_MAX) {
        let of = of_view(of, &names);
        rows.extend(told.steps.iter().map(|(at, tally)| {
            let mut step = step_view(&report.window, *at, tally);
            step["of"] = of.clone();
            step
        }));
    }
    Ok(rows)
}

/// All steps, also those without a call.
fn series(report: &Report) -> Vec<Value> {
    let none = Tally::default();
    let steps = report.window.steps().map(|at| {
        let tally = report.all.steps.get(&at).unwrap_or(&none);
        step_view(&report.window, at, tally)
    });
    steps.collect()
}

fn step_view(window: &Window, at: i64, tally: &Tally) -> Value {
    let mut step = view(tally);
    step["at"] = json!(DateTime::from_timestamp_micros(at));
    step["partial"] = json!(window.is_partial(at));
    step
}

/// Times are null where there was no call: 0 would be a lie.
fn view(tally: &Tally) -> Value {
    json!({
        "calls": tally.calls,
        "errors": tally.errors,
        "cancelled": tally.cancelled,
        "estimated": tally.estimated,
        "tokensInput": tally.tokens_input,
        "tokensCached": tally.tokens_cached,
        "tokensCacheWrite": tally.tokens_cache_write,
        "tokensOutput": tally.tokens_output,
        "tokensReasoning": tally.tokens_reasoning,
        "costNanos": tally.cost_nanos,
        "unknownCosts": tally.unknown_costs,
        "p50Micros": tally.latency.percentile(50),
        "p95Micros": tally.latency.percentile(95),
        "p99Micros": tally.latency.percentile(99),
        "firstTokenP50Micros": tally.first_token.percentile(50),
        "firstTokenP95Micros": tally.first_token.percentile(95),
    })
}

fn of_view(of: &Of, names: &Names) -> Value {
    let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    json!({
        "model": known(&of.model),
        "target": known(&of.target),
        "consumer": names.get(&of.consumer),
        "consumerId": (!of.consumer.is_nil()).then_some(of.consumer),
    })
}

/// The columns of a table, and where what they hold is.
const COLUMNS: [(&str, &str); 22] = [
    ("at", "/at"),
    ("partial", "/partial"),
    ("model", "/of/model"),
    ("target", "/of/target"),
    ("consumer", "/of/consumer"),
    ("consumer_id", "/of/consumerId"),
    ("calls", "/calls"),
    ("errors", "/errors"),
    ("cancelled", "/cancelled"),
    ("estimated", "/estimated"),
    ("tokens_input", "/tokensInput"),
    ("tokens_cached", "/tokensCached"),
    ("tokens_cache_write", "/tokensCacheWrite"),
    ("tokens_output", "/tokensOutput"),
    ("tokens_reasoning", "/tokensReasoning"),
    ("cost_nanos", "/costNanos"),
    ("unknown_costs", "/unknownCosts"),
    ("p50_us", "/p50Micros"),
    ("p95_us", "/p95Micros"),
    ("p99_us", "/p99Micros"),
    ("first_token_p50_us", "/firstTokenP50Micros"),
    ("first_token_p95_us", "/firstTokenP95Micros"),
];

/// What is not known is empty.
fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
