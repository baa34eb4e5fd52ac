//! Why a request got no answer, in words for the owner and the model.

use std::error::Error;
use std::time::Duration;

use rustls::AlertDescription;

use crate::egress::admission::Refusal;
use crate::egress::dial::DialError;

/// Why a request got no answer. The texts carry origins, never a path, query, header or body.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    #[error("{0}")]
    Refused(Refusal),
    #[error(
        "{host} is a name that is never reached through a proxy: the machine itself, a metadata \
         service, or one of Causeway's own addresses"
    )]
    RefusedName { host: String },
    #[error(
        "{origin} asks for a TLS client certificate and does not accept the one it was shown, or \
         was shown none ({alert}); the server's owner can set one as the credential of a mutualTLS \
         scheme, or with the setting clientCertificate"
    )]
    CertificateWanted { origin: String, alert: String },
    #[error("the host {host} has no address; check the server's URL")]
    Unresolved { host: String },
    #[error("no connection to {origin}: {source}")]
    Unreachable {
        origin: String,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("{origin} did not answer within {:.1} s", after.as_secs_f64())]
    TimedOut { origin: String, after: Duration },
    #[error("the call was cancelled")]
    Cancelled,
    #[error("{origin} broke the connection off before its answer was complete")]
    Broken {
        origin: String,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("the answer is longer than {limit} bytes")]
    TooLarge { limit: usize },
    #[error(
        "{from} redirects to another origin, {to}, which is not followed; \
         give that address instead if you trust it"
    )]
    Redirected { from: String, to: String },
    #[error("{origin} redirects too often")]
    RedirectedTooOften { origin: String },
    #[error("{origin} answered with status {status}")]
    Status { origin: String, status: u16 },
    #[error("only http and https URLs without user name and password can be requested")]
    InvalidUrl,
}

impl EgressError {
    /// What the HTTP client reports, in our words.
    pub(crate) fn from_client(
        origin: String,
        error: hyper_util::client::legacy::Error,
        waited: Duration,
    ) -> Self {
        let connecting = error.is_connect();
        match find_dial_error(&error) {
            Some(DialError::Refused(refusal)) => return Self::Refused(refusal.clone()),
            Some(DialError::RefusedName { host }) => {
                return Self::RefusedName { host: host.clone() };
            }
            Some(DialError::Unresolved { host }) => {
                return Self::Unresolved { host: host.clone() };
            }
            Some(DialError::TimedOut(_)) => {
                return Self::TimedOut {
                    origin,
                    after: waited,
                };
            }
            Some(DialError::Failed(_)) | None => {}
        }
        if let Some(alert) = wanted_certificate(&error) {
            return Self::CertificateWanted { origin, alert };
        }
        let source = innermost(&error).into();
        if connecting {
            Self::Unreachable { origin, source }
        } else {
            Self::Broken { origin, source }
        }
    }
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |e: &&'a (dyn Error + 'static)| (*e).source())
}

fn find_dial_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a DialError> {
    chain(error).find_map(|e| e.downcast_ref())
}

/// What the other side says of the certificate it was shown, or not shown.
fn wanted_certificate(error: &(dyn Error + 'static)) -> Option<String> {
    chain(error).find_map(|cause| {
        // An error of the TLS library comes wrapped in one of reading or writing.
        let inner = cause
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let rustls::Error::AlertReceived(alert) = inner.or_else(|| cause.downcast_ref())? else {
            return None;
        };
        let of_certificate = matches!(
            alert,
            AlertDescription::CertificateRequired
                | AlertDescription::NoCertificate
                | AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied
        );
        of_certificate.then(|| format!("{alert:?}"))
    })
}

/// The cause that says most: the operating system's or the TLS library's.
fn innermost(error: &(dyn Error + 'static)) -> String {
    chain(error)
        .last()
        .map_or_else(String::new, ToString::to_string)
}
