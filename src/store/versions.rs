//! The versions of a server: listed, staged until somebody has looked at them, made the current one,
//! or served to some consumers first.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::store::audit::{self, NewAudit};
use crate::store::db::{Tx, execute, fetch_all, fetch_in, fetch_optional, row};
use crate::store::servers::{NewVersion, append_version};
use crate::store::{Store, StoreError};
use crate::types::ServerId;

row! {
    /// A line of a server's history.
    #[derive(Clone, Debug)]
    pub struct VersionRow {
        pub id: Uuid,
        pub number: i64,
        pub document_hash: Vec<u8>,
        pub document_url: Option<String>,
        pub converter: String,
        pub title: String,
        pub created_at: i64,
    }
}

row! {
    /// A version with all that is compiled from it.
    #[derive(Clone, Debug)]
    pub struct VersionParts {
        pub id: Uuid,
        pub number: i64,
        pub document_url: Option<String>,
        pub title: String,
        pub description: Option<String>,
        pub tools: String,
        pub schemes: String,
        pub findings: String,
        pub created_at: i64,
    }
}

row! {
    /// A version beside the current one.
    #[derive(Clone, Debug)]
    pub struct RolloutRow {
        pub kind: String,
        pub number: i64,
        pub percent: i64,
        pub created_at: i64,
    }
}

row! {
    /// A version that was made of a document.
    #[derive(Clone, Debug)]
    pub struct KnownRow {
        pub id: Uuid,
        pub number: i64,
        pub document_url: Option<String>,
        pub overlays: Option<String>,
        pub converter: String,
        /// 1: it waited, and somebody let go of it.
        pub discarded: i64,
    }
}

impl KnownRow {
    /// Whether it is what storing `version`, of the same document, would make.
    pub fn is(&self, version: &NewVersion) -> bool {
        self.document_url == version.document_url
            && self.overlays == version.overlays
            && self.converter == version.converter
    }
}

row! {
    #[derive(Debug)]
    pub struct IdRow {
        pub id: Uuid,
    }
}

/// Versions listed at most.
const LISTED_MAX: i64 = 200;
const LIST: &str = "SELECT id, number, document_hash, document_url, converter, title, created_at \
     FROM server_versions WHERE server_id = $1 AND number < $2 ORDER BY number DESC LIMIT $3";
const PARTS: &str = "SELECT id, number, document_url, title, description, tools, schemes, findings, created_at \
     FROM server_versions WHERE server_id = $1 AND number = $2";
const OF_DOCUMENT: &str = "SELECT v.id, v.number, v.document_url, v.overlays, v.converter, \
     CAST(CASE WHEN d.version_id IS NULL THEN 0 ELSE 1 END AS BIGINT) AS discarded FROM server_versions v \
     LEFT JOIN discarded_versions d ON d.version_id = v.id \
     WHERE v.server_id = $1 AND v.document_hash = $2 ORDER BY v.number DESC LIMIT $3";
const ROLLOUTS: &str = "SELECT r.kind, v.number, r.percent, r.created_at FROM rollouts r \
     JOIN server_versions v ON v.id = r.version_id WHERE r.server_id = $1 ORDER BY r.kind";
const LOCK: &str = "UPDATE servers SET updated_at = updated_at WHERE id = $1 AND organization_id = $2 AND deleted_at IS NULL";
const ID: &str = "SELECT id FROM server_versions WHERE server_id = $1 AND number = $2";
const ROLL_OUT: &str = "INSERT INTO rollouts (server_id, organization_id, kind, version_id, percent, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (server_id, kind) DO UPDATE SET \
     version_id = excluded.version_id, percent = excluded.percent, created_at = excluded.created_at";
const ROLL_BACK: &str =
    "DELETE FROM rollouts WHERE server_id = $1 AND organization_id = $2 AND kind = $3";
const END: &str = "DELETE FROM rollouts WHERE server_id = $1 AND (kind = 'canary' OR version_id IN \
     (SELECT id FROM server_versions WHERE server_id = $1 AND number <= $2))";
const DISCARD: &str = "INSERT INTO discarded_versions (version_id, organization_id, created_at) \
     SELECT version_id, organization_id, $3 FROM rollouts \
     WHERE server_id = $1 AND organization_id = $2 AND kind = 'staged' ON CONFLICT DO NOTHING";
const TAKE_BACK: &str =
    "DELETE FROM discarded_versions WHERE version_id = $1 AND organization_id = $2";
const PROMOTE: &str = "UPDATE servers SET version_id = $3, \
     title = (SELECT title FROM server_versions WHERE id = $3) \
     WHERE id = $1 AND organization_id = $2 AND deleted_at IS NULL AND ($4 IS NULL OR revision = $4)";

/// The two ways a version stands beside the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rollout {
    /// Nobody is served it yet.
    Staged,
    /// So many of a hundred consumers are served it.
    Canary(u8),
}

impl Rollout {
    fn kind(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Canary(_) => "canary",
        }
    }

    fn percent(self) -> i64 {
        match self {
            Self::Staged => 0,
            Self::Canary(percent) => i64::from(percent),
        }
    }
}

impl Store {
    /// The newest versions, newest first.
    pub async fn versions(&self, server: ServerId) -> Result<Vec<VersionRow>, StoreError> {
        self.versions_before(server, (i64::MAX, LISTED_MAX)).await
    }

    /// Those that are older than a version, newest first.
    pub async fn versions_before(
        &self,
        server: ServerId,
        (before, limit): (i64, i64),
    ) -> Result<Vec<VersionRow>, StoreError> {
        fetch_all!(&self.db, VersionRow, LIST, server.0, before, limit)
    }

    /// The newest versions that were made of a document, newest first.
    pub async fn versions_of(
        &self,
        server: ServerId,
        document_hash: &[u8],
    ) -> Result<Vec<KnownRow>, StoreError> {
        fetch_all!(
            &self.db,
            KnownRow,
            OF_DOCUMENT,
            server.0,
            document_hash,
            LISTED_MAX
        )
    }

    pub async fn version(
        &self,
        server: ServerId,
        number: i64,
    ) -> Result<Option<VersionParts>, StoreError> {
        fetch_optional!(&self.db, VersionParts, PARTS, server.0, number)
    }

    /// The versions beside the current one: at most one of each kind.
    pub async fn rollouts(&self, server: ServerId) -> Result<Vec<RolloutRow>, StoreError> {
        fetch_all!(&self.db, RolloutRow, ROLLOUTS, server.0)
    }

    /// Stores a version that waits for somebody to look at it, in place of one that waited before.
    /// Gives its number.
    pub async fn stage_version(
        &self,
        server: ServerId,
        version: &NewVersion,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<i64, StoreError> {
        let mut tx = self.db.begin().await?;
        let (organization, at) = (act.organization, now.timestamp_micros());
        // The row is locked first, so that two imports at once get two numbers.
        if execute!(&mut tx, LOCK, server.0, organization.0)? == 0 {
            return Err(StoreError::Stale);
        }
        let number = append_version(&mut tx, (organization, server), version, at).await?;
        roll_out(&mut tx, (server, version.id.0), Rollout::Staged, (act, at)).await?;
        audit::append(&mut tx, act, at).await?;
        tx.commit().await?;
        Ok(number)
    }

    /// Has a stored version wait for somebody to look at it, in place of one that waited before.
    pub async fn stage_again(
        &self,
        server: ServerId,
        version: &KnownRow,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let (organization, at) = (act.organization.0, now.timestamp_micros());
        execute!(&mut tx, TAKE_BACK, version.id, organization)?;
        roll_out(&mut tx, (server, version.id), Rollout::Staged, (act, at)).await?;
        audit::append(&mut tx, act, at).await?;
        tx.commit().await
    }

    /// Makes a stored version the current one, whether it is newer or older. A canary ends with it, and
    /// so does what waited and is older.
    /// `false`: there is no such version.
    pub async fn promote_version(
        &self,
        (server, number): (ServerId, i64),
        expected: Option<i64>,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let Some(version) = fetch_in!(&mut tx, IdRow, ID, server.0, number)? else {
            return Ok(false);
        };
        let organization = act.organization.0;
        let promoted = execute!(
            &mut tx,
            PROMOTE,
            server.0,
            organization,
            version.id,
            expected
        )?;
        if promoted == 0 {
            return Err(StoreError::Stale);
        }
        execute!(&mut tx, TAKE_BACK, version.id, organization)?;
        end_older(&mut tx, server, number).await?;
        self.touch_and_finish(tx, server, act, now.timestamp_micros())
            .await?;
        Ok(true)
    }

    /// Serves a version to some consumers. `false`: there is no such version.
    pub async fn start_canary(
        &self,
        (server, number): (ServerId, i64),
        percent: u8,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let at = now.timestamp_micros();
        let Some(version) = fetch_in!(&mut tx, IdRow, ID, server.0, number)? else {
            return Ok(false);
        };
        let canary = Rollout::Canary(percent);
        roll_out(&mut tx, (server, version.id), canary, (act, at)).await?;
        self.touch_and_finish(tx, server, act, at).await?;
        Ok(true)
    }

    /// Ends what stands beside the current version. A version that waited is remembered as one that
    /// somebody let go of. `false`: nothing of that kind did.
    pub async fn end_rollout(
        &self,
        server: ServerId,
        rollout: Rollout,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let (organization, at) = (act.organization.0, now.timestamp_micros());
        if rollout == Rollout::Staged {
            execute!(&mut tx, DISCARD, server.0, organization, at)?;
        }
        if execute!(&mut tx, ROLL_BACK, server.0, organization, rollout.kind())? == 0 {
            return Ok(false);
        }
        self.touch_and_finish(tx, server, act, at).await?;
        Ok(true)
    }
}

/// Ends the canary, and what waited and is not newer than the version that is the current one now.
pub(super) async fn end_older(
    tx: &mut Tx,
    server: ServerId,
    number: i64,
) -> Result<(), StoreError> {
    execute!(tx, END, server.0, number)?;
    Ok(())
}

async fn roll_out(
    tx: &mut Tx,
    (server, version): (ServerId, Uuid),
    rollout: Rollout,
    (act, at): (&NewAudit, i64),
) -> Result<(), StoreError> {
    let (kind, percent) = (rollout.kind(), rollout.percent());
    let organization = act.organization.0;
    execute!(
        tx,
        ROLL_OUT,
        server.0,
        organization,
        kind,
        version,
        percent,
        at
    )?;
    Ok(())
}
