//! Places in a document: JSON pointers (RFC 6901), built only when a finding needs one.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

/// A place on the way down a value. It lives on the stack and costs nothing until it is printed.
#[derive(Clone, Copy)]
pub enum At<'p> {
    Base(&'p str),
    Key(&'p At<'p>, &'p str),
    Index(&'p At<'p>, usize),
}

impl<'p> At<'p> {
    #[must_use]
    pub fn key(&'p self, key: &'p str) -> Self {
        Self::Key(self, key)
    }

    #[must_use]
    pub fn index(&'p self, index: usize) -> Self {
        Self::Index(self, index)
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base(base) => f.write_str(base),
            Self::Key(parent, key) => write!(f, "{parent}/{}", escape(key)),
            Self::Index(parent, index) => write!(f, "{parent}/{index}"),
        }
    }
}

/// One token of a pointer: `~` and `/` escaped (RFC 6901 section 3).
pub fn escape(token: &str) -> Cow<'_, str> {
    if token.contains(['~', '/']) {
        Cow::Owned(token.replace('~', "~0").replace('/', "~1"))
    } else {
        Cow::Borrowed(token)
    }
}

/// The reverse of [`escape`].
pub fn unescape(token: &str) -> Cow<'_, str> {
    if token.contains('~') {
        Cow::Owned(token.replace("~1", "/").replace("~0", "~"))
    } else {
        Cow::Borrowed(token)
    }
}

/// A value and where it stands in the uploaded document.
#[derive(Clone, Debug)]
pub struct Located<'a> {
    pub value: &'a Value,
    pub pointer: String,
}

impl<'a> Located<'a> {
    pub fn root(value: &'a Value) -> Self {
        Self {
            value,
            pointer: String::new(),
        }
    }

    /// The member `key`, if this is an object that has it.
    pub fn get(&self, key: &str) -> Option<Self> {
        let value = self.value.as_object()?.get(key)?;
        Some(Self {
            value,
            pointer: self.pointer_to(key),
        })
    }

    pub fn pointer_to(&self, key: &str) -> String {
        format!("{}/{}", self.pointer, escape(key))
    }

    pub fn object(&self) -> Option<&'a Map<String, Value>> {
        self.value.as_object()
    }

    /// The members in document order; none if this is no object.
    pub fn members(&self) -> impl Iterator<Item = (&'a str, Self)> {
        let pointer = self.pointer.clone();
        let members = self.value.as_object().into_iter().flatten();
        members.map(move |(key, value)| {
            let pointer = format!("{pointer}/{}", escape(key));
            (key.as_str(), Self { value, pointer })
        })
    }

    /// The items in order; none if this is no array.
    pub fn items(&self) -> impl Iterator<Item = Self> {
        let pointer = self.pointer.clone();
        let items = self.value.as_array().into_iter().flatten();
        items.enumerate().map(move |(index, value)| Self {
            value,
            pointer: format!("{pointer}/{index}"),
        })
    }

    /// A text member; numbers and booleans, which YAML makes of unquoted text, are written out.
    pub fn text(&self, key: &str) -> Option<String> {
        text(self.value.get(key)?)
    }

    pub fn flag(&self, key: &str) -> bool {
        is_true(self.value.get(key))
    }
}

/// A scalar as text.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// `true`, also where it was written as text.
pub fn is_true(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Bool(flag)) => *flag,
        Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

/// Follows a pointer, percent-encoded or not, and gives the place with its plain pointer.
pub fn resolve<'a>(from: &Located<'a>, pointer: &str) -> Option<Located<'a>> {
    let mut at = from.clone();
    for token in tokens(pointer)? {
        let (value, name) = step(at.value, token)?;
        at.value = value;
        at.pointer.push('/');
        at.pointer.push_str(&escape(&name));
    }
    Some(at)
}

/// The value a pointer leads to.
pub fn value_at<'a>(from: &'a Value, pointer: &str) -> Option<&'a Value> {
    let next = |value, token| step(value, token).map(|(value, _)| value);
    tokens(pointer)?.try_fold(from, next)
}

/// The tokens of a pointer, of which the empty one has none.
fn tokens(pointer: &str) -> Option<impl Iterator<Item = &str>> {
    let rest = match pointer {
        "" => None,
        _ => Some(pointer.strip_prefix('/')?.split('/')),
    };
    Some(rest.into_iter().flatten())
}

/// What a token names, as it is written or percent-decoded, and that name.
pub fn step<'a, 't>(value: &'a Value, token: &'t str) -> Option<(&'a Value, Cow<'t, str>)> {
    let member = |name: &str| match value {
        Value::Object(members) => members.get(name),
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        _ => None,
    };
    let name = unescape(token);
    if let Some(member) = member(&name) {
        return Some((member, name));
    }
    let decoded = percent_decode_str(token).decode_utf8().ok()?;
    let name = unescape(&decoded).into_owned();
    Some((member(&name)?, name.into()))
}
