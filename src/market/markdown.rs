//! Markdown as HTML that says something and does nothing.
//!
//! What is rendered may be hostile: the text of a document somebody uploaded. Only the elements below
//! are ever written, with the attributes below; everything else is text, escaped. Images and raw HTML
//! are left out.

use std::fmt::Write;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use url::Url;

use crate::market::language::Html;

/// More of a text is not rendered.
const TEXT_BYTES_MAX: usize = 256 << 10;
/// Elements inside one another; deeper ones show their text.
const DEPTH_MAX: usize = 24;

/// Where the links of a text lead.
pub enum Links<'a> {
    /// To other sites, in a text nobody vouches for.
    Foreign,
    /// Ours: links to other files of ours lead to their pages below this address.
    Docs(&'a str),
}

/// A heading of a text, and the fragment that leads to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    pub level: usize,
    pub text: String,
    pub fragment: String,
}

/// The text as HTML, its headings one level further down than it has them.
pub fn render(text: &str, links: &Links<'_>) -> Html {
    let text = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
    let mut writer = Writer {
        out: String::with_capacity(text.len() + text.len() / 4),
        links,
        open: Vec::new(),
        silent: 0,
        headings: 0,
        in_head: false,
    };
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        writer.event(event);
    }
    while let Some(close) = writer.open.pop() {
        writer.out.push_str(close);
    }
    Html::trusted(writer.out)
}

/// The headings of a text, in order.
pub fn headings(text: &str) -> Vec<Heading> {
    let mut found: Vec<Heading> = Vec::new();
    let mut inside = false;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                inside = true;
                found.push(Heading {
                    level: rank(level),
                    text: String::new(),
                    fragment: format!("h-{}", found.len() + 1),
                });
            }
            Event::End(TagEnd::Heading(_)) => inside = false,
            Event::Text(text) | Event::Code(text) if inside => {
                if let Some(heading) = found.last_mut() {
                    heading.text.push_str(&text);
                }
            }
            _ => {}
        }
    }
    found
}

struct Writer<'a> {
    out: String,
    links: &'a Links<'a>,
    /// What closes each element that is open; empty for one that was not written.
    open: Vec<&'static str>,
    /// Inside so many elements that show nothing.
    silent: usize,
    headings: usize,
    in_head: bool,
}

impl Writer<'_> {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(Tag::Image { .. } | Tag::HtmlBlock | Tag::MetadataBlock(_)) => {
                self.silent += 1;
            }
            Event::End(TagEnd::Image | TagEnd::HtmlBlock | TagEnd::MetadataBlock(_)) => {
                self.silent = self.silent.saturating_sub(1);
            }
            _ if self.silent > 0 => {}
            Event::Start(tag) => self.start(&tag),
            Event::End(tag) => {
                self.in_head &= tag != TagEnd::TableHead;
                let close = self.open.pop().unwrap_or_default();
                self.close(close);
            }
            Event::Text(text) => self.text(&text),
            Event::Code(text) => {
                self.out.push_str("<code>");
                self.text(&text);
                self.out.push_str("</code>");
            }
            Event::SoftBreak => self.out.push('\n'),
            Event::HardBreak => self.out.push_str("<br>"),
            Event::Rule => self.out.push_str("<hr>"),
            // Raw HTML is neither run nor shown; what else there is needs extensions that are off.
            _ => {}
        }
    }

    fn start(&mut self, tag: &Tag<'_>) {
        if self.open.len() >= DEPTH_MAX {
            self.open.push("");
            return;
        }
        let (open, close) = match tag {
            Tag::Paragraph => ("<p>", "</p>\n"),
            Tag::Heading { level, .. } => return self.heading(*level),
            Tag::BlockQuote(_) => ("<blockquote>", "</blockquote>\n"),
            Tag::CodeBlock(CodeBlockKind::Fenced(_) | CodeBlockKind::Indented) => {
                ("<pre tabindex=\"0\"><code>", "</code></pre>\n")
            }
            Tag::List(Some(_)) => ("<ol>", "</ol>\n"),
            Tag::List(None) => ("<ul>", "</ul>\n"),
            Tag::Item => ("<li>", "</li>\n"),
            Tag::Table(_) => (
                "<div class=\"scroll\" tabindex=\"0\"><table>",
                "</table></div>\n",
            ),
            Tag::TableHead => {
                self.in_head = true;
                ("<thead><tr>", "</tr></thead>\n")
            }
            Tag::TableRow => ("<tr>", "</tr>\n"),
            Tag::TableCell if self.in_head => ("<th scope=\"col\">", "</th>"),
            Tag::TableCell => ("<td>", "</td>"),
            Tag::Emphasis => ("<em>", "</em>"),
            Tag::Strong => ("<strong>", "</strong>"),
            Tag::Link { dest_url, .. } => return self.link(dest_url),
            _ => ("", ""),
        };
        self.out.push_str(open);
        self.open.push(close);
    }

    /// Ends an element. What heads no column is no heading.
    fn close(&mut self, close: &str) {
        const HEADING: &str = "<th scope=\"col\">";
        if close == "</th>" && self.out.ends_with(HEADING) {
            self.out.truncate(self.out.len() - HEADING.len());
            self.out.push_str("<td></td>");
        } else {
            self.out.push_str(close);
        }
    }

    fn heading(&mut self, level: HeadingLevel) {
        const LEVELS: [(&str, &str); 6] = [
            ("<h1", "</h1>\n"),
            ("<h2", "</h2>\n"),
            ("<h3", "</h3>\n"),
            ("<h4", "</h4>\n"),
            ("<h5", "</h5>\n"),
            ("<h6", "</h6>\n"),
        ];
        self.headings += 1;
        let (open, close) = match self.links {
            // The page has a heading of its own, and its sections have theirs.
            Links::Foreign => LEVELS[(rank(level) + 1).min(5)],
            Links::Docs(_) => LEVELS[rank(level) - 1],
        };
        self.out.push_str(open);
        if let Links::Docs(_) = self.links {
            let _ = write!(self.out, " id=\"h-{}\"", self.headings);
        }
        self.out.push('>');
        self.open.push(close);
    }

    fn link(&mut self, to: &str) {
        let Some(address) = self.address(to) else {
            self.open.push("");
            return;
        };
        let address = Html::from(address.as_str());
        let ours = matches!(self.links, Links::Docs(_)) && !to.contains(':');
        let rel = if ours {
            ""
        } else {
            " rel=\"nofollow noopener noreferrer\""
        };
        let _ = write!(self.out, "<a href=\"{address}\"{rel}>");
        self.open.push("</a>");
    }

    /// Where a link may lead; none for any other.
    fn address(&self, to: &str) -> Option<String> {
        if let Ok(url) = Url::parse(to) {
            let known = matches!(url.scheme(), "http" | "https" | "mailto");
            return known.then(|| url.to_string());
        }
        let Links::Docs(base) = self.links else {
            return None;
        };
        let (path, fragment) = to.split_once('#').unwrap_or((to, ""));
        let name = path.strip_suffix(".md")?;
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let name = name.strip_prefix("docs/").unwrap_or(name);
        let is_name = !name.is_empty() && name.bytes().all(plain) && fragment.bytes().all(plain);
        is_name.then(|| format!("{base}/{name}"))
    }

    fn text(&mut self, text: &str) {
        self.out.push_str(Html::from(text).as_str());
    }
}

fn rank(level: HeadingLevel) -> usize {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    fn foreign(text: &str) -> String {
        render(text, &Links::Foreign).to_string()
    }

    /// Whether nothing but known elements with known attributes is in it.
    fn is_harmless(html: &str) -> bool {
        let element = Regex::new(
            r#"^<(?:/?(?:p|h[3-6]|blockquote|ol|ul|li|table|thead|tr|td|em|strong|code|a|div)|/?(?:th|pre)|br|hr|th scope="col"|pre tabindex="0"|div class="scroll" tabindex="0"|a href="(?:https?://|mailto:)[^"<>]*" rel="nofollow noopener noreferrer")>"#,
        )
        .unwrap();
        html.match_indices('<')
            .all(|(at, _)| element.is_match(&html[at..]))
    }

    const HOSTILE: [&str; 26] = [
        "<script>alert(1)</script>",
        "<svg onload=alert(1)>",
        "a <img src=x onerror=alert(1)> b",
        "<div hx-get=\"/keys\" hx-trigger=load>x</div>",
        "<form action=/logout method=post><button>x</button></form>",
        "<p onclick='x'>\n\n**<b onmouseover=x>**",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](java\tscript:alert(1))",
        "[x](&#106;avascript:alert(1))",
        "[x](data:text/html,<script>alert(1)</script>)",
        "[x](vbscript:x) [y](//evil.example) [z](/logout) [w](file:///etc/passwd)",
        "<javascript:alert(1)>",
        "<https://a.example/\"onmouseover=alert(1)>",
        "[x](https://a.example/\"><script>alert(1)</script>)",
        "[x](https://a.example \"\\\" onclick=alert(1) \\\"\")",
        "![x](https://a.example/pixel.png)",
        "![<script>](javascript:x \"<script>\")",
        "```\"><script>alert(1)</script>\n<script>\n```",
        "    <script>alert(1)</script>",
        "| <script> | [a](javascript:x) |\n|-|-|\n| <svg/onload=x> | `<b>` |",
        "# <script>alert(1)</script> {onclick=x}",
        "<!-- --><![CDATA[<script>]]><?php ?>",
        "&lt;script&gt; &#60;script&#62;",
        "[a]: javascript:alert(1)\n\n[a] [![i](x)](javascript:y)",
        "---\ntitle: <script>\n---\n<style>*{}</style>",
    ];

    #[test]
    fn what_is_hostile_is_text_or_nothing() {
        for text in HOSTILE {
            let html = foreign(text);
            assert!(is_harmless(&html), "{text}: {html}");
            let nested = foreign(&format!("> - {text}\n>   1. {text}\n\n**{text}**"));
            assert!(is_harmless(&nested), "{text}: {nested}");
        }
        let deep = foreign(&"> - ".repeat(5_000));
        assert!(is_harmless(&deep) && deep.len() < 10_000, "{}", deep.len());
    }

    #[test]
    fn what_says_something_is_shown() {
        for (text, html) in [
            (
                "a *b* **c** `<d>`",
                "<p>a <em>b</em> <strong>c</strong> <code>&#60;d&#62;</code></p>\n",
            ),
            ("# One\n## Two", "<h3>One</h3>\n<h4>Two</h4>\n"),
            ("- a\n- b", "<ul><li>a</li>\n<li>b</li>\n</ul>\n"),
            (
                "[x](https://a.example/?b=1&c=2)",
                "<p><a href=\"https://a.example/?b=1&#38;c=2\" rel=\"nofollow noopener noreferrer\">x</a></p>\n",
            ),
            (
                "[mail](mailto:a@b.example)",
                "<p><a href=\"mailto:a@b.example\" rel=\"nofollow noopener noreferrer\">mail</a></p>\n",
            ),
            ("[x](javascript:y)", "<p>x</p>\n"),
            (
                "|a|\n|-|\n|b|",
                "<div class=\"scroll\" tabindex=\"0\"><table><thead><tr><th scope=\"col\">a</th></tr></thead>\n<tr><td>b</td></tr>\n</table></div>\n",
            ),
            (
                "| |a|\n|-|-|\n|b|c|",
                "<div class=\"scroll\" tabindex=\"0\"><table><thead><tr><td></td><th scope=\"col\">a</th></tr></thead>\n<tr><td>b</td><td>c</td></tr>\n</table></div>\n",
            ),
        ] {
            assert_eq!(foreign(text), html);
        }
        let ours = render(
            "# A\n[k](limits.md#x) [r](../README.md) ![left out](pictures/home.png)",
            &Links::Docs("/base/docs"),
        );
        assert_eq!(
            ours.as_str(),
            "<h1 id=\"h-1\">A</h1>\n<p><a href=\"/base/docs/limits\">k</a> r </p>\n"
        );
        let found = headings("# A `b`\n\ntext\n\n## C");
        assert_eq!(found[0].text, "A b");
        assert_eq!((found[1].level, found[1].fragment.as_str()), (2, "h-2"));
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_harmless(
            parts in proptest::collection::vec(
                prop_oneof![
                    "[ -~\n\t]{0,12}",
                    "\\PC{0,6}",
                    proptest::sample::select(HOSTILE.to_vec()).prop_map(str::to_owned),
                ],
                0..12,
            )
        ) {
            let text = parts.concat();
            let html = foreign(&text);
            prop_assert!(is_harmless(&html), "{text:?}: {html:?}");
        }
    }
}
