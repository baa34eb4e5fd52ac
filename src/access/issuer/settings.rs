//! What an admin says of an issuer.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use crate::access::caller::{Grant, Grants};
use crate::access::token::verify::Algorithm;
use crate::access::token::{strings, values};

const TEXT_BYTES_MAX: usize = 500;
const AUDIENCES_MAX: usize = 20;
const GRANTS_MAX: usize = 1_000;
const VALUES_MAX: usize = 200;
const CLOCK_SKEW_S_MAX: u32 = 300;

/// An issuer's settings; `G` is how a grant is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IssuerSettings<G = Grant> {
    /// The claim `iss` of its tokens.
    pub issuer: String,
    /// Tokens have to be for one of these (`aud`).
    #[serde(deserialize_with = "one_or_more")]
    pub audience: Vec<String>,
    /// Where its keys are; otherwise its OpenID Connect configuration says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_url: Option<Url>,
    #[serde(default = "usual")]
    pub algorithms: Vec<Algorithm>,
    /// The claim that tells its callers apart.
    #[serde(default = "subject")]
    pub consumer_claim: String,
    /// Its tokens are good for every server that is open to all keys.
    #[serde(default)]
    pub every_server: bool,
    /// What all of its tokens are good for.
    #[serde(default = "Vec::new")]
    pub grants: Vec<G>,
    /// What some of them are good for beside that.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub grants_from: Option<GrantsFrom<G>>,
    /// How far its clock and ours may differ.
    #[serde(default = "skew")]
    pub clock_skew_seconds: u32,
}

/// Grants for the values of a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GrantsFrom<G = Grant> {
    /// Its name, or a path with dots.
    pub claim: String,
    pub values: IndexMap<String, Vec<G>>,
}

/// Why settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("`{0}` is 1 to {TEXT_BYTES_MAX} bytes")]
    Text(&'static str),
    #[error("`audience` is 1 to {AUDIENCES_MAX} texts")]
    Audiences,
    #[error(
        "`issuer` has to be an https URL where no `jwksUrl` is given (http for this machine only)"
    )]
    Issuer,
    #[error("`jwksUrl` has to be an https URL without a user (http for this machine only)")]
    KeysUrl,
    #[error(
        "`algorithms` is one or more of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 and EdDSA"
    )]
    Algorithms,
    #[error("`grants` and `grantsFrom` have at most {GRANTS_MAX} grants, for {VALUES_MAX} values")]
    Grants,
    #[error("`everyServer` is for all servers, so that `grants` and `grantsFrom` say nothing")]
    EveryServer,
    #[error("`clockSkewSeconds` is 0 to {CLOCK_SKEW_S_MAX}")]
    ClockSkew,
}

fn usual() -> Vec<Algorithm> {
    Algorithm::USUAL.to_vec()
}

fn subject() -> String {
    "sub".to_owned()
}

fn skew() -> u32 {
    30
}

fn one_or_more<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let texts = strings(&value).map(str::to_owned).collect();
    let whole = value
        .as_array()
        .is_none_or(|list| list.iter().all(Value::is_string));
    if whole && !value.is_object() {
        Ok(texts)
    } else {
        Err(serde::de::Error::custom(
            "expected a text or a list of them",
        ))
    }
}

impl<G> IssuerSettings<G> {
    /// Whether they can be used.
    pub fn check(&self) -> Result<(), SettingsError> {
        let fits = |text: &str| (1..=TEXT_BYTES_MAX).contains(&text.len());
        if !fits(&self.issuer) {
            return Err(SettingsError::Text("issuer"));
        }
        if !fits(&self.consumer_claim) {
            return Err(SettingsError::Text("consumerClaim"));
        }
        if !(1..=AUDIENCES_MAX).contains(&self.audience.len())
            || !self.audience.iter().all(|text| fits(text))
        {
            return Err(SettingsError::Audiences);
        }
        match &self.jwks_url {
            Some(url) if !is_private_to_us(url) => return Err(SettingsError::KeysUrl),
            None if self.description().is_none() => return Err(SettingsError::Issuer),
            _ => {}
        }
        if self.algorithms.is_empty() || self.algorithms.len() > 9 {
            return Err(SettingsError::Algorithms);
        }
        if self.clock_skew_seconds > CLOCK_SKEW_S_MAX {
            return Err(SettingsError::ClockSkew);
        }
        self.check_grants()
    }

    fn check_grants(&self) -> Result<(), SettingsError> {
        let mut grants = self.grants.len();
        if let Some(from) = &self.grants_from {
            if !(1..=TEXT_BYTES_MAX).contains(&from.claim.len()) {
                return Err(SettingsError::Text("grantsFrom.claim"));
            }
            if from.values.len() > VALUES_MAX {
                return Err(SettingsError::Grants);
            }
            grants += from.values.values().map(Vec::len).sum::<usize>();
        }
        if grants > GRANTS_MAX {
            return Err(SettingsError::Grants);
        }
        if self.every_server && (grants > 0 || self.grants_from.is_some()) {
            return Err(SettingsError::EveryServer);
        }
        Ok(())
    }

    /// Where it describes itself (OpenID Connect Discovery 1.0, section 4).
    pub fn description(&self) -> Option<Url> {
        let base = self.issuer.trim_end_matches('/');
        let url = Url::parse(&format!("{base}/.well-known/openid-configuration")).ok()?;
        (is_private_to_us(&url) && url.query().is_none() && url.fragment().is_none()).then_some(url)
    }
}

impl IssuerSettings {
    /// What a token with these claims is good for.
    pub fn granted(&self, claims: &Map<String, Value>) -> Grants {
        if self.every_server {
            return Grants::Organization;
        }
        let mut grants = self.grants.clone();
        if let Some(from) = &self.grants_from {
            let named = values(claims, &from.claim);
            for (value, more) in &from.values {
                if named.contains(&value.as_str()) {
                    grants.extend_from_slice(more);
                }
            }
        }
        Grants::Scoped(grants)
    }
}

/// Whether nobody on the way can answer in the place of who is asked.
pub(in crate::access) fn is_private_to_us(url: &Url) -> bool {
    let here = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => return false,
    };
    let alone = url.username().is_empty() && url.password().is_none();
    alone && (url.scheme() == "https" || (url.scheme() == "http" && here))
}
