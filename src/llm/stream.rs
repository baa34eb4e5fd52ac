//! A stream under way: held back until the answer begins, so that another target can take over, and from then on
//! passed on as it comes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use tokio::sync::mpsc;
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;

use crate::egress::Opened;
use crate::llm::account::{Account, Priced, Used};
use crate::llm::exchange::{Work, of_egress};
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::price::ServiceTier;
use crate::llm::proxy::Llm;
use crate::llm::relay::Relay;
use crate::llm::reserve::Reservation;
use crate::llm::route::{OnDisconnect, Times};
use crate::llm::usage::Usage;

/// Chunks of a stream that wait for its caller.
pub(crate) const CHUNKS_MAX: usize = 16;
/// What is held back at most before an answer has begun.
const HELD_BYTES_MAX: usize = 1 << 20;
/// For how long the rest of an answer is read whose caller left.
const DRAIN_TIME: Duration = Duration::from_secs(30);

/// A provider's stream, on its way.
pub(crate) struct Flow {
    opened: Opened,
    relay: Relay,
    /// Written, and not sent yet.
    out: Vec<u8>,
    /// The provider has sent everything.
    over: bool,
    array: bool,
    times: Times,
    on_disconnect: OnDisconnect,
    deadline: Instant,
    /// Nobody is answered any more.
    ending: CancellationToken,
}

impl Flow {
    /// Reads until the answer has begun, or does not before `until`.
    pub(crate) async fn begin(
        relay: Relay,
        opened: Opened,
        work: &Work<'_>,
        until: Instant,
    ) -> Self {
        let mut flow = Self {
            opened,
            relay,
            out: Vec::with_capacity(1024),
            over: false,
            array: work.question.stream.is_some_and(|stream| stream.array),
            times: work.settings.times,
            on_disconnect: work.settings.on_disconnect,
            deadline: work.deadline,
            ending: work.cx.over.clone(),
        };
        while !flow.over && !flow.relay.seen().begun && flow.out.len() < HELD_BYTES_MAX {
            flow.read(until).await;
        }
        flow
    }

    /// Why it did not begin, if so: nothing of it has reached the caller. And whether it is paid for all the same.
    pub(crate) fn unbegun(&self) -> Option<(Fault, bool)> {
        let seen = self.relay.seen();
        let fault = seen.fault.as_ref().filter(|_| !seen.begun)?;
        Some((
            fault.clone(),
            seen.usage.is_some_and(|used| used != Usage::default()),
        ))
    }

    /// What the caller is told it gets.
    pub(crate) fn content_type(&self) -> &'static str {
        if self.array {
            "application/json"
        } else {
            "text/event-stream"
        }
    }

    /// Takes in what comes next, or the end of it.
    async fn read(&mut self, until: Instant) {
        let until = until.min(self.deadline);
        let next = timeout_at(until.into(), self.opened.chunk());
        let fault = match self.ending.run_until_cancelled(next).await {
            None => Some(Fault::ending()),
            Some(Ok(Ok(Some(bytes)))) => {
                self.relay.push(&bytes, &mut self.out);
                if self.relay.seen().fault.is_none() {
                    return;
                }
                None
            }
            Some(Ok(Ok(None))) => None,
            Some(Ok(Err(error))) => Some(of_egress(&error)),
            Some(Err(_)) => Some(Fault::new(
                FaultClass::Stalled,
                "the provider stopped in the middle of its answer",
            )),
        };
        self.relay.finish(fault, &mut self.out);
        self.over = true;
    }

    fn idle_until(&self) -> Instant {
        Instant::now() + self.times.idle()
    }
}

/// Whether an answer comes as a stream, as far as it says.
pub(crate) fn is_stream(opened: &Opened) -> bool {
    let media = media(&opened.headers);
    media.is_empty() || streams(media)
}

/// Whether that is the media type of a stream.
pub(crate) fn streams(media: &str) -> bool {
    media.starts_with("text/event-stream")
        || media.starts_with("application/vnd.amazon.eventstream")
}

/// The media type of a body, with its parameters; empty where nothing is said.
pub(crate) fn media(headers: &HeaderMap) -> &str {
    let media = headers.get(CONTENT_TYPE);
    media
        .and_then(|media| media.to_str().ok())
        .unwrap_or_default()
}

/// Passes a stream on to its end, accounts for it and settles what was reserved. A caller that leaves ends it, at once or once the rest is read.
pub(crate) async fn pump(
    cx: Arc<Llm>,
    (mut flow, sender): (Flow, mpsc::Sender<Bytes>),
    (mut account, reservation): (Account, Option<Reservation>),
    (priced, tier): (Priced, ServiceTier),
) {
    let left = !pass(&mut flow, &sender, &mut account).await;
    drop(sender);
    if left && flow.on_disconnect == OnDisconnect::Drain {
        let until = flow.deadline.min(Instant::now() + DRAIN_TIME);
        while !flow.over && Instant::now() < until {
            flow.read(until).await;
            flow.out.clear();
        }
    }
    let seen = flow.relay.seen();
    let used = Used {
        told: seen.usage,
        complete: seen.ended,
        estimate: seen.pieces,
        tier: seen.tier.unwrap_or(tier),
    };
    let cost = account.used(&used, (&cx.prices, &priced));
    if account.is_recorded() {
        if let Some(model) = &seen.model {
            account.answers_with(model);
        }
        if let Some(stop) = &seen.stop {
            account.stopped(stop);
        }
    }
    match &seen.fault {
        Some(fault) => account.failed(fault),
        None if left => {}
        None => account.done(),
    }
    drop(account);
    // The caller has everything by now.
    if let Some(reservation) = reservation {
        reservation.settle(cost).await;
    }
}

/// `false`: the caller left.
async fn pass(flow: &mut Flow, sender: &mpsc::Sender<Bytes>, account: &mut Account) -> bool {
    loop {
        if !flow.out.is_empty() {
            let chunk = Bytes::from(std::mem::take(&mut flow.out));
            let passed = chunk.clone();
            // A caller that does not read is one that left.
            match timeout_at(flow.deadline.into(), sender.send(chunk)).await {
                Ok(Ok(())) => account.passed(&passed),
                Ok(Err(_)) | Err(_) => return false,
            }
        }
        if flow.over {
            return true;
        }
        let until = flow.idle_until();
        tokio::select! {
            biased;
            () = sender.closed() => return false,
            () = flow.read(until) => {}
        }
    }
}
