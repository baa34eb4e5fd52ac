//! JSON text taken apart without being read: members, elements and a bounded tree, all of them slices
//! of the text, so that numbers keep every digit and keys their order.
//!
//! Every function here takes text that serde_json has accepted; of other text it makes nothing
//! useful, but never panics.

use std::borrow::Cow;

use serde_json::value::RawValue;

/// How deep a value is taken apart, everywhere: serde_json checks text of any depth, so that whatever
/// calls itself for what lies within has to stop somewhere.
pub const DEPTH_MAX: usize = 64;

/// The text without the space around it, if it is JSON.
pub fn checked(text: &str) -> Option<&str> {
    let raw: &RawValue = serde_json::from_str(text.trim_start_matches('\u{feff}')).ok()?;
    Some(raw.get().trim())
}

/// The members of an object in their order: the name as it was written, in its quotes, and the value.
pub fn members(object: &str) -> Members<'_> {
    Members(Walk::inside(object, b'{'))
}

/// The elements of an array.
pub fn elements(array: &str) -> Elements<'_> {
    Elements(Walk::inside(array, b'['))
}

/// The value of the first member of that name.
pub fn member<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    members(object).find_map(|(key, value)| (unquoted(key) == name).then_some(value))
}

/// The value along a path of names.
pub fn at<'a>(value: &'a str, path: &[&str]) -> Option<&'a str> {
    path.iter()
        .try_fold(value, |value, name| member(value, name))
}

/// What a string in quotes says. Anything else is given back as it is.
pub fn unquoted(text: &str) -> Cow<'_, str> {
    let inner = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match inner {
        Some(inner) if !inner.contains('\\') => Cow::Borrowed(inner),
        Some(_) => {
            serde_json::from_str::<String>(text).map_or_else(|_| Cow::Borrowed(text), Cow::Owned)
        }
        None => Cow::Borrowed(text),
    }
}

/// The text of a string value; `None` for any other value.
pub fn string(value: &str) -> Option<Cow<'_, str>> {
    value.starts_with('"').then(|| unquoted(value))
}

/// The beginning of JSON text whose end is missing, closed after its last whole value.
pub fn mended(beginning: &str) -> Option<String> {
    let text = beginning.trim_start_matches('\u{feff}').trim_start();
    let mut walk = Walk { text, at: 0 };
    let mut open = Vec::new();
    // Where everything before is whole.
    let mut whole = 0;
    while let Some(byte) = walk.byte() {
        match byte {
            b'"' => {
                walk.string();
                continue;
            }
            b'{' => open.push('}'),
            b'[' => open.push(']'),
            b'}' | b']' => drop(open.pop()),
            b',' => {}
            _ => {
                walk.at += 1;
                continue;
            }
        }
        whole = walk.at + usize::from(byte != b',');
        walk.at += 1;
        if open.is_empty() {
            break;
        }
    }
    let mut mended = text.get(..whole)?.to_owned();
    mended.extend(open.iter().rev());
    checked(&mended).is_some().then_some(mended)
}

/// How deep the deepest container of a JSON text lies in others: 0 for a scalar, 1 for `[]`.
pub fn depth(text: &str) -> usize {
    let mut walk = Walk { text, at: 0 };
    let (mut depth, mut deepest) = (0_usize, 0);
    while let Some(byte) = walk.byte() {
        match byte {
            b'"' => {
                walk.string();
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
        walk.at += 1;
    }
    deepest
}

/// `inside` in containers that begin like this, each closed again.
#[cfg(test)]
pub(crate) fn nested(containers: &[&str], inside: &str) -> String {
    let closing = containers
        .iter()
        .rev()
        .map(|open| match open.as_bytes()[0] {
            b'{' => '}',
            _ => ']',
        });
    let closing: String = closing.collect();
    format!("{}{inside}{closing}", containers.concat())
}

/// Moves along JSON text.
struct Walk<'a> {
    text: &'a str,
    at: usize,
}

pub struct Members<'a>(Walk<'a>);
pub struct Elements<'a>(Walk<'a>);

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.0.value()?;
        self.0.skip(b':');
        let value = self.0.value()?;
        self.0.skip(b',');
        Some((key, value))
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let value = self.0.value()?;
        self.0.skip(b',');
        Some(value)
    }
}

impl<'a> Walk<'a> {
    fn inside(text: &'a str, open: u8) -> Self {
        let text = text.trim();
        let opened = text.as_bytes().first() == Some(&open);
        let at = if opened { 1 } else { text.len() };
        Self { text, at }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn skip(&mut self, byte: u8) {
        self.space();
        if self.byte() == Some(byte) {
            self.at += 1;
        }
    }

    /// The value that begins here, which is then behind; `None` at the end of the container.
    fn value(&mut self) -> Option<&'a str> {
        self.space();
        let start = self.at;
        match self.byte()? {
            b'}' | b']' => return None,
            b'"' => self.string(),
            b'{' | b'[' => self.container(),
            _ => self.scalar(),
        }
        self.text
            .get(start..self.at)
            .filter(|value| !value.is_empty())
    }

    fn string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.byte() {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == b'"' {
                break;
            }
        }
        self.at = self.at.min(self.text.len());
    }

    fn container(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.byte() {
            match byte {
                b'"' => {
                    self.string();
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                break;
            }
        }
    }

    fn scalar(&mut self) {
        while let Some(byte) = self.byte() {
            if matches!(
                byte,
                b',' | b'}' | b']' | b':' | b' ' | b'\n' | b'\r' | b'\t'
            ) {
                break;
            }
            self.at += 1;
        }
    }
}

/// A value taken apart as far as it may be shown.
#[derive(Debug)]
pub enum Node<'a> {
    /// A number, `true`, `false`, `null`; or a container that lies too deep to be taken apart.
    Leaf(&'a str),
    /// A string in its quotes.
    Text(&'a str),
    /// The first elements, and how many there are.
    Array(Vec<Node<'a>>, usize),
    /// The first members, and how many there are.
    Object(Vec<(&'a str, Node<'a>)>, usize),
}

/// How much of a value is taken apart.
#[derive(Clone, Copy, Debug)]
pub struct TreeLimits {
    /// Of an array, after which its elements are only counted. A long string or an array in an array
    /// weighs as little as it can be shortened to.
    pub array_bytes_max: usize,
    pub nodes_max: usize,
    pub depth_max: usize,
}

impl<'a> Node<'a> {
    /// Takes `text` apart.
    pub fn read(text: &'a str, limits: TreeLimits) -> Self {
        let mut walk = Walk { text, at: 0 };
        let mut taken = Taken::default();
        read(&mut walk, (limits, Depth::default()), &mut taken).unwrap_or(Node::Leaf("null"))
    }
}

/// What a long string can be shortened to.
const STRING_WEIGHT_MAX: usize = 100;
/// What an array in an array can be shortened to.
const ARRAY_WEIGHT_MAX: usize = 200;

/// How many containers a value lies in.
#[derive(Clone, Copy, Default)]
struct Depth {
    all: usize,
    arrays: usize,
}

#[derive(Default)]
struct Taken {
    nodes: usize,
    weight: usize,
}

fn read<'a>(
    walk: &mut Walk<'a>,
    (limits, depth): (TreeLimits, Depth),
    taken: &mut Taken,
) -> Option<Node<'a>> {
    walk.space();
    taken.nodes += 1;
    let start = taken.weight;
    let below = |arrays: usize| {
        let (all, arrays) = (depth.all + 1, depth.arrays + arrays);
        (limits, Depth { all, arrays })
    };
    match walk.byte()? {
        b'"' => {
            let text = walk.value()?;
            taken.weight += text.len().min(STRING_WEIGHT_MAX);
            Some(Node::Text(text))
        }
        b'{' if depth.all < limits.depth_max => {
            walk.at += 1;
            let (mut kept, mut count) = (Vec::new(), 0);
            while let Some(key) = walk.value() {
                walk.skip(b':');
                if taken.nodes < limits.nodes_max {
                    taken.weight += key.len() + 2;
                    kept.push((key, read(walk, below(0), taken)?));
                } else {
                    walk.value();
                }
                walk.skip(b',');
                count += 1;
            }
            walk.skip(b'}');
            Some(Node::Object(kept, count))
        }
        b'[' if depth.all < limits.depth_max => {
            walk.at += 1;
            // An array in an array has a smaller share, so that the outer one shows more than a few.
            let bytes_max = limits.array_bytes_max >> depth.arrays.min(1);
            let (mut kept, mut count) = (Vec::new(), 0);
            loop {
                walk.space();
                if matches!(walk.byte(), None | Some(b']')) {
                    break;
                }
                let room = taken.weight - start <= bytes_max;
                if room && taken.nodes < limits.nodes_max {
                    taken.weight += 1;
                    kept.push(read(walk, below(1), taken)?);
                } else if walk.value().is_none() {
                    break;
                }
                walk.skip(b',');
                count += 1;
            }
            walk.skip(b']');
            if depth.arrays > 0 {
                taken.weight = taken.weight.min(start + ARRAY_WEIGHT_MAX);
            }
            Some(Node::Array(kept, count))
        }
        _ => {
            let text = walk.value()?;
            taken.weight += text.len();
            Some(Node::Leaf(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_slices_of_the_text() {
        let text = r#"{"a" : 1.10, "b\"c":[ "x,]}", {"k":12345678901234567890123} ] ,"d":{}}"#;
        let found: Vec<_> = members(text).collect();
        assert_eq!(
            found,
            [
                (r#""a""#, "1.10"),
                (r#""b\"c""#, r#"[ "x,]}", {"k":12345678901234567890123} ]"#),
                (r#""d""#, "{}"),
            ]
        );
        let inner: Vec<_> = elements(found[1].1).collect();
        assert_eq!(inner, [r#""x,]}""#, r#"{"k":12345678901234567890123}"#]);
        assert_eq!(member(text, "b\"c"), Some(found[1].1));
        assert_eq!(at(text, &["d", "e"]), None);
        assert_eq!(elements("{}").count() + members("[1]").count(), 0);
    }

    #[test]
    fn depth_counts_containers_and_no_brackets_in_strings() {
        for (text, expected) in [
            ("1", 0),
            ("\"[[[\"", 0),
            ("[]", 1),
            (r#"{"a":[1,{}],"[\"[":[]}"#, 3),
        ] {
            assert_eq!(depth(text), expected, "{text}");
        }
        assert_eq!(depth(&nested(&vec!["["; 100_000], "")), 100_000);
    }

    #[test]
    fn what_is_no_json_ends_and_does_not_panic() {
        for text in [
            "", "{", "[\"", "[\"\\", "{\"a\"", "[1,,2]", "]}", "{:}", "é",
        ] {
            assert!(members(text).count() + elements(text).count() < 5, "{text}");
            let limits = TreeLimits {
                array_bytes_max: 10,
                nodes_max: 10,
                depth_max: 3,
            };
            let _ = Node::read(text, limits);
        }
    }

    #[test]
    fn text_that_ends_early_is_closed() {
        for (beginning, expected) in [
            (r#"{"a":[1,2,{"b":"x,]"#, Some(r#"{"a":[1,2,{}]}"#)),
            ("[1,2", Some("[1]")),
            (r#"[{"a":1},{"b"#, Some(r#"[{"a":1},{}]"#)),
            (r#"{"a":"b\""#, Some("{}")),
            ("", None),
            ("hello, you", None),
            ("[1,2]", Some("[1,2]")),
        ] {
            assert_eq!(mended(beginning).as_deref(), expected, "{beginning}");
        }
    }

    #[test]
    fn a_tree_keeps_what_may_be_shown_and_counts_the_rest() {
        let limits = TreeLimits {
            array_bytes_max: 6,
            nodes_max: 100,
            depth_max: 2,
        };
        let Node::Array(kept, count) = Node::read("[1,2,3,[[4]],5,6]", limits) else {
            panic!("an array");
        };
        assert_eq!((kept.len(), count), (4, 6));
        let Node::Array(inner, 1) = &kept[3] else {
            panic!("an array in it");
        };
        assert!(matches!(inner[0], Node::Leaf("[4]")));
    }
}
