//! TLS for the listener: a certificate and its key from files, read again when they change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The certificate that is shown, and where it comes from. Cheap to clone.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads a PEM chain, the server's own certificate first, and its PEM key. Errors name the file.
    pub fn open(certificate: &Path, key: &Path) -> anyhow::Result<Self> {
        let current = read(certificate, key)?;
        Ok(Self(Arc::new(Inner {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            current: RwLock::new(Arc::new(current)),
        })))
    }

    /// What shakes hands with clients: TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1.
    pub fn acceptor(&self) -> anyhow::Result<TlsAcceptor> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.0.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Takes what is in the files when they change, until `stop`. What cannot be used is reported, and
    /// the certificate stays that is there.
    pub async fn follow(self, stop: CancellationToken) {
        let mut seen = self.changed_at();
        while stop
            .run_until_cancelled(tokio::time::sleep(LOOK_EVERY))
            .await
            .is_some()
        {
            let now = self.changed_at();
            if now == seen {
                continue;
            }
            seen = now;
            let this = self.clone();
            let read = tokio::task::spawn_blocking(move || read(&this.0.certificate, &this.0.key));
            match read.await {
                Ok(Ok(fresh)) => {
                    *self.0.current.write() = Arc::new(fresh);
                    tracing::info!(file = %self.0.certificate.display(), "the certificate was read again");
                }
                Ok(Err(error)) => tracing::error!(
                    error = format!("{error:#}"),
                    "the certificate changed and cannot be used; the one before stays in use"
                ),
                Err(error) => tracing::error!(%error, "the certificate could not be read"),
            }
        }
    }

    /// When each file was written last; links are followed, as secrets of Kubernetes are mounted.
    fn changed_at(&self) -> [Option<SystemTime>; 2] {
        [&self.0.certificate, &self.0.key]
            .map(|path| std::fs::metadata(path).and_then(|it| it.modified()).ok())
    }
}

impl ResolvesServerCert for Inner {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().clone())
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
}

fn read(certificate: &Path, key: &Path) -> anyhow::Result<CertifiedKey> {
    let unreadable = |path: &Path| format!("cannot read {}", path.display());
    let chain = CertificateDer::pem_file_iter(certificate)
        .with_context(|| unreadable(certificate))?
        .collect::<Result<Vec<_>, _>>()
        .with_context(|| unreadable(certificate))?;
    if chain.is_empty() {
        bail!("{} holds no certificate in PEM", certificate.display());
    }
    let private = PrivateKeyDer::from_pem_file(key).with_context(|| unreadable(key))?;
    CertifiedKey::from_der(chain, private, &provider()).with_context(|| {
        let (certificate, key) = (certificate.display(), key.display());
        format!("{key} is not the key of the certificate in {certificate}")
    })
}
