//! A request with a provider's key: which goes to the origin it was entered for and nowhere else, and stands in
//! nothing that is told.

use std::time::Instant;

use chrono::{DateTime, Utc};
use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout_at;
use url::Position;

use crate::credential::mask::Mask;
use crate::egress::Egress;
use crate::llm::access_token::{Exchange, is_account, scope};
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::live::{LiveKey, LiveProvider};
use crate::llm::provider::Auth;
use crate::llm::settings::token_url;
use crate::llm::sign::{Signing, sign};
use crate::types::{Clock, UpstreamRequest};

/// A request that may leave.
pub(crate) struct Signed {
    pub(crate) request: UpstreamRequest,
    pub(crate) pass: Pass,
}

/// The access token that a request is sent with, where its key is a service account.
#[derive(Clone, Default)]
pub(crate) struct Pass(Option<SecretString>);

impl LiveProvider {
    /// A request with a key of it, which goes to the origin it was entered for only; so does the token it is
    /// exchanged for, where it is a service account.
    ///
    /// # Errors
    /// Where there is no token for it by then.
    pub(crate) async fn signed_by(
        &self,
        deadline: Instant,
        (request, key, auth): (UpstreamRequest, Option<&LiveKey>, &Auth),
        outside: (&Egress, &Clock),
    ) -> Result<Signed, Fault> {
        let signed = self.signed_as(auth, (request, key), outside);
        timeout_at(deadline.into(), signed)
            .await
            .unwrap_or_else(|_| {
                let text = format!("{} gave no token in time", self.name);
                Err(Fault::new(FaultClass::Timeout, text))
            })
    }

    /// The same in the usual way, whenever that is.
    pub(crate) async fn signed(
        &self,
        request: UpstreamRequest,
        key: Option<&LiveKey>,
        outside: (&Egress, &Clock),
    ) -> Result<Signed, Fault> {
        self.signed_as(&self.provider.auth, (request, key), outside)
            .await
    }

    async fn signed_as(
        &self,
        auth: &Auth,
        (request, key): (UpstreamRequest, Option<&LiveKey>),
        (egress, clock): (&Egress, &Clock),
    ) -> Result<Signed, Fault> {
        // The same as its origin in ASCII: nothing stands before the host that is not part of it.
        let origin = &request.url[..Position::BeforePath];
        let key = key.filter(|key| key.origin == origin);
        let account = key.and_then(|key| Some((key, scope(&self.provider, &key.secret)?)));
        let token = match account {
            None => None,
            Some((key, scope)) => {
                let exchange = Exchange {
                    egress,
                    clock,
                    upstream: &self.upstream,
                    file: &key.secret,
                    scope,
                    token_url: token_url(&self.parameters),
                };
                Some(Box::pin(key.tokens.token(&exchange)).await?)
            }
        };
        let signing = Signing {
            secret: token.as_ref().or(key.map(|key| &key.secret)),
            region: self.parameters.get("region").map(String::as_str),
            now: clock.now(),
        };
        let request = sign(request, (&self.provider, auth), &signing)?;
        Ok(Signed {
            request,
            pass: Pass(token),
        })
    }
}

/// Whether a provider that answers so did not take a token which gets a successor, so that nothing is wrong with the key.
pub(crate) fn renews(
    (key, pass): (Option<&LiveKey>, &Pass),
    status: StatusCode,
    now: DateTime<Utc>,
) -> bool {
    let sent = key.zip(pass.0.as_ref());
    let refused = sent.filter(|_| status == StatusCode::UNAUTHORIZED);
    refused.is_some_and(|(key, token)| key.tokens.refused(token, now))
}

/// What a provider says, without the key that it may have repeated.
pub(crate) fn masked(sent: (Option<&LiveKey>, &Pass), text: &str) -> String {
    Mask::of_values(secrets_of(sent)).text(text).into_owned()
}

/// What nobody is to see of what a request was sent with, whichever tokens its key has by now.
pub(crate) fn secrets_of((key, pass): (Option<&LiveKey>, &Pass)) -> Vec<String> {
    let mut values = key.map_or_else(Vec::new, secrets);
    let token = pass
        .0
        .as_ref()
        .map(|token| token.expose_secret().to_owned());
    values.extend(token.filter(|token| !values.contains(token)));
    values
}

/// What of a key nobody is to see: it, its parts, or the tokens it was exchanged for.
pub(crate) fn secrets(key: &LiveKey) -> Vec<String> {
    let secret = key.secret.expose_secret();
    let mut values: Vec<String> = if is_account(&key.secret) {
        key.tokens.secrets()
    } else {
        secret.split(':').map(str::to_owned).collect()
    };
    values.push(secret.to_owned());
    values
}
