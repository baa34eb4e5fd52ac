//! Plans, who has which, and what is spent of quotas.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::store::audit::NewAudit;
use crate::store::changes::Change;
use crate::store::db::{execute, fetch_all, fetch_in, fetch_optional, row};
use crate::store::{Store, StoreError};
use crate::types::{ConsumerId, KeyId, OrganizationId, PlanId, ServerId};

row! {
    /// A named set of limits, which are JSON.
    #[derive(Clone, Debug)]
    pub struct PlanRow {
        pub id: Uuid,
        pub name: String,
        pub description: String,
        pub limits: String,
        pub updated_at: i64,
    }
}

row! {
    /// A consumer's plan with a server, and its limits.
    #[derive(Clone, Debug)]
    pub struct AssignmentRow {
        pub consumer_id: Uuid,
        pub server_id: Uuid,
        pub plan: String,
        pub limits: String,
    }
}

row! {
    /// A consumer's own limits.
    #[derive(Clone, Debug)]
    pub struct LimitsRow {
        pub limits: Option<String>,
    }
}

row! {
    /// What is taken of a quota, by all processes.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct QuotaRow {
        pub counter: String,
        pub window_start: i64,
        pub window_end: i64,
        pub spent: i64,
    }
}

/// A slice that was taken of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The window it is of: the latest there is, also where the clock was set back.
    pub began: i64,
    pub ends: i64,
    /// 0: nothing is left.
    pub granted: u64,
}

const PLANS: &str = "SELECT id, name, description, limits, updated_at FROM plans WHERE organization_id = $1 AND name > $2 ORDER BY name LIMIT $3";
const PLAN: &str = "SELECT id, name, description, limits, updated_at FROM plans WHERE organization_id = $1 AND name = $2";
const PUT_PLAN: &str = "INSERT INTO plans (id, organization_id, name, description, limits, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT (organization_id, name) \
     DO UPDATE SET description = excluded.description, limits = excluded.limits, updated_at = excluded.updated_at";
const DELETE_PLAN: &str = "DELETE FROM plans WHERE organization_id = $1 AND name = $2";
const ASSIGNED: &str = "SELECT a.consumer_id, a.server_id, p.name AS plan, p.limits FROM plan_assignments a \
     JOIN plans p ON p.id = a.plan_id WHERE a.organization_id = $1 AND a.consumer_id = $2 ORDER BY a.server_id LIMIT 10000";
const ASSIGN: &str = "INSERT INTO plan_assignments (organization_id, consumer_id, server_id, plan_id, created_at) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (consumer_id, server_id) DO UPDATE SET plan_id = excluded.plan_id";
const UNASSIGN: &str = "DELETE FROM plan_assignments WHERE organization_id = $1 AND consumer_id = $2 AND server_id = $3";
const CONSUMER_LIMITS: &str = "SELECT limits FROM consumers WHERE organization_id = $1 AND id = $2";
const SET_CONSUMER_LIMITS: &str =
    "UPDATE consumers SET limits = $3 WHERE organization_id = $1 AND id = $2";
const BEGIN_QUOTA: &str = "INSERT INTO quotas (counter, window_start, window_end, spent) VALUES ($1, $2, $3, 0) \
     ON CONFLICT (counter, window_start) DO NOTHING";
const LATEST_QUOTA: &str = "SELECT counter, window_start, window_end, spent FROM quotas WHERE counter = $1 ORDER BY window_start DESC LIMIT 1";
const TAKE_QUOTA: &str = "UPDATE quotas SET spent = spent + $3 WHERE counter = $1 AND window_start = $2 AND spent + $3 <= $4";
const OVERDRAW_QUOTA: &str =
    "UPDATE quotas SET spent = spent + $3 WHERE counter = $1 AND window_start = $2";
const RETURN_QUOTA: &str =
    "UPDATE quotas SET spent = spent - $3 WHERE counter = $1 AND window_start = $2 AND spent >= $3";
const QUOTAS: &str = "SELECT counter, window_start, window_end, spent FROM quotas WHERE counter LIKE $1 AND window_end > $2 \
     ORDER BY counter LIMIT 1000";
const FORGET_QUOTAS: &str = "DELETE FROM quotas WHERE window_end < $1";

/// How often a slice is asked for again when another process took it in between.
const TRIES_MAX: u32 = 20;

impl Store {
    pub async fn plans(&self, organization: OrganizationId) -> Result<Vec<PlanRow>, StoreError> {
        self.plans_after(organization, ("", 1_000)).await
    }

    /// Those that follow a name, by name.
    pub async fn plans_after(
        &self,
        organization: OrganizationId,
        (after, limit): (&str, i64),
    ) -> Result<Vec<PlanRow>, StoreError> {
        fetch_all!(&self.db, PlanRow, PLANS, organization.0, after, limit)
    }

    pub async fn plan(
        &self,
        organization: OrganizationId,
        name: &str,
    ) -> Result<Option<PlanRow>, StoreError> {
        fetch_optional!(&self.db, PlanRow, PLAN, organization.0, name)
    }

    /// Makes a plan or replaces the one of that name, for everyone who has it.
    pub async fn put_plan(
        &self,
        (name, description, limits): (&str, &str, &str),
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let (at, id) = (now.timestamp_micros(), PlanId::generate());
        execute!(
            &mut tx,
            PUT_PLAN,
            id.0,
            act.organization.0,
            name,
            description,
            limits,
            at
        )?;
        self.commit_change(tx, act, (Change::Key(KeyId(id.0)), 1), at)
            .await
    }

    /// Ends a plan. `false`: there is none of that name.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] while some consumer has it.
    pub async fn delete_plan(
        &self,
        name: &str,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        if execute!(&mut tx, DELETE_PLAN, act.organization.0, name)? == 0 {
            return Ok(false);
        }
        let at = now.timestamp_micros();
        let change = Change::Key(KeyId(PlanId::generate().0));
        self.commit_change(tx, act, (change, 2), at).await?;
        Ok(true)
    }

    /// A consumer's plans, by server.
    pub async fn assignments(
        &self,
        organization: OrganizationId,
        consumer: ConsumerId,
    ) -> Result<Vec<AssignmentRow>, StoreError> {
        fetch_all!(
            &self.db,
            AssignmentRow,
            ASSIGNED,
            organization.0,
            consumer.0
        )
    }

    /// Gives a consumer a plan with a server, in place of the one it has.
    pub async fn assign_plan(
        &self,
        (consumer, server): (ConsumerId, ServerId),
        plan: PlanId,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let at = now.timestamp_micros();
        let organization = act.organization.0;
        execute!(
            &mut tx,
            ASSIGN,
            organization,
            consumer.0,
            server.0,
            plan.0,
            at
        )?;
        self.commit_change(tx, act, (Change::Key(KeyId(consumer.0)), 1), at)
            .await
    }

    /// Takes a consumer's plan with a server away. `false`: it had none.
    pub async fn unassign_plan(
        &self,
        (consumer, server): (ConsumerId, ServerId),
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        if execute!(&mut tx, UNASSIGN, act.organization.0, consumer.0, server.0)? == 0 {
            return Ok(false);
        }
        let at = now.timestamp_micros();
        self.commit_change(tx, act, (Change::Key(KeyId(consumer.0)), 1), at)
            .await?;
        Ok(true)
    }

    /// The limits of all a consumer does, as JSON.
    pub async fn consumer_limits(
        &self,
        organization: OrganizationId,
        consumer: ConsumerId,
    ) -> Result<Option<String>, StoreError> {
        let row = fetch_optional!(
            &self.db,
            LimitsRow,
            CONSUMER_LIMITS,
            organization.0,
            consumer.0
        )?;
        Ok(row.and_then(|row| row.limits))
    }

    /// `false`: there is no such consumer.
    pub async fn set_consumer_limits(
        &self,
        consumer: ConsumerId,
        limits: &str,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        if execute!(
            &mut tx,
            SET_CONSUMER_LIMITS,
            act.organization.0,
            consumer.0,
            limits
        )? == 0
        {
            return Ok(false);
        }
        let at = now.timestamp_micros();
        self.commit_change(tx, act, (Change::Key(KeyId(consumer.0)), 1), at)
            .await?;
        Ok(true)
    }

    /// Takes up to `wanted` of a quota of `amount`, durably: what was taken is spent, until it is
    /// given back. `began` and `ends` bound the window that is now; a later one that was begun
    /// before goes on.
    pub async fn take_quota(
        &self,
        counter: &str,
        (began, ends): (i64, i64),
        (wanted, amount): (u64, u64),
    ) -> Result<Taken, StoreError> {
        let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let mut wanted = signed(wanted);
        for _ in 0..TRIES_MAX {
            let mut tx = self.db.begin().await?;
            execute!(&mut tx, BEGIN_QUOTA, counter, began, ends)?;
            let row = fetch_in!(&mut tx, QuotaRow, LATEST_QUOTA, counter)?;
            let row = row.ok_or(StoreError::Stale)?;
            wanted = wanted.min(signed(amount) - row.spent).max(0);
            let taken = Taken {
                began: row.window_start,
                ends: row.window_end,
                granted: u64::try_from(wanted).unwrap_or_default(),
            };
            let window = row.window_start;
            let done = wanted == 0
                || execute!(&mut tx, TAKE_QUOTA, counter, window, wanted, signed(amount))? == 1;
            tx.commit().await?;
            if done {
                return Ok(taken);
            }
        }
        Err(StoreError::Stale)
    }

    /// Takes of a window what was used, whether or not it is left.
    pub async fn overdraw_quota(
        &self,
        counter: &str,
        window: i64,
        amount: i64,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        execute!(&mut tx, OVERDRAW_QUOTA, counter, window, amount)?;
        tx.commit().await
    }

    /// Gives back what was taken of quotas and not spent: count, window and how many.
    pub async fn return_quotas(&self, left: &[(String, i64, i64)]) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        for (counter, window, rest) in left {
            execute!(&mut tx, RETURN_QUOTA, counter.as_str(), *window, *rest)?;
        }
        tx.commit().await
    }

    /// What is taken of the quotas whose names begin so, in windows that have not ended.
    pub async fn quotas(
        &self,
        prefix: &str,
        now: DateTime<Utc>,
    ) -> Result<Vec<QuotaRow>, StoreError> {
        self.quotas_like(&format!("{prefix}%"), now).await
    }

    /// The same of those that servers have for a holder, `consumer:ID` or `user:ID`.
    pub async fn quotas_of_servers(
        &self,
        holder: &str,
        now: DateTime<Utc>,
    ) -> Result<Vec<QuotaRow>, StoreError> {
        self.quotas_like(&format!("server:%/{holder}"), now).await
    }

    /// The same of those that models have.
    pub async fn quotas_of_models(
        &self,
        holder: &str,
        now: DateTime<Utc>,
    ) -> Result<Vec<QuotaRow>, StoreError> {
        self.quotas_like(&format!("model:%/{holder}"), now).await
    }

    async fn quotas_like(
        &self,
        pattern: &str,
        now: DateTime<Utc>,
    ) -> Result<Vec<QuotaRow>, StoreError> {
        let at = now.timestamp_micros();
        fetch_all!(&self.db, QuotaRow, QUOTAS, pattern, at)
    }

    /// Forgets windows that ended before `at`, in microseconds.
    pub async fn forget_quotas(&self, at: i64) -> Result<u64, StoreError> {
        let mut tx = self.db.begin().await?;
        let gone = execute!(&mut tx, FORGET_QUOTAS, at)?;
        tx.commit().await?;
        Ok(gone)
    }
}
