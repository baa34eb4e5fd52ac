//! A call that asks whether an API is well: sent like any other, for nobody, and counted nowhere.

use std::time::{Duration, Instant};

use serde_json::value::to_raw_value;
use tokio_util::sync::CancellationToken;

use crate::access::caller::{Caller, Grants};
use crate::mcp::call::Mcp;
use crate::mcp::call::account::Account;
use crate::mcp::call::exchange::Work;
use crate::mcp::call::failure::Failure;
use crate::mcp::plan::{PlanError, accept};
use crate::mcp::provider::{
    Arguments, CallContext, CallError, Consent, Leading, OwnMask, Progress,
};
use crate::mcp::server::{MANAGEMENT, ProbeSettings, Provider, Server, ServerSettings};
use crate::mcp::tool::Tool;
use crate::types::OrganizationId;

/// How long an answer is waited for, where the server's own time is not shorter.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How much of a reason is kept.
const REASON_CHARS_MAX: usize = 300;

/// What a probe came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    pub ok: bool,
    /// What the API answered, if it did.
    pub status: Option<u16>,
    pub took: Duration,
    /// Why it did not go well.
    pub reason: Option<String>,
}

/// Why an operation cannot be a probe.
#[derive(Debug, thiserror::Error)]
pub enum Unprobeable {
    #[error(
        "the server has no operation \"{0}\" that is shown; the list of its tools names them, like \"GET /items\""
    )]
    Unknown(String),
    #[error("\"{0}\" may change something: a probe is a GET or HEAD operation")]
    Unsafe(String),
    #[error("somebody has to agree to each call of \"{0}\", and nobody is asked for a probe")]
    Confirmed(String),
    #[error(
        "\"{0}\" uses an account that each user connects for themselves, and a probe is made for nobody in particular"
    )]
    OwnAccount(String),
    #[error("this server is part of the process itself, whose health has a page of its own")]
    Inside,
    #[error("the arguments do not fit: {0}")]
    Arguments(#[from] PlanError),
}

/// Whether the tools of a server, under these settings, have an operation that can be asked like this.
pub fn check(
    server: &Server,
    settings: &ServerSettings,
    probe: &ProbeSettings,
) -> Result<(), Unprobeable> {
    let name = || probe.operation.0.clone();
    if settings.internal.as_deref() == Some(MANAGEMENT) {
        return Err(Unprobeable::Inside);
    }
    let tool = tool_of(server, probe).ok_or_else(|| Unprobeable::Unknown(name()))?;
    let binding = &tool.def.binding;
    let safe = ["GET", "HEAD"].iter();
    if !safe
        .into_iter()
        .any(|it| binding.method.eq_ignore_ascii_case(it))
    {
        return Err(Unprobeable::Unsafe(name()));
    }
    if tool.gate.is_some() {
        return Err(Unprobeable::Confirmed(name()));
    }
    let own = &settings.user_accounts;
    let needs_own = !binding.security.is_empty()
        && binding
            .security
            .iter()
            .all(|alternative| alternative.0.keys().any(|scheme| own.contains(scheme)));
    if needs_own {
        return Err(Unprobeable::OwnAccount(name()));
    }
    accept(tool, &arguments(probe))?;
    Ok(())
}

/// Asks the API now. It always comes to something, at the latest when the time is up.
pub async fn probe(cx: &Mcp, server: &Server, probe: &ProbeSettings) -> Probed {
    let began = Instant::now();
    let caller = nobody(server.organization);
    let context = context(began);
    let (status, failed) = match check(server, &server.settings, probe) {
        Ok(()) => ask(cx, (&caller, server), probe, &context).await,
        Err(unprobeable) => (None, Some(unprobeable.to_string())),
    };
    let refused = status.filter(|status| *status >= 400);
    let refused = refused.map(|status| format!("the API answered {status}"));
    let reason = failed.or(refused);
    Probed {
        ok: reason.is_none(),
        status,
        took: began.elapsed(),
        reason: reason.map(|text| text.chars().take(REASON_CHARS_MAX).collect()),
    }
}

/// What was answered, and what went wrong.
async fn ask(
    cx: &Mcp,
    (caller, server): (&Caller, &Server),
    probe: &ProbeSettings,
    context: &CallContext,
) -> (Option<u16>, Option<String>) {
    let Some(tool) = tool_of(server, probe) else {
        return (
            None,
            Some(Unprobeable::Unknown(probe.operation.0.clone()).to_string()),
        );
    };
    let work = match Work::admit(cx, caller, server, tool.def.name.as_str(), context) {
        Ok(work) => work,
        Err(error) => return (None, Some(error.to_string())),
    };
    match send(&work, arguments(probe)).await {
        Ok(status) => (Some(status), None),
        Err(failure) => {
            let text = failure.to_string();
            (None, Some(work.mask().text(&text).into_owned()))
        }
    }
}

async fn send(work: &Work<'_>, mut arguments: Arguments) -> Result<u16, Failure> {
    let Provider::Api(api) = &work.server.provider else {
        let text = "this tool is built in and asks no API".to_owned();
        return Err(Failure::NotRun(CallError::InvalidParams(text)));
    };
    let policies = &work.cx.policies;
    let mut account = Account::rehearsal();
    policies.tool_call(work.subject(), &mut arguments).await?;
    let mut request = work.plan(api, &arguments, &mut account).await?;
    policies
        .upstream_request(work.subject(), &mut request)
        .await?;
    let response = work.send(api, request, &mut account).await?;
    Ok(response.status.as_u16())
}

fn tool_of<'a>(server: &'a Server, probe: &ProbeSettings) -> Option<&'a Tool> {
    let mut tools = server.tools.values();
    let tool = tools.find(|tool| tool.def.operation == probe.operation);
    tool.map(|tool| &**tool)
}

fn arguments(probe: &ProbeSettings) -> Arguments {
    to_raw_value(&probe.arguments).ok()
}

/// Whoever a probe is made for: no consumer, no user, no key.
fn nobody(organization: OrganizationId) -> Caller {
    Caller {
        organization,
        grants: Grants::Admin,
        ..Caller::anonymous()
    }
}

fn context(began: Instant) -> CallContext {
    CallContext {
        cancel: CancellationToken::new(),
        deadline: began + TIMEOUT,
        progress: Progress::default(),
        client: None,
        holder: "probe".to_owned(),
        trace_id: uuid::Uuid::now_v7().simple().to_string(),
        parent: None,
        passed: std::sync::Arc::default(),
        peer: None,
        consent: Consent::Token,
        leads: Leading::default(),
        answered: None,
        own: OwnMask::default(),
    }
}
