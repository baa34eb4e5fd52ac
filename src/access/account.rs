//! Accounts: how people sign in and out, and choose what they prove themselves with.
//!
//! Whoever is unknown, disabled or has no password gets the same answer after the same time. Of what is
//! secret, only hashes and sealed bytes are stored, and no error carries any of it.

pub mod codes;
pub mod identity;
pub mod manage;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use uuid::Uuid;

use crate::access::password::{PasswordError, Passwords};
use crate::access::person::Person;
use crate::access::role::Role;
use crate::access::session::{SESSION, Session, Sessions};
use crate::access::throttle::{Throttle, Try};
use crate::access::vault::{Vault, VaultError};
use crate::store::audit::NewAudit;
use crate::store::sessions::{NewSession, SessionRow};
use crate::store::users::UserRow;
use crate::store::{Store, StoreError};
use crate::types::{Clock, OrganizationId, UserId};

/// What a session says of its browser is cut to this many characters.
const USER_AGENT_CHARS_MAX: usize = 200;
/// A use of a session is noted at most this often, in microseconds.
const SEEN_EVERY: i64 = 60_000_000;

/// The accounts of a process. Cheap to clone.
#[derive(Clone)]
pub struct Accounts(Arc<Inner>);

struct Inner {
    store: Store,
    vault: Arc<Vault>,
    sessions: Sessions,
    clock: Clock,
    passwords: Passwords,
    throttle: Throttle,
}

/// Why something about an account was not done.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// On purpose the only word for an unknown name, a wrong password, and an account that is disabled.
    #[error("that is not right")]
    Wrong,
    #[error("too many tries; try again in {0} seconds")]
    Later(i64),
    #[error("the link was used already, is too old, or was replaced by another one")]
    NoLink,
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error("a name has 1 to 64 of a-z, 0-9 and . _ - @, and begins with a letter or a digit")]
    Name,
    #[error("there is somebody of that name already")]
    Taken,
    #[error("nobody has that name")]
    Nobody,
    #[error("the name that was typed is another one; nothing was erased")]
    Unconfirmed,
    #[error("nobody takes their own role or account away; ask another admin")]
    Oneself,
    #[error(transparent)]
    Store(StoreError),
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl From<StoreError> for AccountError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(name) if name.contains("users") => Self::Taken,
            other => Self::Store(other),
        }
    }
}

/// Where a try to sign in comes from.
#[derive(Clone, Copy)]
pub struct Origin<'a> {
    pub address: &'a str,
    pub user_agent: &'a str,
}

/// How far somebody is.
pub enum SignIn {
    /// In: the cookie's value.
    Done(String),
    /// A code is asked for, with this ticket.
    Code(String),
}

/// A session and who acts with it.
#[derive(Clone)]
pub struct Visit {
    pub session: Session,
    /// Of a session that is stored.
    pub id: Option<Uuid>,
    /// The issuer that vouched for them when it began.
    pub issuer: Option<String>,
    pub person: Person,
}

impl Accounts {
    pub fn new(
        (store, vault): (Store, Arc<Vault>),
        sessions: Sessions,
        clock: Clock,
    ) -> Result<Self, PasswordError> {
        Ok(Self(Arc::new(Inner {
            store,
            vault,
            sessions,
            clock,
            passwords: Passwords::new()?,
            throttle: Throttle::default(),
        })))
    }

    pub fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    fn now(&self) -> DateTime<Utc> {
        self.0.clock.now()
    }

    fn admit(&self, name: &str, from: Origin<'_>) -> Result<Try, AccountError> {
        let admitted = self.0.throttle.admit(name, from.address, self.now());
        admitted.map_err(AccountError::Later)
    }

    /// Signs in with a name and a password.
    pub async fn sign_in(
        &self,
        (name, password): (&str, &SecretString),
        from: Origin<'_>,
    ) -> Result<SignIn, AccountError> {
        let name = name.trim().to_ascii_lowercase();
        let attempt = self.admit(&name, from)?;
        let user = self.0.store.user_named(OrganizationId::DEFAULT, &name);
        let user = user.await?.filter(|user| user.disabled_at.is_none());
        let stored = user.as_ref().and_then(|user| user.password_hash.as_deref());
        let same = self.0.passwords.is(password, stored).await?;
        let user = user.filter(|_| same).ok_or(AccountError::Wrong)?;
        if user.totp_step.is_some() {
            let hash = user.password_hash.as_deref().unwrap_or_default();
            let ticket = self.0.sessions.ticket(UserId(user.id), hash, self.now());
            return Ok(SignIn::Code(ticket));
        }
        self.let_in(&user, &attempt, from).await.map(SignIn::Done)
    }

    /// Signs in with a code, after the password was right.
    pub async fn sign_in_with_code(
        &self,
        (ticket, entered): (&str, &str),
        from: Origin<'_>,
    ) -> Result<String, AccountError> {
        let id = self.0.sessions.of_ticket(ticket, self.now());
        let user = match id {
            Some(id) => self.0.store.user(id).await?,
            None => None,
        };
        let user = user.filter(|user| {
            let hash = user.password_hash.as_deref().unwrap_or_default();
            user.disabled_at.is_none() && self.0.sessions.is_current(ticket, hash)
        });
        let user = user.ok_or(AccountError::Wrong)?;
        let attempt = self.admit(&user.name, from)?;
        if !self.is_code(&user, entered).await? {
            return Err(AccountError::Wrong);
        }
        self.let_in(&user, &attempt, from).await
    }

    /// Signs in with the admin key, where `right` says that it is: a session of nobody in particular.
    pub fn sign_in_with_key(&self, right: bool, from: Origin<'_>) -> Result<String, AccountError> {
        let attempt = self.admit("the admin key", from);
        if right {
            // Whoever has it is never kept out by those who have not.
            if let Ok(attempt) = attempt {
                self.0.throttle.went_well(&attempt);
            }
            return Ok(self.0.sessions.start(self.now()).1);
        }
        attempt.and(Err(AccountError::Wrong))
    }

    async fn let_in(
        &self,
        user: &UserRow,
        attempt: &Try,
        from: Origin<'_>,
    ) -> Result<String, AccountError> {
        let cookie = self.begin(user, from.user_agent).await?;
        self.0.throttle.went_well(attempt);
        Ok(cookie)
    }

    /// Begins a session after a password: the cookie's value.
    async fn begin(&self, user: &UserRow, user_agent: &str) -> Result<String, AccountError> {
        let begun = self.begin_for(user, user_agent, None).await?;
        begun.ok_or(AccountError::Wrong)
    }

    /// Begins a session, which an issuer vouches for or a password did. `None`: they may not sign in that
    /// way any more.
    async fn begin_for(
        &self,
        user: &UserRow,
        user_agent: &str,
        issuer: Option<&str>,
    ) -> Result<Option<String>, StoreError> {
        let now = self.now();
        let (session, cookie) = self.0.sessions.start_stored(now);
        let user_agent: String = user_agent.chars().take(USER_AGENT_CHARS_MAX).collect();
        let new = NewSession {
            id: Uuid::now_v7(),
            hash: self.0.sessions.hash_of(&session),
            user: UserId(user.id),
            password_hash: user.password_hash.as_deref().unwrap_or_default(),
            user_agent: &user_agent,
            issuer,
            expires_at: now + SESSION,
        };
        if !self.0.store.begin_session(&new, now).await? {
            return Ok(None);
        }
        self.0.store.note_sign_in(new.user, now).await?;
        Ok(Some(cookie))
    }

    /// Who comes with a cookie, if it is of a session that is good at this moment.
    pub async fn visit(&self, cookie: &str) -> Result<Option<Visit>, StoreError> {
        let now = self.now();
        let Some(session) = self.0.sessions.read(cookie, now) else {
            return Ok(None);
        };
        let hash = self.0.sessions.hash_of(&session);
        if session.is_of_admin_key() {
            if self.0.store.is_ended(&hash).await? {
                return Ok(None);
            }
            let person = Person::of_admin_key();
            return Ok(Some(Visit {
                session,
                id: None,
                issuer: None,
                person,
            }));
        }
        let Some(row) = self.0.store.signed_in(&hash, now).await? else {
            return Ok(None);
        };
        if now.timestamp_micros() - row.last_seen_at > SEEN_EVERY {
            self.0.store.note_seen(row.id, now).await?;
        }
        let role: Role = row
            .role
            .parse()
            .map_err(|_| StoreError::Corrupt(format!("role of user {}", row.user_id)))?;
        let organization = OrganizationId(row.organization_id);
        let person = Person::of_user(organization, (UserId(row.user_id), row.name), role);
        Ok(Some(Visit {
            session,
            id: Some(row.id),
            issuer: row.issuer,
            person,
        }))
    }

    /// Somebody as they are now; `None`: there is no such person, or they are kept out.
    pub async fn person(&self, user: UserId) -> Result<Option<Person>, StoreError> {
        let row = self.0.store.user(user).await?;
        let Some(row) = row.filter(|row| row.disabled_at.is_none()) else {
            return Ok(None);
        };
        let role: Role = row
            .role
            .parse()
            .map_err(|_| StoreError::Corrupt(format!("role of user {}", row.id)))?;
        let organization = OrganizationId(row.organization_id);
        Ok(Some(Person::of_user(
            organization,
            (UserId(row.id), row.name),
            role,
        )))
    }

    /// Ends the session of a visit.
    pub async fn sign_out(&self, visit: &Visit) -> Result<(), StoreError> {
        let session = &visit.session;
        if session.is_of_admin_key() {
            let hash = self.0.sessions.hash_of(session);
            let ended = self
                .0
                .store
                .end_unstored(&hash, session.expires_at(), self.now());
            return ended.await;
        }
        if let (Some(user), Some(id)) = (visit.person.user(), visit.id) {
            self.0.store.end_session(user, id, self.now()).await?;
        }
        Ok(())
    }

    /// The sessions of somebody that are good.
    pub async fn sessions_of(&self, user: UserId) -> Result<Vec<SessionRow>, StoreError> {
        self.0.store.sessions(user, self.now()).await
    }

    /// Ends one session of somebody.
    pub async fn end_session(&self, user: UserId, session: Uuid) -> Result<bool, StoreError> {
        self.0.store.end_session(user, session, self.now()).await
    }

    /// Ends every session of somebody.
    pub async fn sign_out_everywhere(&self, user: UserId) -> Result<u64, StoreError> {
        self.0.store.end_sessions(user, self.now()).await
    }

    /// Somebody's own account.
    pub async fn own(&self, user: UserId) -> Result<UserRow, AccountError> {
        let found = self.0.store.user(user).await?;
        found.ok_or(AccountError::Nobody)
    }

    /// Changes somebody's own password, which they show. Their sessions end; the cookie of the one that
    /// takes the place of this one is given.
    pub async fn change_password(
        &self,
        visit: &Visit,
        (old, new): (&SecretString, &SecretString),
        from: Origin<'_>,
    ) -> Result<String, AccountError> {
        let user = visit.person.user().ok_or(AccountError::Nobody)?;
        let row = self.own(user).await?;
        let attempt = self.admit(&row.name, from)?;
        if !self
            .0
            .passwords
            .is(old, row.password_hash.as_deref())
            .await?
        {
            return Err(AccountError::Wrong);
        }
        self.0.throttle.went_well(&attempt);
        crate::access::password::check(new, &row.name)?;
        let hash = self.0.passwords.hash(new).await?;
        let act = act(&visit.person, "password", &row.name);
        let store = &self.0.store;
        store.change_password(user, &hash, &act, self.now()).await?;
        let row = UserRow {
            password_hash: Some(hash),
            ..row
        };
        self.begin(&row, from.user_agent).await
    }
}

/// What somebody does to an account, for the audit.
fn act(person: &Person, action: &'static str, name: &str) -> NewAudit {
    let who = (person.organization(), person.actor());
    NewAudit::of(who, action, ("user", name.to_owned()))
}
