//! Reads the fields of a JSON object one by one, naming the place of whatever is wrong, and keeps what nobody
//! asked for.

use serde_json::{Map, Value};

use crate::llm::fault::Fault;

/// An object whose fields are taken out by name.
pub(crate) struct Fields {
    /// Where the object is, for messages: `messages[0].content[1]`; empty at the root.
    place: String,
    map: Map<String, Value>,
}

impl Fields {
    /// The fields of what has to be an object.
    pub(crate) fn of(value: Value, place: impl Into<String>) -> Result<Self, Fault> {
        let place = place.into();
        match value {
            Value::Object(map) => Ok(Self { place, map }),
            other => Err(wrong(&place, "an object", &other)),
        }
    }

    /// The place of a field.
    pub(crate) fn at(&self, name: &str) -> String {
        if self.place.is_empty() {
            return name.to_owned();
        }
        format!("{}.{name}", self.place)
    }

    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Whether the field is there and not null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.map.get(name).is_some_and(|value| !value.is_null())
    }

    /// Looks at a text without taking it.
    pub(crate) fn peek(&self, name: &str) -> Option<&str> {
        self.map.get(name).and_then(Value::as_str)
    }

    /// Takes a field; null is as good as absent.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.map.shift_remove(name).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, Fault> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(&self.at(name), "a string", &other)),
        }
    }

    /// A text that has to be there.
    pub(crate) fn need_text(&mut self, name: &str) -> Result<String, Fault> {
        self.text(name)?.ok_or_else(|| self.missing(name))
    }

    pub(crate) fn flag(&mut self, name: &str) -> Result<Option<bool>, Fault> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(wrong(&self.at(name), "true or false", &other)),
        }
    }

    pub(crate) fn count(&mut self, name: &str) -> Result<Option<u64>, Fault> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let count = value.as_u64().or_else(|| whole(&value));
        count
            .map(Some)
            .ok_or_else(|| wrong(&self.at(name), "a whole number from 0", &value))
    }

    pub(crate) fn integer(&mut self, name: &str) -> Result<Option<i64>, Fault> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let number = value.as_i64();
        number
            .map(Some)
            .ok_or_else(|| wrong(&self.at(name), "a whole number", &value))
    }

    pub(crate) fn number(&mut self, name: &str) -> Result<Option<f64>, Fault> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let number = value.as_f64();
        number
            .map(Some)
            .ok_or_else(|| wrong(&self.at(name), "a number", &value))
    }

    /// A list; empty where it is absent.
    pub(crate) fn list(&mut self, name: &str) -> Result<Vec<Value>, Fault> {
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(list)) => Ok(list),
            Some(other) => Err(wrong(&self.at(name), "a list", &other)),
        }
    }

    /// An object within.
    pub(crate) fn object(&mut self, name: &str) -> Result<Option<Self>, Fault> {
        let place = self.at(name);
        self.take(name)
            .map(|value| Self::of(value, place))
            .transpose()
    }

    pub(crate) fn missing(&self, name: &str) -> Fault {
        let place = self.at(name);
        Fault::invalid(&place, format!("`{place}` is missing"))
    }

    /// What nobody took.
    pub(crate) fn rest(self) -> Map<String, Value> {
        self.map
    }
}

/// A value of the wrong kind.
pub(crate) fn wrong(place: &str, wanted: &str, found: &Value) -> Fault {
    let kind = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    let name = if place.is_empty() { "the body" } else { place };
    Fault::invalid(place, format!("`{name}` is {kind}; it has to be {wanted}"))
}

/// A whole number that was written with a fraction of zero.
fn whole(value: &Value) -> Option<u64> {
    let number = value.as_f64()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is whole and within 2^53"
    )]
    (number.fract() == 0.0 && (0.0..9e15).contains(&number)).then_some(number as u64)
}

/// Puts a field in where there is something to say.
pub(crate) fn put<T: Into<Value>>(map: &mut Map<String, Value>, name: &str, value: Option<T>) {
    if let Some(value) = value {
        map.insert(name.to_owned(), value.into());
    }
}
