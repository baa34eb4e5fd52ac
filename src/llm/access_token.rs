//! Access tokens for keys that are service accounts of Google: got with an assertion that the key signs, and kept
//! until shortly before they end. The private key goes nowhere, an assertion to one address only, which the admin
//! said or which is Google's own, and a token to the origin its key was entered for.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;

use crate::egress::{Egress, EgressError, Patience, Upstream};
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::provider::{Auth, Provider};
use crate::llm::sign::google::{AccessToken, ServiceAccount, read_token};
use crate::types::Clock;

/// How long the address of tokens has to answer, and how much of it is read.
const PATIENCE: Duration = Duration::from_secs(15);
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// A token is renewed so long before it ends; until it has, the old one is good.
const AHEAD: TimeDelta = TimeDelta::seconds(120);
/// How long a failure stands, so that what is down is not asked by every request.
const FAILED: TimeDelta = TimeDelta::seconds(5);
/// A token this young that is refused is not the reason for it, nor one in the first tenth of a short life: a new one is
/// as good.
const YOUNG: TimeDelta = TimeDelta::seconds(30);

/// The tokens of one key. One request for a token is under way at a time, and all who have none that is good wait for
/// it.
#[derive(Default)]
pub(crate) struct Tokens {
    state: Mutex<State>,
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    current: Option<Kept>,
    /// The one before, which requests under way may have been sent with.
    before: Option<SecretString>,
    failed: Option<(DateTime<Utc>, Fault)>,
}

struct Kept {
    token: AccessToken,
    got: DateTime<Utc>,
    refused: bool,
}

/// What a token is asked with.
pub(crate) struct Exchange<'a> {
    pub(crate) egress: &'a Egress,
    pub(crate) clock: &'a Clock,
    /// The provider's way out.
    pub(crate) upstream: &'a Upstream,
    /// The key file.
    pub(crate) file: &'a SecretString,
    pub(crate) scope: &'a str,
    /// Where assertions may go.
    pub(crate) token_url: &'a str,
}

/// The scope of the tokens a key has to be exchanged for; `None` where it is sent as it is.
pub(crate) fn scope<'p>(provider: &'p Provider, key: &SecretString) -> Option<&'p str> {
    match &provider.auth {
        Auth::GoogleOauth(scope) if is_account(key) => Some(scope),
        _ => None,
    }
}

/// Whether a key is a key file rather than a token.
pub(crate) fn is_account(key: &SecretString) -> bool {
    key.expose_secret().trim_start().starts_with('{')
}

impl Tokens {
    /// A token that is good now.
    ///
    /// # Errors
    /// Why there is none. The text never has any of the key.
    pub(crate) async fn token(&self, exchange: &Exchange<'_>) -> Result<SecretString, Fault> {
        let now = || exchange.clock.now();
        if let Some(known) = self.known(now()) {
            return known;
        }
        let _turn = match self.asking.try_lock() {
            Ok(turn) => turn,
            // Somebody else renews it.
            Err(_) => {
                let good = self.state.lock().still_good(now());
                if let Some(good) = good {
                    return Ok(good);
                }
                self.asking.lock().await
            }
        };
        if let Some(known) = self.known(now()) {
            return known;
        }
        let asked = exchange.ask().await;
        self.keep(asked, now())
    }

    /// The provider did not take one that a request was sent with. Whether the next request gets another one: where it
    /// is as good as new, another one is no better.
    pub(crate) fn refused(&self, sent: &SecretString, now: DateTime<Utc>) -> bool {
        let mut state = self.state.lock();
        let is_it = |kept: &&mut Kept| kept.token.token.expose_secret() == sent.expose_secret();
        // Another one has taken its place already.
        let Some(kept) = state.current.as_mut().filter(is_it) else {
            return true;
        };
        kept.refused |= now - kept.got >= YOUNG.min(kept.life() / 10);
        kept.refused
    }

    /// What must be in nothing that leaves.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let state = self.state.lock();
        let current = state.current.as_ref().map(|kept| &kept.token.token);
        let all = current.into_iter().chain(&state.before);
        all.map(|token| token.expose_secret().to_owned()).collect()
    }

    fn known(&self, now: DateTime<Utc>) -> Option<Result<SecretString, Fault>> {
        let state = self.state.lock();
        if let Some(kept) = &state.current
            && kept.is_fresh(now)
        {
            return Some(Ok(kept.token.token.clone()));
        }
        match &state.failed {
            Some((at, fault)) if now < *at + FAILED => {
                Some(state.still_good(now).ok_or_else(|| fault.clone()))
            }
            _ => None,
        }
    }

    fn keep(
        &self,
        asked: Result<AccessToken, Fault>,
        now: DateTime<Utc>,
    ) -> Result<SecretString, Fault> {
        let mut state = self.state.lock();
        match asked {
            Ok(token) => {
                let secret = token.token.clone();
                state.failed = None;
                let kept = Kept {
                    token,
                    got: now,
                    refused: false,
                };
                state.before = state.current.replace(kept).map(|kept| kept.token.token);
                Ok(secret)
            }
            Err(fault) => {
                state.failed = Some((now, fault.clone()));
                state.still_good(now).ok_or(fault)
            }
        }
    }
}

impl State {
    /// The token that is not renewed yet, while it has not ended.
    fn still_good(&self, now: DateTime<Utc>) -> Option<SecretString> {
        let kept = self.current.as_ref()?;
        let good = !kept.refused && now < kept.token.expires;
        good.then(|| kept.token.token.clone())
    }
}

impl Kept {
    /// Of a life that is short, the last tenth is too late.
    fn is_fresh(&self, now: DateTime<Utc>) -> bool {
        let ahead = AHEAD.min(self.life() / 10);
        !self.refused && now < self.token.expires - ahead
    }

    fn life(&self) -> TimeDelta {
        self.token.expires - self.got
    }
}

impl Exchange<'_> {
    async fn ask(&self) -> Result<AccessToken, Fault> {
        let account = ServiceAccount::parse(self.file, self.token_url)?;
        let request = account.token_request(self.scope, self.clock.now())?;
        let never = CancellationToken::new();
        let patience = Patience {
            deadline: Instant::now() + PATIENCE,
            cancel: &never,
        };
        let answer = self
            .egress
            .send_short(self.upstream, request, patience, ANSWER_BYTES_MAX);
        let answer = answer.await.map_err(|error| unreached(&error))?;
        read_token(answer.status.as_u16(), &answer.body, self.clock.now())
    }
}

fn unreached(error: &EgressError) -> Fault {
    let class = match error {
        EgressError::TimedOut { .. } => FaultClass::Timeout,
        _ => FaultClass::Unreachable,
    };
    let text = format!("there is no token for the provider's service account: {error}");
    Fault::new(class, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(2_000_000_000 + seconds, 0).unwrap()
    }

    fn got(name: &str, until: i64) -> AccessToken {
        AccessToken {
            token: name.to_owned().into(),
            expires: at(until),
        }
    }

    fn text(known: Option<Result<SecretString, Fault>>) -> String {
        match known {
            None => "ask".to_owned(),
            Some(Ok(token)) => token.expose_secret().to_owned(),
            Some(Err(fault)) => fault.message,
        }
    }

    #[test]
    fn a_token_is_kept_until_shortly_before_its_end() {
        let tokens = Tokens::default();
        assert_eq!(text(tokens.known(at(0))), "ask");
        let _ = tokens.keep(Ok(got("one", 3600)), at(0));
        assert_eq!(text(tokens.known(at(3479))), "one");
        assert_eq!(text(tokens.known(at(3480))), "ask");
        // What cannot be renewed is used to its end; a failure stands for a moment.
        let down = || Err(Fault::new(FaultClass::Unreachable, "down"));
        let still = tokens.keep(down(), at(3500));
        assert_eq!(text(Some(still)), "one");
        assert_eq!(text(tokens.known(at(3504))), "one");
        assert_eq!(text(tokens.known(at(3505))), "ask");
        assert_eq!(text(Some(tokens.keep(down(), at(3600)))), "down");
        assert_eq!(text(tokens.known(at(3601))), "down");
        assert_eq!(text(tokens.known(at(3605))), "ask");
        // Of one that lasts a minute, all but the last six seconds.
        let _ = tokens.keep(Ok(got("two", 4060)), at(4000));
        assert_eq!(text(tokens.known(at(4053))), "two");
        assert_eq!(text(tokens.known(at(4054))), "ask");
    }

    #[test]
    fn a_refused_token_is_not_used_again_unless_it_is_new() {
        let tokens = Tokens::default();
        let refused = |name: &str, second| tokens.refused(&name.to_owned().into(), at(second));
        let _ = tokens.keep(Ok(got("one", 3600)), at(0));
        assert!(!refused("one", 29));
        assert_eq!(text(tokens.known(at(30))), "one");
        assert!(refused("one", 30));
        assert_eq!(text(tokens.known(at(30))), "ask");
        let down = Err(Fault::new(FaultClass::Unreachable, "down"));
        assert_eq!(text(Some(tokens.keep(down, at(31)))), "down");
        // What is hidden is also the one before.
        let _ = tokens.keep(Ok(got("two", 140)), at(40));
        assert_eq!(tokens.secrets(), ["two", "one"]);
        // A request that was sent with the one before says nothing of this one.
        assert!(refused("one", 49));
        assert_eq!(text(tokens.known(at(49))), "two");
        assert!(!refused("two", 49));
        assert!(refused("two", 50));
        assert!(refused("two", 50));
    }
}
