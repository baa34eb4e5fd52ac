//! What is left to do after something was deleted, done from time to time by every process: the database
//! sees to it that each piece of it is done once.

use chrono::DateTime;

use crate::store::{Store, StoreError};

/// Servers removed in one turn. Each is a transaction of its own, so that others write in between.
const PURGED_MAX: i64 = 50;

/// Does what is due at that moment, in microseconds. What fails is tried again the next time.
pub async fn tidy(store: &Store, now: i64) {
    match purge(store, now).await {
        Ok(gone) if gone > 0 => tracing::info!(gone, "deleted servers were removed for good"),
        Ok(_) => {}
        Err(error) => tracing::warn!(error = %error, "deleted servers cannot be removed now"),
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
