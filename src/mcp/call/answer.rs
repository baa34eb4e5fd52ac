//! A call to an API, from its arguments to the result the client gets.

use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use url::Url;

use crate::answers::{self, Kept};
use crate::jq::JqError;
use crate::mcp::call::account::Account;
use crate::mcp::call::exchange::Work;
use crate::mcp::call::failure::Failure;
use crate::mcp::content::fields::{self, Fields};
use crate::mcp::content::{self, ANSWER_BYTES_MAX, Manner, Rendered, json, render_as};
use crate::mcp::provider::{Arguments, ToolOutcome};
use crate::mcp::server::{AnswerShape, ApiProvider};
use crate::mcp::template;
use crate::types::UpstreamResponse;

/// Plans, sends and renders.
pub(crate) async fn answer(
    work: &Work<'_>,
    api: &ApiProvider,
    arguments: &Arguments,
    account: &mut Account<'_>,
) -> Result<ToolOutcome, Failure> {
    let policies = &work.cx.policies;
    let asked = asked(work, arguments)?;
    let mut request = work.plan(api, arguments, account).await?;
    policies
        .upstream_request(work.subject(), &mut request)
        .await?;
    let url = request.url.clone();
    let response = work.send(api, request, account).await?;
    let mut response = work.mask().response(response);
    policies
        .upstream_response(work.subject(), &mut response)
        .await?;
    let mut manner = manner(work, asked, (arguments, &url));
    let failed = match shape(work).and_then(|shape| shape.jq.as_deref()) {
        Some(filter) => apply(work, filter, (&mut response, &mut manner))
            .await
            .err(),
        None => None,
    };
    let mut rendered = render_as(work.tool, &response, &manner);
    let moment = work.moment();
    let shaped = (&mut rendered.outcome, manner.bytes_max);
    if template::answer::shape(work.tool, &response, shaped, &moment) {
        rendered.whole = None;
    }
    if let Some(error) = failed {
        metrics::counter!("causeway_jq_failed_total").increment(1);
        rendered.say(format!(
            "[The filter that this server's owner set for the answer gave nothing: {error}. This is the answer without it.]"
        ));
    }
    work.mask_decoded(&response, &mut rendered);
    keep(work, &mut rendered).await;
    Ok(rendered.outcome)
}

/// Puts what a filter makes of an answer in JSON in its place. The next page is still looked for in
/// the answer itself.
async fn apply(
    work: &Work<'_>,
    filter: &str,
    (response, manner): (&mut UpstreamResponse, &mut Manner<'_>),
) -> Result<(), JqError> {
    if !response.status.is_success() || response.truncated {
        return Ok(());
    }
    let Some(body) = content::json_of(response) else {
        return Ok(());
    };
    let body = work.mask().text(&body).into_owned();
    let output = work.cx.jq.run(filter, Bytes::from(body.clone())).await?;
    if json::checked(&output).is_none() {
        return Err(JqError::Failed("its output is not JSON".to_owned()));
    }
    response.body = work.mask().bytes(Bytes::from(output));
    let json = HeaderValue::from_static("application/json");
    response.headers.insert(CONTENT_TYPE, json);
    manner.original = Some(body);
    Ok(())
}

/// Keeps what did not fit into the result, and links to it.
async fn keep(work: &Work<'_>, rendered: &mut Rendered) {
    let Some(whole) = &rendered.whole else {
        return;
    };
    let kept = Kept {
        server: work.server.id,
        media_type: whole.media_type.clone(),
        bytes: whole.bytes.clone(),
    };
    let answers = &work.cx.answers;
    let id = answers
        .keep(work.caller, work.server.organization, kept)
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

/// What the owner made of the tool's answers.
fn shape<'a>(work: &Work<'a>) -> Option<&'a AnswerShape> {
    let shapes = &work.server.settings.answer_shapes;
    shapes.get(&work.tool.def.operation.0)
}

fn manner<'a>(work: &Work<'_>, asked: Fields, sent: (&'a Arguments, &'a Url)) -> Manner<'a> {
    // What was stored was read when it was set.
    let kept = shape(work).and_then(|shape| Fields::parse(&shape.fields).ok());
    Manner {
        bytes_max: work.server.settings.answer_bytes_max.min(ANSWER_BYTES_MAX),
        fields: [kept.unwrap_or_default(), asked],
        sent: Some(sent),
        original: None,
    }
}
