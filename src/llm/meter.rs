//! What requests for models come to since the process began, for whoever watches it: counted by model and provider,
//! with a bound on how many are told apart; all others are counted together.
//!
//! A name that nobody stored is the caller's own word: it is told apart once it answered, so that nobody fills the
//! room by asking for what is not there.

use std::array::from_fn;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use crate::access::ledger::{Called, LedgerEntry, LedgerStatus};
use crate::access::meter::{Consumers, Counted, OTHER, STATUSES, Statuses};
use crate::llm::fault::FaultClass;

/// Models of providers that are told apart, and consumers.
const SERIES_MAX: usize = 500;
const CONSUMERS_MAX: usize = 1_000;
/// Providers that are told apart.
const PROVIDERS_MAX: usize = 500;

/// Where the buckets of histograms end, as the semantic conventions of OpenTelemetry advise: of tokens, and of times
/// in microseconds.
pub const TOKENS: [u64; 14] = [
    1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216,
    67_108_864,
];
pub const DURATIONS: [u64; 14] = [
    10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 640_000, 1_280_000, 2_560_000, 5_120_000,
    10_240_000, 20_480_000, 40_960_000, 81_920_000,
];
pub const FIRST_TOKENS: [u64; 16] = [
    1_000, 5_000, 10_000, 20_000, 40_000, 60_000, 80_000, 100_000, 250_000, 500_000, 750_000,
    1_000_000, 2_500_000, 5_000_000, 7_500_000, 10_000_000,
];
pub const TOKEN_TIMES: [u64; 13] = [
    10_000, 25_000, 50_000, 75_000, 100_000, 150_000, 200_000, 300_000, 400_000, 500_000, 750_000,
    1_000_000, 2_500_000,
];

/// Kinds of tokens, as they are counted.
pub const KINDS: [&str; 5] = ["input", "output", "cached", "cache_write", "reasoning"];

/// What came of asking a provider once.
pub const OUTCOMES: [&str; 19] = [
    "ok",
    "cancelled",
    "invalid",
    "unauthenticated",
    "forbidden",
    "not_found",
    "too_large",
    "media_type",
    "context_length",
    "content_policy",
    "rate_limited",
    "exhausted",
    "unsupported",
    "upstream",
    "overloaded",
    "unreachable",
    "timeout",
    "stalled",
    "internal",
];

/// The name of what came of it.
pub fn outcome(class: FaultClass) -> &'static str {
    match class {
        FaultClass::Invalid => "invalid",
        FaultClass::Unauthenticated => "unauthenticated",
        FaultClass::Forbidden => "forbidden",
        FaultClass::NotFound => "not_found",
        FaultClass::TooLarge => "too_large",
        FaultClass::MediaType => "media_type",
        FaultClass::ContextLength => "context_length",
        FaultClass::ContentPolicy => "content_policy",
        FaultClass::RateLimited => "rate_limited",
        FaultClass::Exhausted => "exhausted",
        FaultClass::Unsupported => "unsupported",
        FaultClass::Upstream => "upstream",
        FaultClass::Overloaded => "overloaded",
        FaultClass::Unreachable => "unreachable",
        FaultClass::Timeout => "timeout",
        FaultClass::Stalled => "stalled",
        FaultClass::Internal => "internal",
    }
}

/// A histogram whose buckets end there; one more has no end.
struct Histogram {
    ends: &'static [u64],
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// The same, read.
#[derive(Clone, Debug)]
pub struct Distribution {
    pub ends: &'static [u64],
    pub counts: Vec<u64>,
    pub sum: u64,
}

impl Histogram {
    fn new(ends: &'static [u64]) -> Self {
        Self {
            ends,
            counts: (0..=ends.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }
    }

    fn observe(&self, value: u64) {
        let bucket = self.ends.partition_point(|end| *end < value);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    fn observe_time(&self, time: Duration) {
        self.observe(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    fn read(&self) -> Distribution {
        let counts = self.counts.iter();
        Distribution {
            ends: self.ends,
            counts: counts.map(|it| it.load(Ordering::Relaxed)).collect(),
            sum: self.sum.load(Ordering::Relaxed),
        }
    }
}

/// What a series is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct About {
    /// As it is stored; of what nobody stored, as it was asked for.
    pub model: String,
    /// By its name in the organization; empty where none was asked.
    pub provider: String,
    /// What is done, in the words of OpenTelemetry.
    pub operation: &'static str,
    /// Who the provider is, in the words of OpenTelemetry.
    pub kind: String,
}

/// The counts of one model of one provider.
pub struct Series {
    about: About,
    began: Instant,
    statuses: Statuses,
    tokens: [AtomicU64; KINDS.len()],
    nanos: AtomicU64,
    retries: AtomicU64,
    fallbacks: AtomicU64,
    streams: AtomicI64,
    input: Histogram,
    output: Histogram,
    /// In the order of [`STATUSES`].
    durations: [Histogram; STATUSES.len()],
    first_tokens: Histogram,
    token_times: Histogram,
}

/// The same, read.
pub struct SeriesCounts {
    pub about: About,
    /// Since when it is counted.
    pub since: Instant,
    pub statuses: Counted,
    pub tokens: [u64; KINDS.len()],
    pub nanos: u64,
    pub retries: u64,
    pub fallbacks: u64,
    pub streams: i64,
    pub input: Distribution,
    pub output: Distribution,
    /// By how requests ended, in the order of [`STATUSES`].
    pub durations: [Distribution; STATUSES.len()],
    pub first_tokens: Distribution,
    pub token_times: Distribution,
}

impl Series {
    fn new(about: About) -> Self {
        Self {
            about,
            began: Instant::now(),
            statuses: Statuses::default(),
            tokens: from_fn(|_| AtomicU64::new(0)),
            nanos: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            fallbacks: AtomicU64::new(0),
            streams: AtomicI64::new(0),
            input: Histogram::new(&TOKENS),
            output: Histogram::new(&TOKENS),
            durations: from_fn(|_| Histogram::new(&DURATIONS)),
            first_tokens: Histogram::new(&FIRST_TOKENS),
            token_times: Histogram::new(&TOKEN_TIMES),
        }
    }

    /// The same target was asked again.
    pub(crate) fn repeated(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// Another target was asked in its place.
    pub(crate) fn given_up(&self) {
        self.fallbacks.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self, entry: &LedgerEntry) {
        if let Some(place) = self.statuses.count(entry.status) {
            self.durations[place].observe_time(entry.total_time);
        }
        let Called::Model(call) = &entry.called else {
            return;
        };
        let tokens = [
            call.tokens_input,
            entry.tokens_output,
            call.tokens_cached,
            call.tokens_cache_write,
            call.tokens_reasoning,
        ];
        for (sum, more) in self.tokens.iter().zip(tokens) {
            sum.fetch_add(more.unwrap_or_default(), Ordering::Relaxed);
        }
        let cost = entry.cost_nanos.unwrap_or_default();
        self.nanos.fetch_add(cost, Ordering::Relaxed);
        if let Some(tokens) = call.tokens_input {
            self.input.observe(tokens);
        }
        if let Some(tokens) = entry.tokens_output {
            self.output.observe(tokens);
        }
        let Some(first) = call.first_token else {
            return;
        };
        self.first_tokens.observe_time(first);
        let more = entry.tokens_output.unwrap_or_default().saturating_sub(1);
        if let (LedgerStatus::Ok, 1..) = (entry.status, more) {
            let rest = entry.total_time.saturating_sub(first).as_micros() / u128::from(more);
            let rest = u64::try_from(rest).unwrap_or(u64::MAX);
            self.token_times.observe(rest);
        }
    }

    fn read(&self) -> SeriesCounts {
        SeriesCounts {
            about: self.about.clone(),
            since: self.began,
            statuses: self.statuses.read(),
            tokens: from_fn(|kind| self.tokens[kind].load(Ordering::Relaxed)),
            nanos: self.nanos.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            fallbacks: self.fallbacks.load(Ordering::Relaxed),
            streams: self.streams.load(Ordering::Relaxed),
            input: self.input.read(),
            output: self.output.read(),
            durations: from_fn(|status| self.durations[status].read()),
            first_tokens: self.first_tokens.read(),
            token_times: self.token_times.read(),
        }
    }
}

/// A stream under way, counted until it is dropped.
pub(crate) struct Streaming(Arc<Series>);

impl Streaming {
    pub(crate) fn of(series: Arc<Series>) -> Self {
        series.streams.fetch_add(1, Ordering::Relaxed);
        Self(series)
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How often a provider was asked, by what came of it: in the order of [`OUTCOMES`].
#[derive(Default)]
struct Attempts([AtomicU64; OUTCOMES.len()]);

/// The counts of a process. Cheap to clone.
#[derive(Clone)]
pub struct ModelMeters(Arc<Inner>);

struct Inner {
    /// Copied when a series begins, and read without a lock.
    series: ArcSwap<HashMap<About, Arc<Series>>>,
    others: Arc<Series>,
    providers: ArcSwap<HashMap<String, Arc<Attempts>>>,
    consumers: Consumers,
}

impl Default for ModelMeters {
    fn default() -> Self {
        let others = About {
            model: OTHER.to_owned(),
            operation: "chat",
            kind: OTHER.to_owned(),
            ..About::default()
        };
        Self(Arc::new(Inner {
            series: ArcSwap::default(),
            others: Arc::new(Series::new(others)),
            providers: ArcSwap::default(),
            consumers: Consumers::default(),
        }))
    }
}

impl ModelMeters {
    /// What is counted of it: in a series of its own, if it `may_begin` one and there is room.
    pub(crate) fn series(&self, about: &About, may_begin: bool) -> Arc<Series> {
        let known = self.0.series.load();
        if let Some(series) = known.get(about) {
            return series.clone();
        }
        if !may_begin || known.len() >= SERIES_MAX {
            return self.0.others.clone();
        }
        let new = Arc::new(Series::new(about.clone()));
        self.0.series.rcu(|known| {
            let mut known = HashMap::clone(known);
            known.entry(about.clone()).or_insert_with(|| new.clone());
            known
        });
        self.0.series.load().get(about).cloned().unwrap_or(new)
    }

    /// What is told apart by no name.
    pub(crate) fn others(&self) -> &Arc<Series> {
        &self.0.others
    }

    /// A request ended.
    pub(crate) fn ended(&self, series: &Series, entry: &LedgerEntry) {
        series.count(entry);
        if let Some(consumer) = entry.caller.consumer {
            let consumers = &self.0.consumers;
            consumers.count(consumer, entry.status, CONSUMERS_MAX);
        }
    }

    /// A provider was asked once, with this of [`OUTCOMES`].
    pub(crate) fn attempted(&self, provider: &str, outcome: &str) {
        let place = OUTCOMES.iter().position(|known| *known == outcome);
        let place = place.unwrap_or(OUTCOMES.len() - 1);
        let count = |attempts: &Attempts| attempts.0[place].fetch_add(1, Ordering::Relaxed);
        let known = self.0.providers.load();
        if let Some(attempts) = known.get(provider) {
            count(attempts);
            return;
        }
        let name = if known.len() < PROVIDERS_MAX {
            provider
        } else {
            OTHER
        };
        self.0.providers.rcu(|known| {
            let mut known = HashMap::clone(known);
            known.entry(name.to_owned()).or_default();
            known
        });
        if let Some(attempts) = self.0.providers.load().get(name) {
            count(attempts);
        }
    }

    /// Forgets what is about models or providers that are not there any more.
    pub fn keep(&self, model: impl Fn(&About) -> bool, provider: impl Fn(&str) -> bool) {
        let gone = self.0.series.load().keys().any(|about| !model(about));
        if gone {
            self.0.series.rcu(|known| {
                let kept = known.iter().filter(|(about, _)| model(about));
                let kept = kept.map(|(about, series)| (about.clone(), series.clone()));
                kept.collect::<HashMap<_, _>>()
            });
        }
        let is_kept = |name: &str| name == OTHER || provider(name);
        if self.0.providers.load().keys().any(|name| !is_kept(name)) {
            self.0.providers.rcu(|known| {
                let kept = known.iter().filter(|(name, _)| is_kept(name));
                let kept = kept.map(|(name, attempts)| (name.clone(), attempts.clone()));
                kept.collect::<HashMap<_, _>>()
            });
        }
    }

    /// The counts of each model of each provider, and of all others together where there are any.
    pub fn read(&self) -> Vec<SeriesCounts> {
        let known = self.0.series.load();
        let mut read: Vec<SeriesCounts> = known.values().map(|series| series.read()).collect();
        let others = self.0.others.read();
        if others.statuses.iter().any(|count| *count > 0) {
            read.push(others);
        }
        read.sort_by(|a, b| a.about.cmp(&b.about));
        read
    }

    /// How often each provider was asked, by what came of it: in the order of [`OUTCOMES`].
    pub fn attempts(&self) -> Vec<(String, [u64; OUTCOMES.len()])> {
        let known = self.0.providers.load();
        let read = known.iter().map(|(name, attempts)| {
            let counts = from_fn(|place| attempts.0[place].load(Ordering::Relaxed));
            (name.clone(), counts)
        });
        let mut read: Vec<_> = read.collect();
        read.sort();
        read
    }

    /// Requests by consumer.
    pub fn consumers(&self) -> &Consumers {
        &self.0.consumers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::caller::Caller;
    use crate::access::ledger::ModelCall;
    use crate::types::OrganizationId;

    fn about(model: &str) -> About {
        About {
            model: model.to_owned(),
            provider: "ours".to_owned(),
            operation: "chat",
            kind: "openai".to_owned(),
        }
    }

    fn entry(first_token_ms: Option<u64>) -> LedgerEntry {
        LedgerEntry {
            organization: OrganizationId::DEFAULT,
            caller: Caller::anonymous(),
            at: chrono::DateTime::UNIX_EPOCH,
            called: Called::Model(Box::new(ModelCall {
                first_token: first_token_ms.map(Duration::from_millis),
                tokens_input: Some(100),
                tokens_cached: Some(30),
                ..ModelCall::default()
            })),
            trace_id: String::new(),
            status: LedgerStatus::Ok,
            upstream_status: None,
            request_bytes: 1,
            response_bytes: 0,
            upstream_time: Duration::ZERO,
            total_time: Duration::from_millis(600),
            attempts: 1,
            tokens_output: Some(11),
            cost_nanos: Some(7),
        }
    }

    #[test]
    fn a_stream_tells_the_time_of_each_token_after_the_first() {
        let meters = ModelMeters::default();
        let series = meters.series(&about("m"), true);
        meters.ended(&series, &entry(Some(100)));
        meters.ended(&series, &entry(None));
        let counts = meters.read().remove(0);
        assert_eq!(counts.tokens, [200, 22, 60, 0, 0]);
        assert_eq!((counts.nanos, counts.statuses[0]), (14, 2));
        // 500 ms for ten tokens.
        assert_eq!(counts.token_times.sum, 50_000);
        assert_eq!(counts.token_times.counts.iter().sum::<u64>(), 1);
        assert_eq!(counts.first_tokens.sum, 100_000);
        assert_eq!(counts.durations[0].sum, 1_200_000);
        assert_eq!(
            counts.input.counts[4], 2,
            "100 is within 65 to 256: {:?}",
            counts.input
        );
    }

    #[test]
    fn names_nobody_stored_make_no_room_full() {
        let meters = ModelMeters::default();
        for n in 0..SERIES_MAX + 5 {
            let name = format!("m{n}");
            let refused = meters.series(&about(&name), false);
            assert!(Arc::ptr_eq(&refused, meters.others()));
        }
        for n in 0..SERIES_MAX + 5 {
            let series = meters.series(&about(&format!("m{n}")), true);
            meters.ended(&series, &entry(None));
        }
        let read = meters.read();
        assert_eq!(read.len(), SERIES_MAX + 1);
        let others = read.iter().find(|it| it.about.model == OTHER).unwrap();
        assert_eq!(others.statuses[0], 5);
        meters.keep(|about| about.model == "m3", |_| true);
        assert_eq!(meters.read().len(), 2);
        // What is gone made room.
        let again = meters.series(&about("new"), true);
        assert!(!Arc::ptr_eq(&again, meters.others()));
    }

    #[test]
    fn a_stream_is_counted_as_long_as_it_is_there() {
        let meters = ModelMeters::default();
        let series = meters.series(&about("m"), true);
        let streams = || meters.read()[0].streams;
        let one = Streaming::of(series.clone());
        let two = Streaming::of(series);
        assert_eq!(streams(), 2);
        drop((one, two));
        assert_eq!(streams(), 0);
    }

    #[test]
    fn every_fault_has_a_name_that_is_counted() {
        let meters = ModelMeters::default();
        for class in [
            FaultClass::Invalid,
            FaultClass::Timeout,
            FaultClass::Stalled,
            FaultClass::Internal,
        ] {
            assert!(OUTCOMES.contains(&outcome(class)));
            meters.attempted("ours", outcome(class));
        }
        meters.attempted("ours", "ok");
        let (name, counts) = meters.attempts().remove(0);
        assert_eq!((name.as_str(), counts.iter().sum::<u64>()), ("ours", 5));
    }
}
