//! A proxy that one server's connections go through (HTTP CONNECT, RFC 9110 section 9.3.6).
//!
//! The proxy resolves the names, so the address a connection ends at is judged by the proxy and not
//! here. What can be judged here is: the proxy's own address, by the policy as any other; a
//! destination given as an address, likewise; and names that are refused whatever they resolve to.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use url::Url;

/// What the head of a proxy's answer may weigh.
const HEAD_BYTES_MAX: usize = 8 << 10;

/// The address of a proxy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Proxy(Uri);

/// Why a text is no proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a proxy is written http://host:port, without user name, password or path; a proxy that wants \
     a password is not supported"
)]
pub struct ProxyError;

/// Why a proxy made no connection. Repeats nothing of what it said but the status.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum TunnelError {
    #[error("the proxy {0} broke the connection off")]
    Closed(Proxy),
    #[error("what answers at {0} is no HTTP proxy")]
    NoProxy(Proxy),
    #[error("the proxy {proxy} does not connect to it: status {status}")]
    Refused { proxy: Proxy, status: u16 },
}

impl Proxy {
    /// Where to connect to.
    pub(crate) fn uri(&self) -> Uri {
        self.0.clone()
    }

    /// Asks for a tunnel to `authority` (`host:port`) on a connection to the proxy.
    ///
    /// # Errors
    /// When there is none afterwards.
    pub(crate) async fn tunnel<S>(&self, stream: &mut S, authority: &str) -> Result<(), TunnelError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let closed = |_| TunnelError::Closed(self.clone());
        let request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.map_err(closed)?;
        stream.flush().await.map_err(closed)?;
        let mut head = Vec::with_capacity(256);
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() >= HEAD_BYTES_MAX {
                return Err(TunnelError::NoProxy(self.clone()));
            }
            // One at a time: what follows the head belongs to whoever is behind the tunnel.
            head.push(stream.read_u8().await.map_err(closed)?);
        }
        match status(&head) {
            Some(200..=299) => Ok(()),
            Some(status) => Err(TunnelError::Refused {
                proxy: self.clone(),
                status,
            }),
            None => Err(TunnelError::NoProxy(self.clone())),
        }
    }
}

/// The status of an answer's head.
fn status(head: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(head).ok()?.lines().next()?;
    let (version, rest) = line.split_once(' ')?;
    let status = rest.get(..3)?.parse().ok()?;
    version.starts_with("HTTP/1.").then_some(status)
}

impl FromStr for Proxy {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Self, ProxyError> {
        let url = Url::parse(text).map_err(|_| ProxyError)?;
        let plain = url.scheme() == "http"
            && url.username().is_empty()
            && url.password().is_none()
            && matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none();
        let host = url.host_str().filter(|_| plain).ok_or(ProxyError)?;
        let port = url.port_or_known_default().ok_or(ProxyError)?;
        Uri::try_from(format!("http://{host}:{port}"))
            .map(Self)
            .map_err(|_| ProxyError)
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.0.authority().map_or("", http::uri::Authority::as_str);
        write!(f, "http://{authority}")
    }
}
