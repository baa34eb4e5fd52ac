//! What is said in a dialect and read back is what was said: all of it, or what is missing is named.

use causeway::llm::answer::{Answer, Stop};
use causeway::llm::chat::{
    ChatRequest, Format, Function, Image, Part, Role, Sampling, Signature, Source, Thought, Tool,
    ToolCall, ToolChoice, ToolResult, Turn,
};
use causeway::llm::codec::StreamEncoder;
use causeway::llm::dialect::{Dialect, Dropped, TargetModel};
use causeway::llm::usage::Usage;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::matrix::{collected, decoded, joined, part, plain, told};

fn words() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9äß€漢\"\\\\<>{}]{1,6}([ \n][a-z.,'😀]{1,6}){0,3}"
}

fn texts() -> impl Strategy<Value = Part> {
    words().prop_map(Part::text)
}

fn images() -> impl Strategy<Value = Part> {
    let url = "[a-z]{3}".prop_map(|name| Source::Url {
        url: format!("https://example.com/{name}.png"),
        media_type: Some("image/png".to_owned()),
    });
    let inline = "([A-Za-z0-9+/]{4}){1,3}".prop_map(|data| Source::Inline {
        media_type: "image/png".to_owned(),
        data,
    });
    prop_oneof![url, inline].prop_map(|source| {
        let (detail, cache) = (None, None);
        Part::Image(Image {
            source,
            detail,
            cache,
        })
    })
}

/// Thoughts that prove themselves: more than one of others would be one in some dialects.
fn thoughts() -> impl Strategy<Value = Part> {
    let dialects = prop::sample::select(Dialect::heard().to_vec());
    (words(), dialects, "[a-zA-Z0-9]{8}").prop_map(|(text, dialect, value)| {
        Part::Thought(Thought {
            text,
            signature: Some(Signature { dialect, value }),
            ..Thought::default()
        })
    })
}

fn objects() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        words().prop_map(Value::from),
        vec(any::<u8>(), 0..3).prop_map(Value::from),
    ];
    vec(("[a-z]{1,5}", leaf), 0..4).prop_map(|fields| Value::Object(fields.into_iter().collect()))
}

/// What a model says at once: thoughts, a text, calls.
fn said() -> impl Strategy<Value = Vec<Part>> {
    let calls = vec((0..TOOLS, objects()), 0..3);
    let parts = (vec(thoughts(), 0..3), of(texts()), calls);
    let parts = parts.prop_map(|(mut parts, text, calls)| {
        parts.extend(text);
        parts.extend(calls.into_iter().enumerate().map(|(at, (tool, input))| {
            Part::ToolCall(ToolCall {
                id: format!("call_{at}"),
                name: format!("tool_{tool}"),
                arguments: input.to_string(),
                signature: None,
                custom: false,
                cache: None,
            })
        }));
        parts
    });
    parts.prop_filter("something", |parts| {
        parts.iter().any(|part| !matches!(part, Part::Thought(_)))
    })
}

/// Tools that there are at most.
const TOOLS: usize = 3;

fn tools() -> impl Strategy<Value = Vec<Tool>> {
    let one = (of(words()), objects(), of(Just(true)));
    vec(one, TOOLS).prop_map(|tools| {
        let tools = tools.into_iter().enumerate();
        let functions = tools.map(|(at, (description, properties, strict))| {
            Tool::Function(Function {
                name: format!("tool_{at}"),
                description,
                parameters: Some(schema(&properties)),
                strict,
                cache: None,
            })
        });
        functions.collect()
    })
}

/// A schema that has a property for each.
fn schema(properties: &Value) -> Value {
    let names = properties.as_object().into_iter().flatten();
    let properties: serde_json::Map<String, Value> = names
        .map(|(name, value)| {
            (
                name.clone(),
                json!({"type": "string", "description": value.to_string()}),
            )
        })
        .collect();
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

fn formats() -> impl Strategy<Value = Format> {
    let strict = of(any::<bool>());
    let schemas = ("[a-z]{1,5}", of(words()), objects(), strict);
    let schemas = schemas.prop_map(|(name, description, properties, strict)| Format::Schema {
        name: Some(name),
        description,
        schema: schema(&properties),
        strict,
    });
    prop_oneof![Just(Format::Json), schemas]
}

fn samplings() -> impl Strategy<Value = Sampling> {
    let quarters = |most: u32| of((0..=most).prop_map(|n| f64::from(n) / 4.0));
    let rest = (of(1_u64..50), quarters(4), quarters(4), of(0_i64..9));
    let stop = prop_oneof![3 => Just(Vec::new()), 1 => vec("[A-Z]{2,4}", 1..3)];
    (100_u64..4_000, quarters(4), quarters(4), rest, stop).prop_map(
        |(most, temperature, top_p, rest, stop)| Sampling {
            max_output_tokens: Some(most),
            temperature,
            top_p,
            top_k: rest.0,
            frequency_penalty: rest.1,
            presence_penalty: rest.2,
            seed: rest.3,
            stop,
            ..Sampling::default()
        },
    )
}

/// A turn of a model's, and what it is answered: the results of its calls first.
fn exchanges() -> impl Strategy<Value = (Vec<Part>, Vec<Part>)> {
    let results = vec(words(), 3);
    (said(), results, texts(), any::<bool>()).prop_map(|(said, results, more, goes_on)| {
        let calls = said.iter().filter_map(|part| match part {
            Part::ToolCall(call) => Some(call.id.clone()),
            _ => None,
        });
        let results = calls.zip(results).map(|(id, text)| {
            Part::ToolResult(ToolResult {
                id,
                name: None,
                parts: vec![Part::text(text)],
                is_error: false,
                cache: None,
            })
        });
        let mut answered: Vec<Part> = results.collect();
        if goes_on || answered.is_empty() {
            answered.push(more);
        }
        (said, answered)
    })
}

fn requests() -> impl Strategy<Value = ChatRequest> {
    let asked = vec(prop_oneof![texts(), images()], 1..4);
    let choices = prop_oneof![
        Just(ToolChoice::Auto),
        Just(ToolChoice::None),
        Just(ToolChoice::Required),
        Just(ToolChoice::Named("tool_1".to_owned())),
    ];
    let about = (
        of(texts()),
        of(choices),
        of(any::<bool>()),
        of(formats()),
        samplings(),
        of("[a-z]{1,9}"),
        of("[a-z]{1,9}"),
    );
    let talk = vec(exchanges(), 0..3);
    (asked, talk, tools(), about, any::<bool>()).prop_map(|(asked, talk, tools, about, stream)| {
        let mut turns = vec![Turn::new(Role::User, apart(asked))];
        for (at, (mut said, mut answered)) in talk.into_iter().enumerate() {
            for part in said.iter_mut().chain(&mut answered) {
                match part {
                    Part::ToolCall(call) => call.id.insert_str(0, &format!("turn{at}_")),
                    Part::ToolResult(result) => result.id.insert_str(0, &format!("turn{at}_")),
                    _ => {}
                }
            }
            turns.push(Turn::new(Role::Assistant, said));
            turns.push(Turn::new(Role::User, answered));
        }
        let (system, tool_choice, parallel_tool_calls, format, sampling, user, cache_key) = about;
        ChatRequest {
            model: "m".to_owned(),
            system: system.into_iter().collect(),
            turns,
            tools,
            tool_choice,
            parallel_tool_calls,
            format,
            sampling,
            stream,
            stream_usage: stream,
            user,
            cache_key,
            ..ChatRequest::default()
        }
    })
}

/// Texts that follow one another are one, wherever they are read.
fn apart(mut parts: Vec<Part>) -> Vec<Part> {
    parts.dedup_by(|more, before| matches!((before, more), (Part::Text(_), Part::Text(_))));
    parts
}

/// Something that was said: what it is a part of, and what it is.
type Fact = (String, String);

fn facts(request: &ChatRequest) -> Vec<Fact> {
    let mut facts: Vec<Fact> = Vec::new();
    let mut say = |of: &str, what: String| facts.push((of.to_owned(), what));
    for line in request.system.iter().flat_map(part) {
        say("system", line);
    }
    for turn in &request.turns {
        for it in &turn.parts {
            let proof = match it {
                // Which of the two it is called depends on its maker.
                Part::Thought(Thought {
                    signature, sealed, ..
                }) => format!(" {:?}", signature.as_ref().or(sealed.as_ref())),
                Part::ToolCall(call) => format!(" {}", call.id),
                Part::ToolResult(result) => format!(" {}", result.id),
                _ => String::new(),
            };
            for line in part(it) {
                say("turns", format!("{:?} {line}{proof}", turn.role));
            }
        }
    }
    for tool in &request.tools {
        let Tool::Function(function) = tool else {
            say("tools", format!("{tool:?}"));
            continue;
        };
        let parameters = function.parameters.clone().unwrap_or_default();
        let (name, parameters) = (&function.name, plain(&parameters.to_string()));
        say(
            "tools",
            format!("{name} {:?} {parameters}", function.description),
        );
        if function.strict == Some(true) {
            say("tools", format!("{name} is strict"));
        }
    }
    facts.extend(settings(request));
    facts
}

/// A fact, where something is said.
fn fact<T: ToString>(of: &str, what: Option<T>) -> Option<Fact> {
    Some((of.to_owned(), what?.to_string()))
}

/// What is said of itself where nothing is said is nothing new.
fn chosen(share: Option<f64>) -> Option<f64> {
    share.filter(|share| (share - 1.0).abs() > f64::EPSILON)
}

/// A penalty of zero is none.
fn penalty(share: Option<f64>) -> Option<f64> {
    share.filter(|share| share.abs() > f64::EPSILON)
}

fn settings(request: &ChatRequest) -> Vec<Fact> {
    let sampling = &request.sampling;
    let (mut stop, mut format) = (None, Vec::new());
    if !sampling.stop.is_empty() {
        stop = Some(format!("{:?}", sampling.stop));
    }
    match &request.format {
        Some(Format::Schema {
            name,
            description,
            schema,
            // Others keep to every schema.
            strict: _,
        }) => format.extend([
            fact("format", Some(plain(&schema.to_string()))),
            fact("format.name", name.as_ref()),
            fact("format.description", description.as_ref()),
        ]),
        Some(Format::Json) => format.push(fact("format", Some("any"))),
        None => {}
    }
    // What is said of itself where nothing is said is nothing new.
    let choice = request.tool_choice.as_ref();
    let choice = choice.filter(|choice| **choice != ToolChoice::Auto);
    let calls = request.tool_choice != Some(ToolChoice::None);
    let one = request.parallel_tool_calls.filter(|many| !many && calls);
    let facts = [
        fact("sampling.max_output_tokens", sampling.max_output_tokens),
        fact("sampling.temperature", chosen(sampling.temperature)),
        fact("sampling.top_p", chosen(sampling.top_p)),
        fact("sampling.top_k", sampling.top_k),
        fact(
            "sampling.frequency_penalty",
            penalty(sampling.frequency_penalty),
        ),
        fact(
            "sampling.presence_penalty",
            penalty(sampling.presence_penalty),
        ),
        fact("sampling.seed", sampling.seed),
        fact("sampling.stop", stop),
        fact("tool_choice", choice.map(|choice| format!("{choice:?}"))),
        fact("parallel_tool_calls", one),
        fact("user", request.user.as_ref()),
        fact("cache_key", request.cache_key.as_ref()),
    ];
    facts.into_iter().chain(format).flatten().collect()
}

/// Whether a name of something that was left out is of a kind of facts.
fn names(dropped: &Dropped, of: &str) -> bool {
    let field = dropped.field.as_str();
    match of {
        // As the dialect that is written calls them.
        "turns" => field.starts_with("turns") || field.starts_with("messages"),
        of => {
            field == of
                || (of == "tools" && field.starts_with("tools["))
                || of.starts_with(&format!("{field}."))
        }
    }
}

/// What is missing, or there and was not said, though nothing says so. Each name stands for one thing.
fn unexplained(before: &[Fact], after: &[Fact], dropped: &[Dropped]) -> Vec<String> {
    let (mut new, mut missing) = (after.to_vec(), Vec::new());
    for fact in before {
        match new.iter().position(|known| known == fact) {
            Some(at) => drop(new.swap_remove(at)),
            None => missing.push(fact.clone()),
        }
    }
    let mut lines = Vec::new();
    let mut left = dropped.to_vec();
    for (of, what) in missing {
        match left.iter().position(|one| names(one, &of)) {
            // A format is left out with all there is to say of it.
            Some(at) if left[at].field == "format" => {}
            Some(at) => drop(left.swap_remove(at)),
            None => lines.push(format!("- {of}: {what}")),
        }
    }
    let explains = |of: &str| {
        // What the text of an answer has to be is said in words where there is no other way.
        let said = of == "system" && dropped.iter().any(|one| one.field == "format");
        said || dropped.iter().any(|one| names(one, of))
    };
    new.retain(|(of, _)| !explains(of));
    lines.extend(new.iter().map(|(of, what)| format!("+ {of}: {what}")));
    lines
}

fn model(dialect: Dialect) -> TargetModel {
    let name = match dialect {
        Dialect::Anthropic => "claude-sonnet-4-5",
        Dialect::Gemini => "gemini-2.5-flash",
        _ => "gpt-5.2",
    };
    TargetModel {
        name: name.to_owned(),
        max_output_tokens: None,
    }
}

fn answers() -> impl Strategy<Value = Answer> {
    let usage = (0_u64..9_999, 0_u64..99, 0_u64..9_999, 0_u64..99);
    let usage = usage.prop_map(|(input, cached, output, reasoning)| Usage {
        input: input + cached,
        cached,
        output: output + reasoning,
        reasoning,
        ..Usage::default()
    });
    (said(), any::<bool>(), usage).prop_map(|(parts, whole, usage)| {
        let calls = parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
        let stop = match (whole, calls) {
            (false, _) => Stop::Length,
            (true, true) => Stop::ToolCalls,
            (true, false) => Stop::End,
        };
        Answer {
            id: "msg_1".to_owned(),
            model: "m".to_owned(),
            parts,
            stop: Some(stop),
            usage: Some(usage),
            ..Answer::default()
        }
    })
}

fn facts_of(answer: &Answer) -> Vec<Fact> {
    let turns = vec![Turn::new(Role::Assistant, joined(answer).parts)];
    let said = ChatRequest {
        turns,
        ..ChatRequest::default()
    };
    let mut facts = facts(&said);
    facts.extend(
        answer
            .stop
            .iter()
            .map(|stop| ("stop".to_owned(), format!("{stop:?}"))),
    );
    if let Some(usage) = &answer.usage {
        let Usage {
            input,
            cached,
            output,
            ..
        } = usage;
        facts.push(("usage".to_owned(), format!("{input} {cached} {output}")));
    }
    facts
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn requests_lose_nothing_that_is_not_named(request in requests()) {
        for to in Dialect::heard() {
            // What the answer depends on is refused.
            let Ok(encoded) = to.encode_request(&request, &model(to)) else {
                continue;
            };
            let back = to.decode_request(encoded.body.clone()).expect("a request of ours");
            let lost = unexplained(&facts(&request), &facts(&back), &encoded.dropped);
            prop_assert!(lost.is_empty(), "{to:?}: {lost:#?}\n{:?}\n{:#}", encoded.dropped, encoded.body);
        }
    }

    #[test]
    fn answers_lose_nothing_that_is_not_named(answer in answers()) {
        for to in Dialect::heard() {
            let encoded = to.encode_answer(&answer, &told()).expect("callers speak it");
            let whole = to.decode_answer(encoded.body.clone()).expect("an answer of ours");
            let lost = unexplained(&facts_of(&answer), &facts_of(&whole), &encoded.dropped);
            prop_assert!(lost.is_empty(), "{to:?}: {lost:#?}\n{:#}", encoded.body);
            let mut encoder = StreamEncoder::new(to, told(), false).expect("callers speak it");
            let mut out = Vec::new();
            for event in answer.events() {
                encoder.push(event, &mut out);
            }
            encoder.finish(&mut out);
            let stream = String::from_utf8(out).expect("UTF-8");
            let back = collected(decoded(to, &stream)).expect("an answer of ours");
            let lost = unexplained(&facts_of(&answer), &facts_of(&back), encoder.dropped());
            prop_assert!(lost.is_empty(), "{to:?}: {lost:#?}\n{stream}");
        }
    }
}

/// The names of what is left out of a request of a dialect in each of some others.
fn lost(from: Dialect, body: &Value, model: &str) -> Vec<(Dialect, Vec<String>)> {
    let request = from.decode_request(body.clone()).expect("a request");
    let model = TargetModel {
        name: model.into(),
        max_output_tokens: None,
    };
    let others = Dialect::ALL.into_iter().filter(|to| *to != from);
    let lost = others.map(|to| {
        let encoded = to.encode_request(&request, &model).expect("can be said");
        let names = encoded.dropped.into_iter().map(|one| one.field);
        (to, names.collect())
    });
    lost.collect()
}

// What the SDKs of OpenAI add by themselves, and what nobody does unasked.
#[test]
fn what_says_nothing_is_not_named_as_lost() {
    let chat = json!({
        "model": "m", "store": false, "metadata": null,
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Oh", "refusal": null, "parsed": null},
            {"role": "user", "content": "Hi"},
        ],
    });
    let stored = json!({ "model": "m", "store": true, "messages": chat["messages"] });
    for (to, lost) in lost(Dialect::OpenaiChat, &chat, "m") {
        assert!(lost.is_empty(), "{to:?}: {lost:?}");
    }
    for (to, lost) in lost(Dialect::OpenaiChat, &stored, "m") {
        assert_eq!(lost, ["store"], "{to:?}");
    }
}

#[test]
fn what_is_so_anyway_is_not_named_as_lost() {
    let schema = json!({"type": "object", "properties": {}, "additionalProperties": false});
    let chat = json!({
        "model": "m", "messages": [{"role": "user", "content": "Hi"}], "n": 1, "temperature": 1, "top_p": 1,
        "frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}, "metadata": {}, "modalities": ["text"],
        "service_tier": "auto", "verbosity": "medium", "stream": true,
        "stream_options": {"include_usage": true, "include_obfuscation": false},
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}},
    });
    let responses = json!({
        "model": "m", "input": "Hi", "store": true, "background": false, "truncation": "disabled", "include": [],
        "metadata": {}, "service_tier": "default", "temperature": 1, "top_p": 1, "stream": true,
        "stream_options": {"include_obfuscation": false},
        "text": {"verbosity": "medium", "format": {"type": "json_schema", "name": "a", "schema": schema}},
    });
    for model in ["claude-sonnet-4-5", "claude-opus-4-7"] {
        for (to, lost) in lost(Dialect::OpenaiChat, &chat, model) {
            assert!(lost.is_empty(), "{model}, {to:?}: {lost:?}");
        }
        for (to, lost) in lost(Dialect::OpenaiResponses, &responses, model) {
            assert!(lost.is_empty(), "{model}, {to:?}: {lost:?}");
        }
    }
}

#[test]
fn what_is_asked_for_beyond_that_is_named() {
    let chat = json!({
        "model": "m", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0.5, "top_p": 0.5,
        "frequency_penalty": 0.1, "presence_penalty": -0.1, "logit_bias": {"1": 2}, "metadata": {"a": "b"},
        "service_tier": "flex", "verbosity": "low", "stream_options": {"include_obfuscation": true},
    });
    let lost = lost(Dialect::OpenaiChat, &chat, "claude-sonnet-4-5");
    let (_, mut names) = lost
        .into_iter()
        .find(|(to, _)| *to == Dialect::Anthropic)
        .expect("it is one of them");
    names.sort_unstable();
    let expected = [
        "frequency_penalty",
        "logit_bias",
        "metadata",
        "presence_penalty",
        "service_tier",
        "stream_options.include_obfuscation",
        "top_p",
        "verbosity",
    ];
    assert_eq!(names, expected);
}

#[test]
fn what_is_said_in_other_words_is_not_named_as_lost() {
    let body = json!({
        "model": "m", "input": "Hi", "include": ["reasoning.encrypted_content"],
        "tools": [{"type": "custom", "name": "c"}], "tool_choice": {"type": "custom", "name": "c"},
    });
    for (to, lost) in lost(Dialect::OpenaiResponses, &body, "claude-sonnet-4-5") {
        assert!(lost.is_empty(), "{to:?}: {lost:?}");
    }
    let request = Dialect::OpenaiResponses
        .decode_request(body)
        .expect("a request");
    let target = TargetModel::default();
    let said = Dialect::Anthropic.encode_request(&request, &target);
    let choice = &said.expect("can be said").body["tool_choice"];
    assert_eq!(*choice, json!({"type": "tool", "name": "c"}));
    let own = Dialect::OpenaiResponses.encode_request(&request, &target);
    let choice = &own.expect("can be said").body["tool_choice"];
    assert_eq!(*choice, json!({"type": "custom", "name": "c"}));
    for (include, named) in [
        (json!(["message.output_text.logprobs"]), false),
        (
            json!(["message.output_text.logprobs", "web_search_call.results"]),
            true,
        ),
    ] {
        let body = json!({"model": "m", "input": "Hi", "include": include, "top_logprobs": 2});
        let request = Dialect::OpenaiResponses
            .decode_request(body)
            .expect("a request");
        for to in [Dialect::OpenaiChat, Dialect::Gemini] {
            let encoded = to.encode_request(&request, &target).expect("can be said");
            let names: Vec<_> = encoded.dropped.iter().map(|one| &one.field).collect();
            assert_eq!(names, vec!["include"; usize::from(named)], "{to:?}");
        }
    }
}
