//! Everything that can end a call early, and what the model is told about it.

use std::time::Duration;

use serde_json::json;

use crate::access::ledger::LedgerStatus;
use crate::access::limit::LimitRefusal;
use crate::access::upstream_auth::TokenError;
use crate::credential::pass::PassError;
use crate::credential::{CredentialError, Mask};
use crate::egress::EgressError;
use crate::mcp::call::consent::{self, Unconfirmed};
use crate::mcp::call::filter::FilterFault;
use crate::mcp::call::own::Unconnected;
use crate::mcp::content::fields::FieldError;
use crate::mcp::plan::{BaseUrlError, PlanError};
use crate::mcp::provider::{CallError, CallOutcome, Content, ToolOutcome};
use crate::policy::Refusal;

/// In `_meta` of a result: after how many seconds the same call may succeed.
pub const RETRY_AFTER: &str = "causeway/retryAfter";

/// The time to wait in whole seconds, at least one.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + 1
}

/// Why a call gave no result of its own. The texts are for the model and the owner.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Plan(#[from] PlanError),
    #[error("Argument `{argument}`: {source}.")]
    Fields {
        argument: String,
        source: FieldError,
    },
    #[error(
        "The answer is not shown: this server's owner filters what this tool answers, and the filter \
         could not be applied: {0}. The call itself was carried out; the API answered with success."
    )]
    Filter(FilterFault),
    #[error("The server's URL cannot be used: {0}")]
    Base(#[from] BaseUrlError),
    #[error("Not sent: {0}.")]
    Credential(#[from] CredentialError),
    #[error("Not sent: {0}.")]
    Token(#[from] TokenError),
    #[error("Not sent: {0}.")]
    Pass(#[from] PassError),
    #[error(
        "Not sent: {origin} failed many times in a row and is left alone for now. Call again in {} seconds; \
         the same holds for every tool of this API.", seconds(*after)
    )]
    Paused { origin: String, after: Duration },
    #[error("The API was not reached: {0}.")]
    Egress(#[from] EgressError),
    #[error("{0}")]
    Refused(#[from] Refusal),
    #[error("{0}")]
    Limited(#[from] LimitRefusal),
    #[error("{0}")]
    Unconfirmed(Box<Unconfirmed>),
    #[error("{0}")]
    Unconnected(Box<Unconnected>),
    #[error(
        "The API at {from} redirects to another origin, {to}. That is not followed, and no \
         credential was sent there. If the API has moved, the server's owner has to set the \
         server's URL to {to} and approve the new destination for its credential."
    )]
    Redirected { from: String, to: String },
    #[error("The API redirects too often.")]
    RedirectedTooOften,
    #[error("The tool did not finish in time.")]
    TimedOut,
    /// Not a result at all.
    #[error("{0}")]
    NotRun(CallError),
}

impl From<Unconfirmed> for Failure {
    fn from(unconfirmed: Unconfirmed) -> Self {
        Self::Unconfirmed(Box::new(unconfirmed))
    }
}

impl From<Unconnected> for Failure {
    fn from(unconnected: Unconnected) -> Self {
        Self::Unconnected(Box::new(unconnected))
    }
}

impl Failure {
    /// A tool error with the text, or the protocol error it is. Hidden is only what may repeat words of
    /// the API: to hide a secret in what the caller wrote would confirm a guess.
    pub(crate) fn into_outcome(self, mask: &Mask) -> Result<CallOutcome, CallError> {
        match self {
            Self::NotRun(error) => Err(error),
            Self::Egress(EgressError::Cancelled) => Err(CallError::Cancelled),
            Self::Unconnected(unconnected) => unconnected.into_outcome(),
            Self::Unconfirmed(unconfirmed) => Ok(match *unconfirmed {
                Unconfirmed::Asked(input) => CallOutcome::InputRequired(input),
                refused => CallOutcome::Complete(consent::refused(&refused)),
            }),
            failure => {
                let text = failure.to_string();
                let text = match failure {
                    Self::Egress(_)
                    | Self::Token(_)
                    | Self::Redirected { .. }
                    | Self::Filter(_) => mask.text(&text).into_owned(),
                    _ => text,
                };
                let meta = match &failure {
                    Self::Limited(LimitRefusal::Exceeded(exceeded)) => {
                        Some(json!({ RETRY_AFTER: exceeded.seconds() }))
                    }
                    Self::Paused { after, .. } => Some(json!({ RETRY_AFTER: seconds(*after) })),
                    _ => None,
                };
                Ok(CallOutcome::Complete(ToolOutcome {
                    content: vec![Content::Text(text)],
                    is_error: true,
                    meta,
                    ..ToolOutcome::default()
                }))
            }
        }
    }

    /// How the ledger names it.
    pub(crate) fn status(&self) -> LedgerStatus {
        match self {
            Self::Credential(_)
            | Self::Token(_)
            | Self::Pass(_)
            | Self::Refused(_)
            | Self::Limited(_)
            | Self::Paused { .. }
            | Self::Unconfirmed(_)
            | Self::Unconnected(_)
            | Self::Redirected { .. }
            | Self::Egress(EgressError::Refused(_) | EgressError::RefusedName { .. }) => {
                LedgerStatus::Refused
            }
            Self::TimedOut | Self::Egress(EgressError::TimedOut { .. }) => LedgerStatus::Timeout,
            Self::Egress(EgressError::Cancelled) | Self::NotRun(CallError::Cancelled) => {
                LedgerStatus::Cancelled
            }
            Self::Plan(_)
            | Self::Fields { .. }
            | Self::Filter(_)
            | Self::Base(_)
            | Self::RedirectedTooOften
            | Self::Egress(_)
            | Self::NotRun(_) => LedgerStatus::ToolError,
        }
    }
}
