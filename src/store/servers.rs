//! Servers, their immutable versions, their documents and their names.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::store::audit::NewAudit;
use crate::store::changes::Change;
use crate::store::credentials::{self, NewCredential};
use crate::store::db::{Number, Tx, execute, fetch_all, fetch_in, fetch_optional, row};
use crate::store::listed::{self, NewListed};
use crate::store::versions::end_older;
use crate::store::{Store, StoreError};
use crate::types::{OrganizationId, ServerId, Slug, UserId, VersionId};

row! {
    /// What the index knows of a server.
    #[derive(Clone, Debug)]
    pub struct IndexRow {
        pub id: Uuid,
        pub organization_id: Uuid,
        pub slug: String,
        pub title: String,
        pub settings: String,
        pub revision: i64,
        pub updated_at: i64,
        pub owner_id: Option<Uuid>,
        /// Why it is not served, if it is not: one word, since when, and what callers are told besides.
        pub closed: Option<String>,
        pub closed_at: Option<i64>,
        pub closed_note: Option<String>,
    }
}

row! {
    /// A name a server had before.
    #[derive(Clone, Debug)]
    pub struct AliasRow {
        pub slug: String,
        pub server_id: Uuid,
    }
}

row! {
    /// A server's revision, for comparing everything.
    #[derive(Clone, Debug)]
    pub struct RevisionRow {
        pub id: Uuid,
        pub revision: i64,
    }
}

row! {
    /// A server with its current version: all there is to compile it, but its credentials.
    #[derive(Clone, Debug)]
    pub struct ServerRow {
        pub id: Uuid,
        pub organization_id: Uuid,
        pub slug: String,
        pub title: String,
        pub settings: String,
        pub revision: i64,
        pub version_id: Uuid,
        pub number: i64,
        pub document_hash: Vec<u8>,
        pub document_url: Option<String>,
        pub converter: String,
        pub overlays: Option<String>,
        pub description: Option<String>,
        pub tools: String,
        pub schemes: String,
        pub findings: String,
        pub version_at: i64,
        pub owner_id: Option<Uuid>,
    }
}

row! {
    #[derive(Debug)]
    pub struct BytesRow {
        pub bytes: Vec<u8>,
    }
}

row! {
    #[derive(Debug)]
    pub struct NameRow {
        pub name: String,
    }
}

/// What an import makes of a server there is, together or not at all.
#[derive(Clone, Copy, Default)]
pub struct Import<'a> {
    /// Becomes the current version; `None`: the document is the one there is.
    pub version: Option<&'a NewVersion>,
    /// JSON; `None`: they stay.
    pub settings: Option<&'a str>,
    pub credentials: &'a [NewCredential],
    /// The change is made only if nobody changed the server since that revision.
    pub expected: Option<i64>,
}

/// What is changed of a server, together or not at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServerChange<'a> {
    /// JSON; `None`: they stay.
    pub settings: Option<&'a str>,
    /// `None`: it stays.
    pub slug: Option<&'a Slug>,
    /// The change is made only if nobody changed the server since that revision.
    pub expected: Option<i64>,
}

/// What a document became, ready to be stored. JSON members are serialized by the caller.
pub struct NewVersion {
    pub id: VersionId,
    pub document: Vec<u8>,
    /// SHA-256 of `document`.
    pub document_hash: [u8; 32],
    pub document_url: Option<String>,
    /// The texts of the overlays that were applied, a JSON list; `None`: there are none.
    pub overlays: Option<String>,
    pub converter: String,
    pub title: String,
    pub description: Option<String>,
    pub tools: String,
    pub schemes: String,
    pub findings: String,
    /// What the catalog shows of it.
    pub listed: NewListed,
}

/// A server to be made.
pub struct NewServer {
    pub id: ServerId,
    pub slug: Slug,
    /// `None`: the admins'.
    pub owner: Option<UserId>,
    /// Why it is not served yet, in one word; `None`: it is served at once.
    pub closed: Option<&'static str>,
    pub settings: String,
    pub version: NewVersion,
    /// Stored in the same transaction: a server is never seen without what was given with it.
    pub credentials: Vec<NewCredential>,
}

const INDEX: &str = "SELECT id, organization_id, slug, title, settings, revision, updated_at, owner_id, closed, closed_at, closed_note \
     FROM servers WHERE deleted_at IS NULL ORDER BY slug";
const INDEX_ONE: &str = "SELECT id, organization_id, slug, title, settings, revision, updated_at, owner_id, closed, closed_at, closed_note \
     FROM servers WHERE id = $1 AND deleted_at IS NULL";
const ALIASES: &str = "SELECT slug, server_id FROM server_aliases";
const ALIASES_OF: &str = "SELECT slug, server_id FROM server_aliases WHERE server_id = $1";
const REVISIONS: &str = "SELECT id, revision FROM servers WHERE deleted_at IS NULL";
const SERVER: &str = "SELECT s.id, s.organization_id, s.slug, s.title, s.settings, s.revision, s.version_id, v.number, \
     v.document_hash, v.document_url, v.overlays, v.converter, v.description, v.tools, v.schemes, v.findings, v.created_at AS version_at, s.owner_id \
     FROM servers s JOIN server_versions v ON v.id = s.version_id WHERE s.id = $1 AND s.deleted_at IS NULL";
const DOCUMENT: &str = "SELECT bytes FROM documents WHERE organization_id = $1 AND hash = $2";
const INSERT_DOCUMENT: &str = "INSERT INTO documents (organization_id, hash, bytes, created_at) \
     VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
const INSERT_SERVER: &str = "INSERT INTO servers \
     (id, organization_id, slug, title, settings, revision, version_id, created_at, updated_at, owner_id, closed, closed_at) \
     VALUES ($1, $2, $3, $4, $5, 1, $6, $7, $7, $8, $9, CASE WHEN $9 IS NULL THEN NULL ELSE $7 END)";
const INSERT_VERSION: &str = "INSERT INTO server_versions (id, organization_id, server_id, number, document_hash, \
     document_url, converter, title, description, tools, schemes, findings, created_at, overlays) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
const LAST_NUMBER: &str =
    "SELECT COALESCE(MAX(number), 0) AS value FROM server_versions WHERE server_id = $1";
const IMPORT: &str = "UPDATE servers SET version_id = COALESCE($3, version_id), title = COALESCE($4, title), \
     settings = COALESCE($5, settings), revision = revision + 1, updated_at = $6 \
     WHERE id = $1 AND organization_id = $2 AND deleted_at IS NULL AND ($7 IS NULL OR revision = $7)";
const EDIT: &str = "UPDATE servers SET settings = COALESCE($3, settings), slug = COALESCE($4, slug), \
     revision = revision + 1, updated_at = $5 \
     WHERE id = $1 AND organization_id = $2 AND deleted_at IS NULL AND ($6 IS NULL OR revision = $6)";
const SLUG: &str = "SELECT slug AS name FROM servers WHERE id = $1 AND organization_id = $2";
const INSERT_ALIAS: &str = "INSERT INTO server_aliases (slug, organization_id, server_id, created_at) VALUES ($1, $2, $3, $4)";
const TAKE_ALIAS: &str =
    "DELETE FROM server_aliases WHERE slug = $1 AND server_id = $2 AND organization_id = $3";
const ALIAS_TAKEN: &str = "SELECT COUNT(*) AS value FROM server_aliases WHERE slug = $1";
const TOUCH: &str = "UPDATE servers SET revision = revision + 1, updated_at = $3 \
     WHERE id = $1 AND organization_id = $2 AND deleted_at IS NULL";
/// Also of a server that was deleted, and of an earlier name: all of them are taken.
const IS_TAKEN: &str = "SELECT (SELECT COUNT(*) FROM servers WHERE slug = $1) + \
     (SELECT COUNT(*) FROM server_aliases WHERE slug = $1) AS value";
const REVISION: &str = "SELECT revision AS value FROM servers WHERE id = $1";

impl Store {
    /// Every server, by slug.
    pub async fn index(&self) -> Result<Vec<IndexRow>, StoreError> {
        fetch_all!(&self.db, IndexRow, INDEX)
    }

    pub async fn index_row(&self, id: ServerId) -> Result<Option<IndexRow>, StoreError> {
        fetch_optional!(&self.db, IndexRow, INDEX_ONE, id.0)
    }

    pub async fn aliases(&self) -> Result<Vec<AliasRow>, StoreError> {
        fetch_all!(&self.db, AliasRow, ALIASES)
    }

    pub async fn aliases_of(&self, id: ServerId) -> Result<Vec<AliasRow>, StoreError> {
        fetch_all!(&self.db, AliasRow, ALIASES_OF, id.0)
    }

    /// The revision of every server: what a process compares after it may have missed something.
    pub async fn revisions(&self) -> Result<Vec<RevisionRow>, StoreError> {
        fetch_all!(&self.db, RevisionRow, REVISIONS)
    }

    /// A server with its current version.
    pub async fn server(&self, id: ServerId) -> Result<Option<ServerRow>, StoreError> {
        fetch_optional!(&self.db, ServerRow, SERVER, id.0)
    }

    /// A document as it was uploaded.
    pub async fn document(
        &self,
        organization: OrganizationId,
        hash: &[u8],
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let row = fetch_optional!(&self.db, BytesRow, DOCUMENT, organization.0, hash)?;
        Ok(row.map(|row| row.bytes))
    }

    /// Makes a server with its first version. A slug that is taken, also as an alias, is a
    /// [`StoreError::Conflict`] on `servers_slug_unique`.
    pub async fn create_server(
        &self,
        new: &NewServer,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        hold_names(&mut tx, [new.slug.as_str()]).await?;
        slug_is_no_alias(&mut tx, &new.slug).await?;
        let (id, organization, at) = (new.id, act.organization, now.timestamp_micros());
        execute!(
            &mut tx,
            INSERT_SERVER,
            id.0,
            organization.0,
            new.slug.as_str(),
            &new.version.title,
            &new.settings,
            new.version.id.0,
            at,
            new.owner.map(|owner| owner.0),
            new.closed
        )?;
        insert_version(&mut tx, (organization, id, 1), &new.version, at).await?;
        for credential in &new.credentials {
            credentials::replace(&mut tx, credential, at).await?;
        }
        self.finish(tx, id, act, at).await
    }

    /// Carries out an import into a server there is. Gives the number of the version it made, which ends
    /// the canary and what waited.
    pub async fn import(
        &self,
        id: ServerId,
        import: Import<'_>,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<Option<i64>, StoreError> {
        let mut tx = self.db.begin().await?;
        let (organization, at) = (act.organization, now.timestamp_micros());
        // The row is locked first, so that two imports at once get two numbers.
        let changed = execute!(
            &mut tx,
            IMPORT,
            id.0,
            organization.0,
            import.version.map(|version| version.id.0),
            import.version.map(|version| &*version.title),
            import.settings,
            at,
            import.expected
        )?;
        if changed == 0 {
            return Err(StoreError::Stale);
        }
        let mut number = None;
        if let Some(version) = import.version {
            let last = append_version(&mut tx, (organization, id), version, at).await?;
            end_older(&mut tx, id, last).await?;
            number = Some(last);
        }
        for credential in import.credentials {
            credentials::replace(&mut tx, credential, at).await?;
        }
        self.finish(tx, id, act, at).await?;
        Ok(number)
    }

    /// Changes a server. An earlier slug stays as an alias; one that is taken, also as an alias, is a
    /// [`StoreError::Conflict`].
    pub async fn edit_server(
        &self,
        id: ServerId,
        change: ServerChange<'_>,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let (organization, at) = (act.organization, now.timestamp_micros());
        if let Some(new) = change.slug {
            let old = fetch_in!(&mut tx, NameRow, SLUG, id.0, organization.0)?;
            let old = old.ok_or(StoreError::Stale)?.name;
            hold_names(&mut tx, [&*old, new.as_str()]).await?;
            // Going back to an earlier name of its own is fine.
            execute!(&mut tx, TAKE_ALIAS, new.as_str(), id.0, organization.0)?;
            slug_is_no_alias(&mut tx, new).await?;
            execute!(&mut tx, INSERT_ALIAS, &old, organization.0, id.0, at)?;
        }
        let slug = change.slug.map(Slug::as_str);
        let changed = execute!(
            &mut tx,
            EDIT,
            id.0,
            organization.0,
            change.settings,
            slug,
            at,
            change.expected
        )?;
        if changed == 0 {
            return Err(StoreError::Stale);
        }
        self.finish(tx, id, act, at).await
    }

    /// Whether a name is some server's, or was, or is held for one that was deleted.
    pub async fn is_taken(&self, slug: &Slug) -> Result<bool, StoreError> {
        let found = fetch_optional!(&self.db, Number, IS_TAKEN, slug.as_str())?;
        Ok(found.is_some_and(|row| row.value > 0))
    }

    /// Bumps a server's revision because something of it changed elsewhere, and commits.
    pub(super) async fn touch_and_finish(
        &self,
        mut tx: Tx,
        id: ServerId,
        act: &NewAudit,
        at: i64,
    ) -> Result<(), StoreError> {
        if execute!(&mut tx, TOUCH, id.0, act.organization.0, at)? == 0 {
            return Err(StoreError::Stale);
        }
        self.finish(tx, id, act, at).await
    }

    pub(super) async fn finish(
        &self,
        mut tx: Tx,
        id: ServerId,
        act: &NewAudit,
        at: i64,
    ) -> Result<(), StoreError> {
        let revision = fetch_in!(&mut tx, Number, REVISION, id.0)?.map_or(0, |row| row.value);
        self.commit_change(tx, act, (Change::Server(id), revision), at)
            .await
    }
}

/// Nobody else gives out or takes these names until the transaction ends. A slug and an alias are rows
/// of two tables, so that no constraint spans them; SQLite has one writer and needs nothing.
pub(in crate::store) async fn hold_names<const N: usize>(
    tx: &mut Tx,
    mut names: [&str; N],
) -> Result<(), StoreError> {
    // In one order everywhere, so that two renames never wait for each other.
    names.sort_unstable();
    if let Tx::Postgres(tx) = tx {
        for name in names {
            sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))")
                .bind(name)
                .execute(&mut **tx)
                .await?;
        }
    }
    Ok(())
}

async fn slug_is_no_alias(tx: &mut Tx, slug: &Slug) -> Result<(), StoreError> {
    let taken = fetch_in!(tx, Number, ALIAS_TAKEN, slug.as_str())?.is_some_and(|row| row.value > 0);
    if taken {
        Err(StoreError::Conflict("servers_slug_unique".to_owned()))
    } else {
        Ok(())
    }
}

/// Stores a version after the last one, and gives its number. The server's row is locked.
pub(super) async fn append_version(
    tx: &mut Tx,
    (organization, server): (OrganizationId, ServerId),
    version: &NewVersion,
    at: i64,
) -> Result<i64, StoreError> {
    let last = fetch_in!(tx, Number, LAST_NUMBER, server.0)?.map_or(0, |row| row.value);
    let number = last + 1;
    insert_version(tx, (organization, server, number), version, at).await?;
    Ok(number)
}

async fn insert_version(
    tx: &mut Tx,
    (organization, server, number): (OrganizationId, ServerId, i64),
    version: &NewVersion,
    at: i64,
) -> Result<(), StoreError> {
    execute!(
        tx,
        INSERT_DOCUMENT,
        organization.0,
        version.document_hash.as_slice(),
        version.document.as_slice(),
        at
    )?;
    execute!(
        tx,
        INSERT_VERSION,
        version.id.0,
        organization.0,
        server.0,
        number,
        version.document_hash.as_slice(),
        version.document_url.as_deref(),
        &version.converter,
        &version.title,
        version.description.as_deref(),
        &version.tools,
        &version.schemes,
        &version.findings,
        at,
        version.overlays.as_deref()
    )?;
    listed::insert(tx, version.id, &version.listed).await
}
