//! The last stage before a request leaves: the only one that sees a provider's key.

pub mod google;
pub mod sigv4;

use chrono::{DateTime, Utc};
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use crate::llm::fault::{Fault, FaultClass};
use crate::llm::provider::{Auth, Provider};
use crate::llm::sign::sigv4::AwsCredentials;
use crate::types::UpstreamRequest;

/// What a request is signed with and when.
pub struct Signing<'a> {
    pub secret: Option<&'a SecretString>,
    /// Of AWS.
    pub region: Option<&'a str>,
    pub now: DateTime<Utc>,
}

/// Puts a key where a provider wants it.
///
/// # Errors
/// Where the provider wants one and there is none, or it is of another kind. The text never has any of it.
pub fn sign(
    request: UpstreamRequest,
    (provider, auth): (&Provider, &Auth),
    signing: &Signing<'_>,
) -> Result<UpstreamRequest, Fault> {
    if *auth == Auth::None {
        return Ok(request);
    }
    let Some(secret) = signing.secret else {
        if provider.other_auth.contains(&Auth::None) {
            return Ok(request);
        }
        let text = "the provider has no key that may be sent to this address; add one";
        return Err(unauthenticated(text));
    };
    match auth {
        Auth::Sigv4(service) => match aws_credentials(secret) {
            Some(credentials) => {
                let region = signing.region.unwrap_or_default();
                Ok(sigv4::sign(
                    request,
                    &credentials,
                    region,
                    service,
                    signing.now,
                ))
            }
            None if provider.other_auth.contains(&Auth::Bearer) => {
                attach(request, &Auth::Bearer, secret)
            }
            None => Err(unauthenticated(
                "a key of AWS is the access key id, a colon and the secret access key; of temporary \
                 credentials, another colon and the session token follow",
            )),
        },
        auth => attach(request, auth, secret),
    }
}

fn attach(
    mut request: UpstreamRequest,
    auth: &Auth,
    secret: &SecretString,
) -> Result<UpstreamRequest, Fault> {
    let secret = secret.expose_secret();
    match auth {
        Auth::Header(name) => {
            let name = HeaderName::try_from(name.as_str()).map_err(|_| unfit())?;
            put(&mut request, &name, secret)?;
        }
        Auth::Query(name) => {
            request.url.query_pairs_mut().append_pair(name, secret);
        }
        // A token; a key file was exchanged for one before, and never goes itself.
        Auth::GoogleOauth(_) if secret.trim_start().starts_with('{') => {
            let text = "a service account's key file is not sent";
            return Err(Fault::new(FaultClass::Internal, text));
        }
        Auth::Bearer | Auth::GoogleOauth(_) => {
            put(&mut request, &AUTHORIZATION, &format!("Bearer {secret}"))?;
        }
        Auth::Sigv4(_) | Auth::None => {}
    }
    Ok(request)
}

/// `ID:SECRET` or `ID:SECRET:TOKEN`.
fn aws_credentials(secret: &SecretString) -> Option<AwsCredentials> {
    let mut parts = secret.expose_secret().splitn(3, ':');
    let (id, key) = (parts.next()?, parts.next()?);
    Some(AwsCredentials {
        access_key_id: id.to_owned(),
        secret_access_key: key.to_owned().into(),
        session_token: parts.next().map(|token| token.to_owned().into()),
    })
}

fn put(request: &mut UpstreamRequest, name: &HeaderName, value: &str) -> Result<(), Fault> {
    let mut value = HeaderValue::from_str(value).map_err(|_| unfit())?;
    value.set_sensitive(true);
    request.headers.insert(name, value);
    Ok(())
}

fn unfit() -> Fault {
    unauthenticated("the provider's key has characters that no header may have; enter it again")
}

fn unauthenticated(text: &str) -> Fault {
    Fault::new(FaultClass::Unauthenticated, text)
}
