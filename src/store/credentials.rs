//! Sealed upstream credentials. What is in them is the vault's affair.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::store::audit::NewAudit;
use crate::store::db::{Tx, execute, fetch_all, row};
use crate::store::{Store, StoreError};
use crate::types::{CredentialId, OrganizationId, ServerId};

row! {
    #[derive(Clone, Debug)]
    pub struct CredentialRow {
        pub id: Uuid,
        pub scheme: String,
        pub key_id: String,
        pub sealed: Vec<u8>,
        pub origins: String,
        /// Of an OAuth client: where its secret may go, as `origins` are written.
        pub token_origins: Option<String>,
        /// The connection that was made with an OAuth client, and whether it is `connected` or `ended`.
        pub connection_id: Option<Uuid>,
        pub connection_state: Option<String>,
        pub updated_at: i64,
    }
}

/// A credential to be stored; it takes the place of the one for the same scheme and subject.
pub struct NewCredential {
    pub id: CredentialId,
    pub organization: OrganizationId,
    pub server: ServerId,
    pub scheme: String,
    pub subject: Option<String>,
    pub key_id: String,
    pub sealed: Vec<u8>,
    /// JSON list of origins.
    pub origins: String,
    /// The same, of where the secret of an OAuth client may go.
    pub token_origins: Option<String>,
}

/// Where a credential may go from now on, as JSON lists.
#[derive(Clone, Copy, Debug)]
pub struct Approved<'a> {
    pub origins: &'a str,
    pub token_origins: Option<&'a str>,
}

const SHARED: &str = "SELECT c.id, c.scheme, c.key_id, c.sealed, c.origins, c.token_origins, c.updated_at, \
     n.id AS connection_id, n.state AS connection_state FROM credentials c LEFT JOIN connections n ON n.credential_id = c.id \
     WHERE c.server_id = $1 AND c.subject IS NULL ORDER BY c.scheme";
const REMOVE: &str = "DELETE FROM credentials \
     WHERE server_id = $1 AND organization_id = $2 AND scheme = $3 AND COALESCE(subject, '') = COALESCE($4, '')";
const INSERT: &str = "INSERT INTO credentials (id, organization_id, server_id, scheme, subject, key_id, sealed, origins, \
     token_origins, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)";
const APPROVE: &str = "UPDATE credentials SET origins = $4, token_origins = $5, updated_at = $6 \
     WHERE server_id = $1 AND organization_id = $2 AND scheme = $3 AND subject IS NULL";

impl Store {
    /// The credentials every caller of a server shares.
    pub async fn shared_credentials(
        &self,
        server: ServerId,
    ) -> Result<Vec<CredentialRow>, StoreError> {
        fetch_all!(&self.db, CredentialRow, SHARED, server.0)
    }

    pub async fn put_credential(
        &self,
        new: NewCredential,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let at = now.timestamp_micros();
        replace(&mut tx, &new, at).await?;
        self.touch_and_finish(tx, new.server, act, at).await
    }

    /// Lets a shared credential go to these origins, and no others.
    pub async fn approve_origins(
        &self,
        (server, scheme): (ServerId, &str),
        approved: Approved<'_>,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let at = now.timestamp_micros();
        if execute!(
            &mut tx,
            APPROVE,
            server.0,
            act.organization.0,
            scheme,
            approved.origins,
            approved.token_origins,
            at
        )? == 0
        {
            return Ok(false);
        }
        self.touch_and_finish(tx, server, act, at).await?;
        Ok(true)
    }

    pub async fn delete_credential(
        &self,
        (server, scheme): (ServerId, &str),
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        if execute!(
            &mut tx,
            REMOVE,
            server.0,
            act.organization.0,
            scheme,
            None::<&str>
        )? == 0
        {
            return Ok(false);
        }
        self.touch_and_finish(tx, server, act, now.timestamp_micros())
            .await?;
        Ok(true)
    }
}

/// Puts a credential in the place of the one for its scheme and subject.
pub(super) async fn replace(tx: &mut Tx, new: &NewCredential, at: i64) -> Result<(), StoreError> {
    execute!(
        tx,
        REMOVE,
        new.server.0,
        new.organization.0,
        &new.scheme,
        new.subject.as_deref()
    )?;
    execute!(
        tx,
        INSERT,
        new.id.0,
        new.organization.0,
        new.server.0,
        &new.scheme,
        new.subject.as_deref(),
        &new.key_id,
        new.sealed.as_slice(),
        &new.origins,
        new.token_origins.as_deref(),
        at
    )?;
    Ok(())
}
