//! TLS as the process speaks it: 1.2 and 1.3, certificates judged by the operating system's trust
//! store, and for one server by authorities of its own beside it.
//!
//! What was resumed is not judged again, and remembers who the client was. So sessions are shared by
//! connections alone that trust the same and show the same: whoever trusts or shows something of its
//! own gets a configuration of its own.

use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_platform_verifier::Verifier;

use crate::egress::authority::Authorities;

/// Why TLS cannot be used at all.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no TLS: {0}; install the operating system's CA certificates (package ca-certificates)")]
pub struct TlsUnavailable(rustls::Error);

/// Whom a connection trusts beside the system's authorities, and who it says it is.
#[derive(Clone, Default)]
pub(crate) struct Terms {
    pub(crate) authorities: Option<Authorities>,
    pub(crate) identity: Option<Arc<CertifiedKey>>,
}

/// What of TLS the whole process shares. Read once, on first use.
#[derive(Default)]
pub(crate) struct Tls {
    verifier: OnceLock<Result<Arc<Verifier>, TlsUnavailable>>,
    plain: OnceLock<Result<ClientConfig, TlsUnavailable>>,
}

impl Tls {
    /// The configuration for these terms.
    pub(crate) fn config(&self, terms: &Terms) -> Result<ClientConfig, TlsUnavailable> {
        match terms {
            Terms {
                authorities: None,
                identity: None,
            } => self
                .plain
                .get_or_init(|| configuration(self.system()?, None))
                .clone(),
            Terms {
                authorities,
                identity,
            } => {
                let verifier = match authorities {
                    Some(authorities) => trusting(authorities)?,
                    None => self.system()?,
                };
                configuration(verifier, identity.clone())
            }
        }
    }

    fn system(&self) -> Result<Arc<Verifier>, TlsUnavailable> {
        self.verifier
            .get_or_init(|| {
                Verifier::new(provider())
                    .map(Arc::new)
                    .map_err(TlsUnavailable)
            })
            .clone()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn trusting(authorities: &Authorities) -> Result<Arc<Verifier>, TlsUnavailable> {
    Verifier::new_with_extra_roots(authorities.certificates(), provider())
        .map(Arc::new)
        .map_err(TlsUnavailable)
}

fn configuration(
    verifier: Arc<dyn ServerCertVerifier>,
    identity: Option<Arc<CertifiedKey>>,
) -> Result<ClientConfig, TlsUnavailable> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsUnavailable)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    Ok(match identity {
        Some(identity) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity)))
        }
        None => builder.with_no_client_auth(),
    })
}
