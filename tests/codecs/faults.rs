//! Errors in place of an answer, told with a good status.

use causeway::llm::dialect::Dialect::{self, Anthropic, Gemini, OpenaiChat, OpenaiResponses};
use causeway::llm::fault::FaultClass;
use serde_json::{Value, json};

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
