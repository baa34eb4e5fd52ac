//! What an owner makes of answers, checked before it is stored.

use indexmap::IndexMap;

use crate::jq::JqError;
use crate::live::Entry;
use crate::market::api::Market;
use crate::mcp::content::fields::Fields;
use crate::mcp::server::AnswerShape;
use crate::problem::{Problem, ProblemKind};

/// How many tools may have a shape.
const SHAPES_MAX: usize = 2_000;

/// Whether every shape is one of an operation of the server, and can be applied.
///
/// # Errors
/// A problem that names the operation and says what is wrong.
pub(super) async fn check(
    market: &Market,
    entry: &Entry,
    shapes: &IndexMap<String, AnswerShape>,
) -> Result<(), Problem> {
    if shapes.len() > SHAPES_MAX {
        let detail = format!("`answerShapes` has at most {SHAPES_MAX} members");
        return Err(Problem::new(ProblemKind::Invalid, detail));
    }
    let server = market.0.parts.publisher.catalog.server(entry.id).await?;
    for (operation, shape) in shapes {
        let fault = |text: String| {
            let detail = format!("`answerShapes`, {operation}: {text}");
            Problem::new(ProblemKind::Unprocessable, detail)
        };
        let mut tools = server.tools.values();
        // One that is stored already may belong to an operation that a new document lacks.
        let known = entry.settings.answer_shapes.contains_key(operation)
            || tools.any(|tool| tool.def.operation.0 == *operation);
        if !known {
            return Err(fault(
                "the server has no such operation; the list of its tools names them, like \"GET /items\"".to_owned(),
            ));
        }
        Fields::parse(&shape.fields).map_err(|error| fault(error.to_string()))?;
        if let Some(filter) = &shape.jq {
            match market.0.parts.mcp.jq.check(entry.id, filter).await {
                Ok(()) => {}
                Err(source @ (JqError::Unavailable(_) | JqError::Busy)) => {
                    tracing::error!(error = %source, "no jq worker can be had");
                    let detail = "filters cannot be checked now";
                    return Err(Problem::new(ProblemKind::Unavailable, detail));
                }
                Err(error) => return Err(fault(format!("`jq`: {error}"))),
            }
        }
    }
    Ok(())
}
