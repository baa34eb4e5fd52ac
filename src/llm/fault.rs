//! What went wrong, in no dialect's words.

use std::time::Duration;

/// Why there is no answer, or why it broke off.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    pub class: FaultClass,
    /// For the caller: what is wrong and what to change. Never a secret.
    pub message: String,
    /// The field of the request it is about, as a path (`messages[2].content`).
    pub field: Option<String>,
    /// The provider's own code, where it gave one.
    pub code: Option<String>,
    pub retry_after: Option<Duration>,
    /// Of a provider that is not asked now because it failed: with what.
    pub cause: Option<FaultClass>,
    /// Of a limit of ours that is used up.
    pub rate: Option<Box<RateHeaders>>,
    /// What the provider calls the request that failed.
    pub provider_request: Option<Box<str>>,
}

/// What the headers `RateLimit-Policy` and `RateLimit` say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateHeaders {
    pub policy: String,
    pub state: String,
}

/// What kind of fault it is: decides the status, the words of each dialect, and whether another target is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultClass {
    /// The request cannot be understood, or not be said in the target's dialect.
    Invalid,
    /// No credential, or a wrong one.
    Unauthenticated,
    Forbidden,
    /// No such model, or no such thing.
    NotFound,
    TooLarge,
    /// The body is of a kind, or compressed in a way, that cannot be read.
    MediaType,
    /// The prompt does not fit the model.
    ContextLength,
    /// A provider's policy against the content.
    ContentPolicy,
    RateLimited,
    /// A budget or a provider's credit is used up; waiting does not help.
    Exhausted,
    /// Causeway does not do that.
    Unsupported,
    /// The provider failed.
    Upstream,
    /// The provider has too much to do.
    Overloaded,
    /// The provider could not be reached, or broke off.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// An answer that began, and of which no more came in time.
    Stalled,
    Internal,
}

impl Fault {
    pub fn new(class: FaultClass, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            field: None,
            code: None,
            retry_after: None,
            cause: None,
            rate: None,
            provider_request: None,
        }
    }

    /// What decides where a request goes next.
    pub fn cause(&self) -> FaultClass {
        self.cause.unwrap_or(self.class)
    }

    /// The process ends, and this with it.
    pub fn ending() -> Self {
        let text = "the gateway is shutting down; ask again";
        Self::new(FaultClass::Overloaded, text)
    }

    /// A request that cannot be understood at a field.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: Some(field.into()),
            ..Self::new(FaultClass::Invalid, message)
        }
    }
}

impl FaultClass {
    /// Where nothing more specific is known: what a status of HTTP says.
    pub fn of_status(status: u16) -> Self {
        match status {
            401 => Self::Unauthenticated,
            402 => Self::Exhausted,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            408 | 504 => Self::Timeout,
            413 => Self::TooLarge,
            415 => Self::MediaType,
            429 => Self::RateLimited,
            451 => Self::ContentPolicy,
            503 | 529 => Self::Overloaded,
            500..=599 => Self::Upstream,
            _ => Self::Invalid,
        }
    }
}
