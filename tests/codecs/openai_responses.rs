//! OpenAI Responses.

#![expect(
    clippy::unwrap_used,
    reason = "in a test, a failed unwrap is a failed test"
)]

mod crossing;
mod errors;
mod streams;

use causeway::llm::answer::Stop;
use causeway::llm::chat::{
    ChatRequest, Image, Opaque, Part, Reasoning, Role, Signature, Source, Thought, Tool, ToolCall,
    ToolResult, Turn,
};
use causeway::llm::dialect::openai_responses::{
    decode_answer, decode_request, encode_answer, encode_request, stateless,
};
use causeway::llm::dialect::{Dialect, OwnTools, TargetModel, Told};
use causeway::llm::fault::FaultClass;
use causeway::llm::splice::Top;
use serde_json::{Value, json};

use crate::json;

/// The files of a folder of this dialect, by name.
pub(crate) fn files(kind: &str) -> Vec<String> {
    let root = env!("CARGO_MANIFEST_DIR");
    let folder = format!("{root}/tests/data/llm/openai_responses/{kind}");
    let entries = std::fs::read_dir(&folder).expect(&folder);
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| format!("openai_responses/{kind}/{name}"))
        .collect();
    names.sort();
    assert!(!names.is_empty());
    names
}

pub(crate) fn told() -> Told {
    Told {
        model: "house-model".to_owned(),
        request_id: "0a1b".to_owned(),
        now: 1_700_000_000,
        stream_usage: true,
        tools: OwnTools::default(),
    }
}

pub(crate) fn model(name: &str) -> TargetModel {
    TargetModel {
        name: name.to_owned(),
        max_output_tokens: None,
    }
}

pub(crate) fn written(request: &ChatRequest) -> Value {
    encode_request(request, &model("gpt-5")).unwrap().body
}

/// A request whose `input` is this, read.
pub(crate) fn asked(input: Value) -> ChatRequest {
    decode_request(json!({"model": "gpt-5", "input": input})).unwrap()
}

pub(crate) fn signature(dialect: Dialect, value: &str) -> Signature {
    Signature {
        dialect,
        value: value.to_owned(),
    }
}

/// A request in the one of its equal forms that is written: items in full, no ids or states of items, `system` for
/// `developer`, and no fields that say the default.
pub(crate) fn normal(mut request: Value) -> Value {
    if let Value::String(text) = &request["input"] {
        request["input"] = json!([{"role": "user", "content": text}]);
    }
    for item in request["input"].as_array_mut().unwrap() {
        let item = item.as_object_mut().unwrap();
        let kind = item
            .entry("type")
            .or_insert_with(|| json!("message"))
            .clone();
        if matches!(kind.as_str(), Some("message" | "function_call")) {
            item.shift_remove("id");
            item.shift_remove("status");
        }
        if item.get("role").is_some_and(|role| role == "developer") {
            item["role"] = json!("system");
        }
        if let Some(Value::String(text)) = item.get("content") {
            item["content"] = json!([{"type": "input_text", "text": text}]);
        }
        for piece in item
            .get_mut("content")
            .into_iter()
            .filter_map(Value::as_array_mut)
            .flatten()
        {
            if piece["type"] == "input_image" && piece.get("detail").is_none() {
                piece["detail"] = json!("auto");
            }
        }
    }
    if request
        .pointer("/text/format/type")
        .is_some_and(|kind| kind == "text")
    {
        request["text"]
            .as_object_mut()
            .unwrap()
            .shift_remove("format");
    }
    request
}

/// An answer without the ids of messages and calls, which are ours, and without the tier, which is its provider's to tell.
pub(crate) fn without_ids(mut answer: Value) -> Value {
    answer.as_object_mut().unwrap().shift_remove("service_tier");
    for item in answer["output"].as_array_mut().unwrap() {
        if matches!(
            item["type"].as_str(),
            Some("message" | "function_call" | "custom_tool_call")
        ) {
            item.as_object_mut().unwrap().shift_remove("id");
        }
    }
    answer
}

#[test]
fn requests_come_out_as_they_went_in() {
    for file in files("requests") {
        let body = json(&file);
        let request = decode_request(body.clone()).expect(&file);
        let target = model(body["model"].as_str().unwrap());
        let encoded = encode_request(&request, &target).expect(&file);
        assert_eq!(encoded.body, normal(body), "{file}");
        assert_eq!(encoded.dropped, [], "{file}");
    }
}

#[test]
fn what_is_read_of_requests() {
    for name in ["system", "tools", "tool_results", "reasoning", "document"] {
        let request = decode_request(json(&format!("openai_responses/requests/{name}.json")));
        insta::assert_debug_snapshot!(format!("{name}"), request.unwrap());
    }
}

#[test]
fn fields_of_items_that_have_no_place_are_named() {
    let request = asked(json!([
        {"role": "assistant", "content": "Hm.", "phase": "commentary"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "", "later": 1},
    ]));
    let encoded = encode_request(&request, &model("m")).unwrap();
    let names: Vec<_> = encoded
        .dropped
        .iter()
        .map(|field| field.field.as_str())
        .collect();
    assert_eq!(names, ["input[0].phase", "input[1].later"]);
    assert_eq!(encoded.body["input"][1]["arguments"], "{}");
}

#[test]
fn unknown_fields_survive() {
    let body = json!({
        "model": "gpt-5", "input": [], "later": {"a": 1}, "reasoning": {"effort": "low", "mode": "pro"},
        "text": {"format": {"type": "json_object", "flavour": {"b": 2}}, "tone": "dry"},
    });
    let request = decode_request(body.clone()).unwrap();
    assert_eq!(written(&request), body);
    let fields: Vec<_> = request.rest.fields.keys().collect();
    assert_eq!(
        fields,
        [
            "later",
            "text.tone",
            "text.format.flavour",
            "reasoning.mode"
        ]
    );
}

#[test]
fn reasoning_that_says_nothing_asks_for_none() {
    for reasoning in [
        json!({"effort": null, "summary": null}),
        json!({}),
        json!(null),
    ] {
        let body = json!({"model": "m", "input": "Hi", "reasoning": reasoning});
        let request = decode_request(body).unwrap();
        assert_eq!(request.reasoning, None);
        for to in Dialect::ALL {
            let encoded = to.encode_request(&request, &model("claude-sonnet-4-5"));
            let encoded = encoded.unwrap();
            assert_eq!(encoded.dropped, [], "{to:?}");
            let body = encoded.body.to_string();
            assert!(
                !body.contains("think") && !body.contains("reason"),
                "{body}"
            );
        }
    }
    let body =
        json!({"model": "m", "reasoning": {"effort": null, "summary": "auto", "mode": "pro"}});
    let request = decode_request(body).unwrap();
    assert_eq!(request.reasoning.unwrap().shown, Some(true));
    assert_eq!(request.rest.fields["reasoning.mode"], "pro");
}

#[test]
fn wrong_fields_are_named() {
    for (body, field) in [
        (json!([]), ""),
        (json!({"input": "hi"}), "model"),
        (json!({"model": "m", "input": 5}), "input"),
        (json!({"model": "m", "input": [5]}), "input[0]"),
        (
            json!({"model": "m", "input": [{"role": "robot"}]}),
            "input[0].role",
        ),
        (
            json!({"model": "m", "input": [{"role": "user", "content": [{"type": "input_image"}]}]}),
            "input[0].content[0].image_url",
        ),
        (
            json!({"model": "m", "input": [{"role": "user", "content": [{"type": "input_image", "image_url": "foo.png"}]}]}),
            "input[0].content[0].image_url",
        ),
        (
            json!({"model": "m", "input": [{"type": "function_call"}]}),
            "input[0].call_id",
        ),
        (
            json!({"model": "m", "tools": [{"type": "function"}]}),
            "tools[0].name",
        ),
        (
            json!({"model": "m", "tool_choice": "perhaps"}),
            "tool_choice",
        ),
        (
            json!({"model": "m", "text": {"format": {"type": "xml"}}}),
            "text.format.type",
        ),
        (
            json!({"model": "m", "reasoning": {"effort": 3}}),
            "reasoning.effort",
        ),
        (json!({"model": "m", "include": "all"}), "include"),
        (
            json!({"model": "m", "max_output_tokens": -1}),
            "max_output_tokens",
        ),
    ] {
        let fault = decode_request(body.clone()).unwrap_err();
        assert_eq!(fault.class, FaultClass::Invalid);
        assert_eq!(fault.field.as_deref(), Some(field), "{body}");
    }
}

#[test]
fn what_only_openai_keeps_cannot_cross() {
    for (more, field) in [
        (
            json!({"previous_response_id": "resp_1"}),
            "previous_response_id",
        ),
        (json!({"conversation": {"id": "conv_1"}}), "conversation"),
        (json!({"prompt": {"id": "pmpt_1"}}), "prompt"),
        (json!({"background": true}), "background"),
        (
            json!({"input": [{"type": "item_reference", "id": "msg_1"}]}),
            "input",
        ),
        (json!({"input": [{"id": "msg_1"}]}), "input"),
    ] {
        let mut body = json!({"model": "m", "store": true, "background": false});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let fault = stateless(&decode_request(body).unwrap()).unwrap_err();
        assert_eq!(fault.field.as_deref(), Some(field));
        assert!(fault.message.contains("`input`"), "{fault}");
    }
    let stored = json!({"model": "m", "input": "hi", "store": true, "background": false});
    assert_eq!(stateless(&decode_request(stored).unwrap()), Ok(()));
}

/// A request of another dialect, with much in it.
pub(crate) fn foreign() -> ChatRequest {
    let call = ToolCall {
        id: "toolu_1".to_owned(),
        name: "now".to_owned(),
        arguments: String::new(),
        signature: Some(signature(Dialect::Gemini, "c2ln")),
        custom: false,
        cache: None,
    };
    let thought = Thought {
        text: "Hm.".to_owned(),
        signature: Some(signature(Dialect::Anthropic, "EqQB")),
        ..Thought::default()
    };
    let result = ToolResult {
        id: "toolu_1".to_owned(),
        name: None,
        parts: vec![Part::text("no clock")],
        is_error: true,
        cache: None,
    };
    let mut request = asked(json!([]));
    request.rest.dialect = Some(Dialect::Anthropic);
    request.system = vec![Part::text("One."), Part::text("Two.")];
    request.turns = vec![
        Turn::new(Role::User, vec![Part::text("What time is it?")]),
        Turn::new(
            Role::Assistant,
            vec![
                Part::Thought(thought),
                Part::text("Let me see."),
                Part::ToolCall(call),
            ],
        ),
        Turn::new(
            Role::User,
            vec![Part::ToolResult(result), Part::text("And now?")],
        ),
    ];
    request.tools = asked_tools(json!([{"type": "function", "name": "now"}]));
    request
}

pub(crate) fn asked_tools(tools: Value) -> Vec<Tool> {
    let body = json!({"model": "m", "tools": tools});
    decode_request(body).unwrap().tools
}

#[test]
fn requests_of_other_dialects_are_kept_nowhere_and_not_made_strict() {
    let mut request = foreign();
    request.sampling.seed = Some(7);
    request.sampling.logprobs = true;
    request.reasoning = Some(Reasoning {
        effort: None,
        budget_tokens: Some(8000),
        shown: Some(true),
    });
    let encoded = encode_request(&request, &model("gpt-5")).unwrap();
    insta::assert_json_snapshot!("foreign", encoded.body);
    let names: Vec<_> = encoded
        .dropped
        .iter()
        .map(|field| field.field.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "sampling.seed",
            "reasoning.budget_tokens",
            "turns[1].parts[0]"
        ]
    );
}

#[test]
fn no_signature_of_another_dialect_is_ever_sent_to_a_provider() {
    let body = written(&foreign()).to_string();
    assert!(!body.contains("EqQB") && !body.contains("c2ln") && !body.contains("causeway:"));
}

#[test]
fn what_the_answer_depends_on_is_refused() {
    let chart = |source| {
        Part::Image(Image {
            source,
            detail: None,
            cache: None,
        })
    };
    let inline = || Source::Inline {
        media_type: "image/png".to_owned(),
        data: "iVBO".to_owned(),
    };
    let uploaded = Source::File {
        dialect: Dialect::Anthropic,
        id: "file_011".to_owned(),
    };
    let bucket = Source::Url {
        url: "gs://bucket/a.png".to_owned(),
        media_type: None,
    };
    let said = |role, part| {
        let mut request = foreign();
        request.turns = vec![Turn::new(role, vec![part])];
        request
    };
    let mut several = foreign();
    several.sampling.candidates = Some(2);
    let mut stop = foreign();
    stop.sampling.stop = vec!["END".to_owned()];
    let mut tool = foreign();
    tool.tools = vec![Tool::Opaque(Opaque {
        dialect: Dialect::Anthropic,
        kind: "web_search_20250305".to_owned(),
        value: json!({"type": "web_search_20250305", "name": "web_search"}),
    })];
    for (request, field) in [
        (several, "sampling.candidates"),
        (stop, "sampling.stop"),
        (tool, "tools[0]"),
        (said(Role::User, chart(uploaded)), "turns[0].parts[0]"),
        (said(Role::User, chart(bucket)), "turns[0].parts[0]"),
        (said(Role::Assistant, chart(inline())), "turns[0].parts[0]"),
    ] {
        let fault = encode_request(&request, &model("m")).unwrap_err();
        assert_eq!(fault.field.as_deref(), Some(field));
        assert!(fault.message.contains("OpenAI Responses"), "{fault}");
    }
    assert!(encode_request(&said(Role::User, chart(inline())), &model("m")).is_ok());
}

#[test]
fn fields_shared_with_chat_completions_are_taken_over() {
    let mut request = foreign();
    request.rest.dialect = Some(Dialect::OpenaiChat);
    let fields =
        json!({"verbosity": "low", "service_tier": "flex", "logit_bias": {"7": -1}, "store": true});
    request.rest.fields = fields.as_object().unwrap().clone();
    let grammar = json!({"type": "grammar", "grammar": {"syntax": "lark", "definition": "a"}});
    request.tools = vec![Tool::Opaque(Opaque {
        dialect: Dialect::OpenaiChat,
        kind: "custom".to_owned(),
        value: json!({"type": "custom", "custom": {"name": "sql", "format": grammar}}),
    })];
    let encoded = encode_request(&request, &model("m")).unwrap();
    assert_eq!(encoded.body["text"], json!({"verbosity": "low"}));
    assert_eq!(encoded.body["service_tier"], "flex");
    assert_eq!(encoded.body["store"], false);
    let flat = json!({"type": "grammar", "syntax": "lark", "definition": "a"});
    let tool = json!([{"type": "custom", "name": "sql", "format": flat}]);
    assert_eq!(encoded.body["tools"], tool);
    let names: Vec<_> = encoded
        .dropped
        .iter()
        .map(|field| field.field.as_str())
        .collect();
    assert_eq!(names, ["turns[1].parts[0]", "logit_bias", "store"]);
}

#[test]
fn answers_come_out_as_they_went_in() {
    for file in files("answers") {
        let body = json(&file);
        let answer = decode_answer(body.clone()).expect(&file);
        let encoded = encode_answer(&answer, &told());
        assert_eq!(encoded.body["service_tier"], Value::Null);
        assert_eq!(without_ids(encoded.body), without_ids(body), "{file}");
        assert!(
            encoded
                .dropped
                .iter()
                .all(|field| field.field == "usage.searches"),
            "{file}"
        );
    }
}

#[test]
fn why_answers_ended() {
    for (name, expected) in [
        ("text", Stop::End),
        ("parallel_tools", Stop::ToolCalls),
        ("custom_tool", Stop::ToolCalls),
        ("refusal", Stop::Refusal),
        ("length", Stop::Length),
        ("length_in_call", Stop::Length),
        ("filtered", Stop::ContentFilter),
    ] {
        let body = json(&format!("openai_responses/answers/{name}.json"));
        assert_eq!(decode_answer(body).unwrap().stop, Some(expected), "{name}");
    }
}

#[test]
fn totals_of_usage_include_their_parts() {
    let body = json("openai_responses/answers/cached.json");
    let usage = decode_answer(body.clone()).unwrap().usage.unwrap();
    assert_eq!(
        (usage.input, usage.cached, usage.cache_write),
        (2006, 1920, 64)
    );
    assert_eq!(usage.uncached(), 22);
    let details = json!({"ttl_30m_tokens": 3, "ttl_12h_tokens": 4});
    let input =
        json!({"cached_tokens": 0, "cache_write_tokens": 7, "cache_write_tokens_details": details});
    let mut body = body;
    body["usage"]["input_tokens_details"] = input;
    let answer = decode_answer(body.clone()).unwrap();
    let usage = answer.usage.unwrap();
    assert_eq!((usage.cache_write, usage.cache_write_hour), (3, 4));
    assert_eq!(encode_answer(&answer, &told()).body["usage"], body["usage"]);
    let body = json("openai_responses/answers/reasoning.json");
    let usage = decode_answer(body).unwrap().usage.unwrap();
    assert_eq!(
        (usage.output, usage.reasoning, usage.total()),
        (1186, 1024, 2221)
    );
    let body = json("openai_responses/answers/citations.json");
    assert_eq!(decode_answer(body).unwrap().usage.unwrap().searches, 1);
}

#[test]
fn searches_are_counted_where_an_answer_is_not_read_otherwise() {
    let count = |dialect: Dialect, body: &Value| {
        let text = body.to_string();
        let top = Top::read(text.as_bytes()).unwrap();
        dialect.usage_in(text.as_bytes(), &top)
    };
    let search = |action: &str| json!({ "id": "ws_1", "type": "web_search_call", "status": "completed", "action": { "type": action } });
    let usage = json!({ "input_tokens": 7, "output_tokens": 2, "total_tokens": 9 });
    let mut body = json!({
        "id": "resp_1", "object": "response", "status": "completed", "model": "gpt-5", "usage": usage,
        "output": [search("search"), search("open_page"), search("search"), search("search")],
    });
    let found = count(Dialect::OpenaiResponses, &body).unwrap();
    assert_eq!((found.total(), found.searches), (9, 3));
    body["output"] = json!([]);
    body["tool_usage"] = json!({ "web_search": { "num_requests": 5 } });
    let found = count(Dialect::OpenaiResponses, &body).unwrap();
    assert_eq!((found.total(), found.searches), (9, 5));
    body["tool_usage"] = Value::Null;
    let found = count(Dialect::OpenaiResponses, &body).unwrap();
    assert_eq!((found.total(), found.searches), (9, 0));
    let body = json!({
        "modelVersion": "gemini-3-pro",
        "candidates": [{
            "content": { "role": "model", "parts": [{ "text": "Hi" }] },
            "finishReason": "STOP",
            "groundingMetadata": { "webSearchQueries": ["a", "b"] },
        }],
        "usageMetadata": { "promptTokenCount": 7, "candidatesTokenCount": 2, "totalTokenCount": 9 },
    });
    let found = count(Dialect::Gemini, &body).unwrap();
    assert_eq!((found.total(), found.searches), (9, 2));
}

#[test]
fn answers_of_imitators_are_understood() {
    let answer = decode_answer(json!({"created_at": 17.9, "output": [
        {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]},
        {"type": "function_call", "id": "c1", "name": "f", "arguments": {"a": 1}},
        {"type": "function_call", "call_id": "c2", "name": "g"},
    ]}))
    .unwrap();
    assert_eq!((answer.id.as_str(), answer.created), ("", Some(17)));
    let Part::ToolCall(call) = &answer.parts[1] else {
        panic!("{answer:?}")
    };
    assert_eq!(
        (call.id.as_str(), call.arguments.as_str()),
        ("c1", "{\"a\":1}")
    );
    assert!(matches!(&answer.parts[2], Part::ToolCall(call) if call.arguments == "{}"));
    assert_eq!(answer.stop, Some(Stop::ToolCalls));
    let fault = decode_answer(
        json!({"status": "failed", "error": {"code": "server_error", "message": "Oh"}}),
    );
    assert_eq!(fault.unwrap_err().class, FaultClass::Upstream);
    let fault = decode_answer(json!({"output": {}})).unwrap_err();
    assert_eq!(
        (fault.class, fault.field.as_deref()),
        (FaultClass::Upstream, Some("output"))
    );
}
