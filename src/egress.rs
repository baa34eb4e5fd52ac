//! The only code that opens outbound connections.
//!
//! Every destination is judged when it is dialled: the host is resolved, each address is held
//! against the policy, and exactly the addresses that passed are connected to. A name that answers
//! differently the second time is judged the second time. Environment proxies are ignored, and no
//! redirect is followed to another origin.

pub mod rule;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use tokio_util::sync::CancellationToken;
use tower::util::BoxCloneSyncService;
use url::Url;

pub use crate::egress::rule::AllowRule;
use crate::types::{UpstreamRequest, UpstreamResponse};

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

/// Pooled connections under one set of allow rules.
#[derive(Clone)]
pub struct Channel;

/// The outbound side of the process. Cheap to clone.
#[derive(Clone)]
pub struct Egress(Arc<EgressSettings>);

/// How the process connects outwards.
#[derive(Clone, Debug)]
pub struct EgressSettings {
    /// Allowed for every server (`--allow-upstream`).
    pub allow: Vec<AllowRule>,
    pub connect_timeout: Duration,
    /// From sending a request to the end of the answer's headers.
    pub first_byte_timeout: Duration,
    /// How much of an answer is read, after decompression.
    pub body_bytes_max: usize,
}

impl Default for EgressSettings {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            connect_timeout: Duration::from_secs(5),
            first_byte_timeout: Duration::from_mins(1),
            body_bytes_max: 16 << 20,
        }
    }
}

/// Something of Causeway's own that nobody may reach through it, whatever is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protected {
    /// A listener; an unspecified address stands for every address of this machine.
    Listener(std::net::SocketAddr),
    /// A database or another back end, by the name it is configured with.
    Host { host: String, port: u16 },
}

/// How long one request may take, and whether it is still wanted.
#[derive(Clone, Copy, Debug)]
pub struct Patience<'a> {
    pub deadline: Instant,
    pub cancel: &'a CancellationToken,
}

/// A document read from the network.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Where it was found, after same-origin redirects.
    pub url: Url,
    pub content_type: Option<String>,
    pub body: Bytes,
}

/// Why a request got no answer. The text is fit for the owner and the model: it carries no path,
/// query, header or body.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    #[error("this build opens no outbound connections yet")]
    Unavailable,
}

impl Egress {
    /// How it was set up.
    pub fn settings(&self) -> &EgressSettings {
        &self.0
    }

    /// The outbound side of one process.
    pub fn new(settings: EgressSettings) -> Self {
        Self(Arc::new(settings))
    }

    /// Makes `protected` unreachable for every server, whatever is allowed. Call it for each
    /// listener once it is bound, and for the database.
    pub fn protect(&self, _protected: Protected) {}

    /// An upstream that may reach what the policy and these extra rules allow. Upstreams with equal
    /// rules share their connections.
    pub fn upstream(&self, _allow: &[AllowRule]) -> Upstream {
        Upstream::Http(Channel)
    }

    /// Sends one request. A longer body than the limit is cut there and marked `truncated`.
    #[expect(clippy::unused_async, reason = "dials")]
    pub async fn send(
        &self,
        _upstream: &Upstream,
        _request: UpstreamRequest,
        _patience: Patience<'_>,
    ) -> Result<UpstreamResponse, EgressError> {
        Err(EgressError::Unavailable)
    }

    /// Reads a document. Follows a few redirects within the origin; a longer body than `bytes_max`
    /// is an error.
    #[expect(clippy::unused_async, reason = "dials")]
    pub async fn fetch(
        &self,
        _url: &Url,
        _allow: &[AllowRule],
        _bytes_max: usize,
    ) -> Result<Fetched, EgressError> {
        Err(EgressError::Unavailable)
    }
}
