//! OpenAI Chat Completions.

use std::path::PathBuf;

use causeway::llm::answer::{Answer, ChatEvent, Collector, Delta, Stop};
use causeway::llm::chat::{
    Audio, CacheMark, ChatRequest, Citation, Document, Image, Opaque, Part, Reasoning, Rest, Role,
    Signature, Source, Text, Thought, Tool, ToolCall, ToolChoice, ToolResult, Turn,
};
use causeway::llm::dialect::openai_chat::{
    StreamDecoder, StreamEncoder, decode_answer, decode_error, decode_request, encode_answer,
    encode_error, encode_request,
};
use causeway::llm::dialect::{Dialect, Dropped, Encoded, OwnTools, TargetModel, Told, anthropic};
use causeway::llm::fault::{Fault, FaultClass};
use causeway::llm::usage::Usage;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::{json, parted, text};

const D: &str = "openai_chat";

fn names(folder: &str) -> Vec<String> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/llm");
    let files = std::fs::read_dir(root.join(D).join(folder)).expect(folder);
    let files = files
        .map(|file| file.expect("a file").path())
        .filter(|path| path.is_file());
    let mut names: Vec<String> = files
        .map(|path| {
            format!(
                "{D}/{folder}/{}",
                path.file_name().expect("a name").to_string_lossy()
            )
        })
        .collect();
    names.sort();
    assert!(!names.is_empty());
    names
}

fn request(name: &str) -> ChatRequest {
    decode_request(json(&format!("{D}/requests/{name}.json"))).expect(name)
}

fn encoded(request: &ChatRequest) -> Encoded {
    let model = TargetModel {
        name: request.model.clone(),
        max_output_tokens: None,
    };
    encode_request(request, &model).expect("it can be said")
}

fn told(stream_usage: bool) -> Told {
    Told {
        model: "asked-for".to_owned(),
        request_id: "0190f5".to_owned(),
        now: 1_700_000_000,
        stream_usage,
        tools: OwnTools::default(),
    }
}

fn stream(name: &str) -> Vec<ChatEvent> {
    decoded(&text(&format!("{D}/streams/{name}.sse")), 0)
}

fn decoded(stream: &str, at: usize) -> Vec<ChatEvent> {
    let mut decoder = StreamDecoder::default();
    let events = parted(stream, at);
    let mut events: Vec<ChatEvent> = events
        .iter()
        .flat_map(|event| decoder.push(event))
        .collect();
    events.extend(decoder.finish());
    events
}

fn collected(events: Vec<ChatEvent>) -> Answer {
    let mut collector = Collector::default();
    for event in events {
        collector.push(event).expect("no fault");
    }
    collector.finish()
}

fn written(events: &[ChatEvent], told: Told) -> String {
    let mut encoder = StreamEncoder::new(told);
    let mut out = Vec::new();
    for event in events {
        encoder.push(event.clone(), &mut out);
    }
    encoder.finish(&mut out);
    String::from_utf8(out).expect("text")
}

/// The chunks of a written stream.
fn chunks(stream: &str) -> Vec<Value> {
    let lines = stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "));
    lines
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

fn signed(dialect: Dialect, value: &str) -> Signature {
    let value = value.to_owned();
    Signature { dialect, value }
}

fn of_anthropic(turns: Vec<Turn>) -> ChatRequest {
    ChatRequest {
        model: "m".to_owned(),
        turns,
        rest: Rest {
            dialect: Some(Dialect::Anthropic),
            fields: Map::new(),
            ..Rest::default()
        },
        ..ChatRequest::default()
    }
}

fn call(id: &str, arguments: &str) -> ToolCall {
    ToolCall {
        id: id.to_owned(),
        name: "f".to_owned(),
        arguments: arguments.to_owned(),
        signature: None,
        custom: false,
        cache: None,
    }
}

fn result(id: &str, parts: Vec<Part>, is_error: bool) -> Part {
    Part::ToolResult(ToolResult {
        id: id.to_owned(),
        name: None,
        parts,
        is_error,
        cache: None,
    })
}

// maximhq/bifrost#2347: tools came in another order each time, and no prompt was found in a cache.
#[test]
fn requests_come_out_as_they_went_in() {
    for name in names("requests") {
        let body = json(&name);
        let request = decode_request(body.clone()).expect(&name);
        let written = encoded(&request);
        assert_eq!(written.body, body, "{name}");
        assert_eq!(written.dropped, [], "{name}");
    }
}

#[test]
fn that_functions_want_one_call_is_no_loss_where_it_cannot_be_told() {
    let asked = request("older/functions");
    assert_eq!(asked.parallel_tool_calls, Some(false));
    let target = TargetModel {
        name: "m".to_owned(),
        max_output_tokens: None,
    };
    for dialect in [Dialect::Gemini, Dialect::Bedrock, Dialect::Cohere] {
        let written = dialect.encode_request(&asked, &target).unwrap();
        let lost = |one: &Dropped| one.field == "parallel_tool_calls";
        assert!(!written.dropped.iter().any(lost), "{dialect:?}");
    }
}

#[test]
fn who_calls_tools_functions_is_answered_so() {
    let asked = request("older/functions");
    assert!(asked.functions);
    let told = |stream_usage| Told {
        tools: OwnTools::of(&asked),
        ..told(stream_usage)
    };
    let call = |id: &str, signature| {
        Part::ToolCall(ToolCall {
            id: id.to_owned(),
            name: "get_weather".to_owned(),
            arguments: String::new(),
            signature,
            custom: false,
            cache: None,
        })
    };
    let mut answer = Answer {
        parts: vec![
            Part::text("I will look."),
            call("c1", Some(signed(Dialect::Gemini, "proof"))),
            call("c2", None),
        ],
        stop: Some(Stop::ToolCalls),
        ..Answer::default()
    };
    let fields = |dropped: &[Dropped]| -> Vec<String> {
        dropped.iter().map(|one| one.field.clone()).collect()
    };
    let encoded = encode_answer(&answer, &told(false));
    let choice = &encoded.body["choices"][0];
    let function = json!({"name": "get_weather", "arguments": "{}"});
    assert_eq!(choice["message"]["function_call"], function);
    assert_eq!(choice["message"]["content"], "I will look.");
    assert_eq!(choice["message"].get("tool_calls"), None);
    assert_eq!(choice["finish_reason"], "function_call");
    let lost = ["parts[1].signature", "parts[2]"];
    assert_eq!(fields(&encoded.dropped), lost);

    let Part::ToolCall(first) = &mut answer.parts[1] else {
        unreachable!("it is a call");
    };
    first.arguments = r#"{"city":"Paris"}"#.to_owned();
    let mut encoder = StreamEncoder::new(told(false));
    let mut out = Vec::new();
    for event in answer.events() {
        encoder.push(event, &mut out);
    }
    encoder.finish(&mut out);
    assert_eq!(fields(encoder.dropped()), lost);
    let stream = String::from_utf8(out).expect("text");
    assert!(!stream.contains("tool_calls"), "{stream}");
    let chunks = chunks(&stream);
    let deltas: Vec<&Value> = chunks
        .iter()
        .map(|chunk| &chunk["choices"][0]["delta"]["function_call"])
        .filter(|call| !call.is_null())
        .collect();
    assert_eq!(deltas[0]["name"], "get_weather");
    let arguments = deltas.iter().filter_map(|call| call["arguments"].as_str());
    assert_eq!(arguments.collect::<String>(), r#"{"city":"Paris"}"#);
    let last = chunks.last().expect("an end");
    assert_eq!(last["choices"][0]["finish_reason"], "function_call");
    // Whoever says `tools` beside them gets calls of tools, as ever.
    let mut both = json(&format!("{D}/requests/older/functions.json"));
    both["tools"] = json!([{"type": "function", "function": {"name": "f"}}]);
    let both = decode_request(both).expect("a request");
    assert_eq!((both.functions, both.parallel_tool_calls), (false, None));
    // An answer has room for one call, so that a model is to make one.
    assert_eq!(asked.parallel_tool_calls, Some(false));
    let encoded = anthropic::encode_request(&asked, &TargetModel::default());
    let choice = &encoded.expect("it can be said").body["tool_choice"];
    assert_eq!(choice["disable_parallel_tool_use"], true);
}

#[test]
fn older_spellings_are_written_anew() {
    // `developer` is `system`, one text is a string, `reasoning` is `reasoning_content`, and so on.
    assert_eq!(
        encoded(&request("older/spellings")).body,
        json!({
            "model": "gpt-4o",
            "messages": [
                {"role": "system", "content": [
                    {"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}]},
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "", "reasoning_content": "They greet."},
            ],
            "max_completion_tokens": 100,
            "stop": ["END"],
            "reasoning_effort": "low",
        })
    );
    let functions = encoded(&request("older/functions")).body;
    assert_eq!(functions["tools"][0]["function"]["name"], "get_weather");
    let choice = json!({"type": "function", "function": {"name": "get_weather"}});
    assert_eq!(functions["tool_choice"], choice);
    let id = &functions["messages"][1]["tool_calls"][0]["id"];
    assert_eq!(functions["messages"][2]["tool_call_id"], *id);
    assert_eq!(functions["messages"][2]["role"], "tool");
    let allowed = request("older/allowed_tools");
    assert_eq!(allowed.tool_choice, Some(ToolChoice::Required));
    assert_eq!(allowed.allowed.map(|tools| tools.len()), Some(1));
}

#[test]
fn requests_mean_what_they_say() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../data/llm/openai_chat/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| {
        for name in [
            "conversation",
            "tool_results",
            "vision",
            "openrouter_reasoning",
            "gemini_signatures",
        ] {
            insta::assert_debug_snapshot!(format!("request_{name}"), request(name));
        }
        for name in ["openrouter", "gemini", "audio", "sloppy/no_index"] {
            let name = name.to_owned();
            insta::assert_debug_snapshot!(
                format!("stream_{}", name.replace('/', "_")),
                stream(&name)
            );
        }
    });
}

#[test]
fn answers_come_out_as_they_went_in() {
    for name in names("answers") {
        let body = json(&name);
        let answer = decode_answer(body.clone()).expect(&name);
        let written = encode_answer(&answer, &told(false));
        assert_eq!(written.body, body, "{name}");
        assert_eq!(written.dropped, [], "{name}");
        let mut collector = Collector::default();
        for event in answer.events() {
            collector.push(event).expect("no fault");
        }
        assert_eq!(collector.finish(), answer, "{name}");
    }
}

#[test]
fn streams_are_the_same_wherever_they_are_cut() {
    let all = ["streams", "streams/sloppy", "streams/failing"]
        .into_iter()
        .flat_map(names);
    for name in all {
        let stream = text(&name);
        // A decoder of an answer sees events only: where they are equal, so is what it makes of them.
        let whole = parted(&stream, 0);
        for at in 0..=stream.len() {
            assert_eq!(parted(&stream, at), whole, "{name} cut at {at}");
        }
        let whole = decoded(&stream, 0);
        check_grammar(&name, &whole);
    }
}

/// Parts are numbered as they start, each is closed once, and what was used comes before the end.
fn check_grammar(name: &str, events: &[ChatEvent]) {
    assert!(
        matches!(events.first(), Some(ChatEvent::Start { .. })),
        "{name}"
    );
    let (mut open, mut started, mut ends) = (Vec::new(), 0, 0);
    for event in events {
        assert_eq!(ends, 0, "{name}: nothing follows the end");
        match event {
            ChatEvent::PartStart { index, .. } => {
                assert_eq!(*index, started, "{name}");
                started += 1;
                open.push(*index);
            }
            ChatEvent::Delta { index, .. } => assert!(open.contains(index), "{name}: {event:?}"),
            ChatEvent::PartStop { index } => {
                let before = open.len();
                open.retain(|one| one != index);
                assert_eq!(open.len() + 1, before, "{name}");
            }
            ChatEvent::Stop(_) => {
                assert!(open.is_empty(), "{name}");
                ends += 1;
            }
            ChatEvent::Fault(_) => ends += 1,
            ChatEvent::Start { .. } | ChatEvent::Usage(_) => {}
        }
    }
    assert_eq!(ends, 1, "{name}");
}

#[test]
fn streams_are_read_back_as_they_were_written() {
    for name in names("streams") {
        let events = decoded(&text(&name), 0);
        let stream = written(&events, told(true));
        assert_eq!(decoded(&stream, 0), events, "{name}");
        let whole = collected(events);
        let body = encode_answer(&whole, &told(true)).body;
        assert_eq!(decode_answer(body).expect(&name), whole, "{name}");
    }
}

#[test]
fn whole_answers_are_streamed() {
    for name in names("answers") {
        let answer = decode_answer(json(&name)).expect(&name);
        let stream = written(&answer.events(), told(true));
        let mut read = collected(decoded(&stream, 0));
        // What a stream says of a thought before its text is only that it is one.
        for (part, original) in read.parts.iter_mut().zip(&answer.parts) {
            if let (Part::Thought(part), Part::Thought(original)) = (part, original) {
                (part.summary, part.id) = (original.summary, original.id.clone());
            }
        }
        assert_eq!(read, answer, "{name}");
    }
}

#[test]
fn errors_are_told_apart() {
    let mut table = Vec::new();
    for name in names("errors") {
        let mut error = json(&name);
        let status = u16::try_from(error["status"].as_u64().expect("a status")).expect("a status");
        let body = match error["body"].take() {
            Value::String(text) => text,
            body => body.to_string(),
        };
        let fault = decode_error(status, body.as_bytes());
        let name = name
            .rsplit('/')
            .next()
            .expect("a name")
            .replace(".json", "");
        let written = encode_error(&fault);
        let code = written.body["error"]["code"]
            .as_str()
            .unwrap_or("-")
            .to_owned();
        table.push(format!(
            "{name}: {:?} -> {} {code}",
            fault.class, written.status
        ));
        assert!(!fault.message.contains("sk-"), "{}", fault.message);
        assert!(!fault.message.contains('<'), "{}", fault.message);
    }
    insta::assert_snapshot!(table.join("\n"), @r#"
    balance: Exhausted -> 429 insufficient_quota
    context: ContextLength -> 400 context_length_exceeded
    fastapi: Invalid -> 400 -
    forbidden: Forbidden -> 403 unsupported_country_region_territory
    google_list: RateLimited -> 429 rate_limit_exceeded
    html: Upstream -> 502 upstream_error
    invalid: Invalid -> 400 invalid_type
    key: Unauthenticated -> 401 invalid_api_key
    model: NotFound -> 404 model_not_found
    overloaded: Overloaded -> 503 server_overloaded
    policy: ContentPolicy -> 400 content_filter
    quota: Exhausted -> 429 insufficient_quota
    rate: RateLimited -> 429 rate_limit_exceeded
    server: Upstream -> 502 upstream_error
    text: Upstream -> 502 upstream_error
    vllm_context: ContextLength -> 400 context_length_exceeded
    "#);
    let rate = json("openai_chat/errors/rate.json")["body"].to_string();
    let rate = decode_error(429, rate.as_bytes());
    assert_eq!(rate.retry_after.map(|wait| wait.as_millis()), Some(1242));
    let invalid = json("openai_chat/errors/invalid.json")["body"].clone();
    let fault = decode_error(400, invalid.to_string().as_bytes());
    assert_eq!(encode_error(&fault).body, invalid);
}

#[test]
fn a_stream_that_fails_says_so_and_has_no_proper_end() {
    for (name, class) in [
        ("error_chunk", FaultClass::RateLimited),
        ("error_event", FaultClass::Upstream),
        ("cut", FaultClass::Unreachable),
    ] {
        let events = stream(&format!("failing/{name}"));
        let Some(ChatEvent::Fault(fault)) = events.last() else {
            panic!("{name}: {events:?}");
        };
        assert_eq!(fault.class, class, "{name}");
        let stream = written(&events, told(true));
        assert!(!stream.contains("[DONE]") && !stream.contains("\"finish_reason\":\"stop\""));
        let chunks = chunks(&stream);
        let error = &chunks.last().expect("an error")["error"];
        assert!(error["message"].is_string(), "{name}");
    }
    assert!(matches!(
        decoded("data: [DONE]\n\n", 0)[..],
        [ChatEvent::Fault(_)]
    ));
    let fault =
        decode_answer(json!({"error": {"message": "no", "code": 503}})).expect_err("an error");
    assert_eq!(fault.class, FaultClass::Overloaded);
    let fault =
        decode_answer(json!({"choices": [{"message": {"content": 7}}]})).expect_err("a number");
    assert_eq!(fault.class, FaultClass::Upstream);
    assert!(
        fault
            .message
            .contains("`choices[0].message.content` is a number"),
        "{fault}"
    );
}

#[test]
fn sloppy_streams_are_understood() {
    let arguments = |name: &str| {
        let parts = collected(stream(name)).parts;
        let calls = parts.into_iter().filter_map(|part| match part {
            Part::ToolCall(call) => Some((call.id, call.arguments)),
            _ => None,
        });
        calls
            .map(|(id, arguments)| format!("{id} {arguments}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        arguments("sloppy/no_index"),
        ["call_0 {\"x\":1}", "call_1 {}"]
    );
    assert_eq!(
        arguments("sloppy/same_index"),
        ["x1 {\"x\":1}", "x2 {\"x\":2}"]
    );
    assert_eq!(arguments("sloppy/repeated_id"), ["x1 {\"x\":1}"]);
    for name in ["sloppy/no_index", "sloppy/same_index", "sloppy/repeated_id"] {
        assert_eq!(
            collected(stream(name)).stop,
            Some(Stop::ToolCalls),
            "{name}"
        );
    }
}

// BerriAI/litellm#29286: text beside an empty list of calls became a piece of arguments, and nobody saw it.
#[test]
fn an_empty_list_of_calls_beside_text_is_no_call() {
    let answer = collected(stream("empty_tool_calls"));
    assert_eq!(answer.parts, [Part::text("Hello")]);
    assert_eq!(answer.stop, Some(Stop::End));
}

#[test]
fn calls_whose_deltas_alternate_keep_their_arguments_and_order() {
    let events = stream("interleaved");
    let answer = collected(events.clone());
    let calls = [("call_1", "{\"x\":1}"), ("call_2", "{\"y\":2}")]
        .map(|(id, arguments)| (id.to_owned(), arguments.to_owned()));
    let found = answer.parts.iter().map(|part| match part {
        Part::ToolCall(call) => (call.id.clone(), call.arguments.clone()),
        other => panic!("{other:?}"),
    });
    assert!(found.eq(calls));
    let indices = chunks(&written(&events, told(false)));
    let indices: Vec<_> = indices
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"][0]["index"].as_u64())
        .collect();
    assert_eq!(indices, [0, 1, 1, 0, 1, 0]);
}

#[test]
fn a_call_is_closed_as_soon_as_it_is_whole_and_something_else_begins() {
    let events = stream("tool_calls");
    let closed = events
        .iter()
        .position(|event| *event == ChatEvent::PartStop { index: 0 });
    let next = events
        .iter()
        .position(|event| matches!(event, ChatEvent::PartStart { index: 1, .. }));
    assert!(closed.expect("closed") < next.expect("begun"), "{events:?}");
}

// agentgateway/agentgateway#2776: arguments that were cut were taken for an empty object.
#[test]
fn arguments_that_were_cut_stay_cut() {
    let answer = collected(stream("length"));
    let Part::ToolCall(call) = &answer.parts[0] else {
        panic!("{answer:?}");
    };
    assert_eq!(call.arguments, "{\"text\": \"Once");
    assert_eq!(answer.stop, Some(Stop::Length));
}

#[test]
fn no_arguments_are_an_empty_object() {
    let events = stream("zero_arguments");
    let Part::ToolCall(read) = &collected(events).parts[1] else {
        panic!("a call");
    };
    assert_eq!(read.arguments, "{}");
    let turn = Turn::new(Role::Assistant, vec![Part::ToolCall(call("c", ""))]);
    let body = encoded(&of_anthropic(vec![turn])).body;
    assert_eq!(
        body["messages"][0]["tool_calls"][0]["function"]["arguments"],
        "{}"
    );
}

// BerriAI/litellm#3490: whoever asked what a stream used was told nothing.
// agentgateway/agentgateway#3005: streams of Claude's never said whose words they are.
#[test]
fn the_role_is_said_once_and_usage_only_where_it_was_asked_for() {
    let events = stream("text");
    let with = chunks(&written(&events, told(true)));
    let roles = with
        .iter()
        .filter(|chunk| !chunk["choices"][0]["delta"]["role"].is_null());
    assert_eq!(roles.count(), 1);
    assert_eq!(with[0]["choices"][0]["delta"]["role"], "assistant");
    let last = with.last().expect("usage");
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["prompt_tokens"], 19);
    let without = written(&events, told(false));
    assert!(!without.contains("usage"));
    assert!(without.ends_with("data: [DONE]\n\n"));
}

// adolfousier/opencrabs#1636: cached tokens of imitators of OpenAI were charged twice.
#[test]
fn totals_of_usage_include_their_parts() {
    let usage = |usage: Value| {
        let body = json!({"choices": [{"message": {"content": "x"}}], "usage": usage});
        decode_answer(body)
            .expect("an answer")
            .usage
            .expect("usage")
    };
    let of = |input, cached, output, reasoning| Usage {
        input,
        cached,
        output,
        reasoning,
        ..Usage::default()
    };
    let openai = json!({"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
        "prompt_tokens_details": {"cached_tokens": 80}, "completion_tokens_details": {"reasoning_tokens": 30}});
    assert_eq!(usage(openai), of(100, 80, 50, 30));
    let deepseek = json!({"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150, "prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 36});
    assert_eq!(usage(deepseek), of(100, 64, 50, 0));
    let xai = json!({"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 405, "completion_tokens_details": {"reasoning_tokens": 300}});
    assert_eq!(usage(xai), of(100, 0, 305, 300));
    let gemini = json!({"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 405});
    assert_eq!(usage(gemini), of(100, 0, 305, 300));
    let beside = json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "prompt_tokens_details": {"cached_tokens": 90}});
    assert_eq!(usage(beside), of(100, 90, 5, 0));
}

#[test]
fn signatures_of_other_dialects_pass_through_a_caller_unchanged() {
    let thought = |text: &str, signature, sealed| {
        Part::Thought(Thought {
            text: text.to_owned(),
            signature,
            sealed,
            ..Thought::default()
        })
    };
    let mut tool = call("c1", "{}");
    tool.signature = Some(signed(Dialect::Gemini, "Ci:Q|=="));
    let answer = Answer {
        parts: vec![
            thought("Hm.", Some(signed(Dialect::Anthropic, "Eq|QB:/+==")), None),
            thought("", None, Some(signed(Dialect::Anthropic, "EvMC=="))),
            thought("", Some(signed(Dialect::Gemini, "empty")), None),
            Part::ToolCall(tool),
        ],
        stop: Some(Stop::End),
        ..Answer::default()
    };
    let whole = encode_answer(&answer, &told(false)).body["choices"][0]["message"].clone();
    let streamed = collected(decoded(&written(&answer.events(), told(false)), 0));
    let streamed = encode_answer(&streamed, &told(false)).body["choices"][0]["message"].clone();
    for message in [whole, streamed] {
        let request =
            decode_request(json!({"model": "m", "messages": [message]})).expect("a request");
        assert_eq!(request.turns[0].parts, answer.parts);
        let written = encoded(&request);
        assert!(!written.body.to_string().contains("QB"), "{}", written.body);
        let dropped: Vec<_> = written
            .dropped
            .iter()
            .map(|one| one.field.as_str())
            .collect();
        assert_eq!(
            dropped,
            [
                "turns[0].parts[0]",
                "turns[0].parts[1]",
                "turns[0].parts[2]",
                "turns[0].parts[3].signature"
            ]
        );
    }
}

#[test]
fn images_are_addresses_or_the_bytes_themselves() {
    let read = |url: &str| -> Result<Source, Fault> {
        let part = json!({"type": "image_url", "image_url": {"url": url}});
        let message = json!({"role": "user", "content": [part]});
        let asked = decode_request(json!({"model": "m", "messages": [message]}))?;
        match asked.turns[0].parts.first() {
            Some(Part::Image(image)) => Ok(image.source.clone()),
            other => unreachable!("it is an image: {other:?}"),
        }
    };
    let inline = |media_type: &str, data: &str| Source::Inline {
        media_type: media_type.to_owned(),
        data: data.to_owned(),
    };
    for (url, expected) in [
        ("data:image/png;base64,iVBO", inline("image/png", "iVBO")),
        (
            "DATA:image/jpeg;name=a.jpg;BASE64,/9j/",
            inline("image/jpeg", "/9j/"),
        ),
        (
            "data:image/svg+xml;utf8,<svg/>",
            inline("image/svg+xml", "PHN2Zy8+"),
        ),
        (
            "data:image/svg+xml,%3Csvg/%3E",
            inline("image/svg+xml", "PHN2Zy8+"),
        ),
        ("data:;base64,iVBO", inline("image/png", "iVBO")),
        ("iVBO", inline("image/png", "iVBO")),
    ] {
        assert_eq!(read(url), Ok(expected), "{url}");
    }
    for url in ["foo.png", "", "data:image/png;base64,foo.png", "data:foo"] {
        let fault = read(url).expect_err(url);
        assert_eq!(fault.class, FaultClass::Invalid);
        let place = "messages[0].content[0].image_url.url";
        assert_eq!(fault.field.as_deref(), Some(place), "{url}");
    }
}

#[test]
fn an_effort_that_nobody_knows_is_refused() {
    let chat = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}], "reasoning_effort": "gigantic"});
    let responses = json!({"model": "m", "input": "Hi", "reasoning": {"effort": "gigantic"}});
    for (from, body, field) in [
        (Dialect::OpenaiChat, chat, "reasoning_effort"),
        (Dialect::OpenaiResponses, responses, "reasoning.effort"),
    ] {
        let asked = from.decode_request(body).expect("a request");
        for to in Dialect::ALL {
            let written = to.encode_request(&asked, &TargetModel::default());
            // It may be one of tomorrow's.
            if matches!(to, Dialect::OpenaiChat | Dialect::OpenaiResponses) {
                let body = written.expect("it can be said").body.to_string();
                assert!(body.contains("gigantic"), "{body}");
                continue;
            }
            let fault = written.expect_err("nobody knows it");
            assert_eq!(fault.field.as_deref(), Some(field), "{to:?}");
            assert!(fault.message.contains("`xhigh`"), "{fault}");
        }
    }
}

#[test]
fn fields_that_only_chats_have_are_named() {
    let mut body = json(&format!("{D}/requests/unknown_fields.json"));
    body["modalities"] = json!(["text"]);
    let asked = decode_request(body).expect("a request");
    let known = [
        "metadata",
        "safety_identifier",
        "service_tier",
        "verbosity",
        "web_search_options",
    ];
    for (to, more) in [
        (Dialect::OpenaiResponses, &known[..0]),
        (Dialect::Cohere, &known[..]),
    ] {
        let encoded = to.encode_request(&asked, &TargetModel::default());
        let dropped = encoded.expect("it can be said").dropped;
        let mut names: Vec<&str> = dropped.iter().map(|one| one.field.as_str()).collect();
        names.sort_unstable();
        let mut expected = vec![
            "a.dotted[name]",
            "audio",
            "logit_bias",
            "messages[0].content[0].prompt_cache_breakpoint",
            "messages[1].prefix",
            "prediction",
            "store",
            "tools[0].function.returns",
        ];
        expected.extend(more);
        expected.sort_unstable();
        assert_eq!(names, expected, "{to:?}");
    }
}

#[test]
fn refusals_name_what_the_caller_sent() {
    let sound = json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}});
    let asked = json!({"model": "m", "messages": [
        {"role": "system", "content": "A"},
        {"role": "user", "content": "B"},
        {"role": "user", "content": [{"type": "text", "text": "C"}, sound]},
    ]});
    let asked = decode_request(asked).expect("a request");
    for to in [Dialect::Anthropic, Dialect::Cohere] {
        let fault = to.encode_request(&asked, &TargetModel::default());
        let field = fault.expect_err("there is no sound").field;
        assert_eq!(field.as_deref(), Some("messages[2].content[1]"), "{to:?}");
    }
    let stop = json!({"model": "m", "messages": [{"role": "user", "content": "A"}], "stop": "B"});
    let stop = decode_request(stop).expect("a request");
    let fault = Dialect::OpenaiResponses.encode_request(&stop, &TargetModel::default());
    let field = fault.expect_err("there is no such field").field;
    assert_eq!(field.as_deref(), Some("stop"));
}

#[test]
fn fields_shared_with_responses_are_taken_over() {
    let shared = json!({"metadata": {"a": "b"}, "service_tier": "flex", "safety_identifier": "s"});
    let mut asked = json!({
        "model": "m", "input": "Hi", "text": {"verbosity": "low"}, "prompt_cache_key": "k", "max_tool_calls": 3,
    });
    let fields = asked.as_object_mut().expect("an object");
    fields.extend(shared.as_object().expect("an object").clone());
    let asked = Dialect::OpenaiResponses
        .decode_request(asked)
        .expect("a request");
    let written = encoded(&asked);
    for (name, value) in shared.as_object().expect("an object") {
        assert_eq!(&written.body[name], value);
    }
    assert_eq!(written.body["verbosity"], "low");
    assert_eq!(written.body["prompt_cache_key"], "k");
    let dropped: Vec<_> = written.dropped.iter().map(|one| &one.field).collect();
    assert_eq!(dropped, ["max_tool_calls"]);
    // Many who imitate OpenAI refuse what they do not know.
    let usual = json!({
        "model": "m", "input": "Hi", "metadata": {}, "service_tier": "auto", "text": {"verbosity": "medium"},
    });
    let usual = Dialect::OpenaiResponses
        .decode_request(usual)
        .expect("a request");
    let written = encoded(&usual);
    let messages = json!([{"role": "user", "content": "Hi"}]);
    assert_eq!(written.body, json!({"model": "m", "messages": messages}));
    assert_eq!(written.dropped, []);
}

#[test]
fn an_unsigned_thought_is_sent_back_as_text() {
    let thought = Part::Thought(Thought {
        text: "Hm.".to_owned(),
        ..Thought::default()
    });
    let body = encoded(&of_anthropic(vec![Turn::new(
        Role::Assistant,
        vec![thought, Part::text("Yes.")],
    )]))
    .body;
    assert_eq!(
        body["messages"],
        json!([{"role": "assistant", "content": "Yes.", "reasoning_content": "Hm."}])
    );
}

#[test]
fn what_a_model_said_between_calls_is_one_text() {
    let said = vec![
        Part::text("A"),
        Part::ToolCall(call("c1", "{}")),
        Part::text("B"),
    ];
    let body = encoded(&of_anthropic(vec![Turn::new(Role::Assistant, said)])).body;
    assert_eq!(body["messages"][0]["content"], "AB");
    let instructions = ChatRequest {
        system: vec![Part::text("One."), Part::text("Two.")],
        ..of_anthropic(Vec::new())
    };
    let texts = json!([{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}]);
    assert_eq!(
        encoded(&instructions).body["messages"],
        json!([{"role": "system", "content": texts}])
    );
}

#[test]
fn no_key_of_a_provider_reaches_a_caller() {
    let body =
        json!({"error": {"message": "Bad key 'sk-proj-1' or (gsk_2), says the risk-averse."}});
    let fault = decode_error(401, body.to_string().as_bytes());
    assert_eq!(
        fault.message,
        "Bad key (key) or (key) says the risk-averse."
    );
}

#[test]
fn results_of_tools_follow_their_calls_and_failures_are_said() {
    let image = Part::Image(Image {
        source: Source::Inline {
            media_type: "image/png".to_owned(),
            data: "AAAA".to_owned(),
        },
        detail: None,
        cache: None,
    });
    let calls = vec![
        Part::ToolCall(call("c1", "{}")),
        Part::ToolCall(call("c2", "{}")),
    ];
    let results = vec![
        Part::text("Go on."),
        result("c1", vec![Part::text("no such file")], true),
        result("c2", vec![image], false),
    ];
    let body = encoded(&of_anthropic(vec![
        Turn::new(Role::Assistant, calls),
        Turn::new(Role::User, results),
    ]))
    .body;
    assert_eq!(
        body["messages"][1],
        json!({"role": "tool", "tool_call_id": "c1", "content": "Error: no such file"})
    );
    assert_eq!(
        body["messages"][2],
        json!({"role": "tool", "tool_call_id": "c2", "content": "(shown in the next message)"})
    );
    assert_eq!(
        body["messages"][3]["content"][1],
        json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}})
    );
    assert_eq!(body["messages"][3]["content"][2]["text"], "Go on.");
}

#[test]
fn what_cannot_be_said_is_refused() {
    let user = |part: Part| of_anthropic(vec![Turn::new(Role::User, vec![part])]);
    let file = Source::File {
        dialect: Dialect::Anthropic,
        id: "file_1".to_owned(),
    };
    let url = Source::Url {
        url: "https://example.com/a.pdf".to_owned(),
        media_type: None,
    };
    let document = |source| {
        Part::Document(Document {
            source,
            name: None,
            context: None,
            citations: false,
            cache: None,
        })
    };
    let opaque = Opaque {
        dialect: Dialect::Anthropic,
        kind: "web_search_20250305".to_owned(),
        value: json!({}),
    };
    let mut tool = user(Part::text("x"));
    tool.tools = vec![Tool::Opaque(opaque.clone())];
    let mut several = user(Part::text("x"));
    several.sampling.candidates = Some(2);
    let mut required = user(Part::text("x"));
    required.tool_choice = Some(ToolChoice::Required);
    for (request, field) in [
        (
            user(Part::Image(Image {
                source: file.clone(),
                detail: None,
                cache: None,
            })),
            "turns[0].parts[0]",
        ),
        (user(document(file)), "turns[0].parts[0]"),
        (user(document(url.clone())), "turns[0].parts[0]"),
        (
            user(Part::Audio(Audio { source: url })),
            "turns[0].parts[0]",
        ),
        (user(Part::Opaque(opaque)), "turns[0].parts[0]"),
        (tool, "tools[0]"),
        (several, "sampling.candidates"),
        (required, "tool_choice"),
    ] {
        let fault: Fault = encode_request(&request, &TargetModel::default()).expect_err(field);
        assert_eq!(
            (fault.class, fault.field.as_deref()),
            (FaultClass::Invalid, Some(field))
        );
    }
}

#[test]
fn hints_that_are_left_out_are_named() {
    let mut request = of_anthropic(vec![Turn::new(
        Role::User,
        vec![Part::Text(Text {
            text: "x".to_owned(),
            cache: Some(CacheMark::OneHour),
            ..Text::default()
        })],
    )]);
    request.sampling.top_k = Some(5);
    request.reasoning = Some(Reasoning {
        effort: None,
        budget_tokens: Some(4096),
        shown: Some(true),
    });
    request
        .rest
        .fields
        .insert("container".to_owned(), json!("c"));
    let written = encoded(&request);
    let dropped: Vec<_> = written
        .dropped
        .iter()
        .map(|one| one.field.as_str())
        .collect();
    assert_eq!(
        dropped,
        [
            "turns[0].parts[0].cache",
            "sampling.top_k",
            "reasoning.budget_tokens",
            "reasoning.shown",
            "container"
        ]
    );
    assert_eq!(
        written.body,
        json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "reasoning_effort": "medium"})
    );
    let answer = Answer {
        parts: vec![Part::Text(Text {
            text: "é1".to_owned(),
            citations: vec![
                Citation {
                    url: Some("https://a.example".to_owned()),
                    ..Citation::default()
                },
                Citation::default(),
            ],
            cache: None,
        })],
        stop: Some(Stop::Pause),
        ..Answer::default()
    };
    let written = encode_answer(&answer, &told(false));
    let citation = &written.body["choices"][0]["message"]["annotations"][0]["url_citation"];
    assert_eq!(
        (&citation["start_index"], &citation["end_index"]),
        (&json!(0), &json!(2))
    );
    let dropped: Vec<_> = written
        .dropped
        .iter()
        .map(|one| one.field.as_str())
        .collect();
    assert_eq!(dropped, ["parts[0].citations", "stop"]);
    assert_eq!(written.body["id"], "chatcmpl-0190f5");
    assert_eq!(written.body["model"], "asked-for");
}

#[test]
fn a_field_of_a_wrong_kind_is_named() {
    let user = json!([{"role": "user", "content": "x"}]);
    for (body, field) in [
        (json!([]), ""),
        (json!({"messages": user}), "model"),
        (json!({"model": "m"}), "messages"),
        (json!({"model": "m", "messages": [7]}), "messages[0]"),
        (
            json!({"model": "m", "messages": [{"role": "narrator"}]}),
            "messages[0].role",
        ),
        (
            json!({"model": "m", "messages": [{"role": "user", "content": 7}]}),
            "messages[0].content",
        ),
        (
            json!({"model": "m", "messages": [{"role": "system", "content": ""}, {"role": "user", "content": [{"type": "image_url"}]}]}),
            "messages[1].content[0].image_url",
        ),
        (
            json!({"model": "m", "messages": [{"role": "tool", "content": "x"}]}),
            "messages[0].tool_call_id",
        ),
        (
            json!({"model": "m", "messages": user, "temperature": "hot"}),
            "temperature",
        ),
        (
            json!({"model": "m", "messages": user, "stop": [1]}),
            "stop[0]",
        ),
        (
            json!({"model": "m", "messages": user, "tools": [{"type": "function"}]}),
            "tools[0].function",
        ),
        (
            json!({"model": "m", "messages": user, "tool_choice": "maybe"}),
            "tool_choice",
        ),
    ] {
        let fault = decode_request(body).expect_err(field);
        assert_eq!(fault.field.as_deref(), Some(field), "{fault}");
    }
}

#[test]
fn the_reason_of_the_end_survives_providers_that_say_it_their_way() {
    let stop = |choice: Value| {
        decode_answer(json!({"choices": [choice]}))
            .expect("an answer")
            .stop
    };
    let call = json!([{"id": "c", "function": {"name": "f", "arguments": "{}"}}]);
    let forced = json!({"message": {"content": null, "tool_calls": call}, "finish_reason": "stop"});
    assert_eq!(stop(forced), Some(Stop::ToolCalls));
    let vllm = json!({"message": {"content": "x"}, "finish_reason": "stop", "stop_reason": "END"});
    assert_eq!(stop(vllm), Some(Stop::Sequence(Some("END".to_owned()))));
    assert_eq!(stop(json!({"message": {"content": "x"}})), Some(Stop::End));
    let other =
        json!({"message": {"content": "x"}, "finish_reason": "insufficient_system_resource"});
    assert_eq!(
        stop(other),
        Some(Stop::Other("insufficient_system_resource".to_owned()))
    );
}

#[test]
fn log_probabilities_stay_with_their_text() {
    let events = stream("logprobs");
    let chunks = chunks(&written(&events, told(false)));
    let with: Vec<_> = chunks
        .iter()
        .map(|chunk| &chunk["choices"][0])
        .filter(|choice| !choice["logprobs"].is_null())
        .collect();
    assert_eq!(with.len(), 2);
    assert_eq!(
        with[0]["delta"]["content"],
        with[0]["logprobs"]["content"][0]["token"]
    );
    assert_eq!(
        events
            .iter()
            .filter(|event| matches!(
                event,
                ChatEvent::Delta {
                    delta: Delta::Logprobs(_),
                    ..
                }
            ))
            .count(),
        2
    );
}

/// Any JSON, of which the fields often are those of the dialect.
fn any_json() -> impl Strategy<Value = Value> {
    const WORDS: &str = "text function custom image_url file input_audio thinking refusal user assistant system \
        tool reasoning.text reasoning.summary reasoning.encrypted data:,x json_schema allowed_tools stop error";
    const KEYS: &str = "model messages role content type text tool_calls function name arguments id index choices \
        delta message finish_reason usage error code image_url url file file_data reasoning_details reasoning_content \
        signature data extra_content google thought_signature thought annotations url_citation audio images logprobs \
        tools tool_choice stream_options response_format json_schema stop refusal custom input tool_call_id \
        prompt_tokens total_tokens cache_control function_call token logprob";
    let words =
        |all: &'static str| prop::sample::select(all.split_whitespace().collect::<Vec<_>>());
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0_u64..3).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z{}|:<>/]{0,6}".prop_map(Value::from),
        words(WORDS).prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        let fields = prop::collection::vec((words(KEYS), inner.clone()), 0..7);
        let object = |fields: Vec<(&str, Value)>| {
            let fields = fields.into_iter();
            Value::Object(fields.map(|(key, value)| (key.to_owned(), value)).collect())
        };
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            fields.prop_map(object),
        ]
    })
}

proptest! {
    #[test]
    fn no_json_is_too_much(value in any_json(), more in any_json()) {
        let events = [value.clone(), json!({"choices": [{"delta": value}]}), more.clone()];
        let mut stream = String::new();
        for event in events {
            stream.push_str("data: ");
            stream.push_str(&event.to_string());
            stream.push_str("\n\n");
        }
        let events = decoded(&stream, 0);
        prop_assert!(matches!(events.last(), Some(ChatEvent::Fault(_) | ChatEvent::Stop(_))));
        decoded(&written(&events, told(true)), 0);
        let _ = decode_answer(json!({"choices": [{"message": value}]})).map(|answer| encode_answer(&answer, &told(true)));
        let _ = decode_answer(value.clone());
        encode_error(&decode_error(400, value.to_string().as_bytes()));
        let _ = decode_request(value.clone());
        let body = json!({"model": "m", "messages": [value, more], "tools": [value], "tool_choice": more});
        for body in [body, json!({"model": "m", "messages": [{"role": "user", "content": [value]}, {"role": "assistant", "content": more}]})] {
            if let Ok(request) = decode_request(body) {
                let _ = encode_request(&request, &TargetModel::default());
            }
        }
    }
}
