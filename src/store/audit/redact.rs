//! Names in the audit that are replaced by pseudonyms, because somebody asked to be forgotten, so that the
//! chain still shows what else was done to it.
//!
//! A row that is changed keeps its hash, on which the next one is built. A new row at the end of the chain,
//! the witness, says of each row it changed what it is now: a hash over the row's own hash and its new
//! contents. Whoever walks along the chain takes a row that does not fit for good if its witness vouches for
//! it, and meets the witness later on, where it has to fit itself.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::store::audit::chain::{Link, START};
use crate::store::audit::{AuditRow, NewAudit, append_as};
use crate::store::db::{execute, fetch_all, fetch_all_in, fetch_optional};
use crate::store::personal::ErasureRow;
use crate::store::{Store, StoreError};
use crate::types::OrganizationId;

/// What a witness does, and to what.
const ACTION: &str = "redact";
const ENTITY: &str = "audit";
/// Who does it.
const REDACTOR: &str = "maintenance";

const ROWS: &str = "SELECT id, at, actor, action, entity, entity_id, before, after, seq, hash, redacted_by FROM audit \
     WHERE organization_id = $1 AND COALESCE(seq, 0) <= $2 AND (actor = $3 OR (entity = 'user' AND entity_id = $4)) \
     ORDER BY COALESCE(seq, 0), id LIMIT $5";
const REDACT: &str = "UPDATE audit SET actor = $2, entity_id = $3, redacted_by = $4 WHERE id = $1";
const ONE: &str = "SELECT id, at, actor, action, entity, entity_id, before, after, seq, hash, redacted_by FROM audit \
     WHERE organization_id = $1 AND id = $2";
const PENDING: &str = "SELECT id, organization_id, name, pseudonym, until_seq FROM erasures ORDER BY created_at, id LIMIT 100";
const DONE: &str = "DELETE FROM erasures WHERE id = $1";

/// What a witness says: of each row its number and the hash of what it is now.
#[derive(Default, Serialize, Deserialize)]
struct Testimony {
    rows: Vec<(i64, String)>,
}

/// The witnesses of some rows, by their ids: each with its number.
pub(super) struct Witnesses(HashMap<Uuid, (i64, HashMap<i64, String>)>);

impl Witnesses {
    /// The hash a changed row had when it was written, if its witness says that it is as it was left.
    pub(super) fn vouch_for(&self, link: &Link<'_>, row: &AuditRow) -> Option<[u8; 32]> {
        let hash: [u8; 32] = row.hash.as_deref()?.try_into().ok()?;
        let (seq, said) = self.0.get(&row.redacted_by?)?;
        let now = hex::encode(link.hash(&hash));
        (*seq > link.seq && said.get(&link.seq) == Some(&now)).then_some(hash)
    }
}

impl Store {
    /// The rows that vouch for those that were changed.
    pub(super) async fn witnesses(
        &self,
        organization: Uuid,
        rows: &[AuditRow],
    ) -> Result<Witnesses, StoreError> {
        let mut known = HashMap::new();
        for id in rows.iter().filter_map(|row| row.redacted_by) {
            if known.contains_key(&id) {
                continue;
            }
            let row = fetch_optional!(&self.db, AuditRow, ONE, organization, id)?;
            let Some(row) = row.filter(|row| row.action == ACTION && row.entity == ENTITY) else {
                continue;
            };
            let said = row.after.as_deref().unwrap_or_default();
            let said: Testimony = serde_json::from_str(said).unwrap_or_default();
            let rows = said.rows.into_iter().collect();
            known.insert(id, (row.seq.unwrap_or_default(), rows));
        }
        Ok(Witnesses(known))
    }

    /// Erasures that are not through with the audit.
    pub async fn pending_erasures(&self) -> Result<Vec<ErasureRow>, StoreError> {
        fetch_all!(&self.db, ErasureRow, PENDING)
    }

    /// Replaces a name in the next rows of the audit, at most so many, in one transaction with the row that
    /// says so. `false`: there are no more, and the name is forgotten.
    pub async fn redact_audit(
        &self,
        erasure: &ErasureRow,
        (now, at_most): (DateTime<Utc>, i64),
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let organization = erasure.organization_id;
        let (was, is) = (
            format!("user:{}", erasure.name),
            format!("user:{}", erasure.pseudonym),
        );
        let mut rows = fetch_all_in!(
            &mut tx,
            AuditRow,
            ROWS,
            organization,
            erasure.until_seq,
            &was,
            &erasure.name,
            at_most
        )?;
        if rows.is_empty() {
            execute!(&mut tx, DONE, erasure.id)?;
            tx.commit().await?;
            return Ok(false);
        }
        let mut said = Testimony::default();
        for row in &mut rows {
            if row.actor == was {
                row.actor.clone_from(&is);
            }
            if row.entity == "user" && row.entity_id == erasure.name {
                row.entity_id.clone_from(&erasure.pseudonym);
            }
            let hash = row.hash.clone().unwrap_or_else(|| START.to_vec());
            let now = Link::of(organization, row).hash(&hash);
            said.rows
                .push((row.seq.unwrap_or_default(), hex::encode(now)));
        }
        let witness = Uuid::now_v7();
        let who = (OrganizationId(organization), REDACTOR.to_owned());
        let mut act = NewAudit::of(who, ACTION, (ENTITY, erasure.pseudonym.clone()));
        act.after = serde_json::to_string(&said).ok();
        append_as(&mut tx, witness, &act, now.timestamp_micros()).await?;
        for row in &rows {
            execute!(&mut tx, REDACT, row.id, &row.actor, &row.entity_id, witness)?;
        }
        tx.commit().await?;
        Ok(true)
    }
}
