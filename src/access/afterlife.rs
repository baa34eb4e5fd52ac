//! What is left to do after something was deleted, done from time to time by every process: the database
//! sees to it that each piece of it is done once.

use chrono::{DateTime, Utc};

use crate::store::audit::NewAudit;
use crate::store::personal::ErasureRow;
use crate::store::{Store, StoreError};
use crate::types::{OrganizationId, ServerId, Slug, UserId};

/// Servers removed in one turn. Each is a transaction of its own, so that others write in between.
const PURGED_MAX: i64 = 50;

/// Rows of the audit changed in one transaction, and transactions in one turn of one erasure.
const REDACTED_MAX: i64 = 200;
const TURNS_MAX: usize = 50;
/// Who does it.
const ACTOR: &str = "maintenance";

/// Does what is due at that moment, in microseconds. What fails is tried again the next time.
pub async fn tidy(store: &Store, now: i64) {
    let at = DateTime::from_timestamp_micros(now).unwrap_or_default();
    if let Err(error) = finish_erasures(store, at).await {
        tracing::warn!(error = %error, "erasures cannot be gone on with now");
    }
    match purge(store, now).await {
        Ok(gone) if gone > 0 => tracing::info!(gone, "deleted servers were removed for good"),
        Ok(_) => {}
        Err(error) => tracing::warn!(error = %error, "deleted servers cannot be removed now"),
    }
}

/// Goes on with every erasure that is not through.
pub async fn finish_erasures(store: &Store, now: DateTime<Utc>) -> Result<(), StoreError> {
    for erasure in store.pending_erasures().await? {
        release(store, &erasure, now).await?;
        for _ in 0..TURNS_MAX {
            if !store.redact_audit(&erasure, (now, REDACTED_MAX)).await? {
                break;
            }
        }
    }
    Ok(())
}

/// Makes the servers of somebody who was erased the admins'.
async fn release(
    store: &Store,
    erasure: &ErasureRow,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    loop {
        let rows = store
            .servers_of(erasure.id, (uuid::Uuid::nil(), 100))
            .await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            let who = (OrganizationId(erasure.organization_id), ACTOR.to_owned());
            let slug: Slug = row
                .slug
                .parse()
                .map_err(|_| StoreError::Corrupt("a server's slug".to_owned()))?;
            let act = NewAudit::of_server(who, "release", &slug);
            let (id, owner) = (ServerId(row.id), UserId(erasure.id));
            store.release_server(id, owner, &act, now).await?;
        }
    }
}

/// Removes for good what can be restored no more, in batches: how many servers there were.
async fn purge(store: &Store, now: i64) -> Result<u64, StoreError> {
    let now = DateTime::from_timestamp_micros(now).unwrap_or_default();
    let mut gone = 0;
    loop {
        let purged = store.purge_servers(now, PURGED_MAX).await?;
        gone += purged;
        if purged == 0 {
            return Ok(gone);
        }
    }
}
