//! The listener: connections with limits, and an end that drops nothing which still runs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::app::edge::Edge;

const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
const HEADER_LIST_BYTES_MAX: u32 = 64 << 10;

/// A bound socket.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

/// How much is accepted, and how long the end may take.
#[derive(Clone, Copy)]
pub struct Limits {
    pub connections_max: usize,
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 16_384,
            grace: Duration::from_secs(20),
        }
    }
}

impl Listener {
    /// Binds, or says what to do where that fails.
    pub async fn bind(address: SocketAddr) -> anyhow::Result<Self> {
        let socket = TcpListener::bind(address).await.map_err(|error| match error.kind() {
            std::io::ErrorKind::AddrInUse => anyhow::anyhow!(
                "{address} is in use by another process; stop it, or choose another port, for example --listen {}:0",
                address.ip()
            ),
            std::io::ErrorKind::PermissionDenied => anyhow::anyhow!(
                "this process may not listen on {address}; ports below 1024 need a privilege, try --listen {}:8080",
                address.ip()
            ),
            std::io::ErrorKind::AddrNotAvailable => anyhow::anyhow!(
                "{} is no address of this machine; try --listen 127.0.0.1:{}",
                address.ip(),
                address.port()
            ),
            _ => anyhow::Error::new(error).context(format!("cannot listen on {address}")),
        })?;
        let address = socket.local_addr().context("the socket has no address")?;
        Ok(Self { socket, address })
    }

    /// Where it listens; the port that was taken where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Serves until a signal or `shutdown`. Then no connection is accepted, open streams end, and calls
/// that still run are waited for, at most `limits.grace`. A second signal ends the process at once.
pub async fn serve(
    listener: Listener,
    site: Site,
    shutdown: CancellationToken,
    limits: Limits,
) -> anyhow::Result<()> {
    let site = Arc::new(site);
    let connections = Arc::new(Semaphore::new(limits.connections_max));
    let graceful = GracefulShutdown::new();
    let signals = Signals::new()?;
    let mut stop = std::pin::pin!(signals.first());
    loop {
        // Also where all connections are in use, an end is heard of.
        let next = async {
            let permit = connections.clone().acquire_owned().await;
            (permit, listener.socket.accept().await)
        };
        tokio::select! {
            (permit, accepted) = next => match accepted {
                Ok((stream, peer)) => {
                    let (site, watcher) = (site.clone(), graceful.watcher());
                    // Ends with its client, or by `graceful`.
                    tokio::spawn(async move {
                        if let Err(error) = site.connection(stream, peer, watcher).await {
                            tracing::debug!(error = %error, "a connection ended with an error");
                        }
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(error = %error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            () = &mut stop => break,
            () = shutdown.cancelled() => break,
        }
    }
    drop(listener);
    tracing::info!("stopping: no new connections, waiting for calls that still run");
    shutdown.cancel();
    let again = Signals::new()?;
    tokio::select! {
        () = graceful.shutdown() => {}
        () = tokio::time::sleep(limits.grace) => tracing::warn!("some calls did not end in time"),
        () = again.first() => tracing::warn!("a second signal: stopping at once"),
    }
    Ok(())
}

/// What is served on every connection.
pub struct Site {
    pub router: Router,
    pub edge: Edge,
    /// Clients speak TLS, where it is there.
    pub tls: Option<TlsAcceptor>,
}

type ConnectionError = Box<dyn std::error::Error + Send + Sync>;

impl Site {
    /// Served as it is: without a prefix, proxies or TLS.
    pub fn plain(router: Router) -> Self {
        Self {
            router,
            edge: Edge::default(),
            tls: None,
        }
    }

    async fn connection(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        watcher: Watcher,
    ) -> Result<(), ConnectionError> {
        // Without it every streamed answer waits for an acknowledgement.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else {
            return self.serve(stream, peer, watcher).await;
        };
        let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await??;
        self.serve(stream, peer, watcher).await
    }

    async fn serve<S>(
        &self,
        stream: S,
        peer: SocketAddr,
        watcher: Watcher,
    ) -> Result<(), ConnectionError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_READ_TIMEOUT)
            .max_buf_size(128 << 10)
            .half_close(false);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_header_list_size(HEADER_LIST_BYTES_MAX);
        let (inward, outward) = (self.edge.clone(), self.edge.clone());
        let service = self
            .router
            .clone()
            .map_request(move |mut request: http::Request<_>| {
                inward.receive(&mut request, peer);
                request
            })
            .map_response(move |mut response: http::Response<_>| {
                outward.send(&mut response);
                response
            });
        let served =
            builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        watcher.watch(served.into_owned()).await
    }
}

/// Ctrl-C and SIGTERM.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn first(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
