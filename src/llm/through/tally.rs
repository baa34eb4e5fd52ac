//! What an answer that is passed through says it used, where it is one of our dialects: read beside its bytes, which
//! go on as they are.

use http::Method;
use serde_json::Value;

use crate::llm::account::Used;
use crate::llm::codec::StreamEncoder;
use crate::llm::dialect::{Dialect, OwnTools, Told};
use crate::llm::price::ServiceTier;
use crate::llm::relay::{Across, Relay, Same};
use crate::llm::splice::Top;
use crate::llm::through::plain;

/// So much of an answer that comes whole is kept to be read; of a stream, so much to find the model's name in.
const WHOLE_BYTES_MAX: usize = 4 << 20;
const START_BYTES_MAX: usize = 64 << 10;
const NAME_BYTES_MAX: usize = 200;

/// What an answer is known to be.
pub(super) struct Tally {
    dialect: Option<Dialect>,
    /// In the path, where the dialect has it there.
    model: Option<String>,
    start: Vec<u8>,
    bytes: usize,
    stream: Option<Relay>,
    sink: Vec<u8>,
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
        let dialect = (*method == Method::POST)
            .then(|| dialect(&path, provider))
            .flatten();
        Self {
            model: dialect.and_then(|dialect| model_in_path(dialect, &path)),
            dialect,
            start: Vec::new(),
            bytes: 0,
            stream: None,
            sink: Vec::new(),
        }
    }

    /// It answers well, with this media type. `true`: piece by piece.
    pub(super) fn begins(&mut self, media: &str) -> bool {
        let is_stream = media.starts_with("text/event-stream")
            || media.starts_with("application/vnd.amazon.eventstream");
        if is_stream {
            self.stream = self.dialect.and_then(relay);
        }
        is_stream
    }

    /// A piece of it.
    pub(super) fn push(&mut self, piece: &[u8]) {
        if self.dialect.is_none() {
            return;
        }
        self.bytes += piece.len();
        let most = if self.stream.is_some() {
            START_BYTES_MAX
        } else {
            WHOLE_BYTES_MAX
        };
        let room = most.saturating_sub(self.start.len());
        self.start
            .extend_from_slice(&piece[..piece.len().min(room)]);
        if let Some(relay) = &mut self.stream {
            relay.push(piece, &mut self.sink);
            self.sink.clear();
        }
    }

    /// What it came to; `None`: nobody knows.
    pub(super) fn finish(self) -> Option<Tallied> {
        let dialect = self.dialect?;
        if let Some(mut relay) = self.stream {
            relay.finish(None, &mut Vec::new());
            let seen = relay.seen();
            let used = Used {
                told: seen.usage,
                complete: seen.ended && seen.usage.is_some(),
                estimate: seen.pieces,
                tier: ServiceTier::Standard,
            };
            let model = self.model.or_else(|| named(&self.start));
            return Some(Tallied { model, used });
        }
        if self.bytes > self.start.len() {
            return None;
        }
        let usage = match dialect {
            Dialect::Bedrock | Dialect::Cohere => {
                let answer: Value = serde_json::from_slice(&self.start).ok()?;
                dialect.decode_answer(answer).ok()?.usage
            }
            _ => {
                let usage = Top::read(&self.start).ok()?.get(dialect.usage_field())?;
                dialect.decode_usage(usage)
            }
        };
        let used = Used {
            told: Some(usage?),
            complete: true,
            estimate: 0,
            tier: ServiceTier::Standard,
        };
        let field = dialect.model_field();
        let top = Top::read(&self.start).ok();
        let said = top.and_then(|top| top.get::<String>(field));
        let model = self
            .model
            .or(said)
            .filter(|name| name.len() <= NAME_BYTES_MAX);
        Some(Tallied { model, used })
    }
}

/// Which dialect is spoken at a path that is not escaped.
fn dialect(path: &str, provider: Dialect) -> Option<Dialect> {
    let path = path.trim_end_matches('/');
    let last = path.rsplit('/').next().unwrap_or_default();
    match last {
        "completions" | "embeddings" => Some(Dialect::OpenaiChat),
        "responses" => Some(Dialect::OpenaiResponses),
        "messages" if provider == Dialect::Anthropic => Some(Dialect::Anthropic),
        "converse" | "converse-stream" if provider == Dialect::Bedrock => Some(Dialect::Bedrock),
        "chat" if provider == Dialect::Cohere => Some(Dialect::Cohere),
        _ if provider == Dialect::Gemini => {
            let asks =
                last.ends_with(":generateContent") || last.ends_with(":streamGenerateContent");
            asks.then_some(Dialect::Gemini)
        }
        _ => None,
    }
}

/// The model a path names, which may have slashes in it.
fn model_in_path(dialect: Dialect, path: &str) -> Option<String> {
    if dialect != Dialect::Bedrock {
        return None;
    }
    let (_, rest) = path.trim_end_matches('/').split_once("model/")?;
    let (name, _) = rest.rsplit_once('/')?;
    (name.len() <= NAME_BYTES_MAX).then(|| name.to_owned())
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

    fn tallied(
        (path, provider): (&str, Dialect),
        media: &str,
        body: &str,
    ) -> Option<(Option<String>, u64, bool)> {
        let mut tally = Tally::of(&Method::POST, path, provider);
        tally.begins(media);
        for piece in body.as_bytes().chunks(7) {
            tally.push(piece);
        }
        let tallied = tally.finish()?;
        let total = tallied.used.told.map_or(0, |usage| usage.total());
        Some((tallied.model, total, tallied.used.complete))
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
            tally.finish().is_none(),
            "what is only read again costs nothing again"
        );
    }
}
