//! What was derived from the first master key and outlives it: the key under which API keys are hashed.
//! The hashes of keys that nobody remembers cannot be made anew, so it is kept, sealed like a secret.

use aws_lc_rs::hmac;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::access::vault::master::{KEY_BYTES, Purpose};
use crate::access::vault::ring::Keyring;
use crate::access::vault::{RowIdentity, Sealed, Vault, VaultError};
use crate::store::sealed::KeptKeyRow;
use crate::store::{Store, StoreError};
use crate::types::OrganizationId;

/// What the row is called.
pub(super) const API_KEYS: &str = "api-keys";

/// The key under which API keys are hashed.
pub struct HashKey(pub Zeroizing<Vec<u8>>);

impl HashKey {
    /// A key for another purpose, which outlives the master key as well.
    pub fn derived(&self, label: &[u8]) -> hmac::Key {
        let root = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, label).as_ref())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the key that API keys are hashed with cannot be opened")]
    Vault(#[from] VaultError),
    #[error("the key that API keys are hashed with is not {KEY_BYTES} bytes long")]
    Length,
}

pub(super) fn identity() -> RowIdentity {
    RowIdentity {
        organization: OrganizationId(Uuid::nil()),
        row: Uuid::from_u128(1),
        subject: None,
    }
}

/// The kept key. The first time it is made of the oldest master key there is, with which keys were hashed
/// before anything was kept.
///
/// # Errors
/// The database, or a row that was altered.
pub async fn hash_key(store: &Store, vault: &Vault, ring: &Keyring) -> Result<HashKey, KeptError> {
    if store.kept_key(API_KEYS).await?.is_none() {
        let made = ring.oldest().derive(Purpose::ApiKeys);
        let sealed = vault.seal(&*made, &identity())?;
        let row = KeptKeyRow {
            key_id: sealed.key_id,
            sealed: sealed.bytes,
        };
        store.keep_key(API_KEYS, &row).await?;
    }
    let row = store.kept_key(API_KEYS).await?.ok_or(StoreError::Stale)?;
    let sealed = Sealed {
        key_id: row.key_id,
        bytes: row.sealed,
    };
    let key = match vault.open(&sealed, &identity()) {
        // The master key is lost, or another one was given by mistake: earlier API keys are not known, and
        // nothing is stored that would make that final.
        Err(error @ VaultError::WrongKey { .. }) => {
            tracing::warn!(error = %error, "API keys that were made before are not recognised");
            Zeroizing::new(ring.oldest().derive(Purpose::ApiKeys).to_vec())
        }
        opened => opened?,
    };
    if key.len() != KEY_BYTES {
        return Err(KeptError::Length);
    }
    Ok(HashKey(key))
}
