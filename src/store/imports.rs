//! Which server a bulk import made of which item, so that the next import of it is a new version; and
//! what failed, so that any process can try it again.

use chrono::{DateTime, Utc};

use crate::store::db::{execute, fetch_all, fetch_optional, row};
use crate::store::{Store, StoreError};
use crate::types::{JobId, OrganizationId, ServerId};

row! {
    #[derive(Debug)]
    pub struct SlugRow {
        pub slug: String,
    }
}

row! {
    /// A file of an item that failed, or where its document is.
    #[derive(Debug)]
    pub struct FailedRow {
        pub position: i64,
        pub item: String,
        pub url: Option<String>,
        pub file: Option<String>,
        pub bytes: Option<Vec<u8>>,
    }
}

const KEEP: &str = "INSERT INTO failed_items (job_id, organization_id, position, place, item, url, file, bytes) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const FAILED: &str = "SELECT position, item, url, file, bytes FROM failed_items \
     WHERE job_id = $1 AND organization_id = $2 ORDER BY position, place";
const FORGET_FAILED: &str = "DELETE FROM failed_items WHERE organization_id = $1 AND job_id NOT IN \
     (SELECT id FROM jobs WHERE organization_id = $1 AND kind = $2 AND payload <> '' ORDER BY run_at DESC, id DESC LIMIT $3)";
const SLUG: &str = "SELECT s.slug FROM import_items i JOIN servers s ON s.id = i.server_id \
     WHERE i.organization_id = $1 AND i.collection = $2 AND i.name = $3 AND s.deleted_at IS NULL";
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

/// An item that failed, as it is kept.
#[derive(Clone, Debug)]
pub struct FailedItem<'a> {
    /// In its import.
    pub position: usize,
    pub name: &'a str,
    pub source: FailedSource<'a>,
}

/// What an item is made of.
#[derive(Clone, Debug)]
pub enum FailedSource<'a> {
    Url(&'a str),
    /// Names and contents, the one to begin with first.
    Files(Vec<(&'a str, &'a [u8])>),
}

impl Store {
    /// Keeps an item of a job that failed.
    pub async fn keep_failed(
        &self,
        (organization, job): (OrganizationId, JobId),
        item: &FailedItem<'_>,
    ) -> Result<(), StoreError> {
        let rows = match &item.source {
            FailedSource::Url(url) => vec![(Some(*url), None, None)],
            FailedSource::Files(files) => {
                let files = files.iter();
                files
                    .map(|(name, bytes)| (None, Some(*name), Some(*bytes)))
                    .collect()
            }
        };
        let position = i64::try_from(item.position).unwrap_or(i64::MAX);
        let mut tx = self.db.begin().await?;
        for (place, (url, file, bytes)) in (0_i64..).zip(rows) {
            execute!(
                &mut tx,
                KEEP,
                job.0,
                organization.0,
                position,
                place,
                item.name,
                url,
                file,
                bytes
            )?;
        }
        tx.commit().await
    }

    /// The files of the items of a job that failed, in order.
    pub async fn failed_items(
        &self,
        organization: OrganizationId,
        job: JobId,
    ) -> Result<Vec<FailedRow>, StoreError> {
        fetch_all!(&self.db, FailedRow, FAILED, job.0, organization.0)
    }

    /// Forgets what failed in all but the last `kept_max` jobs of that kind.
    pub async fn forget_failed(
        &self,
        organization: OrganizationId,
        kind: &str,
        kept_max: i64,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        execute!(&mut tx, FORGET_FAILED, organization.0, kind, kept_max)?;
        tx.commit().await
    }

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
