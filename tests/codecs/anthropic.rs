//! Anthropic Messages.

use std::path::PathBuf;

use causeway::events::Event;
use causeway::llm::answer::{Answer, ChatEvent, Collector, Delta, PartStart, Stop};
use causeway::llm::chat::{
    CacheMark, ChatRequest, Citation, Format, Function, Image, Part, Reasoning, Rest, Role,
    Signature, Source, Text, Thought, Tool, ToolCall, ToolChoice, ToolResult, Turn,
};
use causeway::llm::dialect::anthropic::{
    StreamDecoder, StreamEncoder, decode_answer, decode_count_tokens, decode_error, decode_request,
    decode_token_count, encode_answer, encode_count_tokens, encode_error, encode_request,
    encode_token_count,
};
use causeway::llm::dialect::{Dialect, Encoded, OwnTools, TargetModel, Told};
use causeway::llm::fault::{Fault, FaultClass};
use causeway::llm::usage::Usage;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{json, parted, text};

fn names(kind: &str) -> Vec<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/llm/anthropic")
        .join(kind);
    let entries = std::fs::read_dir(folder).expect("a folder of fixtures");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("an entry").file_name())
        .map(|name| format!("anthropic/{kind}/{}", name.to_string_lossy()))
        .collect();
    names.sort();
    names
}

fn told() -> Told {
    Told {
        model: "best".to_owned(),
        request_id: "0a1b".to_owned(),
        now: 1,
        stream_usage: false,
        tools: OwnTools::default(),
    }
}

fn model(name: &str) -> TargetModel {
    TargetModel {
        name: name.to_owned(),
        max_output_tokens: None,
    }
}

fn encoded(request: &ChatRequest, name: &str) -> Encoded {
    encode_request(request, &model(name)).expect("a request that can be said")
}

fn dropped(encoded: &Encoded) -> Vec<&str> {
    encoded
        .dropped
        .iter()
        .map(|dropped| dropped.field.as_str())
        .collect()
}

/// A request in another dialect.
fn asks(turns: Vec<Turn>) -> ChatRequest {
    ChatRequest {
        model: "best".to_owned(),
        turns,
        rest: Rest {
            dialect: Some(Dialect::OpenaiChat),
            ..Rest::default()
        },
        ..ChatRequest::default()
    }
}

fn says(role: Role, text: &str) -> Turn {
    Turn::new(role, vec![Part::text(text)])
}

fn call(id: &str, arguments: &str) -> ToolCall {
    ToolCall {
        id: id.to_owned(),
        name: "get_time".to_owned(),
        arguments: arguments.to_owned(),
        signature: None,
        custom: false,
        cache: None,
    }
}

fn result(id: &str, text: &str) -> Part {
    Part::ToolResult(ToolResult {
        id: id.to_owned(),
        name: None,
        parts: vec![Part::text(text)],
        is_error: false,
        cache: None,
    })
}

fn signed(dialect: Dialect, value: &str) -> Signature {
    Signature {
        dialect,
        value: value.to_owned(),
    }
}

fn tool(name: &str) -> Tool {
    Tool::Function(Function {
        name: name.to_owned(),
        description: None,
        parameters: None,
        strict: None,
        cache: None,
    })
}

fn decoded(events: &[Event]) -> Vec<ChatEvent> {
    let mut decoder = StreamDecoder::default();
    let mut out: Vec<_> = events
        .iter()
        .flat_map(|event| decoder.push(event))
        .collect();
    out.extend(decoder.finish());
    out
}

fn written(events: Vec<ChatEvent>) -> String {
    let mut encoder = StreamEncoder::new(told());
    let mut out = Vec::new();
    for event in events {
        encoder.push(event, &mut out);
    }
    encoder.finish(&mut out);
    String::from_utf8(out).expect("text")
}

/// The data of a written stream.
fn frames(stream: &str) -> Vec<Value> {
    let events = parted(stream, 0);
    for event in &events {
        let data: Value = serde_json::from_str(&event.data).expect("JSON");
        assert_eq!(data["type"].as_str(), event.name.as_deref());
    }
    let data = events.iter().map(|event| serde_json::from_str(&event.data));
    data.collect::<Result<_, _>>().expect("JSON")
}

fn collected(events: Vec<ChatEvent>) -> Answer {
    let mut collector = Collector::default();
    for event in events {
        collector.push(event).expect("no fault");
    }
    collector.finish()
}

/// Arguments as values: a stream has the model's white space, a message has none.
fn without_space(mut answer: Answer) -> Answer {
    for part in &mut answer.parts {
        if let Part::ToolCall(call) = part {
            let value: Value = serde_json::from_str(&call.arguments).expect("JSON");
            call.arguments = value.to_string();
        }
    }
    answer
}

#[test]
fn requests_come_out_as_they_went_in() {
    for name in names("requests") {
        let body = json(&name);
        let request = decode_request(body.clone()).expect(&name);
        let target = model(body["model"].as_str().expect("a model"));
        let encoded = encode_request(&request, &target).expect(&name);
        assert_eq!(encoded.body, body, "{name}");
        assert!(encoded.dropped.is_empty(), "{name}: {:?}", encoded.dropped);
    }
}

#[test]
fn requests_in_the_neutral_form() {
    for name in [
        "documents",
        "server-tools",
        "thoughts",
        "tool-results",
        "tools",
        "turns",
    ] {
        let request = decode_request(json(&format!("anthropic/requests/{name}.json")));
        insta::assert_debug_snapshot!(format!("anthropic-{name}"), request.expect(name));
    }
}

#[test]
fn requests_that_say_the_same_otherwise_come_out_in_one_way() {
    // Turns of one side are joined by the API too; a text alone is the same as a list of one.
    let body = json!({
        "model": "m", "max_tokens": 5, "stream": false, "system": [{"type": "text", "text": "S"}],
        "tools": [{"type": "custom", "name": "t", "input_schema": {"type": "object", "properties": {}}}],
        "output_format": {"type": "json_schema", "schema": {"type": "object"}},
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "5m"}}]},
            {"role": "user", "content": [{"type": "text", "text": ""}, {"type": "tool_result", "tool_use_id": "x", "is_error": false}]},
            {"role": "assistant", "content": []},
        ],
    });
    let request = decode_request(body).expect("a request");
    assert_eq!(
        encoded(&request, "m").body,
        json!({
            "model": "m", "max_tokens": 5, "system": "S",
            "messages": [{"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "x"},
                {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
            ]}],
            "tools": [{"name": "t", "input_schema": {"type": "object", "properties": {}}}],
            "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
        })
    );
}

#[test]
fn wrong_requests_name_the_place() {
    let wrong = |change: fn(&mut Value)| {
        let mut body =
            json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]});
        change(&mut body);
        let fault = decode_request(body).expect_err("a fault");
        assert_eq!(fault.class, FaultClass::Invalid);
        fault.field.expect("a field")
    };
    assert_eq!(wrong(|b| b["max_tokens"] = json!(null)), "max_tokens");
    assert_eq!(wrong(|b| b["max_tokens"] = json!("1")), "max_tokens");
    assert_eq!(wrong(|b| b["messages"] = json!(null)), "messages");
    assert_eq!(
        wrong(|b| b["messages"][0]["role"] = json!("tool")),
        "messages[0].role"
    );
    assert_eq!(
        wrong(|b| b["messages"][0]["content"] = json!(1)),
        "messages[0].content"
    );
    assert_eq!(
        wrong(|b| b["messages"][0]["content"] = json!([{"type": "text"}])),
        "messages[0].content[0].text"
    );
    assert_eq!(
        wrong(|b| b["messages"][0]["content"] =
            json!([{"type": "image", "source": {"type": "base64", "data": "x"}}])),
        "messages[0].content[0].source.media_type"
    );
    assert_eq!(
        wrong(|b| b["tool_choice"] = json!({"type": "some"})),
        "tool_choice.type"
    );
    assert_eq!(
        wrong(|b| b["thinking"] = json!({"type": "enabled"})),
        "thinking.budget_tokens"
    );
}

#[test]
fn answers_come_out_as_they_went_in() {
    for name in names("answers") {
        let mut body = json(&name);
        let answer = decode_answer(body.clone()).expect(&name);
        let mut again = encode_answer(&answer, &told());
        assert!(again.dropped.is_empty(), "{name}: {:?}", again.dropped);
        // Counters that were left out are zero.
        let usage = body["usage"].as_object_mut().expect("usage");
        usage.entry("cache_read_input_tokens").or_insert(json!(0));
        usage
            .entry("cache_creation_input_tokens")
            .or_insert(json!(0));
        // The neutral form does not keep which capacity was used.
        usage.shift_remove("service_tier");
        if name.ends_with("refusal.json") {
            // What a refusal says is shown too; its category is lost.
            assert_eq!(
                again.body["content"][0]["text"],
                "This request could enable harm."
            );
            again.body["content"] = json!([]);
            body["stop_details"]["category"] = Value::Null;
        }
        assert_eq!(again.body, body, "{name}");
        assert_eq!(collected(answer.events()), answer, "{name}");
    }
}

#[test]
fn streams_say_the_same_wherever_they_are_cut() {
    for name in names("streams") {
        let stream = text(&name);
        let events = decoded(&parted(&stream, 0));
        for at in 0..stream.len() {
            assert_eq!(decoded(&parted(&stream, at)), events, "{name} at {at}");
        }
        insta::assert_debug_snapshot!(name.replace('/', "-"), events);
    }
}

// RooCodeInc/Roo-Code#10351: signatures that come in a stream were not kept.
#[test]
fn streams_come_out_with_the_same_meaning() {
    for name in names("streams") {
        let events = decoded(&parted(&text(&name), 0));
        if events
            .iter()
            .any(|event| matches!(event, ChatEvent::Fault(_)))
        {
            continue;
        }
        let stream = written(events.clone());
        let again = decoded(&parted(&stream, 0));
        if name.ends_with("refusal.sse") {
            // What a refusal says is shown as text.
            let refusal = again
                .iter()
                .find(|event| matches!(event, ChatEvent::Delta { .. }));
            assert!(format!("{refusal:?}").contains("could enable harm"));
            continue;
        }
        assert_eq!(again, events, "{name}");
        let mut answer = without_space(collected(events));
        let whole = decode_answer(encode_answer(&answer, &told()).body).expect(&name);
        assert_eq!(whole, answer, "{name}");
        if let Some(usage) = &mut answer.usage {
            // The end of a stream does not tell how long the cache lasts; only its start does.
            usage.cache_write += std::mem::take(&mut usage.cache_write_hour);
        }
        assert_eq!(
            without_space(collected(decoded(&parted(&written(answer.events()), 0)))),
            answer,
            "{name}"
        );
    }
}

#[test]
fn errors_keep_their_kind() {
    for name in names("errors") {
        let error = json(&name);
        let status = u16::try_from(error["status"].as_u64().expect("a status")).expect("a status");
        let fault = decode_error(status, error["body"].to_string().as_bytes());
        assert_eq!(
            format!("{:?}", fault.class),
            error["class"].as_str().expect("a class"),
            "{name}"
        );
        let again = encode_error(&fault);
        assert_eq!(
            decode_error(again.status, again.body.to_string().as_bytes()).class,
            fault.class,
            "{name}"
        );
        let mut body = error["body"].clone();
        body.as_object_mut()
            .expect("an object")
            .shift_remove("request_id");
        if name.ends_with("credit.json") {
            body["error"]["type"] = json!("billing_error");
        }
        assert_eq!(again.body, body, "{name}");
    }
    let page = decode_error(502, b"<html>bad gateway</html>");
    assert_eq!(
        (page.class, page.message.contains("html")),
        (FaultClass::Upstream, false)
    );
    let openai = decode_error(429, br#"{"error":{"message":"slow down","code":"rate"}}"#);
    assert_eq!(
        (openai.class, openai.message.as_str()),
        (FaultClass::RateLimited, "slow down")
    );
    let long = encode_error(&Fault::new(FaultClass::ContextLength, "too many tokens"));
    assert_eq!(
        long.body["error"]["message"],
        "prompt is too long: too many tokens"
    );
}

#[test]
fn an_error_within_a_stream_ends_it() {
    let events = decoded(&parted(&text("anthropic/streams/error.sse"), 0));
    let Some(ChatEvent::Fault(fault)) = events.last() else {
        panic!("{events:?}");
    };
    assert_eq!(fault.class, FaultClass::Overloaded);
    let frames = frames(&written(events));
    let last = frames.last().expect("a frame");
    assert_eq!(last["error"]["type"], "overloaded_error");
    assert!(!frames.iter().any(|frame| frame["type"] == "message_stop"));
    let cut = decoded(&parted(&text("anthropic/streams/cut.sse"), 0));
    assert!(
        matches!(cut.last(), Some(ChatEvent::Fault(fault)) if fault.class == FaultClass::Unreachable)
    );
}

// maximhq/bifrost#5354: what the start and the end of a stream say it used was added up.
#[test]
fn usage_of_the_start_and_the_end_is_not_added_up() {
    let answer = collected(decoded(&parted(&text("anthropic/streams/cached.sse"), 0)));
    let usage = Usage {
        input: 3 + 248 + 1800,
        cached: 1800,
        cache_write: 148,
        cache_write_hour: 100,
        output: 12,
        ..Usage::default()
    };
    assert_eq!(answer.usage, Some(usage));
    let search = collected(decoded(&parted(&text("anthropic/streams/search.sse"), 0)));
    let usage = search.usage.expect("usage");
    assert_eq!((usage.input, usage.output, usage.searches), (10682, 510, 1));
    let body = encode_answer(&answer, &told()).body;
    assert_eq!(body["usage"]["input_tokens"], 3);
}

#[test]
fn the_start_of_a_stream_says_the_prompt_where_it_is_known_and_its_end_says_all() {
    let start = ChatEvent::Start {
        id: String::new(),
        model: String::new(),
        created: None,
    };
    let usage = Usage {
        input: 10,
        cached: 4,
        output: 7,
        ..Usage::default()
    };
    let part = [
        ChatEvent::PartStart {
            index: 0,
            part: PartStart::Text,
        },
        ChatEvent::Delta {
            index: 0,
            delta: Delta::Text("x".to_owned()),
        },
    ];
    let mut late = vec![start.clone()];
    late.extend(part.clone());
    late.extend([ChatEvent::Stop(Stop::End), ChatEvent::Usage(usage)]);
    let late = frames(&written(late));
    assert_eq!(late[0]["message"]["usage"]["input_tokens"], 0);
    assert_eq!(late[0]["message"]["id"], "msg_0a1b");
    assert_eq!(late[0]["message"]["model"], "best");
    let mut early = vec![start, ChatEvent::Usage(usage)];
    early.extend(part);
    early.push(ChatEvent::Stop(Stop::Length));
    let early = frames(&written(early));
    assert_eq!(early[0]["message"]["usage"]["input_tokens"], 6);
    for (frames, reason) in [(late, "end_turn"), (early, "max_tokens")] {
        let kinds: Vec<_> = frames
            .iter()
            .map(|frame| frame["type"].as_str().unwrap_or(""))
            .collect();
        assert_eq!(
            kinds,
            [
                "message_start",
                "content_block_start",
                "content_block_delta",
                "content_block_stop",
                "message_delta",
                "message_stop"
            ]
        );
        assert_eq!(frames[4]["delta"]["stop_reason"], reason);
        assert_eq!(
            frames[4]["usage"],
            json!({"input_tokens": 6, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 4, "output_tokens": 7})
        );
    }
}

// maximhq/bifrost#3441: blocks of streamed calls overlapped, and some had no end.
#[test]
fn parts_that_alternate_are_written_one_after_the_other() {
    let start = |index| ChatEvent::PartStart {
        index,
        part: PartStart::ToolCall {
            id: format!("call_{index}"),
            name: "t".to_owned(),
            custom: false,
        },
    };
    let more = |index, text: &str| ChatEvent::Delta {
        index,
        delta: Delta::Arguments(text.to_owned()),
    };
    let events = vec![
        start(0),
        more(0, "{\"a\""),
        start(1),
        more(1, "{\"b\":"),
        more(0, ":1}"),
        start(2),
        more(1, "2}"),
        ChatEvent::PartStop { index: 2 },
        ChatEvent::PartStop { index: 0 },
        ChatEvent::PartStop { index: 1 },
        ChatEvent::Stop(Stop::ToolCalls),
    ];
    let stream = written(events);
    let mut open = None;
    for frame in frames(&stream) {
        match frame["type"].as_str().unwrap_or_default() {
            "content_block_start" => assert_eq!(open.replace(frame["index"].clone()), None),
            "content_block_delta" => assert_eq!(open.as_ref(), Some(&frame["index"])),
            "content_block_stop" => assert_eq!(open.take().as_ref(), Some(&frame["index"])),
            _ => {}
        }
    }
    let answer = collected(decoded(&parted(&stream, 0)));
    let arguments = answer.parts.iter().map(|part| match part {
        Part::ToolCall(call) => call.arguments.as_str(),
        _ => "",
    });
    assert_eq!(
        arguments.collect::<Vec<_>>(),
        ["{\"a\":1}", "{\"b\":2}", "{}"]
    );
}

// agentgateway/agentgateway#3002: a call without arguments came back as an empty text, which Claude refuses.
#[test]
fn calls_without_arguments_have_an_empty_object() {
    let events = decoded(&parted(&text("anthropic/streams/tools.sse"), 0));
    let Some(Part::ToolCall(call)) = collected(events).parts.pop() else {
        panic!("no call");
    };
    assert_eq!(call.arguments, "{}");
    let request = asks(vec![Turn::new(
        Role::Assistant,
        vec![Part::ToolCall(self::call("a", ""))],
    )]);
    let body = encoded(&request, "claude-sonnet-4-5").body;
    assert_eq!(body["messages"][0]["content"][0]["input"], json!({}));
}

#[test]
fn an_answer_with_calls_never_ends_as_if_there_were_none() {
    let answer = Answer {
        parts: vec![Part::ToolCall(call("a", "{}"))],
        stop: Some(Stop::End),
        ..Answer::default()
    };
    assert_eq!(
        encode_answer(&answer, &told()).body["stop_reason"],
        "tool_use"
    );
    assert!(written(answer.events()).contains("\"stop_reason\":\"tool_use\""));
    let none = Answer {
        parts: vec![Part::text("x")],
        stop: Some(Stop::ToolCalls),
        ..Answer::default()
    };
    assert_eq!(
        encode_answer(&none, &told()).body["stop_reason"],
        "end_turn"
    );
}

/// The blocks that a client puts together from a stream.
fn accumulated(stream: &str) -> Value {
    let mut blocks: Vec<Value> = Vec::new();
    let mut input = String::new();
    for mut frame in frames(stream) {
        let delta = frame["delta"].take();
        let add = |block: &mut Value, name: &str| {
            let before = block[name].as_str().unwrap_or_default().to_owned();
            block[name] = Value::from(before + delta[name].as_str().unwrap_or_default());
        };
        match frame["type"].as_str().unwrap_or_default() {
            "content_block_start" => {
                assert_eq!(frame["index"], blocks.len());
                input.clear();
                blocks.push(frame["content_block"].take());
            }
            "content_block_delta" => {
                let block = blocks.last_mut().expect("a block");
                match delta["type"].as_str().unwrap_or_default() {
                    "text_delta" => add(block, "text"),
                    "thinking_delta" => add(block, "thinking"),
                    "signature_delta" => add(block, "signature"),
                    "citations_delta" => block["citations"] = json!([delta["citation"]]),
                    _ => input.push_str(delta["partial_json"].as_str().expect("JSON")),
                }
                if !input.is_empty() {
                    block["input"] = serde_json::from_str(&input).unwrap_or_default();
                }
            }
            _ => {}
        }
    }
    Value::from(blocks)
}

/// What a client sends back of what it was shown, whole or piece by piece.
fn replayed(answer: &Answer) -> Vec<Part> {
    let whole = encode_answer(answer, &told()).body["content"].clone();
    assert_eq!(accumulated(&written(answer.events())), whole);
    let body = json!({"model": "m", "max_tokens": 1, "messages": [{"role": "assistant", "content": whole}]});
    let request = decode_request(body).expect("a request");
    request
        .turns
        .into_iter()
        .flat_map(|turn| turn.parts)
        .collect()
}

// onyx-dot-app/onyx#13691: thoughts were dropped on their way to callers and back.
#[test]
fn what_others_signed_travels_through_a_caller_and_back() {
    let parts = vec![
        Part::Thought(Thought {
            text: "hm".to_owned(),
            signature: Some(signed(Dialect::Gemini, "ge:m+/==")),
            ..Thought::default()
        }),
        Part::Thought(Thought {
            text: "in short".to_owned(),
            summary: true,
            sealed: Some(signed(Dialect::OpenaiResponses, "gAAAA==")),
            id: Some("rs_1".to_owned()),
            ..Thought::default()
        }),
        Part::Thought(Thought {
            sealed: Some(signed(Dialect::OpenaiResponses, "only")),
            id: Some("rs_2".to_owned()),
            ..Thought::default()
        }),
        Part::Thought(Thought {
            text: "unsigned".to_owned(),
            ..Thought::default()
        }),
        Part::ToolCall(ToolCall {
            signature: Some(signed(Dialect::Gemini, "of the call")),
            ..call("a", "{\"x\":1}")
        }),
        Part::ToolCall(call("b", "{}")),
    ];
    let answer = Answer {
        parts: parts.clone(),
        ..Answer::default()
    };
    assert_eq!(replayed(&answer), parts);
    let content = encode_answer(&answer, &told()).body["content"].clone();
    assert_eq!(content[0]["signature"], "causeway:gemini:ge:m+/==");
    assert_eq!(
        content[4],
        json!({"type": "thinking", "thinking": "", "signature": "causeway-call:gemini:of the call"})
    );
    assert_eq!(content[5]["type"], "tool_use");
    // None of it is sent to Anthropic.
    let request = asks(vec![
        says(Role::User, "x"),
        Turn::new(Role::Assistant, parts),
    ]);
    let encoded = encoded(&request, "claude-opus-4-7");
    let kinds: Vec<_> = encoded.body["messages"][1]["content"]
        .as_array()
        .expect("blocks")
        .iter()
        .map(|block| block["type"].clone())
        .collect();
    assert_eq!(kinds, ["tool_use", "tool_use"]);
    assert_eq!(dropped(&encoded).len(), 5);
}

// langgenius/dify#41092: signed thoughts were lost from one round of tools to the next.
#[test]
fn signed_thoughts_are_passed_on_byte_for_byte() {
    let fixture = json("anthropic/requests/thoughts.json");
    let mut request = decode_request(fixture.clone()).expect("a request");
    // Also where the request is no longer as it came.
    request.rest = Rest::default();
    let body = encoded(&request, "claude-sonnet-4-5").body;
    assert_eq!(body["messages"][1], fixture["messages"][1]);
}

// higress-group/higress#3517: results of tools went to Claude in a role that it does not know.
#[test]
fn turns_are_joined_and_results_come_first() {
    let mut late = says(Role::User, "And?");
    late.name = Some("Ann".to_owned());
    let request = asks(vec![
        says(Role::System, "Be brief."),
        says(Role::User, "What time is it?"),
        Turn::new(
            Role::Assistant,
            vec![
                Part::text(""),
                Part::ToolCall(call("functions.get_time:0", "{}")),
            ],
        ),
        late,
        Turn::new(Role::Assistant, vec![Part::text(" ")]),
        says(Role::System, "Now shout."),
        Turn::new(Role::User, vec![result("functions.get_time:0", "noon")]),
    ]);
    let encoded = encoded(&request, "claude-sonnet-4-5");
    assert_eq!(encoded.body["system"], "Be brief.");
    assert_eq!(
        encoded.body["messages"],
        json!([
            {"role": "user", "content": "What time is it?"},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "functions_2eget_time_3a0", "name": "get_time", "input": {}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "functions_2eget_time_3a0", "content": "noon"},
                {"type": "text", "text": "And?"},
                {"type": "text", "text": "<system>\nNow shout.\n</system>"}]},
        ])
    );
    assert_eq!(dropped(&encoded), ["messages[3].name", "messages[5]"]);
    let only = asks(vec![says(Role::System, "Say hello.")]);
    let only = self::encoded(&only, "claude-sonnet-4-5");
    assert_eq!(only.body["messages"][0]["role"], "user");
    assert_eq!(dropped(&only), ["system"]);
}

fn thinks(effort: Option<&str>, budget_tokens: Option<u64>) -> ChatRequest {
    ChatRequest {
        reasoning: Some(Reasoning {
            effort: effort.map(ToOwned::to_owned),
            budget_tokens,
            shown: None,
        }),
        ..asks(vec![says(Role::User, "x")])
    }
}

#[test]
fn thinking_is_asked_for_as_the_model_takes_it() {
    // Model, effort, budget and limit asked for; thinking, effort and limit said; what is named as dropped.
    let table = json!([
        ["claude-sonnet-4-5", "high", null, 10_000, {"type": "enabled", "budget_tokens": 8000}, null, 10_000, []],
        ["claude-opus-4-7", "high", null, 10_000, {"type": "adaptive"}, "high", 10_000, []],
        ["claude-opus-4-7", "minimal", null, null, {"type": "adaptive"}, "low", 32_000, ["reasoning.effort"]],
        ["claude-opus-4-7", "odd", null, null, {"type": "adaptive"}, null, 32_000, ["reasoning.effort"]],
        ["claude-opus-4-6", "xhigh", null, null, {"type": "adaptive"}, "high", 32_000, ["reasoning.effort"]],
        ["claude-opus-4-6", "none", null, null, {"type": "disabled"}, null, 32_000, []],
        ["claude-sonnet-4-6", null, 2000, null, {"type": "enabled", "budget_tokens": 2000}, null, 32_000, []],
        ["claude-3-5-haiku-20241022", "none", null, null, null, null, 8192, []],
        ["claude-3-5-haiku-20241022", "high", null, null, null, null, 8192, ["reasoning"]],
        ["claude-sonnet-4-5", "high", null, null, {"type": "enabled", "budget_tokens": 13_040}, null, 32_000, []],
        ["claude-sonnet-4-5", null, 40_000, null, {"type": "enabled", "budget_tokens": 40_000}, null, 44_096, []],
        ["claude-opus-5", null, 2000, null, {"type": "adaptive"}, "low", 32_000, ["reasoning.budget_tokens"]],
        ["claude-sonnet-4-5", null, 50_000, 2000, {"type": "enabled", "budget_tokens": 1999}, null, 2000,
            ["reasoning.budget_tokens"]],
        ["claude-sonnet-4-5", null, 50_000, 1000, null, null, 1000, ["reasoning"]],
    ]);
    for row in table.as_array().expect("rows") {
        let mut request = thinks(row[1].as_str(), row[2].as_u64());
        request.sampling.max_output_tokens = row[3].as_u64();
        let encoded = encoded(&request, row[0].as_str().expect("a model"));
        let said = &encoded.body;
        let effort = &said["output_config"]["effort"];
        let said = json!([
            said["thinking"],
            effort,
            said["max_tokens"],
            dropped(&encoded)
        ]);
        assert_eq!(said, json!(row.as_array().expect("a row")[4..]), "{row}");
    }
}

#[test]
fn what_does_not_go_with_thinking_is_left_out_and_named() {
    let mut request = thinks(Some("low"), None);
    request.sampling.max_output_tokens = Some(8000);
    request.sampling.temperature = Some(0.2);
    request.sampling.top_p = Some(0.5);
    request.sampling.top_k = Some(3);
    request.tools = vec![tool("t")];
    let encoded = encoded(&request, "claude-sonnet-4-5");
    assert_eq!(encoded.body["temperature"], Value::Null);
    assert_eq!(
        dropped(&encoded),
        ["sampling.temperature", "sampling.top_p", "sampling.top_k"]
    );
    // A tool that has to be called matters more than thinking.
    request.tool_choice = Some(ToolChoice::Named("t".to_owned()));
    let forced = self::encoded(&request, "claude-sonnet-4-5");
    assert_eq!(forced.body["thinking"], Value::Null);
    assert_eq!(
        forced.body["tool_choice"],
        json!({"type": "tool", "name": "t"})
    );
    assert_eq!(forced.body["temperature"], 0.2);
    assert_eq!(dropped(&forced), ["reasoning", "sampling.top_p"]);
    let newer = self::encoded(&request, "claude-opus-4-8");
    assert_eq!(
        dropped(&newer),
        [
            "reasoning",
            "sampling.temperature",
            "sampling.top_p",
            "sampling.top_k"
        ]
    );
}

#[test]
fn a_model_with_a_budget_does_not_think_after_calls_whose_thought_is_gone() {
    let mut request = thinks(Some("high"), None);
    request.sampling.max_output_tokens = Some(9000);
    request.turns.extend([
        Turn::new(Role::Assistant, vec![Part::ToolCall(call("a", "{}"))]),
        Turn::new(Role::User, vec![result("a", "noon")]),
    ]);
    let gone = encoded(&request, "claude-sonnet-4-5");
    assert_eq!(gone.body["thinking"], Value::Null);
    assert_eq!(dropped(&gone), ["reasoning"]);
    let adaptive = encoded(&request, "claude-opus-4-7");
    assert_eq!(adaptive.body["thinking"]["type"], "adaptive");
    let thought = Thought {
        signature: Some(signed(Dialect::Anthropic, "sig")),
        ..Thought::default()
    };
    request.turns[1].parts.insert(0, Part::Thought(thought));
    let there = encoded(&request, "claude-sonnet-4-5");
    assert_eq!(there.body["thinking"]["type"], "enabled");
    assert!(there.dropped.is_empty());
    let small = TargetModel {
        max_output_tokens: Some(5000),
        ..model("claude-sonnet-4-5")
    };
    let small = encode_request(&request, &small).expect("a request");
    assert_eq!(small.body["max_tokens"], 5000);
    assert_eq!(dropped(&small), ["sampling.max_output_tokens"]);
}

#[test]
fn hints_are_left_out_and_named() {
    let mut request = asks(vec![says(Role::User, "x")]);
    request.sampling.seed = Some(1);
    request.sampling.frequency_penalty = Some(0.5);
    request.sampling.temperature = Some(1.7);
    request.sampling.stop = vec!["\n".to_owned(), "END".to_owned()];
    request.cache_key = Some("k".to_owned());
    request.user = Some("ann".to_owned());
    request.parallel_tool_calls = Some(false);
    request.tools = vec![tool("t")];
    request.rest.fields.insert("store".to_owned(), json!(true));
    let encoded = encoded(&request, "claude-sonnet-4-5");
    assert_eq!(
        dropped(&encoded),
        [
            "store",
            "sampling.frequency_penalty",
            "sampling.seed",
            "sampling.stop",
            "sampling.temperature",
            "cache_key"
        ]
    );
    assert_eq!(encoded.body["temperature"], 1.0);
    assert_eq!(encoded.body["stop_sequences"], json!(["END"]));
    assert_eq!(encoded.body["metadata"], json!({"user_id": "ann"}));
    assert_eq!(
        encoded.body["tool_choice"],
        json!({"type": "auto", "disable_parallel_tool_use": true})
    );
}

#[test]
fn what_an_answer_depends_on_is_refused() {
    let refused = |change: fn(&mut ChatRequest)| {
        let mut request = asks(vec![says(Role::User, "x")]);
        change(&mut request);
        encode_request(&request, &model("claude-opus-4-7"))
            .expect_err("a fault")
            .field
            .expect("a field")
    };
    assert_eq!(
        refused(|r| r.sampling.candidates = Some(2)),
        "sampling.candidates"
    );
    assert_eq!(refused(|r| r.sampling.logprobs = true), "sampling.logprobs");
    assert_eq!(
        refused(|r| drop(
            r.rest
                .fields
                .insert("modalities".to_owned(), json!(["text", "audio"]))
        )),
        "modalities"
    );
    assert_eq!(
        refused(|r| drop(
            r.rest
                .fields
                .insert("previous_response_id".to_owned(), json!("resp_1"))
        )),
        "previous_response_id"
    );
    assert_eq!(
        refused(|r| r.turns[0].parts.push(Part::Image(Image {
            source: Source::File {
                dialect: Dialect::OpenaiChat,
                id: "f".to_owned()
            },
            detail: None,
            cache: None,
        }))),
        "messages[0].content[1]"
    );
    assert_eq!(
        refused(|r| r.turns[0].parts.push(Part::Image(Image {
            source: Source::Inline {
                media_type: "image/tiff".to_owned(),
                data: "x".to_owned()
            },
            detail: None,
            cache: Some(CacheMark::OneHour),
        }))),
        "messages[0].content[1]"
    );
}

#[test]
fn a_format_is_held_to_where_the_model_can_and_told_where_not() {
    let schema = json!({"type": "object", "properties": {
        "age": {"type": "integer", "minimum": 0, "description": "In years."},
        "minimum": {"type": "string"}}});
    let mut request = asks(vec![says(Role::User, "x")]);
    request.format = Some(Format::Schema {
        name: None,
        description: None,
        schema,
        strict: Some(true),
    });
    let held = encoded(&request, "claude-sonnet-4-5");
    assert_eq!(
        held.body["output_config"]["format"]["schema"],
        json!({"type": "object", "properties": {
        "age": {"type": "integer", "description": "In years.\n\n{minimum: 0}"},
        "minimum": {"type": "string"}}, "additionalProperties": false})
    );
    assert_eq!(dropped(&held), ["format.schema.minimum"]);
    let told = encoded(&request, "claude-3-5-haiku-20241022");
    assert!(
        told.body["system"]
            .as_str()
            .expect("system")
            .contains("\"age\"")
    );
    assert_eq!(
        (dropped(&told), told.body.get("output_config")),
        (vec!["format"], None)
    );
    request.format = Some(Format::Json);
    assert_eq!(dropped(&encoded(&request, "claude-opus-4-7")), ["format"]);
}

#[test]
fn arguments_that_were_cut_do_not_wedge_a_conversation() {
    let request = asks(vec![Turn::new(
        Role::Assistant,
        vec![Part::ToolCall(call("a", "{\"x\": \"unfin"))],
    )]);
    let encoded = encoded(&request, "claude-sonnet-4-5");
    assert_eq!(
        encoded.body["messages"][0]["content"][0]["input"],
        json!({"arguments": "{\"x\": \"unfin"})
    );
    assert_eq!(dropped(&encoded), ["messages[0].content[0].arguments"]);
}

#[test]
fn citations_of_others_are_shown_where_they_have_an_address() {
    let citation = Citation {
        url: Some("https://example.com".to_owned()),
        title: Some("Example".to_owned()),
        quote: None,
        span: Some((3, 9)),
        whole: None,
    };
    let answer = Answer {
        parts: vec![Part::Text(Text {
            text: "It is so.".to_owned(),
            citations: vec![citation.clone()],
            cache: None,
        })],
        ..Answer::default()
    };
    assert_eq!(replayed(&answer), answer.parts);
    let request = asks(vec![Turn::new(Role::Assistant, answer.parts)]);
    let encoded = encoded(&request, "claude-sonnet-4-5");
    assert_eq!(dropped(&encoded), ["messages[0].content[0].citations"]);
    assert_eq!(encoded.body["messages"][0]["content"], "It is so.");
}

#[test]
fn streams_of_sloppy_providers_are_understood() {
    // No start, no type in the data, a block without its beginning or end, no `message_stop`.
    let stream = "event: content_block_delta\ndata: {\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\n\
        data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"name\":\"t\",\"input\":{\"a\":1}}}\n\n\
        data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"input_tokens\":0,\"output_tokens\":3}}\n\n\
        data: [DONE]\n\n";
    let answer = collected(decoded(&parted(stream, 0)));
    assert_eq!(answer.parts.len(), 2);
    assert!(matches!(&answer.parts[1], Part::ToolCall(call) if call.arguments == "{\"a\":1}"));
    assert_eq!(answer.stop, Some(Stop::ToolCalls));
    let answer = decode_answer(
        json!({"content": [{"type": "tool_use", "name": "t", "input": ""}], "stop_reason": ""}),
    );
    let answer = answer.expect("an answer");
    assert!(matches!(&answer.parts[0], Part::ToolCall(call) if call.arguments == "{}"));
    assert_eq!(answer.stop, None);
    let error = decode_answer(
        json!({"type": "error", "error": {"type": "overloaded_error", "message": "x"}}),
    );
    assert_eq!(error.expect_err("a fault").class, FaultClass::Overloaded);
    assert_eq!(
        decode_answer(json!({"content": 5}))
            .expect_err("a fault")
            .class,
        FaultClass::Upstream
    );
}

#[test]
fn tokens_are_counted_without_a_limit_of_the_answer() {
    let body = json!({"model": "claude-sonnet-4-5", "system": "S", "messages": [{"role": "user", "content": "x"}], "tools": [{"name": "t", "input_schema": {"type": "object", "properties": {}}}]});
    let request = decode_count_tokens(body.clone()).expect("a request");
    let encoded = encode_count_tokens(&request, &model("claude-sonnet-4-5")).expect("a body");
    assert_eq!(encoded.body, body);
    assert_eq!(decode_token_count(encode_token_count(7)), Ok(7));
    assert_eq!(
        decode_token_count(json!({})).expect_err("a fault").class,
        FaultClass::Upstream
    );
}

/// Any JSON, made mostly of the words of the dialect so that it gets somewhere.
fn arbitrary() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "type",
        "text",
        "role",
        "user",
        "assistant",
        "content",
        "messages",
        "model",
        "max_tokens",
        "tool_use",
        "tool_result",
        "thinking",
        "signature",
        "source",
        "base64",
        "usage",
        "delta",
        "index",
        "content_block",
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "error",
        "input",
        "id",
        "name",
        "causeway:gemini:x",
        "causeway+x",
        "causeway-call:gemini:x",
        "thinking_delta",
        "input_json_delta",
        "system",
        "tools",
        "output_config",
        "stop_reason",
        "enabled",
        "image",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..6).prop_map(|fields| fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    })
}

proptest! {
    #[test]
    fn arbitrary_json_never_panics(values in prop::collection::vec(arbitrary(), 1..6), status in 100_u16..600) {
        let mut decoder = StreamDecoder::default();
        let mut encoder = StreamEncoder::new(told());
        let mut out = Vec::new();
        for value in values {
            let mut body = json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": value}]});
            for request in [decode_request(value.clone()), decode_request(body.clone())].into_iter().flatten() {
                let _ = encode_request(&request, &model("claude-sonnet-4-5"));
            }
            for (name, part) in value.as_object().into_iter().flatten() {
                body[name] = part.clone();
            }
            let _ = decode_request(body.clone());
            if let Ok(answer) = decode_answer(body) {
                encode_answer(&answer, &told());
            }
            let _ = decode_answer(value.clone());
            decode_error(status, value.to_string().as_bytes());
            let event = Event { data: value.to_string(), ..Event::default() };
            for event in decoder.push(&event) {
                encoder.push(event, &mut out);
            }
        }
        for event in decoder.finish() {
            encoder.push(event, &mut out);
        }
        encoder.finish(&mut out);
    }
}
