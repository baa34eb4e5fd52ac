//! The cookie of a browser session, and the CSRF tokens that belong to it. Pure: the clock is a
//! parameter.
//!
//! Somebody with an account has a session in the database, which the cookie names: it is listed there,
//! and ends when it is said to. The session of the admin key holds what it says itself, sealed with a
//! derived key, so that every replica reads it; it ends with its time, when the admin
//! key changes, or when it is signed out of, which the database remembers.

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Duration, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::access::authenticate::digest;
use crate::access::vault::kept::HashKey;
use crate::access::vault::master::{MasterKey, Purpose};
use crate::types::UserId;

/// How long a session lasts.
pub const SESSION: Duration = Duration::hours(12);
/// How long a code may be looked for after the password was right.
const TICKET: Duration = Duration::minutes(5);

/// Makes and reads what browsers keep. Cheap to clone.
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

struct Inner {
    seal: hmac::Key,
    csrf: hmac::Key,
    tickets: hmac::Key,
    once: hmac::Key,
    /// Changes with the admin key.
    generation: String,
}

/// What a cookie says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    id: String,
    expires: i64,
    /// Of the admin key it began with; `None`: the database knows whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    generation: Option<String>,
}

/// Says that a password was right, while a code is asked for.
#[derive(Serialize, Deserialize)]
struct Ticket {
    user: Uuid,
    expires: i64,
    /// Of the hash the password was checked with.
    password: String,
}

/// What is stored as a hash only. Two kinds never have the same hash.
#[derive(Clone, Copy)]
pub enum Once {
    Session,
    Link,
    RecoveryCode,
    /// The state of a sign-in with a provider, and what its browser keeps meanwhile.
    SignIn,
    Browser,
    /// What such a sign-in proves itself with; these two are sent, and stored nowhere.
    Verifier,
    Nonce,
}

impl Session {
    /// Whether it began with the admin key, and is in no database.
    pub fn is_of_admin_key(&self) -> bool {
        self.generation.is_some()
    }

    /// When it ends by itself.
    pub fn expires_at(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.expires, 0).unwrap_or_default()
    }
}

impl Sessions {
    /// What is stored by its hash is found by it also after the master key was changed, under `kept`.
    pub fn new(master: &MasterKey, kept: &HashKey, admin: &SecretString) -> Self {
        let key = |purpose| hmac::Key::new(hmac::HMAC_SHA256, &*master.derive(purpose));
        Self(Arc::new(Inner {
            seal: key(Purpose::Sessions),
            csrf: key(Purpose::Csrf),
            tickets: key(Purpose::SignIn),
            once: kept.derived(b"causeway/once"),
            generation: hex::encode(&digest(admin.expose_secret())[..8]),
        }))
    }

    /// A new session of the admin key, and the cookie's value.
    pub fn start(&self, now: DateTime<Utc>) -> (Session, String) {
        self.sealed(now, Some(self.0.generation.clone()))
    }

    /// A new session that is to be stored by its hash, and the cookie's value.
    pub fn start_stored(&self, now: DateTime<Utc>) -> (Session, String) {
        self.sealed(now, None)
    }

    fn sealed(&self, now: DateTime<Utc>, generation: Option<String>) -> (Session, String) {
        let session = Session {
            id: random(),
            expires: (now + SESSION).timestamp(),
            generation,
        };
        let cookie = seal(&self.0.seal, &session);
        (session, cookie)
    }

    /// The session of a cookie, if it is ours and its time is not over. One that is stored is good only
    /// if the database says so too.
    pub fn read(&self, cookie: &str, now: DateTime<Utc>) -> Option<Session> {
        let session: Session = open(&self.0.seal, cookie)?;
        let current = session
            .generation
            .as_ref()
            .is_none_or(|generation| *generation == self.0.generation);
        (session.expires > now.timestamp() && current).then_some(session)
    }

    /// By what a session is found in the database.
    pub fn hash_of(&self, session: &Session) -> [u8; 32] {
        self.once(Once::Session, &session.id)
    }

    /// The hash of a secret that is stored as nothing else.
    pub fn once(&self, kind: Once, secret: &str) -> [u8; 32] {
        let kind = match kind {
            Once::Session => "session",
            Once::Link => "link",
            Once::RecoveryCode => "recovery code",
            Once::SignIn => "sign-in",
            Once::Browser => "browser",
            Once::Verifier => "verifier",
            Once::Nonce => "nonce",
        };
        let tag = hmac::sign(&self.0.once, format!("{kind}:{secret}").as_bytes());
        tag.as_ref().try_into().expect("HMAC-SHA-256 is 32 bytes")
    }

    /// What every form of the session carries.
    pub fn csrf(&self, session: &Session) -> String {
        hex::encode(hmac::sign(&self.0.csrf, session.id.as_bytes()))
    }

    /// Whether a form came from a page of this session. In constant time.
    pub fn is_csrf(&self, session: &Session, token: &str) -> bool {
        is_tag(&self.0.csrf, session.id.as_bytes(), token)
    }

    /// What a form carries that is shown to somebody without a session: it belongs to a cookie of its
    /// own, `visit`.
    pub fn form_token(&self, visit: &str) -> String {
        hex::encode(hmac::sign(&self.0.csrf, of_visit(visit).as_bytes()))
    }

    /// Whether a form was shown to the browser that has this cookie. In constant time.
    pub fn is_form_token(&self, visit: &str, token: &str) -> bool {
        is_tag(&self.0.csrf, of_visit(visit).as_bytes(), token)
    }

    /// Says that somebody's password was right, for the form that asks for a code.
    pub fn ticket(&self, user: UserId, password_hash: &str, now: DateTime<Utc>) -> String {
        let ticket = Ticket {
            user: user.0,
            expires: (now + TICKET).timestamp(),
            password: hex::encode(&digest(password_hash)[..8]),
        };
        seal(&self.0.tickets, &ticket)
    }

    /// Whose password was right a short while ago.
    pub fn of_ticket(&self, ticket: &str, now: DateTime<Utc>) -> Option<UserId> {
        let ticket: Ticket = open(&self.0.tickets, ticket)?;
        (ticket.expires > now.timestamp()).then_some(UserId(ticket.user))
    }

    /// Whether the password of a ticket is the one there is.
    pub fn is_current(&self, ticket: &str, password_hash: &str) -> bool {
        let ticket: Option<Ticket> = open(&self.0.tickets, ticket);
        ticket.is_some_and(|it| it.password == hex::encode(&digest(password_hash)[..8]))
    }
}

fn of_visit(visit: &str) -> String {
    format!("visit:{visit}")
}

fn is_tag(key: &hmac::Key, text: &[u8], token: &str) -> bool {
    hex::decode(token).is_ok_and(|tag| hmac::verify(key, text, &tag).is_ok())
}

/// 128 random bits, in hexadecimal.
pub fn random() -> String {
    let mut bytes = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness");
    hex::encode(bytes)
}

fn seal(key: &hmac::Key, value: &impl Serialize) -> String {
    let text = URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).unwrap_or_default());
    let tag = URL_SAFE_NO_PAD.encode(hmac::sign(key, text.as_bytes()));
    format!("{text}.{tag}")
}

fn open<T: for<'de> Deserialize<'de>>(key: &hmac::Key, sealed: &str) -> Option<T> {
    let (text, tag) = sealed.split_once('.')?;
    hmac::verify(key, text.as_bytes(), &URL_SAFE_NO_PAD.decode(tag).ok()?).ok()?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(admin: &str) -> Sessions {
        let master = MasterKey::from_bytes([7; 32]);
        let kept = HashKey(zeroize::Zeroizing::new(vec![9; 32]));
        Sessions::new(&master, &kept, &SecretString::from(admin))
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn a_session_is_read_by_every_replica_until_it_ends() {
        let (session, cookie) = sessions("admin key").start(at(0));
        let other = sessions("admin key");
        assert_eq!(other.read(&cookie, at(60)), Some(session.clone()));
        assert!(other.is_csrf(&session, &other.csrf(&session)));
        assert!(!other.is_csrf(&session, "00"));
        assert_eq!(other.read(&cookie, at(13 * 3600)), None);
        assert_eq!(sessions("another key").read(&cookie, at(60)), None);
        assert_eq!(other.read(&format!("x{cookie}"), at(60)), None);
    }

    #[test]
    fn a_stored_session_outlives_the_admin_key_and_is_found_by_a_hash_only() {
        let (session, cookie) = sessions("admin key").start_stored(at(0));
        let other = sessions("another key");
        assert_eq!(other.read(&cookie, at(60)), Some(session.clone()));
        assert!(!session.is_of_admin_key());
        assert_eq!(other.read(&cookie, at(13 * 3600)), None);
        let hash = other.hash_of(&session);
        assert_eq!(hash, sessions("admin key").hash_of(&session));
        assert_ne!(hash, other.once(Once::Link, &session.id));
    }

    #[test]
    fn a_form_belongs_to_the_browser_it_was_shown_to() {
        let sessions = sessions("admin key");
        let token = sessions.form_token("visit");
        assert!(sessions.is_form_token("visit", &token));
        assert!(!sessions.is_form_token("another", &token));
        assert!(!sessions.is_form_token("visit", ""));
        let (session, _) = sessions.start(at(0));
        assert!(!sessions.is_form_token(&session.id, &sessions.csrf(&session)));
    }

    #[test]
    fn a_ticket_says_for_minutes_whose_password_was_right() {
        let sessions = sessions("admin key");
        let user = UserId(Uuid::from_u128(7));
        let ticket = sessions.ticket(user, "hash", at(0));
        assert_eq!(sessions.of_ticket(&ticket, at(299)), Some(user));
        assert_eq!(sessions.of_ticket(&ticket, at(300)), None);
        assert!(sessions.is_current(&ticket, "hash"));
        assert!(!sessions.is_current(&ticket, "another hash"));
        let (_, cookie) = sessions.start_stored(at(0));
        assert_eq!(sessions.of_ticket(&cookie, at(1)), None);
        assert_eq!(sessions.read(&ticket, at(1)), None);
    }
}
