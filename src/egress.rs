//! The only code that opens outbound connections.
//!
//! Every destination is judged when it is dialled: the host is resolved, each address is held
//! against the policy, and exactly the addresses that passed are connected to. A name that answers
//! differently the second time is judged the second time. Environment proxies are ignored, and no
//! redirect is followed to another origin.

mod address;
mod admission;
mod authority;
mod body;
mod channel;
mod counted;
mod dial;
mod document;
mod error;
mod files;
mod opened;
mod proxy;
pub mod resilience;
pub mod rule;
mod tls;

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use http_body_util::{Either, Full};
use indexmap::IndexMap;
use parking_lot::{Mutex, RwLock};
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;
use url::Url;

pub use crate::egress::address::AddressKind;
pub use crate::egress::admission::{Protected, Reason, Refusal};
pub use crate::egress::authority::{AUTHORITIES_BYTES_MAX, Authorities, AuthoritiesError};
pub use crate::egress::body::{Arrived, Watch};
pub use crate::egress::channel::Channel;
pub use crate::egress::dial::{Resolve, SystemResolver};
pub(crate) use crate::egress::document::redirect_target;
pub use crate::egress::document::{Fetched, Validators};
pub use crate::egress::error::EgressError;
pub use crate::egress::opened::{Opened, Upload};
pub use crate::egress::proxy::{Proxy, ProxyError};
pub use crate::egress::resilience::{Breakers, CONNECT_TIMEOUTS_MS, Resilience, ResilienceError};
pub use crate::egress::rule::{AllowRule, AllowRuleError};
pub use crate::egress::tls::TlsUnavailable;

use crate::credential::Identity;
use crate::egress::body::Until;
use crate::egress::channel::{Answer, Leaving};
use crate::egress::dial::{Dialer, Ground};
use crate::egress::tls::{Terms, Tls};
use crate::events::Framing;
use crate::types::{UpstreamRequest, UpstreamResponse};

/// Sets of allow rules whose connections are kept. The oldest is forgotten; servers that still use
/// it keep it.
const CHANNELS_MAX: usize = 256;

/// What we say we are, unless the request says something else.
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("causeway/", env!("CARGO_PKG_VERSION")));

/// Where a server's requests go.
#[derive(Clone)]
pub enum Upstream {
    /// Over the network, under the egress policy. Made by [`Egress::upstream`].
    Http(Channel),
    /// A service inside this process, injected when the app is built. No policy applies to it,
    /// because it opens no connection; nothing but `App::build` can name one.
    Internal(InternalService),
}

/// An HTTP service inside the process.
pub type InternalService = BoxCloneSyncService<Request<Bytes>, Response<Bytes>, Infallible>;

/// The outbound side of the process. Cheap to clone.
#[derive(Clone)]
pub struct Egress(Arc<Shared>);

struct Shared {
    settings: EgressSettings,
    ground: Arc<Ground>,
    tls: Tls,
    channels: Mutex<IndexMap<Reach, Channel>>,
}

/// What one server's requests may reach beyond the policy, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reach {
    pub allow: Vec<AllowRule>,
    /// Trusted beside the system's.
    pub authorities: Option<Authorities>,
    /// Connections are made by it.
    pub proxy: Option<Proxy>,
    /// Instead of the process's.
    pub connect_timeout: Option<Duration>,
    pub first_byte_timeout: Option<Duration>,
}

impl Upstream {
    /// The same, where a service inside this process is told something with each request. Nothing of it
    /// leaves the process: what is outside is told nothing.
    #[must_use]
    pub fn telling<T: Clone + Send + Sync + 'static>(&self, what: T) -> Self {
        let Self::Internal(service) = self else {
            return self.clone();
        };
        let service = service.clone();
        let telling = tower::service_fn(move |mut request: Request<Bytes>| {
            request.extensions_mut().insert(what.clone());
            service.clone().oneshot(request)
        });
        Self::Internal(InternalService::new(telling))
    }

    /// The same, with connections of its own that show this client certificate. They are closed when
    /// it is dropped, and serve nothing else.
    #[must_use]
    pub fn identified(&self, identity: &Identity) -> Self {
        match self {
            Self::Http(channel) => Self::Http(channel.identified(identity.certified())),
            Self::Internal(service) => Self::Internal(service.clone()),
        }
    }
}

/// How the process connects outwards.
#[derive(Clone)]
pub struct EgressSettings {
    /// Allowed for every server (`--allow-upstream`).
    pub allow: Vec<AllowRule>,
    /// Name resolution, connecting; TLS falls under `first_byte_timeout`.
    pub connect_timeout: Duration,
    /// From sending a request to the end of the answer's headers.
    pub first_byte_timeout: Duration,
    /// How much of an answer is read, after decompression.
    pub body_bytes_max: usize,
    /// Turns names into addresses, which are then judged.
    pub resolver: Arc<dyn Resolve>,
}

impl Default for EgressSettings {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            connect_timeout: Duration::from_secs(5),
            first_byte_timeout: Duration::from_mins(1),
            body_bytes_max: 16 << 20,
            resolver: Arc::new(SystemResolver),
        }
    }
}

/// How long one request may take, and whether it is still wanted.
#[derive(Clone, Copy, Debug)]
pub struct Patience<'a> {
    pub deadline: Instant,
    pub cancel: &'a CancellationToken,
}

/// How a body is read.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub(crate) bytes_max: usize,
    /// Collects events, and tells of them; without one, a body of events is one like any other.
    pub(crate) watch: Option<&'a Watch<'a>>,
}

impl Egress {
    /// The outbound side of one process.
    pub fn new(settings: EgressSettings) -> Self {
        let ground = Arc::new(Ground {
            resolver: settings.resolver.clone(),
            protected: RwLock::default(),
            connections: Arc::default(),
        });
        Self(Arc::new(Shared {
            settings,
            ground,
            tls: Tls::default(),
            channels: Mutex::default(),
        }))
    }

    /// How it was set up.
    pub fn settings(&self) -> &EgressSettings {
        &self.0.settings
    }

    /// Connections that were opened since the process began, and those that are open now.
    pub fn connections(&self) -> (u64, u64) {
        self.0.ground.connections.read()
    }

    /// Makes `protected` unreachable for every server, whatever is allowed. Call it for each
    /// listener once it is bound, for the public address, and for the database.
    pub fn protect(&self, protected: Protected) {
        self.0.ground.protected.write().push(protected);
    }

    /// An upstream that may reach what the policy and these extra rules allow. Upstreams with equal
    /// rules share their connections.
    pub fn upstream(&self, allow: &[AllowRule]) -> Upstream {
        Upstream::Http(self.channel(allow))
    }

    /// An upstream with this reach. Upstreams with the same reach share their connections.
    pub fn upstream_within(&self, reach: Reach) -> Upstream {
        Upstream::Http(self.channel_within(reach))
    }

    /// Sends one request. A longer body than the limit is cut there and marked `truncated`. A
    /// redirect is an answer like any other.
    ///
    /// # Errors
    /// When there is no complete answer in time; the text is fit for the owner and the model.
    pub async fn send(
        &self,
        upstream: &Upstream,
        request: UpstreamRequest,
        patience: Patience<'_>,
    ) -> Result<UpstreamResponse, EgressError> {
        self.send_watched(upstream, request, patience, &|_| {})
            .await
    }

    /// [`Egress::send`], which tells what has arrived of an answer that is a stream of events. Such
    /// an answer has until the deadline, and is then what arrived, marked `truncated`.
    ///
    /// # Errors
    /// As `send`.
    pub async fn send_watched(
        &self,
        upstream: &Upstream,
        request: UpstreamRequest,
        patience: Patience<'_>,
        watch: &Watch<'_>,
    ) -> Result<UpstreamResponse, EgressError> {
        let reading = Reading {
            bytes_max: self.0.settings.body_bytes_max,
            watch: Some(watch),
        };
        self.send_reading(upstream, request, patience, reading)
            .await
    }

    /// [`Egress::send`] with another limit for the answer's body.
    ///
    /// # Errors
    /// As `send`.
    pub async fn send_short(
        &self,
        upstream: &Upstream,
        request: UpstreamRequest,
        patience: Patience<'_>,
        bytes_max: usize,
    ) -> Result<UpstreamResponse, EgressError> {
        let reading = Reading {
            bytes_max,
            watch: None,
        };
        self.send_reading(upstream, request, patience, reading)
            .await
    }

    async fn send_reading(
        &self,
        upstream: &Upstream,
        request: UpstreamRequest,
        patience: Patience<'_>,
        reading: Reading<'_>,
    ) -> Result<UpstreamResponse, EgressError> {
        let limit = reading.bytes_max;
        let exchange = async {
            match upstream {
                Upstream::Http(channel) => {
                    self.exchange(channel, &request, patience, reading).await
                }
                Upstream::Internal(service) => {
                    exchange_inside(service.clone(), request, patience, limit).await
                }
            }
        };
        tokio::select! {
            biased;
            () = patience.cancel.cancelled() => Err(EgressError::Cancelled),
            answer = exchange => answer,
        }
    }

    fn channel(&self, allow: &[AllowRule]) -> Channel {
        self.channel_within(Reach {
            allow: allow.to_vec(),
            ..Reach::default()
        })
    }

    fn channel_within(&self, mut reach: Reach) -> Channel {
        reach.allow.extend_from_slice(&self.0.settings.allow);
        reach.allow.sort();
        reach.allow.dedup();
        let mut channels = self.0.channels.lock();
        if let Some(channel) = channels.get(&reach) {
            return channel.clone();
        }
        if channels.len() >= CHANNELS_MAX {
            channels.shift_remove_index(0);
        }
        let dialer = Dialer {
            rules: reach.allow.clone().into(),
            proxy: reach.proxy.clone(),
            connect_timeout: reach
                .connect_timeout
                .unwrap_or(self.0.settings.connect_timeout),
            ground: self.0.ground.clone(),
        };
        let terms = Terms {
            authorities: reach.authorities.clone(),
            identity: None,
        };
        let first_byte = reach
            .first_byte_timeout
            .unwrap_or(self.0.settings.first_byte_timeout);
        let channel = Channel::new(dialer, terms, first_byte);
        channels.insert(reach, channel.clone());
        channel
    }

    /// One request over the network, its body read up to the limit.
    async fn exchange(
        &self,
        channel: &Channel,
        request: &UpstreamRequest,
        patience: Patience<'_>,
        reading: Reading<'_>,
    ) -> Result<UpstreamResponse, EgressError> {
        let started = Instant::now();
        let origin = || request.url.origin().ascii_serialization();
        let head_deadline = patience
            .deadline
            .min(started + channel.first_byte_timeout());
        let late = |_| EgressError::TimedOut {
            origin: origin(),
            after: started.elapsed(),
        };
        let answer = timeout_at(head_deadline.into(), self.answer(channel, request))
            .await
            .map_err(late)??;
        let first_byte = started.elapsed();
        let (head, body) = answer.into_parts();
        let bytes_max = reading.bytes_max;
        let body = match framing(&head.headers).zip(reading.watch) {
            Some((framing, watch)) => {
                let until = Until {
                    framing,
                    bytes_max,
                    deadline: patience.deadline,
                    watch,
                };
                body::collect(body, until).await
            }
            None => timeout_at(patience.deadline.into(), body::read(body, bytes_max))
                .await
                .map_err(late)?,
        };
        let body = body.map_err(|source| EgressError::Broken {
            origin: origin(),
            source,
        })?;
        Ok(UpstreamResponse {
            status: head.status,
            headers: head.headers,
            body: body.bytes,
            truncated: body.truncated,
            first_byte,
            total: started.elapsed(),
        })
    }

    /// Sends until there are headers. A kept connection may turn out to be closed by the other side
    /// just when it is used; where repeating is safe (RFC 9110 section 9.2.1), one more is tried.
    async fn answer(
        &self,
        channel: &Channel,
        request: &UpstreamRequest,
    ) -> Result<Answer, EgressError> {
        let safe = matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS);
        match self.answer_once(channel, request).await {
            Err(EgressError::Broken { .. }) if safe => self.answer_once(channel, request).await,
            answer => answer,
        }
    }

    async fn answer_once(
        &self,
        channel: &Channel,
        request: &UpstreamRequest,
    ) -> Result<Answer, EgressError> {
        let whole = Either::Left(Full::new(request.body.clone()));
        self.answer_to(channel, outbound(request, whole)?, &request.url)
            .await
    }

    /// Sends what is ready to leave until there are headers.
    async fn answer_to(
        &self,
        channel: &Channel,
        outbound: Request<Leaving>,
        url: &Url,
    ) -> Result<Answer, EgressError> {
        let started = Instant::now();
        let origin = || url.origin().ascii_serialization();
        let answer = match url.scheme() {
            "https" => channel
                .send_secure(outbound, &self.0.tls)
                .await
                .map_err(|e| EgressError::Unreachable {
                    origin: origin(),
                    source: e.into(),
                })?,
            _ => channel.send_plain(outbound).await,
        };
        answer.map_err(|e| EgressError::from_client(origin(), e, started.elapsed()))
    }
}

/// How an answer's events are told apart, where it is a stream of them.
fn framing(headers: &HeaderMap) -> Option<Framing> {
    Framing::of(headers.get(CONTENT_TYPE)?.to_str().ok()?)
}

/// The request as the client sends it. The client writes `Host` from the URL.
fn outbound(request: &UpstreamRequest, body: Leaving) -> Result<Request<Leaving>, EgressError> {
    let uri = http_uri(&request.url)?;
    let mut outbound = Request::new(body);
    *outbound.method_mut() = request.method.clone();
    *outbound.uri_mut() = uri;
    *outbound.headers_mut() = request.headers.clone();
    outbound.headers_mut().remove(HOST);
    outbound.headers_mut().entry(USER_AGENT).or_insert(AGENT);
    Ok(outbound)
}

fn http_uri(url: &Url) -> Result<Uri, EgressError> {
    let plain = matches!(url.scheme(), "http" | "https")
        && url.username().is_empty()
        && url.password().is_none();
    let text = url.as_str();
    let text = text.split_once('#').map_or(text, |(before, _)| before);
    if !plain {
        return Err(EgressError::InvalidUrl);
    }
    Uri::try_from(text).map_err(|_| EgressError::InvalidUrl)
}

/// One request to a service of this process: the same limits, no connection.
async fn exchange_inside(
    service: InternalService,
    request: UpstreamRequest,
    patience: Patience<'_>,
    limit: usize,
) -> Result<UpstreamResponse, EgressError> {
    let started = Instant::now();
    let uri = http_uri(&request.url)?;
    let mut inbound = Request::new(request.body);
    *inbound.method_mut() = request.method;
    *inbound.uri_mut() = uri;
    *inbound.headers_mut() = request.headers;
    let answer = timeout_at(patience.deadline.into(), service.oneshot(inbound))
        .await
        .map_err(|_| EgressError::TimedOut {
            origin: request.url.origin().ascii_serialization(),
            after: started.elapsed(),
        })?;
    let (head, mut body) = answer.unwrap_or_else(|never| match never {}).into_parts();
    let truncated = body.len() > limit;
    body.truncate(limit);
    Ok(UpstreamResponse {
        status: head.status,
        headers: head.headers,
        body,
        truncated,
        first_byte: started.elapsed(),
        total: started.elapsed(),
    })
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Egress")
            .field("allow", &self.0.settings.allow)
            .finish_non_exhaustive()
    }
}
