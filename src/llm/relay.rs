//! A provider's stream on its way to the caller: passed on as it is where both speak the same dialect, written anew
//! where they do not. Bytes in, bytes out; nothing here waits.

use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::events::{Decoder, Event, Framing};
use crate::llm::answer::{ChatEvent, Delta, PartStart, Stop};
use crate::llm::chat::Part;
use crate::llm::codec::{StreamDecoder, StreamEncoder};
use crate::llm::dialect::{Dialect, Dropped, Told, bedrock};
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::frame::{Frames, data_of};
use crate::llm::price::ServiceTier;
use crate::llm::splice::{Edit, Top};
use crate::llm::usage::Usage;

/// What is known of a stream so far.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// A token of the answer has arrived: from here on the caller has part of it.
    pub begun: bool,
    /// What the provider says it used; the last one is right.
    pub usage: Option<Usage>,
    /// Pieces of the answer, for an estimate where nobody says what was used.
    pub pieces: u64,
    /// It came to its proper end.
    pub ended: bool,
    /// What answers, as the provider names it.
    pub model: Option<String>,
    /// Why the answer ended.
    pub stop: Option<Stop>,
    /// Which tier it was, where the provider says; the last one is right.
    pub tier: Option<ServiceTier>,
    /// It broke off, and why.
    pub fault: Option<Fault>,
}

impl Seen {
    fn note(&mut self, event: &ChatEvent) {
        match event {
            ChatEvent::PartStart { part, .. } => {
                let whole = matches!(part, PartStart::Whole(_) | PartStart::ToolCall { .. });
                self.begun |= whole;
            }
            ChatEvent::Delta { delta, .. } => {
                self.begun |= !matches!(delta, Delta::Text(text) if text.is_empty());
                self.pieces += 1;
            }
            ChatEvent::Usage(usage) => self.usage = Some(*usage),
            ChatEvent::Stop(stop) => {
                (self.begun, self.ended) = (true, true);
                self.stop = Some(stop.clone());
            }
            ChatEvent::Fault(fault) => self.fault = Some(fault.clone()),
            ChatEvent::Start { model, .. } if !model.is_empty() => {
                self.model = Some(model.clone());
            }
            ChatEvent::Start { .. } | ChatEvent::PartStop { .. } => {}
        }
    }
}

/// A stream under way.
pub enum Relay {
    Same(Box<Same>),
    Across(Box<Across>),
}

impl Relay {
    /// Takes in what arrived, and writes what follows from it for the caller.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Same(same) => same.push(bytes, out),
            Self::Across(across) => across.push(bytes, out),
        }
    }

    /// The provider's stream is over, properly or not; `fault` says why where it was cut on the way.
    pub fn finish(&mut self, fault: Option<Fault>, out: &mut Vec<u8>) {
        match self {
            Self::Same(same) => same.finish(fault, out),
            Self::Across(across) => across.finish(fault, out),
        }
    }

    pub fn seen(&self) -> &Seen {
        match self {
            Self::Same(same) => &same.seen,
            Self::Across(across) => &across.seen,
        }
    }

    /// What of the answer the caller's dialect could not say.
    pub fn dropped(&self) -> &[Dropped] {
        match self {
            Self::Same(_) => &[],
            Self::Across(across) => across.encoder.dropped(),
        }
    }
}

/// Both sides speak the same dialect: every frame is passed on with its bytes. Only the model's name is another,
/// and a usage chunk is left out that the caller did not ask for.
pub struct Same {
    dialect: Dialect,
    frames: Frames,
    decoder: StreamDecoder,
    /// What the caller calls the model, where the provider calls it something else.
    model: Option<String>,
    /// The beginning of an event up to the end of its model, and where that begins: events begin alike.
    known: Option<(Vec<u8>, usize)>,
    hides_usage: bool,
    seen: Seen,
    /// The provider has told the caller of the fault itself.
    told: bool,
}

impl Same {
    pub fn new(dialect: Dialect, model: Option<String>, hides_usage: bool) -> Self {
        Self {
            dialect,
            frames: Frames::default(),
            decoder: StreamDecoder::new(dialect),
            model,
            known: None,
            hides_usage,
            seen: Seen::default(),
            told: false,
        }
    }

    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if let Err(error) = self.frames.push(bytes) {
            self.seen.fault = Some(Fault::new(FaultClass::Upstream, error.to_string()));
            return;
        }
        while !self.is_lost()
            && let Some(frame) = self.frames.next_frame()
        {
            self.pass(&frame, out);
        }
    }

    fn pass(&mut self, frame: &Bytes, out: &mut Vec<u8>) {
        let Some(place) = data_of(frame) else {
            out.extend_from_slice(frame);
            return;
        };
        let data = &frame[place.clone()];
        if is_cut(data) && !is_readable(data) {
            let text = "the provider sent something that cannot be understood";
            self.seen.fault = Some(Fault::new(FaultClass::Upstream, text));
            return;
        }
        self.look(frame, data);
        if self.seen.fault.is_some() {
            self.told = is_readable(data);
            if !self.told {
                // What nobody can read is not passed on; `finish` says that it came.
                return;
            }
        }
        if self.hides_usage && is_usage_only(data) {
            return;
        }
        match self.renamed(data) {
            Some(data) => {
                out.extend_from_slice(&frame[..place.start]);
                out.extend_from_slice(&data);
                out.extend_from_slice(&frame[place.end..]);
            }
            None => out.extend_from_slice(frame),
        }
    }

    /// Reads a frame as far as it has to be read: all until the answer begins, then what tells of usage, of an end or
    /// of an error.
    fn look(&mut self, frame: &[u8], data: &[u8]) {
        self.seen.pieces += 1;
        let tells = !self.seen.begun || tells(data);
        if !tells {
            return;
        }
        self.seen.tier = tier_of(data).or(self.seen.tier);
        let mut decoder = Decoder::new(Framing::ServerSent);
        for event in decoder.push(frame) {
            for event in self.decoder.push(&event) {
                let pieces = self.seen.pieces;
                self.seen.note(&event);
                self.seen.pieces = pieces;
            }
        }
    }

    fn renamed(&mut self, data: &[u8]) -> Option<Vec<u8>> {
        let model = self.model.as_deref()?;
        // What begins with the same bytes up to the end of its model has the model at the same place.
        if let Some((beginning, from)) = &self.known
            && let Some(rest) = data.strip_prefix(beginning.as_slice())
        {
            let model = Value::from(model).to_string();
            return Some([&data[..*from], model.as_bytes(), rest].concat());
        }
        if self.dialect == Dialect::OpenaiResponses || self.dialect == Dialect::Anthropic {
            return renamed_within(data, model);
        }
        let field = self.dialect.model_field();
        memchr::memmem::find(data, field.as_bytes())?;
        let top = Top::read(data).ok()?;
        let place = top.place(field)?;
        let edited = top.edited(&[Edit::text(field, model)]);
        if place.end <= BEGINNING_BYTES_MAX {
            self.known = Some((data[..place.end].to_vec(), place.start));
        }
        Some(edited)
    }

    /// There was a fault, of which the provider does not tell the caller.
    fn is_lost(&self) -> bool {
        self.seen.fault.is_some() && !self.told
    }

    /// The last frame, where the blank line after it is missing. One that was cut is nothing to anybody.
    fn pass_rest(&mut self, out: &mut Vec<u8>) {
        let rest = self.frames.rest();
        if rest.is_empty() || self.is_lost() {
            return;
        }
        let frame = Bytes::from([&rest, b"\n\n".as_slice()].concat());
        if data_of(&frame).is_some_and(|place| is_readable(&frame[place])) {
            self.pass(&frame, out);
        }
    }

    fn finish(&mut self, fault: Option<Fault>, out: &mut Vec<u8>) {
        self.pass_rest(out);
        if let Some(fault) = &self.seen.fault {
            if !self.told {
                write_fault(self.dialect, fault, out);
            }
            return;
        }
        let ending = match fault {
            Some(fault) => vec![ChatEvent::Fault(fault)],
            None if self.seen.ended => return,
            None => self.decoder.finish(),
        };
        for event in &ending {
            self.seen.note(event);
        }
        if let Some(fault) = &self.seen.fault {
            write_fault(self.dialect, fault, out);
        }
    }
}

/// A model that comes later than this in an event is looked for each time.
const BEGINNING_BYTES_MAX: usize = 1 << 10;

/// Fields of frames that tell more than text, where they are not null.
static TELLING_FIELDS: LazyLock<[Finder<'static>; 7]> = LazyLock::new(|| {
    [
        "\"usage\"",
        "\"usageMetadata\"",
        "\"finish_reason\"",
        "\"finishReason\"",
        "\"stop_reason\"",
        "\"error\"",
        "\"base_resp\"",
    ]
    .map(Finder::new)
});
/// The same of names of events.
static TELLING_NAMES: LazyLock<[Finder<'static>; 5]> = LazyLock::new(|| {
    [
        ".completed\"",
        ".incomplete\"",
        ".failed\"",
        "message_stop",
        "[DONE]",
    ]
    .map(Finder::new)
});

/// Whether a frame tells more than text. A look at its bytes: most are not read any further.
fn tells(data: &[u8]) -> bool {
    let is_said = |field: &Finder<'_>| {
        let Some(at) = field.find(data) else {
            return false;
        };
        let rest = data[at + field.needle().len()..].iter();
        let value = rest.copied().find(|byte| !matches!(byte, b' ' | b':'));
        value != Some(b'n')
    };
    let is_named = |name: &Finder<'_>| name.find(data).is_some();
    TELLING_FIELDS.iter().any(is_said) || TELLING_NAMES.iter().any(is_named)
}

/// The tier that an event of OpenAI's tells, of the answer or of the response it is about.
fn tier_of(data: &[u8]) -> Option<ServiceTier> {
    const TIER: &str = "service_tier";
    memchr::memmem::find(data, TIER.as_bytes())?;
    let top = Top::read(data).ok()?;
    let within = top.raw("response").map(str::as_bytes).map(Top::read);
    let within = within.and_then(Result::ok);
    let named: Option<&str> = within.as_ref().unwrap_or(&top).get(TIER);
    named.and_then(ServiceTier::named)
}

/// Whether data is no object, as far as its ends tell.
fn is_cut(data: &[u8]) -> bool {
    let data = data.trim_ascii();
    let is_object = data.starts_with(b"{") && data.ends_with(b"}");
    !data.is_empty() && !is_object
}

/// Whether data is what dialects send: JSON, or the word that ends OpenAI's streams.
fn is_readable(data: &[u8]) -> bool {
    let data = data.trim_ascii();
    data == b"[DONE]" || serde_json::from_slice::<IgnoredAny>(data).is_ok()
}

/// A chunk that carries nothing but usage.
fn is_usage_only(data: &[u8]) -> bool {
    if memchr::memmem::find(data, b"\"usage\"").is_none() {
        return false;
    }
    let Ok(top) = Top::read(data) else {
        return false;
    };
    let is_empty = |raw: &str| raw.trim_start_matches('[').trim_start().starts_with(']');
    top.raw("usage").is_some_and(|usage| usage != "null")
        && top.raw("choices").is_some_and(is_empty)
}

/// The model of the object an event tells of: `response.model`, `message.model`.
fn renamed_within(data: &[u8], model: &str) -> Option<Vec<u8>> {
    memchr::memmem::find(data, b"\"model\"")?;
    let top = Top::read(data).ok()?;
    for field in ["response", "message"] {
        let Some(inner) = top.raw(field) else {
            continue;
        };
        let within = Top::read(inner.as_bytes()).ok()?;
        within.place("model")?;
        let value = String::from_utf8(within.edited(&[Edit::text("model", model)])).ok()?;
        return Some(top.edited(&[Edit {
            field,
            value,
            add: false,
        }]));
    }
    None
}

/// An error in the middle of a stream.
fn write_fault(dialect: Dialect, fault: &Fault, out: &mut Vec<u8>) {
    let body = dialect.encode_error(fault).body;
    let frame = match dialect {
        Dialect::Anthropic => format!("event: error\ndata: {body}\n\n"),
        Dialect::OpenaiResponses => {
            let error = &body["error"];
            let event = serde_json::json!({
                "type": "error",
                "code": error["code"],
                "message": error["message"],
                "param": error["param"],
                "sequence_number": Value::Null,
            });
            format!("event: error\ndata: {event}\n\n")
        }
        _ => format!("data: {body}\n\n"),
    };
    out.extend_from_slice(frame.as_bytes());
}

/// The sides speak different dialects.
pub struct Across {
    /// What the caller calls the model, and what calls of tools are called that the provider did not name.
    told: Told,
    reading: Reading,
    decoder: StreamDecoder,
    encoder: StreamEncoder,
    seen: Seen,
}

enum Reading {
    Events(Decoder),
    /// Binary frames (Amazon event streams).
    Binary(bedrock::Frames),
}

impl Across {
    pub fn new(provider: Dialect, encoder: StreamEncoder, told: Told) -> Self {
        let reading = match provider {
            Dialect::Bedrock => Reading::Binary(bedrock::Frames::default()),
            _ => Reading::Events(Decoder::new(Framing::ServerSent)),
        };
        Self {
            told,
            reading,
            decoder: StreamDecoder::new(provider),
            encoder,
            seen: Seen::default(),
        }
    }

    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let events: Vec<Event> = match &mut self.reading {
            Reading::Events(decoder) => decoder.push(bytes),
            Reading::Binary(frames) => match frames.push(bytes) {
                Ok(events) => events,
                Err(fault) => return self.tell(vec![ChatEvent::Fault(fault)], out),
            },
        };
        for event in events {
            let said = self.decoder.push(&event);
            self.tell(said, out);
        }
    }

    fn tell(&mut self, events: Vec<ChatEvent>, out: &mut Vec<u8>) {
        for event in events {
            if self.seen.fault.is_some() {
                return;
            }
            let mut event = self.encoder.heard(event);
            let begun = self.seen.begun || !is_of_other(&event, self.encoder.dialect());
            self.seen.note(&event);
            self.seen.begun &= begun;
            match &mut event {
                ChatEvent::Start { model, .. } => model.clone_from(&self.told.model),
                ChatEvent::PartStart {
                    part: PartStart::ToolCall { id, .. },
                    ..
                } => self.told.name_call(id),
                _ => {}
            }
            self.encoder.push(event, out);
        }
    }

    fn finish(&mut self, fault: Option<Fault>, out: &mut Vec<u8>) {
        let ending = match fault {
            Some(fault) => vec![ChatEvent::Fault(fault)],
            None => self.decoder.finish(),
        };
        self.tell(ending, out);
        self.encoder.finish(out);
    }
}

/// Whether an event begins a part that only another dialect has, of which the caller gets nothing.
fn is_of_other(event: &ChatEvent, caller: Dialect) -> bool {
    let ChatEvent::PartStart {
        part: PartStart::Whole(part),
        ..
    } = event
    else {
        return false;
    };
    matches!(part.as_ref(), Part::Opaque(part) if part.dialect != caller)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKS: &str = "data: {\"id\":\"a\",\"model\":\"real\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}],\"usage\":null}\n\n\
         data: {\"id\":\"a\",\"model\" : \"real\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"model\"},\"finish_reason\":null}]}\n\n\
         : a comment\n\n\
         data: {\"id\":\"a\",\"model\":\"real\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
         data: {\"id\":\"a\",\"model\":\"real\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2,\"total_tokens\":9}}\n\n\
         data: [DONE]\n\n";

    fn relayed(model: Option<&str>, hides_usage: bool, cut: usize) -> (String, Seen) {
        let same = Same::new(Dialect::OpenaiChat, model.map(str::to_owned), hides_usage);
        let (mut relay, mut out) = (Relay::Same(Box::new(same)), Vec::new());
        let (first, second) = CHUNKS.as_bytes().split_at(cut);
        relay.push(first, &mut out);
        relay.push(second, &mut out);
        relay.finish(None, &mut out);
        (String::from_utf8(out).unwrap(), relay.seen().clone())
    }

    // BerriAI/litellm#38504: a field of the gateway's own was put into streams against the will of their callers.
    #[test]
    fn every_other_byte_passes_wherever_the_stream_is_cut() {
        let usage_chunk = CHUNKS
            .find("data: {\"id\":\"a\",\"model\":\"real\",\"choices\":[],")
            .unwrap();
        let end = CHUNKS.find("data: [DONE]").unwrap();
        for cut in 0..CHUNKS.len() {
            let (same, seen) = relayed(None, false, cut);
            assert_eq!(same, CHUNKS, "{cut}");
            assert!(seen.begun && seen.ended && seen.fault.is_none(), "{seen:?}");
            assert_eq!(seen.usage.unwrap().total(), 9);
            let (hidden, seen) = relayed(Some("asked"), true, cut);
            let expected = [&CHUNKS[..usage_chunk], &CHUNKS[end..]].concat();
            assert_eq!(hidden, expected.replace("\"real\"", "\"asked\""), "{cut}");
            assert_eq!(seen.usage.unwrap().total(), 9);
        }
    }

    #[test]
    fn a_stream_that_ends_too_early_says_so() {
        let (mut relay, mut out) = (
            Relay::Same(Box::new(Same::new(Dialect::OpenaiChat, None, false))),
            Vec::new(),
        );
        let half = &CHUNKS[..CHUNKS.find(": a comment").unwrap()];
        relay.push(half.as_bytes(), &mut out);
        relay.finish(None, &mut out);
        let said = String::from_utf8(out).unwrap();
        let rest = said.strip_prefix(half).unwrap();
        assert!(rest.contains("\"error\""), "{rest}");
        assert_eq!(
            relay.seen().fault.as_ref().unwrap().class,
            FaultClass::Unreachable
        );
    }

    #[test]
    fn only_frames_that_tell_more_are_read() {
        for (data, expected) in [
            (
                r#"{"delta":"the \"usage\" of it","finish_reason": null,"usage" : null}"#,
                false,
            ),
            (r#"{"finish_reason":"stop"}"#, true),
            (r#"{"usage":{"a":1}}"#, true),
            (r#"{"type":"message_stop"}"#, true),
            (r#"{"base_resp":{"status_code":1027}}"#, true),
            (
                r#"{"type":"response.output_text.delta","delta":"x"}"#,
                false,
            ),
        ] {
            assert_eq!(tells(data.as_bytes()), expected, "{data}");
        }
    }

    const TOKEN: &str =
        "data: {\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n";
    const LAST: &str =
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

    /// What a caller of OpenAI's chat gets of these pieces, and whether there was a fault.
    fn told(pieces: &[&str]) -> (String, bool) {
        let mut relay = Relay::Same(Box::new(Same::new(Dialect::OpenaiChat, None, false)));
        let mut out = Vec::new();
        for piece in pieces {
            relay.push(piece.as_bytes(), &mut out);
        }
        relay.finish(None, &mut out);
        let fault = relay.seen().fault.is_some();
        (String::from_utf8(out).unwrap(), fault)
    }

    #[test]
    fn a_stream_passes_byte_for_byte() {
        let whole = format!(": hello\n\n{TOKEN}{LAST}data: [DONE]\n\n");
        for at in 0..whole.len() {
            let (first, second) = whole.split_at(at);
            assert_eq!(told(&[first, second]), (whole.clone(), false), "{at}");
        }
        // Some leave out the last blank line.
        let cut = whole.trim_end();
        assert_eq!(told(&[cut]), (whole.clone(), false));
    }

    #[test]
    fn what_nobody_can_read_is_told_and_not_passed_on() {
        for broken in [
            "data: {\"choices\": [{\"delt\n\n",
            "data: {\"choices\": [{\"delt",
            "data: ",
        ] {
            let (said, fault) = told(&[TOKEN, broken]);
            assert!(fault, "{broken}");
            let error = said.strip_prefix(TOKEN).unwrap();
            let error = error
                .strip_prefix("data: {\"error\":")
                .and_then(|rest| rest.strip_suffix("\n\n"));
            assert!(error.is_some(), "{said}");
        }
    }

    #[test]
    fn an_error_of_the_providers_is_told_once() {
        let error = "data: {\"error\":{\"message\":\"No.\",\"type\":\"server_error\"}}\n\n";
        let (said, fault) = told(&[TOKEN, error]);
        assert_eq!((said, fault), (format!("{TOKEN}{error}"), true));
    }
}
