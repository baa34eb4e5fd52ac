//! Connecting: the way of an administrator's browser to an authorization server and back (RFC 6749
//! section 4.1, RFC 7636, RFC 9207, OpenID Connect Core 1.0), and the end of a connection.

use std::collections::BTreeSet;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Duration, Utc};
use oauth2::{AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, RedirectUrl, Scope};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::access::upstream_auth::connection::Held;
use crate::access::upstream_auth::request::{Asking, Code, Issued, code};
use crate::access::upstream_auth::{Kept, TokenError, Tokens};
use crate::access::vault::{RowIdentity, Sealed};
use crate::credential::oauth::{Addresses, Endpoints, TokenSource};
use crate::egress::Upstream;
use crate::store::connections::{AuthorizationRow, ConnectionRow, NewSealed};
use crate::types::{CredentialId, OrganizationId, ServerId, UserId};

/// How long an administrator has to come back.
const MINUTES: i64 = 10;
/// How far the clock of an authorization server may be ahead of ours or behind.
const CLOCK_S: i64 = 120;
/// Longer than any state of ours; more is not hashed.
const STATE_BYTES_MAX: usize = 256;
const STATE_BYTES: u32 = 32;

/// A connection that was begun.
#[derive(Debug)]
pub struct Begun {
    /// Where the administrator's browser goes.
    pub url: Url,
    pub until: DateTime<Utc>,
}

/// A connection that was begun, as the browser comes back.
pub struct Pending {
    pub server: ServerId,
    pub scheme: String,
    pub credential: CredentialId,
    /// Who began it.
    pub who: String,
    /// Whose account is connected; `None`: the server's.
    pub user: Option<UserId>,
    /// Where a person saw that their account may be used.
    pub origins: BTreeSet<String>,
    organization: OrganizationId,
    until: DateTime<Utc>,
    sent: Sent,
}

/// What is sealed until the browser comes back.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    verifier: String,
    nonce: Option<String>,
    redirect_uri: String,
    who: String,
    /// Also in the row; here it cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<UserId>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    origins: BTreeSet<String>,
}

/// What came back with the browser (RFC 6749 section 4.1.2, RFC 9207).
#[derive(Clone, Copy, Debug)]
pub struct Returned<'r> {
    pub code: Option<&'r str>,
    pub error: Option<&'r str>,
    pub issuer: Option<&'r str>,
}

impl Tokens {
    /// Begins a connection: an address for the browser of `who`, to which it comes back once, within ten
    /// minutes.
    ///
    /// # Errors
    /// When the authorization server cannot be found, or nothing can be kept.
    pub async fn begin(
        &self,
        source: &TokenSource,
        upstream: &Upstream,
        with: (OrganizationId, &str, &str),
    ) -> Result<Begun, TokenError> {
        self.begin_for(source, upstream, (with, BTreeSet::new()))
            .await
    }

    /// The same, for whom a source is, who saw that their account may be used at these origins.
    ///
    /// # Errors
    /// As [`Tokens::begin`].
    pub async fn begin_for(
        &self,
        source: &TokenSource,
        upstream: &Upstream,
        ((organization, who, redirect_uri), origins): (
            (OrganizationId, &str, &str),
            BTreeSet<String>,
        ),
    ) -> Result<Begun, TokenError> {
        let asking = self.asking(source, upstream);
        let kept = self.kept(&asking)?;
        let addresses = asking.addresses().await?;
        let state = CsrfToken::new_random_len(STATE_BYTES);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let discovered = matches!(source.endpoints, Ok(Endpoints::Discovered(_)));
        let nonce = discovered.then(|| CsrfToken::new_random_len(STATE_BYTES).into_secret());
        let mut url = authorization_url(
            &asking,
            &addresses,
            redirect_uri,
            (state.clone(), challenge),
        )?;
        if let Some(nonce) = &nonce {
            url.query_pairs_mut().append_pair("nonce", nonce);
        }
        let sealed = Sent {
            verifier: verifier.into_secret(),
            nonce,
            redirect_uri: redirect_uri.to_owned(),
            who: who.to_owned(),
            user: source.user,
            origins,
        };
        let row = RowIdentity {
            organization,
            row: id_of(state.secret()),
            subject: None,
        };
        let storage = || asking.storage();
        let plain = Zeroizing::new(serde_json::to_vec(&sealed).map_err(|_| storage())?);
        let sealed = kept.vault.seal(&plain, &row).map_err(|_| storage())?;
        let new = NewSealed {
            id: row.row,
            organization,
            credential: source.client.credential,
            key_id: sealed.key_id,
            sealed: sealed.bytes,
        };
        let now = self.0.clock.now();
        let until = now + Duration::minutes(MINUTES);
        let keeping = kept
            .store
            .begin_authorization((&new, source.user), (now, until));
        keeping.await.map_err(|error| {
            tracing::error!(%error, "a connection that was begun cannot be stored");
            storage()
        })?;
        Ok(Begun { url, until })
    }

    /// What a state stands for, once. Nothing, where it never was one of ours, was taken before or is too
    /// old.
    ///
    /// # Errors
    /// When that cannot be read.
    pub async fn take(&self, state: &str) -> Result<Option<Pending>, TokenError> {
        let Some(kept) = self
            .0
            .kept
            .as_ref()
            .filter(|_| state.len() <= STATE_BYTES_MAX)
        else {
            return Ok(None);
        };
        let taken = kept.store.take_authorization(id_of(state)).await;
        let taken = taken.map_err(|error| {
            tracing::error!(%error, "a connection that was begun cannot be read");
            TokenError::Storage {
                scheme: "the connection".to_owned(),
            }
        })?;
        let pending = taken.and_then(|row| open(kept, row));
        Ok(pending.filter(|pending| self.0.clock.now() < pending.until))
    }

    /// Ends what was begun: the connection, sealed, to be stored.
    ///
    /// # Errors
    /// When the administrator or the authorization server said no, or what came back is not what was asked
    /// for.
    pub async fn complete(
        &self,
        source: &TokenSource,
        upstream: &Upstream,
        (pending, returned): (&Pending, Returned<'_>),
    ) -> Result<NewSealed, TokenError> {
        let asking = self.asking(source, upstream);
        let kept = self.kept(&asking)?;
        if pending.user != source.user {
            return Err(asking.unusable("it was begun for somebody else"));
        }
        let addresses = asking.addresses().await?;
        if let (Some(said), Some(known)) = (returned.issuer, &addresses.issuer)
            && said != known
        {
            return Err(asking.unusable("the answer came from another issuer"));
        }
        if let Some(error) = returned.error {
            return Err(TokenError::Refused {
                scheme: asking.scheme(),
                origin: addresses.authorization.as_ref().map_or_else(
                    || "its address".to_owned(),
                    crate::credential::oauth::origin,
                ),
                code: code(error),
            });
        }
        let code = Code {
            code: returned
                .code
                .ok_or_else(|| asking.unusable("no code came back"))?,
            verifier: &pending.sent.verifier,
            redirect_uri: &pending.sent.redirect_uri,
        };
        let issued = asking.exchange(&addresses, code).await?;
        if let Some(nonce) = &pending.sent.nonce {
            self.check_identity(&issued, (&addresses, source), nonce)
                .map_err(|reason| asking.unusable(reason))?;
        }
        let row = RowIdentity {
            organization: pending.organization,
            row: Uuid::now_v7(),
            subject: pending.user,
        };
        let sealed = kept.seal(&Held::of(&issued, None), &row);
        let sealed = sealed.ok_or_else(|| asking.storage())?;
        Ok(NewSealed {
            id: row.row,
            organization: pending.organization,
            credential: pending.credential,
            key_id: sealed.key_id,
            sealed: sealed.bytes,
        })
    }

    /// Asks the authorization server to revoke the tokens of a connection, as well as that can be done.
    /// `true`: it did.
    pub async fn revoke(&self, source: &TokenSource, upstream: &Upstream) -> bool {
        let Some(kept) = &self.0.kept else {
            return false;
        };
        let row = kept.row(source).await;
        self.revoke_row(source, upstream, row.ok().flatten()).await
    }

    /// The same, of what was read before.
    pub(super) async fn revoke_row(
        &self,
        source: &TokenSource,
        upstream: &Upstream,
        row: Option<ConnectionRow>,
    ) -> bool {
        let asking = self.asking(source, upstream);
        let Ok(kept) = self.kept(&asking) else {
            return false;
        };
        let Some(row) = row.filter(|row| row.state == "connected") else {
            return false;
        };
        let Some(held) = kept.open(&row) else {
            return false;
        };
        // RFC 7009 section 2.1: with a refresh token go the access tokens of its grant.
        let revoked = match held.refresh() {
            Some(refresh) => asking.revoke(&refresh, "refresh_token").await,
            None => asking.revoke(&held.access(), "access_token").await,
        };
        revoked.unwrap_or_else(|error| {
            let scheme = &source.scheme;
            tracing::warn!(%scheme, %error, "the tokens of a connection were not revoked");
            false
        })
    }

    fn kept<'t>(&'t self, asking: &Asking<'_>) -> Result<&'t Kept, TokenError> {
        self.0.kept.as_ref().ok_or_else(|| {
            asking.unusable("connections are made by `causeway serve` only, which keeps them")
        })
    }

    /// Holds an ID token against what was asked for (OpenID Connect Core 1.0, section 3.1.3.7). It comes
    /// from the token endpoint itself, whose TLS stands for its signature (step 6).
    fn check_identity(
        &self,
        issued: &Issued,
        (addresses, source): (&Addresses, &TokenSource),
        nonce: &str,
    ) -> Result<(), &'static str> {
        let token = issued.id_token.as_deref();
        let token = token.ok_or("no ID token came with the access token")?;
        let claims = token.split('.').nth(1).and_then(|part| {
            let bytes = URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()?;
            serde_json::from_slice::<Value>(&bytes).ok()
        });
        let claims = claims.ok_or("the ID token cannot be read")?;
        let id = source.client.registration.id.as_str();
        let for_us = match &claims["aud"] {
            Value::String(audience) => audience == id,
            Value::Array(audiences) => audiences.iter().any(|audience| audience == id),
            _ => false,
        };
        let azp = claims.get("azp").is_none_or(|party| party == id);
        let ends = claims["exp"].as_f64().unwrap_or(0.0);
        if claims["iss"].as_str() != addresses.issuer.as_deref() {
            return Err("the ID token is another issuer's");
        }
        if !for_us || !azp {
            return Err("the ID token is for another client");
        }
        if claims["nonce"] != nonce {
            return Err("the ID token is not for this connection");
        }
        if ends < (self.0.clock.now().timestamp() - CLOCK_S) as f64 {
            return Err("the ID token has ended");
        }
        Ok(())
    }
}

fn authorization_url(
    asking: &Asking<'_>,
    addresses: &Addresses,
    redirect_uri: &str,
    (state, challenge): (CsrfToken, PkceCodeChallenge),
) -> Result<Url, TokenError> {
    let named = addresses.authorization.as_ref();
    let url = named.ok_or_else(|| asking.unusable("no authorization URL is known"))?;
    let url = AuthUrl::new(url.to_string());
    let url = url.map_err(|_| asking.unusable("the authorization URL is no URL"))?;
    let redirect = RedirectUrl::new(redirect_uri.to_owned());
    let redirect = redirect.map_err(|_| asking.unusable("the redirect URI is no URL"))?;
    let registration = &asking.source.client.registration;
    let client = oauth2::basic::BasicClient::new(ClientId::new(registration.id.clone()))
        .set_auth_uri(url)
        .set_redirect_uri(redirect);
    let mut request = client.authorize_url(|| state).set_pkce_challenge(challenge);
    for scope in &asking.source.scopes {
        request = request.add_scope(Scope::new(scope.clone()));
    }
    let unstated = registration.scopes.is_none();
    if addresses.offline_access && unstated {
        // OpenID Connect Core 1.0, section 11: without it there may be no refresh token.
        request = request.add_scope(Scope::new("offline_access".to_owned()));
    }
    if let Some(audience) = &registration.audience {
        request = request.add_extra_param("audience", audience);
    }
    Ok(request.url().0)
}

fn open(kept: &Kept, row: AuthorizationRow) -> Option<Pending> {
    let organization = OrganizationId(row.organization_id);
    let identity = RowIdentity {
        organization,
        row: row.id,
        subject: None,
    };
    let sealed = Sealed {
        key_id: row.key_id,
        bytes: row.sealed,
    };
    let opened = kept.vault.open(&sealed, &identity).ok()?;
    let opened: Sent = serde_json::from_slice(&opened).ok()?;
    if opened.user != row.user_id.map(UserId) {
        return None;
    }
    Some(Pending {
        server: ServerId(row.server_id),
        scheme: row.scheme,
        credential: CredentialId(row.credential_id),
        who: opened.who.clone(),
        user: opened.user,
        origins: opened.origins.clone(),
        organization,
        until: DateTime::from_timestamp_micros(row.expires_at)?,
        sent: opened,
    })
}

/// The id a state is stored under. Whoever reads the table cannot come back in its place.
pub(super) fn id_of(state: &str) -> Uuid {
    let hash = digest(&SHA256, state.as_bytes());
    let head = hash.as_ref().first_chunk::<16>();
    Uuid::from_bytes(head.copied().unwrap_or_default())
}
