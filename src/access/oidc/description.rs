//! What an identity provider says of itself (OpenID Connect Discovery 1.0, RFC 8414, RFC 9207): read when
//! it is needed, kept a while, and kept longer while the provider does not answer.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;
use url::Url;

use crate::access::issuer::published::{ReadError, Reader, get};
use crate::access::issuer::settings::is_private_to_us;
use crate::access::oidc::settings::description_of;
use crate::access::token::verify::Algorithm;

/// After so many seconds it is read again.
const FRESH_S: i64 = 600;
/// While it cannot be read, nothing is asked sooner than so many seconds after the last time.
const FAILED_PAUSE_S: i64 = 10;
/// What a provider said that does not answer any more is good for so long.
const STALE_S_MAX: i64 = 24 * 3600;

/// A provider's description, as far as it is used.
#[derive(Clone, Debug)]
pub struct Description {
    pub(super) authorization: Url,
    pub(super) token: Url,
    pub(super) end_session: Option<Url>,
    /// Its answers say who they are from (RFC 9207), so that one that does not is none.
    pub(super) names_itself: bool,
    pub(super) algorithms: Vec<Algorithm>,
    /// The client's secret goes into the form of a request, not into a header.
    pub(super) secret_in_form: bool,
}

/// Why there is no description that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescriptionError {
    #[error("it cannot be read: {0}")]
    Unreachable(String),
    #[error("what stands there is no OpenID Connect configuration")]
    NotOne,
    #[error("it describes another issuer than the one that is configured")]
    Issuer,
    #[error("its `{0}` is missing, or no https URL")]
    Endpoint(&'static str),
    #[error("it does not support PKCE with S256")]
    Pkce,
    #[error("it signs ID tokens with no algorithm that is accepted here")]
    Algorithms,
}

/// What is known of one provider.
#[derive(Default)]
pub(super) struct Known {
    state: Mutex<State>,
    /// One request at a time.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct State {
    /// The description, and when it was read, in seconds since 1970.
    said: Option<(Arc<Description>, i64)>,
    failed: Option<DescriptionError>,
    tried_at: Option<i64>,
}

impl State {
    fn is_due(&self, now: i64) -> bool {
        let fresh = self
            .said
            .as_ref()
            .is_some_and(|(_, at)| (0..FRESH_S).contains(&(now - at)));
        let rests = |tried| (0..FAILED_PAUSE_S).contains(&(now - tried));
        !fresh && !self.tried_at.is_some_and(rests)
    }

    fn answer(&self, now: i64) -> Result<Arc<Description>, DescriptionError> {
        if let Some((said, at)) = &self.said
            && now - at < STALE_S_MAX
        {
            return Ok(said.clone());
        }
        let failed = self.failed.clone();
        Err(failed.unwrap_or_else(|| DescriptionError::Unreachable("it is being asked".to_owned())))
    }
}

impl Known {
    /// The description as it is known, read anew where it is old.
    ///
    /// # Errors
    /// When there is none that can be used.
    pub(super) async fn description(
        self: &Arc<Self>,
        (reader, issuer): (&Reader, &str),
    ) -> Result<Arc<Description>, DescriptionError> {
        let now = reader.clock.now().timestamp();
        if self.state.lock().is_due(now) {
            let (known, reader, issuer) = (self.clone(), reader.clone(), issuer.to_owned());
            // A task, because whoever asked may leave and others wait for the same answer; it ends with
            // its timeout.
            let asked = tokio::spawn(async move { known.ask(&reader, &issuer).await });
            let _ = asked.await;
        } else if self.state.lock().said.is_none() {
            // Somebody may be asking just now.
            let _ = self.asking.lock().await;
        }
        let state = self.state.lock();
        state.answer(now)
    }

    async fn ask(&self, reader: &Reader, issuer: &str) {
        let _one = self.asking.lock().await;
        let now = reader.clock.now().timestamp();
        {
            let mut state = self.state.lock();
            if !state.is_due(now) {
                return;
            }
            state.tried_at = Some(now);
        }
        let read = read(reader, issuer).await;
        let mut state = self.state.lock();
        match read {
            Ok(description) => {
                state.said = Some((Arc::new(description), now));
                state.failed = None;
            }
            Err(error) => {
                tracing::warn!(%issuer, %error, "an identity provider's configuration cannot be used");
                // One that answers, and wrongly, is not trusted for what it said before.
                if !matches!(error, DescriptionError::Unreachable(_)) {
                    state.said = None;
                }
                state.failed = Some(error);
            }
        }
    }
}

async fn read(reader: &Reader, issuer: &str) -> Result<Description, DescriptionError> {
    let at = description_of(issuer).ok_or(DescriptionError::Issuer)?;
    let unreachable = |error: ReadError| DescriptionError::Unreachable(error.to_string());
    let body = get(reader, &at).await.map_err(unreachable)?;
    let said = serde_json::from_slice(&body).map_err(|_| DescriptionError::NotOne)?;
    Description::read(&said, issuer)
}

impl Description {
    /// Reads a description, which has to be of that issuer, to the letter (section 4.3).
    fn read(said: &Value, issuer: &str) -> Result<Self, DescriptionError> {
        if !said.is_object() {
            return Err(DescriptionError::NotOne);
        }
        if said["issuer"] != *issuer {
            return Err(DescriptionError::Issuer);
        }
        let url = |name: &str| {
            let url = said[name].as_str().and_then(|url| Url::parse(url).ok());
            url.filter(|url| is_private_to_us(url) && url.fragment().is_none())
        };
        let needed = |name: &'static str| url(name).ok_or(DescriptionError::Endpoint(name));
        needed("jwks_uri")?;
        let list = |name: &str| said.get(name).and_then(Value::as_array);
        let holds = |list: &[Value], text: &str| list.iter().any(|it| it == text);
        // Many that support it do not say so; one that says what it supports is believed (RFC 8414).
        if list("code_challenge_methods_supported").is_some_and(|all| !holds(all, "S256")) {
            return Err(DescriptionError::Pkce);
        }
        let algorithms = match list("id_token_signing_alg_values_supported") {
            None => vec![Algorithm::Rs256],
            Some(all) => {
                let named = all.iter().filter_map(Value::as_str);
                named.filter_map(Algorithm::named).collect()
            }
        };
        if algorithms.is_empty() {
            return Err(DescriptionError::Algorithms);
        }
        let methods = list("token_endpoint_auth_methods_supported");
        Ok(Self {
            authorization: needed("authorization_endpoint")?,
            token: needed("token_endpoint")?,
            end_session: url("end_session_endpoint"),
            names_itself: said["authorization_response_iss_parameter_supported"] == true,
            algorithms,
            secret_in_form: methods.is_some_and(|all| {
                holds(all, "client_secret_post") && !holds(all, "client_secret_basic")
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://login.example";

    fn read(change: &Value) -> Result<Description, DescriptionError> {
        let mut said = json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://login.example/authorize",
            "token_endpoint": "https://login.example/token",
            "jwks_uri": "https://login.example/keys",
        });
        let members = change.as_object().unwrap().clone();
        said.as_object_mut().unwrap().extend(members);
        Description::read(&said, ISSUER)
    }

    #[test]
    fn a_description_is_of_the_issuer_and_complete() {
        use DescriptionError as Error;
        assert!(read(&json!({})).is_ok());
        let signs = "id_token_signing_alg_values_supported";
        for (change, error) in [
            (json!({ "issuer": "https://login.example/" }), Error::Issuer),
            (json!({ "issuer": null }), Error::Issuer),
            (json!({ "jwks_uri": null }), Error::Endpoint("jwks_uri")),
            (
                json!({ "token_endpoint": "http://login.example/token" }),
                Error::Endpoint("token_endpoint"),
            ),
            (
                json!({ "authorization_endpoint": "javascript:alert(1)" }),
                Error::Endpoint("authorization_endpoint"),
            ),
            (
                json!({ "code_challenge_methods_supported": ["plain"] }),
                Error::Pkce,
            ),
            (json!({ signs: ["HS256", "none"] }), Error::Algorithms),
        ] {
            assert_eq!(read(&change).err(), Some(error), "{change}");
        }
        assert_eq!(
            Description::read(&json!([]), ISSUER).err(),
            Some(Error::NotOne)
        );
    }

    #[test]
    fn what_is_not_said_has_the_value_of_the_standard() {
        let plain = read(&json!({})).unwrap();
        assert_eq!(plain.algorithms, [Algorithm::Rs256]);
        assert!(!plain.names_itself && !plain.secret_in_form && plain.end_session.is_none());
        let said = read(&json!({
            "id_token_signing_alg_values_supported": ["HS256", "ES256", "none"],
            "authorization_response_iss_parameter_supported": true,
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
            "end_session_endpoint": "https://login.example/out",
        }));
        let said = said.unwrap();
        assert_eq!(said.algorithms, [Algorithm::Es256]);
        assert!(said.names_itself && said.secret_in_form && said.end_session.is_some());
    }
}
