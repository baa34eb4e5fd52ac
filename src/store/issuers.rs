//! Issuers of tokens, and the consumers that came with one.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::store::audit::NewAudit;
use crate::store::changes::Change;
use crate::store::db::{Number, execute, fetch_all, fetch_in, fetch_optional, row};
use crate::store::keys::ConsumerRow;
use crate::store::servers::hold_names;
use crate::store::{Store, StoreError};
use crate::types::{ConsumerId, KeyId, OrganizationId};

row! {
    /// An issuer; its settings are JSON.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct IssuerRow {
        pub id: Uuid,
        pub organization_id: Uuid,
        pub name: String,
        pub issuer: String,
        pub settings: String,
        pub updated_at: i64,
    }
}

/// An issuer to be stored.
pub struct NewIssuer<'a> {
    pub name: &'a str,
    pub issuer: &'a str,
    pub settings: &'a str,
}

/// Who came with a token for the first time, perhaps.
pub struct NewSubject<'a> {
    pub organization: OrganizationId,
    pub issuer: &'a str,
    pub subject: &'a str,
    /// What people call the consumer.
    pub name: &'a str,
    /// How many consumers an issuer may have brought.
    pub subjects_max: i64,
}

/// Issuers of all organizations.
pub const ISSUERS_MAX: i64 = 100;

const ALL: &str = "SELECT id, organization_id, name, issuer, settings, updated_at FROM issuers ORDER BY issuer LIMIT 100";
const OF_ORGANIZATION: &str = "SELECT id, organization_id, name, issuer, settings, updated_at FROM issuers \
     WHERE organization_id = $1 AND name > $2 ORDER BY name LIMIT $3";
const ONE: &str = "SELECT id, organization_id, name, issuer, settings, updated_at FROM issuers \
     WHERE organization_id = $1 AND name = $2";
const COUNT: &str = "SELECT COUNT(*) AS value FROM issuers";
/// With another id each time it is written, so that nothing is taken for what it was before.
const PUT: &str = "INSERT INTO issuers (id, organization_id, name, issuer, settings, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT (organization_id, name) \
     DO UPDATE SET id = excluded.id, issuer = excluded.issuer, settings = excluded.settings, updated_at = excluded.updated_at";
const DELETE: &str = "DELETE FROM issuers WHERE organization_id = $1 AND name = $2";
const SUBJECT: &str = "SELECT id, name, created_at, owner_id FROM consumers WHERE organization_id = $1 AND issuer = $2 AND subject = $3";
const SUBJECTS: &str =
    "SELECT COUNT(*) AS value FROM consumers WHERE organization_id = $1 AND issuer = $2";
const INSERT_SUBJECT: &str = "INSERT INTO consumers (id, organization_id, name, created_at, issuer, subject) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";

impl Store {
    /// Those of all organizations: what a process recognises tokens by.
    pub async fn all_issuers(&self) -> Result<Vec<IssuerRow>, StoreError> {
        fetch_all!(&self.db, IssuerRow, ALL)
    }

    pub async fn issuers(
        &self,
        organization: OrganizationId,
    ) -> Result<Vec<IssuerRow>, StoreError> {
        self.issuers_after(organization, ("", ISSUERS_MAX)).await
    }

    /// Those that follow a name, by name.
    pub async fn issuers_after(
        &self,
        organization: OrganizationId,
        (after, limit): (&str, i64),
    ) -> Result<Vec<IssuerRow>, StoreError> {
        fetch_all!(
            &self.db,
            IssuerRow,
            OF_ORGANIZATION,
            organization.0,
            after,
            limit
        )
    }

    pub async fn issuer(
        &self,
        organization: OrganizationId,
        name: &str,
    ) -> Result<Option<IssuerRow>, StoreError> {
        fetch_optional!(&self.db, IssuerRow, ONE, organization.0, name)
    }

    /// Stores an issuer, in place of the one of that name. `false`: there is no room for one more.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where another one has its `iss`.
    pub async fn put_issuer(
        &self,
        new: NewIssuer<'_>,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        hold_names(&mut tx, ["issuers"]).await?;
        let (at, id) = (now.timestamp_micros(), KeyId::generate());
        let organization = act.organization.0;
        let known = fetch_in!(&mut tx, IssuerRow, ONE, organization, new.name)?;
        let count = fetch_in!(&mut tx, Number, COUNT)?.map_or(0, |row| row.value);
        if known.is_none() && count >= ISSUERS_MAX {
            return Ok(false);
        }
        execute!(
            &mut tx,
            PUT,
            id.0,
            organization,
            new.name,
            new.issuer,
            new.settings,
            at
        )?;
        self.commit_change(tx, act, (Change::Key(id), 1), at)
            .await?;
        Ok(true)
    }

    /// Forgets an issuer; its consumers stay, for the ledger. `false`: there is none of that name.
    pub async fn delete_issuer(
        &self,
        name: &str,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let organization = act.organization.0;
        let known = fetch_in!(&mut tx, IssuerRow, ONE, organization, name)?;
        let Some(known) = known else {
            return Ok(false);
        };
        execute!(&mut tx, DELETE, organization, name)?;
        let at = now.timestamp_micros();
        self.commit_change(tx, act, (Change::Key(KeyId(known.id)), 2), at)
            .await?;
        Ok(true)
    }

    /// The consumer that comes with an issuer's tokens as `subject`, made where it is new. `None`: the
    /// issuer has brought as many as it may.
    pub async fn consumer_of(
        &self,
        new: NewSubject<'_>,
        now: DateTime<Utc>,
    ) -> Result<Option<ConsumerId>, StoreError> {
        let organization = new.organization.0;
        let known = fetch_optional!(
            &self.db,
            ConsumerRow,
            SUBJECT,
            organization,
            new.issuer,
            new.subject
        )?;
        if let Some(row) = known {
            return Ok(Some(ConsumerId(row.id)));
        }
        let mut tx = self.db.begin().await?;
        hold_names(&mut tx, [&format!("consumers of {}", new.issuer)]).await?;
        let count = fetch_in!(&mut tx, Number, SUBJECTS, organization, new.issuer)?;
        if count.map_or(0, |row| row.value) >= new.subjects_max {
            return Ok(None);
        }
        let fresh = ConsumerId::generate();
        // Its own name may be somebody else's already, who was made here.
        let unlike = format!("{} {fresh}", new.name);
        for name in [new.name, unlike.as_str()] {
            execute!(
                &mut tx,
                INSERT_SUBJECT,
                fresh.0,
                organization,
                name,
                now.timestamp_micros(),
                new.issuer,
                new.subject
            )?;
            let row = fetch_in!(
                &mut tx,
                ConsumerRow,
                SUBJECT,
                organization,
                new.issuer,
                new.subject
            )?;
            if let Some(row) = row {
                let made = ConsumerId(row.id);
                self.commit_notice(tx, Change::Consumer(made)).await?;
                return Ok(Some(made));
            }
        }
        Err(StoreError::Stale)
    }
}
