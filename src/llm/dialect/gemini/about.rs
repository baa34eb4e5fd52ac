//! What is said about an answer: why it ended, what it used, how likely its tokens were
//! (<https://ai.google.dev/api/generate-content#candidate>).

use serde_json::{Map, Value, json};

use crate::llm::answer::{Stop, TokenLogprob};
use crate::llm::dialect::gemini::names::{fields, list, object};
use crate::llm::fault::Fault;
use crate::llm::fields::{Fields, put};
use crate::llm::usage::Usage;

/// Every reason Google documents, without those that mean nothing.
const REASONS: [&str; 22] = [
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_OTHER",
    "NO_IMAGE",
    "IMAGE_RECITATION",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "MISSING_THOUGHT_SIGNATURE",
    "MALFORMED_RESPONSE",
    "CONTINUATION",
    "MODEL_ARMOR",
    "ESCALATION",
];

/// `finishReason`; `None` where it says nothing.
pub(crate) fn stop_of(reason: &str, calls: bool) -> Option<Stop> {
    Some(match reason {
        "" | "FINISH_REASON_UNSPECIFIED" => return None,
        "STOP" if calls => Stop::ToolCalls,
        "STOP" => Stop::End,
        "MAX_TOKENS" => Stop::Length,
        "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "MODEL_ARMOR" => Stop::ContentFilter,
        other => Stop::Other(other.to_owned()),
    })
}

/// The `finishReason` that comes nearest.
pub(crate) fn reason_of(stop: &Stop) -> &str {
    match stop {
        Stop::End | Stop::Sequence(_) | Stop::ToolCalls => "STOP",
        Stop::Length | Stop::ContextFull => "MAX_TOKENS",
        Stop::ContentFilter | Stop::Refusal => "SAFETY",
        Stop::Other(reason) if REASONS.contains(&reason.as_str()) => reason,
        Stop::Other(_) | Stop::Pause => "OTHER",
    }
}

/// Reads `usageMetadata`. Google's numbers of the prompt include what was cached but not what its tools read, and
/// those of the candidates do not include thoughts.
pub(crate) fn read_usage(mut usage: Fields) -> Result<Usage, Fault> {
    let mut number = |name: &str| usage.count(name).map(Option::unwrap_or_default);
    let prompt = number("promptTokenCount")?;
    let tools = number("toolUsePromptTokenCount")?;
    let cached = number("cachedContentTokenCount")?;
    let thoughts = number("thoughtsTokenCount")?;
    let candidates = number("candidatesTokenCount")?;
    let heard = sound(&mut usage, "promptTokensDetails")?;
    let heard = heard.saturating_add(sound(&mut usage, "toolUsePromptTokensDetails")?);
    Ok(Usage {
        input: prompt.saturating_add(tools),
        cached,
        input_audio: heard,
        output: candidates.saturating_add(thoughts),
        reasoning: thoughts,
        output_audio: sound(&mut usage, "candidatesTokensDetails")?,
        ..Usage::default()
    })
}

/// Tokens of the kind `AUDIO`.
fn sound(usage: &mut Fields, name: &str) -> Result<u64, Fault> {
    let place = usage.at(name);
    let mut count: u64 = 0;
    for value in list(usage, name)? {
        let mut detail = fields(value, &place)?;
        if detail.text("modality")?.as_deref() == Some("AUDIO") {
            count = count.saturating_add(detail.count("tokenCount")?.unwrap_or(0));
        }
    }
    Ok(count)
}

/// Writes `usageMetadata`.
pub(crate) fn write_usage(usage: &Usage) -> Value {
    let more = |count: u64| (count > 0).then_some(count);
    let details = |all: u64, sound: u64| {
        let text = all.saturating_sub(sound);
        (sound > 0).then(|| {
            json!([
                {"modality": "TEXT", "tokenCount": text},
                {"modality": "AUDIO", "tokenCount": sound},
            ])
        })
    };
    let said = usage.output.saturating_sub(usage.reasoning);
    let mut map = Map::new();
    put(&mut map, "promptTokenCount", Some(usage.input));
    put(&mut map, "cachedContentTokenCount", more(usage.cached));
    put(&mut map, "candidatesTokenCount", Some(said));
    put(&mut map, "totalTokenCount", Some(usage.total()));
    put(
        &mut map,
        "promptTokensDetails",
        details(usage.input, usage.input_audio),
    );
    put(
        &mut map,
        "candidatesTokensDetails",
        details(said, usage.output_audio),
    );
    put(&mut map, "thoughtsTokenCount", more(usage.reasoning));
    Value::Object(map)
}

/// Reads `logprobsResult`: what was chosen, and beside each the likeliest.
pub(crate) fn read_logprobs(mut result: Fields) -> Result<Vec<TokenLogprob>, Fault> {
    let place = result.at("topCandidates");
    let mut tops = Vec::new();
    for value in result.list("topCandidates")? {
        let mut top = fields(value, &place)?;
        tops.push(read_tokens(&mut top, "candidates")?);
    }
    let mut chosen = read_tokens(&mut result, "chosenCandidates")?;
    for (token, top) in chosen.iter_mut().zip(tops) {
        token.top = top;
    }
    Ok(chosen)
}

fn read_tokens(of: &mut Fields, name: &str) -> Result<Vec<TokenLogprob>, Fault> {
    let place = of.at(name);
    let mut tokens = Vec::new();
    for value in of.list(name)? {
        let mut token = fields(value, &place)?;
        tokens.push(TokenLogprob {
            token: token.text("token")?.unwrap_or_default(),
            // A number of 0 is left out.
            logprob: token.number("logProbability")?.unwrap_or_default(),
            bytes: None,
            top: Vec::new(),
        });
    }
    Ok(tokens)
}

/// Writes `logprobsResult`.
pub(crate) fn write_logprobs(tokens: &[TokenLogprob]) -> Value {
    let one = |token: &TokenLogprob| json!({"token": token.token, "logProbability": token.logprob});
    let mut result = Map::new();
    if tokens.iter().any(|token| !token.top.is_empty()) {
        let tops = tokens.iter().map(|token| {
            let top: Vec<Value> = token.top.iter().map(one).collect();
            json!({"candidates": top})
        });
        result.insert("topCandidates".to_owned(), tops.collect());
    }
    result.insert(
        "chosenCandidates".to_owned(),
        tokens.iter().map(one).collect(),
    );
    Value::Object(result)
}

/// The candidate an answer is made of: the first.
pub(crate) fn first_candidate(answer: &mut Fields) -> Result<Option<Fields>, Fault> {
    for value in list(answer, "candidates")? {
        let mut candidate = fields(value, "candidates[0]")?;
        if candidate.count("index")?.unwrap_or(0) == 0 {
            return Ok(Some(candidate));
        }
    }
    Ok(None)
}

/// The parts of a candidate, and the rest of its content forgotten.
pub(crate) fn parts(candidate: &mut Fields) -> Result<Vec<Value>, Fault> {
    match object(candidate, "content")? {
        Some(mut content) => list(&mut content, "parts"),
        None => Ok(Vec::new()),
    }
}
