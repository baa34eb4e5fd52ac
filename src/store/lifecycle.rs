//! What becomes of a server that is there: closed, given to somebody else, deleted, restored, and at the
//! end removed for good.
//!
//! Every statement says itself in which state the server has to be, so that of two that race one finds
//! nothing left to do.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::store::audit::NewAudit;
use crate::store::connected;
use crate::store::db::{Number, execute, fetch_all, fetch_optional, row};
use crate::store::{Store, StoreError, webhooks};
use crate::types::{OrganizationId, ServerId, UserId};

/// How long a server that was deleted can be restored, and its name is held.
pub const RESTORABLE: TimeDelta = TimeDelta::days(30);

row! {
    /// A server that was deleted and can still be restored.
    #[derive(Clone, Debug)]
    pub struct DeletedRow {
        pub id: Uuid,
        pub organization_id: Uuid,
        pub slug: String,
        pub title: String,
        pub owner_id: Option<Uuid>,
        pub deleted_at: i64,
    }
}

/// Why a server is not served.
#[derive(Clone, Copy, Debug)]
pub struct NewClosed<'a> {
    pub word: &'a str,
    pub note: Option<&'a str>,
}

const CLOSE: &str = "UPDATE servers SET closed = $3, closed_at = CASE WHEN $3 IS NULL THEN NULL WHEN closed = $3 THEN closed_at ELSE $5 END, \
     closed_note = $4, revision = revision + 1, updated_at = $5 WHERE id = $1 AND organization_id = $2 AND deleted_at IS NULL";
const TRANSFER: &str = "UPDATE servers SET owner_id = $3, revision = revision + 1, updated_at = $4 \
     WHERE id = $1 AND organization_id = $2 AND deleted_at IS NULL AND EXISTS (SELECT 1 FROM users u WHERE u.id = $3 \
     AND u.organization_id = $2 AND u.disabled_at IS NULL AND u.role IN ('admin', 'publisher'))";
const DELETE: &str = "UPDATE servers SET deleted_at = $3, revision = revision + 1, updated_at = $3 \
     WHERE id = $1 AND organization_id = $2 AND deleted_at IS NULL";
const DESTROY_CREDENTIALS: &str = "DELETE FROM credentials WHERE server_id = $1";
const DESTROY_ANSWERS: &str = "DELETE FROM answers WHERE server_id = $1";
const END_APPROVALS: &str = "UPDATE approvals SET state = 'expired' WHERE server_id = $1 AND state IN ('pending', 'approved')";
const DELETED: &str = "SELECT id, organization_id, slug, title, owner_id, deleted_at FROM servers \
     WHERE organization_id = $1 AND deleted_at > $2 ORDER BY deleted_at DESC, id LIMIT 1000";
const RESTORE: &str = "UPDATE servers SET deleted_at = NULL, revision = revision + 1, updated_at = $3 \
     WHERE id = $1 AND organization_id = $2 AND deleted_at > $4";
const DUE: &str = "SELECT id, organization_id, slug, title, owner_id, deleted_at FROM servers \
     WHERE deleted_at <= $1 ORDER BY deleted_at, id LIMIT $2";
const PURGE: &str = "DELETE FROM servers WHERE id = $1 AND deleted_at <= $2";

const HOLD: &str =
    "INSERT INTO holds (server_id, created_at) VALUES ($1, $2) ON CONFLICT (server_id) DO NOTHING";
const RELEASE: &str = "DELETE FROM holds WHERE server_id = $1";
const IS_HELD: &str = "SELECT COUNT(*) AS value FROM holds WHERE server_id = $1";

impl Store {
    /// From now on, or no more, only an admin brings this server back.
    pub async fn hold_server(
        &self,
        id: ServerId,
        held: bool,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        if held {
            execute!(&mut tx, HOLD, id.0, now.timestamp_micros())?;
        } else {
            execute!(&mut tx, RELEASE, id.0)?;
        }
        tx.commit().await
    }

    /// Whether only an admin brings this server back.
    pub async fn is_held(&self, id: ServerId) -> Result<bool, StoreError> {
        let found = fetch_optional!(&self.db, Number, IS_HELD, id.0)?;
        Ok(found.is_some_and(|number| number.value > 0))
    }

    /// Serves a server no more, or again. When it was closed stays where only the note changes.
    pub async fn close_server(
        &self,
        id: ServerId,
        closed: Option<NewClosed<'_>>,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let at = now.timestamp_micros();
        let word = closed.map(|closed| closed.word);
        let note = closed.and_then(|closed| closed.note);
        if execute!(&mut tx, CLOSE, id.0, act.organization.0, word, note, at)? == 0 {
            return Err(StoreError::Stale);
        }
        self.finish(tx, id, act, at).await
    }

    /// Gives a server to somebody who may publish, without the webhook of whoever had it. `false`: they may not, or
    /// there is no such server.
    pub async fn transfer_server(
        &self,
        id: ServerId,
        to: UserId,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let at = now.timestamp_micros();
        if execute!(&mut tx, TRANSFER, id.0, act.organization.0, to.0, at)? == 0 {
            return Ok(false);
        }
        webhooks::change_hands(&mut tx, id, at).await?;
        self.finish(tx, id, act, at).await?;
        Ok(true)
    }

    /// Deletes a server: it is served no more, and can be restored for [`RESTORABLE`]. Its credentials,
    /// with the tokens got by them, the accounts people connected, and answers that were kept are destroyed at once. `false`: there is
    /// none of that id.
    pub async fn delete_server(
        &self,
        id: ServerId,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let at = now.timestamp_micros();
        // The row is locked first: whoever stores a credential at the same time finds it deleted.
        if execute!(&mut tx, DELETE, id.0, act.organization.0, at)? == 0 {
            return Ok(false);
        }
        let accounts = connected::forget_of_server(&mut tx, id).await?;
        let destroyed = execute!(&mut tx, DESTROY_CREDENTIALS, id.0)?;
        execute!(&mut tx, DESTROY_ANSWERS, id.0)?;
        execute!(&mut tx, END_APPROVALS, id.0)?;
        let noted = json!({
            "credentialsDestroyed": destroyed,
            "accountsDestroyed": accounts,
            "restorableUntil": now + RESTORABLE,
        });
        let act = NewAudit {
            after: Some(noted.to_string()),
            ..act.clone()
        };
        self.finish(tx, id, &act, at).await?;
        Ok(true)
    }

    /// Servers of an organization that can be restored, the last deleted first.
    pub async fn deleted_servers(
        &self,
        organization: OrganizationId,
        now: DateTime<Utc>,
    ) -> Result<Vec<DeletedRow>, StoreError> {
        let since = (now - RESTORABLE).timestamp_micros();
        fetch_all!(&self.db, DeletedRow, DELETED, organization.0, since)
    }

    /// Brings a server back as it was, without the credentials. `false`: it is too late, or it was not
    /// deleted.
    pub async fn restore_server(
        &self,
        id: ServerId,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let (at, since) = (
            now.timestamp_micros(),
            (now - RESTORABLE).timestamp_micros(),
        );
        if execute!(&mut tx, RESTORE, id.0, act.organization.0, at, since)? == 0 {
            return Ok(false);
        }
        self.finish(tx, id, act, at).await?;
        Ok(true)
    }

    /// Removes servers for good that nobody can restore any more, with everything that is their own, at
    /// most so many: how many it removed. The ledger, what calls add up to and the audit stay.
    pub async fn purge_servers(&self, now: DateTime<Utc>, at_most: i64) -> Result<u64, StoreError> {
        let until = (now - RESTORABLE).timestamp_micros();
        let due = fetch_all!(&self.db, DeletedRow, DUE, until, at_most)?;
        let mut purged = 0;
        for row in due {
            purged += u64::from(self.purge_server(&row, (until, now)).await?);
        }
        Ok(purged)
    }

    /// Removes one, in a transaction of its own. `false`: another process did, or it was restored.
    async fn purge_server(
        &self,
        row: &DeletedRow,
        (until, now): (i64, DateTime<Utc>),
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        if execute!(&mut tx, PURGE, row.id, until)? == 0 {
            return Ok(false);
        }
        let who = (OrganizationId(row.organization_id), PURGER.to_owned());
        let mut act = NewAudit::of(who, "purge", ("server", row.slug.clone()));
        act.before = Some(json!({ "id": row.id }).to_string());
        self.finish(tx, ServerId(row.id), &act, now.timestamp_micros())
            .await?;
        Ok(true)
    }
}

/// Who removes servers for good.
const PURGER: &str = "maintenance";
