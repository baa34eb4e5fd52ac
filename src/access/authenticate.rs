//! Request headers become a [`Caller`]. Keys come as `Authorization: Bearer` or `X-API-Key`; a
//! cookie is never looked at here.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use subtle::ConstantTimeEq;
use tokio::sync::watch;

use crate::access::caller::{Caller, Grants};
use crate::access::key::Keys;

/// Recognises callers. Cheap to clone; answers from memory for every key it has seen.
#[derive(Clone)]
pub struct Authenticator(Kind);

#[derive(Clone)]
enum Kind {
    Open,
    /// One key for everything (`run --key`), as its digest.
    One(Arc<[u8; 32]>),
    /// Callers known beforehand, by the digest of their key.
    Known(Arc<HashMap<[u8; 32], Caller>>),
    Keys(Keys),
}

/// Someone who was recognised, and what it takes to ask again. Holds no key.
#[derive(Clone)]
pub struct Recognised {
    pub caller: Caller,
    hash: Option<[u8; 32]>,
}

/// Why a request has no caller. Never carries the credential.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticationError {
    #[error("the API key is unknown, expired or revoked")]
    Unknown,
    #[error("two different API keys were sent; send one, as Authorization: Bearer or X-API-Key")]
    Ambiguous,
    #[error("keys cannot be checked right now")]
    Unavailable,
}

/// Longer headers are no keys of ours.
const KEY_BYTES_MAX: usize = 512;

impl Authenticator {
    /// Everyone is anonymous: `run` and `stdio` without a key.
    pub fn open() -> Self {
        Self(Kind::Open)
    }

    /// Whoever has this key may use everything.
    pub fn one_key(key: &str) -> Self {
        Self(Kind::One(Arc::new(digest(key))))
    }

    /// These callers, each by its key: where there is no database to ask.
    pub fn known(callers: impl IntoIterator<Item = (String, Caller)>) -> Self {
        let by_key = callers
            .into_iter()
            .map(|(key, caller)| (digest(&key), caller));
        Self(Kind::Known(Arc::new(by_key.collect())))
    }

    /// The keys of the store, and the admin key.
    pub fn keys(keys: Keys) -> Self {
        Self(Kind::Keys(keys))
    }

    /// Who sends these headers. No credential at all is [`Caller::anonymous`], which is not an
    /// error: what it may do is the server's decision.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Caller, AuthenticationError> {
        self.recognise(headers).await.map(|known| known.caller)
    }

    /// As [`Authenticator::authenticate`], where the caller stays and is asked about again.
    pub async fn recognise(&self, headers: &HeaderMap) -> Result<Recognised, AuthenticationError> {
        let key = key_of(headers)?;
        if let (Kind::Keys(keys), Some(key)) = (&self.0, key) {
            let (caller, hash) = keys.recognise(key).await?;
            return Ok(Recognised { caller, hash });
        }
        let caller = self.unchanging(key)?;
        Ok(Recognised { caller, hash: None })
    }

    /// Whether a text is a key of ours. One that cannot be checked right now is taken for one.
    pub async fn is_key(&self, text: &str) -> bool {
        let known = match &self.0 {
            Kind::Keys(keys) => keys.recognise(text).await.map(|(caller, _)| caller),
            _ => self.unchanging(Some(text)),
        };
        match known {
            Ok(caller) => !caller.is_anonymous(),
            Err(error) => matches!(error, AuthenticationError::Unavailable),
        }
    }

    /// Who someone is now that was recognised before.
    pub async fn again(&self, known: &Recognised) -> Result<Caller, AuthenticationError> {
        match (&self.0, known.hash) {
            (Kind::Keys(keys), Some(hash)) => keys.recall(hash).await,
            _ => Ok(known.caller.clone()),
        }
    }

    /// Tells whenever a key was made or revoked; nothing where keys do not change.
    pub fn changes(&self) -> Option<watch::Receiver<()>> {
        match &self.0 {
            Kind::Keys(keys) => Some(keys.changes()),
            Kind::Open | Kind::One(_) | Kind::Known(_) => None,
        }
    }

    /// Whose key it is where all keys are known beforehand.
    fn unchanging(&self, key: Option<&str>) -> Result<Caller, AuthenticationError> {
        let Some(key) = key else {
            return Ok(Caller::anonymous());
        };
        match &self.0 {
            Kind::Open => Ok(Caller::anonymous()),
            Kind::One(expected) => {
                if bool::from(expected.ct_eq(&digest(key))) {
                    Ok(Caller {
                        grants: Grants::Organization,
                        ..Caller::anonymous()
                    })
                } else {
                    Err(AuthenticationError::Unknown)
                }
            }
            Kind::Known(callers) => callers
                .get(&digest(key))
                .cloned()
                .ok_or(AuthenticationError::Unknown),
            Kind::Keys(_) => Err(AuthenticationError::Unknown),
        }
    }
}

/// The key a request carries, if any. Another scheme than Bearer is none of ours.
pub fn key_of(headers: &HeaderMap) -> Result<Option<&str>, AuthenticationError> {
    let bearer = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| {
            let (scheme, key) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
        });
    let header = headers
        .get("x-api-key")
        .and_then(|value| value.to_str().ok())
        .map(str::trim);
    let key = match (bearer, header) {
        (Some(a), Some(b)) if a != b => return Err(AuthenticationError::Ambiguous),
        (a, b) => a.or(b),
    };
    match key {
        Some(key) if key.len() > KEY_BYTES_MAX => Err(AuthenticationError::Unknown),
        key => Ok(key.filter(|key| !key.is_empty())),
    }
}

/// SHA-256, so that keys of any length are compared in constant time.
pub fn digest(key: &str) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key.as_bytes());
    digest.as_ref().try_into().expect("SHA-256 is 32 bytes")
}
