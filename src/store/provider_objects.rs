//! Whose the files and batches are that callers keep at providers of models.

use uuid::Uuid;

use crate::store::db::{Number, execute, fetch_all, fetch_in, fetch_optional, row};
use crate::store::{Store, StoreError};
use crate::types::OrganizationId;

/// Of one owner and one kind, at all providers.
pub const OBJECTS_MAX: i64 = 10_000;

row! {
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ProviderObjectRow {
        pub object: String,
        pub provider_key_id: Option<Uuid>,
        pub created_at: i64,
    }
}

/// Whose it is, and where.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub organization: OrganizationId,
    pub provider: &'a str,
    pub owner: &'a str,
    /// `file` or `batch`.
    pub kind: &'a str,
}

const INSERT: &str = "INSERT INTO provider_objects (organization_id, provider, object, kind, owner, provider_key_id, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (organization_id, provider, object, owner) DO NOTHING";
const READ: &str = "SELECT object, provider_key_id, created_at FROM provider_objects \
     WHERE organization_id = $1 AND provider = $2 AND owner = $3 AND kind = $4 AND object = $5";
const BEFORE: &str = "SELECT object, provider_key_id, created_at FROM provider_objects \
     WHERE organization_id = $1 AND provider = $2 AND owner = $3 AND kind = $4 \
     AND (created_at < $5 OR (created_at = $5 AND object < $6)) ORDER BY created_at DESC, object DESC LIMIT $7";
const FORGET: &str = "DELETE FROM provider_objects \
     WHERE organization_id = $1 AND provider = $2 AND owner = $3 AND kind = $4 AND object = $5";
const OTHERS: &str = "SELECT COUNT(*) AS value FROM provider_objects \
     WHERE organization_id = $1 AND provider = $2 AND kind = $3 AND object = $4 AND owner <> $5";
const COUNT: &str = "SELECT COUNT(*) AS value FROM provider_objects \
     WHERE organization_id = $1 AND owner = $2 AND kind = $3";

impl Store {
    /// Notes that something is somebody's from now on.
    pub async fn keep_provider_object(
        &self,
        place: Place<'_>,
        (object, key): (&str, Option<Uuid>),
        at: i64,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        execute!(
            &mut tx,
            INSERT,
            place.organization.0,
            place.provider,
            object,
            place.kind,
            place.owner,
            key,
            at
        )?;
        tx.commit().await
    }

    /// Something of somebody's; `None`: it is nobody's, or somebody else's.
    pub async fn provider_object(
        &self,
        place: Place<'_>,
        object: &str,
    ) -> Result<Option<ProviderObjectRow>, StoreError> {
        fetch_optional!(
            &self.db,
            ProviderObjectRow,
            READ,
            place.organization.0,
            place.provider,
            place.owner,
            place.kind,
            object
        )
    }

    /// What is somebody's, the newest first, from before a time and an object.
    pub async fn provider_objects_before(
        &self,
        place: Place<'_>,
        (at, object): (i64, &str),
        limit: i64,
    ) -> Result<Vec<ProviderObjectRow>, StoreError> {
        fetch_all!(
            &self.db,
            ProviderObjectRow,
            BEFORE,
            place.organization.0,
            place.provider,
            place.owner,
            place.kind,
            at,
            object,
            limit
        )
    }

    /// Something is somebody's no more. `true`: it is nobody else's either.
    pub async fn forget_provider_object(
        &self,
        place: Place<'_>,
        object: &str,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        execute!(
            &mut tx,
            FORGET,
            place.organization.0,
            place.provider,
            place.owner,
            place.kind,
            object
        )?;
        let others = fetch_in!(
            &mut tx,
            Number,
            OTHERS,
            place.organization.0,
            place.provider,
            place.kind,
            object,
            place.owner
        )?;
        tx.commit().await?;
        Ok(others.is_none_or(|row| row.value == 0))
    }

    /// Whether something is also somebody else's.
    pub async fn is_provider_object_shared(
        &self,
        place: Place<'_>,
        object: &str,
    ) -> Result<bool, StoreError> {
        let others = fetch_optional!(
            &self.db,
            Number,
            OTHERS,
            place.organization.0,
            place.provider,
            place.kind,
            object,
            place.owner
        )?;
        Ok(others.is_some_and(|row| row.value > 0))
    }

    /// How many of a kind somebody has, at all providers.
    pub async fn count_provider_objects(
        &self,
        organization: OrganizationId,
        (owner, kind): (&str, &str),
    ) -> Result<i64, StoreError> {
        let count = fetch_optional!(&self.db, Number, COUNT, organization.0, owner, kind)?;
        Ok(count.map_or(0, |row| row.value))
    }
}
