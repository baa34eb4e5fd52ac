//! One-time codes of an account: offered, confirmed, taken once, and ended.

use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::access::account::{AccountError, Accounts, Origin, Visit, act};
use crate::access::person::Person;
use crate::access::session::Once;
use crate::access::totp;
use crate::access::vault::{RowIdentity, Sealed};
use crate::store::users::UserRow;
use crate::types::{OrganizationId, UserId};

/// What somebody's device is told.
pub struct Offer {
    pub uri: Zeroizing<String>,
    pub secret: Zeroizing<String>,
}

impl Accounts {
    /// The shared secret somebody's device is to know. It is the same until its first code comes, so
    /// that a page may be loaded again.
    pub async fn offer_codes(&self, user: UserId) -> Result<Offer, AccountError> {
        let row = self.own(user).await?;
        if row.totp_step.is_some() {
            return Err(AccountError::Wrong);
        }
        let secret = match self.secret_of(&row)? {
            Some(secret) => secret,
            None => {
                let mut secret = Zeroizing::new(vec![0_u8; totp::SECRET_BYTES]);
                aws_lc_rs::rand::fill(&mut secret).expect("the system has randomness");
                let sealed = self.0.vault.seal(&secret, &place(&row))?;
                let sealed = (sealed.key_id.as_str(), sealed.bytes.as_slice());
                self.0.store.offer_totp(user, sealed).await?;
                secret
            }
        };
        Ok(Offer {
            uri: totp::uri(&secret, &row.name).into(),
            secret: totp::base32(&secret).into(),
        })
    }

    /// Asks for codes from now on, if this is the first. Gives the recovery codes, which are shown once.
    pub async fn confirm_codes(
        &self,
        person: &Person,
        (entered, from): (&str, Origin<'_>),
    ) -> Result<Vec<String>, AccountError> {
        let user = person.user().ok_or(AccountError::Nobody)?;
        let row = self.own(user).await?;
        let attempt = self.admit(&row.name, from)?;
        let now = self.now();
        let secret = self.secret_of(&row)?.ok_or(AccountError::Wrong)?;
        let step = totp::step_of(&secret, entered, now.timestamp(), row.totp_step);
        let step = step.ok_or(AccountError::Wrong)?;
        self.0.throttle.went_well(&attempt);
        let codes: Vec<String> = (0..totp::RECOVERY_CODES).map(|_| recovery_code()).collect();
        let hashes: Vec<_> = codes.iter().map(|code| self.hash_of_code(code)).collect();
        let act = act(person, "codes-on", &row.name);
        let store = &self.0.store;
        let confirmed = store.confirm_totp(user, (step, &hashes), &act, now).await?;
        if confirmed {
            Ok(codes)
        } else {
            Err(AccountError::Wrong)
        }
    }

    /// Asks somebody for no codes any more, who shows their password.
    pub async fn end_codes(
        &self,
        visit: &Visit,
        (password, from): (&SecretString, Origin<'_>),
    ) -> Result<(), AccountError> {
        let user = visit.person.user().ok_or(AccountError::Nobody)?;
        let row = self.own(user).await?;
        let attempt = self.admit(&row.name, from)?;
        let stored = row.password_hash.as_deref();
        if !self.0.passwords.is(password, stored).await? {
            return Err(AccountError::Wrong);
        }
        self.0.throttle.went_well(&attempt);
        let act = act(&visit.person, "codes-off", &row.name);
        self.0.store.end_totp(user, &act, self.now()).await?;
        Ok(())
    }

    pub async fn recovery_codes_left(&self, user: UserId) -> Result<i64, AccountError> {
        Ok(self.0.store.recovery_codes_left(user).await?)
    }

    /// Whether this is a code of somebody's device, or a recovery code. Either is used up.
    pub(super) async fn is_code(
        &self,
        user: &UserRow,
        entered: &str,
    ) -> Result<bool, AccountError> {
        let id = UserId(user.id);
        let now = self.now().timestamp();
        let secret = self.secret_of(user)?.ok_or(AccountError::Wrong)?;
        if let Some(step) = totp::step_of(&secret, entered, now, user.totp_step) {
            return Ok(self.0.store.take_totp_step(id, step).await?);
        }
        let hash = self.hash_of_code(entered);
        Ok(self.0.store.take_recovery_code(id, &hash).await?)
    }

    fn hash_of_code(&self, code: &str) -> [u8; 32] {
        let code = Zeroizing::new(totp::normalized(code));
        self.0.sessions.once(Once::RecoveryCode, &code)
    }

    fn secret_of(&self, user: &UserRow) -> Result<Option<Zeroizing<Vec<u8>>>, AccountError> {
        let (Some(key_id), Some(bytes)) = (&user.totp_key_id, &user.totp_sealed) else {
            return Ok(None);
        };
        let sealed = Sealed {
            key_id: key_id.clone(),
            bytes: bytes.clone(),
        };
        Ok(Some(self.0.vault.open(&sealed, &place(user))?))
    }
}

/// Where the vault binds the secret to.
fn place(user: &UserRow) -> RowIdentity {
    RowIdentity {
        organization: OrganizationId(user.organization_id),
        row: user.id,
        subject: None,
    }
}

fn recovery_code() -> String {
    let mut bytes = [0_u8; totp::RECOVERY_BYTES];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness");
    totp::recovery_code(&bytes)
}
