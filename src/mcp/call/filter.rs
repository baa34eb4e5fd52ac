//! What an owner made of a tool's answers, put over one of them: what is taken away is taken away,
//! or nothing is shown, unless the owner says otherwise.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_TYPE;

use crate::jq::JqError;
use crate::mcp::call::answer::aside;
use crate::mcp::call::exchange::Work;
use crate::mcp::call::failure::Failure;
use crate::mcp::content::filtered::{self, Input, NotJson};
use crate::mcp::content::json;
use crate::mcp::server::{AnswerShape, OnFailure};
use crate::types::UpstreamResponse;

/// Why an answer could not be filtered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FilterFault {
    #[error("{0}")]
    NotJson(#[from] NotJson),
    #[error("{0}")]
    Jq(#[from] JqError),
    #[error("its output is not JSON")]
    Output,
}

/// An answer as its owner wants it.
pub(crate) struct Filtered {
    pub(crate) response: UpstreamResponse,
    /// Before a jq filter: it tells of the next page.
    pub(crate) original: Option<String>,
    /// Where only the beginning was filtered: how to say so.
    pub(crate) remark: Option<String>,
    /// Where the owner lets pass what cannot be filtered: how to say so.
    pub(crate) notice: Option<String>,
}

impl Filtered {
    fn untouched(response: UpstreamResponse) -> Self {
        Self {
            response,
            original: None,
            remark: None,
            notice: None,
        }
    }
}

/// What the owner made of the tool's answers.
pub(crate) fn shape<'a>(work: &Work<'a>) -> Option<&'a AnswerShape> {
    let shapes = &work.server.settings.answer_shapes;
    shapes.get(&work.tool.def.operation.0)
}

/// Puts JSON, and what a jq filter makes of it, in the place of an answer with a shape. An error of the
/// API is no such answer.
pub(crate) async fn apply(
    work: &Work<'_>,
    response: UpstreamResponse,
) -> Result<Filtered, Failure> {
    let shape = shape(work).filter(|shape| shape.filters());
    let Some(shape) = shape.filter(|_| response.status.is_success()) else {
        return Ok(Filtered::untouched(response));
    };
    let (tool, mask) = (Arc::clone(work.tool), work.mask().into_owned());
    let (response, input) = aside(response.body.len(), move || {
        let input = filtered::input(&tool, &response).map(|input| {
            input.map(|input| Input {
                text: mask.text(&input.text).into_owned(),
                ..input
            })
        });
        (response, input)
    })
    .await?;
    let made = match input {
        Ok(None) => return Ok(Filtered::untouched(response)),
        Ok(Some(input)) => made(work, shape, input).await,
        Err(fault) => Err(fault.into()),
    };
    match made {
        Ok(made) => Ok(made.instead_of(response)),
        Err(fault) => {
            metrics::counter!("causeway_jq_failed_total").increment(1);
            if shape.on_failure == OnFailure::Refuse {
                return Err(Failure::Filter(fault));
            }
            let mut filtered = Filtered::untouched(response);
            filtered.notice = Some(format!(
                "[The filter that this server's owner set for the answer gave nothing: {fault}. This is the answer without it.]"
            ));
            Ok(filtered)
        }
    }
}

/// The JSON that takes the place of an answer.
struct Made {
    text: Bytes,
    original: Option<String>,
    remark: Option<String>,
}

impl Made {
    fn instead_of(self, mut response: UpstreamResponse) -> Filtered {
        response.body = self.text;
        response.truncated = false;
        let json = HeaderValue::from_static("application/json");
        response.headers.insert(CONTENT_TYPE, json);
        Filtered {
            response,
            original: self.original,
            remark: self.remark,
            notice: None,
        }
    }
}

async fn made(work: &Work<'_>, shape: &AnswerShape, input: Input) -> Result<Made, FilterFault> {
    let Input { text, remark } = input;
    let Some(filter) = &shape.jq else {
        return Ok(Made {
            text: text.into(),
            original: None,
            remark,
        });
    };
    let given = Bytes::from(text.clone());
    let output = work.cx.jq.run(work.server.id, filter, given).await?;
    if json::checked(&output).is_none() {
        return Err(FilterFault::Output);
    }
    Ok(Made {
        text: work.mask().bytes(Bytes::from(output)),
        original: Some(text),
        remark,
    })
}
