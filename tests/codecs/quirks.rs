//! Every quirk does one thing, and no body is too strange for any.

use std::collections::{BTreeSet, HashSet};

use causeway::llm::provider::{Provider, Quirk, built_in, find};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn object(body: Value) -> Map<String, Value> {
    serde_json::from_value(body).expect("an object")
}

fn quirk(value: Value) -> Quirk {
    serde_json::from_value(value).expect("quirk")
}

/// What a quirk makes of a body, and the fields it names as left out.
fn applied(quirk_of: Value, body: Value) -> (Value, Vec<String>) {
    let mut body = object(body);
    let dropped = quirk(quirk_of).apply(&mut body).expect("applied");
    let fields = dropped.into_iter().map(|dropped| dropped.field);
    (Value::Object(body), fields.collect())
}

/// The field for which a quirk refuses a body.
fn refused(quirk_of: Value, body: Value) -> String {
    let mut body = object(body);
    let fault = quirk(quirk_of).apply(&mut body).expect_err("refused");
    fault.field.expect("a field")
}

#[test]
fn quirk_renames_keeps_order_and_the_new_name() {
    let renames =
        json!({"renames": {"max_completion_tokens": "max_tokens", "seed": "random_seed"}});
    let (body, dropped) = applied(
        renames.clone(),
        json!({"model": "m", "max_completion_tokens": 5, "seed": 0, "n": 1}),
    );
    assert_eq!(
        body.to_string(),
        r#"{"model":"m","max_tokens":5,"random_seed":0,"n":1}"#
    );
    assert!(dropped.is_empty());
    let (body, dropped) = applied(
        renames,
        json!({"max_completion_tokens": 5, "max_tokens": 4}),
    );
    assert_eq!(body, json!({"max_tokens": 4}));
    assert_eq!(dropped, ["max_completion_tokens"]);
}

#[test]
fn quirk_lacks_drops_hints_and_refuses_what_changes_the_answer() {
    let fields = [
        "n",
        "logprobs",
        "top_logprobs",
        "seed",
        "logit_bias",
        "tools",
        "stop",
        "modalities",
    ];
    let lacks = json!({"lacks": fields});
    let harmless = json!({
        "n": 1, "logprobs": false, "top_logprobs": 0, "seed": 7, "logit_bias": null, "tools": [],
        "modalities": ["text"], "temperature": 1,
    });
    let (body, dropped) = applied(lacks.clone(), harmless);
    assert_eq!(
        (body, dropped),
        (json!({"temperature": 1}), vec!["seed".to_owned()])
    );
    for (field, value) in [
        ("n", json!(2)),
        ("logprobs", json!(true)),
        ("tools", json!([{"type": "function"}])),
        ("stop", json!("x")),
        ("modalities", json!(["text", "audio"])),
    ] {
        assert_eq!(refused(lacks.clone(), json!({field: value})), field);
    }
}

#[test]
fn quirks_of_the_model() {
    let (body, dropped) = applied(json!("no-model"), json!({"model": "x", "max_tokens": 1}));
    assert_eq!((body, dropped.len()), (json!({"max_tokens": 1}), 0));
    let (body, _) = applied(json!({"sets": {"anthropic_version": "v"}}), json!({"a": 1}));
    assert_eq!(body, json!({"a": 1, "anthropic_version": "v"}));
}

#[test]
fn quirk_developer_is_system() {
    let messages = json!({"messages": [
        {"role": "developer", "content": "a"},
        {"role": "user", "content": "developer"},
    ]});
    let (body, _) = applied(json!("developer-is-system"), messages);
    assert_eq!(body["messages"][0]["role"], "system");
    assert_eq!(
        body["messages"][1],
        json!({"role": "user", "content": "developer"})
    );
}

// BerriAI/litellm#23847: a provider that refuses `stream_options` was told them, or nothing of its usage was known.
#[test]
fn quirk_no_stream_options_and_no_parallel_tool_calls() {
    let (body, dropped) = applied(
        json!("no-stream-options"),
        json!({"stream": true, "stream_options": {"include_usage": true}}),
    );
    assert_eq!((body, dropped.len()), (json!({"stream": true}), 0));
    let (body, dropped) = applied(
        json!("no-parallel-tool-calls"),
        json!({"parallel_tool_calls": false}),
    );
    assert_eq!(
        (body, dropped),
        (json!({}), vec!["parallel_tool_calls".to_owned()])
    );
}

#[test]
fn quirk_auto_tools_only() {
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let auto = json!({"tools": tools, "tool_choice": "auto"});
    assert_eq!(applied(json!("auto-tools-only"), auto.clone()).0, auto);
    let none = json!({"tools": tools, "tool_choice": "none"});
    assert_eq!(applied(json!("auto-tools-only"), none).0, json!({}));
    for choice in [
        json!("required"),
        json!({"type": "function", "function": {"name": "f"}}),
    ] {
        assert_eq!(
            refused(json!("auto-tools-only"), json!({"tool_choice": choice})),
            "tool_choice"
        );
    }
}

#[test]
fn quirk_no_strict() {
    let tools = json!({"tools": [
        {"type": "function", "function": {"name": "f", "strict": true}},
        {"type": "function", "function": {"name": "g", "strict": false}},
        {"type": "web_search"},
    ]});
    let (body, dropped) = applied(json!("no-strict"), tools);
    assert_eq!(body["tools"][0]["function"], json!({"name": "f"}));
    assert_eq!(body["tools"][1]["function"], json!({"name": "g"}));
    assert_eq!(dropped, ["tools[0].function.strict"]);
}

#[test]
fn quirk_json_object_only() {
    let format =
        json!({"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}});
    let asked = |messages: Value| json!({"messages": messages, "response_format": format});
    let (body, dropped) = applied(
        json!("json-object-only"),
        asked(json!([{"role": "user", "content": "q"}])),
    );
    assert_eq!(body["response_format"], json!({"type": "json_object"}));
    let told = body["messages"][0]["content"]
        .as_str()
        .expect("instruction");
    assert!(
        told.contains("JSON") && told.ends_with(r#"{"type":"object"}"#),
        "{told}"
    );
    assert_eq!(body["messages"][0]["role"], "system");
    assert_eq!(body["messages"][1]["content"], "q");
    assert_eq!(dropped, ["response_format.json_schema"]);
    let (body, _) = applied(
        json!("json-object-only"),
        asked(json!([{"role": "system", "content": "Be kind."}])),
    );
    let messages = body["messages"].as_array().expect("messages");
    assert_eq!(messages.len(), 1);
    assert!(
        messages[0]["content"]
            .as_str()
            .is_some_and(|text| text.starts_with("Be kind.\n\nAnswer"))
    );
    let parts = json!([{"role": "developer", "content": [{"type": "text", "text": "a"}]}]);
    let (body, _) = applied(json!("json-object-only"), asked(parts));
    assert_eq!(
        body["messages"][0]["content"].as_array().map(Vec::len),
        Some(2)
    );
    let already = json!({"response_format": {"type": "json_object"}});
    assert_eq!(
        applied(json!("json-object-only"), already.clone()),
        (already, vec![])
    );
}

#[test]
fn quirk_json_schema_only() {
    let (body, _) = applied(
        json!("json-schema-only"),
        json!({"response_format": {"type": "json_object"}}),
    );
    assert_eq!(body["response_format"]["type"], "json_schema");
    assert_eq!(
        body["response_format"]["json_schema"]["schema"],
        json!({"type": "object"})
    );
    let text = json!({"response_format": {"type": "text"}});
    assert_eq!(applied(json!("json-schema-only"), text.clone()).0, text);
}

#[test]
fn quirk_text_content() {
    let image = json!({"role": "user", "content": [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": "x"}},
    ]});
    let messages = json!({"messages": [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        image,
    ]});
    let (body, _) = applied(json!("text-content"), messages);
    assert_eq!(body["messages"][0]["content"], "a\nb");
    assert_eq!(body["messages"][1], image);
}

#[test]
fn quirk_no_names() {
    let messages = json!({"messages": [
        {"role": "user", "name": "ann", "content": "a"},
        {"role": "user", "content": "b"},
    ]});
    let (body, dropped) = applied(json!("no-names"), messages);
    assert_eq!(body["messages"][0], json!({"role": "user", "content": "a"}));
    assert_eq!(dropped, ["messages[0].name"]);
}

#[test]
fn quirk_takes_turns() {
    let call = json!({"role": "assistant", "content": "c", "tool_calls": [{"id": "1"}]});
    let messages = json!({"messages": [
        {"role": "system", "content": "s"}, {"role": "system", "content": "t"},
        {"role": "user", "content": "a"}, {"role": "user", "content": [{"type": "text", "text": "b"}]},
        {"role": "assistant", "content": "x"}, {"role": "assistant", "content": "y"}, call,
    ]});
    let (body, _) = applied(json!("takes-turns"), messages);
    let parts = json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]);
    assert_eq!(
        body["messages"],
        json!([
            {"role": "system", "content": "s"}, {"role": "system", "content": "t"},
            {"role": "user", "content": parts}, {"role": "assistant", "content": "x\n\ny"}, call,
        ])
    );
}

#[test]
fn quirk_nine_letter_tool_ids() {
    let messages = json!({"messages": [
        {"role": "assistant", "tool_calls": [{"id": "call_PTLP8xhu3uwZk4l3nlnrrJha"}, {"id": "abcDEF123"}]},
        {"role": "tool", "tool_call_id": "call_PTLP8xhu3uwZk4l3nlnrrJha", "content": ""},
        {"role": "tool", "tool_call_id": "abcDEF123", "content": ""},
    ]});
    let (body, _) = applied(json!("nine-letter-tool-ids"), messages.clone());
    let id = body["messages"][0]["tool_calls"][0]["id"]
        .as_str()
        .expect("id");
    assert!(
        id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()),
        "{id}"
    );
    assert_eq!(body["messages"][1]["tool_call_id"], id);
    assert_eq!(body["messages"][0]["tool_calls"][1]["id"], "abcDEF123");
    assert_eq!(body["messages"][2]["tool_call_id"], "abcDEF123");
    let again = applied(json!("nine-letter-tool-ids"), body.clone()).0;
    assert_eq!(again, body);
    let other = applied(
        json!("nine-letter-tool-ids"),
        json!({"messages": [{"tool_call_id": "call_2"}]}),
    )
    .0;
    assert_ne!(other["messages"][0]["tool_call_id"], id);
}

#[test]
fn quirk_temperature_within() {
    let within = json!({"temperature-within": [0.0, 1.0]});
    let (body, dropped) = applied(within.clone(), json!({"temperature": 1.7}));
    assert_eq!(
        (body, dropped),
        (json!({"temperature": 1.0}), vec!["temperature".to_owned()])
    );
    let (body, dropped) = applied(within, json!({"temperature": 1}));
    assert_eq!((body, dropped), (json!({"temperature": 1}), vec![]));
}

#[test]
fn quirk_thinking_switch() {
    let of = |switch: &str, effort: &str| {
        applied(
            json!({"thinking-switch": switch}),
            json!({"reasoning_effort": effort}),
        )
    };
    let on = json!({"type": "enabled"});
    let off = json!({"type": "disabled"});
    assert_eq!(
        of("thinking-and-effort", "high"),
        (json!({"reasoning_effort": "high", "thinking": on}), vec![])
    );
    assert_eq!(
        of("thinking-and-effort", "none"),
        (json!({"thinking": off}), vec![])
    );
    assert_eq!(
        of("enable-thinking", "none"),
        (json!({"enable_thinking": false}), vec![])
    );
    let high = (
        json!({"enable_thinking": true}),
        vec!["reasoning_effort".to_owned()],
    );
    assert_eq!(of("enable-thinking", "high"), high);
    let own = json!({"reasoning_effort": "high", "thinking": {"type": "auto"}});
    assert_eq!(
        applied(
            json!({"thinking-switch": "thinking-and-effort"}),
            own.clone()
        )
        .0,
        own
    );
}

#[test]
fn quirk_thoughts() {
    let body = |model: &str| {
        json!({"model": model, "messages": [
            {"role": "assistant", "content": "a", "reasoning_content": "Hm."},
            {"role": "assistant", "content": null, "reasoning": "So.", "tool_calls": [{"id": "1"}]},
            {"role": "assistant", "content": "b", "reasoning_details": [
                {"type": "reasoning.text", "text": "T"}, {"type": "reasoning.summary", "summary": "S"},
            ]},
            {"role": "assistant", "content": "c", "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]},
            {"role": "assistant", "content": "d", "reasoning_content": null},
        ]})
    };
    let field = json!({"thoughts": {"models": ["r-*"], "place": {"field": "reasoning"}}});
    let (said, dropped) = applied(field.clone(), body("r-1"));
    assert_eq!(
        said["messages"],
        json!([
            {"role": "assistant", "content": "a", "reasoning": "Hm."},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "1"}], "reasoning": "So."},
            {"role": "assistant", "content": "b", "reasoning": "TS"},
            {"role": "assistant", "content": "c"},
            {"role": "assistant", "content": "d"},
        ])
    );
    assert_eq!(dropped, ["messages[3].reasoning_details"]);
    let (said, dropped) = applied(field, body("plain"));
    let kept = said["messages"].as_array().expect("messages").iter();
    assert_eq!(kept.filter(|it| it.get("reasoning").is_some()).count(), 0);
    let names = [
        "reasoning_content",
        "reasoning",
        "reasoning_details",
        "reasoning_details",
    ];
    let names = names.iter().enumerate();
    let names: Vec<String> = names
        .map(|(at, name)| format!("messages[{at}].{name}"))
        .collect();
    assert_eq!(dropped, names);
    let parts = json!({"thoughts": {"models": ["*"], "place": "parts"}});
    let (said, _) = applied(parts, body("m"));
    let thought =
        |text: &str| json!({"type": "thinking", "thinking": [{"type": "text", "text": text}]});
    assert_eq!(
        said["messages"][0]["content"],
        json!([thought("Hm."), {"type": "text", "text": "a"}])
    );
    assert_eq!(said["messages"][1]["content"], json!([thought("So.")]));
}

/// Of calls made at once, a client may answer the second one first.
#[test]
fn quirk_no_call_ids() {
    let call = |id: &str| json!({"functionCall": {"id": id, "name": "f", "args": {}}});
    let result = |id: &str, said: &str| json!({"functionResponse": {"id": id, "name": "f", "response": {"output": said}}});
    let contents = json!({"contents": [
        {"role": "model", "parts": [{"text": "t"}, call("a"), call("b")]},
        {"role": "user", "parts": [result("b", "2"), {"text": "u"}, result("a", "1")]},
        {"role": "model", "parts": [{"function_call": {"id": "c", "name": "f"}}]},
        {"role": "user", "parts": [{"function_response": {"id": "c", "name": "f"}}]},
    ]});
    let (body, dropped) = applied(json!("no-call-ids"), contents);
    let plain = json!({"functionCall": {"name": "f", "args": {}}});
    let said =
        |said: &str| json!({"functionResponse": {"name": "f", "response": {"output": said}}});
    assert_eq!(
        body["contents"],
        json!([
            {"role": "model", "parts": [{"text": "t"}, plain, plain]},
            {"role": "user", "parts": [said("1"), {"text": "u"}, said("2")]},
            {"role": "model", "parts": [{"function_call": {"name": "f"}}]},
            {"role": "user", "parts": [{"function_response": {"name": "f"}}]},
        ])
    );
    assert!(dropped.is_empty());
}

/// A quirk that nobody has would be a guess.
#[test]
fn every_quirk_is_some_providers() {
    let quirks = built_in().iter().flat_map(|provider| &provider.quirks);
    let kinds: HashSet<_> = quirks.map(std::mem::discriminant).collect();
    assert_eq!(kinds.len(), 19);
}

#[test]
fn a_provider_applies_all_its_quirks_in_order() {
    let mut body = object(json!({
        "model": "deepseek-chat", "max_completion_tokens": 9, "seed": 1,
        "messages": [{"role": "developer", "content": "Be kind."}, {"role": "user", "content": "q"}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}},
    }));
    let dropped = find("deepseek")
        .expect("deepseek")
        .prepare(&mut body)
        .expect("prepared");
    let fields: Vec<&str> = dropped
        .iter()
        .map(|dropped| dropped.field.as_str())
        .collect();
    assert_eq!(fields, ["response_format.json_schema", "seed"]);
    assert_eq!(body["max_tokens"], 9);
    assert_eq!(body["messages"][0]["role"], "system");
    assert_eq!(body["messages"].as_array().map(Vec::len), Some(2));
}

/// A body in which there is something for every quirk.
fn common() -> Map<String, Value> {
    let schema = json!({"type": "object", "properties": {}});
    object(json!({
        "model": "m",
        "messages": [
            {"role": "developer", "content": "Be kind."},
            {"role": "user", "name": "ann", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "user", "content": "c"},
            {"role": "assistant", "content": null, "reasoning_content": "Hm.", "tool_calls": [
                {"id": "call_PTLP8xhu3uwZk4l3nlnrrJha", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            ]},
            {"role": "tool", "tool_call_id": "call_PTLP8xhu3uwZk4l3nlnrrJha", "content": "d"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "strict": true, "parameters": schema}}],
        "tool_choice": "required",
        "parallel_tool_calls": false,
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}},
        "max_completion_tokens": 9,
        "temperature": 1.7,
        "top_p": 0.5,
        "top_k": 3,
        "frequency_penalty": 0.5,
        "presence_penalty": 0.5,
        "logit_bias": {"1": 2},
        "seed": 1,
        "stop": ["END"],
        "n": 2,
        "logprobs": true,
        "top_logprobs": 3,
        "reasoning_effort": "high",
        "verbosity": "low",
        "stream": true,
        "stream_options": {"include_usage": true},
        "user": "u",
        "metadata": {"a": "b"},
        "store": true,
        "service_tier": "flex",
        "prompt_cache_key": "k",
        "modalities": ["text"],
    }))
}

/// What a provider makes of a body: what it refuses, which is then taken out, and what is changed and left out.
fn prepared(provider: &Provider) -> String {
    let mut asked = common();
    let mut lines = Vec::new();
    let (written, dropped) = loop {
        let mut body = asked.clone();
        match provider.prepare(&mut body) {
            Ok(dropped) => break (body, dropped),
            Err(fault) => {
                let field = fault.field.expect("a field");
                assert!(asked.shift_remove(&field).is_some(), "{field}");
                lines.push(format!("refuses {field}"));
            }
        }
    };
    let names: BTreeSet<&String> = asked.keys().chain(written.keys()).collect();
    for name in names {
        match (asked.get(name), written.get(name)) {
            (before, after) if before == after => {}
            (Some(before), Some(after)) => lines.extend(changed(name, before, after)),
            (_, Some(after)) => lines.push(format!("{name} is {after}")),
            (_, None) => lines.push(format!("no {name}")),
        }
    }
    let dropped = dropped.into_iter().map(|dropped| dropped.field);
    lines.extend(dropped.map(|field| format!("names {field}")));
    if lines.is_empty() {
        return String::new();
    }
    format!("{}\n  {}\n", provider.id, lines.join("\n  "))
}

/// The messages or tools that are others, or the field.
fn changed(name: &str, before: &Value, after: &Value) -> Vec<String> {
    let (Some(old), Some(new)) = (before.as_array(), after.as_array()) else {
        return vec![format!("{name} is {after}")];
    };
    let places = 0..old.len().max(new.len());
    let others = places.filter(|at| old.get(*at) != new.get(*at));
    let said = others.map(|at| match new.get(at) {
        Some(new) => format!("{name}[{at}] is {new}"),
        None => format!("no {name}[{at}]"),
    });
    said.collect()
}

#[test]
fn what_each_provider_is_particular_about() {
    let table: String = built_in().iter().map(prepared).collect();
    insta::assert_snapshot!("providers", table);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z_{}/.]{0,12}".prop_map(Value::from),
        Just(json!("json_schema")),
        Just(json!("developer")),
        Just(json!("user")),
    ];
    let key = prop_oneof![
        Just("messages".to_owned()),
        Just("role".to_owned()),
        Just("content".to_owned()),
        Just("tools".to_owned()),
        Just("function".to_owned()),
        Just("tool_calls".to_owned()),
        Just("response_format".to_owned()),
        Just("json_schema".to_owned()),
        Just("type".to_owned()),
        Just("n".to_owned()),
        Just("reasoning_effort".to_owned()),
        Just("reasoning_content".to_owned()),
        Just("contents".to_owned()),
        Just("parts".to_owned()),
        Just("functionCall".to_owned()),
        Just("functionResponse".to_owned()),
        "[a-z]{1,6}",
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        let map = proptest::collection::vec((key.clone(), inner.clone()), 0..6)
            .prop_map(|pairs| Value::Object(pairs.into_iter().collect::<Map<_, _>>()));
        prop_oneof![
            proptest::collection::vec(inner, 0..6).prop_map(Value::from),
            map
        ]
    })
}

proptest! {
    /// No body is too strange for any provider's quirks.
    #[test]
    fn any_body_is_prepared_or_refused(body in any_json()) {
        if let Value::Object(body) = body {
            for provider in built_in() {
                let _ = provider.prepare(&mut body.clone());
            }
        }
    }
}
