//! The text of a page, as an API's proxy answers with where something went wrong. Every byte is looked
//! at a bounded number of times, whatever the page is made of.

/// Elements whose content is no text.
const SILENT: [&str; 4] = ["script", "style", "svg", "noscript"];

/// Whether a body is a page: its media type or its beginning says so.
pub(super) fn is_page(essence: &str, body: &str) -> bool {
    let begins = |with: &str| {
        let head = body.as_bytes().get(..with.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(with.as_bytes()))
    };
    matches!(essence, "text/html" | "application/xhtml+xml")
        || begins("<!doctype html")
        || begins("<html")
}

/// A page without its tags, scripts and styles, one space between words; not much more than
/// `bytes_max` of it.
pub(super) fn text(page: &str, bytes_max: usize) -> String {
    let mut text = String::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        push_words(&mut text, &rest[..at]);
        let tag = &rest[at..];
        if text.len() > bytes_max {
            return text;
        }
        let Some(end) = end_of(tag) else { return text };
        rest = &tag[end..];
    }
    push_words(&mut text, rest);
    text
}

/// Where the page goes on after the tag it begins with, and what belongs to that.
fn end_of(tag: &str) -> Option<usize> {
    if tag.starts_with("<!--") {
        return tag.find("-->").map(|end| end + 3);
    }
    let after = |at: usize| tag[at..].find('>').map(|end| at + end + 1);
    let name = &tag[1..];
    let name = &name[..name
        .find(|c: char| !c.is_ascii_alphanumeric())
        .unwrap_or(name.len())];
    let silent = SILENT.iter().find(|known| known.eq_ignore_ascii_case(name));
    match silent {
        Some(name) => closing(tag, name).and_then(after),
        None => after(0),
    }
}

/// Where the closing tag of that name begins, in whatever case it is written.
fn closing(text: &str, name: &str) -> Option<usize> {
    let mut ends = text.match_indices("</").map(|(at, _)| at);
    ends.find(|at| {
        let found = text.as_bytes().get(at + 2..at + 2 + name.len());
        found.is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes()))
    })
}

fn push_words(text: &mut String, piece: &str) {
    if piece.is_empty() {
        return;
    }
    let piece = piece
        .replace("&nbsp;", " ")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&apos;", "'")
        .replace("&amp;", "&");
    for word in piece.split_whitespace() {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn tags_scripts_and_styles_are_left_out() {
        for (page, expected) in [
            ("<p>a <b>b</b>&nbsp;c", "a b c"),
            ("<SCRIPT>x < y</script >a<Style>b</STYLE>c", "a c"),
            ("<!-- <p> -->a<svg><path/></svG>b<svg>c", "a b"),
            ("a<script></scrip></script", "a"),
            ("<é>a</é> b", "a b"),
            ("a <", "a"),
        ] {
            assert_eq!(text(page, 100), expected, "{page}");
        }
        assert!(is_page("text/plain", "<!DOCTYPE HTML><p>") && is_page("text/html", ""));
        assert!(!is_page("text/plain", "<htm") && !is_page("", "<!doctype é"));
    }

    #[test]
    fn a_page_of_any_size_is_read_once() {
        for piece in [
            "<svg></svg>",
            "<script></s",
            "<style></style x",
            "<!-- -->",
            "</script><sVg>",
            "<noscript>&amp;</noscript>",
        ] {
            let page = piece.repeat((1 << 20) / piece.len());
            let started = Instant::now();
            text(&page, 4_096);
            let took = started.elapsed();
            assert!(took < Duration::from_secs(5), "{piece}: {took:?}");
        }
    }
}
