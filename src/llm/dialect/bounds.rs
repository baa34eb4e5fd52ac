//! What a model does not take as it is asked for, left out or made smaller where the request came in another dialect:
//! agents ask every model for much of both, and cannot know which one answers.

use std::borrow::Cow;

use crate::llm::chat::ChatRequest;
use crate::llm::dialect::{Dialect, Dropped, TargetModel};

/// OpenAI's models that refuse `reasoning_effort` begin like this (<https://platform.openai.com/docs/models>).
const PLAIN: [&str; 4] = ["gpt-3.5", "gpt-4", "gpt-5-chat", "chatgpt-4o"];
/// The fewest tokens that OpenAI's Responses can be asked for.
const RESPONSES_TOKENS_MIN: u64 = 16;

/// Keeps a request within what the model takes.
pub(crate) fn within(
    request: &mut Cow<'_, ChatRequest>,
    model: &TargetModel,
    target: Dialect,
    dropped: &mut Vec<Dropped>,
) {
    if request.rest.dialect != Some(target) {
        ask_for_logprobs(request);
    }
    let asked = request.sampling.max_output_tokens;
    if let Some(most) = model.max_output_tokens.filter(|most| asked > Some(*most)) {
        request.to_mut().sampling.max_output_tokens = Some(most);
        let reason = format!("the model writes {most} at most");
        dropped.push(Dropped::new("sampling.max_output_tokens", reason));
    }
    let asked = request.sampling.max_output_tokens;
    if target == Dialect::OpenaiResponses && asked.is_some_and(|asked| asked < RESPONSES_TOKENS_MIN)
    {
        request.to_mut().sampling.max_output_tokens = Some(RESPONSES_TOKENS_MIN);
        let reason = format!("{RESPONSES_TOKENS_MIN} is the least that can be asked for");
        dropped.push(Dropped::new("sampling.max_output_tokens", reason));
    }
    let is_openais = matches!(target, Dialect::OpenaiChat | Dialect::OpenaiResponses);
    if is_openais && is_plain(&model.name) && request.reasoning.is_some() {
        request.to_mut().reasoning = None;
        dropped.push(Dropped::new("reasoning", "the model does not reason"));
    }
    if is_openais && reasons(&model.name) && thinks(request) {
        let sampling = &mut request.to_mut().sampling;
        for (field, asked) in [
            ("sampling.temperature", sampling.temperature.take()),
            ("sampling.top_p", sampling.top_p.take()),
        ] {
            // It is what they have anyway.
            let is_usual = asked.is_none_or(|asked| (asked - 1.0).abs() < f64::EPSILON);
            if !is_usual {
                dropped.push(Dropped::new(field, "a model that reasons takes none"));
            }
        }
    }
}

/// A number of likeliest tokens asks for them, which other dialects want to be told beside it.
fn ask_for_logprobs(request: &mut Cow<'_, ChatRequest>) {
    let is_asked = request.sampling.logprobs;
    let number = request.sampling.top_logprobs.filter(|_| !is_asked);
    if let Some(number) = number {
        let sampling = &mut request.to_mut().sampling;
        sampling.logprobs = number > 0;
        sampling.top_logprobs = (number > 0).then_some(number);
    }
}

/// Whether a model that can think before it answers may do so.
fn thinks(request: &ChatRequest) -> bool {
    let asked = request.reasoning.as_ref();
    let effort = asked.and_then(|asked| asked.effort.as_deref());
    effort != Some("none") && asked.and_then(|asked| asked.budget_tokens) != Some(0)
}

/// Whether a model answers at once; it may be named with its maker, as gateways do.
fn is_plain(name: &str) -> bool {
    let name = name.rsplit('/').next().unwrap_or(name);
    PLAIN.iter().any(|plain| name.starts_with(plain))
}

/// Whether a model is one of OpenAI's that think before they answer: `gpt-5` and later, `o3` and the like.
pub(crate) fn reasons(name: &str) -> bool {
    let name = name.rsplit('/').next().unwrap_or(name);
    let series = name.strip_prefix("gpt-").or(name.strip_prefix('o'));
    series.is_some_and(|series| series.starts_with(|first: char| first.is_ascii_digit()))
        && !is_plain(name)
}
