//! The commands of a text, and their words.

/// A command, with the comment above it.
pub struct Line {
    pub text: String,
    pub comment: Option<String>,
}

/// A comment longer than this is no name.
const COMMENT_CHARS_MAX: usize = 120;

/// The first line that says something.
pub fn first(text: &str) -> Option<&str> {
    let mut lines = text.lines().map(str::trim_start);
    lines.find(|line| !line.trim().is_empty() && !line.starts_with('#'))
}

/// Splits a text where a shell ends a command: at a line's end, `;`, `&&`, `||`, `|` or `&`, outside
/// of quotes. A backslash at a line's end joins it with the next.
pub fn commands(text: &str) -> impl Iterator<Item = Line> {
    let mut found = Vec::new();
    let mut comment: Option<String> = None;
    let mut current = String::new();
    let mut quote = None;
    let mut letters = text.chars().peekable();
    let mut finish = |current: &mut String, comment: &mut Option<String>| {
        let line = std::mem::take(current);
        let line = line.trim();
        if let Some(words) = line.strip_prefix('#') {
            let words = words.trim_start_matches(['#', '!']).trim();
            let is_name = !words.is_empty() && words.chars().count() <= COMMENT_CHARS_MAX;
            *comment = is_name.then(|| words.to_owned());
        } else if !line.is_empty() {
            let text = line.strip_prefix("$ ").unwrap_or(line).to_owned();
            let comment = comment.take();
            found.push(Line { text, comment });
        }
    };
    while let Some(c) = letters.next() {
        // Nothing stands before a command or a comment: spaces there are left out below.
        let in_comment = quote.is_none() && current.starts_with('#');
        match (quote, c) {
            (_, '\n') if in_comment => finish(&mut current, &mut comment),
            (_, c) if in_comment => current.push(c),
            (None, '\\') => {
                let next = letters.next();
                let next = next.filter(|c| *c != '\r' || letters.next_if_eq(&'\n').is_none());
                match next {
                    Some('\n') | None if current.is_empty() => {}
                    Some('\n') | None => current.push(' '),
                    Some(next) => current.extend(['\\', next]),
                }
            }
            (None, '$') if letters.peek() == Some(&'\'') => {
                letters.next();
                current.push_str(&ansi_quoted(&mut letters));
            }
            (None, '\n' | ';' | '|' | '&') => finish(&mut current, &mut comment),
            (None, '\'' | '"') => {
                quote = Some(c);
                current.push(c);
            }
            (Some('"'), '\\') => {
                current.push(c);
                current.extend(letters.next());
            }
            (Some(open), c) => {
                if c == open {
                    quote = None;
                }
                current.push(c);
            }
            (None, c) if current.is_empty() && c.is_whitespace() => {}
            (None, c) => current.push(c),
        }
    }
    finish(&mut current, &mut comment);
    found.into_iter()
}

/// `$'…'`, as browsers copy it, in plain quotes.
fn ansi_quoted(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let mut value = String::new();
    while let Some(c) = letters.next() {
        match c {
            '\'' => break,
            '\\' => match letters.next() {
                Some('n') => value.push('\n'),
                Some('t') => value.push('\t'),
                Some('r') => value.push('\r'),
                Some('u') => value.extend(hexadecimal(letters, 4)),
                Some('U') => value.extend(hexadecimal(letters, 8)),
                Some('x') => value.extend(hexadecimal(letters, 2)),
                Some(other) => value.push(other),
                None => {}
            },
            c => value.push(c),
        }
    }
    format!("'{}'", value.replace('\'', "'\\''"))
}

fn hexadecimal(
    letters: &mut std::iter::Peekable<std::str::Chars<'_>>,
    digits: usize,
) -> Option<char> {
    let mut code = 0;
    for _ in 0..digits {
        let Some(digit) = letters.peek().and_then(|c| c.to_digit(16)) else {
            break;
        };
        letters.next();
        code = code * 16 + digit;
    }
    char::from_u32(code)
}

/// The words of a command, as a shell splits them; `None` where a quote is not closed.
pub fn words(command: &str) -> Option<Vec<String>> {
    shlex::split(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_end_where_a_shell_ends_them() {
        let text = "#!/bin/sh\n\n# Get a user\ncurl 'https://a.example.com/x;y' \\\n  -H \"A: b\\\"c\" | jq .\n$ curl https://b.example.com && echo done\n";
        let found: Vec<_> = commands(text).collect();
        let texts: Vec<&str> = found.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(
            texts[0],
            "curl 'https://a.example.com/x;y'    -H \"A: b\\\"c\""
        );
        assert_eq!(texts[1], "jq .");
        assert_eq!(texts[2], "curl https://b.example.com");
        assert_eq!(found[0].comment.as_deref(), Some("Get a user"));
        assert_eq!(found[2].comment, None);
        assert_eq!(words(texts[0]).unwrap()[3], "A: b\"c");
        assert_eq!(words("curl 'a"), None);
    }

    #[test]
    fn quotes_of_browsers_are_read() {
        let line = commands("curl --data-raw $'{\"a\":\"it\\'s \\u00e9\\n\"}'")
            .next()
            .unwrap();
        assert_eq!(words(&line.text).unwrap()[2], "{\"a\":\"it's é\n\"}");
    }

    #[test]
    fn a_long_line_of_spaces_is_read_at_once() {
        let start = std::time::Instant::now();
        let text = format!("{}curl a{}", " ".repeat(40_000), "\\\n".repeat(10_000));
        assert_eq!(commands(&text).next().unwrap().text, "curl a");
        assert!(start.elapsed().as_secs() < 3, "{:?}", start.elapsed());
    }
}
