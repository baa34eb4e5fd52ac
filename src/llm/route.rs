//! Where a model's name leads: which targets are asked, and in which order.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::llm::fault::{Fault, FaultClass};

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
    /// As the provider names it; absent: as the caller does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How much of the requests of its tier it gets, beside the others; 0: only where all others fail.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub weight: u32,
    /// Targets of a later tier are asked where those of the ones before failed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tier: u32,
    /// What the model can write at most, for dialects that want a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
}

/// Classes of faults another target may not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FallbackOn {
    RateLimit,
    ServerError,
    Timeout,
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
        "a model's name is 1 to {NAME_LENGTH_MAX} characters without spaces; a `*` stands for the rest, at the end only"
    )]
    Name,
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
    #[error("`retries` is 0 to 5")]
    Retries,
    #[error("`times.{0}` is 100 to 3600000 milliseconds")]
    Times(&'static str),
}

const NAME_LENGTH_MAX: usize = 200;
const TARGETS_MAX: usize = 32;

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

fn one() -> u32 {
    1
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
            on_loss: OnLoss::default(),
            on_disconnect: OnDisconnect::default(),
        }
    }

    /// Whether they mean something, for that name.
    ///
    /// # Errors
    /// The first thing that does not.
    pub fn check(&self, name: &str) -> Result<(), RouteError> {
        let star = name.find('*').is_none_or(|at| at + 1 == name.len());
        if !is_name(name) || !star {
            return Err(RouteError::Name);
        }
        if !(1..=TARGETS_MAX).contains(&self.targets.len()) {
            return Err(RouteError::Targets);
        }
        for (place, target) in self.targets.iter().enumerate() {
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
        }
        if self.retries > 5 {
            return Err(RouteError::Retries);
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
        match times.find(|(_, ms)| !(100..=3_600_000).contains(ms)) {
            Some((name, _)) => Err(RouteError::Times(name)),
            None => Ok(()),
        }
    }

    /// Whether a fault sends a request on to another target.
    pub fn falls_back(&self, fault: &Fault) -> bool {
        let class = match fault.class {
            FaultClass::RateLimited => FallbackOn::RateLimit,
            FaultClass::Upstream | FaultClass::Overloaded | FaultClass::Unreachable => {
                FallbackOn::ServerError
            }
            FaultClass::Timeout => FallbackOn::Timeout,
            FaultClass::ContextLength => FallbackOn::ContextLength,
            FaultClass::ContentPolicy => FallbackOn::ContentPolicy,
            FaultClass::Unauthenticated | FaultClass::Forbidden | FaultClass::Exhausted => {
                FallbackOn::Credential
            }
            _ => return false,
        };
        match &self.fallback_on {
            Some(classes) => classes.contains(&class),
            None => class != FallbackOn::ContentPolicy,
        }
    }

    /// The targets in the order they are asked in: tier by tier; within a tier those that are well before the others,
    /// each as likely to be first as its weight says. `chance` decides; the same gives the same.
    pub fn order(&self, is_well: impl Fn(&Target) -> bool, chance: u64) -> Vec<&Target> {
        let mut left: Vec<(bool, &Target)> =
            self.targets.iter().map(|it| (!is_well(it), it)).collect();
        left.sort_by_key(|(ill, target)| (target.tier, *ill));
        let mut order = Vec::with_capacity(left.len());
        let mut chance = chance;
        while let Some((ill, first)) = left.first() {
            let group = (first.tier, *ill);
            let alike = left
                .iter()
                .take_while(|(ill, target)| (target.tier, *ill) == group);
            let weights: Vec<u64> = alike.map(|(_, target)| target.weight.into()).collect();
            let (_, target) = left.remove(drawn(&weights, chance));
            order.push(target);
            chance = chance.rotate_left(17).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        order
    }
}

/// Which of these weights a chance falls on; the first where all are nothing.
fn drawn(weights: &[u64], chance: u64) -> usize {
    let all: u64 = weights.iter().sum();
    if all == 0 {
        return 0;
    }
    let mut at = chance % all;
    for (place, weight) in weights.iter().enumerate() {
        match at.checked_sub(*weight) {
            None => return place,
            Some(rest) => at = rest,
        }
    }
    0
}

/// Names and where they lead: exact ones first, then the pattern with the longest beginning.
#[derive(Clone, Debug)]
pub struct Names<T> {
    exact: HashMap<String, T>,
    /// By the length of their beginning, longest first.
    prefixes: Vec<(String, T)>,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self {
            exact: HashMap::new(),
            prefixes: Vec::new(),
        }
    }
}

impl<T> Names<T> {
    pub fn insert(&mut self, name: &str, what: T) {
        match name.strip_suffix('*') {
            None => {
                self.exact.insert(name.to_owned(), what);
            }
            Some(prefix) => {
                let place = self
                    .prefixes
                    .partition_point(|(known, _)| known.len() > prefix.len());
                self.prefixes.insert(place, (prefix.to_owned(), what));
            }
        }
    }

    pub fn find(&self, name: &str) -> Option<&T> {
        self.exact.get(name).or_else(|| {
            let mut prefixes = self.prefixes.iter();
            prefixes
                .find(|(prefix, _)| name.starts_with(prefix.as_str()))
                .map(|(_, what)| what)
        })
    }

    /// Everything there is, patterns with their `*`, in no order.
    pub fn all(&self) -> impl Iterator<Item = &T> {
        let patterns = self.prefixes.iter().map(|(_, what)| what);
        self.exact.values().chain(patterns)
    }

    /// Names that can be asked for as they are, in no order.
    pub fn exact(&self) -> impl Iterator<Item = (&str, &T)> {
        self.exact.iter().map(|(name, what)| (name.as_str(), what))
    }
}

/// The names most like one that is not there, the likest first: those a slip of the hand away, or that contain it.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>, most: usize) -> Vec<&'a str> {
    let wanted = name.to_lowercase();
    let mut ranked: Vec<(usize, &str)> = known
        .filter_map(|known| {
            let candidate = known.to_lowercase();
            let apart = distance(&wanted, &candidate);
            let contained = candidate.contains(&wanted) || wanted.contains(&candidate);
            (contained || apart * 3 <= wanted.len().max(candidate.len())).then_some((apart, known))
        })
        .collect();
    ranked.sort_unstable();
    ranked
        .into_iter()
        .take(most)
        .map(|(_, name)| name)
        .collect()
}

/// How many letters have to be added, removed or changed (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (
        a.chars().take(NAME_LENGTH_MAX).collect(),
        b.chars().take(NAME_LENGTH_MAX).collect(),
    );
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut before = i;
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = before + usize::from(from != to);
            before = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(before + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(provider: &str, weight: u32, tier: u32) -> Target {
        Target {
            provider: provider.into(),
            model: None,
            weight,
            tier,
            max_output_tokens: None,
        }
    }

    fn settings(targets: Vec<Target>) -> ModelSettings {
        ModelSettings {
            targets,
            ..ModelSettings::to(target("", 1, 0))
        }
    }

    fn names<'a>(order: &[&'a Target]) -> Vec<&'a str> {
        order
            .iter()
            .map(|target| target.provider.as_str())
            .collect()
    }

    #[test]
    fn tiers_come_one_after_the_other_and_the_ill_last_in_theirs() {
        let settings = settings(vec![
            target("late", 1, 2),
            target("ill", 1000, 0),
            target("well", 1, 0),
            target("spare", 0, 0),
        ]);
        for chance in 0..50 {
            let order = settings.order(|it| it.provider != "ill", chance);
            assert_eq!(names(&order), ["well", "spare", "ill", "late"], "{chance}");
        }
    }

    #[test]
    fn who_is_first_follows_the_weights() {
        let settings = settings(vec![target("a", 90, 0), target("b", 10, 0)]);
        let firsts = (0..10_000_u64).map(|n| {
            let chance = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            settings.order(|_| true, chance)[0].provider.clone()
        });
        let b = firsts.filter(|name| name == "b").count();
        assert!((850..1150).contains(&b), "{b}");
        // Everyone is asked in the end.
        assert_eq!(settings.order(|_| true, 7).len(), 2);
    }

    #[test]
    fn names_lead_to_the_most_particular() {
        let mut known = Names::default();
        for name in ["gpt-4*", "*", "gpt-4o", "gpt-4o*"] {
            known.insert(name, name);
        }
        for (name, expected) in [
            ("gpt-4o", "gpt-4o"),
            ("gpt-4o-mini", "gpt-4o*"),
            ("gpt-4", "gpt-4*"),
            ("claude", "*"),
        ] {
            assert_eq!(known.find(name), Some(&expected));
        }
        assert_eq!(Names::<()>::default().find("x"), None);
    }

    #[test]
    fn near_names_are_found() {
        let known = ["gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5", "demo"];
        let near = |name| nearest(name, known.iter().copied(), 2);
        assert_eq!(near("gpt4o"), ["gpt-4o"]);
        assert_eq!(near("gpt-4o-mimi"), ["gpt-4o-mini", "gpt-4o"]);
        assert_eq!(near("CLAUDE-sonnet"), ["claude-sonnet-4-5"]);
        assert!(near("llama").is_empty());
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
    fn settings_that_mean_nothing_are_named() {
        let good = settings(vec![target("a", 1, 0)]);
        for (name, result) in [
            ("gpt-4o", Ok(())),
            ("openai/gpt*", Ok(())),
            ("", Err(RouteError::Name)),
            ("a*b", Err(RouteError::Name)),
            ("a b", Err(RouteError::Name)),
        ] {
            assert_eq!(good.check(name), result, "{name}");
        }
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
