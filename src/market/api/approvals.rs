//! Calls that wait for a person: listed, decided, and the webhook that tells of them.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use chrono::DateTime;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::access::approval::{DecisionError, Inbox, Verdict};
use crate::access::person::Person;
use crate::access::role::Action;
use crate::extract::{Body, Path};
use crate::live::Entry;
use crate::market::api::Market;
use crate::market::api::lifecycle::gone;
use crate::market::api::names::names_of;
use crate::market::api::page::{Asked, Listed};
use crate::market::api::servers::{act, owned};
use crate::market::api::settings::ServerEdit;
use crate::mcp::server::ServerSettings;
use crate::problem::{Problem, ProblemKind};
use crate::store::approvals::{self, ApprovalRow};
use crate::types::{ApprovalId, UserId};

/// The states a call may be in.
const STATES: [&str; 5] = ["pending", "approved", "denied", "expired", "used"];
const URL_BYTES_MAX: usize = 2_048;
/// A week.
const MINUTES_MAX: u32 = 7 * 24 * 60;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    #[serde(default)]
    state: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDecision {
    pub(crate) decision: Verdict,
    #[serde(default)]
    pub(crate) reason: Option<String>,
}

pub(super) async fn list(
    State(market): State<Market>,
    person: Person,
    asked: Asked<After, Wanted>,
) -> Result<Listed, Problem> {
    let state = asked.filter.state.as_deref();
    let page = (asked.after, asked.read_max());
    let rows = rows_after(&market, &person, (state, page)).await?;
    let key = |row: &ApprovalRow| (row.state == "pending", row.asked_at, row.id);
    let page = asked.page(rows, key);
    let names = names(&market, &person, &page.rows).await?;
    Ok(page.answer("approvals", |row| view(row, &names)))
}

/// Calls in that state, or in any.
pub(crate) async fn rows(
    market: &Market,
    person: &Person,
    (state, limit): (Option<&str>, i64),
) -> Result<Vec<ApprovalRow>, Problem> {
    rows_after(market, person, (state, (None, limit))).await
}

/// A call among others: whether it waits, when it was asked, and its id.
type After = (bool, i64, uuid::Uuid);

async fn rows_after(
    market: &Market,
    person: &Person,
    (state, page): (Option<&str>, (Option<After>, i64)),
) -> Result<Vec<ApprovalRow>, Problem> {
    if state.is_some_and(|state| !STATES.contains(&state)) {
        let detail = format!("`state` is one of {}", STATES.join(", "));
        return Err(Problem::new(ProblemKind::Invalid, detail));
    }
    let inbox = inbox(market)?;
    let now = inbox.clock.now();
    let wanted = approvals::Wanted {
        state,
        owner: person
            .user()
            .filter(|_| !person.may(Action::DecideCall, None)),
    };
    let organization = person.organization();
    let rows = inbox.store.approvals_after(organization, wanted, page, now);
    Ok(rows.await?)
}

/// What callers are called now, by principal; those who are nobody in particular have no name.
pub(crate) async fn names(
    market: &Market,
    person: &Person,
    rows: &[ApprovalRow],
) -> Result<HashMap<String, String>, Problem> {
    let principals = rows.iter().map(|row| row.principal.as_str());
    Ok(names_of(market, person.organization(), principals).await?)
}

pub(super) async fn decide(
    State(market): State<Market>,
    person: Person,
    Path(id): Path<uuid::Uuid>,
    Body(new): Body<NewDecision>,
) -> Result<Json<Value>, Problem> {
    let row = decided(&market, &person, (ApprovalId(id), new)).await?;
    let names = names(&market, &person, std::slice::from_ref(&row)).await?;
    Ok(Json(view(&row, &names)))
}

/// Decides of a call that waits.
pub(crate) async fn decided(
    market: &Market,
    person: &Person,
    (id, new): (ApprovalId, NewDecision),
) -> Result<ApprovalRow, Problem> {
    let who = (person.organization(), person.actor());
    let verdict = (new.decision, new.reason.as_deref());
    let inbox = inbox(market)?;
    let known = inbox
        .store
        .approval(person.organization(), id, inbox.clock.now())
        .await?;
    // Of a call that is not theirs to decide, nobody is told.
    known
        .filter(|row| person.may(Action::DecideCall, row.owner_id.map(UserId)))
        .ok_or_else(Problem::not_found)?;
    let decided = inbox.decide(id, verdict, who).await;
    decided.map_err(|error| match error {
        DecisionError::Unknown => Problem::not_found(),
        DecisionError::Over(_) => Problem::new(ProblemKind::Conflict, error.to_string()),
        DecisionError::Reason => Problem::new(ProblemKind::Invalid, error.to_string()),
        DecisionError::Store(error) => error.into(),
    })
}

pub(super) async fn webhook(
    State(market): State<Market>,
    person: Person,
    Path(slug): Path<String>,
) -> Result<Json<Value>, Problem> {
    let entry = owned(&market, &person, &slug)?;
    let inbox = inbox(&market)?;
    let number = inbox
        .store
        .webhook_secret_of((entry.id, entry.owner))
        .await?;
    let number = number.ok_or_else(Problem::not_found)?;
    Ok(Json(hook(inbox, &entry, number)))
}

/// Makes another secret for a server's webhook. The one before signs nothing from here on, not even what is
/// tried again.
pub(super) async fn renew_secret(
    State(market): State<Market>,
    person: Person,
    Path(slug): Path<String>,
) -> Result<Json<Value>, Problem> {
    let entry = owned(&market, &person, &slug)?;
    let inbox = inbox(&market)?;
    let act = act(&person, "webhook.secret", &entry);
    let seen = (entry.id, entry.owner);
    let renewed = inbox
        .store
        .renew_webhook_secret(seen, &act, inbox.clock.now());
    let number = renewed.await.map_err(gone)?;
    Ok(Json(hook(inbox, &entry, number)))
}

fn hook(inbox: &Inbox, entry: &Entry, number: i64) -> Value {
    json!({
        "url": entry.settings.approval_webhook,
        "secret": inbox.webhooks.secret(entry.id, number),
    })
}

/// Where calls wait: wherever there is a management side.
fn inbox(market: &Market) -> Result<&Inbox, Problem> {
    let inbox = market.0.parts.mcp.confirmations.inbox();
    inbox.ok_or_else(Problem::not_found)
}

fn view(row: &ApprovalRow, names: &HashMap<String, String>) -> Value {
    let time = |micros: Option<i64>| micros.and_then(DateTime::from_timestamp_micros);
    json!({
        "id": row.id,
        "server": row.server,
        "tool": row.tool,
        "operation": row.operation,
        "principal": row.principal,
        "caller": names.get(&row.principal),
        "argumentHash": hex::encode(&row.argument_hash),
        "arguments": row.arguments,
        "askedAt": time(Some(row.asked_at)),
        "expiresAt": time(Some(row.expires_at)),
        "state": row.state,
        "scope": row.scope,
        "reason": row.reason,
        "decidedBy": row.decided_by,
        "decidedAt": time(row.decided_at),
        "usedAt": time(row.used_at),
    })
}

/// Makes the changes that are about approvals.
pub(super) fn edit(settings: &mut ServerSettings, change: &ServerEdit) -> Result<(), Problem> {
    let invalid = |detail: &str| Problem::new(ProblemKind::Invalid, detail);
    if let Some(minutes) = change.approval_minutes {
        if minutes.is_some_and(|minutes| !(1..=MINUTES_MAX).contains(&minutes)) {
            let detail = format!("`approvalMinutes` is 1 to {MINUTES_MAX}");
            return Err(invalid(&detail));
        }
        settings.approval_minutes = minutes;
    }
    if let Some(url) = &change.approval_webhook {
        if url.as_deref().is_some_and(|url| !is_web_url(url)) {
            return Err(invalid(
                "`approvalWebhook` is an http or https URL without user name and password",
            ));
        }
        settings.approval_webhook.clone_from(url);
    }
    Ok(())
}

fn is_web_url(text: &str) -> bool {
    let plain = |url: Url| {
        let web = matches!(url.scheme(), "http" | "https");
        web && url.username().is_empty() && url.password().is_none()
    };
    text.len() <= URL_BYTES_MAX && Url::parse(text).is_ok_and(plain)
}
