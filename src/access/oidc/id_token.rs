//! An ID token, held against what was asked for (OpenID Connect Core 1.0, section 3.1.3.7), and who it
//! says somebody is. Pure.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::access::token::verify::Algorithm;
use crate::access::token::{Token, TokenFault, strings};

/// How far the provider's clock may be ahead of ours or behind.
const CLOCK_S: i64 = 120;
/// Longer ones are no names of people (section 2).
const SUBJECT_BYTES_MAX: usize = 255;
const TEXT_CHARS_MAX: usize = 200;

/// What a token has to be for.
pub(super) struct Asked<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    /// What came with it.
    pub(super) access_token: &'a str,
    /// What the provider says it signs with.
    pub(super) algorithms: &'a [Algorithm],
    /// In seconds since 1970.
    pub(super) now: i64,
}

/// Why an ID token is refused. Never carries any of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenFault {
    #[error(transparent)]
    Token(#[from] TokenFault),
    #[error("the token is no ID token")]
    Kind,
    #[error("the token is for several audiences, and was issued to another client")]
    Party,
    #[error("the token does not say when it was issued, or says a time that is still to come")]
    Issued,
    #[error("the token belongs to another sign-in")]
    Nonce,
    #[error("the token belongs to another access token than the one it came with")]
    AccessToken,
}

/// Who somebody is, by the word of the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Never changes, and is never another's.
    pub subject: String,
    /// What they are called, best first. May change at any time, and may be another's tomorrow.
    pub username: Option<String>,
    /// Only one that the provider says it verified.
    pub email: Option<String>,
    pub name: Option<String>,
    pub claims: Map<String, Value>,
}

/// Judges what a token says. Its signature is not looked at.
///
/// # Errors
/// When it is not what was asked for.
pub(super) fn judge(token: &Token<'_>, asked: &Asked<'_>) -> Result<(), IdTokenFault> {
    if token.is_access_token {
        return Err(IdTokenFault::Kind);
    }
    if !asked.algorithms.contains(&token.algorithm) {
        return Err(TokenFault::Algorithm.into());
    }
    if token.issuer() != Some(asked.issuer) {
        return Err(TokenFault::Issuer.into());
    }
    token.check(&[asked.client_id.to_owned()], (asked.now, CLOCK_S))?;
    party(token, asked.client_id)?;
    let issued = token.date("iat")?.ok_or(IdTokenFault::Issued)?;
    if issued > asked.now + CLOCK_S {
        return Err(IdTokenFault::Issued);
    }
    match token.claims.get("nonce") {
        Some(Value::String(nonce)) if nonce == asked.nonce => {}
        _ => return Err(IdTokenFault::Nonce),
    }
    match token.claims.get("at_hash") {
        None => Ok(()),
        Some(Value::String(hash)) if *hash == at_hash(asked.access_token, token.algorithm) => {
            Ok(())
        }
        Some(_) => Err(IdTokenFault::AccessToken),
    }
}

/// Section 3.1.3.6: the left half of the hash of an access token, by the hash that the token's own signature is made
/// with; that of `EdDSA` with Ed25519 is SHA-512 (RFC 8032 section 5.1).
fn at_hash(access_token: &str, algorithm: Algorithm) -> String {
    let hash = match algorithm {
        Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::Es256 => &digest::SHA256,
        Algorithm::Rs384 | Algorithm::Ps384 | Algorithm::Es384 => &digest::SHA384,
        Algorithm::Rs512 | Algorithm::Ps512 | Algorithm::EdDsa => &digest::SHA512,
    };
    let hash = digest::digest(hash, access_token.as_bytes());
    let (left, _) = hash.as_ref().split_at(hash.as_ref().len() / 2);
    URL_SAFE_NO_PAD.encode(left)
}

/// Steps 4 and 5: of several audiences, the token says whose it is; whatever it says has to be us.
fn party(token: &Token<'_>, client_id: &str) -> Result<(), IdTokenFault> {
    let audiences = token
        .claims
        .get("aud")
        .map_or(0, |aud| strings(aud).count());
    match token.claims.get("azp") {
        None if audiences <= 1 => Ok(()),
        Some(Value::String(party)) if party == client_id => Ok(()),
        _ => Err(IdTokenFault::Party),
    }
}

impl Identity {
    /// Who a token is about that was judged and verified.
    pub(super) fn of(claims: Map<String, Value>) -> Result<Self, IdTokenFault> {
        let text = |name: &str| {
            let text = claims.get(name).and_then(Value::as_str).map(str::trim);
            let text = text.filter(|text| !text.is_empty() && !text.contains(char::is_control));
            text.map(|text| text.chars().take(TEXT_CHARS_MAX).collect::<String>())
        };
        let subject = claims.get("sub").and_then(Value::as_str);
        let subject = subject.filter(|subject| (1..=SUBJECT_BYTES_MAX).contains(&subject.len()));
        let subject = subject.ok_or(TokenFault::Claims)?.to_owned();
        // Some write it as a text.
        let verified = match claims.get("email_verified") {
            Some(Value::Bool(verified)) => *verified,
            Some(Value::String(verified)) => verified == "true",
            _ => false,
        };
        Ok(Self {
            subject,
            email: text("email").filter(|_| verified),
            username: text("preferred_username"),
            name: text("name"),
            claims,
        })
    }

    /// How people recognise them.
    pub fn shown(&self) -> &str {
        let known = [&self.email, &self.username, &self.name];
        let known = known.into_iter().find_map(Option::as_deref);
        known.unwrap_or(&self.subject)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn judged(header: &Value, change: &Value) -> Result<(), IdTokenFault> {
        let mut claims = json!({
            "iss": "https://login.example", "aud": "us", "sub": "1", "nonce": "n",
            "iat": NOW, "exp": NOW + 300,
        });
        for (name, value) in change.as_object().unwrap() {
            let claims = claims.as_object_mut().unwrap();
            match value {
                Value::Null => claims.remove(name),
                value => claims.insert(name.clone(), value.clone()),
            };
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}.AA", part(header), part(&claims));
        let asked = Asked {
            issuer: "https://login.example",
            client_id: "us",
            nonce: "n",
            access_token: "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y",
            algorithms: &[Algorithm::Rs256],
            now: NOW,
        };
        judge(&Token::parse(&text)?, &asked)
    }

    #[test]
    fn each_claim_is_held_against_what_was_asked_for() {
        use IdTokenFault as Fault;
        let token = |fault| Err(Fault::Token(fault));
        let header = json!({ "alg": "RS256" });
        for (change, expected) in [
            (json!({}), Ok(())),
            (json!({ "aud": ["us"] }), Ok(())),
            (json!({ "aud": ["us", "them"], "azp": "us" }), Ok(())),
            (json!({ "aud": ["us", "them"] }), Err(Fault::Party)),
            (
                json!({ "aud": ["us", "them"], "azp": "them" }),
                Err(Fault::Party),
            ),
            (json!({ "azp": "them" }), Err(Fault::Party)),
            (json!({ "azp": 1 }), Err(Fault::Party)),
            (
                json!({ "aud": "them", "azp": "us" }),
                token(TokenFault::Audience),
            ),
            (json!({ "aud": null }), token(TokenFault::Audience)),
            (
                json!({ "iss": "https://login.example/" }),
                token(TokenFault::Issuer),
            ),
            (json!({ "iss": null }), token(TokenFault::Issuer)),
            (json!({ "exp": NOW - 120 }), token(TokenFault::Expired)),
            (json!({ "exp": NOW - 119 }), Ok(())),
            (json!({ "exp": null }), token(TokenFault::Claims)),
            (json!({ "iat": NOW + 121 }), Err(Fault::Issued)),
            (json!({ "iat": NOW + 120 }), Ok(())),
            (json!({ "iat": null }), Err(Fault::Issued)),
            (json!({ "nbf": NOW + 500 }), token(TokenFault::Early)),
            (json!({ "nonce": "m" }), Err(Fault::Nonce)),
            (json!({ "nonce": ["n"] }), Err(Fault::Nonce)),
            (json!({ "nonce": null }), Err(Fault::Nonce)),
            // The example of OpenID Connect Core 1.0, appendix A.3.
            (json!({ "at_hash": "77QmUPtjPfzWtF2AnpK9RQ" }), Ok(())),
            (
                json!({ "at_hash": "77QmUPtjPfzWtF2AnpK9Rg" }),
                Err(Fault::AccessToken),
            ),
            (json!({ "at_hash": "" }), Err(Fault::AccessToken)),
            (json!({ "at_hash": 7 }), Err(Fault::AccessToken)),
            (json!({ "at_hash": null }), Ok(())),
        ] {
            assert_eq!(judged(&header, &change), expected, "{change}");
        }
    }

    #[test]
    fn a_token_is_of_the_right_kind_and_algorithm() {
        let none = json!({});
        let kind = |header: Value| judged(&header, &none);
        assert_eq!(kind(json!({ "alg": "RS256", "typ": "JWT" })), Ok(()));
        let access = json!({ "alg": "RS256", "typ": "at+jwt" });
        assert_eq!(kind(access), Err(IdTokenFault::Kind));
        for algorithm in ["none", "HS256", "ES256", "rs256"] {
            let refused = Err(IdTokenFault::Token(TokenFault::Algorithm));
            assert_eq!(kind(json!({ "alg": algorithm })), refused, "{algorithm}");
        }
    }

    #[test]
    fn an_address_counts_only_where_it_was_verified() {
        let of = |claims: Value| Identity::of(claims.as_object().unwrap().clone());
        let person = of(json!({ "sub": "1", "email": "a@b.example", "name": "Ann" })).unwrap();
        assert_eq!((person.email.as_deref(), person.shown()), (None, "Ann"));
        for verified in [json!(true), json!("true")] {
            let claims = json!({ "sub": "1", "email": "a@b.example", "email_verified": verified });
            assert_eq!(of(claims).unwrap().shown(), "a@b.example");
        }
        let claims = json!({ "sub": "1", "email": "a@b.example", "email_verified": "false" });
        assert_eq!(of(claims).unwrap().shown(), "1");
        for subject in [json!(null), json!(7), json!(""), json!("x".repeat(256))] {
            assert!(of(json!({ "sub": subject })).is_err(), "{subject}");
        }
    }
}
