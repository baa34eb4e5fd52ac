//! Documents from the network: the same policy, a whole body or none, and redirects by hand.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, Method};
use url::Url;

use crate::egress::rule::AllowRule;
use crate::egress::{Egress, EgressError, Patience};
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
    pub body: Bytes,
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
        let channel = self.channel(allow);
        let never = tokio_util::sync::CancellationToken::new();
        let patience = Patience {
            deadline: Instant::now() + DOCUMENT_TIMEOUT,
            cancel: &never,
        };
        let mut url = url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let request = get(url.clone());
            let answer = self
                .exchange(&channel, &request, patience, bytes_max)
                .await?;
            match redirect_target(&url, &answer) {
                Some(next) if stays(&url, &next) => url = next,
                Some(next) => {
                    return Err(EgressError::Redirected {
                        from: url.origin().ascii_serialization(),
                        to: next.origin().ascii_serialization(),
                    });
                }
                None => return whole(url, answer, bytes_max),
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
        content_type: content_type
            .and_then(|v| v.to_str().ok())
            .map(str::to_owned),
        body: answer.body,
    })
}
