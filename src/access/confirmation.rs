//! Tokens with which a caller's user agrees to one call: good for minutes, once, on every replica, and
//! for nothing but that call of that caller.
//!
//! A token is an id, its end, and a tag over these and everything the call is made of. It carries
//! nothing that could be read, but for four short tags that tell why another call is refused.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::access::approval::Inbox;
use crate::access::vault::master::{MasterKey, Purpose};
use crate::store::{Store, StoreError};
use crate::types::{Clock, ServerId};

/// How long a token is good.
pub const MINUTES: i64 = 5;
/// How long a used token is remembered beyond its end: clocks of replicas differ.
const SKEW_MINUTES: i64 = 30;
/// Used tokens that are remembered where there is no database.
const USED_MAX: usize = 10_000;
/// How often what ended is removed, and after how many days what was decided.
const SWEEP: Duration = Duration::from_mins(10);
const KEPT_DAYS: i64 = 90;

const ID_BYTES: usize = 16;
const END_BYTES: usize = 8;
const HINT_BYTES: usize = 3;
const HINTS: usize = 4;
const TAG_BYTES: usize = 20;
const TOKEN_BYTES: usize = ID_BYTES + END_BYTES + HINTS * HINT_BYTES + TAG_BYTES;

/// What confirms calls. Cheap to clone.
#[derive(Clone)]
pub struct Confirmations(Arc<Inner>);

struct Inner {
    tokens: hmac::Key,
    states: hmac::Key,
    place: Place,
    clock: Clock,
}

enum Place {
    Memory(Mutex<HashMap<Uuid, DateTime<Utc>>>),
    Database { store: Store, inbox: Inbox },
}

/// How a token reaches us again. One of a kind is none of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// As an argument of the call.
    Argument,
    /// As the state of a question that was put before the user.
    State,
}

/// The call that a token is good for.
#[derive(Clone, Copy, Debug)]
pub struct Bound<'a> {
    /// Who calls, strangers by their address.
    pub caller: &'a str,
    pub server: ServerId,
    /// The tool, and the operation it stands for.
    pub tool: (&'a str, &'a str),
    /// A digest of the arguments.
    pub arguments: &'a [u8; 32],
}

/// Why a token does not confirm a call. The texts are for the model.
#[derive(Debug, thiserror::Error)]
pub enum TokenRefusal {
    #[error("it is not a token of this server")]
    Unknown,
    #[error("it was given to another caller")]
    Caller,
    #[error("it was given for a call of another server")]
    Server,
    #[error("it was given for a call of another tool")]
    Tool,
    #[error("it was given for other arguments")]
    Arguments,
    #[error("it was good for {MINUTES} minutes, which are over")]
    Expired,
    #[error("it was used before")]
    Used,
    #[error("it cannot be checked right now")]
    Unavailable(#[source] StoreError),
}

impl Confirmations {
    /// Within this process, until it ends. Nobody is there to approve anything.
    pub fn memory(clock: Clock) -> Self {
        let key = || {
            let mut bytes = [0; 32];
            aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness");
            hmac::Key::new(hmac::HMAC_SHA256, &bytes)
        };
        Self(Arc::new(Inner {
            tokens: key(),
            states: key(),
            place: Place::Memory(Mutex::default()),
            clock,
        }))
    }

    /// The same on every replica that shares the master key and the database.
    pub fn stored(store: Store, master: &MasterKey, clock: Clock, inbox: Inbox) -> Self {
        let key = |purpose| hmac::Key::new(hmac::HMAC_SHA256, &*master.derive(purpose));
        Self(Arc::new(Inner {
            tokens: key(Purpose::Confirmations),
            states: key(Purpose::RequestState),
            place: Place::Database { store, inbox },
            clock,
        }))
    }

    /// Where calls wait for people, if there is such a place.
    pub fn inbox(&self) -> Option<&Inbox> {
        match &self.0.place {
            Place::Memory(_) => None,
            Place::Database { inbox, .. } => Some(inbox),
        }
    }

    /// A token for this call.
    pub fn token(&self, carrier: Carrier, bound: &Bound<'_>) -> String {
        let mut bytes = Vec::with_capacity(TOKEN_BYTES);
        let mut id = [0; ID_BYTES];
        aws_lc_rs::rand::fill(&mut id).expect("the system has randomness");
        bytes.extend_from_slice(&id);
        let end = self.0.clock.now() + chrono::Duration::minutes(MINUTES);
        bytes.extend_from_slice(&end.timestamp_micros().to_be_bytes());
        let key = self.key(carrier);
        for part in 0..HINTS {
            bytes.extend_from_slice(&hint(key, &id, bound, part));
        }
        let tag = tag(key, &bytes, bound);
        bytes.extend_from_slice(&tag);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Uses a token up for this call.
    ///
    /// # Errors
    /// When it confirms nothing, or not this.
    pub async fn redeem(
        &self,
        carrier: Carrier,
        bound: &Bound<'_>,
        token: &str,
    ) -> Result<(), TokenRefusal> {
        let (id, end) = self.check(carrier, bound, token)?;
        let kept_until = end + chrono::Duration::minutes(SKEW_MINUTES);
        let first = match &self.0.place {
            Place::Memory(used) => note(&mut used.lock(), id, kept_until, self.0.clock.now()),
            Place::Database { store, .. } => store
                .use_confirmation(id, kept_until)
                .await
                .map_err(TokenRefusal::Unavailable)?,
        };
        if first {
            Ok(())
        } else {
            Err(TokenRefusal::Used)
        }
    }

    /// The id and the end of a token that is good for this call.
    fn check(
        &self,
        carrier: Carrier,
        bound: &Bound<'_>,
        token: &str,
    ) -> Result<(Uuid, DateTime<Utc>), TokenRefusal> {
        let bytes = URL_SAFE_NO_PAD.decode(token.trim());
        let bytes = bytes.map_err(|_| TokenRefusal::Unknown)?;
        let (said, given) = bytes
            .split_last_chunk::<TAG_BYTES>()
            .filter(|_| bytes.len() == TOKEN_BYTES)
            .ok_or(TokenRefusal::Unknown)?;
        let key = self.key(carrier);
        if !is_same(&tag(key, said, bound), given) {
            return Err(reason(key, said, bound));
        }
        let (id, rest) = said.split_first_chunk().ok_or(TokenRefusal::Unknown)?;
        let end = rest.first_chunk().map(|end| i64::from_be_bytes(*end));
        let end = end
            .and_then(DateTime::from_timestamp_micros)
            .ok_or(TokenRefusal::Unknown)?;
        if end <= self.0.clock.now() {
            return Err(TokenRefusal::Expired);
        }
        Ok((Uuid::from_bytes(*id), end))
    }

    fn key(&self, carrier: Carrier) -> &hmac::Key {
        match carrier {
            Carrier::Argument => &self.0.tokens,
            Carrier::State => &self.0.states,
        }
    }

    /// Removes what is over, from time to time, until it is told to stop.
    pub async fn sweep(self, stop: CancellationToken) {
        let Place::Database { store, .. } = &self.0.place else {
            return;
        };
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(SWEEP) => {}
            }
            let now = self.0.clock.now();
            let asked = now - chrono::Duration::days(KEPT_DAYS);
            if let Err(error) = store.forget_approvals(asked, now).await {
                tracing::warn!(error = %error, "old approvals could not be removed");
            }
        }
    }
}

/// Why the tag is another one: the first part of the call that is. Only a text follows from this.
fn reason(key: &hmac::Key, said: &[u8], bound: &Bound<'_>) -> TokenRefusal {
    let id = &said[..ID_BYTES];
    let same = |part: usize| {
        let at = ID_BYTES + END_BYTES + part * HINT_BYTES;
        said[at..at + HINT_BYTES] == hint(key, id, bound, part)
    };
    let same: [bool; HINTS] = std::array::from_fn(same);
    match same {
        [false, false, false, false] | [true, true, true, true] => TokenRefusal::Unknown,
        [false, ..] => TokenRefusal::Caller,
        [_, false, ..] => TokenRefusal::Server,
        [_, _, false, _] => TokenRefusal::Tool,
        [.., false] => TokenRefusal::Arguments,
    }
}

/// The parts of a call, each with its length before it, so that none runs into the next.
fn parts(bound: &Bound<'_>) -> [Vec<u8>; HINTS] {
    let with_length = |text: &[u8]| {
        let mut bytes = (text.len() as u64).to_be_bytes().to_vec();
        bytes.extend_from_slice(text);
        bytes
    };
    let tool = [bound.tool.0, bound.tool.1].map(|text| with_length(text.as_bytes()));
    [
        with_length(bound.caller.as_bytes()),
        with_length(bound.server.0.as_bytes()),
        tool.concat(),
        with_length(bound.arguments),
    ]
}

/// A few bytes that are others where that part of the call is another one.
fn hint(key: &hmac::Key, id: &[u8], bound: &Bound<'_>, part: usize) -> [u8; HINT_BYTES] {
    let number = u8::try_from(part).unwrap_or(u8::MAX);
    let mut context = hmac::Context::with_key(key);
    context.update(b"hint");
    context.update(&[number]);
    context.update(id);
    context.update(&parts(bound)[part]);
    let tag = context.sign();
    std::array::from_fn(|at| tag.as_ref()[at])
}

fn tag(key: &hmac::Key, said: &[u8], bound: &Bound<'_>) -> [u8; TAG_BYTES] {
    let mut context = hmac::Context::with_key(key);
    context.update(b"token");
    context.update(said);
    for part in parts(bound) {
        context.update(&part);
    }
    let tag = context.sign();
    std::array::from_fn(|at| tag.as_ref()[at])
}

/// In constant time.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(one, other).is_ok()
}

/// Whether the token is used for the first time. Where too many are remembered, none is taken.
fn note(
    used: &mut HashMap<Uuid, DateTime<Utc>>,
    id: Uuid,
    kept_until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> bool {
    if used.len() >= USED_MAX {
        used.retain(|_, until| *until > now);
    }
    used.len() < USED_MAX && used.insert(id, kept_until).is_none()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    fn clock() -> (Clock, Arc<AtomicI64>) {
        let seconds = Arc::new(AtomicI64::new(1_800_000_000));
        let hand = seconds.clone();
        let now = move || DateTime::from_timestamp(hand.load(Ordering::SeqCst), 0).unwrap();
        (Clock::from_fn(now), seconds)
    }

    fn bound<'a>(caller: &'a str, tool: &'a str, arguments: &'a [u8; 32]) -> Bound<'a> {
        Bound {
            caller,
            server: ServerId(Uuid::from_u128(7)),
            tool: (tool, "DELETE /orders/{id}"),
            arguments,
        }
    }

    #[tokio::test]
    async fn a_token_is_good_once_and_for_its_call_only() {
        let (clock, hand) = clock();
        let confirmations = Confirmations::memory(clock);
        let (one, other) = ([1; 32], [2; 32]);
        let call = bound("key:a", "cancel", &one);
        let token = confirmations.token(Carrier::Argument, &call);
        assert_eq!(token.len(), 75, "a model has to repeat it: {token}");
        let elsewhere = Bound {
            server: ServerId(Uuid::from_u128(8)),
            ..call
        };
        for (asked, reason) in [
            (bound("key:b", "cancel", &one), "another caller"),
            (elsewhere, "another server"),
            (bound("key:a", "refund", &one), "another tool"),
            (bound("key:a", "cancel", &other), "other arguments"),
            (bound("key:b", "refund", &other), "another caller"),
        ] {
            let refused = confirmations
                .redeem(Carrier::Argument, &asked, &token)
                .await;
            let said = refused.unwrap_err().to_string();
            assert!(said.contains(reason), "{said} {reason}");
        }
        let refused = confirmations.redeem(Carrier::State, &call, &token).await;
        assert!(matches!(refused, Err(TokenRefusal::Unknown)), "{refused:?}");
        assert!(
            confirmations
                .redeem(Carrier::Argument, &call, &token)
                .await
                .is_ok()
        );
        let again = confirmations.redeem(Carrier::Argument, &call, &token).await;
        assert!(matches!(again, Err(TokenRefusal::Used)), "{again:?}");
        let late = confirmations.token(Carrier::Argument, &call);
        hand.fetch_add(5 * 60, Ordering::SeqCst);
        let late = confirmations.redeem(Carrier::Argument, &call, &late).await;
        assert!(matches!(late, Err(TokenRefusal::Expired)), "{late:?}");
    }

    #[tokio::test]
    async fn no_byte_of_a_token_can_be_changed() {
        let confirmations = Confirmations::memory(clock().0);
        let arguments = [1; 32];
        let call = bound("key:a", "cancel", &arguments);
        let token = confirmations.token(Carrier::Argument, &call);
        let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let changed = URL_SAFE_NO_PAD.encode(changed);
            let redeemed = confirmations
                .redeem(Carrier::Argument, &call, &changed)
                .await;
            assert!(redeemed.is_err(), "byte {at}");
        }
        for foreign in ["", "yes", "true", &token[1..], &token.repeat(2)] {
            let redeemed = confirmations
                .redeem(Carrier::Argument, &call, foreign)
                .await;
            assert!(matches!(redeemed, Err(TokenRefusal::Unknown)), "{foreign}");
        }
    }
}
