//! The description an OpenID Connect issuer gives of itself, read when it is needed and kept a while.

use bytes::Bytes;
use chrono::{DateTime, Duration, Utc};
use http::Method;
use url::Url;

use crate::access::upstream_auth::TokenError;
use crate::access::upstream_auth::request::{Asking, json_wanted};
use crate::credential::oauth::{Addresses, Endpoints};
use crate::types::UpstreamRequest;

/// Issuers whose descriptions are kept.
const DESCRIPTIONS_MAX: usize = 1_000;
const KEPT_M: i64 = 60;
/// How long a failure stands.
const FAILED_S: i64 = 10;

/// What was read, or why it was not, and when.
pub(super) struct Description {
    at: DateTime<Utc>,
    said: Result<serde_json::Value, TokenError>,
}

impl Description {
    fn lasts(&self, now: DateTime<Utc>) -> bool {
        let life = match self.said {
            Ok(_) => Duration::minutes(KEPT_M),
            Err(_) => Duration::seconds(FAILED_S),
        };
        now - self.at < life
    }
}

impl Description {
    pub(super) fn said(&self) -> Option<&serde_json::Value> {
        self.said.as_ref().ok()
    }
}

impl Asking<'_> {
    /// Where the authorization server is.
    pub(super) async fn addresses(&self) -> Result<Addresses, TokenError> {
        let endpoints = self.source.endpoints.as_ref();
        match endpoints.map_err(|reason| self.unusable(reason))? {
            Endpoints::Stated(addresses) => Ok(Addresses::clone(addresses)),
            Endpoints::Discovered(url) => {
                let description = self.description(url).await?;
                let registration = &self.source.client.registration;
                Addresses::discovered(url, &description, registration)
                    .map_err(|reason| self.unusable(reason))
            }
        }
    }

    async fn description(&self, url: &Url) -> Result<serde_json::Value, TokenError> {
        let now = self.tokens.0.clock.now();
        let descriptions = &self.tokens.0.descriptions;
        if let Some(known) = descriptions
            .lock()
            .get(url)
            .filter(|known| known.lasts(now))
        {
            return known.said.clone();
        }
        let registration = &self.source.client.registration;
        let said = self.read(url).await.and_then(|said| {
            // What is of no use is read again soon.
            let checked = Addresses::discovered(url, &said, registration);
            checked
                .map(|_| said)
                .map_err(|reason| self.unusable(reason))
        });
        let mut descriptions = descriptions.lock();
        if descriptions.len() >= DESCRIPTIONS_MAX {
            descriptions.shift_remove_index(0);
        }
        let said_now = said.clone();
        descriptions.insert(url.clone(), Description { at: now, said });
        said_now
    }

    async fn read(&self, url: &Url) -> Result<serde_json::Value, TokenError> {
        let request = UpstreamRequest {
            method: Method::GET,
            url: url.clone(),
            headers: json_wanted(),
            body: Bytes::new(),
        };
        let answer = self.send(request).await?;
        let described = answer.status.is_success();
        let read = described.then(|| serde_json::from_slice(&answer.body).ok());
        read.flatten().ok_or_else(|| {
            self.unusable("the address of its OpenID Connect configuration gives no such thing")
        })
    }
}
