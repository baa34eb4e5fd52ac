//! The measures of models: named and explained. Those that OpenTelemetry has a name for go by it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::app::exposition::{Exposition, Kind};
use crate::app::measures::{name_consumers, shown};
use crate::llm::live::Models;
use crate::llm::meter::{About, Distribution, KINDS, ModelMeters, OUTCOMES, SeriesCounts};
use crate::llm::proxy::Llm;
use crate::store::Store;
use crate::telemetry::{Measure, Point};

use Kind::{Counter, Gauge, Histogram};

/// A number of a series.
type Counted = fn(&SeriesCounts) -> f64;

/// What stands where no provider was asked, and for the breaker of a provider without keys.
const NONE: &str = "none";

/// Writes down what requests for models came to.
pub(super) async fn write(out: &mut Exposition, llm: &Llm, store: &Store) {
    let there = There::now(&llm.models);
    let series = read(&llm.meters, &there);
    counted(out, &series);
    spread(out, &series);
    let help = "Requests to providers of models, by what came of them.";
    let mut family = out.family("causeway_model_attempts_total", Counter, help);
    for (provider, counts) in llm.meters.attempts() {
        for (outcome, count) in OUTCOMES.iter().zip(counts) {
            if count > 0 || *outcome == "ok" {
                let labels = [("provider", &*provider), ("outcome", outcome)];
                family.sample(&labels, count as f64);
            }
        }
    }
    let help = "Whether a provider's key is left alone because requests with it failed: 1 it is, 0 it is asked.";
    let mut family = out.family("causeway_provider_key_paused", Gauge, help);
    for ((provider, key), is_paused) in &there.keys {
        let labels = [("provider", &**provider), ("key", &**key)];
        family.sample(&labels, f64::from(u8::from(*is_paused)));
    }
    shared(out, llm);
    name_consumers(llm.meters.consumers(), store).await;
    let help = "Requests for models by consumer and by how they ended.";
    let name = "causeway_consumer_model_requests_total";
    let mut family = out.family(name, Counter, help);
    for (consumer, counts) in llm.meters.consumers().read() {
        for ((_, status), count) in shown(&counts) {
            family.sample(&[("consumer", &consumer), ("status", status)], count);
        }
    }
}

/// What is known of other processes, where they tell each other.
fn shared(out: &mut Exposition, llm: &Llm) {
    if llm.limiter.shared().is_none() || !llm.models.balances() {
        return;
    }
    let others = llm.models.standings().others(llm.models.micros());
    let help = "Whether requests are spread by what all processes have under way: 1 they are, 0 Redis does not answer.";
    let is_shared = f64::from(u8::from(others.is_some()));
    out.one(("causeway_balancing_shared", Gauge, help), is_shared);
    let help = "Other processes that have requests for models under way, as far as is known.";
    let count = others.unwrap_or_default() as f64;
    out.one(("causeway_balancing_processes", Gauge, help), count);
}

/// What there is now, in all organizations.
#[derive(Default)]
struct There {
    providers: BTreeSet<String>,
    models: BTreeSet<String>,
    keys: BTreeMap<(String, String), bool>,
}

impl There {
    fn now(models: &Models) -> Self {
        let (mut there, now) = (Self::default(), Instant::now());
        models.seeing_all(|offer| {
            for provider in offer.providers.values() {
                there.providers.insert(provider.name.clone());
                let own = (NONE, &provider.breaker);
                let keys = provider.keys.iter().map(|key| (&*key.name, &key.breaker));
                let own = provider.keys.is_empty().then_some(own);
                for (key, breaker) in keys.chain(own) {
                    let known = there
                        .keys
                        .entry((provider.name.clone(), key.to_owned()))
                        .or_default();
                    *known |= breaker.is_paused(now);
                }
            }
            let models = offer.models.all().map(|model| model.name.clone());
            there.models.extend(models);
        });
        there
    }

    /// A name that is stored, or one of a provider's own.
    fn has_model(&self, about: &About) -> bool {
        let rest = about.model.strip_prefix(about.provider.as_str());
        let is_own = rest.is_some_and(|rest| rest.starts_with('/'));
        let has_provider = about.provider.is_empty() || self.providers.contains(&about.provider);
        has_provider && (is_own || self.models.contains(&about.model))
    }
}

fn provider(about: &About) -> &str {
    if about.provider.is_empty() {
        NONE
    } else {
        &about.provider
    }
}

fn counted(out: &mut Exposition, series: &[SeriesCounts]) {
    let help = "Requests for models, by how they ended: ok, tool_error (the provider failed), refused, cancelled, timeout.";
    let mut family = out.family("causeway_model_requests_total", Counter, help);
    for one in series {
        let (model, provider) = (one.about.model.as_str(), provider(&one.about));
        for ((_, status), count) in shown(&one.statuses) {
            let labels = [
                ("model", model),
                ("provider", provider),
                ("operation", one.about.operation),
                ("status", status),
            ];
            family.sample(&labels, count);
        }
    }
    let help =
        "Tokens of models by kind; cached and cache_write are among input, reasoning among output.";
    let mut family = out.family("causeway_model_tokens_total", Counter, help);
    for one in series {
        let (model, provider) = (one.about.model.as_str(), provider(&one.about));
        for (kind, count) in KINDS.iter().zip(one.tokens) {
            let labels = [
                ("model", model),
                ("provider", provider),
                ("operation", one.about.operation),
                ("kind", kind),
            ];
            family.sample(&labels, count as f64);
        }
    }
    let each: [(_, _, _, Counted); 4] = [
        (
            "causeway_model_cost_dollars_total",
            Counter,
            "What requests for models cost by known prices, in US dollars.",
            |it| it.nanos as f64 / 1e9,
        ),
        (
            "causeway_model_retries_total",
            Counter,
            "Times the same target was asked again after a failure.",
            |it| it.retries as f64,
        ),
        (
            "causeway_model_fallbacks_total",
            Counter,
            "Times another target was asked in place of one of this provider.",
            |it| it.fallbacks as f64,
        ),
        (
            "causeway_model_streams",
            Gauge,
            "Answers of models that are under way piece by piece.",
            |it| it.streams as f64,
        ),
    ];
    for (name, kind, help, read) in each {
        let mut family = out.family(name, kind, help);
        for one in series {
            let labels = [
                ("model", one.about.model.as_str()),
                ("provider", provider(&one.about)),
                ("operation", one.about.operation),
            ];
            family.sample(&labels, read(one));
        }
    }
}

/// How something of requests is spread, as OpenTelemetry names it and as Prometheus does.
struct Spread {
    name: &'static str,
    exposed: &'static str,
    unit: &'static str,
    help: &'static str,
    /// What of a series, and what it is told apart by beside what the series is about.
    read: fn(&SeriesCounts) -> Vec<(Label, &Distribution)>,
}

type Label = Option<(&'static str, &'static str)>;

/// Tokens as they are, times in seconds.
const SPREADS: [Spread; 4] = [
    Spread {
        name: "gen_ai.client.token.usage",
        exposed: "gen_ai_client_token_usage",
        unit: "{token}",
        help: "Tokens of requests for models.",
        read: |it| {
            let kind = |kind| Some(("gen_ai.token.type", kind));
            vec![(kind("input"), &it.input), (kind("output"), &it.output)]
        },
    },
    Spread {
        name: "gen_ai.client.operation.duration",
        exposed: "gen_ai_client_operation_duration_seconds",
        unit: SECONDS,
        help: "How long requests for models took in all.",
        read: |it| {
            let ended = shown(&it.statuses).map(|((place, status), _)| {
                let error = (place > 0).then_some(("error.type", status));
                (error, &it.durations[place])
            });
            ended.collect()
        },
    },
    Spread {
        name: "gen_ai.server.time_to_first_token",
        exposed: "gen_ai_server_time_to_first_token_seconds",
        unit: SECONDS,
        help: "Of streams: from the request to the first token.",
        read: |it| vec![(None, &it.first_tokens)],
    },
    Spread {
        name: "gen_ai.server.time_per_output_token",
        exposed: "gen_ai_server_time_per_output_token_seconds",
        unit: SECONDS,
        help: "Of streams that ended well: the time of each token after the first.",
        read: |it| vec![(None, &it.token_times)],
    },
];
const SECONDS: &str = "s";

impl Spread {
    fn points(&self, series: &[SeriesCounts]) -> Vec<Point> {
        let of_each = series.iter().map(|one| (one, (self.read)(one)));
        let points = of_each.flat_map(|(one, read)| {
            read.into_iter().map(|(label, spread)| {
                let mut labels = labels(&one.about);
                labels.extend(label.map(|(name, value)| (name, value.to_owned())));
                self.point((labels, one.since), spread)
            })
        });
        points.collect()
    }

    /// Times are counted in microseconds.
    fn point(
        &self,
        (labels, since): (Vec<(&'static str, String)>, Instant),
        spread: &Distribution,
    ) -> Point {
        let unit = if self.unit == SECONDS { 1e6 } else { 1.0 };
        let told = |count: u64| count as f64 / unit;
        Point {
            since,
            labels,
            ends: spread.ends.iter().map(|end| told(*end)).collect(),
            counts: spread.counts.clone(),
            sum: told(spread.sum),
        }
    }
}

/// The labels of OpenTelemetry, and the name the provider goes by here.
fn labels(about: &About) -> Vec<(&'static str, String)> {
    let kind = Some(&*about.kind).filter(|kind| !kind.is_empty());
    let labels = [
        ("gen_ai.operation.name", about.operation),
        ("gen_ai.provider.name", kind.unwrap_or(NONE)),
        ("gen_ai.request.model", &about.model),
        ("causeway.provider", provider(about)),
    ];
    labels.map(|(name, value)| (name, value.to_owned())).into()
}

/// What OpenTelemetry has a name for, for a collector.
pub(super) fn for_collector(models: &Models, meters: &ModelMeters) -> Vec<Measure> {
    let series = read(meters, &There::now(models));
    let told = SPREADS.iter().map(|spread| Measure {
        name: spread.name,
        unit: spread.unit,
        help: spread.help,
        points: spread.points(&series),
    });
    told.filter(|measure| !measure.points.is_empty()).collect()
}

fn spread(out: &mut Exposition, series: &[SeriesCounts]) {
    for spread in &SPREADS {
        let mut family = out.family(spread.exposed, Histogram, spread.help);
        for point in spread.points(series) {
            let labels: Vec<_> = point
                .labels
                .iter()
                .map(|(name, it)| (*name, &**it))
                .collect();
            family.histogram(&labels, (&point.ends, &point.counts), point.sum);
        }
    }
}

/// The series of what is still there.
fn read(meters: &ModelMeters, there: &There) -> Vec<SeriesCounts> {
    let is_model = |about: &About| there.has_model(about);
    meters.keep(is_model, |provider| there.providers.contains(provider));
    meters.read()
}
