//! Where a template writes, and how a value has to look there so that it stays a value.

use std::borrow::Cow;

use crate::mcp::template::data::Data;
use crate::mcp::tool::text::{clean, is_clean};
use crate::types::essence;

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A value that is encoded as a whole afterwards.
    Plain,
    /// Text for people and models, to which the template adds nothing that does not show.
    Shown,
    Json,
    /// `a=b&c=d`
    Form,
    Xml,
}

impl Place {
    /// The place a body of that media type is.
    pub fn of_media(media_type: &str) -> Self {
        let essence = essence(media_type);
        if essence.ends_with("json") {
            Self::Json
        } else if essence == "application/x-www-form-urlencoded" {
            Self::Form
        } else if essence.ends_with("xml") || essence == "text/html" {
            Self::Xml
        } else {
            Self::Plain
        }
    }
}

/// The text written so far, and what it means for what comes next.
#[derive(Debug)]
pub struct Writer {
    place: Place,
    pub out: String,
    /// Within a string of JSON.
    quoted: bool,
    /// Within a string that stands in that string, such as an argument of a GraphQL query.
    inner: bool,
    escaped: bool,
}

impl Writer {
    pub fn new(place: Place) -> Self {
        Self {
            place,
            out: String::new(),
            quoted: false,
            inner: false,
            escaped: false,
        }
    }

    /// Writes what the template itself says.
    pub fn literal(&mut self, text: &str) {
        if self.place == Place::Json {
            for c in text.chars() {
                self.follow(c);
            }
        }
        self.out.push_str(&self.said(text));
    }

    /// What the template itself says, as it may be written here.
    pub fn said<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.place == Place::Shown && !is_clean(text) {
            return clean(text).into();
        }
        text.into()
    }

    fn follow(&mut self, c: char) {
        match (self.escaped, c) {
            (true, c) => {
                self.escaped = false;
                self.inner ^= c == '"';
            }
            (false, '\\') => self.escaped = self.quoted,
            (false, '"') => {
                self.quoted = !self.quoted;
                self.inner = false;
            }
            _ => {}
        }
    }

    /// Writes a value so that it cannot leave its place.
    pub fn value(&mut self, data: &Data) {
        match self.place {
            Place::Plain | Place::Shown => self.out.push_str(&data.plain()),
            Place::Form => {
                let plain = data.plain();
                self.out
                    .extend(url::form_urlencoded::byte_serialize(plain.as_bytes()));
            }
            Place::Xml => {
                for c in data.plain().chars() {
                    match c {
                        '&' => self.out.push_str("&amp;"),
                        '<' => self.out.push_str("&lt;"),
                        '>' => self.out.push_str("&gt;"),
                        '"' => self.out.push_str("&quot;"),
                        '\'' => self.out.push_str("&#39;"),
                        c => self.out.push(c),
                    }
                }
            }
            Place::Json if self.quoted => {
                let mut text = within_string(&data.plain());
                if self.inner {
                    text = within_string(&text);
                }
                // A literal backslash before the value has nothing left to escape.
                if self.escaped {
                    self.out.push('\\');
                    self.escaped = false;
                }
                self.out.push_str(&text);
            }
            Place::Json => self.out.push_str(&as_json(data)),
        }
    }
}

/// A text as it stands between the quotes of JSON.
fn within_string(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// A value of JSON. A text that is a whole value is that value, such as what `toJson` gives.
fn as_json(data: &Data) -> String {
    if let Data::Text(text) = data {
        let whole = Data::parse(text).is_ok();
        if whole {
            return text.trim().to_owned();
        }
    }
    data.json()
}
