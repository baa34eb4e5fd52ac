//! Reads single members of a JSON text while its bytes pass, whatever it weighs: those at the top of an object, or at the
//! top of each object of a list, of which the last that says something counts.

use memchr::{memchr, memchr2};

/// What is kept of a member's name and of its value; longer ones say nothing. Every letter of a name may be escaped,
/// which takes six bytes.
const NAME_BYTES_MAX: usize = 6 * 32;
const VALUE_BYTES_MAX: usize = 16 << 10;

/// What is known of a text so far.
#[derive(Debug)]
pub(super) struct Skim<const N: usize> {
    names: [&'static str; N],
    values: [Vec<u8>; N],
    /// How many objects and lists are open, and within how many the members stand.
    depth: usize,
    level: usize,
    string: Text,
    reading: Reading,
    /// The name of a member, or its value.
    held: Vec<u8>,
}

/// Whether a byte is part of a string.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Text {
    Outside,
    Inside,
    /// After a backslash.
    Escaped,
}

/// What the bytes at the level of the members are.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Reading {
    /// Nothing that counts.
    Passing,
    /// A name comes next.
    Awaiting,
    Name,
    /// A name is read.
    Named,
    /// The value of one of the members.
    Value(usize),
}

impl<const N: usize> Skim<N> {
    pub(super) fn new(names: [&'static str; N]) -> Self {
        Self {
            names,
            values: std::array::from_fn(|_| Vec::new()),
            depth: 0,
            level: 1,
            string: Text::Outside,
            reading: Reading::Passing,
            held: Vec::new(),
        }
    }

    /// A piece of the text.
    pub(super) fn push(&mut self, piece: &[u8]) {
        let mut at = 0;
        while at < piece.len() {
            if self.string == Text::Inside && !self.keeps() {
                // Most of a text is strings that nobody asks for.
                match memchr2(b'"', b'\\', &piece[at..]) {
                    Some(more) => at += more,
                    None => return,
                }
            }
            let byte = piece[at];
            match self.string {
                Text::Outside => self.outside(byte),
                Text::Inside | Text::Escaped => self.inside(byte),
            }
            at += 1;
        }
    }

    /// The last value of a member that is not null.
    pub(super) fn value(&self, name: usize) -> Option<&[u8]> {
        let value = self.values.get(name)?;
        (!value.is_empty()).then_some(value.as_slice())
    }

    /// The same, where it is a string.
    pub(super) fn text(&self, name: usize) -> Option<String> {
        serde_json::from_slice(self.value(name)?).ok()
    }

    /// Another text follows, wherever this one was cut. What was read stays, until it is said anew.
    pub(super) fn begin_again(&mut self) {
        (self.depth, self.level) = (0, 1);
        (self.string, self.reading) = (Text::Outside, Reading::Passing);
        self.held.clear();
    }

    /// Whether the text broke off, as far as it is JSON.
    pub(super) fn is_cut(&self) -> bool {
        self.depth > 0
    }

    fn keeps(&self) -> bool {
        matches!(self.reading, Reading::Name | Reading::Value(_))
    }

    fn hold(&mut self, byte: u8) {
        let most = if self.reading == Reading::Name {
            NAME_BYTES_MAX
        } else {
            VALUE_BYTES_MAX
        };
        if self.keeps() && self.held.len() <= most {
            self.held.push(byte);
        }
    }

    fn inside(&mut self, byte: u8) {
        let ends = self.string == Text::Inside && byte == b'"';
        self.string = match (self.string, byte) {
            (Text::Inside, b'\\') => Text::Escaped,
            (Text::Inside, b'"') => Text::Outside,
            _ => Text::Inside,
        };
        if ends && self.reading == Reading::Name {
            self.reading = Reading::Named;
        } else {
            self.hold(byte);
        }
    }

    fn outside(&mut self, byte: u8) {
        let at_level = self.depth == self.level;
        match byte {
            b'"' => {
                self.string = Text::Inside;
                if at_level && self.reading == Reading::Awaiting {
                    self.held.clear();
                    self.reading = Reading::Name;
                } else {
                    self.hold(byte);
                }
            }
            b'{' | b'[' => {
                self.hold(byte);
                self.open(byte);
            }
            b'}' | b']' => {
                if at_level {
                    self.end_member();
                    self.reading = Reading::Passing;
                }
                self.depth = self.depth.saturating_sub(1);
                self.hold(byte);
            }
            b',' if at_level => {
                self.end_member();
                self.reading = Reading::Awaiting;
            }
            b':' if at_level && self.reading == Reading::Named => self.begin_value(),
            _ => self.hold(byte),
        }
    }

    fn open(&mut self, byte: u8) {
        self.depth += 1;
        if self.depth == 1 {
            self.level = if byte == b'[' { 2 } else { 1 };
        }
        if self.depth == self.level {
            self.reading = if byte == b'{' {
                Reading::Awaiting
            } else {
                Reading::Passing
            };
        }
    }

    fn begin_value(&mut self) {
        let name = self.named();
        self.reading = name.map_or(Reading::Passing, Reading::Value);
        self.held.clear();
    }

    /// Which member's name is held, however it is escaped.
    fn named(&self) -> Option<usize> {
        if self.held.len() > NAME_BYTES_MAX {
            return None;
        }
        let place = |held: &[u8]| {
            let mut names = self.names.iter();
            names.position(|name| name.as_bytes() == held)
        };
        if !self.held.contains(&b'\\') {
            return place(&self.held);
        }
        let quoted = [b"\"", self.held.as_slice(), b"\""].concat();
        let name: String = serde_json::from_slice(&quoted).ok()?;
        place(name.as_bytes())
    }

    fn end_member(&mut self) {
        let Reading::Value(name) = self.reading else {
            return;
        };
        let value = self.held.trim_ascii();
        if value != b"null" && !value.is_empty() && self.held.len() <= VALUE_BYTES_MAX {
            self.values[name] = value.to_vec();
        }
    }
}

/// The same of the data of server-sent events, each a text of its own.
#[derive(Debug)]
pub(super) struct Events<const N: usize> {
    skim: Skim<N>,
    line: Line,
}

/// What of a line has come.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Line {
    /// So many bytes of [`DATA`].
    Begun(usize),
    Data,
    Other,
}

const DATA: &[u8] = b"data:";

impl<const N: usize> Events<N> {
    pub(super) fn new(names: [&'static str; N]) -> Self {
        Self {
            skim: Skim::new(names),
            line: Line::Begun(0),
        }
    }

    /// What the events have said so far.
    pub(super) fn skim(&self) -> &Skim<N> {
        &self.skim
    }

    /// A piece of the stream.
    pub(super) fn push(&mut self, mut piece: &[u8]) {
        while let Some(first) = piece.first() {
            if let Line::Begun(known) = self.line {
                self.line = match (first, known) {
                    (b'\r', _) => self.line,
                    (b'\n', _) => self.blank(known),
                    (byte, _) if *byte != DATA[known] => Line::Other,
                    _ if known + 1 == DATA.len() => Line::Data,
                    _ => Line::Begun(known + 1),
                };
                piece = &piece[1..];
                continue;
            }
            let end = memchr(b'\n', piece);
            let (line, rest) = piece.split_at(end.unwrap_or(piece.len()));
            if self.line == Line::Data {
                self.skim.push(line);
            }
            if end.is_some() {
                self.line = Line::Begun(0);
            }
            piece = rest.get(1..).unwrap_or_default();
        }
    }

    /// A line has ended before its data; where it has nothing at all, so has the event.
    fn blank(&mut self, known: usize) -> Line {
        if known == 0 {
            self.skim.begin_again();
        }
        Line::Begun(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skimmed(text: &str, size: usize) -> (Option<String>, Option<String>, bool) {
        let mut skim = Skim::new(["usage", "model"]);
        for piece in text.as_bytes().chunks(size) {
            skim.push(piece);
        }
        let usage = skim.value(0).map(|value| {
            let value = String::from_utf8(value.to_vec());
            value.unwrap()
        });
        (usage, skim.text(1), !skim.is_cut())
    }

    #[test]
    fn members_are_read_at_their_level_only_wherever_a_text_is_cut() {
        for (text, usage, model, ended) in [
            (
                r#"{"model":"m","usage":{"a":1}}"#,
                Some(r#"{"a":1}"#),
                Some("m"),
                true,
            ),
            // What a model says, and what its tools are told, are no members.
            (
                r#" {"text" : "\"usage\":{\"a\":9}, \\", "input":{"usage":{"a":9},"model":"x"}, "usage" : { "a" : [1, {"b":2}] } , "model":"m\u0041\"" } "#,
                Some(r#"{ "a" : [1, {"b":2}] }"#),
                Some("mA\""),
                true,
            ),
            (
                "[{\"usage\":{\"a\":1},\"model\":\"m\"}\n,\r\n{\"usage\":null,\"c\":[{\"usage\":7}]},{\"usage\":{\"a\":2}}]",
                Some(r#"{"a":2}"#),
                Some("m"),
                true,
            ),
            (
                r#"[{"usage":{"a":1}},{"usage":{"a":"#,
                Some(r#"{"a":1}"#),
                None,
                false,
            ),
            (r#"[["usage",{"usage":1}],"usage"]"#, None, None, true),
            (r#"{"usage":12,"model":7}"#, Some("12"), None, true),
            // Names may be escaped as values are.
            (
                r#"{"mod\u0065l":"m","\u0075s\u0061ge":7,"\u006Dodel\"":"x","\u006x":1}"#,
                Some("7"),
                Some("m"),
                true,
            ),
            (r#"{"usage":12"#, None, None, false),
            ("usage", None, None, true),
            ("}}]],{\"usage\":1}", Some("1"), None, true),
        ] {
            for size in 1..=text.len() {
                let model = model.map(str::to_owned);
                let expected = (usage.map(str::to_owned), model, ended);
                assert_eq!(skimmed(text, size), expected, "{text} in pieces of {size}");
            }
        }
    }

    #[test]
    fn a_long_text_is_read_to_its_end_and_little_of_it_is_kept() {
        let long = "x\\\"".repeat(3 << 20);
        let text = format!(r#"{{"{long}":1,"text":"{long}","model":"{long}","usage":{{"a":1}}}}"#);
        let mut skim = Skim::new(["usage", "model"]);
        for piece in text.as_bytes().chunks(8_192) {
            skim.push(piece);
        }
        assert_eq!(skim.value(0), Some(b"{\"a\":1}".as_slice()));
        assert_eq!(skim.text(1), None, "nothing is called so");
        assert!(skim.held.capacity() < 4 * VALUE_BYTES_MAX);
    }

    #[test]
    fn events_are_read_wherever_a_stream_is_cut() {
        let stream = "event: a\r\ndata: {\"model\":\"m\",\"usage\":null}\r\n\r\n\
            dat: {\"model\":\"no\"}\n: data: {\"model\":\"no\"}\n\n\
            data: {\"cut\":\"\n\n\
            data:{\"usage\":\ndata: {\"a\":1}}\n\ndata: [DONE]\n\n";
        for size in 1..=stream.len() {
            let mut events = Events::new(["usage", "model"]);
            for piece in stream.as_bytes().chunks(size) {
                events.push(piece);
            }
            let skim = events.skim();
            assert_eq!(skim.value(0), Some(b"{\"a\":1}".as_slice()), "{size}");
            assert_eq!(skim.text(1).as_deref(), Some("m"), "{size}");
        }
    }
}
