//! `$ref`: where it points within the document. Other documents are never fetched.
//!
//! A reference is a JSON pointer from the root, an `$anchor`, an `$id`, or, by a guess that is
//! reported, a bare component name. Nothing here recurses over references: a chain is followed in
//! a loop with a bound.

use std::cell::{Cell, OnceCell};
use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::openapi::pointer::{At, Located, escape, resolve, step, value_at};

/// References followed one after another before they count as a circle.
const CHAIN_MAX: usize = 64;

/// Places that anchors and ids name.
const NAMED_MAX: usize = 50_000;

/// References that are looked for around the place they stand at.
const SEARCHES_MAX: usize = 10_000;

/// Where the components of each version stand.
const COMPONENT_FOLDERS: [&str; 3] = ["/components/schemas", "/definitions", "/parameters"];

/// Why a reference leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefFault {
    External,
    Missing,
    Cycle,
}

impl RefFault {
    /// For messages: "the reference ... <this>".
    pub fn reason(self) -> &'static str {
        match self {
            Self::External => "leads to another document, which is not fetched",
            Self::Missing => "leads nowhere in this document",
            Self::Cycle => "leads back to itself",
        }
    }
}

/// A place that a reference leads to.
#[derive(Clone, Debug)]
pub struct Target<'a> {
    pub at: Located<'a>,
    /// The reference was not a proper one.
    pub guessed: bool,
}

/// An object after its `$ref`s were followed.
#[derive(Clone, Debug)]
pub struct Followed<'a> {
    pub at: Located<'a>,
    /// 3.1 lets a reference override the description of what it refers to.
    pub description: Option<String>,
    /// It was reached through a reference.
    pub shared: bool,
}

/// Finds what references point at.
pub struct References<'a> {
    root: Located<'a>,
    own_url: Option<&'a str>,
    named: OnceCell<HashMap<String, Located<'a>>>,
    /// How often [`References::nearest`] may still look around.
    searches: Cell<usize>,
}

impl<'a> References<'a> {
    pub fn new(root: &'a Value) -> Self {
        Self {
            root: Located::root(root),
            own_url: root.get("$self").and_then(Value::as_str),
            named: OnceCell::new(),
            searches: Cell::new(SEARCHES_MAX),
        }
    }

    /// The place `reference`, standing at `from`, leads to.
    ///
    /// # Errors
    /// It leads nowhere, or out of the document.
    pub fn target(&self, reference: &str, from: &str) -> Result<Target<'a>, RefFault> {
        let reference = match self.own_url.and_then(|own| reference.strip_prefix(own)) {
            Some(local) if local.starts_with('#') => local,
            _ => reference.trim(),
        };
        let exact = |at| Target { at, guessed: false };
        if let Some(fragment) = reference.strip_prefix('#') {
            if fragment.is_empty() || fragment.starts_with('/') {
                return resolve(&self.root, fragment)
                    .map(exact)
                    .or_else(|| self.nearest(fragment, from))
                    .ok_or(RefFault::Missing);
            }
            let anchor = self.named().get(fragment).cloned().map(exact);
            return anchor
                .or_else(|| self.component(fragment))
                .ok_or(RefFault::Missing);
        }
        let (address, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        if let Some(base) = self.named().get(address) {
            return resolve(base, fragment).map(exact).ok_or(RefFault::Missing);
        }
        self.component(reference).ok_or(RefFault::External)
    }

    /// Follows the `$ref` of `at`, if it has one, to an object that has none.
    ///
    /// # Errors
    /// It leads nowhere, out of the document, or in a circle.
    pub fn follow(&self, at: Located<'a>) -> Result<Followed<'a>, RefFault> {
        let mut followed = Followed {
            at,
            description: None,
            shared: false,
        };
        for _ in 0..CHAIN_MAX {
            let Some(reference) = followed.at.value.get("$ref").and_then(Value::as_str) else {
                return Ok(followed);
            };
            if followed.description.is_none() {
                followed.description = followed.at.text("description");
            }
            followed.at = self.target(reference, &followed.at.pointer)?.at;
            followed.shared = true;
        }
        Err(RefFault::Cycle)
    }

    /// A pointer that is wrong from the root may be right from an enclosing schema that carries
    /// its own `$defs`, or an `$id` (JSON Schema 2020-12 section 8.2.1).
    fn nearest(&self, fragment: &str, from: &str) -> Option<Target<'a>> {
        self.searches.set(self.searches.get().checked_sub(1)?);
        let around = around(self.root.value, from)?;
        around.into_iter().rev().find_map(|(value, end)| {
            let guessed = value.get("$id").is_none();
            let carries = !guessed
                || ["$defs", "definitions"]
                    .iter()
                    .any(|key| value.get(key).is_some());
            // Where a pointer leads is found without its text, which may be long; most lead nowhere.
            let leads = || value_at(value, fragment).is_some();
            if !carries || !leads() {
                return None;
            }
            let base = Located {
                value,
                pointer: from[..end].to_owned(),
            };
            Some(Target {
                at: resolve(&base, fragment)?,
                guessed,
            })
        })
    }

    /// Swagger 1.2 and hand-written documents name a component without its path.
    fn component(&self, name: &str) -> Option<Target<'a>> {
        let name = percent_decode_str(name).decode_utf8().ok()?;
        let token = escape(&name);
        COMPONENT_FOLDERS.iter().find_map(|folder| {
            let at = resolve(&self.root, &format!("{folder}/{token}"))?;
            Some(Target { at, guessed: true })
        })
    }

    /// Places by `$anchor`, `$dynamicAnchor` and `$id`; the first in document order wins.
    fn named(&self) -> &HashMap<String, Located<'a>> {
        self.named.get_or_init(|| {
            let mut named = HashMap::new();
            name_places(self.root.value, &At::Base(""), &mut named);
            named
        })
    }
}

/// The values on the way to the place of a pointer, from the outermost to the innermost, each with where
/// its own pointer ends in that one. `None`: there is no such place.
fn around<'a>(root: &'a Value, pointer: &str) -> Option<Vec<(&'a Value, usize)>> {
    let mut found = Vec::new();
    let mut value = root;
    for (end, _) in pointer.match_indices('/') {
        found.push((value, end));
        let token = pointer[end + 1..].split('/').next().unwrap_or_default();
        let is_last = end + 1 + token.len() == pointer.len();
        value = match step(value, token) {
            Some((value, _)) => value,
            None if is_last => break,
            None => return None,
        };
    }
    Some(found)
}

/// Goes no deeper than the document's own nesting; a pointer is only built where something is named.
fn name_places<'a>(value: &'a Value, at: &At<'_>, named: &mut HashMap<String, Located<'a>>) {
    match value {
        Value::Object(members) => {
            for key in ["$anchor", "$dynamicAnchor", "$id"] {
                let name = members.get(key).and_then(Value::as_str);
                let Some(name) = name.filter(|_| named.len() < NAMED_MAX) else {
                    continue;
                };
                let name = name.trim_end_matches('#').to_owned();
                named.entry(name).or_insert_with(|| Located {
                    value,
                    pointer: at.to_string(),
                });
            }
            for (key, member) in members {
                name_places(member, &at.key(key), named);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                name_places(item, &at.index(index), named);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pointer_may_be_right_from_a_schema_around_it() {
        let root = json!({"a": {"b": {"$id": "urn:x", "$defs": {"c": 1}, "d": {"e": 2}}},
            "f": {"definitions": {"g": 3}, "h": {}}});
        let references = References::new(&root);
        let near = references.target("#/$defs/c", "/a/b/d/e").unwrap();
        assert_eq!(
            (near.at.pointer.as_str(), near.guessed),
            ("/a/b/$defs/c", false)
        );
        let near = references.target("#/definitions/g", "/f/h").unwrap();
        assert_eq!(
            (near.at.pointer.as_str(), near.guessed),
            ("/f/definitions/g", true)
        );
        assert!(references.target("#/$defs/c", "/f/h").is_err());
        assert!(
            references
                .target("#/definitions/g", "/f/nowhere/h")
                .is_err()
        );
    }

    #[test]
    fn thousands_of_dead_references_under_long_names_are_judged_at_once() {
        let mut root = json!({"x": 1});
        let mut place = String::new();
        for level in 0..60 {
            let name = format!("{level}{}", "k".repeat(2_000));
            place = format!("/{name}{place}");
            root = json!({name: root, "$defs": {}});
        }
        let references = References::new(&root);
        let start = std::time::Instant::now();
        for _ in 0..400 {
            assert!(references.target("#/$defs/none", &place).is_err());
        }
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    }
}
