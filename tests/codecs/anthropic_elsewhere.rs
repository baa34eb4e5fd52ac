//! What callers of Anthropic's Messages say, for models that are asked in other dialects.

#![expect(
    clippy::unwrap_used,
    reason = "in a test, a failed unwrap is a failed test"
)]

use causeway::llm::chat::ChatRequest;
use causeway::llm::codec::StreamEncoder;
use causeway::llm::dialect::{Dialect, OwnTools, TargetModel, Told};
use serde_json::{Value, json};

const SONNET: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";

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
        let (body, dropped) = written(Dialect::Bedrock, SONNET, &request);
        assert_eq!(body.get("additionalModelRequestFields"), None, "{body}");
        assert_eq!(body.pointer("/outputConfig/effort"), None, "{body}");
        assert_eq!(dropped, ["reasoning.effort"]);
    }
    let off = json!({"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}});
    let (_, dropped) = written(Dialect::OpenaiResponses, "gpt-5", &asked(off));
    assert!(dropped.contains(&"output_config".to_owned()), "{dropped:?}");
}

/// A call of a tool after a thought, and its result.
fn called(thought: &Value) -> Value {
    let call = json!({"type": "tool_use", "id": "c1", "name": "now", "input": {}});
    let result = json!({"type": "tool_result", "tool_use_id": "c1", "content": "Noon"});
    json!([
        {"role": "user", "content": "What time is it?"},
        {"role": "assistant", "content": [thought, call]},
        {"role": "user", "content": [result]},
    ])
}

#[test]
fn what_claude_thought_at_anthropic_goes_on_at_bedrock() {
    let text = json!({"text": "Hm", "signature": "S=="});
    for (thought, told) in [
        (
            json!({"type": "thinking", "thinking": "Hm", "signature": "S=="}),
            json!({"reasoningContent": {"reasoningText": text}}),
        ),
        (
            json!({"type": "redacted_thinking", "data": "c2VjcmV0"}),
            json!({"reasoningContent": {"redactedContent": "c2VjcmV0"}}),
        ),
    ] {
        let request = asked(json!({
            "messages": called(&thought),
            "tools": [{"name": "now", "input_schema": {"type": "object", "properties": {}}}],
            "thinking": {"type": "enabled", "budget_tokens": 2000},
        }));
        let (body, dropped) = written(Dialect::Bedrock, SONNET, &request);
        assert_eq!(body["messages"][1]["content"][0], told);
        let thinking = json!({"type": "enabled", "budget_tokens": 2000});
        assert_eq!(body["additionalModelRequestFields"]["thinking"], thinking);
        assert_eq!(dropped, Vec::<String>::new());
        // Of the models there, no other takes a signature.
        let (body, dropped) = written(Dialect::Bedrock, "amazon.nova-2-lite-v1:0", &request);
        assert!(!body.to_string().contains("reasoningContent"), "{body}");
        assert!(dropped.contains(&"turns[1].parts[0]".to_owned()));
    }
}

#[test]
fn what_claude_thought_at_bedrock_is_its_own_at_anthropic() {
    let text = json!({"text": "Hm", "signature": "S=="});
    let content = json!([
        {"reasoningContent": {"reasoningText": text}},
        {"reasoningContent": {"redactedContent": "c2VjcmV0"}},
        {"text": "Noon"},
    ]);
    let answer = Dialect::Bedrock
        .decode_answer(json!({
            "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": "end_turn",
        }))
        .unwrap();
    let told = Told {
        model: "m".to_owned(),
        request_id: "0a1b".to_owned(),
        now: 0,
        stream_usage: true,
        tools: OwnTools::default(),
    };
    let whole = Dialect::Anthropic.encode_answer(&answer, &told).unwrap();
    let said = json!([
        {"type": "thinking", "thinking": "Hm", "signature": "S=="},
        {"type": "redacted_thinking", "data": "c2VjcmV0"},
        {"type": "text", "text": "Noon"},
    ]);
    assert_eq!(whole.body["content"], said);
    let mut encoder = StreamEncoder::new(Dialect::Anthropic, told.clone(), false).unwrap();
    let mut out = Vec::new();
    for event in answer.events() {
        encoder.push(event, &mut out);
    }
    encoder.finish(&mut out);
    let stream = String::from_utf8(out).unwrap();
    assert!(stream.contains(r#""signature":"S==""#), "{stream}");
    assert!(stream.contains(r#""data":"c2VjcmV0""#), "{stream}");
    // A caller of OpenAI keeps the signature elsewhere.
    let chat = Dialect::OpenaiChat.encode_answer(&answer, &told).unwrap();
    let user = json!({"role": "user", "content": "And now?"});
    let messages = json!([user, chat.body["choices"][0]["message"], user]);
    let request = json!({"model": "m", "messages": messages});
    let request = Dialect::OpenaiChat.decode_request(request).unwrap();
    let (body, dropped) = written(Dialect::Anthropic, "claude-sonnet-4-5", &request);
    assert_eq!(body["messages"][1]["content"], said);
    assert_eq!(dropped, Vec::<String>::new());
}

#[test]
fn tools_that_anthropic_runs_are_left_out_beside_others_everywhere() {
    let own = json!({"name": "t", "input_schema": {"type": "object", "properties": {}}});
    for kind in [
        "web_search_20250305",
        "web_fetch_20250910",
        "code_execution_20250825",
        "tool_search_tool_regex_20251119",
        "mcp_toolset",
    ] {
        let theirs = json!({"type": kind, "name": "theirs"});
        let both = asked(json!({"tools": [theirs, own]}));
        let alone = asked(json!({"tools": [theirs]}));
        for target in Dialect::ALL {
            if target == Dialect::Anthropic {
                continue;
            }
            let (body, dropped) = written(target, SONNET, &both);
            assert_eq!(dropped, ["tools[0]"], "{kind} {target:?}");
            assert!(!body.to_string().contains("theirs"), "{body}");
            let model = TargetModel::default();
            let refused = target.encode_request(&alone, &model).unwrap_err();
            assert_eq!(refused.field.as_deref(), Some("tools[0]"), "{target:?}");
        }
    }
    // What the caller runs, Claude knows at Bedrock too.
    let bash = json!({"type": "bash_20250124", "name": "bash"});
    let request = asked(json!({"tools": [bash, own]}));
    let (body, dropped) = written(Dialect::Bedrock, SONNET, &request);
    assert_eq!(body["additionalModelRequestFields"]["tools"], json!([bash]));
    assert_eq!(dropped, Vec::<String>::new());
}

#[test]
fn what_a_provider_did_before_is_left_out_everywhere_and_named() {
    let blocks = [
        json!({"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "x"}}),
        json!({"type": "web_search_tool_result", "tool_use_id": "s1", "content": []}),
        json!({"type": "mcp_tool_use", "id": "s2", "name": "look", "server_name": "s", "input": {}}),
        json!({"type": "compaction", "content": "So far"}),
    ];
    for block in blocks {
        let request = asked(json!({"messages": [
            {"role": "user", "content": "Search."},
            {"role": "assistant", "content": [block, {"type": "text", "text": "Found."}]},
            {"role": "user", "content": "And?"},
        ]}));
        for target in Dialect::ALL {
            let (body, dropped) = written(target, SONNET, &request);
            let is_own = target == Dialect::Anthropic;
            let kind = block["type"].as_str().unwrap();
            let text = body.to_string();
            assert_eq!(text.contains(kind), is_own, "{target:?}: {text}");
            assert!(text.contains("Found."), "{target:?}: {text}");
            let lost = dropped == ["turns[1].parts[0]"];
            assert!(
                lost || is_own && dropped.is_empty(),
                "{target:?}: {dropped:?}"
            );
        }
    }
    let code = json!({"executableCode": {"language": "PYTHON", "code": "print(1)"}});
    let said = json!([code, {"text": "1"}]);
    let user = json!({"role": "user", "parts": [{"text": "Again"}]});
    let contents = json!([user, {"role": "model", "parts": said}, user]);
    let request = json!({"contents": contents});
    let request = Dialect::Gemini.decode_request(request).unwrap();
    for target in [Dialect::Bedrock, Dialect::Cohere] {
        let (body, dropped) = written(target, SONNET, &request);
        assert!(!body.to_string().contains("print"), "{body}");
        assert_eq!(dropped, ["turns[1].parts[0]"]);
    }
}

#[test]
fn a_file_is_called_so_that_openai_knows_its_type() {
    let source = json!({"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQK"});
    let named = json!({"type": "document", "source": source, "title": "My doc"});
    let unnamed = json!({"type": "document", "source": source});
    let request = asked(json!({"messages": [{"role": "user", "content": [named, unnamed]}]}));
    for (target, place) in [
        (Dialect::OpenaiChat, "/messages/0/content"),
        (Dialect::OpenaiResponses, "/input/0/content"),
    ] {
        let (body, _) = written(target, "gpt-5", &request);
        let content = body.pointer(place).and_then(Value::as_array).unwrap();
        let names = content.iter().map(|piece| {
            let file = piece.get("file").unwrap_or(piece);
            file["filename"].as_str().unwrap()
        });
        let names: Vec<&str> = names.collect();
        assert_eq!(names, ["My doc.pdf", "document.pdf"], "{target:?}");
    }
}

/// A result of a search that is to be cited.
fn found() -> Value {
    json!({
        "type": "search_result", "source": "https://example.com/a", "title": "About it",
        "content": [{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}],
        "citations": {"enabled": true},
    })
}

/// A result of a search, a document in pieces, and a tool that found the same.
fn with_sources() -> ChatRequest {
    let pieces = json!({
        "type": "document", "title": "In pieces", "context": "A note",
        "source": {"type": "content", "content": found()["content"]},
    });
    let call = json!({"type": "tool_use", "id": "c1", "name": "look", "input": {}});
    let result = json!({"type": "tool_result", "tool_use_id": "c1", "content": [found()]});
    asked(json!({"messages": [
        {"role": "user", "content": [found(), pieces, {"type": "text", "text": "So?"}]},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]}))
}

const SPELLED: &str = "About it\n\nhttps://example.com/a\n\nOne.\n\nTwo.";

#[test]
fn texts_to_cite_are_texts_to_those_who_have_no_other_word() {
    let request = with_sources();
    for (target, first, second) in [
        (
            Dialect::OpenaiChat,
            "/messages/0/content/0/text",
            "/messages/2/content",
        ),
        (
            Dialect::OpenaiResponses,
            "/input/0/content/0/text",
            "/input/2/output",
        ),
        (
            Dialect::Gemini,
            "/contents/0/parts/0/text",
            "/contents/2/parts/0/functionResponse/response/output",
        ),
        (
            Dialect::Cohere,
            "/messages/0/content/0/text",
            "/messages/2/content",
        ),
    ] {
        let (body, dropped) = written(target, "m", &request);
        assert_eq!(body.pointer(first), Some(&json!(SPELLED)), "{body}");
        assert_eq!(body.pointer(second), Some(&json!(SPELLED)), "{body}");
        for place in ["turns[0].parts[0]", "turns[2].parts[0].parts[0]"] {
            let place = format!("{place}.citations");
            assert!(dropped.contains(&place), "{target:?}: {dropped:?}");
        }
    }
    let (body, _) = written(Dialect::OpenaiChat, "m", &request);
    let pieces = "In pieces\n\nA note\n\nOne.\n\nTwo.";
    assert_eq!(body["messages"][0]["content"][1]["text"], pieces);
    // Pictures among the pieces are no text.
    let picture =
        json!({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}});
    let pieces = json!({"type": "document", "source": {"type": "content", "content": [picture]}});
    let request = asked(json!({"messages": [{"role": "user", "content": [pieces]}]}));
    let refused = Dialect::OpenaiChat.encode_request(&request, &TargetModel::default());
    let field = refused.unwrap_err().field;
    assert_eq!(field.as_deref(), Some("turns[0].parts[0]"));
}

#[test]
fn claude_is_given_texts_to_cite_at_bedrock_too() {
    let request = with_sources();
    let (body, dropped) = written(Dialect::Bedrock, SONNET, &request);
    let block = json!({"searchResult": {
        "source": "https://example.com/a", "title": "About it",
        "content": [{"text": "One."}, {"text": "Two."}], "citations": {"enabled": true},
    }});
    let content = &body["messages"][0]["content"];
    assert_eq!(content[0], block);
    assert_eq!(content[1]["document"]["name"], "In pieces");
    let result = &body["messages"][2]["content"][0]["toolResult"];
    assert_eq!(result["content"], json!([block]));
    assert_eq!(dropped, Vec::<String>::new());
    let (body, _) = written(Dialect::Bedrock, "amazon.nova-pro-v1:0", &request);
    assert_eq!(body["messages"][0]["content"][0]["text"], SPELLED);
    let (body, _) = written(Dialect::Anthropic, "claude-sonnet-4-5", &request);
    assert_eq!(body["messages"][0]["content"][0], found());
}

#[test]
fn what_a_file_is_about_is_told_or_named() {
    let source = json!({"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQK"});
    let pdf = json!({"type": "document", "source": source, "context": "A note"});
    let request = asked(json!({"messages": [{"role": "user", "content": [pdf]}]}));
    for (target, is_told) in [
        (Dialect::OpenaiChat, false),
        (Dialect::OpenaiResponses, false),
        (Dialect::Gemini, true),
        (Dialect::Bedrock, true),
    ] {
        let (body, dropped) = written(target, SONNET, &request);
        assert_eq!(body.to_string().contains("A note"), is_told, "{target:?}");
        let is_named = dropped.contains(&"turns[0].parts[0].context".to_owned());
        assert_eq!(is_named, !is_told, "{target:?}: {dropped:?}");
    }
}

#[test]
fn servers_of_tools_are_left_out_only_beside_other_tools() {
    let servers = json!([{"type": "url", "url": "https://example.com/mcp", "name": "s"}]);
    let own = json!([{"name": "t", "input_schema": {"type": "object", "properties": {}}}]);
    let alone = asked(json!({"mcp_servers": servers}));
    let both = asked(json!({"mcp_servers": servers, "tools": own}));
    for target in Dialect::ALL {
        let refused = target.encode_request(&alone, &TargetModel::default());
        let field = refused.err().and_then(|fault| fault.field);
        let is_own = target == Dialect::Anthropic;
        let expected = (!is_own).then_some("mcp_servers");
        assert_eq!(field.as_deref(), expected, "{target:?}");
        let (_, dropped) = written(target, SONNET, &both);
        let is_named = dropped.contains(&"mcp_servers".to_owned());
        assert_eq!(is_named, !is_own, "{target:?}: {dropped:?}");
    }
}
