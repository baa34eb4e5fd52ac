//! Errors of OpenAI Responses, and what is no request or answer at all.

use std::time::Duration;

use causeway::events::Event;
use causeway::llm::dialect::EncodedError;
use causeway::llm::dialect::openai_responses::{
    decode_answer, decode_error, decode_request, encode_answer, encode_error, encode_request,
    stateless,
};
use causeway::llm::fault::{Fault, FaultClass};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::openai_responses::streams::{checked, decoded, encoded};
use crate::openai_responses::{model, told};

#[test]
fn errors_are_read() {
    for (status, code, class) in [
        (400, "context_length_exceeded", FaultClass::ContextLength),
        (400, "invalid_prompt", FaultClass::ContentPolicy),
        (400, "unknown_parameter", FaultClass::Invalid),
        (401, "invalid_api_key", FaultClass::Unauthenticated),
        (
            403,
            "unsupported_country_region_territory",
            FaultClass::Forbidden,
        ),
        (404, "model_not_found", FaultClass::NotFound),
        (429, "rate_limit_exceeded", FaultClass::RateLimited),
        (429, "insufficient_quota", FaultClass::Exhausted),
        (500, "server_error", FaultClass::Upstream),
        (503, "slow_down", FaultClass::Overloaded),
    ] {
        let error = json!({"message": "Oh", "type": "t", "param": "input[0]", "code": code});
        let fault = decode_error(status, json!({"error": error}).to_string().as_bytes());
        assert_eq!(
            (fault.class, fault.message.as_str()),
            (class, "Oh"),
            "{code}"
        );
        assert_eq!(fault.code.as_deref(), Some(code));
        assert_eq!(fault.field.as_deref(), Some("input[0]"));
    }
    let fault = decode_error(529, b"<html>");
    assert_eq!(fault.class, FaultClass::Overloaded);
    assert!(fault.message.contains("529"));
    let wait = |message: &str| {
        decode_error(429, json!({"error": message}).to_string().as_bytes()).retry_after
    };
    assert_eq!(
        wait("Please try again in 250ms."),
        Some(Duration::from_millis(250))
    );
    assert_eq!(
        wait("Please try again in 1.5s."),
        Some(Duration::from_millis(1500))
    );
    assert_eq!(wait("Please try again in a while."), None);
    assert_eq!(decode_error(500, br#"{"error":"oh"}"#).message, "oh");
}

#[test]
fn errors_are_written() {
    let classes = [
        FaultClass::Invalid,
        FaultClass::Unauthenticated,
        FaultClass::Forbidden,
        FaultClass::NotFound,
        FaultClass::TooLarge,
        FaultClass::MediaType,
        FaultClass::ContextLength,
        FaultClass::ContentPolicy,
        FaultClass::RateLimited,
        FaultClass::Exhausted,
        FaultClass::Unsupported,
        FaultClass::Upstream,
        FaultClass::Overloaded,
        FaultClass::Unreachable,
        FaultClass::Timeout,
        FaultClass::Internal,
    ];
    let mut table = Vec::new();
    for class in classes {
        let EncodedError { status, body } = encode_error(&Fault::new(class, "Oh"));
        let (kind, code) = (&body["error"]["type"], &body["error"]["code"]);
        table.push(format!("{class:?}: {status} {kind} {code}"));
        let back = decode_error(status, body.to_string().as_bytes()).class;
        let alike = match class {
            FaultClass::Unreachable | FaultClass::Internal => FaultClass::Upstream,
            other => other,
        };
        assert_eq!(back, alike);
    }
    insta::assert_snapshot!("errors", table.join("\n"));
}

const WORDS: &str = "message reasoning function_call function_call_output custom_tool_call input_text output_text \
    input_image input_file refusal data:x causeway:gemini:call:x response.output_item.added \
    response.output_item.done response.content_part.done response.output_text.delta response.completed \
    response.function_call_arguments.done error user assistant json_schema function web_search_call";
const NAMES: &str = "type input model role content output item part response delta text arguments call_id id name \
    summary encrypted_content tools tool_choice error output_index content_index usage reasoning format image_url \
    file_data annotations logprobs status include";

fn one_of(words: &'static str) -> impl Strategy<Value = &'static str> + Clone {
    prop::sample::select(words.split_whitespace().collect::<Vec<_>>())
}

/// JSON in which the fields this dialect knows stand where they should not.
fn anything() -> impl Strategy<Value = Value> {
    let (word, name) = (one_of(WORDS), one_of(NAMES));
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        let object = prop::collection::vec((name.clone(), inner.clone()), 0..8);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            object.prop_map(|fields| {
                let fields = fields
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value));
                Value::Object(fields.collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn nothing_panics_on_any_json(value in anything(), more in prop::collection::vec(anything(), 0..6)) {
        if let Ok(request) = decode_request(value.clone()) {
            let _ = encode_request(&request, &model("m"));
            let _ = stateless(&request);
        }
        if let Ok(answer) = decode_answer(value.clone()) {
            encode_answer(&answer, &told());
        }
        decode_error(500, value.to_string().as_bytes());
        let events: Vec<Event> = more.iter().map(|data| Event {
            data: data.to_string(),
            ..Event::default()
        }).collect();
        let stream = encoded(decoded(&events));
        checked(&stream);
    }
}
