//! Request headers become a [`Caller`]. Keys and tokens come as `Authorization: Bearer` or
//! `X-API-Key`; a cookie is never looked at here.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use subtle::ConstantTimeEq;
use tokio::sync::watch;

use crate::access::caller::{Caller, Grants};
use crate::access::issuer::{Issuers, Verified};
use crate::access::key::Keys;
use crate::access::token::{self, TOKEN_BYTES_MAX, TokenFault};

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
    /// Keys of the store, and tokens of the issuers it knows.
    Keys(Keys, Option<Issuers>),
}

/// What somebody is asked about again by.
#[derive(Clone)]
enum Proof {
    None,
    Key([u8; 32]),
    Token(Arc<Verified>),
}

/// Someone who was recognised, and what it takes to ask again. Holds no key.
#[derive(Clone)]
pub struct Recognised {
    pub caller: Caller,
    proof: Proof,
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
    #[error(transparent)]
    Token(#[from] TokenFault),
    #[error("the issuer of the token has brought as many consumers as it may")]
    Crowded,
}

impl AuthenticationError {
    /// Whether it says nothing of the credential: it may be good.
    pub fn is_ours(&self) -> bool {
        matches!(self, Self::Unavailable | Self::Crowded)
    }

    /// What a client is told in `WWW-Authenticate` (RFC 6750 section 3).
    pub fn challenge(&self) -> String {
        match self {
            Self::Token(fault) => {
                format!("Bearer error=\"invalid_token\", error_description=\"{fault}\"")
            }
            _ => "Bearer error=\"invalid_token\"".to_owned(),
        }
    }
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
        Self(Kind::Keys(keys, None))
    }

    /// The keys of the store, the admin key, and tokens of the issuers of the store.
    pub fn keys_and_tokens(keys: Keys, issuers: Issuers) -> Self {
        Self(Kind::Keys(keys, Some(issuers)))
    }

    /// Who sends these headers. No credential at all is [`Caller::anonymous`], which is not an
    /// error: what it may do is the server's decision.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Caller, AuthenticationError> {
        self.recognise(headers).await.map(|known| known.caller)
    }

    /// As [`Authenticator::authenticate`], where the caller stays and is asked about again.
    pub async fn recognise(&self, headers: &HeaderMap) -> Result<Recognised, AuthenticationError> {
        self.recognise_text(key_of(headers)?).await
    }

    async fn recognise_text(&self, text: Option<&str>) -> Result<Recognised, AuthenticationError> {
        if let (Kind::Keys(keys, issuers), Some(text)) = (&self.0, text) {
            if let Some(issuers) = issuers
                && token::looks_like(text)
                && !keys.is_admin(text)
            {
                // Most callers have keys: for them, what tokens need is not to take any room.
                let (caller, verified) = Box::pin(issuers.recognise(text)).await?;
                let proof = Proof::Token(verified);
                return Ok(Recognised { caller, proof });
            }
            let (caller, hash) = keys.recognise(text).await?;
            let proof = hash.map_or(Proof::None, Proof::Key);
            return Ok(Recognised { caller, proof });
        }
        let (caller, proof) = (self.unchanging(text)?, Proof::None);
        Ok(Recognised { caller, proof })
    }

    /// Whether a text is a key of ours, or a token that lets somebody in. One that cannot be checked
    /// right now is taken for one.
    pub async fn is_key(&self, text: &str) -> bool {
        match self.recognise_text(Some(text)).await {
            Ok(known) => !known.caller.is_anonymous(),
            Err(error) => error.is_ours(),
        }
    }

    /// Who someone is now that was recognised before.
    pub async fn again(&self, known: &Recognised) -> Result<Caller, AuthenticationError> {
        match (&self.0, &known.proof) {
            (Kind::Keys(keys, _), Proof::Key(hash)) => keys.recall(*hash).await,
            (Kind::Keys(_, Some(issuers)), Proof::Token(verified)) => {
                Box::pin(issuers.again(verified)).await
            }
            _ => Ok(known.caller.clone()),
        }
    }

    /// Tells whenever a key was made or revoked; nothing where keys do not change.
    pub fn changes(&self) -> Option<watch::Receiver<()>> {
        match &self.0 {
            Kind::Keys(keys, _) => Some(keys.changes()),
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
            Kind::Keys(..) => Err(AuthenticationError::Unknown),
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
        Some(key) if key.len() > KEY_BYTES_MAX && !token::looks_like(key) => {
            Err(AuthenticationError::Unknown)
        }
        Some(key) if key.len() > TOKEN_BYTES_MAX => Err(TokenFault::Malformed.into()),
        key => Ok(key.filter(|key| !key.is_empty())),
    }
}

/// SHA-256, so that keys of any length are compared in constant time.
pub fn digest(key: &str) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key.as_bytes());
    digest.as_ref().try_into().expect("SHA-256 is 32 bytes")
}
