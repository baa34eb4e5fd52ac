//! Answers that are kept for minutes: sealed by the caller of this module, bounded in bytes.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::store::db::{Number, execute, fetch_in, fetch_optional, row};
use crate::store::servers::hold_names;
use crate::store::{Store, StoreError};
use crate::types::{AnswerId, OrganizationId, ServerId};

row! {
    /// An answer as it is stored.
    #[derive(Clone, Debug)]
    pub struct AnswerRow {
        pub organization_id: Uuid,
        pub server_id: Uuid,
        pub principal: String,
        pub operation: Option<String>,
        pub tool: Option<String>,
        pub media_type: String,
        pub key_id: String,
        pub sealed: Vec<u8>,
    }
}

/// An answer to be kept.
pub struct NewAnswer {
    pub id: AnswerId,
    pub organization: OrganizationId,
    pub server: ServerId,
    /// Who got it.
    pub principal: String,
    /// Of which operation, where not everyone may use its tool.
    pub operation: Option<String>,
    /// The name of the tool, as its limits count it.
    pub tool: String,
    pub media_type: String,
    /// Before it was sealed.
    pub size: usize,
    pub key_id: String,
    pub sealed: Vec<u8>,
    pub expires_at: DateTime<Utc>,
}

/// How many bytes may be kept at once.
#[derive(Clone, Copy, Debug)]
pub struct AnswerQuota {
    pub organization_bytes_max: i64,
    pub principal_bytes_max: i64,
}

const INSERT: &str = "INSERT INTO answers (id, organization_id, server_id, principal, operation, tool, media_type, size, \
     key_id, sealed, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
const READ: &str = "SELECT organization_id, server_id, principal, operation, tool, media_type, key_id, sealed \
     FROM answers WHERE id = $1 AND expires_at > $2";
const EXPIRE: &str = "DELETE FROM answers WHERE expires_at <= $1";
const OF_PRINCIPAL: &str = "SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) AS value FROM answers \
     WHERE organization_id = $1 AND principal = $2";
const OF_ORGANIZATION: &str = "SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) AS value FROM answers WHERE organization_id = $1";
const EVICT: &str = "DELETE FROM answers WHERE id = (SELECT id FROM answers WHERE organization_id = $1 AND principal = $2 \
     ORDER BY expires_at, id LIMIT 1)";

impl Store {
    /// Keeps an answer; what the same principal kept longest makes room for it. `false`: there is no
    /// room, because others of the organization have it all.
    pub async fn keep_answer(
        &self,
        new: NewAnswer,
        quota: AnswerQuota,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let organization = new.organization.0;
        hold_names(&mut tx, [&format!("answers {organization}")]).await?;
        execute!(&mut tx, EXPIRE, now.timestamp_micros())?;
        let size = i64::try_from(new.size).unwrap_or(i64::MAX);
        loop {
            let mine = fetch_in!(&mut tx, Number, OF_PRINCIPAL, organization, &new.principal)?;
            let all = fetch_in!(&mut tx, Number, OF_ORGANIZATION, organization)?;
            let held = |row: &Option<Number>| row.as_ref().map_or(0, |row| row.value);
            let fits = held(&mine).saturating_add(size) <= quota.principal_bytes_max
                && held(&all).saturating_add(size) <= quota.organization_bytes_max;
            if fits {
                break;
            }
            if execute!(&mut tx, EVICT, organization, &new.principal)? == 0 {
                return Ok(false);
            }
        }
        execute!(
            &mut tx,
            INSERT,
            new.id.0,
            organization,
            new.server.0,
            &new.principal,
            new.operation.as_deref(),
            &new.tool,
            &new.media_type,
            size,
            &new.key_id,
            &new.sealed,
            new.expires_at.timestamp_micros()
        )?;
        tx.commit().await?;
        Ok(true)
    }

    /// The answer of that id, if its time is not over. Whose it is, is for the caller to look at.
    pub async fn answer(
        &self,
        id: AnswerId,
        now: DateTime<Utc>,
    ) -> Result<Option<AnswerRow>, StoreError> {
        fetch_optional!(&self.db, AnswerRow, READ, id.0, now.timestamp_micros())
    }

    /// Removes answers whose time is over: how many.
    pub async fn expire_answers(&self, now: DateTime<Utc>) -> Result<u64, StoreError> {
        let mut tx = self.db.begin().await?;
        let gone = execute!(&mut tx, EXPIRE, now.timestamp_micros())?;
        tx.commit().await?;
        Ok(gone)
    }
}
