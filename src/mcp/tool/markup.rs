//! Markup taken out of descriptions: what is left is what a person would read aloud.
//!
//! In: Markdown with HTML in it, as API descriptions are written. Out: lines of plain text. Unknown
//! tags stay, because `<id>` is more often a placeholder than markup.

/// One line of a description, and what it was written as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub text: String,
    pub kind: LineKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    Prose,
    Heading,
    /// In a fenced block, or a row of a table.
    Literal,
}

/// Elements that are markup wherever they stand.
const ELEMENTS: &str = " a abbr article b big blockquote body br button caption center cite code \
    dd del details div dl dt em figure font footer h1 h2 h3 h4 h5 h6 head header hr html i iframe \
    img ins kbd li link main marquee mark meta nav ol p picture pre s samp script section small \
    source span strike strong style sub summary sup svg table tbody td textarea tfoot th thead \
    title tr tt u ul var video ";

/// Elements after which a new line begins.
const BREAKS: &str = " br p div li ul ol tr table h1 h2 h3 h4 h5 h6 pre blockquote hr section dt dd \
    details summary ";

/// Elements whose content is no text.
const SILENT: [&str; 3] = ["script", "style", "svg"];

/// The lines of `text` without HTML and Markdown.
pub fn lines(text: &str) -> Vec<Line> {
    let text = entities(&without_tags(text));
    let mut fenced = false;
    let mut lines: Vec<Line> = Vec::new();
    // Whether the last line is of a paragraph that may go on.
    let mut open = false;
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with("```") || line.starts_with("~~~") {
            fenced = !fenced;
            continue;
        }
        let heading = line.starts_with('#') && line.trim_start_matches('#').starts_with(' ');
        let kind = if fenced || line.starts_with('|') {
            LineKind::Literal
        } else if heading {
            LineKind::Heading
        } else {
            LineKind::Prose
        };
        let plain = if fenced {
            line.to_owned()
        } else {
            inline(line.trim_start_matches('#').trim())
        };
        let is_rule = plain
            .bytes()
            .all(|b| matches!(b, b'-' | b'=' | b'*' | b'_' | b'|' | b':' | b' '));
        // An address alone is no sentence, and none goes on from it.
        let is_address = plain.starts_with("http") && !plain.contains(' ');
        if plain.is_empty() || is_address {
            open = false;
        }
        if is_rule || is_address {
            continue;
        }
        match lines.last_mut() {
            Some(Line { text, .. }) if open && kind == LineKind::Prose && !is_item(&plain) => {
                text.push(' ');
                text.push_str(&plain);
            }
            _ => lines.push(Line { text: plain, kind }),
        }
        open = kind == LineKind::Prose;
    }
    lines
}

/// Whether a line is an item of a list.
fn is_item(line: &str) -> bool {
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
    line.starts_with(['-', '*', '+', '•'])
        || rest.len() < line.len() && rest.starts_with(['.', ')'])
}

fn without_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        let Some((name, after)) = tag(rest) else {
            out.push('<');
            rest = &rest[1..];
            continue;
        };
        let closes = rest.starts_with("</");
        rest = after;
        if SILENT.contains(&name.as_str()) && !closes {
            let end = format!("</{name}");
            let found = rest.to_ascii_lowercase().find(&end);
            rest = found.map_or("", |at| &rest[at..]);
        } else if BREAKS.contains(&format!(" {name} ")) {
            out.push_str("\n\n");
        }
    }
    out.push_str(rest);
    out
}

/// The name of the HTML tag `text` begins with, and what follows the tag.
fn tag(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix("</").or_else(|| text.strip_prefix('<'))?;
    let length = inner
        .find(|c: char| !c.is_ascii_alphanumeric())
        .unwrap_or(inner.len());
    let name = inner[..length].to_ascii_lowercase();
    let known = !name.is_empty() && ELEMENTS.contains(&format!(" {name} "));
    let ends = inner[length..].starts_with(['>', '/', ' ', '\n', '\t']);
    let end = inner.find('>')?;
    (known && ends).then(|| (name, &inner[end + 1..]))
}

fn entities(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    [
        ("&nbsp;", " "),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// Links become their words, emphasis and pictures go.
fn inline(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find('[') {
        let picture = rest[..at].ends_with('!');
        let linked = rest[at + 1..].split_once("](").and_then(|(label, tail)| {
            let whole = !label.contains(['[', ']']);
            let end = tail.find(')').filter(|_| whole)?;
            Some((label, &tail[end + 1..]))
        });
        let Some((label, tail)) = linked else {
            out.push_str(&rest[..=at]);
            rest = &rest[at + 1..];
            continue;
        };
        out.push_str(&rest[..at - usize::from(picture)]);
        out.push_str(if picture { "" } else { label });
        rest = tail;
    }
    out.push_str(rest);
    out.replace("**", "").replace("__", "")
}

#[cfg(test)]
mod tests {
    use crate::mcp::tool::markup::lines;

    #[test]
    fn markup_goes_and_words_stay() {
        let cases = [
            ("plain <id> text, a < b", "plain <id> text, a < b"),
            (
                "<p>One <b>two</b></p><script>alert(1)</script>three",
                "One two\nthree",
            ),
            (
                "See [the guide](https://x.example/a(b) now ![i](u)",
                "See the guide now ",
            ),
            ("## Title\n\n---\n**Bold** &lt;x&gt;", "Title\nBold <x>"),
            (
                "One\ntwo.\n\nThree\n- a\n- b\n c",
                "One two.\nThree\n- a\n- b c",
            ),
            ("a <!-- b --> c [d] [e][f]", "a  c [d] [e][f]"),
            ("<unclosed <a", "<unclosed <a"),
        ];
        for (text, expected) in cases {
            let found: Vec<String> = lines(text).into_iter().map(|line| line.text).collect();
            assert_eq!(found.join("\n"), expected, "{text}");
        }
    }
}
