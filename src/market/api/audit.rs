//! Who changed what, in pages.

use axum::Json;
use axum::extract::State;
use chrono::DateTime;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::access::person::Person;
use crate::extract::Query;
use crate::market::api::Market;
use crate::problem::{Problem, ProblemKind};
use crate::store::audit::AuditRow;
use crate::types::OrganizationId;

const ROWS_MAX: i64 = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// The row that the page follows.
    after: Option<Uuid>,
    #[serde(default = "rows_default")]
    limit: i64,
}

fn rows_default() -> i64 {
    100
}

pub(super) async fn list(
    State(market): State<Market>,
    person: Person,
    Query(Page { after, limit }): Query<Page>,
) -> Result<Json<Value>, Problem> {
    let invalid = |detail: String| Problem::new(ProblemKind::Invalid, detail);
    if !(1..=ROWS_MAX).contains(&limit) {
        return Err(invalid(format!("`limit` is 1 to {ROWS_MAX}")));
    }
    let organization = person.organization();
    let store = &market.0.parts.publisher.store;
    let rows = store.audit(organization, after, limit).await?;
    let rows = rows.ok_or_else(|| invalid("`after`: the audit has no such row".to_owned()))?;
    let next = rows.last().map(|row| row.id).or(after);
    let rows: Vec<Value> = rows.iter().map(|row| view(organization, row)).collect();
    Ok(Json(json!({ "rows": rows, "next": next })))
}

/// A row with everything that its hash is made of, as it is hashed.
fn view(organization: OrganizationId, row: &AuditRow) -> Value {
    json!({
        "id": row.id,
        "seq": row.seq,
        "hash": row.hash.as_ref().map(hex::encode),
        "organization": organization.0,
        "at": DateTime::from_timestamp_micros(row.at),
        "atMicros": row.at,
        "actor": row.actor,
        "action": row.action,
        "entity": row.entity,
        "entityId": row.entity_id,
        "before": row.before,
        "after": row.after,
    })
}
