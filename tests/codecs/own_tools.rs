//! Tools that only OpenAI's dialects have, asked of models that are told in other ones; in the form Codex sends them.

#![expect(
    clippy::unwrap_used,
    reason = "in a test, a failed unwrap is a failed test"
)]

use causeway::llm::answer::{Answer, ChatEvent, Collector, Delta, PartStart, Stop};
use causeway::llm::chat::{ChatRequest, Part, Signature, Thought, ToolCall};
use causeway::llm::codec::{StreamDecoder, StreamEncoder};
use causeway::llm::dialect::{Dialect, OwnTools, TargetModel, Told};
use causeway::llm::relay::{Across, Relay};
use serde_json::{Value, json};

/// What is asked with these tools, after a call of each of the caller's.
fn asked(tools: &Value, choice: &str) -> ChatRequest {
    let body = json!({
        "model": "m",
        "tool_choice": choice,
        "tools": tools,
        "input": [
            {"type": "message", "role": "user", "content": "Change it."},
            {"type": "function_call", "call_id": "c1", "namespace": "agents", "name": "start", "arguments": "{\"of\":1}"},
            {"type": "function_call_output", "call_id": "c1", "output": "started"},
            {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "*** Begin"},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": "done"},
        ],
    });
    Dialect::OpenaiResponses.decode_request(body).unwrap()
}

fn tools() -> Value {
    json!([
        {"type": "function", "name": "run", "parameters": {"type": "object", "properties": {}}},
        {"type": "namespace", "name": "agents", "description": "Others", "tools": [
            {"type": "function", "name": "start", "strict": false, "parameters": {"type": "object", "properties": {"of": {"type": "integer"}}}},
        ]},
        {"type": "custom", "name": "patch", "description": "Changes files", "format": {"type": "grammar", "syntax": "lark", "definition": "start: X"}},
        {"type": "web_search", "external_web_access": true},
    ])
}

fn model() -> TargetModel {
    TargetModel {
        name: "claude-sonnet-4-5".to_owned(),
        max_output_tokens: Some(4096),
    }
}

fn told(request: &ChatRequest) -> Told {
    Told {
        model: "m".to_owned(),
        request_id: "0a1b".to_owned(),
        now: 1_700_000_000,
        stream_usage: true,
        tools: OwnTools::of(request),
    }
}

#[test]
fn every_dialect_is_told_of_the_tools_the_caller_runs() {
    let request = asked(&tools(), "auto");
    for target in Dialect::ALL {
        let encoded = target.encode_request(&request, &model()).unwrap();
        let dropped: Vec<&str> = encoded
            .dropped
            .iter()
            .map(|one| one.field.as_str())
            .collect();
        if target == Dialect::OpenaiResponses {
            assert_eq!(encoded.body["tools"], tools());
            assert_eq!(encoded.body["input"][1]["namespace"], "agents");
            assert_eq!(encoded.body["input"][1]["name"], "start");
            assert_eq!(encoded.body["input"][3]["type"], "custom_tool_call");
            continue;
        }
        assert!(dropped.contains(&"tools[3]"), "{target:?}: {dropped:?}");
        let text = encoded.body.to_string();
        for (what, times) in [
            ("\"agents__start\"", 2),
            ("\"patch\"", 2),
            ("web_search", 0),
            ("namespace", 0),
            ("grammar (lark)", 1),
            ("*** Begin", 1),
        ] {
            // Gemini names the tool of a result, too.
            let names = target == Dialect::Gemini && what.starts_with('"');
            assert_eq!(
                text.matches(what).count(),
                times + usize::from(names),
                "{what} {target:?}: {text}"
            );
        }
        assert!(
            text.contains(r#""input":"*** Begin""#)
                || text.contains(r#"{\"input\":\"*** Begin\"}"#),
            "{text}"
        );
    }
}

#[test]
fn a_tool_of_a_provider_that_is_wanted_is_refused() {
    let search = json!([{"type": "web_search"}]);
    for (tools, choice) in [(&search, "auto"), (&tools(), "required")] {
        let request = asked(tools, choice);
        for target in Dialect::ALL {
            let written = target.encode_request(&request, &model());
            assert_eq!(
                written.is_ok(),
                target == Dialect::OpenaiResponses,
                "{target:?} {choice}"
            );
        }
    }
}

#[test]
fn what_of_a_namespace_nobody_else_has_is_named() {
    let mut tools = tools();
    let inner = tools[1]["tools"].as_array_mut().unwrap();
    inner.insert(0, json!({"type": "web_search"}));
    inner.push(json!({"type": "custom", "name": "write"}));
    inner.push(json!({"type": "function"}));
    let empty = json!({"type": "namespace", "name": "web", "tools": [{"type": "web_search"}]});
    tools.as_array_mut().unwrap().push(empty);
    let request = asked(&tools, "auto");
    for target in Dialect::ALL {
        let encoded = target.encode_request(&request, &model()).unwrap();
        let dropped = encoded.dropped.iter().map(|one| one.field.as_str());
        let mut dropped: Vec<&str> = dropped.filter(|field| field.starts_with("tools")).collect();
        dropped.sort_unstable();
        if target == Dialect::OpenaiResponses {
            assert_eq!(dropped, Vec::<&str>::new());
            continue;
        }
        let expected = [
            "tools[1].tools[0]",
            "tools[1].tools[3]",
            "tools[3]",
            "tools[4]",
        ];
        assert_eq!(dropped, expected, "{target:?}");
        let text = encoded.body.to_string();
        assert!(text.contains("\"agents__write\""), "{text}");
    }
    // Where there is nothing else, that is no empty list of tools.
    let alone = json!([{"type": "namespace", "name": "web", "tools": [{"type": "web_search"}]}]);
    let request = asked(&alone, "auto");
    for target in Dialect::ALL {
        let written = target.encode_request(&request, &model());
        let is_own = target == Dialect::OpenaiResponses;
        assert_eq!(written.is_ok(), is_own, "{target:?}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table of cases")]
fn others_are_told_only_of_the_tools_that_may_be_called() {
    let responses = |tools: Value, mode: &str| {
        let mut body = json!({"model": "m", "input": "Go.", "tools": self::tools()});
        body["tool_choice"] = json!({"type": "allowed_tools", "mode": mode, "tools": tools});
        Dialect::OpenaiResponses.decode_request(body).unwrap()
    };
    let function = |name: &str| json!({"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}});
    let custom = json!({"type": "custom", "custom": {"name": "patch"}});
    let chat = json!({
        "model": "m", "messages": [{"role": "user", "content": "Go."}],
        "tools": [function("run"), function("stop"), custom],
        "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [
            {"type": "function", "function": {"name": "run"}}, custom,
        ]}},
    });
    let gemini = |mode: &str| {
        json!({
            "model": "m", "contents": [{"role": "user", "parts": [{"text": "Go."}]}],
            "tools": [{"functionDeclarations": [{"name": "run"}, {"name": "stop"}, {"name": "patch"}]}],
            "toolConfig": {"functionCallingConfig": {"mode": mode, "allowedFunctionNames": ["run", "patch"]}},
        })
    };
    let of = |dialect: Dialect, body: Value| dialect.decode_request(body).unwrap();
    let named = |name: &str| json!({"type": "function", "name": name});
    let start = json!({"type": "function", "namespace": "agents", "name": "start"});
    let patch = json!({"type": "custom", "name": "patch"});
    for (request, told) in [
        (
            responses(json!([named("run")]), "required"),
            &["run"] as &[&str],
        ),
        (
            responses(json!([named("run"), patch]), "auto"),
            &["run", "patch"],
        ),
        (responses(json!([start]), "auto"), &["agents__start"]),
        (
            responses(json!([named("start")]), "auto"),
            &["agents__start"],
        ),
        (
            responses(json!([{"type": "namespace", "name": "agents"}]), "auto"),
            &["agents__start"],
        ),
        (of(Dialect::OpenaiChat, chat), &["run", "patch"]),
        (of(Dialect::Gemini, gemini("ANY")), &["run", "patch"]),
        (of(Dialect::Gemini, gemini("VALIDATED")), &["run", "patch"]),
    ] {
        let own = request.rest.dialect.unwrap();
        for target in Dialect::ALL {
            let encoded = target.encode_request(&request, &model()).unwrap();
            let text = encoded.body.to_string();
            let names = ["run", "stop", "patch", "agents__start"];
            let mut there: Vec<&str> = names.to_vec();
            there.retain(|name| text.contains(&format!("\"name\":\"{name}\"")));
            if target == own {
                let restricts = text.contains("allowed_tools") || text.contains("allowedFunction");
                assert!(restricts && there.len() > 1, "{text}");
                continue;
            }
            assert_eq!(there, told, "{own:?} -> {target:?}: {text}");
            let is_choice = |field: &str| field == "tool_choice";
            let dropped = encoded.dropped.iter().any(|one| is_choice(&one.field));
            assert!(!dropped, "{own:?} -> {target:?}: {:?}", encoded.dropped);
        }
    }
    // That a model may also say something is a word of its own.
    for (mode, is_lost) in [("ANY", false), ("VALIDATED", true)] {
        let request = of(Dialect::Gemini, gemini(mode));
        let encoded = Dialect::Anthropic.encode_request(&request, &model());
        let dropped = encoded.unwrap().dropped;
        let lost = dropped.iter().any(|one| one.field == "toolConfig");
        assert_eq!(lost, is_lost, "{mode}");
    }
}

/// What is left out of a chat with these fields for a dialect, or the field for which it is refused.
fn left_out(fields: &Value, target: Dialect) -> Result<Vec<String>, String> {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "News?"}]});
    let fields = fields.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(fields);
    let request = Dialect::OpenaiChat.decode_request(body).unwrap();
    let encoded = target.encode_request(&request, &model());
    let encoded = encoded.map_err(|fault| fault.field.unwrap_or_default())?;
    let names = encoded.dropped.into_iter().map(|one| one.field);
    Ok(names.collect())
}

#[test]
fn a_search_that_a_chat_asks_for_is_a_tool_of_responses() {
    let place = json!({"type": "approximate", "approximate": {"country": "GB", "city": "London"}});
    let options = json!({"search_context_size": "low", "user_location": place});
    let flat = json!({"type": "approximate", "country": "GB", "city": "London"});
    let search = json!({"type": "web_search", "search_context_size": "low", "user_location": flat});
    let run = json!({"type": "function", "function": {"name": "run"}});
    for (options, search) in [
        (options, search),
        (json!({}), json!({"type": "web_search"})),
    ] {
        let alone = json!({"web_search_options": options});
        let beside = json!({"web_search_options": options, "tools": [run]});
        for target in Dialect::ALL {
            let (without, with) = (left_out(&alone, target), left_out(&beside, target));
            if matches!(target, Dialect::OpenaiChat | Dialect::OpenaiResponses) {
                assert_eq!((without, with), (Ok(Vec::new()), Ok(Vec::new())));
                continue;
            }
            let name = "web_search_options".to_owned();
            assert_eq!(without, Err(name.clone()), "{target:?}");
            assert_eq!(with, Ok(vec![name]), "{target:?}");
        }
        let body =
            json!({"model": "m", "messages": [], "web_search_options": options, "tools": [run]});
        let request = Dialect::OpenaiChat.decode_request(body).unwrap();
        let encoded = Dialect::OpenaiResponses.encode_request(&request, &model());
        let tools = encoded.unwrap().body["tools"].clone();
        assert_eq!(
            (tools[0]["name"].as_str(), &tools[1]),
            (Some("run"), &search)
        );
    }
    for target in Dialect::ALL {
        let none = left_out(&json!({"web_search_options": null}), target);
        assert_eq!(none, Ok(Vec::new()), "{target:?}");
    }
}

#[test]
fn sound_in_an_answer_is_left_out_nowhere() {
    let fields =
        json!({"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}});
    for target in Dialect::ALL {
        let expected = match target {
            Dialect::OpenaiChat => Ok(Vec::new()),
            _ => Err("modalities".to_owned()),
        };
        assert_eq!(left_out(&fields, target), expected, "{target:?}");
    }
}

/// A conversation in Chat Completions with a custom tool, which it has called once.
fn chatted(tools: &Value) -> ChatRequest {
    let call =
        json!({"id": "c1", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}});
    let body = json!({
        "model": "m",
        "tools": tools,
        "messages": [
            {"role": "user", "content": "Change it."},
            {"role": "assistant", "content": null, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "done"},
        ],
    });
    Dialect::OpenaiChat.decode_request(body).unwrap()
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table of cases")]
fn custom_tools_of_chats_are_functions_to_others_and_come_back_as_they_are() {
    let grammar =
        json!({"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: X"}});
    let custom = json!({"type": "custom", "custom": {"name": "patch", "description": "Changes files", "format": grammar}});
    let run = json!({"type": "function", "function": {"name": "run", "parameters": {"type": "object", "properties": {}}}});
    for tools in [json!([custom, run]), json!([custom])] {
        let request = chatted(&tools);
        for target in Dialect::ALL {
            let encoded = target.encode_request(&request, &model()).unwrap();
            let text = encoded.body.to_string();
            let dropped = encoded.dropped.iter().map(|one| one.field.as_str());
            let dropped: Vec<&str> = dropped.filter(|field| field.contains("tool")).collect();
            assert_eq!(dropped, Vec::<&str>::new(), "{target:?}");
            let is_own = matches!(target, Dialect::OpenaiChat | Dialect::OpenaiResponses);
            for (what, of_openai) in [("grammar (lark)", false), ("\"grammar\"", true)] {
                assert_eq!(
                    text.contains(what),
                    of_openai == is_own,
                    "{target:?}: {text}"
                );
            }
            let wrapped = text.contains(r#""input":"*** Begin""#)
                || text.contains(r#"{\"input\":\"*** Begin\"}"#);
            assert!(wrapped, "{target:?}: {text}");
        }
    }
    let call = |name: &str, arguments: &str, custom: bool| {
        Part::ToolCall(ToolCall {
            id: name.to_owned(),
            name: name.to_owned(),
            arguments: arguments.to_owned(),
            signature: None,
            custom,
            cache: None,
        })
    };
    let told = told(&chatted(&json!([custom, run])));
    let text = "*** \"End\"\n";
    let wrapped = json!({"input": text}).to_string();
    for (of_provider, of_caller) in [
        (call("patch", &wrapped, false), call("patch", text, true)),
        // Cut, or by a model that did not keep to the schema.
        (
            call("patch", "{\"input\":\"*", false),
            call("patch", "{\"input\":\"*", true),
        ),
        // Of Responses, which has such tools.
        (call("patch", text, true), call("patch", text, true)),
        (call("run", "{}", false), call("run", "{}", false)),
    ] {
        let answer = Answer {
            parts: vec![of_provider],
            stop: Some(Stop::ToolCalls),
            ..Answer::default()
        };
        let whole = Dialect::OpenaiChat.encode_answer(&answer, &told).unwrap();
        let whole = Dialect::OpenaiChat.decode_answer(whole.body).unwrap();
        assert_eq!(whole.parts, [of_caller]);
        let mut encoder = StreamEncoder::new(Dialect::OpenaiChat, told.clone(), false).unwrap();
        let mut out = Vec::new();
        for event in answer.events() {
            encoder.push(event, &mut out);
        }
        encoder.finish(&mut out);
        assert_eq!(encoder.dropped(), []);
        let stream = String::from_utf8(out).unwrap();
        let events = crate::parted(&stream, stream.len() / 2);
        let mut decoder = StreamDecoder::new(Dialect::OpenaiChat);
        let mut said: Vec<ChatEvent> = events.iter().flat_map(|it| decoder.push(it)).collect();
        said.extend(decoder.finish());
        let mut collector = Collector::default();
        for event in said {
            collector.push(event).unwrap();
        }
        assert_eq!(collector.finish().parts, whole.parts, "{stream}");
    }
}

/// What a caller gets of an answer of Gemini's without a `responseId`, whole and as a stream: the ids of its calls.
fn called(caller: Dialect, request: &ChatRequest) -> [Vec<String>; 2] {
    let said = json!({
        "candidates": [{"content": {"role": "model", "parts": [
            {"functionCall": {"name": "run", "args": {"of": 1}}},
            {"functionCall": {"name": "run", "args": {"of": 2}}},
        ]}, "finishReason": "STOP"}],
        "modelVersion": "gemini",
    });
    let ids = |text: &str| -> Vec<String> {
        let found = text.match_indices("\"call_gm_").map(|(at, _)| {
            let rest = &text[at + 1..];
            rest[..rest.find('"').unwrap()].to_owned()
        });
        let mut ids: Vec<String> = found.collect();
        ids.sort();
        ids.dedup();
        ids
    };
    let answer = Dialect::Gemini.decode_answer(said.clone()).unwrap();
    let told = told(request);
    let whole = caller.encode_answer(&answer, &told).unwrap().body;
    let encoder = StreamEncoder::new(caller, told.clone(), false).unwrap();
    let across = Across::new(Dialect::Gemini, encoder, told);
    let (mut relay, mut out) = (Relay::Across(Box::new(across)), Vec::new());
    relay.push(format!("data: {said}\n\n").as_bytes(), &mut out);
    relay.finish(None, &mut out);
    [
        ids(&whole.to_string()),
        ids(&String::from_utf8(out).unwrap()),
    ]
}

#[test]
fn calls_that_gemini_gives_no_id_are_told_apart_in_a_conversation() {
    for caller in [
        Dialect::OpenaiChat,
        Dialect::OpenaiResponses,
        Dialect::Anthropic,
    ] {
        let mut known: Vec<String> = Vec::new();
        // The trace is the same one over all of it, as agents have it, and what is asked is the same again.
        for turn in 0..3 {
            let messages = json!([{"role": "user", "content": "Run it."}]);
            let body = json!({"model": "m", "messages": messages});
            let mut request = Dialect::OpenaiChat.decode_request(body).unwrap();
            for id in &known {
                let call = json!({"id": id, "type": "function", "function": {"name": "run", "arguments": "{}"}});
                let body = json!({"model": "m", "messages": [
                    {"role": "assistant", "content": null, "tool_calls": [call]},
                    {"role": "tool", "tool_call_id": id, "content": "done"},
                ]});
                let more = Dialect::OpenaiChat.decode_request(body).unwrap();
                request.turns.extend(more.turns);
            }
            let [whole, streamed] = called(caller, &request);
            assert_eq!(whole.len(), 2, "{caller:?} {turn}: {whole:?}");
            assert_eq!(whole, streamed, "{caller:?} {turn}");
            assert_eq!(called(caller, &request), [whole.clone(), streamed]);
            for id in whole {
                assert!(!known.contains(&id), "{caller:?} {turn}: {id} of {known:?}");
                known.push(id);
            }
        }
    }
}

/// The events that a caller of Responses is sent.
fn streamed(answer: &Answer, told: Told) -> Vec<Value> {
    let mut encoder = StreamEncoder::new(Dialect::OpenaiResponses, told, false).unwrap();
    let mut out = Vec::new();
    for event in answer.events() {
        // As models say them: piece by piece.
        if let ChatEvent::Delta {
            index,
            delta: Delta::Arguments(text),
        } = &event
        {
            for piece in text.chars() {
                let delta = Delta::Arguments(piece.to_string());
                encoder.push(
                    ChatEvent::Delta {
                        index: *index,
                        delta,
                    },
                    &mut out,
                );
            }
        } else {
            encoder.push(event, &mut out);
        }
    }
    encoder.finish(&mut out);
    let text = String::from_utf8(out).unwrap();
    text.lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
        .collect()
}

#[test]
fn calls_come_back_as_the_caller_knows_its_tools() {
    let call = |id: &str, name: &str, arguments: Value| {
        Part::ToolCall(ToolCall {
            id: id.to_owned(),
            name: name.to_owned(),
            arguments: arguments.to_string(),
            signature: None,
            custom: false,
            cache: None,
        })
    };
    let answer = Answer {
        parts: vec![
            call("c1", "agents__start", json!({"of": 2})),
            call("c2", "patch", json!({"input": "*** \"End\"\n"})),
            call("c3", "run", json!({})),
        ],
        stop: Some(Stop::ToolCalls),
        ..Answer::default()
    };
    let told = told(&asked(&tools(), "auto"));
    let whole = Dialect::OpenaiResponses
        .encode_answer(&answer, &told)
        .unwrap()
        .body;
    let output = &whole["output"];
    assert_eq!(output[0]["namespace"], "agents");
    assert_eq!(output[0]["name"], "start");
    assert_eq!(output[0]["arguments"], r#"{"of":2}"#);
    assert_eq!(output[1]["type"], "custom_tool_call");
    assert_eq!(output[1]["name"], "patch");
    assert_eq!(output[1]["input"], "*** \"End\"\n");
    assert_eq!(output[2]["name"], "run");
    assert_eq!(output[2].get("namespace"), None);

    let events = streamed(&answer, told);
    assert_eq!(&events.last().unwrap()["response"]["output"], output);
    // What a call holds follows its beginning.
    let begun = events
        .iter()
        .filter(|event| event["type"] == "response.output_item.added")
        .map(|event| {
            event["item"]
                .get("input")
                .or(event["item"].get("arguments"))
        });
    assert_eq!(begun.collect::<Vec<_>>(), [Some(&json!("")); 3]);
    let said = |kind: &str| -> String {
        let deltas = events.iter().filter(|event| event["type"] == kind);
        deltas.filter_map(|event| event["delta"].as_str()).collect()
    };
    assert_eq!(
        said("response.custom_tool_call_input.delta"),
        "*** \"End\"\n"
    );
    assert_eq!(
        said("response.function_call_arguments.delta"),
        r#"{"of":2}{}"#
    );
}

/// Gemini CLI sends back what calls are signed with, and no thoughts.
#[test]
fn thoughts_go_with_the_call_after_them_where_no_thoughts_come_back() {
    let thought = |dialect, value: &str| Thought {
        text: format!("{value}?"),
        signature: Some(Signature {
            dialect,
            value: value.to_owned(),
        }),
        ..Thought::default()
    };
    let unsigned = Thought {
        text: "Hm.".to_owned(),
        ..Thought::default()
    };
    let call = |id: &str| {
        Part::ToolCall(ToolCall {
            id: id.to_owned(),
            name: "run".to_owned(),
            arguments: "{}".to_owned(),
            signature: None,
            custom: false,
            cache: None,
        })
    };
    let parts = vec![
        Part::Thought(thought(Dialect::Anthropic, "first")),
        Part::text("I will."),
        call("c1"),
        Part::Thought(unsigned),
        call("c2"),
    ];
    let answer = Answer {
        parts: parts.clone(),
        stop: Some(Stop::ToolCalls),
        ..Answer::default()
    };
    let told = told(&ChatRequest::default());
    let written = Dialect::Gemini.encode_answer(&answer, &told).unwrap().body;
    let content = &written["candidates"][0]["content"];
    let calls_only: Vec<Value> = content["parts"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|part| part["thought"] != true)
        .cloned()
        .collect();
    for said in [content["parts"].clone(), Value::from(calls_only)] {
        let body = json!({"contents": [
            {"role": "user", "parts": [{"text": "Go."}]},
            {"role": "model", "parts": said},
        ]});
        let read = Dialect::Gemini.decode_request(body).unwrap();
        let back: Vec<Part> = read.turns[1].parts.clone();
        assert_eq!(back.len(), parts.len(), "{back:?}");
        assert_eq!(back[0], parts[0]);
        let texts: Vec<&str> = back
            .iter()
            .filter_map(|part| match part {
                Part::Thought(thought) => Some(thought.text.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(texts, ["first?", "Hm."]);
    }
}

#[test]
fn a_message_has_an_id_of_its_own_whatever_the_provider_calls_its_answers() {
    let told = told(&ChatRequest::default());
    for (given, written) in [
        ("chatcmpl-7", "msg_0a1b"),
        ("", "msg_0a1b"),
        ("msg_bdrk_01", "msg_bdrk_01"),
    ] {
        let answer = Answer {
            id: given.to_owned(),
            ..Answer::default()
        };
        let whole = Dialect::Anthropic
            .encode_answer(&answer, &told)
            .unwrap()
            .body;
        assert_eq!(whole["id"], written);
        let mut encoder = StreamEncoder::new(Dialect::Anthropic, told.clone(), false).unwrap();
        let mut out = Vec::new();
        let start = ChatEvent::Start {
            id: given.to_owned(),
            model: String::new(),
            created: None,
        };
        let part = PartStart::Text;
        for event in [start, ChatEvent::PartStart { index: 0, part }] {
            encoder.push(event, &mut out);
        }
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains(&format!(r#""id":"{written}""#)), "{text}");
    }
}

#[test]
fn items_of_a_conversation_that_only_openai_knows_are_named_everywhere() {
    let body = json!({"model": "m", "input": [
        {"role": "user", "content": "Hi"},
        {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAA"},
        {"type": "mcp_call", "id": "mcp_1", "server_label": "s", "name": "n", "arguments": "{}", "output": "o"},
        {"role": "user", "content": "Go on"},
    ]});
    let request = Dialect::OpenaiResponses.decode_request(body).unwrap();
    for target in Dialect::ALL {
        let encoded = target.encode_request(&request, &model()).unwrap();
        let text = encoded.body.to_string();
        let is_own = target == Dialect::OpenaiResponses;
        let names = encoded.dropped.iter().map(|one| one.field.as_str());
        let names: Vec<&str> = names.collect();
        let lost = if is_own { 0 } else { 2 };
        assert_eq!(names, ["input[1]", "input[2]"][..lost], "{target:?}");
        assert_eq!(text.contains("mcp_1"), is_own, "{target:?}: {text}");
        for role in [r#""role":"assistant""#, r#""role":"model""#] {
            assert!(!text.contains(role), "{target:?}: {text}");
        }
    }
}

#[test]
fn arguments_that_are_no_object_are_those_of_one_that_holds_their_text() {
    for arguments in ["null", "{\"bad", "[1]"] {
        let body = json!({"model": "m", "input": [
            {"role": "user", "content": "Hi"},
            {"type": "function_call", "call_id": "c1", "name": "run", "arguments": arguments},
            {"type": "function_call_output", "call_id": "c1", "output": "no"},
        ]});
        let request = Dialect::OpenaiResponses.decode_request(body).unwrap();
        let wrapped = json!({"arguments": arguments});
        for (target, place) in [
            (Dialect::Anthropic, "/messages/1/content/0/input"),
            (Dialect::Bedrock, "/messages/1/content/0/toolUse/input"),
            (Dialect::Gemini, "/contents/1/parts/0/functionCall/args"),
            (
                Dialect::Cohere,
                "/messages/1/tool_calls/0/function/arguments",
            ),
        ] {
            let encoded = target.encode_request(&request, &model()).unwrap();
            let said = encoded.body.pointer(place).unwrap();
            let said = match said {
                Value::String(text) => serde_json::from_str(text).unwrap(),
                value => value.clone(),
            };
            assert_eq!(said, wrapped, "{target:?}");
            let names: Vec<&str> = encoded
                .dropped
                .iter()
                .map(|one| one.field.as_str())
                .collect();
            assert_eq!(names, ["input[1].arguments"], "{target:?}");
        }
    }
}

#[test]
fn a_user_that_openai_finds_too_long_is_left_out() {
    for (user, kept) in [("u".repeat(64), true), ("u".repeat(65), false)] {
        let body = json!({
            "model": "m", "max_tokens": 1, "metadata": {"user_id": user},
            "messages": [{"role": "user", "content": "Hello"}],
        });
        let request = Dialect::Anthropic.decode_request(body).unwrap();
        for target in [Dialect::OpenaiChat, Dialect::OpenaiResponses] {
            let encoded = target.encode_request(&request, &model()).unwrap();
            assert_eq!(encoded.body.get("user").is_some(), kept);
            assert_eq!(encoded.dropped.iter().any(|one| one.field == "user"), !kept);
        }
    }
}

/// Claude Code offers most of its tools only once the model has looked for them.
#[test]
fn tools_that_were_found_are_named() {
    let body = json!({
        "model": "m", "max_tokens": 100,
        "tools": [
            {"name": "ToolSearch", "input_schema": {"type": "object", "properties": {}}},
            {"name": "WebFetch", "input_schema": {"type": "object", "properties": {}}, "defer_loading": true},
        ],
        "messages": [
            {"role": "user", "content": "Fetch it."},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "ToolSearch", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": [
                {"type": "tool_reference", "tool_name": "WebFetch"}, {"type": "tool_reference", "tool_name": "TaskStop"},
            ]}]},
        ],
    });
    let request = Dialect::Anthropic.decode_request(body).unwrap();
    for target in Dialect::ALL {
        let encoded = target.encode_request(&request, &model()).unwrap();
        let text = encoded.body.to_string();
        let is_own = target == Dialect::Anthropic;
        assert_eq!(text.contains("tool_reference"), is_own, "{target:?}");
        assert_eq!(
            text.contains("can be called now: WebFetch, TaskStop"),
            !is_own,
            "{target:?}: {text}"
        );
    }
}

/// Claude Code asks every model for 32,000 tokens and much thinking.
#[test]
fn a_model_is_asked_for_no_more_than_it_takes() {
    let body = json!({
        "model": "m", "max_tokens": 32_000, "thinking": {"type": "adaptive"}, "output_config": {"effort": "high"},
        "messages": [{"role": "user", "content": "Hello"}],
    });
    let request = Dialect::Anthropic.decode_request(body).unwrap();
    for (name, most, tokens, effort) in [
        ("gpt-4o-mini", Some(16_384), 16_384, None),
        ("openai/gpt-4.1", Some(32_768), 32_000, None),
        ("gpt-5.2", None, 32_000, Some("high")),
        ("deepseek-reasoner", None, 32_000, Some("high")),
    ] {
        let model = TargetModel {
            name: name.to_owned(),
            max_output_tokens: most,
        };
        for (target, field, effort_at) in [
            (
                Dialect::OpenaiChat,
                "max_completion_tokens",
                "/reasoning_effort",
            ),
            (
                Dialect::OpenaiResponses,
                "max_output_tokens",
                "/reasoning/effort",
            ),
        ] {
            let encoded = target.encode_request(&request, &model).unwrap();
            assert_eq!(encoded.body[field], tokens, "{name}");
            let written = encoded.body.pointer(effort_at).and_then(Value::as_str);
            assert_eq!(written, effort, "{name}");
            let fields: Vec<&str> = encoded
                .dropped
                .iter()
                .map(|one| one.field.as_str())
                .collect();
            assert_eq!(
                fields.contains(&"reasoning"),
                effort.is_none(),
                "{fields:?}"
            );
            assert_eq!(
                fields.contains(&"sampling.max_output_tokens"),
                tokens < 32_000,
                "{fields:?}"
            );
        }
    }
}
