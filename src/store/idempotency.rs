//! Requests that were sent with an Idempotency-Key, and what came of them. The answers are sealed by the
//! caller of this module.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::store::db::{Number, execute, fetch_in, row};
use crate::store::{Store, StoreError};
use crate::types::OrganizationId;

row! {
    /// A request that was sent before.
    #[derive(Clone, Debug)]
    pub struct RequestRow {
        pub id: Uuid,
        pub fingerprint: Vec<u8>,
        /// 0 until its answer is stored.
        pub status: i64,
        pub key_id: String,
        pub sealed: Vec<u8>,
        pub lease_until: i64,
    }
}

/// A request to be done once.
#[derive(Clone, Debug)]
pub struct NewRequest<'a> {
    pub id: Uuid,
    pub organization: OrganizationId,
    /// Who sends it.
    pub principal: &'a str,
    /// The digest of the key that was given.
    pub given: [u8; 32],
    /// The digest of the request.
    pub fingerprint: [u8; 32],
    /// Until when it is believed to run, and to be remembered.
    pub lease_until: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// Whether a request is to be done.
#[derive(Clone, Debug)]
pub enum Claim {
    /// Now, and once.
    Ours,
    /// One with the same key was sent before.
    Before(Box<RequestRow>),
    /// So many of the same principal are remembered that there is no room.
    Full,
}

/// Stands for an answer that is not there yet: drivers take no bytes at all for NULL.
const UNSEALED: &[u8] = &[0];

const FORGET: &str = "DELETE FROM idempotency_keys WHERE organization_id = $1 AND principal = $2 AND given = $3 AND expires_at <= $4";
const INSERT: &str = "INSERT INTO idempotency_keys (id, organization_id, principal, given, fingerprint, status, key_id, sealed, \
     lease_until, expires_at) VALUES ($1, $2, $3, $4, $5, 0, '', $6, $7, $8) ON CONFLICT (organization_id, principal, given) DO NOTHING";
const READ: &str = "SELECT id, fingerprint, status, key_id, sealed, lease_until FROM idempotency_keys \
     WHERE organization_id = $1 AND principal = $2 AND given = $3";
const COUNT: &str =
    "SELECT COUNT(*) AS value FROM idempotency_keys WHERE organization_id = $1 AND principal = $2";
const FINISH: &str = "UPDATE idempotency_keys SET status = $2, key_id = $3, sealed = $4 WHERE id = $1 AND status = 0";
const RELEASE: &str = "DELETE FROM idempotency_keys WHERE id = $1 AND status = 0";
const EXPIRE: &str = "DELETE FROM idempotency_keys WHERE id IN \
     (SELECT id FROM idempotency_keys WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";

impl Store {
    /// Claims a request: of all who send it with the same key, one does it.
    pub async fn claim_request(
        &self,
        new: &NewRequest<'_>,
        requests_max: i64,
        now: DateTime<Utc>,
    ) -> Result<Claim, StoreError> {
        let (organization, principal) = (new.organization.0, new.principal);
        let given = new.given.as_slice();
        let mut tx = self.db.begin().await?;
        let at = now.timestamp_micros();
        execute!(&mut tx, FORGET, organization, principal, given, at)?;
        let inserted = execute!(
            &mut tx,
            INSERT,
            new.id,
            organization,
            principal,
            given,
            new.fingerprint.as_slice(),
            UNSEALED,
            new.lease_until.timestamp_micros(),
            new.expires_at.timestamp_micros()
        )?;
        if inserted == 1 {
            let count = fetch_in!(&mut tx, Number, COUNT, organization, principal)?;
            if count.is_some_and(|row| row.value > requests_max) {
                return Ok(Claim::Full);
            }
            tx.commit().await?;
            return Ok(Claim::Ours);
        }
        let row = fetch_in!(&mut tx, RequestRow, READ, organization, principal, given)?;
        tx.commit().await?;
        // Whoever had it let go of it in this very moment.
        row.map(|row| Claim::Before(Box::new(row)))
            .ok_or(StoreError::Stale)
    }

    /// Stores what a request was answered with. `false`: that is stored already, or it is forgotten.
    pub async fn keep_outcome(
        &self,
        id: Uuid,
        status: u16,
        (key_id, sealed): (&str, &[u8]),
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let status = i64::from(status);
        let kept = execute!(&mut tx, FINISH, id, status, key_id, sealed)?;
        tx.commit().await?;
        Ok(kept == 1)
    }

    /// Lets go of a request that had no effect: it may be sent again.
    pub async fn release_request(&self, id: Uuid) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        execute!(&mut tx, RELEASE, id)?;
        tx.commit().await
    }

    /// Forgets some requests whose time is over: how many.
    pub async fn expire_requests(
        &self,
        now: DateTime<Utc>,
        rows_max: i64,
    ) -> Result<u64, StoreError> {
        let mut tx = self.db.begin().await?;
        let gone = execute!(&mut tx, EXPIRE, now.timestamp_micros(), rows_max)?;
        tx.commit().await?;
        Ok(gone)
    }
}
