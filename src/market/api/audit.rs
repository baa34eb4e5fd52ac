//! Who changed what, in pages.

use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::access::person::Person;
use crate::market::api::Market;
use crate::market::api::page::{Asked, Listed};
use crate::problem::{Problem, ProblemKind};
use crate::store::audit::{AuditFilter, AuditRow};
use crate::types::OrganizationId;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Page {
    /// The row that the page follows.
    after: Option<Uuid>,
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
    asked: Asked<Uuid, Page>,
) -> Result<Listed, Problem> {
    let invalid = |detail: &str| Problem::new(ProblemKind::Invalid, detail.to_owned());
    let page = &asked.filter;
    if page.after.is_some() && asked.after.is_some() {
        return Err(invalid("send `cursor` or `after`, not both"));
    }
    if page.order == Order::Oldest && page.is_filtered() {
        return Err(invalid("what is looked for is given with `order=newest`"));
    }
    let organization = person.organization();
    let store = &market.0.parts.publisher.store;
    let (after, limit) = (asked.after.or(page.after), asked.read_max());
    let rows = match page.order {
        Order::Oldest => store.audit(organization, after, limit).await?,
        Order::Newest => {
            let filter = page.filter();
            let found = store.find_audit(organization, &filter, (after, limit));
            found.await?
        }
    };
    let rows = rows.ok_or_else(|| invalid("`after`: the audit has no such row"))?;
    let page = asked.page(rows, |row| row.id);
    let next = page.rows.last().map(|row| row.id).or(after);
    let answer = page.answer("rows", |row| view(organization, row));
    Ok(answer.with(json!({ "next": next })))
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
