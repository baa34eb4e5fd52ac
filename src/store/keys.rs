//! Consumers and their API keys.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::store::audit::NewAudit;
use crate::store::changes::Change;
use crate::store::db::{Number, Tx, execute, fetch_all, fetch_in, fetch_optional, row};
use crate::store::servers::hold_names;
use crate::store::{Store, StoreError};
use crate::types::{ConsumerId, KeyId, OrganizationId, UserId};

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
        /// The key it took the place of.
        pub replaces: Option<Uuid>,
        /// Who made it for themselves; `None`: the admins.
        pub owner_id: Option<Uuid>,
        /// The models it may ask for, as JSON; `None`: what its grants say.
        pub models: Option<String>,
    }
}

row! {
    #[derive(Clone, Debug)]
    pub struct ConsumerRow {
        pub id: Uuid,
        pub name: String,
        pub created_at: i64,
        pub owner_id: Option<Uuid>,
    }
}

row! {
    /// A key, and the one it took the place of.
    #[derive(Clone, Debug)]
    pub struct ReplacingRow {
        pub id: Uuid,
        pub replaces: Uuid,
    }
}

/// A key to be stored.
pub struct NewKey {
    pub id: KeyId,
    pub organization: OrganizationId,
    /// Whose it is; `None`: the admins'.
    pub owner: Option<UserId>,
    /// How many keys that are good its owner may have with it; one more is a [`StoreError::Conflict`] on
    /// [`OWNED_MAX`].
    pub owned_max: Option<u64>,
    /// A consumer of that name has to be theirs too; else it is a [`StoreError::Conflict`] on
    /// `consumers_name_unique`.
    pub own_only: bool,
    /// The consumer it is for; made if there is none of that name.
    pub consumer: String,
    pub name: String,
    pub prefix: String,
    pub hash: [u8; 32],
    pub grants: Option<String>,
    pub models: Option<String>,
    pub expires_at: Option<DateTime<Utc>>,
}

/// A secret that takes the place of another.
pub struct NewSecret {
    pub id: KeyId,
    pub prefix: String,
    pub hash: [u8; 32],
    /// The key that is replaced, and when it ends.
    pub replaces: KeyId,
    pub ends_at: DateTime<Utc>,
    /// As of a new key: the one that is replaced counts for as long as it goes on.
    pub owned_max: Option<u64>,
}

/// What a key conflicts with whose owner has as many as anybody may have.
pub const OWNED_MAX: &str = "api_keys_owned_max";

/// What came of replacing a key.
#[derive(Debug)]
pub enum Replaced {
    /// The new one.
    Done(Box<KeyRow>),
    /// There is none of that id.
    Missing,
    /// It was revoked, or expired.
    Ended,
    /// It was replaced before.
    Already,
}

/// What somebody's keys open goes with their account.
const BY_HASH: &str = "SELECT k.id, k.organization_id, k.consumer_id, k.name, k.prefix, k.grants, k.created_at, k.expires_at, \
     COALESCE(k.revoked_at, u.disabled_at) AS revoked_at, k.last_used_at, k.replaces, k.owner_id, k.models \
     FROM api_keys k LEFT JOIN users u ON u.id = k.owner_id WHERE k.hash = $1";
const ONE: &str = "SELECT id, organization_id, consumer_id, name, prefix, grants, created_at, expires_at, revoked_at, \
     last_used_at, replaces, owner_id, models FROM api_keys WHERE id = $1 AND organization_id = $2";
const LIST: &str = "SELECT id, organization_id, consumer_id, name, prefix, grants, created_at, expires_at, revoked_at, \
     last_used_at, replaces, owner_id, models FROM api_keys WHERE organization_id = $1 AND ($2 IS NULL OR owner_id = $2) \
     AND (created_at, id) < ($3, $4) ORDER BY created_at DESC, id DESC LIMIT $5";
/// Of the keys that took the place of one as old as these.
const REPLACING: &str = "SELECT r.id, r.replaces FROM api_keys k JOIN api_keys r ON r.replaces = k.id \
     WHERE k.organization_id = $1 AND k.created_at <= $2 AND k.created_at >= $3 LIMIT 10000";
const REPLACEMENT: &str = "SELECT id, organization_id, consumer_id, name, prefix, grants, created_at, expires_at, revoked_at, \
     last_used_at, replaces, owner_id, models FROM api_keys WHERE replaces = $1";
const END_BY: &str = "UPDATE api_keys SET expires_at = $3 WHERE id = $1 AND revoked_at IS NULL \
     AND (expires_at IS NULL OR expires_at > $3) AND organization_id = $2";
const REPLACE: &str = "INSERT INTO api_keys (id, organization_id, consumer_id, name, prefix, hash, grants, created_at, \
     expires_at, replaces, owner_id, models) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
const CONSUMERS: &str = "SELECT id, name, created_at, owner_id FROM consumers WHERE organization_id = $1 AND name > $2 ORDER BY name LIMIT $3";
const CONSUMER: &str =
    "SELECT id, name, created_at, owner_id FROM consumers WHERE organization_id = $1 AND name = $2";
const FIND_CONSUMERS: &str = "SELECT id, name, created_at, owner_id FROM consumers WHERE organization_id = $1 AND name > $2 \
     AND LOWER(name) LIKE $3 ESCAPE '!' ORDER BY name LIMIT $4";
const NAMED: &str = "SELECT id, name, created_at, owner_id FROM consumers WHERE id = $1";
const INSERT_CONSUMER: &str = "INSERT INTO consumers (id, organization_id, name, created_at, owner_id) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (organization_id, name) DO NOTHING";
const INSERT: &str = "INSERT INTO api_keys (id, organization_id, consumer_id, name, prefix, hash, grants, created_at, \
     expires_at, owner_id, models) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
const REVOKE: &str = "UPDATE api_keys SET revoked_at = $3 WHERE id = $1 AND organization_id = $2 AND revoked_at IS NULL";
const OWNED: &str = "SELECT COUNT(*) AS value FROM api_keys WHERE owner_id = $1 AND revoked_at IS NULL \
     AND (expires_at IS NULL OR expires_at > $2)";
const USED: &str = "UPDATE api_keys SET last_used_at = $2 WHERE id = $1";

impl Store {
    pub async fn key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<KeyRow>, StoreError> {
        fetch_optional!(&self.db, KeyRow, BY_HASH, hash.as_slice())
    }

    /// The newest thousand, revoked ones too; of one person, or of everybody.
    pub async fn keys(
        &self,
        organization: OrganizationId,
        owner: Option<UserId>,
    ) -> Result<Vec<KeyRow>, StoreError> {
        self.keys_after(organization, owner, (None, 1_000)).await
    }

    /// The same, of those that are older than the one made then with that id.
    pub async fn keys_after(
        &self,
        organization: OrganizationId,
        owner: Option<UserId>,
        (after, limit): (Option<(i64, Uuid)>, i64),
    ) -> Result<Vec<KeyRow>, StoreError> {
        let owner = owner.map(|owner| owner.0);
        let (at, id) = after.unwrap_or((i64::MAX, Uuid::max()));
        fetch_all!(&self.db, KeyRow, LIST, organization.0, owner, at, id, limit)
    }

    /// Which keys took the place of those made between these moments.
    pub async fn replacing(
        &self,
        organization: OrganizationId,
        (newest, oldest): (i64, i64),
    ) -> Result<Vec<ReplacingRow>, StoreError> {
        fetch_all!(
            &self.db,
            ReplacingRow,
            REPLACING,
            organization.0,
            newest,
            oldest
        )
    }

    pub async fn key(
        &self,
        organization: OrganizationId,
        id: KeyId,
    ) -> Result<Option<KeyRow>, StoreError> {
        fetch_optional!(&self.db, KeyRow, ONE, id.0, organization.0)
    }

    pub async fn consumers(
        &self,
        organization: OrganizationId,
    ) -> Result<Vec<ConsumerRow>, StoreError> {
        self.consumers_after(organization, ("", 1_000)).await
    }

    /// Those that follow a name, by name.
    pub async fn consumers_after(
        &self,
        organization: OrganizationId,
        (after, limit): (&str, i64),
    ) -> Result<Vec<ConsumerRow>, StoreError> {
        fetch_all!(
            &self.db,
            ConsumerRow,
            CONSUMERS,
            organization.0,
            after,
            limit
        )
    }

    /// The same, of those whose name holds a text, in whatever case.
    pub async fn find_consumers(
        &self,
        organization: OrganizationId,
        text: &str,
        (after, limit): (&str, i64),
    ) -> Result<Vec<ConsumerRow>, StoreError> {
        let mut pattern = "%".to_owned();
        for letter in text.to_lowercase().chars() {
            if matches!(letter, '%' | '_' | '!') {
                pattern.push('!');
            }
            pattern.push(letter);
        }
        pattern.push('%');
        fetch_all!(
            &self.db,
            ConsumerRow,
            FIND_CONSUMERS,
            organization.0,
            after,
            pattern,
            limit
        )
    }

    /// What a consumer of any organization is called.
    pub async fn consumer_name(&self, id: ConsumerId) -> Result<Option<String>, StoreError> {
        let row = fetch_optional!(&self.db, ConsumerRow, NAMED, id.0)?;
        Ok(row.map(|row| row.name))
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
            at,
            new.owner.map(|owner| owner.0)
        )?;
        let consumer = fetch_in!(
            &mut tx,
            ConsumerRow,
            CONSUMER,
            organization.0,
            &new.consumer
        )?
        .ok_or(StoreError::Stale)?;
        if new.own_only && consumer.owner_id != new.owner.map(|owner| owner.0) {
            return Err(StoreError::Conflict("consumers_name_unique".to_owned()));
        }
        room_for_one(&mut tx, (new.owner.map(|owner| owner.0), new.owned_max), at).await?;
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
            new.expires_at.map(|at| at.timestamp_micros()),
            new.owner.map(|owner| owner.0),
            new.models.as_deref()
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

    /// Replaces a key by a new one of the same consumer, name, grants and models, that lasts as long from now on
    /// as the old one was made for.
    pub async fn replace_key(
        &self,
        new: NewSecret,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<Replaced, StoreError> {
        let mut tx = self.db.begin().await?;
        let (at, organization) = (now.timestamp_micros(), act.organization.0);
        hold_names(&mut tx, [&format!("key {}", new.replaces)]).await?;
        let Some(old) = fetch_in!(&mut tx, KeyRow, ONE, new.replaces.0, organization)? else {
            return Ok(Replaced::Missing);
        };
        if fetch_in!(&mut tx, KeyRow, REPLACEMENT, old.id)?.is_some() {
            return Ok(Replaced::Already);
        }
        if old.revoked_at.is_some() || old.expires_at.is_some_and(|end| end <= at) {
            return Ok(Replaced::Ended);
        }
        // One that ends earlier by itself still does.
        let ends_at = new.ends_at.timestamp_micros();
        execute!(&mut tx, END_BY, old.id, organization, ends_at)?;
        // One for one is no key more, however many there are.
        if ends_at > at {
            room_for_one(&mut tx, (old.owner_id, new.owned_max), at).await?;
        }
        let life = old.expires_at.map(|end| end - old.created_at);
        execute!(
            &mut tx,
            REPLACE,
            new.id.0,
            organization,
            old.consumer_id,
            &old.name,
            &new.prefix,
            new.hash.as_slice(),
            old.grants.as_deref(),
            at,
            life.map(|life| at.saturating_add(life)),
            old.id,
            old.owner_id,
            old.models.as_deref()
        )?;
        let made = fetch_in!(&mut tx, KeyRow, ONE, new.id.0, organization)?;
        let made = made.ok_or(StoreError::Stale)?;
        self.commit_change(tx, act, (Change::Key(new.id), 1), at)
            .await?;
        Ok(Replaced::Done(Box::new(made)))
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

/// Whether somebody may have one more key: those that are good at that moment are counted, one such question at a
/// time.
async fn room_for_one(
    tx: &mut Tx,
    (owner, max): (Option<Uuid>, Option<u64>),
    at: i64,
) -> Result<(), StoreError> {
    let (Some(owner), Some(max)) = (owner, max) else {
        return Ok(());
    };
    hold_names(tx, [&format!("keys of {owner}")]).await?;
    let owned = fetch_in!(tx, Number, OWNED, owner, at)?.map_or(0, |row| row.value);
    if u64::try_from(owned).unwrap_or_default() < max {
        Ok(())
    } else {
        Err(StoreError::Conflict(OWNED_MAX.to_owned()))
    }
}
