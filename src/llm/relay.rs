//! A provider's stream on its way to the caller: passed on as it is where both speak the same dialect, written anew
//! where they do not. Bytes in, bytes out; nothing here waits.

mod hidden;
mod telling;

use bytes::Bytes;
use serde_json::Value;

use crate::events::{Decoder, Event, Framing};
use crate::llm::answer::{ChatEvent, Delta, PartStart, Stop};
use crate::llm::chat::Part;
use crate::llm::codec::{StreamDecoder, StreamEncoder};
use crate::llm::dialect::{Dialect, Dropped, Told, bedrock};
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::frame::{Frames, data_of};
use crate::llm::price::ServiceTier;
use crate::llm::relay::hidden::Hidden;
use crate::llm::relay::telling::{
    ERROR, is_cut, is_error, is_readable, is_usage_only, tells, tier_of,
};
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
    /// It came to its proper end, or to a fault that was told with what was used until then.
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
    /// Hides these values in what it tells of errors: the provider may repeat the key that it was sent.
    #[must_use]
    pub fn hiding(mut self, values: Vec<String>) -> Self {
        let hidden = match &mut self {
            Self::Same(same) => &mut same.hidden,
            Self::Across(across) => &mut across.hidden,
        };
        *hidden = Hidden::of(values);
        self
    }

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
    hidden: Hidden,
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
            hidden: Hidden::default(),
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
            // Of data in several lines nothing is read.
            if ERROR.find(frame).is_some() {
                out.extend_from_slice(&self.hidden.bytes(frame.clone()));
            } else {
                out.extend_from_slice(frame);
            }
            return;
        };
        let data = &frame[place.clone()];
        if is_cut(data) && !is_readable(data) {
            let text = "the provider sent something that cannot be understood";
            self.seen.fault = Some(Fault::new(FaultClass::Upstream, text));
            return;
        }
        let is_error = is_error(frame, &place);
        self.look(frame, data, is_error);
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
        let renamed = self.renamed(data).map(Bytes::from);
        let hides = is_error || self.seen.fault.is_some();
        if renamed.is_none() && !hides {
            out.extend_from_slice(frame);
            return;
        }
        let mut data = renamed.unwrap_or_else(|| frame.slice(place.clone()));
        if hides {
            data = self.hidden.bytes(data);
        }
        out.extend_from_slice(&frame[..place.start]);
        out.extend_from_slice(&data);
        out.extend_from_slice(&frame[place.end..]);
    }

    /// Reads a frame as far as it has to be read: all until the answer begins, then what tells of usage, of an end or
    /// of an error.
    fn look(&mut self, frame: &[u8], data: &[u8], is_error: bool) {
        self.seen.pieces += 1;
        let tells = !self.seen.begun || is_error || tells(data);
        if !tells {
            return;
        }
        self.seen.tier = tier_of(data).or(self.seen.tier);
        let mut decoder = Decoder::new(Framing::ServerSent);
        for event in decoder.push(frame) {
            let said = self.decoder.push(&event);
            let is_settled = is_settled(&self.decoder, &said);
            for mut event in said {
                self.hidden.event(&mut event);
                let pieces = self.seen.pieces;
                self.seen.note(&event);
                self.seen.pieces = pieces;
            }
            self.seen.ended |= is_settled;
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
        for mut event in ending {
            self.hidden.event(&mut event);
            self.seen.note(&event);
        }
        if let Some(fault) = &self.seen.fault {
            write_fault(self.dialect, fault, out);
        }
    }
}

/// Whether an event tells of a fault, and itself of what was used until then, as Responses do. What others told before
/// need not be all of it.
fn is_settled(decoder: &StreamDecoder, said: &[ChatEvent]) -> bool {
    matches!(decoder, StreamDecoder::OpenaiResponses(_))
        && matches!(said, [.., ChatEvent::Usage(_), ChatEvent::Fault(_)])
}

/// A model that comes later than this in an event is looked for each time.
const BEGINNING_BYTES_MAX: usize = 1 << 10;

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
    hidden: Hidden,
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
            hidden: Hidden::default(),
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
            let is_settled = is_settled(&self.decoder, &said) && self.seen.fault.is_none();
            self.tell(said, out);
            self.seen.ended |= is_settled;
        }
    }

    fn tell(&mut self, events: Vec<ChatEvent>, out: &mut Vec<u8>) {
        for event in events {
            if self.seen.fault.is_some() {
                return;
            }
            let mut event = self.encoder.heard(event);
            self.hidden.event(&mut event);
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
    use crate::llm::dialect::OwnTools;

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

    const SECRET: &str = "one-secret-\"value\"";

    /// What a caller gets of a stream, of whose provider the secret is hidden, and what is told of its fault.
    fn hidden(relay: Relay, stream: &str) -> (String, String) {
        let (mut relay, mut out) = (relay.hiding(vec![SECRET.to_owned()]), Vec::new());
        relay.push(stream.as_bytes(), &mut out);
        relay.finish(None, &mut out);
        let fault = relay.seen().fault.clone().unwrap();
        (String::from_utf8(out).unwrap(), fault.message)
    }

    /// A stream that breaks off with an error which repeats the secret, and what has to be left of that.
    fn betraying(dialect: Dialect) -> (String, String) {
        let (begins, error) = match dialect {
            Dialect::Anthropic => (
                "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"a\",\"model\":\"m\",\"usage\":{\"input_tokens\":1}}}\n\n\
                 event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
                 event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\n",
                "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":SAID}}\n\n",
            ),
            Dialect::OpenaiResponses => (
                "data: {\"type\":\"response.created\",\"response\":{\"id\":\"a\",\"model\":\"m\",\"error\":null}}\n\n\
                 data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":\"Hi\"}\n\n",
                "data: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"server_error\",\"message\":SAID}}}\n\n",
            ),
            Dialect::Gemini => (
                "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"Hi\"}]}}]}\n\n",
                "data: {\"error\":{\"code\":500,\"message\":SAID,\"status\":\"INTERNAL\"}}\n\n",
            ),
            _ => (
                TOKEN,
                "event: error\ndata: {\"message\":SAID,\"type\":\"server_error\"}\n\n",
            ),
        };
        let error = |said: &str| error.replace("SAID", &Value::from(said).to_string());
        let stream = [begins, &error(&format!("bad key {SECRET}"))].concat();
        (stream, [begins, &error("bad key [masked]")].concat())
    }

    #[test]
    fn a_key_stands_in_no_error_of_a_stream_that_passes() {
        for dialect in Dialect::heard() {
            let (stream, expected) = betraying(dialect);
            let same = Same::new(dialect, None, false);
            let (said, fault) = hidden(Relay::Same(Box::new(same)), &stream);
            assert_eq!(said, expected, "{dialect:?}");
            assert_eq!(fault, "bad key [masked]", "{dialect:?}");
        }
        // What is told by the same dialect's other word, in several lines, and beside an answer that goes on.
        let secret = Value::from(SECRET);
        for said in [
            format!("data: {{\"type\":\"error\",\"code\":null,\"message\":{secret}}}\n\n"),
            format!("event: error\ndata: {{\"error\":\ndata: {secret}}}\n\n"),
            format!("data: {{\"note\":{{\"error\":{secret}}}}}\n\n"),
        ] {
            let (begun, _) = betraying(Dialect::OpenaiResponses);
            let begun = &begun[..begun.find("data: {\"type\":\"response.failed").unwrap()];
            let same = Same::new(Dialect::OpenaiResponses, None, false);
            let (told, _) = hidden(Relay::Same(Box::new(same)), &[begun, &said].concat());
            let masked = said.replace(&secret.to_string(), "\"[masked]\"");
            assert!(told.starts_with(&[begun, &masked].concat()), "{told}");
        }
    }

    #[test]
    fn a_key_stands_in_no_error_that_is_written_anew() {
        let told = Told {
            model: "m".to_owned(),
            request_id: "1".to_owned(),
            now: 0,
            stream_usage: false,
            tools: OwnTools::default(),
        };
        for (from, to) in Dialect::heard()
            .into_iter()
            .flat_map(|from| Dialect::heard().map(|to| (from, to)))
        {
            let encoder = StreamEncoder::new(to, told.clone(), false).unwrap();
            let across = Across::new(from, encoder, told.clone());
            let (stream, _) = betraying(from);
            let (said, fault) = hidden(Relay::Across(Box::new(across)), &stream);
            assert!(said.contains("bad key [masked]"), "{from:?} {to:?}: {said}");
            assert!(!said.contains("one-secret"), "{from:?} {to:?}: {said}");
            assert_eq!(fault, "bad key [masked]");
        }
    }

    #[test]
    fn searches_of_the_web_are_counted_in_streams_that_pass() {
        let text = "data: {\"type\":\"response.output_text.delta\",\"output_index\":9,\"content_index\":0,\"delta\":\"Hi\"}\n\n";
        let item = |place: usize, action: &str| {
            let item = format!(
                "{{\"id\":\"ws_{place}\",\"type\":\"web_search_call\",\"status\":\"completed\",\"action\":{{\"type\":\"{action}\"}}}}"
            );
            ["added", "done"].map(|what| {
                format!("data: {{\"type\":\"response.output_item.{what}\",\"output_index\":{place},\"item\":{item}}}\n\n")
            })
            .concat()
        };
        let usage = "\"usage\":{\"input_tokens\":70,\"output_tokens\":20,\"total_tokens\":90}";
        let failed = "\"error\":{\"code\":\"server_error\",\"message\":\"No.\"}";
        for (how, error) in [("completed", ""), ("incomplete", ""), ("failed", failed)] {
            let comma = if error.is_empty() { "" } else { "," };
            let end = format!(
                "data: {{\"type\":\"response.{how}\",\"response\":{{\"status\":\"{how}\",{error}{comma}{usage}}}}}\n\n"
            );
            let searched = item(0, "search") + &item(1, "open_page") + &item(2, "search");
            let stream = [text, &searched, text, &item(3, "search"), &end].concat();
            let same = Same::new(Dialect::OpenaiResponses, None, false);
            let (mut relay, mut out) = (Relay::Same(Box::new(same)), Vec::new());
            relay.push(stream.as_bytes(), &mut out);
            relay.finish(None, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), stream, "{how}");
            let seen = relay.seen();
            let usage = seen.usage.unwrap();
            assert_eq!((usage.total(), usage.searches), (90, 3), "{how}");
            assert!(seen.ended, "{how}");
            assert_eq!(seen.fault.is_some(), how == "failed", "{how}");
        }
    }
}
