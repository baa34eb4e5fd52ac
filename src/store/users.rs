//! People who sign in, the links they choose a password with, and what they prove themselves with.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::store::audit::NewAudit;
use crate::store::changes::Change;
use crate::store::connected;
use crate::store::db::{Number, Tx, execute, fetch_all, fetch_in, fetch_optional, row};
use crate::store::{Store, StoreError};
use crate::types::{OrganizationId, UserId};

row! {
    /// A person as stored: of the password only its hash, of the shared secret only what the vault
    /// made of it.
    #[derive(Clone)]
    pub struct UserRow {
        pub id: Uuid,
        pub organization_id: Uuid,
        pub name: String,
        pub role: String,
        pub password_hash: Option<String>,
        pub created_at: i64,
        pub disabled_at: Option<i64>,
        pub last_sign_in_at: Option<i64>,
        pub totp_key_id: Option<String>,
        pub totp_sealed: Option<Vec<u8>>,
        /// The last time step a code was taken of; `None`: codes are not asked for.
        pub totp_step: Option<i64>,
    }
}

/// A person to be made.
pub struct NewUser<'a> {
    pub id: UserId,
    pub name: &'a str,
    pub role: &'a str,
    pub password_hash: Option<&'a str>,
}

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKind {
    Invite,
    Reset,
}

impl LinkKind {
    fn word(self) -> &'static str {
        match self {
            Self::Invite => "invite",
            Self::Reset => "reset",
        }
    }
}

/// A link to be made, for one person; earlier ones of theirs end.
pub struct NewLink {
    pub user: UserId,
    pub kind: LinkKind,
    pub hash: [u8; 32],
    pub expires_at: DateTime<Utc>,
}

/// What is changed of a person, together or not at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct UserEdit<'a> {
    pub role: Option<&'a str>,
    pub disabled: Option<bool>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT u.id, u.organization_id, u.name, u.role, u.password_hash, u.created_at, u.disabled_at, \
             u.last_sign_in_at, u.totp_key_id, u.totp_sealed, u.totp_step FROM users u ",
            $rest
        )
    };
}

const LIST: &str = select!("WHERE u.organization_id = $1 AND u.name > $2 ORDER BY u.name LIMIT $3");
const BY_NAME: &str = select!("WHERE u.organization_id = $1 AND u.name = $2");
const BY_ID: &str = select!("WHERE u.id = $1");
const BY_LINK: &str = select!(
    "JOIN account_links l ON l.user_id = u.id WHERE l.hash = $1 AND l.kind = $2 AND l.expires_at > $3"
);
const ANY: &str = "SELECT COUNT(*) AS value FROM users WHERE organization_id = $1";
const INSERT: &str = "INSERT INTO users (id, organization_id, name, role, password_hash, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6)";
const SET_ROLE: &str =
    "UPDATE users SET role = $3 WHERE id = $1 AND organization_id = $2 AND erased_at IS NULL";
const SET_DISABLED: &str = "UPDATE users SET disabled_at = $3 WHERE id = $1 AND organization_id = $2 AND erased_at IS NULL";
const SET_PASSWORD: &str = "UPDATE users SET password_hash = $2 WHERE id = $1";
const SIGNED_IN: &str = "UPDATE users SET last_sign_in_at = $2 WHERE id = $1";
const OFFER_TOTP: &str = "UPDATE users SET totp_key_id = $2, totp_sealed = $3, totp_step = NULL \
     WHERE id = $1 AND totp_step IS NULL";
const CONFIRM_TOTP: &str = "UPDATE users SET totp_step = $2 WHERE id = $1 AND totp_step IS NULL AND totp_sealed IS NOT NULL";
const TAKE_STEP: &str = "UPDATE users SET totp_step = $2 WHERE id = $1 AND totp_step < $2";
const END_TOTP: &str =
    "UPDATE users SET totp_key_id = NULL, totp_sealed = NULL, totp_step = NULL WHERE id = $1";
const INSERT_CODE: &str = "INSERT INTO recovery_codes (user_id, hash) VALUES ($1, $2)";
const TAKE_CODE: &str = "DELETE FROM recovery_codes WHERE user_id = $1 AND hash = $2";
const END_CODES: &str = "DELETE FROM recovery_codes WHERE user_id = $1";
const COUNT_CODES: &str = "SELECT COUNT(*) AS value FROM recovery_codes WHERE user_id = $1";
const END_LINKS: &str = "DELETE FROM account_links WHERE user_id = $1";
const INSERT_LINK: &str = "INSERT INTO account_links (hash, user_id, kind, created_at, expires_at) \
     VALUES ($1, $2, $3, $4, $5)";
const TAKE_LINK: &str =
    "DELETE FROM account_links WHERE hash = $1 AND user_id = $2 AND expires_at > $3";
/// Whoever claims waits for the row of whoever claims at the same time, and finds it taken.
const CLAIM_SETUP: &str = "INSERT INTO setup_claims (organization_id, hash, expires_at) \
     SELECT o.id, $2, $3 FROM organizations o WHERE o.id = $1 AND NOT EXISTS (SELECT 1 FROM users u WHERE u.organization_id = o.id) \
     ON CONFLICT (organization_id) DO UPDATE SET hash = excluded.hash, expires_at = excluded.expires_at \
     WHERE setup_claims.expires_at <= $4";
const IS_SETUP: &str = "SELECT COUNT(*) AS value FROM setup_claims WHERE organization_id = $1 AND hash = $2 AND expires_at > $3";
const TAKE_SETUP: &str =
    "DELETE FROM setup_claims WHERE organization_id = $1 AND hash = $2 AND expires_at > $3";
const END_SETUP: &str = "DELETE FROM setup_claims WHERE organization_id = $1";
const END_SESSIONS: &str =
    "UPDATE sessions SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL";

impl Store {
    /// The first thousand people of an organization, by name.
    pub async fn users(&self, organization: OrganizationId) -> Result<Vec<UserRow>, StoreError> {
        self.users_after(organization, ("", 1_000)).await
    }

    /// Those that follow a name, by name.
    pub async fn users_after(
        &self,
        organization: OrganizationId,
        (after, limit): (&str, i64),
    ) -> Result<Vec<UserRow>, StoreError> {
        fetch_all!(&self.db, UserRow, LIST, organization.0, after, limit)
    }

    pub async fn user_named(
        &self,
        organization: OrganizationId,
        name: &str,
    ) -> Result<Option<UserRow>, StoreError> {
        fetch_optional!(&self.db, UserRow, BY_NAME, organization.0, name)
    }

    pub async fn user(&self, id: UserId) -> Result<Option<UserRow>, StoreError> {
        fetch_optional!(&self.db, UserRow, BY_ID, id.0)
    }

    /// Whose link this is, while it is good.
    pub async fn user_of_link(
        &self,
        hash: &[u8; 32],
        kind: LinkKind,
        now: DateTime<Utc>,
    ) -> Result<Option<UserRow>, StoreError> {
        let now = now.timestamp_micros();
        fetch_optional!(
            &self.db,
            UserRow,
            BY_LINK,
            hash.as_slice(),
            kind.word(),
            now
        )
    }

    /// Makes a person. From then on no setup link is good. A name that is taken is a
    /// [`StoreError::Conflict`] on `users_name_unique`.
    pub async fn create_user(
        &self,
        new: NewUser<'_>,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let at = now.timestamp_micros();
        execute!(&mut tx, END_SETUP, act.organization.0)?;
        insert_user(&mut tx, &new, act.organization, at).await?;
        self.commit_change(tx, act, (Change::User(new.id), 1), at)
            .await
    }

    /// Makes the setup link with this hash the one there is, where nobody is there and no other is
    /// good. Of many who claim at once, one does.
    pub async fn claim_setup(
        &self,
        organization: OrganizationId,
        hash: &[u8; 32],
        (now, until): (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let (now, until) = (now.timestamp_micros(), until.timestamp_micros());
        let organization = organization.0;
        let claimed = execute!(
            &mut tx,
            CLAIM_SETUP,
            organization,
            hash.as_slice(),
            until,
            now
        )?;
        tx.commit().await?;
        Ok(claimed == 1)
    }

    /// Whether this is the hash of the setup link, and it is good.
    pub async fn is_setup(
        &self,
        organization: OrganizationId,
        hash: &[u8; 32],
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let now = now.timestamp_micros();
        let found = fetch_optional!(
            &self.db,
            Number,
            IS_SETUP,
            organization.0,
            hash.as_slice(),
            now
        )?;
        Ok(found.is_some_and(|row| row.value == 1))
    }

    /// Makes the first person with a setup link, which is good no more. `false`: it was not good, or
    /// somebody is there already.
    pub async fn set_up(
        &self,
        hash: &[u8; 32],
        new: NewUser<'_>,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let (organization, at) = (act.organization, now.timestamp_micros());
        let taken = execute!(&mut tx, TAKE_SETUP, organization.0, hash.as_slice(), at)?;
        let anybody = fetch_in!(&mut tx, Number, ANY, organization.0)?;
        if taken == 0 || anybody.is_some_and(|row| row.value > 0) {
            return Ok(false);
        }
        insert_user(&mut tx, &new, organization, at).await?;
        self.commit_change(tx, act, (Change::User(new.id), 1), at)
            .await?;
        Ok(true)
    }

    /// Changes a person. Whoever is disabled has no session, no link and no connected account any more.
    pub async fn edit_user(
        &self,
        id: UserId,
        edit: UserEdit<'_>,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let (organization, at) = (act.organization.0, now.timestamp_micros());
        let mut found = 0;
        if let Some(role) = edit.role {
            found += execute!(&mut tx, SET_ROLE, id.0, organization, role)?;
        }
        if let Some(disabled) = edit.disabled {
            let disabled_at = disabled.then_some(at);
            found += execute!(&mut tx, SET_DISABLED, id.0, organization, disabled_at)?;
            if disabled && found > 0 {
                execute!(&mut tx, END_SESSIONS, id.0, at)?;
                execute!(&mut tx, END_LINKS, id.0)?;
                connected::forget_of_user(&mut tx, id).await?;
            }
        }
        if found == 0 {
            return Ok(false);
        }
        self.commit_change(tx, act, (Change::User(id), 2), at)
            .await?;
        Ok(true)
    }

    /// Makes a link for a person; earlier ones of theirs end.
    pub async fn make_link(
        &self,
        link: &NewLink,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let at = now.timestamp_micros();
        execute!(&mut tx, END_LINKS, link.user.0)?;
        execute!(
            &mut tx,
            INSERT_LINK,
            link.hash.as_slice(),
            link.user.0,
            link.kind.word(),
            at,
            link.expires_at.timestamp_micros()
        )?;
        self.commit_change(tx, act, (Change::User(link.user), 2), at)
            .await
    }

    /// Stores a password that was chosen with a link, which is good no more; all sessions of the person
    /// end. What asks for codes stays.
    /// `false`: the link is not good.
    pub async fn choose_password(
        &self,
        user: UserId,
        (link, password_hash): (&[u8; 32], &str),
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let at = now.timestamp_micros();
        if execute!(&mut tx, TAKE_LINK, link.as_slice(), user.0, at)? == 0 {
            return Ok(false);
        }
        execute!(&mut tx, SET_PASSWORD, user.0, password_hash)?;
        execute!(&mut tx, END_SESSIONS, user.0, at)?;
        self.commit_change(tx, act, (Change::User(user), 2), at)
            .await?;
        Ok(true)
    }

    /// Stores another password of somebody who is signed in. All their sessions end, and their links.
    pub async fn change_password(
        &self,
        user: UserId,
        password_hash: &str,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let at = now.timestamp_micros();
        execute!(&mut tx, SET_PASSWORD, user.0, password_hash)?;
        execute!(&mut tx, END_SESSIONS, user.0, at)?;
        execute!(&mut tx, END_LINKS, user.0)?;
        self.commit_change(tx, act, (Change::User(user), 2), at)
            .await
    }

    /// Notes that somebody signed in. Not a change of anything.
    pub async fn note_sign_in(&self, user: UserId, now: DateTime<Utc>) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        execute!(&mut tx, SIGNED_IN, user.0, now.timestamp_micros())?;
        tx.commit().await
    }

    /// Keeps a shared secret that was shown and waits for its first code. `false`: codes are asked for
    /// already.
    pub async fn offer_totp(
        &self,
        user: UserId,
        (key_id, sealed): (&str, &[u8]),
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let offered = execute!(&mut tx, OFFER_TOTP, user.0, key_id, sealed)?;
        tx.commit().await?;
        Ok(offered == 1)
    }

    /// Asks for codes from now on; the first was of this step. These recovery codes replace all others.
    pub async fn confirm_totp(
        &self,
        user: UserId,
        (step, codes): (i64, &[[u8; 32]]),
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        if execute!(&mut tx, CONFIRM_TOTP, user.0, step)? == 0 {
            return Ok(false);
        }
        execute!(&mut tx, END_CODES, user.0)?;
        for hash in codes {
            execute!(&mut tx, INSERT_CODE, user.0, hash.as_slice())?;
        }
        let at = now.timestamp_micros();
        self.commit_change(tx, act, (Change::User(user), 2), at)
            .await?;
        Ok(true)
    }

    /// Uses up a time step. `false`: a code of it, or of a later one, was taken before.
    pub async fn take_totp_step(&self, user: UserId, step: i64) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let taken = execute!(&mut tx, TAKE_STEP, user.0, step)?;
        tx.commit().await?;
        Ok(taken == 1)
    }

    /// Uses up a recovery code. `false`: there is none with this hash.
    pub async fn take_recovery_code(
        &self,
        user: UserId,
        hash: &[u8; 32],
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let taken = execute!(&mut tx, TAKE_CODE, user.0, hash.as_slice())?;
        tx.commit().await?;
        Ok(taken == 1)
    }

    pub async fn recovery_codes_left(&self, user: UserId) -> Result<i64, StoreError> {
        let left = fetch_optional!(&self.db, Number, COUNT_CODES, user.0)?;
        Ok(left.map_or(0, |row| row.value))
    }

    /// Asks for no codes any more.
    pub async fn end_totp(
        &self,
        user: UserId,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        execute!(&mut tx, END_TOTP, user.0)?;
        execute!(&mut tx, END_CODES, user.0)?;
        let at = now.timestamp_micros();
        self.commit_change(tx, act, (Change::User(user), 2), at)
            .await
    }
}

pub(super) async fn insert_user(
    tx: &mut Tx,
    new: &NewUser<'_>,
    organization: OrganizationId,
    at: i64,
) -> Result<(), StoreError> {
    execute!(
        tx,
        INSERT,
        new.id.0,
        organization.0,
        new.name,
        new.role,
        new.password_hash,
        at
    )?;
    Ok(())
}
