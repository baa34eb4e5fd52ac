//! APIs that prove who they are, and ask who connects: over real sockets, with certificates made here.

mod flow;
mod identity;
mod process;
mod trust;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use causeway::credential::{Identity, Secret};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SignatureAlgorithm, date_time_ymd,
};
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use serde_json::{Value, json};
use tokio::net::TcpListener;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Whoever signs certificates.
pub(crate) struct Authority {
    pub(crate) pem: String,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key.
pub(crate) struct Party {
    pub(crate) certificate: String,
    pub(crate) key: KeyPair,
    der: CertificateDer<'static>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        Self::lasting(name, 2100)
    }

    pub(crate) fn lasting(name: &str, until: i32) -> Self {
        let mut params = named(name, until);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            pem: certificate.pem(),
            certificate: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    fn sign(&self, params: &CertificateParams, algorithm: &'static SignatureAlgorithm) -> Party {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Party {
            certificate: certificate.pem(),
            der: certificate.der().clone(),
            key,
        }
    }

    /// A client of this name, good until the end of that year.
    pub(crate) fn client(&self, name: &str, until: i32) -> Party {
        self.client_with(name, until, &rcgen::PKCS_ECDSA_P256_SHA256)
    }

    pub(crate) fn client_with(
        &self,
        name: &str,
        until: i32,
        algorithm: &'static SignatureAlgorithm,
    ) -> Party {
        let mut params = named(name, until);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params, algorithm)
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        Arc::new(roots)
    }
}

fn named(name: &str, until: i32) -> CertificateParams {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(until, 12, 31);
    params
}

impl Party {
    /// As an owner enters it.
    pub(crate) fn pem(&self) -> String {
        format!("{}{}", self.certificate, self.key.serialize_pem())
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity::parse(&self.pem()).unwrap()
    }

    pub(crate) fn secret(&self) -> Secret {
        Secret::Identity(Box::new(self.identity()))
    }
}

/// Whom an API answers.
pub(crate) enum Wants<'a> {
    Anybody,
    /// Whoever shows a certificate of this authority, and others as well.
    Asks(&'a Authority),
    /// Only who shows one.
    Demands(&'a Authority),
}

/// An API over TLS on this machine. It answers with what it saw.
pub(crate) struct Api {
    pub(crate) origin: String,
    seen: Arc<Mutex<Vec<Value>>>,
    connections: Arc<AtomicUsize>,
}

impl Api {
    /// Its certificate is signed by `own`.
    pub(crate) async fn start(own: &Authority, wants: Wants<'_>) -> Self {
        let config = Arc::new(server_config(own, wants));
        let acceptor = tokio_rustls::TlsAcceptor::from(config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("https://{}", listener.local_addr().unwrap());
        let api = Self {
            origin,
            seen: Arc::default(),
            connections: Arc::default(),
        };
        let (seen, connections) = (api.seen.clone(), api.connections.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = connections.fetch_add(1, Ordering::SeqCst);
                let seen = seen.clone();
                tokio::spawn(answer(acceptor.accept(stream), number, seen));
            }
        });
        api
    }

    /// What it was asked, each with who asked on which connection.
    pub(crate) fn seen(&self) -> Vec<Value> {
        self.seen.lock().unwrap().clone()
    }

    /// How many connections there were, also those that came to nothing.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn server_config(own: &Authority, wants: Wants<'_>) -> ServerConfig {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]);
    let params = params.as_mut().unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_after = date_time_ymd(2100, 1, 1);
    let party = own.sign(params, &rcgen::PKCS_ECDSA_P256_SHA256);
    let verifier = |authority: &Authority| {
        WebPkiClientVerifier::builder_with_provider(authority.roots(), provider())
    };
    let verifier: Arc<dyn ClientCertVerifier> = match wants {
        Wants::Anybody => WebPkiClientVerifier::no_client_auth(),
        Wants::Asks(authority) => verifier(authority).allow_unauthenticated().build().unwrap(),
        Wants::Demands(authority) => verifier(authority).build().unwrap(),
    };
    let key = PrivateKeyDer::try_from(party.key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![party.der], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

async fn answer(
    accepting: tokio_rustls::Accept<tokio::net::TcpStream>,
    number: usize,
    seen: Arc<Mutex<Vec<Value>>>,
) {
    let Ok(stream) = accepting.await else {
        return;
    };
    let shown = stream.get_ref().1.peer_certificates();
    let client = shown.map(|chain| common_name(&chain[0]));
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let headers: serde_json::Map<String, Value> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap())))
            .collect();
        let said = json!({
            "client": client,
            "connection": number,
            "path": request.uri().path(),
            "headers": headers,
        });
        seen.lock().unwrap().push(said.clone());
        let response = Response::builder()
            .header("content-type", "application/json")
            .body(Full::new(bytes::Bytes::from(said.to_string())));
        std::future::ready(response)
    });
    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

/// The name a client's certificate of these tests was made for: one digit tells them apart.
fn common_name(certificate: &CertificateDer<'_>) -> String {
    let text = String::from_utf8_lossy(certificate);
    let start = text.rfind("client-").expect("a client of these tests");
    text[start..].chars().take("client-1".len()).collect()
}
