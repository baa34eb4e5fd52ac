//! The flow of one request for an answer: look, find the model, ask its targets in turn, pass the answer on, account.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::caller::Caller;
use crate::access::ledger::{Ledger, LedgerEntry};
use crate::access::limit::{Cost, Limiter};
use crate::egress::Egress;
use crate::llm::account::{Account, BYTES_PER_TOKEN, Used};
use crate::llm::arm::Arm;
use crate::llm::bodies::Redactor;
use crate::llm::choice::{Wanted, asker, in_order};
use crate::llm::dialect::{Dialect, Dropped, OwnTools, Told};
use crate::llm::exact::Counting;
use crate::llm::exchange::{Answering, Begun, Work, ask_target};
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::live::{LiveModel, Models};
use crate::llm::meter::ModelMeters;
use crate::llm::price::PriceBook;
use crate::llm::question::{Addressed, Question};
use crate::llm::reserve::{Admitted, From, Reservation, Sought, admit};
use crate::llm::shadow;
use crate::llm::stream;
use crate::llm::watch::Opening;
use crate::store::Store;
use crate::telemetry::Telemetry;
use crate::types::{Clock, Parent};

/// What every request of a process shares.
pub struct Llm {
    pub models: Models,
    pub egress: Egress,
    pub ledger: Ledger,
    /// Whose what callers keep at providers is.
    pub store: Store,
    /// What requests are counted in for whoever watches the process.
    pub meters: ModelMeters,
    /// Where spans of requests go.
    pub telemetry: Telemetry,
    /// What is hidden in bodies that are logged.
    pub redactor: Redactor,
    /// What lets requests in as long as their limits admit it.
    pub limiter: Limiter,
    /// What counts tokens exactly, where that decides something.
    pub counting: Counting,
    pub clock: Clock,
    pub prices: PriceBook,
    /// Streams under way, which the end of the process waits for.
    pub streams: TaskTracker,
    /// The process is to end: nothing is begun that nobody waits for.
    pub stop: CancellationToken,
    /// It ends now: nobody is answered any more.
    pub over: CancellationToken,
}

/// A request as it came in.
pub struct Asked {
    pub dialect: Dialect,
    pub addressed: Addressed,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Where it came from, if over a network.
    pub peer: Option<IpAddr>,
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// Where to send what is handed to the ledger, for somebody inside the process.
    pub receipt: Option<oneshot::Sender<LedgerEntry>>,
    /// The span of the caller's that it belongs to.
    pub parent: Option<Parent>,
}

/// What goes back.
pub struct Reply {
    /// `provider/model` of the one that answered.
    pub target: String,
    /// What it could not be told, and what of its answer the caller's dialect cannot say.
    pub dropped: Vec<Dropped>,
    /// What the provider calls the request.
    pub provider_request: Option<Box<str>>,
    pub body: ReplyBody,
}

pub enum ReplyBody {
    Whole(Bytes),
    Stream {
        content_type: &'static str,
        chunks: mpsc::Receiver<Bytes>,
    },
}

/// Answers a request. It is accounted for exactly once, also when the future is dropped; what was reserved for one
/// that is dropped before it is answered stays spent, because nobody knows what became of it.
///
/// # Errors
/// What is wrong with the request, or the fault of the last target that was asked.
pub async fn ask(cx: &Arc<Llm>, caller: &Caller, asked: Asked) -> Result<Reply, Fault> {
    let question = Question::read(asked.dialect, asked.body, asked.addressed)?;
    let opening = Opening {
        model: &question.model,
        operation: "chat",
        trace_id: &asked.trace_id,
        parent: asked.parent,
    };
    let mut account = Account::begin(cx, caller, &opening);
    account.tell(asked.receipt);
    account.asked_with(question.len());
    let from = From {
        caller,
        peer: asked.peer,
    };
    let sought = Sought {
        model: &question.model,
        tier: question.tier,
        most: &|room| question.bound(room.picture, room.output),
        searches: 0,
        body: Some(question.body()),
    };
    let Admitted {
        model,
        name,
        mut reservation,
    } = admit(cx, from, sought)
        .await
        .inspect_err(|fault| account.failed(fault))?;
    account.admitted(cx, &model, question.body());
    let settings = &model.settings;
    let work = Work {
        cx,
        question: &question,
        headers: &asked.headers,
        settings,
        name: &name,
        told: told(cx, &question, &asked.trace_id),
        deadline: Instant::now() + settings.times.total(),
    };
    let wanted = Wanted {
        organization: caller.organization,
        model: &model,
        arm: arm_of(&model, caller, &work),
        question: Some(&question),
    };
    account.of_arm(wanted.arm.name.as_deref().filter(|_| !work.is_substitute()));
    if !work.is_substitute() {
        let said = (&question, &asked.headers);
        shadow::cast(cx, (caller, &model), said, &asked.trace_id);
    }
    let answered = ask_in_turn(&work, wanted, &mut account).await;
    reservation.stay_spent(account.lost_answers());
    match answered {
        Ok(begun) => Ok(reply(cx, begun, (account, Some(reservation)), &question).await),
        Err(mut fault) => {
            fault.provider_request = account.provider_request().map(Box::from);
            reservation.settle(Cost::default()).await;
            account.failed(&fault);
            Err(if account.has_asked() {
                of_provider(fault)
            } else {
                fault
            })
        }
    }
}

/// What an answer is written with.
pub(crate) fn told(cx: &Llm, question: &Question, trace_id: &str) -> Told {
    Told {
        model: question.model.clone(),
        request_id: trace_id.to_owned(),
        now: cx.clock.now().timestamp(),
        stream_usage: question.wants_usage,
        tools: OwnTools::default(),
    }
}

/// The usual targets, or the canary's. What takes the place of another model is no part of a comparison.
fn arm_of<'a>(model: &'a LiveModel, caller: &Caller, work: &Work<'_>) -> &'a Arm {
    if work.is_substitute() {
        return &model.arm;
    }
    model.arm_for(&asker(caller, work.headers))
}

/// Asks target after target, until one begins to answer.
pub(crate) async fn ask_in_turn(
    work: &Work<'_>,
    wanted: Wanted<'_>,
    account: &mut Account,
) -> Result<Begun, Fault> {
    let models = &work.cx.models;
    let order = in_order(models, wanted, |_| true);
    let mut failed = None;
    for choice in &order.choices {
        let so_far = failed.as_ref().map(Fault::cause);
        if !choice.target.takes(so_far) {
            continue;
        }
        order.asking(models, choice);
        match ask_target(work, choice, account).await {
            Err(fault) if work.settings.falls_back(&fault) => failed = Some(fault),
            asked => return asked,
        }
    }
    Err(failed.unwrap_or_else(|| {
        let text =
            "none of the providers that the model leads to is there; add one, or change the model";
        Fault::new(FaultClass::NotFound, text)
    }))
}

/// What goes back of an answer that has begun. Nothing is reserved for one that nobody gets.
pub(crate) async fn reply(
    cx: &Arc<Llm>,
    begun: Begun,
    (mut account, reservation): (Account, Option<Reservation>),
    question: &Question,
) -> Reply {
    let (tier, provider_request) = (question.tier, account.provider_request().map(Box::from));
    let Begun {
        target,
        dropped,
        priced,
        answering,
    } = begun;
    let body = match answering {
        Answering::Whole {
            body,
            usage,
            tier: told,
            model,
        } => {
            account.passed(&body);
            if account.is_recorded() {
                account.answers_with(&model);
                if let Some(stop) = question.dialect.stop_of(&body) {
                    account.stopped(&stop);
                }
            }
            let used = Used {
                told: usage,
                complete: true,
                estimate: body.len() as u64 / BYTES_PER_TOKEN,
                tier: told.unwrap_or(tier),
            };
            let cost = account.used(&used, (&cx.prices, &priced));
            account.done();
            if let Some(reservation) = reservation {
                reservation.settle(cost).await;
            }
            ReplyBody::Whole(body)
        }
        Answering::Stream(flow) => {
            account.began();
            let content_type = flow.content_type();
            let (sender, chunks) = mpsc::channel(stream::CHUNKS_MAX);
            let pumped = stream::pump(
                cx.clone(),
                (*flow, sender),
                (account, reservation),
                (priced, tier),
            );
            cx.streams.spawn(pumped);
            ReplyBody::Stream {
                content_type,
                chunks,
            }
        }
    };
    Reply {
        target,
        dropped,
        provider_request,
        body,
    }
}

/// A provider that does not take our key is out of order: the caller's own key is good.
pub(crate) fn of_provider(fault: Fault) -> Fault {
    let class = match fault.class {
        FaultClass::Unauthenticated | FaultClass::Forbidden | FaultClass::Exhausted => {
            FaultClass::Upstream
        }
        class => class,
    };
    Fault { class, ..fault }
}

/// A number nobody foresees, to spread requests by.
pub(crate) fn chance() -> u64 {
    // Keyed by the system's randomness once for each thread, and by another key for each call.
    RandomState::new().hash_one(0_u8)
}
