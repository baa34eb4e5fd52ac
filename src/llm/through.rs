//! Requests that are passed through to a provider as they are: any path of its own, with our key in place of the
//! caller's. The caller chooses no host, gets no key, and its answer is read only to see what it used.

mod headers;
mod skim;
mod tally;
mod upload;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::sync::mpsc;
use tokio::time::timeout_at;
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
use crate::llm::forward::{PassedBody, pass_on};
use crate::llm::live::{LiveKey, LiveProvider};
use crate::llm::provider::{Auth, leads_out};
use crate::llm::proxy::{Llm, of_provider};
use crate::llm::reserve::{Admitted, From, Reservation, admit_through};
use crate::llm::signed::secrets;
use crate::llm::stream::CHUNKS_MAX;
use crate::llm::veil::Veil;
use crate::llm::watch::Opening;
use crate::types::{Parent, UpstreamRequest};

pub use upload::UPLOAD_BYTES_MAX;
pub(crate) use upload::{gathered, upload_of};

use headers::{incoming, outgoing};
use tally::Tally;
use upload::{Sent, bounded, too_large};

/// The body of a request that has to be here before it is signed.
const SIGNED_BYTES_MAX: usize = 32 << 20;
/// How long the next piece of a body may take, and all of a request.
const IDLE_TIME: Duration = Duration::from_mins(1);
const TOTAL_TIME: Duration = Duration::from_mins(30);
/// How much is read of an answer that is an error.
const ERROR_BYTES_MAX: usize = 1 << 20;
const PATH_BYTES_MAX: usize = 2_048;
const QUERY_BYTES_MAX: usize = 8_192;
/// Segments of paths at which callers keep what is theirs: where a provider's files are open at `/v1/files`, which knows
/// whose they are, they are nowhere else.
const KEPT: [&str; 3] = ["files", "batches", "uploads"];

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

/// Passes a request through. It is accounted for exactly once.
///
/// # Errors
/// Where the provider is not open to this, or does not answer. What it says itself, errors too, is an answer.
pub async fn pass_through(cx: &Arc<Llm>, caller: &Caller, asked: Through) -> Result<Came, Fault> {
    let provider = cx.models.provider_of(caller.organization, &asked.provider);
    let provider = provider.filter(|provider| provider.pass_through);
    let provider = provider.ok_or_else(|| closed(&asked.provider))?;
    let request = planned(&provider, &asked)?;
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
    let call = Call {
        cx,
        provider: &provider,
        key: provider.key_for(None, &request.url),
        deadline: Instant::now() + TOTAL_TIME,
    };
    let tally = Tally::of(&asked.method, &asked.path, provider.provider.dialect);
    match call.send((request, asked.body), &mut account).await {
        Ok(mut passing) => {
            let prices = provider.provider.price_list().to_owned();
            passing.tally = Some((tally, prices));
            passing.go_on(cx, (account, reservation)).await
        }
        Err(fault) => Err(failed(fault, (account, reservation)).await),
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

/// What the provider is sent, without its credential.
fn planned(provider: &LiveProvider, asked: &Through) -> Result<UpstreamRequest, Fault> {
    if matches!(asked.method, Method::CONNECT | Method::TRACE) {
        let text = "requests of this method are not passed through";
        return Err(Fault::new(FaultClass::Unsupported, text));
    }
    let query = asked.query.as_deref().unwrap_or_default();
    if asked.path.len() > PATH_BYTES_MAX || query.len() > QUERY_BYTES_MAX {
        let text =
            format!("a path has at most {PATH_BYTES_MAX} bytes, and a query {QUERY_BYTES_MAX}");
        return Err(Fault::new(FaultClass::TooLarge, text));
    }
    if leads_out(&asked.path) {
        let text = "the path has an empty part, a step out, or something that is no text";
        return Err(Fault::invalid("path", text));
    }
    let is_kept = |part: &str| {
        let part = part.trim().to_ascii_lowercase();
        KEPT.iter().any(|kept| part.starts_with(kept))
    };
    if provider.files && plain(&asked.path).split('/').any(is_kept) {
        let text = "files and batches of this provider are at /v1/files and /v1/batches, where each caller finds its own";
        return Err(Fault::new(FaultClass::Forbidden, text));
    }
    let (definition, parameters) = (&provider.provider, &provider.parameters);
    let url = definition.url_at(parameters, &asked.path, &passed_query(provider, query));
    let url = url.map_err(|error| Fault::new(FaultClass::Invalid, error.to_string()))?;
    let mut headers = outgoing(&asked.headers, definition);
    if let Some(length) = asked
        .headers
        .get(CONTENT_LENGTH)
        .filter(|_| asked.body.is_some())
    {
        headers.insert(CONTENT_LENGTH, length.clone());
    }
    Ok(UpstreamRequest {
        method: asked.method.clone(),
        url,
        headers,
        body: Bytes::new(),
    })
}

/// A path of which nothing is escaped any more: what its provider may take it for. [`leads_out`] bounds how often that
/// can be.
fn plain(path: &str) -> String {
    let mut text = path.to_owned();
    loop {
        let decoded = percent_encoding::percent_decode_str(&text).decode_utf8_lossy();
        if decoded == text {
            return text;
        }
        text = decoded.into_owned();
    }
}

/// The caller's query, without a key of ours, and without what a provider's own key goes by.
fn passed_query(provider: &LiveProvider, query: &str) -> String {
    let own = match &provider.provider.auth {
        Auth::Query(name) => name.as_str(),
        _ => "key",
    };
    let is_passed = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
        name != "key" && name != own
    };
    let pairs: Vec<&str> = query.split('&').filter(is_passed).collect();
    pairs.join("&")
}

impl Call<'_> {
    /// Sends a request, and gives the answer as soon as its headers are there.
    pub(crate) async fn send(
        &self,
        (mut request, upload): (UpstreamRequest, Option<Upload>),
        account: &mut Account,
    ) -> Result<Passing, Fault> {
        let sent = Arc::new(Sent::with(media(&request.headers)));
        let mut upload = upload.map(|upload| bounded(upload, sent.clone()));
        // A signature is made of the whole body.
        if matches!(self.provider.provider.auth, Auth::Sigv4(_))
            && let Some(upload) = upload.take()
        {
            request.headers.remove(CONTENT_LENGTH);
            request.body = gathered((upload, SIGNED_BYTES_MAX), self.deadline).await?;
        }
        account.asking(self.provider, "*");
        account.leaving(&request);
        let opened = self.open((request, upload), &sent).await;
        let bytes = sent.bytes();
        account.asked_with(usize::try_from(bytes).unwrap_or(usize::MAX));
        let opened = match opened {
            Err(_) if bytes > UPLOAD_BYTES_MAX => Err(too_large(UPLOAD_BYTES_MAX)),
            opened => opened,
        };
        let class = match &opened {
            Ok(opened) if opened.status.as_u16() < 400 => None,
            Ok(opened) => Some(FaultClass::of_status(opened.status.as_u16())),
            Err(fault) => Some(fault.class),
        };
        if let Ok(opened) = &opened {
            account.answered(opened);
        }
        account.came_of_it(class);
        Ok(self.passing(opened?, sent))
    }

    /// Asks for something once, beside the request that is accounted for.
    pub(crate) async fn ask(&self, request: UpstreamRequest) -> Result<Passing, Fault> {
        let sent = Arc::<Sent>::default();
        let opened = self.open((request, None), &sent).await?;
        Ok(self.passing(opened, sent))
    }

    fn passing(&self, opened: Opened, sent: Arc<Sent>) -> Passing {
        let secrets = self.key.map_or_else(Vec::new, secrets);
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
        sent: &Sent,
    ) -> Result<Opened, Fault> {
        let admitted = self.provider.admit(self.key)?;
        let opened = self.open_signed(asking).await;
        let (sign, rule) = seen(&opened, sent);
        admitted.end(sign, rule, Instant::now());
        opened
    }

    async fn open_signed(
        &self,
        (request, upload): (UpstreamRequest, Option<Upload>),
    ) -> Result<Opened, Fault> {
        let outside = (&self.cx.egress, &self.cx.clock);
        let signed = self.provider.signed(request, self.key, outside);
        let request = timeout_at(self.deadline.into(), signed).await;
        let request = request.map_err(|_| {
            let text = format!("{} gave no token in time", self.provider.name);
            Fault::new(FaultClass::Timeout, text)
        })??;
        let patience = Patience {
            deadline: self.deadline,
            cancel: &self.cx.shutdown,
        };
        let (egress, upstream) = (&self.cx.egress, &self.provider.upstream);
        let opened = match upload {
            Some(upload) => {
                egress
                    .open_upload(upstream, (request, upload), patience)
                    .await
            }
            None => egress.open(upstream, request, patience).await,
        };
        let opened = opened.map_err(|error| of_egress(&error))?;
        if let Some(key) = self
            .key
            .filter(|_| opened.status == StatusCode::UNAUTHORIZED)
        {
            key.tokens.refused(self.cx.clock.now());
        }
        Ok(opened)
    }
}

impl Passing {
    /// Passes the answer on, and accounts for it: an error whole, everything else as it comes.
    pub(crate) async fn go_on(
        mut self,
        cx: &Arc<Llm>,
        (mut account, reservation): (Account, Reservation),
    ) -> Result<Came, Fault> {
        let status = self.opened.status.as_u16();
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
fn seen(opened: &Result<Opened, Fault>, sent: &Sent) -> (Sign, BreakerRule) {
    use FaultClass::{Forbidden, Internal, Unauthenticated, Upstream};
    judged(match opened {
        Err(_) if sent.broke() => Some(Internal),
        Err(fault) if matches!(fault.class, Unauthenticated | Forbidden) => Some(Internal),
        Err(fault) => Some(fault.class),
        Ok(opened) => match opened.status.as_u16() {
            502..=504 => Some(Upstream),
            401 | 403 | 408 | 429 | 500.. => Some(Internal),
            _ => None,
        },
    })
}

fn media(headers: &HeaderMap) -> &str {
    let media = headers.get(CONTENT_TYPE);
    media
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// Passes an answer on to its end, and settles what is known of what it used.
async fn pump(
    cx: Arc<Llm>,
    (passing, sender): (Passing, mpsc::Sender<Bytes>),
    (mut account, reservation): (Account, Reservation),
) {
    let Passing {
        mut opened,
        mut veil,
        target,
        deadline,
        sent,
        mut tally,
        ..
    } = passing;
    let ended = pass_on(&cx, &mut opened, (&sender, deadline), |chunk| {
        if let Some((tally, _)) = &mut tally {
            tally.push(&chunk);
        }
        let chunk = veil.push(chunk);
        account.passed(&chunk);
        chunk
    })
    .await;
    let rest = veil.finish();
    if matches!(ended, Ok(true)) && !rest.is_empty() {
        account.passed(&rest);
        let _ = timeout_at(deadline.into(), sender.send(rest)).await;
    }
    let tallied = tally.and_then(|(tally, list)| Some((tally.finish(&sent)?, list)));
    let cost = tallied.map_or_else(Cost::default, |(tallied, list)| {
        let model = tallied.model.unwrap_or_else(|| "*".to_owned());
        account.turned_out(&target, &model);
        let priced = Priced { list, model };
        account.used(&tallied.used, (&cx.prices, &priced))
    });
    match ended {
        Ok(true) => account.done(),
        Ok(false) => {}
        Err(fault) => account.failed(&fault),
    }
    drop(account);
    reservation.settle(cost).await;
    // Whoever has all of the answer has it counted already.
    drop(sender);
}

/// The media type of a request of ours.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
