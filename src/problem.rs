//! What goes wrong, as HTTP says it: `application/problem+json` (RFC 9457). The only status codes.
//!
//! The detail is public; the source is logged and never sent.

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

use crate::access::account::AccountError;
use crate::access::authenticate::AuthenticationError;
use crate::access::limit::Exceeded;
use crate::access::password::PasswordError;
use crate::access::upstream_auth::TokenError;
use crate::live::LiveError;
use crate::mcp::provider::CallError;
use crate::mcp::publish::PublishError;
use crate::store::StoreError;

/// How soon it is worth to ask again what was not available, in seconds.
const RETRY_AFTER_S: &str = "5";

/// A refusal or failure, with what its reader can do.
#[derive(Debug)]
pub struct Problem {
    pub kind: ProblemKind,
    pub detail: String,
    /// More members of the document, such as `findings`.
    pub extensions: Option<serde_json::Value>,
    /// What its headers say beyond its kind.
    pub terms: Option<Box<Terms>>,
}

/// On what terms the same request is let through.
#[derive(Debug)]
pub enum Terms {
    /// What `WWW-Authenticate` says of a credential that is no good.
    Challenge(String),
    /// The limit that is used up.
    Exceeded(Exceeded),
}

/// The kinds there are. Each has one status and one title.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    Invalid,
    Unauthenticated,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    Conflict,
    Stale,
    TooLarge,
    UnsupportedMediaType,
    Unprocessable,
    TooManyRequests,
    Unavailable,
    Internal,
}

impl ProblemKind {
    pub const ALL: [Self; 13] = [
        Self::Invalid,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Conflict,
        Self::Stale,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::Unprocessable,
        Self::TooManyRequests,
        Self::Unavailable,
        Self::Internal,
    ];

    pub fn status(self) -> StatusCode {
        match self {
            Self::Invalid => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict => StatusCode::CONFLICT,
            Self::Stale => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Invalid => "The request is not valid",
            Self::Unauthenticated => "A key is needed",
            Self::Forbidden => "Not allowed",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "This method is not offered here",
            Self::Conflict => "It conflicts with what is there",
            Self::Stale => "It changed in the meantime",
            Self::TooLarge => "Too large",
            Self::UnsupportedMediaType => "This media type is not understood",
            Self::Unprocessable => "It cannot be used",
            Self::TooManyRequests => "Too many requests",
            Self::Unavailable => "Not available right now",
            Self::Internal => "Something went wrong inside",
        }
    }
}

/// What is said of what is not there, and of what is not for who asks: they are not told which.
pub const NOTHING: &str = "there is nothing here, or not for you";

impl Problem {
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            extensions: None,
            terms: None,
        }
    }

    pub fn not_found() -> Self {
        Self::new(ProblemKind::NotFound, NOTHING)
    }

    /// A failure of ours: the source is logged, and only that something failed is told.
    pub fn internal(source: &dyn std::error::Error) -> Self {
        tracing::error!(error = %source, "a request failed inside");
        Self::new(
            ProblemKind::Internal,
            "it was logged; the request id says where",
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut document = json!({
            "type": "about:blank",
            "title": self.kind.title(),
            "status": self.kind.status().as_u16(),
            "detail": self.detail,
        });
        if let (Some(document), Some(serde_json::Value::Object(extensions))) =
            (document.as_object_mut(), self.extensions)
        {
            document.extend(extensions);
        }
        let mut response = (self.kind.status(), document.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self.kind {
            ProblemKind::Unauthenticated => {
                let challenge = match self.terms.as_deref() {
                    Some(Terms::Challenge(challenge)) => challenge,
                    _ => "Bearer",
                };
                if let Ok(challenge) = HeaderValue::from_str(challenge) {
                    headers.insert(WWW_AUTHENTICATE, challenge);
                }
            }
            ProblemKind::TooManyRequests => wait(headers, self.terms.as_deref()),
            ProblemKind::Unavailable => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
            }
            _ => {}
        }
        response
    }
}

/// Says when to come again, and of which limit that is
/// (draft-ietf-httpapi-ratelimit-headers).
fn wait(headers: &mut HeaderMap, terms: Option<&Terms>) {
    headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
    let Some(Terms::Exceeded(exceeded)) = terms else {
        return;
    };
    headers.insert(RETRY_AFTER, HeaderValue::from(exceeded.seconds()));
    let (policy, rest) = exceeded.headers();
    for (name, value) in [("ratelimit-policy", policy), ("ratelimit", rest)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
}

impl From<Exceeded> for Problem {
    fn from(exceeded: Exceeded) -> Self {
        let mut problem = Self::new(ProblemKind::TooManyRequests, exceeded.to_string());
        problem.terms = Some(Box::new(Terms::Exceeded(exceeded)));
        problem
    }
}

impl From<AuthenticationError> for Problem {
    fn from(error: AuthenticationError) -> Self {
        if error.is_ours() {
            return Self::new(ProblemKind::Unavailable, error.to_string());
        }
        let mut problem = Self::new(ProblemKind::Unauthenticated, error.to_string());
        problem.terms = Some(Box::new(Terms::Challenge(error.challenge())));
        problem
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(constraint) if constraint.contains("slug") => Self::new(
                ProblemKind::Conflict,
                "this slug is taken; choose another `slug`",
            ),
            StoreError::Conflict(constraint) => Self::new(
                ProblemKind::Conflict,
                format!("it conflicts with what is stored ({constraint})"),
            ),
            StoreError::Stale => Self::new(ProblemKind::Stale, error.to_string()),
            StoreError::Unavailable(ref source) => {
                tracing::error!(error = %source, "the database did not answer");
                Self::new(
                    ProblemKind::Unavailable,
                    "the database does not answer; try again",
                )
            }
            other => Self::internal(&other),
        }
    }
}

impl From<LiveError> for Problem {
    fn from(error: LiveError) -> Self {
        match error {
            LiveError::Gone => Self::not_found(),
            LiveError::Unavailable(source) => {
                tracing::error!(error = %source, "a server cannot be loaded");
                Self::new(
                    ProblemKind::Unavailable,
                    "the server cannot be loaded right now",
                )
            }
        }
    }
}

impl From<PublishError> for Problem {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Document(error) => {
                let mut problem = Self::new(ProblemKind::Unprocessable, error.to_string());
                if let crate::openapi::DocumentError::NoOperations { findings, .. } = error {
                    problem.extensions = Some(json!({ "findings": findings }));
                }
                problem
            }
            PublishError::NoTools(findings) => {
                let mut problem = Self::new(
                    ProblemKind::Unprocessable,
                    "no operation of the document can be served",
                );
                problem.extensions = Some(json!({ "findings": findings }));
                problem
            }
            PublishError::Store(error) => error.into(),
            PublishError::Live(error) => error.into(),
            PublishError::Internal(source) => Self::internal(&*source),
            other @ (PublishError::Credential { .. }
            | PublishError::UnknownScheme { .. }
            | PublishError::Destination(_)) => {
                Self::new(ProblemKind::Unprocessable, other.to_string())
            }
            PublishError::Taken => Self::new(ProblemKind::Conflict, error.to_string()),
            PublishError::Name(_) => Self::new(ProblemKind::Unprocessable, error.to_string()),
            PublishError::Busy => Self::new(
                ProblemKind::Unavailable,
                "too many imports are waiting; try again",
            ),
        }
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        let kind = match error {
            AccountError::Store(error) => return error.into(),
            AccountError::Vault(ref error) => return Self::internal(error),
            AccountError::Password(PasswordError::Failed) => return Self::internal(&error),
            AccountError::Password(PasswordError::Busy) | AccountError::Later(_) => {
                ProblemKind::Unavailable
            }
            AccountError::Password(PasswordError::Length | PasswordError::Plain)
            | AccountError::Name
            | AccountError::Unconfirmed => ProblemKind::Unprocessable,
            AccountError::Taken | AccountError::Oneself => ProblemKind::Conflict,
            AccountError::Nobody => ProblemKind::NotFound,
            AccountError::Wrong | AccountError::NoLink => ProblemKind::Forbidden,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        let kind = match error {
            TokenError::Storage { .. } | TokenError::Unreachable { .. } => ProblemKind::Unavailable,
            TokenError::NeedsConnection { .. } | TokenError::Unapproved { .. } => {
                ProblemKind::Conflict
            }
            TokenError::Refused { .. }
            | TokenError::NoToken { .. }
            | TokenError::Unusable { .. } => ProblemKind::Unprocessable,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        match error {
            CallError::UnknownTool(_) => Self::not_found(),
            CallError::InvalidParams(text) => Self::new(ProblemKind::Invalid, text),
            CallError::MissingCapability(_) => Self::new(
                ProblemKind::Unprocessable,
                "this tool needs a client that can be asked",
            ),
            CallError::UserHasToVisit(_) => Self::new(
                ProblemKind::Unprocessable,
                "the user has to open a page before this tool can be called",
            ),
            CallError::Cancelled => Self::new(ProblemKind::Unavailable, "the call was cancelled"),
            CallError::Internal(source) => Self::internal(&*source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_status_of_its_own() {
        let mut statuses: Vec<u16> = ProblemKind::ALL
            .iter()
            .map(|kind| kind.status().as_u16())
            .collect();
        statuses.sort_unstable();
        statuses.dedup();
        assert_eq!(statuses.len(), ProblemKind::ALL.len());
        assert!(statuses.iter().all(|status| *status >= 400));
    }

    #[test]
    fn what_is_not_available_says_when_to_come_again() {
        for kind in ProblemKind::ALL {
            let response = Problem::new(kind, "no").into_response();
            let soon = response.headers().contains_key(RETRY_AFTER);
            let waits = [ProblemKind::Unavailable, ProblemKind::TooManyRequests];
            assert_eq!(soon, waits.contains(&kind), "{kind:?}");
        }
    }
}
