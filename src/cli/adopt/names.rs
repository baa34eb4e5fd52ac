//! Names of models that stand for many, as other gateways write them and as they are here: a `*` at the end, or a
//! regular expression.

use std::cmp::Reverse;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::llm::names::{Pattern, REGEX};

const NAME_LENGTH_MAX: usize = 200;

/// Whether a `*` stands elsewhere than at the end.
pub(crate) fn is_inner(pattern: &str) -> bool {
    pattern.find('*').is_some_and(|at| at + 1 != pattern.len())
}

/// Whether a name that fits a pattern may fit a shorter one of others, too.
pub(crate) fn is_covered<'a>(pattern: &str, mut others: impl Iterator<Item = &'a str>) -> bool {
    others.any(|other| {
        let is_shorter = other.contains('*') && other.len() < pattern.len();
        is_shorter && meet(head(other), head(pattern))
    })
}

/// The regular expression that is a pattern, in which each `*` stands for anything.
pub(crate) fn expression(pattern: &str) -> String {
    let pieces: Vec<String> = pattern.split('*').map(escaped).collect();
    format!("{REGEX}{}", pieces.join(".*"))
}

/// Whether a model can be called so.
pub(crate) fn is_name(name: &str) -> bool {
    let spaced = name.chars().any(|c| c.is_whitespace() || c.is_control());
    let is_fit = !name.is_empty() && name.len() <= NAME_LENGTH_MAX && !spaced;
    is_fit && Pattern::read(name).is_ok()
}

/// Makes regular expressions of patterns with a `*` elsewhere than at the end, of which the longest counts first. Names that
/// end in `*` come before all expressions; those that a longer one has to come before become one, too.
pub(crate) fn settle(models: &mut IndexMap<String, Map<String, Value>>) {
    let inner = models.keys().filter(|name| is_inner(name)).cloned();
    let inner: Vec<String> = inner.collect();
    let follows = |name: &str| {
        let mut longer = inner.iter().filter(|other| other.len() > name.len());
        name.ends_with('*') && longer.any(|other| meet(head(other), head(name)))
    };
    let all = models.keys().filter(|name| is_inner(name) || follows(name));
    let mut expressions: Vec<String> = all.cloned().collect();
    expressions.sort_by_key(|name| Reverse(name.len()));
    let settled = std::mem::take(models).into_iter().map(|(name, mut model)| {
        let Some(rank) = expressions.iter().position(|known| *known == name) else {
            return (name, model);
        };
        if rank > 0 {
            model.insert("rank".to_owned(), rank.into());
        }
        (expression(&name), model)
    });
    *models = settled.collect();
}

/// What all names begin with that fit a pattern.
fn head(pattern: &str) -> &str {
    pattern.split('*').next().unwrap_or_default()
}

/// Whether a name may begin with both.
fn meet(a: &str, b: &str) -> bool {
    a.starts_with(b) || b.starts_with(a)
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if r"\.+?()|[]{}^$".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::names::Names;

    #[test]
    fn a_pattern_is_covered_by_shorter_ones_that_names_may_fit() {
        for (other, covered) in [
            ("*", true),
            ("an*", true),
            ("anthropic*", true),
            ("*-large", true),
            ("anthropic/claude-*", false),
            ("anthropic/*", false),
            ("gpt-*", false),
            ("anthropic", false),
        ] {
            let others = std::iter::once(other);
            assert_eq!(is_covered("anthropic/*", others), covered, "{other}");
        }
    }

    #[test]
    fn the_longest_pattern_counts_first() {
        let names = [
            "*",
            "foo-*",
            "foo-*-bar",
            "foo-of-all-*",
            "gpt-*",
            "a.b*c",
            "exact",
        ];
        let models = names.map(|name| (name.to_owned(), Map::new()));
        let mut models = IndexMap::from(models);
        settle(&mut models);
        let settled: Vec<(&str, u64)> = models
            .iter()
            .map(|(name, it)| {
                (
                    name.as_str(),
                    it.get("rank").and_then(Value::as_u64).unwrap_or(0),
                )
            })
            .collect();
        assert_eq!(
            settled,
            [
                ("re:.*", 3),
                ("re:foo-.*", 1),
                ("re:foo-.*-bar", 0),
                ("foo-of-all-*", 0),
                ("gpt-*", 0),
                (r"re:a\.b.*c", 2),
                ("exact", 0),
            ]
        );
        let mut known = Names::default();
        for (name, rank) in &settled {
            let rank = u32::try_from(*rank).unwrap();
            known.insert(Pattern::read(name).unwrap(), rank, *name);
        }
        for (name, expected) in [
            ("foo-x-bar", "re:foo-.*-bar"),
            ("foo-x", "re:foo-.*"),
            ("foo-of-all-bar", "foo-of-all-*"),
            ("gpt-4o", "gpt-*"),
            ("a.bxc", r"re:a\.b.*c"),
            ("axbxc", "re:.*"),
            ("exact", "exact"),
        ] {
            assert_eq!(known.find(name), Some(&expected), "{name}");
        }
        // Without one of them, all stays.
        let mut plain = IndexMap::from([("*".to_owned(), Map::new())]);
        settle(&mut plain);
        assert!(plain.contains_key("*"));
    }

    #[test]
    fn names_that_cannot_be_are_known() {
        for (name, good) in [
            ("gpt-4o", true),
            ("re:gpt-[45]", true),
            ("re:(", false),
            ("a b", false),
            ("", false),
            (&"a".repeat(201), false),
        ] {
            assert_eq!(is_name(name), good, "{name}");
        }
    }
}
