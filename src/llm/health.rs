//! Providers are looked after while nobody asks them: whether they answer, and what they say of their load. Only those
//! whose settings want it, and never more at once than a few.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use http::Method;
use tokio::time::{MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;

use crate::egress::{Egress, Patience};
use crate::llm::exchange::request_to;
use crate::llm::live::{LiveProvider, Models};
use crate::llm::probe::probe;
use crate::llm::settings::origin;
use crate::llm::standing::{HealthRule, LoadRule, Reported, Upkeep, reported};
use crate::types::Clock;

/// How often is looked whether something is due.
const TICK: Duration = Duration::from_millis(250);
const AT_ONCE_MAX: usize = 32;
/// How long a provider has to tell its load, and how much of it is read.
const LOAD_TIME: Duration = Duration::from_secs(3);
const LOAD_BYTES_MAX: usize = 4 << 20;

/// What is asked with.
type Means = (Models, Egress, Clock);

/// Looks after all providers until it is told to stop.
pub async fn follow(means: Means, stop: CancellationToken) {
    let mut under_way = FuturesUnordered::new();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(()) = under_way.next() => {}
            _ = tick.tick() => {
                for (provider, what) in due(&means.0, AT_ONCE_MAX - under_way.len()) {
                    under_way.push(look(&means, provider, what));
                }
            }
        }
    }
}

/// What is due now, at most so much of it.
fn due(models: &Models, most: usize) -> Vec<(Arc<LiveProvider>, What)> {
    let (now, mut due) = (models.micros(), Vec::new());
    for provider in models.all_providers() {
        let wanted = [
            provider.health.map(What::Check),
            provider.load.map(What::Load),
        ];
        for what in wanted.into_iter().flatten() {
            if due.len() < most
                && provider
                    .standing
                    .claim(what.upkeep(), now, what.every_seconds())
            {
                due.push((provider.clone(), what));
            }
        }
    }
    due
}

#[derive(Clone, Copy)]
enum What {
    Check(HealthRule),
    Load(LoadRule),
}

impl What {
    fn upkeep(self) -> Upkeep {
        match self {
            Self::Check(_) => Upkeep::Check,
            Self::Load(_) => Upkeep::Load,
        }
    }

    fn every_seconds(self) -> u32 {
        match self {
            Self::Check(rule) => rule.every_seconds,
            Self::Load(rule) => rule.every_seconds,
        }
    }
}

async fn look(means: &Means, provider: Arc<LiveProvider>, what: What) {
    let (models, egress, clock) = means;
    let standing = &provider.standing;
    match what {
        What::Check(_) => {
            let found = check((egress, clock), &provider).await;
            if standing.checked(found, clock.now()) {
                let checks = standing.checks();
                tracing::warn!(
                    provider = provider.name,
                    down = checks.is_down,
                    message = checks.message,
                    "a provider changed by its checks"
                );
            }
        }
        What::Load(_) => {
            let said = load((egress, clock), &provider).await;
            standing.loaded(said, (clock.now(), models.micros()));
        }
    }
    standing.did(what.upkeep(), models.micros());
}

/// It is well where it answers, whatever it thinks of our key or of how often we ask.
async fn check(means: (&Egress, &Clock), provider: &LiveProvider) -> Result<(), String> {
    let probed = probe(means, provider, (None, None)).await;
    let probed = probed.map_err(|fault| fault.message)?;
    match probed.status {
        Some(status) if probed.ok || status < 500 => Ok(()),
        _ => Err(probed.message),
    }
}

async fn load(
    (egress, clock): (&Egress, &Clock),
    provider: &LiveProvider,
) -> Result<Reported, String> {
    let origin = origin(&provider.provider, &provider.parameters);
    let origin = origin.map_err(|error| error.to_string())?;
    let url = url::Url::parse(&format!("{origin}/metrics")).map_err(|error| error.to_string())?;
    let request = request_to(
        &provider.provider,
        (Method::GET, url),
        "text/plain",
        Bytes::new(),
    );
    let key = provider.keys.first().map(AsRef::as_ref);
    let signed = provider.signed(request, key, (egress, clock));
    let signed = timeout(LOAD_TIME, signed).await;
    let signed = signed.map_err(|_| "no token in time".to_owned())?;
    let request = signed.map_err(|fault| fault.message)?.request;
    let never = CancellationToken::new();
    let patience = Patience {
        deadline: Instant::now() + LOAD_TIME,
        cancel: &never,
    };
    let answer = egress.send_short(&provider.upstream, request, patience, LOAD_BYTES_MAX);
    let answer = answer.await.map_err(|error| error.to_string())?;
    if !answer.status.is_success() {
        return Err(format!("/metrics answers {}", answer.status));
    }
    let text = String::from_utf8_lossy(&answer.body);
    let none = "/metrics tells no requests of vLLM or SGLang";
    reported(&text).ok_or_else(|| none.to_owned())
}
