//! What one request for an answer cost, handed to the ledger exactly once: when the account is dropped, however the
//! request ended. One that is dropped half-way was cancelled.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::access::caller::Caller;
use crate::access::ledger::{Called, Ledger, LedgerEntry, LedgerStatus, ModelCall};
use crate::access::limit::Cost;
use crate::egress::Opened;
use crate::llm::answer::Stop;
use crate::llm::canary::SHADOW;
use crate::llm::choice::Counted;
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::live::{LiveModel, LiveProvider};
use crate::llm::price::{self, Price, PriceBook, ServiceTier};
use crate::llm::proxy::Llm;
use crate::llm::usage::Usage;
use crate::llm::watch::{Opening, Watched};
use crate::types::UpstreamRequest;

/// Bytes of a request that make a token, where nobody counts them.
pub(crate) const BYTES_PER_TOKEN: u64 = 4;
/// The most that one request costs, in nano-dollars: a million dollars.
const COST_MAX: u64 = 1_000_000_000_000_000;
/// What is kept of a model's name.
const NAME_CHARS_MAX: usize = 200;

/// Whose prices an answer has.
pub(crate) struct Priced {
    /// A provider's list.
    pub(crate) list: String,
    /// As the provider names it.
    pub(crate) model: String,
}

/// What an answer used, as far as it is known.
pub(crate) struct Used {
    /// What the provider says, the last time it does.
    pub(crate) told: Option<Usage>,
    /// The answer came to its end, so that what is told is all of it.
    pub(crate) complete: bool,
    /// Tokens of the answer, where nobody says it.
    pub(crate) estimate: u64,
    /// What was paid for, by the answer or else by the request.
    pub(crate) tier: ServiceTier,
}

impl Used {
    fn usage(&self, request_bytes: u64) -> Usage {
        let usage = match self.told {
            Some(told) if self.complete => told,
            Some(told) => Usage {
                output: told.output.max(self.estimate),
                ..told
            },
            None => Usage {
                input: request_bytes / BYTES_PER_TOKEN,
                output: self.estimate,
                ..Usage::default()
            },
        };
        usage.bounded()
    }
}

/// The open account of a request.
pub(crate) struct Account {
    ledger: Ledger,
    entry: Option<LedgerEntry>,
    call: ModelCall,
    started: Instant,
    /// A provider began an answer that cannot be read: it may have been paid for.
    lost: u64,
    /// The provider that was asked last refused an access token that gets a successor.
    renews: bool,
    /// Who is told what is handed to the ledger.
    receipt: Option<oneshot::Sender<LedgerEntry>>,
    watched: Watched,
    counted: Option<Counted>,
}

impl Account {
    /// Opens the account of whatever is asked of a model. From here on it will be settled.
    pub(crate) fn begin(cx: &Llm, caller: &Caller, opening: &Opening<'_>) -> Self {
        Self {
            ledger: cx.ledger.clone(),
            entry: Some(LedgerEntry {
                organization: caller.organization,
                caller: caller.clone(),
                at: cx.clock.now(),
                called: Called::Model(Box::default()),
                trace_id: opening.trace_id.to_owned(),
                status: LedgerStatus::Cancelled,
                upstream_status: None,
                request_bytes: 0,
                response_bytes: 0,
                upstream_time: Duration::ZERO,
                total_time: Duration::ZERO,
                attempts: 0,
                tokens_output: None,
                cost_nanos: None,
            }),
            call: ModelCall {
                model: kept(opening.model),
                ..ModelCall::default()
            },
            started: Instant::now(),
            lost: 0,
            renews: false,
            receipt: None,
            watched: Watched::begin((&cx.meters, &cx.telemetry), opening),
            counted: None,
        }
    }

    /// Tells somebody what is handed to the ledger, once it is.
    pub(crate) fn tell(&mut self, receipt: Option<oneshot::Sender<LedgerEntry>>) {
        self.receipt = receipt;
    }

    /// It was let in, for this model.
    pub(crate) fn admitted(&mut self, cx: &Llm, model: &LiveModel, body: &[u8]) {
        self.watched.admitted(model, body, &cx.redactor);
    }

    /// The request has so many bytes.
    pub(crate) fn asked_with(&mut self, bytes: usize) {
        if let Some(entry) = &mut self.entry {
            entry.request_bytes = bytes as u64;
        }
    }

    /// It is one of several arms of its model.
    pub(crate) fn of_arm(&mut self, name: Option<&str>) {
        self.call.arm = name.map(str::to_owned);
    }

    /// Whether nobody gets the answer.
    pub(crate) fn is_shadow(&self) -> bool {
        self.call.arm.as_deref() == Some(SHADOW)
    }

    /// The target that is asked is busy until the answer is over or another one is asked.
    pub(crate) fn keeps_busy(&mut self, counted: Counted) {
        self.counted = Some(counted);
    }

    /// A target is asked.
    pub(crate) fn asking(&mut self, provider: &LiveProvider, model: &str) {
        self.watched.asking(provider, model);
        self.renews = false;
        self.call.target = kept(&format!("{}/{model}", provider.name));
        if let Some(entry) = &mut self.entry {
            entry.attempts += 1;
        }
    }

    /// What was asked for is known only now.
    pub(crate) fn turned_out(&mut self, provider: &str, model: &str) {
        self.call.model = kept(&format!("{provider}/{model}"));
        self.call.target.clone_from(&self.call.model);
    }

    /// The request leaves for it.
    pub(crate) fn leaving(&mut self, request: &UpstreamRequest) {
        self.watched.leaving(request);
    }

    /// It answered.
    pub(crate) fn answered(&mut self, opened: &Opened) {
        let status = opened.status.as_u16();
        self.watched.answered(status, &opened.headers);
        if let Some(entry) = &mut self.entry {
            entry.upstream_status = Some(status);
            entry.upstream_time += opened.first_byte;
        }
    }

    /// What came of asking it; `None`: its answer begins.
    pub(crate) fn came_of_it(&mut self, class: Option<FaultClass>) {
        self.watched.came_of_it(class);
    }

    /// What the provider that answered last calls the request.
    pub(crate) fn provider_request(&self) -> Option<&str> {
        self.watched.provider_request()
    }

    /// Whether anybody wants to know what answered, and why it ended.
    pub(crate) fn is_recorded(&self) -> bool {
        self.watched.is_recorded()
    }

    /// The model that answers, as the provider names it.
    pub(crate) fn answers_with(&mut self, model: &str) {
        self.watched.answers_with(model);
    }

    /// Why the answer ended.
    pub(crate) fn stopped(&mut self, stop: &Stop) {
        self.watched.stopped(stop);
    }

    /// The first token of a stream is there.
    pub(crate) fn began(&mut self) {
        self.call
            .first_token
            .get_or_insert_with(|| self.started.elapsed());
        self.watched.streams();
    }

    /// So much went to the caller.
    pub(crate) fn passed(&mut self, bytes: &[u8]) {
        self.watched.passed(bytes);
        if let Some(entry) = &mut self.entry {
            entry.response_bytes += bytes.len() as u64;
        }
    }

    /// Whether nothing is wrong with the key that it refused.
    pub(crate) fn refused(&mut self, renews: bool) {
        self.renews = renews;
    }

    pub(crate) fn renews(&self) -> bool {
        self.renews
    }

    /// It began an answer that nobody can read.
    pub(crate) fn lost(&mut self) {
        self.lost += 1;
    }

    /// How many answers may have been paid for that are not there.
    pub(crate) fn lost_answers(&self) -> u64 {
        self.lost
    }

    /// What was used, and what that costs by a provider's list of prices: nothing is known where it has none. A
    /// tier without a price of its own costs what the standard one does: it is the caller who names it.
    pub(crate) fn used(&mut self, used: &Used, (book, priced): (&PriceBook, &Priced)) -> Cost {
        let Some(entry) = &mut self.entry else {
            return Cost::default();
        };
        let usage = used.usage(entry.request_bytes);
        self.call.estimated = !used.complete || used.told.is_none();
        self.call.tokens_input = Some(usage.input);
        self.call.tokens_cached = Some(usage.cached);
        let written = usage.cache_write.saturating_add(usage.cache_write_hour);
        self.call.tokens_cache_write = Some(written);
        self.call.tokens_reasoning = Some(usage.reasoning);
        entry.tokens_output = Some(usage.output);
        let at = |tier| book.price(&priced.list, &priced.model, tier);
        let price = at(used.tier).or_else(|| at(ServiceTier::Standard));
        let of = |price: &Price| price::cost(price, &usage, used.tier).0.min(COST_MAX);
        let nanos = price.as_ref().map(of);
        // What has no price may have cost anything; what is known of it counts.
        let is_all = |price: &Price| price.covers(&usage, used.tier);
        entry.cost_nanos = nanos.filter(|_| price.as_ref().is_some_and(is_all));
        Cost {
            tokens: usage.total(),
            nanos: nanos.unwrap_or_default(),
        }
    }

    /// Whether anybody was asked.
    pub(crate) fn has_asked(&self) -> bool {
        self.entry.as_ref().is_some_and(|entry| entry.attempts > 0)
    }

    /// It ended well.
    pub(crate) fn done(&mut self) {
        self.end(LedgerStatus::Ok);
    }

    /// It ended with a fault.
    pub(crate) fn failed(&mut self, fault: &Fault) {
        self.watched.failed(fault.class);
        let is_callers = matches!(fault.class, FaultClass::Invalid | FaultClass::Unsupported);
        if is_callers && !self.has_asked() && !self.is_shadow() {
            // What nobody was asked, because of what it is, says nothing of those who would have been.
            self.call.arm = None;
        }
        self.end(match fault.class {
            FaultClass::Timeout | FaultClass::Stalled => LedgerStatus::Timeout,
            _ if !self.has_asked() => LedgerStatus::Refused,
            _ => LedgerStatus::ToolError,
        });
    }

    fn end(&mut self, status: LedgerStatus) {
        if let Some(entry) = &mut self.entry {
            entry.status = status;
        }
    }
}

/// A name as it is kept: the caller's word, which may be anything.
fn kept(name: &str) -> String {
    let shown = name.chars().filter(|letter| !letter.is_control());
    shown.take(NAME_CHARS_MAX).collect()
}

impl Drop for Account {
    fn drop(&mut self) {
        if let Some(mut entry) = self.entry.take() {
            entry.total_time = self.started.elapsed();
            entry.called = Called::Model(Box::new(std::mem::take(&mut self.call)));
            self.watched.end(&entry);
            if let Some(receipt) = self.receipt.take() {
                // Whoever wanted it may have left.
                let _ = receipt.send(entry.clone());
            }
            self.ledger.record(entry);
        }
    }
}
