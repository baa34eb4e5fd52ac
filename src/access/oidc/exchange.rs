//! The one request for tokens: a code, and what proves that it is ours, for an ID token. It goes through
//! `egress`, is short in time and size, and follows no redirect. Nothing the provider wrote is repeated
//! but a code of the protocol.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::StatusCode;
use http::header::AUTHORIZATION;
use oauth2::{
    AsyncHttpClient, AuthType, AuthorizationCode, ClientId, ClientSecret, HttpRequest,
    HttpResponse, PkceCodeVerifier, RedirectUrl, RequestTokenError, TokenResponse, TokenUrl,
};
use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::access::issuer::published::Reader;
use crate::access::oidc::OidcError;
use crate::access::oidc::description::Description;
use crate::access::oidc::settings::OidcSettings;
use crate::access::upstream_auth::request::{Client, code};
use crate::egress::{EgressError, Patience};
use crate::types::UpstreamRequest;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than any answer with tokens.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// A code that came back with the browser, and what it was asked for with.
pub(super) struct Code<'c> {
    pub(super) code: &'c str,
    pub(super) verifier: String,
    pub(super) redirect_uri: &'c str,
}

/// Why no answer came that can be read.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error(transparent)]
    Egress(#[from] EgressError),
    #[error("its answer is a redirect, too long, or no answer of a token endpoint (status {0})")]
    Answer(u16),
    #[error("its address is no URL")]
    Address,
}

struct Sending<'a>(&'a Reader);

impl<'c> AsyncHttpClient<'c> for Sending<'_> {
    type Error = SendError;
    type Future = BoxFuture<'c, Result<HttpResponse, SendError>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(post(self.0, request))
    }
}

/// What a code is answered with.
pub(super) struct Answered {
    pub(super) id_token: String,
    /// It is never used: only what the ID token says of it is held against it.
    pub(super) access_token: SecretString,
}

/// The ID token for a code, and the access token beside it (OpenID Connect Core 1.0, section 3.1.3).
pub(super) async fn tokens(
    reader: &Reader,
    (settings, description): (&OidcSettings, &Description),
    code: Code<'_>,
) -> Result<Answered, OidcError> {
    let client = client(settings, description)?;
    let redirect = RedirectUrl::new(code.redirect_uri.to_owned());
    let client = client.set_redirect_uri(redirect.map_err(|_| OidcError::NoToken)?);
    let asked = client
        .exchange_code(AuthorizationCode::new(code.code.to_owned()))
        .set_pkce_verifier(PkceCodeVerifier::new(code.verifier));
    let sending = Sending(reader);
    match asked.request_async(&sending).await {
        Ok(answer) => {
            let id_token = answer.extra_fields().id_token.clone();
            Ok(Answered {
                id_token: id_token.ok_or(OidcError::NoToken)?,
                access_token: answer.access_token().secret().clone().into(),
            })
        }
        Err(RequestTokenError::ServerResponse(refusal)) => {
            Err(OidcError::Refused(refused(refusal.error().as_ref())))
        }
        Err(RequestTokenError::Request(error)) => Err(OidcError::Unreachable(error.to_string())),
        Err(RequestTokenError::Parse(..) | RequestTokenError::Other(_)) => Err(OidcError::NoToken),
    }
}

/// An error code of the protocol, or that it is none.
pub(super) fn refused(said: &str) -> String {
    code(said)
}

fn client(settings: &OidcSettings, description: &Description) -> Result<Client, OidcError> {
    let url = TokenUrl::new(description.token.to_string()).map_err(|_| OidcError::NoToken)?;
    let authentication = if description.secret_in_form {
        AuthType::RequestBody
    } else {
        AuthType::BasicAuth
    };
    let mut client = oauth2::Client::new(ClientId::new(settings.client_id.clone()))
        .set_token_uri(url)
        .set_auth_type(authentication);
    if let Some(secret) = &settings.client_secret {
        client = client.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned()));
    }
    Ok(client)
}

async fn post(reader: &Reader, request: HttpRequest) -> Result<HttpResponse, SendError> {
    let (head, body) = request.into_parts();
    let url = Url::parse(&head.uri.to_string()).map_err(|_| SendError::Address)?;
    let mut headers = head.headers;
    if let Some(value) = headers.get_mut(AUTHORIZATION) {
        value.set_sensitive(true);
    }
    let request = UpstreamRequest {
        method: head.method,
        url,
        headers,
        body: Bytes::from(body),
    };
    let never = CancellationToken::new();
    let patience = Patience {
        deadline: Instant::now() + REQUEST_TIMEOUT,
        cancel: &never,
    };
    let (egress, upstream) = (&reader.egress, &reader.upstream);
    let sent = egress.send_short(upstream, request, patience, ANSWER_BYTES_MAX);
    let answer = sent.await?;
    // Errors of the protocol come with 400 or 401 (RFC 6749 section 5.2); anything else is no answer.
    let spoken = matches!(
        answer.status,
        StatusCode::OK | StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED
    );
    if !spoken || answer.truncated {
        return Err(SendError::Answer(answer.status.as_u16()));
    }
    let mut response = HttpResponse::new(answer.body.to_vec());
    *response.status_mut() = answer.status;
    Ok(response)
}
