//! Certificate authorities that one server's API is trusted by beside the system's: for APIs inside
//! a company, whose certificates no public authority signs.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::credential::certificate::validity;

/// Longer texts are refused.
pub const AUTHORITIES_BYTES_MAX: usize = 128 << 10;
const AUTHORITIES_MAX: usize = 32;

/// Certificates of authorities, at least one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Authorities {
    certificates: Arc<[CertificateDer<'static>]>,
}

/// Why a text is no list of authorities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthoritiesError {
    #[error("it is longer than {AUTHORITIES_BYTES_MAX} bytes")]
    TooLong,
    #[error("it holds more than {AUTHORITIES_MAX} certificates")]
    TooMany,
    #[error(
        "it holds no certificate; give the authority's certificate in PEM (-----BEGIN \
         CERTIFICATE-----)"
    )]
    None,
    #[error("certificate number {number} cannot be read")]
    Unreadable { number: usize },
    #[error("certificate number {number} expired on {}", .on.format("%Y-%m-%d"))]
    Expired { number: usize, on: DateTime<Utc> },
    #[error("it holds a private key, which belongs to a credential; give certificates only")]
    Key,
}

impl Authorities {
    /// Reads certificates in PEM.
    ///
    /// # Errors
    /// What is wrong with which of them.
    pub fn parse(pem: &str) -> Result<Self, AuthoritiesError> {
        if pem.len() > AUTHORITIES_BYTES_MAX {
            return Err(AuthoritiesError::TooLong);
        }
        // Settings are shown; a key would be shown with them.
        if pem.contains("PRIVATE KEY-----") {
            return Err(AuthoritiesError::Key);
        }
        let mut certificates = Vec::new();
        let mut roots = RootCertStore::empty();
        for read in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let number = certificates.len() + 1;
            let unreadable = AuthoritiesError::Unreadable { number };
            let certificate = read.map_err(|_| unreadable)?;
            roots.add(certificate.clone()).map_err(|_| unreadable)?;
            if number > AUTHORITIES_MAX {
                return Err(AuthoritiesError::TooMany);
            }
            certificates.push(certificate);
        }
        if certificates.is_empty() {
            return Err(AuthoritiesError::None);
        }
        Ok(Self {
            certificates: certificates.into(),
        })
    }

    /// Whether all of them are good at this time. One that is good later only is no mistake.
    ///
    /// # Errors
    /// The first that expired.
    pub fn check_at(&self, now: DateTime<Utc>) -> Result<(), AuthoritiesError> {
        for (at, certificate) in self.certificates.iter().enumerate() {
            let number = at + 1;
            let (_, until) =
                validity(certificate).ok_or(AuthoritiesError::Unreadable { number })?;
            if now > until {
                return Err(AuthoritiesError::Expired { number, on: until });
            }
        }
        Ok(())
    }

    pub(crate) fn certificates(&self) -> impl Iterator<Item = CertificateDer<'static>> {
        self.certificates.iter().cloned()
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorities({})", self.certificates.len())
    }
}
