//! Accounts and identities: whom the word of a provider lets in, and as whom. An identity is an issuer and
//! a subject; a name or an address of e-mail never leads to an account.

use uuid::Uuid;

use crate::access::account::{AccountError, Accounts, Origin, act};
use crate::access::oidc::id_token::Identity;
use crate::access::oidc::settings::OidcSettings;
use crate::access::person::Person;
use crate::access::role::Role;
use crate::access::session::random;
use crate::access::throttle::Try;
use crate::store::StoreError;
use crate::store::audit::NewAudit;
use crate::store::identities::{IdentityRow, NewIdentity};
use crate::store::users::{NewUser, UserEdit, UserRow};
use crate::types::{OrganizationId, UserId};

/// Who makes and changes accounts by the word of a provider, for the audit.
const ACTOR: &str = "oidc";
/// Names that are tried before one is made up.
const NAMES_MAX: usize = 20;
const NAME_LENGTH_MAX: usize = 64;
/// What somebody is called of whom nothing is known.
const NAMELESS: &str = "person";

/// Why an identity does not let somebody in, or is not linked.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("no verified address of e-mail in one of the domains that are let in")]
    Domain,
    #[error("nothing the provider says of the person stands for a role")]
    Role,
    #[error("the identity is linked with no account, and accounts are not made at sign-in")]
    Unknown,
    #[error("the account is disabled")]
    Disabled,
    #[error("the identity is linked with another account")]
    Taken,
    #[error("the account is linked with another identity of the provider")]
    Another,
    #[error("without a password, nothing would be left to sign in with")]
    LastWay,
    #[error("there is no such account or identity")]
    Nobody,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<IdentityError> for AccountError {
    /// For the pages where accounts are changed, which say less of it.
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::Store(error) => Self::Store(error),
            IdentityError::LastWay => Self::Oneself,
            _ => Self::Nobody,
        }
    }
}

impl Accounts {
    /// Lets a try through of somebody a provider is to tell the name of.
    pub fn admit_stranger(&self, from: Origin<'_>) -> Result<Try, AccountError> {
        let admitted = self.0.throttle.admit_address(from.address, self.now());
        admitted.map_err(AccountError::Later)
    }

    /// The try went well.
    pub fn went_well(&self, attempt: &Try) {
        self.0.throttle.went_well(attempt);
    }

    /// Signs in whom a provider vouches for: the cookie's value. One-time codes are the provider's to ask
    /// for.
    pub async fn sign_in_as(
        &self,
        settings: &OidcSettings,
        identity: &Identity,
        from: Origin<'_>,
    ) -> Result<String, IdentityError> {
        let role = let_in(settings, identity)?;
        let user = self.account_of(settings, identity, role).await?;
        if user.disabled_at.is_some() {
            return Err(IdentityError::Disabled);
        }
        let issuer = Some(settings.issuer.as_str());
        let begun = self.begin_for(&user, from.user_agent, issuer).await?;
        // Disabled, or unlinked, meanwhile.
        begun.ok_or(IdentityError::Disabled)
    }

    /// The account of an identity, which is made at the first sign-in where that is wanted.
    async fn account_of(
        &self,
        settings: &OidcSettings,
        identity: &Identity,
        role: Role,
    ) -> Result<UserRow, IdentityError> {
        if let Some(row) = self.linked(settings, identity).await? {
            return self.current((settings, &row), role).await;
        }
        if !settings.create_accounts {
            return Err(IdentityError::Unknown);
        }
        match self.make(settings, identity, role).await {
            // The same person came twice at once.
            Err(StoreError::Conflict(name)) if name.contains("identities") => {
                let row = self.linked(settings, identity).await?;
                let row = row.ok_or(IdentityError::Unknown)?;
                self.current((settings, &row), role).await
            }
            made => {
                let found = self.0.store.user(made?).await?;
                found.ok_or(IdentityError::Nobody)
            }
        }
    }

    async fn linked(
        &self,
        settings: &OidcSettings,
        identity: &Identity,
    ) -> Result<Option<IdentityRow>, StoreError> {
        let key = (settings.issuer.as_str(), identity.subject.as_str());
        self.0.store.identity(OrganizationId::DEFAULT, key).await
    }

    /// The account of an identity, with the role the provider gives it now, where it was made for it.
    async fn current(
        &self,
        (settings, row): (&OidcSettings, &IdentityRow),
        role: Role,
    ) -> Result<UserRow, IdentityError> {
        let id = UserId(row.user_id);
        let user = self.0.store.user(id).await?;
        let mut user = user.ok_or(IdentityError::Nobody)?;
        let follows = settings.roles.is_asked() && row.made_account == 1;
        if !follows || user.role == role.word() || user.disabled_at.is_some() {
            return Ok(user);
        }
        let mut act = by_provider("edit", &user.name);
        act.before = Some(serde_json::json!({ "role": user.role }).to_string());
        act.after = Some(serde_json::json!({ "role": role }).to_string());
        let edit = UserEdit {
            role: Some(role.word()),
            disabled: None,
        };
        self.0.store.edit_user(id, edit, &act, self.now()).await?;
        role.word().clone_into(&mut user.role);
        Ok(user)
    }

    /// Makes an account for an identity, under a name nobody has.
    async fn make(
        &self,
        settings: &OidcSettings,
        identity: &Identity,
        role: Role,
    ) -> Result<UserId, StoreError> {
        let id = UserId::generate();
        let new = NewIdentity {
            id: Uuid::now_v7(),
            user: id,
            issuer: &settings.issuer,
            subject: &identity.subject,
            shown: identity.shown(),
        };
        let wanted = name_of(identity);
        for attempt in 0..=NAMES_MAX {
            let name = match attempt {
                0 => wanted.clone(),
                NAMES_MAX => ended(&wanted, &random()[..12]),
                more => ended(&wanted, &(more + 1).to_string()),
            };
            let user = NewUser {
                id,
                name: &name,
                role: role.word(),
                password_hash: None,
            };
            let mut act = by_provider("create", &name);
            act.after = Some(noted(&new, Some(role)));
            match self
                .0
                .store
                .create_user_of((user, &new), &act, self.now())
                .await
            {
                Err(StoreError::Conflict(taken)) if taken.contains("users") => {}
                made => return made.map(|()| id),
            }
        }
        Err(StoreError::Stale)
    }

    /// Links an identity with the account of whoever is signed in.
    pub async fn link_identity(
        &self,
        by: &Person,
        settings: &OidcSettings,
        identity: &Identity,
    ) -> Result<(), IdentityError> {
        let user = by.user().ok_or(IdentityError::Nobody)?;
        let_in(settings, identity)?;
        let new = NewIdentity {
            id: Uuid::now_v7(),
            user,
            issuer: &settings.issuer,
            subject: &identity.subject,
            shown: identity.shown(),
        };
        let mut act = act(by, "link", by.name.as_deref().unwrap_or_default());
        act.after = Some(noted(&new, None));
        match self.0.store.link_identity(&new, &act, self.now()).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(IdentityError::Nobody),
            // Which of the two rules said no, the databases do not tell alike where both did.
            Err(StoreError::Conflict(_)) => match self.linked(settings, identity).await? {
                Some(row) if row.user_id == user.0 => Ok(()),
                Some(_) => Err(IdentityError::Taken),
                None => Err(IdentityError::Another),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Ends what links an identity with one's own account. Whoever has no password keeps it.
    pub async fn unlink_own(&self, by: &Person, identity: Uuid) -> Result<(), IdentityError> {
        let user = by.user().ok_or(IdentityError::Nobody)?;
        let row = self.0.store.user(user).await?;
        let row = row.ok_or(IdentityError::Nobody)?;
        if row.password_hash.is_none() {
            return Err(IdentityError::LastWay);
        }
        self.end_link(by, &row, identity).await
    }

    /// Ends what links an identity with somebody's account, and their sessions that began with it.
    pub async fn unlink(
        &self,
        by: &Person,
        name: &str,
        identity: Uuid,
    ) -> Result<(), IdentityError> {
        let name = name.to_ascii_lowercase();
        let user = self.0.store.user_named(by.organization(), &name).await?;
        let user = user.ok_or(IdentityError::Nobody)?;
        if by.user() == Some(UserId(user.id)) {
            return self.unlink_own(by, identity).await;
        }
        self.end_link(by, &user, identity).await
    }

    async fn end_link(
        &self,
        by: &Person,
        user: &UserRow,
        identity: Uuid,
    ) -> Result<(), IdentityError> {
        let id = UserId(user.id);
        let known = self.identities_of(id).await?;
        let known = known.iter().find(|row| row.id == identity);
        let known = known.ok_or(IdentityError::Nobody)?;
        let mut act = act(by, "unlink", &user.name);
        let before = serde_json::json!({ "issuer": known.issuer, "subject": known.subject });
        act.before = Some(before.to_string());
        let store = &self.0.store;
        let ended = store.unlink_identity((id, identity), &act, self.now());
        ended.await?.then_some(()).ok_or(IdentityError::Nobody)
    }

    /// What somebody's account is linked with.
    pub async fn identities_of(&self, user: UserId) -> Result<Vec<IdentityRow>, StoreError> {
        self.0.store.identities_of(user).await
    }

    /// What the accounts of an organization are linked with.
    pub async fn identities(
        &self,
        organization: OrganizationId,
    ) -> Result<Vec<IdentityRow>, StoreError> {
        self.0.store.identities(organization).await
    }
}

/// What somebody is, by what the provider says, if they are let in at all.
fn let_in(settings: &OidcSettings, identity: &Identity) -> Result<Role, IdentityError> {
    if !settings.admits(identity.email.as_deref()) {
        return Err(IdentityError::Domain);
    }
    let role = settings.roles.role(&identity.claims);
    role.ok_or(IdentityError::Role)
}

fn by_provider(action: &'static str, name: &str) -> NewAudit {
    let who = (OrganizationId::DEFAULT, ACTOR.to_owned());
    NewAudit::of(who, action, ("user", name.to_owned()))
}

fn noted(new: &NewIdentity<'_>, role: Option<Role>) -> String {
    let mut noted = serde_json::json!({ "issuer": new.issuer, "subject": new.subject });
    if let Some(role) = role {
        noted["role"] = serde_json::json!(role);
    }
    noted.to_string()
}

/// A name for somebody's account, in the letters names have here.
fn name_of(identity: &Identity) -> String {
    let known = [&identity.username, &identity.email, &identity.name];
    let names = known.into_iter().flatten().map(|text| plain(text));
    let mut names = names.filter(|name| !name.is_empty());
    names.next().unwrap_or_else(|| NAMELESS.to_owned())
}

fn plain(text: &str) -> String {
    let ascii = deunicode::deunicode(text).to_ascii_lowercase();
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
    let plain: String = ascii
        .chars()
        .map(|c| if fits(c) { c } else { '-' })
        .collect();
    let plain = plain.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    plain.chars().take(NAME_LENGTH_MAX).collect()
}

/// A name with an ending, cut so that both fit.
fn ended(name: &str, ending: &str) -> String {
    let room = NAME_LENGTH_MAX - ending.len() - 1;
    let head: String = name.chars().take(room).collect();
    format!("{head}-{ending}")
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    #[test]
    fn a_name_is_made_of_what_is_known_in_plain_letters() {
        let of = |username: &str, email: &str, name: &str| {
            let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            name_of(&Identity {
                subject: "1".to_owned(),
                username: text(username),
                email: text(email),
                name: text(name),
                claims: Map::new(),
            })
        };
        assert_eq!(of("Ann", "a@b.example", "Ann B"), "ann");
        assert_eq!(of("", "Ann+x@b.example", "Ann B"), "ann-x@b.example");
        assert_eq!(of("", "", "Ann Bée"), "ann-bee");
        assert_eq!(of("--", "", ""), NAMELESS);
        assert_eq!(of(&"a".repeat(90), "", "").len(), NAME_LENGTH_MAX);
        assert_eq!(ended(&"a".repeat(64), "12").len(), NAME_LENGTH_MAX);
        assert_eq!(ended("ann", "2"), "ann-2");
    }
}
