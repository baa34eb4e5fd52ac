//! The inbox of calls that wait for a person.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use http::StatusCode;

use crate::access::approval::{REASON_CHARACTERS_MAX, Verdict};
use crate::access::person::Person;
use crate::extract::Visitor;
use crate::market::api::Market;
use crate::market::api::approvals::{NewDecision, decided, names, rows};
use crate::market::language::{Html, Language};
use crate::market::pages::routes::{Fields, frame, notice, reader, refused, to};
use crate::market::pages::submitted::Submitted;
use crate::market::pages::{Frame, page};
use crate::mcp::server::Server;
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
    pub caller: Html,
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
    /// The address of its tool's page.
    pub fn page(&self, frame: &Frame) -> String {
        frame.at(&format!("/servers/{}/tools/{}", self.server, self.tool))
    }

    /// A call as it stands at `now`.
    pub fn new(row: ApprovalRow, caller: Html, now: DateTime<Utc>) -> Self {
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
            caller,
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

/// Whoever calls, in words: by name, where they have one.
fn caller(principal: &str, name: Option<&String>, language: Language) -> Html {
    let (kind, address) = principal.split_once('@').unwrap_or((principal, ""));
    match (name, kind) {
        (Some(name), _) => Html::from(name.as_str()),
        (None, "admin") => language.say("approvals-admin").into(),
        (None, "anonymous") => language
            .say("approvals-anybody")
            .with("address", address)
            .into(),
        (None, kind) => language.say(nameless(kind)).into(),
    }
}

/// The words for a principal that has no name, or none any more: `user:ID`.
fn nameless(principal: &str) -> &'static str {
    match principal.split_once(':') {
        Some(("user", _)) => "approvals-somebody",
        Some(("consumer", _)) => "approvals-consumer",
        Some(("key", _)) => "approvals-key",
        _ => "approvals-program",
    }
}

/// Writes the operations of calls that wait as their documents do, while their servers have them. Each server is
/// asked for once; of calls that are over no operation is shown.
async fn with_routes(market: &Market, rows: &mut [ApprovalRow]) {
    let catalog = &market.0.parts.publisher.catalog;
    let mut servers: HashMap<String, Option<Arc<Server>>> = HashMap::new();
    for row in rows.iter_mut().filter(|row| row.state == "pending") {
        if !servers.contains_key(&row.server) {
            let server = match catalog.find(&row.server) {
                Some(entry) => catalog.server(entry.id).await.ok(),
                None => None,
            };
            servers.insert(row.server.clone(), server);
        }
        if let Some(Some(server)) = servers.get(&row.server)
            && let Some(route) = route(server, &row.operation)
        {
            row.operation = route;
        }
    }
}

fn route(server: &Server, operation: &str) -> Option<String> {
    let mut tools = server.tools.values();
    let tool = tools.find(|tool| tool.def.operation.0 == operation)?;
    Some(tool.def.route())
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
    let mut rows = rows(market, person, (None, ROWS_MAX)).await?;
    with_routes(market, &mut rows).await;
    let names = names(market, person, &rows).await?;
    let mut calls = Vec::with_capacity(rows.len());
    for row in rows {
        let caller = caller(&row.principal, names.get(&row.principal), frame.language);
        calls.push(CallView::new(row, caller, now));
    }
    let calls = calls.into_iter();
    let (waiting, over) = calls.partition(|call| call.state == "approvals-waits");
    Ok(Approvals {
        frame,
        waiting,
        over,
    })
}

pub(super) async fn decide(
    State(market): State<Market>,
    Submitted {
        visitor: headers,
        person,
        form,
    }: Submitted<Fields>,
) -> Response {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_calls_is_called_something() {
        let named = "ann".to_owned();
        for (principal, name, words) in [
            ("user:1", Some(&named), "ann"),
            ("user:1", None, "Somebody who is gone"),
            ("consumer:1", None, "A consumer that is gone"),
            ("key:1", None, "A key that is gone"),
            (
                "organization:1",
                None,
                "A program without a name of its own",
            ),
            ("admin", None, "The admin key"),
            (
                "anonymous@10.0.0.1",
                None,
                "Somebody without a key, at 10.0.0.1",
            ),
        ] {
            let said = caller(principal, name, Language::English);
            assert_eq!(said.as_str(), words, "{principal}");
        }
    }
}
