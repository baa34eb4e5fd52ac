//! Words for the model and for people: descriptions within a budget, and the Markdown page of an
//! operation. Control, bidirectional and zero-width characters never pass.

use std::fmt::Write;

use crate::mcp::tool::ToolDef;
use crate::openapi::{Api, Location, Operation};

pub const DESCRIPTION_BYTES_MAX: usize = 1_024;
pub const ARGUMENT_DESCRIPTION_BYTES_MAX: usize = 300;
const DOCUMENTATION_BYTES_MAX: usize = 32 << 10;

/// What a tool does: the summary, then what the description adds to it.
pub fn description(operation: &Operation) -> String {
    let summary = operation.summary.as_deref().map(clean).unwrap_or_default();
    let detail = operation
        .description
        .as_deref()
        .map(clean)
        .unwrap_or_default();
    let summary = summary.trim();
    let detail = detail.trim();
    let mut text = if detail.is_empty() || detail.starts_with(summary) && !detail.is_empty() {
        if detail.is_empty() {
            summary.to_owned()
        } else {
            detail.to_owned()
        }
    } else if summary.is_empty() {
        detail.to_owned()
    } else {
        let stop = if summary.ends_with(['.', '!', '?', '。']) {
            ""
        } else {
            "."
        };
        format!("{summary}{stop}\n{detail}")
    };
    if text.is_empty() {
        text = format!("{} {}", operation.method, operation.path.raw);
    }
    if operation.deprecated {
        text = format!("Deprecated. {text}");
    }
    shorten(&text, DESCRIPTION_BYTES_MAX)
}

/// `text` within `bytes_max`, cut at the end of a sentence or word.
pub fn shorten(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let head = &text[..text.floor_char_boundary(bytes_max - 3)];
    let sentence = head
        .rfind(". ")
        .or_else(|| head.rfind(".\n"))
        .filter(|at| *at > bytes_max / 2);
    match sentence {
        Some(at) => head[..=at].to_owned(),
        None => {
            let word = head
                .rfind(char::is_whitespace)
                .filter(|at| *at > bytes_max / 2);
            format!("{}…", head[..word.unwrap_or(head.len())].trim_end())
        }
    }
}

/// Without characters that show nothing, or that make text read other than it is written.
pub fn clean(text: &str) -> String {
    text.chars()
        .filter(|c| {
            !matches!(c,
                '\u{0}'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
                | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
        })
        .collect()
}

/// The operation's page: served as a resource, shown in the console.
pub fn documentation(api: &Api, operation: &Operation, tool: &ToolDef) -> String {
    let mut page = String::new();
    let title = operation.summary.as_deref().unwrap_or(tool.name.as_str());
    let _ = writeln!(
        page,
        "# {}\n\n`{} {}`",
        clean(title).trim(),
        operation.method,
        operation.path.raw
    );
    if operation.deprecated {
        page.push_str("\nDeprecated.\n");
    }
    if let Some(description) = &operation.description {
        let _ = writeln!(page, "\n{}", clean(description).trim());
    }
    if !operation.parameters.is_empty() {
        page.push_str("\n## Parameters\n\n");
    }
    for parameter in &operation.parameters {
        let place = match parameter.location {
            Location::Path => "path",
            Location::Query => "query",
            Location::Header => "header",
            Location::Cookie => "cookie",
            Location::Querystring => "query string",
        };
        let required = if parameter.required { ", required" } else { "" };
        let text = parameter
            .description
            .as_deref()
            .map(clean)
            .unwrap_or_default();
        let _ = writeln!(
            page,
            "- `{}` ({place}{required}) {}",
            parameter.name,
            text.trim()
        );
    }
    if let Some(body) = &operation.body {
        let names: Vec<&str> = body.content.iter().map(|m| m.name.as_str()).collect();
        let _ = writeln!(page, "\n## Body\n\n{}", names.join(", "));
    }
    page.push_str("\n## Answers\n\n");
    for response in &operation.responses {
        let text = response
            .description
            .as_deref()
            .map(clean)
            .unwrap_or_default();
        let _ = writeln!(page, "- {}: {}", response.status, text.trim());
    }
    let _ = writeln!(
        page,
        "\nPart of {} {}.",
        clean(&api.title),
        clean(&api.revision)
    );
    shorten(&page, DOCUMENTATION_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_are_dropped() {
        assert_eq!(clean("a\u{202e}b\u{200b}c\u{1b}[31m\n"), "abc[31m\n");
    }

    #[test]
    fn text_is_cut_where_a_sentence_ends() {
        assert_eq!(shorten("One is here. Two is there.", 20), "One is here.");
        assert_eq!(shorten("äöü".repeat(10).as_str(), 10), "äöü…");
    }
}
