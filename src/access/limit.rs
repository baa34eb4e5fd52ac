//! How much of it a caller may use: what a limit says, and whether one more call fits.
//!
//! Rates are GCRA, in this process or in Redis; calls that run at once are counted in this process;
//! days and months are counted in the database, from which a process takes slices beforehand and
//! spends them from memory. What a crash leaves unspent counts as spent, so that a quota is never
//! exceeded.

pub mod counter;
mod quota;
mod rate;
pub mod refused;
mod running;
mod shared;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::access::caller::Caller;
use crate::access::limit::counter::{Counter, Owner};
use crate::access::limit::quota::Quotas;
use crate::access::limit::rate::Rates;
use crate::access::limit::refused::Refused;
use crate::access::limit::running::{Running, Runs};
pub use crate::access::limit::shared::{Shared, SharedError};
use crate::store::Store;
use crate::types::{Clock, ServerId};

/// One limit: at most `amount` of `unit` in each `window`, for each of what `scope` tells apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limit {
    pub unit: Unit,
    pub amount: u64,
    /// Absent for `concurrency`, which is about the same moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    pub scope: Scope,
    /// How many may come at once where a window is shorter than a day; `amount` where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u64>,
    /// The day of the month, 1 to 28, on which a month begins; the first where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_day: Option<u32>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Tool calls.
    Requests,
    /// Tool calls that run at the same moment, in each process.
    Concurrency,
}

/// How long a count lasts. Days and months are those of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    Second,
    Minute,
    Hour,
    Day,
    Month,
}

/// What has a count of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    Key,
    Consumer,
    /// All callers of the server together.
    Server,
    /// All callers of each tool together.
    Tool,
    /// Each client address (each /64 of IPv6).
    Address,
}

/// Why a limit means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    #[error("`amount` is 1 to {AMOUNT_MAX}")]
    Amount,
    #[error("`window` is missing: second, minute, hour, day or month")]
    NoWindow,
    #[error("a limit of concurrency has no `window`, `burst` or `resetDay`")]
    Concurrency,
    #[error("`burst` is 1 to {AMOUNT_MAX}, for a window of a second, a minute or an hour")]
    Burst,
    #[error("`resetDay` is 1 to 28, for a window of a month")]
    ResetDay,
    #[error("there is another limit of the same unit, window and scope")]
    Twice,
    #[error("at most {LIMITS_MAX} limits")]
    TooMany,
}

const AMOUNT_MAX: u64 = 1_000_000_000;
/// Limiter of one server, plan or consumer.
const LIMITS_MAX: usize = 16;

impl Window {
    /// Its length, where that is always the same and short.
    fn short(self) -> Option<Duration> {
        match self {
            Self::Second => Some(Duration::from_secs(1)),
            Self::Minute => Some(Duration::from_mins(1)),
            Self::Hour => Some(Duration::from_hours(1)),
            Self::Day | Self::Month => None,
        }
    }

    const ALL: [Self; 5] = [
        Self::Second,
        Self::Minute,
        Self::Hour,
        Self::Day,
        Self::Month,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

impl Scope {
    const ALL: [Self; 5] = [
        Self::Key,
        Self::Consumer,
        Self::Server,
        Self::Tool,
        Self::Address,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Consumer => "consumer",
            Self::Server => "server",
            Self::Tool => "tool",
            Self::Address => "address",
        }
    }
}

impl Limit {
    /// Whether it says something that can be kept.
    pub fn check(&self) -> Result<(), LimitError> {
        if !(1..=AMOUNT_MAX).contains(&self.amount) {
            return Err(LimitError::Amount);
        }
        if self.unit == Unit::Concurrency {
            let alone = self.window.is_none() && self.burst.is_none() && self.reset_day.is_none();
            return if alone {
                Ok(())
            } else {
                Err(LimitError::Concurrency)
            };
        }
        let window = self.window.ok_or(LimitError::NoWindow)?;
        let burst = |burst| window.short().is_some() && (1..=AMOUNT_MAX).contains(&burst);
        if !self.burst.is_none_or(burst) {
            return Err(LimitError::Burst);
        }
        let day = |day: u32| window == Window::Month && (1..=28).contains(&day);
        if !self.reset_day.is_none_or(day) {
            return Err(LimitError::ResetDay);
        }
        Ok(())
    }
}

/// Whether all of a list can be kept. The error names the place of the one that cannot.
pub fn check(limits: &[Limit]) -> Result<(), (usize, LimitError)> {
    if limits.len() > LIMITS_MAX {
        return Err((LIMITS_MAX, LimitError::TooMany));
    }
    let same = |a: &Limit, b: &Limit| (a.unit, a.window, a.scope) == (b.unit, b.window, b.scope);
    for (place, limit) in limits.iter().enumerate() {
        limit.check().map_err(|error| (place, error))?;
        if limits[..place].iter().any(|before| same(before, limit)) {
            return Err((place, LimitError::Twice));
        }
    }
    Ok(())
}

/// What a consumer was given: limits for all it does, and those of its plan with each server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    pub limits: Vec<Limit>,
    pub plans: Vec<(ServerId, Plan)>,
}

/// A named set of limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub name: String,
    pub limits: Vec<Limit>,
}

/// The call that is to be let in.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub caller: &'a Caller,
    pub server: ServerId,
    /// The server's own limits.
    pub limits: &'a [Limit],
    pub tool: &'a str,
    pub peer: Option<IpAddr>,
}

/// Lets calls in as long as their limits admit it. Cheap to clone.
#[derive(Clone)]
pub struct Limiter {
    inner: Arc<Inner>,
    /// What each client address may ask without a key.
    ceiling: Option<Limit>,
}

struct Inner {
    clock: Clock,
    rates: Rates,
    shared: Option<Shared>,
    running: Running,
    quotas: Option<Quotas>,
    refused: Refused,
}

/// A call that was let in; running calls are counted until it is dropped.
#[must_use]
pub struct Permit {
    _runs: Runs,
}

/// A limit that is used up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub struct Exceeded {
    pub limit: Limit,
    /// When the same call may succeed.
    pub retry_after: Duration,
}

impl Exceeded {
    fn text(&self) -> String {
        let Limit {
            amount,
            scope,
            window,
            ..
        } = &self.limit;
        let whose = match scope {
            Scope::Key => "for this API key",
            Scope::Consumer => "for this consumer",
            Scope::Server => "for this server",
            Scope::Tool => "for this tool",
            Scope::Address => "from this address",
        };
        let seconds = self.seconds();
        match window {
            Some(window) => format!(
                "The limit of {amount} calls a {} {whose} is used up. Call again in {seconds} \
                 seconds; do not call again before.",
                window.as_str()
            ),
            None => format!(
                "{amount} calls run at the same time {whose}, which is the limit. Wait for one to \
                 end, then call again."
            ),
        }
    }

    /// What the headers `RateLimit-Policy` and `RateLimit` say of it
    /// (draft-ietf-httpapi-ratelimit-headers).
    pub fn headers(&self) -> (String, String) {
        let scope = self.limit.scope.as_str();
        let window = self.limit.window.and_then(Window::short);
        let window = window.unwrap_or_default().as_secs();
        let policy = format!("\"{scope}\";q={};w={window}", self.limit.amount);
        (policy, format!("\"{scope}\";r=0;t={}", self.seconds()))
    }

    /// The time to wait in whole seconds, at least one.
    pub fn seconds(&self) -> u64 {
        let part = u64::from(self.retry_after.subsec_nanos() > 0);
        (self.retry_after.as_secs() + part).max(1)
    }
}

/// Why a call was not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitRefusal {
    #[error("{0}")]
    Exceeded(#[from] Exceeded),
    /// A quota that cannot be counted is not spent: it may be used up.
    #[error("The quota of this call cannot be counted right now. Call again in a few seconds.")]
    Uncounted,
}

impl Limiter {
    /// Counts rates and running calls in this process; there are no quotas, for lack of a database.
    pub fn memory(clock: Clock) -> Self {
        Self::with(clock, None, None)
    }

    /// Counts quotas in `store`, and rates in Redis where `shared` is given.
    pub fn new(store: Store, shared: Option<Shared>, clock: Clock) -> Self {
        let quotas = Quotas::new(store, clock.clone());
        Self::with(clock, shared, Some(quotas))
    }

    fn with(clock: Clock, shared: Option<Shared>, quotas: Option<Quotas>) -> Self {
        Self {
            inner: Arc::new(Inner {
                clock,
                rates: Rates::default(),
                shared,
                running: Running::default(),
                quotas,
                refused: Refused::default(),
            }),
            ceiling: None,
        }
    }

    /// With a ceiling for strangers: requests a minute from each client address; 0 is none.
    #[must_use]
    pub fn with_ceiling(mut self, amount: u64) -> Self {
        self.ceiling = (amount > 0).then_some(Limit {
            unit: Unit::Requests,
            amount,
            window: Some(Window::Minute),
            scope: Scope::Address,
            burst: None,
            reset_day: None,
        });
        self
    }

    /// Counts a request that came without a key against the ceiling of its address. This machine has
    /// none.
    pub async fn knock(&self, peer: Option<IpAddr>) -> Result<(), Exceeded> {
        let peer = peer.filter(|peer| !peer.to_canonical().is_loopback());
        let (Some(limit), Some(peer)) = (&self.ceiling, peer) else {
            return Ok(());
        };
        let counter = Counter::of_stranger(limit, peer);
        let passed = self.pass_rates(&[Applied { limit, counter }]).await;
        passed.inspect_err(|exceeded| self.inner.refused.count(&exceeded.limit))
    }

    /// Whether Redis answers; `None` where this process counts on its own.
    pub async fn ping(&self) -> Option<Result<(), SharedError>> {
        match &self.inner.shared {
            Some(shared) => Some(shared.ping().await),
            None => None,
        }
    }

    /// What was refused since the process began.
    pub fn refused(&self) -> &Refused {
        &self.inner.refused
    }

    /// Lets a call in, or says which limit does not admit it. A call without limits costs nothing
    /// but the look at its lists.
    pub async fn admit(&self, asked: &Asked<'_>) -> Result<Permit, LimitRefusal> {
        let applied = applied(asked);
        if applied.is_empty() {
            return Ok(Permit {
                _runs: Runs::default(),
            });
        }
        let admitted = self.admit_all(&applied).await;
        admitted.inspect_err(|refusal| match refusal {
            LimitRefusal::Exceeded(exceeded) => self.inner.refused.count(&exceeded.limit),
            LimitRefusal::Uncounted => self.inner.refused.count_uncounted(),
        })
    }

    async fn admit_all(&self, applied: &[Applied<'_>]) -> Result<Permit, LimitRefusal> {
        let runs = self.inner.running.enter(applied)?;
        self.pass_rates(applied).await?;
        self.spend(applied).await?;
        Ok(Permit { _runs: runs })
    }

    async fn pass_rates(&self, applied: &[Applied<'_>]) -> Result<(), Exceeded> {
        let rates: Vec<&Applied<'_>> = applied.iter().filter(|one| one.rate().is_some()).collect();
        if rates.is_empty() {
            return Ok(());
        }
        if let Some(shared) = &self.inner.shared {
            match shared.pass(&rates).await {
                Ok(passed) => return passed,
                // Each process on its own is better than none at all, or than refusing everything.
                Err(error) => shared.note(&error),
            }
        }
        rates
            .into_iter()
            .try_for_each(|one| self.inner.rates.pass(one))
    }

    async fn spend(&self, applied: &[Applied<'_>]) -> Result<(), LimitRefusal> {
        let mut spent = Vec::new();
        for one in applied.iter().filter(|one| one.is_quota()) {
            let Some(quotas) = &self.inner.quotas else {
                return Err(LimitRefusal::Uncounted);
            };
            match quotas.spend(one).await {
                Ok(lease) => spent.push(lease),
                Err(refusal) => {
                    spent.iter().for_each(quota::Spent::give_back);
                    return Err(refusal);
                }
            }
        }
        Ok(())
    }

    /// Forgets, from time to time, what was spent of windows long gone.
    pub async fn sweep(self, stop: CancellationToken) {
        if let Some(quotas) = &self.inner.quotas {
            stop.run_until_cancelled(quotas.sweep()).await;
        }
    }

    /// Gives back to the database what was taken and not spent. Called once, at the end.
    pub async fn settle(&self) {
        if let Some(quotas) = &self.inner.quotas {
            quotas.settle(self.inner.clock.now()).await;
        }
    }
}

/// A limit and the count it is about.
pub(crate) struct Applied<'a> {
    pub(crate) limit: &'a Limit,
    pub(crate) counter: Counter,
}

impl Applied<'_> {
    /// The window of a rate.
    fn rate(&self) -> Option<Duration> {
        self.limit.window.and_then(Window::short)
    }

    fn is_quota(&self) -> bool {
        matches!(self.limit.window, Some(Window::Day | Window::Month))
    }

    fn exceeded(&self, retry_after: Duration) -> Exceeded {
        Exceeded {
            limit: self.limit.clone(),
            retry_after,
        }
    }
}

/// Every limit that is about a call: the server's, those of the consumer's plan, the consumer's own.
fn applied<'a>(asked: &Asked<'a>) -> Vec<Applied<'a>> {
    let of = |owner: Owner, limits: &'a [Limit]| {
        limits.iter().map(move |limit| Applied {
            limit,
            counter: Counter::of(owner, limit, asked),
        })
    };
    let mut applied: Vec<Applied<'a>> = of(Owner::Server(asked.server), asked.limits).collect();
    if let (Some(allowance), Some(consumer)) = (&asked.caller.allowance, asked.caller.consumer) {
        let plan = allowance
            .plans
            .iter()
            .find(|(server, _)| *server == asked.server);
        if let Some((_, plan)) = plan {
            applied.extend(of(Owner::Plan(consumer, asked.server), &plan.limits));
        }
        applied.extend(of(Owner::Consumer(consumer), &allowance.limits));
    }
    applied
}
