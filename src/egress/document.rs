//! Documents from the network: the same policy, a whole body or none, and redirects by hand.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{
    ACCEPT, CONTENT_TYPE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use url::Url;

use crate::egress::rule::AllowRule;
use crate::egress::{Egress, EgressError, Patience, Reading};
use crate::types::{UpstreamRequest, UpstreamResponse};

const REDIRECTS_MAX: usize = 5;
const DOCUMENT_TIMEOUT: Duration = Duration::from_secs(30);

/// Documents first, then the pages that link to them.
const DOCUMENT_TYPES: HeaderValue = HeaderValue::from_static(
    "application/json, application/yaml, application/vnd.oai.openapi, text/html;q=0.8, */*;q=0.5",
);

/// A document read from the network.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Where it was found, after redirects within the origin.
    pub url: Url,
    pub content_type: Option<String>,
    /// What a later reader may say it has (RFC 9110 section 8.8).
    pub validators: Validators,
    pub body: Bytes,
}

/// The validators of a document that was read before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    pub etag: Option<String>,
    pub last_modified: Option<String>,
}

impl Validators {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        Self {
            etag: text(ETAG).map(str::to_owned),
            last_modified: text(LAST_MODIFIED).map(str::to_owned),
        }
    }

    /// Asks for the document only if it is another one (RFC 9110 section 13.1).
    fn condition(&self, headers: &mut HeaderMap) {
        let given = [
            (IF_NONE_MATCH, &self.etag),
            (IF_MODIFIED_SINCE, &self.last_modified),
        ];
        for (name, value) in given {
            let value = value.as_deref().map(HeaderValue::from_str);
            if let Some(Ok(value)) = value {
                headers.insert(name, value);
            }
        }
    }
}

impl Egress {
    /// Reads a document. Follows a few redirects within the origin, or from http to https on the
    /// same host; a longer body than `bytes_max`
    /// is an error, because half a document is none.
    ///
    /// # Errors
    /// When the destination is refused, does not answer in time or not with success, or sends the
    /// reader elsewhere.
    pub async fn fetch(
        &self,
        url: &Url,
        allow: &[AllowRule],
        bytes_max: usize,
    ) -> Result<Fetched, EgressError> {
        let nothing_known = Validators::default();
        let fetched = self
            .fetch_changed(url, allow, bytes_max, &nothing_known)
            .await?;
        fetched.ok_or_else(|| EgressError::Status {
            origin: url.origin().ascii_serialization(),
            status: StatusCode::NOT_MODIFIED.as_u16(),
        })
    }

    /// The same for a document that was read before; `None` where its host says that it is still the
    /// one of those `validators`.
    ///
    /// # Errors
    /// As for [`Egress::fetch`].
    pub async fn fetch_changed(
        &self,
        url: &Url,
        allow: &[AllowRule],
        bytes_max: usize,
        validators: &Validators,
    ) -> Result<Option<Fetched>, EgressError> {
        let channel = self.channel(allow);
        let never = tokio_util::sync::CancellationToken::new();
        let patience = Patience {
            deadline: Instant::now() + DOCUMENT_TIMEOUT,
            cancel: &never,
        };
        let reading = Reading {
            bytes_max,
            watch: None,
        };
        let mut url = url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let mut request = get(url.clone());
            validators.condition(&mut request.headers);
            let answer = self.exchange(&channel, &request, patience, reading).await?;
            match redirect_target(&url, &answer) {
                Some(next) if stays(&url, &next) => url = next,
                Some(next) => {
                    return Err(EgressError::Redirected {
                        from: url.origin().ascii_serialization(),
                        to: next.origin().ascii_serialization(),
                    });
                }
                None if answer.status == StatusCode::NOT_MODIFIED => return Ok(None),
                None => return whole(url, answer, bytes_max).map(Some),
            }
        }
        Err(EgressError::RedirectedTooOften {
            origin: url.origin().ascii_serialization(),
        })
    }
}

/// Whether a redirect stays where it was sent to, or only makes the connection safe.
fn stays(from: &Url, to: &Url) -> bool {
    let upgraded = from.scheme() == "http"
        && to.scheme() == "https"
        && from.host() == to.host()
        && from.port().is_none()
        && to.port().is_none();
    upgraded || from.origin() == to.origin()
}

fn get(url: Url) -> UpstreamRequest {
    UpstreamRequest {
        method: Method::GET,
        url,
        headers: HeaderMap::from_iter([(ACCEPT, DOCUMENT_TYPES)]),
        body: Bytes::new(),
    }
}

/// Where an answer sends the client, if it is a redirect (RFC 9110 section 15.4).
pub(crate) fn redirect_target(from: &Url, answer: &UpstreamResponse) -> Option<Url> {
    if !matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = answer.headers.get(LOCATION)?.to_str().ok()?;
    from.join(location).ok()
}

fn whole(url: Url, answer: UpstreamResponse, limit: usize) -> Result<Fetched, EgressError> {
    if !answer.status.is_success() {
        return Err(EgressError::Status {
            origin: url.origin().ascii_serialization(),
            status: answer.status.as_u16(),
        });
    }
    if answer.truncated {
        return Err(EgressError::TooLarge { limit });
    }
    let content_type = answer.headers.get(CONTENT_TYPE);
    Ok(Fetched {
        url,
        validators: Validators::of(&answer.headers),
        content_type: content_type
            .and_then(|v| v.to_str().ok())
            .map(str::to_owned),
        body: answer.body,
    })
}
