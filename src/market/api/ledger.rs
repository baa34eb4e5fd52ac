//! The ledger, read: in pages, and as a file.

mod export;

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::access::person::Person;
use crate::extract::Query;
use crate::market::api::Market;
use crate::market::api::ledger::export::{Export, Format};
use crate::market::api::page::{self, Listed};
use crate::problem::{Problem, ProblemKind};
use crate::store::ledger::{After, CallRow, Calls};

/// Rows of a file.
const EXPORT_ROWS_MAX: i64 = 100_000;
const STATUSES: [&str; 6] = [
    "ok",
    "tool_error",
    "refused",
    "cancelled",
    "timeout",
    "closed",
];

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// A slug or an id.
    server: Option<String>,
    /// A name or an id.
    consumer: Option<String>,
    tool: Option<String>,
    /// As callers name it.
    model: Option<String>,
    status: Option<String>,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
    /// The call that the page follows.
    after: Option<Uuid>,
    limit: Option<i64>,
}

/// What is asked for, checked.
struct Wanted {
    calls: Calls,
    after: Option<After>,
    limit: i64,
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Invalid, detail)
}

/// `limits` are the rows where nothing is said, and at most.
async fn wanted(
    (market, person): (&Market, &Person),
    asked: Asked,
    (rows, rows_max): (i64, i64),
) -> Result<Wanted, Problem> {
    let limit = asked.limit.unwrap_or(rows);
    if !(1..=rows_max).contains(&limit) {
        return Err(invalid(format!("`limit` is 1 to {rows_max}")));
    }
    if let Some(status) = &asked.status
        && !STATUSES.contains(&status.as_str())
    {
        return Err(invalid(format!(
            "`status` is one of {}",
            STATUSES.join(", ")
        )));
    }
    let (organization, parts) = (person.organization(), &market.0.parts.publisher);
    let after =
        match asked.after {
            None => None,
            Some(id) => {
                let place = parts.store.place_of_call(organization, id).await?;
                Some(place.ok_or_else(|| {
                    invalid("`after`: the ledger has no such call, or not any more")
                })?)
            }
        };
    let calls = Calls {
        server: asked
            .server
            .map(|server| server_id(market, person, &server))
            .transpose()?,
        consumer: match asked.consumer {
            None => None,
            Some(consumer) => Some(consumer_id(market, person, &consumer).await?),
        },
        tool: asked.tool,
        model: asked.model,
        status: asked.status,
        from: asked.from.map(|at| at.timestamp_micros()),
        to: asked.to.map(|at| at.timestamp_micros()),
    };
    Ok(Wanted {
        calls,
        after,
        limit,
    })
}

/// The id of a server there is, or of one there was.
pub(super) fn server_id(market: &Market, person: &Person, named: &str) -> Result<Uuid, Problem> {
    if let Ok(id) = named.parse() {
        return Ok(id);
    }
    let entry = market.0.parts.publisher.catalog.find(named);
    let entry = entry.filter(|entry| entry.organization == person.organization());
    let entry =
        entry.ok_or_else(|| invalid(format!("`server`: there is no server \"{named}\"")))?;
    Ok(entry.id.0)
}

pub(super) async fn consumer_id(
    market: &Market,
    person: &Person,
    named: &str,
) -> Result<Uuid, Problem> {
    if let Ok(id) = named.parse() {
        return Ok(id);
    }
    let store = &market.0.parts.publisher.store;
    let row = store.consumer(person.organization(), named).await?;
    let row =
        row.ok_or_else(|| invalid(format!("`consumer`: there is no consumer \"{named}\"")))?;
    Ok(row.id)
}

pub(super) async fn list(
    State(market): State<Market>,
    person: Person,
    mut page: page::Asked<After, Asked>,
) -> Result<Listed, Problem> {
    let asked = std::mem::take(&mut page.filter);
    if asked.after.is_some() && page.after.is_some() {
        return Err(invalid("send `cursor` or `after`, not both"));
    }
    let read_max = page.read_max();
    let wanted = wanted((&market, &person), asked, (read_max, read_max)).await?;
    let store = &market.0.parts.publisher.store;
    let organization = person.organization();
    let after = page.after.or(wanted.after);
    let rows = store.calls(organization, &wanted.calls, after, read_max);
    let rows = rows.await?;
    let more = i64::try_from(rows.len()).is_ok_and(|count| count == read_max);
    let page = page.page(rows, |row| (row.at, row.id));
    let next = page.rows.last().filter(|_| more).map(|row| row.id);
    Ok(page.answer("calls", view).with(json!({ "next": next })))
}

pub(super) async fn csv(
    State(market): State<Market>,
    person: Person,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    export(&market, &person, asked, Format::Csv).await
}

pub(super) async fn file(
    State(market): State<Market>,
    person: Person,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    export(&market, &person, asked, Format::Json).await
}

async fn export(
    market: &Market,
    person: &Person,
    asked: Asked,
    format: Format,
) -> Result<Response, Problem> {
    let limits = (EXPORT_ROWS_MAX, EXPORT_ROWS_MAX);
    let wanted = wanted((market, person), asked, limits).await?;
    let export = Export {
        store: market.0.parts.publisher.store.clone(),
        organization: person.organization(),
        calls: wanted.calls,
        after: wanted.after,
        left: wanted.limit,
        format,
    };
    Ok(export.answer())
}

/// A call, for programs.
fn view(row: &CallRow) -> Value {
    let at = DateTime::from_timestamp_micros(row.at);
    json!({
        "id": row.id,
        "at": at.map(|at| at.to_rfc3339_opts(SecondsFormat::Micros, true)),
        "server": row.server,
        "serverId": row.server_id,
        "versionId": row.version_id,
        "consumer": row.consumer,
        "consumerId": row.consumer_id,
        "keyId": row.key_id,
        "tool": row.tool,
        "model": row.model,
        "target": row.target,
        "arm": row.arm,
        "status": row.status,
        "upstreamStatus": row.upstream_status,
        "requestBytes": row.request_bytes,
        "responseBytes": row.response_bytes,
        "upstreamMicros": row.upstream_us,
        "totalMicros": row.total_us,
        "attempts": row.attempts,
        "traceId": row.trace_id,
        "tokensInput": row.tokens_input,
        "tokensCached": row.tokens_cached,
        "tokensCacheWrite": row.tokens_cache_write,
        "tokensOutput": row.tokens_output,
        "tokensReasoning": row.tokens_reasoning,
        "costNanos": row.cost_nanos,
        "firstTokenMicros": row.first_token_us,
        "estimated": row.model.as_ref().map(|_| row.estimated == Some(1)),
    })
}
