//! Pooled connections under one set of allow rules. Pools are never shared between sets: a
//! connection that one server may use must not serve a server that may not.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::Connect;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt;
use tower::{Service, ServiceExt};
use tower_http::decompression::{Decompression, DecompressionBody};

use crate::egress::dial::Dialer;

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
    plain: Decompression<Client<Dialer, Full<Bytes>>>,
    /// Made on first use: reading the trust store takes longer than starting.
    secure: OnceLock<Decompression<Client<HttpsConnector<Dialer>, Full<Bytes>>>>,
}

/// Why TLS cannot be used at all.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no TLS: {0}; install the operating system's CA certificates (package ca-certificates)")]
pub struct TlsUnavailable(rustls::Error);

/// One answer, headers read, body still to come.
pub(crate) type Answer = Response<DecompressionBody<Incoming>>;

impl Channel {
    pub(crate) fn new(dialer: Dialer) -> Self {
        Self(Arc::new(Inner {
            plain: pooled(dialer.clone()),
            dialer,
            secure: OnceLock::new(),
        }))
    }

    /// Sends without TLS.
    pub(crate) async fn send_plain(&self, request: Request<Full<Bytes>>) -> Result<Answer, Error> {
        self.0.plain.clone().oneshot(request).await
    }

    /// Sends with TLS, whose configuration all channels share.
    pub(crate) async fn send_secure(
        &self,
        request: Request<Full<Bytes>>,
        tls: &Tls,
    ) -> Result<Result<Answer, Error>, TlsUnavailable> {
        let client = match self.0.secure.get() {
            Some(client) => client,
            None => {
                let connector = HttpsConnectorBuilder::new()
                    .with_tls_config(tls.config()?)
                    .https_only()
                    .enable_all_versions()
                    .wrap_connector(self.0.dialer.clone());
                self.0.secure.get_or_init(|| pooled(connector))
            }
        };
        Ok(client.clone().oneshot(request).await)
    }
}

fn pooled<C>(connector: C) -> Decompression<Client<C, Full<Bytes>>>
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

/// The TLS configuration of the process: TLS 1.2 and 1.3, certificates judged by the operating
/// system's trust store. Read once, on first use.
#[derive(Default)]
pub(crate) struct Tls(OnceLock<Result<ClientConfig, TlsUnavailable>>);

impl Tls {
    fn config(&self) -> Result<ClientConfig, TlsUnavailable> {
        self.0.get_or_init(load).clone()
    }
}

fn load() -> Result<ClientConfig, TlsUnavailable> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(BuilderVerifierExt::with_platform_verifier)
        .map_err(TlsUnavailable)?
        .with_no_client_auth())
}
