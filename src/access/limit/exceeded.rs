//! Why a call was not let in, in words for the model and headers for programs.

use std::time::Duration;

use crate::access::limit::rule::{Limit, NANOS_PER_MICRO, Scope, Unit, Window};

/// When to try again where what is left is reserved for calls that run, most of which give some of it back.
pub(super) const HELD_RETRY_AFTER: Duration = Duration::from_secs(1);

/// A limit that is used up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub struct Exceeded {
    pub limit: Limit,
    /// When the same call may succeed.
    pub retry_after: Duration,
    /// How long its window is, where it has one.
    pub span: Option<Duration>,
    /// What the call may come to, as the limit counts it, where that is more than there ever is.
    pub needs: Option<u64>,
    /// A model was asked, and no tool called.
    pub is_model: bool,
}

impl Exceeded {
    fn text(&self) -> String {
        let Limit {
            amount,
            scope,
            window,
            ..
        } = &self.limit;
        let whose = match scope {
            Scope::Key => "for this API key",
            Scope::Consumer => "for this consumer",
            Scope::User => "for this person",
            Scope::Server | Scope::Tool if self.is_model => "for this model",
            Scope::Server => "for this server",
            Scope::Tool => "for this tool",
            Scope::Address => "from this address",
        };
        let seconds = self.seconds();
        let again = if self.is_model { "Ask" } else { "Call" };
        let what = self.amount(*amount);
        let each = |window: Window| {
            let article = if window == Window::Hour { "an" } else { "a" };
            format!("{article} {}", window.as_str())
        };
        match (window, self.needs) {
            (Some(window), Some(needs)) => {
                let needs = match self.limit.unit {
                    Unit::Money => needs.div_ceil(NANOS_PER_MICRO),
                    _ => needs,
                };
                format!(
                    "The limit of {what} {} {whose} is less than this {} may need, up to {}. Waiting does not \
                     help; ask for a shorter answer, or have the limit raised.",
                    each(*window),
                    if self.is_model { "request" } else { "call" },
                    self.amount(needs),
                )
            }
            (Some(window), None) => format!(
                "The limit of {what} {} {whose} is used up. {again} again in {}; do not {} again \
                 before.",
                each(*window),
                some(seconds, "second"),
                again.to_lowercase(),
            ),
            (None, _) => format!(
                "{what} {} at the same time {whose}, which is the limit. Wait for one to end, then {} \
                 again.",
                if *amount == 1 { "runs" } else { "run" },
                again.to_lowercase(),
            ),
        }
    }

    /// So much of what is counted, in words.
    fn amount(&self, amount: u64) -> String {
        match self.limit.unit {
            Unit::Requests | Unit::Concurrency if self.is_model => some(amount, "request"),
            Unit::Requests | Unit::Concurrency => some(amount, "call"),
            Unit::Tokens if self.is_model => some(amount, "token"),
            Unit::Tokens => format!("{} of answers", some(amount, "token")),
            Unit::Money => dollars(amount),
        }
    }

    /// Whether it is a budget, so that waiting for as long as a client waits does not help.
    pub fn is_budget(&self) -> bool {
        let long = matches!(self.limit.window, Some(Window::Day | Window::Month));
        self.needs.is_some() || long && self.retry_after > HELD_RETRY_AFTER
    }

    /// What the headers `RateLimit-Policy` and `RateLimit` say of it
    /// (draft-ietf-httpapi-ratelimit-headers).
    pub fn headers(&self) -> (String, String) {
        let scope = self.limit.scope.as_str();
        let seconds = self.span.map(|span| span.as_secs());
        let window = seconds.map_or_else(String::new, |seconds| format!(";w={seconds}"));
        let policy = format!("\"{scope}\";q={}{window}", self.limit.amount);
        (policy, format!("\"{scope}\";r=0;t={}", self.seconds()))
    }

    /// The time to wait in whole seconds, at least one.
    pub fn seconds(&self) -> u64 {
        let part = u64::from(self.retry_after.subsec_nanos() > 0);
        (self.retry_after.as_secs() + part).max(1)
    }
}

/// Why a call was not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitRefusal {
    #[error("{0}")]
    Exceeded(#[from] Exceeded),
    /// A quota that cannot be counted is not spent: it may be used up.
    #[error("The quota of this call cannot be counted right now. Call again in a few seconds.")]
    Uncounted,
}

/// A number of things.
fn some(count: u64, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{plural}")
}

/// Millionths of a dollar, as people write dollars: two digits at least, and no more than it takes.
fn dollars(micros: u64) -> String {
    let text = format!("${}.{:06}", micros / 1_000_000, micros % 1_000_000);
    let (whole, part) = text.split_at(text.len() - 4);
    format!("{whole}{}", part.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::{Exceeded, dollars};

    #[test]
    fn one_is_one() {
        for (unit, window, amount, said) in [
            ("requests", Some("hour"), 1, "The limit of 1 call an hour "),
            ("requests", Some("day"), 2, "The limit of 2 calls a day "),
            (
                "tokens",
                Some("month"),
                1,
                "The limit of 1 token of answers a month ",
            ),
            ("money", Some("day"), 1_000_000, "The limit of $1.00 a day "),
            ("concurrency", None, 1, "1 call runs at the same time "),
            ("concurrency", None, 4, "4 calls run at the same time "),
        ] {
            let limit = json!({ "unit": unit, "amount": amount, "window": window, "scope": "key" });
            let exceeded = Exceeded {
                limit: serde_json::from_value(limit).unwrap(),
                retry_after: Duration::from_secs(1),
                span: None,
                needs: None,
                is_model: false,
            };
            let text = exceeded.to_string();
            assert!(text.starts_with(said), "{text}");
            assert!(
                window.is_none() || text.contains("again in 1 second;"),
                "{text}"
            );
        }
    }

    #[test]
    fn models_are_asked_and_budgets_are_not_waited_for() {
        for (unit, window, wait, said, budget) in [
            (
                "requests",
                "minute",
                9,
                "The limit of 5 requests a minute for this model is used up. Ask again in 9 seconds; do not ask again before.",
                false,
            ),
            (
                "tokens",
                "day",
                900,
                "The limit of 5 tokens a day for this model is used up. Ask again in 900 seconds; do not ask again before.",
                true,
            ),
            // What is left is reserved for those that run.
            (
                "money",
                "month",
                1,
                "The limit of $0.000005 a month for this model is used up. Ask again in 1 second; do not ask again before.",
                false,
            ),
        ] {
            let limit = json!({ "unit": unit, "amount": 5, "window": window, "scope": "server" });
            let exceeded = Exceeded {
                limit: serde_json::from_value(limit).unwrap(),
                retry_after: Duration::from_secs(wait),
                span: None,
                needs: None,
                is_model: true,
            };
            assert_eq!(
                (exceeded.to_string().as_str(), exceeded.is_budget()),
                (said, budget)
            );
        }
    }

    #[test]
    fn what_never_fits_is_not_waited_for() {
        for (unit, amount, needs, said) in [
            (
                "tokens",
                60,
                1_234,
                "The limit of 60 tokens a day for this model is less than this request may need, up to 1234 tokens. \
                 Waiting does not help; ask for a shorter answer, or have the limit raised.",
            ),
            (
                "money",
                10_000,
                12_500_001,
                "The limit of $0.01 a day for this model is less than this request may need, up to $0.012501. \
                 Waiting does not help; ask for a shorter answer, or have the limit raised.",
            ),
        ] {
            let limit =
                json!({ "unit": unit, "amount": amount, "window": "day", "scope": "server" });
            let exceeded = Exceeded {
                limit: serde_json::from_value(limit).unwrap(),
                retry_after: Duration::from_secs(1),
                span: None,
                needs: Some(needs),
                is_model: true,
            };
            assert_eq!(exceeded.to_string(), said);
            assert!(exceeded.is_budget());
        }
    }

    #[test]
    fn a_policy_has_the_length_of_its_window() {
        for (unit, window, span, policy) in [
            ("requests", Some("minute"), Some(60), "\"key\";q=5;w=60"),
            ("tokens", Some("day"), Some(86_400), "\"key\";q=5;w=86400"),
            ("concurrency", None, None, "\"key\";q=5"),
        ] {
            let limit = json!({ "unit": unit, "amount": 5, "window": window, "scope": "key" });
            let exceeded = Exceeded {
                limit: serde_json::from_value(limit).unwrap(),
                retry_after: Duration::from_secs(9),
                span: span.map(Duration::from_secs),
                needs: None,
                is_model: true,
            };
            let expected = (policy.to_owned(), "\"key\";r=0;t=9".to_owned());
            assert_eq!(exceeded.headers(), expected);
        }
    }

    #[test]
    fn dollars_are_written_as_people_do() {
        for (micros, text) in [
            (1, "$0.000001"),
            (500, "$0.0005"),
            (10_000, "$0.01"),
            (2_500_000, "$2.50"),
            (1_000_000_000, "$1000.00"),
        ] {
            assert_eq!(dollars(micros), text);
        }
    }
}
