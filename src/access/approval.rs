//! The inbox of calls that a person has to approve: who asks is told to wait, who decides is written
//! down, and what was approved goes through as often as was said.

use chrono::{DateTime, Duration, Utc};
use serde_json::json;

use crate::access::webhook::{Destination, Notice, Webhooks};
use crate::store::approvals::{ApprovalRow, Asked, Decision, NewApproval, PendingMax};
use crate::store::audit::NewAudit;
use crate::store::{Store, StoreError};
use crate::types::{ApprovalId, Clock, OrganizationId, ServerId};

/// How long somebody may take to decide, in minutes, where the owner does not say.
pub const MINUTES_DEFAULT: u32 = 60;
/// How long what was approved is good.
const GOOD_MINUTES: i64 = 60;
/// Calls that wait at once, of one caller and of all, on one server.
const PENDING: PendingMax = PendingMax {
    of_principal: 20,
    of_server: 500,
};
/// What somebody may say about a decision.
pub const REASON_CHARACTERS_MAX: usize = 500;

/// Where calls wait. Cheap to clone.
#[derive(Clone)]
pub struct Inbox {
    pub store: Store,
    pub clock: Clock,
    pub webhooks: Webhooks,
}

/// A call that somebody has to approve.
pub struct Request<'a> {
    pub organization: OrganizationId,
    pub server: ServerId,
    pub slug: &'a str,
    pub tool: &'a str,
    pub operation: &'a str,
    /// Who calls, strangers by their address.
    pub caller: &'a str,
    pub argument_hash: [u8; 32],
    /// The arguments as people are shown them.
    pub shown: String,
    /// How long somebody may take to decide.
    pub minutes: u32,
    /// Who is told, if anybody.
    pub destination: Option<Destination>,
}

/// What somebody decides of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It goes through once.
    Once,
    /// The same call goes through for an hour.
    Hour,
    Deny,
}

impl Verdict {
    /// As it is written in the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Hour => "hour",
            Self::Deny => "deny",
        }
    }

    fn scope(self) -> Option<&'static str> {
        (self != Self::Deny).then(|| self.word())
    }
}

/// Why nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum DecisionError {
    #[error("there is no such call")]
    Unknown,
    /// Its state.
    #[error("this call waits no more: it is {0}")]
    Over(String),
    #[error("`reason` has at most {REASON_CHARACTERS_MAX} characters")]
    Reason,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Inbox {
    /// Lets a call that was approved go, or has it wait; whoever is to be told of a new one, is.
    pub async fn ask(&self, request: Request<'_>) -> Result<Asked, StoreError> {
        let now = self.clock.now();
        let new = NewApproval {
            organization: request.organization,
            server: request.server,
            tool: request.tool.to_owned(),
            operation: request.operation.to_owned(),
            principal: request.caller.to_owned(),
            argument_hash: request.argument_hash,
            arguments: request.shown,
            expires_at: now + Duration::minutes(i64::from(request.minutes)),
        };
        let asked = self.store.ask_approval(&new, PENDING, now).await?;
        if let Asked::Waits { id, new: true, .. } = asked
            && let Some(destination) = request.destination
        {
            let body = told(id, (&new, request.slug), now, self.webhooks.page());
            self.webhooks.send(Notice {
                server: request.server,
                destination,
                body,
            });
        }
        Ok(asked)
    }

    /// Decides of a call that waits, and notes who did.
    pub async fn decide(
        &self,
        id: ApprovalId,
        (verdict, reason): (Verdict, Option<&str>),
        (organization, actor): (OrganizationId, String),
    ) -> Result<ApprovalRow, DecisionError> {
        let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
        if reason.is_some_and(|reason| reason.chars().count() > REASON_CHARACTERS_MAX) {
            return Err(DecisionError::Reason);
        }
        let now = self.clock.now();
        let known = self.store.approval(organization, id, now).await?;
        let known = known.ok_or(DecisionError::Unknown)?;
        let action = match verdict {
            Verdict::Deny => "deny",
            Verdict::Once | Verdict::Hour => "approve",
        };
        let mut act = NewAudit::of((organization, actor), action, ("approval", id.to_string()));
        act.after = Some(noted(&known, verdict, reason));
        let decision = Decision {
            scope: verdict.scope(),
            reason: reason.map(str::to_owned),
            expires_at: match verdict {
                // What was denied stays denied for as long as it would have waited.
                Verdict::Deny => DateTime::from_timestamp_micros(known.expires_at).unwrap_or(now),
                Verdict::Once | Verdict::Hour => now + Duration::minutes(GOOD_MINUTES),
            },
        };
        let decided = self.store.decide_approval(id, &decision, &act, now).await?;
        match decided {
            None => Err(DecisionError::Unknown),
            Some((row, true)) => Ok(row),
            Some((row, false)) => Err(DecisionError::Over(row.state)),
        }
    }
}

/// What the audit keeps of a decision.
fn noted(row: &ApprovalRow, verdict: Verdict, reason: Option<&str>) -> String {
    json!({
        "decision": verdict.word(),
        "reason": reason,
        "server": row.server,
        "tool": row.tool,
        "principal": row.principal,
        "argumentHash": hex::encode(&row.argument_hash),
    })
    .to_string()
}

/// What is told of a call that waits.
fn told(
    id: ApprovalId,
    (new, slug): (&NewApproval, &str),
    now: DateTime<Utc>,
    page: &str,
) -> String {
    json!({
        "type": "approval.asked",
        "id": id,
        "server": slug,
        "tool": new.tool,
        "operation": new.operation,
        "principal": new.principal,
        "arguments": new.arguments,
        "argumentHash": hex::encode(new.argument_hash),
        "askedAt": now,
        "expiresAt": new.expires_at,
        "url": page,
    })
    .to_string()
}
