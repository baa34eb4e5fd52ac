//! Each provider against what it publishes: `tests/data/llm/published/{provider}.json`, whose parts each name the
//! public page they follow. Where a page has types and no example, the part is written to these; some errors are only
//! quoted, by those who were told them. A provider that has such a file is `verified`, and no other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use bytes::Bytes;
use causeway::llm::answer::Answer;
use causeway::llm::chat::Part;
use causeway::llm::dialect::{Dialect, TargetModel};
use causeway::llm::provider::{Provider, built_in, find};
use causeway::llm::question::{Addressed, Question};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::matrix::{collected, decoded};

/// What a provider says of itself.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Published {
    /// Other providers of which the same is said, and where.
    #[serde(default)]
    also: BTreeMap<String, String>,
    request: Request,
    answer: Whole,
    stream: Stream,
    error: Failure,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    page: String,
    /// What a caller of OpenAI's chat asks.
    asked: Value,
    /// What the provider reads then, in the words of its page.
    sent: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    page: String,
    body: Value,
    /// See [`meaning`].
    means: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stream {
    page: String,
    /// Server-sent events, each without the empty line after it.
    frames: Vec<String>,
    /// See [`meaning`].
    means: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Failure {
    page: String,
    status: u16,
    /// JSON, or a text where it is none.
    body: Value,
    /// A class of fault.
    class: String,
}

/// What an answer comes to: `text`, `thoughts`, `calls` by name, `stop`, and tokens: `input`, `cached`, `output`
/// and `reasoning`; what there is none of is left out.
fn meaning(answer: &Answer) -> Value {
    let (mut text, mut thoughts, mut calls) = (String::new(), String::new(), Vec::new());
    for part in &answer.parts {
        match part {
            Part::Text(part) => text.push_str(&part.text),
            Part::Thought(part) => thoughts.push_str(&part.text),
            Part::ToolCall(call) => {
                let arguments: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
                calls.push(json!({ "name": call.name, "arguments": arguments }));
            }
            other => calls.push(json!(format!("{other:?}"))),
        }
    }
    let usage = answer.usage.unwrap_or_default();
    let stop = answer.stop.as_ref();
    let fields = [
        ("text", json!(text)),
        ("thoughts", json!(thoughts)),
        ("calls", json!(calls)),
        ("stop", json!(stop.map(|stop| format!("{stop:?}")))),
        ("input", json!(usage.input)),
        ("cached", json!(usage.cached)),
        ("output", json!(usage.output)),
        ("reasoning", json!(usage.reasoning)),
    ];
    let empty = [json!(""), json!([]), Value::Null, json!(0)];
    let fields = fields
        .into_iter()
        .filter(|(_, value)| !empty.contains(value));
    fields
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/llm/published")
}

/// Every file, and whose it is.
fn all() -> Vec<(String, Published)> {
    let files = std::fs::read_dir(folder()).expect("the folder");
    let files = files.map(|file| {
        let path = file.expect("an entry").path();
        let id = path.file_stem().and_then(|stem| stem.to_str());
        let id = id.expect("a name").to_owned();
        let text = std::fs::read_to_string(&path).expect(&id);
        let published = serde_json::from_str(&text).expect(&id);
        (id, published)
    });
    files.collect()
}

/// What is sent to a provider for a request of OpenAI's chat.
fn sent(provider: &Provider, asked: &Value) -> Value {
    let name = asked["model"].as_str().expect("a model");
    let model = TargetModel {
        name: provider.model_name(name).into_owned(),
        max_output_tokens: None,
    };
    let body = Bytes::from(asked.to_string());
    let question = Question::read(Dialect::OpenaiChat, body, Addressed::default());
    let written = question.expect("understood").written(provider, &model);
    serde_json::from_slice(&written.expect("can be said").body).expect("JSON")
}

/// What of a provider is not as it publishes.
fn differences(id: &str, published: &Published) -> Vec<String> {
    let provider = find(id).expect(id);
    let Published {
        request,
        answer,
        stream,
        error,
        ..
    } = published;
    let mut found = Vec::new();
    let mut same = |what: &str, page: &str, ours: String, theirs: String| {
        if ours != theirs {
            found.push(format!(
                "{id}: the {what} of {page}\n  here:  {ours}\n  there: {theirs}"
            ));
        }
    };
    let ours = sent(provider, &request.asked);
    same("request", &request.page, plain(&ours), plain(&request.sent));
    let ours = provider.dialect.decode_answer(answer.body.clone());
    let ours = ours.map_or_else(|fault| fault.to_string(), |answer| plain(&meaning(&answer)));
    same("answer", &answer.page, ours, plain(&answer.means));
    let frames: Vec<String> = stream.frames.iter().map(|it| format!("{it}\n\n")).collect();
    let ours = collected(decoded(provider.dialect, &frames.concat()));
    let ours = ours.map_or_else(|fault| fault, |answer| plain(&meaning(&answer)));
    same("stream", &stream.page, ours, plain(&stream.means));
    let body = &error.body;
    let body = body
        .as_str()
        .map_or_else(|| body.to_string(), str::to_owned);
    let fault = provider.dialect.decode_error(error.status, body.as_bytes());
    let ours = format!("{:?}", fault.class);
    same("error", &error.page, ours, error.class.clone());
    found
}

/// With its fields in order.
fn plain(value: &Value) -> String {
    let mut value = value.clone();
    value.sort_all_objects();
    value.to_string()
}

#[test]
fn every_provider_is_spoken_to_as_its_pages_say() {
    let mut found = Vec::new();
    for (id, published) in all() {
        found.extend(differences(&id, &published));
        for also in published.also.keys() {
            found.extend(differences(also, &published));
        }
        let pages = [
            &published.request.page,
            &published.answer.page,
            &published.stream.page,
            &published.error.page,
        ];
        for page in pages.into_iter().chain(published.also.values()) {
            let page = url::Url::parse(page).unwrap_or_else(|error| panic!("{id}: {error}"));
            assert!(page.scheme() == "https" && page.has_host(), "{id}: {page}");
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn those_that_were_compared_are_verified_and_no_others() {
    let compared: BTreeSet<String> = all()
        .into_iter()
        .flat_map(|(id, published)| published.also.into_keys().chain([id]))
        .collect();
    let verified = built_in().iter().filter(|provider| provider.verified);
    let verified: BTreeSet<String> = verified.map(|provider| provider.id.clone()).collect();
    assert_eq!(verified, compared);
    // A change here is meant to be seen.
    let others = built_in().iter().filter(|provider| !provider.verified);
    let others: Vec<&str> = others.map(|provider| &*provider.id).collect();
    assert_eq!(others, ["hunyuan", "nvidia-nim", "openai-compatible"]);
}
