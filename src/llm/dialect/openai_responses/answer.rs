//! Answers: the response object
//! (<https://platform.openai.com/docs/api-reference/responses/object>).

use serde_json::{Value, json};

use crate::llm::answer::{Answer, ChatEvent, Stop};
use crate::llm::chat::Part;
use crate::llm::dialect::openai_responses::error::reported;
use crate::llm::dialect::openai_responses::frames::StreamEncoder;
use crate::llm::dialect::openai_responses::input::Items;
use crate::llm::dialect::{Dropped, Encoded, Told};
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::fields::Fields;
use crate::llm::usage::Usage;

/// Reads a provider's answer.
///
/// # Errors
/// The fault it reports, or that it is none.
pub fn decode_answer(body: Value) -> Result<Answer, Fault> {
    let wrong = |fault: Fault| Fault {
        class: FaultClass::Upstream,
        ..fault
    };
    if let Some(fault) = failed(&body) {
        return Err(fault);
    }
    if body.get("output").is_none() {
        let text = "the provider sent no `output`";
        return Err(Fault::new(FaultClass::Upstream, text));
    }
    let (id, model, created) = named(&body);
    let usage = usage(&body);
    let ended = body.clone();
    let mut fields = Fields::of(body, "").map_err(wrong)?;
    let mut items = Items::default();
    let output = fields.list("output").map_err(wrong)?;
    items.all(output, "output").map_err(wrong)?;
    let logprobs = std::mem::take(&mut items.beside.logprobs);
    let parts = items.into_parts();
    let called = parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    let refused = parts.iter().any(|part| matches!(part, Part::Refusal(_)));
    Ok(Answer {
        id,
        model,
        created,
        stop: Some(stop(&ended, called, refused)),
        usage: usage.map(|usage| counted(usage, searches(&parts))),
        parts,
        logprobs,
    })
}

/// The fault that a response object reports.
pub(crate) fn failed(response: &Value) -> Option<Fault> {
    let error = response.get("error").filter(|error| !error.is_null());
    let status = response.get("status").and_then(Value::as_str);
    if error.is_none() && !matches!(status, Some("failed" | "cancelled")) {
        return None;
    }
    let mut fault = reported(error.unwrap_or(&Value::Null), FaultClass::Upstream);
    if fault.message.is_empty() {
        "the provider could not answer, and did not say why".clone_into(&mut fault.message);
    }
    Some(fault)
}

/// Id, model and time of a response object.
pub(crate) fn named(response: &Value) -> (String, String, Option<i64>) {
    let text = |name: &str| {
        response
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let created = response.get("created_at");
    let whole = created.and_then(Value::as_i64);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "seconds, which some write with a fraction"
    )]
    let created = whole.or_else(|| {
        created
            .and_then(Value::as_f64)
            .map(|seconds| seconds as i64)
    });
    (text("id").to_owned(), text("model").to_owned(), created)
}

/// Why a response ended.
pub(crate) fn stop(response: &Value, called: bool, refused: bool) -> Stop {
    let status = response.get("status").and_then(Value::as_str);
    let details = response.get("incomplete_details");
    let reason = details.and_then(|details| details.get("reason"));
    match (status, reason.and_then(Value::as_str)) {
        (_, Some("max_output_tokens")) | (Some("incomplete"), None) => Stop::Length,
        (_, Some("content_filter")) => Stop::ContentFilter,
        (_, Some(other)) | (Some(other @ ("queued" | "in_progress")), None) => {
            Stop::Other(other.to_owned())
        }
        _ if called => Stop::ToolCalls,
        _ if refused => Stop::Refusal,
        _ => Stop::End,
    }
}

/// `usage`, whose totals include their parts.
pub(crate) fn usage(response: &Value) -> Option<Usage> {
    let usage = response.get("usage").filter(|usage| usage.is_object())?;
    let count = |path: &str| usage.pointer(path).and_then(Value::as_u64);
    let written = count("/input_tokens_details/cache_write_tokens").unwrap_or_default();
    let details = "/input_tokens_details/cache_write_tokens_details/ttl_12h_tokens";
    let hours = count(details).unwrap_or_default().min(written);
    let searches = response.pointer("/tool_usage/web_search/num_requests");
    Some(Usage {
        input: count("/input_tokens").unwrap_or_default(),
        cached: count("/input_tokens_details/cached_tokens").unwrap_or_default(),
        cache_write: written - hours,
        cache_write_hour: hours,
        input_audio: count("/input_tokens_details/audio_tokens").unwrap_or_default(),
        output: count("/output_tokens").unwrap_or_default(),
        reasoning: count("/output_tokens_details/reasoning_tokens").unwrap_or_default(),
        output_audio: count("/output_tokens_details/audio_tokens").unwrap_or_default(),
        searches: searches.and_then(Value::as_u64).unwrap_or_default(),
        ..Usage::default()
    })
}

/// How many of these are searches of the web.
fn searches(parts: &[Part]) -> u64 {
    let searches = parts
        .iter()
        .filter(|part| matches!(part, Part::Opaque(part) if is_search(&part.value)));
    searches.count() as u64
}

/// Whether an item is a search of the web, which costs; opening a page does not.
pub(crate) fn is_search(item: &Value) -> bool {
    let action = item.pointer("/action/type").and_then(Value::as_str);
    item.get("type")
        .is_some_and(|kind| kind == "web_search_call")
        && action.is_none_or(|action| action == "search")
}

/// Usage with the searches that were seen, where the provider did not count them.
pub(crate) fn counted(usage: Usage, seen: u64) -> Usage {
    let searches = if usage.searches == 0 {
        seen
    } else {
        usage.searches
    };
    Usage { searches, ..usage }
}

/// Writes an answer for a caller.
pub fn encode_answer(answer: &Answer, told: &Told) -> Encoded {
    let mut encoder = StreamEncoder::quiet(told.clone());
    let mut nothing = Vec::new();
    for event in answer.events() {
        encoder.push(event, &mut nothing);
    }
    if answer.stop.is_none() {
        encoder.push(ChatEvent::Stop(Stop::End), &mut nothing);
    }
    let (body, dropped) = encoder.into_response();
    Encoded { body, dropped }
}

/// What is known of a response from its beginning.
#[derive(Clone, Debug, Default)]
pub(crate) struct Envelope {
    pub id: String,
    pub model: String,
    pub created: i64,
}

/// How far a response is.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub status: &'static str,
    pub output: Vec<Value>,
    pub usage: Option<Usage>,
    /// Why it is not whole.
    pub reason: Option<&'static str>,
    pub error: Option<Value>,
}

impl Envelope {
    pub(crate) fn new(told: &Told, id: &str, model: &str, created: Option<i64>) -> Self {
        let id = if id.is_empty() { &told.request_id } else { id };
        let model = if model.is_empty() { &told.model } else { model };
        Self {
            id: match id.strip_prefix("resp_") {
                Some(_) => id.to_owned(),
                None => format!("resp_{id}"),
            },
            model: model.to_owned(),
            created: created.unwrap_or(told.now),
        }
    }

    /// The response object. What it repeats of a request stays at its defaults.
    pub(crate) fn response(&self, state: State) -> Value {
        let reason = state.reason.map(|reason| json!({"reason": reason}));
        json!({
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": state.status,
            "background": false,
            "error": state.error,
            "incomplete_details": reason,
            "instructions": null,
            "max_output_tokens": null,
            "max_tool_calls": null,
            "model": self.model,
            "output": state.output,
            "parallel_tool_calls": true,
            "previous_response_id": null,
            "prompt_cache_key": null,
            "reasoning": {"effort": null, "summary": null},
            "safety_identifier": null,
            "service_tier": null,
            "temperature": null,
            "text": {"format": {"type": "text"}},
            "tool_choice": "auto",
            "tools": [],
            "top_logprobs": null,
            "top_p": null,
            "truncation": "disabled",
            "usage": state.usage.map(written_usage),
            "user": null,
            "metadata": {},
        })
    }
}

fn written_usage(usage: Usage) -> Value {
    let written = usage.cache_write.saturating_add(usage.cache_write_hour);
    let mut input = json!({"cached_tokens": usage.cached, "cache_write_tokens": written});
    if usage.cache_write_hour > 0 {
        input["cache_write_tokens_details"] = json!({
            "ttl_30m_tokens": usage.cache_write, "ttl_12h_tokens": usage.cache_write_hour,
        });
    }
    json!({
        "input_tokens": usage.input,
        "input_tokens_details": input,
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total(),
    })
}

/// What a usage counts that there is no field for.
pub(crate) fn uncounted(usage: &Usage) -> Vec<Dropped> {
    let kinds = [
        ("usage.input_audio", usage.input_audio),
        ("usage.output_audio", usage.output_audio),
        ("usage.predicted", usage.predicted),
        ("usage.searches", usage.searches),
    ];
    let kinds = kinds.into_iter().filter(|(_, count)| *count > 0);
    kinds
        .map(|(field, _)| Dropped::new(field, "a response does not count them"))
        .collect()
}
