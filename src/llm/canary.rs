//! A canary: other targets that some of a model's callers are sent to, to see how they do. Who is sent there is the same
//! in every process and after every restart.

use http::{HeaderMap, HeaderName};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::llm::route::{RouteError, Target, check_targets};
use crate::llm::strategy::next;

/// What the usual targets are called, beside those of a canary.
pub const STABLE: &str = "stable";
/// What requests are called that a shadow gets.
pub const SHADOW: &str = "shadow";
/// All requests, in hundredths of a percent.
pub const WHOLE: u32 = 10_000;
const NAME_LENGTH_MAX: usize = 40;
const HEADER_VALUE_LENGTH_MAX: usize = 200;
const CONSUMERS_MAX: usize = 100;
const ROLLBACK_CALLS_MAX: u32 = 1_000_000;
const ROLLBACK_SECONDS_MAX: u32 = 7 * 86_400;

/// The other targets, and who is sent to them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Canary {
    /// What it is called in the ledger, so that one is told apart from the one before.
    #[serde(default = "usual_name", skip_serializing_if = "is_usual_name")]
    pub name: String,
    /// In tiers, as the model's own.
    pub targets: Vec<Target>,
    /// How many callers are sent there, in hundredths of a percent.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub share: u32,
    /// What a share is of.
    #[serde(default, skip_serializing_if = "Sticky::is_default")]
    pub sticky: Sticky,
    /// Requests with this header are sent there, whoever asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<MatchingHeader>,
    /// Consumers that are always sent there, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consumers: Vec<String>,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
    /// Nobody is sent there now.
    #[serde(default, skip_serializing_if = "is_not")]
    pub paused: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MatchingHeader {
    pub name: String,
    pub value: String,
}

/// What stays with the arm it was sent to once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sticky {
    /// A consumer, with all its keys.
    #[default]
    Consumer,
    Key,
    /// Nothing: each request is sent by chance.
    None,
}

/// When a canary ends by itself: nobody is sent there any more once so many of its calls failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rollback {
    /// More of its calls than this, in hundredths of a percent.
    pub errors: u32,
    /// Fewer calls say nothing.
    #[serde(default = "usual_calls")]
    pub calls: u32,
    /// Of the last so many seconds, and since the model was changed.
    #[serde(default = "usual_seconds")]
    pub seconds: u32,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    pub consumer: Option<Uuid>,
    pub key: Option<Uuid>,
    pub headers: Option<&'a HeaderMap>,
    /// For who has no identity, and where nothing stays.
    pub chance: u64,
}

fn usual_name() -> String {
    "canary".to_owned()
}

fn is_usual_name(name: &str) -> bool {
    name == usual_name()
}

fn usual_calls() -> u32 {
    50
}

fn usual_seconds() -> u32 {
    900
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_nothing(n: &u32) -> bool {
    *n == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_not(is: &bool) -> bool {
    !*is
}

impl Sticky {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Canary {
    /// Whether it means something.
    ///
    /// # Errors
    /// The first thing that does not.
    pub fn check(&self) -> Result<(), RouteError> {
        let is_letter = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let good = [
            (
                (1..=NAME_LENGTH_MAX).contains(&self.name.len())
                    && self.name.chars().all(is_letter)
                    && self.name != STABLE
                    && self.name != SHADOW,
                "name` is up to 40 letters, digits, `-`, `_` and `.`, and neither `stable` nor `shadow`",
            ),
            (
                self.share <= WHOLE,
                "share` is 0 to 10000, hundredths of a percent",
            ),
            (
                self.header.as_ref().is_none_or(MatchingHeader::is_good),
                "header` has the name of a header, and a value of up to 200 visible characters",
            ),
            (
                self.consumers.len() <= CONSUMERS_MAX,
                "consumers` has at most 100 names",
            ),
            (
                self.rollback.is_none_or(|rule| rule.errors < WHOLE),
                "rollback.errors` is 0 to 9999, hundredths of a percent",
            ),
            (
                self.rollback
                    .is_none_or(|rule| (1..=ROLLBACK_CALLS_MAX).contains(&rule.calls)),
                "rollback.calls` is 1 to 1000000",
            ),
            (
                self.rollback
                    .is_none_or(|rule| (10..=ROLLBACK_SECONDS_MAX).contains(&rule.seconds)),
                "rollback.seconds` is 10 to 604800",
            ),
        ];
        if let Some((_, said)) = good.into_iter().find(|(good, _)| !good) {
            return Err(RouteError::Canary(said));
        }
        check_targets(&self.targets).map_err(|error| RouteError::CanaryTargets(Box::new(error)))
    }

    /// Whether a request is sent there. `listed` are the ids of its consumers; `seed` tells models apart.
    pub fn takes(&self, seed: Uuid, listed: &[Uuid], asker: &Asker<'_>) -> bool {
        if self.paused {
            return false;
        }
        let is_listed = asker.consumer.is_some_and(|id| listed.contains(&id));
        let says_so = || {
            let wanted = self.header.as_ref()?;
            let value = asker.headers?.get(wanted.name.as_str())?;
            Some(value.as_bytes() == wanted.value.as_bytes())
        };
        is_listed || says_so() == Some(true) || self.place(seed, asker) < u64::from(self.share)
    }

    /// Where a caller is among all there may be, from 0 to 9999.
    fn place(&self, seed: Uuid, asker: &Asker<'_>) -> u64 {
        let known = match self.sticky {
            Sticky::Consumer => asker.consumer.or(asker.key),
            Sticky::Key => asker.key.or(asker.consumer),
            Sticky::None => None,
        };
        let hash = known.map_or_else(|| next(asker.chance), |id| mixed(seed, id));
        hash % u64::from(WHOLE)
    }
}

impl MatchingHeader {
    fn is_good(&self) -> bool {
        let visible = self.value.bytes().all(|b| (0x20..0x7f).contains(&b));
        let length = (1..=HEADER_VALUE_LENGTH_MAX).contains(&self.value.len());
        HeaderName::try_from(self.name.as_str()).is_ok() && visible && length
    }
}

impl Rollback {
    /// Whether so many calls that failed are too many.
    pub fn is_due(&self, calls: u64, errors: u64) -> bool {
        calls >= u64::from(self.calls) && errors * u64::from(WHOLE) > calls * u64::from(self.errors)
    }
}

/// A number of two ids: always the same one, and no other id's.
fn mixed(seed: Uuid, id: Uuid) -> u64 {
    let halves = [seed.as_u64_pair(), id.as_u64_pair()];
    let halves = halves.into_iter().flat_map(|(high, low)| [high, low]);
    halves.fold(0, |hash, half| next(hash ^ half))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::route::tests::target;

    fn canary(share: u32, sticky: Sticky) -> Canary {
        Canary {
            name: usual_name(),
            targets: vec![target("new", 1, 0)],
            share,
            sticky,
            header: None,
            consumers: Vec::new(),
            rollback: None,
            paused: false,
        }
    }

    /// An id as they are made: by the time, and by chance.
    fn id(n: u64) -> Uuid {
        let at = 1_800_000_000_000 + n / 3;
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&next(n).to_be_bytes());
        uuid::Builder::from_unix_timestamp_millis(at, &bytes).into_uuid()
    }

    fn of(consumer: u64, key: u64, chance: u64) -> Asker<'static> {
        Asker {
            consumer: Some(id(consumer)),
            key: Some(id(1_000_000 + key)),
            headers: None,
            chance,
        }
    }

    /// What a share of 10,000 tries is within, as all but one in a million are (five standard deviations).
    fn is_about(taken: usize, share: u32) -> bool {
        let (n, p) = (10_000.0, f64::from(share) / 10_000.0);
        let bound = 5.0 * (n * p * (1.0 - p)).sqrt();
        (taken as f64 - n * p).abs() <= bound
    }

    #[test]
    fn ten_thousand_calls_are_split_as_the_share_says() {
        let seed = id(9);
        for share in [0, 1, 100, 500, 2_500, 5_000, 9_900, 10_000] {
            for sticky in [Sticky::Consumer, Sticky::Key, Sticky::None] {
                let canary = canary(share, sticky);
                let taken = (0..10_000)
                    .filter(|n| canary.takes(seed, &[], &of(*n, *n, *n)))
                    .count();
                assert!(is_about(taken, share), "{share} {sticky:?}: {taken}");
            }
        }
        // Other models have other callers in theirs.
        let (canary, other) = (canary(5_000, Sticky::Consumer), id(10));
        let both = (0..10_000)
            .filter(|n| {
                let asker = of(*n, *n, *n);
                canary.takes(seed, &[], &asker) && canary.takes(other, &[], &asker)
            })
            .count();
        assert!(is_about(both, 2_500), "{both}");
    }

    #[test]
    fn who_is_there_stays_there() {
        let seed = id(9);
        let (small, large) = (
            canary(1_000, Sticky::Consumer),
            canary(3_000, Sticky::Consumer),
        );
        for n in 0..2_000 {
            let first = small.takes(seed, &[], &of(n, 0, 0));
            // Whatever key it uses, and however often it asks; and when the share grows.
            for other in 1..5 {
                assert_eq!(small.takes(seed, &[], &of(n, other, other)), first);
            }
            assert!(!first || large.takes(seed, &[], &of(n, 0, 0)));
        }
        // The same in every version of this program: the numbers are written down.
        let places: Vec<u64> = (0..4).map(|n| small.place(seed, &of(n, n, 0))).collect();
        assert_eq!(places, PLACES);
        let by_key = canary(5_000, Sticky::Key);
        let keys = (0..100).filter(|key| by_key.takes(seed, &[], &of(1, *key, 0)));
        assert!((20..80).contains(&keys.count()));
    }

    const PLACES: [u64; 4] = [2916, 9927, 4812, 158];

    #[test]
    fn a_header_and_a_list_send_there_whatever_the_share() {
        let mut canary = canary(0, Sticky::Consumer);
        canary.header = Some(MatchingHeader {
            name: "X-Try".to_owned(),
            value: "new".to_owned(),
        });
        let mut headers = HeaderMap::new();
        let takes = |canary: &Canary, headers: &HeaderMap| {
            let asker = Asker {
                headers: Some(headers),
                ..of(1, 1, 1)
            };
            canary.takes(id(9), &[], &asker)
        };
        assert!(!takes(&canary, &headers));
        headers.insert("x-try", "old".parse().unwrap());
        assert!(!takes(&canary, &headers));
        headers.insert("x-try", "new".parse().unwrap());
        assert!(takes(&canary, &headers));
        assert!(canary.takes(id(9), &[id(5)], &of(5, 0, 0)));
        assert!(!canary.takes(id(9), &[id(5)], &of(6, 0, 0)));
        canary.paused = true;
        assert!(!takes(&canary, &headers));
        assert!(!canary.takes(id(9), &[id(5)], &of(5, 0, 0)));
    }

    #[test]
    fn it_ends_when_more_fail_than_may_and_not_before_there_are_enough() {
        let rule = Rollback {
            errors: 500,
            calls: 100,
            seconds: 900,
        };
        for (calls, errors, due) in [
            (99, 99, false),
            (100, 5, false),
            (100, 6, true),
            (10_000, 500, false),
            (10_000, 501, true),
        ] {
            assert_eq!(rule.is_due(calls, errors), due, "{calls} {errors}");
        }
    }

    #[test]
    fn what_means_nothing_is_named() {
        let good = canary(100, Sticky::Consumer);
        assert_eq!(good.check(), Ok(()));
        let said = |canary: Canary| canary.check().unwrap_err().to_string();
        let with = |change: fn(&mut Canary)| {
            let mut wrong = good.clone();
            change(&mut wrong);
            said(wrong)
        };
        assert!(with(|it| it.name = STABLE.to_owned()).starts_with("`canary.name`"));
        assert!(with(|it| it.share = 10_001).starts_with("`canary.share`"));
        assert!(with(|it| it.targets.clear()).starts_with("`canary`: `targets`"));
        let header = MatchingHeader {
            name: "a b".to_owned(),
            value: "x".to_owned(),
        };
        let wrong = Canary {
            header: Some(header),
            ..good.clone()
        };
        assert!(said(wrong).starts_with("`canary.header`"));
    }
}
