//! Which server a bulk import made of which item, so that the next import of it is a new version.

use chrono::{DateTime, Utc};

use crate::store::db::{execute, fetch_optional, row};
use crate::store::{Store, StoreError};
use crate::types::{OrganizationId, ServerId};

row! {
    #[derive(Debug)]
    pub struct SlugRow {
        pub slug: String,
    }
}

const SLUG: &str = "SELECT s.slug FROM import_items i JOIN servers s ON s.id = i.server_id \
     WHERE i.organization_id = $1 AND i.collection = $2 AND i.name = $3";
const REMEMBER: &str = "INSERT INTO import_items (organization_id, collection, name, server_id, updated_at) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (organization_id, collection, name) \
     DO UPDATE SET server_id = excluded.server_id, updated_at = excluded.updated_at";

/// An item of a bulk import: its name is unique within its collection.
#[derive(Clone, Copy, Debug)]
pub struct ImportItem<'a> {
    pub organization: OrganizationId,
    pub collection: &'a str,
    pub name: &'a str,
}

impl Store {
    /// The slug of the server that an item became, if it is still there.
    pub async fn slug_of_item(&self, item: ImportItem<'_>) -> Result<Option<String>, StoreError> {
        let organization = item.organization.0;
        let row = fetch_optional!(
            &self.db,
            SlugRow,
            SLUG,
            organization,
            item.collection,
            item.name
        )?;
        Ok(row.map(|row| row.slug))
    }

    /// Remembers which server an item became.
    pub async fn remember_item(
        &self,
        item: ImportItem<'_>,
        server: ServerId,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        execute!(
            &mut tx,
            REMEMBER,
            item.organization.0,
            item.collection,
            item.name,
            server.0,
            now.timestamp_micros()
        )?;
        tx.commit().await
    }
}
