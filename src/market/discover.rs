//! From a URL to the OpenAPI document behind it.

use bytes::Bytes;
use url::Url;

use crate::egress::{AllowRule, Egress, EgressError};

/// Why no document was found.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    #[error("{0}")]
    Fetch(#[from] EgressError),
}

/// Reads the document at `url`.
pub async fn discover(
    egress: &Egress,
    url: &Url,
    allow: &[AllowRule],
    bytes_max: usize,
) -> Result<(Url, Bytes), DiscoverError> {
    let fetched = egress.fetch(url, allow, bytes_max).await?;
    Ok((fetched.url, fetched.body))
}
