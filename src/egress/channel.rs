//! Pooled connections under one set of allow rules. Pools are never shared between sets: a
//! connection that one server may use must not serve a server that may not. Nor between connections
//! that show a client certificate and those that do not: the other side answers to whom it sees.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::Connect;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::sign::CertifiedKey;
use tower::{Service, ServiceExt};
use tower_http::decompression::{Decompression, DecompressionBody};

use crate::egress::dial::Dialer;
use crate::egress::tls::{Terms, Tls, TlsUnavailable};

/// How long an unused connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Unused connections kept per origin.
const IDLE_CONNECTIONS_MAX: usize = 256;
/// What an API's answer headers may weigh.
const HEADER_BYTES_MAX: u32 = 64 << 10;

/// Pooled connections under one set of allow rules. Cheap to clone.
#[derive(Clone)]
pub struct Channel(Arc<Inner>);

struct Inner {
    dialer: Dialer,
    terms: Terms,
    first_byte_timeout: Duration,
    plain: Decompression<Client<Dialer, Leaving>>,
    /// Made on first use: reading the trust store takes longer than starting.
    secure: OnceLock<Decompression<Client<HttpsConnector<Dialer>, Leaving>>>,
}

/// A body on its way out: all of it is here, or it is passed on as it comes.
pub(crate) type Leaving = Either<Full<Bytes>, UnsyncBoxBody<Bytes, std::io::Error>>;

/// One answer, headers read, body still to come.
pub(crate) type Answer = Response<DecompressionBody<Incoming>>;

impl Channel {
    pub(crate) fn new(dialer: Dialer, terms: Terms, first_byte_timeout: Duration) -> Self {
        Self(Arc::new(Inner {
            plain: pooled(dialer.clone()),
            dialer,
            terms,
            first_byte_timeout,
            secure: OnceLock::new(),
        }))
    }

    /// The same reach, with connections of its own that show this certificate. Nobody gets them but
    /// who holds this channel.
    pub(crate) fn identified(&self, identity: Arc<CertifiedKey>) -> Self {
        let terms = Terms {
            identity: Some(identity),
            ..self.0.terms.clone()
        };
        Self::new(self.0.dialer.clone(), terms, self.0.first_byte_timeout)
    }

    /// From sending a request to the end of the answer's headers.
    pub(crate) fn first_byte_timeout(&self) -> Duration {
        self.0.first_byte_timeout
    }

    /// Sends without TLS.
    pub(crate) async fn send_plain(&self, request: Request<Leaving>) -> Result<Answer, Error> {
        self.0.plain.clone().oneshot(request).await
    }

    /// Sends with TLS, whose configuration all channels on the same terms share.
    pub(crate) async fn send_secure(
        &self,
        request: Request<Leaving>,
        tls: &Tls,
    ) -> Result<Result<Answer, Error>, TlsUnavailable> {
        let client = match self.0.secure.get() {
            Some(client) => client,
            None => {
                let connector = HttpsConnectorBuilder::new()
                    .with_tls_config(tls.config(&self.0.terms)?)
                    .https_only()
                    .enable_all_versions()
                    .wrap_connector(self.0.dialer.clone());
                self.0.secure.get_or_init(|| pooled(connector))
            }
        };
        Ok(client.clone().oneshot(request).await)
    }
}

fn pooled<C>(connector: C) -> Decompression<Client<C, Leaving>>
where
    C: Service<http::Uri> + Connect + Clone,
{
    Decompression::new(
        Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .http1_max_buf_size(HEADER_BYTES_MAX as usize)
            .http2_max_header_list_size(HEADER_BYTES_MAX)
            .build(connector),
    )
}
