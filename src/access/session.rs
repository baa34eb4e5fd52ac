//! The browser session of a key login: a sealed cookie, a CSRF token that belongs to it, and the
//! one-time link that starts the first one. Pure: the clock is a parameter.
//!
//! The cookie holds what it says, sealed with a derived key, so that every replica reads it. A
//! session ends with its time, or when the admin key changes.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Duration, Utc};
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::access::authenticate::digest;
use crate::access::vault::master::{MasterKey, Purpose};

const SESSION_HOURS: i64 = 12;
const LINK_MINUTES: i64 = 30;
const LINKS_MAX: usize = 1_000;

/// Makes and reads sessions. Cheap to clone.
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

struct Inner {
    seal: hmac::Key,
    csrf: hmac::Key,
    links: hmac::Key,
    /// Changes with the admin key.
    generation: String,
    /// Which process this is. Used links are remembered only here, so that those of another process,
    /// an earlier one among them, are not taken.
    process: String,
    used_links: Mutex<HashMap<String, i64>>,
}

/// Someone who signed in with the admin key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    id: String,
    expires: i64,
    generation: String,
}

/// What a sign-in link says.
#[derive(Serialize, Deserialize)]
struct Link {
    id: String,
    expires: i64,
    process: String,
}

impl Sessions {
    pub fn new(master: &MasterKey, admin: &SecretString) -> Self {
        let key = |purpose| hmac::Key::new(hmac::HMAC_SHA256, &*master.derive(purpose));
        Self(Arc::new(Inner {
            seal: key(Purpose::Sessions),
            csrf: key(Purpose::Csrf),
            links: key(Purpose::SignIn),
            generation: hex::encode(&digest(admin.expose_secret())[..8]),
            process: random(),
            used_links: Mutex::default(),
        }))
    }

    /// A new session, and the cookie's value.
    pub fn start(&self, now: DateTime<Utc>) -> (Session, String) {
        let session = Session {
            id: random(),
            expires: (now + Duration::hours(SESSION_HOURS)).timestamp(),
            generation: self.0.generation.clone(),
        };
        let cookie = seal(&self.0.seal, &session);
        (session, cookie)
    }

    /// The session of a cookie, if it is ours and still good.
    pub fn read(&self, cookie: &str, now: DateTime<Utc>) -> Option<Session> {
        let session: Session = open(&self.0.seal, cookie)?;
        (session.expires > now.timestamp() && session.generation == self.0.generation)
            .then_some(session)
    }

    /// What every form of the session carries.
    pub fn csrf(&self, session: &Session) -> String {
        hex::encode(hmac::sign(&self.0.csrf, session.id.as_bytes()))
    }

    /// Whether a form came from a page of this session. In constant time.
    pub fn is_csrf(&self, session: &Session, token: &str) -> bool {
        hex::decode(token)
            .is_ok_and(|tag| hmac::verify(&self.0.csrf, session.id.as_bytes(), &tag).is_ok())
    }

    /// A token for a link that signs in once, within half an hour, and only to this process.
    pub fn link(&self, now: DateTime<Utc>) -> String {
        let link = Link {
            id: random(),
            expires: (now + Duration::minutes(LINK_MINUTES)).timestamp(),
            process: self.0.process.clone(),
        };
        seal(&self.0.links, &link)
    }

    /// Whether a link signs in; it does so once.
    pub fn take_link(&self, token: &str, now: DateTime<Utc>) -> bool {
        let Some(link) = open::<Link>(&self.0.links, token) else {
            return false;
        };
        if link.expires <= now.timestamp() || link.process != self.0.process {
            return false;
        }
        let mut used = self.0.used_links.lock();
        used.retain(|_, expires| *expires > now.timestamp());
        used.len() < LINKS_MAX && used.insert(link.id, link.expires).is_none()
    }
}

fn random() -> String {
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
        Sessions::new(&MasterKey::from_bytes([7; 32]), &SecretString::from(admin))
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
    fn a_link_signs_in_once() {
        let sessions = sessions("admin key");
        let link = sessions.link(at(0));
        assert!(!sessions.take_link(&link, at(31 * 60)));
        let restarted = self::sessions("admin key");
        assert!(!restarted.take_link(&link, at(60)), "it cannot know");
        assert!(sessions.take_link(&link, at(60)));
        assert!(!sessions.take_link(&link, at(61)));
        let (_, cookie) = sessions.start(at(0));
        assert!(!sessions.take_link(&cookie, at(60)));
    }
}
