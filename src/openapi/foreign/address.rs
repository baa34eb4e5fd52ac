//! URLs as other formats write them: with `{{variables}}`, `:names` and whole values in them.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use indexmap::IndexMap;
use percent_encoding::percent_decode_str;

use crate::openapi::foreign::numbered::Numbered;
use crate::openapi::foreign::sample::{is_mail_address, is_variable};
use crate::openapi::foreign::secret::{is_secret, is_secret_value, is_uuid};

/// How deep the value of a variable may name other variables.
const NESTING_MAX: usize = 5;
/// A text that variables are put into does not grow beyond this.
const EXPANDED_BYTES_MAX: usize = 8 << 10;

/// The three parts of a URL, none of them decoded.
#[derive(Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// Scheme, host and port, or the variable that stands for them. Empty where there is none.
    pub base: &'a str,
    pub path: &'a str,
    pub query: &'a str,
}

/// Splits without a look at what the parts mean.
pub fn split(raw: &str) -> Parts<'_> {
    let raw = raw.trim();
    let raw = &raw[..outside(raw, '#').unwrap_or(raw.len())];
    let (raw, query) = match outside(raw, '?') {
        Some(at) => (&raw[..at], &raw[at + 1..]),
        None => (raw, ""),
    };
    let start = raw.find("://").map_or(0, |at| at + 3);
    let end = outside(&raw[start..], '/').map_or(raw.len(), |at| start + at);
    Parts {
        base: &raw[..end],
        path: &raw[end..],
        query,
    }
}

/// Where `mark` first stands outside of `{{}}`.
fn outside(text: &str, mark: char) -> Option<usize> {
    let mut depth = 0_usize;
    text.char_indices()
        .find(|(_, c)| {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            *c == mark && depth == 0
        })
        .map(|(at, _)| at)
}

/// The `name=value` pairs of a query, decoded. A pair without `=` has no value.
pub fn pairs(query: &str) -> Vec<(String, Option<String>)> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) => (decode(name), Some(decode(value))),
            None => (decode(pair), None),
        })
        .collect()
}

/// A literal text, or the name of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    Literal(&'a str),
    Variable(&'a str),
}

/// Splits a text at its `{{variables}}`.
pub fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find("{{") {
        let Some(close) = rest[open..].find("}}").map(|at| open + at) else {
            break;
        };
        if open > 0 {
            found.push(Piece::Literal(&rest[..open]));
        }
        found.push(Piece::Variable(rest[open + 2..close].trim()));
        rest = &rest[close + 2..];
    }
    if !rest.is_empty() {
        found.push(Piece::Literal(rest));
    }
    found
}

/// The text's only variable, if it is nothing else.
pub fn only_variable(text: &str) -> Option<&str> {
    match pieces(text.trim()).as_slice() {
        [Piece::Variable(name)] => Some(*name),
        _ => None,
    }
}

/// Variables whose values may be used: no secrets among them.
#[derive(Debug, Default)]
pub struct Variables {
    known: IndexMap<String, String>,
    /// Names whose values were left out.
    pub secret: HashSet<String>,
}

impl Variables {
    /// Takes a value over, unless it looks secret.
    pub fn insert(&mut self, name: &str, value: &str) {
        if value.trim().is_empty() {
            return;
        }
        if is_secret(name, value) {
            self.secret.insert(name.to_owned());
        } else {
            self.known.insert(name.to_owned(), value.to_owned());
        }
    }

    /// The value, with the variables in it replaced.
    pub fn value(&self, name: &str) -> Option<String> {
        self.expand(self.known.get(name)?).ok()
    }

    /// The text with all its variables replaced.
    ///
    /// # Errors
    /// The variable that has no value.
    pub fn expand(&self, text: &str) -> Result<String, String> {
        self.expand_at(text, 0)
    }

    fn expand_at(&self, text: &str, depth: usize) -> Result<String, String> {
        let mut out = String::new();
        for piece in pieces(text) {
            match piece {
                Piece::Literal(literal) => out.push_str(literal),
                Piece::Variable(name) => {
                    let value = self.known.get(name).filter(|_| depth < NESTING_MAX);
                    let value = value.ok_or_else(|| name.to_owned())?;
                    out.push_str(&self.expand_at(value, depth + 1)?);
                }
            }
            if out.len() > EXPANDED_BYTES_MAX {
                return Err("(too long)".to_owned());
            }
        }
        Ok(out)
    }
}

/// A server of a document: its URL, and its variables with their values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    pub url: String,
    /// Name and value of the variable that stands for the whole URL.
    pub variable: Option<(String, String)>,
    /// The scheme was not stated.
    pub guessed: bool,
}

impl Server {
    /// Its URL, without a variable.
    pub fn stated(&self) -> &str {
        self.variable.as_ref().map_or(&self.url, |(_, value)| value)
    }
}

/// The server a base stands for.
///
/// # Errors
/// The variable that has no value; empty where the base is no address at all.
pub fn server(base: &str, variables: &Variables) -> Result<Server, String> {
    let expanded = variables.expand(base)?;
    let expanded = expanded.trim().trim_end_matches('/');
    if expanded.is_empty() {
        return Err(String::new());
    }
    let (guessed, url) = if expanded.contains("://") {
        (false, expanded.to_owned())
    } else {
        let host = expanded.split(['/', ':']).next().unwrap_or_default();
        let near = host == "localhost" || host.parse::<std::net::Ipv4Addr>().is_ok();
        let scheme = if near { "http" } else { "https" };
        (true, format!("{scheme}://{expanded}"))
    };
    let mut parsed = url::Url::parse(&url).map_err(|_| String::new())?;
    if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
        return Err(String::new());
    }
    // A user name or password in the URL is a credential.
    let bare = parsed.set_username("").is_ok() && parsed.set_password(None).is_ok();
    if !bare {
        return Err(String::new());
    }
    parsed.set_query(None);
    parsed.set_fragment(None);
    let url = parsed.as_str().trim_end_matches('/').to_owned();
    let name = only_variable(base).filter(|name| !name.contains(['{', '}', '/']));
    Ok(match name {
        Some(name) => Server {
            url: format!("{{{name}}}"),
            variable: Some((name.to_owned(), url)),
            guessed,
        },
        None => Server {
            url,
            variable: None,
            guessed,
        },
    })
}

/// A path template, and its parameters in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PathShape {
    pub template: String,
    pub parameters: Vec<PathParameter>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct PathParameter {
    pub name: String,
    /// As the source names it, where it does.
    pub source: Option<String>,
    /// It was a value in the path, taken as a parameter.
    pub guessed: bool,
}

/// Reads a path: `:name`, `{{name}}` and `{name}` are parameters, and so are segments that are data.
pub fn path(raw: &str) -> PathShape {
    let mut reading = Reading::default();
    let mut before = "";
    let trimmed = raw.trim_start_matches('/');
    for (at, segment) in trimmed.split('/').enumerate() {
        reading.shape.template.push('/');
        reading.segment(segment, at, before);
        before = segment;
    }
    reading.shape
}

/// A path on its way.
#[derive(Default)]
struct Reading {
    shape: PathShape,
    /// What parameters are called.
    taken: HashSet<String>,
    names: Numbered,
    /// By what the source calls them.
    named: HashMap<String, String>,
}

impl Reading {
    fn segment(&mut self, segment: &str, at: usize, before: &str) {
        let named = segment.strip_prefix(':').filter(|name| !name.is_empty());
        if let Some(name) = named {
            let end = name.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '-');
            let (name, rest) = name.split_at(end.unwrap_or(name.len()));
            if !name.is_empty() {
                self.parameter(name, Some(name), false);
                self.literal(rest);
                return;
            }
        }
        if segment.contains('{') {
            let doubled = if segment.contains("{{") {
                segment.to_owned()
            } else {
                segment.replace('{', "{{").replace('}', "}}")
            };
            for piece in pieces(&doubled) {
                match piece {
                    Piece::Literal(text) => self.literal(text),
                    Piece::Variable(name) => self.parameter(name, Some(name), false),
                }
            }
            return;
        }
        // A first segment of digits is a version: /2/tweets, /2024-01-01/functions.
        let is_data = if at == 0 {
            is_secret_value(segment) || is_uuid(segment) || is_mail_address(segment)
        } else {
            is_variable(segment)
        };
        if is_data {
            self.parameter(&name_after(before), None, true);
        } else {
            self.literal(segment);
        }
    }

    fn literal(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '{' => self.shape.template.push_str("%7B"),
                '}' => self.shape.template.push_str("%7D"),
                '?' => self.shape.template.push_str("%3F"),
                '#' => self.shape.template.push_str("%23"),
                c => self.shape.template.push(c),
            }
        }
    }

    fn parameter(&mut self, name: &str, source: Option<&str>, guessed: bool) {
        let plain: String = name
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
            .take(64)
            .collect();
        let plain = if plain.is_empty() { "value" } else { &plain };
        let known = source.and_then(|source| self.named.get(source));
        let name = known.cloned().unwrap_or_else(|| {
            let name = self
                .names
                .name(plain, |name| self.taken.insert(name.to_owned()));
            if let Some(source) = source {
                self.named.insert(source.to_owned(), name.clone());
            }
            self.shape.parameters.push(PathParameter {
                name: name.clone(),
                source: source.map(str::to_owned),
                guessed,
            });
            name
        });
        let _ = write!(self.shape.template, "{{{name}}}");
    }
}

/// What a value after that segment is called: `userId` after `users`.
fn name_after(segment: &str) -> String {
    let word: String = segment
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    let starts = word.starts_with(|c: char| c.is_ascii_alphabetic());
    if !starts || is_variable(segment) || is_variable(&word) || word.len() > 40 {
        return "id".to_owned();
    }
    format!("{}Id", singular(&word))
}

fn singular(word: &str) -> String {
    let cut = |end: usize| word[..word.len() - end].to_owned();
    if word.ends_with("ies") && word.len() > 4 {
        return cut(3) + "y";
    }
    if ["sses", "xes", "ches", "shes"]
        .iter()
        .any(|end| word.ends_with(end))
    {
        return cut(2);
    }
    if word.ends_with('s') && !word.ends_with("ss") && word.len() > 2 {
        return cut(1);
    }
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(raw: &str) -> (String, Vec<String>) {
        let shape = path(raw);
        let names = shape.parameters.into_iter().map(|p| p.name).collect();
        (shape.template, names)
    }

    #[test]
    fn parts_of_a_url_are_found_around_variables() {
        let parts = split("{{base/url?}}/users/:id?a={{b&c}}#frag");
        assert_eq!((parts.base, parts.path), ("{{base/url?}}", "/users/:id"));
        assert_eq!(parts.query, "a={{b&c}}");
        let parts = split("https://api.example.com");
        assert_eq!((parts.base, parts.path), ("https://api.example.com", ""));
        assert_eq!(
            pairs("a=1&b&c=%20+x"),
            [
                ("a".to_owned(), Some("1".to_owned())),
                ("b".to_owned(), None),
                ("c".to_owned(), Some("  x".to_owned()))
            ]
        );
    }

    #[test]
    fn segments_that_are_data_become_parameters() {
        for (raw, template, names) in [
            (
                "/users/:id/orders/{{orderId}}",
                "/users/{id}/orders/{orderId}",
                vec!["id", "orderId"],
            ),
            ("/users/42", "/users/{userId}", vec!["userId"]),
            (
                "/categories/7/boxes/8",
                "/categories/{categoryId}/boxes/{boxId}",
                vec!["categoryId", "boxId"],
            ),
            ("/2/tweets", "/2/tweets", vec![]),
            (
                "/v1/a/3f0d0a52-5d53-4f38-9c5e-0d7ab0a0c0de",
                "/v1/a/{aId}",
                vec!["aId"],
            ),
            ("/a/{x}.json", "/a/{x}.json", vec!["x"]),
            ("/a/:x.json", "/a/{x}.json", vec!["x"]),
            ("/{{v}}/{{v}}", "/{v}/{v}", vec!["v"]),
            ("/a/1/2", "/a/{aId}/{id}", vec!["aId", "id"]),
            ("/a/b}c", "/a/b%7Dc", vec![]),
            ("/users/bob@example.com", "/users/{userId}", vec!["userId"]),
            (
                "/users/bob%40example.com",
                "/users/{userId}",
                vec!["userId"],
            ),
            (
                "/users/bob@example.com/9",
                "/users/{userId}/{id}",
                vec!["userId", "id"],
            ),
            ("/users/@me", "/users/@me", vec![]),
            (
                "/bot123456789:AAEhBP0av28vNkQ-xyzabcdefg/send",
                "/{id}/send",
                vec!["id"],
            ),
            (
                "/hooks/qWkzJhGtrWpLdKfjGhMnBvCx",
                "/hooks/{hookId}",
                vec!["hookId"],
            ),
            ("", "/", vec![]),
        ] {
            let (found, parameters) = named(raw);
            assert_eq!(found, template, "{raw}");
            assert_eq!(parameters, names, "{raw}");
        }
    }

    #[test]
    fn servers_are_stated_by_variables_that_are_known() {
        let mut variables = Variables::default();
        variables.insert("host", "api.example.com");
        variables.insert("base", "https://{{host}}/v2/");
        variables.insert("circle", "{{circle}}");
        variables.insert("token", "abc");
        let known = server("{{base}}", &variables).unwrap();
        assert_eq!(known.url, "{base}");
        assert_eq!(known.variable.unwrap().1, "https://api.example.com/v2");
        assert_eq!(
            server("{{host}}:8443", &variables).unwrap().url,
            "https://api.example.com:8443"
        );
        assert_eq!(
            server("localhost:3000", &variables).unwrap().url,
            "http://localhost:3000"
        );
        assert_eq!(
            server("https://me:pw@x.org", &variables).unwrap().url,
            "https://x.org"
        );
        assert_eq!(server("{{none}}", &variables), Err("none".to_owned()));
        assert_eq!(server("{{circle}}", &variables), Err("circle".to_owned()));
        assert_eq!(server("{{token}}", &variables), Err("token".to_owned()));
        assert!(server("ftp://x.org", &variables).is_err());
    }

    #[test]
    fn a_path_of_thousands_of_values_is_read_at_once() {
        let start = std::time::Instant::now();
        let shape = path(&"/1".repeat(3_000));
        assert_eq!(shape.parameters[2_998].name, "id2999");
        assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    }
}
