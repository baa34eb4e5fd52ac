//! `causeway check`: the conversion report.

use std::fmt::Write;
use std::process::ExitCode;

use serde_json::json;

use crate::cli::CheckArgs;
use crate::cli::document::{Converted, convert};
use crate::cli::output::Output;
use crate::egress::{Egress, EgressSettings};
use crate::mcp::plan::Destination;
use crate::mcp::plan::unreachable::unreachable;
use crate::mcp::server::is_searched;
use crate::mcp::tool::compile::in_a_list;
use crate::mcp::tool::shrink::Budget;
use crate::openapi::{Finding, Severity};

/// How many findings of a severity are printed for people; JSON has all of them.
const SHOWN_MAX: usize = 40;

pub(super) async fn check(output: &Output, args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let egress = Egress::new(EgressSettings::default());
    let converted = match convert(&egress, &args.source).await {
        Ok(Ok(mut converted)) => {
            let nowhere = unreachable(&converted.api, &converted.tools, Destination::default());
            converted.findings.extend(nowhere);
            converted
        }
        Err(unreadable) => {
            output.error(&unreadable);
            return Ok(ExitCode::from(2));
        }
        Ok(Err(error)) => {
            let findings = match &error {
                crate::openapi::DocumentError::NoOperations { findings, .. } => findings.clone(),
                _ => Vec::new(),
            };
            let mut text = format!("{}: {error}\n", args.source.file.display());
            list(&mut text, &findings, Severity::Lost, "Lost");
            output.result(
                &text,
                &json!({ "error": error.to_string(), "tools": 0, "findings": findings }),
            )?;
            return Ok(ExitCode::from(2));
        }
    };
    let count = |severity| {
        converted
            .findings
            .iter()
            .filter(|f| f.severity == severity)
            .count()
    };
    let (lost, warnings, notes) = (
        count(Severity::Lost),
        count(Severity::Warning),
        count(Severity::Note),
    );
    let costs = costs(&converted);
    let text = report(args, &converted, &costs, (lost, warnings, notes));
    let tools: Vec<_> = converted
        .tools
        .iter()
        .zip(&costs)
        .map(|(tool, cost)| json!({ "name": tool.name, "operation": tool.operation, "tokens": cost }))
        .collect();
    output.result(
        &text,
        &json!({
            "title": converted.api.title,
            "version": converted.api.version,
            "tools": tools,
            "tokens": costs.iter().sum::<usize>(),
            "lost": lost,
            "warnings": warnings,
            "notes": notes,
            "findings": converted.findings,
        }),
    )?;
    let failed = lost > 0 || args.strict && warnings > 0;
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// What listing each tool costs a model, in tokens.
fn costs(converted: &Converted) -> Vec<usize> {
    let tools = converted.tools.iter();
    tools
        .map(|tool| in_a_list(tool, false, Budget::default()).tokens())
        .collect()
}

fn report(
    args: &CheckArgs,
    converted: &Converted,
    costs: &[usize],
    (lost, warnings, notes): (usize, usize, usize),
) -> String {
    let mut text = String::new();
    let total: usize = costs.iter().sum();
    let _ = writeln!(
        text,
        "{}: {} (OpenAPI {})\n{} tools, about {total} tokens to list them{}; {lost} lost, {warnings} warnings, {notes} notes",
        args.source.file.display(),
        converted.api.title,
        converted.api.version,
        converted.tools.len(),
        if is_searched(converted.tools.len(), total) {
            ", so they are searched instead"
        } else {
            ""
        },
    );
    dearest(&mut text, converted, costs);
    list(
        &mut text,
        &converted.findings,
        Severity::Lost,
        "Lost: these operations are no tools",
    );
    list(
        &mut text,
        &converted.findings,
        Severity::Warning,
        "Warnings: guessed or changed",
    );
    list(&mut text, &converted.findings, Severity::Note, "Notes");
    text
}

/// How many of the tools that cost most are printed, of those that cost more than a tenth of the list.
const DEAREST_MAX: usize = 5;

fn dearest(text: &mut String, converted: &Converted, costs: &[usize]) {
    let total: usize = costs.iter().sum();
    let mut tools: Vec<_> = costs.iter().zip(&converted.tools).collect();
    tools.sort_by_key(|(cost, _)| std::cmp::Reverse(**cost));
    for (cost, tool) in tools
        .iter()
        .take(DEAREST_MAX)
        .filter(|(cost, _)| **cost * 10 > total)
    {
        let _ = writeln!(text, "  {cost} tokens: {}", tool.name);
    }
}

fn list(text: &mut String, findings: &[Finding], severity: Severity, heading: &str) {
    let mut matching = findings
        .iter()
        .filter(|finding| finding.severity == severity)
        .peekable();
    if matching.peek().is_none() {
        return;
    }
    let _ = writeln!(text, "\n{heading}");
    for finding in matching.by_ref().take(SHOWN_MAX) {
        let operation = finding
            .operation
            .as_ref()
            .map(|key| format!("{key}: "))
            .unwrap_or_default();
        let _ = writeln!(text, "  {operation}{} [{}]", finding.message, finding.code);
        if !finding.pointer.is_empty() {
            let _ = writeln!(text, "    at {}", finding.pointer);
        }
        if let Some(fix) = &finding.fix {
            let _ = writeln!(text, "    fix: {fix}");
        }
    }
    let rest = matching.count();
    if rest > 0 {
        let _ = writeln!(text, "  … and {rest} more; --json lists all");
    }
}
