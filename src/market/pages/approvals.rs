//! The inbox of calls that wait for a person.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use http::StatusCode;

use crate::access::approval::{REASON_CHARACTERS_MAX, Verdict};
use crate::access::person::Person;
use crate::extract::{Form, Visitor};
use crate::market::api::Market;
use crate::market::api::approvals::{NewDecision, decided, names, rows};
use crate::market::pages::routes::{Fields, frame, notice, reader, refused, to, writer};
use crate::market::pages::{Frame, page};
use crate::problem::Problem;
use crate::store::approvals::ApprovalRow;
use crate::types::ApprovalId;

/// Calls shown on the page.
const ROWS_MAX: i64 = 100;

/// `GET /approvals`.
#[derive(Debug, Template)]
#[template(path = "approvals.html")]
pub struct Approvals {
    pub frame: Frame,
    pub waiting: Vec<CallView>,
    pub over: Vec<CallView>,
}

/// A call in the list.
#[derive(Clone, Debug)]
pub struct CallView {
    pub id: String,
    pub server: String,
    pub tool: String,
    pub operation: String,
    /// What whoever calls is called, and who that is.
    pub caller: String,
    pub principal: String,
    /// Pretty-printed, secrets masked.
    pub arguments: String,
    pub asked: String,
    /// Minutes since it was asked for, and until it is over.
    pub age: i64,
    pub left: i64,
    /// The key of its state's name, and a class of the stylesheet.
    pub state: &'static str,
    pub tone: &'static str,
    pub decided_by: Option<String>,
    pub reason: Option<String>,
}

impl CallView {
    /// A call as it stands at `now`.
    pub fn new(row: ApprovalRow, name: Option<&String>, now: DateTime<Utc>) -> Self {
        let minutes = |from: i64, until: i64| (until - from).max(0) / 60_000_000;
        let at = now.timestamp_micros();
        let asked = DateTime::from_timestamp_micros(row.asked_at).unwrap_or(now);
        let (state, tone) = match (row.state.as_str(), row.scope.as_deref()) {
            ("pending", _) => ("approvals-waits", "fair"),
            ("approved", Some("hour")) => ("approvals-hour", "good"),
            ("approved", _) => ("approvals-approved", "good"),
            ("denied", _) => ("approvals-denied", "bad"),
            ("used", _) => ("approvals-used", "good"),
            _ => ("approvals-expired", "plain"),
        };
        Self {
            id: row.id.to_string(),
            server: row.server,
            tool: row.tool,
            operation: row.operation,
            caller: name.cloned().unwrap_or_else(|| row.principal.clone()),
            principal: row.principal,
            arguments: row.arguments,
            asked: asked.format("%Y-%m-%d %H:%M UTC").to_string(),
            age: minutes(row.asked_at, at),
            left: minutes(at, row.expires_at),
            state,
            tone,
            decided_by: row.decided_by,
            reason: row.reason,
        }
    }
}

pub(super) async fn list(
    State(market): State<Market>,
    headers: Visitor,
    Query(query): Query<Fields>,
) -> Response {
    let person = match reader(&headers, "/approvals") {
        Ok(person) => person,
        Err(response) => return *response,
    };
    match shown(&market, &headers, (&person, &query)).await {
        Ok(template) => page(StatusCode::OK, &template),
        Err(problem) => refused(&market, &headers, &problem),
    }
}

async fn shown(
    market: &Market,
    headers: &Visitor,
    (person, query): (&Person, &Fields),
) -> Result<Approvals, Problem> {
    let mut frame = frame(market, headers, "approvals");
    frame.notice = notice(query);
    let now = market.0.parts.publisher.clock.now();
    let rows = rows(market, person, (None, ROWS_MAX)).await?;
    let names = names(market, &rows).await?;
    let calls = rows.into_iter().map(|row| {
        let name = names.get(&row.principal);
        CallView::new(row, name, now)
    });
    let (waiting, over) = calls.partition(|call| call.state == "approvals-waits");
    Ok(Approvals {
        frame,
        waiting,
        over,
    })
}

pub(super) async fn decide(
    State(market): State<Market>,
    headers: Visitor,
    Form(form): Form<Fields>,
) -> Response {
    let person = match writer(&market, &headers, form.get("csrf").map(String::as_str)) {
        Ok(person) => person,
        Err(response) => return *response,
    };
    let decided = match entered(&form) {
        Some(entered) => decided(&market, &person, entered).await,
        None => Err(Problem::not_found()),
    };
    match decided {
        Ok(row) if row.state == "denied" => to("/approvals?done=denied"),
        Ok(_) => to("/approvals?done=approved"),
        Err(problem) => refused(&market, &headers, &problem),
    }
}

/// The call a form is about, and what was decided of it.
fn entered(form: &Fields) -> Option<(ApprovalId, NewDecision)> {
    let decision = match form.get("decision")?.as_str() {
        "once" => Verdict::Once,
        "hour" => Verdict::Hour,
        "deny" => Verdict::Deny,
        _ => return None,
    };
    let id = form.get("id")?.parse().ok()?;
    let reason = form.get("reason").cloned();
    Some((id, NewDecision { decision, reason }))
}
