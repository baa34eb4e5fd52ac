//! Who identity providers say people are, and sign-ins that were begun with one.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::store::audit::NewAudit;
use crate::store::changes::Change;
use crate::store::db::{Tx, execute, fetch_all, fetch_in, fetch_optional, row};
use crate::store::personal::Page;
use crate::store::users::{NewUser, insert_user};
use crate::store::{Store, StoreError};
use crate::types::{OrganizationId, UserId};

row! {
    /// An identity, and whose account it is linked with.
    #[derive(Clone, Debug)]
    pub struct IdentityRow {
        pub id: Uuid,
        pub user_id: Uuid,
        pub issuer: String,
        pub subject: String,
        /// How people recognise it.
        pub shown: String,
        /// 1: the account was made for it.
        pub made_account: i64,
        pub created_at: i64,
    }
}

row! {
    /// A sign-in that was begun.
    #[derive(Clone, Debug)]
    pub struct BegunRow {
        pub redirect_uri: String,
        pub next: String,
        pub user_id: Option<Uuid>,
        pub expires_at: i64,
    }
}

/// An identity to be linked with an account.
pub struct NewIdentity<'a> {
    pub id: Uuid,
    pub user: UserId,
    pub issuer: &'a str,
    pub subject: &'a str,
    pub shown: &'a str,
}

/// A sign-in to be begun.
pub struct NewBegun<'a> {
    /// Hashes of the state, and of what the browser keeps.
    pub id: [u8; 32],
    pub browser: [u8; 32],
    pub address: &'a str,
    pub redirect_uri: &'a str,
    pub next: &'a str,
    /// Who links an identity; `None`: somebody signs in.
    pub user: Option<UserId>,
}

/// Sign-ins that are under way from one address, and from all.
const FROM_ONE_MAX: i64 = 500;
const BEGUN_MAX: i64 = 20_000;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT i.id, i.user_id, i.issuer, i.subject, i.shown, i.made_account, i.created_at FROM identities i ",
            $rest
        )
    };
}

const BY_SUBJECT: &str =
    select!("WHERE i.organization_id = $1 AND i.issuer = $2 AND i.subject = $3");
const OF_USER: &str = select!("WHERE i.user_id = $1 ORDER BY i.created_at, i.id LIMIT 20");
const OF_USER_AFTER: &str = select!("WHERE i.user_id = $1 AND i.id > $2 ORDER BY i.id LIMIT $3");
const LIST: &str = select!("WHERE i.organization_id = $1 ORDER BY i.user_id, i.id LIMIT 5000");
const INSERT: &str = "INSERT INTO identities (id, organization_id, user_id, issuer, subject, shown, made_account, created_at) \
     SELECT $1, u.organization_id, u.id, $3, $4, $5, $6, $7 FROM users u \
     WHERE u.id = $2 AND u.organization_id = $8 AND u.disabled_at IS NULL";
const REMOVE: &str =
    "DELETE FROM identities WHERE user_id = $1 AND id = $2 AND organization_id = $3";
const ISSUER_OF: &str = select!("WHERE i.user_id = $1 AND i.id = $2");
const END_SESSIONS: &str =
    "UPDATE sessions SET revoked_at = $3 WHERE user_id = $1 AND issuer = $2 AND revoked_at IS NULL";
const END_SETUP: &str = "DELETE FROM setup_claims WHERE organization_id = $1";
const EXPIRE: &str = "DELETE FROM sign_ins WHERE expires_at <= $1";
const EVICT_FROM: &str = "DELETE FROM sign_ins WHERE address = $1 AND id NOT IN \
     (SELECT id FROM sign_ins WHERE address = $1 ORDER BY expires_at DESC, id LIMIT $2)";
const EVICT: &str = "DELETE FROM sign_ins WHERE id NOT IN \
     (SELECT id FROM sign_ins ORDER BY expires_at DESC, id LIMIT $1)";
const BEGIN: &str = "INSERT INTO sign_ins (id, browser, address, redirect_uri, next, user_id, expires_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7)";
const BEGUN: &str =
    "SELECT redirect_uri, next, user_id, expires_at FROM sign_ins WHERE id = $1 AND browser = $2";
const TAKE: &str = "DELETE FROM sign_ins WHERE id = $1 AND browser = $2";

impl Store {
    /// The identity of that issuer and subject, if it is linked with an account.
    pub async fn identity(
        &self,
        organization: OrganizationId,
        (issuer, subject): (&str, &str),
    ) -> Result<Option<IdentityRow>, StoreError> {
        let organization = organization.0;
        fetch_optional!(
            &self.db,
            IdentityRow,
            BY_SUBJECT,
            organization,
            issuer,
            subject
        )
    }

    /// What somebody's account is linked with.
    pub async fn identities_of(&self, user: UserId) -> Result<Vec<IdentityRow>, StoreError> {
        fetch_all!(&self.db, IdentityRow, OF_USER, user.0)
    }

    /// The same in pages, by id.
    pub async fn identities_after(
        &self,
        user: Uuid,
        (after, limit): Page,
    ) -> Result<Vec<IdentityRow>, StoreError> {
        fetch_all!(&self.db, IdentityRow, OF_USER_AFTER, user, after, limit)
    }

    /// The identities of all people of an organization.
    pub async fn identities(
        &self,
        organization: OrganizationId,
    ) -> Result<Vec<IdentityRow>, StoreError> {
        fetch_all!(&self.db, IdentityRow, LIST, organization.0)
    }

    /// Links an identity with an account that is there. `false`: there is none that may sign in. One that
    /// is linked already, or an account that has one of the issuer, is a [`StoreError::Conflict`].
    pub async fn link_identity(
        &self,
        new: &NewIdentity<'_>,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let at = now.timestamp_micros();
        if insert(&mut tx, new, (act.organization, 0), at).await? == 0 {
            return Ok(false);
        }
        self.commit_change(tx, act, (Change::User(new.user), 2), at)
            .await?;
        Ok(true)
    }

    /// Makes a person and links the identity they are made for. From then on no setup link is good.
    /// A name that is taken, or an identity that is linked, is a [`StoreError::Conflict`].
    pub async fn create_user_of(
        &self,
        (user, identity): (NewUser<'_>, &NewIdentity<'_>),
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let at = now.timestamp_micros();
        execute!(&mut tx, END_SETUP, act.organization.0)?;
        insert_user(&mut tx, &user, act.organization, at).await?;
        insert(&mut tx, identity, (act.organization, 1), at).await?;
        self.commit_change(tx, act, (Change::User(user.id), 1), at)
            .await
    }

    /// Ends what links an identity with somebody's account, and the sessions that began with its issuer.
    /// `false`: there is no such thing.
    pub async fn unlink_identity(
        &self,
        (user, identity): (UserId, Uuid),
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let at = now.timestamp_micros();
        let Some(row) = fetch_in!(&mut tx, IdentityRow, ISSUER_OF, user.0, identity)? else {
            return Ok(false);
        };
        if execute!(&mut tx, REMOVE, user.0, identity, act.organization.0)? == 0 {
            return Ok(false);
        }
        execute!(&mut tx, END_SESSIONS, user.0, &row.issuer, at)?;
        self.commit_change(tx, act, (Change::User(user), 2), at)
            .await?;
        Ok(true)
    }

    /// Keeps what a sign-in was begun with, until `until`. Of too many, those that were begun first end:
    /// of the same address, and then of all.
    pub async fn begin_sign_in(
        &self,
        new: &NewBegun<'_>,
        (now, until): (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        execute!(&mut tx, EXPIRE, now.timestamp_micros())?;
        execute!(&mut tx, EVICT_FROM, new.address, FROM_ONE_MAX - 1)?;
        execute!(&mut tx, EVICT, BEGUN_MAX - 1)?;
        execute!(
            &mut tx,
            BEGIN,
            new.id.as_slice(),
            new.browser.as_slice(),
            new.address,
            new.redirect_uri,
            new.next,
            new.user.map(|user| user.0),
            until.timestamp_micros()
        )?;
        tx.commit().await
    }

    /// What a sign-in was begun with, once, by the browser that began it. Another browser takes nothing.
    /// It may be late.
    pub async fn take_sign_in(
        &self,
        (id, browser): (&[u8; 32], &[u8; 32]),
    ) -> Result<Option<BegunRow>, StoreError> {
        let mut tx = self.db.begin().await?;
        let (id, browser) = (id.as_slice(), browser.as_slice());
        let Some(begun) = fetch_in!(&mut tx, BegunRow, BEGUN, id, browser)? else {
            return Ok(None);
        };
        let taken = execute!(&mut tx, TAKE, id, browser)?;
        tx.commit().await?;
        Ok((taken == 1).then_some(begun))
    }
}

async fn insert(
    tx: &mut Tx,
    new: &NewIdentity<'_>,
    (organization, made_account): (OrganizationId, i64),
    at: i64,
) -> Result<u64, StoreError> {
    execute!(
        tx,
        INSERT,
        new.id,
        new.user.0,
        new.issuer,
        new.subject,
        new.shown,
        made_account,
        at,
        organization.0
    )
}
