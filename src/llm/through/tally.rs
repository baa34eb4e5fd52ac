//! What an answer that is passed through used: read beside its bytes, which go on as they are, where it is one of our
//! dialects, and estimated where nobody says it. What asks a model for something is never taken for nothing.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};

use crate::llm::account::Used;
use crate::llm::codec::StreamEncoder;
use crate::llm::dialect::{Dialect, OwnTools, Told};
use crate::llm::price::ServiceTier;
use crate::llm::relay::{Across, Relay, Same};
use crate::llm::through::plain;
use crate::llm::through::skim::Skim;
use crate::llm::through::upload::{Sent, is_text, tokens};
use crate::llm::usage::Usage;

/// So much of a stream is kept to find the model's name in.
const START_BYTES_MAX: usize = 64 << 10;
const NAME_BYTES_MAX: usize = 200;
/// More than any model writes at once.
const OUTPUT_TOKENS_MAX: u64 = 128 << 10;
/// What paths end with at which no model is asked for anything that costs something.
const FREE: [&str; 9] = [
    "count_tokens",
    "count-tokens",
    "countTokens",
    "computeTokens",
    "tokenize",
    "detokenize",
    "moderations",
    "cancel",
    "models",
];
/// Segments of paths at which things are kept. What is done with them later is told by the provider's bill only.
const KEPT: [&str; 5] = [
    "files",
    "batches",
    "uploads",
    "vector_stores",
    "fine_tuning",
];
/// What paths end with at which an answer has no tokens.
const NUMBERS: [&str; 5] = [
    "embeddings",
    "embed",
    "embedContent",
    "batchEmbedContents",
    "rerank",
];
/// What Bedrock says of answers in the words of each model's maker.
const COUNTED: [&str; 2] = [
    "x-amzn-bedrock-input-token-count",
    "x-amzn-bedrock-output-token-count",
];

/// What an answer is known to be.
pub(super) struct Tally {
    /// A model is asked for something.
    asks: bool,
    /// Its answer is no text.
    numbers: bool,
    dialect: Option<Dialect>,
    /// The model that the path names, and whether that is the only place where it is named as prices name it.
    model: Option<String>,
    is_in_path: bool,
    start: Vec<u8>,
    bytes: u64,
    is_text: bool,
    reading: Reading,
}

/// How an answer is read.
enum Reading {
    Nothing,
    /// Its headers have told it.
    Counted(Usage),
    Whole(Box<Skim<3>>),
    /// What it writes nobody gets.
    Stream(Relay, Vec<u8>),
}

/// What was used, and of which model.
pub(super) struct Tallied {
    pub(super) model: Option<String>,
    pub(super) used: Used,
}

impl Tally {
    /// Of a request at a path of a provider, however it is escaped.
    pub(super) fn of(method: &Method, path: &str, provider: Dialect) -> Self {
        let path = plain(path);
        let path = path.trim_end_matches('/');
        let asks = *method == Method::POST && !is_free(path);
        Self {
            asks,
            numbers: NUMBERS.contains(&word(path)),
            dialect: dialect(path, provider).filter(|_| asks),
            model: model_in_path(path),
            is_in_path: provider == Dialect::Bedrock,
            start: Vec::new(),
            bytes: 0,
            is_text: true,
            reading: Reading::Nothing,
        }
    }

    /// It answers well, with these headers. `true`: piece by piece.
    pub(super) fn begins(&mut self, status: u16, headers: &HeaderMap) -> bool {
        let media = headers.get(CONTENT_TYPE);
        let media = media
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let is_stream = media.starts_with("text/event-stream")
            || media.starts_with("application/vnd.amazon.eventstream");
        self.asks &= (200..300).contains(&status);
        self.is_text = is_text(media);
        self.reading = match self.dialect {
            Some(dialect) if is_stream => {
                relay(dialect).map_or(Reading::Nothing, |relay| Reading::Stream(relay, Vec::new()))
            }
            Some(dialect) => {
                let names = [dialect.usage_field(), dialect.model_field(), "service_tier"];
                Reading::Whole(Box::new(Skim::new(names)))
            }
            None => counted(headers).map_or(Reading::Nothing, Reading::Counted),
        };
        is_stream
    }

    /// A piece of it.
    pub(super) fn push(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as u64;
        match &mut self.reading {
            Reading::Nothing | Reading::Counted(_) => {}
            Reading::Whole(skim) => skim.push(piece),
            Reading::Stream(relay, sink) => {
                let room = START_BYTES_MAX.saturating_sub(self.start.len());
                let kept = piece.len().min(room);
                self.start.extend_from_slice(&piece[..kept]);
                relay.push(piece, sink);
                sink.clear();
            }
        }
    }

    /// What it came to, for what was sent; `None`: nothing was asked of a model.
    pub(super) fn finish(mut self, sent: &Sent) -> Option<Tallied> {
        if !self.asks {
            return None;
        }
        let reading = std::mem::replace(&mut self.reading, Reading::Nothing);
        let (used, said) = match reading {
            Reading::Nothing => (self.estimated(None, ServiceTier::Standard), None),
            Reading::Counted(usage) => (complete(usage, ServiceTier::Standard), None),
            Reading::Whole(skim) => (self.of_whole(&skim), skim.text(1)),
            Reading::Stream(relay, _) => (self.of_stream(relay), named(&self.start)),
        };
        let used = Used {
            told: used.told.or_else(|| {
                Some(Usage {
                    input: sent.tokens(),
                    ..Usage::default()
                })
            }),
            ..used
        };
        let fits = |name: &String| !name.is_empty() && name.len() <= NAME_BYTES_MAX;
        let in_path = self.model.filter(fits);
        let said = said.or_else(|| sent.model()).filter(fits);
        let model = if self.is_in_path {
            in_path.or(said)
        } else {
            said.or(in_path)
        };
        Some(Tallied { model, used })
    }

    fn of_whole(&self, skim: &Skim<3>) -> Used {
        let told = self.dialect.zip(skim.value(0));
        let told = told
            .and_then(|(dialect, usage)| dialect.decode_usage(serde_json::from_slice(usage).ok()?));
        let tier = skim.text(2);
        let tier = tier.and_then(|name| ServiceTier::named(&name));
        let tier = tier.unwrap_or_default();
        match told {
            Some(told) if skim.has_ended() => complete(told, tier),
            told => self.estimated(told, tier),
        }
    }

    fn of_stream(&self, mut relay: Relay) -> Used {
        relay.finish(None, &mut Vec::new());
        let seen = relay.seen();
        let told = seen.usage;
        if seen.fault.is_some() && told.is_none() {
            return self.estimated(None, ServiceTier::Standard);
        }
        Used {
            told,
            complete: seen.ended && told.is_some(),
            estimate: seen.pieces,
            tier: ServiceTier::Standard,
        }
    }

    /// Of an answer that does not say it, or broke off.
    fn estimated(&self, told: Option<Usage>, tier: ServiceTier) -> Used {
        let estimate = if self.numbers {
            0
        } else {
            tokens(self.bytes, self.is_text).min(OUTPUT_TOKENS_MAX)
        };
        Used {
            told,
            complete: false,
            estimate,
            tier,
        }
    }
}

fn complete(told: Usage, tier: ServiceTier) -> Used {
    Used {
        told: Some(told),
        complete: true,
        estimate: 0,
        tier,
    }
}

/// The last segment of a path, or what is done there where that is said after a colon.
fn word(path: &str) -> &str {
    let last = path.rsplit('/').next().unwrap_or_default();
    last.rsplit(':').next().unwrap_or_default()
}

fn is_free(path: &str) -> bool {
    FREE.contains(&word(path)) || path.split('/').any(|part| KEPT.contains(&part))
}

fn counted(headers: &HeaderMap) -> Option<Usage> {
    let [input, output] = COUNTED.map(|name| headers.get(name)?.to_str().ok()?.parse().ok());
    Some(Usage {
        input: input?,
        output: output?,
        ..Usage::default()
    })
}

/// Which dialect is spoken at a path that is not escaped.
fn dialect(path: &str, provider: Dialect) -> Option<Dialect> {
    match word(path) {
        "completions" | "embeddings" => Some(Dialect::OpenaiChat),
        "responses" => Some(Dialect::OpenaiResponses),
        "messages" if provider == Dialect::Anthropic => Some(Dialect::Anthropic),
        "converse" | "converse-stream" if provider == Dialect::Bedrock => Some(Dialect::Bedrock),
        "chat" if provider == Dialect::Cohere => Some(Dialect::Cohere),
        "generateContent" | "streamGenerateContent" if provider == Dialect::Gemini => {
            Some(Dialect::Gemini)
        }
        // In the words of each model's maker; all but Anthropic have OpenAI's.
        "rawPredict" | "streamRawPredict" => {
            let is_anthropics =
                provider == Dialect::Anthropic || path.contains("publishers/anthropic/");
            Some(if is_anthropics {
                Dialect::Anthropic
            } else {
                Dialect::OpenaiChat
            })
        }
        _ => None,
    }
}

/// The model a path names, which may have slashes in it (`model/{name}/converse`, `models/{name}:generateContent`).
fn model_in_path(path: &str) -> Option<String> {
    if let Some((_, rest)) = path.split_once("models/") {
        let (name, _) = rest.rsplit_once(':')?;
        return Some(name.to_owned());
    }
    let (_, rest) = path.split_once("model/")?;
    let (name, _) = rest.rsplit_once('/')?;
    Some(name.to_owned())
}

/// What reads a stream. What it writes nobody gets.
fn relay(dialect: Dialect) -> Option<Relay> {
    if matches!(dialect, Dialect::Bedrock | Dialect::Cohere) {
        let told = Told {
            model: String::new(),
            request_id: String::new(),
            now: 0,
            stream_usage: true,
            tools: OwnTools::default(),
        };
        let encoder = StreamEncoder::new(Dialect::OpenaiChat, told.clone(), false).ok()?;
        let across = Across::new(dialect, encoder, told);
        return Some(Relay::Across(Box::new(across)));
    }
    Some(Relay::Same(Box::new(Same::new(dialect, None, false))))
}

/// The first name of a model in the events of a stream.
fn named(start: &[u8]) -> Option<String> {
    for field in [b"\"model\"".as_slice(), b"\"modelVersion\""] {
        let Some(at) = memchr::memmem::find(start, field) else {
            continue;
        };
        let rest = start[at + field.len()..].trim_ascii_start();
        let rest = rest.strip_prefix(b":")?;
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<String>();
        if let Some(Ok(name)) = values.next() {
            return (name.len() <= NAME_BYTES_MAX).then_some(name);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is made of an answer to a request of these bytes: its model, tokens in and out, and whether that is known.
    fn came(
        (path, provider): (&str, Dialect),
        headers: &[(&'static str, &'static str)],
        body: &str,
        sent: &Sent,
    ) -> Option<(Option<String>, (u64, u64), bool)> {
        let headers = headers.iter().map(|(name, value)| {
            let name = http::HeaderName::from_static(name);
            (name, http::HeaderValue::from_static(value))
        });
        let mut tally = Tally::of(&Method::POST, path, provider);
        tally.begins(200, &headers.collect());
        for piece in body.as_bytes().chunks(7) {
            tally.push(piece);
        }
        let Tallied { model, used } = tally.finish(sent)?;
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
            tally.finish(&Sent::default()).is_none(),
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
        let sent = |media: &str, body: &str| {
            let sent = Sent::with(media);
            assert!(sent.push(body.as_bytes()));
            sent
        };
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
        ] {
            assert!(
                came((path, Gemini), &[json], &mute, &asked).is_none(),
                "{path}"
            );
        }
        let mut tally = Tally::of(&Method::POST, "chat/completions", OpenaiChat);
        tally.begins(302, &HeaderMap::new());
        assert!(tally.finish(&asked).is_none());
    }
}
