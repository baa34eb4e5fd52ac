//! A query from its text (RFC 9535 section 2, appendix A).

use std::str::FromStr;

use regex::{Regex, RegexBuilder};
use serde_json::Value;

use crate::openapi::query::condition::{Comparison, Condition, Operand};
use crate::openapi::query::{Query, Segment, Selector};

/// Filters and parentheses within each other.
const DEPTH_MAX: usize = 24;
/// What a pattern may become.
const PATTERN_BYTES_MAX: usize = 1 << 20;

impl FromStr for Query {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut reader = Reader {
            text,
            rest: text,
            depth: 0,
        };
        if !reader.takes("$") {
            return Err("it does not begin with `$`".to_owned());
        }
        let query = reader.query(false)?;
        if reader.rest.is_empty() {
            Ok(query)
        } else {
            Err(reader.fault("the end is expected"))
        }
    }
}

struct Reader<'t> {
    text: &'t str,
    rest: &'t str,
    depth: usize,
}

type Read<T> = Result<T, String>;

impl Reader<'_> {
    fn fault(&self, expected: &str) -> String {
        let at = self.text.len() - self.rest.len();
        format!("at byte {at}, {expected}")
    }

    fn takes(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// The same, with spaces before it.
    fn next_takes(&mut self, text: &str) -> bool {
        self.spaces();
        self.takes(text)
    }

    fn expect(&mut self, text: &str) -> Read<()> {
        if self.next_takes(text) {
            return Ok(());
        }
        Err(self.fault(&format!("`{text}` is expected")))
    }

    fn spaces(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    /// Reads within one more level.
    fn within<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        if self.depth >= DEPTH_MAX {
            return Err(format!("it is nested deeper than {DEPTH_MAX} levels"));
        }
        self.depth += 1;
        let found = read(self);
        self.depth -= 1;
        found
    }

    /// What follows `$` or `@`.
    fn query(&mut self, relative: bool) -> Read<Query> {
        let mut segments = Vec::new();
        loop {
            let before = self.rest;
            self.spaces();
            match self.segment()? {
                Some(segment) => segments.push(segment),
                None => {
                    self.rest = before;
                    return Ok(Query { relative, segments });
                }
            }
        }
    }

    fn segment(&mut self) -> Read<Option<Segment>> {
        let deep = self.takes("..");
        let selectors = if self.takes("[") {
            self.selectors()?
        } else if deep || self.takes(".") {
            vec![self.shorthand()?]
        } else {
            return Ok(None);
        };
        Ok(Some(Segment { deep, selectors }))
    }

    fn shorthand(&mut self) -> Read<Selector> {
        if self.takes("*") {
            return Ok(Selector::All);
        }
        let is_part = |c: char| c == '_' || c.is_ascii_alphanumeric() || !c.is_ascii();
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(self.fault("a name is expected"));
        }
        self.rest = rest;
        Ok(Selector::Name(name.to_owned()))
    }

    fn selectors(&mut self) -> Read<Vec<Selector>> {
        let mut found = vec![self.selector()?];
        while self.next_takes(",") {
            found.push(self.selector()?);
        }
        self.expect("]")?;
        Ok(found)
    }

    fn selector(&mut self) -> Read<Selector> {
        self.spaces();
        if self.takes("*") {
            return Ok(Selector::All);
        }
        if self.takes("?") {
            return Ok(Selector::Filter(self.within(Self::any)?));
        }
        if let Some(name) = self.string()? {
            return Ok(Selector::Name(name));
        }
        let start = self.integer()?;
        if !self.next_takes(":") {
            let index = start.map(Selector::Index);
            return index.ok_or_else(|| self.fault("a selector is expected"));
        }
        self.spaces();
        let end = self.integer()?;
        let mut step = None;
        if self.next_takes(":") {
            self.spaces();
            step = self.integer()?;
        }
        let step = step.unwrap_or(1);
        Ok(Selector::Slice { start, end, step })
    }

    /// An integer as JSON writes it.
    fn integer(&mut self) -> Read<Option<i64>> {
        /// What every reader of JSON can tell apart (RFC 7493).
        const MAX: u64 = (1 << 53) - 1;
        let digits = self.rest.strip_prefix('-').unwrap_or(self.rest);
        let end = digits.find(|c: char| !c.is_ascii_digit());
        let length = self.rest.len() - digits.len() + end.unwrap_or(digits.len());
        let (number, rest) = self.rest.split_at(length);
        if number.is_empty() {
            return Ok(None);
        }
        let value = serde_json::from_str::<i64>(number).ok();
        let value = value.filter(|value| value.unsigned_abs() <= MAX && number != "-0");
        let value = value.ok_or_else(|| self.fault("an index is expected"))?;
        self.rest = rest;
        Ok(Some(value))
    }

    /// A text in single or double quotes.
    fn string(&mut self) -> Read<Option<String>> {
        let Some(quote) = self.rest.chars().next().filter(|c| matches!(c, '\'' | '"')) else {
            return Ok(None);
        };
        // As JSON writes it: the one quote is not escaped there, the other is.
        let mut json = String::from('"');
        let mut letters = self.rest.char_indices().skip(1);
        while let Some((at, c)) = letters.next() {
            match c {
                c if c == quote => {
                    json.push('"');
                    let text = serde_json::from_str(&json);
                    let text = text.map_err(|_| self.fault("the text is no text of JSON"))?;
                    self.rest = &self.rest[at + 1..];
                    return Ok(Some(text));
                }
                '\\' => match letters.next() {
                    Some((_, '\'')) if quote == '\'' => json.push('\''),
                    Some((_, '"')) if quote == '\'' => break,
                    Some((_, c)) => json.extend(['\\', c]),
                    None => break,
                },
                '"' => json.push_str("\\\""),
                c => json.push(c),
            }
        }
        Err(self.fault("the text is not closed, or escapes what it may not"))
    }

    fn any(&mut self) -> Read<Condition> {
        let mut conditions = vec![self.all()?];
        while self.next_takes("||") {
            conditions.push(self.all()?);
        }
        Ok(one_or(conditions, Condition::Any))
    }

    fn all(&mut self) -> Read<Condition> {
        let mut conditions = vec![self.basic()?];
        while self.next_takes("&&") {
            conditions.push(self.basic()?);
        }
        Ok(one_or(conditions, Condition::All))
    }

    fn basic(&mut self) -> Read<Condition> {
        if self.next_takes("!") {
            self.spaces();
            let condition = match self.grouped()? {
                Some(condition) => condition,
                None => self.condition()?,
            };
            return Ok(Condition::Not(Box::new(condition)));
        }
        match self.grouped()? {
            Some(condition) => Ok(condition),
            None => self.condition(),
        }
    }

    fn grouped(&mut self) -> Read<Option<Condition>> {
        if !self.takes("(") {
            return Ok(None);
        }
        let condition = self.within(Self::any)?;
        self.expect(")")?;
        Ok(Some(condition))
    }

    /// A pattern, a comparison, or a query that has to lead somewhere.
    fn condition(&mut self) -> Read<Condition> {
        for (name, whole) in [("match", true), ("search", false)] {
            if self.calls(name) {
                let text = self.argument()?;
                self.expect(",")?;
                self.spaces();
                let pattern = self.string()?;
                let pattern =
                    pattern.ok_or_else(|| self.fault("a pattern in quotes is expected"))?;
                self.expect(")")?;
                return Ok(Condition::Pattern(text, compiled(&pattern, whole)?));
            }
        }
        let before = self.rest;
        let left = self.operand()?;
        let Some(comparison) = self.comparison() else {
            return match left {
                Term::Query(query) => Ok(Condition::Exists(query)),
                Term::Value(_) => {
                    self.rest = before;
                    Err(self.fault("a condition is expected"))
                }
            };
        };
        self.spaces();
        let right = self.operand()?;
        Ok(Condition::Compare(
            self.single(left)?,
            comparison,
            self.single(right)?,
        ))
    }

    fn comparison(&mut self) -> Option<Comparison> {
        self.spaces();
        let signs = [
            ("==", Comparison::Equal),
            ("!=", Comparison::Unequal),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        let found = signs.into_iter().find(|(sign, _)| self.takes(sign));
        found.map(|(_, comparison)| comparison)
    }

    /// Whether a call of that function begins here, which is stepped into.
    fn calls(&mut self, name: &str) -> bool {
        let rest = self.rest.strip_prefix(name);
        let rest = rest.and_then(|rest| rest.strip_prefix('('));
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn operand(&mut self) -> Read<Term> {
        self.spaces();
        if self.calls("length") {
            let of = self.within(Self::argument)?;
            self.expect(")")?;
            return Ok(Term::Value(Operand::Length(Box::new(of))));
        }
        for (name, operand) in [
            ("count", Operand::Count as fn(Query) -> Operand),
            ("value", Operand::Only),
        ] {
            if self.calls(name) {
                let Term::Query(query) = self.operand()? else {
                    return Err(self.fault("a query is expected"));
                };
                self.expect(")")?;
                return Ok(Term::Value(operand(query)));
            }
        }
        for (sign, relative) in [("@", true), ("$", false)] {
            if self.takes(sign) {
                let query = self.within(|reader| reader.query(relative))?;
                return Ok(Term::Query(query));
            }
        }
        Ok(Term::Value(Operand::Literal(self.literal()?)))
    }

    /// What a function takes one value from.
    fn argument(&mut self) -> Read<Operand> {
        let term = self.operand()?;
        self.single(term)
    }

    fn single(&self, term: Term) -> Read<Operand> {
        match term {
            Term::Value(operand) => Ok(operand),
            Term::Query(query) if query.is_singular() => Ok(Operand::Query(query)),
            Term::Query(_) => Err(self.fault("what is compared may lead to several places")),
        }
    }

    fn literal(&mut self) -> Read<Value> {
        if let Some(text) = self.string()? {
            return Ok(text.into());
        }
        for (word, value) in [
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("null", Value::Null),
        ] {
            if self.takes(word) {
                return Ok(value);
            }
        }
        let is_part = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at(end);
        let value = serde_json::from_str::<serde_json::Number>(number);
        let value = value.map_err(|_| self.fault("a value is expected"))?;
        self.rest = rest;
        Ok(value.into())
    }
}

/// What stands on one side of a comparison.
enum Term {
    Query(Query),
    Value(Operand),
}

fn one_or(
    mut conditions: Vec<Condition>,
    several: impl FnOnce(Vec<Condition>) -> Condition,
) -> Condition {
    match (conditions.len(), conditions.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            conditions.extend(last);
            several(conditions)
        }
    }
}

fn compiled(pattern: &str, whole: bool) -> Read<Regex> {
    let text = if whole {
        format!("^(?:{pattern})$")
    } else {
        pattern.to_owned()
    };
    let built = RegexBuilder::new(&text)
        .size_limit(PATTERN_BYTES_MAX)
        .build();
    built.map_err(|_| "a pattern of it is none, or too large".to_owned())
}
