//! A TLS client certificate with its private key: what a server shows an API that asks who connects
//! (OpenAPI 3.1 `mutualTLS`). Pure; the key never leaves in an error or in debug output.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use secrecy::{ExposeSecret, SecretString};

use crate::credential::certificate::validity;

/// A client certificate may bring so many above it.
const CHAIN_MAX: usize = 10;

/// A certificate chain and the private key of its first certificate, checked to belong together.
#[derive(Clone)]
pub struct Identity {
    /// As it was entered.
    pem: SecretString,
    certified: Arc<CertifiedKey>,
    good_from: DateTime<Utc>,
    good_until: DateTime<Utc>,
}

/// Why a text is no client certificate. Says what is wrong with which part, and nothing of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    #[error(
        "certificate: there is none; give the certificate chain and the private key in one PEM \
         text, the client's own certificate first (-----BEGIN CERTIFICATE-----)"
    )]
    NoCertificate,
    #[error("certificate: number {number} of the chain cannot be read")]
    BadCertificate { number: usize },
    #[error("certificate: a chain has at most {CHAIN_MAX} certificates")]
    TooLong,
    #[error(
        "private key: there is none; give it beside the certificate, as PKCS#8, PKCS#1 or SEC1 in \
         PEM (-----BEGIN PRIVATE KEY-----)"
    )]
    NoKey,
    #[error("private key: there is more than one")]
    SeveralKeys,
    #[error(
        "private key: it is encrypted with a passphrase; decrypt it first (openssl pkey -in \
         key.pem), it is kept encrypted here"
    )]
    Encrypted,
    #[error(
        "private key: it cannot be used; RSA of 2048 bits or more, ECDSA on P-256, P-384 or P-521, \
         and Ed25519 can"
    )]
    BadKey,
    #[error(
        "private key: it does not belong to the first certificate{}",
        if *.of_another { "; it belongs to a later one of the chain, and that one comes first" } else { "" }
    )]
    Mismatch { of_another: bool },
    #[error("certificate: it expired on {}", .on.format("%Y-%m-%d"))]
    Expired { on: DateTime<Utc> },
    #[error("certificate: it is not valid before {}", .from.format("%Y-%m-%d"))]
    NotYet { from: DateTime<Utc> },
}

impl Identity {
    /// Reads a certificate chain and a private key in PEM, in either order, and checks that they
    /// belong together.
    ///
    /// # Errors
    /// What is wrong with which of them.
    pub fn parse(pem: &str) -> Result<Self, IdentityError> {
        let chain = chain(pem)?;
        let key = key(pem)?;
        let signing = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key)
            .map_err(|_| IdentityError::BadKey)?;
        let (good_from, good_until) =
            validity(&chain[0]).ok_or(IdentityError::BadCertificate { number: 1 })?;
        let certified = CertifiedKey::new(chain, signing);
        if certified.keys_match().is_err() {
            let of_another = certified.cert[1..].iter().any(|other| {
                let other = CertifiedKey::new(vec![other.clone()], certified.key.clone());
                other.keys_match().is_ok()
            });
            return Err(IdentityError::Mismatch { of_another });
        }
        Ok(Self {
            pem: pem.into(),
            certified: Arc::new(certified),
            good_from,
            good_until,
        })
    }

    /// Whether it may be shown at this time.
    ///
    /// # Errors
    /// That it is too early or too late.
    pub fn check_at(&self, now: DateTime<Utc>) -> Result<(), IdentityError> {
        if now > self.good_until {
            return Err(IdentityError::Expired {
                on: self.good_until,
            });
        }
        if now < self.good_from {
            return Err(IdentityError::NotYet {
                from: self.good_from,
            });
        }
        Ok(())
    }

    /// The last moment at which it is good.
    pub fn good_until(&self) -> DateTime<Utc> {
        self.good_until
    }

    /// As it was entered, to be sealed.
    pub(crate) fn expose_pem(&self) -> &str {
        self.pem.expose_secret()
    }

    /// For the TLS library.
    pub(crate) fn certified(&self) -> Arc<CertifiedKey> {
        self.certified.clone()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("good_until", &self.good_until)
            .finish_non_exhaustive()
    }
}

fn chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let mut chain = Vec::new();
    for read in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let number = chain.len() + 1;
        let certificate = read.map_err(|_| IdentityError::BadCertificate { number })?;
        if validity(&certificate).is_none() {
            return Err(IdentityError::BadCertificate { number });
        }
        if number > CHAIN_MAX {
            return Err(IdentityError::TooLong);
        }
        chain.push(certificate);
    }
    if chain.is_empty() {
        return Err(IdentityError::NoCertificate);
    }
    Ok(chain)
}

fn key(pem: &str) -> Result<PrivateKeyDer<'static>, IdentityError> {
    // The older form says so in a header inside (RFC 1421).
    if pem.contains("BEGIN ENCRYPTED PRIVATE KEY") || pem.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(IdentityError::Encrypted);
    }
    let mut keys = PrivateKeyDer::pem_slice_iter(pem.as_bytes());
    let key = keys
        .next()
        .ok_or(IdentityError::NoKey)?
        .map_err(|_| IdentityError::BadKey)?;
    match keys.next() {
        Some(_) => Err(IdentityError::SeveralKeys),
        None => Ok(key),
    }
}
