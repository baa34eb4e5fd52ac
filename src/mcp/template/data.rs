//! Values of a template: JSON whose numbers stay as they were written.

use std::fmt::Write;
use std::rc::Rc;

use chrono::{DateTime, Utc};
use indexmap::IndexMap;
use serde_json::value::RawValue;

use crate::mcp::content::json::depth;
use crate::mcp::template::RenderError;

/// How deep JSON may be nested: everything below calls itself for what lies within.
const DEPTH_MAX: usize = 160;

/// A value. Clones are cheap.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// There is no such value; it is written as nothing.
    Missing,
    Null,
    Bool(bool),
    /// As it was written.
    Number(Rc<str>),
    Text(Rc<str>),
    List(Rc<Vec<Data>>),
    Map(Rc<IndexMap<String, Data>>),
    Time(DateTime<Utc>),
}

impl Data {
    /// Reads JSON.
    ///
    /// # Errors
    /// It is none, or nested deeper than any template looks.
    pub fn parse(json: &str) -> Result<Self, RenderError> {
        // The parser checks the text, but not how deep it is.
        let checked: &RawValue = serde_json::from_str(json).map_err(|_| RenderError::Data)?;
        if depth(checked.get()) > DEPTH_MAX {
            return Err(RenderError::Data);
        }
        let mut reader = Reader {
            rest: checked.get(),
        };
        reader.value().ok_or(RenderError::Data)
    }

    pub fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    pub fn number(number: impl ToString) -> Self {
        Self::Number(number.to_string().into())
    }

    pub fn list(members: Vec<Self>) -> Self {
        Self::List(Rc::new(members))
    }

    /// What `if` asks: neither nothing, nor false, zero or empty.
    pub fn is_true(&self) -> bool {
        match self {
            Self::Missing | Self::Null => false,
            Self::Bool(value) => *value,
            Self::Number(number) => number.parse::<f64>().is_ok_and(|n| n != 0.0),
            Self::Text(text) => !text.is_empty(),
            Self::List(members) => !members.is_empty(),
            Self::Map(members) => !members.is_empty(),
            Self::Time(_) => true,
        }
    }

    /// The value as it is written outside of JSON.
    pub fn plain(&self) -> String {
        match self {
            Self::Missing => String::new(),
            Self::Text(text) => text.to_string(),
            other => other.json(),
        }
    }

    /// The value as JSON.
    pub fn json(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Missing | Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(number) => out.push_str(number),
            Self::Text(text) => out.push_str(&serde_json::Value::from(&**text).to_string()),
            Self::Time(time) => {
                let _ = write!(out, "\"{}\"", time.to_rfc3339());
            }
            Self::List(members) => {
                out.push('[');
                for (at, member) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    member.write(out);
                }
                out.push(']');
            }
            Self::Map(members) => {
                out.push('{');
                for (at, (name, member)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    out.push_str(&serde_json::Value::from(name.as_str()).to_string());
                    out.push(':');
                    member.write(out);
                }
                out.push('}');
            }
        }
    }

    /// How much a value weighs, for the count of steps.
    pub fn weight(&self) -> usize {
        match self {
            Self::Text(text) | Self::Number(text) => text.len() / 64,
            Self::List(members) => members.iter().map(|m| 1 + m.weight()).sum(),
            Self::Map(members) => {
                let weight = |(name, m): (&String, &Self)| 1 + name.len() / 64 + m.weight();
                members.iter().map(weight).sum()
            }
            _ => 0,
        }
    }

    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(text) | Self::Text(text) => text.trim().parse().ok(),
            Self::Bool(value) => Some(f64::from(u8::from(*value))),
            _ => None,
        }
    }

    /// The value as a whole number, without what stands behind the point.
    pub fn as_integer(&self) -> Option<i128> {
        match self {
            Self::Number(text) | Self::Text(text) => {
                let whole = text.trim().split('.').next().unwrap_or_default();
                let number = self.as_f64().filter(|n| n.abs() < 1e30);
                #[expect(clippy::cast_possible_truncation, reason = "bounded just above")]
                whole
                    .parse()
                    .ok()
                    .or_else(|| number.map(|n| n.trunc() as i128))
            }
            Self::Bool(value) => Some(i128::from(*value)),
            _ => None,
        }
    }
}

/// Reads JSON that is known to be valid and shallow.
struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn value(&mut self) -> Option<Data> {
        self.rest = self.rest.trim_start();
        match self.rest.as_bytes().first()? {
            b'{' => {
                let mut members = IndexMap::new();
                while self.next_member(b'}')? {
                    let name = self.string()?;
                    self.rest = self.rest.trim_start().strip_prefix(':')?;
                    members.insert(name, self.value()?);
                }
                Some(Data::Map(Rc::new(members)))
            }
            b'[' => {
                let mut members = Vec::new();
                while self.next_member(b']')? {
                    members.push(self.value()?);
                }
                Some(Data::List(Rc::new(members)))
            }
            b'"' => self.string().map(|text| Data::Text(text.into())),
            _ => {
                let end = self.rest.find([',', ']', '}', ' ', '\n', '\r', '\t']);
                let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
                self.rest = rest;
                Some(match word {
                    "null" => Data::Null,
                    "true" => Data::Bool(true),
                    "false" => Data::Bool(false),
                    number => Data::Number(number.into()),
                })
            }
        }
    }

    /// Steps over the opening bracket or the comma; whether a member follows.
    fn next_member(&mut self, close: u8) -> Option<bool> {
        self.rest = self.rest.trim_start();
        if self.rest.as_bytes().first()? != &close {
            self.rest = self.rest[1..].trim_start();
        }
        if self.rest.as_bytes().first()? == &close {
            self.rest = &self.rest[1..];
            return Some(false);
        }
        Some(true)
    }

    fn string(&mut self) -> Option<String> {
        self.rest = self.rest.trim_start();
        let mut escaped = false;
        let end = self.rest.bytes().enumerate().skip(1).find(|(_, byte)| {
            if escaped {
                escaped = false;
                return false;
            }
            escaped = *byte == b'\\';
            *byte == b'"'
        });
        let (text, rest) = self.rest.split_at(end?.0 + 1);
        self.rest = rest;
        serde_json::from_str(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::content::json::nested;

    #[test]
    fn json_comes_out_as_it_went_in() {
        for json in [
            r#"{"a":12345678901234567890123,"b":1.10,"c":[1,"x\"y",null,true,{}],"d":[]}"#,
            "1e400",
            "\"\"",
            "[[],[{}]]",
        ] {
            assert_eq!(Data::parse(json).unwrap().json(), json);
        }
        assert_eq!(
            Data::parse(" { \"a\" : [ 1 , 2 ] } ").unwrap().json(),
            r#"{"a":[1,2]}"#
        );
        assert!(Data::parse("{").is_err());
        assert!(Data::parse(&nested(&["["; DEPTH_MAX], "1")).is_ok());
        assert!(Data::parse(&nested(&vec!["["; 100_000], "1")).is_err());
        assert!(Data::parse(&nested(&vec!["{\"a\":"; 100_000], "1")).is_err());
    }
}
