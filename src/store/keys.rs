//! Consumers and their API keys.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::store::audit::NewAudit;
use crate::store::changes::Change;
use crate::store::db::{execute, fetch_all, fetch_in, fetch_optional, row};
use crate::store::{Store, StoreError};
use crate::types::{ConsumerId, KeyId, OrganizationId};

row! {
    /// A key as it is stored: never the key itself.
    #[derive(Clone, Debug)]
    pub struct KeyRow {
        pub id: Uuid,
        pub organization_id: Uuid,
        pub consumer_id: Uuid,
        pub name: String,
        pub prefix: String,
        pub grants: Option<String>,
        pub created_at: i64,
        pub expires_at: Option<i64>,
        pub revoked_at: Option<i64>,
        pub last_used_at: Option<i64>,
    }
}

row! {
    #[derive(Clone, Debug)]
    pub struct ConsumerRow {
        pub id: Uuid,
        pub name: String,
        pub created_at: i64,
    }
}

/// A key to be stored.
pub struct NewKey {
    pub id: KeyId,
    pub organization: OrganizationId,
    /// The consumer it is for; made if there is none of that name.
    pub consumer: String,
    pub name: String,
    pub prefix: String,
    pub hash: [u8; 32],
    pub grants: Option<String>,
    pub expires_at: Option<DateTime<Utc>>,
}

const BY_HASH: &str = "SELECT id, organization_id, consumer_id, name, prefix, grants, created_at, expires_at, revoked_at, \
     last_used_at FROM api_keys WHERE hash = $1";
const LIST: &str = "SELECT id, organization_id, consumer_id, name, prefix, grants, created_at, expires_at, revoked_at, \
     last_used_at FROM api_keys WHERE organization_id = $1 ORDER BY created_at DESC LIMIT 1000";
const CONSUMERS: &str = "SELECT id, name, created_at FROM consumers WHERE organization_id = $1 ORDER BY name LIMIT 1000";
const CONSUMER: &str =
    "SELECT id, name, created_at FROM consumers WHERE organization_id = $1 AND name = $2";
const INSERT_CONSUMER: &str = "INSERT INTO consumers (id, organization_id, name, created_at) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (organization_id, name) DO NOTHING";
const INSERT: &str = "INSERT INTO api_keys (id, organization_id, consumer_id, name, prefix, hash, grants, created_at, \
     expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const REVOKE: &str = "UPDATE api_keys SET revoked_at = $3 WHERE id = $1 AND organization_id = $2 AND revoked_at IS NULL";
const USED: &str = "UPDATE api_keys SET last_used_at = $2 WHERE id = $1";

impl Store {
    pub async fn key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<KeyRow>, StoreError> {
        fetch_optional!(&self.db, KeyRow, BY_HASH, hash.as_slice())
    }

    /// The newest thousand, revoked ones too.
    pub async fn keys(&self, organization: OrganizationId) -> Result<Vec<KeyRow>, StoreError> {
        fetch_all!(&self.db, KeyRow, LIST, organization.0)
    }

    pub async fn consumers(
        &self,
        organization: OrganizationId,
    ) -> Result<Vec<ConsumerRow>, StoreError> {
        fetch_all!(&self.db, ConsumerRow, CONSUMERS, organization.0)
    }

    /// The consumer of that name.
    pub async fn consumer(
        &self,
        organization: OrganizationId,
        name: &str,
    ) -> Result<Option<ConsumerRow>, StoreError> {
        fetch_optional!(&self.db, ConsumerRow, CONSUMER, organization.0, name)
    }

    /// Stores a key, and its consumer where that is new.
    pub async fn create_key(
        &self,
        new: NewKey,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<ConsumerId, StoreError> {
        let mut tx = self.db.begin().await?;
        let at = now.timestamp_micros();
        let (organization, fresh) = (new.organization, ConsumerId::generate());
        execute!(
            &mut tx,
            INSERT_CONSUMER,
            fresh.0,
            organization.0,
            &new.consumer,
            at
        )?;
        let consumer = fetch_in!(
            &mut tx,
            ConsumerRow,
            CONSUMER,
            organization.0,
            &new.consumer
        )?
        .ok_or(StoreError::Stale)?;
        execute!(
            &mut tx,
            INSERT,
            new.id.0,
            organization.0,
            consumer.id,
            &new.name,
            &new.prefix,
            new.hash.as_slice(),
            new.grants.as_deref(),
            at,
            new.expires_at.map(|at| at.timestamp_micros())
        )?;
        self.commit_change(tx, act, (Change::Key(new.id), 1), at)
            .await?;
        Ok(ConsumerId(consumer.id))
    }

    /// Ends a key. `false`: there is none of that id, or it had ended.
    pub async fn revoke_key(
        &self,
        id: KeyId,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let at = now.timestamp_micros();
        if execute!(&mut tx, REVOKE, id.0, act.organization.0, at)? == 0 {
            return Ok(false);
        }
        self.commit_change(tx, act, (Change::Key(id), 2), at)
            .await?;
        Ok(true)
    }

    /// Notes when keys were last used. Not a change of the catalog.
    pub async fn note_key_use(&self, used: &[(KeyId, i64)]) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        for (id, at) in used {
            execute!(&mut tx, USED, id.0, *at)?;
        }
        tx.commit().await
    }
}
