//! Converse of Amazon Bedrock.

#![expect(
    clippy::unwrap_used,
    reason = "in a test, a failed unwrap is a failed test"
)]

use causeway::events::Event;
use causeway::llm::answer::{Answer, ChatEvent, Collector, Stop};
use causeway::llm::chat::{
    CacheMark, ChatRequest, Document, Function, Image, Opaque, Part, Reasoning, Role, Signature,
    Source, Text, Thought, Tool, ToolCall, ToolResult, Turn,
};
use causeway::llm::dialect::bedrock::{
    Frames, StreamDecoder, decode_answer, decode_error, encode_request,
};
use causeway::llm::dialect::{Dialect, OwnTools, TargetModel, Told, anthropic, openai_chat};
use causeway::llm::fault::FaultClass;
use causeway::llm::usage::Usage;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{json, parted, text};

const CLAUDE: &str = "anthropic.claude-sonnet-4-20250514-v1:0";

fn files(kind: &str) -> Vec<String> {
    let folder = format!(
        "{}/tests/data/llm/bedrock/{kind}",
        env!("CARGO_MANIFEST_DIR")
    );
    let entries = std::fs::read_dir(&folder).expect(&folder);
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(!names.is_empty());
    names
}

fn model(name: &str) -> TargetModel {
    TargetModel {
        name: name.to_owned(),
        max_output_tokens: None,
    }
}

fn answer(name: &str) -> Answer {
    decode_answer(json(&format!("bedrock/answers/{name}.json"))).expect(name)
}

/// A turn of a user, as a model is asked.
fn written(parts: Vec<Part>, model_name: &str) -> (Value, Vec<String>) {
    asked(
        ChatRequest {
            turns: vec![Turn::new(Role::User, parts)],
            ..ChatRequest::default()
        },
        model_name,
    )
}

fn asked(request: ChatRequest, model_name: &str) -> (Value, Vec<String>) {
    let encoded = encode_request(&request, &model(model_name)).unwrap();
    let dropped = encoded.dropped.into_iter();
    (encoded.body, dropped.map(|dropped| dropped.field).collect())
}

fn refused(request: &ChatRequest) -> String {
    let fault = encode_request(request, &model(CLAUDE)).unwrap_err();
    assert_eq!(fault.class, FaultClass::Invalid);
    fault.field.unwrap()
}

fn signature(dialect: Dialect, value: &str) -> Signature {
    Signature {
        dialect,
        value: value.to_owned(),
    }
}

#[test]
fn requests_are_written_as_converse_wants_them() {
    for name in files("requests") {
        let file = json(&format!("bedrock/requests/{name}"));
        let request = openai_chat::decode_request(file["asked"].clone()).expect(&name);
        let target = model(file["model"].as_str().unwrap());
        let encoded = encode_request(&request, &target).expect(&name);
        let dropped: Vec<Value> = encoded
            .dropped
            .iter()
            .map(|dropped| json!([dropped.field, dropped.reason]))
            .collect();
        assert_eq!(encoded.body, file["written"], "{name}");
        assert_eq!(Value::from(dropped), file["dropped"], "{name}");
    }
}

/// Frames as AWS writes them: headers of every type around those that matter.
fn frames(events: &[Event]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for event in events {
        let name = event.name.as_deref().unwrap();
        let mut headers = Vec::new();
        let mut header = |name: &str, kind: u8, value: &[u8]| {
            headers.push(u8::try_from(name.len()).unwrap());
            headers.extend(name.as_bytes());
            headers.push(kind);
            if kind == 6 || kind == 7 {
                headers.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
            }
            headers.extend(value);
        };
        for (kind, length) in [
            (0, 0),
            (1, 0),
            (2, 1),
            (3, 2),
            (4, 4),
            (5, 8),
            (8, 8),
            (9, 16),
            (6, 3),
        ] {
            header("x", kind, &[0xff_u8; 16][..length]);
        }
        match name.strip_prefix("exception:") {
            Some(exception) => {
                header(":exception-type", 7, exception.as_bytes());
                header(":message-type", 7, b"exception");
            }
            None => {
                header(":event-type", 7, name.as_bytes());
                header(":content-type", 7, b"application/json");
                header(":message-type", 7, b"event");
            }
        }
        bytes.extend(frame(&headers, event.data.as_bytes()));
    }
    bytes
}

fn frame(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let total = u32::try_from(16 + headers.len() + payload.len()).unwrap();
    let mut frame = total.to_be_bytes().to_vec();
    frame.extend(u32::try_from(headers.len()).unwrap().to_be_bytes());
    frame.extend(crc32fast::hash(&frame).to_be_bytes());
    frame.extend(headers);
    frame.extend(payload);
    frame.extend(crc32fast::hash(&frame).to_be_bytes());
    frame
}

fn decoded(events: &[Event]) -> Vec<ChatEvent> {
    let mut decoder = StreamDecoder::default();
    let mut out: Vec<ChatEvent> = events
        .iter()
        .flat_map(|event| decoder.push(event))
        .collect();
    out.extend(decoder.finish());
    out
}

fn collected(events: Vec<ChatEvent>) -> Answer {
    let mut collector = Collector::default();
    for event in events {
        collector.push(event).unwrap();
    }
    collector.finish()
}

fn stream(name: &str) -> Vec<Event> {
    parted(&text(&format!("bedrock/streams/{name}")), 0)
}

// agentgateway/agentgateway#2971: parts of Bedrock's streams were told with the wrong index.
#[test]
fn a_stream_builds_the_whole_answer_wherever_it_is_cut() {
    for name in files("streams") {
        let events = stream(&name);
        let bytes = frames(&events);
        for at in 0..=bytes.len() {
            let mut frames = Frames::default();
            let mut read = frames.push(&bytes[..at]).expect(&name);
            read.extend(frames.push(&bytes[at..]).expect(&name));
            assert_eq!(read, events, "{name} cut at {at}");
        }
        let events = decoded(&events);
        well_formed(&events, &name);
        let name = name.trim_end_matches(".sse");
        assert_eq!(collected(events), answer(name), "{name}");
    }
}

/// `Start (PartStart (Delta)* PartStop)* Usage* Stop`, parts in their order.
fn well_formed(events: &[ChatEvent], name: &str) {
    let (mut open, mut next, mut stopped) = (Vec::new(), 0, false);
    assert!(matches!(events[0], ChatEvent::Start { .. }), "{name}");
    for event in &events[1..] {
        assert!(!stopped, "{name}: {event:?} after the end");
        match event {
            ChatEvent::PartStart { index, .. } => {
                assert_eq!(*index, next, "{name}");
                next += 1;
                open.push(*index);
            }
            ChatEvent::Delta { index, .. } => assert!(open.contains(index), "{name}: {event:?}"),
            ChatEvent::PartStop { index } => {
                assert!(open.contains(index), "{name}");
                open.retain(|open| open != index);
            }
            ChatEvent::Stop(_) => stopped = true,
            ChatEvent::Usage(_) => {}
            other => assert_eq!(None, Some(other), "{name}"),
        }
    }
    assert!(stopped && open.is_empty(), "{name}");
}

#[test]
fn answers_are_read() {
    let answers: Vec<(String, Answer)> = files("answers")
        .into_iter()
        .map(|name| (name.clone(), answer(name.trim_end_matches(".json"))))
        .collect();
    insta::assert_debug_snapshot!("bedrock_answers", answers);
}

#[test]
fn usage_counts_cached_tokens_once_and_within_the_prompt() {
    let usage = answer("cached").usage.unwrap();
    let expected = Usage {
        input: 4403,
        cached: 2000,
        cache_write: 2000,
        cache_write_hour: 387,
        output: 9,
        ..Usage::default()
    };
    assert_eq!(usage, expected);
    assert_eq!(usage.uncached(), 16);
}

/// Messages of the test suite of botocore, and what is wrong with bytes.
#[test]
fn frames_are_checked() {
    for known in [
        "000000100000000005c248eb7d98c8ff",
        "000000170000000729860158046279746502ffc2f869dc",
        "0000001900000009710e923e0573686f727403ffffb27cb6cc",
    ] {
        let bytes = hex::decode(known).unwrap();
        assert_eq!(Frames::default().push(&bytes).unwrap(), [], "{known}");
    }
    let good = frames(&stream("text.sse"));
    for at in 0..good.len().min(400) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        let mut frames = Frames::default();
        let first = frames.push(&bad);
        let all = first.is_ok_and(|events| events.len() == stream("text.sse").len());
        assert!(!all, "a changed byte at {at} is not seen");
    }
    let mut frames = Frames::default();
    let fault = frames.push(br#"{"message": "no stream"}"#).unwrap_err();
    assert_eq!(fault.class, FaultClass::Upstream);
    assert_eq!(frames.push(&good).unwrap_err(), fault);
    let mut long = 0x0100_0001_u32.to_be_bytes().to_vec();
    long.extend([0; 4]);
    long.extend(crc32fast::hash(&long).to_be_bytes());
    assert!(
        Frames::default()
            .push(&long)
            .unwrap_err()
            .message
            .contains("16 MiB")
    );
    for broken in [&[4_u8, b'n'][..], &[1, b'n', 10], &[1, b'n', 7, 0, 9, b'x']] {
        assert!(
            Frames::default().push(&frame(broken, b"{}")).is_err(),
            "{broken:?}"
        );
    }
}

#[test]
fn events_before_a_broken_frame_are_not_lost() {
    let events = stream("text.sse");
    let mut bytes = frames(&events);
    bytes.extend([0xff; 16]);
    let mut frames = Frames::default();
    assert_eq!(frames.push(&bytes).unwrap(), events);
    assert!(frames.push(b"").is_err());
}

#[test]
fn an_exception_in_a_stream_is_a_fault_in_place_of_the_rest() {
    let mut events = stream("text.sse");
    events.truncate(3);
    let broken = decoded(&events);
    let Some(ChatEvent::Fault(fault)) = broken.last() else {
        panic!("{broken:?}");
    };
    assert_eq!(fault.class, FaultClass::Unreachable);
    events.push(Event {
        name: Some("exception:throttlingException".to_owned()),
        id: None,
        data: r#"{"message":"Too many requests, please wait before trying again."}"#.to_owned(),
    });
    let mut read = Frames::default();
    let events = read.push(&frames(&events)).unwrap();
    let out = decoded(&events);
    let Some(ChatEvent::Fault(fault)) = out.last() else {
        panic!("{out:?}");
    };
    assert_eq!(fault.class, FaultClass::RateLimited);
    assert_eq!(fault.code.as_deref(), Some("throttlingException"));
    assert_eq!(
        out.iter()
            .filter(|event| matches!(event, ChatEvent::Fault(_)))
            .count(),
        1
    );
}

#[test]
fn a_stream_without_its_usage_still_ends() {
    let mut events = stream("text.sse");
    events.pop();
    let answer = collected(decoded(&events));
    assert_eq!((answer.stop, answer.usage), (Some(Stop::End), None));
}

#[test]
fn errors_are_told_apart() {
    let table = json("bedrock/errors.json");
    for row in table["errors"].as_array().unwrap() {
        let (status, body) = (row[0].as_u64().unwrap(), row[1].as_str().unwrap());
        let fault = decode_error(u16::try_from(status).unwrap(), body.as_bytes());
        assert_eq!(format!("{:?}", fault.class), row[2], "{status} {body}");
        assert!(
            !fault.message.is_empty() && !fault.message.contains('<'),
            "{body}"
        );
    }
}

#[test]
fn thoughts_go_back_byte_for_byte_and_only_to_their_maker() {
    for name in ["reasoning", "redacted"] {
        let body = json(&format!("bedrock/answers/{name}.json"));
        let said = Turn::new(Role::Assistant, answer(name).parts);
        let request = ChatRequest {
            turns: vec![said],
            ..ChatRequest::default()
        };
        let (written, dropped) = asked(request, CLAUDE);
        assert_eq!(written["messages"][0], body["output"]["message"], "{name}");
        assert!(dropped.is_empty());
    }
    let thoughts = [
        (Some(signature(Dialect::Gemini, "abc")), None),
        (None, Some(signature(Dialect::OpenaiResponses, "abc"))),
        (None, None),
    ];
    for (signature, sealed) in thoughts {
        let thought = Thought {
            text: "hm".to_owned(),
            signature,
            sealed,
            ..Thought::default()
        };
        let turn = Turn::new(
            Role::Assistant,
            vec![Part::Thought(thought), Part::text("Yes")],
        );
        let request = ChatRequest {
            turns: vec![turn],
            ..ChatRequest::default()
        };
        let (written, dropped) = asked(request, CLAUDE);
        assert_eq!(written["messages"][0]["content"], json!([{"text": "Yes"}]));
        assert_eq!(dropped, ["turns[0].parts[0]"]);
    }
}

/// What a caller of Anthropic or OpenAI sends back of an answer.
fn sent_back(answer: &Answer) -> [ChatRequest; 2] {
    let told = Told {
        model: "house-model".to_owned(),
        request_id: "0a1b".to_owned(),
        now: 0,
        stream_usage: true,
        tools: OwnTools::default(),
    };
    let content = &anthropic::encode_answer(answer, &told).body["content"];
    let message = &openai_chat::encode_answer(answer, &told).body["choices"][0]["message"];
    let user = json!({"role": "user", "content": "Go on"});
    let said = json!({"role": "assistant", "content": content});
    let messages = json!([user, said, user]);
    let messages =
        anthropic::decode_request(json!({"model": "m", "max_tokens": 9, "messages": messages}));
    let chat = json!({"model": "m", "messages": [user, message, user]});
    [
        messages.unwrap(),
        openai_chat::decode_request(chat).unwrap(),
    ]
}

// maximhq/bifrost#6342: thoughts that came back were put together anew, which wedged the conversation.
#[test]
fn signed_thoughts_come_back_through_callers_of_other_dialects() {
    for name in ["reasoning", "redacted"] {
        let body = json(&format!("bedrock/answers/{name}.json"));
        for request in sent_back(&answer(name)) {
            let (written, _) = asked(request, CLAUDE);
            assert_eq!(written["messages"][1], body["output"]["message"], "{name}");
        }
    }
}

#[test]
fn a_signed_thought_without_text_keeps_its_signature() {
    let thought = Thought {
        signature: Some(signature(Dialect::Bedrock, "abc=")),
        ..Thought::default()
    };
    let turn = Turn::new(Role::Assistant, vec![Part::Thought(thought)]);
    let (written, _) = asked(
        ChatRequest {
            turns: vec![turn],
            ..ChatRequest::default()
        },
        CLAUDE,
    );
    let block = json!({"reasoningContent": {"reasoningText": {"text": "", "signature": "abc="}}});
    assert_eq!(written["messages"][0]["content"], json!([block]));
}

#[test]
fn results_of_tools_come_first_in_one_turn_and_say_that_they_failed() {
    let result = |id: &str, is_error| {
        Part::ToolResult(ToolResult {
            id: id.to_owned(),
            name: None,
            parts: vec![Part::text("no such city")],
            is_error,
            cache: None,
        })
    };
    let turns = vec![
        Turn::new(Role::User, vec![Part::text("So?"), result("a", true)]),
        Turn::new(Role::User, vec![result("b", false)]),
    ];
    let request = |model| {
        let request = ChatRequest {
            turns: turns.clone(),
            ..ChatRequest::default()
        };
        asked(request, model).0["messages"].clone()
    };
    let text = json!([{"text": "no such city"}]);
    let content = json!([
        {"toolResult": {"toolUseId": "a", "content": text, "status": "error"}},
        {"toolResult": {"toolUseId": "b", "content": text}},
        {"text": "So?"},
    ]);
    assert_eq!(
        request(CLAUDE),
        json!([{"role": "user", "content": content}])
    );
    let other = request("mistral.mistral-large-2407-v1:0");
    let said = json!([{"text": "The tool failed:"}, {"text": "no such city"}]);
    assert_eq!(
        other[0]["content"][0],
        json!({"toolResult": {"toolUseId": "a", "content": said}})
    );
}

#[test]
fn ids_that_bedrock_refuses_are_the_same_for_a_call_and_its_result() {
    let id = "call/with spaces".repeat(9);
    let turns = vec![
        Turn::new(
            Role::Assistant,
            vec![Part::ToolCall(ToolCall {
                id: id.clone(),
                name: "weather".to_owned(),
                arguments: "{\"city\": \"Par".to_owned(),
                signature: None,
                custom: false,
                cache: None,
            })],
        ),
        Turn::new(
            Role::User,
            vec![Part::ToolResult(ToolResult {
                id,
                name: None,
                parts: Vec::new(),
                is_error: false,
                cache: None,
            })],
        ),
    ];
    let (written, dropped) = asked(
        ChatRequest {
            turns,
            ..ChatRequest::default()
        },
        CLAUDE,
    );
    let call = &written["messages"][0]["content"][0]["toolUse"];
    let result = &written["messages"][1]["content"][0]["toolResult"];
    assert_eq!(call["toolUseId"], result["toolUseId"]);
    assert!(call["toolUseId"].as_str().unwrap().len() <= 64);
    assert_eq!(call["input"], json!({"arguments": "{\"city\": \"Par"}));
    assert_eq!(dropped, ["turns[0].parts[0].arguments"]);
}

#[test]
fn documents_have_different_names_of_allowed_characters_and_a_text_beside_them() {
    let document = |name: Option<&str>| {
        Part::Document(Document {
            source: Source::Plain("hi".to_owned()),
            name: name.map(str::to_owned),
            context: Some("a note".to_owned()),
            citations: true,
            cache: None,
        })
    };
    let names = [
        None,
        Some("John's #1  résumé.pdf"),
        Some("a　b.txt"),
        None,
        Some("分.md"),
        Some(".pdf"),
    ];
    let (written, _) = written(names.map(document).to_vec(), CLAUDE);
    let content = written["messages"][0]["content"].as_array().unwrap();
    let found: Vec<&str> = content
        .iter()
        .filter_map(|block| block.pointer("/document/name")?.as_str())
        .collect();
    let expected = [
        "document",
        "John s 1 resume",
        "a b",
        "document (2)",
        "Fen",
        "document (3)",
    ];
    assert_eq!(found, expected);
    let first = json!({"document": {
        "format": "txt", "name": "document", "source": {"bytes": "aGk="}, "context": "a note",
        "citations": {"enabled": true},
    }});
    assert_eq!(content[0], first);
    assert!(content.last().unwrap().get("text").is_some());
}

#[test]
fn marks_of_the_cache_are_blocks_where_the_model_knows_them() {
    let part = |cache| {
        Part::Text(Text {
            text: "Long".to_owned(),
            cache,
            ..Text::default()
        })
    };
    let request = ChatRequest {
        system: vec![part(Some(CacheMark::OneHour))],
        turns: vec![Turn::new(
            Role::User,
            vec![part(Some(CacheMark::FiveMinutes))],
        )],
        tools: vec![Tool::Function(Function {
            name: "now".to_owned(),
            description: Some(String::new()),
            parameters: None,
            strict: None,
            cache: Some(CacheMark::FiveMinutes),
        })],
        ..ChatRequest::default()
    };
    let (claude, dropped) = asked(request.clone(), CLAUDE);
    let five = json!({"cachePoint": {"type": "default"}});
    assert_eq!(
        claude["system"][1],
        json!({"cachePoint": {"type": "default", "ttl": "1h"}})
    );
    assert_eq!(claude["messages"][0]["content"][1], five);
    assert_eq!(claude["toolConfig"]["tools"][1], five);
    assert!(dropped.is_empty());
    let (nova, dropped) = asked(request.clone(), "amazon.nova-pro-v1:0");
    assert_eq!(nova["system"][1], five);
    assert_eq!(dropped, ["tools[0].cache"]);
    let (llama, dropped) = asked(request, "meta.llama3-3-70b-instruct-v1:0");
    assert_eq!(llama["system"], json!([{"text": "Long"}]));
    assert_eq!(
        dropped,
        [
            "system[0].cache",
            "turns[0].parts[0].cache",
            "tools[0].cache"
        ]
    );
}

#[test]
fn a_budget_for_thinking_is_said_as_the_model_wants_it() {
    let request = |budget| ChatRequest {
        turns: vec![Turn::new(Role::User, vec![Part::text("Hard")])],
        reasoning: Some(Reasoning {
            budget_tokens: Some(budget),
            ..Reasoning::default()
        }),
        ..ChatRequest::default()
    };
    let fields = |budget, model| {
        let (written, dropped) = asked(request(budget), model);
        (
            written["additionalModelRequestFields"].clone(),
            written["outputConfig"].clone(),
            dropped,
        )
    };
    let (thinking, output, dropped) = fields(4096, CLAUDE);
    assert_eq!(
        thinking,
        json!({"thinking": {"type": "enabled", "budget_tokens": 4096}})
    );
    assert!(output.is_null() && dropped.is_empty());
    let (thinking, output, dropped) = fields(4096, "us.anthropic.claude-opus-4-7");
    assert_eq!(thinking, json!({"thinking": {"type": "adaptive"}}));
    assert_eq!(output, json!({"effort": "medium"}));
    assert_eq!(dropped, ["reasoning.budget_tokens"]);
    let (thinking, _, _) = fields(0, CLAUDE);
    assert_eq!(thinking, json!({"thinking": {"type": "disabled"}}));
    let (thinking, _, dropped) = fields(4096, "anthropic.claude-3-haiku-20240307-v1:0");
    assert!(thinking.is_null());
    assert_eq!(dropped, ["reasoning.effort"]);
}

#[test]
fn tools_that_claude_knows_by_type_are_its_own_fields() {
    let tool = |dialect, kind: &str| {
        Tool::Opaque(Opaque {
            dialect,
            kind: kind.to_owned(),
            value: json!({"type": kind, "name": "computer"}),
        })
    };
    let request = |tool| ChatRequest {
        turns: vec![Turn::new(Role::User, vec![Part::text("Click")])],
        tools: vec![tool],
        ..ChatRequest::default()
    };
    let (written, _) = asked(
        request(tool(Dialect::Anthropic, "computer_20250124")),
        CLAUDE,
    );
    let fields = json!({
        "tools": [{"type": "computer_20250124", "name": "computer"}],
        "anthropic_beta": ["computer-use-2025-01-24"],
    });
    assert_eq!(written["additionalModelRequestFields"], fields);
    for (dialect, kind) in [
        (Dialect::Anthropic, "web_search_20250305"),
        (Dialect::Gemini, "googleSearch"),
    ] {
        assert_eq!(refused(&request(tool(dialect, kind))), "tools[0]");
    }
}

#[test]
fn what_the_answer_depends_on_and_cannot_be_said_is_refused() {
    let request = || ChatRequest {
        turns: vec![Turn::new(Role::User, vec![Part::text("Hello")])],
        ..ChatRequest::default()
    };
    let mut several = request();
    several.sampling.candidates = Some(2);
    assert_eq!(refused(&several), "sampling.candidates");
    let mut logprobs = request();
    logprobs.sampling.logprobs = true;
    assert_eq!(refused(&logprobs), "sampling.logprobs");
    let mut choice = request();
    choice.tool_choice = Some(causeway::llm::chat::ToolChoice::Required);
    assert_eq!(refused(&choice), "tool_choice");
    let mut tool = request();
    tool.tools = vec![Tool::Function(Function {
        name: "a.b".to_owned(),
        description: None,
        parameters: None,
        strict: None,
        cache: None,
    })];
    assert_eq!(refused(&tool), "tools[0].name");
    let image = |url: &str| Image {
        source: Source::Url {
            url: url.to_owned(),
            media_type: None,
        },
        detail: None,
        cache: None,
    };
    let mut picture = request();
    picture.turns[0].parts = vec![Part::Image(image("https://example.com/a.png"))];
    assert_eq!(refused(&picture), "turns[0].parts[0]");
    let (stored, _) = written(
        vec![Part::Image(image("s3://bucket/a.png"))],
        "amazon.nova-pro-v1:0",
    );
    let block =
        json!({"image": {"format": "png", "source": {"s3Location": {"uri": "s3://bucket/a.png"}}}});
    assert_eq!(stored["messages"][0]["content"][0], block);
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-zé\\\\\"{}]{0,6}".prop_map(Value::from),
    ];
    let names = prop::sample::select(vec![
        "output",
        "message",
        "content",
        "text",
        "toolUse",
        "toolUseId",
        "name",
        "input",
        "type",
        "image",
        "format",
        "reasoningContent",
        "reasoningText",
        "redactedContent",
        "signature",
        "citationsContent",
        "citations",
        "citation",
        "source",
        "bytes",
        "usage",
        "inputTokens",
        "cacheDetails",
        "ttl",
        "stopReason",
        "start",
        "delta",
        "contentBlockIndex",
        "toolResult",
        "trace",
        "__type",
        "additionalModelResponseFields",
    ]);
    leaf.prop_recursive(6, 48, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..5).prop_map(|fields| fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    })
}

proptest! {
    #[test]
    fn nothing_panics_on_any_json(value in anything(), status in any::<u16>()) {
        let _ = decode_answer(value.clone());
        let _ = decode_answer(json!({"output": {"message": {"content": [value]}}}));
        let _ = decode_error(status, value.to_string().as_bytes());
        let names = ["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata", "exception:x"];
        let mut decoder = StreamDecoder::default();
        for name in names {
            decoder.push(&Event { name: Some(name.to_owned()), id: None, data: value.to_string() });
        }
        decoder.finish();
    }

    #[test]
    fn nothing_panics_on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), headers in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = Frames::default().push(&bytes);
        let _ = Frames::default().push(&frame(&headers, &bytes));
        let _ = decode_error(400, &bytes);
    }
}
