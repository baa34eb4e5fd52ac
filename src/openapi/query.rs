//! JSONPath (RFC 9535): which places of a document an overlay means.
//!
//! What a query gives is a set of places, never a list with repetitions, so that no step of it has more
//! to do than the document has values. Every value that is looked at counts.

pub mod condition;
pub mod parse;

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt::Write;
use std::rc::Rc;

use serde_json::Value;

use crate::openapi::pointer::escape;
use crate::openapi::query::condition::Condition;

/// A query, read.
#[derive(Clone, Debug)]
pub struct Query {
    /// It begins at `@`, not at `$`.
    relative: bool,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug)]
struct Segment {
    /// `..`: the places themselves and everything below them.
    deep: bool,
    selectors: Vec<Selector>,
}

#[derive(Clone, Debug)]
enum Selector {
    Name(String),
    All,
    Index(i64),
    Slice {
        start: Option<i64>,
        end: Option<i64>,
        step: i64,
    },
    Filter(Condition),
}

/// More values were to be looked at than may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded;

/// How many values may still be looked at.
#[derive(Debug)]
pub struct Patience(Cell<usize>);

impl Patience {
    pub fn new(values: usize) -> Self {
        Self(Cell::new(values))
    }

    fn take(&self, values: usize) -> Result<(), Exceeded> {
        let left = self.0.get().checked_sub(values).ok_or(Exceeded)?;
        self.0.set(left);
        Ok(())
    }
}

/// What a query is asked of: the root, the place `@` stands for, and how long it may take.
#[derive(Clone, Copy)]
struct Scope<'v, 'p> {
    root: &'v Value,
    here: &'v Value,
    patience: &'p Patience,
}

/// A value, and the way to it from where the query began.
#[derive(Clone)]
struct Node<'v> {
    value: &'v Value,
    way: Option<Rc<Step<'v>>>,
}

/// One step of a way, from a value to one within it.
struct Step<'v> {
    before: Option<Rc<Step<'v>>>,
    to: Token<'v>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Token<'v> {
    Item(usize),
    Member(&'v str),
}

impl Query {
    /// Pointers to the places: each before those within it, and the items of a list in their order.
    ///
    /// # Errors
    /// It takes too long.
    pub fn pointers(&self, root: &Value, patience: &Patience) -> Result<Vec<String>, Exceeded> {
        let scope = Scope {
            root,
            here: root,
            patience,
        };
        let nodes = self.nodes(scope)?;
        let mut ways: Vec<Vec<Token<'_>>> = nodes.iter().map(Node::way).collect();
        ways.sort();
        Ok(ways.iter().map(|way| pointer(way)).collect())
    }

    fn nodes<'v>(&self, scope: Scope<'v, '_>) -> Result<Vec<Node<'v>>, Exceeded> {
        let start = if self.relative {
            scope.here
        } else {
            scope.root
        };
        let mut nodes = vec![Node {
            value: start,
            way: None,
        }];
        for segment in &self.segments {
            nodes = segment.nodes(&nodes, scope)?;
        }
        Ok(nodes)
    }

    /// Whether it leads to one place at most.
    fn is_singular(&self) -> bool {
        let one = |selector: &Selector| matches!(selector, Selector::Name(_) | Selector::Index(_));
        let mut segments = self.segments.iter();
        segments.all(|segment| {
            !segment.deep && segment.selectors.len() == 1 && segment.selectors.iter().all(one)
        })
    }
}

impl Segment {
    fn nodes<'v>(
        &self,
        from: &[Node<'v>],
        scope: Scope<'v, '_>,
    ) -> Result<Vec<Node<'v>>, Exceeded> {
        let mut below = Vec::new();
        let from = if self.deep {
            let mut seen = HashSet::new();
            for node in from {
                descend(node, &mut seen, &mut below, scope.patience)?;
            }
            &below[..]
        } else {
            from
        };
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        let mut add = |node: Node<'v>| {
            if seen.insert(std::ptr::from_ref(node.value)) {
                found.push(node);
            }
        };
        for node in from {
            for selector in &self.selectors {
                selector.select(node, scope, &mut add)?;
            }
        }
        Ok(found)
    }
}

/// A place and everything below it, but what was seen.
fn descend<'v>(
    node: &Node<'v>,
    seen: &mut HashSet<*const Value>,
    found: &mut Vec<Node<'v>>,
    patience: &Patience,
) -> Result<(), Exceeded> {
    if !seen.insert(std::ptr::from_ref(node.value)) {
        return Ok(());
    }
    found.push(node.clone());
    for child in node.children() {
        patience.take(1)?;
        descend(&child, seen, found, patience)?;
    }
    Ok(())
}

impl Selector {
    fn select<'v>(
        &self,
        node: &Node<'v>,
        scope: Scope<'v, '_>,
        found: &mut impl FnMut(Node<'v>),
    ) -> Result<(), Exceeded> {
        scope.patience.take(1)?;
        match self {
            Self::Name(name) => node.member(name).into_iter().for_each(found),
            Self::Index(index) => {
                let length = node.value.as_array().map_or(0, Vec::len);
                let at = absolute(*index, length);
                let at = at.and_then(|at| usize::try_from(at).ok());
                at.and_then(|at| node.item(at)).into_iter().for_each(found);
            }
            Self::Slice { start, end, step } => {
                let length = node.value.as_array().map_or(0, Vec::len);
                for at in slice(length, (*start, *end), *step) {
                    scope.patience.take(1)?;
                    node.item(at).into_iter().for_each(&mut *found);
                }
            }
            Self::All => {
                for child in node.children() {
                    scope.patience.take(1)?;
                    found(child);
                }
            }
            Self::Filter(condition) => {
                for child in node.children() {
                    scope.patience.take(1)?;
                    let here = child.value;
                    if condition.holds(Scope { here, ..scope })? {
                        found(child);
                    }
                }
            }
        }
        Ok(())
    }
}

/// An index counted from the end if it is negative.
fn absolute(index: i64, length: usize) -> Option<i64> {
    if index >= 0 {
        return Some(index);
    }
    index.checked_add(i64::try_from(length).ok()?)
}

/// The indexes of a slice (RFC 9535 section 2.3.4.2.2).
fn slice(length: usize, (start, end): (Option<i64>, Option<i64>), step: i64) -> Vec<usize> {
    let Ok(count) = i64::try_from(length) else {
        return Vec::new();
    };
    let bound = |given: Option<i64>, default: i64, (low, high): (i64, i64)| {
        let at = given.map_or(default, |at| absolute(at, length).unwrap_or(low));
        at.clamp(low, high)
    };
    let mut found = Vec::new();
    if step > 0 {
        let (mut at, end) = (bound(start, 0, (0, count)), bound(end, count, (0, count)));
        while at < end {
            found.extend(usize::try_from(at));
            at = at.saturating_add(step);
        }
    } else if step < 0 {
        let range = (-1, count - 1);
        let (mut at, end) = (bound(start, count - 1, range), bound(end, -1, range));
        while at > end {
            found.extend(usize::try_from(at));
            at = at.saturating_add(step);
        }
    }
    found
}

impl<'v> Node<'v> {
    fn children(&self) -> impl Iterator<Item = Self> {
        let members = self.value.as_object().into_iter().flatten();
        let members = members.map(|(name, value)| (Token::Member(name), value));
        let items = self.value.as_array().into_iter().flatten().enumerate();
        let items = items.map(|(index, value)| (Token::Item(index), value));
        members.chain(items).map(|(to, value)| self.step(to, value))
    }

    fn member(&self, name: &str) -> Option<Self> {
        let (name, value) = self.value.as_object()?.get_key_value(name)?;
        Some(self.step(Token::Member(name), value))
    }

    fn item(&self, index: usize) -> Option<Self> {
        let value = self.value.as_array()?.get(index)?;
        Some(self.step(Token::Item(index), value))
    }

    fn step(&self, to: Token<'v>, value: &'v Value) -> Self {
        let before = self.way.clone();
        Self {
            value,
            way: Some(Rc::new(Step { before, to })),
        }
    }

    fn way(&self) -> Vec<Token<'v>> {
        let steps = std::iter::successors(self.way.as_deref(), |step| step.before.as_deref());
        let mut way: Vec<Token<'v>> = steps.map(|step| step.to).collect();
        way.reverse();
        way
    }
}

fn pointer(way: &[Token<'_>]) -> String {
    let mut pointer = String::new();
    for token in way {
        let _ = match token {
            Token::Member(name) => write!(pointer, "/{}", escape(name)),
            Token::Item(index) => write!(pointer, "/{index}"),
        };
    }
    pointer
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(query: &str, root: &Value) -> Vec<String> {
        let query: Query = query.parse().unwrap();
        query.pointers(root, &Patience::new(100_000)).unwrap()
    }

    /// Examples of RFC 9535, and what people write into overlays.
    #[test]
    fn places_are_those_of_the_standard() {
        let root = json!({
            "o": {"j j": {"k.k": 3}, "'": {"@": 2}},
            "a": [3, 5, 1, 2, 4, 6, {"b": "j"}, {"b": "k"}, {"b": {}}, {"b": "kilo"}],
            "e": {"a/b": {"x": true}, "m~n": null},
            "long": "text",
        });
        for (query, expected) in [
            ("$", vec![""]),
            ("$.o['j j']['k.k']", vec!["/o/j j/k.k"]),
            ("$.o[\"j j\"]", vec!["/o/j j"]),
            ("$['o']['\\'']['@']", vec!["/o/'/@"]),
            ("$ .e [ 'a\\u002fb' ]", vec!["/e/a~1b"]),
            ("$.e.*", vec!["/e/a~1b", "/e/m~0n"]),
            ("$.a[1]", vec!["/a/1"]),
            ("$.a[-1].b", vec!["/a/9/b"]),
            ("$.a[-11]", vec![]),
            ("$.a[1:3]", vec!["/a/1", "/a/2"]),
            ("$.a[7:]", vec!["/a/7", "/a/8", "/a/9"]),
            ("$.a[1:5:2]", vec!["/a/1", "/a/3"]),
            // A set in its own order, whatever that of the slice.
            ("$.a[5:1:-2]", vec!["/a/3", "/a/5"]),
            ("$.a[::-5]", vec!["/a/4", "/a/9"]),
            ("$.a[0,0,2,0:1]", vec!["/a/0", "/a/2"]),
            ("$.a[?@.b == 'kilo']", vec!["/a/9"]),
            ("$.a[?(@.b == 'kilo')]", vec!["/a/9"]),
            ("$.a[?@>3.5]", vec!["/a/1", "/a/4", "/a/5"]),
            ("$.a[?@.b]", vec!["/a/6", "/a/7", "/a/8", "/a/9"]),
            ("$.a[?!@.b && @ <= 2]", vec!["/a/2", "/a/3"]),
            ("$.a[?@<2 || @.b == \"k\"]", vec!["/a/2", "/a/7"]),
            ("$.a[?match(@.b, '[jk]')]", vec!["/a/6", "/a/7"]),
            ("$.a[?search(@.b, '[jk]')]", vec!["/a/6", "/a/7", "/a/9"]),
            ("$.a[?length(@.b) > 3]", vec!["/a/9"]),
            ("$.a[?@ == $.a[0]]", vec!["/a/0"]),
            ("$[?count(@.*) == 2]", vec!["/e", "/o"]),
            ("$[?value(@..['k.k']) == 3.0]", vec!["/o"]),
            ("$[?@['a/b'].x == true]", vec!["/e"]),
            ("$[?@['m~n'] == null]", vec!["/e"]),
            ("$..b", vec!["/a/6/b", "/a/7/b", "/a/8/b", "/a/9/b"]),
            ("$..[?@.x]", vec!["/e/a~1b"]),
            ("$.o..*", vec!["/o/'", "/o/'/@", "/o/j j", "/o/j j/k.k"]),
            ("$..*..['@']", vec!["/o/'/@"]),
            ("$.nowhere", vec![]),
        ] {
            assert_eq!(found(query, &root), expected, "{query}");
        }
    }

    #[test]
    fn what_is_no_query_is_refused() {
        for text in [
            "",
            "a",
            "$.",
            "$..",
            "$[",
            "$[]",
            "$['a'",
            "$['a]",
            "$[?]",
            "$[?@.a ==]",
            "$[?@.* == 1]",
            "$[?1]",
            "$[?@.a == {}]",
            "$[?length(@.a)]",
            "$[?count(1) > 0]",
            "$[?match(@.a, @.b)]",
            "$[?match(@.a, '[')]",
            "$[?nothing(@.a)]",
            "$[01]",
            "$[99999999999999999999]",
            "$.a b",
            "@.a",
        ] {
            assert!(text.parse::<Query>().is_err(), "{text}");
        }
        let nested = format!("$[?{}@{}]", "(".repeat(400), ")".repeat(400));
        assert!(nested.parse::<Query>().is_err());
    }

    #[test]
    fn no_query_looks_at_more_than_it_may() {
        let mut root = json!({});
        for _ in 0..40 {
            root = json!({"a": root});
        }
        // Two of each, at forty levels.
        let doubled = format!("${}", "[*,*]".repeat(40));
        assert_eq!(found(&doubled, &root).len(), 1);
        let everywhere = format!("${}", "..*".repeat(40));
        assert_eq!(found(&everywhere, &root).len(), 1);
        let wide: Vec<Value> = (0..100).map(|at| json!([at])).collect();
        let wide = json!({ "d": wide });
        let query: Query = "$.d[?count($.d[?count($.d[?count($.d[*]) > 0]) > 0]) > 0]"
            .parse()
            .unwrap();
        let patience = Patience::new(100_000);
        assert_eq!(query.pointers(&wide, &patience), Err(Exceeded));
    }
}
