//! What the catalog shows and finds of servers, without their documents.

use uuid::Uuid;

use crate::store::db::{Tx, execute, fetch_all, fetch_optional, row};
use crate::store::servers::RevisionRow;
use crate::store::{Store, StoreError};
use crate::types::{ServerId, VersionId};

/// What is listed of a version. JSON members are serialized by the caller.
#[derive(Clone, Debug, Default)]
pub struct NewListed {
    pub summary: String,
    pub tags: String,
    pub tools: String,
}

row! {
    /// A server as the catalog lists it.
    #[derive(Clone, Debug)]
    pub struct ListedRow {
        pub id: Uuid,
        pub slug: String,
        pub title: String,
        pub settings: String,
        pub created_at: i64,
        pub summary: String,
        pub tags: String,
        pub tools: String,
    }
}

row! {
    /// A curation, and whose it is.
    #[derive(Clone, Debug)]
    pub struct CuratedRow {
        pub server_id: Uuid,
        pub operation: String,
        pub changes: String,
    }
}

const LISTED: &str = "SELECT s.id, s.slug, s.title, s.settings, s.created_at, c.summary, c.tags, c.tools \
     FROM servers s JOIN catalog_entries c ON c.version_id = s.version_id \
     WHERE s.deleted_at IS NULL ORDER BY s.slug";
const LISTED_ONE: &str = "SELECT s.id, s.slug, s.title, s.settings, s.created_at, c.summary, c.tags, c.tools \
     FROM servers s JOIN catalog_entries c ON c.version_id = s.version_id \
     WHERE s.id = $1 AND s.deleted_at IS NULL";
const CURATED: &str =
    "SELECT server_id, operation, changes FROM curations ORDER BY server_id, operation";
const UNLISTED: &str = "SELECT s.id, s.revision FROM servers s \
     LEFT JOIN catalog_entries c ON c.version_id = s.version_id WHERE c.version_id IS NULL AND s.deleted_at IS NULL ORDER BY s.id";
const INSERT: &str = "INSERT INTO catalog_entries (version_id, summary, tags, tools) \
     VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";

impl Store {
    /// Every server whose current version is listed, by slug.
    pub async fn listed(&self) -> Result<Vec<ListedRow>, StoreError> {
        fetch_all!(&self.db, ListedRow, LISTED)
    }

    pub async fn listed_one(&self, id: ServerId) -> Result<Option<ListedRow>, StoreError> {
        fetch_optional!(&self.db, ListedRow, LISTED_ONE, id.0)
    }

    /// Every curation there is.
    pub async fn curated(&self) -> Result<Vec<CuratedRow>, StoreError> {
        fetch_all!(&self.db, CuratedRow, CURATED)
    }

    /// Servers whose current version is from before there were lists.
    pub async fn unlisted(&self) -> Result<Vec<RevisionRow>, StoreError> {
        fetch_all!(&self.db, RevisionRow, UNLISTED)
    }

    /// Lists a version that was stored before; one that is listed stays as it is.
    pub async fn list_version(
        &self,
        version: VersionId,
        listed: &NewListed,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        insert(&mut tx, version, listed).await?;
        tx.commit().await
    }
}

pub(super) async fn insert(
    tx: &mut Tx,
    version: VersionId,
    listed: &NewListed,
) -> Result<(), StoreError> {
    execute!(
        tx,
        INSERT,
        version.0,
        &listed.summary,
        &listed.tags,
        &listed.tools
    )?;
    Ok(())
}
