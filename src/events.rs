//! Answers that arrive piece by piece: server-sent events, lines of JSON, JSON text sequences. Bytes
//! in, events out; nothing here waits.

use crate::types::essence;

/// How the pieces of an answer are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// `text/event-stream` (WHATWG HTML, section 9.2).
    ServerSent,
    /// One JSON text a line.
    Lines,
    /// RFC 7464: each text after a record separator.
    Sequence,
}

impl Framing {
    /// That of a media type; `None` where the answer is one piece.
    pub fn of(media_type: &str) -> Option<Self> {
        match essence(media_type).as_str() {
            "text/event-stream" => Some(Self::ServerSent),
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonl"
            | "application/jsonlines"
            | "application/x-jsonlines"
            | "application/stream+json"
            | "application/x-json-stream" => Some(Self::Lines),
            "application/json-seq" => Some(Self::Sequence),
            name if name.ends_with("+json-seq") => Some(Self::Sequence),
            _ => None,
        }
    }
}

/// One piece.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// `event:` of a server-sent event.
    pub name: Option<String>,
    pub id: Option<String>,
    pub data: String,
}

impl Event {
    /// The last event of APIs in the manner of OpenAI, whose connection may stay open after it.
    pub fn is_end(&self) -> bool {
        self.data.trim() == "[DONE]"
    }
}

/// Takes a stream apart as it arrives.
#[derive(Debug)]
pub struct Decoder {
    framing: Framing,
    /// The line or record that is not over yet.
    piece: Vec<u8>,
    /// The last byte was a carriage return: a line feed after it ends nothing more.
    returned: bool,
    event: Event,
    /// The event has a line of data.
    filled: bool,
    started: bool,
}

impl Decoder {
    pub fn new(framing: Framing) -> Self {
        Self {
            framing,
            piece: Vec::new(),
            returned: false,
            event: Event::default(),
            filled: false,
            started: false,
        }
    }

    /// The events that these bytes complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Event> {
        let (mut events, mut rest) = (Vec::new(), bytes);
        loop {
            let end = match self.framing {
                Framing::ServerSent => memchr::memchr2(b'\n', b'\r', rest),
                Framing::Lines => memchr::memchr(b'\n', rest),
                Framing::Sequence => memchr::memchr(0x1e, rest),
            };
            let Some(end) = end else {
                self.returned &= rest.is_empty();
                self.piece.extend_from_slice(rest);
                return events;
            };
            // The second half of a line's end, whose first one ended it.
            let is_half = end == 0 && rest[end] == b'\n' && self.returned;
            self.returned = rest[end] == b'\r';
            if !is_half {
                self.piece.extend_from_slice(&rest[..end]);
                events.extend(self.end_piece());
            }
            rest = &rest[end + 1..];
        }
    }

    /// What is left when the stream ends. An event that its stream never finished is one too: a
    /// reader wants to see it.
    pub fn finish(mut self) -> Option<Event> {
        let last = self.end_piece();
        last.or_else(|| self.filled.then_some(self.event))
    }

    fn end_piece(&mut self) -> Option<Event> {
        let piece = std::mem::take(&mut self.piece);
        let text = String::from_utf8_lossy(&piece);
        let text = if self.started {
            &text
        } else {
            text.strip_prefix('\u{feff}').unwrap_or(&text)
        };
        self.started = true;
        if self.framing == Framing::ServerSent {
            return self.line(text);
        }
        let data = text.trim();
        (!data.is_empty()).then(|| Event {
            data: data.to_owned(),
            ..Event::default()
        })
    }

    fn line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.filled).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if self.filled {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
                self.filled = true;
            }
            "event" => self.event.name = Some(value.to_owned()),
            "id" => self.event.id = Some(value.to_owned()),
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(framing: Framing, pieces: &[&[u8]]) -> Vec<Event> {
        let mut decoder = Decoder::new(framing);
        let mut events: Vec<Event> = pieces.iter().flat_map(|p| decoder.push(p)).collect();
        events.extend(decoder.finish());
        events
    }

    fn data(framing: Framing, text: &str) -> Vec<String> {
        let events = all(framing, &[text.as_bytes()]);
        events.into_iter().map(|event| event.data).collect()
    }

    const STREAM: &str = "\u{feff}: hello\nevent: a\r\nid: 7\r\ndata: {\"x\":1}\r\n\r\ndata:one\rdata: two\r\r\
                          retry: 5\n\ndata: [DONE]\n\ndata: é";

    #[test]
    fn each_framing_gives_its_events() {
        assert_eq!(
            data(Framing::ServerSent, STREAM),
            ["{\"x\":1}", "one\ntwo", "[DONE]", "é"]
        );
        let events = all(Framing::ServerSent, &[STREAM.as_bytes()]);
        assert_eq!(events[0].name.as_deref(), Some("a"));
        assert_eq!(events[0].id.as_deref(), Some("7"));
        assert_eq!(events[1].name, None);
        assert!(events[2].is_end() && !events[3].is_end());
        assert_eq!(data(Framing::Lines, "{}\r\n\n[1]\n2"), ["{}", "[1]", "2"]);
        assert_eq!(
            data(Framing::Sequence, "\u{1e}{\"a\":\n1}\n\u{1e}[2]\n"),
            ["{\"a\":\n1}", "[2]"]
        );
    }

    #[test]
    fn media_types_tell_the_framing() {
        for (name, framing) in [
            (
                "text/event-stream; charset=utf-8",
                Some(Framing::ServerSent),
            ),
            ("Application/X-NDJSON", Some(Framing::Lines)),
            ("application/geo+json-seq", Some(Framing::Sequence)),
            ("application/json", None),
            ("", None),
        ] {
            assert_eq!(Framing::of(name), framing, "{name}");
        }
    }

    proptest! {
        #[test]
        fn where_the_bytes_are_parted_changes_nothing(at in 0_usize..STREAM.len(), then in 0_usize..40) {
            let bytes = STREAM.as_bytes();
            let middle = (at + then).min(bytes.len());
            let parted = [&bytes[..at], &bytes[at..middle], &bytes[middle..]];
            prop_assert_eq!(all(Framing::ServerSent, &parted), all(Framing::ServerSent, &[bytes]));
        }
    }
}
