//! Requests to an authorization server and its answers, in the words of RFC 6749 and 7009. They go
//! through `egress`, are short in time and size, and go to approved origins only.

use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, Method};
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
    BasicTokenType,
};
use oauth2::{
    AsyncHttpClient, AuthType, AuthorizationCode, ClientId, ClientSecret, EndpointNotSet,
    EndpointSet, ExtraTokenFields, HttpRequest, HttpResponse, PkceCodeVerifier, RedirectUrl,
    RefreshToken, RequestTokenError, Scope, StandardRevocableToken, StandardTokenResponse,
    TokenResponse, TokenUrl,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::access::upstream_auth::{TokenError, Tokens};
use crate::credential::oauth::{Addresses, ClientAuthentication, TokenSource, origin};
use crate::egress::{EgressError, Patience, Upstream};
use crate::types::{UpstreamRequest, UpstreamResponse};

/// For one request to an authorization server, from connecting to the end of its answer.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than any answer with tokens.
const ANSWER_BYTES_MAX: usize = 256 << 10;
/// Longer than any token that fits into a header.
const TOKEN_BYTES_MAX: usize = 32 << 10;
/// A token that is said to last longer is asked for again all the same.
const LIFE_S_MAX: u64 = 365 * 24 * 3600;

/// One source's authorization server, and the way there.
pub(super) struct Asking<'a> {
    pub(super) tokens: &'a Tokens,
    pub(super) source: &'a TokenSource,
    pub(super) upstream: Upstream,
}

/// What an authorization server issued.
pub(super) struct Issued {
    pub(super) access: SecretString,
    pub(super) refresh: Option<SecretString>,
    pub(super) ends_at: Option<DateTime<Utc>>,
    /// OpenID Connect Core 1.0, section 3.1.3.3.
    pub(super) id_token: Option<String>,
}

/// A code that came back with the browser, and what it was asked for with.
pub(super) struct Code<'c> {
    pub(super) code: &'c str,
    pub(super) verifier: &'c str,
    pub(super) redirect_uri: &'c str,
}

#[derive(Debug, Deserialize, Serialize)]
pub(in crate::access) struct IdToken {
    pub(in crate::access) id_token: Option<String>,
}

impl ExtraTokenFields for IdToken {}

type Answer = StandardTokenResponse<IdToken, BasicTokenType>;
pub(in crate::access) type Client = oauth2::Client<
    BasicErrorResponse,
    Answer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;
type Outcome = Result<Answer, RequestTokenError<TokenError, BasicErrorResponse>>;

impl<'c> AsyncHttpClient<'c> for Asking<'_> {
    type Error = TokenError;
    type Future = BoxFuture<'c, Result<HttpResponse, TokenError>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.post(request))
    }
}

impl Tokens {
    pub(super) fn asking<'a>(&'a self, source: &'a TokenSource, upstream: &Upstream) -> Asking<'a> {
        let upstream = match upstream {
            Upstream::Http(channel) => Upstream::Http(channel.clone()),
            // An authorization server is never inside the process.
            Upstream::Internal(_) => self.0.egress.upstream(&[]),
        };
        Asking {
            tokens: self,
            source,
            upstream,
        }
    }
}

impl Asking<'_> {
    pub(super) fn scheme(&self) -> String {
        self.source.scheme.clone()
    }

    /// A token for the client itself (RFC 6749 section 4.4).
    pub(super) async fn client_credentials(&self) -> Result<Issued, TokenError> {
        let addresses = self.addresses().await?;
        let client = self.client(&addresses.token)?;
        let mut request = client.exchange_client_credentials();
        for scope in &self.source.scopes {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        if let Some(audience) = &self.source.client.registration.audience {
            request = request.add_extra_param("audience", audience);
        }
        self.issued(&addresses.token, request.request_async(self).await)
    }

    /// Tokens for a code (RFC 6749 section 4.1.3, RFC 7636 section 4.5).
    pub(super) async fn exchange(
        &self,
        addresses: &Addresses,
        code: Code<'_>,
    ) -> Result<Issued, TokenError> {
        let redirect = RedirectUrl::new(code.redirect_uri.to_owned());
        let redirect = redirect.map_err(|_| self.unusable("the redirect URI is no URL"))?;
        let client = self.client(&addresses.token)?.set_redirect_uri(redirect);
        let request = client
            .exchange_code(AuthorizationCode::new(code.code.to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(code.verifier.to_owned()));
        self.issued(&addresses.token, request.request_async(self).await)
    }

    /// New tokens for a refresh token (RFC 6749 section 6).
    pub(super) async fn refresh(&self, refresh: &SecretString) -> Result<Issued, TokenError> {
        let addresses = self.addresses().await?;
        let client = self.client(&addresses.refresh)?;
        let refresh = RefreshToken::new(refresh.expose_secret().to_owned());
        let request = client.exchange_refresh_token(&refresh);
        self.issued(&addresses.refresh, request.request_async(self).await)
    }

    /// Asks that a token be good for nothing any more (RFC 7009). `false`: there is nobody to ask.
    pub(super) async fn revoke(
        &self,
        token: &SecretString,
        kind: &str,
    ) -> Result<bool, TokenError> {
        let Some(url) = self.addresses().await?.revocation else {
            return Ok(false);
        };
        self.approved(&url)?;
        let answer = self.post(self.revocation(&url, (token, kind))?).await?;
        let status = answer.status();
        let refused = || TokenError::Refused {
            scheme: self.scheme(),
            origin: origin(&url),
            code: status.as_u16().to_string(),
        };
        status.is_success().then_some(true).ok_or_else(refused)
    }

    /// RFC 7009 section 2.1.
    fn revocation(
        &self,
        url: &Url,
        (token, kind): (&SecretString, &str),
    ) -> Result<HttpRequest, TokenError> {
        let client = &self.source.client.registration;
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("token", token.expose_secret());
        form.append_pair("token_type_hint", kind);
        let mut request = http::Request::new(Vec::new());
        match (&client.secret, client.authentication) {
            (Some(secret), ClientAuthentication::Basic) => {
                request
                    .headers_mut()
                    .insert(AUTHORIZATION, self.basic(secret)?);
            }
            (secret, _) => {
                form.append_pair("client_id", &client.id);
                if let Some(secret) = secret {
                    form.append_pair("client_secret", secret.expose_secret());
                }
            }
        }
        *request.method_mut() = Method::POST;
        *request.uri_mut() = url
            .as_str()
            .parse()
            .map_err(|_| self.unusable("it is no URL"))?;
        let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, form_type);
        *request.body_mut() = form.finish().into_bytes();
        Ok(request)
    }

    /// RFC 6749 section 2.3.1: both halves are encoded as a form's before they are joined.
    fn basic(&self, secret: &SecretString) -> Result<HeaderValue, TokenError> {
        use base64::Engine;
        let encoded = |text: &str| -> String {
            url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
        };
        let id = encoded(&self.source.client.registration.id);
        let pair = format!("{id}:{}", encoded(secret.expose_secret()));
        let pair = base64::engine::general_purpose::STANDARD.encode(pair);
        HeaderValue::try_from(format!("Basic {pair}"))
            .map_err(|_| self.unusable("the client's secret fits into no header"))
    }

    pub(super) fn storage(&self) -> TokenError {
        TokenError::Storage {
            scheme: self.scheme(),
        }
    }

    pub(super) fn unusable(&self, reason: &'static str) -> TokenError {
        TokenError::Unusable {
            scheme: self.scheme(),
            reason,
        }
    }

    /// The client, for an endpoint that its secret may go to.
    fn client(&self, endpoint: &Url) -> Result<Client, TokenError> {
        self.approved(endpoint)?;
        let registration = &self.source.client.registration;
        let url = TokenUrl::new(endpoint.to_string());
        let url = url.map_err(|_| self.unusable("the token URL is no URL"))?;
        let mut client = oauth2::Client::new(ClientId::new(registration.id.clone()))
            .set_token_uri(url)
            .set_auth_type(match registration.authentication {
                ClientAuthentication::Basic => AuthType::BasicAuth,
                ClientAuthentication::Post => AuthType::RequestBody,
            });
        if let Some(secret) = &registration.secret {
            client = client.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned()));
        }
        Ok(client)
    }

    fn approved(&self, url: &Url) -> Result<(), TokenError> {
        let origin = origin(url);
        if self.source.client.origins.contains(&origin) {
            return Ok(());
        }
        Err(TokenError::Unapproved {
            scheme: self.scheme(),
            origin,
        })
    }

    /// Sends what the client made. A redirect is no answer: a secret follows none.
    async fn post(&self, request: HttpRequest) -> Result<HttpResponse, TokenError> {
        let (head, body) = request.into_parts();
        let url = head.uri.to_string();
        let url = Url::parse(&url).map_err(|_| self.unusable("the token URL is no URL"))?;
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
        let from = request.url.clone();
        let answer = self.send(request).await?;
        if !answer.status.is_success() && !says_error(&answer) {
            return Err(self.no_token(&from, answer.status.as_u16()));
        }
        let mut response = HttpResponse::new(readable(&answer));
        *response.status_mut() = match answer.status.as_u16() {
            201 => http::StatusCode::OK,
            200 if says_error(&answer) => http::StatusCode::BAD_REQUEST,
            _ => answer.status,
        };
        Ok(response)
    }

    /// Sends one short request and reads its short answer.
    pub(super) async fn send(
        &self,
        request: UpstreamRequest,
    ) -> Result<UpstreamResponse, TokenError> {
        let from = request.url.clone();
        let never = CancellationToken::new();
        let patience = Patience {
            deadline: Instant::now() + REQUEST_TIMEOUT,
            cancel: &never,
        };
        let egress = &self.tokens.0.egress;
        let sent = egress.send_short(&self.upstream, request, patience, ANSWER_BYTES_MAX);
        let answer = sent.await.map_err(|error| self.unreachable(&error))?;
        if answer.status.is_redirection() && answer.headers.contains_key(LOCATION) {
            return Err(self.unusable(
                "the authorization server redirects, which is not followed; enter the token URL that \
                 it redirects to",
            ));
        }
        if answer.truncated {
            return Err(self.no_token(&from, answer.status.as_u16()));
        }
        Ok(answer)
    }

    fn unreachable(&self, error: &EgressError) -> TokenError {
        TokenError::Unreachable {
            scheme: self.scheme(),
            reason: error.to_string(),
        }
    }

    fn no_token(&self, url: &Url, status: u16) -> TokenError {
        TokenError::NoToken {
            scheme: self.scheme(),
            origin: origin(url),
            status,
        }
    }

    /// Tokens, or why there are none. Nothing that the server wrote is repeated but a code of the
    /// protocol.
    fn issued(&self, url: &Url, outcome: Outcome) -> Result<Issued, TokenError> {
        let answer = match outcome {
            Ok(answer) => answer,
            Err(RequestTokenError::Request(error)) => return Err(error),
            Err(RequestTokenError::ServerResponse(refusal)) => {
                return Err(TokenError::Refused {
                    scheme: self.scheme(),
                    origin: origin(url),
                    code: code(refusal.error().as_ref()),
                });
            }
            Err(RequestTokenError::Parse(..) | RequestTokenError::Other(_)) => {
                return Err(self.no_token(url, 200));
            }
        };
        let access = answer.access_token().secret();
        if *answer.token_type() != BasicTokenType::Bearer {
            return Err(self.unusable("the authorization server issues tokens of another type"));
        }
        if access.is_empty()
            || access.len() > TOKEN_BYTES_MAX
            || HeaderValue::from_str(access).is_err()
        {
            return Err(self.no_token(url, 200));
        }
        let life = answer
            .expires_in()
            .map(|life| life.as_secs().min(LIFE_S_MAX));
        let life = life.and_then(|s| chrono::Duration::try_seconds(i64::try_from(s).ok()?));
        let refresh = answer.refresh_token().map(RefreshToken::secret);
        Ok(Issued {
            access: access.as_str().into(),
            refresh: refresh
                .filter(|text| !text.is_empty())
                .map(|text| text.as_str().into()),
            ends_at: life.map(|life| self.tokens.0.clock.now() + life),
            id_token: answer.extra_fields().id_token.clone(),
        })
    }
}

/// An error code of the protocol (RFC 6749 section 5.2 and its registry), or that it is none.
pub(in crate::access) fn code(said: &str) -> String {
    let plain = said.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if plain && (1..=40).contains(&said.len()) {
        said.to_owned()
    } else {
        "an unknown error".to_owned()
    }
}

/// Some servers answer 200 and an error.
fn says_error(answer: &UpstreamResponse) -> bool {
    let body: Option<Map<String, Value>> = serde_json::from_slice(&answer.body).ok();
    body.is_some_and(|body| body.contains_key("error") && !body.contains_key("access_token"))
}

/// The members of an answer that are used, as RFC 6749 writes them: real servers write a lifetime as
/// text, scopes as a list, and leave the type out.
fn readable(answer: &UpstreamResponse) -> Vec<u8> {
    let Ok(body) = serde_json::from_slice::<Map<String, Value>>(&answer.body) else {
        return answer.body.to_vec();
    };
    let mut kept = Map::new();
    for name in [
        "access_token",
        "refresh_token",
        "token_type",
        "id_token",
        "error",
    ] {
        if let Some(Value::String(text)) = body.get(name) {
            kept.insert(name.to_owned(), json!(text));
        }
    }
    kept.entry("token_type").or_insert(json!("bearer"));
    let life = body.get("expires_in").and_then(|life| match life {
        Value::String(text) => text.trim().parse().ok(),
        number => number.as_u64(),
    });
    kept.extend(life.map(|seconds: u64| ("expires_in".to_owned(), json!(seconds))));
    Value::Object(kept).to_string().into_bytes()
}

/// The headers of a request for a description.
pub(super) fn json_wanted() -> HeaderMap {
    let json = HeaderValue::from_static("application/json");
    HeaderMap::from_iter([(http::header::ACCEPT, json)])
}
