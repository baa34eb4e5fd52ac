//! The page of who did what: what the form asks for, and what of each act was there before and after.

use std::collections::HashMap;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use chrono::{DateTime, Days, NaiveDate, Utc};
use http::StatusCode;
use url::form_urlencoded::Serializer;

use crate::access::person::Person;
use crate::extract::Visitor;
use crate::market::api::Market;
use crate::market::api::names::names_of;
use crate::market::difference::{Line, difference};
use crate::market::pages::routes::{Fields, frame, reader, refused};
use crate::market::pages::{Frame, page};
use crate::problem::Problem;
use crate::store::audit::{AuditFilter, AuditRow};

/// Acts on one page.
const ROWS_MAX: usize = 50;

/// `GET /admin/audit`.
#[derive(Debug, Template)]
#[template(path = "audit.html")]
pub struct AuditPage {
    pub frame: Frame,
    pub actor: String,
    pub action: String,
    pub entity: String,
    /// Days, as the form has them.
    pub from: String,
    pub to: String,
    pub acts: Vec<Act>,
    /// The address of older ones.
    pub older: Option<String>,
}

/// Something that was done.
#[derive(Clone, Debug)]
pub struct Act {
    pub at: String,
    /// As it is written, and what that is called now.
    pub actor: String,
    pub actor_name: Option<String>,
    pub action: String,
    pub entity: String,
    pub entity_id: String,
    pub entity_name: Option<String>,
    pub lines: Vec<Line>,
    pub hidden: usize,
}

impl Act {
    fn of(row: &AuditRow, names: &HashMap<String, String>) -> Self {
        let (lines, hidden) = difference(row.before.as_deref(), row.after.as_deref());
        let at = DateTime::from_timestamp_micros(row.at).unwrap_or_default();
        Self {
            at: at.format("%Y-%m-%d %H:%M:%S").to_string(),
            actor: row.actor.clone(),
            actor_name: names.get(&row.actor).cloned(),
            action: row.action.clone(),
            entity: row.entity.clone(),
            entity_id: row.entity_id.clone(),
            entity_name: names.get(&written(row)).cloned(),
            lines,
            hidden,
        }
    }
}

/// What was acted on, as actors are written.
fn written(row: &AuditRow) -> String {
    format!("{}:{}", row.entity, row.entity_id)
}

pub(super) async fn show(
    State(market): State<Market>,
    headers: Visitor,
    Query(query): Query<Fields>,
) -> Response {
    let person = match reader(&headers, "/admin/audit") {
        Ok(person) => person,
        Err(response) => return *response,
    };
    match audit_page(&market, (&person, &headers), &query).await {
        Ok(response) => response,
        Err(problem) => refused(&market, &headers, &problem),
    }
}

async fn audit_page(
    market: &Market,
    (person, headers): (&Person, &Visitor),
    query: &Fields,
) -> Result<Response, Problem> {
    let before = query.get("before").and_then(|id| id.parse().ok());
    let limit = i64::try_from(ROWS_MAX + 1).unwrap_or(i64::MAX);
    let store = &market.0.parts.publisher.store;
    let filter = filter(query);
    let found = store.find_audit(person.organization(), &filter, (before, limit));
    let mut rows = found.await?.unwrap_or_default();
    let more = rows.len() > ROWS_MAX;
    rows.truncate(ROWS_MAX);
    let entities: Vec<String> = rows.iter().map(written).collect();
    let actors = rows.iter().map(|row| row.actor.as_str());
    let both = actors.chain(entities.iter().map(String::as_str));
    let names = names_of(market, person.organization(), both).await?;
    let given = |name: &str| given(query, name).unwrap_or_default();
    let template = AuditPage {
        frame: frame(market, headers, "audit"),
        actor: given("actor"),
        action: given("action"),
        entity: given("entity"),
        from: given("from"),
        to: given("to"),
        older: rows.last().filter(|_| more).map(|row| older(query, row)),
        acts: rows.iter().map(|row| Act::of(row, &names)).collect(),
    };
    Ok(page(StatusCode::OK, &template))
}

fn given(query: &Fields, name: &str) -> Option<String> {
    let text = query.get(name).map(|text| text.trim().to_owned());
    text.filter(|text| !text.is_empty())
}

/// What the form asks for. Days are those of UTC, the last one with all of its hours; what is no day is as if
/// it were not given.
fn filter(query: &Fields) -> AuditFilter {
    let day = |name| given(query, name)?.parse::<NaiveDate>().ok();
    let micros = |day: NaiveDate| {
        let start: DateTime<Utc> = day.and_time(chrono::NaiveTime::MIN).and_utc();
        start.timestamp_micros()
    };
    let after = |day: NaiveDate| day.checked_add_days(Days::new(1));
    AuditFilter {
        actor: given(query, "actor"),
        action: given(query, "action"),
        entity: given(query, "entity"),
        from: day("from").map(micros),
        to: day("to").and_then(after).map(micros),
    }
}

fn older(query: &Fields, last: &AuditRow) -> String {
    let mut text = Serializer::new(String::new());
    for name in ["actor", "action", "entity", "from", "to"] {
        if let Some(value) = given(query, name) {
            text.append_pair(name, &value);
        }
    }
    text.append_pair("before", &last.id.to_string());
    format!("/admin/audit?{}", text.finish())
}
