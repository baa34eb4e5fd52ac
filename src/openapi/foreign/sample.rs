//! A schema made of samples: what all of them have in common, and never more than they show.
//!
//! No value of a sample gets into the schema, only types, names and formats that every sample has.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::openapi::foreign::secret::{is_secret_value, is_uuid};

/// Values looked at in one document; what comes after them is left open.
pub const VALUES_MAX: usize = 500_000;
/// Members of one object; an object with more is a map from names to values.
const MEMBERS_MAX: usize = 150;
const DEPTH_MAX: usize = 12;
/// Elements of one list; the first say what the others are.
const ELEMENTS_MAX: usize = 50;
/// Objects with at least this many members may be maps whose names are data.
const MAP_MEMBERS_MIN: usize = 4;

/// A string that stands for a value nobody knows, such as a variable.
pub const UNKNOWN: &str = "\u{0}unknown";

/// How many values may still be looked at.
#[derive(Debug)]
pub struct Patience(pub usize);

impl Default for Patience {
    fn default() -> Self {
        Self(VALUES_MAX)
    }
}

/// What was seen in one place of all samples.
#[derive(Debug, Default, Clone)]
pub struct Shape {
    /// Anything may stand here.
    open: bool,
    null: bool,
    boolean: bool,
    integer: bool,
    number: bool,
    text: Option<Text>,
    list: Option<Box<Self>>,
    object: Option<Members>,
}

#[derive(Debug, Clone)]
struct Text {
    /// What every text seen is.
    format: Option<&'static str>,
}

#[derive(Debug, Default, Clone)]
struct Members {
    /// Objects seen.
    seen: usize,
    /// By name: in how many of them, and what.
    named: IndexMap<String, (usize, Shape)>,
    /// There were more names than are listed.
    open: bool,
}

impl Shape {
    /// Looks at one more sample.
    pub fn add(&mut self, value: &Value, patience: &mut Patience) {
        self.add_at(value, patience, 0);
    }

    fn add_at(&mut self, value: &Value, patience: &mut Patience, depth: usize) {
        if patience.0 == 0 || depth > DEPTH_MAX {
            self.open = true;
            return;
        }
        patience.0 -= 1;
        match value {
            Value::Null => self.null = true,
            Value::Bool(_) => self.boolean = true,
            Value::Number(number) if number.is_f64() => self.number = true,
            Value::Number(_) => self.integer = true,
            Value::String(text) if text == UNKNOWN => self.open = true,
            Value::String(text) => self.text(text),
            Value::Array(elements) => {
                let list = self.list.get_or_insert_default();
                for element in elements.iter().take(ELEMENTS_MAX) {
                    list.add_at(element, patience, depth + 1);
                }
            }
            Value::Object(members) => {
                let object = self.object.get_or_insert_default();
                object.seen += 1;
                for (name, member) in members {
                    if object.named.len() >= MEMBERS_MAX && !object.named.contains_key(name) {
                        object.open = true;
                        continue;
                    }
                    let (seen, shape) = object.named.entry(name.clone()).or_default();
                    *seen += 1;
                    shape.add_at(member, patience, depth + 1);
                }
            }
        }
    }

    fn text(&mut self, text: &str) {
        let format = format(text);
        match &mut self.text {
            None => self.text = Some(Text { format }),
            Some(known) if known.format != format => known.format = None,
            Some(_) => {}
        }
    }

    /// The schema. `strict` makes required what every one of several samples has.
    pub fn schema(&self, strict: bool) -> Value {
        if self.open {
            return json!({});
        }
        let mut types = Vec::new();
        let mut rest = Map::new();
        if let Some(object) = &self.object {
            types.push("object");
            object.write(&mut rest, strict);
        }
        if let Some(list) = &self.list {
            types.push("array");
            rest.insert("items".to_owned(), list.schema(strict));
        }
        if let Some(text) = &self.text {
            types.push("string");
            if let Some(format) = text.format {
                rest.insert("format".to_owned(), format.into());
            }
        }
        match (self.number, self.integer) {
            (true, _) => types.push("number"),
            (false, true) => types.push("integer"),
            (false, false) => {}
        }
        if self.boolean {
            types.push("boolean");
        }
        // Only null was seen: what else it may be is not known.
        if types.is_empty() {
            return json!({});
        }
        if self.null {
            types.push("null");
        }
        let mut schema = match types.as_slice() {
            [one] => json!({"type": one}),
            several => json!({"type": several}),
        };
        for (keyword, value) in rest {
            schema[keyword] = value;
        }
        schema
    }
}

impl Members {
    fn write(&self, schema: &mut Map<String, Value>, strict: bool) {
        if self.open || self.is_map() {
            let mut values = Shape::default();
            for (_, shape) in self.named.values() {
                values.join(shape);
            }
            schema.insert("additionalProperties".to_owned(), values.schema(strict));
            return;
        }
        let mut properties = Map::new();
        let mut required = Vec::new();
        for (name, (seen, shape)) in &self.named {
            properties.insert(name.clone(), shape.schema(strict));
            if strict && self.seen > 1 && *seen == self.seen {
                required.push(Value::from(name.as_str()));
            }
        }
        schema.insert("properties".to_owned(), Value::Object(properties));
        if !required.is_empty() {
            schema.insert("required".to_owned(), Value::Array(required));
        }
    }

    /// Whether its names are data: numbers, ids, hashes, dates.
    fn is_map(&self) -> bool {
        self.named.len() >= MAP_MEMBERS_MIN && self.named.keys().all(|name| is_variable(name))
    }
}

impl Shape {
    fn join(&mut self, other: &Self) {
        self.open |= other.open;
        self.null |= other.null;
        self.boolean |= other.boolean;
        self.integer |= other.integer;
        self.number |= other.number;
        match (&mut self.text, &other.text) {
            (None, Some(text)) => self.text = Some(text.clone()),
            (Some(known), Some(text)) if known.format != text.format => known.format = None,
            _ => {}
        }
        if let Some(list) = &other.list {
            self.list.get_or_insert_default().join(list);
        }
        if let Some(object) = &other.object {
            let own = self.object.get_or_insert_default();
            own.seen += object.seen;
            own.open |= object.open;
            for (name, (seen, shape)) in &object.named {
                let (all, joined) = own.named.entry(name.clone()).or_default();
                *all += seen;
                joined.join(shape);
            }
        }
    }
}

/// A format that one text has beyond doubt.
fn format(text: &str) -> Option<&'static str> {
    if is_uuid(text) {
        Some("uuid")
    } else if chrono::DateTime::parse_from_rfc3339(text).is_ok() {
        Some("date-time")
    } else if text.len() == 10 && chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok() {
        Some("date")
    } else if (text.starts_with("https://") || text.starts_with("http://"))
        && url::Url::parse(text).is_ok()
    {
        Some("uri")
    } else {
        None
    }
}

/// Whether a name or a segment of a path is data: a number, a UUID, a hash, a date, an address of
/// somebody, a token.
pub fn is_variable(text: &str) -> bool {
    if is_mail_address(text) || is_secret_value(text) {
        return true;
    }
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if text.is_empty() || digits == 0 {
        return false;
    }
    let hexadecimal = text.bytes().all(|b| b.is_ascii_hexdigit());
    digits == text.len()
        || is_uuid(text)
        || (hexadecimal && text.len() >= 8)
        || format(text) == Some("date")
}

/// Something before `@`, which may be percent-encoded, and a domain after it.
pub fn is_mail_address(text: &str) -> bool {
    let halves = text.split_once('@').or_else(|| text.split_once("%40"));
    halves.is_some_and(|(who, host)| !who.is_empty() && host.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(samples: &[Value], strict: bool) -> Value {
        let mut shape = Shape::default();
        let mut patience = Patience::default();
        for sample in samples {
            shape.add(sample, &mut patience);
        }
        shape.schema(strict)
    }

    #[test]
    fn several_samples_give_what_they_have_in_common() {
        let samples = [
            json!({"id": 1, "at": "2024-01-01T00:00:00Z", "price": 1, "note": null}),
            json!({"id": 2, "at": "2024-01-02T00:00:00Z", "price": 1.5, "tags": ["a"]}),
        ];
        assert_eq!(
            of(&samples, true),
            json!({
                "type": "object",
                "properties": {
                    "id": {"type": "integer"},
                    "at": {"type": "string", "format": "date-time"},
                    "price": {"type": "number"},
                    "note": {},
                    "tags": {"type": "array", "items": {"type": "string"}},
                },
                "required": ["id", "at", "price"],
            })
        );
        assert_eq!(of(&samples[..1], true).get("required"), None);
    }

    #[test]
    fn formats_and_types_are_dropped_where_samples_differ() {
        assert_eq!(
            of(&[json!("2024-01-01"), json!("soon")], true),
            json!({"type": "string"})
        );
        assert_eq!(
            of(&[json!(1), json!("a")], true),
            json!({"type": ["string", "integer"]})
        );
        assert_eq!(of(&[json!(null)], true), json!({}));
        assert_eq!(
            of(&[json!({"a": UNKNOWN})], true)["properties"]["a"],
            json!({})
        );
        assert_eq!(
            of(&[json!([])], true),
            json!({"type": "array", "items": {}})
        );
    }

    #[test]
    fn names_that_are_data_are_no_properties() {
        let map = json!({"1001": {"a": 1}, "1002": {"a": 2}, "1003": {"b": 1}, "1004": {}});
        let schema = of(&[map], true);
        assert_eq!(schema.get("properties"), None);
        assert_eq!(
            schema["additionalProperties"]["properties"]["a"],
            json!({"type": "integer"})
        );
    }

    #[test]
    fn no_value_of_a_sample_is_in_the_schema() {
        let text = of(&[json!({"password": "hunter2", "n": 4242})], true).to_string();
        assert!(
            !text.contains("hunter2") && !text.contains("4242"),
            "{text}"
        );
    }
}
