//! Text in whatever charset it came.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// How many bytes tell what a text is.
const HEAD_BYTES: usize = 512;

/// The text of a body: by its byte order mark, then the header's word, then what the text itself
/// says, then UTF-8.
pub fn decode<'a>(body: &'a [u8], media_type: &str) -> Cow<'a, str> {
    let encoding = declared(media_type)
        .map(|encoding| order(encoding, media_type, body))
        .or_else(|| in_prolog(body))
        .or_else(|| wide_json(body));
    encoding.unwrap_or(UTF_8).decode(body).0
}

/// A NUL in the first bytes, and nothing that explains it: no byte order mark, no declared UTF-16,
/// no beginning of JSON in UTF-16.
pub fn looks_binary(body: &[u8], media_type: &str) -> bool {
    let wide = declared(media_type).is_some_and(|encoding| !encoding.is_ascii_compatible());
    !wide
        && Encoding::for_bom(body).is_none()
        && wide_json(body).is_none()
        && body.iter().take(HEAD_BYTES).any(|byte| *byte == 0)
}

/// The charset parameter of a media type (RFC 9110, section 8.3.2).
fn declared(media_type: &str) -> Option<&'static Encoding> {
    Encoding::for_label(label(media_type)?.as_bytes())
}

fn label(media_type: &str) -> Option<&str> {
    media_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("charset")
            .then(|| value.trim().trim_matches(['"', '\'']))
    })
}

/// `utf-16` names no order of bytes; without a mark, the zeros of ASCII tell it.
fn order(encoding: &'static Encoding, media_type: &str, body: &[u8]) -> &'static Encoding {
    let named = label(media_type).is_some_and(|label| label.to_ascii_lowercase().ends_with("le"));
    if encoding != UTF_16LE || named {
        return encoding;
    }
    let zeros = |first: usize| {
        let bytes = body.iter().take(HEAD_BYTES).skip(first).step_by(2);
        bytes.filter(|byte| **byte == 0).count()
    };
    if zeros(0) > zeros(1) {
        UTF_16BE
    } else {
        UTF_16LE
    }
}

/// JSON begins with an ASCII character (RFC 4627, section 3).
fn wide_json(body: &[u8]) -> Option<&'static Encoding> {
    match body {
        [0, b'{' | b'[' | b'"', ..] => Some(UTF_16BE),
        [b'{' | b'[' | b'"', 0, ..] => Some(UTF_16LE),
        _ => None,
    }
}

/// `encoding="…"` of an XML declaration, `charset=…` of an HTML head.
fn in_prolog(body: &[u8]) -> Option<&'static Encoding> {
    if !body.trim_ascii_start().starts_with(b"<") {
        return None;
    }
    let head = String::from_utf8_lossy(&body[..body.len().min(1_024)]).into_owned();
    let at = head
        .find("encoding=")
        .map(|at| at + 9)
        .or_else(|| head.find("charset=").map(|at| at + 8))?;
    let label: String = head[at..]
        .trim_start_matches(['"', '\''])
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || "-_:".contains(*c))
        .collect();
    Encoding::for_label(label.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(text: &str, big: bool) -> Vec<u8> {
        let order = if big {
            u16::to_be_bytes
        } else {
            u16::to_le_bytes
        };
        text.encode_utf16().flat_map(order).collect()
    }

    #[test]
    fn every_charset_becomes_the_same_text() {
        let japanese = b"\x93\xfa\x96{\x8c\xea";
        let chinese = b"\xd6\xd0\xce\xc4\x81\x30\x84\x36";
        let rows: [(Vec<u8>, &str, &str); 13] = [
            (japanese.to_vec(), "text/plain; charset=Shift_JIS", "日本語"),
            (
                chinese.to_vec(),
                "text/plain;charset=\"gb18030\"",
                "中文\u{a5}",
            ),
            (wide("été", false), "text/plain; charset=utf-16le", "été"),
            (wide("été", false), "text/plain; charset=utf-16", "été"),
            (wide("ete", true), "text/plain; charset=UTF-16", "ete"),
            (wide("été", true), "text/plain; charset=utf-16be", "été"),
            (
                b"caf\xe9".to_vec(),
                "text/plain; charset=iso-8859-1",
                "café",
            ),
            (
                b"caf\xe9 \x80".to_vec(),
                "text/plain; charset=latin1",
                "café €",
            ),
            (
                b"\xef\xbb\xbfcaf\xc3\xa9".to_vec(),
                "text/plain; charset=latin1",
                "café",
            ),
            (
                wide("{\"a\":\"é\"}", true),
                "application/json",
                "{\"a\":\"é\"}",
            ),
            (wide("[\"é\"]", false), "application/json", "[\"é\"]"),
            (
                b"<?xml version=\"1.0\" encoding=\"windows-1251\"?><a>\xe4\xe0</a>".to_vec(),
                "application/xml",
                "<?xml version=\"1.0\" encoding=\"windows-1251\"?><a>да</a>",
            ),
            (
                b"caf\xe9".to_vec(),
                "text/plain; charset=nonsense",
                "caf\u{fffd}",
            ),
        ];
        for (body, media_type, expected) in rows {
            assert_eq!(decode(&body, media_type), expected, "{media_type}");
            assert!(!looks_binary(&body, media_type), "{media_type}");
        }
        assert!(looks_binary(b"\x01\0\x02", "text/plain"));
    }
}
