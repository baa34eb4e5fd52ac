//! What calls add up to, as JSON, and as a file.

use std::collections::{HashMap, HashSet};

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Duration, Utc};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::access::person::Person;
use crate::access::usage::{self, By, Counted, Of, Report, Step, Tally, UsageError, Window};
use crate::extract::Query;
use crate::market::api::Market;
use crate::market::api::csv::{self, Columns};
use crate::market::api::ledger::{consumer_id, server_id};
use crate::problem::{Problem, ProblemKind};
use crate::store::usage::{NameRow, UsageRow, Used};
use crate::types::ServerId;

/// Groups of an answer, each with its steps, and of a file; those that matter most.
const GROUPS_MAX: usize = 50;
const FILE_GROUPS_MAX: usize = 1_000;
/// Names that are looked up.
const NAMES_MAX: i64 = 10_000;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    pub(crate) from: Option<DateTime<Utc>>,
    pub(crate) to: Option<DateTime<Utc>>,
    #[serde(default)]
    pub(crate) step: StepAsked,
    #[serde(default)]
    pub(crate) by: ByAsked,
    /// A slug or an id.
    pub(crate) server: Option<String>,
    /// A name or an id.
    pub(crate) consumer: Option<String>,
    pub(crate) tool: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StepAsked {
    #[default]
    Hour,
    Day,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ByAsked {
    Server,
    Tool,
    Consumer,
    #[default]
    None,
}

/// What ids are called now; what is gone has no name.
#[derive(Default)]
pub(crate) struct Names {
    pub(crate) servers: HashMap<Uuid, String>,
    pub(crate) consumers: HashMap<Uuid, String>,
}

impl ByAsked {
    fn by(self) -> Option<By> {
        match self {
            Self::Server => Some(By::Server),
            Self::Tool => Some(By::Tool),
            Self::Consumer => Some(By::Consumer),
            Self::None => None,
        }
    }
}

impl From<UsageError> for Problem {
    fn from(error: UsageError) -> Self {
        match error {
            UsageError::Store(error) => error.into(),
            other => Self::new(ProblemKind::Invalid, other.to_string()),
        }
    }
}

/// The time somebody asks about; without a word, a day by the hour, or 30 days by the day.
pub(super) fn window(
    (from, to): (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    step: StepAsked,
    now: DateTime<Utc>,
) -> Result<Window, UsageError> {
    let (step, back) = match step {
        StepAsked::Hour => (Step::Hour, Duration::hours(24)),
        StepAsked::Day => (Step::Day, Duration::days(30)),
    };
    let to = to.unwrap_or(now);
    let from = from.or_else(|| to.checked_sub_signed(back));
    Window::new((from.unwrap_or(to), to), step, now)
}

/// Reads what is asked for, told apart by each of `by`.
pub(crate) async fn report(
    market: &Market,
    person: &Person,
    asked: &Asked,
    by: &[By],
) -> Result<Report, Problem> {
    let parts = &market.0.parts.publisher;
    let window = window((asked.from, asked.to), asked.step, parts.clock.now())?;
    let server = asked.server.as_deref();
    let used = Used {
        server: server
            .map(|server| server_id(market, person, server))
            .transpose()?,
        consumer: match &asked.consumer {
            None => None,
            Some(consumer) => Some(consumer_id(market, person, consumer).await?),
        },
        tool: asked.tool.clone(),
    };
    let of = (person.organization(), &used);
    Ok(usage::read(&parts.store, of, window, by).await?)
}

/// What the servers of a report are called, and all consumers.
pub(crate) async fn names(
    market: &Market,
    person: &Person,
    report: Option<&Report>,
) -> Result<Names, Problem> {
    let (publisher, organization) = (&market.0.parts.publisher, person.organization());
    let store = &publisher.store;
    let map = |rows: Vec<NameRow>| rows.into_iter().map(|row| (row.id, row.name));
    let told = report.into_iter().flat_map(Report::servers);
    let told: HashSet<Uuid> = told.filter(|server| !server.is_nil()).collect();
    let named = told.iter().filter_map(|server| {
        let entry = publisher.catalog.entry(ServerId(*server));
        let own = entry.filter(|entry| entry.organization == organization)?;
        Some((*server, own.slug.to_string()))
    });
    let mut servers: HashMap<Uuid, String> = named.collect();
    // One that was deleted is not in the catalog any more.
    if servers.len() < told.len() {
        let stored = store.usage_servers(organization, NAMES_MAX).await?;
        servers.extend(map(stored).filter(|(server, _)| told.contains(server)));
    }
    let consumers = store.usage_consumers(organization, NAMES_MAX).await?;
    Ok(Names {
        servers,
        consumers: map(consumers).collect(),
    })
}

/// How sums are told: the names they have in answers, and in the columns of a table.
pub(super) trait Shown: Counted {
    /// What a file of them is called, without its ending.
    const FILE: &str;
    /// The columns of a table, and where in a step what they hold is.
    const COLUMNS: &Columns;

    fn view(tally: &Self::Tally) -> Value;
    fn of_view(of: &Self::Of, names: &Names) -> Value;
}

/// A report, and what to tell of it.
pub(super) struct Telling<R: Shown> {
    pub(super) report: Report<R>,
    pub(super) names: Names,
    /// `None`: nothing is told apart.
    pub(super) by: Option<R::By>,
}

impl<R: Shown> Telling<R> {
    pub(super) fn answer(&self) -> Json<Value> {
        let window = &self.report.window;
        let groups = self.groups();
        let shown = groups.iter().take(GROUPS_MAX).map(|(of, told)| {
            let steps = told.steps.iter();
            let steps = steps.map(|(at, tally)| step_view::<R>(window, *at, tally));
            json!({
                "of": R::of_view(of, &self.names),
                "totals": R::view(&told.totals),
                "series": steps.collect::<Vec<_>>(),
            })
        });
        Json(json!({
            "from": DateTime::from_timestamp_micros(window.from),
            "to": DateTime::from_timestamp_micros(window.to),
            "step": match window.step { Step::Hour => "hour", Step::Day => "day" },
            "totals": R::view(&self.report.all.totals),
            "series": self.series(),
            "groups": shown.collect::<Vec<_>>(),
            "groupsLeftOut": groups.len().saturating_sub(GROUPS_MAX),
        }))
    }

    pub(super) fn csv(&self) -> Response {
        let mut text = csv::head(R::COLUMNS);
        for row in self.rows() {
            text.push_str(&csv::row(R::COLUMNS, &row));
        }
        file("text/csv; charset=utf-8", &format!("{}.csv", R::FILE), text)
    }

    pub(super) fn json(&self) -> Response {
        let text = format!("{}\n", Value::Array(self.rows()));
        file("application/json", &format!("{}.json", R::FILE), text)
    }

    fn groups(&self) -> Vec<(&R::Of, &usage::Told<R::Tally>)> {
        self.by.map(|by| self.report.by(by)).unwrap_or_default()
    }

    /// Each step of each group, or of all where nothing is told apart.
    fn rows(&self) -> Vec<Value> {
        if self.by.is_none() {
            return self.series();
        }
        let mut rows = Vec::new();
        for (of, told) in self.groups().into_iter().take(FILE_GROUPS_MAX) {
            let of = R::of_view(of, &self.names);
            rows.extend(told.steps.iter().map(|(at, tally)| {
                let mut step = step_view::<R>(&self.report.window, *at, tally);
                step["of"] = of.clone();
                step
            }));
        }
        rows
    }

    /// All steps, also those without a call.
    fn series(&self) -> Vec<Value> {
        let (window, steps) = (&self.report.window, &self.report.all.steps);
        let none = R::Tally::default();
        let all = window
            .steps()
            .map(|at| step_view::<R>(window, at, steps.get(&at).unwrap_or(&none)));
        all.collect()
    }
}

fn step_view<R: Shown>(window: &Window, at: i64, tally: &R::Tally) -> Value {
    let mut step = R::view(tally);
    step["at"] = json!(DateTime::from_timestamp_micros(at));
    step["partial"] = json!(window.is_partial(at));
    step
}

fn file(kind: &'static str, name: &str, text: String) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    (
        [
            (CONTENT_TYPE, kind.to_owned()),
            (CONTENT_DISPOSITION, disposition),
        ],
        text,
    )
        .into_response()
}

/// A question about sums.
pub(super) trait Asks: DeserializeOwned + Send + Sync {
    type Row: Shown;

    /// Reads what is asked for, with the names of it.
    fn telling(
        &self,
        market: &Market,
        person: &Person,
    ) -> impl Future<Output = Result<Telling<Self::Row>, Problem>> + Send;
}

pub(super) async fn show<A: Asks>(
    State(market): State<Market>,
    person: Person,
    Query(asked): Query<A>,
) -> Result<Json<Value>, Problem> {
    Ok(asked.telling(&market, &person).await?.answer())
}

pub(super) async fn csv_file<A: Asks>(
    State(market): State<Market>,
    person: Person,
    Query(asked): Query<A>,
) -> Result<Response, Problem> {
    Ok(asked.telling(&market, &person).await?.csv())
}

pub(super) async fn json_file<A: Asks>(
    State(market): State<Market>,
    person: Person,
    Query(asked): Query<A>,
) -> Result<Response, Problem> {
    Ok(asked.telling(&market, &person).await?.json())
}

impl Asks for Asked {
    type Row = UsageRow;

    async fn telling(
        &self,
        market: &Market,
        person: &Person,
    ) -> Result<Telling<UsageRow>, Problem> {
        let by = self.by.by();
        let report = report(market, person, self, by.as_slice()).await?;
        let names = names(market, person, Some(&report)).await?;
        Ok(Telling { report, names, by })
    }
}

impl Shown for UsageRow {
    const FILE: &str = "usage";
    const COLUMNS: &Columns = &[
        ("at", "/at"),
        ("partial", "/partial"),
        ("server", "/of/server"),
        ("server_id", "/of/serverId"),
        ("tool", "/of/tool"),
        ("consumer", "/of/consumer"),
        ("consumer_id", "/of/consumerId"),
        ("calls", "/calls"),
        ("errors", "/errors"),
        ("cancelled", "/cancelled"),
        ("success_per_mille", "/successPerMille"),
        ("request_bytes", "/requestBytes"),
        ("response_bytes", "/responseBytes"),
        ("upstream_us", "/upstreamMicros"),
        ("tokens", "/tokens"),
        ("cost_nanos", "/costNanos"),
        ("p50_us", "/p50Micros"),
        ("p95_us", "/p95Micros"),
        ("p99_us", "/p99Micros"),
    ];

    /// Times and rates are null where there was no call: 0 would be a lie.
    fn view(tally: &Tally) -> Value {
        json!({
            "calls": tally.calls,
            "errors": tally.errors,
            "cancelled": tally.cancelled,
            "successPerMille": tally.success_per_mille(),
            "requestBytes": tally.request_bytes,
            "responseBytes": tally.response_bytes,
            "upstreamMicros": tally.upstream_us,
            "tokens": tally.tokens,
            "costNanos": tally.cost_nanos,
            "p50Micros": tally.latency.percentile(50),
            "p95Micros": tally.latency.percentile(95),
            "p99Micros": tally.latency.percentile(99),
        })
    }

    fn of_view(of: &Of, names: &Names) -> Value {
        let id = |id: Uuid| (!id.is_nil()).then_some(id);
        json!({
            "server": names.servers.get(&of.server),
            "serverId": id(of.server),
            "tool": (!of.tool.is_empty()).then_some(&of.tool),
            "consumer": names.consumers.get(&of.consumer),
            "consumerId": id(of.consumer),
        })
    }
}
