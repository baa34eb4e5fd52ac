//! Looks at the top of a JSON object, and replaces single fields of it, without touching any other byte.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::{self, Write};
use std::ops::Range;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::llm::fault::{Fault, FaultClass};

/// So many names are told apart by looking at each.
const FEW: usize = 16;

/// The fields of an object, each as the bytes it was written with.
#[derive(Debug)]
pub struct Top<'a> {
    text: &'a str,
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
}

/// What a field is to be, and what is done where it is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit<'a> {
    pub field: &'a str,
    /// JSON text.
    pub value: String,
    /// Added at the end where the object has no such field.
    pub add: bool,
}

struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// A key, borrowed unless it is escaped.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reads)
    }
}

struct Reads;

impl<'de> Visitor<'de> for Reads {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::with_capacity(FEW);
        let mut names = HashSet::new();
        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
            if fields.len() == FEW {
                names.extend(fields.iter().map(|(name, _)| name.clone()));
            }
            let is_known = if fields.len() < FEW {
                fields.iter().any(|(known, _)| *known == key)
            } else {
                !names.insert(key.clone())
            };
            if is_known {
                let text = format_args!("`{key}` stands there twice");
                return Err(de::Error::custom(text));
            }
            fields.push((key, map.next_value::<&'de RawValue>()?));
        }
        Ok(Fields(fields))
    }
}

impl<'a> Top<'a> {
    /// The top of a body. All of it is read, so that what passes is JSON.
    ///
    /// # Errors
    /// Where it is no JSON object, or a field stands there twice: two readers would not agree on which one
    /// counts.
    pub fn read(body: &'a [u8]) -> Result<Self, Fault> {
        let text = std::str::from_utf8(body)
            .map_err(|_| Fault::new(FaultClass::Invalid, "the body has to be JSON, in UTF-8"))?;
        let Fields(fields) = serde_json::from_str(text).map_err(|error| {
            Fault::new(
                FaultClass::Invalid,
                format!("the body has to be a JSON object: {error}"),
            )
        })?;
        Ok(Self { text, fields })
    }

    /// A field as it was written.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        let field = self.fields.iter().find(|(key, _)| key == name);
        field.map(|(_, value)| value.get())
    }

    /// A field, where it is of that kind.
    pub fn get<T: Deserialize<'a>>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.raw(name)?).ok()
    }

    /// A text, where there is one that is not null.
    ///
    /// # Errors
    /// Where the field is of another kind.
    pub fn text(&self, name: &str) -> Result<Option<String>, Fault> {
        let Some(raw) = self.raw(name).filter(|raw| *raw != "null") else {
            return Ok(None);
        };
        let text = serde_json::from_str(raw).ok();
        text.map(Some)
            .ok_or_else(|| Fault::invalid(name, format!("`{name}` has to be a text")))
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(name, _)| name.as_ref())
    }

    /// Whether it has no field at all.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Where a field's value stands among the bytes.
    pub fn place(&self, name: &str) -> Option<Range<usize>> {
        let raw = self.raw(name)?;
        let from = raw.as_ptr().addr() - self.text.as_ptr().addr();
        Some(from..from + raw.len())
    }

    /// The body with these fields changed and every other byte as it was.
    pub fn edited(&self, edits: &[Edit<'_>]) -> Vec<u8> {
        let places = edits.iter().map(|edit| (edit, self.place(edit.field)));
        edited_at(self.text.as_bytes(), self.is_empty(), places)
    }
}

/// A JSON object with some fields changed, of each of which is known where its value is: the same bytes otherwise.
/// `is_empty`: it has no field at all.
pub fn edited_at<'e>(
    text: &[u8],
    is_empty: bool,
    edits: impl IntoIterator<Item = (&'e Edit<'e>, Option<Range<usize>>)>,
) -> Vec<u8> {
    let mut places: Vec<(Range<usize>, &str)> = Vec::with_capacity(2);
    let mut added = String::new();
    for (edit, place) in edits {
        match place {
            Some(place) => places.push((place, &edit.value)),
            None if edit.add => {
                let comma = if is_empty && added.is_empty() {
                    ""
                } else {
                    ","
                };
                let name = serde_json::Value::from(edit.field);
                let _ = write!(added, "{comma}{name}:{}", edit.value);
            }
            None => {}
        }
    }
    places.sort_by_key(|(place, _)| place.start);
    let grown: usize = places.iter().map(|(_, value)| value.len()).sum();
    let mut out = Vec::with_capacity(text.len() + grown + added.len());
    let mut from = 0;
    for (place, value) in places {
        out.extend_from_slice(&text[from..place.start]);
        out.extend_from_slice(value.as_bytes());
        from = place.end;
    }
    let end = memchr::memrchr(b'}', text).unwrap_or(text.len());
    out.extend_from_slice(&text[from..end]);
    out.extend_from_slice(added.as_bytes());
    out.extend_from_slice(&text[end..]);
    out
}

impl<'a> Edit<'a> {
    /// Replaces a text.
    pub fn text(field: &'a str, text: &str) -> Self {
        Self {
            field,
            value: serde_json::Value::from(text).to_string(),
            add: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn edited(body: &str, edits: &[Edit<'_>]) -> String {
        String::from_utf8(Top::read(body.as_bytes()).unwrap().edited(edits)).unwrap()
    }

    #[test]
    fn a_text_is_told_from_what_is_none() {
        let top = Top::read(br#"{"a":"x","b":null,"c":5,"d":["x"]}"#).unwrap();
        assert_eq!(top.text("a"), Ok(Some("x".to_owned())));
        assert_eq!((top.text("b"), top.text("e")), (Ok(None), Ok(None)));
        for name in ["c", "d"] {
            let fault = top.text(name).unwrap_err();
            assert_eq!(fault.field.as_deref(), Some(name));
            assert_eq!(fault.message, format!("`{name}` has to be a text"));
        }
    }

    #[test]
    fn only_the_named_fields_change() {
        let model = [Edit::text("model", "b\"c")];
        for (body, expected) in [
            (
                " {\"a\" : 1.0e+2,\n\"model\" :\t\"x\" , \"b\":{\"model\":\"y\"} }\n",
                " {\"a\" : 1.0e+2,\n\"model\" :\t\"b\\\"c\" , \"b\":{\"model\":\"y\"} }\n",
            ),
            ("{}", "{\"model\":\"b\\\"c\"}"),
            ("{\"a\":\"}\"} ", "{\"a\":\"}\",\"model\":\"b\\\"c\"} "),
            // The name may be escaped.
            ("{\"mod\\u0065l\":null}", "{\"mod\\u0065l\":\"b\\\"c\"}"),
        ] {
            assert_eq!(edited(body, &model), expected);
        }
        let both = [
            Edit {
                field: "stream_options",
                value: "{}".into(),
                add: true,
            },
            Edit::text("model", "m"),
            Edit {
                field: "absent",
                value: "1".into(),
                add: false,
            },
        ];
        assert_eq!(
            edited("{\"model\":1,\"stream_options\":null}", &both),
            "{\"model\":\"m\",\"stream_options\":{}}"
        );
        assert_eq!(
            edited("{}", &both),
            "{\"stream_options\":{},\"model\":\"m\"}"
        );
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for body in [
            "",
            "[]",
            "{\"a\":1,\"a\":2}",
            "{\"a\":1,\"\\u0061\":2}",
            "{\"a\":1}}",
            "{\"a\":01}",
        ] {
            assert!(Top::read(body.as_bytes()).is_err(), "{body}");
        }
        assert!(Top::read(b"{\"a\":\"\xff\"}").is_err());
        // Also among many fields, wherever the first of the two is.
        let many: Vec<String> = (0..40).map(|place| format!("\"f{place}\":1")).collect();
        let many = many.join(",");
        assert!(Top::read(format!("{{{many}}}").as_bytes()).is_ok());
        for twice in ["f0", "f15", "f16", "f39", "\\u00660"] {
            let body = format!("{{{many},\"{twice}\":1}}");
            assert!(Top::read(body.as_bytes()).is_err(), "{twice}");
        }
    }

    proptest! {
        #[test]
        fn editing_equals_setting_the_field(fields in proptest::collection::btree_map("[a-d\"é]{1,3}", "[a-z}\\\\\"]{0,4}", 0..5), name in "[a-d\"é]{1,3}") {
            let mut value = Value::Object(fields.into_iter().map(|(k, v)| (k, v.into())).collect());
            let text = value.to_string();
            let after = edited(&text, &[Edit::text(&name, "new")]);
            value[&name] = "new".into();
            prop_assert_eq!(serde_json::from_str::<Value>(&after).unwrap(), value);
        }
    }
}
