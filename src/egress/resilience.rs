//! How an API is treated that fails: how long it is waited for, how often a request is sent again, and
//! when it is left alone for a while. Nothing here sends or waits.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use http::header::RETRY_AFTER;
use http::{HeaderMap, Method, StatusCode};
use indexmap::IndexMap;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::egress::EgressError;
use crate::types::UpstreamResponse;

/// How long name resolution and connecting may take, in milliseconds.
pub const CONNECT_TIMEOUTS_MS: RangeInclusive<u64> = 100..=60_000;
/// Origins of one API that are told apart; the oldest is forgotten.
const ORIGINS_MAX: usize = 16;
/// The first pause before a request is sent again, which doubles, and the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// An API that asks for more patience than this is not asked again within the same call.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(10);
/// A request that is sent again costs so much of what every request saves up by one.
const RETRY_COST: u32 = 5;
/// What can be saved up: ten requests that are sent again.
const SAVED_MAX: u32 = 10 * RETRY_COST;
/// How long others wait while one request finds out whether the API answers again; then one more does. What takes long
/// may be well.
const TRIED_ELSEWHERE: Duration = Duration::from_secs(3);

/// What an owner sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Resilience {
    /// Name resolution and connecting; `None`: as the process is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_timeout_ms: Option<u64>,
    /// From sending a request to the end of the answer's headers; `None`: as the process is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_timeout_ms: Option<u64>,
    /// How often one request is sent again.
    pub retries: u32,
    pub breaker: BreakerRule,
}

/// When an API is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct BreakerRule {
    /// After so many failures in a row; 0: never.
    pub failures: u32,
    /// For so long.
    pub pause_ms: u64,
}

impl Default for Resilience {
    fn default() -> Self {
        Self {
            connect_timeout_ms: None,
            first_byte_timeout_ms: None,
            retries: 2,
            breaker: BreakerRule::default(),
        }
    }
}

impl Default for BreakerRule {
    fn default() -> Self {
        Self {
            failures: 10,
            pause_ms: 30_000,
        }
    }
}

/// A setting that is out of bounds, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResilienceError {
    #[error("`resilience.connectTimeoutMs` is 100 to 60000")]
    ConnectTimeout,
    #[error("`resilience.firstByteTimeoutMs` is 100 to 600000")]
    FirstByteTimeout,
    #[error("`resilience.retries` is 0 to 5")]
    Retries,
    #[error("`resilience.breaker.failures` is 0 (never) to 1000")]
    Failures,
    #[error("`resilience.breaker.pauseMs` is 1000 to 600000")]
    Pause,
}

impl Resilience {
    /// Whether everything is within bounds.
    pub fn check(&self) -> Result<(), ResilienceError> {
        let connect = |ms| CONNECT_TIMEOUTS_MS.contains(&ms);
        let first_byte = |ms| (100..=600_000).contains(&ms);
        let checks = [
            (
                self.connect_timeout_ms.is_none_or(connect),
                ResilienceError::ConnectTimeout,
            ),
            (
                self.first_byte_timeout_ms.is_none_or(first_byte),
                ResilienceError::FirstByteTimeout,
            ),
            (self.retries <= 5, ResilienceError::Retries),
            (self.breaker.failures <= 1_000, ResilienceError::Failures),
            (
                (1_000..=600_000).contains(&self.breaker.pause_ms),
                ResilienceError::Pause,
            ),
        ];
        let wrong = checks.into_iter().find(|(good, _)| !good);
        wrong.map_or(Ok(()), |(_, error)| Err(error))
    }

    /// Whether it is what there is where nobody says anything.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What an attempt says about an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign<W = ()> {
    /// It answers.
    Good,
    /// It does not, or says that it cannot, and why.
    Bad(W),
    /// Nothing: we did not ask, or were not patient.
    None,
}

impl Sign {
    /// Of one attempt.
    pub fn of(sent: &Result<UpstreamResponse, EgressError>) -> Self {
        match sent {
            Ok(response) if is_outage(response.status) => Self::Bad(()),
            Ok(_) => Self::Good,
            Err(
                EgressError::Unreachable { .. }
                | EgressError::Unresolved { .. }
                | EgressError::TimedOut { .. }
                | EgressError::Broken { .. },
            ) => Self::Bad(()),
            Err(_) => Self::None,
        }
    }
}

fn is_outage(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
    )
}

/// How long to wait before a request is sent again, if it may be: after the `attempt`th one, from 1.
/// `chance` spreads those that failed together.
///
/// What changes something more each time (RFC 9110 section 9.2.2) is sent again only where it cannot have
/// arrived.
pub fn pause(
    method: &Method,
    sent: &Result<UpstreamResponse, EgressError>,
    (attempt, chance): (u32, u64),
    now: DateTime<Utc>,
) -> Option<Duration> {
    let (idempotent, too_many) = (method.is_idempotent(), StatusCode::TOO_MANY_REQUESTS);
    let asked = match sent {
        Ok(response) if idempotent && is_outage(response.status) => {
            retry_after(&response.headers, now)
        }
        // Without a time, sooner is worse.
        Ok(response) if idempotent && response.status == too_many => {
            Some(retry_after(&response.headers, now)?)
        }
        Err(EgressError::Unreachable { .. } | EgressError::Unresolved { .. }) => None,
        Err(EgressError::TimedOut { .. } | EgressError::Broken { .. }) if idempotent => None,
        _ => return None,
    };
    if asked.is_some_and(|wait| wait > RETRY_AFTER_MAX) {
        return None;
    }
    let longest = (PAUSE_FIRST * 2_u32.pow(attempt.min(16) - 1)).min(PAUSE_MAX);
    let micros = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX);
    let spread = Duration::from_micros(micros / 2 + chance % (micros / 2 + 1));
    Some(asked.unwrap_or_default() + spread)
}

/// The header's seconds, or the time until its date (RFC 9110 section 10.2.3).
pub(crate) fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(text).ok()?;
    (date.to_utc() - now).to_std().ok().or(Some(Duration::ZERO))
}

/// How the origins of one API are doing.
#[derive(Default)]
pub struct Breakers(Mutex<IndexMap<String, Arc<Breaker>>>);

impl Breakers {
    /// The one of an origin.
    pub fn of(&self, origin: &str) -> Arc<Breaker> {
        let mut breakers = self.0.lock();
        if let Some(breaker) = breakers.get(origin) {
            return breaker.clone();
        }
        if breakers.len() >= ORIGINS_MAX {
            breakers.shift_remove_index(0);
        }
        let breaker = Arc::new(Breaker::default());
        breakers.insert(origin.to_owned(), breaker.clone());
        breaker
    }

    /// The origins that are left alone now, and for how long.
    pub fn paused(&self, now: Instant) -> Vec<(String, Duration)> {
        let breakers = self.0.lock();
        let paused = breakers.iter().filter_map(|(origin, breaker)| {
            let paused = breaker.paused(now)?;
            Some((origin.clone(), paused.after))
        });
        paused.collect()
    }
}

/// How one origin is doing. `W` is why it is left alone, where whoever asks wants to know.
pub struct Breaker<W = ()>(Mutex<Condition<W>>);

struct Condition<W> {
    state: State<W>,
    /// What may be spent on sending again.
    saved: u32,
}

#[derive(Clone, Copy)]
enum State<W> {
    /// It is asked; so many failures in a row so far.
    Closed(u32),
    /// It is left alone until then.
    Open(Instant, W),
    /// One request finds out. From then on, another one may.
    Trying(Instant, W),
}

impl<W> Default for Breaker<W> {
    fn default() -> Self {
        Self(Mutex::new(Condition {
            state: State::Closed(0),
            saved: SAVED_MAX,
        }))
    }
}

/// An API that is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paused<W = ()> {
    /// When it may be asked again.
    pub after: Duration,
    /// What failed last.
    pub why: W,
}

/// A request that may be sent. What came of it is told with [`Admitted::end`].
#[must_use]
pub struct Admitted<'a, W: Copy = ()> {
    breaker: &'a Breaker<W>,
    /// Where it finds out whether the API answers: what was known before, and until when no other one does.
    before: Option<(State<W>, Instant)>,
}

impl<W: Copy> State<W> {
    fn paused(self, now: Instant) -> Option<Paused<W>> {
        match self {
            Self::Open(until, why) | Self::Trying(until, why) if until > now => Some(Paused {
                after: until - now,
                why,
            }),
            _ => None,
        }
    }
}

impl<W: Copy> Breaker<W> {
    /// Lets a request through to the API, unless it is left alone.
    pub fn admit(&self, now: Instant) -> Result<Admitted<'_, W>, Paused<W>> {
        let mut condition = self.0.lock();
        if let Some(paused) = condition.state.paused(now) {
            return Err(paused);
        }
        let before = match condition.state {
            State::Closed(_) => None,
            before @ (State::Open(_, why) | State::Trying(_, why)) => {
                let until = now + TRIED_ELSEWHERE;
                condition.state = State::Trying(until, why);
                Some((before, until))
            }
        };
        condition.saved = (condition.saved + 1).min(SAVED_MAX);
        Ok(Admitted {
            breaker: self,
            before,
        })
    }

    /// Whether one more request may be sent again: an API that fails is not asked many times as often.
    pub fn may_repeat(&self) -> bool {
        let mut condition = self.0.lock();
        let enough = condition.saved >= RETRY_COST;
        condition.saved -= if enough { RETRY_COST } else { 0 };
        enough
    }

    /// Whether it is left alone now.
    pub fn is_paused(&self, now: Instant) -> bool {
        self.paused(now).is_some()
    }

    /// For how long it is left alone, and why, if it is.
    pub fn paused(&self, now: Instant) -> Option<Paused<W>> {
        self.0.lock().state.paused(now)
    }
}

impl<W: Copy> Admitted<'_, W> {
    /// What the request came to. `true`: from now on the API is left alone.
    pub fn end(mut self, sign: Sign<W>, rule: BreakerRule, now: Instant) -> bool {
        let why = match sign {
            Sign::None => return false,
            Sign::Good => None,
            Sign::Bad(why) => Some(why),
        };
        let mut condition = self.breaker.0.lock();
        let until = now + Duration::from_millis(rule.pause_ms);
        let tries = self.before.take().is_some();
        let (next, opens) = match (condition.state, why) {
            (State::Trying(..), None) if tries => (State::Closed(0), false),
            (State::Trying(..), Some(why)) if tries => (State::Open(until, why), true),
            (State::Closed(_), None) => (State::Closed(0), false),
            (State::Closed(failures), Some(why)) => {
                let failures = failures.saturating_add(1);
                if rule.failures > 0 && failures >= rule.failures {
                    (State::Open(until, why), true)
                } else {
                    (State::Closed(failures), false)
                }
            }
            // A request that was sent before says nothing about now.
            (state, _) => (state, false),
        };
        condition.state = next;
        opens
    }
}

impl<W: Copy> Drop for Admitted<'_, W> {
    fn drop(&mut self) {
        if let Some((before, own)) = self.before {
            let mut condition = self.breaker.0.lock();
            // Another one that finds out goes on.
            if matches!(condition.state, State::Trying(until, _) if until == own) {
                condition.state = before;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const RULE: BreakerRule = BreakerRule {
        failures: 3,
        pause_ms: 1_000,
    };

    #[expect(clippy::unnecessary_wraps, reason = "what was sent may have failed")]
    fn answer(status: u16, retry_after: Option<&str>) -> Result<UpstreamResponse, EgressError> {
        let mut headers = HeaderMap::new();
        if let Some(text) = retry_after {
            headers.insert(RETRY_AFTER, text.parse().unwrap());
        }
        Ok(UpstreamResponse {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: Bytes::new(),
            truncated: false,
            first_byte: Duration::ZERO,
            total: Duration::ZERO,
        })
    }

    fn origin() -> String {
        "https://api.example".to_owned()
    }

    #[test]
    fn what_may_be_repeated_waits_and_nothing_else_is() {
        let now: DateTime<Utc> = "2026-03-01T10:00:00Z".parse().unwrap();
        let broken = || {
            Err(EgressError::Broken {
                origin: origin(),
                source: "reset".into(),
            })
        };
        let unreachable = || {
            Err(EgressError::Unreachable {
                origin: origin(),
                source: "refused".into(),
            })
        };
        let late = || {
            Err(EgressError::TimedOut {
                origin: origin(),
                after: Duration::from_secs(1),
            })
        };
        let (get, post, put) = (Method::GET, Method::POST, Method::PUT);
        // With no chance, half of the longest pause is waited.
        for (method, sent, attempt, expected) in [
            (&get, answer(503, None), 1, Some(50)),
            (&get, answer(503, None), 3, Some(200)),
            (&get, answer(502, None), 60, Some(1_000)),
            (&put, answer(504, None), 1, Some(50)),
            (&post, answer(503, None), 1, None),
            (&get, answer(500, None), 1, None),
            (&get, answer(404, None), 1, None),
            (&get, answer(200, None), 1, None),
            (&get, answer(429, None), 1, None),
            (&get, answer(429, Some("2")), 1, Some(2_050)),
            (&get, answer(429, Some("11")), 1, None),
            (
                &get,
                answer(503, Some("Sun, 01 Mar 2026 10:00:03 GMT")),
                1,
                Some(3_050),
            ),
            (
                &get,
                answer(503, Some("Sun, 01 Mar 2026 09:00:00 GMT")),
                1,
                Some(50),
            ),
            (&get, answer(503, Some("soon")), 1, Some(50)),
            (&get, broken(), 1, Some(50)),
            (&post, broken(), 1, None),
            (&post, late(), 1, None),
            (&get, late(), 1, Some(50)),
            (&post, unreachable(), 1, Some(50)),
            (&get, Err(EgressError::Cancelled), 1, None),
            (&get, Err(EgressError::InvalidUrl), 1, None),
        ] {
            let got = pause(method, &sent, (attempt, 0), now);
            let expected = expected.map(Duration::from_millis);
            assert_eq!(got, expected, "{method} {sent:?} after {attempt}");
        }
        let spread = pause(&get, &answer(503, None), (1, u64::MAX), now).unwrap();
        assert!(spread <= PAUSE_FIRST && spread > PAUSE_FIRST / 2);
    }

    #[test]
    fn an_api_that_fails_is_left_alone_and_tried_by_one() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        let end = |sign, at| breaker.admit(at).map(|one| one.end(sign, RULE, at));
        assert_eq!(end(Sign::Bad('a'), now), Ok(false));
        assert_eq!(end(Sign::Bad('a'), now), Ok(false));
        assert_eq!(end(Sign::Good, now), Ok(false));
        for (why, opens) in [('a', false), ('a', false), ('b', true)] {
            assert_eq!(end(Sign::Bad(why), now), Ok(opens));
        }
        let after = |ms, why| Paused {
            after: Duration::from_millis(ms),
            why,
        };
        assert_eq!(end(Sign::Good, now), Err(after(1_000, 'b')));
        let later = now + Duration::from_millis(1_001);
        assert!(!breaker.is_paused(later));
        let one = breaker.admit(later).unwrap();
        assert_eq!(breaker.admit(later).map(drop), Err(after(3_000, 'b')));
        assert_eq!(breaker.paused(later), Some(after(3_000, 'b')));
        // Whoever tried and left, found nothing out.
        drop(one);
        assert_eq!(end(Sign::Bad('c'), later), Ok(true));
        assert_eq!(end(Sign::Good, later), Err(after(1_000, 'c')));
        let again = later + Duration::from_millis(1_001);
        assert_eq!(end(Sign::Good, again), Ok(false));
        assert_eq!(end(Sign::Bad('d'), again), Ok(false));
        assert!(breaker.paused(again).is_none());
    }

    #[test]
    fn an_answer_that_takes_long_keeps_nobody_else_away() {
        let (breaker, mut now) = (Breaker::default(), Instant::now());
        for _ in 0..3 {
            breaker.admit(now).unwrap().end(Sign::Bad(()), RULE, now);
        }
        let mut slow = Vec::new();
        for _ in 0..3 {
            now += Duration::from_millis(3_001);
            slow.push(breaker.admit(now).unwrap());
            assert!(breaker.admit(now).is_err());
            assert!(breaker.is_paused(now));
        }
        // Whoever of them leaves ends nothing, and the first that answers lets all through.
        now += Duration::from_millis(3_001);
        let quick = breaker.admit(now).unwrap();
        drop(slow.pop());
        assert!(!quick.end(Sign::Good, RULE, now));
        assert!(!slow.remove(0).end(Sign::Bad(()), RULE, now));
        assert!(breaker.admit(now).is_ok() && breaker.admit(now).is_ok());
    }

    #[test]
    fn a_late_success_does_not_end_the_pause() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        let slow = breaker.admit(now).unwrap();
        for _ in 0..3 {
            breaker.admit(now).unwrap().end(Sign::Bad(()), RULE, now);
        }
        assert!(!slow.end(Sign::Good, RULE, now));
        assert!(breaker.admit(now).is_err());
        let after = Duration::from_secs(1);
        assert_eq!(breaker.paused(now), Some(Paused { after, why: () }));
    }

    #[test]
    fn repeating_is_saved_up_for() {
        let (breaker, now) = (Breaker::<()>::default(), Instant::now());
        let spent = (0..100).take_while(|_| breaker.may_repeat()).count();
        assert_eq!(spent, 10);
        for _ in 0..10 {
            breaker.admit(now).unwrap().end(Sign::Good, RULE, now);
        }
        let spent = (0..100).take_while(|_| breaker.may_repeat()).count();
        assert_eq!(spent, 2);
    }

    #[test]
    fn only_what_is_within_bounds_is_kept() {
        let good = Resilience::default();
        assert_eq!(good.check(), Ok(()));
        let rule = |failures, pause_ms| Resilience {
            breaker: BreakerRule { failures, pause_ms },
            ..good
        };
        for (settings, error) in [
            (
                Resilience {
                    connect_timeout_ms: Some(99),
                    ..good
                },
                ResilienceError::ConnectTimeout,
            ),
            (
                Resilience {
                    first_byte_timeout_ms: Some(600_001),
                    ..good
                },
                ResilienceError::FirstByteTimeout,
            ),
            (Resilience { retries: 6, ..good }, ResilienceError::Retries),
            (rule(1_001, 1_000), ResilienceError::Failures),
            (rule(0, 999), ResilienceError::Pause),
        ] {
            assert_eq!(settings.check(), Err(error));
        }
    }
}
