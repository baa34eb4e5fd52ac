//! The versions of a server: listed, compared, and made the one that is served.

use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use crate::access::person::Person;
use crate::extract::{Path, Visitor};
use crate::live::Entry;
use crate::market::api::Market;
use crate::market::pages::key_routes::moment;
use crate::market::pages::routes::{Fields, refused, to};
use crate::market::pages::server::{
    ActRow, ComparedView, DifferenceRow, ServerHead, VersionRow, VersionsPage,
};
use crate::market::pages::server_routes::{own_tab, tab};
use crate::market::pages::settings::labelled;
use crate::market::pages::submitted::Submitted;
use crate::market::pages::{Frame, page};
use crate::mcp::diff::{Difference, Impact, Kind, ToolDiff};
use crate::mcp::versions::{self, Actor, Compared, VersionError};
use crate::problem::Problem;
use crate::store::versions::{Rollout, RolloutRow};

/// Versions, differences and acts shown.
const VERSIONS_MAX: usize = 100;
const DIFFERENCES_MAX: usize = 200;
const ACTS_MAX: i64 = 30;

pub(super) async fn show(
    State(market): State<Market>,
    headers: Visitor,
    Path(slug): Path<String>,
    Query(query): Query<Fields>,
) -> Response {
    let (frame, entry, person) = match own_tab(&market, &headers, (&slug, "/versions"), &query) {
        Ok(found) => found,
        Err(response) => return *response,
    };
    listed(
        &market,
        (frame, &headers),
        (&entry, &person),
        (&query, None),
    )
    .await
}

/// The page, with what was refused.
async fn listed(
    market: &Market,
    (frame, headers): (Frame, &Visitor),
    (entry, person): (&Entry, &Person),
    (query, problem): (&Fields, Option<Problem>),
) -> Response {
    let status = problem.as_ref().map(|problem| problem.kind.status());
    let error = problem.map(|problem| labelled(&problem, frame.language));
    match template(market, (frame, headers), (entry, person), query).await {
        Ok(template) => page(
            status.unwrap_or(StatusCode::OK),
            &VersionsPage { error, ..template },
        ),
        Err(problem) => refused(market, headers, &problem),
    }
}

async fn template(
    market: &Market,
    (frame, headers): (Frame, &Visitor),
    (entry, person): (&Entry, &Person),
    query: &Fields,
) -> Result<VersionsPage, Problem> {
    let publisher = &market.0.parts.publisher;
    let store = &publisher.store;
    let current = store.server(entry.id).await?;
    let current = current.ok_or_else(Problem::not_found)?.number;
    let rollouts = store.rollouts(entry.id).await?;
    let mut rows = store.versions(entry.id).await?;
    rows.sort_by_key(|row| std::cmp::Reverse(row.number));
    let rollout = |kind: &str, number: i64| -> Option<&RolloutRow> {
        rollouts
            .iter()
            .find(|it| it.kind == kind && it.number == number)
    };
    let first = rows.last().map(|row| row.number);
    let versions = rows.iter().take(VERSIONS_MAX).map(|row| VersionRow {
        number: row.number,
        title: row.title.clone(),
        made: moment(row.created_at),
        url: row.document_url.clone(),
        current: row.number == current,
        staged: rollout("staged", row.number).is_some(),
        canary: rollout("canary", row.number).map(|row| row.percent),
        older: row.number < current,
        has_previous: Some(row.number) != first,
    });
    let versions: Vec<VersionRow> = versions.collect();
    // What waits is what somebody has to look at.
    let waiting = versions.iter().find(|row| row.staged).map(|row| row.number);
    let asked = query.get("compare").and_then(|number| number.parse().ok());
    let pair = match asked {
        Some(number) => {
            let before = rows.iter().find(|row| row.number < number);
            before.map(|before| (before.number, number))
        }
        None => waiting.map(|number| (current, number)),
    };
    let compared = match pair {
        None => None,
        Some((from, to)) => match versions::compare(publisher, entry, (Some(from), to)).await {
            Ok(compared) => Some(compared_view(&compared)),
            Err(VersionError::Unknown(_)) => None,
            Err(error) => return Err(error.into()),
        },
    };
    let subject = ("server", entry.slug.as_str());
    let acts = store.audit_of(person.organization(), subject, ACTS_MAX);
    let acts = acts.await?.into_iter().map(|row| ActRow {
        at: moment(row.at),
        actor: row.actor,
        action: row.action,
        version: row.after.and_then(|after| version(&after)),
    });
    Ok(VersionsPage {
        head: ServerHead::new(entry, "versions").of(headers, entry),
        error: None,
        revision: entry.revision,
        hidden: rows.len().saturating_sub(VERSIONS_MAX),
        versions,
        compared,
        acts: acts.collect(),
        frame,
    })
}

/// The version an act is about.
fn version(after: &str) -> Option<i64> {
    serde_json::from_str::<Value>(after).ok()?["version"].as_i64()
}

fn compared_view(compared: &Compared) -> ComparedView {
    let diff = &compared.comparison.diff;
    let count = |kind| diff.tools.iter().filter(|tool| tool.kind == kind).count();
    let of_server = diff.server.iter().map(|it| difference(None, it));
    let of_tools = diff.tools.iter().flat_map(tool_rows);
    let mut rows: Vec<DifferenceRow> = of_server.chain(of_tools).collect();
    let hidden = rows.len().saturating_sub(DIFFERENCES_MAX);
    rows.truncate(DIFFERENCES_MAX);
    ComparedView {
        from: compared.from,
        to: compared.to,
        needs_review: compared.needs_review,
        added: count(Kind::Added),
        removed: count(Kind::Removed),
        changed: count(Kind::Changed),
        rows,
        hidden,
    }
}

fn tool_rows(tool: &ToolDiff) -> Vec<DifferenceRow> {
    let whole = |badge| DifferenceRow {
        tool: Some(tool.name.clone()),
        badge,
        message: String::new(),
    };
    match tool.kind {
        Kind::Added => vec![whole(("versions-added", "good"))],
        Kind::Removed => vec![whole(("versions-removed", "bad"))],
        Kind::Changed => {
            let rows = tool.differences.iter();
            rows.map(|it| difference(Some(&tool.name), it)).collect()
        }
    }
}

fn difference(tool: Option<&String>, difference: &Difference) -> DifferenceRow {
    DifferenceRow {
        tool: tool.cloned(),
        badge: match difference.impact {
            Impact::Compatible => ("versions-compatible", "plain"),
            Impact::Review => ("versions-review", "fair"),
            Impact::Breaking => ("versions-breaking", "bad"),
        },
        message: difference.message.clone(),
    }
}

/// Serves another version, or ends what is beside the current one.
pub(super) async fn act(
    State(market): State<Market>,
    Path(slug): Path<String>,
    Submitted {
        visitor: headers,
        person,
        form,
    }: Submitted<Fields>,
) -> Response {
    let (frame, entry) = match tab(&market, &headers, (&slug, "/versions"), &Fields::new()) {
        Ok(found) => found,
        Err(response) => return *response,
    };
    match changed(&market, (&entry, &person), &form).await {
        Ok(done) => to(&format!("/servers/{}/versions?done={done}", entry.slug)),
        Err(problem) => {
            let asked = (&Fields::new(), Some(problem));
            listed(&market, (frame, &headers), (&entry, &person), asked).await
        }
    }
}

async fn changed(
    market: &Market,
    (entry, person): (&Entry, &Person),
    form: &Fields,
) -> Result<&'static str, Problem> {
    let publisher = &market.0.parts.publisher;
    let actor = Actor {
        organization: person.organization(),
        name: person.actor(),
    };
    let number = |name: &str| {
        form.get(name)
            .and_then(|text| text.trim().parse::<i64>().ok())
    };
    let version = || number("version").ok_or_else(Problem::not_found);
    match form.get("do").map(String::as_str) {
        Some("promote") => {
            let expected = number("revision");
            versions::promote(publisher, entry, (version()?, expected), &actor).await?;
            Ok("promoted")
        }
        Some("canary") => {
            let percent = number("percent").and_then(|percent| u8::try_from(percent).ok());
            let canary = (version()?, percent.unwrap_or_default());
            versions::start_canary(publisher, entry, canary, &actor).await?;
            Ok("canary-started")
        }
        Some(end @ ("discard" | "end-canary")) => {
            let rollout = match end {
                "discard" => Rollout::Staged,
                _ => Rollout::Canary(0),
            };
            let ended = versions::end(publisher, entry, rollout, &actor).await?;
            ended
                .then_some("rollout-ended")
                .ok_or_else(Problem::not_found)
        }
        _ => Err(Problem::not_found()),
    }
}
