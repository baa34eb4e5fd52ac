//! What an answer that is passed through used: read beside its bytes, which go on as they are, where it is one of our
//! dialects, and estimated where nobody says it. What asks a model for something is never taken for nothing.

use http::{HeaderMap, Method};

use crate::llm::account::Used;
use crate::llm::codec::StreamEncoder;
use crate::llm::dialect::anthropic::OUTPUT_TOKENS;
use crate::llm::dialect::{Dialect, OwnTools, Told};
use crate::llm::forward::IMAGE_TOKENS;
use crate::llm::price::ServiceTier;
use crate::llm::provider::Capability;
use crate::llm::relay::{Across, Relay, Same};
use crate::llm::stream::{media, streams};
use crate::llm::through::plan::plain;
use crate::llm::through::skim::{Events, Skim};
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
const NUMBERS: [&str; 4] = ["embeddings", "embed", "embedContent", "batchEmbedContents"];
const RANKS: &str = "rerank";
/// What paths end with at which an answer may say that it is made later, and is told by its own address then.
const LATER: [&str; 3] = ["responses", "runs", "submit_tool_outputs"];
/// Segments of paths behind which things are that were answered before: changing them asks no model for anything, but
/// for what ends with these.
const ANSWERED: [&str; 3] = ["completions", "responses", "runs"];
const ASKING: [&str; 2] = ["submit_tool_outputs", "compact"];
/// What it says until it is made.
const UNMADE: [&str; 2] = ["queued", "in_progress"];
/// What Bedrock says of answers in the words of each model's maker.
const COUNTED: [&str; 2] = [
    "x-amzn-bedrock-input-token-count",
    "x-amzn-bedrock-output-token-count",
];

/// What an answer is known to be.
pub(crate) struct Tally {
    /// A model is asked for something.
    asks: bool,
    /// What it answers with.
    kind: Kind,
    /// It may be answered later.
    may_wait: bool,
    dialect: Option<Dialect>,
    /// The model that the path names, and whether that is the only place where it is named as prices name it.
    model: Option<String>,
    is_in_path: bool,
    start: Vec<u8>,
    bytes: u64,
    is_text: bool,
    is_json: bool,
    is_stream: bool,
    reading: Reading,
}

/// What a model answers with.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Words,
    Pictures,
    /// Vectors, which are no tokens.
    Numbers,
    /// Nor are ranks, which are paid for by searches where nobody counts the tokens of what is ranked.
    Ranks,
}

/// How an answer is read.
enum Reading {
    Nothing,
    /// Its headers have told it.
    Counted(Usage),
    Whole(Box<Skim<5>>),
    /// Events of something that is no chat.
    Events(Box<Events<5>>),
    /// What it writes nobody gets.
    Stream(Relay, Vec<u8>),
}

/// What is read of an answer: its usage and its model, by their names in its dialect, and these.
const USAGE: usize = 0;
const MODEL: usize = 1;
const TIER: usize = 2;
const STATUS: usize = 3;
/// Where Cohere tells what it bills for what is no chat.
const META: usize = 4;

/// What was used, and of which model.
pub(crate) struct Tallied {
    pub(super) model: Option<String>,
    pub(crate) used: Used,
}

impl Tally {
    /// Of a request at a path of a provider, however it is escaped.
    pub(super) fn of(method: &Method, path: &str, provider: Dialect) -> Self {
        let path = plain(path);
        let path = path.trim_end_matches('/');
        let dialect = dialect(path, provider);
        let is_free = is_free(path) || dialect.is_none() && is_change(path);
        let asks = *method == Method::POST && !is_free;
        Self {
            may_wait: LATER.contains(&word(path)),
            dialect: dialect.filter(|_| asks),
            model: model_in_path(path),
            is_in_path: provider == Dialect::Bedrock,
            ..Self::new(asks, kind(path))
        }
    }

    /// Of a request for something that is no chat, at an address that all have in common.
    pub(crate) fn of_other(capability: Capability) -> Self {
        let kind = match capability {
            Capability::Embeddings | Capability::Moderations => Kind::Numbers,
            Capability::Rerank => Kind::Ranks,
            Capability::Images | Capability::ImageEdits | Capability::ImageVariations => {
                Kind::Pictures
            }
            _ => Kind::Words,
        };
        let is_completion = capability == Capability::Completions;
        Self {
            dialect: is_completion.then_some(Dialect::OpenaiChat),
            ..Self::new(capability != Capability::CountTokens, kind)
        }
    }

    fn new(asks: bool, kind: Kind) -> Self {
        Self {
            asks,
            kind,
            may_wait: false,
            dialect: None,
            model: None,
            is_in_path: false,
            start: Vec::new(),
            bytes: 0,
            is_text: true,
            is_json: false,
            is_stream: false,
            reading: Reading::Nothing,
        }
    }

    /// Whether a model is asked for something, as far as the request tells.
    pub(super) fn asks(&self) -> bool {
        self.asks
    }

    /// It answers well, with these headers. `true`: piece by piece.
    pub(crate) fn begins(&mut self, status: u16, headers: &HeaderMap) -> bool {
        let media = media(headers);
        self.asks &= (200..300).contains(&status);
        self.is_text = is_text(media);
        self.is_json = media.contains("json");
        self.is_stream = streams(media);
        self.reading = self.read_as(media, headers);
        self.is_stream
    }

    fn read_as(&self, media: &str, headers: &HeaderMap) -> Reading {
        let names = |dialect: Dialect| {
            let (usage, model) = (dialect.usage_field(), dialect.model_field());
            [usage, model, "service_tier", "status", "meta"]
        };
        let whole = |dialect| Reading::Whole(Box::new(Skim::new(names(dialect))));
        if !self.asks {
            return Reading::Nothing;
        }
        match (self.dialect, counted(headers)) {
            (Some(dialect), _) if self.is_stream => {
                relay(dialect).map_or(Reading::Nothing, |relay| Reading::Stream(relay, Vec::new()))
            }
            (Some(dialect), _) => whole(dialect),
            (None, Some(usage)) => Reading::Counted(usage),
            // What is no chat is told in OpenAI's words, where it is told.
            (None, None) if media.starts_with("text/event-stream") => {
                let events = Events::new(names(Dialect::OpenaiChat));
                Reading::Events(Box::new(events))
            }
            (None, None) if self.is_text => whole(Dialect::OpenaiChat),
            (None, None) => Reading::Nothing,
        }
    }

    /// A piece of it.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as u64;
        match &mut self.reading {
            Reading::Nothing | Reading::Counted(_) => {}
            Reading::Whole(skim) => skim.push(piece),
            Reading::Events(events) => events.push(piece),
            Reading::Stream(relay, sink) => {
                let room = START_BYTES_MAX.saturating_sub(self.start.len());
                let kept = piece.len().min(room);
                self.start.extend_from_slice(&piece[..kept]);
                relay.push(piece, sink);
                sink.clear();
            }
        }
    }

    /// What it came to, for what was sent; `None`: nothing was asked of a model. `has_ended`: it came to its end.
    pub(crate) fn finish(mut self, sent: &Sent, has_ended: bool) -> Option<Tallied> {
        if !self.asks {
            return None;
        }
        let reading = std::mem::replace(&mut self.reading, Reading::Nothing);
        let (used, said) = match reading {
            Reading::Nothing => (self.untold(None, (sent, has_ended)), None),
            Reading::Counted(usage) => (complete(usage), None),
            Reading::Whole(skim) => {
                let is_closed = !skim.is_cut();
                // Other texts may have as many brackets as they like.
                let ended = (has_ended && (is_closed || !self.is_json), is_closed);
                (self.of_whole(&skim, sent, ended), skim.text(MODEL))
            }
            Reading::Events(events) => {
                let skim = events.skim();
                (
                    self.of_whole(skim, sent, (has_ended, true)),
                    skim.text(MODEL),
                )
            }
            Reading::Stream(relay, _) => (self.of_stream(relay, sent), named(&self.start)),
        };
        Some(self.tallied((used, said), sent))
    }

    /// What it came to where nobody waited for its answer to begin, although all of the request was sent: as much as it
    /// may have.
    pub(super) fn left(self, sent: &Sent) -> Option<Tallied> {
        let used = Used {
            told: None,
            complete: false,
            estimate: self.most(sent),
            tier: self.asked_tier(sent),
        };
        self.asks.then(|| self.tallied((used, None), sent))
    }

    fn tallied(self, (used, said): (Used, Option<String>), sent: &Sent) -> Tallied {
        let used = Used {
            told: used.told.or_else(|| {
                Some(Usage {
                    input: sent.tokens(),
                    searches: u64::from(self.kind == Kind::Ranks),
                    ..Usage::default()
                })
            }),
            ..used
        };
        let fits = |name: &String| !name.is_empty() && name.len() <= NAME_BYTES_MAX;
        let in_path = self.model.filter(fits);
        let said = said.or_else(|| sent.words().model()).filter(fits);
        let model = if self.is_in_path {
            in_path.or(said)
        } else {
            said.or(in_path)
        };
        Tallied { model, used }
    }

    /// By what stands at the top of an answer, or of the last events that say it. What it used is all of it once the
    /// text that tells it is closed, whether or not somebody waits for the end.
    fn of_whole(&self, skim: &Skim<5>, sent: &Sent, (has_ended, is_closed): (bool, bool)) -> Used {
        let told = self.told(skim);
        let status = skim.text(STATUS).filter(|_| self.may_wait);
        let is_made = status.is_none_or(|status| !UNMADE.contains(&status.as_str()));
        let tier = skim.text(TIER);
        let tier = tier.and_then(|name| ServiceTier::named(&name));
        let used = match told {
            // Only its searches are known.
            Some(told) if told.total() == 0 => {
                let input = sent.tokens();
                self.untold(Some(Usage { input, ..told }), (sent, has_ended))
            }
            Some(told) if is_closed && is_made => complete(told),
            told if is_made => self.untold(told, (sent, has_ended)),
            told => estimated(told, bound(sent, OUTPUT_TOKENS_MAX)),
        };
        Used {
            tier: tier.unwrap_or_else(|| self.asked_tier(sent)),
            ..used
        }
    }

    /// What an answer says it used. Nothing at all is nothing that was said.
    fn told(&self, skim: &Skim<5>) -> Option<Usage> {
        let text = |name| std::str::from_utf8(skim.value(name)?).ok();
        let is_said = |usage: &Usage| usage.total() > 0 || usage.searches > 0;
        let usage = text(USAGE).and_then(|usage| match self.dialect {
            Some(dialect) => dialect.decode_usage_text(usage),
            None => Dialect::usage_of_others(usage),
        });
        let usage = usage.filter(is_said).or_else(|| {
            let meta = text(META).filter(|_| self.dialect.is_none())?;
            Dialect::Cohere.decode_usage_text(meta).filter(is_said)
        })?;
        Some(match self.kind {
            // Some tell only how many there are in all.
            Kind::Numbers | Kind::Ranks => Usage {
                input: usage.total(),
                output: 0,
                reasoning: 0,
                ..usage
            },
            Kind::Words | Kind::Pictures => usage,
        })
    }

    fn of_stream(&self, mut relay: Relay, sent: &Sent) -> Used {
        relay.finish(None, &mut Vec::new());
        let seen = relay.seen();
        let told = seen.usage;
        let tier = seen.tier.unwrap_or_else(|| self.asked_tier(sent));
        if !seen.ended && self.may_wait && sent.words().is_background() {
            // The rest of it is told elsewhere.
            let later = estimated(told, bound(sent, OUTPUT_TOKENS_MAX));
            return Used { tier, ..later };
        }
        // Where nothing could be read of it, its bytes are all that is known.
        if seen.fault.is_some() && told.is_none() && seen.pieces == 0 {
            let untold = self.untold(None, (sent, true));
            return Used { tier, ..untold };
        }
        Used {
            told,
            complete: seen.ended && told.is_some(),
            estimate: seen.pieces,
            tier,
        }
    }

    /// Of an answer that does not say it, or broke off. What does not come in pieces may have been paid for as a whole
    /// by then.
    fn untold(&self, told: Option<Usage>, (sent, has_ended): (&Sent, bool)) -> Used {
        let written = tokens(self.bytes, self.is_text).min(OUTPUT_TOKENS_MAX);
        let written = match self.kind {
            Kind::Numbers | Kind::Ranks => 0,
            // However many bytes it has.
            Kind::Pictures => written.min(self.most(sent)),
            Kind::Words => written,
        };
        let estimate = if has_ended || self.is_stream {
            written
        } else {
            written.max(self.most(sent))
        };
        Used {
            tier: self.asked_tier(sent),
            ..estimated(told, estimate)
        }
    }

    /// The most tokens of an answer that nobody saw.
    fn most(&self, sent: &Sent) -> u64 {
        if self.may_wait && sent.words().is_background() {
            return bound(sent, OUTPUT_TOKENS_MAX);
        }
        match self.kind {
            Kind::Numbers | Kind::Ranks => 0,
            Kind::Pictures => bound(sent, IMAGE_TOKENS),
            Kind::Words => bound(sent, OUTPUT_TOKENS),
        }
    }

    /// How soon the answer was wanted, in the words of OpenAI.
    fn asked_tier(&self, sent: &Sent) -> ServiceTier {
        use Dialect::{OpenaiChat, OpenaiResponses};
        match self.dialect {
            None | Some(OpenaiChat | OpenaiResponses) => sent.words().tier().unwrap_or_default(),
            Some(_) => ServiceTier::default(),
        }
    }
}

/// The most tokens that a request allows its answers, of which each has so many where it does not say.
fn bound(sent: &Sent, usual: u64) -> u64 {
    let words = sent.words();
    let each = words.length().map(|length| length.min(OUTPUT_TOKENS_MAX));
    each.unwrap_or(usual).saturating_mul(words.answers())
}

fn kind(path: &str) -> Kind {
    match word(path) {
        RANKS => return Kind::Ranks,
        word if NUMBERS.contains(&word) => return Kind::Numbers,
        _ => {}
    }
    if path.split('/').any(|part| part == "images") {
        return Kind::Pictures;
    }
    Kind::Words
}

fn estimated(told: Option<Usage>, estimate: u64) -> Used {
    Used {
        told,
        complete: false,
        estimate,
        tier: ServiceTier::default(),
    }
}

fn complete(told: Usage) -> Used {
    Used {
        told: Some(told),
        complete: true,
        estimate: 0,
        tier: ServiceTier::default(),
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

/// Whether something that was answered before is changed, or ended.
fn is_change(path: &str) -> bool {
    let mut parts = path.rsplit('/');
    let last = parts.next().unwrap_or_default();
    !ANSWERED.contains(&last)
        && !ASKING.contains(&last)
        && parts.any(|part| ANSWERED.contains(&part))
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
mod tests;
