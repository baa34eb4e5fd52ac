//! Whether somebody agreed to a call, which is asked before anything of it is sent: the caller's user
//! through a form or a token, or a person in the inbox of approvals.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use url::Url;

use crate::access::approval::{MINUTES_DEFAULT, Request};
use crate::access::confirmation::{Bound, Carrier, MINUTES, TokenRefusal};
use crate::access::webhook::Destination;
use crate::mcp::call::exchange::{Work, aside};
use crate::mcp::call::failure::Failure;
use crate::mcp::confirm::{Gate, TooLong, digest, shown};
use crate::mcp::curation::Confirm;
use crate::mcp::plan::accept;
use crate::mcp::provider::{
    Arguments, CallError, Consent, Content, InputRequired, Resumption, ToolCall, ToolOutcome,
};
use crate::mcp::tool::Tool;
use crate::store::StoreError;
use crate::store::approvals::Asked;
use crate::types::ApprovalId;

/// What the question is called in an answer that asks it.
const QUESTION: &str = "confirm";
/// In `_meta` of a result: the approval the call waits for.
const APPROVAL: &str = "causeway/approval";

/// Why a call was not sent. The texts are for the model.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unconfirmed {
    /// The client is asked in the answer.
    #[error("the user is asked")]
    Asked(InputRequired),
    #[error(
        "Nothing was sent yet: {refused}the user has to agree to this call first. Show your user the tool \
         `{tool}` of the server \"{server}\" and exactly these arguments, and ask whether to go ahead:\n\
         {shown}\nOnly if the user says yes, call the tool again with the same arguments and with \
         `{argument}`: \"{token}\" among them. That is good for {MINUTES} minutes, once, and for these \
         arguments only. Never answer for the user."
    )]
    Told {
        /// Why the token that came with the call did not do, or nothing.
        refused: String,
        server: String,
        tool: String,
        shown: String,
        argument: String,
        token: String,
    },
    #[error("Nothing was sent: the user did not agree to this call. Do not try it again unasked.")]
    Declined,
    #[error("Nothing was sent: the user's answer does not count, because {0}.")]
    Answer(TokenRefusal),
    #[error(
        "Nothing was sent yet: a person who manages this server has to approve this call. It waits as \
         approval {id} until {until}. Call the tool again with the same arguments once it was approved; \
         other arguments need an approval of their own. Tell your user that it waits."
    )]
    Waits { id: ApprovalId, until: String },
    #[error("Nothing was sent: a person who manages this server denied this call{reason}.")]
    Denied { id: ApprovalId, reason: String },
    #[error(
        "Nothing was sent: a person has to approve this call, and too many calls wait for that \
         already. Wait until some were decided."
    )]
    Full,
    #[error(
        "Nothing was sent: a person has to approve this call, and this process keeps no approvals; \
         `causeway serve` does."
    )]
    NoInbox,
    #[error("Nothing was sent: this call has to be confirmed, and {0}.")]
    TooLong(#[from] TooLong),
    #[error("Nothing was sent: whether this call was approved cannot be found out right now.")]
    Unavailable(#[source] StoreError),
}

impl Unconfirmed {
    /// What the client gets beside the text.
    pub(crate) fn meta(&self) -> Option<Value> {
        let (id, state) = match self {
            Self::Waits { id, .. } => (id, "pending"),
            Self::Denied { id, .. } => (id, "denied"),
            _ => return None,
        };
        Some(json!({ APPROVAL: { "id": id, "state": state } }))
    }
}

/// Lets a call pass that needs no one's consent, or has it. The reserved argument is taken out of the call
/// in any case. What comes back is how long the user was waited for.
pub(crate) async fn pass(work: &Work<'_>, call: &mut ToolCall) -> Result<Duration, Failure> {
    let Some(gate) = &work.tool.gate else {
        return Ok(Duration::ZERO);
    };
    let token = strip(gate, &mut call.arguments);
    if work.context.consent == Consent::Given {
        return Ok(Duration::ZERO);
    }
    let size = call.arguments.as_ref().map_or(0, |raw| raw.get().len());
    // What would not be sent anyway bothers nobody.
    let (hash, shown) = aside(size, || written(work.tool, &call.arguments))?;
    let asking = Asking {
        work,
        gate,
        hash,
        shown,
    };
    match gate.who {
        Confirm::Never => Ok(Duration::ZERO),
        Confirm::Client => Box::pin(asking.client(token, call.resumption.as_ref())).await,
        Confirm::Human => Box::pin(asking.human()).await.map(|()| Duration::ZERO),
    }
}

/// Takes the reserved argument out; what it said comes back.
pub(crate) fn strip(gate: &Gate, arguments: &mut Arguments) -> Option<String> {
    let (rest, token) = gate.take(arguments.take());
    *arguments = rest;
    token
}

/// The digest of arguments that fit the tool, and how people are shown them.
fn written(tool: &Tool, arguments: &Arguments) -> Result<([u8; 32], String), Failure> {
    accept(tool, arguments)?;
    let shown = shown(&tool.def, arguments).map_err(Unconfirmed::from)?;
    Ok((digest(arguments), shown))
}

/// One question.
struct Asking<'a> {
    work: &'a Work<'a>,
    gate: &'a Gate,
    hash: [u8; 32],
    shown: String,
}

impl Asking<'_> {
    fn bound(&self) -> Bound<'_> {
        let def = &self.work.tool.def;
        Bound {
            caller: &self.work.context.holder,
            server: self.work.server.id,
            tool: (def.name.as_str(), &def.operation.0),
            arguments: &self.hash,
        }
    }

    /// Asks the caller's own user, in whatever way the client has.
    async fn client(
        &self,
        token: Option<String>,
        resumption: Option<&Resumption>,
    ) -> Result<Duration, Failure> {
        let confirmations = &self.work.cx.confirmations;
        if let Some(token) = token {
            let bound = self.bound();
            let redeemed = confirmations.redeem(Carrier::Argument, &bound, &token);
            return match redeemed.await {
                Ok(()) => Ok(Duration::ZERO),
                Err(refusal) => Err(self.told(Some(&refusal)).into()),
            };
        }
        match self.work.context.consent {
            Consent::InAnswer => self.answered(resumption).await.map(|()| Duration::ZERO),
            Consent::OverStream => self.over_stream().await,
            Consent::Token | Consent::Given => Err(self.told(None).into()),
        }
    }

    /// The user's answer, where the call is repeated with one; otherwise the question.
    async fn answered(&self, resumption: Option<&Resumption>) -> Result<(), Failure> {
        let confirmations = &self.work.cx.confirmations;
        let answer = resumption.and_then(|given| given.responses.get(QUESTION));
        let Some(answer) = answer else {
            let question = json!({ "method": "elicitation/create", "params": {
                "mode": "form", "message": self.question(), "requestedSchema": form(),
            }});
            return Err(Unconfirmed::Asked(InputRequired {
                requests: json!({ QUESTION: question }),
                state: Some(confirmations.token(Carrier::State, &self.bound())),
            })
            .into());
        };
        if !is_accepted(answer) {
            return Err(Unconfirmed::Declined.into());
        }
        let state = resumption.and_then(|given| given.state.as_deref());
        let state = state.unwrap_or_default();
        let bound = self.bound();
        let redeemed = confirmations.redeem(Carrier::State, &bound, state);
        Ok(redeemed.await.map_err(Unconfirmed::Answer)?)
    }

    /// Asks while the call waits. The time the user takes is not the API's.
    async fn over_stream(&self) -> Result<Duration, Failure> {
        let Some(client) = &self.work.context.client else {
            return Err(self.told(None).into());
        };
        let asked = Instant::now();
        let params = json!({ "message": self.question(), "requestedSchema": form() });
        let answer = tokio::select! {
            biased;
            () = self.work.context.cancel.cancelled() => {
                return Err(Failure::NotRun(CallError::Cancelled));
            }
            answer = client.request("elicitation/create", params) => answer,
        };
        match answer {
            Ok(answer) if is_accepted(&answer) => Ok(asked.elapsed()),
            Ok(_) => Err(Unconfirmed::Declined.into()),
            // It cannot ask after all.
            Err(_) => Err(self.told(None).into()),
        }
    }

    /// What the model is told to do where the client has no forms.
    fn told(&self, refusal: Option<&TokenRefusal>) -> Unconfirmed {
        let confirmations = &self.work.cx.confirmations;
        let argument = &self.gate.argument;
        Unconfirmed::Told {
            refused: refusal.map_or_else(String::new, |refusal| {
                format!("`{argument}` was refused, because {refusal}, and ")
            }),
            server: self.work.server.title.clone(),
            tool: self.work.tool.def.name.to_string(),
            shown: self.shown.clone(),
            argument: argument.clone(),
            token: confirmations.token(Carrier::Argument, &self.bound()),
        }
    }

    /// What the user reads.
    fn question(&self) -> String {
        let (server, def) = (self.work.server, &self.work.tool.def);
        format!(
            "Call the tool {} of the server {} ({})?\n\nArguments:\n{}",
            def.name, server.title, server.slug, self.shown
        )
    }

    /// Whether a person approved this call.
    async fn human(&self) -> Result<(), Failure> {
        let (work, def) = (self.work, &self.work.tool.def);
        let inbox = work.cx.confirmations.inbox();
        let inbox = inbox.ok_or(Unconfirmed::NoInbox)?;
        let settings = &work.server.settings;
        let url = settings.approval_webhook.as_deref();
        let request = Request {
            organization: work.server.organization,
            server: work.server.id,
            slug: work.server.slug.as_str(),
            tool: def.name.as_str(),
            operation: &def.operation.0,
            caller: &work.context.holder,
            argument_hash: self.hash,
            shown: self.shown.clone(),
            minutes: settings.approval_minutes.unwrap_or(MINUTES_DEFAULT),
            // What is stored was checked when it was set.
            destination: url
                .and_then(|url| Url::parse(url).ok())
                .map(|url| Destination {
                    url,
                    reach: settings.reach(),
                }),
        };
        match inbox.ask(request).await.map_err(Unconfirmed::Unavailable)? {
            Asked::Go => Ok(()),
            Asked::Full => Err(Unconfirmed::Full.into()),
            Asked::Waits { id, expires_at, .. } => Err(Unconfirmed::Waits {
                id,
                until: expires_at.format("%Y-%m-%d %H:%M UTC").to_string(),
            }
            .into()),
            Asked::Denied { id, reason } => Err(Unconfirmed::Denied {
                id,
                reason: reason.map_or_else(String::new, |reason| format!(": {reason}")),
            }
            .into()),
        }
    }
}

/// A form without fields: to send it is to agree.
fn form() -> Value {
    json!({ "type": "object", "properties": {} })
}

fn is_accepted(answer: &Value) -> bool {
    answer.get("action").and_then(Value::as_str) == Some("accept")
}

/// A tool error with the text.
pub(crate) fn refused(unconfirmed: &Unconfirmed) -> ToolOutcome {
    ToolOutcome {
        content: vec![Content::Text(unconfirmed.to_string())],
        is_error: true,
        meta: unconfirmed.meta(),
        ..ToolOutcome::default()
    }
}
