//! Who changed what, in pages.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::access::person::Person;
use crate::extract::Query;
use crate::market::api::Market;
use crate::problem::{Problem, ProblemKind};
use crate::store::audit::{AuditFilter, AuditRow};
use crate::types::OrganizationId;

const ROWS_MAX: i64 = 1_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Page {
    /// The row that the page follows.
    after: Option<Uuid>,
    #[serde(default = "rows_default")]
    limit: i64,
    #[serde(default)]
    order: Order,
    actor: Option<String>,
    action: Option<String>,
    entity: Option<String>,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Order {
    #[default]
    Oldest,
    Newest,
}

fn rows_default() -> i64 {
    100
}

impl Page {
    fn filter(&self) -> AuditFilter {
        let micros = |at: Option<DateTime<Utc>>| at.map(|at| at.timestamp_micros());
        AuditFilter {
            actor: self.actor.clone(),
            action: self.action.clone(),
            entity: self.entity.clone(),
            from: micros(self.from),
            to: micros(self.to),
        }
    }

    fn is_filtered(&self) -> bool {
        let texts = [&self.actor, &self.action, &self.entity];
        texts.iter().any(|it| it.is_some()) || self.from.is_some() || self.to.is_some()
    }
}

pub(super) async fn list(
    State(market): State<Market>,
    person: Person,
    Query(page): Query<Page>,
) -> Result<Json<Value>, Problem> {
    let invalid = |detail: &str| Problem::new(ProblemKind::Invalid, detail.to_owned());
    if !(1..=ROWS_MAX).contains(&page.limit) {
        return Err(invalid(&format!("`limit` is 1 to {ROWS_MAX}")));
    }
    if page.order == Order::Oldest && page.is_filtered() {
        return Err(invalid("what is looked for is given with `order=newest`"));
    }
    let organization = person.organization();
    let store = &market.0.parts.publisher.store;
    let (after, limit) = (page.after, page.limit);
    let rows = match page.order {
        Order::Oldest => store.audit(organization, after, limit).await?,
        Order::Newest => {
            let filter = page.filter();
            let found = store.find_audit(organization, &filter, (after, limit));
            found.await?
        }
    };
    let rows = rows.ok_or_else(|| invalid("`after`: the audit has no such row"))?;
    let next = rows.last().map(|row| row.id).or(after);
    let rows: Vec<Value> = rows.iter().map(|row| view(organization, row)).collect();
    Ok(Json(json!({ "rows": rows, "next": next })))
}

/// A row with everything that its hash is made of, as it is hashed.
pub(crate) fn view(organization: OrganizationId, row: &AuditRow) -> Value {
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
        "redactedBy": row.redacted_by,
    })
}
