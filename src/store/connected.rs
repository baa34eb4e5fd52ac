//! Accounts that people connected for the calls that are made for them, and the links by which they do. What is
//! sealed in them is the vault's affair.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::store::audit::{self, NewAudit};
use crate::store::connections::ConnectionRow;
use crate::store::db::{Tx, execute, fetch_all, fetch_in, fetch_optional, row};
use crate::store::personal::Page;
use crate::store::{Store, StoreError};
use crate::types::{CredentialId, OrganizationId, ServerId, UserId};

row! {
    #[derive(Clone, Debug)]
    pub struct AccountRow {
        pub id: Uuid,
        pub organization_id: Uuid,
        pub server_id: Uuid,
        pub scheme: String,
        pub user_id: Uuid,
        /// The OAuth client its tokens were got with; of a secret, nothing.
        pub credential_id: Option<Uuid>,
        /// `connected` or `ended`.
        pub state: String,
        pub key_id: String,
        pub sealed: Vec<u8>,
        pub origins: String,
        pub generation: i64,
        pub created_at: i64,
        pub last_used_at: Option<i64>,
    }
}

row! {
    /// An account without what is sealed in it, as people see it.
    #[derive(Clone, Debug)]
    pub struct ShownRow {
        pub id: Uuid,
        pub server_id: Uuid,
        pub slug: String,
        pub title: String,
        pub scheme: String,
        pub user_id: Uuid,
        pub user_name: String,
        pub credential_id: Option<Uuid>,
        pub state: String,
        pub origins: String,
        pub created_at: i64,
        pub last_used_at: Option<i64>,
    }
}

row! {
    /// A link that was given out.
    #[derive(Clone, Debug)]
    pub struct LinkRow {
        pub organization_id: Uuid,
        pub server_id: Uuid,
        pub scheme: String,
        pub user_id: Uuid,
        pub expires_at: i64,
    }
}

/// Whose account it is, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    pub organization: OrganizationId,
    pub server: ServerId,
    pub scheme: &'a str,
    pub user: UserId,
}

/// An account to be stored; it takes the place of the one before.
pub struct NewAccount<'a> {
    pub id: Uuid,
    pub place: Place<'a>,
    pub credential: Option<CredentialId>,
    pub key_id: String,
    pub sealed: Vec<u8>,
    /// JSON list.
    pub origins: String,
}

/// Links of one person that are open at once; the oldest make room.
const LINKS_MAX: i64 = 20;
/// The last use is written down once in so long.
const USED_EVERY_US: i64 = 60_000_000;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, organization_id, server_id, scheme, user_id, credential_id, state, key_id, sealed, origins, \
             generation, created_at, last_used_at FROM connected_accounts ",
            $rest
        )
    };
}

macro_rules! shown {
    ($rest:literal) => {
        concat!(
            "SELECT a.id, a.server_id, s.slug, s.title, a.scheme, a.user_id, u.name AS user_name, a.credential_id, a.state, \
             a.origins, a.created_at, a.last_used_at FROM connected_accounts a JOIN servers s ON s.id = a.server_id \
             JOIN users u ON u.id = a.user_id ",
            $rest
        )
    };
}

const OF: &str = select!("WHERE server_id = $1 AND scheme = $2 AND user_id = $3");
const BY_ID: &str = select!("WHERE id = $1 AND user_id = $2");
const SHOWN_OF_USER: &str = shown!("WHERE a.user_id = $1 AND a.id > $2 ORDER BY a.id LIMIT $3");
const SHOWN_OF_SERVER: &str = shown!("WHERE a.server_id = $1 AND a.id > $2 ORDER BY a.id LIMIT $3");
const CONNECTION: &str = "SELECT id, organization_id, state, key_id, sealed, generation, user_id FROM connected_accounts \
     WHERE credential_id = $1 AND user_id = $2";
/// Whoever deletes the server or disables the person at the same time comes before or after.
const HOLD_SERVER: &str = "UPDATE servers SET updated_at = updated_at WHERE id = $1 AND organization_id = $2 AND deleted_at IS NULL";
const HOLD_USER: &str =
    "UPDATE users SET name = name WHERE id = $1 AND organization_id = $2 AND disabled_at IS NULL";
const FORGET: &str =
    "DELETE FROM connected_accounts WHERE server_id = $1 AND scheme = $2 AND user_id = $3";
const INSERT: &str = "INSERT INTO connected_accounts (id, organization_id, server_id, scheme, user_id, credential_id, state, \
     key_id, sealed, origins, generation, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, 'connected', $7, $8, $9, 1, $10, $10)";
const DISCONNECT: &str = "DELETE FROM connected_accounts WHERE id = $1 AND user_id = $2";
const USED: &str = "UPDATE connected_accounts SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at <= $3)";
const FORGET_OF_USER: &str = "DELETE FROM connected_accounts WHERE user_id = $1";
const FORGET_LINKS_OF_USER: &str = "DELETE FROM connect_links WHERE user_id = $1";
const FORGET_BEGUN_OF_USER: &str = "DELETE FROM authorizations WHERE user_id = $1";
const FORGET_OF_SERVER: &str = "DELETE FROM connected_accounts WHERE server_id = $1";
const FORGET_LINKS_OF_SERVER: &str = "DELETE FROM connect_links WHERE server_id = $1";
const FORGET_OF_SCHEME: &str =
    "DELETE FROM connected_accounts WHERE server_id = $1 AND scheme = $2";
const FORGET_LINKS_OF_SCHEME: &str =
    "DELETE FROM connect_links WHERE server_id = $1 AND scheme = $2";

const EXPIRE: &str = "DELETE FROM connect_links WHERE expires_at <= $1";
const EVICT: &str = "DELETE FROM connect_links WHERE user_id = $1 AND id NOT IN \
     (SELECT id FROM connect_links WHERE user_id = $1 ORDER BY expires_at DESC, id LIMIT $2)";
const OFFER: &str = "INSERT INTO connect_links (id, organization_id, server_id, scheme, user_id, expires_at) \
     VALUES ($1, $2, $3, $4, $5, $6)";
const OFFERED: &str = "SELECT organization_id, server_id, scheme, user_id, expires_at FROM connect_links \
     WHERE id = $1 AND expires_at > $2";
const TAKE: &str = "DELETE FROM connect_links WHERE id = $1 AND user_id = $2 AND expires_at > $3";
/// Links to what was just disconnected are no way back.
const CLOSE: &str =
    "DELETE FROM connect_links WHERE server_id = $1 AND scheme = $2 AND user_id = $3";

impl Store {
    /// Somebody's account for a scheme of a server.
    pub async fn account(
        &self,
        (server, scheme, user): (ServerId, &str, UserId),
    ) -> Result<Option<AccountRow>, StoreError> {
        fetch_optional!(&self.db, AccountRow, OF, server.0, scheme, user.0)
    }

    /// The account of that id, if it is this person's.
    pub async fn account_by_id(
        &self,
        id: Uuid,
        user: UserId,
    ) -> Result<Option<AccountRow>, StoreError> {
        fetch_optional!(&self.db, AccountRow, BY_ID, id, user.0)
    }

    /// The tokens somebody got with a client.
    pub(crate) async fn connection_of(
        &self,
        credential: CredentialId,
        user: UserId,
    ) -> Result<Option<ConnectionRow>, StoreError> {
        fetch_optional!(&self.db, ConnectionRow, CONNECTION, credential.0, user.0)
    }

    /// The accounts of a person, without what is sealed.
    pub async fn accounts_of(
        &self,
        user: UserId,
        (after, limit): Page,
    ) -> Result<Vec<ShownRow>, StoreError> {
        fetch_all!(&self.db, ShownRow, SHOWN_OF_USER, user.0, after, limit)
    }

    /// The accounts people have at a server, without what is sealed.
    pub async fn accounts_at(
        &self,
        server: ServerId,
        (after, limit): Page,
    ) -> Result<Vec<ShownRow>, StoreError> {
        fetch_all!(&self.db, ShownRow, SHOWN_OF_SERVER, server.0, after, limit)
    }

    /// Keeps an account in the place of the one before. `false`: the server or the person is gone.
    pub async fn keep_account(
        &self,
        new: &NewAccount<'_>,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let (at, place) = (now.timestamp_micros(), new.place);
        let (server, user, organization) = (place.server.0, place.user.0, place.organization.0);
        if execute!(&mut tx, HOLD_SERVER, server, organization)? == 0
            || execute!(&mut tx, HOLD_USER, user, organization)? == 0
        {
            return Ok(false);
        }
        execute!(&mut tx, FORGET, server, place.scheme, user)?;
        execute!(
            &mut tx,
            INSERT,
            new.id,
            organization,
            server,
            place.scheme,
            user,
            new.credential.map(|credential| credential.0),
            &new.key_id,
            new.sealed.as_slice(),
            &new.origins,
            at
        )?;
        audit::append(&mut tx, act, at).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Destroys somebody's account, and their links to it. `false`: there is none of that id, or it is
    /// not theirs.
    pub async fn disconnect_account(
        &self,
        row: &AccountRow,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        if execute!(&mut tx, DISCONNECT, row.id, row.user_id)? == 0 {
            return Ok(false);
        }
        let (server, user) = (row.server_id, row.user_id);
        execute!(&mut tx, CLOSE, server, &row.scheme, user)?;
        audit::append(&mut tx, act, now.timestamp_micros()).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Remembers when an account was used last.
    pub async fn account_used(&self, id: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
        let at = now.timestamp_micros();
        let mut tx = self.db.begin().await?;
        execute!(&mut tx, USED, id, at, at - USED_EVERY_US)?;
        tx.commit().await
    }

    /// Destroys what people have for a scheme of a server: it is not theirs to connect any more.
    pub async fn forget_accounts(&self, server: ServerId, scheme: &str) -> Result<u64, StoreError> {
        let mut tx = self.db.begin().await?;
        let forgotten = execute!(&mut tx, FORGET_OF_SCHEME, server.0, scheme)?;
        execute!(&mut tx, FORGET_LINKS_OF_SCHEME, server.0, scheme)?;
        tx.commit().await?;
        Ok(forgotten)
    }

    /// Keeps a link until `until`.
    pub async fn offer_account(
        &self,
        (id, place): (Uuid, Place<'_>),
        (now, until): (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        execute!(&mut tx, EXPIRE, now.timestamp_micros())?;
        execute!(&mut tx, EVICT, place.user.0, LINKS_MAX - 1)?;
        execute!(
            &mut tx,
            OFFER,
            id,
            place.organization.0,
            place.server.0,
            place.scheme,
            place.user.0,
            until.timestamp_micros()
        )?;
        tx.commit().await
    }

    /// What a link is for, as long as it is good. It stays.
    pub async fn offered_account(
        &self,
        id: Uuid,
        now: DateTime<Utc>,
    ) -> Result<Option<LinkRow>, StoreError> {
        fetch_optional!(&self.db, LinkRow, OFFERED, id, now.timestamp_micros())
    }

    /// Takes a link of this person, once.
    pub async fn take_offer(
        &self,
        id: Uuid,
        user: UserId,
        now: DateTime<Utc>,
    ) -> Result<Option<LinkRow>, StoreError> {
        let mut tx = self.db.begin().await?;
        let at = now.timestamp_micros();
        let Some(row) = fetch_in!(&mut tx, LinkRow, OFFERED, id, at)? else {
            return Ok(None);
        };
        let taken = execute!(&mut tx, TAKE, id, user.0, at)?;
        tx.commit().await?;
        Ok((taken == 1).then_some(row))
    }
}

/// Whether it is time to write down that an account is used, which is done about once a minute.
pub(crate) fn is_due(row: &AccountRow, now: DateTime<Utc>) -> bool {
    let since = now.timestamp_micros() - USED_EVERY_US;
    row.last_used_at.is_none_or(|last| last <= since)
}

/// Destroys everything a person connected, and every way to connect more that was opened: how many accounts.
pub(super) async fn forget_of_user(tx: &mut Tx, user: UserId) -> Result<u64, StoreError> {
    execute!(tx, FORGET_LINKS_OF_USER, user.0)?;
    execute!(tx, FORGET_BEGUN_OF_USER, user.0)?;
    execute!(tx, FORGET_OF_USER, user.0)
}

/// The same of a server.
pub(super) async fn forget_of_server(tx: &mut Tx, server: ServerId) -> Result<u64, StoreError> {
    execute!(tx, FORGET_LINKS_OF_SERVER, server.0)?;
    execute!(tx, FORGET_OF_SERVER, server.0)
}
