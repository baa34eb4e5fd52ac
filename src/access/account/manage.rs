//! Accounts of others: the first admin, people an admin makes, and the links they choose a password
//! with.

use chrono::Duration;
use secrecy::SecretString;

use crate::access::account::{AccountError, Accounts, act};
use crate::access::afterlife;
use crate::access::password::check;
use crate::access::person::Person;
use crate::access::role::Role;
use crate::access::session::{Once, random};
use crate::store::StoreError;
use crate::store::audit::NewAudit;
use crate::store::personal::pseudonym;
use crate::store::users::{LinkKind, NewLink, NewUser, UserEdit, UserRow};
use crate::types::{OrganizationId, UserId};

const SETUP: Duration = Duration::minutes(30);
const INVITE: Duration = Duration::hours(72);
const RESET: Duration = Duration::hours(1);
const NAME_LENGTH_MAX: usize = 64;
/// Who the first admin is made by.
const SETUP_ACTOR: &str = "setup";

/// A name as it is stored.
fn named(text: &str) -> Result<String, AccountError> {
    let name = text.trim().to_ascii_lowercase();
    let letters = |c: char| c.is_ascii_alphanumeric();
    let fits = name.len() <= NAME_LENGTH_MAX
        && name.starts_with(letters)
        && name.chars().all(|c| letters(c) || "._-@".contains(c));
    if fits {
        Ok(name)
    } else {
        Err(AccountError::Name)
    }
}

/// What is changed of somebody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Edit {
    pub role: Option<Role>,
    pub disabled: Option<bool>,
}

impl Accounts {
    /// The token of the link that makes the first admin, where nobody is there yet and no other link is
    /// good. Of many processes that ask at once, one gets it.
    pub async fn claim_setup(&self) -> Result<Option<String>, StoreError> {
        let token = random();
        let hash = self.0.sessions.once(Once::Link, &token);
        let now = self.now();
        let organization = OrganizationId::DEFAULT;
        let store = &self.0.store;
        let claimed = store
            .claim_setup(organization, &hash, (now, now + SETUP))
            .await?;
        Ok(claimed.then_some(token))
    }

    pub async fn is_setup(&self, token: &str) -> Result<bool, StoreError> {
        let hash = self.0.sessions.once(Once::Link, token);
        let store = &self.0.store;
        store
            .is_setup(OrganizationId::DEFAULT, &hash, self.now())
            .await
    }

    /// Makes the first admin, who is in at once: the cookie's value.
    pub async fn set_up(
        &self,
        token: &str,
        (name, password): (&str, &SecretString),
        user_agent: &str,
    ) -> Result<String, AccountError> {
        if !self.is_setup(token).await? {
            return Err(AccountError::NoLink);
        }
        let name = named(name)?;
        check(password, &name)?;
        let password_hash = self.0.passwords.hash(password).await?;
        let id = UserId::generate();
        let new = NewUser {
            id,
            name: &name,
            role: Role::Admin.word(),
            password_hash: Some(&password_hash),
        };
        let hash = self.0.sessions.once(Once::Link, token);
        let act = of_setup(&name);
        if !self.0.store.set_up(&hash, new, &act, self.now()).await? {
            return Err(AccountError::NoLink);
        }
        self.begin(&self.own(id).await?, user_agent).await
    }

    /// Makes the first admin with a password that was given to the process, where nobody is there yet.
    pub async fn first_admin(
        &self,
        name: &str,
        password: &SecretString,
    ) -> Result<bool, AccountError> {
        let name = named(name)?;
        let anybody = self.0.store.users(OrganizationId::DEFAULT).await?;
        if !anybody.is_empty() {
            return Ok(false);
        }
        check(password, &name)?;
        let password_hash = self.0.passwords.hash(password).await?;
        let new = NewUser {
            id: UserId::generate(),
            name: &name,
            role: Role::Admin.word(),
            password_hash: Some(&password_hash),
        };
        let act = of_setup(&name);
        let made = self.0.store.create_user(new, &act, self.now());
        match made.await.map_err(AccountError::from) {
            // Another process was faster.
            Err(AccountError::Taken) => Ok(false),
            done => done.map(|()| true),
        }
    }

    pub async fn users(&self, organization: OrganizationId) -> Result<Vec<UserRow>, StoreError> {
        self.0.store.users(organization).await
    }

    pub async fn user(&self, by: &Person, name: &str) -> Result<UserRow, AccountError> {
        let name = name.to_ascii_lowercase();
        let found = self.0.store.user_named(by.organization(), &name).await?;
        found.ok_or(AccountError::Nobody)
    }

    /// Makes somebody. Without a password, gives the token of the invitation they choose one with.
    pub async fn add(
        &self,
        by: &Person,
        (name, role): (&str, Role),
        password: Option<&SecretString>,
    ) -> Result<(String, Option<String>), AccountError> {
        let name = named(name)?;
        let password_hash = match password {
            Some(password) => {
                check(password, &name)?;
                Some(self.0.passwords.hash(password).await?)
            }
            None => None,
        };
        let new = NewUser {
            id: UserId::generate(),
            name: &name,
            role: role.word(),
            password_hash: password_hash.as_deref(),
        };
        let id = new.id;
        let mut act = act(by, "create", &name);
        act.after = Some(serde_json::json!({ "role": role }).to_string());
        self.0.store.create_user(new, &act, self.now()).await?;
        if password.is_some() {
            return Ok((name, None));
        }
        let token = self.link(by, (id, &name), LinkKind::Invite).await?;
        Ok((name, Some(token)))
    }

    /// The token of a link somebody chooses a password with: an invitation where they never had one.
    pub async fn reset(&self, by: &Person, name: &str) -> Result<(LinkKind, String), AccountError> {
        let user = self.user(by, name).await?;
        if user.disabled_at.is_some() {
            return Err(AccountError::Nobody);
        }
        let kind = match user.password_hash {
            Some(_) => LinkKind::Reset,
            None => LinkKind::Invite,
        };
        let token = self.link(by, (UserId(user.id), &user.name), kind).await?;
        Ok((kind, token))
    }

    async fn link(
        &self,
        by: &Person,
        (user, name): (UserId, &str),
        kind: LinkKind,
    ) -> Result<String, AccountError> {
        let token = random();
        let now = self.now();
        let (action, lasts) = match kind {
            LinkKind::Invite => ("invite", INVITE),
            LinkKind::Reset => ("reset", RESET),
        };
        let link = NewLink {
            user,
            kind,
            hash: self.0.sessions.once(Once::Link, &token),
            expires_at: now + lasts,
        };
        let act = act(by, action, name);
        self.0.store.make_link(&link, &act, now).await?;
        Ok(token)
    }

    /// Whose link this is, while it is good.
    pub async fn of_link(&self, kind: LinkKind, token: &str) -> Result<UserRow, AccountError> {
        let hash = self.0.sessions.once(Once::Link, token);
        let found = self.0.store.user_of_link(&hash, kind, self.now()).await?;
        let good = found.filter(|user| user.disabled_at.is_none());
        good.ok_or(AccountError::NoLink)
    }

    /// Stores the password somebody chose with a link. All their sessions end; they sign in with it.
    pub async fn choose_password(
        &self,
        (kind, token): (LinkKind, &str),
        password: &SecretString,
    ) -> Result<(), AccountError> {
        let user = self.of_link(kind, token).await?;
        check(password, &user.name)?;
        let password_hash = self.0.passwords.hash(password).await?;
        let hash = self.0.sessions.once(Once::Link, token);
        let who = (
            OrganizationId(user.organization_id),
            format!("user:{}", user.name),
        );
        let act = NewAudit::of(who, "password", ("user", user.name));
        let id = UserId(user.id);
        let store = &self.0.store;
        let chosen = store.choose_password(id, (&hash, &password_hash), &act, self.now());
        if chosen.await? {
            Ok(())
        } else {
            Err(AccountError::NoLink)
        }
    }

    /// Changes somebody else: their role, or whether they may sign in. Whoever may not is out at once.
    pub async fn edit(&self, by: &Person, name: &str, edit: Edit) -> Result<(), AccountError> {
        let user = self.user(by, name).await?;
        if by.user() == Some(UserId(user.id)) {
            return Err(AccountError::Oneself);
        }
        let mut act = act(by, "edit", &user.name);
        let disabled = user.disabled_at.is_some();
        act.before = Some(noted(&user.role, disabled));
        let role = edit.role.map_or(user.role.as_str(), |role| role.word());
        act.after = Some(noted(role, edit.disabled.unwrap_or(disabled)));
        let edit = UserEdit {
            role: edit.role.map(Role::word),
            disabled: edit.disabled,
        };
        let id = UserId(user.id);
        self.0.store.edit_user(id, edit, &act, self.now()).await?;
        Ok(())
    }

    /// Erases what is stored about somebody else; what is left is a pseudonym, which is given. Their servers
    /// are the admins' then. What is not through at once is gone on with by maintenance.
    pub async fn erase(&self, by: &Person, name: &str) -> Result<String, AccountError> {
        let user = self.user(by, name).await?;
        if by.user() == Some(UserId(user.id)) {
            return Err(AccountError::Oneself);
        }
        let pseudonym = pseudonym(user.id);
        let act = act(by, "erase", &pseudonym);
        let whom = (UserId(user.id), user.name.as_str(), pseudonym.as_str());
        let store = &self.0.store;
        if !store.erase_user(whom, &act, self.now()).await? {
            return Err(AccountError::Nobody);
        }
        afterlife::finish_erasures(store, self.now()).await?;
        Ok(pseudonym)
    }

    /// Asks somebody for no codes any more who lost their device.
    pub async fn forget_device(&self, by: &Person, name: &str) -> Result<(), AccountError> {
        let user = self.user(by, name).await?;
        let act = act(by, "codes-off", &user.name);
        let id = UserId(user.id);
        self.0.store.end_totp(id, &act, self.now()).await?;
        Ok(())
    }
}

fn noted(role: &str, disabled: bool) -> String {
    serde_json::json!({ "role": role, "disabled": disabled }).to_string()
}

fn of_setup(name: &str) -> NewAudit {
    let who = (OrganizationId::DEFAULT, SETUP_ACTOR.to_owned());
    NewAudit::of(who, "create", ("user", name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for (text, name) in [
            ("ann", Some("ann")),
            (" Ann.B-c_1@example.org ", Some("ann.b-c_1@example.org")),
            ("", None),
            ("-ann", None),
            ("ann b", None),
            ("änn", None),
            ("user:ann", None),
        ] {
            assert_eq!(named(text).ok().as_deref(), name, "{text}");
        }
        assert!(named(&"a".repeat(65)).is_err());
    }
}
