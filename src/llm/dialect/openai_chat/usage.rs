//! Tokens used, log-probabilities and why an answer ended, in both directions
//! (<https://platform.openai.com/docs/api-reference/chat/object>).

use serde_json::{Map, Value, json};

use crate::llm::answer::{Stop, TokenLogprob};
use crate::llm::splice::Top;
use crate::llm::usage::Usage;

/// The objects within `usage`.
const PROMPT: &str = "prompt_tokens_details";
const COMPLETION: &str = "completion_tokens_details";
const TOOLS: &str = "server_tool_use";
const GROUPS: [&str; 3] = [PROMPT, COMPLETION, TOOLS];

/// A provider's counts. Where they do not hold their parts, as the total shows, these do.
pub(crate) fn decode(usage: &Value) -> Option<Usage> {
    let usage = usage.as_object()?;
    let own = |name: &str| usage.get(name).and_then(Value::as_u64).unwrap_or(0);
    let within = |group: &str, name: &str| {
        let group = usage.get(group).and_then(Value::as_object);
        let value = group.and_then(|group| group.get(name)?.as_u64());
        value.unwrap_or(0)
    };
    Some(counted(own, within))
}

/// The same of text: an answer that is passed on is not taken apart for its counts.
pub(crate) fn decode_text(usage: &str) -> Option<Usage> {
    let usage = Top::read(usage.as_bytes()).ok()?;
    let number = |top: &Top<'_>, name: &str| -> Option<u64> { top.raw(name)?.parse().ok() };
    let groups = GROUPS.map(|name| Top::read(usage.raw(name)?.as_bytes()).ok());
    let own = |name: &str| number(&usage, name).unwrap_or(0);
    let within = |group: &str, name: &str| {
        let at = GROUPS.iter().position(|known| *known == group);
        let group = at.and_then(|at| groups[at].as_ref());
        group.and_then(|group| number(group, name)).unwrap_or(0)
    };
    Some(counted(own, within))
}

/// From the numbers of a name, and of one within a group.
fn counted(own: impl Fn(&str) -> u64, within: impl Fn(&str, &str) -> u64) -> Usage {
    let prompt = |name: &str| within(PROMPT, name);
    let completion = |name: &str| within(COMPLETION, name);
    let (said_input, said_output) = (own("prompt_tokens"), own("completion_tokens"));
    // DeepSeek, Moonshot and Mistral count what was cached at the top.
    let cached = [
        prompt("cached_tokens"),
        own("prompt_cache_hit_tokens"),
        own("cached_tokens"),
        own("num_cached_tokens"),
    ];
    let cached = cached.into_iter().max().unwrap_or(0);
    let cache_write = prompt("cache_write_tokens").max(prompt("cache_creation_tokens"));
    let involved = cached.saturating_add(cache_write);
    let input = if involved > said_input {
        said_input.saturating_add(involved)
    } else {
        said_input
    };
    // xAI counts thoughts beside the answer, Gemini's compatible endpoint only in the total.
    let more = own("total_tokens").saturating_sub(said_input.saturating_add(said_output));
    let beside = if input == said_input { more } else { 0 };
    // SGLang and Perplexity count thoughts at the top.
    let reasoning = completion("reasoning_tokens").max(own("reasoning_tokens"));
    let searches = within(TOOLS, "web_search_requests").max(own("num_search_queries"));
    Usage {
        input,
        cached,
        cache_write,
        cache_write_hour: 0,
        input_audio: prompt("audio_tokens"),
        output: said_output.saturating_add(beside),
        reasoning: if reasoning == 0 { beside } else { reasoning },
        output_audio: completion("audio_tokens"),
        predicted: completion("accepted_prediction_tokens"),
        searches,
        ..Usage::default()
    }
}

pub(crate) fn encode(usage: &Usage) -> Value {
    let mut prompt = Map::new();
    prompt.insert("cached_tokens".to_owned(), usage.cached.into());
    prompt.insert("audio_tokens".to_owned(), usage.input_audio.into());
    let written = usage.cache_write.saturating_add(usage.cache_write_hour);
    if written > 0 {
        prompt.insert("cache_write_tokens".to_owned(), written.into());
    }
    json!({
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total(),
        "prompt_tokens_details": prompt,
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": usage.output_audio,
            "accepted_prediction_tokens": usage.predicted,
            "rejected_prediction_tokens": 0,
        },
    })
}

/// `logprobs` of a choice: of its text, or of its refusal.
pub(crate) fn logprobs(choice: &Map<String, Value>) -> Vec<TokenLogprob> {
    let Some(logprobs) = choice.get("logprobs") else {
        return Vec::new();
    };
    let lists = ["content", "refusal"].into_iter();
    let lists = lists.filter_map(|name| logprobs.get(name).and_then(Value::as_array));
    lists.flatten().filter_map(token).collect()
}

fn token(value: &Value) -> Option<TokenLogprob> {
    let bytes = value.get("bytes").and_then(Value::as_array);
    let bytes = bytes.and_then(|bytes| {
        let bytes = bytes.iter().map(|byte| u8::try_from(byte.as_u64()?).ok());
        bytes.collect()
    });
    let top = value.get("top_logprobs").and_then(Value::as_array);
    Some(TokenLogprob {
        token: value.get("token")?.as_str()?.to_owned(),
        logprob: value.get("logprob")?.as_f64()?,
        bytes,
        top: top.into_iter().flatten().filter_map(token).collect(),
    })
}

/// `logprobs` of a choice.
pub(crate) fn written_logprobs(tokens: &[TokenLogprob], refusal: bool) -> Value {
    if tokens.is_empty() {
        return Value::Null;
    }
    let list: Vec<Value> = tokens.iter().map(written_token).collect();
    if refusal {
        return json!({"content": null, "refusal": list});
    }
    json!({"content": list, "refusal": null})
}

fn written_token(token: &TokenLogprob) -> Value {
    let top = token
        .top
        .iter()
        .map(|top| json!({"token": top.token, "logprob": top.logprob, "bytes": top.bytes}));
    json!({
        "token": token.token,
        "logprob": token.logprob,
        "bytes": token.bytes,
        "top_logprobs": top.collect::<Vec<_>>(),
    })
}

/// What else of an answer tells why it ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Held {
    pub(crate) calls: bool,
    pub(crate) refusal: bool,
}

/// Why an answer ended: `finish_reason`, `stop_reason` of vLLM beside it, and what it holds. OpenAI itself says
/// `stop` after a call it was made to give.
pub(crate) fn stop(reason: &str, sequence: Option<&str>, held: Held) -> Stop {
    match reason.to_ascii_lowercase().as_str() {
        "tool_calls" | "function_call" | "tool_use" => Stop::ToolCalls,
        "length" | "max_tokens" => Stop::Length,
        "content_filter" | "safety" | "sensitive" => Stop::ContentFilter,
        "model_context_window_exceeded" => Stop::ContextFull,
        "" | "stop" | "end_turn" | "eos" | "eos_token" | "stop_sequence" | "complete" => {
            match (held, sequence) {
                (Held { calls: true, .. }, _) => Stop::ToolCalls,
                (Held { refusal: true, .. }, _) => Stop::Refusal,
                (_, Some(sequence)) => Stop::Sequence(Some(sequence.to_owned())),
                _ if reason == "stop_sequence" => Stop::Sequence(None),
                _ => Stop::End,
            }
        }
        _ => Stop::Other(reason.to_owned()),
    }
}

/// `finish_reason`, and whether it says the same.
pub(crate) fn finish_reason(stop: Option<&Stop>, held: Held) -> (&'static str, bool) {
    match stop {
        None if held.calls => ("tool_calls", true),
        None | Some(Stop::End | Stop::Sequence(None)) => ("stop", true),
        Some(Stop::Length) => ("length", true),
        Some(Stop::ContextFull) => ("length", false),
        Some(Stop::ToolCalls) => ("tool_calls", true),
        Some(Stop::Refusal) if held.refusal => ("stop", true),
        Some(Stop::ContentFilter | Stop::Refusal) => ("content_filter", true),
        Some(Stop::Sequence(Some(_)) | Stop::Pause | Stop::Other(_)) => ("stop", false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_the_same_of_text_and_of_a_value() {
        for text in [
            r#"{"prompt_tokens":21,"completion_tokens":113,"total_tokens":134,"prompt_tokens_details":{"cached_tokens":7,"audio_tokens":1},"completion_tokens_details":{"reasoning_tokens":5,"accepted_prediction_tokens":2}}"#,
            r#"{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14,"num_cached_tokens":4,"reasoning_tokens":3}"#,
            r#"{"prompt_tokens":1e2,"completion_tokens":-1,"total_tokens":9}"#,
            r#"{"prompt_tokens":4,"prompt_tokens_details":null,"prompt_cache_hit_tokens":9,"server_tool_use":{"web_search_requests":3}}"#,
            r#"{"prompt_tokens":null,"completion_tokens_details":[1],"cached_tokens":"3"}"#,
            "{}",
            "null",
            "[]",
        ] {
            let value = serde_json::from_str(text).unwrap();
            assert_eq!(decode_text(text), decode(&value), "{text}");
        }
        assert_eq!(decode_text(r#"{"prompt_tokens":21}"#).unwrap().input, 21);
    }
}
