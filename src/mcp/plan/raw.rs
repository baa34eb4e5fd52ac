//! A JSON value as it was written. Only its outermost level is ever looked at.

use std::borrow::Cow;

use indexmap::IndexMap;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::mcp::plan::is_deep;

/// JSON text of one value: valid, because a parser cut it out.
#[derive(Clone, Debug)]
pub(super) struct Raw<'a>(Cow<'a, str>);

/// The outermost level of a value.
pub(super) enum Shape<'a> {
    /// A string unescaped, or a number, `true` or `false` as written.
    Scalar(Cow<'a, str>),
    Array(Vec<Raw<'a>>),
    Object(IndexMap<String, Raw<'a>>),
}

impl<'a> Raw<'a> {
    pub(super) fn borrowed(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }

    pub(super) fn owned(text: String) -> Self {
        Self(Cow::Owned(text))
    }

    /// An object of these members, names and JSON texts, in their order.
    pub(super) fn object<'m>(members: impl Iterator<Item = (&'m str, &'m str)>) -> Self {
        let mut text = String::from("{");
        for (name, member) in members {
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&Value::from(name).to_string());
            text.push(':');
            text.push_str(member);
        }
        text.push('}');
        Self::owned(text)
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }

    pub(super) fn is_null(&self) -> bool {
        self.0 == "null"
    }

    /// The name JSON Schema has for its type; an integer is a number.
    pub(super) fn kind(&self) -> &'static str {
        match self.0.as_bytes().first() {
            Some(b'"') => "string",
            Some(b'[') => "array",
            Some(b'{') => "object",
            Some(b't' | b'f') => "boolean",
            Some(b'n') => "null",
            _ => "number",
        }
    }

    pub(super) fn is_text(&self) -> bool {
        self.0.starts_with('"')
    }

    /// For validation only: numbers beyond 64 bits lose digits here.
    pub(super) fn value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or(Value::Null)
    }

    pub(super) fn shape(&self) -> Shape<'_> {
        let parsed = match self.0.as_bytes().first() {
            Some(b'"') => {
                serde_json::from_str(&self.0).map(|text: String| Shape::Scalar(text.into()))
            }
            Some(b'[') => serde_json::from_str::<Vec<&RawValue>>(&self.0).map(|members| {
                Shape::Array(members.iter().map(|m| Raw::borrowed(m.get())).collect())
            }),
            Some(b'{') => {
                serde_json::from_str::<IndexMap<String, &RawValue>>(&self.0).map(|members| {
                    Shape::Object(
                        members
                            .into_iter()
                            .map(|(k, v)| (k, Raw::borrowed(v.get())))
                            .collect(),
                    )
                })
            }
            _ => Ok(Shape::Scalar(Cow::Borrowed(&*self.0))),
        };
        parsed.unwrap_or(Shape::Scalar(Cow::Borrowed(&*self.0)))
    }

    /// A member of an array or object, written as text: JSON where it is not a scalar.
    pub(super) fn plain(&self) -> Cow<'_, str> {
        match self.shape() {
            Shape::Scalar(_) if self.is_null() => Cow::Borrowed(""),
            Shape::Scalar(Cow::Owned(text)) => Cow::Owned(text),
            _ => Cow::Borrowed(&*self.0),
        }
    }

    /// A string that holds a JSON object or array becomes that.
    pub(super) fn unpack(&mut self) -> bool {
        if !self.is_text() {
            return false;
        }
        let Ok(inner) = serde_json::from_str::<String>(&self.0) else {
            return false;
        };
        let inner = inner.trim();
        let packed = inner.starts_with(['{', '['])
            && serde_json::from_str::<&RawValue>(inner).is_ok()
            && !is_deep(inner);
        if packed {
            self.0 = Cow::Owned(inner.to_owned());
        }
        packed
    }
}
