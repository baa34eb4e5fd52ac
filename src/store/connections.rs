//! Connections that administrators made to authorization servers, and those that were begun. What is
//! sealed in them is the vault's affair.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::store::audit::NewAudit;
use crate::store::db::{execute, fetch_in, fetch_optional, row};
use crate::store::{Store, StoreError};
use crate::types::{CredentialId, OrganizationId, ServerId, UserId};

row! {
    #[derive(Clone, Debug)]
    pub struct ConnectionRow {
        pub id: Uuid,
        pub organization_id: Uuid,
        /// `connected` or `ended`.
        pub state: String,
        pub key_id: String,
        pub sealed: Vec<u8>,
        pub generation: i64,
        /// Whose it is; `None`: the server's, for all its calls.
        pub user_id: Option<Uuid>,
    }
}

row! {
    /// A connection that was begun.
    #[derive(Clone, Debug)]
    pub struct AuthorizationRow {
        pub id: Uuid,
        pub organization_id: Uuid,
        pub credential_id: Uuid,
        pub server_id: Uuid,
        pub scheme: String,
        pub key_id: String,
        pub sealed: Vec<u8>,
        pub expires_at: i64,
        /// Whose account is connected; `None`: the server's.
        pub user_id: Option<Uuid>,
    }
}

/// Sealed bytes of a row of that id.
pub struct NewSealed {
    pub id: Uuid,
    pub organization: OrganizationId,
    pub credential: CredentialId,
    pub key_id: String,
    pub sealed: Vec<u8>,
}

/// A connection as a process saw it, and who that is.
#[derive(Clone, Copy, Debug)]
pub struct Lease<'a> {
    pub connection: Uuid,
    pub generation: i64,
    pub owner: &'a str,
    /// Whether it is one person's, and not the server's.
    pub personal: bool,
}

/// Connections of one organization that are begun and not made; the oldest make room.
const AUTHORIZATIONS_MAX: i64 = 100;
/// The same of one person, of accounts of their own.
const AUTHORIZATIONS_OF_ONE_MAX: i64 = 10;

/// Statements about tokens, whichever table they are in.
macro_rules! of_tokens {
    ($name:ident = $before:literal $after:literal) => {
        const $name: [&str; 2] = [
            concat!($before, " connections ", $after),
            concat!($before, " connected_accounts ", $after),
        ];
    };
}

const CONNECTION: &str = "SELECT id, organization_id, state, key_id, sealed, generation, NULL AS user_id FROM connections WHERE credential_id = $1";
const FORGET: &str = "DELETE FROM connections WHERE credential_id = $1 AND organization_id = $2";
const CONNECT: &str = "INSERT INTO connections (id, organization_id, credential_id, state, key_id, sealed, generation, \
     created_at, updated_at) VALUES ($1, $2, $3, 'connected', $4, $5, 1, $6, $6)";
of_tokens!(LEASE = "UPDATE" "SET lease_owner = $3, lease_until = $4 WHERE id = $1 AND generation = $2 \
     AND state = 'connected' AND (lease_until IS NULL OR lease_until < $5)");
of_tokens!(RENEW = "UPDATE" "SET key_id = $4, sealed = $5, generation = generation + 1, lease_owner = NULL, \
     lease_until = NULL, updated_at = $6 WHERE id = $1 AND generation = $2 AND lease_owner = $3");
of_tokens!(END = "UPDATE" "SET state = 'ended', key_id = '', sealed = $4, generation = generation + 1, \
     lease_owner = NULL, lease_until = NULL, updated_at = $5 WHERE id = $1 AND generation = $2 AND lease_owner = $3");
of_tokens!(RELEASE = "UPDATE" "SET lease_owner = NULL, lease_until = NULL \
     WHERE id = $1 AND generation = $2 AND lease_owner = $3");

const BEGIN: &str = "INSERT INTO authorizations (id, organization_id, credential_id, key_id, sealed, expires_at, user_id) \
     VALUES ($1, $2, $3, $4, $5, $6, $7)";
const EXPIRE: &str = "DELETE FROM authorizations WHERE expires_at <= $1";
const EVICT: &str = "DELETE FROM authorizations WHERE organization_id = $1 AND user_id IS NULL AND id NOT IN \
     (SELECT id FROM authorizations WHERE organization_id = $1 AND user_id IS NULL ORDER BY expires_at DESC, id LIMIT $2)";
const EVICT_OF_ONE: &str = "DELETE FROM authorizations WHERE user_id = $1 AND id NOT IN \
     (SELECT id FROM authorizations WHERE user_id = $1 ORDER BY expires_at DESC, id LIMIT $2)";
const BEGUN: &str = "SELECT a.id, a.organization_id, a.credential_id, c.server_id, c.scheme, a.key_id, a.sealed, a.expires_at, a.user_id \
     FROM authorizations a JOIN credentials c ON c.id = a.credential_id WHERE a.id = $1";
const TAKE: &str = "DELETE FROM authorizations WHERE id = $1";

impl Store {
    /// The connection of a credential.
    pub async fn connection(
        &self,
        credential: CredentialId,
    ) -> Result<Option<ConnectionRow>, StoreError> {
        fetch_optional!(&self.db, ConnectionRow, CONNECTION, credential.0)
    }

    /// Keeps a connection that was made, in the place of the one before.
    pub async fn connect(
        &self,
        server: ServerId,
        new: &NewSealed,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let at = now.timestamp_micros();
        let organization = new.organization.0;
        execute!(&mut tx, FORGET, new.credential.0, organization)?;
        execute!(
            &mut tx,
            CONNECT,
            new.id,
            organization,
            new.credential.0,
            &new.key_id,
            new.sealed.as_slice(),
            at
        )?;
        self.touch_and_finish(tx, server, act, at).await
    }

    /// Forgets the connection of a credential. `false`: there was none.
    pub async fn disconnect(
        &self,
        (server, credential): (ServerId, CredentialId),
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        if execute!(&mut tx, FORGET, credential.0, act.organization.0)? == 0 {
            return Ok(false);
        }
        self.touch_and_finish(tx, server, act, now.timestamp_micros())
            .await?;
        Ok(true)
    }

    /// Takes a connection to renew it, until `until`. Of many who try, one gets it, and only while it is
    /// as they saw it.
    pub async fn lease_connection(
        &self,
        lease: Lease<'_>,
        (now, until): (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let taken = execute!(
            &mut tx,
            LEASE[usize::from(lease.personal)],
            lease.connection,
            lease.generation,
            lease.owner,
            until.timestamp_micros(),
            now.timestamp_micros()
        )?;
        tx.commit().await?;
        Ok(taken == 1)
    }

    /// Keeps the new tokens of a leased connection, and gives it back. `false`: it is another one by now.
    pub async fn renew_connection(
        &self,
        lease: Lease<'_>,
        (key_id, sealed): (&str, &[u8]),
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let renewed = execute!(
            &mut tx,
            RENEW[usize::from(lease.personal)],
            lease.connection,
            lease.generation,
            lease.owner,
            key_id,
            sealed,
            now.timestamp_micros()
        )?;
        tx.commit().await?;
        Ok(renewed == 1)
    }

    /// A leased connection is good for nothing any more; its tokens are wiped.
    pub async fn end_connection(
        &self,
        lease: Lease<'_>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        execute!(
            &mut tx,
            END[usize::from(lease.personal)],
            lease.connection,
            lease.generation,
            lease.owner,
            &[][..] as &[u8],
            now.timestamp_micros()
        )?;
        tx.commit().await
    }

    /// Gives a connection back as it was.
    pub async fn release_connection(&self, lease: Lease<'_>) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let (connection, generation) = (lease.connection, lease.generation);
        let statement = RELEASE[usize::from(lease.personal)];
        execute!(&mut tx, statement, connection, generation, lease.owner)?;
        tx.commit().await
    }

    /// Keeps what a connection was begun with, until `until`.
    pub async fn begin_authorization(
        &self,
        (new, user): (&NewSealed, Option<UserId>),
        (now, until): (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let organization = new.organization.0;
        execute!(&mut tx, EXPIRE, now.timestamp_micros())?;
        match user {
            Some(user) => {
                let most = AUTHORIZATIONS_OF_ONE_MAX - 1;
                execute!(&mut tx, EVICT_OF_ONE, user.0, most)?
            }
            None => execute!(&mut tx, EVICT, organization, AUTHORIZATIONS_MAX - 1)?,
        };
        execute!(
            &mut tx,
            BEGIN,
            new.id,
            organization,
            new.credential.0,
            &new.key_id,
            new.sealed.as_slice(),
            until.timestamp_micros(),
            user.map(|user| user.0)
        )?;
        tx.commit().await
    }

    /// What a connection was begun with, once. It may be late.
    pub async fn take_authorization(
        &self,
        id: Uuid,
    ) -> Result<Option<AuthorizationRow>, StoreError> {
        let mut tx = self.db.begin().await?;
        let Some(begun) = fetch_in!(&mut tx, AuthorizationRow, BEGUN, id)? else {
            return Ok(None);
        };
        let taken = execute!(&mut tx, TAKE, id)?;
        tx.commit().await?;
        Ok((taken == 1).then_some(begun))
    }
}
