//! Requests that are passed through to a provider as they are: any path of its own, with our key in place of the
//! caller's. The caller chooses no host, gets no key, and its answer is read only to see what it used.

mod form;
mod headers;
mod plan;
mod skim;
mod tally;
mod upload;
mod words;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Method};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use url::{Position, Url};
use uuid::Uuid;

use crate::access::caller::Caller;
use crate::access::limit::Cost;
use crate::credential::mask::Mask;
use crate::egress::resilience::{BreakerRule, Sign};
use crate::egress::{EgressError, Opened, Patience, Upload};
use crate::llm::account::{Account, Priced};
use crate::llm::choice::Counted;
use crate::llm::exchange::{judged, of_egress};
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::forward::PassedBody;
use crate::llm::live::{LiveKey, LiveProvider};
use crate::llm::pieces::{Piece, close, pass_on};
use crate::llm::provider::Auth;
use crate::llm::proxy::{Llm, of_provider};
use crate::llm::reserve::{Admitted, From, Reservation, admit_through};
use crate::llm::signed::{Pass, Signed, renews, secrets_of};
use crate::llm::stream::CHUNKS_MAX;
use crate::llm::veil::Veil;
use crate::llm::watch::Opening;
use crate::types::{Parent, UpstreamRequest};

pub(crate) use tally::{Tallied, Tally};
pub use upload::UPLOAD_BYTES_MAX;
pub(crate) use upload::{Sent, gathered, upload_of};

use headers::incoming;
use plan::planned;
use upload::bounded;
use words::Words;

/// The body of a request that has to be here before it is signed.
const SIGNED_BYTES_MAX: usize = 32 << 20;
/// How long the next piece of a body may take, and all of a request.
const IDLE_TIME: Duration = Duration::from_mins(1);
const TOTAL_TIME: Duration = Duration::from_mins(30);
/// How much is read of an answer that is an error.
const ERROR_BYTES_MAX: usize = 1 << 20;
/// A request to be passed through.
pub struct Through {
    /// By its name in the organization.
    pub provider: String,
    pub method: Method,
    /// As it was sent, below the provider's name, without a slash at its start.
    pub path: String,
    pub query: Option<String>,
    pub headers: HeaderMap,
    /// `None`: it has none.
    pub body: Option<Upload>,
    /// Where it came from, if over a network.
    pub peer: Option<IpAddr>,
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// The span of the caller's that it belongs to.
    pub parent: Option<Parent>,
}

/// What goes back.
pub struct Came {
    pub status: u16,
    pub headers: HeaderMap,
    /// The provider, by its name.
    pub target: String,
    /// What the provider calls the request.
    pub provider_request: Option<Box<str>>,
    pub body: PassedBody,
}

/// A request that is ready but for its credential.
pub(crate) struct Call<'a> {
    pub(crate) cx: &'a Llm,
    pub(crate) provider: &'a LiveProvider,
    pub(crate) key: Option<&'a LiveKey>,
    pub(crate) deadline: Instant,
}

/// A provider's answer, and what it takes to pass it on.
pub(crate) struct Passing {
    pub(crate) opened: Opened,
    pub(crate) mask: Mask,
    veil: Veil,
    target: String,
    deadline: Instant,
    sent: Arc<Sent>,
    tally: Option<(Tally, String)>,
}

/// A request that was let in, on its own.
struct Asking {
    cx: Arc<Llm>,
    provider: Arc<LiveProvider>,
    request: UpstreamRequest,
    body: Option<Upload>,
    words: Words,
    tally: Tally,
    /// Whoever asked has left.
    left: CancellationToken,
}

/// Passes a request through. It is accounted for exactly once, also where the future is dropped.
///
/// # Errors
/// Where the provider is not open to this, or does not answer. What it says itself, errors too, is an answer.
pub async fn pass_through(cx: &Arc<Llm>, caller: &Caller, asked: Through) -> Result<Came, Fault> {
    let provider = cx.models.provider_of(caller.organization, &asked.provider);
    let provider = provider.filter(|provider| provider.pass_through);
    let provider = provider.ok_or_else(|| closed(&asked.provider))?;
    let request = planned(&provider, &asked)?;
    let tally = Tally::of(&asked.method, &asked.path, provider.provider.dialect);
    let words = if tally.asks() {
        Words::of(&request.headers)?
    } else {
        Words::Unread
    };
    let name = format!("{}/*", provider.name);
    let opening = Opening {
        model: &name,
        operation: "pass_through",
        trace_id: &asked.trace_id,
        parent: asked.parent,
    };
    let mut account = Account::begin(cx, caller, &opening);
    let from = From {
        caller,
        peer: asked.peer,
    };
    let admitted = admit_through(cx, from, &provider.name).await;
    let Admitted {
        model, reservation, ..
    } = admitted.inspect_err(|fault| account.failed(fault))?;
    account.admitted(cx, &model, &[]);
    account.keeps_busy(Counted::of_provider(&provider.standing));
    let left = CancellationToken::new();
    let _leaving = left.clone().drop_guard();
    let asking = Asking {
        cx: cx.clone(),
        provider,
        request,
        body: asked.body,
        words,
        tally,
        left,
    };
    on_its_own(cx, asking.answered((account, reservation))).await
}

/// Carries out what has to come to its end whether or not somebody still waits for it.
pub(crate) async fn on_its_own(
    cx: &Llm,
    work: impl Future<Output = Result<Came, Fault>> + Send + 'static,
) -> Result<Came, Fault> {
    cx.streams.spawn(work).await.unwrap_or_else(|error| {
        tracing::error!(error = %error, "a request to a provider came to no end");
        Err(Fault::new(FaultClass::Internal, "this came to no end here"))
    })
}

impl Asking {
    /// The answer, as soon as it begins. Whoever leaves before ends the request, as it does later.
    async fn answered(
        self,
        (mut account, reservation): (Account, Reservation),
    ) -> Result<Came, Fault> {
        let Self {
            cx,
            provider,
            request,
            body,
            words,
            tally,
            left,
        } = self;
        let call = Call {
            cx: &cx,
            provider: &provider,
            key: provider.key_for(None, &request.url),
            deadline: Instant::now() + TOTAL_TIME,
        };
        let prices = provider.provider.price_list().to_owned();
        let sent = Arc::new(Sent::of(&request.headers, words));
        let opened = tokio::select! {
            biased;
            opened = call.send_noting((request, body), &sent, &mut account) => opened,
            () = left.cancelled() => {
                account.asked_with(usize::try_from(sent.bytes()).unwrap_or(usize::MAX));
                // What a provider does not have all of, it does not answer.
                let tallied = tally.left(&sent).filter(|_| sent.is_whole());
                let tallied = tallied.map(|tallied| (tallied, prices));
                let cost = counted(&cx, &mut account, (&provider.name, tallied));
                drop(account);
                reservation.settle(cost).await;
                return Err(Fault::new(FaultClass::Internal, "whoever asked has left"));
            }
        };
        match opened {
            Ok(mut passing) => {
                passing.tally = Some((tally, prices));
                passing.go_on(&cx, (account, reservation)).await
            }
            Err(fault) => Err(failed(fault, (account, reservation)).await),
        }
    }
}

/// A request that got no answer: nothing is spent.
pub(crate) async fn failed(
    mut fault: Fault,
    (mut account, reservation): (Account, Reservation),
) -> Fault {
    fault.provider_request = account.provider_request().map(Box::from);
    reservation.settle(Cost::default()).await;
    account.failed(&fault);
    of_provider(fault)
}

/// A provider that is not there, and one that is not open, are the same to whoever asks.
fn closed(name: &str) -> Fault {
    let shown: String = name.chars().take(100).collect();
    Fault {
        code: Some("provider_not_found".to_owned()),
        ..Fault::new(
            FaultClass::NotFound,
            format!("there is no provider `{shown}` that requests are passed through to"),
        )
    }
}

impl Call<'_> {
    /// Sends a request, and gives the answer as soon as its headers are there.
    pub(crate) async fn send(
        &self,
        asking: (UpstreamRequest, Option<Upload>),
        account: &mut Account,
    ) -> Result<Passing, Fault> {
        let sent = Arc::new(Sent::of(&asking.0.headers, Words::Unread));
        self.send_noting(asking, &sent, account).await
    }

    /// The same, noting what goes out.
    async fn send_noting(
        &self,
        (mut request, upload): (UpstreamRequest, Option<Upload>),
        sent: &Arc<Sent>,
        account: &mut Account,
    ) -> Result<Passing, Fault> {
        let mut upload = upload.map(|upload| bounded(upload, sent.clone()));
        // A signature is made of the whole body.
        if matches!(self.provider.provider.auth, Auth::Sigv4(_))
            && let Some(upload) = upload.take()
        {
            request.headers.remove(CONTENT_LENGTH);
            let body = gathered((upload, SIGNED_BYTES_MAX), self.deadline).await;
            request.body = body.map_err(|fault| sent.take_refusal().unwrap_or(fault))?;
        }
        account.asking(self.provider, "*");
        account.leaving(&request);
        let opened = self.open((request, upload), sent).await;
        account.asked_with(usize::try_from(sent.bytes()).unwrap_or(usize::MAX));
        let opened = opened.map_err(|fault| sent.take_refusal().unwrap_or(fault));
        let class = match &opened {
            Ok(passing) if passing.status() < 400 => None,
            Ok(passing) => Some(FaultClass::of_status(passing.status())),
            Err(fault) => Some(fault.class),
        };
        if let Ok(passing) = &opened {
            account.answered(&passing.opened);
        }
        account.came_of_it(class);
        opened
    }

    /// Asks for something once, beside the request that is accounted for.
    pub(crate) async fn ask(&self, request: UpstreamRequest) -> Result<Passing, Fault> {
        self.open((request, None), &Arc::default()).await
    }

    fn passing(&self, (opened, pass): (Opened, &Pass), sent: Arc<Sent>) -> Passing {
        let secrets = secrets_of((self.key, pass));
        Passing {
            opened,
            mask: Mask::of_values(secrets.clone()),
            veil: Veil::of(secrets),
            target: self.provider.name.clone(),
            deadline: self.deadline,
            sent,
            tally: None,
        }
    }

    /// Asks a provider that is not left alone, and notes how that is.
    async fn open(
        &self,
        asking: (UpstreamRequest, Option<Upload>),
        sent: &Arc<Sent>,
    ) -> Result<Passing, Fault> {
        let admitted = self.provider.admit(self.key)?;
        let opened = self.open_signed(asking, sent).await;
        let (sign, rule) = seen(opened.as_ref().map(Passing::status), sent);
        admitted.end(sign, rule, Instant::now());
        opened
    }

    async fn open_signed(
        &self,
        (request, upload): (UpstreamRequest, Option<Upload>),
        sent: &Arc<Sent>,
    ) -> Result<Passing, Fault> {
        let outside = (&self.cx.egress, &self.cx.clock);
        let auth = &self.provider.provider.auth;
        let signed = self
            .provider
            .signed_by(self.deadline, (request, self.key, auth), outside);
        let Signed { request, pass } = signed.await?;
        let (egress, upstream) = (&self.cx.egress, &self.provider.upstream);
        // What is sent while it comes takes as long as its caller does.
        let deadline = if upload.is_some() {
            self.deadline
        } else {
            let begins_by = Instant::now() + egress.settings().first_byte_timeout;
            self.deadline.min(begins_by)
        };
        let patience = Patience {
            deadline,
            cancel: &self.cx.over,
        };
        sent.leaves(upload.is_some());
        let opened = match upload {
            Some(upload) => {
                egress
                    .open_upload(upstream, (request, upload), patience)
                    .await
            }
            None => egress.open(upstream, request, patience).await,
        };
        let opened = opened.map_err(|error| of_egress(&error))?;
        // What is refused at a path of a caller's choice takes the key from nobody anyway.
        renews((self.key, &pass), opened.status, self.cx.clock.now());
        Ok(self.passing((opened, &pass), sent.clone()))
    }
}

impl Passing {
    fn status(&self) -> u16 {
        self.opened.status.as_u16()
    }

    /// Passes the answer on, and accounts for it: an error whole, everything else as it comes.
    pub(crate) async fn go_on(
        mut self,
        cx: &Arc<Llm>,
        (mut account, reservation): (Account, Reservation),
    ) -> Result<Came, Fault> {
        let status = self.status();
        let headers = incoming(&self.opened.headers, &self.mask);
        let provider_request: Option<Box<str>> = account.provider_request().map(Box::from);
        let target = self.target.clone();
        let body = if status < 400 {
            let (sender, chunks) = mpsc::channel(CHUNKS_MAX);
            if let Some((tally, _)) = &mut self.tally
                && tally.begins(status, &headers)
            {
                account.began();
            }
            cx.streams
                .spawn(pump(cx.clone(), (self, sender), (account, reservation)));
            PassedBody::Chunks(chunks)
        } else {
            let until = self.deadline.min(Instant::now() + IDLE_TIME);
            let body = self.opened.whole(ERROR_BYTES_MAX, until).await;
            let body = match body {
                Ok(body) => self.mask.bytes(body),
                Err(error) => {
                    let fault = of_egress(&error);
                    return Err(failed(fault, (account, reservation)).await);
                }
            };
            account.passed(&body);
            account.failed(&Fault::new(FaultClass::of_status(status), ""));
            drop(account);
            reservation.settle(Cost::default()).await;
            PassedBody::Whole(body)
        };
        Ok(Came {
            status,
            headers,
            target,
            provider_request,
            body,
        })
    }

    /// All of the answer, without the key.
    pub(crate) async fn whole(self, bytes_max: usize) -> Result<Bytes, EgressError> {
        let until = self.deadline.min(Instant::now() + IDLE_TIME);
        Ok(self.mask.bytes(self.opened.whole(bytes_max, until).await?))
    }
}

impl LiveProvider {
    /// The key something was made with, where it is still there; otherwise the first that is not left alone: what
    /// callers make at a provider belongs to the account of its key. One that was entered for another origin than the
    /// URL's goes nowhere, and is none.
    pub(crate) fn key_for(&self, made_with: Option<Uuid>, url: &Url) -> Option<&LiveKey> {
        if self.provider.auth == Auth::None {
            return None;
        }
        let now = Instant::now();
        let origin = &url[..Position::BeforePath];
        let keys = || self.keys.iter().filter(|key| key.origin == origin);
        let made_with = keys().find(|key| Some(key.id) == made_with);
        let well = || keys().find(|key| !key.breaker.is_paused(now));
        let key = made_with.or_else(well).or_else(|| keys().next());
        key.map(AsRef::as_ref)
    }
}

/// What an answer says of a provider's key. Callers choose what is asked: what is refused at a path of their choice says
/// nothing, nor does a request that could not be signed, and no key is left alone because somebody sent nonsense.
fn seen(status: Result<u16, &Fault>, sent: &Sent) -> (Sign<FaultClass>, BreakerRule) {
    use FaultClass::{Forbidden, Internal, Unauthenticated, Upstream};
    judged(match status {
        Err(_) if sent.broke() => Some(Internal),
        Err(fault) if matches!(fault.class, Unauthenticated | Forbidden) => Some(Internal),
        Err(fault) => Some(fault.class),
        Ok(502..=504) => Some(Upstream),
        Ok(401 | 403 | 408 | 429 | 500..) => Some(Internal),
        Ok(_) => None,
    })
}

/// Passes an answer on to its end, and settles what is known of what it used.
async fn pump(
    cx: Arc<Llm>,
    (passing, sender): (Passing, mpsc::Sender<Piece>),
    (mut account, reservation): (Account, Reservation),
) {
    let Passing {
        opened,
        veil,
        target,
        deadline,
        sent,
        mut tally,
        ..
    } = passing;
    let noted = (
        |came: &[u8]| {
            if let Some((tally, _)) = &mut tally {
                tally.push(came);
            }
        },
        |goes: &[u8]| account.passed(goes),
    );
    let ended = pass_on(&cx, (opened, veil), (&sender, deadline), noted).await;
    let has_ended = matches!(ended, Ok(true));
    let tallied = tally.and_then(|(tally, list)| Some((tally.finish(&sent, has_ended)?, list)));
    let cost = counted(&cx, &mut account, (&target, tallied));
    match &ended {
        Ok(true) => account.done(),
        Ok(false) => {}
        Err(fault) => account.failed(fault),
    }
    drop(account);
    reservation.settle(cost).await;
    // Whoever has all of the answer has it counted already.
    close((sender, deadline), &ended).await;
}

/// What an answer of a provider's came to, by that list of prices; `None`: nothing.
fn counted(
    cx: &Llm,
    account: &mut Account,
    (target, tallied): (&str, Option<(Tallied, String)>),
) -> Cost {
    tallied.map_or_else(Cost::default, |(tallied, list)| {
        let model = tallied.model.unwrap_or_else(|| "*".to_owned());
        account.turned_out(target, &model);
        let priced = Priced { list, model };
        account.used(&tallied.used, (&cx.prices, &priced))
    })
}

/// The media type of a request of ours.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
