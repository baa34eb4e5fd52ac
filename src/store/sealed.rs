//! Everything that is sealed, whatever table it is in: what sealed it, and how it gets sealed anew. What
//! is in it is the vault's affair.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::store::audit::{self, NewAudit};
use crate::store::db::{execute, fetch_all, fetch_optional, row};
use crate::store::{Store, StoreError};

/// Rows that another key sealed. An ended connection has no secret, and no key.
macro_rules! read {
    ($table:literal) => {
        concat!(
            "SELECT id, organization_id, key_id, sealed, NULL AS subject FROM ",
            $table,
            " WHERE key_id <> $1 AND key_id <> '' AND id > $2 ORDER BY id LIMIT $3"
        )
    };
}

/// Only what is still as it was read: somebody may have sealed something new meanwhile.
macro_rules! write {
    ($table:literal) => {
        concat!(
            "UPDATE ",
            $table,
            " SET key_id = $3, sealed = $4 WHERE id = $1 AND sealed = $2"
        )
    };
}

row! {
    #[derive(Clone, Debug)]
    pub struct SealedRow {
        pub id: Uuid,
        pub organization_id: Uuid,
        pub key_id: String,
        pub sealed: Vec<u8>,
        /// Whose it is, where that is part of what binds it.
        pub subject: Option<Uuid>,
    }
}

row! {
    /// How many rows of a table a master key sealed.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SealedByRow {
        pub place: String,
        pub key_id: String,
        pub count: i64,
    }
}

row! {
    /// A key that stays as it is.
    #[derive(Clone, Debug)]
    pub struct KeptKeyRow {
        pub key_id: String,
        pub sealed: Vec<u8>,
    }
}

/// A table whose rows are sealed with their organization and id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealedTable {
    Credentials,
    Connections,
    /// Accounts of people's own, which are sealed with whose they are too.
    Accounts,
    Authorizations,
    Answers,
    /// Answers of requests that are done once.
    Idempotency,
    /// Keys of providers of models.
    ProviderKeys,
    /// The shared secrets of one-time codes.
    Users,
}

/// What a row was sealed to, and is sealed to from now on.
#[derive(Clone, Debug)]
pub struct Resealed {
    pub id: Uuid,
    pub before: Vec<u8>,
    pub key_id: String,
    pub sealed: Vec<u8>,
}

impl SealedTable {
    pub const ALL: [Self; 8] = [
        Self::Credentials,
        Self::Connections,
        Self::Accounts,
        Self::Authorizations,
        Self::Answers,
        Self::Idempotency,
        Self::ProviderKeys,
        Self::Users,
    ];

    fn read(self) -> &'static str {
        match self {
            Self::Credentials => read!("credentials"),
            Self::Connections => read!("connections"),
            Self::Accounts => READ_ACCOUNTS,
            Self::Authorizations => read!("authorizations"),
            Self::Answers => read!("answers"),
            Self::Idempotency => read!("idempotency_keys"),
            Self::ProviderKeys => read!("provider_keys"),
            Self::Users => READ_USERS,
        }
    }

    fn write(self) -> &'static str {
        match self {
            Self::Credentials => write!("credentials"),
            Self::Connections => write!("connections"),
            Self::Accounts => write!("connected_accounts"),
            Self::Authorizations => write!("authorizations"),
            Self::Answers => write!("answers"),
            Self::Idempotency => write!("idempotency_keys"),
            Self::ProviderKeys => write!("provider_keys"),
            Self::Users => WRITE_USERS,
        }
    }
}

const READ_ACCOUNTS: &str = "SELECT id, organization_id, key_id, sealed, user_id AS subject FROM connected_accounts \
     WHERE key_id <> $1 AND key_id <> '' AND id > $2 ORDER BY id LIMIT $3";
const READ_USERS: &str = "SELECT id, organization_id, totp_key_id AS key_id, totp_sealed AS sealed, NULL AS subject FROM users \
     WHERE totp_key_id <> $1 AND id > $2 ORDER BY id LIMIT $3";
const WRITE_USERS: &str =
    "UPDATE users SET totp_key_id = $3, totp_sealed = $4 WHERE id = $1 AND totp_sealed = $2";
const COUNT: &str = "SELECT 'credentials' AS place, key_id, COUNT(*) AS count FROM credentials GROUP BY key_id \
     UNION ALL SELECT 'connections', key_id, COUNT(*) FROM connections WHERE key_id <> '' GROUP BY key_id \
     UNION ALL SELECT 'connected_accounts', key_id, COUNT(*) FROM connected_accounts WHERE key_id <> '' GROUP BY key_id \
     UNION ALL SELECT 'authorizations', key_id, COUNT(*) FROM authorizations GROUP BY key_id \
     UNION ALL SELECT 'answers', key_id, COUNT(*) FROM answers GROUP BY key_id \
     UNION ALL SELECT 'idempotency_keys', key_id, COUNT(*) FROM idempotency_keys WHERE key_id <> '' GROUP BY key_id \
     UNION ALL SELECT 'provider_keys', key_id, COUNT(*) FROM provider_keys GROUP BY key_id \
     UNION ALL SELECT 'users', totp_key_id, COUNT(*) FROM users WHERE totp_key_id IS NOT NULL GROUP BY totp_key_id \
     UNION ALL SELECT 'kept_keys', key_id, COUNT(*) FROM kept_keys GROUP BY key_id";
const KEPT: &str = "SELECT key_id, sealed FROM kept_keys WHERE purpose = $1";
const KEEP: &str = "INSERT INTO kept_keys (purpose, key_id, sealed) VALUES ($1, $2, $3) ON CONFLICT (purpose) DO NOTHING";
const RESEAL_KEPT: &str =
    "UPDATE kept_keys SET key_id = $3, sealed = $4 WHERE purpose = $1 AND sealed = $2";

impl Store {
    /// How many rows each master key sealed, by table.
    pub async fn sealed_by(&self) -> Result<Vec<SealedByRow>, StoreError> {
        fetch_all!(&self.db, SealedByRow, COUNT)
    }

    /// Up to `limit` rows that another key than `key_id` sealed, from the one that follows `after`.
    pub async fn sealed_otherwise(
        &self,
        table: SealedTable,
        key_id: &str,
        after: Uuid,
        limit: i64,
    ) -> Result<Vec<SealedRow>, StoreError> {
        fetch_all!(&self.db, SealedRow, table.read(), key_id, after, limit)
    }

    /// Puts rows in the place of what they were, in one transaction: how many still were that.
    pub async fn reseal(&self, table: SealedTable, rows: &[Resealed]) -> Result<u64, StoreError> {
        let mut tx = self.db.begin().await?;
        let mut done = 0;
        for row in rows {
            done += execute!(
                &mut tx,
                table.write(),
                row.id,
                row.before.as_slice(),
                &row.key_id,
                row.sealed.as_slice()
            )?;
        }
        tx.commit().await?;
        Ok(done)
    }

    /// The key that is kept for a purpose.
    pub async fn kept_key(&self, purpose: &str) -> Result<Option<KeptKeyRow>, StoreError> {
        fetch_optional!(&self.db, KeptKeyRow, KEPT, purpose)
    }

    /// Keeps a key for a purpose, unless one is kept.
    pub async fn keep_key(&self, purpose: &str, key: &KeptKeyRow) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        execute!(&mut tx, KEEP, purpose, &key.key_id, key.sealed.as_slice())?;
        tx.commit().await
    }

    /// Puts a kept key, sealed anew, in the place of what it was.
    pub async fn reseal_kept(
        &self,
        purpose: &str,
        before: &[u8],
        key: &KeptKeyRow,
    ) -> Result<u64, StoreError> {
        let mut tx = self.db.begin().await?;
        let done = execute!(
            &mut tx,
            RESEAL_KEPT,
            purpose,
            before,
            &key.key_id,
            key.sealed.as_slice()
        )?;
        tx.commit().await?;
        Ok(done)
    }

    /// Remembers what was done with master keys.
    pub async fn note_keys(&self, act: &NewAudit, now: DateTime<Utc>) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        audit::append(&mut tx, act, now.timestamp_micros()).await?;
        tx.commit().await
    }
}
