//! How a credential is attached to a planned request: the one stage that sees a secret, and the
//! last before the network. Pure: secrets come in decrypted, and never leave in an error.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use secrecy::SecretString;

/// The credentials a server holds, by security scheme name.
#[derive(Default)]
pub struct Credentials(pub IndexMap<String, Credential>);

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
