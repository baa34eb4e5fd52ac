//! Cohere Chat v2.

#![expect(
    clippy::unwrap_used,
    reason = "in a test, a failed unwrap is a failed test"
)]

use causeway::events::Event;
use causeway::llm::answer::{Answer, ChatEvent, Collector};
use causeway::llm::chat::{
    Audio, ChatRequest, Document, Part, Role, Signature, Source, Text, Thought, ToolResult, Turn,
};
use causeway::llm::dialect::cohere::{StreamDecoder, decode_answer, decode_error, encode_request};
use causeway::llm::dialect::{Dialect, OwnTools, TargetModel, Told, anthropic, openai_chat};
use causeway::llm::fault::FaultClass;
use causeway::llm::usage::Usage;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{json, parted, text};

const MODEL: &str = "command-a-plus-05-2026";
const PLANNER: &str = "command-a-03-2025";

fn files(kind: &str) -> Vec<String> {
    let folder = format!(
        "{}/tests/data/llm/cohere/{kind}",
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
    decode_answer(json(&format!("cohere/answers/{name}.json"))).expect(name)
}

fn turns(turns: Vec<Turn>) -> ChatRequest {
    ChatRequest {
        turns,
        ..ChatRequest::default()
    }
}

/// The messages and the names of what was left out.
fn asked(request: &ChatRequest, name: &str) -> (Value, Vec<String>) {
    let encoded = encode_request(request, &model(name)).unwrap();
    let dropped = encoded.dropped.into_iter();
    (
        encoded.body["messages"].clone(),
        dropped.map(|dropped| dropped.field).collect(),
    )
}

#[test]
fn requests_are_written_as_cohere_wants_them() {
    for name in files("requests") {
        let file = json(&format!("cohere/requests/{name}"));
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
    parted(&text(&format!("cohere/streams/{name}.sse")), 0)
}

#[test]
fn a_stream_builds_the_whole_answer_wherever_it_is_cut() {
    for file in files("streams") {
        let name = file.trim_end_matches(".sse");
        let bytes = text(&format!("cohere/streams/{file}"));
        let whole = decoded(&stream(name));
        well_formed(&whole, name);
        for at in (0..=bytes.len()).filter(|at| bytes.is_char_boundary(*at)) {
            assert_eq!(parted(&bytes, at), stream(name), "{name} cut at {at}");
        }
        assert_eq!(collected(whole), answer(name), "{name}");
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
    insta::assert_debug_snapshot!("cohere_answers", answers);
}

#[test]
fn usage_is_what_is_billed_or_else_what_there_was() {
    let expected = Usage {
        input: 65,
        output: 63,
        reasoning: 28,
        ..Usage::default()
    };
    assert_eq!(answer("thinking").usage, Some(expected));
    let expected = Usage {
        input: 71,
        cached: 64,
        output: 12,
        reasoning: 3,
        ..Usage::default()
    };
    assert_eq!(answer("tokens_only").usage, Some(expected));
}

#[test]
fn thoughts_and_plans_go_back_to_where_they_came_from() {
    let said = |name: &str| Turn::new(Role::Assistant, answer(name).parts);
    let message = |name: &str| json(&format!("cohere/answers/{name}.json"))["message"].clone();
    let (messages, dropped) = asked(&turns(vec![said("tool")]), PLANNER);
    assert_eq!(messages, json!([message("tool")]));
    assert!(dropped.is_empty());
    let (messages, _) = asked(&turns(vec![said("thinking")]), MODEL);
    assert_eq!(messages, json!([message("thinking")]));
    let (messages, dropped) = asked(&turns(vec![said("tool")]), MODEL);
    assert!(messages[0].get("tool_plan").is_none());
    assert_eq!(dropped, ["turns[0].parts[0]"]);
    let (messages, dropped) = asked(&turns(vec![said("thinking")]), PLANNER);
    assert_eq!(messages[0]["content"], "Two sisters.");
    assert_eq!(dropped, ["turns[0].parts[0]"]);
    let foreign = Part::Thought(Thought {
        text: "hm".to_owned(),
        signature: Some(Signature {
            dialect: Dialect::Anthropic,
            value: "thinking".to_owned(),
        }),
        ..Thought::default()
    });
    let turn = Turn::new(Role::Assistant, vec![foreign, Part::text("Yes")]);
    let (messages, dropped) = asked(&turns(vec![turn]), MODEL);
    assert_eq!(messages, json!([{"role": "assistant", "content": "Yes"}]));
    assert_eq!(dropped, ["turns[0].parts[0]"]);
}

#[test]
fn thoughts_come_back_through_callers_of_other_dialects() {
    let told = Told {
        model: "house-model".to_owned(),
        request_id: "0a1b".to_owned(),
        now: 0,
        stream_usage: true,
        tools: OwnTools::default(),
    };
    for (name, target) in [("tool", PLANNER), ("thinking", MODEL)] {
        let message = &json(&format!("cohere/answers/{name}.json"))["message"];
        let answer = answer(name);
        let content = &anthropic::encode_answer(&answer, &told).body["content"];
        let said = json!([{"role": "assistant", "content": content}]);
        let request =
            anthropic::decode_request(json!({"model": "m", "max_tokens": 9, "messages": said}));
        assert_eq!(asked(&request.unwrap(), target).0[0], *message, "{name}");
        let said = &openai_chat::encode_answer(&answer, &told).body["choices"][0]["message"];
        let request = openai_chat::decode_request(json!({"model": "m", "messages": [said]}));
        assert_eq!(asked(&request.unwrap(), target).0[0], *message, "{name}");
    }
}

#[test]
fn citations_have_each_of_their_sources_and_go_back_once() {
    let parts = answer("citations").parts;
    let Part::Text(text) = &parts[1] else {
        panic!("{parts:?}");
    };
    assert_eq!(text.citations.len(), 3);
    let first = &text.citations[0];
    assert_eq!(first.url.as_deref(), Some("https://example.com/penguins"));
    assert_eq!(first.title.as_deref(), Some("Tall penguins"));
    assert_eq!(first.span, Some((0, 16)));
    let (messages, _) = asked(&turns(vec![Turn::new(Role::Assistant, parts)]), MODEL);
    let sent = &json("cohere/answers/citations.json")["message"]["citations"];
    assert_eq!(messages[0]["citations"], json!([sent[0], sent[2]]));
}

#[test]
fn results_of_tools_are_messages_before_the_user_and_say_that_they_failed() {
    let result = |id: &str, parts, is_error| {
        Part::ToolResult(ToolResult {
            id: id.to_owned(),
            name: None,
            parts,
            is_error,
            cache: None,
        })
    };
    let document = Part::Document(Document {
        source: Source::Plain("Tall.".to_owned()),
        name: Some("facts".to_owned()),
        context: None,
        citations: true,
        cache: None,
    });
    let turn = Turn::new(
        Role::User,
        vec![
            Part::text("So?"),
            result("a", vec![Part::text("no such city")], true),
            result("b", vec![document], false),
            result("c", Vec::new(), false),
        ],
    );
    let (messages, _) = asked(&turns(vec![turn]), MODEL);
    let expected = json!([
        {"role": "tool", "tool_call_id": "a", "content": [
            {"type": "text", "text": "The tool failed:"}, {"type": "text", "text": "no such city"},
        ]},
        {"role": "tool", "tool_call_id": "b", "content": [
            {"type": "document", "document": {"data": {"title": "facts", "text": "Tall."}}},
        ]},
        {"role": "tool", "tool_call_id": "c", "content": "(nothing)"},
        {"role": "user", "content": "So?"},
    ]);
    assert_eq!(messages, expected);
}

#[test]
fn what_the_answer_depends_on_and_cannot_be_said_is_refused() {
    let hello = || turns(vec![Turn::new(Role::User, vec![Part::text("Hello")])]);
    let field = |request: &ChatRequest| encode_request(request, &model(MODEL)).unwrap_err().field;
    let mut request = hello();
    request.sampling.candidates = Some(2);
    assert_eq!(field(&request).as_deref(), Some("sampling.candidates"));
    let mut request = hello();
    (request.sampling.logprobs, request.sampling.top_logprobs) = (true, Some(3));
    assert_eq!(field(&request).as_deref(), Some("sampling.top_logprobs"));
    let mut request = hello();
    request.sampling.stop = vec!["x".to_owned(); 6];
    assert_eq!(field(&request).as_deref(), Some("sampling.stop"));
    let mut request = hello();
    let pdf = || Source::Inline {
        media_type: "application/pdf".to_owned(),
        data: "JVBE".to_owned(),
    };
    request.turns[0].parts = vec![Part::Audio(Audio { source: pdf() })];
    assert_eq!(field(&request).as_deref(), Some("turns[0].parts[0]"));
    request.turns[0].parts = vec![
        Part::Text(Text::default()),
        Part::Document(Document {
            source: pdf(),
            name: None,
            context: None,
            citations: false,
            cache: None,
        }),
    ];
    assert_eq!(field(&request).as_deref(), Some("turns[0].parts[1]"));
}

fn event(data: &Value) -> Event {
    Event {
        data: data.to_string(),
        ..Event::default()
    }
}

#[test]
fn a_stream_that_fails_says_so_once() {
    let mut events = stream("text");
    events.truncate(3);
    let fault = |events: &[Event]| {
        let mut faults = decoded(events).into_iter().filter_map(|event| match event {
            ChatEvent::Fault(fault) => Some(fault),
            _ => None,
        });
        let fault = faults.next().unwrap();
        assert_eq!(faults.next(), None);
        fault
    };
    assert_eq!(fault(&events).class, FaultClass::Unreachable);
    let end = |reason: &str| {
        event(
            &json!({"type": "message-end", "delta": {"finish_reason": reason, "error": "gone wrong"}}),
        )
    };
    let failed = fault(&[events.clone(), vec![end("ERROR")]].concat());
    assert_eq!(
        (failed.class, failed.message.as_str()),
        (FaultClass::Upstream, "gone wrong")
    );
    let failed = fault(&[events.clone(), vec![end("TIMEOUT")]].concat());
    assert_eq!(failed.class, FaultClass::Timeout);
    let error = event(&json!({"message": "too many tokens: size limit exceeded by 11326 tokens."}));
    let failed = fault(&[events, vec![error]].concat());
    assert_eq!(failed.class, FaultClass::ContextLength);
    let body = json!({"id": "x", "finish_reason": "ERROR", "message": {"role": "assistant"}});
    assert_eq!(decode_answer(body).unwrap_err().class, FaultClass::Upstream);
}

/// Deltas of calls in turns, a call without an end, calls in lists, no indexes: all as somebody sends them.
#[test]
fn sloppy_calls_are_understood() {
    let start = |index: u64, id: &str| {
        let call =
            json!({"id": id, "type": "function", "function": {"name": "weather", "arguments": ""}});
        event(
            &json!({"type": "tool-call-start", "index": index, "delta": {"message": {"tool_calls": [call]}}}),
        )
    };
    let more = |index: u64, text: &str| {
        let call = json!({"function": {"arguments": text}});
        event(
            &json!({"type": "tool-call-delta", "index": index, "delta": {"message": {"tool_calls": call}}}),
        )
    };
    let events = [
        start(0, "a"),
        start(1, "b"),
        more(0, "{\"x\":"),
        more(1, "{"),
        more(0, "1}"),
        more(1, "}"),
        event(&json!({"type": "tool-call-end", "index": 1})),
        event(&json!({"type": "message-end", "delta": {}})),
    ];
    let events = decoded(&events);
    well_formed(&events, "sloppy");
    let answer = collected(events);
    let calls: Vec<(&str, &str)> = answer
        .parts
        .iter()
        .map(|part| match part {
            Part::ToolCall(call) => (call.id.as_str(), call.arguments.as_str()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(calls, [("a", "{\"x\":1}"), ("b", "{}")]);
    assert_eq!(answer.stop, Some(causeway::llm::answer::Stop::ToolCalls));
}

#[test]
fn errors_are_told_apart() {
    let table = json("cohere/errors.json");
    for row in table["errors"].as_array().unwrap() {
        let (status, message) = (row[0].as_u64().unwrap(), &row[1]);
        let body = json!({"id": "x", "message": message}).to_string();
        let fault = decode_error(u16::try_from(status).unwrap(), body.as_bytes());
        assert_eq!(format!("{:?}", fault.class), row[2], "{status} {message}");
        assert!(!fault.message.is_empty());
    }
    let body = br#"{"error_type": "TOO_MANY_TOKENS", "message": "too many tokens"}"#;
    assert_eq!(
        decode_error(400, body).code.as_deref(),
        Some("TOO_MANY_TOKENS")
    );
    assert_eq!(
        decode_error(502, b"<html>").message,
        "the provider answered with status 502"
    );
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
        "id",
        "message",
        "content",
        "text",
        "thinking",
        "type",
        "tool_plan",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "citations",
        "sources",
        "document",
        "start",
        "end",
        "content_index",
        "usage",
        "billed_units",
        "tokens",
        "input_tokens",
        "delta",
        "index",
        "finish_reason",
        "logprobs",
        "error",
        "error_type",
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
        let _ = decode_answer(json!({"message": value}));
        let _ = decode_error(status, value.to_string().as_bytes());
        let names = [
            "message-start", "content-start", "content-delta", "content-end", "tool-plan-delta", "tool-call-start",
            "tool-call-delta", "tool-call-end", "citation-start", "citation-end", "error", "message-end",
        ];
        let mut decoder = StreamDecoder::default();
        for name in names {
            decoder.push(&Event { name: Some(name.to_owned()), id: None, data: value.to_string() });
            decoder.push(&event(&json!({"type": name, "index": 0, "delta": {"message": value}})));
        }
        decoder.finish();
    }
}
