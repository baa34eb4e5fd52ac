//! What answers that are passed through are taken to have used.

mod leaving;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::llm::dialect::Dialect;
use crate::llm::price::ServiceTier;
use crate::llm::through::tally::{OUTPUT_TOKENS_MAX, Tallied, Tally};
use crate::llm::through::upload::Sent;
use crate::llm::through::words::Words;

/// A request of these bytes, all of which went out.
fn sent(media: &'static str, body: &str) -> Sent {
    let headers = [(CONTENT_TYPE, HeaderValue::from_static(media))];
    let headers: HeaderMap = headers.into_iter().collect();
    let sent = Sent::of(&headers, Words::of(&headers).unwrap());
    sent.push(body.as_bytes()).unwrap();
    sent
}

/// What is made of an answer to a request of these bytes: its model, tokens in and out, and whether that is known.
fn came(
    (path, provider): (&str, Dialect),
    headers: &[(&'static str, &'static str)],
    body: &str,
    sent: &Sent,
) -> Option<(Option<String>, (u64, u64), bool)> {
    let headers = headers.iter().map(|(name, value)| {
        let name = HeaderName::from_static(name);
        (name, HeaderValue::from_static(value))
    });
    let mut tally = Tally::of(&Method::POST, path, provider);
    tally.begins(200, &headers.collect());
    for piece in body.as_bytes().chunks(7) {
        tally.push(piece);
    }
    let Tallied { model, used } = tally.finish(sent, true)?;
    let told = used.told.unwrap_or_default();
    let output = if used.complete {
        told.output
    } else {
        told.output.max(used.estimate)
    };
    Some((model, (told.input, output), used.complete))
}

fn tallied(
    at: (&str, Dialect),
    media: &'static str,
    body: &str,
) -> Option<(Option<String>, u64, bool)> {
    let came = came(at, &[("content-type", media)], body, &Sent::default());
    came.map(|(model, (input, output), complete)| (model, input + output, complete))
}

#[test]
fn what_is_used_is_read_where_it_is_a_dialect_of_ours() {
    use Dialect::{Anthropic, Bedrock, Gemini, OpenaiChat};
    let chat = r#"{"model":"m-1","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}"#;
    let json = "application/json";
    let name = |name: &str| Some(name.to_owned());
    for (at, media, body, expected) in [
        (
            ("chat/completions", OpenaiChat),
            json,
            chat,
            Some((name("m-1"), 9, true)),
        ),
        (
            ("chat/completion%73", OpenaiChat),
            json,
            chat,
            Some((name("m-1"), 9, true)),
        ),
        (
            ("chat%252Fcompletions/", OpenaiChat),
            json,
            chat,
            Some((name("m-1"), 9, true)),
        ),
        (("v1/models", OpenaiChat), json, chat, None),
        (
            ("v1/messages", Anthropic),
            json,
            r#"{"model":"c-1","content":[],"usage":{"input_tokens":3,"output_tokens":4}}"#,
            Some((name("c-1"), 7, true)),
        ),
        (
            ("models/g:generateContent", Gemini),
            json,
            r#"{"modelVersion":"g-1","usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":1,"totalTokenCount":6}}"#,
            Some((name("g-1"), 6, true)),
        ),
        (
            ("model/us.anthropic.c%3A0/converse", Bedrock),
            json,
            r#"{"output":{"message":{"role":"assistant","content":[{"text":"a"}]}},"stopReason":"end_turn","usage":{"inputTokens":2,"outputTokens":3,"totalTokens":5}}"#,
            Some((name("us.anthropic.c:0"), 5, true)),
        ),
        (
            ("model/arn:aws:bedrock:r:1:profile%2Fp/convers%65", Bedrock),
            json,
            r#"{"output":{"message":{"role":"assistant","content":[{"text":"a"}]}},"stopReason":"end_turn","usage":{"inputTokens":2,"outputTokens":3,"totalTokens":5}}"#,
            Some((name("arn:aws:bedrock:r:1:profile/p"), 5, true)),
        ),
        (
            ("chat/completions", OpenaiChat),
            "text/event-stream",
            "data: {\"model\": \"s-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n\
             data: {\"model\":\"s-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2,\"total_tokens\":9}}\n\n\
             data: [DONE]\n\n",
            Some((name("s-1"), 9, true)),
        ),
    ] {
        assert_eq!(tallied(at, media, body), expected, "{at:?} {media}");
    }
    let mut tally = Tally::of(&Method::GET, "responses", OpenaiChat);
    tally.push(chat.as_bytes());
    assert!(
        tally.finish(&Sent::default(), true).is_none(),
        "what is only read again costs nothing again"
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table of cases")]
fn answers_of_any_size_and_form_are_read_to_the_end() {
    use Dialect::{Anthropic, Gemini, OpenaiChat};
    let name = |name: &str| Some(name.to_owned());
    let json = "application/json";
    let chunk = |tokens: u64| {
        format!(
            r#"{{"candidates":[{{"content":{{"parts":[{{"text":"\"usageMetadata\":{{}}"}}]}}}}],"usageMetadata":{{"promptTokenCount":5,"candidatesTokenCount":{tokens}}},"modelVersion":"g-1"}}"#
        )
    };
    // Gemini without `alt=sse`.
    let array = format!("[{}\n,\r\n{}]", chunk(1), chunk(7));
    let at = ("models/g:streamGenerateContent", Gemini);
    assert_eq!(tallied(at, json, &array), Some((name("g-1"), 12, true)));
    let (_, used, complete) = tallied(at, json, &array[..array.len() - 1]).unwrap();
    assert!(!complete && used >= 12, "it broke off: {used}");
    // A picture, or whatever else is long, before and after what is said of it.
    let long = "A".repeat(9 << 20);
    for body in [
        format!(
            r#"{{"usage":{{"prompt_tokens":7,"completion_tokens":2}},"model":"m","data":"{long}"}}"#
        ),
        format!(
            r#"{{"data":"{long}","model":"m","usage":{{"prompt_tokens":7,"completion_tokens":2}}}}"#
        ),
    ] {
        let at = ("v1/chat/completions", OpenaiChat);
        assert_eq!(tallied(at, json, &body), Some((name("m"), 9, true)));
    }
    // Vertex AI, in the words of each model's maker.
    let claude =
        r#"{"model":"claude-x","content":[],"usage":{"input_tokens":3,"output_tokens":4}}"#;
    let stream = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"a\",\"model\":\"claude-x\",\"content\":[],\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n\
         event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":4}}\n\n\
         event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    for (at, media, body, model) in [
        (
            ("models/claude-x@1:rawPredict", Anthropic),
            json,
            claude,
            "claude-x",
        ),
        (
            ("models/claude-x@1:streamRawPredict", Anthropic),
            "text/event-stream",
            stream,
            "claude-x",
        ),
        (
            (
                "v1/projects/p/locations/l/publishers/anthropic/models/claude-x:rawPredict",
                Gemini,
            ),
            json,
            claude,
            "claude-x",
        ),
        (
            (
                "v1/projects/p/locations/l/publishers/mistralai/models/m-1:rawPredict",
                Gemini,
            ),
            json,
            r#"{"model":"m-1","usage":{"prompt_tokens":3,"completion_tokens":4}}"#,
            "m-1",
        ),
    ] {
        assert_eq!(
            tallied(at, media, body),
            Some((name(model), 7, true)),
            "{at:?}"
        );
    }
    let cohere = r#"{"id":"a","usage":{"billed_units":{"input_tokens":3,"output_tokens":4}}}"#;
    let at = ("v2/chat", Dialect::Cohere);
    assert_eq!(tallied(at, json, cohere), Some((None, 7, true)));
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table of cases")]
fn what_nobody_says_is_estimated_and_never_nothing() {
    use Dialect::{Bedrock, Gemini, OpenaiChat};
    let json = ("content-type", "application/json");
    let asked = sent(
        "application/json",
        &format!(r#"{{"model":"m","text":"{}"}}"#, "x".repeat(377)),
    );
    let name = |name: &str| Some(name.to_owned());
    let (mute, long) = ("{}".repeat(20), "x".repeat(9 << 20));
    for (at, headers, body, expected) in [
        // An answer of a dialect of ours that does not say it, and one of another.
        (
            ("chat/completions", OpenaiChat),
            vec![json],
            &*mute,
            (name("m"), (100, 10), false),
        ),
        (
            ("images/generations", OpenaiChat),
            vec![json],
            &mute,
            (name("m"), (100, 10), false),
        ),
        (
            ("images/generations", OpenaiChat),
            vec![json],
            &long,
            (name("m"), (100, 8_192), false),
        ),
        (
            ("chat/completions", OpenaiChat),
            vec![json],
            &long,
            (name("m"), (100, 131_072), false),
        ),
        (
            ("models/g:embedContent", Gemini),
            vec![json],
            &mute,
            (name("m"), (100, 0), false),
        ),
        (
            ("audio/speech", OpenaiChat),
            vec![("content-type", "audio/mpeg")],
            &mute,
            (name("m"), (100, 2), false),
        ),
        (
            ("chat/completions", OpenaiChat),
            vec![("content-type", "text/event-stream")],
            "data: {\n\n",
            (name("m"), (100, 3), false),
        ),
        (
            ("model/a.b-v1:0/invoke", Bedrock),
            vec![json],
            &mute,
            (name("a.b-v1:0"), (100, 10), false),
        ),
        (
            ("model/a.b-v1:0/invoke", Bedrock),
            vec![
                json,
                ("x-amzn-bedrock-input-token-count", "7"),
                ("x-amzn-bedrock-output-token-count", "2"),
            ],
            &mute,
            (name("a.b-v1:0"), (7, 2), true),
        ),
    ] {
        let came = came(at, &headers, body, &asked);
        assert_eq!(came, Some(expected), "{at:?}");
    }
    // Sound has few tokens for its bytes.
    let sound = sent("multipart/form-data; boundary=b", &"x".repeat(3_200));
    let at = ("audio/transcriptions", OpenaiChat);
    assert_eq!(
        came(at, &[json], "{}", &sound),
        Some((None, (100, 1), false))
    );
    // What costs nothing, and what was refused.
    for path in [
        "v1/messages/count_tokens",
        "models/g:countTokens",
        "moderations",
        "files",
        "v1/files/f/content",
        "batches",
        "responses/r/cancel",
        // What was answered before is changed.
        "v1/chat/completions/c",
        "responses/r",
        "threads/t/runs/r",
    ] {
        assert!(
            came((path, Gemini), &[json], &mute, &asked).is_none(),
            "{path}"
        );
    }
    for path in [
        "threads/t/runs/r/submit_tool_outputs",
        "responses/compact",
        "deployments/runs/chat/completions",
        "deployments/completions/embeddings",
    ] {
        assert!(
            came((path, OpenaiChat), &[json], &mute, &asked).is_some(),
            "{path}"
        );
    }
    let mut tally = Tally::of(&Method::POST, "chat/completions", OpenaiChat);
    tally.begins(302, &HeaderMap::new());
    assert!(tally.finish(&asked, true).is_none());
}

#[test]
fn what_is_no_chat_is_read_where_it_says_what_it_used() {
    use Dialect::OpenaiChat;
    let json = [("content-type", "application/json")];
    let events = [("content-type", "text/event-stream")];
    let asked = sent("application/json", r#"{"model":"m"}"#);
    let of = |path: &str, headers: &[(&'static str, &'static str)], body: &str| {
        let came = came((path, OpenaiChat), headers, body, &asked);
        came.map(|(_, used, complete)| (used, complete)).unwrap()
    };
    let usage = r#"{"input_tokens":50,"output_tokens":4160,"total_tokens":4210}"#;
    let picture = format!(
        r#"{{"data":[{{"b64_json":"{}"}}],"usage":{usage}}}"#,
        "A".repeat(9_000)
    );
    assert_eq!(
        of("images/generations", &json, &picture),
        ((50, 4_160), true)
    );
    let event =
        |kind: &str, rest: &str| format!("event: {kind}\ndata: {{\"type\":\"{kind}\"{rest}}}\n\n");
    let whole = format!(",\"usage\":{usage}");
    let stream = event("transcript.text.delta", "") + &event("transcript.text.done", &whole);
    assert_eq!(
        of("audio/transcriptions", &events, &stream),
        ((50, 4_160), true)
    );
    // What says nothing with many words is estimated all the same.
    for said in [
        r#"{"usage":{}}"#,
        r#"{"usage":{"type":"duration","seconds":9}}"#,
    ] {
        let ((input, output), complete) = of("audio/transcriptions", &json, said);
        assert!(!complete && input > 0 && output > 0, "{said}");
        let ((_, output), complete) = of("chat/completions", &json, said);
        assert!(!complete && output > 0, "{said}");
    }
    // A text is no JSON that broke off.
    let text = [("content-type", "text/plain")];
    for said in ["some words", "some {word", "[some word"] {
        assert_eq!(of("audio/transcriptions", &text, said).0, (4, 3), "{said}");
    }
}

#[test]
fn ranks_are_searches_where_nobody_counts_tokens_and_vectors_are_no_answer() {
    let asked = sent("application/json", &"x".repeat(400));
    let of = |path: &str, body: &str| {
        let mut tally = Tally::of(&Method::POST, path, Dialect::Cohere);
        let headers = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        tally.begins(200, &headers.into_iter().collect());
        tally.push(body.as_bytes());
        let used = tally.finish(&asked, true).unwrap().used;
        let told = used.told.unwrap();
        let output = told.output.max(used.estimate);
        ((told.input, output, told.searches), used.complete)
    };
    let billed = |units: &str| format!(r#"{{"results":[],"meta":{{"billed_units":{units}}}}}"#);
    for (path, body, expected) in [
        (
            "v2/rerank",
            billed(r#"{"search_units":3}"#),
            ((100, 0, 3), false),
        ),
        ("v2/rerank", "{}".to_owned(), ((100, 0, 1), false)),
        (
            "v2/rerank",
            billed(r#"{"input_tokens":40,"search_units":1}"#),
            ((40, 0, 1), true),
        ),
        (
            "rerank",
            r#"{"usage":{"total_tokens":30}}"#.to_owned(),
            ((30, 0, 0), true),
        ),
        (
            "embeddings",
            r#"{"usage":{"total_tokens":30}}"#.to_owned(),
            ((30, 0, 0), true),
        ),
        (
            "v2/embed",
            billed(r#"{"input_tokens":5}"#),
            ((5, 0, 0), true),
        ),
    ] {
        assert_eq!(of(path, &body), expected, "{path} {body}");
    }
}

#[test]
fn an_answer_that_is_made_later_is_as_long_as_it_may_be() {
    use Dialect::OpenaiChat;
    let json = "application/json";
    let of = |path: &str, asked: &str, body: &str| {
        let asked = sent(json, asked);
        let ((_, output), complete) =
            came((path, OpenaiChat), &[("content-type", json)], body, &asked)
                .map(|(_, used, complete)| (used, complete))
                .unwrap();
        (output, complete)
    };
    let said = |status: &str, usage: &str| format!(r#"{{"status":"{status}","usage":{usage}}}"#);
    let (bounded, used) = (
        r#"{"max_output_tokens":700}"#,
        r#"{"input_tokens":3,"output_tokens":4}"#,
    );
    for (path, asked, answer, expected) in [
        (
            "v1/responses",
            bounded,
            said("queued", "null"),
            (700, false),
        ),
        (
            "responses",
            "{}",
            said("in_progress", "null"),
            (OUTPUT_TOKENS_MAX, false),
        ),
        (
            "threads/t/runs",
            "{}",
            said("queued", "null"),
            (OUTPUT_TOKENS_MAX, false),
        ),
        ("responses", bounded, said("completed", used), (4, true)),
        (
            "responses",
            bounded,
            said("in_progress", used),
            (700, false),
        ),
        ("chat/completions", "{}", said("queued", "null"), (8, false)),
    ] {
        assert_eq!(
            of(path, asked, &answer),
            expected,
            "{path} {asked} {answer}"
        );
    }
}

#[test]
fn an_answer_is_of_the_tier_it_tells_or_was_asked_for() {
    use Dialect::{Anthropic, OpenaiChat};
    use ServiceTier::{Flex, Priority, Standard};
    let of = |at: (&str, Dialect), asked: &str, media: &'static str, body: &str| {
        let asked = sent("application/json", asked);
        let mut tally = Tally::of(&Method::POST, at.0, at.1);
        let headers = [(CONTENT_TYPE, HeaderValue::from_static(media))];
        tally.begins(200, &headers.into_iter().collect());
        tally.push(body.as_bytes());
        let Tallied { used, .. } = tally.finish(&asked, true).unwrap();
        used.tier
    };
    let (json, events) = ("application/json", "text/event-stream");
    let flex = r#"{"service_tier":"flex"}"#;
    let chat = ("chat/completions", OpenaiChat);
    let told =
        "data: {\"service_tier\":\"priority\",\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n";
    let untold = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n";
    let response = "data: {\"type\":\"response.created\",\"response\":{\"service_tier\":\"auto\"}}\n\n\
        data: {\"type\":\"response.completed\",\"response\":{\"service_tier\":\"default\",\"usage\":{\"input_tokens\":1}}}\n\n";
    for (at, asked, media, body, expected) in [
        (chat, "{}", events, told, Priority),
        (chat, flex, events, told, Priority),
        (chat, flex, events, untold, Flex),
        (chat, "{}", events, untold, Standard),
        (chat, flex, json, "{}", Flex),
        (chat, flex, json, flex, Flex),
        (chat, flex, json, r#"{"service_tier":"default"}"#, Standard),
        (("responses", OpenaiChat), flex, events, response, Standard),
        (("v1/messages", Anthropic), flex, json, "{}", Standard),
    ] {
        assert_eq!(
            of(at, asked, media, body),
            expected,
            "{at:?} {asked} {body}"
        );
    }
}
