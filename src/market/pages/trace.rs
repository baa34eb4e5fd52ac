//! A call explained, for people: what was asked, what was sent, what came back.

use http::StatusCode;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::market::language::Language;
use crate::market::pages::copies::curl_of;
use crate::mcp::call::Trace;

/// How much of one text is shown.
pub const TEXT_BYTES_MAX: usize = 64 << 10;
/// How many parts of a result are shown.
const PARTS_MAX: usize = 50;
/// How large an image is shown, in characters of base64.
const IMAGE_CHARS_MAX: usize = 2 << 20;

/// What a call showed of itself.
#[derive(Clone, Debug)]
pub struct TraceView {
    pub id: String,
    pub dry_run: bool,
    /// The tool's answer is an error.
    pub failed: bool,
    /// `200 OK`.
    pub status: Option<String>,
    /// The API said so itself: 4xx or 5xx.
    pub refused: bool,
    pub first_byte: String,
    pub total: String,
    pub arguments: String,
    /// Arguments that were read as the JSON they held.
    pub healed: String,
    pub request: Option<RequestView>,
    pub parts: Vec<Part>,
    /// Parts that are not shown.
    pub hidden: usize,
    /// The result as the caller of the tool gets it.
    pub whole: Option<String>,
}

/// A request, secrets masked.
#[derive(Clone, Debug)]
pub struct RequestView {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<String>,
    pub body_size: usize,
    /// The same, sent with curl.
    pub curl: String,
}

/// One part of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Text(String),
    /// A `data:` URL.
    Image(String),
    /// What cannot be shown here: its media type, and about how large it is.
    Other {
        media: String,
        bytes: usize,
    },
}

impl TraceView {
    /// What happened, in a few words: a message's key.
    pub fn title(&self) -> &'static str {
        match (self.dry_run, self.failed) {
            (true, true) => "trace-would-fail",
            (true, false) => "trace-would-send",
            (false, true) => "trace-failed",
            (false, false) => "trace-succeeded",
        }
    }

    pub fn new(trace: Trace, language: Language) -> Self {
        let shown = |text: &str| shown(text, language);
        let cut = |text: &str| cut(text, language);
        let whole = trace.result.as_deref().map(RawValue::get);
        let result: Value = whole
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default();
        let content = result["content"].as_array();
        let count = content.map_or(0, Vec::len);
        let status = trace
            .status
            .and_then(|code| StatusCode::from_u16(code).ok());
        Self {
            dry_run: trace.dry_run,
            failed: result["isError"] == true,
            status: status.map(|status| status.to_string()),
            refused: status
                .is_some_and(|status| status.is_client_error() || status.is_server_error()),
            first_byte: milliseconds(trace.timings.first_byte_ms),
            total: milliseconds(trace.timings.upstream_ms),
            arguments: trace
                .arguments
                .map_or_else(|| "{}".to_owned(), |a| shown(a.get())),
            healed: trace.healed.join(", "),
            request: trace.request.map(|request| RequestView {
                curl: cut(&curl_of(&request)),
                method: request.method,
                url: cut(&request.url),
                headers: request
                    .headers
                    .iter()
                    .flat_map(|(name, values)| {
                        values.iter().map(move |value| (name.clone(), cut(value)))
                    })
                    .collect(),
                body: request.body.as_deref().map(shown),
                body_size: request.body_bytes,
            }),
            parts: content
                .into_iter()
                .flatten()
                .take(PARTS_MAX)
                .map(|content| part(content, language))
                .collect(),
            hidden: count.saturating_sub(PARTS_MAX),
            whole: whole.map(shown),
            id: trace.trace_id,
        }
    }
}

fn part(content: &Value, language: Language) -> Part {
    let shown = |text: &str| shown(text, language);
    let word = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let media = word(content, "mimeType");
    let data = content["data"].as_str().unwrap_or_default();
    let other = |media: String, data: &str| Part::Other {
        media,
        bytes: data.len() / 4 * 3,
    };
    match content["type"].as_str() {
        Some("text") => Part::Text(shown(content["text"].as_str().unwrap_or_default())),
        Some("image") if shows(&media) && data.len() <= IMAGE_CHARS_MAX => {
            Part::Image(format!("data:{media};base64,{data}"))
        }
        Some("image" | "audio") => other(media, data),
        Some("resource") => {
            let resource = &content["resource"];
            match resource["text"].as_str() {
                Some(text) => Part::Text(shown(text)),
                None => other(
                    word(resource, "mimeType"),
                    resource["blob"].as_str().unwrap_or_default(),
                ),
            }
        }
        _ => Part::Text(shown(&content.to_string())),
    }
}

fn shows(media: &str) -> bool {
    matches!(
        media,
        "image/png" | "image/jpeg" | "image/gif" | "image/webp"
    )
}

fn milliseconds(time: f64) -> String {
    if time < 10.0 {
        format!("{time:.1} ms")
    } else {
        format!("{time:.0} ms")
    }
}

/// A text, indented where it is JSON, and cut.
pub fn shown(text: &str, language: Language) -> String {
    let is_json = text.starts_with(['{', '[']) && text.len() <= TEXT_BYTES_MAX * 4;
    if is_json && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
        return cut(&indented(text), language);
    }
    cut(text, language)
}

/// The beginning of a text that is too long to show.
fn cut(text: &str, language: Language) -> String {
    if text.len() <= TEXT_BYTES_MAX {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(TEXT_BYTES_MAX);
    let rest = language.say("trace-rest").with("count", text.len() - end);
    format!("{}\n{rest}", &text[..end])
}

/// JSON with line breaks. Works on the text, so that every number stays as it was written.
fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let mut chars = json.chars().peekable();
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth.min(32)));
    };
    while let Some(c) = chars.next() {
        if quoted {
            quoted = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            out.push(c);
            continue;
        }
        match c {
            ' ' | '\n' | '\r' | '\t' => {}
            '{' | '[' => {
                while chars.next_if(char::is_ascii_whitespace).is_some() {}
                out.push(c);
                if let Some(close) = chars.next_if(|c| matches!(c, '}' | ']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => {
                quoted = c == '"';
                out.push(c);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_indented_without_changing_a_value() {
        let text = r#"{"a":[1.10,{"b":"x,\"}\\"},[],{ }],"n":12345678901234567890123}"#;
        let shown = shown(text, Language::English);
        assert_eq!(
            shown,
            "{\n  \"a\": [\n    1.10,\n    {\n      \"b\": \"x,\\\"}\\\\\"\n    },\n    [],\n    {}\n  ],\n  \"n\": 12345678901234567890123\n}"
        );
        assert_eq!(super::shown("{not json", Language::English), "{not json");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let long = "é".repeat(TEXT_BYTES_MAX);
        let shown = shown(&long, Language::English);
        assert!(shown.len() < TEXT_BYTES_MAX + 100);
        assert!(
            shown.contains("65,536 more bytes"),
            "{}",
            &shown[shown.len() - 80..]
        );
    }

    #[test]
    fn parts_that_no_page_can_show_are_named() {
        let image = json!({"type": "image", "data": "AAAA", "mimeType": "image/png"});
        assert_eq!(
            part(&image, Language::English),
            Part::Image("data:image/png;base64,AAAA".into())
        );
        let drawing = json!({"type": "image", "data": "AAAA", "mimeType": "image/svg+xml"});
        assert_eq!(
            part(&drawing, Language::English),
            Part::Other {
                media: "image/svg+xml".into(),
                bytes: 3
            }
        );
        let link = json!({"type": "resource_link", "uri": "https://x/"});
        assert!(
            matches!(part(&link, Language::English), Part::Text(text) if text.contains("https://x/"))
        );
    }
}
