//! A call to an API, from its arguments to the result the client gets.

use std::sync::Arc;

use url::Url;

use crate::answers::{self, Kept};
use crate::credential::Mask;
use crate::mcp::call::account::Account;
use crate::mcp::call::exchange::{Work, mask_decoded};
use crate::mcp::call::failure::Failure;
use crate::mcp::call::filter::{self, Filtered};
use crate::mcp::content::fields::{self, Fields};
use crate::mcp::content::{self, ANSWER_BYTES_MAX, Manner, Rendered, render_as};
use crate::mcp::provider::{Arguments, CallError, ToolOutcome};
use crate::mcp::server::{Access, ApiProvider};
use crate::mcp::template::{self, Moment};
use crate::mcp::tool::Tool;

/// A body up to this size is read where the call runs; a larger one would hold up others there.
const AT_ONCE_BYTES_MAX: usize = 256 << 10;

/// Plans, sends and renders.
pub(crate) async fn answer(
    work: &Work<'_>,
    api: &ApiProvider,
    arguments: &Arguments,
    account: &mut Account<'_>,
) -> Result<ToolOutcome, Failure> {
    let policies = &work.cx.policies;
    let asked = asked(work, arguments)?;
    let began = account.mark();
    let planned = work.plan(api, arguments, account).await;
    account.spent(began, "plan");
    let mut request = planned?;
    policies
        .upstream_request(work.subject(), &mut request)
        .await?;
    let url = request.url.clone();
    let response = work.send(api, request, account).await?;
    let mut response = work.mask().response(response);
    policies
        .upstream_response(work.subject(), &mut response)
        .await?;
    let began = account.mark();
    let filtered = filter::apply(work, response).await?;
    let rendering = Rendering::of(work, filtered, (asked, url));
    let bytes = rendering.filtered.response.body.len();
    let mut rendered = if bytes <= AT_ONCE_BYTES_MAX {
        rendering.run(arguments)
    } else {
        let arguments = arguments.clone();
        aside(bytes, move || rendering.run(&arguments)).await?
    };
    if rendered.whole.is_some() {
        Box::pin(keep(work, &mut rendered)).await;
    }
    account.spent(began, "render");
    Ok(rendered.outcome)
}

/// Runs what reads a whole answer of so many bytes: at once, or where it holds up no other call.
pub(crate) async fn aside<T: Send + 'static>(
    bytes: usize,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    if bytes <= AT_ONCE_BYTES_MAX {
        return Ok(run());
    }
    let done = tokio::task::spawn_blocking(run).await;
    done.map_err(|error| Failure::NotRun(CallError::Internal(Box::new(error))))
}

/// An answer that becomes a result, with everything that says how.
struct Rendering {
    tool: Arc<Tool>,
    mask: Mask,
    moment: Moment,
    filtered: Filtered,
    fields: [Fields; 2],
    url: Url,
    bytes_max: usize,
}

impl Rendering {
    fn of(work: &Work<'_>, filtered: Filtered, (asked, url): (Fields, Url)) -> Self {
        // What was stored was read when it was set.
        let kept = filter::shape(work).and_then(|shape| Fields::parse(&shape.fields).ok());
        Self {
            tool: Arc::clone(work.tool),
            mask: work.mask().into_owned(),
            moment: work.moment(),
            filtered,
            fields: [kept.unwrap_or_default(), asked],
            url,
            bytes_max: work.server.settings.answer_bytes_max.min(ANSWER_BYTES_MAX),
        }
    }

    fn run(self, arguments: &Arguments) -> Rendered {
        let Filtered {
            response,
            original,
            remark,
            notice,
        } = self.filtered;
        let manner = Manner {
            bytes_max: self.bytes_max,
            fields: self.fields,
            sent: Some((arguments, &self.url)),
            original,
            remark,
        };
        let mut rendered = render_as(&self.tool, &response, &manner);
        let shaped = (&mut rendered.outcome, manner.bytes_max);
        if template::answer::shape(&self.tool, &response, shaped, &self.moment) {
            rendered.whole = None;
        }
        if let Some(notice) = notice {
            rendered.say(notice);
        }
        mask_decoded(&self.mask, &response, &mut rendered);
        rendered
    }
}

/// Keeps what did not fit into the result, and links to it.
async fn keep(work: &Work<'_>, rendered: &mut Rendered) {
    let Some(whole) = &rendered.whole else {
        return;
    };
    let limited = work.server.settings.access != Access::Open;
    let kept = Kept {
        server: work.server.id,
        operation: limited.then(|| work.tool.def.operation.clone()),
        tool: work.tool.def.name.as_str().to_owned(),
        media_type: whole.media_type.clone(),
        bytes: whole.bytes.clone(),
    };
    let answers = &work.cx.answers;
    let id = answers
        .keep(
            (work.caller, &work.context.holder),
            work.server.organization,
            kept,
        )
        .await;
    if let Some(id) = id {
        let uri = answers::uri(&work.server.slug, id);
        content::link(work.tool, rendered, &uri, answers::MINUTES);
    }
}

/// The fields a call asks for.
pub(crate) fn asked(work: &Work<'_>, arguments: &Arguments) -> Result<Fields, Failure> {
    let argument = work.tool.fields_argument.as_deref();
    fields::asked(argument, arguments).map_err(|source| Failure::Fields {
        argument: argument.unwrap_or_default().to_owned(),
        source,
    })
}
