//! A request with a provider's key: which goes to the origin it was entered for and nowhere else, and stands in
//! nothing that is told.

use std::time::Instant;

use secrecy::ExposeSecret;
use tokio::time::timeout_at;
use url::Position;

use crate::credential::mask::Mask;
use crate::egress::Egress;
use crate::llm::access_token::{Exchange, is_account, scope};
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::live::{LiveKey, LiveProvider};
use crate::llm::settings::token_url;
use crate::llm::sign::{Signing, sign};
use crate::types::{Clock, UpstreamRequest};

impl LiveProvider {
    /// A request with a key of it, which goes to the origin it was entered for only; so does the token it is
    /// exchanged for, where it is a service account.
    ///
    /// # Errors
    /// Where there is no token for it by then.
    pub(crate) async fn signed_by(
        &self,
        deadline: Instant,
        (request, key): (UpstreamRequest, Option<&LiveKey>),
        outside: (&Egress, &Clock),
    ) -> Result<UpstreamRequest, Fault> {
        let signed = self.signed(request, key, outside);
        timeout_at(deadline.into(), signed)
            .await
            .unwrap_or_else(|_| {
                let text = format!("{} gave no token in time", self.name);
                Err(Fault::new(FaultClass::Timeout, text))
            })
    }

    /// The same, whenever that is.
    pub(crate) async fn signed(
        &self,
        request: UpstreamRequest,
        key: Option<&LiveKey>,
        (egress, clock): (&Egress, &Clock),
    ) -> Result<UpstreamRequest, Fault> {
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
        sign(request, &self.provider, &signing)
    }
}

impl LiveKey {
    /// Whether what was refused is a token that gets a successor, so that nothing is wrong with the key.
    pub(crate) fn renews(&self, class: Option<FaultClass>) -> bool {
        class == Some(FaultClass::Unauthenticated) && self.tokens.is_refused()
    }
}

/// What a provider says, without the key that it may have repeated.
pub(crate) fn masked(key: Option<&LiveKey>, text: &str) -> String {
    let Some(key) = key else {
        return text.to_owned();
    };
    Mask::of_values(secrets(key)).text(text).into_owned()
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
