//! Passwords: hashed with Argon2id away from the runtime, few at once, and compared in the same time
//! whether or not there is one.

use std::sync::Arc;

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

/// What OWASP asks of Argon2id at least: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Hashes computed at once, and those that wait for one of them.
const RUNNING_MAX: usize = 2;
const WAITING_MAX: usize = 32;
/// Shorter ones are guessed; nobody types longer ones.
pub const LENGTH_MIN: usize = 10;
pub const LENGTH_MAX: usize = 512;

/// Hashes and checks passwords. Cheap to clone.
#[derive(Clone)]
pub struct Passwords(Arc<Inner>);

struct Inner {
    running: Semaphore,
    waiting: Semaphore,
    /// Of a password nobody has.
    dummy: String,
}

/// Why a password cannot be taken, or was not checked. Never carries any of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error("a password has {LENGTH_MIN} to {LENGTH_MAX} characters")]
    Length,
    #[error("a password is not the name, and not one letter over and over")]
    Plain,
    #[error("too many are signing in; try again")]
    Busy,
    #[error("the password could not be hashed")]
    Failed,
}

impl Passwords {
    /// # Errors
    /// The system has no randomness.
    pub fn new() -> Result<Self, PasswordError> {
        Ok(Self(Arc::new(Inner {
            running: Semaphore::new(RUNNING_MAX),
            waiting: Semaphore::new(WAITING_MAX),
            dummy: hash(b"of a password nobody has")?,
        })))
    }

    /// The hash of a new password, as a PHC string.
    pub async fn hash(&self, password: &SecretString) -> Result<String, PasswordError> {
        let password = password.clone();
        let hashing = move || hash(password.expose_secret().as_bytes());
        self.apart(hashing).await?
    }

    /// Whether this is the password with that hash. Where there is no hash, the answer is no, and takes
    /// as long.
    pub async fn is(
        &self,
        password: &SecretString,
        stored: Option<&str>,
    ) -> Result<bool, PasswordError> {
        let known = stored.is_some();
        let stored = stored.unwrap_or(&self.0.dummy).to_owned();
        let password = password.clone();
        let checking = move || verify(password.expose_secret().as_bytes(), &stored);
        let same = self.apart(checking).await?;
        Ok(same && known)
    }

    /// Runs on a thread that may block, when it is its turn.
    async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let _place = self
            .0
            .waiting
            .try_acquire()
            .map_err(|_| PasswordError::Busy)?;
        let _turn = self.0.running.acquire().await;
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| PasswordError::Failed)
    }
}

/// Whether a password may be chosen by somebody of that name.
pub fn check(password: &SecretString, name: &str) -> Result<(), PasswordError> {
    let text = password.expose_secret();
    let length = text.chars().count();
    if !(LENGTH_MIN..=LENGTH_MAX).contains(&length) {
        return Err(PasswordError::Length);
    }
    let mut letters = text.chars();
    let first = letters.next();
    if text.eq_ignore_ascii_case(name) || letters.all(|c| Some(c) == first) {
        return Err(PasswordError::Plain);
    }
    Ok(())
}

fn argon() -> Result<Argon2<'static>, PasswordError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None);
    let params = params.map_err(|_| PasswordError::Failed)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(password: &[u8]) -> Result<String, PasswordError> {
    let mut salt = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| PasswordError::Failed)?;
    let salt = SaltString::encode_b64(&salt).map_err(|_| PasswordError::Failed)?;
    let hash = argon()?.hash_password(password, &salt);
    Ok(hash.map_err(|_| PasswordError::Failed)?.to_string())
}

fn verify(password: &[u8], stored: &str) -> bool {
    let (Ok(argon), Ok(stored)) = (argon(), PasswordHash::new(stored)) else {
        return false;
    };
    // Longer ones were never taken: they are not hashed either.
    password.len() <= LENGTH_MAX * 4 && argon.verify_password(password, &stored).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_told_from_others_and_its_hash_says_how_it_was_made() {
        let passwords = Passwords::new().unwrap();
        let right = SecretString::from("correct horse");
        let stored = passwords.hash(&right).await.unwrap();
        assert!(
            stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{stored}"
        );
        assert!(passwords.is(&right, Some(&stored)).await.unwrap());
        let wrong = SecretString::from("correct horsf");
        assert!(!passwords.is(&wrong, Some(&stored)).await.unwrap());
        assert!(!passwords.is(&right, None).await.unwrap());
        let dummy = SecretString::from("of a password nobody has");
        assert!(!passwords.is(&dummy, None).await.unwrap());
        assert!(!passwords.is(&right, Some("nonsense")).await.unwrap());
        assert_ne!(passwords.hash(&right).await.unwrap(), stored);
    }

    #[tokio::test]
    async fn more_than_there_is_room_for_are_told_to_come_again() {
        let passwords = Passwords::new().unwrap();
        let all = passwords.0.waiting.acquire_many(32).await.unwrap();
        let password = SecretString::from("correct horse");
        let busy = passwords.hash(&password).await;
        assert_eq!(busy, Err(PasswordError::Busy));
        drop(all);
        assert!(passwords.hash(&password).await.is_ok());
    }

    #[test]
    fn what_is_guessed_first_is_no_password() {
        let is = |text: &str| check(&SecretString::from(text), "administrator");
        assert_eq!(is("short"), Err(PasswordError::Length));
        assert_eq!(is(&"x1".repeat(300)), Err(PasswordError::Length));
        assert_eq!(is("Administrator"), Err(PasswordError::Plain));
        assert_eq!(is("aaaaaaaaaaaa"), Err(PasswordError::Plain));
        assert_eq!(is("пароль пароль"), Ok(()));
    }
}
