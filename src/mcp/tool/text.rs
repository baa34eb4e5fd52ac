//! Words for the model and for people: descriptions within a budget, and the Markdown page of an
//! operation. Control, bidirectional and zero-width characters never pass.

use std::fmt::Write;

use serde_json::Value;

use crate::mcp::tool::words::{adds_to, digest, first_sentence};
use crate::mcp::tool::{Details, ParameterBinding, ToolDef};
use crate::openapi::Operation;

pub const DESCRIPTION_BYTES_MAX: usize = 800;
pub const ARGUMENT_DESCRIPTION_BYTES_MAX: usize = 240;
const DOCUMENTATION_BYTES_MAX: usize = 32 << 10;
/// Answers of an operation that its page tells of.
const ANSWERS_MAX: usize = 50;

/// What a tool does: the summary, then what the description adds to it.
pub fn description(operation: &Operation) -> String {
    let deprecated = if operation.deprecated {
        "Deprecated. "
    } else {
        ""
    };
    let room = DESCRIPTION_BYTES_MAX - deprecated.len();
    let summary = digest(operation.summary.as_deref().unwrap_or_default(), &[], room);
    let detail = operation.description.as_deref().unwrap_or_default();
    let left = room.saturating_sub(summary.len() + 2);
    let mut detail = digest(detail, &[&summary], left);
    if !summary.is_empty() && !adds_to(&summary, first_sentence(&detail)) {
        return format!("{deprecated}{detail}");
    }
    let stop = match summary.chars().next_back() {
        Some('.' | '!' | '?' | '。') | None => "",
        Some(_) if detail.is_empty() => "",
        Some(_) => ".",
    };
    if !summary.is_empty() && !detail.is_empty() {
        detail.insert(0, '\n');
    }
    if summary.is_empty() && detail.is_empty() {
        detail = clean(&format!("{} {}", operation.method, operation.path.raw));
    }
    format!("{deprecated}{summary}{stop}{detail}")
}

/// What an argument means, where that is more than its name says.
pub fn argument(text: &str, name: &str) -> Option<String> {
    let text = digest(text, &[], ARGUMENT_DESCRIPTION_BYTES_MAX);
    (!text.is_empty() && adds_to(&text, name)).then_some(text)
}

/// `text` within `bytes_max`, cut at the end of a sentence or word.
pub fn shorten(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let head = &text[..text.floor_char_boundary(bytes_max.saturating_sub(3))];
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

/// Without characters that show nothing, or that make text read other than it is written: control
/// and format characters, terminal escapes, tags, private use, and fillers that are drawn as space.
pub fn clean(text: &str) -> String {
    if is_clean(text) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            '\u{1b}' => rest = after_escape(rest),
            '\u{9b}' => rest = after_sequence(rest),
            '\u{85}' | '\u{2028}' | '\u{2029}' => out.push('\n'),
            shown if !is_invisible(shown) => out.push(shown),
            _ => {}
        }
    }
    out
}

/// Whether [`clean`] would change nothing.
pub fn is_clean(text: &str) -> bool {
    !text.chars().any(is_invisible)
}

/// Characters that show nothing, by their Unicode categories Cc (but tab and line feed), Cf and Co,
/// the variation selectors, and letters that are drawn as nothing.
pub fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{0}'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
        | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{2800}' | '\u{3164}' | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
        | '\u{13430}'..='\u{1345f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{10ffff}')
}

/// What follows ESC: a control sequence, a string with its end on the same line, or one character.
fn after_escape(mut rest: std::str::Chars<'_>) -> std::str::Chars<'_> {
    match rest.clone().next() {
        Some('[') => {
            rest.next();
            after_sequence(rest)
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            let line = rest.as_str().lines().next().unwrap_or_default();
            let end = line.find(['\u{7}', '\u{9c}']).map(|at| at + 1);
            let end = end.or_else(|| line.find("\u{1b}\\").map(|at| at + 2));
            rest.as_str()[end.unwrap_or(1)..].chars()
        }
        Some(' '..='~') => {
            rest.next();
            rest
        }
        _ => rest,
    }
}

/// The parameters of a control sequence, and the letter that ends it.
fn after_sequence(rest: std::str::Chars<'_>) -> std::str::Chars<'_> {
    let text = rest.as_str();
    let end = text.find(|c: char| !(' '..='?').contains(&c));
    match end.map(|at| (at, text[at..].starts_with(|c| ('@'..='~').contains(&c)))) {
        Some((at, true)) => text[at + 1..].chars(),
        Some((at, false)) => text[at..].chars(),
        None => "".chars(),
    }
}

/// What a document says of an operation beyond what is listed of its tool.
pub fn details(
    operation: &Operation,
    parameters: &[ParameterBinding],
    (description, input_schema): (&str, &Value),
) -> Details {
    let whole = |text: &Option<String>| {
        let text = text.as_deref().map(clean).unwrap_or_default();
        shorten(text.trim(), DOCUMENTATION_BYTES_MAX)
    };
    let text = whole(&operation.description);
    let properties = &input_schema["properties"];
    let arguments = parameters.iter().zip(&operation.parameters);
    let arguments = arguments
        .map(|(binding, parameter)| (&binding.argument, whole(&parameter.description)))
        .filter(|(argument, text)| {
            let property = properties.get(argument);
            let listed = property.and_then(|property| property["description"].as_str());
            property.is_some() && !listed.unwrap_or_default().contains(text)
        });
    let answers = operation.responses.iter().take(ANSWERS_MAX);
    Details {
        description: (!description.contains(&text)).then_some(text),
        arguments: arguments
            .map(|(argument, text)| (argument.clone(), text))
            .collect(),
        answers: answers
            .map(|answer| (answer.status.clone(), whole(&answer.description)))
            .collect(),
        write_only: Vec::new(),
    }
}

/// The page of a tool as it is served, in Markdown: a resource of its server.
pub fn page(tool: &ToolDef) -> String {
    let (title, binding, details) = (tool.title.as_deref(), &tool.binding, &tool.details);
    let title = title.unwrap_or(tool.name.as_str());
    let description = details.description.as_ref().unwrap_or(&tool.description);
    let mut page = format!(
        "# {title}\n\n`{} {}`\n\n{description}\n",
        binding.method, binding.path.raw
    );
    let properties = tool.input_schema["properties"].as_object();
    let properties = properties.into_iter().flatten();
    for (at, (argument, schema)) in properties.enumerate() {
        page.push_str(if at == 0 { "\n## Arguments\n\n" } else { "" });
        let required = tool.input_schema["required"].as_array();
        let required = required.is_some_and(|names| names.iter().any(|name| name == argument));
        let required = if required { " (required)" } else { "" };
        let listed = schema["description"].as_str().unwrap_or_default();
        let text = details
            .arguments
            .get(argument)
            .map_or(listed, String::as_str);
        let _ = writeln!(page, "- `{argument}`{required} {text}");
    }
    if let Some(body) = &binding.body {
        let names: Vec<&str> = body.media.iter().map(|media| &*media.name).collect();
        let _ = writeln!(page, "\n## Body\n\n{}", names.join(", "));
    }
    for (at, (status, meaning)) in details.answers.iter().enumerate() {
        page.push_str(if at == 0 { "\n## Answers\n\n" } else { "" });
        let _ = writeln!(page, "- {status}: {meaning}");
    }
    shorten(&clean(&page), DOCUMENTATION_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_are_dropped() {
        for (text, shown) in [
            ("a\u{202e}b\u{200b}c\u{1b}[31m\n", "abc\n"),
            ("\u{1b}[1;31mred\u{1b}[0m \u{9b}2Jx", "red x"),
            ("\u{1b}]8;;https://x\u{7}link\u{1b}]8;;\u{1b}\\ b", "link b"),
            ("\u{1b}]never ends\nnext", "never ends\nnext"),
            (
                "\u{e0041}\u{e0042}a\u{fe0f}\u{e0101}\u{f8ff}\u{100000}",
                "a",
            ),
            ("a\u{2028}b\u{3164}\u{2800}", "a\nb"),
            ("größe 图书 é", "größe 图书 é"),
            ("\u{1b}", ""),
        ] {
            assert_eq!(clean(text), shown, "{text:?}");
        }
    }

    #[test]
    fn text_is_cut_where_a_sentence_ends() {
        assert_eq!(shorten("One is here. Two is there.", 20), "One is here.");
        assert_eq!(shorten("äöü".repeat(10).as_str(), 10), "äöü…");
    }
}
