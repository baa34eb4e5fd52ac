//! What owners changed of tools, by operation.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::store::audit::NewAudit;
use crate::store::db::{Tx, execute, fetch_all, row};
use crate::store::{Store, StoreError};
use crate::types::ServerId;

row! {
    #[derive(Clone, Debug)]
    pub struct CurationRow {
        pub operation: String,
        /// JSON.
        pub changes: String,
    }
}

const LIST: &str =
    "SELECT operation, changes FROM curations WHERE server_id = $1 ORDER BY operation";
const PUT: &str = "INSERT INTO curations (organization_id, server_id, operation, changes, updated_at) \
     VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (server_id, operation) DO UPDATE SET changes = excluded.changes, updated_at = excluded.updated_at";
const REMOVE: &str =
    "DELETE FROM curations WHERE server_id = $1 AND organization_id = $2 AND operation = $3";

impl Store {
    /// The curations of a server, by operation.
    pub async fn curations(&self, server: ServerId) -> Result<Vec<CurationRow>, StoreError> {
        fetch_all!(&self.db, CurationRow, LIST, server.0)
    }

    /// Sets the curation of an operation, or takes it away.
    pub async fn put_curation(
        &self,
        (server, operation): (ServerId, &str),
        changes: Option<&str>,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let (organization, at) = (act.organization.0, now.timestamp_micros());
        put(&mut tx, (organization, server), (operation, changes), at).await?;
        self.touch_and_finish(tx, server, act, at).await
    }

    /// Sets the curations of operations, or takes them away: all of them or none.
    pub async fn put_curations(
        &self,
        server: ServerId,
        changes: &[(String, Option<String>)],
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let (organization, at) = (act.organization.0, now.timestamp_micros());
        for (operation, changes) in changes {
            put(
                &mut tx,
                (organization, server),
                (operation, changes.as_deref()),
                at,
            )
            .await?;
        }
        self.touch_and_finish(tx, server, act, at).await
    }
}

/// Sets one curation, or takes it away.
async fn put(
    tx: &mut Tx,
    (organization, server): (Uuid, ServerId),
    (operation, changes): (&str, Option<&str>),
    at: i64,
) -> Result<(), StoreError> {
    match changes {
        Some(changes) => execute!(tx, PUT, organization, server.0, operation, changes, at)?,
        None => execute!(tx, REMOVE, server.0, organization, operation)?,
    };
    Ok(())
}
