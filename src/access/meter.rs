//! What calls come to since the process began, for whoever watches it: counted by server, by tool and by
//! consumer, each with a bound on how many are told apart; all others are counted together.
//!
//! A compiled server keeps what it counts into, so that a call looks nothing up by name and writes no
//! text. Series are known by ids; what they are called is asked when they are read.

mod consumers;

use std::array::from_fn;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;

use crate::access::ledger::{LedgerEntry, LedgerStatus};
pub use crate::access::meter::consumers::Consumers;
use crate::types::ServerId;

/// What all that is not told apart is counted under.
pub const OTHER: &str = "other";

/// How many are told apart.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub servers_max: usize,
    /// Tools of all servers together.
    pub tools_max: usize,
    pub consumers_max: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            servers_max: 1_000,
            tools_max: 5_000,
            consumers_max: 1_000,
        }
    }
}

/// The counts of a process. Cheap to clone.
#[derive(Clone, Default)]
pub struct Meters(Arc<Inner>);

#[derive(Default)]
struct Inner {
    bounds: Bounds,
    servers: Mutex<HashMap<ServerId, Arc<ServerMeter>>>,
    others: Arc<ServerMeter>,
    /// Tools that are told apart.
    tools: Arc<AtomicUsize>,
    consumers: Consumers,
}

/// How many calls ended in each way.
#[derive(Default)]
pub struct Statuses([AtomicU64; STATUSES.len()]);

/// The same, read: in the order of [`STATUSES`].
pub type Counted = [u64; STATUSES.len()];

/// How a call can end, as it is counted.
pub const STATUSES: [(LedgerStatus, &str); 6] = [
    (LedgerStatus::Ok, "ok"),
    (LedgerStatus::ToolError, "tool_error"),
    (LedgerStatus::Refused, "refused"),
    (LedgerStatus::Cancelled, "cancelled"),
    (LedgerStatus::Timeout, "timeout"),
    (LedgerStatus::Closed, "closed"),
];

impl Statuses {
    /// Counts one, and says at which place of [`STATUSES`].
    pub(crate) fn count(&self, status: LedgerStatus) -> Option<usize> {
        let place = STATUSES.iter().position(|(known, _)| *known == status)?;
        self.0[place].fetch_add(1, Ordering::Relaxed);
        Some(place)
    }

    pub(crate) fn read(&self) -> Counted {
        from_fn(|place| self.0[place].load(Ordering::Relaxed))
    }
}

/// Where the buckets of a histogram end, in microseconds: 1 ms to a minute.
pub const BUCKETS: [u64; 15] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000, 60_000_000,
];

/// How long something took, in fixed buckets; the last one has no end.
#[derive(Default)]
pub struct Histogram {
    counts: [AtomicU64; BUCKETS.len() + 1],
    micros: AtomicU64,
}

impl Histogram {
    fn observe(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.partition_point(|end| *end < micros);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    fn read(&self) -> Times {
        Times {
            counts: from_fn(|bucket| self.counts[bucket].load(Ordering::Relaxed)),
            micros: self.micros.load(Ordering::Relaxed),
        }
    }
}

/// A histogram as it was read.
#[derive(Clone, Debug, Default)]
pub struct Times {
    pub counts: [u64; BUCKETS.len() + 1],
    pub micros: u64,
}

impl Times {
    fn add(&mut self, other: &Self) {
        add(&mut self.counts, &other.counts);
        self.micros += other.micros;
    }
}

/// How an API can answer, as it is counted; the last is no answer.
pub const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

/// The counts of one server.
#[derive(Default)]
pub struct ServerMeter {
    tools: Mutex<HashMap<Box<str>, Arc<Statuses>>>,
    other_tools: Arc<Statuses>,
    running: AtomicI64,
    times: Histogram,
    upstream_times: Histogram,
    upstream_answers: [AtomicU64; CLASSES.len()],
    request_bytes: AtomicU64,
    response_bytes: AtomicU64,
}

/// What a compiled server counts into: looked up once, and then kept with it.
pub struct Metered {
    server: Arc<ServerMeter>,
    /// By the place of the tool in the list; looked up when a tool is first called.
    tools: Box<[OnceLock<Arc<Statuses>>]>,
}

/// One call while it runs.
pub struct Measured<'a> {
    server: &'a ServerMeter,
    tool: Arc<Statuses>,
    meters: &'a Meters,
}

/// The counts of a server as they were read; those of several can be put together.
#[derive(Clone, Debug, Default)]
pub struct ServerCounts {
    pub tools: Vec<(String, Counted)>,
    pub running: i64,
    pub times: Times,
    pub upstream_times: Times,
    pub upstream_answers: [u64; CLASSES.len()],
    pub request_bytes: u64,
    pub response_bytes: u64,
}

impl ServerCounts {
    /// Adds the counts of another one that goes by the same name.
    pub fn merge(&mut self, other: Self) {
        for (name, counts) in other.tools {
            match self.tools.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => add(known, &counts),
                None => self.tools.push((name, counts)),
            }
        }
        self.running += other.running;
        self.times.add(&other.times);
        self.upstream_times.add(&other.upstream_times);
        add(&mut self.upstream_answers, &other.upstream_answers);
        self.request_bytes += other.request_bytes;
        self.response_bytes += other.response_bytes;
    }
}

fn add<const N: usize>(sums: &mut [u64; N], others: &[u64; N]) {
    for (sum, other) in sums.iter_mut().zip(others) {
        *sum += other;
    }
}

impl Meters {
    /// With other bounds than usual.
    pub fn within(bounds: Bounds) -> Self {
        Self(Arc::new(Inner {
            bounds,
            ..Inner::default()
        }))
    }

    /// What a server with so many tools counts into.
    pub fn of(&self, server: ServerId, tools: usize) -> Metered {
        let mut servers = self.0.servers.lock();
        let room = servers.len() < self.0.bounds.servers_max;
        let meter = match servers.get(&server) {
            Some(meter) => meter.clone(),
            None if room => servers.entry(server).or_default().clone(),
            None => self.0.others.clone(),
        };
        Metered {
            server: meter,
            tools: (0..tools).map(|_| OnceLock::new()).collect(),
        }
    }

    /// A call begins: of the tool at that place of the list, by that name.
    pub fn begin<'a>(&'a self, metered: &'a Metered, (place, tool): (usize, &str)) -> Measured<'a> {
        let find = || self.tool(&metered.server, tool);
        let tool = match metered.tools.get(place) {
            Some(slot) => slot.get_or_init(find).clone(),
            None => find(),
        };
        metered.server.running.fetch_add(1, Ordering::Relaxed);
        Measured {
            server: &metered.server,
            tool,
            meters: self,
        }
    }

    fn tool(&self, server: &Arc<ServerMeter>, name: &str) -> Arc<Statuses> {
        let alone = !Arc::ptr_eq(server, &self.0.others) && name != OTHER;
        let mut tools = server.tools.lock();
        if let Some(tool) = tools.get(name) {
            return tool.clone();
        }
        let room = || self.0.tools.load(Ordering::Relaxed) < self.0.bounds.tools_max;
        if !alone || !room() {
            return server.other_tools.clone();
        }
        self.0.tools.fetch_add(1, Ordering::Relaxed);
        tools.entry(name.into()).or_default().clone()
    }

    /// Forgets the servers that are not there any more.
    pub fn keep(&self, is_there: impl Fn(ServerId) -> bool) {
        self.0.servers.lock().retain(|id, meter| {
            let kept = is_there(*id);
            if !kept {
                let tools = std::mem::take(&mut *meter.tools.lock()).len();
                self.0.tools.fetch_sub(tools, Ordering::Relaxed);
            }
            kept
        });
    }

    /// The counts of each server that is told apart, and of all others together where there are any.
    pub fn servers(&self) -> Vec<(Option<ServerId>, ServerCounts)> {
        let servers = self.0.servers.lock().clone();
        let mut read: Vec<_> = servers
            .iter()
            .map(|(id, meter)| (Some(*id), meter.read()))
            .collect();
        let others = self.0.others.read();
        if others
            .tools
            .iter()
            .any(|(_, counts)| counts.iter().any(|n| *n > 0))
        {
            read.push((None, others));
        }
        read
    }

    /// Calls by consumer.
    pub fn consumers(&self) -> &Consumers {
        &self.0.consumers
    }
}

impl ServerMeter {
    fn read(&self) -> ServerCounts {
        let tools = self.tools.lock();
        let mut tools: Vec<_> = tools
            .iter()
            .map(|(name, statuses)| (name.to_string(), statuses.read()))
            .collect();
        let others = self.other_tools.read();
        if others.iter().any(|count| *count > 0) {
            tools.push((OTHER.to_owned(), others));
        }
        tools.sort();
        ServerCounts {
            tools,
            running: self.running.load(Ordering::Relaxed),
            times: self.times.read(),
            upstream_times: self.upstream_times.read(),
            upstream_answers: from_fn(|class| self.upstream_answers[class].load(Ordering::Relaxed)),
            request_bytes: self.request_bytes.load(Ordering::Relaxed),
            response_bytes: self.response_bytes.load(Ordering::Relaxed),
        }
    }
}

impl Measured<'_> {
    /// The API answered.
    pub fn answered(&self, status: u16, time: Duration) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        self.server.upstream_answers[class].fetch_add(1, Ordering::Relaxed);
        self.server.upstream_times.observe(time);
    }

    /// The call came to its end. `unanswered` of its requests got no answer.
    pub fn end(&self, entry: &LedgerEntry, unanswered: u64) {
        let server = self.server;
        self.tool.count(entry.status);
        if let Some(consumer) = entry.caller.consumer {
            let most = self.meters.0.bounds.consumers_max;
            let consumers = &self.meters.0.consumers;
            consumers.count(consumer, entry.status, most);
        }
        // What nobody carried out took no time.
        if entry.status != LedgerStatus::Closed {
            server.times.observe(entry.total_time);
        }
        let bytes = [
            (&server.request_bytes, entry.request_bytes),
            (&server.response_bytes, entry.response_bytes),
            (&server.upstream_answers[CLASSES.len() - 1], unanswered),
        ];
        for (sum, more) in bytes.into_iter().filter(|(_, more)| *more > 0) {
            sum.fetch_add(more, Ordering::Relaxed);
        }
    }
}

impl Drop for Measured<'_> {
    fn drop(&mut self) {
        self.server.running.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use crate::access::ledger::Called;

    use super::*;
    use crate::access::caller::Caller;
    use crate::types::{OrganizationId, VersionId};

    fn id(number: u128) -> ServerId {
        ServerId(uuid::Uuid::from_u128(number))
    }

    fn call(meters: &Meters, server: u128, tool: &str) {
        let metered = meters.of(id(server), 0);
        meters
            .begin(&metered, (0, tool))
            .tool
            .count(LedgerStatus::Ok);
    }

    fn entry(status: LedgerStatus) -> LedgerEntry {
        LedgerEntry {
            organization: OrganizationId::DEFAULT,
            caller: Caller::anonymous(),
            at: chrono::DateTime::UNIX_EPOCH,
            called: Called::Tool {
                server: id(1),
                version: VersionId(uuid::Uuid::nil()),
                name: "a".to_owned(),
            },
            trace_id: String::new(),
            status,
            upstream_status: None,
            request_bytes: 1,
            response_bytes: 0,
            upstream_time: Duration::ZERO,
            total_time: Duration::from_micros(7),
            attempts: 0,
            tokens_output: None,
            cost_nanos: None,
        }
    }

    #[test]
    fn what_nobody_carried_out_took_no_time() {
        let meters = Meters::default();
        let metered = meters.of(id(1), 0);
        for status in [LedgerStatus::Ok, LedgerStatus::Closed] {
            meters.begin(&metered, (0, "a")).end(&entry(status), 0);
        }
        let (_, counts) = meters.servers().remove(0);
        assert_eq!(counts.tools, [("a".to_owned(), [1, 0, 0, 0, 0, 1])]);
        assert_eq!(counts.times.counts.iter().sum::<u64>(), 1);
        assert_eq!(counts.times.micros, 7);
    }

    /// A server and its tools, by name and calls that were fine.
    type Counted = (Option<ServerId>, Vec<(String, u64)>);

    fn counted(meters: &Meters) -> Vec<Counted> {
        let servers = meters.servers().into_iter();
        let mut counted: Vec<_> = servers
            .map(|(id, counts)| {
                let tools = counts.tools.into_iter().map(|(name, n)| (name, n[0]));
                (id, tools.collect::<Vec<_>>())
            })
            .collect();
        counted.sort();
        counted
    }

    #[test]
    fn what_is_beyond_the_bounds_is_counted_together() {
        let meters = Meters::within(Bounds {
            servers_max: 2,
            tools_max: 3,
            consumers_max: 1,
        });
        for (server, tool) in [(1, "a"), (1, "b"), (1, "a"), (2, "a"), (2, "b"), (3, "a")] {
            call(&meters, server, tool);
        }
        let tool = |name: &str, calls| (name.to_owned(), calls);
        let expected = [
            (None, vec![tool(OTHER, 1)]),
            (Some(id(1)), vec![tool("a", 2), tool("b", 1)]),
            (Some(id(2)), vec![tool("a", 1), tool(OTHER, 1)]),
        ];
        assert_eq!(counted(&meters), expected);
        // Who is gone makes room.
        meters.keep(|server| server == id(2));
        call(&meters, 2, "b");
        call(&meters, 4, "other");
        let expected = [
            (None, vec![tool(OTHER, 1)]),
            (
                Some(id(2)),
                vec![tool("a", 1), tool("b", 1), tool(OTHER, 1)],
            ),
            (Some(id(4)), vec![tool(OTHER, 1)]),
        ];
        assert_eq!(counted(&meters), expected);
    }

    #[test]
    fn a_time_is_counted_in_the_bucket_that_ends_with_it_or_after_it() {
        let histogram = Histogram::default();
        for micros in [0, 1_000, 1_001, 60_000_000, 60_000_001] {
            histogram.observe(Duration::from_micros(micros));
        }
        let times = histogram.read();
        assert_eq!((times.counts[0], times.counts[1]), (2, 1));
        assert_eq!(times.counts[14..], [1, 1]);
        assert_eq!(times.micros, 120_002_002);
    }
}
