//! Callers that come with a token of an issuer an admin trusts: a signed JWT becomes a [`Caller`] with
//! a consumer of its own, so that limits, plans and the ledger treat it like one with a key.
//!
//! A token is verified once and then known by its digest until it ends; issuers are read again whenever
//! keys change, which is how a process hears of what another one changed.

pub(in crate::access) mod published;
pub mod settings;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use moka::future::Cache;
use tokio::sync::{Mutex, Semaphore};

use crate::access::authenticate::{AuthenticationError, digest};
use crate::access::caller::{Caller, Grants};
use crate::access::issuer::published::{Published, Reader};
use crate::access::issuer::settings::IssuerSettings;
use crate::access::key::{Keys, allowance};
use crate::access::limit::Allowance;
use crate::access::token::verify::{KeySet, VerifyingKey};
use crate::access::token::{Token, TokenFault, claim};
use crate::egress::Egress;
use crate::store::issuers::{IssuerRow, NewSubject};
use crate::store::{Store, StoreError};
use crate::types::{Clock, ConsumerId, OrganizationId};

/// Tokens, and consumers, that are remembered; a flood of new ones displaces the oldest.
const TOKENS_MAX: u64 = 20_000;
const CONSUMERS_MAX: u64 = 100_000;
/// Consumers that one issuer may bring.
const SUBJECTS_MAX: i64 = 100_000;
/// Consumers looked up at once, so that new ones cannot take all connections to the database.
const LOOKUPS_MAX: usize = 4;
/// How long a consumer's claim may be.
const SUBJECT_BYTES_MAX: usize = 255;
/// How much of it is in the name of its consumer.
const SHOWN_CHARS_MAX: usize = 80;

/// Recognises tokens. Cheap to clone.
#[derive(Clone)]
pub struct Issuers(Arc<Inner>);

struct Inner {
    store: Store,
    /// What tells when to read issuers again.
    keys: Keys,
    reader: Reader,
    index: ArcSwapOption<Index>,
    reading: Mutex<()>,
    verified: Cache<[u8; 32], Arc<Verified>>,
    /// By the generation of keys, because limits change with it.
    consumers: Cache<(u64, OrganizationId, String, String), Option<Consumer>>,
    lookups: Semaphore,
}

struct Index {
    generation: u64,
    by_issuer: HashMap<String, Arc<Issuer>>,
}

struct Issuer {
    row: IssuerRow,
    settings: Arc<IssuerSettings>,
    published: Arc<Published>,
}

/// A token that was good. Holds nothing of it.
pub struct Verified {
    issuer: Arc<Issuer>,
    subject: String,
    grants: Grants,
    /// In seconds since 1970, with what clocks may differ by.
    ends: i64,
    key: VerifyingKey,
    /// The set it was found in.
    set: Arc<KeySet>,
}

#[derive(Clone)]
struct Consumer {
    id: ConsumerId,
    allowance: Option<Arc<Allowance>>,
}

impl Issuers {
    pub fn new(keys: Keys, (store, egress): (Store, Egress), clock: Clock) -> Self {
        Self(Arc::new(Inner {
            store,
            keys,
            reader: Reader::new(egress, clock),
            index: ArcSwapOption::empty(),
            reading: Mutex::new(()),
            verified: Cache::builder().max_capacity(TOKENS_MAX).build(),
            consumers: Cache::builder().max_capacity(CONSUMERS_MAX).build(),
            lookups: Semaphore::new(LOOKUPS_MAX),
        }))
    }

    /// Whose token it is.
    pub async fn recognise(
        &self,
        text: &str,
    ) -> Result<(Caller, Arc<Verified>), AuthenticationError> {
        let digest = digest(text);
        if let Some(known) = self.0.verified.get(&digest).await
            && let Ok(caller) = self.again(&known).await
        {
            return Ok((caller, known));
        }
        let verified = Arc::new(self.verify(text).await?);
        self.0.verified.insert(digest, verified.clone()).await;
        Ok((self.caller(&verified).await?, verified))
    }

    /// Who someone is now whose token was verified before.
    pub async fn again(&self, known: &Verified) -> Result<Caller, AuthenticationError> {
        let index = self.index().await?;
        let issuer = index.by_issuer.get(&known.issuer.settings.issuer);
        if !issuer.is_some_and(|issuer| Arc::ptr_eq(issuer, &known.issuer)) {
            return Err(TokenFault::Issuer.into());
        }
        if known.ends <= self.now() {
            return Err(TokenFault::Expired.into());
        }
        let keys = known.issuer.published.keys(&self.0.reader, false).await;
        let keys = keys.ok_or(AuthenticationError::Unavailable)?;
        if !Arc::ptr_eq(&keys, &known.set) && !keys.holds(&known.key) {
            return Err(TokenFault::Key.into());
        }
        self.caller(known).await
    }

    fn now(&self) -> i64 {
        self.0.reader.clock.now().timestamp()
    }

    async fn verify(&self, text: &str) -> Result<Verified, AuthenticationError> {
        let token = Token::parse(text)?;
        let index = self.index().await?;
        let issuer = token.issuer().and_then(|iss| index.by_issuer.get(iss));
        let issuer = issuer.ok_or(TokenFault::Issuer)?;
        let settings = &issuer.settings;
        if !settings.algorithms.contains(&token.algorithm) {
            return Err(TokenFault::Algorithm.into());
        }
        // First what costs nothing, so that nobody is asked for the sake of a token that is over.
        let skew = i64::from(settings.clock_skew_seconds);
        let ends = token.check(&settings.audience, (self.now(), skew))?;
        let subject =
            claim(&token.claims, &settings.consumer_claim).and_then(|claim| claim.as_str());
        let subject = subject
            .filter(|subject| (1..=SUBJECT_BYTES_MAX).contains(&subject.len()))
            .ok_or(TokenFault::Claims)?;
        let (key, set) = self.key_of(issuer, &token).await?;
        key.verify(&token)?;
        Ok(Verified {
            issuer: issuer.clone(),
            subject: subject.to_owned(),
            grants: settings.granted(&token.claims),
            ends,
            key,
            set,
        })
    }

    /// The key a token is signed with. One that is not known may be new.
    async fn key_of(
        &self,
        issuer: &Issuer,
        token: &Token<'_>,
    ) -> Result<(VerifyingKey, Arc<KeySet>), AuthenticationError> {
        for unknown in [false, true] {
            let keys = issuer.published.keys(&self.0.reader, unknown).await;
            let keys = keys.ok_or(AuthenticationError::Unavailable)?;
            if let Some(key) = keys.key_of(token) {
                return Ok((key.clone(), keys));
            }
        }
        Err(TokenFault::Key.into())
    }

    /// The issuers as they are now.
    async fn index(&self) -> Result<Arc<Index>, AuthenticationError> {
        let generation = self.0.keys.generation();
        let current = || {
            let index = self.0.index.load_full();
            index.filter(|index| index.generation == generation)
        };
        if let Some(index) = current() {
            return Ok(index);
        }
        let _one = self.0.reading.lock().await;
        if let Some(index) = current() {
            return Ok(index);
        }
        let rows = self.0.store.all_issuers().await.map_err(unavailable)?;
        let before = self.0.index.load_full();
        let known = |row: &IssuerRow| {
            let before = before.as_ref()?.by_issuer.get(&row.issuer)?;
            (before.row == *row).then(|| before.clone())
        };
        let issuers = rows
            .into_iter()
            .filter_map(|row| known(&row).or_else(|| Issuer::of(row)));
        let index = Arc::new(Index {
            generation,
            by_issuer: issuers
                .map(|issuer| (issuer.row.issuer.clone(), issuer))
                .collect(),
        });
        self.0.index.store(Some(index.clone()));
        Ok(index)
    }

    async fn caller(&self, verified: &Verified) -> Result<Caller, AuthenticationError> {
        let row = &verified.issuer.row;
        let organization = OrganizationId(row.organization_id);
        let claim = &verified.issuer.settings.consumer_claim;
        // Another claim may have the same value for somebody else.
        let subject = format!("{claim}:{}", verified.subject);
        let generation = self.0.keys.generation();
        let place = (generation, organization, row.issuer.clone(), subject);
        let wanted = self.consumer(verified, (organization, &place.3));
        let found = self.0.consumers.try_get_with(place.clone(), wanted).await;
        let consumer = found.map_err(unavailable)?;
        let Some(consumer) = consumer else {
            self.0.consumers.invalidate(&place).await;
            return Err(AuthenticationError::Crowded);
        };
        Ok(Caller {
            organization,
            consumer: Some(consumer.id),
            user: None,
            key: None,
            grants: verified.grants.clone(),
            allowance: consumer.allowance,
            models: None,
        })
    }

    async fn consumer(
        &self,
        verified: &Verified,
        (organization, subject): (OrganizationId, &str),
    ) -> Result<Option<Consumer>, StoreError> {
        let _permit = self.0.lookups.acquire().await;
        let row = &verified.issuer.row;
        let shown: String = verified.subject.chars().take(SHOWN_CHARS_MAX).collect();
        let new = NewSubject {
            organization,
            issuer: &row.issuer,
            subject,
            name: &format!("{}/{shown}", row.name),
            subjects_max: SUBJECTS_MAX,
        };
        let now = self.0.reader.clock.now();
        let Some(id) = self.0.store.consumer_of(new, now).await? else {
            return Ok(None);
        };
        let allowance = allowance(&self.0.store, (organization, id)).await?;
        Ok(Some(Consumer { id, allowance }))
    }
}

impl Issuer {
    /// `None`: its settings cannot be read, which is logged.
    fn of(row: IssuerRow) -> Option<Arc<Self>> {
        let read = serde_json::from_str(&row.settings).map(Arc::<IssuerSettings>::new);
        let settings = read.inspect_err(|error| {
            tracing::error!(issuer = %row.issuer, %error, "an issuer cannot be read; its tokens are refused");
        });
        let settings = settings.ok()?;
        let published = Published::new(settings.clone());
        Some(Arc::new(Self {
            row,
            settings,
            published,
        }))
    }
}

fn unavailable(error: impl std::fmt::Display) -> AuthenticationError {
    tracing::error!(%error, "a token's issuer or consumer cannot be looked up");
    AuthenticationError::Unavailable
}
