//! The measures of a process: read from where they are counted, named and explained.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::access::meter::{
    BUCKETS, CLASSES, Consumers, Counted, Meters, OTHER, STATUSES, ServerCounts, Times,
};
use crate::app::exposition::{Exposition, Kind};
use crate::live::Catalog;
use crate::llm::proxy::Llm;
use crate::mcp::call::Mcp;
use crate::mcp::endpoint::Endpoint;
use crate::store::Store;
use crate::types::ServerId;

use Kind::{Counter, Gauge, Histogram};

/// Consumers that are asked for their names in one scrape.
const NAMED_MAX: usize = 100;

/// What is read.
#[derive(Clone)]
pub struct Sources {
    pub mcp: Arc<Mcp>,
    pub endpoint: Endpoint,
    pub llm: Arc<Llm>,
}

/// Writes down what calls came to. What of a consumer's name the database does not tell now is told in
/// a later scrape.
pub(super) async fn calls(out: &mut Exposition, meters: &Meters, from: (&Store, &Catalog)) {
    let (store, catalog) = from;
    name_consumers(meters.consumers(), store).await;
    let there: HashSet<ServerId> = catalog.entries().iter().map(|entry| entry.id).collect();
    meters.keep(|server| there.contains(&server));
    let mut servers: BTreeMap<String, ServerCounts> = BTreeMap::new();
    for (id, counts) in meters.servers() {
        let entry = id.map(|id| catalog.entry(id));
        let slug = match entry {
            None => OTHER.to_owned(),
            Some(Some(entry)) => entry.slug.to_string(),
            // It was deleted just now.
            Some(None) => continue,
        };
        servers.entry(slug).or_default().merge(counts);
    }
    counted(out, &servers);
    timed(out, &servers);
    let help = "Tool calls by consumer and by how they ended.";
    let mut family = out.family("causeway_consumer_calls_total", Counter, help);
    for (consumer, counts) in meters.consumers().read() {
        for ((_, status), count) in shown(&counts) {
            family.sample(&[("consumer", &consumer), ("status", status)], count);
        }
    }
}

/// Asks what consumers are called whose names are not known yet.
pub(super) async fn name_consumers(consumers: &Consumers, store: &Store) {
    for id in consumers.nameless(NAMED_MAX) {
        let Ok(name) = store.consumer_name(id).await else {
            break;
        };
        consumers.name(id, name.unwrap_or_else(|| OTHER.to_owned()));
    }
}

/// The ways to end that occurred, and `ok` in any case.
pub(super) fn shown(counts: &Counted) -> impl Iterator<Item = ((usize, &'static str), f64)> {
    let statuses = STATUSES.iter().map(|(_, status)| *status).enumerate();
    let counted = statuses.zip(counts.map(|count| count as f64));
    counted.filter(|((place, _), count)| *place == 0 || *count > 0.0)
}

/// One number, or one histogram, of a server.
type Read = fn(&ServerCounts) -> f64;
type ReadTimes = fn(&ServerCounts) -> &Times;

fn counted(out: &mut Exposition, servers: &BTreeMap<String, ServerCounts>) {
    let help = "Tool calls by server, tool and how they ended: ok, tool_error, refused, cancelled, timeout, closed.";
    let mut family = out.family("causeway_calls_total", Counter, help);
    for (server, counts) in servers {
        for (tool, statuses) in &counts.tools {
            for ((_, status), count) in shown(statuses) {
                let labels = [("server", &**server), ("tool", tool), ("status", status)];
                family.sample(&labels, count);
            }
        }
    }
    let help = "Requests to APIs, by the class of the status they were answered with.";
    let mut family = out.family("causeway_upstream_requests_total", Counter, help);
    for (server, counts) in servers {
        for (class, count) in CLASSES.iter().zip(counts.upstream_answers) {
            family.sample(&[("server", server), ("class", class)], count as f64);
        }
    }
    let each: [(_, _, _, Read); 3] = [
        (
            "causeway_calls_in_flight",
            Gauge,
            "Tool calls that run now.",
            |it| it.running as f64,
        ),
        (
            "causeway_call_request_bytes_total",
            Counter,
            "Bytes of the arguments of tool calls.",
            |it| it.request_bytes as f64,
        ),
        (
            "causeway_call_response_bytes_total",
            Counter,
            "Bytes of what APIs answered to tool calls.",
            |it| it.response_bytes as f64,
        ),
    ];
    for (name, kind, help, read) in each {
        let mut family = out.family(name, kind, help);
        for (server, counts) in servers {
            family.sample(&[("server", server)], read(counts));
        }
    }
}

fn timed(out: &mut Exposition, servers: &BTreeMap<String, ServerCounts>) {
    let each: [(_, _, ReadTimes); 2] = [
        (
            "causeway_call_duration_seconds",
            "How long tool calls took in all.",
            |it| &it.times,
        ),
        (
            "causeway_upstream_request_duration_seconds",
            "How long APIs took for one request, to the end of the answer.",
            |it| &it.upstream_times,
        ),
    ];
    for (name, help, read) in each {
        let mut family = out.family(name, Histogram, help);
        for (server, counts) in servers {
            let times = read(counts);
            let labels = [("server", server.as_str())];
            family.seconds(&labels, (&BUCKETS, &times.counts), times.micros);
        }
    }
}

/// Writes down what is held and used by the process as a whole.
pub(super) fn held(out: &mut Exposition, sources: &Sources) {
    let mcp = &sources.mcp;
    let help = "Calls that a limit refused, by the limit's scope and window (none: calls at the same time).";
    let mut family = out.family("causeway_limit_refusals_total", Counter, help);
    for (scope, window, count) in mcp.limiter.refused().read() {
        family.sample(&[("scope", scope), ("window", window)], count as f64);
    }
    let uncounted = mcp.limiter.refused().uncounted() as f64;
    let help = "Calls that were refused because their quota could not be counted.";
    out.one(("causeway_limit_uncounted_total", Counter, help), uncounted);
    let help = "Calls that wait to be written to the ledger.";
    let waiting = mcp.ledger.waiting() as f64;
    out.one(("causeway_ledger_queue_entries", Gauge, help), waiting);
    let held = sources.endpoint.held();
    let help = "Sessions that clients hold, by kind.";
    let mut family = out.family("causeway_sessions", Gauge, help);
    family.sample(&[("kind", "streamable")], held.sessions as f64);
    family.sample(&[("kind", "legacy")], held.legacy_sessions as f64);
    let help = "Streams of server-sent events that are open to clients.";
    out.one(("causeway_streams", Gauge, help), held.streams as f64);
    let (opened, open) = mcp.egress.connections();
    let help = "Connections to APIs and authorization servers that were opened.";
    let name = "causeway_egress_connections_opened_total";
    out.one((name, Counter, help), opened as f64);
    let help = "Connections to APIs and authorization servers that are open.";
    out.one(("causeway_egress_connections", Gauge, help), open as f64);
    if let Some(counts) = mcp.telemetry.counts() {
        let help = "Spans, by what became of them: exported, dropped for want of room, failed at the collector.";
        let mut family = out.family("causeway_otlp_spans_total", Counter, help);
        for (result, count) in ["exported", "dropped", "failed"].iter().zip(counts) {
            family.sample(&[("result", result)], count as f64);
        }
    }
    let help = "Access tokens that were asked for, by how that ended.";
    let mut family = out.family("causeway_token_requests_total", Counter, help);
    ended(&mut family, mcp.tokens.attempts());
}

fn ended(family: &mut crate::app::exposition::Family<'_>, [fine, failed]: [u64; 2]) {
    family.sample(&[("result", "ok")], fine as f64);
    family.sample(&[("result", "failed")], failed as f64);
}

/// Writes down what of the catalog is in memory, and how the database is used.
pub(super) fn stored(out: &mut Exposition, (store, catalog): (&Store, &Catalog), lag_s: f64) {
    let (servers, bytes) = catalog.held();
    let help = "Servers there are.";
    let all = catalog.entries().len() as f64;
    out.one(("causeway_servers", Gauge, help), all);
    let help = "Compiled servers held in memory.";
    out.one(("causeway_live_servers", Gauge, help), servers as f64);
    let help = "Bytes that compiled servers take, about.";
    out.one(("causeway_live_bytes", Gauge, help), bytes as f64);
    let help = "Servers that were loaded and compiled, by how that ended.";
    let mut family = out.family("causeway_live_loads_total", Counter, help);
    ended(&mut family, catalog.loads());
    let help = "Connections to the database, by pool and state; max is how many there may be.";
    let mut family = out.family("causeway_database_connections", Gauge, help);
    for (pool, used) in store.pools() {
        for (state, count) in [("used", used.used), ("idle", used.idle), ("max", used.max)] {
            family.sample(&[("pool", pool), ("state", state)], count as f64);
        }
    }
    let help = "Seconds since the database last answered the feed of changes.";
    out.one(("causeway_change_feed_lag_seconds", Gauge, help), lag_s);
}

/// Writes down what the process itself is.
pub(super) fn process(out: &mut Exposition, started_at: f64) {
    let help = "The version that runs; always 1.";
    let mut family = out.family("causeway_build_info", Gauge, help);
    family.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    let help = "When the process started, in seconds since 1970.";
    let name = "causeway_process_start_time_seconds";
    out.one((name, Gauge, help), started_at);
    if let Some(bytes) = resident_bytes() {
        let help = "Memory of the process that is in use, in bytes.";
        let name = "causeway_process_resident_memory_bytes";
        out.one((name, Gauge, help), bytes as f64);
    }
    if let Some(open) = open_files() {
        let help = "Files and sockets that are open.";
        out.one(("causeway_process_open_fds", Gauge, help), open as f64);
    }
}

/// As Linux tells it; elsewhere nobody does.
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

fn open_files() -> Option<usize> {
    let entries = std::fs::read_dir("/proc/self/fd").ok()?;
    // One of them is the list itself.
    Some(entries.count().saturating_sub(1))
}
