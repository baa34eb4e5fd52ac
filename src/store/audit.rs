//! Who changed what. Rows are added in the transaction of the change they tell of, and never changed:
//! a trigger sees to it.

use uuid::Uuid;

use crate::store::db::{Tx, execute, fetch_all, row};
use crate::store::{Store, StoreError};
use crate::types::{OrganizationId, Slug};

row! {
    #[derive(Clone, Debug)]
    pub struct AuditRow {
        pub id: Uuid,
        pub at: i64,
        pub actor: String,
        pub action: String,
        pub entity: String,
        pub entity_id: String,
        pub before: Option<String>,
        pub after: Option<String>,
    }
}

/// An act to be remembered, and the organization it is done for. `before` and `after` are JSON without
/// secrets.
#[derive(Clone, Debug)]
pub struct NewAudit {
    pub organization: OrganizationId,
    pub actor: String,
    pub action: &'static str,
    pub entity: &'static str,
    pub entity_id: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

impl NewAudit {
    /// What somebody of an organization does to a server.
    pub fn of_server(
        (organization, actor): (OrganizationId, String),
        action: &'static str,
        slug: &Slug,
    ) -> Self {
        Self {
            organization,
            actor,
            action,
            entity: "server",
            entity_id: slug.to_string(),
            before: None,
            after: None,
        }
    }
}

const INSERT: &str = "INSERT INTO audit (id, organization_id, at, actor, action, entity, entity_id, before, after) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const LIST: &str = "SELECT id, at, actor, action, entity, entity_id, before, after FROM audit \
     WHERE organization_id = $1 ORDER BY at DESC, id DESC LIMIT $2";

impl Store {
    /// The newest acts.
    pub async fn audit(
        &self,
        organization: OrganizationId,
        limit: i64,
    ) -> Result<Vec<AuditRow>, StoreError> {
        fetch_all!(&self.db, AuditRow, LIST, organization.0, limit)
    }
}

/// Notes an act in the transaction that does it.
pub(super) async fn append(tx: &mut Tx, act: &NewAudit, at: i64) -> Result<(), StoreError> {
    execute!(
        tx,
        INSERT,
        Uuid::now_v7(),
        act.organization.0,
        at,
        &act.actor,
        act.action,
        act.entity,
        &act.entity_id,
        act.before.as_deref(),
        act.after.as_deref()
    )?;
    Ok(())
}
