//! What a call costs: a dated table of prices, and the arithmetic.
//!
//! Money is whole pico-dollars until the last step: every published price for a token is a whole number of them
//! (five hundredths of a dollar for a million tokens are 50,000), which it is not of nano-dollars. A call's cost
//! is summed exactly and rounded once, half up, to the [`Nanos`] that budgets and the ledger count in.
//!
//! The table is `price/prices.json`, made by `scripts/prices.py` from LiteLLM's (MIT licence). An operator's own
//! table has the same shape and wins, model by model. What has no price has none: never zero.

mod lookup;
mod own;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

pub use crate::llm::price::own::OwnPricesError;
use crate::llm::usage::Usage;

static BUILT_IN: LazyLock<Prices> = LazyLock::new(|| {
    Prices::from_json(include_str!("price/prices.json")).expect("a test reads the built-in prices")
});

/// A percentage of a percentage.
const WHOLE: u128 = 100 * 100;

/// Nano-dollars: 10^-9 dollars.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Nanos(pub u64);

/// Pico-dollars (10^-12 dollars) for one of something.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Rate(pub u64);

/// How soon an answer is wanted, as far as it changes its price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceTier {
    #[default]
    Standard,
    /// Within a day.
    Batch,
    /// When there is room (`service_tier: "flex"`).
    Flex,
    /// Before others (`service_tier: "priority"`).
    Priority,
}

impl ServiceTier {
    /// What OpenAI calls it in a request (`service_tier`), and in an answer; `None` where it does not say which.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "default" | "standard" => Some(Self::Standard),
            "flex" => Some(Self::Flex),
            "priority" => Some(Self::Priority),
            "batch" => Some(Self::Batch),
            _ => None,
        }
    }
}

/// Prices by provider and model, as a file says them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// The day they were right, `2026-11-26`.
    pub date: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    unit: Unit,
    providers: BTreeMap<String, BTreeMap<String, Price>>,
}

/// Written in the file, so that nobody reads its numbers as something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Unit {
    PicoDollars,
}

/// What one model costs. A tier that is empty is not sold, or its price is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Price {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub standard: Vec<Step>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub batch: Vec<Step>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flex: Vec<Step>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub priority: Vec<Step>,
    /// One search the provider ran, or one search unit of a rerank model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<Rate>,
    /// `search` is for a call that searches, however often.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub search_once: bool,
    /// What its tokens cost where they come sooner (`speed: "fast"` of Anthropic), in hundredths of what they do
    /// otherwise. Without it that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fast_percent: Option<u32>,
    /// The same where they are of the US only (`inference_geo: "us"` of Anthropic); as much as elsewhere without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub us_percent: Option<u32>,
    /// One image of a request or an answer, where images are not counted in tokens. [`cost`] does not see
    /// images: [`Usage`] has no count of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_input: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_output: Option<Rate>,
}

/// The rates for prompts of more than `above` tokens: they count for the whole call, not for what is above.
///
/// Each step is complete. A kind that has no rate of its own costs what it is a part of does: `cached`,
/// `cache_write` and `input_audio` what `input` does, `cached_audio` what `cached`, `cache_write_hour` what
/// `cache_write`, `reasoning` and `output_audio` what `output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Step {
    #[serde(skip_serializing_if = "is_zero")]
    pub above: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_audio: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_hour: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_audio: Option<Rate>,
    /// Absent where a model writes nothing (embeddings).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_audio: Option<Rate>,
}

/// Why a table of prices is not one.
#[derive(Debug, thiserror::Error)]
pub enum PricesError {
    #[error("the prices cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("the price of `{model}` at `{provider}` {what}")]
    Wrong {
        provider: String,
        model: String,
        what: &'static str,
    },
}

/// Looks prices up: first in an operator's own table, then in the built-in one. Cheap to clone; all clones have the
/// same table, which may be replaced while it is in use.
#[derive(Clone, Debug, Default)]
pub struct PriceBook {
    own: Arc<RwLock<Option<Prices>>>,
}

impl PriceBook {
    /// With a table that wins over the built-in one wherever it has a model.
    pub fn with(own: Prices) -> Self {
        let book = Self::default();
        book.replace(Some(own));
        book
    }

    /// What is looked up from now on.
    pub fn replace(&self, own: Option<Prices>) {
        *self.own.write() = own;
    }

    /// The lists of the operator's own table, of which each kind of provider goes by one.
    pub fn own_lists(&self) -> Vec<String> {
        let own = self.own.read();
        let lists = own.iter().flat_map(|own| own.providers.keys());
        lists.cloned().collect()
    }

    /// What a model costs at a tier; `None` where that is not known. The name is as a caller or the provider
    /// writes it: a prefix (`openai/`, `models/`, a region of Bedrock) or a date after it may be missing in
    /// the table. The exact name comes first, then ever shorter ones; the first that has a price decides,
    /// and one of the operator's own table before any of the built-in one. A price is taken whole: a tier
    /// that the operator's does not name is not known.
    pub fn price(&self, provider: &str, model: &str, at: ServiceTier) -> Option<Price> {
        let own = self.own.read();
        let own = own.as_ref();
        // Most names stand there as they are, and the other ways to write one need not be made up.
        let exact = own.unwrap_or(&BUILT_IN).exact(provider, model);
        let price = exact.or_else(|| {
            let names = lookup::names(provider, model);
            own.and_then(|own| own.first(provider, &names))
                .or_else(|| BUILT_IN.first(provider, &names))
        })?;
        price.sold_at(at).then(|| price.clone())
    }
}

impl Prices {
    /// The table that is compiled in.
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    /// Reads a table and checks that its steps are in order.
    pub fn from_json(text: &str) -> Result<Self, PricesError> {
        let prices: Self = serde_json::from_str(text)?;
        for (provider, model, price) in prices.all() {
            price.check().map_err(|what| PricesError::Wrong {
                provider: provider.to_owned(),
                model: model.to_owned(),
                what,
            })?;
        }
        Ok(prices)
    }

    /// Every provider, model and price.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str, &Price)> {
        self.providers.iter().flat_map(|(provider, models)| {
            models
                .iter()
                .map(move |(model, price)| (provider.as_str(), model.as_str(), price))
        })
    }

    fn exact(&self, provider: &str, model: &str) -> Option<&Price> {
        self.providers.get(provider)?.get(model)
    }

    fn first(&self, provider: &str, names: &[String]) -> Option<&Price> {
        let models = self.providers.get(provider)?;
        names.iter().find_map(|name| models.get(name))
    }
}

impl Price {
    fn steps(&self, tier: ServiceTier) -> &[Step] {
        match tier {
            ServiceTier::Standard => &self.standard,
            ServiceTier::Batch => &self.batch,
            ServiceTier::Flex => &self.flex,
            ServiceTier::Priority => &self.priority,
        }
    }

    /// Whether the price at a tier is known. Searches cost the same at all of them, so a model that only
    /// searches (rerank) is sold at the standard tier.
    fn sold_at(&self, tier: ServiceTier) -> bool {
        let searches = tier == ServiceTier::Standard && self.search.is_some();
        searches || !self.steps(tier).is_empty()
    }

    /// The rates for a prompt of so many tokens; those of the standard tier where the tier has none.
    fn step(&self, tier: ServiceTier, prompt: u64) -> Option<&Step> {
        let own = self.steps(tier);
        let steps = if own.is_empty() { &self.standard } else { own };
        steps
            .iter()
            .rev()
            .find(|step| step.above < prompt)
            .or(steps.first())
    }

    /// What so many searches of a call cost.
    fn of_searches(&self, searches: u64) -> u128 {
        let counted = if self.search_once {
            searches.min(1)
        } else {
            searches
        };
        times(counted, self.search)
    }

    /// Whether every kind of thing that a call used has a price; else [`cost`] is less than what it costs. Where only
    /// searches have one, it is that of their tokens, too.
    pub fn covers(&self, usage: &Usage, tier: ServiceTier) -> bool {
        let searches = usage.searches == 0 || self.search.is_some();
        let tokens = match self.step(tier, usage.input) {
            Some(step) => {
                let input = usage.input == 0 || step.input.is_some();
                input && (usage.output == 0 || step.output.is_some())
            }
            None => usage.total() == 0 || usage.searches > 0,
        };
        let speed = !usage.fast || self.fast_percent.is_some();
        tokens && searches && speed
    }

    /// What its tokens cost for what they were asked to be, in [`WHOLE`]ths of what they do otherwise.
    fn share(&self, usage: &Usage) -> u128 {
        let [fast, us] = [
            self.fast_percent.filter(|_| usage.fast),
            self.us_percent.filter(|_| usage.in_us),
        ]
        .map(|percent| u128::from(percent.unwrap_or(100)));
        fast * us
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.standard.is_empty() && self.search.is_none() {
            return Err("has no rates");
        }
        for steps in [&self.standard, &self.batch, &self.flex, &self.priority] {
            if steps.first().is_some_and(|step| step.above > 0) {
                return Err("does not begin at the first token");
            }
            if !steps.is_sorted_by(|one, next| one.above < next.above) {
                return Err("has steps out of order");
            }
            if steps.iter().any(|step| step.input.is_none()) {
                return Err("has a step without `input`");
            }
        }
        Ok(())
    }
}

/// What a call costs, rounded half up to nano-dollars, at most [`u64::MAX`] of them. A tier that the price
/// does not have counts as the standard one; [`PriceBook::price`] does not give such a price out.
pub fn cost(price: &Price, usage: &Usage, tier: ServiceTier) -> Nanos {
    let tokens = price
        .step(tier, usage.input)
        .map_or(0, |step| of_tokens(step, usage));
    let searches = price.of_searches(usage.searches).saturating_mul(WHOLE);
    let tokens = tokens.saturating_mul(price.share(usage));
    let nanos = tokens.saturating_add(searches).saturating_add(500 * WHOLE) / (1000 * WHOLE);
    Nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// The most that a prompt and an answer of at most so many tokens can cost, whatever kinds they turn out to be,
/// rounded up: the dearest of the rates that may apply, at a tier or at the standard one. Of searches, only those are in
/// it that are asked for: others that a provider runs are not.
pub fn most(
    price: &Price,
    (prompt, output): (u64, u64),
    searches: u64,
    tier: ServiceTier,
) -> Nanos {
    let asked = price.steps(tier).iter().chain(&price.standard);
    let may_apply = asked.filter(|step| step.above < prompt.max(1));
    let picos = may_apply
        .map(|step| {
            times(prompt, step.dearest_input()).saturating_add(times(output, step.dearest_output()))
        })
        .max();
    let picos = picos
        .unwrap_or_default()
        .saturating_add(price.of_searches(searches));
    let nanos = picos.div_ceil(1000);
    Nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

impl Step {
    fn dearest_input(&self) -> Option<Rate> {
        [
            self.input,
            self.cached,
            self.cached_audio,
            self.cache_write,
            self.cache_write_hour,
            self.input_audio,
        ]
        .into_iter()
        .max()
        .flatten()
    }

    fn dearest_output(&self) -> Option<Rate> {
        [self.output, self.reasoning, self.output_audio]
            .into_iter()
            .max()
            .flatten()
    }
}

/// Every token once. Sound in the prompt may or may not come from the cache, which a [`Usage`] does not tell:
/// it counts as fresh as far as there are tokens that no cache was involved with, and as cached beyond.
fn of_tokens(step: &Step, usage: &Usage) -> u128 {
    let fresh = usage.uncached();
    let fresh_audio = usage.input_audio.min(fresh);
    let cached_audio = (usage.input_audio - fresh_audio).min(usage.cached);
    let output_audio = usage.output_audio.min(usage.output);
    let reasoning = usage.reasoning.min(usage.output - output_audio);
    let cached = step.cached.or(step.input);
    let cache_write = step.cache_write.or(step.input);
    [
        (fresh - fresh_audio, step.input),
        (fresh_audio, step.input_audio.or(step.input)),
        (usage.cached - cached_audio, cached),
        (cached_audio, step.cached_audio.or(cached)),
        (usage.cache_write, cache_write),
        (
            usage.cache_write_hour,
            step.cache_write_hour.or(cache_write),
        ),
        (usage.output - output_audio - reasoning, step.output),
        (reasoning, step.reasoning.or(step.output)),
        (output_audio, step.output_audio.or(step.output)),
    ]
    .into_iter()
    .fold(0, |sum, (tokens, rate)| {
        sum.saturating_add(times(tokens, rate))
    })
}

/// Two numbers below 2^64 multiply to one below 2^128.
fn times(count: u64, rate: Option<Rate>) -> u128 {
    u128::from(count) * u128::from(rate.unwrap_or_default().0)
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_a_call_costs_is_at_the_dearest_rates_that_may_apply() {
        let step = |above, input, cache_write: Option<u64>, output| Step {
            above,
            input: Some(Rate(input)),
            cache_write: cache_write.map(Rate),
            output: Some(Rate(output)),
            ..Step::default()
        };
        let price = Price {
            standard: vec![
                step(0, 1_000, Some(1_250), 5_000),
                step(100, 2_000, None, 8_000),
            ],
            priority: vec![step(0, 3_000, None, 9_000)],
            flex: vec![step(0, 1, None, 1)],
            ..Price::default()
        };
        for (tokens, tier, nanos) in [
            ((10, 10), ServiceTier::Standard, 63),
            ((100, 0), ServiceTier::Standard, 125),
            // The whole prompt costs what the step does, and may be shorter than it seems.
            ((101, 1), ServiceTier::Standard, 210),
            ((10, 10), ServiceTier::Priority, 120),
            // Whoever asks for less may get the usual.
            ((10, 10), ServiceTier::Flex, 63),
            ((0, 1), ServiceTier::Standard, 5),
        ] {
            assert_eq!(
                most(&price, tokens, 0, tier),
                Nanos(nanos),
                "{tokens:?} {tier:?}"
            );
        }
        assert_eq!(
            most(&Price::default(), (9, 9), 0, ServiceTier::Standard),
            Nanos(0)
        );
        let ranking = Price {
            search: Some(Rate(2_000)),
            ..Price::default()
        };
        assert_eq!(most(&ranking, (9, 0), 1, ServiceTier::Standard), Nanos(2));
        let all = Prices::built_in().all();
        for (provider, model, price) in all {
            let usage = Usage {
                input: 1_000,
                cached: 200,
                cache_write_hour: 300,
                output: 500,
                reasoning: 100,
                ..Usage::default()
            };
            let bound = most(price, (1_000, 500), 0, ServiceTier::Standard);
            assert!(
                cost(price, &usage, ServiceTier::Standard) <= bound,
                "{provider} {model}"
            );
        }
    }
}
