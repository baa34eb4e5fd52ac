//! Who changed what. Rows are added in the transaction of the change they tell of, and never changed:
//! a trigger sees to it, and a chain of hashes shows where somebody went past the trigger.

pub mod chain;
pub mod redact;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::store::audit::chain::{Link, START};
use crate::store::db::{Number, Tx, execute, fetch_all, fetch_in, fetch_optional, row};
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
        /// Its place in the chain, from 1; `None`: it is older than the chain.
        pub seq: Option<i64>,
        pub hash: Option<Vec<u8>>,
        /// The row that says what this one was changed to, where a name in it was replaced.
        pub redacted_by: Option<Uuid>,
    }
}

row! {
    /// The number a row gets, and the hash of the row before it.
    pub struct PlaceRow {
        pub seq: i64,
        pub hash: Vec<u8>,
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
    pub fn of_server(who: (OrganizationId, String), action: &'static str, slug: &Slug) -> Self {
        Self::of(who, action, ("server", slug.to_string()))
    }

    /// Something done to an entity of that kind and name, without what it was and is.
    pub fn of(
        (organization, actor): (OrganizationId, String),
        action: &'static str,
        (entity, entity_id): (&'static str, String),
    ) -> Self {
        Self {
            organization,
            actor,
            action,
            entity,
            entity_id,
            before: None,
            after: None,
        }
    }
}

const INSERT: &str = "INSERT INTO audit (id, organization_id, at, actor, action, entity, entity_id, before, after, seq, hash) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
const LIST: &str = "SELECT id, at, actor, action, entity, entity_id, before, after, seq, hash, redacted_by FROM audit \
     WHERE organization_id = $1 AND (COALESCE(seq, 0), id) > ($2, $3) ORDER BY COALESCE(seq, 0), id LIMIT $4";
const OF: &str = "SELECT id, at, actor, action, entity, entity_id, before, after, seq, hash, redacted_by FROM \
     (SELECT id, at, actor, action, entity, entity_id, before, after, seq, hash, redacted_by FROM audit \
     WHERE organization_id = $1 ORDER BY COALESCE(seq, 0) DESC, id DESC LIMIT 2000) AS newest \
     WHERE entity = $2 AND entity_id = $3 ORDER BY COALESCE(seq, 0) DESC, id DESC LIMIT $4";
const FIND: &str = "SELECT id, at, actor, action, entity, entity_id, before, after, seq, hash, redacted_by FROM audit \
     WHERE organization_id = $1 AND (COALESCE(seq, 0), id) < ($2, $3) \
     AND ($4 IS NULL OR actor = $4) AND ($5 IS NULL OR action = $5) \
     AND ($6 IS NULL OR entity = $6 OR entity_id = $6) AND at >= $7 AND at < $8 \
     ORDER BY COALESCE(seq, 0) DESC, id DESC LIMIT $9";
const ABOUT: &str = "SELECT id, at, actor, action, entity, entity_id, before, after, seq, hash, redacted_by FROM audit \
     WHERE organization_id = $1 AND (COALESCE(seq, 0), id) > ($2, $3) AND (actor = $4 OR (entity = $5 AND entity_id = $6)) \
     ORDER BY COALESCE(seq, 0), id LIMIT $7";
const PLACE: &str =
    "SELECT COALESCE(seq, 0) AS value FROM audit WHERE organization_id = $1 AND id = $2";
const NEXT: &str = "INSERT INTO audit_heads (organization_id, seq, hash) VALUES ($1, 1, $2) \
     ON CONFLICT (organization_id) DO UPDATE SET seq = audit_heads.seq + 1 RETURNING seq, hash";
const MOVE_HEAD: &str = "UPDATE audit_heads SET hash = $2 WHERE organization_id = $1";

/// Which acts are looked for; what is not given fits all.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    pub actor: Option<String>,
    pub action: Option<String>,
    /// What was acted on: its kind, or its name.
    pub entity: Option<String>,
    /// From this moment, and before that one, in microseconds.
    pub from: Option<i64>,
    pub to: Option<i64>,
}

impl Store {
    /// The newest acts that fit, or those that are older than the row `before`. `None`: the organization has
    /// no such row.
    pub async fn find_audit(
        &self,
        organization: OrganizationId,
        filter: &AuditFilter,
        (before, limit): (Option<Uuid>, i64),
    ) -> Result<Option<Vec<AuditRow>>, StoreError> {
        let (seq, id) = match before {
            None => (i64::MAX, Uuid::max()),
            Some(id) => {
                let place = fetch_optional!(&self.db, Number, PLACE, organization.0, id)?;
                let Some(place) = place else {
                    return Ok(None);
                };
                (place.value, id)
            }
        };
        fetch_all!(
            &self.db,
            AuditRow,
            FIND,
            organization.0,
            seq,
            id,
            filter.actor.as_deref(),
            filter.action.as_deref(),
            filter.entity.as_deref(),
            filter.from.unwrap_or(i64::MIN),
            filter.to.unwrap_or(i64::MAX),
            limit
        )
        .map(Some)
    }

    /// Acts in the order they were done, from the one that follows `after`. Nothing ever turns up
    /// before a row of the chain that was seen, so whoever asks for what follows the last one misses
    /// none. `None`: the organization has no row `after`.
    pub async fn audit(
        &self,
        organization: OrganizationId,
        after: Option<Uuid>,
        limit: i64,
    ) -> Result<Option<Vec<AuditRow>>, StoreError> {
        let (seq, id) = match after {
            None => (-1, Uuid::nil()),
            Some(id) => {
                let place = fetch_optional!(&self.db, Number, PLACE, organization.0, id)?;
                let Some(place) = place else {
                    return Ok(None);
                };
                (place.value, id)
            }
        };
        fetch_all!(&self.db, AuditRow, LIST, organization.0, seq, id, limit).map(Some)
    }

    /// Notes an act that changes nothing else.
    pub async fn note_act(&self, act: &NewAudit, now: DateTime<Utc>) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        append(&mut tx, act, now.timestamp_micros()).await?;
        tx.commit().await
    }

    /// What somebody did, and what was done to an entity, in the order it was done, after a row.
    pub async fn audit_about(
        &self,
        organization: OrganizationId,
        (actor, (entity, entity_id)): (&str, (&str, &str)),
        ((seq, id), limit): ((i64, Uuid), i64),
    ) -> Result<Vec<AuditRow>, StoreError> {
        fetch_all!(
            &self.db,
            AuditRow,
            ABOUT,
            organization.0,
            seq,
            id,
            actor,
            entity,
            entity_id,
            limit
        )
    }

    /// The acts on one entity, the last first, of the last two thousand of the organization.
    pub async fn audit_of(
        &self,
        organization: OrganizationId,
        (entity, entity_id): (&str, &str),
        limit: i64,
    ) -> Result<Vec<AuditRow>, StoreError> {
        fetch_all!(
            &self.db,
            AuditRow,
            OF,
            organization.0,
            entity,
            entity_id,
            limit
        )
    }
}

/// Notes an act in the transaction that does it. Others of the same organization wait from here until
/// it ends: on Postgres for the row of the head, on SQLite they wait anyway.
pub(super) async fn append(tx: &mut Tx, act: &NewAudit, at: i64) -> Result<(), StoreError> {
    append_as(tx, Uuid::now_v7(), act, at).await
}

/// The same, under an id that is known before.
async fn append_as(tx: &mut Tx, id: Uuid, act: &NewAudit, at: i64) -> Result<(), StoreError> {
    let organization = act.organization.0;
    let place = fetch_in!(tx, PlaceRow, NEXT, organization, START.as_slice())?;
    let place = place.ok_or(StoreError::Stale)?;
    let link = Link {
        organization,
        seq: place.seq,
        id,
        at,
        actor: &act.actor,
        action: act.action,
        entity: act.entity,
        entity_id: &act.entity_id,
        before: act.before.as_deref(),
        after: act.after.as_deref(),
    };
    let hash = link.hash(&place.hash);
    execute!(
        tx,
        INSERT,
        id,
        organization,
        at,
        link.actor,
        link.action,
        link.entity,
        link.entity_id,
        link.before,
        link.after,
        link.seq,
        hash.as_slice()
    )?;
    execute!(tx, MOVE_HEAD, organization, hash.as_slice())?;
    Ok(())
}
