//! Tools as a person reads them in a terminal.

use std::fmt::Write;

use serde_json::Value;

use crate::cli::tools::{Argument, Issue, Listed, Reviewed, Tool};
use crate::mcp::curation::Curation;

/// Wider names push their line.
const NAME_CHARS_MAX: usize = 40;
const TEXT_CHARS_MAX: usize = 300;

/// Every tool in a line of its own.
pub(super) fn list(slug: &str, listed: &Listed, curations: &Value) -> String {
    let count = listed.tools.len();
    let mut text = format!(
        "{slug}: {count} tools, grade {} ({}), about {} tokens to list them\n\n",
        listed.grade, listed.score, listed.tokens
    );
    let names = listed.tools.iter().map(|tool| &tool.name);
    let names = names.chain(listed.hidden.iter().map(|tool| &tool.name));
    let wide = |name: &String| name.chars().count().min(NAME_CHARS_MAX);
    let widest = names.map(wide).max().unwrap_or_default().max(4);
    let _ = writeln!(text, "  GRADE  TOKENS  {:widest$}  OPERATION", "NAME");
    let is_changed = |operation: &str| !curations["curations"][operation].is_null();
    for tool in &listed.tools {
        let _ = write!(
            text,
            "  {} {:3}  {:6}  {:widest$}  {}",
            tool.grade,
            tool.score,
            tool.tokens.unwrap_or_default(),
            tool.name,
            tool.operation
        );
        let mut notes: Vec<String> = tool.issues.iter().map(rule).collect();
        if is_changed(&tool.operation) {
            notes.insert(0, "changed".to_owned());
        }
        if !notes.is_empty() {
            let _ = write!(text, "  ({})", notes.join(", "));
        }
        text.push('\n');
    }
    for tool in &listed.hidden {
        let (name, operation) = (&tool.name, &tool.operation);
        let _ = writeln!(text, "  hidden      -  {name:widest$}  {operation}");
    }
    for finding in curations["findings"].as_array().into_iter().flatten() {
        let said = |name: &str| finding[name].as_str().unwrap_or_default();
        let _ = write!(text, "\n  {}: {}", said("operation"), said("message"));
    }
    let mendable = |tool: &&Reviewed| tool.issues.iter().any(|issue| issue.fix.is_some());
    if let Some(tool) = listed.tools.iter().find(mendable) {
        let name = &tool.name;
        let _ = write!(
            text,
            "\nWhat has a * can be mended: causeway tools {slug} edit {name} --fix all"
        );
    }
    text
}

fn rule(issue: &Issue) -> String {
    let mark = if issue.fix.is_some() { "*" } else { "" };
    format!("{}{mark}", issue.rule)
}

/// One tool, with everything an owner can do about it.
pub(super) fn tool(slug: &str, tool: &Tool) -> String {
    let mut text = format!("{}  {}\n", tool.name, tool.operation);
    let curation = &tool.curation;
    match &tool.review {
        Some(review) => {
            let tokens = tool.tokens.unwrap_or_default();
            let (grade, score) = (&review.grade, review.score);
            let _ = writeln!(text, "Grade {grade} ({score}), about {tokens} tokens");
        }
        None => text.push_str("Hidden: neither listed nor callable\n"),
    }
    let own = curation.description.as_ref();
    let description = own.unwrap_or(&tool.document.description);
    let _ = writeln!(text, "\n{}", shortened(description));
    if !tool.arguments.is_empty() {
        text.push_str("\nArguments\n");
        let wide = |argument: &Argument| argument.argument.chars().count();
        let widest = tool.arguments.iter().map(wide).max().unwrap_or_default();
        for argument in &tool.arguments {
            let said = of_argument(argument, curation);
            let line = format!("  {:widest$}  {said}", argument.argument);
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
    changed(&mut text, curation);
    let issues: &[Issue] = tool.review.as_ref().map_or(&[], |review| &review.issues);
    if !issues.is_empty() {
        text.push_str("\nTo make it better\n");
    }
    for issue in issues {
        let _ = writeln!(text, "  {}: {}", rule(issue), issue.message);
    }
    if issues.iter().any(|issue| issue.fix.is_some()) {
        let name = &tool.name;
        let _ = writeln!(
            text,
            "What has a * can be mended: causeway tools {slug} edit {name} --fix all"
        );
    }
    text
}

fn of_argument(argument: &Argument, curation: &Curation) -> String {
    let own = curation.arguments.get(&argument.key);
    if let Some(value) = own.and_then(|own| own.fixed.as_ref()) {
        return format!("always {value}");
    }
    let described = argument.schema["description"].as_str();
    let own = own.and_then(|own| own.description.as_deref());
    let words = own.or(described).unwrap_or_default();
    let kind = &argument.schema["type"];
    let kind = kind
        .as_str()
        .map_or_else(|| "any".to_owned(), str::to_owned);
    format!("{kind}  {}", shortened(words))
}

/// What the owner changed, as it is stored.
fn changed(text: &mut String, curation: &Curation) {
    let Ok(Value::Object(members)) = serde_json::to_value(curation) else {
        return;
    };
    if members.is_empty() {
        return;
    }
    text.push_str("\nChanged\n");
    for (name, value) in members {
        let value = value.as_str().map_or_else(|| value.to_string(), shortened);
        let _ = writeln!(text, "  {name}: {value}");
    }
}

/// A text in one line, without what a terminal would obey.
pub(in crate::cli) fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = line.replace(char::is_control, "");
    match line.char_indices().nth(TEXT_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}
