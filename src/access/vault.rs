//! Upstream credentials at rest: encrypted, bound to their row, opened only to be used.
//!
//! Envelope encryption: each row has a data key of its own, wrapped by the master key, so that a
//! rotation rewraps 60 bytes a row and never touches a plaintext. Organization and row are
//! authenticated with both layers: a row copied over another one does not open.

pub mod kept;
pub mod master;
pub mod ring;
pub mod rotate;

use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use uuid::Uuid;
use zeroize::{Zeroize, Zeroizing};

use crate::access::vault::master::{KEY_BYTES, MasterKey, Purpose};
use crate::access::vault::ring::{KeySource, Keyring, Stamp};
use crate::types::{OrganizationId, UserId};

/// First byte of a sealed value: the layout that follows.
const LAYOUT: u8 = 1;
const TAG_BYTES: usize = 16;
const WRAPPED_BYTES: usize = NONCE_LEN + KEY_BYTES + TAG_BYTES;

/// Seals and opens the secrets of rows. It seals with the current master key, and opens what earlier ones
/// sealed that are still there; where they are in a file, it sees when that changes.
#[derive(Debug)]
pub struct Vault {
    keys: ArcSwap<Keys>,
    source: KeySource,
}

#[derive(Debug)]
struct Keys {
    /// With their ids, the current one first.
    wrapping: Vec<(String, RandomizedNonceKey)>,
    stamp: Option<Stamp>,
}

/// What a row stores: which master key sealed it, and the sealed bytes
/// (layout, wrapped data key, nonce, ciphertext and tag).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    pub key_id: String,
    pub bytes: Vec<u8>,
}

/// The row a secret belongs to. It opens nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowIdentity {
    pub organization: OrganizationId,
    pub row: Uuid,
    /// Whose it is, where it is one person's own: a row given to somebody else does not open.
    pub subject: Option<UserId>,
}

/// Why a secret cannot be sealed or opened. Never carries any of it.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error(
        "this secret was sealed with master key {sealed_with}, but the key in use is {in_use}; \
         start with the master key that belongs to this database (its file is `master.key` in the \
         data directory where the database was made), or enter the credential again"
    )]
    WrongKey { sealed_with: String, in_use: String },
    #[error("this sealed secret was altered or belongs to another row; enter the credential again")]
    Damaged,
    #[error("the random number generator failed")]
    Random,
}

impl Vault {
    /// A vault under this master key, for good.
    pub fn new(master: &MasterKey) -> Self {
        let keys = std::iter::once(master);
        Self {
            keys: ArcSwap::from_pointee(Keys::of(keys, None)),
            source: KeySource::Text,
        }
    }

    /// A vault under the keys that were read from there.
    pub fn of(ring: &Keyring, source: KeySource) -> Self {
        // The file may have changed since it was read; then it is read again.
        let keys = Keys::of(ring.iter(), None);
        Self {
            keys: ArcSwap::from_pointee(keys),
            source,
        }
    }

    /// The id of the master key in use, as it stands in [`Sealed::key_id`].
    pub fn key_id(&self) -> String {
        let keys = self.up_to_date();
        keys.wrapping
            .first()
            .map(|(id, _)| id.clone())
            .unwrap_or_default()
    }

    /// The keys as they are now: a look at the file tells whether it has to be read.
    fn up_to_date(&self) -> Arc<Keys> {
        let (keys, stamp) = (self.keys.load_full(), self.source.stamp());
        if stamp.is_none() || stamp == keys.stamp {
            return keys;
        }
        match Keyring::again(&self.source) {
            Ok(Some(ring)) => {
                // Of before it was read: a change after that is seen the next time.
                self.keys.store(Arc::new(Keys::of(ring.iter(), stamp)));
                self.keys.load_full()
            }
            Ok(None) => keys,
            Err(error) => {
                tracing::warn!(error = %error, "the master keys cannot be read again");
                keys
            }
        }
    }

    /// Encrypts `plaintext` for one row. Two calls never give the same bytes.
    ///
    /// # Errors
    /// [`VaultError::Random`] only.
    pub fn seal(&self, plaintext: &[u8], row: &RowIdentity) -> Result<Sealed, VaultError> {
        let keys = self.up_to_date();
        let (key_id, wrapping) = keys.wrapping.first().ok_or(VaultError::Random)?;
        let mut data_key = Zeroizing::new([0u8; KEY_BYTES]);
        aws_lc_rs::rand::fill(&mut *data_key).map_err(|_| VaultError::Random)?;
        let mut bytes = vec![LAYOUT];
        append_sealed(&mut bytes, wrapping, &*data_key, &row.aad(b"key"))?;
        append_sealed(
            &mut bytes,
            &cipher(&*data_key),
            plaintext,
            &row.aad(b"secret"),
        )?;
        Ok(Sealed {
            key_id: key_id.clone(),
            bytes,
        })
    }

    /// Wraps the data key of a sealed value anew, with the current master key. What it holds is not
    /// opened.
    ///
    /// # Errors
    /// As [`Vault::open`], but a changed secret is not noticed.
    pub fn reseal(&self, sealed: &Sealed, row: &RowIdentity) -> Result<Sealed, VaultError> {
        let (data_key, body) = self.data_key(sealed, row)?;
        let keys = self.up_to_date();
        let (key_id, wrapping) = keys.wrapping.first().ok_or(VaultError::Random)?;
        let mut bytes = vec![LAYOUT];
        append_sealed(&mut bytes, wrapping, &data_key, &row.aad(b"key"))?;
        bytes.extend_from_slice(body);
        Ok(Sealed {
            key_id: key_id.clone(),
            bytes,
        })
    }

    /// Decrypts what [`Vault::seal`] made for the same row.
    ///
    /// # Errors
    /// [`VaultError::WrongKey`] when another master key sealed it, [`VaultError::Damaged`] when the
    /// bytes were changed or belong to another row or organization.
    pub fn open(
        &self,
        sealed: &Sealed,
        row: &RowIdentity,
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (data_key, body) = self.data_key(sealed, row)?;
        open_sealed(&cipher(&data_key), body, &row.aad(b"secret"))
    }

    /// The key of a row, and what it seals.
    fn data_key<'a>(
        &self,
        sealed: &'a Sealed,
        row: &RowIdentity,
    ) -> Result<(Zeroizing<Vec<u8>>, &'a [u8]), VaultError> {
        let (&layout, rest) = sealed.bytes.split_first().ok_or(VaultError::Damaged)?;
        let mut keys = self.keys.load_full();
        if keys.wrapping(&sealed.key_id).is_none() {
            keys = self.up_to_date();
        }
        let wrapping = keys.wrapping(&sealed.key_id);
        let wrapping = wrapping.ok_or_else(|| VaultError::WrongKey {
            sealed_with: sealed.key_id.clone(),
            in_use: keys.ids(),
        })?;
        if layout != LAYOUT || rest.len() < WRAPPED_BYTES {
            return Err(VaultError::Damaged);
        }
        let (wrapped, body) = rest.split_at(WRAPPED_BYTES);
        let data_key = open_sealed(wrapping, wrapped, &row.aad(b"key"))?;
        Ok((data_key, body))
    }
}

impl Keys {
    fn of<'a>(keys: impl Iterator<Item = &'a MasterKey>, stamp: Option<Stamp>) -> Self {
        let wrapping = keys.map(|key| {
            let cipher = cipher(&*key.derive(Purpose::Vault));
            (key.id().to_owned(), cipher)
        });
        Self {
            wrapping: wrapping.collect(),
            stamp,
        }
    }

    fn wrapping(&self, id: &str) -> Option<&RandomizedNonceKey> {
        let found = self.wrapping.iter().find(|(known, _)| known == id);
        found.map(|(_, key)| key)
    }

    fn ids(&self) -> String {
        let ids: Vec<&str> = self.wrapping.iter().map(|(id, _)| id.as_str()).collect();
        ids.join(", ")
    }
}

impl RowIdentity {
    /// What both layers authenticate beside their bytes; `layer` keeps them apart.
    fn aad(&self, layer: &[u8]) -> Vec<u8> {
        let mut aad = b"causeway/vault/1/".to_vec();
        aad.extend_from_slice(layer);
        aad.push(b'/');
        aad.extend_from_slice(self.organization.0.as_bytes());
        aad.extend_from_slice(self.row.as_bytes());
        if let Some(subject) = self.subject {
            aad.extend_from_slice(b"/subject/");
            aad.extend_from_slice(subject.0.as_bytes());
        }
        aad
    }
}

fn cipher(key: &[u8]) -> RandomizedNonceKey {
    RandomizedNonceKey::new(&AES_256_GCM, key).expect("AES-256 keys are 32 bytes")
}

/// Appends nonce, ciphertext and tag.
fn append_sealed(
    bytes: &mut Vec<u8>,
    key: &RandomizedNonceKey,
    plaintext: &[u8],
    aad: &[u8],
) -> Result<(), VaultError> {
    let mut buffer = plaintext.to_vec();
    match key.seal_in_place_append_tag(Aad::from(aad), &mut buffer) {
        Ok(nonce) => {
            bytes.extend_from_slice(nonce.as_ref());
            bytes.append(&mut buffer);
            Ok(())
        }
        Err(_) => {
            buffer.zeroize();
            Err(VaultError::Random)
        }
    }
}

fn open_sealed(
    key: &RandomizedNonceKey,
    sealed: &[u8],
    aad: &[u8],
) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let (nonce, ciphertext) = sealed
        .split_at_checked(NONCE_LEN)
        .ok_or(VaultError::Damaged)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| VaultError::Damaged)?;
    let mut buffer = Zeroizing::new(ciphertext.to_vec());
    let length = key
        .open_in_place(nonce, Aad::from(aad), &mut buffer)
        .map_err(|_| VaultError::Damaged)?
        .len();
    buffer.truncate(length);
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vault(seed: u8) -> Vault {
        Vault::new(&MasterKey::from_bytes([seed; KEY_BYTES]))
    }

    fn row(organization: u128, row: u128) -> RowIdentity {
        RowIdentity {
            organization: OrganizationId(Uuid::from_u128(organization)),
            row: Uuid::from_u128(row),
            subject: None,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn only_the_same_row_opens_what_was_sealed(
            plaintext in proptest::collection::vec(any::<u8>(), 0..200),
            organization: u128, id: u128, other: u128,
        ) {
            let vault = vault(1);
            let sealed = vault.seal(&plaintext, &row(organization, id)).unwrap();
            prop_assert_eq!(&*vault.open(&sealed, &row(organization, id)).unwrap(), &plaintext);
            if other != id {
                prop_assert!(vault.open(&sealed, &row(organization, other)).is_err());
            }
            if other != organization {
                prop_assert!(vault.open(&sealed, &row(other, id)).is_err());
            }
        }

        #[test]
        fn any_changed_byte_is_noticed(
            plaintext in proptest::collection::vec(any::<u8>(), 0..100),
            at: proptest::sample::Index, change in 1u8..,
        ) {
            let vault = vault(1);
            let mut sealed = vault.seal(&plaintext, &row(1, 2)).unwrap();
            let at = at.index(sealed.bytes.len());
            sealed.bytes[at] ^= change;
            prop_assert!(matches!(vault.open(&sealed, &row(1, 2)), Err(VaultError::Damaged)));
        }

        #[test]
        fn any_cut_is_noticed(at: proptest::sample::Index) {
            let vault = vault(1);
            let mut sealed = vault.seal(b"a secret", &row(1, 2)).unwrap();
            sealed.bytes.truncate(at.index(sealed.bytes.len()));
            prop_assert!(matches!(vault.open(&sealed, &row(1, 2)), Err(VaultError::Damaged)));
        }
    }

    #[test]
    fn the_data_key_of_one_row_does_not_serve_another() {
        let vault = vault(1);
        let a = vault.seal(b"first", &row(1, 1)).unwrap();
        let b = vault.seal(b"other", &row(1, 2)).unwrap();
        let mut spliced = a.clone();
        spliced.bytes[1..=WRAPPED_BYTES].copy_from_slice(&b.bytes[1..=WRAPPED_BYTES]);
        assert!(vault.open(&spliced, &row(1, 1)).is_err());
        assert_ne!(a.bytes, vault.seal(b"first", &row(1, 1)).unwrap().bytes);
    }

    #[test]
    fn another_master_key_is_named_with_the_way_out() {
        let sealed = vault(1).seal(b"secret", &row(1, 1)).unwrap();
        let other = vault(2);
        let message = other.open(&sealed, &row(1, 1)).unwrap_err().to_string();
        assert!(message.contains(&sealed.key_id), "{message}");
        assert!(message.contains(&other.key_id()), "{message}");
        assert!(message.contains("master.key"), "{message}");
        let relabelled = Sealed {
            key_id: other.key_id(),
            ..sealed
        };
        assert!(matches!(
            other.open(&relabelled, &row(1, 1)),
            Err(VaultError::Damaged)
        ));
    }

    #[test]
    fn a_vault_sees_a_new_key_in_its_file_and_wraps_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let ring = Keyring::read_or_generate(&path).unwrap();
        let vault = Vault::of(&ring, KeySource::Ours(path.clone()));
        let before = vault.seal(b"secret", &row(1, 1)).unwrap();
        assert_eq!(before.key_id, ring.id());
        let new = Keyring::add_current(&path).unwrap();
        assert_eq!(&*vault.open(&before, &row(1, 1)).unwrap(), b"secret");
        let after = vault.reseal(&before, &row(1, 1)).unwrap();
        assert_eq!(after.key_id, new.id());
        assert!(vault.reseal(&before, &row(1, 2)).is_err(), "of another row");
        assert_eq!(vault.seal(b"more", &row(1, 1)).unwrap().key_id, new.id());
        // A process that has only the new key opens it, one with only the old key does not.
        let only_new = Vault::new(new.current());
        assert_eq!(&*only_new.open(&after, &row(1, 1)).unwrap(), b"secret");
        assert!(Vault::new(ring.current()).open(&after, &row(1, 1)).is_err());
        // One that was not asked since the key was added learns it from a row.
        let other = Vault::of(&ring, KeySource::Ours(path));
        assert_eq!(&*other.open(&after, &row(1, 1)).unwrap(), b"secret");
    }

    #[test]
    fn debug_output_holds_no_key() {
        let vault = vault(0xab);
        assert!(!format!("{vault:?}").contains("171"));
    }
}
