//! Where documents are read again from time to time.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::store::audit::{self, NewAudit};
use crate::store::db::{execute, fetch_optional, row};
use crate::store::{Store, StoreError};
use crate::types::ServerId;

row! {
    #[derive(Clone, Debug)]
    pub struct SourceRow {
        pub server_id: Uuid,
        pub organization_id: Uuid,
        pub url: String,
        pub every_s: i64,
        pub next_at: i64,
        pub etag: Option<String>,
        pub last_modified: Option<String>,
        pub checked_at: Option<i64>,
        pub outcome: Option<String>,
        pub detail: Option<String>,
    }
}

/// What a look at a source came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checked<'a> {
    /// Validators of the document that was read; `None`: they stay.
    pub validators: Option<(Option<&'a str>, Option<&'a str>)>,
    pub outcome: &'a str,
    pub detail: Option<&'a str>,
}

const SOURCE: &str = "SELECT server_id, organization_id, url, every_s, next_at, etag, last_modified, checked_at, outcome, detail \
     FROM sources WHERE server_id = $1";
const DUE: &str = "SELECT server_id, organization_id, url, every_s, next_at, etag, last_modified, checked_at, outcome, detail \
     FROM sources WHERE next_at <= $1 \
     AND server_id NOT IN (SELECT id FROM servers WHERE deleted_at IS NOT NULL) ORDER BY next_at LIMIT 1";
const TAKE: &str = "UPDATE sources SET next_at = $3 WHERE server_id = $1 AND next_at = $2";
const PUT: &str = "INSERT INTO sources (server_id, organization_id, url, every_s, next_at) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (server_id) DO UPDATE SET url = excluded.url, every_s = excluded.every_s, next_at = excluded.next_at, \
     etag = NULL, last_modified = NULL";
const REMOVE: &str = "DELETE FROM sources WHERE server_id = $1 AND organization_id = $2";
const CHECKED: &str = "UPDATE sources SET checked_at = $2, outcome = $3, detail = $4 WHERE server_id = $1 AND url = $5";
const READ: &str =
    "UPDATE sources SET etag = $2, last_modified = $3 WHERE server_id = $1 AND url = $4";

impl Store {
    /// Where a server's document is read again, if it is.
    pub async fn source(&self, server: ServerId) -> Result<Option<SourceRow>, StoreError> {
        fetch_optional!(&self.db, SourceRow, SOURCE, server.0)
    }

    /// Reads a server's document again every so many seconds, beginning now.
    pub async fn put_source(
        &self,
        server: ServerId,
        (url, every_s): (&str, i64),
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let (organization, at) = (act.organization.0, now.timestamp_micros());
        execute!(&mut tx, PUT, server.0, organization, url, every_s, at)?;
        audit::append(&mut tx, act, at).await?;
        tx.commit().await
    }

    /// `false`: it was not read again anyway.
    pub async fn delete_source(
        &self,
        server: ServerId,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        if execute!(&mut tx, REMOVE, server.0, act.organization.0)? == 0 {
            return Ok(false);
        }
        audit::append(&mut tx, act, now.timestamp_micros()).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// A source that is due. Of many processes that ask, one gets it; its next time is set before it
    /// is looked at, so that one that hangs is not looked at by all of them.
    pub async fn take_due_source(
        &self,
        now: DateTime<Utc>,
    ) -> Result<Option<SourceRow>, StoreError> {
        let at = now.timestamp_micros();
        let Some(source) = fetch_optional!(&self.db, SourceRow, DUE, at)? else {
            return Ok(None);
        };
        let next = now + TimeDelta::seconds(source.every_s);
        let mut tx = self.db.begin().await?;
        let next = next.timestamp_micros();
        let taken = execute!(&mut tx, TAKE, source.server_id, source.next_at, next)?;
        tx.commit().await?;
        Ok((taken == 1).then_some(source))
    }

    /// Notes what a look at `url` came to, unless the document is read from elsewhere by now.
    pub async fn source_checked(
        &self,
        (server, url): (ServerId, &str),
        checked: Checked<'_>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let at = now.timestamp_micros();
        execute!(
            &mut tx,
            CHECKED,
            server.0,
            at,
            checked.outcome,
            checked.detail,
            url
        )?;
        if let Some((etag, last_modified)) = checked.validators {
            execute!(&mut tx, READ, server.0, etag, last_modified, url)?;
        }
        tx.commit().await
    }
}
