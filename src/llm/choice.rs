//! The targets of a model in the order they are asked in, by how each is doing now.

use std::sync::Arc;
use std::time::Instant;

use http::HeaderMap;

use crate::access::caller::Caller;
use crate::egress::resilience::Sign;
use crate::llm::arm::{Arm, ArmTarget};
use crate::llm::canary::Asker;
use crate::llm::fault::FaultClass;
use crate::llm::live::{LiveModel, LiveProvider, Models};
use crate::llm::load::Running;
use crate::llm::prefix;
use crate::llm::proxy::chance;
use crate::llm::question::Question;
use crate::llm::route::Target;
use crate::llm::standing::{Doing, Standing};
use crate::llm::strategy::{Seen, Strategy, order};
use crate::types::OrganizationId;

/// A target that may be asked.
pub(crate) struct Choice<'a> {
    pub(crate) provider: Arc<LiveProvider>,
    pub(crate) target: &'a Target,
    pub(crate) doing: &'a Doing,
    id: u64,
}

/// Targets in their order, and what they are asked.
pub(crate) struct Choices<'a> {
    pub(crate) choices: Vec<Choice<'a>>,
    /// The beginning of the prompt, where that decides.
    blocks: Vec<u64>,
}

/// What is asked of a model.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) organization: OrganizationId,
    pub(crate) model: &'a LiveModel,
    pub(crate) arm: &'a Arm,
    /// `None`: it is no prompt.
    pub(crate) question: Option<&'a Question>,
}

/// One target while it has a request.
#[derive(Debug)]
pub(crate) struct Counted {
    _target: Running,
    _provider: Running,
}

impl Counted {
    /// A request that is passed through: it is the provider that is busy with it.
    pub(crate) fn of_provider(standing: &Standing) -> Self {
        Self {
            _target: standing.passing.begin(),
            _provider: standing.busy.begin(),
        }
    }
}

/// What one request says of its target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Came {
    /// It answered, as one that carries out what is asked does.
    pub(crate) answered: bool,
    pub(crate) failed: bool,
}

/// Whether nothing is to be expected of a target: one whose model is not there would be the fastest of all.
pub(crate) fn failed(sign: Sign<FaultClass>, class: Option<FaultClass>) -> bool {
    matches!(sign, Sign::Bad(_)) || class == Some(FaultClass::NotFound)
}

/// Who asks, for what stays with one. Somebody who is signed in is one, whichever page they ask from.
pub(crate) fn asker<'a>(caller: &Caller, headers: &'a HeaderMap) -> Asker<'a> {
    let user = caller.user.map(|id| id.0);
    Asker {
        consumer: caller.consumer.map(|id| id.0).or(user),
        key: caller.key.map(|id| id.0).or(user),
        headers: Some(headers),
        chance: chance(),
    }
}

impl Choice<'_> {
    /// Counts a request of it, until what comes back is dropped.
    pub(crate) fn counted(&self) -> Counted {
        Counted {
            _target: self.doing.busy.begin(),
            _provider: self.provider.standing.busy.begin(),
        }
    }

    /// What came of a request, since when it was sent. One that was refused for what it is says nothing.
    pub(crate) fn saw(&self, models: &Models, came: Came, (began, streams): (Instant, bool)) {
        let (first, now) = (self.doing.first(streams), models.micros());
        if came.answered {
            let took = began.elapsed().as_micros();
            first.saw(u64::try_from(took).unwrap_or(u64::MAX), now);
        } else if came.failed {
            first.failed(now);
        }
    }
}

impl Choices<'_> {
    /// A target is asked: it will know the prompt.
    pub(crate) fn asking(&self, models: &Models, choice: &Choice<'_>) {
        if !self.blocks.is_empty() {
            let now = models.micros() / 1_000_000;
            models.prefixes().note(&self.blocks, choice.id, now);
        }
    }
}

/// The targets of an arm whose providers are there and `usable`. Those that are down are left out, unless all are.
pub(crate) fn in_order<'a>(
    models: &Models,
    wanted: Wanted<'a>,
    usable: impl Fn(&LiveProvider) -> bool,
) -> Choices<'a> {
    let mut choices: Vec<Choice<'a>> = models.seeing(wanted.organization, |offer| {
        let there = wanted.arm.targets.iter().filter_map(|it| {
            let ArmTarget { target, doing, id } = it;
            let provider = offer.providers.get(&target.provider)?.clone();
            usable(&provider).then_some(Choice {
                provider,
                target,
                doing,
                id: *id,
            })
        });
        there.collect()
    });
    let is_up = |choice: &Choice<'_>| !choice.provider.standing.is_down();
    if choices.iter().any(|it| is_up(it) && it.target.takes(None)) {
        choices.retain(is_up);
    }
    if choices.len() < 2 {
        return Choices {
            choices,
            blocks: Vec::new(),
        };
    }
    let strategy = wanted.model.settings.strategy;
    let blocks = match (strategy, wanted.question) {
        (Strategy::PrefixAffinity, Some(question)) => {
            let (high, low) = wanted.model.id.as_u64_pair();
            prefix::blocks(high ^ low, question.prompt_parts().into_iter())
        }
        _ => Vec::new(),
    };
    let seen = seen(models, wanted, &choices, &blocks);
    let targets: Vec<&Target> = choices.iter().map(|choice| choice.target).collect();
    let places = order(&targets, &seen, strategy, chance());
    let mut found: Vec<Option<Choice<'a>>> = choices.into_iter().map(Some).collect();
    let choices = places.iter().filter_map(|place| found[*place].take());
    Choices {
        choices: choices.collect(),
        blocks,
    }
}

fn seen(models: &Models, wanted: Wanted<'_>, choices: &[Choice<'_>], blocks: &[u64]) -> Vec<Seen> {
    let (instant, now) = (Instant::now(), models.micros());
    let streams = wanted.question.is_some_and(|it| it.stream.is_some());
    let known = if blocks.is_empty() {
        vec![0; choices.len()]
    } else {
        let ids: Vec<u64> = choices.iter().map(|choice| choice.id).collect();
        let ttl = wanted.model.settings.affinity_ttl_seconds;
        models
            .prefixes()
            .known(blocks, &ids, (now / 1_000_000, ttl))
    };
    let others = models.standings().others(now).unwrap_or_default();
    let seen = choices.iter().zip(known).map(|(choice, blocks)| {
        let provider = &choice.provider;
        let told = provider.load.and_then(|rule| {
            let reported = provider.standing.busy.reported(now, rule.fresh_us());
            reported.filter(|_| !provider.standing.is_down())
        });
        Seen {
            is_well: provider.is_well(instant),
            busy: told.unwrap_or_else(|| {
                choice.doing.busy.in_all(others) + provider.standing.passing.running()
            }),
            first_token_us: choice.doing.first(streams).estimate(now),
            blocks,
        }
    });
    seen.collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::types::{ConsumerId, KeyId, UserId};

    #[test]
    fn whoever_is_signed_in_is_one_whatever_they_ask_with() {
        let headers = HeaderMap::new();
        let [consumer, key, user] = [1, 2, 3].map(Uuid::from_u128);
        let known = |caller: &Caller| {
            let asker = asker(caller, &headers);
            (asker.consumer, asker.key)
        };
        let mut caller = Caller::anonymous();
        assert_eq!(known(&caller), (None, None));
        caller.user = Some(UserId(user));
        assert_eq!(known(&caller), (Some(user), Some(user)));
        caller.consumer = Some(ConsumerId(consumer));
        caller.key = Some(KeyId(key));
        assert_eq!(known(&caller), (Some(consumer), Some(key)));
    }

    #[test]
    fn a_target_whose_model_is_not_there_is_not_the_fastest() {
        for (sign, class, expected) in [
            (Sign::Good, None, false),
            (Sign::Good, Some(FaultClass::Invalid), false),
            (Sign::Good, Some(FaultClass::NotFound), true),
            (
                Sign::Bad(FaultClass::Overloaded),
                Some(FaultClass::Overloaded),
                true,
            ),
            (Sign::None, Some(FaultClass::Internal), false),
        ] {
            assert_eq!(failed(sign, class), expected, "{sign:?} {class:?}");
        }
    }
}
