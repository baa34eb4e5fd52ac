//! How a credential is attached to a planned request: the one stage that sees a secret, and the
//! last before the network. Pure: secrets come in decrypted, and never leave in an error.

pub mod mask;

use std::collections::BTreeSet;

use indexmap::IndexMap;
use secrecy::SecretString;

pub use crate::credential::mask::Mask;
use crate::openapi::{SecurityRequirement, SecurityScheme};
use crate::types::UpstreamRequest;

/// The credentials a server holds, by security scheme name, and the mask that hides them.
#[derive(Default)]
pub struct Credentials {
    by_scheme: IndexMap<String, Credential>,
    mask: Mask,
}

/// One credential and the destinations it was entered for.
pub struct Credential {
    pub secret: Secret,
    /// Serialized origins (`https://api.example.com`), RFC 6454. It goes nowhere else.
    pub origins: BTreeSet<String>,
}

/// What the owner entered.
pub enum Secret {
    /// `apiKey`, `bearer` and other single values.
    Token(SecretString),
    Basic {
        user: String,
        password: SecretString,
    },
}

/// Why a credential was not attached; nothing was sent. Names schemes and origins, never a secret.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    #[error("this tool needs a credential that the server does not have: {0}")]
    Missing(String),
}

impl Credentials {
    /// Credentials by the name of the security scheme they are for.
    pub fn new(by_scheme: IndexMap<String, Credential>) -> Self {
        let mask = Mask::new(by_scheme.values().map(|c| &c.secret));
        Self { by_scheme, mask }
    }

    /// The credential for a scheme.
    pub fn get(&self, scheme: &str) -> Option<&Credential> {
        self.by_scheme.get(scheme)
    }

    /// Hides these credentials wherever they turn up.
    pub fn mask(&self) -> &Mask {
        &self.mask
    }
}

/// Attaches what the operation's security asks for: the first alternative whose schemes all have a
/// credential. An empty alternative needs none.
///
/// # Errors
/// When no alternative is complete, or the request goes to an origin a credential was not approved
/// for. Nothing may be sent then.
pub fn attach(
    request: UpstreamRequest,
    security: &[SecurityRequirement],
    _schemes: &IndexMap<String, SecurityScheme>,
    _credentials: &Credentials,
) -> Result<UpstreamRequest, CredentialError> {
    match security {
        [] => Ok(request),
        _ => Err(CredentialError::Missing("none can be attached yet".into())),
    }
}
