//! `generateContent` of Gemini and Vertex AI.

use std::time::Duration;

use causeway::llm::answer::{Answer, ChatEvent, Collector, Delta, PartStart, Stop};
use causeway::llm::chat::{
    ChatRequest, Citation, Function, Image, Opaque, Part, Reasoning, Role, Signature, Source, Text,
    Thought, Tool, ToolCall, ToolChoice, ToolResult, Turn,
};
use causeway::llm::dialect::gemini::{
    StreamDecoder, StreamEncoder, decode_answer, decode_error, decode_request, encode_answer,
    encode_error, encode_request,
};
use causeway::llm::dialect::{Dialect, Encoded, OwnTools, TargetModel, Told};
use causeway::llm::fault::{Fault, FaultClass};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{json, parted, text};

fn model(name: &str) -> TargetModel {
    TargetModel {
        name: name.to_owned(),
        max_output_tokens: None,
    }
}

fn told() -> Told {
    Told {
        model: "asked-for".to_owned(),
        request_id: "0f".to_owned(),
        now: 1_700_000_000,
        stream_usage: true,
        tools: OwnTools::default(),
    }
}

fn request(name: &str) -> ChatRequest {
    decode_request(json(&format!("gemini/requests/{name}.json"))).expect(name)
}

fn sent(request: &ChatRequest, name: &str) -> Encoded {
    encode_request(request, &model(name)).expect("can be said")
}

/// Names of the fixtures of a kind.
fn names(kind: &str) -> Vec<String> {
    let folder = format!(
        "{}/tests/data/llm/gemini/{kind}",
        env!("CARGO_MANIFEST_DIR")
    );
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .expect(&folder)
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_stem().expect("a name");
            name.to_string_lossy().into_owned()
        })
        .collect();
    names.sort();
    assert!(!names.is_empty());
    names
}

#[test]
fn requests_come_back_as_they_were() {
    for name in names("requests") {
        // Names become camelCase, and schemas JSON Schema: see the next test.
        if name == "snake_case" {
            continue;
        }
        let body = json(&format!("gemini/requests/{name}.json"));
        let encoded = sent(&request(&name), "gemini-2.5-flash");
        assert_eq!(encoded.body, body, "{name}");
        assert_eq!(encoded.dropped, [], "{name}");
    }
}

#[test]
fn snake_case_and_schemas_of_openapi_are_understood() {
    let first = request("snake_case");
    let body = sent(&first, "gemini-2.5-flash").body;
    let expected = json!({
        "systemInstruction": {"parts": [{"text": "Be short."}]},
        "contents": [{"role": "user", "parts": [
            {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
            {"text": "Hi"},
        ]}],
        "tools": [
            {"functionDeclarations": [{"name": "f", "parametersJsonSchema": {
                "type": "object",
                "properties": {
                    "c": {"type": ["integer", "null"], "examples": [3]},
                    "a_b": {"type": "array", "minItems": 1, "items": {"type": "string", "enum": ["x", "y"]}},
                    "d": {"anyOf": [{"type": "string"}, {"type": "number"}]},
                },
                "required": ["a_b"],
            }}]},
            {"google_search": {}},
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "generationConfig": {
            "maxOutputTokens": 10,
            "responseMimeType": "application/json",
            "responseJsonSchema": {"type": "object", "properties": {"x_y": {"type": "string"}}},
            "thinkingConfig": {"thinkingBudget": 5},
        },
        "safetySettings": [],
    });
    let mut expected = expected;
    expected["tools"][1] = json!({"googleSearch": {}});
    assert_eq!(body, expected);
    let properties =
        &body["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"]["properties"];
    let order: Vec<&String> = properties.as_object().unwrap().keys().collect();
    assert_eq!(order, ["c", "a_b", "d"]);
    assert_eq!(decode_request(body).unwrap(), first);
}

#[test]
fn requests_in_the_neutral_form() {
    for name in [
        "tool_results_without_ids",
        "signatures",
        "document_audio_video",
        "tools_some_allowed",
    ] {
        insta::assert_debug_snapshot!(format!("gemini_request_{name}"), request(name));
    }
}

#[test]
fn results_find_their_calls_by_name_and_order() {
    let request = request("tool_results_without_ids");
    let ids = |role| -> Vec<(String, String)> {
        let turns = request.turns.iter().filter(move |turn| turn.role == role);
        turns
            .flat_map(|turn| &turn.parts)
            .filter_map(|part| match part {
                Part::ToolCall(call) => Some((call.id.clone(), call.name.clone())),
                Part::ToolResult(result) => Some((result.id.clone(), result.name.clone()?)),
                _ => None,
            })
            .collect()
    };
    let called = ids(Role::Assistant);
    let answered = ids(Role::User);
    assert_eq!(
        answered,
        [called[1].clone(), called[0].clone(), called[2].clone()]
    );
}

#[test]
fn answers_come_back_as_they_were() {
    for name in names("answers") {
        let body = json(&format!("gemini/answers/{name}.json"));
        let answer = decode_answer(body.clone()).expect(&name);
        let encoded = encode_answer(&answer, &told());
        assert_eq!(encoded.body, body, "{name}");
        assert_eq!(encoded.dropped, [], "{name}");
    }
}

#[test]
fn answers_in_the_neutral_form() {
    for name in [
        "thinking",
        "grounded",
        "recited",
        "tool_calls_without_ids",
        "blocked_prompt",
        "malformed_call",
    ] {
        let answer = decode_answer(json(&format!("gemini/answers/{name}.json"))).unwrap();
        insta::assert_debug_snapshot!(format!("gemini_answer_{name}"), answer);
    }
}

fn events(stream: &str, at: usize) -> Vec<ChatEvent> {
    let mut decoder = StreamDecoder::default();
    let mut events: Vec<ChatEvent> = parted(stream, at)
        .iter()
        .flat_map(|event| decoder.push(event))
        .collect();
    events.extend(decoder.finish());
    assert_eq!(decoder.finish(), []);
    events
}

fn collected(events: &[ChatEvent]) -> Result<Answer, Fault> {
    let mut collector = Collector::default();
    for event in events {
        collector.push(event.clone())?;
    }
    Ok(collector.finish())
}

fn written(events: &[ChatEvent], mut encoder: StreamEncoder) -> String {
    let mut out = Vec::new();
    for event in events {
        encoder.push(event.clone(), &mut out);
    }
    encoder.finish(&mut out);
    assert_eq!(encoder.dropped(), []);
    String::from_utf8(out).expect("UTF-8")
}

/// A server-sent event.
fn framed(value: &Value) -> String {
    format!("data: {value}\n\n")
}

/// Usage is told again and again: only the last one is right.
fn settled(mut events: Vec<ChatEvent>) -> Vec<ChatEvent> {
    let last = events
        .iter()
        .rposition(|event| matches!(event, ChatEvent::Usage(_)));
    let mut at = 0;
    events.retain(|event| {
        at += 1;
        !matches!(event, ChatEvent::Usage(_)) || Some(at - 1) == last
    });
    let usage = events
        .iter()
        .position(|event| matches!(event, ChatEvent::Usage(_)));
    if let Some(usage) = usage {
        let usage = events.remove(usage);
        events.push(usage);
    }
    events
}

/// Each part begins once, goes on while it is open, and ends.
fn well_formed(events: &[ChatEvent]) {
    let mut open = Vec::new();
    let mut next = 0;
    for event in events {
        match event {
            ChatEvent::PartStart { index, .. } => {
                assert_eq!(*index, next);
                next += 1;
                open.push(*index);
            }
            ChatEvent::Delta { index, .. } => assert!(open.contains(index), "{event:?}"),
            ChatEvent::PartStop { index } => {
                assert!(open.contains(index), "{event:?}");
                open.retain(|other| other != index);
            }
            _ => {}
        }
    }
    let broken = matches!(events.last(), Some(ChatEvent::Fault(_)));
    assert!(broken || open.is_empty(), "{open:?}");
}

#[test]
fn streams_are_the_same_wherever_they_are_cut() {
    for name in names("streams") {
        let stream = text(&format!("gemini/streams/{name}.sse"));
        let whole = events(&stream, 0);
        well_formed(&whole);
        for at in 1..stream.len() {
            assert_eq!(events(&stream, at), whole, "{name} at {at}");
        }
        insta::assert_debug_snapshot!(format!("gemini_stream_{name}"), collected(&whole));
    }
}

#[test]
fn streams_come_back_as_they_were() {
    for name in names("streams") {
        let first = events(&text(&format!("gemini/streams/{name}.sse")), 0);
        let again = events(&written(&first, StreamEncoder::new(told())), 0);
        if name == "error" || name == "broken_off" {
            assert!(matches!(first.last(), Some(ChatEvent::Fault(_))));
            assert!(
                matches!(again.last(), Some(ChatEvent::Fault(fault)) if fault.class == FaultClass::Overloaded)
            );
            continue;
        }
        assert_eq!(settled(again), settled(first.clone()), "{name}");
        let list: Value =
            serde_json::from_str(&written(&first, StreamEncoder::array(told()))).expect(&name);
        let list = list
            .as_array()
            .unwrap()
            .iter()
            .fold(String::new(), |stream, one| stream + &framed(one));
        assert_eq!(settled(events(&list, 0)), settled(first), "{name}");
    }
}

#[test]
fn a_stream_and_the_whole_answer_say_the_same() {
    for name in names("answers") {
        let body = json(&format!("gemini/answers/{name}.json"));
        let answer = decode_answer(body).unwrap();
        let streamed = written(&answer.events(), StreamEncoder::new(told()));
        assert_eq!(collected(&events(&streamed, 0)).unwrap(), answer, "{name}");
    }
    assert_eq!(written(&[], StreamEncoder::array(told())), "[]\n");
}

#[test]
fn errors_say_what_is_wrong() {
    use FaultClass::{
        ContextLength, Exhausted, Forbidden, Invalid, NotFound, Overloaded, RateLimited, Timeout,
        Unauthenticated, Unsupported, Upstream,
    };
    let table = [
        ("invalid", 400, Invalid),
        ("key", 400, Unauthenticated),
        ("context", 400, ContextLength),
        ("forbidden", 403, Forbidden),
        ("location", 400, Forbidden),
        ("not_found", 404, NotFound),
        ("rate", 429, RateLimited),
        ("credits", 429, Exhausted),
        ("overloaded", 503, Overloaded),
        ("internal", 500, Upstream),
        ("deadline", 504, Timeout),
        ("in_a_list", 429, RateLimited),
        ("unauthenticated", 401, Unauthenticated),
        ("unimplemented", 501, Unsupported),
        ("aborted", 409, Upstream),
        ("no_details", 500, Upstream),
    ];
    assert_eq!(table.len(), names("errors").len());
    for (name, status, class) in table {
        let body = text(&format!("gemini/errors/{name}.json"));
        let fault = decode_error(status, body.as_bytes());
        assert_eq!(fault.class, class, "{name}");
        let encoded = encode_error(&fault);
        let again = decode_error(encoded.status, encoded.body.to_string().as_bytes());
        assert_eq!(
            (&again.message, again.retry_after),
            (&fault.message, fault.retry_after),
            "{name}"
        );
        assert_eq!(encoded.body["error"]["code"], encoded.status, "{name}");
    }
    let rate = decode_error(429, text("gemini/errors/rate.json").as_bytes());
    assert_eq!(rate.retry_after, Some(Duration::from_millis(34_500)));
    let invalid = decode_error(400, text("gemini/errors/invalid.json").as_bytes());
    assert_eq!(invalid.field.as_deref(), Some("contents[0]"));
    assert_eq!(decode_error(502, b"<html>").class, Upstream);
}

fn call(id: &str, signature: Option<Signature>) -> Part {
    Part::ToolCall(ToolCall {
        id: id.to_owned(),
        name: "now".to_owned(),
        arguments: String::new(),
        signature,
        custom: false,
        cache: None,
    })
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

fn signature(dialect: Dialect, value: &str) -> Signature {
    Signature {
        dialect,
        value: value.to_owned(),
    }
}

/// A conversation that another model and another dialect began.
fn foreign() -> ChatRequest {
    let picture = Part::Image(Image {
        source: Source::Inline {
            media_type: "image/png".to_owned(),
            data: "AAAA".to_owned(),
        },
        detail: None,
        cache: None,
    });
    let thought = Part::Thought(Thought {
        text: "hm".to_owned(),
        signature: Some(signature(Dialect::Anthropic, "c2ln")),
        ..Thought::default()
    });
    ChatRequest {
        turns: vec![
            Turn::new(Role::System, vec![Part::text("Be short.")]),
            Turn::new(Role::User, vec![Part::text("Time?")]),
            Turn::new(
                Role::Assistant,
                vec![
                    thought,
                    Part::text(""),
                    call("call_1", None),
                    call("call_2", None),
                ],
            ),
            Turn::new(Role::User, vec![result("call_1", vec![picture], false)]),
            Turn::new(
                Role::User,
                vec![result("call_2", vec![Part::text("{}")], true)],
            ),
            Turn::new(Role::System, vec![Part::text("Be kind.")]),
        ],
        tools: vec![Tool::Function(Function {
            name: "now".to_owned(),
            description: None,
            parameters: None,
            strict: Some(true),
            cache: None,
        })],
        tool_choice: Some(ToolChoice::Required),
        reasoning: Some(Reasoning {
            effort: Some("high".to_owned()),
            ..Reasoning::default()
        }),
        user: Some("me".to_owned()),
        ..ChatRequest::default()
    }
}

#[test]
fn another_dialects_conversation_is_said_in_geminis_words() {
    let three = sent(&foreign(), "models/gemini-3-pro-preview");
    let picture = json!({"inlineData": {"mimeType": "image/png", "data": "AAAA"}});
    let expected = json!({
        "systemInstruction": {"parts": [{"text": "Be short."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Time?"}]},
            {"role": "model", "parts": [
                {"functionCall": {"id": "call_1", "name": "now", "args": {}},
                 "thoughtSignature": "skip_thought_signature_validator"},
                {"functionCall": {"id": "call_2", "name": "now", "args": {}}},
            ]},
            {"role": "user", "parts": [
                {"functionResponse": {"id": "call_1", "name": "now", "response": {"output": ""}, "parts": [picture]}},
                {"functionResponse": {"id": "call_2", "name": "now", "response": {"error": "{}"}}},
                {"text": "Be kind."},
            ]},
        ],
        "tools": [{"functionDeclarations": [{"name": "now"}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
        "generationConfig": {"thinkingConfig": {"includeThoughts": true, "thinkingLevel": "HIGH"}},
    });
    assert_eq!(three.body, expected);
    let fields: Vec<&str> = three
        .dropped
        .iter()
        .map(|dropped| dropped.field.as_str())
        .collect();
    assert_eq!(
        fields,
        [
            "turns[2].parts[0]",
            "turns[5].role",
            "tools[0].strict",
            "user"
        ]
    );

    // Models before 3 read media after the result only, need no signature, and think by a number of tokens.
    let two = sent(&foreign(), "gemini-2.5-flash").body;
    let contents = &two["contents"];
    assert_eq!(contents[1]["parts"][0].get("thoughtSignature"), None);
    assert_eq!(contents[2]["parts"][1], picture);
    assert_eq!(
        two["generationConfig"]["thinkingConfig"],
        json!({"includeThoughts": true, "thinkingBudget": 24_576})
    );
    let older = sent(&foreign(), "gemini-2.0-flash");
    assert_eq!(older.body.get("generationConfig"), None);
    assert!(
        older
            .dropped
            .iter()
            .any(|dropped| dropped.field == "reasoning")
    );
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let refused = |change: &dyn Fn(&mut ChatRequest)| {
        let mut request = foreign();
        change(&mut request);
        let fault = encode_request(&request, &model("gemini-2.5-pro")).unwrap_err();
        assert_eq!(fault.class, FaultClass::Invalid);
        fault.field.unwrap()
    };
    let strange = || Opaque {
        dialect: Dialect::Anthropic,
        kind: "web_search".to_owned(),
        value: json!({}),
    };
    assert_eq!(
        refused(&|request| request.sampling.candidates = Some(2)),
        "sampling.candidates"
    );
    assert_eq!(
        refused(&|request| request.tools.push(Tool::Opaque(strange()))),
        "tools[1]"
    );
    assert_eq!(
        refused(&|request| request.turns[1].parts.push(Part::Opaque(strange()))),
        "turns[1].parts[1]"
    );
    assert_eq!(
        refused(&|request| request.turns[1].parts.push(Part::Image(Image {
            source: Source::File {
                dialect: Dialect::OpenaiChat,
                id: "file-1".to_owned()
            },
            detail: None,
            cache: None,
        }))),
        "turns[1].parts[1]"
    );
    assert_eq!(
        refused(&|request| request.turns[3].parts.push(result("x", vec![], false))),
        "turns[3].parts[1].id"
    );
    assert_eq!(
        refused(&|request| {
            request.rest.dialect = Some(Dialect::OpenaiChat);
            request
                .rest
                .fields
                .insert("modalities".to_owned(), json!(["text", "audio"]));
        }),
        "modalities"
    );
    for (body, field) in [
        (json!({"contents": 1}), "contents"),
        (json!({"contents": [{"role": "x"}]}), "contents[0].role"),
        (
            json!({"contents": [{"parts": [{"text": 1}]}]}),
            "contents[0].parts[0].text",
        ),
        (
            json!({"generation_config": {"topP": "x"}}),
            "generationConfig.topP",
        ),
        (
            json!({"tools": [{"functionDeclarations": [{}]}]}),
            "tools[0].functionDeclarations[0].name",
        ),
    ] {
        assert_eq!(
            decode_request(body).unwrap_err().field.as_deref(),
            Some(field)
        );
    }
}

/// Thoughts of another dialect go through a caller of this one, and come back exactly: whole or streamed.
#[test]
fn signed_thinking_of_another_dialect_survives_the_caller() {
    let thoughts = vec![
        Part::Thought(Thought {
            text: "Let me see.".to_owned(),
            signature: Some(signature(Dialect::Anthropic, "EqQBCg+/==")),
            ..Thought::default()
        }),
        // Signed thinking with an empty text.
        Part::Thought(Thought {
            signature: Some(signature(Dialect::Anthropic, "b")),
            ..Thought::default()
        }),
        Part::Thought(Thought {
            sealed: Some(signature(Dialect::OpenaiResponses, "gAAAA")),
            id: Some("rs_1".to_owned()),
            ..Thought::default()
        }),
        // OpenAI takes back a summary as a summary only.
        Part::Thought(Thought {
            text: "In short.".to_owned(),
            summary: true,
            sealed: Some(signature(Dialect::OpenaiResponses, "gBBBB")),
            id: Some("rs_2".to_owned()),
            ..Thought::default()
        }),
    ];
    let answer = Answer {
        parts: thoughts.clone(),
        stop: Some(Stop::End),
        ..Answer::default()
    };
    let whole = encode_answer(&answer, &told()).body["candidates"][0]["content"].clone();
    let mut pieces = Vec::new();
    let mut encoder = StreamEncoder::new(told());
    for event in answer.events() {
        // Text that arrives in pieces.
        if let ChatEvent::Delta {
            index,
            delta: Delta::Text(text),
        } = &event
        {
            for letter in text.chars() {
                let delta = Delta::Text(letter.to_string());
                encoder.push(
                    ChatEvent::Delta {
                        index: *index,
                        delta,
                    },
                    &mut pieces,
                );
            }
        } else {
            encoder.push(event, &mut pieces);
        }
    }
    let streamed: Vec<Value> = parted(std::str::from_utf8(&pieces).unwrap(), 0)
        .iter()
        .map(|event| {
            serde_json::from_str::<Value>(&event.data).unwrap()["candidates"][0]["content"].clone()
        })
        .collect();
    assert!(streamed.len() > 10);
    for contents in [vec![whole], streamed] {
        let request = decode_request(json!({"contents": contents})).unwrap();
        assert_eq!(request.turns[0].parts, thoughts);
        // And they are never sent to Gemini.
        let sent = sent(&request, "gemini-3-flash-preview");
        assert!(
            !sent.body.to_string().contains("thoughtSignature"),
            "{}",
            sent.body
        );
        assert_eq!(sent.dropped.len(), 4);
    }
}

/// What Google keeps of a prompt is missing anywhere else.
#[test]
fn a_cached_part_of_the_prompt_goes_to_google_only() {
    let contents = json!([{"role": "user", "parts": [{"text": "Hi"}]}]);
    for name in ["cachedContent", "cached_content"] {
        let request =
            decode_request(json!({"contents": contents, name: "cachedContents/1"})).unwrap();
        for dialect in Dialect::ALL {
            let written = dialect.encode_request(&request, &model("m"));
            let field = written.map_err(|fault| fault.field.unwrap());
            match dialect {
                Dialect::Gemini => {
                    assert_eq!(field.unwrap().body["cachedContent"], "cachedContents/1");
                }
                _ => assert_eq!(field.unwrap_err(), "cachedContent"),
            }
        }
    }
}

/// Google's SDKs write the alphabet of URLs; OpenAI, Anthropic and Bedrock do not read it.
#[test]
fn what_is_lost_of_the_config_is_named_by_its_field() {
    let config = json!({
        "temperature": 0.5, "mediaResolution": "MEDIA_RESOLUTION_LOW", "responseMimeType": "text/plain",
    });
    let contents = json!([{"role": "user", "parts": [{"text": "Hi"}]}]);
    let body = json!({"contents": contents, "generationConfig": config});
    let request = decode_request(body).expect("a request");
    for target in Dialect::ALL {
        let written = target
            .encode_request(&request, &model("m"))
            .expect("can be said");
        let dropped: Vec<String> = written.dropped.into_iter().map(|one| one.field).collect();
        let lost = ["generationConfig.mediaResolution"];
        let expected = &lost[usize::from(target == Dialect::Gemini)..];
        assert_eq!(dropped, expected, "{target:?}");
    }
}

#[test]
fn an_image_that_google_keeps_is_not_sent_elsewhere() {
    let image = json!({"fileData": {"mimeType": "image/png", "fileUri": "gs://bucket/a.png"}});
    let body = json!({"contents": [{"role": "user", "parts": [image]}]});
    let request = decode_request(body).expect("a request");
    for target in Dialect::ALL {
        let written = target.encode_request(&request, &model("m"));
        assert_eq!(written.is_ok(), target == Dialect::Gemini, "{target:?}");
    }
}

#[test]
fn an_answer_that_only_gemini_gives_is_asked_of_it_alone() {
    for (config, field) in [
        (
            json!({"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING", "enum": ["a"]}}),
            Some("generationConfig.responseMimeType"),
        ),
        (
            json!({"response_modalities": ["TEXT", "IMAGE"]}),
            Some("generationConfig.responseModalities"),
        ),
        (json!({"responseModalities": ["Text"]}), None),
        (json!({"responseMimeType": "text/plain"}), None),
    ] {
        let contents = json!([{"role": "user", "parts": [{"text": "Hi"}]}]);
        let body = json!({"contents": contents, "generationConfig": config});
        let request = decode_request(body).expect("a request");
        for target in Dialect::ALL {
            let written = target.encode_request(&request, &model("m"));
            let refused = written.err().and_then(|fault| fault.field);
            let expected = field.filter(|_| target != Dialect::Gemini);
            assert_eq!(refused.as_deref(), expected, "{target:?} {config}");
        }
    }
}

#[test]
fn bytes_are_passed_on_in_the_standard_alphabet() {
    let inline = json!({"inlineData": {"mimeType": "image/png", "data": "-_-_Zg"}});
    let contents = json!([{"role": "user", "parts": [inline]}]);
    let request = decode_request(json!({"contents": contents})).unwrap();
    let Part::Image(image) = &request.turns[0].parts[0] else {
        panic!("{request:?}");
    };
    let expected = Source::Inline {
        media_type: "image/png".to_owned(),
        data: "+/+/Zg==".to_owned(),
    };
    assert_eq!(image.source, expected);
}

// BerriAI/litellm#25836: arguments of Gemini's calls were lost, in streams only.
// agentgateway/agentgateway#2801: of several calls that Gemini makes at once, some were lost.
#[test]
fn arguments_of_streamed_calls_are_kept_and_parallel_calls_are_apart() {
    let answer = collected(&events(&text("gemini/streams/thinking_calls.sse"), 0)).unwrap();
    let calls: Vec<(&str, &str, Option<&str>)> = answer
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::ToolCall(call) => {
                let signature = call
                    .signature
                    .as_ref()
                    .map(|signature| signature.value.as_str());
                Some((call.name.as_str(), call.arguments.as_str(), signature))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        calls,
        [
            ("get_weather", r#"{"location":"Paris"}"#, Some("U2lnQQ==")),
            ("get_weather", r#"{"location":"London"}"#, None),
            ("now", "{}", None),
        ]
    );
    assert_eq!(answer.stop, Some(Stop::ToolCalls));
}

/// Deltas of two calls may alternate in other dialects; here each is written once, whole.
#[test]
fn alternating_calls_are_held_back_until_they_are_whole() {
    let start = |index| ChatEvent::PartStart {
        index,
        part: PartStart::ToolCall {
            id: format!("c{index}"),
            name: "f".to_owned(),
            custom: false,
        },
    };
    let delta = |index, text: &str| ChatEvent::Delta {
        index,
        delta: Delta::Arguments(text.to_owned()),
    };
    let events = [
        start(0),
        delta(0, "{\"a\":"),
        start(1),
        delta(1, ""),
        ChatEvent::PartStop { index: 1 },
        delta(0, "1}"),
        ChatEvent::PartStop { index: 0 },
        ChatEvent::Stop(Stop::ToolCalls),
    ];
    let stream = written(&events, StreamEncoder::new(told()));
    let chunks: Vec<Value> = parted(&stream, 0)
        .iter()
        .map(|event| serde_json::from_str(&event.data).unwrap())
        .collect();
    assert_eq!(
        chunks[0]["candidates"][0]["content"]["parts"],
        json!([
            {"functionCall": {"id": "c0", "name": "f", "args": {"a": 1}}},
            {"functionCall": {"id": "c1", "name": "f", "args": {}}},
        ])
    );
    assert_eq!(chunks[1]["candidates"][0]["finishReason"], "STOP");
    assert_eq!(chunks.len(), 2);
}

/// llm-gateway #136: a call that was cut is not passed on as if it were whole.
#[test]
fn a_call_that_was_cut_is_not_written() {
    for (stop, reason) in [
        (Stop::Length, "MAX_TOKENS"),
        (Stop::ToolCalls, "MALFORMED_FUNCTION_CALL"),
    ] {
        let mut cut = call("c", None);
        if let Part::ToolCall(call) = &mut cut {
            "{\"a\": [1,".clone_into(&mut call.arguments);
        }
        let answer = Answer {
            parts: vec![cut],
            stop: Some(stop),
            ..Answer::default()
        };
        let encoded = encode_answer(&answer, &told());
        assert_eq!(encoded.body["candidates"][0]["content"]["parts"], json!([]));
        assert_eq!(encoded.body["candidates"][0]["finishReason"], reason);
        assert_eq!(encoded.dropped[0].field, "parts[0]");
    }
}

// langwatch/langwatch#7018: what came from a cache was charged eleven times too dear.
/// Cached tokens are in the prompt's, thoughts are not in the candidates'.
#[test]
fn cached_tokens_count_once_and_thoughts_are_output() {
    let usage = decode_answer(json!({"usageMetadata": {
        "promptTokenCount": 100, "cachedContentTokenCount": 60, "toolUsePromptTokenCount": 10,
        "candidatesTokenCount": 5, "thoughtsTokenCount": 20, "totalTokenCount": 135,
    }}))
    .unwrap()
    .usage
    .unwrap();
    assert_eq!(
        (usage.input, usage.cached, usage.output, usage.reasoning),
        (110, 60, 25, 20)
    );
    assert_eq!((usage.uncached(), usage.total()), (50, 135));
}

#[test]
fn citations_of_another_dialect_become_grounding() {
    let answer = Answer {
        parts: vec![Part::Text(Text {
            text: "Größe zählt".to_owned(),
            citations: vec![Citation {
                url: Some("https://a.example".to_owned()),
                title: Some("A".to_owned()),
                span: Some((6, 11)),
                ..Citation::default()
            }],
            cache: None,
        })],
        stop: Some(Stop::End),
        ..Answer::default()
    };
    let body = encode_answer(&answer, &told()).body;
    assert_eq!(
        body["candidates"][0]["groundingMetadata"],
        json!({
            "groundingChunks": [{"web": {"uri": "https://a.example", "title": "A"}}],
            "groundingSupports": [{
                "segment": {"partIndex": 0, "startIndex": 8, "endIndex": 14, "text": "zählt"},
                "groundingChunkIndices": [0],
            }],
        })
    );
    assert_eq!(
        (&body["modelVersion"], &body["responseId"]),
        (&json!("asked-for"), &json!("0f"))
    );
    let again = decode_answer(body).unwrap();
    assert!(matches!(&again.parts[0], Part::Text(text) if text.citations[0].span == Some((6, 11))));
}

#[test]
fn a_markers_call_gets_its_signature_back_from_another_dialect() {
    let mut request = foreign();
    let marker = Part::Thought(Thought {
        summary: true,
        signature: Some(signature(Dialect::Gemini, "U2lnQQ==")),
        ..Thought::default()
    });
    request.turns[2].parts = vec![marker, call("call_1", None), call("call_2", None)];
    let body = sent(&request, "gemini-3-pro-preview").body;
    assert_eq!(
        body["contents"][1]["parts"][0]["thoughtSignature"],
        "U2lnQQ=="
    );
    assert_eq!(body["contents"][1]["parts"].as_array().unwrap().len(), 2);
}

#[test]
fn sloppy_answers_are_understood() {
    let answer = decode_answer(json!([])).unwrap_err();
    assert_eq!(answer.class, FaultClass::Upstream);
    let answer = decode_answer(json!({"candidates": [{"content": {"parts": [
        {"functionCall": {"name": "f", "args": "{\"a\":1}"}}, {"functionCall": {"name": "g"}},
    ]}, "finishReason": ""}]}))
    .unwrap();
    let arguments: Vec<&str> = answer
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::ToolCall(call) => Some(call.arguments.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(arguments, ["{\"a\":1}", "{}"]);
    assert_eq!(answer.stop, None);
    assert_eq!(decode_answer(json!({"candidates": []})).unwrap().parts, []);
}

/// JSON that is often nearly right.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-zA-Z$.\\[\\]0-9é=]{0,12}".prop_map(Value::from),
        Just(json!("STOP")),
        Just(json!("model")),
        Just(json!("$.a[3].b")),
    ];
    let key = prop_oneof![
        Just("contents"),
        Just("candidates"),
        Just("content"),
        Just("parts"),
        Just("text"),
        Just("role"),
        Just("functionCall"),
        Just("function_response"),
        Just("name"),
        Just("args"),
        Just("response"),
        Just("partialArgs"),
        Just("jsonPath"),
        Just("stringValue"),
        Just("willContinue"),
        Just("thought"),
        Just("thoughtSignature"),
        Just("inlineData"),
        Just("fileData"),
        Just("mimeType"),
        Just("fileUri"),
        Just("tools"),
        Just("functionDeclarations"),
        Just("parameters"),
        Just("toolConfig"),
        Just("type"),
        Just("functionCallingConfig"),
        Just("mode"),
        Just("generationConfig"),
        Just("thinkingConfig"),
        Just("groundingMetadata"),
        Just("groundingSupports"),
        Just("groundingChunks"),
        Just("segment"),
        Just("citationMetadata"),
        Just("citations"),
        Just("startIndex"),
        Just("endIndex"),
        Just("finishReason"),
        Just("usageMetadata"),
        Just("promptTokenCount"),
        Just("promptFeedback"),
        Just("error"),
        Just("details"),
    ];
    leaf.prop_recursive(7, 48, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..5).prop_map(|fields| {
                let fields = fields
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value));
                Value::Object(fields.collect())
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn nothing_panics_on_any_json(value in anything()) {
        if let Ok(request) = decode_request(value.clone()) {
            let _ = encode_request(&request, &model("gemini-3-pro"));
        }
        if let Ok(request) = decode_request(json!({"contents": [{"role": "model", "parts": [value.clone()]}], "tools": [value.clone()]})) {
            let _ = encode_request(&request, &model("gemini-2.5-pro"));
        }
        let answers = [value.clone(), json!({"candidates": [value.clone()]}), json!({"candidates": [{"content": {"parts": [value.clone(), value.clone()]}}]})];
        let mut stream = String::new();
        for answer in answers {
            stream += &framed(&answer);
            if let Ok(answer) = decode_answer(answer) {
                encode_answer(&answer, &told());
            }
        }
        well_formed(&events(&stream, 0));
        decode_error(500, value.to_string().as_bytes());
    }
}
