//! What one call cost, handed to the ledger exactly once: when the account is dropped, however the
//! call ended. A call that is dropped half-way was cancelled.

use std::time::{Duration, Instant};

use crate::access::ledger::{Called, Ledger, LedgerEntry, LedgerStatus};
use crate::access::limit::Cost;
use crate::access::meter::Measured;
use crate::egress::EgressError;
use crate::mcp::call::exchange::Work;
use crate::mcp::call::failure::Failure;
use crate::mcp::call::spans::{self, Leaving};
use crate::mcp::call::trace::Seen;
use crate::mcp::provider::{CallOutcome, Content, ResourceBody, ToolCall, ToolOutcome};
use crate::mcp::server::Provider;
use crate::telemetry::Recording;
use crate::tokens;
use crate::types::{UpstreamRequest, UpstreamResponse};

/// The open account of a call.
pub(crate) struct Account<'a> {
    ledger: Option<&'a Ledger>,
    measured: Option<Measured<'a>>,
    entry: Option<LedgerEntry>,
    /// Requests that were answered.
    answers: u32,
    started: Instant,
    /// Kept only for a call that is sampled.
    recording: Option<Box<Recording>>,
    /// Kept only for a call that is explained.
    pub(crate) seen: Option<Seen>,
    /// Billionths of a dollar, where calls have a price.
    price: Option<u64>,
    /// Nothing has to be sent.
    is_native: bool,
}

impl<'a> Account<'a> {
    /// Opens the account of a call. From here on it will be settled.
    pub(crate) fn open(work: &Work<'a>, call: &ToolCall) -> Self {
        let meters = &work.cx.meters;
        let metered = work.server.metered.get_or_init(|| {
            let tools = work.server.tools.len();
            meters.of(work.server.id, tools)
        });
        let tool = work.tool.def.name.as_str();
        Self {
            ledger: Some(&work.cx.ledger),
            measured: Some(meters.begin(metered, (work.place, tool))),
            answers: 0,
            recording: work
                .cx
                .telemetry
                .begin(&work.context.trace_id, work.context.parent)
                .map(|recording| Box::new(recording.of(&work.server.slug))),
            entry: Some(LedgerEntry {
                organization: work.server.organization,
                caller: work.caller.clone(),
                at: work.cx.clock.now(),
                called: Called::Tool {
                    server: work.server.id,
                    version: work.server.version,
                    name: tool.to_owned(),
                },
                trace_id: work.context.trace_id.clone(),
                status: LedgerStatus::Cancelled,
                upstream_status: None,
                request_bytes: call.arguments.as_ref().map_or(0, |a| a.get().len() as u64),
                response_bytes: 0,
                upstream_time: Duration::ZERO,
                total_time: Duration::ZERO,
                attempts: 0,
                tokens_output: None,
                cost_nanos: None,
            }),
            started: Instant::now(),
            seen: None,
            price: Some(work.cost(0).nanos).filter(|nanos| *nanos > 0),
            is_native: matches!(work.server.provider, Provider::Native(_)),
        }
    }

    /// An account of which the ledger never hears: nothing is sent.
    pub(crate) fn rehearsal() -> Self {
        Self {
            ledger: None,
            measured: None,
            answers: 0,
            recording: None,
            entry: None,
            started: Instant::now(),
            seen: Some(Seen::default()),
            price: None,
            is_native: false,
        }
    }

    /// When a part of the call begins, if anybody wants to know.
    pub(crate) fn mark(&self) -> Option<Instant> {
        self.recording.is_some().then(Instant::now)
    }

    /// A part of the call that began then has ended.
    pub(crate) fn spent(&mut self, began: Option<Instant>, part: &'static str) {
        if let Some((recording, began)) = self.recording.as_mut().zip(began) {
            spans::part(recording, began, part);
        }
    }

    /// A request leaves. What it says of the trace it belongs to is its own span, where the server lets a
    /// `traceparent` through at all.
    pub(crate) fn leaving(
        &self,
        work: &Work<'_>,
        request: &mut UpstreamRequest,
    ) -> Option<Leaving> {
        let recording = self.recording.as_ref()?;
        Some(Leaving::of(recording, work, request, self.attempts()))
    }

    /// The request was answered, or was not.
    pub(crate) fn arrived(
        &mut self,
        leaving: Option<Leaving>,
        sent: &Result<UpstreamResponse, EgressError>,
    ) {
        if let Some((recording, leaving)) = self.recording.as_mut().zip(leaving) {
            leaving.arrived(recording, sent);
        }
    }

    fn attempts(&self) -> u32 {
        self.entry.as_ref().map_or(0, |entry| entry.attempts)
    }

    pub(crate) fn planned(&mut self, healed: Vec<String>) {
        if let Some(seen) = &mut self.seen {
            seen.healed = healed;
        }
    }

    /// The request goes out. `shown` is how a trace shows it, with a mark for each credential.
    pub(crate) fn sending(&mut self, shown: impl FnOnce() -> UpstreamRequest) {
        if let Some(entry) = &mut self.entry {
            entry.attempts += 1;
        }
        if let Some(seen) = &mut self.seen {
            seen.request = Some(shown());
        }
    }

    pub(crate) fn answered(&mut self, response: &UpstreamResponse) {
        if let Some(entry) = &mut self.entry {
            entry.upstream_status = Some(response.status.as_u16());
            entry.response_bytes += response.body.len() as u64;
            entry.upstream_time += response.total;
        }
        self.answers += 1;
        if let Some(measured) = &self.measured {
            measured.answered(response.status.as_u16(), response.total);
        }
        if let Some(seen) = &mut self.seen {
            seen.status = Some(response.status.as_u16());
            seen.first_byte = response.first_byte;
            seen.upstream = response.total;
        }
    }

    /// What the call costs: nothing where nothing was sent. Tokens are counted only for whom they matter.
    pub(crate) fn cost(
        &mut self,
        work: &Work<'_>,
        counts_tokens: bool,
        outcome: Option<&CallOutcome>,
    ) -> Cost {
        let tokens = match outcome {
            Some(CallOutcome::Complete(outcome)) if counts_tokens => read(outcome),
            _ => 0,
        };
        if let Some(entry) = &mut self.entry {
            entry.tokens_output = counts_tokens.then_some(tokens);
        }
        if self.is_sent() {
            work.cost(tokens)
        } else {
            Cost::default()
        }
    }

    /// Whether the API heard of the call.
    fn is_sent(&self) -> bool {
        self.is_native || self.attempts() > 0
    }

    /// The call came to an end before anything of it: its server is closed. It costs nothing.
    pub(crate) fn turn_away(mut self) {
        self.price = None;
        if let Some(entry) = &mut self.entry {
            entry.status = LedgerStatus::Closed;
        }
    }

    /// The call came to an end.
    pub(crate) fn settle(&mut self, result: &Result<CallOutcome, Failure>) {
        let status = match result {
            Ok(CallOutcome::Complete(outcome)) if outcome.is_error => LedgerStatus::ToolError,
            Ok(_) => LedgerStatus::Ok,
            Err(failure) => failure.status(),
        };
        if let Some(entry) = &mut self.entry {
            entry.status = status;
        }
    }
}

/// The tokens of what a model reads of a result.
fn read(outcome: &ToolOutcome) -> u64 {
    let texts = outcome.content.iter().map(|content| match content {
        Content::Text(text) => tokens::estimate(text),
        Content::Resource(resource) => match &resource.body {
            ResourceBody::Text(text) => tokens::estimate(text),
            ResourceBody::Blob(_) => 0,
        },
        _ => 0,
    });
    texts.sum::<usize>() as u64
}

impl Drop for Account<'_> {
    fn drop(&mut self) {
        let cost = self
            .price
            .map(|price| if self.is_sent() { price } else { 0 });
        if let (Some(ledger), Some(mut entry)) = (self.ledger, self.entry.take()) {
            entry.cost_nanos = cost;
            entry.total_time = self.started.elapsed();
            if let Some(measured) = &self.measured {
                let unanswered = entry.attempts.saturating_sub(self.answers);
                measured.end(&entry, unanswered.into());
            }
            if let Some(recording) = self.recording.take() {
                spans::end(*recording, &entry);
            }
            ledger.record(entry);
        }
    }
}
