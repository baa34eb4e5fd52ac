//! The master key: 32 random bytes that never leave the process, from which every other key is
//! derived, so that all replicas agree without sharing anything else.

use std::fmt;
use std::io;
use std::path::PathBuf;

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Keys of one file: the one in use, and earlier ones.
pub const KEYS_MAX: usize = 8;

/// Length of the master key and of every derived key.
pub const KEY_BYTES: usize = 32;

/// The root of all keys. Its `Debug` shows the id only.
pub struct MasterKey {
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    id: String,
}

/// What a derived key is for. The label is part of the derivation (HKDF `info`, RFC 5869): two
/// purposes never share a key, and a label never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Wraps the vault's data keys.
    Vault,
    /// HMAC of API keys at rest.
    ApiKeys,
    /// Browser session cookies.
    Sessions,
    /// CSRF tokens.
    Csrf,
    /// What says that a password was right while a code is asked for.
    SignIn,
    /// State a stateless MCP client carries between two requests.
    RequestState,
    /// Cursors that a client hands back.
    Cursors,
    /// Tokens with which a call is confirmed.
    Confirmations,
    /// Signatures of what is told of calls that wait for approval.
    ApprovalWebhooks,
}

/// Why there is no usable master key. Says what to do.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    #[error(
        "a master key is 32 bytes, written as 64 hex digits or 44 characters of base64; \
         make one with `openssl rand -base64 32`"
    )]
    Malformed,
    #[error("the master key file {path} cannot be read or written: {source}")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the master key file {path} may be read by others; run `chmod 600 {path}`")]
    Exposed { path: PathBuf },
    #[error("a key file holds at most {KEYS_MAX} master keys; forget those that nothing uses")]
    TooMany,
    #[error("the random number generator failed")]
    Random,
}

impl MasterKey {
    /// A fresh random key.
    pub fn generate() -> Result<Self, MasterKeyError> {
        let mut bytes = [0u8; KEY_BYTES];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| MasterKeyError::Random)?;
        Ok(Self::from_bytes(bytes))
    }

    /// A key made elsewhere.
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        let bytes = Zeroizing::new(bytes);
        let id = hex::encode(&expand(&bytes, b"causeway/key-id")[..8]);
        Self { bytes, id }
    }

    /// A key as text: hex or base64, surrounding white space ignored.
    pub fn from_text(text: &str) -> Result<Self, MasterKeyError> {
        let text = text.trim();
        let decoded = Zeroizing::new(match text.len() {
            64 => hex::decode(text).map_err(|_| MasterKeyError::Malformed)?,
            _ => STANDARD
                .decode(text)
                .map_err(|_| MasterKeyError::Malformed)?,
        });
        let bytes = decoded
            .as_slice()
            .try_into()
            .map_err(|_| MasterKeyError::Malformed)?;
        Ok(Self::from_bytes(bytes))
    }

    /// Names the key without revealing it: 16 hex digits. Stored with everything it seals.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key for one purpose (HKDF-SHA-256), the same in every process with this master key.
    pub fn derive(&self, purpose: Purpose) -> Zeroizing<[u8; KEY_BYTES]> {
        expand(&self.bytes, purpose.label())
    }

    /// A line of a key file.
    pub(crate) fn to_line(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}\n", STANDARD.encode(*self.bytes)))
    }
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Vault => b"causeway/vault",
            Self::ApiKeys => b"causeway/api-keys",
            Self::Sessions => b"causeway/sessions",
            Self::Csrf => b"causeway/csrf",
            Self::SignIn => b"causeway/sign-in",
            Self::RequestState => b"causeway/request-state",
            Self::Cursors => b"causeway/cursors",
            Self::Confirmations => b"causeway/confirmations",
            Self::ApprovalWebhooks => b"causeway/approval-webhooks",
        }
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

fn expand(master: &[u8; KEY_BYTES], label: &[u8]) -> Zeroizing<[u8; KEY_BYTES]> {
    let mut key = Zeroizing::new([0u8; KEY_BYTES]);
    Salt::new(HKDF_SHA256, b"causeway/1")
        .extract(master)
        .expand(&[label], Length)
        .and_then(|okm| okm.fill(&mut *key))
        .expect("32 bytes are within HKDF's limit of 255 blocks");
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_derive_the_same_keys_and_purposes_differ() {
        let a = MasterKey::from_text(&"ab".repeat(32)).unwrap();
        let b = MasterKey::from_text(&format!(" {}\n", STANDARD.encode([0xabu8; 32]))).unwrap();
        assert_eq!(a.id(), b.id());
        assert_eq!(a.derive(Purpose::ApiKeys), b.derive(Purpose::ApiKeys));
        assert_ne!(a.derive(Purpose::ApiKeys), a.derive(Purpose::Sessions));
        assert_ne!(&*a.derive(Purpose::Vault), &[0xab; 32]);
        assert_eq!(format!("{a:?}"), format!("MasterKey({})", a.id()));
    }

    #[test]
    fn text_of_another_length_is_no_key() {
        for text in [
            "",
            "abc",
            &"ab".repeat(31),
            &STANDARD.encode([1u8; 16]),
            &"zz".repeat(32),
        ] {
            assert!(
                matches!(MasterKey::from_text(text), Err(MasterKeyError::Malformed)),
                "{text}"
            );
        }
    }
}
