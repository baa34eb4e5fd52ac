//! Calls that wait for a person, and tokens that confirmed a call already. Whatever may be used once is
//! claimed by one statement, so that of two processes one gets it.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::store::audit::{self, NewAudit};
use crate::store::db::{Number, execute, fetch_all, fetch_in, fetch_optional, row};
use crate::store::servers::hold_names;
use crate::store::{Store, StoreError};
use crate::types::{ApprovalId, OrganizationId, ServerId, UserId};

row! {
    /// A call as people are shown it.
    #[derive(Clone, Debug)]
    pub struct ApprovalRow {
        pub id: Uuid,
        pub server: String,
        /// Whose the server is.
        pub owner_id: Option<Uuid>,
        pub tool: String,
        pub operation: String,
        pub principal: String,
        pub argument_hash: Vec<u8>,
        pub arguments: String,
        pub asked_at: i64,
        pub expires_at: i64,
        /// `pending`, `approved`, `denied`, `expired` or `used`.
        pub state: String,
        pub scope: Option<String>,
        pub reason: Option<String>,
        pub decided_by: Option<String>,
        pub decided_at: Option<i64>,
        pub used_at: Option<i64>,
    }
}

row! {
    /// What there is for a call that is made.
    #[derive(Clone, Debug)]
    pub struct StandingRow {
        pub id: Uuid,
        pub state: String,
        pub scope: Option<String>,
        pub reason: Option<String>,
        pub expires_at: i64,
    }
}

/// A call that is made, and would have to wait.
#[derive(Clone, Debug)]
pub struct NewApproval {
    pub organization: OrganizationId,
    pub server: ServerId,
    pub tool: String,
    pub operation: String,
    /// Who calls.
    pub principal: String,
    /// Of the arguments as they were given.
    pub argument_hash: [u8; 32],
    /// The arguments without secrets.
    pub arguments: String,
    /// Until when somebody may decide.
    pub expires_at: DateTime<Utc>,
}

/// How many calls may wait at once.
#[derive(Clone, Copy, Debug)]
pub struct PendingMax {
    pub of_principal: i64,
    pub of_server: i64,
}

/// What becomes of a call that is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It was approved, and this is the one to go, or one of those of its hour.
    Go,
    /// It waits. `new`: from now on.
    Waits {
        id: ApprovalId,
        expires_at: DateTime<Utc>,
        new: bool,
    },
    Denied {
        id: ApprovalId,
        reason: Option<String>,
    },
    /// Too many wait already.
    Full,
}

/// Which calls; `None` is any.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    pub state: Option<&'a str>,
    /// Of the servers of one person.
    pub owner: Option<UserId>,
}

/// What a person decides.
#[derive(Clone, Debug)]
pub struct Decision {
    /// `once` or `hour`; `None`: denied.
    pub scope: Option<&'static str>,
    pub reason: Option<String>,
    /// Until when an approval is good.
    pub expires_at: DateTime<Utc>,
}

const INSERT: &str = "INSERT INTO approvals (id, organization_id, server_id, tool, operation, principal, argument_hash, \
     arguments, asked_at, expires_at, state) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'pending')";
const EXPIRE: &str = "UPDATE approvals SET state = 'expired' WHERE server_id = $1 AND state IN ('pending', 'approved') AND expires_at <= $2";
const STANDING: &str = "SELECT id, state, scope, reason, expires_at FROM approvals WHERE server_id = $1 AND operation = $2 \
     AND principal = $3 AND argument_hash = $4 AND state IN ('pending', 'approved', 'denied') AND expires_at > $5 \
     ORDER BY asked_at DESC, id DESC LIMIT 1";
const CLAIM: &str =
    "UPDATE approvals SET state = 'used', used_at = $2 WHERE id = $1 AND state = 'approved'";
const OF_SERVER: &str =
    "SELECT COUNT(*) AS value FROM approvals WHERE server_id = $1 AND state = 'pending'";
const OF_PRINCIPAL: &str = "SELECT COUNT(*) AS value FROM approvals WHERE server_id = $1 AND principal = $2 AND state = 'pending'";
const LIST: &str = "SELECT id, server, owner_id, tool, operation, principal, argument_hash, arguments, asked_at, expires_at, state, scope, \
     reason, decided_by, decided_at, used_at FROM (SELECT a.id, s.slug AS server, s.owner_id, a.tool, a.operation, a.principal, \
     a.argument_hash, a.arguments, a.asked_at, a.expires_at, CASE WHEN a.state IN ('pending', 'approved') AND a.expires_at <= $2 \
     THEN 'expired' ELSE a.state END AS state, a.scope, a.reason, a.decided_by, a.decided_at, a.used_at FROM approvals a \
     JOIN servers s ON s.id = a.server_id WHERE a.organization_id = $1) AS seen WHERE ($3 = '' OR state = $3) AND ($8 IS NULL OR owner_id = $8) \
     AND (CAST($5 AS BIGINT) = (CASE WHEN state = 'pending' THEN 0 ELSE 1 END) AND (asked_at, id) < ($6, $7) \
     OR CAST($5 AS BIGINT) < (CASE WHEN state = 'pending' THEN 0 ELSE 1 END)) \
     ORDER BY CASE WHEN state = 'pending' THEN 0 ELSE 1 END, asked_at DESC, id DESC LIMIT $4";
const ONE: &str = "SELECT a.id, s.slug AS server, s.owner_id, a.tool, a.operation, a.principal, a.argument_hash, a.arguments, a.asked_at, \
     a.expires_at, CASE WHEN a.state IN ('pending', 'approved') AND a.expires_at <= $3 THEN 'expired' ELSE a.state END AS state, \
     a.scope, a.reason, a.decided_by, a.decided_at, a.used_at FROM approvals a JOIN servers s ON s.id = a.server_id \
     WHERE a.organization_id = $1 AND a.id = $2";
const PENDING: &str = "SELECT COUNT(*) AS value FROM approvals WHERE organization_id = $1 AND state = 'pending' AND expires_at > $2";
const DECIDE: &str = "UPDATE approvals SET state = $3, scope = $4, reason = $5, decided_by = $6, decided_at = $7, expires_at = $8 \
     WHERE id = $1 AND organization_id = $2 AND state = 'pending' AND expires_at > $7";
const FORGET: &str = "DELETE FROM approvals WHERE asked_at < $1 AND expires_at < $1";
const USE_TOKEN: &str =
    "INSERT INTO used_confirmations (id, expires_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING";
const FORGET_TOKENS: &str = "DELETE FROM used_confirmations WHERE expires_at < $1";

impl Store {
    /// What becomes of a call: what was decided of the same one, or it waits from now on.
    pub async fn ask_approval(
        &self,
        new: &NewApproval,
        max: PendingMax,
        now: DateTime<Utc>,
    ) -> Result<Asked, StoreError> {
        let (server, at) = (new.server.0, now.timestamp_micros());
        let hash = new.argument_hash.as_slice();
        let mut tx = self.db.begin().await?;
        hold_names(&mut tx, [&format!("approvals {server}")]).await?;
        execute!(&mut tx, EXPIRE, server, at)?;
        let standing = fetch_in!(
            &mut tx,
            StandingRow,
            STANDING,
            server,
            &new.operation,
            &new.principal,
            hash,
            at
        )?;
        let asked = match standing {
            Some(row) if row.state == "approved" => {
                let once = row.scope.as_deref() != Some("hour");
                if once && execute!(&mut tx, CLAIM, row.id, at)? != 1 {
                    return Err(StoreError::Stale);
                }
                Asked::Go
            }
            Some(row) if row.state == "denied" => Asked::Denied {
                id: ApprovalId(row.id),
                reason: row.reason,
            },
            Some(row) => Asked::Waits {
                id: ApprovalId(row.id),
                expires_at: DateTime::from_timestamp_micros(row.expires_at).unwrap_or(now),
                new: false,
            },
            None => {
                let of_principal =
                    fetch_in!(&mut tx, Number, OF_PRINCIPAL, server, &new.principal)?;
                let of_server = fetch_in!(&mut tx, Number, OF_SERVER, server)?;
                let count = |row: Option<Number>| row.map_or(0, |row| row.value);
                if count(of_principal) >= max.of_principal || count(of_server) >= max.of_server {
                    Asked::Full
                } else {
                    let id = ApprovalId::generate();
                    execute!(
                        &mut tx,
                        INSERT,
                        id.0,
                        new.organization.0,
                        server,
                        &new.tool,
                        &new.operation,
                        &new.principal,
                        hash,
                        &new.arguments,
                        at,
                        new.expires_at.timestamp_micros()
                    )?;
                    Asked::Waits {
                        id,
                        expires_at: new.expires_at,
                        new: true,
                    }
                }
            }
        };
        tx.commit().await?;
        Ok(asked)
    }

    /// Notes what somebody decided, if the call waits still. `None`: there is no such call. Otherwise
    /// the call as it is now, and whether this decided it.
    pub async fn decide_approval(
        &self,
        id: ApprovalId,
        decision: &Decision,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<Option<(ApprovalRow, bool)>, StoreError> {
        let at = now.timestamp_micros();
        let state = decision.scope.map_or("denied", |_| "approved");
        let mut tx = self.db.begin().await?;
        let decided = execute!(
            &mut tx,
            DECIDE,
            id.0,
            act.organization.0,
            state,
            decision.scope,
            decision.reason.as_deref(),
            &act.actor,
            at,
            decision.expires_at.timestamp_micros()
        )?;
        if decided == 1 {
            audit::append(&mut tx, act, at).await?;
        }
        let row = fetch_in!(&mut tx, ApprovalRow, ONE, act.organization.0, id.0, at)?;
        tx.commit().await?;
        Ok(row.map(|row| (row, decided == 1)))
    }

    /// Calls in that state, or in any: those that wait first, then the latest.
    pub async fn approvals(
        &self,
        organization: OrganizationId,
        state: Option<&str>,
        limit: i64,
        now: DateTime<Utc>,
    ) -> Result<Vec<ApprovalRow>, StoreError> {
        let any = Wanted { state, owner: None };
        self.approvals_after(organization, any, (None, limit), now)
            .await
    }

    /// The same from the one that follows a row: whether that waited, when it was asked, and its id. One
    /// that is decided meanwhile may turn up once more, and none is left out.
    pub async fn approvals_after(
        &self,
        organization: OrganizationId,
        wanted: Wanted<'_>,
        (after, limit): (Option<(bool, i64, Uuid)>, i64),
        now: DateTime<Utc>,
    ) -> Result<Vec<ApprovalRow>, StoreError> {
        let (at, state) = (now.timestamp_micros(), wanted.state.unwrap_or(""));
        let (waits, asked_at, id) = after.unwrap_or((true, i64::MAX, Uuid::max()));
        fetch_all!(
            &self.db,
            ApprovalRow,
            LIST,
            organization.0,
            at,
            state,
            limit,
            i64::from(!waits),
            asked_at,
            id,
            wanted.owner.map(|owner| owner.0)
        )
    }

    /// One call.
    pub async fn approval(
        &self,
        organization: OrganizationId,
        id: ApprovalId,
        now: DateTime<Utc>,
    ) -> Result<Option<ApprovalRow>, StoreError> {
        let at = now.timestamp_micros();
        fetch_optional!(&self.db, ApprovalRow, ONE, organization.0, id.0, at)
    }

    /// How many calls wait.
    pub async fn pending_approvals(
        &self,
        organization: OrganizationId,
        now: DateTime<Utc>,
    ) -> Result<i64, StoreError> {
        let at = now.timestamp_micros();
        let row = fetch_optional!(&self.db, Number, PENDING, organization.0, at)?;
        Ok(row.map_or(0, |row| row.value))
    }

    /// Uses a token up. `false`: it was used before, by whatever process.
    pub async fn use_confirmation(
        &self,
        id: Uuid,
        expires_at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let first = execute!(&mut tx, USE_TOKEN, id, expires_at.timestamp_micros())?;
        tx.commit().await?;
        Ok(first == 1)
    }

    /// Removes calls that were asked for, and decided, before `asked`, and tokens that ended before
    /// `ended`: how many.
    pub async fn forget_approvals(
        &self,
        asked: DateTime<Utc>,
        ended: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        let mut tx = self.db.begin().await?;
        let calls = execute!(&mut tx, FORGET, asked.timestamp_micros())?;
        let tokens = execute!(&mut tx, FORGET_TOKENS, ended.timestamp_micros())?;
        tx.commit().await?;
        Ok(calls + tokens)
    }
}
