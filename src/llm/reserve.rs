//! What a request may use: the most it can come to is reserved before anybody is asked, and what it came to is settled
//! after, once.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::access::caller::Caller;
use crate::access::limit::{Asked, Claim, Cost, Limit, LimitRefusal, Limiter, Of, Permit, Unit};
use crate::llm::count::picture_bound;
use crate::llm::dialect::anthropic::output_tokens;
use crate::llm::exact::{TEXT_BYTES_MAX, vocabularies};
use crate::llm::fault::{Fault, FaultClass, RateHeaders};
use crate::llm::live::{LiveModel, OnExhaust};
use crate::llm::price::{self, Nanos, ServiceTier};
use crate::llm::proxy::Llm;
use crate::llm::vocabulary::texts;
use crate::types::ModelId;

/// For how long the end of a request waits for the database: what is not counted by then is counted after.
const SETTLE_TIME: Duration = Duration::from_secs(2);
/// Texts have more tokens than one in so many bytes, but for those that say the same again and again.
const BYTES_PER_TOKEN_MAX: u64 = 16;
/// When to ask again where the database does not count now.
const UNCOUNTED_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Who asks, and from where.
#[derive(Clone, Copy)]
pub(crate) struct From<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) peer: Option<IpAddr>,
}

/// What is asked of a model.
#[derive(Clone, Copy)]
pub(crate) struct Sought<'a> {
    /// As the caller names it.
    pub(crate) model: &'a str,
    pub(crate) tier: ServiceTier,
    /// The most tokens of the prompt and of the answer there may be.
    pub(crate) most: &'a (dyn Fn(Room) -> (u64, u64) + Sync),
    /// Searches that it asks for.
    pub(crate) searches: u64,
    /// The body, where it is JSON.
    pub(crate) body: Option<&'a Bytes>,
}

/// What the targets of a model make of a request that does not say it.
#[derive(Clone, Copy)]
pub(crate) struct Room {
    /// The most tokens of an answer.
    pub(crate) output: u64,
    /// The most tokens of a picture.
    pub(crate) picture: u64,
}

impl Room {
    /// What a model makes of it, which is told to write so many tokens at most where the request does not say it.
    fn of(model: &str, most: Option<u64>) -> Self {
        Self {
            output: most.unwrap_or_else(|| output_tokens(model)),
            picture: picture_bound(model),
        }
    }

    fn or(self, other: Self) -> Self {
        Self {
            output: self.output.max(other.output),
            picture: self.picture.max(other.picture),
        }
    }
}

/// A request that was let in.
pub(crate) struct Admitted {
    pub(crate) model: Arc<LiveModel>,
    /// What the model is called: another than the caller's where that one's limits sent it on.
    pub(crate) name: String,
    pub(crate) reservation: Reservation,
}

/// What is reserved for a request. Running requests are counted until it is gone; what was reserved stays spent
/// where it is dropped without being settled.
pub(crate) struct Reservation {
    permit: Permit,
    limiter: Limiter,
    tasks: TaskTracker,
}

impl Reservation {
    /// So many answers were lost that may have been paid for: what was reserved stays spent for each of them, beside what the
    /// next one comes to.
    pub(crate) fn stay_spent(&mut self, times: u64) {
        self.permit.stay_spent(times);
    }

    /// Counts what the request came to in place of what was reserved: nothing, where it was not answered.
    pub(crate) async fn settle(self, cost: Cost) {
        let Self {
            mut permit,
            limiter,
            tasks,
        } = self;
        if !permit.is_open() {
            return;
        }
        let mut settling = Box::pin(async move { limiter.settle(&mut permit, cost).await });
        // Most are counted in memory, and done with the first look.
        if futures::poll!(settling.as_mut()).is_ready() {
            return;
        }
        // On its own, so that it comes to its end whatever becomes of who waits for it.
        let _ = timeout(SETTLE_TIME, tasks.spawn(settling)).await;
    }
}

/// Finds the model a request is for and lets it in. Where the tokens or the money of one are used up, another may
/// take its place: once, for that one's own substitute is not asked.
///
/// # Errors
/// Where there is no such model, or a limit does not admit it.
pub(crate) async fn admit(cx: &Llm, from: From<'_>, sought: Sought<'_>) -> Result<Admitted, Fault> {
    let model = cx.models.find(from.caller, sought.model)?;
    let refusal = match reserve(cx, from, sought, model.clone()).await {
        Ok(admitted) => return Ok(admitted),
        Err(refusal) => refusal,
    };
    if let Some(OnExhaust { downgrade }) = &model.on_exhaust
        && is_used_up(&refusal)
        && let Ok(other) = cx.models.instead(from.caller, downgrade)
    {
        let instead = Sought {
            model: downgrade,
            ..sought
        };
        let reserved = reserve(cx, from, instead, other).await;
        return reserved.map_err(|refusal| limit_fault(&refusal));
    }
    Err(limit_fault(&refusal))
}

async fn reserve(
    cx: &Llm,
    from: From<'_>,
    sought: Sought<'_>,
    model: Arc<LiveModel>,
) -> Result<Admitted, LimitRefusal> {
    let most = most(from.caller, sought, &model);
    let cost = most.map(|most| cost(cx, from.caller, (sought, &model), most));
    let mut claim = Claim::of(&Asked {
        caller: from.caller,
        of: Of::Model {
            id: ModelId(model.id),
            name: &model.counted_as,
        },
        limits: &model.limits,
        peer: from.peer,
        cost: cost.unwrap_or_default(),
    });
    let permit = match (cx.limiter.attempt(&claim).await, most) {
        (Err(refusal), Some(most)) if is_used_up(&refusal) => {
            // Apart, so that all other requests carry no room for it.
            let of = (from.caller, sought, &*model);
            match Box::pin(lessen(cx, of, (&mut claim, most))).await {
                Some(()) => cx.limiter.attempt(&claim).await,
                None => Err(refusal),
            }
        }
        (attempted, _) => attempted,
    };
    drop(claim);
    let permit = permit.inspect_err(|refusal| cx.limiter.refuses(refusal))?;
    Ok(Admitted {
        name: sought.model.to_owned(),
        reservation: Reservation {
            permit,
            limiter: cx.limiter.clone(),
            tasks: cx.streams.clone(),
        },
        model,
    })
}

/// Has a request claim what it may come to by the exact number of its tokens, where the most it can have does not fit and
/// that might: counted is only what has a chance.
async fn lessen(
    cx: &Llm,
    (caller, sought, model): (&Caller, Sought<'_>, &LiveModel),
    (claim, most): (&mut Claim<'_>, Most),
) -> Option<()> {
    let body = sought.body.filter(|body| body.len() <= TEXT_BYTES_MAX)?;
    let vocabularies = vocabularies(model, sought.model)?;
    let with = |tokens: u64| {
        let prompt = tokens.min(most.prompt);
        cost(cx, caller, (sought, model), Most { prompt, ..most })
    };
    claim.ask(with(body.len() as u64 / BYTES_PER_TOKEN_MAX));
    if !cx.limiter.has_room(claim).await {
        return None;
    }
    let body = body.clone();
    let count = move || {
        let texts = texts(&body)?;
        let counts = vocabularies.iter().map(|it| it.count(&texts) as u64);
        counts.max()
    };
    let tokens = cx.counting.done(count).await??;
    (tokens < most.prompt).then(|| claim.ask(with(tokens)))
}

/// Lets in a request that is passed through to a provider. What it will use nobody knows: it is let in where there is
/// anything left of each budget, and counted after.
///
/// # Errors
/// Where the caller uses no models, or a limit does not admit it.
pub(crate) async fn admit_through(
    cx: &Llm,
    from: From<'_>,
    provider: &str,
) -> Result<Admitted, Fault> {
    if !from.caller.may_ask_everything() {
        let text =
            "this key is for some servers or models only; providers need a key for everything";
        return Err(Fault::new(FaultClass::Forbidden, text));
    }
    let model = Arc::new(LiveModel::any_of(provider));
    let asked = Asked {
        caller: from.caller,
        of: Of::Model {
            id: ModelId(model.id),
            name: &model.counted_as,
        },
        limits: &[],
        peer: from.peer,
        cost: Cost {
            tokens: 1,
            nanos: 1,
        },
    };
    let permit = cx.limiter.admit(&asked).await;
    let permit = permit.map_err(|refusal| limit_fault(&refusal))?;
    Ok(Admitted {
        name: model.name.clone(),
        reservation: Reservation {
            permit,
            limiter: cx.limiter.clone(),
            tasks: cx.streams.clone(),
        },
        model,
    })
}

/// The most tokens a request can have.
#[derive(Clone, Copy)]
struct Most {
    prompt: u64,
    output: u64,
    /// Whether a limit asks what they cost.
    counts_money: bool,
}

/// The most a request can have; nothing where no limit asks for it.
fn most(caller: &Caller, sought: Sought<'_>, model: &LiveModel) -> Option<Most> {
    let own = caller.allowance.iter().flat_map(|it| &it.limits);
    let counts = |unit: Unit| {
        let is_of = |limit: &Limit| limit.unit == unit;
        model.limits.iter().any(is_of) || own.clone().any(is_of)
    };
    let (counts_tokens, counts_money) = (counts(Unit::Tokens), counts(Unit::Money));
    if !counts_tokens && !counts_money {
        return None;
    }
    let rooms = model.settings.all_targets().map(|target| {
        let called = target.called(sought.model);
        Room::of(called, target.max_output_tokens)
    });
    let room = rooms.reduce(Room::or);
    let room = room.unwrap_or_else(|| Room::of(sought.model, None));
    let (prompt, output) = (sought.most)(room);
    Some(Most {
        prompt,
        output,
        counts_money,
    })
}

/// What so many tokens come to.
fn cost(cx: &Llm, caller: &Caller, (sought, model): (Sought<'_>, &LiveModel), most: Most) -> Cost {
    let mut cost = Cost {
        tokens: most.prompt.saturating_add(most.output),
        nanos: 0,
    };
    if most.counts_money {
        cost.nanos = dearest(cx, caller, (model, sought.model), |price| {
            let tokens = (most.prompt, most.output);
            price::most(price, tokens, sought.searches, sought.tier)
        });
    }
    cost
}

/// The most that any target of a model takes; of what has no price nothing is known, and nothing reserved.
fn dearest(
    cx: &Llm,
    caller: &Caller,
    (model, name): (&LiveModel, &str),
    most: impl Fn(&price::Price) -> Nanos,
) -> u64 {
    let targets = model.settings.all_targets();
    let prices = targets.filter_map(|target| {
        let provider = cx
            .models
            .provider_of(caller.organization, &target.provider)?;
        let called = target.called(name);
        let called = provider.provider.model_name(called);
        let list = provider.provider.price_list();
        cx.prices
            .price(list, &called, ServiceTier::Standard)
            .map(|price| most(&price))
    });
    prices.max().unwrap_or_default().0
}

fn is_used_up(refusal: &LimitRefusal) -> bool {
    match refusal {
        LimitRefusal::Exceeded(exceeded) => {
            matches!(exceeded.limit.unit, Unit::Tokens | Unit::Money)
        }
        LimitRefusal::Uncounted => false,
    }
}

/// A refusal in no dialect's words yet.
pub(crate) fn limit_fault(refusal: &LimitRefusal) -> Fault {
    let LimitRefusal::Exceeded(exceeded) = refusal else {
        return Fault {
            retry_after: Some(UNCOUNTED_RETRY_AFTER),
            ..Fault::new(FaultClass::Overloaded, refusal.to_string())
        };
    };
    let class = if exceeded.is_budget() {
        FaultClass::Exhausted
    } else {
        FaultClass::RateLimited
    };
    if exceeded.needs.is_some() {
        return Fault::new(class, exceeded.to_string());
    }
    let (policy, state) = exceeded.headers();
    Fault {
        retry_after: Some(Duration::from_secs(exceeded.seconds())),
        rate: Some(Box::new(RateHeaders { policy, state })),
        ..Fault::new(class, exceeded.to_string())
    }
}
