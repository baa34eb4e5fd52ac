//! Which of its secrets a server signs its webhooks with: a number, of which the secret is made.
//!
//! Whoever is shown a secret, or makes another, is judged by the owner they saw the server with: each statement asks
//! the database whether it still is that owner's.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::store::audit::{NewAudit, append};
use crate::store::db::{Number, Tx, execute, fetch_in, fetch_optional, row};
use crate::store::{Store, StoreError};
use crate::types::{ServerId, UserId};

row! {
    /// What an owner set of a server.
    pub struct SettingsRow {
        pub settings: String,
    }
}

/// A server, and whose it was when somebody was found to manage it; `None`: the admins'.
pub type SeenOwner = (ServerId, Option<UserId>);

const NUMBER: &str = "SELECT number AS value FROM webhook_secrets WHERE server_id = $1";
const NUMBER_OF: &str = "SELECT COALESCE(w.number, 0) AS value FROM servers s LEFT JOIN webhook_secrets w ON w.server_id = s.id \
     WHERE s.id = $1 AND s.owner_id IS NOT DISTINCT FROM $2 AND s.deleted_at IS NULL";
const HOLD_OF: &str = "UPDATE servers SET updated_at = updated_at \
     WHERE id = $1 AND owner_id IS NOT DISTINCT FROM $2 AND deleted_at IS NULL";
const RENEW: &str = "INSERT INTO webhook_secrets (server_id, number, created_at) VALUES ($1, 1, $2) \
     ON CONFLICT (server_id) DO UPDATE SET number = webhook_secrets.number + 1, created_at = excluded.created_at";
const SETTINGS: &str = "SELECT settings FROM servers WHERE id = $1";
const SET: &str = "UPDATE servers SET settings = $2 WHERE id = $1";
/// The setting that names the URL, as settings are stored.
const SETTING: &str = "approvalWebhook";

impl Store {
    /// The number of the secret that is good now; the first of a server is 0.
    pub async fn webhook_secret(&self, server: ServerId) -> Result<i64, StoreError> {
        let row = fetch_optional!(&self.db, Number, NUMBER, server.0)?;
        Ok(row.map_or(0, |row| row.value))
    }

    /// The same while the server is whose it was seen to be; `None`: it is not any more.
    pub async fn webhook_secret_of(
        &self,
        (server, owner): SeenOwner,
    ) -> Result<Option<i64>, StoreError> {
        let owner = owner.map(|owner| owner.0);
        let row = fetch_optional!(&self.db, Number, NUMBER_OF, server.0, owner)?;
        Ok(row.map(|row| row.value))
    }

    /// Makes the next secret the one that is good, for all processes at once: its number. Of a server that is
    /// somebody else's by now nothing is changed: [`StoreError::Stale`].
    pub async fn renew_webhook_secret(
        &self,
        (server, owner): SeenOwner,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<i64, StoreError> {
        let mut tx = self.db.begin().await?;
        let at = now.timestamp_micros();
        // The row is locked first: a transfer at the same time comes before, and is seen, or after all of this.
        if execute!(&mut tx, HOLD_OF, server.0, owner.map(|owner| owner.0))? == 0 {
            return Err(StoreError::Stale);
        }
        renew(&mut tx, server, at).await?;
        let row = fetch_in!(&mut tx, Number, NUMBER, server.0)?;
        append(&mut tx, act, at).await?;
        tx.commit().await?;
        row.map(|row| row.value).ok_or(StoreError::Stale)
    }
}

/// What a change of owners does to the webhook of a server whose row is locked: whoever had it is told of its calls
/// no more, and what they noted of its secret is worth nothing.
pub(super) async fn change_hands(tx: &mut Tx, server: ServerId, at: i64) -> Result<(), StoreError> {
    renew(tx, server, at).await?;
    let row = fetch_in!(&mut *tx, SettingsRow, SETTINGS, server.0)?;
    let row = row.ok_or(StoreError::Stale)?;
    if let Some(settings) = without_webhook(&row.settings)? {
        execute!(tx, SET, server.0, settings)?;
    }
    Ok(())
}

async fn renew(tx: &mut Tx, server: ServerId, at: i64) -> Result<(), StoreError> {
    execute!(tx, RENEW, server.0, at)?;
    Ok(())
}

/// Settings as they are stored, without the URL; `None`: they have none.
fn without_webhook(settings: &str) -> Result<Option<String>, StoreError> {
    let mut settings: Value = serde_json::from_str(settings)
        .map_err(|_| StoreError::Corrupt("a server's settings".to_owned()))?;
    let removed = settings.as_object_mut().and_then(|it| it.remove(SETTING));
    Ok(removed.map(|_| settings.to_string()))
}
