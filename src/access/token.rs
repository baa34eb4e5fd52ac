//! Signed tokens of other issuers (RFC 7519, RFC 9068): taken apart, and judged by their claims. Pure;
//! whose keys there are, and what a token is good for, is decided in [`crate::access::issuer`].
//!
//! There are signatures by public keys only: no `none`, and no HMAC, which everyone who can read a
//! public key could make.

pub mod verify;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::access::token::verify::Algorithm;

/// Longer tokens are not read.
pub const TOKEN_BYTES_MAX: usize = 16 << 10;
const KID_BYTES_MAX: usize = 256;
/// Later dates, in seconds since 1970, are none.
const DATE_MAX: f64 = 1e12;

/// What is wrong with a token. Never carries any of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    #[error("the token is not a signed JWT that can be read here")]
    Malformed,
    #[error("the issuer of the token is not known here")]
    Issuer,
    #[error("the token is signed with an algorithm that is not accepted")]
    Algorithm,
    #[error("the token is signed with a key that its issuer does not show")]
    Key,
    #[error("the signature of the token is wrong")]
    Signature,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    Early,
    #[error("the token is for another audience")]
    Audience,
    #[error("the token lacks a claim that is needed, or has one that cannot be read")]
    Claims,
}

/// A token taken apart. Nothing of it is believed yet.
pub struct Token<'t> {
    pub algorithm: Algorithm,
    pub kid: Option<String>,
    pub claims: Map<String, Value>,
    /// It says that it is an access token, and nothing else (RFC 9068 section 2.1).
    pub is_access_token: bool,
    /// What is signed.
    pub signed: &'t [u8],
    pub signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    typ: Option<String>,
    #[serde(default, deserialize_with = "is_there")]
    crit: bool,
}

/// A member is there, whatever its value.
fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// Whether a credential is meant as a token: three parts, the first of which begins an object.
pub fn looks_like(text: &str) -> bool {
    text.starts_with('e') && text.bytes().filter(|byte| *byte == b'.').count() == 2
}

impl<'t> Token<'t> {
    /// # Errors
    /// [`TokenFault::Malformed`] also where the header asks for something that is not done here
    /// (`crit`), or says that it is another kind of token (`typ`).
    pub fn parse(text: &'t str) -> Result<Self, TokenFault> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(TokenFault::Malformed);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(TokenFault::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenFault::Malformed)?;
        let header: Header = read(header)?;
        let kid_fits = |kid: &String| kid.len() <= KID_BYTES_MAX;
        if header.crit
            || !header.typ.as_deref().is_none_or(is_token)
            || !header.kid.as_ref().is_none_or(kid_fits)
        {
            return Err(TokenFault::Malformed);
        }
        let signature = URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| TokenFault::Malformed)?;
        Ok(Self {
            algorithm: Algorithm::named(&header.alg).ok_or(TokenFault::Algorithm)?,
            kid: header.kid,
            is_access_token: header.typ.as_deref().is_some_and(|typ| bare(typ) != "jwt"),
            claims: read(claims)?,
            signed: signed.as_bytes(),
            signature,
        })
    }

    pub fn issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Value::as_str)
    }

    /// Whether the token is for one of these, and when it ends, in seconds since 1970, if it is good at
    /// `now`.
    pub fn check(&self, audiences: &[String], (now, skew): (i64, i64)) -> Result<i64, TokenFault> {
        let stated = self.claims.get("aud").ok_or(TokenFault::Audience)?;
        if !strings(stated).any(|audience| audiences.iter().any(|ours| ours == audience)) {
            return Err(TokenFault::Audience);
        }
        let expires = self.date("exp")?.ok_or(TokenFault::Claims)?;
        let ends = expires.saturating_add(skew);
        if ends <= now {
            return Err(TokenFault::Expired);
        }
        match self.date("nbf")? {
            Some(begins) if begins.saturating_sub(skew) > now => Err(TokenFault::Early),
            _ => Ok(ends),
        }
    }

    /// A NumericDate (RFC 7519 section 2), which may have a fraction.
    pub(in crate::access) fn date(&self, claim: &str) -> Result<Option<i64>, TokenFault> {
        let Some(value) = self.claims.get(claim) else {
            return Ok(None);
        };
        let seconds = value.as_f64().filter(|at| (0.0..DATE_MAX).contains(at));
        #[expect(
            clippy::cast_possible_truncation,
            reason = "within the range of both, and a fraction of a second does not matter"
        )]
        seconds.map(|at| Some(at as i64)).ok_or(TokenFault::Claims)
    }
}

/// RFC 9068 section 2.1, and the `typ` that tokens had before it.
fn is_token(typ: &str) -> bool {
    matches!(bare(typ).as_str(), "jwt" | "at+jwt")
}

fn bare(typ: &str) -> String {
    let bare = typ.to_ascii_lowercase();
    bare.strip_prefix("application/")
        .map(str::to_owned)
        .unwrap_or(bare)
}

fn read<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, TokenFault> {
    let bytes = URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| TokenFault::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| TokenFault::Malformed)
}

/// A claim that is one text or a list of them.
pub fn strings(claim: &Value) -> impl Iterator<Item = &str> {
    let many = claim.as_array().map(Vec::as_slice).unwrap_or_default();
    claim
        .as_str()
        .into_iter()
        .chain(many.iter().filter_map(Value::as_str))
}

/// The claim of that name, or the one a path with dots leads to (`realm_access.roles`).
pub fn claim<'c>(claims: &'c Map<String, Value>, path: &str) -> Option<&'c Value> {
    if let Some(found) = claims.get(path) {
        return Some(found);
    }
    let (first, rest) = path.split_once('.')?;
    let mut found = claims.get(first)?;
    for name in rest.split('.') {
        found = found.get(name)?;
    }
    Some(found)
}

/// The values of a claim: of `scope` and `scp`, which are words in one text, each of them.
pub fn values<'c>(claims: &'c Map<String, Value>, path: &str) -> Vec<&'c str> {
    let Some(found) = claim(claims, path) else {
        return Vec::new();
    };
    if matches!(path, "scope" | "scp") {
        return strings(found).flat_map(str::split_whitespace).collect();
    }
    strings(found).collect()
}
