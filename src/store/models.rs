//! Providers of models, their sealed keys, and the names that lead to models. Settings are JSON, which is read
//! where it is used.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::store::audit::NewAudit;
use crate::store::changes::Change;
use crate::store::db::{Number, execute, fetch_all, fetch_in, fetch_optional, row};
use crate::store::servers::hold_names;
use crate::store::{Store, StoreError};
use crate::types::{ModelId, OrganizationId, ProviderId};

/// Of one organization, each.
pub const PROVIDERS_MAX: i64 = 200;
pub const MODELS_MAX: i64 = 2_000;
/// Of one provider.
pub const PROVIDER_KEYS_MAX: i64 = 50;

row! {
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ProviderRow {
        pub id: Uuid,
        pub organization_id: Uuid,
        pub name: String,
        pub kind: String,
        pub settings: String,
        pub updated_at: i64,
    }
}

row! {
    #[derive(Clone, Debug)]
    pub struct ProviderKeyRow {
        pub id: Uuid,
        pub organization_id: Uuid,
        pub provider_id: Uuid,
        pub name: String,
        pub ending: String,
        pub origin: String,
        pub key_id: String,
        pub sealed: Vec<u8>,
        pub created_at: i64,
    }
}

row! {
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ModelRow {
        pub id: Uuid,
        pub organization_id: Uuid,
        pub name: String,
        pub settings: String,
        pub updated_at: i64,
    }
}

/// What something that is stored takes the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsteadOf {
    /// Whatever has its name, or nothing.
    Anything,
    /// It is to be the first of its name.
    Nothing,
    /// What was stored then, in microseconds since 1970.
    StoredAt(i64),
}

/// A provider to be stored.
pub struct NewProvider<'a> {
    pub name: &'a str,
    pub kind: &'a str,
    pub settings: &'a str,
    pub instead_of: InsteadOf,
}

/// A model to be stored.
pub struct NewModel<'a> {
    pub name: &'a str,
    pub settings: &'a str,
    pub instead_of: InsteadOf,
}

/// A key to be stored, sealed for its id.
pub struct NewProviderKey<'a> {
    pub id: ProviderId,
    pub provider: ProviderId,
    pub name: &'a str,
    pub ending: &'a str,
    pub origin: &'a str,
    pub key_id: &'a str,
    pub sealed: &'a [u8],
}

/// What came of storing one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    Done,
    /// There are as many as there may be.
    Full,
    /// What it belongs to is not there.
    Missing,
}

const ALL_PROVIDERS: &str =
    "SELECT id, organization_id, name, kind, settings, updated_at FROM providers ORDER BY name";
const ALL_KEYS: &str = "SELECT id, organization_id, provider_id, name, ending, origin, key_id, sealed, created_at \
     FROM provider_keys ORDER BY created_at, id";
const ALL_MODELS: &str =
    "SELECT id, organization_id, name, settings, updated_at FROM models ORDER BY created_at, id";
const PROVIDERS: &str = "SELECT id, organization_id, name, kind, settings, updated_at FROM providers \
     WHERE organization_id = $1 AND name > $2 ORDER BY name LIMIT $3";
const PROVIDER: &str = "SELECT id, organization_id, name, kind, settings, updated_at FROM providers \
     WHERE organization_id = $1 AND name = $2";
const COUNT_PROVIDERS: &str = "SELECT COUNT(*) AS value FROM providers WHERE organization_id = $1";
const PUT_PROVIDER: &str = "INSERT INTO providers (id, organization_id, name, kind, settings, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT (organization_id, name) \
     DO UPDATE SET kind = excluded.kind, settings = excluded.settings, updated_at = excluded.updated_at";
const FORGET_OBJECTS: &str =
    "DELETE FROM provider_objects WHERE organization_id = $1 AND provider = $2";
const DELETE_PROVIDER: &str = "DELETE FROM providers WHERE organization_id = $1 AND name = $2";
const KEYS: &str = "SELECT id, organization_id, provider_id, name, ending, origin, key_id, sealed, created_at \
     FROM provider_keys WHERE provider_id = $1 ORDER BY name";
const COUNT_KEYS: &str = "SELECT COUNT(*) AS value FROM provider_keys WHERE provider_id = $1";
const THERE: &str =
    "SELECT COUNT(*) AS value FROM providers WHERE id = $1 AND organization_id = $2";
const DROP_KEY: &str =
    "DELETE FROM provider_keys WHERE provider_id = $1 AND organization_id = $2 AND name = $3";
const INSERT_KEY: &str = "INSERT INTO provider_keys (id, organization_id, provider_id, name, ending, origin, key_id, sealed, \
     created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const MODELS: &str = "SELECT id, organization_id, name, settings, updated_at FROM models \
     WHERE organization_id = $1 AND name > $2 ORDER BY name LIMIT $3";
const MODEL: &str = "SELECT id, organization_id, name, settings, updated_at FROM models \
     WHERE organization_id = $1 AND name = $2";
const COUNT_MODELS: &str = "SELECT COUNT(*) AS value FROM models WHERE organization_id = $1";
const PUT_MODEL: &str = "INSERT INTO models (id, organization_id, name, settings, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (organization_id, name) \
     DO UPDATE SET settings = excluded.settings, updated_at = excluded.updated_at";
const DELETE_MODEL: &str = "DELETE FROM models WHERE organization_id = $1 AND name = $2";

impl Store {
    /// Those of all organizations: what a process serves models by.
    pub async fn all_providers(&self) -> Result<Vec<ProviderRow>, StoreError> {
        fetch_all!(&self.db, ProviderRow, ALL_PROVIDERS)
    }

    pub async fn all_provider_keys(&self) -> Result<Vec<ProviderKeyRow>, StoreError> {
        fetch_all!(&self.db, ProviderKeyRow, ALL_KEYS)
    }

    pub async fn all_models(&self) -> Result<Vec<ModelRow>, StoreError> {
        fetch_all!(&self.db, ModelRow, ALL_MODELS)
    }

    /// Those that follow a name, by name.
    pub async fn providers_after(
        &self,
        organization: OrganizationId,
        (after, limit): (&str, i64),
    ) -> Result<Vec<ProviderRow>, StoreError> {
        fetch_all!(
            &self.db,
            ProviderRow,
            PROVIDERS,
            organization.0,
            after,
            limit
        )
    }

    pub async fn provider(
        &self,
        organization: OrganizationId,
        name: &str,
    ) -> Result<Option<ProviderRow>, StoreError> {
        fetch_optional!(&self.db, ProviderRow, PROVIDER, organization.0, name)
    }

    /// Stores a provider, in place of the one of that name; its keys stay.
    ///
    /// # Errors
    /// [`StoreError::Stale`] where that is another one than was expected.
    pub async fn put_provider(
        &self,
        new: NewProvider<'_>,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<Put, StoreError> {
        let mut tx = self.db.begin().await?;
        hold_names(&mut tx, ["providers"]).await?;
        let (at, organization) = (now.timestamp_micros(), act.organization.0);
        let known = fetch_in!(&mut tx, ProviderRow, PROVIDER, organization, new.name)?;
        check(new.instead_of, known.as_ref().map(|row| row.updated_at))?;
        let count = fetch_in!(&mut tx, Number, COUNT_PROVIDERS, organization)?;
        if known.is_none() && count.map_or(0, |row| row.value) >= PROVIDERS_MAX {
            return Ok(Put::Full);
        }
        let id = known.map_or_else(|| ProviderId::generate().0, |row| row.id);
        execute!(
            &mut tx,
            PUT_PROVIDER,
            id,
            organization,
            new.name,
            new.kind,
            new.settings,
            at
        )?;
        let change = (Change::Model(ModelId(id)), 1);
        self.commit_change(tx, act, change, at).await?;
        Ok(Put::Done)
    }

    /// Forgets a provider and its keys. `false`: there is none of that name.
    pub async fn delete_provider(
        &self,
        name: &str,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let (at, organization) = (now.timestamp_micros(), act.organization.0);
        let known = fetch_in!(&mut tx, ProviderRow, PROVIDER, organization, name)?;
        let Some(known) = known else {
            return Ok(false);
        };
        execute!(&mut tx, FORGET_OBJECTS, organization, name)?;
        execute!(&mut tx, DELETE_PROVIDER, organization, name)?;
        let change = (Change::Model(ModelId(known.id)), 2);
        self.commit_change(tx, act, change, at).await?;
        Ok(true)
    }

    /// The keys of a provider, by name.
    pub async fn provider_keys(
        &self,
        provider: ProviderId,
    ) -> Result<Vec<ProviderKeyRow>, StoreError> {
        fetch_all!(&self.db, ProviderKeyRow, KEYS, provider.0)
    }

    /// Stores a key, in place of the one of that name.
    pub async fn put_provider_key(
        &self,
        new: NewProviderKey<'_>,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<Put, StoreError> {
        let mut tx = self.db.begin().await?;
        hold_names(&mut tx, ["provider keys"]).await?;
        let (at, organization) = (now.timestamp_micros(), act.organization.0);
        let there = fetch_in!(&mut tx, Number, THERE, new.provider.0, organization)?;
        if there.is_none_or(|row| row.value == 0) {
            return Ok(Put::Missing);
        }
        execute!(&mut tx, DROP_KEY, new.provider.0, organization, new.name)?;
        let count = fetch_in!(&mut tx, Number, COUNT_KEYS, new.provider.0)?;
        if count.map_or(0, |row| row.value) >= PROVIDER_KEYS_MAX {
            return Ok(Put::Full);
        }
        execute!(
            &mut tx,
            INSERT_KEY,
            new.id.0,
            organization,
            new.provider.0,
            new.name,
            new.ending,
            new.origin,
            new.key_id,
            new.sealed,
            at
        )?;
        let change = (Change::Model(ModelId(new.provider.0)), 3);
        self.commit_change(tx, act, change, at).await?;
        Ok(Put::Done)
    }

    /// Forgets a key. `false`: there is none of that name.
    pub async fn delete_provider_key(
        &self,
        (provider, name): (ProviderId, &str),
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let (at, organization) = (now.timestamp_micros(), act.organization.0);
        if execute!(&mut tx, DROP_KEY, provider.0, organization, name)? == 0 {
            return Ok(false);
        }
        let change = (Change::Model(ModelId(provider.0)), 4);
        self.commit_change(tx, act, change, at).await?;
        Ok(true)
    }

    /// Those that follow a name, by name.
    pub async fn models_after(
        &self,
        organization: OrganizationId,
        (after, limit): (&str, i64),
    ) -> Result<Vec<ModelRow>, StoreError> {
        fetch_all!(&self.db, ModelRow, MODELS, organization.0, after, limit)
    }

    pub async fn model(
        &self,
        organization: OrganizationId,
        name: &str,
    ) -> Result<Option<ModelRow>, StoreError> {
        fetch_optional!(&self.db, ModelRow, MODEL, organization.0, name)
    }

    /// Stores what a name leads to, in place of what it led to.
    ///
    /// # Errors
    /// [`StoreError::Stale`] where that is something else than was expected.
    pub async fn put_model(
        &self,
        new: NewModel<'_>,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<Put, StoreError> {
        let mut tx = self.db.begin().await?;
        hold_names(&mut tx, ["models"]).await?;
        let (at, organization) = (now.timestamp_micros(), act.organization.0);
        let known = fetch_in!(&mut tx, ModelRow, MODEL, organization, new.name)?;
        check(new.instead_of, known.as_ref().map(|row| row.updated_at))?;
        let count = fetch_in!(&mut tx, Number, COUNT_MODELS, organization)?;
        if known.is_none() && count.map_or(0, |row| row.value) >= MODELS_MAX {
            return Ok(Put::Full);
        }
        let id = known.map_or_else(|| ModelId::generate().0, |row| row.id);
        execute!(
            &mut tx,
            PUT_MODEL,
            id,
            organization,
            new.name,
            new.settings,
            at
        )?;
        let change = (Change::Model(ModelId(id)), 1);
        self.commit_change(tx, act, change, at).await?;
        Ok(Put::Done)
    }

    /// Forgets a name. `false`: there is none like it.
    pub async fn delete_model(
        &self,
        name: &str,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let (at, organization) = (now.timestamp_micros(), act.organization.0);
        let known = fetch_in!(&mut tx, ModelRow, MODEL, organization, name)?;
        let Some(known) = known else {
            return Ok(false);
        };
        execute!(&mut tx, DELETE_MODEL, organization, name)?;
        let change = (Change::Model(ModelId(known.id)), 2);
        self.commit_change(tx, act, change, at).await?;
        Ok(true)
    }
}

/// Whether what is stored is what something is to take the place of.
fn check(instead_of: InsteadOf, stored: Option<i64>) -> Result<(), StoreError> {
    let is_so = match instead_of {
        InsteadOf::Anything => true,
        InsteadOf::Nothing => stored.is_none(),
        InsteadOf::StoredAt(at) => stored == Some(at),
    };
    if is_so {
        Ok(())
    } else {
        Err(StoreError::Stale)
    }
}
