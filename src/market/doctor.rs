//! Whether a process is well: what a person would look at who set it up, looked at by the process itself.
//! Each check ends in time, says what was found, and what to do about it.

pub mod probe;
mod reach;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use tokio::sync::Semaphore;

use crate::market::api::Market;
use crate::market::language::Language;
use crate::mcp::endpoint::HostPolicy;
use crate::store::StoreError;
use crate::store::changes::Feed;

/// How long all checks may take together; each begins at once.
const PATIENCE: Duration = Duration::from_secs(9);
/// Streams of [`probe`] at once.
const STREAMS_MAX: usize = 8;
/// A write that takes longer is slow; one that takes longer than the second is a fault.
const WRITE_SLOW: Duration = Duration::from_millis(100);
const WRITE_FAULT: Duration = Duration::from_secs(1);
/// How far clocks may be apart, in milliseconds.
const SKEW_WARN_MS: i64 = 1_000;
const SKEW_FAULT_MS: i64 = 30_000;
/// How old what is known of changes elsewhere may be, in seconds.
const LAG_WARN_S: i64 = 10;
const LAG_FAULT_S: i64 = 15;
/// Free space of the data directory.
const SPACE_WARN: u64 = 1 << 30;
const SPACE_FAULT: u64 = 100 << 20;

/// What only the checks need of a process. Cheap to clone.
#[derive(Clone)]
pub struct Doctor(Arc<Parts>);

struct Parts {
    feed: Feed,
    places: Places,
    /// Signs what the process says of itself: no other process can say it.
    identity: hmac::Key,
    streams: Arc<Semaphore>,
}

/// What of a process lies in files.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The data directory, where the database is in it.
    pub data: Option<PathBuf>,
    /// Files with keys, and what each one is.
    pub keys: Vec<(&'static str, PathBuf)>,
    /// Whether the operator said what clients call this process.
    pub is_public: bool,
}

impl Doctor {
    /// # Errors
    /// When the system has no randomness.
    pub fn new(feed: Feed, places: Places) -> Result<Self, aws_lc_rs::error::Unspecified> {
        let random = aws_lc_rs::rand::SystemRandom::new();
        Ok(Self(Arc::new(Parts {
            feed,
            places,
            identity: hmac::Key::generate(hmac::HMAC_SHA256, &random)?,
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
        })))
    }

    /// What this process, and no other, answers to `nonce`.
    fn sign(&self, nonce: &str) -> String {
        hex::encode(hmac::sign(&self.0.identity, nonce.as_bytes()))
    }
}

/// How a check ended. The worst of several is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Ok,
    Warn,
    Fail,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// What was looked at, and what was found.
#[derive(Clone, Debug)]
pub struct Check {
    pub id: &'static str,
    pub state: State,
    /// The messages that say what was found, and what to do.
    found: &'static str,
    advice: Option<&'static str>,
    arguments: Vec<(&'static str, String)>,
}

impl Check {
    fn new(id: &'static str, state: State, found: &'static str) -> Self {
        Self {
            id,
            state,
            found,
            advice: None,
            arguments: Vec::new(),
        }
    }

    fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.arguments.push((name, value.to_string()));
        self
    }

    fn advise(mut self, advice: &'static str) -> Self {
        self.advice = Some(advice);
        self
    }

    /// What was found, as plain text.
    pub fn found(&self, language: Language) -> String {
        language.plain(self.found, &self.arguments)
    }

    /// What to do, as plain text.
    pub fn advice(&self, language: Language) -> Option<String> {
        let advice = self.advice?;
        Some(language.plain(advice, &self.arguments))
    }
}

/// The worst of them.
pub fn worst(checks: &[Check]) -> State {
    let states = checks.iter().map(|check| check.state);
    states.max().unwrap_or(State::Ok)
}

/// Makes all checks, at the same time and in time.
pub async fn examine(market: &Market) -> Vec<Check> {
    let each: [(&'static str, BoxFuture<'_, Vec<Check>>); 9] = [
        ("public-url", reach::public(market).boxed()),
        ("streaming", reach::streaming(market).boxed()),
        ("clock", clock(market).boxed()),
        ("keys", async { keys(market) }.boxed()),
        ("database", database(market).boxed()),
        ("redis", redis(market).boxed()),
        ("sign-in", sign_in(market).boxed()),
        ("prices", async { prices(market) }.boxed()),
        ("process", async { process(market) }.boxed()),
    ];
    let timely = each.map(async |(id, check)| {
        let ended = tokio::time::timeout(PATIENCE, check).await;
        ended.unwrap_or_else(|_| {
            vec![Check::new(id, State::Fail, "doctor-late").with("seconds", PATIENCE.as_secs())]
        })
    });
    join_all(timely).await.concat()
}

/// Whether the database's clock and ours agree, where it has one of its own.
async fn clock(market: &Market) -> Vec<Check> {
    let publisher = &market.0.parts.publisher;
    let before = publisher.clock.now();
    let theirs = match publisher.store.time().await {
        Ok(Some(theirs)) => theirs,
        Ok(None) => return vec![Check::new("clock", State::Ok, "doctor-clock-same")],
        Err(error) => return vec![unavailable("clock", &error)],
    };
    let after = publisher.clock.now();
    let ours = before + (after - before) / 2;
    let skew = (theirs - ours.timestamp_micros()).abs() / 1_000;
    let check = match skew {
        _ if skew < SKEW_WARN_MS => Check::new("clock", State::Ok, "doctor-clock-fine"),
        _ if skew < SKEW_FAULT_MS => {
            Check::new("clock", State::Warn, "doctor-clock-apart").advise("doctor-clock-advice")
        }
        _ => Check::new("clock", State::Fail, "doctor-clock-apart").advise("doctor-clock-advice"),
    };
    vec![check.with("ms", skew)]
}

fn unavailable(id: &'static str, error: &StoreError) -> Check {
    tracing::warn!(%error, "a check of the database failed");
    Check::new(id, State::Fail, "doctor-database-gone").advise("doctor-database-gone-advice")
}

/// Whether only its owner reads a file with a key.
fn keys(market: &Market) -> Vec<Check> {
    let files = &market.0.parts.doctor.0.places.keys;
    let checks: Vec<Check> = files.iter().map(|(what, path)| key(what, path)).collect();
    if checks.is_empty() {
        return vec![Check::new("keys", State::Ok, "doctor-keys-given")];
    }
    checks
}

fn key(what: &'static str, path: &Path) -> Check {
    use std::os::unix::fs::PermissionsExt;
    let check = match std::fs::metadata(path) {
        Err(_) => Check::new("keys", State::Fail, "doctor-keys-missing")
            .advise("doctor-keys-missing-advice"),
        // The last six bits are what a group and others may do.
        Ok(file) => match file.permissions().mode() & 0o777 {
            mode if mode.trailing_zeros() >= 6 => {
                Check::new("keys", State::Ok, "doctor-keys-private")
            }
            // Orchestrators mount secrets so that a group reads them.
            mode if mode.trailing_zeros() >= 3 => {
                Check::new("keys", State::Warn, "doctor-keys-group")
                    .advise("doctor-keys-open-advice")
            }
            _ => Check::new("keys", State::Fail, "doctor-keys-open")
                .advise("doctor-keys-open-advice"),
        },
    };
    check.with("key", what).with("path", path.display())
}

/// Whether the schema is ours, and how long a durable write takes.
async fn database(market: &Market) -> Vec<Check> {
    let store = &market.0.parts.publisher.store;
    let schema = match store.schema().await {
        Ok((done, known)) if done == known => {
            Check::new("schema", State::Ok, "doctor-schema-fine").with("done", done)
        }
        Ok((done, known)) if done < known => {
            Check::new("schema", State::Fail, "doctor-schema-behind")
                .advise("doctor-schema-behind-advice")
                .with("done", done)
                .with("known", known)
        }
        Ok((done, known)) => Check::new("schema", State::Warn, "doctor-schema-ahead")
            .advise("doctor-schema-ahead-advice")
            .with("done", done)
            .with("known", known),
        Err(error) => return vec![unavailable("schema", &error)],
    };
    let began = Instant::now();
    let name = format!("doctor:{}", uuid::Uuid::now_v7());
    let written = match store.try_write(&name).await {
        Err(error) => unavailable("writing", &error),
        Ok(()) => {
            let took = began.elapsed();
            let state = match took {
                _ if took > WRITE_FAULT => State::Fail,
                _ if took > WRITE_SLOW => State::Warn,
                _ => State::Ok,
            };
            let check = Check::new("writing", state, "doctor-writing");
            let check = check.with("ms", took.as_millis());
            match state {
                State::Ok => check,
                _ => check.advise("doctor-writing-advice"),
            }
        }
    };
    vec![schema, written]
}

/// Whether Redis answers, where there is one.
async fn redis(market: &Market) -> Vec<Check> {
    match market.0.parts.mcp.limiter.ping().await {
        None => Vec::new(),
        Some(Ok(())) => vec![Check::new("redis", State::Ok, "doctor-redis-fine")],
        Some(Err(error)) => {
            // Its text never tells the URL, which may hold a password.
            let check = Check::new("redis", State::Fail, "doctor-redis-gone");
            vec![check.with("why", error).advise("doctor-redis-advice")]
        }
    }
}

/// Whether people can sign in through the identity provider, where there is one.
async fn sign_in(market: &Market) -> Vec<Check> {
    let Some(provider) = &market.0.parts.oidc else {
        return Vec::new();
    };
    let issuer = &provider.settings().issuer;
    let check = match provider.description().await {
        Err(why) => Check::new("sign-in", State::Fail, "doctor-sign-in-unusable")
            .with("why", why)
            .advise("doctor-sign-in-advice"),
        Ok(_) if !provider.shows_keys().await => {
            Check::new("sign-in", State::Fail, "doctor-sign-in-no-keys")
                .advise("doctor-sign-in-advice")
        }
        Ok(_) => Check::new("sign-in", State::Ok, "doctor-sign-in-fine"),
    };
    vec![check.with("issuer", issuer)]
}

/// Whether the operator's own prices are those of anybody, where there are any.
fn prices(market: &Market) -> Vec<Check> {
    let llm = &market.0.parts.llm;
    if llm.prices.own_lists().is_empty() {
        return Vec::new();
    }
    let idle = llm.models.idle_prices(&llm.prices);
    if idle.is_empty() {
        return vec![Check::new("prices", State::Ok, "doctor-prices-fine")];
    }
    let lists: Vec<String> = idle.into_iter().map(|it| it.list).collect();
    let check = Check::new("prices", State::Warn, "doctor-prices-idle");
    vec![
        check
            .with("lists", lists.join(", "))
            .advise("doctor-prices-advice"),
    ]
}

/// What the process knows without asking: how old its knowledge is, what waits, and what space is left.
fn process(market: &Market) -> Vec<Check> {
    let parts = &market.0.parts;
    let doctor = &parts.doctor.0;
    let lag = parts.publisher.clock.now().timestamp() - doctor.feed.seen_at() / 1_000_000;
    let feed =
        match lag {
            _ if lag <= LAG_WARN_S => Check::new("changes", State::Ok, "doctor-changes-fine"),
            _ if lag <= LAG_FAULT_S => Check::new("changes", State::Warn, "doctor-changes-old")
                .advise("doctor-changes-advice"),
            _ => Check::new("changes", State::Fail, "doctor-changes-old")
                .advise("doctor-changes-advice"),
        };
    let mut checks = vec![feed.with("seconds", lag.max(0))];
    let (waiting, room) = (parts.mcp.ledger.waiting(), parts.mcp.ledger.room());
    if let Some(tenths) = (waiting * 10).checked_div(room) {
        let state = match tenths {
            ..5 => State::Ok,
            5..9 => State::Warn,
            _ => State::Fail,
        };
        let check = Check::new("ledger", state, "doctor-ledger");
        let check = check.with("waiting", waiting).with("room", room);
        checks.push(match state {
            State::Ok => check,
            _ => check.advise("doctor-ledger-advice"),
        });
    }
    if let Some(data) = &doctor.places.data {
        checks.push(space(data));
    }
    checks
}

fn space(data: &Path) -> Check {
    let path = data.display();
    let Ok(system) = rustix::fs::statvfs(data) else {
        return Check::new("disk", State::Fail, "doctor-disk-unknown").with("path", path);
    };
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    let state = match free {
        _ if free < SPACE_FAULT => State::Fail,
        _ if free < SPACE_WARN => State::Warn,
        _ => State::Ok,
    };
    let check = Check::new("disk", state, "doctor-disk");
    let check = check.with("mb", free >> 20).with("path", path);
    match state {
        State::Ok => check,
        _ => check.advise("doctor-disk-advice"),
    }
}

/// What the policy of hosts is worth, where a request of ours that came from outside was `admitted` or not.
fn hosts(policy: &HostPolicy, admitted: bool) -> Check {
    match (policy, admitted) {
        (_, false) => {
            Check::new("hosts", State::Fail, "doctor-hosts-refused").advise("doctor-hosts-advice")
        }
        (HostPolicy::SameOrigin, true) => {
            Check::new("hosts", State::Warn, "doctor-hosts-any").advise("doctor-hosts-any-advice")
        }
        (HostPolicy::Loopback { .. } | HostPolicy::Public { .. }, true) => {
            Check::new("hosts", State::Ok, "doctor-hosts-fine")
        }
    }
}
