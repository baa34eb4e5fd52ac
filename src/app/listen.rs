//! The listener: connections with limits, and an end that drops nothing which still runs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::ConnectInfo;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);
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
            grace: Duration::from_secs(10),
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
    router: Router,
    shutdown: CancellationToken,
    limits: Limits,
) -> anyhow::Result<()> {
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
                    let served = graceful.watch(connection(stream, peer, router.clone()));
                    // Ends with its client, or by `graceful`.
                    tokio::spawn(async move {
                        if let Err(error) = served.await {
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

fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
) -> impl hyper_util::server::graceful::GracefulConnection<
    Error = Box<dyn std::error::Error + Send + Sync>,
> + Send {
    // Without it every streamed answer waits for an acknowledgement.
    let _ = stream.set_nodelay(true);
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
    let router = router.map_request(move |mut request: http::Request<_>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request
    });
    builder
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .into_owned()
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
