//! Spans: what a call was made of and how long each part took, for a collector that speaks OTLP; and measures, which it
//! is told from time to time.
//!
//! A span holds names, times, numbers and statuses. It never holds an argument, a body, a header, a secret,
//! or a URL as it was sent: a path is told as its template. Where nothing is exported, or a call is not
//! sampled, there is no span, and nothing is counted or kept.

pub mod export;
mod otlp;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::mpsc;

use crate::types::{Clock, Moment, Parent, Slug};

/// Calls whose spans wait to be exported.
pub const QUEUE_MAX: usize = 2_048;
/// Spans of one call.
const SPANS_MAX: usize = 32;

/// Where spans go. Cheap to clone; off by default.
#[derive(Clone, Default)]
pub struct Telemetry(Option<Arc<Sending>>);

struct Sending {
    queue: mpsc::Sender<Vec<Span>>,
    /// Of all trace ids, those whose last seven bytes are below it are sampled.
    below: u64,
    clock: Clock,
    counts: Arc<Counts>,
}

/// How many spans there were.
#[derive(Debug, Default)]
pub struct Counts {
    pub exported: AtomicU64,
    /// There was no room for them.
    pub dropped: AtomicU64,
    /// The collector did not take them.
    pub failed: AtomicU64,
}

/// What one value of a span is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Text(String),
    Number(i64),
    Texts(Vec<String>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

pub type Attributes = Vec<(&'static str, Value)>;

/// Whose side of an exchange a span is (OTLP `SpanKind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Internal = 1,
    Server = 2,
    Client = 3,
}

/// One part of a call, ended.
#[derive(Clone, Debug)]
pub struct Span {
    pub trace: String,
    pub id: u64,
    pub parent: Option<u64>,
    pub name: String,
    pub kind: Kind,
    /// Nanoseconds since 1970.
    pub start: i64,
    pub end: i64,
    pub attributes: Attributes,
    /// What kind of error it ended with.
    pub error: Option<&'static str>,
}

/// How something is spread that is counted from some time on.
pub struct Measure {
    pub name: &'static str,
    /// In the words of UCUM.
    pub unit: &'static str,
    pub help: &'static str,
    pub points: Vec<Point>,
}

/// A histogram: where its buckets end, how many each of them holds, one more without an end, and the sum, in one unit.
pub struct Point {
    /// Since when it is counted.
    pub since: Instant,
    pub labels: Vec<(&'static str, String)>,
    pub ends: Vec<f64>,
    pub counts: Vec<u64>,
    pub sum: f64,
}

/// The spans of one call that is sampled, while it runs.
pub struct Recording {
    telemetry: Arc<Sending>,
    trace: String,
    parent: Option<u64>,
    /// The span of the call itself.
    pub root: u64,
    /// The server it is about, by its slug.
    pub about: String,
    began: Moment,
    spans: Vec<Span>,
}

impl Telemetry {
    /// Spans of a share of all calls, from nothing (0) to all (1), and the end an exporter reads them from.
    pub fn channel(ratio: f64, clock: Clock) -> (Self, mpsc::Receiver<Vec<Span>>, Arc<Counts>) {
        let (queue, receiver) = mpsc::channel(QUEUE_MAX);
        let counts = Arc::<Counts>::default();
        let sending = Sending {
            queue,
            below: below(ratio),
            clock,
            counts: counts.clone(),
        };
        (Self(Some(Arc::new(sending))), receiver, counts)
    }

    /// How many spans were exported, dropped and refused; `None` where there are none.
    pub fn counts(&self) -> Option<[u64; 3]> {
        let counts = &self.0.as_ref()?.counts;
        let each = [&counts.exported, &counts.dropped, &counts.failed];
        Some(each.map(|count| count.load(Ordering::Relaxed)))
    }

    /// Begins to record a call, if it is sampled: as its parent was, or else by its trace id, so that all who
    /// take part in a trace decide alike.
    pub fn begin(&self, trace: &str, parent: Option<Parent>) -> Option<Recording> {
        let sending = self.0.as_ref()?;
        let sampled = match parent {
            Some(parent) => parent.sampled,
            None => tail(trace)? < sending.below,
        };
        sampled.then(|| Recording {
            telemetry: sending.clone(),
            trace: trace.to_owned(),
            parent: parent.map(|parent| parent.span),
            root: span_id(),
            about: String::new(),
            began: sending.clock.moment(),
            spans: Vec::new(),
        })
    }
}

/// The last seven bytes of a trace id, which are random (W3C Trace Context Level 2).
fn tail(trace: &str) -> Option<u64> {
    u64::from_str_radix(trace.get(18..)?, 16).ok()
}

const ALL: u64 = 1 << 56;

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of 2^56, between nothing and all of it"
)]
fn below(ratio: f64) -> u64 {
    (ratio.clamp(0.0, 1.0) * ALL as f64) as u64
}

/// A fresh id, never 0: an id of version 7 has a bit set among its last eight bytes.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the last eight bytes are the random ones"
)]
pub fn span_id() -> u64 {
    uuid::Uuid::now_v7().as_u128() as u64
}

impl Recording {
    /// Says which server it is about.
    #[must_use]
    pub fn of(mut self, server: &Slug) -> Self {
        server.as_str().clone_into(&mut self.about);
        self
    }

    /// Notes a part of the call that began at `began` and ends now.
    pub fn add(&mut self, (id, name, kind): (u64, String, Kind), began: Instant, rest: Rest) {
        if self.spans.len() >= SPANS_MAX {
            return;
        }
        let span = Span {
            trace: self.trace.clone(),
            id,
            parent: Some(self.root),
            name,
            kind,
            start: self.began.nanos_of(began),
            end: self.began.nanos_of(Instant::now()),
            attributes: rest.attributes,
            error: rest.error,
        };
        self.spans.push(span);
    }

    /// The call ended: its spans are handed over. Never waits: where there is no room, they are dropped, and
    /// counted.
    pub fn end(mut self, name: String, rest: Rest) {
        let root = Span {
            trace: self.trace.clone(),
            id: self.root,
            parent: self.parent,
            name,
            kind: Kind::Server,
            start: self.began.nanos_of(self.began.at),
            end: self.began.nanos_of(Instant::now()),
            attributes: rest.attributes,
            error: rest.error,
        };
        self.spans.push(root);
        let count = self.spans.len() as u64;
        if self.telemetry.queue.try_send(self.spans).is_err() {
            let dropped = &self.telemetry.counts.dropped;
            dropped.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// What a request that belongs to the span `id` says of it.
    pub fn traceparent(&self, id: u64) -> String {
        format!("00-{}-{id:016x}-01", self.trace)
    }
}

/// What else is said of a span.
#[derive(Clone, Debug, Default)]
pub struct Rest {
    pub attributes: Attributes,
    pub error: Option<&'static str>,
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_share_of_traces_is_sampled_and_parents_decide_for_theirs() {
        let clock = Clock::from_fn(|| DateTime::from_timestamp(1_000, 0).unwrap());
        let sampled = |ratio: f64, parent| {
            let (telemetry, _queue, _) = Telemetry::channel(ratio, clock.clone());
            (0..1_000_u64)
                .filter(|n| {
                    let tail = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 8;
                    let trace = format!("4bf92f3577b34da6a3{tail:014x}");
                    telemetry.begin(&trace, parent).is_some()
                })
                .count()
        };
        assert_eq!((sampled(1.0, None), sampled(0.0, None)), (1_000, 0));
        assert!((200..300).contains(&sampled(0.25, None)));
        let parent = |sampled| Some(Parent { span: 1, sampled });
        assert_eq!(sampled(0.0, parent(true)), 1_000);
        assert_eq!(sampled(1.0, parent(false)), 0);
        assert!(Telemetry::default().begin(TRACE, parent(true)).is_none());
    }

    #[test]
    fn what_has_no_room_is_dropped_and_counted() {
        let clock = Clock::from_fn(|| DateTime::from_timestamp(1_000, 0).unwrap());
        let (telemetry, mut queue, _) = Telemetry::channel(1.0, clock);
        for _ in 0..QUEUE_MAX + 3 {
            let recording = telemetry.begin(TRACE, None).unwrap();
            recording.end("call".to_owned(), Rest::default());
        }
        assert_eq!(telemetry.counts(), Some([0, 3, 0]));
        let spans = queue.try_recv().unwrap();
        assert_eq!(spans.len(), 1);
        assert_eq!(spans[0].start, 1_000_000_000_000);
        assert!(spans[0].end >= spans[0].start);
    }
}
