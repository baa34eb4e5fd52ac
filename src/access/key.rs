//! API keys: made, shown once, kept as a hash, recognised from memory.
//!
//! A key is `cw_`, 64 hexadecimal digits of 256 random bits, and 8 digits of checksum: a typing error
//! is refused without a look-up, and secret scanners can tell a key from noise.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use aws_lc_rs::hmac;
use chrono::{DateTime, Duration, Utc};
use moka::future::Cache;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use subtle::ConstantTimeEq;
use tokio::sync::{Semaphore, broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::access::authenticate::{AuthenticationError, digest};
use crate::access::caller::{Caller, Grant, Grants};
use crate::access::limit::{Allowance, Limit, Plan};
use crate::access::vault::kept::HashKey;
use crate::store::audit::NewAudit;
use crate::store::changes::next_change;
use crate::store::keys::{KeyRow, NewKey, NewSecret, Replaced};
use crate::store::{Change, Store, StoreError};
use crate::types::{Clock, ConsumerId, KeyId, OrganizationId, ServerId, UserId};

const PREFIX: &str = "cw_";
const SECRET_DIGITS: usize = 64;
const CHECKSUM_DIGITS: usize = 8;
/// How much of a key people are shown later.
const SHOWN_DIGITS: usize = 8;
/// Keys remembered, good and bad; a flood of unknown ones displaces the oldest.
const REMEMBERED_MAX: u64 = 100_000;
/// Look-ups in the database at once, so that unknown keys cannot take all connections.
const LOOKUPS_MAX: usize = 4;

/// Recognises keys. Cheap to clone.
#[derive(Clone)]
pub struct Keys(Arc<Inner>, OwnedMax);

/// How many keys somebody may have that are good at the same time; `None`: as many as they like.
pub type OwnedMax = Option<u64>;

struct Inner {
    store: Store,
    hash_key: hmac::Key,
    /// `None` where the admin key is empty, which nothing equals.
    admin: Option<[u8; 32]>,
    clock: Clock,
    /// By generation and hash: a look-up that began before a revocation and ends after it leaves
    /// its answer where nobody asks any more.
    known: Cache<(u64, [u8; 32]), Option<Arc<KnownKey>>>,
    generation: AtomicU64,
    changes: watch::Sender<()>,
    lookups: Semaphore,
    /// `Store::key_changes` when everything was last compared.
    compared: AtomicI64,
}

struct KnownKey {
    caller: Caller,
    expires_at: Option<i64>,
    revoked: bool,
}

/// A key just made. The secret is shown to its owner and kept nowhere.
pub struct MadeKey {
    pub id: KeyId,
    pub consumer: ConsumerId,
    pub prefix: String,
    pub secret: SecretString,
}

/// What came of replacing a key, and the secret of the new one.
pub struct Rotated {
    pub replaced: Replaced,
    pub secret: SecretString,
}

/// What is wanted of a new key.
pub struct KeyRequest {
    pub organization: OrganizationId,
    /// Who makes it, for the audit.
    pub actor: String,
    /// Whose it is, and whether its consumer has to be theirs too.
    pub owner: (Option<UserId>, bool),
    pub name: String,
    /// `None`: every server of the organization.
    pub grants: Option<Vec<Grant>>,
    /// The only models it is for; `None`: what its grants say.
    pub models: Option<Vec<String>>,
    pub expires_at: Option<DateTime<Utc>>,
}

/// The text of a fresh key.
fn generate() -> String {
    let mut bytes = [0_u8; SECRET_DIGITS / 2];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness");
    let secret = hex::encode(bytes);
    format!("{PREFIX}{secret}{}", checksum(&secret))
}

fn checksum(secret: &str) -> String {
    hex::encode(digest(secret))[..CHECKSUM_DIGITS].to_owned()
}

/// Whether a text has the form of a key, checksum included.
pub fn is_well_formed(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(PREFIX) else {
        return false;
    };
    if rest.len() != SECRET_DIGITS + CHECKSUM_DIGITS || !rest.bytes().all(|b| b.is_ascii_hexdigit())
    {
        return false;
    }
    let (secret, sum) = rest.split_at(SECRET_DIGITS);
    checksum(secret) == sum
}

impl Keys {
    /// `admin` is the key that may do everything.
    pub fn new(store: Store, hash_key: &HashKey, admin: &SecretString, clock: Clock) -> Self {
        let inner = Inner {
            store,
            hash_key: hmac::Key::new(hmac::HMAC_SHA256, &hash_key.0),
            admin: Some(admin.expose_secret())
                .filter(|key| !key.is_empty())
                .map(digest),
            clock,
            known: Cache::builder().max_capacity(REMEMBERED_MAX).build(),
            generation: AtomicU64::new(0),
            changes: watch::Sender::new(()),
            lookups: Semaphore::new(LOOKUPS_MAX),
            compared: AtomicI64::new(-1),
        };
        Self(Arc::new(inner), None)
    }

    /// With a bound for the keys of each person; 0 is none.
    #[must_use]
    pub fn with_owned_max(mut self, max: u64) -> Self {
        self.1 = (max > 0).then_some(max);
        self
    }

    fn hash(&self, key: &str) -> [u8; 32] {
        let tag = hmac::sign(&self.0.hash_key, key.as_bytes());
        tag.as_ref().try_into().expect("HMAC-SHA-256 is 32 bytes")
    }

    /// Whether this is the admin key. In constant time.
    pub fn is_admin(&self, key: &str) -> bool {
        let admin = self.0.admin.as_ref();
        admin.is_some_and(|admin| admin.ct_eq(&digest(key)).into())
    }

    /// Whose key it is, and its hash unless it is the admin key, which does not change.
    pub async fn recognise(
        &self,
        key: &str,
    ) -> Result<(Caller, Option<[u8; 32]>), AuthenticationError> {
        let hash = self.hash(key);
        // Most were seen before, and need not be looked at any further.
        if let Some(known) = self.0.known.get(&self.place(hash)).await {
            return Ok((self.caller(known.as_deref())?, Some(hash)));
        }
        if self.is_admin(key) {
            return Ok((admin(), None));
        }
        if !is_well_formed(key) {
            return Err(AuthenticationError::Unknown);
        }
        Ok((self.recall(hash).await?, Some(hash)))
    }

    /// Whose key has this hash. Keys seen before are answered from memory.
    pub async fn recall(&self, hash: [u8; 32]) -> Result<Caller, AuthenticationError> {
        let (place, known) = (self.place(hash), &self.0.known);
        let known = match known.get(&place).await {
            Some(known) => known,
            None => {
                // Apart, so that requests with known keys need no room for it.
                let found = Box::pin(known.try_get_with(place, self.look_up(hash))).await;
                found.map_err(|error| {
                    tracing::error!(error = %error, "a key cannot be looked up");
                    AuthenticationError::Unavailable
                })?
            }
        };
        self.caller(known.as_deref())
    }

    /// Where a key of this hash is remembered, as long as no key changes.
    fn place(&self, hash: [u8; 32]) -> (u64, [u8; 32]) {
        (self.generation(), hash)
    }

    /// Whose key it is now.
    fn caller(&self, known: Option<&KnownKey>) -> Result<Caller, AuthenticationError> {
        let now = self.0.clock.now().timestamp_micros();
        match known {
            Some(key) if !key.revoked && key.expires_at.is_none_or(|at| at > now) => {
                Ok(key.caller.clone())
            }
            _ => Err(AuthenticationError::Unknown),
        }
    }

    async fn look_up(&self, hash: [u8; 32]) -> Result<Option<Arc<KnownKey>>, StoreError> {
        let _permit = self.0.lookups.acquire().await;
        let Some(row) = self.0.store.key_by_hash(&hash).await? else {
            return Ok(None);
        };
        let (organization, consumer) = (row.organization_id, row.consumer_id);
        let whose = (OrganizationId(organization), ConsumerId(consumer));
        let allowance = allowance(&self.0.store, whose).await?;
        known(row, allowance).map(|known| Some(Arc::new(known)))
    }

    /// Replaces a key by one with another secret; the old one goes on for `overlap`. `actor` is who
    /// does it, for the audit.
    pub async fn rotate(
        &self,
        (organization, actor): (OrganizationId, String),
        id: KeyId,
        overlap: Duration,
    ) -> Result<Rotated, StoreError> {
        let (secret, now, new) = (generate(), self.0.clock.now(), KeyId::generate());
        let secret_row = NewSecret {
            id: new,
            prefix: secret[..PREFIX.len() + SHOWN_DIGITS].to_owned(),
            hash: self.hash(&secret),
            replaces: id,
            ends_at: now + overlap,
            owned_max: self.1,
        };
        let mut act = act(organization, actor, "rotate", id);
        act.after = Some(json!({ "replacedBy": new }).to_string());
        let replaced = self.0.store.replace_key(secret_row, &act, now).await?;
        self.forget();
        Ok(Rotated {
            replaced,
            secret: secret.into(),
        })
    }

    /// Makes a key and stores its hash.
    pub async fn create(&self, request: KeyRequest) -> Result<MadeKey, StoreError> {
        let secret = generate();
        let prefix = secret[..PREFIX.len() + SHOWN_DIGITS].to_owned();
        let id = KeyId::generate();
        let grants = request.grants.map(|grants| serde_json::to_string(&grants));
        let grants = grants
            .transpose()
            .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let models = request.models.map(|models| json!(models).to_string());
        let new = NewKey {
            id,
            organization: request.organization,
            owner: request.owner.0,
            owned_max: self.1,
            own_only: request.owner.1,
            consumer: request.name.clone(),
            name: request.name,
            prefix: prefix.clone(),
            hash: self.hash(&secret),
            grants,
            models,
            expires_at: request.expires_at,
        };
        let act = act(request.organization, request.actor, "create", id);
        let now = self.0.clock.now();
        let consumer = self.0.store.create_key(new, &act, now).await?;
        // Someone may have tried it before it was there.
        self.forget();
        Ok(MadeKey {
            id,
            consumer,
            prefix,
            secret: secret.into(),
        })
    }

    /// Ends a key, here at once. `actor` is who does it, for the audit.
    pub async fn revoke(
        &self,
        organization: OrganizationId,
        id: KeyId,
        actor: String,
    ) -> Result<bool, StoreError> {
        let act = act(organization, actor, "revoke", id);
        let now = self.0.clock.now();
        let revoked = self.0.store.revoke_key(id, &act, now).await?;
        self.forget();
        Ok(revoked)
    }

    /// Grows with every change of keys, of issuers and of what consumers may do.
    pub(super) fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::SeqCst)
    }

    /// Looks every key up again before it is believed.
    pub fn forget(&self) {
        self.0.generation.fetch_add(1, Ordering::SeqCst);
        self.0.known.invalidate_all();
        self.0.changes.send_replace(());
    }

    /// Tells whenever a key was made or revoked.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.0.changes.subscribe()
    }

    /// Follows the store's changes until `stop`.
    pub async fn follow(self, mut changes: broadcast::Receiver<Change>, stop: CancellationToken) {
        while let Some(change) = next_change(&mut changes, &stop).await {
            self.apply(change).await;
        }
    }

    /// Takes notice of a change, perhaps one that another process made.
    pub async fn apply(&self, change: Change) {
        match change {
            Change::Server(_) | Change::Model(_) | Change::Consumer(_) => {}
            Change::Key(_) | Change::User(_) => self.forget(),
            Change::Unknown => match self.0.store.key_changes().await {
                Ok(count) if self.0.compared.swap(count, Ordering::Relaxed) != count => {
                    self.forget();
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(error = %error, "keys cannot be compared now"),
            },
        }
    }
}

fn act(organization: OrganizationId, actor: String, action: &'static str, key: KeyId) -> NewAudit {
    NewAudit::of((organization, actor), action, ("key", key.to_string()))
}

/// Whoever has the admin key.
pub fn admin() -> Caller {
    Caller {
        grants: Grants::Admin,
        ..Caller::anonymous()
    }
}

/// The limits a consumer was given, if any.
pub(super) async fn allowance(
    store: &Store,
    (organization, consumer): (OrganizationId, ConsumerId),
) -> Result<Option<Arc<Allowance>>, StoreError> {
    let read = |text: &str| {
        serde_json::from_str::<Vec<Limit>>(text)
            .map_err(|error| StoreError::Corrupt(format!("limits of consumer {consumer}: {error}")))
    };
    let own = store.consumer_limits(organization, consumer).await?;
    let limits = own.as_deref().map(read).transpose()?.unwrap_or_default();
    let mut plans = Vec::new();
    for row in store.assignments(organization, consumer).await? {
        let limits = read(&row.limits)?;
        let name = row.plan;
        plans.push((ServerId(row.server_id), Plan { name, limits }));
    }
    let empty = limits.is_empty() && plans.is_empty();
    Ok((!empty).then(|| Arc::new(Allowance { limits, plans })))
}

fn known(row: KeyRow, allowance: Option<Arc<Allowance>>) -> Result<KnownKey, StoreError> {
    let grants = match row
        .grants
        .as_deref()
        .map(serde_json::from_str::<Vec<Grant>>)
    {
        None => Grants::Organization,
        Some(Ok(grants)) => Grants::Scoped(grants),
        Some(Err(error)) => {
            return Err(StoreError::Corrupt(format!(
                "grants of key {}: {error}",
                row.id
            )));
        }
    };
    let models = row
        .models
        .as_deref()
        .map(serde_json::from_str::<Vec<String>>);
    let models = models
        .transpose()
        .map_err(|error| StoreError::Corrupt(format!("models of key {}: {error}", row.id)))?;
    Ok(KnownKey {
        caller: Caller {
            organization: OrganizationId(row.organization_id),
            consumer: Some(ConsumerId(row.consumer_id)),
            user: row.owner_id.map(UserId),
            key: Some(KeyId(row.id)),
            grants,
            allowance,
            models: models.map(Arc::from),
        },
        expires_at: row.expires_at,
        revoked: row.revoked_at.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_carries_its_checksum() {
        let key = generate();
        assert!(is_well_formed(&key), "{key}");
        let mut wrong = key.clone().into_bytes();
        wrong[10] = if wrong[10] == b'0' { b'1' } else { b'0' };
        assert!(!is_well_formed(&String::from_utf8(wrong).unwrap()));
        assert!(!is_well_formed("cw_"));
        assert_ne!(generate(), key);
    }
}
