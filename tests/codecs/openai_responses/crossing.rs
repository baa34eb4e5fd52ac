//! What other dialects signed and said, through OpenAI Responses and back.

use causeway::llm::answer::{Answer, ChatEvent, Delta, PartStart, Stop};
use causeway::llm::chat::{
    ChatRequest, Citation, Image, Opaque, Part, Reasoning, Role, Source, Text, Thought, ToolCall,
    Turn,
};
use causeway::llm::dialect::Dialect;
use causeway::llm::dialect::openai_responses::{encode_answer, encode_request};
use serde_json::{Value, json};

use crate::openai_responses::streams::{checked, collected, decoded, encoded};
use crate::openai_responses::{asked, foreign, model, signature, told, written};
use crate::{json, parted};

/// The answer as a caller sends it back in its next request: the items of the output as they are.
pub(crate) fn sent_back(answer: &Answer) -> Vec<Part> {
    let body = encode_answer(answer, &told()).body;
    let request = asked(body["output"].clone());
    assert_eq!(request.turns.len(), 1);
    let stream = encoded(answer.events());
    let last = checked(&stream).last().unwrap()["response"].clone();
    assert_eq!(last["output"], body["output"]);
    let again = decoded(&parted(&stream, 0));
    assert_eq!(collected(&again).unwrap().parts, request.turns[0].parts);
    request.turns.into_iter().next().unwrap().parts
}

pub(crate) fn answer(parts: Vec<Part>) -> Answer {
    Answer {
        id: "msg_01X".to_owned(),
        model: "claude".to_owned(),
        parts,
        stop: Some(Stop::End),
        ..Answer::default()
    }
}

// alibaba/open-code-review#811: signed thoughts came back as plain text, without their signatures.
#[test]
fn thoughts_of_other_dialects_come_back_exactly() {
    let signed = |text: &str, value: &str| {
        Part::Thought(Thought {
            text: text.to_owned(),
            signature: Some(signature(Dialect::Anthropic, value)),
            ..Thought::default()
        })
    };
    let parts = vec![
        signed("First.\n", "EqQBCg:IYAh=="),
        Part::Thought(Thought {
            summary: true,
            sealed: Some(signature(Dialect::Anthropic, "redacted:1")),
            ..Thought::default()
        }),
        Part::Thought(Thought {
            sealed: Some(signature(Dialect::Anthropic, "redacted:2")),
            ..Thought::default()
        }),
        Part::Thought(Thought {
            text: "unsigned".to_owned(),
            ..Thought::default()
        }),
        Part::Thought(Thought {
            text: "unsigned too".to_owned(),
            summary: true,
            ..Thought::default()
        }),
        signed("Second.", "EqQC"),
        Part::text("Done."),
    ];
    let back = sent_back(&answer(parts.clone()));
    assert_eq!(back, parts);
    let items = encode_answer(&answer(parts), &told()).body["output"].take();
    assert_eq!(
        items[0]["summary"][0]["text"], "First.\n",
        "clients show summaries"
    );
    assert_eq!(
        items[0]["encrypted_content"],
        "causeway:anthropic:signature:EqQBCg:IYAh=="
    );
    assert_eq!(items[4]["encrypted_content"], "causeway:unsigned-summary");
    let mut request = foreign();
    request.turns = vec![Turn::new(Role::Assistant, back)];
    let body = written(&request);
    assert_eq!(
        body["input"].as_array().unwrap().len(),
        1,
        "none of them goes to OpenAI"
    );
}

#[test]
fn ids_of_other_dialects_are_not_taken_for_items_of_openai() {
    let thought = Thought {
        text: "Hm.".to_owned(),
        id: Some("reasoning-1".to_owned()),
        ..Thought::default()
    };
    let parts = vec![Part::Thought(thought.clone()), Part::text("Hi")];
    let expected = Part::Thought(Thought {
        id: None,
        ..thought
    });
    assert_eq!(
        sent_back(&answer(parts.clone())),
        [expected, Part::text("Hi")]
    );
    let mut request = foreign();
    request.turns = vec![Turn::new(Role::Assistant, parts)];
    assert_eq!(written(&request)["input"].as_array().unwrap().len(), 1);
}

/// What is asked for in another dialect is not kept (`store`), so that an id alone leads to nothing.
#[test]
fn a_thought_of_openai_goes_back_to_it_sealed_or_not_at_all() {
    let thought = |sealed: Option<&str>| {
        Part::Thought(Thought {
            text: "Hm.".to_owned(),
            summary: true,
            id: Some("rs_1".to_owned()),
            sealed: sealed.map(|value| signature(Dialect::OpenaiResponses, value)),
            ..Thought::default()
        })
    };
    let mut request = foreign();
    for (sealed, items) in [(Some("gAAAA"), 2), (None, 1)] {
        request.turns = vec![Turn::new(
            Role::Assistant,
            vec![thought(sealed), Part::text("Hi")],
        )];
        let input = written(&request)["input"].take();
        assert_eq!(input.as_array().unwrap().len(), items, "{input}");
        assert_eq!(
            input[0].get("encrypted_content").is_some(),
            sealed.is_some()
        );
    }
}

#[test]
fn thoughts_are_asked_for_sealed_of_models_that_think() {
    let mut request = foreign();
    let included = |request: &ChatRequest, name: &str| {
        let body = encode_request(request, &model(name)).unwrap().body;
        let include = body.get("include").map(ToString::to_string);
        include.is_some_and(|it| it.contains("reasoning.encrypted_content"))
    };
    request.reasoning = None;
    for (name, expected) in [
        ("gpt-5.6", true),
        ("openai/gpt-5.4-mini", true),
        ("o3-pro", true),
        ("gpt-5-chat-latest", false),
        ("gpt-4o", false),
        ("gpt-oss-120b", false),
        ("my-deployment", false),
    ] {
        assert_eq!(included(&request, name), expected, "{name}");
    }
    request.reasoning = Some(Reasoning {
        effort: Some("none".to_owned()),
        ..Reasoning::default()
    });
    assert!(!included(&request, "gpt-5.6"));
}

/// Agents set both for every model.
#[test]
fn what_models_that_think_do_not_take_is_left_out() {
    let mut request = ChatRequest {
        turns: vec![Turn::new(Role::User, vec![Part::text("Hi")])],
        ..ChatRequest::default()
    };
    request.sampling.temperature = Some(0.5);
    request.sampling.top_p = Some(1.0);
    for (name, effort, sent, named) in [
        ("gpt-5.6", "high", None, true),
        ("gpt-5.6", "none", Some(0.5), false),
        ("gpt-4o", "none", Some(0.5), false),
    ] {
        request.reasoning = Some(Reasoning {
            effort: Some(effort.to_owned()),
            ..Reasoning::default()
        });
        for dialect in [Dialect::OpenaiChat, Dialect::OpenaiResponses] {
            let encoded = dialect.encode_request(&request, &model(name)).unwrap();
            let temperature = encoded.body.get("temperature").and_then(Value::as_f64);
            assert_eq!(temperature, sent, "{name} {effort}");
            let is_named = |field: &str| encoded.dropped.iter().any(|it| it.field == field);
            assert_eq!(is_named("sampling.temperature"), named, "{name} {effort}");
            assert!(!is_named("sampling.top_p"));
        }
    }
}

#[test]
fn a_number_of_likeliest_tokens_asks_for_them() {
    for (top, chat, gemini) in [
        (
            json!(2),
            json!({"logprobs": true, "top_logprobs": 2}),
            json!({"responseLogprobs": true, "logprobs": 2}),
        ),
        (json!(0), json!({}), json!(null)),
        (json!(null), json!({}), json!(null)),
    ] {
        let body = json!({"model": "m", "input": "Hi", "top_logprobs": top});
        let request = Dialect::OpenaiResponses.decode_request(body).unwrap();
        let in_chat = Dialect::OpenaiChat.encode_request(&request, &model("m"));
        let mut in_chat = in_chat.unwrap().body;
        for said in ["model", "messages"] {
            in_chat.as_object_mut().unwrap().shift_remove(said);
        }
        assert_eq!(in_chat, chat);
        let in_gemini = Dialect::Gemini.encode_request(&request, &model("m"));
        assert_eq!(in_gemini.unwrap().body["generationConfig"], gemini);
        let own = Dialect::OpenaiResponses.encode_request(&request, &model("m"));
        assert_eq!(own.unwrap().body["top_logprobs"], top);
        for to in [Dialect::Anthropic, Dialect::Bedrock] {
            let written = to.encode_request(&request, &model("m"));
            assert_eq!(written.is_ok(), top != json!(2), "{to:?}");
        }
    }
}

#[test]
fn so_few_tokens_that_responses_cannot_be_asked_for_are_more() {
    let mut request = foreign();
    request.sampling.max_output_tokens = Some(1);
    let encoded = Dialect::OpenaiResponses.encode_request(&request, &model("gpt-4o"));
    let encoded = encoded.unwrap();
    assert_eq!(encoded.body["max_output_tokens"], 16);
    let named = |name: &str| encoded.dropped.iter().any(|dropped| dropped.field == name);
    assert!(named("sampling.max_output_tokens"));
}

// pipecat-ai/pipecat#5183: a signed thought without a text was taken for none.
#[test]
fn a_signed_thought_without_text_comes_back() {
    let part = Part::Thought(Thought {
        summary: true,
        signature: Some(signature(Dialect::Anthropic, "EqQB")),
        ..Thought::default()
    });
    let parts = vec![part, Part::text("Hi")];
    assert_eq!(sent_back(&answer(parts.clone())), parts);
}

#[test]
fn signatures_of_calls_come_back_with_their_calls() {
    let call = |id: &str, value: Option<&str>| {
        Part::ToolCall(ToolCall {
            id: id.to_owned(),
            name: "f".to_owned(),
            arguments: "{\"a\":1}".to_owned(),
            signature: value.map(|value| signature(Dialect::Gemini, value)),
            custom: false,
            cache: None,
        })
    };
    let parts = vec![
        call("c1", Some("c2lnMQ==")),
        call("c2", None),
        call("c3", Some("c2lnMw==")),
    ];
    let answer = answer(parts.clone());
    let body = encode_answer(&answer, &told()).body;
    let kinds: Vec<_> = body["output"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["type"])
        .collect();
    let expected = [
        "reasoning",
        "function_call",
        "function_call",
        "reasoning",
        "function_call",
    ];
    assert_eq!(kinds, expected);
    assert_eq!(
        body["output"][0]["encrypted_content"],
        "causeway:gemini:call:c2lnMQ=="
    );
    assert_eq!(sent_back(&answer), parts);
}

#[test]
fn a_signature_that_follows_its_call_comes_back_with_it() {
    let mut events = answer(Vec::new()).events();
    let stop = events.pop().unwrap();
    let delta = |delta| ChatEvent::Delta { index: 0, delta };
    events.extend([
        ChatEvent::PartStart {
            index: 0,
            part: PartStart::ToolCall {
                id: "c".to_owned(),
                name: "f".to_owned(),
                custom: false,
            },
        },
        delta(Delta::Arguments("{}".to_owned())),
        delta(Delta::Signature(signature(Dialect::Gemini, "bGF0ZQ"))),
        ChatEvent::PartStop { index: 0 },
        stop,
    ]);
    let expected = collected(&events).unwrap();
    let stream = encoded(events);
    let read = collected(&decoded(&parted(&stream, 0))).unwrap();
    assert_eq!(read.parts, expected.parts);
    let data = checked(&stream);
    let output = data.last().unwrap()["response"]["output"].clone();
    assert_eq!(asked(output).turns[0].parts, expected.parts);
}

/// Codex sends the items of a turn without ids, and its own marks never reach OpenAI.
#[test]
fn codex_may_leave_out_the_ids() {
    let body = json("openai_responses/answers/reasoning.json");
    let mut output = body["output"].clone();
    for item in output.as_array_mut().unwrap() {
        item.as_object_mut().unwrap().shift_remove("id");
    }
    output[0]["content"] = Value::Null;
    let request = asked(output.clone());
    let mut expected = output;
    expected[0].as_object_mut().unwrap().shift_remove("content");
    for piece in expected[1]["content"].as_array_mut().unwrap() {
        piece.as_object_mut().unwrap().shift_remove("logprobs");
    }
    expected[1].as_object_mut().unwrap().shift_remove("status");
    assert_eq!(written(&request)["input"], expected);
    for forged in [
        "causeway:",
        "causeway:x:y:z",
        "causeway:anthropic",
        "causeway:unsigned",
    ] {
        let item = json!([{"type": "reasoning", "summary": [], "encrypted_content": forged}]);
        assert_eq!(written(&asked(item))["input"], json!([]), "{forged}");
    }
}

#[test]
fn a_citation_of_a_whole_text_says_where_it_is() {
    let page = Citation {
        url: Some("https://example.com".to_owned()),
        ..Citation::default()
    };
    let some = Citation {
        span: Some((1, 2)),
        ..page.clone()
    };
    let text = |text: &str, citations: Vec<Citation>| {
        let text = text.to_owned();
        let cache = None;
        Part::Text(Text {
            text,
            citations,
            cache,
        })
    };
    let given = answer(vec![
        text("Ähm. ", Vec::new()),
        text("Sö ist es.", vec![page.clone(), some]),
    ]);
    let whole = encode_answer(&given, &told()).body["output"].clone();
    let annotations = &whole[0]["content"][1]["annotations"];
    let ranges: Vec<_> = annotations
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["start_index"].as_u64(), it["end_index"].as_u64()))
        .collect();
    assert_eq!(ranges, [(Some(1), Some(2)), (Some(0), Some(10))]);
    // Some tell what a text is based on before they say it.
    let part = PartStart::Text;
    let delta = |delta| ChatEvent::Delta { index: 0, delta };
    let stream = encoded(vec![
        ChatEvent::PartStart { index: 0, part },
        delta(Delta::Citation(page)),
        delta(Delta::Text("Sö ist".to_owned())),
        delta(Delta::Text(" es.".to_owned())),
        ChatEvent::PartStop { index: 0 },
        ChatEvent::Stop(Stop::End),
    ]);
    let data = checked(&stream);
    let added = data
        .iter()
        .find(|data| data["type"] == "response.output_text.annotation.added");
    assert_eq!(added.unwrap()["annotation"]["end_index"], 10);
    let last = data.last().unwrap();
    let said = &last["response"]["output"][0]["content"][0]["annotations"][0];
    assert_eq!(*said, added.unwrap()["annotation"]);
}

#[test]
fn what_an_answer_cannot_say_is_named() {
    let opaque = Part::Opaque(Opaque {
        dialect: Dialect::Anthropic,
        kind: "server_tool_use".to_owned(),
        value: json!({}),
    });
    let quoted = Citation {
        title: Some("Doc".to_owned()),
        quote: Some("it is so".to_owned()),
        ..Citation::default()
    };
    let page = Citation {
        url: Some("https://example.com".to_owned()),
        ..Citation::default()
    };
    let text = Part::Text(Text {
        text: "So.".to_owned(),
        citations: vec![quoted, page],
        cache: None,
    });
    let image = Part::Image(Image {
        source: Source::Inline {
            media_type: "image/png".to_owned(),
            data: "iVBO".to_owned(),
        },
        detail: None,
        cache: None,
    });
    let mut given = answer(vec![Part::text("A"), opaque, text, image]);
    given.stop = Some(Stop::Pause);
    let encoded = encode_answer(&given, &told());
    let names: Vec<_> = encoded
        .dropped
        .iter()
        .map(|field| field.field.as_str())
        .collect();
    assert_eq!(names, ["parts", "citations", "stop"]);
    let output = &encoded.body["output"];
    assert_eq!(output.as_array().unwrap().len(), 2);
    assert_eq!(output[0]["id"], "msg_0a1b_0");
    assert_eq!(output[0]["content"].as_array().unwrap().len(), 2);
    assert_eq!(
        output[0]["content"][1]["annotations"][0]["url"],
        "https://example.com"
    );
    assert_eq!(
        (&output[1]["type"], &output[1]["result"]),
        (&json!("image_generation_call"), &json!("iVBO"))
    );
    assert_eq!(encoded.body["id"], "resp_msg_01X");
    assert_eq!(
        encode_answer(&Answer::default(), &told()).body["id"],
        "resp_0a1b"
    );
    assert_eq!(
        encode_answer(&Answer::default(), &told()).body["model"],
        "house-model"
    );
    given.stop = Some(Stop::Other("tomorrow".to_owned()));
    let encoded = encode_answer(&given, &told());
    let ended = (&encoded.body["status"], &encoded.body["incomplete_details"]);
    assert_eq!(ended, (&json!("completed"), &Value::Null));
    assert_eq!(encoded.dropped.last().unwrap().field, "stop");
    given.stop = Some(Stop::Refusal);
    assert_eq!(
        encode_answer(&given, &told()).body["incomplete_details"]["reason"],
        "content_filter"
    );
}
