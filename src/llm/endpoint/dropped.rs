//! The header that names what could not be passed on: short enough for every proxy on its way, and readable whatever a
//! caller calls its fields.

use std::collections::BTreeMap;

use http::HeaderValue;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::llm::dialect::Dropped;

/// Some proxies take no more than 4 KiB of headers in all.
const BYTES_MAX: usize = 2_000;
/// What says how many more there are.
const MORE_BYTES: usize = ", +18446744073709551615".len();
/// What would not be part of a name for whoever reads the list.
const NO_NAME: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%').add(b'+').add(b',');

/// The fields, once each: those that differ in places of lists only as one, with `*` for these.
pub(super) fn header(dropped: &[Dropped]) -> Option<HeaderValue> {
    let mut fields: BTreeMap<String, &str> = BTreeMap::new();
    for one in dropped {
        let name = everywhere(&one.field);
        let several = fields.get(&name).is_some_and(|known| *known != one.field);
        if several {
            fields.insert(name, "");
        } else {
            fields.entry(name).or_insert(&one.field);
        }
    }
    let names = fields.iter().map(|(name, place)| match *place {
        "" => shown(name),
        place => shown(place),
    });
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    let text = within(&names, BYTES_MAX);
    HeaderValue::from_str(&text)
        .ok()
        .filter(|_| !text.is_empty())
}

/// A field at any place of the lists it is in: `turns[*].name`.
fn everywhere(field: &str) -> String {
    let mut name = String::with_capacity(field.len());
    let mut rest = field;
    while let Some(open) = rest.find('[') {
        let (before, inside) = rest.split_at(open + 1);
        name.push_str(before);
        rest = inside.trim_start_matches(|letter: char| letter.is_ascii_digit());
        let digits = &inside[..inside.len() - rest.len()];
        name.push_str(if rest.starts_with(']') && !digits.is_empty() {
            "*"
        } else {
            digits
        });
    }
    name + rest
}

fn shown(name: &str) -> String {
    if name.is_empty() {
        return "\"\"".to_owned();
    }
    utf8_percent_encode(name, NO_NAME).to_string()
}

/// As many of the names as there is room for, and how many others there are.
fn within(names: &[String], bytes_max: usize) -> String {
    let mut text = String::new();
    let mut more = 0_u64;
    for name in names {
        if text.len() + name.len() + 2 + MORE_BYTES > bytes_max {
            more += 1;
            continue;
        }
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(name);
    }
    if more > 0 {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push('+');
        text.push_str(&more.to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named<T: AsRef<str>>(fields: &[T]) -> Option<String> {
        let dropped = fields.iter().map(|field| {
            let field: &str = field.as_ref();
            Dropped::new(field, "why")
        });
        let dropped: Vec<Dropped> = dropped.collect();
        header(&dropped).map(|header| header.to_str().unwrap().to_owned())
    }

    #[test]
    fn fields_are_named_once_each() {
        let fields = [
            "user",
            "turns[3].name",
            "tools[2].cache",
            "turns[12].name",
            "user",
            "turns[0].parts[1]",
            "tools[2].cache",
            "turns[0].parts[2]",
            "odd[x].y[",
            "odd[].y",
        ];
        assert_eq!(
            named(&fields).unwrap(),
            "odd[].y, odd[x].y[, tools[2].cache, turns[*].name, turns[*].parts[*], user"
        );
        assert_eq!(named::<&str>(&[]), None);
    }

    #[test]
    fn a_name_is_one_word_whatever_is_in_it() {
        for (name, expected) in [
            ("a, b", "a%2C%20b"),
            ("line\nbreak", "line%0Abreak"),
            ("+12", "%2B12"),
            ("größe", "gr%C3%B6%C3%9Fe"),
            ("100%", "100%25"),
            ("\"\"", "%22%22"),
            ("", "\"\""),
        ] {
            assert_eq!(
                named(&[name, "user"])
                    .unwrap()
                    .replace(", ", ";")
                    .replace(";user", ""),
                expected
            );
        }
    }

    #[test]
    fn there_is_room_for_few_of_many() {
        let turns: Vec<String> = (0..1_000).map(|at| format!("turns[{at}].name")).collect();
        assert_eq!(named(&turns).unwrap(), "turns[*].name");
        let mut others: Vec<String> = (0..1_000).map(|at| format!("field_{at:04}")).collect();
        others.push("x".repeat(1 << 20));
        let text = named(&others).unwrap();
        assert!(text.len() <= BYTES_MAX, "{}", text.len());
        let mut words: Vec<&str> = text.split(", ").collect();
        let more: usize = words
            .pop()
            .unwrap()
            .strip_prefix('+')
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(words.len() + more, others.len());
        assert_eq!(words[..2], ["field_0000", "field_0001"]);
        assert!(words.len() > 100);
        let long = ["x".repeat(1 << 20)];
        assert_eq!(named(&long).unwrap(), "+1");
    }
}
