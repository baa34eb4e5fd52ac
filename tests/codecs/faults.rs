//! Errors in place of an answer, told with a good status.

use causeway::llm::answer::{ChatEvent, Stop};
use causeway::llm::codec::StreamEncoder;
use causeway::llm::dialect::Dialect::{
    self, Anthropic, Bedrock, Gemini, OpenaiChat, OpenaiResponses,
};
use causeway::llm::fault::FaultClass;
use causeway::llm::relay::{Across, Relay};
use serde_json::{Value, json};

use crate::matrix::{decoded, told};

#[test]
fn an_error_with_a_good_status_is_told_from_an_answer() {
    let chat = |error: Value| json!({"error": error, "choices": [{"message": {"content": "an \"error\""}}]});
    let coded = |code: u64| json!({"choices": null, "base_resp": {"status_code": code, "status_msg": "Oh"}});
    let response = |status: &str, error: Value| {
        let said = json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "failed"}]});
        json!({"status": status, "error": error, "output": [said]})
    };
    let anthropic = |kind: &str| json!({"error": {"type": kind, "message": "Oh"}});
    let message = json!({"type": "message", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {"error": "x"}}]});
    let long = json!({"message": "This model's maximum context length is 9 tokens"});
    for (dialect, body, class) in [
        (OpenaiChat, chat(Value::Null), None),
        (
            OpenaiChat,
            chat(json!({"code": 429, "message": "Oh"})),
            Some(FaultClass::RateLimited),
        ),
        (OpenaiChat, chat(long), Some(FaultClass::ContextLength)),
        (OpenaiChat, chat(json!("Oh")), Some(FaultClass::Upstream)),
        (OpenaiChat, json!([]), None),
        (OpenaiChat, coded(1008), Some(FaultClass::Exhausted)),
        (OpenaiChat, coded(1002), Some(FaultClass::RateLimited)),
        (OpenaiChat, coded(1042), Some(FaultClass::Invalid)),
        (OpenaiChat, coded(0), None),
        (
            OpenaiResponses,
            json!({"object": "response", "error": {}}),
            Some(FaultClass::Upstream),
        ),
        (OpenaiResponses, response("completed", Value::Null), None),
        (
            OpenaiResponses,
            response("failed", Value::Null),
            Some(FaultClass::Upstream),
        ),
        (
            OpenaiResponses,
            response(
                "failed",
                json!({"code": "rate_limit_exceeded", "message": "Oh"}),
            ),
            Some(FaultClass::RateLimited),
        ),
        (Anthropic, message, None),
        (
            Anthropic,
            anthropic("overloaded_error"),
            Some(FaultClass::Overloaded),
        ),
        (Anthropic, anthropic("odd"), Some(FaultClass::Upstream)),
        (
            Gemini,
            json!({"error": {"code": 503, "status": "UNAVAILABLE", "message": "Oh"}}),
            Some(FaultClass::Overloaded),
        ),
        (Gemini, json!({"candidates": [], "error": null}), None),
    ] {
        let found = Dialect::fault_in_answer(dialect, body.to_string().as_bytes());
        assert_eq!(found.map(|fault| fault.class), class, "{dialect:?} {body}");
    }
}

#[test]
fn errors_are_told_apart_in_the_words_of_many() {
    use FaultClass::{
        ContentPolicy, ContextLength, Exhausted, Invalid, Overloaded, RateLimited, Unauthenticated,
    };
    let coded = |code: &str| json!({"error": {"code": code, "message": "Oh"}});
    let said = |message: &str| json!({"error": {"message": message}});
    for (status, body, class) in [
        // Zhipu
        (429, coded("1113"), Exhausted),
        (400, coded("1261"), ContextLength),
        (400, coded("1301"), ContentPolicy),
        (
            400,
            json!({"error": {"code": 1301, "message": "Oh"}}),
            Invalid,
        ),
        // Volcengine
        (
            400,
            coded("InputTextSensitiveContentDetected.PolicyViolation"),
            ContentPolicy,
        ),
        (400, coded("OutputTextRiskDetection"), ContentPolicy),
        (429, coded("ServerOverloaded"), Overloaded),
        // MiniMax
        (
            400,
            json!({"base_resp": {"status_code": 1039, "status_msg": "Oh"}}),
            RateLimited,
        ),
        // OpenRouter
        (
            403,
            json!({"error": {"message": "Oh", "metadata": {"flagged_input": "x"}}}),
            ContentPolicy,
        ),
        // xAI, and what only repeats what a caller wrote
        (
            400,
            said("Incorrect API key provided: xa***23"),
            Unauthenticated,
        ),
        (400, said("no such name: `incorrect api key`"), Invalid),
        (
            400,
            json!({"detail": [{"input": "prompt is too long", "msg": "Oh"}]}),
            Invalid,
        ),
        (400, said("Tell me of my spending limit"), Invalid),
        (412, said("It reached its spending limit"), Exhausted),
        // GitHub's API has both.
        (
            422,
            json!({"message": "prompt is too long", "errors": [{"field": "x"}]}),
            ContextLength,
        ),
    ] {
        let fault = OpenaiChat.decode_error(status, body.to_string().as_bytes());
        assert_eq!(fault.class, class, "{status} {body}: {fault}");
    }
}

/// The faults of a stream.
fn in_stream(chunks: &[Value]) -> Option<FaultClass> {
    let chunks: Vec<String> = chunks
        .iter()
        .map(|chunk| format!("data: {chunk}\n\n"))
        .collect();
    let events = decoded(OpenaiChat, &chunks.concat());
    events.into_iter().find_map(|event| match event {
        ChatEvent::Fault(fault) => Some(fault.class),
        _ => None,
    })
}

#[test]
fn a_stream_that_is_broken_off_in_words_of_its_own_is_no_answer() {
    let text = json!({"choices": [{"index": 0, "delta": {"content": "Hi"}}]});
    let end =
        |reason: &str| json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]});
    let policy = json!({"choices": null, "base_resp": {"status_code": 1027, "status_msg": "Oh"}});
    for (last, class) in [
        (
            json!({"x_groq": {"error": "over capacity"}, "choices": []}),
            Some(FaultClass::Upstream),
        ),
        (end("network_error"), Some(FaultClass::Upstream)),
        (policy, Some(FaultClass::ContentPolicy)),
        (end("sensitive"), None),
        (end("model_context_window_exceeded"), None),
    ] {
        assert_eq!(in_stream(&[text.clone(), last.clone()]), class, "{last}");
    }
    for (reason, stop) in [
        ("sensitive", Stop::ContentFilter),
        ("model_context_window_exceeded", Stop::ContextFull),
    ] {
        let events = decoded(OpenaiChat, &format!("data: {}\n\n", end(reason)));
        assert!(events.contains(&ChatEvent::Stop(stop)), "{events:?}");
    }
}

#[test]
fn an_answer_that_its_provider_could_not_read_is_none_to_others() {
    let candidate = json!({
        "content": {"role": "model", "parts": []}, "finishReason": "MALFORMED_FUNCTION_CALL",
        "finishMessage": "Malformed function call: print(x)",
    });
    let gemini = json!({"candidates": [candidate]});
    let bedrock = |reason: &str| {
        let message = json!({"role": "assistant", "content": []});
        json!({"output": {"message": message}, "stopReason": reason})
    };
    for (provider, said) in [
        (Gemini, gemini.clone()),
        (Bedrock, bedrock("malformed_tool_use")),
        (Bedrock, bedrock("malformed_model_output")),
    ] {
        let answer = provider.decode_answer(said).expect("an answer");
        for caller in Dialect::heard() {
            let written = caller.encode_answer(&answer, &told());
            let class = written.err().map(|fault| fault.class);
            let expected = (caller != provider).then_some(FaultClass::Upstream);
            assert_eq!(class, expected, "{provider:?} -> {caller:?}");
        }
    }
    // Before anything of it was passed on, so that another target may be asked.
    for caller in [OpenaiChat, OpenaiResponses, Anthropic] {
        let encoder = StreamEncoder::new(caller, told(), false).expect("callers speak it");
        let mut relay = Relay::Across(Box::new(Across::new(Gemini, encoder, told())));
        let mut out = Vec::new();
        relay.push(format!("data: {gemini}\n\n").as_bytes(), &mut out);
        relay.finish(None, &mut out);
        let seen = relay.seen();
        let class = seen.fault.as_ref().map(|fault| fault.class);
        assert_eq!(class, Some(FaultClass::Upstream), "{caller:?}");
        assert!(!seen.begun && !seen.ended, "{caller:?}");
        let stream = String::from_utf8(out).expect("UTF-8");
        assert!(!stream.contains("end_turn"), "{stream}");
    }
}
