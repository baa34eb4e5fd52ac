//! Path templates, parsed.

use percent_encoding::percent_decode_str;

pub use crate::openapi::{PathPiece, PathTemplate};

/// Splits a template into literals and variables.
///
/// # Errors
/// What is wrong with the braces.
pub fn parse(raw: &str) -> Result<PathTemplate, &'static str> {
    let mut pieces = Vec::new();
    let mut rest = raw;
    while let Some(open) = rest.find(['{', '}']) {
        let (literal, from) = rest.split_at(open);
        if from.starts_with('}') {
            return Err("a `}` without its `{`");
        }
        if !literal.is_empty() {
            pieces.push(PathPiece::Literal(literal.to_owned()));
        }
        let close = from.find('}').ok_or("a `{` without its `}`")?;
        let name = &from[1..close];
        if name.is_empty() {
            return Err("a parameter without a name");
        }
        if name.contains('{') {
            return Err("a `{` within a parameter");
        }
        pieces.push(PathPiece::Variable(name.to_owned()));
        rest = &from[close + 1..];
    }
    if !rest.is_empty() {
        pieces.push(PathPiece::Literal(rest.to_owned()));
    }
    Ok(PathTemplate {
        raw: raw.to_owned(),
        pieces,
        query: Vec::new(),
    })
}

/// The template with its parameters by position: `/pets/{}`.
pub fn positional(template: &str) -> String {
    let template = template.trim();
    match parse(template) {
        Ok(path) => path
            .pieces
            .iter()
            .map(|piece| match piece {
                PathPiece::Literal(text) => text.as_str(),
                PathPiece::Variable(_) => "{}",
            })
            .collect(),
        Err(_) => template.to_owned(),
    }
}

/// Where `mark` first stands outside of `{}`.
pub fn outside_braces(template: &str, mark: char) -> Option<usize> {
    let mut inside = false;
    template
        .char_indices()
        .find(|(_, c)| {
            match c {
                '{' => inside = true,
                '}' => inside = false,
                _ => {}
            }
            *c == mark && !inside
        })
        .map(|(index, _)| index)
}

/// A path's query, without the pairs that a query parameter of the same name stands for, and those with
/// variables that are no parameters of the path.
pub fn query(
    query: &str,
    in_query: impl Fn(&str) -> bool,
    in_path: impl Fn(&str) -> bool,
) -> Vec<PathPiece> {
    let is_sent = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        let name = percent_decode_str(name).decode_utf8_lossy();
        let known = parse(pair).is_ok_and(|pair| {
            pair.pieces.iter().all(|piece| match piece {
                PathPiece::Literal(_) => true,
                PathPiece::Variable(name) => in_path(name),
            })
        });
        !pair.is_empty() && known && !in_query(&name)
    };
    let pairs: Vec<&str> = query.split('&').filter(is_sent).collect();
    parse(&pairs.join("&")).map_or_else(|_| Vec::new(), |query| query.pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_have_balanced_braces() {
        let path = parse("/a/{b}.{c}/d").unwrap();
        let literal = |text: &str| PathPiece::Literal(text.to_owned());
        let variable = |name: &str| PathPiece::Variable(name.to_owned());
        assert_eq!(
            path.pieces,
            [
                literal("/a/"),
                variable("b"),
                literal("."),
                variable("c"),
                literal("/d")
            ]
        );
        for bad in ["/a/{b", "/a/b}", "/a/{}", "/a/{{b}}", "/a/}{"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(positional("/a/{b}/c/{d}"), "/a/{}/c/{}");
    }

    #[test]
    fn a_query_in_the_path_is_taken_apart() {
        assert_eq!(outside_braces("/a/{?b}?c=1", '?'), Some(7));
        let literal = |text: &str| PathPiece::Literal(text.to_owned());
        let read = |text| query(text, |name| name == "d", |name| name == "id");
        assert_eq!(
            read("a=1&a=2&b&c=%20+&d=4&%64=5&e={f}&&g={id}"),
            [
                literal("a=1&a=2&b&c=%20+&g="),
                PathPiece::Variable("id".to_owned())
            ]
        );
        assert_eq!(read("d=4&{"), []);
    }
}
