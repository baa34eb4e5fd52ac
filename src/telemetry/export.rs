//! Sends spans and measures to a collector by OTLP over HTTP. Calls never wait for it: spans that cannot be sent are
//! tried again a few times and then counted as lost, and meanwhile the bounded queue drops what is new. Measures count
//! from the beginning, so that the next ones make up for those that were lost.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::egress::{AllowRule, Egress, EgressSettings, Patience};
use crate::telemetry::{Counts, Measure, Span, otlp};
use crate::types::{Clock, UpstreamRequest};

/// Spans of one request, and how long the first of them waits for more.
const BATCH_MAX: usize = 512;
const BATCH_WAIT: Duration = Duration::from_secs(2);
/// How long a collector may take for one request, and for the last one.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
const LAST_TIMEOUT: Duration = Duration::from_secs(2);
/// Waits between tries.
const RETRY_AFTER: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];
const ANSWER_BYTES_MAX: usize = 64 << 10;
const HEADERS_BYTES_MAX: u64 = 64 << 10;
/// How often an outage is logged.
const COMPLAIN_EVERY: Duration = Duration::from_mins(1);

/// What a collector takes, each at a path of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Traces,
    Metrics,
}

impl Signal {
    fn path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Metrics => "/v1/metrics",
        }
    }
}

/// Where one signal is sent.
pub struct Collector {
    egress: Egress,
    url: Url,
    headers: HeaderMap,
}

/// Why a collector cannot be used. Never tells a header's value.
#[derive(Debug, thiserror::Error)]
pub enum CollectorError {
    #[error("{0} is no http:// or https:// URL of a collector")]
    Url(Url),
    #[error("the file with its headers cannot be read: {0}")]
    File(#[from] std::io::Error),
    #[error("line {0} of the file with its headers is not `Name: value`")]
    Header(usize),
}

impl Collector {
    /// A collector at an OTLP endpoint, such as `http://localhost:4318`; headers are in a file, one a line.
    pub fn open(
        endpoint: &Url,
        signal: Signal,
        headers: Option<&Path>,
    ) -> Result<Self, CollectorError> {
        let unusable = || CollectorError::Url(without_secret(endpoint));
        let mut url = endpoint.clone();
        let plain = matches!(url.scheme(), "http" | "https") && url.password().is_none();
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(unusable());
        };
        let rule: AllowRule = format!("{host}:{port}").parse().map_err(|_| unusable())?;
        if !plain || !url.username().is_empty() {
            return Err(unusable());
        }
        let path = url.path().trim_end_matches('/');
        // Some say where traces go, as that is all there is to say elsewhere.
        let base = path.strip_suffix(Signal::Traces.path()).unwrap_or(path);
        let path = format!("{base}{}", signal.path());
        url.set_path(&path);
        let mut headers = headers.map_or(Ok(HeaderMap::new()), read_headers)?;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // The operator named this destination, and it is the only one.
        let egress = Egress::new(EgressSettings {
            allow: vec![rule],
            first_byte_timeout: ANSWER_TIMEOUT,
            body_bytes_max: ANSWER_BYTES_MAX,
            ..EgressSettings::default()
        });
        Ok(Self {
            egress,
            url,
            headers,
        })
    }

    /// Whether it took a request, or may take it later; `Err` says why not.
    async fn take(&self, body: &str, timeout: Duration) -> Result<(), Refused> {
        let request = UpstreamRequest {
            method: Method::POST,
            url: self.url.clone(),
            headers: self.headers.clone(),
            body: body.to_owned().into(),
        };
        let cancel = CancellationToken::new();
        let patience = Patience {
            deadline: Instant::now() + timeout,
            cancel: &cancel,
        };
        let upstream = self.egress.upstream(&[]);
        let sent = self.egress.send(&upstream, request, patience).await;
        let answer = sent.map_err(|error| Refused {
            why: error.to_string(),
            for_good: false,
        })?;
        if answer.status.is_success() {
            return Ok(());
        }
        Err(Refused {
            why: format!("status {}", answer.status),
            for_good: !is_passing(answer.status),
        })
    }
}

/// As the protocol says which answers may be tried again.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

struct Refused {
    why: String,
    for_good: bool,
}

fn without_secret(url: &Url) -> Url {
    let mut shown = url.clone();
    // What cannot have them has none.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    shown
}

fn read_headers(path: &Path) -> Result<HeaderMap, CollectorError> {
    use std::io::Read;
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    file.take(HEADERS_BYTES_MAX).read_to_string(&mut text)?;
    let mut headers = HeaderMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let parsed = line.split_once(':').and_then(|(name, value)| {
            let name = HeaderName::try_from(name.trim()).ok()?;
            let mut value = HeaderValue::try_from(value.trim()).ok()?;
            value.set_sensitive(true);
            Some((name, value))
        });
        let (name, value) = parsed.ok_or(CollectorError::Header(number + 1))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

/// When an outage was logged last.
#[derive(Default)]
struct Complaints(Option<Instant>);

impl Complaints {
    /// Whether it is time to log it, which is done then.
    fn are_due(&mut self) -> bool {
        let due = self.0.is_none_or(|at| at.elapsed() > COMPLAIN_EVERY);
        if due {
            self.0 = Some(Instant::now());
        }
        due
    }
}

/// Sends until nobody can hand in spans any more, then what is left, and returns.
pub async fn export(
    collector: Collector,
    mut queue: mpsc::Receiver<Vec<Span>>,
    counts: Arc<Counts>,
    stop: CancellationToken,
) {
    let mut complaints = Complaints::default();
    while let Some(spans) = queue.recv().await {
        let batch = gather(spans, &mut queue, &stop).await;
        let count = batch.len() as u64;
        let body = otlp::request(&batch);
        drop(batch);
        let Err(refused) = send(&collector, &body, &stop).await else {
            counts.exported.fetch_add(count, Ordering::Relaxed);
            continue;
        };
        counts.failed.fetch_add(count, Ordering::Relaxed);
        if complaints.are_due() {
            tracing::warn!(why = %refused.why, "the collector of spans does not take them");
        }
        if stop.is_cancelled() {
            // It will not take the rest either, and the process waits.
            queue.close();
            while let Ok(rest) = queue.try_recv() {
                let count = rest.len() as u64;
                counts.failed.fetch_add(count, Ordering::Relaxed);
            }
        }
    }
}

/// Sends what `read` gives, so often and once more at the end.
pub async fn export_measures(
    collector: Collector,
    (every, read): (Duration, impl Fn() -> Vec<Measure>),
    clock: Clock,
    stop: CancellationToken,
) {
    let mut complaints = Complaints::default();
    loop {
        stop.run_until_cancelled(tokio::time::sleep(every)).await;
        let measures = read();
        if !measures.is_empty() {
            let body = otlp::measures(&measures, clock.moment());
            if let Err(refused) = send(&collector, &body, &stop).await
                && complaints.are_due()
            {
                tracing::warn!(why = %refused.why, "the collector of measures does not take them");
            }
        }
        if stop.is_cancelled() {
            return;
        }
    }
}

/// A batch: full, or as old as it may get. Nobody waits for more once the process ends.
async fn gather(
    mut batch: Vec<Span>,
    queue: &mut mpsc::Receiver<Vec<Span>>,
    stop: &CancellationToken,
) -> Vec<Span> {
    let deadline = tokio::time::sleep(BATCH_WAIT);
    tokio::pin!(deadline);
    while batch.len() < BATCH_MAX {
        tokio::select! {
            biased;
            more = queue.recv() => match more {
                Some(spans) => batch.extend(spans),
                None => break,
            },
            () = stop.cancelled() => break,
            () = &mut deadline => break,
        }
    }
    batch
}

/// Tries, and tries again while the process serves.
async fn send(collector: &Collector, body: &str, stop: &CancellationToken) -> Result<(), Refused> {
    for wait in RETRY_AFTER {
        if stop.is_cancelled() {
            break;
        }
        match collector.take(body, ANSWER_TIMEOUT).await {
            Err(refused) if !refused.for_good => {}
            ended => return ended,
        }
        stop.run_until_cancelled(tokio::time::sleep(wait)).await;
    }
    let timeout = if stop.is_cancelled() {
        LAST_TIMEOUT
    } else {
        ANSWER_TIMEOUT
    };
    collector.take(body, timeout).await
}
