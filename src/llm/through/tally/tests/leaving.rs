//! What answers are taken to have used whose end nobody waited for.

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};

use crate::llm::dialect::Dialect;
use crate::llm::through::tally::tests::sent;
use crate::llm::through::tally::{OUTPUT_TOKENS_MAX, Tally};

#[test]
fn what_was_told_counts_though_nobody_waits_for_the_end() {
    use Dialect::OpenaiChat;
    let asked = sent("application/json", r#"{"model":"m"}"#);
    let left = |path: &str, media: &'static str, body: &str| {
        let mut tally = Tally::of(&Method::POST, path, OpenaiChat);
        let headers = [(CONTENT_TYPE, HeaderValue::from_static(media))];
        tally.begins(200, &headers.into_iter().collect());
        tally.push(body.as_bytes());
        let used = tally.finish(&asked, false).unwrap().used;
        (used.told.map(|told| told.output), used.complete)
    };
    let (json, events) = ("application/json", "text/event-stream");
    let usage = r#""usage":{"input_tokens":5,"output_tokens":41}"#;
    let whole = format!("{{\"data\":[],{usage}}}");
    for path in ["images/generations", "responses"] {
        assert_eq!(left(path, json, &whole), (Some(41), true), "{path}");
        let open = &whole[..whole.len() - 1];
        assert!(!left(path, json, open).1, "{path}");
    }
    let picture = "A".repeat(9_000);
    let told = format!("data: {{\"b64_json\":\"{picture}\",{usage}}}\n\n");
    assert_eq!(left("images/generations", events, &told), (Some(41), true));
    let unmade = format!("data: {{\"status\":\"in_progress\",{usage}}}\n\n");
    assert!(!left("threads/t/runs", events, &unmade).1);
}

#[test]
fn what_nobody_waited_for_is_as_much_as_it_may_be() {
    use Dialect::{Anthropic, Gemini, OpenaiChat};
    let left = |at: (&str, Dialect), body: &str| {
        let asked = sent("application/json", body);
        let tallied = Tally::of(&Method::POST, at.0, at.1).left(&asked)?;
        let used = tallied.used;
        assert!(!used.complete);
        assert_eq!(used.told.unwrap().input, (body.len() as u64).div_ceil(4));
        Some(used.estimate)
    };
    for (at, body, expected) in [
        (
            ("chat/completions", OpenaiChat),
            r#"{"model":"m"}"#,
            Some(4_096),
        ),
        (
            ("chat/completions", OpenaiChat),
            r#"{"max_tokens":7,"n":3}"#,
            Some(21),
        ),
        (
            ("chat/completions", OpenaiChat),
            r#"{"max_tokens":900000}"#,
            Some(OUTPUT_TOKENS_MAX),
        ),
        (("v1/messages", Anthropic), r#"{"max_tokens":9}"#, Some(9)),
        (
            ("models/g:generateContent", Gemini),
            r#"{"generationConfig":{"maxOutputTokens":5}}"#,
            Some(5),
        ),
        (
            ("responses", OpenaiChat),
            r#"{"background":true}"#,
            Some(OUTPUT_TOKENS_MAX),
        ),
        (
            ("chat/completions", OpenaiChat),
            r#"{"background":true}"#,
            Some(4_096),
        ),
        (
            ("images/generations", OpenaiChat),
            r#"{"n":2}"#,
            Some(16_384),
        ),
        (("embeddings", OpenaiChat), r#"{"input":"a"}"#, Some(0)),
        (("models/g:countTokens", Gemini), "{}", None),
    ] {
        assert_eq!(left(at, body), expected, "{at:?} {body}");
    }
    // An answer that broke off may have been made as a whole.
    let asked = sent("application/json", r#"{"max_tokens":70}"#);
    let broken = |media: &'static str, body: &str| {
        let mut tally = Tally::of(&Method::POST, "chat/completions", OpenaiChat);
        let headers = [(CONTENT_TYPE, HeaderValue::from_static(media))];
        tally.begins(200, &headers.into_iter().collect());
        tally.push(body.as_bytes());
        tally.finish(&asked, false).unwrap().used.estimate
    };
    assert_eq!(broken("application/json", r#"{"choices":["#), 70);
    // Of a stream, each piece that came.
    let piece = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
    assert_eq!(broken("text/event-stream", &piece.repeat(400)), 400);
    assert_eq!(broken("text/event-stream", "what nobody can read\n\n"), 6);
}
