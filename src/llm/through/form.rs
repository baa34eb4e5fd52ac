//! Reads short fields of a form with files (RFC 7578) while its bytes pass, whatever it weighs: of one that stands there
//! several times, the last.

use http::HeaderValue;
use memchr::memmem::{self, Finder};

use crate::llm::multipart::{boundary, name_in};

/// What the headers of a part may take, and what a value that is kept may; longer ones say nothing.
const HEAD_BYTES_MAX: usize = 4 << 10;
const VALUE_BYTES_MAX: usize = 1 << 10;

/// What is known of a form so far.
pub(super) struct Form<const N: usize> {
    names: [&'static str; N],
    values: [Option<String>; N],
    delimiter: Finder<'static>,
    /// What is not read yet.
    held: Vec<u8>,
    reading: Reading,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Reading {
    /// What nobody asks for, up to the next delimiter.
    Passing,
    /// The headers of a part.
    Head,
    /// The value of one of the fields, after the line break that ends its headers.
    Value(usize),
    /// Nothing more.
    Over,
}

impl<const N: usize> Form<N> {
    /// `None`: the media type is that of something else.
    pub(super) fn of(media: &HeaderValue, names: [&'static str; N]) -> Option<Self> {
        let delimiter = format!("\r\n--{}", boundary(media)?);
        Some(Self {
            names,
            values: std::array::from_fn(|_| None),
            delimiter: Finder::new(&delimiter).into_owned(),
            // The first delimiter needs no line before it.
            held: b"\r\n".to_vec(),
            reading: Reading::Passing,
        })
    }

    /// A piece of the form.
    pub(super) fn push(&mut self, piece: &[u8]) {
        if self.reading == Reading::Over {
            return;
        }
        self.held.extend_from_slice(piece);
        let mut from = 0;
        while let Some(read) = self.step(from) {
            from += read;
        }
        self.held.drain(..from);
    }

    /// The last value of a field.
    pub(super) fn value(&self, name: usize) -> Option<&str> {
        self.values.get(name)?.as_deref()
    }

    /// Reads what can be read of what is held from there on, and tells how much that is; `None`: more has to come.
    fn step(&mut self, from: usize) -> Option<usize> {
        let held = &self.held[from..];
        match self.reading {
            Reading::Passing => match self.delimiter.find(held) {
                Some(at) => {
                    self.reading = Reading::Head;
                    Some(at + self.delimiter.needle().len())
                }
                None => {
                    // The last bytes may be the beginning of a delimiter.
                    let rest = self.delimiter.needle().len() - 1;
                    held.len().checked_sub(rest).filter(|read| *read > 0)
                }
            },
            Reading::Head => self.head(from),
            Reading::Value(name) => {
                let Some(at) = self.delimiter.find(held) else {
                    let most = VALUE_BYTES_MAX + self.delimiter.needle().len();
                    return (held.len() > most).then(|| self.pass());
                };
                let value = held[..at].get(2..).unwrap_or_default();
                if value.len() <= VALUE_BYTES_MAX
                    && let Ok(text) = std::str::from_utf8(value)
                {
                    self.values[name] = Some(text.to_owned());
                }
                self.reading = Reading::Passing;
                Some(at)
            }
            Reading::Over => None,
        }
    }

    fn head(&mut self, from: usize) -> Option<usize> {
        let held = &self.held[from..];
        if held.starts_with(b"--") {
            self.reading = Reading::Over;
            return Some(held.len());
        }
        let (first, _) = held.split_first().filter(|(_, rest)| !rest.is_empty())?;
        if !matches!(first, b'\r' | b' ' | b'\t') {
            // What only begins like a delimiter.
            return Some(self.pass());
        }
        let within = &held[..held.len().min(HEAD_BYTES_MAX)];
        let Some(end) = memmem::find(within, b"\r\n\r\n") else {
            // What is looked through is not looked through again.
            let is_long = within.len() == HEAD_BYTES_MAX;
            return is_long.then(|| self.pass() + HEAD_BYTES_MAX);
        };
        let headers = String::from_utf8_lossy(&held[..end]);
        let name = name_in(&headers);
        let name = self.names.iter().position(|known| name == Some(*known));
        self.reading = name.map_or(Reading::Passing, Reading::Value);
        // Of the blank line, the second half may be that of a delimiter.
        Some(end + 2)
    }

    fn pass(&mut self) -> usize {
        self.reading = Reading::Passing;
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(form: &str, size: usize) -> [Option<String>; 2] {
        let media = HeaderValue::from_static("multipart/form-data; boundary=\"b\"");
        let mut read = Form::of(&media, ["model", "n"]).unwrap();
        for piece in form.as_bytes().chunks(size) {
            read.push(piece);
            let most = HEAD_BYTES_MAX + VALUE_BYTES_MAX + size;
            assert!(read.held.len() <= most, "{}", read.held.len());
        }
        [0, 1].map(|name| read.value(name).map(str::to_owned))
    }

    fn part(name: &str, value: &str) -> String {
        format!("--b\r\nContent-Disposition: form-data; name={name}\r\n\r\n{value}\r\n")
    }

    #[test]
    fn fields_are_read_wherever_a_form_is_cut() {
        let file = part(
            "\"file\"; filename=\"model\"",
            "--x --b\r\n--bc\r\nContent-Disposition: form-data; name=model\r\n\r\nno\r\n\r\n",
        );
        let named = |text: &str| Some(text.to_owned());
        for (form, expected) in [
            (
                format!(
                    "{file}{}{}--b--\r\n",
                    part("\"model\"", "whisper-1"),
                    part("n", "3")
                ),
                [named("whisper-1"), named("3")],
            ),
            (
                format!(
                    "preamble\r\n{}{file}{}--b--",
                    part("model", "a"),
                    part("model", "b")
                ),
                [named("b"), None],
            ),
            // Nothing counts after the end, and what is cut is nothing.
            (
                format!("{}--b--\r\n{}", part("n", ""), part("model", "late")),
                [None, named("")],
            ),
            (part("model", "cut").trim_end().to_owned(), [None, None]),
            (
                format!("{}--b--", part("\"x; name=model; y\"", "no")),
                [None, None],
            ),
            ("--b\r\n\r\n--b\r\n--b--".to_owned(), [None, None]),
            (String::new(), [None, None]),
        ] {
            for size in 1..=form.len() {
                assert_eq!(read(&form, size), expected, "{form} in pieces of {size}");
            }
        }
    }

    #[test]
    fn a_long_form_is_read_to_its_end_and_little_of_it_is_kept() {
        let long = "--b \r\n".repeat(1 << 20);
        let head = "x".repeat(9_000);
        let form = format!(
            "{}{}--b\r\n{head}\r\nContent-Disposition: form-data; name=model\r\n\r\nno\r\n{}--b--",
            part("model", "m"),
            part("file", &long),
            part("model", &"m".repeat(2_000)),
        );
        for size in [1_000, 8_192, 1 << 20] {
            assert_eq!(read(&form, size), [Some("m".to_owned()), None]);
        }
    }
}
