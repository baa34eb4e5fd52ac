//! The keys of a provider: which is asked first, when one is left alone, and what is said of a refusal.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use crate::egress::Opened;
use crate::egress::resilience::{Admitted, Breaker, BreakerRule, Paused, Sign, retry_after};
use crate::llm::dialect::Dialect;
use crate::llm::exchange::again::Turns;
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::live::{LiveKey, LiveProvider};
use crate::llm::provider::Auth;
use crate::llm::signed::{Pass, masked};

/// How much of an error is read, and for how long.
const ERROR_BYTES_MAX: usize = 256 << 10;
const ERROR_TIME: Duration = Duration::from_secs(5);

/// When a key is left alone: after failures of the provider, and where the provider has had enough of it.
const FAILING: BreakerRule = BreakerRule {
    failures: 5,
    pause_ms: 10_000,
};
const REFUSED: BreakerRule = BreakerRule {
    failures: 1,
    pause_ms: 30_000,
};

/// A key that a request is let through with; without one, the provider has none.
pub(crate) type Admission<'a> = (Option<&'a LiveKey>, Admitted<'a, FaultClass>);

/// The keys of a provider that one request is made with: one after the other, and again where that helps.
pub(crate) struct InTurn<'a> {
    provider: &'a LiveProvider,
    keys: Vec<Option<&'a LiveKey>>,
    turns: Turns,
    /// Of the one that was let through last.
    place: usize,
    deadline: Instant,
}

impl<'a> InTurn<'a> {
    pub(crate) fn of(provider: &'a LiveProvider, retries: u32, deadline: Instant) -> Self {
        let keys = provider.keys_in_turn();
        let turns = Turns::of(keys.len(), retries, Instant::now());
        Self {
            provider,
            keys,
            turns,
            place: 0,
            deadline,
        }
    }

    /// The next one, after the pause that it wants. `None`: that is not worth it.
    pub(crate) async fn next(&mut self) -> Option<Admission<'a>> {
        loop {
            let now = Instant::now();
            let usable = |place: usize| !self.provider.breaker_of(self.keys[place]).is_paused(now);
            let (place, pause) = self.turns.next(now, usable)?;
            if !pause.is_zero() {
                if now + pause >= self.deadline {
                    return None;
                }
                tokio::time::sleep(pause).await;
            }
            // Another request may have had it left alone meanwhile.
            if let Ok(admitted) = self.provider.admit(self.keys[place]) {
                self.place = place;
                return Some((self.keys[place], admitted));
            }
        }
    }

    /// That is what came of it.
    pub(crate) fn failed(&mut self, fault: Fault) {
        self.turns.failed(self.place, fault, Instant::now());
    }

    /// What came of the last one; where none was let through, why not.
    pub(crate) fn fault(self) -> Fault {
        let failed = self.turns.failed;
        failed.unwrap_or_else(|| self.provider.left_alone(&self.keys))
    }
}

impl LiveProvider {
    /// Lets a request with this key through, unless the key is left alone; without keys, the provider.
    pub(crate) fn admit<'a>(
        &'a self,
        key: Option<&'a LiveKey>,
    ) -> Result<Admitted<'a, FaultClass>, Fault> {
        let admitted = self.breaker_of(key).admit(Instant::now());
        admitted.map_err(|paused| self.paused(Some(paused)))
    }

    /// Why none of these keys is asked: all are left alone, one of them for the shortest time.
    fn left_alone(&self, keys: &[Option<&LiveKey>]) -> Fault {
        let now = Instant::now();
        let paused = keys.iter().map(|key| self.breaker_of(*key).paused(now));
        self.paused(paused.flatten().min_by_key(|paused| paused.after))
    }

    fn paused(&self, paused: Option<Paused<FaultClass>>) -> Fault {
        let text = format!(
            "{} failed repeatedly and is left alone for a moment",
            self.name
        );
        Fault {
            retry_after: paused.map(|paused| paused.after),
            cause: paused.map(|paused| paused.why),
            ..Fault::new(FaultClass::Overloaded, text)
        }
    }

    /// Of a key; without one, of the provider as a whole.
    fn breaker_of<'a>(&'a self, key: Option<&'a LiveKey>) -> &'a Breaker<FaultClass> {
        key.map_or(&self.breaker, |key| &key.breaker)
    }

    /// Its keys, each as often first as the others; those that are left alone come last. One without keys is asked
    /// without.
    fn keys_in_turn(&self) -> Vec<Option<&LiveKey>> {
        let mut keys: Vec<Option<&LiveKey>> = self.own_keys().map(Some).collect();
        if keys.is_empty() {
            return vec![None];
        }
        let (turn, now) = (self.turn.fetch_add(1, Ordering::Relaxed), Instant::now());
        let count = keys.len();
        keys.rotate_left(turn % count);
        keys.sort_by_key(|key| self.breaker_of(*key).is_paused(now));
        keys
    }

    /// What it says that does not answer.
    pub(crate) async fn refusal(
        &self,
        dialect: Dialect,
        opened: Opened,
        sent: (Option<&LiveKey>, &Pass),
        now: DateTime<Utc>,
    ) -> Fault {
        let status = opened.status.as_u16();
        let after = retry_after(&opened.headers, now);
        let body = opened
            .whole(ERROR_BYTES_MAX, Instant::now() + ERROR_TIME)
            .await;
        let mut fault = dialect.decode_error(status, &body.unwrap_or_default());
        // Its message may say another time.
        fault.retry_after = fault.retry_after.max(after);
        self.told(fault, sent)
    }

    /// What is told of its fault.
    pub(crate) fn told(&self, mut fault: Fault, sent: (Option<&LiveKey>, &Pass)) -> Fault {
        match fault.class {
            // It is our key that is no good, which is nothing the caller can do about.
            FaultClass::Unauthenticated => {
                fault.message = format!("{} does not accept its key", self.name);
            }
            // Of which model, or of what else, only its own words tell.
            FaultClass::Forbidden => {
                let said = &fault.message;
                fault.message = format!("{} does not let its key do this: {said}", self.name);
            }
            _ => {}
        }
        fault.message = masked(sent, &fault.message);
        fault
    }

    /// Whether there is anything of it that is not left alone.
    pub(crate) fn is_well(&self, now: Instant) -> bool {
        let is_well = |key| !self.breaker_of(key).is_paused(now);
        let mut keys = self.own_keys().map(Some).peekable();
        if keys.peek().is_none() {
            return is_well(None);
        }
        keys.any(is_well)
    }

    /// Those it is asked with.
    fn own_keys(&self) -> impl Iterator<Item = &LiveKey> {
        let asks = self.provider.auth != Auth::None;
        self.keys.iter().map(AsRef::as_ref).filter(move |_| asks)
    }
}

/// What came of a request says of a key, and when it is left alone for it.
pub(crate) fn judged(class: Option<FaultClass>) -> (Sign<FaultClass>, BreakerRule) {
    let Some(class) = class else {
        return (Sign::Good, FAILING);
    };
    match class {
        FaultClass::Unauthenticated | FaultClass::Exhausted => (Sign::Bad(class), REFUSED),
        FaultClass::RateLimited
        | FaultClass::Upstream
        | FaultClass::Overloaded
        | FaultClass::Unreachable
        | FaultClass::Timeout
        | FaultClass::Stalled => (Sign::Bad(class), FAILING),
        // A key that may not ask for one model may ask for others, and whoever asks chooses the model.
        FaultClass::Forbidden | FaultClass::Internal | FaultClass::Unsupported => {
            (Sign::None, FAILING)
        }
        _ => (Sign::Good, FAILING),
    }
}
