//! Streams of OpenAI Responses.

use causeway::events::{Decoder, Event, Framing};
use causeway::llm::answer::{Answer, ChatEvent, Collector, Delta, PartStart, Stop};
use causeway::llm::chat::Part;
use causeway::llm::dialect::openai_responses::{
    StreamDecoder, StreamEncoder, decode_answer, encode_answer,
};
use causeway::llm::fault::{Fault, FaultClass};
use serde_json::{Value, json};

use crate::openai_responses::{files, told};
use crate::{json, parted, text};

pub(crate) fn decoded(events: &[Event]) -> Vec<ChatEvent> {
    let mut decoder = StreamDecoder::default();
    let mut read: Vec<ChatEvent> = events
        .iter()
        .flat_map(|event| decoder.push(event))
        .collect();
    read.extend(decoder.finish());
    read
}

pub(crate) fn encoded(events: Vec<ChatEvent>) -> String {
    let mut encoder = StreamEncoder::new(told());
    let mut out = Vec::new();
    for event in events {
        encoder.push(event, &mut out);
    }
    encoder.finish(&mut out);
    String::from_utf8(out).unwrap()
}

pub(crate) fn collected(events: &[ChatEvent]) -> Result<Answer, Fault> {
    let mut collector = Collector::default();
    for event in events {
        collector.push(event.clone())?;
    }
    Ok(collector.finish())
}

/// The data of the events of a stream, which is well formed.
pub(crate) fn checked(stream: &str) -> Vec<Value> {
    let mut decoder = Decoder::new(Framing::ServerSent);
    let events = decoder.push(stream.as_bytes());
    assert!(decoder.finish().is_none());
    let data: Vec<Value> = events
        .iter()
        .map(|event| serde_json::from_str(&event.data).unwrap())
        .collect();
    for (at, (event, data)) in events.iter().zip(&data).enumerate() {
        assert_eq!(data["sequence_number"], at);
        assert_eq!(event.name.as_deref(), data["type"].as_str());
    }
    assert_eq!(data[0]["type"], "response.created");
    assert_eq!(data[1]["type"], "response.in_progress");
    data
}

#[test]
fn streams_are_the_same_wherever_they_are_cut() {
    for file in files("streams") {
        let stream = text(&file);
        let whole = decoded(&parted(&stream, 0));
        for at in (0..stream.len()).step_by(stream.len() / 400 + 1) {
            assert_eq!(decoded(&parted(&stream, at)), whole, "{file} at {at}");
        }
    }
}

#[test]
fn streams_collect_to_the_answer_and_come_out_as_they_went_in() {
    for file in files("streams") {
        let body = json(&file.replace("streams", "answers").replace(".sse", ".json"));
        let events = decoded(&parted(&text(&file), 0));
        let answer = collected(&events).unwrap();
        let mut open = None;
        for event in &events {
            match event {
                ChatEvent::PartStart { index, .. } => assert_eq!(open.replace(*index), None),
                ChatEvent::PartStop { index } => assert_eq!(open.take(), Some(*index)),
                _ => {}
            }
        }
        assert_eq!(answer, decode_answer(body).unwrap(), "{file}");
        let stream = encoded(events.clone());
        let data = checked(&stream);
        assert_eq!(decoded(&parted(&stream, 0)), events, "{file}");
        let last = &data.last().unwrap()["response"];
        assert_eq!(*last, encode_answer(&answer, &told()).body, "{file}");
        let done = data
            .iter()
            .filter(|data| data["type"] == "response.output_item.done");
        let done: Vec<Value> = done.map(|data| data["item"].clone()).collect();
        assert_eq!(Value::Array(done), last["output"], "{file}");
    }
}

/// Some providers leave out the deltas, or the wholes, or all but the end.
#[test]
fn streams_of_imitators_are_understood() {
    for file in files("streams") {
        let events = parted(&text(&file), 0);
        let whole = collected(&decoded(&events)).unwrap();
        let without = |left_out: &[&str]| {
            let keeps = |event: &&Event| {
                let name = event.name.as_deref().unwrap_or_default();
                !left_out.iter().any(|end| name.ends_with(end))
            };
            let kept: Vec<Event> = events.iter().filter(keeps).cloned().collect();
            collected(&decoded(&kept)).unwrap()
        };
        assert_eq!(
            without(&["delta", "part.added", "annotation.added"]),
            whole,
            "{file}"
        );
        let items = [
            "delta",
            "part.added",
            "annotation.added",
            "text.done",
            "arguments.done",
        ];
        assert_eq!(without(&items), whole, "{file}");
        assert_eq!(without(&["part.added", "part.done"]), whole, "{file}");
        let is_delta = |event: &Event| event.data.contains(".delta\"");
        let mut few = events.clone();
        few.dedup_by(|event, before| is_delta(event) && is_delta(before));
        assert_eq!(
            collected(&decoded(&few)).unwrap().parts,
            whole.parts,
            "{file}"
        );
        let all = [
            ".created",
            ".in_progress",
            ".added",
            ".delta",
            ".done",
            "searching",
        ];
        let only_end = without(&all);
        assert_eq!(
            (&only_end.parts, only_end.usage),
            (&whole.parts, whole.usage),
            "{file}"
        );
    }
}

#[test]
fn events_without_names_types_or_indices_are_understood() {
    let events = [
        json!({"type": "response.output_item.added", "item": {"type": "function_call", "call_id": "c", "name": "f"}}),
        json!({"type": "response.function_call_arguments.delta", "delta": "{\"a\""}),
        json!({"type": "response.function_call_arguments.delta", "delta": ":1}"}),
        json!({"type": "response.completed", "response": {"status": "completed"}}),
    ];
    let events = events.map(|data| Event {
        data: data.to_string(),
        ..Event::default()
    });
    let answer = collected(&decoded(&events)).unwrap();
    assert!(matches!(&answer.parts[..], [Part::ToolCall(call)] if call.arguments == "{\"a\":1}"));
    assert_eq!(answer.stop, Some(Stop::ToolCalls));
}

#[test]
fn streams_that_break_say_why() {
    for (name, class, message) in [
        ("failed", FaultClass::RateLimited, "Rate limit reached"),
        ("error", FaultClass::Overloaded, "currently overloaded"),
        ("error_within", FaultClass::ContextLength, "context window"),
        ("cut", FaultClass::Unreachable, "ended before"),
    ] {
        let file = format!("openai_responses/broken/{name}.sse");
        let events = decoded(&parted(&text(&file), 0));
        let fault = collected(&events).unwrap_err();
        assert_eq!(fault.class, class, "{name}");
        assert!(fault.message.contains(message), "{fault}");
        assert!(matches!(events.last(), Some(ChatEvent::Fault(_))));
        let data = checked(&encoded(events));
        let last = data.last().unwrap();
        assert_eq!(last["type"], "response.failed");
        assert_eq!(last["response"]["status"], "failed");
        let error = &last["response"]["error"];
        assert!(error["message"].as_str().unwrap().contains(message));
        if class == FaultClass::RateLimited {
            assert_eq!(fault.retry_after.unwrap().as_millis(), 1500);
        }
    }
    let data = checked(&encoded(Vec::new()));
    assert_eq!(
        data.last().unwrap()["response"]["error"]["code"],
        "server_error"
    );
}

#[test]
fn a_response_that_failed_tells_what_it_used() {
    let stream = text("openai_responses/broken/failed.sse");
    let (before, last) = stream.rsplit_once(r#""usage": null"#).unwrap();
    let used = r#""usage": {"input_tokens": 100, "output_tokens": 50, "total_tokens": 150}"#;
    let events = decoded(&parted(&format!("{before}{used}{last}"), 0));
    let [.., ChatEvent::Usage(usage), ChatEvent::Fault(_)] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!((usage.input, usage.output), (100, 50));
    let data = checked(&encoded(events));
    let told = &data.last().unwrap()["response"]["usage"];
    assert_eq!(told["output_tokens"], 50);
}

#[test]
fn what_was_said_before_a_fault_stays() {
    let delta = |index, text: &str| ChatEvent::Delta {
        index,
        delta: Delta::Text(text.to_owned()),
    };
    let start = |index| ChatEvent::PartStart {
        index,
        part: PartStart::Text,
    };
    let mut events = vec![start(0), delta(0, "One."), ChatEvent::PartStop { index: 0 }];
    events.extend([start(1), delta(1, "Tw"), start(2), delta(2, "Three.")]);
    events.push(ChatEvent::Fault(Fault::new(
        FaultClass::Overloaded,
        "too much",
    )));
    let data = checked(&encoded(events));
    let response = &data.last().unwrap()["response"];
    assert_eq!(response["status"], "failed");
    let [item] = response["output"].as_array().unwrap().as_slice() else {
        unreachable!("it is one message: {response}");
    };
    assert_eq!(item["status"], "incomplete");
    let texts = item["content"].as_array().unwrap().iter();
    let texts: Vec<_> = texts.filter_map(|it| it["text"].as_str()).collect();
    assert_eq!(texts, ["One.", "Tw", "Three."]);
    let kinds = data.iter().filter_map(|data| data["type"].as_str());
    let done: Vec<&str> = kinds
        .filter(|kind| kind.rsplit('.').next() == Some("done"))
        .collect();
    assert_eq!(
        done,
        ["response.output_text.done", "response.content_part.done"]
    );
    // A call that was cut is not told as one to make.
    let mut events = interleaved();
    events.truncate(4);
    let data = checked(&encoded(events));
    let last = data.last().unwrap();
    assert_eq!(last["type"], "response.failed");
    let states = last["response"]["output"].as_array().unwrap().iter();
    let states: Vec<_> = states.map(|item| &item["status"]).collect();
    assert_eq!(states, ["incomplete", "incomplete"]);
    let mut kinds = data.iter().filter_map(|data| data["type"].as_str());
    assert!(kinds.all(|kind| kind.rsplit('.').next() != Some("done")));
}

/// A chat's events of a message and two calls whose arguments alternate.
pub(crate) fn interleaved() -> Vec<ChatEvent> {
    let call = |index, name: &str| ChatEvent::PartStart {
        index,
        part: PartStart::ToolCall {
            id: format!("call_{name}"),
            name: name.to_owned(),
            custom: false,
        },
    };
    let more = |index, text: &str| ChatEvent::Delta {
        index,
        delta: Delta::Arguments(text.to_owned()),
    };
    let stop = |index| ChatEvent::PartStop { index };
    vec![
        call(0, "a"),
        call(1, "b"),
        more(1, "{\"b\""),
        more(0, "{\"a\""),
        call(2, "none"),
        more(0, ":1}"),
        stop(2),
        stop(0),
        more(1, ":2}"),
        stop(1),
        ChatEvent::Stop(Stop::ToolCalls),
    ]
}

#[test]
fn calls_whose_deltas_alternate_are_written_one_after_the_other() {
    let stream = encoded(interleaved());
    let data = checked(&stream);
    let places: Vec<u64> = data
        .iter()
        .filter_map(|data| data["output_index"].as_u64())
        .collect();
    assert!(places.is_sorted(), "{places:?}");
    let whole = data.iter().filter_map(|data| data["arguments"].as_str());
    assert_eq!(whole.collect::<Vec<_>>(), ["{\"a\":1}", "{\"b\":2}", "{}"]);
    let answer = collected(&decoded(&parted(&stream, 0))).unwrap();
    let calls: Vec<_> = answer
        .parts
        .iter()
        .map(|part| match part {
            Part::ToolCall(call) => (call.name.as_str(), call.arguments.as_str()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        calls,
        [("a", "{\"a\":1}"), ("b", "{\"b\":2}"), ("none", "{}")]
    );
}

#[test]
fn items_that_alternate_in_a_provider_s_stream_are_told_apart() {
    let stream = text("openai_responses/streams/parallel_tools.sse");
    let events = parted(&stream, 0);
    let whole = collected(&decoded(&events)).unwrap();
    let place = |event: &Event| {
        let data: Value = serde_json::from_str(&event.data).unwrap();
        data["output_index"].as_u64()
    };
    let (mut first, mut second): (Vec<Event>, Vec<Event>) = (Vec::new(), Vec::new());
    let (mut mixed, mut rest) = (Vec::new(), Vec::new());
    for event in events {
        match place(&event) {
            Some(0) => first.push(event),
            Some(1) => second.push(event),
            _ if first.is_empty() => mixed.push(event),
            _ => rest.push(event),
        }
    }
    for at in 0..first.len().max(second.len()) {
        mixed.extend(first.get(at).cloned());
        mixed.extend(second.get(at).cloned());
    }
    mixed.extend(rest);
    assert_eq!(collected(&decoded(&mixed)).unwrap(), whole);
}

#[test]
fn a_call_cut_by_the_limit_is_not_called_complete() {
    let mut events = interleaved();
    events.truncate(4);
    events.push(ChatEvent::Stop(Stop::Length));
    let data = checked(&encoded(events));
    let response = &data.last().unwrap()["response"];
    assert_eq!(response["status"], "incomplete");
    assert_eq!(
        response["incomplete_details"]["reason"],
        "max_output_tokens"
    );
    let states: Vec<_> = response["output"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["status"])
        .collect();
    assert_eq!(states, ["incomplete", "incomplete"]);
}
