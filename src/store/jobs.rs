//! Background work, leased so that one process of a cluster does it.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::store::db::{Tx, execute, fetch_all, fetch_in, fetch_optional, row};
use crate::store::{Store, StoreError};
use crate::types::{JobId, OrganizationId, UserId};

row! {
    #[derive(Clone, Debug)]
    pub struct JobRow {
        pub id: Uuid,
        pub organization_id: Uuid,
        pub kind: String,
        pub payload: String,
        pub attempts: i64,
    }
}

row! {
    /// How a job goes.
    #[derive(Clone, Debug)]
    pub struct JobState {
        /// What it was begun with.
        pub payload: String,
        /// Who began it; `None`: the admins, or the process itself.
        pub owner_id: Option<Uuid>,
        pub run_at: i64,
        pub lease_until: Option<i64>,
        /// What its owner said last; in the end, how it ended.
        pub progress: Option<String>,
        pub finished_at: Option<i64>,
    }
}

row! {
    /// A job among others of its kind.
    #[derive(Clone, Debug)]
    pub struct JobLine {
        pub id: Uuid,
        pub payload: String,
        pub owner_id: Option<Uuid>,
        pub run_at: i64,
        pub lease_until: Option<i64>,
        pub progress: Option<String>,
        pub finished_at: Option<i64>,
    }
}

const INSERT: &str = "INSERT INTO jobs (id, organization_id, kind, payload, run_at, attempts) VALUES ($1, $2, $3, $4, $5, 0)";
const DUE: &str = "SELECT id, organization_id, kind, payload, attempts FROM jobs WHERE kind = $1 AND finished_at IS NULL \
     AND run_at <= $2 AND (lease_until IS NULL OR lease_until < $2) ORDER BY run_at LIMIT 1";
/// On Postgres, those who try at once each look at another job; SQLite has one writer.
const DUE_SKIPPING: &str = "SELECT id, organization_id, kind, payload, attempts FROM jobs WHERE kind = $1 AND finished_at IS NULL \
     AND run_at <= $2 AND (lease_until IS NULL OR lease_until < $2) ORDER BY run_at LIMIT 1 FOR UPDATE SKIP LOCKED";
const LEASE: &str = "UPDATE jobs SET lease_owner = $2, lease_until = $3, attempts = attempts + 1 \
     WHERE id = $1 AND finished_at IS NULL AND (lease_until IS NULL OR lease_until < $4)";
const RENEW: &str = "UPDATE jobs SET lease_until = $3, progress = $4 WHERE id = $1 AND lease_owner = $2 AND finished_at IS NULL";
const START: &str = "INSERT INTO jobs (id, organization_id, kind, payload, run_at, lease_owner, lease_until, attempts, owner_id) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8)";
const STATE: &str = "SELECT payload, owner_id, run_at, lease_until, progress, finished_at FROM jobs WHERE id = $1 AND organization_id = $2 AND kind = $3";
const LIST: &str = "SELECT id, payload, owner_id, run_at, lease_until, progress, finished_at FROM jobs \
     WHERE organization_id = $1 AND kind = $2 AND ($3 IS NULL OR owner_id = $3) AND (run_at, id) < ($4, $5) \
     ORDER BY run_at DESC, id DESC LIMIT $6";
const COMPLETE: &str = "UPDATE jobs SET finished_at = $3, lease_until = NULL, progress = $4 WHERE id = $1 AND lease_owner = $2 AND finished_at IS NULL";
const FORGET_OLD: &str = "DELETE FROM jobs WHERE kind = $1 AND run_at < $2 AND (finished_at IS NOT NULL OR lease_until < $2)";
const FORGET_MANY: &str = "DELETE FROM jobs WHERE kind = $1 AND finished_at IS NOT NULL AND id NOT IN \
     (SELECT id FROM jobs WHERE kind = $1 AND finished_at IS NOT NULL ORDER BY finished_at DESC, id DESC LIMIT $2)";
const FINISH: &str =
    "UPDATE jobs SET finished_at = $3, lease_until = NULL WHERE id = $1 AND lease_owner = $2";

impl Store {
    pub async fn enqueue(
        &self,
        organization: OrganizationId,
        (kind, payload): (&str, &str),
        run_at: DateTime<Utc>,
    ) -> Result<JobId, StoreError> {
        let id = JobId::generate();
        let mut tx = self.db.begin().await?;
        execute!(
            &mut tx,
            INSERT,
            id.0,
            organization.0,
            kind,
            payload,
            run_at.timestamp_micros()
        )?;
        tx.commit().await?;
        Ok(id)
    }

    /// A job of somebody that runs already, since `began` and in the process `owner`, which has it until
    /// `until`.
    pub async fn start_job(
        &self,
        (organization, user): (OrganizationId, Option<UserId>),
        (kind, owner, payload): (&str, &str, &str),
        (began, until): (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<JobId, StoreError> {
        let id = JobId::generate();
        let mut tx = self.db.begin().await?;
        execute!(
            &mut tx,
            START,
            id.0,
            organization.0,
            kind,
            payload,
            began.timestamp_micros(),
            owner,
            until.timestamp_micros(),
            user.map(|user| user.0)
        )?;
        tx.commit().await?;
        Ok(id)
    }

    /// How a job of that kind goes.
    pub async fn job(
        &self,
        organization: OrganizationId,
        kind: &str,
        job: JobId,
    ) -> Result<Option<JobState>, StoreError> {
        fetch_optional!(&self.db, JobState, STATE, job.0, organization.0, kind)
    }

    /// Jobs of that kind, newest first, from the one that follows the one begun then with that id; of one
    /// person, or of everybody.
    pub async fn jobs(
        &self,
        (organization, owner): (OrganizationId, Option<UserId>),
        kind: &str,
        (after, limit): (Option<(i64, Uuid)>, i64),
    ) -> Result<Vec<JobLine>, StoreError> {
        let (at, id) = after.unwrap_or((i64::MAX, Uuid::max()));
        let owner = owner.map(|owner| owner.0);
        fetch_all!(
            &self.db,
            JobLine,
            LIST,
            organization.0,
            kind,
            owner,
            at,
            id,
            limit
        )
    }

    /// Ends a job and says how. `false`: it was no longer this owner's.
    pub async fn complete_job(
        &self,
        job: JobId,
        owner: &str,
        now: DateTime<Utc>,
        outcome: &str,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let at = now.timestamp_micros();
        let done = execute!(&mut tx, COMPLETE, job.0, owner, at, outcome)?;
        tx.commit().await?;
        Ok(done == 1)
    }

    /// Forgets jobs of that kind that began before `before` and run no more, and of those that ended
    /// since all but the last `kept_max`.
    pub async fn forget_jobs(
        &self,
        kind: &str,
        before: DateTime<Utc>,
        kept_max: i64,
    ) -> Result<u64, StoreError> {
        let mut tx = self.db.begin().await?;
        let old = execute!(&mut tx, FORGET_OLD, kind, before.timestamp_micros())?;
        let many = execute!(&mut tx, FORGET_MANY, kind, kept_max)?;
        tx.commit().await?;
        Ok(old + many)
    }

    /// Takes a job that is due, for this owner until `until`. Of many who try, one gets it.
    pub async fn lease(
        &self,
        kind: &str,
        owner: &str,
        (now, until): (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<Option<JobRow>, StoreError> {
        let mut tx = self.db.begin().await?;
        let now = now.timestamp_micros();
        let due = match tx {
            Tx::Postgres(_) => DUE_SKIPPING,
            Tx::Lite(_) => DUE,
        };
        let Some(job) = fetch_in!(&mut tx, JobRow, due, kind, now)? else {
            return Ok(None);
        };
        let taken = execute!(&mut tx, LEASE, job.id, owner, until.timestamp_micros(), now)?;
        tx.commit().await?;
        Ok((taken == 1).then_some(job))
    }

    /// Keeps a job. `false`: it is no longer this owner's.
    pub async fn renew(
        &self,
        job: JobId,
        owner: &str,
        until: DateTime<Utc>,
        progress: Option<&str>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let kept = execute!(
            &mut tx,
            RENEW,
            job.0,
            owner,
            until.timestamp_micros(),
            progress
        )?;
        tx.commit().await?;
        Ok(kept == 1)
    }

    /// Ends a job. `false`: it was no longer this owner's.
    pub async fn finish_job(
        &self,
        job: JobId,
        owner: &str,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let done = execute!(&mut tx, FINISH, job.0, owner, now.timestamp_micros())?;
        tx.commit().await?;
        Ok(done == 1)
    }
}
