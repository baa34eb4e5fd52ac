//! What a request asks for that it would get anyway: to leave it out is no loss, and is not named as one.

use serde_json::{Value, json};

use crate::llm::chat::ChatRequest;
use crate::llm::dialect::openai_responses::{ENCRYPTED, LOGPROBS};
use crate::llm::dialect::own_tools::SEARCH;
use crate::llm::dialect::{Dialect, Dropped};

/// Whether a field that only the caller's dialect has says nothing: it is empty, what it is where it is left out, or what
/// the request says elsewhere.
pub(crate) fn says_nothing(dialect: Option<Dialect>, name: &str, value: &Value) -> bool {
    let is_empty = match value {
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    };
    // A search without options is a search.
    value.is_null() || (is_empty && name != SEARCH) || is_usual(dialect, name, value)
}

fn is_usual(dialect: Option<Dialect>, name: &str, value: &Value) -> bool {
    let is_off = *value == Value::Bool(false);
    let word = value.as_str().unwrap_or_default();
    match name {
        // Responses are kept where nobody says otherwise, and chats are not.
        "store" => is_off || dialect == Some(Dialect::OpenaiResponses),
        "background" | "stream_options.include_obfuscation" => is_off,
        "service_tier" => ["auto", "default"].contains(&word),
        "truncation" => word == "disabled",
        "verbosity" | "text.verbosity" => word == "medium",
        "modalities" => *value == json!(["text"]),
        // These are said by other fields, or come unasked.
        "include" => value.as_array().is_some_and(|list| {
            let mut list = list.iter();
            list.all(|what| what == LOGPROBS || what == ENCRYPTED)
        }),
        "tool_choice" => value.get("type").is_some_and(|kind| kind == "custom"),
        "stream_options" => value.as_object().is_some_and(|options| {
            let mut options = options.iter();
            options.all(|(option, value)| says_nothing(dialect, &format!("{name}.{option}"), value))
        }),
        _ => false,
    }
}

/// Whether the model does what was left out by itself, or what was left out does nothing to an answer.
pub(crate) fn is_no_loss(request: &ChatRequest, dropped: &Dropped) -> bool {
    let sampling = &request.sampling;
    let is = |asked: Option<f64>, usual: f64| {
        asked.is_some_and(|asked| (asked - usual).abs() < f64::EPSILON)
    };
    match dropped.field.as_str() {
        "sampling.frequency_penalty" => is(sampling.frequency_penalty, 0.0),
        "sampling.presence_penalty" => is(sampling.presence_penalty, 0.0),
        "sampling.temperature" => is(sampling.temperature, 1.0),
        "sampling.top_p" => is(sampling.top_p, 1.0),
        // OpenAI wants every schema to have one.
        "format.name" => matches!(
            request.rest.dialect,
            Some(Dialect::OpenaiChat | Dialect::OpenaiResponses)
        ),
        _ => false,
    }
}
