//! How much of it a caller may use: what a limit says, and whether one more call fits.
//!
//! Rates are GCRA, in this process or in Redis; calls that run at once are counted in this process;
//! days and months are counted in the database, from which a process takes slices beforehand and
//! spends them from memory. What a crash leaves unspent counts as spent, so that a quota is never
//! exceeded.

pub mod counter;
mod exceeded;
mod manage;
mod quota;
mod rate;
pub mod refused;
mod rule;
mod running;
mod settle;
mod shared;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::access::caller::Caller;
use crate::access::limit::counter::{Counter, Owner};
pub use crate::access::limit::exceeded::{Exceeded, LimitRefusal};
use crate::access::limit::quota::{Quotas, Spent};
use crate::access::limit::rate::Rates;
use crate::access::limit::refused::Refused;
pub use crate::access::limit::rule::{Limit, LimitError, Scope, Unit, Window, check};
use crate::access::limit::running::{Running, Runs};
use crate::access::limit::settle::Reserved;
pub use crate::access::limit::shared::{Shared, SharedError};
use crate::store::Store;
use crate::types::{Clock, ModelId, ServerId};

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
    pub of: Of<'a>,
    /// The limits of that server, or of that model.
    pub limits: &'a [Limit],
    pub peer: Option<IpAddr>,
    /// What has to be left for it.
    pub cost: Cost,
}

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of<'a> {
    Tool {
        server: ServerId,
        name: &'a str,
    },
    /// By the name that is stored; where none is, by the provider's.
    Model {
        id: ModelId,
        name: &'a str,
    },
}

impl Of<'_> {
    /// Whose own limits are about it.
    fn owner(self) -> Owner {
        match self {
            Self::Tool { server, .. } => Owner::Server(server),
            Self::Model { id, .. } => Owner::Model(id),
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Tool { name, .. } | Self::Model { name, .. } => name,
        }
    }
}

/// What a call uses beside itself: first what is reserved for it, then what it came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    pub tokens: u64,
    /// Billionths of a dollar.
    pub nanos: u64,
}

impl Cost {
    fn of(self, unit: Unit) -> u64 {
        match unit {
            Unit::Requests | Unit::Concurrency => 1,
            Unit::Tokens => self.tokens,
            Unit::Money => self.nanos,
        }
    }
}

/// The limits that are about a call, and what it asks of each.
pub struct Claim<'a>(Vec<Applied<'a>>);

impl<'a> Claim<'a> {
    pub fn of(asked: &Asked<'a>) -> Self {
        Self(applied(asked))
    }

    /// Asks for something else, of the same limits.
    pub fn ask(&mut self, cost: Cost) {
        for one in &mut self.0 {
            one.amount = cost.of(one.limit.unit);
        }
    }
}

/// Lets calls in as long as their limits admit it. Cheap to clone.
#[derive(Clone)]
pub struct Limiter {
    inner: Arc<Inner>,
    /// What each client address may ask without a key.
    ceiling: Option<Limit>,
    /// What each person or key may ask of the management API.
    pace: Option<Limit>,
}

struct Inner {
    clock: Clock,
    rates: Rates,
    shared: Option<Shared>,
    running: Running,
    quotas: Option<Quotas>,
    refused: Refused,
}

/// A call that was let in; running calls are counted until it is dropped. What was reserved for it stays
/// spent unless it is settled.
#[must_use]
#[derive(Default)]
pub struct Permit {
    _runs: Runs,
    reserved: Vec<Reserved>,
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
            pace: None,
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
        self.take_one(limit, counter).await
    }

    /// Takes one of a rate outside of all calls, or says that it is used up.
    async fn take_one(&self, limit: &Limit, counter: Counter) -> Result<(), Exceeded> {
        let one = Applied {
            limit,
            counter,
            amount: 1,
            is_model: false,
        };
        let passed = self.pass_rates(&[one]).await;
        passed.inspect_err(|exceeded| self.inner.refused.count(&exceeded.limit))
    }

    /// What all processes share, where there is anything.
    pub fn shared(&self) -> Option<&Shared> {
        self.inner.shared.as_ref()
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
        self.admit_counted(applied(asked)).await
    }

    /// The same, for somebody who may ask for less where it is refused: nobody is told of a refusal.
    pub async fn attempt(&self, claim: &Claim<'_>) -> Result<Permit, LimitRefusal> {
        if claim.0.is_empty() {
            return Ok(Permit::default());
        }
        self.admit_all(&claim.0).await
    }

    /// Whether the tokens and the money of a call may be there, as far as is known now. Nothing is taken, so that nobody who
    /// asks meanwhile finds less.
    pub async fn has_room(&self, claim: &Claim<'_>) -> bool {
        let of_amounts = |one: &&Applied<'_>| matches!(one.limit.unit, Unit::Tokens | Unit::Money);
        let claimed = claim.0.iter().filter(of_amounts);
        let (rates, others): (Vec<_>, Vec<_>) = claimed.partition(|one| one.rate().is_some());
        let quotas = self.inner.quotas.as_ref();
        let lacks = |one: &&Applied<'_>| quotas.is_some_and(|quotas| quotas.is_short_of(one));
        if others.iter().any(lacks) {
            return false;
        }
        if let Some(shared) = &self.inner.shared
            && !rates.is_empty()
        {
            match shared.has_room(&rates).await {
                Ok(has_room) => return has_room,
                Err(error) => shared.note(&error),
            }
        }
        rates.iter().all(|one| self.inner.rates.has_room(one))
    }

    /// Lets the answer of an earlier call be read on: no call is made, and only limits of tokens are about it.
    pub async fn admit_reading(&self, asked: &Asked<'_>) -> Result<Permit, LimitRefusal> {
        let mut applied = applied(asked);
        applied.retain(|one| one.limit.unit == Unit::Tokens);
        self.admit_counted(applied).await
    }

    async fn admit_counted(&self, applied: Vec<Applied<'_>>) -> Result<Permit, LimitRefusal> {
        if applied.is_empty() {
            return Ok(Permit::default());
        }
        let admitted = self.admit_all(&applied).await;
        admitted.inspect_err(|refusal| self.refuses(refusal))
    }

    /// Counts a refusal.
    pub fn refuses(&self, refusal: &LimitRefusal) {
        match refusal {
            LimitRefusal::Exceeded(exceeded) => self.inner.refused.count(&exceeded.limit),
            LimitRefusal::Uncounted => self.inner.refused.count_uncounted(),
        }
    }

    async fn admit_all(&self, applied: &[Applied<'_>]) -> Result<Permit, LimitRefusal> {
        let runs = self.inner.running.enter(applied)?;
        self.pass_rates(applied).await?;
        let spent = match self.spend(applied).await {
            Ok(spent) => spent,
            Err(refusal) => {
                // What is not let in counts nowhere: it may be let in as something else.
                for one in applied.iter().filter(|one| one.rate().is_some()) {
                    self.owe(one, -signed(one.amount)).await;
                }
                return Err(refusal);
            }
        };
        let reserved = applied.iter().zip(spent);
        let reserved = reserved.filter_map(|(one, spent)| Reserved::of(one, spent));
        Ok(Permit {
            _runs: runs,
            reserved: reserved.collect(),
        })
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
        for (place, one) in rates.iter().enumerate() {
            if let Err(exceeded) = self.inner.rates.pass(one) {
                let before = rates[..place].iter();
                before.for_each(|one| self.inner.rates.owe(one, -signed(one.amount)));
                return Err(exceeded);
            }
        }
        Ok(())
    }

    /// Spends of every quota, or of none; gives what was spent, for each limit that is a quota.
    async fn spend(&self, applied: &[Applied<'_>]) -> Result<Vec<Option<Spent>>, LimitRefusal> {
        let mut spent: Vec<Option<Spent>> = Vec::with_capacity(applied.len());
        for one in applied {
            if !one.is_quota() {
                spent.push(None);
                continue;
            }
            let Some(quotas) = &self.inner.quotas else {
                return Err(LimitRefusal::Uncounted);
            };
            match quotas.spend(one).await {
                Ok(part) => spent.push(Some(part)),
                Err(refusal) => {
                    spent.iter().flatten().for_each(Spent::give_back);
                    return Err(refusal);
                }
            }
        }
        Ok(spent)
    }

    /// Forgets, from time to time, what was spent of windows long gone.
    pub async fn sweep(self, stop: CancellationToken) {
        if let Some(quotas) = &self.inner.quotas {
            stop.run_until_cancelled(quotas.sweep()).await;
        }
    }

    /// Gives back to the database what was taken and not spent. Called once, at the end.
    pub async fn give_back(&self) {
        if let Some(quotas) = &self.inner.quotas {
            quotas.settle(self.inner.clock.now()).await;
        }
    }
}

/// A limit and the count it is about.
pub(crate) struct Applied<'a> {
    pub(crate) limit: &'a Limit,
    pub(crate) counter: Counter,
    /// How much of it is asked for, as [`Limit::counted`] counts.
    pub(crate) amount: u64,
    /// A model is asked, and no tool.
    pub(crate) is_model: bool,
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
            span: self.rate(),
            needs: None,
            is_model: self.is_model,
        }
    }
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Every limit that is about a call: the server's or the model's, those of the consumer's plan with a server, the
/// consumer's own.
fn applied<'a>(asked: &Asked<'a>) -> Vec<Applied<'a>> {
    let of = |owner: Owner, limits: &'a [Limit]| {
        let limits = limits.iter().filter(|limit| asked.cost.of(limit.unit) > 0);
        limits.map(move |limit| Applied {
            limit,
            counter: Counter::of(owner, limit, asked),
            amount: asked.cost.of(limit.unit),
            is_model: matches!(asked.of, Of::Model { .. }),
        })
    };
    let mut applied: Vec<Applied<'a>> = of(asked.of.owner(), asked.limits).collect();
    if let (Some(allowance), Some(consumer)) = (&asked.caller.allowance, asked.caller.consumer) {
        let mut plans = allowance.plans.iter();
        let plan = plans.find(|(server, _)| asked.of.owner() == Owner::Server(*server));
        if let Some((server, plan)) = plan {
            applied.extend(of(Owner::Plan(consumer, *server), &plan.limits));
        }
        applied.extend(of(Owner::Consumer(consumer), &allowance.limits));
    }
    applied
}
