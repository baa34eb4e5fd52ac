//! Every fixture of every dialect, said in every other: what arrives there, what is dropped and what is refused.
//!
//! What arrives is read back with the other dialect's own decoder and compared by its gist; a line that begins with
//! `-` is missing there, one with `+` is new.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use causeway::events::{Decoder, Framing};
use causeway::llm::answer::{Answer, ChatEvent, Collector, Stop};
use causeway::llm::chat::{ChatRequest, Format, Part, Source, Tool};
use causeway::llm::codec::{StreamDecoder, StreamEncoder};
use causeway::llm::dialect::{Dialect, Dropped, OwnTools, TargetModel, Told};
use serde_json::Value;

use crate::{grammar, json, text};

/// The folder of a dialect's fixtures.
fn folder(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenaiChat => "openai_chat",
        Dialect::OpenaiResponses => "openai_responses",
        Dialect::Anthropic => "anthropic",
        Dialect::Gemini => "gemini",
        Dialect::Bedrock => "bedrock",
        Dialect::Cohere => "cohere",
    }
}

/// The files of a kind, by name.
fn files(dialect: Dialect, kind: &str) -> Vec<String> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/llm");
    let folder = format!("{}/{kind}", folder(dialect));
    let Ok(entries) = fs::read_dir(root.join(&folder)) else {
        return Vec::new();
    };
    let entries = entries.map(|entry| entry.expect("an entry"));
    let entries = entries.filter(|entry| entry.path().is_file());
    let names = entries.map(|entry| entry.file_name().into_string());
    let mut names: Vec<String> = names
        .map(|name| format!("{folder}/{}", name.expect("UTF-8")))
        .collect();
    names.sort();
    assert!(!names.is_empty(), "{folder} is empty");
    names
}

pub(crate) fn told() -> Told {
    Told {
        model: "asked".into(),
        request_id: "0123456789abcdef0123456789abcdef".into(),
        now: 1_700_000_000,
        stream_usage: true,
        tools: OwnTools::default(),
    }
}

fn source(source: &Source) -> String {
    match source {
        Source::Url { url, .. } => url.clone(),
        Source::Inline { media_type, data } => format!("{media_type} {} characters", data.len()),
        Source::Plain(text) => text.clone(),
        Source::File { id, .. } => format!("file {id}"),
    }
}

/// JSON text with its fields in order, so that dialects that carry values compare equal.
pub(crate) fn plain(text: &str) -> String {
    serde_json::from_str::<Value>(text).map_or_else(
        |_| text.to_owned(),
        |mut value| {
            value.sort_all_objects();
            value.to_string()
        },
    )
}

pub(crate) fn part(part: &Part) -> Vec<String> {
    vec![match part {
        Part::Text(text) if text.text.trim().is_empty() => return Vec::new(),
        Part::Text(text) => format!("text {:?}", text.text.trim()),
        Part::Image(image) => format!("image {}", source(&image.source)),
        Part::Audio(audio) => format!("audio {}", source(&audio.source)),
        Part::Document(document) => format!("document {}", source(&document.source)),
        Part::Thought(thought) if thought.text.is_empty() && thought.sealed.is_none() => {
            return Vec::new();
        }
        Part::Thought(thought) => format!("thought {:?}", thought.text),
        Part::ToolCall(call) => format!("call {} {}", call.name, plain(&call.arguments)),
        Part::ToolResult(result) => {
            let inner: Vec<String> = result.parts.iter().flat_map(self::part).collect();
            format!("result [{}]", inner.join(", "))
        }
        Part::Refusal(text) => format!("refusal {text:?}"),
        Part::Opaque(opaque) => format!("opaque {}", opaque.kind),
    }]
}

/// What a request comes to, whatever it is said in.
fn gist(request: &ChatRequest) -> Vec<String> {
    let mut lines: Vec<String> = request.system.iter().flat_map(part).collect();
    for line in &mut lines {
        line.insert_str(0, "system ");
    }
    for turn in &request.turns {
        let role = format!("{:?}", turn.role).to_lowercase();
        let parts = turn.parts.iter().flat_map(part);
        lines.extend(parts.map(|line| format!("{role} {line}")));
    }
    for tool in &request.tools {
        lines.push(match tool {
            Tool::Function(function) => format!("tool {}", function.name),
            Tool::Opaque(opaque) => format!("tool opaque {}", opaque.kind),
        });
    }
    lines.extend(
        request
            .tool_choice
            .iter()
            .map(|choice| format!("choice {choice:?}")),
    );
    lines.extend(request.format.iter().map(|format| match format {
        Format::Json => "format json".to_owned(),
        Format::Schema { schema, .. } => format!("format {}", plain(&schema.to_string())),
    }));
    let sampling = &request.sampling;
    lines.extend(sampling.max_output_tokens.map(|n| format!("at most {n}")));
    lines.extend(sampling.temperature.map(|n| format!("temperature {n}")));
    lines.extend(sampling.stop.iter().map(|stop| format!("stop {stop:?}")));
    lines
}

fn difference(before: &[String], after: &[String]) -> String {
    let (mut missing, mut new) = (before.to_vec(), after.to_vec());
    missing.retain(|line| match new.iter().position(|known| known == line) {
        Some(place) => {
            new.remove(place);
            false
        }
        None => true,
    });
    let short = |line: &String| line.chars().take(160).collect::<String>();
    let missing = missing
        .iter()
        .map(|line| format!("    - {}\n", short(line)));
    let new = new.iter().map(|line| format!("    + {}\n", short(line)));
    missing.chain(new).collect()
}

fn named(dropped: &[Dropped]) -> String {
    let mut names: Vec<&str> = dropped.iter().map(|one| one.field.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return String::new();
    }
    format!(" (dropped: {})", names.join(", "))
}

/// Keeps what was written in a dialect, for `tests/models/run`, which holds it against the official SDKs.
fn keep(to: Dialect, file: &str, kind: &str, body: impl AsRef<[u8]>) {
    let Some(root) = std::env::var_os("CAUSEWAY_CODEC_BODIES") else {
        return;
    };
    let folder = PathBuf::from(root).join(folder(to));
    fs::create_dir_all(&folder).expect("a folder");
    let name = format!("{}.{kind}", file.replace('/', "-"));
    fs::write(folder.join(name), body).expect("a file");
}

/// What becomes of a request in a dialect.
fn asked_in(to: Dialect, (file, request): (&str, &ChatRequest), model: &TargetModel) -> String {
    let encoded = match to.encode_request(request, model) {
        Ok(encoded) => encoded,
        Err(fault) => return format!("  {to:?}: refused: {fault}\n"),
    };
    keep(to, file, "request", encoded.body.to_string());
    let ok = format!("  {to:?}: ok{}\n", named(&encoded.dropped));
    let back = to.decode_request(encoded.body);
    ok + &back.map_or_else(
        |_| String::new(),
        |back| difference(&gist(request), &gist(&back)),
    )
}

// maximhq/bifrost#3511: no request that had tools went through.
#[test]
fn requests_in_every_dialect() {
    let model = TargetModel {
        name: "target-model".into(),
        max_output_tokens: Some(4096),
    };
    for from in Dialect::heard() {
        let mut table = String::new();
        for file in files(from, "requests") {
            writeln!(table, "{file}").unwrap();
            let request = match from.decode_request(json(&file)) {
                Ok(request) => request,
                Err(fault) => {
                    writeln!(table, "  not understood: {fault}").unwrap();
                    continue;
                }
            };
            for to in Dialect::ALL.into_iter().filter(|to| *to != from) {
                table.push_str(&asked_in(to, (&file, &request), &model));
            }
        }
        insta::assert_snapshot!(format!("requests_{}", folder(from)), table);
    }
}

/// What an answer comes to. Which way of ending well it is depends on the dialect.
fn answer_gist(answer: &Answer) -> Vec<String> {
    let mut lines: Vec<String> = answer.parts.iter().flat_map(part).collect();
    lines.extend(answer.stop.iter().map(|stop| match stop {
        Stop::End | Stop::Sequence(_) => "stop: done".to_owned(),
        other => format!("stop: {other:?}"),
    }));
    lines.extend(answer.usage.map(|usage| {
        format!(
            "usage {} ({} cached) -> {} ({} reasoning)",
            usage.input, usage.cached, usage.output, usage.reasoning
        )
    }));
    lines
}

/// An answer whose texts that follow one another are one: some dialects have no more in a stream, others in a message.
pub(crate) fn joined(answer: &Answer) -> Answer {
    let mut joined = answer.clone();
    let is_text = |it: &Part| matches!(it, Part::Text(_));
    joined
        .parts
        .retain(|it| is_text(it) || !part(it).is_empty());
    joined.parts.dedup_by(|more, before| match (before, more) {
        (Part::Text(before), Part::Text(more)) => {
            before.text.push_str(&more.text);
            true
        }
        _ => false,
    });
    joined
}

pub(crate) fn collected(events: Vec<ChatEvent>) -> Result<Answer, String> {
    let mut collector = Collector::default();
    for event in events {
        collector.push(event).map_err(|fault| fault.to_string())?;
    }
    Ok(collector.finish())
}

pub(crate) fn decoded(dialect: Dialect, stream: &str) -> Vec<ChatEvent> {
    let (mut frames, mut decoder) = (
        Decoder::new(Framing::ServerSent),
        StreamDecoder::new(dialect),
    );
    let mut events: Vec<_> = frames.push(stream.as_bytes());
    events.extend(frames.finish());
    let mut said: Vec<ChatEvent> = events
        .iter()
        .flat_map(|event| decoder.push(event))
        .collect();
    said.extend(decoder.finish());
    said
}

/// What becomes of an answer in a dialect, streamed and whole.
fn answered_in(to: Dialect, file: &str, events: &[ChatEvent]) -> String {
    let mut encoder = StreamEncoder::new(to, told(), false).expect("callers speak it");
    let heard = events.iter().map(|event| encoder.heard(event.clone()));
    let answer = &collected(heard.collect());
    let mut bytes = Vec::new();
    for event in events {
        encoder.push(event.clone(), &mut bytes);
    }
    encoder.finish(&mut bytes);
    let stream = String::from_utf8(bytes).expect("UTF-8");
    keep(to, file, "stream", &stream);
    if to == Dialect::Anthropic {
        assert_eq!(grammar::check(&stream), Ok(()), "{stream}");
    }
    let back = collected(decoded(to, &stream));
    let (answer, back) = match (answer, back) {
        (Ok(answer), Ok(back)) => (answer, back),
        (Err(fault), Err(_)) => return format!("  {to:?}: fault: {fault}\n"),
        (Err(fault), Ok(_)) => return format!("  {to:?}: LOST FAULT: {fault}\n"),
        (Ok(_), Err(fault)) => return format!("  {to:?}: BROKEN: {fault}\n"),
    };
    let mut text = format!("  {to:?}: ok{}\n", named(encoder.dropped()));
    text.push_str(&difference(&answer_gist(answer), &answer_gist(&back)));
    let whole = to.encode_answer(answer, &told()).expect("callers speak it");
    keep(to, file, "answer", whole.body.to_string());
    let lost = named(&whole.dropped);
    let whole = to.decode_answer(whole.body).expect("an answer of ours");
    let apart = difference(&answer_gist(&joined(&back)), &answer_gist(&joined(&whole)));
    if !apart.is_empty() {
        assert!(
            !lost.is_empty(),
            "{to:?}: whole differs from streamed:\n{apart}"
        );
        text = format!("{text}    whole differs from streamed{lost}:\n{apart}");
    }
    text
}

// BerriAI/litellm#29491: calls of an imitator of OpenAI reached callers of Anthropic without their arguments.
// higress-group/higress#3506: calls of Claude were missing from streams for callers of OpenAI.
#[test]
fn answers_and_streams_in_every_dialect() {
    for from in Dialect::heard() {
        let mut table = String::new();
        for file in files(from, "answers")
            .into_iter()
            .chain(files(from, "streams"))
        {
            writeln!(table, "{file}").unwrap();
            let streamed = file.contains("/streams/");
            let events = if streamed {
                decoded(from, &text(&file))
            } else {
                match from.decode_answer(json(&file)) {
                    Ok(answer) => answer.events(),
                    Err(fault) => vec![ChatEvent::Fault(fault)],
                }
            };
            for to in Dialect::heard().into_iter().filter(|to| *to != from) {
                table.push_str(&answered_in(to, &file, &events));
            }
        }
        insta::assert_snapshot!(format!("answers_{}", folder(from)), table);
    }
}
