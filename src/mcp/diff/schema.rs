//! Two schemas of one tool compared, member by member. What is known to be safe is passed over, what
//! narrows may break a call, and whatever remains is for a person to look at.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeSet, HashSet};

use serde_json::{Map, Value};

use crate::mcp::diff::{Aspect, Difference, Impact, difference};
use crate::mcp::tool::fit::without_words;
use crate::mcp::tool::schema::Direction;

/// Levels looked at; what lies deeper is for a person to look at. Differences told.
const DEPTH_MAX: usize = 64;
const CHANGES_MAX: usize = 50;
/// A longer name may be a sentence.
const NAME_CHARS_MAX: usize = 64;

/// Keywords whose value is a bound: whether a larger number narrows.
const BOUNDS: [(&str, bool); 10] = [
    ("minimum", true),
    ("exclusiveMinimum", true),
    ("minLength", true),
    ("minItems", true),
    ("minProperties", true),
    ("maximum", false),
    ("exclusiveMaximum", false),
    ("maxLength", false),
    ("maxItems", false),
    ("maxProperties", false),
];

/// Keywords without which a schema accepts more, whatever stands beside them.
const REMOVABLE: [&str; 10] = [
    "const",
    "pattern",
    "format",
    "multipleOf",
    "not",
    "uniqueItems",
    "items",
    "contains",
    "propertyNames",
    "dependentRequired",
];

/// Other keywords that make a schema accept less, for all that can be told.
const NARROWING: [&str; 13] = [
    "anyOf",
    "oneOf",
    "allOf",
    "if",
    "then",
    "else",
    "prefixItems",
    "minContains",
    "maxContains",
    "patternProperties",
    "dependentSchemas",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// Keywords that accept and refuse nothing, and may stand beside a reference.
const ANNOTATIONS: [&str; 4] = ["title", "description", "default", "deprecated"];

/// What differs between the schemas of a tool's arguments, or of its results. Empty: they are the
/// same, or the new one only adds what is known to be safe.
pub(super) fn compared(old: &Value, new: &Value, direction: Direction) -> Vec<Difference> {
    let mut comparison = Comparison {
        roots: (old, new),
        direction,
        seen: HashSet::new(),
        found: Vec::new(),
    };
    comparison.compare((old, new), "", 0);
    comparison.definitions();
    comparison.found
}

/// Whether a schema says anything in words: a text in it is more than a name.
pub(super) fn speaks(root: &Value) -> bool {
    says(root, root, &mut HashSet::new())
}

fn says<'a>(root: &'a Value, part: &'a Value, seen: &mut HashSet<&'a str>) -> bool {
    match part {
        Value::Object(members) => members.iter().any(|(key, value)| match (&**key, value) {
            ("$ref", Value::String(target)) => {
                seen.insert(target) && resolved(root, target).is_none_or(|to| says(root, to, seen))
            }
            // Each is looked at where it is used.
            ("$defs", _) => false,
            ("type" | "format", Value::String(name)) => !is_name(name),
            ("type" | "required", Value::Array(names)) => {
                !names.iter().all(|name| name.as_str().is_some_and(is_name))
            }
            (key, value) => !is_name(key) || says(root, value, seen),
        }),
        Value::Array(members) => members.iter().any(|member| says(root, member, seen)),
        Value::String(_) => true,
        _ => false,
    }
}

fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-.$@".contains(c);
    text.len() <= NAME_CHARS_MAX && text.chars().all(fits)
}

type Pair<'p> = (&'p Value, &'p Value);
type Members<'p> = (&'p Map<String, Value>, &'p Map<String, Value>);

struct Comparison<'a> {
    roots: Pair<'a>,
    direction: Direction,
    /// Pairs of references that were followed, or are being followed.
    seen: HashSet<(String, String)>,
    /// Never what is compatible.
    found: Vec<Difference>,
}

impl<'a> Comparison<'a> {
    fn compare(&mut self, (old, new): Pair<'_>, path: &str, depth: usize) {
        if self.found.len() >= CHANGES_MAX {
            return;
        }
        if depth > DEPTH_MAX {
            let message = format!("{} goes too deep to be compared", self.named(path));
            self.say(Impact::Review, message);
            return;
        }
        match (reference(old), reference(new)) {
            (None, None) => {}
            (Some(from), Some(to)) => self.references((from, to), path, depth),
            // One of the two is written where it is used.
            (Some(_), None) | (None, Some(_)) => {
                let written = written(self.roots.0, old).zip(written(self.roots.1, new));
                match written {
                    Some((old, new)) => self.compare((&old, &new), path, depth + 1),
                    None => self.differs(path, "$ref"),
                }
                return;
            }
        }
        let none = Map::new();
        match (object(old, &none), object(new, &none)) {
            (Some(old), Some(new)) => self.members((old, new), path, depth),
            _ if old == new => {}
            _ => self.differs(path, "schema"),
        }
    }

    fn references(&mut self, (from, to): (&str, &str), path: &str, depth: usize) {
        if !self.seen.insert((from.to_owned(), to.to_owned())) {
            return;
        }
        match (resolved(self.roots.0, from), resolved(self.roots.1, to)) {
            (Some(old), Some(new)) => self.compare((old, new), path, depth + 1),
            _ if from == to => {}
            _ => self.differs(path, "$ref"),
        }
    }

    fn members(&mut self, (old, new): Members<'_>, path: &str, depth: usize) {
        let added = new.keys().filter(|key| !old.contains_key(*key));
        for key in old.keys().chain(added) {
            match (&**key, old.get(key), new.get(key)) {
                // References are followed, and definitions looked at where they are used.
                ("$ref" | "$defs", ..) => {}
                ("properties", ..) => self.properties((old, new), path, depth),
                (
                    "items" | "additionalProperties",
                    Some(before @ Value::Object(_)),
                    Some(after @ Value::Object(_)),
                ) => self.compare((before, after), &format!("{path}[]"), depth + 1),
                ("anyOf" | "allOf", Some(Value::Array(before)), Some(Value::Array(after)))
                    if before.len() == after.len() =>
                {
                    for pair in before.iter().zip(after) {
                        self.compare(pair, path, depth + 1);
                    }
                }
                (_, before, after) if before == after => {}
                ("title" | "description", ..) => {
                    let message = format!("{}: its {key} reads differently", self.named(path));
                    self.found
                        .push(difference(Aspect::Description, Impact::Review, message));
                }
                ("type", ..) => self.types((old, new), path),
                (key, before, after) if self.direction == Direction::Input => {
                    self.keyword(key, (before, after), path);
                }
                (key, ..) => self.differs(path, key),
            }
        }
    }

    /// A keyword of an argument that is another one, or is new, or is gone.
    fn keyword(&mut self, key: &str, pair: (Option<&Value>, Option<&Value>), path: &str) {
        let bound = BOUNDS.iter().find(|(bound, _)| *bound == key);
        if let (Some((_, larger_narrows)), Some(after)) = (bound, pair.1) {
            return self.bound(key, (pair.0, after, *larger_narrows), path);
        }
        match (key, pair.0, pair.1) {
            ("required", before, after) => {
                for name in names(after).difference(&names(before)) {
                    let message = format!("`{}` is required", joined(path, name));
                    self.say(Impact::Breaking, message);
                }
            }
            ("enum", before, after) => self.values((before, after), path),
            (_, Some(_), None) if bound.is_some() || REMOVABLE.contains(&key) => {}
            ("additionalProperties", _, None | Some(Value::Bool(true))) => {}
            ("additionalProperties", Some(Value::Bool(false)), Some(after)) => {
                if says(self.roots.1, after, &mut HashSet::new()) {
                    self.differs(path, key);
                }
            }
            (_, Some(before), Some(after)) if without_words(before) == without_words(after) => {
                self.differs(path, key);
            }
            ("additionalProperties", _, Some(_)) => self.narrows(path, key),
            (key, _, Some(_)) if REMOVABLE.contains(&key) || NARROWING.contains(&key) => {
                self.narrows(path, key);
            }
            (key, ..) => self.differs(path, key),
        }
    }

    fn narrows(&mut self, path: &str, key: &str) {
        let message = format!("{}: `{key}` accepts less than before", self.named(path));
        self.say(Impact::Breaking, message);
    }

    fn bound(&mut self, key: &str, bound: (Option<&Value>, &Value, bool), path: &str) {
        let (before, after, larger_narrows) = bound;
        let order = before
            .and_then(Value::as_f64)
            .zip(after.as_f64())
            .and_then(|(before, after)| after.partial_cmp(&before));
        let wider = match order {
            Some(Ordering::Less) => Some(larger_narrows),
            Some(Ordering::Greater) => Some(!larger_narrows),
            _ => None,
        };
        match (before, wider) {
            (_, Some(true)) => {}
            (None, _) | (_, Some(false)) => {
                let message = format!("{}: {key} is {after}", self.named(path));
                self.say(Impact::Breaking, message);
            }
            // Not numbers, or too large to be told apart.
            (Some(_), None) => self.differs(path, key),
        }
    }

    fn values(&mut self, (before, after): (Option<&Value>, Option<&Value>), path: &str) {
        let Some(after) = after.and_then(Value::as_array) else {
            return;
        };
        let before = before.and_then(Value::as_array);
        let lost: Vec<String> = match before {
            Some(before) => {
                let lost = before.iter().filter(|value| !after.contains(value));
                lost.map(ToString::to_string).collect()
            }
            None => vec!["other values".to_owned()],
        };
        if !lost.is_empty() {
            let lost = lost.join(", ");
            let message = format!("{} no longer accepts {lost}", self.named(path));
            self.say(Impact::Breaking, message);
        }
        let mut added = after.iter().filter(|value| {
            let known = before.is_some_and(|before| before.contains(value));
            !known && says(value, value, &mut HashSet::new())
        });
        if let Some(text) = added.next() {
            let message = format!("{} accepts {text}, which is a text", self.named(path));
            self.say(Impact::Review, message);
        }
    }

    fn types(&mut self, (old, new): Members<'_>, path: &str) {
        let (before, after) = (kinds(old), kinds(new));
        // An argument has to go on accepting, a result to go on being what it was.
        let (needed, allowed) = match self.direction {
            Direction::Input => (&before, &after),
            Direction::Output => (&after, &before),
        };
        let fits = match (needed, allowed) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(needed), Some(allowed)) => needed.iter().all(|kind| {
                allowed.contains(kind) || (*kind == "integer" && allowed.contains("number"))
            }),
        };
        if !fits {
            let kind = |schema: &Map<String, Value>| {
                let kind = schema.get("type");
                kind.map_or_else(|| "anything".to_owned(), ToString::to_string)
            };
            let (is, was) = (kind(new), kind(old));
            let message = format!("{} is {is} instead of {was}", self.named(path));
            self.say(Impact::Breaking, message);
        }
    }

    fn properties(&mut self, (old, new): Members<'_>, path: &str, depth: usize) {
        let none = Map::new();
        let (before, after) = (properties(old, &none), properties(new, &none));
        let input = self.direction == Direction::Input;
        let closed = new.get("additionalProperties") == Some(&Value::Bool(false));
        for (name, was) in before {
            let path = joined(path, name);
            match after.get(name) {
                Some(is) => self.compare((was, is), &path, depth + 1),
                None if closed || !input => self.say(Impact::Breaking, format!("`{path}` is gone")),
                None => self.say(Impact::Review, format!("`{path}` is described no longer")),
            }
        }
        let was_free = match old.get("additionalProperties") {
            Some(Value::Bool(false)) => false,
            Some(Value::Object(_)) => true,
            _ => old.contains_key("patternProperties") || (input && before.is_empty()),
        };
        for (name, is) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
            let path = joined(path, name);
            if was_free {
                self.say(
                    Impact::Review,
                    format!("`{path}` is new, and could be anything before"),
                );
            } else if !is_name(name) || says(self.roots.1, is, &mut HashSet::new()) {
                self.say(
                    Impact::Review,
                    format!("`{path}` is new, and comes with words"),
                );
            }
        }
    }

    /// Definitions that are used where nothing was followed.
    fn definitions(&mut self) {
        let (old, new) = self.roots;
        let definitions = |root: &'a Value| root.get("$defs").and_then(Value::as_object);
        let Some((old, new)) = definitions(old).zip(definitions(new)) else {
            return;
        };
        for (name, is) in new {
            let target = format!("#/$defs/{}", name.replace('~', "~0").replace('/', "~1"));
            let followed = self.seen.contains(&(target.clone(), target));
            if !followed && old.get(name).is_some_and(|was| was != is) {
                self.differs("", name);
            }
        }
    }

    /// What nothing safe is known of.
    fn differs(&mut self, path: &str, key: &str) {
        let message = format!("{}: `{key}` is another one", self.named(path));
        self.say(Impact::Review, message);
    }

    fn say(&mut self, impact: Impact, message: String) {
        let aspect = match self.direction {
            Direction::Input => Aspect::Input,
            Direction::Output => Aspect::Output,
        };
        self.found.push(difference(aspect, impact, message));
    }

    fn named(&self, path: &str) -> String {
        match (path, self.direction) {
            ("", Direction::Input) => "the arguments".to_owned(),
            ("", Direction::Output) => "the results".to_owned(),
            (path, _) => format!("`{path}`"),
        }
    }
}

fn reference(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()
}

fn resolved<'a>(root: &'a Value, target: &str) -> Option<&'a Value> {
    root.pointer(target.strip_prefix('#')?)
}

/// The schema with what it refers to written in its place. `None`: more than annotations stand beside
/// the reference.
fn written<'a>(root: &Value, schema: &'a Value) -> Option<Cow<'a, Value>> {
    let Some(target) = reference(schema) else {
        return Some(Cow::Borrowed(schema));
    };
    let mut written = resolved(root, target)?.as_object()?.clone();
    for (key, value) in schema.as_object()? {
        if key != "$ref" {
            ANNOTATIONS.contains(&key.as_str()).then_some(())?;
            written.insert(key.clone(), value.clone());
        }
    }
    Some(Cow::Owned(Value::Object(written)))
}

/// The members of a schema; `true` has none.
fn object<'s>(schema: &'s Value, none: &'s Map<String, Value>) -> Option<&'s Map<String, Value>> {
    match schema {
        Value::Object(members) => Some(members),
        Value::Bool(true) => Some(none),
        _ => None,
    }
}

fn properties<'s>(
    schema: &'s Map<String, Value>,
    none: &'s Map<String, Value>,
) -> &'s Map<String, Value> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.unwrap_or(none)
}

fn names(listed: Option<&Value>) -> BTreeSet<&str> {
    let names = listed.and_then(Value::as_array);
    names
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

fn kinds(schema: &Map<String, Value>) -> Option<BTreeSet<&str>> {
    match schema.get("type")? {
        Value::String(kind) => Some(BTreeSet::from([kind.as_str()])),
        Value::Array(kinds) => Some(kinds.iter().filter_map(Value::as_str).collect()),
        _ => None,
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}
