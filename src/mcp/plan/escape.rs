//! Percent-encoding: which characters stay, by place (RFC 3986, RFC 6570, URL Standard).

use std::fmt::Write;

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but RFC 3986 `unreserved`.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// `allowReserved`, in every place: the reserved characters that end nothing anywhere.
const RESERVED: &AsciiSet = &VALUE
    .remove(b':')
    .remove(b'@')
    .remove(b'!')
    .remove(b'$')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'=');

/// In a query `#` and `&` end the value, `+` is a space, and `[` and `]` are not allowed
/// (RFC 3986 section 3.4; OAS 3.1.1 section 4.8.12.2.2).
const RESERVED_IN_QUERY: &AsciiSet = &RESERVED.remove(b'/').remove(b'?').remove(b',').remove(b';');

/// In a path `/`, `?` and `#` are forbidden by OpenAPI itself (OAS 3.2.0, "Path Templating"), and
/// `,` and `;` divide the values of the styles.
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'&').remove(b'+');

/// In a cookie `;` ends the value, and a comma or space is no `cookie-octet` (RFC 6265).
const RESERVED_IN_COOKIE: &AsciiSet = &RESERVED
    .remove(b'/')
    .remove(b'?')
    .remove(b'#')
    .remove(b'[')
    .remove(b']')
    .remove(b'+');

/// Literal text of a path template: what RFC 3986 `pchar` and `/` do not cover.
const LITERAL: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'^')
    .add(b'|')
    .add(b'\\');

const LITERAL_QUERY: &AsciiSet = &LITERAL.remove(b'?');

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// Percent-encoded but for `unreserved`.
    Percent,
    /// RFC 6570 reserved expansion: reserved characters and percent-encoded triples stay.
    QueryReserved,
    PathReserved,
    CookieReserved,
    /// As they are: headers, `style: cookie`, parts of a multipart body.
    Plain,
}

impl Escape {
    pub(super) fn write(self, text: &str) -> String {
        match self {
            Self::Percent => utf8_percent_encode(text, VALUE).to_string(),
            Self::QueryReserved => reserved(text, RESERVED_IN_QUERY),
            Self::PathReserved => reserved(text, RESERVED_IN_PATH),
            Self::CookieReserved => reserved(text, RESERVED_IN_COOKIE),
            Self::Plain => text.to_owned(),
        }
    }

    /// A name is never expanded as reserved.
    pub(super) fn name(self, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            _ => Self::Percent.write(text),
        }
    }

    /// A delimiter that is no URL character by itself.
    pub(super) fn delimiter(self, delimiter: &str) -> String {
        if delimiter == "," {
            delimiter.to_owned()
        } else {
            self.name(delimiter)
        }
    }
}

/// Percent-encodes all but percent-encoded triples that are there already (RFC 6570 section 3.2.1).
fn reserved(text: &str, set: &'static AsciiSet) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let (before, from) = rest.split_at(at);
        out.extend(utf8_percent_encode(before, set));
        let digits = from.as_bytes().get(1..3);
        let triple = digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let length = if triple { 3 } else { 1 };
        let (taken, after) = from.split_at(length);
        out.push_str(if triple { taken } else { "%25" });
        rest = after;
    }
    out.extend(utf8_percent_encode(rest, set));
    out
}

pub(super) fn literal(out: &mut String, text: &str) {
    out.extend(utf8_percent_encode(text, LITERAL));
}

/// The same of a query, where a `?` is a character like others (RFC 3986 section 3.4).
pub(super) fn literal_query(out: &mut String, text: &str) {
    out.extend(utf8_percent_encode(text, LITERAL_QUERY));
}

/// `application/x-www-form-urlencoded` (URL Standard section 5): a space is `+`.
pub(super) fn form(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'*' | b'-' | b'.' | b'_' => out.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            byte => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// JSON that a header can carry: everything beyond ASCII escaped (RFC 8259 section 7), and the
/// line breaks, which JSON has only between tokens, made spaces.
pub(super) fn ascii_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            ' '..='~' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_characters_and_triples_stay_where_they_end_nothing() {
        let text = "%41%zz:/?#[]@!$&'()*+,;= é";
        for (escape, expected) in [
            (
                Escape::Percent,
                "%2541%25zz%3A%2F%3F%23%5B%5D%40%21%24%26%27%28%29%2A%2B%2C%3B%3D%20%C3%A9",
            ),
            (
                Escape::QueryReserved,
                "%41%25zz:/?%23%5B%5D@!$%26'()*%2B,;=%20%C3%A9",
            ),
            (
                Escape::PathReserved,
                "%41%25zz:%2F%3F%23%5B%5D@!$&'()*+%2C%3B=%20%C3%A9",
            ),
            (
                Escape::CookieReserved,
                "%41%25zz:/?#[]@!$%26'()*+%2C%3B=%20%C3%A9",
            ),
            (Escape::Plain, text),
        ] {
            assert_eq!(escape.write(text), expected, "{escape:?}");
        }
    }
}
