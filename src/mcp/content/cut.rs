//! An answer that is larger than its budget, cut where that hurts least: arrays are shortened from
//! the end, long strings are shortened, and what lies deep is emptied last. What is left is JSON of
//! the same shape, every number and name as the API wrote it.

use std::borrow::Cow;
use std::fmt::Write;

use indexmap::IndexMap;

use crate::mcp::content::json::{DEPTH_MAX, Node, TreeLimits, unquoted};

const NODES_MAX: usize = 400_000;
/// How many places are named one by one.
const PLACES_MAX: usize = 8;

/// JSON within a budget, and what is not in it.
#[derive(Debug)]
pub struct Cut {
    pub text: String,
    /// By pointer (RFC 6901), with `*` for any element of an array.
    pub places: IndexMap<String, Place>,
}

/// What was cut at a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub what: What,
    /// Of the first such place.
    pub shown: usize,
    pub of: usize,
    /// How many places there are.
    pub places: usize,
    /// It lies in an array.
    pub in_array: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Elements,
    Members,
    Characters,
}

/// Cuts `text`, which is JSON, to `bytes_max`.
pub fn cut(text: &str, bytes_max: usize) -> Cut {
    let node = Node::read(
        text,
        TreeLimits {
            array_bytes_max: bytes_max.saturating_mul(2),
            nodes_max: NODES_MAX,
            depth_max: DEPTH_MAX,
        },
    );
    let limits = best(&node, bytes_max);
    let mut writer = Writer::new(limits, bytes_max);
    writer.places = Some(IndexMap::new());
    let mut pointer = String::new();
    writer.node(&node, At::root(), &mut pointer);
    if writer.over {
        let nothing = match &node {
            Node::Array(..) => "[]",
            Node::Object(..) => "{}",
            Node::Text(_) => "\"\"",
            Node::Leaf(_) => "null",
        };
        let (what, of) = match &node {
            Node::Array(_, of) => (What::Elements, *of),
            Node::Object(_, of) => (What::Members, *of),
            Node::Text(text) | Node::Leaf(text) => (What::Characters, text.len()),
        };
        let place = Place {
            what,
            shown: 0,
            of,
            places: 1,
            in_array: false,
        };
        return Cut {
            text: nothing.to_owned(),
            places: IndexMap::from([(String::new(), place)]),
        };
    }
    Cut {
        text: writer.out,
        places: writer.places.unwrap_or_default(),
    }
}

impl Cut {
    /// What is not shown, for the model.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for (pointer, place) in self.places.iter().take(PLACES_MAX) {
            if !text.is_empty() {
                text.push_str("; ");
            }
            let what = match place.what {
                What::Elements => "elements",
                What::Members => "members",
                What::Characters => "characters",
            };
            let pointer: Cow<'_, str> = if pointer.is_empty() {
                "the answer itself".into()
            } else {
                format!("`{pointer}`").into()
            };
            let _ = write!(
                text,
                "{pointer} shows {} of {} {what}",
                place.shown, place.of
            );
            if place.places > 1 {
                let _ = write!(text, " (the first of {} such places)", place.places);
            }
        }
        let more = self.places.len().saturating_sub(PLACES_MAX);
        if more > 0 {
            let _ = write!(text, "; and {more} more");
        }
        text
    }

    /// Of the largest array that is in no other and was cut: how many elements are shown, and of how
    /// many.
    pub fn list(&self) -> Option<(usize, usize)> {
        let arrays = self
            .places
            .values()
            .filter(|place| place.what == What::Elements && !place.in_array);
        let largest = arrays.max_by_key(|place| place.of);
        largest.map(|place| (place.shown, place.of))
    }
}

/// How much of each kind of value is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limits {
    /// Elements of an array that is in no other array.
    outer: usize,
    /// Elements of an array in an array.
    inner: usize,
    members: usize,
    /// Bytes of a string.
    text: usize,
    depth: usize,
}

const ALL: usize = usize::MAX;

/// From the gentlest to the harshest.
const STEPS: [Limits; 8] = [
    step(ALL, ALL, ALL, ALL),
    step(100, ALL, 8_192, ALL),
    step(20, 200, 2_048, ALL),
    step(10, 100, 500, 10),
    step(5, 50, 200, 6),
    step(3, 30, 100, 4),
    step(1, 20, 50, 3),
    step(0, 10, 20, 2),
];

const fn step(inner: usize, members: usize, text: usize, depth: usize) -> Limits {
    Limits {
        outer: 0,
        inner,
        members,
        text,
        depth,
    }
}

/// A list of fewer elements than this is worth less than one of shorter elements.
const ELEMENTS_WANTED: usize = 10;

/// The gentlest limits under which the value fits.
fn best(node: &Node<'_>, bytes_max: usize) -> Limits {
    let longest = longest(node);
    let mut writer = Writer::new(STEPS[0], bytes_max);
    for wanted in [ELEMENTS_WANTED, 1] {
        for step in STEPS {
            let found = most(0, longest, |outer| {
                writer.fits(node, Limits { outer, ..step })
            });
            if let Some(outer) = found.filter(|outer| *outer >= longest.min(wanted)) {
                return roomier(node, Limits { outer, ..step }, &mut writer);
            }
        }
    }
    STEPS[STEPS.len() - 1]
}

/// The same limits with longer arrays in arrays, and then with longer strings, where there is room.
fn roomier(node: &Node<'_>, limits: Limits, writer: &mut Writer) -> Limits {
    let bytes_max = writer.bytes_max;
    let inner = grown((limits.inner, 1), bytes_max, |inner| {
        writer.fits(node, Limits { inner, ..limits })
    });
    let limits = Limits { inner, ..limits };
    let text = grown((limits.text, 16), bytes_max, |text| {
        writer.fits(node, Limits { text, ..limits })
    });
    Limits { text, ..limits }
}

/// A number that fits made larger, as long as it fits and by no less than so much at once.
fn grown((from, least): (usize, usize), most: usize, mut fits: impl FnMut(usize) -> bool) -> usize {
    let (mut best, mut stride) = (from, from);
    while stride >= least && stride < most {
        let larger = best.saturating_add(stride);
        if fits(larger) {
            best = larger;
            stride = stride.saturating_mul(2);
        } else {
            stride /= 4;
        }
    }
    best
}

/// The largest number of `low..=high` that fits, where all below it do.
fn most(low: usize, high: usize, mut fits: impl FnMut(usize) -> bool) -> Option<usize> {
    if fits(high) {
        return Some(high);
    }
    if !fits(low) {
        return None;
    }
    let (mut good, mut bad) = (low, high);
    while bad - good > 1 {
        let middle = good.midpoint(bad);
        if fits(middle) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    Some(good)
}

/// The length of the longest array that is in no other array.
fn longest(node: &Node<'_>) -> usize {
    match node {
        Node::Array(_, count) => *count,
        Node::Object(members, _) => members
            .iter()
            .map(|(_, member)| longest(member))
            .max()
            .unwrap_or(0),
        Node::Leaf(_) | Node::Text(_) => 0,
    }
}

/// Where a value stands.
#[derive(Clone, Copy)]
struct At {
    depth: usize,
    in_array: bool,
}

impl At {
    fn root() -> Self {
        Self {
            depth: 0,
            in_array: false,
        }
    }

    fn below(self, array: bool) -> Self {
        Self {
            depth: self.depth + 1,
            in_array: self.in_array || array,
        }
    }
}

/// Writes a value under limits, and stops when it is too long.
struct Writer {
    limits: Limits,
    bytes_max: usize,
    out: String,
    over: bool,
    /// Noted only where asked for.
    places: Option<IndexMap<String, Place>>,
}

impl Writer {
    fn new(limits: Limits, bytes_max: usize) -> Self {
        Self {
            limits,
            bytes_max,
            out: String::new(),
            over: false,
            places: None,
        }
    }

    fn fits(&mut self, node: &Node<'_>, limits: Limits) -> bool {
        self.limits = limits;
        self.out.clear();
        self.over = false;
        self.node(node, At::root(), &mut String::new());
        !self.over
    }

    fn push(&mut self, text: &str) {
        if self.out.len() + text.len() > self.bytes_max {
            self.over = true;
        } else {
            self.out.push_str(text);
        }
    }

    fn note(&mut self, (pointer, at): (&str, At), (what, shown, of): (What, usize, usize)) {
        if let Some(places) = &mut self.places {
            let place = places.entry(pointer.to_owned()).or_insert(Place {
                what,
                shown,
                of,
                places: 0,
                in_array: at.in_array,
            });
            place.places += 1;
        }
    }

    fn node(&mut self, node: &Node<'_>, at: At, pointer: &mut String) {
        match node {
            Node::Leaf(text) if text.starts_with(['{', '[']) && self.limits.depth != ALL => {
                let empty = if text.starts_with('{') { "{}" } else { "[]" };
                self.push(empty);
                if *text != empty {
                    self.note((pointer, at), (What::Characters, 2, text.len()));
                }
            }
            Node::Leaf(text) => self.push(text),
            Node::Text(text) => self.text(text, at, pointer),
            Node::Array(kept, count) => self.array((kept, *count), at, pointer),
            Node::Object(kept, count) => self.object((kept, *count), at, pointer),
        }
    }

    fn array(&mut self, (kept, count): (&[Node<'_>], usize), at: At, pointer: &mut String) {
        let limit = if at.in_array {
            self.limits.inner
        } else {
            self.limits.outer
        };
        let limit = if at.depth >= self.limits.depth {
            0
        } else {
            limit
        };
        let shown = kept.len().min(limit);
        self.push("[");
        let end = pointer.len();
        pointer.push_str("/*");
        for (index, element) in kept[..shown].iter().enumerate() {
            if self.over {
                break;
            }
            if index > 0 {
                self.push(",");
            }
            self.node(element, at.below(true), pointer);
        }
        pointer.truncate(end);
        self.push("]");
        if shown < count {
            self.note((pointer, at), (What::Elements, shown, count));
        }
        // What is only counted cannot be shown: more was asked for than is there.
        if shown < count && limit >= count {
            self.over = true;
        }
    }

    fn object(
        &mut self,
        (kept, count): (&[(&str, Node<'_>)], usize),
        at: At,
        pointer: &mut String,
    ) {
        let limit = if at.depth >= self.limits.depth {
            0
        } else {
            self.limits.members
        };
        let shown = kept.len().min(limit);
        self.push("{");
        let end = pointer.len();
        for (index, (key, member)) in kept[..shown].iter().enumerate() {
            if self.over {
                break;
            }
            if index > 0 {
                self.push(",");
            }
            self.push(key);
            self.push(":");
            if self.places.is_some() {
                let name = unquoted(key);
                pointer.push('/');
                pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
            }
            self.node(member, at.below(false), pointer);
            pointer.truncate(end);
        }
        self.push("}");
        if shown < count {
            self.note((pointer, at), (What::Members, shown, count));
        }
    }

    fn text(&mut self, text: &str, at: At, pointer: &str) {
        if text.len() <= self.limits.text.saturating_add(2) {
            self.push(text);
            return;
        }
        let inner = &text[1..text.len() - 1];
        let end = boundary(inner, self.limits.text);
        self.push("\"");
        self.push(&inner[..end]);
        self.push("…\"");
        if self.places.is_some() {
            let characters = |raw: &str| unquoted(&format!("\"{raw}\"")).chars().count();
            let counts = (
                What::Characters,
                characters(&inner[..end]),
                characters(inner),
            );
            self.note((pointer, at), counts);
        }
    }
}

/// The last place at or before `at` where a string's text may end: between two characters, never
/// within an escape sequence or between two halves of a character.
fn boundary(inner: &str, at: usize) -> usize {
    let at = inner.floor_char_boundary(at);
    let bytes = inner.as_bytes();
    let (mut end, mut next) = (0, 0);
    while next <= at {
        end = next;
        next += match bytes.get(next..) {
            Some([b'\\', b'u', rest @ ..]) => {
                let high = b"89abAB".contains(rest.get(1).unwrap_or(&0));
                let pair = matches!(rest, [b'd' | b'D', _, _, _, b'\\', b'u', ..]);
                if high && pair { 12 } else { 6 }
            }
            Some([b'\\', _, ..]) => 2,
            Some([_, ..]) => 1,
            _ => break,
        };
    }
    inner.floor_char_boundary(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::mcp::content::json::{checked, nested};

    fn places(cut: &Cut) -> Vec<String> {
        let places = cut.places.iter();
        places
            .map(|(pointer, place)| format!("{pointer} {}/{}", place.shown, place.of))
            .collect()
    }

    #[test]
    fn arrays_go_first_strings_next_and_the_deep_last() {
        let items: Vec<Value> = (0..1_000)
            .map(|n| json!({"id": n, "tags": ["a", "b"]}))
            .collect();
        let list = json!({"total": 1_000, "items": items, "next": "/more"}).to_string();
        let shortened = cut(&list, 2_000);
        let value: Value = serde_json::from_str(&shortened.text).unwrap();
        let shown = value["items"].as_array().unwrap().len();
        assert!(shown > 50 && shortened.text.len() > 1_900, "{shown}");
        assert_eq!(value["items"][3], json!({"id": 3, "tags": ["a", "b"]}));
        assert_eq!(
            (&value["total"], &value["next"]),
            (&json!(1_000), &json!("/more"))
        );
        assert_eq!(places(&shortened), [format!("/items {shown}/1000")]);

        let long = json!({"a": "x".repeat(5_000), "b": {"c": [1, 2, 3]}}).to_string();
        let shortened = cut(&long, 1_000);
        let value: Value = serde_json::from_str(&shortened.text).unwrap();
        assert_eq!(value["b"], json!({"c": [1, 2, 3]}));
        assert!(shortened.text.len() > 800, "{}", shortened.text.len());
        assert_eq!(shortened.places["/a"].of, 5_000);

        let few: Vec<Value> = (0..20)
            .map(|n| json!({"id": n, "body": "y".repeat(4_000)}))
            .collect();
        let shortened = cut(&json!(few).to_string(), 8_000);
        let value: Value = serde_json::from_str(&shortened.text).unwrap();
        assert!(value.as_array().unwrap().len() >= 10);
        assert!(
            shortened.describe().contains("`/*/body` shows"),
            "{}",
            shortened.describe()
        );
    }

    #[test]
    fn long_lists_in_a_list_share_the_budget() {
        let tags: Vec<Value> = (0..3_000).map(|n| json!(n)).collect();
        let items: Vec<Value> = (0..50).map(|n| json!({"id": n, "tags": tags})).collect();
        let shortened = cut(&json!({"items": items}).to_string(), 65_536);
        let value: Value = serde_json::from_str(&shortened.text).unwrap();
        assert_eq!(value["items"].as_array().unwrap().len(), 50);
        assert!(shortened.text.len() > 50_000, "{}", shortened.text.len());
        assert_eq!(shortened.list(), None, "the list itself is whole");
        let one = json!([tags]).to_string();
        let shortened = cut(&one, 4_096);
        assert!(shortened.text.len() > 3_000, "{}", shortened.text.len());
    }

    #[test]
    fn numbers_names_and_escapes_stay_as_they_are() {
        let text = format!(
            r#"{{"n":12345678901234567890.10,"b":1,"a\u0041":[{}]}}"#,
            vec![r#""\ud83d\ude00\n""#; 200].join(",")
        );
        let shortened = cut(&text, 200);
        assert!(
            shortened
                .text
                .starts_with(r#"{"n":12345678901234567890.10,"b":1,"a\u0041":["\ud83d"#)
        );
        assert!(serde_json::from_str::<Value>(&shortened.text).is_ok());
        let emoji = format!("\"{}\"", r"\ud83d\ude00".repeat(100));
        for budget in 3..60 {
            let shortened = cut(&emoji, budget);
            assert!(shortened.text.len() <= budget);
            assert!(
                serde_json::from_str::<String>(&shortened.text).is_ok(),
                "{}",
                shortened.text
            );
        }
    }

    #[test]
    fn a_large_map_is_cut_like_a_list() {
        let map: serde_json::Map<String, Value> = (0..5_000)
            .map(|n| (format!("key{n}"), json!({"v": n})))
            .collect();
        let shortened = cut(&Value::Object(map).to_string(), 2_000);
        assert!(shortened.text.len() <= 2_000 && shortened.text.contains("key0"));
        assert_eq!(shortened.places[""].what, What::Members);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            "[a-z\"\\\\é😀\n]{0,80}".prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 200, 12, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..12).prop_map(Value::from),
                prop::collection::btree_map("[a-z/~\"]{0,6}", inner, 0..8)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn same_kind(a: &Value, b: &Value) -> bool {
        std::mem::discriminant(a) == std::mem::discriminant(b)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn what_is_left_is_json_of_the_same_kind_within_the_budget(value in any_value(), budget in 4_usize..400) {
            let text = value.to_string();
            let shortened = cut(&text, budget);
            prop_assert!(shortened.text.len() <= budget);
            let left: Value = serde_json::from_str(&shortened.text).unwrap();
            prop_assert!(same_kind(&left, &value) || matches!(value, Value::Number(_)));
            if shortened.text != text {
                prop_assert!(!shortened.places.is_empty(), "{} {}", text, shortened.text);
            }
        }

        #[test]
        fn any_depth_is_cut(
            containers in prop::collection::vec(prop_oneof![Just("["), Just("{\"a\":")], 1..5_000),
            budget in 4_usize..400,
        ) {
            let text = nested(&containers, "\"x\"");
            let shortened = cut(&text, budget);
            prop_assert!(shortened.text.len() <= budget && checked(&shortened.text).is_some());
        }
    }
}
