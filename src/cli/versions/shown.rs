//! Versions as a person reads them in a terminal.

use std::fmt::Write;

use serde_json::Value;

use crate::cli::tools::shown::shortened;

/// The impacts, the worst first.
const IMPACTS: [&str; 3] = ["breaking", "review", "compatible"];

fn said<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

fn items<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    value[name].as_array().into_iter().flatten()
}

/// Every version, newest first, and where the next one comes from.
pub(super) fn history(slug: &str, history: &Value) -> String {
    let mut text = String::new();
    for version in items(history, "versions") {
        let number = &version["version"];
        let state = if version["current"] == true {
            "  served".to_owned()
        } else if history["staged"]["version"] == *number {
            format!("  waits for a look: causeway versions {slug} diff {number}")
        } else if history["canary"]["version"] == *number {
            let percent = &history["canary"]["percent"];
            format!("  served to {percent} of 100 consumers")
        } else {
            String::new()
        };
        let number = number.to_string();
        let at = time(said(version, "createdAt"));
        let title = shortened(said(version, "title"));
        let _ = writeln!(text, "{number:>4}  {at}  {title}{state}");
    }
    let source = &history["source"];
    if !source.is_null() {
        let (url, every) = (said(source, "url"), &source["everySeconds"]);
        let _ = write!(text, "\nRead again from {url} every {every} seconds");
        if let Some(outcome) = source["outcome"].as_str() {
            let at = time(said(source, "checkedAt"));
            let _ = write!(text, "; the last time, at {at}: {outcome}");
        }
        if let Some(detail) = source["detail"].as_str() {
            let _ = write!(text, ": {}", shortened(detail));
        }
    }
    text
}

/// A time without its seconds.
fn time(text: &str) -> String {
    text.get(..16).unwrap_or_default().replace('T', " ")
}

/// What agents would notice.
pub(super) fn diff(compared: &Value) -> String {
    let (from, to) = (&compared["from"], &compared["to"]);
    let tools: Vec<&Value> = items(compared, "tools").collect();
    let worst = tools.iter().map(|tool| rank(tool)).min();
    let verdict = match worst {
        None => "agents notice nothing".to_owned(),
        Some(0) => "calls that were right may fail".to_owned(),
        Some(1) => "a person should look at it".to_owned(),
        Some(_) => "what worked before works still".to_owned(),
    };
    let mut text = format!("Version {to} instead of {from}: {verdict}\n");
    for tool in tools {
        let impact = IMPACTS[rank(tool)];
        let what = match said(tool, "kind") {
            "added" => " is new",
            "removed" => " is gone",
            _ => "",
        };
        let (name, operation) = (said(tool, "name"), said(tool, "operation"));
        let _ = writeln!(text, "\n{impact:10}  {name} ({operation}){what}");
        for difference in items(tool, "differences") {
            let (impact, aspect) = (said(difference, "impact"), said(difference, "aspect"));
            let message = shortened(said(difference, "message"));
            let _ = writeln!(text, "  {impact:10}  {aspect}: {message}");
        }
    }
    for (at, kept) in items(compared, "kept").enumerate() {
        if at == 0 {
            text.push_str("\nThe document says this differently now, beneath words of yours\n");
        }
        let (operation, aspect) = (said(kept, "operation"), said(kept, "aspect"));
        let document = shortened(said(kept, "document"));
        let _ = writeln!(text, "  {operation} {aspect}: {document}");
    }
    for (at, finding) in items(compared, "findings").enumerate() {
        if at == 0 {
            text.push_str("\nThese changes of yours would apply no longer\n");
        }
        let (operation, message) = (said(finding, "operation"), said(finding, "message"));
        let _ = writeln!(text, "  {operation}: {}", shortened(message));
    }
    text
}

/// Where the worst that a tool's differences mean stands in the list of impacts.
fn rank(tool: &Value) -> usize {
    let of = |word: &str| IMPACTS.iter().position(|impact| *impact == word);
    let worst = match said(tool, "kind") {
        "added" => of("review"),
        "removed" => of("breaking"),
        _ => items(tool, "differences")
            .filter_map(|difference| of(said(difference, "impact")))
            .min(),
    };
    worst.unwrap_or(IMPACTS.len() - 1)
}

/// What a look at the document came to.
pub(super) fn outcome(slug: &str, answer: &Value) -> String {
    let number = &answer["version"];
    match said(answer, "outcome") {
        "published" => format!("Version {number} of {slug} is served: only more of the same."),
        "review" => format!(
            "Version {number} waits for somebody to look at it: causeway versions {slug} diff {number}"
        ),
        "failed" => format!(
            "The document could not be read again: {}",
            shortened(said(answer, "detail"))
        ),
        _ => "The document is the one that is served, or that waits.".to_owned(),
    }
}
