//! Which of its secrets a server signs its webhooks with: a number, of which the secret is made.

use chrono::{DateTime, Utc};

use crate::store::audit::{NewAudit, append};
use crate::store::db::{Number, Tx, execute, fetch_in, fetch_optional};
use crate::store::{Store, StoreError};
use crate::types::ServerId;

const NUMBER: &str = "SELECT number AS value FROM webhook_secrets WHERE server_id = $1";
const RENEW: &str = "INSERT INTO webhook_secrets (server_id, number, created_at) VALUES ($1, 1, $2) \
     ON CONFLICT (server_id) DO UPDATE SET number = webhook_secrets.number + 1, created_at = excluded.created_at";

impl Store {
    /// The number of the secret that is good now; the first of a server is 0.
    pub async fn webhook_secret(&self, server: ServerId) -> Result<i64, StoreError> {
        let row = fetch_optional!(&self.db, Number, NUMBER, server.0)?;
        Ok(row.map_or(0, |row| row.value))
    }

    /// Makes the next secret the one that is good, for all processes at once: its number.
    pub async fn renew_webhook_secret(
        &self,
        server: ServerId,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<i64, StoreError> {
        let mut tx = self.db.begin().await?;
        let at = now.timestamp_micros();
        renew(&mut tx, server, at).await?;
        let row = fetch_in!(&mut tx, Number, NUMBER, server.0)?;
        append(&mut tx, act, at).await?;
        tx.commit().await?;
        row.map(|row| row.value).ok_or(StoreError::Stale)
    }
}

/// The same as part of something greater.
pub(super) async fn renew(tx: &mut Tx, server: ServerId, at: i64) -> Result<(), StoreError> {
    execute!(tx, RENEW, server.0, at)?;
    Ok(())
}
