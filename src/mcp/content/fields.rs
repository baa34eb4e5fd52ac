//! Only some members of an answer: which ones, and the answer without the others.
//!
//! A field is a path of names with dots, `*` standing for every element or member, or a JSON pointer
//! (RFC 6901). A name applied to an array means that member of each of its elements.

use std::fmt;

use serde_json::Value;

use crate::mcp::content::json::{DEPTH_MAX, elements, member, members, unquoted};
use crate::mcp::provider::Arguments;
use crate::openapi::pointer::unescape;

/// How many fields may be named, and how long a field may be.
pub const FIELDS_MAX: usize = 64;
pub const FIELD_BYTES_MAX: usize = 256;
/// How many names a path may have.
const STEPS_MAX: usize = 32;
/// How many of an answer's names are told where a field names none of them.
const NAMES_MAX: usize = 20;

/// Why a field cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    #[error("at most {FIELDS_MAX} fields can be named")]
    TooMany,
    #[error("the field \"{0}\" has an empty name; write it like \"items.*.id\" or \"/items/0/id\"")]
    Empty(String),
    #[error("a field has at most {FIELD_BYTES_MAX} bytes and {STEPS_MAX} names")]
    TooLong,
}

/// Which members are kept. None at all: everything.
///
/// The paths are joined where they begin alike; the first place is where all of them begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<Place>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Place {
    /// A path ends here: all of the value is kept.
    whole: bool,
    /// Where a step leads.
    below: Vec<(Step, usize)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Every,
    Name(String),
    /// A name of a pointer, which in an array counts elements.
    Exact(String),
}

impl Fields {
    /// Reads a list of fields.
    ///
    /// # Errors
    /// The rule that was broken, in words for whoever wrote the field.
    pub fn parse<T: AsRef<str>>(fields: &[T]) -> Result<Self, FieldError> {
        if fields.len() > FIELDS_MAX {
            return Err(FieldError::TooMany);
        }
        let mut places = Vec::new();
        for field in fields {
            if places.is_empty() {
                places.push(Place::default());
            }
            let mut at = 0;
            for step in steps(field.as_ref())? {
                let known = places[at].below.iter().find(|(known, _)| *known == step);
                at = match known {
                    Some((_, place)) => *place,
                    None => {
                        let new = places.len();
                        places.push(Place::default());
                        places[at].below.push((step, new));
                        new
                    }
                };
            }
            places[at].whole = true;
        }
        Ok(Self(places))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `text`, which is JSON, with only these members, in its own order; and the fields that name
    /// nothing in it.
    pub fn project(&self, text: &str) -> Projected {
        let mut projection = Projection {
            places: &self.0,
            found: vec![false; self.0.len()],
            depth: 0,
            out: String::with_capacity(text.len().min(4_096)),
        };
        projection.value(&[Standing::at(0)], text);
        let mut missing = Vec::new();
        projection.missing(0, &mut Vec::new(), &mut missing);
        Projected {
            text: projection.out,
            missing,
        }
    }
}

/// A place a value stands at.
#[derive(Clone, Copy)]
struct Standing {
    place: usize,
    /// Only the names below count: `items.id` has come to an element of `items`.
    names_only: bool,
}

impl Standing {
    fn at(place: usize) -> Self {
        Self {
            place,
            names_only: false,
        }
    }
}

/// A projection being written.
struct Projection<'f> {
    places: &'f [Place],
    found: Vec<bool>,
    /// How deep the value lies that is written now. What lies deeper than [`DEPTH_MAX`] is kept or
    /// emptied as a whole.
    depth: usize,
    out: String,
}

impl<'f> Projection<'f> {
    fn value(&mut self, standing: &[Standing], value: &str) {
        for at in standing {
            self.found[at.place] = true;
        }
        if standing.iter().any(|at| self.places[at.place].whole) {
            self.out.push_str(value);
            return;
        }
        let within = self.depth < DEPTH_MAX;
        self.depth += 1;
        match value.as_bytes().first() {
            Some(b'{') if within => self.object(standing, value),
            Some(b'[') if within => self.array(standing, value),
            Some(b'{') => self.out.push_str("{}"),
            Some(b'[') => self.out.push_str("[]"),
            _ => self.out.push_str("null"),
        }
        self.depth -= 1;
    }

    fn object(&mut self, standing: &[Standing], value: &str) {
        self.out.push('{');
        let start = self.out.len();
        for (key, member) in members(value) {
            let name = unquoted(key);
            let below = self.below(standing, |at, step| match step {
                Step::Every => !at.names_only,
                Step::Name(wanted) => *wanted == name,
                Step::Exact(wanted) => !at.names_only && *wanted == name,
            });
            if !self.keeps(&below, member) {
                continue;
            }
            if self.out.len() > start {
                self.out.push(',');
            }
            self.out.push_str(key);
            self.out.push(':');
            self.value(&below, member);
        }
        self.out.push('}');
    }

    fn array(&mut self, standing: &[Standing], value: &str) {
        // A name means that member of each element.
        let named = standing.iter().filter(|at| {
            let below = &self.places[at.place].below;
            below.iter().any(|(step, _)| matches!(step, Step::Name(_)))
        });
        let named: Vec<Standing> = named
            .map(|at| Standing {
                names_only: true,
                ..*at
            })
            .collect();
        self.out.push('[');
        let start = self.out.len();
        for (index, element) in elements(value).enumerate() {
            let mut below = self.below(standing, |at, step| match step {
                Step::Every => !at.names_only,
                Step::Name(_) => false,
                Step::Exact(wanted) => !at.names_only && wanted.parse() == Ok(index),
            });
            below.extend_from_slice(&named);
            if !self.keeps(&below, element) {
                continue;
            }
            if self.out.len() > start {
                self.out.push(',');
            }
            self.value(&below, element);
        }
        self.out.push(']');
    }

    fn below(
        &self,
        standing: &[Standing],
        matches: impl Fn(&Standing, &Step) -> bool,
    ) -> Vec<Standing> {
        let steps = standing
            .iter()
            .flat_map(|at| self.places[at.place].below.iter().map(move |to| (at, to)));
        steps
            .filter(|(at, (step, _))| matches(at, step))
            .map(|(_, (_, place))| Standing::at(*place))
            .collect()
    }

    /// Whether anything can be kept of a value: a path that goes on ends at a value without members.
    fn keeps(&self, standing: &[Standing], value: &str) -> bool {
        let whole = standing.iter().any(|at| self.places[at.place].whole);
        whole || (!standing.is_empty() && value.starts_with(['{', '[']))
    }

    fn missing(&self, place: usize, path: &mut Vec<&'f Step>, out: &mut Vec<String>) {
        let places = self.places;
        let Some(place) = places.get(place).filter(|place| !place.whole) else {
            return;
        };
        for (step, below) in &place.below {
            path.push(step);
            if self.found[*below] {
                self.missing(*below, path, out);
            } else {
                let names: Vec<String> = path.iter().map(ToString::to_string).collect();
                out.push(names.join("."));
            }
            path.pop();
        }
    }
}

/// An answer with only some of its members.
#[derive(Debug, PartialEq, Eq)]
pub struct Projected {
    pub text: String,
    /// Fields that name nothing in the answer.
    pub missing: Vec<String>,
}

impl Projected {
    /// What is told about fields that name nothing: they, and the names there are.
    pub fn note(&self, whole: &str) -> Option<String> {
        if self.missing.is_empty() {
            return None;
        }
        let missing: Vec<String> = self.missing.iter().map(|f| format!("`{f}`")).collect();
        let object = if whole.starts_with('[') {
            elements(whole).next().unwrap_or("{}")
        } else {
            whole
        };
        let names: Vec<String> = members(object)
            .take(NAMES_MAX)
            .map(|(name, _)| unquoted(name).into_owned())
            .collect();
        let there = if names.is_empty() {
            String::new()
        } else {
            format!(" Its members are: {}.", names.join(", "))
        };
        Some(format!(
            "[The answer has no {}.{there}]",
            missing.join(", ")
        ))
    }
}

/// The fields a call asks for in its reserved argument: a list of texts. Anything else asks for all.
pub fn asked(argument: Option<&str>, arguments: &Arguments) -> Result<Fields, FieldError> {
    let value = argument
        .zip(arguments.as_deref())
        .and_then(|(name, arguments)| member(arguments.get(), name));
    let value = value.and_then(|text| serde_json::from_str::<Value>(text).ok());
    let listed = match value {
        // A client that writes a list as text.
        Some(Value::String(text)) => {
            serde_json::from_str(&text).unwrap_or_else(|_| vec![text.clone()])
        }
        Some(Value::Array(members)) => members
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    };
    Fields::parse(&listed)
}

fn steps(field: &str) -> Result<Vec<Step>, FieldError> {
    if field.len() > FIELD_BYTES_MAX {
        return Err(FieldError::TooLong);
    }
    let steps: Vec<Step> = match field.strip_prefix('/') {
        Some(pointer) => pointer
            .split('/')
            .map(|name| match name {
                "*" => Step::Every,
                name => Step::Exact(unescape(name).into_owned()),
            })
            .collect(),
        None => {
            let path = field.strip_prefix("$.").unwrap_or(field);
            // `items[].id`, `items[*].id` and `items.*.id` mean the same.
            let path = path.replace("[*]", ".*").replace("[]", ".*");
            let path = path.strip_prefix('.').unwrap_or(&path);
            let names = path.split('.');
            names
                .map(|name| match name {
                    "*" => Step::Every,
                    name => Step::Name(name.to_owned()),
                })
                .collect()
        }
    };
    if steps.len() > STEPS_MAX {
        return Err(FieldError::TooLong);
    }
    let empty = |step: &Step| matches!(step, Step::Name(name) if name.is_empty());
    if steps.iter().any(empty) {
        return Err(FieldError::Empty(field.to_owned()));
    }
    Ok(steps)
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Every => "*",
            Self::Name(name) | Self::Exact(name) => name,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mcp::content::json::{checked, nested};

    const LIST: &str = r#"{"total": 2.50, "items":[{"id":12345678901234567890123,"owner":{"name":"a","x":1},
        "tags":["t","u"]},{"id":2,"owner":null,"tags":[]}],"a":{"b.c":{"d/e":[10,20,30]}}}"#;

    fn project(fields: &[&str], text: &str) -> (String, Vec<String>) {
        let projected = Fields::parse(fields).unwrap().project(text);
        assert!(serde_json::from_str::<Value>(&projected.text).is_ok());
        (projected.text, projected.missing)
    }

    #[test]
    fn paths_and_pointers_keep_what_they_name() {
        let big = "12345678901234567890123";
        for (fields, expected) in [
            (&["total"][..], r#"{"total":2.50}"#.to_owned()),
            (
                &["items.*.id"],
                format!(r#"{{"items":[{{"id":{big}}},{{"id":2}}]}}"#),
            ),
            (
                &["items.id"],
                format!(r#"{{"items":[{{"id":{big}}},{{"id":2}}]}}"#),
            ),
            (
                &["items[].id", "total"],
                format!(r#"{{"total":2.50,"items":[{{"id":{big}}},{{"id":2}}]}}"#),
            ),
            (
                &["items.*.owner.name"],
                r#"{"items":[{"owner":{"name":"a"}},{}]}"#.to_owned(),
            ),
            (
                &["/a/b.c/d~1e/1"],
                r#"{"a":{"b.c":{"d/e":[20]}}}"#.to_owned(),
            ),
            (&["/items/1/id"], r#"{"items":[{"id":2}]}"#.to_owned()),
            (
                &["a", "a.b"],
                r#"{"a":{"b.c":{"d/e":[10,20,30]}}}"#.to_owned(),
            ),
            (
                &["items.*.tags", "items.id"],
                format!(r#"{{"items":[{{"id":{big},"tags":["t","u"]}},{{"id":2,"tags":[]}}]}}"#),
            ),
        ] {
            assert_eq!(project(fields, LIST), (expected, vec![]), "{fields:?}");
        }
        assert_eq!(
            project(&["id"], r#"[{"id":1,"x":2},{"id":3}]"#).0,
            r#"[{"id":1},{"id":3}]"#
        );
        assert_eq!(project(&["a"], "5").0, "null");
    }

    #[test]
    fn a_field_that_names_nothing_is_told_with_the_names_there_are() {
        let projected = Fields::parse(&["nmae", "items.*.idd", "total"])
            .unwrap()
            .project(LIST);
        assert_eq!(projected.missing, ["nmae", "items.*.idd"]);
        assert_eq!(projected.text, r#"{"total":2.50,"items":[{},{}]}"#);
        let note = projected.note(LIST).unwrap();
        assert!(
            note.contains("`nmae`") && note.contains("total, items, a"),
            "{note}"
        );
    }

    #[test]
    fn what_lies_deep_is_kept_or_emptied_as_a_whole() {
        let project = |field: &str, text: &str| Fields::parse(&[field]).unwrap().project(text).text;
        let list = nested(&vec!["["; 20_000], "1");
        let deep = format!("{{\"a\":{list},\"b\":1}}");
        assert_eq!(project("a", &deep), format!("{{\"a\":{list}}}"));
        let emptied = format!("{{\"a\":{}}}", nested(&["["; DEPTH_MAX], ""));
        assert_eq!(project("a.b", &deep), emptied);
        let every = format!("a{}", ".*".repeat(STEPS_MAX - 1));
        assert_eq!(project(&every, &deep).matches('[').count(), 20_000);
    }

    /// Containers in containers, a few thousand deep.
    fn deep() -> impl Strategy<Value = String> {
        let run = (prop_oneof![Just("["), Just("{\"a\":")], 1_usize..10_000);
        prop::collection::vec(run, 1..4).prop_map(|runs| {
            let containers: Vec<&str> = runs
                .into_iter()
                .flat_map(|(open, count)| std::iter::repeat_n(open, count))
                .collect();
            nested(&containers, "{\"a\":[1,{\"b\":2}]}")
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn any_depth_is_projected(
            text in deep(),
            fields in prop::collection::vec("[ab*](\\.[ab*]){0,20}|(/[a0*]){1,20}", 1..4),
        ) {
            let projected = Fields::parse(&fields).unwrap().project(&text);
            prop_assert!(checked(&projected.text).is_some());
            prop_assert!(projected.text.len() <= text.len());
        }
    }

    #[test]
    fn a_field_has_a_rule() {
        assert!(matches!(
            Fields::parse(&["a..b"]),
            Err(FieldError::Empty(_))
        ));
        assert!(matches!(Fields::parse(&[""]), Err(FieldError::Empty(_))));
        assert_eq!(Fields::parse(&["x"; 65]), Err(FieldError::TooMany));
        assert_eq!(Fields::parse(&["x".repeat(257)]), Err(FieldError::TooLong));
        assert!(Fields::parse::<&str>(&[]).unwrap().is_empty());
    }
}
