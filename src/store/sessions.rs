//! Sessions of people: which browser is signed in, since when, and until when.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::store::db::{Number, execute, fetch_all, fetch_optional, row};
use crate::store::{Store, StoreError};
use crate::types::UserId;

row! {
    /// A session that is good, and whose it is.
    #[derive(Clone, Debug)]
    pub struct SignedInRow {
        pub id: Uuid,
        pub organization_id: Uuid,
        pub user_id: Uuid,
        pub name: String,
        pub role: String,
        pub last_seen_at: i64,
        /// The issuer that vouched for them, where it was not a password.
        pub issuer: Option<String>,
    }
}

row! {
    /// A session as its owner sees it.
    #[derive(Clone, Debug)]
    pub struct SessionRow {
        pub id: Uuid,
        pub created_at: i64,
        pub last_seen_at: i64,
        pub expires_at: i64,
        pub user_agent: String,
    }
}

/// A session to be begun.
pub struct NewSession<'a> {
    pub id: Uuid,
    pub hash: [u8; 32],
    pub user: UserId,
    /// The hash the password was checked with, or nothing: it may have been changed meanwhile.
    pub password_hash: &'a str,
    pub user_agent: &'a str,
    /// The issuer that vouched for them: the account has to be linked with an identity of it.
    pub issuer: Option<&'a str>,
    pub expires_at: DateTime<Utc>,
}

const BY_HASH: &str = "SELECT s.id, s.organization_id, s.user_id, u.name, u.role, s.last_seen_at, s.issuer \
     FROM sessions s JOIN users u ON u.id = s.user_id \
     WHERE s.hash = $1 AND s.expires_at > $2 AND s.revoked_at IS NULL AND u.disabled_at IS NULL";
const LIST: &str = "SELECT id, created_at, last_seen_at, expires_at, user_agent FROM sessions \
     WHERE user_id = $1 AND expires_at > $2 AND revoked_at IS NULL ORDER BY last_seen_at DESC, id LIMIT 100";
const INSERT: &str = "INSERT INTO sessions (id, hash, organization_id, user_id, created_at, last_seen_at, expires_at, user_agent, issuer) \
     SELECT $1, $2, u.organization_id, u.id, $4, $4, $5, $6, $8 FROM users u \
     WHERE u.id = $3 AND u.disabled_at IS NULL AND COALESCE(u.password_hash, '') = $7 \
     AND ($8 IS NULL OR EXISTS (SELECT 1 FROM identities i WHERE i.user_id = u.id AND i.issuer = $8))";
const FORGET: &str =
    "DELETE FROM sessions WHERE user_id = $1 AND (expires_at <= $2 OR revoked_at IS NOT NULL)";
/// Of many, those that were seen longest ago end.
const END_MANY: &str = "DELETE FROM sessions WHERE user_id = $1 AND id NOT IN \
     (SELECT id FROM sessions WHERE user_id = $1 ORDER BY last_seen_at DESC, id DESC LIMIT $2)";
const SEEN: &str = "UPDATE sessions SET last_seen_at = $2 WHERE id = $1 AND last_seen_at < $2";
const REVOKE: &str =
    "UPDATE sessions SET revoked_at = $3 WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL";
const REVOKE_ALL: &str =
    "UPDATE sessions SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL";

const END_BY_HASH: &str =
    "INSERT INTO ended_sessions (hash, expires_at) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING";
const FORGET_ENDED: &str = "DELETE FROM ended_sessions WHERE expires_at <= $1";
const IS_ENDED: &str = "SELECT COUNT(*) AS value FROM ended_sessions WHERE hash = $1";

/// Sessions of one person at once.
const SESSIONS_MAX: i64 = 50;

impl Store {
    /// The session with this hash: good, and of somebody who may sign in.
    pub async fn signed_in(
        &self,
        hash: &[u8; 32],
        now: DateTime<Utc>,
    ) -> Result<Option<SignedInRow>, StoreError> {
        let now = now.timestamp_micros();
        fetch_optional!(&self.db, SignedInRow, BY_HASH, hash.as_slice(), now)
    }

    /// The sessions of somebody that are good, the one seen last first.
    pub async fn sessions(
        &self,
        user: UserId,
        now: DateTime<Utc>,
    ) -> Result<Vec<SessionRow>, StoreError> {
        fetch_all!(&self.db, SessionRow, LIST, user.0, now.timestamp_micros())
    }

    /// Begins a session, unless the person is disabled, has another password by now, or is not linked with
    /// who vouched for them any more. Sessions that ended are forgotten, and of too many those seen
    /// longest ago.
    pub async fn begin_session(
        &self,
        new: &NewSession<'_>,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let at = now.timestamp_micros();
        execute!(&mut tx, FORGET, new.user.0, at)?;
        execute!(&mut tx, END_MANY, new.user.0, SESSIONS_MAX - 1)?;
        let begun = execute!(
            &mut tx,
            INSERT,
            new.id,
            new.hash.as_slice(),
            new.user.0,
            at,
            new.expires_at.timestamp_micros(),
            new.user_agent,
            new.password_hash,
            new.issuer
        )?;
        tx.commit().await?;
        Ok(begun == 1)
    }

    /// Notes that a session was used.
    pub async fn note_seen(&self, session: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        execute!(&mut tx, SEEN, session, now.timestamp_micros())?;
        tx.commit().await
    }

    /// Ends a session of somebody. `false`: they have none of that id.
    pub async fn end_session(
        &self,
        user: UserId,
        session: Uuid,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let ended = execute!(&mut tx, REVOKE, session, user.0, now.timestamp_micros())?;
        tx.commit().await?;
        Ok(ended == 1)
    }

    /// Ends a session that is stored nowhere, for as long as its cookie would be good.
    pub async fn end_unstored(
        &self,
        hash: &[u8; 32],
        expires_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        execute!(&mut tx, FORGET_ENDED, now.timestamp_micros())?;
        let until = expires_at.timestamp_micros();
        execute!(&mut tx, END_BY_HASH, hash.as_slice(), until)?;
        tx.commit().await
    }

    /// Whether a session that is stored nowhere was ended.
    pub async fn is_ended(&self, hash: &[u8; 32]) -> Result<bool, StoreError> {
        let found = fetch_optional!(&self.db, Number, IS_ENDED, hash.as_slice())?;
        Ok(found.is_some_and(|number| number.value > 0))
    }

    /// Ends every session of somebody.
    pub async fn end_sessions(&self, user: UserId, now: DateTime<Utc>) -> Result<u64, StoreError> {
        let mut tx = self.db.begin().await?;
        let ended = execute!(&mut tx, REVOKE_ALL, user.0, now.timestamp_micros())?;
        tx.commit().await?;
        Ok(ended)
    }
}
