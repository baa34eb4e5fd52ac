//! Where a model's name leads: which targets are asked, and in which order.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::llm::canary::{Canary, WHOLE};
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::names::{Pattern, REGEX};
use crate::llm::prefix::TTL_SECONDS_MAX;
use crate::llm::strategy::Strategy;

/// What one name leads to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelSettings {
    /// In tiers; those of the first that are well are asked first.
    pub targets: Vec<Target>,
    /// How often one target is asked again where it failed before it began to answer.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub retries: u32,
    /// What sends a request on to the next target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_on: Option<Vec<FallbackOn>>,
    #[serde(default, skip_serializing_if = "Times::is_default")]
    pub times: Times,
    /// How requests are spread over the targets of a tier.
    #[serde(default, skip_serializing_if = "Strategy::is_default")]
    pub strategy: Strategy,
    /// For how long it is remembered which target was asked what, where that decides.
    #[serde(default = "usual_ttl", skip_serializing_if = "is_usual_ttl")]
    pub affinity_ttl_seconds: u64,
    /// Of names that are regular expressions, those of a lower rank are tried first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rank: u32,
    /// Other targets, which some callers are sent to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// A target that some requests are sent to as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Shadow>,
    /// What is done with what a target's dialect cannot say: hints such as a seed.
    #[serde(default, skip_serializing_if = "OnLoss::is_default")]
    pub on_loss: OnLoss,
    /// What happens to an answer whose caller leaves.
    #[serde(default, skip_serializing_if = "OnDisconnect::is_default")]
    pub on_disconnect: OnDisconnect,
}

/// A model of a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// By its name in this organization.
    pub provider: String,
    /// As the provider names it; absent: as the caller does; [`REST`]: as the caller does after its first slash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How much of the requests of its tier it gets, beside the others; 0: only where no other of its
    /// tier can be asked.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub weight: u32,
    /// Targets of a later tier are asked where those of the ones before failed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tier: u32,
    /// What the model can write at most, for dialects that want a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
    /// Only requests that failed with one of these are sent there; absent: whatever they failed with, and those that
    /// did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_on: Option<Vec<FallbackOn>>,
}

/// A target that is asked as well, whose answers nobody gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Shadow {
    pub target: Target,
    /// How many requests it gets, in hundredths of a percent.
    pub share: u32,
    /// How many of them at once, in a process; what is more is not sent.
    #[serde(default = "usual_concurrency")]
    pub concurrency: u32,
}

/// Classes of faults another target may not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FallbackOn {
    RateLimit,
    ServerError,
    /// It did not begin to answer in time.
    Timeout,
    /// It began, and no token came in time.
    Stall,
    ContextLength,
    ContentPolicy,
    /// The provider does not take our key, or its credit is used up.
    Credential,
}

/// How long a target may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Times {
    /// Until its answer begins; of a stream, until the first token.
    pub first_byte_ms: u64,
    /// Between two pieces of a stream.
    pub idle_ms: u64,
    pub total_ms: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnLoss {
    /// It is left out, and the answer's `x-causeway-dropped` names it.
    #[default]
    Drop,
    /// The request is refused.
    Refuse,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDisconnect {
    /// The provider is told at once, by closing the connection; what it wrote is counted here.
    #[default]
    Cancel,
    /// The answer is read to its end, for half a minute at most, so that its usage is known.
    Drain,
}

/// Why settings mean nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    #[error(
        "a model's name is 1 to {NAME_LENGTH_MAX} characters without spaces; a `*` stands for the rest, at the end only, \
         and what follows `re:` is a regular expression"
    )]
    Name,
    #[error("the name of the model is no regular expression that can be used: {0}")]
    Regex(String),
    #[error("`targets` has 1 to {TARGETS_MAX} of them")]
    Targets,
    #[error("`targets[{0}].weight` is 0 to 1000")]
    Weight(usize),
    #[error("`targets[{0}].tier` is 0 to 15")]
    Tier(usize),
    #[error("`targets[{0}].model` is 1 to {NAME_LENGTH_MAX} characters without spaces")]
    TargetModel(usize),
    #[error("`targets[{0}].maxOutputTokens` is at least 1")]
    OutputTokens(usize),
    #[error("`targets[{0}].onlyOn` has at least one class of faults")]
    OnlyOn(usize),
    #[error("`targets` has one at least that is asked first: without `onlyOn`")]
    First,
    #[error("`retries` is 0 to 5")]
    Retries,
    #[error("`affinityTtlSeconds` is 10 to {TTL_SECONDS_MAX}")]
    Ttl,
    #[error("`canary`: a model whose name stands for many has none")]
    CanaryName,
    #[error("`canary.{0}")]
    Canary(&'static str),
    #[error("`canary`: {0}")]
    CanaryTargets(Box<RouteError>),
    #[error("`shadow`: {0}")]
    ShadowTarget(Box<RouteError>),
    #[error("`shadow.share` is 1 to 10000, hundredths of a percent")]
    ShadowShare,
    #[error("`shadow.concurrency` is 1 to 64")]
    ShadowConcurrency,
    #[error("`times.{0}` is {TIME_MS_MIN} to {TIME_MS_MAX} milliseconds")]
    Times(&'static str),
}

/// The model of a target that is asked for what follows the first slash of the caller's name.
pub const REST: &str = "*";
const NAME_LENGTH_MAX: usize = 200;
pub(crate) const TARGETS_MAX: usize = 32;
const TIME_MS_MIN: u64 = 100;
const TIME_MS_MAX: u64 = 3_600_000;

impl Default for Times {
    fn default() -> Self {
        Self {
            first_byte_ms: 60_000,
            idle_ms: 60_000,
            total_ms: 600_000,
        }
    }
}

impl Times {
    /// The longest that any of them may be.
    pub(crate) const LONGEST: Duration = Duration::from_millis(TIME_MS_MAX);

    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    pub fn first_byte(&self) -> Duration {
        Duration::from_millis(self.first_byte_ms)
    }

    pub fn idle(&self) -> Duration {
        Duration::from_millis(self.idle_ms)
    }

    pub fn total(&self) -> Duration {
        Duration::from_millis(self.total_ms)
    }
}

impl OnLoss {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl OnDisconnect {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

fn is_name(name: &str) -> bool {
    let spaced = name.chars().any(|c| c.is_whitespace() || c.is_control());
    !name.is_empty() && name.len() <= NAME_LENGTH_MAX && !spaced
}

pub(crate) fn one() -> u32 {
    1
}

pub(crate) fn usual_ttl() -> u64 {
    300
}

fn usual_concurrency() -> u32 {
    4
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_usual_ttl(seconds: &u64) -> bool {
    *seconds == usual_ttl()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_one(n: &u32) -> bool {
    *n == 1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl ModelSettings {
    /// A name that leads to one model.
    pub fn to(target: Target) -> Self {
        Self {
            targets: vec![target],
            retries: 1,
            fallback_on: None,
            times: Times::default(),
            strategy: Strategy::default(),
            affinity_ttl_seconds: usual_ttl(),
            rank: 0,
            canary: None,
            shadow: None,
            on_loss: OnLoss::default(),
            on_disconnect: OnDisconnect::default(),
        }
    }

    /// Whether they mean something, for that name.
    ///
    /// # Errors
    /// The first thing that does not.
    pub fn check(&self, name: &str) -> Result<(), RouteError> {
        check_name(name)?;
        check_targets(&self.targets)?;
        if let Some(canary) = &self.canary {
            // Calls are told apart by the name they asked for.
            if name.starts_with(REGEX) || name.ends_with('*') {
                return Err(RouteError::CanaryName);
            }
            canary.check()?;
        }
        if let Some(shadow) = &self.shadow {
            shadow.check()?;
        }
        if self.retries > 5 {
            return Err(RouteError::Retries);
        }
        if !(10..=TTL_SECONDS_MAX).contains(&self.affinity_ttl_seconds) {
            return Err(RouteError::Ttl);
        }
        let Times {
            first_byte_ms,
            idle_ms,
            total_ms,
        } = self.times;
        let mut times = [
            ("firstByteMs", first_byte_ms),
            ("idleMs", idle_ms),
            ("totalMs", total_ms),
        ]
        .into_iter();
        match times.find(|(_, ms)| !(TIME_MS_MIN..=TIME_MS_MAX).contains(ms)) {
            Some((name, _)) => Err(RouteError::Times(name)),
            None => Ok(()),
        }
    }

    /// Whether a fault sends a request on to another target.
    pub fn falls_back(&self, fault: &Fault) -> bool {
        let Some(class) = FallbackOn::of(fault.cause()) else {
            return false;
        };
        match &self.fallback_on {
            Some(classes) => classes.contains(&class),
            // Others may write what one would not, which is for the model's owner to want.
            None => {
                let mut named = self.all_targets().filter_map(|it| it.only_on.as_ref());
                class != FallbackOn::ContentPolicy || named.any(|on| on.contains(&class))
            }
        }
    }

    /// All there are, and where each stands.
    pub fn named_targets(&self) -> impl Iterator<Item = (String, &Target)> {
        let placed = |name: &'static str, targets: &'_ [Target]| {
            (0..targets.len()).map(move |place| format!("{name}[{place}]"))
        };
        let own = placed("targets", &self.targets).zip(&self.targets);
        let canary = self
            .canary
            .iter()
            .flat_map(move |canary| placed("canary.targets", &canary.targets).zip(&canary.targets));
        let shadow = self.shadow.iter();
        let shadow = shadow.map(|shadow| ("shadow.target".to_owned(), &shadow.target));
        own.chain(canary).chain(shadow)
    }

    /// Those that callers get answers from.
    pub fn all_targets(&self) -> impl Iterator<Item = &Target> {
        let canary = self.canary.iter().flat_map(|canary| &canary.targets);
        self.targets.iter().chain(canary)
    }
}

impl Target {
    /// What its provider is asked for where a caller asked for `name`.
    pub fn called<'a>(&'a self, name: &'a str) -> &'a str {
        match self.model.as_deref() {
            None => name,
            Some(REST) => match name.split_once('/') {
                Some((_, rest)) if !rest.is_empty() => rest,
                _ => name,
            },
            Some(model) => model,
        }
    }

    /// Whether it takes a request that failed so before; `None`: that did not.
    pub fn takes(&self, failed: Option<FaultClass>) -> bool {
        let Some(only) = &self.only_on else {
            return true;
        };
        let class = failed.and_then(FallbackOn::of);
        class.is_some_and(|class| only.contains(&class))
    }
}

impl FallbackOn {
    fn of(class: FaultClass) -> Option<Self> {
        Some(match class {
            FaultClass::RateLimited => Self::RateLimit,
            FaultClass::Upstream | FaultClass::Overloaded | FaultClass::Unreachable => {
                Self::ServerError
            }
            FaultClass::Timeout => Self::Timeout,
            FaultClass::Stalled => Self::Stall,
            FaultClass::ContextLength => Self::ContextLength,
            FaultClass::ContentPolicy => Self::ContentPolicy,
            FaultClass::Unauthenticated | FaultClass::Forbidden | FaultClass::Exhausted => {
                Self::Credential
            }
            _ => return None,
        })
    }
}

impl Shadow {
    fn check(&self) -> Result<(), RouteError> {
        let target = std::slice::from_ref(&self.target);
        check_targets(target).map_err(|error| RouteError::ShadowTarget(Box::new(error)))?;
        if !(1..=WHOLE).contains(&self.share) {
            return Err(RouteError::ShadowShare);
        }
        if !(1..=64).contains(&self.concurrency) {
            return Err(RouteError::ShadowConcurrency);
        }
        Ok(())
    }

    /// Whether a request is sent there, too.
    pub fn takes(&self, chance: u64) -> bool {
        chance % u64::from(WHOLE) < u64::from(self.share)
    }
}

fn check_name(name: &str) -> Result<(), RouteError> {
    if !is_name(name) {
        return Err(RouteError::Name);
    }
    if name.starts_with(REGEX) {
        let read = Pattern::read(name);
        return read
            .map(drop)
            .map_err(|error| RouteError::Regex(error.to_string()));
    }
    let star = name.find('*').is_none_or(|at| at + 1 == name.len());
    if star { Ok(()) } else { Err(RouteError::Name) }
}

/// Whether targets mean something together.
pub(crate) fn check_targets(targets: &[Target]) -> Result<(), RouteError> {
    if !(1..=TARGETS_MAX).contains(&targets.len()) {
        return Err(RouteError::Targets);
    }
    for (place, target) in targets.iter().enumerate() {
        if target.weight > 1_000 {
            return Err(RouteError::Weight(place));
        }
        if target.tier > 15 {
            return Err(RouteError::Tier(place));
        }
        if target.model.as_deref().is_some_and(|name| !is_name(name)) {
            return Err(RouteError::TargetModel(place));
        }
        if target.max_output_tokens == Some(0) {
            return Err(RouteError::OutputTokens(place));
        }
        if target.only_on.as_ref().is_some_and(Vec::is_empty) {
            return Err(RouteError::OnlyOn(place));
        }
    }
    let mut first = targets.iter();
    if first.any(|target| target.only_on.is_none()) {
        Ok(())
    } else {
        Err(RouteError::First)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn target(provider: &str, weight: u32, tier: u32) -> Target {
        Target {
            provider: provider.into(),
            model: None,
            weight,
            tier,
            max_output_tokens: None,
            only_on: None,
        }
    }

    fn settings(targets: Vec<Target>) -> ModelSettings {
        ModelSettings {
            targets,
            ..ModelSettings::to(target("", 1, 0))
        }
    }

    #[test]
    fn a_target_is_asked_for_its_model_or_for_what_the_caller_says() {
        let of = |model: Option<&str>| Target {
            model: model.map(str::to_owned),
            ..target("a", 1, 0)
        };
        for (model, name, called) in [
            (Some("gpt-4o"), "a/b", "gpt-4o"),
            (None, "a/b", "a/b"),
            (Some(REST), "a/b", "b"),
            (Some(REST), "a/b/c", "b/c"),
            (Some(REST), "b", "b"),
            (Some(REST), "b/", "b/"),
        ] {
            assert_eq!(of(model).called(name), called, "{model:?} {name}");
        }
        let rest = settings(vec![of(Some(REST))]);
        assert_eq!(rest.check("a/*"), Ok(()));
    }

    #[test]
    fn faults_of_the_caller_go_nowhere_else() {
        let all = settings(vec![target("a", 1, 0)]);
        let falls = |settings: &ModelSettings, class| settings.falls_back(&Fault::new(class, ""));
        assert!(falls(&all, FaultClass::RateLimited) && falls(&all, FaultClass::Timeout));
        assert!(falls(&all, FaultClass::ContextLength) && falls(&all, FaultClass::Unauthenticated));
        assert!(!falls(&all, FaultClass::ContentPolicy) && !falls(&all, FaultClass::Invalid));
        let few = ModelSettings {
            fallback_on: Some(vec![FallbackOn::ContentPolicy]),
            ..all
        };
        assert!(falls(&few, FaultClass::ContentPolicy) && !falls(&few, FaultClass::RateLimited));
    }

    #[test]
    fn a_class_of_faults_leads_to_the_targets_for_it() {
        let only = |provider: &str, on: &[FallbackOn]| Target {
            only_on: Some(on.to_vec()),
            ..target(provider, 1, 1)
        };
        let chain = settings(vec![
            target("usual", 1, 0),
            only("long", &[FallbackOn::ContextLength]),
            only("frank", &[FallbackOn::ContentPolicy]),
            only("spare", &[FallbackOn::Timeout, FallbackOn::Stall]),
        ]);
        assert_eq!(chain.check("a"), Ok(()));
        let led = |class| {
            let targets = chain.targets.iter().filter(|it| it.takes(class));
            targets.map(|it| it.provider.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(led(None), ["usual"]);
        assert_eq!(led(Some(FaultClass::ContextLength)), ["usual", "long"]);
        assert_eq!(led(Some(FaultClass::ContentPolicy)), ["usual", "frank"]);
        assert_eq!(led(Some(FaultClass::Stalled)), ["usual", "spare"]);
        assert_eq!(led(Some(FaultClass::RateLimited)), ["usual"]);
        // Whoever names a class for a target wants it to go there.
        assert!(chain.falls_back(&Fault::new(FaultClass::ContentPolicy, "")));
        let nobody = settings(vec![only("long", &[FallbackOn::ContextLength])]);
        assert_eq!(nobody.check("a"), Err(RouteError::First));
        let nothing = settings(vec![target("a", 1, 0), only("b", &[])]);
        assert_eq!(nothing.check("a"), Err(RouteError::OnlyOn(1)));
    }

    #[test]
    fn settings_that_mean_nothing_are_named() {
        let good = settings(vec![target("a", 1, 0)]);
        for (name, result) in [
            ("gpt-4o", Ok(())),
            ("openai/gpt*", Ok(())),
            ("", Err(RouteError::Name)),
            ("a*b", Err(RouteError::Name)),
            ("a b", Err(RouteError::Name)),
            ("re:gpt-[45]*", Ok(())),
        ] {
            assert_eq!(good.check(name), result, "{name}");
        }
        let wrong = good.check("re:(").unwrap_err().to_string();
        assert!(wrong.contains("regular expression"), "{wrong}");
        let none = settings(vec![]);
        assert_eq!(none.check("a"), Err(RouteError::Targets));
        let heavy = settings(vec![target("a", 1, 0), target("b", 1001, 0)]);
        assert_eq!(heavy.check("a"), Err(RouteError::Weight(1)));
        let mut unfit = good.clone();
        unfit.targets[0].model = Some("a b".into());
        assert_eq!(unfit.check("a"), Err(RouteError::TargetModel(0)));
        let mut hasty = good.clone();
        hasty.times.idle_ms = 1;
        assert_eq!(hasty.check("a"), Err(RouteError::Times("idleMs")));
        let text = serde_json::to_string(&good).unwrap();
        assert_eq!(text, r#"{"targets":[{"provider":"a"}]}"#);
        assert_eq!(serde_json::from_str::<ModelSettings>(&text).unwrap(), good);
    }
}
