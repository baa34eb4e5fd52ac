//! Access tokens for upstream APIs: got from their authorization servers, kept while they are good,
//! and got anew before they end or when an API takes them no more.
//!
//! Of many calls that need a token, one task asks for it, and it goes on when its caller leaves: an
//! answer with a new refresh token must not get lost. A failure stands for a moment, so that a server
//! that is down is not asked by every call.

mod authorize;
mod connection;
mod describe;
mod own;
pub(in crate::access) mod request;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Duration, Utc};
use indexmap::IndexMap;
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;
use url::Url;
use uuid::Uuid;

pub use crate::access::upstream_auth::authorize::{Begun, Pending, Returned};
use crate::access::upstream_auth::describe::Description;
pub use crate::access::upstream_auth::own::{LINK_MINUTES, Own, OwnSecret};
use crate::access::upstream_auth::request::Issued;
use crate::access::vault::Vault;
use crate::credential::Mask;
use crate::credential::oauth::{Addresses, Endpoints, Grant, TokenSource};
use crate::egress::{Egress, Upstream};
use crate::store::Store;
use crate::types::Clock;

/// Sources whose tokens are kept; the oldest is forgotten.
const SLOTS_MAX: usize = 10_000;
/// How long a failure stands.
const FAILED_S: i64 = 10;
/// A token is renewed so long before it ends, or at nine tenths of a shorter life.
const AHEAD_S: i64 = 30;
/// A token this young that an API refuses is not the reason for the refusal: a new one is as good.
const YOUNG_S: i64 = 5;

/// Gets and keeps access tokens. Cheap to clone.
#[derive(Clone)]
pub struct Tokens(Arc<Inner>);

struct Inner {
    egress: Egress,
    clock: Clock,
    /// Where connections are kept; a process without a database makes none.
    kept: Option<Kept>,
    slots: Mutex<IndexMap<String, Arc<Slot>>>,
    descriptions: Mutex<IndexMap<Url, Description>>,
    /// Which process this is, for leases.
    process: String,
    /// Attempts that gave a token, and attempts that did not.
    attempts: [AtomicU64; 2],
}

struct Kept {
    store: Store,
    vault: Arc<Vault>,
}

/// An access token.
pub struct Token {
    value: SecretString,
    got_at: DateTime<Utc>,
    renew_at: Option<DateTime<Utc>>,
    ends_at: Option<DateTime<Utc>>,
    mask: Mask,
}

/// What one source has now.
#[derive(Default)]
struct Slot(Mutex<State>);

#[derive(Default)]
struct State {
    current: Option<Arc<Token>>,
    /// An API may still repeat the token before.
    earlier: Option<Mask>,
    /// The current one was refused by an API.
    refused: bool,
    failed: Option<(DateTime<Utc>, TokenError)>,
    running: Option<Attempt>,
}

type Attempt = watch::Receiver<Option<Result<Arc<Token>, TokenError>>>;

/// Why there is no access token. Names schemes and origins, never a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error(
        "no access token for \"{scheme}\": the authorization server at {origin} refused ({code}). The \
         server's owner has to check the client's id, secret, scopes and audience"
    )]
    Refused {
        scheme: String,
        origin: String,
        code: String,
    },
    #[error(
        "no access token for \"{scheme}\": what the authorization server at {origin} answered is no \
         token (status {status}). The server's owner has to check the token URL"
    )]
    NoToken {
        scheme: String,
        origin: String,
        status: u16,
    },
    #[error(
        "no access token for \"{scheme}\": the authorization server was not reached: {reason}. It may \
         be tried again later"
    )]
    Unreachable { scheme: String, reason: String },
    #[error(
        "the client secret for \"{scheme}\" is not approved for {origin}, so it was withheld; approve \
         {origin} for it if that is its authorization server (in the server's settings; `--approve \
         {origin}` with causeway run or stdio)"
    )]
    Unapproved { scheme: String, origin: String },
    #[error("no access token for \"{scheme}\": {reason}")]
    Unusable {
        scheme: String,
        reason: &'static str,
    },
    #[error(
        "\"{scheme}\" is not connected to its authorization server, or the connection has ended; an \
         administrator has to connect it (again) in the server's settings"
    )]
    NeedsConnection { scheme: String },
    #[error("no access token for \"{scheme}\": its connection cannot be read or kept right now")]
    Storage { scheme: String },
}

impl Tokens {
    /// Tokens of a process without a database: for clients that need no connection.
    pub fn new(egress: Egress, clock: Clock) -> Self {
        Self::of(egress, clock, None)
    }

    /// Tokens of a process whose connections are stored.
    pub fn stored(egress: Egress, clock: Clock, (store, vault): (Store, Arc<Vault>)) -> Self {
        Self::of(egress, clock, Some(Kept { store, vault }))
    }

    fn of(egress: Egress, clock: Clock, kept: Option<Kept>) -> Self {
        Self(Arc::new(Inner {
            egress,
            clock,
            kept,
            slots: Mutex::default(),
            descriptions: Mutex::default(),
            process: Uuid::now_v7().to_string(),
            attempts: Default::default(),
        }))
    }

    /// A token of a source, got over `upstream` where none is kept.
    ///
    /// # Errors
    /// When there is none.
    pub async fn token(
        &self,
        source: &Arc<TokenSource>,
        upstream: &Upstream,
    ) -> Result<Arc<Token>, TokenError> {
        let slot = self.slot(source);
        let mut attempt = {
            let mut state = slot.0.lock();
            if let Some(answer) = state.answer(self.0.clock.now()) {
                return answer;
            }
            match state.running.clone().filter(runs) {
                Some(attempt) => attempt,
                None => self.start(&slot, &mut state, (source, upstream)),
            }
        };
        let lost = || TokenError::Storage {
            scheme: source.scheme.clone(),
        };
        let ended = attempt.wait_for(Option::is_some).await;
        ended.map_err(|_| lost())?.clone().unwrap_or(Err(lost()))
    }

    /// An API refused this token: the next call gets another one. `false` where that would not help.
    pub fn refused(&self, source: &TokenSource, token: &Token) -> bool {
        let slot = self.slot(source);
        let mut state = slot.0.lock();
        let now = self.0.clock.now();
        match &state.current {
            Some(current) if current.is(token) => {
                let young = now - current.got_at < Duration::seconds(YOUNG_S);
                state.refused |= !young;
                !young
            }
            // Somebody else got another one already.
            _ => true,
        }
    }

    /// Hides the tokens that were got for these sources.
    pub fn mask<'s>(&self, sources: impl IntoIterator<Item = &'s Arc<TokenSource>>) -> Mask {
        let mut all = Mask::default();
        for source in sources {
            let slot = self.slot(source);
            let state = slot.0.lock();
            let current = state.current.as_ref().map(|token| &token.mask);
            for mask in current.into_iter().chain(&state.earlier) {
                all = all.with(mask);
            }
        }
        all
    }

    /// Where the authorization server of a source is. Its description is read first where it has to be.
    ///
    /// # Errors
    /// When that cannot be told.
    pub async fn addresses(
        &self,
        source: &TokenSource,
        upstream: &Upstream,
    ) -> Result<Addresses, TokenError> {
        self.asking(source, upstream).addresses().await
    }

    /// Where the secret of a source goes, if its issuer's description was read already.
    pub fn known(&self, source: &TokenSource) -> Option<BTreeSet<String>> {
        let Ok(Endpoints::Discovered(url)) = &source.endpoints else {
            return None;
        };
        let descriptions = self.0.descriptions.lock();
        let said = descriptions.get(url)?.said()?;
        let addresses = Addresses::discovered(url, said, &source.client.registration);
        addresses.ok().map(|addresses| addresses.origins())
    }

    /// How often a token was asked for since the process began: with success, and without.
    pub fn attempts(&self) -> [u64; 2] {
        let [got, failed] = &self.0.attempts;
        [got, failed].map(|count| count.load(Ordering::Relaxed))
    }

    fn slot(&self, source: &TokenSource) -> Arc<Slot> {
        let mut slots = self.0.slots.lock();
        let identity = source.identity();
        if let Some(slot) = slots.get(&identity) {
            return slot.clone();
        }
        if slots.len() >= SLOTS_MAX {
            slots.shift_remove_index(0);
        }
        slots.entry(identity).or_default().clone()
    }

    /// Asks for a token in a task of its own.
    fn start(
        &self,
        slot: &Arc<Slot>,
        state: &mut State,
        (source, upstream): (&Arc<TokenSource>, &Upstream),
    ) -> Attempt {
        let (sender, attempt) = watch::channel(None);
        state.running = Some(attempt.clone());
        let current = state.current.clone();
        let (tokens, slot) = (self.clone(), slot.clone());
        let (source, upstream) = (source.clone(), upstream.clone());
        tokio::spawn(async move {
            let asking = tokens.asking(&source, &upstream);
            let issued = match source.grant {
                Grant::ClientCredentials => asking.client_credentials().await,
                Grant::AuthorizationCode => tokens.connected(&asking, current.as_deref()).await,
            };
            tokens.0.attempts[usize::from(issued.is_err())].fetch_add(1, Ordering::Relaxed);
            let answer = slot.0.lock().end(issued, tokens.0.clock.now());
            if let Err(error) = &answer {
                tracing::warn!(scheme = %source.scheme, %error, "no access token");
            }
            sender.send_replace(Some(answer));
        });
        attempt
    }
}

/// Whether an attempt has not ended, and somebody is at it.
fn runs(attempt: &Attempt) -> bool {
    attempt.borrow().is_none() && attempt.has_changed().is_ok()
}

impl State {
    /// What is known without asking.
    fn answer(&self, now: DateTime<Utc>) -> Option<Result<Arc<Token>, TokenError>> {
        let good = self.current.as_ref().filter(|_| !self.refused);
        let failed = self.failed.as_ref();
        let failed = failed.filter(|(at, _)| now - *at < Duration::seconds(FAILED_S));
        match good {
            Some(token) if token.renew_at.is_none_or(|at| now < at) => Some(Ok(token.clone())),
            // It could not be renewed just now, and has not ended yet.
            Some(token) if failed.is_some() && token.lasts(now) => Some(Ok(token.clone())),
            _ => failed.map(|(_, error)| Err(error.clone())),
        }
    }

    /// An attempt came to an end.
    fn end(
        &mut self,
        issued: Result<Issued, TokenError>,
        now: DateTime<Utc>,
    ) -> Result<Arc<Token>, TokenError> {
        self.running = None;
        match issued {
            Ok(issued) => {
                let token = Arc::new(Token::new(issued, now));
                if let Some(before) = self.current.replace(token.clone()) {
                    self.earlier = Some(before.mask.clone());
                }
                self.refused = false;
                self.failed = None;
                Ok(token)
            }
            Err(error) => {
                // Somebody may connect it at any moment, and reading that costs little.
                let lasts = !matches!(error, TokenError::NeedsConnection { .. });
                self.failed = lasts.then(|| (now, error.clone()));
                let kept = self.current.clone();
                let kept = kept.filter(|token| lasts && !self.refused && token.lasts(now));
                kept.ok_or(error)
            }
        }
    }
}

impl Token {
    fn new(issued: Issued, now: DateTime<Utc>) -> Self {
        let ahead = |at: DateTime<Utc>| {
            let tenth = (at - now) / 10;
            at - tenth.min(Duration::seconds(AHEAD_S))
        };
        let secrets = [Some(&issued.access), issued.refresh.as_ref()];
        let secrets = secrets.into_iter().flatten();
        let values = secrets.map(|secret| secret.expose_secret().to_owned());
        Self {
            mask: Mask::of_values(values.collect()),
            value: issued.access,
            got_at: now,
            renew_at: issued.ends_at.map(ahead),
            ends_at: issued.ends_at,
        }
    }

    /// The token itself, to be attached.
    pub fn value(&self) -> &SecretString {
        &self.value
    }

    /// Hides it, and what it is renewed with.
    pub fn mask(&self) -> &Mask {
        &self.mask
    }

    fn lasts(&self, now: DateTime<Utc>) -> bool {
        self.ends_at.is_none_or(|at| now < at)
    }

    fn is(&self, other: &Self) -> bool {
        self.value.expose_secret() == other.value.expose_secret()
    }
}
