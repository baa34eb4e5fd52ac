//! Signing in through an identity provider (OpenID Connect Core 1.0, the code flow with PKCE): the way of
//! somebody's browser to the provider and back, and who they are by its word. What that is worth here is
//! decided in [`crate::access::account`].
//!
//! Nobody is believed whose answer was not asked for by the very browser that brings it, or whose token is
//! not signed by the provider, for us, for this one sign-in.

pub mod description;
mod exchange;
pub mod id_token;
pub mod settings;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Duration, Utc};
use oauth2::{
    AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope,
};
use secrecy::ExposeSecret;
use url::Url;

use crate::access::issuer::published::{Published, Reader};
use crate::access::issuer::settings::IssuerSettings;
use crate::access::oidc::description::{Description, DescriptionError, Known};
use crate::access::oidc::exchange::{Answered, Code, refused, tokens};
use crate::access::oidc::id_token::{Asked, IdTokenFault, Identity, judge};
use crate::access::oidc::settings::{OidcSettings, description_of};
use crate::access::session::{Once, Sessions};
use crate::access::token::{Token, TokenFault};
use crate::egress::{AllowRule, Egress};
use crate::store::identities::NewBegun;
use crate::store::{Store, StoreError};
use crate::types::{Clock, UserId};

/// How long somebody has to come back.
pub const LASTS: Duration = Duration::minutes(10);
/// Of a state, in random bytes; a longer text than one can be is not hashed.
const STATE_BYTES: u32 = 32;
const STATE_LENGTH_MAX: usize = 128;
/// Longer than any code.
const CODE_LENGTH_MAX: usize = 8 << 10;
/// Sign-ins that wait for the provider at once, so that nobody makes us ask it without bounds.
const ASKING_MAX: usize = 32;

/// The identity provider people sign in through. Cheap to clone.
#[derive(Clone)]
pub struct Provider(Arc<Inner>);

struct Inner {
    settings: OidcSettings,
    reader: Reader,
    known: Arc<Known>,
    keys: Arc<Published>,
    store: Store,
    sessions: Sessions,
    asking: tokio::sync::Semaphore,
}

/// Why somebody was not recognised. Never carries a code or a token.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    #[error("the provider's configuration cannot be used: {0}")]
    Description(#[from] DescriptionError),
    #[error("the sign-in was used already, is too old, or was begun in another browser")]
    State,
    #[error("the answer does not say that it comes from the provider, or comes from another one")]
    Issuer,
    #[error("the provider did not sign anybody in ({0})")]
    Denied(String),
    #[error("the answer has no code")]
    NoCode,
    #[error("the provider's token endpoint does not answer: {0}")]
    Unreachable(String),
    #[error("the provider's token endpoint refused the code ({0})")]
    Refused(String),
    #[error("the provider's token endpoint gave no ID token")]
    NoToken,
    #[error("the ID token is refused: {0}")]
    Token(#[from] IdTokenFault),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A sign-in to be begun.
pub struct Wanted<'a> {
    /// What the browser keeps until it is back.
    pub browser: &'a str,
    pub address: &'a str,
    pub redirect_uri: &'a str,
    /// The path to go to afterwards.
    pub next: &'a str,
    /// Who links an identity with their account; `None`: somebody signs in.
    pub user: Option<UserId>,
}

/// A sign-in that was begun, as its browser comes back.
pub struct Pending {
    pub next: String,
    pub user: Option<UserId>,
    redirect_uri: String,
    verifier: String,
    nonce: String,
}

/// What came back with the browser (RFC 6749 section 4.1.2, RFC 9207).
#[derive(Clone, Copy)]
pub struct Returned<'r> {
    pub code: Option<&'r str>,
    pub error: Option<&'r str>,
    pub issuer: Option<&'r str>,
}

impl Provider {
    pub fn new(
        settings: OidcSettings,
        (egress, clock): (Egress, Clock),
        (store, sessions): (Store, Sessions),
    ) -> Self {
        // The operator named it: it may be reached, also where it is private.
        let upstream = egress.upstream(&allowed(&settings.issuer));
        let reader = Reader {
            egress,
            upstream,
            clock,
        };
        let keys = Published::new(Arc::new(keys_of(&settings)));
        Self(Arc::new(Inner {
            settings,
            reader,
            known: Arc::default(),
            keys,
            store,
            sessions,
            asking: tokio::sync::Semaphore::new(ASKING_MAX),
        }))
    }

    pub fn settings(&self) -> &OidcSettings {
        &self.0.settings
    }

    fn now(&self) -> DateTime<Utc> {
        self.0.reader.clock.now()
    }

    /// What the provider says of itself.
    ///
    /// # Errors
    /// When it does not answer, or with what cannot be used.
    pub async fn description(&self) -> Result<Arc<Description>, DescriptionError> {
        let Inner { reader, known, .. } = &*self.0;
        known.description((reader, &self.0.settings.issuer)).await
    }

    /// Whether keys of the provider are known, or can be read now.
    pub async fn shows_keys(&self) -> bool {
        self.0.keys.keys(&self.0.reader, false).await.is_some()
    }

    /// Where somebody signs out of the provider, if it said so.
    pub async fn end_session(&self) -> Option<Url> {
        let mut url = self.description().await.ok()?.end_session.clone()?;
        // OpenID Connect RP-Initiated Logout 1.0, section 2.
        url.query_pairs_mut()
            .append_pair("client_id", &self.0.settings.client_id);
        Some(url)
    }

    /// Begins a sign-in: an address for the browser, which comes back once, within ten minutes.
    ///
    /// # Errors
    /// When the provider cannot be found, or nothing can be kept.
    pub async fn begin(&self, wanted: &Wanted<'_>) -> Result<Url, OidcError> {
        let description = self.description().await?;
        let state = CsrfToken::new_random_len(STATE_BYTES);
        let new = NewBegun {
            id: self.0.sessions.once(Once::SignIn, state.secret()),
            browser: self.0.sessions.once(Once::Browser, wanted.browser),
            address: wanted.address,
            redirect_uri: wanted.redirect_uri,
            next: wanted.next,
            user: wanted.user,
        };
        let now = self.now();
        self.0.store.begin_sign_in(&new, (now, now + LASTS)).await?;
        self.authorization_url(&description, wanted, state)
    }

    fn authorization_url(
        &self,
        description: &Description,
        wanted: &Wanted<'_>,
        state: CsrfToken,
    ) -> Result<Url, OidcError> {
        let settings = &self.0.settings;
        let unusable = |_| DescriptionError::Endpoint("authorization_endpoint");
        let url = AuthUrl::new(description.authorization.to_string()).map_err(unusable)?;
        let redirect = RedirectUrl::new(wanted.redirect_uri.to_owned()).map_err(unusable)?;
        let (verifier, nonce) = self.secrets(wanted.browser, state.secret());
        let challenge =
            PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(verifier));
        let client = oauth2::basic::BasicClient::new(ClientId::new(settings.client_id.clone()))
            .set_auth_uri(url)
            .set_redirect_uri(redirect);
        let request = client
            .authorize_url(|| state)
            .set_pkce_challenge(challenge)
            .add_scopes(settings.scopes.iter().cloned().map(Scope::new))
            .add_extra_param("nonce", nonce);
        Ok(request.url().0)
    }

    /// What proves that a code is ours, and that a token is for this sign-in. Both are made of what the
    /// browser keeps and of the state, and stored nowhere.
    fn secrets(&self, browser: &str, state: &str) -> (String, String) {
        let of = |kind| {
            let made = self.0.sessions.once(kind, &format!("{browser}:{state}"));
            URL_SAFE_NO_PAD.encode(made)
        };
        (of(Once::Verifier), of(Once::Nonce))
    }

    /// The sign-in a state stands for, once, where one of these is what the browser kept.
    ///
    /// # Errors
    /// [`OidcError::State`] where it never was one of ours, was taken before, is too old, or was begun in
    /// another browser.
    pub async fn take(
        &self,
        state: &str,
        browsers: impl Iterator<Item = &str>,
    ) -> Result<Pending, OidcError> {
        if state.is_empty() || state.len() > STATE_LENGTH_MAX {
            return Err(OidcError::State);
        }
        let id = self.0.sessions.once(Once::SignIn, state);
        for browser in browsers {
            let kept = self.0.sessions.once(Once::Browser, browser);
            let Some(row) = self.0.store.take_sign_in((&id, &kept)).await? else {
                continue;
            };
            if row.expires_at <= self.now().timestamp_micros() {
                break;
            }
            let (verifier, nonce) = self.secrets(browser, state);
            return Ok(Pending {
                next: row.next,
                user: row.user_id.map(UserId),
                redirect_uri: row.redirect_uri,
                verifier,
                nonce,
            });
        }
        Err(OidcError::State)
    }

    /// Who came back.
    ///
    /// # Errors
    /// When they or the provider said no, or what came back is not what was asked for.
    pub async fn finish(
        &self,
        pending: &Pending,
        returned: Returned<'_>,
    ) -> Result<Identity, OidcError> {
        let description = self.description().await?;
        self.check_origin(&description, returned.issuer)?;
        if let Some(error) = returned.error {
            return Err(OidcError::Denied(refused(error)));
        }
        let code = returned.code.ok_or(OidcError::NoCode)?;
        if code.is_empty() || code.len() > CODE_LENGTH_MAX {
            return Err(OidcError::NoCode);
        }
        let _turn = self.0.asking.acquire().await;
        let code = Code {
            code,
            verifier: pending.verifier.clone(),
            redirect_uri: &pending.redirect_uri,
        };
        let with = (&self.0.settings, &*description);
        let answered = tokens(&self.0.reader, with, code).await?;
        Ok(self
            .recognise(&answered, (&description, &pending.nonce))
            .await?)
    }

    /// RFC 9207 section 2.4: an answer that comes from elsewhere is looked at no further.
    fn check_origin(&self, description: &Description, said: Option<&str>) -> Result<(), OidcError> {
        match said {
            Some(said) if said == self.0.settings.issuer => Ok(()),
            None if !description.names_itself => Ok(()),
            _ => Err(OidcError::Issuer),
        }
    }

    async fn recognise(
        &self,
        answered: &Answered,
        (description, nonce): (&Description, &str),
    ) -> Result<Identity, IdTokenFault> {
        let token = Token::parse(&answered.id_token)?;
        let asked = Asked {
            issuer: &self.0.settings.issuer,
            client_id: &self.0.settings.client_id,
            nonce,
            access_token: answered.access_token.expose_secret(),
            algorithms: &description.algorithms,
            now: self.now().timestamp(),
        };
        judge(&token, &asked)?;
        self.verify(&token).await?;
        Identity::of(token.claims)
    }

    /// Whether a key of the provider made the signature. One that is not known may be new.
    async fn verify(&self, token: &Token<'_>) -> Result<(), TokenFault> {
        for unknown in [false, true] {
            let keys = self.0.keys.keys(&self.0.reader, unknown).await;
            if let Some(key) = keys.as_ref().and_then(|keys| keys.key_of(token)) {
                return key.verify(token);
            }
        }
        Err(TokenFault::Key)
    }
}

/// What is reached of an issuer although it may be private.
fn allowed(issuer: &str) -> Vec<AllowRule> {
    let url = description_of(issuer);
    let rule = url.and_then(|url| {
        let port = url.port_or_known_default()?;
        format!("{}:{port}", url.host_str()?).parse().ok()
    });
    rule.into_iter().collect()
}

/// An issuer's settings, as far as its keys are read by them.
fn keys_of(settings: &OidcSettings) -> IssuerSettings {
    IssuerSettings {
        issuer: settings.issuer.clone(),
        audience: vec![settings.client_id.clone()],
        jwks_url: None,
        algorithms: Vec::new(),
        consumer_claim: "sub".to_owned(),
        every_server: false,
        grants: Vec::new(),
        grants_from: None,
        clock_skew_seconds: 0,
    }
}
