//! The master key: 32 random bytes that never leave the process, from which every other key is
//! derived, so that all replicas agree without sharing anything else.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::access::private_file;

/// Length of the master key and of every derived key.
pub const KEY_BYTES: usize = 32;

/// A key file longer than this is not one; no more of it is read.
const FILE_BYTES_MAX: u64 = 1024;

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
    /// One-time sign-in links.
    SignIn,
    /// State a stateless MCP client carries between two requests.
    RequestState,
    /// Cursors that a client hands back.
    Cursors,
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

    /// Reads a key file that somebody put there. Its mode is theirs to choose: a mounted secret is
    /// readable by a group (Kubernetes `fsGroup`) or by all (a bind mount), since its owner is another
    /// user than ours. What everyone may read is logged.
    pub fn read(path: &Path) -> Result<Self, MasterKeyError> {
        let fault = |source| MasterKeyError::File {
            path: path.to_owned(),
            source,
        };
        let (text, by_everyone) = private_file::read_given(path, FILE_BYTES_MAX).map_err(fault)?;
        if by_everyone {
            tracing::warn!(
                "every user of this system may read the master key file {}",
                path.display()
            );
        }
        Self::from_text(&text)
    }

    /// Reads the key file we made, or makes it (mode 0600) where there is none. One that other users
    /// can read now is refused. Two processes that start at once end up with the same key: the file
    /// appears complete, or not at all.
    pub fn read_or_generate(path: &Path) -> Result<Self, MasterKeyError> {
        if !path.exists() {
            let made = Self::generate()?;
            match made.write_new(path) {
                Ok(()) => return Ok(made),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => {
                    return Err(MasterKeyError::File {
                        path: path.to_owned(),
                        source,
                    });
                }
            }
        }
        let fault = |source| MasterKeyError::File {
            path: path.to_owned(),
            source,
        };
        let read = private_file::read(path, FILE_BYTES_MAX).map_err(fault)?;
        let text = read.ok_or_else(|| MasterKeyError::Exposed {
            path: path.to_owned(),
        })?;
        Self::from_text(&text)
    }

    /// Names the key without revealing it: 16 hex digits. Stored with everything it seals.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key for one purpose (HKDF-SHA-256), the same in every process with this master key.
    pub fn derive(&self, purpose: Purpose) -> Zeroizing<[u8; KEY_BYTES]> {
        expand(&self.bytes, purpose.label())
    }

    fn write_new(&self, path: &Path) -> io::Result<()> {
        let text = Zeroizing::new(format!("{}\n", STANDARD.encode(*self.bytes)));
        private_file::write_new(path, &text)
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
    use std::fs;

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

    #[test]
    fn the_file_is_made_once_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let made = MasterKey::read_or_generate(&path).unwrap();
        let again = MasterKey::read_or_generate(&path).unwrap();
        assert_eq!(made.id(), again.id());
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no draft is left"
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );
            for exposed in [0o644, 0o640, 0o604] {
                fs::set_permissions(&path, fs::Permissions::from_mode(exposed)).unwrap();
                let message = MasterKey::read_or_generate(&path).unwrap_err().to_string();
                assert!(message.contains("chmod 600"), "{message}");
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_was_given_is_read_whatever_its_mode() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mounted");
        let key = STANDARD.encode([7u8; 32]);
        fs::write(&path, format!("{key}\n")).unwrap();
        // As `openssl` leaves it, as `fsGroup` mounts it, and as a careful owner keeps it.
        for mode in [0o644, 0o440, 0o640, 0o400] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let read = MasterKey::read(&path).unwrap();
            assert_eq!(read.id(), MasterKey::from_bytes([7u8; 32]).id(), "{mode:o}");
        }
    }

    #[test]
    fn processes_that_start_at_once_agree() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let ids: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| MasterKey::read_or_generate(&path).unwrap().id().to_owned())
                })
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }
}
