//! Names callers ask by, and what each leads to: exact ones, beginnings, and patterns.

use std::collections::HashMap;

use regex::{Regex, RegexBuilder};

/// What the name of a model begins with that is a regular expression.
pub const REGEX: &str = "re:";
/// What one may take when it is compiled, and while it is compared, in bytes.
const REGEX_BYTES_MAX: usize = 256 << 10;
const REGEX_CACHE_BYTES_MAX: usize = 512 << 10;
const REGEX_NESTING_MAX: u32 = 32;
/// Longer names match no expression.
const NAME_BYTES_COMPARED: usize = 200;
/// Of names that are compared letter by letter.
const NAME_CHARS_COMPARED: usize = 200;

/// What a name is that something is stored under.
#[derive(Clone, Debug)]
pub enum Pattern {
    Exact(String),
    /// `prefix*`.
    Prefix(String),
    /// `re:` and an expression that all of a name has to match.
    Regex(Box<Regex>),
}

impl Pattern {
    /// # Errors
    /// Where it is an expression that is none, or too large.
    pub fn read(name: &str) -> Result<Self, regex::Error> {
        if let Some(expression) = name.strip_prefix(REGEX) {
            let whole = format!("^(?:{expression})$");
            let regex = RegexBuilder::new(&whole)
                .size_limit(REGEX_BYTES_MAX)
                .dfa_size_limit(REGEX_CACHE_BYTES_MAX)
                .nest_limit(REGEX_NESTING_MAX)
                .build()?;
            return Ok(Self::Regex(Box::new(regex)));
        }
        Ok(match name.strip_suffix('*') {
            None => Self::Exact(name.to_owned()),
            Some(prefix) => Self::Prefix(prefix.to_owned()),
        })
    }

    /// Whether a caller's name may lead to it.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(known) => known == name,
            Self::Prefix(prefix) => name.starts_with(prefix.as_str()),
            Self::Regex(regex) => name.len() <= NAME_BYTES_COMPARED && regex.is_match(name),
        }
    }
}

/// Names and where they lead: exact ones first, then the prefix that is longest, then the first expression that matches.
#[derive(Clone, Debug)]
pub struct Names<T> {
    exact: HashMap<String, T>,
    /// By their length, longest first.
    prefixes: Vec<(String, T)>,
    /// By their rank, and of the same rank in the order they came in.
    regexes: Vec<(u32, Regex, T)>,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self {
            exact: HashMap::new(),
            prefixes: Vec::new(),
            regexes: Vec::new(),
        }
    }
}

impl<T> Names<T> {
    /// Of expressions, those of a lower rank are tried first.
    pub fn insert(&mut self, pattern: Pattern, rank: u32, what: T) {
        match pattern {
            Pattern::Exact(name) => {
                self.exact.insert(name, what);
            }
            Pattern::Prefix(prefix) => {
                let place = self
                    .prefixes
                    .partition_point(|(known, _)| known.len() > prefix.len());
                self.prefixes.insert(place, (prefix, what));
            }
            Pattern::Regex(regex) => {
                let place = self.regexes.partition_point(|(known, _, _)| *known <= rank);
                self.regexes.insert(place, (rank, *regex, what));
            }
        }
    }

    pub fn find(&self, name: &str) -> Option<&T> {
        let prefix = || {
            let mut prefixes = self.prefixes.iter();
            let found = prefixes.find(|(prefix, _)| name.starts_with(prefix.as_str()));
            found.map(|(_, what)| what)
        };
        let regex = || {
            // A name of any length costs as much as it is long, for each expression.
            let mut regexes = self
                .regexes
                .iter()
                .filter(|_| name.len() <= NAME_BYTES_COMPARED);
            let found = regexes.find(|(_, regex, _)| regex.is_match(name));
            found.map(|(_, _, what)| what)
        };
        self.exact.get(name).or_else(prefix).or_else(regex)
    }

    /// Names that can be asked for as they are, in no order.
    pub fn exact(&self) -> impl Iterator<Item = (&str, &T)> {
        self.exact.iter().map(|(name, what)| (name.as_str(), what))
    }

    /// What all names lead to, in no order.
    pub fn all(&self) -> impl Iterator<Item = &T> {
        let prefixes = self.prefixes.iter().map(|(_, what)| what);
        let regexes = self.regexes.iter().map(|(.., what)| what);
        self.exact.values().chain(prefixes).chain(regexes)
    }
}

/// The names most like one that is not there, the likest first: those a slip of the hand away, or that contain it.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>, most: usize) -> Vec<&'a str> {
    let wanted = name.to_lowercase();
    let mut ranked: Vec<(usize, &str)> = known
        .filter_map(|known| {
            let candidate = known.to_lowercase();
            let apart = distance(&wanted, &candidate);
            let contained = candidate.contains(&wanted) || wanted.contains(&candidate);
            (contained || apart * 3 <= wanted.len().max(candidate.len())).then_some((apart, known))
        })
        .collect();
    ranked.sort_unstable();
    ranked
        .into_iter()
        .take(most)
        .map(|(_, name)| name)
        .collect()
}

/// How many letters have to be added, removed or changed (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (
        a.chars().take(NAME_CHARS_COMPARED).collect(),
        b.chars().take(NAME_CHARS_COMPARED).collect(),
    );
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut before = i;
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = before + usize::from(from != to);
            before = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(before + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn those<'a>(names: &[(&'a str, u32)]) -> Names<&'a str> {
        let mut known = Names::default();
        for (name, rank) in names {
            known.insert(Pattern::read(name).unwrap(), *rank, *name);
        }
        known
    }

    #[test]
    fn names_lead_to_the_most_particular() {
        let known = those(&[
            ("re:.*-mini", 0),
            ("gpt-4*", 0),
            ("re:claude-(opus|sonnet)-[0-9]+", 0),
            ("re:claude-.*", 0),
            ("gpt-4o", 0),
            ("gpt-4o*", 0),
            ("re:llama.*", 7),
            ("re:llama-3.*", 2),
            ("re:.*", 4_000),
        ]);
        for (name, expected) in [
            ("gpt-4o", "gpt-4o"),
            ("gpt-4o-mini", "gpt-4o*"),
            ("gpt-4", "gpt-4*"),
            ("o4-mini", "re:.*-mini"),
            // In the order they were added, whichever matches more narrowly.
            ("claude-opus-4", "re:claude-(opus|sonnet)-[0-9]+"),
            ("claude-haiku-4", "re:claude-.*"),
            // By rank first.
            ("llama-3.3", "re:llama-3.*"),
            ("llama-4", "re:llama.*"),
            // All of a name has to match, and an alternative does not undo that.
            ("xclaude-opus-4", "re:.*"),
        ] {
            assert_eq!(known.find(name), Some(&expected), "{name}");
        }
        assert_eq!(Names::<()>::default().find("x"), None);
        // One that nobody would give a model costs no time.
        let long = "l".repeat(NAME_BYTES_COMPARED);
        assert_eq!(known.find(&long), Some(&"re:.*"));
        assert_eq!(known.find(&format!("{long}l")), None);
        assert_eq!(known.find(&format!("gpt-4o{long}")), Some(&"gpt-4o*"));
        let either = those(&[("re:a|b", 0)]);
        assert_eq!(
            (either.find("a"), either.find("ab")),
            (Some(&"re:a|b"), None)
        );
    }

    #[test]
    fn an_expression_is_bounded() {
        for (name, good) in [
            ("re:gpt-[45]o?", true),
            ("re:(", false),
            (r"re:\w{1000}{1000}", false),
            ("re:(?:(?:a{100}){100}){100}", false),
            (&format!("re:{}a{}", "(".repeat(60), ")".repeat(60)), false),
        ] {
            assert_eq!(Pattern::read(name).is_ok(), good, "{name}");
        }
        for (pattern, name, matches) in [
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-4o-mini", false),
            ("gpt-4o*", "gpt-4o-mini", true),
            ("re:gpt-4o?", "gpt-4", true),
            ("re:gpt-4o?", "gpt-4o-mini", false),
        ] {
            let read = Pattern::read(pattern).unwrap();
            assert_eq!(read.matches(name), matches, "{pattern} {name}");
        }
        // One that is slow elsewhere takes the time of the name's length.
        let slow = those(&[("re:(a+)+b", 0)]);
        assert_eq!(slow.find(&"a".repeat(200)), None);
    }

    #[test]
    fn near_names_are_found() {
        let known = ["gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5", "demo"];
        let near = |name| nearest(name, known.iter().copied(), 2);
        assert_eq!(near("gpt4o"), ["gpt-4o"]);
        assert_eq!(near("gpt-4o-mimi"), ["gpt-4o-mini", "gpt-4o"]);
        assert_eq!(near("CLAUDE-sonnet"), ["claude-sonnet-4-5"]);
        assert!(near("llama").is_empty());
    }
}
