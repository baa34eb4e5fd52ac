//! Opens one connection: resolve, judge, connect to exactly what was admitted. This runs for every
//! new connection, so nothing that was true an hour ago is relied on.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::{BoxFuture, ready};
use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioIo;
use parking_lot::RwLock;
use tokio::net::TcpStream;
use tower::{Service, ServiceExt};

use crate::egress::admission::{Protected, Refusal, admit, host_name, is_refused_name};
use crate::egress::counted::{Connections, Counted};
use crate::egress::proxy::Proxy;
use crate::egress::rule::AllowRule;

/// Turns names into addresses. Below the policy: whatever it answers is judged.
pub trait Resolve: Send + Sync {
    /// The addresses of `host`, which is not an address itself.
    fn resolve(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The operating system's resolver.
#[derive(Clone, Copy, Debug)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// A connector for one set of rules.
#[derive(Clone)]
pub(crate) struct Dialer {
    pub(crate) rules: Arc<[AllowRule]>,
    /// Connections are made by it, and not from here.
    pub(crate) proxy: Option<Proxy>,
    /// Name resolution and connecting.
    pub(crate) connect_timeout: Duration,
    pub(crate) ground: Arc<Ground>,
}

/// What all dialers of a process share.
pub(crate) struct Ground {
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) protected: RwLock<Vec<Protected>>,
    pub(crate) connections: Arc<Connections>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error("{0}")]
    Refused(Refusal),
    /// The name must not be reached, and behind a proxy its address is not known.
    #[error("{host} may not be reached through a proxy")]
    RefusedName { host: String },
    #[error("the name {host} has no address")]
    Unresolved { host: String },
    #[error("no connection within {0:?}")]
    TimedOut(Duration),
    #[error("no connection")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Service<Uri> for Dialer {
    type Response = TokioIo<Counted>;
    type Error = DialError;
    type Future = BoxFuture<'static, Result<Self::Response, DialError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let dialer = self.clone();
        Box::pin(async move {
            let limit = dialer.connect_timeout;
            tokio::time::timeout(limit, dialer.dial(uri))
                .await
                .map_err(|_| DialError::TimedOut(limit))?
        })
    }
}

impl Dialer {
    async fn dial(&self, uri: Uri) -> Result<TokioIo<Counted>, DialError> {
        match &self.proxy {
            Some(proxy) => self.dial_through(proxy, uri).await,
            None => self.dial_straight(uri).await,
        }
    }

    /// What of a destination can be judged without its address is judged here; the address of a name
    /// is the proxy's to judge.
    async fn dial_through(&self, proxy: &Proxy, uri: Uri) -> Result<TokioIo<Counted>, DialError> {
        let port = port_of(&uri);
        let host = host_name(uri.host().unwrap_or_default());
        let destination = (&*host, port);
        {
            let protected = self.ground.protected.read();
            if let Ok(address) = host.parse::<IpAddr>() {
                admit(&self.rules, &protected, &[], destination, &[address])
                    .map_err(DialError::Refused)?;
            } else if is_refused_name(&self.rules, &protected, destination) {
                return Err(DialError::RefusedName { host });
            }
        }
        let authority = format!("{}:{port}", uri.host().unwrap_or_default());
        let mut stream = self.dial_straight(proxy.uri()).await?;
        proxy
            .tunnel(stream.inner_mut(), &authority)
            .await
            .map_err(|error| DialError::Failed(error.into()))?;
        Ok(stream)
    }

    async fn dial_straight(&self, uri: Uri) -> Result<TokioIo<Counted>, DialError> {
        let port = port_of(&uri);
        let host = host_name(uri.host().unwrap_or_default());
        let addresses = self.ground.resolve(&host).await?;
        let own = self.ground.own_backends(port).await;
        let admitted = {
            let protected = self.ground.protected.read();
            admit(&self.rules, &protected, &own, (&host, port), &addresses)
                .map_err(DialError::Refused)?
        };
        let stream = connect(uri, admitted, self.connect_timeout).await?;
        let connections = self.ground.connections.clone();
        Ok(TokioIo::new(Counted::new(stream.into_inner(), connections)))
    }
}

fn port_of(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or(match uri.scheme_str() {
        Some("https") => 443,
        _ => 80,
    })
}

impl Ground {
    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, DialError> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        match self.resolver.resolve(host.to_owned()).await {
            Ok(addresses) if !addresses.is_empty() => Ok(addresses),
            _ => Err(DialError::Unresolved {
                host: host.to_owned(),
            }),
        }
    }

    /// The addresses of protected hosts at this port. Another name for the database is refused by
    /// its address. A name that cannot be resolved protects nothing, because nobody can reach it.
    async fn own_backends(&self, port: u16) -> Vec<IpAddr> {
        let hosts: Vec<String> = self
            .protected
            .read()
            .iter()
            .filter_map(|own| match own {
                Protected::Host { host, port: p } if *p == port => Some(host_name(host)),
                _ => None,
            })
            .collect();
        let mut addresses = Vec::new();
        for host in hosts {
            addresses.extend(self.resolve(&host).await.unwrap_or_default());
        }
        addresses
            .into_iter()
            .map(|address| address.to_canonical())
            .collect()
    }
}

/// Connects to one of the admitted addresses, and to nothing else: the resolver handed to the
/// connector knows only those.
async fn connect(
    uri: Uri,
    admitted: Vec<SocketAddr>,
    limit: Duration,
) -> Result<TokioIo<TcpStream>, DialError> {
    let known = tower::service_fn(move |_: Name| {
        ready(Ok::<_, std::convert::Infallible>(
            admitted.clone().into_iter(),
        ))
    });
    let mut connector = HttpConnector::new_with_resolver(known);
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_keepalive(Some(Duration::from_mins(1)));
    connector.set_connect_timeout(Some(limit));
    connector
        .oneshot(uri)
        .await
        .map_err(|e| DialError::Failed(e.into()))
}
