//! What a model does not take at all, left out or made smaller where the request came in another dialect: agents ask
//! every model for much of both, and cannot know which one answers.

use std::borrow::Cow;

use crate::llm::chat::ChatRequest;
use crate::llm::dialect::{Dialect, Dropped, TargetModel};

/// OpenAI's models that refuse `reasoning_effort` begin like this (<https://platform.openai.com/docs/models>).
const PLAIN: [&str; 3] = ["gpt-3.5", "gpt-4", "chatgpt-4o"];

/// Keeps a request within what the model takes.
pub(crate) fn within(
    request: &mut Cow<'_, ChatRequest>,
    model: &TargetModel,
    target: Dialect,
    dropped: &mut Vec<Dropped>,
) {
    let asked = request.sampling.max_output_tokens;
    if let Some(most) = model.max_output_tokens.filter(|most| asked > Some(*most)) {
        request.to_mut().sampling.max_output_tokens = Some(most);
        let reason = format!("the model writes {most} at most");
        dropped.push(Dropped::new("sampling.max_output_tokens", reason));
    }
    let is_openais = matches!(target, Dialect::OpenaiChat | Dialect::OpenaiResponses);
    if is_openais && is_plain(&model.name) && request.reasoning.is_some() {
        request.to_mut().reasoning = None;
        dropped.push(Dropped::new("reasoning", "the model does not reason"));
    }
}

/// Whether a model answers at once; it may be named with its maker, as gateways do.
fn is_plain(name: &str) -> bool {
    let name = name.rsplit('/').next().unwrap_or(name);
    PLAIN.iter().any(|plain| name.starts_with(plain))
}
