//! What callers of Anthropic's Messages say, for models that are asked in other dialects.

#![expect(
    clippy::unwrap_used,
    reason = "in a test, a failed unwrap is a failed test"
)]

use causeway::llm::chat::ChatRequest;
use causeway::llm::dialect::{Dialect, TargetModel};
use serde_json::{Value, json};

/// A request with these fields.
fn asked(more: Value) -> ChatRequest {
    let mut body = json!({
        "model": "m",
        "max_tokens": 4000,
        "messages": [{"role": "user", "content": "Hello"}],
    });
    let more = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(more);
    Dialect::Anthropic.decode_request(body).unwrap()
}

/// A body for a model, and what it lacks.
fn written(target: Dialect, model: &str, request: &ChatRequest) -> (Value, Vec<String>) {
    let model = TargetModel {
        name: model.to_owned(),
        max_output_tokens: None,
    };
    let encoded = target.encode_request(request, &model).unwrap();
    let dropped = encoded.dropped.into_iter().map(|dropped| dropped.field);
    (encoded.body, dropped.collect())
}

#[test]
fn effort_without_thinking_is_told_and_not_named_as_lost() {
    let schema = json!({"type": "object", "properties": {}, "additionalProperties": false});
    let format = json!({"type": "json_schema", "schema": schema});
    for config in [
        json!({"effort": "low"}),
        json!({"effort": "low", "format": format}),
    ] {
        let request = asked(json!({"output_config": config}));
        for (target, model, place) in [
            (Dialect::OpenaiChat, "gpt-5", "/reasoning_effort"),
            (Dialect::OpenaiResponses, "gpt-5", "/reasoning/effort"),
            (
                Dialect::Bedrock,
                "anthropic.claude-opus-4-6-v1",
                "/outputConfig/effort",
            ),
        ] {
            let (body, dropped) = written(target, model, &request);
            assert_eq!(body.pointer(place), Some(&json!("low")), "{target:?}");
            assert_eq!(dropped, Vec::<String>::new(), "{target:?}");
            assert_eq!(body.get("additionalModelRequestFields"), None);
        }
        let (body, dropped) = written(Dialect::Gemini, "gemini-3-pro-preview", &request);
        let level = "/generationConfig/thinkingConfig/thinkingLevel";
        assert_eq!(body.pointer(level), Some(&json!("LOW")), "{body}");
        assert_eq!(dropped, Vec::<String>::new());
        // Nobody asked it to think.
        let sonnet = "anthropic.claude-sonnet-4-5-20250929-v1:0";
        let (body, dropped) = written(Dialect::Bedrock, sonnet, &request);
        assert_eq!(body.get("additionalModelRequestFields"), None, "{body}");
        assert_eq!(body.pointer("/outputConfig/effort"), None, "{body}");
        assert_eq!(dropped, ["reasoning.effort"]);
    }
    let off = json!({"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}});
    let (_, dropped) = written(Dialect::OpenaiResponses, "gpt-5", &asked(off));
    assert!(dropped.contains(&"output_config".to_owned()), "{dropped:?}");
}
