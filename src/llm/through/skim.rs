//! Reads single members of a JSON text while its bytes pass, whatever it weighs: those at the top of an object, or at the
//! top of each object of a list, of which the last that says something counts.

use memchr::memchr2;

/// What is kept of a member's name and of its value; longer ones say nothing.
const NAME_BYTES_MAX: usize = 64;
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
    ended: bool,
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
            ended: false,
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

    /// Whether the text came to its end.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
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
                self.ended |= self.depth == 0;
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
        let mut names = self.names.iter();
        let name = names.position(|name| name.as_bytes() == self.held);
        self.reading = name.map_or(Reading::Passing, Reading::Value);
        self.held.clear();
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
        (usage, skim.text(1), skim.has_ended())
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
            (r#"{"usage":12"#, None, None, false),
            ("usage", None, None, false),
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
}
