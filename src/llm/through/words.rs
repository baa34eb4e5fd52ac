//! What the body of a request says of what its answer may cost, read while it passes: in JSON, or in a form with files, as
//! it is or compressed. Whoever compresses a body gets nothing for less.

use std::io::{self, ErrorKind, Write};

use flate2::write::{MultiGzDecoder, ZlibDecoder};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

use crate::llm::fault::{Fault, FaultClass};
use crate::llm::price::ServiceTier;
use crate::llm::splice::Top;
use crate::llm::through::form::Form;
use crate::llm::through::skim::Skim;

/// What a compressed body may come to: more than any provider takes in one that is not.
const PLAIN_BYTES_MAX: u64 = 64 << 20;
/// How much of a body is read at once: compressed, so little that it is no more than a MiB in plain.
const STEP_BYTES: usize = 64 << 10;
const COMPRESSED_STEP_BYTES: usize = 1 << 10;
/// More answers than anybody gets to one request.
const ANSWERS_MAX: u64 = 128;

const MODEL: usize = 0;
const TIER: usize = 1;
const BACKGROUND: usize = 2;
const ANSWERS: usize = 3;
/// Where a request says how long its answer may be: so many tokens, or an object that says it.
const LENGTHS: [usize; 3] = [4, 5, 6];
const SETTINGS: [usize; 3] = [7, 8, 9];
const NAMES: [&str; 10] = [
    "model",
    "service_tier",
    "background",
    "n",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "generationConfig",
    "generation_config",
    "inferenceConfig",
];
/// What such an object calls it.
const LENGTHS_WITHIN: [&str; 3] = ["maxOutputTokens", "max_output_tokens", "maxTokens"];
const ANSWERS_WITHIN: [&str; 2] = ["candidateCount", "candidate_count"];

/// A body, as far as it has passed.
pub(super) enum Words {
    /// Nobody wants to know.
    Unread,
    Plain(Plain),
    Gzip(Box<MultiGzDecoder<Plain>>),
    Deflate(Box<ZlibDecoder<Plain>>),
}

/// A body that is not compressed, or not any more.
pub(super) struct Plain {
    bytes: u64,
    bytes_max: u64,
    said: Said,
}

enum Said {
    /// Nothing has come but blanks.
    Nothing,
    /// Something else, which names nothing.
    Other,
    Json(Box<Skim<10>>),
    /// And what it is where it begins like JSON: one is as easily said to be the other.
    Form(Box<Form<10>>, Box<Said>),
}

impl Words {
    /// Nothing yet, of a request with these headers.
    ///
    /// # Errors
    /// Where it is compressed as nobody here can read.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Fault> {
        let plain = |bytes_max| Plain {
            bytes: 0,
            bytes_max,
            said: Said::of(headers.get(CONTENT_TYPE)),
        };
        Ok(match encoding(headers)?.as_deref() {
            None => Self::Plain(plain(u64::MAX)),
            Some("gzip") => Self::Gzip(Box::new(MultiGzDecoder::new(plain(PLAIN_BYTES_MAX)))),
            Some(_) => Self::Deflate(Box::new(ZlibDecoder::new(plain(PLAIN_BYTES_MAX)))),
        })
    }

    /// How much of it is read at once.
    pub(super) fn step(&self) -> usize {
        match self {
            Self::Unread | Self::Plain(_) => STEP_BYTES,
            Self::Gzip(_) | Self::Deflate(_) => COMPRESSED_STEP_BYTES,
        }
    }

    /// A piece of it passes.
    ///
    /// # Errors
    /// Where it is not compressed as it says, or is too long once it is not.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), Fault> {
        let pushed = match self {
            Self::Unread => Ok(()),
            Self::Plain(plain) => plain.write_all(piece),
            // What was read is there at once.
            Self::Gzip(gzip) => gzip.write_all(piece).and_then(|()| gzip.flush()),
            Self::Deflate(deflate) => deflate.write_all(piece).and_then(|()| deflate.flush()),
        };
        pushed.map_err(|error| {
            if error.kind() == ErrorKind::FileTooLarge {
                let text =
                    format!("a compressed body has at most {PLAIN_BYTES_MAX} bytes in plain");
                return Fault::new(FaultClass::TooLarge, text);
            }
            let text = "the body is not compressed as its `content-encoding` says";
            Fault::new(FaultClass::Invalid, text)
        })
    }

    /// How many bytes it has in plain; `None`: nobody knows.
    pub(super) fn bytes(&self) -> Option<u64> {
        self.plain().map(|plain| plain.bytes)
    }

    /// Whether it is text, whatever it says of itself.
    pub(super) fn is_json(&self) -> bool {
        self.skim().is_some()
    }

    /// The model it names.
    pub(super) fn model(&self) -> Option<String> {
        self.text(MODEL)
    }

    /// How soon the answer is wanted, where it says so.
    pub(super) fn tier(&self) -> Option<ServiceTier> {
        ServiceTier::named(&self.text(TIER)?)
    }

    /// Whether the answer is made after the request is over.
    pub(super) fn is_background(&self) -> bool {
        let skim = self.skim();
        skim.is_some_and(|skim| skim.value(BACKGROUND) == Some(b"true"))
    }

    /// The most tokens that it allows an answer.
    pub(super) fn length(&self) -> Option<u64> {
        let own = LENGTHS.iter().filter_map(|name| self.number(*name));
        let within = SETTINGS
            .iter()
            .filter_map(|name| self.within(*name, &LENGTHS_WITHIN));
        own.chain(within).max()
    }

    /// How many answers it wants.
    pub(super) fn answers(&self) -> u64 {
        let within = SETTINGS
            .iter()
            .filter_map(|name| self.within(*name, &ANSWERS_WITHIN));
        let said = self.number(ANSWERS).into_iter().chain(within).max();
        said.unwrap_or(1).clamp(1, ANSWERS_MAX)
    }

    fn plain(&self) -> Option<&Plain> {
        match self {
            Self::Unread => None,
            Self::Plain(plain) => Some(plain),
            Self::Gzip(gzip) => Some(gzip.get_ref()),
            Self::Deflate(deflate) => Some(deflate.get_ref()),
        }
    }

    fn said(&self) -> Option<&Said> {
        self.plain().map(|plain| &plain.said)
    }

    fn skim(&self) -> Option<&Skim<10>> {
        self.said()?.skim()
    }

    /// What a field of a form is.
    fn field(&self, name: usize) -> Option<&str> {
        match self.said()? {
            Said::Form(form, _) => form.value(name),
            Said::Nothing | Said::Other | Said::Json(_) => None,
        }
    }

    fn text(&self, name: usize) -> Option<String> {
        let field = self.field(name).map(str::to_owned);
        field.or_else(|| self.skim()?.text(name))
    }

    fn number(&self, name: usize) -> Option<u64> {
        let field = self.field(name).and_then(|value| value.parse().ok());
        field.or_else(|| serde_json::from_slice(self.skim()?.value(name)?).ok())
    }

    /// The most that an object says under one of these names.
    fn within(&self, name: usize, names: &[&str]) -> Option<u64> {
        let top = Top::read(self.skim()?.value(name)?).ok()?;
        names.iter().filter_map(|name| top.get(name)).max()
    }
}

impl Said {
    fn of(media: Option<&HeaderValue>) -> Self {
        let form = media.and_then(|media| Form::of(media, NAMES));
        form.map_or(Self::Nothing, |form| {
            Self::Form(Box::new(form), Box::new(Self::Nothing))
        })
    }

    fn skim(&self) -> Option<&Skim<10>> {
        match self {
            Self::Json(skim) => Some(skim),
            Self::Form(_, said) => said.skim(),
            Self::Nothing | Self::Other => None,
        }
    }

    fn push(&mut self, piece: &[u8]) {
        if matches!(self, Self::Nothing) {
            // Some begin with the mark of their encoding.
            let is_blank =
                |byte: &&u8| byte.is_ascii_whitespace() || matches!(byte, 0xef | 0xbb | 0xbf);
            match piece.iter().find(|byte| !is_blank(byte)) {
                None => return,
                Some(b'{' | b'[') => *self = Self::Json(Box::new(Skim::new(NAMES))),
                Some(_) => *self = Self::Other,
            }
        }
        match self {
            Self::Nothing | Self::Other => {}
            Self::Json(skim) => skim.push(piece),
            Self::Form(form, said) => {
                form.push(piece);
                said.push(piece);
            }
        }
    }
}

impl Write for Plain {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.bytes = self.bytes.saturating_add(piece.len() as u64);
        if self.bytes > self.bytes_max {
            return Err(ErrorKind::FileTooLarge.into());
        }
        self.said.push(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How a body is compressed that can be read; `None`: it is not.
fn encoding(headers: &HeaderMap) -> Result<Option<String>, Fault> {
    let values = headers.get_all(CONTENT_ENCODING).iter();
    let values: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
    let said = values.join(",").to_ascii_lowercase();
    let named = said.split(',').map(str::trim);
    let mut named = named.filter(|name| !name.is_empty() && *name != "identity");
    match (named.next(), named.next()) {
        (None, _) => Ok(None),
        (Some("gzip" | "x-gzip"), None) => Ok(Some("gzip".to_owned())),
        (Some("deflate"), None) => Ok(Some("deflate".to_owned())),
        _ => {
            let text = "what is asked of a model is counted, so that it has to be readable here: send it as it is, or \
                        with one `content-encoding`, gzip or deflate";
            Err(Fault::new(FaultClass::MediaType, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            let name = http::HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        });
        pairs.collect()
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn deflate(text: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn read(headers: &HeaderMap, body: &[u8], size: usize) -> Result<Words, Fault> {
        let mut words = Words::of(headers)?;
        for piece in body.chunks(size) {
            words.push(piece)?;
        }
        Ok(words)
    }

    #[test]
    fn a_body_says_the_same_compressed_and_cut_anywhere() {
        let text = br#" {"mod\u0065l":"m","n":2,"max_tokens":9,"service_tier":"flex","background":true,"text":"aaaaaaaaaaaaaaa"}"#;
        for (name, body) in [
            ("identity", text.to_vec()),
            ("gzip", gzip(text)),
            ("x-gzip", [gzip(&text[..20]), gzip(&text[20..])].concat()),
            ("Deflate", deflate(text)),
        ] {
            for size in 1..body.len() {
                let words = read(&headers(&[("content-encoding", name)]), &body, size).unwrap();
                assert_eq!(words.model().as_deref(), Some("m"), "{name} {size}");
                assert_eq!(words.bytes(), Some(text.len() as u64), "{name} {size}");
                assert_eq!((words.length(), words.answers()), (Some(9), 2));
                assert_eq!(words.tier(), Some(ServiceTier::Flex));
                assert!(words.is_background() && words.is_json());
            }
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for names in [
            &["br"][..],
            &["zstd"],
            &["gzip, gzip"],
            &["gzip", "deflate"],
        ] {
            let names: Vec<_> = names
                .iter()
                .map(|name| ("content-encoding", *name))
                .collect();
            let mut all = HeaderMap::new();
            for (name, value) in names {
                all.append(name, HeaderValue::from_static(value));
            }
            let class = Words::of(&all).err().map(|fault| fault.class);
            assert_eq!(class, Some(FaultClass::MediaType), "{all:?}");
        }
        let gzipped = headers(&[("content-encoding", "gzip")]);
        let class = |body: &[u8]| read(&gzipped, body, 4_096).err().map(|fault| fault.class);
        assert_eq!(class(b"{\"model\":\"m\"}"), Some(FaultClass::Invalid));
        let more = usize::try_from(PLAIN_BYTES_MAX).unwrap() + 1;
        let bomb = gzip(&vec![b' '; more]);
        assert_eq!(class(&bomb), Some(FaultClass::TooLarge));
    }

    #[test]
    fn every_dialects_words_for_the_length_of_an_answer_are_read() {
        let of = |text: &str| {
            let words = read(&HeaderMap::new(), text.as_bytes(), 5).unwrap();
            (words.length(), words.answers())
        };
        for (text, expected) in [
            (r#"{"max_output_tokens":7}"#, (Some(7), 1)),
            (
                r#"{"max_tokens":7,"max_completion_tokens":9,"n":3}"#,
                (Some(9), 3),
            ),
            (
                r#"{"generationConfig":{"maxOutputTokens":5,"candidateCount":4}}"#,
                (Some(5), 4),
            ),
            (r#"{"inferenceConfig":{"maxTokens":6}}"#, (Some(6), 1)),
            (r#"{"max_tokens":"many","n":1000000}"#, (None, ANSWERS_MAX)),
            ("[1,2]", (None, 1)),
            ("model", (None, 1)),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    #[test]
    fn a_form_says_it_in_its_fields() {
        let media = headers(&[("content-type", "multipart/form-data; boundary=b")]);
        let form = b"--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n{\"model\":\"no\"}\r\n\
            --b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n\
            --b\r\ncontent-disposition: form-data; name=\"n\"\r\n\r\n2\r\n--b--\r\n";
        let words = read(&media, form, 11).unwrap();
        assert_eq!(words.model().as_deref(), Some("whisper-1"));
        assert_eq!((words.answers(), words.is_json()), (2, false));
        // Though it begins like JSON; and what is JSON is read though it is called a form.
        let words = read(
            &media,
            &[b"{\"model\":\"no\"}\r\n", form.as_slice()].concat(),
            11,
        )
        .unwrap();
        assert_eq!(words.model().as_deref(), Some("whisper-1"));
        let words = read(&media, b" {\"model\":\"m\",\"n\":3}", 2).unwrap();
        assert_eq!(words.model().as_deref(), Some("m"));
        assert_eq!((words.answers(), words.is_json()), (3, true));
    }
}
