//! The text of a template into literals and actions, and an action into words.

use crate::mcp::template::SyntaxError;

/// A piece of a template.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    Text(&'a str),
    /// What stands between the braces, without the signs that trim.
    Action(&'a str),
}

/// Splits a template at its braces and trims what they ask for.
///
/// # Errors
/// An action is not closed.
pub fn pieces(source: &str) -> Result<Vec<Piece<'_>>, SyntaxError> {
    let mut found = Vec::new();
    let mut rest = source;
    let mut trim_next = false;
    loop {
        let open = rest.find("{{");
        let mut text = &rest[..open.unwrap_or(rest.len())];
        if trim_next {
            text = text.trim_start();
        }
        let Some(open) = open else {
            found.push(Piece::Text(text));
            break;
        };
        let inner = &rest[open + 2..];
        let end = end(inner).ok_or_else(|| {
            let shown: String = inner.chars().take(40).collect();
            SyntaxError::Open(shown)
        })?;
        let mut action = &inner[..end];
        if let Some(trimmed) = action
            .strip_prefix("- ")
            .or_else(|| action.strip_prefix("-\n"))
        {
            text = text.trim_end();
            action = trimmed;
        }
        trim_next = false;
        if let Some(trimmed) = action
            .strip_suffix(" -")
            .or_else(|| action.strip_suffix("\n-"))
        {
            trim_next = true;
            action = trimmed;
        }
        if !text.is_empty() {
            found.push(Piece::Text(text));
        }
        let action = action.trim();
        if !(action.starts_with("/*") && action.ends_with("*/")) {
            found.push(Piece::Action(action));
        }
        rest = &inner[end + 2..];
    }
    found.retain(|piece| *piece != Piece::Text(""));
    Ok(found)
}

/// Where the closing braces stand, outside of quotes.
fn end(inner: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in inner.char_indices() {
        match quote {
            None if inner[at..].starts_with("}}") => return Some(at),
            None if matches!(c, '"' | '`' | '\'') => quote = Some(c),
            Some('"' | '\'') if escaped => escaped = false,
            Some('"' | '\'') if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            _ => {}
        }
    }
    None
}

/// A word of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// A name, such as a function or a keyword.
    Name(String),
    /// `.a.b`; `.` alone has no fields.
    Field(Vec<String>),
    /// `.a` right behind a closing bracket.
    Member(Vec<String>),
    /// `$x.a`; `$` alone has an empty name.
    Variable(String, Vec<String>),
    Text(String),
    /// A GJSON path in backquotes, which Higress looks up.
    Raw(String),
    Number(String),
    Sign(&'static str),
}

/// The words of an action.
///
/// # Errors
/// A character that has no place there.
pub fn words(action: &str) -> Result<Vec<Word>, SyntaxError> {
    let bad = |rule| SyntaxError::Action(action.chars().take(80).collect(), rule);
    let mut found = Vec::new();
    let mut rest = action.trim_start();
    let mut spaced = true;
    while let Some(c) = rest.chars().next() {
        let used = match c {
            '"' | '\'' => {
                let (text, used) = quoted(rest, c).ok_or_else(|| bad("a quote is not closed"))?;
                found.push(Word::Text(text));
                used
            }
            '`' => {
                let close = rest[1..]
                    .find('`')
                    .ok_or_else(|| bad("a quote is not closed"))?;
                found.push(Word::Raw(rest[1..=close].to_owned()));
                close + 2
            }
            '.' => {
                let (fields, used) = fields(rest);
                let behind_bracket = found.last() == Some(&Word::Sign(")")) && !spaced;
                found.push(if behind_bracket {
                    Word::Member(fields)
                } else {
                    Word::Field(fields)
                });
                used.max(1)
            }
            '$' => {
                let name = name(&rest[1..]);
                let behind = &rest[1 + name.len()..];
                let (fields, used) = fields(behind);
                found.push(Word::Variable(name.to_owned(), fields));
                1 + name.len() + used
            }
            '|' => sign(&mut found, "|"),
            '(' => sign(&mut found, "("),
            ')' => sign(&mut found, ")"),
            ',' => sign(&mut found, ","),
            ':' if rest.starts_with(":=") => sign(&mut found, ":="),
            '=' => sign(&mut found, "="),
            c if c.is_ascii_digit() || c == '-' || c == '+' => {
                let end = rest[1..]
                    .find(|c: char| !c.is_ascii_digit() && c != '.' && c != 'e' && c != 'E')
                    .map_or(rest.len(), |at| at + 1);
                let number = rest[..end].trim_start_matches('+');
                number
                    .parse::<f64>()
                    .map_err(|_| bad("a number is expected"))?;
                found.push(Word::Number(number.to_owned()));
                end
            }
            c if c.is_alphabetic() || c == '_' => {
                let name = name(rest);
                found.push(Word::Name(name.to_owned()));
                name.len()
            }
            _ => return Err(bad("a sign has no place there")),
        };
        let behind = &rest[used..];
        rest = behind.trim_start();
        spaced = rest.len() < behind.len();
    }
    Ok(found)
}

fn sign(found: &mut Vec<Word>, sign: &'static str) -> usize {
    found.push(Word::Sign(sign));
    sign.len()
}

fn name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

/// `.a.b-c.0` as its names. Higress allows what GJSON does: digits and hyphens too.
fn fields(text: &str) -> (Vec<String>, usize) {
    let mut found = Vec::new();
    let mut at = 0;
    while text[at..].starts_with('.') {
        let behind = &text[at + 1..];
        let end = behind
            .find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-' | '@' | '#'))
            .unwrap_or(behind.len());
        if end == 0 {
            break;
        }
        found.push(behind[..end].to_owned());
        at += 1 + end;
    }
    (found, at)
}

/// A text in quotes with Go's escapes, and how long it is.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut out = String::new();
    let mut letters = text.char_indices().skip(1);
    while let Some((at, c)) = letters.next() {
        match c {
            '\\' => match letters.next()?.1 {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                'u' => {
                    let mut code = 0;
                    for _ in 0..4 {
                        code = code * 16 + letters.next()?.1.to_digit(16)?;
                    }
                    out.push(char::from_u32(code)?);
                }
                // An escape that only GJSON knows, `\.` or `\:`, is kept for it.
                other @ ('.' | ':' | '*' | '?' | '|' | '#' | '@') => {
                    out.push('\\');
                    out.push(other);
                }
                other => out.push(other),
            },
            c if c == quote => return Some((out, at + 1)),
            c => out.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_trim_as_they_say() {
        let found = pieces("a \n{{- /* no */ -}} b {{- .x }} c{{ \"}}\" }}").unwrap();
        assert_eq!(
            found,
            [
                Piece::Text("a"),
                Piece::Text("b"),
                Piece::Action(".x"),
                Piece::Text(" c"),
                Piece::Action("\"}}\""),
            ]
        );
        assert!(pieces("{{ .x").is_err());
    }

    #[test]
    fn words_are_told_apart() {
        let found = words("$x := printf \"%d\\n\" .a.b-c (len $.y) | add -1").unwrap();
        assert_eq!(found[0], Word::Variable("x".to_owned(), Vec::new()));
        assert_eq!(found[3], Word::Text("%d\n".to_owned()));
        assert_eq!(
            found[4],
            Word::Field(vec!["a".to_owned(), "b-c".to_owned()])
        );
        assert_eq!(
            found[7],
            Word::Variable(String::new(), vec!["y".to_owned()])
        );
        assert_eq!(found.last(), Some(&Word::Number("-1".to_owned())));
        assert!(words("a % b").is_err());
    }
}
